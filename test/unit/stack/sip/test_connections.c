/* SIP over streams: framing, answers, reuse, keep-alive, and peers that hold a connection up. */
#include "wire.h"

enum { BYTES_MAX = 16384, STREAMS_MAX = 8 };

/* One end of a connection to the stack, without any SIP of its own. */
struct raw {
    struct stream *stream;
    char text[BYTES_MAX];
    size_t n;
    bool connected, closed;
    enum error why;
};

struct world {
    struct wire w;
    struct listener *listener;  /* of the right peer, at the address of its datagrams */
    struct raw in[STREAMS_MAX]; /* what it accepted */
    size_t n_in;
    size_t requests; /* that the node saw */
    bool hold;       /* the node does not answer */
    struct sip_server *held;
    unsigned status; /* what the client transaction came to */
    enum error failure;
    size_t ended;
};

static void raw_connected(void *ctx, struct stream *s) {
    (void)s;
    ((struct raw *)ctx)->connected = true;
}

static size_t raw_received(void *ctx, struct stream *s, char *bytes, size_t n) {
    struct raw *r = ctx;
    (void)s;
    assert_true(r->n + n < BYTES_MAX);
    memcpy(r->text + r->n, bytes, n);
    r->n += n;
    r->text[r->n] = '\0';
    return n;
}

static void raw_closed(void *ctx, struct stream *s, enum error why) {
    struct raw *r = ctx;
    (void)s;
    r->closed = true;
    r->why = why;
    r->stream = NULL;
}

static const struct stream_handler raw_handler = {raw_connected, raw_received, raw_closed};

static void on_accept(void *ctx, struct listener *l, struct stream *s) {
    struct world *x = ctx;
    (void)l;
    assert_true(x->n_in < STREAMS_MAX);
    struct raw *r = &x->in[x->n_in++];
    r->stream = s;
    r->connected = true;
    stream_attach(s, &raw_handler, r);
}

static void on_request(void *ctx, struct sip_server *tx, const struct sip_msg *req) {
    struct world *x = ctx;
    (void)req;
    x->requests++;
    if (x->hold) {
        x->held = tx;
    } else {
        assert_int_equal(sip_reply(tx, 200, SPAN_NONE), OK);
    }
}

static const struct sip_stack_handler handler = {.request = on_request};

static void world_open(struct world *x, struct sip_stack_config config) {
    *x = (struct world){0};
    config.local[1] = (struct sip_hop){addr_v4(10, 0, 0, 2, 5060), SIP_TCP};
    config.n_local = 2;
    wire_open(&x->w, &config, &handler, x);
    assert_int_equal(env_listen(x->w.server.env, &x->w.server.addr, on_accept, x, &x->listener),
                     OK);
}

static void run_ms(struct world *x, uint64_t ms) {
    wait_ms(&x->w, ms);
}

static void connect(struct world *x, struct raw *r) {
    *r = (struct raw){0};
    assert_int_equal(env_stream_connect(x->w.client.env, &x->w.local, &raw_handler, r, &r->stream),
                     OK);
    run_ms(x, 10);
    assert_true(r->connected);
}

static void send_text(struct world *x, struct raw *r, const char *text) {
    assert_int_equal(stream_send(r->stream, span_from_cstr(text)), OK);
    run_ms(x, 10);
}

#define HEAD(branch, length)                                                                       \
    "OPTIONS sip:h SIP/2.0\r\nVia: SIP/2.0/TCP 10.0.0.1:5070;branch=z9hG4bK" branch "\r\n"         \
    "From: <sip:a@h>;tag=f\r\nTo: <sip:b@h>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\n" length "\r\n"
#define OPTIONS(branch) HEAD(branch, "Content-Length: 0\r\n")

static size_t count(const char *text, const char *part) {
    size_t n = 0;
    for (const char *at = text; (at = strstr(at, part)); at += strlen(part)) {
        n++;
    }
    return n;
}

static void messages_are_found_wherever_they_are_split(void **state) {
    static const char two[] = "\r\n" OPTIONS("1") OPTIONS("2");
    (void)state;
    for (size_t at = 1; at < sizeof two - 1; at++) {
        struct world x;
        struct raw r;
        world_open(&x, (struct sip_stack_config){0});
        connect(&x, &r);
        assert_int_equal(stream_send(r.stream, span_of(two, at)), OK);
        run_ms(&x, 10);
        assert_int_equal(stream_send(r.stream, span_of(two + at, sizeof two - 1 - at)), OK);
        run_ms(&x, 10);
        assert_int_equal(x.requests, 2);
        assert_int_equal(count(r.text, "SIP/2.0 200 OK\r\n"), 2);
        assert_false(r.closed);
        wire_close(&x.w);
    }
}

