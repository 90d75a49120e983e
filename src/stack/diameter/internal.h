/* Private to stack/diameter: what its files share. node.c has the node, connection.c a transport
 * connection and who gets its messages, capabilities.c CER and CEA, peer.c the peer state machine,
 * watchdog.c RFC 3539, request.c what we ask, answer.c what we are asked, duplicates.c the answers
 * that are kept for repetitions. */
#ifndef MUSTER_STACK_DIAMETER_INTERNAL_H
#define MUSTER_STACK_DIAMETER_INTERNAL_H

#include "base/htab.h"
#include "spec/diameter_base.h"
#include "stack/diameter/diameter_node.h"

enum {
    RELAY_APPLICATION = 0xffffffff,
    FIRST_MESSAGE_MAX = 65536, /* of somebody who has not said who he is */
    STRANGERS_MAX = 256,       /* of them at a time; the oldest gives way */
    APPLICATIONS_MAX = 32,
};

/* A transport connection. */
struct connection {
    struct list in_node;
    struct list in_strangers; /* until a CER has been believed */
    struct diameter *d;
    struct peer *peer;                       /* NULL until a CER has said whose it is */
    struct stream *stream;                   /* NULL once it is gone */
    bool initiator;                          /* we connected */
    bool open;                               /* capabilities have been exchanged */
    bool broken;                             /* he does not read: it ends with the next turn */
    struct timer patience;                   /* with the CER */
    uint32_t cer_hop_by_hop, cer_end_to_end; /* to be answered once the election is decided */
    struct list incoming;                    /* struct diameter_request */
};

enum peer_state {
    PEER_CLOSED,
    PEER_WAIT_CONN_ACK,
    PEER_WAIT_I_CEA,
    PEER_WAIT_CONN_ACK_ELECT,
    PEER_WAIT_RETURNS,
    PEER_R_OPEN,
    PEER_I_OPEN,
    PEER_CLOSING,
};

enum peer_event {
    PEER_START,
    PEER_R_CONN_CER,
    PEER_I_CONN_ACK,
    PEER_I_CONN_NACK,
    PEER_I_RCV_CEA,
    PEER_I_RCV_NON_CEA,
    PEER_I_PEER_DISC,
    PEER_R_PEER_DISC,
    PEER_RCV_DPR,
    PEER_RCV_DPA,
    PEER_TIMEOUT,
    PEER_STOP,
    PEER_WIN_ELECTION,
    PEER_WATCHDOG_LOST,
};

enum watchdog_state {
    WATCHDOG_INITIAL,
    WATCHDOG_OKAY,
    WATCHDOG_SUSPECT,
    WATCHDOG_DOWN,
    WATCHDOG_REOPEN,
};

struct peer {
    struct list in_node;
    struct diameter *d;
    struct diameter_peer_config config;
    enum peer_state state;
    struct connection *i, *r; /* the one that we made, the one that he made */
    struct timer timer;       /* patience with connecting, CEA, DPA */
    struct timer reconnect;
    unsigned failures;       /* to connect, in a row */
    bool unwelcome;          /* his DPR said not to come back soon */
    bool told;               /* the owner has been told that he is up */
    uint32_t common;         /* applications that we share: bits by place in the configuration */
    uint32_t offered_common; /* the same of the CER or CEA that came last */
    bool has_origin_state_id, offered_state_id;
    uint32_t origin_state_id, offered_origin_state_id;
    /* RFC 3539 */
    enum watchdog_state watchdog;
    struct timer tw;
    uint64_t heard_us, interval_us;
    bool dwr_outstanding;
    int n_dwa;
    /* requests that went there */
    struct list pending;
    size_t n_pending;
    uint64_t turn; /* when he was last chosen */
};

