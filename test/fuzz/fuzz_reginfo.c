/* Fuzzes registration information: what is read points to nothing but the arena, and has what the
 * schema demands. */
#include "codec/reginfo/reginfo.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct chunk_pool pool;
    struct reginfo *info;
    chunk_pool_init(&pool, 16384, 4);
    struct arena arena = arena_init(&pool);
    if (reginfo_read(span_of(data, size), &arena, &info) == OK) {
        for (size_t i = 0; i < info->n_registrations; i++) {
            const struct reginfo_registration *r = &info->registrations[i];
            for (size_t k = 0; k < r->n_contacts; k++) {
                if (!r->aor.n || !r->contacts[k].uri.n || r->contacts[k].event >= REGINFO_EVENTS) {
                    abort();
                }
            }
        }
    }
    arena_release(&arena);
    chunk_pool_free(&pool);
    return 0;
}
