/* TS 33.102 annex C.
 *
 * Left open by the annex and chosen here: SEQ starts at 0 for a new key, the first vector has
 * SEQ 1. The age limit L is off unless set (a UE without a clock cannot tell age from a burst). A
 * counter goes back only when the UE can never accept the next SQN otherwise. */
#include "model/aka/sqn.h"

unsigned sqn_ind_of(struct span requester) {
    uint32_t hash = UINT32_C(2166136261); /* FNV-1a: stable across processes and versions */
    for (size_t i = 0; i < requester.n; i++) {
        unsigned char c = (unsigned char)requester.p[i];
        hash = (hash ^ (c >= 'A' && c <= 'Z' ? c | 0x20u : c)) * UINT32_C(16777619);
    }
    return (hash ^ hash >> 16) & (SQN_INDS - 1);
}

bool sqn_take(struct sqn_counter *c, unsigned ind, uint64_t *sqn) {
    if (c->seq >= c->reserved) {
        return false;
    }
    c->seq++;
    *sqn = sqn_make(c->seq, ind);
    return true;
}

enum error sqn_reserve(const struct sqn_counter *c, uint64_t *stored) {
    if (c->seq >= SQN_SEQ_MAX) {
        return ERR_SQN_OUT_OF_RANGE;
    }
    uint64_t left = SQN_SEQ_MAX - c->seq;
    *stored = c->seq + (left < SQN_BLOCK ? left : SQN_BLOCK);
    return OK;
}

void sqn_reserved(struct sqn_counter *c, uint64_t stored) {
    if (stored > c->reserved) {
        c->reserved = stored;
    }
}

enum sqn_resync sqn_resynchronise(struct sqn_counter *c, uint64_t sqn_ms) {
    uint64_t ms = sqn_seq(sqn_ms);
    if (ms >= SQN_SEQ_MAX) {
        return SQN_RESYNC_END;
    }
    uint64_t next = c->seq + 1;
    if (next > ms && next - ms <= SQN_DELTA) {
        return SQN_RESYNC_KEPT;
    }
    enum sqn_resync how = next > ms ? SQN_RESYNC_BACK : SQN_RESYNC_FORWARD;
    *c = sqn_load(ms);
    return how;
}

enum sqn_verdict sqn_check(const struct sqn_array *a, uint64_t sqn,
                           const struct sqn_limits *limits) {
    uint64_t seq = sqn_seq(sqn), highest = sqn_seq(sqn_highest(a));
    if (seq > highest && seq - highest > limits->delta) {
        return SQN_TOO_FAR;
    }
    if (seq <= a->seq[sqn_ind(sqn)]) {
        return SQN_USED;
    }
    if (limits->age && seq < highest && highest - seq > limits->age) {
        return SQN_TOO_OLD;
    }
    return SQN_FRESH;
}

void sqn_accept(struct sqn_array *a, uint64_t sqn) {
    a->seq[sqn_ind(sqn)] = sqn_seq(sqn);
}

uint64_t sqn_highest(const struct sqn_array *a) {
    unsigned highest = 0;
    for (unsigned ind = 1; ind < SQN_INDS; ind++) {
        if (a->seq[ind] > a->seq[highest]) {
            highest = ind;
        }
    }
    return sqn_make(a->seq[highest], highest);
}

const char *sqn_verdict_text(enum sqn_verdict v) {
    static const char *const texts[] = {
        [SQN_FRESH] = "fresh",
        [SQN_USED] = "used before",
        [SQN_TOO_FAR] = "too far ahead",
        [SQN_TOO_OLD] = "too old",
    };
    return texts[v];
}
