/* The simulated environment: virtual time, seeded randomness, links with faults.
 *
 * One thread, one queue of events ordered by time and then by the order in which they were made;
 * between events no time passes. Equal seeds and equal calls give equal runs, byte for byte. Each
 * environment has streams of randomness of its own, derived from the seed, its name and how often
 * that name has lived before, one for the node and one for the faults of what it sends: so the
 * crash of one node does not shift what the others draw.
 *
 * Links are of two kinds, as real ones are. Datagrams are lost, repeated, delayed and thereby
 * reordered. Streams are delayed, split at any byte, cut with bytes in flight, left half-open. A
 * partition loses datagrams and holds streams up, whose connections break after
 * SIM_STREAM_TIMEOUT_US.
 *
 * Addresses are names here: any specific one can be opened, the wildcard cannot (ERR_INVALID).
 * Ports are handed out in order.
 *
 * By default every environment is a process of its own on a network without faults: nothing is
 * lost, but dgram_is_reliable says no. sim_env_process puts several into one process.
 *
 * A crash:   sim_crash(env, SIM_PROCESS_DIES);    from here on nothing leaves it
 *            scscf_free(node);                    memory of the dead
 *            env_close(env);
 * A restart: sim_env_new with the same name, and a new node.
 * An orderly end is the same without sim_crash: what was sent on streams arrives, then they close.
 * Crashes happen between events (from sim_at, or between two runs), not in a callback of the node
 * itself. */
#ifndef MUSTER_RT_SIM_H
#define MUSTER_RT_SIM_H

#include "rt/env.h"

struct sim;

#define SIM_STREAM_TIMEOUT_US  (900 * SEC_IN_US) /* unacknowledged bytes break a connection */
#define SIM_CONNECT_TIMEOUT_US (127 * SEC_IN_US)

/** A simulation at time 0, wall clock 2026-01-01T00:00:00Z. Note that tables hash under the secret
 * of hash_seed: a program whose runs are to be equal must not draw it by chance. ERR_NO_MEMORY. */
MUST_CHECK enum error sim_new(uint64_t seed, struct sim **out);

/** Frees it. Environments must have been closed, and no timer may run any more. NULL is allowed. */
void sim_free(struct sim *s);

/** A new environment: a process of its own, named so, which starts now. name outlives it, and no
 * living environment may have it. Its log goes to stderr at LOG_ERROR until the caller changes
 * env->log. ERR_NO_MEMORY, ERR_EXISTS. */
MUST_CHECK enum error sim_env_new(struct sim *s, const char *name, struct env **out);

/** Puts an environment into a process (any name, copied; NULL: its own again), before links are
 * opened. Environments of one process reach each other over reliable queues without delay or
 * faults, unless DGRAM_SOCKET_ONLY. ERR_NO_MEMORY. */
MUST_CHECK enum error sim_env_process(struct env *env, const char *process);

/** Virtual time. */
uint64_t sim_now_us(const struct sim *s);

/** The tap on all environments of this simulation. Owned by it. */
struct trace *sim_trace(struct sim *s);

/** Sets the wall clock of all nodes forward, or back; virtual time goes on as it does. */
void sim_shift_wall(struct sim *s, int64_t by_us);

/** Randomness for whoever scripts the simulation: a stream of its own. */
uint64_t sim_random(struct sim *s);

/** A number below bound (> 0), from the same stream. */
uint64_t sim_random_below(struct sim *s, uint64_t bound);

/** Runs up to and including time t_us. */
void sim_run_until(struct sim *s, uint64_t t_us);

/** Runs until done(ctx), asked after each event, or until time limit_us. Returns what done says at
 * the end. Without anything left to happen, time goes to the limit. done NULL: until the limit. */
bool sim_run(struct sim *s, bool (*done)(void *ctx), void *ctx, uint64_t limit_us);

/** Calls fn at a time (now, if that has passed). It may crash nodes and start new ones.
 * ERR_NO_MEMORY. */
MUST_CHECK enum error sim_at(struct sim *s, uint64_t at_us, void (*fn)(void *ctx), void *ctx);

/* Faults. */

/** What befalls traffic in one direction. Zeroed: an ideal network without delay. Chances are in
 * millionths. */
struct sim_faults {
    uint64_t delay_us;      /* how long bytes are on the way */
    uint64_t jitter_us;     /* up to that much more; reorders datagrams, not the bytes of streams */
    uint32_t loss_ppm;      /* datagrams that never arrive */
    uint32_t duplicate_ppm; /* datagrams that arrive twice, each with its own jitter */
    uint32_t cut_ppm;       /* pieces of a stream at which the connection breaks: the piece arrives
                             * in part or not at all, both ends learn of it */
    uint32_t half_open_ppm; /* the same, but the sender learns of it only when it sends again */
    bool split;             /* streams arrive in pieces of random length */
    bool down;              /* partition: nothing gets through */
};

/** Faults from one place to another, now and until changed. A place is an environment's name, a
 * beginning of one with a star ("ue-*", "*" for all), or an address ("127.0.0.1:5060", or a host
 * alone). The newest matching call counts; naming the same two places again replaces. NULL faults
 * take the entry away. ERR_NO_MEMORY. */
MUST_CHECK enum error sim_set_faults(struct sim *s, const char *from, const char *to,
                                     const struct sim_faults *faults);

/** The same in both directions. */
MUST_CHECK enum error sim_set_faults_between(struct sim *s, const char *a, const char *b,
                                             const struct sim_faults *faults);

/** What holds where nothing else was set: initially a delay of 100 µs and nothing else. */
void sim_set_default_faults(struct sim *s, const struct sim_faults *faults);

/** Breaks all connections between two places now (places as above): bytes on the way are lost, and
 * both ends learn of it after the delay of their direction. Returns how many broke. */
size_t sim_cut_streams(struct sim *s, const char *a, const char *b);

enum sim_crash {
    SIM_PROCESS_DIES,    /* the kernel lives: part of what was sent still arrives, then peers see
                          * the connections close */
    SIM_MACHINE_VANISHES /* nobody is told: connections are half-open until their other end sends
                          * and either times out or, once an environment of that name is back,
                          * is reset */
};

/** Crashes an environment. Nothing that its node does afterwards has any effect outside. The caller
 * frees the node and calls env_close at once. */
void sim_crash(struct env *env, enum sim_crash kind);

/* What has happened on the links, for tests and for reports. */

struct sim_counters {
    uint64_t events;
    uint64_t dgrams_sent, dgrams_delivered, dgrams_lost, dgrams_duplicated;
    uint64_t dgrams_unclaimed; /* arrived where nobody listened */
    uint64_t streams_connected, streams_cut;
    uint64_t crashes;
};

/** The counters; valid as long as the simulation. */
const struct sim_counters *sim_counters(const struct sim *s);

#endif
