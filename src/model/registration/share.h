/* Fair shares: what is kept of one private identity for everybody who says its name, so that
 * strangers who say it take room from themselves, and not from its owner.
 *
 * Who says it is told by where the request entered the network. A source is an address with the
 * port that the P-CSCF saw, if the terminal asked for it (RFC 3581): terminals behind one NAT are
 * several sources. A host is all sources of one IPv4 address, or of one IPv6 /64: ports, and
 * addresses within a subnet, cost nothing. Pure rules over values. */
#ifndef MUSTER_MODEL_REGISTRATION_SHARE_H
#define MUSTER_MODEL_REGISTRATION_SHARE_H

#include "codec/sip/sip.h"
#include "rt/addr.h"

/** How many may stand, each at least 1. */
struct share_bounds {
    uint32_t of_source, of_host, of_all;
};

/** The source of a REGISTER as the registrar sees it: the Via below that of the P-CSCF, which is
 * the first from the top that names the same host and port as the last Path value (the P-CSCF lets
 * no Path of a terminal pass); what a terminal puts further below does not count. Where none does,
 * the P-CSCF is taken to be the second Via, behind an I-CSCF; with fewer, the last one counts. A
 * Via that cannot be read, or names a host without `received`: an addr of family 0. */
struct addr share_source_of(const struct sip_msg *req);

/** Who gives way: sources[newest] has come to the others, of which none was over its bounds; n
 * stand together. If one source, else one host, has too many, the first of its own; if all are too
 * many, the first of the source with the most of the host with the most. n: there is room. */
size_t share_yields(const struct share_bounds *bounds, const struct addr *sources, size_t n,
                    size_t newest);

#endif
