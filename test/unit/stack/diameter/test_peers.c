/* covers: HF9 HA8
 * Peers in a simulation: connecting, electing, watching, failing over, stopping. */
#include "world.h"

struct fixture {
    struct sim *sim;
    struct node hss, hss2, third, icscf;
};

static int begin(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    assert_int_equal(sim_new(1, &f->sim), OK);
    node_init(&f->hss, f->sim, "hss", 1);
    node_init(&f->hss2, f->sim, "hss2", 2);
    node_init(&f->third, f->sim, "scscf", 4);
    node_init(&f->icscf, f->sim, "icscf", 3);
    *state = f;
    return 0;
}

static int end(void **state) {
    struct fixture *f = *state;
    node_end(&f->hss);
    node_end(&f->hss2);
    node_end(&f->third);
    node_end(&f->icscf);
    sim_free(f->sim);
    free(f);
    return 0;
}

/* An I-CSCF that connects to one HSS. */
static void start_pair(struct fixture *f) {
    node_peer(&f->hss, &f->icscf, false);
    node_peer(&f->icscf, &f->hss, true);
    node_start(&f->hss);
    node_start(&f->icscf);
    run_ms(f->sim, 100);
}

/* An I-CSCF that connects to two. */
static void start_three(struct fixture *f) {
    node_peer(&f->hss, &f->icscf, false);
    node_peer(&f->hss2, &f->icscf, false);
    node_peer(&f->icscf, &f->hss, true);
    node_peer(&f->icscf, &f->hss2, true)->priority = 1;
    node_start(&f->hss);
    node_start(&f->hss2);
    node_start(&f->icscf);
    run_ms(f->sim, 100);
}

static void a_request_is_answered(void **state) {
    struct fixture *f = *state;
    start_pair(f);
    assert_string_equal(node_status(&f->icscf).state, "I-Open");
    assert_string_equal(node_status(&f->hss).state, "R-Open");
    assert_true(diameter_is_routable(f->icscf.d, CX_APPLICATION, SPAN("Example.org")));
    assert_false(diameter_is_routable(f->icscf.d, CX_APPLICATION, SPAN("example.com")));
    assert_false(diameter_is_routable(f->icscf.d, 4, SPAN("example.org")));
    assert_int_equal(node_ask(&f->icscf, "alice"), OK);
    assert_int_equal(f->icscf.n_answers, 0);
    run_ms(f->sim, 10);
    assert_int_equal(f->icscf.n_answers, 1);
    assert_int_equal(f->icscf.last_result.vendor, DIAMETER_VENDOR_3GPP);
    assert_int_equal(f->icscf.last_result.code, DIAMETER_FIRST_REGISTRATION);
    assert_string_equal(f->hss.last_user, "alice");
    assert_int_equal(f->icscf.n_up, 1);
    assert_int_equal(f->icscf.n_down, 0);
    assert_int_equal(diameter_counters(f->hss.d)->answers_sent, 1);
}

static void nodes_of_one_process_reach_each_other(void **state) {
    struct fixture *f = *state;
    node_peer(&f->hss, &f->icscf, false);
    node_peer(&f->icscf, &f->hss, true);
    for (struct node *n = &f->hss; n; n = n == &f->hss ? &f->icscf : NULL) {
        assert_int_equal(sim_env_new(f->sim, n->name, &n->env), OK);
        assert_int_equal(sim_env_process(n->env, "all"), OK);
        n->config.listen = &n->listen;
        assert_int_equal(diameter_new(n->env, &n->config, &node_handler, n, &n->d), OK);
    }
    run_ms(f->sim, 10);
    assert_int_equal(node_ask(&f->icscf, "alice"), OK);
    run_ms(f->sim, 10);
    assert_int_equal(f->icscf.n_answers, 1);
}

