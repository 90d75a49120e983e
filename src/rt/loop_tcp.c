/* TCP of the real loop. What is sent in a turn goes out at its end in one piece; what arrives is
 * read into a buffer that all connections share and presented there, so a quiet connection holds no
 * memory. A connection that its owner has closed lingers: first for what is still to be sent, then
 * for the other end to close, because closing with unread bytes would have the kernel send a reset
 * that may overtake what was sent last. But who goes on sending gets the reset. */
#include "rt/loop_internal.h"

#include <assert.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    ACCEPTS_MAX = 64, /* of one listener, reads of one connection in a turn */
    READS_MAX = 4,
    READ_SIZE = 256 * 1024,
    UNSENT_MAX = 128 * 1024, /* in the kernel, besides what is on the way */
    QUEUE_OF_ACCEPTS = 1024,
    DRAINED_MAX = 1 << 20, /* read and thrown away while lingering */
};

#define LINGER_US (5 * SEC_IN_US)
#define REST_US   (100 * MS_IN_US)

struct tcp {
    struct loop_stream s;
    int fd;
    uv_poll_t poll;
    int events;         /* that are polled for */
    enum error broken;  /* to be told in the next turn */
    bool held;          /* nothing is to be read now */
    bool deaf;          /* nothing can be sent any more */
    bool fin_sent;      /* lingering, all has gone out */
    size_t drained;     /* lingering, bytes that nobody wants any more */
    struct list active; /* something to send or to tell */
    struct list lingering;
    struct timer linger;
    struct timer stall; /* runs while something waits to be sent */
};

struct tcp_listener {
    struct listener base;
    struct loop *loop;
    int fd;
    uv_poll_t poll;
    bool in_table;
    bool closed;
    struct htab_node by_addr;
    struct timer rest;
};

static void on_tcp(uv_poll_t *h, int status, int events);

static void poll_for(struct tcp *t) {
    int events = t->s.stage == STREAM_CONNECTING
                     ? UV_WRITABLE
                     : (t->held ? 0 : UV_READABLE) | (t->s.out.n > 0 && !t->deaf ? UV_WRITABLE : 0);
    if (events != t->events) {
        t->events = events;
        uv_poll_start(&t->poll, events, on_tcp); /* for nothing: it stops */
    }
}

static void on_stream_closed(uv_handle_t *h) {
    free(h->data);
}

/* Lets go of the socket; the memory goes with the handle. */
static void destroy(struct tcp *t) {
    timer_stop(&t->linger);
    timer_stop(&t->stall);
    list_remove(&t->active);
    list_remove(&t->lingering);
    bytes_free(&t->s.in);
    bytes_free(&t->s.out);
    uv_close((uv_handle_t *)&t->poll, on_stream_closed);
    close(t->fd);
    t->fd = -1;
}

/* Ends it, for its owner if it still has one. */
static void end(struct tcp *t, enum error why) {
    if (t->s.stage != STREAM_OVER) {
        loop_stream_tell(&t->s, why);
    }
    destroy(t);
}

static void activate(struct tcp *t) {
    if (list_is_empty(&t->active)) {
        list_insert(&t->s.loop->tcp_active, &t->active);
    }
}

static void stalled(struct timer *timer) {
    end(CONTAINER_OF(timer, struct tcp, stall), ERR_TIMEOUT);
}

/* A slow reader has time as long as it takes something. */
static void watch_reader(struct tcp *t, bool took_some) {
    if (t->s.out.n == 0) {
        timer_stop(&t->stall);
    } else if (took_some || !timer_is_running(&t->stall)) {
        timers_start(&t->s.loop->timers, &t->stall, loop_now_us(t->s.loop) + STREAM_STALL_US);
    }
}

