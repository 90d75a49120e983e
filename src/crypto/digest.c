/* RFC 2617 section 3.2.2, RFC 7616 section 3.4, RFC 3310 sections 3.3 and 3.4. The session variants
 * (MD5-sess) and user name hashing are left out: neither TS 24.229 nor TS 33.203 uses them. */
#include "crypto/digest.h"

#include "crypto/compare.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

static const char *const hash_names[DIGEST_HASHES] = {
    [DIGEST_MD5] = "MD5",
    [DIGEST_SHA256] = "SHA2-256",
};

enum { HASH_MAX = 32 };

enum error digest_init(struct digest *d) {
    *d = (struct digest){0};
    d->context = EVP_MD_CTX_new();
    if (!d->context) {
        return ERR_NO_MEMORY;
    }
    for (size_t i = 0; i < DIGEST_HASHES; i++) {
        d->md[i] = EVP_MD_fetch(NULL, hash_names[i], NULL);
        if (!d->md[i]) {
            digest_free(d);
            return ERR_UNSUPPORTED;
        }
    }
    return OK;
}

void digest_free(struct digest *d) {
    for (size_t i = 0; i < DIGEST_HASHES; i++) {
        EVP_MD_free(d->md[i]);
    }
    EVP_MD_CTX_free(d->context);
    *d = (struct digest){0};
}

/* Hashes the parts, joined by colons. */
static enum error hash_joined(struct digest *d, enum digest_hash hash, const struct span *parts,
                              size_t n, struct digest_hex *out) {
    uint8_t sum[HASH_MAX];
    unsigned size = 0;
    int ok = EVP_DigestInit_ex2(d->context, d->md[hash], NULL);
    for (size_t i = 0; i < n && ok == 1; i++) {
        if (i) {
            ok = EVP_DigestUpdate(d->context, ":", 1);
        }
        if (ok == 1 && parts[i].n) {
            ok = EVP_DigestUpdate(d->context, parts[i].p, parts[i].n);
        }
    }
    if (ok != 1 || EVP_DigestFinal_ex(d->context, sum, &size) != 1) {
        return ERR_INTERNAL;
    }
    struct buf text = buf_init(out->text, sizeof out->text);
    buf_hex(&text, sum, size);
    out->n = (uint8_t)text.n;
    OPENSSL_cleanse(sum, sizeof sum);
    return OK;
}

enum error digest_ha1(struct digest *d, enum digest_hash hash, struct span username,
                      struct span realm, struct span password, struct digest_hex *ha1) {
    const struct span parts[] = {username, realm, password};
    return hash_joined(d, hash, parts, COUNT_OF(parts), ha1);
}

enum error digest_response(struct digest *d, const struct digest_hex *ha1,
                           const struct digest_request *request, struct digest_hex *response) {
    struct digest_hex ha2, body;
    struct span a2[3] = {request->method, request->uri};
    size_t n = 2;
    if (request->qop == DIGEST_QOP_AUTH_INT) {
        enum error e = hash_joined(d, request->hash, &request->body, 1, &body);
        if (e) {
            return e;
        }
        a2[n++] = digest_hex_span(&body);
    }
    enum error e = hash_joined(d, request->hash, a2, n, &ha2);
    if (e) {
        return e;
    }
    if (request->qop == DIGEST_QOP_NONE) {
        const struct span parts[] = {digest_hex_span(ha1), request->nonce, digest_hex_span(&ha2)};
        return hash_joined(d, request->hash, parts, COUNT_OF(parts), response);
    }
    const struct span parts[] = {
        digest_hex_span(ha1),
        request->nonce,
        request->nc,
        request->cnonce,
        span_from_cstr(digest_qop_name(request->qop)),
        digest_hex_span(&ha2),
    };
    return hash_joined(d, request->hash, parts, COUNT_OF(parts), response);
}

enum error digest_check(struct digest *d, const struct digest_hex *ha1,
                        const struct digest_request *request, struct span response) {
    struct digest_hex expected;
    char lower[sizeof expected.text];
    enum error e = digest_response(d, ha1, request, &expected);
    if (e) {
        return e;
    }
    if (response.n != expected.n) {
        return ERR_AUTHENTICATION;
    }
    for (size_t i = 0; i < response.n; i++) {
        lower[i] = response.p[i];
        if (lower[i] >= 'A' && lower[i] <= 'F') {
            lower[i] |= 0x20;
        }
    }
    return compare_secret(span_of(lower, response.n), digest_hex_span(&expected))
               ? OK
               : ERR_AUTHENTICATION;
}

bool digest_qop_parse(struct span text, enum digest_qop *out) {
    if (span_is_empty(text)) {
        *out = DIGEST_QOP_NONE;
    } else if (span_eq_nocase(text, SPAN("auth"))) {
        *out = DIGEST_QOP_AUTH;
    } else if (span_eq_nocase(text, SPAN("auth-int"))) {
        *out = DIGEST_QOP_AUTH_INT;
    } else {
        return false;
    }
    return true;
}

bool digest_qop_choose(struct span list, enum digest_qop *out) {
    if (span_is_empty(span_trim(list))) {
        *out = DIGEST_QOP_NONE;
        return true;
    }
    bool found = false;
    while (list.p) {
        enum digest_qop qop;
        struct span item = span_trim(span_cut(&list, ','));
        if (!span_is_empty(item) && digest_qop_parse(item, &qop) && (!found || qop < *out)) {
            *out = qop;
            found = true;
        }
    }
    return found;
}

const char *digest_qop_name(enum digest_qop qop) {
    return qop == DIGEST_QOP_AUTH ? "auth" : qop == DIGEST_QOP_AUTH_INT ? "auth-int" : "";
}
