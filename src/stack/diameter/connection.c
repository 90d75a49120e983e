/* A transport connection: messages out of a stream of bytes, and who gets them.
 *
 * RFC 6733 says little about streams that are no Diameter. Choice: a length that no message can
 * have, or a version that we do not know, ends the connection (the latter after a 5011), since the
 * next message cannot be found. Before the CER a message may have 64 KiB, after it a megabyte. Who
 * connects and says nothing costs something, too: of too many, the one that has had the longest
 * time gives way, so that nobody is kept out. */
#include "stack/diameter/internal.h"

#include "obs/trace.h"

#include <stdlib.h>

static void trace_message(struct connection *c, bool received, struct span bytes) {
    struct env *env = c->d->env;
    const struct addr *remote = stream_remote(c->stream), *local = stream_local(c->stream);
    if (!received && trace_is_local(env->trace, remote)) {
        return;
    }
    const struct trace_message m = {
        .at_us = env_clock_us(env),
        .wall_us = env_wall_us(env),
        .protocol = TRACE_DIAMETER,
        .stream = true,
        .from = received ? *remote : *local,
        .to = received ? *local : *remote,
        .bytes = bytes,
    };
    trace_record(env->trace, &m);
}

void diameter_connections_bury(struct diameter *d) {
    LIST_EACH(&d->gone, c, struct connection, in_node) {
        list_remove(&c->in_node);
        free(c);
    }
}

static void leave_strangers(struct connection *c) {
    if (!list_is_empty(&c->in_strangers)) {
        list_remove(&c->in_strangers);
        list_init(&c->in_strangers);
        c->d->n_strangers--;
    }
}

void diameter_connection_known(struct connection *c) {
    timer_stop(&c->patience);
    leave_strangers(c);
}

static void detach(struct connection *c) {
    diameter_connection_known(c);
    diameter_requests_orphan(c);
    list_remove(&c->in_node);
    list_insert(&c->d->gone, &c->in_node);
    env_post(c->d->env, &c->d->bury);
    c->stream = NULL;
    c->open = false;
    c->peer = NULL;
    diameter_connection_gone(c->d);
}

void diameter_connection_close(struct connection *c) {
    if (!c->stream) {
        return;
    }
    stream_close(c->stream);
    struct peer *p = c->peer;
    if (p && p->i == c) {
        p->i = NULL;
    } else if (p && p->r == c) {
        p->r = NULL;
    }
    detach(c);
}

/* The stream is gone by itself: the peer is told. */
static void lost(struct connection *c) {
    struct peer *p = c->peer;
    if (p && p->i == c) {
        p->i = NULL;
        bool connecting = p->state == PEER_WAIT_CONN_ACK || p->state == PEER_WAIT_CONN_ACK_ELECT;
        detach(c);
        diameter_peer_event(p, connecting ? PEER_I_CONN_NACK : PEER_I_PEER_DISC, NULL);
    } else if (p && p->r == c) {
        p->r = NULL;
        detach(c);
        diameter_peer_event(p, PEER_R_PEER_DISC, NULL);
    } else {
        detach(c);
    }
}

/* Closes it and tells the peer. */
static void end(struct connection *c) {
    stream_close(c->stream);
    lost(c);
}

void diameter_connection_send(struct connection *c, struct span message) {
    if (!c->stream || c->broken) {
        return;
    }
    if (trace_is_on(c->d->env->trace)) {
        trace_message(c, false, message);
    }
    enum error e = stream_send(c->stream, message);
    if (e == ERR_BUSY || e == ERR_NO_MEMORY) {
        LOG(&c->d->env->log, LOG_WARNING, "diameter connection given up, peer does not read",
            LOG_SPAN("peer", c->peer ? c->peer->config.host : SPAN_NONE));
        c->broken = true;
        timer_start(c->d->env, &c->patience, 0);
    }
}

