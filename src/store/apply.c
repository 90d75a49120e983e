/* What the store's operations mean, over tables of any implementation. A write looks first and
 * changes then, so that a refusal has changed nothing. */
#include "store/impl.h"

#include <stdlib.h>
#include <xxhash.h>

enum {
    ID_SIZE = STORE_ID_SIZE,
    VERSION_SIZE = 8,
    IDENTITY_MAX = STORE_IDENTITY_MAX,
    PROFILE_NAME_MAX = 255
};

static struct span sqn_key(char key[ID_SIZE + 1], uint64_t id, unsigned slot) {
    (void)store_id_key(key, id);
    key[ID_SIZE] = (char)slot;
    return (struct span){key, ID_SIZE + 1};
}

void store_hash(const struct store *s, unsigned kind, struct span identity,
                char out[STORE_HASH_SIZE]) {
    char keyed[1 + IDENTITY_MAX];
    size_t n = identity.n < IDENTITY_MAX ? identity.n : IDENTITY_MAX;

    keyed[0] = (char)kind;
    if (n) {
        memcpy(keyed + 1, identity.p, n);
    }
    XXH128_canonicalFromHash((XXH128_canonical_t *)(void *)out,
                             XXH3_128bits_withSecret(keyed, n + 1, s->secret, sizeof s->secret));
}

bool store_identity_at(struct rec_subscription r, size_t i, enum store_key *key,
                       struct span *identity) {
    size_t n_impis = rec_subscription_n_impis(r);

    if (i == 0) {
        *key = STORE_NAME;
        *identity = rec_subscription_name(r);
    } else if (i <= n_impis) {
        *key = STORE_IMPI;
        *identity = rec_impi_identity(rec_subscription_impis(r, i - 1));
    } else if (i - 1 - n_impis < rec_subscription_n_impus(r)) {
        *key = STORE_IMPU;
        *identity = rec_impu_identity(rec_subscription_impus(r, i - 1 - n_impis));
    } else {
        return false;
    }
    return true;
}

bool store_is_wildcard_at(struct rec_subscription r, size_t i) {
    enum { WILDCARDED_PSI = 2, WILDCARDED_USER = 4 }; /* IdentityType, TS 29.228 annex B.2.1 */
    size_t others = 1 + rec_subscription_n_impis(r);

    if (i < others) {
        return false;
    }
    uint8_t type = rec_impu_type(rec_subscription_impus(r, i - others));
    return type == WILDCARDED_PSI || type == WILDCARDED_USER;
}

static bool has_identity(struct rec_subscription r, enum store_key key, struct span identity) {
    enum store_key k;
    struct span s;

    for (size_t i = 0; store_identity_at(r, i, &k, &s); i++) {
        if (k == key && span_eq(s, identity)) {
            return true;
        }
    }
    return false;
}

/* Reads. */

static enum error load_state(struct store_kv *kv, struct span key, struct span *state,
                             uint64_t *version) {
    struct span value;
    enum error e = kv->ops->get(kv, STORE_STATE, key, &value);

    if (e) {
        return e == ERR_NOT_FOUND ? ERR_CORRUPT : e;
    }
    if (value.n < VERSION_SIZE) {
        return ERR_CORRUPT;
    }
    *version = store_id_of(value.p);
    *state = span_after(value, VERSION_SIZE);
    return record_check(&rec_registration_type, *state);
}

static enum error load_watchers(struct store_kv *kv, struct span key, struct span *watchers) {
    enum error e = kv->ops->get(kv, STORE_WATCHERS, key, watchers);

    if (e == ERR_NOT_FOUND) {
        *watchers = SPAN_NONE;
        return OK;
    }
    return e ? e : record_check(&rec_watchers_type, *watchers);
}

static enum error fill(struct store_kv *kv, struct span key, struct span data,
                       struct store_subscription *out) {
    enum error e = record_check(&rec_subscription_type, data);

    if (e) {
        return e;
    }
    out->id = store_id_of(key.p);
    out->data = data;
    e = load_state(kv, key, &out->state, &out->version);
    return e ? e : load_watchers(kv, key, &out->watchers);
}

static enum error load(struct store_kv *kv, uint64_t id, struct store_subscription *out) {
    char room[ID_SIZE];
    struct span key = store_id_key(room, id), data;
    enum error e = kv->ops->get(kv, STORE_DATA, key, &data);

