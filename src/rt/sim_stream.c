/* Simulated connections.
 *
 * A connection is two ends that point to each other. Bytes wait in the sender's `out` until an
 * event lets them arrive, so those on the way are known when a connection is cut or a process dies.
 * An end without a peer is half-open: it stands for its owner, but only a probe, sent when the
 * owner sends, will find out. Each end draws its faults from a stream of its own. */
#include "rt/bytes.h"
#include "rt/sim_internal.h"

#include <assert.h>
#include <stdlib.h>

enum stage {
    CONNECTING,
    OPEN,
    OVER, /* its owner has closed it or been told; lives on for its peer and its events */
};

struct end {
    struct stream base;
    struct list in_sim;
    struct sim *sim;
    struct end *peer;
    const struct life *here, *there; /* there: NULL until accepted */
    struct rng rng;
    enum stage stage;
    bool in_process; /* both ends are in one process: no delay, no faults */
    bool fin_sent, probing;
    bool watched;      /* a WATCH is under way */
    uint64_t taken;    /* bytes that the other end took */
    struct bytes out;  /* sent and not arrived */
    size_t due;        /* of these, what may arrive */
    uint64_t fifo_us;  /* when the last thing sent arrives: nothing overtakes it */
    struct bytes in;   /* arrived and not consumed */
    unsigned n_events; /* that will come back to it */
};

enum what { SYN, ESTABLISHED, SEGMENT, FIN, TELL, PROBE, WATCH };

struct step {
    struct sim_event event;
    struct end *end;
    enum what what;
    enum error why;    /* TELL */
    size_t n;          /* SEGMENT */
    uint64_t taken;    /* WATCH: when it was started */
    uint64_t since_us; /* when it was sent first */
};

/* The longest pause between two attempts of what a partition holds up. */
#define RETRY_MAX_US (10 * SEC_IN_US)

static struct end *end_of(struct stream *s) {
    return CONTAINER_OF(s, struct end, base);
}

/* Who is at the other end, or would be: the listener's owner. */
static const char *name_there(const struct end *s) {
    const struct sim_listener *l = s->there ? NULL : sim_listener_at(s->sim, &s->base.remote);
    return s->there ? s->there->name : l ? l->base.env->name : "";
}

static const struct sim_faults *faults_of(const struct end *s) {
    static const struct sim_faults none;
    return s->in_process ? &none
                         : sim_faults_for(s->sim, s->here->name, &s->base.local, name_there(s),
                                          &s->base.remote);
}

/* Frees an end that nobody knows any more. */
static void release(struct end *s) {
    if (s->stage == OVER && s->n_events == 0 && !s->peer) {
        trace_remove_local(s->sim->trace, &s->base.local);
        list_remove(&s->in_sim);
        bytes_free(&s->in);
        bytes_free(&s->out);
        free(s);
    }
}

static void unlink_peer(struct end *s) {
    if (s->peer) {
        s->peer->peer = NULL;
        s->peer = NULL;
    }
}

static void step_run(struct sim *sim, struct sim_event *e);

static void step_drop(struct sim *sim, struct sim_event *e) {
    (void)sim;
    free(e);
}

static bool schedule(struct end *s, struct step what, uint64_t at_us) {
    struct step *step = malloc(sizeof *step);
    if (!step) {
        return false;
    }
    *step = what;
    step->event = (struct sim_event){step_run, step_drop};
    step->end = s;
    if (!sim_schedule(s->sim, at_us, &step->event)) {
        free(step);
        return false;
    }
    s->n_events++;
    return true;
}

/* Sends something behind all that was sent before. */
static bool transmit(struct end *s, struct step what) {
    uint64_t at_us = s->sim->now_us + sim_delay(faults_of(s), &s->rng);
    s->fifo_us = at_us > s->fifo_us ? at_us : s->fifo_us;
    what.since_us = s->sim->now_us;
    return schedule(s, what, s->fifo_us);
}

