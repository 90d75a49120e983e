/* What the files of the HSS share. */
#ifndef MUSTER_NODE_HSS_INTERNAL_H
#define MUSTER_NODE_HSS_INTERNAL_H

#include "base/htab.h"
#include "base/list.h"
#include "crypto/aka.h"
#include "crypto/digest.h"
#include "model/aka/sqn.h"
#include "model/cx/server_assignment.h"
#include "model/subscription/subscription.h"
#include "model/wildcard/wildcard.h"
#include "node/hss/hss.h"
#include "spec/cx.h"
#include "stack/diameter/diameter_node.h"
#include "store/store.h"

enum {
    VECTORS_MAX = 32, /* in one MAA */
    ATTEMPTS_MAX = 3, /* decisions on one request, when others save meanwhile */
    NAMES_MAX = 4096, /* names of S-CSCFs that are kept */
    SQN_SLAB = 256,   /* counters that are allocated at once */
    JOBS_IDLE_MAX = 1024,
};

struct job;

/** A service profile, rendered. */
struct profile {
    struct htab_node node;
    struct span name, record, fragment; /* into bytes */
    size_t own_n;                       /* bytes of fragment before what refers to shared sets */
    bool serves_unregistered;
    bool going; /* somebody deletes it: nobody may refer to it any more */
    char bytes[];
};

/** One identity of a subscription in memory. */
struct identity {
    struct htab_node node;
    struct subscriber *owner;
    enum store_key key;
    struct span text;
};

/** A subscription in memory: its records, its notes, and who works on it. */
struct subscriber {
    struct htab_node by_id;
    struct list lru;
    size_t size; /* of the allocation */
    uint64_t id, version;
    struct subscription s; /* names of S-CSCFs are the HSS's (hss_name) */
    uint64_t notes_end_us; /* when the notes are void; 0: there are none */
    struct job *running;
    struct list waiting; /* struct job.turn, oldest first */
    bool stale;          /* its content is not the store's any more */
    bool draining;       /* somebody up the stack starts the next of `waiting` */
    size_t n_identities;
    struct identity *identities; /* behind the struct, like the record */
    char *watchers; /* record of what application servers want to hear of; NULL: nothing. sh.c */
    size_t n_watchers_bytes;
};

/** The counter of one IMPI. */
struct sqn_entry {
    struct htab_node node;
    uint64_t id; /* of the subscription */
    unsigned slot;
    bool loaded;
    struct sqn_counter counter;
    uint64_t stored; /* what the store has */
    struct sqn_entry *next_free;
};

struct sqn_slab {
    struct sqn_slab *next;
    struct sqn_entry entries[SQN_SLAB];
};

/** A name that is kept as long as the HSS lives. */
struct name {
    struct htab_node node;
    struct span text;
    char bytes[];
};

/** What somebody wants done with one subscription. run is called when it is its turn, and again
 * after each step that asks for it; subscriber is NULL if there is none, and error says if that is
 * the store's fault. */
struct job {
    struct list link; /* of all jobs */
    struct list turn;
    struct hss *hss;
    void (*run)(struct job *job);
    struct subscriber *subscriber;
    enum error error;
    uint64_t began_us;
    struct latency *latency; /* where its duration is counted; NULL: nowhere */
    enum store_key key;      /* how the subscription is looked for */
    struct span identity;
    size_t wildcard_n; /* of wildcard: the identity was found by it, and it is `identity` now */
    bool may_be_wildcarded;
    struct store_op op;
    unsigned attempts;
    bool looked_elsewhere, impi_elsewhere;
    void *ctx;                     /* of a job that is not a Diameter request */
    void (*drop)(struct job *job); /* frees ctx when the HSS goes; may be NULL */

    struct span watchers; /* record that goes with a save, see sh.h; p is NULL: none does */

    struct diameter_request *rq;
    union {
        struct cx_uar uar;
        struct cx_lir lir;
        struct {
            struct cx_sar request;
            struct server_assignment outcome;
        } sar;
        struct {
            struct cx_mar request;
            struct sqn_entry *sqn;
            unsigned impi_slot;
            unsigned schemes; /* enum multimedia_auth_scheme */
            bool resynchronised;
            uint64_t reserving;
            unsigned wanted, made;
            struct aka_vector vectors[VECTORS_MAX];
        } mar;
    };
    char wildcard[WILDCARD_MAX];
};

struct hss {
    struct env *env;
    struct hss_config config;
    struct store *store;
    struct diameter *diameter;
    struct diameter_peer_config *peers;
    struct addr listen, address;
    struct milenage milenage;
    struct digest digest;
    struct hss_counters counters;

    struct htab profiles, names, sqns, by_id, identities;
    struct list lru; /* of subscribers, the least recently used first */
    size_t n_cached;
    struct sqn_slab *slabs;
    struct sqn_entry *free_sqns;

