#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "crypto/digest.h"

static struct digest d;

static int setup(void **state) {
    (void)state;
    return digest_init(&d);
}

static int teardown(void **state) {
    (void)state;
    digest_free(&d);
    return 0;
}

struct vector {
    const char *user, *realm;
    struct span password;
    struct digest_request request;
    const char *response;
};

#define AKA_USER  "001010000000001@ims.mnc001.mcc001.3gppnetwork.org"
#define AKA_REALM "ims.mnc001.mcc001.3gppnetwork.org"
#define AKA_NONCE "I1U8vpY3qJ0hiuZNrke/NVXzKLQ1d7m5Sp/6w1Tfr7M="
#define AKA_REQUEST(...)                                                                           \
    {                                                                                              \
        .method = SPAN_INIT("REGISTER"), .uri = SPAN_INIT("sip:" AKA_REALM),                       \
        .nonce = SPAN_INIT(AKA_NONCE), __VA_ARGS__                                                 \
    }

static const struct vector vectors[] = {
    /* RFC 2617 section 3.5 */
    {"Mufasa",
     "testrealm@host.com",
     SPAN_INIT("Circle Of Life"),
     {.qop = DIGEST_QOP_AUTH,
      .method = SPAN_INIT("GET"),
      .uri = SPAN_INIT("/dir/index.html"),
      .nonce = SPAN_INIT("dcd98b7102dd2f0e8b11d0f600bfb0c093"),
      .nc = SPAN_INIT("00000001"),
      .cnonce = SPAN_INIT("0a4f113b")},
     "6629fae49393a05397450978507c4ef1"},
    /* RFC 2069 section 2.4 with its erratum 749: the form without qop */
    {"Mufasa",
     "testrealm@host.com",
     SPAN_INIT("CircleOfLife"),
     {.method = SPAN_INIT("GET"),
      .uri = SPAN_INIT("/dir/index.html"),
      .nonce = SPAN_INIT("dcd98b7102dd2f0e8b11d0f600bfb0c093")},
     "1949323746fe6a43ef61f9606e7febea"},
    /* RFC 7616 section 3.9.1 */
    {"Mufasa",
     "http-auth@example.org",
     SPAN_INIT("Circle of Life"),
     {.qop = DIGEST_QOP_AUTH,
      .method = SPAN_INIT("GET"),
      .uri = SPAN_INIT("/dir/index.html"),
      .nonce = SPAN_INIT("7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"),
      .nc = SPAN_INIT("00000001"),
      .cnonce = SPAN_INIT("f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ")},
     "8ca523f5e9506fed4657c9700eebdbec"},
    {"Mufasa",
     "http-auth@example.org",
     SPAN_INIT("Circle of Life"),
     {.hash = DIGEST_SHA256,
      .qop = DIGEST_QOP_AUTH,
      .method = SPAN_INIT("GET"),
      .uri = SPAN_INIT("/dir/index.html"),
      .nonce = SPAN_INIT("7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"),
      .nc = SPAN_INIT("00000001"),
      .cnonce = SPAN_INIT("f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ")},
     "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"},
    /* RFC 3310 over set 1 of TS 35.208, computed with another implementation (Python's hashlib) */
    {AKA_USER, AKA_REALM, SPAN_INIT("\xa5\x42\x11\xd5\xe3\xba\x50\xbf"), AKA_REQUEST(),
     "1125a3c2e293453f07e08957ff235efc"},
    {AKA_USER, AKA_REALM, SPAN_INIT("\xa5\x42\x11\xd5\xe3\xba\x50\xbf"),
     AKA_REQUEST(.qop = DIGEST_QOP_AUTH, .nc = SPAN_INIT("00000001"),
                 .cnonce = SPAN_INIT("0a4f113b")),
     "402ab8df9f3a4d63a9f47c2f90e02938"},
    {AKA_USER, AKA_REALM, SPAN_INIT("\xa5\x42\x11\xd5\xe3\xba\x50\xbf"),
     AKA_REQUEST(.qop = DIGEST_QOP_AUTH_INT, .nc = SPAN_INIT("00000001"),
                 .cnonce = SPAN_INIT("0a4f113b")),
     "5682a0ac7d51b056ce2245ed00d885c0"},
    /* the same with zero bytes in RES, and with the empty password that goes with auts */
    {AKA_USER, AKA_REALM, SPAN_INIT("\0\x11\x22\0\0\x33\0\0"), AKA_REQUEST(),
     "5387c89850bf5a6514df0c8d8373a63b"},
    {AKA_USER, AKA_REALM, {NULL, 0}, AKA_REQUEST(), "6821238d21754c12bf172c668144dbb6"},
};

