/* What we ask: routing (RFC 6733 6.1), pending requests, failover (5.5.4).
 *
 * Choices: a request goes to the peer that Destination-Host names; else to a peer of
 * Destination-Realm that has the application; else to an agent. Among these, peers whose watchdog
 * is content come first, then peers under observation (REOPEN), then suspects; then direct ones
 * before agents, then priority, then who has waited longest. A request is sent anew once: to
 * another peer, with the T flag if the first may have taken it, without it after a 3002 or 3004.
 * Answers that nobody waits for are counted and dropped, so are answers to another command.
 * Requests fill half of a connection's buffer only: a burst of them is refused, and not the peer
 * given up for not having read what he had no time to read. */
#include "stack/diameter/internal.h"

#include <assert.h>
#include <endian.h>
#include <stdlib.h>

static bool has_application(const struct peer *p, uint32_t application) {
    const struct diameter_config *config = &p->d->config;
    for (size_t i = 0; i < config->n_applications; i++) {
        if (config->applications[i].id == application) {
            return p->common >> i & 1;
        }
    }
    return false;
}

/* How good a peer is for a request; lower is better, UINT64_MAX: not at all. */
static uint64_t rank(const struct peer *p, uint32_t application, struct span realm,
                     struct span host) {
    if (!diameter_peer_connection(p) || !has_application(p, application)) {
        return UINT64_MAX;
    }
    bool serves = host.n ? span_eq_nocase(p->config.host, host)
                         : !p->config.agent && span_eq_nocase(diameter_peer_realm(p), realm);
    if (!serves && !p->config.agent) {
        return UINT64_MAX;
    }
    uint64_t health = p->watchdog == WATCHDOG_OKAY ? 0 : p->watchdog == WATCHDOG_REOPEN ? 1 : 2;
    return health << 40 | (uint64_t)!serves << 33 | p->config.priority;
}

static bool is_congested(const struct peer *p, size_t n) {
    return stream_backlog(diameter_peer_connection(p)->stream) + n > STREAM_BACKLOG_MAX / 2;
}

struct peer *diameter_route_select(struct diameter *d, uint32_t application, struct span realm,
                                   struct span host, const struct peer *except) {
    struct peer *best = NULL;
    uint64_t best_rank = UINT64_MAX;
    LIST_EACH(&d->peers, p, struct peer, in_node) {
        uint64_t r = p == except ? UINT64_MAX : rank(p, application, realm, host);
        if (r < best_rank || (best && r == best_rank && p->turn < best->turn)) {
            best = p;
            best_rank = r;
        }
    }
    return best_rank == UINT64_MAX ? NULL : best;
}

bool diameter_is_routable(const struct diameter *d, uint32_t application, struct span realm) {
    LIST_EACH(&d->peers, p, struct peer, in_node) {
        if (rank(p, application, realm, SPAN_NONE) != UINT64_MAX) {
            return true;
        }
    }
    return false;
}

static void make_session_id(struct diameter *d) {
    struct buf b = buf_init(d->session_text, sizeof d->session_text);
    d->session_low++;
    if (d->session_low == 0) {
        d->session_high++;
    }
    buf_put(&b, d->config.host);
    buf_char(&b, ';');
    buf_u64(&b, d->session_high);
    buf_char(&b, ';');
    buf_u64(&b, d->session_low);
    buf_char(&b, ';');
    buf_u64(&b, d->session_random);
    d->session_id = buf_span(&b);
}

struct diameter_builder *diameter_request_begin(struct diameter *d,
                                                const struct diameter_route *route) {
    d->answering = NULL;
    d->requesting = true;
    d->timeout_us = route->timeout_us ? route->timeout_us : d->config.request_timeout_us;
    d->session_id = route->session_id;
    if (!d->session_id.n) {
        make_session_id(d);
    }
    d->envelope = (struct diameter_envelope){
        .session_id = d->session_id,
        .origin_host = d->config.host,
        .origin_realm = d->config.realm,
        .destination_host = route->host.n ? route->host : SPAN_NONE,
        .destination_realm = route->realm,
    };
    const struct diameter_layout *layout =
        diameter_layout_find(route->application, route->command, true);
    d->buf = buf_init(d->room, DIAMETER_MESSAGE_MAX);
    diameter_begin(&d->builder, &d->buf, &d->envelope,
                   layout ? layout->flags : DIAMETER_REQUEST | DIAMETER_PROXIABLE, route->command,
                   route->application, 0, diameter_next_end_to_end(d));
    return &d->builder;
}

