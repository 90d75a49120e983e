/* SIP Digest at the S-CSCF: TS 24.229 5.4.1.2.1B, 5.4.1.2.2A, 5.4.1.2.3B; TS 33.203 annex N; RFC
 * 7616 as RFC 8760 has it for SIP.
 *
 * Choices: a nonce is 24 random bytes, bound to the private identity that it was made for, and
 * lives for a time; each response must carry a nonce count higher than all before, so that nothing
 * counts twice; when half of its life has passed, the 200 brings the next nonce. A response without
 * qop is wrong: it could be replayed. The parameter uri is taken as the terminal writes it, since
 * the Request-URI has changed on the way. */
#include "crypto/base64.h"
#include "node/scscf/internal.h"

#include <openssl/crypto.h>
#include <stdlib.h>

enum { HEX_MD5 = 32, HEX_SHA256 = 64, REALM_MAX = 255 };

static void make_nonce(struct scscf *s, struct digest_offer *d) {
    uint8_t random[SCSCF_NONCE_SIZE / 4 * 3];
    struct buf nonce = buf_init(d->nonce, sizeof d->nonce);
    env_random(s->env, random, sizeof random);
    base64_put(&nonce, random, sizeof random);
    d->born_us = env_now_us(s->env);
}

/* It stays while one nonce follows the other: Authentication-Info has no word for it. */
static void make_opaque(struct scscf *s, struct digest_offer *d) {
    uint8_t random[SCSCF_OPAQUE_SIZE / 2];
    struct buf opaque = buf_init(d->opaque, sizeof d->opaque);
    env_random(s->env, random, sizeof random);
    buf_hex(&opaque, random, sizeof random);
}

/* Digest-QoP may be a list. False: it has nothing that is known. */
static bool read_qops(struct span list, unsigned *out) {
    *out = 0;
    while (list.p) {
        enum digest_qop qop;
        struct span item = span_trim(span_cut(&list, ','));
        if (item.n && digest_qop_parse(item, &qop)) {
            *out |= 1u << qop;
        }
    }
    return *out != 0;
}

/* One algorithm with its HA1, if it is one that may be offered. False: broken. */
static bool take_ha1(struct digest_offer *d, struct span algorithm, struct span ha1,
                     unsigned algorithms, unsigned *offered) {
    enum auth_algorithm a;
    if (ha1.n == 0 || !auth_algorithm_parse(algorithm, &a) || !(algorithms & AUTH_BIT(a))) {
        return true;
    }
    bool sha256 = auth_algorithm_is_sha256(a);
    if (ha1.n != (sha256 ? HEX_SHA256 : HEX_MD5)) {
        return false;
    }
    struct digest_hex *out = &d->ha1[sha256 ? DIGEST_SHA256 : DIGEST_MD5];
    for (size_t i = 0; i < ha1.n; i++) {
        char c = ha1.p[i];
        bool upper = c >= 'A' && c <= 'F';
        if (!upper && !(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'f')) {
            return false;
        }
        out->text[i] = upper ? (char)(c | 0x20) : c;
    }
    out->n = (uint8_t)ha1.n;
    *offered |= AUTH_BIT(a);
    return true;
}

enum error digest_offer_new(struct scscf *s, const struct cx_sip_digest_authenticate *from,
                            unsigned algorithms, struct digest_offer **out, unsigned *offered) {
    unsigned qops;
    *offered = 0;
    algorithms &= AUTH_DIGEST;
    if (from->digest_realm.n == 0 || from->digest_realm.n > REALM_MAX ||
        !read_qops(from->digest_qop, &qops)) {
        return ERR_INVALID;
    }
    struct digest_offer *d = (struct digest_offer *)calloc(1, sizeof *d + from->digest_realm.n);
    if (!d) {
        return ERR_NO_MEMORY;
    }
    d->qops = qops;
    d->realm_n = from->digest_realm.n;
    memcpy(d->realm, from->digest_realm.p, d->realm_n);
    enum error e = OK;
    if (!take_ha1(d, from->digest_algorithm, from->digest_ha1, algorithms, offered) ||
        !take_ha1(d, from->alternate_digest_algorithm, from->alternate_digest_ha1, algorithms,
                  offered)) {
        e = ERR_INVALID;
    } else if (*offered == 0) {
        e = ERR_UNSUPPORTED;
    }
    if (e != OK) {
        digest_offer_free(d);
        return e;
    }
    make_nonce(s, d);
    make_opaque(s, d);
    *out = d;
    return OK;
}

