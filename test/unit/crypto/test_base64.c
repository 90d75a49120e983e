#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "crypto/base64.h"

/* RFC 4648 section 10. */
static void the_rfcs_examples_go_both_ways(void **state) {
    (void)state;
    static const char *const pairs[][2] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
    };
    for (size_t i = 0; i < COUNT_OF(pairs); i++) {
        char text[16];
        uint8_t bytes[16];
        size_t n = 99;
        struct buf b = buf_init(text, sizeof text);
        base64_put(&b, pairs[i][0], strlen(pairs[i][0]));
        assert_true(span_eq(buf_span(&b), span_from_cstr(pairs[i][1])));
        assert_int_equal(b.n, BASE64_SIZE(strlen(pairs[i][0])));
        assert_int_equal(base64_decode(buf_span(&b), bytes, sizeof bytes, &n), OK);
        assert_true(span_eq(span_of(bytes, n), span_from_cstr(pairs[i][0])));
    }
}

static void every_byte_goes_both_ways(void **state) {
    (void)state;
    uint8_t in[256], out[256];
    for (size_t i = 0; i < sizeof in; i++) {
        in[i] = (uint8_t)(i * 151 + 7);
    }
    for (size_t n = 0; n <= sizeof in; n++) {
        char text[BASE64_SIZE(sizeof in)];
        size_t got = 0;
        struct buf b = buf_init(text, sizeof text);
        base64_put(&b, in, n);
        assert_false(b.overflow);
        assert_int_equal(base64_decode(buf_span(&b), out, sizeof out, &got), OK);
        assert_int_equal(got, n);
        assert_memory_equal(in, out, n);
    }
}

static void what_is_not_strict_is_refused(void **state) {
    (void)state;
    static const char *const bad[] = {
        "Z",      "Zg",   "Zg=",  "Zg==Zg==", "=",    "====", "Z===",     "Zm9 v",
        "Zm9v\n", "Zh==", "Zm9=", "Zm-v",     "Zm_v", "Z=9v", "Zm9v====", "\xc3\xa4xx"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        uint8_t bytes[16];
        size_t n = 99;
        assert_int_equal(base64_decode(span_from_cstr(bad[i]), bytes, sizeof bytes, &n),
                         ERR_MALFORMED);
        assert_int_equal(n, 99);
    }
    uint8_t two[2];
    size_t n = 99;
    assert_int_equal(base64_decode(SPAN("Zm9v"), two, sizeof two, &n), ERR_TOO_BIG);
    assert_int_equal(base64_decode(SPAN("Zm8="), two, sizeof two, &n), OK);
    assert_int_equal(n, 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rfcs_examples_go_both_ways),
        cmocka_unit_test(every_byte_goes_both_ways),
        cmocka_unit_test(what_is_not_strict_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
