/* covers: A4 A5 A8 A10 A11 HA2 HA5 HA6 HA11 HA13 */
#include "pcscf_world.h"

#include <stdio.h>

static void a_register_goes_to_the_home_network_as_the_standard_wants(void **state) {
    struct world *w = (struct world *)*state;
    say(w, &(struct script_register){
               .lines = "Route: <sip:pcscf." HOME ":5060;lr>\r\n"
                        "Security-Client: ipsec-3gpp; alg=hmac-sha-1-96; spi-c=1; spi-s=2; "
                        "port-c=3; port-s=4\r\n"
                        "Require: sec-agree\r\nProxy-Require: sec-agree\r\n"
                        "P-Access-Network-Info: 3GPP-E-UTRAN-FDD; "
                        "utran-cell-id-3gpp=0010100010000001\r\n"});
    const struct sip_msg *m = peer_last(&w->icscf);
    assert_int_equal(m->method, SIP_REGISTER);
    assert_true(span_eq(m->request_uri, SPAN("sip:" HOME)));
    assert_int_equal(sip_list_count(m, SIP_H_VIA), 2);
    assert_true(span_eq(m->via.host, SPAN("pcscf." HOME)));
    assert_true(has_line(m, SIP_H_MAX_FORWARDS, "69"));
    assert_true(has_line(m, SIP_H_REQUIRE, "path"));
    assert_true(has_line(m, SIP_H_P_VISITED_NETWORK_ID, HOME));
    assert_false(sip_has(m, SIP_H_ROUTE));
    assert_false(sip_has(m, SIP_H_SECURITY_CLIENT));
    assert_false(sip_has(m, SIP_H_PROXY_REQUIRE));
    assert_true(sip_has(m, SIP_H_P_ACCESS_NETWORK_INFO));
    struct sip_auth auth;
    assert_int_equal(sip_auth_parse(sip_value(m, SIP_H_AUTHORIZATION), &auth), OK);
    assert_true(span_eq(auth.integrity_protected, SPAN("no")));
    assert_true(span_eq(auth.username, SPAN(IMPI)));
    struct sip_charging_vector vector;
    assert_int_equal(sip_charging_vector_parse(sip_value(m, SIP_H_P_CHARGING_VECTOR), &vector), OK);
    assert_true(span_eq(vector.orig_ioi, SPAN("visited")));
    struct sip_address path;
    assert_int_equal(sip_address_of(m, SIP_H_PATH, &path), OK);
    assert_int_equal(path.uri.user.n, 16);
    assert_true(span_eq(path.uri.host, SPAN("pcscf." HOME)));
    assert_true(sip_uri_is_loose(&path.uri));
    assert_false(sip_uri_param(&path.uri, SPAN("ob"), NULL));
}

static void outbound_is_said_when_the_terminal_asks(void **state) {
    struct world *w = (struct world *)*state;
    say(w, &(struct script_register){.contact = "<sip:a@127.0.0.9>;reg-id=1;+sip.instance=\"<x>\"",
                                     .lines = "Supported: outbound\r\n"});
    struct sip_address path;
    assert_int_equal(sip_address_of(peer_last(&w->icscf), SIP_H_PATH, &path), OK);
    assert_true(sip_uri_param(&path.uri, SPAN("ob"), NULL));
    /* behind another proxy the flow is not the terminal's (RFC 5626 5.1) */
    say(w, &(struct script_register){.contact = "<sip:a@127.0.0.9>;reg-id=1;+sip.instance=\"<x>\"",
                                     .lines = "Supported: outbound\r\n"
                                              "Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKb\r\n",
                                     .call_id = "behind"});
    assert_int_equal(sip_address_of(peer_last(&w->icscf), SIP_H_PATH, &path), OK);
    assert_false(sip_uri_param(&path.uri, SPAN("ob"), NULL));
}

static void icids_are_never_the_same(void **state) {
    struct world *w = (struct world *)*state;
    say(w, &(struct script_register){0});
    struct span first = sip_value(peer_last(&w->icscf), SIP_H_P_CHARGING_VECTOR);
    say(w, &(struct script_register){.call_id = "two"});
    assert_int_equal(w->icscf.n, 2);
    assert_false(span_eq(first, sip_value(peer_last(&w->icscf), SIP_H_P_CHARGING_VECTOR)));
}

