/* A DNS zone in memory: the names that a configuration needs, as records.
 *
 * It answers the resolver when no DNS server is configured, and is printed as a master file
 * (RFC 1035 section 5) for those who run one. Filled once at start, read by all nodes afterwards,
 * never changed while they run. */
#ifndef MUSTER_STACK_DNS_ZONE_H
#define MUSTER_STACK_DNS_ZONE_H

#include "base/htab.h"
#include "base/list.h"
#include "codec/dns/dns.h"
#include "codec/sip/transport.h"

struct dns_zone {
    struct htab names;   /* every record by its name */
    struct list records; /* in the order in which they were added */
    uint32_t ttl_s;      /* of records added from now on by dns_zone_add_sip and its likes */
};

/** Makes an empty zone; ttl_s is an hour. */
void dns_zone_init(struct dns_zone *zone);

/** Frees the records. */
void dns_zone_free(struct dns_zone *zone);

/** Adds a copy of a record. ERR_INVALID for an empty or over-long name (255 bytes); ERR_NO_MEMORY.
 */
MUST_CHECK enum error dns_zone_add(struct dns_zone *zone, const struct dns_record *record);

/** Adds the records by which a SIP service of a domain is found over one transport (RFC 3263): a
 * NAPTR of the domain to _sip._udp.DOMAIN (_sip._tcp, _sips._tcp), its SRV to host and the hop's
 * port, and the host's A or AAAA. Transports of a domain are preferred in the order in which they
 * were added first. Records that stand already are not repeated, so several hosts can serve one
 * domain. */
MUST_CHECK enum error dns_zone_add_sip(struct dns_zone *zone, struct span domain, struct span host,
                                       const struct sip_hop *hop, uint16_t priority,
                                       uint16_t weight);

/** Adds the records by which Diameter servers of a realm are found for an application: S-NAPTR
 * (RFC 6733 5.2, RFC 6408: "aaa+ap16777216:diameter.tcp"), SRV and the host's address. */
MUST_CHECK enum error dns_zone_add_diameter(struct dns_zone *zone, struct span realm,
                                            struct span host, const struct addr *address,
                                            uint32_t application, bool tls);

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

#endif
