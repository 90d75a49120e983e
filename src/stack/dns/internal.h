/* What the files of the resolver share. */
#ifndef MUSTER_STACK_DNS_INTERNAL_H
#define MUSTER_STACK_DNS_INTERNAL_H

#include "base/htab.h"
#include "base/list.h"
#include "stack/dns/resolver.h"

enum {
    CANDIDATES_MAX = 16, /* of a name; answers draw their targets from these */
    ASKS_MAX = 32,       /* questions of one look-up */
    FAILED_MAX = 32,     /* targets that are remembered as failed */
};

/* A target with what orders it. Those of one SRV record are a group. */
struct candidate {
    struct sip_hop hop;
    uint16_t priority, weight;
    uint8_t rank;       /* of its service: the NAPTR records' order */
    uint8_t group;      /* addresses of one SRV record */
    uint8_t precedence; /* of the address, RFC 6724: higher first */
};

/* What is known of a name. n == 0: that there is nothing, or that the DNS does not say. */
struct cached {
    struct htab_node node;
    struct list age;           /* least recently used first */
    uint64_t refresh_us;       /* from then on it is asked for again while it is in use */
    uint64_t until_us;         /* it is fresh until then */
    bool failing;              /* the last attempt to refresh it failed */
    enum error error;          /* of n == 0 */
    struct resolver_name name; /* host points behind this structure */
    size_t n;
    struct candidate candidates[];
};

struct failed_hop {
    struct sip_hop hop;
    uint64_t until_us;
};

struct resolver {
    struct env *env;
    struct resolver_config config;
    struct htab names;
    struct list age;
    struct htab lookups;   /* under way, by name */
    struct list under_way; /* the same */
    struct list answered;  /* queries whose answer is about to be given */
    struct failed_hop failed[FAILED_MAX];
    size_t n_failed;
    struct resolver_counters counters;
};

/* A question of a look-up. */
struct ask {
    struct dns_exchange x;
    struct resolver_lookup *lookup;
    enum sip_transport transport;
    uint16_t priority, weight, port;
    uint8_t rank, group;
    uint8_t aliases; /* how often another name had to be asked for instead */
};

/* A name that is being asked for. */
struct resolver_lookup {
    struct htab_node node;
    struct list listed;  /* in under_way */
    struct list waiters; /* queries */
    struct resolver *resolver;
    struct resolver_name name; /* host points behind this structure */
    uint64_t begun_us;
    enum error trouble;  /* some question was not answered */
    bool services_known; /* there are NAPTR or SRV records: the bare host is not meant */
    bool fell_back;      /* the bare host has been asked for */
    bool gone;           /* the DNS knows no such name */
    uint32_t ttl_s;
    uint32_t negative_ttl_s; /* UINT32_MAX: nobody said */
    uint8_t groups;
    struct service {
        enum sip_transport transport;
        uint8_t name_n;
        char name[DNS_NAME_MAX];
    } later[SIP_TRANSPORTS]; /* services of NAPTR records, if the preferred ones come to nothing */
    uint8_t n_later, next_later;
    size_t open; /* questions without an answer */
    size_t n;
    struct candidate found[CANDIDATES_MAX];
    size_t n_asks;
    struct ask asks[ASKS_MAX];
};

/* lookup.c */

/** Begins to ask. ERR_NO_MEMORY; ERR_BUSY: too many look-ups. */
MUST_CHECK enum error lookup_begin(struct resolver *r, const struct resolver_name *name,
                                   struct resolver_lookup **out);

/** Drops it silently; queries that wait for it must have left. */
void lookup_free(struct resolver_lookup *l);

/** Does the node speak it? */
bool resolver_speaks(const struct resolver *r, enum sip_transport t);

/** RFC 3263 4.1: the transport that is demanded, or that stands for itself where nobody is asked.
 */
enum sip_transport resolver_demanded(const struct resolver_name *name);

/* resolver.c */

/** A look-up is over: its result goes to the cache and to those who wait; it is freed. */
void resolver_finish(struct resolver_lookup *l);

/** Hash of what is looked for. */
uint64_t resolver_name_hash(const struct resolver_name *name);

/* order.c */

/** Sorts what a look-up found into the order in which candidates stand in the cache, and takes out
 * repeated hops. Returns how many remain. */
size_t candidates_sort(struct candidate *c, size_t n);

/** Draws an answer: by rank, priority, weighted lot, precedence of addresses. n >= 1. */
void candidates_draw(struct env *env, const struct candidate *from, size_t n,
                     struct resolver_answer *out);

/** RFC 6724 2.1: the precedence of a destination address by the default policy table. */
uint8_t address_precedence(const struct addr *a);

#endif
