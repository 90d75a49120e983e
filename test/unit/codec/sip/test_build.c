/* Writing messages, and copying them with changes. covers: A4 A8 */
#include "codec/sip/build.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const char request_text[] =
    "REGISTER sip:home.net SIP/2.0\r\n"
    "v: SIP/2.0/UDP 192.0.2.1;rport;branch=z9hG4bK1 , SIP/2.0/UDP h\r\n"
    "Via: SIP/2.0/TCP i\r\n"
    "Route: <sip:a;lr>, <sip:b,c;lr>\r\n"
    "X-One: 1\r\n"
    "Route: <sip:d;lr>\r\n"
    "f: <sip:a@b>;tag=1\r\n"
    "t: <sip:a@b>\r\n"
    "Max-Forwards: 70\r\n"
    "X-Two: 2\r\n"
    "Timestamp: 5\r\n"
    "i: c\r\n"
    "CSeq: 1 REGISTER\r\n"
    "l: 4\r\n"
    "\r\n"
    "body";

struct builder {
    struct chunk_pool pool;
    struct arena arena;
    char bytes[sizeof request_text], out[2048];
    struct sip_msg *msg;
    struct buf b;
    struct sip_edits edits;
};

static struct builder *start(struct builder *w) {
    chunk_pool_init(&w->pool, 8192, 1);
    w->arena = arena_init(&w->pool);
    memcpy(w->bytes, request_text, sizeof request_text);
    struct sip_limits limits = sip_limits_default();
    struct sip_fault fault;
    assert_int_equal(
        sip_parse(&w->arena, w->bytes, sizeof request_text - 1, &limits, &w->msg, &fault), OK);
    w->b = buf_init(w->out, sizeof w->out);
    w->edits = (struct sip_edits){.n = 0};
    return w;
}

static void finish(struct builder *w, const char *expected) {
    assert_false(w->b.overflow);
    w->out[w->b.n] = '\0';
    assert_string_equal(w->out, expected);
    arena_release(&w->arena);
    chunk_pool_free(&w->pool);
}

static void a_request_is_written(void **state) {
    (void)state;
    struct builder w;
    start(&w);
    sip_put_request_line(&w.b, sip_method_name(SIP_OPTIONS), SPAN("sip:h"));
    sip_put_begin(&w.b, SIP_H_VIA);
    sip_put_via(&w.b, SPAN("UDP"), SPAN("h:5060"), SPAN(";rport"), SPAN("z9hG4bKx"));
    sip_put_end(&w.b);
    sip_put(&w.b, SIP_H_CALL_ID, SPAN("c"));
    sip_put_number(&w.b, SIP_H_MAX_FORWARDS, 70);
    sip_put_begin(&w.b, SIP_H_SUBJECT);
    sip_put_quoted(&w.b, SPAN("a\"b\\c\r\nd"));
    sip_put_end(&w.b);
    sip_put_named(&w.b, SPAN("X-Y"), SPAN("z"));
    sip_put_body(&w.b, SPAN("hi"));
    finish(&w, "OPTIONS sip:h SIP/2.0\r\nVia: SIP/2.0/UDP h:5060;rport;branch=z9hG4bKx\r\n"
               "Call-ID: c\r\nMax-Forwards: 70\r\nSubject: \"a\\\"b\\\\cd\"\r\nX-Y: z\r\n"
               "Content-Length: 2\r\n\r\nhi");
}

#define REPLY_REST "f: <sip:a@b>;tag=1\r\n"

static void an_answer_takes_what_it_must_from_its_request(void **state) {
    (void)state;
    struct builder w;
    start(&w);
    sip_put_reply(&w.b, w.msg, 100, SPAN_NONE, SPAN_NONE);
    finish(&w, "SIP/2.0 100 Trying\r\n"
               "v: SIP/2.0/UDP 192.0.2.1;rport;branch=z9hG4bK1 , SIP/2.0/UDP h\r\n"
               "Via: SIP/2.0/TCP i\r\n" REPLY_REST
               "t: <sip:a@b>\r\ni: c\r\nCSeq: 1 REGISTER\r\nTimestamp: 5\r\n");
    start(&w);
    w.msg->stamped_via = SPAN("SIP/2.0/UDP stamped");
    sip_put_reply(&w.b, w.msg, 423, SPAN("Too Brief"), SPAN("me"));
    finish(&w, "SIP/2.0 423 Too Brief\r\nv: SIP/2.0/UDP stamped , SIP/2.0/UDP h\r\n"
               "Via: SIP/2.0/TCP i\r\n" REPLY_REST
               "t: <sip:a@b>;tag=me\r\ni: c\r\nCSeq: 1 REGISTER\r\n");
}

static void a_copy_without_edits_is_the_same_but_content_length(void **state) {
    (void)state;
    struct builder w;
    start(&w);
    sip_put_edited(&w.b, w.msg, NULL);
    const char *first = strchr(request_text, '\n') + 1, *end = strstr(request_text, "l: 4\r\n");
    char expected[sizeof request_text] = {0};
    memcpy(expected, first, (size_t)(end - first));
    finish(&w, expected);
}

