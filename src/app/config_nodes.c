/* The settings of each role, as tables. */
#include "app/config_parts.h"

#include "codec/sip/uri.h"
#include "node/hss/hss.h"

static const char *const roles[] = {"pcscf", "icscf", "scscf", "hss", NULL};
static const char *const ipsecs[] = {"off", NULL};
static const char *const integrities[] = {"accept", "refuse", NULL};
static const char *const unknown_users[] = {"refuse", "challenge", NULL};
static const char *const key_changes[] = {"next-challenge", "end", NULL};
static const char *const capability_changes[] = {"reassign", "keep", NULL};
static const char *const subscription_impis[] = {"known", "fixed", NULL};
static const char *const qops[] = {"auth", "auth-int", "both", NULL};

enum {
    MESSAGE_MIN = 1300,
    MESSAGE_MAX = 65507,
    SECONDS_MAX = 0x7fffffff / 1000,
    OVERLOAD_DELAY_MS = 10, /* here, as 0 means that nothing is shed */
    KEEP_ALIVE_S = 30       /* here, as 0 means that none are wanted */
};

#define AT(member) offsetof(struct config_node, member)

#define NUMBER(name_, member, min_, max_)                                                          \
    SETTING(name_, SETTING_NUMBER, AT(member), .min = (min_), .max = (max_))

#define CHOICE(name_, member, choices_)                                                            \
    SETTING(name_, SETTING_CHOICE, AT(member), .choices = (choices_))

#define TEXT(name_, member) SETTING(name_, SETTING_TEXT, AT(member))

/* What every node has. Their ports differ, so each role has its own row for the address. */
#define COMMON(port)                                                                               \
    CHOICE("role", role, roles), TEXT("host", host), SETTING("remote", SETTING_FLAG, AT(remote)),  \
    {                                                                                              \
        .name = "listen", .kind = SETTING_ADDR, .at = AT(listen), .min = (port)                    \
    }

/* Of nodes that are found by the SRV records of a domain. */
#define SRV                                                                                        \
    NUMBER("srv-priority", srv_priority, 0, 65535), NUMBER("srv-weight", srv_weight, 0, 65535)
#define SIP                                                                                        \
    SETTING_GROUP("transports", read_transports),                                                  \
        SETTING("tls-listen", SETTING_ADDR, AT(tls_listen), .min = 5061),                          \
        NUMBER("connections-max", connections_max, 1, CONFIG_NUMBER_MAX),                          \
        NUMBER("idle-s", idle_s, 30, SECONDS_MAX),                                                 \
        NUMBER("datagram-max", datagram_max, 500, MESSAGE_MAX),                                    \
        NUMBER("message-max", message_max, MESSAGE_MIN, MESSAGE_MAX),                              \
        NUMBER("overload-delay-ms", overload_delay_ms, 0, 10000),                                  \
        NUMBER("retry-after-min-s", retry_after_min_s, 1, SECONDS_MAX),                            \
        NUMBER("retry-after-max-s", retry_after_max_s, 1, SECONDS_MAX)
#define PENDING NUMBER("pending-max", pending_max, 1, CONFIG_NUMBER_MAX)
#define TIMEOUT                                                                                    \
    NUMBER("diameter-timeout-ms", diameter_timeout_ms, 100, 60000),                                \
        NUMBER("diameter-watchdog-s", diameter_watchdog_s, 6, 3600)
#define TLS SETTING_GROUP("tls", read_tls)

static void read_tls(struct settings *s, setting_value value, void *object) {
    config_read_tls(s, value, &((struct config_node *)object)->tls);
}

#define DIAMETER_TLS SETTING("diameter-tls", SETTING_FLAG, AT(diameter_tls))

static void read_shared_ifc_sets(struct settings *s, setting_value value, void *object) {
    struct config_node *n = object;
    settings_numbers(s, value, INT32_MAX, &n->shared_ifc_sets, &n->n_shared_ifc_sets);
}

