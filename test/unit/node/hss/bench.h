/* A simulated HSS with an I-CSCF, an S-CSCF and a stranger beside it, for tests. */
#ifndef TEST_NODE_HSS_BENCH_H
#define TEST_NODE_HSS_BENCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "codec/userdata/userdata.h"
#include "crypto/aka.h"
#include "node/hss/hss.h"
#include "rt/sim.h"
#include "spec/cx.h"
#include "spec/diameter_base.h"
#include "stack/diameter/diameter_node.h"
#include "store/memory.h"

#include <stdio.h>
#include <stdlib.h>

#define HOME    "ims.mnc001.mcc001.3gppnetwork.org"
#define SCSCF_1 "sip:scscf." HOME ":6060"
#define SCSCF_2 "sip:scscf-2." HOME ":6061"
#define IMSI    "001010000000001"
#define IMPI    IMSI "@" HOME
#define IMPU    "sip:+447700900101@" HOME
#define TEL     "tel:+447700900101"
#define TEMP    "sip:" IMSI "@" HOME

enum { ANSWER_BYTES = 16384 };

/** A Diameter client. */
struct client {
    struct env *env;
    struct diameter *d;
    struct diameter_peer_config peer;
    struct diameter_config config;
    bool up;
};

/** The last answer to a request, copied. */
struct reply {
    bool come;
    enum error error;
    struct diameter_result result;
    char bytes[ANSWER_BYTES];
    struct diameter_msg msg;
    uint64_t at_us;
    struct sim *sim;
    unsigned order; /* of arrival among all */
};

struct bench {
    struct sim *sim;
    struct env *hss_env, *store_env;
    struct store *store;
    struct hss *hss;
    struct hss_config config;
    struct hss_peer peers[4];
    struct client icscf, scscf;
    struct chunk_pool pool;
    struct arena arena; /* what replies are decoded into */
    unsigned status;    /* of the last web answer */
    char body[1 << 16];
    char etag[64], next[64];             /* of the last web answer */
    struct span if_match, if_none_match; /* of the next web requests */
    bool web_come;
};

/** What became of a request that is not waited for. */
struct bench_answer {
    unsigned status;
};

static unsigned bench_order;

static inline void bench_note_answer(void *ctx, const struct diameter_msg *msg) {
    struct reply *r = ctx;
    struct diameter_fault fault;

    assert_true(msg->bytes.n <= sizeof r->bytes);
    memcpy(r->bytes, msg->bytes.p, msg->bytes.n);
    assert_int_equal(diameter_msg_parse(span_of(r->bytes, msg->bytes.n), &r->msg, &fault), OK);
    r->come = true;
    r->result = r->msg.result;
    r->at_us = sim_now_us(r->sim);
    r->order = ++bench_order;
}

static inline void bench_note_failure(void *ctx, enum error why) {
    struct reply *r = ctx;

    r->come = true;
    r->error = why;
    r->order = ++bench_order;
}

static const struct diameter_answer_handler bench_answers = {bench_note_answer, bench_note_failure};

static inline void bench_no_request(void *ctx, struct diameter_request *rq,
                                    const struct diameter_msg *msg) {
    (void)ctx;
    (void)msg;
    diameter_request_free(rq);
}

static inline void bench_note_peer(void *ctx, struct span host, bool up) {
    (void)host;
    ((struct client *)ctx)->up = up;
}

static const struct diameter_handler bench_client = {bench_no_request, bench_note_peer};
static const struct diameter_application bench_cx = {CX_APPLICATION, DIAMETER_VENDOR_3GPP};

static inline void bench_connect(struct bench *b, struct client *c, const char *name,
                                 const char *host) {
    assert_int_equal(sim_env_new(b->sim, name, &c->env), OK);
    c->peer = (struct diameter_peer_config){
        .host = SPAN("hss." HOME), .address = b->config.listen, .connect = true};
    c->config = (struct diameter_config){.host = span_from_cstr(host),
                                         .realm = SPAN(HOME),
                                         .applications = &bench_cx,
                                         .n_applications = 1,
                                         .peers = &c->peer,
                                         .n_peers = 1,
                                         .reconnect_min_us = 10 * MS_IN_US};
    assert_int_equal(diameter_new(c->env, &c->config, &bench_client, c, &c->d), OK);
}

static inline bool bench_is_up(void *ctx) {
    struct bench *b = ctx;

    return b->icscf.up && b->scscf.up;
}

static inline void bench_start_hss(struct bench *b) {
    assert_int_equal(sim_env_new(b->sim, "hss", &b->hss_env), OK);
    b->hss_env->log.level = LOG_ERROR + 1;
    assert_int_equal(hss_new(b->hss_env, &b->config, b->store, &b->hss), OK);
}

