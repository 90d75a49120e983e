/* covers: HB6
 * Expressions: beside the C library's, what is refused, and that no pattern makes a look-up slow.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/wildcard/ere.h"

#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static struct ere *compiled(const char *expression) {
    char text[160];
    struct buf why = buf_init(text, sizeof text);
    struct ere *e = NULL;

    if (ere_compile(SPAN(""), span_from_cstr(expression), SPAN(""), &e, &why) != OK) {
        fail_msg("%s: %.*s", expression, (int)why.n, text);
    }
    return e;
}

static bool matches(const char *expression, const char *text) {
    struct ere *e = compiled(expression);
    bool yes = ere_match(e, span_from_cstr(text));

    free(e);
    return yes;
}

static void an_expression_takes_its_texts_and_no_others(void **state) {
    static const struct {
        const char *expression, *yes[4], *no[4];
    } rows[] = {
        {".*", {"", "a", "!~"}, {"\x7f", "a b"}},
        {"a{3}", {"aaa"}, {"aa", "aaaa", ""}},
        {"a{2,}", {"aa", "aaaaa"}, {"a"}},
        {"(ab|c){0,2}x?", {"", "abc", "ccx", "x"}, {"ababab", "xx"}},
        {"[0-9a-f]+", {"0", "beef"}, {"", "g", "BEEF"}},
        {"[^0-9]", {"a", "-"}, {"5", ""}},
        {"[]a-]", {"]", "a", "-"}, {"b"}},
        {"[[:digit:]_]+", {"12_3"}, {"a", ""}},
        {"a{0}", {""}, {"a"}},
        {"\\.\\*\\+\\{}", {".*+{}"}, {"a*+{}"}},
        {"(a*)*b", {"b", "aaab"}, {"a", ""}},
        {"(0|1(01*0)*1)+", {"0", "11", "110", "1001"}, {"1", "10", "100"}}, /* multiples of three */
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        for (size_t k = 0; k < 4 && rows[i].yes[k]; k++) {
            assert_true(matches(rows[i].expression, rows[i].yes[k]));
        }
        for (size_t k = 0; k < 4 && rows[i].no[k]; k++) {
            assert_false(matches(rows[i].expression, rows[i].no[k]));
        }
    }
}

