/* What the files of the web interface share. Nothing here is on the message path. */
#ifndef MUSTER_NODE_HSS_WEB_H
#define MUSTER_NODE_HSS_WEB_H

#include "model/subscription/difference.h"
#include "node/hss/internal.h"

#include <jansson.h>

enum { WEB_NAME_MAX = 1024, WEB_CONDITION_MAX = 256 };

/** Which secrets an answer has. */
enum web_secrets {
    WEB_SECRETS_NONE,
    WEB_SECRETS_DIGEST, /* hashes of passwords (HA1) */
    WEB_SECRETS_KEYS,   /* these, and the keys of cards (K, OPc) */
};

/** Lines of an export; wiped at the end. */
struct export_page {
    char *text;
    size_t n, cap;
    bool failed; /* memory is out */
};

/** One request on its way. */
struct web_job {
    struct list link; /* of the HSS's */
    struct hss *hss;
    web_answer_fn *answer;
    void *answer_ctx;
    struct addr remote; /* who asks, and from where; family 0: this process itself */
    char who[WEB_TOKEN_NAME_MAX + 1];
    char if_match[WEB_CONDITION_MAX], if_none_match[WEB_CONDITION_MAX];
    const char *allowed; /* of 405; else NULL */
    char etag[32];       /* of what it is about, with quotes; empty: it has none */
    struct job *job;     /* while it has, or waits for, a subscription's turn */
    struct store_op op;  /* what is done without a turn */
    struct arena arena;
    json_t *body;            /* what was sent; spans of records point into it */
    char name[WEB_NAME_MAX]; /* of the path, or the identity that is asked for */
    size_t name_n;

    /* A walk over all subscriptions. */
    struct timer pause; /* between its parts */
    uint64_t after;
    size_t seen, limit;
    size_t walked;         /* of the log of changes */
    uint64_t from_the_end; /* so many of the newest are wanted */
    uint64_t last_change, wait_until_us;
    bool awaits_changes;
    struct post turn;           /* between the parts of an export */
    struct export_page page;    /* of an export */
    bool asking, got, finished; /* an answer that comes within the call does not recurse */
    enum error error;
    json_t *reply; /* the page */

    enum web_secrets secrets; /* what is asked for of them */
    uint32_t features;        /* of whom User-Data is for */
    struct span record;       /* of the subscription or profile on its way; wiped at the end */
    struct profile *going;    /* to be deleted */
    bool creates;
    struct store_change *changes; /* an import */
    size_t n_changes, n_subscriptions;
    struct import_place *places; /* where each of them stands in the body */
    struct bulk_job *bulk;       /* a request of a long import, see bulk.h */
};

/** What reading JSON needs and finds out: the first fault, sticky. */
struct json_reader {
    struct hss *hss;
    struct arena *arena;
    const struct rec_subscription *old; /* what the subscription is now; NULL: new, or not known */
    const void *claim;                  /* in whose name wildcards are claimed (wildcards_claim) */
    bool failed;
    struct subscription_fault fault;
};

/* web.c */

/** Answers with JSON (stolen; NULL: no content) and ends the request. */
void web_end(struct web_job *w, unsigned status, json_t *json);

/** Answers with a problem and ends the request. fault may be NULL; prefix stands before its member.
 */
void web_problem(struct web_job *w, unsigned status, const char *detail,
                 const struct subscription_fault *fault, const char *prefix);

/** Answers with anything, and ends the request. */
void web_end_with(struct web_job *w, const struct web_answer *answer);

/** Answers with the lines of w->page; next: where the next page begins, empty: nowhere. */
void web_end_lines(struct web_job *w, const char *next);

/** Answers 405; allowed: the methods that there are. */
void web_refuse_method(struct web_job *w, const char *allowed);

/** A number of the query, at most max; *out stays if it is absent. False: it is none. */
bool web_number(struct span query, const char *name, uint64_t max, uint64_t *out);

/** Counts and logs a change that is durable now: what was done to which (empty: to n of them). */
void web_changed(struct web_job *w, const char *what, struct span name, size_t n);

/** Overwrites keys and passwords in what was sent. */
void web_wipe(json_t *json);

/** Answers with what an error of the store means to a client. */
void web_store_problem(struct web_job *w, enum error e);

/** The name of the path as a span. */
static inline struct span web_name(const struct web_job *w) {
    return (struct span){w->name, w->name_n};
}

/** Looks for the subscription that w->name names by key, and calls run with its turn. A public
 * identity is also found by a wildcard that it belongs to. */
void web_with_subscription(struct web_job *w, enum store_key key, void (*run)(struct job *job));

/** Which member has the identity that another subscription has, too. */
void web_taken(struct rec_subscription s, struct span identity, struct subscription_fault *fault);

