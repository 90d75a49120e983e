/* Messages of a registration for the tests of ladder and capture: short, but of the right form. */
#ifndef MUSTER_TEST_OBS_SAMPLE_H
#define MUSTER_TEST_OBS_SAMPLE_H

#include "base/buf.h"
#include "obs/ladder.h"

struct sample {
    const char *from, *to;
    unsigned at_us;
    enum trace_protocol protocol;
    const char *sip;  /* SIP or DNS text */
    uint32_t command; /* of Diameter */
    bool request;
    const char *session;
    uint32_t code, value; /* one AVP with a number */
    uint32_t vendor;
};

#define SAMPLE_COMMON                                                                              \
    "Call-ID: call-1@alice\r\nCSeq: 1 REGISTER\r\n"                                                \
    "From: <sip:alice.mobile@home>;tag=1\r\nTo: <sip:alice.mobile@home>\r\n"
#define SAMPLE_USER "Authorization: Digest username=\"alice.smith@home\"\r\n"
#define SAMPLE_ICID SAMPLE_USER "P-Charging-Vector: icid-value=\"icid-1\"\r\n"

static const struct sample samples[] = {
    {"ue:alice", "pcscf", 1000, TRACE_SIP,
     .sip = "REGISTER sip:home SIP/2.0\r\n" SAMPLE_COMMON
            "Authorization: Digest username=\"alice.smith@home\",response=\"\"\r\n\r\n"},
    {"pcscf", "dns", 1100, TRACE_DNS, .sip = "query NAPTR home"},
    {"dns", "pcscf", 1150, TRACE_DNS,
     .sip = "home. 3600 IN NAPTR 50 50 \"s\" \"SIP+D2U\" \"\" _sip._udp.home."},
    {"pcscf", "icscf", 1210, TRACE_SIP,
     .sip =
         "REGISTER sip:home SIP/2.0\r\n" SAMPLE_COMMON SAMPLE_ICID "Path: <sip:pcscf;lr>\r\n\r\n"},
    {"icscf", "hss", 1300, TRACE_DIAMETER, "alice.smith@home", 300, true, "icscf;1", 623, 0, 10415},
    {"hss", "icscf", 1400, TRACE_DIAMETER, "", 300, false, "icscf;1", 298, 2001, 0},
    {"icscf", "scscf", 1500, TRACE_SIP,
     .sip = "REGISTER sip:home SIP/2.0\r\n" SAMPLE_COMMON SAMPLE_ICID "\r\n"},
    {"scscf", "hss", 1600, TRACE_DIAMETER, "alice.smith@home", 303, true, "scscf;1", 0, 0, 0},
    {"hss", "scscf", 1700, TRACE_DIAMETER, "", 303, false, "scscf;1", 268, 2001, 0},
    {"scscf", "icscf", 1800, TRACE_SIP, .sip = "SIP/2.0 401 Unauthorized\r\n" SAMPLE_COMMON "\r\n"},
    {"icscf", "pcscf", 1900, TRACE_SIP, .sip = "SIP/2.0 401 Unauthorized\r\n" SAMPLE_COMMON "\r\n"},
    {"pcscf", "ue:alice", 2000, TRACE_SIP,
     .sip = "SIP/2.0 401 Unauthorized\r\n" SAMPLE_COMMON "\r\n"},
    {"ue:bob", "pcscf", 2050, TRACE_SIP,
     .sip = "REGISTER sip:home SIP/2.0\r\nCall-ID: call-2\r\nTo: <sip:bob.mobile@home>\r\n\r\n"},
    {"pcscf", "ue:bob", 2060, TRACE_SIP,
     .sip = "SIP/2.0 403 Forbidden\r\nCall-ID: call-2\r\nCSeq: 1 REGISTER\r\nTo: "
            "<sip:bob.mobile@home>\r\n\r\n"},
    {"ue:alice", "pcscf", 2100, TRACE_SIP,
     .sip = "REGISTER sip:home SIP/2.0\r\n" SAMPLE_COMMON
            "Authorization: Digest username=\"alice.smith@home\",response=\"6629fae4\"\r\n\r\n"},
    {"pcscf", "scscf", 2200, TRACE_SIP,
     .sip = "REGISTER sip:home SIP/2.0\r\n" SAMPLE_COMMON SAMPLE_ICID "\r\n"},
    {"scscf", "hss", 2300, TRACE_DIAMETER, "alice.smith@home", 301, true, "scscf;2", 614, 1, 10415},
    {"hss", "scscf", 2400, TRACE_DIAMETER, "", 301, false, "scscf;2", 268, 2001, 0},
    {"scscf", "pcscf", 2500, TRACE_SIP,
     .sip = "SIP/2.0 200 OK\r\n" SAMPLE_COMMON
            "Contact: <sip:alice@127.0.0.1>;expires=600000\r\n\r\n"},
    {"pcscf", "ue:alice", 2600, TRACE_SIP,
     .sip = "SIP/2.0 200 OK\r\n" SAMPLE_COMMON
            "Contact: <sip:alice@127.0.0.1>;expires=600000\r\n\r\n"},
};

