/* covers: A5 HF11 HB4 */
#include "messages.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct message m;
static struct dns_message out;

/* What was written, in a block of just its size, so that nothing behind it can be read. */
static enum error read_message(void) {
    char *exact = malloc(m.b.n);
    assert_non_null(exact);
    memcpy(exact, m.bytes, m.b.n);
    enum error e = dns_message_read(span_of(exact, m.b.n), &out);
    free(exact);
    return e;
}

static void assert_span(struct span s, const char *text) {
    assert_int_equal(s.n, strlen(text));
    assert_memory_equal(s.p, text, s.n);
}

static void records_of_all_types_are_read(void **state) {
    (void)state;
    put_head(&m, 7, ANSWER, 5, 0, "Home.net", 35);
    put_naptr(&m, "home.net", "SIP+D2U", "", "_sip._udp.home.net");
    put_srv(&m, "_sip._udp.home.net", 10, 20, 4060, "icscf.home.net");
    put_a(&m, "icscf.home.net", 300, 0xc0000201);
    put_cname(&m, "www.home.net", "icscf.home.net");
    size_t at = begin_record(&m, "icscf.home.net", 28, 300);
    put_u32(&m, 0x20010db8);
    put_u32(&m, 0);
    put_u32(&m, 0);
    put_u32(&m, 5);
    end_record(&m, at);
    assert_int_equal(read_message(), OK);
    assert_int_equal(out.n, 5);
    assert_int_equal(out.rcode, DNS_NOERROR);
    assert_span(out.name, "Home.net");
    assert_int_equal(out.type, 35);
    assert_int_equal(out.records[0].naptr.order, 50);
    assert_int_equal(out.records[0].naptr.preference, 10);
    assert_span(out.records[0].naptr.flags, "s");
    assert_span(out.records[0].naptr.service, "SIP+D2U");
    assert_span(out.records[0].naptr.replacement, "_sip._udp.home.net");
    assert_int_equal(out.records[1].srv.port, 4060);
    assert_span(out.records[1].srv.target, "icscf.home.net");
    struct addr v4 = addr_v4(192, 0, 2, 1, 0);
    assert_true(addr_eq(&out.records[2].address, &v4));
    assert_int_equal(out.records[2].ttl_s, 300);
    assert_span(out.records[3].alias, "icscf.home.net");
    assert_int_equal(out.records[4].address.family, 6);
    assert_int_equal(out.records[4].address.ip[15], 5);
}

static void compressed_names_are_read(void **state) {
    (void)state;
    put_head(&m, 7, ANSWER, 1, 0, "home.net", 33);
    put_u16(&m, 0xc00c); /* the question's name */
    put_u16(&m, 33);
    put_u16(&m, 1);
    put_u32(&m, 60);
    put_u16(&m, 6 + 6 + 2);
    put_u16(&m, 1);
    put_u16(&m, 2);
    put_u16(&m, 5060);
    buf_char(&m.b, 5);
    buf_cstr(&m.b, "icscf");
    put_u16(&m, 0xc00c);
    assert_int_equal(read_message(), OK);
    assert_span(out.records[0].name, "home.net");
    assert_span(out.records[0].srv.target, "icscf.home.net");
}

static void pointers_that_do_not_go_back_are_refused(void **state) {
    (void)state;
    static const unsigned pointers[] = {0xc01a, 0xc01b, 0xc0ff, 0xffff, 0xc000, 0xc00b};
    for (size_t i = 0; i < COUNT_OF(pointers); i++) {
        put_head(&m, 7, ANSWER, 1, 0, "home.net", 1);
        assert_int_equal(m.b.n, 0x1a);
        put_u16(&m, pointers[i]);
        put_u16(&m, 1);
        put_u16(&m, 1);
        put_u32(&m, 60);
        put_u16(&m, 4);
        put_u32(&m, 1);
        assert_int_equal(read_message(), ERR_MALFORMED);
    }
}

static void over_long_names_are_refused(void **state) {
    (void)state;
    char name[400] = "";
    struct buf b = buf_init(name, sizeof name - 1);
    for (int i = 0; i < 6; i++) {
        buf_cstr(&b, "abcdefghijabcdefghijabcdefghijabcdefghijabcdefghij.");
    }
    put_head(&m, 7, ANSWER, 0, 0, name, 1);
    assert_int_equal(read_message(), ERR_MALFORMED);
}

static void what_is_cut_short_is_refused(void **state) {
    (void)state;
    put_head(&m, 7, ANSWER, 3, 1, "home.net", 35);
    put_naptr(&m, "home.net", "SIP+D2U", "", "_sip._udp.home.net");
    put_srv(&m, "_sip._udp.home.net", 10, 20, 4060, "icscf.home.net");
    put_a(&m, "icscf.home.net", 300, 0xc0000201);
    put_soa(&m, "net", 60, 60);
    assert_int_equal(read_message(), OK);
    for (size_t whole = m.b.n, n = 0; n < whole; n++) {
        m.b.n = n;
        assert_int_equal(read_message(), ERR_MALFORMED);
    }
}

