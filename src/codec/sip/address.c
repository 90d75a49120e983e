/* name-addr and addr-spec with parameters: RFC 3261 20.10, 20.20, 20.30, 25.1; Contact's
 * parameters: RFC 3261 20.10, RFC 5626 section 4 and 11, RFC 5627. */
#include "codec/sip/headers.h"
#include "codec/sip/lex.h"

/* Where the display name ends and '<' stands; false without brackets, or for a broken name. */
static bool take_display(struct span *s, struct span *display) {
    if (s->n && s->p[0] == '"') {
        if (!lex_quoted(s, display)) {
            return false;
        }
        lex_skip_blanks(s);
        return s->n && s->p[0] == '<';
    }
    size_t open = span_find_char(*s, '<');
    struct span words = lex_trim(span_slice(*s, 0, open));
    for (size_t i = 0; i < words.n; i++) {
        if (!lex_is(words.p[i], LEX_TOKEN) && !lex_blank(words.p[i])) {
            return false;
        }
    }
    if (words.n) {
        *display = words;
    }
    *s = span_after(*s, open);
    return true;
}

bool lex_address(struct span value, struct span *display, struct span *uri, struct span *params) {
    struct span s = value;
    lex_skip_blanks(&s);
    *display = *params = SPAN_NONE;
    bool quoted = s.n && s.p[0] == '"';
    if (quoted || span_find_char(s, '<') < s.n) {
        if (!take_display(&s, display)) {
            return false;
        }
        size_t close = span_find_char(s, '>');
        if (close == s.n) {
            return false;
        }
        *uri = span_slice(s, 1, close);
        s = span_after(s, close + 1);
        lex_skip_blanks(&s);
        if (s.n && s.p[0] != ';') {
            return false;
        }
    } else {
        size_t end = span_find_char(s, ';');
        *uri = lex_trim(span_slice(s, 0, end));
        s = span_after(s, end);
        if (span_find_char(*uri, '?') < uri->n || span_find_char(*uri, ',') < uri->n) {
            return false;
        }
    }
    if (s.n) {
        *params = span_after(s, 1);
        return params->n > 0;
    }
    return uri->n > 0;
}

enum error sip_address_parse(struct span text, struct sip_address *out) {
    *out = (struct sip_address){.text = text};
    if (text.n == 1 && text.p[0] == '*') {
        out->star = true;
        return OK;
    }
    if (!lex_address(text, &out->display, &out->uri_text, &out->params) ||
        sip_uri_parse(out->uri_text, &out->uri) != OK) {
        return ERR_MALFORMED;
    }
    struct span rest = out->params, name, value;
    while (sip_param_next(&rest, &name, &value)) {
    }
    return rest.p ? ERR_MALFORMED : OK;
}

bool sip_address_next(struct sip_list *list, struct sip_address *out) {
    struct span value;
    if (!sip_list_next(list, &value)) {
        return false;
    }
    if (sip_address_parse(value, out) != OK) {
        list->malformed = true;
        return false;
    }
    return true;
}

enum error sip_address_of(const struct sip_msg *msg, enum sip_header_id id,
                          struct sip_address *out) {
    const struct sip_header *h = sip_header(msg, id);
    if (!h) {
        return ERR_NOT_FOUND;
    }
    struct span text = h->value;
    if (sip_header_is_list(id)) {
        struct sip_list list = sip_list_of(msg, id);
        if (!sip_list_next(&list, &text)) {
            return ERR_MALFORMED;
        }
    }
    return sip_address_parse(text, out);
}

static bool set_contact_param(struct sip_contact *out, struct span name, struct span value) {
    if (span_eq_nocase(name, SPAN("expires"))) {
        out->has_expires = true;
        out->expires = value;
        if (!lex_number(value, UINT32_MAX, &out->expires_s)) {
            out->expires_s = 3600;
        }
        return true;
    }
    if (span_eq_nocase(name, SPAN("q"))) {
        return lex_qvalue(value, &out->q_thousandth);
    }
    if (span_eq_nocase(name, SPAN("reg-id"))) {
        return lex_number(value, UINT32_MAX, &out->reg_id) && out->reg_id > 0;
    }
    if (span_eq_nocase(name, SPAN("+sip.instance"))) {
        bool bracketed = value.n >= 2 && value.p[0] == '<' && value.p[value.n - 1] == '>';
        out->instance = bracketed ? span_slice(value, 1, value.n - 1) : value;
        return value.n > 0;
    }
    if (span_eq_nocase(name, SPAN("pub-gruu"))) {
        out->pub_gruu = value;
    } else if (span_eq_nocase(name, SPAN("temp-gruu"))) {
        out->temp_gruu = value;
    }
    return true;
}

bool sip_contact_next(struct sip_list *list, struct sip_contact *out) {
    *out = (struct sip_contact){.q_thousandth = 1000};
    if (!sip_address_next(list, &out->address)) {
        return false;
    }
    struct span rest = out->address.params, name, value;
    while (sip_param_next(&rest, &name, &value)) {
        if (!set_contact_param(out, name, value)) {
            list->malformed = true;
            return false;
        }
    }
    return true;
}