/* covers: A10 */
static void the_standards_responses_come_out(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(vectors); i++) {
        const struct vector *v = &vectors[i];
        struct digest_hex ha1, response;
        assert_int_equal(digest_ha1(&d, v->request.hash, span_from_cstr(v->user),
                                    span_from_cstr(v->realm), v->password, &ha1),
                         OK);
        assert_int_equal(digest_response(&d, &ha1, &v->request, &response), OK);
        struct span expected = span_from_cstr(v->response);
        assert_int_equal(response.n, expected.n);
        assert_memory_equal(response.text, expected.p, expected.n);
        assert_int_equal(digest_check(&d, &ha1, &v->request, expected), OK);
    }
}

static void a_response_is_right_in_whole_or_not_at_all(void **state) {
    (void)state;
    const struct vector *v = &vectors[5];
    struct digest_hex ha1;
    assert_int_equal(digest_ha1(&d, DIGEST_MD5, span_from_cstr(v->user), span_from_cstr(v->realm),
                                v->password, &ha1),
                     OK);
    char text[32];
    memcpy(text, v->response, sizeof text);
    for (size_t i = 0; i < sizeof text; i++) {
        char kept = text[i];
        text[i] = kept == '0' ? '1' : '0';
        assert_int_equal(digest_check(&d, &ha1, &v->request, span_of(text, sizeof text)),
                         ERR_AUTHENTICATION);
        text[i] = kept;
        assert_int_equal(digest_check(&d, &ha1, &v->request, span_of(text, i)), ERR_AUTHENTICATION);
    }
    assert_int_equal(digest_check(&d, &ha1, &v->request, SPAN("402AB8DF9F3A4D63A9F47C2F90E02938")),
                     OK);
    struct digest_request other = v->request;
    other.nc = SPAN("00000002");
    assert_int_equal(digest_check(&d, &ha1, &other, span_from_cstr(v->response)),
                     ERR_AUTHENTICATION);
}

static void a_list_of_qops_gives_the_best_known_one(void **state) {
    (void)state;
    static const struct {
        const char *list;
        bool ok;
        enum digest_qop qop;
    } cases[] = {
        {"", true, DIGEST_QOP_NONE},
        {"auth", true, DIGEST_QOP_AUTH},
        {"auth,auth-int", true, DIGEST_QOP_AUTH},
        {"auth-int, AUTH", true, DIGEST_QOP_AUTH},
        {"auth-int", true, DIGEST_QOP_AUTH_INT},
        {"token, auth-int", true, DIGEST_QOP_AUTH_INT},
        {"token", false, 0},
        {",", false, 0},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        enum digest_qop qop = DIGEST_QOP_NONE;
        assert_int_equal(digest_qop_choose(span_from_cstr(cases[i].list), &qop), cases[i].ok);
        if (cases[i].ok) {
            assert_int_equal(qop, cases[i].qop);
        }
    }
    enum digest_qop qop;
    assert_true(digest_qop_parse(SPAN("Auth-Int"), &qop));
    assert_string_equal(digest_qop_name(qop), "auth-int");
    assert_false(digest_qop_parse(SPAN("auth,auth-int"), &qop));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_standards_responses_come_out),
        cmocka_unit_test(a_response_is_right_in_whole_or_not_at_all),
        cmocka_unit_test(a_list_of_qops_gives_the_best_known_one),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
