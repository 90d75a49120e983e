/* covers: A12 B2 */
#include "node/pcscf/pcscf.h"
#include "script.h"

static const struct addr pcscf_at = {4, 5060, {127, 0, 0, 1}};
static const struct addr icscf_at = {4, 4060, {127, 0, 0, 2}};
static const struct addr scscf_at = {4, 6060, {127, 0, 0, 3}};
static const struct addr ue_at = {4, 5070, {127, 0, 0, 9}};

struct world {
    struct sim *sim;
    struct env *env;
    struct dns_zone zone;
    struct dns_zone_source dns;
    struct pcscf *pcscf;
    struct peer ue, icscf, scscf;
    char call_id[64], tag[64]; /* of the SUBSCRIBE */
    unsigned cseq;             /* of NOTIFYs */
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
                                  .dns = {.source = &w->dns.source},
                                  .reg_event = true};
    assert_int_equal(pcscf_new(w->env, &config, &w->pcscf), OK);
    peer_open(&w->ue, w->sim, "ue", ue_at);
    peer_open(&w->icscf, w->sim, "icscf", icscf_at);
    peer_open(&w->scscf, w->sim, "scscf", scscf_at);
    *state = w;
    return 0;
}

static int tear_down(void **state) {
    struct world *w = (struct world *)*state;
    peer_close(&w->ue);
    peer_close(&w->icscf);
    peer_close(&w->scscf);
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
#define GRANT                                                                                      \
    "Contact: <" ALICE ">;expires=600\r\nService-Route: <sip:orig@scscf." HOME ":6060;lr>\r\n"     \
    "P-Associated-URI: \"Alice\" <" IMPU ">, <" TEL ">\r\n"

static void enrol(struct world *w, unsigned cseq) {
    char text[SCRIPT_TEXT_MAX];
    struct buf b = buf_init(text, sizeof text);
    peer_send(&w->ue, pcscf_at, script_register_text(&b, &(struct script_register){.cseq = cseq}));
    pass(w);
    peer_reply(&w->icscf, 200, GRANT);
    pass(w);
}

/* Registers, and grants the subscription. */
static void begin(struct world *w) {
    enrol(w, 1);
    const struct sip_msg *m = peer_last(&w->icscf);
    assert_int_equal(m->method, SIP_SUBSCRIBE);
    assert_true(span_to_cstr(m->call_id, w->call_id, sizeof w->call_id));
    assert_true(span_to_cstr(m->from_tag, w->tag, sizeof w->tag));
    peer_reply(&w->icscf, 200, "Expires: 7200\r\nContact: <sip:scscf." HOME ":6060>\r\n");
    pass(w);
    w->cseq = 0;
}

/* A NOTIFY of the S-CSCF: what it is answered. */
static unsigned notify(struct world *w, const char *state, const char *body) {
    static unsigned branch;
    char text[SCRIPT_TEXT_MAX];
    struct buf b = buf_init(text, sizeof text);
    buf_printf(&b,
               "NOTIFY sip:pcscf." HOME ":5060 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.3:6060;branch="
               "z9hG4bK-n%u\r\nFrom: <" IMPU ">;tag=peer\r\nTo: <sip:p>;tag=%s\r\nCall-ID: %s\r\n"
               "CSeq: %u NOTIFY\r\nMax-Forwards: 70\r\nEvent: reg\r\nSubscription-State: %s\r\n"
               "Contact: <sip:scscf." HOME ":6060>\r\nContent-Type: application/reginfo+xml\r\n",
               ++branch, w->tag, w->call_id, ++w->cseq, state);
    buf_printf(&b, "Content-Length: %zu\r\n\r\n%s", strlen(body), body);
    assert_false(b.overflow);
    w->scscf.n = 0;
    peer_send(&w->scscf, pcscf_at, buf_span(&b));
    pass(w);
    return w->scscf.n ? w->scscf.heard[0].msg->status : 0;
}

#define DOCUMENT(version, state, elements)                                                         \
    "<reginfo xmlns=\"urn:ietf:params:xml:ns:reginfo\" version=\"" version "\" state=\"" state     \
    "\">" elements "</reginfo>"
#define ELEMENT(aor, state, contacts)                                                              \
    "<registration aor=\"" aor "\" id=\"" aor "\" state=\"" state "\">" contacts "</registration>"
#define BOUND(event)                                                                               \
    "<contact id=\"1\" state=\"active\" event=\"" event "\"><uri>" ALICE "</uri></contact>"
#define GONE(event)                                                                                \
    "<contact id=\"1\" state=\"terminated\" event=\"" event "\"><uri>" ALICE "</uri></contact>"

static void who_registers_is_subscribed_to(void **state) {
    struct world *w = (struct world *)*state;
    begin(w);
    const struct sip_msg *m = peer_last(&w->icscf);
    assert_true(span_eq(m->request_uri, SPAN(IMPU)));
    assert_true(has_line(m, SIP_H_TO, "<" IMPU ">"));
    assert_true(has_line(m, SIP_H_EVENT, "reg"));
    assert_true(has_line(m, SIP_H_EXPIRES, "600000"));
    assert_true(has_line(m, SIP_H_P_ASSERTED_IDENTITY, "<sip:pcscf." HOME ":5060>"));
    assert_true(sip_has(m, SIP_H_P_CHARGING_VECTOR));
    assert_int_equal(peer_last(&w->ue)->status, 200);
    assert_int_equal(pcscf_counters(w->pcscf)->subscribed, 1);
    size_t heard = w->icscf.n;
    enrol(w, 2); /* anew: the subscription stands */
    assert_int_equal(w->icscf.n, heard + 1);
}

static void what_the_network_ends_is_gone_at_once(void **state) {
    struct world *w = (struct world *)*state;
    begin(w);
    assert_int_equal(notify(w, "active;expires=7200",
                            DOCUMENT("0", "full", ELEMENT(IMPU, "active", BOUND("registered")))),
                     200);
    assert_int_equal(pcscf_registrations(w->pcscf), 1);
    assert_int_equal(
        notify(w, "terminated;reason=noresource",
               DOCUMENT("1", "partial", ELEMENT(IMPU, "terminated", GONE("rejected")))),
        200);
    assert_int_equal(pcscf_registrations(w->pcscf), 0);
    assert_int_equal(pcscf_counters(w->pcscf)->ended, 1);
    assert_int_equal(notify(w, "terminated", ""), 481);
}

static void an_old_document_changes_nothing(void **state) {
    struct world *w = (struct world *)*state;
    begin(w);
    assert_int_equal(
        notify(w, "active", DOCUMENT("5", "full", ELEMENT(IMPU, "active", BOUND("registered")))),
        200);
    assert_int_equal(
        notify(w, "active", DOCUMENT("5", "partial", ELEMENT(IMPU, "terminated", GONE("expired")))),
        200);
    assert_int_equal(pcscf_registrations(w->pcscf), 1);
    /* a full one that does not have it may be older than the registration; later it is not */
    assert_int_equal(notify(w, "active", DOCUMENT("6", "full", "")), 200);
    assert_int_equal(pcscf_registrations(w->pcscf), 1);
    script_run(w->sim, 40 * SEC_IN_US);
    assert_int_equal(notify(w, "active", DOCUMENT("7", "full", "")), 200);
    assert_int_equal(pcscf_registrations(w->pcscf), 0);
}

static void a_missed_document_is_asked_for(void **state) {
    struct world *w = (struct world *)*state;
    begin(w);
    assert_int_equal(
        notify(w, "active", DOCUMENT("0", "full", ELEMENT(IMPU, "active", BOUND("registered")))),
        200);
    assert_int_equal(
        notify(w, "active", DOCUMENT("2", "partial", ELEMENT(IMPU, "active", BOUND("refreshed")))),
        200);
    const struct sip_msg *m = NULL;
    for (size_t i = 0; i < w->scscf.n; i++) {
        m = w->scscf.heard[i].msg->is_request ? w->scscf.heard[i].msg : m;
    }
    assert_non_null(m);
    assert_int_equal(m->method, SIP_SUBSCRIBE);
    assert_true(span_eq(m->request_uri, SPAN("sip:scscf." HOME ":6060")));
    assert_true(span_eq(m->to_tag, SPAN("peer")));
    assert_int_equal(m->cseq, 2);
}

struct seen {
    size_t n, n_associated;
    char associated[4][128];
};

static void see(void *ctx, const struct pcscf_registration_view *v) {
    struct seen *s = (struct seen *)ctx;
    s->n++;
    s->n_associated = v->n_associated;
    for (size_t i = 0; i < v->n_associated; i++) {
        assert_true(span_to_cstr(v->associated[i], s->associated[i], sizeof s->associated[i]));
    }
}

static void identities_are_learned(void **state) {
    struct world *w = (struct world *)*state;
    struct seen seen = {0};
    begin(w);
    assert_int_equal(notify(w, "active",
                            DOCUMENT("0", "full",
                                     ELEMENT(IMPU, "active", BOUND("registered"))
                                         ELEMENT(TEL, "active", BOUND("created")))),
                     200);
    assert_int_equal(notify(w, "active",
                            DOCUMENT("1", "partial",
                                     ELEMENT("sip:new@" HOME, "active", BOUND("created"))
                                         ELEMENT(TEL, "terminated", GONE("deactivated")))),
                     200);
    pcscf_each_registration(w->pcscf, see, &seen);
    assert_int_equal(seen.n, 1);
    assert_int_equal(seen.n_associated, 2);
    assert_string_equal(seen.associated[0], "\"Alice\" <" IMPU ">");
    assert_string_equal(seen.associated[1], "<sip:new@" HOME ">");
    /* wildcarded ones too */
#define WILD                                                                                       \
    "<w:wildcardedIdentity xmlns:w=\"urn:3gpp:ns:extRegExp:1.0\">sip:u!.*!@" HOME                  \
    "</w:wildcardedIdentity>"
    assert_int_equal(
        notify(w, "active", DOCUMENT("2", "partial", ELEMENT("sip:u1@" HOME, "active", WILD))),
        200);
    seen = (struct seen){0};
    pcscf_each_registration(w->pcscf, see, &seen);
    assert_int_equal(seen.n_associated, 3);
    assert_string_equal(seen.associated[2], "<sip:u!.*!@" HOME ">");
    assert_int_equal(
        notify(w, "active", DOCUMENT("3", "partial", ELEMENT("sip:u1@" HOME, "terminated", WILD))),
        200);
    seen = (struct seen){0};
    pcscf_each_registration(w->pcscf, see, &seen);
    assert_int_equal(seen.n_associated, 2);
    script_run(w->sim, 601 * SEC_IN_US); /* it ends when it would have */
    assert_int_equal(pcscf_registrations(w->pcscf), 0);
}

/* Two registrations are served by one subscription; neither keeps what it could not read again. */
static void what_is_no_identity_is_not_learned(void **state) {
    struct world *w = (struct world *)*state;
    struct seen seen = {0};
    char text[SCRIPT_TEXT_MAX];
    struct buf b = buf_init(text, sizeof text);
    begin(w);
    peer_send(&w->ue, pcscf_at,
              script_register_text(&b, &(struct script_register){.impu = TEL, .cseq = 2}));
    pass(w);
    peer_reply(&w->icscf, 200, GRANT);
    pass(w);
    assert_int_equal(pcscf_registrations(w->pcscf), 2);
    assert_int_equal(notify(w, "active",
                            DOCUMENT("0", "full",
                                     ELEMENT(IMPU, "active", BOUND("registered"))
                                         ELEMENT(TEL, "active", BOUND("created"))
                                             ELEMENT("no identity", "active", BOUND("created"))
                                                 ELEMENT("sip:!.*!@" HOME, "active", ""))),
                     200);
    pcscf_each_registration(w->pcscf, see, &seen);
    assert_int_equal(seen.n, 2);
    assert_int_equal(seen.n_associated, 2);
}

static void wrong_notifies_are_refused(void **state) {
    struct world *w = (struct world *)*state;
    begin(w);
    assert_int_equal(notify(w, "active", "<reginfo"), 400);
    assert_int_equal(notify(w, "active", ""), 200);
    w->cseq--;
    assert_int_equal(notify(w, "active", ""), 500);
    memcpy(w->tag, "x", 1);
    assert_int_equal(notify(w, "active", ""), 481);
    assert_int_equal(pcscf_registrations(w->pcscf), 1);
}

static void a_subscription_is_refreshed_and_begun_anew(void **state) {
    struct world *w = (struct world *)*state;
    begin(w);
    for (unsigned i = 0; i < 12; i++) { /* 6,600 s: 600 before its end */
        script_run(w->sim, 550 * SEC_IN_US);
        w->ue.n = w->icscf.n = 0;
        if (i < 11) {
            enrol(w, i + 2);
        }
    }
    assert_true(w->scscf.n > 0);
    assert_int_equal(peer_last(&w->scscf)->method, SIP_SUBSCRIBE);
    assert_true(span_eq(peer_last(&w->scscf)->call_id, span_from_cstr(w->call_id)));
    peer_reply(&w->scscf, 481, ""); /* the S-CSCF has restarted */
    pass(w);
    const struct sip_msg *m = peer_last(&w->icscf);
    assert_int_equal(m->method, SIP_SUBSCRIBE);
    assert_int_equal(m->to_tag.n, 0);
    assert_false(span_eq(m->call_id, span_from_cstr(w->call_id)));
    peer_reply(&w->icscf, 403, "");
    pass(w);
    size_t heard = w->icscf.n;
    enrol(w, 20); /* the next 200 tries again */
    assert_int_equal(w->icscf.n, heard + 2);
    assert_int_equal(peer_last(&w->icscf)->method, SIP_SUBSCRIBE);
}

static void the_last_notify_of_who_has_left_is_taken(void **state) {
    struct world *w = (struct world *)*state;
    begin(w);
    script_run(w->sim, 601 * SEC_IN_US);
    assert_int_equal(pcscf_registrations(w->pcscf), 0);
    assert_int_equal(notify(w, "terminated;reason=noresource",
                            DOCUMENT("0", "partial", ELEMENT(IMPU, "terminated", GONE("expired")))),
                     200);
    assert_int_equal(notify(w, "terminated", ""), 481);
    begin(w);
    script_run(w->sim, 640 * SEC_IN_US); /* nobody says anything: it is forgotten */
    assert_int_equal(notify(w, "active", ""), 481);
}

static void a_crash_while_it_asks_leaks_nothing(void **state) {
    enrol((struct world *)*state, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(who_registers_is_subscribed_to),
        TEST(what_the_network_ends_is_gone_at_once),
        TEST(an_old_document_changes_nothing),
        TEST(a_missed_document_is_asked_for),
        TEST(identities_are_learned),
        TEST(what_is_no_identity_is_not_learned),
        TEST(wrong_notifies_are_refused),
        TEST(a_subscription_is_refreshed_and_begun_anew),
        TEST(the_last_notify_of_who_has_left_is_taken),
        TEST(a_crash_while_it_asks_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
