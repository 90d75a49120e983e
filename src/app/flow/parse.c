/* The flow language: lines, headings, and what belongs under what. Conditions are read in
 * condition.c, actions in action.c. Everything is a view of the source, which the flow keeps. */
#include "app/flow/parse.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { FAULT_BYTES = 16 * 1024, CHUNK_BYTES = 16384 };

void flow_fault(struct flow_parser *p, const char *format, ...) {
    char text[1024];
    va_list args;
    if (++p->n_faults > FLOW_FAULTS_SHOWN) {
        return;
    }
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    buf_printf(&p->faults, "%s:%u: %s\n", p->file, p->line, text);
}

void *flow_add(struct flow_parser *p, struct flow_items *items, size_t size) {
    if (items->n == FLOW_ITEMS_MAX) {
        flow_fault(p, "too much of it: at most %d", FLOW_ITEMS_MAX);
        return NULL;
    }
    if (items->n == items->cap) {
        size_t cap = items->cap ? 2 * items->cap : 16;
        void *grown = realloc(items->items, cap * size);
        if (!grown) {
            p->no_memory = true;
            return NULL;
        }
        items->items = grown;
        items->cap = cap;
        items->size = size;
    }
    char *item = (char *)items->items + items->n++ * size;
    memset(item, 0, size);
    return item;
}

const void *flow_keep(struct flow_parser *p, struct flow_items *items) {
    void *kept = NULL;
    if (items->n) {
        kept = arena_alloc(&p->flow->arena, items->n * items->size);
        if (kept) {
            memcpy(kept, items->items, items->n * items->size);
        } else {
            p->no_memory = true;
        }
    }
    items->n = 0;
    return kept;
}

void flow_items_free(struct flow_items *items) {
    free(items->items);
    *items = (struct flow_items){0};
}

static bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

struct span flow_word(struct span *rest) {
    struct span s = span_trim(*rest);
    size_t n = 0;
    if (s.n && s.p[0] == '"') {
        struct span inner = span_after(s, 1);
        n = span_find_char(inner, '"');
        *rest = span_after(inner, n + 1);
        return span_slice(inner, 0, n);
    }
    while (n < s.n && !is_blank(s.p[n])) {
        n++;
    }
    *rest = span_trim(span_after(s, n));
    return span_slice(s, 0, n);
}

bool flow_duration(struct span *rest, uint64_t *out_us) {
    struct span number = flow_word(rest), unit = flow_word(rest);
    uint64_t factor = span_eq(unit, SPAN("s"))     ? 1000000
                      : span_eq(unit, SPAN("ms"))  ? 1000
                      : span_eq(unit, SPAN("min")) ? 60000000
                      : span_eq(unit, SPAN("h"))   ? 3600000000
                      : span_eq(unit, SPAN("d"))   ? 86400000000
                                                   : 0;
    uint64_t n;
    if (!factor || !span_to_u64(number, 1000000, &n)) {
        return false;
    }
    *out_us = n * factor;
    return true;
}

/* Headings. */

static void read_covers(struct flow_parser *p, struct span rest) {
    while (rest.n) {
        struct span id = flow_word(&rest);
        struct span *slot = flow_add(p, &p->covers, sizeof *slot);
        if (slot) {
            *slot = id;
        }
        if (id.n < 2 || id.p[0] < 'A' || id.p[0] > 'Z') {
            flow_fault(p, "\"%.*s\" is no requirement: one letter and a number, as in A4",
                       SPAN_ARG(id));
        }
    }
}

static void read_set(struct flow_parser *p, struct span rest) {
    struct span path = flow_word(&rest);
    size_t dot = span_find_char(path, '.');
    if (dot == 0 || dot + 1 >= path.n || rest.n == 0) {
        flow_fault(p, "set needs a node's setting and a value: set scscf.expires-min-s 60");
        return;
    }
    struct flow_setting *s = flow_add(p, &p->settings, sizeof *s);
    if (s) {
        *s = (struct flow_setting){p->line, span_slice(path, 0, dot), span_after(path, dot + 1),
                                   rest};
    }
}

