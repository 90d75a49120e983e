#include "app/process.h"

#include "app/journal_web.h"
#include "app/metrics.h"
#include "app/notify.h"
#include "app/openapi_web.h"
#include "app/registrations_web.h"
#include "app/reload.h"
#include "app/subscribers.h"
#include "app/trace_web.h"
#include "base/htab.h"
#include "node/hss/hss.h"
#include "obs/trace.h"
#include "rt/loop.h"
#include "stack/http/server.h"

#include <jansson.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

enum { STOP_MAX_S = 5, READY_POLL_MS = 10 };

struct process {
    const struct config *config;
    struct loop *loop;
    struct env *env; /* the process's own timers and log */
    struct network *network;
    struct web_server *web;
    struct tls_context *web_tls;
    struct trace_web *trace_web;
    struct journal *journal;
    struct metrics metrics;
    struct signal_watch *signals[3];
    struct timer stop_timer;  /* the graceful end takes too long */
    struct timer ready_timer; /* looks whether all connections stand */
    void (*ready)(void *ctx);
    void *ready_ctx;
    bool stopping, store_failed;
    bool ended; /* nothing is left to do but to free */
    struct process_options options;
    /* Reloading: asked for by a signal or over the web, done between two runs of the loop. */
    bool reloading;
    web_answer_fn *reload_answer; /* NULL: nobody waits */
    void *reload_answer_ctx;
    struct config *reloaded; /* the newest that was taken; NULL: the first */
    struct timer watchdog_timer;
};

static void end(struct process *p) {
    p->ended = true;
    loop_stop(p->loop);
}

static void stopped(void *ctx) {
    end(ctx);
}

void process_stop(struct process *p) {
    if (!p->stopping) {
        p->stopping = true;
        p->metrics.draining = true;
        notify_service("STOPPING=1");
        timer_stop(&p->ready_timer);
        timer_start(p->env, &p->stop_timer, STOP_MAX_S * SEC_IN_US);
        network_stop(p->network, stopped, p);
    }
}

static void stop_fire(struct timer *t) {
    struct process *p = CONTAINER_OF(t, struct process, stop_timer);
    LOG(&p->env->log, LOG_WARNING, "graceful end took too long", LOG_U64("seconds", STOP_MAX_S));
    end(p);
}

static void begin_reload(struct process *p);

static void on_signal(void *ctx, int signum) {
    struct process *p = ctx;
    if (signum == SIGHUP) {
        begin_reload(p);
        return;
    }
    if (p->stopping) {
        end(p);
        return;
    }
    LOG(&p->env->log, LOG_NOTICE, "stopping", LOG_U64("signal", signum));
    process_stop(p);
}

/* After a commit that failed nobody knows what is on the disk: no answer may leave any more. */
static void on_store_failed(void *ctx, const char *what) {
    struct process *p = ctx;
    LOG(&p->env->log, LOG_ERROR, "the store failed, stopping at once", LOG_CSTR("why", what));
    p->store_failed = true;
    end(p);
}

static void ready_fire(struct timer *t) {
    struct process *p = CONTAINER_OF(t, struct process, ready_timer);
    if (!network_is_ready(p->network)) {
        timer_start(p->env, t, READY_POLL_MS * MS_IN_US);
        return;
    }
    notify_service("READY=1");
    if (p->ready) {
        p->ready(p->ready_ctx);
    }
}

static void explain(char **message, const char *format, ...) PRINTF_LIKE(2, 3);

static void explain(char **message, const char *format, ...) {
    va_list values;
    if (!*message) {
        va_start(values, format);
        if (vasprintf(message, format, values) < 0) {
            *message = NULL;
        }
        va_end(values);
    }
}

/* Keys stand in memory: no core dump shows them. Tables hash under a secret of this process. */
static void harden(void) {
    const struct rlimit no_core = {0, 0};
    uint64_t seed;
    setrlimit(RLIMIT_CORE, &no_core);
    if (getrandom(&seed, sizeof seed, 0) == (ssize_t)sizeof seed) {
        hash_seed(seed);
    }
}

