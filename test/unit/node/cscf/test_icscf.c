/* covers: A6 A11 HA1 */
#include "node/icscf/icscf.h"
#include "script.h"

static const struct addr icscf_at = {4, 4060, {127, 0, 0, 2}};
static const struct addr pcscf_at = {4, 5060, {127, 0, 0, 9}};
static const struct addr scscf_at[] = {{4, 6060, {127, 0, 0, 31}}, {4, 6060, {127, 0, 0, 32}}};

static const uint32_t c_1[] = {1}, c_12[] = {1, 2};
static const struct selection_scscf scscfs[] = {
    {SPAN_INIT("sip:scscf." HOME ":6060"), c_1, 1, 1},
    {SPAN_INIT("sip:scscf-2." HOME ":6060"), c_12, 2, 1},
};

struct world {
    struct sim *sim;
    struct env *env;
    struct dns_zone zone;
    struct dns_zone_source dns;
    struct icscf *icscf;
    struct script_hss hss;
    struct peer pcscf, scscf[2];
    bool stopped;
};

enum { UAR_MAX = 4 }; /* that may wait for the HSS */

static struct world world;

static int set_up(void **state) {
    struct world *w = &world;
    *w = (struct world){0};
    assert_int_equal(sim_new(1, &w->sim), OK);
    assert_int_equal(sim_env_new(w->sim, "icscf", &w->env), OK);
    dns_zone_init(&w->zone);
    dns_zone_source_init(&w->dns, &w->zone);
    assert_int_equal(dns_zone_add_host(&w->zone, SPAN("scscf." HOME), &scscf_at[0]), OK);
    assert_int_equal(dns_zone_add_host(&w->zone, SPAN("scscf-2." HOME), &scscf_at[1]), OK);
    script_hss_open(&w->hss, w->sim, SPAN("icscf." HOME));
    struct icscf_config config = {
        .host = SPAN("icscf." HOME),
        .sip = {.addr = icscf_at, .admission = {.retry_min_s = 31, .retry_max_s = 33}},
        .diameter = script_diameter(&w->hss, SPAN("icscf." HOME)),
        .hss_realm = SPAN(HOME),
        .scscf = scscfs,
        .n_scscf = COUNT_OF(scscfs),
        .dns = {.source = &w->dns.source},
        .trusted = &pcscf_at,
        .n_trusted = 1};
    config.diameter.pending_max = UAR_MAX;
    assert_int_equal(icscf_new(w->env, &config, &w->icscf), OK);
    peer_open(&w->pcscf, w->sim, "pcscf", pcscf_at);
    peer_open(&w->scscf[0], w->sim, "scscf", scscf_at[0]);
    peer_open(&w->scscf[1], w->sim, "scscf-2", scscf_at[1]);
    script_run(w->sim, SEC_IN_US);
    assert_true(icscf_is_ready(w->icscf));
    *state = w;
    return 0;
}

static int tear_down(void **state) {
    struct world *w = (struct world *)*state;
    peer_close(&w->pcscf);
    peer_close(&w->scscf[0]);
    peer_close(&w->scscf[1]);
    icscf_free(w->icscf);
    script_hss_close(&w->hss);
    dns_zone_free(&w->zone);
    env_close(w->env);
    sim_free(w->sim);
    return 0;
}

#define VISITED "P-Visited-Network-ID: \"visited net\"\r\n"

static void say(struct world *w, struct script_register r) {
    char text[SCRIPT_TEXT_MAX];
    struct buf b = buf_init(text, sizeof text);
    r.lines = r.lines ? r.lines : VISITED;
    r.via = "127.0.0.9:5060";
    peer_send(&w->pcscf, icscf_at, script_register_text(&b, &r));
    script_run(w->sim, 20 * MS_IN_US);
}

