/* The real environment: one thread's event loop over libuv, with sockets, the machine's clocks and
 * the kernel's randomness.
 *
 * A turn: wait for sockets, wake-ups and the next timer; read the clock once; call back for all
 * that came; then, in rounds until nothing is left, timers, posts and in-process messages; at last
 * send what was queued for sockets, in batches. A turn ends early after so many rounds, so that
 * busy neighbours do not starve the sockets.
 *
 * Links between environments of one loop do not touch the kernel: a datagram to an address that an
 * endpoint of the same loop owns goes through a queue (unless one of the two is DGRAM_SOCKET_ONLY),
 * a stream to a listener of the same loop becomes a pair of byte queues. Both carry the same bytes
 * as the sockets would.
 *
 * Everything here belongs to the thread that runs the loop; wakeup_signal and loop_stop_from_thread
 * are the exceptions. */
#ifndef MUSTER_RT_LOOP_H
#define MUSTER_RT_LOOP_H

#include "rt/env.h"

struct loop;

/** A loop without environments. ERR_NO_MEMORY, or what libuv says when it gets no descriptors. */
MUST_CHECK enum error loop_new(struct loop **out);

/** Frees a loop and what is still open in it; environments must have been closed, signal
 * watches, wake-ups and descriptor watches freed, and no timer may run any more. Closing streams
 * get no more time to flush. NULL is allowed. */
void loop_free(struct loop *l);

/** Turns until loop_stop. */
void loop_run(struct loop *l);

/** Makes loop_run or loop_run_until return at the end of this turn. From a callback. */
void loop_stop(struct loop *l);

/** The same from another thread. */
void loop_stop_from_thread(struct loop *l);

/** Turns until done(ctx) is true, looking after each turn, or until `deadline_us` (of loop_now_us)
 * has passed, or until loop_stop. Returns what done says at the end. For tests and the flow runner:
 * how they wait for an event with a deadline. */
bool loop_run_until(struct loop *l, bool (*done)(void *ctx), void *ctx, uint64_t deadline_us);

/** The loop's time, as env_now_us says it; outside of a turn the current time. */
uint64_t loop_now_us(struct loop *l);

/** The tap on all environments of this loop. Owned by the loop. */
struct trace *loop_trace(struct loop *l);

/** false: sockets for everything, as between machines. For tests and for measuring; set before
 * links are opened. */
void loop_set_inprocess(struct loop *l, bool on);

/** A new environment. name outlives it. Its log goes to stderr at LOG_INFO until the caller changes
 * env->log. Ended by env_close. */
MUST_CHECK enum error loop_env_new(struct loop *l, const char *name, struct env **out);

/* Signals. */

struct signal_watch;

/** Calls fn from the loop when the process gets the signal. ERR_INVALID for one that cannot be
 * caught; ERR_NO_MEMORY. */
MUST_CHECK enum error loop_signal_watch(struct loop *l, int signum,
                                        void (*fn)(void *ctx, int signum), void *ctx,
                                        struct signal_watch **out);

/** Stops watching. NULL is allowed. */
void signal_watch_free(struct signal_watch *w);

/* Wake-ups: how another thread (the store's) says that something is ready. */

struct wakeup;

/** Has fn called from the loop after wakeup_signal. ERR_NO_MEMORY. */
MUST_CHECK enum error loop_wakeup_new(struct loop *l, void (*fn)(void *ctx), void *ctx,
                                      struct wakeup **out);

/** From any thread, at any time until wakeup_free: fn will be called at least once after this.
 * Several signals may become one call. What was written before the signal is visible to fn. */
void wakeup_signal(struct wakeup *w);

/** Frees it; fn is not called any more. Other threads must have ceased to signal (join them first).
 * From the loop's thread. NULL is allowed. */
void wakeup_free(struct wakeup *w);

/* Descriptors of libraries that bring their own sockets (HTTP server and client, resolver). */

struct fd_watch;

enum fd_events { FD_READABLE = 1, FD_WRITABLE = 2 };

/** Calls fn, again and again, while the descriptor is ready for what `events` names. fn may free
 * the watch. An error or hang-up counts as ready for everything that was asked. The descriptor
 * stays the caller's and must be open until fd_watch_free. ERR_NO_MEMORY, ERR_EXISTS for a
 * descriptor that is watched already and not paused. */
MUST_CHECK enum error loop_fd_watch(struct loop *l, int fd, unsigned events,
                                    void (*fn)(void *ctx, int fd, unsigned events), void *ctx,
                                    struct fd_watch **out);

/** Changes what is waited for; 0 pauses. */
void fd_watch_set(struct fd_watch *w, unsigned events);

/** Stops watching; the descriptor may be closed afterwards. NULL is allowed. */
void fd_watch_free(struct fd_watch *w);

/* What a loop has done, for metrics, benchmarks and tests. */

struct loop_counters {
    uint64_t turns;
    uint64_t udp_received, udp_sent;
    uint64_t udp_lost;          /* could not be sent: full queue, no route */
    uint64_t inprocess_dgrams;  /* datagrams delivered without the kernel */
    uint64_t inprocess_lost;    /* their receiver had closed meanwhile */
    uint64_t stream_bytes_sent; /* on sockets and in process */
    uint64_t accept_failures;   /* out of descriptors or memory; the listener rests for 100 ms */
};

/** The counters; valid as long as the loop. */
const struct loop_counters *loop_counters(const struct loop *l);

#endif