static enum error start_loop(struct process *p) {
    static const int signums[] = {SIGINT, SIGTERM, SIGHUP};
    enum error e = loop_new(&p->loop);
    if (!e) {
        e = loop_env_new(p->loop, "muster", &p->env);
    }
    if (e) {
        return e;
    }
    p->env->log.level = (enum log_level)p->config->log_level;
    for (size_t i = 0; i < COUNT_OF(signums) && !e; i++) {
        e = loop_signal_watch(p->loop, signums[i], on_signal, p, &p->signals[i]);
    }
    if (!e && p->config->journal_bytes) {
        p->journal = journal_new((size_t)p->config->journal_bytes);
        e = p->journal ? OK : ERR_NO_MEMORY;
    }
    if (!e && p->config->trace_bytes) {
        e = trace_enable(loop_trace(p->loop), (size_t)p->config->trace_bytes);
    }
    return e;
}

/* Reloading. */

static void begin_reload(struct process *p) {
    if (!p->stopping && p->options.load) {
        p->reloading = true;
        loop_stop(p->loop);
    }
}

static void put_lines(json_t *list, const char *lines) {
    for (struct span rest = span_from_cstr(lines ? lines : ""); rest.n;) {
        struct span line = span_cut(&rest, '\n');
        if (line.n) {
            json_array_append_new(list, json_stringn(line.p, line.n));
        }
    }
}

/* Lines as one: "log, trace". */
static void join_lines(const char *lines, char *out, size_t cap) {
    struct buf b = buf_init(out, cap - 1);
    for (struct span rest = span_from_cstr(lines ? lines : ""); rest.n;) {
        struct span line = span_trim(span_cut(&rest, '\n'));
        if (line.n) {
            buf_printf(&b, "%s%.*s", b.n ? ", " : "", SPAN_ARG(line));
        }
    }
    out[b.n] = '\0';
}

/* What came of it, in the log: what there is. */
static void log_reload(struct process *p, const struct reload_report *r) {
    const char *const names[] = {"faults", "applied", "needs_restart", "trouble"};
    const char *const lines[] = {r->faults, r->applied, r->restart, r->trouble};
    char texts[COUNT_OF(names)][1024];
    struct log_field fields[COUNT_OF(names)];
    size_t n = 0;
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        join_lines(lines[i], texts[n], sizeof texts[n]);
        if (*texts[n]) {
            fields[n] = LOG_CSTR(names[i], texts[n]);
            n++;
        }
    }
    log_event(&p->env->log, r->faults || r->trouble ? LOG_ERROR : LOG_NOTICE,
              r->faults ? "configuration refused, the old one stays" : "configuration reloaded",
              fields, n);
}

/* What came of it, to whoever asked; and in the log. */
static void tell_reload(struct process *p, const struct reload_report *r) {
    json_t *faults = json_array(), *applied = json_array(), *restart = json_array(),
           *trouble = json_array();
    put_lines(faults, r->faults);
    put_lines(applied, r->applied);
    put_lines(restart, r->restart);
    put_lines(trouble, r->trouble);
    log_reload(p, r);
    json_t *all = json_pack("{s:o,s:o,s:o,s:o}", "faults", faults, "applied", applied,
                            "needs_restart", restart, "trouble", trouble);
    char *text = all ? json_dumps(all, JSON_INDENT(1)) : NULL;
    json_decref(all);
    if (p->reload_answer) {
        const struct web_answer answer = {.status = !text       ? 500
                                                    : r->faults ? 422
                                                                : 200,
                                          .content_type = SPAN_INIT("application/json"),
                                          .body = span_from_cstr(text ? text : "")};
        p->reload_answer(p->reload_answer_ctx, &answer);
        p->reload_answer = NULL;
    }
    free(text);
}

