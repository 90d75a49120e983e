/* Writing SIP messages: RFC 3261 section 7, 8.2.6 (what an answer takes from its request), 18.2.1
 * and RFC 3581 (received and rport). Choices: lines copied from a received message keep the names
 * they have there, compact ones too; a stamped Via has rport and received behind all its other
 * parameters.
 */
#include "codec/sip/build.h"

#include "codec/sip/lex.h"

static const struct span crlf = SPAN_INIT("\r\n");

void sip_put_request_line(struct buf *b, struct span method, struct span uri) {
    buf_put(b, method);
    buf_char(b, ' ');
    buf_put(b, uri);
    buf_put(b, SPAN(" SIP/2.0\r\n"));
}

void sip_put_status_line(struct buf *b, unsigned status, struct span reason) {
    buf_put(b, SPAN("SIP/2.0 "));
    buf_u64(b, status);
    buf_char(b, ' ');
    buf_put(b, reason.n ? reason : sip_reason_phrase(status));
    buf_put(b, crlf);
}

void sip_put_named(struct buf *b, struct span name, struct span value) {
    buf_put(b, name);
    buf_bytes(b, ": ", 2);
    buf_put(b, value);
    buf_put(b, crlf);
}

void sip_put(struct buf *b, enum sip_header_id id, struct span value) {
    sip_put_named(b, sip_header_name(id), value);
}

void sip_put_begin(struct buf *b, enum sip_header_id id) {
    buf_put(b, sip_header_name(id));
    buf_bytes(b, ": ", 2);
}

void sip_put_number(struct buf *b, enum sip_header_id id, uint64_t value) {
    sip_put_begin(b, id);
    buf_u64(b, value);
    buf_put(b, crlf);
}

void sip_put_quoted(struct buf *b, struct span text) {
    buf_char(b, '"');
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if ((unsigned char)c < 0x20 || c == 0x7f) {
            continue;
        }
        if (c == '"' || c == '\\') {
            buf_char(b, '\\');
        }
        buf_char(b, c);
    }
    buf_char(b, '"');
}

void sip_put_body(struct buf *b, struct span body) {
    buf_put(b, SPAN("Content-Length: "));
    buf_u64(b, body.n);
    buf_put(b, SPAN("\r\n\r\n"));
    buf_put(b, body);
}

void sip_put_via(struct buf *b, struct span transport, struct span sent_by, struct span params,
                 struct span branch) {
    buf_put(b, SPAN("SIP/2.0/"));
    buf_put(b, transport);
    buf_char(b, ' ');
    buf_put(b, sent_by);
    buf_put(b, params);
    buf_put(b, SPAN(";branch="));
    buf_put(b, branch);
}

/* It offers keep-alives and has not been answered. */
static bool takes_keep(const struct sip_via *via, uint32_t keep_s) {
    return via->keep && via->keep_s == 0 && keep_s;
}

bool sip_via_needs_stamp(const struct sip_via *via, const struct addr *from, uint32_t keep_s) {
    struct addr host;
    return via->rport || takes_keep(via, keep_s) || via->received.p ||
           !addr_parse_host(via->host, 0, &host) || !addr_same_host(&host, from);
}

void sip_put_via_stamped(struct buf *b, const struct sip_via *via, const struct addr *from,
                         uint32_t keep_s) {
    const char *start = via->text.p;
    size_t head = via->params.p ? (size_t)(via->params.p - 1 - start) : via->text.n;
    buf_put(b, lex_trim(span_slice(via->text, 0, head)));
    struct span rest = via->params, name, value;
    while (sip_param_next(&rest, &name, &value)) {
        if (span_eq_nocase(name, SPAN("rport")) || span_eq_nocase(name, SPAN("received"))) {
            continue;
        }
        size_t n = (size_t)(rest.p - name.p) - (rest.n > 0);
        buf_char(b, ';');
        buf_put(b, lex_trim((struct span){name.p, n}));
        if (takes_keep(via, keep_s) && span_eq_nocase(name, SPAN("keep"))) {
            buf_char(b, '=');
            buf_u64(b, keep_s);
        }
    }
    if (via->rport) {
        buf_put(b, SPAN(";rport="));
        buf_u64(b, from->port);
    }
    struct addr host;
    if (via->rport || !addr_parse_host(via->host, 0, &host) || !addr_same_host(&host, from)) {
        char text[64];
        struct buf ip = buf_init(text, sizeof text);
        addr_put_host(&ip, from);
        struct span received = buf_span(&ip);
        if (received.n && received.p[0] == '[') {
            received = span_slice(received, 1, received.n - 1);
        }
        buf_put(b, SPAN(";received="));
        buf_put(b, received);
    }
}

