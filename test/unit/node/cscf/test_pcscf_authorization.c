/* covers: A4 HA2 HA6
 * Authorization and WWW-Authenticate at the P-CSCF: what passes, what it says itself, who guesses.
 */
#include "pcscf_world.h"

#include <stdio.h>

static void integrity_protected_is_ours_to_say(void **state) {
    struct world *w = (struct world *)*state;
    say(w, &(struct script_register){
               .authorization = "Digest username=\"" IMPI "\", realm=\"" HOME "\", nonce=\"n\", "
                                "integrity-protected=\"yes\", uri=\"sip:" HOME
                                "\", response=\"r\", qop=auth, nc=00000001, cnonce=\"c\", "
                                "algorithm=AKAv1-MD5, auts=\"a\""});
    struct sip_auth auth;
    assert_int_equal(sip_auth_parse(sip_value(peer_last(&w->icscf), SIP_H_AUTHORIZATION), &auth),
                     OK);
    assert_true(span_eq(auth.integrity_protected, SPAN("no")));
    assert_true(span_eq(auth.nonce, SPAN("n")));
    assert_true(span_eq(auth.auts, SPAN("a")));
    assert_true(span_eq(auth.cnonce, SPAN("c")));
    assert_true(span_eq(auth.nc, SPAN("00000001")));
}

/* TS 24.229 5.2.2.2 and 5.2.2.3. */
static void integrity_tells_the_mechanisms_apart(void **state) {
    struct world *w = (struct world *)*state;
    static const struct {
        const char *parameters, *lines, *integrity;
    } rows[] = {
        {"", "", ""},
        {", response=\"\"", "", ""},
        {", response=\"\"",
         "Security-Client: ipsec-3gpp; alg=hmac-sha-1-96; spi-c=1; spi-s=2; "
         "port-c=3; port-s=4\r\n",
         "no"},
        {", algorithm=AKAv1-MD5", "", "no"},
        {", algorithm=AKAv2-SHA-256, response=\"r\"", "", "no"},
        {", response=\"r\"", "", "ip-assoc-pending"},
        {", response=\"r\", algorithm=SHA-256", "", "ip-assoc-pending"},
        {", response=\"r\", integrity-protected=\"yes\", ck=\"1\"", "", "ip-assoc-pending"},
        {", integrity-protected=\"auth-done\"", "", ""},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char text[512];
        struct sip_auth auth;
        snprintf(text, sizeof text,
                 "Digest username=\"" IMPI "\", realm=\"" HOME "\", nonce=\"n\", uri=\"sip:" HOME
                 "\"%s",
                 rows[i].parameters);
        say(w, &(struct script_register){.authorization = text, .lines = rows[i].lines});
        assert_int_equal(
            sip_auth_parse(sip_value(peer_last(&w->icscf), SIP_H_AUTHORIZATION), &auth), OK);
        assert_true(span_eq(auth.integrity_protected, span_from_cstr(rows[i].integrity)));
        answer(w, 500, "");
    }
    say(w, &(struct script_register){0});
    answer(w, 200, GRANT);
    say(w, &(struct script_register){.authorization = PASSWORD_TRY});
    struct sip_auth auth;
    assert_int_equal(sip_auth_parse(sip_value(peer_last(&w->icscf), SIP_H_AUTHORIZATION), &auth),
                     OK);
    assert_true(span_eq(auth.integrity_protected, SPAN("ip-assoc-yes")));
}

static void try_password(struct world *w, unsigned status, const char *lines) {
    say(w, &(struct script_register){.authorization = PASSWORD_TRY});
    answer(w, status, lines);
}

#define BASIC "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="

static void the_first_digest_goes_on_wherever_it_stands(void **state) {
    struct world *w = (struct world *)*state;
    static const char *const lines[] = {
        BASIC "\r\nAuthorization: Digest username=\"first\", nonce=\"\"\r\n"
              "Authorization: Digest username=\"second\", nonce=\"\"",
        "Digest username=\"first\", nonce=\"\"\r\nAuthorization: " BASIC};
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        say(w, &(struct script_register){.authorization = lines[i], .cseq = 1 + (unsigned)i});
        const struct sip_msg *m = peer_last(&w->icscf);
        const struct sip_header *h = sip_header(m, SIP_H_AUTHORIZATION);
        struct sip_auth auth;
        assert_non_null(h);
        assert_null(sip_header_next(m, h));
        assert_int_equal(sip_auth_parse(h->value, &auth), OK);
        assert_true(span_eq(auth.username, SPAN("first")));
    }
    say(w, &(struct script_register){.authorization = BASIC, .cseq = 3});
    assert_false(sip_has(peer_last(&w->icscf), SIP_H_AUTHORIZATION));
}

