/* A Diameter node: peers, routing, requests and answers. RFC 6733, RFC 3539.
 *
 * One struct diameter belongs to one node instance and lives in its loop. It listens if told so,
 * connects to the peers that it shall connect to, keeps the connections alive, and carries requests
 * and answers. It knows no application; what a request means is its owner's business.
 *
 * Asking:
 *
 *     struct diameter_route route = {.application = CX_APPLICATION,
 *                                    .command = CX_COMMAND_USER_AUTHORIZATION, .realm = realm};
 *     struct diameter_builder *b = diameter_request_begin(d, &route);
 *     cx_uar_encode(b, &uar);
 *     enum error e = diameter_request_send(d, &handler, ctx, &pending);
 *
 * Answering, in the request handler or any time later:
 *
 *     struct diameter_builder *b = diameter_answer_begin(rq);
 *     cx_uaa_encode(b, &uaa);
 *     diameter_answer_send(rq);                  // or diameter_answer_fault,
 * diameter_answer_result
 */
#ifndef MUSTER_STACK_DIAMETER_DIAMETER_NODE_H
#define MUSTER_STACK_DIAMETER_DIAMETER_NODE_H

#include "codec/diameter/diameter.h"
#include "rt/tls.h"

struct diameter;
struct diameter_request; /* a request that came and has not been answered */
struct diameter_pending; /* a request that was sent and has not been answered */

/** An application that the node takes part in. */
struct diameter_application {
    uint32_t id;
    uint32_t vendor; /* announced in Vendor-Specific-Application-Id; 0: in Auth-Application-Id */
};

/** A peer. Only configured peers are served (hardening of Cx: keys go to nobody else). One that
 * is only reached through agents is a peer, too, without `connect`. */
struct diameter_peer_config {
    struct span host;         /* its Origin-Host, compared without regard to case */
    struct span realm;        /* its Origin-Realm, to which it serves; empty: our own */
    struct addr address;      /* where to connect to; also, if its family is not 0, the only address
                               * (port disregarded) from which it may connect */
    bool connect;             /* we connect; if both do, the election of 5.6.4 decides */
    bool tls;                 /* over TLS only: so we connect, and so he must */
    bool agent;               /* a relay or proxy, of any realm: requests that no peer serves go to
                               * it. Requests of other hosts may come through it, if they are peers,
                               * too: what each may send is its own (commands), one with tls is
                               * served through an agent over TLS only, and one with an address that
                               * we do not connect to not through an agent at all. */
    unsigned priority;        /* lower is preferred; equal ones take turns */
    const uint32_t *commands; /* requests that it may send; NULL: any, and none of an agent's own.
                               * Others get 5003. */
    size_t n_commands;
};

struct diameter_config {
    struct span host;              /* Origin-Host: our DiameterIdentity */
    struct span realm;             /* Origin-Realm */
    const struct addr *listen;     /* plain; NULL: nobody connects to us so; port 0: any free one */
    const struct addr *listen_tls; /* the same over TLS from the first byte (13) */
    struct tls_context *tls;     /* needed for listen_tls and for peers over TLS; outlives the node;
                                  * as a listener it should require certificates */
    struct addr host_ip_address; /* for CER and CEA; family 0: the connection's own address */
    uint32_t vendor_id;          /* of the product; 0 is fine */
    struct span product_name;    /* empty: "Muster" */
    const struct diameter_application *applications;
    size_t n_applications;
    const struct diameter_peer_config *peers;
    size_t n_peers;
    /* 0 in any of these takes the value in brackets. */
    uint64_t watchdog_us;      /* Tw of RFC 3539 [30 s]; raised to 6 s if it is less; each has
                                * jitter of up to a fifteenth */
    uint64_t reconnect_min_us; /* first delay before connecting again; doubles, with jitter [1 s] */
    uint64_t reconnect_max_us; /* Tc of RFC 6733 [30 s] */
    uint64_t capabilities_us;  /* patience with connecting, CER and CEA [10 s] */
    uint64_t request_timeout_us; /* default patience with an answer [8 s] */
    uint64_t stop_us;            /* patience with DPAs at the end [2 s] */
    size_t pending_max;          /* requests outstanding in all [10,000] */
    size_t incoming_max;         /* requests taken and not yet answered; beyond: 3004 [10,000] */
    size_t duplicates_max_bytes; /* answers kept for repeated requests [4 MiB] */
    uint64_t duplicates_us;      /* how long they are kept at most [60 s] */
};