static void forged_header_fields_do_not_pass(void **state) {
    static const char *const forged[] = {"P-Asserted-Identity: <sip:forged@evil>",
                                         "P-Charging-Vector: icid-value=forged",
                                         "P-Charging-Function-Addresses: ccf=forged",
                                         "P-Visited-Network-ID: forged",
                                         "P-Associated-URI: <sip:forged@evil>",
                                         "P-Called-Party-ID: <sip:forged@evil>",
                                         "P-Asserted-Service: urn:forged",
                                         "P-Profile-Key: <sip:forged@evil>",
                                         "P-User-Database: <aaa://forged>",
                                         "P-Served-User: <sip:forged@evil>",
                                         "P-Media-Authorization: f09ed",
                                         "P-Private-Network-Indication: forged",
                                         "Service-Route: <sip:forged@evil;lr>",
                                         "Path: <sip:forged@evil;lr>",
                                         "path:  <sip:forged@evil;lr>",
                                         "PATH: <sip:forged@evil;lr>,\r\n <sip:forged2@evil;lr>",
                                         "Record-Route: <sip:forged@evil;lr>",
                                         "History-Info: <sip:forged@evil>;index=1",
                                         "Restoration-Info: forged",
                                         "Cellular-Network-Info: forged",
                                         "P-Access-Network-Info: 3GPP-forged; network-provided",
                                         FORGED_AUTHORIZATION,
                                         "Route: <sip:forged@evil;lr>",
                                         "Security-Verify: ipsec-3gpp; q=0.1; alg=forged",
                                         "Feature-Caps: *;+g.forged"};
    struct world *w = (struct world *)*state;
    unsigned n = 0;
    for (unsigned round = 0; n < 1000; round++) {
        char lines[4096], call_id[16];
        struct buf b = buf_init(lines, sizeof lines), c = buf_init(call_id, sizeof call_id);
        for (unsigned i = 0; i < 20; i++) {
            buf_printf(&b, "%s\r\n", forged[(round * 7 + i) % COUNT_OF(forged)]);
            n++;
        }
        buf_char(&b, 0);
        buf_printf(&c, "c%u", round);
        buf_char(&c, 0);
        say(w, &(struct script_register){.lines = lines, .call_id = call_id});
        if (w->ue.n) { /* single header fields that stood twice: refused, not relayed */
            assert_int_equal(peer_last(&w->ue)->status, 400);
            w->ue.n = 0;
            continue;
        }
        assert_int_equal(w->icscf.n, 1);
        const char *text = peer_last_text(&w->icscf);
        if (strstr(text, "forged") || strstr(text, "evil") || strstr(text, "\"yes\"")) {
            fail_msg("%s", text);
        }
        answer(w, 500, "");
        w->icscf.n = w->ue.n = 0;
    }
    assert_true(pcscf_counters(w->pcscf)->stripped > 500);
}

/* Who has a registration hears what he is sent; of others nobody knows. */
static void strangers_get_few_answers_that_amplify(void **state) {
    enum { ASKED = 60, BUDGET = 20 };
    struct world *w = (struct world *)*state;
    for (unsigned round = 0; round < 2; round++) {
        w->ue.n = 0;
        for (unsigned i = 0; i < ASKED; i++) {
            char text[400];
            snprintf(text, sizeof text,
                     "OPTIONS sip:127.0.0.1 SIP/2.0\r\nv: SIP/2.0/UDP "
                     "127.0.0.9:5070;branch=z9hG4bK%u-%u\r\nf:<sip:a>"
                     "\r\nt:<sip:a>\r\ni:%u\r\nCSeq:1 OPTIONS\r\n\r\n",
                     round, i, i);
            peer_send(&w->ue, pcscf_at, span_from_cstr(text));
            script_run(w->sim, 100);
        }
        script_run(w->sim, 5 * MS_IN_US);
        assert_int_equal(w->ue.n, round ? ASKED : BUDGET);
        assert_int_equal(pcscf_sip_counters(w->pcscf)->amplifying_dropped, ASKED - BUDGET);
        say(w, &(struct script_register){.call_id = round ? "two" : "one"});
        answer(w, 200, GRANT);
    }
}

