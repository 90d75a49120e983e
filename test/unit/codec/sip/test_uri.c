/* URIs: read, compared, normalised. covers: A4 */
#include "codec/sip/uri.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define assert_span(span_, text_)                                                                  \
    do {                                                                                           \
        struct span s_ = (span_);                                                                  \
        assert_int_equal(s_.n, strlen(text_));                                                     \
        assert_memory_equal(s_.p, text_, s_.n);                                                    \
    } while (0)

static void the_parts_of_a_uri_are_told_apart(void **state) {
    (void)state;
    static const struct {
        const char *text;
        enum sip_uri_scheme scheme;
        const char *user, *password, *host;
        unsigned port;
        const char *params, *headers;
    } cases[] = {
        {"sip:home.net", SIP_URI_SIP, "", "", "home.net", 0, "", ""},
        {"SIP:alice@home.net:5070", SIP_URI_SIP, "alice", "", "home.net", 5070, "", ""},
        {"sips:a:pw@h;transport=tcp;lr?Subject=x&Priority=", SIP_URI_SIPS, "a", "pw", "h", 0,
         "transport=tcp;lr", "Subject=x&Priority="},
        {"sip:a;b?c/d%40@[2001:db8::1]:5061", SIP_URI_SIP, "a;b?c/d%40", "", "[2001:db8::1]", 5061,
         "", ""},
        {"sip:*21#@h", SIP_URI_SIP, "*21#", "", "h", 0, "", ""},
        {"sip:h?a=b", SIP_URI_SIP, "", "", "h", 0, "", "a=b"},
        {"tel:+1-201-555-0123;isub=1", SIP_URI_TEL, "+1-201-555-0123", "", "", 0, "isub=1", ""},
        {"tel:112", SIP_URI_TEL, "112", "", "", 0, "", ""},
        {"urn:service:sos", SIP_URI_OTHER, "service:sos", "", "", 0, "", ""},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct sip_uri uri;
        assert_int_equal(sip_uri_parse(span_from_cstr(cases[i].text), &uri), OK);
        assert_int_equal(uri.scheme, cases[i].scheme);
        assert_int_equal(uri.port, cases[i].port);
        assert_span(uri.user, cases[i].user);
        assert_span(uri.password, cases[i].password);
        assert_span(uri.host, cases[i].host);
        assert_span(uri.params, cases[i].params);
        assert_span(uri.headers, cases[i].headers);
        assert_span(uri.text, cases[i].text);
    }
}

static void broken_uris_are_refused(void **state) {
    (void)state;
    static const char *const cases[] = {
        "",           "sip",        "sip:",       ":a@b",        "sip:@h",     "sip:a@",
        "sip:a b@h",  "sip:a%4@h",  "sip:a%zz@h", "sip:h:",      "sip:h:0",    "sip:h:65536",
        "sip:h:5x",   "sip:[::1",   "sip:[]",     "sip:h;",      "sip:h;;lr",  "sip:h;a=b;",
        "sip:h;a=<",  "sip:h?",     "sip:h?a",    "sip:h?=b",    "sip:a@b@c",  "sip:h/x",
        "tel:",       "tel:+",      "tel:+a",     "tel:--",      "tel:+1;",    "tel:+1 2",
        "urn:",       "urn:a b",    "1a:b",       "sip:a<b@h",   "sip:a\"b@h", "sip: a@h",
        "sip:2001::", "sip:[x::1]", "sip:h?a=b&", "sip:h?a=b c", "sip:\x80@h",
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct sip_uri uri;
        if (sip_uri_parse(span_from_cstr(cases[i]), &uri) == OK) {
            fail_msg("taken: %s", cases[i]);
        }
    }
}

static bool equal(const char *a, const char *b) {
    struct sip_uri x, y;
    assert_int_equal(sip_uri_parse(span_from_cstr(a), &x), OK);
    assert_int_equal(sip_uri_parse(span_from_cstr(b), &y), OK);
    bool result = sip_uri_equal(&x, &y);
    assert_int_equal(sip_uri_equal(&y, &x), result);
    return result;
}

/* The examples of RFC 3261 19.1.4, and those of tel. */
static void uris_compare_as_the_standard_says(void **state) {
    (void)state;
    static const char *const same[][2] = {
        {"sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"},
        {"sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"},
        {"sip:carol@chicago.com", "sip:carol@chicago.com;security=on"},
        {"sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;security=on"},
        {"sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
         "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com"},
        {"sip:alice@atlanta.com?subject=project%20x&priority=urgent",
         "sip:alice@atlanta.com?priority=urgent&subject=project%20x"},
        {"tel:+1-201-555-0123", "tel:+12015550123"},
        {"tel:7042;phone-context=EXAMPLE.com", "tel:7042;phone-context=example.com"},
        {"urn:service:sos", "urn:service:sos"},
    };
    static const char *const different[][2] = {
        {"SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"},
        {"sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"},
        {"sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"},
        {"sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"},
        {"sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"},
        {"sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"},
        {"sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"},
        {"sip:a@b", "sips:a@b"},
        {"sip:a@b", "sip:b"},
        {"sip:a:x@b", "sip:a@b"},
        {"sip:a%3Bb@h", "sip:a;b@h"},
        {"sip:a@b;maddr=1.2.3.4", "sip:a@b"},
        {"tel:+12015550123", "tel:12015550123"},
        {"tel:+1201", "tel:+12"},
        {"tel:+1201;ext=1", "tel:+1201"},
        {"tel:112", "urn:112"},
    };
    for (size_t i = 0; i < COUNT_OF(same); i++) {
        if (!equal(same[i][0], same[i][1])) {
            fail_msg("differ: %s %s", same[i][0], same[i][1]);
        }
    }
    for (size_t i = 0; i < COUNT_OF(different); i++) {
        if (equal(different[i][0], different[i][1])) {
            fail_msg("same: %s %s", different[i][0], different[i][1]);
        }
    }
}