/* json_reader.c */

/** Notes the fault, if it is the first: path and its '#', see subscription_faulty. */
void json_fault(struct json_reader *r, const char *rule, const char *path, size_t index,
                const char *text);

/** Reads a document: at most max_values values, nested at most JSON_DEPTH_MAX deep, without members
 * that come twice. What is too deep or too much is refused before memory is taken for it. NULL:
 * *error says what and where. */
json_t *json_read(struct span text, size_t max_values, json_error_t *error);

enum {
    JSON_DEPTH_MAX = 32,
    JSON_LINE_VALUES_MAX = 200000, /* of one subscription or profile */
    JSON_BODY_VALUES_MAX = 4000000,
};

/** Refuses members whose names are not in the list (NULL at its end), and what is no object. */
void json_known(struct json_reader *r, const json_t *object, const char *path, size_t index,
                const char *const *names);

/** A member of an object as text; empty if absent. path names the object, index its '#'. */
struct span json_text(struct json_reader *r, const json_t *object, const char *name,
                      const char *path, size_t index);

/** A member as a boolean; `otherwise` if absent. */
bool json_flag(struct json_reader *r, const json_t *object, const char *name, const char *path,
               size_t index, bool otherwise);

/** A member as a number up to max; `otherwise` if absent. */
uint32_t json_number(struct json_reader *r, const json_t *object, const char *name,
                     const char *path, size_t index, uint32_t max, uint32_t otherwise);

/** A member as a list, NULL if absent. */
const json_t *json_list(struct json_reader *r, const json_t *object, const char *name,
                        const char *path, size_t index);

/** A member as a list of numbers in the arena. */
const uint32_t *json_numbers(struct json_reader *r, const json_t *object, const char *name,
                             const char *path, size_t index, size_t *n);

/** A member as a list of texts. */
const struct span *json_texts(struct json_reader *r, const json_t *object, const char *name,
                              const char *path, size_t index, size_t *n);

/** Zeroed memory in the arena; a fault when memory is out. */
void *json_take(struct json_reader *r, size_t n, size_t size);

/* json_subscription.c */

/** Reads a subscription. name: the one that it must have (empty: its own); old: what is there
 * already, whose keys and slots it keeps, or NULL. Spans point into the JSON and the arena. Rules
 * of the whole are not checked here. */
void subscription_from_json(struct json_reader *r, const json_t *json, struct span name,
                            const struct rec_subscription *old, struct rec_subscription_data *out);

/** Reads a SIM, or a user with a password (member "user"), and makes a subscription of it. */
void sim_from_json(struct json_reader *r, const json_t *json, struct rec_subscription_data *out);

/** What people see of a subscription, and of its secrets what is asked for. NULL when memory is
 * out. */
json_t *subscription_to_json(struct hss *h, const struct subscription *s, uint64_t version,
                             enum web_secrets secrets);

/** How a type of public identity is called (enum identity_type). */
const char *subscription_type_name(uint8_t type);

/* export.c */

/** Appends a subscription as a line that an import reads. */
void export_line(struct export_page *page, struct rec_subscription s, enum web_secrets secrets);

/** Lists a page as lines. */
void web_export(struct web_job *w);

/* json_credentials.c */

/** Reads the credentials of a private identity (TS 33.203 6.1 and annex N): k, op or opc, amf; and
 * password or ha1_md5, ha1_sha256, with digest_realm. out->identity stands already; what out holds
 * stays where nothing new is said; an empty password takes the Digest credential away. */
void credentials_from_json(struct json_reader *r, const json_t *json, const char *path,
                           size_t index, struct rec_impi_data *out);

/** Shows which credentials there are, and nothing that would help to use them. */
void credentials_to_json(struct hss *h, struct rec_impi impi, json_t *json);

/** Adds the secrets, for an export that asks for them. Keys of cards leave only where the
 * configuration says that they may. */
void credentials_export(struct rec_impi impi, enum web_secrets secrets, json_t *json);

/** A text as JSON; a NULL span is the empty text. */
json_t *json_of_text(struct span s);

/** Sets a member, unless the text is empty. */
void json_set_text(json_t *object, const char *name, struct span s);

/* json_profile.c */

/** Reads a service profile. */
void profile_from_json(struct json_reader *r, const json_t *json, struct span name,
                       struct rec_profile_data *out);

/** What people see of a profile. NULL when memory is out. */
json_t *profile_to_json(struct rec_profile p);

/* conditions.c */

/** Notes the ETag of a subscription. */
void web_etag_version(struct web_job *w, uint64_t version);

/** Notes the ETag of a service profile. */
void web_etag_record(struct web_job *w, struct span record);

/** Is what w->etag names to be shown? False: the client has it, and 304 was answered. */
MUST_CHECK bool web_may_show(struct web_job *w);

