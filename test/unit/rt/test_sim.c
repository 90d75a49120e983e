#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/htab.h"
#include "obs/trace.h"
#include "rt/sim.h"

#include <stdlib.h>

static const struct addr alice_addr = {.family = 4, .port = 5060, .ip = {127, 0, 0, 1}};
static const struct addr bob_addr = {.family = 4, .port = 5060, .ip = {127, 0, 0, 2}};

static struct sim *new_sim(uint64_t seed) {
    struct sim *s;
    assert_int_equal(sim_new(seed, &s), OK);
    return s;
}

static struct env *new_env(struct sim *s, const char *name) {
    struct env *env;
    assert_int_equal(sim_env_new(s, name, &env), OK);
    return env;
}

/* A small network that uses all there is: gossips send each other datagrams and chat over streams,
 * under every fault, while one of them crashes and comes back. What happens goes into a hash. */

enum { GOSSIPS = 4 };

struct gossip {
    struct world *world;
    struct env *env;
    struct addr addr;
    struct dgram *d;
    struct listener *l;
    struct stream *in, *out;
    struct timer timer;
};

struct world {
    struct sim *sim;
    struct gossip gossips[GOSSIPS];
    uint64_t hash, crashes, crash_at_us;
    size_t heard[GOSSIPS];
    size_t stream_bytes[GOSSIPS];
};

static const char *const names[GOSSIPS] = {"g0", "g1", "g2", "g3"};

static void note(struct gossip *g, const char *what, const void *p, size_t n) {
    struct world *w = g->world;
    w->hash = hash_mix(w->hash, sim_now_us(w->sim));
    w->hash = hash_mix(w->hash, hash_bytes(span_from_cstr(what)));
    w->hash = hash_mix(w->hash, hash_bytes(span_of(p, n)));
    w->hash = hash_mix(w->hash, (uint64_t)(g - w->gossips));
}

static void on_dgram(void *ctx, struct dgram *d, const struct addr *from, char *bytes, size_t n) {
    struct gossip *g = ctx;
    (void)d;
    (void)from;
    note(g, "dgram", bytes, n);
    g->world->heard[g - g->world->gossips]++;
}

static void on_connected(void *ctx, struct stream *s) {
    (void)s;
    note(ctx, "connected", "", 0);
}

static size_t on_received(void *ctx, struct stream *s, char *bytes, size_t n) {
    struct gossip *g = ctx;
    (void)s;
    note(g, "received", bytes, n);
    g->world->stream_bytes[g - g->world->gossips] += n;
    return n - n / 3;
}

static void on_closed(void *ctx, struct stream *s, enum error why) {
    struct gossip *g = ctx;
    note(g, "closed", &why, sizeof why);
    *(s == g->in ? &g->in : &g->out) = NULL;
}

static const struct stream_handler handler = {on_connected, on_received, on_closed};

static void on_accept(void *ctx, struct listener *l, struct stream *s) {
    struct gossip *g = ctx;
    (void)l;
    note(g, "accept", "", 0);
    stream_close(g->in);
    g->in = s;
    stream_attach(s, &handler, g);
}

static void gossip_talk(struct timer *t) {
    struct gossip *g = CONTAINER_OF(t, struct gossip, timer);
    uint8_t random[40];
    env_random(g->env, random, sizeof random);
    struct gossip *to = &g->world->gossips[random[0] % GOSSIPS];
    size_t n = random[1] % sizeof random;
    assert_int_equal(dgram_send(g->d, &to->addr, span_of(random, n)), OK);
    if (!g->out) {
        struct gossip *next = &g->world->gossips[(g - g->world->gossips + 1) % GOSSIPS];
        assert_int_equal(env_stream_connect(g->env, &next->addr, &handler, g, &g->out), OK);
    }
    assert_int_equal(stream_send(g->out, span_of(random, n)), OK);
    timer_start(g->env, t, (random[2] % 16) * MS_IN_US);
}

