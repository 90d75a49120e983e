/* Datagrams of the real loop: UDP in batches, and the queue between environments of one loop.
 *
 * Everything lies in buffers that are used again: one area for a batch of received datagrams, a
 * pool of areas for batches to be sent (an endpoint takes one when it has something to send, and
 * gives it back when all is gone), and two blocks of in-process datagrams, one that is filled while
 * the other is delivered. */
#include "rt/loop_internal.h"

#include <errno.h>
#include <stdalign.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum {
    RECEIVE_BATCH = 32,
    RECEIVE_BATCHES = 4, /* in one turn, before other sockets get theirs */
    /* A little more than the longest datagram, so that neighbours do not share cache sets. */
    RECEIVE_STRIDE = 65536 + 832,
    SEND_BATCH = 64,
    SEND_BYTES = 128 * 1024,
    SOCKET_BUFFER = 8 << 20,
    LETTERS_FIRST = 64 * 1024,
    LETTERS_KEPT = 4 << 20,
    LETTERS_MAX = 64 << 20,
};

struct udp_receive {
    struct mmsghdr messages[RECEIVE_BATCH];
    struct iovec vectors[RECEIVE_BATCH];
    union sockaddr_any from[RECEIVE_BATCH];
    /* Stamps: of the first message of a batch, which is the oldest. */
    alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(struct timespec))];
    char bytes[RECEIVE_BATCH * RECEIVE_STRIDE];
};

struct udp_send {
    struct udp_send *next;
    unsigned first, n; /* the next to go; how many there are */
    size_t n_bytes;
    struct mmsghdr messages[SEND_BATCH];
    struct iovec vectors[SEND_BATCH];
    union sockaddr_any to[SEND_BATCH];
    char bytes[SEND_BYTES];
};

struct udp {
    struct dgram base;
    struct loop *loop;
    struct htab_node by_addr;
    bool in_table; /* in-process messages may come and go */
    bool closed;
    bool blocked; /* its queue in the kernel is full */
    int fd;
    unsigned n_refs; /* letters on the way to it, and the handle */
    uv_poll_t poll;
    struct udp_send *send; /* what is queued, or NULL */
    struct list dirty;
};

struct letter {
    struct udp *to;
    struct addr from;
    uint32_t n;
    char bytes[];
};

static size_t letter_size(size_t n) {
    return (sizeof(struct letter) + n + 7) & ~(size_t)7;
}

static void udp_unref(struct udp *d) {
    if (--d->n_refs == 0) {
        free(d);
    }
}

/* In the process. */

static struct udp *udp_at(const struct loop *l, const struct addr *a) {
    for (struct htab_node *node = htab_first(&l->dgrams, addr_hash(a)); node;
         node = htab_next(node)) {
        struct udp *d = CONTAINER_OF(node, struct udp, by_addr);
        if (addr_eq(&d->base.local, a)) {
            return d;
        }
    }
    return NULL;
}

static bool letters_grow(struct letters *q, size_t n) {
    size_t cap = q->cap ? q->cap : LETTERS_FIRST;
    while (cap - q->n < n) {
        cap *= 2;
    }
    char *p = cap <= LETTERS_MAX ? realloc(q->p, cap) : NULL;
    if (!p) {
        return false;
    }
    q->p = p;
    q->cap = cap;
    return true;
}

static enum error letter_post(struct udp *from, struct udp *to, struct span bytes) {
    struct letters *q = &from->loop->letters;
    size_t size = letter_size(bytes.n);
    if (UNLIKELY(size > q->cap - q->n) && !letters_grow(q, size)) {
        return ERR_NO_MEMORY;
    }
    struct letter *letter = (struct letter *)(void *)(q->p + q->n);
    letter->to = to;
    letter->from = from->base.local;
    letter->n = (uint32_t)bytes.n;
    if (bytes.n) {
        memcpy(letter->bytes, bytes.p, bytes.n);
    }
    q->n += size;
    to->n_refs++;
    return OK;
}

bool dgrams_deliver(struct loop *l) {
    if (l->letters.n == 0) {
        return false;
    }
    struct letters q = l->letters;
    l->letters = l->reading;
    for (size_t at = 0; at < q.n;) {
        struct letter *letter = (struct letter *)(void *)(q.p + at);
        struct udp *d = letter->to;
        at += letter_size(letter->n);
        if (LIKELY(!d->closed)) {
            l->counters.inprocess_dgrams++;
            d->base.receive(d->base.ctx, &d->base, &letter->from, letter->bytes, letter->n);
        } else {
            l->counters.inprocess_lost++;
        }
        udp_unref(d);
    }
    q.n = 0;
    if (q.cap > LETTERS_KEPT) {
        free(q.p);
        q = (struct letters){0};
    }
    l->reading = q;
    return true;
}

/* On the wire. */

static void on_udp(uv_poll_t *h, int status, int events);

static void udp_poll(struct udp *d) {
    uv_poll_start(&d->poll, UV_READABLE | (d->blocked ? UV_WRITABLE : 0), on_udp);
}

/* Sends what is queued. What the kernel does not take now waits for it; what it does not take at
 * all is lost. */
