/* RFC 4169 section 3. */
#include "crypto/akav2.h"

#include "crypto/aka.h"
#include "crypto/base64.h"

#include <openssl/crypto.h>
#include <openssl/hmac.h>

enum error akav2_password_make(enum digest_hash hash, struct span res, const uint8_t ik[16],
                               const uint8_t ck[16], struct akav2_password *out) {
    static const struct span label = SPAN_INIT("http-digest-akav2-password");
    uint8_t key[AKA_RES_MAX + 32], sum[32];
    unsigned size = sizeof sum;
    if (res.n < 4 || res.n > AKA_RES_MAX) {
        return ERR_INVALID;
    }
    memcpy(key, res.p, res.n);
    memcpy(key + res.n, ik, 16);
    memcpy(key + res.n + 16, ck, 16);
    const EVP_MD *md = hash == DIGEST_SHA256 ? EVP_sha256() : EVP_md5();
    bool done = HMAC(md, key, (int)(res.n + 32), (const uint8_t *)label.p, label.n, sum, &size);
    if (done) {
        struct buf text = buf_init(out->text, sizeof out->text);
        base64_put(&text, sum, size);
        out->n = (uint8_t)text.n;
    }
    OPENSSL_cleanse(key, sizeof key);
    OPENSSL_cleanse(sum, sizeof sum);
    return done ? OK : ERR_INTERNAL;
}
