/* What the files of Sh share: requests of application servers, and what they are told. */
#ifndef MUSTER_NODE_HSS_SH_H
#define MUSTER_NODE_HSS_SH_H

#include "model/sh/sh.h"
#include "node/hss/internal.h"

/** A request of an application server; in the request's arena, job->ctx. */
struct sh_job {
    struct job *job;
    const char *name; /* "UDR" */
    enum sh_operation operation;
    struct span host, realm; /* who asks */
    const struct sh_permissions *permissions;
    struct span impu;   /* who it is about; of one found by MSISDN the tel URI */
    struct span msisdn; /* the AVP, if it was found so; else empty */
    char tel[24], digits[16];
    const enum sh_data_reference *references;
    size_t n_references;
    const struct span *services; /* Service-Indications */
    size_t n_services;
    struct span wildcard;     /* the identity was found by it; empty: it stands there itself */
    struct rec_impu identity; /* the public identity itself, when it is found */
    void (*act)(struct sh_job *sh); /* what to do then */
    struct diameter_request *rq;
    union {
        struct sh_udr udr;
        struct sh_pur pur;
        struct sh_snr snr;
    };
    const struct shdata *document; /* of a PUR */

    struct sh_loading {
        struct shdata_repository *got;
        size_t n_got, at; /* at: the next pair of reference and service */
        bool failed;
        bool asking, come; /* a read that completes within the call does not recurse */
        void (*done)(struct sh_job *sh);
    } loading;
    struct shdata_repository update; /* what a PUR wants to be there */
    struct rec_watcher_data *watchers;
    size_t n_watchers;
};

/* sh.c */

/** Takes a request of the application Sh. */
void sh_take(struct hss *h, struct diameter_request *rq, const struct diameter_msg *msg);

/** What an application server may; NULL: nothing. */
const struct sh_permissions *sh_permissions_of(const struct hss *h, struct span host);

/** Begins a request that was decoded: who, permissions; then looks for the identity and calls
 * act. */
void sh_begin(struct sh_job *sh, const struct sh_user_identity *who);

/** Answers with a result alone, counts and logs it with who asked, and ends the job. */
void sh_refuse(struct sh_job *sh, struct diameter_result result);

/** The same for an AVP that is missing: an example of it in Failed-AVP. */
void sh_refuse_missing(struct sh_job *sh, uint32_t avp);

/** Answers what cannot be read. */
void sh_answer_fault(struct sh_job *sh, const struct diameter_fault *fault);

/** The request's memory. */
static inline struct arena *sh_arena(struct sh_job *sh) {
    return diameter_request_arena(sh->rq);
}

/** A repository's record as what stands in documents; spans are copied into the arena. False:
 * memory is out. */
MUST_CHECK bool sh_repository_of(struct span record, struct arena *arena, bool aliases,
                                 struct shdata_repository *out);

/* Watchers. */

/** Keeps a copy of a record of watchers with a subscriber in memory; empty: nobody watches. */
MUST_CHECK enum error sh_set_watchers(struct subscriber *s, struct span record);

/** The watchers of a subscriber as a list with room for SH_WATCHERS_MAX; spans into its record.
 * NULL when memory is out. */
struct rec_watcher_data *sh_watchers(const struct subscriber *s, struct arena *arena, size_t *n);

/** A record of a list of watchers, in the arena; p is NULL when memory is out. */
struct span sh_watchers_record(const struct rec_watcher_data *list, size_t n, struct arena *arena);

/** What a change of a subscription means to its watchers: the record that goes with the save. OK
 * with p NULL: nothing changes for them. changed_by: the application server that makes the change,
 * which is not told; may be empty. */
MUST_CHECK enum error sh_compare(struct hss *h, const struct subscriber *s,
                                 const struct subscription *now, struct span changed_by,
                                 struct arena *arena, struct span *record);

/** Seconds since 1970. */
int64_t sh_now_s(struct hss *h);

/* sh_data.c */

/** Data that a document is made of. */
struct sh_question {
    const enum sh_data_reference *references;
    size_t n_references;
    const enum sh_identity_set
        *identity_sets; /* Identity-Set; none: all identities, in PublicIdentifiers */
    size_t n_identity_sets;
    struct span server_name; /* whose filter criteria */
    const struct shdata_repository *repositories;
    size_t n_repositories;
};

/** Writes the document into the arena. Empty: there is no data of that kind; p is NULL: memory is
 * out. */
struct span sh_document(struct hss *h, const struct subscription *s, struct rec_impu impu,
                        const struct sh_question *q, struct arena *arena);

/** Loads the repository data of all services that the request names, of each reference that wants
 * it, then calls done. False: a Service-Indication is missing; the request has been answered. */
bool sh_load(struct sh_job *sh, void (*done)(struct sh_job *sh));

/* sh_pull.c, sh_update.c, sh_psi.c, sh_subscribe.c */

/** Sets the PSI Activation State of the request's public service identity; answers. */
void sh_activate(struct sh_job *sh);

/** Answers a PUR that was done, and ends the job. */
void sh_answer_change(struct sh_job *sh);

/** UDR. */
void sh_pull(struct sh_job *sh, const struct diameter_msg *msg);

/** PUR. */
void sh_change(struct sh_job *sh, const struct diameter_msg *msg);

/** SNR. */
void sh_subscribe(struct sh_job *sh, const struct diameter_msg *msg);

/* sh_criteria.c */

/** Has a subscription, as it was read, watchers of filter criteria that this profile has? */
bool sh_watches_criteria(const struct store_subscription *read, struct span profile);

/** Tells them that the profile has changed; then calls done, perhaps within this call. False:
 * memory is out, done is not called. */
MUST_CHECK bool sh_criteria_changed(struct hss *h, const struct store_subscription *read,
                                    struct span profile, void (*done)(void *ctx), void *ctx);

/* sh_notify.c */

/** Makes what tells application servers. */
MUST_CHECK enum error sh_notifier_new(struct hss *h);

/** Forgets what is under way; the store has it. */
void sh_notifier_free(struct hss *h);

/** Looks in the store for what is due: at the start. */
void sh_notifier_wake(struct hss *h);

/** Tells those application servers of a subscription's changes that are due by this record. */
void sh_notify(struct hss *h, uint64_t id, struct span watchers);

#endif
