/* What follows from the settings of a configuration, and whether they fit together. */
#include "app/config_parts.h"

#include "node/hss/hss.h"

#include <stdarg.h>
#include <stdio.h>

static const char *print_text(struct config *c, const char *format, ...) PRINTF_LIKE(2, 3);

static const char *print_text(struct config *c, const char *format, ...) {
    char text[NAMING_URI_MAX + 64];
    va_list values;
    va_start(values, format);
    int n = vsnprintf(text, sizeof text, format, values);
    va_end(values);
    char *copy = n > 0 && (size_t)n < sizeof text
                     ? arena_alloc(settings_arena(c->layers[0]), (size_t)n + 1)
                     : NULL;
    if (!copy) {
        settings_fault(c->layers[0], 0, "a name made from \"%.40s\" is too long", c->domain);
        return "";
    }
    memcpy(copy, text, (size_t)n + 1);
    return copy;
}

static unsigned network_line(const struct config *c, const char *name) {
    const struct settings *s = c->layers[0];
    return settings_entry_line(s, settings_entry(s, settings_root(s), "network"), name);
}

static void derive_domain(struct config *c) {
    char text[NAMING_DOMAIN_MAX], why_bytes[256] = "";
    struct buf why = buf_init(why_bytes, sizeof why_bytes - 1);
    struct buf b = buf_init(text, sizeof text - 1);
    if (naming_plmn_parse(span_from_cstr(c->mcc), span_from_cstr(c->mnc), &c->plmn, &why)) {
        const char *which = strncmp(why_bytes, "MNC", 3) == 0 ? "mnc" : "mcc";
        settings_fault(c->layers[0], network_line(c, which), "%s", why_bytes);
    } else if (!c->domain) {
        naming_put_home_domain(&b, &c->plmn);
        text[b.n] = '\0';
        c->domain = print_text(c, "%s", text);
    } else if (naming_domain_check(span_from_cstr(c->domain), &why)) {
        settings_fault(c->layers[0], network_line(c, "domain"), "%s", why_bytes);
    }
}

static bool speaks(const struct config_node *n, enum sip_transport t) {
    for (size_t i = 0; i < n->n_transports; i++) {
        if (n->transports[i] == t) {
            return true;
        }
    }
    return false;
}

/* Of a CSCF: an address without the word, and the word without an address, mean both. */
static void derive_tls(struct config_node *n) {
    if (n->role == NAMING_HSS) {
        return;
    }
    if (n->tls_listen.family && !speaks(n, SIP_TLS)) {
        n->transports[n->n_transports++] = SIP_TLS;
    } else if (!n->tls_listen.family && speaks(n, SIP_TLS)) {
        n->tls_listen = n->listen;
        n->tls_listen.port++;
    }
}

/* With a port in it, a URI means UDP unless it says otherwise (RFC 3263 4.1). */
static const char *scscf_name(struct config *c, const struct config_node *n) {
    bool tls = !speaks(n, SIP_UDP) && !speaks(n, SIP_TCP);
    return print_text(c, "sip:%s:%u%s", n->host,
                      (unsigned)(tls ? n->tls_listen.port : n->listen.port),
                      speaks(n, SIP_UDP) ? ""
                      : tls              ? ";transport=tls"
                                         : ";transport=tcp");
}

static void derive_node(struct config *c, struct config_node *n, unsigned instance) {
    if (!n->host) {
        n->host = print_text(c, "%s.%s", n->name, c->domain);
    }
    if (!n->listen.family) {
        n->listen =
            addr_v4(127, 0, 0, 1, (uint16_t)(naming_role_port(n->role) + (uint16_t)instance));
    }
    if (n->role != NAMING_HSS && !n->n_transports) {
        bool core = n->role != NAMING_PCSCF; /* terminals prefer UDP, nodes TCP */
        n->transports[0] = core ? SIP_TCP : SIP_UDP;
        n->transports[1] = core ? SIP_UDP : SIP_TCP;
        n->n_transports = 2;
    }
    derive_tls(n);
    if (n->role == NAMING_PCSCF && !n->visited_network) {
        n->visited_network = c->domain;
    }
    if (n->role == NAMING_SCSCF && !n->sip_name) {
        n->sip_name = scscf_name(c, n);
    }
    if (n->role == NAMING_SCSCF) {
        n->expires_min_s = n->expires_min_s ? n->expires_min_s : 60;
        n->expires_max_s = n->expires_max_s ? n->expires_max_s : 600000;
        n->expires_default_s = n->expires_default_s ? n->expires_default_s : n->expires_max_s;
    }
}