static void guessers_are_locked_out(void **state) {
    struct world *w = (struct world *)*state;
    const char *stale = "WWW-Authenticate: Digest realm=\"x\", nonce=\"n\", stale=TRUE\r\n";
    const char *again = "WWW-Authenticate: Digest realm=\"x\", nonce=\"n\"\r\n";
    for (unsigned i = 0; i < 20; i++) { /* too old, or no password at all: nobody guesses */
        try_password(w, 401, stale);
        try_password(w, 504, "");
        say(w, &(struct script_register){0});
        answer(w, 401, again);
        w->icscf.n = w->ue.n = 0;
    }
    for (unsigned i = 0; i < 4; i++) {
        try_password(w, 401, again);
    }
    try_password(w, 200, GRANT); /* he has remembered it */
    for (unsigned i = 0; i < 5; i++) {
        try_password(w, i == 3 ? 403 : 401, again);
        assert_int_equal(peer_last(&w->ue)->status, i == 3 ? 403 : 401);
    }
    size_t reached = w->icscf.n;
    say(w, &(struct script_register){.authorization = PASSWORD_TRY});
    assert_int_equal(w->icscf.n, reached);
    assert_int_equal(peer_last(&w->ue)->status, 480);
    assert_true(has_line(peer_last(&w->ue), SIP_H_RETRY_AFTER, "30"));
    /* The same identity, written in another way, is no other identity. */
    say(w, &(struct script_register){.authorization = ESCAPED_TRY});
    assert_int_equal(w->icscf.n, reached);
    assert_int_equal(peer_last(&w->ue)->status, 480);
    /* Nor does another scheme before it hide it. */
    say(w, &(struct script_register){.authorization = BASIC "\r\nAuthorization: " PASSWORD_TRY});
    assert_int_equal(w->icscf.n, reached);
    assert_int_equal(peer_last(&w->ue)->status, 480);
    /* Another port is no other source. */
    struct peer neighbour;
    char again_text[SCRIPT_TEXT_MAX];
    struct buf again_buf = buf_init(again_text, sizeof again_text);
    peer_open(&neighbour, w->sim, "neighbour", addr_v4(127, 0, 0, 9, 5071));
    peer_send(
        &neighbour, pcscf_at,
        script_register_text(&again_buf, &(struct script_register){.authorization = PASSWORD_TRY,
                                                                   .via = "127.0.0.9:5071"}));
    script_run(w->sim, 20 * MS_IN_US);
    assert_int_equal(w->icscf.n, reached);
    assert_int_equal(peer_last(&neighbour)->status, 480);
    peer_close(&neighbour);
    /* Another identity from there, and the same from elsewhere, go on. */
    say(w, &(struct script_register){.authorization = OTHER_TRY});
    assert_int_equal(w->icscf.n, reached + 1);
    answer(w, 401, again);
    struct peer elsewhere;
    char text[SCRIPT_TEXT_MAX];
    struct buf b = buf_init(text, sizeof text);
    peer_open(&elsewhere, w->sim, "elsewhere", addr_v4(127, 0, 0, 77, 5070));
    peer_send(&elsewhere, pcscf_at,
              script_register_text(&b, &(struct script_register){.authorization = PASSWORD_TRY,
                                                                 .via = "127.0.0.77:5070"}));
    script_run(w->sim, 20 * MS_IN_US);
    assert_int_equal(w->icscf.n, reached + 2);
    answer(w, 200, GRANT);
    peer_close(&elsewhere);
    script_run(w->sim, 30 * SEC_IN_US);
    reached = w->icscf.n;
    try_password(w, 200, GRANT);
    assert_int_equal(w->icscf.n, reached + 1);
    assert_int_equal(pcscf_counters(w->pcscf)->guessers_locked, 1);
}

static void keys_of_a_challenge_stay_here(void **state) {
    struct world *w = (struct world *)*state;
    say(w, &(struct script_register){0});
    answer(w, 401,
           "WWW-Authenticate: Digest realm=\"" HOME "\", nonce=\"bm9uY2U=\", "
           "algorithm=AKAv1-MD5, ck=\"c0c1c2c3c4c5c6c7c8c9cacbcccdcecf\", "
           "ik=\"101112131415161718191a1b1c1d1e1f\", qop=\"auth,auth-int\", opaque=\"o\"\r\n"
           "WWW-Authenticate: Digest realm=\"two\", nonce=\"x\", CK=c0c1, Ik=1011, stale=true\r\n"
           "P-Charging-Vector: icid-value=x\r\n"
           "Warning: 399 scscf \"secret reason\"\r\n");
    const struct sip_msg *m = peer_last(&w->ue);
    assert_int_equal(m->status, 401);
    const char *text = peer_last_text(&w->ue);
    assert_null(strcasestr(text, "c0c1"));
    assert_null(strcasestr(text, "1011"));
    assert_null(strcasestr(text, "ck="));
    assert_null(strcasestr(text, "ik="));
    assert_null(strstr(text, "P-Charging-Vector"));
    assert_null(strstr(text, "secret"));
    struct sip_auth auth;
    assert_int_equal(sip_auth_parse(sip_value(m, SIP_H_WWW_AUTHENTICATE), &auth), OK);
    assert_true(span_eq(auth.realm, SPAN(HOME)));
    assert_true(span_eq(auth.nonce, SPAN("bm9uY2U=")));
    assert_true(span_eq(auth.algorithm, SPAN("AKAv1-MD5")));
    assert_true(span_eq(auth.qop, SPAN("auth,auth-int")));
    assert_true(span_eq(auth.opaque, SPAN("o")));
    assert_int_equal(pcscf_counters(w->pcscf)->challenged, 1);
    script_run(w->sim, 300 * SEC_IN_US); /* the keys go, unanswered */
}

static void a_challenge_that_cannot_be_read_is_not_relayed(void **state) {
    struct world *w = (struct world *)*state;
    say(w, &(struct script_register){0});
    answer(w, 401, "WWW-Authenticate: Digest ck=\"c0c1, ik=\"1011\" realm\r\n");
    assert_int_equal(peer_last(&w->ue)->status, 502);
    assert_null(strstr(peer_last_text(&w->ue), "c0c1"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(integrity_protected_is_ours_to_say),
        TEST(integrity_tells_the_mechanisms_apart),
        TEST(the_first_digest_goes_on_wherever_it_stands),
        TEST(guessers_are_locked_out),
        TEST(keys_of_a_challenge_stay_here),
        TEST(a_challenge_that_cannot_be_read_is_not_relayed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
