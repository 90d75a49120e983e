/* How long the HSS keeps trying to tell somebody something: from a second to a minute apart, for a
 * day. */
#ifndef MUSTER_NODE_HSS_PATIENCE_H
#define MUSTER_NODE_HSS_PATIENCE_H

#include "rt/env.h"

struct patience {
    uint32_t wait_s;     /* before the next attempt */
    uint64_t give_up_us; /* when it ends */
};

/** Patience of a thing that has not been tried yet. */
static inline struct patience patience_new(struct env *env) {
    return (struct patience){1, env_now_us(env) + UINT64_C(24) * 3600 * SEC_IN_US};
}

/** Starts the timer for the next attempt, or is false: it has lasted long enough. */
static inline bool patience_wait(struct patience *p, struct env *env, struct timer *t) {
    enum { WAIT_MAX_S = 60 };
    if (env_now_us(env) >= p->give_up_us) {
        return false;
    }
    timer_start(env, t, p->wait_s * SEC_IN_US);
    p->wait_s = 2 * p->wait_s < WAIT_MAX_S ? 2 * p->wait_s : WAIT_MAX_S;
    return true;
}

#endif
