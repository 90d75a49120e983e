/* Requests as bytes: what is one request to everybody, and what is refused because it might be two.
 * covers: HB8 */
#include "base/buf.h"
#include "stack/http/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>

/* The status that a head gets; 0: it is good; -1: it is not whole. */
static int judge(const char *text, struct http_head *head) {
    struct span bytes = span_from_cstr(text);
    size_t scanned = 0, n = 0;
    const char *why = "";
    enum http_scan found = http_head_scan(bytes, &scanned, &n);
    if (found != HTTP_WHOLE) {
        return found == HTTP_BAD ? 400 : -1;
    }
    return (int)http_head_parse(span_slice(bytes, 0, n), head, &why);
}

static void a_good_head_is_read(void **state) {
    struct http_head h;
    bool repeated;
    (void)state;
    assert_int_equal(judge("POST http://Host:80/a?b=1 HTTP/1.1\r\nhost: host:80\r\nX-Y:\t z \t\r\n"
                           "Content-Length: 7\r\nExpect: 100-Continue\r\nConnection: x, Close\r\n"
                           "A: 1\r\nA: 2\r\nTE: trailers, gzip;q=0.5\r\n\r\nrest",
                           &h),
                     0);
    assert_true(span_eq(h.method, SPAN("POST")));
    assert_true(span_eq(h.target, SPAN("/a?b=1")));
    assert_true(span_eq(h.host, SPAN("host:80")));
    assert_true(span_eq(http_field(&h, SPAN("x-y"), NULL), SPAN("z")));
    assert_null(http_field(&h, SPAN("a"), &repeated).p);
    assert_true(repeated);
    assert_int_equal(h.length, 7);
    assert_true(h.closes && h.expects_continue && !h.chunked);
    assert_int_equal(judge("GET / HTTP/1.0\r\n\r\n", &h), 0);
    assert_true(h.closes);
}

#define GET_ "GET / HTTP/1.1\r\nHost: h\r\n"

