/* The node: making it, ending it, and what can be seen of it. */
#include "stack/diameter/internal.h"

#include <openssl/crypto.h>
#include <stdlib.h>

static uint64_t or_default(uint64_t value, uint64_t otherwise) {
    return value ? value : otherwise;
}

static void set_defaults(struct diameter_config *c) {
    const uint64_t watchdog_min_us = 6 * SEC_IN_US; /* RFC 3539 3.4.1 */
    c->watchdog_us = or_default(c->watchdog_us, 30 * SEC_IN_US);
    if (c->watchdog_us < watchdog_min_us) {
        c->watchdog_us = watchdog_min_us;
    }
    c->reconnect_min_us = or_default(c->reconnect_min_us, SEC_IN_US);
    c->reconnect_max_us = or_default(c->reconnect_max_us, 30 * SEC_IN_US);
    c->capabilities_us = or_default(c->capabilities_us, 10 * SEC_IN_US);
    c->request_timeout_us = or_default(c->request_timeout_us, 8 * SEC_IN_US);
    c->stop_us = or_default(c->stop_us, 2 * SEC_IN_US);
    c->pending_max = or_default(c->pending_max, 10000);
    c->incoming_max = or_default(c->incoming_max, 10000);
    c->duplicates_max_bytes = or_default(c->duplicates_max_bytes, 4 << 20);
    c->duplicates_us = or_default(c->duplicates_us, 60 * SEC_IN_US);
    if (!c->product_name.n) {
        c->product_name = SPAN("Muster");
    }
}

static void set_identifiers(struct diameter *d) {
    uint64_t now_s = (uint64_t)env_wall_us(d->env) / SEC_IN_US;
    uint32_t random[4];
    env_random(d->env, random, sizeof random);
    d->next_hop_by_hop = random[0];
    d->next_end_to_end = (uint32_t)(now_s & 0xfff) << 20 | (random[1] & 0xfffff); /* clause 3 */
    d->origin_state_id = (uint32_t)now_s;
    d->session_high = (uint32_t)now_s; /* 8.8 */
    d->session_low = random[2];
    d->session_random = random[3];
}

static void stop_now(struct post *p);

static void bury(struct post *p) {
    diameter_connections_bury(CONTAINER_OF(p, struct diameter, bury));
}

static void finish(struct timer *t) {
    struct diameter *d = CONTAINER_OF(t, struct diameter, stop_timer);
    d->stopped = true;
    d->done(d->done_ctx);
}

static bool config_is_valid(const struct diameter_config *c) {
    bool ok = diameter_is_identity(c->host) && diameter_is_identity(c->realm) &&
              c->n_applications <= APPLICATIONS_MAX;
    for (size_t i = 0; i < c->n_peers; i++) {
        const struct diameter_peer_config *p = &c->peers[i];
        ok = ok && diameter_is_identity(p->host) && (!p->connect || p->address.family) &&
             (!p->tls || c->tls);
    }
    return ok && (!c->listen_tls || c->tls);
}

static enum error start(struct diameter *d, const struct diameter_config *config) {
    size_t unit = 64;
    d->duplicates.cap = (d->config.duplicates_max_bytes + unit - 1) / unit * unit;
    d->room = malloc(DIAMETER_MESSAGE_MAX);
    d->duplicates.room = malloc(d->duplicates.cap);
    if (!d->room || !d->duplicates.room) {
        return ERR_NO_MEMORY;
    }
    if (config->listen) {
        enum error e =
            env_listen(d->env, config->listen, diameter_connection_accepted, d, &d->listener);
        if (e) {
            return e;
        }
    }
    if (config->listen_tls) {
        enum error e = env_listen_tls(d->env, config->tls, config->listen_tls,
                                      diameter_connection_accepted, d, &d->tls_listener);
        if (e) {
            return e;
        }
    }
    for (size_t i = 0; i < config->n_peers; i++) {
        enum error e = diameter_peer_add(d, &config->peers[i]);
        if (e) {
            return e == ERR_EXISTS ? ERR_INVALID : e;
        }
    }
    return OK;
}

