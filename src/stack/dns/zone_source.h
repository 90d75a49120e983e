/* A zone in memory as a source: what answers when no DNS server is configured, and in simulations,
 * where it can fail as real ones do. */
#ifndef MUSTER_STACK_DNS_ZONE_SOURCE_H
#define MUSTER_STACK_DNS_ZONE_SOURCE_H

#include "stack/dns/source.h"
#include "stack/dns/zone.h"

/** How the zone misbehaves. Zeroed: not at all. */
struct dns_faults {
    uint64_t delay_us; /* before each answer */
    uint32_t lost_ppm; /* questions that are never answered, in millionths */
    enum error error;  /* instead of an answer: ERR_NOT_FOUND, ERR_REFUSED, ERR_UNREACHABLE */
    bool lies;         /* forged records of other names stand in front of the right ones */
};

struct dns_zone_source {
    struct dns_source source;
    const struct dns_zone *zone;
    struct dns_faults faults; /* may be changed at any time */
    uint64_t asked;           /* questions so far */
};

/** Makes a source of a zone, which outlives it. Nothing to free. */
void dns_zone_source_init(struct dns_zone_source *s, const struct dns_zone *zone);

#endif
