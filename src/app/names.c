#include "app/names.h"

#include "rt/loop.h"
#include "spec/cx.h"
#include "stack/dns/client.h"
#include "stack/dns/zone_source.h"

#include <stdlib.h>

enum { SRV_PRIORITY = 10, SRV_WEIGHT = 10 };

static enum error add_service(struct dns_zone *zone, const char *domain,
                              const struct config_node *n) {
    bool given = n->srv_priority || n->srv_weight;
    enum error e = OK;
    for (size_t i = 0; i < n->n_transports && !e; i++) {
        const struct sip_hop hop = {n->transports[i] == SIP_TLS ? n->tls_listen : n->listen,
                                    n->transports[i]};
        e = dns_zone_add_sip(zone, span_from_cstr(domain), span_from_cstr(n->host), &hop,
                             (uint16_t)(given ? n->srv_priority : SRV_PRIORITY),
                             (uint16_t)(given ? n->srv_weight : SRV_WEIGHT));
    }
    return e;
}

static enum error add_node(const struct config *c, struct dns_zone *zone,
                           const struct config_node *n) {
    if (n->role == NAMING_HSS) {
        return dns_zone_add_diameter(zone, span_from_cstr(c->domain), span_from_cstr(n->host),
                                     &n->listen, CX_APPLICATION, false);
    }
    enum error e = add_service(zone, n->host, n);
    if (!e && n->role == NAMING_ICSCF) { /* whoever looks for the domain comes to an I-CSCF */
        e = add_service(zone, c->domain, n);
    }
    return e;
}

enum error names_zone(const struct config *c, struct dns_zone *zone) {
    enum error e = OK;
    zone->ttl_s = c->dns.ttl_s ? c->dns.ttl_s : zone->ttl_s;
    for (size_t i = 0; i < c->n_nodes && !e; i++) {
        e = add_node(c, zone, &c->nodes[i]);
    }
    return e;
}

/* Look-ups. */

struct names {
    const struct config *config;
    struct loop *loop;
    struct env *env, *client_env;
    struct dns_zone zone;
    struct dns_zone_source zone_source;
    struct dns_client *client;
    struct resolver *resolver;
    struct resolver_query query;
    struct resolver_answer answer;
    enum error error;
    bool done;
};

static enum error open_client(struct names *n, const struct config *c) {
    const struct dns_client_config client = {.servers = c->dns.servers,
                                             .n_servers = c->dns.n_servers,
                                             .timeout_ms = c->dns.timeout_ms,
                                             .attempts = c->dns.attempts};
    enum error e = loop_env_new(n->loop, "dns-client", &n->client_env);
    return e ? e : dns_client_new(n->loop, n->client_env, &client, &n->client);
}

enum error names_new(const struct config *c, struct loop *loop, unsigned transports,
                     struct names **out) {
    struct names *n = calloc(1, sizeof *n);
    if (!n) {
        return ERR_NO_MEMORY;
    }
    n->config = c;
    n->loop = loop;
    dns_zone_init(&n->zone);
    dns_zone_source_init(&n->zone_source, &n->zone);
    enum error e = loop_env_new(loop, "names", &n->env);
    if (!e) {
        n->env->log.level = LOG_ERROR; /* whoever asks says what was found */
        e = c->dns.n_servers ? open_client(n, c) : names_zone(c, &n->zone);
    }
    struct resolver_config config = {.source = n->client ? dns_client_source(n->client)
                                                         : &n->zone_source.source,
                                     .transports = transports};
    e = e ? e : resolver_new(n->env, &config, &n->resolver);
    if (e) {
        names_free(n);
        return e;
    }
    *out = n;
    return OK;
}

void names_free(struct names *n) {
    if (n) {
        resolver_free(n->resolver);
        env_close(n->env);
        dns_client_free(n->client);
        env_close(n->client_env);
        dns_zone_free(&n->zone);
        free(n);
    }
}

static void on_found(struct resolver_query *query, enum error e,
                     const struct resolver_answer *answer) {
    struct names *n = CONTAINER_OF(query, struct names, query);
    n->error = e;
    n->done = true;
    if (answer) {
        n->answer = *answer;
    }
}

static bool is_done(void *ctx) {
    return ((struct names *)ctx)->done;
}

enum error names_find(struct names *n, const struct resolver_name *name,
                      struct resolver_answer *out) {
    enum error e = resolver_cached(n->resolver, name, out);
    if (e != ERR_INCOMPLETE) {
        return e;
    }
    n->done = false;
    e = resolver_find(n->resolver, name, &n->query, on_found);
    if (e != OK) {
        return e;
    }
    (void)loop_run_until(n->loop, is_done, n, UINT64_MAX);
    resolver_cancel(&n->query);
    *out = n->answer;
    return n->done ? n->error : ERR_CLOSED;
}

/* Checks. */

static bool leads_to(const struct resolver_answer *a, const struct addr *wanted, bool port) {
    for (size_t i = 0; i < a->n; i++) {
        const struct addr *found = &a->targets[i].addr;
        if (port ? addr_eq(found, wanted) : addr_same_host(found, wanted)) {
            return true;
        }
    }
    return false;
}

/* A Diameter server is found by its address alone. */
static size_t check_name(struct names *n, const char *name, const struct config_node *node,
                         names_finding_fn *each, void *ctx) {
    bool sip = node->role != NAMING_HSS;
    struct names_finding f = {.name = name, .wanted = node->listen};
    struct resolver_name asked = {.host = span_from_cstr(name),
                                  .port = sip ? 0 : node->listen.port};
    struct resolver_answer answer = {.n = 0};
    f.error = names_find(n, &asked, &answer);
    if (f.error == OK && leads_to(&answer, &node->listen, sip)) {
        return 0;
    }
    if (f.error == OK) {
        f.found = answer.targets[0].addr;
    }
    each(ctx, &f);
    return 1;
}

size_t names_check(struct names *n, names_finding_fn *each, void *ctx) {
    const struct config *c = n->config;
    size_t findings = 0;
    for (size_t i = 0; i < c->n_nodes; i++) {
        const struct config_node *node = &c->nodes[i];
        findings += check_name(n, node->host, node, each, ctx);
        if (node->role == NAMING_ICSCF) {
            findings += check_name(n, c->domain, node, each, ctx);
        }
    }
    return findings;
}
