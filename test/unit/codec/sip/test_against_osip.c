/* Reads well-formed random messages with libosip2 too, and compares what the two have understood.
 * covers: A4 */
#include "codec/sip/headers.h"

#include <stdio.h>

#ifndef HAVE_OSIP

int main(void) {
    puts("skipped, needs libosip2-dev");
    return 77;
}

#else

#include <osipparser2/osip_parser.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { MESSAGES = 3000, MESSAGE_MAX = 8192 };

struct writer {
    uint64_t seed;
    struct buf b;
};

static unsigned pick(struct writer *w, unsigned below) {
    w->seed = w->seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(w->seed >> 33) % below;
}

#define ONE_OF(w, ...)                                                                             \
    buf_cstr(                                                                                      \
        &(w)->b,                                                                                   \
        ((const char *const[]){                                                                    \
            __VA_ARGS__})[pick((w), sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))])

static void put_uri(struct writer *w, bool params) {
    ONE_OF(w, "sip:", "sips:", "sip:");
    ONE_OF(w, "alice@", "+441632960100@", "a.b-c_d@", "");
    ONE_OF(w, "home.net", "192.0.2.7", "[2001:db8::7]", "ims.mnc001.mcc001.3gppnetwork.org");
    ONE_OF(w, "", ":5060", ":65535");
    if (params) {
        ONE_OF(w, "", ";lr", ";transport=udp;lr", ";user=phone");
    }
}

static void put_address(struct writer *w) {
    ONE_OF(w, "", "\"A \\\"q\\\", <b>\" ", "Alice Smith ");
    buf_char(&w->b, '<');
    put_uri(w, true);
    buf_char(&w->b, '>');
}

static void put_name(struct writer *w, const char *name, const char *compact) {
    buf_cstr(&w->b, pick(w, 3) ? name : compact);
    ONE_OF(w, ": ", ":", " : ", ":\r\n ");
}

static void put_list(struct writer *w, const char *name, const char *compact,
                     void (*value)(struct writer *w)) {
    for (unsigned lines = pick(w, 3); lines > 0; lines--) {
        put_name(w, name, compact);
        value(w);
        while (pick(w, 3) == 0) {
            ONE_OF(w, ",", ", ", " ,\r\n\t");
            value(w);
        }
        buf_cstr(&w->b, "\r\n");
    }
}

static void put_via(struct writer *w) {
    ONE_OF(w, "SIP/2.0/UDP ", "SIP/2.0/TCP ");
    ONE_OF(w, "home.net", "192.0.2.7:5070", "[2001:db8::7]:5060", "h");
    ONE_OF(w, ";branch=z9hG4bK", ";rport;branch=z9hG4bK", ";received=192.0.2.1;branch=z9hG4bK");
    buf_u64(&w->b, pick(w, 1000000));
}

static void put_contact(struct writer *w) {
    put_address(w);
    ONE_OF(w, "", ";expires=60", ";q=0.5;expires=7200", ";+sip.instance=\"<urn:x:1>\"");
}

static bool put_message(struct writer *w) {
    bool is_request = pick(w, 4) > 0;
    static const char *const methods[] = {"REGISTER", "INVITE", "OPTIONS", "FOO"};
    const char *method = methods[pick(w, COUNT_OF(methods))];
    if (is_request) {
        buf_printf(&w->b, "%s ", method);
        put_uri(w, true);
        buf_cstr(&w->b, " SIP/2.0\r\n");
    } else {
        ONE_OF(w, "SIP/2.0 200 OK\r\n", "SIP/2.0 401 Unauthorized user\r\n", "SIP/2.0 699 x\r\n");
    }
    put_name(w, "Via", "v");
    put_via(w);
    buf_cstr(&w->b, "\r\n");
    put_list(w, "Via", "v", put_via);
    put_list(w, "Route", "route", put_address);
    put_name(w, "From", "f");
    put_address(w);
    buf_printf(&w->b, ";tag=%u\r\n", pick(w, 100000));
    put_name(w, "To", "t");
    put_address(w);
    ONE_OF(w, "\r\n", ";tag=abc\r\n", ";x=y;tag=d.e\r\n");
    put_name(w, "Call-ID", "i");
    buf_printf(&w->b, "%u@192.0.2.1\r\n", pick(w, 100000));
    put_name(w, "CSeq", "cseq");
    buf_printf(&w->b, "%u %s\r\n", pick(w, 2000000000), method);
    put_list(w, "Contact", "m", put_contact);
    ONE_OF(w, "Supported: path, gruu\r\n", "User-Agent: x y/z (c)\r\n", "");
    buf_cstr(&w->b, "Content-Type: text/plain\r\n"); /* or libosip2 sees no body */
    unsigned n = pick(w, 50);
    put_name(w, "Content-Length", "l");
    buf_printf(&w->b, "%u\r\n\r\n", n);
    for (unsigned i = 0; i < n; i++) {
        buf_char(&w->b, (char)('a' + pick(w, 26)));
    }
    return is_request;
}

static void same(struct span ours, const char *theirs, const char *what, const char *text) {
    struct span other = span_from_cstr(theirs);
    if (!span_eq(ours, other)) {
        fail_msg("%s: \"%.*s\" and \"%s\" in\n%s", what, SPAN_ARG(ours), theirs ? theirs : "(none)",
                 text);
    }
}

