/* The names of a configuration: as a DNS zone, and whether the DNS agrees with it. */
#ifndef MUSTER_APP_NAMES_H
#define MUSTER_APP_NAMES_H

#include "app/config.h"
#include "stack/dns/zone.h"

/** Fills a zone with the records by which all nodes of the configuration are found, those of other
 * processes included: for each CSCF NAPTR and SRV of its host name, for the home domain those of
 * its I-CSCFs, for the realm's HSSs S-NAPTR and SRV of Diameter (RFC 6733 5.2), and the address of
 * each host. ERR_NO_MEMORY, ERR_INVALID. */
MUST_CHECK enum error names_zone(const struct config *c, struct dns_zone *zone);

#endif
