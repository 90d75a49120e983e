/* The cache of a resolver: RFC 2181 5.2 (TTLs), RFC 2308 (negative answers), RFC 8767 (stale ones),
 * RFC 9520 (failures).
 *
 * Choices that the standards leave open: a name that is in use is asked for again in the last
 * quarter of its time (at least 2 s before its end), so that those who use it never wait. When its
 * time is over and nobody has answered, the first to ask waits 1.8 s (RFC 8767 5) for a new answer
 * before he gets the old one; after a failure the old one is given at once, and the DNS is asked
 * again every 30 s. A name that ceases to exist while its records are still good keeps them until
 * their end: a DNS that has lost its zone does not take the network with it. */
#include "stack/dns/resolver.h"

#include "stack/dns/internal.h"

#include <stdlib.h>

enum {
    TTL_MIN_S = 5,
    TTL_MAX_S = 86400,
    NEGATIVE_TTL_S = 30,
    NEGATIVE_MAX_S = 300,
    FAILURE_TTL_S = 5, /* how long a failure is answered without asking again */
    RECHECK_S = 30,    /* between attempts to refresh what failed (RFC 8767: at least 30 s) */
    STALE_S = 86400,
    PATIENCE_STALE_MS = 1800,
    PATIENCE_MS = 10000,
    REFRESH_AHEAD_MS = 2000,
    CACHED_MAX = 4096
};

static uint32_t or_default(uint32_t value, uint32_t otherwise) {
    return value ? value : otherwise;
}

struct resolver_name resolver_name_of(const struct sip_uri *uri) {
    struct resolver_name name = {
        .host = uri->host, .port = uri->port, .sips = uri->scheme == SIP_URI_SIPS};
    struct span value;
    if (sip_uri_param(uri, SPAN("maddr"), &value) && value.n) {
        name.host = value;
    }
    name.transport_given = sip_uri_param(uri, SPAN("transport"), &value) &&
                           sip_transport_parse(value, &name.transport);
    return name;
}

enum error resolver_new(struct env *env, const struct resolver_config *config,
                        struct resolver **out) {
    struct resolver *r = (struct resolver *)calloc(1, sizeof *r);
    if (!r) {
        return ERR_NO_MEMORY;
    }
    r->env = env;
    r->config = *config;
    r->config.transports = config->transports ? config->transports : 1U << SIP_UDP;
    r->config.ttl_min_s = or_default(config->ttl_min_s, TTL_MIN_S);
    r->config.ttl_max_s = or_default(config->ttl_max_s, TTL_MAX_S);
    r->config.negative_ttl_s = or_default(config->negative_ttl_s, NEGATIVE_TTL_S);
    r->config.stale_s = or_default(config->stale_s, STALE_S);
    r->config.max_cached = config->max_cached ? config->max_cached : CACHED_MAX;
    htab_init(&r->names);
    htab_init(&r->lookups);
    list_init(&r->age);
    list_init(&r->under_way);
    list_init(&r->answered);
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
    LIST_EACH(&r->under_way, l, struct resolver_lookup, listed) {
        LIST_EACH(&l->waiters, q, struct resolver_query, wait) {
            resolver_cancel(q);
        }
        lookup_free(l);
    }
    LIST_EACH(&r->answered, q, struct resolver_query, wait) {
        resolver_cancel(q);
    }
    resolver_flush(r);
    htab_free(&r->names);
    htab_free(&r->lookups);
    free(r);
}

/* Names. */

uint64_t resolver_name_hash(const struct resolver_name *name) {
    uint64_t given = name->transport_given ? 1 + (uint64_t)name->transport : 0;
    return hash_mix(hash_nocase(name->host), (uint64_t)name->port << 8 | given << 1 | name->sips);
}

static bool name_eq(const struct resolver_name *a, const struct resolver_name *b) {
    return a->port == b->port && a->sips == b->sips && a->transport_given == b->transport_given &&
           (!a->transport_given || a->transport == b->transport) &&
           span_eq_nocase(a->host, b->host);
}

