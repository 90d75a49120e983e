/* Numbers and words: RFC 3261 20.33 (Retry-After), 20.43 (Warning), RFC 3326 (Reason), RFC 6665
 * (Event), RFC 7315 (P-headers), RFC 3329 with TS 33.203 annex H (Security-*). */
#include "codec/sip/headers.h"
#include "codec/sip/lex.h"

enum error sip_number_of(const struct sip_msg *msg, enum sip_header_id id, uint32_t *out) {
    struct span value = sip_value(msg, id);
    if (!value.p) {
        return ERR_NOT_FOUND;
    }
    return lex_number(value, UINT32_MAX, out) ? OK : ERR_MALFORMED;
}

/* Walks a rest of parameters to its end: OK if all of it is well formed. */
static enum error check_params(struct span params) {
    struct span name, value;
    while (sip_param_next(&params, &name, &value)) {
    }
    return params.p ? ERR_MALFORMED : OK;
}

/* Takes "; params" off s, which must be all that is left. */
static enum error take_params(struct span s, struct span *params) {
    *params = SPAN_NONE;
    lex_skip_blanks(&s);
    if (s.n == 0) {
        return OK;
    }
    if (s.p[0] != ';' || s.n == 1) {
        return ERR_MALFORMED;
    }
    *params = span_after(s, 1);
    return check_params(*params);
}

/* Finds a table's entry for a parameter's name, and sets the span that it says. */
struct param_slot {
    struct span name;
    size_t offset;
};

static struct span *slot_of(void *out, const struct param_slot *slots, size_t n, struct span name) {
    for (size_t i = 0; i < n; i++) {
        if (span_eq_nocase(slots[i].name, name)) {
            return (struct span *)(void *)((char *)out + slots[i].offset);
        }
    }
    return NULL;
}

/* Takes digits off the beginning of *s. */
static bool take_number(struct span *s, uint32_t *out) {
    size_t n = 0;
    while (n < s->n && lex_is(s->p[n], LEX_DIGIT)) {
        n++;
    }
    bool is_number = lex_number(span_slice(*s, 0, n), UINT32_MAX, out);
    *s = span_after(*s, n);
    return is_number;
}

enum error sip_retry_after_parse(struct span text, struct sip_retry_after *out) {
    *out = (struct sip_retry_after){0};
    struct span s = text;
    if (!take_number(&s, &out->delay_s)) {
        return ERR_MALFORMED;
    }
    lex_skip_blanks(&s);
    if (s.n && s.p[0] == '(') {
        size_t depth = 0, i = 0;
        do {
            depth += s.p[i] == '(';
            depth -= s.p[i] == ')';
            i += s.p[i] == '\\' ? 2 : 1;
        } while (depth && i < s.n);
        if (depth) {
            return ERR_MALFORMED;
        }
        out->comment = span_slice(s, 1, i - 1);
        s = span_after(s, i);
    }
    return take_params(s, &out->params);
}

enum error sip_reason_parse(struct span text, struct sip_reason *out) {
    *out = (struct sip_reason){0};
    struct span s = text, params, value;
    out->protocol = lex_token(&s);
    if (out->protocol.n == 0 || take_params(s, &params) != OK) {
        return ERR_MALFORMED;
    }
    if (sip_param(params, SPAN("cause"), &value) && !lex_number(value, UINT32_MAX, &out->cause)) {
        return ERR_MALFORMED;
    }
    (void)sip_param(params, SPAN("text"), &out->text);
    return OK;
}

enum error sip_warning_parse(struct span text, struct sip_warning *out) {
    *out = (struct sip_warning){0};
    uint32_t code;
    struct span s = text;
    if (!take_number(&s, &code) || code < 100 || code > 999 || s.n == 0 || s.p[0] != ' ') {
        return ERR_MALFORMED;
    }
    out->code = (uint16_t)code;
    lex_skip_blanks(&s);
    size_t agent = span_find_char(s, ' ');
    out->agent = span_slice(s, 0, agent);
    s = span_after(s, agent);
    lex_skip_blanks(&s);
    return out->agent.n && lex_quoted(&s, &out->text) && s.n == 0 ? OK : ERR_MALFORMED;
}

