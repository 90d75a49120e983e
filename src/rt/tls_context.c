/* Certificate, key and trust: from PEM to what OpenSSL wants. */
#include "rt/tls_internal.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

/* Forward secrecy and authenticated encryption; TLS 1.3 has nothing else. */
#define CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM"

#define HANDSHAKE_US (10 * SEC_IN_US)

enum { CLIENT_AUTHORITIES_MAX = 64 };

static const char *part_name(enum tls_part part) {
    static const char *const names[] = {[TLS_PART_PEER] = "peer",
                                        [TLS_PART_CERTIFICATE] = "certificate",
                                        [TLS_PART_KEY] = "key",
                                        [TLS_PART_TRUST] = "trust"};
    return names[part];
}

static bool is_there(const struct tls_pem *pem) {
    return pem->path != NULL || pem->text.n > 0;
}

static const char *name_of(const struct tls_pem *pem) {
    return pem->path ? pem->path : "the text given";
}

static enum error bad_file(struct tls_problem *p, enum tls_part part, const struct tls_pem *pem,
                           const char *why, enum error e) {
    ERR_clear_error();
    tls_problem_set(p, TLS_FAULT_FILE, part, "%s of TLS: %s: %s", part_name(part), name_of(pem),
                    why);
    return e;
}

/* The PEM of a part as something that OpenSSL reads. */
static enum error pem_open(const struct tls_pem *pem, enum tls_part part, BIO **out,
                           struct tls_problem *problem) {
    errno = 0;
    *out =
        pem->path ? BIO_new_file(pem->path, "r") : BIO_new_mem_buf(pem->text.p, (int)pem->text.n);
    if (*out) {
        return OK;
    }
    int error = errno;
    enum error e = pem->path && error ? error_from_errno(error) : ERR_NO_MEMORY;
    return bad_file(problem, part, pem, e == ERR_NO_MEMORY ? error_text(e) : strerror(error), e);
}

/* A key behind a pass phrase cannot be used by a server that starts by itself. */
static int no_pass_phrase(char *buf, int size, int rwflag, void *encrypted) {
    (void)buf, (void)size, (void)rwflag;
    *(bool *)encrypted = true;
    return -1;
}

static enum error use_certificate(SSL_CTX *ssl, const struct tls_pem *pem,
                                  struct tls_problem *problem) {
    BIO *in;
    enum error e = pem_open(pem, TLS_PART_CERTIFICATE, &in, problem);
    if (e) {
        return e;
    }
    X509 *own = PEM_read_bio_X509_AUX(in, NULL, NULL, NULL);
    if (!own || SSL_CTX_use_certificate(ssl, own) != 1) {
        const char *why = ERR_reason_error_string(ERR_peek_last_error());
        e = bad_file(problem, TLS_PART_CERTIFICATE, pem,
                     own && why ? why : "holds no PEM certificate", ERR_MALFORMED);
    }
    X509_free(own);
    for (X509 *ca; !e && (ca = PEM_read_bio_X509(in, NULL, NULL, NULL)) != NULL;) {
        if (SSL_CTX_add0_chain_cert(ssl, ca) != 1) {
            X509_free(ca);
            e = bad_file(problem, TLS_PART_CERTIFICATE, pem, "its chain cannot be used",
                         ERR_MALFORMED);
        }
    }
    ERR_clear_error(); /* the end of the file */
    BIO_free(in);
    return e;
}

static enum error use_key(SSL_CTX *ssl, const struct tls_config *c, struct tls_problem *problem) {
    BIO *in;
    bool encrypted = false;
    enum error e = pem_open(&c->key, TLS_PART_KEY, &in, problem);
    if (e) {
        return e;
    }
    EVP_PKEY *key = PEM_read_bio_PrivateKey(in, NULL, no_pass_phrase, &encrypted);
    BIO_free(in);
    if (!key) {
        return bad_file(problem, TLS_PART_KEY, &c->key,
                        encrypted ? "is protected by a pass phrase; store it without"
                                  : "holds no PEM private key",
                        ERR_MALFORMED);
    }
    if (X509_check_private_key(SSL_CTX_get0_certificate(ssl), key) != 1 ||
        SSL_CTX_use_PrivateKey(ssl, key) != 1) {
        tls_problem_set(problem, TLS_FAULT_KEY, TLS_PART_KEY,
                        "key of TLS: %s is not the key of the certificate %s", name_of(&c->key),
                        name_of(&c->certificate));
        e = ERR_INVALID;
    }
    EVP_PKEY_free(key);
    ERR_clear_error();
    return e;
}

static enum error use_trust(SSL_CTX *ssl, const struct tls_pem *pem, struct tls_problem *problem) {
    if (!is_there(pem)) {
        return SSL_CTX_set_default_verify_paths(ssl) == 1 ? OK : ERR_NO_MEMORY;
    }
    BIO *in;
    enum error e = pem_open(pem, TLS_PART_TRUST, &in, problem);
    if (e) {
        return e;
    }
    X509_STORE *store = SSL_CTX_get_cert_store(ssl);
    int n = 0;
    for (X509 *ca; !e && (ca = PEM_read_bio_X509(in, NULL, NULL, NULL)) != NULL; n++) {
        if (X509_STORE_add_cert(store, ca) != 1 ||
            (n < CLIENT_AUTHORITIES_MAX && SSL_CTX_add_client_CA(ssl, ca) != 1)) {
            e = ERR_NO_MEMORY;
        }
        X509_free(ca);
    }
    BIO_free(in);
    if (n == 0) {
        e = bad_file(problem, TLS_PART_TRUST, pem, "holds no PEM certificate", ERR_MALFORMED);
    }
    ERR_clear_error();
    return e;
}

