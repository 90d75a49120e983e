/* Comparison of secrets: the time it takes says nothing about where they differ. */
#ifndef MUSTER_CRYPTO_COMPARE_H
#define MUSTER_CRYPTO_COMPARE_H

#include "base/span.h"

/** Byte for byte the same? Lengths are compared openly, contents in time that depends on the length
 * alone. */
MUST_CHECK bool compare_secret(struct span a, struct span b);

#endif
