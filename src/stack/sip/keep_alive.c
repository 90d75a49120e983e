#include "stack/sip/keep_alive.h"

#include "codec/stun/stun.h"
#include "stack/sip/internal.h"

enum {
    PONG_MS = 10000, /* RFC 5626 4.4.1 */
    RTO_MS = 500,    /* RFC 8489 6.2.1: first time-out, how often it is sent, and the last one */
    ATTEMPTS = 7,
    LAST_MS = 16 * RTO_MS
};

static bool is_stream(const struct sip_keep_alive *k) {
    return k->path.to.transport != SIP_UDP;
}

static void rest(struct sip_keep_alive *k) {
    uint32_t random;
    sip_stack_random(k->stack, &random, sizeof random);
    k->sent = 0;
    timer_start(k->stack->env, &k->timer,
                k->interval_us * 4 / 5 + random % (k->interval_us / 5 + 1));
}

static void fail(struct sip_keep_alive *k, enum error why) {
    sip_keep_alive_stop(k);
    k->failed(k, why);
}

static void on_broken(struct sip_path *path, enum error why) {
    (void)why;
    fail(CONTAINER_OF(path, struct sip_keep_alive, path), ERR_CLOSED);
}

static void ask_by_stun(struct sip_keep_alive *k) {
    char text[64];
    struct buf b = buf_init(text, sizeof text);
    if (k->sent == 0) {
        sip_stack_random(k->stack, k->id, sizeof k->id);
    }
    stun_put_binding(&b, k->id);
    (void)dgram_send(k->stack->endpoints[k->path.endpoint].dgram, &k->path.to.addr, buf_span(&b));
    k->sent++;
    timer_start(k->stack->env, &k->timer,
                k->sent < ATTEMPTS ? (RTO_MS * MS_IN_US) << (k->sent - 1) : LAST_MS * MS_IN_US);
}

static void ask_by_lines(struct sip_keep_alive *k) {
    struct connection *c = k->path.connection;
    k->pongs = connection_pongs(c);
    k->sent = 1;
    timer_start(k->stack->env, &k->timer, PONG_MS * MS_IN_US);
    (void)connection_send(c, SPAN("\r\n\r\n")); /* when it breaks, on_broken is told */
}

static void on_timer(struct timer *t) {
    struct sip_keep_alive *k = CONTAINER_OF(t, struct sip_keep_alive, timer);
    if (!is_stream(k)) {
        if (k->sent == ATTEMPTS) {
            fail(k, ERR_TIMEOUT);
        } else {
            ask_by_stun(k);
        }
    } else if (!k->path.connection) {
        fail(k, ERR_CLOSED);
    } else if (k->sent == 0) {
        ask_by_lines(k);
    } else if (connection_pongs(k->path.connection) == k->pongs) {
        fail(k, ERR_TIMEOUT);
    } else {
        k->answered++;
        rest(k);
    }
}

bool sip_keep_alive_answered(struct sip_stack *stack, const struct addr *from, struct span answer) {
    uint8_t id[SIP_KEEP_ALIVE_ID];
    struct addr mapped;
    if (list_is_empty(&stack->keep_alives) || stun_read_answer(answer, id, &mapped) != OK) {
        return false;
    }
    LIST_EACH(&stack->keep_alives, k, struct sip_keep_alive, in_stack) {
        if (k->sent == 0 || memcmp(k->id, id, sizeof id) != 0 || !addr_eq(&k->path.to.addr, from)) {
            continue;
        }
        k->answered++;
        if (k->is_mapped && !addr_eq(&k->mapped, &mapped)) {
            fail(k, ERR_CLOSED); /* RFC 5626 4.4.2: who wants to reach us no longer can */
        } else {
            k->is_mapped = true;
            k->mapped = mapped;
            rest(k);
        }
        return true;
    }
    return false;
}

void sip_keep_alive_start(struct sip_keep_alive *k, struct sip_stack *stack, unsigned endpoint,
                          const struct sip_hop *to, struct span host, uint32_t seconds,
                          void (*failed)(struct sip_keep_alive *k, enum error why)) {
    bool same = k->stack && sip_hop_eq(&k->path.to, to) && (!is_stream(k) || k->path.connection);
    if (same) {
        k->interval_us = seconds * SEC_IN_US;
        return;
    }
    sip_keep_alive_stop(k);
    *k = (struct sip_keep_alive){
        .stack = stack,
        .path = {.to = *to, .host = host, .endpoint = (uint8_t)endpoint, .broken = on_broken},
        .interval_us = seconds * SEC_IN_US,
        .failed = failed};
    timer_init(&k->timer, on_timer);
    list_insert(&stack->keep_alives, &k->in_stack);
    if (is_stream(k) && !connection_join(stack, &k->path)) {
        timer_start(stack->env, &k->timer, 0); /* not from within this call */
    } else {
        rest(k);
    }
}

void sip_keep_alive_stop(struct sip_keep_alive *k) {
    if (k->stack) {
        timer_stop(&k->timer);
        list_remove(&k->in_stack);
        sip_path_leave(&k->path);
        k->stack = NULL;
    }
}
