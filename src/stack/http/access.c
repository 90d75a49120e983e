/* Tokens are long and random, so one SHA-256 is enough to keep: there is nothing to guess. */
#include "stack/http/access.h"

#include "base/buf.h"
#include "crypto/base64.h"
#include "crypto/compare.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

static const char *const rights[] = {
    [WEB_READ] = "read", [WEB_WRITE] = "write", [WEB_ADMIN] = "admin"};

const char *web_right_name(enum web_right right) {
    return rights[right];
}

bool web_right_parse(struct span word, enum web_right *out) {
    for (enum web_right r = WEB_READ; r <= WEB_ADMIN; r++) {
        if (span_eq(word, span_from_cstr(rights[r]))) {
            *out = r;
            return true;
        }
    }
    return false;
}

bool web_token_name_ok(struct span name) {
    static const char others[] = "-._@";

    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');

        if (!plain && (i == 0 || !c || !strchr(others, c))) {
            return false;
        }
    }
    return name.n > 0 && name.n <= WEB_TOKEN_NAME_MAX;
}

enum error web_token_hash(struct span token, uint8_t out[WEB_TOKEN_HASH]) {
    unsigned n = WEB_TOKEN_HASH;

    return EVP_Digest(token.p ? token.p : "", token.n, out, &n, EVP_sha256(), NULL) == 1
               ? OK
               : ERR_INTERNAL;
}

enum error web_token_new(char out[WEB_TOKEN_TEXT + 8]) {
    uint8_t bytes[32];
    struct buf b = buf_init(out, WEB_TOKEN_TEXT + 7);

    if (RAND_bytes(bytes, sizeof bytes) != 1) {
        return ERR_INTERNAL;
    }
    buf_cstr(&b, "muster_");
    base64_put(&b, bytes, sizeof bytes);
    OPENSSL_cleanse(bytes, sizeof bytes);
    while (b.n && b.p[b.n - 1] == '=') {
        b.n--;
    }
    for (size_t i = 0; i < b.n; i++) { /* the alphabet that needs no quoting anywhere */
        b.p[i] = b.p[i] == '+' ? '-' : b.p[i] == '/' ? '_' : b.p[i];
    }
    out[b.n] = '\0';
    return b.overflow ? ERR_INTERNAL : OK;
}

const struct web_token *web_token_find(const struct web_token *tokens, size_t n,
                                       struct span authorization) {
    static const struct span scheme = SPAN_INIT("Bearer ");
    const struct web_token *found = NULL;
    uint8_t hash[WEB_TOKEN_HASH];

    if (!span_starts_with_nocase(authorization, scheme) ||
        web_token_hash(span_trim(span_after(authorization, scheme.n)), hash) != OK) {
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        if (compare_secret(span_of(tokens[i].hash, sizeof hash), span_of(hash, sizeof hash))) {
            found = &tokens[i];
        }
    }
    return found;
}
