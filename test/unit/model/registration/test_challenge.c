/* covers: A7 A10 A11 HA3 */
#include "model/registration/challenge.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct challenge_policy accepting = {true, true, 3, false},
                                     refusing = {false, true, 3, false},
                                     trusting = {true, false, 3, true};

/* A state of AKA, and one of SIP Digest. */
#define AKA(credentials_, protection_, registered_, failures_, resyncs_)                           \
    { credentials_, protection_, registered_, failures_, resyncs_, METHOD_AKA, false }
#define DIGEST(credentials_, protection_, failures_, told_)                                        \
    { credentials_, protection_, false, failures_, 0, METHOD_DIGEST, told_ }

static const struct {
    const char *what;
    const struct challenge_policy *policy;
    struct challenge_state state;
    enum challenge_action action;
} rows[] = {
    {"first REGISTER", &accepting, AKA(CREDENTIALS_NONE, PROTECTION_NONE, false, 0, 0),
     CHALLENGE_SEND},
    {"right, no integrity, accepted", &accepting,
     AKA(CREDENTIALS_RIGHT, PROTECTION_NONE, false, 0, 0), CHALLENGE_ACCEPT},
    {"right, no integrity, refused", &refusing,
     AKA(CREDENTIALS_RIGHT, PROTECTION_NONE, false, 0, 0), CHALLENGE_REFUSE},
    {"right, protected, refusing policy", &refusing,
     AKA(CREDENTIALS_RIGHT, PROTECTION_YES, false, 0, 0), CHALLENGE_ACCEPT},
    {"wrong, first", &accepting, AKA(CREDENTIALS_WRONG, PROTECTION_NONE, false, 0, 0),
     CHALLENGE_AGAIN},
    {"wrong, second", &accepting, AKA(CREDENTIALS_WRONG, PROTECTION_NONE, false, 1, 0),
     CHALLENGE_AGAIN},
    {"wrong, third", &accepting, AKA(CREDENTIALS_WRONG, PROTECTION_NONE, false, 2, 0),
     CHALLENGE_REFUSE},
    {"wrong within a security association", &trusting,
     AKA(CREDENTIALS_WRONG, PROTECTION_YES, true, 2, 0), CHALLENGE_REFUSE},
    {"out of range", &accepting, AKA(CREDENTIALS_AUTS, PROTECTION_NONE, false, 0, 0),
     CHALLENGE_RESYNC},
    {"out of range again", &accepting, AKA(CREDENTIALS_AUTS, PROTECTION_NONE, false, 0, 1),
     CHALLENGE_REFUSE},
    {"neither response nor AUTS", &accepting,
     AKA(CREDENTIALS_NO_TOKEN, PROTECTION_NONE, false, 0, 0), CHALLENGE_REFUSE},
    {"forged challenge refused", &accepting, AKA(CREDENTIALS_FORGED, PROTECTION_NONE, true, 2, 1),
     CHALLENGE_IGNORE},
    {"used-up nonce", &accepting, AKA(CREDENTIALS_STALE, PROTECTION_NONE, true, 0, 0),
     CHALLENGE_SEND},
    {"re-registration without integrity is always challenged", &trusting,
     AKA(CREDENTIALS_NONE, PROTECTION_NONE, true, 0, 0), CHALLENGE_SEND},
    {"protected re-registration, trusted", &trusting,
     AKA(CREDENTIALS_NONE, PROTECTION_YES, true, 0, 0), CHALLENGE_ACCEPT},
    {"the same with its old nonce", &trusting, AKA(CREDENTIALS_STALE, PROTECTION_YES, true, 0, 0),
     CHALLENGE_ACCEPT},
    {"protected re-registration, challenged", &accepting,
     AKA(CREDENTIALS_NONE, PROTECTION_YES, true, 0, 0), CHALLENGE_SEND},
    {"right, AKA, the address is known", &refusing,
     AKA(CREDENTIALS_RIGHT, PROTECTION_IP_YES, false, 0, 0), CHALLENGE_REFUSE},
    {"password, right", &refusing, DIGEST(CREDENTIALS_RIGHT, PROTECTION_NONE, 0, false),
     CHALLENGE_ACCEPT},
    {"password, right, over TLS", &refusing,
     DIGEST(CREDENTIALS_RIGHT, PROTECTION_TLS_PENDING, 2, true), CHALLENGE_ACCEPT},
    {"password, wrong", &accepting, DIGEST(CREDENTIALS_WRONG, PROTECTION_IP_PENDING, 0, false),
     CHALLENGE_AGAIN},
    {"password, wrong too often", &accepting,
     DIGEST(CREDENTIALS_WRONG, PROTECTION_IP_YES, 2, false), CHALLENGE_REFUSE},
    {"old nonce", &accepting, DIGEST(CREDENTIALS_AGED, PROTECTION_IP_YES, 0, false),
     CHALLENGE_STALE},
    {"old nonce again", &accepting, DIGEST(CREDENTIALS_AGED, PROTECTION_IP_YES, 0, true),
     CHALLENGE_SEND},
    {"old count", &accepting, DIGEST(CREDENTIALS_REPLAYED, PROTECTION_IP_YES, 0, false),
     CHALLENGE_STALE},
    {"old count again", &accepting, DIGEST(CREDENTIALS_REPLAYED, PROTECTION_TLS_YES, 0, true),
     CHALLENGE_SEND},
    {"authenticated elsewhere, trusted", &trusting,
     AKA(CREDENTIALS_NONE, PROTECTION_DONE, false, 0, 0), CHALLENGE_ACCEPT},
    {"authenticated elsewhere, says somebody", &accepting,
     AKA(CREDENTIALS_NONE, PROTECTION_DONE, false, 0, 0), CHALLENGE_SEND},
    {"protected, another contact", &trusting, AKA(CREDENTIALS_NONE, PROTECTION_YES, false, 0, 0),
     CHALLENGE_SEND},
};

