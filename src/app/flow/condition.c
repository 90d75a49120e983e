/* Lines of the ladder: who sends what to whom, and what must be in it. */
#include "app/flow/parse.h"

#include "codec/sip/sip.h"

static bool is_name_start(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '+';
}

/* Takes an operator off the beginning of *s; FLOW_PRESENT if there is none. */
static enum flow_condition_kind take_operator(struct span *s) {
    static const struct {
        const char *text;
        enum flow_condition_kind kind;
    } operators[] = {
        {"!=", FLOW_UNEQUAL}, {"!~", FLOW_LACKS},   {"<=", FLOW_AT_MOST}, {">=", FLOW_AT_LEAST},
        {"=", FLOW_EQUAL},    {"~", FLOW_CONTAINS}, {"<", FLOW_LESS},     {">", FLOW_GREATER},
    };
    for (size_t i = 0; i < COUNT_OF(operators); i++) {
        struct span op = span_from_cstr(operators[i].text);
        if (span_starts_with(*s, op)) {
            *s = span_trim(span_after(*s, op.n));
            return operators[i].kind;
        }
    }
    return FLOW_PRESENT;
}

/* A name: letters, digits, hyphens. Cut off *s. */
static struct span take_name(struct span *s) {
    size_t n = 0;
    while (n < s->n && (is_name_start(s->p[n]) || (s->p[n] >= '0' && s->p[n] <= '9') ||
                        (n && (s->p[n] == '-' || s->p[n] == '_' || s->p[n] == '.')))) {
        n++;
    }
    struct span name = span_slice(*s, 0, n);
    *s = span_trim(span_after(*s, n));
    return name;
}

static struct span unquoted(struct span s) {
    if (s.n >= 2 && s.p[0] == '"' && s.p[s.n - 1] == '"') {
        return span_slice(s, 1, s.n - 1);
    }
    return s;
}

static bool is_number(struct span s) {
    uint64_t n;
    return (s.n && s.p[0] == '$') || span_to_u64(s, UINT64_MAX, &n);
}

/* Behind the name: an operator and a value, "as NAME", or for an AVP the value alone. */
static bool read_rest(struct flow_condition *c, struct span rest) {
    enum flow_condition_kind op = take_operator(&rest);
    if (op == FLOW_PRESENT && rest.n == 0) {
        return true;
    }
    struct span after = rest;
    if (op == FLOW_PRESENT && span_eq(flow_word(&after), SPAN("as"))) {
        c->kind = FLOW_BIND;
        c->value = after;
        return after.n > 0 && span_find_char(after, ' ') == after.n;
    }
    c->kind = op == FLOW_PRESENT ? FLOW_EQUAL : op;
    c->value = unquoted(rest);
    bool numeric = c->kind == FLOW_LESS || c->kind == FLOW_GREATER || c->kind == FLOW_AT_MOST ||
                   c->kind == FLOW_AT_LEAST;
    return c->value.n > 0 && (!numeric || is_number(c->value));
}

/* "2 x NAME" */
static bool read_count(struct flow_condition *c, struct span s) {
    struct span rest = s, number = flow_word(&rest);
    uint32_t n;
    if (!span_to_u32(number, 1000, &n) || !span_eq(flow_word(&rest), SPAN("x"))) {
        return false;
    }
    c->kind = FLOW_COUNT;
    c->value = number;
    c->name = take_name(&rest);
    return c->name.n > 0 && rest.n == 0;
}

/* HEADER with PARAM, HEADER without PARAM, HEADER PARAM op VALUE, NAME.PARAM */
static bool read_param(struct flow_condition *c, struct span *rest) {
    size_t dot = span_find_char(c->name, '.');
    if (dot < c->name.n) {
        c->param = span_after(c->name, dot + 1);
        c->name = span_slice(c->name, 0, dot);
        return c->param.n > 0;
    }
    struct span look = *rest, word = flow_word(&look);
    bool without = span_eq(word, SPAN("without"));
    if (without || span_eq(word, SPAN("with"))) {
        c->kind = without ? FLOW_ABSENT : FLOW_PRESENT;
        c->param = take_name(&look);
        *rest = look;
        return c->param.n > 0 && look.n == 0;
    }
    /* A parameter between the name and the operator begins with a small letter or "+". */
    look = *rest;
    struct span param = take_name(&look);
    bool small = param.n && ((param.p[0] >= 'a' && param.p[0] <= 'z') || param.p[0] == '+');
    if (small && !span_eq(param, SPAN("as")) && !span_eq(param, SPAN("x"))) {
        struct span op = look;
        if (take_operator(&op) != FLOW_PRESENT || span_starts_with(op, SPAN("as "))) {
            c->param = param;
            *rest = look;
        }
    }
    return true;
}