static void data_must_fill_its_length(void **state) {
    (void)state;
    put_head(&m, 7, ANSWER, 1, 0, "home.net", 1);
    size_t at = begin_record(&m, "home.net", 1, 60);
    put_u32(&m, 1);
    buf_char(&m.b, 0);
    end_record(&m, at);
    assert_int_equal(read_message(), ERR_MALFORMED);
    put_head(&m, 7, ANSWER, 1, 0, "home.net", 1);
    at = begin_record(&m, "home.net", 1, 60);
    put_u16(&m, 1);
    end_record(&m, at);
    put_u32(&m, 1);
    assert_int_equal(read_message(), ERR_MALFORMED);
}

static void what_cannot_be_used_is_left_out(void **state) {
    (void)state;
    put_head(&m, 7, ANSWER, 5, 0, "home.net", 35);
    put_naptr(&m, "home.net", "E2U+sip", "!^.*$!sip:x@y!", "");
    put_naptr(&m, "home.net", "SIP\"D2U", "", "home.net");
    put_a(&m, "with space.net", 60, 1);
    size_t at = begin_record(&m, "home.net", 16, 60); /* TXT */
    put_string(&m, "text");
    end_record(&m, at);
    put_a(&m, "home.net", 0x80000001, 0x0a000001);
    assert_int_equal(read_message(), OK);
    assert_int_equal(out.n, 1);
    assert_int_equal(out.records[0].type, DNS_A);
    assert_int_equal(out.records[0].ttl_s, 0); /* RFC 2181 section 8 */
}

static void numbers_of_records_are_bounded(void **state) {
    (void)state;
    put_head(&m, 7, ANSWER, 100, 0, "h.net", 1);
    for (uint32_t i = 0; i < 100; i++) {
        put_a(&m, "h.net", 60, 0x0a000001 + i);
    }
    assert_int_equal(read_message(), OK);
    assert_int_equal(out.n, DNS_RECORDS_MAX);
}

static void negative_answers_say_how_long(void **state) {
    (void)state;
    put_head(&m, 7, ANSWER | DNS_NXDOMAIN, 0, 1, "x.home.net", 1);
    put_soa(&m, "home.net", 900, 60);
    assert_int_equal(read_message(), OK);
    assert_int_equal(out.rcode, DNS_NXDOMAIN);
    assert_true(out.has_soa);
    assert_int_equal(out.negative_ttl_s, 60);
    put_head(&m, 7, ANSWER | DNS_NXDOMAIN, 0, 1, "x.home.net", 1);
    put_soa(&m, "away.net", 900, 60); /* of another zone */
    assert_int_equal(read_message(), OK);
    assert_false(out.has_soa);
}

static void what_is_no_answer_is_refused(void **state) {
    (void)state;
    put_head(&m, 7, 0x0100, 0, 0, "home.net", 1);
    assert_int_equal(read_message(), ERR_MALFORMED);
    put_head(&m, 7, ANSWER, 0, 0, "home.net", 1);
    m.bytes[5] = 2;
    assert_int_equal(read_message(), ERR_MALFORMED);
    assert_int_equal(dns_message_read(SPAN_NONE, &out), ERR_MALFORMED);
}

static void names_are_printed_relative_to_their_origin(void **state) {
    (void)state;
    static const struct {
        const char *name, *origin, *printed;
    } rows[] = {
        {"home.net", "home.net", "@"},
        {"icscf.HOME.net", "home.net", "icscf"},
        {"_sip._udp.home.net", "home.net", "_sip._udp"},
        {"awayhome.net", "home.net", "awayhome.net."},
        {"net", "home.net", "net."},
        {".", "home.net", "."},
        {"home.net", "", "home.net."},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char text[64];
        struct buf b = buf_init(text, sizeof text);
        dns_name_print(&b, span_from_cstr(rows[i].name), span_from_cstr(rows[i].origin));
        assert_span(buf_span(&b), rows[i].printed);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_of_all_types_are_read),
        cmocka_unit_test(compressed_names_are_read),
        cmocka_unit_test(pointers_that_do_not_go_back_are_refused),
        cmocka_unit_test(over_long_names_are_refused),
        cmocka_unit_test(what_is_cut_short_is_refused),
        cmocka_unit_test(data_must_fill_its_length),
        cmocka_unit_test(what_cannot_be_used_is_left_out),
        cmocka_unit_test(numbers_of_records_are_bounded),
        cmocka_unit_test(negative_answers_say_how_long),
        cmocka_unit_test(what_is_no_answer_is_refused),
        cmocka_unit_test(names_are_printed_relative_to_their_origin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