static inline void bench_wait_up(struct bench *b) {
    assert_true(sim_run(b->sim, bench_is_up, b, sim_now_us(b->sim) + 60 * SEC_IN_US));
}

static inline struct bench *bench_new(uint64_t seed, uint64_t flush_delay_us,
                                      uint64_t read_delay_us) {
    struct bench *b = calloc(1, sizeof *b);
    struct store_memory_config store = {.flush_delay_us = flush_delay_us,
                                        .read_delay_us = read_delay_us};

    assert_non_null(b);
    chunk_pool_init(&b->pool, 8192, 8);
    b->arena = arena_init(&b->pool);
    assert_int_equal(sim_new(seed, &b->sim), OK);
    assert_int_equal(sim_env_new(b->sim, "store", &b->store_env), OK);
    assert_int_equal(store_memory_new(b->store_env, &store, &b->store), OK);
    b->peers[0] = (struct hss_peer){.host = SPAN("icscf." HOME), .roles = HSS_PEER_ICSCF};
    b->peers[1] = (struct hss_peer){.host = SPAN("scscf." HOME), .roles = HSS_PEER_SCSCF};
    b->config = (struct hss_config){.host = SPAN("hss." HOME),
                                    .realm = SPAN(HOME),
                                    .home_domain = SPAN(HOME),
                                    .listen = addr_v4(127, 0, 0, 1, 3868),
                                    .peers = b->peers,
                                    .n_peers = 2,
                                    .charging = {.primary_ccf = SPAN("aaa://ccf." HOME)}};
    bench_start_hss(b);
    bench_connect(b, &b->icscf, "icscf", "icscf." HOME);
    bench_connect(b, &b->scscf, "scscf", "scscf." HOME);
    bench_wait_up(b);
    return b;
}

static inline void bench_crash_hss(struct bench *b) {
    sim_crash(b->hss_env, SIM_PROCESS_DIES);
    hss_free(b->hss);
    store_memory_crash(b->store);
    env_close(b->hss_env);
    b->hss = NULL;
}

static inline void bench_disconnect(struct client *c) {
    if (c->env) {
        diameter_free(c->d);
        env_close(c->env);
    }
}

static inline void bench_free(struct bench *b) {
    bench_disconnect(&b->icscf);
    bench_disconnect(&b->scscf);
    if (b->hss) {
        hss_free(b->hss);
        env_close(b->hss_env);
    }
    store_free(b->store);
    env_close(b->store_env);
    sim_free(b->sim);
    arena_release(&b->arena);
    chunk_pool_free(&b->pool);
    free(b);
}

/* Web. */

static inline void bench_note_web(void *ctx, const struct web_answer *answer) {
    struct bench *b = ctx;

    b->web_come = true;
    b->status = answer->status;
    assert_true(span_to_cstr(answer->body, b->body, sizeof b->body));
    b->etag[0] = b->next[0] = '\0';
    for (size_t i = 0; i < answer->n_headers; i++) {
        if (span_eq(answer->headers[i].name, SPAN("ETag"))) {
            assert_true(span_to_cstr(answer->headers[i].value, b->etag, sizeof b->etag));
        } else if (span_eq(answer->headers[i].name, SPAN("Muster-Next"))) {
            assert_true(span_to_cstr(answer->headers[i].value, b->next, sizeof b->next));
        }
    }
}

static inline bool bench_web_came(void *ctx) {
    return ((struct bench *)ctx)->web_come;
}

/** Asks and waits; the status. */
static inline unsigned bench_web(struct bench *b, const char *method, const char *path,
                                 const char *body) {
    struct web_request r = {.method = span_from_cstr(method),
                            .path = span_from_cstr(path),
                            .content_type = SPAN("application/json"),
                            .if_match = b->if_match,
                            .if_none_match = b->if_none_match,
                            .body = span_from_cstr(body)};
    size_t query = span_find_char(r.path, '?');

    if (query < r.path.n) {
        r.query = span_after(r.path, query + 1);
        r.path.n = query;
    }
    if (body && body[0] == '#') { /* one document per line */
        r.content_type = SPAN("application/x-ndjson");
        r.body = span_after(r.body, 1);
    }
    b->web_come = false;
    hss_web(b->hss, &r, bench_note_web, b);
    assert_true(sim_run(b->sim, bench_web_came, b, sim_now_us(b->sim) + 60 * SEC_IN_US));
    return b->status;
}

static inline void bench_note_answer_of_web(void *ctx, const struct web_answer *answer) {
    ((struct bench_answer *)ctx)->status = answer->status;
}

