/* What application servers have with a subscription: transparent data, which follows its owners,
 * and watchers, of which the store notes whose notifications are due. */
#include "store/impl.h"

#include <stdlib.h>

enum {
    ID_SIZE = STORE_ID_SIZE,
    OWNER_SIZE = STORE_ID_SIZE + STORE_HASH_SIZE,
    KEY_SIZE = STORE_REPOSITORY_KEY_SIZE,
    /* Of hashes, besides the kinds of identities. */
    HASH_IMPU_OWNER = 5,
    HASH_ALIASES = 6,
    HASH_SERVICE = 7,
};

void store_repository_key(const struct store *s, uint64_t id, struct span owner, bool of_aliases,
                          struct span service_indication, char key[STORE_REPOSITORY_KEY_SIZE]) {
    (void)store_id_key(key, id);
    store_hash(s, of_aliases ? HASH_ALIASES : HASH_IMPU_OWNER, owner, key + ID_SIZE);
    store_hash(s, HASH_SERVICE, service_indication, key + OWNER_SIZE);
}

static void key_of(const struct store *s, uint64_t id, struct rec_repository r,
                   char key[KEY_SIZE]) {
    store_repository_key(s, id, rec_repository_owner(r), rec_repository_of_aliases(r),
                         rec_repository_service_indication(r), key);
}

/* How many entries begin with this owner's part of a key; counts up to max. */
static enum error count(struct store_kv *kv, const char owner[OWNER_SIZE], size_t max, size_t *n) {
    char at[KEY_SIZE];
    struct span after = span_of(owner, OWNER_SIZE), key, value;
    enum error e = OK;

    for (*n = 0; *n < max; ++*n) {
        e = kv->ops->next(kv, STORE_REPOSITORY, after, &key, &value);
        if (e || key.n != KEY_SIZE || memcmp(key.p, owner, OWNER_SIZE) != 0) {
            return e == ERR_NOT_FOUND ? OK : e;
        }
        memcpy(at, key.p, KEY_SIZE);
        after = span_of(at, KEY_SIZE);
    }
    return e;
}

enum error store_check_repository(const struct store *s, struct store_kv *kv,
                                  const struct store_change *c) {
    char key[KEY_SIZE];
    struct span value;
    size_t n = 0;

    if (!c->repository.n) {
        return OK;
    }
    enum error e = c->id ? record_check(&rec_repository_type, c->repository) : ERR_INVALID;
    if (e || c->repository_goes || !c->repository_max) {
        return e;
    }
    key_of(s, c->id, rec_repository_of(c->repository), key);
    e = kv->ops->get(kv, STORE_REPOSITORY, span_of(key, KEY_SIZE), &value);
    if (e == ERR_NOT_FOUND) {
        e = count(kv, key, c->repository_max, &n);
    }
    return !e && n == c->repository_max ? ERR_BUSY : e;
}

enum error store_put_repository(const struct store *s, struct store_kv *kv,
                                const struct store_change *c) {
    char key[KEY_SIZE];

    key_of(s, c->id, rec_repository_of(c->repository), key);
    return c->repository_goes
               ? kv->ops->del(kv, STORE_REPOSITORY, span_of(key, KEY_SIZE))
               : kv->ops->put(kv, STORE_REPOSITORY, span_of(key, KEY_SIZE), c->repository);
}

/* Is this public identity an owner of the data? */
static bool owns(struct rec_impu impu, struct rec_repository r) {
    struct span group = rec_impu_alias_group(impu);

    return rec_repository_of_aliases(r)
               ? group.n && span_eq(group, rec_repository_owner(r))
               : !group.n && span_eq(rec_impu_identity(impu), rec_repository_owner(r));
}

/* Puts a copy under another owner, unless it has data of the service already. */
static enum error give(const struct store *s, struct store_kv *kv, uint64_t id,
                       const struct rec_repository_data *d, struct rec_impu to) {
    struct rec_repository_data given = *d;
    char key[KEY_SIZE];
    struct span unused;
    size_t size = 1024 + d->owner.n + d->service_indication.n + d->service_data.n;

    given.of_aliases = rec_impu_alias_group(to).n > 0;
    given.owner = given.of_aliases ? rec_impu_alias_group(to) : rec_impu_identity(to);
    size += given.owner.n;
    store_repository_key(s, id, given.owner, given.of_aliases, given.service_indication, key);
    enum error e = kv->ops->get(kv, STORE_REPOSITORY, span_of(key, KEY_SIZE), &unused);
    if (e != ERR_NOT_FOUND) {
        return e;
    }
    char *room = malloc(size);
    struct buf b = buf_init(room, room ? size : 0);
    e = room ? rec_repository_encode(&given, &b) : ERR_NO_MEMORY;
    if (!e) {
        e = kv->ops->put(kv, STORE_REPOSITORY, span_of(key, KEY_SIZE), buf_span(&b));
    }
    free(room);
    return e;
}

