/* Whom a stack lets in under overload: a queue in front of a server, in virtual time. */
#include "stack/sip/admission.h"

#include "base/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

enum { CAPACITY = 1000, TURN_US = 10000, FIFO = 1 << 16, TARGET_US = 50000, ANSWER_TURNS = 3 };

/* A node that serves CAPACITY requests a second, and sheds ten times, drops fifty times as fast. */
struct bed {
    struct sip_admission a;
    struct {
        uint64_t at_us;
        enum sip_class class;
    } queue[FIFO];
    unsigned head, tail;
    uint64_t now_us, longest_us;
    double credit;
    unsigned in[SIP_CLASSES], out[SIP_CLASSES], offered[SIP_CLASSES];
    double due[SIP_CLASSES];
    bool challenges;               /* who is let in first comes again, with the answer */
    unsigned coming[ANSWER_TURNS]; /* answers, by turns from now */
};

static void arrive(struct bed *b, enum sip_class class) {
    b->queue[b->tail % FIFO].at_us = b->now_us;
    b->queue[b->tail++ % FIFO].class = class;
    b->offered[class]++;
}

static void turn(struct bed *b, const double rates[SIP_CLASSES]) {
    b->now_us += TURN_US;
    for (int c = 0; c < SIP_CLASSES; c++) {
        for (b->due[c] += rates[c] * TURN_US / 1e6; b->due[c] >= 1; b->due[c] -= 1) {
            arrive(b, (enum sip_class)c);
        }
    }
    for (; b->coming[0]; b->coming[0]--) {
        arrive(b, SIP_CLASS_CONTINUES);
    }
    memmove(b->coming, b->coming + 1, sizeof b->coming - sizeof b->coming[0]);
    b->coming[ANSWER_TURNS - 1] = 0;
    b->credit += (double)CAPACITY * TURN_US / 1e6;
    while (b->credit > 0 && b->head != b->tail) {
        uint64_t waited_us = b->now_us - b->queue[b->head % FIFO].at_us;
        enum sip_class class = b->queue[b->head++ % FIFO].class;
        sip_admission_waited(&b->a, b->now_us, waited_us);
        enum sip_fate fate = sip_admission_take(&b->a, b->now_us, class);
        bool in = fate == SIP_FATE_TAKE;
        *(in ? &b->in[class] : &b->out[class]) += 1;
        b->coming[ANSWER_TURNS - 1] += b->challenges && in && class == SIP_CLASS_INITIAL;
        b->credit -= in ? 1 : fate == SIP_FATE_REFUSE ? 0.1 : 0.02;
        b->longest_us = in && waited_us > b->longest_us ? waited_us : b->longest_us;
    }
    b->credit = b->head == b->tail && b->credit > 0 ? 0 : b->credit;
}

static void run(struct bed *b, const double rates[SIP_CLASSES], unsigned seconds) {
    memset(b->in, 0, sizeof b->in);
    memset(b->out, 0, sizeof b->out);
    memset(b->offered, 0, sizeof b->offered);
    b->longest_us = 0;
    for (unsigned i = 0; i < seconds * 1000000 / TURN_US; i++) {
        turn(b, rates);
    }
}

static void open_bed(struct bed *b) {
    memset(b, 0, sizeof *b);
    b->now_us = 1000000;
    b->a.policy = (struct sip_admission_policy){.target_us = TARGET_US};
}

static struct bed bed;

static void what_can_be_served_is_let_in(void **state) {
    (void)state;
    const double rates[SIP_CLASSES] = {450, 450, 0, 0};
    open_bed(&bed);
    run(&bed, rates, 30);
    assert_int_equal(bed.out[SIP_CLASS_INITIAL] + bed.out[SIP_CLASS_CONTINUES], 0);
    assert_false(bed.a.limiting);
}

static void twice_as_much_costs_a_tenth_and_little_time(void **state) {
    (void)state;
    const double twice[SIP_CLASSES] = {2000, 0, 0, 0}, less[SIP_CLASSES] = {500, 0, 0, 0};
    open_bed(&bed);
    run(&bed, twice, 5);
    run(&bed, twice, 30);
    print_message("let in: %u of %u, longest wait %u ms\n", bed.in[SIP_CLASS_INITIAL],
                  CAPACITY * 30, (unsigned)(bed.longest_us / 1000));
    assert_true(bed.in[SIP_CLASS_INITIAL] >= 0.88 * CAPACITY * 30); /* 10/9 shed at a tenth */
    assert_true(bed.longest_us <= TARGET_US);
    run(&bed, less, 5);
    run(&bed, less, 10);
    assert_int_equal(bed.out[SIP_CLASS_INITIAL], 0);
    assert_false(bed.a.limiting);
}

