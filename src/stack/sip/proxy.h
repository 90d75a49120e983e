/* A stateful proxy for one target at a time (RFC 3261 section 16), and for the next one when it
 * fails (RFC 3263 4.3): what P-CSCF and I-CSCF are built on. It copies the request with edits, puts
 * the stack's Via on top, counts Max-Forwards down, and relays what comes back, its own Via taken
 * off. It never recurses on 3xx. */
#ifndef MUSTER_STACK_SIP_PROXY_H
#define MUSTER_STACK_SIP_PROXY_H

#include "stack/sip/sip_stack.h"

struct sip_proxy; /* one request that is on its way */

/** What a callback decides about a response or a failure. */
enum sip_proxy_verdict {
    SIP_PROXY_RELAY, /* go on as the proxy does by itself */
    SIP_PROXY_TAKEN, /* the callback deals with it: it has answered `up`, or forwards it elsewhere,
                      * or keeps it to do so later; the forwarding is over (final response,
                      * failure), or the provisional response is swallowed */
    SIP_PROXY_NEXT,  /* a final response by which the hop says that it is out of order: the next hop
                      * is tried. Only when sip_proxy_has_next */
};

struct sip_proxy_handler {
    /** A response came from the target. edits is empty and has the changes to relay it with. NULL:
     * relayed unchanged. 100 is not shown and not relayed. */
    enum sip_proxy_verdict (*response)(void *ctx, struct sip_proxy *proxy, struct sip_server *up,
                                       const struct sip_msg *response, struct sip_edits *edits);
    /** What became of a hop: OK, it answered; ERR_TIMEOUT, ERR_UNREACHABLE and others, it did not,
     * and the next one is tried if there is one. May be NULL. */
    void (*hop)(void *ctx, const struct sip_hop *hop, enum error result);
    /** No final response came in time (ERR_TIMEOUT: timers B, F, C), or the request could not be
     * sent (ERR_UNREACHABLE and others), and no other hop is left. NULL or SIP_PROXY_RELAY:
     * answered with 408 to an INVITE, else 504 (RFC 4320 forbids 408), and 503 when it could not be
     * sent. */
    enum sip_proxy_verdict (*failed)(void *ctx, struct sip_proxy *proxy, struct sip_server *up,
                                     enum error why);
    /** The forwarding is over in whatever way, and proxy is gone when this returns; the last
     * callback. May be NULL. Not called by sip_proxy_free. */
    void (*ended)(void *ctx, struct sip_proxy *proxy);
};

/** Where to and how changed. */
struct sip_forward {
    struct sip_hop to;
    unsigned endpoint;            /* to send from; see sip_client_begin */
    struct span host;             /* that was looked up; see sip_client_expect */
    struct span uri;              /* new Request-URI; empty: as received */
    struct sip_edits edits;       /* on top of what the proxy does by itself: Via, Max-Forwards */
    const struct sip_hop *others; /* to try after `to`, one after the other; copied */
    size_t n_others;              /* 0: that one alone */
    uint64_t patience_us; /* how long a hop may be silent while there is another; 0: timer F or B */
    uint64_t total_us;    /* no other hop is tried after so long; 0: no bound */
    const struct span *body; /* in place of the received one; NULL: as received. With a new body,
                              * the edits set Content-Type */
};

/** Is there another hop to which this request could be sent? */
bool sip_proxy_has_next(const struct sip_proxy *proxy);

/** Checks that a proxy makes before it forwards (RFC 3261 16.3): a scheme that we know in the
 * Request-URI (416), Max-Forwards above 0 (483), the request was not here before (482). False: the
 * request has been answered, and tx is consumed. sip_proxy_forward makes the same check by itself.
 */
MUST_CHECK bool sip_proxy_may_forward(struct sip_server *up);

/** Forwards. up belongs to the proxy until its callbacks give it back (SIP_PROXY_TAKEN) or it is
 * answered. On an error (ERR_NO_MEMORY, ERR_TOO_BIG, ERR_BUSY) up still belongs to the caller, who
 * answers it; ERR_REFUSED: sip_proxy_may_forward said no, up is consumed. For an INVITE, 100 is
 * sent upstream at once, and timer C guards it. out may be NULL. */
MUST_CHECK enum error sip_proxy_forward(struct sip_server *up, const struct sip_forward *forward,
                                        const struct sip_proxy_handler *handler, void *ctx,
                                        struct sip_proxy **out);

/** The client cancelled upstream (from the stack handler's `cancelled`): passes it on, if up is
 * being forwarded; else answers 487. */
void sip_proxy_cancel(struct sip_server *up);

/** Abandons the forwarding silently; up is answered 500 by being freed. NULL is allowed. */
void sip_proxy_free(struct sip_proxy *proxy);

/** Forwards an ACK for a 2xx, without state (RFC 3261 16.11), with the same changes as a request.
 */
enum error sip_proxy_forward_ack(struct sip_stack *stack, const struct sip_msg *ack,
                                 const struct sip_forward *forward);

/** Does the first Route value name this node, so that it must be taken off (RFC 3261 16.4)? host
 * and port are those of the node; without a port, 5060 is meant. */
bool sip_route_is_own(const struct sip_msg *msg, struct span host, uint16_t port);

#endif