static inline void sample_u24(struct buf *b, size_t v) {
    buf_char(b, (char)(v >> 16));
    buf_char(b, (char)(v >> 8));
    buf_char(b, (char)v);
}

static inline void sample_u32(struct buf *b, uint32_t v) {
    buf_char(b, (char)(v >> 24));
    sample_u24(b, v & 0xffffff);
}

static inline void sample_avp(struct buf *b, uint32_t code, uint32_t vendor, struct span data) {
    sample_u32(b, code);
    buf_char(b, vendor ? (char)0xc0 : 0x40);
    sample_u24(b, data.n + (vendor ? 12 : 8));
    if (vendor) {
        sample_u32(b, vendor);
    }
    buf_put(b, data);
    while (b->n % 4) {
        buf_char(b, 0);
    }
}

static inline size_t sample_diameter(char *out, size_t cap, const struct sample *s) {
    char number[4], inner[64];
    struct buf n = buf_init(number, sizeof number), g = buf_init(inner, sizeof inner);
    struct buf b = buf_init(out, cap);
    sample_u32(&n, s->value);
    buf_char(&b, 1);
    sample_u24(&b, 0);
    buf_char(&b, s->request ? (char)0xc0 : 0x40);
    sample_u24(&b, s->command);
    sample_u32(&b, 16777216);
    sample_u32(&b, s->command);
    sample_u32(&b, s->command);
    sample_avp(&b, 263, 0, span_from_cstr(s->session));
    if (*s->sip) {
        sample_avp(&b, 1, 0, span_from_cstr(s->sip)); /* User-Name */
    }
    if (s->code == 298) {
        sample_avp(&g, 266, 0, span_of("\0\0\x28\xaf", 4)); /* Vendor-Id: 3GPP */
        sample_avp(&g, 298, 0, buf_span(&n));
        sample_avp(&b, 297, 0, buf_span(&g));
    } else if (s->code) {
        sample_avp(&b, s->code, s->vendor, buf_span(&n));
    }
    out[2] = (char)(b.n >> 8);
    out[3] = (char)b.n;
    return b.n;
}

static inline struct addr sample_address(const char *name) {
    uint8_t host = (uint8_t)(name[0] == 'u' ? name[3] : name[0]);
    return addr_v4(127, 0, 0, host, host == 'h' ? 3868 : 5060);
}

/* Calls each for all samples. */
static inline void samples_each(void (*each)(void *ctx, const struct trace_message *m), void *ctx) {
    for (size_t i = 0; i < COUNT_OF(samples); i++) {
        const struct sample *s = &samples[i];
        char bytes[512];
        struct span text = span_from_cstr(s->sip);
        if (s->protocol == TRACE_DIAMETER) {
            text = span_of(bytes, sample_diameter(bytes, sizeof bytes, s));
        }
        struct trace_message m = {
            .at_us = s->at_us,
            .wall_us = 1795222800000000 + s->at_us,
            .protocol = s->protocol,
            .stream = s->protocol == TRACE_DIAMETER,
            .from = sample_address(s->from),
            .to = sample_address(s->to),
            .from_name = span_from_cstr(s->from),
            .to_name = span_from_cstr(s->to),
            .bytes = text,
        };
        if (m.stream) {
            m.from.port = m.from.port == 3868 ? 3868 : 40000;
            m.to.port = m.to.port == 3868 ? 3868 : 40000;
        }
        each(ctx, &m);
    }
}

#endif
