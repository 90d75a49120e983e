/* What streams of the real loop have in common, and those that stay in the process: two ends that
 * point to each other, each with a queue of what it has sent. Ends with something to do stand in a
 * list of the loop, which works it off in rounds. */
#include "rt/loop_internal.h"

#include <assert.h>
#include <stdlib.h>

enum { FIRST_PIPE_PORT = 49152, SPARE_KEPT = 256 * 1024 };

/* Streams in common. */

void loop_stream_init(struct loop_stream *s, struct env *env, const struct stream_ops *ops) {
    struct loop_env *e = loop_env_of(env);
    s->base = (struct stream){.ops = ops, .env = env};
    s->loop = e->loop;
    list_insert(&e->links.streams, &s->base.in_env);
}

void loop_stream_stands(struct loop_stream *s, const struct addr *local,
                        const struct addr *remote) {
    s->base.local = *local;
    s->base.remote = *remote;
    (void)trace_add_local(s->loop->trace, local);
}

void loop_stream_leave(struct loop_stream *s) {
    s->stage = STREAM_OVER;
    list_remove(&s->base.in_env);
    trace_remove_local(s->loop->trace, &s->base.local);
}

void loop_stream_tell(struct loop_stream *s, enum error why) {
    loop_stream_leave(s);
    if (s->base.handler) {
        s->base.handler->closed(s->base.ctx, &s->base, why);
    }
}

enum error loop_stream_present(struct loop_stream *s, char *bytes, size_t n) {
    bool kept = s->in.n > 0;
    if (kept && !bytes_add(&s->in, span_of(bytes, n))) {
        return ERR_NO_MEMORY;
    }
    char *all = kept ? bytes_data(&s->in) : bytes;
    size_t n_all = kept ? s->in.n : n;
    size_t taken = s->base.handler->received(s->base.ctx, &s->base, all, n_all);
    if (s->stage == STREAM_OVER) {
        return ERR_CLOSED;
    }
    assert(taken <= n_all);
    if (kept) {
        bytes_take(&s->in, taken);
    } else if (!bytes_add(&s->in, span_of(all + taken, n_all - taken))) {
        return ERR_NO_MEMORY;
    }
    if (s->in.n == 0) {
        loop_spare_put(s->loop, &s->in);
    }
    return s->in.n >= STREAM_RECEIVE_MAX ? ERR_TOO_BIG : OK;
}

enum error loop_stream_queue(struct loop_stream *s, struct span bytes) {
    assert(s->stage != STREAM_OVER);
    if (bytes.n > STREAM_BACKLOG_MAX - s->out.n) {
        return ERR_BUSY;
    }
    if (s->out.cap == 0) {
        struct loop *l = s->loop;
        s->out = l->n_spares > 0 ? l->spares[--l->n_spares] : s->out;
    }
    return bytes_add(&s->out, bytes) ? OK : ERR_NO_MEMORY;
}

void loop_spare_put(struct loop *l, struct bytes *b) {
    if (b->cap == 0) {
        return;
    }
    if (l->n_spares == COUNT_OF(l->spares) || b->cap > SPARE_KEPT) {
        bytes_free(b);
        return;
    }
    l->spares[l->n_spares++] = (struct bytes){.p = b->p, .cap = b->cap};
    *b = (struct bytes){0};
}

/* In the process. */

struct pipe_end {
    struct loop_stream s;
    struct pipe_end *peer;
    struct list active;
    bool in_call; /* a callback of it runs: it stays */
};

static void release(struct pipe_end *e) {
    if (e->s.stage == STREAM_OVER && !e->peer && !e->in_call && list_is_empty(&e->active)) {
        bytes_free(&e->s.in);
        bytes_free(&e->s.out);
        free(e);
    }
}

static void activate(struct pipe_end *e) {
    if (list_is_empty(&e->active)) {
        list_insert(&e->s.loop->pipes_active, &e->active);
    }
}

static void unlink_peer(struct pipe_end *e) {
    if (e->peer) {
        e->peer->peer = NULL;
        e->peer = NULL;
    }
}

/* Breaks a connection off for one end; the other follows in its turn. */
static void break_off(struct pipe_end *e, enum error why) {
    struct pipe_end *peer = e->peer;
    unlink_peer(e);
    if (e->s.stage != STREAM_OVER) {
        loop_stream_tell(&e->s, why);
    }
    if (peer) {
        activate(peer);
    }
    release(e);
}

