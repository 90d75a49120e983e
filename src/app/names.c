#include "app/names.h"

enum { SRV_PRIORITY = 10, SRV_WEIGHT = 10 };

static enum error add_service(struct dns_zone *zone, const char *domain,
                              const struct config_node *n) {
    bool given = n->srv_priority || n->srv_weight;
    struct sip_hop hop = {n->listen, SIP_UDP};
    return dns_zone_add_sip(zone, span_from_cstr(domain), span_from_cstr(n->host), &hop,
                            (uint16_t)(given ? n->srv_priority : SRV_PRIORITY),
                            (uint16_t)(given ? n->srv_weight : SRV_WEIGHT));
}

static enum error add_node(const struct config *c, struct dns_zone *zone,
                           const struct config_node *n) {
    if (n->role == NAMING_HSS) {
        return dns_zone_add_host(zone, span_from_cstr(n->host), &n->listen);
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
