/* RFC 3261 19.1 (sip, sips), RFC 3966 (tel). Choices: a local tel number without phone-context is
 * taken, since terminals dial short codes with it; a transport parameter on one side only makes two
 * URIs differ, as the examples of 19.1.4 have it. */
#include "codec/sip/uri.h"

#include "codec/sip/lex.h"

enum { PARAMS_MAX = 32 };

static bool is_visual(char c) {
    return c == '-' || c == '.' || c == '(' || c == ')';
}

static bool tel_number_is_valid(struct span number) {
    bool global = span_starts_with(number, SPAN("+"));
    size_t digits = 0;

    if (!number.p) {
        return false;
    }
    for (size_t i = global; i < number.n; i++) {
        char c = number.p[i];
        if (lex_is(c, LEX_DIGIT) || (!global && (lex_is(c, LEX_HEX) || c == '*' || c == '#'))) {
            digits++;
        } else if (!is_visual(c)) {
            return false;
        }
    }
    return digits > 0;
}

/* "a=b;c" in a URI: no empty names, no characters that need an escape. */
static bool params_are_valid(struct span params) {
    bool at_start = true;
    for (size_t i = 0; i < params.n; i++) {
        char c = params.p[i];
        if (c == ';' || c == '=') {
            if (at_start) {
                return false;
            }
            at_start = c == ';';
        } else if (lex_is(c, LEX_PARAM)) {
            at_start = false;
        } else if (c == '%' && params.n - i > 2 && lex_is(params.p[i + 1], LEX_HEX) &&
                   lex_is(params.p[i + 2], LEX_HEX)) {
            i += 2;
            at_start = false;
        } else {
            return false;
        }
    }
    return !at_start;
}

static bool headers_are_valid(struct span headers) {
    while (headers.p) {
        struct span value = span_cut(&headers, '&');
        struct span name = span_cut(&value, '=');
        if (name.n == 0 || !value.p || !lex_all_or_escaped(name, LEX_HEADER) ||
            !lex_all_or_escaped(value, LEX_HEADER)) {
            return false;
        }
    }
    return true;
}

static enum error parse_sip(struct span rest, struct sip_uri *out) {
    size_t at = span_find_char(rest, '@');
    if (at < rest.n) {
        struct span user = {rest.p, at};
        size_t colon = span_find_char(user, ':');
        if (colon < user.n) {
            out->password = span_after(user, colon + 1);
            user.n = colon;

            if (!lex_all_or_escaped(out->password, LEX_USER)) {
                return ERR_MALFORMED;
            }
        }
        if (user.n == 0 || !lex_all_or_escaped(user, LEX_USER)) {
            return ERR_MALFORMED;
        }
        out->user = user;
        rest = span_after(rest, at + 1);
    }
    if (!lex_hostport(&rest, &out->host, &out->port)) {
        return ERR_MALFORMED;
    }
    if (rest.n && rest.p[0] == ';') {
        size_t question = span_find_char(rest, '?');
        out->params = span_slice(rest, 1, question);
        rest = span_after(rest, question);
        if (!params_are_valid(out->params)) {
            return ERR_MALFORMED;
        }
    }
    if (rest.n && rest.p[0] == '?') {
        out->headers = span_after(rest, 1);
        return headers_are_valid(out->headers) ? OK : ERR_MALFORMED;
    }
    return rest.n ? ERR_MALFORMED : OK;
}

static enum error parse_tel(struct span rest, struct sip_uri *out) {
    size_t end = span_find_char(rest, ';');
    out->user = span_slice(rest, 0, end);
    if (end < rest.n) {
        out->params = span_after(rest, end + 1);
        if (!params_are_valid(out->params)) {
            return ERR_MALFORMED;
        }
    }
    return tel_number_is_valid(out->user) ? OK : ERR_MALFORMED;
}

/* Length of the scheme before the colon; 0 if there is none. */
static size_t scheme_length(struct span text) {
    size_t n = 0;
    while (n < text.n && text.p[n] != ':') {
        char c = text.p[n];
        bool letter = (c | 32) >= 'a' && (c | 32) <= 'z';
        if (!letter && (n == 0 || !(lex_is(c, LEX_DIGIT) || c == '+' || c == '-' || c == '.'))) {
            return 0;
        }
        n++;
    }
    return n < text.n ? n : 0;
}

