/* Server transactions and what the stack answers by itself. covers: A4 HA5 */
#include "obs/trace.h"
#include "wire.h"

struct node {
    struct wire w;
    struct sip_server *tx; /* the newest */
    unsigned requests, cancelled, acks;
};

static void on_request(void *ctx, struct sip_server *tx, const struct sip_msg *req) {
    struct node *n = ctx;
    (void)req;
    n->tx = tx;
    n->requests++;
}

static void on_cancelled(void *ctx, struct sip_server *tx) {
    struct node *n = ctx;
    assert_ptr_equal(tx, n->tx);
    assert_true(sip_server_is_cancelled(tx));
    n->cancelled++;
    assert_int_equal(sip_reply(tx, 487, SPAN_NONE), OK);
}

static void on_ack(void *ctx, struct sip_stack *stack, const struct sip_msg *ack,
                   const struct sip_hop *from) {
    struct node *n = ctx;
    (void)stack;
    (void)from;
    assert_int_equal(ack->method, SIP_ACK);
    n->acks++;
}

static const struct sip_stack_handler handler = {
    .request = on_request, .cancelled = on_cancelled, .ack = on_ack};

static struct node *open_node(const struct sip_stack_config *config, const char *process) {
    struct node *n = calloc(1, sizeof *n);
    n->w.process = process;
    wire_open(&n->w, config, &handler, n);
    return n;
}

static void close_node(struct node *n) {
    wire_close(&n->w);
    free(n);
}

#define REST(cseq)                                                                                 \
    "From: <sip:a@h>;tag=f\r\nTo: <sip:b@h>\r\nCall-ID: c1\r\nMax-Forwards: 70\r\nCSeq: " cseq     \
    "\r\nContent-Length: 0\r\n\r\n"
#define VIA(branch) "Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK" branch "\r\n"
#define OPTIONS     "OPTIONS sip:b@h SIP/2.0\r\n" VIA("o1") REST("1 OPTIONS")
#define INVITE      "INVITE sip:b@h SIP/2.0\r\n" VIA("i1") REST("1 INVITE")
#define CANCEL      "CANCEL sip:b@h SIP/2.0\r\n" VIA("i1") REST("1 CANCEL")
#define ACK         "ACK sip:b@h SIP/2.0\r\n" VIA("i1") REST("1 ACK")
#define ACK_2XX     "ACK sip:b@h SIP/2.0\r\n" VIA("a2") REST("1 ACK")

static const struct sip_stack_counters *counters(struct node *n) {
    return sip_stack_counters(n->w.stack);
}

static void a_repeated_request_is_shown_once_and_answered_again(void **state) {
    (void)state;
    struct node *n = open_node(NULL, NULL);
    struct peer *c = &n->w.client;
    say(&n->w, c, OPTIONS);
    say(&n->w, c, OPTIONS); /* Trying: absorbed */
    assert_int_equal(c->n_heard, 0);
    assert_int_equal(sip_reply(n->tx, 182, SPAN_NONE), OK);
    say(&n->w, c, OPTIONS); /* Proceeding: the provisional answer again */
    assert_int_equal(c->n_heard, 2);
    assert_string_equal(hear(c, 0), hear(c, 1));
    assert_int_equal(sip_reply(n->tx, 200, SPAN_NONE), OK);
    say(&n->w, c, OPTIONS); /* Completed */
    assert_int_equal(c->n_heard, 4);
    assert_heard(c, 2, "SIP/2.0 200 OK\r\n");
    assert_string_equal(hear(c, 2), hear(c, 3));
    assert_int_equal(n->requests, 1);
    assert_int_equal(counters(n)->received_again, 3);
    assert_int_equal(counters(n)->transactions, 0);
    assert_int_equal(counters(n)->answers, 1);
    assert_true(counters(n)->answers_bytes > 0);
    wait_ms(&n->w, 31900); /* timer J */
    say(&n->w, c, OPTIONS);
    assert_int_equal(n->requests, 1);
    wait_ms(&n->w, 200);
    say(&n->w, c, OPTIONS);
    assert_int_equal(n->requests, 2);
    close_node(n);
}

static void a_reliable_transport_keeps_no_answer(void **state) {
    (void)state;
    struct node *n = open_node(NULL, "one");
    say(&n->w, &n->w.client, OPTIONS);
    assert_int_equal(sip_reply(n->tx, 200, SPAN_NONE), OK);
    wait_ms(&n->w, 1);
    assert_int_equal(n->w.client.n_heard, 1);
    assert_int_equal(counters(n)->answers, 0);
    assert_int_equal(counters(n)->transactions, 0);
    close_node(n);
}

