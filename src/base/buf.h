/* A buffer is a place to write bytes in, of fixed capacity, with a sticky error: once something did
 * not fit, everything after it is a no-op, so a builder writes straight down and looks once at the
 * end. */
#ifndef MUSTER_BASE_BUF_H
#define MUSTER_BASE_BUF_H

#include "base/span.h"

struct buf {
    char *p;       /* owned by whoever called buf_init */
    size_t n;      /* bytes written */
    size_t cap;    /* bytes that fit */
    bool overflow; /* something did not fit: the content is not to be used */
};

/** A buffer over cap bytes at p. */
static inline struct buf buf_init(void *p, size_t cap) {
    return (struct buf){(char *)p, 0, cap, false};
}

/** What was written. Look at overflow first. */
static inline struct span buf_span(const struct buf *b) {
    return (struct span){b->p, b->n};
}

/** Appends n bytes. */
static inline void buf_bytes(struct buf *b, const void *p, size_t n) {
    if (UNLIKELY(b->overflow || n > b->cap - b->n)) {
        b->overflow = true;
        return;
    }
    if (n) {
        memcpy(b->p + b->n, p, n);
    }
    b->n += n;
}

/** Appends a span. */
static inline void buf_put(struct buf *b, struct span s) {
    buf_bytes(b, s.p, s.n);
}

/** Appends one byte. */
static inline void buf_char(struct buf *b, char c) {
    buf_bytes(b, &c, 1);
}

/** Appends a NUL-terminated string, without its NUL. */
static inline void buf_cstr(struct buf *b, const char *s) {
    buf_bytes(b, s, strlen(s));
}

/** Appends a decimal number. */
void buf_u64(struct buf *b, uint64_t value);

/** Appends n bytes as 2n lower-case hexadecimal digits. */
void buf_hex(struct buf *b, const void *p, size_t n);

/** Appends with printf formatting: for what is not on the message path. */
void buf_printf(struct buf *b, const char *format, ...) PRINTF_LIKE(2, 3);

/** Appends what people may see of foreign bytes: printable ASCII as it is; backslash, quote,
 * control characters and bytes above 126 as \xNN. One line in, one line out: nothing that a peer
 * sends can forge a log line (hardening HA11). */
void buf_escaped(struct buf *b, struct span s);

#endif
