/* covers: A12 HA2
 * Terminals' own subscriptions on their way through the P-CSCF. */
#include "node/pcscf/pcscf.h"
#include "script.h"

static const struct addr pcscf_at = {4, 5060, {127, 0, 0, 1}};
static const struct addr icscf_at = {4, 4060, {127, 0, 0, 2}};
static const struct addr scscf_at = {4, 6060, {127, 0, 0, 3}};
static const struct addr ue_at = {4, 5070, {127, 0, 0, 9}};
static const struct addr other_at = {4, 5070, {127, 0, 0, 10}};

struct world {
    struct sim *sim;
    struct env *env;
    struct dns_zone zone;
    struct dns_zone_source dns;
    struct pcscf *pcscf;
    struct peer ue, other, icscf, scscf;
    char route[256]; /* of the last Record-Route, with its brackets */
};

static struct world world;

static int set_up(void **state) {
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
    assert_int_equal(dns_zone_add_host(&w->zone, SPAN("scscf." HOME), &scscf_at), OK);
    struct pcscf_config config = {.host = SPAN("pcscf." HOME),
                                  .sip = {.addr = pcscf_at},
                                  .visited_network = SPAN(HOME),
                                  .dns = {.source = &w->dns.source}};
    assert_int_equal(pcscf_new(w->env, &config, &w->pcscf), OK);
    peer_open(&w->ue, w->sim, "ue", ue_at);
    peer_open(&w->other, w->sim, "other", other_at);
    peer_open(&w->icscf, w->sim, "icscf", icscf_at);
    peer_open(&w->scscf, w->sim, "scscf", scscf_at);
    *state = w;
    return 0;
}

static int tear_down(void **state) {
    struct world *w = (struct world *)*state;
    struct peer *peers[] = {&w->ue, &w->other, &w->icscf, &w->scscf};
    for (size_t i = 0; i < COUNT_OF(peers); i++) {
        peer_close(peers[i]);
    }
    pcscf_free(w->pcscf);
    dns_zone_free(&w->zone);
    env_close(w->env);
    sim_free(w->sim);
    return 0;
}

static void pass(struct world *w) {
    script_run(w->sim, 20 * MS_IN_US);
}

#define ALICE "sip:alice@127.0.0.9:5070"

static void enrol(struct world *w, unsigned cseq, const char *expires) {
    char text[SCRIPT_TEXT_MAX], grant[1024];
    struct buf b = buf_init(text, sizeof text), g = buf_init(grant, sizeof grant - 1);
    peer_send(&w->ue, pcscf_at, script_register_text(&b, &(struct script_register){.cseq = cseq}));
    pass(w);
    buf_printf(&g,
               "Contact: <" ALICE ">;expires=%s\r\nService-Route: <sip:orig@scscf." HOME
               ":6060;lr>\r\nP-Associated-URI: \"Alice\" <" IMPU ">, <" TEL ">\r\n",
               expires);
    grant[g.n] = 0;
    peer_reply(&w->icscf, 200, grant);
    pass(w);
}

struct subscribe {
    const char *uri, *lines, *route, *to_tag, *call_id; /* NULL: the usual ones */
    unsigned cseq;
};

static void say(struct world *w, struct peer *from, struct subscribe s) {
    static unsigned branch;
    char text[SCRIPT_TEXT_MAX];
    struct buf b = buf_init(text, sizeof text);
    buf_printf(&b, "SUBSCRIBE %s SIP/2.0\r\n", s.uri ? s.uri : IMPU);
    buf_printf(&b, "Via: SIP/2.0/UDP 127.0.0.9:5070;branch=z9hG4bK-r%u;rport\r\n", ++branch);
    buf_printf(&b, "Route: %s\r\n",
               s.route ? s.route
                       : "<sip:pcscf." HOME ":5060;lr>, <sip:orig@scscf." HOME ":6060;lr>");
    buf_printf(&b, "From: <" IMPU ">;tag=ue\r\nTo: <" IMPU ">%s%s\r\n", s.to_tag ? ";tag=" : "",
               s.to_tag ? s.to_tag : "");
    buf_printf(&b, "Call-ID: %s\r\nCSeq: %u SUBSCRIBE\r\nMax-Forwards: 70\r\nEvent: reg\r\n",
               s.call_id ? s.call_id : "watch", s.cseq ? s.cseq : 1);
    buf_printf(&b, "Contact: <" ALICE ">\r\nExpires: 7200\r\n%sContent-Length: 0\r\n\r\n",
               s.lines ? s.lines : "");
    assert_false(b.overflow);
    w->scscf.n = w->ue.n = w->other.n = w->icscf.n = 0;
    peer_send(from, pcscf_at, buf_span(&b));
    pass(w);
}

