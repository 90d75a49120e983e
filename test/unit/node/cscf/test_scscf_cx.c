/* What the S-CSCF makes of what the HSS answers and asks.
 * covers: A7 A10 A11 B3 HA1 HA5 HA12 */
#include "scscf_world.h"

/* Hardening HA3. */
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
        {{0, DIAMETER_TOO_BUSY}, 500},
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

/* TS 29.228 6.1.2, 6.3: Destination-Host where the HSS of a user is known from its answers. */
static void the_hss_is_named_once_it_has_answered(void **state) {
    struct world *w = (struct world *)*state;
    const struct span name = SPAN("hss." HOME);
    assert_int_equal(challenge(w, (struct script_register){0}), 401);
    assert_int_equal(w->hss.last_mar.destination_host.n, 0);
    assert_int_equal(respond(w, (struct script_register){0}), 200);
    assert_true(span_eq(w->hss.last_sar.destination_host, name));
    assert_int_equal(challenge(w, (struct script_register){0}), 401);
    assert_true(span_eq(w->hss.last_mar.destination_host, name));
    script_run(w->sim, 250 * SEC_IN_US);
    assert_int_equal(last_sar(w), CX_SERVER_ASSIGNMENT_TYPE_AUTHENTICATION_TIMEOUT);
    assert_true(span_eq(w->hss.last_sar.destination_host, name));
    /* It has gone for good, as an agent says: whoever serves the realm is asked from then on. */
    w->hss.mar_result = (struct diameter_result){0, DIAMETER_UNABLE_TO_DELIVER};
    assert_int_equal(say(w, (struct script_register){0}), 500);
    w->hss.mar_result = (struct diameter_result){0};
    assert_int_equal(challenge(w, (struct script_register){0}), 401);
    assert_int_equal(w->hss.last_mar.destination_host.n, 0);
    assert_int_equal(respond(w, (struct script_register){0}), 200);
    assert_int_equal(last_sar(w), CX_SERVER_ASSIGNMENT_TYPE_RE_REGISTRATION);
    assert_int_equal(challenge(w, (struct script_register){0}), 401);
    assert_true(span_eq(w->hss.last_mar.destination_host, name));
    script_run(w->sim, 3650 * SEC_IN_US);
    assert_int_equal(last_sar(w), CX_SERVER_ASSIGNMENT_TYPE_TIMEOUT_DEREGISTRATION);
    assert_true(span_eq(w->hss.last_sar.destination_host, name));
}

static void a_silent_hss_gives_500_and_a_time(void **state) {
    struct world *w = (struct world *)*state;
    w->hss.silent = true;
    assert_int_equal(say(w, (struct script_register){0}), 0);
    script_run(w->sim, 4 * SEC_IN_US);
    assert_int_equal(peer_last(&w->icscf)->status, 500);
    assert_true(sip_has(peer_last(&w->icscf), SIP_H_RETRY_AFTER));
    assert_true(sip_has(peer_last(&w->icscf), SIP_H_RETRY_AFTER));
    assert_int_equal(scscf_counts(w->scscf).pending, 0);
}

static void an_expiry_is_told_until_the_hss_has_heard_it(void **state) {
    struct world *w = (struct world *)*state;
    assert_int_equal(enrol(w, (struct script_register){0}), 200);
    w->hss.silent = true;
    script_run(w->sim, 3650 * SEC_IN_US);
    assert_int_equal(w->hss.sar, 4); /* one answered, three not */
    w->hss.silent = false;
    script_run(w->sim, 60 * SEC_IN_US);
    assert_int_equal(w->hss.sar, 5);
    assert_int_equal(last_sar(w), CX_SERVER_ASSIGNMENT_TYPE_TIMEOUT_DEREGISTRATION);
    script_run(w->sim, 600 * SEC_IN_US);
    assert_int_equal(w->hss.sar, 5);
}

static void a_user_who_is_back_is_not_deregistered_late(void **state) {
    struct world *w = (struct world *)*state;
    assert_int_equal(enrol(w, (struct script_register){0}), 200);
    w->hss.silent = true;
    script_run(w->sim, 3605 * SEC_IN_US);
    w->hss.silent = false;
    assert_int_equal(enrol(w, (struct script_register){0}), 200);
    unsigned sar = w->hss.sar;
    script_run(w->sim, 600 * SEC_IN_US);
    assert_int_equal(w->hss.sar, sar);
    assert_int_equal(scscf_counts(w->scscf).bindings, 1);
}

