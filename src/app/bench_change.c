/* How fast a change of a live subscription reaches the S-CSCF while the HSS is busy: this process
 * is the S-CSCF, with one Diameter connection, and, in a thread of its own, the operator.
 *
 *     registrations as fast as the HSS takes them -> its limit -> a share of that by the clock, and
 *     meanwhile, one after the other, changes of subscribers who are registered
 *
 * A registration is what the HSS sees of one: UAR, MAR, UAR, SAR; and SAR for the de-registration,
 * so that there are two durable writes in each. The time of a change runs from before the HTTP
 * request is sent until the PPR is here: connections, wires and this process are in it. */
#include "app/bench.h"
#include "rt/loop.h"
#include "spec/cx.h"
#include "stack/diameter/diameter_node.h"
#include "stack/http/client.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
    CONNECT_S = 15,
    PACE_US = 500,
    LIMIT_OUTSTANDING = 64,
    LIMIT_S = 3,
    CHANGED = 64, /* subscribers who are changed in turns; they take no part in the load */
    EVERY_MS = 20,
    DRAIN_S = 2,
};

enum step { UAR_FIRST, MAR, UAR_AGAIN, SAR_COMES, SAR_GOES, STEPS };

struct load;

struct user {
    struct load *l;
    struct bench_subscriber s;
    enum step step;
    uint64_t due_us;
    bool busy;
    _Atomic uint64_t
        asked_us; /* of one who is changed: since when the PPR is awaited; 0: it is not */
};

struct load {
    const struct bench_options *options;
    const struct bench_core *core;
    struct bench_window *window;
    struct histogram *wire_us;
    struct loop *loop;
    struct env *env;
    struct diameter *diameter;
    struct user *users;
    uint64_t n_load, n_changed; /* users: the first ones are the load */
    uint64_t next, outstanding, most, rate, paced, paced_from_us;
    struct timer pace;
    bool connected, running, failed;
    uint64_t n_registered; /* of the changed ones */

    pthread_t operator;
    atomic_bool operating;
    atomic_uint_fast64_t changes, refused;
};

/* Requests. */

static void proceed(struct user *u);

static void finish(struct user *u, bool fine) {
    struct load *l = u->l;
    u->busy = false;
    l->outstanding--;
    if (fine) {
        bench_window_done(l->window, u->due_us, env_now_us(l->env));
    } else {
        bench_window_failed(l->window);
    }
}

static bool begin(struct load *l, uint64_t due_us);

static void fill(struct load *l) {
    while (l->running && !l->rate && l->outstanding < l->most && begin(l, env_now_us(l->env))) {
    }
}

static void on_answer(void *ctx, const struct diameter_msg *msg) {
    struct user *u = ctx;
    if (!diameter_result_is_success(msg->result)) {
        finish(u, false);
    } else if (++u->step < STEPS) {
        proceed(u);
        return;
    } else {
        finish(u, true);
    }
    fill(u->l);
}

static void on_no_answer(void *ctx, enum error why) {
    struct user *u = ctx;
    (void)why;
    finish(u, false);
    fill(u->l);
}

static const struct diameter_answer_handler handler = {on_answer, on_no_answer};

static struct diameter_builder *build(const struct load *l, uint32_t command) {
    const struct diameter_route route = {.application = CX_APPLICATION,
                                         .command = command,
                                         .realm = span_from_cstr(l->core->names.home_domain)};
    return diameter_request_begin(l->diameter, &route);
}

static void put_sar(struct load *l, const struct user *u, enum cx_server_assignment_type type) {
    struct span impu = span_from_cstr(u->s.impu);
    cx_sar_encode(
        build(l, CX_COMMAND_SERVER_ASSIGNMENT),
        &(struct cx_sar){.user_name = span_from_cstr(u->s.impi),
                         .public_identity = &impu,
                         .n_public_identity = 1,
                         .server_name = span_from_cstr(l->core->names.node[NAMING_SCSCF].sip_uri),
                         .server_assignment_type = type});
}

