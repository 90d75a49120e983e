#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "obs/trace.h"

#include <stdlib.h>

static const struct addr alice = {.family = 4, .port = 5060, .ip = {127, 0, 0, 1}};
static const struct addr bob = {.family = 4, .port = 5060, .ip = {127, 0, 0, 2}};

static void record(struct trace *t, uint64_t at_us, struct span bytes) {
    struct trace_message m = {
        .at_us = at_us, .protocol = TRACE_DNS, .from = alice, .to = bob, .bytes = bytes};
    trace_record(t, &m);
}

struct seen {
    size_t count;
    uint64_t first_us, last_us;
    char from[16], to[16];
};

static void see(void *ctx, const struct trace_message *m) {
    struct seen *seen = ctx;
    if (seen->count++ == 0) {
        seen->first_us = m->at_us;
    } else {
        assert_true(m->at_us == seen->last_us + 1);
    }
    seen->last_us = m->at_us;
    assert_true(span_to_cstr(m->from_name, seen->from, sizeof seen->from));
    assert_true(span_to_cstr(m->to_name, seen->to, sizeof seen->to));
    for (size_t i = 0; i < m->bytes.n; i++) {
        assert_int_equal((uint8_t)m->bytes.p[i], m->at_us % 251);
    }
}

static void a_trace_that_is_off_records_nothing(void **state) {
    (void)state;
    struct trace *t = trace_new();
    struct seen seen = {0};
    assert_non_null(t);
    assert_false(trace_is_on(t));
    record(t, 1, SPAN("x"));
    trace_each(t, see, &seen);
    assert_int_equal(seen.count, 0);
    trace_free(t);
}

static void the_ring_keeps_the_newest_in_order(void **state) {
    (void)state;
    static char bytes[3000];
    struct trace *t = trace_new();
    assert_non_null(t);
    for (size_t cap = 500; cap < 20000; cap = cap * 3 / 2 + 1) {
        assert_int_equal(trace_enable(t, cap), OK);
        for (uint64_t i = 1; i <= 400; i++) {
            size_t n = (i * 7919) % (cap / 4 < sizeof bytes ? cap / 4 : sizeof bytes);
            memset(bytes, (int)(i % 251), n);
            record(t, i, span_of(bytes, n));
            struct seen seen = {0};
            trace_each(t, see, &seen);
            assert_true(seen.count > 0);
            assert_int_equal(seen.last_us, i);
        }
        struct seen seen = {0};
        trace_each(t, see, &seen);
        assert_true(seen.count < 400);
        assert_true(seen.count >= cap / (cap / 4 + 250));
    }
    trace_disable(t);
    struct seen seen = {0};
    trace_each(t, see, &seen);
    assert_int_equal(seen.count, 0);
    trace_free(t);
}

static void what_is_larger_than_the_ring_is_left_out(void **state) {
    (void)state;
    static char bytes[1000];
    struct trace *t = trace_new();
    struct seen seen = {0};
    assert_non_null(t);
    assert_int_equal(trace_enable(t, 600), OK);
    memset(bytes, 1, sizeof bytes);
    record(t, 1, span_of(bytes, 10));
    record(t, 2, span_of(bytes, sizeof bytes));
    trace_each(t, see, &seen);
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.last_us, 1);
    assert_int_equal(trace_enable(t, 0), OK);
    record(t, 3, SPAN_NONE);
    trace_free(t);
}

static void names_given_precede_names_of_addresses(void **state) {
    (void)state;
    struct trace *t = trace_new();
    struct seen seen = {0};
    assert_non_null(t);
    assert_int_equal(trace_enable(t, 4096), OK);
    struct trace_message m = {.at_us = 1, .from = alice, .to = bob, .from_name = SPAN("alice")};
    trace_record(t, &m);
    assert_int_equal(trace_name_address(t, &alice, SPAN("elsewhere")), OK);
    assert_int_equal(trace_name_address(t, &bob, SPAN("robert")), OK);
    assert_int_equal(trace_name_address(t, &bob, SPAN("bob")), OK);
    trace_each(t, see, &seen);
    assert_int_equal(seen.count, 1);
    assert_string_equal(seen.from, "alice");
    assert_string_equal(seen.to, "bob");
    trace_free(t);
}