static void gossip_start(struct gossip *g, struct world *w, size_t i) {
    *g = (struct gossip){.world = w, .env = new_env(w->sim, names[i])};
    g->addr = addr_v4(127, 0, 0, (uint8_t)(i + 1), 4000);
    assert_int_equal(env_dgram_open(g->env, &g->addr, 0, on_dgram, g, &g->d), OK);
    assert_int_equal(env_listen(g->env, &g->addr, on_accept, g, &g->l), OK);
    timer_init(&g->timer, gossip_talk);
    timer_start(g->env, &g->timer, MS_IN_US);
}

static void gossip_end(struct gossip *g) {
    timer_stop(&g->timer);
    dgram_close(g->d);
    listener_close(g->l);
    stream_close(g->in);
    stream_close(g->out);
    env_close(g->env);
}

static void crash_one(void *ctx) {
    struct world *w = ctx;
    size_t i = sim_random_below(w->sim, 2);
    struct gossip *g = &w->gossips[i];
    sim_crash(g->env, w->crashes++ % 2 ? SIM_PROCESS_DIES : SIM_MACHINE_VANISHES);
    gossip_end(g);
    gossip_start(g, w, i);
    assert_int_equal(sim_at(w->sim, sim_now_us(w->sim) + w->crash_at_us, crash_one, w), OK);
}

static const struct sim_faults bad = {.delay_us = 2000,
                                      .jitter_us = 5000,
                                      .loss_ppm = 100000,
                                      .duplicate_ppm = 50000,
                                      .cut_ppm = 5000,
                                      .half_open_ppm = 5000,
                                      .split = true};

static void world_run(struct world *w, uint64_t seed, uint64_t crash_at_us) {
    *w = (struct world){.sim = new_sim(seed), .crash_at_us = crash_at_us};
    sim_set_default_faults(w->sim, &bad);
    for (size_t i = 0; i < GOSSIPS; i++) {
        gossip_start(&w->gossips[i], w, i);
    }
    if (crash_at_us) {
        assert_int_equal(sim_at(w->sim, crash_at_us, crash_one, w), OK);
    }
    sim_run_until(w->sim, 10 * SEC_IN_US);
    assert_int_equal(sim_now_us(w->sim), 10 * SEC_IN_US);
    for (size_t i = 0; i < GOSSIPS; i++) {
        gossip_end(&w->gossips[i]);
    }
    sim_free(w->sim);
}

static void equal_seeds_give_equal_runs(void **state) {
    (void)state;
    struct world first, again, other;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        world_run(&first, seed, 700 * MS_IN_US);
        world_run(&again, seed, 700 * MS_IN_US);
        world_run(&other, seed + 100, 700 * MS_IN_US);
        assert_true(first.hash == again.hash);
        assert_true(first.hash != other.hash);
        assert_true(first.crashes > 10);
        for (size_t i = 0; i < GOSSIPS; i++) {
            assert_true(first.heard[i] > 100);
            assert_true(first.stream_bytes[i] > 1000);
        }
    }
}

/* What the other nodes draw does not depend on who crashes. */
static void a_crash_does_not_shift_the_randomness_of_others(void **state) {
    (void)state;
    uint64_t drawn[2][4];
    for (int crash = 0; crash < 2; crash++) {
        struct sim *s = new_sim(7);
        struct env *a = new_env(s, "a"), *b = new_env(s, "b");
        env_random(a, &drawn[crash][0], 8);
        env_random(b, &drawn[crash][1], 8);
        if (crash) {
            sim_crash(b, SIM_PROCESS_DIES);
            env_close(b);
            b = new_env(s, "b");
            uint64_t reborn;
            env_random(b, &reborn, 8);
            assert_true(reborn != drawn[crash][1]); /* another life, other numbers */
        }
        struct env *c = new_env(s, "c");
        env_random(a, &drawn[crash][2], 8);
        env_random(c, &drawn[crash][3], 8);
        env_close(a);
        env_close(b);
        env_close(c);
        sim_free(s);
    }
    assert_memory_equal(drawn[0], drawn[1], sizeof drawn[0]);
}

/* Statistics of datagrams. */

struct receiver {
    struct sim *sim;
    size_t count, overtaken;
    uint32_t last;
    uint64_t least_us, most_us;
};

struct numbered {
    uint32_t number;
    uint64_t sent_us;
};

