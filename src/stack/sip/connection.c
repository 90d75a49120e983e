/* Connections: RFC 3261 18.2 to 18.4; keep-alives by empty lines: RFC 5626 3.5.1 and 4.4.1.
 *
 * A connection serves both directions, whoever made it, and is found by its other end. Messages are
 * framed by codec/sip/frame.h; where that fails, the request is answered and the connection closed,
 * since nothing behind it can be believed.
 *
 * A peer may not hold us up: a connection is closed when a message does not become complete, when
 * it was accepted and says nothing, when it takes nothing of what waits for it, and when it has
 * been silent for long. Nor may it have us work for it alone: with as many of its requests under
 * way as it may have, it is not read from until half of them are done. When there are too many, the
 * oldest that never sent a whole message gives way. */
#include "codec/sip/frame.h"
#include "obs/trace.h"
#include "rt/tls.h"
#include "stack/sip/internal.h"

#include <stdlib.h>

enum { WATCH_MS = 5000 };

struct connection {
    struct htab_node by_hop;
    struct list in_all, in_unproven;
    struct sip_stack *stack;
    struct endpoint *at;
    struct stream *stream;
    struct sip_hop remote;
    struct list paths;
    struct sip_framing framing;
    bool stands;
    bool accepted;
    bool reading;   /* messages of it are being handed on */
    bool ended;     /* nobody finds it any more */
    bool gone;      /* closed meanwhile */
    bool held;      /* not read from */
    size_t pending; /* requests that came by it and are under way */
    bool named;     /* the trace knows whose `local` is */
    struct addr local;
    char *host;       /* that the certificate of the other end must name, if we connected by TLS */
    uint8_t newlines; /* in a row, between messages */
    uint64_t pongs;
    struct timer watch;
    uint64_t active_us;   /* when something last came */
    uint64_t partial_us;  /* since when a message is not complete; 0: there is none */
    uint64_t sent, taken; /* bytes in all; of these, gone when last looked at */
    uint64_t taken_us;    /* since when taken has not grown */
};

static uint64_t hop_hash(const struct sip_hop *hop) {
    return hash_mix(addr_hash(&hop->addr), hop->transport);
}

/* One that we made has no bound. */
static size_t pending_max(const struct connection *c) {
    return c->accepted ? c->stack->config.connection_pending_max : 0;
}

static void hold(struct connection *c, bool held) {
    if (c->held != held && !c->ended) {
        c->held = held;
        c->partial_us = c->partial_us ? env_now_us(c->stack->env) : 0;
        stream_hold(c->stream, held);
    }
}

void sip_path_leave(struct sip_path *path) {
    struct connection *c = path->connection;
    if (!c) {
        return;
    }
    path->connection = NULL;
    list_remove(&path->in_connection);
    if (path->counted) {
        path->counted = false;
        c->pending--;
        hold(c, c->held && c->pending > pending_max(c) / 2);
    }
}

bool connection_is_full(const struct connection *c) {
    return pending_max(c) && c->pending >= pending_max(c);
}

void connection_count(struct connection *c, struct sip_path *path) {
    sip_path_join(path, c);
    path->counted = true;
    c->pending++;
    if (connection_is_full(c)) {
        hold(c, true);
    }
}

void sip_path_join(struct sip_path *path, struct connection *c) {
    path->connection = c;
    list_insert(&c->paths, &path->in_connection);
}

static void drop(struct connection *c) {
    free(c->host);
    free(c);
}

static void forget(struct connection *c) {
    timer_stop(&c->watch);
    list_remove(&c->in_all);
    list_remove(&c->in_unproven);
    if (!c->ended) {
        htab_remove(&c->stack->connections, &c->by_hop);
    }
    if (c->named) {
        (void)trace_name_address(c->stack->env->trace, &c->local, SPAN_NONE);
    }
    c->stack->counters.connections--;
    c->gone = true;
    if (!c->reading) {
        drop(c);
    }
}

/* The stream is closed or gone already; whoever waits on the connection is told, and may open the
 * next one to the same hop. */
