/* Memory as tests want it: an allocation that fails, and how much there is. Replaces malloc,
 * calloc, realloc and free of the product (--wrap, see meson.build); what libraries allocate by
 * themselves is left alone. */
#ifndef MUSTER_TEST_MEMORY_H
#define MUSTER_TEST_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

/** Runs a procedure again and again: the first allocation after memory_arm fails, then the second
 * alone, and so on, until none is left to fail or `max` runs are over. Returns the number of
 * allocations that failed. */
long memory_sweep(void (*run)(void *ctx), void *ctx, long max);

/** The same, every `step`th allocation from `first` on: for procedures that take long. */
long memory_sweep_some(void (*run)(void *ctx), void *ctx, long first, long step, long max);

/** From here on allocations count: within a sweep, the one whose turn it is fails. */
void memory_arm(void);

/** From here on none fails. Did one fail? */
bool memory_disarm(void);

/** Forgets the highest mark. Returns the bytes that are allocated now. */
size_t memory_mark(void);

/** The highest number of bytes since the mark. */
size_t memory_peak(void);

#endif
