/* RFC 9112 3 (request line), 5 (fields), 6 (body length), 7.1 (chunks); RFC 9110 5.6.2 (tokens).
 * Where the RFC leaves it to the reader whether to be lenient, this one is not. */
#include "stack/http/message.h"

static bool is_token_char(char c) {
    static const char others[] = "!#$%&'*+-.^_`|~";

    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr(others, c));
}

static bool is_token(struct span s) {
    for (size_t i = 0; i < s.n; i++) {
        if (!is_token_char(s.p[i])) {
            return false;
        }
    }
    return s.n > 0;
}

/* The head as a whole. */

enum http_scan http_head_scan(struct span bytes, size_t *scanned, size_t *head_n) {
    for (size_t i = *scanned; i < bytes.n; i++) {
        char c = bytes.p[i], before = i ? bytes.p[i - 1] : '\0';
        bool control =
            ((unsigned char)c < 0x20 && c != '\t' && c != '\r' && c != '\n') || c == 0x7f;

        if (control || (c == '\n') != (before == '\r')) {
            return HTTP_BAD;
        }
        if (c == '\n' && i >= 3 && bytes.p[i - 2] == '\n') {
            *head_n = i + 1;
            *scanned = i + 1;
            return HTTP_WHOLE;
        }
    }
    *scanned = bytes.n;
    return HTTP_MORE;
}

/* Cuts the next line off, without its CRLF. */
static struct span next_line(struct span *rest) {
    struct span line = span_slice(*rest, 0, span_find(*rest, SPAN("\r\n")));

    *rest = span_after(*rest, line.n + 2);
    return line;
}

static struct span trim_blanks(struct span s) {
    while (s.n && (s.p[0] == ' ' || s.p[0] == '\t')) {
        s = span_after(s, 1);
    }
    while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t')) {
        s.n--;
    }
    return s;
}

/* The request line. */

/* "http://host/path" is "/path" of that host (RFC 9112 3.2.2). */
static bool split_absolute(struct http_head *h, struct span *authority) {
    static const struct span schemes[] = {SPAN_INIT("http://"), SPAN_INIT("https://")};

    for (size_t i = 0; i < COUNT_OF(schemes); i++) {
        if (span_starts_with_nocase(h->target, schemes[i])) {
            struct span rest = span_after(h->target, schemes[i].n);

            *authority = span_slice(rest, 0, span_find_char(rest, '/'));
            h->target = span_after(rest, authority->n);
            return h->target.n > 0;
        }
    }
    return false;
}

static bool is_target(struct span s) {
    for (size_t i = 0; i < s.n; i++) {
        if ((unsigned char)s.p[i] <= ' ' || (unsigned char)s.p[i] >= 0x7f || s.p[i] == '#') {
            return false;
        }
    }
    return s.n > 0;
}

static unsigned parse_request_line(struct span line, struct http_head *out, unsigned *minor,
                                   struct span *authority, const char **why) {
    out->method = span_cut(&line, ' ');
    out->target = span_cut(&line, ' ');
    if (!is_token(out->method) || out->method.n > HTTP_METHOD_MAX || !is_target(out->target)) {
        *why = "the request line is not METHOD TARGET HTTP/1.1";
        return 400;
    }
    if (!span_eq(line, SPAN("HTTP/1.1")) && !span_eq(line, SPAN("HTTP/1.0"))) {
        *why = "HTTP/1.1 and HTTP/1.0 are spoken here";
        return span_starts_with(line, SPAN("HTTP/")) ? 505 : 400;
    }
    *minor = line.p[line.n - 1] == '1';
    if (out->target.p[0] != '/' && !split_absolute(out, authority)) {
        *why = "the target is a path";
        return 400;
    }
    return 0;
}

/* Fields. */

static bool parse_field(struct span line, struct http_field *out) {
    size_t colon = span_find_char(line, ':');

    if (colon == line.n) {
        return false;
    }
    out->name = span_slice(line, 0, colon); /* a folded line begins with a blank: no token */
    out->value = trim_blanks(span_after(line, colon + 1));
    return is_token(out->name);
}

static unsigned parse_fields(struct span rest, struct http_head *out, const char **why) {
    for (struct span line; (line = next_line(&rest)).n > 0;) {
        if (out->n_fields == HTTP_FIELDS_MAX) {
            *why = "too many fields";
            return 431;
        }
        if (!parse_field(line, &out->fields[out->n_fields])) {
            *why = "a field is not NAME: VALUE on a line of its own";
            return 400;
        }
        out->n_fields++;
    }
    return 0;
}

struct span http_field(const struct http_head *head, struct span name, bool *repeated) {
    struct span value = SPAN_NONE;
    size_t n = 0;

    for (size_t i = 0; i < head->n_fields; i++) {
        if (span_eq_nocase(head->fields[i].name, name)) {
            value = head->fields[i].value;
            n++;
        }
    }
    if (repeated) {
        *repeated = n > 1;
    }
    return n == 1 ? value : SPAN_NONE;
}

/* Is `word` one of the members of a list, compared without regard to case? */
static bool has_member(struct span list, struct span word) {
    while (list.p) {
        if (span_eq_nocase(trim_blanks(span_cut(&list, ',')), word)) {
            return true;
        }
    }
    return false;
}

/* TE tells which codings the client can read (RFC 9110 10.1.4): we use none, but somebody on the
 * way may, so it has to be sound. */
