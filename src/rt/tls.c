/* TLS streams. OpenSSL does the records; it reads what the stream below presents, out of the
 * caller's buffer, and writes into the stream below, so nothing is stored twice.
 *
 * A TLS stream owns the one below and has taken it out of the environment's list, where it stands
 * instead. While one of its callbacks runs, its memory stays (`depth`). */
#include "rt/bytes.h"
#include "rt/link.h"
#include "rt/tls_internal.h"

#include <assert.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

enum {
    RECORD_MAX = 16384,
    BACKLOG_MAX = STREAM_BACKLOG_MAX - TLS_BACKLOG_ROOM,
    NAME_BYTES = 256,
};

enum stage { HANDSHAKE, OPEN, OVER };

struct tls_listener {
    struct listener base;
    struct listener *below;
    struct tls_context *tls;
    struct list handshaking; /* struct tls_stream, in_listener */
    unsigned n_handshaking;
};

struct tls_stream {
    struct stream base;
    struct stream *below; /* NULL once it is gone */
    struct tls_context *tls;
    struct tls_listener *listener; /* while its handshake runs */
    struct list in_listener;
    SSL *ssl;
    enum stage stage;
    unsigned depth;       /* calls that are under way in it */
    bool connecting;      /* we asked */
    bool failed;          /* OpenSSL cannot go on: not even say goodbye */
    struct span arriving; /* of what is presented now, what OpenSSL has not taken */
    struct bytes in;      /* plain, and left lying by the reader */
    struct bytes out;     /* plain, sent before the handshake was done */
    struct timer patience;
    struct post breaking; /* a send has failed; the owner is told in the next turn */
    struct tls_problem problem;
    char name[NAME_BYTES]; /* of the peer: wanted, or found */
};

static struct tls_stream *tls_of(struct stream *s) {
    return CONTAINER_OF(s, struct tls_stream, base);
}

static const struct tls_stream *tls_of_const(const struct stream *s);

/* What OpenSSL reads and writes. */

static int bio_read(BIO *b, char *out, size_t n, size_t *done) {
    struct tls_stream *t = BIO_get_data(b);
    BIO_clear_retry_flags(b);
    if (t->arriving.n == 0) {
        BIO_set_retry_read(b);
        return 0;
    }
    *done = n < t->arriving.n ? n : t->arriving.n;
    memcpy(out, t->arriving.p, *done);
    t->arriving = span_after(t->arriving, *done);
    return 1;
}

static int bio_write(BIO *b, const char *bytes, size_t n, size_t *done) {
    struct tls_stream *t = BIO_get_data(b);
    BIO_clear_retry_flags(b);
    if (!t->below || stream_send(t->below, span_of(bytes, n)) != OK) {
        return 0;
    }
    *done = n;
    return 1;
}

static long bio_ctrl(BIO *b, int command, long n, void *p) {
    (void)b, (void)n, (void)p;
    return command == BIO_CTRL_FLUSH;
}

BIO_METHOD *tls_bio_method(void) {
    BIO_METHOD *m = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "stream");
    if (m && (BIO_meth_set_read_ex(m, bio_read) != 1 || BIO_meth_set_write_ex(m, bio_write) != 1 ||
              BIO_meth_set_ctrl(m, bio_ctrl) != 1)) {
        BIO_meth_free(m);
        return NULL;
    }
    return m;
}

/* Ending. */

static void release(struct tls_stream *t) {
    if (t->stage != OVER || t->depth > 0) {
        return;
    }
    SSL_free(t->ssl);
    bytes_free(&t->in);
    bytes_free(&t->out);
    tls_context_free(t->tls);
    free(t);
}

static void leave_listener(struct tls_stream *t) {
    if (t->listener) {
        list_remove(&t->in_listener);
        t->listener->n_handshaking--;
        t->listener = NULL;
    }
}

/* Takes it out of everything and lets the stream below go, with a goodbye if that makes sense. */
static void leave(struct tls_stream *t) {
    if (t->stage == OPEN && t->below && !t->failed) {
        ERR_clear_error();
        (void)SSL_shutdown(t->ssl);
        ERR_clear_error();
    }
    t->stage = OVER;
    leave_listener(t);
    timer_stop(&t->patience);
    post_cancel(&t->breaking);
    list_remove(&t->base.in_env);
    struct stream *below = t->below;
    t->below = NULL;
    stream_close(below);
}

