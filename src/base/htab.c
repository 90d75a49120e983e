#include "base/htab.h"

#include <stdlib.h>
#include <xxhash.h>

/* Drawn once at start and read-only afterwards, so that threads may share it. */
static uint64_t process_seed = 0x9e3779b97f4a7c15u;

void hash_seed(uint64_t seed) {
    process_seed = seed;
}

uint64_t hash_bytes(struct span key) {
    return XXH3_64bits_withSeed(key.p, key.n, process_seed);
}

uint64_t hash_nocase(struct span key) {
    char folded[1024];
    size_t n = key.n < sizeof folded ? key.n : sizeof folded;
    for (size_t i = 0; i < n; i++) {
        char c = key.p[i];
        folded[i] = c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
    }
    return XXH3_64bits_withSeed(folded, n, process_seed);
}

uint64_t hash_mix(uint64_t hash, uint64_t value) {
    return XXH3_64bits_withSeed(&value, sizeof value, hash);
}

void htab_init(struct htab *t) {
    *t = (struct htab){0};
}

void htab_free(struct htab *t) {
    free((void *)t->buckets);
    htab_init(t);
}

static struct htab_node **bucket_of(const struct htab *t, uint64_t hash) {
    return &t->buckets[hash & (t->n_buckets - 1)];
}

static enum error grow(struct htab *t) {
    struct htab bigger = {.n_buckets = t->n_buckets ? t->n_buckets * 2 : 64, .count = t->count};
    bigger.buckets = (struct htab_node **)calloc(bigger.n_buckets, sizeof(struct htab_node *));
    if (!bigger.buckets) {
        /* A full table still works, only slower; an empty one cannot. */
        return t->n_buckets ? OK : ERR_NO_MEMORY;
    }
    for (size_t i = 0; i < t->n_buckets; i++) {
        for (struct htab_node *node = t->buckets[i], *next; node; node = next) {
            next = node->next;
            struct htab_node **at = bucket_of(&bigger, node->hash);
            node->next = *at;
            *at = node;
        }
    }
    free((void *)t->buckets);
    *t = bigger;
    return OK;
}

enum error htab_insert(struct htab *t, struct htab_node *node, uint64_t hash) {
    if (t->count >= t->n_buckets) {
        enum error e = grow(t);
        if (e != OK) {
            return e;
        }
    }
    struct htab_node **at = bucket_of(t, hash);
    node->hash = hash;
    node->next = *at;
    *at = node;
    t->count++;
    return OK;
}

void htab_remove(struct htab *t, struct htab_node *node) {
    struct htab_node **at = bucket_of(t, node->hash);
    while (*at != node) {
        at = &(*at)->next;
    }
    *at = node->next;
    node->next = NULL;
    t->count--;
}

struct htab_node *htab_first(const struct htab *t, uint64_t hash) {
    if (t->n_buckets == 0) {
        return NULL;
    }
    struct htab_node *node = *bucket_of(t, hash);
    while (node && node->hash != hash) {
        node = node->next;
    }
    return node;
}

struct htab_node *htab_next(const struct htab_node *node) {
    uint64_t hash = node->hash;
    struct htab_node *next = node->next;
    while (next && next->hash != hash) {
        next = next->next;
    }
    return next;
}

void htab_each(struct htab *t, void (*visit)(struct htab_node *node, void *ctx), void *ctx) {
    for (size_t i = 0; i < t->n_buckets; i++) {
        for (struct htab_node *node = t->buckets[i], *next; node; node = next) {
            next = node->next;
            visit(node, ctx);
        }
    }
}