struct diameter_pending {
    struct list in_peer;
    struct htab_node by_id;
    struct diameter *d;
    struct peer *peer;
    const struct diameter_answer_handler *handler;
    void *ctx;
    struct timer timer;
    struct arena arena;
    char *bytes; /* the request, to be sent again */
    size_t n;
    struct span session_id;
    uint32_t hop_by_hop;
    bool resent;
};

struct diameter_request {
    struct list in_connection; /* or in a list of its own, once the connection is gone */
    struct list in_node;
    struct htab_node by_id; /* among those being answered, for repetitions */
    struct diameter *d;
    struct connection *connection; /* NULL once it is gone */
    struct arena arena;
    struct diameter_msg msg;
    uint32_t hop_by_hop; /* of the newest repetition */
    struct diameter_envelope envelope;
};

/* Answers kept for repetitions: a ring of bytes, oldest first. */
struct duplicates {
    char *room;
    size_t cap;
    size_t head, tail; /* next byte to write; oldest entry. Both grow for ever, modulo cap. */
    struct htab answered;
};

struct diameter {
    struct env *env;
    struct diameter_config config;
    struct diameter_handler handler;
    void *ctx;
    struct diameter_counters counters;
    struct listener *listener, *tls_listener;
    struct list peers, connections;
    struct list strangers; /* connections that were made to us and are nobody's yet, oldest first */
    size_t n_strangers;
    struct list gone; /* connections without a stream, until nobody can be at work on them */
    struct post bury;
    uint32_t next_hop_by_hop, next_end_to_end;
    uint32_t origin_state_id;
    uint32_t session_high, session_low, session_random;
    uint64_t turn;
    /* the message under construction */
    char *room;
    size_t room_used; /* most of it that ever held an answer: to be wiped */
    struct buf buf;
    struct diameter_builder builder;
    struct diameter_envelope envelope;
    uint64_t timeout_us;
    struct span session_id; /* of the request under construction; may look into session_text */
    char session_text[320];
    struct diameter_request *answering;
    bool requesting;
    /* what is under way */
    struct htab pending; /* by hop-by-hop identifier */
    struct list pending_idle;
    struct list requests, requests_idle;
    size_t n_requests;
    struct htab request_ids;
    struct duplicates duplicates;
    /* the end */
    bool stopping, stop_begun, stopped;
    void (*done)(void *ctx);
    void *done_ctx;
    struct post stop;
    struct timer stop_timer;
};

/* node.c */

/** A connection has ended: perhaps the last one that diameter_stop waits for. */
void diameter_connection_gone(struct diameter *d);

/* connection.c */

/** Listens' callback. */
void diameter_connection_accepted(void *ctx, struct listener *l, struct stream *s);

/** Connects to a peer; NULL when memory is out. */
struct connection *diameter_connection_connect(struct peer *p);

/** Closes the stream, after what was sent; the connection is gone for its peer, who is not told.
 * Its memory stays until the next turn, for whoever is at work on it. */
void diameter_connection_close(struct connection *c);

/** Sends a whole message. A reader so slow that nothing more fits loses the connection, a little
 * later: no state changes within this call. */
void diameter_connection_send(struct connection *c, struct span message);

/** It is known now whose connection it is: its patience ends, and it does not give way any more. */
void diameter_connection_known(struct connection *c);

/** Frees the connections that are gone. */
void diameter_connections_bury(struct diameter *d);

/* capabilities.c */

/** Sends a CER. */
void diameter_capabilities_request(struct connection *c);

/** Answers the CER that the connection brought. */
void diameter_capabilities_answer(struct connection *c);

/** The first message of a connection that was made to us. */
void diameter_capabilities_received(struct connection *c, const struct diameter_msg *msg);

/** The first message on a connection that we made. */
void diameter_capabilities_answered(struct connection *c, const struct diameter_msg *msg);

/* peer.c */

/** Makes a peer, in state Closed. NULL when memory is out. */
struct peer *diameter_peer_new(struct diameter *d, const struct diameter_peer_config *config);

/** Frees it; its connections have been freed before. */
void diameter_peer_free(struct peer *p);