    return e ? e : fill(kv, key, data, out);
}

static enum error find(const struct store *s, struct store_kv *kv, enum store_key key,
                       struct span identity, struct store_subscription *out) {
    char hash[STORE_HASH_SIZE];
    struct span value;

    if (identity.n == 0 || identity.n > IDENTITY_MAX) {
        return ERR_NOT_FOUND;
    }
    store_hash(s, key, identity, hash);
    enum error e = kv->ops->get(kv, STORE_INDEX, span_of(hash, sizeof hash), &value);
    if (e) {
        return e;
    }
    if (value.n != ID_SIZE) {
        return ERR_CORRUPT;
    }
    e = load(kv, store_id_of(value.p), out);
    if (e) {
        return e == ERR_NOT_FOUND ? ERR_CORRUPT : e;
    }
    return has_identity(rec_subscription_of(out->data), key, identity) ? OK : ERR_NOT_FOUND;
}

static enum error next(struct store_kv *kv, uint64_t after, struct store_subscription *out) {
    char room[ID_SIZE];
    struct span key, data;
    enum error e = kv->ops->next(kv, STORE_DATA, store_id_key(room, after), &key, &data);

    if (!e && key.n != ID_SIZE) {
        e = ERR_CORRUPT;
    }
    return e ? e : fill(kv, key, data, out);
}

static enum error load_sqn(struct store_kv *kv, uint64_t id, unsigned slot, uint64_t *sqn) {
    char room[ID_SIZE + 1];
    struct span value;
    enum error e = kv->ops->get(kv, STORE_SQN, sqn_key(room, id, slot), &value);

    *sqn = 0;
    if (e == ERR_NOT_FOUND) {
        return OK;
    }
    if (!e && value.n != 8) {
        e = ERR_CORRUPT;
    }
    if (!e) {
        *sqn = store_id_of(value.p);
    }
    return e;
}

static enum error next_due(struct store_kv *kv, uint64_t after, struct store_subscription *out) {
    char room[ID_SIZE];
    struct span key, nothing;
    enum error e = kv->ops->next(kv, STORE_DUE, store_id_key(room, after), &key, &nothing);

    if (e) {
        return e;
    }
    if (key.n != ID_SIZE) {
        return ERR_CORRUPT;
    }
    out->id = store_id_of(key.p);
    return load(kv, out->id, out) == OK ? OK : ERR_CORRUPT;
}

static void next_news(struct store_kv *kv, uint64_t after, struct store_op *op) {
    char room[ID_SIZE];
    struct span key = SPAN_NONE;

    op->error = kv->ops->next(kv, STORE_NEWS, store_id_key(room, after), &key, &op->record);
    op->news = !op->error && key.n == ID_SIZE ? store_id_of(key.p) : 0;
    if (!op->error) {
        op->error = op->news ? record_check(&rec_news_type, op->record) : ERR_CORRUPT;
    }
}

void store_apply_read(const struct store *s, struct store_kv *kv, const struct store_read *read,
                      struct store_op *op) {
    struct span key;

    op->subscription = (struct store_subscription){0};
    op->record = SPAN_NONE;
    switch (read->kind) {
    case READ_LOAD:
        op->error = load(kv, read->id, &op->subscription);
        break;
    case READ_FIND:
        op->error = find(s, kv, read->key, read->text, &op->subscription);
        break;
    case READ_NEXT:
        op->error = next(kv, read->id, &op->subscription);
        break;
    case READ_SQN:
        op->error = load_sqn(kv, read->id, read->impi_slot, &op->sqn);
        break;
    case READ_PROFILE:
        op->error = kv->ops->get(kv, STORE_PROFILES, read->text, &op->record);
        break;
    case READ_NEXT_PROFILE:
        op->error = kv->ops->next(kv, STORE_PROFILES, read->text, &key, &op->record);
        break;
    case READ_MARK:
        store_apply_mark(kv, read->text, op);
        return;
    case READ_NEXT_NEWS:
        next_news(kv, read->id, op);
        return;
    case READ_NEXT_DUE:
        op->error = next_due(kv, read->id, &op->subscription);
        break;
    case READ_REPOSITORY:
        op->error = kv->ops->get(kv, STORE_REPOSITORY, read->text, &op->record);
        if (!op->error) {
            op->error = record_check(&rec_repository_type, op->record);
        }
        return;
    case READ_NEXT_WILDCARD:
        op->error = kv->ops->next(kv, STORE_WILDCARDS, read->text, &op->record, &key);
        return;
    case READ_NEXT_CHANGE:
        store_apply_next_change(kv, read->id, op);
        return;
    }
    if (!op->error && op->record.p) {
        op->error = record_check(&rec_profile_type, op->record);
    }
}

