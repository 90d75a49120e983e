/* Keep-alives that we send (RFC 5626 4.4, 3.5; asked for by RFC 6223): they show that the other end
 * of a flow is there, and keep the ways of NATs between open. Over UDP a Binding request of STUN,
 * over streams two empty lines that are answered by one. The other side's half is the stack's own:
 * it answers both. */
#ifndef MUSTER_STACK_SIP_KEEP_ALIVE_H
#define MUSTER_STACK_SIP_KEEP_ALIVE_H

#include "stack/sip/sip_stack.h"

struct connection; /* connection.c */

/** The way that messages of a transaction take, or keep-alives. */
struct sip_path {
    struct sip_hop to;
    struct span host; /* for TLS: whom the certificate must name; empty: the address */
    uint8_t endpoint;
    struct connection *connection; /* that they go over; NULL: none yet, or it has gone */
    struct list in_connection;
    bool counted; /* among the requests that are under way on it */
    /** The connection broke; with the path without one. NULL: nobody needs to know. */
    void (*broken)(struct sip_path *path, enum error why);
};

enum { SIP_KEEP_ALIVE_ID = 12 };

/** A flow that is kept alive. A member of whatever cares; zeroed before its first use. */
struct sip_keep_alive {
    struct sip_stack *stack; /* NULL: stopped */
    struct sip_path path;
    struct timer timer;
    struct list in_stack;
    uint64_t interval_us;
    unsigned sent;     /* of the question that is out; 0: none is */
    uint64_t pongs;    /* of the connection, before it */
    uint64_t answered; /* ever, for tests */
    uint8_t id[SIP_KEEP_ALIVE_ID];
    bool is_mapped;
    struct addr mapped; /* how the other end sees us */
    void (*failed)(struct sip_keep_alive *k, enum error why);
};

/** Begins: to a hop, from an endpoint, with `seconds` between (at least 1), each a little earlier
 * by chance (RFC 5626 4.4: 80 to 100 %). host as in sip_client_expect, kept by the caller. Over a
 * stream the connection that stands to the hop is meant; without one this is a failure at once.
 *
 * failed is called once, from the loop, and it is stopped then: ERR_TIMEOUT, nothing came back
 * (over UDP after 7 attempts in 39.5 s, over a stream after 10 s); ERR_CLOSED, the connection is
 * gone, or a NAT gave us another address. Nothing if it runs to the same hop already, but for
 * `seconds`. */
void sip_keep_alive_start(struct sip_keep_alive *k, struct sip_stack *stack, unsigned endpoint,
                          const struct sip_hop *to, struct span host, uint32_t seconds,
                          void (*failed)(struct sip_keep_alive *k, enum error why));

/** Ends it. Nothing if it does not run. */
void sip_keep_alive_stop(struct sip_keep_alive *k);

#endif
