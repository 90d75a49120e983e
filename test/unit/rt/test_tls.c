/* covers: HA8 HF14 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pki.h"
#include "rt/sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* A server "b" and a client "a" in the simulation, with certificates of one authority. What TLS
 * streams have in common with others, test_links shows. */

struct end {
    struct stream *s;
    bool connected, closed;
    enum error why;
    struct tls_problem problem;
    char name[256];
    char bytes[1 << 16];
    size_t n;
};

struct world {
    struct sim *sim;
    struct env *a, *b;
    struct pki *authority;
    struct tls_context *tls;
    struct listener *l;
    struct end client, server;
};

static const struct addr at = {.family = 4, .ip = {127, 0, 0, 1}, .port = 5061};

static void on_connected(void *ctx, struct stream *s) {
    struct end *e = ctx;
    e->connected = true;
    snprintf(e->name, sizeof e->name, "%.*s", SPAN_ARG(tls_peer_name(s)));
}

static size_t on_received(void *ctx, struct stream *s, char *bytes, size_t n) {
    struct end *e = ctx;
    (void)s;
    assert_true(e->n + n <= sizeof e->bytes);
    memcpy(e->bytes + e->n, bytes, n);
    e->n += n;
    return n;
}

static void on_closed(void *ctx, struct stream *s, enum error why) {
    struct end *e = ctx;
    e->closed = true;
    e->why = why;
    e->problem = *tls_problem_of(s);
    e->s = NULL;
}

static const struct stream_handler handler = {on_connected, on_received, on_closed};

static void on_accept(void *ctx, struct listener *l, struct stream *s) {
    struct world *w = ctx;
    (void)l;
    w->server.s = s;
    stream_attach(s, &handler, &w->server);
    on_connected(&w->server, s);
}

static int open_world(void **state) {
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    assert_int_equal(sim_new(1, &w->sim), OK);
    assert_int_equal(sim_env_new(w->sim, "a", &w->a), OK);
    assert_int_equal(sim_env_new(w->sim, "b", &w->b), OK);
    w->a->log.level = w->b->log.level = LOG_ERROR;
    w->authority = pki_new("authority");
    *state = w;
    return 0;
}

static int close_world(void **state) {
    struct world *w = *state;
    stream_close(w->client.s);
    stream_close(w->server.s);
    listener_close(w->l);
    tls_context_free(w->tls);
    env_close(w->a);
    env_close(w->b);
    sim_free(w->sim);
    pki_free(w->authority);
    free(w);
    return 0;
}

static void listen_with(struct world *w, struct tls_context *t) {
    assert_int_equal(env_listen_tls(w->b, t, &at, on_accept, w, &w->l), OK);
    w->tls = t;
}

/* A server of these names. */
static void serve(struct world *w, const char *common_name, const char *alternatives,
                  enum tls_client_certificate client) {
    struct pki_issued own = pki_issue(w->authority, common_name, alternatives);
    listen_with(w, pki_context(&own, w->authority, client));
}

static void run(struct world *w, uint64_t s) {
    sim_run_until(w->sim, sim_now_us(w->sim) + s * SEC_IN_US);
}

/* Connects with a context, which is freed at once, and sees what comes of it. */
static void connect_as(struct world *w, struct tls_context *t, const char *name) {
    stream_close(w->client.s);
    stream_close(w->server.s);
    w->client = w->server = (struct end){0};
    assert_int_equal(env_stream_connect_tls(w->a, t, &at, span_from_cstr(name), &handler,
                                            &w->client, &w->client.s),
                     OK);
    tls_context_free(t);
    run(w, 1);
}

static void connect_to(struct world *w, const char *name) {
    connect_as(w, pki_context(NULL, w->authority, TLS_CLIENT_ANYBODY), name);
}

static void expect_refusal(const struct end *e, enum error why, enum tls_fault fault,
                           const char *words) {
    assert_false(e->connected);
    assert_true(e->closed);
    assert_int_equal(e->why, why);
    assert_string_equal(tls_fault_name(e->problem.fault), tls_fault_name(fault));
    assert_non_null(strstr(e->problem.text, words));
}

