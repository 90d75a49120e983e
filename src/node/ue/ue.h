/* The terminal, as far as registration: TS 24.229 5.1.1, subscription to its state included, with
 * IMS-AKA (TS 33.203) or SIP Digest (the same, annex N), security associations left out (ipsec:
 * off).
 *
 *     ue_pool    a socket, its SIP transactions, the workplaces of cryptography
 *     ue_isim    a card: identities, key, sequence numbers. It survives its terminal.
 *     ue         the registration of one public identity from one contact of a pool
 *
 * One terminal is a pool with one ue; a load generator has a hundred thousand behind one socket.
 * A ue registers, answers challenges, resynchronises, registers anew before its time is over, and
 * tries again by itself after failures that pass. registration.c has the table of its states. */
#ifndef MUSTER_NODE_UE_UE_H
#define MUSTER_NODE_UE_UE_H

#include "codec/reginfo/reginfo.h"
#include "codec/sip/transport.h"
#include "crypto/aka.h"
#include "model/aka/sqn.h"
#include "model/registration/algorithm.h"
#include "rt/env.h"

struct ue_pool;
struct ue;

enum {
    UE_EXPIRES_S = 600000,     /* asked for unless configured (TS 24.229 5.1.1.2.1) */
    UE_ROUNDS_MAX = 4,         /* 401s and 423s answered in one procedure before it is given up */
    UE_BAD_CHALLENGES_MAX = 2, /* invalid ones in a row that are answered (5.1.1.5.3) */
    UE_BACKOFF_BASE_S = 30,    /* RFC 5626 section 4.5 */
    UE_BACKOFF_MAX_S = 1800,   /* the same */
};

/** What stands on a card. Owned by the caller, strings too; used by its ues as long as they live,
 * which change sqn. Several ues may share one. Cleared by the caller with OPENSSL_cleanse. */
struct ue_isim {
    struct span impi;        /* "001010000000001@DOMAIN" */
    struct span home_domain; /* "ims.mnc001.mcc001.3gppnetwork.org" */
    const struct span *impus;
    size_t n_impus; /* at least 1; the first is what registers by default */
    bool no_key;    /* it has no key: the terminal registers with its password alone */
    struct aka_key key;
    struct span password;     /* for SIP Digest; empty: none. A secret of the caller's */
    struct sqn_array sqn;     /* zeroed for a new card */
    struct sqn_limits limits; /* SQN_LIMITS; zeroed means the same */
};

/** Sets the card's OPc from the operator's OP; K must stand there. ERR_NO_MEMORY, ERR_UNSUPPORTED.
 */
MUST_CHECK enum error ue_isim_set_op(struct ue_isim *isim, const uint8_t op[16]);

/** How a ue registers. Copied; what the spans view is kept by the caller as long as the ue. */
struct ue_config {
    struct ue_isim *isim;
    size_t impu;              /* which of the card's to register */
    struct span contact_user; /* of the contact's URI, unique in the pool; empty: IMPI's user */
    struct span instance;     /* of +sip.instance: "urn:gsma:imei:..."; empty: none */
    struct span features;     /* feature tags, as parameters: "+g.3gpp.smsip;audio"; may be empty */
    struct span access;       /* value of P-Access-Network-Info; empty: none is sent */
    uint32_t reg_id;          /* RFC 5626; 0: none. Needs an instance */
    uint32_t expires_s;       /* asked for; 0: UE_EXPIRES_S */
    unsigned algorithms;      /* AUTH_BITs of those that are answered; 0: all. Of several challenges
                               * the strongest is */
    bool gruu;                /* say Supported: gruu */
    bool reg_event;           /* subscribe to the registration state (5.1.1.3), and act on it */
    bool no_retry;            /* after a failure wait for ue_register, whatever failed */
    bool no_refresh;          /* let the registration expire, unless ue_register is called */
};

struct tls_context; /* rt/tls.h */

