/* TS 33.102 section 6.3: AUTN = SQN xor AK || AMF || MAC-A, AUTS = SQN_MS xor AK* || MAC-S with
 * AMF* = 0. AK always conceals SQN (the annexes allow to leave it out; nobody does). */
#include "crypto/aka.h"

#include "crypto/compare.h"

#include <openssl/crypto.h>
#include <string.h>

static const uint8_t amf_star[2] = {0, 0};

static void put_sqn(uint8_t out[6], uint64_t sqn) {
    for (size_t i = 0; i < 6; i++) {
        out[i] = (uint8_t)(sqn >> (40 - 8 * i));
    }
}

static uint64_t get_sqn(const uint8_t in[6]) {
    uint64_t sqn = 0;
    for (size_t i = 0; i < 6; i++) {
        sqn = sqn << 8 | in[i];
    }
    return sqn;
}

static void xor_sqn(uint8_t out[6], const uint8_t sqn[6], const uint8_t ak[6]) {
    for (size_t i = 0; i < 6; i++) {
        out[i] = sqn[i] ^ ak[i];
    }
}

enum error aka_vector_make(struct milenage *m, const struct aka_key *key, const uint8_t amf[2],
                           uint64_t sqn, const uint8_t rand[16], struct aka_vector *out) {
    if (sqn > AKA_SQN_MAX) {
        return ERR_INVALID;
    }
    uint8_t sqn_bytes[6], ak[6], mac_s[8];
    put_sqn(sqn_bytes, sqn);
    milenage_begin(m, key->k, key->opc, rand);
    milenage_f1(m, sqn_bytes, amf, out->autn + 8, mac_s);
    milenage_f2345(m, out->xres, out->ck, out->ik, ak);
    memset(out->xres + MILENAGE_RES_SIZE, 0, sizeof out->xres - MILENAGE_RES_SIZE);
    out->xres_n = MILENAGE_RES_SIZE;
    memcpy(out->rand, rand, sizeof out->rand);
    xor_sqn(out->autn, sqn_bytes, ak);
    memcpy(out->autn + 6, amf, 2);
    return milenage_result(m);
}

enum error aka_challenge_check(struct milenage *m, const struct aka_key *key,
                               const uint8_t rand[16], const uint8_t autn[16],
                               struct aka_answer *out) {
    uint8_t sqn[6], ak[6], mac_a[8], mac_s[8];
    memset(out, 0, sizeof *out);
    milenage_begin(m, key->k, key->opc, rand);
    milenage_f2345(m, out->res, out->ck, out->ik, ak);
    xor_sqn(sqn, autn, ak);
    milenage_f1(m, sqn, autn + 6, mac_a, mac_s);
    enum error e = milenage_result(m);
    if (!e && !compare_secret(span_of(mac_a, sizeof mac_a), span_of(autn + 8, 8))) {
        e = ERR_AUTHENTICATION;
    }
    if (e) {
        OPENSSL_cleanse(out, sizeof *out);
        return e;
    }
    out->sqn = get_sqn(sqn);
    memcpy(out->amf, autn + 6, 2);
    out->res_n = MILENAGE_RES_SIZE;
    return OK;
}

enum error aka_auts_make(struct milenage *m, const struct aka_key *key, const uint8_t rand[16],
                         uint64_t sqn_ms, uint8_t auts[14]) {
    if (sqn_ms > AKA_SQN_MAX) {
        return ERR_INVALID;
    }
    uint8_t sqn[6], ak_star[6], mac_a[8];
    put_sqn(sqn, sqn_ms);
    milenage_begin(m, key->k, key->opc, rand);
    milenage_f1(m, sqn, amf_star, mac_a, auts + 6);
    milenage_f5_star(m, ak_star);
    xor_sqn(auts, sqn, ak_star);
    return milenage_result(m);
}

enum error aka_auts_check(struct milenage *m, const struct aka_key *key, const uint8_t rand[16],
                          const uint8_t auts[14], uint64_t *sqn_ms) {
    uint8_t sqn[6], ak_star[6], mac_a[8], mac_s[8];
    milenage_begin(m, key->k, key->opc, rand);
    milenage_f5_star(m, ak_star);
    xor_sqn(sqn, auts, ak_star);
    milenage_f1(m, sqn, amf_star, mac_a, mac_s);
    enum error e = milenage_result(m);
    if (e) {
        return e;
    }
    if (!compare_secret(span_of(mac_s, sizeof mac_s), span_of(auts + 6, 8))) {
        return ERR_AUTHENTICATION;
    }
    *sqn_ms = get_sqn(sqn);
    return OK;
}
