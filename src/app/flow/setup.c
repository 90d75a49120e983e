/* Bringing a flow's network up: its configuration as text, the nodes, the subscribers. */
#include "app/flow/runner.h"

#include "obs/journal.h"
#include "obs/trace.h"
#include "rt/loop.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { CONFIG_BYTES = 32 * 1024, TRACE_BYTES = 1024 * 1024, JOURNAL_BYTES = 256 * 1024, SEED = 1 };

/* The configuration: a layer over the network that is built in. What a flow sets stands in it a
 * line each, so that a fault can be told by the flow's own line. */

struct config_text {
    struct buf buf;
    unsigned line;                       /* the next one */
    unsigned of_setting[FLOW_ITEMS_MAX]; /* the line of each setting */
};

static void put_line(struct config_text *t, const char *indent, struct span key,
                     struct span value) {
    buf_cstr(&t->buf, indent);
    buf_put(&t->buf, key);
    buf_cstr(&t->buf, value.n ? ": " : ":");
    buf_put(&t->buf, value);
    buf_char(&t->buf, '\n');
    t->line++;
}

static bool is_section(struct span name) {
    return span_eq(name, SPAN("network")) || span_eq(name, SPAN("store")) ||
           span_eq(name, SPAN("dns")) || span_eq(name, SPAN("web"));
}

/* Name and settings of a node or section, once for all lines that name it. */
static void put_settings(struct config_text *t, const struct flow *f, size_t first,
                         const char *indent) {
    struct span name = f->settings[first].node;
    char deeper[8];
    for (size_t i = 0; i < first; i++) {
        if (span_eq(f->settings[i].node, name)) {
            return;
        }
    }
    snprintf(deeper, sizeof deeper, "%s  ", indent);
    t->of_setting[first] = t->line;
    put_line(t, indent, name, SPAN_NONE);
    for (size_t i = first; i < f->n_settings; i++) {
        const struct flow_setting *s = &f->settings[i];
        if (span_eq(s->node, name) && s->key.n) {
            t->of_setting[i] = t->line;
            put_line(t, deeper, s->key, s->value);
        }
    }
}

static void put_config(struct config_text *t, const struct flow *f) {
    for (size_t i = 0; i < f->n_settings; i++) {
        if (is_section(f->settings[i].node)) {
            put_settings(t, f, i, "");
        }
    }
    bool any = false;
    for (size_t i = 0; i < f->n_settings; i++) {
        if (!is_section(f->settings[i].node)) {
            if (!any) {
                put_line(t, "", SPAN("nodes"), SPAN_NONE);
                any = true;
            }
            put_settings(t, f, i, "  ");
        }
    }
}

/* "flow:12: what is wrong" with the flow's own file and line, where a setting is meant. */
static char *translate_faults(const struct runner *r, const struct config_text *t, char *faults) {
    char *out = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&out, &n);
    struct span rest = span_from_cstr(faults);
    while (f && rest.n) {
        struct span line = span_cut(&rest, '\n');
        (void)span_cut(&line, ':');
        struct span text = line;
        uint32_t number = 0;
        unsigned flow_line = 1;
        if (span_to_u32(span_cut(&text, ':'), UINT32_MAX, &number)) {
            line = text;
        }
        for (size_t i = 0; i < r->flow->n_settings; i++) {
            if (number && t->of_setting[i] == number) {
                flow_line = r->flow->settings[i].line;
            }
        }
        fprintf(f, "%.*s:%u:%.*s\n", SPAN_ARG(r->flow->file), flow_line, SPAN_ARG(line));
    }
    if (f) {
        (void)fclose(f);
    }
    free(faults);
    return out;
}

static enum error configure(struct runner *r, char **message) {
    struct config_text *t = calloc(1, sizeof *t);
    char *bytes = malloc(CONFIG_BYTES), *faults = NULL;
    struct addr host;
    enum error err = t && bytes ? OK : ERR_NO_MEMORY;
    if (err == OK) {
        t->buf = buf_init(bytes, CONFIG_BYTES);
        t->line = 1;
        put_config(t, r->flow);
        struct span text = buf_span(&t->buf);
        const struct config_layer layers[] = {{NULL, NULL}, {"flow", &text}};
        err = t->buf.overflow ? ERR_TOO_BIG
                              : config_load_layers(layers, text.n ? 2 : 1, &r->config, &faults);
        r->has_config = err == OK;
        r->config.log_level = LOG_ERROR; /* refusals are what many flows are about */
    }
    if (faults) {
        *message = translate_faults(r, t, faults);
    }
    if (err == OK && addr_parse_host(span_from_cstr(r->address), 0, &host)) {
        config_set_host(&r->config, &host);
    }
    free(t);
    free(bytes);
    return err;
}

