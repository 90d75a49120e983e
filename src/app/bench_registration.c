/* Load of registrations: terminals behind one UDP socket, or a few hundred TCP connections, in this
 * process.
 *
 * Closed loop: as many registrations are kept under way as asked for. Offered rate: they begin by
 * the clock, whether others have ended or not, and their latency counts from when they were due;
 * what would go beyond the bound of outstanding ones has failed.
 *
 * A registration of a terminal that was registered in an earlier round is an initial one again (it
 * has forgotten the last challenge), unless re-registrations are measured. */
#include "app/bench.h"
#include "node/ue/ue.h"
#include "rt/loop.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    PACE_US = 1000,
    FIRST_TRY_S = 15,
    AGAIN_MS = 100,
    DRAIN_S = 5,
    CONNECTIONS = 256, /* so many that each message comes by itself, as terminals' messages do */
    T1_US = 500000,
    T4_US = 100000
};

struct bench_user {
    struct bench_subscriber subscriber;
    struct span impu;
    struct ue_isim isim;
    struct ue *ue;
    uint64_t begun_us;
    bool busy;
};

struct load {
    const struct bench_options *options;
    const struct bench_core *core;
    struct bench_window *window;
    struct loop *loop;
    struct env *env;
    struct ue_pool *pools[CONNECTIONS]; /* the nth user is behind the nth of them, and so on */
    size_t n_pools;
    struct bench_user *users;
    uint64_t next; /* whose turn it is */
    uint64_t outstanding, begun;
    uint64_t registered; /* registrations so far */
    uint64_t failed;     /* all, in the window or not */
    uint64_t paced;      /* begun at the offered rate */
    uint64_t paced_from_us;
    struct timer pace;
    bool again;   /* measure re-registrations */
    bool running; /* begin further ones */
    struct ue_failure last_failure;
};

static enum error prepare(struct load *l, struct bench_user *u) {
    const struct ue_config config = {
        .isim = &u->isim, .reg_event = l->options->reg_event, .no_refresh = true, .no_retry = true};
    if (u->ue && l->again) {
        return OK;
    }
    ue_free(u->ue);
    u->ue = NULL;
    return ue_new(l->pools[(size_t)(u - l->users) % l->n_pools], &config, u, &u->ue);
}

/* Begins the next registration, due at due_us. False if nobody is free. */
static bool begin(struct load *l, uint64_t due_us) {
    if (l->options->once && l->begun == l->options->users) {
        return false;
    }
    for (uint64_t tries = 0; tries < l->options->users; tries++) {
        struct bench_user *u = &l->users[l->next];
        l->next = (l->next + 1) % l->options->users;
        if (u->busy) {
            continue;
        }
        if (prepare(l, u)) {
            return false;
        }
        u->busy = true;
        u->begun_us = due_us;
        l->outstanding++;
        l->begun++;
        bench_window_offered(l->window);
        ue_register(u->ue);
        return true;
    }
    return false;
}

static void fill(struct load *l) {
    while (l->running && !timer_is_running(&l->pace) && l->outstanding < l->options->outstanding &&
           begin(l, env_now_us(l->env))) {
    }
}

static void on_pace(struct timer *t) {
    struct load *l = CONTAINER_OF(t, struct load, pace);
    uint64_t elapsed_us = env_now_us(l->env) - l->paced_from_us;
    uint64_t due = elapsed_us * l->options->rate / SEC_IN_US;
    for (; l->paced < due; l->paced++) {
        uint64_t due_us = l->paced_from_us + l->paced * SEC_IN_US / l->options->rate;
        if (l->outstanding >= l->options->outstanding || !begin(l, due_us)) {
            bench_window_offered(l->window);
            bench_window_failed(l->window);
        }
    }
    if (l->running) {
        timer_start(l->env, &l->pace, PACE_US);
    }
}

static struct bench_user *ended(struct load *l, struct ue *ue) {
    struct bench_user *u = ue_user(ue);
    u->busy = false;
    l->outstanding--;
    return u;
}

static void on_registered(void *ctx, struct ue *ue) {
    struct load *l = ctx;
    struct bench_user *u = ended(l, ue);
    l->registered++;
    bench_window_done(l->window, u->begun_us, env_now_us(l->env));
    fill(l);
}

static void on_failed(void *ctx, struct ue *ue, const struct ue_failure *why) {
    struct load *l = ctx;
    ended(l, ue);
    l->failed++;
    l->last_failure = *why;
    bench_window_failed(l->window);
    fill(l);
}

