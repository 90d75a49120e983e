/* RFC 3310 section 3.2: nonce = base64(RAND || AUTN || server specific data). */
#include "model/aka/nonce.h"

#include "crypto/base64.h"

#include <assert.h>

void nonce_put(struct buf *out, const uint8_t rand[16], const uint8_t autn[16],
               struct span server_data) {
    uint8_t bytes[NONCE_AKA_SIZE + NONCE_SERVER_DATA_MAX];
    assert(server_data.n <= NONCE_SERVER_DATA_MAX);
    memcpy(bytes, rand, 16);
    memcpy(bytes + 16, autn, 16);
    if (server_data.n) {
        memcpy(bytes + NONCE_AKA_SIZE, server_data.p, server_data.n);
    }
    base64_put(out, bytes, NONCE_AKA_SIZE + server_data.n);
}

enum error nonce_parse(struct span nonce, uint8_t rand[16], uint8_t autn[16]) {
    uint8_t bytes[NONCE_AKA_SIZE + NONCE_SERVER_DATA_MAX];
    size_t n = 0;
    enum error e = base64_decode(nonce, bytes, sizeof bytes, &n);
    if (e) {
        return e;
    }
    if (n < NONCE_AKA_SIZE) {
        return ERR_MALFORMED;
    }
    memcpy(rand, bytes, 16);
    memcpy(autn, bytes + 16, 16);
    return OK;
}

void nonce_put_auts(struct buf *out, const uint8_t auts[14]) {
    base64_put(out, auts, 14);
}

enum error nonce_parse_auts(struct span text, uint8_t auts[14]) {
    uint8_t bytes[14];
    size_t n = 0;
    if (base64_decode(text, bytes, sizeof bytes, &n) || n != sizeof bytes) {
        return ERR_MALFORMED;
    }
    memcpy(auts, bytes, sizeof bytes);
    return OK;
}
