/* What we are asked: requests that come, and their answers. RFC 6733 6.1.4, 6.2, 7.
 *
 * Choices: Origin-Host of every message must be the peer's own, or the peer a configured agent; a
 * request that is not gets 5004 with it in Failed-AVP, an answer is dropped. An agent lends nobody
 * its rights: through it a request is that of the host that it names, which must be a peer by
 * itself. Commands that the dictionary does not define get 3001; those that their origin may not
 * send, and hosts behind an agent that nobody knows, 5003. A request is kept with its bytes until
 * it is answered, so that its owner may take its time. */
#include "stack/diameter/internal.h"

#include <endian.h>
#include <stdlib.h>

/* Writes an answer without content of an application. */
static void put_plain(struct diameter *d, const struct diameter_msg *msg,
                      struct diameter_result result, const struct diameter_fault *fault,
                      struct span message) {
    struct diameter_builder *b = &d->builder;
    const struct diameter_envelope *e = &d->envelope;
    if (e->session_id.p) {
        diameter_put(b, DIAMETER_AVP_SESSION_ID, 0, true, e->session_id);
    }
    for (size_t i = 0; result.code / 1000 != 3 && i < d->config.n_applications; i++) {
        const struct diameter_application *a = &d->config.applications[i];
        if (a->id == msg->application && a->vendor) {
            diameter_open(b, DIAMETER_AVP_VENDOR_SPECIFIC_APPLICATION_ID, 0, true);
            diameter_put_u32(b, DIAMETER_AVP_VENDOR_ID, 0, true, a->vendor);
            diameter_put_u32(b, DIAMETER_AVP_AUTH_APPLICATION_ID, 0, true, a->id);
            diameter_close(b);
            diameter_put_u32(b, DIAMETER_AVP_AUTH_SESSION_STATE, 0, true,
                             DIAMETER_AUTH_SESSION_STATE_NO_STATE_MAINTAINED);
            break;
        }
    }
    diameter_put(b, DIAMETER_AVP_ORIGIN_HOST, 0, true, e->origin_host);
    diameter_put(b, DIAMETER_AVP_ORIGIN_REALM, 0, true, e->origin_realm);
    if (fault) {
        diameter_put_fault(b, fault);
    } else {
        diameter_put_result(b, result);
        if (message.n) {
            diameter_put(b, DIAMETER_AVP_ERROR_MESSAGE, 0, false, message);
        }
    }
    buf_put(b->buf, e->proxy_info);
}

static uint8_t answer_flags(const struct diameter_msg *msg, struct diameter_result result) {
    bool protocol_error = result.vendor == 0 && result.code / 1000 == 3;
    return (uint8_t)((msg->flags & DIAMETER_PROXIABLE) | (protocol_error ? DIAMETER_ERROR : 0));
}

static void begin(struct diameter *d, const struct diameter_msg *msg, uint32_t hop_by_hop,
                  uint8_t flags) {
    d->requesting = false;
    d->buf = buf_init(d->room, DIAMETER_MESSAGE_MAX);
    diameter_begin(&d->builder, &d->buf, &d->envelope, flags, msg->command, msg->application,
                   hop_by_hop, msg->end_to_end);
}

void diameter_msg_refuse(struct connection *c, const struct diameter_msg *msg,
                         const struct diameter_fault *fault) {
    struct diameter *d = c->d;
    struct diameter_result result = DIAMETER_RESULT(fault->result_code);
    d->answering = NULL;
    d->envelope = (struct diameter_envelope){.session_id = msg->session_id,
                                             .origin_host = d->config.host,
                                             .origin_realm = d->config.realm};
    begin(d, msg, msg->hop_by_hop, answer_flags(msg, result));
    put_plain(d, msg, result, fault, SPAN_NONE);
    if (diameter_end(&d->builder) == OK) {
        d->counters.answers_sent++;
        diameter_connection_send(c, buf_span(&d->buf));
    }
}

static void refuse(struct connection *c, const struct diameter_msg *msg, uint32_t code,
                   struct span avp, const char *why) {
    struct diameter_fault fault;
    diameter_fault_set(&fault, code, avp, why);
    LOG(&c->d->env->log, LOG_NOTICE, "diameter request refused",
        LOG_SPAN("peer", c->peer->config.host), LOG_SPAN("origin_host", msg->origin_host),
        LOG_U64("command", msg->command), LOG_U64("result", code), LOG_CSTR("why", why));
    diameter_msg_refuse(c, msg, &fault);
}

/* The whole AVP of the top level whose value this is. */
static struct span avp_around(const struct diameter_msg *msg, struct span value) {
    struct diameter_iter it = diameter_iter_init(msg->avps);
    struct diameter_avp a;
    while (diameter_next(&it, &a)) {
        if (a.value.p == value.p) {
            return a.bytes;
        }
    }
    return SPAN_NONE;
}

