#include "stack/dns/zone.h"

#include <stdlib.h>

enum { TTL_S = 3600 };

/* A record with the bytes of its names behind it, in one block. */
struct entry {
    struct htab_node node;
    struct list order;
    struct dns_record record;
};

void dns_zone_init(struct dns_zone *zone) {
    htab_init(&zone->names);
    list_init(&zone->records);
    zone->ttl_s = TTL_S;
}

void dns_zone_free(struct dns_zone *zone) {
    LIST_EACH(&zone->records, e, struct entry, order) {
        free(e);
    }
    htab_free(&zone->names);
    list_init(&zone->records);
}

static struct span keep(char **at, struct span s) {
    struct span kept = {*at, s.n};
    if (s.n) {
        memcpy(*at, s.p, s.n);
    }
    *at += s.n;
    return kept;
}

static bool name_is_good(struct span name) {
    return name.n > 0 && name.n <= DNS_NAME_MAX;
}

enum error dns_zone_add(struct dns_zone *zone, const struct dns_record *record) {
    size_t extra = record->name.n;
    bool good = name_is_good(record->name);
    if (record->type == DNS_SRV) {
        good = good && name_is_good(record->srv.target);
        extra += record->srv.target.n;
    } else if (record->type == DNS_NAPTR) {
        good = good && name_is_good(record->naptr.replacement);
        extra += record->naptr.flags.n + record->naptr.service.n + record->naptr.replacement.n;
    } else if (record->type == DNS_CNAME) {
        good = good && name_is_good(record->alias);
        extra += record->alias.n;
    }
    if (!good) {
        return ERR_INVALID;
    }
    struct entry *e = (struct entry *)malloc(sizeof *e + extra);
    if (!e) {
        return ERR_NO_MEMORY;
    }
    char *at = (char *)(e + 1);
    e->record = *record;
    e->record.name = keep(&at, record->name);
    if (record->type == DNS_SRV) {
        e->record.srv.target = keep(&at, record->srv.target);
    } else if (record->type == DNS_NAPTR) {
        e->record.naptr.flags = keep(&at, record->naptr.flags);
        e->record.naptr.service = keep(&at, record->naptr.service);
        e->record.naptr.replacement = keep(&at, record->naptr.replacement);
    } else if (record->type == DNS_CNAME) {
        e->record.alias = keep(&at, record->alias);
    }
    enum error err = htab_insert(&zone->names, &e->node, hash_nocase(record->name));
    if (err != OK) {
        free(e);
        return err;
    }
    list_insert(&zone->records, &e->order);
    return OK;
}

size_t dns_zone_find(const struct dns_zone *zone, struct span name, enum dns_type type,
                     void (*each)(void *ctx, const struct dns_record *record), void *ctx) {
    size_t n = 0;
    for (struct htab_node *node = htab_first(&zone->names, hash_nocase(name)); node;
         node = htab_next(node)) {
        const struct dns_record *r = &CONTAINER_OF(node, struct entry, node)->record;
        if (r->type == type && span_eq_nocase(r->name, name)) {
            n++;
            each(ctx, r);
        }
    }
    return n;
}

bool dns_zone_has_name(const struct dns_zone *zone, struct span name) {
    for (struct htab_node *node = htab_first(&zone->names, hash_nocase(name)); node;
         node = htab_next(node)) {
        if (span_eq_nocase(CONTAINER_OF(node, struct entry, node)->record.name, name)) {
            return true;
        }
    }
    return false;
}

void dns_zone_each(const struct dns_zone *zone,
                   void (*each)(void *ctx, const struct dns_record *record), void *ctx) {
    LIST_EACH(&zone->records, e, struct entry, order) {
        each(ctx, &e->record);
    }
}

/* Is a record of these contents there already? */
struct search {
    const struct dns_record *wanted;
    bool found;
};

