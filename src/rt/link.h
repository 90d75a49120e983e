/* Private to rt: what the links of both environments begin with, so that calls find their way. */
#ifndef MUSTER_RT_LINK_H
#define MUSTER_RT_LINK_H

#include "rt/env.h"

struct dgram_ops {
    enum error (*send)(struct dgram *d, const struct addr *to, struct span bytes);
    bool (*is_reliable)(const struct dgram *d, const struct addr *to);
    void (*close)(struct dgram *d);
};

struct dgram {
    const struct dgram_ops *ops;
    struct env *env;
    struct list in_env;
    struct addr local;
    unsigned flags;
    dgram_receive_fn *receive;
    void *ctx;
    bool has_waited; /* waited_us is of the datagram that is being shown */
    uint64_t waited_us;
};

struct listener_ops {
    void (*close)(struct listener *l);
};

struct listener {
    const struct listener_ops *ops;
    struct env *env;
    struct list in_env;
    struct addr local;
    listener_accept_fn *accept;
    void *ctx;
};

struct stream_ops {
    enum error (*send)(struct stream *s, struct span bytes);
    size_t (*backlog)(const struct stream *s);
    void (*hold)(struct stream *s, bool held); /* NULL: it cannot be */
    void (*close)(struct stream *s);
};

struct stream {
    const struct stream_ops *ops;
    struct env *env;
    struct list in_env;
    struct addr local, remote;
    const struct stream_handler *handler; /* NULL once nobody is to be told */
    void *ctx;
};

/** An environment with the links that are open in it. Both kinds of environment begin with one. */
struct env_links {
    struct env env;
    struct list dgrams, listeners, streams;
};

/** Makes the lists. */
void env_links_init(struct env_links *e);

/** Closes everything that is open. */
void env_links_close(struct env_links *e);

/** The posts of a loop. */
struct posts {
    struct list waiting;
    struct list running; /* the rest of those that run now */
};

/** An empty queue. */
void posts_init(struct posts *q);

/** Runs the posts that wait now, not those that they add. True if there were any. */
bool posts_run(struct posts *q);

/** Takes the posts of one environment out. */
void posts_forget(struct posts *q, const struct env *env);

#endif
