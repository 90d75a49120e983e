/* A P-CSCF between a scripted terminal and two scripted I-CSCFs. */
#ifndef TEST_NODE_CSCF_PCSCF_WORLD_H
#define TEST_NODE_CSCF_PCSCF_WORLD_H

#include "node/pcscf/pcscf.h"
#include "script.h"

static const struct addr pcscf_at = {4, 5060, {127, 0, 0, 1}};
static const struct addr icscf_at = {4, 4060, {127, 0, 0, 2}};
static const struct addr second_at = {4, 4060, {127, 0, 0, 3}};
static const struct addr scscf_at = {4, 6060, {127, 0, 0, 2}};
static const struct addr inner[] = {
    {4, 6060, {127, 0, 0, 2}}, {4, 3868, {0}} /* on all addresses of its machine */
};
static const struct addr ue_at = {4, 5070, {127, 0, 0, 9}};

struct world {
    struct sim *sim;
    struct env *env;
    struct dns_zone zone;
    struct dns_zone_source dns;
    struct pcscf *pcscf;
    struct peer ue, icscf, second;
    bool stopped;
};

static struct world world;

static inline int set_up(void **state) {
    struct world *w = &world;
    *w = (struct world){0};
    assert_int_equal(sim_new(1, &w->sim), OK);
    assert_int_equal(sim_env_new(w->sim, "pcscf", &w->env), OK);
    w->env->log.level = LOG_ERROR;
    dns_zone_init(&w->zone);
    dns_zone_source_init(&w->dns, &w->zone);
    assert_int_equal(dns_zone_add_sip(&w->zone, SPAN(HOME), SPAN("icscf." HOME),
                                      &(struct sip_hop){icscf_at, SIP_UDP}, 10, 1),
                     OK);
    assert_int_equal(dns_zone_add_sip(&w->zone, SPAN(HOME), SPAN("icscf-2." HOME),
                                      &(struct sip_hop){second_at, SIP_UDP}, 20, 1),
                     OK);
    /* Names of our own nodes, and of somebody who means to reach them by his own domain. */
    const struct sip_hop scscf = {scscf_at, SIP_UDP}, hss = {{4, 3868, {127, 0, 0, 77}}, SIP_UDP};
    assert_int_equal(
        dns_zone_add_sip(&w->zone, SPAN("scscf." HOME), SPAN("scscf." HOME), &scscf, 10, 1), OK);
    assert_int_equal(
        dns_zone_add_sip(&w->zone, SPAN("evil.example"), SPAN("a.evil.example"), &hss, 10, 1), OK);
    assert_int_equal(dns_zone_add_sip(&w->zone, SPAN("mixed.example"), SPAN("a.mixed.example"),
                                      &(struct sip_hop){second_at, SIP_UDP}, 10, 1),
                     OK);
    assert_int_equal(
        dns_zone_add_sip(&w->zone, SPAN("mixed.example"), SPAN("b.mixed.example"), &scscf, 20, 1),
        OK);
    assert_int_equal(dns_zone_add_host(&w->zone, SPAN("pcscf." HOME), &pcscf_at), OK);
    struct pcscf_config config = {.host = SPAN("pcscf." HOME),
                                  .sip = {.addr = pcscf_at},
                                  .visited_network = SPAN(HOME),
                                  .ioi = SPAN("visited"),
                                  .dns = {.source = &w->dns.source},
                                  .inner = inner,
                                  .n_inner = COUNT_OF(inner),
                                  .core = &icscf_at,
                                  .n_core = 1};
    assert_int_equal(pcscf_new(w->env, &config, &w->pcscf), OK);
    peer_open(&w->ue, w->sim, "ue", ue_at);
    peer_open(&w->icscf, w->sim, "icscf", icscf_at);
    *state = w;
    return 0;
}

static inline int tear_down(void **state) {
    struct world *w = (struct world *)*state;
    peer_close(&w->ue);
    peer_close(&w->icscf);
    peer_close(&w->second);
    pcscf_free(w->pcscf);
    dns_zone_free(&w->zone);
    env_close(w->env);
    sim_free(w->sim);
    return 0;
}

static inline void say(struct world *w, const struct script_register *r) {
    char text[SCRIPT_TEXT_MAX];
    struct buf b = buf_init(text, sizeof text);
    peer_send(&w->ue, pcscf_at, script_register_text(&b, r));
    script_run(w->sim, 20 * MS_IN_US);
}

static inline void answer(struct world *w, unsigned status, const char *lines) {
    peer_reply(&w->icscf, status, lines);
    script_run(w->sim, 20 * MS_IN_US);
}

#define TRY(user)                                                                                  \
    "Digest username=\"" user "\", realm=\"" HOME "\", nonce=\"n\", uri=\"sip:" HOME               \
    "\", response=\"r\", algorithm=MD5, qop=auth, nc=00000001, cnonce=\"c\""
#define PASSWORD_TRY TRY(IMPI)
#define OTHER_TRY    TRY("other@" HOME)
#define ESCAPED_TRY  TRY("\\" IMPI)

#define GRANT                                                                                      \
    "Contact: <sip:alice@127.0.0.9:5070>;expires=600, <sip:other@127.0.0.8>;expires=60\r\n"        \
    "Service-Route: <sip:orig@scscf." HOME ":6060;lr>\r\n"                                         \
    "P-Associated-URI: <" IMPU ">, <" TEL ">\r\n"                                                  \
    "P-Charging-Function-Addresses: ccf=secret\r\n"

#define FORGED_AUTHORIZATION                                                                       \
    "Authorization: Digest username=\"forged\", realm=\"x\", nonce=\"\", uri=\"sip:x\", "          \
    "response=\"\", integrity-protected=\"yes\""

/* Hardening HA2: none of 1,000 forged header fields arrives. */

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
