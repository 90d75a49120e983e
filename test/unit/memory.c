#include "memory.h"

#include <malloc.h>

static struct {
    long chosen;     /* which allocation after memory_arm fails; -1: none */
    long left;       /* until it does; -1: none will */
    bool failed;     /* since memory_arm */
    size_t now, top; /* bytes */
} memory = {.chosen = -1, .left = -1};

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void __real_free(void *p);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
void __wrap_free(void *p);

static bool fails(void) {
    if (memory.left < 0 || memory.left-- > 0) {
        return false;
    }
    memory.failed = true;
    return true;
}

/* What others allocated and the product frees makes the sum wrap, and its differences stay right.
 */
static void *count(void *p) {
    memory.now += malloc_usable_size(p);
    if ((ptrdiff_t)(memory.now - memory.top) > 0) {
        memory.top = memory.now;
    }
    return p;
}

void *__wrap_malloc(size_t n) {
    return fails() ? NULL : count(__real_malloc(n));
}

void *__wrap_calloc(size_t n, size_t size) {
    return fails() ? NULL : count(__real_calloc(n, size));
}

void *__wrap_realloc(void *p, size_t n) {
    if (fails()) {
        return NULL;
    }
    memory.now -= malloc_usable_size(p);
    return count(__real_realloc(p, n));
}

void __wrap_free(void *p) {
    memory.now -= malloc_usable_size(p);
    __real_free(p);
}

void memory_arm(void) {
    memory.left = memory.chosen;
    memory.failed = false;
}

bool memory_disarm(void) {
    memory.left = -1;
    return memory.failed;
}

long memory_sweep_some(void (*run)(void *ctx), void *ctx, long first, long step, long max) {
    long failures = 0;
    for (memory.chosen = first; failures < max; memory.chosen += step) {
        memory.failed = false;
        run(ctx);
        memory.left = -1;
        if (!memory.failed) {
            break;
        }
        failures++;
    }
    memory.chosen = -1;
    return failures;
}

long memory_sweep(void (*run)(void *ctx), void *ctx, long max) {
    return memory_sweep_some(run, ctx, 0, 1, max);
}

size_t memory_mark(void) {
    memory.top = memory.now;
    return memory.now;
}

size_t memory_peak(void) {
    return memory.top;
}
