/* Tokens: who is who, and what counts as showing one.
 * covers: HA7 */
#include "stack/http/access.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

static struct web_token token_of(const char *name, const char *text) {
    struct web_token t = {.right = WEB_WRITE};
    snprintf(t.name, sizeof t.name, "%s", name);
    assert_int_equal(web_token_hash(span_from_cstr(text), t.hash), OK);
    return t;
}

static void a_token_is_found_as_a_whole(void **state) {
    const struct web_token tokens[] = {token_of("a", "one"), token_of("b", "two")};
    static const struct {
        const char *shown, *name;
    } cases[] = {
        {"Bearer two", "b"},   {"bearer one", "a"},      {"Bearer  one ", "a"}, {"Bearer on", NULL},
        {"Bearer one1", NULL}, {"Bearer", NULL},         {"Bearer ", NULL},     {"", NULL},
        {"Basic one", NULL},   {"Bearer one two", NULL}, {"one", NULL},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const struct web_token *t =
            web_token_find(tokens, COUNT_OF(tokens), span_from_cstr(cases[i].shown));
        assert_true(cases[i].name ? t && strcmp(t->name, cases[i].name) == 0 : !t);
    }
    assert_null(web_token_find(NULL, 0, SPAN("Bearer one")));
    assert_null(web_token_find(tokens, COUNT_OF(tokens), SPAN_NONE));
}

static void new_tokens_are_long_and_never_the_same(void **state) {
    char a[WEB_TOKEN_TEXT + 8], b[WEB_TOKEN_TEXT + 8];
    (void)state;
    assert_int_equal(web_token_new(a), OK);
    assert_int_equal(web_token_new(b), OK);
    assert_int_equal(strlen(a), strlen("muster_") + 43);
    assert_int_equal(strspn(a, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"),
                     strlen(a));
    assert_string_not_equal(a, b);
}

static void names_and_rights_are_words(void **state) {
    enum web_right right;
    (void)state;
    assert_true(web_token_name_ok(SPAN("alice@example.org")));
    assert_false(web_token_name_ok(SPAN("")));
    assert_false(web_token_name_ok(SPAN("-a")));
    assert_false(web_token_name_ok(SPAN("a b")));
    assert_false(web_token_name_ok(SPAN("a\nb")));
    assert_true(web_right_parse(SPAN("admin"), &right));
    assert_int_equal(right, WEB_ADMIN);
    assert_false(web_right_parse(SPAN("root"), &right));
    assert_string_equal(web_right_name(WEB_READ), "read");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_is_found_as_a_whole),
        cmocka_unit_test(new_tokens_are_long_and_never_the_same),
        cmocka_unit_test(names_and_rights_are_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
