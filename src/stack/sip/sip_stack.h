/* The SIP stack of one node: its endpoints over UDP, TCP and TLS, and the transactions over them
 * (RFC 3261 sections 17 and 18 with RFC 6026, RFC 3581, RFC 4320). Timers that guard against loss
 * are zero for destinations that lose nothing (streams, dgram_is_reliable).
 *
 * Connections belong to the stack. A request to a hop goes over the connection that stands to it,
 * whoever made it, or a new one; an answer over the connection that the request came by while it
 * stands, else over one to where the Via points (18.2.2). A hop that was the source of a terminal's
 * request names its connection, as a flow (RFC 5626). When a connection breaks, transactions that
 * wait on it fail at once.
 *
 * Messages that cannot be read, or are beyond the limits, are answered (or dropped) by the stack
 * itself, without state. A node sees requests once: repetitions are the stack's business.
 *
 * Building: sip_reply_begin and sip_client_begin give a buffer in which the message begins; the
 * caller appends header lines (codec/sip/build.h) and calls the matching send. One message is built
 * at a time: between begin and send nothing else of the same stack is begun. */
#ifndef MUSTER_STACK_SIP_SIP_STACK_H
#define MUSTER_STACK_SIP_SIP_STACK_H

#include "codec/sip/build.h"
#include "codec/sip/transport.h"
#include "rt/env.h"
#include "stack/sip/admission.h"

struct sip_stack;
struct sip_server;  /* a server transaction: a request that came in and waits for its answer */
struct sip_client;  /* a client transaction: a request that went out */
struct tls_context; /* rt/tls.h */

enum { SIP_ENDPOINTS_MAX = 4 };

struct sip_stack_config {
    struct sip_hop local[SIP_ENDPOINTS_MAX]; /* where to listen; the first is the default endpoint.
                                              * Port 0: any; further ones then take the same */
    unsigned n_local;                        /* at least 1 */
    unsigned dgram_flags;                    /* of env_dgram_open, all endpoints */
    struct tls_context *tls; /* for endpoints over TLS, which are not opened without; without a
                              * certificate in it they only connect; outlives the stack */
    struct span sent_by; /* what own Vias say instead of the endpoint's address: "pcscf.home:5060",
                          * for endpoints of another port with that; empty: the address. Kept by the
                          * caller */
    bool rport;          /* own Vias ask for rport (terminals do) */
    bool keep;           /* own Vias offer keep-alives (RFC 6223; keep_alive.h) */
    uint32_t keep_s;     /* seconds between those that are wanted of who offers them; 0: none are */
    struct span agent;   /* Server header of answers; empty: none. Kept by the caller */
    struct sip_limits limits;
    /** Option tags that this node understands in Proxy-Require; others are refused with 420. Empty
     * strings end the list; NULL: nothing is understood. */
    const char *const *proxy_supported;
    /** The same for Require, for nodes that answer requests themselves; NULL: Require is not looked
     * at (a proxy, RFC 3261 16.3). */
    const char *const *supported;
    uint64_t t1_us, t2_us, t4_us, timer_c_us; /* 0: 500 ms, 4 s, 5 s, 181 s */
    size_t answers_max_bytes; /* what answers of finished transactions may take; the oldest go
                               * first; 0: 4 MiB */
    size_t transactions_max;  /* unfinished ones, both kinds; above: 503; 0: 100,000 */
    size_t datagram_max; /* longer requests go over TCP if this stack has an endpoint for it and the
                          * peer takes the connection (18.1.1); 0: 1,300; SIZE_MAX: never */
    size_t connections_max; /* both directions; above, the oldest that has not sent a whole message
                             * gives way, or the new one is closed; 0: 65,536 */
    size_t connection_pending_max; /* requests under way that came by one connection that was made
                                    * to us: it is not read from then, and what was read already
                                    * gets 503; 0: any number (other nodes' connections carry
                                    * everybody's) */
    uint32_t idle_s;               /* silent connections are closed after so long; 0: 900 */
    struct sip_admission_policy admission; /* of requests under overload; zeroed: all */
    bool faces_terminals;                  /* answers over UDP amplify nothing (amplification.h) */
    uint32_t partial_s; /* patience with a message that is not complete, with a new connection that
                         * says nothing, and with a reader that takes nothing; 0: 20 */
};

/** Where a node listens, as its configuration says it. */
struct sip_listening {
    struct addr addr; /* UDP and TCP */
    struct addr tls_addr;
    unsigned transports;     /* those to open: bits 1U << enum sip_transport; 0: UDP and TCP */
    struct tls_context *tls; /* outlives the stack */
    size_t connections_max, datagram_max;
    uint32_t idle_s;                       /* all three as in struct sip_stack_config */
    struct sip_admission_policy admission; /* likewise */
};

/** Makes endpoints of it: UDP first, if it is spoken, then TCP, then TLS. */
void sip_stack_listen_on(struct sip_stack_config *config, const struct sip_listening *listening);

/** The transports that it opens, never 0. */
unsigned sip_listening_transports(const struct sip_listening *listening);

