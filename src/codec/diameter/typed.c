/* Typed messages: one engine over the tables that are made from spec/diameter/.
 *
 * Choices that RFC 6733 leaves open:
 *  - AVPs that a format does not name are allowed everywhere ("* [ AVP ]"). One that the dictionary
 * does not know and that has the M bit is refused with 5001; if the dictionary knows it, it is
 * skipped.
 *  - The M bit of a known AVP is not checked (peers differ); neither is the place of Session-Id.
 *  - Where a format says "any number", spec/diameter/ sets a bound; beyond it 5009.
 *  - An answer that is no success need not have what its format requires, only a result: error
 *    answers of agents (7.2) and of most servers do not.
 *  - A DiameterURI is only checked to be text: networks put all sorts of names there.
 *  - Recursion is bounded by the definitions, which do not contain themselves; groups that no
 * format names are walked with a stack of DIAMETER_DEPTH_MAX levels. */
#include "codec/diameter/diameter.h"

#include "codec/diameter/bytes.h"
#include "codec/diameter/fault.h"
#include "spec/diameter_base.h"

#include <assert.h>

enum {
    FIELDS_MAX = 64,
    SECONDS_1900_TO_1970 = 2208988800U,
};

struct reader {
    struct arena *arena;
    struct diameter_fault *fault;
};

static enum error decode_avps(struct reader *r, const struct diameter_layout *layout,
                              struct span avps, void *out);

/* Numbers and addresses say aside whether they are there; spans say it themselves. */
static inline bool has_flag(const struct diameter_def *def) {
    return def->type >= DIAMETER_U32 && def->type <= DIAMETER_TIME;
}

static enum error refuse(struct reader *r, uint32_t code, const struct diameter_avp *a,
                         const char *text) {
    diameter_fault_set(r->fault, code, a->bytes, text);
    return ERR_MALFORMED;
}

static enum error out_of_memory(struct reader *r) {
    diameter_fault_set(r->fault, DIAMETER_UNABLE_TO_COMPLY, SPAN_NONE, "out of memory");
    return ERR_NO_MEMORY;
}

/* RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. */
static bool is_utf8(struct span s) {
    const unsigned char *p = (const unsigned char *)s.p, *end = p + s.n;
    while (p < end) {
        if (*p < 0x80) {
            p++;
            continue;
        }
        unsigned more, least;
        uint32_t c;
        if (*p >= 0xc2 && *p <= 0xdf) {
            more = 1, least = 0x80, c = *p & 0x1f;
        } else if ((*p & 0xf0) == 0xe0) {
            more = 2, least = 0x800, c = *p & 0x0f;
        } else if (*p >= 0xf0 && *p <= 0xf4) {
            more = 3, least = 0x10000, c = *p & 0x07;
        } else {
            return false;
        }
        if ((size_t)(end - p) <= more) {
            return false;
        }
        for (unsigned i = 1; i <= more; i++) {
            if ((p[i] & 0xc0) != 0x80) {
                return false;
            }
            c = c << 6 | (p[i] & 0x3f);
        }
        if (c < least || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff)) {
            return false;
        }
        p += more + 1;
    }
    return true;
}

bool diameter_is_identity(struct span s) {
    static const bool allowed[256] = {
        ['-'] = true,         ['.'] = true,         ['_'] = true,
        ['0' ... '9'] = true, ['A' ... 'Z'] = true, ['a' ... 'z'] = true,
    };
    bool ok = s.n > 0 && s.n <= 255;
    for (size_t i = 0; ok && i < s.n; i++) {
        ok = allowed[(unsigned char)s.p[i]];
    }
    return ok;
}

static bool has_value(const struct diameter_def *def, uint32_t value) {
    uint32_t first = def->values[0].value;
    if (value >= first && value - first < def->n_values &&
        def->values[value - first].value == value) {
        return true;
    }
    for (unsigned i = 0; i < def->n_values; i++) {
        if (def->values[i].value == value) {
            return true;
        }
    }
    return false;
}

