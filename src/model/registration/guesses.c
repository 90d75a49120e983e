/* Five tries and a lock of half a minute that doubles leave a guesser some 250 tries a day, and a
 * user who mistypes as many as he likes: a right response ends it all. */
#include "model/registration/guesses.h"

static uint64_t lock_us(const struct guess_policy *policy, uint32_t locks) {
    return policy->lock_us << (locks < GUESS_DOUBLINGS_MAX ? locks : GUESS_DOUBLINGS_MAX);
}

bool guess_allowed(const struct guess_state *state, uint64_t now_us, uint64_t *left_us) {
    if (now_us < state->locked_until_us) {
        *left_us = state->locked_until_us - now_us;
        return false;
    }
    return true;
}

bool guess_wrong(const struct guess_policy *policy, struct guess_state *state, uint64_t now_us) {
    state->last_us = now_us;
    if (policy->tries_max == 0 || ++state->wrong < policy->tries_max) {
        return false;
    }
    state->locked_until_us = now_us + lock_us(policy, state->locks);
    state->locks++;
    state->wrong = 0;
    return true;
}

bool guess_is_over(const struct guess_policy *policy, const struct guess_state *state,
                   uint64_t now_us) {
    uint64_t from_us =
        state->locked_until_us > state->last_us ? state->locked_until_us : state->last_us;
    return now_us >= from_us + lock_us(policy, GUESS_DOUBLINGS_MAX);
}
