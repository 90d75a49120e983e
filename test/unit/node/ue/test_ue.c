#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "home.h"
#include "node/ue/internal.h"

#include <stdio.h>
#include <stdlib.h>

static const struct addr home_addr = {.family = 4, .port = 5060, .ip = {192, 0, 2, 1}};
static const struct span impus[] = {SPAN_INIT("sip:alice@" HOME_DOMAIN),
                                    SPAN_INIT("sip:work@" HOME_DOMAIN)};

struct world {
    struct sim *sim;
    struct env *ue_env, *home_env;
    struct home home;
    struct ue_isim isim;
    struct ue_pool *pool;
    struct ue *ue;
    size_t registered, deregistered, failed;
    struct ue_failure failure;
};

static void on_registered(void *ctx, struct ue *ue) {
    struct world *w = ctx;
    assert_int_equal(ue_state(ue), UE_REGISTERED);
    w->registered++;
}

static void on_deregistered(void *ctx, struct ue *ue) {
    struct world *w = ctx;
    (void)ue;
    w->deregistered++;
}

static void on_failed(void *ctx, struct ue *ue, const struct ue_failure *why) {
    struct world *w = ctx;
    (void)ue;
    w->failed++;
    w->failure = *why;
    w->failure.phrase = SPAN_NONE;
}

static const struct ue_handler handler = {on_registered, on_deregistered, on_failed, NULL};

static void make_isim(struct ue_isim *isim) {
    *isim = (struct ue_isim){
        .impi = SPAN_INIT("001010000000001@" HOME_DOMAIN),
        .home_domain = SPAN_INIT(HOME_DOMAIN),
        .impus = impus,
        .n_impus = COUNT_OF(impus),
        .key = {.k = {1, 2, 3}, .opc = {4, 5, 6}},
    };
}

static int setup(void **state) {
    struct world *w = calloc(1, sizeof *w);
    const struct addr any = addr_v4(192, 0, 2, 77, 0);
    assert_non_null(w);
    make_isim(&w->isim);
    assert_int_equal(sim_new(1, &w->sim), OK);
    assert_int_equal(sim_env_new(w->sim, "ue", &w->ue_env), OK);
    assert_int_equal(sim_env_new(w->sim, "home", &w->home_env), OK);
    home_open(&w->home, w->home_env, home_addr, &w->isim.key);
    const struct ue_pool_config pool = {.local = any, .pcscf = &home_addr, .n_pcscf = 1};
    assert_int_equal(ue_pool_new(w->ue_env, &pool, &handler, w, &w->pool), OK);
    const struct ue_config ue = {.isim = &w->isim};
    assert_int_equal(ue_new(w->pool, &ue, NULL, &w->ue), OK);
    *state = w;
    return 0;
}

static int teardown(void **state) {
    struct world *w = *state;
    ue_pool_free(w->pool);
    home_close(&w->home);
    env_close(w->ue_env);
    env_close(w->home_env);
    sim_free(w->sim);
    free(w);
    return 0;
}

/* In the place of the first ue, one of another configuration. */
static void use(struct world *w, const struct ue_config *config) {
    ue_free(w->ue);
    assert_int_equal(ue_new(w->pool, config, NULL, &w->ue), OK);
}

static void run_s(struct world *w, uint64_t seconds) {
    sim_run_until(w->sim, sim_now_us(w->sim) + seconds * SEC_IN_US);
}

static const struct home_seen *last(const struct world *w) {
    assert_true(w->home.n_seen > 0);
    return &w->home.seen[w->home.n_seen - 1];
}

static bool said(const struct world *w, const char *text) {
    return strstr(w->home.text, text) != NULL;
}

/* covers: A4 A9 A10 */
static void a_terminal_registers(void **state) {
    struct world *w = *state;
    ue_register(w->ue);
    assert_int_equal(ue_state(w->ue), UE_REGISTERING);
    run_s(w, 1);
    assert_int_equal(w->registered, 1);
    assert_int_equal(ue_state(w->ue), UE_REGISTERED);
    assert_int_equal(ue_expires_s(w->ue), 3600);
    assert_false(ue_refreshed(w->ue));
    assert_true(span_eq(ue_service_route(w->ue), SPAN(HOME_ROUTES)));
    assert_true(span_eq(
        ue_associated_uris(w->ue),
        SPAN("<sip:alice@" HOME_DOMAIN ">, <tel:+447700900101>, <sip:work@" HOME_DOMAIN ">")));
    assert_int_equal(w->home.n_seen, 2);
    assert_false(w->home.seen[0].has_nonce || w->home.seen[0].has_response);
    assert_true(w->home.seen[1].has_response);
    assert_int_equal(w->home.seen[1].cseq, w->home.seen[0].cseq + 1);
    assert_string_equal(w->home.seen[0].call_id, w->home.seen[1].call_id);
    assert_int_equal(w->home.seen[0].expires, UE_EXPIRES_S);
    uint8_t ck[16], ik[16];
    ue_keys(w->ue, ck, ik);
    assert_memory_equal(ck, w->home.last.ck, 16);
    assert_memory_equal(ik, w->home.last.ik, 16);
}

