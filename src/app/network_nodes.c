/* The roles: what each node's configuration is made of, and how it starts and ends. */
#include "app/names.h"
#include "app/network_internal.h"

#include "obs/trace.h"

static struct span text(const char *s) {
    return span_from_cstr(s);
}

/* What all nodes share. */

static void add_scscf(struct network *n, const struct config_node *c) {
    n->scscfs[n->n_scscfs++] = (struct selection_scscf){
        .name = text(c->sip_name),
        .capabilities = c->capabilities,
        .n_capabilities = c->n_capabilities,
        .weight = c->weight,
    };
}

static void add_hss(struct network *n, const struct config_node *c) {
    struct diameter_peer_config *plain = &n->hsses[n->n_hsses], *tls = &n->tls_hsses[n->n_hsses];
    *plain = (struct diameter_peer_config){
        .host = text(c->host),
        .realm = text(n->config->domain),
        .address = c->listen,
        .connect = true,
    };
    *tls = *plain;
    tls->tls = true;
    tls->address = c->tls_listen;
    n->n_hsses++;
}

enum error network_prepare(struct network *n) {
    const struct config *config = n->config;
    n->scscfs = arena_alloc(&n->arena, config->n_nodes * sizeof *n->scscfs);
    n->hsses = arena_alloc(&n->arena, config->n_nodes * sizeof *n->hsses);
    n->tls_hsses = arena_alloc(&n->arena, config->n_nodes * sizeof *n->tls_hsses);
    enum error e =
        n->scscfs && n->hsses && n->tls_hsses ? names_zone(config, &n->zone) : ERR_NO_MEMORY;
    for (size_t i = 0; i < config->n_nodes && !e; i++) {
        const struct config_node *c = &config->nodes[i];
        if (c->role == NAMING_SCSCF) {
            add_scscf(n, c);
        } else if (c->role == NAMING_HSS) {
            add_hss(n, c);
        }
        if (!e) {
            e = trace_name_address(n->trace, &c->listen, text(c->name));
        }
        if (!e && c->tls_listen.family) {
            e = trace_name_address(n->trace, &c->tls_listen, text(c->name));
        }
    }
    return e;
}

enum { PENDING_MAX = 65536 }; /* the nodes' own default */

enum error network_tls(struct network_node *node, char *message) {
    const struct config_node *c = node->config;
    if (!config_needs_tls(c)) {
        return OK;
    }
    /* Terminals have no certificate as a rule; nodes have. */
    enum tls_client_certificate client =
        c->role == NAMING_PCSCF ? TLS_CLIENT_VERIFIED : TLS_CLIENT_REQUIRED;
    return config_tls_context(node->network->config, c, client, &node->tls, message, MESSAGE_BYTES);
}

/* The agents, and the HSS as one who is reached, and may ask, through them alone. */
static enum error peers_by_agents(struct network *n, const struct config_node *c,
                                  struct diameter_config *out) {
    struct diameter_peer_config *peers =
        arena_alloc(&n->arena, (c->n_agents + n->n_hsses) * sizeof *peers);
    if (!peers) {
        return ERR_NO_MEMORY;
    }
    out->peers = peers;
    for (size_t i = 0; i < c->n_agents; i++) {
        const struct config_agent *a = &c->agents[i];
        peers[out->n_peers++] = (struct diameter_peer_config){.host = text(a->host),
                                                              .address = a->address,
                                                              .connect = true,
                                                              .tls = a->tls,
                                                              .agent = true,
                                                              .priority = a->priority};
    }
    for (size_t i = 0; i < n->n_hsses; i++) {
        peers[out->n_peers++] =
            (struct diameter_peer_config){.host = n->hsses[i].host, .realm = n->hsses[i].realm};
    }
    return OK;
}