static void an_answer_has_what_its_request_had(void **state) {
    (void)state;
    struct sip_stack_config config = {.agent = SPAN_INIT("Muster test")};
    struct node *n = open_node(&config, NULL);
    say(&n->w, &n->w.client,
        "OPTIONS sip:b@h SIP/2.0\r\n" VIA("o1;rport") VIA("o0") REST("1 OPTIONS"));
    struct buf *b = sip_reply_begin(n->tx, 404, SPAN("Nobody"));
    sip_put(b, SIP_H_WARNING, SPAN("399 h \"x\""));
    assert_int_equal(sip_reply_send(n->tx, SPAN("why")), OK);
    wait_ms(&n->w, 1);
    const char *text = hear(&n->w.client, 0);
    assert_heard(&n->w.client, 0, "SIP/2.0 404 Nobody\r\n");
    assert_string_equal(line_of(text, "Via"), "Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKo1;"
                                              "rport=5060;received=10.0.0.1");
    assert_non_null(strstr(text, "\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKo0\r\n"));
    assert_int_equal(strlen(line_of(text, "To")), strlen("To: <sip:b@h>;tag=0123456789abcdef"));
    assert_string_equal(line_of(text, "CSeq"), "CSeq: 1 OPTIONS");
    assert_string_equal(line_of(text, "Server"), "Server: Muster test");
    assert_string_equal(line_of(text, "Warning"), "Warning: 399 h \"x\"");
    assert_non_null(strstr(text, "Content-Length: 3\r\n\r\nwhy"));
    close_node(n);
}

static void answers_go_where_rfc_3261_and_3581_send_them(void **state) {
    (void)state;
    struct node *n = open_node(NULL, NULL);
    /* From client's socket, but the Via names the server's address and port. */
    say(&n->w, &n->w.client,
        "OPTIONS sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP host.invalid:5060;branch=z9hG4bK1\r\n" REST(
            "1 OPTIONS"));
    assert_int_equal(sip_reply(n->tx, 200, SPAN_NONE), OK);
    wait_ms(&n->w, 1);
    assert_non_null(strstr(hear(&n->w.client, 0), ";received=10.0.0.1\r\n"));
    say(&n->w, &n->w.client,
        "OPTIONS sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1:9;branch=z9hG4bK2;rport\r\n" REST(
            "1 OPTIONS"));
    assert_int_equal(sip_reply(n->tx, 200, SPAN_NONE), OK);
    wait_ms(&n->w, 1);
    assert_int_equal(n->w.client.n_heard, 2);
    say(&n->w, &n->w.client,
        "OPTIONS sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1:9;branch=z9hG4bK3\r\n" REST(
            "1 OPTIONS"));
    assert_int_equal(sip_reply(n->tx, 200, SPAN_NONE), OK);
    say(&n->w, &n->w.client,
        "OPTIONS sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP x;maddr=10.0.0.3;branch=z9hG4bK4\r\n" REST(
            "1 OPTIONS"));
    assert_int_equal(sip_reply(n->tx, 200, SPAN_NONE), OK);
    wait_ms(&n->w, 1);
    assert_int_equal(n->w.client.n_heard, 2);
    assert_int_equal(n->w.server.n_heard, 1);
    close_node(n);
}

static void an_invite_gets_100_when_the_node_takes_its_time(void **state) {
    (void)state;
    struct node *n = open_node(NULL, NULL);
    say(&n->w, &n->w.client, INVITE);
    wait_ms(&n->w, 150);
    assert_int_equal(n->w.client.n_heard, 0);
    wait_ms(&n->w, 100);
    assert_heard(&n->w.client, 0, "SIP/2.0 100 Trying\r\n");
    assert_string_equal(line_of(hear(&n->w.client, 0), "To"), "To: <sip:b@h>");
    say(&n->w, &n->w.client, INVITE);
    assert_int_equal(n->w.client.n_heard, 2);
    assert_int_equal(sip_reply(n->tx, 180, SPAN_NONE), OK);
    say(&n->w, &n->w.client, INVITE);
    assert_heard(&n->w.client, 3, "SIP/2.0 180 Ringing\r\n");
    close_node(n);
}