bool diameter_origin_is_right(struct connection *c, const struct diameter_msg *msg) {
    struct diameter *d = c->d;
    const struct peer *p = c->peer;
    bool base = msg->application == DIAMETER_APPLICATION;
    if (LIKELY(span_eq_nocase(msg->origin_host, p->config.host)) || (p->config.agent && !base)) {
        return true;
    }
    d->counters.origin_mismatch++;
    if (diameter_msg_is_request(msg)) {
        if (msg->origin_host.p) {
            refuse(c, msg, DIAMETER_INVALID_AVP_VALUE, avp_around(msg, msg->origin_host),
                   "Origin-Host is not the peer's");
        } else {
            /* An example of what is missing: an empty Origin-Host. */
            refuse(c, msg, DIAMETER_MISSING_AVP, span_of("\0\0\1\10\100\0\0\10", 8),
                   "no Origin-Host");
        }
    } else {
        LOG(&d->env->log, LOG_NOTICE, "diameter answer dropped, Origin-Host is not the peer's",
            LOG_SPAN("peer", p->config.host), LOG_SPAN("origin_host", msg->origin_host));
    }
    return false;
}

static bool is_served(const struct diameter *d, uint32_t application) {
    for (size_t i = 0; i < d->config.n_applications; i++) {
        if (d->config.applications[i].id == application) {
            return true;
        }
    }
    return false;
}

static bool may_send(const struct peer *p, uint32_t command) {
    for (size_t i = 0; i < p->config.n_commands; i++) {
        if (p->config.commands[i] == command) {
            return true;
        }
    }
    return !p->config.commands && !p->config.agent;
}

/* Why nobody answers this request to its origin; NULL if it is one of those it may send. */
static const char *forbidden(const struct connection *c, const struct diameter_msg *msg) {
    const struct peer *p = c->peer;
    bool through_agent = p->config.agent && !span_eq_nocase(msg->origin_host, p->config.host);
    if (UNLIKELY(through_agent)) {
        p = diameter_peer_find(c->d, msg->origin_host);
        if (!p || !span_eq_nocase(msg->origin_realm, diameter_peer_realm(p))) {
            return "an unknown host behind an agent";
        }
        if (p->config.address.family && !p->config.connect) {
            return "this host is not served through agents";
        }
        if (p->config.tls && !stream_is_tls(c->stream)) {
            return "this host is served over TLS only";
        }
    }
    return may_send(p, msg->command) ? NULL : "not for this host to ask";
}

static bool has_been_here(const struct diameter *d, const struct diameter_msg *msg) {
    struct diameter_iter it = diameter_iter_init(msg->avps);
    struct diameter_avp a;
    while (msg->has_routing && diameter_next(&it, &a)) {
        if (a.code == DIAMETER_AVP_ROUTE_RECORD && a.vendor == 0 &&
            span_eq_nocase(a.value, d->config.host)) {
            return true;
        }
    }
    return false;
}

/* Is it for us, may he ask it, do we know it? Refuses it if not. */
static bool is_acceptable(struct connection *c, const struct diameter_msg *msg) {
    struct diameter *d = c->d;
    struct span realm = msg->destination_realm, host = msg->destination_host;
    const char *why;
    if (d->stopping) {
        refuse(c, msg, DIAMETER_UNABLE_TO_DELIVER, SPAN_NONE, "stopping");
    } else if (!is_served(d, msg->application)) {
        refuse(c, msg, DIAMETER_APPLICATION_UNSUPPORTED, SPAN_NONE, "not an application of ours");
    } else if (!diameter_layout_find(msg->application, msg->command, true)) {
        refuse(c, msg, DIAMETER_COMMAND_UNSUPPORTED, SPAN_NONE, "unknown command");
    } else if (UNLIKELY((why = forbidden(c, msg)) != NULL)) {
        d->counters.refused_commands++;
        refuse(c, msg, DIAMETER_AUTHORIZATION_REJECTED, SPAN_NONE, why);
    } else if (realm.p && !span_eq_nocase(realm, d->config.realm)) {
        refuse(c, msg, DIAMETER_REALM_NOT_SERVED, SPAN_NONE, "not our realm");
    } else if (host.p && !span_eq_nocase(host, d->config.host)) {
        refuse(c, msg, DIAMETER_UNABLE_TO_DELIVER, SPAN_NONE, "not our name");
    } else if (UNLIKELY(has_been_here(d, msg))) {
        refuse(c, msg, DIAMETER_LOOP_DETECTED, SPAN_NONE, "has been here");
    } else {
        return true;
    }
    return false;
}