static void end(struct connection *c, enum error why) {
    htab_remove(&c->stack->connections, &c->by_hop);
    c->ended = true;
    while (!list_is_empty(&c->paths)) {
        struct sip_path *path = CONTAINER_OF(c->paths.next, struct sip_path, in_connection);
        sip_path_leave(path);
        if (path->broken) {
            path->broken(path, why);
        }
    }
    forget(c);
}

static void close_it(struct connection *c, enum error why) {
    stream_close(c->stream);
    end(c, why);
}

/* Watching. */

static uint64_t since(const struct connection *c, uint64_t then_us) {
    return env_now_us(c->stack->env) - then_us;
}

/* Does the peer leave lying what it is sent? */
static bool takes_nothing(struct connection *c, uint64_t patience_us) {
    size_t backlog = stream_backlog(c->stream);
    if (backlog == 0 || c->sent - backlog != c->taken) {
        c->taken = c->sent - backlog;
        c->taken_us = env_now_us(c->stack->env);
        return false;
    }
    return since(c, c->taken_us) >= patience_us;
}

static void on_watch(struct timer *t) {
    struct connection *c = CONTAINER_OF(t, struct connection, watch);
    const struct sip_stack_config *config = &c->stack->config;
    uint64_t patience_us = config->partial_s * SEC_IN_US, idle_us = config->idle_s * SEC_IN_US;
    if (takes_nothing(c, patience_us)) {
        c->stack->counters.slow_readers += c->stands;
        c->stack->counters.connect_failures += !c->stands;
        close_it(c, ERR_TIMEOUT);
        return;
    }
    bool unfinished = !c->held && c->partial_us && since(c, c->partial_us) >= patience_us;
    bool mute = !list_is_empty(&c->in_unproven) && since(c, c->active_us) >= patience_us;
    if (unfinished || mute || since(c, c->active_us) >= idle_us) {
        c->stack->counters.connections_idle++;
        close_it(c, ERR_CLOSED);
        return;
    }
    timer_start(c->stack->env, t, WATCH_MS * MS_IN_US);
}

/* Receiving. */

static void record(struct connection *c, struct span bytes) {
    if (trace_is_on(c->stack->env->trace)) {
        sip_stack_record(c->stack, &c->remote.addr, stream_local(c->stream), true, bytes);
    }
}

/* Nobody can tell where the next message begins: the last answer, and the end. */
static void give_up(struct connection *c, char *bytes, size_t n, enum error why) {
    const struct sip_origin origin = {c->at, c->remote, c, n};
    record(c, (struct span){bytes, n});
    c->stack->counters.unframed++;
    sip_stack_refuse_unframed(&origin, bytes, n, why);
    if (!c->gone) {
        close_it(c, why);
    }
}

/* Empty lines between messages: two in a row ask whether we are there, if the other end connected;
 * else each is an answer. Returns how many bytes they are. */
static size_t take_newlines(struct connection *c, const char *bytes, size_t n) {
    size_t at = 0;
    while (n - at >= 2 && bytes[at] == '\r' && bytes[at + 1] == '\n') {
        at += 2;
        if (!c->accepted) { /* we ask, and this is the answer */
            c->pongs++;
            continue;
        }
        if (++c->newlines == 2) {
            c->newlines = 0;
            c->stack->counters.keep_alives++;
            if (connection_send(c, SPAN("\r\n")) != OK) {
                break;
            }
        }
    }
    return at;
}

uint64_t connection_pongs(const struct connection *c) {
    return c->pongs;
}

static void prove(struct connection *c) {
    list_remove(&c->in_unproven);
    list_init(&c->in_unproven);
    c->newlines = 0;
}