static void on_numbered(void *ctx, struct dgram *d, const struct addr *from, char *bytes,
                        size_t n) {
    struct receiver *r = ctx;
    struct numbered message;
    (void)d;
    (void)from;
    assert_int_equal(n, sizeof message);
    memcpy(&message, bytes, sizeof message);
    r->overtaken += r->count > 0 && message.number < r->last;
    r->last = message.number;
    r->count++;
    uint64_t took_us = sim_now_us(r->sim) - message.sent_us;
    r->least_us = took_us < r->least_us ? took_us : r->least_us;
    r->most_us = took_us > r->most_us ? took_us : r->most_us;
}

static struct receiver send_numbered(const struct sim_faults *faults, uint32_t n) {
    struct sim *s = new_sim(3);
    struct env *a = new_env(s, "ue-1"), *b = new_env(s, "pcscf");
    struct receiver r = {.sim = s, .least_us = UINT64_MAX};
    struct dgram *from, *to;
    assert_int_equal(env_dgram_open(a, &alice_addr, 0, on_numbered, &r, &from), OK);
    assert_int_equal(env_dgram_open(b, &bob_addr, 0, on_numbered, &r, &to), OK);
    assert_int_equal(sim_set_faults(s, "ue-*", "pcscf", faults), OK);
    for (uint32_t i = 0; i < n; i++) {
        struct numbered m = {i, sim_now_us(s)};
        assert_int_equal(dgram_send(from, &bob_addr, span_of(&m, sizeof m)), OK);
        sim_run_until(s, sim_now_us(s) + 100);
    }
    sim_run_until(s, sim_now_us(s) + SEC_IN_US);
    const struct sim_counters *c = sim_counters(s);
    assert_int_equal(c->dgrams_sent, n);
    assert_int_equal(c->dgrams_delivered, r.count);
    assert_int_equal(c->dgrams_delivered, n - c->dgrams_lost + c->dgrams_duplicated);
    dgram_close(from);
    dgram_close(to);
    env_close(a);
    env_close(b);
    sim_free(s);
    return r;
}

static void an_ideal_network_only_delays(void **state) {
    (void)state;
    struct receiver r = send_numbered(&(struct sim_faults){.delay_us = 700}, 1000);
    assert_int_equal(r.count, 1000);
    assert_int_equal(r.overtaken, 0);
    assert_int_equal(r.least_us, 700);
    assert_int_equal(r.most_us, 700);
}

static void loss_and_repetition_come_as_often_as_asked(void **state) {
    (void)state;
    struct receiver r = send_numbered(&(struct sim_faults){.loss_ppm = 100000}, 20000);
    assert_in_range(r.count, 17800, 18200);
    r = send_numbered(&(struct sim_faults){.duplicate_ppm = 250000}, 20000);
    assert_in_range(r.count, 24700, 25300);
    r = send_numbered(&(struct sim_faults){.loss_ppm = 1000000}, 100);
    assert_int_equal(r.count, 0);
    r = send_numbered(&(struct sim_faults){.down = true}, 100);
    assert_int_equal(r.count, 0);
}

static void jitter_spreads_and_reorders(void **state) {
    (void)state;
    struct receiver r =
        send_numbered(&(struct sim_faults){.delay_us = 1000, .jitter_us = 1000}, 5000);
    assert_int_equal(r.count, 5000);
    assert_in_range(r.least_us, 1000, 1010);
    assert_in_range(r.most_us, 1990, 2000);
    assert_true(r.overtaken > 500);
}

static void the_newest_matching_rule_counts(void **state) {
    (void)state;
    struct sim *s = new_sim(1);
    struct env *a = new_env(s, "a"), *b = new_env(s, "b");
    struct receiver r = {.sim = s};
    struct dgram *from, *to;
    assert_int_equal(env_dgram_open(a, &alice_addr, 0, on_numbered, &r, &from), OK);
    assert_int_equal(env_dgram_open(b, &bob_addr, 0, on_numbered, &r, &to), OK);
    const struct sim_faults down = {.down = true}, up = {0};
    const struct {
        const char *from, *to;
        const struct sim_faults *faults;
        bool arrives;
    } rules[] = {
        {"*", "*", &down, false},
        {"b", "a", &up, false}, /* the other direction */
        {"a", "127.0.0.2", &up, true},
        {"127.0.0.1:5060", "b", &down, false},
        {"127.0.0.1:5061", "b", &up, false}, /* another port */
        {"127.0.0.1:5060", "b", NULL, true}, /* the rule before is gone */
        {"*", "*", &down, false},            /* the same two places again: newest now */
        {"*", "*", NULL, true},
    };
    for (size_t i = 0; i < COUNT_OF(rules); i++) {
        struct numbered m = {0};
        assert_int_equal(sim_set_faults(s, rules[i].from, rules[i].to, rules[i].faults), OK);
        r.count = 0;
        assert_int_equal(dgram_send(from, &bob_addr, span_of(&m, sizeof m)), OK);
        sim_run_until(s, sim_now_us(s) + MS_IN_US);
        assert_int_equal(r.count, rules[i].arrives);
    }
    dgram_close(from);
    dgram_close(to);
    env_close(a);
    env_close(b);
    sim_free(s);
}

