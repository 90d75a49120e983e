/* Scripted neighbours for the tests of the CSCFs, in a simulation: SIP peers that say what a test
 * tells them and remember what they hear, an HSS that answers what a test wants, and a terminal's
 * arithmetic. The peers use the SIP codec but not the stack. */
#ifndef TEST_NODE_CSCF_SCRIPT_H
#define TEST_NODE_CSCF_SCRIPT_H

#include "codec/sip/build.h"
#include "codec/sip/headers.h"
#include "crypto/aka.h"
#include "crypto/digest.h"
#include "model/aka/nonce.h"
#include "rt/sim.h"
#include "spec/cx.h"
#include "spec/diameter_base.h"
#include "stack/diameter/diameter_node.h"
#include "stack/dns/zone_source.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define HOME "ims.mnc001.mcc001.3gppnetwork.org"
#define IMPI "alice.smith@" HOME
#define IMPU "sip:alice.mobile@" HOME
#define TEL  "tel:+447700900101"

enum { SCRIPT_HEARD_MAX = 64, SCRIPT_TEXT_MAX = 8192 };

/* A SIP peer. */
struct peer {
    struct sim *sim;
    struct env *env;
    struct dgram *dgram;
    struct arena arena; /* of parsed messages, until peer_close */
    size_t n;           /* messages heard */
    struct {
        char *text;
        struct addr from;
        struct sip_msg *msg; /* NULL: not readable */
    } heard[SCRIPT_HEARD_MAX];
};

static inline void peer_hear(void *ctx, struct dgram *d, const struct addr *from, char *bytes,
                             size_t n) {
    struct peer *p = (struct peer *)ctx;
    (void)d;
    assert_in_range(p->n, 0, SCRIPT_HEARD_MAX - 1);
    char *text = (char *)arena_alloc(&p->arena, n + 1);
    memcpy(text, bytes, n);
    text[n] = 0;
    p->heard[p->n].text = text;
    p->heard[p->n].from = *from;
    char *copy = (char *)arena_alloc(&p->arena, n);
    memcpy(copy, bytes, n);
    struct sip_limits limits = sip_limits_default();
    struct sip_fault fault;
    struct sip_msg *msg = NULL;
    p->heard[p->n].msg = sip_parse(&p->arena, copy, n, &limits, &msg, &fault) == OK ? msg : NULL;
    p->n++;
}

static inline void peer_open(struct peer *p, struct sim *sim, const char *name, struct addr at) {
    *p = (struct peer){.sim = sim};
    assert_int_equal(sim_env_new(sim, name, &p->env), OK);
    p->arena = arena_init(p->env->chunks);
    assert_int_equal(env_dgram_open(p->env, &at, 0, peer_hear, p, &p->dgram), OK);
}

static inline void peer_close(struct peer *p) {
    if (p->env) {
        dgram_close(p->dgram);
        arena_release(&p->arena);
        env_close(p->env);
        p->env = NULL;
    }
}

static inline void peer_send(struct peer *p, struct addr to, struct span text) {
    assert_int_equal(dgram_send(p->dgram, &to, text), OK);
}

/* The newest message; it must be readable. */
static inline const struct sip_msg *peer_last(const struct peer *p) {
    assert_true(p->n > 0);
    assert_non_null(p->heard[p->n - 1].msg);
    return p->heard[p->n - 1].msg;
}

static inline const char *peer_last_text(const struct peer *p) {
    assert_true(p->n > 0);
    return p->heard[p->n - 1].text;
}

/* Answers the newest message, with whole header lines. */
static inline void peer_reply(struct peer *p, unsigned status, const char *lines) {
    char text[SCRIPT_TEXT_MAX];
    struct buf b = buf_init(text, sizeof text);
    sip_put_reply(&b, peer_last(p), status, SPAN_NONE, SPAN("peer"));
    buf_cstr(&b, lines);
    sip_put_body(&b, SPAN_NONE);
    assert_false(b.overflow);
    peer_send(p, p->heard[p->n - 1].from, buf_span(&b));
}

static inline void script_run(struct sim *sim, uint64_t us) {
    sim_run_until(sim, sim_now_us(sim) + us);
}

/* Has the message a header line with exactly this value? */
static inline bool has_line(const struct sip_msg *msg, enum sip_header_id id, const char *value) {
    for (const struct sip_header *h = sip_header(msg, id); h; h = sip_header_next(msg, h)) {
        if (span_eq(h->value, span_from_cstr(value))) {
            return true;
        }
    }
    return false;
}

static inline bool contains(struct span text, const char *needle) {
    return span_find(text, span_from_cstr(needle)) < text.n;
}