static void put_uar(struct load *l, const struct user *u) {
    cx_uar_encode(
        build(l, CX_COMMAND_USER_AUTHORIZATION),
        &(struct cx_uar){.user_name = span_from_cstr(u->s.impi),
                         .public_identity = span_from_cstr(u->s.impu),
                         .visited_network_identifier = span_from_cstr(l->core->names.home_domain)});
}

static void put_mar(struct load *l, const struct user *u) {
    const struct cx_mar mar = {
        .user_name = span_from_cstr(u->s.impi),
        .public_identity = span_from_cstr(u->s.impu),
        .sip_auth_data_item = {.sip_authentication_scheme = SPAN("Digest-AKAv1-MD5")},
        .sip_number_auth_items = 1,
        .server_name = span_from_cstr(l->core->names.node[NAMING_SCSCF].sip_uri)};
    cx_mar_encode(build(l, CX_COMMAND_MULTIMEDIA_AUTH), &mar);
}

static void proceed(struct user *u) {
    struct load *l = u->l;
    switch (u->step) {
    case MAR:
        put_mar(l, u);
        break;
    case SAR_COMES:
        put_sar(l, u, CX_SERVER_ASSIGNMENT_TYPE_REGISTRATION);
        break;
    case SAR_GOES:
        put_sar(l, u, CX_SERVER_ASSIGNMENT_TYPE_USER_DEREGISTRATION);
        break;
    default:
        put_uar(l, u);
    }
    if (diameter_request_send(l->diameter, &handler, u, NULL) != OK) {
        finish(u, false);
    }
}

/* False: all are busy. */
static bool begin(struct load *l, uint64_t due_us) {
    for (uint64_t tries = 0; tries < l->n_load; tries++) {
        struct user *u = &l->users[l->next];
        l->next = (l->next + 1) % l->n_load;
        if (!u->busy) {
            u->busy = true;
            u->step = UAR_FIRST;
            u->due_us = due_us;
            l->outstanding++;
            bench_window_offered(l->window);
            proceed(u);
            return true;
        }
    }
    return false;
}

static void on_pace(struct timer *t) {
    struct load *l = CONTAINER_OF(t, struct load, pace);
    uint64_t due = (env_now_us(l->env) - l->paced_from_us) * l->rate / SEC_IN_US;
    for (; l->paced < due; l->paced++) {
        if (!begin(l, l->paced_from_us + l->paced * SEC_IN_US / l->rate)) {
            bench_window_offered(l->window);
            bench_window_failed(l->window);
        }
    }
    if (l->running) {
        timer_start(l->env, &l->pace, PACE_US);
    }
}

/* PPRs. */

static struct user *user_of(struct load *l, struct span impi) {
    for (uint64_t i = l->n_load; i < l->n_load + l->n_changed; i++) {
        if (span_eq(impi, span_from_cstr(l->users[i].s.impi))) {
            return &l->users[i];
        }
    }
    return NULL;
}

static void on_request(void *ctx, struct diameter_request *rq, const struct diameter_msg *msg) {
    struct load *l = ctx;
    struct diameter_fault fault;
    struct cx_ppr ppr;
    if (msg->command == CX_COMMAND_PUSH_PROFILE &&
        cx_ppr_decode(diameter_request_arena(rq), msg, &ppr, &fault) == OK) {
        struct user *u = user_of(l, ppr.user_name);
        uint64_t asked_us = u ? atomic_exchange(&u->asked_us, 0) : 0;
        if (asked_us) {
            histogram_add(l->wire_us, env_now_us(l->env) - asked_us);
        }
    }
    diameter_answer_result(rq, DIAMETER_RESULT(DIAMETER_SUCCESS), SPAN_NONE);
}

static void on_peer(void *ctx, struct span host, bool up) {
    (void)host;
    ((struct load *)ctx)->connected = up;
}

/* The operator, in a thread of his own. */

