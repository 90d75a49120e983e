/* What the implementations of the store share. An implementation brings tables of ordered keys
 * (struct store_kv) and decides when writes are applied and durable; what the operations mean is
 * written once, in apply.c. */
#ifndef MUSTER_STORE_IMPL_H
#define MUSTER_STORE_IMPL_H

#include "base/buf.h"
#include "spec/records.h"
#include "store/store.h"

enum store_table {
    STORE_DATA,     /* number -> static record */
    STORE_STATE,    /* number -> version, registration record */
    STORE_INDEX,    /* hash of an identity -> number */
    STORE_SQN,      /* number, IMPI slot -> sequence number */
    STORE_PROFILES, /* name -> service profile */
    STORE_NEWS,     /* number -> what others have to hear */
    STORE_WATCHERS, /* number -> what application servers want to hear of */
    STORE_DUE,      /* number of a subscription of whose changes one has not heard yet -> nothing */
    STORE_REPOSITORY, /* number, hash of owner, hash of service -> transparent data */
    STORE_WILDCARDS,  /* wildcarded identity -> number */
    STORE_CHANGES,    /* number -> how many subscriptions it concerns, who changed what */
    STORE_META,       /* "next", "next-news", "next-change" -> the next number; "secret"; "schema";
                         "mark:..." */
    STORE_TABLES
};

struct store_kv;

/** Tables as one transaction sees them. Keys are compared bytewise, shorter first among equal
 * prefixes; spans are valid until the transaction ends or writes. */
struct store_kv_ops {
    /** ERR_NOT_FOUND, ERR_STORE. */
    enum error (*get)(struct store_kv *kv, enum store_table t, struct span key, struct span *value);
    /** First entry whose key is above `after` (or any, if that is empty). */
    enum error (*next)(struct store_kv *kv, enum store_table t, struct span after, struct span *key,
                       struct span *value);
    /** ERR_STORE, ERR_NO_MEMORY: the transaction is to be given up. */
    enum error (*put)(struct store_kv *kv, enum store_table t, struct span key, struct span value);
    /** The same for a key above all that are there. */
    enum error (*append)(struct store_kv *kv, enum store_table t, struct span key,
                         struct span value);
    /** The same; a key that is not there is no error. */
    enum error (*del)(struct store_kv *kv, enum store_table t, struct span key);
};

struct store_kv {
    const struct store_kv_ops *ops;
};

enum {
    STORE_SECRET_SIZE = 192, /* of the index's hash */
    STORE_HASH_SIZE = 16,
    STORE_ID_SIZE = 8,
    STORE_IDENTITY_MAX = 1024,
    STORE_MARK_NAME_MAX = 255,
    STORE_MARK_TEXT_MAX = 1024,
    STORE_REPOSITORY_KEY_SIZE = STORE_ID_SIZE + 2 * STORE_HASH_SIZE,
};

enum store_write_kind {
    WRITE_SAVE,
    WRITE_DELETE,
    WRITE_IMPORT,
    WRITE_SQN,
    WRITE_SAVE_PROFILE,
    WRITE_DELETE_PROFILE,
    WRITE_SAVE_NEWS,
    WRITE_DELETE_NEWS,
};

/** A write on its way: everything copied, so that its op may go away. */
struct store_write {
    struct list link;
    struct store_op *op; /* NULL: cancelled. Only the loop's thread looks at it. */
    enum store_write_kind kind;
    struct store_change *changes; /* spans into bytes */
    size_t n_changes;
    struct span name, record; /* profiles; spans into bytes */
    struct span log;          /* for the log of changes; into bytes */
    uint64_t n_stored;        /* subscriptions that an import has stored */
    enum store_import_mode mode;
    struct store_mark mark;         /* spans into bytes */
    struct store_outcome *outcomes; /* in bytes */
    uint64_t mark_stored;
    uint64_t expected, sqn;
    unsigned impi_slot;

    enum error error; /* results */
    uint64_t id, version, news;
    size_t failed_at;
    struct span failed_identity; /* into bytes */

    size_t n_bytes;
    bool holds_keys; /* static records: wiped when the write is taken back */
    char *bytes;     /* what the spans look into: `inside`, or malloced if that is too small */
    char inside[1024] __attribute__((aligned(8)));
};

/** Reads that an implementation may have to put off. */
enum store_read_kind {
    READ_LOAD,
    READ_FIND,
    READ_NEXT,
    READ_SQN,
    READ_PROFILE,
    READ_NEXT_PROFILE,
    READ_MARK,
    READ_NEXT_NEWS,
    READ_NEXT_DUE,
    READ_REPOSITORY,
    READ_NEXT_WILDCARD,
    READ_NEXT_CHANGE,
};

struct store_read {
    enum store_read_kind kind;
    uint64_t id;
    unsigned impi_slot;
    enum store_key key;
    struct span text; /* identity or name; key of transparent data */
};

struct store_ops {
    void (*read)(struct store *s, struct store_op *op, const struct store_read *read);
    /** Takes a filled write over; calls store_complete when it is durable. */
    void (*write)(struct store *s, struct store_write *w);
    void (*cancel_read)(struct store *s, struct store_op *op);
    uint64_t (*count)(const struct store *s);
    void (*free)(struct store *s);
};

