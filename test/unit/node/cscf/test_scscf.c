/* covers: A7 A10 A11 HA1 HA3 HB10 */
#include "node/scscf/scscf.h"
#include "script.h"

static const struct addr scscf_at = {4, 6060, {127, 0, 0, 3}};
static const struct addr icscf_at = {4, 4060, {127, 0, 0, 9}};

struct world {
    struct sim *sim;
    struct env *env;
    struct scscf *scscf;
    struct script_hss hss;
    struct peer icscf;
    unsigned cseq;
    char nonce[128];
    bool stopped;
};

static struct world world;

static void start(struct world *w, struct scscf_config config) {
    config.name = SPAN("sip:scscf." HOME ":6060");
    config.host = SPAN("scscf." HOME);
    config.listen = scscf_at;
    config.realm = SPAN(HOME);
    config.diameter = script_diameter(&w->hss, SPAN("scscf." HOME));
    config.hss_realm = SPAN(HOME);
    assert_int_equal(scscf_new(w->env, &config, &w->scscf), OK);
    script_run(w->sim, 2 * SEC_IN_US);
    assert_true(scscf_is_ready(w->scscf));
}

static int set_up(void **state) {
    struct world *w = &world;
    *w = (struct world){0};
    assert_int_equal(sim_new(1, &w->sim), OK);
    assert_int_equal(sim_env_new(w->sim, "scscf", &w->env), OK);
    script_hss_open(&w->hss, w->sim, SPAN("scscf." HOME));
    peer_open(&w->icscf, w->sim, "icscf", icscf_at);
    start(w, (struct scscf_config){0});
    *state = w;
    return 0;
}

static int tear_down(void **state) {
    struct world *w = (struct world *)*state;
    peer_close(&w->icscf);
    scscf_free(w->scscf);
    script_hss_close(&w->hss);
    env_close(w->env);
    sim_free(w->sim);
    return 0;
}

static void restart(struct world *w, struct scscf_config config) {
    scscf_free(w->scscf);
    script_run(w->sim, 2 * SEC_IN_US);
    start(w, config);
}

#define NETWORK                                                                                    \
    "Path: <sip:token@pcscf." HOME ":5060;lr>\r\nRequire: path\r\n"                                \
    "P-Visited-Network-ID: " HOME "\r\n"                                                           \
    "P-Charging-Vector: icid-value=\"i1\";orig-ioi=visited\r\n"

