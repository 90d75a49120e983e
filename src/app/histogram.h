/* A histogram of durations with a relative error below one percent: counts in buckets whose width
 * doubles every 128 buckets. For latencies of the load generator. */
#ifndef MUSTER_APP_HISTOGRAM_H
#define MUSTER_APP_HISTOGRAM_H

#include "base/attribute.h"

#include <stddef.h>
#include <stdint.h>

enum {
    HISTOGRAM_BITS = 7,
    HISTOGRAM_BUCKETS = (65 - HISTOGRAM_BITS) << HISTOGRAM_BITS,
};

/** Zeroed memory is an empty histogram. */
struct histogram {
    uint64_t count;
    uint64_t max;
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

/** Counts a value of any size. */
void histogram_add(struct histogram *h, uint64_t value);

/** The smallest value that at least `thousandths` of a thousand counted values do not exceed, up to
 * the error above; 0 without values. thousandths from 1 to 1000. */
uint64_t histogram_quantile(const struct histogram *h, unsigned thousandths);

#endif