/* As a client of the HSS. */
static enum error diameter_client(struct network *n, const struct network_node *node,
                                  struct diameter_config *out) {
    const struct config_node *c = node->config;
    *out = (struct diameter_config){
        .host = text(c->host),
        .realm = text(n->config->domain),
        .tls = node->tls,
        .watchdog_us = c->diameter_watchdog_s * SEC_IN_US,
        .request_timeout_us =
            c->diameter_timeout_ms ? c->diameter_timeout_ms * MS_IN_US : 3 * SEC_IN_US,
        .pending_max = c->pending_max ? c->pending_max : PENDING_MAX,
    };
    if (c->n_agents) {
        return peers_by_agents(n, c, out);
    }
    out->peers = c->diameter_tls ? n->tls_hsses : n->hsses;
    out->n_peers = n->n_hsses;
    return OK;
}

enum { REFUSE = 1 }; /* index into the choices of aka-without-integrity and digest */

static struct sip_listening listening(const struct network_node *node) {
    const struct config_node *c = node->config;
    struct sip_listening l = {.addr = c->listen,
                              .tls_addr = c->tls_listen,
                              .tls = node->tls,
                              .connections_max = c->connections_max,
                              .datagram_max = c->datagram_max,
                              .idle_s = c->idle_s,
                              .admission = {.target_us = c->overload_delay_ms * MS_IN_US,
                                            .retry_min_s = c->retry_after_min_s,
                                            .retry_max_s = c->retry_after_max_s}};
    for (size_t i = 0; i < c->n_transports; i++) {
        l.transports |= 1U << c->transports[i];
    }
    return l;
}

/* P-CSCF */

/* Hosts of the core. One that is the P-CSCF's own may be a terminal's, too: everything on one
 * machine. */
static enum error find_core(struct network *n, const struct config_node *self,
                            struct pcscf_config *out) {
    const struct config *config = n->config;
    struct addr *core = arena_alloc(&n->arena, config->n_nodes * sizeof *core);
    if (!core) {
        return ERR_NO_MEMORY;
    }
    out->core = core;
    for (size_t i = 0; i < config->n_nodes; i++) {
        const struct config_node *c = &config->nodes[i];
        bool is_core = c->role == NAMING_ICSCF || c->role == NAMING_SCSCF;
        if (is_core && !addr_same_host(&c->listen, &self->listen)) {
            core[out->n_core++] = c->listen;
        }
    }
    return OK;
}

static bool is_door(const struct config *config, uint16_t port) {
    for (size_t i = 0; i < config->n_nodes; i++) {
        const struct config_node *c = &config->nodes[i];
        if (c->role == NAMING_ICSCF && (c->listen.port == port || c->tls_listen.port == port)) {
            return true;
        }
    }
    return false;
}

/* The wildcard stands for all hosts: it is left out where that would shut out home networks, behind
 * ports that I-CSCFs or P-CSCFs have. */
static void add_inner(const struct config *config, const struct addr *at, bool by_port,
                      struct addr *inner, size_t *n) {
    bool wild = addr_is_wildcard(at);
    if (at->family && (!wild || (by_port && !is_door(config, at->port)))) {
        inner[(*n)++] = *at;
    }
}

/* Where nobody's REGISTER may go straight from here. */
static enum error find_inner(struct network *n, struct pcscf_config *out) {
    const struct config *config = n->config;
    struct addr *inner = arena_alloc(&n->arena, (2 * config->n_nodes + 1) * sizeof *inner);
    if (!inner) {
        return ERR_NO_MEMORY;
    }
    out->inner = inner;
    for (size_t i = 0; i < config->n_nodes; i++) {
        const struct config_node *c = &config->nodes[i];
        bool by_port = c->role != NAMING_PCSCF;
        if (c->role != NAMING_ICSCF) {
            add_inner(config, &c->listen, by_port, inner, &out->n_inner);
            add_inner(config, &c->tls_listen, by_port, inner, &out->n_inner);
        }
    }
    add_inner(config, &config->web.listen, true, inner, &out->n_inner);
    return OK;
}

