#include "crypto/base64.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_put(struct buf *out, const void *p, size_t n) {
    const uint8_t *in = p;
    char group[4];
    size_t i = 0;
    for (; n - i >= 3; i += 3) {
        uint32_t v = (uint32_t)in[i] << 16 | (uint32_t)in[i + 1] << 8 | in[i + 2];
        group[0] = alphabet[v >> 18];
        group[1] = alphabet[v >> 12 & 63];
        group[2] = alphabet[v >> 6 & 63];
        group[3] = alphabet[v & 63];
        buf_bytes(out, group, 4);
    }
    if (n - i == 0) {
        return;
    }
    uint32_t v = (uint32_t)in[i] << 16 | (n - i == 2 ? (uint32_t)in[i + 1] << 8 : 0);
    group[0] = alphabet[v >> 18];
    group[1] = alphabet[v >> 12 & 63];
    group[2] = '=';
    if (n - i == 2) {
        group[2] = alphabet[v >> 6 & 63];
    }
    group[3] = '=';
    buf_bytes(out, group, 4);
}

/* The six bits of a character; 64 for those that are none. */
static const uint8_t values[256] = {
    64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
    64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 62, 64, 64, 64, 63,
    52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 64, 64, 64, 64, 64, 64, 64, 0,  1,  2,  3,  4,  5,  6,
    7,  8,  9,  10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 64, 64, 64, 64, 64,
    64, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48,
    49, 50, 51, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
    64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
    64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
    64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
    64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
    64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
};

enum error base64_decode(struct span text, uint8_t *out, size_t cap, size_t *n) {
    if (text.n % 4) {
        return ERR_MALFORMED;
    }
    size_t padding = 0;
    while (padding < 2 && padding < text.n && text.p[text.n - 1 - padding] == '=') {
        padding++;
    }
    size_t size = text.n / 4 * 3 - padding;
    if (size > cap) {
        return ERR_TOO_BIG;
    }
    size_t written = 0;
    for (size_t i = 0; i < text.n; i += 4) {
        size_t digits = i + 4 == text.n ? 4 - padding : 4;
        uint32_t v = 0, all = 0;
        for (size_t k = 0; k < 4; k++) {
            uint32_t six = k < digits ? values[(uint8_t)text.p[i + k]] : 0;
            all |= six;
            v = v << 6 | (six & 63);
        }
        if (all & 64) {
            return ERR_MALFORMED;
        }
        size_t bytes = digits - 1;
        if (bytes < 3 && v & (bytes == 2 ? 0xffu : 0xffffu)) {
            return ERR_MALFORMED; /* bits that no encoder sets */
        }
        for (size_t k = 0; k < bytes; k++) {
            out[written++] = (uint8_t)(v >> (16 - 8 * k));
        }
    }
    *n = written;
    return OK;
}