/** The peer of this name, or NULL. */
struct peer *diameter_peer_find(const struct diameter *d, struct span host);

/** One step of the state machine; c is the connection that it is about, or NULL. */
void diameter_peer_event(struct peer *p, enum peer_event event, struct connection *c);

/** Its state's name in RFC 6733 5.6. */
const char *diameter_peer_state_name(const struct peer *p);

/** The connection that requests go to, or NULL. */
struct connection *diameter_peer_connection(const struct peer *p);

/** Its Origin-Realm. */
struct span diameter_peer_realm(const struct peer *p);

/** A message of the base protocol that only has Origin-Host and Origin-Realm, begun in the node's
 * buffer. */
struct diameter_builder *diameter_base_begin(struct diameter *d, uint8_t flags, uint32_t command,
                                             uint32_t hop_by_hop, uint32_t end_to_end);

/** Sends what was begun. */
void diameter_base_send(struct connection *c);

/** The next Hop-by-Hop Identifier. */
uint32_t diameter_next_hop_by_hop(struct diameter *d);

/** The next End-to-End Identifier. */
uint32_t diameter_next_end_to_end(struct diameter *d);

/** A time with jitter: up to one part in `parts` shorter or longer. */
uint64_t diameter_jittered(struct diameter *d, uint64_t us, unsigned parts);

/* watchdog.c */

/** The connection stands. */
void diameter_watchdog_start(struct peer *p);

/** The connection is gone. */
void diameter_watchdog_stop(struct peer *p);

/** Something came. */
void diameter_watchdog_heard(struct peer *p);

/** A DWA came. */
void diameter_watchdog_answered(struct peer *p);

/** Asks at once, out of doubt. */
void diameter_watchdog_probe(struct peer *p);

/** Its state's name in RFC 3539 3.4. */
const char *diameter_watchdog_name(const struct peer *p);

/** Its timer; for timer_init. */
void diameter_watchdog_expired(struct timer *t);

/* request.c */

/** An answer came on a connection. */
void diameter_request_answered(struct connection *c, const struct diameter_msg *msg);

/** Moves a peer's pending requests to others, with the T flag, or fails those that cannot be if the
 * connection is gone. */
void diameter_requests_failover(struct peer *p, bool gone);

/** Fails all. */
void diameter_requests_fail_all(struct diameter *d, enum error why);

/** Frees all, without a word. */
void diameter_requests_free(struct diameter *d);

/** The peer for a request, or NULL. */
struct peer *diameter_route_select(struct diameter *d, uint32_t application, struct span realm,
                                   struct span host, const struct peer *except);

/* answer.c */

/** A request of an application came. */
void diameter_answer_requested(struct connection *c, const struct diameter_msg *msg);

/** Answers a message that is no struct diameter_request with a fault. */
void diameter_msg_refuse(struct connection *c, const struct diameter_msg *msg,
                         const struct diameter_fault *fault);

/** The connection is gone: its requests live on without it. */
void diameter_requests_orphan(struct connection *c);

/** Frees all requests, without a word. */
void diameter_incoming_free(struct diameter *d);

/** Does a connection's message come from whom it says, and from whom it may? */
bool diameter_origin_is_right(struct connection *c, const struct diameter_msg *msg);

/* duplicates.c */

/** The hash under which a request and its repetitions meet. */
uint64_t diameter_duplicates_hash(const struct diameter_msg *request);

/** The answer that was given to this request, hop-by-hop identifier as it was; empty: none kept. */
struct span diameter_duplicates_find(struct diameter *d, const struct diameter_msg *request,
                                     uint64_t hash);

/** Keeps an answer. */
void diameter_duplicates_keep(struct diameter *d, const struct diameter_msg *request, uint64_t hash,
                              struct span answer);

/** Forgets everything, secrets first. */
void diameter_duplicates_free(struct diameter *d);

#endif
