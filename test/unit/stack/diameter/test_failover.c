/* covers: HF9 HF10
 * Two peers for a realm, in a simulation: one dies, is half-open, is behind a partition, or stops
 * as planned; how long that is felt, and whether anything is done twice. */
#include "world.h"

#define TW_US (6 * SEC_IN_US)

struct fixture {
    struct sim *sim;
    struct node hss, hss2, icscf;
    struct timer asking; /* of icscf, once a tenth of a second */
    unsigned asked, unroutable;
    uint64_t served_us; /* when the last answer had come */
    unsigned served;
    uint64_t gap_us; /* the longest time without an answer */
};

static int begin(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    assert_int_equal(sim_new(1, &f->sim), OK);
    node_init(&f->hss, f->sim, "hss", 1);
    node_init(&f->hss2, f->sim, "hss2", 2);
    node_init(&f->icscf, f->sim, "icscf", 3);
    *state = f;
    return 0;
}

static int end(void **state) {
    struct fixture *f = *state;
    if (f->asking.fire) {
        timer_stop(&f->asking);
    }
    node_end(&f->hss);
    node_end(&f->hss2);
    node_end(&f->icscf);
    sim_free(f->sim);
    free(f);
    return 0;
}

static void ask(struct timer *t) {
    struct fixture *f = CONTAINER_OF(t, struct fixture, asking);
    uint64_t now_us = sim_now_us(f->sim);
    if (f->icscf.n_answers > f->served) {
        f->served = f->icscf.n_answers;
        f->served_us = now_us;
    }
    if (now_us - f->served_us > f->gap_us) {
        f->gap_us = now_us - f->served_us;
    }
    f->asked++;
    f->unroutable += node_ask(&f->icscf, "alice") == ERR_UNREACHABLE;
    timer_start(f->icscf.env, t, 100 * MS_IN_US);
}

static void start(struct fixture *f, bool second) {
    node_peer(&f->hss, &f->icscf, false);
    node_peer(&f->icscf, &f->hss, true);
    node_start(&f->hss);
    if (second) {
        node_peer(&f->hss2, &f->icscf, false)->address.family = 0;
        node_peer(&f->icscf, &f->hss2, true)->priority = 1;
        node_start(&f->hss2);
    }
    node_start(&f->icscf);
    run_ms(f->sim, 1000);
    timer_init(&f->asking, ask);
    f->served_us = sim_now_us(f->sim);
    timer_start(f->icscf.env, &f->asking, 0);
    run_ms(f->sim, 10000);
    assert_int_equal(f->icscf.n_failed, 0);
    assert_true(f->hss.n_requests > 95);
    assert_int_equal(f->hss2.n_requests, 0);
    f->gap_us = 0;
}

static void part(struct fixture *f, const char *from, bool down) {
    const struct sim_faults faults = {.down = true};
    assert_int_equal(sim_set_faults_between(f->sim, "icscf", from, down ? &faults : NULL), OK);
}

/* Every request is answered or failed, and none twice. */
static void settle(struct fixture *f) {
    timer_stop(&f->asking);
    run_ms(f->sim, 30000);
    assert_int_equal(f->icscf.n_answers + f->icscf.n_failed + f->unroutable, f->asked);
}

static void a_silent_peer_is_left_within_two_tw(void **state) {
    struct fixture *f = *state;
    f->icscf.config.request_timeout_us = 60 * SEC_IN_US; /* so that only the watchdog helps */
    start(f, true);
    part(f, "hss", true);
    run_ms(f->sim, 30000);
    assert_in_range(f->gap_us, TW_US, 2 * TW_US + 200 * MS_IN_US);
    assert_int_equal(diameter_counters(f->icscf.d)->failovers > 0, true);
    settle(f);
    assert_int_equal(f->icscf.n_failed, 0); /* what had gone there was sent anew */
    assert_true(f->hss2.n_requests > 200);
}

static void a_request_without_answer_shortens_the_wait(void **state) {
    struct fixture *f = *state;
    f->icscf.config.watchdog_us = 30 * SEC_IN_US;
    f->icscf.config.request_timeout_us = 3 * SEC_IN_US;
    start(f, true);
    part(f, "hss", true);
    run_ms(f->sim, 60000);
    assert_true(f->gap_us <= 33 * SEC_IN_US + 200 * MS_IN_US); /* not 60 s */
    settle(f);
}

