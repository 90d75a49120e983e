#include "base/span.h"

static inline char lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

bool span_eq_nocase(struct span a, struct span b) {
    if (a.n != b.n) {
        return false;
    }
    for (size_t i = 0; i < a.n; i++) {
        if (lower(a.p[i]) != lower(b.p[i])) {
            return false;
        }
    }
    return true;
}

bool span_starts_with(struct span s, struct span prefix) {
    return s.n >= prefix.n && span_eq(span_slice(s, 0, prefix.n), prefix);
}

bool span_starts_with_nocase(struct span s, struct span prefix) {
    return s.n >= prefix.n && span_eq_nocase(span_slice(s, 0, prefix.n), prefix);
}

int span_compare(struct span a, struct span b) {
    size_t n = a.n < b.n ? a.n : b.n;
    int c = n ? memcmp(a.p, b.p, n) : 0;
    if (c != 0) {
        return c;
    }
    return (a.n > b.n) - (a.n < b.n);
}

size_t span_find_char(struct span s, char c) {
    const char *at = s.n ? memchr(s.p, c, s.n) : NULL;
    return at ? (size_t)(at - s.p) : s.n;
}

size_t span_find(struct span s, struct span needle) {
    if (needle.n == 0) {
        return 0;
    }
    const char *at = s.n ? memmem(s.p, s.n, needle.p, needle.n) : NULL;
    return at ? (size_t)(at - s.p) : s.n;
}

static inline bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct span span_trim(struct span s) {
    while (s.n && is_blank(s.p[0])) {
        s.p++;
        s.n--;
    }
    while (s.n && is_blank(s.p[s.n - 1])) {
        s.n--;
    }
    return s;
}

struct span span_cut(struct span *rest, char c) {
    size_t at = span_find_char(*rest, c);
    struct span before = span_slice(*rest, 0, at);
    *rest = at < rest->n ? span_after(*rest, at + 1) : SPAN_NONE;
    return before;
}

bool span_to_u64(struct span s, uint64_t max, uint64_t *out) {
    uint64_t value = 0;
    if (s.n == 0) {
        return false;
    }
    for (size_t i = 0; i < s.n; i++) {
        unsigned digit = (unsigned char)s.p[i] - (unsigned)'0';
        if (digit > 9 || digit > max || value > (max - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    *out = value;
    return true;
}

bool span_to_u32(struct span s, uint32_t max, uint32_t *out) {
    uint64_t value;
    if (!span_to_u64(s, max, &value)) {
        return false;
    }
    *out = (uint32_t)value;
    return true;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool span_to_bytes(struct span hex, uint8_t *out, size_t n) {
    if (hex.n != 2 * n) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        int high = hex_digit(hex.p[2 * i]);
        int low = hex_digit(hex.p[2 * i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

bool span_to_cstr(struct span s, char *out, size_t cap) {
    if (s.n >= cap || span_find_char(s, '\0') < s.n) {
        return false;
    }
    if (s.n) {
        memcpy(out, s.p, s.n);
    }
    out[s.n] = '\0';
    return true;
}