struct seen {
    size_t n;
    struct pcscf_registration_view view;
    char contact[128], route[256], associated[128];
};

static void see(void *ctx, const struct pcscf_registration_view *view) {
    struct seen *s = (struct seen *)ctx;
    s->n++;
    s->view = *view;
    assert_true(span_to_cstr(view->contact, s->contact, sizeof s->contact));
    assert_true(span_to_cstr(view->service_route[0], s->route, sizeof s->route));
    assert_true(span_to_cstr(view->associated[1], s->associated, sizeof s->associated));
}

static void a_200_makes_a_registration_until_it_expires(void **state) {
    struct world *w = (struct world *)*state;
    struct seen seen = {0};
    say(w, &(struct script_register){0});
    answer(w, 200, GRANT);
    const struct sip_msg *m = peer_last(&w->ue);
    assert_int_equal(m->status, 200);
    assert_true(sip_has(m, SIP_H_SERVICE_ROUTE));
    assert_false(sip_has(m, SIP_H_P_CHARGING_FUNCTION_ADDRESSES));
    pcscf_each_registration(w->pcscf, see, &seen);
    assert_int_equal(seen.n, 1);
    assert_string_equal(seen.contact, "sip:alice@127.0.0.9:5070");
    assert_string_equal(seen.route, "<sip:orig@scscf." HOME ":6060;lr>");
    assert_string_equal(seen.associated, "<" TEL ">");
    assert_true(addr_eq(&seen.view.terminal, &ue_at));
    script_run(w->sim, 595 * SEC_IN_US);
    assert_int_equal(pcscf_registrations(w->pcscf), 1);
    script_run(w->sim, 10 * SEC_IN_US);
    assert_int_equal(pcscf_registrations(w->pcscf), 0);
    assert_int_equal(pcscf_counters(w->pcscf)->expired, 1);
}

static struct span path_token(const struct sip_msg *m) {
    struct sip_address path;
    assert_int_equal(sip_address_of(m, SIP_H_PATH, &path), OK);
    return path.uri.user;
}

static void a_registration_keeps_its_path_and_ends_with_the_deregistration(void **state) {
    struct world *w = (struct world *)*state;
    say(w, &(struct script_register){0});
    struct span token = path_token(peer_last(&w->icscf));
    answer(w, 200, GRANT);
    say(w, &(struct script_register){.cseq = 2});
    assert_true(span_eq(token, path_token(peer_last(&w->icscf))));
    answer(w, 200, GRANT);
    assert_int_equal(pcscf_registrations(w->pcscf), 1);
    say(w, &(struct script_register){.cseq = 3, .contact = "<sip:alice@127.0.0.9:5070>;expires=0"});
    answer(w, 200, "");
    assert_int_equal(pcscf_registrations(w->pcscf), 0);
    assert_int_equal(pcscf_counters(w->pcscf)->deregistered, 1);
}

static void a_terminal_that_moved_leaves_no_registration_behind(void **state) {
    static const char moved[] = "<sip:alice@127.0.0.9:5099>";
    struct world *w = (struct world *)*state;
    say(w, &(struct script_register){0});
    answer(w, 200, GRANT);
    say(w, &(struct script_register){.cseq = 2, .contact = moved});
    answer(w, 200,
           "Contact: <sip:alice@127.0.0.9:5070>;expires=500, "
           "<sip:alice@127.0.0.9:5099>;expires=600\r\n"
           "Service-Route: <sip:orig@scscf." HOME ":6060;lr>\r\n");
    assert_int_equal(pcscf_registrations(w->pcscf), 2); /* both are bound */
    say(w, &(struct script_register){.cseq = 3, .contact = moved});
    answer(w, 200,
           "Contact: <sip:alice@127.0.0.9:5099>;expires=600\r\n"
           "Service-Route: <sip:orig@scscf." HOME ":6060;lr>\r\n");
    assert_int_equal(pcscf_registrations(w->pcscf), 1);
    assert_int_equal(pcscf_counters(w->pcscf)->replaced, 1);
}

static void a_star_ends_all_registrations_of_the_terminal(void **state) {
    struct world *w = (struct world *)*state;
    say(w, &(struct script_register){0});
    answer(w, 200, GRANT);
    say(w, &(struct script_register){.cseq = 2, .contact = "*", .lines = "Expires: 0\r\n"});
    answer(w, 200, "");
    assert_int_equal(pcscf_registrations(w->pcscf), 0);
}

