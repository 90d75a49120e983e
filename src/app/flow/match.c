/* Expected against seen. A message is compared with the next line that it can be: an unordered
 * group's lines are tried one by one, optional and repeated ones may be passed over, any other must
 * match. There is no going back, so that a fault is told where it is. */
#include "app/flow/match.h"

#include <stdio.h>

static const struct span ANOTHER = SPAN_INIT("another message");

enum error flow_vars_set(struct flow_vars *v, struct span name, struct span value) {
    bool failed = false;
    size_t i = 0;
    while (i < v->n && !span_eq(v->vars[i].name, name)) {
        i++;
    }
    if (i == FLOW_VARS_MAX) {
        return ERR_TOO_BIG;
    }
    if (i == v->n) {
        v->vars[i].name = arena_copy(v->arena, name, &failed);
        v->n++;
    }
    v->vars[i].value = arena_copy(v->arena, value, &failed);
    return failed ? ERR_NO_MEMORY : OK;
}

static bool is_var_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

bool flow_vars_expand(const struct flow_vars *v, struct span text, struct buf *out,
                      struct span *unknown) {
    for (size_t at = 0; at < text.n;) {
        if (text.p[at] != '$') {
            buf_char(out, text.p[at++]);
            continue;
        }
        size_t end = at + 1;
        while (end < text.n && is_var_char(text.p[end])) {
            end++;
        }
        struct span name = span_slice(text, at + 1, end);
        size_t i = 0;
        while (i < v->n && !span_eq(v->vars[i].name, name)) {
            i++;
        }
        if (i == v->n) {
            *unknown = span_slice(text, at, end);
            return false;
        }
        buf_put(out, v->vars[i].value);
        at = end;
    }
    return true;
}

/* One condition. */

struct comparison {
    const struct flow_condition *condition;
    struct span wanted;
    bool met;
    struct span seen; /* the first value, for the explanation */
    char seen_bytes[200];
};

static bool compare_numbers(enum flow_condition_kind kind, struct span seen, struct span wanted) {
    uint64_t a, b;
    if (!span_to_u64(seen, UINT64_MAX, &a) || !span_to_u64(wanted, UINT64_MAX, &b)) {
        return false;
    }
    return kind == FLOW_LESS      ? a < b
           : kind == FLOW_GREATER ? a > b
           : kind == FLOW_AT_MOST ? a <= b
                                  : a >= b;
}

static bool compare_value(void *ctx, struct span value) {
    struct comparison *c = ctx;
    if (!c->seen.p) {
        struct buf b = buf_init(c->seen_bytes, sizeof c->seen_bytes);
        buf_put(&b, span_slice(value, 0, sizeof c->seen_bytes));
        c->seen = buf_span(&b);
    }
    switch (c->condition->kind) {
    case FLOW_EQUAL:
    case FLOW_UNEQUAL:
        c->met |= span_eq_nocase(value, c->wanted);
        break;
    case FLOW_CONTAINS:
    case FLOW_LACKS:
        c->met |= span_find(value, c->wanted) < value.n;
        break;
    case FLOW_LESS:
    case FLOW_GREATER:
    case FLOW_AT_MOST:
    case FLOW_AT_LEAST:
        c->met |= compare_numbers(c->condition->kind, value, c->wanted);
        break;
    default:
        c->met = true;
        break;
    }
    return true;
}

static void explain(const struct flow_condition *c, size_t n, struct span seen, struct buf *why) {
    buf_put(why, c->text);
    if (c->kind == FLOW_COUNT) {
        buf_printf(why, ": there are %zu", n);
    } else if (c->kind == FLOW_ABSENT) {
        buf_cstr(why, ": it is there");
    } else if (n == 0) {
        buf_cstr(why, ": it is not there");
    } else {
        buf_cstr(why, ": it is \"");
        buf_escaped(why, seen);
        buf_char(why, '"');
    }
}

static bool check_count(const struct flow_condition *c, const struct ladder_arrow *a,
                        struct buf *why) {
    uint32_t wanted = 0;
    size_t n = flow_count(a, c->name);
    if (span_to_u32(c->value, UINT32_MAX, &wanted) && n == wanted) {
        return true;
    }
    explain(c, n, SPAN_NONE, why);
    return false;
}

