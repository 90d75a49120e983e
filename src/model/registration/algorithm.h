/* The algorithms of Digest in the IMS: by which a terminal and its home network prove that they
 * share a secret. RFC 3261 22.4 (MD5), RFC 8760 (SHA-256), RFC 3310 (AKAv1-MD5), RFC 4169
 * (AKAv2-MD5), TS 33.203 annex X (AKAv2-SHA-256). */
#ifndef MUSTER_MODEL_REGISTRATION_ALGORITHM_H
#define MUSTER_MODEL_REGISTRATION_ALGORITHM_H

#include "base/span.h"

/** In the order of their strength, the weakest first. */
enum auth_algorithm {
    AUTH_MD5,
    AUTH_SHA256,
    AUTH_AKAV1_MD5,
    AUTH_AKAV2_MD5,
    AUTH_AKAV2_SHA256,
    AUTH_ALGORITHMS
};

/** A set of them, by bits. */
#define AUTH_BIT(algorithm) (1u << (algorithm))
enum {
    AUTH_ALL = AUTH_BIT(AUTH_ALGORITHMS) - 1,
    AUTH_DIGEST = AUTH_BIT(AUTH_MD5) | AUTH_BIT(AUTH_SHA256),
    AUTH_AKA = AUTH_ALL & ~AUTH_DIGEST
};

/** The name on the wire: "AKAv1-MD5". */
struct span auth_algorithm_name(enum auth_algorithm algorithm);

/** Reads a name in any case; an empty one is MD5 (RFC 7616 3.3). False: unknown. */
MUST_CHECK bool auth_algorithm_parse(struct span name, enum auth_algorithm *out);

/** Does it stand on a card's key? Else on a password. */
static inline bool auth_algorithm_is_aka(enum auth_algorithm algorithm) {
    return (AUTH_AKA & AUTH_BIT(algorithm)) != 0;
}

/** Is its hash SHA-256? Else MD5. */
static inline bool auth_algorithm_is_sha256(enum auth_algorithm algorithm) {
    return algorithm == AUTH_SHA256 || algorithm == AUTH_AKAV2_SHA256;
}

#endif
