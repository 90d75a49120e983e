/* A hash table through a member of the stored structure. It grows by itself and owns only its
 * bucket array; the caller hashes keys with hash_bytes() and compares them, so keys of any shape
 * fit. */
#ifndef MUSTER_BASE_HTAB_H
#define MUSTER_BASE_HTAB_H

#include "base/error.h"
#include "base/span.h"

struct htab_node {
    struct htab_node *next;
    uint64_t hash;
};

struct htab {
    struct htab_node **buckets;
    size_t n_buckets; /* a power of two, or 0 */
    size_t count;
};

/** An empty table; takes no memory until the first insertion. Zeroed memory is an empty table too.
 */
void htab_init(struct htab *t);

/** Frees the buckets, not what stands in the table. */
void htab_free(struct htab *t);

/** Adds a node under its hash; duplicates are the caller's business. ERR_NO_MEMORY leaves the table
 * as it was. */
MUST_CHECK enum error htab_insert(struct htab *t, struct htab_node *node, uint64_t hash);

/** Takes a node out. It must be in the table. */
void htab_remove(struct htab *t, struct htab_node *node);

/** First node with this hash, or NULL; then htab_next for the others. */
struct htab_node *htab_first(const struct htab *t, uint64_t hash);

/** The next node with the same hash, or NULL. */
struct htab_node *htab_next(const struct htab_node *node);

/** Calls visit for every node, in no order; visit may remove the node it gets, and only that. */
void htab_each(struct htab *t, void (*visit)(struct htab_node *node, void *ctx), void *ctx);

/** 64-bit hash under a secret that the process draws once at start (see hash_seed), so that no peer
 * can make keys collide on purpose. */
uint64_t hash_bytes(struct span key);

/** The same, ASCII letters folded to lower case. Keys longer than 1024 bytes are hashed by their
 * first 1024. */
uint64_t hash_nocase(struct span key);

/** Mixes a number into a hash. */
uint64_t hash_mix(uint64_t hash, uint64_t value);

/** Sets the secret: once at start, before the first table is filled; a simulation sets it from its
 * seed. */
void hash_seed(uint64_t seed);

#endif
