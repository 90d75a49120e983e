/* The proxy core, between a client and a server that speak text. covers: A4 A5 */
#include "stack/sip/proxy.h"

#include "wire.h"

enum reaction { JUST_RELAY, REFUSE_403, SWALLOW, FORWARD_AGAIN };

struct node {
    struct wire w;
    enum reaction reaction;
    struct sip_proxy *proxy;
    struct sip_server *up;
    unsigned responses, failures, ended;
};

static void forward(struct node *n, struct sip_server *up);

static enum sip_proxy_verdict react(struct node *n, struct sip_server *up) {
    switch (n->reaction) {
    case REFUSE_403:
        assert_int_equal(sip_reply(up, 403, SPAN_NONE), OK);
        return SIP_PROXY_TAKEN;
    case FORWARD_AGAIN:
        n->reaction = JUST_RELAY;
        forward(n, up);
        return SIP_PROXY_TAKEN;
    case SWALLOW:
        n->reaction = JUST_RELAY;
        return SIP_PROXY_TAKEN;
    default:
        return SIP_PROXY_RELAY;
    }
}

static enum sip_proxy_verdict on_response(void *ctx, struct sip_proxy *proxy, struct sip_server *up,
                                          const struct sip_msg *response, struct sip_edits *edits) {
    struct node *n = ctx;
    (void)proxy;
    n->responses++;
    sip_edit_remove(edits, SIP_H_PATH);
    sip_edit_append(edits, SIP_H_SERVICE_ROUTE, SPAN("<sip:s;lr>"));
    return response->status >= 200 || n->reaction == SWALLOW ? react(n, up) : SIP_PROXY_RELAY;
}

static enum sip_proxy_verdict on_failed(void *ctx, struct sip_proxy *proxy, struct sip_server *up,
                                        enum error why) {
    struct node *n = ctx;
    (void)proxy;
    assert_int_equal(why, ERR_TIMEOUT);
    n->failures++;
    return react(n, up);
}

static void on_ended(void *ctx, struct sip_proxy *proxy) {
    struct node *n = ctx;
    (void)proxy;
    n->ended++;
}

static const struct sip_proxy_handler proxy_handler = {
    .response = on_response, .failed = on_failed, .ended = on_ended};

static void forward(struct node *n, struct sip_server *up) {
    struct sip_forward f = {.to = {n->w.server.addr, SIP_UDP}};
    sip_edit_pop(&f.edits, SIP_H_ROUTE);
    sip_edit_prepend(&f.edits, SIP_H_PATH, SPAN("<sip:p;lr>"));
    if (sip_has(sip_server_request(up), SIP_H_SUBJECT)) {
        f.uri = SPAN("sip:other@h");
    }
    enum error e = sip_proxy_forward(up, &f, &proxy_handler, n, &n->proxy);
    assert_true(e == OK || e == ERR_REFUSED);
}

static void on_request(void *ctx, struct sip_server *tx, const struct sip_msg *req) {
    (void)req;
    struct node *n = ctx;
    n->up = tx;
    forward(n, tx);
}

static void on_cancelled(void *ctx, struct sip_server *tx) {
    (void)ctx;
    sip_proxy_cancel(tx);
}

static void on_ack(void *ctx, struct sip_stack *stack, const struct sip_msg *ack,
                   const struct sip_hop *from) {
    struct node *n = ctx;
    (void)from;
    struct sip_forward f = {.to = {n->w.server.addr, SIP_UDP}};
    assert_int_equal(sip_proxy_forward_ack(stack, ack, &f), OK);
}

static const struct sip_stack_handler handler = {
    .request = on_request, .cancelled = on_cancelled, .ack = on_ack};

static struct node *open_node(const char *process) {
    struct node *n = calloc(1, sizeof *n);
    n->w.process = process;
    wire_open(&n->w, NULL, &handler, n);
    return n;
}

static void close_node(struct node *n) {
    wire_close(&n->w);
    free(n);
}

#define HEAD(method, branch)                                                                       \
    method " sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1;rport;branch=z9hG4bK" branch "\r\n"
#define TAIL(method)                                                                               \
    "Route: <sip:10.0.0.2;lr>, <sip:next;lr>\r\nFrom: <sip:a@h>;tag=f\r\nTo: <sip:b@h>\r\n"        \
    "Call-ID: c1\r\nCSeq: 1 " method "\r\nContent-Length: 4\r\n\r\nbody"