static void the_name_that_the_hss_gives_is_followed(void **state) {
    struct world *w = (struct world *)*state;
    w->hss.uaa.server_name = SPAN("sip:scscf-2." HOME ":6060");
    w->hss.uar_result = DIAMETER_3GPP_RESULT(DIAMETER_SUBSEQUENT_REGISTRATION);
    say(w, (struct script_register){0});
    assert_int_equal(w->hss.uar, 1);
    assert_true(span_eq(w->hss.last_uar.user_name, SPAN(IMPI)));
    assert_true(span_eq(w->hss.last_uar.public_identity, SPAN(IMPU)));
    assert_true(span_eq(w->hss.last_uar.visited_network_identifier, SPAN("visited net")));
    assert_int_equal(w->hss.last_uar.user_authorization_type,
                     CX_USER_AUTHORIZATION_TYPE_REGISTRATION);
    assert_int_equal(w->scscf[1].n, 1);
    const struct sip_msg *m = peer_last(&w->scscf[1]);
    assert_true(span_eq(m->request_uri, SPAN("sip:scscf-2." HOME ":6060")));
    assert_true(has_line(m, SIP_H_ROUTE, "<sip:scscf-2." HOME ":6060;lr>"));
    assert_true(span_eq(m->via.host, SPAN("icscf." HOME)));
    assert_int_equal(sip_list_count(m, SIP_H_VIA), 2);
    peer_reply(&w->scscf[1], 200, "Service-Route: <sip:x;lr>\r\n");
    script_run(w->sim, 20 * MS_IN_US);
    m = peer_last(&w->pcscf);
    assert_int_equal(m->status, 200);
    assert_int_equal(sip_list_count(m, SIP_H_VIA), 1);
    assert_true(sip_has(m, SIP_H_SERVICE_ROUTE));
}

static void a_name_that_routes_loosely_is_left_as_it_is(void **state) {
    struct world *w = (struct world *)*state;
    w->hss.uaa.server_name = SPAN("sip:scscf." HOME ":6060;lr");
    say(w, (struct script_register){0});
    assert_true(has_line(peer_last(&w->scscf[0]), SIP_H_ROUTE, "<sip:scscf." HOME ":6060;lr>"));
    w->hss.uaa.server_name = SPAN("tel:+1");
    say(w, (struct script_register){.call_id = "2"});
    assert_int_equal(peer_last(&w->pcscf)->status, 500);
}

static void capabilities_choose(void **state) {
    struct world *w = (struct world *)*state;
    static const uint32_t mandatory[] = {2};
    static const struct cx_server_capabilities c = {.mandatory_capability = mandatory,
                                                    .n_mandatory_capability = 1};
    w->hss.uaa.server_capabilities = &c;
    say(w, (struct script_register){0});
    assert_int_equal(w->scscf[0].n, 0);
    assert_int_equal(w->scscf[1].n, 1);
}

static void nobody_is_capable(void **state) {
    struct world *w = (struct world *)*state;
    static const uint32_t mandatory[] = {7};
    static const struct cx_server_capabilities c = {.mandatory_capability = mandatory,
                                                    .n_mandatory_capability = 1};
    w->hss.uaa.server_capabilities = &c;
    say(w, (struct script_register){0});
    assert_int_equal(peer_last(&w->pcscf)->status, 600);
    assert_int_equal(icscf_counters(w->icscf)->none_capable, 1);
}

static void an_answer_that_demands_nothing_gets_any_scscf(void **state) {
    struct world *w = (struct world *)*state;
    say(w, (struct script_register){0});
    assert_int_equal(w->scscf[0].n + w->scscf[1].n, 1);
}

static void refusals_of_the_hss(void **state) {
    static const struct {
        struct diameter_result result;
        unsigned status;
        bool retry;
    } rows[] = {
        {{DIAMETER_VENDOR_3GPP, DIAMETER_ERROR_USER_UNKNOWN}, 403, false},
        {{DIAMETER_VENDOR_3GPP, DIAMETER_ERROR_IDENTITIES_DONT_MATCH}, 403, false},
        {{DIAMETER_VENDOR_3GPP, DIAMETER_ERROR_ROAMING_NOT_ALLOWED}, 403, false},
        {{DIAMETER_VENDOR_3GPP, DIAMETER_ERROR_IDENTITY_NOT_REGISTERED}, 403, false},
        {{0, DIAMETER_AUTHORIZATION_REJECTED}, 403, false},
        {{0, DIAMETER_UNABLE_TO_COMPLY}, 480, true},
        {{0, DIAMETER_TOO_BUSY}, 480, true},
    };
    struct world *w = (struct world *)*state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char call_id[8];
        struct buf id = buf_init(call_id, sizeof call_id);
        buf_printf(&id, "r%zu", i);
        buf_char(&id, 0);
        w->hss.uar_result = rows[i].result;
        say(w, (struct script_register){.call_id = call_id});
        const struct sip_msg *m = peer_last(&w->pcscf);
        assert_int_equal(m->status, rows[i].status);
        assert_int_equal(sip_has(m, SIP_H_RETRY_AFTER), rows[i].retry);
        assert_true(sip_has(m, SIP_H_WARNING));
        assert_true(span_eq(m->reason, sip_reason_phrase(m->status)));
    }
    assert_int_equal(w->scscf[0].n + w->scscf[1].n, 0);
}