/* The S-CSCF grants what it heard last. */
static void grant(struct world *w) {
    char lines[512];
    struct buf b = buf_init(lines, sizeof lines - 1);
    const struct sip_msg *m = peer_last(&w->scscf);
    assert_true(span_to_cstr(sip_value(m, SIP_H_RECORD_ROUTE), w->route, sizeof w->route));
    buf_printf(&b, "Record-Route: %s\r\nContact: <sip:scscf." HOME ":6060>\r\nExpires: 7200\r\n",
               w->route);
    lines[b.n] = 0;
    peer_reply(&w->scscf, 200, lines);
    pass(w);
}

/* A NOTIFY of the S-CSCF by the route of the last subscription. */
static void notify(struct world *w, const char *state) {
    static unsigned branch, cseq;
    char text[SCRIPT_TEXT_MAX];
    struct buf b = buf_init(text, sizeof text);
    buf_printf(&b,
               "NOTIFY " ALICE " SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.3:6060;branch=z9hG4bK-n%u\r\n"
               "Route: %s\r\nFrom: <" IMPU ">;tag=peer\r\nTo: <" IMPU
               ">;tag=ue\r\nCall-ID: watch\r\n"
               "CSeq: %u NOTIFY\r\nMax-Forwards: 70\r\nEvent: reg\r\nSubscription-State: %s\r\n"
               "P-Charging-Vector: icid-value=\"1\"\r\nContact: <sip:scscf." HOME
               ":6060>\r\nContent-Length: 0\r\n\r\n",
               ++branch, w->route, ++cseq, state);
    assert_false(b.overflow);
    w->scscf.n = w->ue.n = 0;
    peer_send(&w->scscf, pcscf_at, buf_span(&b));
    pass(w);
}

static void who_asks_is_asserted_and_led_by_the_service_route(void **state) {
    struct world *w = (struct world *)*state;
    enrol(w, 1, "600");
    say(w, &w->ue,
        (struct subscribe){.route = "<sip:pcscf." HOME ":5060;lr>, <sip:evil.net;lr>",
                           .lines = "P-Asserted-Identity: <sip:bob@" HOME ">\r\n"
                                    "P-Preferred-Identity: <" TEL ">\r\n"
                                    "P-Charging-Vector: icid-value=\"mine\"\r\n"});
    const struct sip_msg *m = peer_last(&w->scscf);
    assert_int_equal(m->method, SIP_SUBSCRIBE);
    assert_true(has_line(m, SIP_H_P_ASSERTED_IDENTITY, "<" TEL ">"));
    assert_int_equal(sip_list_count(m, SIP_H_P_ASSERTED_IDENTITY), 1);
    assert_true(has_line(m, SIP_H_ROUTE, "<sip:orig@scscf." HOME ":6060;lr>"));
    assert_int_equal(sip_list_count(m, SIP_H_ROUTE), 1);
    assert_int_equal(sip_list_count(m, SIP_H_RECORD_ROUTE), 1);
    assert_false(sip_has(m, SIP_H_P_PREFERRED_IDENTITY));
    assert_false(contains(sip_value(m, SIP_H_P_CHARGING_VECTOR), "mine"));
    grant(w);
    m = peer_last(&w->ue);
    assert_int_equal(m->status, 200);
    assert_true(has_line(m, SIP_H_RECORD_ROUTE, w->route));
    /* an identity that is not the user's is not asserted */
    say(w, &w->ue,
        (struct subscribe){.call_id = "b",
                           .lines = "P-Preferred-Identity: <sip:bob@" HOME ">\r\n"});
    assert_true(has_line(peer_last(&w->scscf), SIP_H_P_ASSERTED_IDENTITY, "\"Alice\" <" IMPU ">"));
}

static void strangers_are_refused(void **state) {
    struct world *w = (struct world *)*state;
    say(w, &w->ue, (struct subscribe){0});
    assert_int_equal(peer_last(&w->ue)->status, 403);
    enrol(w, 1, "600");
    say(w, &w->other, (struct subscribe){0});
    assert_int_equal(peer_last(&w->other)->status, 403);
    assert_int_equal(w->scscf.n, 0);
}

static void notifies_reach_the_terminal(void **state) {
    struct world *w = (struct world *)*state;
    enrol(w, 1, "600");
    say(w, &w->ue, (struct subscribe){0});
    grant(w);
    notify(w, "active;expires=7200");
    const struct sip_msg *m = peer_last(&w->ue);
    assert_int_equal(m->method, SIP_NOTIFY);
    assert_true(span_eq(m->request_uri, SPAN(ALICE)));
    assert_false(sip_has(m, SIP_H_ROUTE));
    assert_false(sip_has(m, SIP_H_P_CHARGING_VECTOR));
    peer_reply(&w->ue, 200, "P-Asserted-Identity: <sip:bob@x>\r\n");
    pass(w);
    assert_int_equal(peer_last(&w->scscf)->status, 200);
    assert_false(sip_has(peer_last(&w->scscf), SIP_H_P_ASSERTED_IDENTITY));
    assert_int_equal(pcscf_counters(w->pcscf)->relayed, 2);
}

