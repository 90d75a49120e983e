/* covers: A4 HA6
 * SIP Digest at the HSS: how passwords come in, what leaves, and what MAAs carry. HA1s were
 * computed by Python's hashlib. */
#include "bench.h"

#define PEER     "peer@" HOME
#define PEER_URI "sip:peer@" HOME
/* Of "peer@HOME:HOME:k\xc3\xa4se:brot" (a colon, and a letter of two bytes). */
#define PASSWORD "k\xc3\xa4se:brot"
#define MD5_HA1  "0b6aff8936f98780374a30953e43abbc"
#define SHA_HA1  "2219e141a636bc8ceb7fe029a39ea22806b14d8ffbf97284157a0d701087343a"
#define SUBSCRIPTION(credentials)                                                                  \
    "{\"impis\":[{\"identity\":\"" PEER "\"," credentials "}],"                                    \
    "\"impus\":[{\"identity\":\"" PEER_URI "\",\"default\":true}]}"

static int setup(void **state) {
    *state = bench_new(11, 2000, 0);
    return 0;
}

static int teardown(void **state) {
    bench_free(*state);
    return 0;
}

static void put(struct bench *b, const char *json, unsigned status) {
    assert_int_equal(bench_web(b, "PUT", "/subscriptions/peer", json), status);
}

static struct cx_maa ask(struct bench *b, const char *impi, const char *impu, const char *scheme,
                         struct reply *r) {
    struct cx_mar mar = {
        .user_name = span_from_cstr(impi),
        .public_identity = span_from_cstr(impu),
        .sip_auth_data_item = {.sip_authentication_scheme = span_from_cstr(scheme)},
        .sip_number_auth_items = 1,
        .server_name = SPAN(SCSCF_1)};
    struct cx_maa maa = {0};
    struct diameter_fault fault;

    cx_mar_encode(bench_begin(&b->scscf, CX_COMMAND_MULTIMEDIA_AUTH), &mar);
    bench_send(b, &b->scscf, r);
    bench_wait(b, r);
    if (diameter_result_is_success(r->result)) {
        assert_int_equal(cx_maa_decode(&b->arena, &r->msg, &maa, &fault), OK);
    }
    return maa;
}

static const struct cx_sip_digest_authenticate *digest_of(const struct cx_maa *maa) {
    assert_true(maa->n_sip_auth_data_item >= 1);
    assert_true(span_eq(maa->sip_auth_data_item[0].sip_authentication_scheme, SPAN("SIP Digest")));
    assert_non_null(maa->sip_auth_data_item[0].sip_digest_authenticate);
    return maa->sip_auth_data_item[0].sip_digest_authenticate;
}

#define assert_text(span_, text_) assert_true(span_eq(span_, span_from_cstr(text_)))

static void a_password_becomes_two_hashes_and_is_gone(void **state) {
    struct bench *b = *state;
    struct reply r;

    put(b, SUBSCRIPTION("\"password\":\"" PASSWORD "\""), 201);
    struct cx_maa maa = ask(b, PEER, PEER_URI, "SIP Digest", &r);
    assert_int_equal(maa.n_sip_auth_data_item, 1);
    const struct cx_sip_digest_authenticate *d = digest_of(&maa);
    assert_text(d->digest_realm, HOME);
    assert_text(d->digest_qop, "auth");
    assert_text(d->digest_algorithm, "MD5");
    assert_text(d->digest_ha1, MD5_HA1);
    assert_text(d->alternate_digest_algorithm, "SHA-256");
    assert_text(d->alternate_digest_ha1, SHA_HA1);
    assert_int_equal(bench_web(b, "GET", "/subscriptions/peer", NULL), 200);
    assert_non_null(strstr(b->body, "\"digest\""));
    assert_null(strstr(b->body, "brot"));
    assert_null(strstr(b->body, "ha1"));
    assert_null(strstr(b->body, MD5_HA1));
    (void)ask(b, PEER, PEER_URI, "Digest-AKAv1-MD5", &r);
    assert_result(&r, X3GPP, DIAMETER_ERROR_AUTH_SCHEME_NOT_SUPPORTED);
}

static void hashes_of_another_system_are_taken_as_they_are(void **state) {
    struct bench *b = *state;
    struct reply r;

    put(b, SUBSCRIPTION("\"ha1_sha256\":\"" SHA_HA1 "\",\"digest_realm\":\"old.example\""), 201);
    struct cx_maa maa = ask(b, PEER, PEER_URI, "Unknown", &r);
    const struct cx_sip_digest_authenticate *d = digest_of(&maa);
    assert_text(d->digest_realm, "old.example");
    assert_text(d->digest_algorithm, "SHA-256");
    assert_text(d->digest_ha1, SHA_HA1);
    assert_int_equal(d->alternate_digest_ha1.n, 0);
}

