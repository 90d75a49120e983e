#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "obs/trace.h"
#include "pki.h"
#include "rt/loop.h"
#include "rt/sim.h"

#include <stdio.h>
#include <stdlib.h>

/* What env.h promises of links, shown in each environment and on each kind of way. */

enum way { SIM_APART, SIM_TOGETHER, LOOP_SOCKETS, LOOP_IN_PROCESS };

struct world {
    enum way way;
    struct sim *sim; /* or */
    struct loop *loop;
    struct env *a, *b;
    struct tls_context *tls; /* streams are TLS streams */
};

/* Runs until something has happened, within less time than a closed connection may linger. */
static void world_run(struct world *w, bool (*done)(void *ctx), void *ctx) {
    assert_true(w->sim ? sim_run(w->sim, done, ctx, sim_now_us(w->sim) + 4 * SEC_IN_US)
                       : loop_run_until(w->loop, done, ctx, loop_now_us(w->loop) + 4 * SEC_IN_US));
}

/* Runs for a while in which nothing is expected to happen. */
static void world_idle(struct world *w) {
    if (w->sim) {
        sim_run_until(w->sim, sim_now_us(w->sim) + 100 * MS_IN_US);
    } else {
        loop_run_until(w->loop, NULL, NULL, loop_now_us(w->loop) + 20 * MS_IN_US);
    }
}

static int world_open(void **state, enum way way) {
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    w->way = way;
    if (way == SIM_APART || way == SIM_TOGETHER) {
        assert_int_equal(sim_new(1, &w->sim), OK);
        assert_int_equal(sim_env_new(w->sim, "a", &w->a), OK);
        assert_int_equal(sim_env_new(w->sim, "b", &w->b), OK);
    } else {
        assert_int_equal(loop_new(&w->loop), OK);
        assert_int_equal(loop_env_new(w->loop, "a", &w->a), OK);
        assert_int_equal(loop_env_new(w->loop, "b", &w->b), OK);
        loop_set_inprocess(w->loop, way == LOOP_IN_PROCESS);
    }
    if (way == SIM_TOGETHER) {
        assert_int_equal(sim_env_process(w->a, "p"), OK);
        assert_int_equal(sim_env_process(w->b, "p"), OK);
    }
    *state = w;
    return 0;
}

static int world_close(void **state) {
    struct world *w = *state;
    env_close(w->a);
    env_close(w->b);
    tls_context_free(w->tls);
    sim_free(w->sim);
    loop_free(w->loop);
    free(w);
    return 0;
}

static int world_open_tls(void **state, enum way way) {
    int result = world_open(state, way);
    struct world *w = *state;
    struct pki *authority = pki_new("authority");
    w->tls = pki_node(authority, "b.example", TLS_CLIENT_REQUIRED);
    pki_free(authority);
    return result;
}

static int open_sim_apart(void **state) {
    return world_open(state, SIM_APART);
}

static int open_sim_together(void **state) {
    return world_open(state, SIM_TOGETHER);
}

static int open_loop_sockets(void **state) {
    return world_open(state, LOOP_SOCKETS);
}

static int open_loop_in_process(void **state) {
    return world_open(state, LOOP_IN_PROCESS);
}

static int open_sim_apart_tls(void **state) {
    return world_open_tls(state, SIM_APART);
}

static int open_sim_together_tls(void **state) {
    return world_open_tls(state, SIM_TOGETHER);
}

static int open_loop_sockets_tls(void **state) {
    return world_open_tls(state, LOOP_SOCKETS);
}

static int open_loop_in_process_tls(void **state) {
    return world_open_tls(state, LOOP_IN_PROCESS);
}

static bool is_in_process(const struct world *w) {
    return w->way == SIM_TOGETHER || w->way == LOOP_IN_PROCESS;
}

static const struct addr any_port = {.family = 4, .ip = {127, 0, 0, 1}};

/* Datagrams. */

struct mailbox {
    struct dgram *d;
    size_t count, n;
    struct addr from;
    char last[DGRAM_MAX];
    bool echo, close;
};