/* A line as it was received, trailing blanks left out. */
static void copy_line(struct buf *b, const struct sip_header *h) {
    buf_bytes(b, h->name, (size_t)(h->value.p - h->name) + h->value.n);
    buf_put(b, crlf);
}

/* The first Via line, its first value stamped. */
static void copy_stamped(struct buf *b, const struct sip_msg *msg, const struct sip_header *h) {
    buf_bytes(b, h->name, h->name_n);
    buf_bytes(b, ": ", 2);
    buf_put(b, msg->stamped_via);
    const char *end = msg->via.text.p + msg->via.text.n;
    buf_bytes(b, end, (size_t)(h->value.p + h->value.n - end));
    buf_put(b, crlf);
}

void sip_copy(struct buf *b, const struct sip_msg *msg, enum sip_header_id id) {
    const struct sip_header *h = sip_header(msg, id);
    if (h && id == SIP_H_VIA && msg->stamped_via.n) {
        copy_stamped(b, msg, h);
        h = sip_header_next(msg, h);
    }
    for (; h; h = sip_header_next(msg, h)) {
        copy_line(b, h);
    }
}

void sip_put_reply(struct buf *b, const struct sip_msg *request, unsigned status,
                   struct span reason, struct span to_tag) {
    sip_put_status_line(b, status, reason);
    sip_copy(b, request, SIP_H_VIA);
    sip_copy(b, request, SIP_H_FROM);
    const struct sip_header *to = sip_header(request, SIP_H_TO);
    if (to && to_tag.n && request->to_tag.n == 0) {
        buf_bytes(b, to->name, (size_t)(to->value.p - to->name) + to->value.n);
        buf_put(b, SPAN(";tag="));
        buf_put(b, to_tag);
        buf_put(b, crlf);
    } else {
        sip_copy(b, request, SIP_H_TO);
    }
    sip_copy(b, request, SIP_H_CALL_ID);
    sip_copy(b, request, SIP_H_CSEQ);
    if (status == 100) {
        sip_copy(b, request, SIP_H_TIMESTAMP);
    }
}

static void add_edit(struct sip_edits *edits, enum sip_edit_kind kind, enum sip_header_id id,
                     struct span name, struct span value) {
    if (edits->n == SIP_EDITS_MAX) {
        edits->overflow = true;
        return;
    }
    edits->list[edits->n++] = (struct sip_edit){kind, id, name, value};
}

void sip_edits_copy(struct sip_edits *edits, const struct sip_edits *other) {
    edits->n = other ? other->n : 0;
    edits->overflow = other && other->overflow;
    if (edits->n) {
        memcpy(edits->list, other->list, edits->n * sizeof edits->list[0]);
    }
}

void sip_edit_remove(struct sip_edits *edits, enum sip_header_id id) {
    add_edit(edits, SIP_EDIT_REMOVE, id, SPAN_NONE, SPAN_NONE);
}

void sip_edit_remove_named(struct sip_edits *edits, struct span name) {
    add_edit(edits, SIP_EDIT_REMOVE, sip_header_id_of(name), name, SPAN_NONE);
}

void sip_edit_replace(struct sip_edits *edits, enum sip_header_id id, struct span value) {
    add_edit(edits, SIP_EDIT_REPLACE, id, SPAN_NONE, value);
}

void sip_edit_prepend(struct sip_edits *edits, enum sip_header_id id, struct span value) {
    add_edit(edits, SIP_EDIT_PREPEND, id, SPAN_NONE, value);
}

void sip_edit_append(struct sip_edits *edits, enum sip_header_id id, struct span value) {
    add_edit(edits, SIP_EDIT_APPEND, id, SPAN_NONE, value);
}