/* Takes one message off; false when it is not there yet, or the connection is closed. */
static bool take_message(struct connection *c, char *bytes, size_t n, size_t *taken) {
    struct sip_stack *stack = c->stack;
    size_t length;
    enum error e = sip_frame(&c->framing, bytes, n, &stack->config.limits, &length);
    if (e == ERR_INCOMPLETE) {
        return false;
    }
    c->framing = (struct sip_framing){0};
    if (e != OK) {
        give_up(c, bytes, length, e);
        return false;
    }
    prove(c);
    record(c, (struct span){bytes, length});
    *taken += length;
    const struct sip_origin origin = {c->at, c->remote, c, length};
    sip_stack_receive(&origin, bytes, length);
    return !c->gone;
}

static size_t on_received(void *ctx, struct stream *s, char *bytes, size_t n) {
    struct connection *c = ctx;
    size_t taken = 0;
    (void)s;
    c->active_us = env_now_us(c->stack->env);
    c->reading = true;
    while (!c->gone) {
        taken += c->framing.scanned ? 0 : take_newlines(c, bytes + taken, n - taken);
        if (taken == n || c->gone || (n - taken == 1 && bytes[taken] == '\r') ||
            !take_message(c, bytes + taken, n - taken, &taken)) {
            break;
        }
    }
    c->reading = false;
    if (c->gone) {
        drop(c);
        return n;
    }
    c->partial_us = taken == n ? 0 : c->partial_us && taken == 0 ? c->partial_us : c->active_us;
    return taken;
}

/* Our end of a connection that we made has a port of its own; in a trace it is we. */
static void on_connected(void *ctx, struct stream *s) {
    struct connection *c = ctx;
    struct trace *trace = c->stack->env->trace;
    c->stands = true;
    c->stack->counters.connected++;
    if (trace_is_on(trace)) {
        struct span name = trace_name_of(trace, sip_stack_local(c->stack, c->at->number));
        name = name.n ? name : span_from_cstr(c->stack->env->name);
        c->named = trace_name_address(trace, stream_local(s), name) == OK;
        c->local = *stream_local(s);
    }
}

static void on_closed(void *ctx, struct stream *s, enum error why) {
    struct connection *c = ctx;
    (void)s;
    c->stack->counters.connect_failures += !c->stands;
    end(c, why);
}

static const struct stream_handler handler = {on_connected, on_received, on_closed};

/* Coming about. */

static bool make_room(struct sip_stack *stack) {
    if (stack->counters.connections < stack->config.connections_max) {
        return true;
    }
    if (list_is_empty(&stack->unproven)) {
        return false;
    }
    stack->counters.connections_idle++;
    close_it(CONTAINER_OF(stack->unproven.next, struct connection, in_unproven), ERR_BUSY);
    return true;
}

static struct connection *make(struct endpoint *at, const struct sip_hop *remote) {
    struct sip_stack *stack = at->stack;
    struct connection *c = make_room(stack) ? calloc(1, sizeof *c) : NULL;
    if (!c) {
        stack->counters.connections_refused++;
        return NULL;
    }
    c->stack = stack;
    c->at = at;
    c->remote = *remote;
    if (htab_insert(&stack->connections, &c->by_hop, hop_hash(remote)) != OK) {
        free(c);
        return NULL;
    }
    list_init(&c->paths);
    list_init(&c->in_unproven);
    list_insert(&stack->by_connection, &c->in_all);
    timer_init(&c->watch, on_watch);
    c->active_us = c->taken_us = env_now_us(stack->env);
    timer_start(stack->env, &c->watch, WATCH_MS * MS_IN_US);
    stack->counters.connections++;
    return c;
}

static void on_accept(void *ctx, struct listener *l, struct stream *s) {
    struct endpoint *at = ctx;
    const struct sip_hop remote = {*stream_remote(s), at->transport};
    struct connection *c = make(at, &remote);
    (void)l;
    if (!c) {
        stream_close(s);
        return;
    }
    c->stream = s;
    c->stands = c->accepted = true;
    list_insert(&at->stack->unproven, &c->in_unproven);
    at->stack->counters.accepted++;
    stream_attach(s, &handler, c);
}