/* Writes. */

/* May subscription `id` (0: a new one) have all identities of this record? */
static enum error check_identities(const struct store *s, struct store_kv *kv, uint64_t id,
                                   struct rec_subscription r, struct span *taken) {
    char hash[STORE_HASH_SIZE];
    enum store_key key;
    struct span identity, value;

    for (size_t i = 0; store_identity_at(r, i, &key, &identity); i++) {
        if (identity.n == 0 || identity.n > IDENTITY_MAX) {
            return ERR_INVALID;
        }
        store_hash(s, key, identity, hash);
        enum error e = kv->ops->get(kv, STORE_INDEX, span_of(hash, sizeof hash), &value);
        if (!e && (value.n != ID_SIZE || store_id_of(value.p) != id)) {
            *taken = identity;
            return ERR_EXISTS;
        }
        if (e && e != ERR_NOT_FOUND) {
            return e;
        }
    }
    return OK;
}

static enum error index_all(const struct store *s, struct store_kv *kv, uint64_t id,
                            struct rec_subscription r) {
    char hash[STORE_HASH_SIZE], room[ID_SIZE];
    enum store_key key;
    struct span identity;

    for (size_t i = 0; store_identity_at(r, i, &key, &identity); i++) {
        store_hash(s, key, identity, hash);
        enum error e =
            kv->ops->put(kv, STORE_INDEX, span_of(hash, sizeof hash), store_id_key(room, id));
        if (!e && store_is_wildcard_at(r, i)) {
            e = kv->ops->put(kv, STORE_WILDCARDS, identity, store_id_key(room, id));
        }
        if (e) {
            return e;
        }
    }
    return OK;
}

/* Takes out of the index what `old` has and `now` (may be NULL) has not. */
static enum error unindex(const struct store *s, struct store_kv *kv, struct rec_subscription old,
                          const struct rec_subscription *now) {
    char hash[STORE_HASH_SIZE];
    enum store_key key;
    struct span identity;

    for (size_t i = 0; store_identity_at(old, i, &key, &identity); i++) {
        enum error e = OK;

        if (store_is_wildcard_at(old, i)) { /* index_all puts it back if it stays one */
            e = kv->ops->del(kv, STORE_WILDCARDS, identity);
        }
        if (!e && now && has_identity(*now, key, identity)) {
            continue;
        }
        store_hash(s, key, identity, hash);
        e = e ? e : kv->ops->del(kv, STORE_INDEX, span_of(hash, sizeof hash));
        if (e) {
            return e;
        }
    }
    return OK;
}

enum error store_state_value(uint64_t version, struct span state, struct buf *room, char **large,
                             struct span *out) {
    char empty[64], number[VERSION_SIZE];

    if (!state.n) {
        struct rec_registration_data nobody = {0};
        struct buf b = buf_init(empty, sizeof empty);
        enum error e = rec_registration_encode(&nobody, &b);
        if (e) {
            return e;
        }
        state = buf_span(&b);
    }
    buf_put(room, store_id_key(number, version));
    buf_put(room, state);
    *large = NULL;
    *out = buf_span(room);
    if (!room->overflow) {
        return OK;
    }
    *large = malloc(VERSION_SIZE + state.n);
    if (!*large) {
        return ERR_NO_MEMORY;
    }
    memcpy(*large, number, VERSION_SIZE);
    memcpy(*large + VERSION_SIZE, state.p, state.n);
    *out = span_of(*large, VERSION_SIZE + state.n);
    return OK;
}

static enum error put_state(struct store_kv *kv, struct span key, uint64_t version,
                            struct span state) {
    char room[1024], *large;
    struct buf b = buf_init(room, sizeof room);
    struct span value;
    enum error e = store_state_value(version, state, &b, &large, &value);

    if (!e) {
        e = kv->ops->put(kv, STORE_STATE, key, value);
        free(large);
    }
    return e;
}