static void what_might_be_two_requests_is_refused(void **state) {
    static const struct {
        const char *text;
        int status;
    } cases[] = {
        {GET_ "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
        {GET_ "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", 400},
        {GET_ "Content-Length: 3\r\nContent-Length: 3\r\n\r\n", 400},
        {GET_ "Content-Length: 3, 3\r\n\r\n", 400},
        {GET_ "Content-Length: +3\r\n\r\n", 400},
        {GET_ "Content-Length: 0x3\r\n\r\n", 400},
        {GET_ "Content-Length: \r\n\r\n", 400},
        {GET_ "Content-Length: 99999999999999999999\r\n\r\n", 400},
        {GET_ "Transfer-Encoding: pigeons\r\n\r\n", 400},
        {GET_ "Transfer-Encoding: chunked, pigeons\r\n\r\n", 400},
        {GET_ "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
        {GET_ "Transfer-Encoding: \vchunked\r\n\r\n", 400},
        {GET_ "TE: pigeons\r\n\r\n", 400},
        {GET_ "TE: gzip\r\nTE: deflate\r\n\r\n", 400},
        {"GET / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
        {"GET / HTTP/1.1\nHost: h\n\n", 400},
        {GET_ "A: b\n\r\n", 400},
        {GET_ "A: b\rC: d\r\n\r\n", 400},
        {GET_ "A: b\r\n folded\r\n\r\n", 400},
        {GET_ "A: b\r\n\tfolded\r\n\r\n", 400},
        {GET_ " A: b\r\n\r\n", 400},
        {GET_ "Content-Length : 3\r\n\r\n", 400},
        {GET_ "Content-Length\r\n\r\n", 400},
        {GET_ ": b\r\n\r\n", 400},
        {GET_ "A\x01: b\r\n\r\n", 400},
        {GET_ "A: \x7f\r\n\r\n", 400},
        {GET_ "Host: other\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n\r\n", 400},
        {"GET http://other/ HTTP/1.1\r\nHost: h\r\n\r\n", 400},
        {"GET http:// HTTP/1.1\r\nHost: h\r\n\r\n", 400},
        {"GET /a b HTTP/1.1\r\nHost: h\r\n\r\n", 400},
        {"GET\t/ HTTP/1.1\r\nHost: h\r\n\r\n", 501},
        {"G(T / HTTP/1.1\r\nHost: h\r\n\r\n", 501},
        {"GET /\xc3\xa4 HTTP/1.1\r\nHost: h\r\n\r\n", 400},
        {"GET * HTTP/1.1\r\nHost: h\r\n\r\n", 400},
        {"GET /\r\n\r\n", 505},
        {"GET / HTTP/2.0\r\nHost: h\r\n\r\n", 505},
        {"GET / HTTP/1.1 \r\nHost: h\r\n\r\n", 505},
        {"\r\n\r\n", 400},
        {GET_, -1},
        {GET_ "A: b\r\n\r", -1},
        {GET_ "A: b\r\n\r\n", 0},
    };
    struct http_head h;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        int got = judge(cases[i].text, &h);
        if (got != cases[i].status) {
            fail_msg("%d instead of %d: %s", got, cases[i].status, cases[i].text);
        }
    }
}

static void heads_have_a_bound(void **state) {
    char text[8192];
    struct http_head h;
    struct buf b = buf_init(text, sizeof text - 1);
    (void)state;
    buf_cstr(&b, GET_);
    for (int i = 0; i < HTTP_FIELDS_MAX; i++) {
        buf_printf(&b, "A%d: b\r\n", i);
    }
    buf_cstr(&b, "\r\n");
    text[b.n] = '\0';
    assert_int_equal(judge(text, &h), 431);
}

/* However the bytes are cut: the same body, the same end. Returns what ended it. */
static enum http_chunk unchunk(const char *text, size_t step, struct buf *out, struct span *rest) {
    struct http_chunks c;
    struct span all = span_from_cstr(text), data;
    enum http_chunk k = HTTP_CHUNK_MORE;
    http_chunks_init(&c);
    for (size_t at = 0; at < all.n; at += step) {
        struct span in = span_slice(all, at, at + step);
        while ((k = http_chunks_take(&c, &in, &data)) == HTTP_CHUNK_DATA) {
            buf_put(out, data);
        }
        if (k != HTTP_CHUNK_MORE) {
            *rest = span_after(all, (size_t)(in.p - all.p));
            return k;
        }
    }
    return k;
}

static void chunks_are_read_however_they_come(void **state) {
    static const char text[] =
        "5\r\nhello\r\n00A;x=\"y\"\r\n, world 10\r\n0\r\nTrailer: 1\r\nAnother: 2\r\n\r\nGET";
    (void)state;
    for (size_t step = 1; step < sizeof text; step++) {
        char room[64];
        struct buf out = buf_init(room, sizeof room);
        struct span rest = SPAN_NONE;
        assert_int_equal(unchunk(text, step, &out, &rest), HTTP_CHUNK_END);
        assert_true(span_eq(buf_span(&out), SPAN("hello, world 10")));
        assert_true(span_eq(rest, SPAN("GET")));
    }
}

static void broken_chunks_are_refused(void **state) {
    static const char *const cases[] = {
        "\r\n",
        "g\r\n",
        "-1\r\n",
        " 5\r\nhello\r\n",
        "5 \r\nhello\r\n",
        "5\nhello\r\n",
        "5\r\nhelloo",
        "5\r\nhello\n",
        "5\r\nhello\r\r",
        "5;x\n\r\n",
        "5\rhello",
        "0\r\n\n",
        "0\r\n x: y\r\n",
        "0\r\nx: y\n",
        "ffffffffffffffffff\r\n",
        "0x5\r\nhello",
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char room[64];
        struct buf out = buf_init(room, sizeof room);
        struct span rest;
        if (unchunk(cases[i], 1, &out, &rest) != HTTP_CHUNK_BAD) {
            fail_msg("taken: %s", cases[i]);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_head_is_read),
        cmocka_unit_test(what_might_be_two_requests_is_refused),
        cmocka_unit_test(heads_have_a_bound),
        cmocka_unit_test(chunks_are_read_however_they_come),
        cmocka_unit_test(broken_chunks_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
