#include "pki.h"

#include <assert.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

struct pki {
    EVP_PKEY *key;
    X509 *certificate;
    long serial;
    char pem[2048];
};

/* Arguments with effects stay when assertions go. */
static void must(bool good) {
    if (!good) {
        abort();
    }
}

static size_t drain(BIO *b, char *out, size_t cap) {
    int n = BIO_read(b, out, (int)cap - 1);
    must(n > 0 && (size_t)n < cap - 1);
    out[n] = '\0';
    BIO_free(b);
    return (size_t)n;
}

static void extend(X509 *c, X509 *issuer, int nid, const char *value) {
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, issuer, c, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    must(e && X509_add_ext(c, e, -1) == 1);
    X509_EXTENSION_free(e);
}

static X509 *make(EVP_PKEY *key, const char *name, long serial, int64_t from_s, int64_t to_s) {
    X509 *c = X509_new();
    must(c && X509_set_version(c, X509_VERSION_3) == 1);
    must(ASN1_INTEGER_set(X509_get_serialNumber(c), serial) == 1);
    must(ASN1_TIME_set(X509_getm_notBefore(c), (time_t)from_s) != NULL);
    must(ASN1_TIME_set(X509_getm_notAfter(c), (time_t)to_s) != NULL);
    must(X509_set_pubkey(c, key) == 1);
    if (name) {
        must(X509_NAME_add_entry_by_txt(X509_get_subject_name(c), "CN", MBSTRING_ASC,
                                        (const unsigned char *)name, -1, -1, 0) == 1);
    }
    return c;
}

#define FROM_S INT64_C(1577836800) /* 2020-01-01 */
#define TO_S   INT64_C(4733510400) /* 2120-01-01 */

struct pki *pki_new(const char *name) {
    struct pki *p = calloc(1, sizeof *p);
    must(p);
    p->key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    must(p->key);
    p->certificate = make(p->key, name, 1, FROM_S, TO_S);
    must(X509_set_issuer_name(p->certificate, X509_get_subject_name(p->certificate)) == 1);
    extend(p->certificate, p->certificate, NID_basic_constraints, "critical,CA:TRUE");
    extend(p->certificate, p->certificate, NID_subject_key_identifier, "hash");
    must(X509_sign(p->certificate, p->key, NULL) > 0);
    BIO *b = BIO_new(BIO_s_mem());
    must(PEM_write_bio_X509(b, p->certificate) == 1);
    drain(b, p->pem, sizeof p->pem);
    return p;
}

void pki_free(struct pki *p) {
    EVP_PKEY_free(p->key);
    X509_free(p->certificate);
    free(p);
}

struct span pki_trust(const struct pki *p) {
    return span_from_cstr(p->pem);
}

struct pki_issued pki_issue_between(struct pki *p, const char *common_name,
                                    const char *alternatives, int64_t from_s, int64_t to_s) {
    struct pki_issued out;
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    must(key);
    X509 *c = make(key, common_name, 100 + p->serial++, from_s, to_s);
    must(X509_set_issuer_name(c, X509_get_subject_name(p->certificate)) == 1);
    extend(c, p->certificate, NID_authority_key_identifier, "keyid");
    if (alternatives) {
        extend(c, p->certificate, NID_subject_alt_name, alternatives);
    }
    must(X509_sign(c, p->key, NULL) > 0);
    BIO *b = BIO_new(BIO_s_mem());
    must(PEM_write_bio_X509(b, c) == 1);
    drain(b, out.certificate, sizeof out.certificate);
    b = BIO_new(BIO_s_mem());
    must(PEM_write_bio_PrivateKey(b, key, NULL, NULL, 0, NULL, NULL) == 1);
    drain(b, out.key, sizeof out.key);
    X509_free(c);
    EVP_PKEY_free(key);
    return out;
}

struct pki_issued pki_issue(struct pki *p, const char *common_name, const char *alternatives) {
    return pki_issue_between(p, common_name, alternatives, FROM_S, TO_S);
}

struct tls_context *pki_context(const struct pki_issued *own, const struct pki *trusted,
                                enum tls_client_certificate client) {
    struct tls_config config = {.trust.text = pki_trust(trusted), .client = client};
    if (own) {
        config.certificate.text = span_from_cstr(own->certificate);
        config.key.text = span_from_cstr(own->key);
    }
    struct tls_context *t;
    struct tls_problem problem;
    enum error e = tls_context_new(&config, &t, &problem);
    if (e) {
        fprintf(stderr, "%s: %s\n", error_name(e), problem.text);
        abort();
    }
    return t;
}

struct tls_context *pki_node(struct pki *p, const char *name, enum tls_client_certificate client) {
    char alternatives[300];
    snprintf(alternatives, sizeof alternatives, "DNS:%s", name);
    struct pki_issued own = pki_issue(p, NULL, alternatives);
    return pki_context(&own, p, client);
}