/** The public beginning of every implementation. */
struct store {
    const struct store_ops *ops;
    uint8_t secret[STORE_SECRET_SIZE];
    uint64_t changes_max; /* of the log */
    struct list spare;    /* writes to be used again */
    size_t n_spare;
};

/** Makes the common part. */
void store_init(struct store *s, const struct store_ops *ops);

/** Frees the common part. */
void store_fini(struct store *s);

/** Does a read in a transaction: fills op but does not complete it. */
void store_apply_read(const struct store *s, struct store_kv *kv, const struct store_read *read,
                      struct store_op *op);

/** Does a write in a transaction. Its own refusals (conflicts) are in w->error and have changed
 * nothing; the result is ERR_STORE or ERR_NO_MEMORY when the transaction must be given up. */
MUST_CHECK enum error store_apply(const struct store *s, struct store_kv *kv,
                                  struct store_write *w);

/** Does an import; see store_apply. */
MUST_CHECK enum error store_apply_import(const struct store *s, struct store_kv *kv,
                                         struct store_write *w);

/** The key of transparent data; its first STORE_ID_SIZE + STORE_HASH_SIZE bytes are the owner's. */
void store_repository_key(const struct store *s, uint64_t id, struct span owner, bool of_aliases,
                          struct span service_indication, char key[STORE_REPOSITORY_KEY_SIZE]);

/** May transparent data be saved as a change wants it? ERR_INVALID, ERR_BUSY. */
MUST_CHECK enum error store_check_repository(const struct store *s, struct store_kv *kv,
                                             const struct store_change *c);

/** Saves or deletes it. */
MUST_CHECK enum error store_put_repository(const struct store *s, struct store_kv *kv,
                                           const struct store_change *c);

/** Lets it follow its owners from one static record to the next. */
MUST_CHECK enum error store_move_repository(const struct store *s, struct store_kv *kv, uint64_t id,
                                            struct rec_subscription before,
                                            struct rec_subscription now);

/** Deletes all of a subscription's entries of a table whose keys begin with its number. */
MUST_CHECK enum error store_delete_all(struct store_kv *kv, enum store_table t, uint64_t id);

/** Saves a record of watchers, and notes whether any is due. */
MUST_CHECK enum error store_put_watchers(struct store_kv *kv, uint64_t id, struct span record);

/** Appends a write's entry to the log of changes, which has n_max at most. */
MUST_CHECK enum error store_apply_log(struct store_kv *kv, const struct store_write *w,
                                      uint64_t n_max);

/** Reads the entry after one into op. */
void store_apply_next_change(struct store_kv *kv, uint64_t after, struct store_op *op);

/** Reads a mark into op. */
void store_apply_mark(struct store_kv *kv, struct span name, struct store_op *op);

/** The identities of a static record, one after the other: its name, IMPIs, IMPUs. False: there is
 * no ith. */
bool store_identity_at(struct rec_subscription r, size_t i, enum store_key *key,
                       struct span *identity);

/** Is the ith identity (store_identity_at) a wildcard? */
bool store_is_wildcard_at(struct rec_subscription r, size_t i);

/** Are the records of a change sound? */
MUST_CHECK enum error store_check_records(const struct store_change *c);

/** May this profile be written? */
MUST_CHECK enum error store_check_profile(struct span name, struct span record);

/** The value of the state table: version and registration record (empty: nobody is registered), in
 * room or, if that is too small, in *large (free). ERR_NO_MEMORY. */
MUST_CHECK enum error store_state_value(uint64_t version, struct span state, struct buf *room,
                                        char **large, struct span *out);

/** Is this error one write's own, and not the transaction's? */
bool store_is_refusal(enum error e);

/** A number as it stands in keys, and back. */
static inline struct span store_id_key(char key[STORE_ID_SIZE], uint64_t id) {
    for (int i = 0; i < STORE_ID_SIZE; i++) {
        key[i] = (char)(id >> (56 - 8 * i));
    }
    return (struct span){key, STORE_ID_SIZE};
}

/** See store_id_key. */
static inline uint64_t store_id_of(const char *key) {
    uint64_t id = 0;

    for (int i = 0; i < STORE_ID_SIZE; i++) {
        id = id << 8 | (uint8_t)key[i];
    }
    return id;
}

/** Hands a write's result to its op, if that still waits, and takes the write back. */
void store_complete(struct store *s, struct store_write *w);

/** Takes a write back without completing it. */
void store_drop(struct store *s, struct store_write *w);

/** Ends a read: op is not under way any more, done is called. */
void store_complete_read(struct store_op *op);

/** Converts what is of an older schema, notes the schema. ERR_UNSUPPORTED: made by a newer Muster.
 */
MUST_CHECK enum error store_upgrade(struct store_kv *kv);

/** Keyed hash of an identity (kind: enum store_key), under which it stands in the index, or of
 * another name in a key (services.c). */
void store_hash(const struct store *s, unsigned kind, struct span identity,
                char out[STORE_HASH_SIZE]);

#endif
