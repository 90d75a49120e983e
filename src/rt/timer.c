#include "rt/timers.h"

#include <assert.h>

enum { SLOT_BITS = 6, FIRING = TIMERS_LEVELS * TIMERS_SLOTS };

/* The last tick that the levels can tell apart: in the year 139 of the monotonic clock. */
#define TICK_MAX ((UINT64_C(1) << (SLOT_BITS * TIMERS_LEVELS)) - 1)

void timers_init(struct timers *w, uint64_t now_us) {
    *w = (struct timers){.tick = now_us / TIMERS_TICK_US};
    for (size_t i = 0; i < COUNT_OF(w->slots); i++) {
        list_init(&w->slots[i]);
    }
}

/* The tick at or after a moment. */
static uint64_t tick_of(uint64_t due_us) {
    uint64_t tick = due_us / TIMERS_TICK_US + (due_us % TIMERS_TICK_US != 0);
    return tick < TICK_MAX ? tick : TICK_MAX;
}

/* Hangs a timer into the slot of its tick, or of `earliest` if that is later. */
static void place(struct timers *w, struct timer *t, uint64_t earliest) {
    uint64_t tick = tick_of(t->due_us);
    if (tick < earliest) {
        tick = earliest;
    }
    uint64_t differs = tick ^ w->tick;
    unsigned level = differs ? (63u - (unsigned)__builtin_clzll(differs)) / SLOT_BITS : 0;
    unsigned slot = (unsigned)(tick >> (level * SLOT_BITS)) % TIMERS_SLOTS;
    w->filled[level] |= UINT64_C(1) << slot;
    list_insert(&w->slots[level * TIMERS_SLOTS + slot], &t->slot);
}

void timers_start(struct timers *w, struct timer *t, uint64_t due_us) {
    timer_stop(t);
    t->due_us = due_us;
    t->timers = w;
    w->count++;
    place(w, t, w->tick + 1);
}

void timer_init(struct timer *t, void (*fire)(struct timer *t)) {
    *t = (struct timer){.fire = fire};
    list_init(&t->slot);
}

void timer_start(struct env *env, struct timer *t, uint64_t delay_us) {
    uint64_t now_us = env_now_us(env);
    timers_start(env->timers, t, delay_us > UINT64_MAX - now_us ? UINT64_MAX : now_us + delay_us);
}

void timer_stop(struct timer *t) {
    struct timers *w = t->timers;
    if (!w) {
        return;
    }
    if (t->slot.next == t->slot.prev) {
        /* It is alone, so its neighbour is the head of its slot, which becomes empty. */
        size_t i = (size_t)(t->slot.next - w->slots);
        if (i < FIRING) {
            w->filled[i / TIMERS_SLOTS] &= ~(UINT64_C(1) << (i % TIMERS_SLOTS));
        }
    }
    list_remove(&t->slot);
    t->timers = NULL;
    w->count--;
}

/* Where something is to be done next: the first filled slot of the lowest filled level. All others
 * lie behind it. False for an empty wheel. */
static bool next_slot(const struct timers *w, unsigned *level, unsigned *slot, uint64_t *tick) {
    for (unsigned l = 0; l < TIMERS_LEVELS; l++) {
        if (w->filled[l]) {
            unsigned shift = l * SLOT_BITS;
            *level = l;
            *slot = (unsigned)__builtin_ctzll(w->filled[l]);
            *tick = ((w->tick >> shift >> SLOT_BITS << SLOT_BITS) + *slot) << shift;
            return true;
        }
    }
    return false;
}

uint64_t timers_next_us(const struct timers *w) {
    unsigned level, slot;
    uint64_t tick;
    return next_slot(w, &level, &slot, &tick) ? tick * TIMERS_TICK_US : TIMERS_NEVER;
}

void timers_advance(struct timers *w, uint64_t now_us) {
    uint64_t now = now_us / TIMERS_TICK_US, tick;
    struct list *firing = &w->slots[FIRING];
    unsigned level, slot;
    assert(list_is_empty(firing));
    while (next_slot(w, &level, &slot, &tick) && tick <= now) {
        w->tick = tick;
        w->filled[level] &= ~(UINT64_C(1) << slot);
        list_move_all(&w->slots[level * TIMERS_SLOTS + slot], firing);
        while (!list_is_empty(firing)) {
            struct timer *t = CONTAINER_OF(firing->next, struct timer, slot);
            list_remove(&t->slot);
            if (level > 0) {
                place(w, t, tick);
                continue;
            }
            t->timers = NULL;
            w->count--;
            t->fire(t);
        }
    }
    if (w->tick < now) {
        w->tick = now;
    }
}