/** Do the request's conditions hold for what w->etag names, if it exists? False: it was refused
 * (412, 428). */
MUST_CHECK bool web_may_change(struct web_job *w, bool exists);

/* changes.c */

enum change_kind {
    CHANGE_ADDED,
    CHANGE_CHANGED,
    CHANGE_DELETED,
    CHANGE_IMPORTED,
    CHANGE_PROFILE_ADDED,
    CHANGE_PROFILE_CHANGED,
    CHANGE_PROFILE_DELETED,
    CHANGE_ENDED, /* registrations, by the operator's wish */
    CHANGE_KINDS
};

/** Has the write that w->op starts next leave an entry in the log of changes: a subscription of
 * this version afterwards (0: none). before NULL: it is new; now NULL: it goes. */
void change_note(struct web_job *w, struct span name, uint64_t version,
                 const struct rec_subscription *before, const struct rec_subscription *now);

/** The same for the service profile of the path; records, empty: there is none. */
void change_note_profile(struct web_job *w, struct span before, struct span now);

/** The same for registrations that an operator ends: what the S-CSCF is told of them. */
void change_note_ended(struct web_job *w, uint64_t version, const struct rec_news_item_data *items,
                       size_t n);

/** The same for an import. */
void change_note_import(struct web_job *w, struct span name, const struct store_change *changes,
                        size_t n);

/** Lists the log of changes. */
void web_changes(struct web_job *w, struct span query);

/* provisioning.c */

/** Shows the subscription of the path. */
void web_get(struct web_job *w);

/** Shows the subscription that has the identity asked for. */
void web_find(struct web_job *w);

/** Makes or replaces the subscription of the path. */
void web_put(struct web_job *w);

/** Deletes the subscription of the path. */
void web_delete(struct web_job *w);

/** Ends registrations of the subscription of the path (deregister.c). */
void web_deregister(struct web_job *w);

/** Lists a page. */
void web_list(struct web_job *w);

/* web_profiles.c */

/** Shows the profile of the path. */
void web_profile_get(struct web_job *w);

/** Lists all profiles. */
void web_profile_list(struct web_job *w);

/** Makes or replaces the profile of the path. */
void web_profile_put(struct web_job *w);

/** Deletes the profile of the path, if no subscription refers to it. */
void web_profile_delete(struct web_job *w);

/* web_shared_sets.c */

/** Shows the shared set of the path. */
void web_shared_set_get(struct web_job *w);

/** Lists all shared sets. */
void web_shared_set_list(struct web_job *w);

/** Makes or replaces the shared set of the path. */
void web_shared_set_put(struct web_job *w);

/** Deletes the shared set of the path. */
void web_shared_set_delete(struct web_job *w);

/** Checks a profile beside the shared sets that it names: notes a fault if two criteria that an
 * S-CSCF would order together have the same priority. */
void shared_sets_check(struct json_reader *r, const struct rec_profile_data *data);

/* web_user_data.c */

/** Shows the User-Data of the identity of the path: for an S-CSCF that has the shared sets, or for
 * one that has not. */
void web_user_data(struct web_job *w, bool shared_sets);

/* import.c */

/** Adds what the body holds: subscriptions and profiles, or SIMs. */
void web_import(struct web_job *w, bool sims);

/* bulk.c */

/** Serves /imports/NAME. */
void web_bulk(struct web_job *w, const struct web_request *request);

/** Frees what a request of a long import holds. */
void bulk_job_free(struct web_job *w);

/** Gives up all imports under way. */
void bulk_sessions_free(struct hss *h);

/* provisioning.c */

/** Checks a subscription against all rules; also: profiles that come with it. False: the fault is
 * noted. */
bool web_check(struct json_reader *r, const struct rec_subscription_data *s,
               const struct rec_profile_data *also, size_t n_also);

/** What a difference of the job's subscription puts into a change (now: its data afterwards, NULL:
 * it goes): what S-CSCFs hear, the registration state, and who watches it over Sh. Records are in
 * the arena; empty without need. */
MUST_CHECK enum error web_put_difference(struct job *job, struct arena *arena,
                                         const struct rec_subscription *now,
                                         const struct subscription_difference *d,
                                         struct store_change *change);

/** Data as a record, in the arena; empty: it is too large, or memory is out. */
struct span web_record(struct arena *arena, const struct record_type *type, const void *data);

/** The record of a subscription, in the arena; a fault when it does not fit. Keys in the value are
 * wiped. */
struct span web_subscription_record(struct json_reader *r, struct rec_subscription_data *s);

/** The record of a profile likewise. */
struct span web_profile_record(struct json_reader *r, const struct rec_profile_data *p);

#endif
