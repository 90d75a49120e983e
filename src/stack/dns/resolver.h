/* Where a SIP request goes: RFC 3263 over the DNS (RFC 3403 NAPTR, RFC 2782 SRV, A and AAAA).
 *
 * One resolver per node. In front stands a cache that honours TTLs, so that a known name costs a
 * hash hit: try resolver_cached first, and resolver_find when it does not know. Look-ups of the
 * same name share one set of questions. Each question and each answer goes to the trace, in words,
 * between the node and "dns". A numeric host needs no look-up, an explicit port none but A and
 * AAAA. Targets whose transport or address family the node does not have are never given.
 *
 * Order among targets: the NAPTR records' preference, SRV priority, RFC 2782's weighted lot, drawn
 * anew for each answer, then, for each SRV record, its addresses by RFC 6724 (RFC 7984). Targets
 * that failed lately (resolver_failed) come last.
 *
 * When the DNS is slow or dead, what is known goes on being given: a name in use is asked for again
 * before its time is over, and after that time the old targets serve for stale_s (RFC 8767). */
#ifndef MUSTER_STACK_DNS_RESOLVER_H
#define MUSTER_STACK_DNS_RESOLVER_H

#include "codec/sip/transport.h"
#include "codec/sip/uri.h"
#include "stack/dns/source.h"

enum {
    RESOLVER_TARGETS_MAX = 8,
    RESOLVER_FAILED_S = 30, /* how long a target that failed comes last */
};

/** What is looked for: host and port of a SIP URI, or a domain. */
struct resolver_name {
    struct span host; /* a name, an IPv4 address, or an IPv6 address in brackets or without */
    uint16_t port;    /* 0: not given */
    bool sips;        /* the URI's scheme is sips: nothing but TLS will do */
    /* what the URI's transport parameter or the operator demands; NAPTR is only asked when free */
    bool transport_given;
    enum sip_transport transport;
};

/** What a URI asks for: maddr or host, port, scheme, transport parameter (one that is not known
 * here counts as none). A view of it. */
struct resolver_name resolver_name_of(const struct sip_uri *uri);

/** Best first; all different. */
struct resolver_answer {
    struct sip_hop targets[RESOLVER_TARGETS_MAX];
    size_t n;
};

/** Zeroed members stand for the defaults. */
struct resolver_config {
    struct dns_source *source; /* outlives the resolver */
    unsigned transports;       /* those that the node speaks, a bit (1U << SIP_TCP) for each; 0: UDP
                                * alone */
    bool no_ipv4, no_ipv6;     /* address families that the node does not have */
    uint32_t ttl_min_s;        /* shorter TTLs count as this; 0: 5 s */
    uint32_t ttl_max_s;        /* longer ones as this; 0: a day */
    uint32_t negative_ttl_s; /* how long "no such name" is believed when no SOA says so; 0: 30 s */
    uint32_t stale_s;        /* how long targets serve beyond their time; 0: a day */
    size_t max_cached;       /* names in the cache; 0: 4096 */
    size_t max_lookups;      /* names that are being asked for; more get ERR_BUSY; 0: 256 */
};

struct resolver;
struct resolver_lookup;
struct resolver_query;

/** How a look-up ended: OK with at least one target; ERR_NOT_FOUND (no such name, or no usable
 * record); ERR_TIMEOUT, ERR_UNREACHABLE, ERR_REFUSED (the DNS does not say), ERR_BUSY,
 * ERR_NO_MEMORY. answer lives until it returns. */
typedef void resolver_done_fn(struct resolver_query *query, enum error e,
                              const struct resolver_answer *answer);

/** A look-up under way; a member of whatever waits for it. Its fields are the resolver's. */
struct resolver_query {
    struct list wait;
    struct timer timer; /* patience */
    struct post post;   /* the answer is there */
    resolver_done_fn *done;
    struct resolver *resolver; /* NULL: not under way */
    enum error error;
    char host[DNS_NAME_MAX + 1];
    struct resolver_name name;
};

/** Makes a resolver. ERR_NO_MEMORY. */
MUST_CHECK enum error resolver_new(struct env *env, const struct resolver_config *config,
                                   struct resolver **out);

/** Forgets the cache and all look-ups under way, whose done is never called. NULL is allowed. */
void resolver_free(struct resolver *r);

/** Answers at once from the cache, or because the host is numeric. OK; ERR_NOT_FOUND when the cache
 * knows that there is nothing, or another error when the DNS failed just now; ERR_INCOMPLETE when
 * it must be asked: resolver_find. */
MUST_CHECK enum error resolver_cached(struct resolver *r, const struct resolver_name *name,
                                      struct resolver_answer *out);

/** Asks; done is called later, never from within this call, and after 10 s at the latest. The name
 * is copied. ERR_INVALID for a host that is empty or longer than 255 bytes. */
MUST_CHECK enum error resolver_find(struct resolver *r, const struct resolver_name *name,
                                    struct resolver_query *query, resolver_done_fn *done);

/** Gives up; harmless for a query that is done, or zeroed and never begun. */
void resolver_cancel(struct resolver_query *query);

/** A target did not answer, or could not be reached: it comes last for RESOLVER_FAILED_S. */
void resolver_failed(struct resolver *r, const struct sip_hop *hop);

/** A target answered. */
void resolver_worked(struct resolver *r, const struct sip_hop *hop);

/** Forgets the cache, for tests and for an operator who has mended the zone. Look-ups under way go
 * on. */
void resolver_flush(struct resolver *r);

struct resolver_counters {
    uint64_t hits;      /* answered from the cache */
    uint64_t misses;    /* names that had to be asked for */
    uint64_t not_found; /* look-ups that found nothing */
    uint64_t failed;    /* look-ups that the DNS did not answer */
    uint64_t refreshes; /* look-ups of names that were still known */
    uint64_t stale;     /* answers whose time was over */
    uint64_t questions; /* to the DNS */
};

/** What has happened so far. */
const struct resolver_counters *resolver_counters(const struct resolver *r);

#endif