/* A request that is being answered and is the same as this one. */
static struct diameter_request *in_progress(struct diameter *d, const struct diameter_msg *msg,
                                            uint64_t hash) {
    struct htab_node *n = htab_first(&d->request_ids, hash);
    for (; n; n = htab_next(n)) {
        struct diameter_request *rq = CONTAINER_OF(n, struct diameter_request, by_id);
        if (rq->msg.end_to_end == msg->end_to_end && rq->msg.command == msg->command &&
            span_eq(rq->msg.origin_host, msg->origin_host) &&
            span_eq(rq->msg.session_id, msg->session_id)) {
            return rq;
        }
    }
    return NULL;
}

/* Has it come before? Then its answer is repeated, or will go where it came from last. */
static bool is_repetition(struct connection *c, const struct diameter_msg *msg, uint64_t hash) {
    struct diameter *d = c->d;
    struct diameter_request *rq = in_progress(d, msg, hash);
    struct span kept = rq ? SPAN_NONE : diameter_duplicates_find(d, msg, hash);
    if (!rq && !kept.n) {
        return false;
    }
    d->counters.duplicates++;
    if (rq) {
        list_remove(&rq->in_connection);
        list_insert(&c->incoming, &rq->in_connection);
        rq->connection = c;
        rq->hop_by_hop = msg->hop_by_hop;
        return true;
    }
    d->requesting = false;
    d->answering = NULL;
    uint32_t be = htobe32(msg->hop_by_hop);
    d->buf = buf_init(d->room, DIAMETER_MESSAGE_MAX);
    buf_put(&d->buf, kept);
    memcpy(d->room + 12, &be, sizeof be);
    d->counters.answers_sent++;
    diameter_connection_send(c, buf_span(&d->buf));
    return true;
}

static struct diameter_request *request_new(struct diameter *d) {
    struct diameter_request *rq;
    if (!list_is_empty(&d->requests_idle)) {
        rq = CONTAINER_OF(d->requests_idle.next, struct diameter_request, in_node);
        list_remove(&rq->in_node);
    } else {
        rq = calloc(1, sizeof *rq);
        if (!rq) {
            return NULL;
        }
        rq->d = d;
        list_init(&rq->in_node);
        list_init(&rq->in_connection);
    }
    rq->arena = arena_init(d->env->chunks);
    return rq;
}

/* Kept for the next one; there are never more than incoming_max. */
static void request_recycle(struct diameter_request *rq) {
    arena_release(&rq->arena);
    list_insert(&rq->d->requests_idle, &rq->in_node);
}

/* 6.2: Proxy-Info goes into the answer as it came. */
static enum error copy_proxy_info(struct diameter_request *rq) {
    struct diameter_iter it = diameter_iter_init(rq->msg.avps);
    struct diameter_avp a;
    struct buf b = {0};
    while (diameter_next(&it, &a)) {
        if (a.code != DIAMETER_AVP_PROXY_INFO || a.vendor != 0) {
            continue;
        }
        if (!b.p) {
            void *room = arena_alloc(&rq->arena, rq->msg.bytes.n);
            if (!room) {
                return ERR_NO_MEMORY;
            }
            b = buf_init(room, rq->msg.bytes.n);
        }
        buf_bytes(&b, a.bytes.p, (a.bytes.n + 3) & ~(size_t)3);
    }
    rq->envelope.proxy_info = buf_span(&b);
    return OK;
}

static struct span moved(struct span s, const char *from, const char *to) {
    return s.p ? span_of(to + (s.p - from), s.n) : s;
}

/* Copies the message, so that it outlives the stream's buffer. */
static enum error request_fill(struct diameter_request *rq, const struct diameter_msg *msg) {
    struct diameter *d = rq->d;
    char *copy = arena_alloc(&rq->arena, msg->bytes.n);
    if (!copy) {
        return ERR_NO_MEMORY;
    }
    const char *from = msg->bytes.p;
    memcpy(copy, from, msg->bytes.n);
    rq->msg = *msg;
    rq->msg.bytes = moved(msg->bytes, from, copy);
    rq->msg.avps = moved(msg->avps, from, copy);
    rq->msg.session_id = moved(msg->session_id, from, copy);
    rq->msg.origin_host = moved(msg->origin_host, from, copy);
    rq->msg.origin_realm = moved(msg->origin_realm, from, copy);
    rq->msg.destination_host = moved(msg->destination_host, from, copy);
    rq->msg.destination_realm = moved(msg->destination_realm, from, copy);
    rq->hop_by_hop = msg->hop_by_hop;
    rq->envelope = (struct diameter_envelope){.session_id = rq->msg.session_id,
                                              .origin_host = d->config.host,
                                              .origin_realm = d->config.realm};
    return msg->has_routing ? copy_proxy_info(rq) : OK;
}