/* Streams under faults: a client that sends, a server that counts. */

struct party {
    struct stream *s;
    struct listener *l;
    bool connected, closed;
    enum error why;
    uint64_t closed_us;
    size_t n, calls, accepted;
    struct sim *sim;
};

static void party_connected(void *ctx, struct stream *s) {
    (void)s;
    ((struct party *)ctx)->connected = true;
}

static size_t party_received(void *ctx, struct stream *s, char *bytes, size_t n) {
    struct party *p = ctx;
    (void)s;
    for (size_t i = 0; i < n; i++) {
        assert_int_equal((uint8_t)bytes[i], (p->n + i) % 256); /* nothing lost, nothing twice */
    }
    p->n += n;
    p->calls++;
    return n;
}

static void party_closed(void *ctx, struct stream *s, enum error why) {
    struct party *p = ctx;
    (void)s;
    p->s = NULL;
    p->closed = true;
    p->why = why;
    p->closed_us = sim_now_us(p->sim);
}

static const struct stream_handler party_handler = {party_connected, party_received, party_closed};

static void party_accept(void *ctx, struct listener *l, struct stream *s) {
    struct party *p = ctx;
    (void)l;
    p->s = s;
    p->accepted++;
    p->n = 0;
    stream_attach(s, &party_handler, p);
}

struct link {
    struct sim *sim;
    struct env *a, *b;
    struct party client, server;
    size_t sent;
};

static void link_serve(struct link *k) {
    assert_int_equal(env_listen(k->b, &bob_addr, party_accept, &k->server, &k->server.l), OK);
}

static void link_connect(struct link *k) {
    k->client = (struct party){.sim = k->sim};
    k->sent = 0;
    assert_int_equal(env_stream_connect(k->a, &bob_addr, &party_handler, &k->client, &k->client.s),
                     OK);
}

static void link_open(struct link *k) {
    *k = (struct link){.sim = new_sim(11)};
    k->a = new_env(k->sim, "a");
    k->b = new_env(k->sim, "b");
    k->server.sim = k->sim;
    link_serve(k);
    link_connect(k);
    sim_run_until(k->sim, SEC_IN_US);
    assert_true(k->client.connected);
}

static void link_send(struct link *k, size_t n) {
    char bytes[4096];
    assert_true(n <= sizeof bytes);
    for (size_t i = 0; i < n; i++) {
        bytes[i] = (char)(k->sent + i);
    }
    assert_int_equal(stream_send(k->client.s, span_of(bytes, n)), OK);
    k->sent += n;
}

static void link_wait(struct link *k, uint64_t us) {
    sim_run_until(k->sim, sim_now_us(k->sim) + us);
}

static void link_close(struct link *k) {
    stream_close(k->client.s);
    stream_close(k->server.s);
    listener_close(k->server.l);
    env_close(k->a);
    env_close(k->b);
    sim_free(k->sim);
}

static void server_dies(struct link *k, enum sim_crash kind) {
    sim_crash(k->b, kind);
    stream_close(k->server.s);
    listener_close(k->server.l);
    env_close(k->b);
    k->b = NULL;
    k->server = (struct party){.sim = k->sim};
}

static void server_restarts(struct link *k) {
    k->b = new_env(k->sim, "b");
    link_serve(k);
}

