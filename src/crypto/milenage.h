/* Milenage, the functions f1 to f5* of TS 35.206, over AES-128 of OpenSSL.
 *
 *     milenage_begin(m, k, opc, rand)  then any of  milenage_f1, milenage_f2345, milenage_f5_star
 *
 * A struct milenage is the owner's workplace: one for each loop, used again for each vector, never
 * shared between threads. Its errors are sticky from begin to the next begin: look at
 * milenage_result() before anything computed is used (crypto/aka.h does). */
#ifndef MUSTER_CRYPTO_MILENAGE_H
#define MUSTER_CRYPTO_MILENAGE_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    MILENAGE_KEY_SIZE = 16,  /* K, OP, OPc, CK, IK */
    MILENAGE_RAND_SIZE = 16, /* RAND */
    MILENAGE_SQN_SIZE = 6,   /* SQN, AK, AK* */
    MILENAGE_AMF_SIZE = 2,   /* AMF */
    MILENAGE_MAC_SIZE = 8,   /* MAC-A, MAC-S */
    MILENAGE_RES_SIZE = 8,   /* RES */
};

struct milenage {
    struct evp_cipher_st *cipher;      /* AES-128-ECB, fetched once */
    struct evp_cipher_ctx_st *context; /* holds the key schedule of K */
    uint8_t opc[16];
    uint8_t temp[16]; /* E_K(RAND xor OPc) */
    bool failed;
};

/** Fetches the cipher. ERR_NO_MEMORY, or ERR_UNSUPPORTED when OpenSSL has no AES-128-ECB. */
MUST_CHECK enum error milenage_init(struct milenage *m);

/** Clears what is secret and frees. Harmless for a zeroed struct. */
void milenage_free(struct milenage *m);

/** OPc = E_K(OP) xor OP (TS 35.206 section 4.1). Ends what milenage_begin began. */
MUST_CHECK enum error milenage_opc(struct milenage *m, const uint8_t k[16], const uint8_t op[16],
                                   uint8_t opc[16]);

/** Takes key and challenge for the functions below; arguments are copied. */
void milenage_begin(struct milenage *m, const uint8_t k[16], const uint8_t opc[16],
                    const uint8_t rand[16]);

/** f1 and f1*: MAC-A and MAC-S over SQN and AMF. */
void milenage_f1(struct milenage *m, const uint8_t sqn[6], const uint8_t amf[2], uint8_t mac_a[8],
                 uint8_t mac_s[8]);

/** f2, f3, f4, f5: RES, CK, IK, AK. */
void milenage_f2345(struct milenage *m, uint8_t res[8], uint8_t ck[16], uint8_t ik[16],
                    uint8_t ak[6]);

/** f5*: AK for resynchronisation. */
void milenage_f5_star(struct milenage *m, uint8_t ak_star[6]);

/** Did all go well since milenage_begin? ERR_INTERNAL: the cipher failed, nothing computed may be
 * used. */
MUST_CHECK enum error milenage_result(const struct milenage *m);

enum { MILENAGE_CHECK_SIZE = 3 };

/** 24 bits of E_K(OPc) xor OPc: enough to see whether both are the expected ones, of no use to find
 * them. The HSS shows it as key_check. ERR_NO_MEMORY, ERR_UNSUPPORTED. */
MUST_CHECK enum error milenage_check(struct milenage *m, const uint8_t k[16], const uint8_t opc[16],
                                     uint8_t out[MILENAGE_CHECK_SIZE]);

#endif
