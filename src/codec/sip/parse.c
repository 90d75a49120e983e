/* Reading a SIP message: RFC 3261 section 7, and what 8.1.3, 16.3, 18.3 and 20 ask of every
 * element.
 *
 * Choices. Lines end in CRLF only: a lone CR or LF is refused with 400, since the next element
 * might take it for a line end and see another header than we do. A request whose first Via does
 * not say where to is not answered, nor is an ACK or a response. A Max-Forwards above 255 is
 * malformed, as are a CSeq of 2^31 and more, and the repetition of a header that may stand once
 * (RFC 4475 3.1.2.4, 3.3.8). An unknown method that is another in CSeq gets 501 (RFC
 * 4475 3.1.2.18). A message without its empty line is malformed. */
#include "codec/sip/headers.h"
#include "codec/sip/lex.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

enum { HEADERS_FIRST = 32 };

struct parser {
    struct arena *arena;
    const struct sip_limits *limits;
    struct sip_msg *msg;
    struct sip_fault *fault;
    enum error error; /* OK while nothing is wrong */
    struct sip_header *headers;
    unsigned n_headers, cap_headers;
    char *at, *end;
    uint16_t last[SIP_HEADER_COUNT]; /* of the ids that msg->first knows */
};

struct sip_limits sip_limits_default(void) {
    return (struct sip_limits){.message_max = 65535,
                               .line_max = 16384,
                               .headers_max = 256,
                               .vias_max = 70,
                               .contacts_max = 64,
                               .body_max = 65535};
}

/* Notes what is wrong; the first finding counts. */
static void refuse(struct parser *ps, enum error e, uint16_t status, const char *reason) {
    if (ps->error == OK) {
        ps->error = e;
        *ps->fault = (struct sip_fault){status, reason};
    }
}

static void malformed(struct parser *ps, const char *reason) {
    refuse(ps, ERR_MALFORMED, 400, reason);
}

/* The same, with a header's name behind the reason. */
static void malformed_header(struct parser *ps, const char *reason, enum sip_header_id id) {
    enum { REASON_MAX = 64 };
    if (ps->error != OK) {
        return;
    }
    char *text = arena_alloc(ps->arena, REASON_MAX);
    if (!text) {
        malformed(ps, reason);
        return;
    }
    struct buf b = buf_init(text, REASON_MAX - 1);
    buf_cstr(&b, reason);
    buf_char(&b, ' ');
    buf_put(&b, sip_header_name(id));
    text[b.n] = '\0';
    malformed(ps, text);
}

/* The next control character other than a tab, or end. */
static inline char *next_control(char *p, char *end) {
#if defined(__SSE2__)
    const __m128i last_control = _mm_set1_epi8(0x1f), tab = _mm_set1_epi8('\t');
    for (; end - p >= 16; p += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
        __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(v, last_control), v);
        unsigned found =
            (unsigned)_mm_movemask_epi8(_mm_andnot_si128(_mm_cmpeq_epi8(v, tab), control));
        if (found) {
            return p + __builtin_ctz(found);
        }
    }
#endif
    while (p < end && ((unsigned char)*p >= 0x20 || *p == '\t')) {
        p++;
    }
    return p;
}

/* Takes one line off, folded ones joined (folds: whether it may be). False at the end of the bytes,
 * where no line end came. */
static bool take_line(struct parser *ps, bool folds, struct span *line) {
    char *start = ps->at, *p = start, *end = ps->end;
    size_t ending = 2;
    for (;;) {
        p = next_control(p, end);
        if (p == end) {
            malformed(ps, "Message ends within its header");
            ending = 0;
            break;
        }
        if (p[0] == '\r' && end - p >= 2 && p[1] == '\n') {
            if (p == start || !folds || end - p == 2 || !lex_blank(p[2])) {
                break;
            }
            p[0] = p[1] = ' ';
        } else if (p[0] == '\r' || p[0] == '\n') {
            malformed(ps, "Line break other than CRLF");
            ending = 1;
            break;
        } else if (p == start || p[-1] != '\\') {
            malformed(ps, "Control character in header"); /* behind a backslash: a quoted pair */
            p++;
        } else {
            p++;
        }
    }
    *line = (struct span){start, (size_t)(p - start)};
    ps->at = p + ending;
    if (line->n > ps->limits->line_max) {
        refuse(ps, ERR_TOO_BIG, 513, "Line Too Long");
    }
    return ending != 0;
}