static uint64_t id_hash(uint32_t hop_by_hop) {
    return hop_by_hop * UINT64_C(0x9e3779b97f4a7c15) >> 20;
}

static struct diameter_pending *pending_find(struct diameter *d, uint32_t hop_by_hop) {
    for (struct htab_node *n = htab_first(&d->pending, id_hash(hop_by_hop)); n; n = htab_next(n)) {
        struct diameter_pending *q = CONTAINER_OF(n, struct diameter_pending, by_id);
        if (q->hop_by_hop == hop_by_hop) {
            return q;
        }
    }
    return NULL;
}

/* Kept for the next one; there are never more than pending_max. */
static void pending_recycle(struct diameter_pending *q) {
    arena_release(&q->arena);
    list_insert(&q->d->pending_idle, &q->in_peer);
}

static void pending_release(struct diameter_pending *q) {
    struct diameter *d = q->d;
    timer_stop(&q->timer);
    htab_remove(&d->pending, &q->by_id);
    list_remove(&q->in_peer);
    q->peer->n_pending--;
    pending_recycle(q);
}

static void fail(struct diameter_pending *q, enum error why) {
    const struct diameter_answer_handler *handler = q->handler;
    void *ctx = q->ctx;
    pending_release(q);
    handler->failed(ctx, why);
}

static void timed_out(struct timer *t) {
    struct diameter_pending *q = CONTAINER_OF(t, struct diameter_pending, timer);
    q->d->counters.timeouts++;
    diameter_watchdog_probe(q->peer); /* is he slow, or gone? */
    fail(q, ERR_TIMEOUT);
}

static struct diameter_pending *pending_new(struct diameter *d) {
    struct diameter_pending *q;
    if (!list_is_empty(&d->pending_idle)) {
        q = CONTAINER_OF(d->pending_idle.next, struct diameter_pending, in_peer);
        list_remove(&q->in_peer);
    } else {
        q = calloc(1, sizeof *q);
        if (!q) {
            return NULL;
        }
        q->d = d;
        list_init(&q->in_peer);
        timer_init(&q->timer, timed_out);
    }
    q->arena = arena_init(d->env->chunks);
    q->resent = false;
    return q;
}

/* Puts a pending request on a peer, under an identifier of that connection, and sends it. */
static void pending_send(struct diameter_pending *q, struct peer *p) {
    q->peer = p;
    p->n_pending++;
    p->turn = ++q->d->turn;
    list_insert(&p->pending, &q->in_peer);
    diameter_connection_send(diameter_peer_connection(p), span_of(q->bytes, q->n));
}

static void set_hop_by_hop(struct diameter_pending *q) {
    q->hop_by_hop = diameter_next_hop_by_hop(q->d);
    uint32_t be = htobe32(q->hop_by_hop);
    memcpy(q->bytes + 12, &be, sizeof be);
}

/* Copies what was begun, and where its Session-Id stands in the copy. */
static enum error pending_fill(struct diameter_pending *q, struct span message) {
    struct diameter *d = q->d;
    char *copy = arena_alloc(&q->arena, message.n + d->session_id.n);
    if (!copy) {
        return ERR_NO_MEMORY;
    }
    memcpy(copy, message.p, message.n);
    memcpy(copy + message.n, d->session_id.p, d->session_id.n);
    q->bytes = copy;
    q->n = message.n;
    q->session_id = span_of(copy + message.n, d->session_id.n);
    set_hop_by_hop(q);
    return htab_insert(&d->pending, &q->by_id, id_hash(q->hop_by_hop));
}

static uint32_t word_at(struct span message, size_t offset) {
    uint32_t be;
    memcpy(&be, message.p + offset, sizeof be);
    return be32toh(be);
}

enum error diameter_request_send(struct diameter *d, const struct diameter_answer_handler *handler,
                                 void *ctx, struct diameter_pending **out) {
    if (!d->requesting) {
        return ERR_INVALID;
    }
    d->requesting = false;
    if (d->stopping) {
        return ERR_CLOSED;
    }
    if (d->pending.count >= d->config.pending_max) {
        return ERR_BUSY;
    }
    enum error e = diameter_end(&d->builder);
    if (e) {
        return e;
    }
    struct span message = buf_span(&d->buf);
    struct peer *p = diameter_route_select(d, word_at(message, 8), d->envelope.destination_realm,
                                           d->envelope.destination_host, NULL);
    if (!p) {
        d->counters.unroutable++;
        return ERR_UNREACHABLE;
    }
    if (is_congested(p, message.n)) {
        return ERR_BUSY;
    }
    struct diameter_pending *q = pending_new(d);
    if (!q) {
        return ERR_NO_MEMORY;
    }
    e = pending_fill(q, message);
    if (e) {
        pending_recycle(q);
        return e;
    }
    q->handler = handler;
    q->ctx = ctx;
    timer_start(d->env, &q->timer, d->timeout_us);
    d->counters.requests_sent++;
    if (out) {
        *out = q;
    }
    pending_send(q, p);
    return OK;
}

