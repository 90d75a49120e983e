#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>

static const char hex_digits[] = "0123456789abcdef";

void buf_u64(struct buf *b, uint64_t value) {
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    buf_bytes(b, digits + at, sizeof digits - at);
}

void buf_hex(struct buf *b, const void *p, size_t n) {
    const uint8_t *bytes = p;
    if (b->overflow || n > (b->cap - b->n) / 2) {
        b->overflow = true;
        return;
    }
    for (size_t i = 0; i < n; i++) {
        b->p[b->n++] = hex_digits[bytes[i] >> 4];
        b->p[b->n++] = hex_digits[bytes[i] & 15];
    }
}

void buf_printf(struct buf *b, const char *format, ...) {
    if (b->overflow) {
        return;
    }
    va_list args;
    va_start(args, format);
    size_t room = b->cap - b->n;
    int n = vsnprintf(room ? b->p + b->n : NULL, room, format, args);
    va_end(args);
    /* vsnprintf needs a byte for its NUL, so a text that fills the buffer to the brim counts as too
     * long. */
    if (n < 0 || (size_t)n >= room) {
        b->overflow = true;
        return;
    }
    b->n += (size_t)n;
}

void buf_escaped(struct buf *b, struct span s) {
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c < 32 || c > 126 || c == '\\' || c == '"') {
            buf_bytes(b, "\\x", 2);
            buf_hex(b, &c, 1);
        } else {
            buf_char(b, (char)c);
        }
    }
}