static enum error error_of(const struct tls_problem *p) {
    switch (p->fault) {
    case TLS_FAULT_EXPIRED:
    case TLS_FAULT_NOT_YET_VALID:
    case TLS_FAULT_UNKNOWN_ISSUER:
    case TLS_FAULT_WRONG_NAME:
    case TLS_FAULT_BAD_CERTIFICATE:
    case TLS_FAULT_NO_CERTIFICATE:
    case TLS_FAULT_REFUSED:
        return ERR_AUTHENTICATION;
    case TLS_FAULT_NO_COMMON:
        return ERR_UNSUPPORTED;
    case TLS_FAULT_NOT_TLS:
        return ERR_MALFORMED;
    case TLS_FAULT_SLOW:
        return ERR_TIMEOUT;
    default:
        return ERR_CLOSED;
    }
}

static void note_failure(struct tls_stream *t) {
    struct tls_counters *c = &t->tls->counters;
    struct buf peer = buf_init((char[64]){0}, 64);
    addr_put(&peer, &t->base.remote);
    c->failed++;
    c->refused_peers +=
        t->problem.fault != TLS_FAULT_REFUSED && error_of(&t->problem) == ERR_AUTHENTICATION;
    LOG(&t->base.env->log, LOG_NOTICE, t->connecting ? "tls to a peer failed" : "tls peer refused",
        LOG_SPAN("peer", buf_span(&peer)), LOG_CSTR("fault", tls_fault_name(t->problem.fault)),
        LOG_CSTR("why", t->problem.text));
}

/* Ends it, for its owner if it has one already. */
static void end(struct tls_stream *t, enum error why) {
    if (t->stage == OVER) {
        return;
    }
    bool owned = t->connecting || t->stage == OPEN;
    if (t->stage == HANDSHAKE && t->problem.fault != TLS_FAULT_NONE) {
        note_failure(t);
    }
    leave(t);
    t->depth++;
    if (owned && t->base.handler) {
        t->base.handler->closed(t->base.ctx, &t->base, why);
    }
    t->depth--;
}

/* OpenSSL has given up. */
static void end_failed(struct tls_stream *t) {
    t->failed = true;
    if (t->problem.fault == TLS_FAULT_NONE) {
        tls_problem_from_queue(&t->problem);
    }
    ERR_clear_error();
    end(t, error_of(&t->problem));
}

static void on_breaking(struct post *p) {
    struct tls_stream *t = CONTAINER_OF(p, struct tls_stream, breaking);
    end(t, ERR_CLOSED);
    release(t);
}

static void on_impatient(struct timer *timer) {
    struct tls_stream *t = CONTAINER_OF(timer, struct tls_stream, patience);
    tls_problem_set(&t->problem, TLS_FAULT_SLOW, TLS_PART_PEER,
                    "no TLS handshake within %u seconds",
                    (unsigned)(t->tls->handshake_us / SEC_IN_US));
    end(t, ERR_TIMEOUT);
    release(t);
}

/* Sending. */

static void break_soon(struct tls_stream *t) {
    t->failed = true;
    ERR_clear_error();
    env_post(t->base.env, &t->breaking);
}

static enum error op_send(struct stream *base, struct span bytes) {
    struct tls_stream *t = tls_of(base);
    assert(t->stage != OVER);
    if (bytes.n == 0) {
        return OK;
    }
    if (t->failed) {
        return ERR_CLOSED;
    }
    size_t waiting = stream_backlog(base);
    if (waiting > BACKLOG_MAX || bytes.n > BACKLOG_MAX - waiting) {
        return ERR_BUSY;
    }
    if (t->stage == HANDSHAKE) {
        return bytes_add(&t->out, bytes) ? OK : ERR_NO_MEMORY;
    }
    size_t done;
    ERR_clear_error();
    if (SSL_write_ex(t->ssl, bytes.p, bytes.n, &done) != 1) {
        break_soon(t);
        return ERR_CLOSED;
    }
    return OK;
}