static void same_uri(const struct sip_uri *ours, osip_uri_t *theirs, const char *text) {
    struct span host = ours->host;
    if (host.n && host.p[0] == '[') {
        host = span_slice(host, 1, host.n - 1);
    }
    char port[8] = "";
    if (ours->port) {
        snprintf(port, sizeof port, "%u", ours->port);
    }
    same(ours->scheme_name, theirs->scheme, "scheme", text);
    same(ours->user, theirs->username, "user", text);
    same(host, theirs->host, "host", text);
    same(span_from_cstr(port), theirs->port, "port", text);
    assert_int_equal(sip_uri_is_loose(ours),
                     osip_uri_param_get_byname(&theirs->url_params, (char[]){"lr"},
                                               &(osip_uri_param_t *){NULL}) == 0);
}

static void same_tag(struct span ours, osip_from_t *theirs, const char *text) {
    osip_generic_param_t *tag = NULL;
    osip_generic_param_get_byname(&theirs->gen_params, (char[]){"tag"}, &tag);
    same(ours, tag ? tag->gvalue : NULL, "tag", text);
}

static void same_addresses(const struct sip_msg *ours, enum sip_header_id id, osip_list_t *theirs,
                           const char *text) {
    struct sip_list list = sip_list_of(ours, id);
    struct sip_address address;
    int count = 0;
    while (sip_address_next(&list, &address)) {
        osip_from_t *other = osip_list_get(theirs, count++);
        assert_non_null(other);
        same_uri(&address.uri, other->url, text);
    }
    assert_false(list.malformed);
    assert_int_equal(count, osip_list_size(theirs));
}

static void same_vias(const struct sip_msg *ours, osip_message_t *theirs, const char *text) {
    struct sip_list list = sip_list_of(ours, SIP_H_VIA);
    struct sip_via via;
    int count = 0;
    while (sip_via_next(&list, &via)) {
        osip_via_t *other = osip_list_get(&theirs->vias, count++);
        osip_generic_param_t *branch = NULL, *received = NULL;
        assert_non_null(other);
        struct span host = via.host;
        if (host.p[0] == '[') {
            host = span_slice(host, 1, host.n - 1);
        }
        same(via.transport, other->protocol, "transport", text);
        same(host, other->host, "Via host", text);
        osip_via_param_get_byname(other, (char[]){"branch"}, &branch);
        same(via.branch, branch ? branch->gvalue : NULL, "branch", text);
        osip_via_param_get_byname(other, (char[]){"received"}, &received);
        same(via.received, received ? received->gvalue : NULL, "received", text);
    }
    assert_int_equal(count, osip_list_size(&theirs->vias));
}

static void compare(const struct sip_msg *ours, osip_message_t *theirs, const char *text) {
    char number[16];
    if (ours->is_request) {
        same(ours->method_name, theirs->sip_method, "method", text);
        same_uri(&ours->uri, theirs->req_uri, text);
    } else {
        assert_int_equal(ours->status, theirs->status_code);
        same(ours->reason, theirs->reason_phrase, "reason", text);
    }
    snprintf(number, sizeof number, "%u", ours->cseq);
    same(span_from_cstr(number), theirs->cseq->number, "CSeq", text);
    struct span host = ours->call_id;
    struct span call = span_cut(&host, '@');
    same(call, theirs->call_id->number, "Call-ID", text);
    same(host, theirs->call_id->host, "Call-ID host", text);
    same_tag(ours->from_tag, theirs->from, text);
    same_tag(ours->to_tag, theirs->to, text);
    same_vias(ours, theirs, text);
    same_addresses(ours, SIP_H_ROUTE, &theirs->routes, text);
    same_addresses(ours, SIP_H_CONTACT, &theirs->contacts, text);
    osip_body_t *body = osip_list_get(&theirs->bodies, 0);
    same(ours->body, body ? body->body : NULL, "body", text);
}

static void both_understand_the_same(void **state) {
    (void)state;
    struct chunk_pool pool;
    chunk_pool_init(&pool, 8192, 4);
    struct sip_limits limits = sip_limits_default();
    struct writer w = {.seed = 1};
    char text[MESSAGE_MAX], bytes[MESSAGE_MAX];
    parser_init();
    for (unsigned i = 0; i < MESSAGES; i++) {
        w.b = buf_init(text, sizeof text - 1);
        bool is_request = put_message(&w);
        assert_false(w.b.overflow);
        text[w.b.n] = '\0';
        memcpy(bytes, text, w.b.n);
        struct arena arena = arena_init(&pool);
        struct sip_msg *ours;
        struct sip_fault fault;
        if (sip_parse(&arena, bytes, w.b.n, &limits, &ours, &fault) != OK) {
            fail_msg("%s:\n%s", fault.reason, text);
        }
        assert_int_equal(ours->is_request, is_request);
        osip_message_t *theirs;
        assert_int_equal(osip_message_init(&theirs), 0);
        if (osip_message_parse(theirs, text, w.b.n) != 0) {
            fail_msg("libosip2 refuses\n%s", text);
        }
        compare(ours, theirs, text);
        osip_message_free(theirs);
        arena_release(&arena);
    }
    chunk_pool_free(&pool);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_understand_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
