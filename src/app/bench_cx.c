/* Load of UARs: this process is the I-CSCF, with one TCP connection to the HSS. */
#include "app/bench.h"
#include "rt/loop.h"
#include "spec/cx.h"
#include "stack/diameter/diameter_node.h"

#include <stdio.h>
#include <stdlib.h>

enum { CONNECT_S = 15 };

struct asker;

/* One of the requests that are under way. */
struct question {
    struct asker *asker;
    uint64_t begun_us;
};

struct asker {
    const struct bench_options *options;
    const struct bench_core *core;
    struct bench_window *window;
    struct loop *loop;
    struct env *env;
    struct diameter *diameter;
    struct question *questions;
    struct bench_subscriber *subscribers;
    uint64_t next;
    bool connected, running;
};

static void ask(struct question *q);

static void on_answer(void *ctx, const struct diameter_msg *msg) {
    struct question *q = ctx;
    struct asker *a = q->asker;
    if (diameter_result_is_success(msg->result)) {
        bench_window_done(a->window, q->begun_us, env_now_us(a->env));
    } else {
        bench_window_failed(a->window);
    }
    if (a->running) {
        ask(q);
    }
}

static void on_no_answer(void *ctx, enum error why) {
    struct question *q = ctx;
    (void)why;
    bench_window_failed(q->asker->window);
    if (q->asker->running) {
        ask(q);
    }
}

static const struct diameter_answer_handler answer_handler = {on_answer, on_no_answer};

static void ask(struct question *q) {
    struct asker *a = q->asker;
    const struct bench_subscriber *s = &a->subscribers[a->next];
    struct span domain = span_from_cstr(a->core->names.home_domain);
    a->next = (a->next + 1) % a->options->users;
    const struct diameter_route route = {
        .application = CX_APPLICATION,
        .command = CX_COMMAND_USER_AUTHORIZATION,
        .realm = domain,
    };
    const struct cx_uar uar = {
        .user_name = span_from_cstr(s->impi),
        .public_identity = span_from_cstr(s->impu),
        .visited_network_identifier = domain,
        .has_user_authorization_type = true,
        .user_authorization_type = CX_USER_AUTHORIZATION_TYPE_REGISTRATION,
    };
    q->begun_us = env_now_us(a->env);
    bench_window_offered(a->window);
    cx_uar_encode(diameter_request_begin(a->diameter, &route), &uar);
    if (diameter_request_send(a->diameter, &answer_handler, q, NULL)) {
        bench_window_failed(a->window);
        a->running = false;
    }
}

static void on_request(void *ctx, struct diameter_request *rq, const struct diameter_msg *msg) {
    (void)ctx;
    (void)msg;
    diameter_request_free(rq);
}

static void on_peer(void *ctx, struct span host, bool up) {
    struct asker *a = ctx;
    (void)host;
    a->connected = up;
}

static bool is_connected(void *ctx) {
    return ((struct asker *)ctx)->connected;
}

static enum error connect_to_hss(struct asker *a) {
    static const struct diameter_handler handler = {.request = on_request, .peer = on_peer};
    static const struct diameter_application applications[] = {
        {.id = CX_APPLICATION, .vendor = DIAMETER_VENDOR_3GPP}};
    const struct naming *names = &a->core->names;
    const struct diameter_peer_config peer = {
        .host = span_from_cstr(names->node[NAMING_HSS].host),
        .address = names->node[NAMING_HSS].addr,
        .connect = true,
    };
    const struct diameter_config config = {
        .host = span_from_cstr(names->node[NAMING_ICSCF].host),
        .realm = span_from_cstr(names->home_domain),
        .applications = applications,
        .n_applications = COUNT_OF(applications),
        .peers = &peer,
        .n_peers = 1,
    };
    enum error e = diameter_new(a->env, &config, &handler, a, &a->diameter);
    if (e) {
        return e;
    }
    e = bench_run_until(a->loop, a->core, is_connected, a,
                        loop_now_us(a->loop) + CONNECT_S * SEC_IN_US);
    if (!e && !a->connected) {
        fprintf(stderr, "muster bench: no Diameter connection to the HSS\n");
        return ERR_TIMEOUT;
    }
    return e;
}

static enum error prepare(struct asker *a) {
    a->questions = calloc(a->options->outstanding, sizeof *a->questions);
    a->subscribers = calloc(a->options->users, sizeof *a->subscribers);
    if (!a->questions || !a->subscribers) {
        return ERR_NO_MEMORY;
    }
    for (uint64_t i = 0; i < a->options->users; i++) {
        bench_subscriber(a->core, i, &a->subscribers[i]);
    }
    enum error e = loop_new(&a->loop);
    if (!e) {
        e = loop_env_new(a->loop, "bench", &a->env);
    }
    if (!e) {
        a->env->log.level = LOG_ERROR;
        e = connect_to_hss(a);
    }
    return e;
}

/* Load, warm-up, window. */
static enum error run(struct asker *a) {
    a->running = true;
    for (uint64_t i = 0; i < a->options->outstanding && a->running; i++) {
        a->questions[i].asker = a;
        ask(&a->questions[i]);
    }
    enum error e = bench_run_until(a->loop, a->core, NULL, NULL,
                                   loop_now_us(a->loop) + a->options->warmup_s * SEC_IN_US);
    bench_window_open(a->window, a->core, loop_now_us(a->loop));
    if (!e) {
        e = bench_run_until(a->loop, a->core, NULL, NULL,
                            loop_now_us(a->loop) + a->options->seconds * SEC_IN_US);
    }
    bench_window_close(a->window, loop_now_us(a->loop));
    return e ? e : a->running ? OK : ERR_CLOSED;
}

enum error bench_cx(const struct bench_options *options, const struct bench_core *core,
                    struct bench_window *out) {
    struct asker a = {.options = options, .core = core, .window = out};
    enum error e = prepare(&a);
    if (!e) {
        e = run(&a);
    }
    diameter_free(a.diameter);
    env_close(a.env);
    loop_free(a.loop);
    free(a.questions);
    free(a.subscribers);
    return e;
}