static bool is_te(struct span list) {
    static const struct span known[] = {SPAN_INIT("trailers"), SPAN_INIT("chunked"),
                                        SPAN_INIT("gzip"),     SPAN_INIT("x-gzip"),
                                        SPAN_INIT("deflate"),  SPAN_INIT("compress")};

    while (list.p) {
        struct span member = span_cut(&list, ','), coding = trim_blanks(span_cut(&member, ';'));
        size_t i = 0;

        while (i < COUNT_OF(known) && !span_eq_nocase(coding, known[i])) {
            i++;
        }
        if (i == COUNT_OF(known) && coding.n) {
            return false;
        }
    }
    return true;
}

/* How long is the body (RFC 9112 6.3)? */
static const char *parse_length(struct http_head *h, unsigned minor) {
    bool lengths, codings, repeated;
    struct span length = http_field(h, SPAN("content-length"), &lengths);
    struct span coding = http_field(h, SPAN("transfer-encoding"), &codings);
    struct span te = http_field(h, SPAN("te"), &repeated);

    if (lengths || codings || (length.p && coding.p)) {
        return "repeated or contradicting Content-Length and Transfer-Encoding";
    }
    if (length.p && !span_to_u64(length, INT64_MAX, &h->length)) {
        return "Content-Length is not a number";
    }
    if (coding.p && (minor == 0 || !span_eq_nocase(coding, SPAN("chunked")))) {
        return "the only transfer coding is chunked, of HTTP/1.1";
    }
    if (repeated || !is_te(te)) {
        return "TE has an unknown transfer coding";
    }
    h->chunked = coding.p != NULL;
    return NULL;
}

/* What is said of the connection. */
static const char *parse_connection(struct http_head *h, unsigned minor, struct span authority) {
    bool hosts;
    struct span expect = http_field(h, SPAN("expect"), NULL);

    h->host = http_field(h, SPAN("host"), &hosts);
    if (hosts || (!h->host.p && minor > 0)) {
        return "one Host is needed";
    }
    if (authority.p && !span_eq_nocase(authority, h->host)) {
        return "Host and target name different hosts";
    }
    h->closes = minor == 0;
    for (size_t i = 0; i < h->n_fields; i++) {
        if (span_eq_nocase(h->fields[i].name, SPAN("connection"))) {
            h->closes |= has_member(h->fields[i].value, SPAN("close"));
        }
    }
    h->expects_continue = minor > 0 && span_eq_nocase(expect, SPAN("100-continue"));
    return NULL;
}

unsigned http_head_parse(struct span bytes, struct http_head *out, const char **why) {
    struct span authority = SPAN_NONE;
    unsigned minor = 1;

    *out = (struct http_head){.n_fields = 0};
    unsigned status = parse_request_line(next_line(&bytes), out, &minor, &authority, why);
    if (!status) {
        status = parse_fields(bytes, out, why);
    }
    if (!status) {
        *why = parse_length(out, minor);
        *why = *why ? *why : parse_connection(out, minor, authority);
        status = *why ? 400 : 0;
    }
    return status;
}

/* Chunks. */

enum state { SIZE, EXTENSION, SIZE_LF, DATA, DATA_CR, DATA_LF, LINE, TRAILER, TRAILER_LF, LAST_LF };

enum { DIGITS_MAX = 15, EXTENSION_MAX = 256, TRAILER_MAX = 4096 };

static int hex_digit(char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* A text that is read over, up to its CR. */
static bool pass_over(struct http_chunks *c, char byte, enum state after) {
    if (byte == '\r') {
        c->state = after;
        return true;
    }
    return ((unsigned char)byte >= ' ' || byte == '\t') && byte != 0x7f && c->digits-- > 0;
}

static bool take_size(struct http_chunks *c, char byte) {
    int digit = hex_digit(byte);

    if (digit >= 0) {
        c->left = c->left << 4 | (unsigned)digit;
        return ++c->digits <= DIGITS_MAX;
    }
    if (c->digits == 0 || (byte != '\r' && byte != ';')) {
        return false;
    }
    c->digits = EXTENSION_MAX;
    c->state = byte == '\r' ? SIZE_LF : EXTENSION;
    return true;
}

/* One byte that is not of the body. False: it may not stand there. */
static bool take_byte(struct http_chunks *c, char byte) {
    switch ((enum state)c->state) {
    case SIZE:
        return take_size(c, byte);
    case EXTENSION:
        return pass_over(c, byte, SIZE_LF);
    case SIZE_LF:
        c->state = c->left ? DATA : LINE;
        c->digits = c->left ? 0 : TRAILER_MAX;
        return byte == '\n';
    case DATA_CR:
        c->state = DATA_LF;
        return byte == '\r';
    case DATA_LF:
        c->state = SIZE;
        c->digits = 0;
        return byte == '\n';
    case LINE:
        c->state = byte == '\r' ? LAST_LF : TRAILER;
        return byte == '\r' || is_token_char(byte);
    case TRAILER:
        return pass_over(c, byte, TRAILER_LF);
    case TRAILER_LF:
        c->state = LINE;
        return byte == '\n';
    case LAST_LF:
        return byte == '\n';
    case DATA:
        break;
    }
    return false;
}

enum http_chunk http_chunks_take(struct http_chunks *c, struct span *in, struct span *data) {
    while (in->n) {
        if (c->state == DATA) {
            *data = span_slice(*in, 0, (size_t)(c->left < in->n ? c->left : in->n));
            *in = span_after(*in, data->n);
            c->left -= data->n;
            c->state = c->left ? DATA : DATA_CR;
            return HTTP_CHUNK_DATA;
        }
        bool last = c->state == LAST_LF;
        char byte = in->p[0];

        *in = span_after(*in, 1);
        if (!take_byte(c, byte)) {
            return HTTP_CHUNK_BAD;
        }
        if (last) {
            return HTTP_CHUNK_END;
        }
    }
    return HTTP_CHUNK_MORE;
}
