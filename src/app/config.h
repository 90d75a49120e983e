/* The configuration: what `muster run -c FILE` reads. config/home.yaml explains every setting, and
 * is what runs without a file.
 *
 * Everything has a default but MCC and MNC; all names follow from those two (model/naming) unless
 * they are given. A configuration that was read is whole and consistent: nobody has to check it
 * again. */
#ifndef MUSTER_APP_CONFIG_H
#define MUSTER_APP_CONFIG_H

#include "app/settings.h"
#include "base/log.h"
#include "codec/sip/transport.h"
#include "model/naming/naming.h"
#include "model/registration/algorithm.h"
#include "rt/tls.h"
#include "stack/dns/client.h"
#include "stack/http/access.h"

enum {
    CONFIG_NODES_MAX = 64,
    CONFIG_NUMBER_MAX = 0x7fffffff,
    CONFIG_WEB_TLS_PORT = 8443,
    CONFIG_CHANGES_MAX = 100000,
};

/** A Diameter peer of an HSS that is not a node of this configuration. */
struct config_peer {
    const char *host;
    unsigned roles; /* enum hss_peer_role */
    unsigned line;
    bool tls;            /* served over TLS only */
    struct addr address; /* served from there only; family 0: from anywhere */
};

/** A Diameter agent, through which a CSCF reaches the HSS. */
struct config_agent {
    const char *host; /* its Diameter identity */
    unsigned line;
    struct addr address;
    bool tls;
    uint32_t priority; /* lower is preferred, equal ones share the load */
};

/** A file that a setting names; path NULL: it does not. */
struct config_file {
    const char *path; /* relative to the configuration's folder */
    struct settings *settings;
    unsigned line;
};

/** Certificate, key and authorities, PEM. */
struct config_tls {
    struct config_file certificate, key, trust;
};

struct config_charging {
    const char *primary_ecf, *secondary_ecf, *primary_ccf, *secondary_ccf;
};

/** What an application server may do on Sh. */
struct config_sh_server {
    const char *host;
    unsigned line;
    uint64_t udr, pur, snr; /* bits 1 << Data-Reference */
};

/** One node. The settings of other roles than its own are unset. Numbers that are 0 stand for the
 * node's own default. */
struct config_node {
    const char *name; /* "scscf-2" */
    enum naming_role role;
    struct settings *settings; /* where it stands, with the line */
    unsigned line;
    bool remote;        /* runs in another process: only its names and addresses matter here */
    const char *host;   /* "scscf-2.DOMAIN": in SIP, and its Diameter identity */
    struct addr listen; /* SIP; of an HSS Diameter */
    enum sip_transport transports[SIP_TRANSPORTS]; /* of a CSCF, the preferred one first */
    size_t n_transports;
    uint32_t connections_max, idle_s, datagram_max; /* of SIP over TCP and TLS; see sip_stack.h */
    uint32_t overload_delay_ms; /* see admission.h; never a default of the node's own: 0 is off */
    uint32_t retry_after_min_s, retry_after_max_s; /* likewise; 0: its defaults */
    uint32_t message_max, pending_max, diameter_timeout_ms;
    uint32_t reg_await_auth_s;
    uint32_t diameter_watchdog_s;
    uint32_t srv_priority, srv_weight; /* of its SRV records; both 0: 10 and 10 */
    struct config_tls tls;             /* its own; see config_tls_of */
    bool diameter_tls;                 /* of a CSCF: to the HSS over TLS */
    struct config_agent *agents;       /* of a CSCF: to the HSS through these; none: directly */
    size_t n_agents;
    struct addr tls_listen; /* SIP over TLS, of an HSS Diameter; family 0: not */

    /* P-CSCF */
    const char *visited_network, *ioi;
    uint32_t registrations_max, registering_max;
    uint32_t guesses_max, guess_lock_s, connection_pending_max;
    uint32_t keep_alive_s; /* 30 unless given; 0: none are wanted */
    int ipsec;             /* index into its choices */
    int digest;            /* the same: accept, refuse */

    /* I-CSCF and S-CSCF */
    bool trusts_some;     /* `trusted` is given; else everybody is */
    struct addr *trusted; /* hosts besides the nodes of the configuration */
    size_t n_trusted;

    /* S-CSCF */
    const char *sip_name; /* Server-Name: "sip:scscf.DOMAIN:6060" */
    const uint32_t *capabilities;
    size_t n_capabilities;
    uint32_t weight;
    uint32_t expires_min_s, expires_max_s, expires_default_s;
    uint32_t contacts_max, attempts_max, challenges_max;
    const uint32_t *shared_ifc_sets;
    size_t n_shared_ifc_sets;
    enum auth_algorithm algorithms[AUTH_ALGORITHMS];
    size_t n_algorithms;
    uint32_t digest_nonce_s;
    uint32_t subscriptions_max, subscription_min_s;
    struct span *application_servers;
    size_t n_application_servers;
    bool trust_auth_done;
    bool reg_event;
    int aka_without_integrity; /* index into its choices: accept, refuse */

