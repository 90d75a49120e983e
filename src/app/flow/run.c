/* The runner's heart: step by step, comparing as messages come. */
#include "app/flow/runner.h"

#include "app/describe.h"

#include "node/icscf/icscf.h"
#include "node/scscf/scscf.h"
#include "obs/peek.h"
#include "obs/trace.h"
#include "rt/loop.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

uint64_t runner_now_us(const struct runner *r) {
    return r->sim ? sim_now_us(r->sim) : loop_now_us(r->loop);
}

bool runner_drive(struct runner *r, bool (*done)(void *ctx), void *ctx, uint64_t limit_us) {
    uint64_t until = runner_now_us(r) + limit_us;
    if (done && done(ctx)) {
        return true;
    }
    return r->sim ? sim_run(r->sim, done, ctx, until) : loop_run_until(r->loop, done, ctx, until);
}

void runner_complain(struct runner *r, unsigned line, const char *format, ...) {
    char text[2048];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    buf_printf(&r->text, "%.*s:%u: %s\n", SPAN_ARG(r->flow->file), line, text);
}

/* SUBSCRIBE and NOTIFY, their answers, and how the I-CSCF finds the way. */
static bool is_reg_event(const struct runner *r, const struct trace_message *m) {
    enum { LIR = 302 };
    struct peek_diameter d;
    struct peek_sip s;
    if (m->protocol == TRACE_DIAMETER) {
        return peek_diameter(m->bytes, &d) && d.command == LIR &&
               (network_icscf(r->network, m->from_name) || network_icscf(r->network, m->to_name));
    }
    return m->protocol == TRACE_SIP && peek_sip(m->bytes, &s) &&
           (span_eq(s.method, SPAN("SUBSCRIBE")) || span_eq(s.method, SPAN("NOTIFY")));
}

/* A message that has to do with flows: DNS, the upkeep of Diameter connections and subscriptions to
 * registration state only if asked for. */
static bool is_shown(const struct runner *r, const struct trace_message *m) {
    enum { CER = 257, DWR = 280, DPR = 282 };
    const struct flow *f = r->flow;
    struct peek_diameter d;
    if (m->protocol == TRACE_DNS) {
        return f->show_dns;
    }
    if (!f->show_reg_event && is_reg_event(r, m)) {
        return false;
    }
    if (m->protocol == TRACE_DIAMETER && peek_diameter(m->bytes, &d)) {
        return f->show_peers || (d.command != CER && d.command != DWR && d.command != DPR);
    }
    return true;
}

static void on_message(void *ctx, const struct trace_message *m) {
    struct runner *r = ctx;
    if (!is_shown(r, m)) {
        return;
    }
    if (ladder_add(r->ladder, m) != OK) {
        r->ladder_failed = true;
        return;
    }
    if (r->comparing) {
        (void)flow_match_take(&r->match, ladder_at(r->ladder, ladder_count(r->ladder) - 1));
    }
}

/* Is everything seen that the step says, or has it gone wrong already? */
static bool is_seen(void *ctx) {
    struct runner *r = ctx;
    return !r->comparing || r->match.failed || flow_match_is_complete(&r->match);
}

static void begin_step(struct runner *r, const struct flow_step *s) {
    r->step_first = ladder_count(r->ladder);
    r->comparing = s->compared;
    flow_match_init(&r->match, s, &r->vars);
    if (s->action != FLOW_EXPECT && ladder_add_note(r->ladder, runner_now_us(r), s->text) != OK) {
        r->ladder_failed = true;
    }
}

static uint64_t settle_us(const struct runner *r) {
    return r->sim ? SETTLE_SIMULATED_US : SETTLE_SOCKETS_US;
}