static void a_refused_invite_is_repeated_until_its_ack(void **state) {
    (void)state;
    struct node *n = open_node(NULL, NULL);
    struct peer *c = &n->w.client;
    say(&n->w, c, INVITE);
    uint64_t start = sim_now_us(n->w.sim);
    assert_int_equal(sip_reply(n->tx, 486, SPAN_NONE), OK);
    wait_ms(&n->w, 12000);
    /* Timer G: 0, 0.5, 1.5, 3.5, 7.5, 11.5 */
    static const unsigned at_ms[] = {0, 500, 1500, 3500, 7500, 11500};
    assert_int_equal(c->n_heard, COUNT_OF(at_ms));
    for (size_t i = 0; i < COUNT_OF(at_ms); i++) {
        assert_in_range(c->heard[i].at_us - start, at_ms[i] * 1000, at_ms[i] * 1000 + 10000);
    }
    say(&n->w, c, INVITE);
    assert_int_equal(c->n_heard, COUNT_OF(at_ms) + 1);
    say(&n->w, c, ACK);
    wait_ms(&n->w, 4000);
    say(&n->w, c, ACK);
    say(&n->w, c, INVITE); /* Confirmed: absorbed */
    assert_int_equal(c->n_heard, COUNT_OF(at_ms) + 1);
    assert_int_equal(n->acks, 0);
    assert_int_equal(counters(n)->transactions, 1);
    wait_ms(&n->w, 1100); /* timer I */
    assert_int_equal(counters(n)->transactions, 0);
    assert_int_equal(counters(n)->timeouts, 0);
    close_node(n);
}

static void an_ack_that_never_comes_times_out(void **state) {
    (void)state;
    struct node *n = open_node(NULL, NULL);
    say(&n->w, &n->w.client, INVITE);
    assert_int_equal(sip_reply(n->tx, 486, SPAN_NONE), OK);
    wait_ms(&n->w, 32100);
    assert_int_equal(counters(n)->timeouts, 1);
    assert_int_equal(counters(n)->transactions, 0);
    close_node(n);
}

static void over_a_reliable_transport_nothing_is_repeated(void **state) {
    (void)state;
    struct node *n = open_node(NULL, "one");
    say(&n->w, &n->w.client, INVITE);
    assert_int_equal(sip_reply(n->tx, 486, SPAN_NONE), OK);
    wait_ms(&n->w, 10000);
    assert_int_equal(n->w.client.n_heard, 1);
    assert_int_equal(counters(n)->transactions, 1);
    say(&n->w, &n->w.client, ACK);
    assert_int_equal(counters(n)->transactions, 0); /* timer I is zero */
    close_node(n);
}

static void an_accepted_invite_absorbs_and_passes_acks(void **state) {
    (void)state;
    struct node *n = open_node(NULL, NULL);
    say(&n->w, &n->w.client, INVITE);
    assert_int_equal(sip_reply(n->tx, 200, SPAN_NONE), OK);
    wait_ms(&n->w, 20000);
    assert_int_equal(n->w.client.n_heard, 1); /* the node repeats a 2xx, not the transaction */
    say(&n->w, &n->w.client, INVITE);
    assert_int_equal(n->requests, 1);
    assert_int_equal(n->w.client.n_heard, 1);
    say(&n->w, &n->w.client, ACK_2XX);
    assert_int_equal(n->acks, 1);
    say(&n->w, &n->w.client, ACK); /* with the INVITE's branch, as RFC 2543 had it */
    assert_int_equal(n->acks, 2);
    wait_ms(&n->w, 12100); /* timer L */
    assert_int_equal(counters(n)->transactions, 0);
    close_node(n);
}

static void a_cancel_is_answered_and_told_once(void **state) {
    (void)state;
    struct node *n = open_node(NULL, NULL);
    struct peer *c = &n->w.client;
    say(&n->w, c, CANCEL);
    assert_heard(c, 0, "SIP/2.0 481 ");
    say(&n->w, c, INVITE);
    say(&n->w, c, CANCEL);
    assert_heard(c, 1, "SIP/2.0 200 OK\r\n");
    assert_heard(c, 2, "SIP/2.0 487 ");
    assert_string_equal(line_of(hear(c, 1), "To"), line_of(hear(c, 2), "To"));
    assert_string_equal(line_of(hear(c, 1), "CSeq"), "CSeq: 1 CANCEL");
    say(&n->w, c, CANCEL);
    assert_heard(c, 3, "SIP/2.0 200 OK\r\n");
    assert_int_equal(n->cancelled, 1);
    close_node(n);
}

