#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/aka/nonce.h"
#include "model/aka/sqn.h"

static uint64_t next_random(uint64_t *x) {
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    return *x >> 11;
}

/* The HSS's counter with its durable part; a write becomes durable or is lost in a crash. */
struct authority {
    struct sqn_counter counter;
    uint64_t durable;
};

static uint64_t take(struct authority *a, unsigned ind) {
    uint64_t sqn = 0, stored = 0;
    if (!sqn_take(&a->counter, ind, &sqn)) {
        assert_int_equal(sqn_reserve(&a->counter, &stored), OK);
        assert_false(sqn_take(&a->counter, ind, &sqn)); /* reserving alone permits nothing */
        a->durable = stored;
        sqn_reserved(&a->counter, stored);
        assert_true(sqn_take(&a->counter, ind, &sqn));
    }
    return sqn;
}

/* covers: A7. Crashes fall anywhere, also between the durable write and the news of it. */
static void sqn_never_repeats_across_a_million_vectors_and_crashes(void **state) {
    (void)state;
    uint64_t x = 88172645463325252u, highest = 0, writes = 0;
    struct authority a = {sqn_load(0), 0};
    for (size_t i = 0; i < 1000000; i++) {
        uint64_t durable = a.durable;
        uint64_t sqn = take(&a, (unsigned)next_random(&x) % SQN_INDS);
        writes += a.durable != durable;
        assert_true(sqn_seq(sqn) > highest);
        highest = sqn_seq(sqn);
        if (next_random(&x) % 100 == 0) {
            uint64_t stored;
            if (next_random(&x) % 2 && sqn_reserve(&a.counter, &stored) == OK) {
                a.durable = stored > a.durable ? stored : a.durable;
            }
            a.counter = sqn_load(a.durable);
        }
    }
    assert_in_range(writes, 1000000 / SQN_BLOCK, 1000000 / 20);
    assert_in_range(highest, 1000000, 2000000);
}

static void one_write_is_good_for_a_block(void **state) {
    (void)state;
    struct sqn_counter c = sqn_load(100);
    uint64_t stored = 0, sqn = 0;
    assert_false(sqn_take(&c, 0, &sqn));
    assert_int_equal(sqn_reserve(&c, &stored), OK);
    assert_int_equal(stored, 132);
    sqn_reserved(&c, stored);
    for (uint64_t seq = 101; seq <= 132; seq++) {
        assert_true(sqn_take(&c, 31, &sqn));
        assert_int_equal(sqn, seq << 5 | 31);
    }
    assert_false(sqn_take(&c, 31, &sqn));
}

static void the_counter_ends_and_does_not_wrap(void **state) {
    (void)state;
    struct sqn_counter c = sqn_load(SQN_SEQ_MAX - 2);
    uint64_t stored = 0, sqn = 0;
    assert_int_equal(sqn_reserve(&c, &stored), OK);
    assert_int_equal(stored, SQN_SEQ_MAX);
    sqn_reserved(&c, stored);
    assert_true(sqn_take(&c, 1, &sqn));
    assert_true(sqn_take(&c, 1, &sqn));
    assert_int_equal(sqn, sqn_make(SQN_SEQ_MAX, 1));
    assert_false(sqn_take(&c, 1, &sqn));
    assert_int_equal(sqn_reserve(&c, &stored), ERR_SQN_OUT_OF_RANGE);
}

/* covers: A9 */
static void resynchronisation_follows_the_ue_only_where_it_must(void **state) {
    (void)state;
    static const struct {
        uint64_t seq, ms;
        enum sqn_resync how;
        uint64_t next; /* SEQ of the next vector, after a reservation */
    } cases[] = {
        {10, 5, SQN_RESYNC_KEPT, 11},
        {10, 10, SQN_RESYNC_KEPT, 11},
        {10, 11, SQN_RESYNC_FORWARD, 12},
        {10, 1 << 20, SQN_RESYNC_FORWARD, (1 << 20) + 1},
        {10, SQN_SEQ_MAX - 1, SQN_RESYNC_FORWARD, SQN_SEQ_MAX},
        {10, SQN_SEQ_MAX, SQN_RESYNC_END, 11},
        {SQN_DELTA, 1, SQN_RESYNC_KEPT, SQN_DELTA + 1},
        {SQN_DELTA + 1, 1, SQN_RESYNC_BACK, 2},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct authority a = {sqn_load(cases[i].seq), cases[i].seq};
        assert_int_equal(sqn_resynchronise(&a.counter, sqn_make(cases[i].ms, 7)), cases[i].how);
        assert_int_equal(sqn_seq(take(&a, 0)), cases[i].next);
    }
}

