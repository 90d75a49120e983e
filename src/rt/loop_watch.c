/* What a loop does for those who are no nodes: signals, wake-ups, descriptors. libuv lets go of a
 * handle one turn after it is closed, so each frees itself then. */
#include "rt/loop_internal.h"

#include <stdlib.h>

struct signal_watch {
    uv_signal_t handle;
    struct loop *loop;
    void (*fn)(void *ctx, int signum);
    void *ctx;
};

struct wakeup {
    uv_async_t handle;
    struct loop *loop;
    void (*fn)(void *ctx);
    void *ctx;
};

struct fd_watch {
    uv_poll_t handle;
    struct loop *loop;
    int fd;
    unsigned events;
    bool freed;
    void (*fn)(void *ctx, int fd, unsigned events);
    void *ctx;
};

static void handle_gone(uv_handle_t *h) {
    free(h->data);
}

static void on_signal(uv_signal_t *h, int signum) {
    struct signal_watch *w = h->data;
    loop_turn(w->loop);
    w->fn(w->ctx, signum);
}

enum error loop_signal_watch(struct loop *l, int signum, void (*fn)(void *ctx, int signum),
                             void *ctx, struct signal_watch **out) {
    struct signal_watch *w = calloc(1, sizeof *w);
    int e = w ? uv_signal_init(&l->uv, &w->handle) : UV_ENOMEM;
    if (e != 0) {
        free(w);
        return error_from_errno(e);
    }
    w->handle.data = w;
    l->n_watches++;
    w->loop = l;
    w->fn = fn;
    w->ctx = ctx;
    e = uv_signal_start(&w->handle, on_signal, signum);
    if (e != 0) {
        signal_watch_free(w);
        return error_from_errno(e);
    }
    *out = w;
    return OK;
}

void signal_watch_free(struct signal_watch *w) {
    if (w) {
        w->loop->n_watches--;
        uv_close((uv_handle_t *)&w->handle, handle_gone);
    }
}

static void on_wakeup(uv_async_t *h) {
    struct wakeup *w = h->data;
    loop_turn(w->loop);
    w->fn(w->ctx);
}

enum error loop_wakeup_new(struct loop *l, void (*fn)(void *ctx), void *ctx, struct wakeup **out) {
    struct wakeup *w = calloc(1, sizeof *w);
    int e = w ? uv_async_init(&l->uv, &w->handle, on_wakeup) : UV_ENOMEM;
    if (e != 0) {
        free(w);
        return error_from_errno(e);
    }
    w->handle.data = w;
    l->n_watches++;
    w->loop = l;
    w->fn = fn;
    w->ctx = ctx;
    *out = w;
    return OK;
}

void wakeup_signal(struct wakeup *w) {
    uv_async_send(&w->handle);
}

void wakeup_free(struct wakeup *w) {
    if (w) {
        w->loop->n_watches--;
        uv_close((uv_handle_t *)&w->handle, handle_gone);
    }
}

static void on_fd(uv_poll_t *h, int status, int events);

static int fd_poll(struct fd_watch *w) {
    int events =
        (w->events & FD_READABLE ? UV_READABLE : 0) | (w->events & FD_WRITABLE ? UV_WRITABLE : 0);
    return events ? uv_poll_start(&w->handle, events, on_fd) : uv_poll_stop(&w->handle);
}

static void on_fd(uv_poll_t *h, int status, int events) {
    struct fd_watch *w = h->data;
    loop_turn(w->loop);
    if (status == 0) {
        w->fn(w->ctx, w->fd,
              (events & UV_READABLE ? FD_READABLE : 0u) |
                  (events & UV_WRITABLE ? FD_WRITABLE : 0u));
        return;
    }
    /* libuv stops watching a descriptor with an error; its owner shall see that for himself. */
    w->fn(w->ctx, w->fd, w->events);
    if (!w->freed) {
        fd_poll(w);
    }
}

enum error loop_fd_watch(struct loop *l, int fd, unsigned events,
                         void (*fn)(void *ctx, int fd, unsigned events), void *ctx,
                         struct fd_watch **out) {
    struct fd_watch *w = calloc(1, sizeof *w);
    int e = w ? uv_poll_init(&l->uv, &w->handle, fd) : UV_ENOMEM;
    if (e != 0) {
        free(w);
        return error_from_errno(e);
    }
    w->handle.data = w;
    l->n_watches++;
    w->loop = l;
    w->fd = fd;
    w->fn = fn;
    w->ctx = ctx;
    fd_watch_set(w, events);
    *out = w;
    return OK;
}

void fd_watch_set(struct fd_watch *w, unsigned events) {
    w->events = events;
    fd_poll(w);
}

void fd_watch_free(struct fd_watch *w) {
    if (w) {
        w->freed = true;
        w->loop->n_watches--;
        uv_close((uv_handle_t *)&w->handle, handle_gone);
    }
}