static enum error decode_address(struct reader *r, const struct diameter_avp *a, struct addr *out) {
    if (a->value.n < 2) {
        return refuse(r, DIAMETER_INVALID_AVP_LENGTH, a, "too short for an Address");
    }
    unsigned family = (unsigned)(uint8_t)a->value.p[0] << 8 | (uint8_t)a->value.p[1];
    size_t n = family == 1 ? 4 : family == 2 ? 16 : a->value.n - 2;
    if (a->value.n != 2 + n) {
        return refuse(r, DIAMETER_INVALID_AVP_LENGTH, a, "wrong length for an Address");
    }
    *out = (struct addr){.family = 0};
    if (family == 1 || family == 2) {
        out->family = family == 1 ? 4 : 6;
        memcpy(out->ip, a->value.p + 2, n);
    }
    return OK;
}

/* RFC 6733 4.3.1: NTP's seconds; with the top bit clear they count from 2036 on. */
static int64_t time_from_ntp(uint32_t seconds) {
    int64_t era = seconds & 0x80000000 ? 0 : INT64_C(1) << 32;
    return era + seconds - SECONDS_1900_TO_1970;
}

/* A value of any type but a group to where it belongs. */
static enum error decode_scalar(struct reader *r, const struct diameter_def *def,
                                const struct diameter_avp *a, void *out) {
    struct span v = a->value;
    uint32_t u32;
    uint64_t u64;
    int64_t seconds;
    switch (def->type) {
    case DIAMETER_IDENTITY:
        if (UNLIKELY(!diameter_is_identity(v))) {
            return refuse(r, DIAMETER_INVALID_AVP_VALUE, a, "not a DiameterIdentity");
        }
        break;
    case DIAMETER_UTF8:
    case DIAMETER_URI:
        if (UNLIKELY(!is_utf8(v))) {
            return refuse(r, DIAMETER_INVALID_AVP_VALUE, a, "not UTF-8");
        }
        break;
    case DIAMETER_U32:
    case DIAMETER_ENUM:
    case DIAMETER_TIME:
        if (UNLIKELY(v.n != 4)) {
            return refuse(r, DIAMETER_INVALID_AVP_LENGTH, a, "four bytes are needed");
        }
        u32 = get_u32(v.p);
        if (def->type == DIAMETER_ENUM && UNLIKELY(!has_value(def, u32))) {
            return refuse(r, DIAMETER_INVALID_AVP_VALUE, a, "not a value of the enumeration");
        }
        if (def->type == DIAMETER_TIME) {
            seconds = time_from_ntp(u32);
            memcpy(out, &seconds, sizeof seconds);
        } else {
            memcpy(out, &u32, sizeof u32);
        }
        return OK;
    case DIAMETER_U64:
        if (UNLIKELY(v.n != 8)) {
            return refuse(r, DIAMETER_INVALID_AVP_LENGTH, a, "eight bytes are needed");
        }
        u64 = get_u64(v.p);
        memcpy(out, &u64, sizeof u64);
        return OK;
    case DIAMETER_ADDRESS:
        return decode_address(r, a, out);
    case DIAMETER_OCTETS:
    case DIAMETER_GROUP: /* one of any content: as it is */
        break;
    }
    memcpy(out, &v, sizeof v);
    return OK;
}

static enum error decode_value(struct reader *r, const struct diameter_def *def,
                               const struct diameter_avp *a, void *out) {
    return def->group ? decode_avps(r, def->group, a->value, out) : decode_scalar(r, def, a, out);
}

/* One more of an array; the first one counts its likes, to take the memory at once. */
static enum error decode_element(struct reader *r, const struct diameter_field *f,
                                 const struct diameter_avp *a, const struct diameter_iter *rest,
                                 unsigned seen, char *out) {
    void *array;
    if (seen == 0) {
        struct diameter_iter it = *rest;
        struct diameter_avp other;
        size_t n = 1;
        while (n < f->max && diameter_next(&it, &other)) {
            n += other.code == f->def->code && other.vendor == f->def->vendor;
        }
        array = arena_zalloc(r->arena, n * f->size);
        if (!array) {
            return out_of_memory(r);
        }
        memcpy(out + f->offset, &array, sizeof array);
    } else {
        memcpy(&array, out + f->offset, sizeof array);
    }
    enum error e = decode_value(r, f->def, a, (char *)array + (size_t)seen * f->size);
    unsigned n = seen + 1;
    memcpy(out + f->aside, &n, sizeof n);
    return e;
}