static void an_old_client_is_recognised_without_a_cookie(void **state) {
    (void)state;
    struct node *n = open_node(NULL, NULL);
    static const char *const request =
        "OPTIONS sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1\r\n" REST("1 OPTIONS");
    say(&n->w, &n->w.client, request);
    assert_int_equal(sip_reply(n->tx, 200, SPAN_NONE), OK);
    say(&n->w, &n->w.client, request);
    assert_int_equal(n->requests, 1);
    assert_int_equal(n->w.client.n_heard, 2);
    say(&n->w, &n->w.client,
        "OPTIONS sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1\r\n" REST("2 OPTIONS"));
    assert_int_equal(n->requests, 2);
    sip_server_free(n->tx);
    close_node(n);
}

static void another_sender_or_method_is_another_transaction(void **state) {
    (void)state;
    struct node *n = open_node(NULL, NULL);
    say(&n->w, &n->w.client, OPTIONS);
    say(&n->w, &n->w.client, "MESSAGE sip:b@h SIP/2.0\r\n" VIA("o1") REST("1 MESSAGE"));
    say(&n->w, &n->w.client,
        "OPTIONS sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.3;branch=z9hG4bKo1\r\n" REST(
            "1 OPTIONS"));
    assert_int_equal(n->requests, 3);
    assert_int_equal(counters(n)->transactions, 3);
    close_node(n); /* silently */
}

static void what_cannot_be_read_is_refused_or_dropped(void **state) {
    (void)state;
    struct sip_stack_config config = {.limits = sip_limits_default()};
    config.limits.headers_max = 10;
    struct node *n = open_node(&config, NULL);
    struct peer *c = &n->w.client;
    say(&n->w, c, "OPTIONS sip:b@h SIP/2.0\r\n" VIA("o1") "From: <sip:a@h>;tag=f\r\n\r\n");
    assert_heard(c, 0, "SIP/2.0 400 Missing To\r\n");
    assert_string_equal(line_of(hear(c, 0), "From"), "From: <sip:a@h>;tag=f");
    say(&n->w, c, "OPTIONS sip:b@h SIP/3.0\r\n" VIA("o1") REST("1 OPTIONS"));
    assert_heard(c, 1, "SIP/2.0 505 Version Not Supported\r\n");
    say(&n->w, c,
        "OPTIONS sip:b@h SIP/2.0\r\n" VIA("o1") "A1: 1\r\nA2: 2\r\nA3: 3\r\nA4: 4\r\n" REST(
            "1 OPTIONS"));
    assert_heard(c, 2, "SIP/2.0 513 Too Many Headers\r\n");
    say(&n->w, c, "OPTIONS sip:b@h SIP/2.0\r\n\r\n");
    say(&n->w, c, "ACK sip:b@h SIP/2.0\r\n" VIA("o1") "\r\n");
    say(&n->w, c, "\r\n\r\n");
    say(&n->w, c, "SIP/2.0 200 OK\r\n\r\n");
    assert_int_equal(c->n_heard, 3);
    assert_int_equal(n->requests, 0);
    assert_int_equal(counters(n)->malformed, 5);
    assert_int_equal(counters(n)->too_large, 1);
    close_node(n);
}

static void extensions_that_nobody_knows_get_420(void **state) {
    (void)state;
    static const char *const proxy[] = {"sec-agree", ""};
    static const char *const all[] = {"path", "gruu", ""};
    struct sip_stack_config config = {.proxy_supported = proxy, .supported = all};
    struct node *n = open_node(&config, NULL);
    struct peer *c = &n->w.client;
    say(&n->w, c,
        "OPTIONS sip:b@h SIP/2.0\r\n" VIA("o1") "Require: Path, foo\r\nRequire: bar\r\n" REST(
            "1 OPTIONS"));
    assert_heard(c, 0, "SIP/2.0 420 Bad Extension\r\n");
    assert_string_equal(line_of(hear(c, 0), "Unsupported"), "Unsupported: foo, bar");
    say(&n->w, c,
        "OPTIONS sip:b@h SIP/2.0\r\n" VIA("o2") "Proxy-Require: baz\r\n" REST("1 OPTIONS"));
    assert_string_equal(line_of(hear(c, 1), "Unsupported"), "Unsupported: baz");
    assert_int_equal(n->requests, 0);
    say(&n->w, c,
        "OPTIONS sip:b@h SIP/2.0\r\n" VIA(
            "o3") "Proxy-Require: sec-agree\r\nRequire: gruu\r\n" REST("1 OPTIONS"));
    assert_int_equal(n->requests, 1);
    close_node(n);
}

