/* A terminal's wire: each fault changes just what it says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "app/flow/wire.h"
#include "rt/sim.h"

#include <stdlib.h>

#define REQUEST(cseq, authorization)                                                               \
    "REGISTER sip:home SIP/2.0\r\nVia: SIP/2.0/UDP a\r\nCSeq: " cseq                               \
    " REGISTER\r\nAuthorization: " authorization "\r\nContent-Length: 0\r\n\r\n"
#define EMPTY    REQUEST("1", "Digest username=\"a\", response=\"\"")
#define RESPONSE REQUEST("2", "Digest username=\"a\", response=\"01234567\"")
#define WRONG    REQUEST("2", "Digest username=\"a\", response=\"11234567\"")
#define AGAIN    REQUEST("3", "Digest username=\"a\", response=\"f1234567\"")
#define AUTS     REQUEST("4", "Digest username=\"a\", auts=\"abcdefghijklmnopqrs=\"")

struct fixture {
    struct sim *sim;
    struct env *terminal, *network;
    struct wire *wire;
    struct dgram *ue, *pcscf;
    char at_network[4][1024]; /* what arrived, oldest first */
    size_t n_at_network;
    char at_terminal[1024];
};

static void network_receives(void *ctx, struct dgram *d, const struct addr *from, char *bytes,
                             size_t n) {
    struct fixture *f = ctx;
    (void)d;
    (void)from;
    assert_true(f->n_at_network < 4 && n < 1024);
    memcpy(f->at_network[f->n_at_network], bytes, n);
    f->at_network[f->n_at_network++][n] = '\0';
}

static void terminal_receives(void *ctx, struct dgram *d, const struct addr *from, char *bytes,
                              size_t n) {
    struct fixture *f = ctx;
    (void)d;
    (void)from;
    assert_true(n < 1024);
    memcpy(f->at_terminal, bytes, n);
    f->at_terminal[n] = '\0';
}

static int setup(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    const struct addr terminal = addr_v4(127, 0, 0, 1, 1), network = addr_v4(127, 0, 0, 1, 2);
    assert_int_equal(sim_new(1, &f->sim), OK);
    assert_int_equal(sim_env_new(f->sim, "ue", &f->terminal), OK);
    assert_int_equal(sim_env_new(f->sim, "pcscf", &f->network), OK);
    f->wire = malloc(sizeof *f->wire);
    wire_init(f->wire, f->terminal);
    assert_int_equal(env_dgram_open(&f->wire->env, &terminal, 0, terminal_receives, f, &f->ue), OK);
    assert_int_equal(env_dgram_open(f->network, &network, 0, network_receives, f, &f->pcscf), OK);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    dgram_close(f->ue);
    dgram_close(f->pcscf);
    env_close(f->terminal);
    env_close(f->network);
    sim_free(f->sim);
    free(f->wire);
    free(f);
    return 0;
}

static void send(struct fixture *f, const char *message) {
    assert_int_equal(dgram_send(f->ue, dgram_local(f->pcscf), span_from_cstr(message)), OK);
    sim_run(f->sim, NULL, NULL, sim_now_us(f->sim) + 1000);
}

static const char *sent(struct fixture *f, const char *message) {
    f->n_at_network = 0;
    send(f, message);
    return f->n_at_network ? f->at_network[0] : NULL;
}

static void begin(struct fixture *f, enum flow_fault_kind kind, unsigned times, const char *name,
                  const char *value) {
    static struct flow_fault fault;
    fault = (struct flow_fault){kind, times, span_from_cstr(name), span_from_cstr(value)};
    wire_set_faults(f->wire, &fault, 1);
}

static void without_faults_nothing_changes(void **state) {
    struct fixture *f = *state;
    assert_string_equal(sent(f, RESPONSE), RESPONSE);
    assert_true(addr_eq(dgram_local(f->ue), &(struct addr){4, 1, {127, 0, 0, 1}}));
}

