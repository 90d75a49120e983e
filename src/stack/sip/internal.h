/* Private to stack/sip: what its files share. */
#ifndef MUSTER_STACK_SIP_INTERNAL_H
#define MUSTER_STACK_SIP_INTERNAL_H

#include "base/htab.h"
#include "stack/sip/amplification.h"
#include "stack/sip/keep_alive.h"
#include "stack/sip/sip_stack.h"

enum {
    TOKEN_BYTES = 8, /* of a branch or tag, before they become hexadecimal digits */
    TOKEN_DIGITS = 2 * TOKEN_BYTES,
    DATAGRAM_MAX = 65507,
    SENT_BY_MAX = 280,
    RANDOM_BYTES = 512
};

/** The magic cookie of RFC 3261 8.1.1.7. */
#define BRANCH_COOKIE SPAN("z9hG4bK")

/** What a transaction is recognised by: RFC 3261 17.2.3. */
struct server_key {
    struct span text; /* sent-by and branch; of an RFC 2543 client, what stands in for them */
    uint64_t hash;
};

struct answer;

/** Answers of finished transactions: a ring of bytes, oldest first, and an index. */
struct answers {
    char *ring;              /* NULL until the first answer */
    size_t cap, first, used; /* bytes; first: offset of the oldest */
    struct htab index;
};

struct endpoint {
    struct sip_stack *stack;
    enum sip_transport transport;
    struct addr local;
    struct dgram *dgram; /* UDP */
    struct listener
        *listener; /* TCP, TLS; NULL: over TLS without a certificate, so it only connects */
    unsigned number;
    char sent_by[SENT_BY_MAX];
    size_t sent_by_n;
};

/** Where a message came from. */
struct sip_origin {
    struct endpoint *at;
    struct sip_hop from;
    struct connection *connection; /* NULL: a datagram */
    size_t n;                      /* bytes of the message */
};

struct sip_stack {
    struct env *env;
    struct sip_stack_config config;
    const struct sip_stack_handler *handler;
    void *ctx;
    struct endpoint endpoints[SIP_ENDPOINTS_MAX];
    struct htab servers; /* by server_key */
    struct htab clients; /* by the token in their branch */
    struct list all_servers, all_clients;
    struct answers answers;
    struct htab connections;   /* by the other end */
    struct list by_connection; /* all connections, the oldest first */
    struct list keep_alives;   /* that wait for an answer by STUN */
    struct list unproven;      /* accepted ones that have not sent a whole message, likewise */
    struct sip_stack_counters counters;
    struct sip_admission admission;
    struct amplification amplification;
    struct buf out;  /* the message that is being built */
    char *out_bytes; /* DATAGRAM_MAX of them */
    size_t via_at;   /* where the transport stands in the Via of the request that is being built */
    uint8_t random[RANDOM_BYTES];
    size_t random_used;
};

/** One row of a state machine: what an event leads to. */
struct sip_step {
    uint8_t next;       /* state; 0: the event means nothing in this state */
    uint16_t actions;   /* flags, in the order in which they are done */
    const char *clause; /* where the standard says so */
};

struct sip_proxy;

struct sip_server {
    struct htab_node node;
    struct list in_all;
    struct sip_stack *stack;
    struct arena arena; /* this structure is in it */
    struct sip_msg *req;
    struct span key;
    struct sip_hop source;
    struct sip_path reply;
    uint8_t state;
    bool is_invite, is_reliable;
    size_t credit; /* bytes that answers may have free of charge (amplification.h) */
    bool cancelled;
    bool owned;            /* by the node: unanswered */
    uint16_t reply_status; /* of the answer that is being built */
    struct timer repeat;   /* G; before the first answer to an INVITE, the 100 */
    struct timer end;      /* H, I, L */
    uint64_t repeat_us;
    struct span last; /* the newest answer, in the arena */
    char to_tag[TOKEN_DIGITS];
    bool has_tag;
    void *context;
    struct sip_proxy *proxy; /* that forwards it; in the arena */
    unsigned holds;          /* callbacks that are under way and will look at it again */
    bool dead;               /* destroyed, but held: only the arena is left */
};

struct sip_client {
    struct htab_node node;
    struct list in_all;
    struct sip_stack *stack;
    struct arena arena; /* this structure is in it */
    uint64_t token;
    struct sip_path path;
    uint8_t state;
    uint8_t method;
    bool is_reliable;
    bool switched; /* from UDP, for its length */
    size_t via_at; /* see struct sip_stack; in bytes */
    bool in_callback;
    bool dead; /* destroyed during a callback, which frees it when it returns */
    bool cancel_wanted, cancel_sent;
    enum error failure;  /* of sending, still to be told */
    struct timer repeat; /* A, E */
    struct timer limit;  /* B, F; D, M; after a failure: at once */
    uint64_t repeat_us;
    struct span bytes;                        /* the request, while it may be needed again */
    const struct sip_client_handler *handler; /* NULL: nobody wants to know */
    void *ctx;
};

/** Draws random bytes from the stack's supply. */
void sip_stack_random(struct sip_stack *stack, void *out, size_t n);

/** Sends on a path, counts failures, and records what leaves the process. Without a connection that
 * it needs, the path gets one. */
enum error sip_stack_send(struct sip_stack *stack, struct sip_path *path, struct span bytes);

