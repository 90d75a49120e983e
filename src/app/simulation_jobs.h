/* Many simulations side by side: each seed runs in one of several processes, since a run owns the
 * secret of its process's hash tables (hash_seed), and a crash must not take the other runs along.
 */
#ifndef MUSTER_APP_SIMULATION_JOBS_H
#define MUSTER_APP_SIMULATION_JOBS_H

#include "app/simulation.h"

enum { SIMULATION_JOBS_MAX = 64 };

/** Hears of each seed, in the order of seeds. False: the rest is not wanted. */
typedef bool simulation_each_fn(void *ctx, uint64_t seed, const struct simulation_report *report);

/** Runs `seeds` simulations, from options->seed on, in `jobs` processes (at most
 * SIMULATION_JOBS_MAX). Of a process that ends by itself, a crash say, the seed that it ran is
 * reported as failed with the way it ended, and so are those that it would have run later.
 * ERR_NO_MEMORY, ERR_IO: the processes cannot be made. */
MUST_CHECK enum error simulation_run_many(const struct simulation_options *options, uint64_t seeds,
                                          unsigned jobs, simulation_each_fn *each, void *ctx);

#endif