/* Waits for the lines that are still missing, and then for what must not come. */
static bool end_step(struct runner *r, const struct flow_step *s) {
    if (s->action != FLOW_WAIT || s->all) {
        (void)runner_drive(r, is_seen, r, 80 * settle_us(r));
        (void)runner_drive(r, NULL, NULL, settle_us(r));
    }
    bool good = !s->compared || flow_match_is_complete(&r->match);
    r->comparing = false;
    if (!good) {
        runner_complain(r, s->line, "%.*s: not what was to be seen", SPAN_ARG(s->text));
        flow_match_explain(&r->match, r->ladder, r->step_first, &r->text);
    }
    return good;
}

static uint64_t action_limit(const struct runner *r) {
    return r->sim ? ACTION_SIMULATED_US : ACTION_SOCKETS_US;
}

static bool run_terminal(struct runner *r, const struct flow_step *s) {
    struct actor *a = runner_actor(r, s);
    if (!a || !actor_act(a, s)) {
        return false;
    }
    if (!runner_drive(r, actor_is_done, a, action_limit(r))) {
        runner_complain(r, s->line, "%.*s: no end came of it", SPAN_ARG(s->text));
        if (s->compared) {
            flow_match_explain(&r->match, r->ladder, r->step_first, &r->text);
        }
        return false;
    }
    return true;
}

/* Is every node that runs connected to an HSS, if one runs? */
static bool is_ready(void *ctx) {
    const struct runner *r = ctx;
    bool ready = true;
    for (size_t i = 0; i < r->config.n_nodes; i++) {
        struct span name = span_from_cstr(r->config.nodes[i].name);
        const struct icscf *icscf = network_icscf(r->network, name);
        const struct scscf *scscf = network_scscf(r->network, name);
        ready = ready && (!icscf || icscf_is_ready(icscf)) && (!scscf || scscf_is_ready(scscf));
    }
    return ready || !network_hss(r->network, SPAN_NONE);
}

static bool run_node(struct runner *r, const struct flow_step *s) {
    enum error err = OK;
    if (s->action == FLOW_CRASH || s->action == FLOW_RESTART) {
        err = network_crash(r->network, s->subject, SIM_PROCESS_DIES);
        (void)runner_drive(r, NULL, NULL, settle_us(r)); /* its neighbours learn of it */
    }
    if (err == OK && s->action != FLOW_CRASH) {
        err = network_start(r->network, s->subject);
    }
    if (err) {
        runner_complain(r, s->line, "%.*s: %s", SPAN_ARG(s->text), error_text(err));
        return false;
    }
    if (s->action != FLOW_CRASH && !runner_drive(r, is_ready, r, action_limit(r))) {
        runner_complain(r, s->line, "%.*s: the network does not come up again", SPAN_ARG(s->text));
        return false;
    }
    return true;
}

static bool run_provision(struct runner *r, const struct flow_step *s) {
    char path[512], body[4096];
    struct buf p = buf_init(path, sizeof path), b = buf_init(body, sizeof body);
    struct span unknown = SPAN_NONE;
    if (!flow_vars_expand(&r->vars, s->path, &p, &unknown) ||
        !flow_vars_expand(&r->vars, s->body, &b, &unknown)) {
        runner_complain(r, s->line, "nothing is called %.*s", SPAN_ARG(unknown));
        return false;
    }
    if (!runner_provision(r, s->method, buf_span(&p), buf_span(&b))) {
        runner_complain(r, s->line, "the HSS has not answered");
        return false;
    }
    bool good = s->status ? r->web_status == s->status : r->web_status / 100 == 2;
    if (!good) {
        runner_complain(r, s->line, "the HSS answers %u: %.*s", r->web_status,
                        SPAN_ARG(span_slice(r->web_body, 0, 500)));
    }
    return good && runner_add_cards(r, s, buf_span(&b));
}

static bool run_reauthenticate(struct runner *r, const struct flow_step *s) {
    struct span identity = runner_identity(r, s->impu);
    size_t contacts = 0;
    for (size_t i = 0; i < r->config.n_nodes; i++) {
        struct scscf *scscf = network_scscf(r->network, span_from_cstr(r->config.nodes[i].name));
        if (scscf) {
            contacts += scscf_reauthenticate(scscf, identity, (uint32_t)(s->delay_us / SEC_IN_US));
        }
    }
    if (!contacts) {
        runner_complain(r, s->line, "no contact of %.*s is registered", SPAN_ARG(identity));
    }
    return contacts > 0;
}

