/* covers: HB4
 * Messages that are far too big, by UDP and TCP: refused with 513 or 400 within 10 ms of the
 * processor's time, with less than a megabyte; and what reading costs grows as the message does. */
#include "../../memory.h"
#include "wire.h"

#include <time.h>

enum {
    MESSAGE_CAP = 1 << 22,
    PATIENCE_US = 10000,
    EXTRA_BYTES = 1 << 20,
    TRIES = 8, /* a machine that does something else meanwhile */
};

static char message[MESSAGE_CAP];

/* The processor's time since the program began. */
static uint64_t used_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * SEC_IN_US + (uint64_t)t.tv_nsec / 1000;
}

static void repeat(struct buf *b, const char *text, size_t n) {
    for (size_t i = 0; i < n; i++) {
        buf_cstr(b, text);
    }
}

/* Kinds of size, of which n is put into a header. */

static void long_line(struct buf *b, size_t n) {
    buf_cstr(b, "X: ");
    repeat(b, "a", n);
    buf_cstr(b, "\r\n");
}

static void long_quoted(struct buf *b, size_t n) {
    buf_cstr(b, "Contact: \"");
    repeat(b, "\\,", n);
    buf_cstr(b, "\" <sip:a@b>\r\n");
}

static void folded(struct buf *b, size_t n) {
    buf_cstr(b, "X: a");
    repeat(b, "\r\n a", n);
    buf_cstr(b, "\r\n");
}

static void headers(struct buf *b, size_t n) {
    repeat(b, "a:\r\n", n);
}

static void vias(struct buf *b, size_t n) {
    repeat(b, "v:SIP/2.0/UDP h\r\n", n);
}

static void vias_of_a_line(struct buf *b, size_t n) {
    buf_cstr(b, "v:SIP/2.0/UDP h");
    repeat(b, ",SIP/2.0/UDP h", n);
    buf_cstr(b, "\r\n");
}

static void contacts(struct buf *b, size_t n) {
    for (size_t i = 0; i < n; i += 2000) {
        buf_cstr(b, "m:a:b");
        repeat(b, ",a:b", (n - i < 2000 ? n - i : 2000) - 1);
        buf_cstr(b, "\r\n");
    }
}

static void params(struct buf *b, size_t n) {
    buf_cstr(b, "m:<sip:a@b>");
    repeat(b, ";a", n);
    buf_cstr(b, "\r\n");
}

static void credentials(struct buf *b, size_t n) {
    buf_cstr(b, "Authorization: Digest a=b");
    repeat(b, ",a=b", n);
    buf_cstr(b, "\r\n");
}

typedef void grow_fn(struct buf *b, size_t n);

static struct span build(const char *transport, grow_fn *grow, size_t n) {
    struct buf b = buf_init(message, sizeof message);
    buf_printf(&b,
               "OPTIONS sip:b@h SIP/2.0\r\nVia: SIP/2.0/%s 10.0.0.1;branch=z9hG4bKo1\r\n"
               "From: <sip:a@h>;tag=f\r\nTo: <sip:b@h>\r\nCall-ID: c1\r\nCSeq: 1 OPTIONS\r\n",
               transport);
    grow(&b, n);
    buf_cstr(&b, "Content-Length: 0\r\n\r\n");
    assert_false(b.overflow);
    return buf_span(&b);
}

/* One that is refused, and what it is answered. */
static const struct {
    const char *name;
    grow_fn *grow;
    size_t n;
    const char *answer;
} refused[] = {
    {"a line of 64 kB", long_line, 65000, "SIP/2.0 513 Line Too Long\r\n"},
    {"a line of 64 kB, folded", folded, 16000, "SIP/2.0 513 Line Too Long\r\n"},
    {"a name of 32 kB", long_quoted, 16000, "SIP/2.0 513 Line Too Long\r\n"},
    {"10,000 headers", headers, 10000, "SIP/2.0 513 Too Many Headers\r\n"},
    {"1,000 Vias", vias, 1000, "SIP/2.0 513 Too Many Headers\r\n"},
    {"1,000 Vias of a line", vias_of_a_line, 1000, "SIP/2.0 513 Too Many Vias\r\n"},
    {"10,000 Contacts", contacts, 10000, "SIP/2.0 513 Too Many Contacts\r\n"},
    {"20,000 parameters", params, 20000, "SIP/2.0 513 Line Too Long\r\n"},
};

