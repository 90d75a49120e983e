/* One look-up through the records: RFC 3263 sections 4.1 and 4.2, RFC 3403, RFC 2782, RFC 7984.
 *
 *     NAPTR of the domain -> SRV of the preferred service -> A and AAAA of each target ->
 * candidates
 *
 * Questions that do not wait for each other are asked at once; the next service is asked for only
 * if the one before leads nowhere. Choices that the standards leave open: of NAPTR records only
 * those with flag "s" and a service that this node speaks count, and of those the ones with the
 * order of the first; a domain with NAPTR records of which none is usable does not want to be
 * reached by us; without NAPTR records the SRV records of what is spoken count, UDP first; a name
 * that does not exist has no services below it either (RFC 8020); a TTL is honoured as the least of
 * all records that led to a target. */
#include "stack/dns/internal.h"

#include "obs/trace.h"

#include <stdlib.h>

enum { LOOKUP_MAX_S = 30, LOOKUPS_MAX = 256, SRV_MAX = 8, ALIASES_MAX = 4 };

bool resolver_speaks(const struct resolver *r, enum sip_transport t) {
    return r->config.transports & 1U << t;
}

enum sip_transport resolver_demanded(const struct resolver_name *name) {
    return name->sips ? SIP_TLS : name->transport_given ? name->transport : SIP_UDP;
}

/* The trace: questions and answers in words, between the node and "dns". */

static void trace_words(struct resolver *r, bool question, struct span words) {
    struct span self = span_from_cstr(r->env->name), dns = SPAN("dns");
    trace_record(r->env->trace, &(struct trace_message){.at_us = env_clock_us(r->env),
                                                        .wall_us = env_wall_us(r->env),
                                                        .protocol = TRACE_DNS,
                                                        .from_name = question ? self : dns,
                                                        .to_name = question ? dns : self,
                                                        .bytes = words});
}

static void trace_question(struct resolver *r, struct span name, enum dns_type type) {
    char words[DNS_NAME_MAX + 32];
    struct buf b = buf_init(words, sizeof words);
    buf_printf(&b, "query %s %.*s", dns_type_name(type), SPAN_ARG(name));
    trace_words(r, true, buf_span(&b));
}

static void trace_answer(struct resolver *r, const struct dns_exchange *x,
                         const struct dns_answer *answer) {
    char words[2048];
    struct buf b = buf_init(words, sizeof words);
    if (answer->n == 0) {
        buf_printf(&b, "%s: %s %.*s",
                   answer->error == OK              ? "no records"
                   : answer->error == ERR_NOT_FOUND ? "no such name"
                                                    : error_text(answer->error),
                   dns_type_name(x->type), SPAN_ARG(x->name));
    }
    for (size_t i = 0; i < answer->n; i++) {
        struct buf whole = b;
        dns_record_print(&b, &answer->records[i]);
        if (b.overflow) {
            b = whole;
            break;
        }
    }
    trace_words(r, false, span_trim(buf_span(&b)));
}

/* Questions. */

static void on_answer(struct dns_exchange *x, const struct dns_answer *answer);

static void send(struct ask *a, struct span name, enum dns_type type) {
    struct resolver_lookup *l = a->lookup;
    struct resolver *r = l->resolver;
    l->open++;
    r->counters.questions++;
    if (trace_is_on(r->env->trace)) {
        trace_question(r, name, type);
    }
    dns_ask(r->config.source, r->env, name, type, l->begun_us + LOOKUP_MAX_S * SEC_IN_US, &a->x,
            on_answer);
}

/* Asks one more question with what the answer will be used for; beyond the bound, nothing. */
static void ask(struct resolver_lookup *l, struct span name, enum dns_type type,
                const struct ask *purpose) {
    if (l->n_asks < ASKS_MAX) {
        struct ask *a = &l->asks[l->n_asks++];
        *a = *purpose;
        a->lookup = l;
        send(a, name, type);
    }
}

static void ask_addresses(struct resolver_lookup *l, struct span host, const struct ask *purpose) {
    struct ask p = *purpose;
    p.group = l->groups++;
    if (!l->resolver->config.no_ipv4) {
        ask(l, host, DNS_A, &p);
    }
    if (!l->resolver->config.no_ipv6) {
        ask(l, host, DNS_AAAA, &p);
    }
}

/* The SRV records of one transport under the domain. */
static void ask_service(struct resolver_lookup *l, enum sip_transport t, uint8_t rank) {
    static const char *const prefixes[SIP_TRANSPORTS] = {
        [SIP_UDP] = "_sip._udp.", [SIP_TCP] = "_sip._tcp.", [SIP_TLS] = "_sips._tcp."};
    char name[DNS_NAME_MAX + 16];
    struct buf b = buf_init(name, sizeof name);
    buf_cstr(&b, prefixes[t]);
    buf_put(&b, l->name.host);
    ask(l, buf_span(&b), DNS_SRV, &(struct ask){.transport = t, .rank = rank});
}

