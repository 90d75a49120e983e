/* llhttp reads (RFC 9112). Before it, the bytes are looked at for what it takes and others would
 * take for something else; behind it, what the fields say together. */
#include "stack/http/message.h"

enum {
    FRAMING_MAX = 4096, /* bytes of sizes, extensions and trailers between two pieces of a body */
};

/* The head as a whole. */

enum http_scan http_head_scan(struct span bytes, size_t *scanned, size_t *head_n) {
    for (size_t i = *scanned; i < bytes.n; i++) {
        char c = bytes.p[i], before = i ? bytes.p[i - 1] : '\0';
        bool control =
            ((unsigned char)c < 0x20 && c != '\t' && c != '\r' && c != '\n') || c == 0x7f;

        bool folded = before == '\n' && (c == ' ' || c == '\t');

        if (control || folded || (c == '\n') != (before == '\r')) {
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

static struct http_head *head_of(llhttp_t *p) {
    return p->data;
}

static int on_method(llhttp_t *p, const char *at, size_t n) {
    head_of(p)->method = span_of(at, n);
    return 0;
}

static int on_url(llhttp_t *p, const char *at, size_t n) {
    head_of(p)->target = span_of(at, n);
    return 0;
}

static int on_field(llhttp_t *p, const char *at, size_t n) {
    struct http_head *h = head_of(p);

    if (h->n_fields == HTTP_FIELDS_MAX) {
        return HPE_USER;
    }
    h->fields[h->n_fields].name = span_of(at, n);
    h->fields[h->n_fields].value = span_of(at + n, 0);
    return 0;
}

static int on_value(llhttp_t *p, const char *at, size_t n) {
    struct http_head *h = head_of(p);

    h->fields[h->n_fields].value = trim_blanks(span_of(at, n));
    return 0;
}

static int on_value_complete(llhttp_t *p) {
    struct http_head *h = head_of(p);

    return h->fields[h->n_fields++].name.n ? 0 : HPE_INVALID_HEADER_TOKEN;
}

static int pause(llhttp_t *p) {
    (void)p;
    return HPE_PAUSED;
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

/* What llhttp leaves of the body's framing (RFC 9112 6.3): it has refused repeated lengths, and
 * lengths beside codings. */
static const char *judge_length(const struct http_head *h, unsigned minor) {
    bool codings, repeated;
    struct span coding = http_field(h, SPAN("transfer-encoding"), &codings);
    struct span te = http_field(h, SPAN("te"), &repeated);

    if (codings || (coding.p && (minor == 0 || !span_eq_nocase(coding, SPAN("chunked"))))) {
        return "the only transfer coding is chunked, once, of HTTP/1.1";
    }
    return repeated || !is_te(te) ? "TE has an unknown transfer coding" : NULL;
}

/* What decides about a request stands there once: of two values, one would not be heeded. */
static bool has_repeats(const struct http_head *h) {
    static const struct span names[] = {SPAN_INIT("authorization"), SPAN_INIT("content-type"),
                                        SPAN_INIT("if-match"), SPAN_INIT("if-none-match")};
    bool any = false;

    for (size_t i = 0; i < COUNT_OF(names) && !any; i++) {
        (void)http_field(h, names[i], &any);
    }
    return any;
}

/* What is said of the connection. */
static const char *judge_connection(struct http_head *h, unsigned minor, struct span authority) {
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

/* What llhttp says of a head that it does not take. */
static unsigned refuse(const llhttp_t *p, enum llhttp_errno e, const char **why) {
    if (e == HPE_USER) {
        *why = "too many fields";
        return 431;
    }
    if (e == HPE_INVALID_VERSION || e == HPE_PAUSED) {
        *why = "HTTP/1.1 and HTTP/1.0 are spoken here";
        return 505;
    }
    if (e == HPE_INVALID_METHOD) {
        *why = "this method is not known";
        return 501;
    }
    if (e == HPE_INVALID_HEADER_TOKEN) {
        *why = "a field is not NAME: VALUE on a line of its own";
        return 400;
    }
    *why = llhttp_get_error_reason(p);
    *why = *why && **why ? *why : "this is no request of HTTP/1.1";
    return 400;
}

unsigned http_head_parse(struct span bytes, struct http_head *out, const char **why) {
    static const llhttp_settings_t settings = {.on_method = on_method,
                                               .on_url = on_url,
                                               .on_header_field = on_field,
                                               .on_header_value = on_value,
                                               .on_header_value_complete = on_value_complete,
                                               .on_headers_complete = pause};
    struct span authority = SPAN_NONE;
    llhttp_t p;

    *out = (struct http_head){.n_fields = 0};
    llhttp_init(&p, HTTP_REQUEST, &settings);
    p.data = out;
    enum llhttp_errno e = llhttp_execute(&p, bytes.p, bytes.n);
    if (e != HPE_PAUSED || p.http_major != 1) {
        return refuse(&p, e, why);
    }
    out->chunked = p.flags & F_CHUNKED;
    out->length = out->chunked ? 0 : p.content_length;
    *why = NULL;
    if (out->target.p[0] != '/' && !split_absolute(out, &authority)) {
        *why = "the target is a path";
    }
    *why = *why ? *why : judge_length(out, p.http_minor);
    *why = *why ? *why : judge_connection(out, p.http_minor, authority);
    if (!*why && has_repeats(out)) {
        *why = "Authorization, Content-Type, If-Match and If-None-Match stand there once at most";
    }
    return *why ? 400 : 0;
}

/* Chunks. */

static int on_body(llhttp_t *p, const char *at, size_t n) {
    *(struct span *)p->data = span_of(at, n);
    return 0;
}

static int on_end(llhttp_t *p) {
    *(struct span *)p->data = SPAN_NONE;
    return HPE_PAUSED;
}

void http_chunks_init(struct http_chunks *c) {
    static const struct span head =
        SPAN_INIT("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
    static const llhttp_settings_t settings = {
        .on_body = on_body, .on_chunk_header = pause, .on_message_complete = on_end};

    llhttp_init(&c->parser, HTTP_REQUEST, &settings);
    (void)llhttp_execute(&c->parser, head.p, head.n);
    c->framing = 0;
}

/* llhttp is paused behind each size, so that there is one piece of a body at most at a time. */
enum http_chunk http_chunks_take(struct http_chunks *c, struct span *in, struct span *data) {
    while (in->n) {
        size_t before = in->n;

        *data = span_of("", 0);
        c->parser.data = data;
        enum llhttp_errno e = llhttp_execute(&c->parser, in->p, in->n);
        bool paused = e == HPE_PAUSED;
        if (e != HPE_OK && !paused) {
            return HTTP_CHUNK_BAD;
        }
        size_t taken = paused ? (size_t)(llhttp_get_error_pos(&c->parser) - in->p) : in->n;
        *in = span_after(*in, taken);
        if (paused) {
            llhttp_resume(&c->parser);
        }
        char before_last = taken > 1 ? in->p[-2] : c->last;
        c->last = taken ? in->p[-1] : c->last;
        if (!data->p) { /* llhttp takes a bare LF there */
            return before_last == '\r' ? HTTP_CHUNK_END : HTTP_CHUNK_BAD;
        }
        c->framing = data->n ? 0 : c->framing + (before - in->n);
        if (c->framing > FRAMING_MAX) {
            return HTTP_CHUNK_BAD;
        }
        if (data->n) {
            return HTTP_CHUNK_DATA;
        }
    }
    return HTTP_CHUNK_MORE;
}