static void parse_status_line(struct parser *ps, struct span line) {
    struct sip_msg *msg = ps->msg;
    uint32_t status;
    struct span code = span_slice(line, 8, 11);
    if (code.n != 3 || !lex_number(code, 999, &status) || status < 100 || status > 699 ||
        (line.n > 11 && line.p[11] != ' ')) {
        malformed(ps, "Malformed status line");
        return;
    }
    msg->status = (uint16_t)status;
    msg->reason = span_after(line, 12);
}

static void parse_request_line(struct parser *ps, struct span line) {
    struct sip_msg *msg = ps->msg;
    msg->is_request = true;
    struct span rest = line;
    msg->method_name = span_cut(&rest, ' ');
    if (!rest.p || msg->method_name.n == 0 || !lex_all(msg->method_name, LEX_TOKEN)) {
        msg->method_name = SPAN_NONE;
        malformed(ps, "Malformed request line");
        return;
    }
    msg->method = sip_method_from(msg->method_name);
    msg->request_uri = span_cut(&rest, ' ');
    if (!rest.p || !span_starts_with_nocase(rest, SPAN("SIP/"))) {
        malformed(ps, "Malformed request line");
        return;
    }
    if (!span_eq_nocase(rest, SPAN("SIP/2.0"))) {
        bool is_version = lex_all(span_after(rest, 4), LEX_DIGIT | LEX_HOST);
        refuse(ps, is_version ? ERR_UNSUPPORTED : ERR_MALFORMED, is_version ? 505 : 400,
               is_version ? "Version Not Supported" : "Malformed request line");
        return;
    }
    if (sip_uri_parse(msg->request_uri, &msg->uri) != OK || msg->uri.headers.p) {
        malformed(ps, "Malformed Request-URI");
    }
}

static void parse_start_line(struct parser *ps) {
    struct span line;
    take_line(ps, false, &line);
    if (line.n > 8 && span_starts_with_nocase(line, SPAN("SIP/2.0 "))) {
        parse_status_line(ps, line);
    } else {
        parse_request_line(ps, line);
    }
}

/* Makes room for one more header. */
static bool grow_headers(struct parser *ps) {
    unsigned cap = ps->cap_headers * 2;
    struct sip_header *bigger = arena_alloc(ps->arena, cap * sizeof *bigger);
    if (!bigger) {
        ps->error = ERR_NO_MEMORY;
        return false;
    }
    memcpy(bigger, ps->headers, ps->n_headers * sizeof *bigger);
    ps->headers = bigger;
    ps->cap_headers = cap;
    return true;
}

/* Offset of the first colon in a line, or its length. */
static inline size_t find_colon(struct span line) {
#if defined(__SSE2__)
    if (line.n >= 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)line.p);
        unsigned found = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(v, _mm_set1_epi8(':')));
        if (found) {
            return (size_t)__builtin_ctz(found);
        }
    }
#endif
    return span_find_char(line, ':');
}

/* Puts one line into the index. */
static void add_header(struct parser *ps, struct span line) {
    struct sip_msg *msg = ps->msg;
    size_t colon = find_colon(line);
    struct span name = {line.p, colon};
    while (name.n && lex_blank(name.p[name.n - 1])) {
        name.n--;
    }
    if (name.n == 0 || colon == line.n || name.n > UINT16_MAX) {
        malformed(ps, "Malformed header line");
        return;
    }
    enum sip_header_id id = sip_header_id_of(name);
    if (id == SIP_H_OTHER && !lex_all(name, LEX_TOKEN)) {
        malformed(ps, "Malformed header name");
        return;
    }
    unsigned position = ps->n_headers++;
    ps->headers[position] = (struct sip_header){.value = lex_trim(span_after(line, colon + 1)),
                                                .name = name.p,
                                                .name_n = (uint16_t)name.n,
                                                .id = (uint16_t)id,
                                                .next = SIP_NO_HEADER};
    if (msg->first[id] == SIP_NO_HEADER) {
        msg->first[id] = (uint16_t)position;
    } else {
        if (sip_header_is_single(id)) {
            malformed_header(ps, "Repeated", id);
        }
        ps->headers[ps->last[id]].next = (uint16_t)position;
    }
    ps->last[id] = (uint16_t)position;
}

