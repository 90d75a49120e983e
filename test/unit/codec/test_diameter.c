/* covers: HB2 HB3 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "codec/diameter/diameter.h"
#include "spec/cx.h"

#include <stdlib.h>

struct fixture {
    struct chunk_pool pool;
    struct arena arena;
    char *room;
    struct buf buf;
    struct diameter_builder b;
    struct diameter_fault fault;
    struct diameter_msg msg;
};

enum { ROOM = 256 * 1024 };

static int begin(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    chunk_pool_init(&f->pool, 4096, 16);
    f->arena = arena_init(&f->pool);
    f->room = malloc(ROOM);
    assert_non_null(f->room);
    f->buf = buf_init(f->room, ROOM);
    *state = f;
    return 0;
}

static int end(void **state) {
    struct fixture *f = *state;
    arena_release(&f->arena);
    chunk_pool_free(&f->pool);
    free(f->room);
    free(f);
    return 0;
}

/* Starts over: an empty buffer and arena. */
static void again(struct fixture *f) {
    arena_release(&f->arena);
    f->buf = buf_init(f->room, ROOM);
    memset(&f->fault, 0, sizeof f->fault);
}

static void start(struct fixture *f, const struct diameter_layout *l) {
    again(f);
    diameter_begin(&f->b, &f->buf, NULL, l->flags, l->command, l->application, 0x11223344,
                   0x55667788);
}

/* Ends and parses what was built, in memory of its exact size so that overreads are seen. */
static enum error finish(struct fixture *f) {
    assert_int_equal(diameter_end(&f->b), OK);
    char *exact = arena_alloc(&f->arena, f->buf.n);
    assert_non_null(exact);
    memcpy(exact, f->buf.p, f->buf.n);
    return diameter_msg_parse(span_of(exact, f->buf.n), &f->msg, &f->fault);
}

static const struct cx_uar sample_uar = {
    .session_id = SPAN_INIT("icscf.example.org;1;2"),
    .origin_host = SPAN_INIT("icscf.example.org"),
    .origin_realm = SPAN_INIT("example.org"),
    .destination_realm = SPAN_INIT("example.org"),
    .user_name = SPAN_INIT("alice@example.org"),
    .public_identity = SPAN_INIT("sip:alice@example.org"),
    .visited_network_identifier = SPAN_INIT("visited.example.net"),
    .has_user_authorization_type = true,
    .user_authorization_type = CX_USER_AUTHORIZATION_TYPE_REGISTRATION_AND_CAPABILITIES,
};

static const struct diameter_layout *uar_layout(void) {
    return diameter_layout_find(CX_APPLICATION, CX_COMMAND_USER_AUTHORIZATION, true);
}

static void a_uar_arrives_as_it_was_sent(void **state) {
    struct fixture *f = *state;
    start(f, uar_layout());
    cx_uar_encode(&f->b, &sample_uar);
    assert_int_equal(finish(f), OK);
    assert_true(diameter_msg_is_request(&f->msg));
    assert_int_equal(f->msg.command, 300);
    assert_int_equal(f->msg.application, 16777216);
    assert_int_equal(f->msg.hop_by_hop, 0x11223344);
    assert_int_equal(f->msg.end_to_end, 0x55667788);
    assert_true(span_eq(f->msg.session_id, sample_uar.session_id));
    assert_true(span_eq(f->msg.destination_realm, SPAN("example.org")));
    assert_null(f->msg.destination_host.p);
    struct cx_uar uar;
    assert_int_equal(cx_uar_decode(&f->arena, &f->msg, &uar, &f->fault), OK);
    assert_true(span_eq(uar.user_name, sample_uar.user_name));
    assert_true(span_eq(uar.public_identity, sample_uar.public_identity));
    assert_true(span_eq(uar.visited_network_identifier, sample_uar.visited_network_identifier));
    assert_true(uar.has_user_authorization_type);
    assert_int_equal(uar.user_authorization_type, 2);
    assert_false(uar.has_uar_flags);
    assert_int_equal(uar.n_supported_features, 0);
    assert_null(uar.destination_host.p);
}

