#include "app/histogram.h"

enum { LINEAR = 1 << HISTOGRAM_BITS }; /* values below have a bucket each */

static size_t bucket_of(uint64_t value) {
    if (value < LINEAR) {
        return (size_t)value;
    }
    unsigned shift = 63 - (unsigned)__builtin_clzll(value) - HISTOGRAM_BITS;
    return ((size_t)(shift + 1) << HISTOGRAM_BITS) + (size_t)(value >> shift) - LINEAR;
}

/* The highest value of a bucket. */
static uint64_t top_of(size_t bucket) {
    if (bucket < LINEAR) {
        return bucket;
    }
    unsigned shift = (unsigned)(bucket >> HISTOGRAM_BITS) - 1;
    uint64_t low = (uint64_t)(bucket % LINEAR + LINEAR) << shift;
    return low + ((UINT64_C(1) << shift) - 1);
}

void histogram_add(struct histogram *h, uint64_t value) {
    h->buckets[bucket_of(value)]++;
    h->count++;
    if (value > h->max) {
        h->max = value;
    }
}

uint64_t histogram_quantile(const struct histogram *h, unsigned thousandths) {
    uint64_t wanted = (h->count * thousandths + 999) / 1000, seen = 0;
    if (h->count == 0) {
        return 0;
    }
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += h->buckets[i];
        if (seen >= wanted) {
            uint64_t top = top_of(i);
            return top < h->max ? top : h->max;
        }
    }
    return h->max;
}