void config_derive(struct config *c) {
    unsigned instances[NAMING_ROLES] = {0};
    derive_domain(c);
    for (size_t i = 0; c->domain && i < c->n_nodes; i++) {
        derive_node(c, &c->nodes[i], instances[c->nodes[i].role]++);
    }
}

static size_t count_role(const struct config *c, enum naming_role role) {
    size_t n = 0;
    for (size_t i = 0; i < c->n_nodes; i++) {
        n += c->nodes[i].role == role;
    }
    return n;
}

/* Of the node itself, or of one that it speaks of. */
static void check_host(const struct config_node *n, const char *host, unsigned line) {
    char why_bytes[256] = "";
    struct buf why = buf_init(why_bytes, sizeof why_bytes - 1);
    if (naming_domain_check(span_from_cstr(host), &why)) {
        settings_fault(n->settings, line, "%s: %s", n->name, why_bytes);
    }
}

static void check_addr(const struct config_node *n) {
    static const uint8_t any[16] = {0};
    if (!n->listen.port) {
        settings_fault(n->settings, n->line,
                       "%s: listen needs a port other than 0: others look it up", n->name);
    }
    if (memcmp(n->listen.ip, any, sizeof any) == 0) {
        settings_fault(n->settings, n->line,
                       "%s: listen needs one address of this machine: others look it up", n->name);
    }
}

static void check_expires(const struct config_node *n) {
    if (n->expires_min_s > n->expires_max_s) {
        settings_fault(n->settings, n->line, "%s: expires-min-s (%u) is above expires-max-s (%u)",
                       n->name, n->expires_min_s, n->expires_max_s);
    } else if (n->expires_default_s < n->expires_min_s || n->expires_default_s > n->expires_max_s) {
        settings_fault(n->settings, n->line,
                       "%s: expires-default-s (%u) is not between expires-min-s (%u) and "
                       "expires-max-s (%u)",
                       n->name, n->expires_default_s, n->expires_min_s, n->expires_max_s);
    }
}

static void check_sip_name(const struct config_node *n) {
    if (!span_starts_with_nocase(span_from_cstr(n->sip_name), SPAN("sip:"))) {
        settings_fault(n->settings, n->line,
                       "%s: name is \"%.60s\"; it takes a SIP URI, as in \"sip:%s:%u\"", n->name,
                       n->sip_name, n->host, (unsigned)n->listen.port);
    }
}

/* Nodes that others could not tell apart. CSCFs listen on UDP, HSSs on TCP. */
static void check_pair(const struct config_node *a, const struct config_node *b) {
    bool same_transport = (a->role == NAMING_HSS) == (b->role == NAMING_HSS);
    if (same_transport && addr_eq(&a->listen, &b->listen)) {
        char text[64];
        struct buf t = buf_init(text, sizeof text - 1);
        addr_put(&t, &a->listen);
        text[t.n] = '\0';
        settings_fault(b->settings, b->line, "%s listens on %s like %s (line %u)", b->name, text,
                       a->name, a->line);
    }
    if (span_eq_nocase(span_from_cstr(a->host), span_from_cstr(b->host))) {
        settings_fault(b->settings, b->line, "%s has the host name of %s (line %u): %s", b->name,
                       a->name, a->line, a->host);
    }
    if (a->sip_name && b->sip_name &&
        span_eq_nocase(span_from_cstr(a->sip_name), span_from_cstr(b->sip_name))) {
        settings_fault(b->settings, b->line, "%s has the name of %s (line %u): %s", b->name,
                       a->name, a->line, a->sip_name);
    }
}

/* The node of this file that has a host name; NULL: none has. */
static const struct config_node *node_of_host(const struct config *c, const char *host) {
    for (size_t i = 0; i < c->n_nodes; i++) {
        if (span_eq_nocase(span_from_cstr(host), span_from_cstr(c->nodes[i].host))) {
            return &c->nodes[i];
        }
    }
    return NULL;
}

static void check_peers(const struct config *c, const struct config_node *hss) {
    for (size_t i = 0; i < hss->n_peers; i++) {
        const struct config_peer *p = &hss->peers[i];
        const struct config_node *there = node_of_host(c, p->host);
        check_host(hss, p->host, p->line);
        if (there) {
            settings_fault(hss->settings, p->line,
                           "%s is a node of this file (line %u) and a peer by that: leave it "
                           "out here",
                           p->host, there->line);
        }
    }
}

