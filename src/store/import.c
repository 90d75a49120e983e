/* Imports: many new subscriptions in one transaction, and the mark that says how far a long import
 * has come.
 *
 * All is looked at before anything is written, so that a refusal has changed nothing. The index's
 * keys are hashes, which have no order of their own: they are sorted first, so that neighbours in
 * the index are written one after the other, and so that two changes of one import that want the
 * same identity become neighbours, too. */
#include "store/impl.h"

#include <stdlib.h>

/* One identity of one change. */
struct entry {
    char hash[STORE_HASH_SIZE];
    uint32_t change, identity;
};

/* One of several changes that want the same identity. */
struct rival {
    uint32_t change, identity;
    size_t group; /* index of the first entry with this hash */
};

struct import {
    const struct store *store;
    struct store_kv *kv;
    struct store_write *w;
    struct entry *entries;
    size_t n_entries;
    struct rival *rivals;
    size_t n_rivals, n_stored;
};

static int by_hash(const void *a, const void *b) {
    const struct entry *x = a, *y = b;
    int order = memcmp(x->hash, y->hash, sizeof x->hash);

    return order ? order : (x->change > y->change) - (x->change < y->change);
}

static int by_change(const void *a, const void *b) {
    const struct rival *x = a, *y = b;

    return x->change != y->change ? (x->change > y->change) - (x->change < y->change)
                                  : (x->identity > y->identity) - (x->identity < y->identity);
}

static struct rec_subscription record_of(const struct import *i, size_t change) {
    return rec_subscription_of(i->w->changes[change].data);
}

static struct span identity_of(const struct import *i, const struct entry *entry) {
    enum store_key key;
    struct span identity = SPAN_NONE;

    (void)store_identity_at(record_of(i, entry->change), entry->identity, &key, &identity);
    return identity;
}

static bool is_subscription(const struct store_change *c) {
    return c->profile.n == 0;
}

/* Is this change sound by itself? How many identities has it? */
static enum error check_change(const struct store_change *c, size_t *n) {
    enum store_key key;
    struct span identity;

    *n = 0;
    if (!is_subscription(c)) {
        return store_check_profile(c->profile, c->data);
    }
    enum error e = c->id || !c->data.n ? ERR_INVALID : store_check_records(c);
    if (e) {
        return e;
    }
    while (store_identity_at(rec_subscription_of(c->data), *n, &key, &identity)) {
        if (identity.n == 0 || identity.n > STORE_IDENTITY_MAX) {
            return ERR_INVALID;
        }
        (*n)++;
    }
    return OK;
}

static void add_entries(struct import *i, size_t change) {
    struct rec_subscription r = record_of(i, change);
    enum store_key key;
    struct span identity;

    for (size_t k = 0; store_identity_at(r, k, &key, &identity); k++) {
        struct entry *entry = &i->entries[i->n_entries++];

        entry->change = (uint32_t)change;
        entry->identity = (uint32_t)k;
        store_hash(i->store, key, identity, entry->hash);
    }
}

/* Judges each change by itself, and collects and sorts the identities of the sound ones. */
static enum error collect(struct import *i) {
    struct store_write *w = i->w;
    size_t total = 0, n;

    if (w->n_changes >= UINT32_MAX) {
        return ERR_TOO_BIG;
    }
    for (size_t c = 0; c < w->n_changes; c++) {
        w->outcomes[c] = (struct store_outcome){.other = STORE_TAKEN};
        w->outcomes[c].error = check_change(&w->changes[c], &n);
        total += w->outcomes[c].error ? 0 : n;
    }
    i->entries = malloc((total + 1) * sizeof *i->entries);
    if (!i->entries) {
        return ERR_NO_MEMORY;
    }
    for (size_t c = 0; c < w->n_changes; c++) {
        if (!w->outcomes[c].error && is_subscription(&w->changes[c])) {
            add_entries(i, c);
        }
    }
    qsort(i->entries, i->n_entries, sizeof *i->entries, by_hash);
    return OK;
}

/* Of several identities that are taken the first one of the record is told. */
static bool is_earlier(const struct import *i, const struct entry *entry, struct span told) {
    enum store_key key;
    struct span identity;

    for (size_t k = 0; k < entry->identity; k++) {
        if (store_identity_at(record_of(i, entry->change), k, &key, &identity) &&
            identity.p == told.p) {
            return false;
        }
    }
    return true;
}

static void refuse(const struct import *i, const struct entry *entry, size_t other) {
    struct store_outcome *o = &i->w->outcomes[entry->change];

    if (!o->error || (o->error == ERR_EXISTS && is_earlier(i, entry, o->identity))) {
        *o = (struct store_outcome){ERR_EXISTS, identity_of(i, entry), other};
    }
}