static struct cached *cache_find(struct resolver *r, const struct resolver_name *name) {
    for (struct htab_node *node = htab_first(&r->names, resolver_name_hash(name)); node;
         node = htab_next(node)) {
        struct cached *c = CONTAINER_OF(node, struct cached, node);
        if (name_eq(&c->name, name)) {
            return c;
        }
    }
    return NULL;
}

static struct resolver_lookup *lookup_find(struct resolver *r, const struct resolver_name *name) {
    for (struct htab_node *node = htab_first(&r->lookups, resolver_name_hash(name)); node;
         node = htab_next(node)) {
        struct resolver_lookup *l = CONTAINER_OF(node, struct resolver_lookup, node);
        if (name_eq(&l->name, name)) {
            return l;
        }
    }
    return NULL;
}

static bool is_stale_good(const struct resolver *r, const struct cached *c, uint64_t now_us) {
    return c->n > 0 && now_us < c->until_us + r->config.stale_s * SEC_IN_US;
}

/* Replaces what is known of a name; candidates NULL: that there are none. NULL: no memory. */
static struct cached *cache_put(struct resolver *r, const struct resolver_name *name,
                                const struct candidate *candidates, size_t n, uint32_t ttl_s) {
    struct cached *old = cache_find(r, name);
    struct cached *c = calloc(1, sizeof *c + n * sizeof *candidates + name->host.n);
    if (!c || htab_insert(&r->names, &c->node, resolver_name_hash(name)) != OK) {
        free(c);
        return NULL;
    }
    char *host = (char *)(c->candidates + n);
    memcpy(host, name->host.p, name->host.n);
    if (n) {
        memcpy(c->candidates, candidates, n * sizeof *candidates);
    }
    c->n = n;
    c->name = *name;
    c->name.host = span_of(host, name->host.n);
    uint64_t ttl_us = ttl_s * SEC_IN_US, ahead_us = ttl_us / 4;
    ahead_us = ahead_us > REFRESH_AHEAD_MS * MS_IN_US ? ahead_us : REFRESH_AHEAD_MS * MS_IN_US;
    c->until_us = env_now_us(r->env) + ttl_us;
    c->refresh_us = n && ttl_us > ahead_us ? c->until_us - ahead_us : c->until_us;
    list_insert(&r->age, &c->age);
    if (old) {
        forget(r, old);
    } else if (r->names.count > r->config.max_cached) {
        forget(r, CONTAINER_OF(r->age.next, struct cached, age));
    }
    return c;
}

/* Targets that failed. */

static struct failed_hop *failed_find(struct resolver *r, const struct sip_hop *hop) {
    for (size_t i = 0; i < r->n_failed; i++) {
        if (sip_hop_eq(&r->failed[i].hop, hop)) {
            return &r->failed[i];
        }
    }
    return NULL;
}

void resolver_worked(struct resolver *r, const struct sip_hop *hop) {
    struct failed_hop *f = r->n_failed ? failed_find(r, hop) : NULL;
    if (f) {
        *f = r->failed[--r->n_failed];
    }
}

void resolver_failed(struct resolver *r, const struct sip_hop *hop) {
    struct failed_hop *f = failed_find(r, hop), *oldest = r->failed;
    for (size_t i = 1; !f && i < r->n_failed; i++) {
        oldest = r->failed[i].until_us < oldest->until_us ? &r->failed[i] : oldest;
    }
    if (!f) {
        f = r->n_failed < FAILED_MAX ? &r->failed[r->n_failed++] : oldest;
    }
    *f = (struct failed_hop){*hop, env_now_us(r->env) + RESOLVER_FAILED_S * SEC_IN_US};
}

static bool has_failed(struct resolver *r, const struct sip_hop *hop) {
    struct failed_hop *f = failed_find(r, hop);
    if (f && env_now_us(r->env) >= f->until_us) {
        *f = r->failed[--r->n_failed];
        f = NULL;
    }
    return f != NULL;
}