static void bytes_are_those_of_the_standard(void **state) {
    struct fixture *f = *state;
    again(f);
    diameter_begin(&f->b, &f->buf, NULL, DIAMETER_REQUEST, 280, 0, 1, 2);
    struct diameter_dwr dwr = {.origin_host = SPAN("a.b"), .origin_realm = SPAN("b")};
    diameter_dwr_encode(&f->b, &dwr);
    diameter_put_u32(&f->b, CX_AVP_UAR_FLAGS, DIAMETER_VENDOR_3GPP, false, 1);
    assert_int_equal(diameter_end(&f->b), OK);
    static const uint8_t expected[60] = {
        1, 0, 0,    60,   0x80, 0, 1, 24, 0,   0,   0,    0,    0, 0, 0, 1, 0, 0, 0, 2, /* */
        0, 0, 1,    8,    0x40, 0, 0, 11, 'a', '.', 'b',  0,                            /* */
        0, 0, 1,    40,   0x40, 0, 0, 9,  'b', 0,   0,    0,                            /* */
        0, 0, 0x02, 0x7d, 0x80, 0, 0, 16, 0,   0,   0x28, 0xaf, 0, 0, 0, 1,
    };
    assert_int_equal(f->buf.n, sizeof expected);
    assert_memory_equal(f->buf.p, expected, sizeof expected);
}

static void the_envelope_fills_what_the_struct_leaves_empty(void **state) {
    struct fixture *f = *state;
    again(f);
    const struct diameter_envelope envelope = {
        .session_id = SPAN("s"),
        .origin_host = SPAN("hss.example.org"),
        .origin_realm = SPAN("example.org"),
    };
    diameter_begin(&f->b, &f->buf, &envelope, DIAMETER_PROXIABLE, 300, CX_APPLICATION, 1, 1);
    struct cx_uaa uaa = {.result = DIAMETER_3GPP_RESULT(DIAMETER_FIRST_REGISTRATION),
                         .origin_realm = SPAN("other.org")};
    cx_uaa_encode(&f->b, &uaa);
    assert_int_equal(finish(f), OK);
    assert_true(span_eq(f->msg.session_id, SPAN("s")));
    assert_true(span_eq(f->msg.origin_host, SPAN("hss.example.org")));
    assert_true(span_eq(f->msg.origin_realm, SPAN("other.org")));
    assert_int_equal(f->msg.result.vendor, DIAMETER_VENDOR_3GPP);
    assert_int_equal(f->msg.result.code, 2001);
    assert_string_equal(diameter_result_name(f->msg.result), "DIAMETER_FIRST_REGISTRATION");
    assert_int_equal(cx_uaa_decode(&f->arena, &f->msg, &uaa, &f->fault), OK);
    assert_int_equal(uaa.result.code, 2001);
}

/* Fills every field of a struct, by its layout, with something its type allows. */
static void fill(struct fixture *f, const struct diameter_layout *l, char *out, unsigned n);

static void fill_value(struct fixture *f, const struct diameter_def *def, char *out, unsigned n) {
    static const char text[] = "name-0123456789.example";
    struct span span = span_of(text, 5 + n % 10);
    uint32_t u32 = n + 1;
    uint64_t u64 = UINT64_C(1) << 40 | n;
    int64_t seconds = 1800000000 + n;
    struct addr addr = addr_v4(192, 0, 2, (uint8_t)n, 0);
    if (def->group) {
        fill(f, def->group, out, n);
        return;
    }
    if (def->vendor == 0 && def->code == DIAMETER_AVP_FRAMED_IP_ADDRESS) {
        span = SPAN("\300\0\2\1");
    } else if (def->vendor == 0 && def->code == DIAMETER_AVP_FRAMED_IPV6_PREFIX) {
        span = SPAN("\0\100\40\1\15\270\0\0\0\0\0\0\0\0\0\0\0\0");
    }
    switch (def->type) {
    case DIAMETER_ENUM:
        u32 = def->values[n % def->n_values].value;
        memcpy(out, &u32, sizeof u32);
        break;
    case DIAMETER_U32:
        memcpy(out, &u32, sizeof u32);
        break;
    case DIAMETER_U64:
        memcpy(out, &u64, sizeof u64);
        break;
    case DIAMETER_TIME:
        memcpy(out, &seconds, sizeof seconds);
        break;
    case DIAMETER_ADDRESS:
        addr.family = n % 2 ? 6 : 4;
        memcpy(out, &addr, sizeof addr);
        break;
    case DIAMETER_GROUP: /* any AVPs */
        span = span_of("\0\0\1\14\100\0\0\14\0\0\7\321", 12);
        memcpy(out, &span, sizeof span);
        break;
    default:
        memcpy(out, &span, sizeof span);
        break;
    }
}