static void a_certificate_is_for_its_names_only(void **state) {
    static const struct {
        const char *common_name, *alternatives, *wanted;
        bool good;
    } rows[] = {
        {NULL, "DNS:b.example", "b.example", true},
        {NULL, "DNS:b.example", "B.Example", true},
        {NULL, "DNS:b.example", "b.example.", true},
        {NULL, "DNS:b.example", "c.example", false},
        {NULL, "DNS:b.example", "b.example.com", false},
        {NULL, "DNS:*.example", "b.example", false}, /* no wildcards */
        {NULL, "DNS:*.example", "*.example", true},  /* as a name it stands for itself */
        {NULL, "DNS:x.example,DNS:b.example", "b.example", true},
        {NULL, "URI:sip:b.example", "b.example", true},
        {NULL, "URI:SIP:b.example;transport=tls", "b.example", true},
        {NULL, "URI:sip:b.example:5061", "b.example", true},
        {NULL, "URI:sip:alice@b.example", "b.example", false}, /* a user's */
        {NULL, "URI:http:b.example", "b.example", false},
        {NULL, "URI:sip:b.example,DNS:node.example", "node.example", true},
        {"b.example", NULL, "b.example", true},
        {"b.example", "DNS:x.example", "b.example", false}, /* alternatives replace it */
        {"b.example", "email:ops@x.example", "b.example", true},
        {NULL, "IP:127.0.0.1", "127.0.0.1", true},
        {NULL, "IP:127.0.0.1", "127.0.0.2", false},
        {NULL, "DNS:127.0.0.1", "127.0.0.1", false},
        {NULL, "IP:2001:db8::1", "2001:db8::1", true},
    };
    struct world *w = *state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct pki_issued own = pki_issue(w->authority, rows[i].common_name, rows[i].alternatives);
        struct tls_context *t = pki_context(&own, w->authority, TLS_CLIENT_ANYBODY);
        assert_int_equal(tls_context_is(t, span_from_cstr(rows[i].wanted)), rows[i].good);
        listen_with(w, t);
        connect_to(w, rows[i].wanted);
        assert_int_equal(w->client.connected, rows[i].good);
        if (!rows[i].good) {
            expect_refusal(&w->client, ERR_AUTHENTICATION, TLS_FAULT_WRONG_NAME, "is for");
            assert_false(w->server.connected);
        }
        listener_close(w->l);
        tls_context_free(t);
        w->l = NULL;
        w->tls = NULL;
    }
}

static void who_is_at_the_other_end_is_known(void **state) {
    struct world *w = *state;
    serve(w, NULL, "DNS:b.example", TLS_CLIENT_REQUIRED);
    struct pki_issued own = pki_issue(w->authority, "A", "DNS:a.example,URI:sip:example");
    connect_as(w, pki_context(&own, w->authority, TLS_CLIENT_ANYBODY), "b.example");
    assert_string_equal(w->client.name, "b.example");
    assert_string_equal(w->server.name, "a.example");
    assert_true(tls_peer_is(w->server.s, SPAN("a.example")));
    assert_true(tls_peer_is(w->server.s, SPAN("EXAMPLE")));
    assert_false(tls_peer_is(w->server.s, SPAN("A")));
    assert_false(tls_peer_is(w->server.s, SPAN("b.example")));
    assert_true(tls_peer_is(w->client.s, SPAN("b.example")));
    assert_string_equal(tls_version_of(w->client.s), "TLSv1.3");
    assert_true(stream_is_tls(w->server.s));
    assert_int_equal(tls_context_counters(w->tls)->accepted, 1);
    assert_int_equal(tls_context_counters(w->tls)->failed, 0);
}

