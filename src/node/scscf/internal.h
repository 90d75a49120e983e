/* What the files of this folder share.
 *
 *     scscf.c     life of the node, dispatch, views
 *     register.c  one REGISTER from its arrival to its answer: the state machine
 *     auth.c      challenges that wait for their answer; AKA
 *     digest.c    SIP Digest: nonces, counts, responses
 *     sets.c      implicit registration sets and the bindings on them
 *     turns.c     one SAR of a private identity at a time
 *     cx.c        MAR, SAR; RTR, PPR
 *     answer.c    the answers: 200, 401, refusals
 *     watchers.c  subscriptions to the registration state of a set: SUBSCRIBE, NOTIFY
 *     authorisation.c   who may subscribe
 *     reauthenticate.c  authentication that the network asks for
 *     state.c     that state as a document */
#ifndef MUSTER_NODE_SCSCF_INTERNAL_H
#define MUSTER_NODE_SCSCF_INTERNAL_H

#include "base/htab.h"
#include "codec/reginfo/reginfo.h"
#include "codec/userdata/userdata.h"
#include "crypto/akav2.h"
#include "model/registration/challenge.h"
#include "model/registration/departures.h"
#include "model/registration/request.h"
#include "model/registration/share.h"
#include "model/wildcard/wildcard.h"
#include "node/scscf/scscf.h"
#include "obs/journal.h"
#include "spec/cx.h"
#include "spec/diameter_base.h"
#include "stack/dns/resolver.h"
#include "stack/sip/refuse.h"
#include "stack/sip/sip_stack.h"

enum {
    SCSCF_IDENTITY_MAX = 512,
    SCSCF_RES_MAX = 16,
    SCSCF_AUTS_AUTHORIZATION = 30,
    SCSCF_NONCE_SIZE = 32, /* of SIP Digest: base64 of 24 random bytes, so never one of AKA */
    SCSCF_OPAQUE_SIZE = 16,
    SCSCF_HSS_NAMES_MAX = 16,
    SCSCF_SHARES_MAX = 64, /* challenges of one private identity; and operations that wait */
};

struct scscf {
    struct env *env;
    struct scscf_config config;
    struct registration_policy bindings_policy;
    struct challenge_policy challenge_policy;
    struct share_bounds shares; /* of the challenges of one private identity; of its queue, too */
    struct sip_stack *stack;
    struct resolver *resolver;
    struct diameter *diameter;
    struct digest digest;
    struct htab identities;          /* struct identity by public identity */
    struct wildcard_index wildcards; /* those of them that are wildcards */
    struct htab bindings;            /* struct binding by private identity */
    struct htab associates;          /* of subscriptions, by private identity (associates.c) */
    struct htab authentications;     /* struct authentication by private identity */
    struct htab watchers;            /* struct watcher by Call-ID */
    struct list changed;             /* sets that wait for scscf_settle */
    size_t n_sets, n_challenges;     /* n_challenges: those that wait for an answer */
    unsigned algorithms;             /* AUTH_BITs of the configured ones */
    struct list operations;          /* REGISTERs under way */
    size_t n_operations;
    struct list ready; /* operations whose turn it is; turns looks at them */
    struct post turns;
    struct departures departures; /* private identities that have left, by Call-ID */
    struct list notices;          /* SARs that no terminal waits for */
    size_t n_notices;
    struct span hss_names[SCSCF_HSS_NAMES_MAX]; /* of those that have answered; owned */
    size_t n_hss_names;
    struct timer stop_timer; /* the requests under way have until then */
    void (*stop_done)(void *ctx);
    void *stop_ctx;
    bool stopping, diameter_stopping;
    char sent_by[300];
    char service_route[320];
    struct scscf_counters counters;
};

/* sets.c */

/* A public identity of a set. */
struct identity {
    struct htab_node node;
    struct reg_set *set;
    struct span impu; /* canonical; in the set's text */
    bool barred;
    bool wildcard; /* TS 23.003 13.4A: it stands for many */
};