/* Tokens that are gone, or new, count from the next request on; so does a new certificate. */
static void reload_web(struct process *p, const struct config *fresh, struct reload_report *r) {
    struct tls_problem problem = {.text = ""};
    enum error e = web_server_set_tokens(p->web, fresh->web.tokens, fresh->web.n_tokens);
    if (!e && p->web_tls) {
        e = tls_context_reload(p->web_tls, &problem);
    }
    if (e && !r->trouble &&
        asprintf(&r->trouble, "web: %s", problem.text[0] ? problem.text : error_text(e)) < 0) {
        r->trouble = NULL;
    }
}

static void reload(struct process *p) {
    struct reload_report r = {0};
    struct config *fresh = calloc(1, sizeof *fresh);
    notify_service("RELOADING=1");
    p->reloading = false;
    enum error e = fresh ? p->options.load(p->options.ctx, fresh, &r.faults) : ERR_NO_MEMORY;
    if (!e) {
        e = reload_apply(p->reloaded ? p->reloaded : p->config, fresh, p->network, p->loop, &r);
    }
    if (!e) {
        reload_web(p, fresh, &r);
    }
    if (e && !r.faults) {
        r.faults = strdup(error_text(e));
    }
    if (!e) {
        p->env->log.level = (enum log_level)fresh->log_level;
    }
    tell_reload(p, &r);
    struct config *unused = e ? fresh : p->reloaded;
    p->reloaded = e ? p->reloaded : fresh;
    if (unused) {
        if (unused->n_layers) {
            config_free(unused);
        }
        free(unused);
    }
    reload_report_free(&r);
    notify_service("READY=1");
}

static void reload_handle(void *process, const struct web_request *request, web_answer_fn *answer,
                          void *answer_ctx) {
    struct process *p = process;
    if (!span_eq(request->method, SPAN("POST"))) {
        web_refuse_method_of(answer, answer_ctx, "POST");
    } else if (!p->options.load || p->stopping || p->reload_answer) {
        web_refuse(answer, answer_ctx, 503,
                   "The process is starting, ending, or reloading already");
    } else {
        p->reload_answer = answer;
        p->reload_answer_ctx = answer_ctx;
        begin_reload(p);
    }
}

/* The service manager's watchdog: it hears of us as long as the loop turns. */
static void feed_watchdog(struct timer *t) {
    struct process *p = CONTAINER_OF(t, struct process, watchdog_timer);
    uint64_t every_us = notify_watchdog_us();
    if (every_us) {
        notify_service("WATCHDOG=1");
        timer_start(p->env, t, every_us);
    }
}

static enum error start_network(struct process *p, const struct process_options *o,
                                char **message) {
    const struct network_options options = {
        .loop = p->loop,
        .memory_store = o->memory_store,
        .store_path = o->store_path,
        .journal = p->journal,
        .store_failed = on_store_failed,
        .ctx = p,
    };
    return network_new(p->config, &options, &p->network, message);
}

static enum web_right admin_only(const struct web_request *request) {
    (void)request;
    return WEB_ADMIN;
}

static enum error start_web_tls(struct process *p, char **message) {
    char why[1024];
    enum error e = p->config->web.tls_listen.family
                       ? config_web_tls_context(p->config, &p->web_tls, why, sizeof why)
                       : OK;
    if (e) {
        explain(message, "%s", why);
    }
    return e;
}