static void too_many_transactions_get_503(void **state) {
    (void)state;
    struct sip_stack_config config = {.transactions_max = 1};
    struct node *n = open_node(&config, NULL);
    say(&n->w, &n->w.client, OPTIONS);
    say(&n->w, &n->w.client, INVITE);
    assert_heard(&n->w.client, 0, "SIP/2.0 503 ");
    assert_int_equal(counters(n)->busy, 1);
    assert_int_equal(n->requests, 1);
    close_node(n);
}

static void a_transaction_given_up_is_answered_500(void **state) {
    (void)state;
    struct node *n = open_node(NULL, NULL);
    say(&n->w, &n->w.client, OPTIONS);
    sip_server_free(n->tx);
    sip_server_free(NULL);
    wait_ms(&n->w, 1);
    assert_heard(&n->w.client, 0, "SIP/2.0 500 ");
    assert_int_equal(counters(n)->unanswered, 1);
    close_node(n);
}

static void an_answer_that_outgrows_the_limit_becomes_500(void **state) {
    (void)state;
    struct sip_stack_config config = {.limits = sip_limits_default()};
    config.limits.message_max = 1000;
    struct node *n = open_node(&config, NULL);
    char body[900] = {0};
    say(&n->w, &n->w.client, OPTIONS);
    sip_reply_begin(n->tx, 200, SPAN_NONE);
    assert_int_equal(sip_reply_send(n->tx, span_of(body, sizeof body)), ERR_TOO_BIG);
    wait_ms(&n->w, 1);
    assert_heard(&n->w.client, 0, "SIP/2.0 500 Answer Too Large\r\n");
    close_node(n);
}

static void the_answers_of_the_past_take_bounded_memory(void **state) {
    (void)state;
    struct sip_stack_config config = {.answers_max_bytes = 4000};
    struct node *n = open_node(&config, NULL);
    char text[1024];
    for (unsigned i = 0; i < 100; i++) {
        snprintf(text, sizeof text,
                 "OPTIONS sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP "
                 "10.0.0.1;branch=z9hG4bK%u\r\n" REST("1 OPTIONS"),
                 i * i * 100000000u);
        n->w.client.n_heard = 0;
        say(&n->w, &n->w.client, text);
        assert_int_equal(sip_reply(n->tx, 200, SPAN_NONE), OK);
        assert_in_range(counters(n)->answers_bytes, 1, 4000);
        say(&n->w, &n->w.client, text);
        assert_int_equal(n->requests, i + 1); /* the newest is always there */
        assert_int_equal(n->w.client.n_heard, 2);
    }
    assert_in_range(counters(n)->answers, 5, 20);
    assert_int_equal(counters(n)->answers_dropped, 100 - counters(n)->answers);
    close_node(n);
}

static void count_message(void *ctx, const struct trace_message *m) {
    assert_int_equal(m->protocol, TRACE_SIP);
    assert_int_not_equal(m->bytes.n, 0);
    ++*(unsigned *)ctx;
}

static void each_message_is_recorded_once(void **state) {
    (void)state;
    struct node *n = open_node(NULL, NULL);
    struct trace *trace = sim_trace(n->w.sim);
    unsigned count = 0;
    assert_int_equal(trace_enable(trace, 1 << 20), OK);
    say(&n->w, &n->w.client, OPTIONS);
    trace_each(trace, count_message, &count);
    assert_int_equal(count, 1); /* on receipt */
    assert_int_equal(sip_reply(n->tx, 200, SPAN_NONE), OK);
    wait_ms(&n->w, 1);
    count = 0;
    trace_each(trace, count_message, &count);
    /* The answer is recorded on its way out only if its receiver, who would record it, is in
     * another process. */
    assert_int_equal(count, trace_is_local(trace, &n->w.client.addr) ? 1 : 2);
    close_node(n);
}

static bool never_mind;

static bool hears(void *ctx, const struct addr *at) {
    (void)ctx;
    (void)at;
    return never_mind;
}

