/* TLS: streams whose bytes nobody else can read or change, between ends that know each other.
 *
 * A TLS stream is an ordinary struct stream (rt/env.h) over another one, so that it works alike
 * over sockets, between nodes of one loop and in the simulation. What is sent and received is the
 * plain text; bounds of backlog and of what a reader leaves lying are those of plain streams.
 * Versions are TLS 1.3 and 1.2, ciphers those with forward secrecy and authenticated encryption.
 *
 * A context is the own certificate and key, and whom to trust. A stream that connects names the
 * peer that it wants; the certificate must be for that name, or the stream never stands
 * (ERR_AUTHENTICATION). A listener gives streams whose handshake is done; who is at the other end
 * says tls_peer_is. Of STREAM_BACKLOG_MAX a TLS stream leaves TLS_BACKLOG_ROOM for its own needs.
 *
 * Names (RFC 5922 7, RFC 6125 6): a certificate is for the DNS names and for the hosts of the
 * SIP URIs without user part in its subjectAltName; for its common name only if it has neither.
 * Compared without regard to case; no wildcards.
 *
 * Validity is judged by env_wall_us, so by the virtual clock in the simulation. */
#ifndef MUSTER_RT_TLS_H
#define MUSTER_RT_TLS_H

#include "rt/env.h"

struct tls_context;

/** PEM from a file or from memory. Neither: absent. */
struct tls_pem {
    const char *path;
    struct span text; /* used if path is NULL */
};

/** What a listener wants of those who connect. */
enum tls_client_certificate {
    TLS_CLIENT_ANYBODY,  /* no certificate is asked for: terminals */
    TLS_CLIENT_VERIFIED, /* one is asked for and, if shown, must be good */
    TLS_CLIENT_REQUIRED, /* a good one or no connection: between nodes */
};

struct tls_config {
    struct tls_pem certificate;         /* own certificate first, then its chain; may be absent in a
                                         * context that only connects */
    struct tls_pem key;                 /* of the certificate */
    struct tls_pem trust;               /* authorities; absent: those of the system */
    enum tls_client_certificate client; /* for listeners */
    uint64_t handshake_us;              /* patience with connecting and handshake; 0: ten seconds */
};

/** What can be wrong with TLS, for logs, counters and advice. */
enum tls_fault {
    TLS_FAULT_NONE,
    TLS_FAULT_EXPIRED,         /* the peer's certificate is not valid any more */
    TLS_FAULT_NOT_YET_VALID,   /* or not yet: often a wrong clock */
    TLS_FAULT_UNKNOWN_ISSUER,  /* no way from it to an authority that is trusted here */
    TLS_FAULT_WRONG_NAME,      /* it is somebody else's */
    TLS_FAULT_BAD_CERTIFICATE, /* something else is wrong with it */
    TLS_FAULT_NO_CERTIFICATE,  /* the peer showed none */
    TLS_FAULT_REFUSED,         /* the peer does not like ours: its alert */
    TLS_FAULT_NO_COMMON,       /* no common version or cipher */
    TLS_FAULT_NOT_TLS,         /* what came is not TLS, or broken */
    TLS_FAULT_SLOW,            /* no handshake in time */
    TLS_FAULT_CLOSED,          /* the connection ended in the middle of the handshake */
    TLS_FAULT_FILE,            /* of a context: a file cannot be read or is not PEM of the kind */
    TLS_FAULT_KEY,             /* of a context: key and certificate do not belong together */
};

/** Why something did not work, in words that say what to look at. */
struct tls_problem {
    enum tls_fault fault;
    enum tls_part { TLS_PART_PEER, TLS_PART_CERTIFICATE, TLS_PART_KEY, TLS_PART_TRUST } part;
    char text[240]; /* printable ASCII, no line end */
};

/** The fault's stable name: "expired", "unknown-issuer", "wrong-name". Never NULL. */
const char *tls_fault_name(enum tls_fault f);

