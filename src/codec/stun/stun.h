/* STUN (RFC 8489) as far as SIP's keep-alive over UDP needs it (RFC 5626 3.5.2): Binding requests
 * are answered with the address that they came from. No state, no credentials. */
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

#endif
