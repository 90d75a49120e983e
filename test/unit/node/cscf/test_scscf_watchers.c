/* covers: A12 B2 */
#include "codec/reginfo/reginfo.h"
#include "scscf_world.h"

#define PCSCF "<sip:pcscf." HOME ":5060>"
#define ALICE "sip:alice@127.0.0.9:5070"

/* A SUBSCRIBE of the P-CSCF, which is the scripted peer. */
struct subscribe {
    const char *uri, *asserted, *lines; /* NULL: the usual ones */
    const char *to_tag;                 /* NULL: a new one */
    unsigned cseq;
    int expires; /* below 0: no Expires */
};

static unsigned subscribe(struct world *w, struct subscribe s) {
    static unsigned branch;
    char text[SCRIPT_TEXT_MAX];
    struct buf b = buf_init(text, sizeof text);
    buf_printf(&b, "SUBSCRIBE %s SIP/2.0\r\n", s.uri ? s.uri : IMPU);
    buf_printf(&b, "Via: SIP/2.0/UDP 127.0.0.9:4060;branch=z9hG4bK-s%u\r\n", ++branch);
    buf_printf(&b, "From: " PCSCF ";tag=theirs\r\nTo: <" IMPU ">%s%s\r\n", s.to_tag ? ";tag=" : "",
               s.to_tag ? s.to_tag : "");
    buf_printf(&b, "Call-ID: watch\r\nCSeq: %u SUBSCRIBE\r\nMax-Forwards: 70\r\n",
               s.cseq ? s.cseq : 1);
    buf_printf(&b, "P-Asserted-Identity: %s\r\n", s.asserted ? s.asserted : PCSCF);
    buf_cstr(&b, s.lines ? s.lines
                         : "Event: reg\r\nContact: <sip:pcscf." HOME ":4060>\r\n"
                           "Accept: application/reginfo+xml\r\n");
    if (s.expires >= 0) {
        buf_printf(&b, "Expires: %d\r\n", s.expires);
    }
    buf_cstr(&b, "Content-Length: 0\r\n\r\n");
    w->icscf.n = 0;
    peer_send(&w->icscf, scscf_at, buf_span(&b));
    script_run(w->sim, 20 * MS_IN_US);
    return w->icscf.heard[0].msg->status;
}

static bool says(struct span text, const char *word) {
    return contains(text, word);
}

/* The newest message: a NOTIFY, which is answered. Its document. */
static struct reginfo *notified(struct world *w, const char *state) {
    const struct sip_msg *m = peer_last(&w->icscf);
    struct reginfo *info;
    assert_int_equal(m->method, SIP_NOTIFY);
    assert_true(m->is_request);
    assert_true(has_line(m, SIP_H_EVENT, "reg"));
    assert_true(has_line(m, SIP_H_CONTENT_TYPE, "application/reginfo+xml"));
    if (!says(sip_value(m, SIP_H_SUBSCRIPTION_STATE), state)) {
        fail_msg("%s", peer_last_text(&w->icscf));
    }
    assert_int_equal(reginfo_read(m->body, &w->icscf.arena, &info), OK);
    peer_reply(&w->icscf, 200, "");
    script_run(w->sim, 20 * MS_IN_US);
    return info;
}

static const struct reginfo_registration *of(const struct reginfo *info, const char *aor) {
    for (size_t i = 0; i < info->n_registrations; i++) {
        if (span_eq(info->registrations[i].aor, span_from_cstr(aor))) {
            return &info->registrations[i];
        }
    }
    return NULL;
}

static void begin(struct world *w) {
    assert_int_equal(enrol(w, (struct script_register){0}), 200);
    assert_int_equal(subscribe(w, (struct subscribe){.expires = 7200}), 200);
}

static size_t watchers(const struct world *w) {
    return scscf_counts(w->scscf).watchers;
}

static void on_answer(void *ctx, const struct diameter_msg *msg) {
    (void)ctx;
    assert_true(diameter_result_is_success(msg->result));
}

static void on_no_answer(void *ctx, enum error why) {
    (void)ctx;
    fail_msg("%s", error_name(why));
}

static const struct diameter_answer_handler hss_asks = {on_answer, on_no_answer};

static struct diameter_builder *hss_begin(struct world *w, uint32_t command) {
    w->icscf.n = 0;
    return diameter_request_begin(w->hss.diameter,
                                  &(struct diameter_route){.application = CX_APPLICATION,
                                                           .command = command,
                                                           .realm = SPAN(HOME),
                                                           .host = SPAN("scscf." HOME)});
}