static void fill(struct fixture *f, const struct diameter_layout *l, char *out, unsigned n) {
    memset(out, 0, l->size);
    for (unsigned i = 0; i < l->n_fields; i++) {
        const struct diameter_field *field = &l->fields[i];
        const struct diameter_def *def = field->def;
        struct diameter_result result = {n % 2 ? DIAMETER_VENDOR_3GPP : 0, 2001};
        bool flagged = def->type >= DIAMETER_U32 && def->type <= DIAMETER_TIME;
        char *at = out + field->offset;
        unsigned many = field->max < 3 ? field->max : 3;
        switch (field->kind) {
        case DIAMETER_FIELD_RESULT:
            memcpy(at, &result, sizeof result);
            break;
        case DIAMETER_FIELD_MANY:
        case DIAMETER_FIELD_OPTIONAL:
            if ((i + n) % 3 == 0 && field->min == 0) {
                continue; /* each is absent in every third message */
            }
            if (field->kind == DIAMETER_FIELD_MANY) {
                char *array = arena_zalloc(&f->arena, (size_t)many * field->size);
                assert_non_null(array);
                for (unsigned k = 0; k < many; k++) {
                    fill_value(f, def, array + (size_t)k * field->size, n + k);
                }
                memcpy(at, &array, sizeof array);
                memcpy(out + field->aside, &many, sizeof many);
                break;
            }
            if (def->group) {
                char *group = arena_zalloc(&f->arena, field->size);
                assert_non_null(group);
                fill_value(f, def, group, n);
                memcpy(at, &group, sizeof group);
                break;
            }
            if (flagged) {
                out[field->aside] = true;
            }
            fill_value(f, def, at, n);
            break;
        case DIAMETER_FIELD_ONE:
            fill_value(f, def, at, n);
            break;
        default:
            break;
        }
    }
}

static void round_trip(struct fixture *f, const struct diameter_layout *l, unsigned n) {
    static char value[4096], decoded[4096];
    static char first[ROOM];
    assert_true(l->size <= sizeof value);
    start(f, l);
    fill(f, l, value, n);
    diameter_encode(l, &f->b, value);
    assert_int_equal(diameter_end(&f->b), OK);
    size_t n_first = f->buf.n;
    memcpy(first, f->buf.p, n_first);
    assert_int_equal(diameter_msg_parse(span_of(first, n_first), &f->msg, &f->fault), OK);
    enum error e = diameter_decode(l, &f->arena, &f->msg, decoded, &f->fault);
    if (e) {
        print_error("%s: %u %s\n", l->brief, f->fault.result_code, f->fault.text);
    }
    assert_int_equal(e, OK);
    f->buf = buf_init(f->room, ROOM);
    diameter_begin(&f->b, &f->buf, NULL, l->flags, l->command, l->application, 0x11223344,
                   0x55667788);
    diameter_encode(l, &f->b, decoded);
    assert_int_equal(diameter_end(&f->b), OK);
    assert_int_equal(f->buf.n, n_first);
    assert_memory_equal(f->buf.p, first, n_first);
}

static void every_message_survives_a_round_trip(void **state) {
    struct fixture *f = *state;
    static const struct {
        uint32_t application, command;
    } commands[] = {
        {CX_APPLICATION, 300},
        {CX_APPLICATION, 301},
        {CX_APPLICATION, 302},
        {CX_APPLICATION, 303},
        {CX_APPLICATION, 304},
        {CX_APPLICATION, 305},
        {0, 257},
        {0, 280},
        {0, 282},
    };
    for (size_t i = 0; i < COUNT_OF(commands); i++) {
        for (int request = 0; request < 2; request++) {
            const struct diameter_layout *l =
                diameter_layout_find(commands[i].application, commands[i].command, request);
            assert_non_null(l);
            for (unsigned n = 0; n < 12; n++) {
                round_trip(f, l, n);
            }
        }
    }
    assert_null(diameter_layout_find(CX_APPLICATION, 999, true));
}

