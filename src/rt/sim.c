#include "rt/sim_internal.h"

#include <assert.h>
#include <stdlib.h>

/* 2026-01-01T00:00:00Z */
#define WALL_START_US INT64_C(1767225600000000)

enum { FIRST_FREE_PORT = 49152 };

/* Randomness: xoshiro256** (Blackman, Vigna), seeded through splitmix64. */

static uint64_t splitmix(uint64_t *x) {
    uint64_t z = (*x += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static struct rng rng_seeded(uint64_t seed) {
    struct rng r;
    for (size_t i = 0; i < COUNT_OF(r.s); i++) {
        r.s[i] = splitmix(&seed);
    }
    return r;
}

static uint64_t rotl(uint64_t x, int k) {
    return (x << k) | (x >> (64 - k));
}

uint64_t rng_next(struct rng *r) {
    uint64_t *s = r->s, result = rotl(s[1] * 5, 7) * 9, t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return result;
}

/* FNV-1a: not hash_bytes, whose secret is the process's. */
static uint64_t name_hash(const char *name) {
    uint64_t h = 0xcbf29ce484222325u;
    for (const char *p = name; *p; p++) {
        h = (h ^ (uint8_t)*p) * 0x100000001b3u;
    }
    return h;
}

/* The queue of events: a binary heap by time, then by order of scheduling. */

static bool earlier(const struct scheduled *a, const struct scheduled *b) {
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->order < b->order;
}

bool sim_schedule(struct sim *s, uint64_t at_us, struct sim_event *e) {
    if (s->n_heap == s->cap_heap) {
        size_t cap = s->cap_heap ? s->cap_heap * 2 : 256;
        struct scheduled *heap = realloc(s->heap, cap * sizeof *heap);
        if (!heap) {
            return false;
        }
        s->heap = heap;
        s->cap_heap = cap;
    }
    struct scheduled new = {at_us > s->now_us ? at_us : s->now_us, s->order++, e};
    size_t i = s->n_heap++;
    for (; i > 0 && earlier(&new, &s->heap[(i - 1) / 2]); i = (i - 1) / 2) {
        s->heap[i] = s->heap[(i - 1) / 2];
    }
    s->heap[i] = new;
    return true;
}

static struct sim_event *heap_take(struct sim *s) {
    struct sim_event *first = s->heap[0].event;
    struct scheduled last = s->heap[--s->n_heap];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= s->n_heap) {
            break;
        }
        if (child + 1 < s->n_heap && earlier(&s->heap[child + 1], &s->heap[child])) {
            child++;
        }
        if (!earlier(&s->heap[child], &last)) {
            break;
        }
        s->heap[i] = s->heap[child];
        i = child;
    }
    s->heap[i] = last;
    return first;
}

/* Running. */

/* Does the next thing if it is due by the limit. */
static bool step(struct sim *s, uint64_t limit_us) {
    if (posts_run(&s->posts)) {
        return true;
    }
    uint64_t event_us = s->n_heap ? s->heap[0].at_us : UINT64_MAX;
    uint64_t timer_us = timers_next_us(&s->timers);
    uint64_t next_us = event_us < timer_us ? event_us : timer_us;
    if (next_us > limit_us || next_us == UINT64_MAX) {
        return false;
    }
    s->counters.events++;
    s->now_us = next_us > s->now_us ? next_us : s->now_us;
    if (event_us <= timer_us) {
        struct sim_event *e = heap_take(s);
        e->run(s, e);
    } else {
        timers_advance(&s->timers, s->now_us);
    }
    return true;
}

bool sim_run(struct sim *s, bool (*done)(void *ctx), void *ctx, uint64_t limit_us) {
    while (!(done && done(ctx))) {
        if (!step(s, limit_us)) {
            s->now_us = limit_us > s->now_us ? limit_us : s->now_us;
            return false;
        }
    }
    return true;
}

void sim_run_until(struct sim *s, uint64_t t_us) {
    sim_run(s, NULL, NULL, t_us);
}

struct call {
    struct sim_event event;
    void (*fn)(void *ctx);
    void *ctx;
};