static void when_both_connect_one_connection_remains(void **state) {
    struct fixture *f = *state;
    for (uint64_t delay_us = 0; delay_us < 1500; delay_us += 50) {
        struct sim_faults faults = {.delay_us = delay_us};
        node_init(&f->hss, f->sim, "hss", 1);
        node_init(&f->icscf, f->sim, "icscf", 3);
        assert_int_equal(sim_set_faults(f->sim, "icscf", "hss", &faults), OK);
        node_peer(&f->hss, &f->icscf, true);
        node_peer(&f->icscf, &f->hss, true);
        node_start(&f->hss);
        node_start(&f->icscf);
        run_ms(f->sim, 3000);
        struct diameter_peer_status a = node_status(&f->hss), b = node_status(&f->icscf);
        assert_true((strcmp(a.state, "I-Open") == 0 && strcmp(b.state, "R-Open") == 0) ||
                    (strcmp(a.state, "R-Open") == 0 && strcmp(b.state, "I-Open") == 0));
        assert_int_equal(node_ask(&f->icscf, "alice"), OK);
        assert_int_equal(node_ask(&f->hss, "bob"), OK);
        run_ms(f->sim, 10);
        assert_int_equal(f->icscf.n_answers, 1);
        assert_int_equal(f->hss.n_answers, 1);
        node_end(&f->hss);
        node_end(&f->icscf);
    }
}

/* 5.6.4: the higher name keeps the connection that it accepted. */
static void the_higher_name_wins_the_election(void **state) {
    struct fixture *f = *state;
    node_peer(&f->hss, &f->icscf, true);
    node_peer(&f->icscf, &f->hss, true);
    node_start(&f->hss);
    node_start(&f->icscf);
    run_ms(f->sim, 100);
    assert_string_equal(node_status(&f->icscf).state, "R-Open");
    assert_string_equal(node_status(&f->hss).state, "I-Open");
    assert_int_equal(sim_counters(f->sim)->streams_connected, 2);
    assert_int_equal(diameter_counters(f->hss.d)->connects, 1);
    assert_int_equal(diameter_counters(f->icscf.d)->connects, 1);
}

static void a_peer_that_is_silent_is_lost_and_found(void **state) {
    struct fixture *f = *state;
    start_pair(f);
    struct sim_faults down = {.down = true}, up = {.delay_us = 100};
    run_ms(f->sim, 60000);
    assert_string_equal(node_status(&f->icscf).watchdog, "OKAY");
    assert_int_equal(diameter_counters(f->icscf.d)->connects, 1);
    assert_int_equal(sim_set_faults_between(f->sim, "hss", "icscf", &down), OK);
    run_ms(f->sim, 13500);
    assert_string_equal(node_status(&f->icscf).watchdog, "SUSPECT");
    run_ms(f->sim, 7000);
    assert_string_not_equal(node_status(&f->icscf).state, "I-Open");
    assert_int_equal(diameter_counters(f->icscf.d)->watchdog_losses, 1);
    assert_int_equal(diameter_counters(f->hss.d)->watchdog_losses, 1);
    assert_int_equal(node_ask(&f->icscf, "alice"), ERR_UNREACHABLE);
    run_ms(f->sim, 40000);
    assert_int_equal(sim_set_faults_between(f->sim, "hss", "icscf", &up), OK);
    run_ms(f->sim, 60000);
    assert_string_equal(node_status(&f->icscf).state, "I-Open");
    assert_string_equal(node_status(&f->icscf).watchdog, "OKAY");
    assert_int_equal(node_ask(&f->icscf, "alice"), OK);
    run_ms(f->sim, 10);
    assert_int_equal(f->icscf.n_answers, 1);
}

static void after_a_partition_service_is_back_within_35_s(void **state) {
    struct fixture *f = *state;
    start_pair(f);
    struct sim_faults down = {.down = true}, up = {.delay_us = 100};
    assert_int_equal(sim_set_faults_between(f->sim, "hss", "icscf", &down), OK);
    run_ms(f->sim, 60000);
    assert_int_equal(sim_set_faults_between(f->sim, "hss", "icscf", &up), OK);
    uint64_t start = sim_now_us(f->sim);
    while (node_ask(&f->icscf, "alice") != OK && sim_now_us(f->sim) < start + 50 * SEC_IN_US) {
        run_ms(f->sim, 100);
    }
    assert_true(sim_now_us(f->sim) - start <= 35 * SEC_IN_US);
    run_ms(f->sim, 10);
    assert_int_equal(f->icscf.n_answers, 1);
}