static void a_body_belongs_to_its_message(void **state) {
    struct world x;
    struct raw r;
    (void)state;
    world_open(&x, (struct sip_stack_config){0});
    connect(&x, &r);
    send_text(&x, &r,
              HEAD("1", "l: 10\r\n") "01234"
                                     "\r\n\r\n");
    assert_int_equal(x.requests, 0); /* one byte of ten is missing */
    send_text(&x, &r, "9" OPTIONS("2"));
    assert_int_equal(x.requests, 2);
    wire_close(&x.w);
}

static void what_cannot_be_framed_is_answered_and_closed(void **state) {
    static const struct {
        const char *text, *answer;
    } cases[] = {
        {HEAD("1", ""), "SIP/2.0 400 "},
        {HEAD("1", "Content-Length: x\r\n"), "SIP/2.0 400 "},
        {HEAD("1", "Content-Length: -1\r\n"), "SIP/2.0 400 "},
        {HEAD("1", "Content-Length: 1\r\nl: 2\r\n"), "SIP/2.0 400 "},
        {HEAD("1", "Content-Length:\r\n 5\r\n"), "SIP/2.0 400 "},
        {HEAD("1", "Content-Length: 99999999999\r\n"), "SIP/2.0 513 "},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct world x;
        struct raw r;
        world_open(&x, (struct sip_stack_config){0});
        connect(&x, &r);
        send_text(&x, &r, cases[i].text);
        assert_int_equal(x.requests, 0);
        if (strncmp(r.text, cases[i].answer, strlen(cases[i].answer)) != 0) {
            fail_msg("case %zu: %s", i, r.text);
        }
        assert_true(r.closed);
        assert_int_equal(sip_stack_counters(x.w.stack)->unframed, 1);
        assert_int_equal(sip_stack_counters(x.w.stack)->connections, 0);
        wire_close(&x.w);
    }
}

static void two_empty_lines_are_answered_by_one(void **state) {
    struct world x;
    struct raw r;
    (void)state;
    world_open(&x, (struct sip_stack_config){0});
    connect(&x, &r);
    send_text(&x, &r, "\r\n\r");
    assert_int_equal(r.n, 0);
    send_text(&x, &r, "\n");
    assert_string_equal(r.text, "\r\n");
    send_text(&x, &r, OPTIONS("1"));
    assert_int_equal(x.requests, 1);
    wire_close(&x.w);
}

static void stun_is_answered_over_udp(void **state) {
    static const char request[] = "\0\1\0\0\x21\x12\xa4\x42"
                                  "0123456789ab";
    struct world x;
    (void)state;
    world_open(&x, (struct sip_stack_config){0});
    assert_int_equal(dgram_send(x.w.client.dgram, &x.w.local, span_of(request, sizeof request - 1)),
                     OK);
    run_ms(&x, 10);
    assert_int_equal(x.w.client.n_heard, 1);
    assert_memory_equal(x.w.client.heard[0].text, "\1\1\0\x0c\x21\x12\xa4\x42", 8);
    assert_int_equal(sip_stack_counters(x.w.stack)->keep_alives, 1);
    wire_close(&x.w);
}

static void an_answer_finds_its_way_when_the_connection_has_gone(void **state) {
    struct world x;
    struct raw r;
    struct addr at = addr_v4(10, 0, 0, 1, 5070); /* what the Via says */
    struct listener *l;
    (void)state;
    world_open(&x, (struct sip_stack_config){0});
    assert_int_equal(env_listen(x.w.client.env, &at, on_accept, &x, &l), OK);
    x.hold = true;
    connect(&x, &r);
    send_text(&x, &r, OPTIONS("1"));
    stream_close(r.stream);
    run_ms(&x, 10);
    assert_int_equal(sip_stack_counters(x.w.stack)->connections, 0);
    assert_int_equal(sip_reply(x.held, 200, SPAN_NONE), OK);
    run_ms(&x, 10);
    assert_int_equal(x.n_in, 1);
    assert_int_equal(count(x.in[0].text, "SIP/2.0 200 OK\r\n"), 1);
    wire_close(&x.w);
}

