#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rt/loop.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* covers: HF14
 * What only the real loop has; its links are shown by test_links.c. */

struct fixture {
    struct loop *loop;
    struct env *env;
    unsigned calls;
    unsigned wanted;
};

static int open_loop(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    assert_int_equal(loop_new(&f->loop), OK);
    assert_int_equal(loop_env_new(f->loop, "test", &f->env), OK);
    f->wanted = 1;
    *state = f;
    return 0;
}

static int close_loop(void **state) {
    struct fixture *f = *state;
    env_close(f->env);
    loop_free(f->loop);
    free(f);
    return 0;
}

static bool is_called(void *ctx) {
    struct fixture *f = ctx;
    return f->calls >= f->wanted;
}

static bool run(struct fixture *f) {
    return loop_run_until(f->loop, is_called, f, loop_now_us(f->loop) + 20 * SEC_IN_US);
}

static void on_signal(void *ctx, int signum) {
    struct fixture *f = ctx;
    assert_int_equal(signum, SIGUSR1);
    f->calls++;
}

static void signals_are_called_from_the_loop(void **state) {
    struct fixture *f = *state;
    struct signal_watch *w;
    assert_int_equal(loop_signal_watch(f->loop, SIGUSR1, on_signal, f, &w), OK);
    assert_int_equal(kill(getpid(), SIGUSR1), 0);
    assert_int_equal(f->calls, 0);
    assert_true(run(f));
    signal_watch_free(w);
    signal_watch_free(NULL);
    assert_int_equal(loop_signal_watch(f->loop, SIGKILL, on_signal, f, &w), ERR_INVALID);
}

/* Work goes to another thread and comes back through a wake-up, as with the store. */

enum { JOBS = 20000 };

struct worker {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct wakeup *done;
    unsigned asked, answered; /* under the lock */
    bool stop;
    struct fixture *f;
};

static void *work(void *ctx) {
    struct worker *w = ctx;
    pthread_mutex_lock(&w->lock);
    while (!w->stop) {
        if (w->answered < w->asked) {
            w->answered++;
            pthread_mutex_unlock(&w->lock);
            wakeup_signal(w->done);
            pthread_mutex_lock(&w->lock);
        } else {
            pthread_cond_wait(&w->wake, &w->lock);
        }
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

static void ask(struct worker *w) {
    pthread_mutex_lock(&w->lock);
    w->asked++;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
}

static void on_done(void *ctx) {
    struct worker *w = ctx;
    pthread_mutex_lock(&w->lock);
    unsigned answered = w->answered;
    pthread_mutex_unlock(&w->lock);
    while (w->f->calls < answered) { /* one call may stand for several signals */
        w->f->calls++;
        if (w->f->calls % 2 == 0) {
            ask(w);
            ask(w);
        }
    }
}

static void another_thread_wakes_the_loop(void **state) {
    struct fixture *f = *state;
    struct worker w = {.lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER, .f = f};
    pthread_t thread;
    assert_int_equal(loop_wakeup_new(f->loop, on_done, &w, &w.done), OK);
    assert_int_equal(pthread_create(&thread, NULL, work, &w), 0);
    f->wanted = JOBS;
    ask(&w);
    ask(&w);
    assert_true(run(f));
    pthread_mutex_lock(&w.lock);
    w.stop = true;
    pthread_cond_signal(&w.wake);
    pthread_mutex_unlock(&w.lock);
    pthread_join(thread, NULL);
    wakeup_free(w.done);
    wakeup_free(NULL);
}

static void *stop_it(void *ctx) {
    loop_stop_from_thread(ctx);
    return NULL;
}

static void another_thread_stops_the_loop(void **state) {
    struct fixture *f = *state;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, stop_it, f->loop), 0);
    loop_run(f->loop);
    pthread_join(thread, NULL);
}

struct pipe_watch {
    struct fixture *f;
    struct fd_watch *watch;
    int fds[2];
    unsigned events;
    bool drain;
};

