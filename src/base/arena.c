#include "base/arena.h"

#include <stdalign.h>
#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, n)   ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

struct chunk {
    struct chunk *next;
    size_t size;
    alignas(max_align_t) char data[];
};

void chunk_pool_init(struct chunk_pool *pool, size_t chunk_size, size_t max_free) {
    *pool = (struct chunk_pool){.chunk_size = chunk_size < 1024 ? 1024 : chunk_size,
                                .max_free = max_free};
}

void chunk_pool_free(struct chunk_pool *pool) {
    while (pool->free) {
        struct chunk *c = pool->free;
        pool->free = c->next;
        free(c);
    }
    pool->n_free = 0;
}

static struct chunk *chunk_get(struct chunk_pool *pool, size_t need) {
    struct chunk *c = pool->free;
    if (need <= pool->chunk_size - sizeof(struct chunk)) {
        if (c) {
            pool->free = c->next;
            pool->n_free--;
            pool->n_used++;
            ASAN_UNPOISON_MEMORY_REGION(c->data, c->size - sizeof *c);
            return c;
        }
        need = pool->chunk_size - sizeof(struct chunk);
    }
    c = malloc(sizeof(struct chunk) + need);
    if (!c) {
        return NULL;
    }
    c->size = sizeof(struct chunk) + need;
    pool->n_used++;
    return c;
}

static void chunk_put(struct chunk_pool *pool, struct chunk *c) {
    pool->n_used--;
    if (c->size != pool->chunk_size || pool->n_free >= pool->max_free) {
        free(c);
        return;
    }
    /* What still looks into a released arena is found by the sanitizer, as if it were freed. */
    ASAN_POISON_MEMORY_REGION(c->data, c->size - sizeof *c);
    c->next = pool->free;
    pool->free = c;
    pool->n_free++;
}

void *arena_alloc(struct arena *a, size_t n) {
    const size_t align = alignof(max_align_t);
    if (n > SIZE_MAX / 2) {
        return NULL;
    }
    n = (n + align - 1) & ~(align - 1);
    if (UNLIKELY(n > (size_t)(a->end - a->at))) {
        struct chunk *c = chunk_get(a->pool, n);
        if (!c) {
            return NULL;
        }
        c->next = a->chunks;
        a->chunks = c;
        a->at = c->data;
        a->end = (char *)c + c->size;
    }
    void *p = a->at;
    a->at += n;
    return p;
}

void *arena_zalloc(struct arena *a, size_t n) {
    void *p = arena_alloc(a, n);
    if (p) {
        memset(p, 0, n);
    }
    return p;
}

struct span arena_copy(struct arena *a, struct span s, bool *failed) {
    if (s.n == 0) {
        return (struct span){"", 0};
    }
    char *p = arena_alloc(a, s.n);
    if (!p) {
        *failed = true;
        return SPAN_NONE;
    }
    memcpy(p, s.p, s.n);
    return span_of(p, s.n);
}

void arena_release(struct arena *a) {
    while (a->chunks) {
        struct chunk *c = a->chunks;
        a->chunks = c->next;
        chunk_put(a->pool, c);
    }
    a->at = a->end = NULL;
}
