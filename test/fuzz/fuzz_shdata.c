/* Fuzzes Sh-Data: what is read can be written and reads back the same. */
#include "codec/shdata/shdata.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A document of what was read, once more. */
static void write_again(const struct shdata *d, struct arena *arena) {
    enum { ROOM = 4 << 20 };
    struct shdata *again;
    char *room = malloc(ROOM);
    if (!room) {
        return;
    }
    struct buf b = buf_init(room, ROOM);
    shdata_write(&b, &(struct shdata_document){.repositories = d->repositories,
                                               .n_repositories = d->n_repositories});
    if (!b.overflow) {
        struct shdata only = *d;
        only.n_dsais = 0;
        only.has_psi_activation = only.psi_active = only.has_others = false;
        enum error e = shdata_read(buf_span(&b), arena, &again);
        if (e != ERR_TOO_BIG && (e != OK || !shdata_eq(&only, again))) {
            abort();
        }
    }
    free(room);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct chunk_pool pool;
    struct shdata *read;
    chunk_pool_init(&pool, 16384, 4);
    struct arena arena = arena_init(&pool);
    if (shdata_read(span_of(data, size), &arena, &read) == OK && read->n_repositories) {
        /* aliases stand behind all others when they are written */
        bool sorted = true;
        for (size_t i = 1; i < read->n_repositories; i++) {
            sorted &= !read->repositories[i - 1].aliases || read->repositories[i].aliases;
        }
        if (sorted) {
            write_again(read, &arena);
        }
    }
    arena_release(&arena);
    chunk_pool_free(&pool);
    return 0;
}