static void streams_split_anywhere_and_stay_whole(void **state) {
    (void)state;
    struct link k;
    link_open(&k);
    const struct sim_faults f = {.delay_us = 500, .jitter_us = 2000, .split = true};
    assert_int_equal(sim_set_faults_between(k.sim, "a", "b", &f), OK);
    for (int i = 0; i < 50; i++) {
        link_send(&k, 100);
        link_wait(&k, 100);
    }
    link_wait(&k, SEC_IN_US);
    assert_int_equal(k.server.n, 5000);
    assert_true(k.server.calls > 50);
    link_close(&k);
}

static void a_partition_holds_streams_up_and_breaks_them_in_the_end(void **state) {
    (void)state;
    struct link k;
    link_open(&k);
    const struct sim_faults down = {.down = true};
    assert_int_equal(sim_set_faults_between(k.sim, "a", "b", &down), OK);
    link_send(&k, 1000);
    link_wait(&k, 60 * SEC_IN_US);
    assert_int_equal(k.server.n, 0);
    assert_int_equal(stream_backlog(k.client.s), 1000);
    assert_int_equal(sim_set_faults_between(k.sim, "a", "b", NULL), OK);
    link_wait(&k, 20 * SEC_IN_US);
    assert_int_equal(k.server.n, 1000);
    assert_int_equal(sim_set_faults_between(k.sim, "a", "b", &down), OK);
    link_send(&k, 1000);
    link_wait(&k, SIM_STREAM_TIMEOUT_US + 20 * SEC_IN_US);
    assert_true(k.client.closed);
    assert_int_equal(k.client.why, ERR_TIMEOUT);
    assert_false(k.server.closed); /* half-open: it has nothing to say */
    assert_int_equal(k.server.n, 1000);
    link_connect(&k);
    link_wait(&k, SIM_CONNECT_TIMEOUT_US + 20 * SEC_IN_US);
    assert_int_equal(k.client.why, ERR_TIMEOUT);
    link_close(&k);
}

/* More than a kernel keeps, and the other end takes nothing of it. */
static void a_reader_that_takes_nothing_is_given_up(void **state) {
    (void)state;
    struct link k;
    link_open(&k);
    const struct sim_faults down = {.down = true};
    assert_int_equal(sim_set_faults_between(k.sim, "a", "b", &down), OK);
    for (int i = 0; i < 200; i++) {
        link_send(&k, 1000);
    }
    link_wait(&k, STREAM_STALL_US - SEC_IN_US);
    assert_false(k.client.closed);
    link_wait(&k, 2 * SEC_IN_US);
    assert_true(k.client.closed);
    assert_int_equal(k.client.why, ERR_TIMEOUT);
    link_close(&k);
}

static void a_cut_loses_what_is_on_the_way(void **state) {
    (void)state;
    struct link k;
    link_open(&k);
    link_send(&k, 100);
    link_wait(&k, 10 * MS_IN_US);
    link_send(&k, 100);
    assert_int_equal(sim_cut_streams(k.sim, "b", "a"), 1);
    assert_int_equal(sim_cut_streams(k.sim, "b", "a"), 0);
    assert_false(k.client.closed || k.server.closed);
    link_wait(&k, 10 * MS_IN_US);
    assert_true(k.client.closed && k.server.closed);
    assert_int_equal(k.client.why, ERR_CLOSED);
    assert_int_equal(k.server.n, 100);
    link_close(&k);
}

static void chance_cuts_too(void **state) {
    (void)state;
    struct link k;
    link_open(&k);
    const struct sim_faults cut = {.cut_ppm = 1000000}, half = {.half_open_ppm = 1000000};
    assert_int_equal(sim_set_faults(k.sim, "a", "b", &cut), OK);
    link_send(&k, 100);
    link_wait(&k, 10 * MS_IN_US);
    assert_true(k.client.closed && k.server.closed);
    assert_true(k.server.n <= 100);
    assert_int_equal(sim_set_faults(k.sim, "a", "b", NULL), OK);
    link_connect(&k);
    link_wait(&k, 10 * MS_IN_US);
    assert_int_equal(sim_set_faults(k.sim, "a", "b", &half), OK);
    k.server.closed = false;
    link_send(&k, 100);
    link_wait(&k, 10 * MS_IN_US);
    assert_true(k.server.closed);
    assert_false(k.client.closed);
    link_send(&k, 100);
    link_wait(&k, 10 * MS_IN_US);
    assert_true(k.client.closed);
    link_close(&k);
}