/* covers: A4 */
static void a_register_says_what_the_standard_asks_for(void **state) {
    struct world *w = *state;
    const struct ue_config config = {
        .isim = &w->isim,
        .impu = 1,
        .contact_user = SPAN_INIT("my phone"),
        .instance = SPAN_INIT("urn:gsma:imei:35212309-000001-0"),
        .reg_id = 1,
        .features = SPAN_INIT("+g.3gpp.smsip;audio"),
        .access = SPAN_INIT("3GPP-E-UTRAN-FDD; utran-cell-id-3gpp=0010100011234567"),
        .expires_s = 1234,
        .gruu = true,
    };
    use(w, &config);
    home_next(&w->home, HOME_SILENT, 0, NULL);
    ue_register(w->ue);
    run_s(w, 1);
    static const char *const lines[] = {
        "REGISTER sip:" HOME_DOMAIN " SIP/2.0\r\n",
        "\r\nMax-Forwards: 70\r\n",
        "\r\nRoute: <sip:192.0.2.1:5060;lr>\r\n",
        "\r\nFrom: <sip:work@" HOME_DOMAIN ">;tag=",
        "\r\nTo: <sip:work@" HOME_DOMAIN ">\r\n",
        "\r\nCSeq: 1 REGISTER\r\n",
        "\r\nContact: <sip:my%20phone@192.0.2.77:",
        ">;+sip.instance=\"<urn:gsma:imei:35212309-000001-0>\";reg-id=1;+g.3gpp.smsip;audio;"
        "expires=1234\r\n",
        "\r\nAuthorization: Digest username=\"001010000000001@" HOME_DOMAIN
        "\", realm=\"" HOME_DOMAIN "\", uri=\"sip:" HOME_DOMAIN
        "\", nonce=\"\", response=\"\", algorithm=AKAv1-MD5\r\n",
        "\r\nSupported: path, outbound, gruu\r\n",
        "\r\nP-Access-Network-Info: 3GPP-E-UTRAN-FDD; utran-cell-id-3gpp=0010100011234567\r\n",
        "\r\nContent-Length: 0\r\n\r\n",
        ";rport",
    };
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        if (!said(w, lines[i])) {
            fail_msg("no \"%s\" in\n%s", lines[i], w->home.text);
        }
    }
    assert_false(said(w, "Security-Client"));
}

/* covers: A10 */
static void qop_is_used_as_it_is_offered(void **state) {
    struct world *w = *state;
    static const char *const qops[] = {"auth", "auth-int", "auth,auth-int"};
    for (size_t i = 0; i < COUNT_OF(qops); i++) {
        w->home.qop = qops[i];
        ue_register(w->ue);
        run_s(w, 1);
        assert_int_equal(w->home.granted, i + 1);
        assert_true(said(w, "nc=00000001, cnonce=\""));
        assert_true(said(w, "opaque=\"o\\\"p\""));
    }
    assert_int_equal(w->home.refused, 0);
}

/* covers: A11 */
static void it_registers_anew_by_itself(void **state) {
    struct world *w = *state;
    static const struct {
        uint32_t granted, after;
    } cases[] = {{600, 300}, {1200, 600}, {1201, 601}, {3600, 3000}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        w->home.granted_s = cases[i].granted;
        ue_register(w->ue);
        run_s(w, 1);
        uint64_t granted_us = last(w)->at_us;
        size_t before = w->home.n_seen;
        run_s(w, cases[i].after - 2);
        assert_int_equal(w->home.n_seen, before);
        run_s(w, 2);
        assert_int_equal(w->home.n_seen, before + 2);
        assert_in_range(w->home.seen[before].at_us, granted_us + cases[i].after * SEC_IN_US,
                        granted_us + cases[i].after * SEC_IN_US + 5 * MS_IN_US);
        assert_true(w->home.seen[before].has_nonce && w->home.seen[before].has_response);
        assert_true(ue_refreshed(w->ue));
        assert_int_equal(ue_state(w->ue), UE_REGISTERED);
    }
    assert_int_equal(w->failed, 0);
}

