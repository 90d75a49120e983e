/* The peer state machine: RFC 6733 5.6, as the table below.
 *
 * It differs from the RFC's table where that leaves a peer without service for no reason:
 *  - While an election waits for our own connection attempt and that does not come about in time,
 * or its CEA does not come or is bad, his connection is taken (the RFC closes both).
 *  - A CER on a new connection while one is open is rejected, as the RFC says; but if its
 *    Origin-State-Id shows that he has restarted, or the watchdog suspects the open connection, the
 * new one replaces it. A rejected one makes the watchdog ask on the old one at once.
 *  - A DPR that meets ours (both stop) is answered.
 * Connecting again: after reconnect_min_us, doubled with each failure up to reconnect_max_us, each
 * with jitter of a quarter; after a DPR that says BUSY or DO_NOT_WANT_TO_TALK_TO_YOU the longest.
 */
#include "stack/diameter/internal.h"

#include <stdlib.h>

uint32_t diameter_next_hop_by_hop(struct diameter *d) {
    return d->next_hop_by_hop++;
}

uint32_t diameter_next_end_to_end(struct diameter *d) {
    return d->next_end_to_end++;
}

uint64_t diameter_jittered(struct diameter *d, uint64_t us, unsigned parts) {
    uint32_t random;
    env_random(d->env, &random, sizeof random);
    uint64_t reach = us / parts;
    return us - reach + random % (2 * reach + 1);
}

struct diameter_builder *diameter_base_begin(struct diameter *d, uint8_t flags, uint32_t command,
                                             uint32_t hop_by_hop, uint32_t end_to_end) {
    d->requesting = false;
    d->answering = NULL;
    d->envelope =
        (struct diameter_envelope){.origin_host = d->config.host, .origin_realm = d->config.realm};
    d->buf = buf_init(d->room, DIAMETER_MESSAGE_MAX);
    diameter_begin(&d->builder, &d->buf, &d->envelope, flags, command, DIAMETER_APPLICATION,
                   hop_by_hop, end_to_end);
    return &d->builder;
}

void diameter_base_send(struct connection *c) {
    if (diameter_end(&c->d->builder) == OK) {
        diameter_connection_send(c, buf_span(&c->d->buf));
    }
}

struct span diameter_peer_realm(const struct peer *p) {
    return p->config.realm.n ? p->config.realm : p->d->config.realm;
}

struct connection *diameter_peer_connection(const struct peer *p) {
    return p->state == PEER_I_OPEN ? p->i : p->state == PEER_R_OPEN ? p->r : NULL;
}

struct peer *diameter_peer_find(const struct diameter *d, struct span host) {
    LIST_EACH(&d->peers, p, struct peer, in_node) {
        if (span_eq_nocase(p->config.host, host)) {
            return p;
        }
    }
    return NULL;
}

/* Actions. The table has set the next state before they run; they may set another. */

static void nothing(struct peer *p, struct connection *c) {
    (void)p;
    (void)c;
}

static void tell(struct peer *p, bool up) {
    if (p->told != up) {
        p->told = up;
        LOG(&p->d->env->log, LOG_INFO, up ? "diameter peer up" : "diameter peer down",
            LOG_SPAN("peer", p->config.host));
        if (p->d->handler.peer) {
            p->d->handler.peer(p->d->ctx, p->config.host, up);
        }
    }
}

static void drop_i(struct peer *p) {
    if (p->i) {
        diameter_connection_close(p->i);
    }
}

static void drop_r(struct peer *p) {
    if (p->r) {
        diameter_connection_close(p->r);
    }
}

static void start_reconnect(struct peer *p) {
    struct diameter *d = p->d;
    if (!p->config.connect || d->stopping) {
        return;
    }
    uint64_t delay = d->config.reconnect_max_us;
    if (!p->unwelcome && p->failures < 16 && d->config.reconnect_min_us << p->failures < delay) {
        delay = d->config.reconnect_min_us << p->failures;
    }
    p->unwelcome = false;
    p->failures++;
    timer_start(d->env, &p->reconnect, diameter_jittered(d, delay, 4));
}

/* Error and Cleanup: both connections go, what was pending goes elsewhere. */
static void cleanup(struct peer *p, struct connection *c) {
    (void)c;
    timer_stop(&p->timer);
    drop_i(p);
    drop_r(p);
    diameter_watchdog_stop(p);
    diameter_requests_failover(p, true);
    tell(p, false);
    start_reconnect(p);
}