static void a_silent_hss_gives_480(void **state) {
    struct world *w = (struct world *)*state;
    w->hss.silent = true;
    say(w, (struct script_register){0});
    assert_int_equal(w->pcscf.n, 0);
    script_run(w->sim, 5 * SEC_IN_US);
    assert_int_equal(peer_last(&w->pcscf)->status, 480);
    uint32_t after_s;
    assert_int_equal(sip_number_of(peer_last(&w->pcscf), SIP_H_RETRY_AFTER, &after_s), OK);
    assert_in_range(after_s, 31, 33); /* as configured */
}

static void an_hss_that_is_not_there_gives_480_at_once(void **state) {
    struct world *w = (struct world *)*state;
    script_hss_close(&w->hss);
    script_run(w->sim, SEC_IN_US);
    assert_false(icscf_is_ready(w->icscf));
    say(w, (struct script_register){0});
    assert_int_equal(peer_last(&w->pcscf)->status, 480);
}

/* The limit of what may wait for the HSS is ours, not the HSS's silence. */
static void more_than_may_be_asked_gives_503(void **state) {
    struct world *w = (struct world *)*state;
    w->hss.silent = true;
    for (unsigned i = 0; i < UAR_MAX; i++) {
        char call_id[8];
        struct buf b = buf_init(call_id, sizeof call_id - 1);
        buf_u64(&b, i);
        call_id[b.n] = '\0';
        say(w, (struct script_register){.call_id = call_id});
    }
    assert_int_equal(w->pcscf.n, 0);
    say(w, (struct script_register){.call_id = "more"});
    const struct sip_msg *m = peer_last(&w->pcscf);
    assert_int_equal(m->status, 503);
    assert_true(sip_has(m, SIP_H_RETRY_AFTER));
    assert_true(span_find(sip_value(m, SIP_H_WARNING), SPAN("overload")) <
                sip_value(m, SIP_H_WARNING).n);
}

static void deregistration_is_said_to_the_hss(void **state) {
    static const struct script_register rows[] = {
        {.call_id = "1", .contact = "<sip:a@127.0.0.9>;expires=0"},
        {.call_id = "2", .contact = "*", .lines = VISITED "Expires: 0\r\n"},
        {.call_id = "3", .contact = "<sip:a@127.0.0.9>", .lines = VISITED "Expires: 0\r\n"},
    };
    struct world *w = (struct world *)*state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        say(w, rows[i]);
        assert_int_equal(w->hss.uar, i + 1);
        assert_int_equal(w->hss.last_uar.user_authorization_type,
                         CX_USER_AUTHORIZATION_TYPE_DE_REGISTRATION);
    }
    say(w, (struct script_register){.call_id = "4",
                                    .contact = "<sip:a@127.0.0.9>;expires=0, <sip:b@127.0.0.9>"});
    assert_int_equal(w->hss.last_uar.user_authorization_type,
                     CX_USER_AUTHORIZATION_TYPE_REGISTRATION);
}

static void identities_are_derived_and_made_canonical(void **state) {
    struct world *w = (struct world *)*state;
    say(w, (struct script_register){.authorization = "", .impu = "sip:Alice@" HOME ":5060;user=x"});
    assert_true(span_eq(w->hss.last_uar.user_name, SPAN("Alice@" HOME)));
    say(w, (struct script_register){.call_id = "2", .impu = "tel:+44-7700-900.101"});
    assert_true(span_eq(w->hss.last_uar.public_identity, SPAN(TEL)));
}