/* Clients. */

static void on_response(void *ctx, struct sip_client *tx, const struct sip_msg *response) {
    struct world *x = ctx;
    (void)tx;
    x->status = response->status;
    x->ended += response->status >= 200;
}

static void on_timeout(void *ctx, struct sip_client *tx) {
    struct world *x = ctx;
    (void)tx;
    x->failure = ERR_TIMEOUT;
    x->ended++;
}

static void on_failed(void *ctx, struct sip_client *tx, enum error why) {
    struct world *x = ctx;
    (void)tx;
    x->failure = why;
    x->ended++;
}

static const struct sip_client_handler client_handler = {on_response, on_timeout, on_failed, NULL};

static void ask(struct world *x, enum sip_transport transport, size_t padding) {
    const struct sip_hop to = {x->w.server.addr, transport};
    char text[4000];
    struct sip_client *tx;
    struct buf *b = sip_client_begin(x->w.stack, 0, &to, SPAN("REGISTER"), SPAN("sip:h"), &tx);
    assert_non_null(b);
    memset(text, 'x', sizeof text);
    sip_put(b, SIP_H_FROM, SPAN("<sip:a@h>;tag=f"));
    sip_put(b, SIP_H_TO, SPAN("<sip:b@h>"));
    sip_put(b, SIP_H_CALL_ID, SPAN("c"));
    sip_put(b, SIP_H_CSEQ, SPAN("1 REGISTER"));
    sip_put(b, SIP_H_SUBJECT, span_of(text, padding));
    x->status = 0;
    x->failure = OK;
    assert_int_equal(sip_client_send(tx, SPAN_NONE, &client_handler, x), OK);
    run_ms(x, 10);
}

/* Answers the newest request that a peer's end has heard. via: instead of its own. */
static void answer(struct world *x, struct raw *r, const char *via) {
    char text[2048];
    const char *at = r->text, *next;
    while ((next = strstr(at + 1, "REGISTER sip:h"))) {
        at = next;
    }
    snprintf(text, sizeof text,
             "SIP/2.0 200 OK\r\n%s\r\nFrom: <sip:a@h>;tag=f\r\nTo: <sip:b@h>;tag=t\r\n"
             "Call-ID: c\r\nCSeq: 1 REGISTER\r\nContent-Length: 0\r\n\r\n",
             via ? via : line_of(at, "Via"));
    send_text(x, r, text);
}

static void requests_share_a_connection(void **state) {
    struct world x;
    (void)state;
    world_open(&x, (struct sip_stack_config){0});
    ask(&x, SIP_TCP, 1);
    assert_int_equal(x.n_in, 1);
    assert_int_equal(count(x.in[0].text, "Via: SIP/2.0/TCP 10.0.0.2:5060;branch="), 1);
    answer(&x, &x.in[0], NULL);
    assert_int_equal(x.status, 200);
    ask(&x, SIP_TCP, 1);
    assert_int_equal(x.n_in, 1);
    answer(&x, &x.in[0], NULL);
    assert_int_equal(x.status, 200);
    assert_int_equal(x.ended, 2);
    send_text(&x, &x.in[0], OPTIONS("1")); /* the other way round, too */
    assert_int_equal(count(x.in[0].text, "SIP/2.0 200 OK\r\n"), 1);
    assert_int_equal(sip_stack_counters(x.w.stack)->connected, 1);
    wire_close(&x.w);
}

static void nothing_is_repeated_and_a_break_fails_at_once(void **state) {
    struct world x;
    (void)state;
    world_open(&x, (struct sip_stack_config){0});
    ask(&x, SIP_TCP, 1);
    run_ms(&x, 10000);
    assert_int_equal(count(x.in[0].text, "REGISTER sip:h"), 1);
    assert_int_equal(x.ended, 0);
    stream_close(x.in[0].stream);
    run_ms(&x, 10);
    assert_int_equal(x.ended, 1);
    assert_int_equal(x.failure, ERR_CLOSED);
    listener_close(x.listener);
    ask(&x, SIP_TCP, 1);
    assert_int_equal(x.ended, 2);
    assert_int_equal(x.failure, ERR_REFUSED);
    assert_int_equal(sip_stack_counters(x.w.stack)->connections, 0);
    assert_int_equal(sip_stack_counters(x.w.stack)->transactions, 0);
    wire_close(&x.w);
}

