/* The store's face: checks, copies what is to be written, hands over to the implementation. */
#include "store/impl.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <stdlib.h>

enum { SPARE_MAX = 1024 };

void store_init(struct store *s, const struct store_ops *ops) {
    s->ops = ops;
    list_init(&s->spare);
    s->n_spare = 0;
}

void store_fini(struct store *s) {
    LIST_EACH(&s->spare, w, struct store_write, link) {
        list_remove(&w->link);
        free(w);
    }
}

/* Reads. */

static void begin(struct store *s, struct store_op *op) {
    assert(op->store == NULL); /* one operation at a time */
    op->store = s;
    op->internal = NULL;
    op->error = OK;
    list_init(&op->link);
}

void store_complete_read(struct store_op *op) {
    list_remove(&op->link);
    op->store = NULL;
    op->done(op);
}

static void read_op(struct store *s, struct store_op *op, const struct store_read *read) {
    begin(s, op);
    s->ops->read(s, op, read);
}

void store_load(struct store *store, struct store_op *op, uint64_t id) {
    read_op(store, op, &(struct store_read){.kind = READ_LOAD, .id = id});
}

void store_find(struct store *store, struct store_op *op, enum store_key key,
                struct span identity) {
    read_op(store, op, &(struct store_read){.kind = READ_FIND, .key = key, .text = identity});
}

void store_next(struct store *store, struct store_op *op, uint64_t after) {
    read_op(store, op, &(struct store_read){.kind = READ_NEXT, .id = after});
}

void store_next_news(struct store *store, struct store_op *op, uint64_t after) {
    read_op(store, op, &(struct store_read){.kind = READ_NEXT_NEWS, .id = after});
}

void store_next_due(struct store *store, struct store_op *op, uint64_t after) {
    read_op(store, op, &(struct store_read){.kind = READ_NEXT_DUE, .id = after});
}

void store_load_repository(struct store *store, struct store_op *op, uint64_t id, struct span owner,
                           bool of_aliases, struct span service_indication) {
    char key[STORE_REPOSITORY_KEY_SIZE];

    store_repository_key(store, id, owner, of_aliases, service_indication, key);
    read_op(store, op,
            &(struct store_read){.kind = READ_REPOSITORY, .text = span_of(key, sizeof key)});
}

void store_next_change(struct store *store, struct store_op *op, uint64_t after) {
    read_op(store, op, &(struct store_read){.kind = READ_NEXT_CHANGE, .id = after});
}

void store_keep_changes(struct store *store, uint64_t max) {
    store->changes_max = max;
}

void store_load_sqn(struct store *store, struct store_op *op, uint64_t id, unsigned impi_slot) {
    read_op(store, op, &(struct store_read){.kind = READ_SQN, .id = id, .impi_slot = impi_slot});
}

void store_load_profile(struct store *store, struct store_op *op, struct span name) {
    read_op(store, op, &(struct store_read){.kind = READ_PROFILE, .text = name});
}

void store_next_profile(struct store *store, struct store_op *op, struct span after) {
    read_op(store, op, &(struct store_read){.kind = READ_NEXT_PROFILE, .text = after});
}

void store_next_wildcard(struct store *store, struct store_op *op, struct span after) {
    read_op(store, op, &(struct store_read){.kind = READ_NEXT_WILDCARD, .text = after});
}

void store_load_mark(struct store *store, struct store_op *op, struct span name) {
    read_op(store, op, &(struct store_read){.kind = READ_MARK, .text = name});
}

/* Writes. */

/* A write with room for n bytes and n_changes changes; NULL when memory is out. */
static struct store_write *take_write(struct store *s, size_t n, size_t n_changes) {
    struct store_write *w;

