/* The HSS: subscriber data, authentication vectors, S-CSCF assignment. TS 29.228 over Diameter Cx,
 * and provisioning as JSON over HTTP. README.md has the procedures.
 *
 * Messages of one subscription are dealt with strictly one after another; what a SAR or a
 * provisioning request changes is durable before it is answered. */
#ifndef MUSTER_NODE_HSS_HSS_H
#define MUSTER_NODE_HSS_HSS_H

#include "model/sh/sh.h"
#include "model/subscription/difference.h"
#include "obs/latency.h"
#include "rt/env.h"
#include "stack/diameter/diameter_node.h"
#include "stack/http/access.h"
#include "stack/http/web.h"

struct store;

/** What a Diameter peer may ask, or ask for others. */
enum hss_peer_role {
    HSS_PEER_ICSCF = 1 << 0, /* UAR, LIR */
    HSS_PEER_SCSCF = 1 << 1, /* MAR, SAR, and what an I-CSCF may */
    HSS_PEER_AS = 1 << 2,    /* LIR; UDR, PUR and SNR as its permissions say */
    HSS_PEER_AGENT = 1 << 3, /* nothing itself; brings requests of other peers and takes ours for
                              * them: each may ask what it might if it were connected itself */
};

/** A Diameter peer that may connect, or ask through an agent that may. Everybody else is refused:
 * CER gets 3010 (unknown peer), a request through an agent 5003 (authorization rejected). */
struct hss_peer {
    struct span host;    /* Diameter identity, compared without case */
    unsigned roles;      /* enum hss_peer_role, or-ed */
    bool tls;            /* served over TLS only; behind an agent, if that one's link is TLS */
    struct addr address; /* served from there only, port disregarded, and not through agents; family
                          * 0: from anywhere */
};

/** Charging functions (Charging-Information): for subscriptions that have none of their own. Empty
 * spans are not sent. */
struct hss_charging {
    struct span primary_ecf, secondary_ecf; /* event charging: Diameter URIs */
    struct span primary_ccf, secondary_ccf; /* charging data: Diameter URIs */
};

/** What an application server may do on Sh (TS 29.328 6.2). */
struct hss_application_server {
    struct span host; /* Diameter identity, compared without case: a peer of role HSS_PEER_AS */
    struct sh_permissions permissions;
};

struct hss_config {
    struct span host;        /* Origin-Host: "hss.DOMAIN" */
    struct span realm;       /* Origin-Realm */
    struct span home_domain; /* for `POST /subscriptions/sim`; also what "home" means for roaming */
    struct addr listen;      /* Diameter over TCP */
    struct addr listen_tls;  /* Diameter over TLS; family 0: not */
    struct tls_context *tls; /* for it; outlives the node */
    const struct hss_peer *peers;
    size_t n_peers;
    const struct hss_application_server *application_servers; /* others may nothing on Sh */
    size_t n_application_servers;
    uint32_t repository_bytes_max;    /* of ServiceData, at most 65,000; 0: 32,768 */
    uint32_t repository_services_max; /* of one public identity or alias group; 0: 64 */
    struct hss_charging charging;
    const uint32_t *mandatory_capabilities; /* of S-CSCFs, for subscriptions that name none */
    size_t n_mandatory_capabilities;
    const uint32_t *optional_capabilities;
    size_t n_optional_capabilities;
    struct span digest_qop; /* for SIP Digest: "auth", "auth-int" or "auth,auth-int"; empty: "auth"
                             */
    bool challenge_unknown; /* unknown identities are authorised and challenged with SIP Digest like
                             * known ones, instead of 5001: nobody learns who is a subscriber */
    struct subscription_policy policy; /* what changes of live subscriptions mean */
    bool fixed_impi; /* S-CSCFs know each subscription by one more private identity, in SAA, PPR and
                      * RTR: "NAME@subscription.DOMAIN" */
    bool keys_may_leave; /* GET with credentials=keys shows K and OPc: for moves to another HSS */
    uint32_t auth_pending_s; /* how long a MAR's note lasts without a SAR; 0: 300 */
    uint32_t cached_max;     /* subscriptions kept ready in memory; 0: 65,536 */
    uint32_t vectors_max;    /* authentication vectors for one MAR; 0: 5 */
    uint32_t pending_max;    /* requests under way; further ones get 3004 (too busy). 0: 65,536 */
    uint32_t web_body_max;   /* bytes of a provisioning request; 0: 256 MiB */
    uint32_t changes_max;    /* entries of the log of changes that are kept; 0: there is none */
    bool if_match_required;  /* PUT and DELETE of what exists need If-Match (else 428) */
    uint64_t import_max; /* bytes of records that an import of all or none may keep in memory; 0:
                          * 512 MiB, a million SIMs */
    uint32_t diameter_timeout_ms; /* patience with answers; 0: stack's default */
    uint32_t diameter_watchdog_s; /* Tw of RFC 3539; 0: stack's default */
};