static unsigned say(struct world *w, struct script_register r) {
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
static void take_nonce(struct world *w) {
    struct sip_auth auth;
    assert_int_equal(sip_auth_parse(sip_value(peer_last(&w->icscf), SIP_H_WWW_AUTHENTICATE), &auth),
                     OK);
    assert_true(span_to_cstr(auth.nonce, w->nonce, sizeof w->nonce));
}

static unsigned challenge(struct world *w, struct script_register r) {
    unsigned status = say(w, r);
    if (status == 401) {
        take_nonce(w);
    }
    return status;
}

static unsigned respond(struct world *w, struct script_register r) {
    const char *impi = r.impi ? r.impi : IMPI;
    r.nonce = w->nonce;
    r.response = script_response(impi, w->nonce, script_xres, sizeof script_xres);
    return say(w, r);
}

/* A whole registration. */
static unsigned enrol(struct world *w, struct script_register r) {
    unsigned status = challenge(w, r);
    return status == 401 ? respond(w, r) : status;
}

static unsigned respond_wrongly(struct world *w) {
    static const uint8_t wrong[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    return say(w, (struct script_register){
                      .nonce = w->nonce,
                      .response = script_response(IMPI, w->nonce, wrong, sizeof wrong)});
}

static enum cx_server_assignment_type last_sar(const struct world *w) {
    assert_true(w->hss.sar > 0);
    return w->hss.sar_types[w->hss.sar - 1];
}

static void the_challenge_has_all_that_belongs_in_it(void **state) {
    struct world *w = (struct world *)*state;
    assert_int_equal(challenge(w, (struct script_register){0}), 401);
    assert_int_equal(w->hss.mar, 1);
    const struct cx_mar *mar = &w->hss.last_mar;
    assert_true(span_eq(mar->user_name, SPAN(IMPI)));
    assert_true(span_eq(mar->public_identity, SPAN(IMPU)));
    assert_true(span_eq(mar->server_name, SPAN("sip:scscf." HOME ":6060")));
    assert_true(
        span_eq(mar->sip_auth_data_item.sip_authentication_scheme, SPAN("Digest-AKAv1-MD5")));
    assert_int_equal(mar->sip_number_auth_items, 1);
    struct sip_auth auth;
    assert_int_equal(sip_auth_parse(sip_value(peer_last(&w->icscf), SIP_H_WWW_AUTHENTICATE), &auth),
                     OK);
    assert_true(span_eq(auth.realm, SPAN(HOME)));
    assert_true(span_eq(auth.algorithm, SPAN("AKAv1-MD5")));
    assert_true(span_eq(auth.qop, SPAN("auth")));
    assert_true(span_eq(auth.ck, SPAN("c00102030405060708090a0b0c0d0e0f")));
    assert_true(span_eq(auth.ik, SPAN("100102030405060708090a0b0c0d0e0f")));
    uint8_t rand[16], autn[16];
    assert_int_equal(nonce_parse(auth.nonce, rand, autn), OK);
    assert_memory_equal(rand, w->hss.rand_autn, 16);
    assert_memory_equal(autn, w->hss.rand_autn + 16, 16);
    assert_int_equal(scscf_counts(w->scscf).challenges, 1);
}

struct seen {
    size_t n;
    char contact[8][128], params[256], path[128], impu[128];
    size_t n_impus;
};

static void see(void *ctx, const struct scscf_binding_view *v) {
    struct seen *s = (struct seen *)ctx;
    assert_in_range(s->n, 0, 7);
    assert_true(span_to_cstr(v->contact, s->contact[s->n++], sizeof s->contact[0]));
    assert_true(span_to_cstr(v->params, s->params, sizeof s->params));
    assert_true(span_to_cstr(v->path, s->path, sizeof s->path));
    assert_true(span_to_cstr(v->impu, s->impu, sizeof s->impu));
    s->n_impus = v->n_impus;
}

static void the_right_response_registers_the_whole_set(void **state) {
    struct world *w = (struct world *)*state;
    w->hss.has_charging = true;
    w->hss.charging.primary_charging_collection_function_name = SPAN("aaa://ccf." HOME);
    assert_int_equal(
        enrol(w, (struct script_register){.contact =
                                              "<sip:alice@127.0.0.9:5070>;q=0.5;expires=3600;"
                                              "+sip.instance=\"<urn:gsma:imei:1>\";+g.3gpp.smsip"}),
        200);
    const struct sip_msg *m = peer_last(&w->icscf);
    assert_true(has_line(m, SIP_H_P_ASSOCIATED_URI, "<" IMPU ">, <" TEL ">"));
    assert_true(has_line(m, SIP_H_SERVICE_ROUTE, "<sip:orig@scscf." HOME ":6060;lr>"));
    assert_true(has_line(m, SIP_H_PATH, "<sip:token@pcscf." HOME ":5060;lr>"));
    assert_true(has_line(m, SIP_H_P_CHARGING_FUNCTION_ADDRESSES, "ccf=\"aaa://ccf." HOME "\""));
    assert_true(contains(sip_value(m, SIP_H_P_CHARGING_VECTOR), "term-ioi=\"" HOME "\""));
    struct sip_list list = sip_list_of(m, SIP_H_CONTACT);
    struct sip_contact c;
    assert_true(sip_contact_next(&list, &c));
    assert_int_equal(c.expires_s, 3600);
    assert_int_equal(c.q_thousandth, 500);
    assert_true(span_eq(c.instance, SPAN("urn:gsma:imei:1")));
    assert_int_equal(w->hss.sar, 1);
    assert_int_equal(last_sar(w), CX_SERVER_ASSIGNMENT_TYPE_REGISTRATION);
    assert_true(span_eq(w->hss.last_sar.public_identity[0], SPAN(IMPU)));
    struct seen s = {0};
    scscf_each_binding(w->scscf, see, &s);
    assert_int_equal(s.n, 1);
    assert_int_equal(s.n_impus, 3);
    assert_string_equal(s.impu, IMPU);
    assert_string_equal(s.path, "<sip:token@pcscf." HOME ":5060;lr>");
    assert_string_equal(s.params, ";q=0.5;+sip.instance=\"<urn:gsma:imei:1>\";+g.3gpp.smsip");
    struct scscf_counts counts = scscf_counts(w->scscf);
    assert_int_equal(counts.sets, 1);
    assert_int_equal(counts.identities, 3);
    assert_int_equal(counts.challenges, 0);
    assert_int_equal(counts.pending, 0);
}

static void a_visited_network_does_not_learn_charging_functions(void **state) {
    struct world *w = (struct world *)*state;
    w->hss.has_charging = true;
    w->hss.charging.primary_charging_collection_function_name = SPAN("aaa://ccf." HOME);
    assert_int_equal(challenge(w, (struct script_register){0}), 401);
    char text[SCRIPT_TEXT_MAX];
    struct buf b = buf_init(text, sizeof text);
    struct script_register r = {.nonce = w->nonce,
                                .via = "127.0.0.9:4060",
                                .cseq = 9,
                                .lines = "P-Visited-Network-ID: elsewhere\r\n"};
    r.response = script_response(IMPI, w->nonce, script_xres, sizeof script_xres);
    peer_send(&w->icscf, scscf_at, script_register_text(&b, &r));
    script_run(w->sim, 20 * MS_IN_US);
    assert_int_equal(peer_last(&w->icscf)->status, 200);
    assert_false(sip_has(peer_last(&w->icscf), SIP_H_P_CHARGING_FUNCTION_ADDRESSES));
}

/* Hardening HA3. */
static void a_replayed_response_is_challenged_anew(void **state) {
    struct world *w = (struct world *)*state;
    assert_int_equal(enrol(w, (struct script_register){0}), 200);
    for (int i = 0; i < 3; i++) {
        char used[128];
        memcpy(used, w->nonce, sizeof used);
        assert_int_equal(respond(w, (struct script_register){0}), 401);
        struct sip_auth auth;
        assert_int_equal(
            sip_auth_parse(sip_value(peer_last(&w->icscf), SIP_H_WWW_AUTHENTICATE), &auth), OK);
        assert_false(span_eq(auth.nonce, span_from_cstr(used)));
    }
    assert_int_equal(scscf_counters(w->scscf)->stale_nonces, 3);
    assert_int_equal(w->hss.sar, 1);
}

static void a_nonce_of_another_identity_is_worth_nothing(void **state) {
    struct world *w = (struct world *)*state;
    assert_int_equal(challenge(w, (struct script_register){0}), 401);
    assert_int_equal(respond(w, (struct script_register){.impi = "bob.smith@" HOME}), 401);
    assert_int_equal(w->hss.sar, 0);
}

static void another_realm_method_or_algorithm_is_wrong(void **state) {
    struct world *w = (struct world *)*state;
    assert_int_equal(challenge(w, (struct script_register){0}), 401);
    char text[1024];
    struct buf b = buf_init(text, sizeof text);
    buf_printf(&b,
               "Digest username=\"" IMPI "\", realm=\"" HOME "\", nonce=\"%s\", uri=\"sip:" HOME
               "\", response=\"%s\", algorithm=MD5, qop=auth, cnonce=\"c\", nc=00000001",
               w->nonce, script_response(IMPI, w->nonce, script_xres, sizeof script_xres));
    buf_char(&b, 0);
    assert_int_equal(say(w, (struct script_register){.authorization = text}), 401);
    assert_int_equal(scscf_counters(w->scscf)->wrong_responses, 1);
}

static void wrong_responses_end_in_403(void **state) {
    struct world *w = (struct world *)*state;
    assert_int_equal(challenge(w, (struct script_register){0}), 401);
    assert_int_equal(respond_wrongly(w), 401);
    take_nonce(w);
    assert_int_equal(respond_wrongly(w), 401);
    take_nonce(w);
    assert_int_equal(respond_wrongly(w), 403);
    assert_int_equal(last_sar(w), CX_SERVER_ASSIGNMENT_TYPE_AUTHENTICATION_FAILURE);
    assert_int_equal(w->hss.sar, 1);
    assert_int_equal(scscf_counts(w->scscf).challenges, 0);
    assert_int_equal(enrol(w, (struct script_register){0}), 200);
}

static void a_wrong_response_can_be_mended(void **state) {
    struct world *w = (struct world *)*state;
    assert_int_equal(challenge(w, (struct script_register){0}), 401);
    assert_int_equal(respond_wrongly(w), 401);
    take_nonce(w);
    assert_int_equal(respond(w, (struct script_register){0}), 200);
}

static void auts_goes_to_the_hss_with_its_rand(void **state) {
    struct world *w = (struct world *)*state;
    static const uint8_t auts[14] = {0xa0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13};
    char text[32];
    struct buf b = buf_init(text, sizeof text);
    nonce_put_auts(&b, auts);
    buf_char(&b, 0);
    assert_int_equal(challenge(w, (struct script_register){0}), 401);
    uint8_t rand[16];
    memcpy(rand, w->hss.rand_autn, sizeof rand);
    assert_int_equal(
        challenge(w, (struct script_register){.nonce = w->nonce, .response = "x", .auts = text}),
        401);
    struct span item = w->hss.last_mar.sip_auth_data_item.sip_authorization;
    assert_int_equal(item.n, 30);
    assert_memory_equal(item.p, rand, 16);
    assert_memory_equal(item.p + 16, auts, 14);
    assert_int_equal(
        say(w, (struct script_register){.nonce = w->nonce, .response = "x", .auts = text}), 403);
    assert_int_equal(last_sar(w), CX_SERVER_ASSIGNMENT_TYPE_AUTHENTICATION_FAILURE);
}

static void a_terminal_that_refuses_our_mac_gets_403(void **state) {
    struct world *w = (struct world *)*state;
    assert_int_equal(challenge(w, (struct script_register){0}), 401);
    assert_int_equal(say(w, (struct script_register){.nonce = w->nonce}), 403);
    assert_int_equal(last_sar(w), CX_SERVER_ASSIGNMENT_TYPE_AUTHENTICATION_FAILURE);
}

static void an_unanswered_challenge_times_out(void **state) {
    struct world *w = (struct world *)*state;
    assert_int_equal(challenge(w, (struct script_register){0}), 401);
    script_run(w->sim, 239 * SEC_IN_US);
    assert_int_equal(w->hss.sar, 0);
    script_run(w->sim, 2 * SEC_IN_US);
    assert_int_equal(last_sar(w), CX_SERVER_ASSIGNMENT_TYPE_AUTHENTICATION_TIMEOUT);
    assert_int_equal(scscf_counts(w->scscf).challenges, 0);
    assert_int_equal(respond(w, (struct script_register){0}), 401);
}

static void integrity_may_be_demanded(void **state) {
    struct world *w = (struct world *)*state;
    restart(w, (struct scscf_config){.refuse_without_integrity = true});
    assert_int_equal(enrol(w, (struct script_register){0}), 403);
    assert_int_equal(scscf_counts(w->scscf).bindings, 0);
}

static void a_reregistration_is_challenged_and_refreshes(void **state) {
    struct world *w = (struct world *)*state;
    assert_int_equal(enrol(w, (struct script_register){0}), 200);
    script_run(w->sim, 1800 * SEC_IN_US);
    assert_int_equal(enrol(w, (struct script_register){0}), 200);
    assert_int_equal(last_sar(w), CX_SERVER_ASSIGNMENT_TYPE_RE_REGISTRATION);
    assert_int_equal(w->hss.last_sar.user_data_already_available,
                     CX_USER_DATA_ALREADY_AVAILABLE_USER_DATA_ALREADY_AVAILABLE);
    assert_int_equal(scscf_counts(w->scscf).bindings, 1);
    script_run(w->sim, 3590 * SEC_IN_US);
    assert_int_equal(scscf_counts(w->scscf).bindings, 1);
}

static const char *protected_authorization(char *text, size_t cap) {
    struct buf b = buf_init(text, cap);
    buf_cstr(&b, "Digest username=\"" IMPI "\", realm=\"" HOME "\", nonce=\"\", uri=\"sip:" HOME
                 "\", response=\"\", integrity-protected=\"yes\"");
    buf_char(&b, 0);
    return text;
}

static void a_protected_refresh_needs_neither_challenge_nor_sar(void **state) {
    struct world *w = (struct world *)*state;
    char text[512];
    protected_authorization(text, sizeof text);
    restart(w, (struct scscf_config){.keep_authenticated = true});
    assert_int_equal(enrol(w, (struct script_register){0}), 200);
    unsigned sar = w->hss.sar, mar = w->hss.mar;
    assert_int_equal(say(w, (struct script_register){.authorization = text}), 200);
    assert_int_equal(w->hss.sar, sar);
    assert_int_equal(w->hss.mar, mar);
    assert_int_equal(
        say(w, (struct script_register){.authorization = text, .contact = "<sip:other@127.0.0.9>"}),
        401);
    restart(w, (struct scscf_config){0});
    assert_int_equal(enrol(w, (struct script_register){0}), 200);
    assert_int_equal(say(w, (struct script_register){.authorization = text}), 401);
}

static void the_user_deregisters(void **state) {
    struct world *w = (struct world *)*state;
    assert_int_equal(enrol(w, (struct script_register){0}), 200);
    assert_int_equal(
        enrol(w, (struct script_register){.contact = "<sip:alice@127.0.0.9:5070>;expires=0"}), 200);
    assert_int_equal(last_sar(w), CX_SERVER_ASSIGNMENT_TYPE_USER_DEREGISTRATION);
    assert_false(sip_has(peer_last(&w->icscf), SIP_H_CONTACT));
    assert_int_equal(scscf_counts(w->scscf).sets, 0);
    assert_int_equal(scscf_counts(w->scscf).identities, 0);
    assert_int_equal(scscf_counters(w->scscf)->deregistered, 1);
}

static void star_deregisters_all(void **state) {
    struct world *w = (struct world *)*state;
    assert_int_equal(enrol(w, (struct script_register){0}), 200);
    assert_int_equal(enrol(w, (struct script_register){.contact = "*", .lines = "Expires: 0\r\n"}),
                     200);
    assert_int_equal(last_sar(w), CX_SERVER_ASSIGNMENT_TYPE_USER_DEREGISTRATION);
    assert_int_equal(scscf_counts(w->scscf).bindings, 0);
}

static void a_binding_that_runs_out_is_told_to_the_hss(void **state) {
    struct world *w = (struct world *)*state;
    assert_int_equal(enrol(w, (struct script_register){0}), 200);
    script_run(w->sim, 3601 * SEC_IN_US);
    assert_int_equal(last_sar(w), CX_SERVER_ASSIGNMENT_TYPE_TIMEOUT_DEREGISTRATION);
    assert_true(span_eq(w->hss.last_sar.user_name, SPAN(IMPI)));
    assert_true(span_eq(w->hss.last_sar.public_identity[0], SPAN(IMPU)));
    assert_int_equal(scscf_counts(w->scscf).sets, 0);
    assert_int_equal(scscf_counters(w->scscf)->expired, 1);
}

static void flows_are_kept_apart_up_to_the_limit(void **state) {
    struct world *w = (struct world *)*state;
    struct seen s = {0};
    for (int i = 0; i < 4; i++) {
        char contact[128], call_id[8];
        struct buf b = buf_init(contact, sizeof contact), c = buf_init(call_id, sizeof call_id);
        buf_printf(&b, "<sip:alice@127.0.0.%d>;reg-id=1;+sip.instance=\"<i%d>\"", i + 20, i);
        buf_char(&b, 0);
        buf_printf(&c, "f%d", i);
        buf_char(&c, 0);
        assert_int_equal(enrol(w, (struct script_register){.contact = contact, .call_id = call_id}),
                         200);
    }
    scscf_each_binding(w->scscf, see, &s);
    assert_int_equal(s.n, 4);
    assert_int_equal(sip_list_count(peer_last(&w->icscf), SIP_H_CONTACT), 4);
    assert_int_equal(enrol(w,
                           (struct script_register){
                               .contact = "<sip:alice@127.0.0.99>;reg-id=1;+sip.instance=\"<new>\"",
                               .call_id = "new"}),
                     403);
    assert_int_equal(enrol(w, (struct script_register){.call_id = "plain"}), 200);
    assert_int_equal(scscf_counts(w->scscf).bindings, 1); /* without reg-id: replaces all */
}

static void a_shared_identity_is_served_for_each_private_one(void **state) {
    struct world *w = (struct world *)*state;
    assert_int_equal(enrol(w, (struct script_register){0}), 200);
    assert_int_equal(enrol(w, (struct script_register){.impi = "bob.smith@" HOME,
                                                       .contact = "<sip:bob@127.0.0.8>",
                                                       .call_id = "bob"}),
                     200);
    assert_int_equal(last_sar(w), CX_SERVER_ASSIGNMENT_TYPE_REGISTRATION);
    struct scscf_counts c = scscf_counts(w->scscf);
    assert_int_equal(c.sets, 1);
    assert_int_equal(c.bindings, 2);
    assert_int_equal(enrol(w, (struct script_register){.contact = "*", .lines = "Expires: 0\r\n"}),
                     200);
    assert_int_equal(last_sar(w), CX_SERVER_ASSIGNMENT_TYPE_USER_DEREGISTRATION);
    c = scscf_counts(w->scscf);
    assert_int_equal(c.sets, 1);
    assert_int_equal(c.bindings, 1);
    assert_int_equal(sip_list_count(peer_last(&w->icscf), SIP_H_CONTACT), 1);
}

static void any_identity_of_the_set_finds_it(void **state) {
    struct world *w = (struct world *)*state;
    assert_int_equal(enrol(w, (struct script_register){0}), 200);
    assert_int_equal(enrol(w, (struct script_register){.impu = "tel:+44-7700-900101"}), 200);
    assert_int_equal(last_sar(w), CX_SERVER_ASSIGNMENT_TYPE_RE_REGISTRATION);
    assert_int_equal(scscf_counts(w->scscf).bindings, 1);
}

static void bindings_can_be_fetched(void **state) {
    struct world *w = (struct world *)*state;
    assert_int_equal(enrol(w, (struct script_register){.contact = ""}), 200);
    assert_false(sip_has(peer_last(&w->icscf), SIP_H_CONTACT));
    assert_int_equal(enrol(w, (struct script_register){0}), 200);
    unsigned sar = w->hss.sar;
    assert_int_equal(enrol(w, (struct script_register){.contact = ""}), 200);
    assert_int_equal(sip_list_count(peer_last(&w->icscf), SIP_H_CONTACT), 1);
    assert_int_equal(w->hss.sar, sar);
}

static void wrong_requests_do_not_reach_the_hss(void **state) {
    struct world *w = (struct world *)*state;
    assert_int_equal(
        say(w, (struct script_register){.contact = "<sip:alice@127.0.0.9>;expires=10"}), 423);
    assert_true(has_line(peer_last(&w->icscf), SIP_H_MIN_EXPIRES, "60"));
    assert_int_equal(say(w, (struct script_register){.contact = "*"}), 400);
    assert_int_equal(say(w, (struct script_register){.contact = "<<"}), 400);
    assert_int_equal(say(w, (struct script_register){.impu = "mailto:a@b"}), 400);
    assert_int_equal(say(w, (struct script_register){.lines = "Require: magic\r\n"}), 420);
    assert_int_equal(say(w,
                         (struct script_register){
                             .contact = "<sip:1@a>, <sip:2@a>, <sip:3@a>, <sip:4@a>, <sip:5@a>"}),
                     403);
    assert_int_equal(w->hss.mar, 0);
}

static void an_old_cseq_is_out_of_order(void **state) {
    struct world *w = (struct world *)*state;
    assert_int_equal(enrol(w, (struct script_register){0}), 200);
    assert_int_equal(challenge(w, (struct script_register){0}), 401);
    assert_int_equal(respond(w, (struct script_register){.cseq = 1}), 500);
    assert_int_equal(scscf_counts(w->scscf).bindings, 1);
}

static void long_intervals_are_cut(void **state) {
    struct world *w = (struct world *)*state;
    restart(w, (struct scscf_config){.expires_max_s = 7200});
    assert_int_equal(
        enrol(w, (struct script_register){.contact = "<sip:alice@127.0.0.9>;expires=99999"}), 200);
    assert_true(contains(sip_value(peer_last(&w->icscf), SIP_H_CONTACT), ";expires=7200"));
    assert_int_equal(enrol(w, (struct script_register){.contact = "<sip:alice@127.0.0.9>"}), 200);
    assert_true(contains(sip_value(peer_last(&w->icscf), SIP_H_CONTACT), ";expires=7200"));
}

/* Hardening HA1: 403, and no vector leaves. */
static void refusals_of_the_hss(void **state) {
    static const struct {
        struct diameter_result result;
        unsigned status;
    } rows[] = {
        {{DIAMETER_VENDOR_3GPP, DIAMETER_ERROR_USER_UNKNOWN}, 403},
        {{DIAMETER_VENDOR_3GPP, DIAMETER_ERROR_IDENTITIES_DONT_MATCH}, 403},
        {{DIAMETER_VENDOR_3GPP, DIAMETER_ERROR_IDENTITY_NOT_REGISTERED}, 403},
        {{DIAMETER_VENDOR_3GPP, DIAMETER_ERROR_ROAMING_NOT_ALLOWED}, 403},
        {{DIAMETER_VENDOR_3GPP, DIAMETER_ERROR_IDENTITY_ALREADY_REGISTERED}, 500},
        {{DIAMETER_VENDOR_3GPP, DIAMETER_ERROR_AUTH_SCHEME_NOT_SUPPORTED}, 403},
        {{0, DIAMETER_AUTHORIZATION_REJECTED}, 403},
        {{0, DIAMETER_UNABLE_TO_COMPLY}, 500},
        {{0, DIAMETER_TOO_BUSY}, 504},
    };
    struct world *w = (struct world *)*state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        w->hss.mar_result = rows[i].result;
        assert_int_equal(say(w, (struct script_register){0}), rows[i].status);
        const struct sip_msg *m = peer_last(&w->icscf);
        assert_true(span_eq(m->reason, sip_reason_phrase(m->status)));
        assert_true(sip_has(m, SIP_H_WARNING));
        assert_false(sip_has(m, SIP_H_WWW_AUTHENTICATE));
        w->hss.mar_result = (struct diameter_result){0};
        w->hss.sar_result = rows[i].result;
        assert_int_equal(enrol(w, (struct script_register){0}), rows[i].status);
        assert_int_equal(scscf_counts(w->scscf).bindings, 0);
        w->hss.sar_result = (struct diameter_result){0};
    }
}

static void a_silent_hss_gives_504(void **state) {
    struct world *w = (struct world *)*state;
    w->hss.silent = true;
    assert_int_equal(say(w, (struct script_register){0}), 0);
    script_run(w->sim, 4 * SEC_IN_US);
    assert_int_equal(peer_last(&w->icscf)->status, 504);
    assert_true(sip_has(peer_last(&w->icscf), SIP_H_RETRY_AFTER));
    assert_int_equal(scscf_counts(w->scscf).pending, 0);
}

static void an_unanswered_deregistration_is_not_acknowledged(void **state) {
    struct world *w = (struct world *)*state;
    assert_int_equal(enrol(w, (struct script_register){0}), 200);
    assert_int_equal(challenge(w, (struct script_register){0}), 401);
    w->hss.silent = true;
    respond(w, (struct script_register){.contact = "*", .lines = "Expires: 0\r\n"});
    script_run(w->sim, 4 * SEC_IN_US);
    assert_int_equal(peer_last(&w->icscf)->status, 504);
    assert_int_equal(scscf_counts(w->scscf).bindings, 1);
}

static void a_refused_deregistration_is_carried_out_here(void **state) {
    struct world *w = (struct world *)*state;
    assert_int_equal(enrol(w, (struct script_register){0}), 200);
    w->hss.sar_result = DIAMETER_3GPP_RESULT(DIAMETER_ERROR_IDENTITY_NOT_REGISTERED);
    assert_int_equal(enrol(w, (struct script_register){.contact = "*", .lines = "Expires: 0\r\n"}),
                     200);
    assert_int_equal(scscf_counts(w->scscf).bindings, 0);
}

static void a_set_without_unbarred_identity_is_refused(void **state) {
    struct world *w = (struct world *)*state;
    w->hss.user_data =
        SPAN("<?xml version=\"1.0\" encoding=\"UTF-8\"?><IMSSubscription><PrivateID>" IMPI
             "</PrivateID><ServiceProfile><PublicIdentity><BarringIndication>1</BarringIndication>"
             "<Identity>" IMPU "</Identity></PublicIdentity></ServiceProfile></IMSSubscription>");
    assert_int_equal(enrol(w, (struct script_register){0}), 403);
    assert_int_equal(last_sar(w), CX_SERVER_ASSIGNMENT_TYPE_ADMINISTRATIVE_DEREGISTRATION);
    assert_int_equal(scscf_counts(w->scscf).sets, 0);
}

static void user_data_that_is_no_use_gives_500(void **state) {
    static const char *const rows[] = {
        "", "<a/>", "<!DOCTYPE x><IMSSubscription/>",
        "<IMSSubscription><PrivateID>" IMPI "</PrivateID><ServiceProfile><PublicIdentity>"
        "<Identity>sip:stranger@" HOME "</Identity></PublicIdentity></ServiceProfile>"
        "</IMSSubscription>"};
    struct world *w = (struct world *)*state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        w->hss.user_data = span_from_cstr(rows[i]);
        assert_int_equal(enrol(w, (struct script_register){0}), 500);
        assert_int_equal(scscf_counts(w->scscf).sets, 0);
    }
}