static void a_silent_scscf_is_replaced(void **state) {
    struct world *w = (struct world *)*state;
    w->hss.uaa.server_name = scscfs[0].name;
    say(w, (struct script_register){0});
    assert_int_equal(w->scscf[0].n, 1);
    w->hss.uaa.server_name = SPAN_NONE;
    w->hss.uar_result = DIAMETER_RESULT(DIAMETER_SUCCESS);
    script_run(w->sim, 10 * SEC_IN_US);
    assert_int_equal(w->hss.uar, 2);
    assert_int_equal(w->hss.last_uar.user_authorization_type,
                     CX_USER_AUTHORIZATION_TYPE_REGISTRATION_AND_CAPABILITIES);
    assert_int_equal(w->scscf[1].n > 0, 1);
    peer_reply(&w->scscf[1], 401, "");
    script_run(w->sim, 20 * MS_IN_US);
    assert_int_equal(peer_last(&w->pcscf)->status, 401);
    assert_int_equal(icscf_counters(w->icscf)->reselected, 1);
}

static void an_scscf_that_sends_us_away_is_replaced_without_asking_again(void **state) {
    struct world *w = (struct world *)*state;
    static const uint32_t optional[] = {2};
    static const struct cx_server_capabilities c = {.optional_capability = optional,
                                                    .n_optional_capability = 1};
    w->hss.uaa.server_capabilities = &c;
    say(w, (struct script_register){0});
    peer_reply(&w->scscf[1], 480, "");
    script_run(w->sim, 20 * MS_IN_US);
    assert_int_equal(w->hss.uar, 1);
    assert_int_equal(w->scscf[0].n, 1);
    peer_reply(&w->scscf[0], 302, "Contact: <sip:elsewhere>\r\n");
    script_run(w->sim, 20 * MS_IN_US);
    assert_int_equal(peer_last(&w->pcscf)->status, 504); /* none is left; never recursed */
}

/* RFC 3261 16.7; the table is in stack/sip/unavailable.h. */
static void who_says_when_to_come_again_is_not_replaced(void **state) {
    struct world *w = (struct world *)*state;
    static const unsigned statuses[] = {503, 480};
    for (unsigned i = 0; i < COUNT_OF(statuses); i++) {
        w->hss.uaa.server_name = scscfs[0].name;
        say(w, (struct script_register){.cseq = i + 1});
        assert_int_equal(w->scscf[0].n, i + 1);
        peer_reply(&w->scscf[0], statuses[i], "Retry-After: 17\r\n");
        script_run(w->sim, 20 * MS_IN_US);
        assert_int_equal(peer_last(&w->pcscf)->status, statuses[i]);
        assert_true(has_line(peer_last(&w->pcscf), SIP_H_RETRY_AFTER, "17"));
    }
    assert_int_equal(w->hss.uar, 2);
    assert_int_equal(w->scscf[1].n, 0);
    assert_int_equal(icscf_counters(w->icscf)->reselected, 0);
    assert_int_equal(icscf_counters(w->icscf)->hops_failed, 0);
    say(w, (struct script_register){.cseq = 3});
    peer_reply(&w->scscf[0], 503, ""); /* of another make: nobody shall avoid us for it */
    script_run(w->sim, 20 * MS_IN_US);
    assert_int_equal(peer_last(&w->pcscf)->status, 500);
    assert_true(sip_has(peer_last(&w->pcscf), SIP_H_RETRY_AFTER));
}

static void within_a_security_association_nobody_is_replaced(void **state) {
    struct world *w = (struct world *)*state;
    w->hss.uaa.server_name = scscfs[0].name;
    say(w, (struct script_register){
               .authorization = "Digest username=\"" IMPI "\", realm=\"" HOME "\", nonce=\"n\", "
                                "uri=\"sip:" HOME "\", response=\"r\", integrity-protected=yes"});
    assert_int_equal(w->scscf[0].n, 1);
    script_run(w->sim, 10 * SEC_IN_US);
    assert_int_equal(peer_last(&w->pcscf)->status, 504);
    assert_int_equal(w->hss.uar, 1);
}