static void each_missing_avp_is_named(void **state) {
    struct fixture *f = *state;
    static const uint32_t commands[] = {300, 301, 302, 303, 304, 305};
    for (size_t i = 0; i < COUNT_OF(commands); i++) {
        const struct diameter_layout *l = diameter_layout_find(CX_APPLICATION, commands[i], true);
        for (unsigned skip = 0; skip < l->n_fields; skip++) {
            const struct diameter_field *field = &l->fields[skip];
            if (field->min == 0) {
                continue;
            }
            static char value[4096], decoded[4096], whole[ROOM];
            start(f, l);
            fill(f, l, value, 1);
            diameter_encode(l, &f->b, value);
            assert_int_equal(diameter_end(&f->b), OK);
            size_t n_whole = f->buf.n;
            memcpy(whole, f->buf.p, n_whole);
            f->buf = buf_init(f->room, ROOM);
            diameter_begin(&f->b, &f->buf, NULL, l->flags, l->command, l->application, 1, 1);
            struct diameter_iter it = diameter_iter_init(span_of(whole + 20, n_whole - 20));
            struct diameter_avp a;
            while (diameter_next(&it, &a)) {
                if (a.code != field->def->code || a.vendor != field->def->vendor) {
                    diameter_put(&f->b, a.code, a.vendor, a.flags & DIAMETER_AVP_MANDATORY,
                                 a.value);
                }
            }
            assert_int_equal(finish(f), OK);
            assert_int_equal(diameter_decode(l, &f->arena, &f->msg, decoded, &f->fault),
                             ERR_MALFORMED);
            assert_int_equal(f->fault.result_code, DIAMETER_MISSING_AVP);
            it = diameter_iter_init(diameter_fault_avp(&f->fault));
            it.end = it.at + ((size_t)(it.end - it.at) + 3) / 4 * 4;
            assert_true(diameter_next(&it, &a));
            assert_int_equal(a.code, field->def->code);
            assert_int_equal(a.vendor, field->def->vendor);
        }
    }
}

/* Appends the AVPs of a whole UAR, then one more thing. */
static void start_uar(struct fixture *f) {
    start(f, uar_layout());
    cx_uar_encode(&f->b, &sample_uar);
}

static void expect_fault(struct fixture *f, uint32_t code, uint32_t avp) {
    struct cx_uar uar;
    enum error e = finish(f);
    if (!e) {
        e = cx_uar_decode(&f->arena, &f->msg, &uar, &f->fault);
    }
    assert_int_equal(e, ERR_MALFORMED);
    assert_int_equal(f->fault.result_code, code);
    assert_non_null(f->fault.text);
    struct span bytes = diameter_fault_avp(&f->fault);
    if (avp) {
        assert_true(bytes.n >= 8);
        uint32_t be;
        memcpy(&be, bytes.p, 4);
        assert_int_equal(__builtin_bswap32(be), avp);
    } else {
        assert_int_equal(bytes.n, 0);
    }
    /* The answer that reports it is itself well-formed. */
    f->buf.n = 0;
    diameter_begin(&f->b, &f->buf, NULL, 0, 300, CX_APPLICATION, 1, 1);
    diameter_put_fault(&f->b, &f->fault);
    assert_int_equal(diameter_end(&f->b), OK);
    struct diameter_msg msg;
    struct diameter_fault none;
    assert_int_equal(diameter_msg_parse(buf_span(&f->buf), &msg, &none), OK);
    assert_int_equal(msg.result.code, code);
}

static void put_bad_length(struct fixture *f, uint32_t code, uint8_t flags, uint32_t length) {
    uint32_t words[2] = {__builtin_bswap32(code),
                         __builtin_bswap32((uint32_t)flags << 24 | length)};
    buf_bytes(&f->buf, words, sizeof words);
}