#define REQUEST(method) HEAD(method, "1") "Max-Forwards: 70\r\n" TAIL(method)

/* The server answers message i that it heard, with all its Vias. */
static void answer(struct node *n, size_t i, const char *status, const char *more) {
    char text[TEXT_MAX];
    const char *request = hear(&n->w.server, i), *vias = strstr(request, "Via: ");
    const char *second = strstr(vias + 1, "\r\nVia: ");
    assert_non_null(second);
    snprintf(text, sizeof text,
             "SIP/2.0 %s\r\n%s%.*s\r\n%s\r\n%s;tag=t\r\n%s\r\n%s\r\n%sContent-Length: 2\r\n\r\nok",
             status, line_of(request, "Via"), (int)(2 + strcspn(second + 2, "\r")), second,
             line_of(request, "From"), line_of(request, "To"), line_of(request, "Call-ID"),
             line_of(request, "CSeq"), more);
    say(&n->w, &n->w.server, text);
}

static const struct sip_stack_counters *counters(struct node *n) {
    return sip_stack_counters(n->w.stack);
}

static void a_request_goes_on_and_its_answer_comes_back(void **state) {
    const char *const processes[] = {NULL, "one"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(processes); i++) {
        struct node *n = open_node(processes[i]);
        struct peer *c = &n->w.client, *s = &n->w.server;
        say(&n->w, c, REQUEST("REGISTER"));
        const char *text = hear(s, 0);
        assert_heard(s, 0, "REGISTER sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.2:5060;branch=");
        assert_non_null(strstr(text, "\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1;rport=5060;"
                                     "received=10.0.0.1\r\n"));
        assert_string_equal(line_of(text, "Max-Forwards"), "Max-Forwards: 69");
        assert_string_equal(line_of(text, "Route"), "Route: <sip:next;lr>");
        assert_string_equal(line_of(text, "Path"), "Path: <sip:p;lr>");
        assert_non_null(strstr(text, "\r\nContent-Length: 4\r\n\r\nbody"));
        answer(n, 0, "401 Come Again", "Path: x\r\nWWW-Authenticate: Digest realm=\"r\"\r\n");
        text = hear(c, 0);
        assert_heard(c, 0, "SIP/2.0 401 Come Again\r\nVia: SIP/2.0/UDP 10.0.0.1;");
        assert_null(strstr(text, "10.0.0.2"));
        assert_string_equal(line_of(text, "Path"), "");
        assert_string_equal(line_of(text, "Service-Route"), "Service-Route: <sip:s;lr>");
        assert_string_equal(line_of(text, "To"), "To: <sip:b@h>;tag=t");
        assert_non_null(strstr(text, "\r\nContent-Length: 2\r\n\r\nok"));
        assert_int_equal(n->ended, 1);
        assert_int_equal(counters(n)->transactions, 0);
        say(&n->w, c, REQUEST("REGISTER"));
        assert_int_equal(s->n_heard, processes[i] ? 2 : 1); /* repeated: the answer was kept */
        close_node(n);
    }
}

static void the_request_uri_may_change_and_max_forwards_is_added(void **state) {
    (void)state;
    struct node *n = open_node(NULL);
    say(&n->w, &n->w.client, HEAD("MESSAGE", "1") "Subject: x\r\n" TAIL("MESSAGE"));
    assert_heard(&n->w.server, 0, "MESSAGE sip:other@h SIP/2.0\r\n");
    assert_string_equal(line_of(hear(&n->w.server, 0), "Max-Forwards"), "Max-Forwards: 70");
    close_node(n);
}