static void pending_requests_move_to_another_peer_once(void **state) {
    struct fixture *f = *state;
    start_three(f);
    f->hss.silent = true;
    f->icscf.config.request_timeout_us = 0;
    struct sim_faults down = {.down = true};
    run_ms(f->sim, 20000);
    assert_int_equal(sim_set_faults_between(f->sim, "hss", "icscf", &down), OK);
    const struct diameter_route route = {.application = CX_APPLICATION,
                                         .command = CX_COMMAND_USER_AUTHORIZATION,
                                         .realm = SPAN("example.org"),
                                         .timeout_us = 60 * SEC_IN_US};
    const struct cx_uar uar = {.user_name = SPAN("alice"),
                               .public_identity = SPAN("sip:alice@example.org"),
                               .visited_network_identifier = SPAN("example.org")};
    cx_uar_encode(diameter_request_begin(f->icscf.d, &route), &uar);
    struct diameter_pending *pending;
    assert_int_equal(diameter_request_send(f->icscf.d, &answer_handler, &f->icscf, &pending), OK);
    struct span session = diameter_pending_session_id(pending);
    assert_true(span_starts_with(session, SPAN("icscf.example.org;")));
    run_ms(f->sim, 13000);
    assert_int_equal(f->icscf.n_answers, 1);
    assert_string_equal(f->icscf.last_answer_host, "hss2.example.org");
    assert_true(f->hss2.last_retransmitted);
    assert_int_equal(diameter_counters(f->icscf.d)->resent, 1);
    run_ms(f->sim, 60000);
    assert_int_equal(f->icscf.n_answers, 1);
    assert_int_equal(f->icscf.n_failed, 0);
}

static void a_broken_connection_moves_requests_at_once(void **state) {
    struct fixture *f = *state;
    start_three(f);
    f->hss.silent = true;
    assert_int_equal(node_ask(&f->icscf, "alice"), OK);
    run_ms(f->sim, 10);
    assert_int_equal(f->hss.n_requests, 1);
    node_crash(&f->hss, SIM_PROCESS_DIES);
    run_ms(f->sim, 100);
    assert_int_equal(f->icscf.n_answers, 1);
    assert_int_equal(f->hss2.n_requests, 1);
    /* Both gone: the request fails. */
    f->hss2.silent = true;
    assert_int_equal(node_ask(&f->icscf, "alice"), OK);
    run_ms(f->sim, 10);
    node_crash(&f->hss2, SIM_PROCESS_DIES);
    run_ms(f->sim, 100);
    assert_int_equal(f->icscf.n_failed, 1);
    assert_int_equal(f->icscf.last_error, ERR_UNREACHABLE);
    /* Both back: connected again without help. */
    f->hss.silent = f->hss2.silent = false;
    node_start(&f->hss);
    node_start(&f->hss2);
    run_ms(f->sim, 5000);
    assert_int_equal(node_ask(&f->icscf, "alice"), OK);
    run_ms(f->sim, 10);
    assert_int_equal(f->icscf.n_answers, 2);
}

static void a_request_is_moved_once_only(void **state) {
    struct fixture *f = *state;
    struct node *third = &f->third;
    node_peer(third, &f->icscf, false);
    node_peer(&f->icscf, third, true)->priority = 2;
    node_start(third);
    f->hss.silent = f->hss2.silent = true;
    start_three(f);
    assert_int_equal(node_ask(&f->icscf, "alice"), OK);
    run_ms(f->sim, 10);
    node_crash(&f->hss, SIM_PROCESS_DIES);
    run_ms(f->sim, 10);
    assert_int_equal(f->hss2.n_requests, 1);
    node_crash(&f->hss2, SIM_PROCESS_DIES);
    run_ms(f->sim, 10);
    assert_int_equal(third->n_requests, 0);
    assert_int_equal(f->icscf.n_failed, 1);
    assert_int_equal(node_ask(&f->icscf, "alice"), OK);
    run_ms(f->sim, 10);
    assert_int_equal(third->n_requests, 1);
    assert_int_equal(f->icscf.n_answers, 1);
}

