/* Persistent records: what the store keeps, read in place.
 *
 * A record is a header, a part of fixed offsets, and behind it what strings and lists refer to:
 *
 *     0  number   u16   which record (spec/records/)
 *     2  schema   u16   which edition of it
 *     4  length   u32   of the whole record
 *     8  checksum u32   CRC32C of everything but this field
 *    12  fields: numbers little-endian; a string is offset u32 and length u16, a list is offset u32
 *        and count u16; lists of structures hold their fixed parts one after the other
 *
 * spec/records.h has, for each record R and structure S of spec/records/:
 *
 *     struct rec_R            a view of a checked record; rec_R_FIELD(view) reads a field in place,
 *                             rec_R_FIELD(view, i) and rec_R_n_FIELD(view) a list
 *     struct rec_R_data       the same as a plain value, to build a record from or to change one
 *     rec_R_open              checks bytes and gives the view
 *     rec_R_of                gives the view of bytes that were checked before
 *     rec_R_encode, _decode   value to record, record to value
 *
 * New fields are appended to a structure with `since: SCHEMA`; records of older schemas are
 * converted (record_convert) when a store is opened or data is imported, and read as zero and empty
 * in the new fields. */
#ifndef MUSTER_CODEC_RECORDS_RECORD_H
#define MUSTER_CODEC_RECORDS_RECORD_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

enum {
    RECORD_HEADER = 12,
    RECORD_BYTES_MAX = 1 << 24,
    RECORD_STRING_MAX = UINT16_MAX,
    RECORD_LIST_MAX = UINT16_MAX,
};

enum record_kind {
    RECORD_U8,
    RECORD_BOOL,
    RECORD_U16,
    RECORD_U32,
    RECORD_U64,
    RECORD_BYTES,  /* fixed number of bytes */
    RECORD_STRING, /* struct span in values */
    RECORD_LIST,   /* of structures, or of one field's kind */
};

struct record_struct;

struct record_field {
    const char *name;
    enum record_kind kind;
    uint16_t offset;   /* in the fixed part */
    uint16_t size;     /* there */
    uint16_t since;    /* schema that brought it */
    uint16_t data_at;  /* in the value: of the number, the bytes, the span, or a list's pointer */
    uint16_t count_at; /* in the value: of a list's count */
    const struct record_struct *element; /* of a list */
};

struct record_struct {
    const char *name;
    const struct record_field *fields;
    size_t n_fields;
    const uint16_t *sizes; /* of the fixed part, by schema - 1; NULL: that of its only field */
    size_t data_size;      /* of the value */
};

struct record_type {
    const char *name;
    uint16_t number;
    uint16_t schema; /* the newest, which is written */
    const struct record_struct *root;
};

/** What lists of numbers and of strings consist of. */
extern const struct record_struct record_struct_u32, record_struct_string;

/** Checks everything that reading in place relies on: header, checksum, and that all strings and
 * lists are inside. ERR_CORRUPT; ERR_UNSUPPORTED: an older schema (convert it) or one that this
 * program does not know. */
MUST_CHECK enum error record_check(const struct record_type *type, struct span bytes);

/** The bytes of a record that was checked before. */
static inline struct span record_bytes(const char *record) {
    const unsigned char *length = (const unsigned char *)record + 4;
    return (struct span){record, (size_t)length[0] | (size_t)length[1] << 8 |
                                     (size_t)length[2] << 16 | (size_t)length[3] << 24};
}

/** Appends a record made of a value. ERR_TOO_BIG: it does not fit, or a string or list is longer
 * than RECORD_STRING_MAX or RECORD_LIST_MAX; out is then to be thrown away. */
MUST_CHECK enum error record_encode(const struct record_type *type, const void *data,
                                    struct buf *out);

/** Makes a value of a record of the newest or an older schema; strings point into bytes, lists
 * stand in the arena. ERR_CORRUPT, ERR_UNSUPPORTED (newer schema), ERR_NO_MEMORY. */
MUST_CHECK enum error record_decode(const struct record_type *type, struct span bytes,
                                    struct arena *arena, void *data);

/** Appends the record in the newest schema. Errors of record_decode and record_encode. */
MUST_CHECK enum error record_convert(const struct record_type *type, struct span bytes,
                                     struct arena *arena, struct buf *out);

/** Number and schema of what might be a record; false if it is too short. */
MUST_CHECK bool record_identify(struct span bytes, unsigned *number, unsigned *schema);

/** CRC32C (Castagnoli, RFC 3720 appendix B.4) of bytes that follow others: begin with crc 0. */
uint32_t crc32c(uint32_t crc, struct span bytes);

/** The same without the processor's instruction, for tests. */
uint32_t crc32c_plain(uint32_t crc, struct span bytes);

/* What the generated accessors are made of. */

/** A number of 8 bits. */
static inline uint8_t record_u8(const char *at) {
    return (uint8_t)*at;
}

/** A number of 16 bits. */
static inline uint16_t record_u16(const char *at) {
    const uint8_t *p = (const uint8_t *)at;
    return (uint16_t)(p[0] | p[1] << 8);
}

/** A number of 32 bits. */
static inline uint32_t record_u32(const char *at) {
    const uint8_t *p = (const uint8_t *)at;
    /* at is NULL only for an index beyond the count, which callers do not ask for. */
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/** A number of 64 bits. */
static inline uint64_t record_u64(const char *at) {
    return record_u32(at) | (uint64_t)record_u32(at + 4) << 32;
}

/** The string that a slot refers to. */
static inline struct span record_string(const char *record, const char *at) {
    return (struct span){record + record_u32(at), record_u16(at + 4)};
}

/** How many elements the list of a slot has. */
static inline size_t record_count(const char *at) {
    return record_u16(at + 4);
}

#endif
