/* The nonce of AKAv1-MD5 (RFC 3310 section 3.2): base64 of RAND, AUTN, and what the server likes to
 * append; and the parameter auts: base64 of AUTS. */
#ifndef MUSTER_MODEL_AKA_NONCE_H
#define MUSTER_MODEL_AKA_NONCE_H

#include "base/buf.h"
#include "base/error.h"

enum {
    NONCE_AKA_SIZE = 32,       /* RAND and AUTN */
    NONCE_SERVER_DATA_MAX = 64 /* longer ones are ERR_TOO_BIG when read */
};

/** Appends the nonce; server_data is opaque to the UE and may be empty. */
void nonce_put(struct buf *out, const uint8_t rand[16], const uint8_t autn[16],
               struct span server_data);

/** Reads RAND and AUTN from a nonce. ERR_MALFORMED: no base64, or fewer than 32 bytes; ERR_TOO_BIG.
 */
MUST_CHECK enum error nonce_parse(struct span nonce, uint8_t rand[16], uint8_t autn[16]);

/** Appends the value of the parameter auts. */
void nonce_put_auts(struct buf *out, const uint8_t auts[14]);

/** Reads the value of the parameter auts. ERR_MALFORMED: not base64 of exactly 14 bytes. */
MUST_CHECK enum error nonce_parse_auts(struct span text, uint8_t auts[14]);

#endif
