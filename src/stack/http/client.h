/* A blocking HTTP client over libcurl, for commands that talk to a running Muster. Never used in a
 * node. */
#ifndef MUSTER_STACK_HTTP_CLIENT_H
#define MUSTER_STACK_HTTP_CLIENT_H

#include "base/error.h"
#include "base/span.h"

struct web_call {
    const char *method; /* "GET", "POST", ... */
    const char *url;    /* http:// or https://; proxies are never used */
    const char *token;  /* shown as Authorization: Bearer; NULL: none */
    const char *trust;  /* https: file of authorities, PEM; NULL: those of the system */
    struct span content_type;
    struct span body;
    const char *wanted_header; /* whose value goes into the reply; NULL: none */
    unsigned timeout_s;        /* for the whole exchange; 0: 30 s */
};

struct web_reply {
    unsigned status;
    char *body; /* NUL-terminated for convenience; freed by web_reply_free */
    size_t body_n;
    char header[64]; /* the one that was wanted; empty: it was not there, or is longer */
};

enum { WEB_REPLY_MAX = 256 << 20 }; /* the client refuses longer answers */

/** Asks and waits. OK for every HTTP status. ERR_UNREACHABLE: nobody listens there; ERR_CLOSED: the
 * connection ended before the answer; ERR_TIMEOUT; ERR_TOO_BIG; ERR_INVALID: no such URL; ERR_IO;
 * ERR_AUTHENTICATION: the certificate is not that of the host, or not of an authority in trust;
 * ERR_NOT_FOUND: trust cannot be read; ERR_NO_MEMORY. After an error *out is empty. */
MUST_CHECK enum error web_client_call(const struct web_call *call, struct web_reply *out);

struct web_client;
struct web_exchange;

/** A client that has several exchanges under way at a time, over connections that it keeps. */
MUST_CHECK enum error web_client_new(struct web_client **out);

/** Begins an exchange and sends what can be sent at once. The body stays the caller's and unchanged
 * until web_client_end. ERR_NO_MEMORY. */
MUST_CHECK enum error web_client_begin(struct web_client *client, const struct web_call *call,
                                       struct web_exchange **out);

/** Waits for the answer, and goes on with the other exchanges meanwhile; ends the exchange. Results
 * and errors as of web_client_call. */
MUST_CHECK enum error web_client_end(struct web_exchange *exchange, struct web_reply *out);

/** Closes the connections; exchanges must have ended. NULL is allowed. */
void web_client_free(struct web_client *client);

/** Frees what web_client_call or web_client_end filled in. */
void web_reply_free(struct web_reply *reply);

#endif
