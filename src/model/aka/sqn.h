/* Sequence numbers of AKA, TS 33.102 annex C, profile of C.3.2 (not time-based).
 *
 * SQN (48 bits) = SEQ (43 bits) || IND (5 bits). The HSS keeps one counter SEQ for each IMPI, and
 * IND says which S-CSCF asked, so that the vectors of two S-CSCFs may be used in any order. The
 * UE keeps the highest SEQ that it accepted for each IND.
 *
 * Pure: values in, values out. What must be durable, and when, is said where it is decided. */
#ifndef MUSTER_MODEL_AKA_SQN_H
#define MUSTER_MODEL_AKA_SQN_H

#include "base/error.h"
#include "base/span.h"

enum {
    SQN_IND_BITS = 5,
    SQN_INDS = 1 << SQN_IND_BITS,
    SQN_BLOCK = 32, /* SEQs that one durable write reserves */
};

#define SQN_SEQ_MAX ((UINT64_C(1) << 43) - 1)

/** SEQ may grow by at most this at once, or the UE calls it out of range (TS 33.102 C.3.2). */
#define SQN_DELTA (UINT64_C(1) << 28)

/** SQN from its parts. seq at most SQN_SEQ_MAX, ind below SQN_INDS. */
static inline uint64_t sqn_make(uint64_t seq, unsigned ind) {
    return seq << SQN_IND_BITS | ind;
}

/** SEQ of an SQN. */
static inline uint64_t sqn_seq(uint64_t sqn) {
    return sqn >> SQN_IND_BITS;
}

/** IND of an SQN. */
static inline unsigned sqn_ind(uint64_t sqn) {
    return (unsigned)(sqn & (SQN_INDS - 1));
}

/** The IND of a requesting node, by its name (any case): the same in each process and after each
 * restart. Two names may share an IND; then their vectors must be used in the order of making. */
unsigned sqn_ind_of(struct span requester);

/* The HSS's side.
 *
 *     uint64_t sqn, stored;
 *     if (!sqn_take(&counter, ind, &sqn)) {
 *         sqn_reserve(&counter, &stored)   -> write `stored` into the record; when it is durable:
 *         sqn_reserved(&counter, stored)   -> and sqn_take succeeds SQN_BLOCK times
 *     }
 *
 * A crash between loses at most the rest of a block: SQNs are skipped, never given twice. */

/** The counter of one IMPI, in memory. */
struct sqn_counter {
    uint64_t seq;      /* the last SEQ given out */
    uint64_t reserved; /* the highest SEQ that the store knows as possibly used */
};

/** The counter as it stands after a start: everything that was reserved counts as used. `stored` is
 * the record's value: 0 for a new IMPI. */
static inline struct sqn_counter sqn_load(uint64_t stored) {
    return (struct sqn_counter){stored, stored};
}

/** Gives out the next SQN. False: the block is used up, reserve first. */
MUST_CHECK bool sqn_take(struct sqn_counter *c, unsigned ind, uint64_t *sqn);

/** What to write into the record so that a further block may be used; changes nothing.
 * ERR_SQN_OUT_OF_RANGE: SEQ is at its end, the key must be replaced. */
MUST_CHECK enum error sqn_reserve(const struct sqn_counter *c, uint64_t *stored);

/** The value of sqn_reserve or sqn_resynchronise is durable now. */
void sqn_reserved(struct sqn_counter *c, uint64_t stored);

enum sqn_resync {
    SQN_RESYNC_KEPT,    /* the next SQN is acceptable as it is: nothing changed */
    SQN_RESYNC_FORWARD, /* SEQ follows SQN_MS; the new `stored` must be durable before the next SQN
                         */
    SQN_RESYNC_BACK,    /* the counter was more than SQN_DELTA ahead of the UE: it goes back to
                         * SQN_MS, so SEQs that the UE has refused may come again (TS 33.102 6.3.5) */
    SQN_RESYNC_END,     /* SQN_MS is so high that no SQN is left; the key must be replaced */
};

/** Resynchronises with an SQN_MS whose MAC-S was right (aka_auts_check): TS 33.102 section 6.3.5.
 * FORWARD and BACK change the counter so that sqn_take says "reserve first". */
MUST_CHECK enum sqn_resync sqn_resynchronise(struct sqn_counter *c, uint64_t sqn_ms);

/* The UE's side. */

/** The highest SEQ accepted for each IND. Zeroed: a new ISIM. */
struct sqn_array {
    uint64_t seq[SQN_INDS];
};

/** What a UE tolerates. */
struct sqn_limits {
    uint64_t delta; /* growth of SEQ over the highest accepted one; SQN_DELTA */
    uint64_t age;   /* L: how far SEQ may lie below the highest accepted one; 0: no limit */
};

#define SQN_LIMITS ((struct sqn_limits){.delta = SQN_DELTA, .age = 0})

enum sqn_verdict {
    SQN_FRESH,   /* accept it, and note it with sqn_accept */
    SQN_USED,    /* not higher than what was accepted for its IND */
    SQN_TOO_FAR, /* more than delta above the highest */
    SQN_TOO_OLD, /* more than age below the highest */
};

/** Is this SQN, whose MAC was right, acceptable (TS 33.102 C.2.2)? All but SQN_FRESH are answered
 * with AUTS over sqn_highest. */
MUST_CHECK enum sqn_verdict sqn_check(const struct sqn_array *a, uint64_t sqn,
                                      const struct sqn_limits *limits);

/** Notes an accepted SQN. */
void sqn_accept(struct sqn_array *a, uint64_t sqn);

/** SQN_MS: the highest SQN accepted so far, for AUTS. */
uint64_t sqn_highest(const struct sqn_array *a);

/** The verdict in words, for logs and for muster explain. Never NULL. */
const char *sqn_verdict_text(enum sqn_verdict v);

#endif