/** Reads certificate, key and trust and makes a context of them. Paths and text are not needed
 * afterwards, except the paths for tls_context_reload, which are copied. ERR_NOT_FOUND,
 * ERR_PERMISSION, ERR_MALFORMED, ERR_INVALID (key of another certificate), ERR_NO_MEMORY; *problem
 * then says which part and why. */
MUST_CHECK enum error tls_context_new(const struct tls_config *config, struct tls_context **out,
                                      struct tls_problem *problem);

/** Reads the files of a context again: new connections use what they hold now, those that stand
 * go on. On an error the context stays as it is. */
MUST_CHECK enum error tls_context_reload(struct tls_context *t, struct tls_problem *problem);

/** Frees it. Listeners and streams made with it may live on. NULL is allowed. */
void tls_context_free(struct tls_context *t);

/** What is unwise about it though it works ("the key in FILE can be read by everybody"), or an
 * empty string. */
const char *tls_context_warning(const struct tls_context *t);

/** When the own certificate ends, seconds since 1970; 0 without a certificate. */
int64_t tls_context_expires_s(const struct tls_context *t);

/** Is the own certificate for this name? */
bool tls_context_is(const struct tls_context *t, struct span name);

/** As env_listen. accept is called once the handshake is done and the peer is verified as the
 * context demands; at most TLS_HANDSHAKES_MAX are under way, for one more the oldest is closed.
 * Handshakes that fail are logged and counted, and the owner does not hear of them. ERR_INVALID for
 * a context without a certificate. */
MUST_CHECK enum error env_listen_tls(struct env *env, struct tls_context *tls,
                                     const struct addr *local, listener_accept_fn *accept,
                                     void *ctx, struct listener **out);

enum { TLS_HANDSHAKES_MAX = 1024, TLS_BACKLOG_ROOM = 32768 };

/** As env_stream_connect, to a peer whose certificate must be for `name` (a host name, a domain, or
 * an IP address literal, which a subjectAltName of that kind must have); it also goes into the
 * server name indication. connected is called when the handshake is done. closed may also say
 * ERR_AUTHENTICATION (the peer's certificate, or ours in its eyes), ERR_UNSUPPORTED (no common
 * version or cipher), ERR_MALFORMED (not TLS), and tls_problem_of in it says more. ERR_INVALID for
 * an empty name or one longer than 255 bytes. */
MUST_CHECK enum error env_stream_connect_tls(struct env *env, struct tls_context *tls,
                                             const struct addr *remote, struct span name,
                                             const struct stream_handler *handler, void *ctx,
                                             struct stream **out);

/** Is it a TLS stream? */
bool stream_is_tls(const struct stream *s);

/** Has the peer a verified certificate, and is it for this name? False for plain streams. */
bool tls_peer_is(const struct stream *s, struct span name);

/** The verified name of the peer: the one that was asked for when connecting, else the first name
 * of its certificate. Empty if it showed none, and for plain streams. Valid as long as the stream.
 */
struct span tls_peer_name(const struct stream *s);

/** What went wrong with a stream; for `closed`. Its fault is TLS_FAULT_NONE if nothing did, and for
 * plain streams. Valid as long as the stream. */
const struct tls_problem *tls_problem_of(const struct stream *s);

/** "TLSv1.3", and "" for plain streams. */
const char *tls_version_of(const struct stream *s);

/** What contexts have seen, for metrics. */
struct tls_counters {
    uint64_t accepted, connected; /* handshakes that were done */
    uint64_t resumed;             /* of these, with an earlier session */
    uint64_t failed;              /* handshakes that came to nothing */
    uint64_t refused_peers;       /* of these, for the peer's certificate or its absence */
    uint64_t crowded;             /* connections closed because too many handshakes ran */
};

/** The counters; valid as long as the context. */
const struct tls_counters *tls_context_counters(const struct tls_context *t);

#endif
