/* Fuzzes User-Data: what the scanner takes, libxml2 takes too, and both read the same. */
#include "codec/userdata/userdata.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct chunk_pool pool;
    struct userdata *scanned, *parsed;
    chunk_pool_init(&pool, 16384, 4);
    struct arena arena = arena_init(&pool);
    enum error e = userdata_scan(span_of(data, size), &arena, &scanned);
    if (e == OK && (userdata_read_libxml2(span_of(data, size), &arena, &parsed) != OK ||
                    !userdata_eq(scanned, parsed))) {
        abort();
    }
    arena_release(&arena);
    chunk_pool_free(&pool);
    return 0;
}