static void malformed_avps_get_the_result_that_is_due(void **state) {
    struct fixture *f = *state;
    const uint32_t v = DIAMETER_VENDOR_3GPP;
    /* Lengths: below the header, beyond the message, below the vendor's header, padding missing. */
    static const struct {
        uint8_t flags;
        uint32_t length;
    } lengths[] = {{0, 0}, {0, 7}, {0, 9}, {0, 0xffffff}, {0x80, 8}, {0x80, 11}, {0x80, 12}};
    for (size_t i = 0; i < COUNT_OF(lengths); i++) {
        start_uar(f);
        put_bad_length(f, DIAMETER_AVP_CLASS, lengths[i].flags, lengths[i].length);
        expect_fault(f, DIAMETER_INVALID_AVP_LENGTH, DIAMETER_AVP_CLASS);
    }
    /* A header cut short. */
    start_uar(f);
    buf_bytes(&f->buf, "\0\0\1\7", 4);
    expect_fault(f, DIAMETER_INVALID_AVP_LENGTH, 263);
    /* The last one in a group not padded. */
    start_uar(f);
    put_bad_length(f, DIAMETER_AVP_FAILED_AVP, 0x40, 17);
    buf_bytes(&f->buf, "\0\0\0\31\100\0\0\11x\0\0\0", 12);
    expect_fault(f, DIAMETER_INVALID_AVP_LENGTH, DIAMETER_AVP_CLASS);
    /* Wrong length for the type. */
    start_uar(f);
    diameter_put(&f->b, CX_AVP_UAR_FLAGS, v, false, SPAN("abcde"));
    expect_fault(f, DIAMETER_INVALID_AVP_LENGTH, CX_AVP_UAR_FLAGS);
    /* Unknown, M bit; 3GPP's and nobody's. */
    start_uar(f);
    diameter_put(&f->b, 61234, v, true, SPAN("x"));
    expect_fault(f, DIAMETER_AVP_UNSUPPORTED, 61234);
    start_uar(f);
    diameter_put(&f->b, 61234, 0, true, SPAN("x"));
    expect_fault(f, DIAMETER_AVP_UNSUPPORTED, 61234);
    /* A known code without its vendor is another AVP. */
    start_uar(f);
    diameter_put(&f->b, CX_AVP_PUBLIC_IDENTITY, 0, true, SPAN("x"));
    expect_fault(f, DIAMETER_AVP_UNSUPPORTED, CX_AVP_PUBLIC_IDENTITY);
    /* Twice. */
    start_uar(f);
    diameter_put(&f->b, DIAMETER_AVP_USER_NAME, 0, true, SPAN("eve"));
    expect_fault(f, DIAMETER_AVP_OCCURS_TOO_MANY_TIMES, DIAMETER_AVP_USER_NAME);
    start_uar(f);
    for (int i = 0; i < 33; i++) {
        diameter_put(&f->b, DIAMETER_AVP_ROUTE_RECORD, 0, true, SPAN("a.b"));
    }
    expect_fault(f, DIAMETER_AVP_OCCURS_TOO_MANY_TIMES, DIAMETER_AVP_ROUTE_RECORD);
    /* Not allowed by TS 29.229 5.3. */
    start_uar(f);
    diameter_put_u32(&f->b, DIAMETER_AVP_SESSION_TIMEOUT, 0, true, 1);
    expect_fault(f, DIAMETER_AVP_NOT_ALLOWED, DIAMETER_AVP_SESSION_TIMEOUT);
    /* A group whose member is broken, missing, or too long. */
    start_uar(f);
    diameter_open(&f->b, CX_AVP_SUPPORTED_FEATURES, v, true);
    put_bad_length(f, DIAMETER_AVP_VENDOR_ID, 0x40, 100);
    diameter_close(&f->b);
    expect_fault(f, DIAMETER_INVALID_AVP_LENGTH, DIAMETER_AVP_VENDOR_ID);
    start_uar(f);
    diameter_open(&f->b, CX_AVP_SUPPORTED_FEATURES, v, true);
    diameter_put_u32(&f->b, DIAMETER_AVP_VENDOR_ID, 0, true, v);
    diameter_put_u32(&f->b, CX_AVP_FEATURE_LIST, v, false, 1);
    diameter_close(&f->b);
    expect_fault(f, DIAMETER_MISSING_AVP, CX_AVP_FEATURE_LIST_ID);
}

