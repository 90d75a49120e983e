/* Simulations repeat by their seed, and what they watch is found out.
 *
 * covers: A4 A5 A6 A7 A10 A11 B1 B3 B4 HF12 */
#include "app/simulation_jobs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "crypto/aka.h"

static struct simulation_report run_with(uint64_t seed, unsigned faults, uint32_t writes) {
    const struct simulation_options options = {.reg_event = true,
                                               .seed = seed,
                                               .faults = faults,
                                               .users = 10,
                                               .storm_s = 900,
                                               .writes = writes};
    struct simulation_report report;
    assert_int_equal(simulation_run(&options, &report, NULL), OK);
    if (!report.passed) {
        print_error("seed %llu: %s\n", (unsigned long long)seed, report.fault);
    }
    assert_true(report.passed);
    return report;
}

static struct simulation_report run(uint64_t seed, unsigned faults) {
    return run_with(seed, faults, 10);
}

static void equal_seeds_give_equal_runs(void **state) {
    (void)state;
    struct simulation_report a = run(7, SIMULATION_ALL_FAULTS), b = run(7, SIMULATION_ALL_FAULTS),
                             c = run(8, SIMULATION_ALL_FAULTS);
    assert_int_equal(a.digest, b.digest);
    assert_int_equal(a.events, b.events);
    assert_int_equal(a.vectors, b.vectors);
    assert_int_not_equal(a.digest, c.digest);
}

struct reports {
    uint64_t seeds[4], digests[4];
    size_t n, failed;
};

static bool take_report(void *ctx, uint64_t seed, const struct simulation_report *report) {
    struct reports *all = ctx;
    assert_true(all->n < COUNT_OF(all->seeds));
    all->failed += !report->passed;
    all->seeds[all->n] = seed;
    all->digests[all->n++] = report->digest;
    return true;
}

static void seeds_side_by_side_give_what_they_give_alone(void **state) {
    const struct simulation_options options = {.reg_event = true,
                                               .seed = 5,
                                               .faults = SIMULATION_ALL_FAULTS,
                                               .users = 10,
                                               .storm_s = 900,
                                               .writes = 10};
    struct reports all = {0};
    (void)state;
    assert_int_equal(simulation_run_many(&options, 4, 3, take_report, &all), OK);
    assert_int_equal(all.n, 4);
    assert_int_equal(all.failed, 0);
    for (size_t i = 0; i < all.n; i++) {
        assert_int_equal(all.seeds[i], 5 + i);
        assert_int_equal(all.digests[i], run(5 + i, SIMULATION_ALL_FAULTS).digest);
    }
}

static void every_fault_happens_and_is_survived(void **state) {
    (void)state;
    struct simulation_report none = run_with(1, 0, 0);
    assert_int_equal(none.lost, 0);
    assert_int_equal(none.vectors, none.registrations);
    assert_true(run(2, SIMULATION_LOSS).lost > 0);
    assert_true(run(3, SIMULATION_CRASH).crashes > 0);
    assert_true(run(4, SIMULATION_CUT).cuts > 0);
    assert_true(run(5, SIMULATION_PARTITION).partitions > 0);
    assert_int_equal(none.writes, 0);
    assert_true(run(5, SIMULATION_ALL_FAULTS).writes > 50);
    run(6, SIMULATION_DUPLICATE | SIMULATION_REORDER);
    struct simulation_report still = run_with(1, SIMULATION_CLOCK, 0); /* HF12 */
    assert_int_equal(still.registrations,
                     none.registrations); /* nothing expires, nothing repeats */
}

static void faults_have_names(void **state) {
    unsigned all = 0;
    (void)state;
    for (size_t i = 0; simulation_fault_names[i]; i++) {
        all |= simulation_fault_of(span_from_cstr(simulation_fault_names[i]));
    }
    assert_int_equal(all, SIMULATION_ALL_FAULTS);
    assert_int_equal(simulation_fault_of(SPAN("lightning")), 0);
}

/* Messages made by hand: only what is looked at. */

static void put_u24(struct buf *b, size_t n) {
    buf_char(b, (char)(n >> 16));
    buf_char(b, (char)(n >> 8));
    buf_char(b, (char)n);
}

static void put_u32(struct buf *b, uint32_t n) {
    buf_char(b, (char)(n >> 24));
    put_u24(b, n & 0xffffff);
}

static void put_avp(struct buf *b, uint32_t code, bool vendor, struct span data) {
    put_u32(b, code);
    buf_char(b, vendor ? (char)0xc0 : 0x40);
    put_u24(b, (vendor ? 12 : 8) + data.n);
    if (vendor) {
        put_u32(b, 10415);
    }
    buf_put(b, data);
    for (size_t n = data.n; n % 4; n++) {
        buf_char(b, 0);
    }
}