struct digest_offer *digest_offer_next(struct scscf *s, const struct digest_offer *d) {
    struct digest_offer *next = (struct digest_offer *)malloc(sizeof *d + d->realm_n);
    if (next) {
        memcpy(next, d, sizeof *d + d->realm_n);
        next->nc = 0;
        make_nonce(s, next);
    }
    return next;
}

void digest_offer_free(struct digest_offer *d) {
    if (d) {
        OPENSSL_cleanse(d, sizeof *d);
        free(d);
    }
}

bool digest_offer_is(const struct digest_offer *d, struct span nonce) {
    return span_eq(nonce, span_of(d->nonce, sizeof d->nonce));
}

bool digest_offer_is_old(const struct scscf *s, const struct digest_offer *d) {
    return env_now_us(s->env) - d->born_us >= s->config.digest_nonce_s * SEC_IN_US / 2;
}

/* RFC 7616 3.4: eight hexadecimal digits; 0: broken, since counting begins with 1. */
static uint32_t read_nc(struct span text) {
    uint8_t bytes[4];
    if (text.n != 8 || !span_to_bytes(text, bytes, sizeof bytes)) {
        return 0;
    }
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

/* The parameters that have to be what the challenge said. */
static bool fits(const struct sip_auth *auth, const struct digest_offer *d, unsigned offered,
                 enum auth_algorithm *algorithm, struct digest_request *r) {
    char text[REALM_MAX];
    struct buf realm = buf_init(text, sizeof text);
    sip_unquote(&realm, auth->realm);
    return auth_algorithm_parse(auth->algorithm, algorithm) &&
           (offered & AUTH_DIGEST & AUTH_BIT(*algorithm)) && !realm.overflow &&
           span_eq(buf_span(&realm), span_of(d->realm, d->realm_n)) &&
           (!auth->opaque.n || span_eq(auth->opaque, span_of(d->opaque, sizeof d->opaque))) &&
           digest_qop_parse(auth->qop, &r->qop) && r->qop != DIGEST_QOP_NONE &&
           (d->qops & 1u << r->qop) && auth->cnonce.n && read_nc(auth->nc);
}

enum challenge_credentials digest_offer_judge(struct operation *op, struct digest_offer *d,
                                              unsigned offered) {
    struct digest *digest = &op->s->digest;
    const struct sip_auth *auth = &op->auth;
    enum auth_algorithm algorithm;
    struct digest_request r = {.method = SPAN_INIT("REGISTER"),
                               .uri = auth->uri,
                               .nonce = auth->nonce,
                               .nc = auth->nc,
                               .cnonce = auth->cnonce,
                               .body = sip_server_request(op->up)->body};
    if (!fits(auth, d, offered, &algorithm, &r)) {
        return CREDENTIALS_WRONG;
    }
    r.hash = auth_algorithm_is_sha256(algorithm) ? DIGEST_SHA256 : DIGEST_MD5;
    if (digest_check(digest, &d->ha1[r.hash], &r, auth->response) != OK) {
        return CREDENTIALS_WRONG;
    }
    uint32_t nc = read_nc(auth->nc);
    if (nc <= d->nc) {
        return CREDENTIALS_REPLAYED;
    }
    d->nc = nc;
    r.method = SPAN_NONE; /* rspauth: RFC 7616 3.5 */
    r.body = SPAN_NONE;
    if (digest_response(digest, &d->ha1[r.hash], &r, &op->rspauth) != OK) {
        op->rspauth.n = 0;
    }
    return CREDENTIALS_RIGHT;
}

void digest_offer_put(struct buf *b, const struct digest_offer *d, enum auth_algorithm algorithm,
                      bool stale) {
    bool both = d->qops == (1u << DIGEST_QOP_AUTH | 1u << DIGEST_QOP_AUTH_INT);
    buf_cstr(b, "Digest realm=");
    sip_put_quoted(b, span_of(d->realm, d->realm_n));
    buf_cstr(b, ", nonce=\"");
    buf_bytes(b, d->nonce, sizeof d->nonce);
    buf_cstr(b, "\", opaque=\"");
    buf_bytes(b, d->opaque, sizeof d->opaque);
    buf_cstr(b, "\", algorithm=");
    buf_put(b, auth_algorithm_name(algorithm));
    buf_cstr(b, ", qop=\"");
    buf_cstr(b, both ? "auth,auth-int"
                     : digest_qop_name(d->qops & 1u << DIGEST_QOP_AUTH ? DIGEST_QOP_AUTH
                                                                       : DIGEST_QOP_AUTH_INT));
    buf_char(b, '"');
    if (stale) {
        buf_cstr(b, ", stale=true");
    }
}