static void hops_run_out_and_loops_are_seen(void **state) {
    (void)state;
    struct node *n = open_node(NULL);
    struct peer *c = &n->w.client, *s = &n->w.server;
    say(&n->w, c, HEAD("OPTIONS", "1") "Max-Forwards: 0\r\n" TAIL("OPTIONS"));
    assert_heard(c, 0, "SIP/2.0 483 Too Many Hops\r\n");
    assert_int_equal(s->n_heard, 0);
    say(&n->w, c, HEAD("OPTIONS", "2") "Max-Forwards: 5\r\n" TAIL("OPTIONS"));
    /* What was forwarded comes back as it was, with another Via on top. */
    char again[TEXT_MAX];
    snprintf(again, sizeof again, HEAD("OPTIONS", "3") "%s\r\nMax-Forwards: 4\r\n" TAIL("OPTIONS"),
             line_of(hear(s, 0), "Via"));
    say(&n->w, c, again);
    assert_heard(c, 1, "SIP/2.0 482 Loop Detected\r\n");
    /* A spiral has another Request-URI. */
    again[strlen("OPTIONS sip:")] = 'x';
    again[strlen(HEAD("OPTIONS", "")) - 2] = '4';
    say(&n->w, c, again);
    assert_int_equal(s->n_heard, 2);
    close_node(n);
}

static void silence_becomes_504_or_408(void **state) {
    (void)state;
    struct node *n = open_node(NULL);
    struct peer *c = &n->w.client;
    say(&n->w, c, REQUEST("REGISTER"));
    wait_ms(&n->w, 32100);
    assert_heard(c, 0, "SIP/2.0 504 ");
    assert_int_equal(n->failures, 1);
    assert_int_equal(n->ended, 1);
    say(&n->w, c, HEAD("INVITE", "2") TAIL("INVITE"));
    assert_heard(c, 1, "SIP/2.0 100 Trying\r\n");
    wait_ms(&n->w, 32100);
    assert_heard(c, 2, "SIP/2.0 408 ");
    assert_int_equal(n->ended, 2);
    wait_ms(&n->w, 33000);
    assert_int_equal(counters(n)->transactions, 0);
    close_node(n);
}

static void the_node_may_answer_itself(void **state) {
    (void)state;
    struct node *n = open_node("one");
    n->reaction = REFUSE_403;
    say(&n->w, &n->w.client, REQUEST("REGISTER"));
    answer(n, 0, "200 OK", "");
    assert_heard(&n->w.client, 0, "SIP/2.0 403 Forbidden\r\n");
    assert_int_equal(n->w.client.n_heard, 1);
    assert_int_equal(n->ended, 1);
    assert_int_equal(counters(n)->transactions, 0);
    close_node(n);
}

static void the_node_may_forward_again(void **state) {
    (void)state;
    struct node *n = open_node("one");
    n->reaction = FORWARD_AGAIN;
    say(&n->w, &n->w.client, REQUEST("REGISTER"));
    answer(n, 0, "480 Not Here", "");
    assert_int_equal(n->w.client.n_heard, 0);
    assert_int_equal(n->ended, 1);
    assert_string_not_equal(line_of(hear(&n->w.server, 0), "Via"),
                            line_of(hear(&n->w.server, 1), "Via"));
    answer(n, 1, "200 OK", "");
    assert_heard(&n->w.client, 0, "SIP/2.0 200 OK\r\n");
    assert_int_equal(n->ended, 2);
    n->reaction = FORWARD_AGAIN;
    say(&n->w, &n->w.client, REQUEST("REGISTER"));
    wait_ms(&n->w, 32100); /* the first in vain, then another */
    assert_int_equal(n->failures, 1);
    answer(n, 3, "200 OK", "");
    assert_heard(&n->w.client, 1, "SIP/2.0 200 OK\r\n");
    assert_int_equal(counters(n)->transactions, 0);
    close_node(n);
}

static void a_call_is_set_up(void **state) {
    (void)state;
    struct node *n = open_node(NULL);
    struct peer *c = &n->w.client, *s = &n->w.server;
    say(&n->w, c, REQUEST("INVITE"));
    assert_heard(c, 0, "SIP/2.0 100 Trying\r\n");
    answer(n, 0, "100 Trying", "");
    assert_int_equal(c->n_heard, 1); /* hop by hop */
    answer(n, 0, "180 Ringing", "");
    assert_heard(c, 1, "SIP/2.0 180 Ringing\r\n");
    n->reaction = SWALLOW;
    answer(n, 0, "183 Session Progress", "");
    assert_int_equal(c->n_heard, 2);
    answer(n, 0, "200 OK", "");
    answer(n, 0, "200 OK", "");
    assert_heard(c, 2, "SIP/2.0 200 OK\r\n");
    assert_heard(c, 3, "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 10.0.0.1;");
    say(&n->w, c, HEAD("ACK", "9") TAIL("ACK"));
    assert_heard(s, 1, "ACK sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.2:5060;branch=");
    assert_int_equal(n->ended, 0);
    wait_ms(&n->w, 32100);
    assert_int_equal(n->ended, 1);
    assert_int_equal(counters(n)->transactions, 0);
    close_node(n);
}