/* Reads all lines up to the empty one. False when memory is out. */
static bool parse_headers(struct parser *ps) {
    unsigned max = ps->limits->headers_max < SIP_HEADERS_CAP ? ps->limits->headers_max
                                                             : (unsigned)SIP_HEADERS_CAP;
    char *start = ps->at;
    for (;;) {
        struct span line;
        bool more = take_line(ps, true, &line);
        if (line.n == 0) {
            ps->msg->head = (struct span){start, (size_t)(line.p - start)};
            return true;
        }
        if (ps->n_headers >= max) {
            refuse(ps, ERR_TOO_BIG, 513, "Too Many Headers");
        } else if (ps->n_headers == ps->cap_headers && !grow_headers(ps)) {
            return false;
        } else {
            add_header(ps, line);
        }
        if (!more) {
            ps->msg->head = (struct span){start, (size_t)(ps->at - start)};
            return true;
        }
    }
}

static void check_tag(struct parser *ps, enum sip_header_id id, struct span *tag) {
    struct span display, uri, params, name, value;
    if (!sip_has(ps->msg, id)) {
        malformed_header(ps, "Missing", id);
        return;
    }
    bool is_good = lex_address(sip_value(ps->msg, id), &display, &uri, &params);
    if (is_good) {
        while (sip_param_next(&params, &name, &value)) {
            if (name.n == 3 && span_eq_nocase(name, SPAN("tag"))) {
                *tag = value;
            }
        }
        is_good = params.p == NULL;
    }
    if (!is_good) {
        malformed_header(ps, "Malformed", id);
    }
}

static void check_cseq(struct parser *ps) {
    struct sip_msg *msg = ps->msg;
    struct span rest = sip_value(msg, SIP_H_CSEQ);
    if (!rest.p) {
        malformed(ps, "Missing CSeq");
        return;
    }
    size_t digits = 0;
    while (digits < rest.n && lex_is(rest.p[digits], LEX_DIGIT)) {
        digits++;
    }
    struct span method = span_after(rest, digits);
    lex_skip_blanks(&method);
    if (digits == rest.n || !lex_blank(rest.p[digits]) || method.n == 0 ||
        !lex_all(method, LEX_TOKEN) ||
        !lex_number(span_slice(rest, 0, digits), UINT32_MAX, &msg->cseq) || msg->cseq > INT32_MAX) {
        malformed(ps, "Malformed CSeq");
        return;
    }
    if (!msg->is_request) {
        msg->method_name = method;
        msg->method = sip_method_from(method);
    } else if (!span_eq(method, msg->method_name)) {
        refuse(ps, ERR_MALFORMED, msg->method == SIP_METHOD_OTHER ? 501 : 400,
               "CSeq of another method");
    }
}

/* Refuses more than max values of a list header. Commas are counted first, which never counts too
 * few. */
static void check_count(struct parser *ps, enum sip_header_id id, unsigned max,
                        const char *reason) {
    size_t upper = 0;
    for (const struct sip_header *h = sip_header(ps->msg, id); h; h = sip_header_next(ps->msg, h)) {
        struct span rest = h->value;
        do {
            upper++;
            span_cut(&rest, ',');
        } while (rest.p);
    }
    if (upper > max && sip_list_count(ps->msg, id) > max) {
        refuse(ps, ERR_TOO_BIG, 513, reason);
    }
}

/* The first Via: without its sent-by nobody can be answered. */
static bool check_via(struct parser *ps) {
    struct sip_msg *msg = ps->msg;
    struct span value = sip_value(msg, SIP_H_VIA);
    if (!value.p) {
        malformed(ps, "Missing Via");
        return false;
    }
    size_t end = span_find_char(value, ',');
    if (end < value.n) {
        end = lex_value_end(value);
    }
    if (end == SIZE_MAX || sip_via_parse(lex_trim(span_slice(value, 0, end)), &msg->via) != OK) {
        malformed(ps, "Malformed Via");
        return lex_via_sent_by(value, &msg->via);
    }
    return true;
}