struct ue_pool_config {
    struct addr local;            /* port 0: any */
    enum sip_transport transport; /* to the P-CSCF. With UDP, long requests go over TCP */
    struct tls_context *tls;      /* for TLS: whom to trust; outlives the pool */
    struct span host; /* for TLS: the name that the P-CSCF's certificate must be for; empty: its
                       * address. Kept by the caller */
    const struct addr *pcscf; /* tried one after the other; kept by the caller */
    size_t n_pcscf;           /* at least 1 */
    struct span route;        /* URI of the P-CSCF for the Route header: "sip:pcscf.DOMAIN:5060;lr";
                               * empty: made from the address that is used */
    struct span agent;        /* User-Agent; empty: none */
    bool queue;               /* allow the in-process queue; else always a real socket */
    uint64_t t1_us, t2_us, t4_us; /* SIP timers; 0: 2 s, 16 s, 17 s (TS 24.229 7.7, terminals) */
};

enum ue_state {
    UE_IDLE,        /* not registered, and not trying */
    UE_REGISTERING, /* initial REGISTER under way */
    UE_REGISTERED,
    UE_REFRESHING, /* registered; re-REGISTER under way */
    UE_WAITING,    /* not registered; will try again by itself */
    UE_LEAVING,    /* de-REGISTER under way */
    UE_REFUSED,    /* not registered; the network said no, or cannot be trusted */
    UE_STATES
};

enum ue_reason {
    UE_REASON_STATUS,      /* a final answer; see status */
    UE_REASON_TIMEOUT,     /* no final answer (timer F) */
    UE_REASON_UNREACHABLE, /* the request could not be sent */
    UE_REASON_FORGED,      /* a challenge whose MAC is wrong: not from the home network */
    UE_REASON_SQN,         /* challenges out of range, even after resynchronisation */
    UE_REASON_MALFORMED,   /* a 401 without a challenge that could be answered */
    UE_REASON_PASSWORD,    /* the network does not take the password */
    UE_REASON_UNPROVEN,    /* a 200 that does not prove that the network knows the password */
    UE_REASON_CHALLENGES,  /* more challenges than UE_ROUNDS_MAX */
    UE_REASON_NO_BINDING,  /* a 200 that does not have our contact */
    UE_REASON_ENDED,       /* the network has ended the registration, and said so by NOTIFY */
    UE_REASON_INTERNAL,    /* out of memory, or a message beyond the limits */
    UE_REASONS
};

/** Why a procedure failed. The phrase lives until the callback returns. */
struct ue_failure {
    enum ue_reason reason;
    uint16_t status;     /* of the last final answer; 0: none */
    struct span phrase;  /* its reason phrase */
    bool was_registered; /* a registration was lost by it */
    uint64_t retry_us;   /* the next try by itself is in so long; 0: there will be none */
};

/** What the owner hears. Each callback is the last thing that its event does: it may call
 * ue_register, ue_deregister and ue_free. Members may be NULL. */
struct ue_handler {
    /** Registered, for the first time or again (ue_refreshed says which). */
    void (*registered)(void *ctx, struct ue *ue);
    /** De-registered, as ue_deregister asked, also if the network did not answer or refused, see
     * ue_leaving_failure; or, with no_refresh, the time is over. */
    void (*deregistered)(void *ctx, struct ue *ue);
    /** A registration or re-registration failed, or the network has ended it. */
    void (*failed)(void *ctx, struct ue *ue, const struct ue_failure *why);
    /** The network has told that it changed our contact's registration, before the ue acts on it:
     * shortened to so many seconds, deactivated (it registers anew), probation (after so many
     * seconds), expired, unregistered, rejected. It must not call anything of the ue but to look.
     */
    void (*told)(void *ctx, struct ue *ue, enum reginfo_event event, uint32_t seconds);
};

/** Opens the socket. config is copied, what it points to is kept by the caller. ERR_ADDRESS_IN_USE,
 * ERR_PERMISSION, ERR_NO_MEMORY, ERR_UNSUPPORTED (OpenSSL without AES or MD5). */
MUST_CHECK enum error ue_pool_new(struct env *env, const struct ue_pool_config *config,
                                  const struct ue_handler *handler, void *ctx,
                                  struct ue_pool **out);

