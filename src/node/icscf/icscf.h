/* The I-CSCF: finds the S-CSCF of a REGISTER, and of a subscription to registration state. TS
 * 24.229 5.3.1 and 5.3.2.1, TS 29.228 6.1.1, 6.1.4 and 6.7.
 *
 * It keeps no state between requests. It asks the HSS (UAR), chooses an S-CSCF by name or by
 * capabilities, and forwards; when the S-CSCF does not answer and the terminal is not registered
 * there, it asks again with REGISTRATION_AND_CAPABILITIES and chooses another. */
#ifndef MUSTER_NODE_ICSCF_ICSCF_H
#define MUSTER_NODE_ICSCF_ICSCF_H

#include "model/selection/selection.h"
#include "rt/env.h"
#include "stack/diameter/diameter_node.h"
#include "stack/dns/resolver.h"
#include "stack/sip/sip_stack.h"

struct icscf_config {
    struct span host; /* own name: "icscf.DOMAIN"; stands in Via */
    struct sip_listening sip;
    /** Origin-Host, Origin-Realm, and the HSSs as peers with `connect`; the applications are the
     * node's own business. */
    struct diameter_config diameter;
    struct span hss_realm;               /* Destination-Realm */
    const struct selection_scscf *scscf; /* those that may be chosen */
    size_t n_scscf;
    struct resolver_config dns; /* where names resolve: a source at least. Transports and address
                                 * families are set by the node */
    /** Hosts of the trust domain (ports do not matter); requests from others get 403. Empty: all
     * are trusted, as behind a firewall. */
    const struct addr *trusted;
    size_t n_trusted;
    uint32_t t1_ms;       /* T1 towards the core; an S-CSCF has 64 of it to answer. 0: 125 */
    uint32_t message_max; /* bytes of a request; 0: 8192 */
    uint32_t pending_max; /* requests under way; further ones get 503. 0: 65,536 */
};

struct icscf;

/** Starts an I-CSCF: opens its address and connects to the HSSs. The configuration and all it
 * points to outlive the node. ERR_ADDRESS_IN_USE, ERR_PERMISSION, ERR_NO_MEMORY, ERR_INVALID. */
MUST_CHECK enum error icscf_new(struct env *env, const struct icscf_config *config,
                                struct icscf **out);

/** Drops everything at once, as a crash does. NULL is allowed. */
void icscf_free(struct icscf *i);

/** Takes no new work, ends the Diameter connections with DPR, then calls done. */
void icscf_stop(struct icscf *i, void (*done)(void *ctx), void *ctx);

/** The SIP address that it listens on, with the port that it was given. */
const struct addr *icscf_address(const struct icscf *i);

/** Does a connection to an HSS stand? */
bool icscf_is_ready(const struct icscf *i);

struct icscf_counters {
    uint64_t registers;    /* REGISTERs taken */
    uint64_t located;      /* requests for home users taken, no REGISTERs */
    uint64_t uar, lir;     /* sent */
    uint64_t forwarded;    /* requests sent to an S-CSCF */
    uint64_t hops_failed;  /* addresses of S-CSCFs that did not answer, each time */
    uint64_t reselected;   /* chosen anew because an S-CSCF did not answer */
    uint64_t refused;      /* requests answered with an error of our own */
    uint64_t hss_failed;   /* UARs without an answer, or with a failure */
    uint64_t none_capable; /* 600: no S-CSCF has what the HSS asks for */
};

/** What has happened so far. */
const struct icscf_counters *icscf_counters(const struct icscf *i);

/** What its SIP stack has done. */
const struct sip_stack_counters *icscf_sip_counters(const struct icscf *i);

/** What its Diameter node has done. */
const struct diameter_counters *icscf_diameter_counters(const struct icscf *i);

#endif
