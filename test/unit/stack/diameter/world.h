/* A little world for tests of stack/diameter: nodes in a simulation, and a rogue that sends what it
 * likes over a stream. */
#ifndef MUSTER_TEST_UNIT_STACK_DIAMETER_WORLD_H
#define MUSTER_TEST_UNIT_STACK_DIAMETER_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rt/sim.h"
#include "spec/cx.h"
#include "spec/diameter_base.h"
#include "stack/diameter/diameter_node.h"

#include <stdio.h>
#include <stdlib.h>

static const struct diameter_application cx_application = {CX_APPLICATION, DIAMETER_VENDOR_3GPP};

enum { NODE_REQUESTS_MAX = 64 };

struct node {
    struct sim *sim;
    const char *name;
    struct env *env;
    struct diameter *d;
    struct diameter_config config;
    struct diameter_peer_config peers[4];
    struct addr listen;
    /* how it answers */
    bool silent;   /* keeps requests */
    bool careless; /* frees them */
    struct diameter_request *kept[NODE_REQUESTS_MAX];
    unsigned n_kept, n_requests;
    bool last_retransmitted;
    char last_user[64];
    /* what it got */
    unsigned n_answers, n_failed, n_up, n_down, n_done;
    struct diameter_result last_result;
    enum error last_error;
    char last_answer_host[64];
};

static inline void node_answer(struct node *n, struct diameter_request *rq) {
    struct cx_uar uar;
    struct diameter_fault fault;
    const struct diameter_msg *msg = diameter_request_msg(rq);
    if (msg->command == CX_COMMAND_USER_AUTHORIZATION) {
        if (cx_uar_decode(diameter_request_arena(rq), msg, &uar, &fault) != OK) {
            diameter_answer_fault(rq, &fault);
            return;
        }
        snprintf(n->last_user, sizeof n->last_user, "%.*s", SPAN_ARG(uar.user_name));
        const struct cx_uaa uaa = {.result = DIAMETER_3GPP_RESULT(DIAMETER_FIRST_REGISTRATION),
                                   .server_name = SPAN("sip:scscf.example.org")};
        cx_uaa_encode(diameter_answer_begin(rq), &uaa);
        diameter_answer_send(rq);
        return;
    }
    diameter_answer_result(rq, DIAMETER_3GPP_RESULT(DIAMETER_ERROR_USER_UNKNOWN), SPAN_NONE);
}

static inline void on_request(void *ctx, struct diameter_request *rq,
                              const struct diameter_msg *msg) {
    struct node *n = ctx;
    n->n_requests++;
    n->last_retransmitted = msg->flags & DIAMETER_RETRANSMITTED;
    if (n->silent) {
        assert_true(n->n_kept < NODE_REQUESTS_MAX);
        n->kept[n->n_kept++] = rq;
    } else if (n->careless) {
        diameter_request_free(rq);
    } else {
        node_answer(n, rq);
    }
}

static inline void on_peer(void *ctx, struct span host, bool up) {
    struct node *n = ctx;
    (void)host;
    *(up ? &n->n_up : &n->n_down) += 1;
}

static inline void on_answer(void *ctx, const struct diameter_msg *msg) {
    struct node *n = ctx;
    n->n_answers++;
    n->last_result = msg->result;
    snprintf(n->last_answer_host, sizeof n->last_answer_host, "%.*s", SPAN_ARG(msg->origin_host));
}

static inline void on_failed(void *ctx, enum error why) {
    struct node *n = ctx;
    n->n_failed++;
    n->last_error = why;
}

static inline void on_done(void *ctx) {
    struct node *n = ctx;
    n->n_done++;
}

static const struct diameter_answer_handler answer_handler = {on_answer, on_failed};
static const struct diameter_handler node_handler = {on_request, on_peer};

/* A node called name.example.org at 10.0.0.number. */
static inline void node_init(struct node *n, struct sim *sim, const char *name, uint8_t number) {
    *n = (struct node){.sim = sim, .name = name};
    static const char hosts[][24] = {"hss.example.org", "hss2.example.org", "icscf.example.org",
                                     "scscf.example.org", "rogue.example.org"};
    n->listen = addr_v4(10, 0, 0, number, 3868);
    n->config = (struct diameter_config){
        .realm = SPAN("example.org"),
        .applications = &cx_application,
        .n_applications = 1,
        .peers = n->peers,
        .watchdog_us = 6 * SEC_IN_US,
    };
    for (size_t i = 0; i < COUNT_OF(hosts); i++) {
        size_t length = strlen(name);
        if (strncmp(hosts[i], name, length) == 0 && hosts[i][length] == '.') {
            n->config.host = span_from_cstr(hosts[i]);
        }
    }
    assert_true(n->config.host.n > 0);
}

static inline struct diameter_peer_config *node_peer(struct node *n, const struct node *other,
                                                     bool connect) {
    struct diameter_peer_config *p = &n->peers[n->config.n_peers++];
    p->host = other->config.host;
    p->connect = connect;
    p->address = other->listen;
    return p;
}

static inline void node_start(struct node *n) {
    assert_int_equal(sim_env_new(n->sim, n->name, &n->env), OK);
    n->env->log.level = LOG_ERROR + 1;
    n->config.listen = &n->listen;
    assert_int_equal(diameter_new(n->env, &n->config, &node_handler, n, &n->d), OK);
}