/** Drops the pool and all its ues silently, as a crash does. NULL is allowed. */
void ue_pool_free(struct ue_pool *pool);

/** The address of the socket, with the port that was given to it. */
const struct addr *ue_pool_local(const struct ue_pool *pool);

/** What happened in a pool, for tests and reports. */
struct ue_counters {
    uint64_t registers;       /* REGISTER requests sent, repeats by timers not counted */
    uint64_t challenges;      /* answered with a response */
    uint64_t resynchronised;  /* answered with AUTS */
    uint64_t forged;          /* answered without a response */
    uint64_t granted;         /* 200s to a registration or re-registration */
    uint64_t deregistered;    /* 200s to a de-registration */
    uint64_t too_brief;       /* 423s */
    uint64_t failed_for_now;  /* that will be tried again */
    uint64_t failed_for_good; /* that will not */
    uint64_t timeouts;        /* timer F */
    uint64_t flows_failed;    /* keep-alives without an answer, broken connections */
    uint64_t subscribed;      /* subscriptions to the registration state that were granted */
    uint64_t notified;        /* NOTIFYs of them taken */
    uint64_t requests;        /* that came in, other than responses */
};

/** The counters, live. */
const struct ue_counters *ue_pool_counters(const struct ue_pool *pool);

/** Adds a ue, idle. ERR_NO_MEMORY; ERR_INVALID: no such IMPU, no contact user, a reg-id without an
 * instance. */
MUST_CHECK enum error ue_new(struct ue_pool *pool, const struct ue_config *config, void *user,
                             struct ue **out);

/** Drops a ue silently. NULL is allowed. */
void ue_free(struct ue *ue);

/** Registers; if registered, registers anew now; if it waits to try again, tries now; while a
 * de-registration is under way, registers after it. Nothing if it is on the way already. */
void ue_register(struct ue *ue);

enum ue_scope {
    UE_THIS_CONTACT, /* Contact with expires=0 */
    UE_ALL_CONTACTS, /* Contact: * */
};

/** De-registers, whether this ue knows of a registration or not; if a registration is under way,
 * after it; nothing if it is on the way already. `deregistered` comes in any case, never before
 * this returns. */
void ue_deregister(struct ue *ue, enum ue_scope scope);

/** During `deregistered`: why the network did not confirm the de-registration; NULL: it did, or the
 * time was over. */
const struct ue_failure *ue_leaving_failure(const struct ue *ue);

/** What ue_new was given. */
void *ue_user(const struct ue *ue);

/** Its card. */
struct ue_isim *ue_isim(const struct ue *ue);

/** Where it stands. */
enum ue_state ue_state(const struct ue *ue);

/** The identity that it registers. */
struct span ue_impu(const struct ue *ue);

/** The contact's URI. Lives as long as the ue. */
struct span ue_contact(const struct ue *ue);

/** Was the last `registered` a re-registration? */
bool ue_refreshed(const struct ue *ue);

/** Does a subscription of its to the registration state stand? */
bool ue_is_subscribed(const struct ue *ue);

/** Seconds that the network granted last; 0 when not registered. */
uint32_t ue_expires_s(const struct ue *ue);

/** The list of Service-Route as one header value, and of P-Associated-URI: of the last 200; empty
 * without. The first associated URI is the default public identity. They live until the next 200.
 */
struct span ue_service_route(const struct ue *ue);
/** See ue_service_route. */
struct span ue_associated_uris(const struct ue *ue);

/** The algorithm of the last challenge that was answered. */
enum auth_algorithm ue_algorithm(const struct ue *ue);

/** CK and IK of the last challenge of AKA that was answered, 16 bytes each; secrets. */
void ue_keys(const struct ue *ue, uint8_t ck[16], uint8_t ik[16]);

/** "idle", "registering", ... */
const char *ue_state_name(enum ue_state state);

/** A reason in words. */
const char *ue_reason_text(enum ue_reason reason);

#endif