static void a_barred_identity_registers_the_others(void **state) {
    struct world *w = (struct world *)*state;
    assert_int_equal(enrol(w, (struct script_register){.impu = "sip:001010000000001@" HOME}), 200);
    const struct sip_msg *m = peer_last(&w->icscf);
    assert_true(has_line(m, SIP_H_P_ASSOCIATED_URI, "<" IMPU ">, <" TEL ">"));
}

static void repetitions_cause_one_mar_and_one_sar(void **state) {
    struct world *w = (struct world *)*state;
    char text[SCRIPT_TEXT_MAX];
    struct buf b = buf_init(text, sizeof text);
    struct script_register r = {.via = "127.0.0.9:4060", .lines = NETWORK};
    struct span message = script_register_text(&b, &r);
    for (int i = 0; i < 5; i++) {
        peer_send(&w->icscf, scscf_at, message);
    }
    script_run(w->sim, 20 * MS_IN_US);
    assert_int_equal(w->hss.mar, 1);
    take_nonce(w);
    b = buf_init(text, sizeof text);
    r.nonce = w->nonce;
    r.cseq = 2;
    r.response = script_response(IMPI, w->nonce, script_xres, sizeof script_xres);
    message = script_register_text(&b, &r);
    for (int i = 0; i < 5; i++) {
        peer_send(&w->icscf, scscf_at, message);
    }
    script_run(w->sim, 20 * MS_IN_US);
    assert_int_equal(w->hss.sar, 1);
    assert_int_equal(peer_last(&w->icscf)->status, 200);
}