static void hss_send(struct world *w) {
    assert_int_equal(diameter_request_send(w->hss.diameter, &hss_asks, w, NULL), OK);
    script_run(w->sim, 20 * MS_IN_US);
}

static void terminate(struct world *w, enum cx_reason_code why) {
    cx_rtr_encode(
        hss_begin(w, CX_COMMAND_REGISTRATION_TERMINATION),
        &(struct cx_rtr){.user_name = SPAN(IMPI), .deregistration_reason = {.reason_code = why}});
    hss_send(w);
}

static void a_subscriber_is_told_all_there_is_at_once(void **state) {
    struct world *w = (struct world *)*state;
    begin(w);
    assert_int_equal(w->icscf.n, 2);
    const struct sip_msg *ok = w->icscf.heard[0].msg;
    assert_true(has_line(ok, SIP_H_EXPIRES, "7200"));
    assert_true(has_line(ok, SIP_H_CONTACT, "<sip:scscf." HOME ":6060>"));
    const struct sip_msg *m = peer_last(&w->icscf);
    assert_true(span_eq(m->request_uri, SPAN("sip:pcscf." HOME ":4060")));
    assert_true(span_eq(m->from_tag, ok->to_tag) && span_eq(m->to_tag, SPAN("theirs")));
    struct reginfo *info = notified(w, "active;expires=7200");
    assert_true(info->full);
    assert_int_equal(info->version, 0);
    assert_int_equal(info->n_registrations, 2); /* the barred one is not told */
    const struct reginfo_registration *first = of(info, IMPU), *other = of(info, TEL);
    assert_int_equal(first->state, REGINFO_ACTIVE);
    assert_int_equal(first->n_contacts, 1);
    assert_int_equal(first->contacts[0].event, REGINFO_REGISTERED);
    assert_true(span_eq(first->contacts[0].uri, SPAN(ALICE)));
    assert_int_equal(first->contacts[0].expires_s, 3600);
    assert_int_equal(other->contacts[0].event, REGINFO_CREATED);
    assert_false(span_eq(other->contacts[0].id, first->contacts[0].id));
    assert_int_equal(watchers(w), 1);
}

static void each_change_is_told_by_its_event(void **state) {
    struct world *w = (struct world *)*state;
    begin(w);
    (void)notified(w, "active");
    assert_int_equal(challenge(w, (struct script_register){0}), 401);
    (void)respond(w, (struct script_register){0});
    struct reginfo *info = notified(w, "active");
    assert_false(info->full);
    assert_int_equal(info->version, 1);
    assert_int_equal(of(info, IMPU)->contacts[0].event, REGINFO_REFRESHED);
    /* another contact in its place */
    assert_int_equal(challenge(w, (struct script_register){.contact = "<sip:new@127.0.0.8>"}), 401);
    (void)respond(w, (struct script_register){.contact = "<sip:new@127.0.0.8>"});
    info = notified(w, "active");
    assert_int_equal(info->version, 2);
    assert_int_equal(of(info, TEL)->n_contacts, 2);
    assert_true(of(info, TEL)->contacts[0].active);
    assert_int_equal(of(info, TEL)->contacts[0].event, REGINFO_CREATED);
    assert_false(of(info, TEL)->contacts[1].active);
    assert_int_equal(of(info, TEL)->contacts[1].event, REGINFO_UNREGISTERED);
    /* and it goes, too */
    const char *leave = "<sip:new@127.0.0.8>;expires=0";
    assert_int_equal(challenge(w, (struct script_register){.contact = leave}), 401);
    (void)respond(w, (struct script_register){.contact = leave});
    info = notified(w, "terminated;reason=noresource");
    assert_int_equal(of(info, IMPU)->state, REGINFO_TERMINATED);
    assert_int_equal(of(info, IMPU)->contacts[0].event, REGINFO_UNREGISTERED);
    assert_int_equal(watchers(w), 0);
}

static void an_expiry_is_told(void **state) {
    struct world *w = (struct world *)*state;
    begin(w);
    (void)notified(w, "active");
    w->icscf.n = 0;
    script_run(w->sim, 3601 * SEC_IN_US);
    struct reginfo *info = notified(w, "terminated");
    assert_int_equal(of(info, IMPU)->contacts[0].event, REGINFO_EXPIRED);
    assert_int_equal(watchers(w), 0);
}