/* How many entries from `at` on have the same hash? */
static size_t run_length(const struct import *i, size_t at) {
    size_t n = 1;

    while (at + n < i->n_entries &&
           memcmp(i->entries[at].hash, i->entries[at + n].hash, STORE_HASH_SIZE) == 0) {
        n++;
    }
    return n;
}

static enum error add_rivals(struct import *i, size_t at, size_t n) {
    struct rival *grown = realloc(i->rivals, (i->n_rivals + n) * sizeof *grown);

    if (!grown) {
        return ERR_NO_MEMORY;
    }
    i->rivals = grown;
    for (size_t k = at; k < at + n; k++) {
        i->rivals[i->n_rivals++] = (struct rival){i->entries[k].change, i->entries[k].identity, at};
    }
    return OK;
}

/* Refuses what wants identities that are taken, and finds rivals. */
static enum error look_up(struct import *i) {
    struct span value;

    for (size_t at = 0, n; at < i->n_entries; at += n) {
        struct span key = span_of(i->entries[at].hash, STORE_HASH_SIZE);
        enum error e = i->kv->ops->get(i->kv, STORE_INDEX, key, &value);

        n = run_length(i, at);
        for (size_t k = at; !e && k < at + n; k++) {
            refuse(i, &i->entries[k], STORE_TAKEN);
        }
        if (e == ERR_NOT_FOUND) {
            e = n > 1 ? add_rivals(i, at, n) : OK;
        }
        if (e) {
            return e;
        }
    }
    return OK;
}

/* Among changes that want the same identity the first one gets it, if it is not refused itself. */
static enum error settle_rivals(struct import *i) {
    if (!i->n_rivals) {
        return OK;
    }
    uint32_t *owner = calloc(i->n_entries, sizeof *owner); /* change + 1, by group */

    if (!owner) {
        return ERR_NO_MEMORY;
    }
    qsort(i->rivals, i->n_rivals, sizeof *i->rivals, by_change);
    for (size_t at = 0; at < i->n_rivals;) {
        uint32_t change = i->rivals[at].change;
        size_t end = at;

        for (; end < i->n_rivals && i->rivals[end].change == change; end++) {
            uint32_t has = owner[i->rivals[end].group];
            const struct entry entry = {.change = change, .identity = i->rivals[end].identity};

            if (has) {
                refuse(i, &entry, has - 1);
            }
        }
        for (; at < end; at++) {
            if (!i->w->outcomes[change].error) {
                owner[i->rivals[at].group] = change + 1;
            }
        }
    }
    free(owner);
    return OK;
}

/* The first refusal, which is that of an import that is one whole. */
static bool find_refusal(struct store_write *w) {
    for (size_t c = 0; c < w->n_changes; c++) {
        if (w->outcomes[c].error) {
            w->error = w->outcomes[c].error;
            w->failed_at = c;
            w->failed_identity = w->outcomes[c].identity;
            return true;
        }
    }
    return false;
}

/* Marks. */

static struct span mark_key(struct buf *b, struct span name) {
    buf_cstr(b, "mark:");
    buf_put(b, span_slice(name, 0, STORE_MARK_NAME_MAX));
    return buf_span(b);
}

static enum error read_mark(struct store_kv *kv, struct span name, uint64_t *stored,
                            struct span *text) {
    char room[STORE_MARK_NAME_MAX + 8];
    struct buf b = buf_init(room, sizeof room);
    struct span value;
    enum error e = name.n > STORE_MARK_NAME_MAX
                       ? ERR_NOT_FOUND
                       : kv->ops->get(kv, STORE_META, mark_key(&b, name), &value);

    if (!e && value.n < STORE_ID_SIZE) {
        e = ERR_CORRUPT;
    }
    if (!e) {
        *stored = store_id_of(value.p);
        *text = span_after(value, STORE_ID_SIZE);
    }
    return e;
}

void store_apply_mark(struct store_kv *kv, struct span name, struct store_op *op) {
    op->error = read_mark(kv, name, &op->mark_stored, &op->record);
}

/* Is the mark the one that is expected? ERR_CONFLICT. */
static enum error check_mark(struct store_kv *kv, struct store_write *w) {
    const struct store_mark *m = &w->mark;
    struct span text = SPAN_NONE;

    if (m->name.n > STORE_MARK_NAME_MAX || m->text.n > STORE_MARK_TEXT_MAX) {
        return ERR_INVALID;
    }
    if (!m->name.n || !m->expected.p) {
        return OK;
    }
    enum error e = read_mark(kv, m->name, &w->mark_stored, &text);
    return e == ERR_NOT_FOUND || (!e && !span_eq(text, m->expected)) ? ERR_CONFLICT : e;
}