static void requests_that_are_wrong_are_refused(void **state) {
    struct world *w = (struct world *)*state;
    say(w, (struct script_register){.lines = "X: y\r\n"});
    assert_int_equal(peer_last(&w->pcscf)->status, 400);
    say(w, (struct script_register){.call_id = "2", .contact = "<<"});
    assert_int_equal(peer_last(&w->pcscf)->status, 400);
    say(w, (struct script_register){.call_id = "3", .impu = "mailto:x@y"});
    assert_int_equal(peer_last(&w->pcscf)->status, 400);
    assert_int_equal(w->hss.uar, 0);
}

static void strangers_are_refused(void **state) {
    struct world *w = (struct world *)*state;
    char text[SCRIPT_TEXT_MAX];
    struct buf b = buf_init(text, sizeof text);
    struct script_register r = {.lines = VISITED, .via = "127.0.0.31:6060"};
    peer_send(&w->scscf[0], icscf_at, script_register_text(&b, &r));
    script_run(w->sim, 20 * MS_IN_US);
    assert_int_equal(peer_last(&w->scscf[0])->status, 403);
    assert_int_equal(w->hss.uar, 0);
}

static void repetitions_ask_the_hss_once(void **state) {
    struct world *w = (struct world *)*state;
    char text[SCRIPT_TEXT_MAX];
    struct buf b = buf_init(text, sizeof text);
    struct script_register r = {.lines = VISITED, .via = "127.0.0.9:5060"};
    struct span message = script_register_text(&b, &r);
    for (int i = 0; i < 5; i++) {
        peer_send(&w->pcscf, icscf_at, message);
    }
    script_run(w->sim, 20 * MS_IN_US);
    assert_int_equal(w->hss.uar, 1);
}

static void on_stopped(void *ctx) {
    ((struct world *)ctx)->stopped = true;
}

static void stopping_lets_what_is_under_way_end(void **state) {
    struct world *w = (struct world *)*state;
    w->hss.uaa.server_name = scscfs[0].name;
    say(w, (struct script_register){0});
    icscf_stop(w->icscf, on_stopped, w);
    script_run(w->sim, 20 * MS_IN_US);
    assert_false(w->stopped);
    peer_reply(&w->scscf[0], 401, "");
    script_run(w->sim, SEC_IN_US);
    assert_int_equal(peer_last(&w->pcscf)->status, 401);
    assert_true(w->stopped);
}