/* Ends a connection for its owner. */
static void tell(struct end *s, enum error why) {
    if (s->stage == OVER) {
        return;
    }
    unlink_peer(s);
    s->stage = OVER;
    list_remove(&s->base.in_env);
    if (s->base.handler) {
        s->base.handler->closed(s->base.ctx, &s->base, why);
    }
}

static void fin(struct end *s) {
    if (!s->fin_sent) {
        s->fin_sent = true;
        (void)transmit(s, (struct step){.what = FIN});
    }
}

/* Tries again what a partition holds up: with growing pauses, until the time for it is over. */
static bool retry(struct end *s, const struct step *what, uint64_t timeout_us) {
    uint64_t now_us = s->sim->now_us, waited_us = now_us - what->since_us;
    if (waited_us >= timeout_us) {
        return false;
    }
    uint64_t pause_us = waited_us < SEC_IN_US ? SEC_IN_US : waited_us;
    return schedule(s, *what, now_us + (pause_us < RETRY_MAX_US ? pause_us : RETRY_MAX_US));
}

/* What a kernel would keep for a slow reader without our knowing. */
enum { KERNEL_KEEPS = 128 * 1024 };

/* Looks after STREAM_STALL_US whether the other end has taken something. */
static void watch_reader(struct end *s) {
    if (!s->watched && s->out.n > KERNEL_KEEPS) {
        s->watched = schedule(s, (struct step){.what = WATCH, .taken = s->taken},
                              s->sim->now_us + STREAM_STALL_US);
    }
}

static void on_watch(struct end *s, const struct step *step) {
    s->watched = false;
    if (s->stage != OPEN || s->out.n <= KERNEL_KEEPS || s->taken != step->taken) {
        watch_reader(s);
        return;
    }
    struct end *p = s->peer;
    bytes_free(&s->out);
    tell(s, ERR_TIMEOUT);
    if (p && faults_of(s)->down) {
        release(p); /* half-open, unless it has been closed */
    } else if (p) {
        (void)schedule(p, (struct step){.what = TELL, .why = ERR_CLOSED},
                       s->sim->now_us + sim_delay(faults_of(s), &s->rng));
    }
}

/* A half-open end has sent something: sooner or later it learns what it is. */
static void probe(struct end *s) {
    if (!s->probing) {
        s->probing = true;
        (void)transmit(s, (struct step){.what = PROBE});
    }
}

/* Bytes on the way are lost; both ends, or only the receiver, learn of it. */
static void cut(struct end *s, bool sender_learns) {
    struct end *p = s->peer;
    s->sim->counters.streams_cut++;
    unlink_peer(s);
    bytes_free(&s->out);
    bytes_free(&p->out);
    struct step reset = {.what = TELL, .why = ERR_CLOSED};
    (void)schedule(p, reset, s->sim->now_us + sim_delay(faults_of(s), &s->rng));
    if (sender_learns) {
        (void)schedule(s, reset, s->sim->now_us + sim_delay(faults_of(p), &p->rng));
    }
}

/* Moves n bytes to the other end and presents what lies there, in a block of exactly its size, so
 * that AddressSanitizer sees a reader that goes too far. */
static void arrive(struct end *s, size_t n) {
    struct end *p = s->peer;
    size_t total = p->in.n + n;
    s->taken += n;
    if (p->stage == OVER || n == 0) {
        bytes_take(&s->out, n);
        return;
    }
    char *block = malloc(total);
    if (!block) {
        cut(s, true);
        return;
    }
    if (p->in.n) {
        memcpy(block, bytes_data(&p->in), p->in.n);
    }
    memcpy(block + p->in.n, bytes_data(&s->out), n);
    bytes_take(&s->out, n);
    bytes_free(&p->in);
    p->in = (struct bytes){.p = block, .n = total, .cap = total};
    if (!p->base.handler) {
        return;
    }
    p->n_events++; /* it stays while it is called */
    size_t taken = p->base.handler->received(p->base.ctx, &p->base, block, total);
    p->n_events--;
    if (p->stage == OVER) {
        release(p);
        return;
    }
    assert(taken <= total);
    bytes_take(&p->in, taken);
    if (p->in.n >= STREAM_RECEIVE_MAX) {
        struct end *peer = p->peer;
        if (peer) {
            unlink_peer(p);
            (void)schedule(peer, (struct step){.what = TELL, .why = ERR_CLOSED},
                           p->sim->now_us + sim_delay(faults_of(p), &p->rng));
        }
        tell(p, ERR_TOO_BIG);
        release(p);
    }
}