static void on_fd(void *ctx, int fd, unsigned events) {
    struct pipe_watch *p = ctx;
    char c;
    assert_true(fd == p->fds[0] || fd == p->fds[1]);
    p->events = events;
    p->f->calls++;
    if (p->drain) {
        assert_int_equal(read(fd, &c, 1), 1);
    } else {
        fd_watch_free(p->watch);
        p->watch = NULL;
    }
}

static void descriptors_of_others_are_watched(void **state) {
    struct fixture *f = *state;
    struct pipe_watch p = {.f = f, .drain = true};
    struct fd_watch *twice;
    assert_int_equal(pipe(p.fds), 0);
    assert_int_equal(loop_fd_watch(f->loop, p.fds[0], FD_READABLE, on_fd, &p, &p.watch), OK);
    assert_int_equal(loop_fd_watch(f->loop, p.fds[0], FD_READABLE, on_fd, &p, &twice), ERR_EXISTS);
    fd_watch_set(p.watch, 0);
    assert_int_equal(write(p.fds[1], "abc", 3), 3);
    assert_false(loop_run_until(f->loop, is_called, f, loop_now_us(f->loop) + 5 * MS_IN_US));
    fd_watch_set(p.watch, FD_READABLE);
    f->wanted = 3;
    assert_true(run(f));
    assert_int_equal(p.events, FD_READABLE);
    /* The last one frees itself; a hang-up counts as readable. */
    p.drain = false;
    f->wanted = 4;
    close(p.fds[1]);
    assert_true(run(f));
    assert_int_equal(p.events, FD_READABLE);
    assert_null(p.watch);
    close(p.fds[0]);
}

static void an_error_on_a_descriptor_does_not_end_the_watch(void **state) {
    struct fixture *f = *state;
    struct pipe_watch p = {.f = f};
    assert_int_equal(pipe(p.fds), 0);
    close(p.fds[0]);
    p.fds[0] = -1;
    assert_int_equal(loop_fd_watch(f->loop, p.fds[1], FD_WRITABLE, on_fd, &p, &p.watch), OK);
    assert_true(run(f));
    assert_int_equal(p.events, FD_WRITABLE);
    close(p.fds[1]);
}

struct clock_test {
    struct post first, second;
    struct env *env;
    uint64_t now_us;
    struct fixture *f;
};

static void read_clock(struct post *p) {
    struct clock_test *c = CONTAINER_OF(p, struct clock_test, first);
    c->now_us = env_now_us(c->env);
    uint64_t wall = (uint64_t)env_wall_us(c->env);
    while ((uint64_t)env_wall_us(c->env) != wall) { /* does not move within the turn */
    }
    for (volatile int i = 0; i < 2000000; i++) { /* takes more than a microsecond */
    }
    env_post(c->env, &c->second);
}

static void read_clock_again(struct post *p) {
    struct clock_test *c = CONTAINER_OF(p, struct clock_test, second);
    assert_true(env_now_us(c->env) == c->now_us);
    c->f->calls++;
    loop_stop(c->f->loop);
}

static void a_turn_has_one_time(void **state) {
    struct fixture *f = *state;
    struct clock_test c = {.env = f->env, .f = f};
    post_init(&c.first, read_clock);
    post_init(&c.second, read_clock_again);
    env_post(f->env, &c.first);
    loop_run(f->loop);
    assert_int_equal(f->calls, 1);
    assert_true(env_now_us(f->env) > c.now_us);
}

struct flood {
    struct post post;
    struct timer timer;
    struct fixture *f;
};

static void flood_again(struct post *p) {
    struct flood *fl = CONTAINER_OF(p, struct flood, post);
    env_post(fl->f->env, p);
}

static void flood_over(struct timer *t) {
    CONTAINER_OF(t, struct flood, timer)->f->calls++;
}

static void posts_that_post_do_not_starve_timers(void **state) {
    struct fixture *f = *state;
    struct flood fl = {.f = f};
    post_init(&fl.post, flood_again);
    timer_init(&fl.timer, flood_over);
    env_post(f->env, &fl.post);
    timer_start(f->env, &fl.timer, 3 * MS_IN_US);
    assert_true(run(f));
    post_cancel(&fl.post);
}

/* Connections from somebody else's sockets. */

