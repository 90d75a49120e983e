/* Where does a SIP request for this host go? RFC 3263 section 4: NAPTR, SRV, A and AAAA.
 *
 * One resolver per node. In front stands a cache that honours TTLs, so that a known name costs a
 * hash hit: try resolver_cached first, and resolver_find when it does not know. Each question and
 * each answer of a miss goes to the trace, in words, between the node and "dns". A numeric host
 * needs no look-up, an explicit port none but A and AAAA. Targets whose transport the node does not
 * speak are never given.
 *
 * Order among targets: SRV priority, then RFC 2782's weighted lot, drawn anew for each look-up. */
#ifndef MUSTER_STACK_DNS_RESOLVER_H
#define MUSTER_STACK_DNS_RESOLVER_H

#include "codec/sip/transport.h"
#include "rt/env.h"
#include "stack/dns/zone.h"

enum { RESOLVER_TARGETS_MAX = 8 };

/** What is looked for: host and port of a SIP URI, or a domain. */
struct resolver_name {
    struct span host; /* a name, an IPv4 address, or an IPv6 address in brackets or without */
    uint16_t port;    /* 0: not given */
    bool sips;        /* the URI's scheme is sips: nothing but TLS will do */
    /* what the URI's transport parameter or the operator demands; NAPTR is only asked when free */
    bool transport_given;
    enum sip_transport transport;
};

/** Best first. */
struct resolver_answer {
    struct sip_hop targets[RESOLVER_TARGETS_MAX];
    size_t n;
};

struct resolver_config {
    const struct dns_zone *zone; /* outlives the resolver */
    uint32_t negative_ttl_s;     /* how long "no such name" is believed; 0: 30 s */
    unsigned transports;         /* those that the node speaks, a bit (1U << SIP_TCP) for each; 0:
                                  * UDP alone */
    size_t max_cached;           /* names in the cache; 0: 4096 */
};

struct resolver;
struct resolver_query;

/** How a look-up ended: OK with at least one target, ERR_NOT_FOUND (no such name, or no usable
 * record), ERR_TIMEOUT, ERR_UNREACHABLE (no server answered). answer lives until it returns. */
typedef void resolver_done_fn(struct resolver_query *query, enum error e,
                              const struct resolver_answer *answer);

/** A look-up under way; a member of whatever waits for it. Its fields are the resolver's. */
struct resolver_query {
    struct list wait;
    struct timer timer;
    resolver_done_fn *done;
    struct resolver *resolver;
    char host[256];
    struct resolver_name name;
};

/** Makes a resolver. ERR_NO_MEMORY. */
MUST_CHECK enum error resolver_new(struct env *env, const struct resolver_config *config,
                                   struct resolver **out);

/** Forgets the cache and all look-ups under way, whose done is never called. NULL is allowed. */
void resolver_free(struct resolver *r);

/** Answers at once from the cache, or because the host is numeric. OK; ERR_NOT_FOUND when the cache
 * knows that there is nothing; ERR_INCOMPLETE when it must be asked: resolver_find. */
MUST_CHECK enum error resolver_cached(struct resolver *r, const struct resolver_name *name,
                                      struct resolver_answer *out);

/** Asks; done is called later, never from within this call. The name is copied. ERR_INVALID for a
 * host that is empty or longer than 255 bytes. */
MUST_CHECK enum error resolver_find(struct resolver *r, const struct resolver_name *name,
                                    struct resolver_query *query, resolver_done_fn *done);

/** Gives up; harmless for a query that is done, or zeroed and never begun. */
void resolver_cancel(struct resolver_query *query);

/** Forgets the cache, for tests and for an operator who has mended the zone. */
void resolver_flush(struct resolver *r);

struct resolver_counters {
    uint64_t hits, misses, not_found;
};

/** What has happened so far. */
const struct resolver_counters *resolver_counters(const struct resolver *r);

#endif