static void what_the_hss_ends_is_told_as_the_reason_says(void **state) {
    static const struct {
        enum cx_reason_code why;
        enum reginfo_event event;
    } rows[] = {{CX_REASON_CODE_PERMANENT_TERMINATION, REGINFO_REJECTED},
                {CX_REASON_CODE_SERVER_CHANGE, REGINFO_DEACTIVATED},
                {CX_REASON_CODE_REMOVE_S_CSCF, REGINFO_DEACTIVATED},
                {CX_REASON_CODE_NEW_SERVER_ASSIGNED, REGINFO_EVENTS}};
    struct world *w = (struct world *)*state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        begin(w);
        (void)notified(w, "active");
        terminate(w, rows[i].why);
        if (rows[i].event == REGINFO_EVENTS) {
            assert_int_equal(w->icscf.n, 0);
        } else {
            struct reginfo *info = notified(w, "terminated");
            assert_int_equal(of(info, IMPU)->contacts[0].event, rows[i].event);
            assert_int_equal(of(info, TEL)->contacts[0].event, rows[i].event);
        }
        assert_int_equal(watchers(w), 0);
        assert_int_equal(scscf_counts(w->scscf).bindings, 0);
    }
}

#define OTHER_SET                                                                                  \
    "<IMSSubscription><PrivateID>" IMPI                                                            \
    "</PrivateID><ServiceProfile><PublicIdentity><Identity>" IMPU                                  \
    "</Identity></PublicIdentity><PublicIdentity><Identity>sip:new@" HOME                          \
    "</Identity></PublicIdentity></ServiceProfile></IMSSubscription>"

static void identities_that_come_and_go_are_told(void **state) {
    struct world *w = (struct world *)*state;
    struct cx_charging_information charging = {.primary_event_charging_function_name =
                                                   SPAN("aaa://ecf")};
    begin(w);
    (void)notified(w, "active");
    const struct cx_ppr ppr = {.user_name = SPAN(IMPI), .user_data = SPAN(OTHER_SET)};
    cx_ppr_encode(hss_begin(w, CX_COMMAND_PUSH_PROFILE), &ppr);
    hss_send(w);
    struct reginfo *info = notified(w, "active");
    assert_false(info->full);
    assert_int_equal(info->n_registrations, 2);
    assert_null(of(info, IMPU));
    assert_int_equal(of(info, "sip:new@" HOME)->contacts[0].event, REGINFO_CREATED);
    assert_int_equal(of(info, TEL)->state, REGINFO_TERMINATED);
    assert_int_equal(of(info, TEL)->contacts[0].event, REGINFO_DEACTIVATED);
    /* charging functions are nobody's registration state */
    const struct cx_ppr quiet = {.user_name = SPAN(IMPI), .charging_information = &charging};
    cx_ppr_encode(hss_begin(w, CX_COMMAND_PUSH_PROFILE), &quiet);
    hss_send(w);
    assert_int_equal(w->icscf.n, 0);
    assert_int_equal(watchers(w), 1);
}

static void a_document_that_is_too_large_ends_the_subscription_audibly(void **state) {
    struct world *w = (struct world *)*state;
    static char text[32768];
    struct buf b = buf_init(text, sizeof text);
    buf_cstr(&b, "<?xml version=\"1.0\"?><IMSSubscription><PrivateID>" IMPI
                 "</PrivateID><ServiceProfile><PublicIdentity><Identity>" IMPU
                 "</Identity></PublicIdentity>");
    for (unsigned i = 0; i < 40; i++) {
        buf_printf(&b,
                   "<PublicIdentity><Identity>sip:new.somebody.with.a.long.name.%u@" HOME
                   "</Identity></PublicIdentity>",
                   i);
    }
    buf_cstr(&b, "</ServiceProfile></IMSSubscription>");
    begin(w);
    (void)notified(w, "active");
    const struct cx_ppr ppr = {.user_name = SPAN(IMPI), .user_data = buf_span(&b)};
    cx_ppr_encode(hss_begin(w, CX_COMMAND_PUSH_PROFILE), &ppr);
    hss_send(w);
    const struct sip_msg *m = peer_last(&w->icscf);
    assert_int_equal(m->method, SIP_NOTIFY);
    assert_true(has_line(m, SIP_H_SUBSCRIPTION_STATE, "terminated;reason=giveup"));
    assert_int_equal(m->body.n, 0);
    peer_reply(&w->icscf, 200, "");
    script_run(w->sim, 20 * MS_IN_US);
    assert_int_equal(watchers(w), 0);
    assert_int_equal(scscf_counts(w->scscf).bindings, 1);
}

