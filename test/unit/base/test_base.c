#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/htab.h"
#include "base/list.h"
#include "base/log.h"

#include <errno.h>
#include <stdlib.h>

static void numbers_are_read_whole_or_not_at_all(void **state) {
    (void)state;
    static const struct {
        const char *text;
        uint32_t max;
        bool ok;
        uint32_t value;
    } cases[] = {
        {"0", UINT32_MAX, true, 0},
        {"4294967295", UINT32_MAX, true, UINT32_MAX},
        {"4294967296", UINT32_MAX, false, 0},
        {"", UINT32_MAX, false, 0},
        {"12a", UINT32_MAX, false, 0},
        {"-1", UINT32_MAX, false, 0},
        {"70", 70, true, 70},
        {"71", 70, false, 0},
        {"5", 4, false, 0},
        {"00000000000000000007", 9, true, 7},
        {"99999999999999999999999", UINT32_MAX, false, 0},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        uint32_t value = 42;
        assert_int_equal(span_to_u32(span_from_cstr(cases[i].text), cases[i].max, &value),
                         cases[i].ok);
        assert_int_equal(value, cases[i].ok ? cases[i].value : 42);
    }
}

static void spans_cut_and_trim(void **state) {
    (void)state;
    struct span rest = SPAN("a,b,");
    assert_true(span_eq(span_cut(&rest, ','), SPAN("a")));
    assert_true(span_eq(span_cut(&rest, ','), SPAN("b")));
    assert_non_null(rest.p);
    assert_true(span_eq(span_cut(&rest, ','), SPAN("")));
    assert_null(rest.p);
    assert_true(span_eq(span_trim(SPAN(" \t x y\r\n")), SPAN("x y")));
    assert_true(span_eq_nocase(SPAN("ReGister"), SPAN("rEGISTER")));
    assert_int_equal(span_find(SPAN("abcabd"), SPAN("abd")), 3);
    uint8_t bytes[2];
    assert_true(span_to_bytes(SPAN("a0Ff"), bytes, 2));
    assert_int_equal(bytes[0], 0xa0);
    assert_false(span_to_bytes(SPAN("a0F"), bytes, 2));
    assert_false(span_to_bytes(SPAN("a0Fg"), bytes, 2));
    char text[4];
    assert_true(span_to_cstr(SPAN("abc"), text, sizeof text));
    assert_false(span_to_cstr(SPAN("abcd"), text, sizeof text));
}

static void a_full_buffer_stays_unusable(void **state) {
    (void)state;
    char room[4];
    struct buf b = buf_init(room, sizeof room);
    buf_u64(&b, 1234);
    assert_false(b.overflow);
    buf_char(&b, 'x');
    assert_true(b.overflow);
    b.n = 0;
    buf_char(&b, 'x');
    assert_int_equal(b.n, 0);
}

static void foreign_bytes_are_escaped(void **state) {
    (void)state;
    char room[64];
    struct buf b = buf_init(room, sizeof room);
    buf_escaped(&b, SPAN("a\r\n\x1b[31m\"\\%n\xc3"));
    assert_true(span_eq(buf_span(&b), SPAN("a\\x0d\\x0a\\x1b[31m\\x22\\x5c%n\\xc3")));
}

static void arenas_recycle_their_chunks(void **state) {
    (void)state;
    struct chunk_pool pool;
    chunk_pool_init(&pool, 2048, 8);
    struct arena a = arena_init(&pool);
    for (int i = 0; i < 100; i++) {
        char *p = arena_zalloc(&a, 100);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % sizeof(void *), 0);
    }
    assert_non_null(arena_alloc(&a, 100000));
    bool failed = false;
    assert_true(span_eq(arena_copy(&a, SPAN("abc"), &failed), SPAN("abc")));
    assert_false(failed);
    arena_release(&a);
    assert_int_equal(pool.n_used, 0);
    assert_true(pool.n_free > 0 && pool.n_free <= 8);
    size_t idle = pool.n_free;
    assert_non_null(arena_alloc(&a, 1));
    assert_int_equal(pool.n_free, idle - 1);
    arena_release(&a);
    chunk_pool_free(&pool);
}

struct entry {
    struct htab_node in_table;
    unsigned key;
};