static size_t op_backlog(const struct stream *base) {
    const struct tls_stream *t = tls_of_const(base);
    return t->out.n + (t->below ? stream_backlog(t->below) : 0);
}

static void op_close(struct stream *base) {
    struct tls_stream *t = tls_of(base);
    assert(t->stage != OVER);
    base->handler = NULL;
    leave(t);
    release(t);
}

static void op_hold(struct stream *base, bool held) {
    struct tls_stream *t = tls_of(base);
    if (t->below) {
        stream_hold(t->below, held);
    }
}

static const struct stream_ops tls_ops = {
    .send = op_send, .backlog = op_backlog, .hold = op_hold, .close = op_close};

static const struct tls_stream *tls_of_const(const struct stream *s) {
    return (const struct tls_stream *)(const void *)s;
}

/* Handshake. */

/* Judges each certificate of the peer's chain; the name of the last, his own, as well. */
static int verify(int good, X509_STORE_CTX *store) {
    const SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct tls_stream *t = SSL_get_ex_data(ssl, 0);
    X509 *certificate = X509_STORE_CTX_get_current_cert(store);
    if (good && t->connecting && X509_STORE_CTX_get_error_depth(store) == 0 &&
        !tls_certificate_is(certificate, span_from_cstr(t->name))) {
        X509_STORE_CTX_set_error(store, X509_V_ERR_HOSTNAME_MISMATCH);
        good = 0;
    }
    if (!good) {
        tls_problem_from_verification(&t->problem, X509_STORE_CTX_get_error(store), certificate);
    }
    return good;
}

static bool flush_early(struct tls_stream *t) {
    size_t done;
    bool good = t->out.n == 0 || SSL_write_ex(t->ssl, bytes_data(&t->out), t->out.n, &done) == 1;
    bytes_free(&t->out);
    return good;
}

static void handshake_done(struct tls_stream *t) {
    struct tls_counters *c = &t->tls->counters;
    struct tls_listener *l = t->listener;
    timer_stop(&t->patience);
    leave_listener(t);
    t->stage = OPEN;
    *(t->connecting ? &c->connected : &c->accepted) += 1;
    c->resumed += SSL_session_reused(t->ssl) == 1;
    if (t->connecting) {
        if (!flush_early(t)) {
            break_soon(t);
            return;
        }
        t->base.handler->connected(t->base.ctx, &t->base);
        return;
    }
    X509 *peer = SSL_get0_peer_certificate(t->ssl);
    if (peer) {
        tls_certificate_name(peer, t->name, sizeof t->name);
    }
    l->base.accept(l->base.ctx, &l->base, &t->base);
    if (t->stage == OPEN && !t->base.handler) {
        leave(t);
    }
}

static void shake_hands(struct tls_stream *t) {
    ERR_clear_error();
    int result = SSL_do_handshake(t->ssl);
    if (result == 1) {
        handshake_done(t);
    } else if (SSL_get_error(t->ssl, result) != SSL_ERROR_WANT_READ) {
        end_failed(t);
    }
}

/* Receiving. */

/* Presents plain bytes with those that were left lying. False when the stream has ended. */
static bool present(struct tls_stream *t, char *bytes, size_t n) {
    bool kept = t->in.n > 0;
    if (kept && !bytes_add(&t->in, span_of(bytes, n))) {
        end(t, ERR_NO_MEMORY);
        return false;
    }
    char *all = kept ? bytes_data(&t->in) : bytes;
    size_t n_all = kept ? t->in.n : n;
    size_t taken = t->base.handler->received(t->base.ctx, &t->base, all, n_all);
    if (t->stage == OVER) {
        return false;
    }
    assert(taken <= n_all);
    if (kept) {
        bytes_take(&t->in, taken);
    } else if (!bytes_add(&t->in, span_of(all + taken, n_all - taken))) {
        end(t, ERR_NO_MEMORY);
        return false;
    }
    if (t->in.n == 0) {
        bytes_free(&t->in);
    }
    if (t->in.n >= STREAM_RECEIVE_MAX) {
        end(t, ERR_TOO_BIG);
        return false;
    }
    return true;
}

