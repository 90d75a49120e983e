/* Private to TLS: what contexts and streams share. */
#ifndef MUSTER_RT_TLS_INTERNAL_H
#define MUSTER_RT_TLS_INTERNAL_H

#include "rt/tls.h"

#include <openssl/ssl.h>

struct tls_context {
    unsigned users; /* whoever made it, its listeners and streams */
    SSL_CTX *ssl;   /* replaced by tls_context_reload; streams hold their own reference */
    BIO_METHOD *bio;
    enum tls_client_certificate client;
    uint64_t handshake_us;
    struct tls_config files; /* what to read again; strings owned */
    struct tls_counters counters;
    char warning[240];
};

/** One more user of a context. */
struct tls_context *tls_context_hold(struct tls_context *t);

/** The functions by which OpenSSL reads and writes a stream's records. */
BIO_METHOD *tls_bio_method(void);

/** Says in words what a verification found: X509_V_ERR_... */
void tls_problem_from_verification(struct tls_problem *p, int error, X509 *certificate);

/** Says what OpenSSL's queue of errors means, and empties it. */
void tls_problem_from_queue(struct tls_problem *p);

/** Sets a problem. */
void tls_problem_set(struct tls_problem *p, enum tls_fault fault, enum tls_part part,
                     const char *format, ...) PRINTF_LIKE(4, 5);

/** Is a certificate for a name? Names as rt/tls.h says. */
bool tls_certificate_is(X509 *certificate, struct span name);

/** The first name of a certificate, cut to cap - 1 bytes and escaped; "" if it has none. */
void tls_certificate_name(X509 *certificate, char *out, size_t cap);

#endif
