/* RFC 9112 (connections, framing), RFC 9110 (what status codes mean), RFC 6750 (tokens).
 *
 * A connection is in one of three phases: it waits for the rest of a request (its head or its
 * body), or its request is under way (the handler has it, or the answer goes out). Bytes that come
 * meanwhile stay, and the stream is held: one request after another. A request outlives its
 * connection until its handler has answered. */
#include "stack/http/server.h"

#include "base/list.h"
#include "rt/loop.h"
#include "rt/tls.h"
#include "stack/http/message.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
    DEFAULT_MAX_BODY = 1 << 20,
    DEFAULT_CONNECTIONS = 2048,
    DEFAULT_IDLE_S = 10,
    HEAD_MAX = 16 << 10,     /* request line and fields */
    BODY_RATE = 1 << 10,     /* bytes a second that a body must have */
    KEEP_MAX = 64 << 10,     /* of a quiet connection's buffer */
    PIPELINE_MAX = 2 << 20,  /* what a client may send ahead of an answer */
    PIECE = 128 << 10,       /* of an answer, for the stream */
    BACKLOG_MAX = 256 << 10, /* that waits in the stream */
    PUMP_MS = 2,
};

enum phase { PHASE_HEAD, PHASE_BODY, PHASE_BUSY, PHASES };

struct web_server {
    struct env *env;
    struct listener *listener, *tls_listener;
    struct list connections[PHASES]; /* each in the order in which they came into the phase */
    size_t n_connections;
    struct list exchanges;
    struct web_route *routes;
    size_t n_routes;
    struct web_token *tokens;
    size_t n_tokens;
    size_t max_body;
    unsigned max_connections, idle_s;
    struct web_server_counters counters;
};

/* Bytes that grow. */
struct bytes_room {
    char *p;
    size_t n, cap;
};

struct exchange {
    struct list entry;
    struct web_server *server;
    struct connection *connection; /* NULL: it is gone */
    char *head_bytes;
    struct http_head head;
    struct http_chunks chunks;
    struct bytes_room body;
    char who[WEB_TOKEN_NAME_MAX + 1];
    bool dispatched, answered;
};

struct connection {
    struct list entry;
    struct web_server *server;
    struct stream *stream;
    enum phase phase;
    struct timer patience; /* until the request is there; later between pieces of an answer */
    struct post again;     /* there are bytes of a next request */
    struct bytes_room in;
    size_t scanned;
    size_t body_seen; /* when patience began */
    struct exchange *exchange;
    char *out;
    size_t out_n, out_at;
    size_t taken; /* of the answer by the client when that was last more than before */
    uint64_t taken_us;
    bool closes; /* after the answer */
};

/* Memory. */

static enum error room_append(struct bytes_room *r, const char *bytes, size_t n) {
    if (n > r->cap - r->n) {
        size_t cap = r->cap ? r->cap : 4096;
        while (cap < r->n + n) {
            cap *= 2;
        }
        char *grown = realloc(r->p, cap);
        if (!grown) {
            return ERR_NO_MEMORY;
        }
        r->p = grown;
        r->cap = cap;
    }
    if (n) {
        memcpy(r->p + r->n, bytes, n);
    }
    r->n += n;
    return OK;
}

/* What people send may be keys. */
static void room_free(struct bytes_room *r) {
    if (r->p) {
        OPENSSL_cleanse(r->p, r->n);
        free(r->p);
    }
    *r = (struct bytes_room){0};
}

static void room_take(struct bytes_room *r, size_t n) {
    if (n == r->n) {
        OPENSSL_cleanse(r->p, r->n);
        r->n = 0;
        if (r->cap > KEEP_MAX) {
            room_free(r);
        }
    } else if (n) {
        memmove(r->p, r->p + n, r->n - n);
        r->n -= n;
    }
}

static void exchange_free(struct exchange *x) {
    list_remove(&x->entry);
    if (x->head_bytes) {
        OPENSSL_cleanse(x->head_bytes, strlen(x->head_bytes)); /* a token stands there */
    }
    free(x->head_bytes);
    room_free(&x->body);
    free(x);
}

/* Connections. */

static void set_phase(struct connection *c, enum phase phase) {
    list_remove(&c->entry);
    list_insert(&c->server->connections[phase], &c->entry);
    c->phase = phase;
}