void sip_edit_append_named(struct sip_edits *edits, struct span name, struct span value) {
    add_edit(edits, SIP_EDIT_APPEND, sip_header_id_of(name), name, value);
}

void sip_edit_pop(struct sip_edits *edits, enum sip_header_id id) {
    add_edit(edits, SIP_EDIT_POP, id, SPAN_NONE, SPAN_NONE);
}

static void put_edit_line(struct buf *b, const struct sip_edit *e) {
    sip_put_named(b, e->id == SIP_H_OTHER ? e->name : sip_header_name(e->id), e->value);
}

/* Writes what a line leaves after its first `*pops` values are taken off, which are counted down.
 */
static void put_popped(struct buf *b, const struct sip_header *h, unsigned *pops) {
    struct span rest = h->value;
    while (*pops && rest.n) {
        size_t end = lex_value_end(rest);
        rest = lex_trim(span_after(rest, end < rest.n ? end + 1 : rest.n));
        --*pops;
    }
    if (rest.n) {
        sip_put_named(b, (struct span){h->name, h->name_n}, rest);
    }
}

/* Writes what becomes of one line whose header has edits, or which is stamped. */
static void put_edited_line(struct buf *b, const struct sip_msg *msg, const struct sip_edits *edits,
                            const struct sip_header *h, unsigned *pops) {
    bool is_first = &msg->headers[msg->first[h->id]] == h;
    for (unsigned i = 0; i < edits->n; i++) {
        const struct sip_edit *e = &edits->list[i];
        if (e->id != h->id || (e->kind != SIP_EDIT_REMOVE && e->kind != SIP_EDIT_REPLACE)) {
            continue;
        }
        if (e->id == SIP_H_OTHER && !span_eq_nocase(e->name, (struct span){h->name, h->name_n})) {
            continue;
        }
        if (e->kind == SIP_EDIT_REPLACE && is_first && e->id != SIP_H_OTHER) {
            put_edit_line(b, e);
        }
        return;
    }
    if (pops[h->id]) {
        put_popped(b, h, &pops[h->id]);
    } else if (is_first && h->id == SIP_H_VIA && msg->stamped_via.n) {
        copy_stamped(b, msg, h);
    } else {
        copy_line(b, h);
    }
}

void sip_put_edited(struct buf *b, const struct sip_msg *msg, const struct sip_edits *edits) {
    static const struct sip_edits none = {.n = 0};
    bool touched[SIP_HEADER_COUNT] = {[SIP_H_CONTENT_LENGTH] = true};
    unsigned pops[SIP_HEADER_COUNT] = {0};
    edits = edits ? edits : &none;
    if (edits->overflow) {
        b->overflow = true;
        return;
    }
    touched[SIP_H_VIA] = msg->stamped_via.n > 0;
    for (unsigned i = edits->n; i-- > 0;) {
        const struct sip_edit *e = &edits->list[i];
        if (e->kind == SIP_EDIT_PREPEND) {
            put_edit_line(b, e);
        } else if (e->kind != SIP_EDIT_APPEND) {
            touched[e->id] = true;
            pops[e->id] += e->kind == SIP_EDIT_POP;
        }
    }
    const char *run = msg->head.p;
    for (unsigned i = 0; i < msg->n_headers; i++) {
        const struct sip_header *h = &msg->headers[i];
        if (!touched[h->id]) {
            continue;
        }
        buf_bytes(b, run, (size_t)(h->name - run));
        run = i + 1u < msg->n_headers ? msg->headers[i + 1].name : msg->head.p + msg->head.n;
        if (h->id != SIP_H_CONTENT_LENGTH) {
            put_edited_line(b, msg, edits, h, pops);
        }
    }
    buf_bytes(b, run, (size_t)(msg->head.p + msg->head.n - run));
    for (unsigned i = 0; i < edits->n; i++) {
        const struct sip_edit *e = &edits->list[i];
        if (e->kind == SIP_EDIT_APPEND ||
            (e->kind == SIP_EDIT_REPLACE && (e->id == SIP_H_OTHER || !sip_has(msg, e->id)))) {
            put_edit_line(b, e);
        }
    }
}
