/* covers: A4 A11 HA3
 * SIP Digest and AKAv2 at the S-CSCF: which challenges, which nonces, which responses. */
#include "crypto/akav2.h"
#include "scscf_world.h"

#include <stdio.h>

#define USER     IMPI
#define PASSWORD "zehn zahme Ziegen"

/* What the terminal says. */
struct answer {
    const char *password; /* NULL: the right one */
    const char *algorithm, *qop, *cnonce, *body, *opaque, *realm;
    unsigned nc; /* 0: 1 */
    bool no_opaque;
};

static struct digest tools;
static bool leaving; /* REGISTERs end the registration */
static char ha1_md5[33], ha1_sha256[65];
static struct cx_sip_digest_authenticate credential;

static void hex_of(enum digest_hash hash, struct span password, char *out) {
    struct digest_hex hex;
    assert_int_equal(digest_ha1(&tools, hash, SPAN(USER), SPAN(HOME), password, &hex), OK);
    memcpy(out, hex.text, hex.n);
}

static int set_up_digest(void **state) {
    int result = set_up(state);
    assert_int_equal(digest_init(&tools), OK);
    hex_of(DIGEST_MD5, SPAN(PASSWORD), ha1_md5);
    hex_of(DIGEST_SHA256, SPAN(PASSWORD), ha1_sha256);
    credential =
        (struct cx_sip_digest_authenticate){.digest_realm = SPAN(HOME),
                                            .digest_algorithm = SPAN("MD5"),
                                            .digest_qop = SPAN("auth,auth-int"),
                                            .digest_ha1 = span_of(ha1_md5, 32),
                                            .alternate_digest_algorithm = SPAN("SHA-256"),
                                            .alternate_digest_ha1 = span_of(ha1_sha256, 64)};
    world.hss.digest = &credential;
    world.hss.no_aka = true;
    return result;
}

static int tear_down_digest(void **state) {
    digest_free(&tools);
    return tear_down(state);
}

/* The challenge for one algorithm in the last 401; false: there is none. */
static bool find_challenge(struct world *w, const char *algorithm, struct sip_auth *out) {
    const struct sip_msg *m = peer_last(&w->icscf);
    for (const struct sip_header *h = sip_header(m, SIP_H_WWW_AUTHENTICATE); h;
         h = sip_header_next(m, h)) {
        assert_int_equal(sip_auth_parse(h->value, out), OK);
        if (span_eq(out->algorithm, span_from_cstr(algorithm))) {
            return true;
        }
    }
    return false;
}

struct kept {
    char nonce[128], opaque[64];
};

static void keep(struct world *w, const char *algorithm, struct kept *k) {
    struct sip_auth auth;
    assert_true(find_challenge(w, algorithm, &auth));
    assert_true(span_to_cstr(auth.nonce, k->nonce, sizeof k->nonce));
    assert_true(span_to_cstr(auth.opaque, k->opaque, sizeof k->opaque));
}

#define OR(value, otherwise) ((value) ? (value) : (otherwise))

static unsigned reply_to(struct world *w, const struct kept *k, const struct answer *a) {
    const char *algorithm = OR(a->algorithm, "SHA-256"), *qop = OR(a->qop, "auth");
    const char *realm = OR(a->realm, HOME);
    char nc[9], text[1024];
    snprintf(nc, sizeof nc, "%08x", a->nc ? a->nc : 1);
    struct digest_hex ha1, response;
    struct digest_request r = {.hash = strstr(algorithm, "SHA-256") ? DIGEST_SHA256 : DIGEST_MD5,
                               .method = SPAN("REGISTER"),
                               .uri = SPAN("sip:" HOME),
                               .nonce = span_from_cstr(k->nonce),
                               .nc = span_from_cstr(nc),
                               .cnonce = span_from_cstr(OR(a->cnonce, "0a4f113b")),
                               .body = span_from_cstr(OR(a->body, ""))};
    assert_true(digest_qop_parse(span_from_cstr(qop), &r.qop));
    assert_int_equal(digest_ha1(&tools, r.hash, SPAN(USER), SPAN(HOME),
                                span_from_cstr(OR(a->password, PASSWORD)), &ha1),
                     OK);
    assert_int_equal(digest_response(&tools, &ha1, &r, &response), OK);
    struct buf b = buf_init(text, sizeof text);
    buf_printf(&b,
               "Digest username=\"" USER "\", realm=\"%s\", nonce=\"%s\", uri=\"sip:" HOME
               "\", response=\"%.*s\", algorithm=%s",
               realm, k->nonce, SPAN_ARG(digest_hex_span(&response)), algorithm);
    if (*qop) {
        buf_printf(&b, ", qop=%s, nc=%s, cnonce=\"%.*s\"", qop, nc, SPAN_ARG(r.cnonce));
    }
    if (!a->no_opaque) {
        buf_printf(&b, ", opaque=\"%s\"", OR(a->opaque, k->opaque));
    }
    buf_char(&b, 0);
    return say(w, (struct script_register){
                      .authorization = text,
                      .contact = leaving ? "<sip:alice@127.0.0.9:5070>;expires=0" : NULL});
}