static enum error configure_pcscf(struct network *n, struct network_node *node) {
    const struct config_node *c = node->config;
    node->settings.pcscf = (struct pcscf_config){
        .host = text(c->host),
        .sip = listening(node),
        .visited_network = text(c->visited_network),
        .ioi = text(c->ioi),
        .dns = n->resolver,
        .message_max = c->message_max,
        .registrations_max = c->registrations_max,
        .registering_max = c->registering_max,
        .reg_event = c->reg_event,
        .refuse_digest = c->digest == REFUSE,
        .connection_pending_max = c->connection_pending_max,
        .guesses_max = c->guesses_max,
        .guess_lock_s = c->guess_lock_s,
        .keep_alive_s = c->keep_alive_s,
        .reg_await_auth_s = c->reg_await_auth_s,
    };
    enum error e = find_core(n, c, &node->settings.pcscf);
    return e ? e : find_inner(n, &node->settings.pcscf);
}

static enum error start_pcscf(struct network_node *node) {
    struct pcscf *p;
    enum error e = pcscf_new(node->env, &node->settings.pcscf, &p);
    node->node = e ? NULL : p;
    return e;
}

static void free_pcscf(void *node) {
    pcscf_free(node);
}

static void stop_pcscf(void *node, void (*done)(void *ctx), void *ctx) {
    pcscf_stop(node, done, ctx);
}

static bool always_ready(const void *node) {
    return node != NULL;
}

/* Who may send requests to an I-CSCF or S-CSCF: the nodes of the configuration and whom it names;
 * none: everybody. */
static enum error find_trusted(struct network *n, const struct config_node *self,
                               const struct addr **out, size_t *n_out) {
    const struct config *config = n->config;
    struct addr *trusted =
        arena_alloc(&n->arena, (config->n_nodes + self->n_trusted) * sizeof *trusted);
    *out = trusted;
    *n_out = 0;
    if (!trusted || !self->trusts_some) {
        return trusted ? OK : ERR_NO_MEMORY;
    }
    for (size_t i = 0; i < config->n_nodes; i++) {
        trusted[(*n_out)++] = config->nodes[i].listen;
    }
    for (size_t i = 0; i < self->n_trusted; i++) {
        trusted[(*n_out)++] = self->trusted[i];
    }
    return OK;
}

/* I-CSCF */

static enum error configure_icscf(struct network *n, struct network_node *node) {
    const struct config_node *c = node->config;
    node->settings.icscf = (struct icscf_config){
        .host = text(c->host),
        .sip = listening(node),
        .hss_realm = text(n->config->domain),
        .scscf = n->scscfs,
        .n_scscf = n->n_scscfs,
        .dns = n->resolver,
        .message_max = c->message_max,
        .pending_max = c->pending_max,
    };
    enum error e =
        find_trusted(n, c, &node->settings.icscf.trusted, &node->settings.icscf.n_trusted);
    return e ? e : diameter_client(n, node, &node->settings.icscf.diameter);
}

static enum error start_icscf(struct network_node *node) {
    struct icscf *i;
    enum error e = icscf_new(node->env, &node->settings.icscf, &i);
    node->node = e ? NULL : i;
    return e;
}

static void free_icscf(void *node) {
    icscf_free(node);
}

static void stop_icscf(void *node, void (*done)(void *ctx), void *ctx) {
    icscf_stop(node, done, ctx);
}

static bool icscf_ready(const void *node) {
    return icscf_is_ready(node);
}

/* S-CSCF */