static void ask_host(struct resolver_lookup *l) {
    enum sip_transport t = resolver_demanded(&l->name);
    l->fell_back = true;
    if (resolver_speaks(l->resolver, t)) {
        uint16_t port = l->name.port ? l->name.port : sip_transport_port(t);
        ask_addresses(l, l->name.host, &(struct ask){.transport = t, .port = port});
    }
}

/* Answers. */

static void heed_ttl(struct resolver_lookup *l, const struct dns_record *record) {
    l->ttl_s = record->ttl_s < l->ttl_s ? record->ttl_s : l->ttl_s;
}

static bool naptr_is_usable(const struct resolver_lookup *l, const struct dns_record *r,
                            enum sip_transport *out) {
    static const char *const services[SIP_TRANSPORTS] = {
        [SIP_UDP] = "SIP+D2U", [SIP_TCP] = "SIP+D2T", [SIP_TLS] = "SIPS+D2T"};
    if (!span_eq_nocase(r->naptr.flags, SPAN("s"))) {
        return false;
    }
    for (unsigned t = l->name.sips ? SIP_TLS : SIP_UDP; t < SIP_TRANSPORTS; t++) {
        *out = (enum sip_transport)t;
        if (resolver_speaks(l->resolver, *out) &&
            span_eq_nocase(r->naptr.service, span_from_cstr(services[t]))) {
            return true;
        }
    }
    return false;
}

static bool naptr_precedes(const struct dns_record *a, const struct dns_record *b) {
    return a->naptr.order < b->naptr.order ||
           (a->naptr.order == b->naptr.order && a->naptr.preference < b->naptr.preference);
}

static bool srv_precedes(const struct dns_record *a, const struct dns_record *b) {
    return a->srv.priority < b->srv.priority;
}

/* Pointers to the records, sorted by insertion; equals in the order of the answer. */
static void sort(const struct dns_answer *answer, const struct dns_record **out,
                 bool (*before)(const struct dns_record *a, const struct dns_record *b)) {
    for (size_t i = 0; i < answer->n; i++) {
        size_t at = i;
        for (; at > 0 && before(&answer->records[i], out[at - 1]); at--) {
            out[at] = out[at - 1];
        }
        out[at] = &answer->records[i];
    }
}

static void keep_service(struct resolver_lookup *l, struct span name, enum sip_transport t) {
    if (l->n_later < COUNT_OF(l->later) && name.n <= sizeof l->later[0].name) {
        struct service *s = &l->later[l->n_later++];
        s->transport = t;
        s->name_n = (uint8_t)name.n;
        memcpy(s->name, name.p, name.n);
    }
}

static bool ask_next_service(struct resolver_lookup *l) {
    if (l->next_later == l->n_later) {
        return false;
    }
    const struct service *s = &l->later[l->next_later++];
    ask(l, span_of(s->name, s->name_n), DNS_SRV,
        &(struct ask){.transport = s->transport, .rank = l->next_later});
    return true;
}

static void take_naptr(struct resolver_lookup *l, const struct dns_answer *answer) {
    const struct dns_record *sorted[DNS_BELIEVED_MAX], *first = NULL;
    uint8_t rank = 0;
    sort(answer, sorted, naptr_precedes);
    l->services_known = answer->n > 0;
    for (size_t i = 0; i < answer->n; i++) {
        const struct dns_record *r = sorted[i];
        enum sip_transport t;
        if (naptr_is_usable(l, r, &t) && (!first || first->naptr.order == r->naptr.order)) {
            first = first ? first : r;
            heed_ttl(l, r);
            keep_service(l, r->naptr.replacement, t);
        }
    }
    ask_next_service(l);
    unsigned t = l->name.sips ? SIP_TLS : SIP_UDP;
    for (; answer->n == 0 && t < SIP_TRANSPORTS; t++) {
        if (resolver_speaks(l->resolver, (enum sip_transport)t)) {
            ask_service(l, (enum sip_transport)t, rank++);
        }
    }
}

static void take_srv(struct resolver_lookup *l, const struct ask *a,
                     const struct dns_answer *answer) {
    const struct dns_record *sorted[DNS_BELIEVED_MAX];
    sort(answer, sorted, srv_precedes);
    for (size_t i = 0; i < answer->n && i < SRV_MAX; i++) {
        const struct dns_record *r = sorted[i];
        l->services_known = true;
        heed_ttl(l, r);
        if (span_eq(r->srv.target, SPAN("."))) {
            continue; /* RFC 2782: the service is decidedly not there */
        }
        struct ask purpose = *a;
        purpose.aliases = 0;
        purpose.priority = r->srv.priority;
        purpose.weight = r->srv.weight;
        purpose.port = r->srv.port;
        ask_addresses(l, r->srv.target, &purpose);
    }
}