/* Writes what the kernel takes. If it takes nothing any more, reading will find out why. */
static void write_out(struct tcp *t) {
    size_t before = t->s.out.n;
    while (t->s.out.n > 0 && !t->deaf) {
        ssize_t n = send(t->fd, bytes_data(&t->s.out), t->s.out.n, MSG_NOSIGNAL);
        if (n >= 0) {
            t->s.loop->counters.stream_bytes_sent += (uint64_t)n;
            bytes_take(&t->s.out, (size_t)n);
        } else if (errno == EAGAIN) {
            break;
        } else if (errno != EINTR) {
            t->deaf = true;
            t->s.out.n = 0;
        }
    }
    if (t->s.out.n == 0) {
        t->s.out.head = 0;
        loop_spare_put(t->s.loop, &t->s.out);
        if (t->s.stage == STREAM_OVER && !t->fin_sent) {
            t->fin_sent = true;
            (void)shutdown(t->fd, SHUT_WR);
        }
    }
    watch_reader(t, t->s.out.n < before);
    poll_for(t);
}

void tcp_flush(struct loop *l) {
    list_move_all(&l->tcp_active, &l->tcp_flushed);
    while (!list_is_empty(&l->tcp_flushed)) {
        struct tcp *t = CONTAINER_OF(l->tcp_flushed.next, struct tcp, active);
        list_remove(&t->active);
        if (t->broken != OK) {
            end(t, t->broken);
        } else if (t->s.stage != STREAM_CONNECTING) {
            write_out(t);
        }
    }
}

static enum error why_broken(int error) {
    enum error e = error_from_errno(error);
    return e == ERR_NO_MEMORY || e == ERR_TIMEOUT || e == ERR_UNREACHABLE || e == ERR_REFUSED
               ? e
               : ERR_CLOSED;
}

static void on_connected(struct tcp *t, int error) {
    if (error != 0) {
        end(t, why_broken(error));
        return;
    }
    t->s.stage = STREAM_OPEN;
    t->events = 0;
    poll_for(t);
    t->s.base.handler->connected(t->s.base.ctx, &t->s.base);
}

static void read_in(struct tcp *t) {
    struct loop *l = t->s.loop;
    for (int i = 0; i < READS_MAX; i++) {
        ssize_t n = recv(t->fd, l->stream_buffer, READ_SIZE, 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            return;
        }
        if (n <= 0) {
            end(t, n == 0 ? ERR_CLOSED : why_broken(errno));
            return;
        }
        if (t->s.stage == STREAM_OVER) {
            t->drained += (size_t)n;
            if (t->drained > DRAINED_MAX) { /* he goes on and on: let the kernel tell him */
                destroy(t);
                return;
            }
        } else {
            enum error err = loop_stream_present(&t->s, l->stream_buffer, (size_t)n);
            if (err != OK && err != ERR_CLOSED) {
                end(t, err);
                return;
            }
        }
        if (n < READ_SIZE || t->fd < 0 || t->held) {
            return;
        }
    }
}

static void on_tcp(uv_poll_t *h, int status, int events) {
    struct tcp *t = h->data;
    loop_turn(t->s.loop);
    int error = 0;
    if (status != 0 || t->s.stage == STREAM_CONNECTING) {
        socklen_t n = sizeof error;
        (void)getsockopt(t->fd, SOL_SOCKET, SO_ERROR, &error, &n);
        t->events = 0; /* libuv stops at an error */
    }
    if (t->s.stage == STREAM_CONNECTING) {
        on_connected(t, error);
        return;
    }
    if (status != 0) {
        end(t, why_broken(error));
        return;
    }
    if (events & UV_WRITABLE) {
        write_out(t);
    }
    if (events & UV_READABLE && t->fd >= 0) {
        read_in(t);
    }
}

static enum error op_send(struct stream *base, struct span bytes) {
    struct tcp *t = CONTAINER_OF(base, struct tcp, s.base);
    if (t->deaf) {
        return ERR_CLOSED;
    }
    enum error err = loop_stream_queue(&t->s, bytes);
    if (err == OK) {
        activate(t);
    }
    return err;
}

