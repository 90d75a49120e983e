/* Checking, building and converting records by the tables that tools/gen/records.py makes. */
#include "codec/records/record.h"

#include "spec/records_tables.h"

static const struct record_field u32_field[] = {{"value", RECORD_U32, 0, 4, 1, 0, 0, NULL}};
static const struct record_field string_field[] = {{"value", RECORD_STRING, 0, 6, 1, 0, 0, NULL}};

const struct record_struct record_struct_u32 = {"u32", u32_field, 1, NULL, sizeof(uint32_t)};
const struct record_struct record_struct_string = {"string", string_field, 1, NULL,
                                                   sizeof(struct span)};

enum { AT_NUMBER = 0, AT_SCHEMA = 2, AT_LENGTH = 4, AT_CHECKSUM = 8 };

static size_t fixed_size(const struct record_struct *s, unsigned schema) {
    return s->sizes ? s->sizes[schema - 1] : s->fields[0].size;
}

static void put_le(char *at, uint64_t value, size_t n) {
    for (size_t i = 0; i < n; i++) {
        at[i] = (char)(value >> 8 * i);
    }
}

static uint64_t get_le(const char *at, size_t n) {
    uint64_t value = 0;

    for (size_t i = 0; i < n; i++) {
        value |= (uint64_t)(uint8_t)at[i] << 8 * i;
    }
    return value;
}

static uint32_t checksum(struct span record) {
    uint32_t crc = crc32c(0, span_slice(record, 0, AT_CHECKSUM));

    return crc32c(crc, span_after(record, AT_CHECKSUM + 4));
}

bool record_identify(struct span bytes, unsigned *number, unsigned *schema) {
    if (bytes.n < RECORD_HEADER) {
        return false;
    }
    *number = record_u16(bytes.p + AT_NUMBER);
    *schema = record_u16(bytes.p + AT_SCHEMA);
    return true;
}

/* Checking. What is referred to may not overlap, so the bytes that strings and lists claim add up
 * to at most the record: that also bounds the work. */
struct check {
    struct span record;
    unsigned schema;
    size_t claimed;
};

static bool claim(struct check *c, const char *slot, size_t unit, const char **first) {
    size_t at = record_u32(slot), n = record_count(slot) * unit;

    if (n == 0) {
        return true;
    }
    if (at > c->record.n || n > c->record.n - at || n > c->record.n - c->claimed) {
        return false;
    }
    c->claimed += n;
    *first = c->record.p + at;
    return true;
}

static bool check_struct(struct check *c, const struct record_struct *s, const char *at) {
    for (size_t i = 0; i < s->n_fields; i++) {
        const struct record_field *f = &s->fields[i];
        const char *first = NULL;

        if (f->since > c->schema) {
            break;
        }
        if (f->kind == RECORD_STRING) {
            if (!claim(c, at + f->offset, 1, &first)) {
                return false;
            }
        } else if (f->kind == RECORD_LIST) {
            size_t unit = fixed_size(f->element, c->schema);

            if (!claim(c, at + f->offset, unit, &first)) {
                return false;
            }
            for (size_t k = 0, n = record_count(at + f->offset); first && k < n; k++) {
                if (!check_struct(c, f->element, first + k * unit)) {
                    return false;
                }
            }
        }
    }
    return true;
}

static enum error check_any_schema(const struct record_type *type, struct span bytes,
                                   unsigned *schema) {
    unsigned number;
    struct check c = {.record = bytes};

    if (!record_identify(bytes, &number, schema) || number != type->number || *schema == 0 ||
        record_u32(bytes.p + AT_LENGTH) != bytes.n || bytes.n > RECORD_BYTES_MAX ||
        record_u32(bytes.p + AT_CHECKSUM) != checksum(bytes)) {
        return ERR_CORRUPT;
    }
    if (*schema > type->schema) {
        return ERR_UNSUPPORTED;
    }
    c.schema = *schema;
    c.claimed = fixed_size(type->root, c.schema);
    if (c.claimed > bytes.n || !check_struct(&c, type->root, bytes.p)) {
        return ERR_CORRUPT;
    }
    return OK;
}

enum error record_check(const struct record_type *type, struct span bytes) {
    unsigned schema;
    enum error e = check_any_schema(type, bytes, &schema);

    return e == OK && schema != type->schema ? ERR_UNSUPPORTED : e;
}

/* Building. */

/* Appends n zero bytes; where they begin. Look at out->overflow before writing there. */
static size_t reserve(struct buf *out, size_t n) {
    size_t at = out->n;

    if (out->overflow || n > out->cap - out->n) {
        out->overflow = true;
        return at;
    }
    memset(out->p + out->n, 0, n);
    out->n += n;
    return at;
}

static void encode_struct(const struct record_struct *s, unsigned schema, const char *data,
                          struct buf *out, size_t start, size_t at);

static void put_slot(struct buf *out, size_t slot, size_t offset, size_t count) {
    put_le(out->p + slot, count ? offset : 0, 4);
    put_le(out->p + slot + 4, count, 2);
}

