/* covers: A6 */
#include "model/selection/selection.h"

#include "base/attribute.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const uint32_t c_1[] = {1}, c_12[] = {1, 2}, c_123[] = {3, 2, 1}, c_9[] = {9},
                      c_23[] = {2, 3};

static const struct selection_scscf list[] = {
    {SPAN_INIT("sip:scscf-1.home.net:6060"), c_1, 1, 1},
    {SPAN_INIT("sip:scscf-2.home.net:6060"), c_12, 2, 1},
    {SPAN_INIT("sip:scscf-3.home.net:6060"), c_123, 3, 1},
};

static const struct span second[] = {SPAN_INIT("sip:unknown.home.net"),
                                     SPAN_INIT("SIP:SCSCF-2.home.net:6060;transport=udp")};

static const struct {
    const char *what;
    struct selection_request request;
    int chosen;
} rows[] = {
    {"one mandatory, most optional", {c_1, 1, c_23, 2, NULL, 0, 0, 0}, 2},
    {"mandatory excludes", {c_12, 2, NULL, 0, NULL, 0, 1 << 2, 0}, 1},
    {"nobody has it", {c_9, 1, NULL, 0, NULL, 0, 0, 0}, -1},
    {"optional that nobody has", {c_12, 2, c_9, 1, NULL, 0, 1 << 1, 0}, 2},
    {"the one that failed is left out", {c_1, 1, c_23, 2, NULL, 0, 1 << 2, 0}, 1},
    {"all have failed", {c_1, 1, NULL, 0, NULL, 0, 7, 0}, -1},
    {"named by the HSS", {c_1, 1, c_23, 2, second, 2, 0, 0}, 1},
    {"named, but it failed", {c_1, 1, c_23, 2, second, 2, 1 << 1, 0}, 2},
    {"named, but it lacks what is mandatory", {c_123, 3, NULL, 0, second, 2, 0, 0}, 2},
    {"no demands, low lot", {NULL, 0, NULL, 0, NULL, 0, 0, 0}, 0},
    {"no demands, high lot", {NULL, 0, NULL, 0, NULL, 0, 0, UINT32_MAX}, 2},
};

static void each_row_of_the_table_holds(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        int chosen = selection_choose(list, COUNT_OF(list), &rows[i].request);
        if (chosen != rows[i].chosen) {
            fail_msg("%s: %d", rows[i].what, chosen);
        }
    }
}

static void equals_share_by_weight(void **state) {
    (void)state;
    static const struct selection_scscf two[] = {{SPAN_INIT("sip:a"), NULL, 0, 3},
                                                 {SPAN_INIT("sip:b"), NULL, 0, 1}};
    int counts[2] = {0};
    for (uint32_t i = 0; i < 1000; i++) {
        struct selection_request r = {.lot = i * (UINT32_MAX / 1000)};
        counts[selection_choose(two, 2, &r)]++;
    }
    assert_in_range(counts[0], 745, 755);
}

static void names_are_compared_by_host_and_port(void **state) {
    (void)state;
    assert_int_equal(
        selection_by_name(list, COUNT_OF(list), SPAN("sip:orig@SCSCF-3.HOME.NET:6060;lr")), 2);
    assert_int_equal(selection_by_name(list, COUNT_OF(list), SPAN("sip:scscf-3.home.net:6061")),
                     -1);
    assert_int_equal(selection_by_name(list, COUNT_OF(list), SPAN("")), -1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_row_of_the_table_holds),
        cmocka_unit_test(equals_share_by_weight),
        cmocka_unit_test(names_are_compared_by_host_and_port),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