    n += n_changes * sizeof(struct store_change);
    if (list_is_empty(&s->spare)) {
        w = malloc(sizeof *w);
        if (!w) {
            return NULL;
        }
    } else {
        w = CONTAINER_OF(s->spare.next, struct store_write, link);
        list_remove(&w->link);
        s->n_spare--;
    }
    memset(w, 0, offsetof(struct store_write, inside));
    list_init(&w->link);
    w->bytes = w->inside;
    w->n_bytes = n;
    if (n > sizeof w->inside) {
        w->bytes = malloc(n);
        if (!w->bytes) {
            free(w);
            return NULL;
        }
    }
    /* Changes stand first, where malloc's alignment and that of `inside` serve them. */
    w->changes = (struct store_change *)(void *)w->bytes;
    w->n_changes = n_changes;
    return w;
}

void store_drop(struct store *s, struct store_write *w) {
    list_remove(&w->link);
    if (w->op) {
        w->op->store = NULL;
        w->op->internal = NULL;
    }
    if (w->holds_keys) {
        OPENSSL_cleanse(w->bytes, w->n_bytes);
    }
    if (w->bytes != w->inside) {
        free(w->bytes);
    }
    if (s->n_spare < SPARE_MAX) {
        list_insert(&s->spare, &w->link);
        s->n_spare++;
    } else {
        free(w);
    }
}

void store_complete(struct store *s, struct store_write *w) {
    struct store_op *op = w->op;

    if (op) {
        op->store = NULL;
        op->internal = NULL;
        w->op = NULL;
        op->error = w->error;
        op->subscription.id = w->id;
        op->subscription.version = w->version;
        op->failed_at = w->failed_at;
        op->failed_identity = w->failed_identity;
        op->outcomes = w->outcomes;
        op->mark_stored = w->mark_stored;
        op->news = w->news;
        op->done(op);
    }
    store_drop(s, w);
}

static struct span copy(char **at, struct span s) {
    struct span copied = {*at, s.n};

    if (s.p && s.n) {
        memcpy(*at, s.p, s.n);
    }
    *at += s.n;
    return s.n ? copied : SPAN_NONE;
}

static void fail(struct store_op *op) {
    op->store = NULL;
    op->error = ERR_NO_MEMORY;
    op->done(op);
}

static struct store_write *begin_write(struct store *s, struct store_op *op,
                                       enum store_write_kind kind, size_t n, size_t n_changes) {
    begin(s, op);
    struct span log = s->changes_max ? op->log : SPAN_NONE;
    struct store_write *w = take_write(s, n + log.n, n_changes);

    op->log = SPAN_NONE;
    if (w) {
        char *at = w->bytes + n_changes * sizeof(struct store_change) + n;
        w->kind = kind;
        w->op = op;
        w->log = copy(&at, log);
        op->internal = w;
    }
    return w;
}

static size_t bytes_of(const struct store_change *changes, size_t n) {
    size_t bytes = 0;

    for (size_t i = 0; i < n; i++) {
        bytes += changes[i].data.n + changes[i].state.n + changes[i].news.n + changes[i].profile.n;
        bytes += changes[i].watchers.n + changes[i].repository.n;
    }
    return bytes;
}

static void copy_changes(struct store_write *w, const struct store_change *changes, size_t n,
                         char **at) {
    for (size_t i = 0; i < n; i++) {
        w->changes[i] = changes[i];
        w->changes[i].data = copy(at, changes[i].data);
        w->holds_keys |= changes[i].data.n > 0;
        w->changes[i].state = copy(at, changes[i].state);
        w->changes[i].news = copy(at, changes[i].news);
        w->changes[i].profile = copy(at, changes[i].profile);
        w->changes[i].watchers = copy(at, changes[i].watchers);
        w->changes[i].repository = copy(at, changes[i].repository);
    }
}

static void write_change(struct store *s, struct store_op *op, enum store_write_kind kind,
                         const struct store_change *change) {
    struct store_write *w = begin_write(s, op, kind, bytes_of(change, 1), 1);

    if (!w) {
        fail(op);
        return;
    }
    char *at = w->bytes + sizeof *change;
    copy_changes(w, change, 1, &at);
    s->ops->write(s, w);
}