static void mailbox_receive(void *ctx, struct dgram *d, const struct addr *from, char *bytes,
                            size_t n) {
    struct mailbox *m = ctx;
    m->count++;
    m->from = *from;
    m->n = n;
    memcpy(m->last, bytes, n);
    if (m->echo) {
        assert_int_equal(dgram_send(d, from, span_of(bytes, n)), OK);
    }
    memset(bytes, 'x', n); /* it may be changed in place */
    if (m->close) {
        dgram_close(d);
        m->d = NULL;
    }
}

static struct mailbox *mailbox_new(struct env *env, unsigned flags) {
    struct mailbox *m = calloc(1, sizeof *m);
    assert_non_null(m);
    assert_int_equal(env_dgram_open(env, &any_port, flags, mailbox_receive, m, &m->d), OK);
    assert_int_not_equal(dgram_local(m->d)->port, 0);
    return m;
}

static void mailbox_free(struct mailbox *m) {
    dgram_close(m->d);
    free(m);
}

static bool has_mail(void *ctx) {
    return ((struct mailbox *)ctx)->count > 0;
}

static void a_datagram_comes_back_from_where_it_went(void **state) {
    struct world *w = *state;
    struct mailbox *a = mailbox_new(w->a, 0), *b = mailbox_new(w->b, 0);
    b->echo = true;
    char text[] = "hello";
    assert_int_equal(dgram_send(a->d, dgram_local(b->d), SPAN("hello")), OK);
    assert_int_equal(a->count + b->count, 0); /* never inside the call */
    world_run(w, has_mail, a);
    assert_int_equal(b->count, 1);
    assert_true(addr_eq(&b->from, dgram_local(a->d)));
    assert_true(addr_eq(&a->from, dgram_local(b->d)));
    assert_int_equal(a->n, 5);
    assert_memory_equal(a->last, text, 5);
    mailbox_free(a);
    mailbox_free(b);
}

static void datagrams_of_all_sizes_arrive_in_order(void **state) {
    static const size_t sizes[] = {0, 1, 1472, 1473, 2048, 9000, 65506, 65507};
    static char bytes[DGRAM_MAX + 1];
    struct world *w = *state;
    struct mailbox *a = mailbox_new(w->a, 0), *b = mailbox_new(w->b, 0);
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        memset(bytes, (int)('a' + i), sizes[i]);
        b->count = 0;
        assert_int_equal(dgram_send(a->d, dgram_local(b->d), span_of(bytes, sizes[i])), OK);
        memset(bytes, 0, sizes[i]); /* it was copied */
        world_run(w, has_mail, b);
        assert_int_equal(b->n, sizes[i]);
        for (size_t k = 0; k < b->n; k++) {
            assert_int_equal(b->last[k], 'a' + i);
        }
    }
    assert_int_equal(dgram_send(a->d, dgram_local(b->d), span_of(bytes, sizeof bytes)),
                     ERR_TOO_BIG);
    mailbox_free(a);
    mailbox_free(b);
}

struct counter {
    struct mailbox *mailbox;
    size_t wanted;
};

static bool has_count(void *ctx) {
    struct counter *c = ctx;
    return c->mailbox->count >= c->wanted;
}

static void many_datagrams_of_one_turn_all_arrive(void **state) {
    struct world *w = *state;
    struct mailbox *a = mailbox_new(w->a, 0), *b = mailbox_new(w->b, 0);
    char text[8];
    for (unsigned i = 0; i < 200; i++) {
        snprintf(text, sizeof text, "%u", i);
        assert_int_equal(dgram_send(a->d, dgram_local(b->d), span_from_cstr(text)), OK);
    }
    world_run(w, has_count, &(struct counter){b, 200});
    assert_int_equal(b->count, 200);
    assert_int_equal(b->n, 3);
    assert_memory_equal(b->last, "199", 3);
    mailbox_free(a);
    mailbox_free(b);
}