static void udp_flush(struct udp *d) {
    struct loop *l = d->loop;
    struct udp_send *q = d->send;
    bool was_blocked = d->blocked;
    d->blocked = false;
    while (q->first < q->n) {
        int sent = sendmmsg(d->fd, q->messages + q->first, q->n - q->first, MSG_DONTWAIT);
        if (sent > 0) {
            l->counters.udp_sent += (unsigned)sent;
            q->first += (unsigned)sent;
        } else if (errno == EAGAIN || errno == ENOBUFS) {
            d->blocked = true;
            break;
        } else if (errno != EINTR) {
            l->counters.udp_lost++;
            q->first++;
        }
    }
    if (!d->blocked) {
        d->send = NULL;
        q->next = l->idle_sends;
        l->idle_sends = q;
    }
    if (d->blocked != was_blocked && !d->closed) {
        udp_poll(d);
    }
}

void dgrams_flush(struct loop *l) {
    while (!list_is_empty(&l->udp_dirty)) {
        struct udp *d = CONTAINER_OF(l->udp_dirty.next, struct udp, dirty);
        list_remove(&d->dirty);
        if (!d->blocked) {
            udp_flush(d);
        }
    }
}

static struct udp_send *send_area(struct loop *l) {
    struct udp_send *q = l->idle_sends;
    if (q) {
        l->idle_sends = q->next;
    } else if (!(q = malloc(sizeof *q))) {
        return NULL;
    }
    q->first = q->n = 0;
    q->n_bytes = 0;
    return q;
}

static enum error udp_queue(struct udp *d, const struct addr *to, struct span bytes) {
    struct udp_send *q = d->send;
    if (q && (q->n == SEND_BATCH || bytes.n > SEND_BYTES - q->n_bytes)) {
        if (!d->blocked) {
            udp_flush(d);
        }
        if (d->blocked) {
            d->loop->counters.udp_lost++;
            return OK;
        }
        q = d->send;
    }
    if (!q) {
        q = d->send = send_area(d->loop);
        if (!q) {
            return ERR_NO_MEMORY;
        }
    }
    if (list_is_empty(&d->dirty)) {
        list_insert(&d->loop->udp_dirty, &d->dirty);
    }
    unsigned i = q->n++;
    if (bytes.n) {
        memcpy(q->bytes + q->n_bytes, bytes.p, bytes.n);
    }
    q->vectors[i] = (struct iovec){q->bytes + q->n_bytes, bytes.n};
    q->messages[i].msg_hdr = (struct msghdr){.msg_name = &q->to[i],
                                             .msg_namelen = sockaddr_from_addr(to, &q->to[i]),
                                             .msg_iov = &q->vectors[i],
                                             .msg_iovlen = 1};
    q->n_bytes += bytes.n;
    return OK;
}

/* How long the oldest datagram of a batch had waited, by the kernel's stamp on it. */
static void note_wait(struct udp *d, struct msghdr *oldest) {
    struct timespec now;
    d->base.has_waited = false;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(oldest); c; c = CMSG_NXTHDR(oldest, c)) {
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS &&
            !clock_gettime(CLOCK_REALTIME, &now)) {
            struct timespec at;
            memcpy(&at, CMSG_DATA(c), sizeof at);
            int64_t us = (now.tv_sec - at.tv_sec) * 1000000LL + (now.tv_nsec - at.tv_nsec) / 1000;
            d->base.waited_us = us > 0 ? (uint64_t)us : 0;
            d->base.has_waited = true;
        }
    }
}

static void udp_receive(struct udp *d) {
    struct loop *l = d->loop;
    struct udp_receive *r = l->receive;
    for (int batch = 0; batch < RECEIVE_BATCHES; batch++) {
        for (int i = 0; i < RECEIVE_BATCH; i++) {
            r->messages[i].msg_hdr.msg_namelen = sizeof r->from[i];
        }
        r->messages[0].msg_hdr.msg_control = r->control;
        r->messages[0].msg_hdr.msg_controllen = sizeof r->control;
        int n = recvmmsg(d->fd, r->messages, RECEIVE_BATCH, MSG_DONTWAIT, NULL);
        if (n > 0) {
            note_wait(d, &r->messages[0].msg_hdr);
        }
        for (int i = 0; i < n; i++) {
            struct addr from = addr_from_sockaddr(&r->from[i]);
            l->counters.udp_received++;
            d->base.receive(d->base.ctx, &d->base, &from, r->vectors[i].iov_base,
                            r->messages[i].msg_len);
            if (d->closed) {
                return;
            }
        }
        d->base.has_waited = false;
        if (n < RECEIVE_BATCH) {
            return;
        }
    }
}

static void on_udp(uv_poll_t *h, int status, int events) {
    struct udp *d = h->data;
    loop_turn(d->loop);
    if (status != 0) {
        /* libuv stops at an error on the socket: take it off and go on. */
        int error;
        socklen_t n = sizeof error;
        (void)getsockopt(d->fd, SOL_SOCKET, SO_ERROR, &error, &n);
        udp_poll(d);
    }
    if (events & UV_WRITABLE && d->send) {
        udp_flush(d);
    }
    if (events & UV_READABLE) {
        udp_receive(d);
    }
}