static enum error decode_optional(struct reader *r, const struct diameter_field *f,
                                  const struct diameter_avp *a, char *out) {
    if (f->def->group) {
        void *group = arena_alloc(r->arena, f->size);
        if (!group) {
            return out_of_memory(r);
        }
        memcpy(out + f->offset, &group, sizeof group);
        return decode_avps(r, f->def->group, a->value, group);
    }
    if (has_flag(f->def)) {
        *(bool *)(out + f->aside) = true;
    }
    return decode_scalar(r, f->def, a, out + f->offset);
}

static enum error decode_result(struct reader *r, const struct diameter_field *f,
                                const struct diameter_avp *a, bool again, char *out) {
    struct diameter_result result = {0, 0};
    if (again) {
        return refuse(r, DIAMETER_AVP_OCCURS_TOO_MANY_TIMES, a, "one result is enough");
    }
    if (a->code == DIAMETER_AVP_RESULT_CODE) {
        if (!diameter_u32(a->value, &result.code)) {
            return refuse(r, DIAMETER_INVALID_AVP_LENGTH, a, "four bytes are needed");
        }
    } else {
        struct diameter_experimental_result experimental;
        const struct diameter_def *def = diameter_def_find(DIAMETER_AVP_EXPERIMENTAL_RESULT, 0);
        enum error e = decode_avps(r, def->group, a->value, &experimental);
        if (e) {
            return e;
        }
        result.vendor = experimental.vendor_id;
        result.code = experimental.experimental_result_code;
    }
    memcpy(out + f->offset, &result, sizeof result);
    return OK;
}

/* What is the same in every message: checked only if it differs. */
static enum error check_fixed(struct reader *r, const struct diameter_field *f,
                              const struct diameter_avp *a) {
    if (LIKELY(span_eq(a->bytes, f->fixed))) {
        return OK;
    }
    max_align_t room[8];
    if (!f->def->group) {
        return decode_scalar(r, f->def, a, room);
    }
    assert(f->def->group->size <= sizeof room);
    return decode_avps(r, f->def->group, a->value, room);
}

/* Groups that no format names, to any content, but not to any depth. */
static enum error check_nested(struct reader *r, const struct diameter_avp *outer) {
    struct diameter_iter level[DIAMETER_DEPTH_MAX];
    unsigned depth = 0;
    struct diameter_avp a;
    level[0] = diameter_iter_init(outer->value);
    for (;;) {
        if (diameter_next(&level[depth], &a)) {
            const struct diameter_def *def = diameter_def_find(a.code, a.vendor);
            if (!def || def->type != DIAMETER_GROUP) {
                continue;
            }
            if (++depth == DIAMETER_DEPTH_MAX) {
                diameter_fault_make(r->fault, DIAMETER_INVALID_AVP_VALUE, outer->code,
                                    outer->vendor, outer->flags, "groups nest too deep");
                return ERR_MALFORMED;
            }
            level[depth] = diameter_iter_init(a.value);
        } else if (level[depth].malformed) {
            diameter_fault_length(r->fault, &level[depth]);
            return ERR_MALFORMED;
        } else if (depth-- == 0) {
            return OK;
        }
    }
}

static enum error decode_other(struct reader *r, const struct diameter_avp *a) {
    const struct diameter_def *def = diameter_def_find(a->code, a->vendor);
    if (def && def->type == DIAMETER_GROUP) {
        return check_nested(r, a);
    }
    if (!def && a->flags & DIAMETER_AVP_MANDATORY) {
        return refuse(r, DIAMETER_AVP_UNSUPPORTED, a, "unknown AVP with the M bit");
    }
    return OK;
}

static inline unsigned find_field(const struct diameter_layout *l, const struct diameter_avp *a) {
    unsigned i = l->lookup[a->code * l->lookup_multiplier >> l->lookup_shift];
    if (i == 0) {
        return 0;
    }
    const struct diameter_field *f = &l->fields[i - 1];
    if (LIKELY(f->def->code == a->code && f->def->vendor == a->vendor)) {
        return i;
    }
    bool result =
        f->kind == DIAMETER_FIELD_RESULT && a->vendor == 0 &&
        (a->code == DIAMETER_AVP_RESULT_CODE || a->code == DIAMETER_AVP_EXPERIMENTAL_RESULT);
    return result ? i : 0;
}