/* Registrations of two requests: 500 a second can be served, 1,000 are begun. */
static void what_has_begun_is_finished(void **state) {
    (void)state;
    const double twice[SIP_CLASSES] = {1000, 0, 0, 0};
    open_bed(&bed);
    bed.challenges = true;
    run(&bed, twice, 5);
    run(&bed, twice, 30);
    print_message("finished: %u of %u, lost half-way: %u\n", bed.in[SIP_CLASS_CONTINUES],
                  CAPACITY / 2 * 30, bed.out[SIP_CLASS_CONTINUES]);
    assert_true(bed.in[SIP_CLASS_CONTINUES] >= 0.9 * CAPACITY / 2 * 30);
    assert_true(bed.out[SIP_CLASS_CONTINUES] <= 0.01 * bed.in[SIP_CLASS_CONTINUES]);
}

/* A stall of the machine, after which all is served, is no overload. */
static void a_peak_is_let_in(void **state) {
    (void)state;
    const double rates[SIP_CLASSES] = {500, 0, 0, 0};
    open_bed(&bed);
    run(&bed, rates, 5);
    for (unsigned i = 0; i < 80; i++) {
        arrive(&bed, SIP_CLASS_INITIAL);
    }
    run(&bed, rates, 5);
    assert_int_equal(bed.out[SIP_CLASS_INITIAL], 0);
}

static void initial_requests_are_shed_first_and_emergencies_last(void **state) {
    (void)state;
    const double rates[SIP_CLASSES] = {3000, 200, 300, 5};
    open_bed(&bed);
    run(&bed, rates, 5);
    run(&bed, rates, 30);
    print_message("shed: %u of %u continuing, %u of %u known\n", bed.out[SIP_CLASS_CONTINUES],
                  bed.offered[SIP_CLASS_CONTINUES], bed.out[SIP_CLASS_KNOWN],
                  bed.offered[SIP_CLASS_KNOWN]);
    assert_int_equal(bed.out[SIP_CLASS_EMERGENCY], 0);
    assert_true(bed.in[SIP_CLASS_KNOWN] >= 0.99 * bed.offered[SIP_CLASS_KNOWN]);
    assert_true(bed.in[SIP_CLASS_CONTINUES] >= 0.99 * bed.offered[SIP_CLASS_CONTINUES]);
    assert_true(bed.out[SIP_CLASS_INITIAL] > 0);
}

/* Refusing them all would take 1.5 times what there is. */
static void a_flood_takes_nothing_from_who_is_known(void **state) {
    (void)state;
    const double rates[SIP_CLASSES] = {15000, 100, 300, 0};
    open_bed(&bed);
    run(&bed, rates, 2);
    run(&bed, rates, 3);
    print_message("in the flood: %u of %u continuing shed, %u of %u known, %u initial let in\n",
                  bed.out[SIP_CLASS_CONTINUES], bed.offered[SIP_CLASS_CONTINUES],
                  bed.out[SIP_CLASS_KNOWN], bed.offered[SIP_CLASS_KNOWN],
                  bed.in[SIP_CLASS_INITIAL]);
    assert_int_equal(bed.out[SIP_CLASS_KNOWN], 0);
    assert_true(bed.in[SIP_CLASS_CONTINUES] >= 0.99 * bed.offered[SIP_CLASS_CONTINUES]);
}

static void claimed_emergencies_cannot_take_everything(void **state) {
    (void)state;
    const double rates[SIP_CLASSES] = {0, 0, 0, 4000};
    open_bed(&bed);
    run(&bed, rates, 5);
    run(&bed, rates, 30);
    assert_true(bed.out[SIP_CLASS_EMERGENCY] > 0);
    assert_true(bed.longest_us <= 16 * TARGET_US);
}

static void without_a_target_all_are_let_in(void **state) {
    (void)state;
    struct sip_admission a = {0};
    for (uint64_t i = 1; i < 100; i++) {
        sip_admission_waited(&a, i * 100000, 5000000);
        assert_int_equal(sip_admission_take(&a, i * 100000, SIP_CLASS_INITIAL), SIP_FATE_TAKE);
    }
}

#define REGISTER(more)                                                                             \
    "REGISTER sip:h SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1\r\n"                      \
    "From: <sip:a@h>;tag=f\r\nTo: <sip:a@h>\r\nCall-ID: c\r\nMax-Forwards: 70\r\n"                 \
    "CSeq: 1 REGISTER\r\n" more "Content-Length: 0\r\n\r\n"
