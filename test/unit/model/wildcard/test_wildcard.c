/* Wildcarded identities: their form, who has one in common with whom, and the index. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/wildcard/wildcard.h"

#include <stdio.h>
#include <time.h>

static void forms_are_checked(void **state) {
    static const struct {
        const char *text;
        bool sound;
    } rows[] = {
        {"sip:chatlist!.*!@example.org", true},
        {"sips:!room-[0-9]+!x@example.org", true},
        {"tel:+4416329601![0-9]{2}!", true},
        {"tel:+!44|33!1", true},
        {"sip:chatlist@example.org", false},
        {"sip:chat!list@example.org", false},
        {"sip:a!b!c!d!@example.org", false},
        {"sip:chat!.*!@Example.org", false},
        {"sip:chat!.*!", false},
        {"sip:chat!.*!example.org", false},
        {"sip:chat@!.*!.example.org", false},
        {"sip:chat!.*!@example.org;user=phone", false},
        {"tel:+44-1!.*!", false},
        {"tel:1!.*!", false},
        {"mailto:!.*!@x", false},
        {"sip:chat!(!@example.org", false},
        {"sip:chat!!@example.org", false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char text[200];
        struct buf why = buf_init(text, sizeof text);
        enum error e = wildcard_check(span_from_cstr(rows[i].text), &why);
        if (e != (rows[i].sound ? OK : ERR_INVALID) || (e && !why.n)) {
            fail_msg("%s: %.*s", rows[i].text, (int)why.n, text);
        }
    }
}

static bool overlap(const char *a, const char *b) {
    bool yes = false;

    assert_int_equal(wildcard_overlap(span_from_cstr(a), span_from_cstr(b), &yes), OK);
    return yes;
}

static void identities_in_common_are_found(void **state) {
    (void)state;
    assert_true(overlap("sip:a!.*!@x", "sip:ab!.*!@x"));
    assert_true(overlap("sip:a!.*!@x", "sip:a!.*!b@x"));
    assert_true(overlap("sip:!.*!b@x", "sip:a!.*!@x"));
    assert_false(overlap("sip:a!.*!@x", "sip:b!.*!@x"));
    assert_false(overlap("sip:a!.*!@x", "sip:a!.*!@y"));
    assert_false(overlap("sip:a!.*!@x", "sips:a!.*!@x"));
    assert_false(overlap("sip:a!.*!@x", "tel:+4!.*!"));
    assert_false(overlap("sip:a![0-4]!@x", "sip:a![5-9]!@x"));
    assert_true(overlap("sip:a![0-5]!@x", "sip:a![5-9]!@x"));
    assert_false(overlap("sip:room!b+!@x", "sip:ro!.!@x"));
    assert_true(overlap("sip:room!b+!@x", "sip:ro!.*!@x"));
    assert_false(overlap("tel:+441![0-9]{3}!", "tel:+441![0-9]{4}!"));
}

static const char *found(const struct wildcard_index *index, const char *identity) {
    static char text[WILDCARD_MAX + 1];
    const struct wildcard *w = wildcard_find(index, span_from_cstr(identity));

    if (!w) {
        return "";
    }
    memcpy(text, w->text.p, w->text.n);
    text[w->text.n] = '\0';
    return text;
}

static void add(struct wildcard_index *index, const char *text, const void *claim) {
    assert_int_equal(wildcard_add(index, span_from_cstr(text), claim), OK);
}

static const char *own = "";

static bool is_own(void *ctx, const struct wildcard *w) {
    (void)ctx;
    return span_eq(w->text, span_from_cstr(own));
}

static const char *rival(struct wildcard_index *index, const char *text) {
    const struct wildcard *w;

    assert_int_equal(wildcard_rival(index, span_from_cstr(text), is_own, NULL, &w), OK);
    return w ? w->bytes : NULL;
}

static void identities_find_their_wildcard(void **state) {
    struct wildcard_index index = {0};

    (void)state;
    assert_string_equal(found(&index, "sip:chat1@x"), "");
    add(&index, "sip:chat!.*!@x", NULL);
    add(&index, "sip:pbx!-[0-9]{2}!@y", NULL);
    add(&index, "tel:+4416329601![0-4][0-9]!", NULL);
    add(&index, "tel:+4416329601![5-9][0-9]!", NULL);
    assert_int_equal(wildcard_add(&index, SPAN("sip:x!(!@x"), NULL), ERR_INVALID);
    assert_string_equal(found(&index, "sip:chat1@x"), "sip:chat!.*!@x");
    assert_string_equal(found(&index, "sip:chat@x"), "sip:chat!.*!@x");
    assert_string_equal(found(&index, "sip:chat1@y"), "");
    assert_string_equal(found(&index, "sip:cha@x"), "");
    assert_string_equal(found(&index, "sip:pbx-07@y"), "sip:pbx!-[0-9]{2}!@y");
    assert_string_equal(found(&index, "sip:pbx-7@y"), "");
    assert_string_equal(found(&index, "tel:+441632960142"), "tel:+4416329601![0-4][0-9]!");
    assert_string_equal(found(&index, "tel:+441632960152"), "tel:+4416329601![5-9][0-9]!");
    assert_string_equal(found(&index, "sip:chat!.*!@x"), "sip:chat!.*!@x");

    assert_null(rival(&index, "sip:c!.!@x"));
    assert_non_null(rival(&index, "sip:c!.+!@x"));
    own = "sip:chat!.*!@x";
    assert_null(rival(&index, "sip:c!.+!@x"));
    own = "";

    add(&index, "sip:later!.*!@x", &index); /* on its way */
    assert_string_equal(found(&index, "sip:later1@x"), "");
    assert_memory_equal(rival(&index, "sip:late!.*!@x"), "sip:later!.*!@x", 15);
    wildcard_entry(&index, SPAN("sip:later!.*!@x"))->claim = NULL;
    assert_string_equal(found(&index, "sip:later1@x"), "sip:later!.*!@x");

    add(&index, "sip:chat1!.*!@x", NULL); /* two that overlap: the longer beginning */
    assert_string_equal(found(&index, "sip:chat12@x"), "sip:chat1!.*!@x");
    assert_string_equal(found(&index, "sip:chat22@x"), "sip:chat!.*!@x");
    wildcard_remove(&index, wildcard_entry(&index, SPAN("sip:chat!.*!@x")));
    assert_string_equal(found(&index, "sip:chat22@x"), "");
    assert_null(wildcard_entry(&index, SPAN("sip:chat!.*!@x")));
    add(&index, "sip:never!.*!@x", &own);
    wildcard_drop_claims(&index, &index);
    assert_non_null(wildcard_entry(&index, SPAN("sip:never!.*!@x")));
    wildcard_drop_claims(&index, &own);
    assert_null(wildcard_entry(&index, SPAN("sip:never!.*!@x")));
    wildcard_index_free(&index);
    assert_string_equal(found(&index, "sip:chat12@x"), "");
}