/* RFC 3261 16.7 and 21.5.4; the table is in stack/sip/unavailable.h. */
static void a_503_that_speaks_for_the_service_is_passed_on(void **state) {
    struct world *w = (struct world *)*state;
    static const char *const lines[] = {
        "Retry-After: 17\r\n",
        "Retry-After: 17\r\nWarning: 399 scscf \"identity-busy: Too many registrations\"\r\n"};
    peer_open(&w->second, w->sim, "icscf-2", second_at);
    for (unsigned i = 0; i < COUNT_OF(lines); i++) {
        say(w, &(struct script_register){.cseq = i + 1});
        assert_int_equal(w->icscf.n, i + 1); /* the door stays in favour */
        answer(w, 503, lines[i]);
        assert_int_equal(peer_last(&w->ue)->status, 503);
        assert_true(has_line(peer_last(&w->ue), SIP_H_RETRY_AFTER, "17"));
    }
    assert_int_equal(w->second.n, 0);
    assert_int_equal(pcscf_counters(w->pcscf)->hops_failed, 0);
}

static void a_door_that_is_overloaded_is_left_for_the_next(void **state) {
    static const char overload[] = "Retry-After: 7\r\nWarning: 399 icscf \"overload: x\"\r\n";
    struct world *w = (struct world *)*state;
    peer_open(&w->second, w->sim, "icscf-2", second_at);
    say(w, &(struct script_register){0});
    answer(w, 503, overload);
    assert_int_equal(w->ue.n, 0);
    assert_int_equal(w->second.n, 1);
    peer_reply(&w->second, 503, overload);
    script_run(w->sim, 20 * MS_IN_US);
    assert_int_equal(peer_last(&w->ue)->status, 503); /* none is left */
    assert_true(has_line(peer_last(&w->ue), SIP_H_RETRY_AFTER, "7"));
    assert_false(sip_has(peer_last(&w->ue), SIP_H_WARNING));
    assert_true(pcscf_counters(w->pcscf)->hops_failed > 0);
}

static void a_503_without_a_time_becomes_500_with_one(void **state) {
    struct world *w = (struct world *)*state;
    peer_open(&w->second, w->sim, "icscf-2", second_at);
    say(w, &(struct script_register){0});
    answer(w, 503, "");
    assert_int_equal(w->second.n, 1);
    peer_reply(&w->second, 503, "");
    script_run(w->sim, 20 * MS_IN_US);
    assert_int_equal(peer_last(&w->ue)->status, 500);
    assert_true(sip_has(peer_last(&w->ue), SIP_H_RETRY_AFTER));
}

static void the_next_door_is_tried_and_then_504(void **state) {
    struct world *w = (struct world *)*state;
    peer_close(&w->icscf);
    peer_open(&w->second, w->sim, "icscf-2", second_at);
    say(w, &(struct script_register){0});
    assert_int_equal(w->second.n, 0);
    script_run(w->sim, 17 * SEC_IN_US);
    assert_true(w->second.n > 0);
    assert_int_equal(w->ue.n, 0);
    script_run(w->sim, 33 * SEC_IN_US);
    assert_int_equal(peer_last(&w->ue)->status, 504);
    assert_int_equal(pcscf_counters(w->pcscf)->hops_failed, 2);
    assert_int_equal(pcscf_counters(w->pcscf)->unreachable, 1);
}

/* Appends text with the first `from` replaced. */
static void replace(struct buf *b, struct span text, const char *from, const char *to) {
    size_t at = span_find(text, span_from_cstr(from));
    assert_true(at < text.n);
    buf_put(b, span_slice(text, 0, at));
    buf_cstr(b, to);
    buf_put(b, span_after(text, at + strlen(from)));
}