static void on_segment(struct end *s, const struct step *step) {
    const struct sim_faults *f = faults_of(s);
    if (!s->peer) {
        return;
    }
    if (f->down) {
        if (!retry(s, step, SIM_STREAM_TIMEOUT_US)) {
            unlink_peer(s);
            tell(s, ERR_TIMEOUT);
        }
        return;
    }
    s->due += step->n;
    size_t n = s->due < s->out.n ? s->due : s->out.n;
    bool half = rng_happens(&s->rng, f->half_open_ppm);
    if (half || rng_happens(&s->rng, f->cut_ppm)) {
        arrive(s, rng_below(&s->rng, n + 1));
        if (s->peer) {
            cut(s, !half);
        }
        return;
    }
    if (f->split && n > 1) {
        n = 1 + rng_below(&s->rng, n);
    }
    s->due -= n;
    arrive(s, n);
    if (s->peer && s->due > 0 && s->out.n > 0) {
        (void)transmit(s, (struct step){.what = SEGMENT});
    }
}

static void on_fin(struct end *s, const struct step *step) {
    struct end *p = s->peer;
    if (!p || (faults_of(s)->down && retry(s, step, SIM_STREAM_TIMEOUT_US))) {
        return;
    }
    if (faults_of(s)->down) {
        unlink_peer(s); /* given up: the other end stays half-open */
        return;
    }
    arrive(s, s->out.n);
    if (s->peer == p) {
        unlink_peer(s);
        p->n_events++;
        tell(p, ERR_CLOSED);
        p->n_events--;
        release(p);
    }
}

static struct end *end_new(struct env *env, const struct addr *local, const struct addr *remote);

/* Is the machine that had this address gone, so that nobody even refuses? */
static bool is_haunted(const struct sim *s, const struct addr *a) {
    for (const struct ghost *g = s->ghosts; g; g = g->next) {
        if (addr_eq(&g->addr, a)) {
            return true;
        }
    }
    return false;
}

static void on_syn(struct end *s, const struct step *step) {
    struct sim *sim = s->sim;
    if (s->stage == OVER || !s->base.handler) {
        return;
    }
    struct sim_listener *l = sim_listener_at(sim, &s->base.remote);
    if (faults_of(s)->down || (!l && is_haunted(sim, &s->base.remote))) {
        if (!retry(s, step, SIM_CONNECT_TIMEOUT_US)) {
            tell(s, ERR_TIMEOUT);
        }
        return;
    }
    struct end *p = l ? end_new(l->base.env, &s->base.remote, &s->base.local) : NULL;
    if (!p) {
        (void)transmit(s, (struct step){.what = TELL, .why = ERR_REFUSED});
        return;
    }
    sim->counters.streams_connected++;
    p->stage = OPEN;
    p->there = s->here;
    s->there = p->here;
    p->peer = s;
    s->peer = p;
    p->in_process = s->in_process =
        sim_same_process(sim_env_of(s->base.env), sim_env_of(l->base.env));
    uint64_t at_us = sim->now_us + sim_delay(faults_of(p), &p->rng);
    p->fifo_us = at_us;
    (void)schedule(s, (struct step){.what = ESTABLISHED}, at_us);
    p->n_events++;
    l->base.accept(l->base.ctx, &l->base, &p->base);
    p->n_events--;
    if (p->stage == OPEN && !p->base.handler) {
        stream_close(&p->base);
    }
    release(p);
}

static void on_established(struct end *s) {
    if (s->stage != CONNECTING) {
        return;
    }
    s->stage = OPEN;
    if (s->out.n > 0) {
        (void)transmit(s, (struct step){.what = SEGMENT, .n = s->out.n});
    }
    if (s->base.handler) {
        s->base.handler->connected(s->base.ctx, &s->base);
    }
}

