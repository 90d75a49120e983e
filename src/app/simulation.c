#include "app/simulation.h"

#include "app/simulation_truth.h"
#include "base/htab.h"
#include "node/hss/hss.h"
#include "rt/sim.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    EXPIRES_S = 600,        /* asked for: a terminal registers anew every five minutes */
    BEGIN_S = 30,           /* terminals begin within this time */
    KEEP_ALIVE_S = 500,     /* seldom: time is for registrations */
    CALM_MIN_S = EXPIRES_S, /* after it nothing of before the calm is left */
    CALM_MAX_S = 3 * 3600,  /* a terminal waits up to half an hour between tries (RFC 5626) */
    LOOK_EVERY_S = 10,
    QUIET_S = 300,  /* changes go on after the storm, so that not all is learnt by registering */
    NEWS_S = 150,   /* after the last change S-CSCFs have heard of all of them */
    TRY_MIN_S = 30, /* a terminal that was refused tries again */
    TRY_MAX_S = 120,
    TCP_EVERY = 4,           /* every fourth terminal speaks TCP */
    MESSAGE_BYTES = 8 << 20, /* of the newest messages, for a ladder */
};

const char *const simulation_fault_names[] = {"loss", "duplicate", "reorder", "crash",
                                              "cut",  "partition", "clock",   NULL};

unsigned simulation_fault_of(struct span name) {
    for (unsigned i = 0; simulation_fault_names[i]; i++) {
        if (span_eq(name, span_from_cstr(simulation_fault_names[i]))) {
            return 1u << i;
        }
    }
    return 0;
}

struct run;

struct terminal {
    struct run *run;
    struct watch_subject *subject;
    char name[16];
    struct env *env;
    struct ue_pool *pool;
    struct ue *ue;
};

/* A node that faults happen to. */
struct victim {
    struct run *run;
    const char *name;
};

struct run {
    const struct simulation_options *options;
    struct simulation_report *report;
    struct sim *sim;
    struct config config;
    struct network *network;
    struct watch watch;
    struct writes *writes;
    struct ue **ues; /* of all terminals */
    struct addr pcscf;
    struct terminal *terminals;
    size_t n_terminals;
    struct victim victims[4];
    const char *apart[2]; /* nodes between which nothing gets through */
    bool stormy;
    uint64_t registrations;
    bool provisioned;
};

static double now_s(const struct run *r) {
    return (double)sim_now_us(r->sim) / 1e6;
}

/* Later. */

static void later(struct run *r, uint64_t min_s, uint64_t max_s, void (*fn)(void *ctx), void *ctx) {
    uint64_t delay_us = min_s * SEC_IN_US + sim_random_below(r->sim, (max_s - min_s) * SEC_IN_US);
    if (sim_at(r->sim, sim_now_us(r->sim) + delay_us, fn, ctx) != OK) {
        watch_fault(&r->watch, "out of memory");
    }
}

/* Terminals. */

static void on_registered(void *ctx, struct ue *ue) {
    (void)ue;
    ((struct terminal *)ctx)->run->registrations++;
}

static void begin(void *ctx) {
    ue_register(((struct terminal *)ctx)->ue);
}

/* Who was refused because he was no subscriber tries again: perhaps he is one again. Whom the
 * network has sent away switches his terminal on again. */
static void on_failed(void *ctx, struct ue *ue, const struct ue_failure *why) {
    struct terminal *t = ctx;
    struct run *r = t->run;
    (void)ue;
    if (!why->retry_us && (why->reason == UE_REASON_ENDED ||
                           writes_disturbed(r->writes, (size_t)(t - r->terminals)))) {
        later(r, TRY_MIN_S, TRY_MAX_S, begin, t);
    }
}

