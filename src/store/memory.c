/* The store in memory. Tables are sorted arrays: numbers are given in rising order, so most entries
 * are appended. Writes wait in a queue until the flush applies them all; a crash empties the queue,
 * so there is nothing to undo. */
#include "store/memory.h"

#include "store/impl.h"

#include <stdlib.h>

struct entry {
    size_t key_n, value_n;
    char *bytes; /* key, then value; owned */
};

struct table {
    struct entry *entries;
    size_t n, cap;
};

struct delayed_read {
    struct store_op *op;
    struct store_read read;
    uint64_t due_us;
    struct list link;
    char text[];
};

struct memory {
    struct store base;
    struct store_kv kv;
    struct env *env;
    struct store_memory_config config;
    struct table tables[STORE_TABLES];
    struct list writes; /* struct store_write, oldest first */
    struct timer flush;
    struct list reads; /* struct delayed_read, oldest first */
    struct timer read_timer;
    uint64_t flushes;
};

static struct memory *memory_of_kv(struct store_kv *kv) {
    return CONTAINER_OF(kv, struct memory, kv);
}

static struct span entry_key(const struct entry *e) {
    return (struct span){e->bytes, e->key_n};
}

static struct span entry_value(const struct entry *e) {
    return (struct span){e->bytes + e->key_n, e->value_n};
}

