/* What a trace shows of keys: nothing. covers: A8 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "obs/mask.h"
#include "obs/peek.h"

#include <stdio.h>
#include <stdlib.h>

static void sip_keys_and_passwords_become_asterisks(void **state) {
    (void)state;
    static const struct {
        const char *before, *after;
    } cases[] = {
        {"SIP/2.0 401 Unauthorized\r\nWWW-Authenticate: Digest realm=\"a\", nonce=\"bm9uY2U=\", "
         "ck=\"00112233\", ik=\"44\",algorithm=AKAv1-MD5\r\n\r\n",
         "SIP/2.0 401 Unauthorized\r\nWWW-Authenticate: Digest realm=\"a\", nonce=\"bm9uY2U=\", "
         "ck=\"********\", ik=\"**\",algorithm=AKAv1-MD5\r\n\r\n"},
        {"X: CK = \"a\\\"b\", x=1", "X: CK = \"****\", x=1"},
        {"X: ik=abc;y", "X: ik=***;y"},
        {"X: ik=", "X: ik="},
        {"X: ik=\"unterminated", "X: ik=\"************"},
        {"X: tick=1, x-ck=2, sick=3", "X: tick=1, x-ck=2, sick=3"},
        {"To: <sip:bob:hunter2@example.net>", "To: <sip:bob:*******@example.net>"},
        {"To: <sips:bob:p:w@example.net>", "To: <sips:bob:***@example.net>"},
        {"To: <sip:example.net:5060;lr>, <sip:a@b>", "To: <sip:example.net:5060;lr>, <sip:a@b>"},
        {"X: password=\"open sesame\"", "X: password=\"***********\""},
        {"A: 1\r\n\r\nck=\"body\"", "A: 1\r\n\r\nck=\"body\""},
        {"", ""},
        {"=", "="},
        {"ck=\\", "ck=*"},
        {"ck=\"\\", "ck=\"*"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        size_t n = strlen(cases[i].before);
        char *bytes = malloc(n + 1); /* exact size: ASan sees a byte too far */
        memcpy(bytes, cases[i].before, n);
        mask_secrets(TRACE_SIP, bytes, n);
        bytes[n] = '\0';
        assert_string_equal(bytes, cases[i].after);
        free(bytes);
    }
}

static void put_u24(struct buf *b, size_t v) {
    buf_char(b, (char)(v >> 16));
    buf_char(b, (char)(v >> 8));
    buf_char(b, (char)v);
}

static void put_u32(struct buf *b, uint32_t v) {
    buf_char(b, (char)(v >> 24));
    put_u24(b, v & 0xffffff);
}

static void put_avp(struct buf *b, uint32_t code, struct span data) {
    put_u32(b, code);
    buf_char(b, (char)0xc0);
    put_u24(b, data.n + 12);
    put_u32(b, 10415);
    buf_put(b, data);
    while (b->n % 4) {
        buf_char(b, '\0');
    }
}

static size_t message(char *out, size_t cap, bool request, uint32_t command, struct span avps) {
    struct buf b = buf_init(out, cap);
    buf_char(&b, 1);
    put_u24(&b, avps.n + 20);
    buf_char(&b, request ? (char)0xc0 : 0x40);
    put_u24(&b, command);
    put_u32(&b, 16777216);
    put_u32(&b, 1);
    put_u32(&b, 2);
    buf_put(&b, avps);
    assert_false(b.overflow);
    return b.n;
}

static size_t count(const char *p, size_t n, const char *needle) {
    size_t found = 0, length = strlen(needle);
    for (size_t i = 0; i + length <= n; i++) {
        found += memcmp(p + i, needle, length) == 0;
    }
    return found;
}

/* 610, 625, 626 inside `depth` groups of the kind that holds them. */
static struct buf keys_in_groups(char *out, size_t cap, unsigned depth) {
    struct buf b = buf_init(out, cap);
    put_avp(&b, 625, SPAN("SECRETsecretSECR"));
    put_avp(&b, 626, SPAN("SECRETsecretSECR"));
    put_avp(&b, 610, SPAN("SECRET"));
    put_avp(&b, 609, SPAN("nonce+autn"));
    for (unsigned i = 0; i < depth; i++) {
        char copy[2048];
        size_t n = b.n;
        memcpy(copy, b.p, n);
        b.n = 0;
        put_avp(&b, 612, span_of(copy, n));
    }
    assert_false(b.overflow);
    return b;
}