static enum error add_terminal(struct run *r, size_t i) {
    static const struct ue_handler handler = {.registered = on_registered, .failed = on_failed};
    struct terminal *t = &r->terminals[i];
    *t = (struct terminal){.run = r, .subject = &r->watch.subjects[i]};
    snprintf(t->name, sizeof t->name, "ue-%zu", i);
    enum error e = sim_env_new(r->sim, t->name, &t->env);
    if (e) {
        return e;
    }
    r->n_terminals = i + 1;
    const struct ue_pool_config pool = {
        .local = addr_v4(10, 0, (uint8_t)(i >> 8), (uint8_t)i, 5060),
        .transport = i % TCP_EVERY == TCP_EVERY - 1 ? SIP_TCP : SIP_UDP,
        .pcscf = &r->pcscf,
        .n_pcscf = 1,
    };
    const struct ue_config ue = {
        .isim = &t->subject->card.isim, .expires_s = EXPIRES_S, .reg_event = r->options->reg_event};
    t->env->log.level = LOG_ERROR;
    e = ue_pool_new(t->env, &pool, &handler, t, &t->pool);
    e = e ? e : ue_new(t->pool, &ue, t, &t->ue);
    r->ues[i] = t->ue;
    return e;
}

static void end_terminals(struct run *r) {
    for (size_t i = 0; i < r->n_terminals; i++) {
        ue_pool_free(r->terminals[i].pool);
        env_close(r->terminals[i].env);
    }
}

/* Faults. */

static bool has(const struct run *r, enum simulation_fault fault) {
    return r->options->faults & fault;
}

static enum error set_link_faults(struct run *r) {
    const struct sim_faults air = {
        .delay_us = 20 * MS_IN_US,
        .jitter_us = has(r, SIMULATION_REORDER) ? 200 * MS_IN_US : 0,
        .loss_ppm = has(r, SIMULATION_LOSS) ? 100000 : 0,
        .duplicate_ppm = has(r, SIMULATION_DUPLICATE) ? 50000 : 0,
    };
    return sim_set_faults_between(r->sim, "ue-*", "pcscf", &air);
}

/* After a restart the HSS has to know what it has acknowledged. */
static void on_inspected(void *ctx, enum hss_registration state, struct span scscf) {
    struct terminal *t = ctx;
    (void)scscf;
    if (t->subject->promise == WATCH_REGISTERED && state != HSS_REGISTERED &&
        !writes_may_end(t->run->writes, (size_t)(t - t->run->terminals))) {
        watch_fault(&t->run->watch, "the HSS has lost the acknowledged assignment of %s",
                    t->subject->imsi);
    }
}

static void inspect_all(struct run *r) {
    struct hss *hss = network_hss(r->network, SPAN_NONE);
    for (size_t i = 0; hss && i < r->n_terminals; i++) {
        struct terminal *t = &r->terminals[i];
        hss_inspect(hss, t->subject->card.impus[0], on_inspected, t);
    }
}

static void restart(void *ctx) {
    struct victim *v = ctx;
    struct run *r = v->run;
    enum error e = network_start(r->network, span_from_cstr(v->name));
    if (e) {
        watch_fault(&r->watch, "%s does not start again: %s", v->name, error_text(e));
    } else if (strcmp(v->name, "hss") == 0) {
        inspect_all(r);
    }
}

/* Registrar and HSS suffer most. */
static void crash(void *ctx) {
    static const unsigned chances[] = {40, 75, 90, 100};
    struct run *r = ctx;
    if (!r->stormy) {
        return;
    }
    uint64_t lot = sim_random_below(r->sim, 100);
    size_t i = 0;
    while (lot >= chances[i]) {
        i++;
    }
    enum sim_crash how = sim_random_below(r->sim, 4) ? SIM_PROCESS_DIES : SIM_MACHINE_VANISHES;
    if (network_crash(r->network, span_from_cstr(r->victims[i].name), how) == OK) {
        r->report->crashes++;
        later(r, 1, 20, restart, &r->victims[i]);
    }
    later(r, 20, 120, crash, r);
}

static void cut(void *ctx) {
    struct run *r = ctx;
    static const char *const pairs[][2] = {{"icscf", "hss"},
                                           {"scscf", "hss"},
                                           {"pcscf", "icscf"},
                                           {"icscf", "scscf"},
                                           {"ue-*", "pcscf"}};
    if (r->stormy) {
        const char *const *pair = pairs[sim_random_below(r->sim, COUNT_OF(pairs))];
        r->report->cuts += sim_cut_streams(r->sim, pair[0], pair[1]);
        later(r, 20, 180, cut, r);
    }
}

static void part(void *ctx);