static enum error change(struct load *l, const struct bench_subscriber *s, unsigned long number) {
    char url[160], body[1024], web[64];
    struct web_reply reply;
    struct buf b = buf_init(web, sizeof web - 1);
    addr_put(&b, &l->core->web);
    web[b.n] = '\0';
    snprintf(url, sizeof url, "http://%s/subscriptions/%s", web, s->imsi);
    snprintf(
        body, sizeof body,
        "{\"impis\":[{\"identity\":\"%s\"}],\"impus\":["
        "{\"identity\":\"sip:+%s@%s\",\"set\":1,\"default\":true,\"display_name\":\"change %lu\"},"
        "{\"identity\":\"tel:+%s\",\"set\":1},"
        "{\"identity\":\"%s\",\"set\":1,\"barred\":true}]}",
        s->impi, s->msisdn, l->core->names.home_domain, number, s->msisdn, s->impu);
    const struct web_call call = {.method = "PUT",
                                  .url = url,
                                  .content_type = SPAN("application/json"),
                                  .body = span_from_cstr(body),
                                  .timeout_s = 5};
    enum error e = web_client_call(&call, &reply);
    if (!e) {
        e = reply.status == 200 ? OK : ERR_INVALID;
        web_reply_free(&reply);
    }
    return e;
}

static void *operate(void *ctx) {
    struct load *l = ctx;
    const struct timespec pause = {.tv_nsec = EVERY_MS * 1000000L};
    for (unsigned long n = 0; atomic_load(&l->operating); n++) {
        struct user *u = &l->users[l->n_load + n % l->n_changed];
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        if (!atomic_load(&u->asked_us)) { /* else the last one's PPR never came: it is counted */
            atomic_store(&u->asked_us,
                         (uint64_t)now.tv_sec * SEC_IN_US + (uint64_t)now.tv_nsec / 1000);
        }
        atomic_fetch_add(&l->changes, 1);
        if (change(l, &u->s, n) != OK) {
            atomic_fetch_add(&l->refused, 1);
        }
        nanosleep(&pause, NULL);
    }
    return NULL;
}

/* The whole. */

static bool is_connected(void *ctx) {
    return ((struct load *)ctx)->connected;
}

static enum error connect_to_hss(struct load *l) {
    static const struct diameter_handler ours = {.request = on_request, .peer = on_peer};
    static const struct diameter_application applications[] = {
        {.id = CX_APPLICATION, .vendor = DIAMETER_VENDOR_3GPP}};
    const struct naming *names = &l->core->names;
    const struct diameter_peer_config peer = {
        .host = span_from_cstr(names->node[NAMING_HSS].host),
        .address = names->node[NAMING_HSS].addr,
        .connect = true,
    };
    const struct diameter_config config = {
        .host = span_from_cstr(names->node[NAMING_SCSCF].host),
        .realm = span_from_cstr(names->home_domain),
        .applications = applications,
        .n_applications = COUNT_OF(applications),
        .peers = &peer,
        .n_peers = 1,
    };
    enum error e = diameter_new(l->env, &config, &ours, l, &l->diameter);
    if (!e) {
        e = bench_run_until(l->loop, l->core, is_connected, l,
                            loop_now_us(l->loop) + CONNECT_S * SEC_IN_US);
    }
    if (!e && !l->connected) {
        fprintf(stderr, "muster bench: no Diameter connection to the HSS\n");
        return ERR_TIMEOUT;
    }
    return e;
}

static void on_there(void *ctx, const struct diameter_msg *msg) {
    struct load *l = ctx;
    l->n_registered++;
    l->failed = l->failed || !diameter_result_is_success(msg->result);
}

static void on_not_there(void *ctx, enum error why) {
    struct load *l = ctx;
    (void)why;
    l->n_registered++;
    l->failed = true;
}

static bool all_there(void *ctx) {
    const struct load *l = ctx;
    return l->n_registered == l->n_changed;
}