static unsigned enrol_digest(struct world *w, struct kept *k, const char *algorithm) {
    assert_int_equal(say(w, (struct script_register){0}), 401);
    keep(w, algorithm, k);
    return reply_to(w, k, &(struct answer){.algorithm = algorithm});
}

static bool says_stale(struct world *w) {
    struct sip_auth auth;
    return find_challenge(w, "SHA-256", &auth) && span_eq(auth.stale, SPAN("true"));
}

static void the_strongest_challenge_stands_first(void **state) {
    struct world *w = (struct world *)*state;
    struct sip_auth md5, sha256;
    assert_int_equal(say(w, (struct script_register){.authorization = ""}), 401);
    assert_true(
        span_eq(w->hss.last_mar.sip_auth_data_item.sip_authentication_scheme, SPAN("Unknown")));
    assert_true(span_eq(w->hss.last_mar.user_name, SPAN("alice.mobile@" HOME)));
    const struct sip_header *h = sip_header(peer_last(&w->icscf), SIP_H_WWW_AUTHENTICATE);
    assert_int_equal(sip_auth_parse(h->value, &sha256), OK);
    h = sip_header_next(peer_last(&w->icscf), h);
    assert_int_equal(sip_auth_parse(h->value, &md5), OK);
    assert_null(sip_header_next(peer_last(&w->icscf), h));
    assert_true(span_eq(sha256.algorithm, SPAN("SHA-256")));
    assert_true(span_eq(md5.algorithm, SPAN("MD5")));
    assert_true(span_eq(md5.realm, SPAN(HOME)) && span_eq(sha256.realm, SPAN(HOME)));
    assert_true(span_eq(md5.qop, SPAN("auth,auth-int")));
    assert_true(md5.nonce.n == 32 && md5.opaque.n && !md5.stale.p && !md5.ck.p);
}

static void each_algorithm_and_qop_registers(void **state) {
    struct world *w = (struct world *)*state;
    static const char *const algorithms[] = {"MD5", "SHA-256"};
    static const char *const qops[] = {"auth", "auth-int"};
    struct kept k;
    for (size_t i = 0; i < COUNT_OF(algorithms) * COUNT_OF(qops); i++) {
        struct answer a = {.algorithm = algorithms[i / 2], .qop = qops[i % 2]};
        assert_int_equal(say(w, (struct script_register){0}), 401);
        keep(w, i / 2 ? "SHA-256" : "MD5", &k);
        assert_int_equal(reply_to(w, &k, &a), 200);
    }
    assert_int_equal(scscf_counts(w->scscf).bindings, 1);
}