/* covers: A9. From any state of both sides one resynchronisation makes the next vector good. */
static void after_resynchronisation_the_next_vector_is_accepted(void **state) {
    (void)state;
    uint64_t x = 362436069;
    for (size_t i = 0; i < 100000; i++) {
        struct sqn_array ue = {{0}};
        struct authority a = {0};
        unsigned shift = (unsigned)(next_random(&x) % 42);
        a.counter = sqn_load(next_random(&x) & ((UINT64_C(1) << shift) - 1));
        for (size_t k = 0; k < 3; k++) {
            shift = (unsigned)(next_random(&x) % 42);
            sqn_accept(&ue, next_random(&x) & ((UINT64_C(1) << (shift + SQN_IND_BITS)) - 1));
        }
        unsigned ind = (unsigned)next_random(&x) % SQN_INDS;
        if (sqn_check(&ue, take(&a, ind), &SQN_LIMITS) != SQN_FRESH) {
            assert_int_not_equal(sqn_resynchronise(&a.counter, sqn_highest(&ue)), SQN_RESYNC_END);
            assert_int_equal(sqn_check(&ue, take(&a, ind), &SQN_LIMITS), SQN_FRESH);
        }
    }
}

/* covers: A9 */
static void the_ue_takes_each_sqn_once_and_inds_in_any_order(void **state) {
    (void)state;
    struct sqn_array ue = {{0}};
    const struct sqn_limits limits = {.delta = 1000, .age = 50};
    assert_int_equal(sqn_check(&ue, sqn_make(0, 3), &limits), SQN_USED);
    assert_int_equal(sqn_check(&ue, sqn_make(100, 3), &limits), SQN_FRESH);
    sqn_accept(&ue, sqn_make(100, 3));
    assert_int_equal(sqn_check(&ue, sqn_make(100, 3), &limits), SQN_USED);
    assert_int_equal(sqn_check(&ue, sqn_make(99, 3), &limits), SQN_USED);
    assert_int_equal(sqn_check(&ue, sqn_make(99, 4), &limits), SQN_FRESH);
    assert_int_equal(sqn_check(&ue, sqn_make(50, 4), &limits), SQN_FRESH);
    assert_int_equal(sqn_check(&ue, sqn_make(49, 4), &limits), SQN_TOO_OLD);
    assert_int_equal(sqn_check(&ue, sqn_make(1100, 4), &limits), SQN_FRESH);
    assert_int_equal(sqn_check(&ue, sqn_make(1101, 4), &limits), SQN_TOO_FAR);
    sqn_accept(&ue, sqn_make(120, 4));
    assert_int_equal(sqn_highest(&ue), sqn_make(120, 4));
    assert_int_equal(sqn_check(&ue, sqn_make(101, 3), &limits), SQN_FRESH);
}

static void a_requesters_ind_is_stable_and_spread(void **state) {
    (void)state;
    unsigned seen = 0, count = 0;
    assert_int_equal(sqn_ind_of(SPAN("sip:SCSCF.example.org:6060")),
                     sqn_ind_of(SPAN("sip:scscf.example.org:6060")));
    for (char c = 'a'; c <= 'z'; c++) {
        char name[] = "sip:scscf-x.ims.mnc001.mcc001.3gppnetwork.org:6060";
        name[10] = c;
        unsigned ind = sqn_ind_of(span_from_cstr(name));
        assert_in_range(ind, 0, SQN_INDS - 1);
        count += !(seen & 1u << ind);
        seen |= 1u << ind;
    }
    assert_in_range(count, 12, 26);
}

/* covers: A7 A9 */
static void a_nonce_carries_rand_and_autn(void **state) {
    (void)state;
    uint8_t rand[16], autn[16], r[16], a[16], auts[14], s[14];
    for (size_t i = 0; i < 16; i++) {
        rand[i] = (uint8_t)(i * 17);
        autn[i] = (uint8_t)(i ? 255 - i : 0);
    }
    char text[160];
    struct buf b = buf_init(text, sizeof text);
    nonce_put(&b, rand, autn, SPAN_NONE);
    assert_int_equal(b.n, 44);
    assert_int_equal(nonce_parse(buf_span(&b), r, a), OK);
    assert_memory_equal(r, rand, 16);
    assert_memory_equal(a, autn, 16);
    b.n = 0;
    nonce_put(&b, rand, autn, SPAN("server data"));
    assert_int_equal(nonce_parse(buf_span(&b), r, a), OK);
    assert_memory_equal(a, autn, 16);
    assert_int_equal(nonce_parse(SPAN("Zm9v"), r, a), ERR_MALFORMED);
    assert_int_equal(nonce_parse(SPAN(""), r, a), ERR_MALFORMED);
    assert_int_equal(nonce_parse(SPAN("not base64!!"), r, a), ERR_MALFORMED);
    memcpy(auts, rand, sizeof auts);
    b.n = 0;
    nonce_put_auts(&b, auts);
    assert_int_equal(nonce_parse_auts(buf_span(&b), s), OK);
    assert_memory_equal(auts, s, sizeof s);
    assert_int_equal(nonce_parse_auts(SPAN("Zm9v"), s), ERR_MALFORMED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sqn_never_repeats_across_a_million_vectors_and_crashes),
        cmocka_unit_test(one_write_is_good_for_a_block),
        cmocka_unit_test(the_counter_ends_and_does_not_wrap),
        cmocka_unit_test(resynchronisation_follows_the_ue_only_where_it_must),
        cmocka_unit_test(after_resynchronisation_the_next_vector_is_accepted),
        cmocka_unit_test(the_ue_takes_each_sqn_once_and_inds_in_any_order),
        cmocka_unit_test(a_requesters_ind_is_stable_and_spread),
        cmocka_unit_test(a_nonce_carries_rand_and_autn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
