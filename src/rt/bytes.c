#include "rt/bytes.h"

#include <stdlib.h>

enum { BYTES_FIRST = 4096 };

/* Room for n more at the end: by moving what waits to the front, or by doubling. */
static bool make_room(struct bytes *b, size_t n) {
    if (n <= b->cap - b->head - b->n) {
        return true;
    }
    if (n <= b->cap - b->n && b->n <= b->cap / 2) {
        memmove(b->p, b->p + b->head, b->n);
        b->head = 0;
        return true;
    }
    size_t cap = b->cap ? b->cap : BYTES_FIRST;
    while (cap - b->n < n) {
        if (cap > SIZE_MAX / 2) {
            return false;
        }
        cap *= 2;
    }
    char *p = malloc(cap);
    if (!p) {
        return false;
    }
    if (b->n) {
        memcpy(p, b->p + b->head, b->n);
    }
    free(b->p);
    *b = (struct bytes){.p = p, .n = b->n, .cap = cap};
    return true;
}

bool bytes_add(struct bytes *b, struct span s) {
    if (s.n == 0) {
        return true;
    }
    if (UNLIKELY(!make_room(b, s.n))) {
        return false;
    }
    memcpy(b->p + b->head + b->n, s.p, s.n);
    b->n += s.n;
    return true;
}

void bytes_take(struct bytes *b, size_t n) {
    b->head += n;
    b->n -= n;
    if (b->n == 0) {
        b->head = 0;
    }
}

void bytes_free(struct bytes *b) {
    free(b->p);
    *b = (struct bytes){0};
}