/* An implicit registration set that is registered here. One block: identities, then text. */
struct reg_set {
    struct scscf *s;
    struct list bindings;
    struct associates *associates; /* private identities of its subscription; NULL: not told */
    struct list watchers;          /* who is told of changes, all below */
    struct list departed; /* bindings that have ended since they were told; not without watchers */
    struct reg_set *former; /* what the set was then, if its identities are others now; else NULL */
    struct list changed;    /* in the S-CSCF's list */
    uint32_t busy;          /* REGISTERs of it that wait for the HSS: nothing expires meanwhile */
    uint32_t n_identities;  /* the default one is the first */
    struct span associated; /* value of P-Associated-URI */
    struct span servers;    /* of the home domain, that the filter criteria name: "<URI>, ..." */
    struct span charging;   /* value of P-Charging-Function-Addresses; empty: none */
    struct span hss;        /* who has its data (scscf_hss_name); empty: not known */
    struct identity identities[];
};

enum binding_text {
    BINDING_IMPI,
    BINDING_CONTACT,
    BINDING_PARAMS, /* of the contact, but expires: ";q=0.5;..." */
    BINDING_PATH,   /* values of Path, joined by ", " */
    BINDING_CALL_ID,
    BINDING_INSTANCE,
    BINDING_TEXTS
};

/* A contact bound to a set by a private identity. One block: the texts stand behind it. */
struct binding {
    struct htab_node node; /* by private identity */
    struct list in_set;
    struct reg_set *set;
    struct timer expiry;
    uint64_t impu;            /* hash of the public identity that its REGISTER named */
    enum reginfo_event event; /* what happened to it last */
    bool untold;              /* and the watchers do not know it */
    bool must_prove;          /* the next REGISTER is challenged, whatever protects it */
    uint32_t cseq, reg_id;
    uint16_t n[BINDING_TEXTS];
    char text[];
};

/** One of a binding's texts. */
struct span binding_text(const struct binding *b, enum binding_text which);

/** The set that a public identity (canonical) belongs to, by itself or by a wildcard, if it is
 * registered here; else NULL. */
struct reg_set *scscf_set_of(const struct scscf *s, struct span impu);

/** Makes a set of what the HSS sent, or renews the one that stands, with its bindings. Without
 * charging functions it has `otherwise`, the text that a set has of them.
 * ERR_NOT_FOUND: all identities are barred; ERR_MALFORMED: an identity is no URI; ERR_NO_MEMORY. */
MUST_CHECK enum error scscf_set_put(struct scscf *s, const struct userdata *data,
                                    const struct cx_charging_information *charging,
                                    struct span otherwise, struct reg_set **out);

/** Renews the charging functions of a set. The set may move. ERR_NO_MEMORY. */
MUST_CHECK enum error scscf_set_charging(struct reg_set *set,
                                         const struct cx_charging_information *charging);

/** The bindings of a private identity on a set, at most REGISTRATION_CONTACTS_MAX. set may be NULL.
 */
size_t scscf_bindings_of(struct reg_set *set, struct span impi,
                         struct binding *out[REGISTRATION_CONTACTS_MAX]);

struct binding_news { /* what a contact of a REGISTER brings */
    struct span impi, path, call_id;
    uint32_t cseq;
    const struct registration_contact *contact;
    uint32_t expires_s;
    struct span impu; /* that the REGISTER names */
    enum reginfo_event event;
};

/** Binds a contact. ERR_NO_MEMORY, ERR_TOO_BIG. */
MUST_CHECK enum error scscf_bind(struct reg_set *set, const struct binding_news *news);

/** Takes a binding away; the set stays until scscf_settle. Nobody is told: another binding of the
 * same contact stands, or another S-CSCF serves the user. */
void scscf_unbind(struct binding *b);

/** The same, and the watchers will be told why. */
void scscf_end_binding(struct binding *b, enum reginfo_event why);

/** Something has happened to a binding that stands: the watchers will be told. */
void scscf_note_event(struct binding *b, enum reginfo_event event);

/** Calls each for every binding of a private identity, or of the set of a public one (canonical).
 * each changes nothing but the binding's own members. */
void scscf_each_of(struct scscf *s, struct span identity,
                   void (*each)(void *ctx, struct binding *b), void *ctx);

/** Takes away every binding of a private identity; with impus only on their sets. why:
 * REGINFO_EVENTS if nobody is to be told. Returns their number. */
size_t scscf_remove(struct scscf *s, struct span impi, const struct span *impus, size_t n_impus,
                    enum reginfo_event why);

/** After everything that changes sets or bindings, when the answer has gone: tells the watchers of
 * the sets that have changed, and takes those away to which nothing is bound any more. */
void scscf_settle(struct scscf *s);

/** Forgets all sets and bindings. */
void scscf_forget_sets(struct scscf *s);

/* auth.c */