static void changes_during_a_notify_are_told_by_one_full_document(void **state) {
    struct world *w = (struct world *)*state;
    begin(w); /* the NOTIFY has no answer yet */
    const struct sip_msg *pending = peer_last(&w->icscf);
    char branch[128];
    assert_true(span_to_cstr(pending->via.branch, branch, sizeof branch));
    terminate(w, CX_REASON_CODE_PERMANENT_TERMINATION);
    assert_int_equal(w->icscf.n, 0);
    assert_int_equal(watchers(w), 1);
    script_run(w->sim, 600 * MS_IN_US); /* repeated */
    assert_true(span_eq(peer_last(&w->icscf)->via.branch, span_from_cstr(branch)));
    peer_reply(&w->icscf, 200, "");
    script_run(w->sim, 20 * MS_IN_US);
    struct reginfo *info = notified(w, "terminated");
    assert_true(info->full);
    assert_int_equal(info->version, 1);
    assert_int_equal(of(info, IMPU)->contacts[0].event, REGINFO_REJECTED);
    assert_int_equal(watchers(w), 0);
}

static void strangers_and_wrong_requests_are_refused(void **state) {
    struct world *w = (struct world *)*state;
    assert_int_equal(subscribe(w, (struct subscribe){.expires = 600}), 480);
    assert_int_equal(enrol(w, (struct script_register){0}), 200);
    static const struct {
        struct subscribe s;
        unsigned status;
    } rows[] = {
        {{.asserted = "<sip:pcscf-2." HOME ":5060>"}, 403},
        {{.asserted = "<sip:pcscf." HOME ":5070>"}, 403},
        {{.asserted = "<sip:bob@" HOME ">"}, 403},
        {{.asserted = "<sip:001010000000001@" HOME ">"}, 403}, /* barred */
        {{.uri = "sip:bob@" HOME}, 480},
        {{.lines = "Event: presence\r\nContact: <sip:x>\r\n"}, 489},
        {{.lines = "Contact: <sip:x>\r\n"}, 489},
        {{.lines = "Event: reg\r\n"}, 400},
        {{.lines = "Event: reg\r\nContact: *\r\n"}, 400},
        {{.lines = "Event: reg\r\nContact: <sip:x>\r\nAccept: text/plain\r\n"}, 406},
        {{.lines = "Event: reg\r\nContact: <sip:x>\r\nExpires: soon\r\n", .expires = -1}, 400},
        {{.to_tag = "nobody"}, 481},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        unsigned status = subscribe(w, rows[i].s);
        if (status != rows[i].status) {
            fail_msg("row %zu: %u", i, status);
        }
    }
    assert_int_equal(watchers(w), 0);
    assert_int_equal(subscribe(w, (struct subscribe){.asserted = "<" TEL ">", .expires = 60}), 200);
}

static void what_is_too_long_to_keep_is_refused_as_that(void **state) {
    struct world *w = (struct world *)*state;
    char lines[4500];
    struct buf b = buf_init(lines, sizeof lines - 1);
    buf_printf(&b, "Event: reg\r\nContact: <sip:%04200d@pcscf." HOME ">\r\n", 1);
    lines[b.n] = '\0';
    assert_int_equal(enrol(w, (struct script_register){0}), 200);
    assert_int_equal(subscribe(w, (struct subscribe){.lines = lines, .expires = 90}), 513);
    assert_int_equal(watchers(w), 0);
}

static void too_brief_ones_are_told_how_long(void **state) {
    struct world *w = (struct world *)*state;
    restart(w, (struct scscf_config){.subscription_min_s = 90});
    assert_int_equal(enrol(w, (struct script_register){0}), 200);
    assert_int_equal(subscribe(w, (struct subscribe){.expires = 89}), 423);
    assert_true(has_line(w->icscf.heard[0].msg, SIP_H_MIN_EXPIRES, "90"));
    assert_int_equal(subscribe(w, (struct subscribe){.expires = 0}), 200); /* a fetch */
    (void)notified(w, "terminated;reason=timeout");
    assert_int_equal(subscribe(w, (struct subscribe){.expires = 90}), 200);
}

#define IFC(server)                                                                                \
    "<InitialFilterCriteria><Priority>0</Priority><ApplicationServer><ServerName>" server          \
    "</ServerName></ApplicationServer></InitialFilterCriteria>"
