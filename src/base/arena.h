/* An arena hands out memory that is all freed at once: what one message or one transaction needs.
 * Its chunks come from a pool that keeps them for the next one, so the message path does not call
 * malloc. */
#ifndef MUSTER_BASE_ARENA_H
#define MUSTER_BASE_ARENA_H

#include "base/span.h"

struct chunk;

/** Where the arenas of one loop get their chunks and leave them. Not shared between threads. */
struct chunk_pool {
    struct chunk *free;
    size_t chunk_size; /* bytes in a chunk, header included */
    size_t n_free;     /* chunks that wait for their next use */
    size_t max_free;   /* above this, chunks go back to malloc */
    size_t n_used;     /* chunks that arenas hold now */
};

struct arena {
    struct chunk_pool *pool;
    struct chunk *chunks; /* newest first */
    char *at;             /* next free byte of the newest chunk */
    char *end;
};

/** Makes a pool; chunk_size at least 1024; keeps at most max_free idle chunks. */
void chunk_pool_init(struct chunk_pool *pool, size_t chunk_size, size_t max_free);

/** Frees the idle chunks. All arenas must have been released. */
void chunk_pool_free(struct chunk_pool *pool);

/** An empty arena: takes no memory until something is asked of it. */
static inline struct arena arena_init(struct chunk_pool *pool) {
    return (struct arena){pool, NULL, NULL, NULL};
}

/** n bytes, aligned for any type, not cleared; NULL when memory is out. Valid until arena_release.
 */
MUST_CHECK void *arena_alloc(struct arena *a, size_t n);

/** The same, cleared. */
MUST_CHECK void *arena_zalloc(struct arena *a, size_t n);

/** A copy of s in the arena; sets *failed (which may stand from earlier calls) when memory is out.
 */
struct span arena_copy(struct arena *a, struct span s, bool *failed);

/** Gives all memory back; the arena is empty and usable again. */
void arena_release(struct arena *a);

/** One zeroed object of a type from an arena. */
#define ARENA_NEW(arena, type) ((type *)arena_zalloc((arena), sizeof(type)))

#endif
