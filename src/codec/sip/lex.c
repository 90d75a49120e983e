/* Characters and small readers of the grammar in RFC 3261 section 25.1. Choices: '#' is taken in
 * the user part of a URI, though it ought to be escaped, since terminals dial service codes with
 * it. */
#include "codec/sip/lex.h"

#define ALNUM (LEX_TOKEN | LEX_USER | LEX_PARAM | LEX_HEADER | LEX_HOST | LEX_PRINTED)
#define MARK  (LEX_USER | LEX_PARAM | LEX_HEADER | LEX_PRINTED)

const uint8_t lex_class[256] = {
    ['0' ... '9'] = ALNUM | LEX_DIGIT | LEX_HEX,
    ['a' ... 'f'] = ALNUM | LEX_HEX,
    ['g' ... 'z'] = ALNUM,
    ['A' ... 'F'] = ALNUM | LEX_HEX,
    ['G' ... 'Z'] = ALNUM,
    ['-'] = MARK | LEX_TOKEN | LEX_HOST,
    ['.'] = MARK | LEX_TOKEN | LEX_HOST,
    ['_'] = MARK | LEX_TOKEN,
    ['!'] = MARK | LEX_TOKEN,
    ['~'] = MARK | LEX_TOKEN,
    ['*'] = MARK | LEX_TOKEN,
    ['\''] = MARK | LEX_TOKEN,
    ['('] = MARK,
    [')'] = MARK,
    ['%'] = LEX_TOKEN | LEX_PRINTED,
    ['+'] = MARK | LEX_TOKEN,
    ['`'] = LEX_TOKEN | LEX_PRINTED,
    ['&'] = LEX_USER | LEX_PARAM | LEX_PRINTED,
    ['='] = LEX_USER | LEX_PRINTED,
    ['$'] = MARK,
    [','] = LEX_USER | LEX_PRINTED,
    [';'] = LEX_USER | LEX_PRINTED,
    ['?'] = LEX_USER | LEX_HEADER | LEX_PRINTED,
    ['/'] = MARK,
    ['#'] = LEX_USER | LEX_PRINTED,
    [':'] = LEX_PARAM | LEX_HEADER | LEX_PRINTED,
    ['['] = LEX_PARAM | LEX_HEADER | LEX_PRINTED,
    [']'] = LEX_PARAM | LEX_HEADER | LEX_PRINTED,
    ['@'] = LEX_PRINTED,
};

bool lex_all(struct span s, unsigned classes) {
    for (size_t i = 0; i < s.n; i++) {
        if (!lex_is(s.p[i], classes)) {
            return false;
        }
    }
    return true;
}

bool lex_all_or_escaped(struct span s, unsigned classes) {
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '%') {
            if (s.n - i < 3 || !lex_is(s.p[i + 1], LEX_HEX) || !lex_is(s.p[i + 2], LEX_HEX)) {
                return false;
            }
            i += 2;
        } else if (!lex_is(s.p[i], classes)) {
            return false;
        }
    }
    return true;
}

bool lex_quoted(struct span *s, struct span *text) {
    if (s->n == 0 || s->p[0] != '"') {
        return false;
    }
    size_t close = 1 + span_find_char(span_after(*s, 1), '"');
    if (close < s->n && memchr(s->p + 1, '\\', close - 1) == NULL) {
        *text = (struct span){s->p + 1, close - 1};
        *s = span_after(*s, close + 1);
        return true;
    }
    for (size_t i = 1; i < s->n; i++) {
        if (s->p[i] == '"') {
            *text = (struct span){s->p + 1, i - 1};
            *s = span_after(*s, i + 1);
            return true;
        }
        if (s->p[i] == '\\') {
            i++;
        }
    }
    return false;
}

size_t lex_value_end(struct span s) {
    bool quoted = false, bracket = false;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (quoted) {
            if (c == '\\') {
                i++;
            } else if (c == '"') {
                quoted = false;
            }
        } else if (bracket) {
            bracket = c != '>';
        } else if (c == '"') {
            quoted = true;
        } else if (c == '<') {
            bracket = true;
        } else if (c == ',') {
            return i;
        }
    }
    return quoted || bracket ? SIZE_MAX : s.n;
}

bool lex_number(struct span s, uint32_t max, uint32_t *out) {
    uint64_t value = 0;
    if (s.n == 0) {
        return false;
    }
    for (size_t i = 0; i < s.n; i++) {
        if (!lex_is(s.p[i], LEX_DIGIT)) {
            return false;
        }
        if (value <= UINT32_MAX) {
            value = value * 10 + (unsigned)(s.p[i] - '0');
        }
    }
    *out = value > max ? max : (uint32_t)value;
    return true;
}

bool lex_port(struct span s, uint16_t *out) {
    uint32_t value;
    if (s.n > 5 || !lex_number(s, UINT32_MAX, &value) || value == 0 || value > UINT16_MAX) {
        return false;
    }
    *out = (uint16_t)value;
    return true;
}

/* Length of the IPv6 address in brackets at the beginning of s, brackets included; 0 if none. */
static size_t bracketed(struct span s) {
    size_t n = 1;
    while (n < s.n && (lex_is(s.p[n], LEX_HEX) || s.p[n] == ':' || s.p[n] == '.')) {
        n++;
    }
    return n > 3 && n < s.n && s.p[n] == ']' ? n + 1 : 0;
}

bool lex_hostport(struct span *s, struct span *host, uint16_t *port) {
    size_t n = 0;
    if (s->n && s->p[0] == '[') {
        n = bracketed(*s);
    } else {
        while (n < s->n && (lex_is(s->p[n], LEX_HOST) || s->p[n] == '_')) {
            n++;
        }
    }
    if (n == 0) {
        return false;
    }
    *host = (struct span){s->p, n};
    s->p += n;
    s->n -= n;
    *port = 0;
    struct span rest = *s;
    if (!lex_separator(&rest, ':')) {
        return true;
    }
    n = 0;
    while (n < rest.n && lex_is(rest.p[n], LEX_DIGIT)) {
        n++;
    }
    if (!lex_port((struct span){rest.p, n}, port)) {
        return false;
    }
    *s = span_after(rest, n);
    return true;
}

bool lex_qvalue(struct span s, uint16_t *out) {
    if (s.n == 0 || s.n > 5 || (s.p[0] != '0' && s.p[0] != '1') || (s.n > 1 && s.p[1] != '.')) {
        return false;
    }
    unsigned value = s.p[0] == '1' ? 1000 : 0, scale = 100;
    for (size_t i = 2; i < s.n; i++, scale /= 10) {
        if (!lex_is(s.p[i], LEX_DIGIT)) {
            return false;
        }
        value += (unsigned)(s.p[i] - '0') * scale;
    }
    if (value > 1000) {
        return false;
    }
    *out = (uint16_t)value;
    return true;
}
