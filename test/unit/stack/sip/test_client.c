/* Client transactions. covers: A4 */
#include "wire.h"

struct node {
    struct wire w;
    struct sip_client *tx;
    unsigned responses, timeouts, errors, ended;
    unsigned status; /* of the newest response */
    bool free_on_response;
};

static void on_request(void *ctx, struct sip_server *tx, const struct sip_msg *req) {
    (void)ctx;
    (void)req;
    sip_server_free(tx);
}

static void on_response(void *ctx, struct sip_client *tx, const struct sip_msg *response) {
    struct node *n = ctx;
    assert_ptr_equal(tx, n->tx);
    n->responses++;
    n->status = response->status;
    if (n->free_on_response) {
        sip_client_free(tx);
    }
}

static void on_timeout(void *ctx, struct sip_client *tx) {
    struct node *n = ctx;
    assert_ptr_equal(tx, n->tx);
    n->timeouts++;
}

static void on_error(void *ctx, struct sip_client *tx, enum error why) {
    struct node *n = ctx;
    assert_ptr_equal(tx, n->tx);
    assert_int_not_equal(why, OK);
    n->errors++;
}

static void on_ended(void *ctx, struct sip_client *tx) {
    struct node *n = ctx;
    assert_ptr_equal(tx, n->tx);
    n->ended++;
}

static const struct sip_stack_handler stack_handler = {.request = on_request};
static const struct sip_client_handler handler = {on_response, on_timeout, on_error, on_ended};

static struct node *open_node(const struct sip_stack_config *config, const char *process) {
    struct node *n = calloc(1, sizeof *n);
    n->w.process = process;
    wire_open(&n->w, config, &stack_handler, n);
    return n;
}

static void close_node(struct node *n) {
    wire_close(&n->w);
    free(n);
}

static void send_request(struct node *n, enum sip_method method) {
    struct buf *b = sip_client_begin(n->w.stack, 0, &(struct sip_hop){n->w.server.addr, SIP_UDP},
                                     sip_method_name(method), SPAN("sip:b@h"), &n->tx);
    assert_non_null(b);
    sip_put(b, SIP_H_MAX_FORWARDS, SPAN("70"));
    sip_put(b, SIP_H_ROUTE, SPAN("<sip:r;lr>"));
    sip_put(b, SIP_H_FROM, SPAN("<sip:a@h>;tag=f"));
    sip_put(b, SIP_H_TO, SPAN("<sip:b@h>"));
    sip_put(b, SIP_H_CALL_ID, SPAN("c1"));
    sip_put_begin(b, SIP_H_CSEQ);
    buf_cstr(b, "7 ");
    buf_put(b, sip_method_name(method));
    sip_put_end(b);
    assert_int_equal(sip_client_send(n->tx, SPAN("body"), &handler, n), OK);
    wait_ms(&n->w, 1);
}

/* The server answers message i that it heard. */
static void answer(struct node *n, size_t i, const char *status) {
    char text[TEXT_MAX];
    const char *request = hear(&n->w.server, i);
    snprintf(text, sizeof text, "SIP/2.0 %s\r\n%s\r\n%s\r\n%s;tag=t\r\n%s\r\n%s\r\n\r\n", status,
             line_of(request, "Via"), line_of(request, "From"), line_of(request, "To"),
             line_of(request, "Call-ID"), line_of(request, "CSeq"));
    say(&n->w, &n->w.server, text);
}

static const struct sip_stack_counters *counters(struct node *n) {
    return sip_stack_counters(n->w.stack);
}

static void assert_times(struct node *n, const unsigned *at_ms, size_t count) {
    struct peer *s = &n->w.server;
    assert_int_equal(s->n_heard, count);
    for (size_t i = 0; i < count; i++) {
        assert_in_range(s->heard[i].at_us, at_ms[i] * 1000, at_ms[i] * 1000 + 20000);
        assert_string_equal(s->heard[0].text, s->heard[i].text);
    }
}

