/* covers: A12 B2 B4 HA12 */
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
static const struct span impu = SPAN_INIT("sip:alice@" HOME_DOMAIN);

struct world {
    struct sim *sim;
    struct env *ue_env, *home_env;
    struct home home;
    struct ue_isim isim;
    struct ue_pool *pool;
    struct ue *ue;
    size_t registered, failed, told;
    struct ue_failure failure;
    enum reginfo_event event;
    uint32_t seconds;
    bool frees; /* the owner drops the ue when it fails */
};

static void on_registered(void *ctx, struct ue *ue) {
    (void)ue;
    ((struct world *)ctx)->registered++;
}

static void on_failed(void *ctx, struct ue *ue, const struct ue_failure *why) {
    struct world *w = ctx;
    w->failed++;
    w->failure = *why;
    if (w->frees) {
        ue_free(ue);
        w->ue = NULL;
    }
}

static void on_told(void *ctx, struct ue *ue, enum reginfo_event event, uint32_t seconds) {
    struct world *w = ctx;
    (void)ue;
    w->told++;
    w->event = event;
    w->seconds = seconds;
}

static const struct ue_handler handler = {on_registered, NULL, on_failed, on_told};

static int setup(void **state) {
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    w->isim = (struct ue_isim){
        .impi = SPAN_INIT("001010000000001@" HOME_DOMAIN),
        .home_domain = SPAN_INIT(HOME_DOMAIN),
        .impus = &impu,
        .n_impus = 1,
        .key = {.k = {1, 2, 3}, .opc = {4, 5, 6}},
    };
    assert_int_equal(sim_new(1, &w->sim), OK);
    assert_int_equal(sim_env_new(w->sim, "ue", &w->ue_env), OK);
    assert_int_equal(sim_env_new(w->sim, "home", &w->home_env), OK);
    w->ue_env->log.level = LOG_ERROR;
    home_open(&w->home, w->home_env, home_addr, &w->isim.key);
    const struct ue_pool_config pool = {
        .local = addr_v4(192, 0, 2, 77, 0), .pcscf = &home_addr, .n_pcscf = 1};
    assert_int_equal(ue_pool_new(w->ue_env, &pool, &handler, w, &w->pool), OK);
    const struct ue_config ue = {.isim = &w->isim, .reg_event = true};
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

static void pass(struct world *w, uint64_t us) {
    sim_run_until(w->sim, sim_now_us(w->sim) + us);
}

static void begin(struct world *w) {
    ue_register(w->ue);
    pass(w, SEC_IN_US);
    assert_int_equal(ue_state(w->ue), UE_REGISTERED);
    assert_int_equal(w->home.n_subscribed, 1);
}

/* A document about our contact, as of the REGISTER with this CSeq; cseq 0: it does not say. */
static const char *document(struct world *w, unsigned version, const char *state,
                            const char *contact_state, const char *event, const char *more,
                            unsigned cseq) {
    static char text[2048];
    struct buf b = buf_init(text, sizeof text - 1);
    struct span contact = ue_contact(w->ue);
    buf_printf(&b,
               "<reginfo xmlns=\"urn:ietf:params:xml:ns:reginfo\" version=\"%u\" state=\"%s\">"
               "<registration aor=\"sip:alice@" HOME_DOMAIN "\" id=\"1\" state=\"active\">",
               version, state);
    buf_printf(&b, "<contact id=\"2\" state=\"%s\" event=\"%s\" %s", contact_state, event, more);
    if (cseq) {
        buf_printf(&b, " callid=\"%.16s\" cseq=\"%u\"", w->ue->call_id, cseq);
    }
    buf_printf(&b, "><uri>%.*s</uri></contact></registration></reginfo>", SPAN_ARG(contact));
    text[b.n] = '\0';
    return text;
}

static unsigned notify(struct world *w, const char *state, const char *body) {
    home_notify(&w->home, state, body);
    pass(w, 100 * MS_IN_US);
    return w->home.notify_status;
}

static void who_is_registered_subscribes(void **state) {
    struct world *w = *state;
    begin(w);
    struct span text = span_from_cstr(w->home.text);
    assert_true(span_find(text, SPAN("SUBSCRIBE sip:alice@" HOME_DOMAIN " SIP/2.0")) == 0);
    assert_true(span_find(text, SPAN("Route: <sip:192.0.2.1:5060;lr>, " HOME_ROUTES)) < text.n);
    assert_true(span_find(text, SPAN("Event: reg\r\n")) < text.n);
    assert_true(span_find(text, SPAN("Expires: 600000\r\n")) < text.n);
    assert_true(ue_is_subscribed(w->ue));
    assert_int_equal(
        notify(w, "active;expires=7200", document(w, 0, "full", "active", "registered", "", 2)),
        200);
    assert_int_equal(w->told, 0);
    /* it is refreshed 600 s before its end, by the dialog's route */
    pass(w, 6600 * SEC_IN_US);
    assert_int_equal(w->home.n_subscribed, 2);
    text = span_from_cstr(w->home.text);
    assert_true(span_find(text, SPAN("SUBSCRIBE sip:scscf@h.net SIP/2.0")) == 0);
    assert_true(span_find(text, SPAN("Route: <sip:first@p.net;lr>, <sip:second@p.net;lr>\r\n")) <
                text.n);
    assert_true(span_find(text, SPAN(";tag=home\r\n")) < text.n);
}

static void it_does_as_the_network_says(void **state) {
    static const struct {
        const char *event, *more;
        enum ue_state then;
        size_t failed, registered;
    } rows[] = {
        {"rejected", "", UE_REFUSED, 1, 0},
        {"unregistered", "", UE_IDLE, 1, 0},
        {"deactivated", "", UE_REGISTERED, 0, 1},
        {"expired", "", UE_REGISTERED, 0, 1},
        {"probation", "retry-after=\"20\"", UE_WAITING, 1, 0},
    };
    struct world *w = *state;
    begin(w);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        size_t failed = w->failed, registered = w->registered;
        assert_int_equal(notify(w, "terminated;reason=noresource",
                                document(w, 7, "partial", "terminated", rows[i].event, rows[i].more,
                                         w->ue->granted_cseq)),
                         200);
        pass(w, SEC_IN_US);
        assert_string_equal(ue_state_name(ue_state(w->ue)), ue_state_name(rows[i].then));
        assert_int_equal(w->failed - failed, rows[i].failed);
        assert_int_equal(w->registered - registered, rows[i].registered);
        assert_int_equal(w->told, i + 1);
        if (w->failed > failed) {
            assert_int_equal(w->failure.reason, UE_REASON_ENDED);
            assert_true(w->failure.was_registered);
        }
        if (rows[i].then == UE_WAITING) {
            assert_int_equal(w->failure.retry_us, 20 * SEC_IN_US);
        }
        ue_register(w->ue);
        pass(w, SEC_IN_US);
        assert_int_equal(ue_state(w->ue), UE_REGISTERED);
        assert_true(ue_is_subscribed(w->ue));
    }
}