static void without_refresh_the_registration_ends(void **state) {
    struct world *w = *state;
    const struct ue_config config = {.isim = &w->isim, .no_refresh = true};
    use(w, &config);
    ue_register(w->ue);
    run_s(w, 3599);
    assert_int_equal(ue_state(w->ue), UE_REGISTERED);
    run_s(w, 2);
    assert_int_equal(ue_state(w->ue), UE_IDLE);
    assert_int_equal(w->deregistered, 1);
    assert_int_equal(ue_expires_s(w->ue), 0);
    assert_int_equal(w->home.n_seen, 2);
}

/* covers: A9 */
static void a_forged_challenge_gets_no_response(void **state) {
    struct world *w = *state;
    home_next(&w->home, HOME_FORGED, 0, NULL);
    ue_register(w->ue);
    run_s(w, 1);
    assert_int_equal(w->home.n_seen, 2);
    assert_true(last(w)->has_nonce);
    assert_false(last(w)->has_response || last(w)->has_auts);
    assert_int_equal(w->home.refused, 1);
    assert_int_equal(w->failed, 1);
    assert_int_equal(w->failure.reason, UE_REASON_FORGED);
    assert_int_equal(w->failure.status, 403);
    assert_int_equal(w->failure.retry_us, 0);
    assert_int_equal(ue_state(w->ue), UE_REFUSED);
    run_s(w, 7200);
    assert_int_equal(w->home.n_seen, 2);
}

/* covers: A9. TS 24.229 5.1.1.5.3: two consecutive invalid challenges are answered, a third not. */
static void the_third_forged_challenge_in_a_row_is_not_answered(void **state) {
    struct world *w = *state;
    for (size_t i = 0; i < 3; i++) {
        home_next(&w->home, HOME_FORGED, 0, NULL);
    }
    ue_register(w->ue);
    run_s(w, 1);
    assert_int_equal(w->home.n_seen, 3);
    assert_int_equal(w->failure.reason, UE_REASON_FORGED);
    assert_int_equal(w->failure.status, 401);
    assert_int_equal(ue_pool_counters(w->pool)->forged, 2);
}

/* covers: A9 */
static void an_sqn_out_of_range_is_resynchronised(void **state) {
    struct world *w = *state;
    for (unsigned ind = 0; ind < SQN_INDS; ind++) {
        sqn_accept(&w->isim.sqn, sqn_make(5000 + ind, ind));
    }
    ue_register(w->ue);
    run_s(w, 1);
    assert_int_equal(w->home.n_seen, 3);
    assert_true(w->home.seen[1].has_auts && w->home.seen[1].has_response);
    assert_int_equal(w->home.resynchronised, 1);
    assert_int_equal(w->registered, 1);
    assert_int_equal(w->home.seq, 5032);
}

/* covers: A9 */
static void a_challenge_is_good_once(void **state) {
    struct world *w = *state;
    ue_register(w->ue);
    run_s(w, 1);
    home_next(&w->home, HOME_STALE, 0, NULL);
    ue_register(w->ue);
    run_s(w, 1);
    assert_true(w->home.seen[3].has_auts);
    assert_int_equal(w->registered, 2);
}

static void endless_challenges_come_to_an_end(void **state) {
    struct world *w = *state;
    for (size_t i = 0; i < 10; i++) {
        home_next(&w->home, HOME_CHALLENGE, 0, NULL);
    }
    ue_register(w->ue);
    run_s(w, 1);
    assert_int_equal(w->home.n_seen, 1 + UE_ROUNDS_MAX);
    assert_int_equal(w->failure.reason, UE_REASON_CHALLENGES);
    assert_int_equal(ue_state(w->ue), UE_REFUSED);
}