/* Hardening HA5: one MAR at a time for a private identity, and a bound on who waits. */
static void a_flood_of_one_identity_is_bounded(void **state) {
    struct world *w = (struct world *)*state;
    w->hss.silent = true;
    unsigned busy = 0;
    for (int i = 0; i < 20; i++) {
        char call_id[8];
        struct buf c = buf_init(call_id, sizeof call_id);
        buf_printf(&c, "c%d", i);
        buf_char(&c, 0);
        busy += say(w, (struct script_register){.call_id = call_id}) == 503;
    }
    assert_int_equal(w->hss.mar, 1);
    assert_int_equal(busy, 15);
    assert_int_equal(scscf_counts(w->scscf).pending, 5);
    w->hss.silent = false;
    w->icscf.n = 0;
    script_run(w->sim, 10 * SEC_IN_US);
    assert_int_equal(scscf_counts(w->scscf).pending, 0);
    assert_int_equal(w->hss.mar, 5);
    assert_int_equal(scscf_counts(w->scscf).challenges, 4);
}

struct rtr_seen {
    unsigned n;
    struct diameter_result result;
};

static void on_answer(void *ctx, const struct diameter_msg *msg) {
    struct rtr_seen *seen = (struct rtr_seen *)ctx;
    seen->n++;
    seen->result = msg->result;
}