/* One entry after a change of the static record: whoever owned it and owns it no longer gets a
 * copy; nobody owns it any more, and it goes. bytes is a copy of its own. */
static enum error move(const struct store *s, struct store_kv *kv, uint64_t id,
                       struct rec_subscription before, struct rec_subscription now,
                       struct span bytes) {
    struct rec_repository r = rec_repository_of(bytes);
    const struct rec_repository_data d = {
        .owner = rec_repository_owner(r),
        .of_aliases = rec_repository_of_aliases(r),
        .service_indication = rec_repository_service_indication(r),
        .sequence_number = rec_repository_sequence_number(r),
        .service_data = rec_repository_service_data(r),
    };
    bool stays = false;
    enum error e = OK;

    for (size_t i = 0, n = rec_subscription_n_impus(now); i < n && !e; i++) {
        struct rec_impu impu = rec_subscription_impus(now, i);
        bool owned = false;

        for (size_t k = 0, all = rec_subscription_n_impus(before); k < all && !owned; k++) {
            struct rec_impu old = rec_subscription_impus(before, k);
            owned = span_eq(rec_impu_identity(old), rec_impu_identity(impu)) && owns(old, r);
        }
        stays |= owns(impu, r);
        if (owned && !owns(impu, r)) {
            e = give(s, kv, id, &d, impu);
        }
    }
    if (!e && !stays) {
        char key[KEY_SIZE];
        key_of(s, id, r, key);
        e = kv->ops->del(kv, STORE_REPOSITORY, span_of(key, KEY_SIZE));
    }
    return e;
}

/* Copies of all entries of a subscription, one behind the other: number of bytes, bytes. */
static enum error collect(struct store_kv *kv, uint64_t id, char **out, size_t *n) {
    char at[KEY_SIZE];
    struct span after = store_id_key(at, id), key, value;

    *out = NULL;
    *n = 0;
    for (;;) {
        enum error e = kv->ops->next(kv, STORE_REPOSITORY, after, &key, &value);

        if (e || key.n != KEY_SIZE || store_id_of(key.p) != id) {
            return e == ERR_NOT_FOUND ? OK : e;
        }
        e = record_check(&rec_repository_type, value);
        char *grown = e ? NULL : realloc(*out, *n + sizeof value.n + value.n);
        if (!grown) {
            return e ? e : ERR_NO_MEMORY;
        }
        *out = grown;
        memcpy(grown + *n, &value.n, sizeof value.n);
        memcpy(grown + *n + sizeof value.n, value.p, value.n);
        *n += sizeof value.n + value.n;
        memcpy(at, key.p, KEY_SIZE);
        after = span_of(at, KEY_SIZE);
    }
}

enum error store_move_repository(const struct store *s, struct store_kv *kv, uint64_t id,
                                 struct rec_subscription before, struct rec_subscription now) {
    char *entries;
    size_t n, size;
    enum error e = collect(kv, id, &entries, &n);

    for (size_t at = 0; at < n && !e; at += sizeof size + size) {
        memcpy(&size, entries + at, sizeof size);
        e = move(s, kv, id, before, now, span_of(entries + at + sizeof size, size));
    }
    free(entries);
    return e;
}

enum error store_delete_all(struct store_kv *kv, enum store_table t, uint64_t id) {
    char room[ID_SIZE], found[KEY_SIZE];
    struct span key, value;
    enum error e = kv->ops->del(kv, t, store_id_key(room, id)); /* the number alone */

    while (!e) {
        e = kv->ops->next(kv, t, store_id_key(room, id), &key, &value);
        if (e || key.n > sizeof found || key.n < ID_SIZE || store_id_of(key.p) != id) {
            return e == ERR_NOT_FOUND ? OK : e;
        }
        memcpy(found, key.p, key.n);
        e = kv->ops->del(kv, t, span_of(found, key.n));
    }
    return e;
}

enum error store_put_watchers(struct store_kv *kv, uint64_t id, struct span record) {
    char room[ID_SIZE];
    struct span key = store_id_key(room, id);
    struct rec_watchers r = rec_watchers_of(record);
    size_t n = rec_watchers_n_watchers(r);
    bool due = false;

    for (size_t i = 0; i < n && !due; i++) {
        struct rec_watcher w = rec_watchers_watchers(r, i);
        due = rec_watcher_changes(w) != rec_watcher_told(w);
    }
    enum error e =
        n ? kv->ops->put(kv, STORE_WATCHERS, key, record) : kv->ops->del(kv, STORE_WATCHERS, key);
    if (!e) {
        e = due ? kv->ops->put(kv, STORE_DUE, key, SPAN("1")) : kv->ops->del(kv, STORE_DUE, key);
    }
    return e;
}