static void join(void *ctx) {
    struct run *r = ctx;
    if (sim_set_faults_between(r->sim, r->apart[0], r->apart[1], NULL) != OK) {
        watch_fault(&r->watch, "out of memory");
    }
    later(r, 30, 300, part, r);
}

static void part(void *ctx) {
    static const char *const pairs[][2] = {
        {"scscf", "hss"}, {"icscf", "hss"}, {"icscf", "scscf"}, {"pcscf", "icscf"}};
    const struct sim_faults down = {.down = true};
    struct run *r = ctx;
    if (!r->stormy) {
        return;
    }
    memcpy(r->apart, pairs[sim_random_below(r->sim, COUNT_OF(pairs))], sizeof r->apart);
    if (sim_set_faults_between(r->sim, r->apart[0], r->apart[1], &down) != OK) {
        watch_fault(&r->watch, "out of memory");
    }
    r->report->partitions++;
    later(r, 2, 60, join, r);
}

static void shift_clock(void *ctx) {
    static const int64_t hours[] = {1, -1, 24, -24};
    struct run *r = ctx;
    if (r->stormy) {
        int64_t by = hours[sim_random_below(r->sim, COUNT_OF(hours))];
        sim_shift_wall(r->sim, by * 3600 * (int64_t)SEC_IN_US);
        later(r, 60, 600, shift_clock, r);
    }
}

static void begin_storm(struct run *r) {
    static const char *const names[] = {"scscf", "hss", "icscf", "pcscf"};
    r->stormy = true;
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        r->victims[i] = (struct victim){r, names[i]};
    }
    if (has(r, SIMULATION_CRASH)) {
        later(r, 20, 120, crash, r);
    }
    if (has(r, SIMULATION_CUT)) {
        later(r, 20, 180, cut, r);
    }
    if (has(r, SIMULATION_PARTITION)) {
        later(r, 30, 300, part, r);
    }
    if (has(r, SIMULATION_CLOCK)) {
        later(r, 60, 600, shift_clock, r);
    }
    for (size_t i = 0; i < r->n_terminals; i++) {
        later(r, 0, BEGIN_S, begin, &r->terminals[i]);
    }
}

/* Start. */

static void on_provisioned(void *ctx, const struct web_answer *answer) {
    struct run *r = ctx;
    r->provisioned = true;
    if (answer->status >= 300) {
        watch_fault(&r->watch, "the HSS takes no subscribers: %.*s", SPAN_ARG(answer->body));
    }
}

static bool is_provisioned(void *ctx) {
    return ((struct run *)ctx)->provisioned;
}

static enum error provision(struct run *r) {
    size_t n = 0;
    char *text = writes_first_document(r->writes, &n);
    if (!text) {
        return ERR_NO_MEMORY;
    }
    const struct web_request request = {.method = SPAN("POST"),
                                        .path = SPAN("/subscriptions"),
                                        .content_type = SPAN("application/json"),
                                        .body = span_of(text, n)};
    network_web(r->network, &request, on_provisioned, r);
    bool done = sim_run(r->sim, is_provisioned, r, sim_now_us(r->sim) + 60 * SEC_IN_US);
    free(text);
    return done && !*r->watch.fault ? OK : ERR_INTERNAL;
}

static enum error start(struct run *r, char **message) {
    const struct simulation_options *o = r->options;
    hash_seed(o->seed);
    enum error e = config_load(NULL, &r->config, message);
    e = e ? e : sim_new(o->seed, &r->sim);
    e = e ? e : watch_init(&r->watch, o->users, r->config.domain);
    e = e || !o->keep_messages ? e : trace_enable(sim_trace(r->sim), MESSAGE_BYTES);
    if (e) {
        return e;
    }
    trace_witness(sim_trace(r->sim), watch_message, &r->watch);
    r->config.nodes[0].keep_alive_s = KEEP_ALIVE_S;
    r->config.nodes[0].reg_event = o->reg_event;
    const struct network_options network = {.sim = r->sim};
    e = network_new(&r->config, &network, &r->network, message);
    r->pcscf = r->config.nodes[0].listen;
    const struct writes_config writes = {r->sim, r->network, &r->watch, o->writes};
    e = e ? e : writes_new(&writes, &r->writes);
    e = e ? e : provision(r);
    e = e ? e : set_link_faults(r);
    r->terminals = calloc(o->users, sizeof *r->terminals);
    r->ues = calloc(o->users, sizeof(struct ue *));
    e = e ? e : r->terminals && r->ues ? OK : ERR_NO_MEMORY;
    for (size_t i = 0; i < o->users && !e; i++) {
        e = add_terminal(r, i);
    }
    return e;
}

