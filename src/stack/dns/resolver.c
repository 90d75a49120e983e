/* RFC 3263 section 4, RFC 2782, RFC 3403.
 *
 * Choices that the standards leave open: of NAPTR records only those with flag "s" and a service
 * that this process speaks count; an empty NAPTR answer leads to the SRV records of each transport
 * that is spoken, UDP first; a TTL is honoured as the least of all records that led to a target; a
 * look-up that led nowhere is believed for negative_ttl_s. */
#include "stack/dns/resolver.h"

#include "obs/trace.h"

#include <stdlib.h>

enum { NEGATIVE_TTL_S = 30, CACHED_MAX = 4096, HOST_MAX = 255, ANSWERS_MAX = 16 };

struct candidate {
    struct sip_hop target;
    uint16_t priority, weight;
};

/* What is known of a name. n == 0: that there is nothing. */
struct cached {
    struct htab_node node;
    struct list age; /* least recently used first */
    uint64_t until_us;
    struct resolver_name name; /* host points behind this structure */
    size_t n;
    struct candidate candidates[RESOLVER_TARGETS_MAX];
};

struct resolver {
    struct env *env;
    struct resolver_config config;
    struct htab names;
    struct list age;
    struct list waiting;
    struct resolver_counters counters;
};

/* One look-up on its way through the records. */
struct lookup {
    struct resolver *r;
    struct cached *found;
    uint32_t ttl_s;
    uint16_t priority, weight, port;
    enum sip_transport transport;
};

enum error resolver_new(struct env *env, const struct resolver_config *config,
                        struct resolver **out) {
    struct resolver *r = (struct resolver *)calloc(1, sizeof *r);
    if (!r) {
        return ERR_NO_MEMORY;
    }
    r->env = env;
    r->config = *config;
    if (!r->config.negative_ttl_s) {
        r->config.negative_ttl_s = NEGATIVE_TTL_S;
    }
    if (!r->config.transports) {
        r->config.transports = 1U << SIP_UDP;
    }
    if (!r->config.max_cached) {
        r->config.max_cached = CACHED_MAX;
    }
    htab_init(&r->names);
    list_init(&r->age);
    list_init(&r->waiting);
    *out = r;
    return OK;
}

static void forget(struct resolver *r, struct cached *c) {
    htab_remove(&r->names, &c->node);
    list_remove(&c->age);
    free(c);
}

void resolver_flush(struct resolver *r) {
    LIST_EACH(&r->age, c, struct cached, age) {
        forget(r, c);
    }
}

void resolver_free(struct resolver *r) {
    if (!r) {
        return;
    }
    LIST_EACH(&r->waiting, q, struct resolver_query, wait) {
        resolver_cancel(q);
    }
    resolver_flush(r);
    htab_free(&r->names);
    free(r);
}

static uint64_t name_hash(const struct resolver_name *name) {
    uint64_t given = name->transport_given ? 1 + (uint64_t)name->transport : 0;
    return hash_mix(hash_nocase(name->host), (uint64_t)name->port << 8 | given << 1 | name->sips);
}

static bool name_eq(const struct resolver_name *a, const struct resolver_name *b) {
    return a->port == b->port && a->sips == b->sips && a->transport_given == b->transport_given &&
           (!a->transport_given || a->transport == b->transport) &&
           span_eq_nocase(a->host, b->host);
}

static struct cached *cache_find(struct resolver *r, const struct resolver_name *name) {
    for (struct htab_node *node = htab_first(&r->names, name_hash(name)); node;
         node = htab_next(node)) {
        struct cached *c = CONTAINER_OF(node, struct cached, node);
        if (name_eq(&c->name, name)) {
            return c;
        }
    }
    return NULL;
}

/* RFC 2782: among the candidates of one priority, one after the other by weighted lot. */
static size_t draw(struct resolver *r, const struct candidate *c, size_t n) {
    uint32_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += c[i].weight;
    }
    uint32_t lot;
    env_random(r->env, &lot, sizeof lot);
    uint32_t at = (uint32_t)(((uint64_t)lot * (sum + 1)) >> 32), running = 0;
    for (size_t i = 0; i < n; i++) {
        running += c[i].weight;
        if (running >= at) {
            return i;
        }
    }
    return n - 1;
}

