/* An S-CSCF between a scripted I-CSCF and a scripted HSS, and what a terminal says to it. */
#ifndef TEST_NODE_CSCF_SCSCF_WORLD_H
#define TEST_NODE_CSCF_SCSCF_WORLD_H

#include "node/scscf/scscf.h"
#include "script.h"

static const struct addr scscf_at = {4, 6060, {127, 0, 0, 3}};
static const struct addr icscf_at = {4, 4060, {127, 0, 0, 9}};

struct world {
    struct sim *sim;
    struct env *env;
    struct dns_zone zone;
    struct dns_zone_source dns;
    struct scscf *scscf;
    struct script_hss hss;
    struct peer icscf;
    unsigned cseq;
    char nonce[128];
    bool stopped;
};

static struct world world;

static inline void start(struct world *w, struct scscf_config config) {
    config.name = SPAN("sip:scscf." HOME ":6060");
    config.host = SPAN("scscf." HOME);
    config.sip.addr = scscf_at;
    config.realm = SPAN(HOME);
    config.diameter = script_diameter(&w->hss, SPAN("scscf." HOME));
    config.hss_realm = SPAN(HOME);
    config.dns.source = &w->dns.source;
    assert_int_equal(scscf_new(w->env, &config, &w->scscf), OK);
    script_run(w->sim, 2 * SEC_IN_US);
    assert_true(scscf_is_ready(w->scscf));
}

static inline int set_up(void **state) {
    struct world *w = &world;
    *w = (struct world){0};
    assert_int_equal(sim_new(1, &w->sim), OK);
    assert_int_equal(sim_env_new(w->sim, "scscf", &w->env), OK);
    dns_zone_init(&w->zone);
    dns_zone_source_init(&w->dns, &w->zone);
    assert_int_equal(dns_zone_add_host(&w->zone, SPAN("pcscf." HOME), &icscf_at), OK);
    script_hss_open(&w->hss, w->sim, SPAN("scscf." HOME));
    peer_open(&w->icscf, w->sim, "icscf", icscf_at);
    start(w, (struct scscf_config){0});
    *state = w;
    return 0;
}

static inline int tear_down(void **state) {
    struct world *w = (struct world *)*state;
    peer_close(&w->icscf);
    scscf_free(w->scscf);
    script_hss_close(&w->hss);
    dns_zone_free(&w->zone);
    env_close(w->env);
    sim_free(w->sim);
    return 0;
}

static inline void restart(struct world *w, struct scscf_config config) {
    scscf_free(w->scscf);
    script_run(w->sim, 2 * SEC_IN_US);
    start(w, config);
}

#define NETWORK                                                                                    \
    "Path: <sip:token@pcscf." HOME ":5060;lr>\r\nRequire: path\r\n"                                \
    "P-Visited-Network-ID: " HOME "\r\n"                                                           \
    "P-Charging-Vector: icid-value=\"i1\";orig-ioi=visited\r\n"

static inline unsigned say(struct world *w, struct script_register r) {
    char text[SCRIPT_TEXT_MAX], lines[2048];
    struct buf b = buf_init(text, sizeof text), l = buf_init(lines, sizeof lines);
    buf_cstr(&l, NETWORK);
    buf_cstr(&l, r.lines ? r.lines : "");
    buf_char(&l, 0);
    r.lines = lines;
    r.via = "127.0.0.9:4060";
    r.cseq = r.cseq ? r.cseq : ++w->cseq;
    w->icscf.n = 0;
    peer_send(&w->icscf, scscf_at, script_register_text(&b, &r));
    script_run(w->sim, 20 * MS_IN_US);
    return w->icscf.n ? peer_last(&w->icscf)->status : 0;
}

/* Keeps the nonce of the 401 that came last. */
static inline void take_nonce(struct world *w) {
    struct sip_auth auth;
    assert_int_equal(sip_auth_parse(sip_value(peer_last(&w->icscf), SIP_H_WWW_AUTHENTICATE), &auth),
                     OK);
    assert_true(span_to_cstr(auth.nonce, w->nonce, sizeof w->nonce));
}

static inline unsigned challenge(struct world *w, struct script_register r) {
    unsigned status = say(w, r);
    if (status == 401) {
        take_nonce(w);
    }
    return status;
}

static inline unsigned respond(struct world *w, struct script_register r) {
    const char *impi = r.impi ? r.impi : IMPI;
    r.nonce = w->nonce;
    r.response = script_response(impi, w->nonce, script_xres, sizeof script_xres);
    return say(w, r);
}

/* A whole registration. */
static inline unsigned enrol(struct world *w, struct script_register r) {
    unsigned status = challenge(w, r);
    return status == 401 ? respond(w, r) : status;
}

static inline unsigned respond_wrongly(struct world *w) {
    static const uint8_t wrong[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    return say(w, (struct script_register){
                      .nonce = w->nonce,
                      .response = script_response(IMPI, w->nonce, wrong, sizeof wrong)});
}

static inline enum cx_server_assignment_type last_sar(const struct world *w) {
    assert_true(w->hss.sar > 0);
    return w->hss.sar_types[w->hss.sar - 1];
}

struct seen {
    size_t n;
    char contact[8][128], params[256], path[128], impu[128];
    size_t n_impus;
};

static inline void see(void *ctx, const struct scscf_binding_view *v) {
    struct seen *s = (struct seen *)ctx;
    assert_in_range(s->n, 0, 7);
    assert_true(span_to_cstr(v->contact, s->contact[s->n++], sizeof s->contact[0]));
    assert_true(span_to_cstr(v->params, s->params, sizeof s->params));
    assert_true(span_to_cstr(v->path, s->path, sizeof s->path));
    assert_true(span_to_cstr(v->impu, s->impu, sizeof s->impu));
    s->n_impus = v->n_impus;
}

static inline void on_stopped(void *ctx) {
    ((struct world *)ctx)->stopped = true;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
