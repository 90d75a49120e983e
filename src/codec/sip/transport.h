/* The transports that SIP runs over, and a place to which a message can be sent. */
#ifndef MUSTER_CODEC_SIP_TRANSPORT_H
#define MUSTER_CODEC_SIP_TRANSPORT_H

#include "rt/addr.h"

enum sip_transport { SIP_UDP, SIP_TCP, SIP_TLS, SIP_TRANSPORTS };

/** A next hop, as RFC 3263 finds it or a connection shows it. */
struct sip_hop {
    struct addr addr;
    enum sip_transport transport;
};

/** As Via says it: "UDP", "TCP", "TLS". */
struct span sip_transport_name(enum sip_transport t);

/** The transport of that name (no case; Via's or a URI's transport parameter). False for others. */
MUST_CHECK bool sip_transport_parse(struct span name, enum sip_transport *out);

/** Appends the parameter that a URI needs for it: ";transport=tcp"; nothing for UDP, the default.
 */
void sip_put_transport(struct buf *b, enum sip_transport t);

/** 5060, or 5061 for TLS (RFC 3261 19.1.2). */
static inline uint16_t sip_transport_port(enum sip_transport t) {
    return t == SIP_TLS ? 5061 : 5060;
}

/** Same address, port and transport? */
static inline bool sip_hop_eq(const struct sip_hop *a, const struct sip_hop *b) {
    return a->transport == b->transport && addr_eq(&a->addr, &b->addr);
}

#endif