/* The second failure in a row: at a start all come up side by side, and the first means nothing. */
static void complain(const struct peer *p) {
    char text[80];
    struct buf at = buf_init(text, sizeof text);
    addr_put(&at, &p->config.address);
    LOG(&p->d->env->log, LOG_WARNING, "diameter peer cannot be reached",
        LOG_SPAN("peer", p->config.host), LOG_SPAN("at", buf_span(&at)));
}

static void failed_to_connect(struct peer *p, struct connection *c) {
    p->d->counters.connect_failures++;
    if (p->failures == 1) {
        complain(p);
    }
    cleanup(p, c);
}

static void opened(struct peer *p, struct connection *c) {
    timer_stop(&p->timer);
    timer_stop(&p->reconnect);
    p->failures = 0;
    p->unwelcome = false;
    p->common = p->offered_common;
    p->has_origin_state_id = p->offered_state_id;
    p->origin_state_id = p->offered_origin_state_id;
    c->open = true;
    p->d->counters.connects++;
    diameter_watchdog_start(p);
    tell(p, true);
}

static void connect_to(struct peer *p, struct connection *c) {
    (void)c;
    timer_start(p->d->env, &p->timer, p->d->config.capabilities_us);
    p->i = diameter_connection_connect(p);
    if (!p->i) {
        p->state = PEER_CLOSED;
        failed_to_connect(p, NULL);
    }
}

static void send_cer(struct peer *p, struct connection *c) {
    (void)p;
    diameter_capabilities_request(c);
}

static void accept_r(struct peer *p, struct connection *c) {
    c->peer = p;
    p->r = c;
}

/* Accept, Process-CER, Snd-CEA: his connection is the one. */
static void open_r(struct peer *p, struct connection *c) {
    if (c) {
        accept_r(p, c);
    }
    drop_i(p);
    c = p->r;
    diameter_capabilities_answer(c);
    opened(p, c);
}

static void open_i(struct peer *p, struct connection *c) {
    drop_r(p);
    opened(p, c);
}

/* On an attempt of ours that came to nothing while his connection waits. */
static void fall_back_to_r(struct peer *p, struct connection *c) {
    (void)c;
    p->d->counters.connect_failures++;
    open_r(p, NULL);
}

/* 5.6.4: the higher Origin-Host wins, and keeps the connection that it accepted. */
static bool we_win(const struct peer *p) {
    const struct span ours = p->d->config.host, his = p->config.host;
    for (size_t i = 0; i < ours.n || i < his.n; i++) {
        unsigned a = i < ours.n ? (unsigned char)ours.p[i] : 0;
        unsigned b = i < his.n ? (unsigned char)his.p[i] : 0;
        a += a >= 'A' && a <= 'Z' ? 'a' - 'A' : 0;
        b += b >= 'A' && b <= 'Z' ? 'a' - 'A' : 0;
        if (a != b) {
            return a > b;
        }
    }
    return false;
}

static void elect(struct peer *p) {
    if (we_win(p)) {
        diameter_peer_event(p, PEER_WIN_ELECTION, NULL);
    }
}

static void accept_and_elect(struct peer *p, struct connection *c) {
    accept_r(p, c);
    elect(p);
}

static void send_cer_and_elect(struct peer *p, struct connection *c) {
    diameter_capabilities_request(c);
    elect(p);
}

static void win(struct peer *p, struct connection *c) {
    (void)c;
    open_r(p, NULL);
}

static void reject(struct peer *p, struct connection *c) {
    (void)p;
    p->d->counters.refused_peers++;
    diameter_connection_close(c);
}

static void replace_or_reject(struct peer *p, struct connection *c) {
    bool restarted = p->offered_state_id && p->has_origin_state_id &&
                     p->offered_origin_state_id != p->origin_state_id;
    if (!restarted && p->watchdog != WATCHDOG_SUSPECT) {
        reject(p, c);
        diameter_watchdog_probe(p);
        return;
    }
    LOG(&p->d->env->log, LOG_NOTICE, "diameter peer came again, old connection dropped",
        LOG_SPAN("peer", p->config.host));
    p->state = PEER_CLOSING; /* so that nothing is sent to the old one */
    drop_i(p);
    drop_r(p);
    diameter_watchdog_stop(p);
    diameter_requests_failover(p, true);
    tell(p, false);
    p->state = PEER_R_OPEN;
    open_r(p, c);
}

