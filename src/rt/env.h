/* The environment of a node: all that it may know of the world.
 *
 * A node is a state machine without I/O (ARCHITECTURE.md). Time, randomness, timers, links and logs
 * come to it through a struct env, which exists in two kinds: one over the real event loop
 * (rt/loop.h), one in a simulation (rt/sim.h). The node cannot tell which. An env belongs to one
 * node instance and one thread. Whoever ends a node, in order or as a crash would, frees the node
 * first (its free function stops its timers and posts and closes its links) and then calls
 * env_close.
 *
 * Callbacks never run inside the call that asked for them: a node is only ever entered from its
 * loop. In a callback a node may close anything it owns, the link that called it included. */
#ifndef MUSTER_RT_ENV_H
#define MUSTER_RT_ENV_H

#include "base/arena.h"
#include "base/error.h"
#include "base/list.h"
#include "base/log.h"
#include "rt/addr.h"

struct timers;
struct trace;
struct journal;
struct env_ops;

struct env {
    const struct env_ops *ops;
    const char *name;          /* of the node instance: "scscf", "pcscf-2"; outlives the env */
    struct timers *timers;     /* the loop's timer wheel */
    struct chunk_pool *chunks; /* for arenas; shared by the nodes of a loop */
    struct trace *trace;     /* the tap, obs/trace.h; never NULL, free of cost while nobody looks */
    struct journal *journal; /* of steps, obs/journal.h; NULL: nobody keeps one */
    struct log log;
};

/** Ends an environment: what is still open in it is closed, what is still posted is forgotten. The
 * node that used it has been freed before: its timers live in its own memory and must not run any
 * more. NULL is allowed. Not to be called from a callback of a link of the same environment. */
void env_close(struct env *env);

/* Time. Microseconds; one loop turn has one time. */

/** Monotonic time: for timers and durations. Never runs backwards, whatever happens to the wall
 * clock. */
uint64_t env_now_us(struct env *env);

/** Monotonic time of this instant, not of the turn: for traces, whose readers want to see what took
 * how long within one. */
uint64_t env_clock_us(struct env *env);

/** Time since 1970: for what people and peers read. May jump. */
int64_t env_wall_us(struct env *env);

/** n bytes of randomness: cryptographic in the real environment, from the seed in the simulation.
 */
void env_random(struct env *env, void *out, size_t n);

/* Timers (rt/timer.c): a hierarchical wheel with a tick of one millisecond. */

struct timer {
    struct list slot;
    uint64_t due_us;
    struct timers *timers;
    void (*fire)(
        struct timer *t); /* finds its owner with CONTAINER_OF; may start or free the timer */
};

/** Makes a stopped timer. */
void timer_init(struct timer *t, void (*fire)(struct timer *t));

/** Starts, or starts anew: fires once, delay_us from now, at most a tick late. Takes no memory,
 * cannot fail. */
void timer_start(struct env *env, struct timer *t, uint64_t delay_us);

/** Stops; harmless for a stopped one. After it, fire is not called. */
void timer_stop(struct timer *t);

/** Is it going to fire? */
static inline bool timer_is_running(const struct timer *t) {
    return t->timers != NULL;
}

#define MS_IN_US  UINT64_C(1000)
#define SEC_IN_US UINT64_C(1000000)

/* Posts: work for a later turn, at the same time and soon. This is how something that a node calls
 * (a store in memory, a typed exchange) answers without calling back from inside the call. */

struct post {
    struct list slot;
    struct env *env;             /* where it waits */
    void (*run)(struct post *p); /* finds its owner with CONTAINER_OF; may post again or free it */
};

/** Makes a post that does not wait. */
void post_init(struct post *p, void (*run)(struct post *p));

/** Has p->run called once, from the loop; posts run in the order in which they were made. Harmless
 * for one that waits already. Takes no memory, cannot fail. */
void env_post(struct env *env, struct post *p);

/** Forgets it; harmless for one that does not wait. */
void post_cancel(struct post *p);

/** Is it going to run? */
static inline bool post_is_waiting(const struct post *p) {
    return !list_is_empty(&p->slot);
}

/* Datagram links: UDP sockets and, between nodes of one loop, a queue. Messages may be lost,
 * repeated and reordered, unless dgram_is_reliable says otherwise of a destination. */

struct dgram;

/** What arrives. bytes is valid, and may be changed in place, until the callback returns. */
typedef void dgram_receive_fn(void *ctx, struct dgram *d, const struct addr *from, char *bytes,
                              size_t n);

enum dgram_flags {
    DGRAM_SOCKET_ONLY = 1, /* never the in-process queue: terminals, and tests of the wire */
};

/** Longest datagram: what IPv4 leaves for UDP's payload. */
enum { DGRAM_MAX = 65507 };

/** Opens a local address (port 0: any free one) and tells the trace that it is ours. An endpoint on
 * the wildcard address always uses its socket. ERR_ADDRESS_IN_USE, ERR_PERMISSION, ERR_UNREACHABLE
 * (no such address here), ERR_NO_MEMORY, ERR_IO. */
MUST_CHECK enum error env_dgram_open(struct env *env, const struct addr *local, unsigned flags,
                                     dgram_receive_fn *receive, void *ctx, struct dgram **out);

/** The address that it is bound to, with the port that was given to it. */
const struct addr *dgram_local(const struct dgram *d);