/* The part of a challenge that stands on a card's key: secrets. */
struct aka_offer {
    uint8_t rand[16], autn[16];
    uint8_t xres[SCSCF_RES_MAX];
    uint8_t xres_n;                             /* 0: AKA is not offered, or used up */
    struct akav2_password akav2[DIGEST_HASHES]; /* of those that are offered */
};

/* The part that stands on a password: secrets, and what binds a nonce. */
struct digest_offer {
    struct digest_hex ha1[DIGEST_HASHES]; /* of those that are offered */
    char nonce[SCSCF_NONCE_SIZE], opaque[SCSCF_OPAQUE_SIZE];
    uint64_t born_us;
    uint32_t nc;     /* the highest nonce count that came with a right response */
    bool known_good; /* a right response came: it serves again, until its time is over */
    unsigned qops;   /* 1 << enum digest_qop, or-ed */
    size_t realm_n;
    char realm[];
};

/* What was sent to a terminal: it waits for an answer, or is a nonce known good. */
struct challenge {
    struct list of_impi;
    struct timer timer; /* reg-await-auth, or the end of the nonce's life */
    struct authentication *authentication;
    struct addr source; /* whom it was sent to */
    struct aka_offer aka;
    struct digest_offer *digest; /* NULL: no password */
    unsigned offered;            /* AUTH_BITs */
    bool stale;                  /* it said so */
    struct span hss;             /* who gave the credentials (scscf_hss_name); may be empty */
    uint8_t failures, resyncs;   /* in a row before this one */
    uint16_t impu_n;
    char impu[];
};

/* What is under way for a private identity. */
struct authentication {
    struct htab_node node;
    struct scscf *s;
    struct list challenges; /* oldest first */
    uint32_t n_challenges;
    struct operation *asking;    /* the one MAR under way */
    struct operation *assigning; /* the one SAR under way */
    struct list behind;          /* operations behind that */
    struct list waiting;         /* operations behind the MAR */
    uint32_t n_waiting;
    uint16_t impi_n;
    char impi[];
};

/** What is under way for a private identity, or NULL. */
struct authentication *scscf_authentication(const struct scscf *s, struct span impi);

/** The same, made if need be. NULL: memory is out. */
struct authentication *scscf_authentication_make(struct scscf *s, struct span impi);

/** Frees it if there is nothing under way any more. */
void scscf_authentication_settle(struct authentication *a);

/* What the HSS gave for one challenge. */
struct credentials {
    const struct cx_sip_auth_data_item *aka;         /* NULL: none */
    const struct cx_sip_digest_authenticate *digest; /* NULL: none */
};

/** Makes a challenge of credentials and keeps it as outstanding; when there are too many, an old
 * one of the same source goes, or of the source that has the most (share.h). ERR_NO_MEMORY;
 * ERR_INVALID: the credentials are not usable; ERR_UNSUPPORTED: no algorithm that is configured
 * fits them. */
MUST_CHECK enum error scscf_challenge_add(struct authentication *a, struct operation *op,
                                          const struct credentials *credentials,
                                          struct challenge **out);

/** What the Authorization of a REGISTER is worth. An outstanding nonce that it answers is used up,
 * but for a known good one of SIP Digest: RAND (with AUTS behind it), counts and what a 200 says
 * are left in op. */
enum challenge_credentials scscf_credentials(struct operation *op);

/** Where op comes from (share.h); read when it is first asked for. */
const struct addr *scscf_source_of(struct operation *op);

/** Is a challenge that says "stale" outstanding at the source of op? */
bool scscf_stale_told(struct operation *op);

/** Forgets the known good nonces of a private identity, with its HA1s. */
void scscf_forget_nonces(struct scscf *s, struct span impi);

/** Notes a step of a REGISTER in the journal. */
void scscf_note(const struct operation *op, enum journal_step step, unsigned status,
                enum reason why, struct span detail);

/** Forgets all challenges. */
void scscf_forget_challenges(struct scscf *s);

/* digest.c: SIP Digest */

/** Makes the Digest part of a challenge from what the HSS gave: nonce, opaque, and the HA1s of the
 * algorithms in `algorithms` (AUTH_BITs), of which *offered gets those that there are. ERR_INVALID,
 * ERR_UNSUPPORTED, ERR_NO_MEMORY as above. */
MUST_CHECK enum error digest_offer_new(struct scscf *s,
                                       const struct cx_sip_digest_authenticate *from,
                                       unsigned algorithms, struct digest_offer **out,
                                       unsigned *offered);