/* Frees a connection; its stream is closed already, or is closed here. */
static void connection_free(struct connection *c, bool close) {
    struct exchange *x = c->exchange;

    timer_stop(&c->patience);
    post_cancel(&c->again);
    list_remove(&c->entry);
    c->server->n_connections--;
    if (close) {
        stream_close(c->stream);
    }
    if (x && (x->answered || !x->dispatched)) {
        exchange_free(x);
    } else if (x) {
        x->connection = NULL;
    }
    room_free(&c->in);
    free(c->out);
    free(c);
}

static uint64_t idle_us(const struct web_server *s) {
    return s->idle_s * SEC_IN_US;
}

static void wait_for_head(struct connection *c) {
    set_phase(c, PHASE_HEAD);
    c->scanned = 0;
    timer_start(c->server->env, &c->patience, idle_us(c->server));
}

/* Answers. */

static void pump(struct connection *c);

static void answer_done(struct connection *c) {
    exchange_free(c->exchange);
    c->exchange = NULL;
    free(c->out);
    c->out = NULL;
    if (c->closes) {
        connection_free(c, true);
        return;
    }
    wait_for_head(c);
    stream_hold(c->stream, false);
    if (c->in.n) {
        env_post(c->server->env, &c->again);
    }
}

/* Hands the answer to the stream as fast as that is read; false: the connection is gone. */
static void pump(struct connection *c) {
    struct web_server *s = c->server;

    while (c->out_at < c->out_n) {
        size_t waits = stream_backlog(c->stream), n = c->out_n - c->out_at;
        uint64_t now_us = env_now_us(s->env);

        if (c->out_at - (waits < c->out_at ? waits : c->out_at) > c->taken) {
            c->taken = c->out_at - waits;
            c->taken_us = now_us;
        }
        if (waits > BACKLOG_MAX && now_us - c->taken_us > idle_us(s)) {
            s->counters.slow++;
            connection_free(c, true);
            return;
        }
        if (waits > BACKLOG_MAX) {
            timer_start(s->env, &c->patience, PUMP_MS * MS_IN_US);
            return;
        }
        n = n < PIECE ? n : PIECE;
        if (stream_send(c->stream, span_of(c->out + c->out_at, n)) != OK) {
            connection_free(c, true);
            return;
        }
        c->out_at += n;
    }
    answer_done(c);
}

