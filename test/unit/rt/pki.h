/* An authority for tests, and what it issues: keys of Ed25519, so that all certificates of equal
 * names are equally long and simulations stay equal. */
#ifndef TEST_RT_PKI_H
#define TEST_RT_PKI_H

#include "rt/tls.h"

struct pki;

/** A new authority of this name. */
struct pki *pki_new(const char *name);

/** Frees it. */
void pki_free(struct pki *p);

/** Its own certificate, PEM; valid as long as it. */
struct span pki_trust(const struct pki *p);

/** What an authority issued, as PEM. */
struct pki_issued {
    char certificate[4096], key[512];
};

/** A certificate: common_name may be NULL; alternatives as OpenSSL writes them
 * ("DNS:a.example,URI:sip:b.example"), or NULL; valid between two times, in seconds since 1970. */
struct pki_issued pki_issue_between(struct pki *p, const char *common_name,
                                    const char *alternatives, int64_t from_s, int64_t to_s);

/** The same, valid from 2020 to 2120. */
struct pki_issued pki_issue(struct pki *p, const char *common_name, const char *alternatives);

/** A context with what was issued (NULL: nothing) that trusts an authority. */
struct tls_context *pki_context(const struct pki_issued *own, const struct pki *trusted,
                                enum tls_client_certificate client);

/** A context for a node of this DNS name that trusts its own authority. */
struct tls_context *pki_node(struct pki *p, const char *name, enum tls_client_certificate client);

#endif
