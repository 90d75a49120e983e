/* Reading messages: what is taken, what is refused and how. covers: A4 */
#include "codec/sip/headers.h"

#include "messages.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct reader {
    struct chunk_pool pool;
    struct arena arena;
    struct sip_limits limits;
    struct sip_msg *msg;
    struct sip_fault fault;
    char *bytes; /* exactly as long as the message, so that ASan sees a byte too far */
};

static int set_up(void **state) {
    struct reader *r = calloc(1, sizeof *r);
    chunk_pool_init(&r->pool, 8192, 4);
    r->arena = arena_init(&r->pool);
    r->limits = sip_limits_default();
    *state = r;
    return 0;
}

static int tear_down(void **state) {
    struct reader *r = *state;
    arena_release(&r->arena);
    chunk_pool_free(&r->pool);
    free(r->bytes);
    free(r);
    return 0;
}

static enum error read_bytes(struct reader *r, const void *bytes, size_t n) {
    arena_release(&r->arena);
    free(r->bytes);
    r->bytes = malloc(n ? n : 1);
    memcpy(r->bytes, bytes, n);
    return sip_parse(&r->arena, r->bytes, n, &r->limits, &r->msg, &r->fault);
}

static enum error read_text(struct reader *r, const char *text) {
    return read_bytes(r, text, strlen(text));
}

#define assert_span(span_, text_)                                                                  \
    do {                                                                                           \
        struct span s_ = (span_);                                                                  \
        assert_int_equal(s_.n, strlen(text_));                                                     \
        assert_memory_equal(s_.p, text_, s_.n);                                                    \
    } while (0)

static void a_request_is_read_with_folding_compact_forms_and_lists(void **state) {
    struct reader *r = *state;
    assert_int_equal(read_text(r, SIP_REGISTER_TEXT), OK);
    struct sip_msg *m = r->msg;
    assert_true(m->is_request);
    assert_int_equal(m->method, SIP_REGISTER);
    assert_span(m->request_uri, "sip:home.net");
    assert_span(m->uri.host, "home.net");
    assert_int_equal(m->cseq, 7);
    assert_span(m->call_id, "call-1@192.0.2.1");
    assert_span(m->from_tag, "from1");
    assert_int_equal(m->to_tag.n, 0);
    assert_span(m->body, "body");
    assert_int_equal(m->n_headers, 14);
    assert_span(m->via.branch, "z9hG4bKabc");
    assert_true(m->via.rport);
    assert_span(sip_value(m, SIP_H_TO), "<sip:alice@home.net>");
    assert_true(sip_has_token(m, SIP_H_SUPPORTED, SPAN("GRUU")));
    assert_true(sip_has_token(m, SIP_H_SUPPORTED, SPAN("outbound")));
    assert_false(sip_has_token(m, SIP_H_SUPPORTED, SPAN("sec-agree")));
    assert_span(sip_header_named(m, SPAN("x-unknown"))->value, "a, b");
    assert_null(sip_header_named(m, SPAN("X-Other")));
    assert_ptr_equal(sip_header_named(m, SPAN("From")), sip_header(m, SIP_H_FROM));
}

static void all_vias_are_walked_over_lines_and_commas(void **state) {
    struct reader *r = *state;
    assert_int_equal(read_text(r, SIP_REGISTER_TEXT), OK);
    struct sip_list list = sip_list_of(r->msg, SIP_H_VIA);
    struct sip_via via;
    assert_true(sip_via_next(&list, &via));
    assert_span(via.host, "192.0.2.1");
    assert_int_equal(via.port, 5070);
    assert_true(sip_via_next(&list, &via));
    assert_span(via.host, "192.0.2.2");
    assert_int_equal(via.port, 0);
    assert_false(via.rport);
    assert_true(sip_via_next(&list, &via));
    assert_span(via.transport, "TCP");
    assert_span(via.host, "[2001:db8::1]");
    assert_span(via.branch, "z9hG4bKdef");
    assert_span(via.received, "192.0.2.9");
    assert_false(sip_via_next(&list, &via));
    assert_false(list.malformed);
    assert_int_equal(sip_list_count(r->msg, SIP_H_VIA), 3);
}