static void a_401_that_cannot_be_answered_ends_it(void **state) {
    struct world *w = *state;
    static const char *const bad[] = {
        "",
        "WWW-Authenticate: Basic realm=\"x\"\r\n",
        "WWW-Authenticate: Digest realm=\"x\", nonce=\"abc\", algorithm=MD5\r\n",
        "WWW-Authenticate: Digest realm=\"x\", nonce=\"abc\", algorithm=AKAv1-MD5\r\n",
        "WWW-Authenticate: Digest realm=\"x\", nonce=\"\", algorithm=AKAv1-MD5\r\n",
        "WWW-Authenticate: Digest realm=\"x\", algorithm=AKAv1-MD5\r\n",
        "WWW-Authenticate: Digest realm=\"x\", nonce=\"AAAA\", algorithm=AKAv1-MD5, qop=\"x\"\r\n",
        "WWW-Authenticate: Digest realm=\"x, nonce=\r\n",
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        home_next(&w->home, HOME_STATUS, 401, bad[i]);
        ue_register(w->ue);
        run_s(w, 1);
        assert_int_equal(w->home.n_seen, i + 1);
        assert_int_equal(w->failed, i + 1);
        assert_int_equal(w->failure.reason, UE_REASON_MALFORMED);
    }
    ue_register(w->ue);
    run_s(w, 1);
    assert_int_equal(w->registered, 1);
}

/* covers: A11 */
static void too_brief_an_interval_is_asked_for_anew(void **state) {
    struct world *w = *state;
    const struct ue_config config = {.isim = &w->isim, .expires_s = 30};
    use(w, &config);
    home_next(&w->home, HOME_NORMAL, 0, NULL);
    home_next(&w->home, HOME_STATUS, 423, "Min-Expires: 90\r\n");
    ue_register(w->ue);
    run_s(w, 1);
    assert_int_equal(w->registered, 1);
    assert_int_equal(ue_expires_s(w->ue), 90);
    assert_int_equal(last(w)->expires, 90);
    home_next(&w->home, HOME_STATUS, 423, "Min-Expires: 90\r\n");
    ue_register(w->ue);
    run_s(w, 1);
    assert_int_equal(w->failed, 1);
    assert_int_equal(w->failure.status, 423);
    assert_int_equal(ue_state(w->ue), UE_REFUSED);
}

/* covers: A11 D8 */
static void retry_after_is_waited_for(void **state) {
    struct world *w = *state;
    static const unsigned statuses[] = {503, 480, 500, 486, 403};
    for (size_t i = 0; i < COUNT_OF(statuses); i++) {
        home_next(&w->home, HOME_STATUS, statuses[i], "Retry-After: 17 (soon)\r\n");
        size_t before = w->home.n_seen;
        ue_register(w->ue);
        run_s(w, 16);
        assert_int_equal(w->failed, i + 1);
        assert_int_equal(w->failure.status, statuses[i]);
        assert_int_equal(w->failure.retry_us, 17 * SEC_IN_US);
        assert_int_equal(w->home.n_seen, before + 1);
        run_s(w, 2);
        assert_int_equal(w->registered, i + 1);
        ue_deregister(w->ue, UE_THIS_CONTACT);
        run_s(w, 1);
    }
}

/* covers: A11 */
static void retries_wait_longer_and_longer(void **state) {
    struct world *w = *state;
    uint64_t bound = 30 * SEC_IN_US;
    for (size_t i = 0; i < 8; i++) {
        home_next(&w->home, HOME_STATUS, 500, NULL);
    }
    ue_register(w->ue);
    for (size_t i = 0; i < 8; i++) {
        run_s(w, i ? 1 : 0);
        sim_run_until(w->sim, sim_now_us(w->sim) + 10 * MS_IN_US);
        bound = bound * 2 < 1800 * SEC_IN_US ? bound * 2 : 1800 * SEC_IN_US;
        assert_int_equal(w->failed, i + 1);
        assert_in_range(w->failure.retry_us, bound / 2, bound);
        assert_int_equal(ue_state(w->ue), UE_WAITING);
        sim_run_until(w->sim, last(w)->at_us + w->failure.retry_us - SEC_IN_US);
        assert_int_equal(w->home.n_seen, i + 1);
        run_s(w, 1);
    }
    run_s(w, 1);
    assert_int_equal(w->registered, 1);
    assert_int_equal(ue_pool_counters(w->pool)->failed_for_now, 8);
    home_next(&w->home, HOME_STATUS, 500, NULL); /* of the refresh, and then of the attempt anew */
    home_next(&w->home, HOME_STATUS, 500, NULL);
    ue_register(w->ue);
    run_s(w, 1);
    assert_in_range(w->failure.retry_us, 30 * SEC_IN_US, 60 * SEC_IN_US);
}