static enum error make_users(struct load *l) {
    l->users = calloc(l->options->users, sizeof *l->users);
    if (!l->users) {
        return ERR_NO_MEMORY;
    }
    for (uint64_t i = 0; i < l->options->users; i++) {
        struct bench_user *u = &l->users[i];
        bench_subscriber(l->core, i, &u->subscriber);
        u->impu = span_from_cstr(u->subscriber.impu);
        u->isim = (struct ue_isim){
            .impi = span_from_cstr(u->subscriber.impi),
            .home_domain = span_from_cstr(l->core->names.home_domain),
            .impus = &u->impu,
            .n_impus = 1,
        };
        memcpy(u->isim.key.k, u->subscriber.k, sizeof u->isim.key.k);
        memcpy(u->isim.key.opc, u->subscriber.opc, sizeof u->isim.key.opc);
    }
    return OK;
}

static enum error open_pools(struct load *l) {
    static const struct ue_handler handler = {.registered = on_registered, .failed = on_failed};
    const struct naming_node *pcscf = &l->core->names.node[NAMING_PCSCF];
    const struct ue_pool_config config = {
        .local = pcscf->addr, /* the same host, any port */
        .transport = l->options->transport,
        .pcscf = &pcscf->addr,
        .n_pcscf = 1,
        .t1_us = T1_US,
        .t4_us = T4_US,
    };
    struct ue_pool_config any_port = config;
    any_port.local.port = 0;
    enum error e = loop_new(&l->loop);
    if (!e) {
        e = loop_env_new(l->loop, "bench", &l->env);
    }
    if (e) {
        return e;
    }
    l->env->log.level = LOG_ERROR;
    timer_init(&l->pace, on_pace);
    size_t n = l->options->transport == SIP_UDP ? 1 : CONNECTIONS;
    while (l->n_pools < n && !e) {
        e = ue_pool_new(l->env, &any_port, &handler, l, &l->pools[l->n_pools]);
        l->n_pools += !e;
    }
    return e;
}

static void drop(struct load *l) {
    for (size_t i = 0; i < l->n_pools; i++) {
        ue_pool_free(l->pools[i]);
    }
    if (l->env) {
        timer_stop(&l->pace);
    }
    env_close(l->env);
    loop_free(l->loop);
    free(l->users);
}

static bool nothing_under_way(void *ctx) {
    return ((struct load *)ctx)->outstanding == 0;
}

/* One registration succeeds: the nodes have found each other. */
static enum error first_one(struct load *l) {
    uint64_t until_us = loop_now_us(l->loop) + FIRST_TRY_S * SEC_IN_US;
    while (l->registered == 0) {
        begin(l, loop_now_us(l->loop));
        enum error e = bench_run_until(l->loop, l->core, nothing_under_way, l, until_us);
        if (!e && l->registered == 0) {
            e = bench_run_until(l->loop, l->core, NULL, NULL,
                                loop_now_us(l->loop) + AGAIN_MS * MS_IN_US);
        }
        if (e) {
            return e;
        }
        if (loop_now_us(l->loop) >= until_us) {
            fprintf(stderr, "muster bench: no terminal could register: %s (%u)\n",
                    ue_reason_text(l->last_failure.reason), l->last_failure.status);
            return ERR_TIMEOUT;
        }
    }
    l->failed = 0;
    return OK;
}

static bool all_registered_once(void *ctx) {
    struct load *l = ctx;
    return l->registered + l->failed >= l->options->users;
}

/* Load, warm-up, window, and what is still under way at its end. */
static enum error run(struct load *l) {
    enum error e = first_one(l);
    l->running = true;
    if (!e && l->again) {
        fill(l);
        e = bench_run_until(l->loop, l->core, all_registered_once, l, UINT64_MAX);
    }
    if (e) {
        return e;
    }
    l->paced_from_us = loop_now_us(l->loop);
    if (l->options->rate) {
        timer_start(l->env, &l->pace, PACE_US);
    }
    bool once = l->options->once;
    if (once) {
        bench_window_open(l->window, l->core, loop_now_us(l->loop));
    }
    fill(l);
    if (!once) {
        e = bench_run_until(l->loop, l->core, NULL, NULL,
                            loop_now_us(l->loop) + l->options->warmup_s * SEC_IN_US);
        bench_window_open(l->window, l->core, loop_now_us(l->loop));
    }
    if (!e) {
        e = bench_run_until(l->loop, l->core, once ? all_registered_once : NULL, l,
                            loop_now_us(l->loop) + l->options->seconds * SEC_IN_US);
    }
    bench_window_close(l->window, loop_now_us(l->loop));
    l->running = false;
    if (!e) {
        e = bench_run_until(l->loop, l->core, nothing_under_way, l,
                            loop_now_us(l->loop) + DRAIN_S * SEC_IN_US);
    }
    return e;
}

enum error bench_registration(const struct bench_options *options, const struct bench_core *core,
                              bool again, struct bench_window *out) {
    struct load l = {.options = options, .core = core, .window = out, .again = again};
    enum error e = make_users(&l);
    if (!e) {
        e = open_pools(&l);
    }
    if (!e) {
        e = run(&l);
    }
    drop(&l);
    return e;
}
