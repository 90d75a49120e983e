/* covers: A12 B2 */
#include "codec/reginfo/reginfo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct chunk_pool pool;
static struct arena arena;

static int set_up(void **state) {
    (void)state;
    chunk_pool_init(&pool, 16384, 4);
    arena = arena_init(&pool);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    arena_release(&arena);
    chunk_pool_free(&pool);
    return 0;
}

static bool is(struct span s, const char *text) {
    return span_eq(s, span_from_cstr(text));
}

static enum error read(const char *text, struct reginfo **out) {
    return reginfo_read(span_from_cstr(text), &arena, out);
}

static void what_is_written_is_read(void **state) {
    (void)state;
    char text[4096];
    struct buf b = buf_init(text, sizeof text);
    const struct reginfo_contact phone = {.id = SPAN("c1"),
                                          .uri = SPAN("sip:a&b@127.0.0.1;x=\"<y>\""),
                                          .display_name = SPAN("Alice <Smith> & Co"),
                                          .call_id = SPAN("\"call\"@home"),
                                          .instance = SPAN("urn:gsma:imei:1"),
                                          .pub_gruu = SPAN("sip:a@home;gr=1"),
                                          .temp_gruu = SPAN("sip:t@home;gr"),
                                          .temp_gruu_first_cseq = 7,
                                          .active = true,
                                          .event = REGINFO_CREATED,
                                          .has_expires = true,
                                          .expires_s = 600000,
                                          .has_cseq = true,
                                          .cseq = 3};
    const struct reginfo_contact gone = {.id = SPAN("c2"),
                                         .uri = SPAN("sip:x"),
                                         .event = REGINFO_PROBATION,
                                         .has_retry_after = true,
                                         .retry_after_s = 30};
    reginfo_put_open(&b, 12, false);
    reginfo_put_registration_open(&b, SPAN("sip:a@home"), SPAN("r1"), REGINFO_ACTIVE);
    reginfo_put_contact(&b, &phone);
    reginfo_put_contact(&b, &gone);
    reginfo_put_registration_close(&b);
    reginfo_put_registration_open(&b, SPAN("tel:+1"), SPAN("r2"), REGINFO_INIT);
    reginfo_put_registration_close(&b);
    reginfo_put_close(&b);
    assert_false(b.overflow);
    struct reginfo *r;
    assert_int_equal(reginfo_read(buf_span(&b), &arena, &r), OK);
    assert_int_equal(r->version, 12);
    assert_false(r->full);
    assert_int_equal(r->n_registrations, 2);
    assert_true(is(r->registrations[0].aor, "sip:a@home"));
    assert_int_equal(r->registrations[0].state, REGINFO_ACTIVE);
    assert_int_equal(r->registrations[0].n_contacts, 2);
    const struct reginfo_contact *c = r->registrations[0].contacts;
    assert_true(span_eq(c->id, phone.id) && span_eq(c->uri, phone.uri));
    assert_true(span_eq(c->display_name, phone.display_name));
    assert_true(span_eq(c->call_id, phone.call_id) && span_eq(c->instance, phone.instance));
    assert_true(span_eq(c->pub_gruu, phone.pub_gruu) && span_eq(c->temp_gruu, phone.temp_gruu));
    assert_int_equal(c->temp_gruu_first_cseq, 7);
    assert_true(c->active && c->has_expires && c->has_cseq && !c->has_retry_after);
    assert_int_equal(c->event, REGINFO_CREATED);
    assert_int_equal(c->expires_s, 600000);
    assert_int_equal(c->cseq, 3);
    c++;
    assert_false(c->active);
    assert_int_equal(c->event, REGINFO_PROBATION);
    assert_int_equal(c->retry_after_s, 30);
    assert_int_equal(r->registrations[1].state, REGINFO_INIT);
    assert_int_equal(r->registrations[1].n_contacts, 0);
}

