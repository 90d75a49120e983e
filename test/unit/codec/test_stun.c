/* STUN Binding: answers, and what is not answered. The request with a FINGERPRINT is made like the
 * one of RFC 5769 2.1, without credentials. */
#include "codec/stun/stun.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#define HEAD(type, length)                                                                         \
    type length "\x21\x12\xa4\x42"                                                                 \
                "0123456789ab"

static const struct addr from = {.family = 4, .port = 32853, .ip = {192, 0, 2, 1}};

static enum error answer(const char *request, size_t n, char *out, size_t *out_n) {
    struct buf b = buf_init(out, 256);
    enum error e = stun_answer(span_of(request, n), &from, &b);
    *out_n = b.n;
    return e;
}

static void a_binding_request_gets_its_address(void **state) {
    static const char request[] = HEAD("\0\1", "\0\0");
    /* RFC 5769 2.2: 192.0.2.1 port 32853 is written a1 47 e1 12 a6 43 */
    static const char expected[] =
        HEAD("\1\1", "\0\x0c") "\0\x20\0\x08\0\1\xa1\x47\xe1\x12\xa6\x43";
    char out[256];
    size_t n;
    (void)state;
    assert_true(stun_may_be(request, sizeof request - 1));
    assert_int_equal(answer(request, sizeof request - 1, out, &n), OK);
    assert_int_equal(n, sizeof expected - 1);
    assert_memory_equal(out, expected, n);
}

static void sip_is_no_stun(void **state) {
    static const char *const sip[] = {"!odd-method sip:b@h SIP/2.0\r\n",
                                      "\r\n\r\nOPTIONS sip:b@h SIP/2.0\r\n",
                                      "OPTIONS sip:b@h SIP/2.0\r\n"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(sip); i++) {
        assert_false(stun_may_be(sip[i], strlen(sip[i])));
    }
}

static void an_answer_carries_a_fingerprint_as_the_request_does(void **state) {
    /* CRC-32 by Python's zlib: of the 20 bytes in front, exclusive-or 0x5354554e */
    char request[28] = HEAD("\0\1", "\0\x08"), out[256];
    size_t n;
    (void)state;
    const unsigned char fingerprint[] = {0x80, 0x28, 0, 4, 0xcf, 0x5c, 0xf6, 0xab};
    memcpy(request + 20, fingerprint, sizeof fingerprint);
    assert_int_equal(answer(request, sizeof request, out, &n), OK);
    assert_int_equal(n, 40);
    assert_memory_equal(out + 32, "\x80\x28\0\4", 4);
    request[27] ^= 1;
    assert_int_equal(answer(request, sizeof request, out, &n), ERR_MALFORMED);
}

static void what_is_demanded_and_not_known_is_named(void **state) {
    static const char request[] = HEAD("\0\1", "\0\x08") "\0\x24\0\4\1\2\3\4"; /* PRIORITY */
    char out[256];
    size_t n;
    (void)state;
    assert_int_equal(answer(request, sizeof request - 1, out, &n), OK);
    assert_memory_equal(out, "\1\x11", 2);
    assert_memory_equal(out + 20,
                        "\0\x09\0\x15\0\0\4\x14Unknown Attribute\0\0\0\0\x0a\0\2\0\x24\0\0", 36);
    assert_int_equal(n, 56);
}

static void what_is_no_binding_request_is_not_answered(void **state) {
    static const struct {
        const char *bytes;
        size_t n;
        enum error e;
    } cases[] = {
        {HEAD("\1\1", "\0\0"), 20, ERR_UNSUPPORTED},   /* an answer: no loops */
        {HEAD("\0\x11", "\0\0"), 20, ERR_UNSUPPORTED}, /* an indication */
        {HEAD("\0\1", "\0\4"), 20, ERR_MALFORMED},     /* longer than it is */
        {HEAD("\0\1", "\0\0"), 19, ERR_MALFORMED},     /* cut */
        {"\0\1\0\0"
         "xxxx"
         "0123456789ab",
         20, ERR_MALFORMED},                                  /* no cookie */
        {HEAD("\0\1", "\0\4") "\0\6\0\1", 24, ERR_MALFORMED}, /* an attribute beyond the end */
    };
    char out[256];
    size_t n;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_int_equal(answer(cases[i].bytes, cases[i].n, out, &n), cases[i].e);
    }
    assert_false(stun_may_be("REGISTER sip:home SIP/2.0", 25));
}

static void what_is_asked_is_answered_and_read(void **state) {
    static const uint8_t id[STUN_ID] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
    struct addr six = {.family = 6, .port = 5061, .ip = {0x20, 1, 0xd, 0xb8, [15] = 7}};
    const struct addr seen[] = {addr_v4(192, 0, 2, 1, 40000), six};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(seen); i++) {
        char question[64], bytes[128];
        struct buf q = buf_init(question, sizeof question), a = buf_init(bytes, sizeof bytes);
        struct addr mapped;
        uint8_t read[STUN_ID];
        stun_put_binding(&q, id);
        assert_int_equal(q.n, 20);
        assert_true(stun_may_be(question, q.n));
        assert_int_equal(stun_answer(buf_span(&q), &seen[i], &a), OK);
        assert_int_equal(stun_read_answer(buf_span(&a), read, &mapped), OK);
        assert_memory_equal(read, id, sizeof id);
        assert_true(addr_eq(&mapped, &seen[i]));
        for (size_t n = 0; n < a.n; n++) { /* cut anywhere it is none */
            assert_int_not_equal(stun_read_answer(span_of(bytes, n), read, &mapped), OK);
        }
        assert_int_equal(stun_read_answer(buf_span(&q), read, &mapped), ERR_UNSUPPORTED);
        bytes[25] = 9; /* no such family */
        assert_int_equal(stun_read_answer(buf_span(&a), read, &mapped), ERR_UNSUPPORTED);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_asked_is_answered_and_read),
        cmocka_unit_test(a_binding_request_gets_its_address),
        cmocka_unit_test(sip_is_no_stun),
        cmocka_unit_test(an_answer_carries_a_fingerprint_as_the_request_does),
        cmocka_unit_test(what_is_demanded_and_not_known_is_named),
        cmocka_unit_test(what_is_no_binding_request_is_not_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