/* The next number of a kind, from 1 on. */
static enum error next_number(struct store_kv *kv, struct span kind, uint64_t *id) {
    char room[ID_SIZE];
    struct span value;
    enum error e = kv->ops->get(kv, STORE_META, kind, &value);

    if (e && e != ERR_NOT_FOUND) {
        return e;
    }
    *id = !e && value.n == ID_SIZE ? store_id_of(value.p) : 1;
    return kv->ops->put(kv, STORE_META, kind, store_id_key(room, *id + 1));
}

/* A refusal of the write's own: the transaction goes on. */
static enum error refuse(struct store_write *w, enum error why) {
    w->error = why;
    return OK;
}

bool store_is_refusal(enum error e) {
    return e == ERR_EXISTS || e == ERR_INVALID || e == ERR_CONFLICT || e == ERR_NOT_FOUND ||
           e == ERR_CORRUPT || e == ERR_UNSUPPORTED || e == ERR_BUSY;
}

/* Puts a record into the outbox: number 0 is a new entry, empty nothing at all. */
static enum error put_news(struct store_kv *kv, struct store_write *w, uint64_t number,
                           struct span record) {
    char room[ID_SIZE];
    enum error e = OK;

    if (!record.n) {
        return OK;
    }
    w->news = number;
    if (!number) {
        e = next_number(kv, SPAN("next-news"), &w->news);
    }
    return e ? e : kv->ops->put(kv, STORE_NEWS, store_id_key(room, w->news), record);
}

static enum error create(const struct store *s, struct store_kv *kv, struct store_write *w,
                         const struct store_change *c) {
    struct rec_subscription r = rec_subscription_of(c->data);
    char room[ID_SIZE];

    enum error e = next_number(kv, SPAN("next"), &w->id);
    if (e) {
        return e;
    }
    w->version = 1;
    struct span key = store_id_key(room, w->id);
    e = kv->ops->put(kv, STORE_DATA, key, c->data);
    if (!e) {
        e = put_state(kv, key, w->version, c->state);
    }
    return e ? e : index_all(s, kv, w->id, r);
}

/* Is this change of an existing subscription decided on its present version? */
static enum error check_version(struct store_kv *kv, const struct store_change *c) {
    char room[ID_SIZE];
    struct span state;
    uint64_t version;
    enum error e = load_state(kv, store_id_key(room, c->id), &state, &version);

    if (e) {
        return e == ERR_CORRUPT ? ERR_CONFLICT : e;
    }
    return version == c->version ? OK : ERR_CONFLICT;
}

/* A copy of a static record: spans into tables do not outlive the first write. */
static enum error copy_data(struct store_kv *kv, uint64_t id, char **copy,
                            struct rec_subscription *out) {
    struct store_subscription old;
    enum error e = load(kv, id, &old);

    if (e) {
        return e;
    }
    *copy = malloc(old.data.n);
    if (!*copy) {
        return ERR_NO_MEMORY;
    }
    memcpy(*copy, old.data.p, old.data.n);
    *out = rec_subscription_of(span_of(*copy, old.data.n));
    return OK;
}

enum error store_check_records(const struct store_change *c) {
    enum error e = c->data.n ? record_check(&rec_subscription_type, c->data) : OK;

    if (!e && c->state.n) {
        e = record_check(&rec_registration_type, c->state);
    }
    if (!e && c->news.n) {
        e = record_check(&rec_news_type, c->news);
    }
    return e || !c->watchers.n ? e : record_check(&rec_watchers_type, c->watchers);
}

/* The new static record of an existing subscription and its identities. */
static enum error replace_data(const struct store *s, struct store_kv *kv,
                               const struct store_change *c) {
    struct rec_subscription now = rec_subscription_of(c->data), before;
    char room[ID_SIZE], *copy = NULL;

    enum error e = copy_data(kv, c->id, &copy, &before);
    if (!e) {
        e = unindex(s, kv, before, &now);
    }
    if (!e) {
        e = index_all(s, kv, c->id, now);
    }
    if (!e) {
        e = kv->ops->put(kv, STORE_DATA, store_id_key(room, c->id), c->data);
    }
    if (!e) {
        e = store_move_repository(s, kv, c->id, before, now);
    }
    free(copy);
    return e;
}