static void count(struct htab_node *node, void *ctx) {
    (void)node;
    ++*(unsigned *)ctx;
}

static void tables_grow_and_find(void **state) {
    (void)state;
    enum { N = 1000 };
    struct entry *entries = calloc(N, sizeof *entries);
    assert_non_null(entries);
    struct htab t;
    htab_init(&t);
    assert_null(htab_first(&t, 1));
    for (unsigned i = 0; i < N; i++) {
        entries[i].key = i;
        assert_int_equal(htab_insert(&t, &entries[i].in_table, i / 2), OK);
    }
    unsigned seen = 0;
    htab_each(&t, count, &seen);
    assert_int_equal(seen, N);
    struct htab_node *node = htab_first(&t, 7);
    assert_non_null(node);
    struct htab_node *second = htab_next(node);
    assert_non_null(second);
    assert_null(htab_next(second));
    htab_remove(&t, node);
    assert_ptr_equal(htab_first(&t, 7), second);
    assert_int_equal(t.count, N - 1);
    htab_free(&t);
    free(entries);
    assert_int_equal(hash_nocase(SPAN("Sip:A@B")), hash_nocase(SPAN("sip:a@b")));
}

struct item {
    struct list entry;
    int value;
};

static void lists_may_lose_the_walked_entry(void **state) {
    (void)state;
    struct list head;
    list_init(&head);
    struct item items[5];
    for (int i = 0; i < 5; i++) {
        items[i].value = i;
        list_insert(&head, &items[i].entry);
    }
    int sum = 0;
    LIST_EACH(&head, item, struct item, entry) {
        sum = sum * 10 + item->value;
        if (item->value % 2) {
            list_remove(&item->entry);
        }
    }
    assert_int_equal(sum, 1234);
    sum = 0;
    LIST_EACH(&head, item, struct item, entry) {
        sum = sum * 10 + item->value;
    }
    assert_int_equal(sum, 24);
}

static void take_line(void *ctx, struct span line) {
    assert_true(line.n < 5000);
    memcpy(ctx, line.p, line.n);
    ((char *)ctx)[line.n] = '\0';
}

static void one_event_is_one_line(void **state) {
    (void)state;
    char line[5000];
    struct log log = {.level = LOG_INFO, .source = "scscf", .write = take_line, .ctx = line};
    line[0] = '\0';
    LOG(&log, LOG_DEBUG, "unseen");
    assert_string_equal(line, "");
    LOG(&log, LOG_NOTICE, "refused", LOG_SPAN("impi", SPAN("a\nb")), LOG_U64("status", 403));
    assert_string_equal(line, "notice scscf refused impi=\"a\\x0ab\" status=403\n");
    char big[6000];
    memset(big, 'x', sizeof big);
    LOG(&log, LOG_NOTICE, "long", LOG_SPAN("s", span_of(big, sizeof big)));
    assert_string_equal(line + strlen(line) - 4, "...\n");
    assert_int_equal(log.written[LOG_NOTICE], 2);
    enum log_level level;
    assert_true(log_level_parse(SPAN("warning"), &level));
    assert_int_equal(level, LOG_WARNING);
    assert_false(log_level_parse(SPAN("loud"), &level));
}

static void errors_have_names_and_words(void **state) {
    (void)state;
    for (enum error e = OK; e < ERROR_COUNT; e++) {
        assert_true(strlen(error_name(e)) > 1);
        assert_true(strlen(error_text(e)) > 1);
    }
    assert_int_equal(error_from_errno(EADDRINUSE), ERR_ADDRESS_IN_USE);
    assert_int_equal(error_from_errno(-ECONNRESET), ERR_CLOSED);
    assert_int_equal(error_from_errno(0), OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_read_whole_or_not_at_all),
        cmocka_unit_test(spans_cut_and_trim),
        cmocka_unit_test(a_full_buffer_stays_unusable),
        cmocka_unit_test(foreign_bytes_are_escaped),
        cmocka_unit_test(arenas_recycle_their_chunks),
        cmocka_unit_test(tables_grow_and_find),
        cmocka_unit_test(lists_may_lose_the_walked_entry),
        cmocka_unit_test(one_event_is_one_line),
        cmocka_unit_test(errors_have_names_and_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
