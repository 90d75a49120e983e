#include "stack/http/web.h"

#include <stdio.h>

static int hex_value(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }
    return -1;
}

bool web_decode(struct span text, bool in_query, struct buf *out) {
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c == '%') {
            int high = i + 2 < text.n ? hex_value(text.p[i + 1]) : -1;
            int low = high >= 0 ? hex_value(text.p[i + 2]) : -1;
            if (low < 0 || (high == 0 && low == 0)) {
                return false;
            }
            c = (char)(high << 4 | low);
            i += 2;
        } else if (c == '+' && in_query) {
            c = ' ';
        }
        buf_char(out, c);
    }
    return !out->overflow;
}

static bool is_unreserved(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

void web_encode(struct buf *out, struct span text) {
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (is_unreserved((char)c)) {
            buf_char(out, (char)c);
        } else {
            buf_char(out, '%');
            buf_char(out, digits[c >> 4]);
            buf_char(out, digits[c & 15]);
        }
    }
}

bool web_path_segment(struct span *path, struct span *segment) {
    while (path->n && path->p[0] == '/') {
        *path = span_after(*path, 1);
    }
    if (!path->n) {
        return false;
    }
    size_t n = span_find_char(*path, '/');
    *segment = span_slice(*path, 0, n);
    *path = span_after(*path, n);
    return true;
}

bool web_query(struct span query, struct span name, struct buf *out) {
    for (struct span rest = query; rest.p && rest.n;) {
        struct span value = span_cut(&rest, '&');
        struct span key = span_cut(&value, '=');
        char decoded[128];
        struct buf b = buf_init(decoded, sizeof decoded);
        if (web_decode(key, true, &b) && span_eq(buf_span(&b), name)) {
            return web_decode(value, true, out);
        }
    }
    return false;
}

static void refuse(web_answer_fn *answer, void *answer_ctx, unsigned status, const char *text,
                   const struct web_header *header) {
    char body[640];
    struct buf b = buf_init(body, sizeof body);
    buf_printf(&b, "{\"status\": %u, \"title\": \"%s\", \"detail\": \"", status,
               web_status_text(status));
    for (const char *at = text; *at && b.n < sizeof body - 16; at++) {
        if (*at == '"' || *at == '\\') {
            buf_char(&b, '\\');
        }
        buf_char(&b, (unsigned char)*at < 0x20 ? ' ' : *at);
    }
    buf_cstr(&b, "\"}\n");
    struct web_answer refusal = {
        .status = status, .content_type = SPAN("application/problem+json"), .body = buf_span(&b)};
    refusal.headers = header;
    refusal.n_headers = header ? 1 : 0;
    answer(answer_ctx, &refusal);
}

void web_refuse(web_answer_fn *answer, void *answer_ctx, unsigned status, const char *text) {
    refuse(answer, answer_ctx, status, text, NULL);
}

void web_refuse_method_of(web_answer_fn *answer, void *answer_ctx, const char *allowed) {
    const struct web_header allow = {SPAN("Allow"), span_from_cstr(allowed)};
    char text[80];
    snprintf(text, sizeof text, "what can be done here: %s", allowed);
    refuse(answer, answer_ctx, 405, text, &allow);
}

const char *web_status_text(unsigned status) {
    static const struct {
        unsigned status;
        const char *text;
    } texts[] = {
        {200, "OK"},
        {201, "Created"},
        {204, "No Content"},
        {304, "Not Modified"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {411, "Length Required"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {415, "Unsupported Media Type"},
        {428, "Precondition Required"},
        {431, "Request Header Fields Too Large"},
        {505, "HTTP Version Not Supported"},
        {422, "Unprocessable Content"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
    };
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        if (texts[i].status == status) {
            return texts[i].text;
        }
    }
    return "Unknown";
}