static void the_network_proves_itself_too(void **state) {
    struct world *w = (struct world *)*state;
    struct kept k;
    struct sip_auth info;
    struct digest_hex ha1, expected;
    assert_int_equal(enrol_digest(w, &k, "SHA-256"), 200);
    assert_int_equal(
        sip_auth_info_parse(sip_value(peer_last(&w->icscf), SIP_H_AUTHENTICATION_INFO), &info), OK);
    struct digest_request r = {.hash = DIGEST_SHA256,
                               .qop = DIGEST_QOP_AUTH,
                               .uri = SPAN("sip:" HOME),
                               .nonce = span_from_cstr(k.nonce),
                               .nc = SPAN("00000001"),
                               .cnonce = SPAN("0a4f113b")};
    assert_int_equal(
        digest_ha1(&tools, DIGEST_SHA256, SPAN(USER), SPAN(HOME), SPAN(PASSWORD), &ha1), OK);
    assert_int_equal(digest_response(&tools, &ha1, &r, &expected), OK);
    assert_true(span_eq(info.rspauth, digest_hex_span(&expected)));
    assert_true(span_eq(info.nc, SPAN("00000001")) && span_eq(info.cnonce, SPAN("0a4f113b")));
    assert_false(info.nextnonce.p);
}

static void a_known_good_nonce_needs_no_mar(void **state) {
    struct world *w = (struct world *)*state;
    struct kept k;
    assert_int_equal(enrol_digest(w, &k, "MD5"), 200);
    unsigned mar = w->hss.mar, sar = w->hss.sar;
    for (unsigned nc = 2; nc < 6; nc++) {
        assert_int_equal(reply_to(w, &k, &(struct answer){.algorithm = "MD5", .nc = nc}), 200);
    }
    assert_int_equal(reply_to(w, &k, &(struct answer){.algorithm = "MD5", .nc = 0x100}), 200);
    assert_int_equal(w->hss.mar, mar);
    assert_int_equal(w->hss.sar, sar);
    assert_int_equal(scscf_counters(w->scscf)->reregistered, 5);
    assert_int_equal(scscf_counts(w->scscf).challenges, 0);
}

static void a_count_that_was_there_before_is_refused(void **state) {
    struct world *w = (struct world *)*state;
    struct kept k;
    assert_int_equal(enrol_digest(w, &k, "SHA-256"), 200);
    assert_int_equal(reply_to(w, &k, &(struct answer){.nc = 7}), 200);
    assert_int_equal(reply_to(w, &k, &(struct answer){.nc = 7}), 401);
    assert_true(says_stale(w));
    assert_int_equal(reply_to(w, &k, &(struct answer){.nc = 3}), 401);
    assert_false(says_stale(w)); /* once is enough */
    assert_int_equal(reply_to(w, &k, &(struct answer){.nc = 8}), 200);
    assert_int_equal(scscf_counters(w->scscf)->replays, 2);
    assert_int_equal(scscf_counters(w->scscf)->wrong_responses, 0);
}

static void an_aged_nonce_is_stale_once(void **state) {
    struct world *w = (struct world *)*state;
    struct kept old, k;
    restart(w, (struct scscf_config){.digest_nonce_s = 100});
    assert_int_equal(enrol_digest(w, &old, "SHA-256"), 200);
    script_run(w->sim, 101 * SEC_IN_US);
    unsigned mar = w->hss.mar;
    assert_int_equal(reply_to(w, &old, &(struct answer){.nc = 2}), 401);
    assert_int_equal(w->hss.mar, mar + 1);
    assert_true(says_stale(w));
    keep(w, "SHA-256", &k);
    assert_int_equal(reply_to(w, &old, &(struct answer){.nc = 3}), 401);
    assert_false(says_stale(w));
    assert_int_equal(reply_to(w, &k, &(struct answer){0}), 200);
    assert_int_equal(w->hss.last_sar.server_assignment_type,
                     CX_SERVER_ASSIGNMENT_TYPE_RE_REGISTRATION);
    /* A restart forgets nonces: the client shall not ask its user. */
    restart(w, (struct scscf_config){0});
    assert_int_equal(reply_to(w, &k, &(struct answer){.nc = 2}), 401);
    assert_true(says_stale(w));
}