static void requests_that_are_wrong_are_refused(void **state) {
    static const struct {
        const char *from, *to; /* what is replaced in a good REGISTER */
        unsigned status;
    } rows[] = {
        {"REGISTER sip:" HOME, "REGISTER sip:user@" HOME, 400},
        {"REGISTER sip:" HOME, "REGISTER sips:" HOME, 416},
        {"REGISTER sip:" HOME, "REGISTER tel:+1", 416},
        {"REGISTER sip:" HOME, "REGISTER sip:127.0.0.2", 403},
        {"REGISTER sip:" HOME, "REGISTER sip:[::1]", 403},
        {"REGISTER sip:" HOME, "REGISTER sip:pcscf." HOME ":5060", 403},
        {"REGISTER sip:" HOME, "REGISTER sip:scscf." HOME, 403},
        {"REGISTER sip:" HOME, "REGISTER sip:scscf." HOME ":6060", 403},
        {"REGISTER sip:" HOME, "REGISTER sip:scscf." HOME ";transport=tcp", 403},
        {"REGISTER sip:" HOME, "REGISTER sip:evil.example", 403},
        {"REGISTER sip:" HOME, "REGISTER sip:mixed.example", 403},
        {"REGISTER sip:" HOME, "REGISTER sip:nowhere.example", 504},
        {"Max-Forwards: 70", "Max-Forwards: 0", 483},
        {"To: <" IMPU ">", "To: <mailto:a@b>", 400},
        {"Supported: path", "Proxy-Require: magic", 420},
        {"Contact: <", "Contact: <<", 400},
        {"response=\"\"", "response=\"", 400},
    };
    struct world *w = (struct world *)*state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char text[SCRIPT_TEXT_MAX], changed[SCRIPT_TEXT_MAX], call_id[8];
        struct buf b = buf_init(text, sizeof text), c = buf_init(changed, sizeof changed);
        struct buf id = buf_init(call_id, sizeof call_id);
        buf_printf(&id, "r%zu", i);
        buf_char(&id, 0);
        struct span good = script_register_text(&b, &(struct script_register){.call_id = call_id});
        replace(&c, good, rows[i].from, rows[i].to);
        w->ue.n = 0;
        peer_send(&w->ue, pcscf_at, buf_span(&c));
        script_run(w->sim, 100 * MS_IN_US);
        if (w->ue.n != 1 || peer_last(&w->ue)->status != rows[i].status) {
            fail_msg("%s: %zu answers, %d", rows[i].to, w->ue.n,
                     w->ue.n ? peer_last(&w->ue)->status : 0);
        }
    }
    assert_int_equal(w->icscf.n, 0);
}

/* What a terminal adds to the domain does not lead past the I-CSCF. */
static void the_domain_alone_finds_the_home_network(void **state) {
    static const char *const added[] = {":5060",
                                        ":6060",
                                        ";maddr=127.0.0.2",
                                        (":6060;maddr=scscf." HOME),
                                        ":3868;maddr=127.0.0.2",
                                        ";transport=tcp"};
    struct world *w = (struct world *)*state;
    struct peer scscf;
    peer_open(&scscf, w->sim, "scscf", scscf_at);
    for (size_t i = 0; i < COUNT_OF(added); i++) {
        char text[SCRIPT_TEXT_MAX], changed[SCRIPT_TEXT_MAX], line[200], call_id[8];
        struct buf b = buf_init(text, sizeof text), c = buf_init(changed, sizeof changed);
        snprintf(call_id, sizeof call_id, "d%zu", i);
        snprintf(line, sizeof line, "REGISTER sip:" HOME "%s", added[i]);
        struct span good = script_register_text(&b, &(struct script_register){.call_id = call_id});
        replace(&c, good, "REGISTER sip:" HOME, line);
        peer_send(&w->ue, pcscf_at, buf_span(&c));
        script_run(w->sim, 100 * MS_IN_US);
        assert_int_equal(w->icscf.n, i + 1);
        assert_int_equal(w->ue.n, i);
        answer(w, 403, "");
    }
    assert_int_equal(scscf.n, 0);
    peer_close(&scscf);
}