    struct list jobs, idle_jobs;
    size_t n_idle_jobs;
    struct list web;           /* struct web_job, see web.h */
    struct list bulk_sessions; /* struct bulk_session, see bulk.h */

    struct wildcard_index wildcards;  /* of all subscriptions; wildcards.c */
    struct store_op wildcard_op;      /* reading them */
    char last_wildcard[WILDCARD_MAX]; /* that was read */
    size_t last_wildcard_n;
    bool asking_wildcard, got_wildcard; /* an answer that comes within the call does not recurse */
    bool wildcards_over;                /* all of them are read */

    struct list news;    /* entries of the outbox that are loaded; courier.c */
    struct htab news_of; /* the same by subscription */
    size_t n_news;
    uint64_t last_news; /* the highest number that was looked at */
    struct news_host *news_hosts;
    struct timer news_timer; /* until those that made way are loaded again */
    bool news_left;          /* some made way */
    struct store_op news_op;
    bool reading_news, more_news, waking;

    struct sh_notifier *notifier; /* tells application servers; sh_notify.c */

    struct decoy *decoys; /* NULL: no stranger has come yet */
    char *scratch;        /* for User-Data */
    size_t scratch_size;

    struct store_op start_op; /* reading profiles */
    struct span last_profile;
    bool profiles_over;               /* all of them */
    bool profiles_read;               /* and all wildcards: requests are taken */
    bool asking_profile, got_profile; /* an answer that comes within the call does not recurse */
    void (*stopped)(void *ctx);
    void *stopped_ctx;
    bool stopping, parting; /* no new work; DPR is on its way */
};

/* subscribers.c */

/** A job that is not doing anything yet; NULL when memory is out. */
struct job *job_new(struct hss *h, void (*run)(struct job *job));

/** Finds the subscription and calls run when it is the job's turn. identity is kept by reference.
 */
void job_find(struct job *job, enum store_key key, struct span identity);

/** The same for a Public-Identity: exactly this one, else the wildcard that it belongs to. From the
 * first call of run on, job->identity is what the subscription has. */
void job_find_public(struct job *job, struct span identity);

/** Forgets what is known of the job's subscription and looks for it again. */
void job_again(struct job *job);

/** Has somebody else this IMPI? True: not known yet, run is called again when it is; then
 * job->impi_elsewhere has the answer. */
bool job_looks_elsewhere(struct job *job, struct span impi);

/** The job is done: the next one of the subscription has its turn. */
void job_end(struct job *job);

/** Notes something softly: notes of the subscription last auth_pending_s from now. */
void subscriber_note(struct hss *h, struct subscriber *s);

/** Frees everything that is in memory. */
void subscribers_free(struct hss *h);

/** A copy of the name that lives as long as the HSS; p is NULL when there are too many. */
struct span hss_name(struct hss *h, struct span text);

/* profiles.c */

/** Reads all profiles; requests that come meanwhile get 3004. */
void profiles_read(struct hss *h);

/** Takes a profile's record (checked, copied) into memory in place of an older one.
 * ERR_NO_MEMORY. */
MUST_CHECK enum error profiles_put(struct hss *h, struct span record);

/** Makes the empty profile "default" if nobody has made one. */
void profiles_put_default(struct hss *h);

/** The profile of a name, NULL if there is none. "default" is always there. */
struct profile *profiles_find(struct hss *h, struct span name);

/** Forgets a profile. */
void profiles_remove(struct hss *h, struct profile *p);

/** Frees all. */
void profiles_free(struct hss *h);

/** User-Data of a set, into the HSS's scratch memory; empty when memory is out. features (enum
 * cx_feature) are those of whom it is for: without CX_FEATURE_SIFC the criteria of shared sets are
 * written out (TS 29.228 6.6). */
struct span profiles_user_data(struct hss *h, struct rec_subscription s, struct span private_id,
                               unsigned set, uint32_t features);

/* Shared sets of filter criteria are kept like profiles, whose names can never be theirs: "#7". */

enum { SHARED_SET_NAME = 12 };

/** The name under which a set is kept. */
struct span shared_set_name(char room[SHARED_SET_NAME], uint32_t number);

/** Is this such a name? */
static inline bool is_shared_set(struct span name) {
    return name.n && name.p[0] == '#';
}

/** The filter criteria of a profile that name this application server, rendered into the arena; p
 * is NULL when memory is out. */
struct span profiles_criteria(struct hss *h, struct span name, struct span server_name,
                              struct arena *arena);

/* wildcards.c */

/** Reads all wildcards. */
void wildcards_read(struct hss *h);

/** Checks that the wildcards of a subscription have no identity in common with another one's, and
 * claims them until they are committed or the claim is dropped (wildcard_drop_claims). old is what
 * it was (NULL: it is new). False: the fault says which. */