static void reliable_is_what_stays_in_the_process(void **state) {
    struct world *w = *state;
    struct mailbox *a = mailbox_new(w->a, 0), *b = mailbox_new(w->b, 0),
                   *wire = mailbox_new(w->b, DGRAM_SOCKET_ONLY);
    struct addr nobody = addr_v4(127, 0, 0, 1, 9);
    assert_int_equal(dgram_is_reliable(a->d, dgram_local(b->d)), is_in_process(w));
    assert_int_equal(dgram_is_reliable(b->d, dgram_local(a->d)), is_in_process(w));
    assert_false(dgram_is_reliable(a->d, dgram_local(wire->d)));
    assert_false(dgram_is_reliable(wire->d, dgram_local(a->d)));
    assert_false(dgram_is_reliable(a->d, &nobody));
    assert_int_equal(dgram_send(a->d, &nobody, SPAN("x")), OK);
    assert_int_equal(dgram_send(a->d, dgram_local(wire->d), SPAN("x")), OK);
    world_run(w, has_mail, wire);
    mailbox_free(a);
    mailbox_free(b);
    mailbox_free(wire);
}

static void an_endpoint_may_close_in_its_callback(void **state) {
    struct world *w = *state;
    struct mailbox *a = mailbox_new(w->a, 0), *b = mailbox_new(w->b, 0);
    struct addr to = *dgram_local(b->d);
    b->close = b->echo = true;
    for (int i = 0; i < 10; i++) {
        assert_int_equal(dgram_send(a->d, &to, SPAN("x")), OK);
    }
    world_run(w, has_mail, a);
    world_idle(w);
    assert_int_equal(b->count, 1);
    assert_int_equal(a->count, 1); /* what it sent before it closed */
    /* The address is free again. */
    struct dgram *again;
    assert_int_equal(env_dgram_open(w->b, &to, 0, mailbox_receive, b, &again), OK);
    dgram_close(again);
    mailbox_free(a);
    mailbox_free(b);
}

static void one_address_is_opened_once(void **state) {
    struct world *w = *state;
    struct mailbox *a = mailbox_new(w->a, 0);
    struct dgram *d;
    assert_int_equal(env_dgram_open(w->b, dgram_local(a->d), 0, mailbox_receive, a, &d),
                     ERR_ADDRESS_IN_USE);
    assert_true(trace_is_local(w->a->trace, dgram_local(a->d)));
    struct addr was = *dgram_local(a->d);
    mailbox_free(a);
    assert_false(trace_is_local(w->a->trace, &was));
}

static void what_was_sent_goes_out_though_the_sender_closes(void **state) {
    struct world *w = *state;
    struct mailbox *a = mailbox_new(w->a, 0), *b = mailbox_new(w->b, 0);
    assert_int_equal(dgram_send(a->d, dgram_local(b->d), SPAN("x")), OK);
    mailbox_free(a);
    world_run(w, has_mail, b);
    mailbox_free(b);
}

/* Streams. */

struct peer {
    struct stream *s;
    bool connected, closed;
    enum error why;
    size_t n, calls;
    char bytes[1 << 16];
    bool echo, hold, close_on_receipt, close_on_connect;
    size_t message; /* consumes only whole messages of this size, if > 0 */
};

static void peer_connected(void *ctx, struct stream *s) {
    struct peer *p = ctx;
    assert_ptr_equal(p->s, s);
    assert_false(p->connected);
    p->connected = true;
    if (p->close_on_connect) {
        stream_close(s);
        p->s = NULL;
    }
}

static size_t peer_received(void *ctx, struct stream *s, char *bytes, size_t n) {
    struct peer *p = ctx;
    assert_ptr_equal(p->s, s);
    assert_true(n > 0);
    p->calls++;
    if (p->hold) {
        return 0;
    }
    if (p->message) {
        n -= n % p->message;
    }
    assert_true(p->n + n <= sizeof p->bytes);
    if (n) {
        memcpy(p->bytes + p->n, bytes, n);
    }
    p->n += n;
    if (p->echo) {
        assert_int_equal(stream_send(s, span_of(bytes, n)), OK);
    }
    memset(bytes, 'x', n);
    if (p->close_on_receipt) {
        stream_close(s);
        p->s = NULL;
    }
    return n;
}