static bool set_security_param(struct sip_security *out, struct span name, struct span value) {
    static const struct param_slot slots[] = {
        {SPAN_INIT("alg"), offsetof(struct sip_security, alg)},
        {SPAN_INIT("ealg"), offsetof(struct sip_security, ealg)},
        {SPAN_INIT("prot"), offsetof(struct sip_security, prot)},
        {SPAN_INIT("mod"), offsetof(struct sip_security, mod)},
    };
    struct span *slot = slot_of(out, slots, COUNT_OF(slots), name);
    if (slot) {
        *slot = value;
        return value.n > 0;
    }
    if (span_eq_nocase(name, SPAN("q"))) {
        return lex_qvalue(value, &out->q_thousandth);
    }
    if (span_eq_nocase(name, SPAN("spi-c"))) {
        return span_to_u32(value, UINT32_MAX, &out->spi_c);
    }
    if (span_eq_nocase(name, SPAN("spi-s"))) {
        return span_to_u32(value, UINT32_MAX, &out->spi_s);
    }
    if (span_eq_nocase(name, SPAN("port-c"))) {
        return lex_port(value, &out->port_c);
    }
    if (span_eq_nocase(name, SPAN("port-s"))) {
        return lex_port(value, &out->port_s);
    }
    return true;
}

enum error sip_security_parse(struct span text, struct sip_security *out) {
    *out = (struct sip_security){.q_thousandth = 1000};
    struct span s = text, name, value;
    out->mechanism = lex_token(&s);
    if (out->mechanism.n == 0 || take_params(s, &out->params) != OK) {
        return ERR_MALFORMED;
    }
    struct span rest = out->params;
    while (sip_param_next(&rest, &name, &value)) {
        if (!set_security_param(out, name, value)) {
            return ERR_MALFORMED;
        }
    }
    return OK;
}

bool sip_security_next(struct sip_list *list, struct sip_security *out) {
    struct span value;
    if (!sip_list_next(list, &value)) {
        return false;
    }
    if (sip_security_parse(value, out) != OK) {
        list->malformed = true;
        return false;
    }
    return true;
}

enum error sip_charging_vector_parse(struct span text, struct sip_charging_vector *out) {
    static const struct param_slot slots[] = {
        {SPAN_INIT("icid-value"), offsetof(struct sip_charging_vector, icid_value)},
        {SPAN_INIT("icid-generated-at"), offsetof(struct sip_charging_vector, icid_generated_at)},
        {SPAN_INIT("orig-ioi"), offsetof(struct sip_charging_vector, orig_ioi)},
        {SPAN_INIT("term-ioi"), offsetof(struct sip_charging_vector, term_ioi)},
        {SPAN_INIT("transit-ioi"), offsetof(struct sip_charging_vector, transit_ioi)},
        {SPAN_INIT("related-icid"), offsetof(struct sip_charging_vector, related_icid)},
    };
    *out = (struct sip_charging_vector){.params = text};
    struct span rest = text, name, value;
    while (sip_param_next(&rest, &name, &value)) {
        struct span *slot = slot_of(out, slots, COUNT_OF(slots), name);
        if (slot) {
            *slot = value;
        }
    }
    return rest.p || out->icid_value.n == 0 ? ERR_MALFORMED : OK;
}

enum error sip_charging_functions_parse(struct span text, struct sip_charging_functions *out) {
    *out = (struct sip_charging_functions){0};
    struct span rest = text, name, value;
    while (sip_param_next(&rest, &name, &value)) {
        if (span_eq_nocase(name, SPAN("ccf"))) {
            *(out->ccf.p ? &out->ccf2 : &out->ccf) = value;
        } else if (span_eq_nocase(name, SPAN("ecf"))) {
            *(out->ecf.p ? &out->ecf2 : &out->ecf) = value;
        }
    }
    return rest.p ? ERR_MALFORMED : OK;
}

enum error sip_access_network_parse(struct span text, struct sip_access_network *out) {
    *out = (struct sip_access_network){0};
    struct span s = text, name, value;
    out->type = lex_token(&s);
    if (out->type.n == 0 || take_params(s, &out->params) != OK) {
        return ERR_MALFORMED;
    }
    struct span rest = out->params;
    while (sip_param_next(&rest, &name, &value)) {
        if (span_eq_nocase(name, SPAN("utran-cell-id-3gpp")) ||
            span_eq_nocase(name, SPAN("cgi-3gpp"))) {
            out->cell = value;
        } else if (span_eq_nocase(name, SPAN("network-provided"))) {
            out->provided_by_network = true;
        }
    }
    return OK;
}

enum error sip_visited_network_parse(struct span text, struct span *network, struct span *params) {
    struct span s = text;
    if (s.n && s.p[0] == '"') {
        if (!lex_quoted(&s, network)) {
            return ERR_MALFORMED;
        }
    } else {
        *network = lex_token(&s);
    }
    return network->n ? take_params(s, params) : ERR_MALFORMED;
}

enum error sip_event_parse(struct span text, struct sip_event *out) {
    *out = (struct sip_event){0};
    struct span s = text;
    out->package = lex_token(&s);
    if (out->package.n == 0 || take_params(s, &out->params) != OK) {
        return ERR_MALFORMED;
    }
    (void)sip_param(out->params, SPAN("id"), &out->id);
    return OK;
}
