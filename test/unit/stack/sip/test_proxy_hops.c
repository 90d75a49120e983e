/* The proxy core with several next hops (RFC 3263 4.3). covers: HF11 */
#include "stack/sip/proxy.h"

#include "wire.h"

/* Three places where the domain is said to be served; the last one is the server of the wire. */
static const uint8_t hosts[] = {11, 12, 3};
enum { HOPS = COUNT_OF(hosts), EVENTS_MAX = 8 };

struct node {
    struct wire w;
    struct peer others[HOPS - 1];
    uint64_t patience_us, total_us;
    struct span body;
    bool pass_over; /* a 503, if there is another hop */
    unsigned responses, failures;
    enum error events[EVENTS_MAX]; /* what was told of hops */
    struct addr of[EVENTS_MAX];
    size_t n_events;
};

static enum sip_proxy_verdict on_response(void *ctx, struct sip_proxy *proxy, struct sip_server *up,
                                          const struct sip_msg *response, struct sip_edits *edits) {
    struct node *n = ctx;
    (void)up;
    (void)edits;
    n->responses++;
    return n->pass_over && response->status == 503 && sip_proxy_has_next(proxy) ? SIP_PROXY_NEXT
                                                                                : SIP_PROXY_RELAY;
}

static void on_hop(void *ctx, const struct sip_hop *hop, enum error result) {
    struct node *n = ctx;
    assert_true(n->n_events < EVENTS_MAX);
    n->of[n->n_events] = hop->addr;
    n->events[n->n_events++] = result;
}

static enum sip_proxy_verdict on_failed(void *ctx, struct sip_proxy *proxy, struct sip_server *up,
                                        enum error why) {
    struct node *n = ctx;
    (void)proxy;
    (void)up;
    (void)why;
    n->failures++;
    return SIP_PROXY_RELAY;
}

static const struct sip_proxy_handler proxy_handler = {
    .response = on_response, .hop = on_hop, .failed = on_failed};

static struct sip_hop hop_at(size_t i) {
    return (struct sip_hop){addr_v4(10, 0, 0, hosts[i], 5060), SIP_UDP};
}

static void on_request(void *ctx, struct sip_server *tx, const struct sip_msg *req) {
    struct node *n = ctx;
    (void)req;
    struct sip_hop others[] = {hop_at(1), hop_at(2)};
    struct span body = n->body;
    struct sip_forward f = {.to = hop_at(0),
                            .others = others,
                            .n_others = COUNT_OF(others),
                            .patience_us = n->patience_us,
                            .total_us = n->total_us,
                            .body = body.n ? &body : NULL};
    sip_edit_prepend(&f.edits, SIP_H_PATH, SPAN("<sip:p;lr>"));
    assert_int_equal(sip_proxy_forward(tx, &f, &proxy_handler, n, NULL), OK);
}

static void on_cancelled(void *ctx, struct sip_server *tx) {
    (void)ctx;
    sip_proxy_cancel(tx);
}

static const struct sip_stack_handler handler = {.request = on_request, .cancelled = on_cancelled};

static struct node *open_node(uint64_t patience_s, uint64_t total_s) {
    struct node *n = calloc(1, sizeof *n);
    n->patience_us = patience_s * SEC_IN_US;
    n->total_us = total_s * SEC_IN_US;
    wire_open(&n->w, NULL, &handler, n);
    peer_open(&n->w, &n->others[0], "first", hosts[0]);
    peer_open(&n->w, &n->others[1], "second", hosts[1]);
    return n;
}

static void close_node(struct node *n) {
    assert_int_equal(sip_stack_counters(n->w.stack)->transactions, 0);
    env_close(n->others[0].env);
    env_close(n->others[1].env);
    wire_close(&n->w);
    free(n);
}

#define REQUEST(method)                                                                            \
    method " sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1\r\n"                     \
           "From: <sip:a@h>;tag=f\r\nTo: <sip:b@h>\r\nCall-ID: c1\r\nCSeq: 1 " method "\r\n"       \
           "Max-Forwards: 70\r\nContent-Length: 4\r\n\r\nbody"

/* A peer answers what it heard last. */
static void answer(struct node *n, struct peer *p, const char *status) {
    char text[TEXT_MAX];
    const char *request = hear(p, p->n_heard - 1), *vias = strstr(request, "Via: ");
    const char *second = strstr(vias, "\r\nVia: ") + 2;
    snprintf(text, sizeof text,
             "SIP/2.0 %s\r\n%s\r\n%.*s\r\n%s\r\n%s;tag=t\r\n%s\r\n%s\r\nContent-Length: 0\r\n\r\n",
             status, line_of(request, "Via"), (int)strcspn(second, "\r"), second,
             line_of(request, "From"), line_of(request, "To"), line_of(request, "Call-ID"),
             line_of(request, "CSeq"));
    say(&n->w, p, text);
}