static void a_listener_demands_what_its_context_says(void **state) {
    struct world *w = *state;
    struct pki *other = pki_new("another authority");
    struct pki_issued own = pki_issue(other, NULL, "DNS:a.example");
    static const struct {
        enum tls_client_certificate client;
        bool with, good;
    } rows[] = {
        {TLS_CLIENT_ANYBODY, false, true},   {TLS_CLIENT_ANYBODY, true, true},
        {TLS_CLIENT_VERIFIED, false, true},  {TLS_CLIENT_VERIFIED, true, false},
        {TLS_CLIENT_REQUIRED, false, false}, {TLS_CLIENT_REQUIRED, true, false},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        serve(w, NULL, "DNS:b.example", rows[i].client);
        struct tls_context *t =
            pki_context(rows[i].with ? &own : NULL, w->authority, TLS_CLIENT_ANYBODY);
        connect_as(w, t, "b.example");
        assert_int_equal(w->server.connected, rows[i].good);
        if (rows[i].good) {
            assert_int_equal(tls_peer_name(w->server.s).n, 0); /* unverified counts for nothing */
            assert_false(tls_peer_is(w->server.s, SPAN("a.example")));
        } else { /* with TLS 1.3 the client is done before the server has judged it */
            assert_true(w->client.closed);
            assert_int_equal(w->client.why, ERR_AUTHENTICATION);
            assert_int_equal(w->client.problem.fault, TLS_FAULT_REFUSED);
            assert_int_equal(tls_context_counters(w->tls)->refused_peers, 1);
        }
        listener_close(w->l);
        tls_context_free(w->tls);
        w->l = NULL;
        w->tls = NULL;
    }
    pki_free(other);
}

static void a_certificate_of_nobody_known_is_refused(void **state) {
    struct world *w = *state;
    serve(w, NULL, "DNS:b.example", TLS_CLIENT_ANYBODY);
    struct pki *other = pki_new("another authority");
    connect_as(w, pki_context(NULL, other, TLS_CLIENT_ANYBODY), "b.example");
    expect_refusal(&w->client, ERR_AUTHENTICATION, TLS_FAULT_UNKNOWN_ISSUER, "no authority");
    assert_false(w->server.connected);
    pki_free(other);
}

static void validity_goes_by_the_clock_of_the_environment(void **state) {
    struct world *w = *state;
    int64_t now_s = env_wall_us(w->a) / 1000000;
    struct pki_issued own =
        pki_issue_between(w->authority, NULL, "DNS:b.example", now_s + 60, now_s + 120);
    listen_with(w, pki_context(&own, w->authority, TLS_CLIENT_ANYBODY));
    assert_int_equal(tls_context_expires_s(w->tls), now_s + 120);
    connect_to(w, "b.example");
    expect_refusal(&w->client, ERR_AUTHENTICATION, TLS_FAULT_NOT_YET_VALID, "not valid before");
    run(w, 70);
    connect_to(w, "b.example");
    assert_true(w->client.connected);
    run(w, 70);
    assert_false(w->client.closed);
    connect_to(w, "b.example");
    expect_refusal(&w->client, ERR_AUTHENTICATION, TLS_FAULT_EXPIRED, "expired at 20");
}

static void large_transfers_survive_any_splitting(void **state) {
    struct world *w = *state;
    sim_set_default_faults(w->sim, &(struct sim_faults){.delay_us = 10, .split = true});
    serve(w, NULL, "DNS:b.example", TLS_CLIENT_ANYBODY);
    connect_to(w, "b.example");
    assert_true(w->client.connected);
    static char bytes[50000];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (char)(i * 7 + i / 256);
    }
    assert_int_equal(stream_send(w->client.s, span_of(bytes, 40000)), OK);
    assert_int_equal(stream_send(w->client.s, span_of(bytes + 40000, 10000)), OK);
    assert_int_equal(stream_send(w->server.s, span_of(bytes, sizeof bytes)), OK);
    run(w, 10);
    assert_int_equal(w->server.n, sizeof bytes);
    assert_memory_equal(w->server.bytes, bytes, sizeof bytes);
    assert_int_equal(w->client.n, sizeof bytes);
    assert_memory_equal(w->client.bytes, bytes, sizeof bytes);
}

/* Somebody who connects in plain. */
static void connect_plain(struct world *w) {
    w->client = w->server = (struct end){0};
    assert_int_equal(env_stream_connect(w->a, &at, &handler, &w->client, &w->client.s), OK);
}

static void who_speaks_no_tls_is_shown_the_door(void **state) {
    struct world *w = *state;
    serve(w, NULL, "DNS:b.example", TLS_CLIENT_ANYBODY);
    connect_plain(w);
    assert_int_equal(stream_send(w->client.s, SPAN("REGISTER sip:b.example SIP/2.0\r\n\r\n")), OK);
    run(w, 1);
    assert_true(w->client.closed);
    assert_false(w->server.connected);
    assert_int_equal(tls_context_counters(w->tls)->failed, 1);
    assert_int_equal(tls_context_counters(w->tls)->refused_peers, 0);
}