static void a_restarted_peer_gets_in_though_its_old_connection_lingers(void **state) {
    struct fixture *f = *state;
    start_pair(f);
    run_ms(f->sim, 2000);
    node_crash(&f->icscf, SIM_MACHINE_VANISHES);
    run_ms(f->sim, 50);
    assert_string_equal(node_status(&f->hss).state, "R-Open");
    node_start(&f->icscf);
    run_ms(f->sim, 100);
    assert_string_equal(node_status(&f->icscf).state, "I-Open");
    assert_int_equal(node_ask(&f->icscf, "alice"), OK);
    run_ms(f->sim, 10);
    assert_int_equal(f->icscf.n_answers, 1);
}

static void stopping_says_goodbye(void **state) {
    struct fixture *f = *state;
    start_pair(f);
    f->hss.silent = true;
    assert_int_equal(node_ask(&f->icscf, "alice"), OK);
    run_ms(f->sim, 10);
    f->hss.n_kept = 0;
    diameter_stop(f->icscf.d, on_done, &f->icscf);
    assert_int_equal(f->icscf.n_done, 0);
    assert_int_equal(f->icscf.n_failed, 0);
    assert_int_equal(node_ask(&f->icscf, "bob"), ERR_CLOSED);
    run_ms(f->sim, 100);
    assert_int_equal(f->icscf.n_done, 1);
    assert_int_equal(f->icscf.n_failed, 1);
    assert_int_equal(f->icscf.last_error, ERR_CLOSED);
    assert_string_equal(node_status(&f->hss).state, "Closed");
    assert_int_equal(f->hss.n_down, 1);
    node_end(&f->icscf);
    /* And the other way: who is left connects again when the HSS is back. */
    f->hss.silent = false;
    f->icscf.n_done = 0;
    node_start(&f->icscf);
    run_ms(f->sim, 100);
    diameter_stop(f->hss.d, on_done, &f->hss);
    run_ms(f->sim, 100);
    assert_int_equal(f->hss.n_done, 1);
    node_end(&f->hss);
    run_ms(f->sim, 20000);
    node_start(&f->hss);
    run_ms(f->sim, 40000);
    assert_string_equal(node_status(&f->icscf).state, "I-Open");
}

static void stopping_does_not_wait_for_the_dead(void **state) {
    struct fixture *f = *state;
    start_pair(f);
    struct sim_faults down = {.down = true};
    assert_int_equal(sim_set_faults_between(f->sim, "hss", "icscf", &down), OK);
    diameter_stop(f->icscf.d, on_done, &f->icscf);
    run_ms(f->sim, 1900);
    assert_int_equal(f->icscf.n_done, 0);
    run_ms(f->sim, 200);
    assert_int_equal(f->icscf.n_done, 1);
}

static void a_request_without_answer_times_out(void **state) {
    struct fixture *f = *state;
    start_pair(f);
    f->hss.silent = true;
    assert_int_equal(node_ask(&f->icscf, "alice"), OK);
    run_ms(f->sim, 7900);
    assert_int_equal(f->icscf.n_failed, 0);
    run_ms(f->sim, 200);
    assert_int_equal(f->icscf.n_failed, 1);
    assert_int_equal(f->icscf.last_error, ERR_TIMEOUT);
    node_answer(&f->hss, f->hss.kept[0]);
    run_ms(f->sim, 100);
    assert_int_equal(f->icscf.n_answers, 0);
    assert_int_equal(diameter_counters(f->icscf.d)->stray_answers, 1);
}

static void a_cancelled_request_is_not_heard_of(void **state) {
    struct fixture *f = *state;
    start_pair(f);
    const struct diameter_route route = {.application = CX_APPLICATION,
                                         .command = CX_COMMAND_LOCATION_INFO,
                                         .realm = SPAN("example.org")};
    const struct cx_lir lir = {.public_identity = SPAN("tel:+441632960100")};
    cx_lir_encode(diameter_request_begin(f->icscf.d, &route), &lir);
    struct diameter_pending *pending;
    assert_int_equal(diameter_request_send(f->icscf.d, &answer_handler, &f->icscf, &pending), OK);
    diameter_cancel(pending);
    run_ms(f->sim, 10000);
    assert_int_equal(f->hss.n_requests, 1);
    assert_int_equal(f->icscf.n_answers + f->icscf.n_failed, 0);
}