static void a_response_is_read(void **state) {
    struct reader *r = *state;
    assert_int_equal(read_text(r, "\r\n\r\nSIP/2.0 401 Na\xc3\xafve reason\r\n"
                                  "Via: SIP/2.0/UDP pcscf.home.net;branch=z9hG4bK1\r\n"
                                  "From: sip:a@b;tag=1\r\nTo: sip:a@b ; tag=2\r\nCall-ID: c\r\n"
                                  "CSeq: 1 INVITE\r\n\r\n"),
                     OK);
    assert_false(r->msg->is_request);
    assert_int_equal(r->msg->status, 401);
    assert_int_equal(r->msg->method, SIP_INVITE);
    assert_span(r->msg->reason, "Na\xc3\xafve reason");
    assert_span(r->msg->to_tag, "2");
    assert_int_equal(r->msg->body.n, 0);
}

static void a_datagram_is_cut_at_content_length(void **state) {
    struct reader *r = *state;
    assert_int_equal(read_text(r, SIP_REGISTER_TEXT "more"), OK);
    assert_span(r->msg->body, "body");
    assert_int_equal(r->msg->bytes.n, strlen(SIP_REGISTER_TEXT));
}

#define VIA   "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n"
#define FROM  "From: <sip:a@b>;tag=1\r\n"
#define TO    "To: <sip:a@b>\r\n"
#define CALL  "Call-ID: c\r\n"
#define CSEQ  "CSeq: 1 OPTIONS\r\n"
#define LINE  "OPTIONS sip:b SIP/2.0\r\n"
#define HEAD  LINE VIA FROM TO CALL CSEQ
#define NO_ID LINE VIA FROM TO CSEQ

