/* The repository: subscriptions, service profiles and sequence numbers, kept durably.
 *
 * A subscription is two records (codec/records/): its static data, and its small registration
 * state; and, where application servers know it, a third one with what they want to hear of, and
 * transparent data that they keep here. All share one version, which every save raises by one. The
 * store finds a subscription by its number, or by an identity (an IMPI, an IMPU, or the
 * subscription's own name) through an index that it derives from the static record.
 *
 * Operations are asynchronous. The caller embeds a struct store_op in its own object, sets `done`
 * and starts the operation; bytes that are to be written are copied before the call returns. One
 * rule for completions:
 *
 *     Reads may complete before the call that starts them returns. Writes never do, unless memory
 * is out: then ERR_NO_MEMORY comes at once.
 *
 * A write is complete when it is durable: whoever answers from `done` has promised nothing that a
 * crash could take back. Operations on one subscription take effect in the order in which they were
 * started; a read sees what was committed, not what is still on its way. */
#ifndef MUSTER_STORE_STORE_H
#define MUSTER_STORE_STORE_H

#include "base/error.h"
#include "base/list.h"
#include "base/span.h"

struct store;
struct store_op;

/** What an identity is. IMPIs and IMPUs are compared byte for byte in the form in which they were
 * provisioned. */
enum store_key {
    STORE_IMPI = 1,
    STORE_IMPU = 2,
    STORE_NAME = 3, /* the subscription's own name */
};

/** A subscription as it was read. */
struct store_subscription {
    uint64_t id;          /* number that the store gave it; never used again */
    uint64_t version;     /* of this content: from 1 on */
    struct span data;     /* static record (struct rec_subscription), checked */
    struct span state;    /* registration record (struct rec_registration), checked; never empty */
    struct span watchers; /* what application servers want to hear of (struct rec_watchers),
                             checked; empty: nobody does */
};

/** One operation under way; owned by the caller, who leaves it alone until `done`. */
struct store_op {
    void (*done)(
        struct store_op *op); /* finds its owner with CONTAINER_OF; may start the op anew */
    enum error error;         /* how it went */

    /** For a write of provisioning: what the log of changes shall say of it (struct rec_change). It
     * is copied, and forgotten, when the write starts; it is in the log if and only if the write
     * takes effect. Empty: nothing. */
    struct span log;

    /* Results; spans are valid until `done` returns. */
    struct store_subscription subscription; /* of a load; id and version also of a save */
    uint64_t sqn;                           /* of store_load_sqn */
    struct span record;          /* of a profile or repository data that was loaded; a wildcard */
    size_t failed_at;            /* of an import that failed: index of the subscription at fault */
    struct span failed_identity; /* ERR_EXISTS: the identity that another subscription has */
    const struct store_outcome *outcomes; /* of an import: what became of each change */
    uint64_t mark_stored;                 /* of store_load_mark and of an import with a mark */
    uint64_t news; /* number of what a save or delete has put into the outbox, 0: nothing; of
                      store_next_news, and of store_save_news */
    uint64_t change, last_change; /* of store_next_change: its number, and that of the newest */
    uint64_t concerned;           /* of store_next_change: how many subscriptions it changed */

    /* The store's own while the operation runs. */
    struct list link;
    struct store *store; /* NULL when it is not under way */
    void *internal;
};

/** Loads by number. ERR_NOT_FOUND, ERR_CORRUPT. */
void store_load(struct store *store, struct store_op *op, uint64_t id);

/** Loads by identity. ERR_NOT_FOUND, ERR_CORRUPT. */
void store_find(struct store *store, struct store_op *op, enum store_key key, struct span identity);

/** Loads the subscription with the lowest number above `after` (0: the first): walking all means
 * calling it with the number of the last one until ERR_NOT_FOUND. */
void store_next(struct store *store, struct store_op *op, uint64_t after);