static enum error register_changed(struct load *l) {
    static const struct diameter_answer_handler counted = {on_there, on_not_there};
    for (uint64_t i = 0; i < l->n_changed; i++) {
        put_sar(l, &l->users[l->n_load + i], CX_SERVER_ASSIGNMENT_TYPE_REGISTRATION);
        enum error e = diameter_request_send(l->diameter, &counted, l, NULL);
        if (e) {
            return e;
        }
    }
    enum error e = bench_run_until(l->loop, l->core, all_there, l,
                                   loop_now_us(l->loop) + CONNECT_S * SEC_IN_US);
    return e ? e : l->failed || !all_there(l) ? ERR_TIMEOUT : OK;
}

static enum error prepare(struct load *l) {
    uint64_t users = l->options->users;
    l->users = calloc(users, sizeof *l->users);
    if (!l->users) {
        return ERR_NO_MEMORY;
    }
    l->n_changed = CHANGED < users / 2 ? CHANGED : users / 2;
    l->n_load = users - l->n_changed;
    for (uint64_t i = 0; i < users; i++) {
        l->users[i].l = l;
        bench_subscriber(l->core, i, &l->users[i].s);
    }
    enum error e = loop_new(&l->loop);
    if (!e) {
        e = loop_env_new(l->loop, "bench", &l->env);
    }
    if (!e) {
        l->env->log.level = LOG_ERROR;
        timer_init(&l->pace, on_pace);
        e = connect_to_hss(l);
    }
    return e ? e : register_changed(l);
}

static enum error run_for(struct load *l, uint64_t seconds) {
    return bench_run_until(l->loop, l->core, NULL, NULL,
                           loop_now_us(l->loop) + seconds * SEC_IN_US);
}

/* As fast as the HSS takes them. */
static enum error find_limit(struct load *l, uint64_t *limit) {
    l->most = LIMIT_OUTSTANDING;
    l->running = true;
    fill(l);
    enum error e = run_for(l, l->options->warmup_s);
    bench_window_open(l->window, l->core, loop_now_us(l->loop));
    e = e ? e : run_for(l, LIMIT_S);
    bench_window_close(l->window, loop_now_us(l->loop));
    l->running = false;
    *limit = l->window->length_us ? l->window->done * SEC_IN_US / l->window->length_us : 0;
    e = e ? e : run_for(l, 1);
    return e ? e : *limit ? OK : ERR_TIMEOUT;
}

static enum error run_at(struct load *l, uint64_t rate) {
    l->rate = rate;
    l->running = true;
    l->paced_from_us = loop_now_us(l->loop);
    timer_start(l->env, &l->pace, PACE_US);
    enum error e = run_for(l, l->options->warmup_s);
    atomic_store(&l->operating, true);
    if (e || pthread_create(&l->operator, NULL, operate, l) != 0) {
        return e ? e : ERR_NO_MEMORY;
    }
    bench_window_open(l->window, l->core, loop_now_us(l->loop));
    e = run_for(l, l->options->seconds);
    bench_window_close(l->window, loop_now_us(l->loop));
    atomic_store(&l->operating, false);
    if (!e) {
        e = run_for(l, 1); /* the last change */
    }
    l->running = false;
    pthread_join(l->operator, NULL);
    return e ? e : run_for(l, DRAIN_S);
}

enum error bench_change(const struct bench_options *options, const struct bench_core *core,
                        struct bench_change *out) {
    struct load l = {
        .options = options, .core = core, .window = &out->load, .wire_us = &out->wire_us};
    enum error e = prepare(&l);
    if (!e) {
        e = find_limit(&l, &out->limit);
    }
    if (!e) {
        out->load = (struct bench_window){0};
        out->rate = out->limit * BENCH_CHANGE_SHARE / 100;
        e = run_at(&l, out->rate);
    }
    out->changes = atomic_load(&l.changes);
    out->refused = atomic_load(&l.refused);
    if (l.env) {
        timer_stop(&l.pace);
    }
    diameter_free(l.diameter);
    env_close(l.env);
    loop_free(l.loop);
    free(l.users);
    return e;
}
