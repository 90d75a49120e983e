/* Replays the fuzzer's corpus, and what becomes of it by damage. covers: HB2 HB5 */
#include "../../fuzz/fuzz_diameter.c"

#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

struct input {
    uint8_t bytes[16384];
    size_t n;
};

static glob_t corpus;

static struct input load(size_t i) {
    struct input input;
    FILE *f = fopen(corpus.gl_pathv[i], "rb");
    assert_non_null(f);
    input.n = fread(input.bytes, 1, sizeof input.bytes, f);
    fclose(f);
    return input;
}

static int find_corpus(void **state) {
    (void)state;
    return glob(TEST_SOURCE_DIR "/../fuzz/corpus/diameter/*", 0, NULL, &corpus);
}

static int forget_corpus(void **state) {
    (void)state;
    globfree(&corpus);
    return 0;
}

static void the_corpus_is_read(void **state) {
    (void)state;
    for (size_t i = 0; i < corpus.gl_pathc; i++) {
        struct input input = load(i);
        LLVMFuzzerTestOneInput(input.bytes, input.n);
    }
}

static void cut_messages_are_read(void **state) {
    (void)state;
    for (size_t i = 0; i < corpus.gl_pathc; i++) {
        struct input input = load(i);
        for (size_t n = 0; n < input.n; n += n < 200 ? 1 : 13) {
            LLVMFuzzerTestOneInput(input.bytes, n);
        }
    }
}

/* Numbers are what hurts: flags, codes and lengths stand in whole words. */
static void damaged_messages_are_read(void **state) {
    (void)state;
    static const uint8_t values[] = {0, 1, 3, 7, 8, 12, 0x7f, 0x80, 0xc0, 0xff};
    for (size_t i = 0; i < corpus.gl_pathc; i++) {
        struct input input = load(i);
        for (size_t at = 0; at < input.n; at++) {
            uint8_t was = input.bytes[at];
            input.bytes[at] = values[(at + i) % COUNT_OF(values)];
            LLVMFuzzerTestOneInput(input.bytes, input.n);
            input.bytes[at] = (uint8_t)(was ^ 1u << at % 8);
            LLVMFuzzerTestOneInput(input.bytes, input.n);
            input.bytes[at] = was;
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_corpus_is_read),
        cmocka_unit_test(cut_messages_are_read),
        cmocka_unit_test(damaged_messages_are_read),
    };
    return cmocka_run_group_tests(tests, find_corpus, forget_corpus);
}
