/* The timer wheel: what the loop and the simulation drive, and the timers of rt/env.h hang in.
 *
 * Time is cut into ticks of one millisecond. A level has 64 slots and a bitmap of the filled ones;
 * a slot of level n spans 64^n ticks. A timer stands at the level of the highest bit in which its
 * tick differs from the current one, so filled slots always lie ahead, the lowest bit of the lowest
 * filled level is the next thing to do, and starting and stopping take constant time. Timers of one
 * tick fire in the order in which they were started. */
#ifndef MUSTER_RT_TIMERS_H
#define MUSTER_RT_TIMERS_H

#include "rt/env.h"

enum { TIMERS_TICK_US = 1000, TIMERS_LEVELS = 7, TIMERS_SLOTS = 64 };

struct timers {
    uint64_t tick;                  /* everything up to this tick has fired */
    uint64_t filled[TIMERS_LEVELS]; /* bitmaps */
    size_t count;                   /* running timers */
    /* By level; behind them the timers of the tick that fires right now. */
    struct list slots[TIMERS_LEVELS * TIMERS_SLOTS + 1];
};

/** Never: what timers_next_us says of an empty wheel. */
#define TIMERS_NEVER UINT64_MAX

/** Makes an empty wheel whose time begins at now_us. */
void timers_init(struct timers *w, uint64_t now_us);

/** Starts a timer for a moment of the wheel's time: never early, at most a tick late, and not
 * before the next advance even if the moment has passed. A running timer is started anew. */
void timers_start(struct timers *w, struct timer *t, uint64_t due_us);

/** When timers_advance has something to do next: the next expiry, or before it the moment at which
 * timers move down a level, at most TIMERS_LEVELS times on the way to an expiry. TIMERS_NEVER if
 * nothing runs. */
uint64_t timers_next_us(const struct timers *w);

/** Fires what is due at now_us, which does not run backwards. A timer that a callback starts waits
 * at least for the next tick. Not to be called from a callback. */
void timers_advance(struct timers *w, uint64_t now_us);

#endif