static bool read_condition(struct flow_condition *c, struct span text) {
    struct span rest = text, look = text;
    *c = (struct flow_condition){.kind = FLOW_PRESENT, .text = text};
    if (read_count(c, text)) {
        return true;
    }
    bool absent = span_eq(flow_word(&look), SPAN("no"));
    if (absent) {
        rest = look;
    }
    c->name = take_name(&rest);
    if (c->name.n == 0 || !is_name_start(c->name.p[0]) || !read_param(c, &rest)) {
        return false;
    }
    if (absent) {
        c->kind = FLOW_ABSENT;
        return rest.n == 0;
    }
    return c->kind == FLOW_ABSENT || (c->param.n && rest.n == 0) || read_rest(c, rest);
}

/* A header field or AVP that nobody knows would make "no Identty" true for ever. */
static bool is_known_name(struct span name) {
    char c = name.p[0];
    bool small = (c >= 'a' && c <= 'z') || c == '+';
    return small || sip_header_id_of(name) != SIP_H_OTHER || flow_avp_named(name) ||
           span_starts_with(name, SPAN("X-"));
}

/* Cuts at the next semicolon outside of quotes. */
static struct span take_condition(struct span *rest) {
    bool quoted = false;
    size_t n = 0;
    for (; n < rest->n && (quoted || rest->p[n] != ';'); n++) {
        quoted ^= rest->p[n] == '"';
    }
    struct span text = span_trim(span_slice(*rest, 0, n));
    *rest = span_after(*rest, n + 1);
    return text;
}

void flow_read_conditions(struct flow_parser *p, struct span text,
                          const struct flow_condition **out, size_t *n) {
    while (text.n) {
        struct span one = take_condition(&text);
        if (one.n == 0) {
            continue;
        }
        struct flow_condition c;
        if (!read_condition(&c, one)) {
            flow_fault(p,
                       "\"%.*s\" is no condition: NAME, no NAME, NAME = VALUE, NAME != VALUE, "
                       "NAME ~ PART, NAME !~ PART, NAME > NUMBER, NAME with PARAMETER, NAME "
                       "without PARAMETER, "
                       "2 x NAME, NAME as WORD",
                       SPAN_ARG(one));
            continue;
        }
        if (!is_known_name(c.name)) {
            flow_fault(p,
                       "neither a SIP header field nor a Diameter AVP is called \"%.*s\" (a "
                       "parameter begins with a small letter)",
                       SPAN_ARG(c.name));
            continue;
        }
        struct flow_condition *slot = p->conditions.n < FLOW_CONDITIONS_MAX
                                          ? flow_add(p, &p->conditions, sizeof *slot)
                                          : NULL;
        if (!slot) {
            flow_fault(p, "more than %d conditions on one line", FLOW_CONDITIONS_MAX);
            break;
        }
        *slot = c;
    }
    *n = p->conditions.n;
    *out = flow_keep(p, &p->conditions);
}

static bool is_status(struct span s) {
    uint32_t n;
    return s.n == 3 && span_to_u32(s, 699, &n) && n >= 100;
}

static bool is_result(struct span s) {
    uint32_t n;
    return (s.n == 4 && span_to_u32(s, 9999, &n)) || span_starts_with(s, SPAN("DIAMETER_"));
}

/* "UAA": three capitals of which the last is A or R. */
static bool is_diameter(struct span s) {
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < 'A' || s.p[i] > 'Z') {
            return false;
        }
    }
    return s.n == 3 && (s.p[2] == 'A' || s.p[2] == 'R');
}

void flow_read_line(struct flow_parser *p, struct span text) {
    struct flow_line l = {.line = p->line};
    struct span rest = text;
    static const char marks[] = " |?*";
    if (text.p[0] == '|' || text.p[0] == '?' || text.p[0] == '*') {
        l.presence = (enum flow_presence)(strchr(marks, text.p[0]) - marks);
        rest = span_trim(span_after(text, 1));
    }
    l.from = flow_word(&rest);
    l.to = flow_word(&rest);
    l.message = flow_word(&rest);
    l.text = span_of(l.from.p, l.message.p ? (size_t)(l.message.p + l.message.n - l.from.p) : 0);
    if (!l.message.p || l.message.n == 0) {
        flow_fault(p, "a line of the ladder needs a sender, a receiver and a message: "
                      "pcscf icscf REGISTER");
        return;
    }
    if (l.message.p[0] >= '0' && l.message.p[0] <= '9' && !is_status(l.message)) {
        flow_fault(p, "\"%.*s\" is no SIP status: it has three digits, from 100 to 699",
                   SPAN_ARG(l.message));
        return;
    }
    struct span look = rest, result = flow_word(&look);
    if (is_diameter(l.message) && l.message.p[2] == 'A' && is_result(result)) {
        l.result = result;
        l.text.n = (size_t)(result.p + result.n - l.text.p);
        rest = look;
    }
    flow_read_conditions(p, rest, &l.conditions, &l.n_conditions);
    struct flow_line *slot = flow_add(p, &p->lines, sizeof *slot);
    if (slot) {
        *slot = l;
    }
}