static void send_dpr(struct peer *p, struct connection *c) {
    struct diameter *d = p->d;
    c = p->i ? p->i : p->r;
    struct diameter_builder *b =
        diameter_base_begin(d, DIAMETER_REQUEST, DIAMETER_COMMAND_DISCONNECT_PEER,
                            diameter_next_hop_by_hop(d), diameter_next_end_to_end(d));
    const struct diameter_dpr dpr = {.disconnect_cause = DIAMETER_DISCONNECT_CAUSE_REBOOTING};
    diameter_dpr_encode(b, &dpr);
    timer_start(d->env, &p->timer, d->config.stop_us);
    diameter_base_send(c);
}

/* The DPA is on its way; the peer closes. */
static void wait_for_close(struct peer *p, struct connection *c) {
    (void)c;
    timer_start(p->d->env, &p->timer, p->d->config.stop_us);
    diameter_requests_failover(p, false);
    tell(p, false);
}

static void lost_by_watchdog(struct peer *p, struct connection *c) {
    p->d->counters.watchdog_losses++;
    LOG(&p->d->env->log, LOG_WARNING, "diameter peer does not answer",
        LOG_SPAN("peer", p->config.host));
    cleanup(p, c);
}

static const struct transition {
    enum peer_state state;
    enum peer_event event;
    void (*action)(struct peer *p, struct connection *c);
    enum peer_state next;
} transitions[] = {
    {PEER_CLOSED, PEER_START, connect_to, PEER_WAIT_CONN_ACK},
    {PEER_CLOSED, PEER_R_CONN_CER, open_r, PEER_R_OPEN},

    {PEER_WAIT_CONN_ACK, PEER_I_CONN_ACK, send_cer, PEER_WAIT_I_CEA},
    {PEER_WAIT_CONN_ACK, PEER_I_CONN_NACK, failed_to_connect, PEER_CLOSED},
    {PEER_WAIT_CONN_ACK, PEER_R_CONN_CER, accept_r, PEER_WAIT_CONN_ACK_ELECT},
    {PEER_WAIT_CONN_ACK, PEER_TIMEOUT, failed_to_connect, PEER_CLOSED},
    {PEER_WAIT_CONN_ACK, PEER_STOP, cleanup, PEER_CLOSED},

    {PEER_WAIT_I_CEA, PEER_I_RCV_CEA, open_i, PEER_I_OPEN},
    {PEER_WAIT_I_CEA, PEER_R_CONN_CER, accept_and_elect, PEER_WAIT_RETURNS},
    {PEER_WAIT_I_CEA, PEER_I_PEER_DISC, failed_to_connect, PEER_CLOSED},
    {PEER_WAIT_I_CEA, PEER_I_RCV_NON_CEA, failed_to_connect, PEER_CLOSED},
    {PEER_WAIT_I_CEA, PEER_TIMEOUT, failed_to_connect, PEER_CLOSED},
    {PEER_WAIT_I_CEA, PEER_STOP, cleanup, PEER_CLOSED},

    {PEER_WAIT_CONN_ACK_ELECT, PEER_I_CONN_ACK, send_cer_and_elect, PEER_WAIT_RETURNS},
    {PEER_WAIT_CONN_ACK_ELECT, PEER_I_CONN_NACK, fall_back_to_r, PEER_R_OPEN},
    {PEER_WAIT_CONN_ACK_ELECT, PEER_R_PEER_DISC, nothing, PEER_WAIT_CONN_ACK},
    {PEER_WAIT_CONN_ACK_ELECT, PEER_R_CONN_CER, reject, PEER_WAIT_CONN_ACK_ELECT},
    {PEER_WAIT_CONN_ACK_ELECT, PEER_TIMEOUT, fall_back_to_r, PEER_R_OPEN},
    {PEER_WAIT_CONN_ACK_ELECT, PEER_STOP, cleanup, PEER_CLOSED},

    {PEER_WAIT_RETURNS, PEER_WIN_ELECTION, win, PEER_R_OPEN},
    {PEER_WAIT_RETURNS, PEER_I_PEER_DISC, win, PEER_R_OPEN},
    {PEER_WAIT_RETURNS, PEER_I_RCV_CEA, open_i, PEER_I_OPEN},
    {PEER_WAIT_RETURNS, PEER_I_RCV_NON_CEA, fall_back_to_r, PEER_R_OPEN},
    {PEER_WAIT_RETURNS, PEER_R_PEER_DISC, nothing, PEER_WAIT_I_CEA},
    {PEER_WAIT_RETURNS, PEER_R_CONN_CER, reject, PEER_WAIT_RETURNS},
    {PEER_WAIT_RETURNS, PEER_TIMEOUT, fall_back_to_r, PEER_R_OPEN},
    {PEER_WAIT_RETURNS, PEER_STOP, cleanup, PEER_CLOSED},

    {PEER_R_OPEN, PEER_R_CONN_CER, replace_or_reject, PEER_R_OPEN},
    {PEER_R_OPEN, PEER_STOP, send_dpr, PEER_CLOSING},
    {PEER_R_OPEN, PEER_RCV_DPR, wait_for_close, PEER_CLOSING},
    {PEER_R_OPEN, PEER_R_PEER_DISC, cleanup, PEER_CLOSED},
    {PEER_R_OPEN, PEER_WATCHDOG_LOST, lost_by_watchdog, PEER_CLOSED},

    {PEER_I_OPEN, PEER_R_CONN_CER, replace_or_reject, PEER_I_OPEN},
    {PEER_I_OPEN, PEER_STOP, send_dpr, PEER_CLOSING},
    {PEER_I_OPEN, PEER_RCV_DPR, wait_for_close, PEER_CLOSING},
    {PEER_I_OPEN, PEER_I_PEER_DISC, cleanup, PEER_CLOSED},
    {PEER_I_OPEN, PEER_WATCHDOG_LOST, lost_by_watchdog, PEER_CLOSED},

    {PEER_CLOSING, PEER_RCV_DPA, cleanup, PEER_CLOSED},
    {PEER_CLOSING, PEER_RCV_DPR, nothing, PEER_CLOSING},
    {PEER_CLOSING, PEER_R_CONN_CER, reject, PEER_CLOSING},
    {PEER_CLOSING, PEER_TIMEOUT, cleanup, PEER_CLOSED},
    {PEER_CLOSING, PEER_I_PEER_DISC, cleanup, PEER_CLOSED},
    {PEER_CLOSING, PEER_R_PEER_DISC, cleanup, PEER_CLOSED},
    {PEER_CLOSING, PEER_WATCHDOG_LOST, cleanup, PEER_CLOSED},
};