static void read_capabilities(struct settings *s, setting_value value, void *object) {
    struct config_node *n = object;
    settings_numbers(s, value, UINT32_MAX, &n->capabilities, &n->n_capabilities);
}

/* Algorithms of challenges, in the order of preference, each once. */
static void read_algorithm(struct settings *s, setting_value value, void *object) {
    struct config_node *n = object;
    enum auth_algorithm a;
    const char *name = settings_text(s, value, "algorithm");
    if (!name) {
        return;
    }
    if (!auth_algorithm_parse(span_from_cstr(name), &a)) {
        settings_fault(s, settings_line(value),
                       "\"%.24s\" is no algorithm; there are AKAv2-SHA-256, AKAv2-MD5, AKAv1-MD5, "
                       "SHA-256 and MD5",
                       name);
        return;
    }
    for (size_t i = 0; i < n->n_algorithms; i++) {
        if (n->algorithms[i] == a) {
            settings_fault(s, settings_line(value), "%s stands there twice", name);
            return;
        }
    }
    n->algorithms[n->n_algorithms++] = a;
}

static void read_algorithms(struct settings *s, setting_value value, void *object) {
    struct config_node *n = object;
    n->n_algorithms = 0;
    settings_each_item(s, value, "algorithms", read_algorithm, object);
    if (n->n_algorithms == 0 && !settings_faults(s)) {
        settings_fault(s, settings_line(value), "algorithms is empty: nobody could register");
    }
}

static void read_application_server(struct settings *s, setting_value value, void *object) {
    struct config_node *n = object;
    const char *text = settings_text(s, value, "application-servers");
    struct sip_uri uri;
    if (!text) {
        return;
    }
    if (sip_uri_parse(span_from_cstr(text), &uri) != OK || uri.scheme == SIP_URI_TEL) {
        settings_fault(s, settings_line(value),
                       "application-servers has \"%.60s\"; it takes SIP URIs, as in "
                       "[\"sip:as.example.org\"]",
                       text);
        return;
    }
    n->application_servers[n->n_application_servers++] = span_from_cstr(text);
}

static void count_item(struct settings *s, setting_value value, void *object) {
    (void)s;
    (void)value;
    ++*(size_t *)object;
}

static void read_application_servers(struct settings *s, setting_value value, void *object) {
    struct config_node *n = object;
    size_t count = 0;
    settings_each_item(s, value, "application-servers", count_item, &count);
    n->n_application_servers = 0;
    n->application_servers =
        arena_alloc(settings_arena(s), (count + 1) * sizeof *n->application_servers);
    if (n->application_servers) {
        settings_each_item(s, value, "application-servers", read_application_server, n);
    }
}

static void read_trusted_host(struct settings *s, setting_value value, void *object) {
    struct config_node *n = object;
    const char *text = settings_text(s, value, "trusted");
    struct addr a;
    if (!text) {
        return;
    }
    if (!addr_parse_host(span_from_cstr(text), 0, &a)) {
        settings_fault(s, settings_line(value),
                       "trusted has \"%.60s\"; it takes IP addresses without ports, as in "
                       "[192.0.2.1]",
                       text);
        return;
    }
    n->trusted[n->n_trusted++] = a;
}

static void read_trusted(struct settings *s, setting_value value, void *object) {
    struct config_node *n = object;
    size_t count = 0;
    settings_each_item(s, value, "trusted", count_item, &count);
    n->trusts_some = true;
    n->n_trusted = 0;
    n->trusted = arena_alloc(settings_arena(s), (count + 1) * sizeof *n->trusted);
    if (n->trusted) {
        settings_each_item(s, value, "trusted", read_trusted_host, n);
    }
}

#define TRUSTED SETTING_GROUP("trusted", read_trusted)

static void read_mandatory(struct settings *s, setting_value value, void *object) {
    struct config_node *n = object;
    settings_numbers(s, value, UINT32_MAX, &n->mandatory_capabilities,
                     &n->n_mandatory_capabilities);
}