/** A change to one subscription. */
struct store_change {
    uint64_t id;         /* 0: a new one, which gets the next number */
    uint64_t version;    /* which version this was decided on; 0 for a new one */
    struct span data;    /* new static record; empty: unchanged */
    struct span state;   /* new registration record; empty: unchanged, or nobody is registered */
    struct span news;    /* goes into the outbox with it (struct rec_news); empty: nothing does */
    struct span profile; /* only in imports: name of the service profile that data is; else empty */
    struct span watchers;   /* new record of watchers; without any: nobody wants to hear anything;
                               empty: unchanged */
    struct span repository; /* transparent data (struct rec_repository) of one owner and service, in
                               place of what it had; empty: unchanged */
    bool repository_goes;   /* that record's data is deleted instead */
    uint32_t repository_max; /* how many services an owner may have data of; 0: any number */
};

/** Saves. ERR_CONFLICT: it has another version by now, or is gone; nothing was changed. ERR_EXISTS:
 * another subscription has one of the identities. ERR_BUSY: the owner has transparent data of
 * repository_max services already. ERR_STORE: the disk failed, see the implementation.
 *
 * Transparent data follows its owner when static data changes: whoever joins a group of aliases
 * brings it along unless the group has data of that service already, who leaves one takes a copy
 * with him, and the last of its owners takes it away. */
void store_save(struct store *store, struct store_op *op, const struct store_change *change);

/** Deletes a subscription with its index entries, sequence numbers, watchers and transparent data;
 * news (may be empty) goes
 * into the outbox. ERR_CONFLICT, ERR_STORE. */
void store_delete(struct store *store, struct store_op *op, uint64_t id, uint64_t version,
                  struct span news);

/** Loads transparent data of a subscription: op->record (struct rec_repository). of_aliases: owner
 * is a group of aliases. ERR_NOT_FOUND, ERR_CORRUPT. */
void store_load_repository(struct store *store, struct store_op *op, uint64_t id, struct span owner,
                           bool of_aliases, struct span service_indication);

/** Loads the subscription with the lowest number above `after` of whose changes an application
 * server has not been told yet. ERR_NOT_FOUND. */
void store_next_due(struct store *store, struct store_op *op, uint64_t after);

/** The wildcarded identity that follows `after` in the store's order (empty: the first): op->record
 * is its text. What it stands in is found like that of every identity. ERR_NOT_FOUND. */
void store_next_wildcard(struct store *store, struct store_op *op, struct span after);

/* The outbox: what others have to hear of changes, durable with them, in the order of the changes.
 * Entries have numbers from 1 on that are never used again. */

/** The entry with the lowest number above `after`: op->news is its number, op->record the record
 * (struct rec_news). ERR_NOT_FOUND; ERR_CORRUPT: op->news is its number all the same, 0 if not even
 * that can be read. */
void store_next_news(struct store *store, struct store_op *op, uint64_t after);

/** Saves a record in place of an entry (which need not be there), or, with number 0, as a new one.
 * ERR_INVALID: no sound record; ERR_STORE. */
void store_save_news(struct store *store, struct store_op *op, uint64_t number, struct span record);

/** Takes an entry away; one that is not there is no error. */
void store_delete_news(struct store *store, struct store_op *op, uint64_t number);

/* The log of changes: who changed what (store_op's log), in the order of the changes, durable with
 * them. Entries have numbers from 1 on that are never used again; the oldest go when there are more
 * than were asked for. */

/** How many entries are kept from the next one on; 0: none is written any more, which is so unless
 * it is said. */
void store_keep_changes(struct store *store, uint64_t max);

/** The entry with the lowest number above `after`: op->record (struct rec_change), op->change,
 * op->concerned. op->last_change is set in any case. ERR_NOT_FOUND, ERR_CORRUPT. */
void store_next_change(struct store *store, struct store_op *op, uint64_t after);

