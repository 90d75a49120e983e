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
    group[2] = n - i == 2 ? alphabet[v >> 6 & 63] : '=';
    group[3] = '=';
    buf_bytes(out, group, 4);
}

/* The six bits of a character, or -1. */
static int value_of(char c) {
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

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
        uint32_t v = 0;
        for (size_t k = 0; k < 4; k++) {
            int six = k < digits ? value_of(text.p[i + k]) : 0;
            if (six < 0) {
                return ERR_MALFORMED;
            }
            v = v << 6 | (uint32_t)six;
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