struct guest {
    struct fixture *f;
    struct stream *s;
    size_t n;
    bool closed;
    enum error why;
};

static void guest_connected(void *ctx, struct stream *s) {
    (void)ctx;
    (void)s;
    fail();
}

static size_t guest_received(void *ctx, struct stream *s, char *bytes, size_t n) {
    struct guest *g = ctx;
    (void)s;
    (void)bytes;
    g->n += n;
    return n;
}

static void guest_closed(void *ctx, struct stream *s, enum error why) {
    struct guest *g = ctx;
    (void)s;
    g->s = NULL;
    g->closed = true;
    g->why = why;
    g->f->calls++;
}

static void guest_accept(void *ctx, struct listener *l, struct stream *s) {
    static const struct stream_handler handler = {guest_connected, guest_received, guest_closed};
    struct guest *g = ctx;
    (void)l;
    g->s = s;
    g->f->calls++;
    stream_attach(s, &handler, g);
}

static const struct addr any_port = {.family = 4, .ip = {127, 0, 0, 1}};

static int connect_to(const struct listener *l) {
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(listener_local(l)->port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

static void a_reset_connection_is_closed(void **state) {
    struct fixture *f = *state;
    struct guest g = {.f = f};
    struct listener *l;
    const struct linger reset = {.l_onoff = 1};
    assert_int_equal(env_listen(f->env, &any_port, guest_accept, &g, &l), OK);
    int fd = connect_to(l);
    assert_true(run(f));
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset), 0);
    close(fd);
    f->wanted = 2;
    assert_true(run(f));
    assert_true(g.closed);
    assert_int_equal(g.why, ERR_CLOSED);
    listener_close(l);
}

/* Somebody who reads nothing holds a bounded backlog; others are served meanwhile. */
static void a_slow_reader_is_alone_in_his_misery(void **state) {
    static char bytes[16 * 1024];
    struct fixture *f = *state;
    struct guest slow = {.f = f}, quick = {.f = f};
    struct listener *l;
    assert_int_equal(env_listen(f->env, &any_port, guest_accept, &slow, &l), OK);
    int lazy = connect_to(l);
    assert_true(run(f));
    size_t sent = 0;
    enum error e = OK;
    for (int turns = 0; turns < 2000 && !e; turns++) {
        for (int i = 0; i < 8 && !e; i++) {
            e = stream_send(slow.s, span_of(bytes, sizeof bytes));
            sent += e ? 0 : sizeof bytes;
        }
        (void)loop_run_until(f->loop, NULL, NULL, loop_now_us(f->loop) + MS_IN_US);
    }
    assert_int_equal(e, ERR_BUSY);
    assert_true(stream_backlog(slow.s) <= STREAM_BACKLOG_MAX);
    assert_true(sent < 16 * STREAM_BACKLOG_MAX); /* the kernels' share */
    listener_close(l);
    assert_int_equal(env_listen(f->env, &any_port, guest_accept, &quick, &l), OK);
    int eager = connect_to(l);
    f->wanted = 2;
    assert_true(run(f));
    assert_int_equal(stream_send(quick.s, SPAN("hello")), OK);
    (void)loop_run_until(f->loop, NULL, NULL, loop_now_us(f->loop) + 5 * MS_IN_US);
    assert_int_equal(recv(eager, bytes, sizeof bytes, MSG_DONTWAIT), 5);
    stream_close(slow.s);
    stream_close(quick.s);
    listener_close(l);
    close(lazy);
    close(eager);
}