static enum error configure_scscf(struct network *n, struct network_node *node) {
    const struct config_node *c = node->config;
    node->settings.scscf = (struct scscf_config){
        .name = text(c->sip_name),
        .host = text(c->host),
        .sip = listening(node),
        .realm = text(n->config->domain),
        .hss_realm = text(n->config->domain),
        .dns = n->resolver,
        .expires_min_s = c->expires_min_s,
        .expires_max_s = c->expires_max_s,
        .expires_default_s = c->expires_default_s,
        .contacts_max = c->contacts_max,
        .attempts_max = c->attempts_max,
        .reg_await_auth_s = c->reg_await_auth_s,
        .message_max = c->message_max,
        .pending_max = c->pending_max,
        .challenges_max = c->challenges_max,
        .algorithms = c->algorithms,
        .n_algorithms = c->n_algorithms,
        .shared_ifc_sets = c->shared_ifc_sets,
        .n_shared_ifc_sets = c->n_shared_ifc_sets,
        .digest_nonce_s = c->digest_nonce_s,
        .subscriptions_max = c->subscriptions_max,
        .subscription_min_s = c->subscription_min_s,
        .application_servers = c->application_servers,
        .n_application_servers = c->n_application_servers,
        .trust_auth_done = c->trust_auth_done,
        .refuse_without_integrity = c->aka_without_integrity == REFUSE,
    };
    enum error e =
        find_trusted(n, c, &node->settings.scscf.trusted, &node->settings.scscf.n_trusted);
    return e ? e : diameter_client(n, node, &node->settings.scscf.diameter);
}

static enum error start_scscf(struct network_node *node) {
    struct scscf *s;
    enum error e = scscf_new(node->env, &node->settings.scscf, &s);
    node->node = e ? NULL : s;
    return e;
}

static void free_scscf(void *node) {
    scscf_free(node);
}

static void stop_scscf(void *node, void (*done)(void *ctx), void *ctx) {
    scscf_stop(node, done, ctx);
}

static bool scscf_ready(const void *node) {
    return scscf_is_ready(node);
}

/* HSS */

/* Where a CSCF is, seen from the HSS; family 0: that cannot be said. One of this process comes from
 * our own address (rt/loop_pipe.c), and nobody else who says its name is believed. */
static struct addr place_of(const struct config_node *self, const struct config_node *c) {
    struct addr ours = c->diameter_tls ? self->tls_listen : self->listen;
    bool known = !c->remote && !c->n_agents && !addr_is_wildcard(&ours);
    return known ? ours : (struct addr){.family = 0};
}

/* Who may connect: the CSCFs of the network, and what the configuration lists besides. */
static enum error find_peers(struct network *n, const struct config_node *self,
                             struct hss_config *out) {
    const struct config *config = n->config;
    size_t max = config->n_nodes + self->n_peers;
    struct hss_peer *peers = arena_alloc(&n->arena, max * sizeof *peers);
    if (!peers) {
        return ERR_NO_MEMORY;
    }
    out->peers = peers;
    for (size_t i = 0; i < config->n_nodes; i++) {
        const struct config_node *c = &config->nodes[i];
        if (c->role == NAMING_ICSCF || c->role == NAMING_SCSCF) {
            unsigned roles = c->role == NAMING_ICSCF ? HSS_PEER_ICSCF : HSS_PEER_SCSCF;
            peers[out->n_peers++] = (struct hss_peer){.host = text(c->host),
                                                      .roles = roles,
                                                      .tls = c->diameter_tls,
                                                      .address = place_of(self, c)};
        }
    }
    for (size_t i = 0; i < self->n_peers; i++) {
        const struct config_peer *p = &self->peers[i];
        peers[out->n_peers++] = (struct hss_peer){
            .host = text(p->host), .roles = p->roles, .tls = p->tls, .address = p->address};
    }
    return OK;
}