static void malformed_requests_get_their_status_or_silence(void **state) {
    static const struct {
        const char *text;
        unsigned status;
        const char *reason;
    } cases[] = {
        {NO_ID "\r\n", 400, "Missing Call-ID"},
        {NO_ID "Call-ID:\r\n\r\n", 400, "Malformed Call-ID"},
        {LINE VIA TO CALL CSEQ "\r\n", 400, "Missing From"},
        {LINE VIA FROM CALL CSEQ "\r\n", 400, "Missing To"},
        {LINE VIA FROM TO CALL "\r\n", 400, "Missing CSeq"},
        {LINE VIA FROM TO CALL "CSeq: 1 REGISTER\r\n\r\n", 400, "CSeq of another method"},
        {"DANCE sip:b SIP/2.0\r\n" VIA FROM TO CALL CSEQ "\r\n", 501, "CSeq of another method"},
        {LINE VIA FROM TO CALL "CSeq: 1OPTIONS\r\n\r\n", 400, "Malformed CSeq"},
        {LINE VIA FROM TO CALL "CSeq: 2147483648 OPTIONS\r\n\r\n", 400, "Malformed CSeq"},
        {LINE VIA FROM TO CALL "CSeq: 36893488147419103232 OPTIONS\r\n\r\n", 400, "Malformed CSeq"},
        {LINE VIA FROM TO CALL "CSeq: -1 OPTIONS\r\n\r\n", 400, "Malformed CSeq"},
        {LINE FROM TO CALL CSEQ "\r\n", 0, "Missing Via"},
        {LINE "Via: SIP/2.0/UDP\r\n" FROM TO CALL CSEQ "\r\n", 0, "Malformed Via"},
        {LINE "Via: SIP/1.0/UDP h\r\n" FROM TO CALL CSEQ "\r\n", 400, "Malformed Via"},
        {LINE "Via: HTTP/2.0/UDP h\r\n" FROM TO CALL CSEQ "\r\n", 0, "Malformed Via"},
        {LINE "Via: SIP/2.0/UDP h:70000\r\n" FROM TO CALL CSEQ "\r\n", 0, "Malformed Via"},
        {LINE "Via: SIP/2.0/UDP h;;,;,,\r\n" FROM TO CALL CSEQ "\r\n", 400, "Malformed Via"},
        {LINE "Via: SIP/2.0/UDP h;branch=\r\n" FROM TO CALL CSEQ "\r\n", 400, "Malformed Via"},
        {HEAD FROM "\r\n", 400, "Repeated From"},
        {HEAD "t: <sip:c@d>\r\n\r\n", 400, "Repeated To"},
        {HEAD "l: 0\r\nContent-Length: 0\r\n\r\n", 400, "Repeated Content-Length"},
        {HEAD "Content-Length: 5\r\n\r\nbody", 400, "Content-Length beyond the end"},
        {HEAD "Content-Length: -5\r\n\r\nbody", 400, "Malformed Content-Length"},
        {HEAD "Content-Length: 9999999999999\r\n\r\nbody", 413, "Request Entity Too Large"},
        {HEAD "Max-Forwards: 300\r\n\r\n", 400, "Malformed Max-Forwards"},
        {HEAD "Max-Forwards: x\r\n\r\n", 400, "Malformed Max-Forwards"},
        {HEAD "No colon here\r\n\r\n", 400, "Malformed header line"},
        {HEAD ": no name\r\n\r\n", 400, "Malformed header line"},
        {HEAD "Bad Name: x\r\n\r\n", 400, "Malformed header name"},
        {HEAD "X: a\nP-Asserted-Identity: <sip:ceo@b>\r\n\r\n", 400, "Line break other than CRLF"},
        {HEAD "X: a\rP-Asserted-Identity: <sip:ceo@b>\r\n\r\n", 400, "Line break other than CRLF"},
        {HEAD "X: a\x1b[31m\r\n\r\n", 400, "Control character in header"},
        {HEAD, 400, "Message ends within its header"},
        {HEAD "X: y", 400, "Message ends within its header"},
        {"OPTIONS sip:b SIP/7.0\r\n" VIA FROM TO CALL CSEQ "\r\n", 505, "Version Not Supported"},
        {"OPTIONS sip:b HTTP/1.1\r\n" VIA FROM TO CALL CSEQ "\r\n", 400, "Malformed request line"},
        {"OPTIONS <sip:b> SIP/2.0\r\n" VIA FROM TO CALL CSEQ "\r\n", 400, "Malformed Request-URI"},
        {"OPTIONS sip:b?a=b SIP/2.0\r\n" VIA FROM TO CALL CSEQ "\r\n", 400,
         "Malformed Request-URI"},
        {"OPTIONS sip:2001:db8::1 SIP/2.0\r\n" VIA FROM TO CALL CSEQ "\r\n", 400,
         "Malformed Request-URI"},
        {"OPTIONS  sip:b  SIP/2.0\r\n" VIA FROM TO CALL CSEQ "\r\n", 400, "Malformed request line"},
        {"OPTIONS sip:b SIP/2.0 \r\n" VIA FROM TO CALL CSEQ "\r\n", 400, "Malformed request line"},
        {"OPTIONS sip:b; lr SIP/2.0\r\n" VIA FROM TO CALL CSEQ "\r\n", 400,
         "Malformed request line"},
        {LINE VIA "From: \"open <sip:a@b>;tag=1\r\n" TO CALL CSEQ "\r\n", 400, "Malformed From"},
        {LINE VIA "From: Bell, A. <sip:a@b>;tag=1\r\n" TO CALL CSEQ "\r\n", 400, "Malformed From"},
        {LINE VIA FROM "To: <sip:a@b>;;\r\n" CALL CSEQ "\r\n", 400, "Malformed To"},
        {LINE VIA FROM "To: sip:a@b?x=y\r\n" CALL CSEQ "\r\n", 400, "Malformed To"},
        {"ACK sip:b SIP/2.0\r\n" VIA FROM TO CALL "\r\n", 0, "Missing CSeq"},
        {"SIP/2.0 4294967301 better not break the receiver\r\n" VIA FROM TO CALL CSEQ "\r\n", 0,
         "Malformed status line"},
        {"SIP/2.0 099 x\r\n" VIA FROM TO CALL CSEQ "\r\n", 0, "Malformed status line"},
        {"nonsense", 0, "Message ends within its header"},
    };
    struct reader *r = *state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        enum error e = read_text(r, cases[i].text);
        if (e == OK || r->fault.status != cases[i].status ||
            strcmp(r->fault.reason, cases[i].reason) != 0) {
            fail_msg("case %zu: %s: %u %s for\n%s", i, error_name(e), r->fault.status,
                     r->fault.reason, cases[i].text);
        }
        assert_int_equal(r->msg != NULL, cases[i].status != 0);
    }
}