static void peer_closed(void *ctx, struct stream *s, enum error why) {
    struct peer *p = ctx;
    assert_ptr_equal(p->s, s);
    assert_false(p->closed);
    p->closed = true;
    p->why = why;
    p->s = NULL;
}

static const struct stream_handler handler = {peer_connected, peer_received, peer_closed};

struct server {
    struct listener *l;
    struct peer peer;
    size_t accepted;
    bool refuse;
};

static void server_accept(void *ctx, struct listener *l, struct stream *s) {
    struct server *server = ctx;
    assert_ptr_equal(server->l, l);
    server->accepted++;
    if (server->refuse) {
        stream_close(s);
        return;
    }
    server->peer.s = s;
    stream_attach(s, &handler, &server->peer);
    assert_true(addr_eq(stream_local(s), listener_local(l)));
}

static enum error listen_at(struct world *w, struct env *env, const struct addr *local,
                            struct server *s) {
    return w->tls ? env_listen_tls(env, w->tls, local, server_accept, s, &s->l)
                  : env_listen(env, local, server_accept, s, &s->l);
}

static struct server *server_new(struct world *w, struct env *env) {
    struct server *s = calloc(1, sizeof *s);
    assert_non_null(s);
    assert_int_equal(listen_at(w, env, &any_port, s), OK);
    assert_int_not_equal(listener_local(s->l)->port, 0);
    return s;
}

static void server_free(struct server *s) {
    listener_close(s->l);
    stream_close(s->peer.s);
    free(s);
}

static struct peer *peer_new(struct world *w, struct env *env, const struct addr *to) {
    struct peer *p = calloc(1, sizeof *p);
    assert_non_null(p);
    assert_int_equal(
        w->tls ? env_stream_connect_tls(env, w->tls, to, SPAN("b.example"), &handler, p, &p->s)
               : env_stream_connect(env, to, &handler, p, &p->s),
        OK);
    assert_false(p->connected || p->closed); /* never inside the call */
    return p;
}

static void peer_free(struct peer *p) {
    stream_close(p->s);
    free(p);
}

static bool is_connected(void *ctx) {
    return ((struct peer *)ctx)->connected;
}

static bool is_closed(void *ctx) {
    return ((struct peer *)ctx)->closed;
}

static bool has_five(void *ctx) {
    return ((struct peer *)ctx)->n >= 5;
}

static bool has_accepted(void *ctx) {
    return ((struct server *)ctx)->accepted > 0;
}

static void a_stream_carries_bytes_both_ways(void **state) {
    struct world *w = *state;
    struct server *server = server_new(w, w->b);
    server->peer.echo = true;
    struct peer *p = peer_new(w, w->a, listener_local(server->l));
    assert_int_equal(stream_send(p->s, SPAN("he")), OK); /* before it stands */
    world_run(w, is_connected, p);
    assert_true(addr_eq(stream_remote(p->s), listener_local(server->l)));
    assert_true(trace_is_local(w->a->trace, stream_local(p->s)));
    assert_int_equal(stream_send(p->s, SPAN("llo")), OK);
    world_run(w, has_five, p);
    assert_memory_equal(p->bytes, "hello", 5);
    assert_true(addr_eq(stream_remote(server->peer.s), stream_local(p->s)));
    assert_int_equal(stream_backlog(p->s), 0);
    peer_free(p);
    world_run(w, is_closed, &server->peer);
    assert_int_equal(server->peer.why, ERR_CLOSED);
    server_free(server);
}

static void bytes_that_are_not_consumed_come_again(void **state) {
    struct world *w = *state;
    struct server *server = server_new(w, w->b);
    server->peer.message = 5;
    struct peer *p = peer_new(w, w->a, listener_local(server->l));
    world_run(w, has_accepted, server);
    world_run(w, is_connected, p);
    assert_int_equal(stream_send(p->s, SPAN("1234")), OK);
    world_idle(w);
    assert_int_equal(server->peer.n, 0);
    assert_int_equal(stream_send(p->s, SPAN("567890ab")), OK);
    world_run(w, has_five, &server->peer);
    world_idle(w);
    assert_int_equal(server->peer.n, 10);
    assert_memory_equal(server->peer.bytes, "1234567890", 10);
    peer_free(p);
    server_free(server);
}

