/* A span is a view of bytes that somebody else owns: pointer and length, never NUL-terminated.
 * It stays valid as long as what it looks into; each producer says how long that is. */
#ifndef MUSTER_BASE_SPAN_H
#define MUSTER_BASE_SPAN_H

#include "base/attribute.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
    const char *p;
    size_t n;
};

/** A span over a string literal. */
#define SPAN(literal) ((struct span){(literal), sizeof(literal) - 1})

/** The same for the initialiser of a constant. */
#define SPAN_INIT(literal)                                                                         \
    { (literal), sizeof(literal) - 1 }

/** The empty span, which is also "absent". */
#define SPAN_NONE ((struct span){NULL, 0})

/** The two arguments that "%.*s" takes. */
#define SPAN_ARG(s) (int)(s).n, ((s).p ? (s).p : "")

/** A span of n bytes at p. */
static inline struct span span_of(const void *p, size_t n) {
    return (struct span){(const char *)p, n};
}

/** A span over a NUL-terminated string; NULL gives the empty span. */
static inline struct span span_from_cstr(const char *s) {
    return (struct span){s, s ? strlen(s) : 0};
}

/** Is there nothing in it? */
static inline bool span_is_empty(struct span s) {
    return s.n == 0;
}

/** Byte for byte the same? Not for secrets: see crypto/compare.h. */
static inline bool span_eq(struct span a, struct span b) {
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/** The bytes from offset `from` to `to` (exclusive), both clipped to the span. */
static inline struct span span_slice(struct span s, size_t from, size_t to) {
    if (to > s.n) {
        to = s.n;
    }
    if (from > to) {
        from = to;
    }
    return (struct span){s.p + from, to - from};
}

/** What is left after the first n bytes. */
static inline struct span span_after(struct span s, size_t n) {
    return span_slice(s, n, s.n);
}

/** The same, ASCII letters compared without regard to case. */
bool span_eq_nocase(struct span a, struct span b);

/** Does s begin with prefix? */
bool span_starts_with(struct span s, struct span prefix);

/** Does s begin with prefix, ASCII case disregarded? */
bool span_starts_with_nocase(struct span s, struct span prefix);

/** Orders bytewise, shorter first among equal prefixes: negative, 0 or positive. */
int span_compare(struct span a, struct span b);

/** Offset of the first c, or s.n if there is none. */
size_t span_find_char(struct span s, char c);

/** Offset of the first needle, or s.n if there is none. An empty needle is at 0. */
size_t span_find(struct span s, struct span needle);

/** Without the spaces, tabs, CRs and LFs at both ends. */
struct span span_trim(struct span s);

/** Cuts *rest at the first c: returns what stands before it and leaves in *rest what stands after
 * it. Without a c, returns all and leaves *rest empty with p NULL, so that a loop can end on
 * rest->p == NULL. */
struct span span_cut(struct span *rest, char c);

/** Reads a decimal number that is the whole span, digits only, at most max. False leaves *out
 * alone. */
MUST_CHECK bool span_to_u64(struct span s, uint64_t max, uint64_t *out);

/** As span_to_u64 for 32 bits. */
MUST_CHECK bool span_to_u32(struct span s, uint32_t max, uint32_t *out);

/** Reads exactly n bytes written as 2n hexadecimal digits. False leaves out in any state. */
MUST_CHECK bool span_to_bytes(struct span hex, uint8_t *out, size_t n);

/** Copies into a NUL-terminated array of cap bytes; false if it does not fit or holds a NUL. */
MUST_CHECK bool span_to_cstr(struct span s, char *out, size_t cap);

#endif
