/* Is the peer alive? RFC 3539 3.4, with Device-Watchdog of RFC 6733 5.5.
 *
 * Choices: only a connection that was under suspicion when it ended comes back through REOPEN
 * (three DWAs before it counts as whole); one that was closed in order, or broke by itself, is
 * trusted at once. A peer in REOPEN or SUSPECT still gets requests when there is no better one. The
 * timer is not set anew with each message: when it fires, what was heard meanwhile is looked at.
 * Jitter only shortens Tw (3.4.1 allows two seconds both ways), so that failover takes 2 Tw at
 * most. A request that was not answered in time makes us ask at once, not only after Tw. */
#include "stack/diameter/internal.h"

static void set_watchdog(struct peer *p) {
    uint64_t tw_us = p->d->config.watchdog_us, half = tw_us / 30;
    p->interval_us = diameter_jittered(p->d, tw_us - half, 30);
    timer_start(p->d->env, &p->tw, p->interval_us);
}

static void send_watchdog(struct peer *p) {
    struct connection *c = diameter_peer_connection(p);
    if (!c) {
        return;
    }
    struct diameter *d = p->d;
    struct diameter_builder *b =
        diameter_base_begin(d, DIAMETER_REQUEST, DIAMETER_COMMAND_DEVICE_WATCHDOG,
                            diameter_next_hop_by_hop(d), diameter_next_end_to_end(d));
    const struct diameter_dwr dwr = {.has_origin_state_id = true,
                                     .origin_state_id = d->origin_state_id};
    diameter_dwr_encode(b, &dwr);
    p->dwr_outstanding = true;
    diameter_base_send(c);
}

void diameter_watchdog_start(struct peer *p) {
    p->heard_us = env_now_us(p->d->env);
    p->dwr_outstanding = false;
    p->n_dwa = 0;
    set_watchdog(p);
    if (p->watchdog == WATCHDOG_DOWN) {
        p->watchdog = WATCHDOG_REOPEN;
        send_watchdog(p);
    } else {
        p->watchdog = WATCHDOG_OKAY;
    }
}

void diameter_watchdog_stop(struct peer *p) {
    timer_stop(&p->tw);
    if (p->watchdog == WATCHDOG_OKAY) {
        p->watchdog = WATCHDOG_INITIAL;
    } else if (p->watchdog != WATCHDOG_INITIAL) {
        p->watchdog = WATCHDOG_DOWN;
    }
}

void diameter_watchdog_heard(struct peer *p) {
    p->heard_us = env_now_us(p->d->env);
    if (UNLIKELY(p->watchdog == WATCHDOG_SUSPECT)) {
        p->watchdog = WATCHDOG_OKAY;
        set_watchdog(p);
    }
}

void diameter_watchdog_answered(struct peer *p) {
    p->heard_us = env_now_us(p->d->env);
    p->dwr_outstanding = false;
    if (p->watchdog == WATCHDOG_REOPEN && ++p->n_dwa < 3) {
        return;
    }
    if (p->watchdog != WATCHDOG_OKAY) {
        p->watchdog = WATCHDOG_OKAY;
        set_watchdog(p);
    }
}

void diameter_watchdog_probe(struct peer *p) {
    if (p->watchdog == WATCHDOG_OKAY && !p->dwr_outstanding) {
        send_watchdog(p);
        if (diameter_peer_connection(p)) {
            set_watchdog(p);
        }
    }
}

static void lose(struct peer *p) {
    p->watchdog = WATCHDOG_DOWN;
    diameter_peer_event(p, PEER_WATCHDOG_LOST, NULL);
}

static void ask_again(struct peer *p) {
    set_watchdog(p);
    send_watchdog(p);
}

static void expired_okay(struct peer *p) {
    uint64_t silent_us = env_now_us(p->d->env) - p->heard_us;
    if (silent_us < p->interval_us) {
        timer_start(p->d->env, &p->tw, p->interval_us - silent_us);
    } else if (!p->dwr_outstanding) {
        ask_again(p);
    } else {
        p->watchdog = WATCHDOG_SUSPECT;
        set_watchdog(p);
        diameter_requests_failover(p, false);
    }
}

static void expired_reopen(struct peer *p) {
    if (!p->dwr_outstanding) {
        ask_again(p);
    } else if (p->n_dwa < 0) {
        lose(p);
    } else {
        p->n_dwa = -1;
        set_watchdog(p);
    }
}

void diameter_watchdog_expired(struct timer *t) {
    struct peer *p = CONTAINER_OF(t, struct peer, tw);
    switch (p->watchdog) {
    case WATCHDOG_OKAY:
        expired_okay(p);
        break;
    case WATCHDOG_SUSPECT:
        lose(p);
        break;
    case WATCHDOG_REOPEN:
        expired_reopen(p);
        break;
    default:
        break;
    }
}

const char *diameter_watchdog_name(const struct peer *p) {
    static const char *const names[] = {
        [WATCHDOG_INITIAL] = "INITIAL", [WATCHDOG_OKAY] = "OKAY",
        [WATCHDOG_SUSPECT] = "SUSPECT", [WATCHDOG_DOWN] = "DOWN",
        [WATCHDOG_REOPEN] = "REOPEN",
    };
    return names[p->watchdog];
}