static void nobody_listening_refuses(void **state) {
    struct world *w = *state;
    struct server *server = server_new(w, w->b);
    struct addr to = *listener_local(server->l);
    server_free(server);
    struct peer *p = peer_new(w, w->a, &to);
    world_run(w, is_closed, p);
    assert_int_equal(p->why, ERR_REFUSED);
    assert_false(p->connected);
    peer_free(p);
}

static void an_acceptor_may_close_at_once(void **state) {
    struct world *w = *state;
    struct server *server = server_new(w, w->b);
    server->refuse = true;
    struct peer *p = peer_new(w, w->a, listener_local(server->l));
    world_run(w, is_closed, p);
    assert_int_equal(server->accepted, 1);
    peer_free(p);
    server_free(server);
}

static void a_stream_may_close_in_its_callbacks(void **state) {
    struct world *w = *state;
    struct server *server = server_new(w, w->b);
    struct peer *p = peer_new(w, w->a, listener_local(server->l));
    p->close_on_connect = true;
    world_run(w, is_connected, p);
    world_run(w, is_closed, &server->peer);
    free(p);
    memset(&server->peer, 0, sizeof server->peer);
    server->peer.close_on_receipt = true;
    p = peer_new(w, w->a, listener_local(server->l));
    assert_int_equal(stream_send(p->s, SPAN("hello")), OK);
    world_run(w, is_closed, p);
    assert_memory_equal(server->peer.bytes, "hello", 5);
    peer_free(p);
    server_free(server);
}

static bool has_all(void *ctx) {
    return ((struct peer *)ctx)->closed;
}

static void closing_sends_first_what_was_sent(void **state) {
    static char bytes[60000];
    struct world *w = *state;
    struct server *server = server_new(w, w->b);
    struct peer *p = peer_new(w, w->a, listener_local(server->l));
    world_run(w, is_connected, p);
    memset(bytes, 'b', sizeof bytes);
    assert_int_equal(stream_send(p->s, span_of(bytes, sizeof bytes)), OK);
    assert_true(stream_backlog(p->s) <= sizeof bytes + (w->tls ? TLS_BACKLOG_ROOM : 0));
    peer_free(p);
    world_run(w, has_all, &server->peer);
    assert_int_equal(server->peer.n, sizeof bytes);
    assert_memory_equal(server->peer.bytes, bytes, sizeof bytes);
    server_free(server);
}

static void the_backlog_is_bounded(void **state) {
    static char bytes[STREAM_BACKLOG_MAX + 1];
    struct world *w = *state;
    struct server *server = server_new(w, w->b);
    struct peer *p = peer_new(w, w->a, listener_local(server->l));
    assert_int_equal(stream_send(p->s, span_of(bytes, sizeof bytes)), ERR_BUSY);
    assert_int_equal(stream_backlog(p->s), 0);
    size_t fits = STREAM_BACKLOG_MAX - (w->tls ? TLS_BACKLOG_ROOM : 0);
    assert_int_equal(stream_send(p->s, span_of(bytes, fits)), OK);
    assert_int_equal(stream_backlog(p->s), fits);
    assert_int_equal(stream_send(p->s, span_of(bytes, sizeof bytes - fits)), ERR_BUSY);
    assert_int_equal(stream_backlog(p->s), fits);
    peer_free(p);
    server_free(server);
}

