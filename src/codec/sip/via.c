/* Via: RFC 3261 20.42, RFC 3581, RFC 6223. */
#include "codec/sip/headers.h"
#include "codec/sip/lex.h"

/* Takes "SIP/2.0/" off, white space around the slashes allowed. */
static bool take_protocol(struct span *s) {
    if (s->n > 8 && memcmp(s->p, "SIP/2.0/", 8) == 0) {
        *s = span_after(*s, 8);
        return true;
    }
    struct span name = lex_token(s);
    if (!span_eq_nocase(name, SPAN("SIP")) || !lex_separator(s, '/')) {
        return false;
    }
    struct span version = lex_token(s);
    return span_eq(version, SPAN("2.0")) && lex_separator(s, '/');
}

static bool set_param(struct sip_via *via, struct span name, struct span value,
                      const char *value_end) {
    switch (name.n) {
    case 4:
        if (span_eq_nocase(name, SPAN("keep"))) {
            via->keep = true;
            return !value.p || span_to_u32(value, UINT32_MAX, &via->keep_s);
        }
        return true;
    case 5:
        if (span_eq_nocase(name, SPAN("rport"))) {
            via->rport = true;
            via->rport_text = (struct span){name.p, (size_t)(value_end - name.p)};
            return !value.p || lex_port(value, &via->rport_value);
        }
        if (span_eq_nocase(name, SPAN("maddr"))) {
            via->maddr = value;
            return value.n > 0;
        }
        return true;
    case 6:
        if (span_eq_nocase(name, SPAN("branch"))) {
            via->branch = value;
            return value.n > 0;
        }
        return true;
    case 8:
        if (span_eq_nocase(name, SPAN("received"))) {
            via->received = value;
            return value.n > 0;
        }
        return true;
    default:
        return true;
    }
}

enum error sip_via_parse(struct span text, struct sip_via *out) {
    *out = (struct sip_via){.text = text};
    struct span s = text;
    lex_skip_blanks(&s);
    if (!take_protocol(&s)) {
        return ERR_MALFORMED;
    }
    out->transport = lex_token(&s);
    if (out->transport.n == 0 || s.n == 0 || !lex_blank(s.p[0])) {
        return ERR_MALFORMED;
    }
    lex_skip_blanks(&s);
    if (!lex_hostport(&s, &out->host, &out->port)) {
        return ERR_MALFORMED;
    }
    lex_skip_blanks(&s);
    if (s.n == 0) {
        return OK;
    }
    if (s.p[0] != ';') {
        return ERR_MALFORMED;
    }
    s = out->params = span_after(s, 1);
    struct span name, value;
    while (sip_param_next(&s, &name, &value)) {
        const char *end = value.p ? value.p + value.n : name.p + name.n;
        if (!set_param(out, name, value, end)) {
            return ERR_MALFORMED;
        }
    }
    return s.p ? ERR_MALFORMED : OK;
}

bool lex_via_sent_by(struct span text, struct sip_via *via) {
    struct span s = text;
    *via = (struct sip_via){0};
    if (!span_eq_nocase(lex_token(&s), SPAN("SIP")) || !lex_separator(&s, '/') ||
        lex_token(&s).n == 0 || !lex_separator(&s, '/')) {
        return false;
    }
    via->transport = lex_token(&s);
    lex_skip_blanks(&s);
    if (via->transport.n == 0 || !lex_hostport(&s, &via->host, &via->port)) {
        *via = (struct sip_via){0};
        return false;
    }
    via->text = (struct span){text.p, (size_t)(s.p - text.p)};
    return true;
}

bool sip_via_next(struct sip_list *list, struct sip_via *out) {
    struct span value;
    if (!sip_list_next(list, &value)) {
        return false;
    }
    if (sip_via_parse(value, out) != OK) {
        list->malformed = true;
        return false;
    }
    return true;
}