static enum error put_mark(struct import *i) {
    struct store_write *w = i->w;
    char key_room[STORE_MARK_NAME_MAX + 8], room[STORE_ID_SIZE + STORE_MARK_TEXT_MAX];
    struct buf key = buf_init(key_room, sizeof key_room), value = buf_init(room, sizeof room);

    w->mark_stored += i->n_stored;
    w->n_stored = i->n_stored;
    if (!w->mark.name.n) {
        return OK;
    }
    if (!w->mark.text.n) {
        return i->kv->ops->del(i->kv, STORE_META, mark_key(&key, w->mark.name));
    }
    char number[STORE_ID_SIZE];
    buf_put(&value, store_id_key(number, w->mark_stored));
    buf_put(&value, w->mark.text);
    return i->kv->ops->put(i->kv, STORE_META, mark_key(&key, w->mark.name), buf_span(&value));
}

/* Writing. */

static enum error put_wildcards(struct store_kv *kv, struct rec_subscription r, struct span key) {
    enum store_key kind;
    struct span identity;
    enum error e = OK;

    for (size_t i = 0; !e && store_identity_at(r, i, &kind, &identity); i++) {
        if (store_is_wildcard_at(r, i)) {
            e = kv->ops->put(kv, STORE_WILDCARDS, identity, key);
        }
    }
    return e;
}

static enum error append_records(struct import *i, const struct store_change *c, uint64_t id) {
    char key_room[STORE_ID_SIZE], room[1024], *large = NULL;
    struct buf b = buf_init(room, sizeof room);
    struct span key = store_id_key(key_room, id), state;

    enum error e = i->kv->ops->append(i->kv, STORE_DATA, key, c->data);
    if (!e) {
        e = store_state_value(1, c->state, &b, &large, &state);
    }
    if (!e) {
        e = i->kv->ops->append(i->kv, STORE_STATE, key, state);
    }
    if (!e) {
        e = put_wildcards(i->kv, rec_subscription_of(c->data), key);
    }
    free(large);
    return e;
}

/* Gives numbers to the changes and writes their records. */
static enum error write_records(struct import *i, uint64_t *ids, uint64_t next) {
    struct store_write *w = i->w;
    char room[STORE_ID_SIZE];
    enum error e = OK;

    for (size_t c = 0; c < w->n_changes && !e; c++) {
        const struct store_change *change = &w->changes[c];

        if (w->outcomes[c].error) {
            continue;
        }
        if (!is_subscription(change)) {
            e = i->kv->ops->put(i->kv, STORE_PROFILES, change->profile, change->data);
            continue;
        }
        ids[c] = next++;
        e = append_records(i, change, ids[c]);
        i->n_stored++;
    }
    return e ? e : i->kv->ops->put(i->kv, STORE_META, SPAN("next"), store_id_key(room, next));
}

static enum error write_index(struct import *i, const uint64_t *ids) {
    char room[STORE_ID_SIZE];
    enum error e = OK;

    for (size_t k = 0; k < i->n_entries && !e; k++) {
        const struct entry *entry = &i->entries[k];

        if (!i->w->outcomes[entry->change].error) {
            e = i->kv->ops->put(i->kv, STORE_INDEX, span_of(entry->hash, sizeof entry->hash),
                                store_id_key(room, ids[entry->change]));
        }
    }
    return e;
}

static enum error write_all(struct import *i, uint64_t *ids) {
    struct span value;
    enum error e = i->kv->ops->get(i->kv, STORE_META, SPAN("next"), &value);

    if (e && e != ERR_NOT_FOUND) {
        return e;
    }
    e = write_records(i, ids, !e && value.n == STORE_ID_SIZE ? store_id_of(value.p) : 1);
    if (!e) {
        e = write_index(i, ids);
    }
    return e ? e : put_mark(i);
}

/* Everything up to the first write: what fails here has changed nothing. */
static enum error judge(struct import *i) {
    enum error e = check_mark(i->kv, i->w);

    if (!e) {
        e = collect(i);
    }
    if (!e) {
        e = look_up(i);
    }
    return e ? e : settle_rivals(i);
}

enum error store_apply_import(const struct store *s, struct store_kv *kv, struct store_write *w) {
    struct import i = {.store = s, .kv = kv, .w = w};
    uint64_t *ids = NULL;
    enum error e = judge(&i);

    if (e) {
        w->error = e == ERR_STORE ? OK : e;
        e = w->error ? OK : e;
    } else if (w->mode != STORE_CHECK && !(w->mode == STORE_ALL_OR_NONE && find_refusal(w))) {
        ids = malloc((w->n_changes + 1) * sizeof *ids);
        w->error = ids ? OK : ERR_NO_MEMORY;
        e = ids ? write_all(&i, ids) : OK;
    }
    free(ids);
    free(i.rivals);
    free(i.entries);
    return e;
}