static void a_reader_that_leaves_everything_lying_is_cut_off(void **state) {
    static char bytes[STREAM_BACKLOG_MAX];
    struct world *w = *state;
    struct server *server = server_new(w, w->b);
    server->peer.hold = true;
    struct peer *p = peer_new(w, w->a, listener_local(server->l));
    world_run(w, is_connected, p);
    assert_int_equal(stream_send(p->s, span_of(bytes, sizeof bytes / 2)), OK);
    world_idle(w);
    assert_false(server->peer.closed);
    assert_int_equal(stream_send(p->s, span_of(bytes, sizeof bytes / 2)), OK);
    world_run(w, is_closed, &server->peer);
    assert_int_equal(server->peer.why, ERR_TOO_BIG);
    world_run(w, is_closed, p);
    peer_free(p);
    server_free(server);
}

static void accepted_streams_outlive_their_listener(void **state) {
    struct world *w = *state;
    struct server *server = server_new(w, w->b);
    server->peer.echo = true;
    struct peer *p = peer_new(w, w->a, listener_local(server->l));
    world_run(w, has_accepted, server);
    struct addr to = *listener_local(server->l);
    listener_close(server->l);
    assert_int_equal(stream_send(p->s, SPAN("hello")), OK);
    world_run(w, has_five, p);
    server->l = NULL;
    /* The address is free again. */
    assert_int_equal(listen_at(w, w->b, &to, server), OK);
    struct server twice;
    assert_int_equal(listen_at(w, w->a, &to, &twice), ERR_ADDRESS_IN_USE);
    peer_free(p);
    server_free(server);
}

static void a_connection_that_does_not_stand_gives_up_quietly(void **state) {
    struct world *w = *state;
    struct server *server = server_new(w, w->b);
    struct peer *p = peer_new(w, w->a, listener_local(server->l));
    peer_free(p);
    world_idle(w);
    server_free(server);
}

static void an_environment_that_closes_leaves_nothing_open(void **state) {
    struct world *w = *state;
    struct server *server = server_new(w, w->b);
    struct peer *p = peer_new(w, w->a, listener_local(server->l));
    struct mailbox *m = mailbox_new(w->b, 0);
    world_run(w, is_connected, p);
    world_run(w, has_accepted, server);
    assert_int_equal(stream_send(server->peer.s, SPAN("bye")), OK);
    env_close(w->b);
    w->b = NULL;
    free(server);
    free(m);
    world_run(w, is_closed, p);
    assert_int_equal(p->why, ERR_CLOSED);
    assert_int_equal(p->n, 3);
    peer_free(p);
}

/* Posts and time. */

struct errand {
    struct post post;
    struct env *env;
    unsigned runs, repeat;
};

static void errand_run(struct post *p) {
    struct errand *e = CONTAINER_OF(p, struct errand, post);
    assert_false(post_is_waiting(p));
    e->runs++;
    if (e->repeat > 0) {
        e->repeat--;
        env_post(e->env, p);
    }
}

static bool has_run(void *ctx) {
    struct errand *e = ctx;
    return e->runs > 0 && e->repeat == 0 && !post_is_waiting(&e->post);
}

static void a_post_runs_once_in_a_later_turn(void **state) {
    struct world *w = *state;
    struct errand first = {.env = w->a}, second = {.env = w->b, .repeat = 3}, never = first;
    post_init(&first.post, errand_run);
    post_init(&second.post, errand_run);
    post_init(&never.post, errand_run);
    env_post(w->a, &first.post);
    env_post(w->a, &first.post);
    env_post(w->b, &second.post);
    env_post(w->a, &never.post);
    assert_int_equal(first.runs, 0);
    assert_true(post_is_waiting(&never.post));
    post_cancel(&never.post);
    post_cancel(&never.post);
    world_run(w, has_run, &second);
    assert_int_equal(first.runs, 1);
    assert_int_equal(second.runs, 4);
    assert_int_equal(never.runs, 0);
    env_post(w->b, &never.post);
    env_close(w->b);
    w->b = NULL;
    assert_false(post_is_waiting(&never.post));
    world_idle(w);
    assert_int_equal(never.runs, 0);
}

struct alarm {
    struct timer timer;
    struct env *env;
    uint64_t fired_us;
};

static void alarm_fire(struct timer *t) {
    struct alarm *a = CONTAINER_OF(t, struct alarm, timer);
    a->fired_us = env_now_us(a->env);
}