static void read_optional(struct settings *s, setting_value value, void *object) {
    struct config_node *n = object;
    settings_numbers(s, value, UINT32_MAX, &n->optional_capabilities, &n->n_optional_capabilities);
}

static void read_transport(struct settings *s, setting_value value, void *object) {
    struct config_node *n = object;
    const char *name = settings_text(s, value, "transports");
    enum sip_transport t;
    if (!name) {
        return;
    }
    if (!sip_transport_parse(span_from_cstr(name), &t)) {
        settings_fault(s, settings_line(value), "transports has \"%.24s\"; it takes udp, tcp, tls",
                       name);
        return;
    }
    for (size_t i = 0; i < n->n_transports; i++) {
        if (n->transports[i] == t) {
            settings_fault(s, settings_line(value), "transports has %s twice", name);
            return;
        }
    }
    n->transports[n->n_transports++] = t;
}

static void read_transports(struct settings *s, setting_value value, void *object) {
    struct config_node *n = object;
    n->n_transports = 0;
    settings_each_item(s, value, "transports", read_transport, object);
}

static void read_charging(struct settings *s, setting_value value, void *object) {
    static const struct setting table[] = {
        TEXT("primary-ecf", charging.primary_ecf),
        TEXT("secondary-ecf", charging.secondary_ecf),
        TEXT("primary-ccf", charging.primary_ccf),
        TEXT("secondary-ccf", charging.secondary_ccf),
        {0},
    };
    settings_read(s, value, table, object);
}

static void count_entry(struct settings *s, const struct setting_entry *e, void *object) {
    (void)s;
    (void)e;
    ++*(size_t *)object;
}

/* Room for one of `size` for each entry; NULL after a fault. */
static void *room_for_entries(struct settings *s, setting_value value, const char *what,
                              size_t size) {
    size_t count = 0, before = settings_faults(s);
    settings_each_entry(s, value, what, count_entry, &count);
    return settings_faults(s) == before ? arena_alloc(settings_arena(s), (count + 1) * size) : NULL;
}

/* "as", or {role: as, tls: yes, address: 192.0.2.1} */
struct peer_settings {
    int role;
    bool tls;
    struct addr address;
};

static void read_peer(struct settings *s, const struct setting_entry *e, void *object) {
    static const char *const names[] = {"icscf", "scscf", "as", "agent", NULL};
    static const unsigned kinds[] = {HSS_PEER_ICSCF, HSS_PEER_SCSCF, HSS_PEER_AS, HSS_PEER_AGENT};
    static const struct setting table[] = {
        SETTING("role", SETTING_CHOICE, offsetof(struct peer_settings, role), .choices = names,
                .required = true),
        SETTING("tls", SETTING_FLAG, offsetof(struct peer_settings, tls)),
        SETTING("address", SETTING_ADDR, offsetof(struct peer_settings, address)),
        {0},
    };
    struct config_node *n = object;
    struct peer_settings p = {.role = -1};
    if (setting_is_mapping(e->value)) {
        settings_read(s, e->value, table, &p);
    } else {
        const char *role = settings_text(s, e->value, e->name);
        for (int i = 0; role && names[i]; i++) {
            p.role = strcmp(role, names[i]) == 0 ? i : p.role;
        }
        if (role && p.role < 0) {
            settings_fault(s, e->line, "%s is \"%.24s\"; it takes icscf, scscf, as or agent",
                           e->name, role);
        }
    }
    if (p.role >= 0) {
        n->peers[n->n_peers++] =
            (struct config_peer){e->name, kinds[p.role], e->line, p.tls, p.address};
    }
}

static void read_peers(struct settings *s, setting_value value, void *object) {
    struct config_node *n = object;
    n->n_peers = 0;
    n->peers = room_for_entries(s, value, "peers", sizeof *n->peers);
    if (n->peers) {
        settings_each_entry(s, value, "peers", read_peer, n);
    }
}

/* "all", or a list of Data-References. */

struct references {
    enum sh_operation operation;
    uint64_t bits;
};