/** What the owner is told. */
struct diameter_handler {
    /** A request came. msg and its bytes stay valid until rq is answered or freed. */
    void (*request)(void *ctx, struct diameter_request *rq, const struct diameter_msg *msg);
    /** A peer can be used now, or no longer. May be NULL. host is the configured name. */
    void (*peer)(void *ctx, struct span host, bool up);
};

/** Counters since the start, for metrics and tests. */
struct diameter_counters {
    uint64_t requests_sent, requests_received, answers_sent, answers_received;
    uint64_t resent;        /* with the T flag, on another connection */
    uint64_t timeouts;      /* requests that got no answer in time */
    uint64_t unroutable;    /* requests for which there was no peer */
    uint64_t duplicates;    /* repeated requests that got the kept answer, or none of their own */
    uint64_t stray_answers; /* nobody had asked, or they came too late; dropped */
    uint64_t malformed;     /* messages that were answered with a fault, or dropped */
    uint64_t framing_lost;  /* streams closed because no message can be found in them */
    uint64_t refused_peers; /* CERs answered with an error, or from addresses not allowed */
    uint64_t refused_certificates; /* of these, for a certificate of somebody else, or none */
    uint64_t refused_commands;     /* requests that their origin may not send, or not this way */
    uint64_t origin_mismatch;      /* messages whose Origin-Host is not the peer's */
    uint64_t failovers;            /* times that a peer's pending requests were moved */
    uint64_t watchdog_losses;      /* connections given up because nothing came any more */
    uint64_t connects, connect_failures;
    uint64_t busy;    /* requests refused with 3004 */
    uint64_t crowded; /* connections closed because too many had not said whose they are */
};

/** What a peer is doing, for status pages. */
struct diameter_peer_status {
    struct span host;
    const char *state;    /* of the peer state machine: "I-Open" */
    const char *watchdog; /* of RFC 3539: "OKAY" */
    struct addr remote;   /* family 0 without a connection */
    bool tls;             /* the connection is over TLS */
    bool usable;          /* requests are sent there */
    size_t pending;       /* of them, without an answer yet */
};

/** Makes a node and starts it: listens, begins to connect. The config's strings and arrays are kept
 * by reference and must outlive the node. ERR_INVALID: a peer is there twice, or the names are not
 * DiameterIdentities; ERR_ADDRESS_IN_USE, ERR_PERMISSION, ERR_NO_MEMORY. */
MUST_CHECK enum error diameter_new(struct env *env, const struct diameter_config *config,
                                   const struct diameter_handler *handler, void *ctx,
                                   struct diameter **out);

/** Drops everything without a word, as a crash does: no callback comes any more, requests that came
 * and pending ones are freed. NULL is allowed. */
void diameter_free(struct diameter *d);

/** Ends gracefully: no new requests (they fail with ERR_CLOSED, incoming ones get 3002), DPR to all
 * peers, and done is called when all connections are closed, after stop_us at the latest, never
 * within this call. Free it then. Pending requests fail with ERR_CLOSED. */
void diameter_stop(struct diameter *d, void (*done)(void *ctx), void *ctx);

/** Where it listens; family 0 if it does not. */
struct addr diameter_address(const struct diameter *d);

/** The same for TLS. */
struct addr diameter_tls_address(const struct diameter *d);

/** Adds a peer while running (a copy is made of the struct; strings and arrays by reference).
 * ERR_EXISTS, ERR_NO_MEMORY. */
MUST_CHECK enum error diameter_peer_add(struct diameter *d,
                                        const struct diameter_peer_config *peer);

