/* What the files of the network share: how nodes are configured and driven, by role. */
#ifndef MUSTER_APP_NETWORK_INTERNAL_H
#define MUSTER_APP_NETWORK_INTERNAL_H

#include "app/network.h"
#include "base/arena.h"
#include "node/hss/hss.h"
#include "node/icscf/icscf.h"
#include "node/pcscf/pcscf.h"
#include "node/scscf/scscf.h"
#include "stack/dns/client.h"
#include "stack/dns/zone_source.h"

struct network_node {
    struct network *network;
    const struct config_node *config;
    struct env *env;         /* NULL while it does not run */
    struct tls_context *tls; /* for Diameter: both ends show a certificate; NULL: not needed */
    void *node;              /* of the role's type; NULL while it does not run */
    union {
        struct pcscf_config pcscf;
        struct icscf_config icscf;
        struct scscf_config scscf;
        struct hss_config hss;
    } settings;
};

struct network {
    const struct config *config;
    struct network_options options;
    enum log_level log_level;
    struct trace *trace;
    struct chunk_pool pool;
    struct arena arena; /* of what the nodes' configurations point to */
    struct dns_zone zone;
    struct dns_zone_source zone_source; /* answers when no DNS server is configured */
    struct env *dns_env;                /* of the client of DNS servers */
    struct dns_client *dns_client;
    struct resolver_config resolver; /* of all nodes */
    struct selection_scscf *scscfs;  /* of the whole network */
    size_t n_scscfs;
    struct diameter_peer_config *hsses, *tls_hsses; /* as peers of the CSCFs, plain and over TLS */
    size_t n_hsses;
    struct env *store_env; /* of the memory store */
    struct store *store;
    struct network_node nodes[CONFIG_NODES_MAX];
    size_t n_nodes; /* those that are not remote */

    /* The graceful end. */
    size_t stopping; /* nodes that have still to say that they are done */
    enum naming_role stopping_role;
    struct timer stop_timer;
    void (*stopped)(void *ctx);
    void *stopped_ctx;
};

/* How a role is driven. */
struct network_role {
    enum error (*configure)(struct network *n, struct network_node *node);
    enum error (*start)(struct network_node *node);
    void (*free)(void *node);
    void (*stop)(void *node, void (*done)(void *ctx), void *ctx);
    bool (*is_ready)(const void *node);
};

/** The table of roles. */
const struct network_role *network_role(enum naming_role role);

/** Makes the TLS context of a node if it needs one. On an error, message (of MESSAGE_BYTES) says
 * where and why. */
MUST_CHECK enum error network_tls(struct network_node *node, char *message);

enum { MESSAGE_BYTES = 512 };

/** Fills the lists that nodes' configurations share: zone, S-CSCFs, HSSs. ERR_NO_MEMORY. */
MUST_CHECK enum error network_prepare(struct network *n);

#endif