static void read_reference(struct settings *s, setting_value value, void *object) {
    struct references *r = object;
    unsigned reference = 0;
    const char *name = settings_text(s, value, "Data-Reference");
    if (!name) {
        return;
    }
    if (!sh_reference_parse(span_from_cstr(name), &reference)) {
        settings_fault(s, settings_line(value),
                       "\"%.40s\" is no Data-Reference of TS 29.328 7.6, such as RepositoryData, "
                       "IMSUserState, S-CSCFName",
                       name);
    } else if (!(sh_references_of(r->operation) >> reference & 1)) {
        settings_fault(s, settings_line(value), "%s cannot be %s", sh_rules[reference].name,
                       r->operation == SH_PULL     ? "read (udr)"
                       : r->operation == SH_UPDATE ? "changed (pur)"
                                                   : "subscribed to (snr)");
    } else {
        r->bits |= UINT64_C(1) << reference;
    }
}

static uint64_t read_references(struct settings *s, setting_value value,
                                enum sh_operation operation) {
    struct references r = {.operation = operation};
    if (setting_is_sequence(value)) {
        settings_each_item(s, value, "Data-References", read_reference, &r);
        return r.bits;
    }
    const char *all = settings_text(s, value, "Data-References");
    if (all && strcmp(all, "all") == 0) {
        return sh_references_of(operation);
    }
    if (all) {
        read_reference(s, value, &r);
    }
    return r.bits;
}

static void read_udr(struct settings *s, setting_value value, void *object) {
    ((struct config_sh_server *)object)->udr = read_references(s, value, SH_PULL);
}

static void read_pur(struct settings *s, setting_value value, void *object) {
    ((struct config_sh_server *)object)->pur = read_references(s, value, SH_UPDATE);
}

static void read_snr(struct settings *s, setting_value value, void *object) {
    ((struct config_sh_server *)object)->snr = read_references(s, value, SH_NOTIFY);
}

/* as.example.com: {udr: all, pur: [RepositoryData], snr: [IMSUserState]} */
static void read_sh_server(struct settings *s, const struct setting_entry *e, void *object) {
    static const struct setting table[] = {
        SETTING_GROUP("udr", read_udr),
        SETTING_GROUP("pur", read_pur),
        SETTING_GROUP("snr", read_snr),
        {0},
    };
    struct config_node *n = object;
    struct config_sh_server *a = &n->sh_servers[n->n_sh_servers++];
    *a = (struct config_sh_server){.host = e->name, .line = e->line};
    settings_read(s, e->value, table, a);
}

static void read_sh_servers(struct settings *s, setting_value value, void *object) {
    struct config_node *n = object;
    n->n_sh_servers = 0;
    n->sh_servers = room_for_entries(s, value, "application-servers", sizeof *n->sh_servers);
    if (n->sh_servers) {
        settings_each_entry(s, value, "application-servers", read_sh_server, n);
    }
}

/* "192.0.2.1:3868", or {address: 192.0.2.1, tls: yes, priority: 2} */
static void read_agent(struct settings *s, const struct setting_entry *e, void *object) {
    static const struct setting table[] = {
        SETTING("address", SETTING_ADDR, offsetof(struct config_agent, address), .required = true),
        SETTING("tls", SETTING_FLAG, offsetof(struct config_agent, tls)),
        SETTING("priority", SETTING_NUMBER, offsetof(struct config_agent, priority), .max = 65535),
        {0},
    };
    struct config_node *n = object;
    struct config_agent a = {.host = e->name, .line = e->line, .priority = 1};
    if (setting_is_mapping(e->value)) {
        settings_read(s, e->value, table, &a);
    } else {
        const char *text = settings_text(s, e->value, e->name);
        struct span address = span_from_cstr(text ? text : "");
        if (text && !addr_parse(address, &a.address) && !addr_parse_host(address, 0, &a.address)) {
            settings_fault(s, e->line,
                           "%s is \"%.40s\"; it takes the agent's IP address, as in "
                           "\"192.0.2.1:%d\", or {address: ..., tls: yes, priority: 2}",
                           e->name, text, naming_role_port(NAMING_HSS));
        }
    }
    if (a.address.family && !a.address.port) {
        a.address.port = a.tls ? NAMING_DIAMETER_TLS_PORT : naming_role_port(NAMING_HSS);
    }
    n->agents[n->n_agents++] = a;
}

