/* Replays the fuzzer's corpus, and what becomes of it by small damage. covers: HB5 */
#include "../../../fuzz/fuzz_sip.c"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define CORPUS TEST_SOURCE_DIR "/../fuzz/corpus/sip"

enum { FILE_MAX = 65536 };

static void each_file(void (*visit)(uint8_t *data, size_t n)) {
    DIR *dir = opendir(CORPUS);
    assert_non_null(dir);
    unsigned files = 0;
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
        char path[512];
        static uint8_t data[FILE_MAX];
        if (entry->d_name[0] == '.') {
            continue;
        }
        snprintf(path, sizeof path, "%s/%s", CORPUS, entry->d_name);
        FILE *f = fopen(path, "rb");
        assert_non_null(f);
        visit(data, fread(data, 1, sizeof data, f));
        fclose(f);
        files++;
    }
    closedir(dir);
    assert_true(files > 0);
}

static void replay(uint8_t *data, size_t n) {
    assert_int_equal(LLVMFuzzerTestOneInput(data, n), 0);
}

static void cut(uint8_t *data, size_t n) {
    for (size_t i = 0; i < n; i++) {
        LLVMFuzzerTestOneInput(data, i);
    }
}

static void damage(uint8_t *data, size_t n) {
    static const uint8_t bytes[] = {0, '\r', '\n', ' ', '"', '<', '>', ',', ';', '%', '\\', 255};
    for (size_t i = 0; i < n; i++) {
        uint8_t was = data[i];
        data[i] = bytes[i % sizeof bytes];
        LLVMFuzzerTestOneInput(data, n);
        data[i] = bytes[(i / 7 + 5) % sizeof bytes];
        LLVMFuzzerTestOneInput(data, n);
        data[i] = was;
    }
}

static void the_corpus_is_read(void **state) {
    (void)state;
    each_file(replay);
}

static void its_beginnings_are_read(void **state) {
    (void)state;
    each_file(cut);
}

static void it_is_read_with_a_byte_damaged(void **state) {
    (void)state;
    each_file(damage);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_corpus_is_read),
        cmocka_unit_test(its_beginnings_are_read),
        cmocka_unit_test(it_is_read_with_a_byte_damaged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
