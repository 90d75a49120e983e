#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rt/addr.h"

static void assert_written(const struct addr *a, const char *expected) {
    char text[64];
    struct buf b = buf_init(text, sizeof text);
    addr_put(&b, a);
    assert_false(b.overflow);
    assert_int_equal(b.n, strlen(expected));
    assert_memory_equal(text, expected, b.n);
}

static void what_is_read_is_written_again(void **state) {
    (void)state;
    static const char *const texts[] = {"127.0.0.1:5060",     "0.0.0.0:0", "255.255.255.255:65535",
                                        "[2001:db8::1]:5060", "[::]:3868", "[fe80::a:b]:1"};
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct addr a;
        assert_true(addr_parse(span_from_cstr(texts[i]), &a));
        assert_written(&a, texts[i]);
    }
}

static void a_host_alone_takes_the_given_port(void **state) {
    (void)state;
    struct addr a;
    assert_true(addr_parse_host(SPAN("192.0.2.1"), 5060, &a));
    assert_written(&a, "192.0.2.1:5060");
    assert_true(addr_parse_host(SPAN("2001:db8::1"), 4060, &a));
    assert_written(&a, "[2001:db8::1]:4060");
    assert_true(addr_parse_host(SPAN("[2001:db8::1]"), 6060, &a));
    assert_written(&a, "[2001:db8::1]:6060");
}

static void what_is_no_address_is_refused(void **state) {
    (void)state;
    static const char *const texts[] = {"",
                                        "127.0.0.1",
                                        "127.0.0.1:",
                                        "127.0.0.1:65536",
                                        "127.0.0.1:-1",
                                        "127.0.0.1:x",
                                        "localhost:5060",
                                        "2001:db8::1:5060",
                                        "[127.0.0.1]:5060",
                                        "[::1:5060",
                                        ":5060",
                                        "[]:5060",
                                        "1.2.3:5060",
                                        "1.2.3.4.5:5060",
                                        "[2001:0db8:0000:0000:0000:0000:0000:0000:0000:0001]:1"};
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct addr a;
        assert_false(addr_parse(span_from_cstr(texts[i]), &a));
    }
}

static void addresses_compare_by_host_and_port(void **state) {
    (void)state;
    struct addr a = addr_v4(127, 0, 0, 1, 5060), same = a, port = addr_v4(127, 0, 0, 1, 5061),
                host = addr_v4(127, 0, 0, 2, 5060), six;
    assert_true(addr_parse(SPAN("[7f00:1::]:5060"), &six));
    assert_true(addr_eq(&a, &same));
    assert_int_equal(addr_hash(&a), addr_hash(&same));
    assert_false(addr_eq(&a, &port));
    assert_true(addr_same_host(&a, &port));
    assert_false(addr_same_host(&a, &host));
    assert_false(addr_same_host(&a, &six));
    assert_int_not_equal(addr_hash(&a), addr_hash(&port));
    assert_int_not_equal(addr_hash(&a), addr_hash(&host));
    assert_int_not_equal(addr_hash(&a), addr_hash(&six));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_read_is_written_again),
        cmocka_unit_test(a_host_alone_takes_the_given_port),
        cmocka_unit_test(what_is_no_address_is_refused),
        cmocka_unit_test(addresses_compare_by_host_and_port),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
