/* How long something took, as counts by upper bounds: what Prometheus calls a histogram. */
#ifndef MUSTER_OBS_LATENCY_H
#define MUSTER_OBS_LATENCY_H

#include <stddef.h>
#include <stdint.h>

/* Upper bounds in microseconds; above the last one counts as infinity. */
#define LATENCY_BOUNDS                                                                             \
    {                                                                                              \
        100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000,     \
            2500000, 10000000                                                                      \
    }

enum { LATENCY_BUCKETS = 15 };

struct latency {
    uint64_t count, sum_us;
    uint64_t buckets[LATENCY_BUCKETS + 1]; /* not cumulated; the last is beyond all bounds */
};

/** Counts one duration. */
static inline void latency_add(struct latency *l, uint64_t us) {
    static const uint32_t bounds[LATENCY_BUCKETS] = LATENCY_BOUNDS;
    size_t i = 0;
    while (i < LATENCY_BUCKETS && us > bounds[i]) {
        i++;
    }
    l->count++;
    l->sum_us += us;
    l->buckets[i]++;
}

#endif