static void on_no_answer(void *ctx, enum error why) {
    (void)ctx;
    fail_msg("%s", error_name(why));
}

static const struct diameter_answer_handler hss_asks = {on_answer, on_no_answer};

static struct diameter_builder *hss_begin(struct world *w, uint32_t command) {
    struct diameter_route route = {.application = CX_APPLICATION,
                                   .command = command,
                                   .realm = SPAN(HOME),
                                   .host = SPAN("scscf." HOME)};
    return diameter_request_begin(w->hss.diameter, &route);
}

static void the_hss_terminates(void **state) {
    struct world *w = (struct world *)*state;
    struct rtr_seen seen = {0};
    assert_int_equal(enrol(w, (struct script_register){0}), 200);
    struct cx_rtr rtr = {.user_name = SPAN(IMPI)};
    rtr.deregistration_reason.reason_code = CX_REASON_CODE_PERMANENT_TERMINATION;
    cx_rtr_encode(hss_begin(w, CX_COMMAND_REGISTRATION_TERMINATION), &rtr);
    assert_int_equal(diameter_request_send(w->hss.diameter, &hss_asks, &seen, NULL), OK);
    script_run(w->sim, 20 * MS_IN_US);
    assert_int_equal(seen.n, 1);
    assert_int_equal(seen.result.code, DIAMETER_SUCCESS);
    assert_int_equal(scscf_counts(w->scscf).sets, 0);
    assert_int_equal(scscf_counters(w->scscf)->terminated, 1);
}