static bool check_condition(const struct flow_condition *c, const struct ladder_arrow *a,
                            struct flow_vars *vars, struct buf *why) {
    char bytes[FLOW_VALUE_MAX];
    struct buf wanted = buf_init(bytes, sizeof bytes);
    struct span unknown;
    if (c->kind == FLOW_COUNT) {
        return check_count(c, a, why);
    }
    if (c->kind != FLOW_BIND && !flow_vars_expand(vars, c->value, &wanted, &unknown)) {
        buf_put(why, c->text);
        buf_cstr(why, ": nothing is called ");
        buf_put(why, unknown);
        return false;
    }
    struct comparison compare = {.condition = c, .wanted = buf_span(&wanted)};
    size_t n = flow_values(a, c->name, c->param, compare_value, &compare);
    bool none = c->kind == FLOW_UNEQUAL || c->kind == FLOW_LACKS;
    bool met = c->kind == FLOW_ABSENT ? n == 0 : none ? n > 0 && !compare.met : compare.met;
    if (!met) {
        explain(c, n, compare.seen, why);
    }
    return met;
}

static bool bind_value(void *ctx, struct span value) {
    struct span *first = ctx;
    *first = value;
    return false;
}

static void bind(const struct flow_line *line, const struct ladder_arrow *a,
                 struct flow_vars *vars) {
    for (size_t i = 0; i < line->n_conditions; i++) {
        const struct flow_condition *c = &line->conditions[i];
        struct span value = SPAN_NONE;
        if (c->kind == FLOW_BIND && flow_values(a, c->name, c->param, bind_value, &value) > 0 &&
            flow_vars_set(vars, c->value, value) != OK) {
            return; /* a later $WORD is then unknown, which is told there */
        }
    }
}

/* One line. */

static bool is_name(struct span wanted, struct span column) {
    return span_eq(wanted, column) ||
           (span_starts_with(column, SPAN("ue:")) && span_eq(wanted, span_after(column, 3)));
}

/* Is this kind of message the line's: sender, receiver, method, status, command, result? */
static bool is_message(const struct flow_line *line, const struct ladder_arrow *a,
                       struct buf *why) {
    struct span label = a->label;
    struct span word = span_slice(label, 0, span_find_char(label, ' '));
    uint32_t code, wanted;
    const char *name = NULL;
    if (!is_name(line->from, a->from) || !is_name(line->to, a->to) ||
        !span_eq(line->message, word)) {
        buf_put(why, ANOTHER);
        return false;
    }
    if (line->result.n == 0) {
        return true;
    }
    if (!flow_result(a, &code, &name)) {
        buf_cstr(why, "it has no result");
        return false;
    }
    bool same = span_to_u32(line->result, UINT32_MAX, &wanted)
                    ? wanted == code
                    : name && span_eq(line->result, span_from_cstr(name));
    if (!same) {
        buf_printf(why, "its result is %u%s%s", code, name ? " " : "", name ? name : "");
    }
    return same;
}

bool flow_line_matches(const struct flow_line *line, const struct ladder_arrow *a,
                       struct flow_vars *vars, struct buf *why) {
    if (!is_message(line, a, why)) {
        return false;
    }
    for (size_t i = 0; i < line->n_conditions; i++) {
        if (!check_condition(&line->conditions[i], a, vars, why)) {
            return false;
        }
    }
    bind(line, a, vars);
    return true;
}

/* The sequence. */

void flow_match_init(struct flow_match *m, const struct flow_step *step, struct flow_vars *vars) {
    memset(m, 0, sizeof *m);
    m->step = step;
    m->vars = vars;
}

static size_t group_end(const struct flow_match *m) {
    size_t end = m->at;
    while (end < m->step->n_lines && m->step->lines[end].presence == FLOW_UNORDERED) {
        end++;
    }
    return end;
}

static void take(struct flow_match *m, size_t line) {
    m->seen[line] = true;
    if (m->taken < COUNT_OF(m->took)) {
        m->took[m->taken] = (uint16_t)line;
    }
    m->taken++;
}

/* The first line of the group is at; those that were seen are marked. True if one takes it. */
static bool take_unordered(struct flow_match *m, const struct ladder_arrow *a, struct buf *why) {
    size_t end = group_end(m), left = 0;
    bool taken = false;
    for (size_t i = m->at; i < end; i++) {
        char bytes[sizeof m->why];
        struct buf words = buf_init(bytes, sizeof bytes);
        if (!taken && !m->seen[i] && flow_line_matches(&m->step->lines[i], a, m->vars, &words)) {
            take(m, i);
            taken = true;
        }
        if (!taken && words.n && !span_eq(buf_span(&words), ANOTHER)) {
            m->failed_at = i; /* the right kind of message, with something wrong in it */
            why->n = 0;
            buf_put(why, buf_span(&words));
        }
        left += !m->seen[i];
    }
    if (taken && left == 0) {
        m->at = end;
    }
    return taken;
}

