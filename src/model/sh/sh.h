/* Decisions on the Sh interface: TS 29.328 6.1 (Sh-Pull, Sh-Update, Sh-Subs-Notif, Sh-Notif), 6.2
 * (who may do what), 7.6 (which data there is).
 *
 * Pure: values in, values out. Transparent data and the application servers' subscriptions are
 * records (spec/records/repository.yaml, watchers.yaml). */
#ifndef MUSTER_MODEL_SH_SH_H
#define MUSTER_MODEL_SH_SH_H

#include "base/arena.h"
#include "codec/diameter/diameter.h"
#include "codec/shdata/shdata.h"
#include "model/subscription/subscription.h"
#include "spec/sh.h"

/** What an application server wants; bits. */
enum sh_operation {
    SH_PULL = 1 << 0,   /* UDR */
    SH_UPDATE = 1 << 1, /* PUR */
    SH_NOTIFY = 1 << 2, /* SNR */
};

enum { SH_REFERENCES = 36, SH_NO_IDENTITY_SET = 255, SH_WATCHERS_MAX = 256 };

/** Where data comes from. */
enum sh_source {
    SH_NOWHERE,    /* no such Data-Reference */
    SH_SUBSCRIBER, /* subscription and registration state */
    SH_REPOSITORY, /* transparent data */
    SH_PSI,        /* only public service identities have it */
    SH_NEVER_SET,  /* nobody has any here: a pull succeeds without it */
    SH_ELSEWHERE,  /* of a network domain that this HSS does not serve */
    SH_DSAI_TAGS,  /* no filter criteria here have a DSAI */
};

/** How a Data-Reference may be asked for, and what has to go with it: a row of TS 29.328 table
 * 7.6.1. */
struct sh_rule {
    const char *name;    /* as the standard writes it */
    unsigned operations; /* enum sh_operation, or-ed */
    bool by_msisdn;      /* also by MSISDN, not by public identity alone */
    bool needs_service_indication, needs_server_name, needs_domain, needs_dsai_tag;
    enum sh_source source;
};

/** The table, by Data-Reference; a row without a name does not exist. */
extern const struct sh_rule sh_rules[SH_REFERENCES];

/** Finds a Data-Reference by its name ("RepositoryData"), case disregarded. */
MUST_CHECK bool sh_reference_parse(struct span name, unsigned *reference);

/** What one application server may do: bits 1 << Data-Reference (TS 29.328 6.2). */
struct sh_permissions {
    uint64_t pull, update, notify;
};

/** All that there is for an operation. */
uint64_t sh_references_of(enum sh_operation operation);

/** May it? DIAMETER_SUCCESS or the operation's own USER_DATA_CANNOT_BE_... (p NULL: it may
 * nothing). */
struct diameter_result sh_permit(const struct sh_permissions *p, enum sh_operation operation,
                                 unsigned reference);

/** Does this data exist for this kind of identity and operation? DIAMETER_SUCCESS,
 * OPERATION_NOT_ALLOWED, USER_DATA_NOT_AVAILABLE, DSAI_NOT_AVAILABLE. */
struct diameter_result sh_accessible(enum sh_operation operation, unsigned reference,
                                     bool by_msisdn, bool is_psi);

/* MSISDNs. */

/** Digits of an MSISDN AVP (TBCD, TS 29.329 6.3.2) into out, which has room for 16 bytes; empty: it
 * is none. */
struct span sh_msisdn_digits(struct span avp, char out[16]);

/** The digits of a tel URI with a global number ("tel:+4412345"); empty: it is none. */
struct span sh_tel_digits(struct span uri);

/* Data of the subscription. */

/** The public identities of a set (enum sh_identity_set) around impu, without barred ones (7.6.2),
 * into out, which has room for SUBSCRIPTION_IMPUS_MAX; returns their number. */
size_t sh_identities(const struct subscription *s, struct rec_impu impu, unsigned identity_set,
                     struct span *out);

/** The telephone numbers, as digits, of those who have this identity. */
size_t sh_msisdns(const struct subscription *s, struct rec_impu impu, struct span *out);

/** IMSUserState of a public identity (7.6.3). */
enum shdata_user_state sh_user_state(const struct subscription *s, struct rec_impu impu);

/* Repository data. */

/** Whom transparent data of a public identity belongs to: its alias group, or it alone. */
struct sh_owner {
    struct span name;
    bool of_aliases;
};

/** See struct sh_owner. */
struct sh_owner sh_owner_of(struct rec_impu impu);

/** What a PUR does. */
enum sh_update {
    SH_REFUSE,
    SH_CREATE,
    SH_REPLACE,
    SH_DELETE,
};

/** The sequence number that follows: from 1 on again after 65535, as 0 means that data is new. */
uint32_t sh_next_sequence_number(uint32_t number);

/** Decides on an update (6.1.2.1). stored is false if there is no data yet; else its number is
 * `number`. DIAMETER_SUCCESS, TRANSPARENT_DATA_OUT_OF_SYNC, OPERATION_NOT_ALLOWED (a deletion of
 * what is not there), TOO_MUCH_DATA (more than bytes_max). */
struct diameter_result sh_decide_update(bool stored, uint32_t number,
                                        const struct shdata_repository *asked, size_t bytes_max,
                                        enum sh_update *effect);

/* Subscriptions to notifications. */

/** Is a notification due? */
static inline bool sh_is_due(const struct rec_watcher_data *w) {
    return w->changes != w->told;
}

/** Do both stand for the same thing, so that the newer one replaces the older one? */
bool sh_same_watcher(const struct rec_watcher_data *a, const struct rec_watcher_data *b);

/** Adds a watcher, or takes its place if it is there; *list points to room for one more than it
 * has. ERR_TOO_BIG: there are SH_WATCHERS_MAX. */
MUST_CHECK enum error sh_watch(struct rec_watcher_data *list, size_t *n,
                               const struct rec_watcher_data *w);

/** Takes a watcher away; true if it was there. */
bool sh_unwatch(struct rec_watcher_data *list, size_t *n, const struct rec_watcher_data *w);

/** Drops those that have expired at now_s (seconds since 1970), and those whose identity `now` does
 * not have. True if any went. */
bool sh_prune(struct rec_watcher_data *list, size_t *n, struct rec_subscription now, int64_t now_s);

/** Marks all but changed_by whose view of the subscription has changed: identities, user state,
 * S-CSCF name, PSI activation; for
 * filter criteria when an identity has another service profile (their content: sh_mark_criteria).
 * arena is for the comparison. True if any notification has become due. */
bool sh_mark(struct rec_watcher_data *list, size_t n, const struct subscription *before,
             const struct subscription *now, struct span changed_by, struct arena *arena);

/** Marks those of filter criteria of identities that have this service profile. */
bool sh_mark_criteria(struct rec_watcher_data *list, size_t n, struct rec_subscription s,
                      struct span profile);

/** Marks those of repository data of this owner and service, which has the sequence number `number`
 * now; not the one that made the change. */
bool sh_mark_repository(struct rec_watcher_data *list, size_t n, struct rec_subscription s,
                        struct sh_owner owner, struct span service_indication, uint32_t number,
                        struct span changed_by);

#endif
