/* Fuzzes the SIP codec: whatever the bytes, nothing is read beyond them, and what is taken can be
 * written again and means the same. libFuzzer: clang -fsanitize=fuzzer,address,undefined; the
 * corpus is replayed as a unit test (test_fuzz_sip.c). */
#include "codec/sip/build.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static void read_addresses(const struct sip_msg *msg, char *room, size_t cap) {
    for (unsigned id = 0; id < SIP_H_OTHER; id++) {
        struct sip_list list = sip_list_of(msg, (enum sip_header_id)id);
        struct sip_address address;
        while (sip_address_next(&list, &address)) {
            struct buf b = buf_init(room, cap);
            sip_uri_put_canonical(&b, &address.uri);
            struct sip_uri again;
            MUST(address.star || sip_uri_equal(&address.uri, &address.uri));
            if (!address.star && !b.overflow) {
                MUST(sip_uri_parse(buf_span(&b), &again) == OK);
            }
        }
    }
}

static void read_values(const struct sip_msg *msg) {
    for (unsigned i = 0; i < msg->n_headers; i++) {
        struct span value = msg->headers[i].value, network, params;
        struct sip_auth auth;
        struct sip_security security;
        struct sip_retry_after after;
        struct sip_reason reason;
        struct sip_warning warning;
        struct sip_charging_vector vector;
        struct sip_charging_functions functions;
        struct sip_access_network access;
        struct sip_event event;
        struct sip_via via;
        (void)!sip_auth_parse(value, &auth);
        (void)!sip_auth_info_parse(value, &auth);
        (void)!sip_security_parse(value, &security);
        (void)!sip_retry_after_parse(value, &after);
        (void)!sip_reason_parse(value, &reason);
        (void)!sip_warning_parse(value, &warning);
        (void)!sip_charging_vector_parse(value, &vector);
        (void)!sip_charging_functions_parse(value, &functions);
        (void)!sip_access_network_parse(value, &access);
        (void)!sip_visited_network_parse(value, &network, &params);
        (void)!sip_event_parse(value, &event);
        (void)!sip_via_parse(value, &via);
    }
    struct sip_list list = sip_list_of(msg, SIP_H_CONTACT);
    struct sip_contact contact;
    while (sip_contact_next(&list, &contact)) {
    }
}

/* Forwards a message, reads it again, and looks whether it is the same. */
static void write_again(struct arena *arena, const struct sip_msg *msg, char *room, size_t cap) {
    const struct addr from = addr_v4(192, 0, 2, 1, 5060);
    struct buf b = buf_init(room, cap);
    struct sip_limits limits = sip_limits_default();
    struct sip_msg *again;
    struct sip_fault fault;
    limits.line_max = limits.message_max = cap;
    if (msg->is_request) {
        sip_put_request_line(&b, msg->method_name, msg->request_uri);
    } else {
        sip_put_status_line(&b, msg->status, msg->reason);
    }
    sip_put_edited(&b, msg, NULL);
    sip_put_body(&b, msg->body);
    MUST(!b.overflow);
    MUST(sip_parse(arena, room, b.n, &limits, &again, &fault) == OK);
    MUST(again->cseq == msg->cseq && again->method == msg->method);
    MUST(span_eq(again->body, msg->body) && span_eq(again->call_id, msg->call_id));
    MUST(span_eq(again->from_tag, msg->from_tag) && span_eq(again->to_tag, msg->to_tag));
    MUST(span_eq(again->via.branch, msg->via.branch));
    b = buf_init(room, cap);
    sip_put_via_stamped(&b, &msg->via, &from, 30);
    struct sip_via via;
    MUST(sip_via_parse(buf_span(&b), &via) == OK && span_eq(via.branch, msg->via.branch));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct sip_limits limits = sip_limits_default();
    if (size > limits.message_max) {
        return 0;
    }
    struct chunk_pool pool;
    chunk_pool_init(&pool, 8192, 0);
    struct arena arena = arena_init(&pool);
    size_t cap = size * 2 + 4096;
    char *bytes = malloc(size ? size : 1), *room = malloc(cap);
    MUST(bytes && room);
    if (size) {
        memcpy(bytes, data, size);
    }
    struct sip_msg *msg;
    struct sip_fault fault;
    enum error e = sip_parse(&arena, bytes, size, &limits, &msg, &fault);
    MUST(fault.reason != NULL);
    if (e == OK) {
        read_addresses(msg, room, cap);
        read_values(msg);
        write_again(&arena, msg, room, cap);
    } else if (fault.status) {
        struct buf b = buf_init(room, cap);
        sip_put_reply(&b, msg, fault.status, span_from_cstr(fault.reason), SPAN("tag"));
        sip_put_body(&b, SPAN_NONE);
        MUST(!b.overflow);
    }
    arena_release(&arena);
    chunk_pool_free(&pool);
    free(bytes);
    free(room);
    return 0;
}
