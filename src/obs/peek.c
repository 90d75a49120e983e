/* First looks into messages, see peek.h. SIP: RFC 3261 clause 7; Diameter: RFC 6733 clauses 3, 4.
 * Everything here is bounded by the message and reads it front to back. */
#include "obs/peek.h"

static bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Cuts the line up to CRLF or LF off *rest. */
static struct span next_line(struct span *rest) {
    struct span line = span_cut(rest, '\n');
    if (line.n && line.p[line.n - 1] == '\r') {
        line.n--;
    }
    return line;
}

static char compact_form(struct span name) {
    static const struct {
        const char *name;
        char compact;
    } forms[] = {
        {"Call-ID", 'i'}, {"Contact", 'm'}, {"From", 'f'},
        {"To", 't'},      {"Via", 'v'},     {"Supported", 'k'},
    };
    for (size_t i = 0; i < COUNT_OF(forms); i++) {
        if (span_eq_nocase(name, span_from_cstr(forms[i].name))) {
            return forms[i].compact;
        }
    }
    return 0;
}

struct span peek_sip_header(struct span message, const char *name, size_t nth) {
    struct span rest = message, wanted = span_from_cstr(name);
    char compact = compact_form(wanted);
    (void)next_line(&rest);
    while (rest.p) {
        struct span line = next_line(&rest);
        if (line.n == 0) {
            break;
        }
        size_t colon = span_find_char(line, ':');
        if (colon == line.n || is_space(line.p[0])) {
            continue;
        }
        struct span field = span_trim(span_slice(line, 0, colon));
        bool same = span_eq_nocase(field, wanted) ||
                    (compact && field.n == 1 && (field.p[0] | 0x20) == compact);
        if (same && nth-- == 0) {
            return span_trim(span_after(line, colon + 1));
        }
    }
    return SPAN_NONE;
}

bool peek_sip(struct span message, struct peek_sip *out) {
    struct span rest = message, line = next_line(&rest);
    *out = (struct peek_sip){0};
    if (span_starts_with(line, SPAN("SIP/2.0 "))) {
        struct span status = span_after(line, 8);
        uint32_t code;
        if (!span_to_u32(span_slice(status, 0, 3), 699, &code) || code < 100) {
            return false;
        }
        out->status = code;
        out->reason = span_trim(span_after(status, 3));
        struct span cseq = peek_sip_header(message, "CSeq", 0);
        (void)span_cut(&cseq, ' ');
        out->method = span_trim(cseq);
        return true;
    }
    out->request = true;
    out->method = span_cut(&line, ' ');
    out->uri = span_cut(&line, ' ');
    return out->method.n && out->uri.n && span_starts_with(line, SPAN("SIP/"));
}

struct span peek_sip_param(struct span value, const char *name) {
    struct span wanted = span_from_cstr(name);
    for (size_t i = 0; i + wanted.n < value.n; i++) {
        bool begins =
            i == 0 || value.p[i - 1] == ';' || value.p[i - 1] == ',' || is_space(value.p[i - 1]);
        if (!begins || value.p[i + wanted.n] != '=' ||
            !span_eq_nocase(span_slice(value, i, i + wanted.n), wanted)) {
            continue;
        }
        struct span v = span_after(value, i + wanted.n + 1);
        if (v.n && v.p[0] == '"') {
            v = span_after(v, 1);
            return span_slice(v, 0, span_find_char(v, '"'));
        }
        size_t end = 0;
        while (end < v.n && v.p[end] != ';' && v.p[end] != ',' && v.p[end] != '>' &&
               !is_space(v.p[end])) {
            end++;
        }
        return span_slice(v, 0, end);
    }
    return SPAN_NONE;
}

static uint32_t u24(const char *p) {
    const uint8_t *b = (const uint8_t *)p;
    return (uint32_t)b[0] << 16 | (uint32_t)b[1] << 8 | b[2];
}

static uint32_t u32(const char *p) {
    return (uint32_t)(uint8_t)p[0] << 24 | u24(p + 1);
}

bool peek_u32(struct span data, uint32_t *out) {
    if (data.n != 4) {
        return false;
    }
    *out = u32(data.p);
    return true;
}

enum { DIAMETER_HEADER = 20, AVP_HEADER = 8, FLAG_REQUEST = 0x80, FLAG_VENDOR = 0x80 };

bool peek_diameter(struct span message, struct peek_diameter *out) {
    if (message.n < DIAMETER_HEADER || message.p[0] != 1) {
        return false;
    }
    uint8_t flags = (uint8_t)message.p[4];
    uint32_t length = u24(message.p + 1);
    *out = (struct peek_diameter){
        .request = flags & FLAG_REQUEST,
        .error = flags & 0x20,
        .retransmitted = flags & 0x10,
        .command = u24(message.p + 5),
        .application = u32(message.p + 8),
        .hop_by_hop = u32(message.p + 12),
        .end_to_end = u32(message.p + 16),
        .avps = span_slice(message, DIAMETER_HEADER, length),
    };
    return length >= DIAMETER_HEADER;
}

bool peek_avp_next(struct span *rest, struct peek_avp *out) {
    if (rest->n < AVP_HEADER) {
        return false;
    }
    const char *p = rest->p;
    uint8_t flags = (uint8_t)p[4];
    size_t length = u24(p + 5), header = flags & FLAG_VENDOR ? AVP_HEADER + 4 : AVP_HEADER;
    if (length < header || length > rest->n) {
        return false;
    }
    *out = (struct peek_avp){
        .code = u32(p),
        .vendor = flags & FLAG_VENDOR ? u32(p + 8) : 0,
        .flags = flags,
        .data = span_of(p + header, length - header),
    };
    *rest = span_after(*rest, (length + 3) & ~(size_t)3);
    return true;
}

struct span peek_avp(struct span avps, uint32_t code, uint32_t vendor) {
    struct peek_avp avp;
    while (peek_avp_next(&avps, &avp)) {
        if (avp.code == code && avp.vendor == vendor) {
            return avp.data;
        }
    }
    return SPAN_NONE;
}