static void an_unanswered_deregistration_is_not_acknowledged(void **state) {
    struct world *w = (struct world *)*state;
    assert_int_equal(enrol(w, (struct script_register){0}), 200);
    assert_int_equal(challenge(w, (struct script_register){0}), 401);
    w->hss.silent = true;
    respond(w, (struct script_register){.contact = "*", .lines = "Expires: 0\r\n"});
    script_run(w->sim, 4 * SEC_IN_US);
    assert_int_equal(peer_last(&w->icscf)->status, 500);
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

static void terminate(struct world *w, struct rtr_seen *seen) {
    struct cx_rtr rtr = {.user_name = SPAN(IMPI)};
    rtr.deregistration_reason.reason_code = CX_REASON_CODE_PERMANENT_TERMINATION;
    cx_rtr_encode(hss_begin(w, CX_COMMAND_REGISTRATION_TERMINATION), &rtr);
    assert_int_equal(diameter_request_send(w->hss.diameter, &hss_asks, seen, NULL), OK);
    script_run(w->sim, 20 * MS_IN_US);
}

static void the_hss_terminates(void **state) {
    struct world *w = (struct world *)*state;
    struct rtr_seen seen = {0};
    assert_int_equal(enrol(w, (struct script_register){0}), 200);
    terminate(w, &seen);
    assert_int_equal(seen.n, 1);
    assert_int_equal(seen.result.code, DIAMETER_SUCCESS);
    assert_int_equal(scscf_counts(w->scscf).sets, 0);
    assert_int_equal(scscf_counters(w->scscf)->terminated, 1);
}

/* Hardening HA12: the HSS terminates what a terminal is just refreshing. */
static void a_termination_during_a_refresh_wins(void **state) {
    struct world *w = (struct world *)*state;
    struct rtr_seen seen = {0};
    assert_int_equal(enrol(w, (struct script_register){0}), 200);
    assert_int_equal(challenge(w, (struct script_register){0}), 401);
    w->hss.hold = true;
    assert_int_equal(respond(w, (struct script_register){0}), 0);
    terminate(w, &seen);
    assert_int_equal(seen.result.code, DIAMETER_SUCCESS);
    script_hss_release(&w->hss);
    script_run(w->sim, 20 * MS_IN_US);
    assert_int_equal(peer_last(&w->icscf)->status, 500);
    assert_int_equal(scscf_counts(w->scscf).sets, 0);
    assert_int_equal(scscf_counts(w->scscf).pending, 0);
}

static void nothing_expires_while_it_is_being_refreshed(void **state) {
    struct world *w = (struct world *)*state;
    assert_int_equal(enrol(w, (struct script_register){0}), 200);
    script_run(w->sim, 3599 * SEC_IN_US);
    assert_int_equal(challenge(w, (struct script_register){0}), 401);
    w->hss.hold = true;
    assert_int_equal(respond(w, (struct script_register){0}), 0);
    script_run(w->sim, 2 * SEC_IN_US);
    assert_int_equal(scscf_counts(w->scscf).bindings, 1);
    script_hss_release(&w->hss);
    script_run(w->sim, 20 * MS_IN_US);
    assert_int_equal(peer_last(&w->icscf)->status, 200);
    script_run(w->sim, 3500 * SEC_IN_US);
    assert_int_equal(scscf_counts(w->scscf).bindings, 1);
    assert_int_equal(scscf_counters(w->scscf)->expired, 0);
    script_run(w->sim, 200 * SEC_IN_US);
    assert_int_equal(scscf_counters(w->scscf)->expired, 1);
}

/* Two REGISTERs of one terminal at once: they have turns, and the later CSeq is what stands. */
static void the_last_cseq_is_what_stands(void **state) {
    struct world *w = (struct world *)*state;
    assert_int_equal(challenge(w, (struct script_register){0}), 401);
    char first[128];
    memcpy(first, w->nonce, sizeof first);
    assert_int_equal(challenge(w, (struct script_register){0}), 401);
    w->hss.hold = true;
    memcpy(w->nonce, first, sizeof first);
    unsigned early = ++w->cseq;
    assert_int_equal(respond(w, (struct script_register){.cseq = early}), 0);
    char second[128];
    struct buf b = buf_init(second, sizeof second);
    nonce_put(&b, w->hss.rand_autn, w->hss.rand_autn + 16, SPAN_NONE);
    buf_char(&b, 0);
    memcpy(w->nonce, second, sizeof second);
    assert_int_equal(
        respond(w, (struct script_register){.contact = "<sip:alice@127.0.0.9:5070>;expires=600"}),
        0);
    script_hss_release(&w->hss);
    script_run(w->sim, 20 * MS_IN_US);
    assert_int_equal(w->icscf.n, 2);
    assert_int_equal(w->icscf.heard[0].msg->status, 200);
    assert_int_equal(peer_last(&w->icscf)->status, 200);
    assert_int_equal(peer_last(&w->icscf)->cseq, w->cseq);
    assert_int_equal(scscf_counts(w->scscf).bindings, 1);
    script_run(w->sim, 601 * SEC_IN_US);
    assert_int_equal(scscf_counts(w->scscf).bindings, 0);
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
    /* What a PPR does not name stays: 6.6.1. */
    assert_true(
        has_line(peer_last(&w->icscf), SIP_H_P_CHARGING_FUNCTION_ADDRESSES, "ecf=\"aaa://ecf\""));
}

/* Registers another private identity of the subscription, with a set of its own. */
static void enrol_bob(struct world *w) {
    w->hss.user_data = SPAN("<IMSSubscription><PrivateID>bob.smith@" HOME
                            "</PrivateID><ServiceProfile><PublicIdentity><Identity>sip:bob@" HOME
                            "</Identity></PublicIdentity></ServiceProfile></IMSSubscription>");
    assert_int_equal(enrol(w, (struct script_register){.impi = "bob.smith@" HOME,
                                                       .impu = "sip:bob@" HOME,
                                                       .contact = "<sip:bob@127.0.0.8:5070>",
                                                       .call_id = "bob"}),
                     200);
}

/* 6.6.1: whoever of Associated-Identities is named, the whole subscription is meant; one who is not
 * registered himself may end all of it. */
static void a_subscription_is_known_by_its_associated_identities(void **state) {
    struct world *w = (struct world *)*state;
    struct rtr_seen seen = {0};
    const struct span names[] = {SPAN("smith@subscription." HOME), SPAN(IMPI)};
    const struct cx_associated_identities told = {.user_name = names, .n_user_name = 2};
    struct cx_charging_information charging = {.primary_event_charging_function_name =
                                                   SPAN("aaa://ecf")};
    const struct cx_ppr ppr = {.user_name = names[0], .charging_information = &charging};
    struct span alice = w->hss.user_data;
    assert_int_equal(enrol(w, (struct script_register){0}), 200);
    push(w, &ppr, &seen);
    assert_int_equal(seen.result.code, DIAMETER_ERROR_USER_UNKNOWN);
    /* Alice has been there before it was told: she is reached by the list of Bob's set. */
    w->hss.associated = &told;
    enrol_bob(w);
    push(w, &ppr, &seen);
    assert_int_equal(seen.result.code, DIAMETER_SUCCESS);
    enrol_bob(w);
    assert_true(
        has_line(peer_last(&w->icscf), SIP_H_P_CHARGING_FUNCTION_ADDRESSES, "ecf=\"aaa://ecf\""));
    w->hss.user_data = alice;
    assert_int_equal(enrol(w, (struct script_register){0}), 200);
    assert_true(
        has_line(peer_last(&w->icscf), SIP_H_P_CHARGING_FUNCTION_ADDRESSES, "ecf=\"aaa://ecf\""));
    struct cx_rtr rtr = {.user_name = names[1],
                         .deregistration_reason.reason_code = CX_REASON_CODE_SERVER_CHANGE};
    cx_rtr_encode(hss_begin(w, CX_COMMAND_REGISTRATION_TERMINATION), &rtr);
    assert_int_equal(diameter_request_send(w->hss.diameter, &hss_asks, &seen, NULL), OK);
    script_run(w->sim, 20 * MS_IN_US);
    assert_int_equal(scscf_counts(w->scscf).sets, 1); /* a registered one is himself */
    assert_int_equal(enrol(w, (struct script_register){0}), 200);
    rtr.user_name = names[0];
    cx_rtr_encode(hss_begin(w, CX_COMMAND_REGISTRATION_TERMINATION), &rtr);
    assert_int_equal(diameter_request_send(w->hss.diameter, &hss_asks, &seen, NULL), OK);
    script_run(w->sim, 20 * MS_IN_US);
    assert_int_equal(scscf_counts(w->scscf).sets, 0);
    push(w, &ppr, &seen);
    assert_int_equal(seen.result.code, DIAMETER_ERROR_USER_UNKNOWN);
    w->hss.associated = NULL;
}

/* TS 23.003 13.4A, TS 29.228 6.6. */
static void wildcards_and_shared_sets_come_with_the_profile(void **state) {
    struct world *w = (struct world *)*state;
    static const uint32_t sets[] = {7};
    restart(w, (struct scscf_config){.shared_ifc_sets = sets, .n_shared_ifc_sets = 1});
    w->hss.user_data =
        SPAN("<?xml version=\"1.0\" encoding=\"UTF-8\"?><IMSSubscription><PrivateID>" IMPI
             "</PrivateID><ServiceProfile><PublicIdentity><Identity>x</Identity><Extension>"
             "<IdentityType>4</IdentityType><Extension><Extension><WildcardedIMPU>"
             "tel:+44999![0-9]{3}!</WildcardedIMPU></Extension></Extension></Extension>"
             "</PublicIdentity><PublicIdentity><Identity>" IMPU "</Identity></PublicIdentity>"
             "<Extension><SharedIFCSetID>7</SharedIFCSetID><SharedIFCSetID>8</SharedIFCSetID>"
             "</Extension></ServiceProfile></IMSSubscription>");
    assert_int_equal(enrol(w, (struct script_register){0}), 200);
    assert_int_equal(w->hss.last_sar.n_supported_features, 1);
    assert_int_equal(w->hss.last_sar.supported_features[0].feature_list, 1);
    /* The default identity is no wildcard, though one stands before it. */
    assert_true(has_line(peer_last(&w->icscf), SIP_H_P_ASSOCIATED_URI,
                         "<" IMPU ">, <tel:+44999![0-9]{3}!>"));
    assert_int_equal(scscf_counts(w->scscf).identities, 2);
    /* An identity that the wildcard stands for is of the set: a PPR that names it reaches it. */
    struct rtr_seen seen = {0};
    struct cx_ppr ppr = {
        .user_name = SPAN(IMPI),
        .user_data = SPAN("<IMSSubscription><PrivateID>" IMPI
                          "</PrivateID><ServiceProfile><PublicIdentity><Identity>tel:+44999123"
                          "</Identity></PublicIdentity><PublicIdentity><Identity>" IMPU
                          "</Identity></PublicIdentity></ServiceProfile></IMSSubscription>")};
    push(w, &ppr, &seen);
    assert_int_equal(seen.result.code, DIAMETER_SUCCESS);
    assert_int_equal(scscf_counts(w->scscf).sets, 1);
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

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(refusals_of_the_hss),
        TEST(the_hss_is_named_once_it_has_answered),
        TEST(a_silent_hss_gives_500_and_a_time),
        TEST(an_expiry_is_told_until_the_hss_has_heard_it),
        TEST(a_user_who_is_back_is_not_deregistered_late),
        TEST(an_unanswered_deregistration_is_not_acknowledged),
        TEST(a_refused_deregistration_is_carried_out_here),
        TEST(a_set_without_unbarred_identity_is_refused),
        TEST(user_data_that_is_no_use_gives_500),
        TEST(a_barred_identity_registers_the_others),
        TEST(repetitions_cause_one_mar_and_one_sar),
        TEST(a_flood_of_one_identity_is_bounded),
        TEST(the_hss_terminates),
        TEST(a_termination_during_a_refresh_wins),
        TEST(nothing_expires_while_it_is_being_refreshed),
        TEST(the_last_cseq_is_what_stands),
        TEST(the_hss_pushes_a_profile_and_charging_functions),
        TEST(a_subscription_is_known_by_its_associated_identities),
        TEST(wildcards_and_shared_sets_come_with_the_profile),
        TEST(stopping_refuses_new_work_and_says_goodbye),
        TEST(a_crash_with_work_under_way_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