static size_t op_backlog(const struct stream *base) {
    return ((const struct loop_stream *)(const void *)base)->out.n;
}

static void op_hold(struct stream *base, bool held) {
    struct tcp *t = CONTAINER_OF(base, struct tcp, s.base);
    t->held = held;
    if (t->s.stage == STREAM_OPEN) {
        poll_for(t);
    }
}

static void linger_over(struct timer *timer) {
    destroy(CONTAINER_OF(timer, struct tcp, linger));
}

static void op_close(struct stream *base) {
    struct tcp *t = CONTAINER_OF(base, struct tcp, s.base);
    assert(t->s.stage != STREAM_OVER);
    bool stands = t->s.stage == STREAM_OPEN;
    loop_stream_leave(&t->s);
    base->handler = NULL;
    bytes_free(&t->s.in);
    if (!stands || t->deaf) {
        destroy(t);
        return;
    }
    struct loop *l = t->s.loop;
    t->held = false;
    list_insert(&l->tcp_lingering, &t->lingering);
    timers_start(&l->timers, &t->linger, loop_now_us(l) + LINGER_US);
    activate(t);
}

static const struct stream_ops tcp_ops = {
    .send = op_send, .backlog = op_backlog, .hold = op_hold, .close = op_close};

static struct tcp *tcp_new(struct env *env, int fd, const struct addr *remote) {
    struct loop *l = loop_env_of(env)->loop;
    struct tcp *t = calloc(1, sizeof *t);
    if (!t || uv_poll_init_socket(&l->uv, &t->poll, fd) != 0) {
        free(t);
        return NULL;
    }
    const int on = 1, unsent_max = UNSENT_MAX;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent_max, sizeof unsent_max);
    t->poll.data = t;
    t->fd = fd;
    list_init(&t->active);
    list_init(&t->lingering);
    timer_init(&t->linger, linger_over);
    timer_init(&t->stall, stalled);
    loop_stream_init(&t->s, env, &tcp_ops);
    union sockaddr_any sa = {0};
    socklen_t n = sizeof sa;
    (void)getsockname(fd, &sa.any, &n);
    struct addr local = addr_from_sockaddr(&sa);
    loop_stream_stands(&t->s, &local, remote);
    return t;
}

enum error loop_stream_connect(struct env *env, const struct addr *remote,
                               const struct stream_handler *handler, void *ctx,
                               struct stream **out) {
    struct loop *l = loop_env_of(env)->loop;
    if (l->in_process && loop_listener_at(l, remote)) {
        return pipe_connect(env, remote, handler, ctx, out);
    }
    union sockaddr_any sa;
    socklen_t n = sockaddr_from_addr(remote, &sa);
    int fd = socket(sa.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return ERR_NO_MEMORY; /* of descriptors, or of buffers */
    }
    int error = connect(fd, &sa.any, n) == 0 || errno == EINPROGRESS ? 0 : errno;
    struct tcp *t = tcp_new(env, fd, remote);
    if (!t) {
        close(fd);
        return ERR_NO_MEMORY;
    }
    stream_attach(&t->s.base, handler, ctx);
    if (error != 0) {
        t->broken = why_broken(error);
        activate(t);
    } else {
        poll_for(t);
    }
    *out = &t->s.base;
    return OK;
}

void tcp_free(struct loop *l) {
    LIST_EACH(&l->tcp_lingering, t, struct tcp, lingering) {
        destroy(t);
    }
}

/* Listeners. */

static void on_listener(uv_poll_t *h, int status, int events);

static void listener_rested(struct timer *timer) {
    struct tcp_listener *l = CONTAINER_OF(timer, struct tcp_listener, rest);
    uv_poll_start(&l->poll, UV_READABLE, on_listener);
}