static void a_server_without_tls_is_called_that(void **state) {
    struct world *w = *state;
    assert_int_equal(env_listen(w->b, &at, on_accept, w, &w->l), OK);
    stream_close(w->client.s);
    struct tls_context *t = pki_context(NULL, w->authority, TLS_CLIENT_ANYBODY);
    assert_int_equal(
        env_stream_connect_tls(w->a, t, &at, SPAN("b.example"), &handler, &w->client, &w->client.s),
        OK);
    tls_context_free(t);
    run(w, 1);
    assert_int_equal(stream_send(w->server.s, SPAN("SIP/2.0 400 Bad Request\r\n\r\n")), OK);
    run(w, 1);
    expect_refusal(&w->client, ERR_MALFORMED, TLS_FAULT_NOT_TLS, "not TLS");
}

static void a_silent_half_open_connection_is_closed_in_time(void **state) {
    struct world *w = *state;
    serve(w, NULL, "DNS:b.example", TLS_CLIENT_ANYBODY);
    connect_plain(w);
    run(w, 9);
    assert_false(w->client.closed);
    run(w, 2);
    assert_true(w->client.closed);
    assert_int_equal(tls_context_counters(w->tls)->failed, 1);
    /* A trickle does not buy time. */
    connect_plain(w);
    for (int i = 0; i < 11 && !w->client.closed; i++) {
        assert_int_equal(stream_send(w->client.s, SPAN("\x16")), OK);
        run(w, 1);
    }
    assert_true(w->client.closed);
}

static void a_silent_server_is_not_waited_for(void **state) {
    struct world *w = *state;
    assert_int_equal(env_listen(w->b, &at, on_accept, w, &w->l), OK);
    connect_to(w, "b.example");
    run(w, 10);
    expect_refusal(&w->client, ERR_TIMEOUT, TLS_FAULT_SLOW, "within 10 seconds");
}

static void handshakes_under_way_are_bounded(void **state) {
    struct world *w = *state;
    serve(w, NULL, "DNS:b.example", TLS_CLIENT_ANYBODY);
    struct end *crowd = calloc(TLS_HANDSHAKES_MAX + 1, sizeof *crowd);
    assert_non_null(crowd);
    for (size_t i = 0; i <= TLS_HANDSHAKES_MAX; i++) {
        assert_int_equal(env_stream_connect(w->a, &at, &handler, &crowd[i], &crowd[i].s), OK);
    }
    run(w, 1);
    assert_int_equal(tls_context_counters(w->tls)->crowded, 1);
    assert_true(crowd[0].closed); /* the oldest */
    assert_false(crowd[1].closed);
    assert_false(crowd[TLS_HANDSHAKES_MAX].closed);
    connect_to(w, "b.example"); /* a crowd keeps nobody out */
    assert_true(w->client.connected);
    assert_true(crowd[1].closed);
    assert_false(crowd[2].closed);
    run(w, 10);
    assert_true(crowd[2].closed);
    free(crowd);
}

static void what_is_sent_before_the_handshake_arrives_after_it(void **state) {
    struct world *w = *state;
    static char bytes[STREAM_BACKLOG_MAX - TLS_BACKLOG_ROOM];
    serve(w, NULL, "DNS:b.example", TLS_CLIENT_ANYBODY);
    struct tls_context *t = pki_context(NULL, w->authority, TLS_CLIENT_ANYBODY);
    assert_int_equal(
        env_stream_connect_tls(w->a, t, &at, SPAN("b.example"), &handler, &w->client, &w->client.s),
        OK);
    tls_context_free(t);
    for (size_t i = 0; i < 1000; i++) {
        assert_int_equal(stream_send(w->client.s, SPAN("hello")), OK);
    }
    assert_int_equal(stream_send(w->client.s, span_of(bytes, sizeof bytes)), ERR_BUSY);
    run(w, 1);
    assert_int_equal(w->server.n, 5000);
    assert_memory_equal(w->server.bytes, "hellohello", 10);
}

