/* Keep-alives of a terminal, over datagrams and streams (RFC 5626 4.4). covers: A4 */
#include "stack/sip/keep_alive.h"

#include "codec/stun/stun.h"
#include "wire.h"

enum { SECONDS = 30 };

/* The stack of the wire is the terminal; beside it another stack, the edge of a network. */
struct world {
    struct wire w;
    struct env *edge_env;
    struct sip_stack *edge;
    struct sip_hop hop;
    struct sip_keep_alive k;
    unsigned failures;
    enum error why;
    uint64_t failed_us;
};

static struct world
    *the_world; /* of the test that runs: callbacks of keep-alives have no context */

static void on_failed(struct sip_keep_alive *k, enum error why) {
    assert_ptr_equal(k, &the_world->k);
    the_world->failures++;
    the_world->why = why;
    the_world->failed_us = sim_now_us(the_world->w.sim);
}

static void on_request(void *ctx, struct sip_server *tx, const struct sip_msg *req) {
    (void)ctx;
    (void)req;
    assert_int_equal(sip_reply(tx, 200, SPAN_NONE), OK);
}

static const struct sip_stack_handler handler = {.request = on_request};

static void open_edge(struct world *x) {
    struct sip_stack_config config = {.n_local = 2, .idle_s = 60, .keep_s = SECONDS};
    config.local[0] = (struct sip_hop){x->hop.addr, SIP_UDP};
    config.local[1] = (struct sip_hop){x->hop.addr, SIP_TCP};
    assert_int_equal(sim_env_new(x->w.sim, "edge", &x->edge_env), OK);
    assert_int_equal(sip_stack_new(x->edge_env, &config, &handler, NULL, &x->edge), OK);
}

static void close_edge(struct world *x) {
    if (x->edge) {
        sip_stack_free(x->edge);
        env_close(x->edge_env);
        x->edge = NULL;
    }
}

static struct world *open_world(enum sip_transport transport) {
    struct world *x = the_world = calloc(1, sizeof *x);
    struct sip_stack_config config = {.n_local = 2, .idle_s = 60, .keep = true};
    config.local[1] = (struct sip_hop){addr_v4(10, 0, 0, 2, 5060), SIP_TCP};
    wire_open(&x->w, &config, &handler, x);
    x->hop = (struct sip_hop){addr_v4(10, 0, 0, 9, 5060), transport};
    open_edge(x);
    return x;
}

static void close_world(struct world *x) {
    sip_keep_alive_stop(&x->k);
    close_edge(x);
    wire_close(&x->w);
    free(x);
}

static void start(struct world *x) {
    unsigned endpoint = x->hop.transport == SIP_UDP ? 0 : 1;
    sip_keep_alive_start(&x->k, x->w.stack, endpoint, &x->hop, SPAN_NONE, SECONDS, on_failed);
}

/* What is asked of us in the top Via of an answer. */
static uint32_t asked_s;

static void on_response(void *ctx, struct sip_client *tx, const struct sip_msg *response) {
    (void)ctx;
    (void)tx;
    asked_s = response->via.keep_s;
}

static void on_timeout(void *ctx, struct sip_client *tx) {
    (void)ctx;
    (void)tx;
}

static void on_transport_error(void *ctx, struct sip_client *tx, enum error why) {
    (void)ctx;
    (void)tx;
    (void)why;
}

static void send_options(struct world *x) {
    static const struct sip_client_handler client = {
        .response = on_response, .timeout = on_timeout, .transport_error = on_transport_error};
    struct sip_client *tx;
    struct buf *b = sip_client_begin(x->w.stack, 0, &x->hop, SPAN("OPTIONS"), SPAN("sip:h"), &tx);
    asked_s = 0;
    assert_non_null(b);
    sip_put(b, SIP_H_FROM, SPAN("<sip:a@h>;tag=1"));
    sip_put(b, SIP_H_TO, SPAN("<sip:h>"));
    sip_put(b, SIP_H_CALL_ID, SPAN("c"));
    sip_put(b, SIP_H_CSEQ, SPAN("1 OPTIONS"));
    assert_int_equal(sip_client_send(tx, SPAN_NONE, &client, x), OK);
    wait_ms(&x->w, 100);
}

static void who_offers_is_asked(void **state) {
    (void)state;
    static const enum sip_transport transports[] = {SIP_UDP, SIP_TCP};
    for (size_t i = 0; i < COUNT_OF(transports); i++) {
        struct world *x = open_world(transports[i]);
        send_options(x);
        assert_int_equal(asked_s, SECONDS);
        close_world(x);
    }
}

static void answers_come_as_long_as_the_other_end_is_there(void **state) {
    (void)state;
    static const enum sip_transport transports[] = {SIP_UDP, SIP_TCP};
    for (size_t i = 0; i < COUNT_OF(transports); i++) {
        struct world *x = open_world(transports[i]);
        send_options(x);
        start(x);
        wait_ms(&x->w, 300 * 1000);
        assert_in_range(x->k.answered, 7,
                        12); /* over a stream an answer is looked for after 10 s */
        assert_int_equal(sip_stack_counters(x->edge)->keep_alives, x->k.answered);
        assert_int_equal(sip_stack_counters(x->edge)->connections_idle, 0);
        assert_int_equal(x->failures, 0);
        start(x); /* as with every 200: nothing begins anew */
        assert_true(x->k.answered > 0);
        close_world(x);
    }
}