#define INVITE(uri, tag)                                                                           \
    "INVITE " uri " SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1\r\n"                      \
    "From: <sip:a@h>;tag=f\r\nTo: <sip:b@h>" tag "\r\nCall-ID: c\r\nMax-Forwards: 70\r\n"          \
    "CSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"

static void requests_have_their_class(void **state) {
    (void)state;
    static const struct {
        const char *text;
        enum sip_class class;
    } rows[] = {
        {REGISTER(""), SIP_CLASS_INITIAL},
        {REGISTER("Authorization: Digest username=\"a\", nonce=\"\", uri=\"sip:h\", response=\"\""
                  "\r\n"),
         SIP_CLASS_INITIAL},
        {REGISTER("Authorization: Digest username=\"a\", nonce=\"x\", uri=\"sip:h\", "
                  "response=\"0\"\r\n"),
         SIP_CLASS_CONTINUES},
        {REGISTER("Contact: <sip:a@10.0.0.1>\r\n"), SIP_CLASS_INITIAL},
        {REGISTER("Contact: <sip:a@10.0.0.1;sos>\r\n"), SIP_CLASS_EMERGENCY},
        {REGISTER("Resource-Priority: esnet.0\r\n"), SIP_CLASS_EMERGENCY},
        {REGISTER("Priority: emergency\r\n"), SIP_CLASS_EMERGENCY},
        {REGISTER("Priority: urgent\r\n"), SIP_CLASS_INITIAL},
        {INVITE("urn:service:sos.fire", ""), SIP_CLASS_EMERGENCY},
        {INVITE("sip:b@h", ";tag=t"), SIP_CLASS_KNOWN},
        {INVITE("sip:b@h", ""), SIP_CLASS_INITIAL},
    };
    struct chunk_pool pool;
    chunk_pool_init(&pool, 4096, 4);
    const struct sip_limits limits = sip_limits_default();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct arena arena = arena_init(&pool);
        struct sip_msg *req;
        struct sip_fault fault;
        char bytes[1024];
        size_t n = strlen(rows[i].text);
        memcpy(bytes, rows[i].text, n);
        assert_int_equal(sip_parse(&arena, bytes, n, &limits, &req, &fault), OK);
        assert_int_equal(sip_class_of(req), rows[i].class);
        arena_release(&arena);
    }
    chunk_pool_free(&pool);
}

static void what_looks_initial_is(void **state) {
    (void)state;
    static const struct {
        const char *text;
        bool initial;
    } rows[] = {
        {REGISTER(""), true},
        {REGISTER("Authorization: Digest username=\"a\", nonce=\"\", response=\"\"\r\n"), true},
        {REGISTER("Authorization: Digest username=\"a\", nonce=\"x\", response=\"0\"\r\n"), false},
        {REGISTER("Authorization: Digest nonce = \"x\", response=\"0\"\r\n"), false},
        {REGISTER("Contact: <sip:a@10.0.0.1;sos>\r\n"), false},
        {REGISTER("Resource-Priority: esnet.0\r\n"), false},
        {REGISTER("Priority: emergency\r\n"), false},
        {INVITE("sip:b@h", ""), false},
        {"SIP/2.0 200 OK\r\n\r\n", false},
        {"", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(sip_looks_initial(span_from_cstr(rows[i].text)), rows[i].initial);
    }
}

static void retry_after_is_spread_over_its_bounds(void **state) {
    (void)state;
    const struct sip_admission_policy policy = {.retry_min_s = 10, .retry_max_s = 20};
    unsigned seen = 0;
    for (uint64_t lot = 0; lot < 100; lot++) {
        uint32_t s = sip_retry_after(&policy, lot * 7919);
        assert_in_range(s, 10, 20);
        seen |= 1U << (s - 10);
    }
    assert_int_equal(seen, (1U << 11) - 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_can_be_served_is_let_in),
        cmocka_unit_test(twice_as_much_costs_a_tenth_and_little_time),
        cmocka_unit_test(what_has_begun_is_finished),
        cmocka_unit_test(a_peak_is_let_in),
        cmocka_unit_test(initial_requests_are_shed_first_and_emergencies_last),
        cmocka_unit_test(a_flood_takes_nothing_from_who_is_known),
        cmocka_unit_test(what_looks_initial_is),
        cmocka_unit_test(claimed_emergencies_cannot_take_everything),
        cmocka_unit_test(without_a_target_all_are_let_in),
        cmocka_unit_test(requests_have_their_class),
        cmocka_unit_test(retry_after_is_spread_over_its_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
