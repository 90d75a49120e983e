/* Secrets never leave a node through a trace: what is recorded is masked first, in place and at the
 * same length, so that lengths, offsets and everything that is no secret stay as they were on the
 * wire. */
#ifndef MUSTER_OBS_MASK_H
#define MUSTER_OBS_MASK_H

#include "obs/trace.h"

/** Overwrites the secrets of one message with asterisks.
 *
 * SIP: the values of the parameters ck, ik, password and passwd in header fields, and the password
 * of a SIP URI (sip:user:password@host). Diameter: Confidentiality-Key (625), Integrity-Key (626),
 * Digest-HA1 (121) and Alternate-Digest-HA1 (663) wherever they stand, and SIP-Authorization (610)
 * in an answer, where it is XRES (in a request it is RAND and AUTS, or empty). Grouped AVPs are
 * followed to a fixed depth; a group that lies deeper, or whose inside does not parse, is masked as
 * a whole. DNS: nothing. Bytes that are no message of the protocol are left alone or masked in
 * part; nothing outside the n bytes is touched. */
void mask_secrets(enum trace_protocol protocol, char *bytes, size_t n);

#endif