static void each_row_of_the_table_holds(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct challenge_outcome o = challenge_decide(rows[i].policy, &rows[i].state);
        if (o.action != rows[i].action) {
            fail_msg("%s: %s", rows[i].what, challenge_action_name(o.action));
        }
        assert_non_null(o.clause);
        assert_int_not_equal(o.reason, REASON_NONE);
    }
}

static void every_state_has_a_decision(void **state) {
    (void)state;
    for (int i = 0; i < CREDENTIALS_KINDS * PROTECTION_KINDS * METHOD_KINDS * 2; i++) {
        struct challenge_state s = {
            .credentials = (enum challenge_credentials)(i % CREDENTIALS_KINDS),
            .protection = (enum challenge_protection)(i / CREDENTIALS_KINDS % PROTECTION_KINDS),
            .method = (enum challenge_method)(i / CREDENTIALS_KINDS / PROTECTION_KINDS % 2),
            .stale_told = i / CREDENTIALS_KINDS / PROTECTION_KINDS / METHOD_KINDS};
        struct challenge_outcome o = challenge_decide(&accepting, &s);
        assert_int_not_equal(o.reason, REASON_UNEXPECTED_EVENT);
        assert_true(o.action != CHALLENGE_ACCEPT || s.credentials == CREDENTIALS_RIGHT);
    }
}

/* Only a right response, or a trusted terminal within a security association, is ever accepted. */
static void nothing_else_is_accepted(void **state) {
    (void)state;
    for (int c = 0; c < CREDENTIALS_KINDS; c++) {
        struct challenge_state s = {.credentials = (enum challenge_credentials)c,
                                    .registered = true};
        bool accepted = challenge_decide(&trusting, &s).action == CHALLENGE_ACCEPT;
        assert_int_equal(accepted, c == CREDENTIALS_RIGHT);
        s.protection = PROTECTION_YES;
        accepted = challenge_decide(&accepting, &s).action == CHALLENGE_ACCEPT;
        assert_int_equal(accepted, c == CREDENTIALS_RIGHT);
    }
}