static enum error op_send(struct stream *base, struct span bytes) {
    struct pipe_end *e = CONTAINER_OF(base, struct pipe_end, s.base);
    if (bytes.n == 0) {
        return OK;
    }
    enum error err = loop_stream_queue(&e->s, bytes);
    if (err == OK) {
        activate(e);
    }
    return err;
}

static size_t op_backlog(const struct stream *base) {
    return ((const struct loop_stream *)(const void *)base)->out.n;
}

static void op_close(struct stream *base) {
    struct pipe_end *e = CONTAINER_OF(base, struct pipe_end, s.base);
    assert(e->s.stage != STREAM_OVER);
    loop_stream_leave(&e->s);
    base->handler = NULL;
    activate(e);
}

static const struct stream_ops pipe_ops = {
    .send = op_send, .backlog = op_backlog, .close = op_close};

static struct pipe_end *end_new(struct env *env) {
    struct pipe_end *e = calloc(1, sizeof *e);
    if (e) {
        loop_stream_init(&e->s, env, &pipe_ops);
        list_init(&e->active);
    }
    return e;
}

enum error pipe_connect(struct env *env, const struct addr *remote,
                        const struct stream_handler *handler, void *ctx, struct stream **out) {
    struct loop *l = loop_env_of(env)->loop;
    struct pipe_end *e = end_new(env);
    if (!e) {
        return ERR_NO_MEMORY;
    }
    /* A port of its own, as the kernel would give it one; only for those who read traces. */
    struct addr local = *remote;
    l->last_pipe_port =
        l->last_pipe_port < FIRST_PIPE_PORT ? FIRST_PIPE_PORT : l->last_pipe_port + 1;
    local.port = l->last_pipe_port;
    loop_stream_stands(&e->s, &local, remote);
    stream_attach(&e->s.base, handler, ctx);
    activate(e);
    *out = &e->s.base;
    return OK;
}

static void establish(struct pipe_end *e) {
    struct listener *l = loop_listener_at(e->s.loop, &e->s.base.remote);
    struct pipe_end *p = l ? end_new(l->env) : NULL;
    if (!p) {
        break_off(e, l ? ERR_NO_MEMORY : ERR_REFUSED);
        return;
    }
    loop_stream_stands(&p->s, &e->s.base.remote, &e->s.base.local);
    p->s.stage = e->s.stage = STREAM_OPEN;
    p->peer = e;
    e->peer = p;
    p->in_call = e->in_call = true;
    l->accept(l->ctx, l, &p->s.base);
    if (p->s.stage == STREAM_OPEN && !p->s.base.handler) {
        op_close(&p->s.base);
    }
    if (e->s.stage == STREAM_OPEN) {
        e->s.base.handler->connected(e->s.base.ctx, &e->s.base);
    }
    p->in_call = e->in_call = false;
    if (e->s.out.n > 0) {
        activate(e);
    }
    release(p);
}

/* Moves what an end has sent to the other. */
static void move(struct pipe_end *e) {
    struct pipe_end *p = e->peer;
    struct bytes moved = e->s.out;
    e->s.out = (struct bytes){0};
    e->s.loop->counters.stream_bytes_sent += moved.n;
    if (p->s.stage == STREAM_OPEN) {
        p->in_call = true;
        enum error err = loop_stream_present(&p->s, bytes_data(&moved), moved.n);
        p->in_call = false;
        if (err != OK && err != ERR_CLOSED) {
            break_off(p, err);
        }
    }
    moved.n = moved.head = 0;
    loop_spare_put(e->s.loop, &moved);
}

static void attend(struct pipe_end *e) {
    if (e->s.stage == STREAM_CONNECTING) {
        establish(e);
        return;
    }
    if (e->peer && e->s.out.n > 0) {
        e->in_call = true;
        move(e);
        e->in_call = false;
    }
    if (e->s.stage == STREAM_OVER || !e->peer) {
        break_off(e, ERR_CLOSED); /* its peer is active then, and told in this or the next round */
    }
}

bool pipes_deliver(struct loop *l) {
    if (list_is_empty(&l->pipes_active)) {
        return false;
    }
    list_move_all(&l->pipes_active, &l->pipes_attended);
    while (!list_is_empty(&l->pipes_attended)) {
        struct pipe_end *e = CONTAINER_OF(l->pipes_attended.next, struct pipe_end, active);
        list_remove(&e->active);
        attend(e);
    }
    return true;
}