/* covers: A11 */
static void failures_that_may_pass_are_tried_again(void **state) {
    struct world *w = *state;
    static const unsigned statuses[] = {305, 408, 480, 500, 502, 503, 504};
    for (size_t i = 0; i < COUNT_OF(statuses); i++) {
        home_next(&w->home, HOME_STATUS, statuses[i], i % 2 ? "Retry-After: 0\r\n" : NULL);
        ue_register(w->ue);
        run_s(w, 1);
        assert_int_equal(w->failure.status, statuses[i]);
        assert_int_equal(ue_state(w->ue), UE_WAITING);
        run_s(w, 60);
        assert_int_equal(ue_state(w->ue), UE_REGISTERED);
        ue_deregister(w->ue, UE_THIS_CONTACT);
        run_s(w, 1);
    }
}

/* covers: A11 */
static void a_final_refusal_is_final(void **state) {
    struct world *w = *state;
    static const unsigned statuses[] = {403, 404, 400, 600, 420};
    for (size_t i = 0; i < COUNT_OF(statuses); i++) {
        home_next(&w->home, HOME_STATUS, statuses[i], NULL);
        ue_register(w->ue);
        run_s(w, 7200);
        assert_int_equal(w->home.n_seen, i + 1);
        assert_int_equal(w->failure.status, statuses[i]);
        assert_int_equal(w->failure.reason, UE_REASON_STATUS);
        assert_int_equal(w->failure.retry_us, 0);
        assert_int_equal(ue_state(w->ue), UE_REFUSED);
    }
}

static void with_no_retry_every_failure_is_final(void **state) {
    struct world *w = *state;
    const struct ue_config config = {.isim = &w->isim, .no_retry = true};
    use(w, &config);
    home_next(&w->home, HOME_STATUS, 503, "Retry-After: 5\r\n");
    ue_register(w->ue);
    run_s(w, 7200);
    assert_int_equal(w->home.n_seen, 1);
    assert_int_equal(ue_state(w->ue), UE_REFUSED);
}

/* covers: A11 */
static void silence_leads_to_the_next_pcscf(void **state) {
    struct world *w = *state;
    const struct addr pcscfs[] = {addr_v4(192, 0, 2, 200, 5060), home_addr};
    const struct ue_pool_config config = {
        .local = addr_v4(192, 0, 2, 78, 0), .pcscf = pcscfs, .n_pcscf = 2};
    const struct ue_config ue = {.isim = &w->isim};
    ue_pool_free(w->pool);
    assert_int_equal(ue_pool_new(w->ue_env, &config, &handler, w, &w->pool), OK);
    assert_int_equal(ue_new(w->pool, &ue, NULL, &w->ue), OK);
    ue_register(w->ue);
    run_s(w, 127);
    assert_int_equal(w->failed, 0);
    run_s(w, 2);
    assert_int_equal(w->failed, 1);
    assert_int_equal(w->failure.reason, UE_REASON_TIMEOUT);
    assert_int_equal(w->home.n_seen, 0);
    run_s(w, 61);
    assert_int_equal(w->registered, 1);
    assert_true(said(w, "Route: <sip:192.0.2.1:5060;lr>"));
}

/* covers: A11 */
static void a_reregistration_in_trouble_becomes_an_initial_one(void **state) {
    struct world *w = *state;
    ue_register(w->ue);
    run_s(w, 1);
    home_next(&w->home, HOME_STATUS, 504, NULL);
    ue_register(w->ue);
    run_s(w, 1);
    assert_int_equal(w->failed, 0);
    assert_int_equal(w->home.n_seen, 5);
    assert_true(w->home.seen[2].has_nonce);
    assert_false(w->home.seen[3].has_nonce);
    assert_int_equal(w->registered, 2);
    home_next(&w->home, HOME_STATUS, 503, "Retry-After: 9\r\n");
    ue_register(w->ue);
    run_s(w, 1);
    assert_int_equal(w->failed, 1);
    assert_true(w->failure.was_registered);
    assert_int_equal(ue_state(w->ue), UE_WAITING);
    run_s(w, 9);
    assert_int_equal(ue_state(w->ue), UE_REGISTERED);
}

static void a_200_without_our_contact_is_no_registration(void **state) {
    struct world *w = *state;
    home_next(&w->home, HOME_NO_BINDING, 0, NULL);
    ue_register(w->ue);
    run_s(w, 1);
    assert_int_equal(w->registered, 0);
    assert_int_equal(w->failure.reason, UE_REASON_NO_BINDING);
    assert_int_equal(ue_state(w->ue), UE_WAITING);
    run_s(w, 61);
    assert_int_equal(w->registered, 1);
    char line[200];
    snprintf(line, sizeof line, "Contact: <%.*s>;expires=0\r\n", SPAN_ARG(ue_contact(w->ue)));
    home_next(&w->home, HOME_STATUS, 200, line);
    home_next(&w->home, HOME_STATUS, 200, line);
    ue_register(w->ue);
    run_s(w, 1);
    assert_int_equal(w->registered, 1);
    assert_int_equal(w->failure.reason, UE_REASON_NO_BINDING);
}

