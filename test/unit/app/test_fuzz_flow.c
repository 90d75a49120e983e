/* Replays the flows, and what becomes of them by damage, in the fuzzer. covers: HB5 */
#include "../../fuzz/fuzz_flow.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <glob.h>
#include <stdio.h>

static void damage(uint8_t *bytes, size_t n, uint32_t *x) {
    static const char replacements[] = " \n\t;=\"$|*x0\xff:{#\\";
    for (int i = 0; i < 4 && n; i++) {
        *x = *x * 1664525 + 1013904223;
        bytes[(*x >> 8) % n] = (uint8_t)replacements[*x >> 28];
    }
}

static void flows_and_their_damage_are_read(void **state) {
    (void)state;
    enum { ROUNDS = 20 };
    glob_t files;
    uint32_t x = 1;
    assert_int_equal(glob(TEST_SOURCE_DIR "/../../flows/*.flow", 0, NULL, &files), 0);
    assert_true(files.gl_pathc > 30);
    for (size_t i = 0; i < files.gl_pathc; i++) {
        static uint8_t bytes[FLOW_FILE_MAX];
        FILE *in = fopen(files.gl_pathv[i], "re");
        assert_non_null(in);
        size_t n = fread(bytes, 1, sizeof bytes, in);
        fclose(in);
        for (int round = 0; round < ROUNDS; round++) {
            LLVMFuzzerTestOneInput(bytes, n - (size_t)round % 7);
            damage(bytes, n, &x);
        }
    }
    globfree(&files);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(flows_and_their_damage_are_read)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