static void a_shortened_registration_is_renewed_in_time(void **state) {
    struct world *w = *state;
    begin(w);
    size_t n = w->home.n_seen;
    assert_int_equal(notify(w, "active;expires=7200",
                            document(w, 1, "partial", "active", "shortened", "expires=\"40\"", 2)),
                     200);
    assert_int_equal(w->event, REGINFO_SHORTENED);
    assert_int_equal(w->seconds, 40);
    assert_int_equal(ue_expires_s(w->ue), 40);
    pass(w, 19 * SEC_IN_US);
    assert_int_equal(w->home.n_seen, n);
    pass(w, 2 * SEC_IN_US);
    assert_true(w->home.n_seen > n);
    assert_int_equal(ue_state(w->ue), UE_REGISTERED);
    assert_int_equal(ue_expires_s(w->ue), 3600);
}

/* HA12: documents and answers overtake each other. */
static void what_is_older_than_the_registration_changes_nothing(void **state) {
    struct world *w = *state;
    begin(w); /* CSeq 1, then 2 with the response */
    ue_register(w->ue);
    pass(w, SEC_IN_US); /* 3 and perhaps 4 */
    assert_true(w->ue->granted_cseq > 2);
    assert_int_equal(
        notify(w, "active", document(w, 1, "partial", "terminated", "deactivated", "", 2)), 200);
    assert_int_equal(ue_state(w->ue), UE_REGISTERED);
    assert_int_equal(w->told, 0);
    /* an older version of the document */
    assert_int_equal(
        notify(w, "active",
               document(w, 1, "partial", "terminated", "deactivated", "", w->ue->granted_cseq)),
        200);
    assert_int_equal(w->told, 0);
}