static enum error decode_field(struct reader *r, const struct diameter_field *f,
                               const struct diameter_avp *a, const struct diameter_iter *rest,
                               unsigned seen, char *out) {
    if (f->kind == DIAMETER_FIELD_REFUSED) {
        return refuse(r, DIAMETER_AVP_NOT_ALLOWED, a, "not allowed here");
    }
    if (f->kind == DIAMETER_FIELD_RESULT) {
        return decode_result(r, f, a, seen > 0, out);
    }
    if (UNLIKELY(seen >= f->max)) {
        return refuse(r, DIAMETER_AVP_OCCURS_TOO_MANY_TIMES, a, "there too often");
    }
    switch (f->kind) {
    case DIAMETER_FIELD_ONE:
        return decode_value(r, f->def, a, out + f->offset);
    case DIAMETER_FIELD_OPTIONAL:
        return decode_optional(r, f, a, out);
    case DIAMETER_FIELD_MANY:
        return decode_element(r, f, a, rest, seen, out);
    default:
        return check_fixed(r, f, a);
    }
}

/* Whether an answer is a success: others are not held to their format. */
static bool is_refusal(const struct diameter_layout *layout, const char *out) {
    if (layout->command == 0 || layout->flags & DIAMETER_REQUEST) {
        return false;
    }
    for (unsigned i = 0; i < layout->n_fields; i++) {
        if (layout->fields[i].kind == DIAMETER_FIELD_RESULT) {
            struct diameter_result result;
            memcpy(&result, out + layout->fields[i].offset, sizeof result);
            return result.code != 0 && !diameter_result_is_success(result);
        }
    }
    return false;
}

static enum error check_missing(struct reader *r, const struct diameter_layout *layout,
                                const uint16_t *seen, const char *out) {
    for (unsigned i = 0; i < layout->n_fields; i++) {
        const struct diameter_field *f = &layout->fields[i];
        if (LIKELY(seen[i] >= f->min)) {
            continue;
        }
        if (is_refusal(layout, out)) {
            return OK;
        }
        const struct diameter_def *d = f->def;
        diameter_fault_make(r->fault, DIAMETER_MISSING_AVP, d->code, d->vendor,
                            (uint8_t)((d->vendor ? DIAMETER_AVP_VENDOR : 0) |
                                      (d->mandatory ? DIAMETER_AVP_MANDATORY : 0)),
                            "a required AVP is missing");
        return ERR_MALFORMED;
    }
    return OK;
}

static enum error decode_avps(struct reader *r, const struct diameter_layout *layout,
                              struct span avps, void *out) {
    uint16_t seen[FIELDS_MAX];
    assert(layout->n_fields <= FIELDS_MAX);
    memset(seen, 0, layout->n_fields * sizeof seen[0]);
    memset(out, 0, layout->size);
    struct diameter_iter it = diameter_iter_init(avps);
    struct diameter_avp a;
    while (diameter_next(&it, &a)) {
        unsigned i = find_field(layout, &a);
        enum error e = i ? decode_field(r, &layout->fields[i - 1], &a, &it, seen[i - 1], out)
                         : decode_other(r, &a);
        if (UNLIKELY(e)) {
            return e;
        }
        if (i) {
            seen[i - 1]++;
        }
    }
    if (UNLIKELY(it.malformed)) {
        diameter_fault_length(r->fault, &it);
        return ERR_MALFORMED;
    }
    return check_missing(r, layout, seen, out);
}

enum error diameter_decode(const struct diameter_layout *layout, struct arena *arena,
                           const struct diameter_msg *msg, void *out,
                           struct diameter_fault *fault) {
    struct reader r = {arena, fault};
    if (msg->command != layout->command || msg->application != layout->application ||
        (msg->flags ^ layout->flags) & DIAMETER_REQUEST) {
        diameter_fault_set(fault, DIAMETER_COMMAND_UNSUPPORTED, SPAN_NONE, "another command");
        return ERR_MALFORMED;
    }
    return decode_avps(&r, layout, msg->avps, out);
}

/* Writing. */

static void encode_avps(const struct diameter_layout *layout, struct diameter_builder *b,
                        const char *value);