/* covers: A11 */
static void leaving_is_challenged_and_done(void **state) {
    struct world *w = *state;
    ue_register(w->ue);
    run_s(w, 1);
    ue_deregister(w->ue, UE_THIS_CONTACT);
    assert_int_equal(w->deregistered, 0);
    run_s(w, 1);
    assert_int_equal(w->deregistered, 1);
    assert_int_equal(w->home.deregistered, 1);
    assert_int_equal(ue_state(w->ue), UE_IDLE);
    assert_int_equal(last(w)->expires, 0);
    assert_false(last(w)->star);
    ue_deregister(w->ue, UE_ALL_CONTACTS); /* a terminal that has forgotten, or never knew */
    run_s(w, 1);
    assert_int_equal(w->deregistered, 2);
    assert_true(last(w)->star);
    assert_true(said(w, "\r\nExpires: 0\r\n"));
    run_s(w, 7200);
    assert_int_equal(w->home.n_seen, 6);
}

static void leaving_ends_whatever_the_network_says(void **state) {
    struct world *w = *state;
    home_next(&w->home, HOME_STATUS, 500, "Retry-After: 5\r\n");
    home_next(&w->home, HOME_STATUS, 403, NULL);
    home_next(&w->home, HOME_STATUS, 423, "Min-Expires: 60\r\n");
    for (size_t i = 1; i <= 3; i++) {
        ue_deregister(w->ue, UE_THIS_CONTACT);
        run_s(w, 1);
        assert_int_equal(w->deregistered, i);
        assert_int_equal(ue_state(w->ue), UE_IDLE);
    }
    sim_set_default_faults(w->sim, &(struct sim_faults){.down = true});
    ue_deregister(w->ue, UE_THIS_CONTACT);
    run_s(w, 130);
    assert_int_equal(w->deregistered, 4);
    assert_int_equal(w->failed, 0);
}

static void wishes_wait_for_what_is_under_way(void **state) {
    struct world *w = *state;
    ue_register(w->ue);
    ue_register(w->ue);
    ue_deregister(w->ue, UE_THIS_CONTACT);
    run_s(w, 1);
    assert_int_equal(w->registered, 0); /* nobody is told of what is over at once */
    assert_int_equal(w->home.granted, 1);
    assert_int_equal(w->home.deregistered, 1);
    assert_int_equal(w->deregistered, 1);
    ue_deregister(w->ue, UE_THIS_CONTACT);
    ue_deregister(w->ue, UE_THIS_CONTACT);
    ue_register(w->ue);
    run_s(w, 1);
    assert_int_equal(w->deregistered, 2);
    assert_int_equal(w->registered, 1);
    assert_int_equal(ue_state(w->ue), UE_REGISTERED);
}

static void free_self(void *ctx, struct ue *ue) {
    struct world *w = ctx;
    w->registered++;
    ue_free(ue);
    w->ue = NULL;
}

static void a_callback_may_free_its_ue(void **state) {
    struct world *w = *state;
    static const struct ue_handler once = {.registered = free_self};
    const struct ue_pool_config config = {
        .local = addr_v4(192, 0, 2, 78, 0), .pcscf = &home_addr, .n_pcscf = 1};
    const struct ue_config ue = {.isim = &w->isim};
    ue_pool_free(w->pool);
    assert_int_equal(ue_pool_new(w->ue_env, &config, &once, w, &w->pool), OK);
    assert_int_equal(ue_new(w->pool, &ue, NULL, &w->ue), OK);
    ue_register(w->ue);
    run_s(w, 10);
    assert_int_equal(w->registered, 1);
    assert_null(w->ue);
}

static void wrong_configurations_are_refused(void **state) {
    struct world *w = *state;
    struct ue *ue = NULL;
    const struct ue_config no_impu = {.isim = &w->isim, .impu = 2};
    const struct ue_config no_instance = {.isim = &w->isim, .reg_id = 1};
    assert_int_equal(ue_new(w->pool, &no_impu, NULL, &ue), ERR_INVALID);
    assert_int_equal(ue_new(w->pool, &no_instance, NULL, &ue), ERR_INVALID);
    assert_null(ue);
}

