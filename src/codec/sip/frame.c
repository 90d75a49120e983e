/* Only what it takes to find the end: sip_parse looks at the message itself. A folded
 * Content-Length is refused here, so that no two readers of a stream can differ about it. */
#include "codec/sip/frame.h"

#include "codec/sip/lex.h"

#define HEADER_END "\r\n\r\n"

/* The value of a header line if it is Content-Length. */
static bool is_content_length(struct span line, struct span *value) {
    size_t colon = span_find_char(line, ':');
    struct span name = lex_trim(span_slice(line, 0, colon));
    if (colon == line.n ||
        !(span_eq_nocase(name, SPAN("Content-Length")) || span_eq_nocase(name, SPAN("l")))) {
        return false;
    }
    *value = lex_trim(span_after(line, colon + 1));
    return true;
}

static bool is_folded(struct span rest) {
    return rest.n > 0 && lex_blank(rest.p[0]);
}

/* Reads every Content-Length of a header; false unless there is one number. */
static bool read_length(struct span header, uint32_t *out) {
    bool found = false;
    while (header.n) {
        const char *end = memmem(header.p, header.n, "\r\n", 2);
        size_t n = end ? (size_t)(end - header.p) : header.n;
        struct span line = span_slice(header, 0, n), value;
        header = span_after(header, n + 2 < header.n ? n + 2 : header.n);
        if (line.n == 0 || ((line.p[0] | 0x20) != 'c' && (line.p[0] | 0x20) != 'l') ||
            !is_content_length(line, &value)) {
            continue;
        }
        uint32_t number;
        if (is_folded(header) || !lex_number(value, UINT32_MAX, &number) ||
            (found && number != *out)) {
            return false;
        }
        *out = number;
        found = true;
    }
    return found;
}

enum error sip_frame(struct sip_framing *framing, const char *bytes, size_t n,
                     const struct sip_limits *limits, size_t *length) {
    const size_t end_n = sizeof HEADER_END - 1;
    size_t from = framing->scanned;
    const char *end = n > from ? memmem(bytes + from, n - from, HEADER_END, end_n) : NULL;
    *length = n;
    if (!end) {
        framing->scanned = n > end_n - 1 ? n - (end_n - 1) : 0;
        return n > limits->message_max ? ERR_TOO_BIG : ERR_INCOMPLETE;
    }
    size_t header = (size_t)(end - bytes) + end_n;
    uint32_t body = 0;
    framing->scanned = header - end_n;
    *length = header;
    if (header > limits->message_max) {
        return ERR_TOO_BIG;
    }
    if (!read_length((struct span){bytes, header - end_n}, &body)) {
        return ERR_MALFORMED;
    }
    if (body > limits->body_max || body > limits->message_max - header) {
        return ERR_TOO_BIG;
    }
    if (body > n - header) {
        return ERR_INCOMPLETE;
    }
    *length = header + body;
    return OK;
}