static void the_next_nonce_comes_in_time(void **state) {
    struct world *w = (struct world *)*state;
    struct kept k;
    struct sip_auth info;
    restart(w, (struct scscf_config){.digest_nonce_s = 100});
    assert_int_equal(enrol_digest(w, &k, "SHA-256"), 200);
    script_run(w->sim, 60 * SEC_IN_US);
    assert_int_equal(reply_to(w, &k, &(struct answer){.nc = 2}), 200);
    assert_int_equal(
        sip_auth_info_parse(sip_value(peer_last(&w->icscf), SIP_H_AUTHENTICATION_INFO), &info), OK);
    assert_true(info.nextnonce.n);
    struct kept next = k;
    assert_true(span_to_cstr(info.nextnonce, next.nonce, sizeof next.nonce));
    script_run(w->sim, 60 * SEC_IN_US);
    unsigned mar = w->hss.mar;
    assert_int_equal(reply_to(w, &next, &(struct answer){0}), 200);
    assert_int_equal(w->hss.mar, mar);
    assert_int_equal(reply_to(w, &k, &(struct answer){.nc = 3}), 401);
}

static void wrong_responses_are_wrong(void **state) {
    struct world *w = (struct world *)*state;
    static const struct answer wrong[] = {
        {.password = "zehn zahme Ziegen "},
        {.qop = ""},
        {.realm = "elsewhere"},
        {.opaque = "0000000000000000"},
        {.algorithm = "MD5-sess"},
        {.algorithm = "AKAv1-MD5"},
        {.qop = "auth-int", .body = "x"},
        {.cnonce = ""},
    };
    struct kept k;
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        assert_int_equal(say(w, (struct script_register){0}), 401);
        keep(w, "SHA-256", &k);
        assert_int_equal(reply_to(w, &k, &wrong[i]), 401);
        assert_int_equal(scscf_counters(w->scscf)->wrong_responses, i + 1);
        /* One answer for each nonce: the right one comes too late. */
        assert_int_equal(reply_to(w, &k, &(struct answer){0}), 401);
    }
    assert_int_equal(scscf_counts(w->scscf).bindings, 0);
    assert_int_equal(w->hss.sar, 0);
}

static void wrong_passwords_end_in_403(void **state) {
    struct world *w = (struct world *)*state;
    struct kept k;
    assert_int_equal(say(w, (struct script_register){0}), 401);
    for (int i = 0; i < 3; i++) {
        keep(w, "SHA-256", &k);
        assert_int_equal(reply_to(w, &k, &(struct answer){.password = "x"}), i < 2 ? 401 : 403);
        assert_true(i == 2 || !says_stale(w));
    }
    assert_int_equal(last_sar(w), CX_SERVER_ASSIGNMENT_TYPE_AUTHENTICATION_FAILURE);
}

/* Who guesses at a nonce that is known good does not spoil it. */
static void a_stranger_spoils_no_known_good_nonce(void **state) {
    struct world *w = (struct world *)*state;
    struct kept k;
    assert_int_equal(enrol_digest(w, &k, "SHA-256"), 200);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(reply_to(w, &k, &(struct answer){.password = "x", .nc = 100 + i}), 401);
    }
    assert_int_equal(reply_to(w, &k, &(struct answer){.nc = 2}), 200);
}

static void a_strangers_challenges_spoil_nothing(void **state) {
    static const char stranger[] = "Via: SIP/2.0/UDP pcscf." HOME ":5060;branch=z9hG4bKp\r\n"
                                   "Via: SIP/2.0/UDP 198.51.100.7;branch=z9hG4bKt\r\n";
    static const char stale[] =
        "Digest username=\"" USER "\", realm=\"" HOME "\", nonce=\"made up\", uri=\"sip:" HOME
        "\", response=\"0123456789abcdef0123456789abcdef\", algorithm=MD5";
    struct world *w = (struct world *)*state;
    struct kept k, known;
    assert_int_equal(enrol_digest(w, &known, "MD5"), 200);
    assert_int_equal(challenge(w, (struct script_register){0}), 401);
    keep(w, "MD5", &k);
    for (unsigned i = 0; i < 20; i++) {
        assert_int_equal(say(w, (struct script_register){.authorization = stale,
                                                         .lines = stranger,
                                                         .call_id = "stranger"}),
                         401);
    }
    assert_int_equal(reply_to(w, &k, &(struct answer){.algorithm = "MD5"}), 200);
    assert_int_equal(reply_to(w, &known, &(struct answer){.algorithm = "MD5", .nc = 2}), 200);
    /* nor does the owner of an aged nonce lose the word that it is only that */
    assert_int_equal(say(w, (struct script_register){.authorization = stale}), 401);
    assert_true(says_stale(w));
}