static enum error start_web(struct process *p, char **message) {
    enum error e = start_web_tls(p, message);
    const struct web_server_config web = {.local = p->config->web.listen,
                                          .local_tls = p->config->web.tls_listen,
                                          .tls = p->web_tls,
                                          .tokens = p->config->web.tokens,
                                          .n_tokens = p->config->web.n_tokens,
                                          .max_connections = p->config->web.connections_max,
                                          .max_body = (size_t)p->config->web.body_max};
    p->metrics = (struct metrics){.network = p->network, .loop = p->loop, .journal = p->journal};
    e = e ? e : trace_web_new(p->env, loop_trace(p->loop), &p->trace_web);
    if (e) {
        return e;
    }
    const struct web_route routes[] = {
        {"/", network_web, p->network, hss_web_needs},
        {"/openapi.json", openapi_web_handle, NULL, NULL},
        {"/trace", trace_web_handle, p->trace_web, NULL},
        {"/registrations", registrations_web_handle, p->network, NULL},
        {"/journal", journal_web_handle, p->journal, NULL},
        {"/metrics", metrics_handle, &p->metrics, NULL},
        {"/health", metrics_health, &p->metrics, NULL},
        {"/ready", metrics_ready, &p->metrics, NULL},
        {"/reload", reload_handle, p, admin_only},
    };
    e = web_server_new(p->loop, &web, routes, COUNT_OF(routes), &p->web);
    if (e) {
        char where[160];
        struct buf b = buf_init(where, sizeof where - 1);
        addr_put(&b, &web.local);
        if (web.local_tls.family) {
            buf_cstr(&b, " and ");
            addr_put(&b, &web.local_tls);
        }
        where[b.n] = '\0';
        explain(message, "the web interface cannot start on %s: %s", where, error_text(e));
    }
    return e;
}

enum error process_start(const struct config *config, const struct process_options *options,
                         struct process **out, char **message) {
    struct process *p = calloc(1, sizeof *p);
    *out = NULL;
    *message = NULL;
    if (!p) {
        return ERR_NO_MEMORY;
    }
    harden();
    p->config = config;
    p->options = *options;
    timer_init(&p->watchdog_timer, feed_watchdog);
    timer_init(&p->stop_timer, stop_fire);
    timer_init(&p->ready_timer, ready_fire);
    enum error e = start_loop(p);
    if (!e) {
        e = start_network(p, options, message);
    }
    if (!e) {
        e = start_web(p, message);
    }
    if (!e && !options->no_subscribers) {
        e = subscribers_provision(config, p->network, p->loop, message);
    }
    if (e) {
        explain(message, "Muster cannot start: %s", error_text(e));
        process_free(p);
        return e;
    }
    *out = p;
    return OK;
}

bool process_run(struct process *p, void (*ready)(void *ctx), void *ctx) {
    p->ready = ready;
    p->ready_ctx = ctx;
    timer_start(p->env, &p->ready_timer, 0);
    feed_watchdog(&p->watchdog_timer);
    while (!p->ended) { /* a reload stops the loop for a moment, perhaps during a graceful end */
        if (p->reloading) {
            reload(p);
        }
        loop_run(p->loop);
    }
    return !p->store_failed;
}

struct network *process_network(struct process *p) {
    return p->network;
}

struct loop *process_loop(struct process *p) {
    return p->loop;
}

struct addr process_web(const struct process *p) {
    return web_server_local(p->web);
}

/* Whoever asks for a reload from now on comes too late, and shall not end us by the signal's
 * default action, which libuv restores: the end was a graceful one. */
static void end_reloads(void) {
    sigset_t reload;
    sigemptyset(&reload);
    sigaddset(&reload, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &reload, NULL);
}

struct addr process_web_tls(const struct process *p) {
    return web_server_local_tls(p->web);
}

/* Nodes first: they drop the requests that the web server still waits for. */
void process_free(struct process *p) {
    if (!p) {
        return;
    }
    timer_stop(&p->stop_timer);
    timer_stop(&p->ready_timer);
    timer_stop(&p->watchdog_timer);
    network_free(p->network);
    trace_web_free(p->trace_web);
    web_server_free(p->web);
    tls_context_free(p->web_tls);
    end_reloads();
    for (size_t i = 0; i < COUNT_OF(p->signals); i++) {
        signal_watch_free(p->signals[i]);
    }
    env_close(p->env);
    journal_free(p->journal);
    if (p->reloaded) {
        config_free(p->reloaded);
        free(p->reloaded);
    }
    loop_free(p->loop);
    free(p);
}
