/* Whose answers over UDP may be larger than what was asked: a rule without I/O.
 *
 * Anybody can write somebody else's address into a datagram as its source; who answers with more
 * bytes than he was sent multiplies an attack on that address. So what a request is answered with
 * is at most one and a half times its size, and what is beyond that is paid from a small budget of
 * the address that it goes to: AMPLIFICATION_BURST messages at once, AMPLIFICATION_PER_S each
 * second after that. An ordinary client never needs more. When somebody there has shown that he
 * receives what is sent to him (he has answered a challenge), the whole budget is back: many
 * terminals behind one address share it, and are held up only if nobody there is real.
 *
 * The budgets stand in a table of fixed size, found by a hash that nobody outside can foresee;
 * addresses that meet in it share a budget. Ports do not matter, nor do the lower 64 bits of an
 * IPv6 address. */
#ifndef MUSTER_STACK_SIP_AMPLIFICATION_H
#define MUSTER_STACK_SIP_AMPLIFICATION_H

#include "base/error.h"
#include "rt/addr.h"

enum {
    AMPLIFICATION_BUDGETS = 1 << 16, /* of 8 bytes each */
    AMPLIFICATION_BURST = 20,
    AMPLIFICATION_PER_S = 5
};

/** Zeroed, it allows everything. */
struct amplification {
    uint64_t *paid_until_us; /* when each budget is whole again */
};

/** Makes the table. ERR_NO_MEMORY. */
MUST_CHECK enum error amplification_init(struct amplification *a);

/** Frees it. */
void amplification_free(struct amplification *a);

/** Bytes that a request of n bytes may be answered with free of charge. */
static inline size_t amplification_credit(size_t n) {
    return n + n / 2;
}

/** May a message that is larger than its credit go to this address now? If so, it is paid. */
bool amplification_pay(struct amplification *a, uint64_t now_us, const struct addr *to);

/** Somebody at this address has shown that he receives what is sent there. */
void amplification_forgive(struct amplification *a, const struct addr *at);

#endif