/** What became of one change of an import. */
struct store_outcome {
    enum error error;     /* OK; ERR_EXISTS; ERR_INVALID, ERR_CORRUPT: no sound record */
    struct span identity; /* ERR_EXISTS: the identity that is taken */
    size_t other;         /* ERR_EXISTS: index of the change of this import that has it, too, or
                           * STORE_TAKEN: a subscription that was there already */
};

#define STORE_TAKEN SIZE_MAX

/** Where a long import stands: a text under a name, which changes in the same transaction as what
 * is imported. So who goes on after a crash neither skips anything nor does it twice. */
struct store_mark {
    struct span name;     /* at most 255 bytes; empty: no mark is kept */
    struct span expected; /* the present text must be this; p is NULL: whatever it is, the import
                             begins, and so does the count of what was stored under the name */
    struct span text;     /* the new one, at most 1024 bytes; empty: the mark is taken away */
};

enum store_import_mode {
    STORE_ALL_OR_NONE, /* one refusal, and nothing is changed */
    STORE_EACH,        /* what is refused is left out; a change gives way to earlier ones */
    STORE_CHECK,       /* nothing is changed: what would STORE_EACH do? */
};

/** An import: new subscriptions, whose ids and versions are 0, and profiles, whose changes have
 * their name in `profile` and the record (struct rec_profile) in data, and replace what is there.
 */
struct store_import {
    const struct store_change *changes;
    size_t n;
    enum store_import_mode mode;
    struct store_mark mark;
};

/** Imports in one transaction. op->outcomes has n entries, mark_stored counts the subscriptions
 * that were stored under the mark so far. ERR_CONFLICT: the mark is another one, nothing was
 * changed. With STORE_ALL_OR_NONE also the first outcome that is not OK, with failed_at and
 * failed_identity; all others are in the outcomes. ERR_NO_MEMORY, ERR_STORE. */
void store_import(struct store *store, struct store_op *op, const struct store_import *import);

/** Loads a mark: op->record is its text, mark_stored the subscriptions stored under it.
 * ERR_NOT_FOUND. */
void store_load_mark(struct store *store, struct store_op *op, struct span name);

/** Loads the sequence number of an IMPI slot of a subscription: op->sqn is what was saved last
 * (struct sqn_counter's `stored`), 0 if nothing ever was. */
void store_load_sqn(struct store *store, struct store_op *op, uint64_t id, unsigned impi_slot);

/** Saves a sequence number in place of the one that was there. ERR_CONFLICT: the store has another
 * one than `expected`; nothing was changed. ERR_STORE. */
void store_save_sqn(struct store *store, struct store_op *op, uint64_t id, unsigned impi_slot,
                    uint64_t expected, uint64_t sqn);

/** Loads the service profile of a name (struct rec_profile). ERR_NOT_FOUND, ERR_CORRUPT. */
void store_load_profile(struct store *store, struct store_op *op, struct span name);

/** Loads the profile whose name follows `after` in the store's order (empty: the first). */
void store_next_profile(struct store *store, struct store_op *op, struct span after);

/** Saves a service profile under its name, new or in place of the old one. */
void store_save_profile(struct store *store, struct store_op *op, struct span name,
                        struct span record);

/** Deletes a service profile. ERR_NOT_FOUND. Whether somebody refers to it is the caller's
 * business.
 */
void store_delete_profile(struct store *store, struct store_op *op, struct span name);

/** Forgets about an operation: `done` will not be called. A write may take place or not. Harmless
 * for one that is not under way. */
void store_cancel(struct store_op *op);

/** Is it under way? */
static inline bool store_op_is_active(const struct store_op *op) {
    return op->store != NULL;
}

/** Number of subscriptions, for metrics. */
uint64_t store_count(const struct store *store);

/** Ends the use: what was started is completed or cancelled (its `done` is not called), files are
 * closed. NULL is allowed. */
void store_free(struct store *store);

#endif