static void wrong_values_get_5004(void **state) {
    struct fixture *f = *state;
    static const struct {
        struct span user_name, origin_host;
        uint32_t type, avp;
    } cases[] = {
        {SPAN_INIT("a\xc0\x80"), SPAN_INIT("a.b"), 0, DIAMETER_AVP_USER_NAME},
        {SPAN_INIT("a\xe0\x9f\xbf"), SPAN_INIT("a.b"), 0, DIAMETER_AVP_USER_NAME},
        {SPAN_INIT("a\xed\xa0\x80"), SPAN_INIT("a.b"), 0, DIAMETER_AVP_USER_NAME},
        {SPAN_INIT("a\xf5\x80\x80\x80"), SPAN_INIT("a.b"), 0, DIAMETER_AVP_USER_NAME},
        {SPAN_INIT("a\xe2\x82"), SPAN_INIT("a.b"), 0, DIAMETER_AVP_USER_NAME},
        {SPAN_INIT("a"), SPAN_INIT("a b"), 0, DIAMETER_AVP_ORIGIN_HOST},
        {SPAN_INIT("a"), SPAN_INIT("a\n"), 0, DIAMETER_AVP_ORIGIN_HOST},
        {SPAN_INIT("a"), SPAN_INIT("a.b"), 3, CX_AVP_USER_AUTHORIZATION_TYPE},
        {SPAN_INIT("a"), SPAN_INIT("a.b"), UINT32_MAX, CX_AVP_USER_AUTHORIZATION_TYPE},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct cx_uar uar = sample_uar;
        uar.user_name = cases[i].user_name;
        uar.origin_host = cases[i].origin_host;
        uar.user_authorization_type = cases[i].type;
        start(f, uar_layout());
        cx_uar_encode(&f->b, &uar);
        expect_fault(f, DIAMETER_INVALID_AVP_VALUE, cases[i].avp);
    }
    struct cx_uar fine = sample_uar;
    fine.user_name = SPAN("\xe2\x82\xac\xf0\x9f\x98\x80\xc3\xa9");
    start(f, uar_layout());
    cx_uar_encode(&f->b, &fine);
    assert_int_equal(finish(f), OK);
    assert_int_equal(cx_uar_decode(&f->arena, &f->msg, &fine, &f->fault), OK);
}

static void unknown_avps_without_the_m_bit_are_skipped(void **state) {
    struct fixture *f = *state;
    start_uar(f);
    diameter_put(&f->b, 61234, 77, false, SPAN("whatever"));
    diameter_put(&f->b, DIAMETER_AVP_CLASS, 0, true, SPAN("known, not in the format"));
    struct cx_uar uar;
    assert_int_equal(finish(f), OK);
    assert_int_equal(cx_uar_decode(&f->arena, &f->msg, &uar, &f->fault), OK);
}

static void headers_are_checked(void **state) {
    struct fixture *f = *state;
    start_uar(f);
    assert_int_equal(diameter_end(&f->b), OK);
    size_t n = f->buf.n, length = 0;
    struct span whole = buf_span(&f->buf);
    assert_int_equal(diameter_frame(whole, 4096, &length), OK);
    assert_int_equal(length, n);
    for (size_t cut = 0; cut < n; cut++) {
        assert_int_equal(diameter_frame(span_of(whole.p, cut), 4096, &length), ERR_INCOMPLETE);
        assert_int_equal(diameter_msg_parse(span_of(whole.p, cut), &f->msg, &f->fault),
                         ERR_MALFORMED);
        assert_int_equal(f->fault.result_code, DIAMETER_INVALID_MESSAGE_LENGTH);
    }
    assert_int_equal(diameter_frame(whole, n - 1, &length), ERR_MALFORMED);
    assert_int_equal(diameter_frame(SPAN("\1\0\0\20"), 4096, &length), ERR_MALFORMED);
    assert_int_equal(diameter_frame(SPAN("\1\0\0\0"), 4096, &length), ERR_MALFORMED);
    assert_int_equal(diameter_frame(SPAN("\1\0\0\26"), 4096, &length), ERR_MALFORMED);
    assert_int_equal(diameter_frame(SPAN("GET / HTTP/1.1\r\n"), 1 << 20, &length), ERR_MALFORMED);
    f->buf.p[0] = 2;
    assert_int_equal(diameter_msg_parse(whole, &f->msg, &f->fault), ERR_MALFORMED);
    assert_int_equal(f->fault.result_code, DIAMETER_UNSUPPORTED_VERSION);
    assert_int_equal(f->msg.command, 300);
    f->buf.p[0] = 1;
    f->buf.p[4] |= DIAMETER_ERROR;
    assert_int_equal(diameter_msg_parse(whole, &f->msg, &f->fault), ERR_MALFORMED);
    assert_int_equal(f->fault.result_code, DIAMETER_INVALID_HDR_BITS);
    f->buf.p[4] = (char)(DIAMETER_REQUEST | DIAMETER_PROXIABLE | 0x0f);
    assert_int_equal(diameter_msg_parse(whole, &f->msg, &f->fault), OK);
    struct cx_uaa uaa;
    assert_int_equal(cx_uaa_decode(&f->arena, &f->msg, &uaa, &f->fault), ERR_MALFORMED);
    assert_int_equal(f->fault.result_code, DIAMETER_COMMAND_UNSUPPORTED);
}

