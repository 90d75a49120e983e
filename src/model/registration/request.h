/* What a REGISTER asks for, as values: the bridge from the SIP codec to the rules of binding.h. */
#ifndef MUSTER_MODEL_REGISTRATION_REQUEST_H
#define MUSTER_MODEL_REGISTRATION_REQUEST_H

#include "codec/sip/headers.h"
#include "model/registration/binding.h"

/** A request with the contacts that it points to; not to be copied. */
struct registration_reading {
    struct registration_request request;
    struct registration_contact contacts[REGISTRATION_CONTACTS_MAX];
};

/** Reads Contact, Expires, Call-ID and CSeq of a REGISTER; views of the message. reg-id counts only
 * beside `Supported: outbound`, and first_hop_outbound is told only then (RFC 5626 6). An Expires
 * that is no number counts as 3600 (RFC 3261 20.19). ERR_MALFORMED: a Contact cannot be read;
 * ERR_TOO_BIG: more contacts than REGISTRATION_CONTACTS_MAX. */
MUST_CHECK enum error registration_request_read(const struct sip_msg *req,
                                                struct registration_reading *out);

/** The edge of the network that a request came in by: the last Path value, which was written first
 * (RFC 3327 4). False: there is none, or it cannot be read. */
MUST_CHECK bool registration_first_hop(const struct sip_msg *req, struct sip_address *out);

/** Does it only take contacts away: "*", or every contact with an expiry of zero? */
bool registration_request_is_removal(const struct registration_request *request);

/** Appends the public identity of an address header (To) in the form in which identities are
 * compared and sent to the HSS (TS 23.003 13.4, TS 29.229 6.3.2). ERR_MALFORMED: no sip, sips or
 * tel URI. */
MUST_CHECK enum error registration_put_impu(struct buf *b, const struct sip_uri *uri);

/** Appends the private identity that a public one stands for when a REGISTER names none: without
 * scheme, port and parameters (TS 24.229 5.3.1.2). */
void registration_put_derived_impi(struct buf *b, const struct sip_uri *uri);

#endif