static bool run_wait(struct runner *r, const struct flow_step *s) {
    (void)runner_drive(r, s->all ? is_seen : NULL, r, s->delay_us);
    return true;
}

static bool run_step(struct runner *r, const struct flow_step *s) {
    bool good = true;
    if (s->action == FLOW_EXPECT) {
        return runner_expect(r, s);
    }
    begin_step(r, s);
    switch (s->action) {
    case FLOW_REGISTER:
    case FLOW_DEREGISTER:
    case FLOW_VANISH:
        good = run_terminal(r, s);
        break;
    case FLOW_CRASH:
    case FLOW_START:
    case FLOW_RESTART:
        good = run_node(r, s);
        break;
    case FLOW_PROVISION:
        good = run_provision(r, s);
        break;
    case FLOW_SUBSCRIBE:
        good = runner_subscribe(r, s);
        break;
    case FLOW_REAUTHENTICATE:
        good = run_reauthenticate(r, s);
        break;
    case FLOW_ASK:
        good = runner_ask(r, s);
        break;
    case FLOW_ANSWER:
        good = runner_answer(r, s);
        break;
    case FLOW_LEAVE:
        good = runner_leave(r, s);
        break;
    default:
        good = run_wait(r, s);
        break;
    }
    return good && end_step(r, s);
}

static bool run_steps(struct runner *r) {
    for (size_t i = 0; i < r->flow->n_steps; i++) {
        if (!run_step(r, &r->flow->steps[i])) {
            return false; /* what follows stands on it */
        }
    }
    return !r->ladder_failed;
}

enum { CHUNK_BYTES = 16384 };

static enum error prepare(struct runner *r) {
    r->ladder = ladder_new();
    if (!r->ladder || ladder_set_title(r->ladder, r->flow->title) != OK) {
        return ERR_NO_MEMORY;
    }
    ladder_set_describe(r->ladder, describe_message, NULL);
    chunk_pool_init(&r->chunks, CHUNK_BYTES, 0);
    r->arena = arena_init(&r->chunks);
    r->vars.arena = &r->arena;
    r->text = buf_init(r->text_bytes, sizeof r->text_bytes - 64);
    return OK;
}

static enum error run(struct runner *r, struct flow_report *out, char **message) {
    enum error err = prepare(r);
    err = err ? err : runner_begin(r, message);
    if (err == OK) {
        uint64_t start = runner_now_us(r);
        trace_listen(r->trace, on_message, r);
        out->passed = run_steps(r);
        out->took_us = runner_now_us(r) - start;
        trace_listen(r->trace, NULL, NULL);
        if (r->text.overflow) {
            r->text.overflow = false;
            buf_cstr(&r->text, "...\n");
        }
        out->text = strndup(r->text.p, r->text.n);
        out->ladder = r->ladder;
        r->ladder = NULL;
        err = out->text ? OK : ERR_NO_MEMORY;
    }
    runner_end(r);
    ladder_free(r->ladder);
    arena_release(&r->arena);
    chunk_pool_free(&r->chunks);
    return err;
}

enum error flow_run(const struct flow *f, enum flow_mode mode, struct flow_report *out,
                    char **message) {
    struct runner *r = calloc(1, sizeof *r);
    *message = NULL;
    *out = (struct flow_report){0};
    if (!r) {
        return ERR_NO_MEMORY;
    }
    r->flow = f;
    r->mode = mode;
    enum error err = run(r, out, message);
    free(r);
    if (err) {
        flow_report_free(out);
    }
    return err;
}

void flow_report_free(struct flow_report *r) {
    ladder_free(r->ladder);
    free(r->text);
    *r = (struct flow_report){0};
}