static void a_request_that_is_freed_gets_5012(void **state) {
    struct fixture *f = *state;
    start_pair(f);
    f->hss.careless = true;
    assert_int_equal(node_ask(&f->icscf, "alice"), OK);
    run_ms(f->sim, 10);
    assert_int_equal(f->icscf.last_result.vendor, 0);
    assert_int_equal(f->icscf.last_result.code, DIAMETER_UNABLE_TO_COMPLY);
}

static void equal_peers_take_turns(void **state) {
    struct fixture *f = *state;
    node_peer(&f->hss, &f->icscf, false);
    node_peer(&f->hss2, &f->icscf, false);
    node_peer(&f->icscf, &f->hss, true);
    node_peer(&f->icscf, &f->hss2, true);
    node_start(&f->hss);
    node_start(&f->hss2);
    node_start(&f->icscf);
    run_ms(f->sim, 100);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(node_ask(&f->icscf, "alice"), OK);
    }
    run_ms(f->sim, 10);
    assert_int_equal(f->hss.n_requests, 5);
    assert_int_equal(f->hss2.n_requests, 5);
    assert_int_equal(f->icscf.n_answers, 10);
    /* A name that is given is obeyed. */
    const struct diameter_route route = {.application = CX_APPLICATION,
                                         .command = CX_COMMAND_LOCATION_INFO,
                                         .realm = SPAN("example.org"),
                                         .host = SPAN("hss2.example.org")};
    const struct cx_lir lir = {.public_identity = SPAN("tel:+441632960100")};
    for (int i = 0; i < 3; i++) {
        cx_lir_encode(diameter_request_begin(f->icscf.d, &route), &lir);
        assert_int_equal(diameter_request_send(f->icscf.d, &answer_handler, &f->icscf, NULL), OK);
    }
    run_ms(f->sim, 10);
    assert_int_equal(f->hss2.n_requests, 8);
    assert_int_equal(f->icscf.last_result.code, DIAMETER_ERROR_USER_UNKNOWN);
}

static void too_much_is_refused_on_both_sides(void **state) {
    struct fixture *f = *state;
    f->icscf.config.pending_max = 5;
    f->hss.config.incoming_max = 3;
    start_pair(f);
    f->hss.silent = true;
    for (int i = 0; i < 5; i++) {
        assert_int_equal(node_ask(&f->icscf, "alice"), OK);
    }
    assert_int_equal(node_ask(&f->icscf, "alice"), ERR_BUSY);
    run_ms(f->sim, 10);
    assert_int_equal(f->hss.n_requests, 3);
    assert_int_equal(f->icscf.n_answers, 2);
    assert_int_equal(f->icscf.last_result.code, DIAMETER_TOO_BUSY);
    f->hss.n_kept = 0; /* diameter_free frees them */
}

/* More at once than a connection holds: what is too much is refused, and the link stands. */
static void a_burst_does_not_cost_the_connection(void **state) {
    struct fixture *f = *state;
    f->icscf.config.pending_max = 100000;
    f->hss.config.incoming_max = 100000;
    start_pair(f);
    unsigned sent = 0;
    enum error e = OK;
    while (e == OK && sent < 100000) {
        e = node_ask(&f->icscf, "alice");
        sent += e == OK;
    }
    assert_int_equal(e, ERR_BUSY);
    run_ms(f->sim, 1000);
    assert_int_equal(f->icscf.n_answers, sent);
    assert_int_equal(f->icscf.n_failed, 0);
    assert_int_equal(node_ask(&f->icscf, "alice"), OK);
    run_ms(f->sim, 100);
    assert_int_equal(f->icscf.n_answers, sent + 1);
}

static const struct stream_handler nobody = {rogue_connected, rogue_received, rogue_closed};

/* Who connects and says nothing gives way, the oldest first, and keeps nobody out; who has said who
 * he is stays. */