static void too_large_is_refused(void **state) {
    struct world *w = (struct world *)*state;
    char lines[9000];
    struct buf b = buf_init(lines, sizeof lines);
    buf_cstr(&b, "X-Long: ");
    while (b.n < 8500) {
        buf_cstr(&b, "long");
        if (b.n % 1000 < 4) {
            buf_cstr(&b, "\r\nX-Long: ");
        }
    }
    buf_cstr(&b, "\r\n");
    char text[20000];
    struct buf t = buf_init(text, sizeof text);
    script_register_text(&t, &(struct script_register){0});
    size_t at = span_find(buf_span(&t), SPAN("Supported"));
    char whole[20000];
    struct buf all = buf_init(whole, sizeof whole);
    buf_put(&all, span_slice(buf_span(&t), 0, at));
    buf_put(&all, buf_span(&b));
    buf_put(&all, span_after(buf_span(&t), at));
    peer_send(&w->ue, pcscf_at, buf_span(&all));
    script_run(w->sim, 100 * MS_IN_US);
    assert_int_equal(peer_last(&w->ue)->status, 513);
    assert_int_equal(w->icscf.n, 0);
}

static void repetitions_are_relayed_once(void **state) {
    struct world *w = (struct world *)*state;
    char text[SCRIPT_TEXT_MAX];
    struct buf b = buf_init(text, sizeof text);
    struct span message = script_register_text(&b, &(struct script_register){0});
    for (int i = 0; i < 5; i++) {
        peer_send(&w->ue, pcscf_at, message);
        script_run(w->sim, 10 * MS_IN_US);
    }
    assert_int_equal(w->icscf.n, 1);
    answer(w, 401, "WWW-Authenticate: Digest realm=\"x\", nonce=\"y\"\r\n");
    assert_int_equal(w->ue.n, 1);
    peer_send(&w->ue, pcscf_at, message);
    script_run(w->sim, 10 * MS_IN_US);
    assert_int_equal(w->ue.n, 2);
    assert_int_equal(w->icscf.n, 1);
}

static void ask(struct world *w, const char *method, const char *uri, const char *lines) {
    char text[2048];
    struct buf b = buf_init(text, sizeof text);
    static unsigned n;
    buf_printf(&b,
               "%s %s SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.9:5070;branch=z9hG4bKa%u\r\n"
               "Max-Forwards: 70\r\nFrom: <" IMPU ">;tag=a\r\nTo: <sip:bob@" HOME ">\r\n"
               "Call-ID: ask%u\r\nCSeq: 1 %s\r\n%sContent-Length: 0\r\n\r\n",
               method, uri, n, n, method, lines);
    n++;
    peer_send(&w->ue, pcscf_at, buf_span(&b));
    script_run(w->sim, 20 * MS_IN_US);
}

static void other_requests_get_a_clean_answer(void **state) {
    struct world *w = (struct world *)*state;
    ask(w, "MESSAGE", "sip:bob@" HOME, "");
    assert_int_equal(peer_last(&w->ue)->status, 403);
    ask(w, "OPTIONS", "sip:pcscf." HOME, "");
    assert_int_equal(peer_last(&w->ue)->status, 200);
    ask(w, "MESSAGE", "sip:alice@127.0.0.9",
        "Route: <sip:0123456789abcdef@pcscf." HOME ":5060;lr>\r\n");
    assert_int_equal(peer_last(&w->ue)->status, 480);
    say(w, &(struct script_register){0});
    answer(w, 200, GRANT);
    ask(w, "MESSAGE", "sip:bob@" HOME, "");
    assert_int_equal(peer_last(&w->ue)->status, 501);
}

struct log_seen {
    unsigned lines;
    char text[4096];
    struct buf b;
};

static void take_line(void *ctx, struct span line) {
    struct log_seen *seen = (struct log_seen *)ctx;
    seen->lines++;
    buf_put(&seen->b, line);
}

/* Hardening HA11: one event is one line, whatever a terminal writes into its identities. */
static void identities_cannot_forge_log_lines(void **state) {
    struct world *w = (struct world *)*state;
    struct log_seen seen = {0};
    seen.b = buf_init(seen.text, sizeof seen.text - 1);
    w->env->log.level = LOG_NOTICE;
    w->env->log.write = take_line;
    w->env->log.ctx = &seen;
    ask(w, "MESSAGE", "sip:bob@" HOME, "");
    char text[SCRIPT_TEXT_MAX], forged[SCRIPT_TEXT_MAX];
    struct buf b = buf_init(text, sizeof text), c = buf_init(forged, sizeof forged);
    struct span good = script_register_text(&b, &(struct script_register){0});
    replace(&c, good, "To: ", "To: \"%n%s \\\" notice \xc3\xa9 status=200\" ");
    good = buf_span(&c);
    b = buf_init(text, sizeof text);
    replace(&b, good, "REGISTER sip:" HOME, "REGISTER sip:127.0.0.1");
    c = b;
    peer_send(&w->ue, pcscf_at, buf_span(&c));
    script_run(w->sim, 20 * MS_IN_US);
    assert_int_equal(peer_last(&w->ue)->status, 403);
    assert_int_equal(seen.lines, 2);
    assert_int_equal(pcscf_counters(w->pcscf)->refused, 2);
    for (size_t i = 0; i < seen.b.n; i++) {
        char at = seen.text[i];
        assert_true(at == '\n' || (at >= ' ' && at <= '~'));
    }
}