static void a_crash_with_work_under_way_leaks_nothing(void **state) {
    struct world *w = (struct world *)*state;
    w->hss.silent = true;
    say(w, (struct script_register){0});
    w->hss.silent = false;
    say(w, (struct script_register){.call_id = "two"});
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static unsigned subscribe(struct world *w, const char *uri, const char *event) {
    static unsigned branch;
    char text[SCRIPT_TEXT_MAX];
    struct buf b = buf_init(text, sizeof text);
    buf_printf(&b, "SUBSCRIBE %s SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.9;branch=z9hG4bK-s%u\r\n", uri,
               ++branch);
    buf_printf(&b,
               "Route: <sip:icscf." HOME ":4060;lr>\r\nMax-Forwards: 70\r\nFrom: <sip:p>;tag=a"
               "\r\nTo: <%s>\r\nCall-ID: s\r\nCSeq: 1 SUBSCRIBE\r\nEvent: %s\r\n"
               "Contact: <sip:p>\r\nContent-Length: 0\r\n\r\n",
               uri, event);
    w->pcscf.n = w->scscf[0].n = w->scscf[1].n = 0;
    peer_send(&w->pcscf, icscf_at, buf_span(&b));
    script_run(w->sim, 20 * MS_IN_US);
    return w->pcscf.n ? peer_last(&w->pcscf)->status : 0;
}

/* TS 24.229 5.3.2.1. */
static void a_subscription_goes_where_the_lia_says(void **state) {
    struct world *w = (struct world *)*state;
    w->hss.lia.server_name = SPAN("sip:scscf-2." HOME ":6060");
    assert_int_equal(subscribe(w, "sip:Alice.mobile@" HOME ";x=y", "reg"), 0);
    assert_int_equal(w->hss.lir, 1);
    assert_int_equal(w->hss.uar, 0);
    assert_true(span_eq(w->hss.last_lir.public_identity, SPAN("sip:Alice.mobile@" HOME)));
    const struct sip_msg *m = peer_last(&w->scscf[1]);
    assert_true(span_eq(m->request_uri, SPAN("sip:Alice.mobile@" HOME ";x=y")));
    assert_int_equal(sip_list_count(m, SIP_H_ROUTE), 1);
    assert_true(has_line(m, SIP_H_ROUTE, "<sip:scscf-2." HOME ":6060;lr>"));
    peer_reply(&w->scscf[1], 480, ""); /* the user's, not the S-CSCF's: nobody else is asked */
    script_run(w->sim, 20 * MS_IN_US);
    assert_int_equal(peer_last(&w->pcscf)->status, 480);
    assert_int_equal(w->scscf[0].n, 0);
}

static void without_a_name_capabilities_choose(void **state) {
    struct world *w = (struct world *)*state;
    static const uint32_t mandatory[] = {2};
    static const struct cx_server_capabilities c = {.mandatory_capability = mandatory,
                                                    .n_mandatory_capability = 1};
    w->hss.lia.result = DIAMETER_3GPP_RESULT(DIAMETER_UNREGISTERED_SERVICE);
    w->hss.lia.server_capabilities = &c;
    assert_int_equal(subscribe(w, IMPU, "reg"), 0);
    assert_int_equal(w->scscf[1].n, 1);
}

static void who_is_not_there_cannot_be_subscribed_to(void **state) {
    static const struct {
        struct diameter_result result;
        unsigned status;
    } rows[] = {{{DIAMETER_VENDOR_3GPP, DIAMETER_ERROR_USER_UNKNOWN}, 404},
                {{DIAMETER_VENDOR_3GPP, DIAMETER_ERROR_IDENTITY_NOT_REGISTERED}, 480},
                {{0, DIAMETER_UNABLE_TO_COMPLY}, 480}};
    struct world *w = (struct world *)*state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        w->hss.lia.result = rows[i].result;
        assert_int_equal(subscribe(w, IMPU, "reg"), rows[i].status);
    }
    assert_int_equal(subscribe(w, "urn:x", "reg"), 416);
    assert_int_equal(subscribe(w, IMPU, "presence"), 501);
    assert_int_equal(w->hss.lir, COUNT_OF(rows));
    w->hss.lia = (struct cx_lia){.server_name = SPAN("sip:scscf." HOME ":6060")};
    assert_int_equal(subscribe(w, IMPU, "reg"), 0);
    script_run(w->sim, 30 * SEC_IN_US); /* the S-CSCF says nothing */
    assert_int_equal(peer_last(&w->pcscf)->status, 504);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(the_name_that_the_hss_gives_is_followed),
        TEST(a_name_that_routes_loosely_is_left_as_it_is),
        TEST(capabilities_choose),
        TEST(nobody_is_capable),
        TEST(an_answer_that_demands_nothing_gets_any_scscf),
        TEST(refusals_of_the_hss),
        TEST(a_silent_hss_gives_480),
        TEST(an_hss_that_is_not_there_gives_480_at_once),
        TEST(more_than_may_be_asked_gives_503),
        TEST(deregistration_is_said_to_the_hss),
        TEST(identities_are_derived_and_made_canonical),
        TEST(a_silent_scscf_is_replaced),
        TEST(an_scscf_that_sends_us_away_is_replaced_without_asking_again),
        TEST(who_says_when_to_come_again_is_not_replaced),
        TEST(within_a_security_association_nobody_is_replaced),
        TEST(requests_that_are_wrong_are_refused),
        TEST(strangers_are_refused),
        TEST(repetitions_ask_the_hss_once),
        TEST(stopping_lets_what_is_under_way_end),
        TEST(a_crash_with_work_under_way_leaks_nothing),
        TEST(a_subscription_goes_where_the_lia_says),
        TEST(without_a_name_capabilities_choose),
        TEST(who_is_not_there_cannot_be_subscribed_to),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