static void a_response_with_somebody_elses_via_is_not_ours(void **state) {
    struct world x;
    char via[512];
    (void)state;
    world_open(&x, (struct sip_stack_config){0});
    ask(&x, SIP_TCP, 1);
    const char *branch = strstr(x.in[0].text, "branch=");
    snprintf(via, sizeof via, "Via: SIP/2.0/TCP 10.9.9.9:5060;%.*s", (int)strcspn(branch, "\r"),
             branch);
    answer(&x, &x.in[0], via);
    assert_int_equal(x.ended, 0);
    assert_int_equal(sip_stack_counters(x.w.stack)->stray_responses, 1);
    answer(&x, &x.in[0], NULL);
    assert_int_equal(x.ended, 1);
    wire_close(&x.w);
}

static void long_requests_leave_udp(void **state) {
    struct world x;
    (void)state;
    world_open(&x, (struct sip_stack_config){0});
    ask(&x, SIP_UDP, 100);
    assert_int_equal(x.n_in, 0);
    assert_int_equal(x.w.server.n_heard, 1);
    ask(&x, SIP_UDP, 1500);
    assert_int_equal(x.n_in, 1);
    assert_int_equal(count(x.in[0].text, "Via: SIP/2.0/TCP 10.0.0.2:5060;branch="), 1);
    answer(&x, &x.in[0], NULL);
    assert_int_equal(x.status, 200);
    assert_int_equal(sip_stack_counters(x.w.stack)->switched_to_tcp, 1);
    wire_close(&x.w);
}

static void a_peer_without_tcp_gets_the_long_request_over_udp(void **state) {
    struct world x;
    (void)state;
    world_open(&x, (struct sip_stack_config){0});
    listener_close(x.listener);
    ask(&x, SIP_UDP, 1500);
    run_ms(&x, 600);
    assert_true(x.w.server.n_heard >= 2); /* repeated, as over UDP */
    assert_int_equal(count(x.w.server.heard[0].text, "Via: SIP/2.0/UDP 10.0.0.2:5060;branch="), 1);
    assert_int_equal(x.ended, 0);
    wire_close(&x.w);
}

static void a_transport_that_is_not_spoken_fails(void **state) {
    struct world x;
    (void)state;
    world_open(&x, (struct sip_stack_config){0});
    ask(&x, SIP_TLS, 1);
    assert_int_equal(x.failure, ERR_UNSUPPORTED);
    assert_int_equal(x.ended, 1);
    wire_close(&x.w);
}

/* Peers that hold us up. */

static void who_says_nothing_or_half_a_message_is_dropped(void **state) {
    struct world x;
    struct raw mute, half, good;
    (void)state;
    world_open(&x, (struct sip_stack_config){.partial_s = 10, .idle_s = 120});
    connect(&x, &mute);
    connect(&x, &half);
    connect(&x, &good);
    send_text(&x, &half, OPTIONS("1") "OPTIONS sip:h SIP/2.0\r\n");
    send_text(&x, &good, OPTIONS("2"));
    for (int i = 0; i < 14; i++) { /* a byte a second does not help */
        run_ms(&x, 1000);
        if (half.stream) {
            assert_int_equal(stream_send(half.stream, SPAN("X")), OK);
        }
    }
    run_ms(&x, 2000);
    assert_true(mute.closed && half.closed);
    assert_false(good.closed);
    run_ms(&x, 120000);
    assert_true(good.closed);
    assert_int_equal(sip_stack_counters(x.w.stack)->connections_idle, 3);
    wire_close(&x.w);
}

static void when_there_are_too_many_the_oldest_that_is_unproven_goes(void **state) {
    struct world x;
    struct raw good, mute, third, fourth;
    (void)state;
    world_open(&x, (struct sip_stack_config){.connections_max = 2});
    connect(&x, &good);
    send_text(&x, &good, OPTIONS("1"));
    connect(&x, &mute);
    connect(&x, &third);
    assert_true(mute.closed);
    assert_false(good.closed || third.closed);
    send_text(&x, &third, OPTIONS("2"));
    assert_int_equal(count(third.text, "SIP/2.0 200 OK"), 1);
    connect(&x, &fourth); /* all have proven themselves: no room */
    run_ms(&x, 10);
    assert_true(fourth.closed);
    assert_int_equal(sip_stack_counters(x.w.stack)->connections_refused, 1);
    wire_close(&x.w);
}

