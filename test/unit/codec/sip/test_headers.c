/* Header values, typed. covers: A4 A5 A8 */
#include "codec/sip/headers.h"

#include "messages.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define assert_span(span_, text_)                                                                  \
    do {                                                                                           \
        struct span s_ = (span_);                                                                  \
        assert_int_equal(s_.n, strlen(text_));                                                     \
        assert_memory_equal(s_.p, text_, s_.n);                                                    \
    } while (0)

static void addresses_come_apart(void **state) {
    (void)state;
    static const struct {
        const char *text, *display, *uri, *params;
    } cases[] = {
        {"<sip:a@b>", "", "sip:a@b", ""},
        {"sip:a@b;tag=x", "", "sip:a@b", "tag=x"},
        {"sip:a@b ; tag = x", "", "sip:a@b", " tag = x"},
        {"<sip:a@b;lr;x=y>;tag=x", "", "sip:a@b;lr;x=y", "tag=x"},
        {"Alice B. <sip:a@b>", "Alice B.", "sip:a@b", ""},
        {"\"<sip:x@y>, \\\"q\\\"\"  <sip:a,b@c?d=e> ;f=\"g;h\"", "<sip:x@y>, \\\"q\\\"",
         "sip:a,b@c?d=e", "f=\"g;h\""},
        {"<tel:+44-1632>", "", "tel:+44-1632", ""},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct sip_address a;
        assert_int_equal(sip_address_parse(span_from_cstr(cases[i].text), &a), OK);
        assert_span(a.display, cases[i].display);
        assert_span(a.uri_text, cases[i].uri);
        assert_span(a.params, cases[i].params);
    }
    static const char *const broken[] = {
        "",        "<sip:a@b",    "sip:a@b>",       "\"x\" sip:a@b",   "\"x <sip:a@b>", "<>",
        "<a@b>",   "<sip:a@b>;;", "<sip:a@b>;tag=", "<sip:a@b> x",     "a,b <sip:a@b>", "sip:a@b;",
        "sip:a,b", "<sip: a@b>",  "sip:a@b?c=d",    "<sip:a@b>;a=b c",
    };
    for (size_t i = 0; i < COUNT_OF(broken); i++) {
        struct sip_address a;
        if (sip_address_parse(span_from_cstr(broken[i]), &a) == OK) {
            fail_msg("taken: %s", broken[i]);
        }
    }
}

static void contacts_carry_their_parameters(void **state) {
    (void)state;
    struct sip_list list = sip_list_of_text(
        SPAN("\"a, b\" <sip:a@b>;expires=60;q=0.25;reg-id=3;"
             "+sip.instance=\"<urn:gsma:imei:1>\";+g.3gpp.smsip, <sip:c@d>;expires=x,*,"
             "<sip:e@f>;expires=99999999999;pub-gruu=\"sip:e@f;gr=1\";temp-gruu=\"sip:t\""));
    struct sip_contact c;
    assert_true(sip_contact_next(&list, &c));
    assert_int_equal(c.expires_s, 60);
    assert_int_equal(c.q_thousandth, 250);
    assert_int_equal(c.reg_id, 3);
    assert_span(c.instance, "urn:gsma:imei:1");
    assert_true(sip_param(c.address.params, SPAN("+G.3GPP.smsip"), NULL));
    assert_true(sip_contact_next(&list, &c));
    assert_true(c.has_expires);
    assert_int_equal(c.expires_s, 3600);
    assert_int_equal(c.q_thousandth, 1000);
    assert_int_equal(c.reg_id, 0);
    assert_true(sip_contact_next(&list, &c));
    assert_true(c.address.star);
    assert_true(sip_contact_next(&list, &c));
    assert_int_equal(c.expires_s, UINT32_MAX);
    assert_span(c.pub_gruu, "sip:e@f;gr=1");
    assert_span(c.temp_gruu, "sip:t");
    assert_false(sip_contact_next(&list, &c));
    assert_false(list.malformed);

    static const char *const broken[] = {"<sip:a>;q=2",      "<sip:a>;q=0.5000", "<sip:a>;reg-id=0",
                                         "<sip:a>;reg-id=x", "<sip:a>,,<sip:b>", "<sip:a>,"};
    for (size_t i = 0; i < COUNT_OF(broken); i++) {
        list = sip_list_of_text(span_from_cstr(broken[i]));
        while (sip_contact_next(&list, &c)) {
        }
        assert_true(list.malformed);
    }
}