/* Candidates stand in order of priority. */
static void answer_from(struct resolver *r, const struct cached *cached,
                        struct resolver_answer *out) {
    out->n = cached->n;
    if (cached->n == 1) {
        out->targets[0] = cached->candidates[0].target;
        return;
    }
    struct candidate c[RESOLVER_TARGETS_MAX];
    memcpy(c, cached->candidates, sizeof c);
    for (size_t i = 0; i < cached->n; i++) {
        size_t same = 1;
        while (i + same < cached->n && c[i + same].priority == c[i].priority) {
            same++;
        }
        size_t chosen = same > 1 ? i + draw(r, c + i, same) : i;
        struct candidate winner = c[chosen];
        memmove(c + i + 1, c + i, (chosen - i) * sizeof *c);
        c[i] = winner;
        out->targets[i] = winner.target;
    }
}

static bool speaks(const struct resolver *r, enum sip_transport t) {
    return r->config.transports & 1U << t;
}

/* RFC 3263 4.1: what is demanded, or what stands for itself where nobody is asked. */
static enum sip_transport demanded(const struct resolver_name *name) {
    return name->sips ? SIP_TLS : name->transport_given ? name->transport : SIP_UDP;
}

static enum error numeric_target(const struct resolver *r, const struct resolver_name *name,
                                 const struct addr *host, struct resolver_answer *out) {
    enum sip_transport t = demanded(name);
    if (!speaks(r, t)) {
        return ERR_NOT_FOUND;
    }
    out->n = 1;
    out->targets[0] = (struct sip_hop){*host, t};
    out->targets[0].addr.port = name->port ? name->port : sip_transport_port(t);
    return OK;
}

enum error resolver_cached(struct resolver *r, const struct resolver_name *name,
                           struct resolver_answer *out) {
    struct addr numeric;
    if (addr_parse_host(name->host, 0, &numeric)) {
        return numeric_target(r, name, &numeric, out);
    }
    struct cached *c = cache_find(r, name);
    if (!c) {
        return ERR_INCOMPLETE;
    }
    if (env_now_us(r->env) >= c->until_us) {
        forget(r, c);
        return ERR_INCOMPLETE;
    }
    r->counters.hits++;
    list_remove(&c->age);
    list_insert(&r->age, &c->age);
    if (c->n == 0) {
        return ERR_NOT_FOUND;
    }
    answer_from(r, c, out);
    return OK;
}

static struct cached *cache_add(struct resolver *r, const struct resolver_name *name) {
    struct cached *c = cache_find(r, name);
    if (c) {
        forget(r, c);
    }
    if (r->names.count >= r->config.max_cached) {
        forget(r, CONTAINER_OF(r->age.next, struct cached, age));
    }
    c = (struct cached *)calloc(1, sizeof *c + name->host.n);
    if (!c) {
        return NULL;
    }
    memcpy(c + 1, name->host.p, name->host.n);
    c->name = *name;
    c->name.host = span_of(c + 1, name->host.n);
    if (htab_insert(&r->names, &c->node, name_hash(name)) != OK) {
        free(c);
        return NULL;
    }
    list_insert(&r->age, &c->age);
    return c;
}

/* The trace: questions and answers in words, between the node and "dns". */

static void trace_words(struct resolver *r, bool question, struct span words) {
    struct span self = span_from_cstr(r->env->name), dns = SPAN("dns");
    trace_record(r->env->trace, &(struct trace_message){.at_us = env_now_us(r->env),
                                                        .wall_us = env_wall_us(r->env),
                                                        .protocol = TRACE_DNS,
                                                        .from_name = question ? self : dns,
                                                        .to_name = question ? dns : self,
                                                        .bytes = words});
}

struct collected {
    const struct dns_record *records[ANSWERS_MAX];
    size_t n;
};

static void collect(void *ctx, const struct dns_record *record) {
    struct collected *c = (struct collected *)ctx;
    if (c->n < ANSWERS_MAX) {
        c->records[c->n++] = record;
    }
}