static void algorithms_can_be_left_out(void **state) {
    struct bench *b = *state;
    struct reply r;

    put(b, SUBSCRIPTION("\"password\":\"" PASSWORD "\",\"digest\":[\"MD5\"]"), 201);
    struct cx_maa maa = ask(b, PEER, PEER_URI, "SIP Digest", &r);
    assert_text(digest_of(&maa)->digest_ha1, MD5_HA1);
    assert_int_equal(digest_of(&maa)->alternate_digest_ha1.n, 0);
    put(b, SUBSCRIPTION("\"digest\":[\"SHA-256\"]"), 422); /* the password is gone */
    put(b, SUBSCRIPTION("\"password\":\"" PASSWORD "\""), 200);
    put(b, SUBSCRIPTION("\"digest\":[\"sha-256\"]"), 200);
    maa = ask(b, PEER, PEER_URI, "SIP Digest", &r);
    assert_text(digest_of(&maa)->digest_algorithm, "SHA-256");
    assert_text(digest_of(&maa)->digest_ha1, SHA_HA1);
    put(b, SUBSCRIPTION("\"digest\":[\"MD4\"]"), 422);
}

static void both_kinds_of_credentials_come_in_items_of_their_own(void **state) {
    struct bench *b = *state;
    struct reply r;

    put(b, SUBSCRIPTION("\"password\":\"x\",\"k\":\"" K_HEX "\",\"opc\":\"" OPC_HEX "\""), 201);
    struct cx_maa maa = ask(b, PEER, PEER_URI, "Unknown", &r);
    assert_int_equal(maa.n_sip_auth_data_item, 2);
    assert_int_equal(maa.sip_number_auth_items, 2);
    (void)digest_of(&maa);
    assert_text(maa.sip_auth_data_item[1].sip_authentication_scheme, "Digest-AKAv1-MD5");
    assert_int_equal(maa.sip_auth_data_item[1].sip_authenticate.n, 32);
    maa = ask(b, PEER, PEER_URI, "Digest-AKAv1-MD5", &r);
    assert_int_equal(maa.n_sip_auth_data_item, 1);
    maa = ask(b, PEER, PEER_URI, "SIP Digest", &r);
    assert_int_equal(maa.n_sip_auth_data_item, 1);
    (void)digest_of(&maa);
    assert_int_equal(hss_counters(b->hss)->vectors, 2);
}

static void a_change_keeps_what_it_does_not_name(void **state) {
    struct bench *b = *state;
    struct reply r;

    put(b, SUBSCRIPTION("\"password\":\"" PASSWORD "\""), 201);
    put(b, SUBSCRIPTION("\"digest_realm\":\"" HOME "\""), 200);
    struct cx_maa maa = ask(b, PEER, PEER_URI, "SIP Digest", &r);
    assert_text(digest_of(&maa)->digest_ha1, MD5_HA1);
    put(b, SUBSCRIPTION("\"digest_realm\":\"other.example\""), 422);
    put(b, SUBSCRIPTION("\"password\":\"\""), 200);
    (void)ask(b, PEER, PEER_URI, "SIP Digest", &r);
    assert_result(&r, X3GPP, DIAMETER_ERROR_AUTH_SCHEME_NOT_SUPPORTED);
}

static void a_user_with_a_password_is_a_subscription(void **state) {
    struct bench *b = *state;
    struct reply r;

    assert_int_equal(bench_web(b, "POST", "/subscriptions/sim",
                               "{\"user\":\"peer\",\"password\":\"" PASSWORD
                               "\",\"msisdn\":\"+447700900109\"}"),
                     201);
    struct cx_maa maa = ask(b, PEER, PEER_URI, "SIP Digest", &r);
    assert_text(digest_of(&maa)->digest_ha1, MD5_HA1);
    maa = ask(b, PEER, "tel:+447700900109", "SIP Digest", &r);
    assert_text(digest_of(&maa)->digest_ha1, MD5_HA1);
    assert_int_equal(bench_web(b, "POST", "/subscriptions/sim", "{\"user\":\"two\"}"), 422);
    assert_int_equal(
        bench_web(b, "POST", "/subscriptions/sim", "{\"user\":\"a b\",\"password\":\"x\"}"), 422);
}

static void hashes_leave_only_where_they_are_asked_for(void **state) {
    struct bench *b = *state;

    put(b, SUBSCRIPTION("\"password\":\"" PASSWORD "\""), 201);
    assert_int_equal(bench_web(b, "GET", "/subscriptions?limit=10", NULL), 200);
    assert_null(strstr(b->body, MD5_HA1));
    assert_int_equal(bench_web(b, "GET", "/subscriptions?limit=10&credentials=digest", NULL), 200);
    assert_non_null(strstr(b->body, "\"ha1_md5\": \"" MD5_HA1));
    assert_non_null(strstr(b->body, "\"ha1_sha256\": \"" SHA_HA1));
    assert_int_equal(bench_web(b, "GET", "/subscriptions/peer?credentials=digest", NULL), 200);
    assert_non_null(strstr(b->body, SHA_HA1));
}