/* covers: A9 A10. Each on a card of its own would need a home for each: here they share the card,
 * and come one after the other; the network loses a third of everything. */
static void losses_are_repeated_away(void **state) {
    struct world *w = *state;
    sim_set_default_faults(w->sim, &(struct sim_faults){.delay_us = 20000,
                                                        .jitter_us = 30000,
                                                        .loss_ppm = 300000,
                                                        .duplicate_ppm = 100000});
    for (size_t i = 0; i < 50; i++) {
        ue_register(w->ue);
        run_s(w, 600);
        assert_int_equal(ue_state(w->ue), UE_REGISTERED);
        w->home.n_seen = 0;
    }
}

/* A crash at any moment leaves nothing behind (the sanitizer looks). */
static void a_pool_can_be_dropped_at_any_time(void **state) {
    struct world *w = *state;
    for (size_t i = 0; i < 40; i++) {
        const struct ue_pool_config config = {
            .local = addr_v4(192, 0, 2, 79, 0), .pcscf = &home_addr, .n_pcscf = 1};
        const struct ue_config ue = {.isim = &w->isim};
        ue_pool_free(w->pool);
        assert_int_equal(ue_pool_new(w->ue_env, &config, &handler, w, &w->pool), OK);
        assert_int_equal(ue_new(w->pool, &ue, NULL, &w->ue), OK);
        ue_register(w->ue);
        sim_run_until(w->sim, sim_now_us(w->sim) + i * 20);
        w->home.n_seen = 0;
    }
}

static void op_and_opc_are_the_same_card(void **state) {
    (void)state;
    struct ue_isim isim = {0};
    uint8_t op[16], opc[16];
    assert_true(span_to_bytes(SPAN("465b5ce8b199b49faa5f0a2ee238a6bc"), isim.key.k, 16));
    assert_true(span_to_bytes(SPAN("cdc202d5123e20f62b6d676ac72cb318"), op, 16));
    assert_true(span_to_bytes(SPAN("cd63cb71954a9f4e48a5994e37a02baf"), opc, 16));
    assert_int_equal(ue_isim_set_op(&isim, op), OK);
    assert_memory_equal(isim.key.opc, opc, 16);
}

#define UE_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

#define CHALLENGE(more)                                                                            \
    "WWW-Authenticate: Digest realm=\"home \\\"x\\\"\", nonce=\"n1\", opaque=\"o\"" more "\r\n"
#define SHA256_CHALLENGE CHALLENGE(", algorithm=SHA-256, qop=\"auth-int,auth\"")
#define MD5_CHALLENGE    CHALLENGE(", qop=\"auth\"")

/* A client with a password in the place of the card. */
static void use_password(struct world *w, bool keeps_card) {
    w->isim.password = SPAN("secret");
    w->isim.no_key = !keeps_card;
    use(w, &(struct ue_config){.isim = &w->isim});
    ue_register(w->ue);
}