static void base_request(struct connection *c, const struct diameter_msg *msg) {
    struct diameter *d = c->d;
    struct peer *p = c->peer;
    struct diameter_fault fault;
    if (msg->command == DIAMETER_COMMAND_DEVICE_WATCHDOG) {
        struct diameter_builder *b =
            diameter_base_begin(d, 0, msg->command, msg->hop_by_hop, msg->end_to_end);
        const struct diameter_dwa dwa = {.result = DIAMETER_RESULT(DIAMETER_SUCCESS),
                                         .has_origin_state_id = true,
                                         .origin_state_id = d->origin_state_id};
        diameter_dwa_encode(b, &dwa);
        diameter_base_send(c);
    } else if (msg->command == DIAMETER_COMMAND_DISCONNECT_PEER) {
        struct diameter_avp a;
        uint32_t cause = DIAMETER_DISCONNECT_CAUSE_REBOOTING;
        if (diameter_find(msg->avps, DIAMETER_AVP_DISCONNECT_CAUSE, 0, &a) &&
            diameter_u32(a.value, &cause)) {
            p->unwelcome = cause != DIAMETER_DISCONNECT_CAUSE_REBOOTING;
        }
        struct diameter_builder *b =
            diameter_base_begin(d, 0, msg->command, msg->hop_by_hop, msg->end_to_end);
        const struct diameter_dpa dpa = {.result = DIAMETER_RESULT(DIAMETER_SUCCESS)};
        diameter_dpa_encode(b, &dpa);
        diameter_base_send(c);
        diameter_peer_event(p, PEER_RCV_DPR, c);
    } else {
        diameter_fault_set(&fault, DIAMETER_COMMAND_UNSUPPORTED, SPAN_NONE, "unknown command");
        diameter_msg_refuse(c, msg, &fault);
    }
}

static void base_answer(struct connection *c, const struct diameter_msg *msg) {
    if (msg->command == DIAMETER_COMMAND_DEVICE_WATCHDOG) {
        diameter_watchdog_answered(c->peer);
    } else if (msg->command == DIAMETER_COMMAND_DISCONNECT_PEER) {
        diameter_peer_event(c->peer, PEER_RCV_DPA, c);
    } else {
        c->d->counters.stray_answers++;
    }
}

/* A message on a connection whose capabilities are exchanged. */
static void dispatch(struct connection *c, const struct diameter_msg *msg) {
    bool request = diameter_msg_is_request(msg);
    bool base = msg->application == DIAMETER_APPLICATION;
    if (request && base && msg->command == DIAMETER_COMMAND_CAPABILITIES_EXCHANGE) {
        /* 5.3: no update of capabilities on an open connection; as if unknown. */
        base_request(c, msg);
        return;
    }
    if (!base || msg->command != DIAMETER_COMMAND_DEVICE_WATCHDOG || request) {
        diameter_watchdog_heard(c->peer);
    }
    if (!diameter_origin_is_right(c, msg)) {
        return;
    }
    if (request && base) {
        base_request(c, msg);
    } else if (request) {
        diameter_answer_requested(c, msg);
    } else if (base && msg->command != 0) {
        base_answer(c, msg);
    } else {
        diameter_request_answered(c, msg);
    }
}

static void message(struct connection *c, struct span bytes) {
    struct diameter_msg msg;
    struct diameter_fault fault;
    if (trace_is_on(c->d->env->trace)) {
        trace_message(c, true, bytes);
    }
    enum error e = diameter_msg_parse(bytes, &msg, &fault);
    if (UNLIKELY(e != OK)) {
        c->d->counters.malformed++;
        LOG(&c->d->env->log, LOG_NOTICE, "malformed diameter message",
            LOG_SPAN("peer", c->peer ? c->peer->config.host : SPAN_NONE),
            LOG_U64("result", fault.result_code), LOG_CSTR("why", fault.text));
        if (diameter_msg_is_request(&msg)) {
            diameter_msg_refuse(c, &msg, &fault);
        }
        bool hopeless = fault.result_code == DIAMETER_UNSUPPORTED_VERSION || !c->open;
        if (hopeless && c->stream) {
            end(c);
        }
        return;
    }
    if (c->open) {
        dispatch(c, &msg);
    } else if (c->initiator) {
        diameter_capabilities_answered(c, &msg);
    } else if (!c->peer) {
        diameter_capabilities_received(c, &msg);
    } /* else: an election is going on, and he has no business to speak */
}