static void read_records(struct tls_stream *t) {
    char plain[RECORD_MAX];
    for (;;) {
        size_t n = 0;
        ERR_clear_error();
        int result = SSL_read_ex(t->ssl, plain, sizeof plain, &n);
        if (result == 1) {
            if (!present(t, plain, n)) {
                return;
            }
            continue;
        }
        int why = SSL_get_error(t->ssl, result);
        if (why == SSL_ERROR_ZERO_RETURN) {
            end(t, ERR_CLOSED);
        } else if (why != SSL_ERROR_WANT_READ) {
            end_failed(t);
        }
        return;
    }
}

static size_t below_received(void *ctx, struct stream *s, char *bytes, size_t n) {
    struct tls_stream *t = ctx;
    (void)s;
    t->depth++;
    t->arriving = span_of(bytes, n);
    if (t->stage == HANDSHAKE) {
        shake_hands(t);
    }
    if (t->stage == OPEN) {
        read_records(t);
    }
    t->arriving = SPAN_NONE;
    t->depth--;
    release(t);
    return n;
}

static void below_connected(void *ctx, struct stream *s) {
    struct tls_stream *t = ctx;
    t->base.local = *stream_local(s);
    t->depth++;
    shake_hands(t);
    t->depth--;
    release(t);
}

static void below_closed(void *ctx, struct stream *s, enum error why) {
    struct tls_stream *t = ctx;
    (void)s;
    t->below = NULL;
    if (t->stage == HANDSHAKE && SSL_get_state(t->ssl) != TLS_ST_BEFORE) {
        tls_problem_set(&t->problem, TLS_FAULT_CLOSED, TLS_PART_PEER,
                        "the peer closed the connection during the TLS handshake");
    }
    end(t, why);
    release(t);
}

static const struct stream_handler below_handler = {
    .connected = below_connected, .received = below_received, .closed = below_closed};

/* Making. */

static struct tls_stream *tls_stream_new(struct env *env, struct tls_context *tls) {
    struct tls_stream *t = calloc(1, sizeof *t);
    SSL *ssl = t ? SSL_new(tls->ssl) : NULL;
    BIO *bio = ssl ? BIO_new(tls->bio) : NULL;
    if (!bio || SSL_set_ex_data(ssl, 0, t) != 1) {
        BIO_free(bio);
        SSL_free(ssl);
        free(t);
        ERR_clear_error();
        return NULL;
    }
    BIO_set_data(bio, t);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    X509_VERIFY_PARAM_set_time(SSL_get0_param(ssl), (time_t)(env_wall_us(env) / 1000000));
    t->base = (struct stream){.ops = &tls_ops, .env = env};
    t->tls = tls_context_hold(tls);
    t->ssl = ssl;
    list_init(&t->in_listener);
    list_init(&t->base.in_env);
    timer_init(&t->patience, on_impatient);
    post_init(&t->breaking, on_breaking);
    return t;
}

/* Puts it in the place of the stream below. */
static void take_over(struct tls_stream *t, struct stream *below) {
    t->below = below;
    t->base.local = below->local;
    t->base.remote = below->remote;
    list_insert(&below->in_env, &t->base.in_env);
    list_remove(&below->in_env);
    timer_start(t->base.env, &t->patience, t->tls->handshake_us);
}

enum error env_stream_connect_tls(struct env *env, struct tls_context *tls,
                                  const struct addr *remote, struct span name,
                                  const struct stream_handler *handler, void *ctx,
                                  struct stream **out) {
    if (span_is_empty(name) || name.n >= NAME_BYTES || span_find_char(name, '\0') < name.n) {
        return ERR_INVALID;
    }
    struct tls_stream *t = tls_stream_new(env, tls);
    if (!t) {
        return ERR_NO_MEMORY;
    }
    memcpy(t->name, name.p, name.n);
    t->connecting = true;
    struct addr literal;
    SSL_set_connect_state(t->ssl);
    SSL_set_verify(t->ssl, SSL_VERIFY_PEER, verify);
    struct stream *below;
    enum error e =
        addr_parse_host(name, 0, &literal) || SSL_set_tlsext_host_name(t->ssl, t->name) == 1
            ? env_stream_connect(env, remote, &below_handler, t, &below)
            : ERR_NO_MEMORY;
    if (e) {
        t->stage = OVER;
        release(t);
        return e;
    }
    take_over(t, below);
    stream_attach(&t->base, handler, ctx);
    *out = &t->base;
    return OK;
}