static void a_wrong_response_is_wrong_as_often_as_said(void **state) {
    struct fixture *f = *state;
    begin(f, FLOW_WRONG_RESPONSE, 1, NULL, NULL);
    assert_string_equal(sent(f, EMPTY), EMPTY);
    assert_string_equal(sent(f, RESPONSE), WRONG);
    assert_string_equal(sent(f, RESPONSE), WRONG); /* its repetition */
    assert_string_equal(sent(f, AGAIN), AGAIN);
    begin(f, FLOW_WRONG_AUTS, 1, NULL, NULL);
    assert_string_not_equal(sent(f, AUTS), AUTS);
    assert_int_equal(strlen(f->at_network[0]), strlen(AUTS));
}

static void old_credentials_are_replayed_once(void **state) {
    struct fixture *f = *state;
    assert_string_equal(sent(f, RESPONSE), RESPONSE);
    begin(f, FLOW_REPLAYED_RESPONSE, 1, NULL, NULL);
    const char *replayed = sent(f, EMPTY);
    assert_non_null(strstr(replayed, "response=\"01234567\""));
    assert_non_null(strstr(replayed, "CSeq: 1 REGISTER"));
    assert_string_equal(sent(f, AGAIN), AGAIN);
}

static void what_is_held_back_does_not_arrive(void **state) {
    struct fixture *f = *state;
    begin(f, FLOW_NO_RESPONSE, 1, NULL, NULL);
    assert_string_equal(sent(f, EMPTY), EMPTY);
    assert_false(f->wire->dropped);
    assert_null(sent(f, RESPONSE));
    assert_true(f->wire->dropped);
}

static void header_fields_come_and_go(void **state) {
    struct fixture *f = *state;
    begin(f, FLOW_HEADER, 1, "Require", "x, y");
    assert_non_null(strstr(sent(f, EMPTY), "SIP/2.0\r\nRequire: x, y\r\nVia:"));
    begin(f, FLOW_HEADER, 1, "CSeq", "many");
    assert_non_null(strstr(sent(f, EMPTY), "\r\nCSeq: many\r\n"));
    begin(f, FLOW_WITHOUT, 1, "CSeq", NULL);
    assert_null(strstr(sent(f, EMPTY), "CSeq"));
    assert_non_null(strstr(f->at_network[0], "UDP a\r\nAuthorization:"));
    begin(f, FLOW_WITHOUT, 1, "Route", NULL);
    assert_string_equal(sent(f, EMPTY), EMPTY);
    begin(f, FLOW_TWICE, 1, NULL, NULL);
    assert_string_equal(sent(f, EMPTY), EMPTY);
    assert_int_equal(f->n_at_network, 2);
}

static void a_forged_challenge_differs_in_its_mac_alone(void **state) {
    struct fixture *f = *state;
    static const char challenge[] =
        "SIP/2.0 401 Unauthorized\r\nCSeq: 1 REGISTER\r\nWWW-Authenticate: Digest realm=\"h\", "
        "nonce=\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\", algorithm=AKAv1-MD5\r\n\r\n";
    begin(f, FLOW_FORGED_CHALLENGE, 1, NULL, NULL);
    for (int turn = 0; turn < 2; turn++) {
        struct span bytes = span_from_cstr(challenge);
        assert_int_equal(dgram_send(f->pcscf, dgram_local(f->ue), bytes), OK);
        sim_run(f->sim, NULL, NULL, sim_now_us(f->sim) + 1000);
        assert_non_null(strstr(f->at_terminal, "nonce=\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh"
                                               "4=\""));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(without_faults_nothing_changes, setup, teardown),
        cmocka_unit_test_setup_teardown(a_wrong_response_is_wrong_as_often_as_said, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(old_credentials_are_replayed_once, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_held_back_does_not_arrive, setup, teardown),
        cmocka_unit_test_setup_teardown(header_fields_come_and_go, setup, teardown),
        cmocka_unit_test_setup_teardown(a_forged_challenge_differs_in_its_mac_alone, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
