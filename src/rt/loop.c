#include "rt/loop_internal.h"

#include <assert.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

/* After so many rounds of posts and in-process messages the sockets get their turn. */
enum { ROUNDS_MAX = 64 };

enum { STREAM_BUFFER = 256 * 1024 };

static uint64_t clock_us(clockid_t id) {
    struct timespec t;
    clock_gettime(id, &t);
    return (uint64_t)t.tv_sec * SEC_IN_US + (uint64_t)t.tv_nsec / 1000;
}

void loop_turn(struct loop *l) {
    if (!l->in_turn) {
        l->in_turn = true;
        l->now_us = clock_us(CLOCK_MONOTONIC);
        l->wall_us = 0;
    }
}

uint64_t loop_now_us(struct loop *l) {
    return l->in_turn ? l->now_us : clock_us(CLOCK_MONOTONIC);
}

static int64_t wall_us(struct loop *l) {
    if (!l->in_turn) {
        return (int64_t)clock_us(CLOCK_REALTIME);
    }
    if (l->wall_us == 0) {
        l->wall_us = (int64_t)clock_us(CLOCK_REALTIME);
    }
    return l->wall_us;
}

/* Turns. */

static bool has_work(const struct loop *l) {
    return !list_is_empty(&l->posts.waiting) || l->letters.n > 0 ||
           !list_is_empty(&l->pipes_active);
}

/* All of a turn but waiting. */
static void work(struct loop *l) {
    loop_turn(l);
    l->counters.turns++;
    timers_advance(&l->timers, l->now_us);
    for (int round = 0; round < ROUNDS_MAX && has_work(l); round++) {
        posts_run(&l->posts);
        dgrams_deliver(l);
        pipes_deliver(l);
    }
    dgrams_flush(l);
    tcp_flush(l);
    l->in_turn = false;
}

static void alarm_rings(uv_timer_t *t) {
    struct loop *l = t->data;
    l->alarm_ms = 0;
    uv_stop(&l->uv); /* uv_run rings before it waits, too, and would then wait for ever */
}

/* Waits for something to happen and calls back for it. */
static void await(struct loop *l, uint64_t deadline_us) {
    uint64_t next_us = timers_next_us(&l->timers);
    if (deadline_us < next_us) {
        next_us = deadline_us;
    }
    uint64_t next_ms = next_us == UINT64_MAX ? 0 : next_us / 1000 + (next_us % 1000 != 0);
    if (next_ms != l->alarm_ms) {
        l->alarm_ms = next_ms;
        if (next_ms == 0) {
            uv_timer_stop(&l->alarm);
        } else {
            uint64_t now_ms = uv_now(&l->uv); /* the same clock, read when uv last looked */
            uv_timer_start(&l->alarm, alarm_rings, next_ms > now_ms ? next_ms - now_ms : 0, 0);
        }
    }
    bool at_once = has_work(l) || !list_is_empty(&l->tcp_active);
    uv_run(&l->uv, at_once ? UV_RUN_NOWAIT : UV_RUN_ONCE);
}

bool loop_run_until(struct loop *l, bool (*done)(void *ctx), void *ctx, uint64_t deadline_us) {
    bool is_done = done && done(ctx);
    if (!is_done) {
        work(l);
        is_done = done && done(ctx);
    }
    while (!is_done && !atomic_load(&l->stop) && clock_us(CLOCK_MONOTONIC) < deadline_us) {
        await(l, deadline_us);
        work(l);
        is_done = done && done(ctx);
    }
    atomic_store(&l->stop, false);
    return is_done;
}

void loop_run(struct loop *l) {
    work(l);
    while (!atomic_load(&l->stop)) {
        await(l, UINT64_MAX);
        work(l);
    }
    atomic_store(&l->stop, false);
}

void loop_stop(struct loop *l) {
    atomic_store(&l->stop, true);
}

void loop_stop_from_thread(struct loop *l) {
    atomic_store(&l->stop, true);
    uv_async_send(&l->stopper);
}

static void on_stopper(uv_async_t *a) {
    (void)a;
}

/* The loop as such. */

enum error loop_new(struct loop **out) {
    struct loop *l = calloc(1, sizeof *l);
    char *buffer = malloc(STREAM_BUFFER);
    struct trace *trace = trace_new();
    int e = l && buffer && trace ? uv_loop_init(&l->uv) : UV_ENOMEM;
    if (e == 0 && (e = uv_async_init(&l->uv, &l->stopper, on_stopper)) != 0) {
        uv_loop_close(&l->uv);
    }
    if (e != 0) {
        trace_free(trace);
        free(buffer);
        free(l);
        return error_from_errno(e);
    }
    uv_timer_init(&l->uv, &l->alarm);
    l->alarm.data = l;
    l->stream_buffer = buffer;
    l->trace = trace;
    l->in_process = true;
    timers_init(&l->timers, clock_us(CLOCK_MONOTONIC));
    chunk_pool_init(&l->chunks, 16384, 1024);
    posts_init(&l->posts);
    struct list *lists[] = {&l->envs,       &l->udp_dirty,   &l->pipes_active, &l->pipes_attended,
                            &l->tcp_active, &l->tcp_flushed, &l->tcp_lingering};
    for (size_t i = 0; i < COUNT_OF(lists); i++) {
        list_init(lists[i]);
    }
    *out = l;
    return OK;
}