/* Who has had the longest time for his handshake gives way: else those who never end theirs would
 * keep out all others. */
static void crowd_out(struct tls_stream *oldest) {
    oldest->tls->counters.crowded++;
    leave(oldest);
    release(oldest);
}

static void on_accepted(void *ctx, struct listener *below_listener, struct stream *below) {
    static const int modes[] = {
        [TLS_CLIENT_ANYBODY] = SSL_VERIFY_NONE,
        [TLS_CLIENT_VERIFIED] = SSL_VERIFY_PEER,
        [TLS_CLIENT_REQUIRED] = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
    };
    struct tls_listener *l = ctx;
    (void)below_listener;
    if (l->n_handshaking >= TLS_HANDSHAKES_MAX) {
        crowd_out(CONTAINER_OF(l->handshaking.next, struct tls_stream, in_listener));
    }
    struct tls_stream *t = tls_stream_new(l->base.env, l->tls);
    if (!t) {
        stream_close(below);
        return;
    }
    SSL_set_accept_state(t->ssl);
    SSL_set_verify(t->ssl, modes[l->tls->client], verify);
    stream_attach(below, &below_handler, t);
    take_over(t, below);
    t->listener = l;
    l->n_handshaking++;
    list_insert(&l->handshaking, &t->in_listener);
}

static void close_listener(struct listener *base) {
    struct tls_listener *l = CONTAINER_OF(base, struct tls_listener, base);
    listener_close(l->below);
    LIST_EACH(&l->handshaking, t, struct tls_stream, in_listener) {
        leave(t);
        release(t);
    }
    list_remove(&base->in_env);
    tls_context_free(l->tls);
    free(l);
}

static const struct listener_ops tls_listener_ops = {.close = close_listener};

enum error env_listen_tls(struct env *env, struct tls_context *tls, const struct addr *local,
                          listener_accept_fn *accept, void *ctx, struct listener **out) {
    if (!SSL_CTX_get0_certificate(tls->ssl)) {
        return ERR_INVALID;
    }
    struct tls_listener *l = calloc(1, sizeof *l);
    if (!l) {
        return ERR_NO_MEMORY;
    }
    list_init(&l->handshaking);
    enum error e = env_listen(env, local, on_accepted, l, &l->below);
    if (e) {
        free(l);
        return e;
    }
    l->base = (struct listener){.ops = &tls_listener_ops,
                                .env = env,
                                .local = l->below->local,
                                .accept = accept,
                                .ctx = ctx};
    l->tls = tls_context_hold(tls);
    list_insert(&l->below->in_env, &l->base.in_env);
    list_remove(&l->below->in_env);
    *out = &l->base;
    return OK;
}

/* Getters. */

bool stream_is_tls(const struct stream *s) {
    return s->ops == &tls_ops;
}

static X509 *verified_certificate(const struct stream *s) {
    if (!stream_is_tls(s)) {
        return NULL;
    }
    const struct tls_stream *t = tls_of_const(s);
    bool done = t->stage == OPEN && SSL_get_verify_result(t->ssl) == X509_V_OK &&
                SSL_get_verify_mode(t->ssl) != SSL_VERIFY_NONE;
    return done ? SSL_get0_peer_certificate(t->ssl) : NULL;
}

bool tls_peer_is(const struct stream *s, struct span name) {
    X509 *certificate = verified_certificate(s);
    return certificate && tls_certificate_is(certificate, name);
}

struct span tls_peer_name(const struct stream *s) {
    return verified_certificate(s) ? span_from_cstr(tls_of_const(s)->name) : SPAN_NONE;
}

const struct tls_problem *tls_problem_of(const struct stream *s) {
    static const struct tls_problem none;
    return stream_is_tls(s) ? &tls_of_const(s)->problem : &none;
}

const char *tls_version_of(const struct stream *s) {
    return stream_is_tls(s) ? SSL_get_version(tls_of_const(s)->ssl) : "";
}