    /* HSS */
    const uint32_t *mandatory_capabilities, *optional_capabilities;
    size_t n_mandatory_capabilities, n_optional_capabilities;
    struct config_peer *peers;
    size_t n_peers;
    struct config_sh_server *sh_servers; /* application-servers */
    size_t n_sh_servers;
    uint32_t repository_bytes_max, repository_services_max;
    struct config_charging charging;
    uint32_t auth_pending_s, cached_max, vectors_max;
    int unknown_users;     /* index into its choices: refuse, challenge */
    int key_change;        /* the same: next-challenge, end */
    int capability_change; /* the same: reassign, keep */
    int subscription_impi; /* the same: known, fixed */
    bool keys_may_leave;
    int digest_qop; /* the same: auth, auth-int, both */
};

enum config_store { CONFIG_STORE_LMDB, CONFIG_STORE_MEMORY };

/** A file, or a text under the name of a file. */
struct config_layer {
    const char *name;
    const struct span *text; /* NULL: the file is read */
};

enum { CONFIG_LAYERS_MAX = 4 };

struct config {
    struct settings *layers[CONFIG_LAYERS_MAX]; /* own all text; the first is the base */
    size_t n_layers;
    const char *mcc, *mnc;
    struct naming_plmn plmn;
    const char *domain; /* home domain and Diameter realm */
    struct config_node nodes[CONFIG_NODES_MAX];
    size_t n_nodes;
    struct {
        int kind;         /* enum config_store */
        const char *path; /* folder of LMDB; NULL: see config_store_path */
        uint64_t map_size;
    } store;
    struct {
        struct addr listen;     /* plain, loopback */
        struct addr tls_listen; /* over TLS; family 0: not */
        const char *host;       /* the name that its certificate is for */
        struct config_tls tls;  /* its own; see config_tls_of_web */
        uint64_t body_max;
        uint32_t connections_max;
        uint32_t changes_max; /* entries of the log of changes that are kept; 0: there is none */
        bool if_match_required;
        struct config_file tokens_file;
        struct web_token *tokens; /* of that file */
        size_t n_tokens;
        struct settings *tokens_settings; /* that file; NULL: there is none */
    } web;
    struct {
        struct addr servers[DNS_SERVERS_MAX]; /* none: the generated zone answers */
        size_t n_servers;
        uint32_t timeout_ms, attempts;
        uint32_t ttl_s; /* of the generated zone; 0: its default */
        uint32_t ttl_min_s, ttl_max_s, stale_s;
    } dns;
    struct config_tls tls;    /* of all nodes that have none of their own */
    const char **subscribers; /* files; their paths are relative to the configuration's folder */
    size_t n_subscribers;
    int log_level;          /* enum log_level */
    uint64_t trace_bytes;   /* 0: no trace is kept */
    uint64_t journal_bytes; /* 0: no journal */
};

/** Reads a configuration; path NULL: the home network that is built in. ERR_INVALID: it has faults,
 * and *faults (freed by the caller with free) lists them, a line each; another error: the file
 * cannot be read, and *faults says so too. */
MUST_CHECK enum error config_load(const char *path, struct config *out, char **faults);

/** The same from layers: the first is a whole configuration (a name of NULL: what is built in), the
 * others say only what they change or add. Checks look at the whole. */
MUST_CHECK enum error config_load_layers(const struct config_layer *layers, size_t n,
                                         struct config *out, char **faults);

/** Frees what config_load filled in. */
void config_free(struct config *c);

/** The node of this name, or NULL. */
const struct config_node *config_node(const struct config *c, struct span name);

/** The TLS settings that hold for a node (NULL: for whoever is none): its own, else those of the
 * whole file. */
struct config_tls config_tls_of(const struct config *c, const struct config_node *n);

/** The TLS settings of the web interface: its own, else those of the whole file. */
struct config_tls config_tls_of_web(const struct config *c);

/** A context for the web interface. Errors as config_tls_context. */
MUST_CHECK enum error config_web_tls_context(const struct config *c, struct tls_context **out,
                                             char *message, size_t cap);

/** Where the file of tokens is; false: there is none. */
MUST_CHECK bool config_web_tokens_path(const struct config *c, char *out, size_t cap);

/** Where the file with the trusted authorities of the web interface's clients is; false: none is
 * named. */
MUST_CHECK bool config_web_trust_path(const struct config *c, char *out, size_t cap);

/** A context that only connects, as a terminal: whom the network trusts, without a certificate.
 * Errors as config_tls_context. */
MUST_CHECK enum error config_tls_of_terminal(const struct config *c, struct tls_context **out,
                                             char *message, size_t cap);

/** Does this node speak TLS, as a listener or as a client of others? */
bool config_needs_tls(const struct config_node *n);

/** Makes a context of them. Errors of tls_context_new; *message then says "FILE:LINE: what". */
MUST_CHECK enum error config_tls_context(const struct config *c, const struct config_node *n,
                                         enum tls_client_certificate client,
                                         struct tls_context **out, char *message, size_t cap);

/** The folder of the store: as configured, else muster/DOMAIN under $XDG_STATE_HOME or
 * ~/.local/state. False if it does not fit or there is no home. */
MUST_CHECK bool config_store_path(const struct config *c, char *out, size_t cap);

/** The folder of the configuration's file, which paths in it are relative to: "." for what is built
 * in. */
void config_folder(const struct config *c, char *out, size_t cap);

/** Moves all nodes and the web interface to another host, ports kept: for a network that runs
 * beside another one. */
void config_set_host(struct config *c, const struct addr *host);

/** The text of a file that is built in: "home.yaml", "smiths.yaml"; empty for others. */
struct span config_builtin(const char *name);

#endif