static void a_cancel_is_passed_on(void **state) {
    (void)state;
    struct node *n = open_node(NULL);
    struct peer *c = &n->w.client, *s = &n->w.server;
    say(&n->w, c, REQUEST("INVITE"));
    answer(n, 0, "180 Ringing", "");
    say(&n->w, c, REQUEST("CANCEL"));
    assert_heard(c, 2, "SIP/2.0 200 OK\r\n");
    assert_heard(s, 1, "CANCEL sip:b@h SIP/2.0\r\n");
    answer(n, 0, "487 Request Terminated", "");
    assert_heard(s, 2, "ACK ");
    assert_heard(c, 3, "SIP/2.0 487 ");
    assert_int_equal(n->ended, 1);
    close_node(n);
}

static void timer_c_gives_up_a_call_that_only_rings(void **state) {
    (void)state;
    struct node *n = open_node(NULL);
    struct peer *c = &n->w.client, *s = &n->w.server;
    say(&n->w, c, REQUEST("INVITE"));
    answer(n, 0, "180 Ringing", "");
    wait_ms(&n->w, 170000);
    answer(n, 0, "180 Ringing", ""); /* starts it anew */
    wait_ms(&n->w, 170000);
    assert_int_equal(s->n_heard, 1);
    wait_ms(&n->w, 12000);
    assert_heard(s, 1, "CANCEL ");
    wait_ms(&n->w, 33000);
    assert_heard(c, 3, "SIP/2.0 408 ");
    assert_int_equal(n->ended, 1);
    close_node(n);
}

static void an_abandoned_forwarding_is_answered_500(void **state) {
    (void)state;
    struct node *n = open_node(NULL);
    say(&n->w, &n->w.client, REQUEST("REGISTER"));
    sip_proxy_free(n->proxy);
    sip_proxy_free(NULL);
    wait_ms(&n->w, 1);
    assert_heard(&n->w.client, 0, "SIP/2.0 500 ");
    answer(n, 0, "200 OK", "");
    assert_int_equal(n->responses + n->ended, 0);
    assert_int_equal(counters(n)->transactions, 0);
    close_node(n);
}

static void a_node_that_answers_while_it_forwards_ends_that(void **state) {
    (void)state;
    struct node *n = open_node(NULL);
    say(&n->w, &n->w.client, REQUEST("REGISTER"));
    assert_int_equal(sip_reply(n->up, 503, SPAN_NONE), OK);
    answer(n, 0, "200 OK", "");
    assert_int_equal(n->w.client.n_heard, 1);
    assert_int_equal(n->responses, 0);
    assert_int_equal(counters(n)->transactions, 0);
    close_node(n);
}

static void a_stack_goes_down_with_calls_under_way(void **state) {
    (void)state;
    struct node *n = open_node(NULL);
    say(&n->w, &n->w.client, REQUEST("INVITE"));
    answer(n, 0, "180 Ringing", "");
    say(&n->w, &n->w.client, HEAD("INVITE", "2") TAIL("INVITE"));
    answer(n, 1, "200 OK", "");
    say(&n->w, &n->w.client, HEAD("MESSAGE", "3") TAIL("MESSAGE"));
    close_node(n);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_goes_on_and_its_answer_comes_back),
        cmocka_unit_test(the_request_uri_may_change_and_max_forwards_is_added),
        cmocka_unit_test(hops_run_out_and_loops_are_seen),
        cmocka_unit_test(silence_becomes_504_or_408),
        cmocka_unit_test(the_node_may_answer_itself),
        cmocka_unit_test(the_node_may_forward_again),
        cmocka_unit_test(a_call_is_set_up),
        cmocka_unit_test(a_cancel_is_passed_on),
        cmocka_unit_test(timer_c_gives_up_a_call_that_only_rings),
        cmocka_unit_test(an_abandoned_forwarding_is_answered_500),
        cmocka_unit_test(a_node_that_answers_while_it_forwards_ends_that),
        cmocka_unit_test(a_stack_goes_down_with_calls_under_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