/* Who does not read (here: behind a partition) holds a bounded backlog, and nobody else. */
static void a_slow_reader_holds_a_bounded_backlog(void **state) {
    struct world *w = *state;
    static char bytes[16000];
    serve(w, NULL, "DNS:b.example", TLS_CLIENT_ANYBODY);
    connect_to(w, "b.example");
    struct sim_faults down = {.down = true};
    assert_int_equal(sim_set_faults_between(w->sim, "a", "b", &down), OK);
    enum error e = OK;
    size_t n = 0;
    for (; n < 1000 && !e; n++) {
        e = stream_send(w->server.s, span_of(bytes, sizeof bytes));
        assert_true(stream_backlog(w->server.s) <= STREAM_BACKLOG_MAX);
    }
    assert_int_equal(e, ERR_BUSY);
    assert_in_range(n, 60, 66);
}

/* Contexts. */

struct files {
    char folder[40], certificate[64], key[64], trust[64];
};

static void write_file(const char *path, const char *text, mode_t mode) {
    (void)unlink(path);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static struct files files_new(struct world *w) {
    struct files f = {.folder = "/tmp/muster-test-tls-XXXXXX"};
    assert_non_null(mkdtemp(f.folder));
    snprintf(f.certificate, sizeof f.certificate, "%s/certificate", f.folder);
    snprintf(f.key, sizeof f.key, "%s/key", f.folder);
    snprintf(f.trust, sizeof f.trust, "%s/trust", f.folder);
    struct pki_issued own = pki_issue(w->authority, NULL, "DNS:b.example");
    write_file(f.certificate, own.certificate, 0644);
    write_file(f.key, own.key, 0600);
    write_file(f.trust, pki_trust(w->authority).p, 0644);
    return f;
}

static void files_free(struct files *f) {
    (void)unlink(f->certificate);
    (void)unlink(f->key);
    (void)unlink(f->trust);
    (void)rmdir(f->folder);
}

static void expect_bad(const struct files *f, enum error e, enum tls_part part, const char *words) {
    struct tls_config c = {.certificate = {.path = f->certificate},
                           .key = {.path = f->key},
                           .trust = {.path = f->trust}};
    struct tls_problem problem;
    struct tls_context *t = NULL;
    assert_int_equal(tls_context_new(&c, &t, &problem), e);
    assert_int_equal(problem.part, part);
    assert_non_null(strstr(problem.text, words));
}

static void what_is_wrong_with_files_is_said(void **state) {
    struct world *w = *state;
    struct files f = files_new(w);
    struct pki_issued other = pki_issue(w->authority, NULL, "DNS:b.example");
    write_file(f.key, other.key, 0600);
    expect_bad(&f, ERR_INVALID, TLS_PART_KEY, "is not the key of the certificate");
    write_file(f.key, "no key", 0600);
    expect_bad(&f, ERR_MALFORMED, TLS_PART_KEY, "holds no PEM private key");
    assert_int_equal(unlink(f.key), 0);
    expect_bad(&f, ERR_NOT_FOUND, TLS_PART_KEY, "No such file");
    write_file(f.certificate, other.key, 0600);
    expect_bad(&f, ERR_MALFORMED, TLS_PART_CERTIFICATE, "holds no PEM certificate");
    write_file(f.certificate, other.certificate, 0600);
    write_file(f.key, other.key, 0600);
    write_file(f.trust, "", 0600);
    expect_bad(&f, ERR_MALFORMED, TLS_PART_TRUST, "holds no PEM certificate");
    files_free(&f);
}

static void a_key_for_everybody_to_read_is_warned_of(void **state) {
    struct world *w = *state;
    struct files f = files_new(w);
    struct tls_config c = {
        .certificate = {.path = f.certificate}, .key = {.path = f.key}, .trust = {.path = f.trust}};
    struct tls_problem problem;
    assert_int_equal(tls_context_new(&c, &w->tls, &problem), OK);
    assert_string_equal(tls_context_warning(w->tls), "");
    assert_int_equal(chmod(f.key, 0644), 0);
    assert_int_equal(tls_context_reload(w->tls, &problem), OK);
    assert_non_null(strstr(tls_context_warning(w->tls), "can be read by everybody"));
    files_free(&f);
}

static void a_context_reloads_its_files_or_stays_as_it_is(void **state) {
    struct world *w = *state;
    struct files f = files_new(w);
    struct tls_config c = {
        .certificate = {.path = f.certificate}, .key = {.path = f.key}, .trust = {.path = f.trust}};
    struct tls_problem problem;
    struct tls_context *t;
    assert_int_equal(tls_context_new(&c, &t, &problem), OK);
    listen_with(w, t);
    struct pki_issued next = pki_issue(w->authority, NULL, "DNS:next.example");
    write_file(f.certificate, next.certificate, 0644);
    assert_int_equal(tls_context_reload(t, &problem), ERR_INVALID);
    connect_to(w, "b.example");
    assert_true(w->client.connected);
    struct stream *kept = w->client.s;
    w->client.s = NULL;
    write_file(f.key, next.key, 0600);
    assert_int_equal(tls_context_reload(t, &problem), OK);
    stream_close(kept);
    connect_to(w, "next.example");
    assert_true(w->client.connected);
    files_free(&f);
}

static void arguments_are_checked(void **state) {
    struct world *w = *state;
    struct tls_context *t = pki_context(NULL, w->authority, TLS_CLIENT_ANYBODY);
    struct stream *s;
    char name[300];
    memset(name, 'x', sizeof name);
    assert_int_equal(env_listen_tls(w->b, t, &at, on_accept, w, &w->l), ERR_INVALID);
    assert_int_equal(env_stream_connect_tls(w->a, t, &at, SPAN_NONE, &handler, w, &s), ERR_INVALID);
    assert_int_equal(
        env_stream_connect_tls(w->a, t, &at, span_of(name, sizeof name), &handler, w, &s),
        ERR_INVALID);
    assert_int_equal(env_stream_connect_tls(w->a, t, &at, SPAN("a\0b"), &handler, w, &s),
                     ERR_INVALID);
    tls_context_free(t);
    struct pki_issued own = pki_issue(w->authority, NULL, "DNS:b.example");
    struct tls_config c = {.certificate.text = span_from_cstr(own.certificate)};
    struct tls_problem problem;
    assert_int_equal(tls_context_new(&c, &t, &problem), ERR_INVALID);
    assert_int_equal(problem.part, TLS_PART_KEY);
}

static void crashes_leak_nothing(void **state) {
    struct world *w = *state;
    serve(w, NULL, "DNS:b.example", TLS_CLIENT_ANYBODY);
    struct tls_context *t = pki_context(NULL, w->authority, TLS_CLIENT_ANYBODY);
    for (uint64_t us = 0; us < 1000; us += 50) { /* at any point of the handshake */
        w->client = w->server = (struct end){0};
        assert_int_equal(env_stream_connect_tls(w->a, t, &at, SPAN("b.example"), &handler,
                                                &w->client, &w->client.s),
                         OK);
        sim_run_until(w->sim, sim_now_us(w->sim) + us);
        sim_crash(w->a, us % 100 ? SIM_PROCESS_DIES : SIM_MACHINE_VANISHES);
        stream_close(w->client.s);
        w->client.s = NULL;
        env_close(w->a);
        assert_int_equal(sim_env_new(w->sim, "a", &w->a), OK);
        run(w, us % 3 ? 0 : 20);
        stream_close(w->server.s);
        w->server.s = NULL;
    }
    tls_context_free(t);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_world, close_world)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_certificate_is_for_its_names_only),
        TEST(who_is_at_the_other_end_is_known),
        TEST(a_listener_demands_what_its_context_says),
        TEST(a_certificate_of_nobody_known_is_refused),
        TEST(validity_goes_by_the_clock_of_the_environment),
        TEST(large_transfers_survive_any_splitting),
        TEST(who_speaks_no_tls_is_shown_the_door),
        TEST(a_server_without_tls_is_called_that),
        TEST(a_silent_half_open_connection_is_closed_in_time),
        TEST(a_silent_server_is_not_waited_for),
        TEST(handshakes_under_way_are_bounded),
        TEST(what_is_sent_before_the_handshake_arrives_after_it),
        TEST(a_slow_reader_holds_a_bounded_backlog),
        TEST(what_is_wrong_with_files_is_said),
        TEST(a_key_for_everybody_to_read_is_warned_of),
        TEST(a_context_reloads_its_files_or_stays_as_it_is),
        TEST(arguments_are_checked),
        TEST(crashes_leak_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
