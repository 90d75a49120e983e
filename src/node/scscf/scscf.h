/* The S-CSCF: registrar of the IMS. TS 24.229 5.4.1 and 5.4.2.1, TS 29.228 6.1.2 and 6.3.
 *
 * It challenges terminals with vectors from the HSS (MAR), checks their responses, binds contacts
 * to implicit registration sets, and tells the HSS (SAR), and whoever has subscribed to the state
 * of a set (NOTIFY). It keeps no disk. README.md has the procedures and the state table. */
#ifndef MUSTER_NODE_SCSCF_SCSCF_H
#define MUSTER_NODE_SCSCF_SCSCF_H

#include "model/registration/algorithm.h"
#include "rt/env.h"
#include "stack/diameter/diameter_node.h"
#include "stack/dns/resolver.h"
#include "stack/sip/sip_stack.h"

struct scscf_config {
    struct span name; /* Server-Name: "sip:scscf.DOMAIN:6060" */
    struct span host; /* own name: "scscf.DOMAIN"; stands in Via and Service-Route */
    struct sip_listening sip;
    struct span realm; /* of the challenge: the home domain */
    /** Origin-Host, Origin-Realm, and the HSSs as peers with `connect`; the applications are the
     * node's own business. */
    struct diameter_config diameter;
    struct span hss_realm;      /* Destination-Realm */
    struct resolver_config dns; /* where the names of subscribers resolve: a source at least.
                                 * Transports and address families are set by the node */
    /** Hosts of the trust domain (ports do not matter); requests from others get 403. Empty: all
     * are trusted, as behind a firewall. */
    const struct addr *trusted;
    size_t n_trusted;
    uint32_t expires_min_s;     /* 0: 60 */
    uint32_t expires_max_s;     /* 0: 600,000 */
    uint32_t expires_default_s; /* 0: the maximum */
    uint32_t contacts_max;      /* per private identity and set; 0: 4 */
    uint32_t attempts_max;      /* wrong responses in a row before 403; 0: 3 */
    uint32_t reg_await_auth_s;  /* TS 24.229 7.8: 0: 240 */
    uint32_t message_max;       /* bytes of a request; 0: 8192 */
    uint32_t pending_max;       /* requests under way; further ones get 503. 0: 65,536 */
    uint32_t challenges_max;    /* per private identity and source, at most 64; 0: 4 (README.md) */
    uint32_t digest_nonce_s;    /* life of a nonce of SIP Digest that is known good; 0: 3600 */
    /** Offered in challenges, in the order of preference; 0 of them: AKAv1-MD5, SHA-256, MD5. */
    const enum auth_algorithm *algorithms;
    size_t n_algorithms;
    uint32_t
        subscriptions_max; /* to the registration state of a set; further ones get 503. 0: 32 */
    uint32_t subscription_min_s; /* shorter ones get 423; 0: 60 */
    /** SIP URIs of application servers that may subscribe to the registration state of anybody. A
     * URI without user part or port stands for any. */
    const struct span *application_servers;
    size_t n_application_servers;
    /** Shared sets of filter criteria that it has (TS 29.228 6.6). Without any it does not say that
     * it supports them, and the HSS writes their content out. */
    const uint32_t *shared_ifc_sets;
    size_t n_shared_ifc_sets;
    bool trust_auth_done; /* a neighbour's integrity-protected="auth-done" stands for a response */
    bool refuse_without_integrity; /* aka-without-integrity: refuse */
    bool keep_authenticated; /* re-registrations within a security association are not challenged */
};

struct scscf;

/** Starts an S-CSCF: opens its address and connects to the HSSs. The configuration and all it
 * points to outlive the node. ERR_ADDRESS_IN_USE, ERR_PERMISSION, ERR_NO_MEMORY, ERR_INVALID. */
MUST_CHECK enum error scscf_new(struct env *env, const struct scscf_config *config,
                                struct scscf **out);

/** Drops everything at once, as a crash does. NULL is allowed. */
void scscf_free(struct scscf *s);

/** Takes no new work, ends the Diameter connections with DPR, then calls done. Registrations stay
 * as the HSS knows them. */