static void what_overtakes_the_200_counts_behind_it(void **state) {
    struct world *w = *state;
    begin(w);
    home_next(&w->home, HOME_SILENT, 0, NULL); /* its answer is late */
    ue_register(w->ue);
    pass(w, 100 * MS_IN_US);
    assert_int_equal(ue_state(w->ue), UE_REFRESHING);
    assert_int_equal(
        notify(w, "active", document(w, 1, "partial", "terminated", "rejected", "", w->ue->cseq)),
        200);
    assert_int_equal(ue_state(w->ue), UE_REFRESHING);
    home_next(&w->home, HOME_GRANT, 0, NULL);
    pass(w, 5 * SEC_IN_US); /* the request is repeated, and granted */
    assert_int_equal(ue_state(w->ue), UE_REFUSED);
    assert_int_equal(w->event, REGINFO_REJECTED);
}

static void a_missed_document_is_asked_for(void **state) {
    struct world *w = *state;
    begin(w);
    assert_int_equal(notify(w, "active", document(w, 0, "full", "active", "registered", "", 2)),
                     200);
    assert_int_equal(notify(w, "active", document(w, 2, "partial", "active", "refreshed", "", 2)),
                     200);
    assert_int_equal(w->home.n_subscribed, 2);
}

static void what_is_left_out_of_a_full_document_is_registered_anew(void **state) {
    struct world *w = *state;
    const char *nothing = "<reginfo xmlns=\"urn:ietf:params:xml:ns:reginfo\" version=\"%u\" "
                          "state=\"full\"/>";
    char text[256];
    begin(w);
    snprintf(text, sizeof text, nothing, 1U);
    assert_int_equal(notify(w, "active", text), 200); /* perhaps older than the 200 */
    assert_int_equal(w->told, 0);
    pass(w, 40 * SEC_IN_US);
    snprintf(text, sizeof text, nothing, 2U);
    assert_int_equal(notify(w, "active", text), 200);
    pass(w, SEC_IN_US);
    assert_int_equal(w->event, REGINFO_DEACTIVATED);
    assert_int_equal(w->registered, 2);
}

static void identities_come_and_go(void **state) {
    struct world *w = *state;
    begin(w);
    assert_int_equal(
        notify(w, "active",
               "<reginfo xmlns=\"urn:ietf:params:xml:ns:reginfo\" version=\"0\" state=\"partial\">"
               "<registration aor=\"tel:+447700900101\" id=\"1\" state=\"terminated\"/>"
               "<registration aor=\"sip:new@" HOME_DOMAIN "\" id=\"2\" state=\"active\"/>"
               "<registration aor=\"nonsense\" id=\"3\" state=\"active\"/>"
               "<registration aor=\"sip:u1@" HOME_DOMAIN "\" id=\"4\" state=\"active\">"
               "<w:wildcardedIdentity xmlns:w=\"urn:3gpp:ns:extRegExp:1.0\">sip:u!.*!@" HOME_DOMAIN
               "</w:wildcardedIdentity></registration></reginfo>"),
        200);
    assert_true(span_eq(ue_associated_uris(w->ue),
                        SPAN("<sip:alice@" HOME_DOMAIN ">, <sip:work@" HOME_DOMAIN
                             ">, <sip:new@" HOME_DOMAIN ">, <sip:u!.*!@" HOME_DOMAIN ">")));
    assert_true(span_eq(ue_service_route(w->ue), SPAN(HOME_ROUTES)));
}

