/* A network: the nodes that a configuration names, in the real loop or in a simulation.
 *
 * It is the only place that knows which nodes exist. It makes their environments, their store, the
 * zone in which their names resolve, and their configurations; it can crash single nodes and start
 * them anew, and end all of them gracefully. Nodes of the configuration that are remote are known
 * by name and address only. */
#ifndef MUSTER_APP_NETWORK_H
#define MUSTER_APP_NETWORK_H

#include "app/config.h"
#include "rt/sim.h"
#include "stack/dns/zone_source.h"
#include "stack/http/web.h"
#include "store/store.h"

struct loop;
struct network;

/** Where and how the nodes live. Exactly one of loop and sim is set. */
struct network_options {
    struct loop *loop;
    struct sim *sim;
    bool memory_store;       /* whatever the configuration says; always so in a simulation */
    const char *store_path;  /* instead of the configuration's; NULL: the configuration's */
    bool no_sync;            /* LMDB without flushes: tests that do not look at durability */
    uint64_t flush_delay_us; /* of the memory store; 0: 200 µs */
    struct journal *journal; /* of all nodes; outlives the network; NULL: none is kept */
    /** A commit of the store failed, and the process has to stop. May be NULL. */
    void (*store_failed)(void *ctx, const char *what);
    void *ctx;
};

/** Starts all nodes that are not remote. All or nothing: after an error nothing runs, and *message
 * (freed by the caller with free) says which node failed and why. The configuration outlives the
 * network. */
MUST_CHECK enum error network_new(const struct config *config,
                                  const struct network_options *options, struct network **out,
                                  char **message);

/** Drops everything at once. NULL is allowed. Not to be called from a callback of a node. */
void network_free(struct network *n);

/** Ends all nodes gracefully, those at the terminals' side first; then done is called. After it,
 * only network_free is allowed. */
void network_stop(struct network *n, void (*done)(void *ctx), void *ctx);

/** Do all nodes run, and do the connections that they need stand? */
bool network_is_ready(const struct network *n);

/** Calls each for every node of this process: its name, and whether it runs and has the connections
 * that it needs. */
void network_each_node(const struct network *n,
                       void (*each)(void *ctx, const char *name, enum naming_role role, bool ready),
                       void *ctx);

/** Crashes a node: whatever it did not write is lost, nothing is said. In a simulation as `how`
 * says. ERR_NOT_FOUND: no such node here; ERR_CLOSED: it does not run. Not to be called from a
 * callback of a node. */
MUST_CHECK enum error network_crash(struct network *n, struct span name, enum sim_crash how);

/** Starts a node that crashed, as it was started at first. ERR_NOT_FOUND; ERR_EXISTS: it runs; else
 * what its constructor says. */
MUST_CHECK enum error network_start(struct network *n, struct span name);

/** From now on nodes log what is at least so important. */
void network_set_log_level(struct network *n, enum log_level level);

/** Reads all certificates and keys again; new connections use them. After an error some may be new,
 * and *message (at most cap bytes) says which file is wrong. */
MUST_CHECK enum error network_reload_tls(struct network *n, char *message, size_t cap);

/** Serves a provisioning request by the HSS (web_handle_fn with the network as ctx): 503 while it
 * does not run, or runs in another process. */
void network_web(void *network, const struct web_request *request, web_answer_fn *answer,
                 void *answer_ctx);

/** The node of this name, if it is of this role and runs; NULL otherwise. An empty name: the first
 * of the role. */
struct pcscf *network_pcscf(const struct network *n, struct span name);

/** See network_pcscf. */
struct icscf *network_icscf(const struct network *n, struct span name);

/** See network_pcscf. */
struct scscf *network_scscf(const struct network *n, struct span name);

/** See network_pcscf. */
struct hss *network_hss(const struct network *n, struct span name);

/** The environment of a node that runs, or NULL. */
struct env *network_env(const struct network *n, struct span name);

/** The HSS's store; NULL if it is not here. */
struct store *network_store(const struct network *n);

/** Names and addresses of all nodes, remote ones too. */
const struct dns_zone *network_zone(const struct network *n);

/** How the zone answers from now on, where no DNS server is configured. */
void network_set_dns_faults(struct network *n, const struct dns_faults *faults);

/** The configuration that it was made from. */
const struct config *network_config(const struct network *n);

/** Makes an environment for something that is no node of the configuration, a terminal or a tester:
 * in the loop or simulation of this network, with its log level. Ended by env_close. */
MUST_CHECK enum error network_env_new(struct network *n, const char *name, struct env **out);

#endif
