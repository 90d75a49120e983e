/* Private to the real loop: what its parts share. */
#ifndef MUSTER_RT_LOOP_INTERNAL_H
#define MUSTER_RT_LOOP_INTERNAL_H

#include "base/htab.h"
#include "obs/trace.h"
#include "rt/bytes.h"
#include "rt/link.h"
#include "rt/loop.h"
#include "rt/timers.h"

#include <netinet/in.h>
#include <stdatomic.h>
#include <uv.h>

/* A queue of in-process datagrams: records behind each other in one block. */
struct letters {
    char *p;
    size_t n, cap;
};

struct udp_receive; /* buffers for a batch, loop_dgram.c */
struct udp_send;

struct loop {
    uv_loop_t uv;
    uv_timer_t alarm;
    uint64_t alarm_ms; /* when it rings, on uv's clock; 0: never */
    uv_async_t stopper;
    atomic_bool stop;
    bool in_process;
    bool in_turn;
    uint64_t now_us; /* of the turn */
    int64_t wall_us; /* of the turn; 0: not read yet */
    struct timers timers;
    struct chunk_pool chunks;
    struct trace *trace;
    struct list envs;
    struct posts posts;
    /* Datagrams. Only endpoints that in-process messages may reach stand in the table. */
    struct htab dgrams;
    struct letters letters, reading; /* being filled; being delivered */
    struct udp_receive *receive;
    struct udp_send *idle_sends;
    struct list udp_dirty; /* endpoints with something to send */
    /* Streams. */
    struct htab listeners;
    struct list pipes_active, pipes_attended; /* something to do; what is left of this round */
    struct list tcp_active, tcp_flushed, tcp_lingering;
    struct bytes spares[16]; /* buffers that wait for their next use */
    size_t n_spares;
    char *stream_buffer;
    uint16_t last_pipe_port;
    /* Randomness that waits to be used; what was used is cleared. */
    size_t n_random;
    uint8_t random[1024];
    size_t n_watches; /* signals, wake-ups, descriptors */
    struct loop_counters counters;
};

struct loop_env {
    struct env_links links;
    struct loop *loop;
    struct list in_loop;
};

/** The real environment behind an env. */
static inline struct loop_env *loop_env_of(struct env *env) {
    return CONTAINER_OF(env, struct loop_env, links.env);
}

/** Begins a turn if none goes on: every callback of libuv starts with it. */
void loop_turn(struct loop *l);

union sockaddr_any {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/** An address as the kernel wants it; returns its length. */
socklen_t sockaddr_from_addr(const struct addr *a, union sockaddr_any *out);

/** An address as the kernel says it. */
struct addr addr_from_sockaddr(const union sockaddr_any *sa);

/** A non-blocking socket bound to an address; *local gets what it was bound to. type is SOCK_DGRAM
 * or SOCK_STREAM. */
MUST_CHECK enum error socket_bound(int type, const struct addr *at, int *fd, struct addr *local);

/* Datagrams: loop_dgram.c. */

/** env_dgram_open of the real environment. */
enum error loop_dgram_open(struct env *env, const struct addr *local, unsigned flags,
                           dgram_receive_fn *receive, void *ctx, struct dgram **out);

/** Delivers the in-process datagrams that wait now. True if there were any. */
bool dgrams_deliver(struct loop *l);

/** Sends what is queued for sockets. */
void dgrams_flush(struct loop *l);

/** Frees pools and what was never delivered. */
void dgrams_free(struct loop *l);

/* Streams, of both kinds, begin alike. */

enum stream_stage {
    STREAM_CONNECTING,
    STREAM_OPEN,
    STREAM_OVER, /* its owner has closed it or been told */
};

struct loop_stream {
    struct stream base;
    struct loop *loop;
    enum stream_stage stage;
    struct bytes in;  /* arrived and not consumed */
    struct bytes out; /* sent and not gone */
};

/** Makes one, listed in its environment. */
void loop_stream_init(struct loop_stream *s, struct env *env, const struct stream_ops *ops);

/** Sets both addresses and tells the trace. */
void loop_stream_stands(struct loop_stream *s, const struct addr *local, const struct addr *remote);

/** Takes a stream from its owner, who hears no more of it. */
void loop_stream_leave(struct loop_stream *s);

/** Takes it away and says why. */
void loop_stream_tell(struct loop_stream *s, enum error why);

/** Presents n more bytes, which may lie anywhere. What is not consumed is kept. OK; ERR_CLOSED:
 * the owner has closed the stream; ERR_TOO_BIG or ERR_NO_MEMORY: it is to be broken off. */
enum error loop_stream_present(struct loop_stream *s, char *bytes, size_t n);

/** Appends to what is to be sent, within the bound. */
MUST_CHECK enum error loop_stream_queue(struct loop_stream *s, struct span bytes);

/** Gives a used buffer back. */
void loop_spare_put(struct loop *l, struct bytes *b);

/* Connections in the process: loop_pipe.c. */

/** A connection to a listener of this loop. */
enum error pipe_connect(struct env *env, const struct addr *remote,
                        const struct stream_handler *handler, void *ctx, struct stream **out);

/** Moves what was sent to the other ends. True if there was any. */
bool pipes_deliver(struct loop *l);

/* TCP: loop_tcp.c. */

/** env_listen of the real environment. */
enum error loop_listen(struct env *env, const struct addr *local, listener_accept_fn *accept,
                       void *ctx, struct listener **out);
/** env_stream_connect of the real environment: here, or through pipe_connect. */
enum error loop_stream_connect(struct env *env, const struct addr *remote,
                               const struct stream_handler *handler, void *ctx,
                               struct stream **out);

/** The listener of this loop at an address, or NULL. */
struct listener *loop_listener_at(const struct loop *l, const struct addr *a);

/** Sends what is queued. */
void tcp_flush(struct loop *l);

/** Ends the connections that linger. */
void tcp_free(struct loop *l);

#endif