/* What application servers may do on Sh. */
static enum error find_sh_servers(struct network *n, const struct config_node *self,
                                  struct hss_config *out) {
    size_t count = self->n_sh_servers;
    struct hss_application_server *servers = arena_alloc(&n->arena, (count + 1) * sizeof *servers);
    if (!servers) {
        return ERR_NO_MEMORY;
    }
    for (size_t i = 0; i < count; i++) {
        const struct config_sh_server *a = &self->sh_servers[i];
        servers[i] = (struct hss_application_server){
            .host = text(a->host),
            .permissions = {.pull = a->udr, .update = a->pur, .notify = a->snr}};
    }
    out->application_servers = servers;
    out->n_application_servers = count;
    out->repository_bytes_max = self->repository_bytes_max;
    out->repository_services_max = self->repository_services_max;
    return OK;
}

enum { UNKNOWN_USERS_CHALLENGE = 1 }; /* index into the choices of unknown-users */
enum { KEY_CHANGE_END = 1, CAPABILITY_CHANGE_KEEP = 1, SUBSCRIPTION_IMPI_FIXED = 1 };

/* By the index into the choices of digest-qop. */
static const struct span qops[] = {SPAN_INIT("auth"), SPAN_INIT("auth-int"),
                                   SPAN_INIT("auth,auth-int")};

static enum error configure_hss(struct network *n, struct network_node *node) {
    const struct config_node *c = node->config;
    node->settings.hss = (struct hss_config){
        .host = text(c->host),
        .realm = text(n->config->domain),
        .home_domain = text(n->config->domain),
        .listen = c->listen,
        .listen_tls = c->tls_listen,
        .tls = node->tls,
        .diameter_watchdog_s = c->diameter_watchdog_s,
        .charging = {.primary_ecf = text(c->charging.primary_ecf),
                     .secondary_ecf = text(c->charging.secondary_ecf),
                     .primary_ccf = text(c->charging.primary_ccf),
                     .secondary_ccf = text(c->charging.secondary_ccf)},
        .mandatory_capabilities = c->mandatory_capabilities,
        .n_mandatory_capabilities = c->n_mandatory_capabilities,
        .optional_capabilities = c->optional_capabilities,
        .n_optional_capabilities = c->n_optional_capabilities,
        .auth_pending_s = c->auth_pending_s,
        .cached_max = c->cached_max,
        .vectors_max = c->vectors_max,
        .policy = {.key_ends = c->key_change == KEY_CHANGE_END,
                   .servers_stay = c->capability_change == CAPABILITY_CHANGE_KEEP},
        .fixed_impi = c->subscription_impi == SUBSCRIPTION_IMPI_FIXED,
        .challenge_unknown = c->unknown_users == UNKNOWN_USERS_CHALLENGE,
        .digest_qop = qops[c->digest_qop],
        .keys_may_leave = c->keys_may_leave,
        .changes_max = n->config->web.changes_max,
        .if_match_required = n->config->web.if_match_required,
        .pending_max = c->pending_max,
        .diameter_timeout_ms = c->diameter_timeout_ms,
    };
    enum error e = find_peers(n, c, &node->settings.hss);
    return e ? e : find_sh_servers(n, c, &node->settings.hss);
}

static enum error start_hss(struct network_node *node) {
    struct hss *h;
    enum error e = hss_new(node->env, &node->settings.hss, node->network->store, &h);
    node->node = e ? NULL : h;
    return e;
}

static void free_hss(void *node) {
    hss_free(node);
}

static void stop_hss(void *node, void (*done)(void *ctx), void *ctx) {
    hss_stop(node, done, ctx);
}

const struct network_role *network_role(enum naming_role role) {
    static const struct network_role roles[NAMING_ROLES] = {
        [NAMING_PCSCF] = {configure_pcscf, start_pcscf, free_pcscf, stop_pcscf, always_ready},
        [NAMING_ICSCF] = {configure_icscf, start_icscf, free_icscf, stop_icscf, icscf_ready},
        [NAMING_SCSCF] = {configure_scscf, start_scscf, free_scscf, stop_scscf, scscf_ready},
        [NAMING_HSS] = {configure_hss, start_hss, free_hss, stop_hss, always_ready},
    };
    return &roles[role];
}