/** The counters; valid as long as the node. */
const struct diameter_counters *diameter_counters(const struct diameter *d);

/** Calls each for every peer. */
void diameter_each_peer(const struct diameter *d,
                        void (*each)(void *ctx, const struct diameter_peer_status *status),
                        void *ctx);

/** Is there a peer to which a request for this application and realm could go now? */
bool diameter_is_routable(const struct diameter *d, uint32_t application, struct span realm);

/* Asking. */

/** Where a request goes: to the peer named host if it is one; else by realm and application. */
struct diameter_route {
    uint32_t application;
    uint32_t command;
    struct span realm;      /* Destination-Realm; needed */
    struct span host;       /* Destination-Host; may be empty */
    struct span session_id; /* empty: a new one is made */
    uint64_t timeout_us;    /* 0: the config's */
};

/** Exactly one of these is called, once, never within diameter_request_send; none after
 * diameter_cancel. */
struct diameter_answer_handler {
    /** The answer, also one with an error. It is well-formed as a message; its content is not
     * checked. Valid until this returns. */
    void (*answer)(void *ctx, const struct diameter_msg *msg);
    /** There is no answer: ERR_TIMEOUT, ERR_UNREACHABLE (connection lost, no other peer),
     * ERR_CLOSED (the node stops). The server may have done what was asked. */
    void (*failed)(void *ctx, enum error why);
};

/** Begins a request; the AVPs are appended to what it returns. The envelope has a new Session-Id,
 * our Origin, and the route's Destination. One message at a time: the next begin forgets it. */
struct diameter_builder *diameter_request_begin(struct diameter *d,
                                                const struct diameter_route *route);

/** Sends what was begun. handler must live until it is called. out may be NULL; else it gets a
 * handle for diameter_cancel, valid until the handler is called. Errors, after which the handler is
 * not called: ERR_UNREACHABLE (no peer), ERR_BUSY (pending_max), ERR_TOO_BIG, ERR_CLOSED,
 * ERR_NO_MEMORY. */
MUST_CHECK enum error diameter_request_send(struct diameter *d,
                                            const struct diameter_answer_handler *handler,
                                            void *ctx, struct diameter_pending **out);

/** Forgets a request: its handler is not called; the answer is dropped when it comes. */
void diameter_cancel(struct diameter_pending *p);

/** The Session-Id of a request that was sent; for logs. */
struct span diameter_pending_session_id(const struct diameter_pending *p);

/* Answering. A request must be answered or freed, at any time, but not after diameter_free. */

/** The request's message. */
const struct diameter_msg *diameter_request_msg(const struct diameter_request *rq);

/** Memory that lives until the request is answered or freed: for cx_..._decode. */
struct arena *diameter_request_arena(struct diameter_request *rq);

/** The configured name of the peer it came from; empty if that connection is gone. */
struct span diameter_request_peer(const struct diameter_request *rq);

/** Begins the answer. The envelope has the request's Session-Id and Proxy-Info and our Origin. One
 * message at a time: the next begin forgets it. */
struct diameter_builder *diameter_answer_begin(struct diameter_request *rq);

/** Sends what was begun for it and frees rq. If the connection is gone the answer is kept for the
 * request's repetition. An answer that outgrows DIAMETER_MESSAGE_MAX becomes 5012. */
void diameter_answer_send(struct diameter_request *rq);

/** Answers with a fault (Result-Code, Error-Message, Failed-AVP; the E bit for 3xxx) and frees rq.
 */
void diameter_answer_fault(struct diameter_request *rq, const struct diameter_fault *fault);

/** Answers with a result alone, besides what every answer of an application with a vendor carries
 * (Vendor-Specific-Application-Id, Auth-Session-State), and frees rq. message says why, to people
 * (Error-Message, RFC 6733 7.3); empty: nothing. */
void diameter_answer_result(struct diameter_request *rq, struct diameter_result result,
                            struct span message);

/** Frees rq; if it has not been answered, answers 5012. NULL is allowed. */
void diameter_request_free(struct diameter_request *rq);

#endif