static void a_request_is_repeated_by_timer_e_and_gives_up_by_timer_f(void **state) {
    (void)state;
    struct node *n = open_node(NULL, NULL);
    static const unsigned at_ms[] = {0,     500,   1500,  3500,  7500, 11500,
                                     15500, 19500, 23500, 27500, 31500};
    send_request(n, SIP_OPTIONS);
    wait_ms(&n->w, 31900);
    assert_times(n, at_ms, COUNT_OF(at_ms));
    assert_int_equal(n->timeouts, 0);
    wait_ms(&n->w, 200);
    assert_int_equal(n->timeouts, 1);
    assert_int_equal(counters(n)->transactions, 0);
    assert_int_equal(counters(n)->timeouts, 1);
    close_node(n);
}

static void an_invite_is_repeated_by_timer_a_and_gives_up_by_timer_b(void **state) {
    (void)state;
    struct node *n = open_node(NULL, NULL);
    static const unsigned at_ms[] = {0, 500, 1500, 3500, 7500, 15500, 31500};
    send_request(n, SIP_INVITE);
    wait_ms(&n->w, 32100);
    assert_times(n, at_ms, COUNT_OF(at_ms));
    assert_int_equal(n->timeouts, 1);
    close_node(n);
}

static void over_a_reliable_transport_nothing_is_repeated(void **state) {
    (void)state;
    struct node *n = open_node(NULL, "one");
    send_request(n, SIP_OPTIONS);
    wait_ms(&n->w, 31000);
    assert_int_equal(n->w.server.n_heard, 1);
    wait_ms(&n->w, 1100);
    assert_int_equal(n->timeouts, 1);
    close_node(n);
}

static void the_own_via_stands_on_top(void **state) {
    (void)state;
    struct sip_stack_config config = {.sent_by = SPAN_INIT("pcscf.home:5060"), .rport = true};
    struct node *n = open_node(&config, NULL);
    send_request(n, SIP_OPTIONS);
    const char *text = hear(&n->w.server, 0);
    static const char via[] =
        "OPTIONS sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP pcscf.home:5060;rport;branch=z9hG4bK";
    assert_heard(&n->w.server, 0, via);
    assert_int_equal(strcspn(text + sizeof via - 1, "\r"), 16);
    assert_non_null(strstr(text, "Content-Length: 4\r\n\r\nbody"));
    close_node(n);
}

static void responses_reach_their_transaction_once(void **state) {
    (void)state;
    struct node *n = open_node(NULL, NULL);
    send_request(n, SIP_OPTIONS);
    answer(n, 0, "100 Trying");
    assert_int_equal(n->status, 100);
    wait_ms(&n->w, 5000); /* Proceeding: repeated each T2 after what was under way */
    assert_int_equal(n->w.server.n_heard, 3);
    answer(n, 0, "200 OK");
    assert_int_equal(n->status, 200);
    assert_int_equal(counters(n)->transactions, 0);
    answer(n, 0, "200 OK");
    assert_int_equal(n->responses, 2);
    assert_int_equal(counters(n)->stray_responses, 1);
    wait_ms(&n->w, 40000);
    assert_int_equal(n->w.server.n_heard, 3);
    assert_int_equal(n->timeouts, 0);
    close_node(n);
}

