/* Digest credentials and challenges: RFC 3261 20.7, 20.44 with RFC 2617, RFC 3310 (auts), RFC 7616
 * and TS 24.229 7.2A.1 (ck, ik, integrity-protected). Parameters are divided by commas here, and
 * none may stand twice. */
#include "codec/sip/headers.h"
#include "codec/sip/lex.h"

static struct span *slot_of(struct sip_auth *out, struct span name) {
    switch (name.n) {
    case 2:
        return span_eq_nocase(name, SPAN("nc"))   ? &out->nc
               : span_eq_nocase(name, SPAN("ck")) ? &out->ck
               : span_eq_nocase(name, SPAN("ik")) ? &out->ik
                                                  : NULL;
    case 3:
        return span_eq_nocase(name, SPAN("uri"))   ? &out->uri
               : span_eq_nocase(name, SPAN("qop")) ? &out->qop
                                                   : NULL;
    case 4:
        return span_eq_nocase(name, SPAN("auts")) ? &out->auts : NULL;
    case 5:
        return span_eq_nocase(name, SPAN("realm"))   ? &out->realm
               : span_eq_nocase(name, SPAN("nonce")) ? &out->nonce
               : span_eq_nocase(name, SPAN("stale")) ? &out->stale
                                                     : NULL;
    case 6:
        return span_eq_nocase(name, SPAN("opaque"))   ? &out->opaque
               : span_eq_nocase(name, SPAN("cnonce")) ? &out->cnonce
               : span_eq_nocase(name, SPAN("domain")) ? &out->domain
                                                      : NULL;
    case 7:
        return span_eq_nocase(name, SPAN("rspauth")) ? &out->rspauth : NULL;
    case 8:
        return span_eq_nocase(name, SPAN("username"))   ? &out->username
               : span_eq_nocase(name, SPAN("response")) ? &out->response
                                                        : NULL;
    case 9:
        return span_eq_nocase(name, SPAN("algorithm"))   ? &out->algorithm
               : span_eq_nocase(name, SPAN("nextnonce")) ? &out->nextnonce
                                                         : NULL;
    case 19:
        return span_eq_nocase(name, SPAN("integrity-protected")) ? &out->integrity_protected : NULL;
    default:
        return NULL;
    }
}

/* name = value, name = value, ... to the end of s. */
static enum error take_params(struct span s, struct sip_auth *out) {
    for (;;) {
        struct span name = lex_token(&s), value;
        if (name.n == 0 || !lex_separator(&s, '=')) {
            return ERR_MALFORMED;
        }
        if (s.n && s.p[0] == '"') {
            if (!lex_quoted(&s, &value)) {
                return ERR_MALFORMED;
            }
        } else {
            size_t end = span_find_char(s, ',');
            value = lex_trim(span_slice(s, 0, end));
            if (!lex_all(value, LEX_TOKEN | LEX_PRINTED)) {
                return ERR_MALFORMED;
            }
            s = span_after(s, end);
        }
        struct span *slot = slot_of(out, name);
        if (slot) {
            if (slot->p) {
                return ERR_MALFORMED;
            }
            *slot = value.n ? value : (struct span){"", 0};
        }
        lex_skip_blanks(&s);
        if (s.n == 0) {
            return OK;
        }
        if (!lex_separator(&s, ',')) {
            return ERR_MALFORMED;
        }
    }
}

enum error sip_auth_parse(struct span text, struct sip_auth *out) {
    *out = (struct sip_auth){.text = text};
    struct span s = text;
    lex_skip_blanks(&s);
    out->scheme = lex_token(&s);
    if (out->scheme.n == 0 || s.n == 0 || !lex_blank(s.p[0])) {
        return ERR_MALFORMED;
    }
    lex_skip_blanks(&s);
    if (!span_eq_nocase(out->scheme, SPAN("Digest"))) {
        return OK;
    }
    return take_params(s, out);
}

enum error sip_digest_of(const struct sip_msg *msg, enum sip_header_id id, struct sip_auth *out) {
    for (const struct sip_header *h = sip_header(msg, id); h; h = sip_header_next(msg, h)) {
        enum error e = sip_auth_parse(h->value, out);
        if (e != OK || span_eq_nocase(out->scheme, SPAN("Digest"))) {
            return e;
        }
    }
    *out = (struct sip_auth){0};
    return ERR_NOT_FOUND;
}

enum error sip_auth_info_parse(struct span text, struct sip_auth *out) {
    *out = (struct sip_auth){.text = text};
    struct span s = text;
    lex_skip_blanks(&s);
    return take_params(s, out);
}