static void digest_credentials_and_challenges_are_read(void **state) {
    (void)state;
    struct sip_auth a;
    assert_int_equal(
        sip_auth_parse(SPAN("Digest username=\"a\\\"b\" , REALM=\"r\",nonce=\"\", uri=\"sip:h\",\t"
                            "response=\"0a\",algorithm=AKAv1-MD5,cnonce=\"c\", opaque=\"o\","
                            "qop=auth ,nc=00000001,auts=\"YQ==\",integrity-protected=\"yes\","
                            "unknown=\"x,y\""),
                       &a),
        OK);
    assert_span(a.scheme, "Digest");
    assert_span(a.username, "a\\\"b");
    assert_span(a.realm, "r");
    assert_non_null(a.nonce.p);
    assert_span(a.nonce, "");
    assert_span(a.uri, "sip:h");
    assert_span(a.response, "0a");
    assert_span(a.algorithm, "AKAv1-MD5");
    assert_span(a.cnonce, "c");
    assert_span(a.opaque, "o");
    assert_span(a.qop, "auth");
    assert_span(a.nc, "00000001");
    assert_span(a.auts, "YQ==");
    assert_span(a.integrity_protected, "yes");
    assert_null(a.ck.p);
    assert_int_equal(sip_auth_parse(SPAN("Digest realm=\"r\",nonce=\"n\",qop=\"auth,auth-int\","
                                         "stale=true,domain=\"d\",ck=\"01\",ik=\"02\""),
                                    &a),
                     OK);
    assert_span(a.qop, "auth,auth-int");
    assert_span(a.stale, "true");
    assert_span(a.domain, "d");
    assert_span(a.ck, "01");
    assert_span(a.ik, "02");
    assert_int_equal(sip_auth_parse(SPAN("NoOneKnowsThisScheme opaque-data=here"), &a), OK);
    assert_span(a.scheme, "NoOneKnowsThisScheme");
    assert_null(a.opaque.p);
    assert_int_equal(sip_auth_info_parse(SPAN("nextnonce=\"n\",rspauth=\"r\",qop=auth"), &a), OK);
    assert_span(a.nextnonce, "n");
    assert_span(a.rspauth, "r");

    static const char *const broken[] = {
        "",
        "Digest",
        "Digest realm",
        "Digest realm=\"a",
        "Digest realm=\"a\" nonce=\"b\"",
        "Digest realm=\"a\",",
        "Digest ,realm=\"a\"",
        "Digest realm=\"a\",realm=\"b\"",
        "Digest nonce=\"\",nonce=\"\"",
        "Digest qop=a b",
    };
    for (size_t i = 0; i < COUNT_OF(broken); i++) {
        if (sip_auth_parse(span_from_cstr(broken[i]), &a) == OK) {
            fail_msg("taken: %s", broken[i]);
        }
    }
}