static void on_probe(struct end *s, const struct step *step) {
    bool nobody = s->there && s->there->vanished && !s->there->living;
    if (s->stage == OVER) {
        return;
    }
    if (faults_of(s)->down || nobody) {
        if (!retry(s, step, SIM_STREAM_TIMEOUT_US)) {
            tell(s, ERR_TIMEOUT);
        }
        return;
    }
    tell(s, ERR_CLOSED);
}

static void step_run(struct sim *sim, struct sim_event *e) {
    (void)sim;
    struct step step = *CONTAINER_OF(e, struct step, event);
    struct end *s = step.end;
    free(e);
    switch (step.what) {
    case SYN:
        on_syn(s, &step);
        break;
    case ESTABLISHED:
        on_established(s);
        break;
    case SEGMENT:
        on_segment(s, &step);
        break;
    case FIN:
        on_fin(s, &step);
        break;
    case TELL:
        tell(s, step.why);
        break;
    case PROBE:
        on_probe(s, &step);
        break;
    case WATCH:
        on_watch(s, &step);
        break;
    }
    s->n_events--;
    release(s);
}

static enum error op_send(struct stream *base, struct span bytes) {
    struct end *s = end_of(base);
    assert(s->stage != OVER);
    if (bytes.n == 0 || sim_env_of(base->env)->dead) {
        return OK;
    }
    if (bytes.n > STREAM_BACKLOG_MAX - s->out.n) {
        return ERR_BUSY;
    }
    if (!bytes_add(&s->out, bytes)) {
        return ERR_NO_MEMORY;
    }
    watch_reader(s);
    if (s->stage == OPEN && s->peer) {
        return transmit(s, (struct step){.what = SEGMENT, .n = bytes.n}) ? OK : ERR_NO_MEMORY;
    }
    if (s->stage == OPEN) {
        probe(s);
    }
    return OK;
}

static size_t op_backlog(const struct stream *s) {
    return ((const struct end *)(const void *)s)->out.n;
}

static void op_close(struct stream *base) {
    struct end *s = end_of(base);
    assert(s->stage != OVER);
    if (s->stage == CONNECTING) {
        bytes_free(&s->out);
    }
    s->stage = OVER;
    base->handler = NULL;
    list_remove(&base->in_env);
    if (s->peer) {
        fin(s);
    }
    release(s);
}

static const struct stream_ops stream_ops = {
    .send = op_send, .backlog = op_backlog, .close = op_close};

static struct end *end_new(struct env *env, const struct addr *local, const struct addr *remote) {
    struct sim_env *e = sim_env_of(env);
    struct end *s = calloc(1, sizeof *s);
    if (!s) {
        return NULL;
    }
    s->base = (struct stream){.ops = &stream_ops, .env = env, .local = *local, .remote = *remote};
    s->sim = e->sim;
    s->here = e->life;
    for (size_t i = 0; i < COUNT_OF(s->rng.s); i++) {
        s->rng.s[i] = rng_next(&e->fault_rng);
    }
    list_insert(&e->links.streams, &s->base.in_env);
    list_insert(&e->sim->streams, &s->in_sim);
    (void)trace_add_local(e->sim->trace, local);
    return s;
}

/* Where a connection comes from: the host of something that the environment has open, else the host
 * that it goes to. */
static struct addr own_host(const struct sim_env *e, const struct addr *remote) {
    LIST_EACH(&e->links.dgrams, d, struct dgram, in_env) {
        if (d->local.family == remote->family) {
            return d->local;
        }
    }
    LIST_EACH(&e->links.listeners, l, struct listener, in_env) {
        if (l->local.family == remote->family) {
            return l->local;
        }
    }
    return *remote;
}