static void identities_have_one_canonical_form(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"SIP:%61lice:secret@Home.NET;user=phone?a=b", "sip:alice@home.net"},
        {"sip:alice@HOME.net:5060;lr", "sip:alice@home.net:5060"},
        {"sip:a%40b@h", "sip:a%40b@h"},
        {"sip:%2a21%23@h", "sip:*21%23@h"},
        {"sip:*21#@h", "sip:*21%23@h"},
        {"sip:a%c3%a9@h", "sip:a%C3%A9@h"},
        {"sip:Home.net", "sip:home.net"},
        {"tel:+44-(1632)-960.100;tgrp=x", "tel:+441632960100"},
        {"TEL:70-42;x=y;phone-context=Example.COM", "tel:7042;phone-context=example.com"},
        {"URN:service:sos", "urn:service:sos"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char text[128];
        struct buf b = buf_init(text, sizeof text);
        struct sip_uri uri;
        assert_int_equal(sip_uri_parse(span_from_cstr(cases[i][0]), &uri), OK);
        sip_uri_put_canonical(&b, &uri);
        assert_span(buf_span(&b), cases[i][1]);
    }
}

static void telephone_numbers_are_normalised(void **state) {
    (void)state;
    static const struct {
        const char *text, *tel; /* NULL: no telephone number */
    } cases[] = {
        {"sip:+1-201-555-0123@home.net;user=phone", "tel:+12015550123"},
        {"sip:+1-201;isub=2@home.net;user=phone", "tel:+1201"},
        {"sip:7042;phone-context=A.b@home.net;user=phone", "tel:7042;phone-context=a.b"},
        {"sip:+12015550123@home.net", NULL},
        {"sip:alice@home.net;user=phone", NULL},
        {"sip:home.net;user=phone", NULL},
        {"urn:service:sos", NULL},
        {"tel:ab*-#1", "tel:ab*#1"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char text[128];
        struct buf b = buf_init(text, sizeof text);
        struct sip_uri uri;
        if (sip_uri_parse(span_from_cstr(cases[i].text), &uri) != OK) {
            assert_null(cases[i].tel);
            continue;
        }
        assert_int_equal(sip_tel_put(&b, &uri), cases[i].tel ? OK : ERR_INVALID);
        assert_span(buf_span(&b), cases[i].tel ? cases[i].tel : "");
    }
}

static void parameters_and_ports_are_found(void **state) {
    (void)state;
    struct sip_uri uri;
    struct span value;
    assert_int_equal(sip_uri_parse(SPAN("sip:h;LR;transport=tcp"), &uri), OK);
    assert_true(sip_uri_is_loose(&uri));
    assert_true(sip_uri_param(&uri, SPAN("Transport"), &value));
    assert_span(value, "tcp");
    assert_false(sip_uri_param(&uri, SPAN("trans"), &value));
    assert_int_equal(sip_uri_port_or_default(&uri), 5060);
    assert_int_equal(sip_uri_parse(SPAN("sips:h"), &uri), OK);
    assert_int_equal(sip_uri_port_or_default(&uri), 5061);
    assert_false(sip_uri_is_loose(&uri));
}

static void escapes_are_made_and_undone(void **state) {
    (void)state;
    char text[64];
    struct buf b = buf_init(text, sizeof text);
    sip_put_user(&b, SPAN("a b@#\"\xff"));
    assert_span(buf_span(&b), "a%20b%40%23%22%FF");
    b.n = 0;
    assert_true(sip_unescape(&b, SPAN("a%20b%40")));
    assert_span(buf_span(&b), "a b@");
    assert_false(sip_unescape(&b, SPAN("%4")));
    assert_false(sip_unescape(&b, SPAN("%gg")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_parts_of_a_uri_are_told_apart),
        cmocka_unit_test(broken_uris_are_refused),
        cmocka_unit_test(uris_compare_as_the_standard_says),
        cmocka_unit_test(identities_have_one_canonical_form),
        cmocka_unit_test(telephone_numbers_are_normalised),
        cmocka_unit_test(parameters_and_ports_are_found),
        cmocka_unit_test(escapes_are_made_and_undone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