static void what_is_no_expression_is_refused_with_the_place(void **state) {
    static const struct {
        const char *expression, *why;
    } rows[] = {
        {"", "an alternative is not empty"},
        {"a||b", "an alternative is not empty"},
        {"()", "an alternative is not empty"},
        {"(a", "this ( has no )"},
        {"a)", "this ) has no ("},
        {"[a", "this [ has no ]"},
        {"[b-a]", "a range goes from"},
        {"[[:number:]]", "a class is wanted"},
        {"[[.a.]]", "not supported"},
        {"[^!-~]", "nothing is left"},
        {"*a", "nothing here that could be repeated"},
        {"a**", "a repetition is not repeated"},
        {"a{3,2}", "{m}, {m,} or {m,n}"},
        {"a{256}", "{m}, {m,} or {m,n}"},
        {"a{", "{m}, {m,} or {m,n}"},
        {"^a$", "anchors are not needed"},
        {"\\d+", "a digit is [0-9]"},
        {"a\\", "a backslash stands before"},
        {"a b", "only the characters of identities"},
        {"((((((((((((((((((a))))))))))))))))))", "at most 16"},
        {"(a{200}){200}", "more than 256 characters"},
        {"((a{0,255}){0,255}){0,255}", "more than 256 characters"},
        {"(((((a{0}){255}){255}){255}){255}){255}", "more than 256 characters"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char text[200] = "";
        struct buf why = buf_init(text, sizeof text - 1);
        struct ere *e = NULL;

        assert_int_not_equal(
            ere_compile(SPAN(""), span_from_cstr(rows[i].expression), SPAN(""), &e, &why), OK);
        if (!strstr(text, rows[i].why)) {
            fail_msg("%s: %s", rows[i].expression, text);
        }
    }
}

/* A random expression over a, b and c. */
static void put_random(struct buf *b, unsigned depth) {
    static const char *const atoms[] = {"a", "b", ".", "[ab]", "[^a]", "c"};
    static const char *const repeats[] = {"*", "+", "?", "{2}", "{1,}", "{0,2}", "{2,3}"};
    unsigned n = 1 + (unsigned)rand() % 3;

    for (unsigned i = 0; i < n; i++) {
        if (depth < 3 && rand() % 3 == 0) {
            buf_char(b, '(');
            put_random(b, depth + 1);
            if (rand() % 2) {
                buf_char(b, '|');
                put_random(b, depth + 1);
            }
            buf_char(b, ')');
        } else {
            buf_cstr(b, atoms[rand() % 6]);
        }
        if (rand() % 3 == 0) {
            buf_cstr(b, repeats[rand() % 7]);
        }
    }
}

static void put_random_text(char *out) {
    size_t n = (size_t)rand() % 9;

    for (size_t i = 0; i < n; i++) {
        out[i] = (char)('a' + rand() % 3);
    }
    out[n] = '\0';
}

/* The C library's answer. */
static bool library_matches(const char *expression, const char *text) {
    char whole[2048];
    regex_t compiled_by_library;
    snprintf(whole, sizeof whole, "^(%s)$", expression);
    assert_int_equal(regcomp(&compiled_by_library, whole, REG_EXTENDED | REG_NOSUB), 0);
    bool yes = regexec(&compiled_by_library, text, 0, NULL, 0) == 0;
    regfree(&compiled_by_library);
    return yes;
}

static void it_agrees_with_the_c_library(void **state) {
    unsigned compared = 0, taken = 0;

    (void)state;
    srand(1);
    while (compared < 20000) {
        char expression[1024];
        struct buf b = buf_init(expression, sizeof expression - 1);
        struct ere *e;
        put_random(&b, 0);
        expression[b.n] = '\0';
        if (b.overflow || ere_compile(SPAN(""), buf_span(&b), SPAN(""), &e, NULL) != OK) {
            continue; /* too large, written out */
        }
        for (unsigned i = 0; i < 20; i++, compared++) {
            char text[16];
            put_random_text(text);
            bool yes = ere_match(e, span_from_cstr(text));
            taken += yes;
            if (yes != library_matches(expression, text)) {
                fail_msg("%s and %s: %d", expression, text, yes);
            }
        }
        free(e);
    }
    assert_in_range(taken, 500, 19500); /* the test tests something */
}

static bool overlap(const char *a, const char *b) {
    struct ere *first = compiled(a), *second = compiled(b);
    bool yes = false, reverse = true;

    assert_int_equal(ere_overlap(first, second, &yes), OK);
    assert_int_equal(ere_overlap(second, first, &reverse), OK);
    assert_int_equal(yes, reverse);
    free(first);
    free(second);
    return yes;
}

static void a_common_text_is_found_if_there_is_one(void **state) {
    (void)state;
    assert_true(overlap(".*", "x"));
    assert_true(overlap("a*", "b*")); /* the empty one */
    assert_false(overlap("a+", "b+"));
    assert_false(overlap("[0-4][0-9]", "[5-9][0-9]"));
    assert_true(overlap("[0-5][0-9]", "[5-9][0-9]"));
    assert_false(overlap("a{3}", "a{4,}"));
    assert_false(overlap("(aa)*", "a(aa)*"));
    assert_true(overlap("(aa)+", "(aaa)+"));
    assert_false(overlap(".{3}", ".{4}"));

    srand(2);
    for (unsigned round = 0; round < 300; round++) { /* whoever share a text do overlap */
        char a[1024], b[1024], text[16];
        struct buf of_a = buf_init(a, sizeof a - 1), of_b = buf_init(b, sizeof b - 1);
        struct ere *first, *second;
        bool yes;
        put_random(&of_a, 1);
        put_random(&of_b, 1);
        if (ere_compile(SPAN(""), buf_span(&of_a), SPAN(""), &first, NULL) != OK) {
            continue;
        }
        if (ere_compile(SPAN(""), buf_span(&of_b), SPAN(""), &second, NULL) == OK) {
            assert_int_equal(ere_overlap(first, second, &yes), OK);
            for (unsigned i = 0; i < 200 && !yes; i++) {
                put_random_text(text);
                assert_false(ere_match(first, span_from_cstr(text)) &&
                             ere_match(second, span_from_cstr(text)));
            }
            free(second);
        }
        free(first);
    }
}

static uint64_t now_us(void) {
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* What takes a backtracking matcher longer than the universe is old. */
static void no_pattern_makes_a_match_slow(void **state) {
    static const char *const patterns[] = {"(a*)*b",          "(a|a)*b",
                                           "(a|aa)+b",        "(.*)(.*)(.*)(.*)(.*)b",
                                           "(a?){120}a{120}", "((a{1,8}){1,8})b"};
    char text[256];

    (void)state;
    memset(text, 'a', sizeof text);
    for (size_t i = 0; i < COUNT_OF(patterns); i++) {
        struct ere *e = compiled(patterns[i]);
        uint64_t began = now_us();

        for (unsigned k = 0; k < 100; k++) {
            (void)ere_match(e, span_of(text, sizeof text));
        }
        uint64_t us = (now_us() - began) / 100;
        print_message("    %-26s %llu us\n", patterns[i], (unsigned long long)us);
        assert_true(us < 5000); /* some 100 without sanitizers */
        free(e);
    }
}

static void the_worst_comparison_is_bounded(void **state) {
    struct ere *a = compiled("(.?){120}.*(.?){120}a{3}"), *b = compiled("(.?){120}.*(.?){120}b{3}");
    bool yes = false;
    uint64_t began = now_us();

    (void)state;
    assert_int_equal(ere_overlap(a, b, &yes), OK);
    uint64_t ms = (now_us() - began) / 1000;
    print_message("    comparison: %llu ms\n", (unsigned long long)ms);
    assert_true(yes); /* not known, and so not allowed */
    assert_true(ms < 2000);
    free(a);
    free(b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_expression_takes_its_texts_and_no_others),
        cmocka_unit_test(what_is_no_expression_is_refused_with_the_place),
        cmocka_unit_test(it_agrees_with_the_c_library),
        cmocka_unit_test(a_common_text_is_found_if_there_is_one),
        cmocka_unit_test(no_pattern_makes_a_match_slow),
        cmocka_unit_test(the_worst_comparison_is_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