static void deregistration_forgets_the_nonce(void **state) {
    struct world *w = (struct world *)*state;
    struct kept k;
    assert_int_equal(enrol_digest(w, &k, "SHA-256"), 200);
    leaving = true;
    assert_int_equal(reply_to(w, &k, &(struct answer){.nc = 2}), 200);
    leaving = false;
    assert_int_equal(last_sar(w), CX_SERVER_ASSIGNMENT_TYPE_USER_DEREGISTRATION);
    assert_int_equal(reply_to(w, &k, &(struct answer){.nc = 3}), 401);
    assert_true(says_stale(w));
}

static void a_user_with_key_and_password_is_offered_both(void **state) {
    struct world *w = (struct world *)*state;
    static const enum auth_algorithm all[] = {AUTH_AKAV2_SHA256, AUTH_AKAV2_MD5, AUTH_AKAV1_MD5,
                                              AUTH_SHA256, AUTH_MD5};
    struct sip_auth auth;
    w->hss.no_aka = false;
    restart(w, (struct scscf_config){.algorithms = all, .n_algorithms = COUNT_OF(all)});
    assert_int_equal(say(w, (struct script_register){0}), 401);
    size_t i = 0;
    const struct sip_msg *m = peer_last(&w->icscf);
    for (const struct sip_header *h = sip_header(m, SIP_H_WWW_AUTHENTICATE); h;
         h = sip_header_next(m, h), i++) {
        assert_int_equal(sip_auth_parse(h->value, &auth), OK);
        assert_true(span_eq(auth.algorithm, auth_algorithm_name(all[i])));
        assert_int_equal(auth.ck.p != NULL, all[i] == AUTH_AKAV1_MD5);
    }
    assert_int_equal(i, COUNT_OF(all));
    /* The card answers; the password's nonce is used up with it. */
    struct kept digest;
    keep(w, "SHA-256", &digest);
    assert_true(find_challenge(w, "AKAv1-MD5", &auth));
    assert_true(span_to_cstr(auth.nonce, w->nonce, sizeof w->nonce));
    assert_int_equal(respond(w, (struct script_register){0}), 200);
    assert_int_equal(reply_to(w, &digest, &(struct answer){0}), 401);
}

static void akav2_takes_its_own_password(void **state) {
    struct world *w = (struct world *)*state;
    static const enum auth_algorithm all[] = {AUTH_AKAV2_SHA256, AUTH_AKAV2_MD5, AUTH_AKAV1_MD5};
    static const struct {
        const char *name;
        enum digest_hash hash;
    } rows[] = {{"AKAv2-SHA-256", DIGEST_SHA256}, {"AKAv2-MD5", DIGEST_MD5}};
    w->hss.no_aka = false;
    w->hss.digest = NULL;
    restart(w, (struct scscf_config){.algorithms = all, .n_algorithms = COUNT_OF(all)});
    for (size_t i = 0; i < COUNT_OF(rows) * 2; i++) {
        struct akav2_password p;
        struct kept k;
        char password[AKAV2_PASSWORD_MAX + 1];
        bool wrong = i >= COUNT_OF(rows); /* RES itself, as AKAv1 has it */
        assert_int_equal(akav2_password_make(rows[i % 2].hash,
                                             span_of(script_xres, sizeof script_xres), script_ik,
                                             script_ck, &p),
                         OK);
        assert_true(span_to_cstr(akav2_password_span(&p), password, sizeof password));
        password[0] ^= wrong;
        assert_int_equal(say(w, (struct script_register){0}), 401);
        keep(w, rows[i % 2].name, &k);
        struct answer a = {.algorithm = rows[i % 2].name, .password = password, .no_opaque = true};
        assert_int_equal(reply_to(w, &k, &a), wrong ? 401 : 200);
    }
}

