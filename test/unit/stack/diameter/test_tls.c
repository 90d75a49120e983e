/* covers: HA8
 * Peers over TLS, from the first byte, in a simulation: who is who by certificate. */
#include "../../rt/pki.h"
#include "world.h"

#include "obs/trace.h"

struct fixture {
    struct sim *sim;
    struct pki *authority;
    struct node hss, icscf;
    struct addr secure;
    struct tls_context *contexts[4];
    unsigned n_contexts;
};

static int begin(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    assert_int_equal(sim_new(1, &f->sim), OK);
    node_init(&f->hss, f->sim, "hss", 1);
    node_init(&f->icscf, f->sim, "icscf", 3);
    f->authority = pki_new("authority");
    f->secure = addr_v4(10, 0, 0, 1, 5658);
    *state = f;
    return 0;
}

static int end(void **state) {
    struct fixture *f = *state;
    node_end(&f->hss);
    node_end(&f->icscf);
    for (unsigned i = 0; i < f->n_contexts; i++) {
        tls_context_free(f->contexts[i]);
    }
    sim_free(f->sim);
    pki_free(f->authority);
    free(f);
    return 0;
}

static struct tls_context *context(struct fixture *f, const char *name) {
    return f->contexts[f->n_contexts++] = pki_node(f->authority, name, TLS_CLIENT_REQUIRED);
}

/* An HSS with this certificate, and an I-CSCF with that one, which connects over TLS. */
static void start(struct fixture *f, const char *hss, const char *icscf) {
    node_peer(&f->hss, &f->icscf, false)->tls = true;
    f->hss.config.tls = context(f, hss);
    f->hss.config.listen_tls = &f->secure;
    node_start(&f->hss);
    struct diameter_peer_config *p = node_peer(&f->icscf, &f->hss, true);
    p->tls = true;
    p->address = diameter_tls_address(f->hss.d);
    f->icscf.config.tls = context(f, icscf);
    node_start(&f->icscf);
    run_ms(f->sim, 1000);
}

static void count_diameter(void *ctx, const struct trace_message *m) {
    *(unsigned *)ctx += m->protocol == TRACE_DIAMETER && (uint8_t)m->bytes.p[0] == 1;
}

static void requests_and_answers_go_over_tls(void **state) {
    struct fixture *f = *state;
    unsigned n = 0;
    trace_witness(sim_trace(f->sim), count_diameter, &n);
    start(f, "hss.example.org", "icscf.example.org");
    assert_string_equal(node_status(&f->icscf).state, "I-Open");
    assert_true(node_status(&f->icscf).tls);
    assert_true(node_status(&f->hss).tls);
    assert_int_equal(node_status(&f->icscf).remote.port, 5658);
    assert_int_equal(node_ask(&f->icscf, "alice"), OK);
    run_ms(f->sim, 100);
    assert_int_equal(f->icscf.n_answers, 1);
    assert_int_equal(n, 4); /* CER, CEA, UAR, UAA: as they are, not as they travel */
    trace_witness(sim_trace(f->sim), NULL, NULL);
}

static void the_certificate_of_another_host_is_refused(void **state) {
    struct fixture *f = *state;
    start(f, "hss.example.org", "scscf.example.org");
    assert_int_equal(f->hss.n_up, 0);
    assert_int_equal(f->icscf.n_up, 0);
    assert_true(diameter_counters(f->hss.d)->refused_certificates > 0);
    assert_int_equal(node_ask(&f->icscf, "alice"), ERR_UNREACHABLE);
    assert_int_equal(f->hss.n_requests, 0);
}

static void the_certificate_of_another_server_is_refused(void **state) {
    struct fixture *f = *state;
    start(f, "hss2.example.org", "icscf.example.org");
    assert_int_equal(f->icscf.n_up, 0);
    assert_true(diameter_counters(f->icscf.d)->connect_failures > 0);
    assert_int_equal(diameter_counters(f->hss.d)->requests_received, 0); /* not even a CER */
    assert_int_equal(f->hss.n_up, 0);
}

static void who_is_to_come_over_tls_is_refused_without(void **state) {
    struct fixture *f = *state;
    node_peer(&f->hss, &f->icscf, false)->tls = true;
    f->hss.config.tls = context(f, "hss.example.org");
    f->hss.config.listen_tls = &f->secure;
    node_start(&f->hss);
    node_peer(&f->icscf, &f->hss, true);
    node_start(&f->icscf);
    run_ms(f->sim, 1000);
    assert_int_equal(f->hss.n_up, 0);
    assert_int_equal(diameter_counters(f->hss.d)->refused_certificates, 1);
    assert_string_equal(node_status(&f->icscf).state, "Closed");
}