/* Before the 200 to its SUBSCRIBE, and behind the end of its registration. */
static void a_notify_comes_through_early_and_late(void **state) {
    struct world *w = (struct world *)*state;
    enrol(w, 1, "600");
    say(w, &w->ue, (struct subscribe){0});
    assert_true(span_to_cstr(sip_value(peer_last(&w->scscf), SIP_H_RECORD_ROUTE), w->route,
                             sizeof w->route));
    notify(w, "active");
    assert_int_equal(peer_last(&w->ue)->method, SIP_NOTIFY);
    enrol(w, 2, "0");
    assert_int_equal(pcscf_registrations(w->pcscf), 0);
    notify(w, "terminated;reason=noresource");
    assert_int_equal(peer_last(&w->ue)->method, SIP_NOTIFY);
    script_run(w->sim, 100 * SEC_IN_US);
    notify(w, "terminated;reason=noresource");
    assert_int_equal(peer_last(&w->scscf)->status, 480);
}

static void a_refresh_goes_by_the_dialog_and_no_other_way(void **state) {
    struct world *w = (struct world *)*state;
    enrol(w, 1, "600");
    say(w, &w->ue, (struct subscribe){0});
    grant(w);
    char route[512];
    struct buf b = buf_init(route, sizeof route - 1);
    buf_printf(&b, "%s, <sip:evil.net;lr>", w->route);
    route[b.n] = 0;
    struct subscribe again = {
        .uri = "sip:elsewhere.net", .route = route, .to_tag = "peer", .cseq = 2};
    say(w, &w->ue, again);
    const struct sip_msg *m = peer_last(&w->scscf);
    assert_int_equal(m->cseq, 2);
    assert_true(span_eq(m->request_uri, SPAN("sip:scscf." HOME ":6060")));
    assert_false(sip_has(m, SIP_H_ROUTE));
    assert_true(has_line(m, SIP_H_P_ASSERTED_IDENTITY, "\"Alice\" <" IMPU ">"));
    grant(w);
    assert_int_equal(peer_last(&w->ue)->status, 200);
    /* somebody else's, a dialog that is none, and none of ours */
    say(w, &w->other, again);
    assert_int_equal(peer_last(&w->other)->status, 481);
    again.to_tag = "wrong";
    say(w, &w->ue, again);
    assert_int_equal(peer_last(&w->ue)->status, 481);
    again.route = "<sip:pcscf." HOME ":5060;lr>";
    say(w, &w->ue, again);
    assert_int_equal(peer_last(&w->ue)->status, 481);
    assert_int_equal(w->scscf.n, 0);
}

static void a_silent_terminal_counts_as_gone(void **state) {
    struct world *w = (struct world *)*state;
    enrol(w, 1, "600");
    say(w, &w->ue, (struct subscribe){0});
    grant(w);
    notify(w, "active");
    script_run(w->sim, 40 * SEC_IN_US);
    assert_int_equal(peer_last(&w->scscf)->status, 480);
}

static void a_registration_has_four_of_them(void **state) {
    struct world *w = (struct world *)*state;
    static const char *const calls[] = {"1", "2", "3", "4", "5"};
    char first[256];
    enrol(w, 1, "600");
    for (size_t i = 0; i < COUNT_OF(calls); i++) {
        say(w, &w->ue, (struct subscribe){.call_id = calls[i]});
        grant(w);
        if (i == 0) {
            memcpy(first, w->route, sizeof first);
        }
    }
    notify(w, "active");
    assert_int_equal(peer_last(&w->ue)->method, SIP_NOTIFY);
    memcpy(w->route, first, sizeof first);
    notify(w, "active");
    assert_int_equal(peer_last(&w->scscf)->status, 480);
}

static void a_refusal_leaves_nothing(void **state) {
    struct world *w = (struct world *)*state;
    enrol(w, 1, "600");
    say(w, &w->ue, (struct subscribe){0});
    assert_true(span_to_cstr(sip_value(peer_last(&w->scscf), SIP_H_RECORD_ROUTE), w->route,
                             sizeof w->route));
    peer_reply(&w->scscf, 403, "Warning: 399 scscf \"why\"\r\n");
    pass(w);
    assert_int_equal(peer_last(&w->ue)->status, 403);
    assert_false(sip_has(peer_last(&w->ue), SIP_H_WARNING));
    notify(w, "active");
    assert_int_equal(peer_last(&w->scscf)->status, 480);
}

static void a_crash_in_the_middle_leaks_nothing(void **state) {
    struct world *w = (struct world *)*state;
    enrol(w, 1, "600");
    say(w, &w->ue, (struct subscribe){0});
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(who_asks_is_asserted_and_led_by_the_service_route),
        TEST(strangers_are_refused),
        TEST(notifies_reach_the_terminal),
        TEST(a_notify_comes_through_early_and_late),
        TEST(a_refresh_goes_by_the_dialog_and_no_other_way),
        TEST(a_silent_terminal_counts_as_gone),
        TEST(a_registration_has_four_of_them),
        TEST(a_refusal_leaves_nothing),
        TEST(a_crash_in_the_middle_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
