/* A first look into a message, for observers: the trace, the ladder and the capture stand below the
 * codecs and take no part in processing, so they read just what a label or a filter needs, in
 * place, trusting nothing. */
#ifndef MUSTER_OBS_PEEK_H
#define MUSTER_OBS_PEEK_H

#include "base/span.h"

/** The first line of a SIP message. */
struct peek_sip {
    bool request;
    struct span method; /* of a request; of a response, from CSeq */
    struct span uri;    /* of a request */
    unsigned status;    /* of a response, 100 to 699 */
    struct span reason; /* of a response */
};

/** Reads the first line and, for a response, the method out of CSeq. False if it is no SIP message.
 */
MUST_CHECK bool peek_sip(struct span message, struct peek_sip *out);

/** Value of the nth (from 0) header field with this name, trimmed, as far as its first line goes;
 * empty when there is none. The compact form of Call-ID, Contact, From, To and Via is found too. */
struct span peek_sip_header(struct span message, const char *name, size_t nth);

/** Value of a parameter (;name=value, or name=value in a comma-separated challenge) of a header
 * value, without quotes; empty when there is none. */
struct span peek_sip_param(struct span value, const char *name);

/** The header of a Diameter message. */
struct peek_diameter {
    bool request, error, retransmitted;
    uint32_t command, application, hop_by_hop, end_to_end;
    struct span avps;
};

/** Reads the 20 bytes of the header. False if they do not begin a Diameter message. */
MUST_CHECK bool peek_diameter(struct span message, struct peek_diameter *out);

struct peek_avp {
    uint32_t code, vendor; /* vendor 0: IETF */
    uint8_t flags;
    struct span data;
};

/** Cuts the next AVP off *rest. False at the end, and when what follows is no AVP: then *rest is
 * not empty. */
MUST_CHECK bool peek_avp_next(struct span *rest, struct peek_avp *out);

/** Data of the first AVP with this code and vendor at the top level of avps; empty when there is
 * none. */
struct span peek_avp(struct span avps, uint32_t code, uint32_t vendor);

/** Big-endian number of a 4-byte AVP; false if it has another length. */
MUST_CHECK bool peek_u32(struct span data, uint32_t *out);

#endif
