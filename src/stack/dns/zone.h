/* A DNS zone in memory: the names that a configuration needs, as records.
 *
 * It answers the resolver when no DNS server is configured, and is printed as a master file
 * (RFC 1035 section 5) for those who run one. Filled once at start, read by all nodes afterwards,
 * never changed while they run. */
#ifndef MUSTER_STACK_DNS_ZONE_H
#define MUSTER_STACK_DNS_ZONE_H

#include "base/error.h"
#include "base/htab.h"
#include "base/list.h"
#include "rt/addr.h"

enum dns_type { DNS_A, DNS_AAAA, DNS_SRV, DNS_NAPTR, DNS_TYPES };

/** "A", "AAAA", "SRV", "NAPTR". */
const char *dns_type_name(enum dns_type type);

/** One resource record. Names are absolute and without the final dot. */
struct dns_record {
    struct span name;
    enum dns_type type;
    uint32_t ttl_s;
    union {
        struct addr address; /* A, AAAA; the port means nothing */
        struct {
            uint16_t priority, weight, port;
            struct span target;
        } srv; /* RFC 2782 */
        struct {
            uint16_t order, preference;
            struct span flags, service, replacement; /* "s", "SIP+D2U", "_sip._udp.DOMAIN" */
        } naptr;                                     /* RFC 3403, without regular expressions */
    };
};

struct dns_zone {
    struct htab names;   /* every record by its name */
    struct list records; /* in the order in which they were added */
};

/** Makes an empty zone. */
void dns_zone_init(struct dns_zone *zone);

/** Frees the records. */
void dns_zone_free(struct dns_zone *zone);

/** Adds a copy of a record. ERR_INVALID for an empty or over-long name (255 bytes); ERR_NO_MEMORY.
 */
MUST_CHECK enum error dns_zone_add(struct dns_zone *zone, const struct dns_record *record);

/** Adds the records by which a SIP service of a domain is found over UDP (RFC 3263): a NAPTR of the
 * domain to _sip._udp.DOMAIN, its SRV to host and the address's port, and the host's A or AAAA.
 * Records that stand already are not repeated, so several hosts can serve one domain. */
MUST_CHECK enum error dns_zone_add_sip(struct dns_zone *zone, struct span domain, struct span host,
                                       const struct addr *address, uint16_t priority,
                                       uint16_t weight);

/** Adds a host's A or AAAA record, unless it stands already. */
MUST_CHECK enum error dns_zone_add_host(struct dns_zone *zone, struct span host,
                                        const struct addr *address);

/** Calls each for the records of a name and type (names compared without case), in no order.
 * Returns how many there were. */
size_t dns_zone_find(const struct dns_zone *zone, struct span name, enum dns_type type,
                     void (*each)(void *ctx, const struct dns_record *record), void *ctx);

/** Does the name own any record of whatever type? Tells NXDOMAIN from an empty answer. */
bool dns_zone_has_name(const struct dns_zone *zone, struct span name);

/** Calls each for every record, in the order of addition. */
void dns_zone_each(const struct dns_zone *zone,
                   void (*each)(void *ctx, const struct dns_record *record), void *ctx);

/** Appends one record as a line of a master file, its newline included. */
void dns_record_print(struct buf *b, const struct dns_record *record);

#endif