/* Those that failed go behind the others; both keep their order. */
static void failed_last(struct resolver *r, struct resolver_answer *a) {
    struct sip_hop bad[RESOLVER_TARGETS_MAX];
    size_t good = 0, n_bad = 0;
    for (size_t i = 0; i < a->n; i++) {
        if (has_failed(r, &a->targets[i])) {
            bad[n_bad++] = a->targets[i];
        } else {
            a->targets[good++] = a->targets[i];
        }
    }
    memcpy(a->targets + good, bad, n_bad * sizeof *bad);
}

/* Answers. */

static enum error answer_from(struct resolver *r, struct cached *c, struct resolver_answer *out) {
    list_remove(&c->age);
    list_insert(&r->age, &c->age);
    if (c->n == 0) {
        return c->error;
    }
    candidates_draw(r->env, c->candidates, c->n, out);
    if (r->n_failed) {
        failed_last(r, out);
    }
    return OK;
}

static void refresh(struct resolver *r, struct cached *c, uint64_t now_us) {
    struct resolver_lookup *l;
    c->refresh_us = now_us + RECHECK_S * SEC_IN_US;
    if (!lookup_find(r, &c->name) && lookup_begin(r, &c->name, &l) == OK) {
        r->counters.refreshes++;
    }
}

/* Has somebody waited long enough for what is being asked for? */
static bool patience_is_over(struct resolver *r, const struct resolver_name *name,
                             uint64_t now_us) {
    const struct resolver_lookup *l = lookup_find(r, name);
    return l && now_us >= l->begun_us + PATIENCE_STALE_MS * MS_IN_US;
}