void diameter_answer_requested(struct connection *c, const struct diameter_msg *msg) {
    struct diameter *d = c->d;
    d->counters.requests_received++;
    if (!is_acceptable(c, msg)) {
        return;
    }
    uint64_t hash = diameter_duplicates_hash(msg);
    if (is_repetition(c, msg, hash)) {
        return;
    }
    struct diameter_request *rq = NULL;
    if (d->n_requests < d->config.incoming_max) {
        rq = request_new(d);
    }
    if (rq &&
        (request_fill(rq, msg) != OK || htab_insert(&d->request_ids, &rq->by_id, hash) != OK)) {
        request_recycle(rq);
        rq = NULL;
    }
    if (!rq) {
        d->counters.busy++;
        refuse(c, msg, DIAMETER_TOO_BUSY, SPAN_NONE, "too many requests");
        return;
    }
    rq->connection = c;
    d->n_requests++;
    list_insert(&d->requests, &rq->in_node);
    list_insert(&c->incoming, &rq->in_connection);
    d->handler.request(d->ctx, rq, &rq->msg);
}

const struct diameter_msg *diameter_request_msg(const struct diameter_request *rq) {
    return &rq->msg;
}

struct arena *diameter_request_arena(struct diameter_request *rq) {
    return &rq->arena;
}

struct span diameter_request_peer(const struct diameter_request *rq) {
    return rq->connection && rq->connection->peer ? rq->connection->peer->config.host : SPAN_NONE;
}

struct diameter_builder *diameter_answer_begin(struct diameter_request *rq) {
    struct diameter *d = rq->d;
    d->answering = rq;
    d->envelope = rq->envelope;
    begin(d, &rq->msg, rq->hop_by_hop, rq->msg.flags & DIAMETER_PROXIABLE);
    return &d->builder;
}

static void forget(struct diameter_request *rq) {
    struct diameter *d = rq->d;
    htab_remove(&d->request_ids, &rq->by_id);
    list_remove(&rq->in_connection);
    list_remove(&rq->in_node);
    d->n_requests--;
    request_recycle(rq);
}

static void send_and_forget(struct diameter_request *rq) {
    struct diameter *d = rq->d;
    struct span message = buf_span(&d->buf);
    struct connection *c = rq->connection;
    d->answering = NULL;
    if (message.n > d->room_used) {
        d->room_used = message.n;
    }
    diameter_duplicates_keep(d, &rq->msg, rq->by_id.hash, message);
    forget(rq);
    if (c) {
        d->counters.answers_sent++;
        diameter_connection_send(c, message);
    }
}

static void answer_plain(struct diameter_request *rq, struct diameter_result result,
                         const struct diameter_fault *fault, struct span message) {
    struct diameter *d = rq->d;
    diameter_answer_begin(rq);
    begin(d, &rq->msg, rq->hop_by_hop, answer_flags(&rq->msg, result));
    put_plain(d, &rq->msg, result, fault, message);
    if (diameter_end(&d->builder) == OK) {
        send_and_forget(rq);
    } else {
        forget(rq);
    }
}

void diameter_answer_send(struct diameter_request *rq) {
    struct diameter *d = rq->d;
    if (d->answering != rq || diameter_end(&d->builder) != OK) {
        answer_plain(rq, DIAMETER_RESULT(DIAMETER_UNABLE_TO_COMPLY), NULL, SPAN_NONE);
        return;
    }
    send_and_forget(rq);
}

void diameter_answer_fault(struct diameter_request *rq, const struct diameter_fault *fault) {
    rq->d->counters.malformed++;
    LOG(&rq->d->env->log, LOG_NOTICE, "diameter request at fault",
        LOG_SPAN("peer", diameter_request_peer(rq)), LOG_U64("command", rq->msg.command),
        LOG_U64("result", fault->result_code), LOG_CSTR("why", fault->text));
    answer_plain(rq, DIAMETER_RESULT(fault->result_code), fault, SPAN_NONE);
}

void diameter_answer_result(struct diameter_request *rq, struct diameter_result result,
                            struct span message) {
    answer_plain(rq, result, NULL, message);
}

void diameter_request_free(struct diameter_request *rq) {
    if (rq) {
        answer_plain(rq, DIAMETER_RESULT(DIAMETER_UNABLE_TO_COMPLY), NULL, SPAN_NONE);
    }
}

void diameter_requests_orphan(struct connection *c) {
    while (!list_is_empty(&c->incoming)) {
        struct diameter_request *rq =
            CONTAINER_OF(c->incoming.next, struct diameter_request, in_connection);
        list_remove(&rq->in_connection);
        rq->connection = NULL;
    }
}

void diameter_incoming_free(struct diameter *d) {
    while (!list_is_empty(&d->requests)) {
        forget(CONTAINER_OF(d->requests.next, struct diameter_request, in_node));
    }
    LIST_EACH(&d->requests_idle, rq, struct diameter_request, in_node) {
        free(rq);
    }
    htab_free(&d->request_ids);
}