static void put_date(struct buf *b, struct env *env) {
    static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t now = (time_t)(env_wall_us(env) / (int64_t)SEC_IN_US);
    struct tm t;

    if (gmtime_r(&now, &t)) {
        buf_printf(b, "Date: %s, %02d %s %d %02d:%02d:%02d GMT\r\n", days[t.tm_wday], t.tm_mday,
                   months[t.tm_mon], t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
    }
}

static void put_field(struct buf *b, struct span name, struct span value) {
    if (value.n) {
        buf_printf(b, "%.*s: %.*s\r\n", SPAN_ARG(name), SPAN_ARG(value));
    }
}

static bool has_no_body(unsigned status) {
    return status < 200 || status == 204 || status == 304;
}

static void put_head(struct buf *b, const struct connection *c, const struct web_answer *a) {
    buf_printf(b, "HTTP/1.1 %u %s\r\n", a->status, web_status_text(a->status));
    put_date(b, c->server->env);
    put_field(b, SPAN("Content-Type"), a->content_type);
    if (!has_no_body(a->status)) {
        buf_printf(b, "Content-Length: %zu\r\n", a->body.n);
    }
    for (size_t i = 0; i < a->n_headers; i++) {
        put_field(b, a->headers[i].name, a->headers[i].value);
    }
    buf_cstr(b, "Cache-Control: no-store\r\n");
    if (c->closes) {
        buf_cstr(b, "Connection: close\r\n");
    }
    buf_cstr(b, "\r\n");
}

static void take_answer(void *ctx, const struct web_answer *answer) {
    enum { ANSWER_HEAD_MAX = 8192 };
    struct exchange *x = ctx;
    struct connection *c = x->connection;

    x->answered = true;
    if (!c) {
        exchange_free(x);
        return;
    }
    bool bare = span_eq(x->head.method, SPAN("HEAD")) || has_no_body(answer->status);
    size_t body_n = bare ? 0 : answer->body.n;
    c->out = malloc(ANSWER_HEAD_MAX + body_n);
    struct buf b = buf_init(c->out, c->out ? ANSWER_HEAD_MAX : 0);
    put_head(&b, c, answer);
    if (!c->out || b.overflow) {
        connection_free(c, true);
        return;
    }
    if (body_n) {
        memcpy(c->out + b.n, answer->body.p, body_n);
    }
    c->out_n = b.n + body_n;
    c->out_at = c->taken = 0;
    c->taken_us = env_now_us(c->server->env);
    pump(c);
}

/* A request is there, or is refused: nothing more is read until it is answered. */
static void go_busy(struct connection *c) {
    set_phase(c, PHASE_BUSY);
    timer_stop(&c->patience);
    stream_hold(c->stream, true);
}

/* Refuses; the rest of what comes on this connection is not trusted. */
static void refuse(struct connection *c, unsigned status, const char *text) {
    uint64_t *count = status == 403   ? &c->server->counters.forbidden
                      : status == 408 ? &c->server->counters.slow
                                      : &c->server->counters.malformed;
    ++*count;
    c->closes = true;
    go_busy(c);
    web_refuse(take_answer, c->exchange, status, text);
}

/* Who may ask. */

static bool is_local_name(struct span host) {
    struct addr a;
    if (addr_parse(host, &a) || addr_parse_host(host, 0, &a)) {
        return addr_is_loopback(&a);
    }
    return span_eq_nocase(span_slice(host, 0, span_find_char(host, ':')), SPAN("localhost"));
}

/* NULL, or why the request of a browser's page, perhaps, is not served. */
static const char *judge_origin(const struct web_server *s, const struct http_head *h) {
    bool repeated;
    struct span origin = http_field(h, SPAN("origin"), &repeated);
    size_t scheme = span_find(origin, SPAN("://")) + 3;

    if (!s->n_tokens && !is_local_name(h->host)) {
        return "Host is not an address of this machine's loopback";
    }
    if (repeated ||
        (origin.p && (scheme > origin.n || !span_eq_nocase(span_after(origin, scheme), h->host)))) {
        return "requests from other origins are not served";
    }
    return NULL;
}

static const struct web_route *find_route(const struct web_server *s, struct span path) {
    const struct web_route *best = NULL;
    size_t best_n = 0;
    for (size_t i = 0; i < s->n_routes; i++) {
        struct span prefix = span_from_cstr(s->routes[i].prefix);
        bool fits =
            span_starts_with(path, prefix) &&
            (path.n == prefix.n || path.p[prefix.n] == '/' || prefix.p[prefix.n - 1] == '/');
        if (fits && (!best || prefix.n > best_n)) {
            best = &s->routes[i];
            best_n = prefix.n;
        }
    }
    return best;
}

static struct web_request request_of(const struct exchange *x) {
    const struct http_head *h = &x->head;
    struct span query = h->target, path = span_cut(&query, '?');
    bool head = span_eq(h->method, SPAN("HEAD"));

    return (struct web_request){
        .method = head ? SPAN("GET") : h->method,
        .path = path,
        .query = query,
        .content_type = http_field(h, SPAN("content-type"), NULL),
        .if_match = http_field(h, SPAN("if-match"), NULL),
        .if_none_match = http_field(h, SPAN("if-none-match"), NULL),
        .body = span_of(x->body.p, x->body.n),
        .remote = *stream_remote(x->connection->stream),
        .who = span_from_cstr(x->who),
    };
}

static enum web_right right_needed(const struct web_route *route,
                                   const struct web_request *request) {
    enum web_right right = span_eq(request->method, SPAN("GET")) ? WEB_READ : WEB_WRITE;

    return route && route->needs ? route->needs(request) : right;
}

static void log_refused(struct connection *c, const struct web_request *r, const char *what,
                        struct span who) {
    char where[64];
    struct buf b = buf_init(where, sizeof where);

    addr_put(&b, &r->remote);
    LOG(&c->server->env->log, LOG_NOTICE, what, LOG_SPAN("who", who),
        LOG_SPAN("from", buf_span(&b)), LOG_SPAN("method", r->method), LOG_SPAN("path", r->path));
}

static void refuse_access(struct connection *c, unsigned status, struct span challenge,
                          const char *text) {
    char body[320];
    struct buf b = buf_init(body, sizeof body);
    const struct web_header header = {SPAN("WWW-Authenticate"), challenge};

    buf_printf(&b, "{\"status\": %u, \"title\": \"%s\", \"detail\": \"%s\"}\n", status,
               web_status_text(status), text);
    struct web_answer a = {.status = status,
                           .content_type = SPAN("application/problem+json"),
                           .body = buf_span(&b),
                           .headers = &header,
                           .n_headers = 1};
    c->closes = true;
    go_busy(c);
    take_answer(c->exchange, &a);
}

/* Has the request a token that permits it? False: it was refused. */
static bool check_token(struct connection *c) {
    struct exchange *x = c->exchange;
    struct web_server *s = c->server;
    struct web_request request = request_of(x);
    struct span shown = http_field(&x->head, SPAN("authorization"), NULL);
    const struct web_token *token = web_token_find(s->tokens, s->n_tokens, shown);

    if (!token) {
        s->counters.unauthorized++;
        log_refused(c, &request, "a web request without a good token", SPAN_NONE);
        refuse_access(c, 401,
                      shown.p ? SPAN("Bearer realm=\"muster\", error=\"invalid_token\"")
                              : SPAN("Bearer realm=\"muster\""),
                      "a token is needed: Authorization: Bearer TOKEN");
        return false;
    }
    enum web_right needed = right_needed(find_route(s, request.path), &request);
    if (token->right < needed) {
        s->counters.forbidden++;
        log_refused(c, &request, "a web request whose token does not permit it",
                    span_from_cstr(token->name));
        refuse_access(c, 403, SPAN("Bearer realm=\"muster\", error=\"insufficient_scope\""),
                      needed == WEB_ADMIN ? "this token does not permit that: admin is needed"
                                          : "this token does not permit that: write is needed");
        return false;
    }
    snprintf(x->who, sizeof x->who, "%s", token->name);
    return true;
}

/* Requests. */

static void dispatch(struct connection *c) {
    struct exchange *x = c->exchange;
    struct web_request request = request_of(x);
    const struct web_route *route = find_route(c->server, request.path);

    go_busy(c);
    x->dispatched = true;
    c->server->counters.requests++;
    if (route) {
        route->handle(route->ctx, &request, take_answer, x);
    } else {
        web_refuse(take_answer, x, 404, "nothing is served under this path");
    }
}

/* Takes what is there of the body; true: it is whole, or was refused. */
static bool take_body(struct connection *c) {
    struct exchange *x = c->exchange;
    struct span in = span_of(c->in.p, c->in.n), piece;
    enum http_chunk k = HTTP_CHUNK_MORE;
    bool memory = true, large = false;

    if (!x->head.chunked) {
        size_t left = (size_t)x->head.length - x->body.n;
        piece = span_slice(in, 0, left);
        in = span_after(in, piece.n);
        memory = room_append(&x->body, piece.p, piece.n) == OK;
        k = x->body.n == x->head.length ? HTTP_CHUNK_END : HTTP_CHUNK_MORE;
    } else {
        while (memory && !large &&
               (k = http_chunks_take(&x->chunks, &in, &piece)) == HTTP_CHUNK_DATA) {
            large = piece.n > c->server->max_body - x->body.n;
            memory = large || room_append(&x->body, piece.p, piece.n) == OK;
        }
    }
    room_take(&c->in, c->in.n - in.n);
    if (k == HTTP_CHUNK_MORE && memory && !large) {
        return false;
    }
    if (!memory) {
        refuse(c, 503, "memory is out");
    } else if (large) {
        refuse(c, 413, "the body is larger than the configured limit");
    } else if (k == HTTP_CHUNK_BAD) {
        refuse(c, 400, "the chunks of the body are broken");
    } else {
        dispatch(c);
    }
    return true;
}

static struct exchange *exchange_new(struct connection *c, size_t head_n) {
    struct exchange *x = calloc(1, sizeof *x);

    if (!x) {
        return NULL;
    }
    x->head_bytes = calloc(1, head_n + 1);
    if (!x->head_bytes) {
        free(x);
        return NULL;
    }
    if (head_n) {
        memcpy(x->head_bytes, c->in.p, head_n);
    }
    http_chunks_init(&x->chunks);
    x->server = c->server;
    x->connection = c;
    list_insert(&c->server->exchanges, &x->entry);
    c->exchange = x;
    return x;
}

/* Looks at a head. True: go on with the body; else it was answered. */
static bool begin(struct connection *c, size_t head_n) {
    static const struct span carry_on = SPAN_INIT("HTTP/1.1 100 Continue\r\n\r\n");
    struct exchange *x = c->exchange;
    const char *why = NULL;
    unsigned status = http_head_parse(span_of(x->head_bytes, head_n), &x->head, &why);

    room_take(&c->in, head_n);
    c->closes = x->head.closes;
    if (status) {
        refuse(c, status, why);
        return false;
    }
    why = judge_origin(c->server, &x->head);
    if (why) {
        refuse(c, 403, why);
        return false;
    }
    if (c->server->n_tokens && !check_token(c)) {
        return false;
    }
    if (x->head.length > c->server->max_body) {
        refuse(c, 413, "the body is larger than the configured limit");
        return false;
    }
    if (x->head.expects_continue && !c->in.n && stream_send(c->stream, carry_on) != OK) {
        connection_free(c, true);
        return false;
    }
    return true;
}

/* Takes a head if it is whole. True: the body is next. */
static bool take_head(struct connection *c) {
    size_t head_n = 0;

    if (c->in.n >= 2 && c->scanned == 0 && memcmp(c->in.p, "\r\n", 2) == 0) {
        room_take(&c->in, 2); /* left over from the request before (RFC 9112 2.2) */
    }
    enum http_scan found = http_head_scan(span_of(c->in.p, c->in.n), &c->scanned, &head_n);
    bool large = head_n > HEAD_MAX || (found == HTTP_MORE && c->in.n > HEAD_MAX);
    if (found == HTTP_MORE && !large) {
        return false;
    }
    if (!exchange_new(c, found == HTTP_WHOLE && !large ? head_n : 0)) {
        connection_free(c, true);
        return false;
    }
    if (large || found == HTTP_BAD) {
        refuse(c, large ? 431 : 400,
               large ? "the request's head is too large"
                     : "the request's head has a bare LF or CR, or a control character");
        return false;
    }
    return begin(c, head_n);
}

/* Goes as far as what is there allows, which is one request at most; c may be gone afterwards. */
static void process(struct connection *c) {
    if (c->phase == PHASE_HEAD) {
        if (!take_head(c)) {
            return;
        }
        set_phase(c, PHASE_BODY);
        c->body_seen = 0;
        timer_start(c->server->env, &c->patience, idle_us(c->server));
    }
    if (c->phase == PHASE_BODY) {
        (void)take_body(c);
    }
}

/* Streams. */

static size_t on_received(void *ctx, struct stream *s, char *bytes, size_t n) {
    struct connection *c = ctx;
    (void)s;
    if (c->in.n + n > PIPELINE_MAX || room_append(&c->in, bytes, n) != OK) {
        connection_free(c, true);
        return n;
    }
    if (c->phase == PHASE_HEAD && c->in.n == n) { /* the first bytes of a request */
        timer_start(c->server->env, &c->patience, idle_us(c->server));
    }
    if (c->phase != PHASE_BUSY && !post_is_waiting(&c->again)) {
        process(c);
    }
    return n;
}

static void on_closed(void *ctx, struct stream *s, enum error why) {
    (void)s;
    (void)why;
    connection_free(ctx, false);
}

static void on_again(struct post *p) {
    process(CONTAINER_OF(p, struct connection, again));
}

static void on_patience(struct timer *t) {
    struct connection *c = CONTAINER_OF(t, struct connection, patience);
    struct web_server *s = c->server;

    if (c->phase == PHASE_BUSY) {
        pump(c);
    } else if (c->phase == PHASE_BODY &&
               c->exchange->body.n - c->body_seen >= (size_t)BODY_RATE * s->idle_s) {
        c->body_seen = c->exchange->body.n;
        timer_start(s->env, t, idle_us(s));
    } else if (c->phase == PHASE_BODY) {
        refuse(c, 408, "the body comes too slowly");
    } else {
        s->counters.slow += c->in.n > 0;
        connection_free(c, true);
    }
}

/* Somebody wants to come in and all places are taken: who waits longest for his own bytes goes. */
static bool make_room(struct web_server *s) {
    for (enum phase p = PHASE_HEAD; p < PHASE_BUSY; p++) {
        if (!list_is_empty(&s->connections[p])) {
            s->counters.crowded++;
            connection_free(CONTAINER_OF(s->connections[p].next, struct connection, entry), true);
            return true;
        }
    }
    return false;
}

static void on_accept(void *ctx, struct listener *l, struct stream *stream) {
    static const struct stream_handler handler = {.received = on_received, .closed = on_closed};
    struct web_server *s = ctx;
    struct connection *c = NULL;
    (void)l;
    if (s->n_connections < s->max_connections || make_room(s)) {
        c = calloc(1, sizeof *c);
    }
    if (!c) {
        s->counters.crowded++;
        stream_close(stream);
        return;
    }
    c->server = s;
    c->stream = stream;
    list_init(&c->entry);
    timer_init(&c->patience, on_patience);
    post_init(&c->again, on_again);
    s->n_connections++;
    stream_attach(stream, &handler, c);
    wait_for_head(c);
}

/* Start and end. */

static bool may_serve(const struct addr *plain, const struct addr *tls, size_t n_tokens) {
    return (!plain->family || addr_is_loopback(plain)) &&
           (!tls->family || addr_is_loopback(tls) || n_tokens);
}

enum error web_server_set_tokens(struct web_server *s, const struct web_token *tokens, size_t n) {
    struct addr plain = web_server_local(s), tls = web_server_local_tls(s);
    struct web_token *copy = calloc(n ? n : 1, sizeof *copy);

    if (!copy || !may_serve(&plain, &tls, n)) {
        enum error e = copy ? ERR_PERMISSION : ERR_NO_MEMORY;
        free(copy);
        return e;
    }
    if (n) {
        memcpy(copy, tokens, n * sizeof *copy);
    }
    free(s->tokens);
    s->tokens = copy;
    s->n_tokens = n;
    return OK;
}

static enum error listen_all(struct web_server *s, const struct web_server_config *c) {
    enum error e = OK;

    if (c->local.family) {
        e = env_listen(s->env, &c->local, on_accept, s, &s->listener);
    }
    if (!e && c->local_tls.family) {
        e = env_listen_tls(s->env, c->tls, &c->local_tls, on_accept, s, &s->tls_listener);
    }
    return e;
}

enum error web_server_new(struct loop *loop, const struct web_server_config *config,
                          const struct web_route *routes, size_t n_routes,
                          struct web_server **out) {
    *out = NULL;
    if (!may_serve(&config->local, &config->local_tls, config->n_tokens)) {
        return ERR_PERMISSION;
    }
    struct web_server *s = calloc(1, sizeof *s);
    if (!s) {
        return ERR_NO_MEMORY;
    }
    for (size_t p = 0; p < PHASES; p++) {
        list_init(&s->connections[p]);
    }
    list_init(&s->exchanges);
    s->max_body = config->max_body ? config->max_body : DEFAULT_MAX_BODY;
    s->idle_s = config->idle_s ? config->idle_s : DEFAULT_IDLE_S;
    s->max_connections = config->max_connections ? config->max_connections : DEFAULT_CONNECTIONS;
    s->routes = calloc(n_routes ? n_routes : 1, sizeof *s->routes);
    enum error e = s->routes ? loop_env_new(loop, "web", &s->env) : ERR_NO_MEMORY;
    for (size_t i = 0; i < n_routes && !e; i++) {
        s->routes[s->n_routes++] = routes[i];
    }
    e = e ? e : web_server_set_tokens(s, config->tokens, config->n_tokens);
    e = e ? e : listen_all(s, config);
    if (e) {
        web_server_free(s);
        return e;
    }
    *out = s;
    return OK;
}

struct addr web_server_local(const struct web_server *s) {
    return s->listener ? *listener_local(s->listener) : (struct addr){0};
}

struct addr web_server_local_tls(const struct web_server *s) {
    return s->tls_listener ? *listener_local(s->tls_listener) : (struct addr){0};
}

const struct web_server_counters *web_server_counters(const struct web_server *s) {
    return &s->counters;
}

void web_server_free(struct web_server *s) {
    if (!s) {
        return;
    }
    for (size_t p = 0; p < PHASES; p++) {
        LIST_EACH(&s->connections[p], c, struct connection, entry) {
            connection_free(c, true);
        }
    }
    LIST_EACH(&s->exchanges, x, struct exchange, entry) {
        exchange_free(x);
    }
    listener_close(s->listener);
    listener_close(s->tls_listener);
    env_close(s->env);
    free(s->tokens);
    free(s->routes);
    free(s);
}