/* Where key stands, or would stand. */
static size_t position(const struct table *t, struct span key, bool *found) {
    size_t low = 0, high = t->n;

    *found = false;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = span_compare(entry_key(&t->entries[middle]), key);

        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static enum error memory_get(struct store_kv *kv, enum store_table t, struct span key,
                             struct span *value) {
    struct table *table = &memory_of_kv(kv)->tables[t];
    bool found;
    size_t at = position(table, key, &found);

    if (!found) {
        return ERR_NOT_FOUND;
    }
    *value = entry_value(&table->entries[at]);
    return OK;
}

static enum error memory_next(struct store_kv *kv, enum store_table t, struct span after,
                              struct span *key, struct span *value) {
    struct table *table = &memory_of_kv(kv)->tables[t];
    bool found;
    size_t at = position(table, after, &found);

    at += found;
    if (at >= table->n) {
        return ERR_NOT_FOUND;
    }
    *key = entry_key(&table->entries[at]);
    *value = entry_value(&table->entries[at]);
    return OK;
}

static enum error memory_put(struct store_kv *kv, enum store_table t, struct span key,
                             struct span value) {
    struct table *table = &memory_of_kv(kv)->tables[t];
    bool found;
    size_t at = position(table, key, &found);
    char *bytes = malloc(key.n + value.n + 1);

    if (!bytes) {
        return ERR_NO_MEMORY;
    }
    memcpy(bytes, key.p, key.n);
    memcpy(bytes + key.n, value.p, value.n);
    if (found) {
        free(table->entries[at].bytes);
    } else {
        if (table->n == table->cap) {
            size_t cap = table->cap ? table->cap * 2 : 16;
            struct entry *grown = realloc(table->entries, cap * sizeof *grown);
            if (!grown) {
                free(bytes);
                return ERR_NO_MEMORY;
            }
            table->entries = grown;
            table->cap = cap;
        }
        memmove(&table->entries[at + 1], &table->entries[at],
                (table->n - at) * sizeof *table->entries);
        table->n++;
    }
    table->entries[at] = (struct entry){key.n, value.n, bytes};
    return OK;
}

static enum error memory_del(struct store_kv *kv, enum store_table t, struct span key) {
    struct table *table = &memory_of_kv(kv)->tables[t];
    bool found;
    size_t at = position(table, key, &found);

    if (found) {
        free(table->entries[at].bytes);
        table->n--;
        memmove(&table->entries[at], &table->entries[at + 1],
                (table->n - at) * sizeof *table->entries);
    }
    return OK;
}

static const struct store_kv_ops memory_kv_ops = {memory_get, memory_next, memory_put, memory_put,
                                                  memory_del};

static void fire_flush(struct timer *t) {
    struct memory *m = CONTAINER_OF(t, struct memory, flush);
    struct list done;

    if (m->config.crash_at && m->config.crash_at(m->config.ctx, m->flushes + 1)) {
        store_memory_crash(&m->base);
        return;
    }
    m->flushes++;
    list_init(&done);
    LIST_EACH(&m->writes, w, struct store_write, link) {
        /* Without memory the machine is as good as crashed: nothing more is acknowledged. */
        if (store_apply(&m->base, &m->kv, w) != OK) {
            w->error = ERR_STORE;
        }
        list_remove(&w->link);
        list_insert(&done, &w->link);
    }
    while (!list_is_empty(&done)) {
        struct store_write *w = CONTAINER_OF(done.next, struct store_write, link);
        list_remove(&w->link);
        store_complete(&m->base, w);
    }
}

static void memory_write(struct store *s, struct store_write *w) {
    struct memory *m = CONTAINER_OF(s, struct memory, base);

    list_insert(&m->writes, &w->link);
    if (!timer_is_running(&m->flush)) {
        timer_start(m->env, &m->flush, m->config.flush_delay_us);
    }
}

static void forget_read(struct delayed_read *r) {
    list_remove(&r->link);
    free(r);
}

static void fire_reads(struct timer *t) {
    struct memory *m = CONTAINER_OF(t, struct memory, read_timer);
    uint64_t now = env_now_us(m->env);

    while (!list_is_empty(&m->reads)) {
        struct delayed_read *r = CONTAINER_OF(m->reads.next, struct delayed_read, link);
        struct store_op *op = r->op;

        if (r->due_us > now) {
            timer_start(m->env, &m->read_timer, r->due_us - now);
            return;
        }
        store_apply_read(&m->base, &m->kv, &r->read, op);
        forget_read(r);
        store_complete_read(op);
    }
}

static void memory_read(struct store *s, struct store_op *op, const struct store_read *read) {
    struct memory *m = CONTAINER_OF(s, struct memory, base);

    if (m->config.read_delay_us == 0) {
        store_apply_read(s, &m->kv, read, op);
        store_complete_read(op);
        return;
    }
    struct delayed_read *r = malloc(sizeof *r + read->text.n);
    if (!r) {
        op->error = ERR_NO_MEMORY;
        store_complete_read(op);
        return;
    }
    r->op = op;
    r->read = *read;
    if (read->text.n) {
        memcpy(r->text, read->text.p, read->text.n);
    }
    r->read.text.p = r->text;
    r->due_us = env_now_us(m->env) + m->config.read_delay_us;
    list_insert(&m->reads, &r->link);
    if (!timer_is_running(&m->read_timer)) {
        timer_start(m->env, &m->read_timer, m->config.read_delay_us);
    }
}

static void memory_cancel_read(struct store *s, struct store_op *op) {
    struct memory *m = CONTAINER_OF(s, struct memory, base);

    LIST_EACH(&m->reads, r, struct delayed_read, link) {
        if (r->op == op) {
            forget_read(r);
        }
    }
}

static uint64_t memory_count(const struct store *s) {
    const struct memory *m = (const struct memory *)s;

    return m->tables[STORE_DATA].n;
}

/* Drops everything that is under way. */
static void drop_all(struct memory *m) {
    timer_stop(&m->flush);
    timer_stop(&m->read_timer);
    LIST_EACH(&m->writes, w, struct store_write, link) {
        store_drop(&m->base, w);
    }
    LIST_EACH(&m->reads, r, struct delayed_read, link) {
        list_remove(&r->op->link);
        r->op->store = NULL;
        forget_read(r);
    }
}

static void memory_free(struct store *s) {
    struct memory *m = CONTAINER_OF(s, struct memory, base);

    drop_all(m);
    for (size_t t = 0; t < STORE_TABLES; t++) {
        for (size_t i = 0; i < m->tables[t].n; i++) {
            free(m->tables[t].entries[i].bytes);
        }
        free(m->tables[t].entries);
    }
    store_fini(s);
    free(m);
}

static const struct store_ops memory_ops = {
    .read = memory_read,
    .write = memory_write,
    .cancel_read = memory_cancel_read,
    .count = memory_count,
    .free = memory_free,
};

enum error store_memory_new(struct env *env, const struct store_memory_config *config,
                            struct store **out) {
    struct memory *m = calloc(1, sizeof *m);

    if (!m) {
        return ERR_NO_MEMORY;
    }
    store_init(&m->base, &memory_ops);
    m->kv.ops = &memory_kv_ops;
    m->env = env;
    m->config = *config;
    list_init(&m->writes);
    list_init(&m->reads);
    timer_init(&m->flush, fire_flush);
    timer_init(&m->read_timer, fire_reads);
    env_random(env, m->base.secret, sizeof m->base.secret);
    *out = &m->base;
    return OK;
}

void store_memory_crash(struct store *store) {
    drop_all(CONTAINER_OF(store, struct memory, base));
}

uint64_t store_memory_flushes(const struct store *store) {
    return ((const struct memory *)store)->flushes;
}