void scscf_stop(struct scscf *s, void (*done)(void *ctx), void *ctx);

/** The SIP address that it listens on, with the port that it was given. */
const struct addr *scscf_address(const struct scscf *s);

/** Does a connection to an HSS stand? */
bool scscf_is_ready(const struct scscf *s);

/** The environment that it was made with. */
struct env *scscf_env(const struct scscf *s);

struct scscf_counters {
    uint64_t registers;         /* REGISTERs taken */
    uint64_t mar, sar;          /* sent */
    uint64_t challenges;        /* 401s sent */
    uint64_t resyncs;           /* AUTS taken to the HSS */
    uint64_t wrong_responses;   /* responses that were not XRES's */
    uint64_t stale_nonces;      /* answers to nonces that are not outstanding */
    uint64_t replays;           /* right responses whose nonce count was there before */
    uint64_t auth_timeouts;     /* reg-await-auth ran out */
    uint64_t registered;        /* sets that became registered */
    uint64_t reregistered;      /* 200s to a REGISTER of a registered set */
    uint64_t deregistered;      /* by the user */
    uint64_t expired;           /* by timeout */
    uint64_t terminated;        /* by the HSS (RTR) */
    uint64_t reauthentications; /* contacts that had to authenticate anew (scscf_reauthenticate) */
    uint64_t refused;           /* requests answered with an error */
    uint64_t subscriptions;     /* to registration state, that were granted */
    uint64_t notifies;          /* NOTIFYs sent */
    uint64_t notifies_failed;   /* of them, without an answer or with an error */
    uint64_t hss_failed;        /* MARs and SARs without an answer, or with a failure */
};

/** What has happened so far. */
const struct scscf_counters *scscf_counters(const struct scscf *s);

/** What its SIP stack has done. */
const struct sip_stack_counters *scscf_sip_counters(const struct scscf *s);

/** What its Diameter node has done. */
const struct diameter_counters *scscf_diameter_counters(const struct scscf *s);

/** Has the terminals of a private identity, or those of the implicit registration set of a public
 * one (canonical), authenticate anew: their registrations are shortened to at most left_s, they
 * hear of it by NOTIFY, and the next REGISTER is challenged (TS 24.229 5.4.1.6). Returns the number
 * of contacts; 0: none is bound. */
size_t scscf_reauthenticate(struct scscf *s, struct span identity, uint32_t left_s);

/** A binding as seen from outside; the spans live until the callback returns. */
struct scscf_binding_view {
    struct span impi;
    struct span impu;         /* default public identity of its implicit registration set */
    const struct span *impus; /* all of the set, barred ones too */
    size_t n_impus;
    size_t n_barred;      /* of them, the last ones */
    struct span charging; /* value of P-Charging-Function-Addresses; empty: none */
    struct span contact;  /* URI */
    struct span params;   /* of the contact, behind the URI: ";+sip.instance=..." */
    struct span path;     /* values of Path, joined by commas */
    struct span call_id;
    uint32_t reg_id;
    uint64_t expires_at_us; /* env_now_us */
    struct span event;      /* what happened to it last, by RFC 3680: "refreshed" */
    size_t n_subscriptions; /* to the state of its set */
};

/** Calls each for the bindings of a private identity, or of the set of a public one (canonical). */
void scscf_each_binding_of(struct scscf *s, struct span identity,
                           void (*each)(void *ctx, const struct scscf_binding_view *view),
                           void *ctx);

/** Calls each for every binding that stands, in no order. */
void scscf_each_binding(const struct scscf *s,
                        void (*each)(void *ctx, const struct scscf_binding_view *view), void *ctx);

/** Numbers of what stands now. */
struct scscf_counts {
    size_t sets;       /* implicit registration sets that are registered */
    size_t identities; /* public identities in them */
    size_t bindings;
    size_t challenges; /* outstanding nonces */
    size_t pending;    /* REGISTERs that wait for the HSS */
    size_t watchers;   /* subscriptions to registration state */
};

/** Counts. */
struct scscf_counts scscf_counts(const struct scscf *s);

#endif