void diameter_cancel(struct diameter_pending *p) {
    pending_release(p);
}

struct span diameter_pending_session_id(const struct diameter_pending *p) {
    return p->session_id;
}

/* Sends it anew, to another peer than its own; false if there is none. */
static bool resend(struct diameter_pending *q, bool maybe_taken) {
    struct diameter *d = q->d;
    struct diameter_msg msg;
    struct diameter_fault fault;
    if (q->resent || diameter_msg_parse(span_of(q->bytes, q->n), &msg, &fault) != OK) {
        return false;
    }
    struct peer *p = diameter_route_select(d, msg.application, msg.destination_realm,
                                           msg.destination_host, q->peer);
    if (!p || is_congested(p, q->n) ||
        (p->watchdog == WATCHDOG_SUSPECT && q->peer->watchdog == WATCHDOG_SUSPECT)) {
        return false;
    }
    list_remove(&q->in_peer);
    q->peer->n_pending--;
    htab_remove(&d->pending, &q->by_id);
    set_hop_by_hop(q);
    enum error e = htab_insert(&d->pending, &q->by_id, id_hash(q->hop_by_hop));
    assert(e == OK); /* a table that has had entries takes more */
    (void)e;
    q->resent = true;
    if (maybe_taken) {
        q->bytes[4] |= DIAMETER_RETRANSMITTED;
    }
    d->counters.resent++;
    pending_send(q, p);
    return true;
}

void diameter_requests_failover(struct peer *p, bool gone) {
    if (list_is_empty(&p->pending)) {
        return;
    }
    p->d->counters.failovers++;
    struct list stay;
    list_init(&stay);
    while (!list_is_empty(&p->pending)) {
        struct diameter_pending *q =
            CONTAINER_OF(p->pending.next, struct diameter_pending, in_peer);
        if (resend(q, true)) {
            continue;
        }
        if (gone) {
            fail(q, ERR_UNREACHABLE);
            continue;
        }
        list_remove(&q->in_peer);
        list_insert(&stay, &q->in_peer);
    }
    while (!list_is_empty(&stay)) {
        struct list *entry = stay.next;
        list_remove(entry);
        list_insert(&p->pending, entry);
    }
}

void diameter_request_answered(struct connection *c, const struct diameter_msg *msg) {
    struct diameter *d = c->d;
    struct diameter_pending *q = pending_find(d, msg->hop_by_hop);
    struct span sent = q ? span_of(q->bytes, q->n) : SPAN_NONE;
    if (!q || q->peer != c->peer || word_at(sent, 16) != msg->end_to_end ||
        (word_at(sent, 4) & 0xffffff) != msg->command || word_at(sent, 8) != msg->application) {
        d->counters.stray_answers++;
        LOG(&d->env->log, LOG_DEBUG, "diameter answer to no request",
            LOG_SPAN("peer", c->peer->config.host), LOG_U64("command", msg->command));
        return;
    }
    d->counters.answers_received++;
    bool elsewhere = msg->result.vendor == 0 && (msg->result.code == DIAMETER_UNABLE_TO_DELIVER ||
                                                 msg->result.code == DIAMETER_TOO_BUSY);
    if (elsewhere && resend(q, false)) {
        return;
    }
    const struct diameter_answer_handler *handler = q->handler;
    void *ctx = q->ctx;
    pending_release(q);
    handler->answer(ctx, msg);
}

void diameter_requests_fail_all(struct diameter *d, enum error why) {
    LIST_EACH(&d->peers, p, struct peer, in_node) {
        while (!list_is_empty(&p->pending)) {
            fail(CONTAINER_OF(p->pending.next, struct diameter_pending, in_peer), why);
        }
    }
}

void diameter_requests_free(struct diameter *d) {
    LIST_EACH(&d->peers, p, struct peer, in_node) {
        while (!list_is_empty(&p->pending)) {
            pending_release(CONTAINER_OF(p->pending.next, struct diameter_pending, in_peer));
        }
    }
    LIST_EACH(&d->pending_idle, q, struct diameter_pending, in_peer) {
        free(q);
    }
    htab_free(&d->pending);
}