#define WITH_SERVERS                                                                               \
    "<IMSSubscription><PrivateID>" IMPI                                                            \
    "</PrivateID><ServiceProfile><PublicIdentity><Identity>" IMPU                                  \
    "</Identity></PublicIdentity>" IFC("sip:as1." HOME ":5080;lr") IFC("sip:as1." HOME ":5080;lr") \
        IFC("sip:third.example.net") IFC("sip:as2." HOME) "</ServiceProfile></IMSSubscription>"

/* Those that the user's filter criteria name, if they are of the home domain, and those that the
 * configuration names. */
static void application_servers_may_subscribe_if_they_are_trusted(void **state) {
    struct world *w = (struct world *)*state;
    static const struct span servers[] = {SPAN_INIT("sip:presence@as9.example.net"),
                                          SPAN_INIT("sip:as8.example.net:5090")};
    static const struct {
        const char *asserted;
        unsigned status;
    } rows[] = {
        {"<sip:as1." HOME ":5080>", 200},
        {"<sip:as1." HOME ":5081>", 403},
        {"<sip:as2." HOME ":5060>", 200},
        {"<sip:anybody@as2." HOME ">", 200},
        {"<sip:as3." HOME ">", 403},
        {"<sip:third.example.net>", 403},
        {"<sip:presence@as9.example.net>", 200},
        {"<sip:as9.example.net>", 403},
        {"<sip:as8.example.net:5090>", 200},
        {"<sip:as8.example.net>", 403},
    };
    restart(w, (struct scscf_config){.application_servers = servers,
                                     .n_application_servers = COUNT_OF(servers)});
    w->hss.user_data = SPAN(WITH_SERVERS);
    assert_int_equal(enrol(w, (struct script_register){0}), 200);
    for (size_t round = 0; round < 2; round++) {
        for (size_t i = 0; i < COUNT_OF(rows); i++) {
            struct subscribe s = {.asserted = rows[i].asserted, .expires = 0};
            unsigned status = subscribe(w, s);
            if (status != rows[i].status) {
                fail_msg("round %zu, %s: %u", round, rows[i].asserted, status);
            }
            if (status == 200) {
                (void)notified(w, "terminated");
            }
        }
        /* and when the set has moved, too */
        struct cx_charging_information charging = {.primary_event_charging_function_name =
                                                       SPAN("aaa://ecf")};
        const struct cx_ppr ppr = {.user_name = SPAN(IMPI), .charging_information = &charging};
        cx_ppr_encode(hss_begin(w, CX_COMMAND_PUSH_PROFILE), &ppr);
        hss_send(w);
    }
}

static void a_set_has_so_many_subscriptions_and_no_more(void **state) {
    struct world *w = (struct world *)*state;
    restart(w, (struct scscf_config){.subscriptions_max = 2});
    begin(w);
    assert_int_equal(subscribe(w, (struct subscribe){.expires = 600}), 200);
    assert_int_equal(subscribe(w, (struct subscribe){.expires = 600}), 503);
    assert_int_equal(watchers(w), 2);
}

static void count(void *ctx, const struct scscf_binding_view *view) {
    assert_true(span_eq(view->event, SPAN("shortened")));
    assert_int_equal(view->n_subscriptions, 1);
    ++*(size_t *)ctx;
}

/* 5.4.1.6 */
static void the_network_asks_for_authentication(void **state) {
    struct world *w = (struct world *)*state;
    size_t n = 0;
    begin(w);
    (void)notified(w, "active");
    w->icscf.n = 0;
    assert_int_equal(scscf_reauthenticate(w->scscf, SPAN("nobody@" HOME), 40), 0);
    assert_int_equal(scscf_reauthenticate(w->scscf, SPAN(TEL), 40), 1);
    script_run(w->sim, 20 * MS_IN_US);
    struct reginfo *info = notified(w, "active");
    assert_false(info->full);
    assert_int_equal(of(info, IMPU)->contacts[0].event, REGINFO_SHORTENED);
    assert_true(of(info, IMPU)->contacts[0].active);
    assert_int_equal(of(info, IMPU)->contacts[0].expires_s, 40);
    assert_int_equal(of(info, TEL)->contacts[0].event, REGINFO_SHORTENED);
    scscf_each_binding_of(w->scscf, SPAN(IMPI), count, &n);
    assert_int_equal(n, 1);
    /* who comes is authenticated, and has his time again */
    assert_int_equal(challenge(w, (struct script_register){0}), 401);
    (void)respond(w, (struct script_register){0});
    info = notified(w, "active");
    assert_int_equal(of(info, IMPU)->contacts[0].event, REGINFO_REFRESHED);
    assert_int_equal(of(info, IMPU)->contacts[0].expires_s, 3600);
    /* who does not is gone */
    w->icscf.n = 0;
    assert_int_equal(scscf_reauthenticate(w->scscf, SPAN(IMPI), 40), 1);
    script_run(w->sim, 20 * MS_IN_US);
    (void)notified(w, "active");
    w->icscf.n = 0;
    script_run(w->sim, 41 * SEC_IN_US);
    info = notified(w, "terminated");
    assert_int_equal(of(info, IMPU)->contacts[0].event, REGINFO_EXPIRED);
    assert_int_equal(scscf_counts(w->scscf).bindings, 0);
}