static void who_shows_no_certificate_does_not_get_to_speak(void **state) {
    struct fixture *f = *state;
    start(f, "hss.example.org", "icscf.example.org");
    uint64_t messages = diameter_counters(f->hss.d)->refused_peers;
    static struct rogue r;
    r = (struct rogue){0};
    assert_int_equal(sim_env_new(f->sim, "rogue", &r.env), OK);
    r.env->log.level = LOG_ERROR + 1;
    struct tls_context *nobody = pki_context(NULL, f->authority, TLS_CLIENT_ANYBODY);
    f->contexts[f->n_contexts++] = nobody;
    assert_int_equal(env_stream_connect_tls(r.env, nobody, &f->secure, SPAN("hss.example.org"),
                                            &rogue_handler, &r, &r.stream),
                     OK);
    run_ms(f->sim, 100);
    assert_true(r.closed);
    assert_int_equal(diameter_counters(f->hss.d)->refused_peers, messages);
    rogue_end(&r);
}

/* What an agent gets for the request of an S-CSCF that is served over TLS only. */
static uint32_t ask_as_agent(struct fixture *f, struct rogue *r) {
    rogue_cer(r, CX_APPLICATION);
    run_ms(f->sim, 100);
    assert_int_equal(r->last.result.code, DIAMETER_SUCCESS);
    r->envelope.origin_host = SPAN("scscf.example.org");
    rogue_uar(r, 1);
    rogue_send(r);
    run_ms(f->sim, 100);
    assert_int_equal(r->n_messages, 2);
    return r->last.result.code;
}

static void who_is_to_come_over_tls_comes_through_no_plain_agent(void **state) {
    struct fixture *f = *state;
    static struct rogue r;
    f->hss.peers[0] =
        (struct diameter_peer_config){.host = SPAN("rogue.example.org"), .agent = true};
    f->hss.peers[1] = (struct diameter_peer_config){.host = SPAN("scscf.example.org"), .tls = true};
    f->hss.config.n_peers = 2;
    f->hss.config.tls = context(f, "hss.example.org");
    f->hss.config.listen_tls = &f->secure;
    node_start(&f->hss);
    rogue_connect(&r, f->sim, &f->hss, SPAN("rogue.example.org"));
    assert_int_equal(ask_as_agent(f, &r), DIAMETER_AUTHORIZATION_REJECTED);
    assert_int_equal(f->hss.n_requests, 0);
    struct diameter_envelope envelope = r.envelope;
    rogue_end(&r);
    run_ms(f->sim, 100);
    r = (struct rogue){.envelope = envelope};
    r.envelope.origin_host = SPAN("rogue.example.org");
    assert_int_equal(sim_env_new(f->sim, "rogue", &r.env), OK);
    assert_int_equal(env_stream_connect_tls(r.env, context(f, "rogue.example.org"), &f->secure,
                                            SPAN("hss.example.org"), &rogue_handler, &r, &r.stream),
                     OK);
    run_ms(f->sim, 100);
    assert_int_equal(ask_as_agent(f, &r), DIAMETER_FIRST_REGISTRATION);
    rogue_end(&r);
}

static void after_a_partition_tls_is_back(void **state) {
    struct fixture *f = *state;
    start(f, "hss.example.org", "icscf.example.org");
    struct sim_faults down = {.down = true};
    assert_int_equal(sim_set_faults_between(f->sim, "hss", "icscf", &down), OK);
    run_ms(f->sim, 60000);
    assert_int_equal(sim_set_faults_between(f->sim, "hss", "icscf", NULL), OK);
    run_ms(f->sim, 35000);
    assert_int_equal(node_ask(&f->icscf, "alice"), OK);
    run_ms(f->sim, 100);
    assert_int_equal(f->icscf.n_answers, 1);
}

static void configurations_are_checked(void **state) {
    struct fixture *f = *state;
    struct diameter *d;
    assert_int_equal(sim_env_new(f->sim, "hss", &f->hss.env), OK);
    f->hss.config.listen_tls = &f->secure;
    assert_int_equal(diameter_new(f->hss.env, &f->hss.config, &node_handler, f, &d), ERR_INVALID);
    f->hss.config.listen_tls = NULL;
    node_peer(&f->hss, &f->icscf, true)->tls = true;
    assert_int_equal(diameter_new(f->hss.env, &f->hss.config, &node_handler, f, &d), ERR_INVALID);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(requests_and_answers_go_over_tls),
        TEST(the_certificate_of_another_host_is_refused),
        TEST(the_certificate_of_another_server_is_refused),
        TEST(who_is_to_come_over_tls_is_refused_without),
        TEST(who_shows_no_certificate_does_not_get_to_speak),
        TEST(who_is_to_come_over_tls_comes_through_no_plain_agent),
        TEST(after_a_partition_tls_is_back),
        TEST(configurations_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
