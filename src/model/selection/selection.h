/* Which S-CSCF? The I-CSCF's choice by capabilities: TS 24.229 5.3.1.2, TS 29.228 6.7 and TS 23.008
 * 3.4. An S-CSCF must have every mandatory capability; among those that do, the one with the most
 * optional ones wins. Server names that the HSS gives beside the capabilities are preferred, in
 * their order. */
#ifndef MUSTER_MODEL_SELECTION_SELECTION_H
#define MUSTER_MODEL_SELECTION_SELECTION_H

#include "base/span.h"

/** One S-CSCF as the operator configured it. */
struct selection_scscf {
    struct span name;             /* SIP URI: "sip:scscf.DOMAIN:6060" */
    const uint32_t *capabilities; /* in any order */
    size_t n_capabilities;
    uint32_t weight; /* share of the load among equals; 0 counts as 1 */
};

/** What the HSS asks for (Server-Capabilities). */
struct selection_request {
    const uint32_t *mandatory;
    size_t n_mandatory;
    const uint32_t *optional;
    size_t n_optional;
    const struct span *names; /* Server-Name AVPs inside Server-Capabilities */
    size_t n_names;
    /** Servers that were tried and did not answer, as bits by index in the list. */
    uint64_t tried;
    /** Uniform 32 random bits, for the lot among equals. */
    uint32_t lot;
};

enum { SELECTION_SCSCF_MAX = 64 };

/** Index of the chosen S-CSCF in list, or -1 when none that is left can serve. n is at most
 * SELECTION_SCSCF_MAX. */
int selection_choose(const struct selection_scscf *list, size_t n,
                     const struct selection_request *request);

/** Index of the S-CSCF of this name (SIP URIs compared by host and port, without case), or -1. */
int selection_by_name(const struct selection_scscf *list, size_t n, struct span name);

#endif