void loop_free(struct loop *l) {
    if (!l) {
        return;
    }
    assert(list_is_empty(&l->envs) && l->n_watches == 0);
    while (has_work(l)) {
        dgrams_deliver(l);
        pipes_deliver(l);
    }
    dgrams_flush(l);
    tcp_free(l);
    assert(l->timers.count == 0);
    uv_close((uv_handle_t *)&l->alarm, NULL);
    uv_close((uv_handle_t *)&l->stopper, NULL);
    while (uv_run(&l->uv, UV_RUN_NOWAIT) != 0) {
    }
    uv_loop_close(&l->uv);
    dgrams_free(l);
    htab_free(&l->listeners);
    while (l->n_spares > 0) {
        bytes_free(&l->spares[--l->n_spares]);
    }
    free(l->stream_buffer);
    chunk_pool_free(&l->chunks);
    trace_free(l->trace);
    OPENSSL_cleanse(l->random, sizeof l->random);
    free(l);
}

struct trace *loop_trace(struct loop *l) {
    return l->trace;
}

void loop_set_inprocess(struct loop *l, bool on) {
    l->in_process = on;
}

const struct loop_counters *loop_counters(const struct loop *l) {
    return &l->counters;
}

/* Environments. */

static uint64_t env_op_clock_us(struct env *env) {
    (void)env;
    return clock_us(CLOCK_MONOTONIC);
}

static uint64_t env_op_now_us(struct env *env) {
    return loop_now_us(loop_env_of(env)->loop);
}

static int64_t env_op_wall_us(struct env *env) {
    return wall_us(loop_env_of(env)->loop);
}

static void kernel_random(uint8_t *out, size_t n) {
    while (n > 0) {
        ssize_t got = getrandom(out, n, 0);
        if (got < 0) {
            assert(errno == EINTR); /* the kernel has no other reason to refuse */
            continue;
        }
        out += got;
        n -= (size_t)got;
    }
}

static void env_op_random(struct env *env, void *out, size_t n) {
    struct loop *l = loop_env_of(env)->loop;
    if (n > sizeof l->random) {
        kernel_random(out, n);
        return;
    }
    if (n > l->n_random) {
        kernel_random(l->random, sizeof l->random);
        l->n_random = sizeof l->random;
    }
    l->n_random -= n;
    memcpy(out, l->random + l->n_random, n);
    memset(l->random + l->n_random, 0, n);
}

static void env_op_post(struct env *env, struct post *p) {
    list_insert(&loop_env_of(env)->loop->posts.waiting, &p->slot);
}

static void env_op_close(struct env *env) {
    struct loop_env *e = loop_env_of(env);
    env_links_close(&e->links);
    posts_forget(&e->loop->posts, env);
    list_remove(&e->in_loop);
    free(e);
}

static const struct env_ops loop_ops = {.now_us = env_op_now_us,
                                        .clock_us = env_op_clock_us,
                                        .wall_us = env_op_wall_us,
                                        .random = env_op_random,
                                        .post = env_op_post,
                                        .close = env_op_close,
                                        .dgram_open = loop_dgram_open,
                                        .listen = loop_listen,
                                        .stream_connect = loop_stream_connect};

static int64_t log_wall_us(void *clock) {
    return env_op_wall_us(clock);
}

enum error loop_env_new(struct loop *l, const char *name, struct env **out) {
    struct loop_env *e = calloc(1, sizeof *e);
    if (!e) {
        return ERR_NO_MEMORY;
    }
    e->loop = l;
    list_insert(&l->envs, &e->in_loop);
    env_links_init(&e->links);
    e->links.env = (struct env){.ops = &loop_ops,
                                .name = name,
                                .timers = &l->timers,
                                .chunks = &l->chunks,
                                .trace = l->trace,
                                .log = log_to_stderr(name, LOG_INFO)};
    e->links.env.log.wall_us = log_wall_us;
    e->links.env.log.clock = &e->links.env;
    *out = &e->links.env;
    return OK;
}

/* Addresses and sockets. */

socklen_t sockaddr_from_addr(const struct addr *a, union sockaddr_any *out) {
    if (a->family == 6) {
        out->v6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(a->port)};
        memcpy(&out->v6.sin6_addr, a->ip, 16);
        return sizeof out->v6;
    }
    out->v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(a->port)};
    memcpy(&out->v4.sin_addr, a->ip, 4);
    return sizeof out->v4;
}

struct addr addr_from_sockaddr(const union sockaddr_any *sa) {
    struct addr a = {0};
    if (sa->any.sa_family == AF_INET6) {
        a.family = 6;
        a.port = ntohs(sa->v6.sin6_port);
        memcpy(a.ip, &sa->v6.sin6_addr, 16);
    } else if (sa->any.sa_family == AF_INET) {
        a.family = 4;
        a.port = ntohs(sa->v4.sin_port);
        memcpy(a.ip, &sa->v4.sin_addr, 4);
    }
    return a;
}

enum error socket_bound(int type, const struct addr *at, int *fd, struct addr *local) {
    union sockaddr_any sa;
    socklen_t n = sockaddr_from_addr(at, &sa);
    const int on = 1;
    int s = socket(at->family == 6 ? AF_INET6 : AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s < 0) {
        return errno == EMFILE || errno == ENFILE ? ERR_NO_MEMORY : error_from_errno(errno);
    }
    /* Two UDP sockets that both say SO_REUSEADDR would share the port, so only listeners do. */
    bool ok = type != SOCK_STREAM || setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0;
    ok = ok && (at->family != 6 || setsockopt(s, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) == 0);
    ok = ok && bind(s, &sa.any, n) == 0;
    n = sizeof sa;
    ok = ok && getsockname(s, &sa.any, &n) == 0;
    if (!ok) {
        enum error e = error_from_errno(errno);
        close(s);
        return e;
    }
    *local = addr_from_sockaddr(&sa);
    *fd = s;
    return OK;
}