static void encode_value(const struct diameter_def *def, struct diameter_builder *b,
                         const char *value) {
    struct span span;
    uint32_t u32;
    uint64_t u64;
    int64_t seconds;
    switch (def->type) {
    case DIAMETER_U32:
    case DIAMETER_ENUM:
        memcpy(&u32, value, sizeof u32);
        diameter_put_u32(b, def->code, def->vendor, def->mandatory, u32);
        return;
    case DIAMETER_TIME:
        memcpy(&seconds, value, sizeof seconds);
        diameter_put_u32(b, def->code, def->vendor, def->mandatory,
                         (uint32_t)(seconds + SECONDS_1900_TO_1970));
        return;
    case DIAMETER_U64:
        memcpy(&u64, value, sizeof u64);
        diameter_put_u64(b, def->code, def->vendor, def->mandatory, u64);
        return;
    case DIAMETER_ADDRESS:
        diameter_put_address(b, def->code, def->vendor, def->mandatory,
                             (const struct addr *)(const void *)value);
        return;
    case DIAMETER_GROUP:
        if (def->group) {
            diameter_open(b, def->code, def->vendor, def->mandatory);
            encode_avps(def->group, b, value);
            diameter_close(b);
            return;
        }
        break;
    default:
        break;
    }
    memcpy(&span, value, sizeof span);
    diameter_put(b, def->code, def->vendor, def->mandatory, span);
}

/* The span of the envelope that stands in for an empty field; false if there is none. */
static bool from_envelope(const struct diameter_field *f, const struct diameter_builder *b,
                          struct span *out) {
    if (!f->envelope || !b->envelope) {
        return false;
    }
    const struct span *spans[] = {
        &b->envelope->session_id,       &b->envelope->origin_host,       &b->envelope->origin_realm,
        &b->envelope->destination_host, &b->envelope->destination_realm, &b->envelope->proxy_info,
    };
    *out = *spans[f->envelope - 1];
    return out->p != NULL;
}

static void encode_one(const struct diameter_field *f, struct diameter_builder *b,
                       const char *value) {
    const char *at = value + f->offset;
    bool required = f->kind == DIAMETER_FIELD_ONE;
    struct span span;
    if (f->def->group) {
        if (!required) {
            memcpy(&at, value + f->offset, sizeof at);
        }
        if (at) {
            encode_value(f->def, b, at);
        }
        return;
    }
    if (!has_flag(f->def)) {
        memcpy(&span, at, sizeof span);
        if (!span.p && !from_envelope(f, b, &span) && !required) {
            return;
        }
        diameter_put(b, f->def->code, f->def->vendor, f->def->mandatory, span);
        return;
    }
    if (required || *(const bool *)(value + f->aside)) {
        encode_value(f->def, b, at);
    }
}

static void encode_many(const struct diameter_field *f, struct diameter_builder *b,
                        const char *value) {
    const char *array;
    unsigned n;
    struct span raw;
    memcpy(&array, value + f->offset, sizeof array);
    memcpy(&n, value + f->aside, sizeof n);
    for (unsigned i = 0; i < n; i++) {
        encode_value(f->def, b, array + (size_t)i * f->size);
    }
    if (n == 0 && from_envelope(f, b, &raw)) {
        buf_put(b->buf, raw);
    }
}

static void encode_avps(const struct diameter_layout *layout, struct diameter_builder *b,
                        const char *value) {
    struct diameter_result result;
    for (unsigned i = 0; i < layout->n_fields; i++) {
        const struct diameter_field *f = &layout->fields[i];
        switch (f->kind) {
        case DIAMETER_FIELD_ONE:
        case DIAMETER_FIELD_OPTIONAL:
            encode_one(f, b, value);
            break;
        case DIAMETER_FIELD_MANY:
            encode_many(f, b, value);
            break;
        case DIAMETER_FIELD_RESULT:
            memcpy(&result, value + f->offset, sizeof result);
            diameter_put_result(b, result);
            break;
        case DIAMETER_FIELD_FIXED:
            buf_put(b->buf, f->fixed);
            break;
        case DIAMETER_FIELD_REFUSED:
            break;
        }
    }
}

void diameter_encode(const struct diameter_layout *layout, struct diameter_builder *b,
                     const void *value) {
    encode_avps(layout, b, value);
}