/* Proxy-Info in Proxy-Info in ...: a group that the dictionary knows and UAA's formats do not
 * bound. */
static void put_nested(struct fixture *f, unsigned depth) {
    size_t n = (size_t)depth * 8;
    for (unsigned i = 0; i < depth; i++) {
        put_bad_length(f, DIAMETER_AVP_REDIRECT_HOST_USAGE + 18, 0x40, (uint32_t)(n - 8 * i));
    }
}

static void groups_nest_to_a_fixed_depth(void **state) {
    struct fixture *f = *state;
    struct cx_uar uar;
    assert_int_equal(DIAMETER_AVP_REDIRECT_HOST_USAGE + 18, DIAMETER_AVP_FAILED_AVP);
    start_uar(f);
    put_nested(f, 16);
    assert_int_equal(finish(f), OK);
    assert_int_equal(cx_uar_decode(&f->arena, &f->msg, &uar, &f->fault), OK);
    static const unsigned depths[] = {17, 100, 25000};
    for (size_t i = 0; i < COUNT_OF(depths); i++) {
        start_uar(f);
        put_nested(f, depths[i]);
        expect_fault(f, DIAMETER_INVALID_AVP_VALUE, DIAMETER_AVP_FAILED_AVP);
    }
    /* 50,000 deep, printed: no stack is used up. */
    static char room[600000], text[4096];
    f->buf = buf_init(room, sizeof room);
    diameter_begin(&f->b, &f->buf, NULL, DIAMETER_REQUEST, 300, CX_APPLICATION, 1, 1);
    cx_uar_encode(&f->b, &sample_uar);
    put_nested(f, 50000);
    assert_int_equal(diameter_end(&f->b), OK);
    assert_int_equal(diameter_msg_parse(buf_span(&f->buf), &f->msg, &f->fault), OK);
    assert_int_equal(cx_uar_decode(&f->arena, &f->msg, &uar, &f->fault), ERR_MALFORMED);
    struct buf out = buf_init(text, sizeof text);
    diameter_print(&out, &f->msg);
    assert_false(out.overflow);
    f->buf = buf_init(f->room, ROOM);
    for (int i = 0; i < 17; i++) {
        diameter_open(&f->b, DIAMETER_AVP_FAILED_AVP, 0, true);
    }
    f->b.buf = &f->buf;
    assert_int_equal(diameter_end(&f->b), ERR_TOO_BIG);
}

static void answers_are_held_to_their_format_only_if_they_succeed(void **state) {
    struct fixture *f = *state;
    struct cx_saa saa;
    for (int variant = 0; variant < 4; variant++) {
        again(f);
        diameter_begin(&f->b, &f->buf, NULL, DIAMETER_ERROR, 301, CX_APPLICATION, 1, 1);
        if (variant < 3) {
            diameter_put_result(&f->b, variant == 0   ? DIAMETER_RESULT(DIAMETER_TOO_BUSY)
                                       : variant == 1 ? DIAMETER_3GPP_RESULT(5001)
                                                      : DIAMETER_RESULT(DIAMETER_SUCCESS));
        }
        assert_int_equal(finish(f), OK);
        assert_int_equal(cx_saa_decode(&f->arena, &f->msg, &saa, &f->fault),
                         variant < 2 ? OK : ERR_MALFORMED);
        if (variant >= 2) {
            assert_int_equal(f->fault.result_code, DIAMETER_MISSING_AVP);
        }
    }
    again(f);
    diameter_begin(&f->b, &f->buf, NULL, 0, 301, CX_APPLICATION, 1, 1);
    diameter_put_result(&f->b, DIAMETER_RESULT(DIAMETER_SUCCESS));
    diameter_put_result(&f->b, DIAMETER_3GPP_RESULT(2001));
    assert_int_equal(finish(f), OK);
    assert_int_equal(cx_saa_decode(&f->arena, &f->msg, &saa, &f->fault), ERR_MALFORMED);
    assert_int_equal(f->fault.result_code, DIAMETER_AVP_OCCURS_TOO_MANY_TIMES);
}