/* The interface. */

static enum error op_send(struct dgram *base, const struct addr *to, struct span bytes) {
    struct udp *d = CONTAINER_OF(base, struct udp, base);
    if (d->in_table && d->loop->in_process) {
        struct udp *peer = udp_at(d->loop, to);
        if (peer) {
            return letter_post(d, peer, bytes);
        }
    }
    return udp_queue(d, to, bytes);
}

static bool op_is_reliable(const struct dgram *base, const struct addr *to) {
    const struct udp *d = (const struct udp *)(const void *)base;
    return d->in_table && d->loop->in_process && udp_at(d->loop, to);
}

static void on_poll_closed(uv_handle_t *h) {
    udp_unref(h->data);
}

static void op_close(struct dgram *base) {
    struct udp *d = CONTAINER_OF(base, struct udp, base);
    struct loop *l = d->loop;
    if (d->send) {
        d->closed = true;
        udp_flush(d);
        if (d->send) { /* the kernel takes no more: lost */
            l->counters.udp_lost += d->send->n - d->send->first;
            d->send->next = l->idle_sends;
            l->idle_sends = d->send;
            d->send = NULL;
        }
    }
    d->closed = true;
    list_remove(&d->dirty);
    list_remove(&base->in_env);
    if (d->in_table) {
        htab_remove(&l->dgrams, &d->by_addr);
    }
    trace_remove_local(l->trace, &base->local);
    uv_close((uv_handle_t *)&d->poll, on_poll_closed);
    close(d->fd);
}

static const struct dgram_ops udp_ops = {
    .send = op_send, .is_reliable = op_is_reliable, .close = op_close};

static enum error receive_area(struct loop *l) {
    if (l->receive) {
        return OK;
    }
    struct udp_receive *r = malloc(sizeof *r);
    if (!r) {
        return ERR_NO_MEMORY;
    }
    for (int i = 0; i < RECEIVE_BATCH; i++) {
        r->vectors[i] = (struct iovec){r->bytes + (size_t)i * RECEIVE_STRIDE, 65536};
        r->messages[i] = (struct mmsghdr){
            .msg_hdr = {.msg_name = &r->from[i], .msg_iov = &r->vectors[i], .msg_iovlen = 1}};
    }
    l->receive = r;
    return OK;
}

/* As large as we are allowed to: more than the system's limit needs a privilege. */
static void buffer_size(int fd, int force, int ask) {
    const int size = SOCKET_BUFFER;
    if (setsockopt(fd, SOL_SOCKET, force, &size, sizeof size) != 0) {
        (void)setsockopt(fd, SOL_SOCKET, ask, &size, sizeof size);
    }
}

enum error loop_dgram_open(struct env *env, const struct addr *local, unsigned flags,
                           dgram_receive_fn *receive, void *ctx, struct dgram **out) {
    struct loop_env *e = loop_env_of(env);
    struct loop *l = e->loop;
    enum error err = receive_area(l);
    struct udp *d = err == OK ? calloc(1, sizeof *d) : NULL;
    if (!d) {
        return ERR_NO_MEMORY;
    }
    d->fd = -1;
    err = socket_bound(SOCK_DGRAM, local, &d->fd, &d->base.local);
    if (err != OK) {
        goto out;
    }
    buffer_size(d->fd, SO_RCVBUFFORCE, SO_RCVBUF);
    buffer_size(d->fd, SO_SNDBUFFORCE, SO_SNDBUF);
    const int yes = 1; /* without stamps nobody learns how long datagrams wait */
    (void)setsockopt(d->fd, SOL_SOCKET, SO_TIMESTAMPNS, &yes, sizeof yes);
    if (!(flags & DGRAM_SOCKET_ONLY) && !addr_is_wildcard(&d->base.local)) {
        err = htab_insert(&l->dgrams, &d->by_addr, addr_hash(&d->base.local));
        if (err != OK) {
            goto out;
        }
        d->in_table = true;
    }
    err = error_from_errno(uv_poll_init_socket(&l->uv, &d->poll, d->fd));
    if (err != OK) {
        goto out;
    }
    d->base.ops = &udp_ops;
    d->base.env = env;
    d->base.flags = flags;
    d->base.receive = receive;
    d->base.ctx = ctx;
    d->loop = l;
    d->n_refs = 1;
    d->poll.data = d;
    list_init(&d->dirty);
    list_insert(&e->links.dgrams, &d->base.in_env);
    (void)trace_add_local(l->trace, &d->base.local);
    udp_poll(d);
    *out = &d->base;
    return OK;
out:
    if (d->in_table) {
        htab_remove(&l->dgrams, &d->by_addr);
    }
    if (d->fd >= 0) {
        close(d->fd);
    }
    free(d);
    return err;
}

void dgrams_free(struct loop *l) {
    free(l->receive);
    free(l->letters.p);
    free(l->reading.p);
    while (l->idle_sends) {
        struct udp_send *q = l->idle_sends;
        l->idle_sends = q->next;
        free(q);
    }
    htab_free(&l->dgrams);
}