/** Sends an answer. What is larger than the credit, which it takes from, may not be sent over UDP,
 * without an error: amplification.h. */
enum error sip_stack_send_answer(struct sip_stack *stack, struct sip_path *path, struct span bytes,
                                 size_t *credit);

/** The same for one message, whose sender does not wait for anything. */
enum error sip_stack_send_once(struct sip_stack *stack, const struct sip_origin *by,
                               const struct sip_hop *to, struct span bytes);

/** A message that came by this way was read as far as its end: reads, counts, hands on. */
void sip_stack_receive(const struct sip_origin *origin, char *bytes, size_t n);

/** A request of a stream whose end cannot be told (why: ERR_MALFORMED or ERR_TOO_BIG), or the
 * beginning of one: answered if that is possible. */
void sip_stack_refuse_unframed(const struct sip_origin *origin, char *bytes, size_t n,
                               enum error why);

/** Records a message in the trace, which is on. */
void sip_stack_record(struct sip_stack *stack, const struct addr *from, const struct addr *to,
                      bool stream, struct span bytes);

/** Takes a path out of its connection, if it has one. */
void sip_path_leave(struct sip_path *path);

/** Puts a path into a connection. */
void sip_path_join(struct sip_path *path, struct connection *c);

/** keep_alive.c: a datagram of STUN came from there. False: it answers nothing that was asked. */
bool sip_keep_alive_answered(struct sip_stack *stack, const struct addr *from, struct span answer);

/** Does a connection have as many requests under way as it may? */
bool connection_is_full(const struct connection *c);

/** Joins the path of a request that came by this connection, which counts until it leaves. */
void connection_count(struct connection *c, struct sip_path *path);

/** Joins the connection that stands to the path's hop. False: there is none. */
bool connection_join(struct sip_stack *stack, struct sip_path *path);

/** Empty lines that the other end has answered ours with, ever. */
uint64_t connection_pongs(const struct connection *c);

/** Gives a path over TCP or TLS its connection: one that stands or is being made, or a new one.
 * ERR_NO_MEMORY, ERR_BUSY (connections_max), ERR_UNSUPPORTED (no TLS here). */
MUST_CHECK enum error connection_find(struct sip_stack *stack, struct sip_path *path);

/** Sends over a connection. A reader that is too slow loses it. */
enum error connection_send(struct connection *c, struct span bytes);

/** Listens for connections of an endpoint over TCP or TLS. Errors of env_listen. */
MUST_CHECK enum error connection_listen(struct endpoint *at, const struct addr *local);

/** Closes them all without telling anybody. */
void connections_close(struct sip_stack *stack);

/** Counts a response that goes out. */
void sip_stack_count_response(struct sip_stack *stack, unsigned status);

/** Where the answer to a request goes: RFC 3261 18.2.2, RFC 3581 section 4. */
struct sip_hop sip_reply_hop(const struct sip_via *via, const struct sip_hop *source);

/** Answers a request without a transaction. */
void sip_stack_reply_stateless(const struct sip_origin *origin, const struct sip_msg *req,
                               unsigned status, const char *reason, struct span to_tag);

/** Refuses a request for overload, without a transaction: 503 with Retry-After and the reason. */
void sip_stack_shed(const struct sip_origin *origin, const struct sip_msg *req);

/** A request that was read: matched to its transaction, or made a new one. Takes the arena over,
 * which holds the request. */
void sip_server_receive(const struct sip_origin *origin, struct arena *arena, struct sip_msg *req);

/** A response that was read: matched to its transaction, or counted. */
void sip_client_receive(struct sip_stack *stack, const struct sip_msg *response);

/** Does the Via name this sent-by? */
bool sip_via_is_own(const struct sip_via *via, struct span sent_by);

/** Frees a transaction without a word; held ones (holds) lose their memory with the last release.
 */
void sip_server_destroy(struct sip_server *tx);

/** Keeps the memory of tx until sip_server_release. */
void sip_server_hold(struct sip_server *tx);

/** The end of a hold. */
void sip_server_release(struct sip_server *tx);

/** sip_reply_send for the proxy that forwards tx: it goes on looking after it. */
enum error sip_reply_send_relayed(struct sip_server *tx, struct span body);

/** The same for the other kind. */
void sip_client_destroy(struct sip_client *tx);

/** As sip_client_begin, with more text behind the branch. */
struct buf *sip_client_begin_branch(struct sip_stack *stack, unsigned endpoint,
                                    const struct sip_hop *to, struct span method, struct span uri,
                                    struct span suffix, struct sip_client **out);

/** Tells a proxy that its server transaction was answered by somebody else, or goes away. */
void sip_proxy_server_gone(struct sip_proxy *proxy);

/** The end of a forwarding: tells its owner. */
void sip_proxy_finish(struct sip_proxy *proxy);

/** Keeps an answer until expires_us; older ones make room. */
void answers_add(struct sip_stack *stack, const struct sip_server *tx, struct span bytes);

/** Sends the kept answer again, if there is one for this request. */
bool answers_repeat(struct sip_stack *stack, const struct server_key *key,
                    const struct sip_msg *req, size_t credit);

/** Forgets answers that are past their time. */
void answers_expire(struct sip_stack *stack);

/** Frees the ring. */
void answers_free(struct answers *answers);

#endif
