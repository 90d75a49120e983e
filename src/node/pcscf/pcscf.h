/* The P-CSCF: the terminal's door into the IMS, at registration. TS 24.229 5.2.1 to 5.2.3.
 *
 * It takes REGISTER requests from terminals, removes what a terminal must not say, adds Path,
 * P-Visited-Network-ID, P-Charging-Vector and integrity-protected, finds the home network by DNS,
 * and keeps for each registration what later requests need: Service-Route, P-Associated-URI, the
 * contact and when it ends. CK and IK of a challenge stay here. By a subscription of its own it
 * hears of what the home network ends. README.md has the procedures. */
#ifndef MUSTER_NODE_PCSCF_PCSCF_H
#define MUSTER_NODE_PCSCF_PCSCF_H

#include "obs/latency.h"
#include "rt/env.h"
#include "stack/dns/resolver.h"
#include "stack/sip/sip_stack.h"

struct pcscf_config {
    struct span host;            /* own name: "pcscf.DOMAIN"; stands in Via and Path */
    struct sip_listening sip;    /* for terminals and for the core */
    struct span visited_network; /* value of P-Visited-Network-ID: the domain of this network */
    struct span ioi;             /* type 1 orig-ioi of P-Charging-Vector; empty: none is sent */
    struct resolver_config dns;  /* where names resolve: a source at least. Transports and address
                                  * families are set by the node */
    /** Hosts from which requests are of the core and not of terminals (ports do not matter). */
    const struct addr *core;
    size_t n_core;
    /** Where nodes of our own network listen that are no I-CSCF: S-CSCFs, HSSs, P-CSCFs, the web
     * interface. A domain that leads there is no home network. The wildcard address stands for any
     * host with that port. */
    const struct addr *inner;
    size_t n_inner;
    uint32_t message_max;       /* bytes of a request; larger ones get 513. 0: 8192 */
    uint32_t registrations_max; /* further ones get 503. 0: 2,000,000 */
    uint32_t registering_max; /* challenges whose keys are kept; the oldest goes first. 0: 65,536 */
    bool reg_event;           /* it subscribes to the state of what is registered (5.2.3) */
    bool refuse_digest;       /* every REGISTER is one of IMS AKA, as in access networks of 3GPP
                               * (TS 33.203       N.1): integrity-protected is never more than "no" */
    uint32_t guesses_max; /* wrong passwords for an identity from an address before both together
                           * are  locked out; 0: 5 */
    uint32_t connection_pending_max; /* requests under way of one connection; 0: 256 */
    uint32_t keep_alive_s; /* wanted between keep-alives of terminals that offer them (RFC 6223);
                            * 0: none are */
    uint32_t guess_lock_s; /* for how long; each further lock is twice as long. 0: 30 */
    uint32_t reg_await_auth_s; /* how long CK and IK of a challenge are kept; 0: 240 */
};

struct pcscf;

/** Starts a P-CSCF: opens its address. The configuration and all it points to outlive the node.
 * ERR_ADDRESS_IN_USE, ERR_PERMISSION, ERR_NO_MEMORY, ERR_INVALID. */
MUST_CHECK enum error pcscf_new(struct env *env, const struct pcscf_config *config,
                                struct pcscf **out);

/** Drops everything at once, as a crash does. NULL is allowed. */
void pcscf_free(struct pcscf *p);

/** Takes no new work; calls done when nothing is under way any more, after two seconds at the
 * latest. */
void pcscf_stop(struct pcscf *p, void (*done)(void *ctx), void *ctx);

/** The address that it listens on, with the port that it was given. */
const struct addr *pcscf_address(const struct pcscf *p);

struct pcscf_counters {
    uint64_t registers;       /* REGISTERs taken from terminals */
    struct latency latency;   /* of REGISTERs, until their final answer */
    uint64_t challenged;      /* 401s relayed */
    uint64_t registered;      /* 200s relayed that left a registration */
    uint64_t deregistered;    /* 200s relayed that ended one */
    uint64_t expired;         /* registrations that ended by their timer */
    uint64_t replaced;        /* registrations that ended because their contact was replaced */
    uint64_t subscribed;      /* subscriptions to registration state that were granted */
    uint64_t notified;        /* NOTIFYs of them taken */
    uint64_t ended;           /* registrations that the home network ended, as they said */
    uint64_t relayed;         /* SUBSCRIBEs of terminals and NOTIFYs to them */
    uint64_t refused;         /* requests answered with an error of our own */
    uint64_t relayed_errors;  /* final errors of the home network relayed */
    uint64_t stripped;        /* header fields removed because terminals must not send them */
    uint64_t wrong_passwords; /* responses of SIP Digest that the home network refused */
    uint64_t guessers_locked; /* times that there were too many of them */
    uint64_t hops_failed;     /* addresses of home networks that did not answer, each time */
    uint64_t unreachable;     /* home networks that did not resolve or answer */
};

/** What has happened so far. */
const struct pcscf_counters *pcscf_counters(const struct pcscf *p);

/** What its SIP stack has done. */
const struct sip_stack_counters *pcscf_sip_counters(const struct pcscf *p);

/** A registration as seen from outside; the spans live until the callback returns. */
struct pcscf_registration_view {
    struct span impu; /* of the To header */
    struct span impi; /* empty if the terminal sent none */
    struct span contact;
    const struct span *service_route; /* whole header values, in order */
    size_t n_service_route;
    const struct span *associated; /* P-Associated-URI, default first */
    size_t n_associated;
    struct addr terminal;   /* where its packets come from */
    uint64_t expires_at_us; /* env_now_us */
};

/** Number of registrations that stand. */
size_t pcscf_registrations(const struct pcscf *p);

/** Calls each for every registration that stands, in no order. */
void pcscf_each_registration(const struct pcscf *p,
                             void (*each)(void *ctx, const struct pcscf_registration_view *view),
                             void *ctx);

#endif