static void read_node(struct flow_parser *p, struct span rest) {
    struct span name = flow_word(&rest);
    if (name.n == 0 || rest.n) {
        flow_fault(p, "node needs one name: node scscf-2");
        return;
    }
    struct flow_setting *s = flow_add(p, &p->settings, sizeof *s);
    if (s) {
        *s = (struct flow_setting){p->line, name, SPAN_NONE, SPAN_NONE};
    }
}

static bool read_terminal_part(struct flow_parser *p, struct flow_terminal *t, struct span word,
                               struct span *rest) {
    if (span_eq(word, SPAN("impu"))) {
        t->impu = flow_word(rest);
    } else if (span_eq(word, SPAN("instance"))) {
        t->instance = flow_word(rest);
    } else if (span_eq(word, SPAN("at"))) {
        t->pcscf = flow_word(rest);
    } else if (span_eq(word, SPAN("expires"))) {
        return span_to_u32(flow_word(rest), UINT32_MAX, &t->expires_s);
    } else if (span_eq(word, SPAN("reg-id"))) {
        return span_to_u32(flow_word(rest), UINT32_MAX, &t->reg_id);
    } else if (span_eq(word, SPAN("over"))) {
        return sip_transport_parse(flow_word(rest), &t->transport) && t->transport != SIP_TLS;
    } else if (span_eq(word, SPAN("no"))) {
        struct span what = flow_word(rest);
        t->no_refresh |= span_eq(what, SPAN("refresh"));
        t->no_retry |= span_eq(what, SPAN("retry"));
        t->no_reg_event |= span_eq(what, SPAN("reg-event"));
        return t->no_refresh || t->no_retry || t->no_reg_event;
    } else {
        return false;
    }
    (void)p;
    return true;
}

static void read_terminal(struct flow_parser *p, struct span rest) {
    struct flow_terminal t = {.line = p->line};
    t.name = flow_word(&rest);
    t.impi = flow_word(&rest);
    while (rest.n) {
        struct span word = flow_word(&rest);
        if (!read_terminal_part(p, &t, word, &rest)) {
            flow_fault(p,
                       "\"%.*s\" does not say anything of a terminal: impu X, expires N, "
                       "instance X, reg-id N, at NODE, no refresh, no retry, no reg-event",
                       SPAN_ARG(word));
            return;
        }
    }
    if (t.impi.n == 0) {
        flow_fault(p, "terminal needs a name and a private identity: terminal tablet alice.smith");
        return;
    }
    struct flow_terminal *slot = flow_add(p, &p->terminals, sizeof *slot);
    if (slot) {
        *slot = t;
    }
}

static void read_show(struct flow_parser *p, struct span rest) {
    while (rest.n) {
        struct span what = flow_word(&rest);
        if (span_eq(what, SPAN("dns"))) {
            p->flow->show_dns = true;
        } else if (span_eq(what, SPAN("peers"))) {
            p->flow->show_peers = true;
        } else if (span_eq(what, SPAN("reg-event"))) {
            p->flow->show_reg_event = true;
        } else {
            flow_fault(p, "show knows dns, peers and reg-event");
        }
    }
}

static void read_only(struct flow_parser *p, struct span rest) {
    if (!span_eq(flow_word(&rest), SPAN("simulated")) || rest.n == 0) {
        flow_fault(p, "only needs a reason: only simulated it waits for an hour");
        return;
    }
    p->flow->only_simulated = rest;
}

static void once(struct flow_parser *p, struct span *slot, struct span value, const char *what) {
    if (slot->n) {
        flow_fault(p, "a second %s: one is enough", what);
    } else if (value.n == 0) {
        flow_fault(p, "%s needs a text", what);
    }
    *slot = value;
}

static void read_name(struct flow_parser *p, struct span rest) {
    for (size_t i = 0; i < rest.n; i++) {
        char c = rest.p[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-')) {
            flow_fault(p, "a flow's name has small letters, digits and hyphens only");
            break;
        }
    }
    once(p, &p->flow->name, rest, "flow");
}

