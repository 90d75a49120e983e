/* covers: A7 A10 A11 HA3 HB10 */
#include "scscf_world.h"

static void the_challenge_has_all_that_belongs_in_it(void **state) {
    struct world *w = (struct world *)*state;
    assert_int_equal(challenge(w, (struct script_register){0}), 401);
    assert_int_equal(w->hss.mar, 1);
    const struct cx_mar *mar = &w->hss.last_mar;
    assert_true(span_eq(mar->user_name, SPAN(IMPI)));
    assert_true(span_eq(mar->public_identity, SPAN(IMPU)));
    assert_true(span_eq(mar->server_name, SPAN("sip:scscf." HOME ":6060")));
    assert_true(span_eq(mar->sip_auth_data_item.sip_authentication_scheme, SPAN("Unknown")));
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

static void a_challenge_that_is_not_ours_harms_nobody(void **state) {
    struct world *w = (struct world *)*state;
    assert_int_equal(challenge(w, (struct script_register){0}), 401);
    assert_int_equal(say(w, (struct script_register){.nonce = "Zm9yZ2Vk"}), 403);
    assert_int_equal(w->hss.sar, 0);
    assert_int_equal(w->hss.mar, 1);
    assert_int_equal(respond(w, (struct script_register){0}), 200);
    /* without a challenge it is a terminal that repeats what it once got */
    assert_int_equal(say(w, (struct script_register){.nonce = "Zm9yZ2Vk"}), 401);
}

static void a_failed_authentication_is_refused_without_the_hss_too(void **state) {
    struct world *w = (struct world *)*state;
    assert_int_equal(challenge(w, (struct script_register){0}), 401);
    w->hss.silent = true;
    assert_int_equal(say(w, (struct script_register){.nonce = w->nonce}), 0);
    script_run(w->sim, 4 * SEC_IN_US);
    assert_int_equal(peer_last(&w->icscf)->status, 403);
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

#define EDGE     "Path: <sip:flow@edge." HOME ";lr;ob>\r\n"
#define OUTBOUND "Supported: outbound\r\n"

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
        assert_int_equal(enrol(w, (struct script_register){.contact = contact,
                                                           .call_id = call_id,
                                                           .lines = EDGE OUTBOUND}),
                         200);
    }
    scscf_each_binding(w->scscf, see, &s);
    assert_int_equal(s.n, 4);
    assert_int_equal(sip_list_count(peer_last(&w->icscf), SIP_H_CONTACT), 4);
    assert_int_equal(enrol(w,
                           (struct script_register){
                               .contact = "<sip:alice@127.0.0.99>;reg-id=1;+sip.instance=\"<new>\"",
                               .call_id = "new",
                               .lines = EDGE OUTBOUND}),
                     403);
    assert_int_equal(enrol(w, (struct script_register){.call_id = "plain"}), 200);
    assert_int_equal(scscf_counts(w->scscf).bindings, 1); /* without reg-id: replaces all */
}

#define FLOW(id) "<sip:alice@127.0.0.9:507" #id ">;expires=600;reg-id=" #id ";+sip.instance=\"<i>\""

static void a_flow_needs_the_word_of_both_ends(void **state) {
    struct world *w = (struct world *)*state;
    /* the option tag is missing: contacts like others, of which the later replaces the former */
    assert_int_equal(enrol(w, (struct script_register){.contact = FLOW(1), .lines = EDGE}), 200);
    assert_int_equal(enrol(w, (struct script_register){.contact = FLOW(2), .lines = EDGE}), 200);
    assert_false(sip_has(peer_last(&w->icscf), SIP_H_REQUIRE));
    assert_int_equal(scscf_counts(w->scscf).bindings, 1);
    /* the edge does not keep flows: it is the last Path value that tells, and nobody else's */
    unsigned mar = w->hss.mar;
    assert_int_equal(say(w, (struct script_register){.contact = FLOW(1), .lines = OUTBOUND}), 439);
    assert_int_equal(
        say(w, (struct script_register){.contact = FLOW(1),
                                        .lines = EDGE "Path: <sip:edge2;lr>\r\n" OUTBOUND}),
        439);
    assert_int_equal(w->hss.mar, mar);
    assert_int_equal(enrol(w, (struct script_register){.contact = FLOW(1), .lines = EDGE OUTBOUND}),
                     200);
    assert_int_equal(enrol(w, (struct script_register){.contact = FLOW(2), .lines = EDGE OUTBOUND}),
                     200);
    assert_true(has_line(peer_last(&w->icscf), SIP_H_REQUIRE, "outbound"));
    assert_int_equal(scscf_counts(w->scscf).bindings, 3); /* with the one that is no flow */
    assert_int_equal(
        say(w, (struct script_register){.contact = FLOW(3) ", " FLOW(4), .lines = EDGE OUTBOUND}),
        400);
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

/* A request that came past the I-CSCF, whose UAR would have told the two apart. */
static void a_strangers_bindings_are_not_shown(void **state) {
    struct world *w = (struct world *)*state;
    assert_int_equal(enrol(w, (struct script_register){0}), 200);
    assert_int_equal(enrol(w, (struct script_register){.impi = "stranger@" HOME, .contact = ""}),
                     200);
    assert_false(sip_has(peer_last(&w->icscf), SIP_H_CONTACT));
    assert_false(sip_has(peer_last(&w->icscf), SIP_H_P_ASSOCIATED_URI));
    w->hss.sar_result = DIAMETER_3GPP_RESULT(DIAMETER_ERROR_IDENTITIES_DONT_MATCH);
    (void)enrol(w, (struct script_register){
                       .impi = "stranger@" HOME, .contact = "*", .lines = "Expires: 0\r\n"});
    assert_false(sip_has(peer_last(&w->icscf), SIP_H_CONTACT));
    assert_int_equal(scscf_counts(w->scscf).bindings, 1);
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
        TEST(a_challenge_that_is_not_ours_harms_nobody),
        TEST(a_failed_authentication_is_refused_without_the_hss_too),
        TEST(an_unanswered_challenge_times_out),
        TEST(integrity_may_be_demanded),
        TEST(a_reregistration_is_challenged_and_refreshes),
        TEST(a_protected_refresh_needs_neither_challenge_nor_sar),
        TEST(the_user_deregisters),
        TEST(star_deregisters_all),
        TEST(a_binding_that_runs_out_is_told_to_the_hss),
        TEST(flows_are_kept_apart_up_to_the_limit),
        TEST(a_flow_needs_the_word_of_both_ends),
        TEST(a_shared_identity_is_served_for_each_private_one),
        TEST(any_identity_of_the_set_finds_it),
        TEST(bindings_can_be_fetched),
        TEST(a_strangers_bindings_are_not_shown),
        TEST(wrong_requests_do_not_reach_the_hss),
        TEST(an_old_cseq_is_out_of_order),
        TEST(long_intervals_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