static void silence_over_udp_is_a_failure(void **state) {
    (void)state;
    struct world *x = open_world(SIP_UDP);
    start(x);
    wait_ms(&x->w, 60 * 1000);
    uint64_t gone_us = sim_now_us(x->w.sim);
    close_edge(x);
    wait_ms(&x->w, 70 * 1000);
    assert_int_equal(x->failures, 1);
    assert_int_equal(x->why, ERR_TIMEOUT);
    assert_in_range(x->failed_us - gone_us, 39500 * MS_IN_US, 69501 * MS_IN_US);
    wait_ms(&x->w, 100 * 1000);
    assert_int_equal(x->failures, 1);
    open_edge(x);
    start(x); /* a new flow */
    wait_ms(&x->w, 60 * 1000);
    assert_true(x->k.answered > 0);
    close_world(x);
}

static void lost_datagrams_are_no_failure(void **state) {
    (void)state;
    struct world *x = open_world(SIP_UDP);
    sim_set_default_faults(x->w.sim,
                           &(struct sim_faults){.loss_ppm = 300000, .duplicate_ppm = 200000});
    start(x);
    wait_ms(&x->w, 600 * 1000);
    assert_int_equal(x->failures, 0);
    assert_true(x->k.answered > 10);
    close_world(x);
}

static void a_broken_connection_is_a_failure_at_once(void **state) {
    (void)state;
    struct world *x = open_world(SIP_TCP);
    send_options(x);
    start(x);
    wait_ms(&x->w, 5 * 1000);
    close_edge(x);
    wait_ms(&x->w, 100);
    assert_int_equal(x->failures, 1);
    assert_int_equal(x->why, ERR_CLOSED);
    start(x); /* and so is one that is not there, but not within the call */
    assert_int_equal(x->failures, 1);
    wait_ms(&x->w, 10);
    assert_int_equal(x->failures, 2);
    close_world(x);
}

/* A listener that takes what comes and says one thing. */
static size_t take_all(void *ctx, struct stream *s, char *bytes, size_t n) {
    (void)ctx;
    (void)s;
    (void)bytes;
    return n;
}

static void on_closed(void *ctx, struct stream *s, enum error why) {
    (void)ctx;
    (void)s;
    (void)why;
}

static const struct stream_handler mute = {.received = take_all, .closed = on_closed};

static void on_accept(void *ctx, struct listener *l, struct stream *s) {
    (void)l;
    stream_attach(s, &mute, ctx);
}

static void silence_over_a_stream_is_a_failure(void **state) {
    (void)state;
    struct world *x = open_world(SIP_TCP);
    struct listener *listener;
    x->hop.addr = x->w.server.addr;
    assert_int_equal(env_listen(x->w.server.env, &x->hop.addr, on_accept, x, &listener), OK);
    send_options(x);
    start(x);
    wait_ms(&x->w, 41 * 1000);
    assert_int_equal(x->failures, 1);
    assert_int_equal(x->why, ERR_TIMEOUT);
    close_world(x);
}

/* The server of the wire answers as if we came from a port. */
static void answer_stun(struct world *x, size_t i, uint16_t port) {
    char bytes[64], request[20];
    struct buf b = buf_init(bytes, sizeof bytes);
    struct addr seen = addr_v4(192, 0, 2, 1, port);
    memcpy(request, hear(&x->w.server, i), sizeof request);
    assert_int_equal(stun_answer(span_of(request, sizeof request), &seen, &b), OK);
    assert_int_equal(dgram_send(x->w.server.dgram, &x->w.local, buf_span(&b)), OK);
    wait_ms(&x->w, 1);
}

static void another_address_at_the_other_end_is_a_failure(void **state) {
    (void)state;
    struct world *x = open_world(SIP_UDP);
    x->hop.addr = x->w.server.addr;
    start(x);
    wait_ms(&x->w, SECONDS * 1000);
    answer_stun(x, 0, 1024);
    assert_int_equal(x->k.answered, 1);
    answer_stun(x, 0, 1025); /* repeated: nobody waits for it */
    wait_ms(&x->w, SECONDS * 1000);
    size_t last = x->w.server.n_heard - 1;
    answer_stun(x, last, 1024);
    assert_int_equal(x->failures, 0);
    wait_ms(&x->w, SECONDS * 1000);
    last = x->w.server.n_heard - 1;
    answer_stun(x, last, 1026);
    assert_int_equal(x->failures, 1);
    assert_int_equal(x->why, ERR_CLOSED);
    close_world(x);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_offers_is_asked),
        cmocka_unit_test(answers_come_as_long_as_the_other_end_is_there),
        cmocka_unit_test(silence_over_udp_is_a_failure),
        cmocka_unit_test(lost_datagrams_are_no_failure),
        cmocka_unit_test(a_broken_connection_is_a_failure_at_once),
        cmocka_unit_test(silence_over_a_stream_is_a_failure),
        cmocka_unit_test(another_address_at_the_other_end_is_a_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