/* covers: A4 A10 */
static void the_strongest_challenge_is_answered(void **state) {
    struct world *w = *state;
    static const struct {
        const char *lines, *said;
    } rows[] = {
        {MD5_CHALLENGE SHA256_CHALLENGE, "algorithm=SHA-256"},
        {SHA256_CHALLENGE MD5_CHALLENGE, "algorithm=SHA-256"},
        {MD5_CHALLENGE CHALLENGE(", algorithm=SHA-512-256"), "algorithm=MD5"},
        {CHALLENGE(", algorithm=MD5-sess") MD5_CHALLENGE, "algorithm=MD5"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        home_next(&w->home, HOME_STATUS, 401, rows[i].lines);
        home_next(&w->home, HOME_STATUS, 403, "");
        use_password(w, false);
        run_s(w, 1);
        assert_true(said(w, rows[i].said));
        assert_true(said(w, "realm=\"home \\\"x\\\"\""));
        assert_true(said(w, "nonce=\"n1\""));
        assert_true(said(w, "opaque=\"o\""));
        assert_true(said(w, "nc=00000001"));
    }
}

/* covers: A11 */
static void a_refused_password_is_not_sent_again(void **state) {
    struct world *w = *state;
    home_next(&w->home, HOME_STATUS, 401, SHA256_CHALLENGE);
    home_next(&w->home, HOME_STATUS, 401, SHA256_CHALLENGE);
    use_password(w, false);
    run_s(w, 5);
    assert_int_equal(w->failed, 1);
    assert_int_equal(w->failure.reason, UE_REASON_PASSWORD);
    assert_int_equal(w->home.n_seen, 2);
    assert_int_equal(ue_state(w->ue), UE_REFUSED);
}

static void a_stale_nonce_is_no_refusal(void **state) {
    struct world *w = *state;
    home_next(&w->home, HOME_STATUS, 401, SHA256_CHALLENGE);
    home_next(&w->home, HOME_STATUS, 401,
              CHALLENGE(", algorithm=SHA-256, qop=\"auth\", stale=TRUE"));
    home_next(&w->home, HOME_GRANT, 0, NULL);
    use_password(w, false);
    run_s(w, 5);
    assert_int_equal(w->registered, 1);
    assert_int_equal(w->home.n_seen, 3);
}

static void a_network_that_cannot_prove_itself_is_refused(void **state) {
    struct world *w = *state;
    char lines[512];
    w->isim.password = SPAN("secret");
    w->isim.no_key = true;
    use(w, &(struct ue_config){.isim = &w->isim});
    snprintf(lines, sizeof lines,
             "Contact: <%.*s>;expires=600\r\nAuthentication-Info: qop=auth, cnonce=\"x\", "
             "nc=00000001, rspauth=\"00112233\"\r\n",
             SPAN_ARG(ue_contact(w->ue)));
    home_next(&w->home, HOME_STATUS, 401, SHA256_CHALLENGE);
    home_next(&w->home, HOME_STATUS, 200, lines);
    ue_register(w->ue);
    run_s(w, 5);
    assert_int_equal(w->failed, 1);
    assert_int_equal(w->failure.reason, UE_REASON_UNPROVEN);
}

static void what_cannot_be_answered_is_not(void **state) {
    struct world *w = *state;
    home_next(&w->home, HOME_CHALLENGE, 0, NULL); /* of AKA, and there is no card */
    use_password(w, false);
    run_s(w, 5);
    assert_int_equal(w->failure.reason, UE_REASON_MALFORMED);
    struct ue *ue;
    w->isim.password = SPAN_NONE;
    assert_int_equal(ue_new(w->pool, &(struct ue_config){.isim = &w->isim}, NULL, &ue),
                     ERR_INVALID);
    /* Who has both says nothing of algorithms at first, and takes the card's. */
    home_next(&w->home, HOME_NORMAL, 0, NULL);
    use_password(w, true);
    run_s(w, 5);
    assert_int_equal(w->registered, 1);
    assert_int_equal(ue_algorithm(w->ue), AUTH_AKAV1_MD5);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        UE_TEST(a_terminal_registers),
        UE_TEST(a_register_says_what_the_standard_asks_for),
        UE_TEST(qop_is_used_as_it_is_offered),
        UE_TEST(it_registers_anew_by_itself),
        UE_TEST(without_refresh_the_registration_ends),
        UE_TEST(a_forged_challenge_gets_no_response),
        UE_TEST(the_third_forged_challenge_in_a_row_is_not_answered),
        UE_TEST(an_sqn_out_of_range_is_resynchronised),
        UE_TEST(a_challenge_is_good_once),
        UE_TEST(endless_challenges_come_to_an_end),
        UE_TEST(a_401_that_cannot_be_answered_ends_it),
        UE_TEST(too_brief_an_interval_is_asked_for_anew),
        UE_TEST(retry_after_is_waited_for),
        UE_TEST(retries_wait_longer_and_longer),
        UE_TEST(failures_that_may_pass_are_tried_again),
        UE_TEST(a_final_refusal_is_final),
        UE_TEST(with_no_retry_every_failure_is_final),
        UE_TEST(silence_leads_to_the_next_pcscf),
        UE_TEST(a_reregistration_in_trouble_becomes_an_initial_one),
        UE_TEST(a_200_without_our_contact_is_no_registration),
        UE_TEST(leaving_is_challenged_and_done),
        UE_TEST(leaving_ends_whatever_the_network_says),
        UE_TEST(wishes_wait_for_what_is_under_way),
        UE_TEST(a_callback_may_free_its_ue),
        UE_TEST(wrong_configurations_are_refused),
        UE_TEST(the_strongest_challenge_is_answered),
        UE_TEST(a_refused_password_is_not_sent_again),
        UE_TEST(a_stale_nonce_is_no_refusal),
        UE_TEST(a_network_that_cannot_prove_itself_is_refused),
        UE_TEST(what_cannot_be_answered_is_not),
        UE_TEST(losses_are_repeated_away),
        UE_TEST(a_pool_can_be_dropped_at_any_time),
        cmocka_unit_test(op_and_opc_are_the_same_card),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
