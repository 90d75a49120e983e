/* covers: A11 */
#include "model/registration/binding.h"

#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct registration_policy policy = {60, 3600 * 24, 3600, 3};

#define A "sip:a@192.0.2.1:5060"
#define B "sip:b@192.0.2.2:5060"
#define C "sip:c@192.0.2.3:5060"
#define D "sip:d@192.0.2.4:5060"

/* Contacts and bindings in short: URI, instance, reg-id, expires (-1: none). */
struct contact_row {
    const char *uri, *instance;
    uint32_t reg_id;
    int64_t expires;
};

struct binding_row {
    const char *uri, *instance;
    uint32_t reg_id;
    const char *call_id;
    uint32_t cseq;
};

struct row {
    const char *what;
    struct binding_row standing[4];
    struct contact_row contacts[6];
    bool star;
    int64_t expires; /* header; -1: none */
    enum registration_verdict verdict;
    const char *steps; /* "+0:3600 =0/0:60 -1": add contact 0, refresh binding 0, remove 1 */
    size_t left;
};

static const struct row rows[] = {
    {"the first contact", {{0}}, {{A, "", 0, -1}}, false, -1, REGISTRATION_UPDATE, "+0:3600", 1},
    {"the header's expires", {{0}}, {{A, "", 0, -1}}, false, 120, REGISTRATION_UPDATE, "+0:120", 1},
    {"the contact's own expires wins",
     {{0}},
     {{A, "", 0, 600}},
     false,
     120,
     REGISTRATION_UPDATE,
     "+0:600",
     1},
    {"a longer one is cut",
     {{0}},
     {{A, "", 0, 600000}},
     false,
     -1,
     REGISTRATION_UPDATE,
     "+0:86400",
     1},
    {"too brief", {{0}}, {{A, "", 0, 59}}, false, -1, REGISTRATION_TOO_BRIEF, "", 0},
    {"too brief by the header", {{0}}, {{A, "", 0, -1}}, false, 1, REGISTRATION_TOO_BRIEF, "", 0},
    {"just long enough", {{0}}, {{A, "", 0, 60}}, false, -1, REGISTRATION_UPDATE, "+0:60", 1},
    {"a refresh",
     {{A, "", 0, "call", 1}},
     {{A, "", 0, -1}},
     false,
     -1,
     REGISTRATION_UPDATE,
     "=0/0:3600",
     1},
    {"a refresh by an equal URI",
     {{"sip:a@EXAMPLE.net;transport=udp", "", 0, "call", 1}},
     {{"SIP:a@example.NET;transport=UDP", "", 0, -1}},
     false,
     -1,
     REGISTRATION_UPDATE,
     "=0/0:3600",
     1},
    {"without reg-id another contact replaces",
     {{A, "", 0, "call", 1}, {B, "", 0, "call", 1}},
     {{C, "", 0, -1}},
     false,
     -1,
     REGISTRATION_UPDATE,
     "+0:3600 -0 -1",
     1},
    {"two contacts at once both stand",
     {{A, "", 0, "call", 1}},
     {{B, "", 0, -1}, {C, "", 0, -1}},
     false,
     -1,
     REGISTRATION_UPDATE,
     "+0:3600 +1:3600 -0",
     2},
    {"with reg-id other flows stand",
     {{A, "phone", 1, "call", 1}, {B, "tablet", 1, "call", 1}},
     {{C, "phone", 2, -1}},
     false,
     -1,
     REGISTRATION_UPDATE,
     "+0:3600",
     3},
    {"the same flow by another URI",
     {{A, "phone", 1, "other", 9}, {B, "tablet", 1, "call", 1}},
     {{C, "phone", 1, -1}},
     false,
     -1,
     REGISTRATION_UPDATE,
     "=0/0:3600",
     2},
    {"reg-id without an instance is none",
     {{A, "phone", 1, "call", 1}},
     {{C, "", 1, -1}},
     false,
     -1,
     REGISTRATION_UPDATE,
     "+0:3600 -0",
     1},
    {"several flows at once",
     {{A, "phone", 1, "call", 1}},
     {{A, "phone", 1, -1}, {B, "phone", 2, -1}},
     false,
     -1,
     REGISTRATION_SEVERAL_FLOWS,
     "",
     0},
    {"one flow moves, one ends",
     {{A, "phone", 1, "call", 1}},
     {{A, "phone", 1, 0}, {B, "phone", 2, -1}},
     false,
     -1,
     REGISTRATION_UPDATE,
     "-0 +1:3600",
     1},
    {"one of two goes",
     {{A, "phone", 1, "call", 1}, {B, "tablet", 1, "call", 1}},
     {{A, "phone", 1, 0}},
     false,
     -1,
     REGISTRATION_UPDATE,
     "-0",
     1},
    {"removal does not replace",
     {{A, "", 0, "call", 1}, {B, "", 0, "call", 1}},
     {{A, "", 0, 0}},
     false,
     -1,
     REGISTRATION_UPDATE,
     "-0",
     1},
    {"the last one goes",
     {{A, "", 0, "call", 1}},
     {{A, "", 0, -1}},
     false,
     0,
     REGISTRATION_UPDATE,
     "-0",
     0},
    {"removal of what is not there",
     {{A, "", 0, "call", 1}},
     {{B, "", 0, 0}},
     false,
     -1,
     REGISTRATION_UPDATE,
     "",
     1},
    {"star",
     {{A, "", 0, "call", 1}, {B, "", 0, "call", 1}},
     {{0}},
     true,
     0,
     REGISTRATION_UPDATE,
     "-0 -1",
     0},
    {"star without Expires", {{0}}, {{0}}, true, -1, REGISTRATION_BAD_STAR, "", 0},
    {"star with Expires", {{0}}, {{0}}, true, 60, REGISTRATION_BAD_STAR, "", 0},
    {"star and a contact", {{0}}, {{A, "", 0, 0}}, true, 0, REGISTRATION_BAD_STAR, "", 0},
    {"fetch", {{A, "", 0, "call", 1}}, {{0}}, false, -1, REGISTRATION_FETCH, "", 1},
    {"an old request",
     {{A, "", 0, "now", 7}},
     {{A, "", 0, -1}},
     false,
     -1,
     REGISTRATION_OUT_OF_ORDER,
     "",
     1},
    {"an old star", {{A, "", 0, "now", 7}}, {{0}}, true, 0, REGISTRATION_OUT_OF_ORDER, "", 1},
    {"a newer request",
     {{A, "", 0, "now", 6}},
     {{A, "", 0, -1}},
     false,
     -1,
     REGISTRATION_UPDATE,
     "=0/0:3600",
     1},
    {"too many contacts",
     {{0}},
     {{A, "", 0, -1}, {B, "", 0, -1}, {C, "", 0, -1}, {D, "", 0, -1}},
     false,
     -1,
     REGISTRATION_TOO_MANY,
     NULL,
     4},
    {"one flow too many",
     {{A, "1", 1, "call", 1}, {B, "2", 1, "call", 1}, {C, "3", 1, "call", 1}},
     {{D, "4", 1, -1}},
     false,
     -1,
     REGISTRATION_TOO_MANY,
     NULL,
     4},
    {"at the limit a flow is still refreshed",
     {{A, "1", 1, "call", 1}, {B, "2", 1, "call", 1}, {C, "3", 1, "call", 1}},
     {{D, "3", 1, -1}},
     false,
     -1,
     REGISTRATION_UPDATE,
     "=2/0:3600",
     3},
    {"a contact twice counts once",
     {{0}},
     {{A, "", 0, -1}, {A, "", 0, 0}},
     false,
     -1,
     REGISTRATION_UPDATE,
     "+0:3600",
     1},
};

