/* Private to rt: a queue of bytes, for streams. */
#ifndef MUSTER_RT_BYTES_H
#define MUSTER_RT_BYTES_H

#include "base/error.h"
#include "base/span.h"

/* Zeroed is empty. */
struct bytes {
    char *p;     /* owned; NULL while cap is 0 */
    size_t head; /* taken already */
    size_t n;    /* waiting, from head on */
    size_t cap;
};

/** What waits, oldest first; valid until the queue is touched. */
static inline char *bytes_data(const struct bytes *b) {
    return b->p + b->head;
}

/** Appends. False when memory is out: nothing was taken. */
MUST_CHECK bool bytes_add(struct bytes *b, struct span s);

/** Takes the first n. */
void bytes_take(struct bytes *b, size_t n);

/** Gives the memory back; the queue is empty and usable again. */
void bytes_free(struct bytes *b);

#endif