MUST_CHECK bool wildcards_claim(struct hss *h, const struct rec_subscription *old,
                                const struct rec_subscription_data *s, const void *claim,
                                struct subscription_fault *fault);

/** A subscription has become durable, in place of an old one (NULL: there was none); now is NULL if
 * it is gone. */
void wildcards_committed(struct hss *h, const struct rec_subscription *old,
                         const struct rec_subscription *now);

/** A Public-Identity in the form in which it is stored (TS 23.003 13.4, RFC 3261 10.3): itself, or
 * a copy in the arena. What is no such URI stays as it is. */
struct span hss_canonical(struct arena *arena, struct span identity);

/* courier.c */

/** Something is in the outbox: has S-CSCFs told of it. Called when profiles are read, and after
 * each change that put something there. */
void courier_wake(struct hss *h);

/** Before anything else. */
void courier_init(struct hss *h);

/** Forgets what is loaded; it stays in the store. */
void courier_free(struct hss *h);

/* sqn.c */

/** The counter of an IMPI, perhaps not loaded yet; NULL when memory is out. */
struct sqn_entry *sqn_entry(struct hss *h, uint64_t id, unsigned slot);

/** Forgets the counters of a subscription that is gone. */
void sqn_forget(struct hss *h, uint64_t id);

/** Frees all. */
void sqn_free(struct hss *h);

/* decoys.c */

/** Notes which S-CSCF has asked for a stranger's credentials. */
void decoy_note(struct hss *h, struct span impi, struct span server);

/** That S-CSCF; empty: none has asked of late. */
struct span decoy_server(struct hss *h, struct span impi);

/* uar.c, mar.c, sar.c, lir.c */

/** Takes a UAR: answers it, now or later. */
void uar_take(struct hss *h, struct diameter_request *rq, const struct diameter_msg *msg);

/** Takes a MAR. */
void mar_take(struct hss *h, struct diameter_request *rq, const struct diameter_msg *msg);

/** Takes a SAR. */
void sar_take(struct hss *h, struct diameter_request *rq, const struct diameter_msg *msg);

/** Takes a LIR. */
void lir_take(struct hss *h, struct diameter_request *rq, const struct diameter_msg *msg);

/* sar.c, mar.c: parts of answers that PPRs have, too */

/** The charging functions of a subscription or, if it names none, of the HSS. False: there are
 * none.
 */
bool hss_charging(const struct hss *h, struct rec_subscription s,
                  struct cx_charging_information *out);

enum { HSS_FIXED_IMPI_MAX = 3 * 64 + 256 };

/** The private identity that stands for a whole subscription towards S-CSCFs, if they are to have
 * one; else empty. It stays while the subscription exists, and nobody registers by it. */
struct span hss_fixed_impi(const struct hss *h, struct rec_subscription s,
                           char room[HSS_FIXED_IMPI_MAX]);

/** What an item for SIP Digest points to: secrets, for OPENSSL_cleanse. */
struct hss_digest {
    struct cx_sip_digest_authenticate authenticate;
    char md5[32], sha256[64];
};

/** The SIP-Auth-Data-Item for an IMPI that has a password (TS 29.229 6.3.13, 6.3.36). */
struct cx_sip_auth_data_item hss_digest_item(const struct hss *h, struct rec_impi impi,
                                             struct hss_digest *out);

/* hss.c */

/** A result as Diameter has it. */
struct diameter_result hss_result(enum cx_result r);

/** Answers with a result alone, counts and logs it, and ends the job. */
void hss_refuse(struct job *job, enum cx_result result, struct span impi, struct span impu);

/** DIAMETER_TOO_BUSY, for a request that is not taken. */
void hss_answer_busy(struct diameter_request *rq);

/** Counts and logs a result other than success. */
void hss_note_refusal(struct hss *h, const char *what, enum cx_result result, struct span impi,
                      struct span impu);

/** Server-Capabilities of a subscription or the HSS's own; spans and lists into the arena; NULL if
 * there are none. */
const struct cx_server_capabilities *hss_capabilities(struct hss *h, struct rec_subscription s,
                                                      struct arena *arena);

/** The HSS's own Server-Capabilities; NULL if there are none. */
const struct cx_server_capabilities *hss_default_capabilities(struct hss *h, struct arena *arena);

/** Called when profiles or wildcards have been read: with both, requests are taken. */
void hss_maybe_ready(struct hss *h);

/** Called whenever a job or a web request has ended, for the end of the HSS. */
void hss_maybe_stopped(struct hss *h);

/* web.c */

/** Wakes those who wait for changes, since the HSS ends. */
void changes_tell(struct hss *h);

/** Drops all web requests without an answer. */
void web_free(struct hss *h);

#endif
