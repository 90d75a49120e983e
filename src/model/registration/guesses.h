/* Somebody tries passwords (hardening HA6): how many wrong ones are too many, and for how long.
 *
 * What is counted is wrong responses for one private identity from one source address, so that who
 * guesses locks nobody out but himself. Pure rules over values. */
#ifndef MUSTER_MODEL_REGISTRATION_GUESSES_H
#define MUSTER_MODEL_REGISTRATION_GUESSES_H

#include "base/attribute.h"

#include <stdbool.h>
#include <stdint.h>

struct guess_policy {
    uint32_t tries_max; /* wrong responses before the lock; 0: no limit */
    uint64_t lock_us;   /* the first lock; each further one lasts twice as long */
};

enum { GUESS_DOUBLINGS_MAX = 6 }; /* of the lock: 64 times as long at most */

/** What is remembered of one identity from one source. Zeroed: nothing. */
struct guess_state {
    uint32_t wrong; /* responses since the last lock */
    uint32_t locks; /* in a row */
    uint64_t last_us;
    uint64_t locked_until_us;
};

/** May a response be tried now? Else *left_us is how long not. */
MUST_CHECK bool guess_allowed(const struct guess_state *state, uint64_t now_us, uint64_t *left_us);

/** A response was wrong. True: that was one too many, and the lock begins. */
bool guess_wrong(const struct guess_policy *policy, struct guess_state *state, uint64_t now_us);

/** Is it so long ago that it can be forgotten: the time of the longest lock after the last wrong
 * response, or after the end of the last lock? */
bool guess_is_over(const struct guess_policy *policy, const struct guess_state *state,
                   uint64_t now_us);

#endif