enum error connection_listen(struct endpoint *at, const struct addr *local) {
    struct env *env = at->stack->env;
    struct tls_context *tls = at->stack->config.tls;
    if (at->transport == SIP_TCP) {
        return env_listen(env, local, on_accept, at, &at->listener);
    }
    if (tls && tls_context_expires_s(tls) == 0) {
        return OK; /* a terminal: it has no certificate to show, and is reached by its connection */
    }
    return tls ? env_listen_tls(env, tls, local, on_accept, at, &at->listener) : ERR_UNSUPPORTED;
}

/* Whom the certificate must name. */
static struct span expected(const struct sip_path *path, char *text, size_t cap) {
    struct buf b = buf_init(text, cap);
    addr_put_host(&b, &path->to.addr);
    return path->host.n ? path->host : buf_span(&b);
}

static enum error connect_tls(struct connection *c, const struct sip_path *path) {
    struct sip_stack *stack = c->stack;
    char text[64];
    struct span host = expected(path, text, sizeof text);
    if (!stack->config.tls) {
        return ERR_UNSUPPORTED;
    }
    c->host = strndup(host.p, host.n);
    return c->host ? env_stream_connect_tls(stack->env, stack->config.tls, &path->to.addr, host,
                                            &handler, c, &c->stream)
                   : ERR_NO_MEMORY;
}

/* Over TLS, does the connection lead to whom the path wants? One that we made does if it was made
 * for that name; one that was made to us if its end has shown a certificate for it, or nobody is
 * named, as for a flow to a terminal. */
static bool serves(const struct connection *c, const struct sip_path *path) {
    char text[64];
    struct span host = expected(path, text, sizeof text);
    if (c->at->transport != SIP_TLS) {
        return true;
    }
    return c->accepted ? path->host.n == 0 || tls_peer_is(c->stream, host)
                       : span_eq_nocase(span_from_cstr(c->host), host);
}

static struct connection *find(struct sip_stack *stack, const struct sip_path *path) {
    struct htab_node *node = htab_first(&stack->connections, hop_hash(&path->to));
    for (; node; node = htab_next(node)) {
        struct connection *c = CONTAINER_OF(node, struct connection, by_hop);
        if (sip_hop_eq(&c->remote, &path->to) && serves(c, path)) {
            return c;
        }
    }
    return NULL;
}

bool connection_join(struct sip_stack *stack, struct sip_path *path) {
    struct connection *c = find(stack, path);
    if (c) {
        sip_path_join(path, c);
    }
    return c;
}

enum error connection_find(struct sip_stack *stack, struct sip_path *path) {
    struct connection *c = find(stack, path);
    if (!c) {
        c = make(&stack->endpoints[path->endpoint], &path->to);
        if (!c) {
            return ERR_BUSY;
        }
        enum error e = path->to.transport == SIP_TCP
                           ? env_stream_connect(stack->env, &path->to.addr, &handler, c, &c->stream)
                           : connect_tls(c, path);
        if (e != OK) {
            forget(c);
            return e;
        }
    }
    sip_path_join(path, c);
    return OK;
}

enum error connection_send(struct connection *c, struct span bytes) {
    if (trace_is_on(c->stack->env->trace) && bytes.n > 2 &&
        !trace_is_local(c->stack->env->trace, &c->remote.addr)) {
        const struct addr *from = c->named || c->accepted
                                      ? stream_local(c->stream)
                                      : sip_stack_local(c->stack, c->at->number);
        sip_stack_record(c->stack, from, &c->remote.addr, true, bytes);
    }
    enum error e = stream_send(c->stream, bytes);
    if (e == OK) {
        c->sent += bytes.n;
        return OK;
    }
    c->stack->counters.slow_readers += e == ERR_BUSY;
    close_it(c, e);
    return e;
}

void connections_close(struct sip_stack *stack) {
    LIST_EACH(&stack->by_connection, c, struct connection, in_all) {
        while (!list_is_empty(&c->paths)) {
            sip_path_leave(CONTAINER_OF(c->paths.next, struct sip_path, in_connection));
        }
        stream_close(c->stream);
        forget(c);
    }
    htab_free(&stack->connections);
}