static void compare_record(void *ctx, const struct dns_record *r) {
    struct search *s = (struct search *)ctx;
    const struct dns_record *w = s->wanted;
    switch (r->type) {
    case DNS_SRV:
        s->found |= r->srv.port == w->srv.port && span_eq_nocase(r->srv.target, w->srv.target);
        break;
    case DNS_NAPTR:
        s->found |= span_eq_nocase(r->naptr.replacement, w->naptr.replacement);
        break;
    default:
        s->found |= addr_same_host(&r->address, &w->address);
    }
}

static enum error add_once(struct dns_zone *zone, const struct dns_record *record) {
    struct search s = {record, false};
    dns_zone_find(zone, record->name, record->type, compare_record, &s);
    return s.found ? OK : dns_zone_add(zone, record);
}

enum error dns_zone_add_host(struct dns_zone *zone, struct span host, const struct addr *address) {
    struct dns_record r = {.name = host,
                           .type = address->family == 6 ? DNS_AAAA : DNS_A,
                           .ttl_s = zone->ttl_s,
                           .address = *address};
    r.address.port = 0;
    return add_once(zone, &r);
}

static void ignore(void *ctx, const struct dns_record *record) {
    (void)ctx;
    (void)record;
}

/* How a service is named in the two records by which it is found. */
struct service {
    struct span prefix, tag;
};

static enum error add_service(struct dns_zone *zone, struct span domain,
                              const struct service *service, struct span host,
                              const struct addr *address, uint16_t priority, uint16_t weight) {
    char name[DNS_NAME_MAX];
    struct buf b = buf_init(name, sizeof name);
    buf_put(&b, service->prefix);
    buf_put(&b, domain);
    if (b.overflow) {
        return ERR_INVALID;
    }
    struct dns_record naptr = {.name = domain, .type = DNS_NAPTR, .ttl_s = zone->ttl_s};
    naptr.naptr.order = 50;
    naptr.naptr.preference =
        (uint16_t)(50 + 10 * dns_zone_find(zone, domain, DNS_NAPTR, ignore, NULL));
    naptr.naptr.flags = SPAN("s");
    naptr.naptr.service = service->tag;
    naptr.naptr.replacement = buf_span(&b);
    struct dns_record srv = {.name = buf_span(&b), .type = DNS_SRV, .ttl_s = zone->ttl_s};
    srv.srv.priority = priority;
    srv.srv.weight = weight;
    srv.srv.port = address->port;
    srv.srv.target = host;
    enum error e = add_once(zone, &naptr);
    if (e == OK) {
        e = add_once(zone, &srv);
    }
    return e == OK ? dns_zone_add_host(zone, host, address) : e;
}

enum error dns_zone_add_sip(struct dns_zone *zone, struct span domain, struct span host,
                            const struct sip_hop *hop, uint16_t priority, uint16_t weight) {
    static const struct service services[SIP_TRANSPORTS] = {
        [SIP_UDP] = {SPAN_INIT("_sip._udp."), SPAN_INIT("SIP+D2U")},
        [SIP_TCP] = {SPAN_INIT("_sip._tcp."), SPAN_INIT("SIP+D2T")},
        [SIP_TLS] = {SPAN_INIT("_sips._tcp."), SPAN_INIT("SIPS+D2T")},
    };
    return add_service(zone, domain, &services[hop->transport], host, &hop->addr, priority, weight);
}

enum error dns_zone_add_diameter(struct dns_zone *zone, struct span realm, struct span host,
                                 const struct addr *address, uint32_t application, bool tls) {
    char tag[64];
    struct buf b = buf_init(tag, sizeof tag);
    buf_printf(&b, "aaa+ap%u:diameter.%s", application, tls ? "tls.tcp" : "tcp");
    struct service service = {tls ? SPAN("_diameters._tcp.") : SPAN("_diameter._tcp."),
                              buf_span(&b)};
    return add_service(zone, realm, &service, host, address, 10, 10);
}