static void check_numbers(struct parser *ps) {
    uint32_t value;
    struct span hops = sip_value(ps->msg, SIP_H_MAX_FORWARDS);
    if (hops.p && (!lex_number(hops, UINT32_MAX, &value) || value > 255)) {
        malformed(ps, "Malformed Max-Forwards");
    }
}

/* Settles where the message ends. */
static void check_body(struct parser *ps, char *start) {
    struct sip_msg *msg = ps->msg;
    size_t rest = (size_t)(ps->end - ps->at), n = rest;
    struct span length = sip_value(msg, SIP_H_CONTENT_LENGTH);
    if (length.p) {
        uint32_t value;
        if (!lex_number(length, UINT32_MAX, &value)) {
            malformed(ps, "Malformed Content-Length");
        } else if (value > rest) {
            if (value > ps->limits->body_max) {
                refuse(ps, ERR_TOO_BIG, 413, "Request Entity Too Large");
            }
            malformed(ps, "Content-Length beyond the end");
        } else {
            n = value;
        }
    }
    if (n > ps->limits->body_max) {
        refuse(ps, ERR_TOO_BIG, 413, "Request Entity Too Large");
    }
    msg->body = (struct span){ps->at, n};
    msg->bytes = (struct span){start, (size_t)(ps->at + n - start)};
}

enum error sip_parse(struct arena *arena, char *bytes, size_t n, const struct sip_limits *limits,
                     struct sip_msg **out, struct sip_fault *fault) {
    struct parser ps = {.arena = arena, .limits = limits, .fault = fault, .at = bytes};
    ps.end = bytes + n;
    *out = NULL;
    *fault = (struct sip_fault){0, "Empty message"};
    while (ps.at < ps.end && (*ps.at == '\r' || *ps.at == '\n')) {
        ps.at++;
    }
    if (ps.at == ps.end) {
        return ERR_INCOMPLETE;
    }
    struct sip_msg *msg =
        arena_alloc(arena, sizeof *msg + HEADERS_FIRST * sizeof(struct sip_header));
    if (!msg) {
        return ERR_NO_MEMORY;
    }
    memset(msg, 0, offsetof(struct sip_msg, first));
    memset(msg->first, 0xff, sizeof msg->first);
    ps.msg = msg;
    ps.headers = (struct sip_header *)(void *)(msg + 1);
    ps.cap_headers = HEADERS_FIRST;
    char *start = ps.at;
    if (n > limits->message_max) {
        refuse(&ps, ERR_TOO_BIG, 513, "Message Too Large");
    }
    parse_start_line(&ps);
    if (!parse_headers(&ps)) {
        return ERR_NO_MEMORY;
    }
    msg->headers = ps.headers;
    msg->n_headers = (uint16_t)ps.n_headers;
    bool answerable = check_via(&ps) && msg->is_request && msg->method != SIP_ACK;
    check_tag(&ps, SIP_H_FROM, &msg->from_tag);
    check_tag(&ps, SIP_H_TO, &msg->to_tag);
    msg->call_id = sip_value(msg, SIP_H_CALL_ID);
    if (msg->call_id.n == 0) {
        malformed_header(&ps, msg->call_id.p ? "Malformed" : "Missing", SIP_H_CALL_ID);
    }
    check_cseq(&ps);
    check_numbers(&ps);
    check_count(&ps, SIP_H_VIA, limits->vias_max, "Too Many Vias");
    check_count(&ps, SIP_H_CONTACT, limits->contacts_max, "Too Many Contacts");
    check_body(&ps, start);
    if (ps.error == OK) {
        *out = msg;
        *fault = (struct sip_fault){0, "OK"};
    } else if (answerable) {
        *out = msg;
    } else {
        fault->status = 0;
    }
    return ps.error;
}

const struct sip_header *sip_header_named(const struct sip_msg *msg, struct span name) {
    enum sip_header_id id = sip_header_id_of(name);
    const struct sip_header *h =
        msg->first[id] == SIP_NO_HEADER ? NULL : &msg->headers[msg->first[id]];
    if (id != SIP_H_OTHER) {
        return h;
    }
    while (h && !span_eq_nocase((struct span){h->name, h->name_n}, name)) {
        h = sip_header_next(msg, h);
    }
    return h;
}