static void refusals_and_ends(void **state) {
    struct world *w = *state;
    w->home.subscribe_status = 423;
    w->home.subscribe_lines = "Min-Expires: 700000\r\n";
    ue_register(w->ue);
    pass(w, SEC_IN_US);
    assert_int_equal(w->home.n_subscribed, 2); /* with so much; then it gives up */
    assert_non_null(strstr(w->home.text, "Expires: 700000\r\n"));
    assert_false(ue_is_subscribed(w->ue));
    assert_null(w->ue->subscription);
    w->home.subscribe_status = 503;
    w->home.subscribe_lines = "Retry-After: 30\r\n";
    ue_register(w->ue);
    pass(w, 29 * SEC_IN_US);
    assert_int_equal(w->home.n_subscribed, 3);
    w->home.subscribe_status = 0;
    w->home.subscribe_lines = NULL;
    pass(w, 2 * SEC_IN_US);
    assert_true(ue_is_subscribed(w->ue));
    /* the S-CSCF ends it, and it begins anew */
    size_t n = w->home.n_subscribed;
    assert_int_equal(notify(w, "terminated;reason=deactivated", ""), 200);
    pass(w, SEC_IN_US);
    assert_int_equal(w->home.n_subscribed, n + 1);
    /* the S-CSCF does not know it any more */
    w->home.subscribe_status = 481;
    pass(w, 6600 * SEC_IN_US);
    assert_true(w->home.n_subscribed > n + 2);
    w->home.subscribe_status = 0;
}

static void wrong_notifies_are_refused(void **state) {
    struct world *w = *state;
    begin(w);
    assert_int_equal(notify(w, "active", "<reginfo"), 400);
    w->home.notify_cseq = 0;
    assert_int_equal(notify(w, "active", ""), 200);
    w->home.notify_cseq = 0;
    assert_int_equal(notify(w, "active", ""), 500);
    w->home.watch_tag[0] ^= 1;
    assert_int_equal(notify(w, "active", ""), 481);
    assert_int_equal(ue_state(w->ue), UE_REGISTERED);
}

static void the_owner_may_drop_it(void **state) {
    struct world *w = *state;
    begin(w);
    w->frees = true;
    assert_int_equal(
        notify(w, "terminated", document(w, 1, "partial", "terminated", "rejected", "", 2)), 200);
    assert_null(w->ue);
}

static void the_last_notify_of_who_has_left_is_taken(void **state) {
    struct world *w = *state;
    begin(w);
    const char *last = document(w, 1, "partial", "terminated", "unregistered", "", 0);
    ue_deregister(w->ue, UE_THIS_CONTACT);
    pass(w, SEC_IN_US);
    assert_int_equal(ue_state(w->ue), UE_IDLE);
    assert_int_equal(notify(w, "terminated;reason=noresource", last), 200);
    assert_int_equal(notify(w, "terminated;reason=noresource", last), 481);
    assert_int_equal(w->told, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(who_is_registered_subscribes),
        TEST(it_does_as_the_network_says),
        TEST(a_shortened_registration_is_renewed_in_time),
        TEST(what_is_older_than_the_registration_changes_nothing),
        TEST(what_overtakes_the_200_counts_behind_it),
        TEST(a_missed_document_is_asked_for),
        TEST(what_is_left_out_of_a_full_document_is_registered_anew),
        TEST(identities_come_and_go),
        TEST(refusals_and_ends),
        TEST(wrong_notifies_are_refused),
        TEST(the_owner_may_drop_it),
        TEST(the_last_notify_of_who_has_left_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