static void unusual_but_valid_requests_are_taken(void **state) {
    static const char *const cases[] = {
        HEAD "\r\n",
        HEAD "Content-Length: 0004\r\n\r\nbody",
        "OPTIONS sip:b sip/2.0\r\n" VIA FROM TO CALL CSEQ "\r\n",
        "OPTIONS unknown:scheme SIP/2.0\r\n" VIA FROM TO CALL CSEQ "\r\n",
        "OPTIONS sip:[2001:db8::10] SIP/2.0\r\n" VIA FROM TO CALL CSEQ "\r\n",
        "OPTIONS sip:a;b?c%20d@h;transport=udp SIP/2.0\r\n" VIA FROM TO CALL CSEQ "\r\n",
        LINE "Via: SIP/2.0/UDP h;received=[2001:db8::9:255];branch=z9hG4bK1\r\n" FROM TO CALL CSEQ
             "\r\n",
        LINE "Via: SIP/2.0/UDP h;x=\"a,b;c\";branch=z9hG4bK1 , SIP/2.0/TCP i\r\n" FROM TO CALL CSEQ
             "\r\n",
        LINE VIA "From: <sip:a@b>\r\n" TO CALL CSEQ "\r\n",
        LINE VIA FROM TO CALL "CSeq:    0009\r\n  OPTIONS\r\n\r\n",
        LINE VIA FROM
        "TO :\r\n sip:vivekg@chair-dnrc.example.com ;   tag    = 1918181833n\r\n" CALL CSEQ "\r\n",
        HEAD "UnknownHeaderWithUnusualValue: ;;,,;;,;\r\n\r\n",
        HEAD "Subject:\r\n\r\n",
        HEAD "x!_%*.-+`'~: weird token name\r\n\r\n",
    };
    struct reader *r = *state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        if (read_text(r, cases[i]) != OK) {
            fail_msg("case %zu: %u %s", i, r->fault.status, r->fault.reason);
        }
    }
    /* A quoted pair may hide control characters, NUL among them (RFC 4475 3.1.1.2). */
    static const char quoted[] = LINE VIA
        "From: \"BEL:\\\x07 NUL:\\\x00 DEL:\\\x7f\" <sip:a@b>;tag=1\r\n" TO CALL CSEQ "\r\n";
    assert_int_equal(read_bytes(r, quoted, sizeof quoted - 1), OK);
}

static void sizes_beyond_the_limits_are_refused(void **state) {
    struct reader *r = *state;
    r->limits = (struct sip_limits){.message_max = 2000,
                                    .line_max = 100,
                                    .headers_max = 8,
                                    .vias_max = 2,
                                    .contacts_max = 2,
                                    .body_max = 10};
    assert_int_equal(read_text(r, HEAD "Z: 1\r\nZ: 2\r\nZ: 3\r\n\r\n"), OK);
    assert_int_equal(read_text(r, HEAD "Z: 1\r\nZ: 2\r\nZ: 3\r\nZ: 4\r\n\r\n"), ERR_TOO_BIG);
    assert_string_equal(r->fault.reason, "Too Many Headers");
    assert_int_equal(r->fault.status, 513);
    assert_int_equal(read_text(r, HEAD "v: SIP/2.0/UDP b,SIP/2.0/UDP c\r\n\r\n"), ERR_TOO_BIG);
    assert_string_equal(r->fault.reason, "Too Many Vias");
    assert_int_equal(read_text(r, HEAD "m: <sip:a>, <sip:b>, <sip:c>\r\n\r\n"), ERR_TOO_BIG);
    assert_string_equal(r->fault.reason, "Too Many Contacts");
    assert_int_equal(read_text(r, HEAD "m: \"a,b,c\" <sip:a>, <sip:b>\r\n\r\n"), OK);
    assert_int_equal(read_text(r, HEAD "\r\n01234567890"), ERR_TOO_BIG);
    assert_int_equal(r->fault.status, 413);
    char line[300] = HEAD "X: ";
    size_t n = strlen(line);
    memset(line + n, 'x', 98);
    memcpy(line + n + 98, "\r\n\r\n", 5);
    assert_int_equal(read_text(r, line), ERR_TOO_BIG);
    assert_string_equal(r->fault.reason, "Line Too Long");
    r->limits.message_max = 100;
    assert_int_equal(read_text(r, HEAD "\r\n"), ERR_TOO_BIG);
    assert_string_equal(r->fault.reason, "Message Too Large");
    assert_non_null(r->msg);
}

