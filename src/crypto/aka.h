/* Authentication and key agreement, TS 33.102 section 6.3, with Milenage as the function set:
 * the vector that the HSS makes, its check at the UE, and the token of resynchronisation (AUTS).
 * Which SQN to use and which to accept is decided in model/aka/sqn.h; here it is a number of 48
 * bits. Errors of the cipher itself are ERR_INTERNAL everywhere. */
#ifndef MUSTER_CRYPTO_AKA_H
#define MUSTER_CRYPTO_AKA_H

#include "crypto/milenage.h"

#include <stddef.h>

enum {
    AKA_RAND_SIZE = 16,
    AKA_AUTN_SIZE = 16, /* SQN xor AK, AMF, MAC-A */
    AKA_AUTS_SIZE = 14, /* SQN_MS xor AK*, MAC-S */
    AKA_RES_MAX = 16,   /* RES has 4 to 16 bytes; 8 with Milenage */
};

#define AKA_SQN_MAX ((UINT64_C(1) << 48) - 1)

/** What subscriber and home network share. Cleared by its owner with OPENSSL_cleanse. */
struct aka_key {
    uint8_t k[16];
    uint8_t opc[16];
};

/** An authentication vector (quintet). */
struct aka_vector {
    uint8_t rand[AKA_RAND_SIZE];
    uint8_t autn[AKA_AUTN_SIZE];
    uint8_t xres[AKA_RES_MAX];
    uint8_t ck[16];
    uint8_t ik[16];
    uint8_t xres_n; /* bytes of xres that count */
};

/** What a UE learns from a challenge whose MAC is right. */
struct aka_answer {
    uint64_t sqn; /* as the home network sent it: to be checked with sqn_check() */
    uint8_t amf[2];
    uint8_t res[AKA_RES_MAX];
    uint8_t ck[16];
    uint8_t ik[16];
    uint8_t res_n; /* bytes of res that count */
};

/** Makes the vector for one challenge. rand is drawn by the caller (env_random), sqn at most
 * AKA_SQN_MAX and never used before with this key. */
MUST_CHECK enum error aka_vector_make(struct milenage *m, const struct aka_key *key,
                                      const uint8_t amf[2], uint64_t sqn, const uint8_t rand[16],
                                      struct aka_vector *out);

/** Checks AUTN at the UE (TS 33.102 section 6.3.3) and computes RES, CK, IK. ERR_AUTHENTICATION:
 * the MAC is wrong, the challenge does not come from the home network; *out is cleared. Freshness
 * of out->sqn is the caller's next question. */
MUST_CHECK enum error aka_challenge_check(struct milenage *m, const struct aka_key *key,
                                          const uint8_t rand[16], const uint8_t autn[16],
                                          struct aka_answer *out);

/** Makes AUTS at the UE: sqn_ms is the highest SQN that it has accepted (TS 33.102 section 6.3.3,
 * AMF* zero). */
MUST_CHECK enum error aka_auts_make(struct milenage *m, const struct aka_key *key,
                                    const uint8_t rand[16], uint64_t sqn_ms, uint8_t auts[14]);

/** Checks AUTS at the HSS against the RAND of its challenge and gives SQN_MS. ERR_AUTHENTICATION:
 * MAC-S is wrong, nothing may be changed; *sqn_ms is untouched. */
MUST_CHECK enum error aka_auts_check(struct milenage *m, const struct aka_key *key,
                                     const uint8_t rand[16], const uint8_t auts[14],
                                     uint64_t *sqn_ms);

#endif