void diameter_peer_event(struct peer *p, enum peer_event event, struct connection *c) {
    for (size_t i = 0; i < COUNT_OF(transitions); i++) {
        const struct transition *t = &transitions[i];
        if (t->state == p->state && t->event == event) {
            p->state = t->next;
            t->action(p, c);
            return;
        }
    }
}

const char *diameter_peer_state_name(const struct peer *p) {
    static const char *const names[] = {
        [PEER_CLOSED] = "Closed",
        [PEER_WAIT_CONN_ACK] = "Wait-Conn-Ack",
        [PEER_WAIT_I_CEA] = "Wait-I-CEA",
        [PEER_WAIT_CONN_ACK_ELECT] = "Wait-Conn-Ack/Elect",
        [PEER_WAIT_RETURNS] = "Wait-Returns",
        [PEER_R_OPEN] = "R-Open",
        [PEER_I_OPEN] = "I-Open",
        [PEER_CLOSING] = "Closing",
    };
    return names[p->state];
}

static void out_of_patience(struct timer *t) {
    diameter_peer_event(CONTAINER_OF(t, struct peer, timer), PEER_TIMEOUT, NULL);
}

static void time_to_connect(struct timer *t) {
    diameter_peer_event(CONTAINER_OF(t, struct peer, reconnect), PEER_START, NULL);
}

struct peer *diameter_peer_new(struct diameter *d, const struct diameter_peer_config *config) {
    struct peer *p = calloc(1, sizeof *p);
    if (!p) {
        return NULL;
    }
    p->d = d;
    p->config = *config;
    timer_init(&p->timer, out_of_patience);
    timer_init(&p->reconnect, time_to_connect);
    timer_init(&p->tw, diameter_watchdog_expired);
    list_init(&p->pending);
    list_insert(&d->peers, &p->in_node);
    if (config->connect) {
        timer_start(d->env, &p->reconnect, 0);
    }
    return p;
}

void diameter_peer_free(struct peer *p) {
    timer_stop(&p->timer);
    timer_stop(&p->reconnect);
    timer_stop(&p->tw);
    list_remove(&p->in_node);
    free(p);
}