/* A terminal's REGISTER. */
struct script_register {
    const char *impi, *impu, *contact; /* NULL: the usual ones; contact "" : none */
    const char *lines;                 /* more whole header lines; NULL: none */
    const char *nonce, *response;      /* NULL: empty */
    const char *auts;                  /* NULL: none */
    const char *authorization;         /* in place of all of Authorization; "": none at all */
    const char *call_id;
    unsigned cseq;
    const char *via; /* sent-by; NULL: the usual one */
};

static inline struct span script_register_text(struct buf *b, const struct script_register *r) {
    static unsigned branch;
    const char *impu = r->impu ? r->impu : IMPU;
    unsigned cseq = r->cseq ? r->cseq : 1;
    buf_printf(b, "REGISTER sip:" HOME " SIP/2.0\r\n");
    buf_printf(b, "Via: SIP/2.0/UDP %s;branch=z9hG4bK-%u;rport\r\n",
               r->via ? r->via : "127.0.0.9:5070", ++branch);
    buf_printf(b, "Max-Forwards: 70\r\nFrom: <%s>;tag=from\r\nTo: <%s>\r\n", impu, impu);
    buf_printf(b, "Call-ID: %s\r\nCSeq: %u REGISTER\r\n", r->call_id ? r->call_id : "call", cseq);
    const char *contact = r->contact ? r->contact : "<sip:alice@127.0.0.9:5070>;expires=3600";
    if (*contact) {
        buf_printf(b, "Contact: %s\r\n", contact);
    }
    if (r->authorization) {
        if (*r->authorization) {
            buf_printf(b, "Authorization: %s\r\n", r->authorization);
        }
    } else {
        buf_printf(b,
                   "Authorization: Digest username=\"%s\", realm=\"" HOME "\", nonce=\"%s\", "
                   "uri=\"sip:" HOME "\", response=\"%s\"",
                   r->impi ? r->impi : IMPI, r->nonce ? r->nonce : "",
                   r->response ? r->response : "");
        if (r->nonce) {
            buf_cstr(b, ", algorithm=AKAv1-MD5, qop=auth, cnonce=\"c\", nc=00000001");
        }
        if (r->auts) {
            buf_printf(b, ", auts=\"%s\"", r->auts);
        }
        buf_cstr(b, "\r\n");
    }
    buf_cstr(b, r->lines ? r->lines : "");
    buf_cstr(b, "Supported: path\r\nContent-Length: 0\r\n\r\n");
    assert_false(b->overflow);
    return buf_span(b);
}

/* The HSS: one vector whose XRES has a zero byte in it; what else, the test says. */
struct script_hss {
    struct env *env;
    struct diameter *diameter;
    struct arena arena; /* of what was asked last */
    struct addr at;
    /* how it answers; vendor 0 and code 0: normally */
    struct diameter_result uar_result, mar_result, sar_result;
    const struct cx_sip_digest_authenticate *digest; /* NULL: no password */
    bool no_aka;
    const struct aka_vector *vector; /* NULL: one of the script's own */
    bool silent;
    bool hold;                     /* the next SAR waits for script_hss_release */
    struct diameter_request *held; /* that one */
    struct cx_uaa uaa;             /* of a normal UAA */
    struct cx_lia lia;             /* of any LIA; without a result: success */
    struct span user_data;
    struct cx_charging_information charging;
    bool has_charging;
    /* what it was asked */
    unsigned uar, mar, sar, lir;
    struct cx_lir last_lir;
    struct cx_uar last_uar;
    struct cx_mar last_mar;
    struct cx_sar last_sar;
    const struct cx_associated_identities *associated; /* of SAAs with User-Data */
    enum cx_server_assignment_type sar_types[64];
    uint8_t rand_autn[32]; /* of the last vector */
};