static enum error ssl_ctx_new(const struct tls_config *c, SSL_CTX **out,
                              struct tls_problem *problem) {
    static const unsigned char id[] = "muster";
    SSL_CTX *ssl = SSL_CTX_new(TLS_method());
    if (!ssl || SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION) != 1 ||
        SSL_CTX_set_cipher_list(ssl, CIPHERS) != 1 ||
        SSL_CTX_set_session_id_context(ssl, id, sizeof id - 1) != 1) {
        SSL_CTX_free(ssl);
        return ERR_NO_MEMORY;
    }
    SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA |
                                 SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF); /* tickets resume without a store */
    SSL_CTX_set_dh_auto(ssl, 1);
    enum error e = is_there(&c->certificate) ? use_certificate(ssl, &c->certificate, problem) : OK;
    if (!e && is_there(&c->certificate)) {
        e = use_key(ssl, c, problem);
    }
    if (!e) {
        e = use_trust(ssl, &c->trust, problem);
    }
    if (e) {
        SSL_CTX_free(ssl);
        return e;
    }
    *out = ssl;
    return OK;
}

static void look_at_key(struct tls_context *t) {
    struct stat s;
    struct tls_problem p = {.text = ""};
    if (t->files.key.path && stat(t->files.key.path, &s) == 0 && (s.st_mode & S_IROTH)) {
        tls_problem_set(&p, TLS_FAULT_NONE, TLS_PART_KEY,
                        "key of TLS: %s can be read by everybody on this machine; chmod 600",
                        t->files.key.path);
    }
    memcpy(t->warning, p.text, sizeof t->warning);
}

static bool copy_path(const struct tls_pem *from, struct tls_pem *to) {
    *to = (struct tls_pem){0};
    if (from->path) {
        to->path = strdup(from->path);
        return to->path != NULL;
    }
    char *text = from->text.n ? malloc(from->text.n) : NULL;
    if (text) {
        memcpy(text, from->text.p, from->text.n);
        to->text = span_of(text, from->text.n);
    }
    return text || from->text.n == 0;
}

/* A copy's memory; what was a key is cleared. */
static void free_copy(struct tls_pem *pem) {
    union {
        const char *kept;
        char *owned;
    } path = {.kept = pem->path}, text = {.kept = pem->text.p};
    free(path.owned);
    if (text.owned) {
        OPENSSL_cleanse(text.owned, pem->text.n);
        free(text.owned);
    }
}

enum error tls_context_new(const struct tls_config *config, struct tls_context **out,
                           struct tls_problem *problem) {
    *problem = (struct tls_problem){0};
    if (is_there(&config->certificate) != is_there(&config->key)) {
        bool key = is_there(&config->key);
        tls_problem_set(problem, TLS_FAULT_FILE, key ? TLS_PART_CERTIFICATE : TLS_PART_KEY,
                        "certificate and key of TLS belong together: the %s is missing",
                        key ? "certificate" : "key");
        return ERR_INVALID;
    }
    struct tls_context *t = calloc(1, sizeof *t);
    if (!t) {
        return ERR_NO_MEMORY;
    }
    t->users = 1;
    t->client = config->client;
    t->handshake_us = config->handshake_us ? config->handshake_us : HANDSHAKE_US;
    t->bio = tls_bio_method();
    enum error e = t->bio && copy_path(&config->certificate, &t->files.certificate) &&
                           copy_path(&config->key, &t->files.key) &&
                           copy_path(&config->trust, &t->files.trust)
                       ? ssl_ctx_new(config, &t->ssl, problem)
                       : ERR_NO_MEMORY;
    if (e) {
        tls_context_free(t);
        return e;
    }
    look_at_key(t);
    *out = t;
    return OK;
}

enum error tls_context_reload(struct tls_context *t, struct tls_problem *problem) {
    *problem = (struct tls_problem){0};
    SSL_CTX *ssl;
    enum error e = ssl_ctx_new(&t->files, &ssl, problem);
    if (e) {
        return e;
    }
    SSL_CTX_free(t->ssl);
    t->ssl = ssl;
    look_at_key(t);
    return OK;
}

struct tls_context *tls_context_hold(struct tls_context *t) {
    t->users++;
    return t;
}

void tls_context_free(struct tls_context *t) {
    if (!t || --t->users > 0) {
        return;
    }
    SSL_CTX_free(t->ssl);
    BIO_meth_free(t->bio);
    free_copy(&t->files.certificate);
    free_copy(&t->files.key);
    free_copy(&t->files.trust);
    free(t);
}

const char *tls_context_warning(const struct tls_context *t) {
    return t->warning;
}

int64_t tls_context_expires_s(const struct tls_context *t) {
    X509 *own = SSL_CTX_get0_certificate(t->ssl);
    struct tm tm;
    return own && ASN1_TIME_to_tm(X509_get0_notAfter(own), &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

bool tls_context_is(const struct tls_context *t, struct span name) {
    X509 *own = SSL_CTX_get0_certificate(t->ssl);
    return own && tls_certificate_is(own, name);
}

const struct tls_counters *tls_context_counters(const struct tls_context *t) {
    return &t->counters;
}
