#include "rt/env.h"

#include "rt/link.h"

void env_close(struct env *env) {
    if (env) {
        env->ops->close(env);
    }
}

uint64_t env_now_us(struct env *env) {
    return env->ops->now_us(env);
}

uint64_t env_clock_us(struct env *env) {
    return env->ops->clock_us(env);
}

int64_t env_wall_us(struct env *env) {
    return env->ops->wall_us(env);
}

void env_random(struct env *env, void *out, size_t n) {
    env->ops->random(env, out, n);
}

void post_init(struct post *p, void (*run)(struct post *p)) {
    *p = (struct post){.run = run};
    list_init(&p->slot);
}

void env_post(struct env *env, struct post *p) {
    if (!post_is_waiting(p)) {
        p->env = env;
        env->ops->post(env, p);
    }
}

void post_cancel(struct post *p) {
    list_remove(&p->slot);
}

void posts_init(struct posts *q) {
    list_init(&q->waiting);
    list_init(&q->running);
}

bool posts_run(struct posts *q) {
    if (list_is_empty(&q->waiting)) {
        return false;
    }
    list_move_all(&q->waiting, &q->running);
    while (!list_is_empty(&q->running)) {
        struct post *p = CONTAINER_OF(q->running.next, struct post, slot);
        list_remove(&p->slot);
        p->run(p);
    }
    return true;
}

static void forget(struct list *posts, const struct env *env) {
    LIST_EACH(posts, p, struct post, slot) {
        if (p->env == env) {
            list_remove(&p->slot);
        }
    }
}

void posts_forget(struct posts *q, const struct env *env) {
    forget(&q->waiting, env);
    forget(&q->running, env);
}

enum error env_dgram_open(struct env *env, const struct addr *local, unsigned flags,
                          dgram_receive_fn *receive, void *ctx, struct dgram **out) {
    return env->ops->dgram_open(env, local, flags, receive, ctx, out);
}

const struct addr *dgram_local(const struct dgram *d) {
    return &d->local;
}

enum error dgram_send(struct dgram *d, const struct addr *to, struct span bytes) {
    return bytes.n > DGRAM_MAX ? ERR_TOO_BIG : d->ops->send(d, to, bytes);
}

bool dgram_waited_us(const struct dgram *d, uint64_t *out) {
    *out = d->waited_us;
    return d->has_waited;
}

bool dgram_is_reliable(const struct dgram *d, const struct addr *to) {
    return d->ops->is_reliable(d, to);
}

void dgram_close(struct dgram *d) {
    if (d) {
        d->ops->close(d);
    }
}

enum error env_listen(struct env *env, const struct addr *local, listener_accept_fn *accept,
                      void *ctx, struct listener **out) {
    return env->ops->listen(env, local, accept, ctx, out);
}

const struct addr *listener_local(const struct listener *l) {
    return &l->local;
}

void listener_close(struct listener *l) {
    if (l) {
        l->ops->close(l);
    }
}

enum error env_stream_connect(struct env *env, const struct addr *remote,
                              const struct stream_handler *handler, void *ctx,
                              struct stream **out) {
    return env->ops->stream_connect(env, remote, handler, ctx, out);
}

void stream_attach(struct stream *s, const struct stream_handler *handler, void *ctx) {
    s->handler = handler;
    s->ctx = ctx;
}

const struct addr *stream_remote(const struct stream *s) {
    return &s->remote;
}

const struct addr *stream_local(const struct stream *s) {
    return &s->local;
}

enum error stream_send(struct stream *s, struct span bytes) {
    return s->ops->send(s, bytes);
}

size_t stream_backlog(const struct stream *s) {
    return s->ops->backlog(s);
}

void stream_hold(struct stream *s, bool held) {
    if (s->ops->hold) {
        s->ops->hold(s, held);
    }
}

void stream_close(struct stream *s) {
    if (s) {
        s->ops->close(s);
    }
}

void env_links_init(struct env_links *e) {
    list_init(&e->dgrams);
    list_init(&e->listeners);
    list_init(&e->streams);
}

void env_links_close(struct env_links *e) {
    LIST_EACH(&e->dgrams, d, struct dgram, in_env) {
        dgram_close(d);
    }
    LIST_EACH(&e->listeners, l, struct listener, in_env) {
        listener_close(l);
    }
    LIST_EACH(&e->streams, s, struct stream, in_env) {
        stream_close(s);
    }
}
