/* DNS messages for tests: written field by field, wrong ones too. */
#ifndef MUSTER_TEST_DNS_MESSAGES_H
#define MUSTER_TEST_DNS_MESSAGES_H

#include "codec/dns/dns.h"

#include <stdlib.h>

enum { MESSAGE_BYTES = 4096, ANSWER = 0x8180 };

struct message {
    struct buf b;
    char bytes[MESSAGE_BYTES];
};

static inline void put_u16(struct message *m, unsigned value) {
    buf_char(&m->b, (char)(value >> 8));
    buf_char(&m->b, (char)value);
}

static inline void put_u32(struct message *m, uint32_t value) {
    put_u16(m, value >> 16);
    put_u16(m, value & 0xffff);
}

/* "icscf.home.net"; an empty one is the root. */
static inline void put_name(struct message *m, const char *name) {
    struct span rest = span_from_cstr(name);
    while (rest.n) {
        struct span label = span_cut(&rest, '.');
        buf_char(&m->b, (char)label.n);
        buf_put(&m->b, label);
    }
    buf_char(&m->b, 0);
}

static inline void put_head(struct message *m, unsigned id, unsigned flags, unsigned answers,
                            unsigned authorities, const char *name, unsigned type) {
    m->b = buf_init(m->bytes, sizeof m->bytes);
    put_u16(m, id);
    put_u16(m, flags);
    put_u16(m, 1);
    put_u16(m, answers);
    put_u16(m, authorities);
    put_u16(m, 0);
    put_name(m, name);
    put_u16(m, type);
    put_u16(m, 1);
}

/* Up to the length of the data; returns where the length stands. */
static inline size_t begin_record(struct message *m, const char *name, unsigned type,
                                  uint32_t ttl_s) {
    put_name(m, name);
    put_u16(m, type);
    put_u16(m, 1);
    put_u32(m, ttl_s);
    put_u16(m, 0);
    return m->b.n - 2;
}

static inline void end_record(struct message *m, size_t at) {
    size_t n = m->b.n - at - 2;
    m->bytes[at] = (char)(n >> 8);
    m->bytes[at + 1] = (char)n;
}

static inline void put_a(struct message *m, const char *name, uint32_t ttl_s, uint32_t ip) {
    size_t at = begin_record(m, name, 1, ttl_s);
    put_u32(m, ip);
    end_record(m, at);
}

static inline void put_srv(struct message *m, const char *name, unsigned priority, unsigned weight,
                           unsigned port, const char *target) {
    size_t at = begin_record(m, name, 33, 60);
    put_u16(m, priority);
    put_u16(m, weight);
    put_u16(m, port);
    put_name(m, target);
    end_record(m, at);
}

static inline void put_string(struct message *m, const char *s) {
    buf_char(&m->b, (char)strlen(s));
    buf_cstr(&m->b, s);
}

static inline void put_naptr(struct message *m, const char *name, const char *service,
                             const char *regexp, const char *replacement) {
    size_t at = begin_record(m, name, 35, 60);
    put_u16(m, 50);
    put_u16(m, 10);
    put_string(m, "s");
    put_string(m, service);
    put_string(m, regexp);
    put_name(m, replacement);
    end_record(m, at);
}

static inline void put_cname(struct message *m, const char *name, const char *alias) {
    size_t at = begin_record(m, name, 5, 30);
    put_name(m, alias);
    end_record(m, at);
}

static inline void put_soa(struct message *m, const char *name, uint32_t ttl_s,
                           uint32_t minimum_s) {
    size_t at = begin_record(m, name, 6, ttl_s);
    put_name(m, "ns.home.net");
    put_name(m, "hostmaster.home.net");
    for (int i = 0; i < 4; i++) {
        put_u32(m, 1);
    }
    put_u32(m, minimum_s);
    end_record(m, at);
}

#endif