static void trace_answer(struct resolver *r, struct span name, enum dns_type type,
                         const struct collected *c) {
    char words[2048];
    struct buf b = buf_init(words, sizeof words);
    buf_printf(&b, "query %s %.*s", dns_type_name(type), SPAN_ARG(name));
    trace_words(r, true, buf_span(&b));
    b = buf_init(words, sizeof words);
    if (c->n == 0) {
        bool exists = dns_zone_has_name(r->config.zone, name);
        buf_printf(&b, "%s %s %.*s", exists ? "no records:" : "no such name:", dns_type_name(type),
                   SPAN_ARG(name));
    }
    for (size_t i = 0; i < c->n; i++) {
        struct buf whole = b;
        dns_record_print(&b, c->records[i]);
        if (b.overflow) {
            b = whole;
            break;
        }
    }
    struct span all = buf_span(&b);
    trace_words(r, false, span_trim(all));
}

/* Asks the zone; this is what a client of a DNS server replaces. */
static void ask(struct resolver *r, struct span name, enum dns_type type, struct collected *out) {
    out->n = 0;
    dns_zone_find(r->config.zone, name, type, collect, out);
    if (trace_is_on(r->env->trace)) {
        trace_answer(r, name, type, out);
    }
}

static void heed_ttl(struct lookup *l, const struct dns_record *record) {
    if (record->ttl_s < l->ttl_s) {
        l->ttl_s = record->ttl_s;
    }
}

static void find_addresses(struct lookup *l, struct span host) {
    for (enum dns_type type = DNS_A; type <= DNS_AAAA; type++) {
        struct collected c;
        ask(l->r, host, type, &c);
        for (size_t i = 0; i < c.n && l->found->n < RESOLVER_TARGETS_MAX; i++) {
            heed_ttl(l, c.records[i]);
            struct candidate *add = &l->found->candidates[l->found->n++];
            *add =
                (struct candidate){{c.records[i]->address, l->transport}, l->priority, l->weight};
            add->target.addr.port = l->port;
        }
        if (c.n) {
            return;
        }
    }
}

/* At most ANSWERS_MAX records: by insertion, equals in the order of the answer. */
static void sort(struct collected *c,
                 bool (*precedes)(const struct dns_record *a, const struct dns_record *b)) {
    for (size_t i = 1; i < c->n; i++) {
        const struct dns_record *r = c->records[i];
        size_t at = i;
        for (; at > 0 && precedes(r, c->records[at - 1]); at--) {
            c->records[at] = c->records[at - 1];
        }
        c->records[at] = r;
    }
}

static bool srv_precedes(const struct dns_record *a, const struct dns_record *b) {
    return a->srv.priority < b->srv.priority;
}

static void find_services(struct lookup *l, struct span service) {
    struct collected c;
    ask(l->r, service, DNS_SRV, &c);
    sort(&c, srv_precedes);
    for (size_t i = 0; i < c.n; i++) {
        const struct dns_record *srv = c.records[i];
        if (span_eq(srv->srv.target, SPAN("."))) {
            continue; /* RFC 2782: the service is decidedly not there */
        }
        heed_ttl(l, srv);
        l->priority = srv->srv.priority;
        l->weight = srv->srv.weight;
        l->port = srv->srv.port;
        find_addresses(l, srv->srv.target);
    }
}

static void find_services_of(struct lookup *l, struct span domain, enum sip_transport t) {
    char name[HOST_MAX + 16];
    struct buf b = buf_init(name, sizeof name);
    static const char *const prefixes[SIP_TRANSPORTS] = {
        [SIP_UDP] = "_sip._udp.", [SIP_TCP] = "_sip._tcp.", [SIP_TLS] = "_sips._tcp."};
    buf_cstr(&b, prefixes[t]);
    buf_put(&b, domain);
    l->transport = t;
    find_services(l, buf_span(&b));
}

static bool naptr_precedes(const struct dns_record *a, const struct dns_record *b) {
    return a->naptr.order < b->naptr.order ||
           (a->naptr.order == b->naptr.order && a->naptr.preference < b->naptr.preference);
}