enum error sip_uri_parse(struct span text, struct sip_uri *out) {
    *out = (struct sip_uri){.text = text};
    size_t n = scheme_length(text);
    if (n == 0) {
        return ERR_MALFORMED;
    }
    struct span scheme = {text.p, n}, rest = span_after(text, n + 1);
    out->scheme_name = scheme;
    if (n == 3 && span_eq_nocase(scheme, SPAN("sip"))) {
        out->scheme = SIP_URI_SIP;
        return parse_sip(rest, out);
    }
    if (n == 4 && span_eq_nocase(scheme, SPAN("sips"))) {
        out->scheme = SIP_URI_SIPS;
        return parse_sip(rest, out);
    }
    if (n == 3 && span_eq_nocase(scheme, SPAN("tel"))) {
        out->scheme = SIP_URI_TEL;
        return parse_tel(rest, out);
    }
    out->user = rest;
    return rest.n && lex_all(rest, LEX_PRINTED) ? OK : ERR_MALFORMED;
}

/* Finds "name" or "name=value" in a list that `separator` divides. */
static bool find_item(struct span list, char separator, struct span name, struct span *value) {
    while (list.n) {
        struct span item = span_cut(&list, separator);
        struct span item_name = span_cut(&item, '=');
        if (item_name.n == name.n && span_eq_nocase(item_name, name)) {
            if (value) {
                *value = item.p ? item : (struct span){"", 0};
            }
            return true;
        }
    }
    return false;
}

bool sip_uri_param(const struct sip_uri *uri, struct span name, struct span *value) {
    return uri->params.n && find_item(uri->params, ';', name, value);
}

bool sip_uri_is_loose(const struct sip_uri *uri) {
    return sip_uri_param(uri, SPAN("lr"), NULL);
}

/* Takes one character off *s, an escape counting as what it stands for; one that stands for a
 * reserved character, or for a percent sign, is another character than that itself. */
static unsigned take_char(struct span *s) {
    unsigned c = (unsigned char)s->p[0];
    size_t n = 1;
    if (c == '%' && s->n > 2 && lex_is(s->p[1], LEX_HEX) && lex_is(s->p[2], LEX_HEX)) {
        c = lex_hex(s->p[1]) << 4 | lex_hex(s->p[2]);
        n = 3;
        if (c == '%' || (c && strchr(";/?:@&=+$,", (int)c))) {
            c |= 256;
        }
    }
    s->p += n;
    s->n -= n;
    return c;
}

static bool same_text(struct span a, struct span b, bool fold) {
    while (a.p && b.p && a.n && b.n) {
        unsigned x = take_char(&a), y = take_char(&b);
        if (fold && x < 128 && y < 128) {
            x = (unsigned char)lex_lower((char)x);
            y = (unsigned char)lex_lower((char)y);
        }
        if (x != y) {
            return false;
        }
    }
    return a.n == 0 && b.n == 0;
}

static size_t count_char(struct span s, char c) {
    size_t count = 0;
    for (size_t i = 0; i < s.n; i++) {
        count += s.p[i] == c;
    }
    return count;
}

/* Must a parameter that only one URI has make them differ (RFC 3261 19.1.4)? */
static bool matters_alone(struct span name) {
    static const struct span names[] = {SPAN_INIT("user"), SPAN_INIT("ttl"), SPAN_INIT("method"),
                                        SPAN_INIT("maddr"), SPAN_INIT("transport")};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (span_eq_nocase(name, names[i])) {
            return true;
        }
    }
    return false;
}

/* Does each item of a agree with b's of the same name? Items that b lacks may be ignored: none
 * (all_matter), or those that do not matter alone. */
static bool items_agree(struct span a, struct span b, char separator, bool all_matter) {
    while (a.n) {
        struct span value = span_cut(&a, separator), other;
        struct span name = span_cut(&value, '=');
        if (find_item(b, separator, name, &other)) {
            if (!same_text(value, other, true)) {
                return false;
            }
        } else if (all_matter || matters_alone(name)) {
            return false;
        }
    }
    return true;
}

static bool same_items(struct span a, struct span b, char separator, bool all_matter) {
    return items_agree(a, b, separator, all_matter) && items_agree(b, a, separator, all_matter);
}

/* The digits of a telephone number, one after the other: 0 at the end. */
static char take_digit(struct span *number) {
    while (number->n) {
        char c = number->p[0];
        number->p++;
        number->n--;
        if (!is_visual(c)) {
            return lex_lower(c);
        }
    }
    return 0;
}

static bool same_number(struct span a, struct span b) {
    for (;;) {
        char x = take_digit(&a), y = take_digit(&b);
        if (x != y) {
            return false;
        }
        if (x == 0) {
            return true;
        }
    }
}

