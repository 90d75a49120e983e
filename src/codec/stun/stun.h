/* STUN (RFC 8489) as far as SIP's keep-alive over UDP needs it (RFC 5626 3.5.2): Binding requests
 * are answered with the address that they came from, and sent. No state, no credentials. */
#ifndef MUSTER_CODEC_STUN_STUN_H
#define MUSTER_CODEC_STUN_STUN_H

#include "base/error.h"
#include "rt/addr.h"

/** Is a datagram STUN? Its first two bits are zero, as in some of SIP's methods and in an empty
 * line; its magic cookie tells it from them (RFC 8489 5). */
static inline bool stun_may_be(const char *bytes, size_t n) {
    return n >= 20 && ((unsigned char)bytes[0] & 0xc0) == 0 &&
           memcmp(bytes + 4, "\x21\x12\xa4\x42", 4) == 0;
}

/** Appends the answer to a Binding request from this address: XOR-MAPPED-ADDRESS, or 420 with
 * UNKNOWN-ATTRIBUTES if it demands what is not known here; with a FINGERPRINT if the request has
 * one. ERR_MALFORMED: no STUN message, or a wrong FINGERPRINT; ERR_UNSUPPORTED: no Binding request.
 * Nothing is answered then. */
MUST_CHECK enum error stun_answer(struct span request, const struct addr *from, struct buf *out);

enum { STUN_ID = 12 /* bytes of a transaction id */ };

/** Appends a Binding request. */
void stun_put_binding(struct buf *out, const uint8_t id[STUN_ID]);

/** Reads the answer to a Binding request: its transaction id, and the address that the other end
 * saw (XOR-MAPPED-ADDRESS). ERR_MALFORMED; ERR_UNSUPPORTED: something else, an error answer too, or
 * one without address. */
MUST_CHECK enum error stun_read_answer(struct span answer, uint8_t id[STUN_ID],
                                       struct addr *mapped);

#endif