/* As many OPTIONS, each answered with a header line of `extra` bytes. */
static size_t answered_to(struct node *n, struct peer *p, unsigned count, size_t extra) {
    static unsigned serial;
    char filler[700] = {0};
    memset(filler, 'x', extra);
    p->n_heard = 0;
    for (unsigned i = 0; i < count; i++) {
        char text[TEXT_MAX];
        snprintf(text, sizeof text,
                 "OPTIONS sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.%u;branch=z9hG4bKa%u\r\n%s",
                 p->addr.ip[3], ++serial, REST("1 OPTIONS"));
        say(&n->w, p, text);
        sip_put(sip_reply_begin(n->tx, 200, SPAN_NONE), SIP_H_SUBJECT, span_from_cstr(filler));
        assert_int_equal(sip_reply_send(n->tx, SPAN_NONE), OK);
        wait_ms(&n->w, 1);
    }
    return p->n_heard;
}

/* A source that may be invented gets 20 large answers at once and 5 a second. */
static void answers_that_amplify_have_a_budget(void **state) {
    (void)state;
    static const struct sip_stack_handler terminals = {
        .request = on_request, .cancelled = on_cancelled, .hears = hears};
    struct node *n = calloc(1, sizeof *n);
    assert_non_null(n);
    wire_open(&n->w, &(struct sip_stack_config){.n_local = 1, .faces_terminals = true}, &terminals,
              n);
    struct peer *c = &n->w.client, *other = &n->w.server;
    assert_int_equal(answered_to(n, c, 30, 500), 20);
    assert_int_equal(counters(n)->amplifying_dropped, 10);
    assert_int_equal(answered_to(n, c, 30, 10), 30); /* small ones cost nothing */
    assert_int_equal(answered_to(n, other, 20, 500), 20);
    wait_ms(&n->w, 1000);
    assert_in_range(answered_to(n, c, 20, 500), 5, 6);
    sip_stack_heard_by(n->w.stack, &c->addr);
    assert_int_equal(answered_to(n, c, 30, 500), 20);
    never_mind = true;
    assert_int_equal(answered_to(n, c, 30, 500), 30);
    never_mind = false;
    close_node(n);
}

/* A repetition is answered as it was asked: with what its own size pays, or from the budget. */
static void repeated_answers_count(void **state) {
    (void)state;
    struct node *n =
        open_node(&(struct sip_stack_config){.n_local = 1, .faces_terminals = true}, NULL);
    struct peer *c = &n->w.client;
    assert_int_equal(answered_to(n, c, 20, 500), 20); /* the budget is gone */
    c->n_heard = 0;
    say(&n->w, c, OPTIONS);
    char filler[501] = {0};
    memset(filler, 'x', 500);
    sip_put(sip_reply_begin(n->tx, 200, SPAN_NONE), SIP_H_SUBJECT, span_from_cstr(filler));
    assert_int_equal(sip_reply_send(n->tx, SPAN_NONE), OK);
    say(&n->w, c, OPTIONS);
    say(&n->w, c, OPTIONS);
    assert_int_equal(c->n_heard, 0);
    wait_ms(&n->w, 1000);
    say(&n->w, c, OPTIONS); /* it was kept */
    assert_int_equal(c->n_heard, 1);
    close_node(n);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_repeated_request_is_shown_once_and_answered_again),
        cmocka_unit_test(a_reliable_transport_keeps_no_answer),
        cmocka_unit_test(an_answer_has_what_its_request_had),
        cmocka_unit_test(answers_go_where_rfc_3261_and_3581_send_them),
        cmocka_unit_test(an_invite_gets_100_when_the_node_takes_its_time),
        cmocka_unit_test(a_refused_invite_is_repeated_until_its_ack),
        cmocka_unit_test(an_ack_that_never_comes_times_out),
        cmocka_unit_test(over_a_reliable_transport_nothing_is_repeated),
        cmocka_unit_test(an_accepted_invite_absorbs_and_passes_acks),
        cmocka_unit_test(a_cancel_is_answered_and_told_once),
        cmocka_unit_test(an_old_client_is_recognised_without_a_cookie),
        cmocka_unit_test(another_sender_or_method_is_another_transaction),
        cmocka_unit_test(what_cannot_be_read_is_refused_or_dropped),
        cmocka_unit_test(extensions_that_nobody_knows_get_420),
        cmocka_unit_test(too_many_transactions_get_503),
        cmocka_unit_test(a_transaction_given_up_is_answered_500),
        cmocka_unit_test(an_answer_that_outgrows_the_limit_becomes_500),
        cmocka_unit_test(each_message_is_recorded_once),
        cmocka_unit_test(the_answers_of_the_past_take_bounded_memory),
        cmocka_unit_test(answers_that_amplify_have_a_budget),
        cmocka_unit_test(repeated_answers_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