/* The end. */

static void run_for(struct run *r, uint64_t seconds) {
    for (uint64_t s = 0; s < seconds && !*r->watch.fault; s += LOOK_EVERY_S) {
        sim_run_until(r->sim, sim_now_us(r->sim) + LOOK_EVERY_S * SEC_IN_US);
    }
}

/* What was asked for in the storm is asked for until the HSS confirms. */
static void settle(struct run *r, const struct truth *truth) {
    run_for(r, r->options->writes ? QUIET_S : 0);
    writes_end(r->writes);
    run_for(r, NEWS_S);
    if (!*r->watch.fault && writes_are_open(r->writes)) {
        watch_fault(&r->watch, "the HSS does not answer a change");
    }
    truth_check_servers(truth);
}

static void weather(struct run *r) {
    const struct truth truth = {r->sim, r->network, &r->watch, r->writes, r->ues};
    char why[TRUTH_TEXT];
    begin_storm(r);
    writes_begin(r->writes);
    run_for(r, r->options->storm_s);
    r->stormy = false;
    settle(r, &truth);
    run_for(r, CALM_MIN_S - NEWS_S);
    bool fine = truth_all_registered(&truth, why);
    for (uint64_t s = 0; s < CALM_MAX_S && !fine && !*r->watch.fault; s += LOOK_EVERY_S) {
        run_for(r, LOOK_EVERY_S);
        fine = truth_all_registered(&truth, why);
    }
    if (!fine) {
        watch_fault(&r->watch, "after %u s without faults, %s", CALM_MIN_S + CALM_MAX_S, why);
    }
    if (!*r->watch.fault) {
        truth_check_servers(&truth);
        truth_check_all(&truth);
    }
    inspect_all(r);
}

static void report(struct run *r) {
    struct simulation_report *out = r->report;
    const struct sim_counters *c = sim_counters(r->sim);
    out->registrations = r->registrations;
    out->datagrams = c->dgrams_sent;
    out->lost = c->dgrams_lost;
    out->events = c->events;
    out->vectors = r->watch.vectors;
    out->assignments = r->watch.assignments;
    out->writes = writes_confirmed(r->writes);
    out->virtual_us = sim_now_us(r->sim);
    out->digest = r->watch.digest;
    out->passed = !*r->watch.fault;
    if (!out->passed) {
        snprintf(out->fault, sizeof out->fault, "at %.3f s: %s", now_s(r), r->watch.fault);
    }
}

static struct ladder *draw(struct run *r) {
    struct ladder *l = r->options->keep_messages ? ladder_new() : NULL;
    if (l && ladder_add_trace(l, sim_trace(r->sim)) != OK) {
        ladder_free(l);
        l = NULL;
    }
    return l;
}

static void end(struct run *r) {
    end_terminals(r);
    network_free(r->network);
    sim_free(r->sim);
    watch_free(&r->watch);
    config_free(&r->config);
    writes_free(r->writes);
    free(r->terminals);
    free(r->ues);
    free(r);
}

enum error simulation_run(const struct simulation_options *options, struct simulation_report *out,
                          struct ladder **ladder) {
    struct run *r = calloc(1, sizeof *r);
    char *message = NULL;
    *out = (struct simulation_report){0};
    if (ladder) {
        *ladder = NULL;
    }
    if (!r) {
        return ERR_NO_MEMORY;
    }
    r->options = options;
    r->report = out;
    enum error e = start(r, &message);
    if (e) {
        snprintf(out->fault, sizeof out->fault, "the network does not start: %s",
                 message           ? message
                 : *r->watch.fault ? r->watch.fault
                                   : error_text(e));
    } else {
        weather(r);
        report(r);
        if (ladder) {
            *ladder = draw(r);
        }
    }
    free(message);
    end(r);
    return e;
}