static void credentials_that_fit_no_algorithm_are_refused(void **state) {
    struct world *w = (struct world *)*state;
    static const enum auth_algorithm only[] = {AUTH_SHA256};
    credential.alternate_digest_algorithm = SPAN_NONE;
    credential.alternate_digest_ha1 = SPAN_NONE;
    restart(w, (struct scscf_config){.algorithms = only, .n_algorithms = 1});
    assert_int_equal(say(w, (struct script_register){0}), 403);
    credential.digest_algorithm = SPAN("SHA-256"); /* with an HA1 that is too short for it */
    assert_int_equal(say(w, (struct script_register){0}), 500);
    credential.digest_ha1 = span_of(ha1_sha256, 64);
    assert_int_equal(say(w, (struct script_register){0}), 401);
    credential.digest_qop = SPAN("auth-conf");
    assert_int_equal(say(w, (struct script_register){0}), 500);
}

static void the_scheme_follows_the_request(void **state) {
    struct world *w = (struct world *)*state;
    static const struct {
        const char *parameters, *scheme;
    } rows[] = {
        {"", "Unknown"},
        {", integrity-protected=no", "Digest-AKAv1-MD5"},
        {", integrity-protected=ip-assoc-pending", "SIP Digest"},
        {", integrity-protected=tls-yes", "SIP Digest"},
        {", algorithm=MD5", "SIP Digest"},
        {", algorithm=AKAv2-SHA-256, integrity-protected=\"ip-assoc-yes\"", "Digest-AKAv1-MD5"},
    };
    w->hss.no_aka = false;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char text[512];
        snprintf(text, sizeof text,
                 "Digest username=\"" USER "\", realm=\"" HOME "\", nonce=\"\", uri=\"sip:" HOME
                 "\", response=\"\"%s",
                 rows[i].parameters);
        assert_int_equal(say(w, (struct script_register){.authorization = text}), 401);
        assert_true(span_eq(w->hss.last_mar.sip_auth_data_item.sip_authentication_scheme,
                            span_from_cstr(rows[i].scheme)));
    }
}

static void who_is_authenticated_elsewhere_needs_trust(void **state) {
    struct world *w = (struct world *)*state;
    const char *done =
        "Digest username=\"" USER "\", realm=\"" HOME "\", nonce=\"\", uri=\"sip:" HOME
        "\", response=\"\", integrity-protected=auth-done";
    assert_int_equal(say(w, (struct script_register){.authorization = done}), 401);
    restart(w, (struct scscf_config){.trust_auth_done = true});
    assert_int_equal(say(w, (struct script_register){.authorization = done}), 200);
}

#define DIGEST_TEST(name) cmocka_unit_test_setup_teardown(name, set_up_digest, tear_down_digest)

int main(void) {
    const struct CMUnitTest tests[] = {
        DIGEST_TEST(the_strongest_challenge_stands_first),
        DIGEST_TEST(each_algorithm_and_qop_registers),
        DIGEST_TEST(the_network_proves_itself_too),
        DIGEST_TEST(a_known_good_nonce_needs_no_mar),
        DIGEST_TEST(a_count_that_was_there_before_is_refused),
        DIGEST_TEST(an_aged_nonce_is_stale_once),
        DIGEST_TEST(the_next_nonce_comes_in_time),
        DIGEST_TEST(wrong_responses_are_wrong),
        DIGEST_TEST(wrong_passwords_end_in_403),
        DIGEST_TEST(a_stranger_spoils_no_known_good_nonce),
        DIGEST_TEST(a_strangers_challenges_spoil_nothing),
        DIGEST_TEST(deregistration_forgets_the_nonce),
        DIGEST_TEST(a_user_with_key_and_password_is_offered_both),
        DIGEST_TEST(akav2_takes_its_own_password),
        DIGEST_TEST(credentials_that_fit_no_algorithm_are_refused),
        DIGEST_TEST(the_scheme_follows_the_request),
        DIGEST_TEST(who_is_authenticated_elsewhere_needs_trust),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