struct node {
    struct wire w;
    struct stream *stream;
    char text[1 << 16]; /* of the first answer */
    size_t n;
};

static void on_request(void *ctx, struct sip_server *tx, const struct sip_msg *req) {
    (void)ctx;
    (void)req;
    (void)sip_reply(tx, 200, SPAN_NONE);
}

static const struct sip_stack_handler handler = {.request = on_request};

static void keep(struct node *x, const char *bytes, size_t n) {
    if (x->n == 0) {
        x->n = n < sizeof x->text ? n : sizeof x->text - 1;
        memcpy(x->text, bytes, x->n);
    }
}

static void on_datagram(void *ctx, struct dgram *d, const struct addr *from, char *bytes,
                        size_t n) {
    (void)d;
    (void)from;
    keep(ctx, bytes, n);
}

static void on_connected(void *ctx, struct stream *s) {
    (void)ctx;
    (void)s;
}

static size_t on_received(void *ctx, struct stream *s, char *bytes, size_t n) {
    (void)s;
    keep(ctx, bytes, n);
    return n;
}

static void on_closed(void *ctx, struct stream *s, enum error why) {
    (void)s;
    (void)why;
    ((struct node *)ctx)->stream = NULL;
}

static const struct stream_handler stream_handler = {on_connected, on_received, on_closed};

static struct node *open_node(void) {
    struct node *x = calloc(1, sizeof *x);
    struct sip_stack_config config = {.n_local = 2};
    config.local[1] = (struct sip_hop){addr_v4(10, 0, 0, 2, 5060), SIP_TCP};
    assert_non_null(x);
    wire_open(&x->w, &config, &handler, x);
    dgram_close(x->w.client.dgram);
    assert_int_equal(
        env_dgram_open(x->w.client.env, &x->w.client.addr, 0, on_datagram, x, &x->w.client.dgram),
        OK);
    return x;
}

static void close_node(struct node *x) {
    wire_close(&x->w);
    free(x);
}

static void say_it(struct node *x, enum sip_transport by, struct span text) {
    if (by == SIP_UDP) {
        assert_int_equal(dgram_send(x->w.client.dgram, &x->w.local, text), OK);
    } else {
        assert_int_equal(stream_send(x->stream, text), OK);
    }
    sim_run_until(x->w.sim, sim_now_us(x->w.sim) + 100 * MS_IN_US);
}

/* The processor's time that the refusal took. */
static uint64_t refuse(size_t i, enum sip_transport by) {
    struct span text = build(by == SIP_UDP ? "UDP" : "TCP", refused[i].grow, refused[i].n);
    struct node *x = open_node();
    if (by == SIP_TCP) {
        assert_int_equal(
            env_stream_connect(x->w.client.env, &x->w.local, &stream_handler, x, &x->stream), OK);
        sim_run_until(x->w.sim, sim_now_us(x->w.sim) + 100 * MS_IN_US);
    }
    size_t before = memory_mark();
    uint64_t began_us = used_us();
    say_it(x, by, text);
    uint64_t took_us = used_us() - began_us;
    if (strncmp(x->text, refused[i].answer, strlen(refused[i].answer)) != 0) {
        fail_msg("%s: %.60s", refused[i].name, x->text);
    }
    assert_true(x->n <= text.n + 200); /* the answer is hardly longer */
    assert_in_range(memory_peak() - before, 0, EXTRA_BYTES);
    close_node(x);
    return took_us;
}

static void refuse_all(enum sip_transport by) {
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        uint64_t took_us = PATIENCE_US + 1;
        for (int t = 0; t < TRIES && took_us > PATIENCE_US; t++) {
            took_us = refuse(i, by);
        }
        if (took_us > PATIENCE_US) {
            fail_msg("%s took %u us", refused[i].name, (unsigned)took_us);
        }
    }
}

static void too_much_by_udp_is_refused_at_once(void **state) {
    (void)state;
    refuse_all(SIP_UDP);
}

static void too_much_by_tcp_is_refused_at_once(void **state) {
    (void)state;
    refuse_all(SIP_TCP);
}