static void show(struct watch *w, bool request, uint32_t command, uint32_t end_to_end,
                 struct span avps) {
    char bytes[1024];
    struct buf b = buf_init(bytes, sizeof bytes);
    buf_char(&b, 1);
    put_u24(&b, 20 + avps.n);
    buf_char(&b, request ? (char)0xc0 : 0x40);
    put_u24(&b, command);
    put_u32(&b, 16777216);
    put_u32(&b, 1);
    put_u32(&b, end_to_end);
    buf_put(&b, avps);
    assert_false(b.overflow);
    struct trace_message m = {.protocol = TRACE_DIAMETER, .bytes = buf_span(&b)};
    watch_message(w, &m);
}

static void show_vector(struct watch *w, size_t subject, uint64_t sqn, uint8_t first) {
    char item_bytes[128], avps_bytes[512];
    struct watch_subject *s = &w->subjects[subject];
    struct aka_vector v;
    struct milenage m;
    uint8_t rand[16] = {first}, data[32];
    assert_int_equal(milenage_init(&m), OK);
    assert_int_equal(
        aka_vector_make(&m, &s->card.isim.key, (const uint8_t[]){0x80, 0}, sqn, rand, &v), OK);
    milenage_free(&m);
    memcpy(data, v.rand, 16);
    memcpy(data + 16, v.autn, 16);
    struct buf item = buf_init(item_bytes, sizeof item_bytes),
               avps = buf_init(avps_bytes, sizeof avps_bytes);
    put_avp(&item, 609, true, span_of(data, sizeof data));
    put_avp(&avps, 1, false, s->card.isim.impi);
    put_avp(&avps, 612, true, buf_span(&item));
    show(w, false, 303, 1, buf_span(&avps));
}

static void a_sequence_number_used_twice_is_found(void **state) {
    struct watch w;
    (void)state;
    assert_int_equal(watch_init(&w, 3, "example.org"), OK);
    show_vector(&w, 1, 32, 1);
    show_vector(&w, 1, 32, 1); /* the same vector again: a repeated answer */
    show_vector(&w, 2, 32, 2); /* of another subscriber */
    show_vector(&w, 1, 64, 3);
    assert_string_equal(w.fault, "");
    assert_int_equal(w.vectors, 3);
    show_vector(&w, 1, 32, 4);
    assert_string_equal(w.fault, "SQN 32 of 001010000000001 was used twice");
    watch_free(&w);
}

static void show_sar(struct watch *w, size_t subject, uint32_t type, uint32_t id) {
    char bytes[512], number[4];
    struct buf b = buf_init(bytes, sizeof bytes), n = buf_init(number, sizeof number);
    put_u32(&n, type);
    put_avp(&b, 601, true, w->subjects[subject].card.impus[0]);
    put_avp(&b, 614, true, buf_span(&n));
    show(w, true, 301, id, buf_span(&b));
}

static void show_saa(struct watch *w, uint32_t result, uint32_t id) {
    char bytes[64], number[4];
    struct buf b = buf_init(bytes, sizeof bytes), n = buf_init(number, sizeof number);
    put_u32(&n, result);
    put_avp(&b, 268, false, buf_span(&n));
    show(w, false, 301, id, buf_span(&b));
}

static void promises_are_kept_account_of(void **state) {
    struct watch w;
    (void)state;
    assert_int_equal(watch_init(&w, 2, "example.org"), OK);
    show_sar(&w, 1, 1, 77);
    assert_int_equal(w.subjects[1].promise, WATCH_NOTHING);
    show_saa(&w, 5012, 77);
    assert_int_equal(w.subjects[1].promise, WATCH_NOTHING);
    show_saa(&w, 2001, 77);
    assert_int_equal(w.subjects[1].promise, WATCH_REGISTERED);
    assert_int_equal(w.subjects[0].promise, WATCH_NOTHING);
    show_sar(&w, 1, 5, 78);
    assert_int_equal(w.subjects[1].promise, WATCH_NOTHING);
    watch_free(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_seeds_give_equal_runs),
        cmocka_unit_test(seeds_side_by_side_give_what_they_give_alone),
        cmocka_unit_test(every_fault_happens_and_is_survived),
        cmocka_unit_test(faults_have_names),
        cmocka_unit_test(a_sequence_number_used_twice_is_found),
        cmocka_unit_test(promises_are_kept_account_of),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