static void call_run(struct sim *s, struct sim_event *e) {
    (void)s;
    struct call c = *CONTAINER_OF(e, struct call, event);
    free(e);
    c.fn(c.ctx);
}

static void event_free(struct sim *s, struct sim_event *e) {
    (void)s;
    free(e);
}

enum error sim_at(struct sim *s, uint64_t at_us, void (*fn)(void *ctx), void *ctx) {
    struct call *c = malloc(sizeof *c);
    if (!c) {
        return ERR_NO_MEMORY;
    }
    *c = (struct call){{call_run, event_free}, fn, ctx};
    if (!sim_schedule(s, at_us, &c->event)) {
        free(c);
        return ERR_NO_MEMORY;
    }
    return OK;
}

/* The simulation as such. */

enum error sim_new(uint64_t seed, struct sim **out) {
    struct sim *s = calloc(1, sizeof *s);
    if (!s || !(s->trace = trace_new())) {
        free(s);
        return ERR_NO_MEMORY;
    }
    s->seed = seed;
    s->rng = rng_seeded(seed);
    s->default_faults.delay_us = 100;
    s->last_port = FIRST_FREE_PORT - 1;
    timers_init(&s->timers, 0);
    chunk_pool_init(&s->chunks, 16384, 256);
    posts_init(&s->posts);
    list_init(&s->streams);
    *out = s;
    return OK;
}

void sim_free(struct sim *s) {
    if (!s) {
        return;
    }
    for (struct life *l = s->lives, *next; l; l = next) {
        next = l->next;
        assert(!l->living);
        free(l);
    }
    assert(s->timers.count == 0);
    while (s->n_heap) {
        struct sim_event *e = heap_take(s);
        e->drop(s, e);
    }
    free(s->heap);
    sim_streams_free(s);
    for (struct fault_rule *r = s->rules, *next; r; r = next) {
        next = r->next;
        free(r);
    }
    for (struct ghost *g = s->ghosts, *next; g; g = next) {
        next = g->next;
        free(g);
    }
    htab_free(&s->dgrams);
    htab_free(&s->listeners);
    chunk_pool_free(&s->chunks);
    trace_free(s->trace);
    free(s);
}

uint64_t sim_now_us(const struct sim *s) {
    return s->now_us;
}

void sim_shift_wall(struct sim *s, int64_t by_us) {
    s->wall_offset_us += by_us;
}

struct trace *sim_trace(struct sim *s) {
    return s->trace;
}

uint64_t sim_random(struct sim *s) {
    return rng_next(&s->rng);
}

uint64_t sim_random_below(struct sim *s, uint64_t bound) {
    return rng_below(&s->rng, bound);
}

const struct sim_counters *sim_counters(const struct sim *s) {
    return &s->counters;
}

/* Environments. */

static uint64_t env_op_now_us(struct env *env) {
    return sim_env_of(env)->sim->now_us;
}

static int64_t env_op_wall_us(struct env *env) {
    const struct sim *s = sim_env_of(env)->sim;
    return WALL_START_US + (int64_t)s->now_us + s->wall_offset_us;
}

static void env_op_random(struct env *env, void *out, size_t n) {
    struct rng *r = &sim_env_of(env)->node_rng;
    for (size_t at = 0; at < n; at += sizeof(uint64_t)) {
        uint64_t x = rng_next(r);
        memcpy((char *)out + at, &x, n - at < sizeof x ? n - at : sizeof x);
    }
}

static void env_op_post(struct env *env, struct post *p) {
    list_insert(&sim_env_of(env)->sim->posts.waiting, &p->slot);
}

static void env_op_close(struct env *env) {
    struct sim_env *e = sim_env_of(env);
    env_links_close(&e->links);
    sim_streams_orphan(e);
    posts_forget(&e->sim->posts, env);
    e->life->living = NULL;
    free(e->process);
    free(e);
}

static const struct env_ops sim_ops = {.now_us = env_op_now_us,
                                       .clock_us = env_op_now_us,
                                       .wall_us = env_op_wall_us,
                                       .random = env_op_random,
                                       .post = env_op_post,
                                       .close = env_op_close,
                                       .dgram_open = sim_dgram_open,
                                       .listen = sim_listen,
                                       .stream_connect = sim_stream_connect};