static void push(struct world *w, const struct cx_ppr *ppr, struct rtr_seen *seen) {
    cx_ppr_encode(hss_begin(w, CX_COMMAND_PUSH_PROFILE), ppr);
    assert_int_equal(diameter_request_send(w->hss.diameter, &hss_asks, seen, NULL), OK);
    script_run(w->sim, 20 * MS_IN_US);
}

static void the_hss_pushes_a_profile_and_charging_functions(void **state) {
    struct world *w = (struct world *)*state;
    struct rtr_seen seen = {0};
    struct cx_charging_information charging = {.primary_event_charging_function_name =
                                                   SPAN("aaa://ecf")};
    struct cx_ppr ppr = {.user_name = SPAN(IMPI), .charging_information = &charging};
    push(w, &ppr, &seen);
    assert_int_equal(seen.result.code, DIAMETER_ERROR_USER_UNKNOWN);
    assert_int_equal(enrol(w, (struct script_register){0}), 200);
    push(w, &ppr, &seen);
    assert_int_equal(seen.result.code, DIAMETER_SUCCESS);
    assert_int_equal(enrol(w, (struct script_register){0}), 200);
    assert_true(
        has_line(peer_last(&w->icscf), SIP_H_P_CHARGING_FUNCTION_ADDRESSES, "ecf=\"aaa://ecf\""));
    ppr.charging_information = NULL;
    ppr.user_data =
        SPAN("<?xml version=\"1.0\" encoding=\"UTF-8\"?><IMSSubscription><PrivateID>" IMPI
             "</PrivateID><ServiceProfile><PublicIdentity><Identity>" IMPU
             "</Identity></PublicIdentity></ServiceProfile></IMSSubscription>");
    push(w, &ppr, &seen);
    assert_int_equal(seen.n, 3);
    assert_int_equal(seen.result.code, DIAMETER_SUCCESS);
    assert_int_equal(scscf_counts(w->scscf).identities, 1);
    assert_int_equal(enrol(w, (struct script_register){0}), 200);
    assert_true(has_line(peer_last(&w->icscf), SIP_H_P_ASSOCIATED_URI, "<" IMPU ">"));
}