/* Permissions on Sh are for those who may connect as application servers. */
static void check_sh_servers(const struct config_node *hss) {
    for (size_t i = 0; i < hss->n_sh_servers; i++) {
        const struct config_sh_server *a = &hss->sh_servers[i];
        bool is_peer = false;
        for (size_t k = 0; k < hss->n_peers; k++) {
            const struct config_peer *p = &hss->peers[k];
            is_peer |= p->roles & HSS_PEER_AS &&
                       span_eq_nocase(span_from_cstr(p->host), span_from_cstr(a->host));
        }
        check_host(hss, a->host, a->line);
        if (!is_peer) {
            settings_fault(hss->settings, a->line,
                           "%s has permissions and may not connect: add it, as in peers: {%s: as}",
                           a->host, a->host);
        }
    }
}

static bool knows_agents(const struct config_node *hss) {
    for (size_t i = 0; i < hss->n_peers; i++) {
        if (hss->peers[i].roles & HSS_PEER_AGENT) {
            return true;
        }
    }
    return false;
}

/* The agents of a CSCF, and whether the HSS, if it is here, lets any agent in. */
static void check_agents(const struct config *c, const struct config_node *n) {
    for (size_t i = 0; i < n->n_agents; i++) {
        const struct config_agent *a = &n->agents[i];
        const struct config_node *there = node_of_host(c, a->host);
        check_host(n, a->host, a->line);
        if (there) {
            settings_fault(n->settings, a->line,
                           "%s is %s of this file (line %u), not a Diameter agent", a->host,
                           there->name, there->line);
        }
    }
    if (n->n_agents && n->diameter_tls) {
        settings_fault(n->settings, n->line,
                       "%s: diameter-tls is about the HSS, and there are agents between: say tls: "
                       "yes at each of them, as in {address: 192.0.2.1, tls: yes}",
                       n->name);
    }
    for (size_t i = 0; n->n_agents && i < c->n_nodes; i++) {
        const struct config_node *hss = &c->nodes[i];
        if (hss->role == NAMING_HSS && !hss->remote && !knows_agents(hss)) {
            settings_fault(hss->settings, hss->line,
                           "%s would refuse what %s (line %u) asks through agents: add those that "
                           "connect to it, as in peers: {%s: agent}",
                           hss->name, n->name, n->line, n->agents[0].host);
        }
    }
}

static void check_node(const struct config *c, const struct config_node *n) {
    check_host(n, n->host, n->line);
    check_addr(n);
    check_agents(c, n);
    switch (n->role) {
    case NAMING_SCSCF:
        check_expires(n);
        check_sip_name(n);
        break;
    case NAMING_HSS:
        check_peers(c, n);
        check_sh_servers(n);
        if (addr_eq(&n->listen, &n->tls_listen)) {
            settings_fault(n->settings, n->line, "%s: listen and tls-listen are the same", n->name);
        }
        if (n->listen.port == c->web.listen.port && addr_eq(&n->listen, &c->web.listen)) {
            settings_fault(n->settings, n->line, "%s listens where the web interface does",
                           n->name);
        }
        break;
    default:
        break;
    }
}

/* Nobody is asked who is not there. */
static void check_company(struct config *c) {
    static const struct {
        enum naming_role who, needs;
        const char *why;
    } needs[] = {
        {NAMING_PCSCF, NAMING_ICSCF, "a P-CSCF sends registrations to an I-CSCF"},
        {NAMING_ICSCF, NAMING_SCSCF, "an I-CSCF chooses an S-CSCF"},
        {NAMING_ICSCF, NAMING_HSS, "an I-CSCF asks an HSS"},
        {NAMING_SCSCF, NAMING_HSS, "an S-CSCF asks an HSS"},
    };
    unsigned line = settings_entry_line(c->layers[0], settings_root(c->layers[0]), "nodes");
    for (size_t i = 0; i < COUNT_OF(needs); i++) {
        if (count_role(c, needs[i].who) && !count_role(c, needs[i].needs)) {
            settings_fault(c->layers[0], line,
                           "%s, but there is no %s among the nodes: add it, with \"remote: yes\" "
                           "if it runs in another process",
                           needs[i].why, naming_role_name(needs[i].needs));
        }
    }
    if (count_role(c, NAMING_HSS) > 1) {
        settings_fault(c->layers[0], line,
                       "there are %zu HSSs; a network without a subscription locator has one",
                       count_role(c, NAMING_HSS));
    }
}

void config_check(struct config *c) {
    size_t here = 0;
    for (size_t i = 0; i < c->n_nodes; i++) {
        check_node(c, &c->nodes[i]);
        here += !c->nodes[i].remote;
        for (size_t k = 0; k < i; k++) {
            check_pair(&c->nodes[k], &c->nodes[i]);
        }
    }
    if (!here) {
        settings_fault(c->layers[0], 0, "no node runs here: all are remote, or there are none");
    }
    check_company(c);
    config_check_tls(c);
    config_check_web(c);
}
