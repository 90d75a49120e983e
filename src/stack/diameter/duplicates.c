/* Answers kept for repeated requests: RFC 6733 3 and 5.5.4.
 *
 * A request is the same as another if Origin-Host and End-to-End Identifier are, and also command
 * and Session-Id: there are clients that number every message alike. The T flag is not asked for,
 * since a repetition need not have it. Answers stand in a ring of bytes and leave it when they are
 * too old or the room is needed; they may hold keys, so they are wiped. */
#include "stack/diameter/internal.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <stdlib.h>

struct entry {
    struct htab_node node;
    uint64_t until_us;
    size_t size; /* of entry and bytes, aligned: where the next one begins */
    uint32_t end_to_end, command;
    uint32_t n_host, n_session, n_answer; /* 0 answer: a gap before the end of the ring */
    char bytes[];
};

uint64_t diameter_duplicates_hash(const struct diameter_msg *request) {
    return hash_mix(hash_bytes(request->origin_host), request->end_to_end);
}

static struct entry *entry_at(const struct duplicates *q, size_t position) {
    return (struct entry *)(void *)(q->room + position % q->cap);
}

static void drop_oldest(struct duplicates *q) {
    struct entry *e = entry_at(q, q->tail);
    size_t size = e->size;
    if (e->n_answer) {
        htab_remove(&q->answered, &e->node);
        OPENSSL_cleanse(e, size);
    }
    q->tail += size;
}

static void drop_old(struct diameter *d) {
    struct duplicates *q = &d->duplicates;
    uint64_t now = env_now_us(d->env);
    while (q->tail != q->head) {
        const struct entry *e = entry_at(q, q->tail);
        if (e->n_answer && e->until_us > now) {
            return;
        }
        drop_oldest(q);
    }
}

struct span diameter_duplicates_find(struct diameter *d, const struct diameter_msg *request,
                                     uint64_t hash) {
    uint64_t now = env_now_us(d->env);
    struct htab_node *n = htab_first(&d->duplicates.answered, hash);
    for (; n; n = htab_next(n)) {
        const struct entry *e = CONTAINER_OF(n, struct entry, node);
        const char *session = e->bytes + e->n_host;
        if (e->end_to_end == request->end_to_end && e->command == request->command &&
            e->until_us > now && span_eq(span_of(e->bytes, e->n_host), request->origin_host) &&
            span_eq(span_of(session, e->n_session), request->session_id)) {
            return span_of(session + e->n_session, e->n_answer);
        }
    }
    return SPAN_NONE;
}

/* Room for size bytes in one piece at the head; what is in the way is dropped. */
static bool make_room(struct duplicates *q, size_t size) {
    if (size > q->cap / 2) {
        return false;
    }
    size_t to_end = q->cap - q->head % q->cap;
    size_t need = size <= to_end ? size : to_end + size;
    while (q->cap - (q->head - q->tail) < need) {
        drop_oldest(q);
    }
    if (size > to_end) {
        struct entry *gap = entry_at(q, q->head);
        /* There is room for the head of an entry: all sizes are multiples of its size's alignment.
         */
        gap->size = to_end;
        gap->n_answer = 0;
        q->head += to_end;
    }
    return true;
}

void diameter_duplicates_keep(struct diameter *d, const struct diameter_msg *request, uint64_t hash,
                              struct span answer) {
    struct duplicates *q = &d->duplicates;
    enum { UNIT = 64 }; /* sizes are multiples of it, so that a gap always has room for its entry */
    static_assert(sizeof(struct entry) <= UNIT, "an entry fits into a unit");
    if (!q->room) {
        return;
    }
    drop_old(d);
    struct span host = request->origin_host, session = request->session_id;
    size_t size = sizeof(struct entry) + host.n + session.n + answer.n;
    size = (size + UNIT - 1) / UNIT * UNIT;
    if (!make_room(q, size)) {
        return;
    }
    struct entry *e = entry_at(q, q->head);
    e->until_us = env_now_us(d->env) + d->config.duplicates_us;
    e->size = size;
    e->end_to_end = request->end_to_end;
    e->command = request->command;
    e->n_host = (uint32_t)host.n;
    e->n_session = (uint32_t)session.n;
    e->n_answer = (uint32_t)answer.n;
    struct buf b = buf_init(e->bytes, size - sizeof *e);
    buf_put(&b, host);
    buf_put(&b, session);
    buf_put(&b, answer);
    if (htab_insert(&q->answered, &e->node, hash) == OK) {
        q->head += size;
    }
}

void diameter_duplicates_free(struct diameter *d) {
    struct duplicates *q = &d->duplicates;
    while (q->tail != q->head) {
        drop_oldest(q);
    }
    htab_free(&q->answered);
    free(q->room);
    q->room = NULL;
}