void store_save(struct store *store, struct store_op *op, const struct store_change *change) {
    write_change(store, op, WRITE_SAVE, change);
}

void store_import(struct store *store, struct store_op *op, const struct store_import *import) {
    const struct store_mark *m = &import->mark;
    size_t outcomes = import->n * sizeof(struct store_outcome);
    size_t bytes = bytes_of(import->changes, import->n) + m->name.n + m->expected.n + m->text.n;
    struct store_write *w = begin_write(store, op, WRITE_IMPORT, outcomes + bytes, import->n);

    if (!w) {
        fail(op);
        return;
    }
    char *at = w->bytes + import->n * sizeof(struct store_change);
    w->outcomes = (struct store_outcome *)(void *)at; /* aligned like the changes before it */
    at += outcomes;
    copy_changes(w, import->changes, import->n, &at);
    w->mode = import->mode;
    w->mark.name = copy(&at, m->name);
    w->mark.expected = m->expected.p ? span_of(at, m->expected.n) : SPAN_NONE;
    (void)copy(&at, m->expected);
    w->mark.text = copy(&at, m->text);
    store->ops->write(store, w);
}

void store_delete(struct store *store, struct store_op *op, uint64_t id, uint64_t version,
                  struct span news) {
    write_change(store, op, WRITE_DELETE,
                 &(struct store_change){.id = id, .version = version, .news = news});
}

/* Writes that are not changes of subscriptions. */
struct other {
    enum store_write_kind kind;
    uint64_t id, expected, sqn;
    unsigned impi_slot;
    struct span name, record;
};

static void write_other(struct store *s, struct store_op *op, const struct other *what) {
    struct store_write *w = begin_write(s, op, what->kind, what->name.n + what->record.n, 1);

    if (!w) {
        fail(op);
        return;
    }
    char *at = w->bytes + sizeof(struct store_change);
    w->changes[0] = (struct store_change){.id = what->id};
    w->name = copy(&at, what->name);
    w->record = copy(&at, what->record);
    w->impi_slot = what->impi_slot;
    w->expected = what->expected;
    w->sqn = what->sqn;
    s->ops->write(s, w);
}

void store_save_sqn(struct store *store, struct store_op *op, uint64_t id, unsigned impi_slot,
                    uint64_t expected, uint64_t sqn) {
    write_other(
        store, op,
        &(struct other){
            .kind = WRITE_SQN, .id = id, .impi_slot = impi_slot, .expected = expected, .sqn = sqn});
}

void store_save_profile(struct store *store, struct store_op *op, struct span name,
                        struct span record) {
    write_other(store, op,
                &(struct other){.kind = WRITE_SAVE_PROFILE, .name = name, .record = record});
}

void store_delete_profile(struct store *store, struct store_op *op, struct span name) {
    write_other(store, op, &(struct other){.kind = WRITE_DELETE_PROFILE, .name = name});
}

void store_save_news(struct store *store, struct store_op *op, uint64_t number,
                     struct span record) {
    write_other(store, op,
                &(struct other){.kind = WRITE_SAVE_NEWS, .id = number, .record = record});
}

void store_delete_news(struct store *store, struct store_op *op, uint64_t number) {
    write_other(store, op, &(struct other){.kind = WRITE_DELETE_NEWS, .id = number});
}

void store_cancel(struct store_op *op) {
    struct store *s = op->store;

    if (!s) {
        return;
    }
    if (op->internal) {
        ((struct store_write *)op->internal)->op = NULL;
    } else {
        s->ops->cancel_read(s, op);
    }
    list_remove(&op->link);
    op->store = NULL;
    op->internal = NULL;
}

uint64_t store_count(const struct store *store) {
    return store->ops->count(store);
}

void store_free(struct store *store) {
    if (store) {
        store->ops->free(store);
    }
}