static void diameter_keys_are_masked_at_every_depth(void **state) {
    (void)state;
    for (unsigned depth = 0; depth < 40; depth++) {
        char avps[4096], bytes[4096];
        struct buf b = keys_in_groups(avps, sizeof avps, depth);
        size_t n = message(bytes, sizeof bytes, false, 303, buf_span(&b));
        mask_secrets(TRACE_DIAMETER, bytes, n);
        assert_int_equal(count(bytes, n, "SECRET"), 0);
        if (depth <= 8) {
            assert_int_equal(count(bytes, n, "nonce+autn"), 1);
        }
    }
}

static void a_request_shows_auts(void **state) {
    (void)state;
    char avps[4096], bytes[4096];
    struct buf b = buf_init(avps, sizeof avps);
    put_avp(&b, 610, SPAN("RAND-and-AUTS"));
    size_t n = message(bytes, sizeof bytes, true, 303, buf_span(&b));
    mask_secrets(TRACE_DIAMETER, bytes, n);
    assert_int_equal(count(bytes, n, "RAND-and-AUTS"), 1);
}

static void a_broken_answer_shows_nothing_behind_the_break(void **state) {
    (void)state;
    char avps[4096], bytes[4096];
    struct buf b = keys_in_groups(avps, sizeof avps, 1);
    size_t n = message(bytes, sizeof bytes, false, 303, buf_span(&b));
    bytes[20 + 7] = (char)0xff; /* the group claims more than there is */
    bytes[20 + 6] = (char)0xff;
    mask_secrets(TRACE_DIAMETER, bytes, n);
    assert_int_equal(count(bytes, n, "SECRET"), 0);
    n = message(bytes, sizeof bytes, false, 301, buf_span(&b));
    bytes[20 + 12 + 6] = (char)0xff; /* an AVP inside a group that may hold a key */
    mask_secrets(TRACE_DIAMETER, bytes, n);
    assert_int_equal(count(bytes, n, "SECRET"), 0);
}

static void garbage_is_harmless(void **state) {
    (void)state;
    uint32_t x = 12345;
    for (int round = 0; round < 20000; round++) {
        size_t n = (size_t)(round % 97);
        char *bytes = malloc(n ? n : 1);
        for (size_t i = 0; i < n; i++) {
            x = x * 1664525 + 1013904223;
            bytes[i] = (char)(x >> 24);
        }
        if (n > 32 && round % 2) {
            char avps[64];
            struct buf b = buf_init(avps, sizeof avps);
            put_avp(&b, 612, span_of(bytes, 8));
            n = message(bytes, n, false, 303, SPAN("")); /* a header over garbage */
            bytes[3] = (char)x;
            bytes[0] = 1;
        }
        mask_secrets(round % 3 ? TRACE_DIAMETER : TRACE_SIP, bytes, n);
        free(bytes);
    }
}

static void a_look_into_sip(void **state) {
    (void)state;
    struct span m = SPAN("SIP/2.0 200 OK\r\nv: SIP/2.0/UDP a\r\ni:  call-1 \r\nCSeq: 2 REGISTER\r\n"
                         "Contact: <sip:a@b>;expires=600\r\nX: 1\r\nX: 2\r\n\r\nX: 3\r\n");
    struct peek_sip sip;
    assert_true(peek_sip(m, &sip));
    assert_false(sip.request);
    assert_int_equal(sip.status, 200);
    assert_true(span_eq(sip.reason, SPAN("OK")));
    assert_true(span_eq(sip.method, SPAN("REGISTER")));
    assert_true(span_eq(peek_sip_header(m, "Call-ID", 0), SPAN("call-1")));
    assert_true(span_eq(peek_sip_header(m, "x", 1), SPAN("2")));
    assert_true(span_is_empty(peek_sip_header(m, "X", 2)));
    struct span contact = peek_sip_header(m, "Contact", 0);
    assert_true(span_eq(peek_sip_param(contact, "expires"), SPAN("600")));
    assert_false(peek_sip(SPAN("HELLO"), &sip));
    assert_false(peek_sip(SPAN("SIP/2.0 2x0 OK"), &sip));
    assert_true(peek_sip(SPAN("REGISTER sip:a SIP/2.0\r\n\r\n"), &sip));
    assert_true(sip.request);
    assert_true(span_eq(sip.uri, SPAN("sip:a")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sip_keys_and_passwords_become_asterisks),
        cmocka_unit_test(diameter_keys_are_masked_at_every_depth),
        cmocka_unit_test(a_request_shows_auts),
        cmocka_unit_test(a_broken_answer_shows_nothing_behind_the_break),
        cmocka_unit_test(garbage_is_harmless),
        cmocka_unit_test(a_look_into_sip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