static void on_stopped(void *ctx) {
    ((struct world *)ctx)->stopped = true;
}

static void stopping_refuses_new_work_and_says_goodbye(void **state) {
    struct world *w = (struct world *)*state;
    scscf_stop(w->scscf, on_stopped, w);
    assert_int_equal(say(w, (struct script_register){0}), 503);
    script_run(w->sim, 3 * SEC_IN_US);
    assert_true(w->stopped);
}

static void a_crash_with_work_under_way_leaks_nothing(void **state) {
    struct world *w = (struct world *)*state;
    assert_int_equal(enrol(w, (struct script_register){0}), 200);
    assert_int_equal(challenge(w, (struct script_register){0}), 401);
    w->hss.silent = true;
    assert_int_equal(respond(w, (struct script_register){0}), 0);
    assert_int_equal(say(w, (struct script_register){.call_id = "a"}), 0);
    assert_int_equal(say(w, (struct script_register){.call_id = "b"}), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(the_challenge_has_all_that_belongs_in_it),
        TEST(the_right_response_registers_the_whole_set),
        TEST(a_visited_network_does_not_learn_charging_functions),
        TEST(a_replayed_response_is_challenged_anew),
        TEST(a_nonce_of_another_identity_is_worth_nothing),
        TEST(another_realm_method_or_algorithm_is_wrong),
        TEST(wrong_responses_end_in_403),
        TEST(a_wrong_response_can_be_mended),
        TEST(auts_goes_to_the_hss_with_its_rand),
        TEST(a_terminal_that_refuses_our_mac_gets_403),
        TEST(an_unanswered_challenge_times_out),
        TEST(integrity_may_be_demanded),
        TEST(a_reregistration_is_challenged_and_refreshes),
        TEST(a_protected_refresh_needs_neither_challenge_nor_sar),
        TEST(the_user_deregisters),
        TEST(star_deregisters_all),
        TEST(a_binding_that_runs_out_is_told_to_the_hss),
        TEST(flows_are_kept_apart_up_to_the_limit),
        TEST(a_shared_identity_is_served_for_each_private_one),
        TEST(any_identity_of_the_set_finds_it),
        TEST(bindings_can_be_fetched),
        TEST(wrong_requests_do_not_reach_the_hss),
        TEST(an_old_cseq_is_out_of_order),
        TEST(long_intervals_are_cut),
        TEST(refusals_of_the_hss),
        TEST(a_silent_hss_gives_504),
        TEST(an_unanswered_deregistration_is_not_acknowledged),
        TEST(a_refused_deregistration_is_carried_out_here),
        TEST(a_set_without_unbarred_identity_is_refused),
        TEST(user_data_that_is_no_use_gives_500),
        TEST(a_barred_identity_registers_the_others),
        TEST(repetitions_cause_one_mar_and_one_sar),
        TEST(a_flood_of_one_identity_is_bounded),
        TEST(the_hss_terminates),
        TEST(the_hss_pushes_a_profile_and_charging_functions),
        TEST(stopping_refuses_new_work_and_says_goodbye),
        TEST(a_crash_with_work_under_way_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