enum error sim_stream_connect(struct env *env, const struct addr *remote,
                              const struct stream_handler *handler, void *ctx,
                              struct stream **out) {
    struct sim_env *e = sim_env_of(env);
    struct addr local = own_host(e, remote);
    local.port = sim_free_port(e->sim, &local);
    struct end *s = end_new(env, &local, remote);
    if (!s) {
        return ERR_NO_MEMORY;
    }
    const struct sim_listener *l = sim_listener_at(e->sim, remote);
    s->in_process = l && sim_same_process(e, sim_env_of(l->base.env));
    stream_attach(&s->base, handler, ctx);
    if (!transmit(s, (struct step){.what = SYN})) {
        op_close(&s->base);
        return ERR_NO_MEMORY;
    }
    *out = &s->base;
    return OK;
}

struct sim_listener *sim_listener_at(const struct sim *s, const struct addr *a) {
    for (struct htab_node *node = htab_first(&s->listeners, addr_hash(a)); node;
         node = htab_next(node)) {
        struct sim_listener *l = CONTAINER_OF(node, struct sim_listener, by_addr);
        if (addr_eq(&l->base.local, a) && !sim_env_of(l->base.env)->dead) {
            return l;
        }
    }
    return NULL;
}

static void close_listener(struct listener *base) {
    struct sim_listener *l = CONTAINER_OF(base, struct sim_listener, base);
    struct sim *s = sim_env_of(base->env)->sim;
    htab_remove(&s->listeners, &l->by_addr);
    list_remove(&base->in_env);
    trace_remove_local(s->trace, &base->local);
    free(l);
}

static const struct listener_ops listener_ops = {.close = close_listener};

enum error sim_listen(struct env *env, const struct addr *local, listener_accept_fn *accept,
                      void *ctx, struct listener **out) {
    struct sim_env *e = sim_env_of(env);
    struct sim *s = e->sim;
    struct addr at = *local;
    enum error err = sim_claim(s, &at);
    struct sim_listener *l = err == OK ? calloc(1, sizeof *l) : NULL;
    if (!l) {
        return err != OK ? err : ERR_NO_MEMORY;
    }
    l->base = (struct listener){
        .ops = &listener_ops, .env = env, .local = at, .accept = accept, .ctx = ctx};
    err = sim_listener_at(s, &at) ? ERR_ADDRESS_IN_USE
                                  : htab_insert(&s->listeners, &l->by_addr, addr_hash(&at));
    if (err != OK) {
        free(l);
        return err;
    }
    list_insert(&e->links.listeners, &l->base.in_env);
    (void)trace_add_local(s->trace, &at);
    *out = &l->base;
    return OK;
}

static bool lies_between(const struct end *s, const char *a, const char *b) {
    return sim_place_matches(a, s->here->name, &s->base.local) &&
           sim_place_matches(b, name_there(s), &s->base.remote);
}

size_t sim_cut_streams(struct sim *sim, const char *a, const char *b) {
    size_t n = 0;
    LIST_EACH(&sim->streams, s, struct end, in_sim) {
        if (s->peer && (lies_between(s, a, b) || lies_between(s, b, a))) {
            cut(s, true);
            n++;
        }
    }
    return n;
}

void sim_streams_crash(struct sim_env *e, enum sim_crash kind) {
    LIST_EACH(&e->sim->streams, s, struct end, in_sim) {
        if (s->base.env != &e->links.env) {
            continue;
        }
        if (kind == SIM_MACHINE_VANISHES) {
            unlink_peer(s);
        } else if (s->peer && !s->fin_sent) {
            s->out.n = rng_below(&s->rng, s->out.n + 1);
            fin(s);
        }
        s->base.handler = NULL;
    }
}

void sim_streams_orphan(struct sim_env *e) {
    LIST_EACH(&e->sim->streams, s, struct end, in_sim) {
        if (s->base.env == &e->links.env) {
            s->base.env = NULL;
        }
    }
}

void sim_streams_free(struct sim *sim) {
    LIST_EACH(&sim->streams, s, struct end, in_sim) {
        trace_remove_local(sim->trace, &s->base.local);
        bytes_free(&s->in);
        bytes_free(&s->out);
        free(s);
    }
}
