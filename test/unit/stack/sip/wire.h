/* A simulated network with one SIP stack under test, and peers that speak raw text. */
#ifndef MUSTER_TEST_STACK_SIP_WIRE_H
#define MUSTER_TEST_STACK_SIP_WIRE_H

#include "rt/sim.h"
#include "stack/sip/sip_stack.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { HEARD_MAX = 64, TEXT_MAX = 2048 };

/** One message that a peer heard. */
struct heard {
    uint64_t at_us;
    char text[TEXT_MAX];
};

/** A peer without any SIP of its own: hears datagrams, and says what the test tells it. */
struct peer {
    struct env *env;
    struct dgram *dgram;
    struct addr addr;
    size_t n_heard;
    struct heard heard[HEARD_MAX];
};

struct wire {
    struct sim *sim;
    struct env *env; /* of the stack */
    struct sip_stack *stack;
    struct addr local;
    struct peer client, server; /* left and right of the stack */
    const char *process;        /* that all are in; NULL: each on its own */
};

static void peer_receive(void *ctx, struct dgram *d, const struct addr *from, char *bytes,
                         size_t n) {
    struct peer *p = ctx;
    (void)d;
    (void)from;
    assert_true(p->n_heard < HEARD_MAX && n < TEXT_MAX);
    struct heard *h = &p->heard[p->n_heard++];
    h->at_us = env_now_us(p->env);
    memcpy(h->text, bytes, n);
    h->text[n] = '\0';
}

static void peer_open(struct wire *w, struct peer *p, const char *name, uint8_t host) {
    p->n_heard = 0;
    p->addr = addr_v4(10, 0, 0, host, 5060);
    assert_int_equal(sim_env_new(w->sim, name, &p->env), OK);
    if (w->process) {
        assert_int_equal(sim_env_process(p->env, w->process), OK);
    }
    assert_int_equal(env_dgram_open(p->env, &p->addr, 0, peer_receive, p, &p->dgram), OK);
}

static void wire_open(struct wire *w, const struct sip_stack_config *config,
                      const struct sip_stack_handler *handler, void *ctx) {
    struct sip_stack_config c = config ? *config : (struct sip_stack_config){.n_local = 1};
    assert_int_equal(sim_new(1, &w->sim), OK);
    sim_set_default_faults(w->sim, &(struct sim_faults){0});
    peer_open(w, &w->client, "client", 1);
    peer_open(w, &w->server, "server", 3);
    assert_int_equal(sim_env_new(w->sim, "stack", &w->env), OK);
    if (w->process) {
        assert_int_equal(sim_env_process(w->env, w->process), OK);
    }
    w->local = addr_v4(10, 0, 0, 2, 5060);
    c.local[0] = (struct sip_hop){w->local, SIP_UDP};
    c.n_local = c.n_local ? c.n_local : 1;
    assert_int_equal(sip_stack_new(w->env, &c, handler, ctx, &w->stack), OK);
}

static void wire_close(struct wire *w) {
    sip_stack_free(w->stack);
    env_close(w->env);
    env_close(w->client.env);
    env_close(w->server.env);
    sim_free(w->sim);
}

/* A peer says something to the stack; it arrives before this returns. */
static inline void say(struct wire *w, struct peer *p, const char *text) {
    assert_int_equal(dgram_send(p->dgram, &w->local, span_from_cstr(text)), OK);
    sim_run_until(w->sim, sim_now_us(w->sim) + 1000);
}

static inline void wait_ms(struct wire *w, uint64_t ms) {
    sim_run_until(w->sim, sim_now_us(w->sim) + ms * 1000);
}

/* What a peer heard, from the first message that it has not been asked about; fails on silence. */
static inline const char *hear(struct peer *p, size_t i) {
    if (i >= p->n_heard) {
        fail_msg("heard only %zu messages", p->n_heard);
    }
    return p->heard[i].text;
}

/* Did message i begin so? */
static inline void assert_heard(struct peer *p, size_t i, const char *beginning) {
    const char *text = hear(p, i);
    if (strncmp(text, beginning, strlen(beginning)) != 0) {
        fail_msg("expected %s, heard\n%s", beginning, text);
    }
}

/* A header line of a message, without its line end; "" without one. In a ring of buffers. */
static inline const char *line_of(const char *text, const char *name) {
    static char lines[8][512];
    static unsigned next;
    char *out = lines[next++ % 8], start[64];
    snprintf(start, sizeof start, "\r\n%s: ", name);
    const char *at = strstr(text, start);
    out[0] = '\0';
    if (at) {
        at += 2;
        snprintf(out, 512, "%.*s", (int)strcspn(at, "\r"), at);
    }
    return out;
}

#endif
