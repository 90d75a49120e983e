/* Private to the simulation: what its parts share. */
#ifndef MUSTER_RT_SIM_INTERNAL_H
#define MUSTER_RT_SIM_INTERNAL_H

#include "base/htab.h"
#include "obs/trace.h"
#include "rt/link.h"
#include "rt/sim.h"
#include "rt/timers.h"

struct rng {
    uint64_t s[4];
};

/** The next number of a stream. */
uint64_t rng_next(struct rng *r);

/** A number below bound (> 0). */
static inline uint64_t rng_below(struct rng *r, uint64_t bound) {
    return rng_next(r) % bound;
}

/** Does something of this chance happen? Draws only if it can and need not. */
static inline bool rng_happens(struct rng *r, uint32_t ppm) {
    return ppm > 0 && rng_below(r, 1000000) < ppm;
}

/* A name, as long as the simulation: who bears it now, and how often it has been born. */
struct life {
    struct life *next;
    struct env *living; /* NULL between lives */
    uint64_t births;
    bool vanished; /* the last life ended with its machine */
    char name[];
};

struct sim_event {
    /* Frees the event, or hands it to sim_schedule again. */
    void (*run)(struct sim *s, struct sim_event *e);
    /* Frees what it carries, at the end of the simulation. */
    void (*drop)(struct sim *s, struct sim_event *e);
};

struct sim_env {
    struct env_links links;
    struct sim *sim;
    struct life *life;
    char *process; /* owned; NULL: on its own */
    bool dead;     /* crashed: nothing leaves it any more */
    struct rng node_rng, fault_rng;
};

struct fault_rule {
    struct fault_rule *next;
    struct sim_faults faults;
    char *from, *to; /* in the same block */
};

/* An address of a machine that has vanished. */
struct ghost {
    struct ghost *next;
    struct life *life;
    struct addr addr;
};

struct scheduled {
    uint64_t at_us, order;
    struct sim_event *event;
};

struct sim {
    uint64_t seed, now_us, order;
    int64_t wall_offset_us; /* by how much the wall clock is wrong */
    struct timers timers;
    struct chunk_pool chunks;
    struct trace *trace;
    struct rng rng;
    struct scheduled *heap;
    size_t n_heap, cap_heap;
    struct posts posts;
    struct life *lives;
    struct fault_rule *rules; /* newest first */
    struct sim_faults default_faults;
    struct htab dgrams, listeners; /* by address */
    struct list streams;           /* all there are */
    struct ghost *ghosts;
    uint16_t last_port;
    struct sim_counters counters;
};

struct sim_dgram {
    struct dgram base;
    struct htab_node by_addr;
};

struct sim_listener {
    struct listener base;
    struct htab_node by_addr;
};

/** The simulated environment behind an env. */
static inline struct sim_env *sim_env_of(struct env *env) {
    return CONTAINER_OF(env, struct sim_env, links.env);
}

/** Has an event run at a time, after all that stand there already. False: out of memory, and the
 * event is still the caller's. */
MUST_CHECK bool sim_schedule(struct sim *s, uint64_t at_us, struct sim_event *e);

/** A port that nobody has at this address; 0 if there is none. */
uint16_t sim_free_port(struct sim *s, const struct addr *host);

/** Gives an address to be opened a port if it has none. ERR_INVALID for the wildcard,
 * ERR_ADDRESS_IN_USE when there is no port left. */
MUST_CHECK enum error sim_claim(struct sim *s, struct addr *a);

/** The living endpoint at an address, or NULL. */
struct sim_dgram *sim_dgram_at(const struct sim *s, const struct addr *a);

/** The living listener at an address, or NULL. */
struct sim_listener *sim_listener_at(const struct sim *s, const struct addr *a);

/** Do two environments share a process? */
bool sim_same_process(const struct sim_env *a, const struct sim_env *b);

/** What holds from one place to another; to_name may be "" if nobody is known there. */
const struct sim_faults *sim_faults_for(const struct sim *s, const char *from_name,
                                        const struct addr *from, const char *to_name,
                                        const struct addr *to);

/** Does a pattern of sim_set_faults mean this place? */
bool sim_place_matches(const char *pattern, const char *name, const struct addr *a);

/** How long something takes under these faults: delay and jitter. */
static inline uint64_t sim_delay(const struct sim_faults *f, struct rng *r) {
    return f->delay_us + (f->jitter_us ? rng_below(r, f->jitter_us + 1) : 0);
}

/** env_dgram_open of the simulation. */
enum error sim_dgram_open(struct env *env, const struct addr *local, unsigned flags,
                          dgram_receive_fn *receive, void *ctx, struct dgram **out);

/** env_listen of the simulation. */
enum error sim_listen(struct env *env, const struct addr *local, listener_accept_fn *accept,
                      void *ctx, struct listener **out);

/** env_stream_connect of the simulation. */
enum error sim_stream_connect(struct env *env, const struct addr *remote,
                              const struct stream_handler *handler, void *ctx, struct stream **out);

/** The streams of an environment that crashes. */
void sim_streams_crash(struct sim_env *e, enum sim_crash kind);

/** The streams that outlive their environment, flushing, know it no more. */
void sim_streams_orphan(struct sim_env *e);

/** Frees the streams that are left at the end of the simulation. */
void sim_streams_free(struct sim *s);

#endif