static void read_agents(struct settings *s, setting_value value, void *object) {
    struct config_node *n = object;
    size_t before = settings_faults(s);
    n->n_agents = 0;
    n->agents = room_for_entries(s, value, "diameter-agents", sizeof *n->agents);
    if (n->agents) {
        settings_each_entry(s, value, "diameter-agents", read_agent, n);
    }
    if (n->n_agents == 0 && settings_faults(s) == before) {
        settings_fault(s, settings_line(value),
                       "diameter-agents is empty: leave it out to connect to the HSS itself");
    }
}

#define DIAMETER_AGENTS SETTING_GROUP("diameter-agents", read_agents)

static const struct setting pcscf_settings[] = {
    COMMON(5060),
    SRV,
    TLS,
    TEXT("visited-network", visited_network),
    TEXT("ioi", ioi),
    CHOICE("ipsec", ipsec, ipsecs),
    NUMBER("registrations-max", registrations_max, 1, CONFIG_NUMBER_MAX),
    NUMBER("registering-max", registering_max, 1, CONFIG_NUMBER_MAX),
    CHOICE("digest", digest, integrities),
    NUMBER("connection-pending-max", connection_pending_max, 1, CONFIG_NUMBER_MAX),
    SETTING("reg-event", SETTING_FLAG, AT(reg_event)),
    NUMBER("guesses-max", guesses_max, 1, CONFIG_NUMBER_MAX),
    NUMBER("guess-lock-s", guess_lock_s, 1, 3600),
    NUMBER("keep-alive-s", keep_alive_s, 0, 3600),
    NUMBER("reg-await-auth-s", reg_await_auth_s, 1, 3600),
    SIP,
    {0},
};

static const struct setting icscf_settings[] = {
    COMMON(4060), SRV, TRUSTED, TIMEOUT, TLS, DIAMETER_TLS, DIAMETER_AGENTS, PENDING, SIP, {0},
};

static const struct setting scscf_settings[] = {
    COMMON(6060),
    TEXT("name", sip_name),
    SETTING_GROUP("capabilities", read_capabilities),
    NUMBER("weight", weight, 1, 65535),
    NUMBER("expires-min-s", expires_min_s, 1, SECONDS_MAX),
    NUMBER("expires-max-s", expires_max_s, 1, SECONDS_MAX),
    NUMBER("expires-default-s", expires_default_s, 1, SECONDS_MAX),
    NUMBER("contacts-max", contacts_max, 1, 64),
    NUMBER("attempts-max", attempts_max, 1, 100),
    NUMBER("reg-await-auth-s", reg_await_auth_s, 1, 3600),
    NUMBER("challenges-max", challenges_max, 1, 64),
    CHOICE("aka-without-integrity", aka_without_integrity, integrities),
    SETTING_GROUP("algorithms", read_algorithms),
    SETTING_GROUP("shared-ifc-sets", read_shared_ifc_sets),
    NUMBER("digest-nonce-s", digest_nonce_s, 2, 86400),
    NUMBER("subscriptions-max", subscriptions_max, 1, 65535),
    NUMBER("subscription-min-s", subscription_min_s, 1, 3600),
    SETTING_GROUP("application-servers", read_application_servers),
    SETTING("trust-auth-done", SETTING_FLAG, AT(trust_auth_done)),
    TRUSTED,
    TIMEOUT,
    TLS,
    DIAMETER_TLS,
    DIAMETER_AGENTS,
    PENDING,
    SIP,
    {0},
};

