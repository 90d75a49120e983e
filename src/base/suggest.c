#include "base/suggest.h"

#include <string.h>

enum { WORD_MAX = 128, SUGGEST_DISTANCE = 2 };

/* Levenshtein's distance of two words; anything that is too long is far away. */
static size_t distance(const char *a, const char *b) {
    size_t n = strlen(a), m = strlen(b);
    if (n > WORD_MAX || m > WORD_MAX) {
        return WORD_MAX;
    }
    size_t row[WORD_MAX + 1];
    for (size_t j = 0; j <= m; j++) {
        row[j] = j;
    }
    for (size_t i = 1; i <= n; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t replaced = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            size_t changed = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            row[j] = changed < replaced ? changed : replaced;
        }
    }
    return row[m];
}

const char *suggest(const char *word, const char *const *candidates, size_t n) {
    const char *best = NULL;
    size_t best_distance = SUGGEST_DISTANCE + 1;
    for (size_t i = 0; i < n; i++) {
        size_t d = distance(word, candidates[i]);
        if (d < best_distance && d < strlen(word)) {
            best = candidates[i];
            best_distance = d;
        }
    }
    return best;
}