static void strangers_responses_are_dropped(void **state) {
    (void)state;
    struct node *n = open_node(NULL, NULL);
    send_request(n, SIP_OPTIONS);
    static const char rest[] = "From: <sip:a@h>;tag=f\r\nTo: <sip:b@h>;tag=t\r\nCall-ID: c1\r\n";
    static const char *const vias[] = {"x", "z9hG4bK", "z9hG4bK0123456789abcdef", "z9hG4bKzzzz"};
    for (size_t i = 0; i < COUNT_OF(vias); i++) {
        char text[512];
        snprintf(text, sizeof text,
                 "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h;branch=%s\r\n%sCSeq: 7 OPTIONS\r\n\r\n",
                 vias[i], rest);
        say(&n->w, &n->w.server, text);
    }
    char text[512];
    snprintf(text, sizeof text, "SIP/2.0 200 OK\r\n%s\r\n%sCSeq: 7 MESSAGE\r\n\r\n",
             line_of(hear(&n->w.server, 0), "Via"), rest);
    say(&n->w, &n->w.server, text); /* right branch, wrong method */
    assert_int_equal(n->responses, 0);
    assert_int_equal(counters(n)->stray_responses, COUNT_OF(vias) + 1);
    close_node(n); /* with the transaction under way */
}

static void a_refused_invite_is_acknowledged_each_time(void **state) {
    (void)state;
    struct node *n = open_node(NULL, NULL);
    struct peer *s = &n->w.server;
    send_request(n, SIP_INVITE);
    answer(n, 0, "180 Ringing");
    answer(n, 0, "486 Busy Here");
    assert_int_equal(n->status, 486);
    assert_heard(s, 1, "ACK sip:b@h SIP/2.0\r\n");
    assert_string_equal(line_of(hear(s, 1), "Via"), line_of(hear(s, 0), "Via"));
    assert_string_equal(line_of(hear(s, 1), "To"), "To: <sip:b@h>;tag=t");
    assert_string_equal(line_of(hear(s, 1), "CSeq"), "CSeq: 7 ACK");
    assert_string_equal(line_of(hear(s, 1), "Route"), "Route: <sip:r;lr>");
    assert_string_equal(line_of(hear(s, 1), "Max-Forwards"), "Max-Forwards: 70");
    assert_non_null(strstr(hear(s, 1), "Content-Length: 0\r\n\r\n"));
    answer(n, 0, "486 Busy Here");
    assert_heard(s, 2, "ACK ");
    assert_int_equal(n->responses, 2);
    wait_ms(&n->w, 32100); /* timer D */
    assert_int_equal(counters(n)->transactions, 0);
    assert_int_equal(n->timeouts + n->ended, 0);
    close_node(n);
}

static void an_accepted_invite_passes_every_2xx_until_timer_m(void **state) {
    (void)state;
    struct node *n = open_node(NULL, NULL);
    send_request(n, SIP_INVITE);
    answer(n, 0, "200 OK");
    answer(n, 0, "200 OK");
    assert_int_equal(n->responses, 2);
    assert_int_equal(n->w.server.n_heard, 1); /* no ACK from the transaction */
    wait_ms(&n->w, 31500);
    assert_int_equal(n->ended, 0);
    wait_ms(&n->w, 600);
    assert_int_equal(n->ended, 1);
    assert_int_equal(counters(n)->transactions, 0);
    close_node(n);
}

static void a_cancel_waits_for_a_provisional_response(void **state) {
    (void)state;
    struct node *n = open_node(NULL, NULL);
    struct peer *s = &n->w.server;
    send_request(n, SIP_INVITE);
    sip_client_cancel(n->tx);
    sip_client_cancel(n->tx);
    wait_ms(&n->w, 100);
    assert_int_equal(s->n_heard, 1);
    answer(n, 0, "180 Ringing");
    assert_heard(s, 1, "CANCEL sip:b@h SIP/2.0\r\n");
    assert_string_equal(line_of(hear(s, 1), "Via"), line_of(hear(s, 0), "Via"));
    assert_string_equal(line_of(hear(s, 1), "CSeq"), "CSeq: 7 CANCEL");
    assert_string_equal(line_of(hear(s, 1), "To"), "To: <sip:b@h>");
    wait_ms(&n->w, 600);
    assert_heard(s, 2, "CANCEL "); /* repeated like any other request */
    answer(n, 1, "200 OK");
    answer(n, 0, "487 Request Terminated");
    assert_heard(s, 3, "ACK ");
    assert_int_equal(n->status, 487);
    wait_ms(&n->w, 32100);
    assert_int_equal(counters(n)->transactions, 0);
    close_node(n);
}