enum error diameter_new(struct env *env, const struct diameter_config *config,
                        const struct diameter_handler *handler, void *ctx, struct diameter **out) {
    if (!config_is_valid(config)) {
        return ERR_INVALID;
    }
    struct diameter *d = calloc(1, sizeof *d);
    if (!d) {
        return ERR_NO_MEMORY;
    }
    d->env = env;
    d->config = *config;
    d->handler = *handler;
    d->ctx = ctx;
    list_init(&d->peers);
    list_init(&d->connections);
    list_init(&d->strangers);
    list_init(&d->gone);
    post_init(&d->bury, bury);
    list_init(&d->pending_idle);
    list_init(&d->requests);
    list_init(&d->requests_idle);
    post_init(&d->stop, stop_now);
    timer_init(&d->stop_timer, finish);
    set_defaults(&d->config);
    set_identifiers(d);
    enum error e = start(d, config);
    if (e) {
        diameter_free(d);
        return e;
    }
    *out = d;
    return OK;
}

static void close_listeners(struct diameter *d) {
    listener_close(d->listener);
    listener_close(d->tls_listener);
    d->listener = d->tls_listener = NULL;
}

void diameter_free(struct diameter *d) {
    if (!d) {
        return;
    }
    d->stopped = true;
    post_cancel(&d->stop);
    timer_stop(&d->stop_timer);
    close_listeners(d);
    diameter_requests_free(d);
    diameter_incoming_free(d);
    LIST_EACH(&d->connections, c, struct connection, in_node) {
        diameter_connection_close(c);
    }
    post_cancel(&d->bury);
    diameter_connections_bury(d);
    LIST_EACH(&d->peers, p, struct peer, in_node) {
        diameter_peer_free(p);
    }
    diameter_duplicates_free(d);
    if (d->room) {
        OPENSSL_cleanse(d->room, d->room_used);
    }
    free(d->room);
    free(d);
}

/* Whether everything is closed is looked at again after each change; the timer of a peer's DPR sees
 * to it that this comes to an end. */
static void look_whether_done(struct diameter *d) {
    if (d->stopping && d->stop_begun && list_is_empty(&d->connections) &&
        !timer_is_running(&d->stop_timer) && !d->stopped) {
        timer_start(d->env, &d->stop_timer, 0);
    }
}

void diameter_connection_gone(struct diameter *d) {
    look_whether_done(d);
}

static void stop_now(struct post *p) {
    struct diameter *d = CONTAINER_OF(p, struct diameter, stop);
    diameter_requests_fail_all(d, ERR_CLOSED);
    LIST_EACH(&d->peers, peer, struct peer, in_node) {
        timer_stop(&peer->reconnect);
        diameter_peer_event(peer, PEER_STOP, NULL);
    }
    LIST_EACH(&d->connections, c, struct connection, in_node) {
        if (!c->peer) {
            diameter_connection_close(c);
        }
    }
    d->stop_begun = true;
    look_whether_done(d);
}

void diameter_stop(struct diameter *d, void (*done)(void *ctx), void *ctx) {
    if (d->stopping) {
        return;
    }
    d->stopping = true;
    d->done = done;
    d->done_ctx = ctx;
    close_listeners(d);
    env_post(d->env, &d->stop);
}

struct addr diameter_address(const struct diameter *d) {
    return d->listener ? *listener_local(d->listener) : (struct addr){.family = 0};
}

struct addr diameter_tls_address(const struct diameter *d) {
    return d->tls_listener ? *listener_local(d->tls_listener) : (struct addr){.family = 0};
}

enum error diameter_peer_add(struct diameter *d, const struct diameter_peer_config *peer) {
    if (diameter_peer_find(d, peer->host)) {
        return ERR_EXISTS;
    }
    return diameter_peer_new(d, peer) ? OK : ERR_NO_MEMORY;
}

const struct diameter_counters *diameter_counters(const struct diameter *d) {
    return &d->counters;
}

void diameter_each_peer(const struct diameter *d,
                        void (*each)(void *ctx, const struct diameter_peer_status *status),
                        void *ctx) {
    LIST_EACH(&d->peers, p, struct peer, in_node) {
        const struct connection *c = diameter_peer_connection(p);
        const struct diameter_peer_status status = {
            .host = p->config.host,
            .state = diameter_peer_state_name(p),
            .watchdog = diameter_watchdog_name(p),
            .remote = c && c->stream ? *stream_remote(c->stream) : (struct addr){.family = 0},
            .tls = c && c->stream && stream_is_tls(c->stream),
            .usable = c && p->watchdog == WATCHDOG_OKAY,
            .pending = p->n_pending,
        };
        each(ctx, &status);
    }
}
