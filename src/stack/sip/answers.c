/* The state Completed of non-INVITE server transactions over an unreliable transport (RFC
 * 3261 17.2.2, timer J): all that it needs is the answer, so all else of the transaction is freed,
 * and the answers stand in a ring of configured size. Timer J is the same for all, so the oldest is
 * the first to expire; when the ring is full, the oldest goes before its time. */
#include "stack/sip/internal.h"

#include <stdlib.h>

struct answer {
    struct htab_node node;
    uint64_t expires_us;
    struct addr to; /* always over UDP */
    uint32_t size;  /* to the next entry */
    uint32_t key_n; /* 0: no answer, but the unused end of the ring */
    uint32_t n;
    uint8_t method, endpoint;
    char data[]; /* key, then the answer */
};

enum { ANSWERS_DEFAULT = 4 << 20 };

static struct answer *oldest(const struct answers *a) {
    return (struct answer *)(void *)(a->ring + a->first);
}

static void drop_oldest(struct sip_stack *stack) {
    struct answers *a = &stack->answers;
    struct answer *entry = oldest(a);
    if (entry->key_n) {
        htab_remove(&a->index, &entry->node);
        stack->counters.answers--;
    }
    a->first = (a->first + entry->size) % a->cap;
    a->used -= entry->size;
    stack->counters.answers_bytes = a->used;
}

void answers_expire(struct sip_stack *stack) {
    struct answers *a = &stack->answers;
    uint64_t now = env_now_us(stack->env);
    while (a->used && (oldest(a)->key_n == 0 || oldest(a)->expires_us <= now)) {
        drop_oldest(stack);
    }
}

/* Makes size bytes free in one piece, and returns them; NULL when they can never fit. */
static struct answer *make_room(struct sip_stack *stack, size_t size) {
    struct answers *a = &stack->answers;
    if (!a->ring) {
        a->cap = stack->config.answers_max_bytes ? stack->config.answers_max_bytes
                                                 : (size_t)ANSWERS_DEFAULT;
        a->cap = a->cap / sizeof(struct answer) * sizeof(struct answer);
        a->ring = malloc(a->cap);
    }
    if (!a->ring || size > a->cap / 2) {
        return NULL;
    }
    for (;;) {
        size_t end = (a->first + a->used) % a->cap, tail = a->cap - end;
        bool wraps = size > tail;
        if (a->used + size + (wraps ? tail : 0) > a->cap) {
            stack->counters.answers_dropped += oldest(a)->key_n > 0;
            drop_oldest(stack);
            continue;
        }
        struct answer *entry = (struct answer *)(void *)(a->ring + end);
        if (!wraps) {
            return entry;
        }
        /* The end of the ring is too short for it, but an entry's head fits there: all sizes are
         * multiples of that. */
        entry->size = (uint32_t)tail;
        entry->key_n = 0;
        a->used += tail;
    }
}

void answers_add(struct sip_stack *stack, const struct sip_server *tx, struct span bytes) {
    struct answers *a = &stack->answers;
    size_t unit = sizeof(struct answer);
    size_t size = (sizeof(struct answer) + tx->key.n + bytes.n + unit - 1) / unit * unit;
    answers_expire(stack);
    struct answer *entry = make_room(stack, size);
    if (!entry) {
        stack->counters.answers_dropped++;
        return;
    }
    *entry = (struct answer){.expires_us = env_now_us(stack->env) + 64 * stack->config.t1_us,
                             .to = tx->reply.to.addr,
                             .size = (uint32_t)size,
                             .key_n = (uint32_t)tx->key.n,
                             .n = (uint32_t)bytes.n,
                             .method = (uint8_t)tx->req->method,
                             .endpoint = tx->reply.endpoint};
    memcpy(entry->data, tx->key.p, tx->key.n);
    memcpy(entry->data + tx->key.n, bytes.p, bytes.n);
    if (htab_insert(&a->index, &entry->node, tx->node.hash) != OK) {
        entry->key_n = 0;
        stack->counters.answers_dropped++;
    } else {
        stack->counters.answers++;
    }
    a->used += size;
    stack->counters.answers_bytes = a->used;
}

bool answers_repeat(struct sip_stack *stack, const struct server_key *key,
                    const struct sip_msg *req, size_t credit) {
    struct htab_node *node = htab_first(&stack->answers.index, key->hash);
    for (; node; node = htab_next(node)) {
        const struct answer *entry = CONTAINER_OF(node, struct answer, node);
        if (entry->method == req->method &&
            span_eq((struct span){entry->data, entry->key_n}, key->text) &&
            entry->expires_us > env_now_us(stack->env)) {
            struct sip_path path = {.to = {entry->to, SIP_UDP}, .endpoint = entry->endpoint};
            stack->counters.sent_again++;
            (void)sip_stack_send_answer(
                stack, &path, (struct span){entry->data + entry->key_n, entry->n}, &credit);
            return true;
        }
    }
    return false;
}

void answers_free(struct answers *answers) {
    htab_free(&answers->index);
    free(answers->ring);
    *answers = (struct answers){0};
}
