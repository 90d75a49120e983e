/* AKA as a one-time password for Digest, version 2 (RFC 4169): where AKAv1 takes RES itself, AKAv2
 * takes base64 of PRF(RES || IK || CK, "http-digest-akav2-password"), so that a response to one of
 * both says nothing about the other. PRF is HMAC with the hash of the Digest algorithm: MD5 for
 * AKAv2-MD5 (RFC 4169 section 3), SHA-256 for AKAv2-SHA-256 (TS 33.203 annex X). */
#ifndef MUSTER_CRYPTO_AKAV2_H
#define MUSTER_CRYPTO_AKAV2_H

#include "crypto/digest.h"

enum { AKAV2_PASSWORD_MAX = 44 }; /* base64 of 32 bytes */

/** A password: a secret, cleared by its owner with OPENSSL_cleanse. */
struct akav2_password {
    char text[AKAV2_PASSWORD_MAX];
    uint8_t n;
};

/** Makes the password. res has 4 to 16 bytes, ik and ck 16 each. ERR_INVALID: res has another
 * length; ERR_INTERNAL: the hash failed. */
MUST_CHECK enum error akav2_password_make(enum digest_hash hash, struct span res,
                                          const uint8_t ik[16], const uint8_t ck[16],
                                          struct akav2_password *out);

/** Its text, valid as long as p. */
static inline struct span akav2_password_span(const struct akav2_password *p) {
    return (struct span){p->text, p->n};
}

#endif