/* TS 24.229 5.4.1.1. */
static void the_mechanism_follows_from_what_the_request_says(void **state) {
    static const struct {
        bool authorization;
        const char *algorithm, *integrity;
        enum challenge_scheme scheme;
    } cases[] = {
        {false, "", "", SCHEME_UNKNOWN},
        {true, "", "", SCHEME_UNKNOWN},
        {true, "", "no", SCHEME_AKA},
        {true, "", "yes", SCHEME_AKA},
        {true, "", "Yes", SCHEME_AKA},
        {true, "", "ip-assoc-pending", SCHEME_DIGEST},
        {true, "", "ip-assoc-yes", SCHEME_DIGEST},
        {true, "", "tls-pending", SCHEME_DIGEST},
        {true, "", "tls-yes", SCHEME_DIGEST},
        {true, "", "auth-done", SCHEME_UNKNOWN},
        {true, "", "perhaps", SCHEME_UNKNOWN},
        {true, "AKAv1-MD5", "", SCHEME_AKA},
        {true, "akav2-sha-256", "ip-assoc-yes", SCHEME_AKA},
        {true, "AKAv2-MD5", "no", SCHEME_AKA},
        {true, "MD5", "", SCHEME_DIGEST},
        {true, "SHA-256", "no", SCHEME_DIGEST},
        {true, "SHA-512-256", "", SCHEME_UNKNOWN},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        enum challenge_protection p = challenge_protection_of(span_from_cstr(cases[i].integrity));
        assert_int_equal(
            challenge_scheme(cases[i].authorization, span_from_cstr(cases[i].algorithm), p),
            cases[i].scheme);
    }
}

static void challenges_stand_in_the_order_of_preference(void **state) {
    static const enum auth_algorithm preferred[] = {AUTH_AKAV2_SHA256, AUTH_AKAV1_MD5, AUTH_SHA256,
                                                    AUTH_MD5, AUTH_SHA256};
    enum auth_algorithm out[AUTH_ALGORITHMS];
    (void)state;
    assert_int_equal(challenge_offers(preferred, COUNT_OF(preferred), AUTH_DIGEST, out), 2);
    assert_int_equal(out[0], AUTH_SHA256);
    assert_int_equal(out[1], AUTH_MD5);
    assert_int_equal(challenge_offers(preferred, COUNT_OF(preferred), AUTH_AKA, out), 2);
    assert_int_equal(out[0], AUTH_AKAV2_SHA256);
    assert_int_equal(out[1], AUTH_AKAV1_MD5);
    assert_int_equal(challenge_offers(preferred, COUNT_OF(preferred), AUTH_ALL, out), 4);
    assert_int_equal(challenge_offers(preferred, 2, AUTH_DIGEST, out), 0);
}

static void algorithms_have_names(void **state) {
    enum auth_algorithm a;
    (void)state;
    for (int i = 0; i < AUTH_ALGORITHMS; i++) {
        assert_true(auth_algorithm_parse(auth_algorithm_name((enum auth_algorithm)i), &a));
        assert_int_equal(a, i);
    }
    assert_true(auth_algorithm_parse(SPAN_NONE, &a));
    assert_int_equal(a, AUTH_MD5);
    assert_false(auth_algorithm_parse(SPAN("MD5-sess"), &a));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_row_of_the_table_holds),
        cmocka_unit_test(every_state_has_a_decision),
        cmocka_unit_test(nothing_else_is_accepted),
        cmocka_unit_test(the_mechanism_follows_from_what_the_request_says),
        cmocka_unit_test(challenges_stand_in_the_order_of_preference),
        cmocka_unit_test(algorithms_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