static const struct setting hss_settings[] = {
    COMMON(3868),
    SETTING("tls-listen", SETTING_ADDR, AT(tls_listen), .min = NAMING_DIAMETER_TLS_PORT),
    TLS,
    SETTING_GROUP("mandatory-capabilities", read_mandatory),
    SETTING_GROUP("optional-capabilities", read_optional),
    SETTING_GROUP("peers", read_peers),
    SETTING_GROUP("application-servers", read_sh_servers),
    NUMBER("repository-bytes-max", repository_bytes_max, 1, 65000),
    NUMBER("repository-services-max", repository_services_max, 1, 100000),
    SETTING_GROUP("charging", read_charging),
    NUMBER("auth-pending-s", auth_pending_s, 1, 86400),
    NUMBER("vectors-max", vectors_max, 1, 32),
    CHOICE("unknown-users", unknown_users, unknown_users),
    CHOICE("key-change", key_change, key_changes),
    CHOICE("capability-change", capability_change, capability_changes),
    CHOICE("subscription-impi", subscription_impi, subscription_impis),
    CHOICE("digest-qop", digest_qop, qops),
    SETTING("keys-may-leave", SETTING_FLAG, AT(keys_may_leave)),
    NUMBER("cached-max", cached_max, 1, CONFIG_NUMBER_MAX),
    PENDING,
    TIMEOUT,
    {0},
};

static const struct setting *const settings_of_role[NAMING_ROLES] = {
    [NAMING_PCSCF] = pcscf_settings,
    [NAMING_ICSCF] = icscf_settings,
    [NAMING_SCSCF] = scscf_settings,
    [NAMING_HSS] = hss_settings,
};

/* The role that stands in the settings, or that the name begins with. */
static bool find_role(struct settings *s, const struct setting_entry *e, int *role) {
    setting_value given = settings_entry(s, e->value, "role");
    const char *said = given ? settings_text(s, given, "role") : e->name;
    for (int i = 0; said && roles[i]; i++) {
        if (given ? strcmp(said, roles[i]) == 0 : strncmp(said, roles[i], strlen(roles[i])) == 0) {
            *role = i;
            return true;
        }
    }
    if (given && said) {
        settings_fault(s, settings_line(given),
                       "role is \"%.24s\"; it takes pcscf, icscf, scscf or hss", said);
    } else if (said) {
        settings_fault(s, e->line, "what is \"%.40s\"? Say its role: pcscf, icscf, scscf or hss",
                       said);
    }
    return false;
}

/* A further layer may speak of a node that stands already. */
static struct config_node *find_node(struct config *c, const char *name) {
    for (size_t i = 0; i < c->n_nodes; i++) {
        if (strcmp(c->nodes[i].name, name) == 0) {
            return &c->nodes[i];
        }
    }
    return NULL;
}

static struct config_node *add_node(struct config *c, struct settings *s,
                                    const struct setting_entry *e) {
    int role;
    if (c->n_nodes == CONFIG_NODES_MAX) {
        settings_fault(s, e->line, "more than %d nodes", CONFIG_NODES_MAX);
        return NULL;
    }
    if (!find_role(s, e, &role)) {
        return NULL;
    }
    struct config_node *n = &c->nodes[c->n_nodes++];
    n->name = e->name;
    n->role = (enum naming_role)role;
    n->overload_delay_ms = OVERLOAD_DELAY_MS;
    n->keep_alive_s = KEEP_ALIVE_S;
    n->reg_event = true;
    return n;
}

static void read_node(struct settings *s, const struct setting_entry *e, void *object) {
    struct config *c = object;
    struct config_node *n = find_node(c, e->name);
    n = n ? n : add_node(c, s, e);
    if (n) {
        enum naming_role role = n->role;
        n->settings = s;
        n->line = e->line;
        settings_read(s, e->value, settings_of_role[role], n);
        if (n->role != role) {
            settings_fault(s, e->line, "%s has the role %s already", n->name, roles[role]);
            n->role = role;
        }
    }
}

void config_read_nodes(struct settings *s, setting_value value, void *object) {
    settings_each_entry(s, value, "nodes", read_node, object);
}