static void put_steps(struct buf *b, const struct registration_outcome *o) {
    for (size_t i = 0; i < o->n_steps; i++) {
        const struct registration_step *s = &o->steps[i];
        const char *gap = i ? " " : "";
        if (s->kind == REGISTRATION_ADD) {
            buf_printf(b, "%s+%d:%u", gap, s->contact, s->expires_s);
        } else if (s->kind == REGISTRATION_REFRESH) {
            buf_printf(b, "%s=%d/%d:%u", gap, s->binding, s->contact, s->expires_s);
        } else {
            buf_printf(b, "%s-%d", gap, s->binding);
        }
    }
    buf_char(b, 0);
}

static void run(const struct row *row, struct registration_outcome *out) {
    struct registration_binding standing[COUNT_OF(row->standing)];
    struct registration_contact contacts[COUNT_OF(row->contacts)];
    struct registration_request request = {.call_id = SPAN("now"),
                                           .cseq = 7,
                                           .star = row->star,
                                           .first_hop_outbound = true,
                                           .contacts = contacts,
                                           .expires_given = row->expires >= 0,
                                           .expires_s = (uint32_t)row->expires};
    size_t n = 0;
    while (n < COUNT_OF(row->standing) && row->standing[n].uri) {
        const struct binding_row *b = &row->standing[n];
        standing[n++] =
            (struct registration_binding){span_from_cstr(b->uri), span_from_cstr(b->instance),
                                          span_from_cstr(b->call_id), b->reg_id, b->cseq};
    }
    while (request.n_contacts < COUNT_OF(contacts) && row->contacts[request.n_contacts].uri) {
        const struct contact_row *c = &row->contacts[request.n_contacts];
        contacts[request.n_contacts++] =
            (struct registration_contact){.uri = span_from_cstr(c->uri),
                                          .instance = span_from_cstr(c->instance),
                                          .expires_given = c->expires >= 0,
                                          .expires_s = (uint32_t)c->expires,
                                          .reg_id = c->reg_id};
    }
    registration_decide(&policy, &request, standing, n, out);
}