static void a_full_pcscf_takes_no_more(void **state) {
    struct world *w = (struct world *)*state;
    pcscf_free(w->pcscf);
    struct pcscf_config config = {.host = SPAN("pcscf." HOME),
                                  .sip = {.addr = pcscf_at},
                                  .visited_network = SPAN(HOME),
                                  .dns = {.source = &w->dns.source},
                                  .registrations_max = 1};
    assert_int_equal(pcscf_new(w->env, &config, &w->pcscf), OK);
    say(w, &(struct script_register){0});
    answer(w, 200, GRANT);
    say(w, &(struct script_register){.impu = TEL, .call_id = "b"});
    assert_int_equal(peer_last(&w->ue)->status, 503);
    say(w, &(struct script_register){.cseq = 2});
    answer(w, 200, GRANT);
    assert_int_equal(peer_last(&w->ue)->status, 200);
}

static void on_stopped(void *ctx) {
    ((struct world *)ctx)->stopped = true;
}

static void stopping_lets_what_is_under_way_end(void **state) {
    struct world *w = (struct world *)*state;
    say(w, &(struct script_register){0});
    pcscf_stop(w->pcscf, on_stopped, w);
    script_run(w->sim, 20 * MS_IN_US);
    assert_false(w->stopped);
    say(w, &(struct script_register){.call_id = "late"});
    assert_int_equal(peer_last(&w->ue)->status, 503);
    answer(w, 200, GRANT);
    assert_true(w->stopped);
}

static void a_crash_with_work_under_way_leaks_nothing(void **state) {
    struct world *w = (struct world *)*state;
    say(w, &(struct script_register){0});
    answer(w, 200, GRANT);
    say(w, &(struct script_register){.call_id = "two", .impu = TEL});
    answer(w, 401,
           "WWW-Authenticate: Digest realm=\"x\", nonce=\"y\", "
           "ck=\"c0c1c2c3c4c5c6c7c8c9cacbcccdcecf\", ik=\"101112131415161718191a1b1c1d1e1f\"\r\n");
    char text[SCRIPT_TEXT_MAX];
    struct buf b = buf_init(text, sizeof text);
    peer_send(&w->ue, pcscf_at,
              script_register_text(&b, &(struct script_register){.call_id = "three"}));
    script_run(w->sim, 150); /* arrived, not resolved or not answered yet */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_register_goes_to_the_home_network_as_the_standard_wants),
        TEST(outbound_is_said_when_the_terminal_asks),
        TEST(icids_are_never_the_same),
        TEST(forged_header_fields_do_not_pass),
        TEST(a_200_makes_a_registration_until_it_expires),
        TEST(a_registration_keeps_its_path_and_ends_with_the_deregistration),
        TEST(a_terminal_that_moved_leaves_no_registration_behind),
        TEST(a_star_ends_all_registrations_of_the_terminal),
        TEST(a_503_that_speaks_for_the_service_is_passed_on),
        TEST(a_door_that_is_overloaded_is_left_for_the_next),
        TEST(a_503_without_a_time_becomes_500_with_one),
        TEST(the_next_door_is_tried_and_then_504),
        TEST(requests_that_are_wrong_are_refused),
        TEST(strangers_get_few_answers_that_amplify),
        TEST(the_domain_alone_finds_the_home_network),
        TEST(too_large_is_refused),
        TEST(repetitions_are_relayed_once),
        TEST(other_requests_get_a_clean_answer),
        TEST(identities_cannot_forge_log_lines),
        TEST(a_full_pcscf_takes_no_more),
        TEST(stopping_lets_what_is_under_way_end),
        TEST(a_crash_with_work_under_way_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
