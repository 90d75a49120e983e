/* An IMS subscription as the HSS sees it: who belongs to whom (TS 23.228 4.3.3.4, TS 23.008 3), who
 * is registered where, and which subscriptions are sound.
 *
 * Static data is a record that is read in place (codec/records, struct rec_subscription). Within a
 * subscription IMPIs and implicit registration sets have slots, numbers from 0 to 63 that never
 * change while they exist, so registration state is a few words of bits. Every IMPU stands in
 * exactly one set; one that registers alone has a set of its own. All IMPUs of a set belong to the
 * same IMPIs: to one, or to all of the subscription (shared). The S-CSCF name belongs to the whole
 * subscription.
 *
 * Pure: values in, values out. */
#ifndef MUSTER_MODEL_SUBSCRIPTION_SUBSCRIPTION_H
#define MUSTER_MODEL_SUBSCRIPTION_SUBSCRIPTION_H

#include "base/buf.h"
#include "base/error.h"
#include "spec/records.h"

enum {
    SUBSCRIPTION_SLOTS = 64,     /* IMPIs in a subscription, and implicit registration sets */
    SUBSCRIPTION_IMPI_ALL = 255, /* rec_impu_impi: shared by all IMPIs */
    SUBSCRIPTION_IMPUS_MAX = 4096,
    SUBSCRIPTION_WILDCARDS_MAX = 64,
    SUBSCRIPTION_RECORD_MAX = 1 << 20, /* bytes of a static record */
    REGISTRATION_RECORD_MAX = 4096,    /* bytes of a registration record */
    SUBSCRIPTION_IDENTITY_MAX = 1024,  /* bytes of an identity or a server name */
};

/** What a public identity is: IdentityType of TS 29.228 annex B.2.1. */
enum identity_type {
    IDENTITY_USER = 0,           /* a distinct public user identity */
    IDENTITY_PSI = 1,            /* a distinct public service identity */
    IDENTITY_WILDCARDED_PSI = 2, /* model/wildcard */
    IDENTITY_NON_DISTINCT = 3,   /* one that a wildcard stands for; never provisioned */
    IDENTITY_WILDCARDED_USER = 4,
};

/** Registration state of an implicit registration set (TS 29.228: of its Public User Identities).
 */
enum registration_state {
    NOT_REGISTERED,
    REGISTERED,   /* by at least one IMPI */
    UNREGISTERED, /* an S-CSCF is assigned, and keeps or serves it in unregistered state */
};

/** The registration state of a whole subscription as a value: decisions read and change it. */
struct registration {
    struct span scscf_name;  /* Server-Name of the assigned S-CSCF; empty: none */
    struct span scscf_host;  /* its Diameter identity, for PPR and RTR */
    uint32_t scscf_features; /* what it supports: enum cx_feature */
    uint64_t unregistered;   /* bit n: set n is UNREGISTERED; then registered_by[n] is 0 */
    uint64_t registered_by[SUBSCRIPTION_SLOTS];  /* of each set: bits of the IMPI slots */
    uint8_t unregistered_by[SUBSCRIPTION_SLOTS]; /* of an UNREGISTERED set: the IMPI slot that was
                                                  * in the SAA; RTRs name it */
};

/** What is noted softly, in memory: a crash forgets it, and the terminal's next REGISTER brings it
 * again. */
struct subscription_notes {
    struct span scscf_name;          /* of the S-CSCF that sent a MAR (TS 29.228 6.3.1): counts
                                      * instead of the state's; empty: none */
    uint64_t authentication_pending; /* bits of IMPI slots */
    bool reassignment_pending;       /* TS 29.228 6.1.1.1: another S-CSCF may take over */
};

/** What a decision looks at. */
struct subscription {
    struct rec_subscription data;
    struct registration state;
    struct subscription_notes notes;
};

/** The S-CSCF that counts: the noted one, else the assigned one, else empty. */
static inline struct span subscription_scscf(const struct subscription *s) {
    return s->notes.scscf_name.n ? s->notes.scscf_name : s->state.scscf_name;
}

/** A state in which nobody is registered. */
void registration_init(struct registration *r);

/** Reads a registration record; spans point into it. */
void registration_read(struct rec_registration record, struct registration *out);

/** Appends it as a record; at most REGISTRATION_RECORD_MAX bytes. */
MUST_CHECK enum error registration_write(const struct registration *r, struct buf *out);

/** Same state, names included? */
bool registration_eq(const struct registration *a, const struct registration *b);

/** State of a set. */
enum registration_state registration_of(const struct registration *r, unsigned set);

/** Is any set registered or unregistered at an S-CSCF? */
bool registration_is_any(const struct registration *r);

/** Is anything registered, or served unregistered, by this IMPI slot? */
bool registration_is_by(const struct registration *r, unsigned impi_slot);

/** "not registered", "registered", "unregistered". Never NULL. */
const char *registration_state_text(enum registration_state state);