static void each_row_of_the_table_holds(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct registration_outcome o;
        char text[512];
        struct buf b = buf_init(text, sizeof text);
        run(&rows[i], &o);
        put_steps(&b, &o);
        if (o.verdict != rows[i].verdict || (rows[i].steps && strcmp(text, rows[i].steps) != 0) ||
            (o.verdict == REGISTRATION_UPDATE && o.n_left != rows[i].left)) {
            fail_msg("%s: verdict %d, steps \"%s\", %zu left", rows[i].what, (int)o.verdict, text,
                     o.n_left);
        }
    }
}

static void a_flow_needs_an_edge_that_keeps_it(void **state) {
    (void)state;
    struct registration_contact c = {.uri = SPAN(A), .instance = SPAN("phone"), .reg_id = 1};
    struct registration_request r = {.contacts = &c, .n_contacts = 1};
    struct registration_outcome o;
    registration_decide(&policy, &r, NULL, 0, &o);
    assert_int_equal(o.verdict, REGISTRATION_LACKS_OUTBOUND);
    r.first_hop_outbound = true;
    registration_decide(&policy, &r, NULL, 0, &o);
    assert_int_equal(o.verdict, REGISTRATION_UPDATE);
    r.first_hop_outbound = false;
    c.instance = SPAN_NONE; /* no flow */
    registration_decide(&policy, &r, NULL, 0, &o);
    assert_int_equal(o.verdict, REGISTRATION_UPDATE);
}

static void a_long_minimum_does_not_refuse_an_hour(void **state) {
    (void)state;
    struct registration_policy strict = {7200, 600000, 600000, 4};
    struct registration_contact c = {.uri = SPAN(A), .expires_given = true, .expires_s = 3600};
    struct registration_request r = {.contacts = &c, .n_contacts = 1};
    uint32_t s = 0;
    assert_true(registration_expires(&strict, &r, &c, &s)); /* RFC 3261 10.3 step 7 */
    assert_int_equal(s, 3600);
    c.expires_s = 3599;
    assert_false(registration_expires(&strict, &r, &c, &s));
}

static void more_contacts_than_can_be_counted_are_too_many(void **state) {
    (void)state;
    struct registration_contact many[REGISTRATION_CONTACTS_MAX + 1] = {{.uri = SPAN(A)}};
    struct registration_request r = {.contacts = many, .n_contacts = COUNT_OF(many)};
    struct registration_outcome o;
    registration_decide(&policy, &r, NULL, 0, &o);
    assert_int_equal(o.verdict, REGISTRATION_TOO_MANY);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_row_of_the_table_holds),
        cmocka_unit_test(a_flow_needs_an_edge_that_keeps_it),
        cmocka_unit_test(a_long_minimum_does_not_refuse_an_hour),
        cmocka_unit_test(more_contacts_than_can_be_counted_are_too_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