/* False if the line is no heading. */
static bool read_heading(struct flow_parser *p, struct span text) {
    struct span rest = text, word = flow_word(&rest);
    if (span_eq(word, SPAN("flow"))) {
        read_name(p, rest);
    } else if (span_eq(word, SPAN("title"))) {
        once(p, &p->flow->title, rest, "title");
    } else if (span_eq(word, SPAN("covers"))) {
        read_covers(p, rest);
    } else if (span_eq(word, SPAN("set"))) {
        read_set(p, rest);
    } else if (span_eq(word, SPAN("node"))) {
        read_node(p, rest);
    } else if (span_eq(word, SPAN("terminal"))) {
        read_terminal(p, rest);
    } else if (span_eq(word, SPAN("show"))) {
        read_show(p, rest);
    } else if (span_eq(word, SPAN("only"))) {
        read_only(p, rest);
    } else {
        return false;
    }
    return true;
}

static void end_step(struct flow_parser *p) {
    if (!p->in_step) {
        return;
    }
    p->in_step = false;
    p->step.n_lines = p->lines.n;
    p->step.lines = flow_keep(p, &p->lines);
    struct flow_step *slot = flow_add(p, &p->steps, sizeof *slot);
    if (slot) {
        *slot = p->step;
    }
}

static void read_indented(struct flow_parser *p, struct span text) {
    if (!p->in_step) {
        flow_fault(p, "a line of the ladder stands under an action, and there is none above it");
        return;
    }
    if (p->step.action == FLOW_EXPECT) {
        flow_fault(p, "an expectation has no ladder: put the lines under the action before it");
        return;
    }
    p->step.compared = true;
    if (!span_eq(text, SPAN("nothing"))) {
        flow_read_line(p, text);
    }
}

/* A comment begins at a '#' that opens the line or follows white space. */
static struct span without_comment(struct span line) {
    for (size_t i = 0; i < line.n; i++) {
        if (line.p[i] == '#' && (i == 0 || is_blank(line.p[i - 1]))) {
            return span_slice(line, 0, i);
        }
    }
    return line;
}

static void read_source_line(struct flow_parser *p, struct span line) {
    if (line.n > FLOW_LINE_MAX) {
        flow_fault(p, "the line is longer than %d bytes", FLOW_LINE_MAX);
        return;
    }
    bool indented = line.n && is_blank(line.p[0]);
    struct span text = span_trim(without_comment(line));
    if (text.n == 0) {
        return;
    }
    for (size_t i = 0; i < text.n; i++) {
        uint8_t c = (uint8_t)text.p[i];
        if ((c < 32 && c != '\t') || c == 127) {
            flow_fault(p, "a control character (0x%02x) stands in the line", c);
            return;
        }
    }
    if (indented) {
        read_indented(p, text);
        return;
    }
    end_step(p);
    if (read_heading(p, text)) {
        if (p->steps.n) {
            flow_fault(p, "headings stand before the first action");
        }
        return;
    }
    p->step = (struct flow_step){.line = p->line, .text = text};
    p->in_step = true;
    if (!flow_read_step(p, text)) {
        flow_fault(
            p,
            "\"%.*s\" is neither a heading nor an action: a line begins with flow, title, "
            "covers, node, set, terminal, show, only, crash, start, restart, wait, "
            "provision, ask, answer, leave, expect, or a terminal's name; a line of the ladder is "
            "indented",
            SPAN_ARG(span_slice(text, 0, 60)));
    }
}

/* Cuts a line off the flow's own copy of the source. A backslash at its end joins the next one to
 * it: both become spaces. */
static struct span take_line(struct span *rest, unsigned *lines) {
    char *start = (char *)(uintptr_t)rest->p;
    size_t n = span_find_char(*rest, '\n');
    while (n > 0 && n < rest->n && start[n - 1] == '\\') {
        start[n - 1] = start[n] = ' ';
        n += span_find_char(span_after(*rest, n), '\n');
        ++*lines;
    }
    struct span line = span_slice(*rest, 0, n);
    *rest = span_after(*rest, n + 1);
    return line;
}

static void check_whole(struct flow_parser *p) {
    p->line = 1;
    if (p->flow->name.n == 0) {
        flow_fault(p, "the heading flow NAME is missing");
    }
    if (p->flow->title.n == 0) {
        flow_fault(p, "the heading title TEXT is missing");
    }
    if (p->steps.n == 0) {
        flow_fault(p, "nothing happens in it: an action is missing, such as: alice register");
    }
}

