#include "stack/http/web.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define assert_span(s, literal)                                                                    \
    do {                                                                                           \
        struct span s_ = (s);                                                                      \
        assert_int_equal(s_.n, strlen(literal));                                                   \
        assert_memory_equal(s_.p, literal, s_.n);                                                  \
    } while (0)

static void escapes_are_resolved(void **state) {
    char bytes[64];
    (void)state;
    struct buf b = buf_init(bytes, sizeof bytes);
    assert_true(web_decode(SPAN("sip%3Aalice%40home+x"), false, &b));
    assert_span(buf_span(&b), "sip:alice@home+x");
    b = buf_init(bytes, sizeof bytes);
    assert_true(web_decode(SPAN("a+b%2b"), true, &b));
    assert_span(buf_span(&b), "a b+");
}

static void broken_escapes_are_refused(void **state) {
    static const char *const broken[] = {"%", "%4", "%zz", "a%0", "%00", "x%4g"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(broken); i++) {
        char bytes[16];
        struct buf b = buf_init(bytes, sizeof bytes);
        assert_false(web_decode(span_from_cstr(broken[i]), false, &b));
    }
    char two[2];
    struct buf b = buf_init(two, sizeof two);
    assert_false(web_decode(SPAN("abc"), false, &b));
}

static void encoding_comes_back(void **state) {
    static const char identity[] = "sip:+4477@home;x=\"y z\"/%?";
    char encoded[128], decoded[128];
    (void)state;
    struct buf e = buf_init(encoded, sizeof encoded), d = buf_init(decoded, sizeof decoded);
    web_encode(&e, SPAN(identity));
    assert_int_equal(span_find_char(buf_span(&e), '/'), e.n);
    assert_true(web_decode(buf_span(&e), false, &d));
    assert_span(buf_span(&d), identity);
}

static void paths_fall_into_segments(void **state) {
    struct span path = SPAN("/hss//subscriptions/x%2Fy/"), s;
    (void)state;
    assert_true(web_path_segment(&path, &s));
    assert_span(s, "hss");
    assert_true(web_path_segment(&path, &s));
    assert_span(s, "subscriptions");
    assert_true(web_path_segment(&path, &s));
    assert_span(s, "x%2Fy");
    assert_false(web_path_segment(&path, &s));
}

static void query_parameters_are_found(void **state) {
    struct span query = SPAN("a=1&id%65ntity=sip%3Abob&a=2&empty=&flag");
    char bytes[64];
    (void)state;
    struct buf b = buf_init(bytes, sizeof bytes);
    assert_true(web_query(query, SPAN("identity"), &b));
    assert_span(buf_span(&b), "sip:bob");
    b = buf_init(bytes, sizeof bytes);
    assert_true(web_query(query, SPAN("a"), &b));
    assert_span(buf_span(&b), "1");
    b = buf_init(bytes, sizeof bytes);
    assert_true(web_query(query, SPAN("empty"), &b));
    assert_true(web_query(query, SPAN("flag"), &b));
    assert_int_equal(b.n, 0);
    assert_false(web_query(query, SPAN("b"), &b));
    assert_false(web_query(SPAN(""), SPAN("b"), &b));
}

static void keep_body(void *ctx, const struct web_answer *answer) {
    struct buf *b = ctx;
    assert_int_equal(answer->status, 404);
    buf_put(b, answer->body);
}

static void refusals_are_json(void **state) {
    char bytes[256];
    (void)state;
    struct buf b = buf_init(bytes, sizeof bytes);
    web_refuse(keep_body, &b, 404, "no \"x\\y\"\n");
    assert_span(
        buf_span(&b),
        "{\"status\": 404, \"title\": \"Not Found\", \"detail\": \"no \\\"x\\\\y\\\" \"}\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(escapes_are_resolved),       cmocka_unit_test(broken_escapes_are_refused),
        cmocka_unit_test(encoding_comes_back),        cmocka_unit_test(paths_fall_into_segments),
        cmocka_unit_test(query_parameters_are_found), cmocka_unit_test(refusals_are_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
