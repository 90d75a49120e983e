/* The embedded store: one LMDB environment and one thread per instance.
 *
 * Reads look into the memory map on the loop's thread. Writes are handed over in batches; the
 * thread commits each batch with one flush, and completions return through the loop's wake-up.
 * Index keys are 128-bit XXH3 hashes under a secret that is drawn when the environment is made, so
 * that nobody outside can make identities collide; on a hit the identity itself is compared. */
#ifndef MUSTER_STORE_LMDB_H
#define MUSTER_STORE_LMDB_H

#include "obs/latency.h"
#include "store/store.h"

struct env;
struct loop;

struct store_lmdb_config {
    const char *path;  /* folder; made if it is not there, with mode 0700 */
    uint64_t map_size; /* bytes of address space and the bound of the file; 0: 64 GiB */
    bool no_sync;      /* for tests only: commits are not flushed to disk */
    /** A commit or flush failed: what is on the disk is unknown, and the process has to stop
     * (PostgreSQL's lesson). Called once, from the loop's thread; operations under way are never
     * completed. */
    void (*failed)(void *ctx, const char *what);
    void *ctx;
};

/** Opens or makes a store; converts records of older schemas. ERR_PERMISSION, ERR_IO, ERR_CORRUPT,
 * ERR_UNSUPPORTED (made by a newer Muster), ERR_BUSY (another process has it open), ERR_NO_MEMORY;
 * message (of message_size bytes) says what and where. */
MUST_CHECK enum error store_lmdb_open(struct loop *loop, const struct store_lmdb_config *config,
                                      char *message, size_t message_size, struct store **out);

/** How the store fares, for metrics. */
struct store_lmdb_figures {
    struct latency commits; /* each with one flush: how long it took */
    uint64_t operations;    /* writes that are durable */
    size_t waiting;         /* writes that wait for their commit now */
    uint64_t bytes;         /* of the map in use, and its bound */
    uint64_t bytes_max;
    uint64_t subscriptions;
};

/** Was it opened by store_lmdb_open? */
bool store_is_lmdb(const struct store *store);

/** Reads them, from the loop's thread, of a store that store_lmdb_open opened. */
struct store_lmdb_figures store_lmdb_figures(const struct store *store);

#endif
