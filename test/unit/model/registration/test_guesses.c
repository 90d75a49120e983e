/* covers: HA6 */
#include "model/registration/guesses.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define S UINT64_C(1000000)

static const struct guess_policy policy = {5, 30 * S};

static void five_tries_then_a_lock_that_doubles(void **state) {
    struct guess_state g = {0};
    uint64_t now = 100 * S, left = 0, lock = 30 * S;
    (void)state;
    for (unsigned round = 0; round < 9; round++) {
        for (unsigned i = 0; i < 5; i++) {
            assert_true(guess_allowed(&g, now, &left));
            assert_int_equal(guess_wrong(&policy, &g, now), i == 4);
        }
        assert_false(guess_allowed(&g, now, &left));
        assert_int_equal(left, lock);
        assert_false(guess_allowed(&g, now + lock - 1, &left));
        now += lock;
        lock = round < GUESS_DOUBLINGS_MAX ? 2 * lock : lock;
    }
    assert_int_equal(lock, 64 * 30 * S); /* half an hour, and no more */
}

static void what_is_long_over_is_forgotten(void **state) {
    struct guess_state g = {0};
    (void)state;
    assert_false(guess_wrong(&policy, &g, 0));
    assert_false(guess_is_over(&policy, &g, 64 * 30 * S - 1));
    assert_true(guess_is_over(&policy, &g, 64 * 30 * S));
    for (unsigned i = 0; i < 4; i++) {
        (void)guess_wrong(&policy, &g, 0);
    }
    assert_false(guess_is_over(&policy, &g, 64 * 30 * S));
    assert_true(guess_is_over(&policy, &g, 65 * 30 * S));
}

static void no_limit_is_no_lock(void **state) {
    static const struct guess_policy none = {0, 30 * S};
    struct guess_state g = {0};
    uint64_t left;
    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        assert_false(guess_wrong(&none, &g, i));
    }
    assert_true(guess_allowed(&g, 100, &left));
}

/* A day of a guesser who never rests. */
static void a_day_gives_few_tries(void **state) {
    struct guess_state g = {0};
    uint64_t left, day = 24 * 3600 * S;
    unsigned tries = 0;
    (void)state;
    for (uint64_t now = 0; now < day;) {
        if (guess_allowed(&g, now, &left)) {
            (void)guess_wrong(&policy, &g, now);
            tries++;
            now += 1000;
        } else {
            now += left;
        }
    }
    assert_in_range(tries, 100, 300);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(five_tries_then_a_lock_that_doubles),
        cmocka_unit_test(what_is_long_over_is_forgotten),
        cmocka_unit_test(no_limit_is_no_lock),
        cmocka_unit_test(a_day_gives_few_tries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