static enum error numeric_target(const struct resolver *r, const struct resolver_name *name,
                                 const struct addr *host, struct resolver_answer *out) {
    enum sip_transport t = resolver_demanded(name);
    if (!resolver_speaks(r, t) || (host->family == 4 && r->config.no_ipv4) ||
        (host->family == 6 && r->config.no_ipv6)) {
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
    uint64_t now_us = env_now_us(r->env);
    if (!c) {
        return ERR_INCOMPLETE;
    }
    bool fresh = now_us < c->until_us;
    if (!fresh &&
        !(is_stale_good(r, c, now_us) && (c->failing || patience_is_over(r, name, now_us)))) {
        return ERR_INCOMPLETE;
    }
    r->counters.hits++;
    r->counters.stale += !fresh;
    if (now_us >= c->refresh_us) {
        refresh(r, c, now_us);
    }
    return answer_from(r, c, out);
}

/* Queries. */

static void end_query(struct resolver_query *q) {
    timer_stop(&q->timer);
    post_cancel(&q->post);
    list_remove(&q->wait);
    q->resolver = NULL;
}

/* With what is known, fresh or stale; else with the error that there is. */
static void answer_query(struct resolver_query *q) {
    struct resolver *r = q->resolver;
    struct resolver_answer answer;
    uint64_t now_us = env_now_us(r->env);
    struct cached *c = cache_find(r, &q->name);
    enum error e = q->error ? q->error : ERR_BUSY; /* found, and crowded out of the cache since */
    bool fresh = c && now_us < c->until_us;
    if (fresh || (c && is_stale_good(r, c, now_us))) {
        r->counters.stale += !fresh;
        e = answer_from(r, c, &answer);
    }
    end_query(q);
    q->done(q, e, e == OK ? &answer : NULL);
}

static void query_posted(struct post *p) {
    answer_query(CONTAINER_OF(p, struct resolver_query, post));
}

static void query_impatient(struct timer *t) {
    struct resolver_query *q = CONTAINER_OF(t, struct resolver_query, timer);
    q->error = ERR_TIMEOUT;
    answer_query(q);
}

/* The answer is known: it is given from the loop. */
static void settle_query(struct resolver_query *q, enum error e) {
    q->error = e;
    list_remove(&q->wait);
    list_insert(&q->resolver->answered, &q->wait);
    env_post(q->resolver->env, &q->post);
}

enum error resolver_find(struct resolver *r, const struct resolver_name *name,
                         struct resolver_query *query, resolver_done_fn *done) {
    if (name->host.n == 0 || name->host.n > DNS_NAME_MAX) {
        return ERR_INVALID;
    }
    *query = (struct resolver_query){.done = done, .resolver = r, .name = *name};
    memcpy(query->host, name->host.p, name->host.n);
    query->name.host = span_of(query->host, name->host.n);
    list_init(&query->wait);
    timer_init(&query->timer, query_impatient);
    post_init(&query->post, query_posted);
    const struct cached *c = cache_find(r, name);
    uint64_t now_us = env_now_us(r->env);
    struct resolver_lookup *l = lookup_find(r, name);
    enum error e = OK;
    if (c && now_us < c->until_us) {
        settle_query(query, OK);
        return OK;
    }
    if (!l) {
        e = lookup_begin(r, name, &l);
        r->counters.misses++;
    }
    if (e != OK) {
        settle_query(query, e);
        return OK;
    }
    list_insert(&l->waiters, &query->wait);
    uint64_t patience_us =
        (c && is_stale_good(r, c, now_us) ? PATIENCE_STALE_MS : PATIENCE_MS) * MS_IN_US;
    timer_start(r->env, &query->timer, patience_us);
    return OK;
}

void resolver_cancel(struct resolver_query *query) {
    if (query->resolver) {
        end_query(query);
    }
}

/* The end of a look-up. */

static uint32_t within(uint32_t value, uint32_t min, uint32_t max) {
    return value < min ? min : value > max ? max : value;
}

static void keep_found(struct resolver *r, struct resolver_lookup *l) {
    size_t n = candidates_sort(l->found, l->n);
    uint32_t min_s = r->config.ttl_min_s, max_s = r->config.ttl_max_s;
    uint32_t ttl_s = l->trouble ? min_s : within(l->ttl_s, min_s, max_s);
    (void)!cache_put(r, &l->name, l->found, n, ttl_s);
}

static void keep_nothing(struct resolver *r, const struct resolver_lookup *l, enum error e) {
    struct cached *old = cache_find(r, &l->name);
    uint64_t now_us = env_now_us(r->env);
    uint32_t ttl_s = FAILURE_TTL_S;
    if (e == ERR_NOT_FOUND) {
        r->counters.not_found++;
        ttl_s = l->negative_ttl_s == UINT32_MAX ? r->config.negative_ttl_s
                                                : within(l->negative_ttl_s, 1, NEGATIVE_MAX_S);
        if (old && old->n && now_us < old->until_us) {
            uint64_t again_us = now_us + RECHECK_S * SEC_IN_US;
            old->refresh_us = again_us < old->until_us ? again_us : old->until_us;
            return;
        }
    } else {
        r->counters.failed++;
        if (old && is_stale_good(r, old, now_us)) {
            old->failing = true;
            old->refresh_us = now_us + RECHECK_S * SEC_IN_US;
            return;
        }
    }
    struct cached *c = cache_put(r, &l->name, NULL, 0, ttl_s);
    if (c) {
        c->error = e;
    }
}

void resolver_finish(struct resolver_lookup *l) {
    struct resolver *r = l->resolver;
    enum error e = l->n ? OK : l->trouble ? l->trouble : ERR_NOT_FOUND;
    if (e == OK) {
        keep_found(r, l);
    } else {
        keep_nothing(r, l, e);
        LOG(&r->env->log, e == ERR_NOT_FOUND ? LOG_INFO : LOG_WARNING, "name not resolved",
            LOG_SPAN("name", l->name.host), LOG_CSTR("error", error_text(e)));
    }
    LIST_EACH(&l->waiters, q, struct resolver_query, wait) {
        settle_query(q, e);
    }
    lookup_free(l);
}

const struct resolver_counters *resolver_counters(const struct resolver *r) {
    return &r->counters;
}
