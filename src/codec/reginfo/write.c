/* Writing registration information, without white space between elements. */
#include "codec/reginfo/names.h"

const struct span reginfo_states[REGINFO_STATES] = {
    [REGINFO_INIT] = SPAN_INIT("init"),
    [REGINFO_ACTIVE] = SPAN_INIT("active"),
    [REGINFO_TERMINATED] = SPAN_INIT("terminated"),
};

const struct span reginfo_events[REGINFO_EVENTS] = {
    [REGINFO_REGISTERED] = SPAN_INIT("registered"),
    [REGINFO_CREATED] = SPAN_INIT("created"),
    [REGINFO_REFRESHED] = SPAN_INIT("refreshed"),
    [REGINFO_SHORTENED] = SPAN_INIT("shortened"),
    [REGINFO_EXPIRED] = SPAN_INIT("expired"),
    [REGINFO_DEACTIVATED] = SPAN_INIT("deactivated"),
    [REGINFO_PROBATION] = SPAN_INIT("probation"),
    [REGINFO_UNREGISTERED] = SPAN_INIT("unregistered"),
    [REGINFO_REJECTED] = SPAN_INIT("rejected"),
};

struct span reginfo_event_name(enum reginfo_event event) {
    return reginfo_events[event];
}

/* For text and for attributes alike. Control characters that XML forbids are left out. */
static void put_escaped(struct buf *b, struct span s) {
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        switch (c) {
        case '<':
            buf_cstr(b, "&lt;");
            break;
        case '>':
            buf_cstr(b, "&gt;");
            break;
        case '&':
            buf_cstr(b, "&amp;");
            break;
        case '"':
            buf_cstr(b, "&quot;");
            break;
        default:
            if (c >= ' ' && c != 127) {
                buf_char(b, (char)c);
            }
        }
    }
}

static void put_attribute(struct buf *b, const char *name, struct span value) {
    buf_char(b, ' ');
    buf_cstr(b, name);
    buf_cstr(b, "=\"");
    put_escaped(b, value);
    buf_char(b, '"');
}

static void put_number(struct buf *b, const char *name, uint64_t value) {
    char digits[24];
    struct buf d = buf_init(digits, sizeof digits);
    buf_u64(&d, value);
    put_attribute(b, name, buf_span(&d));
}

void reginfo_put_open(struct buf *b, uint32_t version, bool full) {
    buf_cstr(b, "<?xml version=\"1.0\" encoding=\"UTF-8\"?><reginfo xmlns=\"" REGINFO_NAMESPACE
                "\" xmlns:gr=\"" GRUUINFO_NAMESPACE "\"");
    put_number(b, "version", version);
    put_attribute(b, "state", full ? SPAN("full") : SPAN("partial"));
    buf_char(b, '>');
}

void reginfo_put_registration_open(struct buf *b, struct span aor, struct span id,
                                   enum reginfo_state state) {
    buf_cstr(b, "<registration");
    put_attribute(b, "aor", aor);
    put_attribute(b, "id", id);
    put_attribute(b, "state", reginfo_states[state]);
    buf_char(b, '>');
}

static void put_gruu(struct buf *b, const char *element, struct span uri) {
    buf_char(b, '<');
    buf_cstr(b, element);
    put_attribute(b, "uri", uri);
}

void reginfo_put_contact(struct buf *b, const struct reginfo_contact *c) {
    buf_cstr(b, "<contact");
    put_attribute(b, "id", c->id);
    put_attribute(b, "state", c->active ? SPAN("active") : SPAN("terminated"));
    put_attribute(b, "event", reginfo_events[c->event]);
    if (c->has_expires) {
        put_number(b, "expires", c->expires_s);
    }
    if (c->has_retry_after) {
        put_number(b, "retry-after", c->retry_after_s);
    }
    if (c->call_id.n) {
        put_attribute(b, "callid", c->call_id);
    }
    if (c->has_cseq) {
        put_number(b, "cseq", c->cseq);
    }
    buf_cstr(b, "><uri>");
    put_escaped(b, c->uri);
    buf_cstr(b, "</uri>");
    if (c->display_name.n) {
        buf_cstr(b, "<display-name>");
        put_escaped(b, c->display_name);
        buf_cstr(b, "</display-name>");
    }
    if (c->instance.n) {
        buf_cstr(b, "<unknown-param name=\"+sip.instance\">&quot;&lt;");
        put_escaped(b, c->instance);
        buf_cstr(b, "&gt;&quot;</unknown-param>");
    }
    if (c->pub_gruu.n) {
        put_gruu(b, "gr:pub-gruu", c->pub_gruu);
        buf_cstr(b, "/>");
    }
    if (c->temp_gruu.n) {
        put_gruu(b, "gr:temp-gruu", c->temp_gruu);
        put_number(b, "first-cseq", c->temp_gruu_first_cseq);
        buf_cstr(b, "/>");
    }
    buf_cstr(b, "</contact>");
}

void reginfo_put_wildcard(struct buf *b, struct span wildcard) {
    buf_cstr(b, "<ere:wildcardedIdentity xmlns:ere=\"" WILDCARD_NAMESPACE "\">");
    put_escaped(b, wildcard);
    buf_cstr(b, "</ere:wildcardedIdentity>");
}

void reginfo_put_registration_close(struct buf *b) {
    buf_cstr(b, "</registration>");
}

void reginfo_put_close(struct buf *b) {
    buf_cstr(b, "</reginfo>");
}
