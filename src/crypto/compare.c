#include "crypto/compare.h"

#include <openssl/crypto.h>

bool compare_secret(struct span a, struct span b) {
    return a.n == b.n && (a.n == 0 || CRYPTO_memcmp(a.p, b.p, a.n) == 0);
}