static bool naptr_is_usable(const struct resolver *r, const struct dns_record *naptr, bool sips,
                            enum sip_transport *out) {
    static const char *const services[SIP_TRANSPORTS] = {
        [SIP_UDP] = "SIP+D2U", [SIP_TCP] = "SIP+D2T", [SIP_TLS] = "SIPS+D2T"};
    if (!span_eq_nocase(naptr->naptr.flags, SPAN("s"))) {
        return false;
    }
    for (unsigned t = sips ? SIP_TLS : SIP_UDP; t < SIP_TRANSPORTS; t++) {
        *out = (enum sip_transport)t;
        if (speaks(r, *out) && span_eq_nocase(naptr->naptr.service, span_from_cstr(services[t]))) {
            return true;
        }
    }
    return false;
}

/* By the domain's NAPTR records; without any, by the SRV records of what is spoken. */
static void find_by_domain(struct lookup *l, const struct resolver_name *name) {
    struct collected c;
    ask(l->r, name->host, DNS_NAPTR, &c);
    sort(&c, naptr_precedes);
    for (size_t i = 0; i < c.n && l->found->n == 0; i++) {
        if (naptr_is_usable(l->r, c.records[i], name->sips, &l->transport)) {
            heed_ttl(l, c.records[i]);
            find_services(l, c.records[i]->naptr.replacement);
        }
    }
    unsigned t = name->sips ? SIP_TLS : SIP_UDP;
    for (; c.n == 0 && l->found->n == 0 && t < SIP_TRANSPORTS; t++) {
        if (speaks(l->r, (enum sip_transport)t)) {
            find_services_of(l, name->host, (enum sip_transport)t);
        }
    }
}

static void look_up(struct lookup *l, const struct resolver_name *name) {
    enum sip_transport t = demanded(name);
    if (!name->port && name->transport_given && speaks(l->r, t)) {
        find_services_of(l, name->host, t);
    } else if (!name->port && !name->transport_given) {
        find_by_domain(l, name);
    }
    if (l->found->n == 0 && speaks(l->r, t)) {
        l->transport = t;
        l->port = name->port ? name->port : sip_transport_port(t);
        find_addresses(l, name->host);
    }
}

static void query_fire(struct timer *t) {
    struct resolver_query *q = CONTAINER_OF(t, struct resolver_query, timer);
    struct resolver *r = q->resolver;
    list_remove(&q->wait);
    q->resolver = NULL;
    struct resolver_answer answer;
    enum error e = resolver_cached(r, &q->name, &answer);
    if (e == ERR_INCOMPLETE) {
        struct lookup l = {.r = r, .found = cache_add(r, &q->name), .ttl_s = UINT32_MAX};
        if (!l.found) {
            q->done(q, ERR_NO_MEMORY, NULL);
            return;
        }
        look_up(&l, &q->name);
        r->counters.misses++;
        r->counters.not_found += l.found->n == 0;
        uint32_t ttl_s = l.found->n ? l.ttl_s : r->config.negative_ttl_s;
        l.found->until_us = env_now_us(r->env) + ttl_s * SEC_IN_US;
        e = l.found->n ? OK : ERR_NOT_FOUND;
        if (e == OK) {
            answer_from(r, l.found, &answer);
        }
    }
    q->done(q, e, e == OK ? &answer : NULL);
}

enum error resolver_find(struct resolver *r, const struct resolver_name *name,
                         struct resolver_query *query, resolver_done_fn *done) {
    if (name->host.n == 0 || name->host.n > HOST_MAX) {
        return ERR_INVALID;
    }
    *query = (struct resolver_query){.done = done, .resolver = r, .name = *name};
    memcpy(query->host, name->host.p, name->host.n);
    query->name.host = span_of(query->host, name->host.n);
    list_init(&query->wait);
    list_insert(&r->waiting, &query->wait);
    timer_init(&query->timer, query_fire);
    timer_start(r->env, &query->timer, 0);
    return OK;
}

void resolver_cancel(struct resolver_query *query) {
    if (query->resolver) {
        timer_stop(&query->timer);
        list_remove(&query->wait);
        query->resolver = NULL;
    }
}

const struct resolver_counters *resolver_counters(const struct resolver *r) {
    return &r->counters;
}