static void finish(struct flow_parser *p) {
    struct flow *f = p->flow;
    f->n_covers = p->covers.n;
    f->covers = flow_keep(p, &p->covers);
    f->n_settings = p->settings.n;
    f->settings = flow_keep(p, &p->settings);
    f->n_terminals = p->terminals.n;
    f->terminals = flow_keep(p, &p->terminals);
    f->n_steps = p->steps.n;
    f->steps = flow_keep(p, &p->steps);
    flow_items_free(&p->covers);
    flow_items_free(&p->settings);
    flow_items_free(&p->terminals);
    flow_items_free(&p->steps);
    flow_items_free(&p->lines);
    flow_items_free(&p->conditions);
}

static enum error parser_begin(struct flow_parser *p, const char *name, struct span source) {
    struct flow *f = calloc(1, sizeof *f);
    p->fault_bytes = malloc(FAULT_BYTES);
    if (!f || !p->fault_bytes) {
        free(f);
        free(p->fault_bytes);
        return ERR_NO_MEMORY;
    }
    p->faults = buf_init(p->fault_bytes, FAULT_BYTES - 1);
    p->flow = f;
    p->file = name;
    p->line = 1;
    chunk_pool_init(&f->chunks, CHUNK_BYTES, 0);
    f->arena = arena_init(&f->chunks);
    f->file = arena_copy(&f->arena, span_from_cstr(name), &p->no_memory);
    f->source = arena_copy(&f->arena, source, &p->no_memory);
    return OK;
}

enum error flow_parse(const char *name, struct span source, struct flow **out, char **faults) {
    struct flow_parser p = {0};
    *faults = NULL;
    enum error err = parser_begin(&p, name, source);
    if (err) {
        return err;
    }
    if (source.n > FLOW_FILE_MAX) {
        flow_fault(&p, "the file is larger than %d bytes", FLOW_FILE_MAX);
    } else {
        struct span rest = p.flow->source;
        while (rest.n) {
            unsigned lines = 1;
            struct span line = take_line(&rest, &lines);
            read_source_line(&p, line);
            p.line += lines;
        }
        end_step(&p);
        check_whole(&p);
    }
    finish(&p);
    if (p.n_faults > FLOW_FAULTS_SHOWN) {
        buf_printf(&p.faults, "%s: and %u more\n", name, p.n_faults - FLOW_FAULTS_SHOWN);
    }
    if (p.no_memory || p.n_faults) {
        flow_free(p.flow);
        p.fault_bytes[p.faults.n] = '\0';
        *faults = p.no_memory ? NULL : p.fault_bytes;
        if (p.no_memory) {
            free(p.fault_bytes);
        }
        return p.no_memory ? ERR_NO_MEMORY : ERR_INVALID;
    }
    free(p.fault_bytes);
    *out = p.flow;
    return OK;
}

void flow_free(struct flow *f) {
    if (f) {
        arena_release(&f->arena);
        chunk_pool_free(&f->chunks);
        free(f);
    }
}

static enum error read_file(const char *path, char **bytes, size_t *n) {
    FILE *in = fopen(path, "re");
    if (!in) {
        return error_from_errno(errno);
    }
    enum error err = OK;
    *bytes = malloc(FLOW_FILE_MAX + 1);
    if (!*bytes) {
        err = ERR_NO_MEMORY;
    } else {
        *n = fread(*bytes, 1, FLOW_FILE_MAX + 1, in);
        err = ferror(in) ? ERR_IO : *n > FLOW_FILE_MAX ? ERR_TOO_BIG : OK;
    }
    (void)fclose(in);
    return err;
}

enum error flow_load(const char *path, struct flow **out, char **faults) {
    char *bytes = NULL;
    size_t n = 0;
    *faults = NULL;
    enum error err = read_file(path, &bytes, &n);
    if (err == OK) {
        err = flow_parse(path, span_of(bytes, n), out, faults);
    } else if (asprintf(faults, "%s: %s\n", path, error_text(err)) < 0) {
        *faults = NULL;
        err = ERR_NO_MEMORY;
    }
    free(bytes);
    return err;
}