static void broken_credentials_are_refused(void **state) {
    static const char *const wrong[] = {
        SUBSCRIPTION("\"ha1_md5\":\"" SHA_HA1 "\""),
        SUBSCRIPTION("\"ha1_sha256\":\"" MD5_HA1 "\""),
        SUBSCRIPTION("\"ha1_md5\":\"xx\""),
        SUBSCRIPTION("\"password\":\"x\",\"ha1_md5\":\"" MD5_HA1 "\""),
        SUBSCRIPTION("\"password\":\"a\\u0007b\""),
        SUBSCRIPTION("\"password\":7"),
        SUBSCRIPTION("\"password\":\"x\",\"digest_realm\":\"a\\\"b\""),
    };

    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        put(*state, wrong[i], 422);
    }
}

static void strangers_look_like_subscribers_where_that_is_asked_for(void **state) {
    struct bench *b = *state;
    struct reply r;

    (void)ask(b, "nobody@" HOME, "sip:nobody@" HOME, "Unknown", &r);
    assert_result(&r, X3GPP, DIAMETER_ERROR_USER_UNKNOWN);
    bench_crash_hss(b);
    b->config.challenge_unknown = true;
    bench_start_hss(b);
    sim_run_until(b->sim, sim_now_us(b->sim) + 2 * SEC_IN_US);
    bench_wait_up(b);
    put(b, SUBSCRIPTION("\"password\":\"" PASSWORD "\""), 201);
    bench_uar(b, &b->icscf, "nobody@" HOME, "sip:nobody@" HOME, 0, &r);
    bench_wait(b, &r);
    assert_result(&r, X3GPP, DIAMETER_FIRST_REGISTRATION);
    struct cx_maa maa = ask(b, "nobody@" HOME, "sip:nobody@" HOME, "Unknown", &r);
    const struct cx_sip_digest_authenticate *decoy = digest_of(&maa);
    assert_int_equal(maa.n_sip_auth_data_item, 1);
    assert_text(decoy->digest_realm, HOME);
    assert_text(decoy->digest_algorithm, "MD5");
    assert_text(decoy->alternate_digest_algorithm, "SHA-256");
    assert_int_equal(decoy->digest_ha1.n, 32);
    /* The second REGISTER goes where the first one went. */
    struct cx_uaa uaa;
    struct diameter_fault fault;
    bench_uar(b, &b->icscf, "nobody@" HOME, "sip:nobody@" HOME, 0, &r);
    bench_wait(b, &r);
    assert_result(&r, X3GPP, DIAMETER_SUBSEQUENT_REGISTRATION);
    assert_int_equal(cx_uaa_decode(&b->arena, &r.msg, &uaa, &fault), OK);
    assert_text(uaa.server_name, SCSCF_1);
    /* Somebody's public identity with another's private one. */
    maa = ask(b, "nobody@" HOME, PEER_URI, "SIP Digest", &r);
    assert_false(span_eq(digest_of(&maa)->digest_ha1, SPAN(MD5_HA1)));
    bench_add_sim(b); /* and a private identity of yet another subscription */
    maa = ask(b, IMPI, PEER_URI, "SIP Digest", &r);
    assert_false(span_eq(digest_of(&maa)->digest_ha1, SPAN(MD5_HA1)));
    /* AKA cannot be pretended: the terminal would see that the MAC is wrong. */
    (void)ask(b, "nobody@" HOME, "sip:nobody@" HOME, "Digest-AKAv1-MD5", &r);
    assert_result(&r, X3GPP, DIAMETER_ERROR_USER_UNKNOWN);
    assert_int_equal(hss_counters(b->hss)->decoys, 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_password_becomes_two_hashes_and_is_gone, setup, teardown),
        cmocka_unit_test_setup_teardown(hashes_of_another_system_are_taken_as_they_are, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(algorithms_can_be_left_out, setup, teardown),
        cmocka_unit_test_setup_teardown(both_kinds_of_credentials_come_in_items_of_their_own, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_change_keeps_what_it_does_not_name, setup, teardown),
        cmocka_unit_test_setup_teardown(a_user_with_a_password_is_a_subscription, setup, teardown),
        cmocka_unit_test_setup_teardown(hashes_leave_only_where_they_are_asked_for, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(broken_credentials_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(strangers_look_like_subscribers_where_that_is_asked_for,
                                        setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
