/* covers: HA12 */
#include "model/registration/departures.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define S UINT64_C(1000000)

static void what_was_sent_before_somebody_left_is_known(void **state) {
    (void)state;
    struct departures d;
    departures_init(&d, 10);
    uint64_t alice = departures_name(1, SPAN("call")), other = departures_name(1, SPAN("other"));
    assert_false(departures_overtook(&d, alice, 1, 0));
    departures_note(&d, alice, 5, S);
    assert_true(departures_overtook(&d, alice, 4, 2 * S));
    assert_true(departures_overtook(&d, alice, 5, 2 * S));
    assert_false(departures_overtook(&d, alice, 6, 2 * S));
    assert_false(departures_overtook(&d, other, 4, 2 * S));
    assert_true(departures_overtook(&d, alice, 4, 129 * S));
    assert_false(departures_overtook(&d, alice, 4, 130 * S));
    departures_note(&d, alice, 3, 130 * S); /* the higher one stays known */
    assert_true(departures_overtook(&d, alice, 5, 130 * S));
    departures_free(&d);
}

static void there_are_so_many_and_no_more(void **state) {
    (void)state;
    struct departures d;
    departures_init(&d, 3);
    for (uint64_t i = 0; i < 5; i++) {
        departures_note(&d, i, 5, i);
    }
    assert_int_equal(d.by_name.count, 3);
    assert_false(departures_overtook(&d, 1, 5, 5));
    assert_true(departures_overtook(&d, 2, 5, 5));
    departures_note(&d, 9, 5, 200 * S); /* and the old ones go */
    assert_int_equal(d.by_name.count, 1);
    departures_free(&d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_sent_before_somebody_left_is_known),
        cmocka_unit_test(there_are_so_many_and_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