/* Without descriptors or memory the kernel would wake us in vain again and again. */
static void listener_rest(struct tcp_listener *l) {
    l->loop->counters.accept_failures++;
    uv_poll_stop(&l->poll);
    timers_start(&l->loop->timers, &l->rest, loop_now_us(l->loop) + REST_US);
}

static void on_listener(uv_poll_t *h, int status, int events) {
    struct tcp_listener *l = h->data;
    (void)events;
    loop_turn(l->loop);
    if (status != 0) {
        listener_rest(l);
        return;
    }
    for (int i = 0; i < ACCEPTS_MAX && !l->closed; i++) {
        union sockaddr_any sa;
        socklen_t n = sizeof sa;
        int fd = accept4(l->fd, &sa.any, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
                listener_rest(l);
            }
            return; /* nobody waits, or whoever waited has gone */
        }
        struct addr remote = addr_from_sockaddr(&sa);
        struct tcp *t = tcp_new(l->base.env, fd, &remote);
        if (!t) {
            close(fd);
            listener_rest(l);
            return;
        }
        t->s.stage = STREAM_OPEN;
        poll_for(t);
        l->base.accept(l->base.ctx, &l->base, &t->s.base);
        if (t->s.stage == STREAM_OPEN && !t->s.base.handler) {
            op_close(&t->s.base);
        }
    }
}

static void on_listener_closed(uv_handle_t *h) {
    free(h->data);
}

static void close_listener(struct listener *base) {
    struct tcp_listener *l = CONTAINER_OF(base, struct tcp_listener, base);
    l->closed = true;
    timer_stop(&l->rest);
    if (l->in_table) {
        htab_remove(&l->loop->listeners, &l->by_addr);
    }
    list_remove(&base->in_env);
    trace_remove_local(l->loop->trace, &base->local);
    uv_close((uv_handle_t *)&l->poll, on_listener_closed);
    close(l->fd);
}

static const struct listener_ops listener_ops = {.close = close_listener};

enum error loop_listen(struct env *env, const struct addr *local, listener_accept_fn *accept,
                       void *ctx, struct listener **out) {
    struct loop_env *e = loop_env_of(env);
    struct tcp_listener *l = calloc(1, sizeof *l);
    if (!l) {
        return ERR_NO_MEMORY;
    }
    l->fd = -1;
    l->loop = e->loop;
    enum error err = socket_bound(SOCK_STREAM, local, &l->fd, &l->base.local);
    if (err == OK && listen(l->fd, QUEUE_OF_ACCEPTS) != 0) {
        err = error_from_errno(errno);
    }
    if (err == OK && !addr_is_wildcard(&l->base.local)) {
        err = htab_insert(&e->loop->listeners, &l->by_addr, addr_hash(&l->base.local));
        l->in_table = err == OK;
    }
    if (err == OK) {
        err = error_from_errno(uv_poll_init_socket(&e->loop->uv, &l->poll, l->fd));
    }
    if (err != OK) {
        if (l->in_table) {
            htab_remove(&e->loop->listeners, &l->by_addr);
        }
        if (l->fd >= 0) {
            close(l->fd);
        }
        free(l);
        return err;
    }
    l->base.ops = &listener_ops;
    l->base.env = env;
    l->base.accept = accept;
    l->base.ctx = ctx;
    l->poll.data = l;
    timer_init(&l->rest, listener_rested);
    list_insert(&e->links.listeners, &l->base.in_env);
    (void)trace_add_local(e->loop->trace, &l->base.local);
    uv_poll_start(&l->poll, UV_READABLE, on_listener);
    *out = &l->base;
    return OK;
}

struct listener *loop_listener_at(const struct loop *l, const struct addr *a) {
    for (struct htab_node *node = htab_first(&l->listeners, addr_hash(a)); node;
         node = htab_next(node)) {
        struct tcp_listener *t = CONTAINER_OF(node, struct tcp_listener, by_addr);
        if (addr_eq(&t->base.local, a)) {
            return &t->base;
        }
    }
    return NULL;
}