static void encode_field(const struct record_field *f, unsigned schema, const char *data,
                         struct buf *out, size_t start, size_t at) {
    const char *value = data + f->data_at;
    size_t offset = out->n - start;

    if (f->kind == RECORD_STRING) {
        struct span s;

        memcpy(&s, value, sizeof s);
        out->overflow |= s.n > RECORD_STRING_MAX;
        buf_put(out, s);
        if (!out->overflow) {
            put_slot(out, at, offset, s.n);
        }
    } else if (f->kind == RECORD_LIST) {
        size_t count, unit = fixed_size(f->element, schema);
        const char *elements;

        memcpy(&count, data + f->count_at, sizeof count);
        memcpy(&elements, value, sizeof elements);
        out->overflow |= count > RECORD_LIST_MAX;
        size_t first = out->overflow ? 0 : reserve(out, count * unit);
        if (!out->overflow) {
            put_slot(out, at, offset, count);
        }
        for (size_t i = 0; i < count && !out->overflow; i++) {
            encode_struct(f->element, schema, elements + i * f->element->data_size, out, start,
                          first + i * unit);
        }
    } else if (f->kind == RECORD_BYTES) {
        memcpy(out->p + at, value, f->size);
    } else if (f->kind == RECORD_BOOL) {
        out->p[at] = *(const bool *)value ? 1 : 0;
    } else {
        uint64_t number = 0;

        memcpy(&number, value, f->size); /* values and records are little-endian alike, below */
        put_le(out->p + at, number, f->size);
    }
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "numbers are copied between values and a uint64_t by their low bytes");

static void encode_struct(const struct record_struct *s, unsigned schema, const char *data,
                          struct buf *out, size_t start, size_t at) {
    for (size_t i = 0; i < s->n_fields && !out->overflow; i++) {
        encode_field(&s->fields[i], schema, data, out, start, at + s->fields[i].offset);
    }
}

enum error record_encode(const struct record_type *type, const void *data, struct buf *out) {
    size_t start = reserve(out, fixed_size(type->root, type->schema));

    if (!out->overflow) {
        encode_struct(type->root, type->schema, data, out, start, start);
    }
    if (out->overflow || out->n - start > RECORD_BYTES_MAX) {
        out->overflow = true;
        return ERR_TOO_BIG;
    }
    char *record = out->p + start;
    put_le(record + AT_NUMBER, type->number, 2);
    put_le(record + AT_SCHEMA, type->schema, 2);
    put_le(record + AT_LENGTH, out->n - start, 4);
    put_le(record + AT_CHECKSUM, checksum(span_of(record, out->n - start)), 4);
    return OK;
}

/* Reading whole records as values. */

struct decode {
    const char *record;
    unsigned schema;
    struct arena *arena;
};

static enum error decode_struct(const struct decode *d, const struct record_struct *s,
                                const char *at, char *data);

static enum error decode_list(const struct decode *d, const struct record_field *f, const char *at,
                              char *data) {
    size_t count = record_count(at), unit = fixed_size(f->element, d->schema);
    const char *first = d->record + record_u32(at);
    char *elements = NULL;

    if (count) {
        elements = arena_alloc(d->arena, count * f->element->data_size);
        if (!elements) {
            return ERR_NO_MEMORY;
        }
    }
    for (size_t i = 0; i < count; i++) {
        enum error e =
            decode_struct(d, f->element, first + i * unit, elements + i * f->element->data_size);
        if (e) {
            return e;
        }
    }
    memcpy(data + f->data_at, &elements, sizeof elements);
    memcpy(data + f->count_at, &count, sizeof count);
    return OK;
}

static enum error decode_struct(const struct decode *d, const struct record_struct *s,
                                const char *at, char *data) {
    memset(data, 0, s->data_size);
    for (size_t i = 0; i < s->n_fields; i++) {
        const struct record_field *f = &s->fields[i];
        const char *from = at + f->offset;

        if (f->since > d->schema) {
            break;
        }
        if (f->kind == RECORD_STRING) {
            struct span string = record_string(d->record, from);
            memcpy(data + f->data_at, &string, sizeof string);
        } else if (f->kind == RECORD_LIST) {
            enum error e = decode_list(d, f, from, data);
            if (e) {
                return e;
            }
        } else if (f->kind == RECORD_BYTES) {
            memcpy(data + f->data_at, from, f->size);
        } else if (f->kind == RECORD_BOOL) {
            *(bool *)(data + f->data_at) = *from != 0;
        } else {
            uint64_t number = get_le(from, f->size);
            memcpy(data + f->data_at, &number, f->size);
        }
    }
    return OK;
}

enum error record_decode(const struct record_type *type, struct span bytes, struct arena *arena,
                         void *data) {
    struct decode d = {.record = bytes.p, .arena = arena};
    enum error e = check_any_schema(type, bytes, &d.schema);

    return e ? e : decode_struct(&d, type->root, bytes.p, data);
}

enum error record_convert(const struct record_type *type, struct span bytes, struct arena *arena,
                          struct buf *out) {
    void *data = arena_alloc(arena, type->root->data_size);

    if (!data) {
        return ERR_NO_MEMORY;
    }
    enum error e = record_decode(type, bytes, arena, data);
    return e ? e : record_encode(type, data, out);
}