/** Opens a static record: record_check, and that slots are in range, so that everything below may
 * rely on it. Errors of record_check. */
MUST_CHECK enum error subscription_open(struct span record, struct rec_subscription *out);

/** Finds an IMPI; false if the subscription has none of this name. */
MUST_CHECK bool subscription_impi(struct rec_subscription s, struct span identity,
                                  struct rec_impi *out);

/** Finds the IMPI of a slot. */
MUST_CHECK bool subscription_impi_of_slot(struct rec_subscription s, unsigned slot,
                                          struct rec_impi *out);

/** Finds an IMPU. */
MUST_CHECK bool subscription_impu(struct rec_subscription s, struct span identity,
                                  struct rec_impu *out);

/** Is it a public service identity, distinct or wildcarded? */
static inline bool subscription_is_psi(struct rec_impu impu) {
    return rec_impu_type(impu) == IDENTITY_PSI || rec_impu_type(impu) == IDENTITY_WILDCARDED_PSI;
}

/** Is it a wildcard? */
static inline bool subscription_is_wildcard(unsigned identity_type) {
    return identity_type == IDENTITY_WILDCARDED_PSI || identity_type == IDENTITY_WILDCARDED_USER;
}

/** The default IMPU of a set: the one marked, else the first that is not barred and no wildcard,
 * else the first. False: the set has none at all. */
MUST_CHECK bool subscription_default_impu(struct rec_subscription s, unsigned set,
                                          struct rec_impu *out);

/** Does the IMPU belong to this IMPI slot, alone or shared? */
bool subscription_belongs(struct rec_impu impu, unsigned impi_slot);

/** Is there an IMPU in the set that is not barred? */
bool subscription_has_unbarred(struct rec_subscription s, unsigned set);

/** Bits of the sets whose IMPUs belong to this IMPI slot. */
uint64_t subscription_sets_of(struct rec_subscription s, unsigned impi_slot);

/** Bits of the slots of all IMPIs. */
uint64_t subscription_impi_slots(struct rec_subscription s);

/** May the IMPU register from this visited network? The home network always, others as its list
 * says (case disregarded); without a list everywhere. */
bool subscription_may_roam(struct rec_impu impu, struct span visited, struct span home_domain);

/** What is wrong with a subscription that somebody wants to provision. */
struct subscription_fault {
    const char *rule; /* stable name: "impu-unique", "set-one-default", ... see README of hss */
    char member[96];  /* where: "/impus/2/identity" (a JSON pointer) */
    char text[256];   /* what is wrong and what would be right; no secrets */
};

/** What the rules need to know besides the data itself. */
struct subscription_context {
    bool (*profile_exists)(void *ctx, struct span name); /* NULL: not checked */
    void *ctx;
};

/** Checks data against the rules; false fills *fault with the first one that is broken. */
MUST_CHECK bool subscription_check(const struct rec_subscription_data *s,
                                   const struct subscription_context *context,
                                   struct subscription_fault *fault);

/** Checks a service profile likewise. */
MUST_CHECK bool subscription_check_profile(const struct rec_profile_data *p,
                                           struct subscription_fault *fault);

/** Does a profile have filter criteria for terminating requests in the unregistered state (TS
 * 29.228 6.1.4.1)? */
bool subscription_profile_serves_unregistered(struct rec_profile p);

/** Is this the form in which a public identity is stored and looked for: a SIP URI without
 * parameters and with its host in lower case, tel:+ with digits, or a wildcard? */
bool subscription_is_canonical(struct span identity);

/** Is this a name of a subscription, profile or alias group: 1 to 64 letters, digits and ._-@+: ?
 */
bool subscription_is_name(struct span s);

/** Is this text for people, or for XML: at most max bytes of UTF-8 without control characters? */
bool subscription_is_text(struct span s, size_t max);

/** Fills a fault; a '#' in member is replaced by the index. Always false. */
bool subscription_faulty(struct subscription_fault *fault, const char *rule, const char *member,
                         size_t index, const char *text);

/** Gives slots to IMPIs and sets that have SUBSCRIPTION_SLOT_NEW; identities that the old data
 * (NULL: none) has keep theirs. False: more than SUBSCRIPTION_SLOTS are needed. IMPUs refer to
 * IMPIs by slot, so it is called with the IMPUs' owners filled in afterwards, or by assigning IMPIs
 * first (n_impus 0). */
MUST_CHECK bool subscription_assign_slots(const struct rec_subscription *old,
                                          struct rec_impi_data *impis, size_t n_impis,
                                          struct rec_impu_data *impus, size_t n_impus,
                                          struct subscription_fault *fault);

enum { SUBSCRIPTION_SLOT_NEW = 254 };

/** The state after the static data changed from what the state was made for to `now`: IMPIs, sets
 * and pairs that are gone leave it; the S-CSCF goes with the last of them. */
void registration_prune(struct registration *r, struct rec_subscription now);

#endif
