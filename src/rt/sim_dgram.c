/* Simulated datagrams. Each lies in a block of exactly its size, so that AddressSanitizer sees a
 * reader that goes too far; the real loop pools. */
#include "rt/sim_internal.h"

#include <stdlib.h>

struct flight {
    struct sim_event event;
    struct addr from, to;
    bool reliable;
    size_t n;
    char bytes[];
};

struct sim_dgram *sim_dgram_at(const struct sim *s, const struct addr *a) {
    for (struct htab_node *node = htab_first(&s->dgrams, addr_hash(a)); node;
         node = htab_next(node)) {
        struct sim_dgram *d = CONTAINER_OF(node, struct sim_dgram, by_addr);
        if (addr_eq(&d->base.local, a) && !sim_env_of(d->base.env)->dead) {
            return d;
        }
    }
    return NULL;
}

static void flight_drop(struct sim *s, struct sim_event *e) {
    (void)s;
    free(e);
}

static void flight_land(struct sim *s, struct sim_event *e) {
    struct flight *f = CONTAINER_OF(e, struct flight, event);
    struct sim_dgram *d = sim_dgram_at(s, &f->to);
    if (d) {
        s->counters.dgrams_delivered++;
        d->base.receive(d->base.ctx, &d->base, &f->from, f->bytes, f->n);
    } else {
        s->counters.dgrams_unclaimed++;
    }
    free(f);
}

static enum error launch(struct sim *s, const struct dgram *d, const struct addr *to,
                         struct span bytes, uint64_t delay_us) {
    struct flight *f = malloc(sizeof *f + bytes.n);
    if (!f) {
        return ERR_NO_MEMORY;
    }
    *f = (struct flight){
        .event = {flight_land, flight_drop}, .from = d->local, .to = *to, .n = bytes.n};
    if (bytes.n) {
        memcpy(f->bytes, bytes.p, bytes.n);
    }
    if (!sim_schedule(s, s->now_us + delay_us, &f->event)) {
        free(f);
        return ERR_NO_MEMORY;
    }
    return OK;
}

static bool is_reliable(const struct dgram *d, const struct addr *to) {
    struct sim_env *e = sim_env_of(d->env);
    const struct sim_dgram *peer = sim_dgram_at(e->sim, to);
    return peer && !((d->flags | peer->base.flags) & DGRAM_SOCKET_ONLY) &&
           sim_same_process(e, sim_env_of(peer->base.env));
}

static enum error send_dgram(struct dgram *d, const struct addr *to, struct span bytes) {
    struct sim_env *e = sim_env_of(d->env);
    struct sim *s = e->sim;
    if (e->dead) {
        return OK;
    }
    s->counters.dgrams_sent++;
    if (is_reliable(d, to)) {
        return launch(s, d, to, bytes, 0);
    }
    const struct sim_dgram *peer = sim_dgram_at(s, to);
    const struct sim_faults *f =
        sim_faults_for(s, d->env->name, &d->local, peer ? peer->base.env->name : "", to);
    if (f->down || rng_happens(&e->fault_rng, f->loss_ppm)) {
        s->counters.dgrams_lost++;
        return OK;
    }
    if (rng_happens(&e->fault_rng, f->duplicate_ppm)) {
        s->counters.dgrams_duplicated++;
        enum error err = launch(s, d, to, bytes, sim_delay(f, &e->fault_rng));
        if (err != OK) {
            return err;
        }
    }
    return launch(s, d, to, bytes, sim_delay(f, &e->fault_rng));
}

static void close_dgram(struct dgram *base) {
    struct sim_dgram *d = CONTAINER_OF(base, struct sim_dgram, base);
    struct sim *s = sim_env_of(base->env)->sim;
    htab_remove(&s->dgrams, &d->by_addr);
    list_remove(&base->in_env);
    trace_remove_local(s->trace, &base->local);
    free(d);
}

static const struct dgram_ops dgram_ops = {
    .send = send_dgram, .is_reliable = is_reliable, .close = close_dgram};

enum error sim_dgram_open(struct env *env, const struct addr *local, unsigned flags,
                          dgram_receive_fn *receive, void *ctx, struct dgram **out) {
    struct sim_env *e = sim_env_of(env);
    struct sim *s = e->sim;
    struct addr at = *local;
    enum error err = sim_claim(s, &at);
    struct sim_dgram *d = err == OK ? calloc(1, sizeof *d) : NULL;
    if (!d) {
        return err != OK ? err : ERR_NO_MEMORY;
    }
    d->base = (struct dgram){
        .ops = &dgram_ops, .env = env, .local = at, .flags = flags, .receive = receive, .ctx = ctx};
    err = sim_dgram_at(s, &at) ? ERR_ADDRESS_IN_USE
                               : htab_insert(&s->dgrams, &d->by_addr, addr_hash(&at));
    if (err != OK) {
        free(d);
        return err;
    }
    list_insert(&e->links.dgrams, &d->base.in_env);
    (void)trace_add_local(s->trace, &at);
    *out = &d->base;
    return OK;
}