static void printing_hides_secrets_and_escapes(void **state) {
    struct fixture *f = *state;
    const struct cx_sip_auth_data_item item = {
        .sip_authentication_scheme = SPAN("Digest-AKAv1-MD5"),
        .sip_authenticate = SPAN("\x01\x02"),
        .sip_authorization = SPAN("XRESXRES"),
        .confidentiality_key = SPAN("CKCKCKCKCKCKCKCK"),
        .integrity_key = SPAN("IKIKIKIKIKIKIKIK"),
    };
    struct cx_maa maa = {
        .session_id = SPAN("s"),
        .result = DIAMETER_RESULT(DIAMETER_SUCCESS),
        .origin_host = SPAN("hss"),
        .origin_realm = SPAN("r"),
        .user_name = SPAN("al\nice"),
        .sip_auth_data_item = &item,
        .n_sip_auth_data_item = 1,
    };
    again(f);
    diameter_begin(&f->b, &f->buf, NULL, DIAMETER_PROXIABLE, 303, CX_APPLICATION, 1, 1);
    cx_maa_encode(&f->b, &maa);
    diameter_put(&f->b, 999, 7, false, SPAN("\xff"));
    assert_int_equal(finish(f), OK);
    char text[2048];
    struct buf out = buf_init(text, sizeof text - 1);
    diameter_print(&out, &f->msg);
    assert_false(out.overflow);
    text[out.n] = '\0';
    assert_string_equal(
        text, "MAA 16777216/303 DIAMETER_SUCCESS Session-Id=\"s\" Vendor-Specific-Application-Id={ "
              "Vendor-Id=10415 Auth-Application-Id=16777216 } Result-Code=2001 "
              "Auth-Session-State=NO_STATE_MAINTAINED Origin-Host=\"hss\" Origin-Realm=\"r\" "
              "User-Name=\"al\\x0aice\" SIP-Auth-Data-Item={ "
              "SIP-Authentication-Scheme=\"Digest-AKAv1-MD5\" SIP-Authenticate=0x0102 "
              "SIP-Authorization=*** Confidentiality-Key=*** Integrity-Key=*** } 7/999=0xff");
}

static void a_full_buffer_is_noticed(void **state) {
    struct fixture *f = *state;
    start_uar(f);
    size_t needed = f->buf.n;
    for (size_t cap = 0; cap < needed; cap += 3) {
        char room[512];
        struct buf small = buf_init(room, cap);
        diameter_begin(&f->b, &small, NULL, DIAMETER_REQUEST, 300, CX_APPLICATION, 1, 1);
        cx_uar_encode(&f->b, &sample_uar);
        assert_int_equal(diameter_end(&f->b), ERR_TOO_BIG);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_uar_arrives_as_it_was_sent, begin, end),
        cmocka_unit_test_setup_teardown(bytes_are_those_of_the_standard, begin, end),
        cmocka_unit_test_setup_teardown(the_envelope_fills_what_the_struct_leaves_empty, begin,
                                        end),
        cmocka_unit_test_setup_teardown(every_message_survives_a_round_trip, begin, end),
        cmocka_unit_test_setup_teardown(each_missing_avp_is_named, begin, end),
        cmocka_unit_test_setup_teardown(malformed_avps_get_the_result_that_is_due, begin, end),
        cmocka_unit_test_setup_teardown(wrong_values_get_5004, begin, end),
        cmocka_unit_test_setup_teardown(unknown_avps_without_the_m_bit_are_skipped, begin, end),
        cmocka_unit_test_setup_teardown(headers_are_checked, begin, end),
        cmocka_unit_test_setup_teardown(groups_nest_to_a_fixed_depth, begin, end),
        cmocka_unit_test_setup_teardown(answers_are_held_to_their_format_only_if_they_succeed,
                                        begin, end),
        cmocka_unit_test_setup_teardown(printing_hides_secrets_and_escapes, begin, end),
        cmocka_unit_test_setup_teardown(a_full_buffer_is_noticed, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