/** The same secrets under a new nonce, known good: for nextnonce. NULL: memory is out. */
struct digest_offer *digest_offer_next(struct scscf *s, const struct digest_offer *d);

/** Clears and frees. NULL is allowed. */
void digest_offer_free(struct digest_offer *d);

/** Is it this nonce's? */
bool digest_offer_is(const struct digest_offer *d, struct span nonce);

/** What the response of op is worth: RIGHT, WRONG or REPLAYED. A right one's count is taken, and
 * rspauth is left in op. */
enum challenge_credentials digest_offer_judge(struct operation *op, struct digest_offer *d,
                                              unsigned offered);

/** Writes the challenge's header value for one algorithm. */
void digest_offer_put(struct buf *b, const struct digest_offer *d, enum auth_algorithm algorithm,
                      bool stale);

/** Has half of its nonce's life passed? */
bool digest_offer_is_old(const struct scscf *s, const struct digest_offer *d);

/* register.c */

enum operation_state {
    OPERATION_RECEIVED,
    OPERATION_QUEUED,    /* behind another MAR of the same private identity */
    OPERATION_ASKING,    /* MAR sent */
    OPERATION_ASSIGNING, /* SAR sent */
    OPERATION_FAILING,   /* SAR sent: AUTHENTICATION_FAILURE */
    OPERATION_DONE,
    OPERATION_STATES
};

enum operation_event {
    EVENT_CHALLENGE, /* a vector is needed */
    EVENT_QUEUE,     /* the same, and a MAR is under way */
    EVENT_TURN,      /* the MAR before it has ended */
    EVENT_VECTOR,    /* MAA with a vector, an HA1, or both */
    EVENT_ACCEPT,    /* authenticated */
    EVENT_UNTRUE,    /* authentication failed for good */
    EVENT_ASSIGNED,  /* SAA, or none was needed */
    EVENT_REFUSED,   /* by the HSS or by our own rules: status and why say */
    OPERATION_EVENTS
};

/* A REGISTER under way; lives in the arena of its transaction. */
struct operation {
    struct scscf *s;
    struct list under_way;
    struct list waiting; /* behind another MAR */
    struct list behind;  /* another SAR, or ready */
    struct sip_server *up;
    enum operation_state state;
    struct span impi, impu; /* impu canonical */
    struct addr source;     /* scscf_source_of */
    bool has_source;
    struct sip_auth auth; /* zero without the header */
    enum challenge_protection protection;
    uint32_t failures, resyncs; /* in a row */
    enum challenge_method method;
    enum challenge_scheme scheme; /* of the MAR */
    bool resync;                  /* the MAR carries rand_auts */
    bool stale;                   /* the challenge says so */
    bool challenged;              /* this REGISTER answers a challenge: the HSS waits for a SAR */
    struct digest_hex rspauth;    /* of a right response by SIP Digest, for the 200; empty: none */
    char nextnonce[SCSCF_NONCE_SIZE];
    bool has_nextnonce;
    bool busy; /* counted in its set's busy */
    uint8_t rand_auts[SCSCF_AUTS_AUTHORIZATION];
    struct authentication *authentication; /* whose `asking` it is */
    enum cx_server_assignment_type assignment;
    struct credentials credentials; /* during EVENT_VECTOR */
    struct span hss;          /* who has the user's data; empty: not known in this operation */
    const struct cx_saa *saa; /* during EVENT_ASSIGNED; NULL: none was needed */
    unsigned status;          /* of a refusal */
    bool later;               /* it passes, whatever `why` says */
    enum reason why;
    struct span detail; /* of a refusal, for log and journal */
    struct registration_reading reading;
};

/** Takes a REGISTER; up is consumed. */
void scscf_register(struct scscf *s, struct sip_server *up, const struct sip_msg *req);

/** Drives an operation on. op may be gone afterwards. */
void scscf_operation_event(struct operation *op, enum operation_event event);

/** Refuses an operation. op is gone afterwards. */
void scscf_operation_refuse(struct operation *op, unsigned status, enum reason why);

/** Before the answer, which frees the operation's memory: takes it off all lists. */
void scscf_operation_end(struct operation *op);

/** Its turn has come: decides what the HSS is told. op may be gone afterwards. */
void scscf_go_on(struct operation *op);

/* turns.c */

/** May op have its SAR now? If not, scscf_go_on is called when it may; or it is refused and gone.
 */