static enum error save(const struct store *s, struct store_kv *kv, struct store_write *w) {
    const struct store_change *c = &w->changes[0];
    char room[ID_SIZE];
    struct span key = store_id_key(room, c->id), state = c->state;
    uint64_t version;

    enum error e = store_check_records(c);
    if (!e && c->id) {
        e = check_version(kv, c);
    } else if (!e && !c->data.n) {
        e = ERR_INVALID;
    }
    if (!e && c->data.n) {
        e = check_identities(s, kv, c->id, rec_subscription_of(c->data), &w->failed_identity);
    }
    if (!e) {
        e = store_check_repository(s, kv, c);
    }
    if (e) {
        return store_is_refusal(e) ? refuse(w, e) : e;
    }
    if (!c->id) {
        return create(s, kv, w, c);
    }
    w->id = c->id;
    w->version = c->version + 1;
    if (c->data.n) {
        e = replace_data(s, kv, c);
    }
    if (!e && !state.n) {
        e = load_state(kv, key, &state, &version);
    }
    e = e ? e : put_state(kv, key, w->version, state);
    if (!e && c->repository.n) {
        e = store_put_repository(s, kv, c);
    }
    if (!e && c->watchers.n) {
        e = store_put_watchers(kv, c->id, c->watchers);
    }
    return e ? e : put_news(kv, w, 0, c->news);
}

static enum error delete_subscription(const struct store *s, struct store_kv *kv,
                                      struct store_write *w) {
    const struct store_change *c = &w->changes[0];
    struct rec_subscription before;
    char room[ID_SIZE], *copy = NULL;

    enum error e = check_version(kv, c);
    if (!e) {
        e = copy_data(kv, c->id, &copy, &before);
    }
    if (e) {
        return store_is_refusal(e) ? refuse(w, e) : e;
    }
    w->id = c->id;
    e = unindex(s, kv, before, NULL);
    if (!e) {
        e = kv->ops->del(kv, STORE_DATA, store_id_key(room, c->id));
    }
    if (!e) {
        e = kv->ops->del(kv, STORE_STATE, store_id_key(room, c->id));
    }
    free(copy);
    for (enum store_table t = 0; !e && t < STORE_TABLES; t++) {
        if (t == STORE_SQN || t == STORE_WATCHERS || t == STORE_DUE || t == STORE_REPOSITORY) {
            e = store_delete_all(kv, t, c->id);
        }
    }
    return e ? e : put_news(kv, w, 0, c->news);
}

enum error store_check_profile(struct span name, struct span record) {
    if (!name.n || name.n > PROFILE_NAME_MAX) {
        return ERR_INVALID;
    }
    return record_check(&rec_profile_type, record);
}

static enum error save_sqn(struct store_kv *kv, struct store_write *w) {
    char room[ID_SIZE + 1], value[8];
    uint64_t id = w->changes[0].id, present;
    struct span key = sqn_key(room, id, w->impi_slot), unused;

    enum error e = kv->ops->get(kv, STORE_DATA, store_id_key(value, id), &unused);
    if (!e) {
        e = load_sqn(kv, id, w->impi_slot, &present);
    }
    if (e == ERR_NOT_FOUND || (!e && present != w->expected)) {
        return refuse(w, ERR_CONFLICT);
    }
    if (e) {
        return store_is_refusal(e) ? refuse(w, e) : e;
    }
    (void)store_id_key(value, w->sqn);
    w->id = id;
    return kv->ops->put(kv, STORE_SQN, key, span_of(value, sizeof value));
}

static enum error save_profile(struct store_kv *kv, struct store_write *w) {
    enum error e = store_check_profile(w->name, w->record);

    return e ? refuse(w, e) : kv->ops->put(kv, STORE_PROFILES, w->name, w->record);
}

static enum error delete_profile(struct store_kv *kv, struct store_write *w) {
    struct span unused;
    enum error e = kv->ops->get(kv, STORE_PROFILES, w->name, &unused);

    if (e) {
        return e == ERR_NOT_FOUND ? refuse(w, e) : e;
    }
    return kv->ops->del(kv, STORE_PROFILES, w->name);
}

