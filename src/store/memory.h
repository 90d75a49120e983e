/* The store in memory: for simulation and tests. It forgets what a real one would forget. */
#ifndef MUSTER_STORE_MEMORY_H
#define MUSTER_STORE_MEMORY_H

#include "rt/env.h"
#include "store/store.h"

struct store_memory_config {
    uint64_t flush_delay_us; /* from the first waiting write to its durability; more join it */
    uint64_t read_delay_us;  /* 0: reads complete before the call returns */
    /** Called before each flush with its number, from 1 on; true: the crash happens now, and
     * nothing of this flush is kept. For tests; may be NULL. */
    bool (*crash_at)(void *ctx, uint64_t flush);
    void *ctx;
};

/** Makes an empty store whose time is env's. It may outlive the node that uses it, but not env.
 * ERR_NO_MEMORY. */
MUST_CHECK enum error store_memory_new(struct env *env, const struct store_memory_config *config,
                                       struct store **out);

/** The crash: every write that is not flushed is forgotten, every operation under way is dropped
 * without its `done`. The store is then usable again, as after a restart. */
void store_memory_crash(struct store *store);

/** Flushes so far. */
uint64_t store_memory_flushes(const struct store *store);

#endif
