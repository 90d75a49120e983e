/* What loop, links and timers cost: ninja -C build bench/bench_rt && build/bench/bench_rt
 * (a release build). Prints nanoseconds of CPU (user and system, of the whole process) per
 * operation, the best of several rounds, beside the goal. */
#include "rt/loop.h"
#include "rt/timers.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { ROUNDS = 5, MESSAGE = 700 };

static uint64_t cpu_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void report(const char *what, uint64_t best_ns, size_t operations, unsigned goal_ns) {
    printf("%-52s %8.1f ns", what, (double)best_ns / (double)operations);
    printf(goal_ns ? "   goal %u\n" : "\n", goal_ns);
}

static void die(const char *what, enum error e) {
    fprintf(stderr, "bench_rt: %s: %s\n", what, error_text(e));
    exit(1);
}

/* Timers: those of transactions, started with every message and stopped with its answer, among many
 * that run. */

enum { TIMERS = 50000, TIMER_OPERATIONS = 2000000 };

static void fire(struct timer *t) {
    (void)t;
}

static void bench_timers(void) {
    static struct timer timers[TIMERS];
    struct timers w;
    uint64_t now_us = 12345678, best_ns = UINT64_MAX, random = 88172645463325252u;
    timers_init(&w, now_us);
    for (size_t i = 0; i < TIMERS; i++) {
        timer_init(&timers[i], fire);
        timers_start(&w, &timers[i], now_us + i * 700);
    }
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t start_ns = cpu_ns();
        for (size_t i = 0; i < TIMER_OPERATIONS; i++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            struct timer *t = &timers[(random >> 33) % TIMERS];
            timer_stop(t);
            timers_start(&w, t, now_us + 500 * MS_IN_US * (1 + (random >> 60)));
            if (i % 64 == 0) {
                now_us += 200;
                timers_advance(&w, now_us);
            }
        }
        uint64_t ns = cpu_ns() - start_ns;
        best_ns = ns < best_ns ? ns : best_ns;
    }
    report("timer: start and stop, 50,000 running", best_ns, TIMER_OPERATIONS, 60);
    for (size_t i = 0; i < TIMERS; i++) {
        timer_stop(&timers[i]);
    }
}

/* Links: a window of messages goes to and fro between two environments of one loop. */

struct table {
    struct loop *loop;
    struct env *a, *b;
    struct dgram *da, *db;
    struct listener *listener;
    struct stream *sa, *sb;
    size_t left; /* messages that are still to be sent */
    size_t answers;
    bool up;
};

static const struct addr any_port = {.family = 4, .ip = {127, 0, 0, 1}};
static const char message[MESSAGE];

static void on_dgram(void *ctx, struct dgram *d, const struct addr *from, char *bytes, size_t n) {
    struct table *t = ctx;
    if (d == t->da) {
        t->answers++;
        if (t->left == 0) {
            return;
        }
        t->left--;
    }
    enum error e = dgram_send(d, from, span_of(bytes, n));
    if (e != OK) {
        die("send", e);
    }
}

static void on_connected(void *ctx, struct stream *s) {
    (void)s;
    ((struct table *)ctx)->up = true;
}

static size_t on_received(void *ctx, struct stream *s, char *bytes, size_t n) {
    struct table *t = ctx;
    size_t at = 0;
    for (; n - at >= MESSAGE; at += MESSAGE) {
        if (s == t->sa) {
            t->answers++;
            if (t->left == 0) {
                continue;
            }
            t->left--;
        }
        enum error e = stream_send(s, span_of(bytes + at, MESSAGE));
        if (e != OK) {
            die("send", e);
        }
    }
    return at;
}

static void on_closed(void *ctx, struct stream *s, enum error why) {
    (void)ctx;
    (void)s;
    die("stream", why);
}

static const struct stream_handler handler = {on_connected, on_received, on_closed};

static void on_accept(void *ctx, struct listener *l, struct stream *s) {
    struct table *t = ctx;
    (void)l;
    t->sb = s;
    stream_attach(s, &handler, t);
}

static bool is_up(void *ctx) {
    struct table *t = ctx;
    return t->up && t->sb;
}

static bool is_done(void *ctx) {
    struct table *t = ctx;
    return t->left == 0;
}

static void table_open(struct table *t, bool in_process) {
    *t = (struct table){0};
    enum error e = loop_new(&t->loop);
    e = e != OK ? e : loop_env_new(t->loop, "a", &t->a);
    e = e != OK ? e : loop_env_new(t->loop, "b", &t->b);
    if (e == OK) {
        loop_set_inprocess(t->loop, in_process);
        e = env_dgram_open(t->a, &any_port, 0, on_dgram, t, &t->da);
    }
    e = e != OK ? e : env_dgram_open(t->b, &any_port, 0, on_dgram, t, &t->db);
    e = e != OK ? e : env_listen(t->b, &any_port, on_accept, t, &t->listener);
    e = e != OK ? e : env_stream_connect(t->a, listener_local(t->listener), &handler, t, &t->sa);
    if (e != OK) {
        die("open", e);
    }
    if (!loop_run_until(t->loop, is_up, t, loop_now_us(t->loop) + 5 * SEC_IN_US)) {
        die("connect", ERR_TIMEOUT);
    }
}

static void table_close(struct table *t) {
    stream_close(t->sa);
    stream_close(t->sb);
    listener_close(t->listener);
    dgram_close(t->da);
    dgram_close(t->db);
    env_close(t->a);
    env_close(t->b);
    loop_free(t->loop);
}

static void bench_link(const char *what, bool in_process, bool stream, size_t window, size_t n,
                       unsigned goal_ns) {
    struct table t;
    uint64_t best_ns = UINT64_MAX;
    table_open(&t, in_process);
    for (int round = 0; round < ROUNDS; round++) {
        t.left = n;
        t.answers = 0;
        uint64_t start_ns = cpu_ns();
        for (size_t i = 0; i < window; i++) {
            t.left--;
            enum error e = stream ? stream_send(t.sa, span_of(message, MESSAGE))
                                  : dgram_send(t.da, dgram_local(t.db), span_of(message, MESSAGE));
            if (e != OK) {
                die("send", e);
            }
        }
        if (!loop_run_until(t.loop, is_done, &t, loop_now_us(t.loop) + 30 * SEC_IN_US)) {
            die("answers", ERR_TIMEOUT);
        }
        uint64_t ns = cpu_ns() - start_ns;
        best_ns = ns < best_ns ? ns : best_ns;
        loop_run_until(t.loop, NULL, NULL, loop_now_us(t.loop) + 20 * MS_IN_US);
    }
    report(what, best_ns, 2 * n, goal_ns); /* there and back */
    table_close(&t);
}

int main(void) {
    bench_timers();
    bench_link("in-process datagram, 700 bytes, 1 at a time", true, false, 1, 1000000, 150);
    bench_link("in-process datagram, 700 bytes, 100 at a time", true, false, 100, 1000000, 150);
    bench_link("in-process stream, 700 bytes, 1 at a time", true, true, 1, 1000000, 0);
    bench_link("in-process stream, 700 bytes, 100 at a time", true, true, 100, 1000000, 0);
    bench_link("UDP: receive and send, 700 bytes, 1 at a time", false, false, 1, 20000, 0);
    bench_link("UDP: receive and send, 700 bytes, 32 at a time", false, false, 32, 100000, 6000);
    bench_link("TCP: receive and send, 700 bytes, 1 at a time", false, true, 1, 20000, 0);
    bench_link("TCP: receive and send, 700 bytes, 64 at a time", false, true, 64, 100000, 6000);
    return 0;
}