static const uint8_t script_xres[8] = {0x11, 0x00, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88};
static const uint8_t script_ck[16] = {0xc0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
static const uint8_t script_ik[16] = {0x10, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

#define SCRIPT_USER_DATA                                                                           \
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?><IMSSubscription><PrivateID>" IMPI                  \
    "</PrivateID><ServiceProfile>"                                                                 \
    "<PublicIdentity><BarringIndication>1</BarringIndication><Identity>sip:001010000000001@" HOME  \
    "</Identity></PublicIdentity>"                                                                 \
    "<PublicIdentity><Identity>" IMPU "</Identity></PublicIdentity>"                               \
    "<PublicIdentity><Identity>" TEL "</Identity></PublicIdentity>"                                \
    "</ServiceProfile></IMSSubscription>"

static inline bool script_code(struct diameter_result r) {
    return r.code != 0;
}

static inline void script_hss_uar(struct script_hss *h, struct diameter_request *rq,
                                  const struct diameter_msg *msg) {
    struct diameter_fault fault;
    h->uar++;
    assert_int_equal(cx_uar_decode(&h->arena, msg, &h->last_uar, &fault), OK);
    struct cx_uaa uaa = h->uaa;
    uaa.result = script_code(h->uar_result) ? h->uar_result
                                            : DIAMETER_3GPP_RESULT(DIAMETER_FIRST_REGISTRATION);
    cx_uaa_encode(diameter_answer_begin(rq), &uaa);
    diameter_answer_send(rq);
}

static inline void script_hss_lir(struct script_hss *h, struct diameter_request *rq,
                                  const struct diameter_msg *msg) {
    struct diameter_fault fault;
    h->lir++;
    assert_int_equal(cx_lir_decode(&h->arena, msg, &h->last_lir, &fault), OK);
    struct cx_lia lia = h->lia;
    if (!script_code(lia.result)) {
        lia.result = DIAMETER_RESULT(DIAMETER_SUCCESS);
    }
    cx_lia_encode(diameter_answer_begin(rq), &lia);
    diameter_answer_send(rq);
}

static inline void script_hss_mar(struct script_hss *h, struct diameter_request *rq,
                                  const struct diameter_msg *msg) {
    struct diameter_fault fault;
    h->mar++;
    assert_int_equal(cx_mar_decode(&h->arena, msg, &h->last_mar, &fault), OK);
    struct cx_maa maa = {.result = DIAMETER_RESULT(DIAMETER_SUCCESS),
                         .user_name = h->last_mar.user_name,
                         .public_identity = h->last_mar.public_identity,
                         .has_sip_number_auth_items = true};
    for (size_t i = 0; i < sizeof h->rand_autn; i++) {
        h->rand_autn[i] = (uint8_t)(h->mar * 31 + i);
    }
    struct cx_sip_auth_data_item items[2];
    unsigned n = 0;
    if (h->digest) {
        items[n] = (struct cx_sip_auth_data_item){.has_sip_item_number = true,
                                                  .sip_item_number = 1,
                                                  .sip_authentication_scheme = SPAN("SIP Digest"),
                                                  .sip_digest_authenticate = h->digest};
        n++;
    }
    items[n] = (struct cx_sip_auth_data_item){
        .has_sip_item_number = true,
        .sip_item_number = n + 1,
        .sip_authentication_scheme = SPAN("Digest-AKAv1-MD5"),
        .sip_authenticate = span_of(h->rand_autn, sizeof h->rand_autn),
        .sip_authorization = span_of(script_xres, sizeof script_xres),
        .confidentiality_key = span_of(script_ck, sizeof script_ck),
        .integrity_key = span_of(script_ik, sizeof script_ik)};
    if (h->vector) {
        memcpy(h->rand_autn, h->vector->rand, 16);
        memcpy(h->rand_autn + 16, h->vector->autn, 16);
        items[n].sip_authorization = span_of(h->vector->xres, h->vector->xres_n);
        items[n].confidentiality_key = span_of(h->vector->ck, 16);
        items[n].integrity_key = span_of(h->vector->ik, 16);
    }
    n += !h->no_aka;
    maa.sip_auth_data_item = items;
    maa.n_sip_auth_data_item = maa.sip_number_auth_items = n;
    if (script_code(h->mar_result)) {
        maa = (struct cx_maa){.result = h->mar_result};
    }
    cx_maa_encode(diameter_answer_begin(rq), &maa);
    diameter_answer_send(rq);
}

static inline void script_hss_sar(struct script_hss *h, struct diameter_request *rq,
                                  const struct diameter_msg *msg) {
    struct diameter_fault fault;
    assert_int_equal(cx_sar_decode(&h->arena, msg, &h->last_sar, &fault), OK);
    h->sar_types[h->sar++ % 64] = h->last_sar.server_assignment_type;
    struct cx_saa saa = {.result = DIAMETER_RESULT(DIAMETER_SUCCESS),
                         .user_name = h->last_sar.user_name};
    if (script_code(h->sar_result)) {
        saa.result = h->sar_result;
    } else if (h->last_sar.server_assignment_type == CX_SERVER_ASSIGNMENT_TYPE_REGISTRATION) {
        saa.user_data = h->user_data;
        saa.charging_information = h->has_charging ? &h->charging : NULL;
        saa.associated_identities = h->associated;
    }
    cx_saa_encode(diameter_answer_begin(rq), &saa);
    diameter_answer_send(rq);
}

/* Answers the SAR that was held back. */
static inline void script_hss_release(struct script_hss *h) {
    struct diameter_request *rq = h->held;
    assert_non_null(rq);
    h->held = NULL;
    script_hss_sar(h, rq, diameter_request_msg(rq));
}

static inline void script_hss_request(void *ctx, struct diameter_request *rq,
                                      const struct diameter_msg *msg) {
    struct script_hss *h = (struct script_hss *)ctx;
    /* what is remembered points into a copy */
    char *copy = (char *)arena_alloc(&h->arena, msg->bytes.n);
    memcpy(copy, msg->bytes.p, msg->bytes.n);
    struct diameter_msg kept;
    struct diameter_fault fault;
    assert_int_equal(diameter_msg_parse(span_of(copy, msg->bytes.n), &kept, &fault), OK);
    switch (kept.command) {
    case CX_COMMAND_USER_AUTHORIZATION:
        h->silent ? (void)h->uar++ : script_hss_uar(h, rq, &kept);
        break;
    case CX_COMMAND_LOCATION_INFO:
        h->silent ? (void)h->lir++ : script_hss_lir(h, rq, &kept);
        break;
    case CX_COMMAND_MULTIMEDIA_AUTH:
        h->silent ? (void)h->mar++ : script_hss_mar(h, rq, &kept);
        break;
    default:
        if (h->hold) {
            h->hold = false;
            h->held = rq;
            return;
        }
        h->silent ? (void)h->sar++ : script_hss_sar(h, rq, &kept);
    }
}

static const struct diameter_application script_application = {CX_APPLICATION,
                                                               DIAMETER_VENDOR_3GPP};
static const struct diameter_handler script_hss_handler = {.request = script_hss_request};

/* One peer: the CSCF of this host. */
static inline void script_hss_open(struct script_hss *h, struct sim *sim, struct span peer) {
    static struct diameter_peer_config peers[1];
    *h =
        (struct script_hss){.at = addr_v4(127, 0, 0, 4, 3868), .user_data = SPAN(SCRIPT_USER_DATA)};
    assert_int_equal(sim_env_new(sim, "hss", &h->env), OK);
    h->arena = arena_init(h->env->chunks);
    peers[0] = (struct diameter_peer_config){.host = peer, .realm = SPAN(HOME)};
    struct diameter_config config = {.host = SPAN("hss." HOME),
                                     .realm = SPAN(HOME),
                                     .listen = &h->at,
                                     .applications = &script_application,
                                     .n_applications = 1,
                                     .peers = peers,
                                     .n_peers = 1};
    assert_int_equal(diameter_new(h->env, &config, &script_hss_handler, h, &h->diameter), OK);
}

static inline void script_hss_close(struct script_hss *h) {
    if (h->env) {
        diameter_free(h->diameter);
        arena_release(&h->arena);
        env_close(h->env);
        h->env = NULL;
    }
}

/* How a CSCF reaches this HSS. */
static inline struct diameter_config script_diameter(const struct script_hss *h, struct span host) {
    static struct diameter_peer_config peers[1];
    peers[0] = (struct diameter_peer_config){
        .host = SPAN("hss." HOME), .realm = SPAN(HOME), .address = h->at, .connect = true};
    return (struct diameter_config){.host = host,
                                    .realm = SPAN(HOME),
                                    .peers = peers,
                                    .n_peers = 1,
                                    .request_timeout_us = 3 * SEC_IN_US};
}

/* The terminal's answer to a challenge, with this RES. Returns the 32 digits, NUL-terminated. */
static inline const char *script_response(const char *impi, const char *nonce, const void *res,
                                          size_t n) {
    static char digits[33];
    struct digest d;
    struct digest_hex ha1, response;
    struct digest_request r = {.hash = DIGEST_MD5,
                               .qop = DIGEST_QOP_AUTH,
                               .method = SPAN("REGISTER"),
                               .uri = SPAN("sip:" HOME),
                               .nonce = span_from_cstr(nonce),
                               .nc = SPAN("00000001"),
                               .cnonce = SPAN("c")};
    assert_int_equal(digest_init(&d), OK);
    assert_int_equal(
        digest_ha1(&d, DIGEST_MD5, span_from_cstr(impi), SPAN(HOME), span_of(res, n), &ha1), OK);
    assert_int_equal(digest_response(&d, &ha1, &r, &response), OK);
    digest_free(&d);
    memcpy(digits, response.text, 32);
    return digits;
}

#endif