static void take_addresses(struct resolver_lookup *l, const struct ask *a,
                           const struct dns_answer *answer) {
    for (size_t i = 0; i < answer->n && l->n < CANDIDATES_MAX; i++) {
        struct candidate *c = &l->found[l->n++];
        heed_ttl(l, &answer->records[i]);
        *c = (struct candidate){.hop = {answer->records[i].address, a->transport},
                                .priority = a->priority,
                                .weight = a->weight,
                                .rank = a->rank,
                                .group = a->group,
                                .precedence = address_precedence(&answer->records[i].address)};
        c->hop.addr.port = a->port;
    }
}

static void take_nothing(struct resolver_lookup *l, const struct dns_answer *answer) {
    if (answer->error != OK && answer->error != ERR_NOT_FOUND) {
        l->trouble = answer->error;
    } else if (answer->has_negative_ttl && answer->negative_ttl_s < l->negative_ttl_s) {
        l->negative_ttl_s = answer->negative_ttl_s;
    }
}

static void take(struct resolver_lookup *l, struct ask *a, const struct dns_answer *answer) {
    if (answer->n == 0) {
        take_nothing(l, answer);
    }
    if (answer->error != OK) {
        l->gone |= answer->error == ERR_NOT_FOUND && a->x.type == DNS_NAPTR;
        return;
    }
    switch (a->x.type) {
    case DNS_NAPTR:
        take_naptr(l, answer);
        break;
    case DNS_SRV:
        take_srv(l, a, answer);
        break;
    default:
        take_addresses(l, a, answer);
    }
}

static void on_answer(struct dns_exchange *x, const struct dns_answer *answer) {
    struct ask *a = CONTAINER_OF(x, struct ask, x);
    struct resolver_lookup *l = a->lookup;
    if (trace_is_on(l->resolver->env->trace)) {
        trace_answer(l->resolver, x, answer);
    }
    l->open--;
    if (answer->alias.n && a->aliases++ < ALIASES_MAX) {
        send(a, answer->alias, x->type);
    } else {
        take(l, a, answer);
    }
    if (l->open == 0 && l->n == 0 && ask_next_service(l)) {
        return;
    }
    bool bare = !l->services_known && !l->fell_back && !l->gone && !l->trouble;
    if (l->open == 0 && bare) {
        ask_host(l);
    }
    if (l->open == 0) {
        resolver_finish(l);
    }
}

/* Life. */

static void begin(struct resolver_lookup *l) {
    const struct resolver_name *name = &l->name;
    if (!name->port && !name->transport_given) {
        ask(l, name->host, DNS_NAPTR, &(struct ask){0});
    } else if (!name->port && resolver_speaks(l->resolver, resolver_demanded(name))) {
        ask_service(l, resolver_demanded(name), 0);
    } else {
        ask_host(l);
    }
}

enum error lookup_begin(struct resolver *r, const struct resolver_name *name,
                        struct resolver_lookup **out) {
    size_t max = r->config.max_lookups ? r->config.max_lookups : LOOKUPS_MAX;
    if (r->lookups.count >= max) {
        return ERR_BUSY;
    }
    struct resolver_lookup *l = calloc(1, sizeof *l + name->host.n);
    if (!l) {
        return ERR_NO_MEMORY;
    }
    memcpy(l + 1, name->host.p, name->host.n);
    l->resolver = r;
    l->name = *name;
    l->name.host = span_of(l + 1, name->host.n);
    l->begun_us = env_now_us(r->env);
    l->ttl_s = l->negative_ttl_s = UINT32_MAX;
    list_init(&l->waiters);
    if (htab_insert(&r->lookups, &l->node, resolver_name_hash(name)) != OK) {
        free(l);
        return ERR_NO_MEMORY;
    }
    list_init(&l->listed);
    list_insert(&r->under_way, &l->listed);
    begin(l);
    if (l->open == 0) { /* nothing that the node speaks could come of it */
        lookup_free(l);
        return ERR_NOT_FOUND;
    }
    *out = l;
    return OK;
}

void lookup_free(struct resolver_lookup *l) {
    for (size_t i = 0; i < l->n_asks; i++) {
        dns_cancel(&l->asks[i].x);
    }
    htab_remove(&l->resolver->lookups, &l->node);
    list_remove(&l->listed);
    free(l);
}