static void a_half_open_peer_is_left_as_well(void **state) {
    struct fixture *f = *state;
    start(f, true);
    node_crash(&f->hss, SIM_MACHINE_VANISHES);
    run_ms(f->sim, 30000);
    assert_true(f->gap_us <= 2 * TW_US + 200 * MS_IN_US);
    node_start(&f->hss);
    run_ms(f->sim, 60000);
    assert_int_equal(f->hss.n_up, 2); /* the second life has its peer */
    settle(f);
}

static void a_dead_peer_is_left_at_once(void **state) {
    struct fixture *f = *state;
    start(f, true);
    node_crash(&f->hss, SIM_PROCESS_DIES);
    run_ms(f->sim, 5000);
    assert_true(f->gap_us <= 300 * MS_IN_US);
    settle(f);
    assert_int_equal(f->icscf.n_failed, 0);
}

static void after_a_partition_of_60_s_the_first_peer_is_back_within_35_s(void **state) {
    struct fixture *f = *state;
    start(f, true);
    part(f, "hss", true);
    run_ms(f->sim, 60000);
    part(f, "hss", false);
    unsigned before = f->hss.n_requests;
    run_ms(f->sim, 35000);
    assert_true(f->hss.n_requests > before);
    settle(f);
}

static void alone_it_fails_fast_and_is_back_within_35_s(void **state) {
    struct fixture *f = *state;
    start(f, false);
    part(f, "hss", true);
    run_ms(f->sim, 60000);
    assert_true(f->unroutable > 200); /* known to be gone: no request waits in vain */
    part(f, "hss", false);
    unsigned before = f->icscf.n_answers;
    run_ms(f->sim, 35000);
    assert_true(f->icscf.n_answers > before);
    settle(f);
}

static void a_planned_stop_fails_nothing_when_there_is_another(void **state) {
    struct fixture *f = *state;
    start(f, true);
    for (int round = 0; round < 3; round++) {
        diameter_stop(f->hss.d, on_done, &f->hss);
        run_ms(f->sim, 3000);
        assert_int_equal(f->hss.n_done, 1);
        node_end(&f->hss);
        f->hss.n_done = 0;
        run_ms(f->sim, 3000);
        node_start(&f->hss);
        run_ms(f->sim, 40000);
        assert_true(f->hss.n_requests > 100);
    }
    assert_true(f->gap_us <= 300 * MS_IN_US);
    settle(f);
    assert_int_equal(f->icscf.n_failed, 0);
    assert_int_equal(f->unroutable, 0);
    assert_int_equal(f->icscf.n_answers, f->asked);
}

static void a_planned_stop_of_the_only_one_is_orderly(void **state) {
    struct fixture *f = *state;
    start(f, false);
    diameter_stop(f->hss.d, on_done, &f->hss);
    run_ms(f->sim, 3000);
    node_end(&f->hss);
    run_ms(f->sim, 3000);
    assert_true(f->unroutable >= 40); /* at once, not after a timeout */
    node_start(&f->hss);
    run_ms(f->sim, 40000);
    settle(f);
    assert_int_equal(f->icscf.n_failed, 0); /* what had been sent was answered */
}

/* Asks for somebody who is only reached through agents. */
static enum error ask_for_host(struct fixture *f, struct span host) {
    const struct diameter_route route = {.application = CX_APPLICATION,
                                         .command = CX_COMMAND_LOCATION_INFO,
                                         .realm = SPAN("example.org"),
                                         .host = host};
    const struct cx_lir lir = {.public_identity = SPAN("tel:+1")};
    cx_lir_encode(diameter_request_begin(f->icscf.d, &route), &lir);
    return diameter_request_send(f->icscf.d, &answer_handler, &f->icscf, NULL);
}

/* hss and hss2 as agents; behind them is scscf. */
static void start_agents(struct fixture *f, unsigned second_priority) {
    node_peer(&f->hss, &f->icscf, false)->address.family = 0;
    node_peer(&f->hss2, &f->icscf, false)->address.family = 0;
    struct diameter_peer_config *a = node_peer(&f->icscf, &f->hss, true);
    a->agent = true;
    struct diameter_peer_config *b = node_peer(&f->icscf, &f->hss2, true);
    b->agent = true;
    b->priority = second_priority;
    f->icscf.peers[f->icscf.config.n_peers++] =
        (struct diameter_peer_config){.host = SPAN("scscf.example.org")};
    node_start(&f->hss);
    node_start(&f->hss2);
    node_start(&f->icscf);
    run_ms(f->sim, 1000);
}

