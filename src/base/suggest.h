/* "Did you mean": what a mistyped word was probably meant to be. */
#ifndef MUSTER_BASE_SUGGEST_H
#define MUSTER_BASE_SUGGEST_H

#include <stddef.h>

/** The candidate that `word` was probably meant to be, or NULL: at most two letters away. */
const char *suggest(const char *word, const char *const *candidates, size_t n);

#endif
