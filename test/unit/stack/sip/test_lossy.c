/* Two stacks over a network that loses, repeats and reorders: each request is shown once, each is
 * answered, and nothing is left over. covers: A4 HF13 */
#include "rt/sim.h"
#include "stack/sip/sip_stack.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { REQUESTS = 400, SEEDS = 5 };

struct pair {
    struct sim *sim;
    struct env *client_env, *server_env;
    struct sip_stack *client, *server;
    unsigned shown[REQUESTS], answered[REQUESTS];
    struct ask {
        struct pair *pair;
        unsigned number;
    } asks[REQUESTS];
};

static bool is_invite(unsigned i) {
    return i % 4 >= 2;
}

/* A 2xx to an INVITE would have to be repeated by its node. */
static unsigned final_status(unsigned i) {
    return is_invite(i) ? 486 : 200 + i % 2;
}

static void on_request(void *ctx, struct sip_server *tx, const struct sip_msg *req) {
    struct pair *p = ctx;
    assert_true(req->cseq < REQUESTS);
    p->shown[req->cseq]++;
    if (req->cseq % 3 == 0) {
        assert_int_equal(sip_reply(tx, 183, SPAN_NONE), OK);
    }
    sip_reply(tx, final_status(req->cseq), SPAN_NONE);
}

static void on_response(void *ctx, struct sip_client *tx, const struct sip_msg *response) {
    struct ask *ask = ctx;
    (void)tx;
    assert_int_equal(response->cseq, ask->number);
    if (response->status >= 200) {
        assert_int_equal(response->status, final_status(ask->number));
        ask->pair->answered[ask->number]++;
    }
}

static void on_timeout(void *ctx, struct sip_client *tx) {
    (void)ctx;
    (void)tx;
    fail_msg("a request timed out");
}

static const struct sip_client_handler client_handler = {on_response, on_timeout, NULL, NULL};

static void ask(struct pair *p, unsigned i) {
    const struct sip_hop to = {*sip_stack_local(p->server, 0), SIP_UDP};
    struct sip_client *tx;
    enum sip_method method = is_invite(i) ? SIP_INVITE : SIP_REGISTER;
    struct buf *b =
        sip_client_begin(p->client, 0, &to, sip_method_name(method), SPAN("sip:h"), &tx);
    assert_non_null(b);
    sip_put(b, SIP_H_FROM, SPAN("<sip:a@h>;tag=f"));
    sip_put(b, SIP_H_TO, SPAN("<sip:b@h>"));
    sip_put_number(b, SIP_H_CALL_ID, i);
    sip_put_begin(b, SIP_H_CSEQ);
    buf_u64(b, i);
    buf_char(b, ' ');
    buf_put(b, sip_method_name(method));
    sip_put_end(b);
    p->asks[i] = (struct ask){p, i};
    assert_int_equal(sip_client_send(tx, SPAN_NONE, &client_handler, &p->asks[i]), OK);
}

static void run(uint64_t seed) {
    static const struct sip_stack_handler handler = {.request = on_request};
    static const struct sim_faults faults = {
        .delay_us = 5000, .jitter_us = 40000, .loss_ppm = 100000, .duplicate_ppm = 100000};
    struct sip_stack_config config = {.local = {{addr_v4(10, 0, 0, 1, 5060), SIP_UDP}},
                                      .n_local = 1};
    struct pair *p = calloc(1, sizeof *p);
    assert_int_equal(sim_new(seed, &p->sim), OK);
    sim_set_default_faults(p->sim, &faults);
    assert_int_equal(sim_env_new(p->sim, "client", &p->client_env), OK);
    assert_int_equal(sim_env_new(p->sim, "server", &p->server_env), OK);
    assert_int_equal(sip_stack_new(p->client_env, &config, &handler, p, &p->client), OK);
    config.local[0].addr = addr_v4(10, 0, 0, 2, 5060);
    assert_int_equal(sip_stack_new(p->server_env, &config, &handler, p, &p->server), OK);
    for (unsigned i = 0; i < REQUESTS; i++) {
        ask(p, i);
        sim_run_until(p->sim, sim_now_us(p->sim) + 10000);
    }
    sim_run_until(p->sim, sim_now_us(p->sim) + 120 * SEC_IN_US);
    for (unsigned i = 0; i < REQUESTS; i++) {
        assert_int_equal(p->shown[i], 1);
        assert_int_equal(p->answered[i], 1);
    }
    const struct sip_stack_counters *c = sip_stack_counters(p->client),
                                    *s = sip_stack_counters(p->server);
    assert_int_equal(c->transactions + s->transactions, 0);
    assert_true(c->sent_again > 0 && s->received_again > 0 && c->stray_responses > 0);
    sip_stack_free(p->client);
    sip_stack_free(p->server);
    env_close(p->client_env);
    env_close(p->server_env);
    sim_free(p->sim);
    free(p);
}

static void all_requests_are_shown_once_and_answered(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        run(seed);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_requests_are_shown_once_and_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
