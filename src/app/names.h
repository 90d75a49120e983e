/* The names of a configuration: as a DNS zone, as commands look them up, and whether the DNS agrees
 * with it. */
#ifndef MUSTER_APP_NAMES_H
#define MUSTER_APP_NAMES_H

#include "app/config.h"
#include "stack/dns/resolver.h"
#include "stack/dns/zone.h"

struct loop;

/** Fills a zone with the records by which all nodes of the configuration are found, those of other
 * processes included: for each CSCF NAPTR and SRV of its host name, for the home domain those of
 * its I-CSCFs, for the realm's HSSs S-NAPTR and SRV of Diameter (RFC 6733 5.2), and the address of
 * each host. ERR_NO_MEMORY, ERR_INVALID. */
MUST_CHECK enum error names_zone(const struct config *c, struct dns_zone *zone);

/** Look-ups outside of nodes, for commands: by the DNS servers of the configuration, or its own
 * zone. */
struct names;

/** Begins. transports: a bit (1U << SIP_UDP) for each that may be found. The configuration outlives
 * it. ERR_NO_MEMORY, ERR_INVALID. */
MUST_CHECK enum error names_new(const struct config *c, struct loop *loop, unsigned transports,
                                struct names **out);

/** Ends. NULL is allowed. */
void names_free(struct names *n);

/** Where a request to this name goes (RFC 3263). Turns the loop until the answer is there, for 10 s
 * at most. What resolver_find says. */
MUST_CHECK enum error names_find(struct names *n, const struct resolver_name *name,
                                 struct resolver_answer *out);

/** Something that the DNS says otherwise than the configuration. */
struct names_finding {
    enum error error; /* OK: it has an answer, but not ours; ERR_NOT_FOUND: the records are missing;
                       * ERR_TIMEOUT, ERR_UNREACHABLE, ERR_REFUSED: it does not say */
    const char *name; /* "icscf.DOMAIN", or the home domain */
    struct addr wanted;
    struct addr found; /* of OK: the first address that it gives */
};

/** Hears of one. */
typedef void names_finding_fn(void *ctx, const struct names_finding *finding);

/** Looks up the home domain and the host of every node, and calls each for whatever is not as the
 * configuration has it: the domain must lead to all of its I-CSCFs, a host to its node's address.
 * The same as the DNS servers would be asked by nodes, so for up to 10 s a name. Returns how many
 * findings there were. */
size_t names_check(struct names *n, names_finding_fn *each, void *ctx);

#endif