static void local_addresses_are_counted(void **state) {
    (void)state;
    struct trace *t = trace_new();
    assert_non_null(t);
    assert_int_equal(trace_name_address(t, &bob, SPAN("bob")), OK);
    assert_false(trace_is_local(t, &alice));
    assert_false(trace_is_local(t, &bob));
    assert_int_equal(trace_add_local(t, &alice), OK);
    assert_int_equal(trace_add_local(t, &alice), OK);
    assert_int_equal(trace_add_local(t, &bob), OK);
    trace_remove_local(t, &alice);
    assert_true(trace_is_local(t, &alice));
    trace_remove_local(t, &alice);
    trace_remove_local(t, &alice);
    assert_false(trace_is_local(t, &alice));
    assert_true(trace_is_local(t, &bob));
    trace_free(t);
}

static void a_listener_hears_until_it_is_replaced(void **state) {
    (void)state;
    struct trace *t = trace_new();
    assert_non_null(t);
    assert_int_equal(trace_enable(t, 4096), OK);
    struct seen heard = {0};
    trace_listen(t, see, &heard);
    record(t, 1, SPAN("\1"));
    record(t, 2, SPAN("\2\2"));
    assert_int_equal(heard.count, 2);
    trace_listen(t, NULL, NULL);
    record(t, 3, SPAN("\3"));
    assert_int_equal(heard.count, 2);
    trace_free(t);
}

static void copy_text(void *ctx, const struct trace_message *m) {
    assert_true(span_to_cstr(m->bytes, ctx, 256));
}

static void a_witness_sees_messages_as_they_are_recorded_or_not(void **state) {
    (void)state;
    static const char message[] =
        "SIP/2.0 401 Unauthorized\r\n"
        "WWW-Authenticate: Digest realm=\"a\", ck=\"0123456789abcdef\"\r\n"
        "\r\n";
    char text[256] = "", kept[256] = "";
    struct trace *t = trace_new();
    assert_non_null(t);
    assert_false(trace_is_on(t));
    trace_witness(t, copy_text, text);
    assert_true(trace_is_on(t));
    struct trace_message m = {.protocol = TRACE_SIP, .bytes = span_of(message, sizeof message - 1)};
    trace_record(t, &m);
    assert_string_equal(text, message);
    assert_int_equal(trace_enable(t, 4096), OK);
    trace_record(t, &m);
    trace_each(t, copy_text, kept);
    assert_string_equal(text, message);
    assert_null(strstr(kept, "0123456789abcdef"));
    trace_disable(t);
    assert_true(trace_is_on(t));
    trace_witness(t, NULL, NULL);
    assert_false(trace_is_on(t));
    trace_free(t);
}

static void secrets_are_masked_in_the_copy(void **state) {
    (void)state;
    static const char message[] = "SIP/2.0 401 Unauthorized\r\n"
                                  "WWW-Authenticate: Digest realm=\"a\", "
                                  "ck=\"0123456789abcdef\"\r\n\r\n";
    char text[256] = "", again[256] = "";
    struct trace *t = trace_new();
    assert_non_null(t);
    assert_int_equal(trace_enable(t, 4096), OK);
    trace_listen(t, copy_text, text);
    struct trace_message m = {.protocol = TRACE_SIP, .bytes = span_of(message, sizeof message - 1)};
    trace_record(t, &m);
    trace_each(t, copy_text, again);
    assert_string_equal(text, again);
    assert_int_equal(strlen(text), sizeof message - 1);
    assert_null(strstr(text, "0123456789abcdef"));
    trace_free(t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_trace_that_is_off_records_nothing),
        cmocka_unit_test(the_ring_keeps_the_newest_in_order),
        cmocka_unit_test(what_is_larger_than_the_ring_is_left_out),
        cmocka_unit_test(names_given_precede_names_of_addresses),
        cmocka_unit_test(local_addresses_are_counted),
        cmocka_unit_test(a_listener_hears_until_it_is_replaced),
        cmocka_unit_test(a_witness_sees_messages_as_they_are_recorded_or_not),
        cmocka_unit_test(secrets_are_masked_in_the_copy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