static inline void node_end(struct node *n) {
    if (n->env) {
        diameter_free(n->d);
        env_close(n->env);
        n->env = NULL;
        n->d = NULL;
        n->n_kept = 0;
    }
}

static inline void node_crash(struct node *n, enum sim_crash kind) {
    sim_crash(n->env, kind);
    node_end(n);
}

static inline enum error node_ask(struct node *n, const char *user) {
    const struct diameter_route route = {.application = CX_APPLICATION,
                                         .command = CX_COMMAND_USER_AUTHORIZATION,
                                         .realm = SPAN("example.org")};
    const struct cx_uar uar = {.user_name = span_from_cstr(user),
                               .public_identity = SPAN("sip:alice@example.org"),
                               .visited_network_identifier = SPAN("example.org")};
    cx_uar_encode(diameter_request_begin(n->d, &route), &uar);
    return diameter_request_send(n->d, &answer_handler, n, NULL);
}

static inline void run_ms(struct sim *s, uint64_t ms) {
    sim_run_until(s, sim_now_us(s) + ms * MS_IN_US);
}

static inline void take_status(void *ctx, const struct diameter_peer_status *status) {
    *(struct diameter_peer_status *)ctx = *status;
}

/* Status of the peer that was added last. */
static inline struct diameter_peer_status node_status(const struct node *n) {
    struct diameter_peer_status status = {0};
    diameter_each_peer(n->d, take_status, &status);
    return status;
}

/* The rogue. */

struct rogue {
    struct env *env;
    struct stream *stream;
    char in[65536];
    size_t n;
    unsigned n_messages;
    bool closed;
    struct diameter_msg last;
    char last_bytes[4096];
    char room[1 << 17];
    struct buf buf;
    struct diameter_builder b;
    struct diameter_envelope envelope;
};

static inline size_t rogue_received(void *ctx, struct stream *s, char *bytes, size_t n) {
    struct rogue *r = ctx;
    struct diameter_fault fault;
    (void)s;
    size_t taken = 0, length;
    while (diameter_frame(span_of(bytes + taken, n - taken), 1 << 20, &length) == OK) {
        assert_true(length <= sizeof r->last_bytes);
        memcpy(r->last_bytes, bytes + taken, length);
        assert_int_equal(diameter_msg_parse(span_of(r->last_bytes, length), &r->last, &fault), OK);
        r->n_messages++;
        taken += length;
    }
    return taken;
}

static inline void rogue_closed(void *ctx, struct stream *s, enum error why) {
    struct rogue *r = ctx;
    (void)s;
    (void)why;
    r->closed = true;
    r->stream = NULL;
}

static inline void rogue_connected(void *ctx, struct stream *s) {
    (void)ctx;
    (void)s;
}

static const struct stream_handler rogue_handler = {rogue_connected, rogue_received, rogue_closed};

static inline void rogue_connect(struct rogue *r, struct sim *sim, const struct node *to,
                                 struct span host) {
    *r = (struct rogue){
        .envelope = {.session_id = SPAN("s;1"),
                     .origin_host = host,
                     .origin_realm = SPAN("example.org"),
                     .destination_realm = SPAN("example.org")},
    };
    assert_int_equal(sim_env_new(sim, "rogue", &r->env), OK);
    assert_int_equal(env_stream_connect(r->env, &to->listen, &rogue_handler, r, &r->stream), OK);
}

static inline void rogue_end(struct rogue *r) {
    stream_close(r->stream);
    env_close(r->env);
}

static inline struct diameter_builder *rogue_begin(struct rogue *r, uint8_t flags, uint32_t command,
                                                   uint32_t application, uint32_t id) {
    r->buf = buf_init(r->room, sizeof r->room);
    diameter_begin(&r->b, &r->buf, &r->envelope, flags, command, application, id, id);
    return &r->b;
}

static inline void rogue_send(struct rogue *r) {
    assert_int_equal(diameter_end(&r->b), OK);
    assert_int_equal(stream_send(r->stream, buf_span(&r->buf)), OK);
}

static inline void rogue_cer(struct rogue *r, uint32_t application) {
    static const struct addr address = {.family = 4, .ip = {10, 0, 0, 99}};
    const struct diameter_cer cer = {.host_ip_address = &address,
                                     .n_host_ip_address = 1,
                                     .product_name = SPAN("rogue"),
                                     .auth_application_id = &application,
                                     .n_auth_application_id = 1};
    diameter_cer_encode(rogue_begin(r, DIAMETER_REQUEST, 257, 0, 7), &cer);
    rogue_send(r);
}

static inline struct diameter_builder *rogue_uar(struct rogue *r, uint32_t id) {
    const struct cx_uar uar = {.user_name = SPAN("alice"),
                               .public_identity = SPAN("sip:alice@example.org"),
                               .visited_network_identifier = SPAN("example.org")};
    cx_uar_encode(rogue_begin(r, DIAMETER_REQUEST | DIAMETER_PROXIABLE, 300, CX_APPLICATION, id),
                  &uar);
    return &r->b;
}

#endif