/** Who gets what comes in. Callbacks may free transactions and begin others. */
struct sip_stack_handler {
    /** A new request other than ACK and CANCEL. tx belongs to the node from now on: it answers, or
     * frees it. req lives as long as tx. */
    void (*request)(void *ctx, struct sip_server *tx, const struct sip_msg *req);
    /** The client gave up on an INVITE that has no final answer yet (the CANCEL itself is
     * answered); the node answers it, 487 as a rule. NULL: the stack answers 487. */
    void (*cancelled)(void *ctx, struct sip_server *tx);
    /** An ACK that belongs to no transaction: one for a 2xx, valid until return. NULL: dropped. */
    void (*ack)(void *ctx, struct sip_stack *stack, const struct sip_msg *ack,
                const struct sip_hop *from);
    /** How much a new request matters, asked under overload only, before anything is kept of it;
     * class is what it says of itself. NULL: that counts. */
    enum sip_class (*classify)(void *ctx, const struct sip_hop *from, enum sip_class class);
    /** Is it certain that who is at this address hears what is sent there? Asked by stacks that
     * face terminals, of answers larger than their credit (amplification.h). NULL: of nobody. */
    bool (*hears)(void *ctx, const struct addr *at);
};

/** What happened, for metrics. */
struct sip_stack_counters {
    uint64_t received_requests[SIP_METHOD_COUNT]; /* new ones */
    uint64_t sent_requests[SIP_METHOD_COUNT];     /* new ones */
    uint64_t received_responses[7];               /* by class; [0] other */
    uint64_t sent_responses[7];                   /* by class */
    uint64_t received_again;                  /* repeated requests, answered from the transaction */
    uint64_t sent_again;                      /* repeats of ours, both kinds */
    uint64_t malformed;                       /* unreadable: answered or dropped */
    uint64_t too_large;                       /* beyond the limits */
    uint64_t stray_responses, stray_requests; /* that belong to no transaction */
    uint64_t timeouts;                        /* timers B, F, H */
    uint64_t busy;                            /* refused for transactions_max */
    uint64_t shed[SIP_CLASSES];               /* refused for overload (admission.h), by class */
    uint64_t dropped;                         /* of them, without an answer */
    uint64_t connection_busy;                 /* for connection_pending_max */
    uint64_t overloads;                       /* times that overload began */
    uint64_t amplifying_dropped;              /* answers not sent (amplification.h) */
    uint64_t unanswered;                      /* freed by the node without an answer: 500 */
    uint64_t answers_dropped;                 /* pushed out of the cache before their time */
    uint64_t send_failures;
    uint64_t accepted, connected; /* connections that came about, by either side */
    uint64_t connect_failures;    /* connections of ours that did not */
    uint64_t connections_refused; /* for connections_max */
    uint64_t connections_idle;    /* closed for silence, or an unfinished message */
    uint64_t slow_readers;        /* closed because they took nothing */
    uint64_t unframed;            /* closed because the end of a message could not be told */
    uint64_t keep_alives;         /* answered: empty lines, STUN */
    uint64_t switched_to_tcp;     /* requests too long for a datagram */
    size_t connections;           /* now */
    size_t transactions;          /* now */
    size_t answers;               /* now in the cache */
    size_t answers_bytes;         /* what they take */
};

/** Opens the endpoints. config's strings and lists are kept by the caller. ERR_ADDRESS_IN_USE,
 * ERR_PERMISSION, ERR_NO_MEMORY. */
MUST_CHECK enum error sip_stack_new(struct env *env, const struct sip_stack_config *config,
                                    const struct sip_stack_handler *handler, void *ctx,
                                    struct sip_stack **out);

/** Drops everything silently, as a crash does: no answer, no callback. All sip_server and
 * sip_client of it are gone. NULL is allowed. */
void sip_stack_free(struct sip_stack *stack);

/** The address of an endpoint, with the port that was given to it. */
const struct addr *sip_stack_local(const struct sip_stack *stack, unsigned endpoint);

/** The first endpoint of this transport; -1 without one. */
int sip_stack_endpoint(const struct sip_stack *stack, enum sip_transport transport);

/** What own Vias and Contacts say: config's sent_by or the endpoint's address. Lives as long as the
 * stack. */
struct span sip_stack_sent_by(const struct sip_stack *stack, unsigned endpoint);

/** The counters, live. */
const struct sip_stack_counters *sip_stack_counters(const struct sip_stack *stack);

/** The environment that the stack was made with. */
struct env *sip_stack_env(const struct sip_stack *stack);

/** Appends 16 random hexadecimal digits: tags, Call-IDs, instance numbers. */
void sip_stack_put_token(struct sip_stack *stack, struct buf *b);

/** Somebody at this address has shown that he hears what is sent there: by the answer to a
 * challenge. For stacks that face terminals (amplification.h). */
void sip_stack_heard_by(struct sip_stack *stack, const struct addr *at);

/* Server side */

/** The request; lives as long as tx. */
const struct sip_msg *sip_server_request(const struct sip_server *tx);