static void security_mechanisms_are_read(void **state) {
    (void)state;
    struct sip_list list = sip_list_of_text(
        SPAN("ipsec-3gpp;q=0.1;alg=hmac-sha-1-96;ealg=aes-cbc;prot=esp;mod=trans;spi-c=4294967295;"
             "spi-s=2;port-c=5062;port-s=5064, tls"));
    struct sip_security s;
    assert_true(sip_security_next(&list, &s));
    assert_span(s.mechanism, "ipsec-3gpp");
    assert_int_equal(s.q_thousandth, 100);
    assert_span(s.alg, "hmac-sha-1-96");
    assert_span(s.ealg, "aes-cbc");
    assert_span(s.prot, "esp");
    assert_span(s.mod, "trans");
    assert_int_equal(s.spi_c, 4294967295u);
    assert_int_equal(s.spi_s, 2);
    assert_int_equal(s.port_c, 5062);
    assert_int_equal(s.port_s, 5064);
    assert_true(sip_security_next(&list, &s));
    assert_span(s.mechanism, "tls");
    assert_int_equal(s.q_thousandth, 1000);
    assert_false(sip_security_next(&list, &s));
    assert_false(list.malformed);
    static const char *const broken[] = {"ipsec-3gpp;spi-c=4294967296", "ipsec-3gpp;port-c=0",
                                         "ipsec-3gpp;alg", ";alg=x", "ipsec-3gpp;q=x"};
    for (size_t i = 0; i < COUNT_OF(broken); i++) {
        assert_int_equal(sip_security_parse(span_from_cstr(broken[i]), &s), ERR_MALFORMED);
    }
}

static void p_headers_are_read(void **state) {
    (void)state;
    struct sip_charging_vector v;
    assert_int_equal(sip_charging_vector_parse(
                         SPAN("icid-value=\"1234bc9876e\";icid-generated-at=192.0.6.8;"
                              "orig-ioi=\"home1.net\";term-ioi=home2.net;related-icid=x;other"),
                         &v),
                     OK);
    assert_span(v.icid_value, "1234bc9876e");
    assert_span(v.icid_generated_at, "192.0.6.8");
    assert_span(v.orig_ioi, "home1.net");
    assert_span(v.term_ioi, "home2.net");
    assert_span(v.related_icid, "x");
    assert_null(v.transit_ioi.p);
    assert_int_equal(sip_charging_vector_parse(SPAN("orig-ioi=home1.net"), &v), ERR_MALFORMED);

    struct sip_charging_functions f;
    assert_int_equal(sip_charging_functions_parse(
                         SPAN("ccf=\"aaa://a\";ccf=\"aaa://b\";ecf=192.1.1.1;ecf=[::1]"), &f),
                     OK);
    assert_span(f.ccf, "aaa://a");
    assert_span(f.ccf2, "aaa://b");
    assert_span(f.ecf, "192.1.1.1");
    assert_span(f.ecf2, "[::1]");

    struct sip_access_network n;
    assert_int_equal(
        sip_access_network_parse(
            SPAN("3GPP-E-UTRAN-FDD; utran-cell-id-3gpp=\"0010100\";network-provided"), &n),
        OK);
    assert_span(n.type, "3GPP-E-UTRAN-FDD");
    assert_span(n.cell, "0010100");
    assert_true(n.provided_by_network);
    assert_int_equal(sip_access_network_parse(SPAN(";x"), &n), ERR_MALFORMED);

    struct span network, params;
    assert_int_equal(
        sip_visited_network_parse(SPAN("\"Visited network 1\";a=b"), &network, &params), OK);
    assert_span(network, "Visited network 1");
    assert_span(params, "a=b");
    assert_int_equal(sip_visited_network_parse(SPAN("home.net"), &network, &params), OK);
    assert_span(network, "home.net");
    assert_int_equal(sip_visited_network_parse(SPAN("\"open"), &network, &params), ERR_MALFORMED);
}