static struct life *life_of(struct sim *s, const char *name) {
    for (struct life *l = s->lives; l; l = l->next) {
        if (strcmp(l->name, name) == 0) {
            return l;
        }
    }
    size_t n = strlen(name) + 1;
    struct life *l = calloc(1, sizeof *l + n);
    if (l) {
        memcpy(l->name, name, n);
        l->next = s->lives;
        s->lives = l;
    }
    return l;
}

static void ghosts_lay(struct sim *s, const struct life *of) {
    for (struct ghost **at = &s->ghosts; *at;) {
        struct ghost *g = *at;
        if (g->life == of) {
            *at = g->next;
            free(g);
        } else {
            at = &g->next;
        }
    }
}

static int64_t log_wall_us(void *clock) {
    return env_op_wall_us(clock);
}

enum error sim_env_new(struct sim *s, const char *name, struct env **out) {
    struct life *life = life_of(s, name);
    struct sim_env *e = life && !life->living ? calloc(1, sizeof *e) : NULL;
    if (!e) {
        return life && life->living ? ERR_EXISTS : ERR_NO_MEMORY;
    }
    uint64_t seed = s->seed;
    seed = splitmix(&seed) ^ name_hash(name);
    seed = splitmix(&seed) + life->births++;
    e->node_rng = rng_seeded(splitmix(&seed));
    e->fault_rng = rng_seeded(splitmix(&seed));
    e->sim = s;
    e->life = life;
    env_links_init(&e->links);
    e->links.env = (struct env){.ops = &sim_ops,
                                .name = name,
                                .timers = &s->timers,
                                .chunks = &s->chunks,
                                .trace = s->trace,
                                .log = log_to_stderr(name, LOG_ERROR)};
    e->links.env.log.wall_us = log_wall_us;
    e->links.env.log.clock = &e->links.env;
    life->living = &e->links.env;
    life->vanished = false;
    ghosts_lay(s, life);
    *out = &e->links.env;
    return OK;
}

enum error sim_env_process(struct env *env, const char *process) {
    struct sim_env *e = sim_env_of(env);
    char *copy = process ? strdup(process) : NULL;
    if (process && !copy) {
        return ERR_NO_MEMORY;
    }
    free(e->process);
    e->process = copy;
    return OK;
}

bool sim_same_process(const struct sim_env *a, const struct sim_env *b) {
    return a == b || (a->process && b->process && strcmp(a->process, b->process) == 0);
}

uint16_t sim_free_port(struct sim *s, const struct addr *host) {
    struct addr a = *host;
    for (unsigned left = UINT16_MAX - FIRST_FREE_PORT + 1; left > 0; left--) {
        s->last_port = s->last_port == UINT16_MAX ? FIRST_FREE_PORT : s->last_port + 1;
        a.port = s->last_port;
        if (!sim_dgram_at(s, &a) && !sim_listener_at(s, &a)) {
            return a.port;
        }
    }
    return 0;
}

enum error sim_claim(struct sim *s, struct addr *a) {
    if (addr_is_wildcard(a)) {
        return ERR_INVALID;
    }
    if (a->port == 0) {
        a->port = sim_free_port(s, a);
    }
    return a->port ? OK : ERR_ADDRESS_IN_USE;
}

/* A machine that vanishes leaves its addresses behind, at which nobody answers. */
static void ghosts_raise(struct sim_env *e) {
    LIST_EACH(&e->links.listeners, l, struct listener, in_env) {
        struct ghost *g = malloc(sizeof *g);
        if (!g) {
            return; /* whoever connects is refused instead of kept waiting */
        }
        *g = (struct ghost){e->sim->ghosts, e->life, l->local};
        e->sim->ghosts = g;
    }
}

void sim_crash(struct env *env, enum sim_crash kind) {
    struct sim_env *e = sim_env_of(env);
    e->sim->counters.crashes++;
    e->dead = true;
    posts_forget(&e->sim->posts, env);
    if (kind == SIM_MACHINE_VANISHES) {
        e->life->vanished = true;
        ghosts_raise(e);
    }
    sim_streams_crash(e, kind);
}