static void assert_told(const struct node *n, size_t i, size_t hop, enum error result) {
    assert_true(i < n->n_events);
    struct addr expected = hop_at(hop).addr;
    assert_true(addr_eq(&n->of[i], &expected));
    assert_int_equal(n->events[i], result);
}

static void a_silent_hop_is_left_when_patience_ends(void **state) {
    (void)state;
    struct node *n = open_node(8, 0);
    struct peer *first = &n->others[0], *second = &n->others[1];
    n->body = SPAN("changed");
    say(&n->w, &n->w.client, REQUEST("REGISTER"));
    wait_ms(&n->w, 7900);
    assert_true(first->n_heard > 1);
    assert_int_equal(second->n_heard, 0);
    wait_ms(&n->w, 200);
    assert_int_equal(second->n_heard, 1);
    assert_told(n, 0, 0, ERR_TIMEOUT);
    const char *text = hear(second, 0);
    assert_string_equal(line_of(text, "Path"), "Path: <sip:p;lr>");
    assert_string_equal(line_of(text, "Max-Forwards"), "Max-Forwards: 69");
    assert_string_not_equal(line_of(text, "Via"), line_of(hear(first, 0), "Via"));
    assert_non_null(strstr(text, "\r\n\r\nchanged"));
    answer(n, first, "200 Too Late"); /* of a transaction that is over */
    assert_int_equal(n->responses, 0);
    answer(n, second, "200 OK");
    assert_heard(&n->w.client, 0, "SIP/2.0 200 OK\r\n");
    assert_told(n, 1, 1, OK);
    assert_int_equal(n->failures, 0);
    wait_ms(&n->w, 40000);
    assert_int_equal(n->w.server.n_heard, 0);
    close_node(n);
}

static void the_last_hop_has_all_the_time_and_then_it_failed(void **state) {
    (void)state;
    struct node *n = open_node(2, 0);
    say(&n->w, &n->w.client, REQUEST("REGISTER"));
    wait_ms(&n->w, 4100);
    assert_int_equal(n->w.server.n_heard, 1);
    wait_ms(&n->w, 31000);
    assert_int_equal(n->w.client.n_heard, 0);
    wait_ms(&n->w, 1500);
    assert_heard(&n->w.client, 0, "SIP/2.0 504 ");
    assert_int_equal(n->failures, 1);
    assert_told(n, 2, 2, ERR_TIMEOUT);
    assert_int_equal(n->n_events, 3);
    close_node(n);
}

static void no_other_hop_is_tried_after_the_whole_time(void **state) {
    (void)state;
    struct node *n = open_node(5, 7);
    say(&n->w, &n->w.client, REQUEST("REGISTER"));
    wait_ms(&n->w, 40000);
    assert_int_equal(n->others[1].n_heard > 0, 1);
    assert_int_equal(n->w.server.n_heard, 0);
    assert_heard(&n->w.client, 0, "SIP/2.0 504 ");
    close_node(n);
}

static void a_hop_that_is_out_of_order_is_passed_over(void **state) {
    (void)state;
    struct node *n = open_node(8, 0);
    n->pass_over = true;
    say(&n->w, &n->w.client, REQUEST("REGISTER"));
    answer(n, &n->others[0], "503 Not Today");
    answer(n, &n->others[1], "503 Not Today");
    assert_int_equal(n->w.client.n_heard, 0);
    answer(n, &n->w.server, "503 Not Today Either"); /* nobody else: the client hears it */
    assert_heard(&n->w.client, 0, "SIP/2.0 503 Not Today Either\r\n");
    assert_told(n, 1, 0, ERR_BUSY);
    assert_told(n, 4, 2, OK);
    close_node(n);
}

static void a_call_that_is_cancelled_goes_to_no_other_hop(void **state) {
    (void)state;
    struct node *n = open_node(8, 0);
    say(&n->w, &n->w.client, REQUEST("INVITE"));
    say(&n->w, &n->w.client, REQUEST("CANCEL"));
    wait_ms(&n->w, 70000);
    assert_true(n->others[0].n_heard > 0);
    assert_int_equal(n->others[1].n_heard, 0);
    close_node(n);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_silent_hop_is_left_when_patience_ends),
        cmocka_unit_test(the_last_hop_has_all_the_time_and_then_it_failed),
        cmocka_unit_test(no_other_hop_is_tried_after_the_whole_time),
        cmocka_unit_test(a_hop_that_is_out_of_order_is_passed_over),
        cmocka_unit_test(a_call_that_is_cancelled_goes_to_no_other_hop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
