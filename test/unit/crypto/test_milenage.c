#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/span.h"
#include "crypto/milenage.h"

#include <stdio.h>

/* One line of ts35208.txt. */
struct test_set {
    uint8_t k[16], rand[16], sqn[6], amf[2], op[16], opc[16], f1[8], f1_star[8], f2[8], f3[16],
        f4[16], f5[6], f5_star[6];
};

static void read_set(char *line, struct test_set *set) {
    const struct {
        uint8_t *p;
        size_t n;
    } fields[] = {
        {set->k, 16},   {set->rand, 16}, {set->sqn, 6},     {set->amf, 2}, {set->op, 16},
        {set->opc, 16}, {set->f1, 8},    {set->f1_star, 8}, {set->f2, 8},  {set->f3, 16},
        {set->f4, 16},  {set->f5, 6},    {set->f5_star, 6},
    };
    struct span rest = span_trim(span_from_cstr(line));
    for (size_t i = 0; i < COUNT_OF(fields); i++) {
        assert_true(span_to_bytes(span_cut(&rest, ' '), fields[i].p, fields[i].n));
    }
    assert_null(rest.p);
}

static void check_set(struct milenage *m, const struct test_set *set) {
    uint8_t opc[16], mac_a[8], mac_s[8], res[8], ck[16], ik[16], ak[6], ak_star[6];
    assert_int_equal(milenage_opc(m, set->k, set->op, opc), OK);
    assert_memory_equal(opc, set->opc, 16);
    milenage_begin(m, set->k, opc, set->rand);
    milenage_f1(m, set->sqn, set->amf, mac_a, mac_s);
    milenage_f2345(m, res, ck, ik, ak);
    milenage_f5_star(m, ak_star);
    assert_int_equal(milenage_result(m), OK);
    assert_memory_equal(mac_a, set->f1, 8);
    assert_memory_equal(mac_s, set->f1_star, 8);
    assert_memory_equal(res, set->f2, 8);
    assert_memory_equal(ck, set->f3, 16);
    assert_memory_equal(ik, set->f4, 16);
    assert_memory_equal(ak, set->f5, 6);
    assert_memory_equal(ak_star, set->f5_star, 6);
}

/* covers: A7 A9 */
static void all_sets_of_ts_35_208_come_out(void **state) {
    (void)state;
    struct milenage m;
    assert_int_equal(milenage_init(&m), OK);
    FILE *file = fopen(TEST_SOURCE_DIR "/crypto/ts35208.txt", "r");
    assert_non_null(file);
    char line[1024];
    size_t sets = 0;
    while (fgets(line, sizeof line, file)) {
        struct test_set set;
        if (line[0] != '#') {
            read_set(line, &set);
            check_set(&m, &set);
            sets++;
        }
    }
    fclose(file);
    assert_int_equal(sets, 20);
    milenage_free(&m);
}

static void nothing_is_usable_before_a_challenge_began(void **state) {
    (void)state;
    struct milenage m;
    const uint8_t zero[16] = {0};
    uint8_t opc[16], ak[6];
    assert_int_equal(milenage_init(&m), OK);
    assert_int_equal(milenage_result(&m), ERR_INTERNAL);
    assert_int_equal(milenage_opc(&m, zero, zero, opc), OK);
    milenage_f5_star(&m, ak);
    assert_int_equal(milenage_result(&m), ERR_INTERNAL);
    milenage_begin(&m, zero, zero, zero);
    assert_int_equal(milenage_result(&m), OK);
    milenage_free(&m);
    assert_int_equal(milenage_result(&m), ERR_INTERNAL);
    milenage_free(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_sets_of_ts_35_208_come_out),
        cmocka_unit_test(nothing_is_usable_before_a_challenge_began),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