/* The network. */

static bool network_ready(void *ctx) {
    return network_is_ready(((struct runner *)ctx)->network);
}

static enum error open_environment(struct runner *r) {
    enum error err;
    pid_t pid = getpid();
    if (r->mode == FLOW_SIMULATED) {
        snprintf(r->address, sizeof r->address, "127.0.0.1");
        err = sim_new(SEED, &r->sim);
        r->trace = err ? NULL : sim_trace(r->sim);
    } else { /* so that flows of several processes do not meet */
        snprintf(r->address, sizeof r->address, "127.%d.%d.1", 64 + (int)(pid & 63),
                 (int)(pid >> 6 & 255));
        err = loop_new(&r->loop);
        r->trace = err ? NULL : loop_trace(r->loop);
    }
    return err ? err : trace_enable(r->trace, TRACE_BYTES);
}

static enum error set_variables(struct runner *r) {
    enum error err = flow_vars_set(&r->vars, SPAN("domain"), span_from_cstr(r->config.domain));
    for (size_t i = 0; i < r->config.n_nodes && err == OK; i++) {
        const struct config_node *n = &r->config.nodes[i];
        const char *value = n->sip_name ? n->sip_name : n->host;
        err = flow_vars_set(&r->vars, span_from_cstr(n->name), span_from_cstr(value));
    }
    return err;
}

struct span runner_identity(struct runner *r, struct span written) {
    char bytes[512];
    bool failed = false;
    struct buf b = buf_init(bytes, sizeof bytes);
    buf_put(&b, written);
    if (span_find_char(written, '@') == written.n && !span_starts_with(written, SPAN("tel:"))) {
        buf_char(&b, '@');
        buf_cstr(&b, r->config.domain);
    }
    struct span identity = arena_copy(&r->arena, buf_span(&b), &failed);
    return failed ? SPAN_NONE : identity;
}

static void on_web_answer(void *ctx, const struct web_answer *answer) {
    struct runner *r = ctx;
    bool failed = false;
    r->web_done = true;
    r->web_status = answer->status;
    r->web_body = arena_copy(&r->arena, answer->body, &failed);
}

static bool web_is_done(void *ctx) {
    return ((struct runner *)ctx)->web_done;
}

bool runner_provision(struct runner *r, struct span method, struct span path, struct span body) {
    const struct web_request request = {
        .method = method,
        .path = span_slice(path, 0, span_find_char(path, '?')),
        .query = span_after(path, span_find_char(path, '?') + 1),
        .content_type = body.n ? SPAN("application/json") : SPAN_NONE,
        .body = body,
    };
    r->web_done = false;
    network_web(r->network, &request, on_web_answer, r);
    return runner_drive(r, web_is_done, r, WAIT_READY_US);
}

static char *words(const char *text) {
    return strdup(text);
}

enum error runner_begin(struct runner *r, char **message) {
    enum error err = open_environment(r);
    err = err ? err : configure(r, message);
    err = err ? err : set_variables(r);
    if (err) {
        return err;
    }
    r->journal = journal_new(JOURNAL_BYTES);
    const struct network_options options = {
        .loop = r->loop, .sim = r->sim, .memory_store = true, .journal = r->journal};
    err = network_new(&r->config, &options, &r->network, message);
    if (err) {
        r->network = NULL;
        return err;
    }
    if (!runner_drive(r, network_ready, r, WAIT_READY_US)) {
        *message = words("the network does not come up: its Diameter connections do not stand");
        return ERR_TIMEOUT;
    }
    err = runner_load_cards(r, message);
    return err;
}

void runner_end(struct runner *r) {
    actors_end(r);
    servers_end(r);
    askers_end(r);
    network_free(r->network);
    journal_free(r->journal);
    if (r->has_config) {
        config_free(&r->config);
    }
    while (r->n_cards) {
        card_free(&r->cards[--r->n_cards]);
    }
    sim_free(r->sim);
    loop_free(r->loop);
}