static uint64_t now_ns(void) {
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void a_look_up_does_not_walk(void **state) {
    enum { N = 5000, LOOKS = 2000 };
    struct wildcard_index index = {0};
    char text[64];

    (void)state;
    uint64_t began = now_ns();
    for (unsigned i = 0; i < LOOKS; i++) {
        assert_null(wildcard_find(&index, SPAN("tel:+441632000001")));
    }
    print_message("    none: %llu ns\n", (unsigned long long)(now_ns() - began) / LOOKS);
    for (unsigned i = 0; i < N; i++) {
        snprintf(text, sizeof text, "tel:+44%06u![0-9]{3}!", i);
        add(&index, text, NULL);
    }
    began = now_ns();
    for (unsigned i = 0; i < LOOKS; i++) {
        snprintf(text, sizeof text, "tel:+44%06u123", i);
        assert_non_null(wildcard_find(&index, span_from_cstr(text)));
        assert_null(wildcard_find(&index, SPAN("tel:+431632000001")));
    }
    uint64_t ns = (now_ns() - began) / LOOKS;
    print_message("    one of %d: %llu ns\n", N, (unsigned long long)ns);
    assert_true(ns < 200000);
    wildcard_index_free(&index);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forms_are_checked),
        cmocka_unit_test(identities_in_common_are_found),
        cmocka_unit_test(identities_find_their_wildcard),
        cmocka_unit_test(a_look_up_does_not_walk),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