/** Queues a datagram; sockets are flushed at the end of the loop turn. Bytes are copied or sent
 * before return. ERR_TOO_BIG above DGRAM_MAX bytes; ERR_NO_MEMORY; loss is not an error. */
enum error dgram_send(struct dgram *d, const struct addr *to, struct span bytes);

/** In the callback of a datagram that came through a socket: how long it had waited there at most,
 * by the system's own stamp. False: it came another way, or there is no stamp. */
bool dgram_waited_us(const struct dgram *d, uint64_t *out);

/** Is this destination a node of the same loop, so that nothing is lost or repeated on the way? */
bool dgram_is_reliable(const struct dgram *d, const struct addr *to);

/** Closes; nothing is received afterwards, what was sent still goes out. NULL is allowed. */
void dgram_close(struct dgram *d);

/* Stream links: TCP connections and, between nodes of one loop, a pair of byte queues. */

struct stream;
struct listener;

struct stream_handler {
    /** A connection that env_stream_connect asked for stands. */
    void (*connected)(void *ctx, struct stream *s);
    /** Unconsumed bytes, oldest first. Returns how many it has dealt with; the rest is presented
     * again when more comes. The bytes may be changed in place. May close the stream (then the
     * result is ignored). A reader that leaves STREAM_RECEIVE_MAX bytes lying gets ERR_TOO_BIG. */
    size_t (*received)(void *ctx, struct stream *s, char *bytes, size_t n);
    /** The peer closed or the connection broke (ERR_CLOSED; ERR_TIMEOUT: it takes nothing, see
     * STREAM_STALL_US, or is silent below us; ERR_TOO_BIG) or never came
     * about (ERR_REFUSED, ERR_UNREACHABLE, ERR_TIMEOUT). What arrived before was presented. The
     * stream is gone when this returns, and must not be closed. Not called after stream_close. */
    void (*closed)(void *ctx, struct stream *s, enum error why);
};

/** A new connection on a listener: sets handler and context with stream_attach before it returns,
 * or closes it. */
typedef void listener_accept_fn(void *ctx, struct listener *l, struct stream *s);

/** Listens on a local address (port 0: any). ERR_ADDRESS_IN_USE, ERR_PERMISSION, ERR_NO_MEMORY. */
MUST_CHECK enum error env_listen(struct env *env, const struct addr *local,
                                 listener_accept_fn *accept, void *ctx, struct listener **out);

/** The address that it listens on. */
const struct addr *listener_local(const struct listener *l);

/** Stops listening; accepted streams live on. NULL is allowed. */
void listener_close(struct listener *l);

/** Begins to connect; connected or closed says how it went, later. What is sent before is sent when
 * the connection stands. The handler must outlive the stream. ERR_NO_MEMORY is the only immediate
 * error. */
MUST_CHECK enum error env_stream_connect(struct env *env, const struct addr *remote,
                                         const struct stream_handler *handler, void *ctx,
                                         struct stream **out);

/** Says who hears of an accepted stream from now on. */
void stream_attach(struct stream *s, const struct stream_handler *handler, void *ctx);

/** The other end's address. */
const struct addr *stream_remote(const struct stream *s);

/** This end's address. */
const struct addr *stream_local(const struct stream *s);

/** Appends bytes (copied). ERR_BUSY when more than STREAM_BACKLOG_MAX bytes wait for a slow reader:
 * nothing was taken, and the caller should close. ERR_CLOSED, ERR_NO_MEMORY. */
MUST_CHECK enum error stream_send(struct stream *s, struct span bytes);

enum { STREAM_BACKLOG_MAX = 1 << 20, STREAM_RECEIVE_MAX = 1 << 20 };

/** A stream whose other end takes nothing of what waits for it, for so long, ends with ERR_TIMEOUT.
 * What the kernel keeps for it (some 128 KiB) is not meant by "waits". */
#define STREAM_STALL_US (20 * SEC_IN_US)

/** Bytes that were sent here and not yet taken by the other side. */
size_t stream_backlog(const struct stream *s);

/** Stops reading from a connection, or goes on: what its other end sends meanwhile stays in the
 * kernels, and then with him. What has been read already is still presented, so is that the
 * connection has broken, once reading goes on. A hint: a stream that comes from no socket takes no
 * notice. */
void stream_hold(struct stream *s, bool held);

/** Closes after what was sent has gone out (waiting for a slow reader up to five seconds, in the
 * background); no callback comes any more. One that does not stand yet gives up. NULL is allowed.
 */
void stream_close(struct stream *s);

/* For the two implementations, rt/loop.c and rt/sim.c; links have theirs in rt/link.h. */

struct env_ops {
    uint64_t (*now_us)(struct env *env);
    uint64_t (*clock_us)(struct env *env);
    int64_t (*wall_us)(struct env *env);
    void (*random)(struct env *env, void *out, size_t n);
    void (*post)(struct env *env, struct post *p);
    void (*close)(struct env *env);
    enum error (*dgram_open)(struct env *env, const struct addr *local, unsigned flags,
                             dgram_receive_fn *receive, void *ctx, struct dgram **out);
    enum error (*listen)(struct env *env, const struct addr *local, listener_accept_fn *accept,
                         void *ctx, struct listener **out);
    enum error (*stream_connect)(struct env *env, const struct addr *remote,
                                 const struct stream_handler *handler, void *ctx,
                                 struct stream **out);
};

#endif
