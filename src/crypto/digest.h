/* HTTP Digest (RFC 2617, RFC 7616) as SIP uses it, and its use for AKA (RFC 3310): there the
 * password is the bytes of RES, zero bytes included, and empty when auts goes with the response.
 *
 * A struct digest is the owner's workplace: one for each loop, never shared between threads. Hash
 * functions are fetched once. Values are given without their quotes and with escapes resolved, as
 * they stood on the wire otherwise. */
#ifndef MUSTER_CRYPTO_DIGEST_H
#define MUSTER_CRYPTO_DIGEST_H

#include "base/buf.h"
#include "base/error.h"
#include "base/span.h"

enum digest_hash {
    DIGEST_MD5,    /* algorithm MD5 and AKAv1-MD5 */
    DIGEST_SHA256, /* algorithm SHA-256 */
    DIGEST_HASHES
};

enum digest_qop {
    DIGEST_QOP_NONE,     /* the challenge had none: RFC 2069's form */
    DIGEST_QOP_AUTH,     /* "auth" */
    DIGEST_QOP_AUTH_INT, /* "auth-int": the body is covered too */
};

struct digest {
    struct evp_md_st *md[DIGEST_HASHES];
    struct evp_md_ctx_st *context;
};

/** A hash as lower-case hexadecimal digits: HA1, or a response. HA1 is a secret. */
struct digest_hex {
    char text[64];
    uint8_t n; /* digits: 32 for MD5, 64 for SHA-256 */
};

/** What a response is computed from, HA1 apart. */
struct digest_request {
    enum digest_hash hash;
    enum digest_qop qop;
    struct span method; /* of the request, "REGISTER"; empty for rspauth */
    struct span uri;    /* the parameter uri, as it stands there */
    struct span nonce;
    struct span nc;     /* eight digits; with qop only */
    struct span cnonce; /* with qop only */
    struct span body;   /* with auth-int only */
};

/** Fetches the hash functions. ERR_NO_MEMORY, or ERR_UNSUPPORTED when OpenSSL lacks one of them. */
MUST_CHECK enum error digest_init(struct digest *d);

/** Frees. Harmless for a zeroed struct. */
void digest_free(struct digest *d);

/** The digits. Valid as long as h. */
static inline struct span digest_hex_span(const struct digest_hex *h) {
    return (struct span){h->text, h->n};
}

/** HA1 = H(username:realm:password). The password may hold any bytes, or none. ERR_INTERNAL: the
 * hash failed. */
MUST_CHECK enum error digest_ha1(struct digest *d, enum digest_hash hash, struct span username,
                                 struct span realm, struct span password, struct digest_hex *ha1);

/** The response to a challenge. ERR_INTERNAL: the hash failed. */
MUST_CHECK enum error digest_response(struct digest *d, const struct digest_hex *ha1,
                                      const struct digest_request *request,
                                      struct digest_hex *response);

/** Is `response`, which a peer sent, the right one? Compared in constant time, hexadecimal digits
 * of either case. ERR_AUTHENTICATION: it is not; ERR_INTERNAL: the hash failed. */
MUST_CHECK enum error digest_check(struct digest *d, const struct digest_hex *ha1,
                                   const struct digest_request *request, struct span response);

/** Reads the value of a parameter qop that says which one was used: "auth" or "auth-int", in any
 * case; empty is DIGEST_QOP_NONE. False for anything else. */
MUST_CHECK bool digest_qop_parse(struct span text, enum digest_qop *out);

/** Chooses from the qop list of a challenge ("auth,auth-int"): auth before auth-int; an empty list
 * is DIGEST_QOP_NONE. False if the list offers neither. */
MUST_CHECK bool digest_qop_choose(struct span list, enum digest_qop *out);

/** The name on the wire: "auth", "auth-int", or the empty string. */
const char *digest_qop_name(enum digest_qop qop);

#endif