struct hss;

/** Starts an HSS over a store: opens its address, reads the service profiles. Configuration and
 * store outlive the node. ERR_ADDRESS_IN_USE, ERR_PERMISSION, ERR_NO_MEMORY, ERR_INVALID. */
MUST_CHECK enum error hss_new(struct env *env, const struct hss_config *config, struct store *store,
                              struct hss **out);

/** Drops everything at once, as a crash does; the store stays open. NULL is allowed. */
void hss_free(struct hss *h);

/** Takes no new work, completes what is under way, ends the Diameter connections with DPR, then
 * calls done. */
void hss_stop(struct hss *h, void (*done)(void *ctx), void *ctx);

/** The Diameter address that it listens on, with the port that it was given. */
const struct addr *hss_address(const struct hss *h);

/** The same for TLS; family 0 if it does not. */
struct addr hss_tls_address(const struct hss *h);

/** Serves a provisioning request (web_handle_fn with the HSS as ctx). Paths, methods and JSON
 * members are described in README.md. Access control is the HTTP server's business, see
 * hss_web_needs. */
void hss_web(struct hss *h, const struct web_request *request, web_answer_fn *answer,
             void *answer_ctx);

/** The same as a web_handle_fn. */
void hss_web_handle(void *hss, const struct web_request *request, web_answer_fn *answer,
                    void *answer_ctx);

/** Which right a provisioning request needs: secrets need WEB_ADMIN, other reading WEB_READ, all
 * else WEB_WRITE. For struct web_route. */
enum web_right hss_web_needs(const struct web_request *request);

struct hss_counters {
    uint64_t uar, mar, sar, lir;                                       /* requests taken */
    struct latency uar_latency, mar_latency, sar_latency, lir_latency; /* until their answer */
    uint64_t vectors;     /* authentication vectors made */
    uint64_t decoys;      /* credentials made up for unknown identities */
    uint64_t resyncs;     /* AUTS that were right */
    uint64_t forged_auts; /* AUTS that were not: nothing was changed */
    uint64_t assigned;    /* sets that became registered */
    uint64_t released;    /* sets that became not registered */
    uint64_t saves;       /* registration states written */
    uint64_t conflicts;   /* decided anew because somebody else had saved */
    uint64_t cache_hits, cache_misses;
    uint64_t refused_permission; /* requests of peers that may not ask this */
    uint64_t refused;            /* answers other than success, by subscription data */
    uint64_t ppr, rtr;           /* sent to S-CSCFs */
    uint64_t news_given_up;      /* changes that an S-CSCF was not told of */
    uint64_t provisioned;        /* changes by the web interface that were saved */
    uint64_t udr, pur, snr;      /* requests of application servers taken */
    struct latency sh_latency;   /* until their answer */
    uint64_t pnr;                /* sent to application servers */
    uint64_t pnr_given_up;       /* changes that an application server was not told of */
    uint64_t refused_sh;         /* requests of application servers that may not do this */
};

/** What has happened so far. */
const struct hss_counters *hss_counters(const struct hss *h);

/** What its Diameter node has done. */
const struct diameter_counters *hss_diameter_counters(const struct hss *h);

/** Registration state of a public identity as people name it. */
enum hss_registration {
    HSS_UNKNOWN, /* no such identity */
    HSS_NOT_REGISTERED,
    HSS_UNREGISTERED, /* an S-CSCF serves it in unregistered state */
    HSS_REGISTERED,
};

/** Registration state of an IMPU as it is durable now, for tests, flows and `muster explain`.
 * *scscf gets the S-CSCF name of the subscription (empty: none), valid until the callback returns.
 * May call back before it returns. */
void hss_inspect(struct hss *h, struct span impu,
                 void (*seen)(void *ctx, enum hss_registration state, struct span scscf),
                 void *ctx);

#endif