static size_t takes_nothing(void *ctx, struct stream *s, char *bytes, size_t n) {
    (void)ctx;
    (void)s;
    (void)bytes;
    (void)n;
    return 0;
}

static void who_reads_nothing_is_dropped(void **state) {
    static const struct stream_handler deaf = {raw_connected, takes_nothing, raw_closed};
    struct world x;
    struct raw r = {0};
    (void)state;
    world_open(&x, (struct sip_stack_config){.partial_s = 10, .connections_max = 4});
    assert_int_equal(env_stream_connect(x.w.client.env, &x.w.local, &deaf, &r, &r.stream), OK);
    run_ms(&x, 10);
    for (int i = 0; i < 20000 && r.stream && !r.closed; i++) {
        char text[1024];
        snprintf(text, sizeof text, HEAD("%d", "Content-Length: 0\r\n"), i);
        if (stream_send(r.stream, span_from_cstr(text)) != OK) {
            break;
        }
        if (i % 50 == 0) {
            run_ms(&x, 1);
        }
    }
    run_ms(&x, 40000);
    assert_int_equal(sip_stack_counters(x.w.stack)->connections, 0);
    wire_close(&x.w);
}

/* More than a connection may have under way is refused without a transaction; what ends makes room.
 */
static void a_connection_has_a_bound_of_requests_under_way(void **state) {
    struct world x;
    struct raw r, other;
    (void)state;
    world_open(&x, (struct sip_stack_config){.connection_pending_max = 3});
    connect(&x, &r);
    x.hold = true;
    send_text(&x, &r, OPTIONS("1") OPTIONS("2") OPTIONS("3") OPTIONS("4") OPTIONS("5"));
    assert_int_equal(x.requests, 3);
    assert_int_equal(count(r.text, "SIP/2.0 503 "), 2);
    assert_int_equal(count(r.text, "\r\nRetry-After: "), 2);
    assert_int_equal(count(r.text, "overload"), 2);
    assert_int_equal(sip_stack_counters(x.w.stack)->connection_busy, 2);
    assert_int_equal(sip_stack_counters(x.w.stack)->transactions, 3);
    connect(&x, &other);
    send_text(&x, &other, OPTIONS("6"));
    assert_int_equal(x.requests, 4);
    stream_close(other.stream);
    run_ms(&x, 10);
    send_text(&x, &r, OPTIONS("7"));
    assert_int_equal(x.requests, 4);
    wire_close(&x.w);

    world_open(&x, (struct sip_stack_config){.connection_pending_max = 3});
    connect(&x, &r);
    x.hold = true;
    send_text(&x, &r, OPTIONS("1") OPTIONS("2") OPTIONS("3"));
    assert_int_equal(sip_reply(x.held, 200, SPAN_NONE), OK);
    send_text(&x, &r, OPTIONS("4") OPTIONS("5"));
    assert_int_equal(x.requests, 4);
    assert_int_equal(count(r.text, "SIP/2.0 503 "), 1);
    stream_close(r.stream); /* with four under way */
    run_ms(&x, 10);
    wire_close(&x.w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_are_found_wherever_they_are_split),
        cmocka_unit_test(a_body_belongs_to_its_message),
        cmocka_unit_test(what_cannot_be_framed_is_answered_and_closed),
        cmocka_unit_test(two_empty_lines_are_answered_by_one),
        cmocka_unit_test(stun_is_answered_over_udp),
        cmocka_unit_test(an_answer_finds_its_way_when_the_connection_has_gone),
        cmocka_unit_test(requests_share_a_connection),
        cmocka_unit_test(nothing_is_repeated_and_a_break_fails_at_once),
        cmocka_unit_test(a_response_with_somebody_elses_via_is_not_ours),
        cmocka_unit_test(long_requests_leave_udp),
        cmocka_unit_test(a_peer_without_tcp_gets_the_long_request_over_udp),
        cmocka_unit_test(a_transport_that_is_not_spoken_fails),
        cmocka_unit_test(who_says_nothing_or_half_a_message_is_dropped),
        cmocka_unit_test(when_there_are_too_many_the_oldest_that_is_unproven_goes),
        cmocka_unit_test(who_reads_nothing_is_dropped),
        cmocka_unit_test(a_connection_has_a_bound_of_requests_under_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