static enum error save_news(struct store_kv *kv, struct store_write *w) {
    if (record_check(&rec_news_type, w->record) != OK) {
        return refuse(w, ERR_INVALID);
    }
    return put_news(kv, w, w->changes[0].id, w->record);
}

static enum error apply(const struct store *s, struct store_kv *kv, struct store_write *w) {
    char room[ID_SIZE];

    switch (w->kind) {
    case WRITE_SAVE:
        return save(s, kv, w);
    case WRITE_DELETE:
        return delete_subscription(s, kv, w);
    case WRITE_IMPORT:
        return store_apply_import(s, kv, w);
    case WRITE_SQN:
        return save_sqn(kv, w);
    case WRITE_SAVE_PROFILE:
        return save_profile(kv, w);
    case WRITE_DELETE_PROFILE:
        return delete_profile(kv, w);
    case WRITE_SAVE_NEWS:
        return save_news(kv, w);
    case WRITE_DELETE_NEWS:
        return kv->ops->del(kv, STORE_NEWS, store_id_key(room, w->changes[0].id));
    }
    return ERR_INTERNAL;
}

enum error store_apply(const struct store *s, struct store_kv *kv, struct store_write *w) {
    w->error = w->log.n ? record_check(&rec_change_type, w->log) : OK;
    enum error e = w->error ? OK : apply(s, kv, w);

    return e || w->error ? e : store_apply_log(kv, w, s->changes_max);
}

/* Older schemas. */

static enum error upgrade_table(struct store_kv *kv, enum store_table t,
                                const struct record_type *type, size_t prefix) {
    struct chunk_pool pool;
    char *out = malloc(RECORD_BYTES_MAX), key_room[512];
    struct span after = SPAN_NONE, key, value;
    enum error e = out ? OK : ERR_NO_MEMORY;

    chunk_pool_init(&pool, 65536, 4);
    while (!e && !(e = kv->ops->next(kv, t, after, &key, &value))) {
        unsigned number, schema;

        if (key.n > sizeof key_room || value.n < prefix) {
            e = ERR_CORRUPT;
            break;
        }
        memcpy(key_room, key.p, key.n);
        after = span_of(key_room, key.n);
        if (record_identify(span_after(value, prefix), &number, &schema) &&
            schema != type->schema) {
            struct arena arena = arena_init(&pool);
            struct buf b = buf_init(out, RECORD_BYTES_MAX);

            buf_bytes(&b, value.p, prefix);
            e = record_convert(type, span_after(value, prefix), &arena, &b);
            if (!e) {
                e = kv->ops->put(kv, t, after, buf_span(&b));
            }
            arena_release(&arena);
        }
    }
    chunk_pool_free(&pool);
    free(out);
    return e == ERR_NOT_FOUND ? OK : e;
}

enum error store_upgrade(struct store_kv *kv) {
    const struct record_type *types[] = {
        &rec_subscription_type, &rec_registration_type, &rec_profile_type, &rec_news_type,
        &rec_watchers_type,     &rec_repository_type,   &rec_change_type};
    const enum store_table tables[] = {STORE_DATA,     STORE_STATE,      STORE_PROFILES, STORE_NEWS,
                                       STORE_WATCHERS, STORE_REPOSITORY, STORE_CHANGES};
    char now[COUNT_OF(types) * 2];
    struct span noted;

    for (size_t i = 0; i < COUNT_OF(types); i++) {
        now[2 * i] = (char)(types[i]->schema >> 8);
        now[2 * i + 1] = (char)types[i]->schema;
    }
    enum error e = kv->ops->get(kv, STORE_META, SPAN("schema"), &noted);
    if (e && e != ERR_NOT_FOUND) {
        return e;
    }
    if (!e && span_eq(noted, span_of(now, sizeof now))) {
        return OK;
    }
    for (size_t i = 0; i < COUNT_OF(types); i++) {
        bool number = tables[i] == STORE_STATE || tables[i] == STORE_CHANGES;
        e = upgrade_table(kv, tables[i], types[i], number ? VERSION_SIZE : 0);
        if (e) {
            return e;
        }
    }
    return kv->ops->put(kv, STORE_META, SPAN("schema"), span_of(now, sizeof now));
}