static void a_subscription_is_refreshed_fetched_and_ends(void **state) {
    struct world *w = (struct world *)*state;
    char tag[64];
    begin(w);
    assert_true(span_to_cstr(w->icscf.heard[0].msg->to_tag, tag, sizeof tag));
    (void)notified(w, "active");
    struct subscribe again = {.to_tag = tag, .cseq = 2, .expires = 600};
    assert_int_equal(subscribe(w, again), 200);
    struct reginfo *info = notified(w, "active;expires=600");
    assert_true(info->full);
    assert_int_equal(info->version, 1);
    assert_int_equal(subscribe(w, again), 500); /* the same CSeq */
    w->icscf.n = 0;
    script_run(w->sim, 601 * SEC_IN_US);
    (void)notified(w, "terminated;reason=timeout");
    assert_int_equal(watchers(w), 0);
    assert_int_equal(subscribe(w, (struct subscribe){.expires = 0}), 200); /* a fetch */
    assert_true(notified(w, "terminated;reason=timeout")->full);
    assert_int_equal(subscribe(w, (struct subscribe){.expires = 9999999}), 200);
    assert_true(has_line(w->icscf.heard[0].msg, SIP_H_EXPIRES, "600000"));
    assert_int_equal(watchers(w), 1);
}

static void a_subscriber_who_does_not_know_it_or_is_silent_is_dropped(void **state) {
    struct world *w = (struct world *)*state;
    begin(w);
    static const unsigned pass[] = {400, 401, 500, 503, 600};
    for (unsigned i = 0; i < COUNT_OF(pass); i++) {
        peer_reply(&w->icscf, pass[i], "");
        script_run(w->sim, 20 * MS_IN_US);
        assert_int_equal(watchers(w), 1);
        script_run(w->sim, 40 * SEC_IN_US);
        assert_int_equal(challenge(w, (struct script_register){0}), 401);
        (void)respond(w, (struct script_register){0}); /* brings another NOTIFY */
    }
    assert_int_equal(peer_last(&w->icscf)->method, SIP_NOTIFY);
    peer_reply(&w->icscf, 200, "");
    script_run(w->sim, 20 * MS_IN_US);
    assert_int_equal(subscribe(w, (struct subscribe){.expires = 600}), 200);
    peer_reply(&w->icscf, 481, "");
    script_run(w->sim, 20 * MS_IN_US);
    assert_int_equal(watchers(w), 1);
    assert_int_equal(subscribe(w, (struct subscribe){.expires = 600}), 200);
    script_run(w->sim, 40 * SEC_IN_US);
    assert_int_equal(watchers(w), 1);
    assert_int_equal(scscf_counters(w->scscf)->notifies_failed, 7);
    assert_int_equal(scscf_counters(w->scscf)->subscriptions, 3);
}

static void a_crash_with_a_notify_under_way_leaks_nothing(void **state) {
    begin((struct world *)*state);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_subscriber_is_told_all_there_is_at_once),
        TEST(each_change_is_told_by_its_event),
        TEST(an_expiry_is_told),
        TEST(what_the_hss_ends_is_told_as_the_reason_says),
        TEST(identities_that_come_and_go_are_told),
        TEST(a_document_that_is_too_large_ends_the_subscription_audibly),
        TEST(changes_during_a_notify_are_told_by_one_full_document),
        TEST(strangers_and_wrong_requests_are_refused),
        TEST(too_brief_ones_are_told_how_long),
        TEST(what_is_too_long_to_keep_is_refused_as_that),
        TEST(application_servers_may_subscribe_if_they_are_trusted),
        TEST(a_set_has_so_many_subscriptions_and_no_more),
        TEST(the_network_asks_for_authentication),
        TEST(a_subscription_is_refreshed_fetched_and_ends),
        TEST(a_subscriber_who_does_not_know_it_or_is_silent_is_dropped),
        TEST(a_crash_with_a_notify_under_way_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
