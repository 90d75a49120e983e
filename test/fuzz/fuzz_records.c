/* Fuzzes records: bytes with a good length and checksum, of any kind and schema. What is checked
 * reads in place and as a value, and that value makes a record that says the same. */
#include "codec/records/record.h"
#include "spec/records.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SIZE_MAX_FUZZED = 4096, ROOM = 1 << 20 };

static void put_u32(char *at, uint32_t value) {
    for (int i = 0; i < 4; i++) {
        at[i] = (char)(value >> 8 * i);
    }
}

/* Length and checksum as they must be. */
static void mend(char *bytes, size_t n) {
    put_u32(bytes + 4, (uint32_t)n);
    put_u32(bytes + 8, crc32c(crc32c(0, span_of(bytes, 8)), span_of(bytes + 12, n - 12)));
}

static void read_record(const struct record_type *type, struct span bytes, struct arena *arena) {
    static max_align_t value[64], again[64];
    static char room[ROOM], second[ROOM];
    struct buf a = buf_init(room, sizeof room), b = buf_init(second, sizeof second);
    bool checked = record_check(type, bytes) == OK;
    if (type->root->data_size > sizeof value || record_decode(type, bytes, arena, value) != OK) {
        if (checked) {
            abort();
        }
        return;
    }
    if (record_encode(type, value, &a) != OK) {
        return; /* lists that share their bytes grow apart */
    }
    if (record_check(type, buf_span(&a)) != OK ||
        record_decode(type, buf_span(&a), arena, again) != OK ||
        record_encode(type, again, &b) != OK || !span_eq(buf_span(&a), buf_span(&b))) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const struct record_type *const types[] = {&rec_subscription_type,
                                                      &rec_registration_type, &rec_profile_type};
    struct chunk_pool pool;
    if (size < RECORD_HEADER || size > SIZE_MAX_FUZZED) {
        return 0;
    }
    chunk_pool_init(&pool, 16384, 4);
    struct arena arena = arena_init(&pool);
    char *bytes = malloc(size); /* of its size, so that an overread is seen */
    if (bytes) {
        memcpy(bytes, data, size);
        mend(bytes, size);
        for (size_t i = 0; i < COUNT_OF(types); i++) {
            read_record(types[i], span_of(bytes, size), &arena);
        }
    }
    free(bytes);
    arena_release(&arena);
    chunk_pool_free(&pool);
    return 0;
}