static void peers_of_a_dead_process_see_it_close(void **state) {
    (void)state;
    struct link k;
    link_open(&k);
    link_send(&k, 100);
    link_wait(&k, 10 * MS_IN_US);
    uint64_t died_us = sim_now_us(k.sim);
    server_dies(&k, SIM_PROCESS_DIES);
    assert_false(k.client.closed);
    link_wait(&k, 10 * MS_IN_US);
    assert_true(k.client.closed);
    assert_int_equal(k.client.why, ERR_CLOSED);
    assert_int_equal(k.client.closed_us, died_us + 100);
    link_connect(&k);
    link_wait(&k, 10 * MS_IN_US);
    assert_int_equal(k.client.why, ERR_REFUSED);
    server_restarts(&k);
    link_connect(&k);
    link_wait(&k, 10 * MS_IN_US);
    assert_true(k.client.connected);
    link_close(&k);
}

static void a_dying_process_may_leave_half_a_message(void **state) {
    (void)state;
    size_t whole = 0, parts = 0;
    for (int i = 0; i < 40; i++) {
        struct link k;
        link_open(&k);
        for (int skip = 0; skip < i; skip++) { /* other draws each time */
            link_send(&k, 1);
            link_wait(&k, MS_IN_US);
        }
        k.server.n = 0;
        k.sent = 0;
        link_send(&k, 1000);
        sim_crash(k.a, SIM_PROCESS_DIES);
        stream_close(k.client.s);
        env_close(k.a);
        k.a = NULL;
        k.client.s = NULL;
        link_wait(&k, SEC_IN_US);
        assert_true(k.server.closed);
        whole += k.server.n == 1000;
        parts += k.server.n > 0 && k.server.n < 1000;
        link_close(&k);
        if (parts > 0) {
            break;
        }
    }
    assert_true(parts > 0 && whole < 40);
}

static void a_vanished_machine_leaves_connections_half_open(void **state) {
    (void)state;
    struct link k;
    link_open(&k);
    server_dies(&k, SIM_MACHINE_VANISHES);
    link_wait(&k, 3600 * SEC_IN_US);
    assert_false(k.client.closed); /* nobody has told it */
    link_send(&k, 10);
    link_wait(&k, 100 * SEC_IN_US);
    assert_false(k.client.closed);
    server_restarts(&k);
    link_wait(&k, 20 * SEC_IN_US);
    assert_true(k.client.closed); /* reset by one that knows nothing of it */
    assert_int_equal(k.client.why, ERR_CLOSED);

    link_connect(&k);
    link_wait(&k, SEC_IN_US);
    server_dies(&k, SIM_MACHINE_VANISHES);
    link_send(&k, 10);
    link_wait(&k, SIM_STREAM_TIMEOUT_US + 20 * SEC_IN_US);
    assert_int_equal(k.client.why, ERR_TIMEOUT);
    link_connect(&k);
    link_wait(&k, SIM_CONNECT_TIMEOUT_US / 2);
    assert_false(k.client.closed); /* not even refused */
    link_wait(&k, SIM_CONNECT_TIMEOUT_US);
    assert_int_equal(k.client.why, ERR_TIMEOUT);
    link_close(&k);
}

static void greet(void *ctx, struct listener *l, struct stream *s) {
    party_accept(ctx, l, s);
    assert_int_equal(stream_send(s, SPAN("\0\1\2")), OK);
}

static void nothing_is_received_before_connected(void **state) {
    (void)state;
    struct link k = {.sim = new_sim(5)};
    k.a = new_env(k.sim, "a");
    k.b = new_env(k.sim, "b");
    k.server.sim = k.sim;
    const struct sim_faults f = {.delay_us = 100, .jitter_us = 10000};
    sim_set_default_faults(k.sim, &f);
    assert_int_equal(env_listen(k.b, &bob_addr, greet, &k.server, &k.server.l), OK);
    for (int i = 0; i < 20; i++) {
        link_connect(&k);
        while (k.client.n == 0) {
            link_wait(&k, 100);
            assert_true(k.client.connected || k.client.n == 0);
        }
        stream_close(k.client.s);
        link_wait(&k, SEC_IN_US);
    }
    k.client.s = NULL;
    link_close(&k);
}