static void what_has_no_end_is_refused_at_the_limit(void **state) {
    (void)state;
    struct node *x = open_node();
    assert_int_equal(
        env_stream_connect(x->w.client.env, &x->w.local, &stream_handler, x, &x->stream), OK);
    sim_run_until(x->w.sim, sim_now_us(x->w.sim) + 100 * MS_IN_US);
    struct span text = build("TCP", long_line, 1 << 20);
    size_t before = memory_mark(), said = 0;
    while (x->stream && said < text.n) {
        say_it(x, SIP_TCP, span_slice(text, said, said + 4096));
        said += 4096;
    }
    assert_null(x->stream);
    assert_true(said < 100000);
    assert_int_equal(strncmp(x->text, "SIP/2.0 513 ", 12), 0);
    assert_in_range(memory_peak() - before, 0, EXTRA_BYTES);
    close_node(x);
}

/* Reads a message without limits, and all lists of it, and writes it again. */
static void read_whole(struct arena *arena, char *bytes, size_t n, char *room) {
    const struct sip_limits limits = {.message_max = MESSAGE_CAP,
                                      .line_max = MESSAGE_CAP,
                                      .headers_max = SIP_HEADERS_CAP,
                                      .vias_max = UINT16_MAX,
                                      .contacts_max = UINT16_MAX,
                                      .body_max = MESSAGE_CAP};
    struct sip_msg *msg;
    struct sip_fault fault;
    struct sip_contact contact;
    struct sip_via via;
    struct sip_auth auth;
    struct sip_edits edits = {0};
    if (sip_parse(arena, bytes, n, &limits, &msg, &fault) != OK) {
        fail_msg("%s", fault.reason);
    }
    struct sip_list list = sip_list_of(msg, SIP_H_VIA);
    while (sip_via_next(&list, &via)) {
    }
    list = sip_list_of(msg, SIP_H_CONTACT);
    while (sip_contact_next(&list, &contact)) {
    }
    (void)!sip_auth_parse(sip_value(msg, SIP_H_AUTHORIZATION), &auth);
    struct buf b = buf_init(room, MESSAGE_CAP);
    sip_edit_pop(&edits, SIP_H_VIA);
    sip_edit_replace(&edits, SIP_H_MAX_FORWARDS, SPAN("69"));
    sip_put_edited(&b, msg, &edits);
    assert_false(b.overflow);
}

static uint64_t cost_of(grow_fn *grow, size_t n) {
    static char copy[MESSAGE_CAP], room[MESSAGE_CAP];
    struct span text = build("UDP", grow, n);
    uint64_t best = UINT64_MAX;
    for (int t = 0; t < 5; t++) {
        struct chunk_pool pool;
        chunk_pool_init(&pool, 1 << 20, 2);
        struct arena arena = arena_init(&pool);
        memcpy(copy, text.p, text.n);
        uint64_t began_us = used_us();
        read_whole(&arena, copy, text.n, room);
        uint64_t took_us = used_us() - began_us;
        best = took_us < best ? took_us : best;
        arena_release(&arena);
        chunk_pool_free(&pool);
    }
    return best;
}

static void reading_costs_as_much_as_there_is(void **state) {
    static const struct {
        const char *name;
        grow_fn *grow;
        size_t n;
    } kinds[] = {
        {"a line", long_line, 400000},
        {"a folded line", folded, 100000},
        {"a name", long_quoted, 100000},
        {"headers", headers, 1000},
        {"Vias", vias, 1000},
        {"Vias of a line", vias_of_a_line, 10000},
        {"Contacts", contacts, 16000},
        {"parameters", params, 20000},
        {"credentials", credentials, 50000},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        /* Four times as much may cost five times as much, and never sixteen times. */
        bool linear = false;
        uint64_t one = 0, four = 0;
        for (int t = 0; t < TRIES && !linear; t++) {
            one = cost_of(kinds[i].grow, kinds[i].n);
            four = cost_of(kinds[i].grow, kinds[i].n * 4);
            linear = four <= one * 6 + 100;
        }
        if (!linear) {
            fail_msg("%s: %u us, four times as much %u us", kinds[i].name, (unsigned)one,
                     (unsigned)four);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(too_much_by_udp_is_refused_at_once),
        cmocka_unit_test(too_much_by_tcp_is_refused_at_once),
        cmocka_unit_test(what_has_no_end_is_refused_at_the_limit),
        cmocka_unit_test(reading_costs_as_much_as_there_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