static void many_headers_are_indexed(void **state) {
    struct reader *r = *state;
    char text[8192] = HEAD;
    size_t n = strlen(text);
    for (unsigned i = 0; i < 200; i++) {
        n += (size_t)snprintf(text + n, sizeof text - n, "Route: <sip:h%u;lr>\r\n", i);
    }
    memcpy(text + n, "\r\n", 3);
    assert_int_equal(read_text(r, text), OK);
    struct sip_list list = sip_list_of(r->msg, SIP_H_ROUTE);
    struct sip_address route;
    unsigned count = 0;
    while (sip_address_next(&list, &route)) {
        assert_true(sip_uri_is_loose(&route.uri));
        count++;
    }
    assert_int_equal(count, 200);
}

static void a_keep_alive_is_no_message(void **state) {
    struct reader *r = *state;
    assert_int_equal(read_text(r, "\r\n\r\n"), ERR_INCOMPLETE);
    assert_int_equal(r->fault.status, 0);
    assert_int_equal(read_text(r, ""), ERR_INCOMPLETE);
}

static void names_are_found_in_any_case_and_compact(void **state) {
    (void)state;
    for (unsigned id = 0; id < SIP_H_OTHER; id++) {
        struct span name = sip_header_name((enum sip_header_id)id);
        char upper[64];
        for (size_t i = 0; i < name.n; i++) {
            upper[i] = name.p[i] >= 'a' && name.p[i] <= 'z' ? (char)(name.p[i] - 32) : name.p[i];
        }
        assert_int_equal(sip_header_id_of(name), id);
        assert_int_equal(sip_header_id_of(span_of(upper, name.n)), id);
        upper[0] ^= 1;
        assert_int_not_equal(sip_header_id_of(span_of(upper, name.n)), id);
    }
    assert_int_equal(sip_header_id_of(SPAN("V")), SIP_H_VIA);
    assert_int_equal(sip_header_id_of(SPAN("r")), SIP_H_REFER_TO);
    assert_int_equal(sip_header_id_of(SPAN("z")), SIP_H_OTHER);
    assert_int_equal(sip_header_id_of(SPAN("")), SIP_H_OTHER);
    for (unsigned m = 1; m < SIP_METHOD_COUNT; m++) {
        assert_int_equal(sip_method_from(sip_method_name((enum sip_method)m)), m);
    }
    assert_int_equal(sip_method_from(SPAN("invite")), SIP_METHOD_OTHER);
    assert_span(sip_reason_phrase(423), "Interval Too Brief");
    assert_span(sip_reason_phrase(299), "Unknown");
    assert_span(sip_reason_phrase(606), "Not Acceptable");
    assert_span(sip_reason_phrase(100), "Trying");
}

static void a_register_fits_one_chunk(void **state) {
    struct reader *r = *state;
    struct chunk_pool *pool = &r->pool;
    arena_release(&r->arena);
    assert_int_equal(pool->n_used, 0);
    assert_int_equal(read_text(r, SIP_REGISTER_TEXT), OK);
    assert_int_equal(pool->n_used, 1);
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(a_request_is_read_with_folding_compact_forms_and_lists),
        T(all_vias_are_walked_over_lines_and_commas),
        T(a_response_is_read),
        T(a_datagram_is_cut_at_content_length),
        T(malformed_requests_get_their_status_or_silence),
        T(unusual_but_valid_requests_are_taken),
        T(sizes_beyond_the_limits_are_refused),
        T(many_headers_are_indexed),
        T(a_keep_alive_is_no_message),
        T(names_are_found_in_any_case_and_compact),
        T(a_register_fits_one_chunk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