static void small_values_are_read(void **state) {
    (void)state;
    struct sip_retry_after after;
    assert_int_equal(sip_retry_after_parse(SPAN("120 (I'm (really) in)  ;duration=60"), &after),
                     OK);
    assert_int_equal(after.delay_s, 120);
    assert_span(after.comment, "I'm (really) in");
    assert_span(after.params, "duration=60");
    assert_int_equal(sip_retry_after_parse(SPAN("5"), &after), OK);
    assert_int_equal(sip_retry_after_parse(SPAN("5 (open"), &after), ERR_MALFORMED);
    assert_int_equal(sip_retry_after_parse(SPAN("5 (open\\"), &after), ERR_MALFORMED);
    assert_int_equal(sip_retry_after_parse(SPAN("soon"), &after), ERR_MALFORMED);

    struct sip_reason reason;
    assert_int_equal(sip_reason_parse(SPAN("SIP ;cause=600 ;text=\"Busy Everywhere\""), &reason),
                     OK);
    assert_span(reason.protocol, "SIP");
    assert_int_equal(reason.cause, 600);
    assert_span(reason.text, "Busy Everywhere");
    assert_int_equal(sip_reason_parse(SPAN("Q.850;cause=x"), &reason), ERR_MALFORMED);

    struct sip_warning warning;
    assert_int_equal(sip_warning_parse(SPAN("370 devnull \"Choose a \\\"pipe\\\"\""), &warning),
                     OK);
    assert_int_equal(warning.code, 370);
    assert_span(warning.agent, "devnull");
    assert_span(warning.text, "Choose a \\\"pipe\\\"");
    char text[32];
    struct buf b = buf_init(text, sizeof text);
    sip_unquote(&b, warning.text);
    assert_span(buf_span(&b), "Choose a \"pipe\"");
    assert_int_equal(sip_warning_parse(SPAN("3700 devnull \"x\""), &warning), ERR_MALFORMED);
    assert_int_equal(sip_warning_parse(SPAN("370 devnull x"), &warning), ERR_MALFORMED);

    struct sip_event event;
    assert_int_equal(sip_event_parse(SPAN("reg;id=7"), &event), OK);
    assert_span(event.package, "reg");
    assert_span(event.id, "7");
    assert_int_equal(sip_event_parse(SPAN(""), &event), ERR_MALFORMED);
}

static void values_of_a_message_are_found(void **state) {
    (void)state;
    struct chunk_pool pool;
    chunk_pool_init(&pool, 8192, 1);
    struct arena arena = arena_init(&pool);
    char bytes[] = SIP_REGISTER_TEXT;
    struct sip_limits limits = sip_limits_default();
    struct sip_msg *msg;
    struct sip_fault fault;
    assert_int_equal(sip_parse(&arena, bytes, sizeof bytes - 1, &limits, &msg, &fault), OK);
    uint32_t number;
    assert_int_equal(sip_number_of(msg, SIP_H_EXPIRES, &number), OK);
    assert_int_equal(number, 600000);
    assert_int_equal(sip_number_of(msg, SIP_H_MIN_EXPIRES, &number), ERR_NOT_FOUND);
    assert_int_equal(sip_number_of(msg, SIP_H_CSEQ, &number), ERR_MALFORMED);
    struct sip_address from;
    assert_int_equal(sip_address_of(msg, SIP_H_FROM, &from), OK);
    assert_span(from.display, "Alice \\\"A\\\" Smith");
    assert_span(from.uri.user, "alice");
    assert_int_equal(sip_address_of(msg, SIP_H_PATH, &from), ERR_NOT_FOUND);
    struct sip_list list = sip_list_of(msg, SIP_H_CONTACT);
    struct sip_contact contact;
    assert_true(sip_contact_next(&list, &contact));
    assert_span(contact.instance, "urn:gsma:imei:90420156-025763-0");
    assert_int_equal(contact.reg_id, 2);
    struct sip_auth auth;
    assert_int_equal(sip_auth_parse(sip_value(msg, SIP_H_AUTHORIZATION), &auth), OK);
    assert_span(auth.integrity_protected, "no");
    arena_release(&arena);
    chunk_pool_free(&pool);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_come_apart),
        cmocka_unit_test(contacts_carry_their_parameters),
        cmocka_unit_test(digest_credentials_and_challenges_are_read),
        cmocka_unit_test(security_mechanisms_are_read),
        cmocka_unit_test(p_headers_are_read),
        cmocka_unit_test(small_values_are_read),
        cmocka_unit_test(values_of_a_message_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