bool sip_uri_equal(const struct sip_uri *a, const struct sip_uri *b) {
    if (span_eq(a->text, b->text)) {
        return true;
    }
    if (a->scheme != b->scheme) {
        return false;
    }
    if (a->scheme == SIP_URI_OTHER || count_char(a->params, ';') >= PARAMS_MAX ||
        count_char(b->params, ';') >= PARAMS_MAX || count_char(a->headers, '&') >= PARAMS_MAX ||
        count_char(b->headers, '&') >= PARAMS_MAX) {
        return false;
    }
    if (a->scheme == SIP_URI_TEL) {
        return same_number(a->user, b->user) && same_items(a->params, b->params, ';', true);
    }
    return a->port == b->port && !a->user.p == !b->user.p && !a->password.p == !b->password.p &&
           same_text(a->user, b->user, false) && same_text(a->password, b->password, false) &&
           span_eq_nocase(a->host, b->host) && same_items(a->params, b->params, ';', false) &&
           same_items(a->headers, b->headers, '&', true);
}

bool sip_uri_is_global_tel(const struct sip_uri *uri) {
    return uri->scheme == SIP_URI_TEL && uri->user.n && uri->user.p[0] == '+';
}

static void put_lower(struct buf *b, struct span s) {
    for (size_t i = 0; i < s.n; i++) {
        buf_char(b, lex_lower(s.p[i]));
    }
}

static void put_escaped(struct buf *b, unsigned char c) {
    static const char digits[] = "0123456789ABCDEF";
    const char escape[3] = {'%', digits[c >> 4], digits[c & 15]};
    buf_bytes(b, escape, 3);
}

void sip_put_user(struct buf *b, struct span user) {
    for (size_t i = 0; i < user.n; i++) {
        if (lex_is(user.p[i], LEX_USER) && user.p[i] != '#') {
            buf_char(b, user.p[i]);
        } else {
            put_escaped(b, (unsigned char)user.p[i]);
        }
    }
}

static void put_canonical_user(struct buf *b, struct span user) {
    while (user.n) {
        char c = user.p[0];
        size_t n = 1;
        if (c == '%' && user.n > 2) {
            c = (char)(lex_hex(user.p[1]) << 4 | lex_hex(user.p[2]));
            n = 3;
        }
        sip_put_user(b, (struct span){&c, 1});
        user = span_after(user, n);
    }
}

void sip_uri_put_canonical(struct buf *b, const struct sip_uri *uri) {
    if (uri->scheme == SIP_URI_TEL) {
        if (sip_tel_put(b, uri) != OK) {
            buf_put(b, uri->text);
        }
        return;
    }
    put_lower(b, uri->scheme_name);
    buf_char(b, ':');
    if (uri->scheme == SIP_URI_OTHER) {
        buf_put(b, uri->user);
        return;
    }
    if (uri->user.p) {
        put_canonical_user(b, uri->user);
        buf_char(b, '@');
    }
    put_lower(b, uri->host);
    if (uri->port) {
        buf_char(b, ':');
        buf_u64(b, uri->port);
    }
}

enum error sip_tel_put(struct buf *b, const struct sip_uri *uri) {
    struct span number = uri->user, params = uri->params, value;
    if (uri->scheme == SIP_URI_SIP || uri->scheme == SIP_URI_SIPS) {
        if (!sip_uri_param(uri, SPAN("user"), &value) || !span_eq_nocase(value, SPAN("phone"))) {
            return ERR_INVALID;
        }
        params = uri->user;
        number = span_cut(&params, ';');
    } else if (uri->scheme != SIP_URI_TEL) {
        return ERR_INVALID;
    }
    bool context = uri->user.p && uri->user.p[0] != '+' &&
                   find_item(params, ';', SPAN("phone-context"), &value);
    if (!tel_number_is_valid(number) || (context && !lex_all_or_escaped(value, LEX_PARAM))) {
        return ERR_INVALID; /* a user part may hold what a parameter may not */
    }
    buf_bytes(b, "tel:", 4);
    for (char c = take_digit(&number); c; c = take_digit(&number)) {
        buf_char(b, c);
    }
    if (context) {
        buf_cstr(b, ";phone-context=");
        put_lower(b, value);
    }
    return OK;
}

bool sip_unescape(struct buf *b, struct span text) {
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] != '%') {
            buf_char(b, text.p[i]);
            continue;
        }
        if (text.n - i < 3 || !lex_is(text.p[i + 1], LEX_HEX) || !lex_is(text.p[i + 2], LEX_HEX)) {
            return false;
        }
        buf_char(b, (char)(lex_hex(text.p[i + 1]) << 4 | lex_hex(text.p[i + 2])));
        i += 2;
    }
    return true;
}

uint16_t sip_uri_port_or_default(const struct sip_uri *uri) {
    return uri->port ? uri->port : uri->scheme == SIP_URI_SIPS ? 5061 : 5060;
}
