#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "app/histogram.h"

#include <stdlib.h>
#include <string.h>

static struct histogram h;

static int clear(void **state) {
    (void)state;
    memset(&h, 0, sizeof h);
    return 0;
}

static void an_empty_one_says_zero(void **state) {
    (void)state;
    assert_int_equal(histogram_quantile(&h, 500), 0);
}

static void small_values_are_exact(void **state) {
    (void)state;
    for (uint64_t v = 1; v <= 100; v++) {
        histogram_add(&h, v);
    }
    assert_int_equal(histogram_quantile(&h, 1), 1);
    assert_int_equal(histogram_quantile(&h, 500), 50);
    assert_int_equal(histogram_quantile(&h, 990), 99);
    assert_int_equal(histogram_quantile(&h, 1000), 100);
}

static void large_values_are_within_one_percent(void **state) {
    (void)state;
    for (unsigned shift = 0; shift < 64; shift++) {
        for (uint64_t add = 0; add < 3; add++) {
            uint64_t value = (UINT64_C(1) << shift) + add * ((UINT64_C(1) << shift) / 3);
            memset(&h, 0, sizeof h);
            histogram_add(&h, value);
            histogram_add(&h, UINT64_MAX);
            uint64_t got = histogram_quantile(&h, 500);
            assert_true(got >= value);
            assert_true(got - value <= value / 100);
        }
    }
    assert_int_equal(histogram_quantile(&h, 1000), UINT64_MAX);
}

static void quantiles_grow(void **state) {
    (void)state;
    uint64_t x = 88172645463325252u, before = 0;
    for (size_t i = 0; i < 100000; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        histogram_add(&h, x >> (x % 50));
    }
    for (unsigned q = 1; q <= 1000; q++) {
        uint64_t value = histogram_quantile(&h, q);
        assert_true(value >= before);
        before = value;
    }
    assert_int_equal(before, h.max);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(an_empty_one_says_zero, clear),
        cmocka_unit_test_setup(small_values_are_exact, clear),
        cmocka_unit_test_setup(large_values_are_within_one_percent, clear),
        cmocka_unit_test_setup(quantiles_grow, clear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