/* In the manner of RFC 3680's examples: line breaks, a duration, parameters of others. */
static void a_document_of_another_make_is_read(void **state) {
    (void)state;
    struct reginfo *r;
    assert_int_equal(
        read("<?xml version=\"1.0\"?>\n"
             "<reginfo xmlns=\"urn:ietf:params:xml:ns:reginfo\"\n"
             "   xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xmlns:e=\"urn:else\"\n"
             "   version=\"1\" state=\"full\">\n"
             " <registration aor=\"sip:joe@example.com\" id=\"as9\" state=\"active\">\n"
             "  <contact id=\"77\" state=\"active\" event=\"registered\"\n"
             "     duration-registered=\"7322\" q=\"0.8\">\n"
             "   <uri> sip:joe@pc34.example.com </uri>\n"
             "   <unknown-param name=\"audio\">true</unknown-param>\n"
             "   <unknown-param name=\"+SIP.instance\">\"&lt;urn:uuid:1&gt;\"</unknown-param>\n"
             "   <e:uri>other</e:uri><actor>x</actor>\n"
             "  </contact>\n"
             "  <contact id=\"76\" state=\"terminated\" event=\"rejected\"><uri>sip:h</uri>"
             "</contact>\n"
             " </registration><e:registration/>\n</reginfo>\n",
             &r),
        OK);
    assert_true(r->full);
    assert_int_equal(r->version, 1);
    assert_int_equal(r->n_registrations, 1);
    const struct reginfo_contact *c = r->registrations[0].contacts;
    assert_true(is(c[0].uri, "sip:joe@pc34.example.com"));
    assert_true(is(c[0].instance, "urn:uuid:1"));
    assert_int_equal(c[1].event, REGINFO_REJECTED);
}

#define OPEN         "<reginfo xmlns=\"urn:ietf:params:xml:ns:reginfo\" version=\"0\" state=\"full\">"
#define REGISTRATION OPEN "<registration aor=\"sip:a\" id=\"1\" state=\"active\">"

static void what_is_not_registration_information_is_refused(void **state) {
    (void)state;
    static const char *const wrong[] = {
        "",
        " ",
        "x",
        "<reginfo",
        "<other/>",
        "<reginfo xmlns=\"urn:other\" version=\"0\" state=\"full\"/>",
        "<reginfo version=\"0\"/>",
        "<reginfo state=\"full\"/>",
        "<reginfo version=\"-1\" state=\"full\"/>",
        "<reginfo version=\"0\" state=\"half\"/>",
        "<!DOCTYPE reginfo [<!ENTITY e \"x\">]>" OPEN "</reginfo>",
        OPEN "&e;</reginfo><x/>",
        OPEN "<registration id=\"1\" state=\"active\"/></reginfo>",
        OPEN "<registration aor=\"sip:a\" state=\"active\"/></reginfo>",
        OPEN "<registration aor=\"sip:a\" id=\"1\" state=\"on\"/></reginfo>",
        REGISTRATION "<contact id=\"1\" state=\"active\" event=\"registered\"/></registration>"
                     "</reginfo>",
        REGISTRATION "<contact id=\"1\" state=\"active\" event=\"born\"><uri>x</uri></contact>"
                     "</registration></reginfo>",
        REGISTRATION "<contact id=\"1\" state=\"init\" event=\"created\"><uri>x</uri></contact>"
                     "</registration></reginfo>",
        REGISTRATION "<contact id=\"1\" state=\"active\" event=\"created\" expires=\"soon\">"
                     "<uri>x</uri></contact></registration></reginfo>",
    };
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        struct reginfo *r;
        if (read(wrong[i], &r) != ERR_MALFORMED) {
            fail_msg("taken: %s", wrong[i]);
        }
    }
}

static void bounds_hold(void **state) {
    (void)state;
    struct reginfo *r;
    char *text = malloc(2 * REGINFO_BYTES_MAX);
    struct buf b = buf_init(text, 2 * REGINFO_BYTES_MAX);
    buf_cstr(&b, OPEN);
    for (size_t i = 0; i <= REGINFO_REGISTRATIONS_MAX; i++) {
        reginfo_put_registration_open(&b, SPAN("sip:a"), SPAN("1"), REGINFO_ACTIVE);
        reginfo_put_registration_close(&b);
    }
    reginfo_put_close(&b);
    assert_true(b.n < REGINFO_BYTES_MAX);
    assert_int_equal(reginfo_read(buf_span(&b), &arena, &r), ERR_TOO_BIG);
    b.n = 0;
    buf_cstr(&b, OPEN);
    while (b.n <= REGINFO_BYTES_MAX) {
        buf_cstr(&b, "                ");
    }
    reginfo_put_close(&b);
    assert_int_equal(reginfo_read(buf_span(&b), &arena, &r), ERR_TOO_BIG);
    b.n = 0;
    buf_cstr(&b, OPEN); /* deeper than libxml2 goes */
    for (size_t i = 0; i < 1000; i++) {
        buf_cstr(&b, "<a>");
    }
    assert_int_equal(reginfo_read(buf_span(&b), &arena, &r), ERR_MALFORMED);
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_written_is_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_document_of_another_make_is_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_not_registration_information_is_refused, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(bounds_hold, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
