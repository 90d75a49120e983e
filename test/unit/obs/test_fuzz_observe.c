/* Replays the corpora of SIP and Diameter, and what becomes of them by damage, in the fuzzer of the
 * observers. covers: HB5 */
#include "../../fuzz/fuzz_observe.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <glob.h>

enum { SIZE_MAX_READ = 64 * 1024, ROUNDS = 4 };

static void replay(const char *pattern, uint8_t protocol) {
    glob_t files;
    uint32_t x = 1;
    static uint8_t bytes[SIZE_MAX_READ + 1];
    assert_int_equal(glob(pattern, 0, NULL, &files), 0);
    for (size_t i = 0; i < files.gl_pathc; i++) {
        FILE *in = fopen(files.gl_pathv[i], "re");
        assert_non_null(in);
        size_t n = fread(bytes + 1, 1, SIZE_MAX_READ, in);
        fclose(in);
        for (int round = 0; round < ROUNDS; round++) {
            bytes[0] = protocol;
            LLVMFuzzerTestOneInput(bytes, n + 1);
            for (int k = 0; k < 3 && n; k++) {
                x = x * 1664525 + 1013904223;
                bytes[1 + (x >> 8) % n] = (uint8_t)(x >> 24);
            }
        }
    }
    globfree(&files);
}

static void sip_is_observed(void **state) {
    (void)state;
    replay(TEST_SOURCE_DIR "/../fuzz/corpus/sip/*", TRACE_SIP);
}

static void diameter_is_observed(void **state) {
    (void)state;
    replay(TEST_SOURCE_DIR "/../fuzz/corpus/diameter/*", TRACE_DIAMETER | 128);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sip_is_observed),
        cmocka_unit_test(diameter_is_observed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