MUST_CHECK bool scscf_take_turn(struct operation *op);

/** op ends, whether it had its turn or not. */
void scscf_end_turn(struct operation *op);

/** Lets those go on whose turn it is (scscf.turns). */
void scscf_next_turns(struct post *post);

/* associates.c */

/** Notes whom a SAA names as the private identities of the set's subscription, in the place of
 * those noted before; told NULL: it names nobody. ERR_NO_MEMORY: none are noted. */
MUST_CHECK enum error scscf_set_associates(struct reg_set *set,
                                           const struct cx_associated_identities *told);

/** Forgets them. */
void scscf_drop_associates(struct reg_set *set);

/** The set that takes another one's place has them from now on. */
void scscf_move_associates(struct reg_set *from, struct reg_set *to);

/** A private identity and those that are known to be of the same subscription, each once; *n is
 * their number. The texts stand in the arena. NULL: memory is out. */
struct span *scscf_subscription_of(const struct scscf *s, struct span impi, struct arena *arena,
                                   size_t *n);

/* cx.c */

/** The name of an HSS that has answered, as it is kept as long as the node lives; empty if there
 * are too many of them. Requests about its users name it (TS 29.228 6.1.2, 6.3: Destination-Host).
 */
struct span scscf_hss_name(struct scscf *s, struct span origin_host);

/** Forgets these names. */
void scscf_forget_hss_names(struct scscf *s);

/** Sends the MAR of an operation; EVENT_VECTOR or EVENT_REFUSED follow. */
void scscf_ask_vector(struct operation *op);

/** Sends the SAR of an operation (op->assignment); EVENT_ASSIGNED or EVENT_REFUSED follow. */
void scscf_assign(struct operation *op, bool data_available);

/** Sends a SAR that no terminal waits for: time-outs, failed authentications. A de-registration is
 * repeated until the HSS has answered or the user has come back. hss is one of scscf_hss_name, or
 * empty. False: nobody is told, memory is out or too many wait. */
bool scscf_notify_hss(struct scscf *s, struct span hss, struct span impi, struct span impu,
                      enum cx_server_assignment_type type);

/** Forgets the SARs that no terminal waits for. */
void scscf_forget_notices(struct scscf *s);

/** Takes a request of the HSS. */
void scscf_diameter_request(void *ctx, struct diameter_request *rq, const struct diameter_msg *msg);

/* state.c */

/** A document of registration information about a set, in the arena: full, or what has changed
 * since the watchers were told last. Empty: memory is out. */
struct span scscf_state(const struct reg_set *set, struct arena *arena, uint32_t version,
                        bool full);

/** Has anything changed that the watchers do not know? */
bool scscf_has_news(const struct reg_set *set);

/* authorisation.c */

/** May whoever P-Asserted-Identity names subscribe to the state of a set? */
bool scscf_may_subscribe(const struct reg_set *set, const struct sip_msg *req);

/** Does an application server of this SIP URI belong to the home domain? */
bool scscf_is_home_server(const struct scscf *s, struct span name);

/* reauthenticate.c */

/** Has a private identity contacts on a set that must authenticate anew? set may be NULL. */
bool scscf_must_prove(struct reg_set *set, struct span impi);

/* watchers.c */

/** Takes a SUBSCRIBE; up is consumed. */
void scscf_subscribe(struct scscf *s, struct sip_server *up, const struct sip_msg *req);

/** Tells the watchers of a set what has changed; of one without bindings, that it is over. */
void scscf_tell_watchers(struct reg_set *set);

/** Forgets the watchers of a set silently. */
void scscf_drop_watchers(struct reg_set *set);

/** Lets the watchers follow a set that has moved. */
void scscf_move_watchers(struct reg_set *from, struct reg_set *to);

/** Forgets all watchers. */
void scscf_forget_watchers(struct scscf *s);

/* answer.c */

/** 401 with a challenge for each algorithm that is offered. op is gone afterwards. */
void scscf_answer_challenge(struct operation *op, const struct challenge *c);

/** 200 with what is bound. set may be NULL: nothing is. op is gone afterwards. */
void scscf_answer_ok(struct operation *op, struct reg_set *set);

/** Refuses a request: answers it, counts it, logs it. The terminal sees the standard phrase, the
 * trusted side a Warning with the reason. up is consumed. */
void scscf_refuse(struct scscf *s, struct sip_server *up, struct sip_refusal refusal);

#endif