static void a_crowd_that_says_nothing_gives_way(void **state) {
    enum { CROWD = 300, HELD = 256 };
    struct fixture *f = *state;
    struct rogue *crowd = calloc(CROWD, sizeof *crowd);
    struct env *env;
    assert_non_null(crowd);
    start_pair(f);
    assert_int_equal(sim_env_new(f->sim, "rogue", &env), OK);
    for (int i = 0; i < CROWD; i++) {
        assert_int_equal(
            env_stream_connect(env, &f->hss.listen, &nobody, &crowd[i], &crowd[i].stream), OK);
        run_ms(f->sim, 1);
    }
    run_ms(f->sim, 50);
    for (int i = 0; i < CROWD; i++) {
        assert_int_equal(crowd[i].closed, i < CROWD - HELD);
    }
    assert_int_equal(diameter_counters(f->hss.d)->crowded, CROWD - HELD);
    assert_int_equal(node_ask(&f->icscf, "alice"), OK);
    run_ms(f->sim, 50);
    assert_int_equal(f->icscf.n_answers, 1);
    node_crash(&f->icscf, SIM_PROCESS_DIES);
    node_start(&f->icscf);
    run_ms(f->sim, 100);
    assert_int_equal(node_ask(&f->icscf, "alice"), OK);
    run_ms(f->sim, 50);
    assert_int_equal(f->icscf.n_answers, 2);
    env_close(env);
    free(crowd);
}

static void configurations_are_checked(void **state) {
    struct fixture *f = *state;
    struct diameter *d = NULL;
    node_peer(&f->icscf, &f->hss, true);
    node_peer(&f->icscf, &f->hss, true);
    assert_int_equal(sim_env_new(f->sim, "icscf", &f->icscf.env), OK);
    assert_int_equal(diameter_new(f->icscf.env, &f->icscf.config, &node_handler, &f->icscf, &d),
                     ERR_INVALID);
    f->icscf.config.n_peers = 1;
    f->icscf.config.host = SPAN("no identity");
    assert_int_equal(diameter_new(f->icscf.env, &f->icscf.config, &node_handler, &f->icscf, &d),
                     ERR_INVALID);
    diameter_free(NULL);
}

/* Every request is answered or fails, exactly once, whatever the network does. */
static void nothing_is_forgotten_on_a_bad_network(void **state) {
    struct fixture *f = *state;
    sim_free(f->sim);
    unsigned resent = 0;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        assert_int_equal(sim_new(seed, &f->sim), OK);
        node_init(&f->hss, f->sim, "hss", 1);
        node_init(&f->hss2, f->sim, "hss2", 2);
        node_init(&f->icscf, f->sim, "icscf", 3);
        struct sim_faults bad = {.delay_us = 1000,
                                 .jitter_us = 20000,
                                 .cut_ppm = 3000,
                                 .half_open_ppm = 1000,
                                 .split = true};
        sim_set_default_faults(f->sim, &bad);
        start_three(f);
        unsigned asked = 0;
        for (int i = 0; i < 600; i++) {
            asked += node_ask(&f->icscf, "alice") == OK;
            run_ms(f->sim, sim_random_below(f->sim, 200));
        }
        run_ms(f->sim, 60000);
        assert_int_equal(f->icscf.n_answers + f->icscf.n_failed, asked);
        assert_true(f->icscf.n_answers > asked / 2);
        resent += (unsigned)diameter_counters(f->icscf.d)->resent;
        node_end(&f->hss);
        node_end(&f->hss2);
        node_end(&f->icscf);
        if (seed < 20) {
            sim_free(f->sim);
        }
    }
    assert_true(resent > 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_request_is_answered),
        TEST(nodes_of_one_process_reach_each_other),
        TEST(when_both_connect_one_connection_remains),
        TEST(the_higher_name_wins_the_election),
        TEST(a_peer_that_is_silent_is_lost_and_found),
        TEST(after_a_partition_service_is_back_within_35_s),
        TEST(pending_requests_move_to_another_peer_once),
        TEST(a_broken_connection_moves_requests_at_once),
        TEST(a_request_is_moved_once_only),
        TEST(a_restarted_peer_gets_in_though_its_old_connection_lingers),
        TEST(stopping_says_goodbye),
        TEST(stopping_does_not_wait_for_the_dead),
        TEST(a_request_without_answer_times_out),
        TEST(a_cancelled_request_is_not_heard_of),
        TEST(a_request_that_is_freed_gets_5012),
        TEST(equal_peers_take_turns),
        TEST(too_much_is_refused_on_both_sides),
        TEST(a_burst_does_not_cost_the_connection),
        TEST(a_crowd_that_says_nothing_gives_way),
        TEST(configurations_are_checked),
        TEST(nothing_is_forgotten_on_a_bad_network),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