static void equal_agents_share_and_take_over(void **state) {
    struct fixture *f = *state;
    start_agents(f, 0);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(node_ask(&f->icscf, "alice"), OK);
    }
    run_ms(f->sim, 100);
    assert_int_equal(f->hss.n_requests, 10);
    assert_int_equal(f->hss2.n_requests, 10);
    f->hss.silent = true;
    for (int i = 0; i < 20; i++) {
        assert_int_equal(node_ask(&f->icscf, "alice"), OK);
    }
    run_ms(f->sim, 100);
    assert_int_equal(f->icscf.n_answers, 30);
    node_crash(&f->hss, SIM_PROCESS_DIES);
    run_ms(f->sim, 1000);
    assert_int_equal(f->icscf.n_answers, 40);
    assert_int_equal(f->icscf.n_failed, 0);
    assert_true(f->hss2.last_retransmitted);
    assert_int_equal(diameter_counters(f->icscf.d)->resent, 10);
    f->hss.silent = false;
    f->hss.n_requests = 0;
    node_start(&f->hss);
    run_ms(f->sim, 40000);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(node_ask(&f->icscf, "alice"), OK);
    }
    run_ms(f->sim, 100);
    assert_int_equal(f->hss.n_requests, 10); /* both are used again */
    assert_int_equal(f->icscf.n_answers, 60);
}

static void an_agent_of_lower_preference_waits(void **state) {
    struct fixture *f = *state;
    start_agents(f, 1);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(node_ask(&f->icscf, "alice"), OK);
    }
    run_ms(f->sim, 100);
    assert_int_equal(f->hss.n_requests, 10);
    assert_int_equal(f->hss2.n_requests, 0);
    node_crash(&f->hss, SIM_PROCESS_DIES);
    run_ms(f->sim, 100);
    assert_int_equal(node_ask(&f->icscf, "alice"), OK);
    run_ms(f->sim, 100);
    assert_int_equal(f->hss2.n_requests, 1);
    assert_int_equal(f->icscf.n_answers, 11);
}

/* The agents here know no way to it: each is asked once. */
static void a_host_behind_agents_is_asked_through_them(void **state) {
    struct fixture *f = *state;
    start_agents(f, 0);
    assert_int_equal(ask_for_host(f, SPAN("scscf.example.org")), OK);
    run_ms(f->sim, 100);
    assert_int_equal(diameter_counters(f->hss.d)->requests_received, 1);
    assert_int_equal(diameter_counters(f->hss2.d)->requests_received, 1);
    assert_int_equal(f->icscf.n_answers, 1);
    assert_int_equal(f->icscf.last_result.code, DIAMETER_UNABLE_TO_DELIVER);
}

static void what_was_done_is_not_done_again(void **state) {
    struct fixture *f = *state;
    start(f, true);
    timer_stop(&f->asking);
    run_ms(f->sim, 1000);
    /* The answer does not get back, and the request comes again by a new connection. */
    static struct rogue r;
    rogue_connect(&r, f->sim, &f->hss2, SPAN("icscf.example.org"));
    unsigned before = f->hss2.n_requests;
    node_end(&f->icscf);
    run_ms(f->sim, 100);
    for (unsigned times = 0; times < 3; times++) {
        rogue_cer(&r, CX_APPLICATION);
        run_ms(f->sim, 100);
        rogue_uar(&r, 4711);
        r.buf.p[4] |= times ? (char)DIAMETER_RETRANSMITTED : 0;
        rogue_send(&r);
        run_ms(f->sim, 100);
        assert_int_equal(r.last.command, CX_COMMAND_USER_AUTHORIZATION);
        assert_int_equal(r.last.result.code, DIAMETER_FIRST_REGISTRATION);
        rogue_end(&r);
        run_ms(f->sim, 100);
        rogue_connect(&r, f->sim, &f->hss2, SPAN("icscf.example.org"));
    }
    rogue_end(&r);
    assert_int_equal(f->hss2.n_requests, before + 1);
    assert_int_equal(diameter_counters(f->hss2.d)->duplicates, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_silent_peer_is_left_within_two_tw),
        TEST(a_request_without_answer_shortens_the_wait),
        TEST(a_half_open_peer_is_left_as_well),
        TEST(a_dead_peer_is_left_at_once),
        TEST(after_a_partition_of_60_s_the_first_peer_is_back_within_35_s),
        TEST(alone_it_fails_fast_and_is_back_within_35_s),
        TEST(a_planned_stop_fails_nothing_when_there_is_another),
        TEST(a_planned_stop_of_the_only_one_is_orderly),
        TEST(equal_agents_share_and_take_over),
        TEST(an_agent_of_lower_preference_waits),
        TEST(a_host_behind_agents_is_asked_through_them),
        TEST(what_was_done_is_not_done_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