static bool has_fired(void *ctx) {
    return ((struct alarm *)ctx)->fired_us > 0;
}

static void timers_fire_neither_early_nor_forgotten(void **state) {
    struct world *w = *state;
    struct alarm a = {.env = w->a}, never = a;
    timer_init(&a.timer, alarm_fire);
    timer_init(&never.timer, alarm_fire);
    uint64_t start_us = env_now_us(w->a);
    int64_t wall_us = env_wall_us(w->a);
    timer_start(w->a, &a.timer, 30 * MS_IN_US);
    timer_start(w->a, &never.timer, 10 * MS_IN_US);
    timer_stop(&never.timer);
    world_run(w, has_fired, &a);
    assert_true(a.fired_us >= start_us + 30 * MS_IN_US);
    assert_true(env_wall_us(w->a) - wall_us >= 29 * (int64_t)MS_IN_US);
    assert_int_equal(never.fired_us, 0);
}

static void randomness_differs_between_environments(void **state) {
    struct world *w = *state;
    uint8_t a[33] = {0}, b[33] = {0};
    env_random(w->a, a, 32);
    env_random(w->b, b, 32);
    assert_memory_not_equal(a, b, 32);
    assert_int_equal(a[32], 0);
    env_random(w->a, b, 32);
    assert_memory_not_equal(a, b, 32);
}

#define SUITE(open)                                                                                \
    {                                                                                              \
        TEST(open, a_datagram_comes_back_from_where_it_went),                                      \
            TEST(open, datagrams_of_all_sizes_arrive_in_order),                                    \
            TEST(open, many_datagrams_of_one_turn_all_arrive),                                     \
            TEST(open, reliable_is_what_stays_in_the_process),                                     \
            TEST(open, an_endpoint_may_close_in_its_callback),                                     \
            TEST(open, one_address_is_opened_once),                                                \
            TEST(open, what_was_sent_goes_out_though_the_sender_closes), STREAMS(open),            \
            TEST(open, a_post_runs_once_in_a_later_turn),                                          \
            TEST(open, timers_fire_neither_early_nor_forgotten),                                   \
            TEST(open, randomness_differs_between_environments),                                   \
    }
#define STREAMS(open)                                                                              \
    TEST(open, a_stream_carries_bytes_both_ways),                                                  \
        TEST(open, bytes_that_are_not_consumed_come_again), TEST(open, nobody_listening_refuses),  \
        TEST(open, an_acceptor_may_close_at_once),                                                 \
        TEST(open, a_stream_may_close_in_its_callbacks),                                           \
        TEST(open, closing_sends_first_what_was_sent), TEST(open, the_backlog_is_bounded),         \
        TEST(open, a_reader_that_leaves_everything_lying_is_cut_off),                              \
        TEST(open, accepted_streams_outlive_their_listener),                                       \
        TEST(open, a_connection_that_does_not_stand_gives_up_quietly),                             \
        TEST(open, an_environment_that_closes_leaves_nothing_open)
#define TEST(open, f) cmocka_unit_test_setup_teardown(f, open, world_close)
#define RUN(name, ...)                                                                             \
    ({                                                                                             \
        const struct CMUnitTest tests_[] = __VA_ARGS__;                                            \
        _cmocka_run_group_tests(name, tests_, COUNT_OF(tests_), NULL, NULL);                       \
    })

int main(void) {
    return RUN("simulation", SUITE(open_sim_apart)) +
           RUN("simulation, one process", SUITE(open_sim_together)) +
           RUN("sockets", SUITE(open_loop_sockets)) +
           RUN("in process", SUITE(open_loop_in_process)) +
           RUN("TLS in simulation", {STREAMS(open_sim_apart_tls)}) +
           RUN("TLS in simulation, one process", {STREAMS(open_sim_together_tls)}) +
           RUN("TLS over sockets", {STREAMS(open_loop_sockets_tls)}) +
           RUN("TLS in process", {STREAMS(open_loop_in_process_tls)});
}