static bool fail(struct flow_match *m, size_t at, const struct buf *why) {
    m->failed = true;
    m->failed_at = at;
    size_t n = why->n < sizeof m->why - 1 ? why->n : sizeof m->why - 1;
    memmove(m->why, why->p, n);
    m->why[n] = '\0';
    return false;
}

bool flow_match_take(struct flow_match *m, const struct ladder_arrow *a) {
    char words[sizeof m->why];
    while (!m->failed) {
        struct buf why = buf_init(words, sizeof words);
        if (m->at == m->step->n_lines) {
            buf_cstr(&why, "not expected");
            return fail(m, m->step->n_lines, &why);
        }
        const struct flow_line *line = &m->step->lines[m->at];
        if (line->presence == FLOW_UNORDERED) {
            m->failed_at = m->at;
            buf_put(&why, ANOTHER);
            if (!take_unordered(m, a, &why)) {
                return fail(m, m->failed_at, &why);
            }
            return true;
        }
        if (flow_line_matches(line, a, m->vars, &why)) {
            take(m, m->at);
            m->at += line->presence != FLOW_REPEATED;
            return true;
        }
        if (line->presence == FLOW_ONCE) {
            return fail(m, m->at, &why);
        }
        m->at++;
    }
    return false;
}

bool flow_match_is_complete(const struct flow_match *m) {
    if (m->failed) {
        return false;
    }
    for (size_t i = m->at; i < m->step->n_lines; i++) {
        enum flow_presence presence = m->step->lines[i].presence;
        if (presence == FLOW_ONCE || (presence == FLOW_UNORDERED && !m->seen[i])) {
            return false;
        }
    }
    return true;
}

/* The explanation. */

enum { COLUMN = 46 };

static void put_row(struct buf *out, char mark, struct span expected, struct span seen) {
    buf_printf(out, "  %c %-*.*s  %.*s\n", mark, COLUMN, SPAN_ARG(span_slice(expected, 0, COLUMN)),
               SPAN_ARG(seen));
}

static struct span seen_text(const struct ladder_arrow *a, char *bytes, size_t cap) {
    struct buf b = buf_init(bytes, cap);
    buf_put(&b, a->from);
    buf_char(&b, ' ');
    buf_put(&b, a->to);
    buf_char(&b, ' ');
    buf_put(&b, a->label);
    return buf_span(&b);
}

/* The lines that must be seen and were not. */
static void put_missing(const struct flow_match *m, struct buf *out) {
    for (size_t i = 0; i < m->step->n_lines; i++) {
        const struct flow_line *line = &m->step->lines[i];
        bool must = line->presence == FLOW_ONCE || line->presence == FLOW_UNORDERED;
        if (must && !m->seen[i] && !(m->failed && i == m->failed_at)) {
            put_row(out, '-', line->text, SPAN("(not seen)"));
        }
    }
}

void flow_match_explain(const struct flow_match *m, const struct ladder *l, size_t first,
                        struct buf *out) {
    const struct flow_step *s = m->step;
    char bytes[600];
    size_t n = 0;
    buf_printf(out, "  %c %-*s  %s\n", ' ', COLUMN, "expected", "seen");
    for (size_t i = first; i < ladder_count(l); i++) {
        const struct ladder_arrow *a = ladder_at(l, i);
        if (a->note.n) {
            continue;
        }
        struct span seen = seen_text(a, bytes, sizeof bytes);
        if (n < m->taken) {
            bool known = n < COUNT_OF(m->took);
            put_row(out, '=', known ? s->lines[m->took[n]].text : SPAN(""), seen);
        } else if (n == m->taken && m->failed) {
            bool any = m->failed_at < s->n_lines;
            put_row(out, any ? '!' : '+', any ? s->lines[m->failed_at].text : SPAN("(nothing)"),
                    seen);
            buf_printf(out, "      line %u: %s\n", any ? s->lines[m->failed_at].line : s->line,
                       m->why);
        } else {
            put_row(out, ' ', SPAN(""), seen);
        }
        n++;
    }
    put_missing(m, out);
}