/* Time. */

struct turn {
    unsigned *next;
    unsigned number;
};

static void call_turn(void *ctx) {
    struct turn *t = ctx;
    assert_int_equal(*t->next, t->number);
    ++*t->next;
}

static void calls_of_one_moment_come_in_order_of_asking(void **state) {
    (void)state;
    struct sim *s = new_sim(1);
    struct turn turns[100];
    unsigned next = 0;
    for (unsigned i = 0; i < COUNT_OF(turns); i++) {
        turns[i] = (struct turn){&next, i};
        assert_int_equal(sim_at(s, 1000, call_turn, &turns[i]), OK);
    }
    sim_run_until(s, 1000);
    assert_int_equal(next, COUNT_OF(turns));
    sim_free(s);
}

struct call_log {
    struct sim *sim;
    char order[8];
    size_t n;
};

static void call_a(void *ctx) {
    struct call_log *log = ctx;
    log->order[log->n++] = 'a';
}

static void call_b(void *ctx) {
    struct call_log *log = ctx;
    log->order[log->n++] = 'b';
    assert_int_equal(sim_at(log->sim, 0, call_a, log), OK); /* the past is now */
}

static void scheduled_calls_come_in_order_of_time_and_of_asking(void **state) {
    (void)state;
    struct call_log log = {.sim = new_sim(1)};
    assert_int_equal(sim_at(log.sim, 2000, call_b, &log), OK);
    assert_int_equal(sim_at(log.sim, 1000, call_a, &log), OK);
    assert_int_equal(sim_at(log.sim, 2000, call_a, &log), OK);
    assert_int_equal(sim_at(log.sim, 9000, call_b, &log), OK);
    sim_run_until(log.sim, 5000);
    assert_int_equal(sim_now_us(log.sim), 5000);
    assert_string_equal(log.order, "abaa");
    sim_free(log.sim); /* with one call outstanding */
}

static bool never(void *ctx) {
    (void)ctx;
    return false;
}

static void names_are_borne_by_one_at_a_time(void **state) {
    (void)state;
    struct sim *s = new_sim(1);
    struct env *a = new_env(s, "a"), *again;
    assert_int_equal(sim_env_new(s, "a", &again), ERR_EXISTS);
    env_close(a);
    again = new_env(s, "a");
    assert_true(env_wall_us(again) == INT64_C(1767225600) * 1000000);
    assert_false(sim_run(s, never, NULL, 12345));
    assert_int_equal(env_now_us(again), 12345);
    struct dgram *d;
    assert_int_equal(env_dgram_open(again, &(struct addr){.family = 4}, 0, on_numbered, s, &d),
                     ERR_INVALID);
    env_close(again);
    sim_free(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_seeds_give_equal_runs),
        cmocka_unit_test(a_crash_does_not_shift_the_randomness_of_others),
        cmocka_unit_test(an_ideal_network_only_delays),
        cmocka_unit_test(loss_and_repetition_come_as_often_as_asked),
        cmocka_unit_test(jitter_spreads_and_reorders),
        cmocka_unit_test(the_newest_matching_rule_counts),
        cmocka_unit_test(streams_split_anywhere_and_stay_whole),
        cmocka_unit_test(a_partition_holds_streams_up_and_breaks_them_in_the_end),
        cmocka_unit_test(a_reader_that_takes_nothing_is_given_up),
        cmocka_unit_test(a_cut_loses_what_is_on_the_way),
        cmocka_unit_test(chance_cuts_too),
        cmocka_unit_test(peers_of_a_dead_process_see_it_close),
        cmocka_unit_test(a_dying_process_may_leave_half_a_message),
        cmocka_unit_test(a_vanished_machine_leaves_connections_half_open),
        cmocka_unit_test(nothing_is_received_before_connected),
        cmocka_unit_test(calls_of_one_moment_come_in_order_of_asking),
        cmocka_unit_test(scheduled_calls_come_in_order_of_time_and_of_asking),
        cmocka_unit_test(names_are_borne_by_one_at_a_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
