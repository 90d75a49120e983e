/* A running Muster: loop, network, web interface, signals, from start to graceful end. */
#ifndef MUSTER_APP_PROCESS_H
#define MUSTER_APP_PROCESS_H

#include "app/network.h"

struct process;

/** How a process differs from what its configuration says. */
struct process_options {
    bool no_subscribers;    /* leave out the configuration's files of subscribers */
    bool memory_store;      /* see struct network_options */
    const char *store_path; /* the same */
    /** Reads the configuration anew, as it was read at first (see config_load_layers); NULL: it
     * cannot be reloaded. */
    enum error (*load)(void *ctx, struct config *out, char **faults);
    void *ctx;
};

/** Starts everything that the configuration names, or nothing: then *message (freed by the caller
 * with free) says why, a line or several. Subscribers of the configuration's files that are not
 * there yet have been added when it returns. The configuration outlives the process. ERR_INVALID: a
 * file of subscribers is wrong; other errors are the system's. */
MUST_CHECK enum error process_start(const struct config *config,
                                    const struct process_options *options, struct process **out,
                                    char **message);

/** Runs until SIGINT or SIGTERM (SIGHUP reloads, app/reload.h), or until process_stop, and ends
 * gracefully. A second signal ends it at once. Calls ready(ctx) once when all connections stand.
 * False if the store failed meanwhile.
 */
bool process_run(struct process *p, void (*ready)(void *ctx), void *ctx);

/** From a callback of the loop: begins the graceful end. */
void process_stop(struct process *p);

/** The network. */
struct network *process_network(struct process *p);

/** The loop. */
struct loop *process_loop(struct process *p);

/** Where the web interface listens. */
struct addr process_web(const struct process *p);

/** The same over TLS; family 0: it does not. */
struct addr process_web_tls(const struct process *p);

/** Drops everything. NULL is allowed. */
void process_free(struct process *p);

#endif