static void edits_change_what_they_name_and_nothing_else(void **state) {
    (void)state;
    struct builder w;
    start(&w);
    sip_edit_prepend(&w.edits, SIP_H_ROUTE, SPAN("<sip:new;lr>"));
    sip_edit_prepend(&w.edits, SIP_H_VIA, SPAN("SIP/2.0/UDP own"));
    sip_edit_pop(&w.edits, SIP_H_ROUTE);
    sip_edit_replace(&w.edits, SIP_H_MAX_FORWARDS, SPAN("69"));
    sip_edit_replace(&w.edits, SIP_H_EXPIRES, SPAN("60"));
    sip_edit_remove(&w.edits, SIP_H_TIMESTAMP);
    sip_edit_remove(&w.edits, SIP_H_PATH);
    sip_edit_remove_named(&w.edits, SPAN("x-one"));
    sip_edit_append(&w.edits, SIP_H_PATH, SPAN("<sip:p;lr>"));
    sip_edit_append_named(&w.edits, SPAN("X-Three"), SPAN("3"));
    w.msg->stamped_via = SPAN("SIP/2.0/UDP stamped");
    sip_put_edited(&w.b, w.msg, &w.edits);
    finish(&w, "Via: SIP/2.0/UDP own\r\nRoute: <sip:new;lr>\r\n"
               "v: SIP/2.0/UDP stamped , SIP/2.0/UDP h\r\nVia: SIP/2.0/TCP i\r\n"
               "Route: <sip:b,c;lr>\r\nRoute: <sip:d;lr>\r\n"
               "f: <sip:a@b>;tag=1\r\nt: <sip:a@b>\r\nMax-Forwards: 69\r\nX-Two: 2\r\n"
               "i: c\r\nCSeq: 1 REGISTER\r\nExpires: 60\r\nPath: <sip:p;lr>\r\nX-Three: 3\r\n");
}

static void values_are_popped_over_lines(void **state) {
    (void)state;
    struct builder w;
    start(&w);
    for (int i = 0; i < 3; i++) {
        sip_edit_pop(&w.edits, SIP_H_ROUTE);
    }
    sip_edit_pop(&w.edits, SIP_H_VIA);
    sip_put_edited(&w.b, w.msg, &w.edits);
    finish(&w, "v: SIP/2.0/UDP h\r\nVia: SIP/2.0/TCP i\r\nX-One: 1\r\n"
               "f: <sip:a@b>;tag=1\r\nt: <sip:a@b>\r\nMax-Forwards: 70\r\nX-Two: 2\r\n"
               "Timestamp: 5\r\ni: c\r\nCSeq: 1 REGISTER\r\n");
}

static void too_many_edits_fail_the_copy(void **state) {
    (void)state;
    struct builder w;
    start(&w);
    for (int i = 0; i <= SIP_EDITS_MAX; i++) {
        sip_edit_append(&w.edits, SIP_H_PATH, SPAN("x"));
    }
    sip_put_edited(&w.b, w.msg, &w.edits);
    assert_true(w.b.overflow);
    w.b = buf_init(w.out, sizeof w.out);
    finish(&w, "");
}

static void a_via_is_stamped_with_where_it_came_from(void **state) {
    (void)state;
    static const struct {
        const char *via, *stamped; /* NULL: needs none */
    } cases[] = {
        {"SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1", NULL},
        {"SIP/2.0/UDP 192.0.2.1", NULL},
        {"SIP/2.0/UDP 192.0.2.1;rport;branch=z9hG4bK1",
         "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1;rport=4711;received=192.0.2.1"},
        {"SIP/2.0/UDP ue.home.net:5060;branch=z9hG4bK1",
         "SIP/2.0/UDP ue.home.net:5060;branch=z9hG4bK1;received=192.0.2.1"},
        {"SIP/2.0/UDP 10.0.0.1 ; received=6.6.6.6 ;branch=x;rport=1 ;y=\"a;b\"",
         "SIP/2.0/UDP 10.0.0.1;branch=x;y=\"a;b\";rport=4711;received=192.0.2.1"},
        {"SIP/2.0/UDP 10.0.0.1", "SIP/2.0/UDP 10.0.0.1;received=192.0.2.1"},
        {"SIP/2.0/TCP 192.0.2.1;keep;branch=x", "SIP/2.0/TCP 192.0.2.1;keep=30;branch=x"},
        {"SIP/2.0/TCP 192.0.2.1;keep=7;branch=x", NULL},
    };
    const struct addr from = addr_v4(192, 0, 2, 1, 4711);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct sip_via via;
        char out[256];
        struct buf b = buf_init(out, sizeof out - 1);
        assert_int_equal(sip_via_parse(span_from_cstr(cases[i].via), &via), OK);
        assert_int_equal(sip_via_needs_stamp(&via, &from, 30), cases[i].stamped != NULL);
        sip_put_via_stamped(&b, &via, &from, 30);
        out[b.n] = '\0';
        assert_string_equal(out, cases[i].stamped ? cases[i].stamped : cases[i].via);
    }
    struct addr six;
    struct sip_via via;
    char out[256];
    struct buf b = buf_init(out, sizeof out - 1);
    assert_true(addr_parse_host(SPAN("2001:db8::1"), 5060, &six));
    assert_int_equal(sip_via_parse(SPAN("SIP/2.0/UDP h"), &via), OK);
    sip_put_via_stamped(&b, &via, &six, 0);
    out[b.n] = '\0';
    assert_string_equal(out, "SIP/2.0/UDP h;received=2001:db8::1");
}

static void a_message_that_does_not_fit_says_so(void **state) {
    (void)state;
    struct builder w;
    start(&w);
    struct buf small = buf_init(w.out, 100);
    sip_put_edited(&small, w.msg, NULL);
    assert_true(small.overflow);
    w.b.n = 0;
    finish(&w, "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_written),
        cmocka_unit_test(an_answer_takes_what_it_must_from_its_request),
        cmocka_unit_test(a_copy_without_edits_is_the_same_but_content_length),
        cmocka_unit_test(edits_change_what_they_name_and_nothing_else),
        cmocka_unit_test(values_are_popped_over_lines),
        cmocka_unit_test(too_many_edits_fail_the_copy),
        cmocka_unit_test(a_via_is_stamped_with_where_it_came_from),
        cmocka_unit_test(a_message_that_does_not_fit_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