static size_t received(void *ctx, struct stream *s, char *bytes, size_t n) {
    struct connection *c = ctx;
    (void)s;
    size_t taken = 0;
    while (c->stream) {
        size_t length = 0;
        size_t max = c->open ? (size_t)DIAMETER_MESSAGE_MAX : FIRST_MESSAGE_MAX;
        enum error e = diameter_frame(span_of(bytes + taken, n - taken), max, &length);
        if (e == ERR_INCOMPLETE) {
            break;
        }
        if (e != OK) {
            c->d->counters.framing_lost++;
            LOG(&c->d->env->log, LOG_NOTICE, "diameter stream without messages closed",
                LOG_SPAN("peer", c->peer ? c->peer->config.host : SPAN_NONE));
            end(c);
            break;
        }
        message(c, span_of(bytes + taken, length));
        taken += length;
    }
    return taken;
}

static void connected(void *ctx, struct stream *s) {
    struct connection *c = ctx;
    (void)trace_name_address(c->d->env->trace, stream_local(s), span_from_cstr(c->d->env->name));
    diameter_peer_event(c->peer, PEER_I_CONN_ACK, c);
}

static void closed(void *ctx, struct stream *s, enum error why) {
    struct connection *c = ctx;
    if (why == ERR_AUTHENTICATION) {
        LOG(&c->d->env->log, LOG_WARNING, "diameter connection without trust",
            LOG_SPAN("peer", c->peer ? c->peer->config.host : SPAN_NONE),
            LOG_CSTR("why", tls_problem_of(s)->text));
    }
    lost(c);
}

static const struct stream_handler handler = {connected, received, closed};

/* No CER came, or what we sent was not read. */
static void out_of_patience(struct timer *t) {
    end(CONTAINER_OF(t, struct connection, patience));
}

static struct connection *connection_new(struct diameter *d) {
    struct connection *c = calloc(1, sizeof *c);
    if (!c) {
        return NULL;
    }
    c->d = d;
    timer_init(&c->patience, out_of_patience);
    list_init(&c->in_node);
    list_init(&c->in_strangers);
    list_init(&c->incoming);
    return c;
}

void diameter_connection_accepted(void *ctx, struct listener *l, struct stream *s) {
    struct diameter *d = ctx;
    (void)l;
    if (d->n_strangers >= STRANGERS_MAX) {
        d->counters.crowded++;
        diameter_connection_close(CONTAINER_OF(d->strangers.next, struct connection, in_strangers));
    }
    struct connection *c = d->stopping ? NULL : connection_new(d);
    if (!c) {
        stream_close(s);
        return;
    }
    c->stream = s;
    list_insert(&d->connections, &c->in_node);
    list_insert(&d->strangers, &c->in_strangers);
    d->n_strangers++;
    timer_start(d->env, &c->patience, d->config.capabilities_us);
    stream_attach(s, &handler, c);
}

struct connection *diameter_connection_connect(struct peer *p) {
    struct connection *c = connection_new(p->d);
    if (!c) {
        return NULL;
    }
    c->peer = p;
    c->initiator = true;
    struct env *env = p->d->env;
    const struct addr *to = &p->config.address;
    enum error e = p->config.tls ? env_stream_connect_tls(env, p->d->config.tls, to, p->config.host,
                                                          &handler, c, &c->stream)
                                 : env_stream_connect(env, to, &handler, c, &c->stream);
    if (e) {
        free(c);
        return NULL;
    }
    list_insert(&p->d->connections, &c->in_node);
    return c;
}
