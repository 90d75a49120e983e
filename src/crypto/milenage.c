/* TS 35.206 section 4.1:
 *
 *     TEMP = E_K(RAND xor OPc)
 *     IN1  = SQN || AMF || SQN || AMF
 *     OUT1 = E_K(TEMP xor rot(IN1 xor OPc, r1) xor c1) xor OPc
 *     OUTi = E_K(rot(TEMP xor OPc, ri) xor ci) xor OPc          for i = 2 to 5
 *
 * with r = 64, 0, 32, 64, 96 bits to the left and c = 0, 1, 2, 4, 8. OUT2 to OUT4 go through AES in
 * one call: a whole vector is one key schedule and three calls. */
#include "crypto/milenage.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

enum { BLOCK = 16, TWO_BLOCKS = 32 };

enum error milenage_init(struct milenage *m) {
    *m = (struct milenage){.failed = true};
    m->cipher = EVP_CIPHER_fetch(NULL, "AES-128-ECB", NULL);
    if (!m->cipher) {
        return ERR_UNSUPPORTED;
    }
    m->context = EVP_CIPHER_CTX_new();
    if (!m->context || EVP_EncryptInit_ex2(m->context, m->cipher, NULL, NULL, NULL) != 1 ||
        EVP_CIPHER_CTX_set_padding(m->context, 0) != 1) {
        milenage_free(m);
        return ERR_NO_MEMORY;
    }
    return OK;
}

void milenage_free(struct milenage *m) {
    EVP_CIPHER_CTX_free(m->context);
    EVP_CIPHER_free(m->cipher);
    OPENSSL_cleanse(m, sizeof *m);
    m->failed = true;
}

static void set_key(struct milenage *m, const uint8_t k[16]) {
    m->failed = EVP_EncryptInit_ex2(m->context, NULL, k, NULL, NULL) != 1;
}

/* Encrypts whole blocks; what it gives after a failure is zeros, and milenage_result says so. */
static void encrypt(struct milenage *m, const uint8_t *in, size_t n, uint8_t *out) {
    int written = 0;
    if (m->failed || EVP_EncryptUpdate(m->context, out, &written, in, (int)n) != 1 ||
        written != (int)n) {
        m->failed = true;
        memset(out, 0, n);
    }
}

static void xor_into(uint8_t block[BLOCK], const uint8_t with[BLOCK]) {
    for (size_t i = 0; i < BLOCK; i++) {
        block[i] ^= with[i];
    }
}

/* out = in rotated to the left by r bytes. */
static void rotate(uint8_t out[BLOCK], const uint8_t in[BLOCK], size_t r) {
    memcpy(out, in + r, BLOCK - r);
    memcpy(out + BLOCK - r, in, r);
}

enum error milenage_opc(struct milenage *m, const uint8_t k[16], const uint8_t op[16],
                        uint8_t opc[16]) {
    uint8_t out[BLOCK];
    set_key(m, k);
    encrypt(m, op, BLOCK, out);
    enum error e = milenage_result(m);
    m->failed = true; /* no challenge has begun */
    if (e) {
        return e;
    }
    xor_into(out, op);
    memcpy(opc, out, BLOCK);
    OPENSSL_cleanse(out, sizeof out);
    return OK;
}

void milenage_begin(struct milenage *m, const uint8_t k[16], const uint8_t opc[16],
                    const uint8_t rand[16]) {
    uint8_t in[BLOCK];
    memcpy(in, rand, BLOCK);
    xor_into(in, opc);
    memcpy(m->opc, opc, BLOCK);
    set_key(m, k);
    encrypt(m, in, BLOCK, m->temp);
}

void milenage_f1(struct milenage *m, const uint8_t sqn[6], const uint8_t amf[2], uint8_t mac_a[8],
                 uint8_t mac_s[8]) {
    uint8_t in1[BLOCK], in[BLOCK], out[BLOCK];
    memcpy(in1, sqn, 6);
    memcpy(in1 + 6, amf, 2);
    memcpy(in1 + 8, in1, 8);
    xor_into(in1, m->opc);
    rotate(in, in1, 8);
    xor_into(in, m->temp);
    encrypt(m, in, BLOCK, out);
    xor_into(out, m->opc);
    memcpy(mac_a, out, 8);
    memcpy(mac_s, out + 8, 8);
}

void milenage_f2345(struct milenage *m, uint8_t res[8], uint8_t ck[16], uint8_t ik[16],
                    uint8_t ak[6]) {
    uint8_t base[BLOCK], in[3 * BLOCK], out[3 * BLOCK];
    memcpy(base, m->temp, BLOCK);
    xor_into(base, m->opc);
    memcpy(in, base, BLOCK); /* OUT2: r2 = 0, c2 = 1 */
    in[15] ^= 1;
    rotate(in + BLOCK, base, 4); /* OUT3: r3 = 32, c3 = 2 */
    in[BLOCK + 15] ^= 2;
    rotate(in + TWO_BLOCKS, base, 8); /* OUT4: r4 = 64, c4 = 4 */
    in[TWO_BLOCKS + 15] ^= 4;
    encrypt(m, in, sizeof in, out);
    for (size_t i = 0; i < sizeof out; i += BLOCK) {
        xor_into(out + i, m->opc);
    }
    memcpy(ak, out, 6);
    memcpy(res, out + 8, 8);
    memcpy(ck, out + BLOCK, 16);
    memcpy(ik, out + TWO_BLOCKS, 16);
    OPENSSL_cleanse(out, sizeof out);
}

void milenage_f5_star(struct milenage *m, uint8_t ak_star[6]) {
    uint8_t base[BLOCK], in[BLOCK], out[BLOCK];
    memcpy(base, m->temp, BLOCK);
    xor_into(base, m->opc);
    rotate(in, base, 12); /* OUT5: r5 = 96, c5 = 8 */
    in[15] ^= 8;
    encrypt(m, in, BLOCK, out);
    xor_into(out, m->opc);
    memcpy(ak_star, out, 6);
}

enum error milenage_result(const struct milenage *m) {
    return m->failed ? ERR_INTERNAL : OK;
}

enum error milenage_check(struct milenage *m, const uint8_t k[16], const uint8_t opc[16],
                          uint8_t out[MILENAGE_CHECK_SIZE]) {
    uint8_t whole[16];
    enum error e = milenage_opc(m, k, opc, whole);
    if (!e) {
        memcpy(out, whole, MILENAGE_CHECK_SIZE);
    }
    OPENSSL_cleanse(whole, sizeof whole);
    return e;
}