/** Asks and does not wait. */
static inline void bench_web_begin(struct bench *b, const char *method, const char *path,
                                   struct bench_answer *out) {
    struct span query = span_from_cstr(path), before = span_cut(&query, '?');
    const struct web_request r = {.method = span_from_cstr(method), .path = before, .query = query};

    hss_web(b->hss, &r, bench_note_answer_of_web, out);
}

/** Ends the HSS as a crash does and starts it anew, with what the configuration is now. */
static inline void bench_restart(struct bench *b) {
    bench_crash_hss(b);
    bench_start_hss(b);
    bench_wait_up(b);
}

#define K_HEX   "465b5ce8b199b49faa5f0a2ee238a6bc"
#define OPC_HEX "cd63cb71954a9f4e48a5994e37a02baf"
#define SIM_JSON                                                                                   \
    "{\"imsi\":\"" IMSI "\",\"msisdn\":\"447700900101\",\"k\":\"" K_HEX "\",\"opc\":\"" OPC_HEX    \
    "\"}"

static inline void bench_add_sim(struct bench *b) {
    assert_int_equal(bench_web(b, "POST", "/subscriptions/sim", SIM_JSON), 201);
}

static inline struct aka_key bench_key(void) {
    struct aka_key key;

    assert_true(span_to_bytes(SPAN(K_HEX), key.k, 16));
    assert_true(span_to_bytes(SPAN(OPC_HEX), key.opc, 16));
    return key;
}

/* Cx. */

static inline bool bench_reply_came(void *ctx) {
    return ((struct reply *)ctx)->come;
}

static inline void bench_wait(struct bench *b, struct reply *r) {
    assert_true(sim_run(b->sim, bench_reply_came, r, sim_now_us(b->sim) + 60 * SEC_IN_US));
}

static inline struct diameter_builder *bench_begin(struct client *c, uint32_t command) {
    struct diameter_route route = {
        .application = CX_APPLICATION, .command = command, .realm = SPAN(HOME)};

    return diameter_request_begin(c->d, &route);
}

static inline void bench_send(struct bench *b, struct client *c, struct reply *r) {
    memset(r, 0, sizeof *r);
    r->sim = b->sim;
    assert_int_equal(diameter_request_send(c->d, &bench_answers, r, NULL), OK);
}

static inline void bench_uar(struct bench *b, struct client *c, const char *impi, const char *impu,
                             int type, struct reply *r) {
    struct cx_uar uar = {.user_name = span_from_cstr(impi),
                         .public_identity = span_from_cstr(impu),
                         .visited_network_identifier = SPAN(HOME),
                         .has_user_authorization_type = type >= 0,
                         .user_authorization_type = type > 0 ? (unsigned)type : 0};

    cx_uar_encode(bench_begin(c, CX_COMMAND_USER_AUTHORIZATION), &uar);
    bench_send(b, c, r);
}

static inline void bench_sar(struct bench *b, struct client *c, unsigned type, const char *impi,
                             const char *impu, const char *server, struct reply *r) {
    struct span identity = span_from_cstr(impu);
    struct cx_sar sar = {.user_name = span_from_cstr(impi),
                         .public_identity = &identity,
                         .n_public_identity = impu != NULL,
                         .server_name = span_from_cstr(server),
                         .server_assignment_type = type};

    cx_sar_encode(bench_begin(c, CX_COMMAND_SERVER_ASSIGNMENT), &sar);
    bench_send(b, c, r);
}

static inline void bench_mar(struct bench *b, struct client *c, const char *impi, const char *impu,
                             const char *server, unsigned n, struct span auts, struct reply *r) {
    struct cx_mar mar = {
        .user_name = span_from_cstr(impi),
        .public_identity = span_from_cstr(impu),
        .sip_auth_data_item = {.sip_authentication_scheme = SPAN("Digest-AKAv1-MD5"),
                               .sip_authorization = auts},
        .sip_number_auth_items = n,
        .server_name = span_from_cstr(server)};

    cx_mar_encode(bench_begin(c, CX_COMMAND_MULTIMEDIA_AUTH), &mar);
    bench_send(b, c, r);
}

static inline void bench_lir(struct bench *b, struct client *c, const char *impu, struct reply *r) {
    struct cx_lir lir = {.public_identity = span_from_cstr(impu)};

    cx_lir_encode(bench_begin(c, CX_COMMAND_LOCATION_INFO), &lir);
    bench_send(b, c, r);
}

#define assert_result(reply_, vendor_, code_)                                                      \
    do {                                                                                           \
        assert_int_equal((reply_)->error, OK);                                                     \
        assert_int_equal((reply_)->result.code, code_);                                            \
        assert_int_equal((reply_)->result.vendor, vendor_);                                        \
    } while (0)
#define BASE  0
#define X3GPP DIAMETER_VENDOR_3GPP

#endif
