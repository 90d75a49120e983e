/* Private to codec/sip: classes of characters of RFC 3261 section 25.1, and small readers. */
#ifndef MUSTER_CODEC_SIP_LEX_H
#define MUSTER_CODEC_SIP_LEX_H

#include "base/span.h"

struct sip_via;

enum {
    LEX_TOKEN = 1,    /* token */
    LEX_USER = 2,     /* user, without the percent sign */
    LEX_PARAM = 4,    /* paramchar of a URI, without the percent sign */
    LEX_HEADER = 8,   /* hnv-unreserved and unreserved of a URI, without the percent sign */
    LEX_HOST = 16,    /* letters, digits, hyphen, dot */
    LEX_DIGIT = 32,   /* 0-9 */
    LEX_HEX = 64,     /* 0-9, a-f, A-F */
    LEX_PRINTED = 128 /* visible ASCII that may stand in a URI of any scheme */
};

/** Classes of each byte. */
extern const uint8_t lex_class[256];

/** Is c of (one of) these classes? */
static inline bool lex_is(char c, unsigned classes) {
    return (lex_class[(unsigned char)c] & classes) != 0;
}

/** Is all of s of these classes? */
bool lex_all(struct span s, unsigned classes);

/** The same, with %HH allowed. */
bool lex_all_or_escaped(struct span s, unsigned classes);

/** Value of a hexadecimal digit. */
static inline unsigned lex_hex(char c) {
    return (unsigned)(c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
}

/** c in lower case. */
static inline char lex_lower(char c) {
    if (c >= 'A' && c <= 'Z') {
        c = (char)(c + ('a' - 'A'));
    }
    return c;
}

/** Is c a space or a tab? Folded lines have become spaces. */
static inline bool lex_blank(char c) {
    return c == ' ' || c == '\t';
}

/** Without blanks at both ends. */
static inline struct span lex_trim(struct span s) {
    while (s.n && lex_blank(s.p[0])) {
        s.p++;
        s.n--;
    }
    while (s.n && lex_blank(s.p[s.n - 1])) {
        s.n--;
    }
    return s;
}

/** Takes the token at the beginning of *s off it; empty if there is none. */
static inline struct span lex_token(struct span *s) {
    size_t n = 0;
    while (n < s->n && lex_is(s->p[n], LEX_TOKEN)) {
        n++;
    }
    struct span token = {s->p, n};
    s->p += n;
    s->n -= n;
    return token;
}

/** Takes blanks at the beginning of *s off it. */
static inline void lex_skip_blanks(struct span *s) {
    while (s->n && lex_blank(s->p[0])) {
        s->p++;
        s->n--;
    }
}

/** Takes c off the beginning of *s, with the blanks around it; false if it does not stand there. */
static inline bool lex_separator(struct span *s, char c) {
    lex_skip_blanks(s);
    if (s->n == 0 || s->p[0] != c) {
        return false;
    }
    s->p++;
    s->n--;
    lex_skip_blanks(s);
    return true;
}

/** Takes a quoted string off the beginning of *s: *text is what stands between its quotes. False if
 * there is none, or it does not end. */
bool lex_quoted(struct span *s, struct span *text);

/** Takes off what may stand before a comma: offset of the first comma outside quotes and angle
 * brackets, or s.n; SIZE_MAX when a quote or bracket stays open. */
size_t lex_value_end(struct span s);

/** Reads decimal digits, all of s; a number above max counts as max. False for anything else. */
bool lex_number(struct span s, uint32_t max, uint32_t *out);

/** Reads a port: 1 to 65535. */
bool lex_port(struct span s, uint16_t *out);

/** Takes host and port off the beginning of *s: a name, an IPv4 address, or an IPv6 address in
 * brackets (which stay); port 0 without one. False if none stands there. */
bool lex_hostport(struct span *s, struct span *host, uint16_t *port);

/** Cuts an address header's value into display name (without quotes; p NULL without one), URI and
 * parameters behind it, none of them read yet. False if it has not that shape. */
bool lex_address(struct span value, struct span *display, struct span *uri, struct span *params);

/** What a Via that cannot be read is good for: the answer that says so. Takes any version, and
 * nothing behind sent-by; *via is what stands up to there. False if that much does not stand there.
 */
bool lex_via_sent_by(struct span text, struct sip_via *via);

/** Reads a qvalue (0, 0.5, 1.000) in thousandths. */
bool lex_qvalue(struct span s, uint16_t *out);

#endif