static void a_cancelled_invite_that_hears_nothing_ends(void **state) {
    (void)state;
    struct node *n = open_node(NULL, NULL);
    send_request(n, SIP_INVITE);
    answer(n, 0, "180 Ringing");
    wait_ms(&n->w, 60000); /* a provisional response stops timer B */
    assert_int_equal(n->timeouts, 0);
    sip_client_cancel(n->tx);
    wait_ms(&n->w, 32100);
    assert_int_equal(n->timeouts, 1);
    assert_int_equal(counters(n)->transactions, 0);
    close_node(n);
}

static void a_forgotten_transaction_calls_nobody(void **state) {
    (void)state;
    struct node *n = open_node(NULL, NULL);
    send_request(n, SIP_OPTIONS);
    sip_client_free(n->tx);
    assert_int_equal(counters(n)->transactions, 0);
    answer(n, 0, "200 OK");
    send_request(n, SIP_INVITE);
    sip_client_free(n->tx);
    answer(n, 1, "486 Busy Here");
    assert_heard(&n->w.server, 2, "ACK "); /* all the same */
    assert_int_equal(n->responses, 0);
    sip_client_free(NULL);
    close_node(n);
}

static void a_transaction_may_be_freed_in_its_callback(void **state) {
    (void)state;
    struct node *n = open_node(NULL, NULL);
    n->free_on_response = true;
    send_request(n, SIP_OPTIONS);
    answer(n, 0, "100 Trying");
    answer(n, 0, "200 OK");
    assert_int_equal(n->responses, 1);
    send_request(n, SIP_OPTIONS);
    answer(n, 1, "200 OK");
    assert_int_equal(n->responses, 2);
    send_request(n, SIP_INVITE);
    answer(n, 2, "404 Not Found");
    assert_int_equal(n->responses, 3);
    close_node(n);
}

static void a_request_that_is_not_sent_may_be_dropped(void **state) {
    (void)state;
    struct node *n = open_node(NULL, NULL);
    assert_non_null(sip_client_begin(n->w.stack, 0, &(struct sip_hop){n->w.server.addr, SIP_UDP},
                                     SPAN("OPTIONS"), SPAN("sip:b"), &n->tx));
    sip_client_free(n->tx);
    assert_int_equal(counters(n)->transactions, 0);
    char body[66000] = {0};
    assert_non_null(sip_client_begin(n->w.stack, 0, &(struct sip_hop){n->w.server.addr, SIP_UDP},
                                     SPAN("OPTIONS"), SPAN("sip:b"), &n->tx));
    assert_int_equal(sip_client_send(n->tx, span_of(body, sizeof body), &handler, n), ERR_TOO_BIG);
    assert_int_equal(counters(n)->transactions, 0);
    assert_int_equal(n->errors, 0);
    close_node(n);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_repeated_by_timer_e_and_gives_up_by_timer_f),
        cmocka_unit_test(an_invite_is_repeated_by_timer_a_and_gives_up_by_timer_b),
        cmocka_unit_test(over_a_reliable_transport_nothing_is_repeated),
        cmocka_unit_test(the_own_via_stands_on_top),
        cmocka_unit_test(responses_reach_their_transaction_once),
        cmocka_unit_test(strangers_responses_are_dropped),
        cmocka_unit_test(a_refused_invite_is_acknowledged_each_time),
        cmocka_unit_test(an_accepted_invite_passes_every_2xx_until_timer_m),
        cmocka_unit_test(a_cancel_waits_for_a_provisional_response),
        cmocka_unit_test(a_cancelled_invite_that_hears_nothing_ends),
        cmocka_unit_test(a_forgotten_transaction_calls_nobody),
        cmocka_unit_test(a_transaction_may_be_freed_in_its_callback),
        cmocka_unit_test(a_request_that_is_not_sent_may_be_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