/* What is sent to a stream that is held stays with its sender, until reading goes on. */
static void a_stream_that_is_held_is_not_read(void **state) {
    static char bytes[16 * 1024];
    struct fixture *f = *state;
    struct guest g = {.f = f};
    struct listener *l;
    assert_int_equal(env_listen(f->env, &any_port, guest_accept, &g, &l), OK);
    int fd = connect_to(l);
    assert_true(run(f));
    stream_hold(g.s, true);
    size_t sent = 0;
    for (ssize_t n = 0; n >= 0; sent += (size_t)(n > 0 ? n : 0)) {
        n = send(fd, bytes, sizeof bytes, MSG_DONTWAIT);
        (void)loop_run_until(f->loop, NULL, NULL, loop_now_us(f->loop) + MS_IN_US);
    }
    assert_int_equal(g.n, 0);
    assert_int_equal(stream_send(g.s, SPAN("hello")), OK); /* the other direction is free */
    (void)loop_run_until(f->loop, NULL, NULL, loop_now_us(f->loop) + 5 * MS_IN_US);
    assert_int_equal(recv(fd, bytes, sizeof bytes, MSG_DONTWAIT), 5);
    assert_int_equal(g.n, 0);
    stream_hold(g.s, false);
    close(fd);
    f->wanted = 2;
    assert_true(run(f));
    assert_int_equal(g.n, sent);
    assert_true(g.closed);
    listener_close(l);
}

/* Without descriptors the listener rests and tries again, and the loop does not spin. */
static void a_listener_survives_the_want_of_descriptors(void **state) {
    struct fixture *f = *state;
    struct guest g = {.f = f};
    struct listener *l;
    struct rlimit before, few;
    assert_int_equal(env_listen(f->env, &any_port, guest_accept, &g, &l), OK);
    int fd = connect_to(l);
    int highest = dup(fd);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    few = (struct rlimit){(rlim_t)highest, before.rlim_max};
    close(highest);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    loop_run_until(f->loop, is_called, f, loop_now_us(f->loop) + 20 * MS_IN_US);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(f->calls, 0);
    assert_int_equal(loop_counters(f->loop)->accept_failures, 1);
    assert_true(loop_counters(f->loop)->turns < 50);
    assert_true(run(f));
    stream_close(g.s);
    listener_close(l);
    close(fd);
}

static void on_dgram(void *ctx, struct dgram *d, const struct addr *from, char *bytes, size_t n) {
    struct fixture *f = ctx;
    (void)d;
    assert_int_equal(from->family, 6);
    assert_int_equal(n, 3);
    assert_memory_equal(bytes, "six", 3);
    f->calls++;
}

static void version_six_works_too(void **state) {
    struct fixture *f = *state;
    const struct addr local = {.family = 6, .ip = {[15] = 1}};
    struct dgram *a, *b;
    enum error e = env_dgram_open(f->env, &local, DGRAM_SOCKET_ONLY, on_dgram, f, &a);
    if (e == ERR_UNREACHABLE || e == ERR_IO) {
        skip(); /* this machine has none */
    }
    assert_int_equal(e, OK);
    assert_int_equal(env_dgram_open(f->env, &local, 0, on_dgram, f, &b), OK);
    assert_int_equal(dgram_send(a, dgram_local(b), SPAN("six")), OK);
    assert_true(run(f));
    assert_int_equal(loop_counters(f->loop)->udp_received, 1);
    dgram_close(a);
    dgram_close(b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(signals_are_called_from_the_loop, open_loop, close_loop),
        cmocka_unit_test_setup_teardown(another_thread_wakes_the_loop, open_loop, close_loop),
        cmocka_unit_test_setup_teardown(another_thread_stops_the_loop, open_loop, close_loop),
        cmocka_unit_test_setup_teardown(descriptors_of_others_are_watched, open_loop, close_loop),
        cmocka_unit_test_setup_teardown(an_error_on_a_descriptor_does_not_end_the_watch, open_loop,
                                        close_loop),
        cmocka_unit_test_setup_teardown(a_reset_connection_is_closed, open_loop, close_loop),
        cmocka_unit_test_setup_teardown(a_slow_reader_is_alone_in_his_misery, open_loop,
                                        close_loop),
        cmocka_unit_test_setup_teardown(a_stream_that_is_held_is_not_read, open_loop, close_loop),
        cmocka_unit_test_setup_teardown(a_listener_survives_the_want_of_descriptors, open_loop,
                                        close_loop),
        cmocka_unit_test_setup_teardown(version_six_works_too, open_loop, close_loop),
        cmocka_unit_test_setup_teardown(a_turn_has_one_time, open_loop, close_loop),
        cmocka_unit_test_setup_teardown(posts_that_post_do_not_starve_timers, open_loop,
                                        close_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
