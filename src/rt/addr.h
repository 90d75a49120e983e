/* A network address: IPv4 or IPv6, and a port. A value: copied, compared, hashed. */
#ifndef MUSTER_RT_ADDR_H
#define MUSTER_RT_ADDR_H

#include "base/buf.h"

struct addr {
    uint8_t family; /* 4, 6, or 0 for none */
    uint16_t port;  /* host byte order */
    uint8_t ip[16]; /* network byte order; an IPv4 address in the first four, zeros behind */
};

/** An IPv4 address from four numbers. */
static inline struct addr addr_v4(uint8_t a, uint8_t b, uint8_t c, uint8_t d, uint16_t port) {
    return (struct addr){.family = 4, .port = port, .ip = {a, b, c, d}};
}

/** Same address and same port? */
static inline bool addr_eq(const struct addr *a, const struct addr *b) {
    return a->family == b->family && a->port == b->port && memcmp(a->ip, b->ip, sizeof a->ip) == 0;
}

/** Same address, whatever the port? */
static inline bool addr_same_host(const struct addr *a, const struct addr *b) {
    return a->family == b->family && memcmp(a->ip, b->ip, sizeof a->ip) == 0;
}

/** Is it the wildcard, 0.0.0.0 or ::, whatever the port? */
static inline bool addr_is_wildcard(const struct addr *a) {
    static const uint8_t zeros[sizeof a->ip];
    return memcmp(a->ip, zeros, sizeof zeros) == 0;
}

/** Is it an address of this machine alone: 127.0.0.0/8 or ::1? */
static inline bool addr_is_loopback(const struct addr *a) {
    static const uint8_t one[16] = {[15] = 1};
    return (a->family == 4 && a->ip[0] == 127) ||
           (a->family == 6 && memcmp(a->ip, one, sizeof one) == 0);
}

/** Reads "192.0.2.1", "2001:db8::1" or "[2001:db8::1]" without a port; names are not resolved. */
MUST_CHECK bool addr_parse_host(struct span text, uint16_t port, struct addr *out);

/** Reads "192.0.2.1:5060" or "[2001:db8::1]:5060". */
MUST_CHECK bool addr_parse(struct span text, struct addr *out);

/** Appends the host alone, IPv6 in brackets, as SIP wants it. */
void addr_put_host(struct buf *b, const struct addr *a);

/** Appends host:port. */
void addr_put(struct buf *b, const struct addr *a);

/** Hash of address and port. */
uint64_t addr_hash(const struct addr *a);

#endif