/** Where it came from, really. While its connection stands, requests to this hop take it. */
const struct sip_hop *sip_server_source(const struct sip_server *tx);

/** The endpoint that it came to. */
unsigned sip_server_endpoint(const struct sip_server *tx);

/** The stack that it came to. */
struct sip_stack *sip_server_stack(const struct sip_server *tx);

/** Memory that lives as long as tx. */
struct arena *sip_server_arena(struct sip_server *tx);

/** What the node wants to remember with tx; NULL at first. */
void *sip_server_context(const struct sip_server *tx);
/** Sets it. */
void sip_server_set_context(struct sip_server *tx, void *context);

/** Has the client cancelled it? */
bool sip_server_is_cancelled(const struct sip_server *tx);

/** The To tag that answers carry. */
struct span sip_server_to_tag(struct sip_server *tx);

/** Begins an answer: status line, Via, From, To (with a tag of ours from 101 on), Call-ID, CSeq. An
 * empty reason gives the standard phrase. */
struct buf *sip_reply_begin(struct sip_server *tx, unsigned status, struct span reason);

/** Begins an answer that relays a response which came from further on: its start line and all its
 * header lines, its first Via taken off, with the edits (may be NULL). */
struct buf *sip_reply_begin_relay(struct sip_server *tx, const struct sip_msg *response,
                                  const struct sip_edits *edits);

/** Sends it. A final answer consumes tx, also when an error is returned; after a provisional one
 * the node goes on owning it. ERR_TOO_BIG: the answer outgrew the message limit, and 500 was sent
 * in its place. ERR_IO and others of dgram_send. */
enum error sip_reply_send(struct sip_server *tx, struct span body);

/** Begin and send without additions. */
enum error sip_reply(struct sip_server *tx, unsigned status, struct span reason);

/** Gives tx up: unanswered, it gets 500. NULL is allowed. */
void sip_server_free(struct sip_server *tx);

/* Client side */

/** What becomes of a request that went out. */
struct sip_client_handler {
    /** Each response, provisional ones included. After a final one tx is gone when this returns;
     * but after a 2xx to an INVITE more 2xx may come until `ended`. */
    void (*response)(void *ctx, struct sip_client *tx, const struct sip_msg *response);
    /** No final response in time (timers B, F); tx is gone when this returns. */
    void (*timeout)(void *ctx, struct sip_client *tx);
    /** The request could not be sent; tx is gone when this returns. NULL: timeout is called. */
    void (*transport_error)(void *ctx, struct sip_client *tx, enum error why);
    /** INVITE only: after a 2xx, no more will come (timer M); tx is gone. May be NULL. */
    void (*ended)(void *ctx, struct sip_client *tx);
};

/** Begins a request: start line and a Via of the stack's own with a new branch. The endpoint is
 * used if it has the hop's transport, else the first that has; nodes of the same loop are reached
 * by the queue whatever the hop says. NULL when memory is out or transactions_max is reached. *out
 * is unsent until sip_client_send; sip_client_free drops it. */
MUST_CHECK struct buf *sip_client_begin(struct sip_stack *stack, unsigned endpoint,
                                        const struct sip_hop *to, struct span method,
                                        struct span uri, struct sip_client **out);

/** The name that the certificate at the other end of a TLS hop must be for: the host that was
 * looked up (RFC 5922 4). Between begin and send; the name is copied. Without it, the hop's
 * address. */
void sip_client_expect(struct sip_client *tx, struct span name);

/** Sends it, with its body (may be empty). Errors of building come at once (ERR_TOO_BIG; tx is
 * gone); all else comes through the handler, never before this returns. The handler is kept by the
 * caller. */
MUST_CHECK enum error sip_client_send(struct sip_client *tx, struct span body,
                                      const struct sip_client_handler *handler, void *ctx);

/** Sends a request that needs no transaction: an ACK for a 2xx. Begin it with sip_client_begin. */
enum error sip_client_send_ack(struct sip_client *tx, struct span body);

/** Has the request time out earlier than timers B and F would have it: so long from now, unless an
 * answer comes (to an INVITE: any). Before the final answer, for a request that was sent. */
void sip_client_limit(struct sip_client *tx, uint64_t limit_us);

/** Cancels an INVITE (RFC 3261 9.1): at once if a provisional response has come, else as soon as
 * one comes. The INVITE's own answer (487) comes through its handler. Nothing for other methods. */
void sip_client_cancel(struct sip_client *tx);

/** Forgets the transaction: no callback comes any more; responses are strays. NULL is allowed. */
void sip_client_free(struct sip_client *tx);

/** Where the request went. */
const struct sip_hop *sip_client_destination(const struct sip_client *tx);

/** Memory that lives as long as tx. */
struct arena *sip_client_arena(struct sip_client *tx);

/* Without transactions */

/** Sends a response statelessly where its first Via (after taking ours off) points: a 2xx that is
 * repeated after the server transaction has gone. Strays to nowhere are dropped. */
enum error sip_stack_relay_response(struct sip_stack *stack, unsigned endpoint,
                                    const struct sip_msg *response, const struct sip_edits *edits);

#endif
