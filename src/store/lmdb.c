/* The embedded store. The loop's thread appends writes to a queue; the store's thread takes all
 * that waits, applies it in one transaction and commits, which flushes; what came meanwhile is the
 * next batch, so the slower the disk, the larger the batches. Results go back through a second
 * list and the loop's wake-up.
 *
 * Reads use one read-only transaction of the loop's thread, renewed for each read, so they never
 * hold old pages back.
 *
 * A commit that failed leaves the disk in a state that nobody knows: the thread stops for good,
 * nothing more is completed, and `failed` is called. */
#include "store/lmdb.h"

#include "rt/loop.h"
#include "store/impl.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char *const table_names[STORE_TABLES] = {
    [STORE_DATA] = "data",
    [STORE_STATE] = "state",
    [STORE_INDEX] = "index",
    [STORE_SQN] = "sqn",
    [STORE_PROFILES] = "profiles",
    [STORE_META] = "meta",
    [STORE_NEWS] = "news",
    [STORE_WATCHERS] = "watchers",
    [STORE_DUE] = "due",
    [STORE_REPOSITORY] = "repository",
    [STORE_WILDCARDS] = "wildcards",
    [STORE_CHANGES] = "changes",
};

struct lmdb_kv {
    struct store_kv base;
    MDB_txn *txn;
    const MDB_dbi *tables;
};

struct lmdb {
    struct store base;
    struct store_lmdb_config config;
    int lock_fd;
    MDB_env *env;
    MDB_dbi tables[STORE_TABLES];
    MDB_txn *reader;  /* of the loop's thread; reset between reads */
    unsigned reading; /* reads within reads */
    struct wakeup *wakeup;
    bool told; /* failed has been called */

    pthread_t thread;
    bool has_thread;
    pthread_mutex_t mutex;
    pthread_cond_t work;
    struct list queue; /* these under the mutex: writes to do */
    struct list done;  /* writes that are durable */
    bool stopping;
    const char *failure; /* what failed; the thread has ended */
    struct latency commits;
    uint64_t operations;
    size_t waiting; /* in the queue, and in the batch that is being committed */
};

static struct lmdb *lmdb_of(struct store *s) {
    return CONTAINER_OF(s, struct lmdb, base);
}

/* Tables. */

static MDB_val to_val(struct span s) {
    return (MDB_val){s.n, (void *)(uintptr_t)s.p}; /* LMDB does not write through it */
}

static struct span from_val(MDB_val v) {
    return span_of(v.mv_data, v.mv_size);
}

static enum error to_error(int rc) {
    switch (rc) {
    case 0:
        return OK;
    case MDB_NOTFOUND:
        return ERR_NOT_FOUND;
    case ENOMEM:
        return ERR_NO_MEMORY;
    default:
        return ERR_STORE;
    }
}

static enum error lmdb_get(struct store_kv *kv, enum store_table t, struct span key,
                           struct span *value) {
    struct lmdb_kv *l = CONTAINER_OF(kv, struct lmdb_kv, base);
    MDB_val k = to_val(key), v;
    int rc = mdb_get(l->txn, l->tables[t], &k, &v);

    if (rc == 0) {
        *value = from_val(v);
    }
    return rc == MDB_BAD_VALSIZE ? ERR_NOT_FOUND : to_error(rc);
}

static enum error lmdb_next(struct store_kv *kv, enum store_table t, struct span after,
                            struct span *key, struct span *value) {
    struct lmdb_kv *l = CONTAINER_OF(kv, struct lmdb_kv, base);
    MDB_cursor *cursor;
    MDB_val k = to_val(after), v;
    int rc = mdb_cursor_open(l->txn, l->tables[t], &cursor);

    if (rc) {
        return to_error(rc);
    }
    rc = mdb_cursor_get(cursor, &k, &v, after.n ? MDB_SET_RANGE : MDB_FIRST);
    if (rc == 0 && after.n && span_eq(from_val(k), after)) {
        rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
    }
    if (rc == 0) {
        *key = from_val(k);
        *value = from_val(v);
    }
    mdb_cursor_close(cursor);
    return to_error(rc);
}

static enum error put(struct store_kv *kv, enum store_table t, struct span key, struct span value,
                      unsigned flags) {
    struct lmdb_kv *l = CONTAINER_OF(kv, struct lmdb_kv, base);
    MDB_val k = to_val(key), v = to_val(value);
    int rc = mdb_put(l->txn, l->tables[t], &k, &v, flags);

    return rc ? ERR_STORE : OK;
}

static enum error lmdb_put(struct store_kv *kv, enum store_table t, struct span key,
                           struct span value) {
    return put(kv, t, key, value, 0);
}

static enum error lmdb_append(struct store_kv *kv, enum store_table t, struct span key,
                              struct span value) {
    return put(kv, t, key, value, MDB_APPEND);
}

static enum error lmdb_del(struct store_kv *kv, enum store_table t, struct span key) {
    struct lmdb_kv *l = CONTAINER_OF(kv, struct lmdb_kv, base);
    MDB_val k = to_val(key);
    int rc = mdb_del(l->txn, l->tables[t], &k, NULL);

    return rc == 0 || rc == MDB_NOTFOUND ? OK : ERR_STORE;
}

static const struct store_kv_ops lmdb_kv_ops = {lmdb_get, lmdb_next, lmdb_put, lmdb_append,
                                                lmdb_del};

static struct lmdb_kv make_kv(const struct lmdb *l, MDB_txn *txn) {
    return (struct lmdb_kv){{&lmdb_kv_ops}, txn, l->tables};
}

/* The store's thread. */

static void take_all(struct list *from, struct list *to) {
    while (!list_is_empty(from)) {
        struct list *first = from->next;

        list_remove(first);
        list_insert(to, first);
    }
}

/* Applies a batch and makes it durable; what failed, or NULL. */
static const char *commit_batch(struct lmdb *l, struct list *batch) {
    MDB_txn *txn;

    if (mdb_txn_begin(l->env, NULL, 0, &txn) != 0) {
        return "cannot begin a transaction";
    }
    struct lmdb_kv kv = make_kv(l, txn);
    LIST_EACH(batch, w, struct store_write, link) {
        if (store_apply(&l->base, &kv.base, w) != OK) {
            mdb_txn_abort(txn);
            return "cannot write into the transaction (is the disk or the map full?)";
        }
    }
    return mdb_txn_commit(txn) == 0 ? NULL : "commit failed";
}

static uint64_t now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void *run(void *ctx) {
    struct lmdb *l = ctx;
    struct list batch;

    list_init(&batch);
    pthread_mutex_lock(&l->mutex);
    for (;;) {
        while (list_is_empty(&l->queue) && !l->stopping) {
            pthread_cond_wait(&l->work, &l->mutex);
        }
        if (list_is_empty(&l->queue)) {
            break;
        }
        take_all(&l->queue, &batch);
        pthread_mutex_unlock(&l->mutex);
        uint64_t began_us = now_us();
        const char *failure = commit_batch(l, &batch);
        uint64_t took_us = now_us() - began_us;
        uint64_t n = 0;
        LIST_EACH(&batch, w, struct store_write, link) {
            n += w != NULL;
        }
        pthread_mutex_lock(&l->mutex);
        if (failure) {
            l->failure = failure;
            take_all(&batch, &l->queue);
            wakeup_signal(l->wakeup);
            break;
        }
        latency_add(&l->commits, took_us);
        l->operations += n;
        l->waiting -= n;
        bool was_empty = list_is_empty(&l->done);
        take_all(&batch, &l->done);
        if (was_empty) {
            wakeup_signal(l->wakeup);
        }
    }
    pthread_mutex_unlock(&l->mutex);
    return NULL;
}

/* The loop's thread. */

static void woken(void *ctx) {
    struct lmdb *l = ctx;
    struct list done;

    list_init(&done);
    pthread_mutex_lock(&l->mutex);
    take_all(&l->done, &done);
    const char *failure = l->failure;
    pthread_mutex_unlock(&l->mutex);
    while (!list_is_empty(&done)) {
        struct store_write *w = CONTAINER_OF(done.next, struct store_write, link);
        list_remove(&w->link);
        store_complete(&l->base, w);
    }
    if (failure && !l->told) {
        l->told = true;
        l->config.failed(l->config.ctx, failure);
    }
}

static void lmdb_write(struct store *s, struct store_write *w) {
    struct lmdb *l = lmdb_of(s);

    pthread_mutex_lock(&l->mutex);
    list_insert(&l->queue, &w->link);
    l->waiting++;
    pthread_cond_signal(&l->work);
    pthread_mutex_unlock(&l->mutex);
}

static void lmdb_read(struct store *s, struct store_op *op, const struct store_read *read) {
    struct lmdb *l = lmdb_of(s);

    if (l->reading == 0 && mdb_txn_renew(l->reader) != 0) {
        op->error = ERR_STORE;
        store_complete_read(op);
        return;
    }
    l->reading++;
    struct lmdb_kv kv = make_kv(l, l->reader);
    store_apply_read(s, &kv.base, read, op);
    store_complete_read(op);
    if (--l->reading == 0) {
        mdb_txn_reset(l->reader);
    }
}

static void lmdb_cancel_read(struct store *s, struct store_op *op) {
    (void)s; /* reads are complete before anybody could cancel them */
    (void)op;
}

static uint64_t lmdb_count(const struct store *s) {
    const struct lmdb *l = (const struct lmdb *)s;
    MDB_txn *txn;
    MDB_stat stat = {0};

    if (mdb_txn_begin(l->env, NULL, MDB_RDONLY, &txn) == 0) {
        (void)mdb_stat(txn, l->tables[STORE_DATA], &stat);
        mdb_txn_abort(txn);
    }
    return stat.ms_entries;
}

static void lmdb_free(struct store *s) {
    struct lmdb *l = lmdb_of(s);

    if (l->has_thread) {
        pthread_mutex_lock(&l->mutex);
        l->stopping = true;
        pthread_cond_signal(&l->work);
        pthread_mutex_unlock(&l->mutex);
        pthread_join(l->thread, NULL);
    }
    wakeup_free(l->wakeup);
    LIST_EACH(&l->done, w, struct store_write, link) {
        store_drop(s, w);
    }
    LIST_EACH(&l->queue, w, struct store_write, link) {
        store_drop(s, w);
    }
    if (l->reader) {
        mdb_txn_abort(l->reader);
    }
    if (l->env) {
        mdb_env_close(l->env);
    }
    if (l->lock_fd >= 0) {
        close(l->lock_fd);
    }
    pthread_cond_destroy(&l->work);
    pthread_mutex_destroy(&l->mutex);
    store_fini(s);
    free(l);
}

static const struct store_ops lmdb_ops = {
    .read = lmdb_read,
    .write = lmdb_write,
    .cancel_read = lmdb_cancel_read,
    .count = lmdb_count,
    .free = lmdb_free,
};

/* Opening. */

struct opening {
    char *message;
    size_t message_size;
    const char *path;
};

static enum error complain(const struct opening *o, const char *what, int rc, enum error e) {
    snprintf(o->message, o->message_size, "%s: %s%s%s", o->path, what, rc ? ": " : "",
             rc ? mdb_strerror(rc) : "");
    return e;
}

static enum error errno_error(int rc) {
    return rc > 0                       ? error_from_errno(rc)
           : rc == MDB_VERSION_MISMATCH ? ERR_UNSUPPORTED
                                        : ERR_CORRUPT;
}

/* The folder, and that no other process has it: LMDB itself would let both write. */
static enum error open_folder(struct lmdb *l, const struct opening *o) {
    char lock[4096];

    if (mkdir(o->path, 0700) != 0 && errno != EEXIST) {
        return complain(o, "cannot make the folder", errno, error_from_errno(errno));
    }
    if ((size_t)snprintf(lock, sizeof lock, "%s/in-use", o->path) >= sizeof lock) {
        return complain(o, "the path is too long", 0, ERR_TOO_BIG);
    }
    l->lock_fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (l->lock_fd < 0) {
        return complain(o, "cannot open the lock file", errno, error_from_errno(errno));
    }
    if (flock(l->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        return complain(o, "another process has this store open", 0, ERR_BUSY);
    }
    return OK;
}

static enum error open_environment(struct lmdb *l, const struct opening *o) {
    unsigned flags = MDB_NOTLS | MDB_NORDAHEAD | (l->config.no_sync ? MDB_NOSYNC : 0);
    size_t map_size = l->config.map_size ? l->config.map_size : (size_t)64 << 30;

    int rc = mdb_env_create(&l->env);
    if (rc) {
        l->env = NULL;
        return complain(o, "cannot make an environment", rc, ERR_NO_MEMORY);
    }
    rc = mdb_env_set_maxdbs(l->env, STORE_TABLES);
    if (!rc) {
        rc = mdb_env_set_mapsize(l->env, map_size);
    }
    if (!rc) {
        rc = mdb_env_open(l->env, o->path, flags, 0600);
    }
    return rc ? complain(o, "cannot open the environment", rc, errno_error(rc)) : OK;
}

/* Tables, secret and schema, in one transaction. */
static enum error open_tables(struct lmdb *l, const struct opening *o) {
    MDB_txn *txn;
    struct span secret;
    int rc = mdb_txn_begin(l->env, NULL, 0, &txn);

    if (rc) {
        return complain(o, "cannot begin a transaction", rc, ERR_STORE);
    }
    for (size_t t = 0; t < STORE_TABLES && !rc; t++) {
        rc = mdb_dbi_open(txn, table_names[t], MDB_CREATE, &l->tables[t]);
    }
    if (rc) {
        mdb_txn_abort(txn);
        return complain(o, "cannot open the tables", rc, ERR_CORRUPT);
    }
    struct lmdb_kv kv = make_kv(l, txn);
    enum error e = lmdb_get(&kv.base, STORE_META, SPAN("secret"), &secret);
    if (e == OK && secret.n == STORE_SECRET_SIZE) {
        memcpy(l->base.secret, secret.p, STORE_SECRET_SIZE);
    } else if (e == ERR_NOT_FOUND) {
        e = getrandom(l->base.secret, STORE_SECRET_SIZE, 0) == STORE_SECRET_SIZE ? OK : ERR_IO;
        if (!e) {
            e = lmdb_put(&kv.base, STORE_META, SPAN("secret"),
                         span_of(l->base.secret, STORE_SECRET_SIZE));
        }
    } else if (e == OK) {
        e = ERR_CORRUPT;
    }
    if (!e) {
        e = store_upgrade(&kv.base);
    }
    if (e) {
        mdb_txn_abort(txn);
        return complain(o,
                        e == ERR_UNSUPPORTED ? "the store was made by a newer version of Muster"
                                             : "the store's own entries cannot be read or written",
                        0, e);
    }
    rc = mdb_txn_commit(txn);
    return rc ? complain(o, "cannot commit", rc, ERR_IO) : OK;
}

static enum error start(struct lmdb *l, struct loop *loop, const struct opening *o) {
    int rc = mdb_txn_begin(l->env, NULL, MDB_RDONLY, &l->reader);

    if (rc) {
        l->reader = NULL;
        return complain(o, "cannot begin to read", rc, ERR_STORE);
    }
    mdb_txn_reset(l->reader);
    if (loop_wakeup_new(loop, woken, l, &l->wakeup) != OK) {
        return complain(o, "no wake-up", 0, ERR_NO_MEMORY);
    }
    if (pthread_create(&l->thread, NULL, run, l) != 0) {
        return complain(o, "no thread", 0, ERR_NO_MEMORY);
    }
    l->has_thread = true;
    return OK;
}

enum error store_lmdb_open(struct loop *loop, const struct store_lmdb_config *config, char *message,
                           size_t message_size, struct store **out) {
    struct opening o = {message, message_size, config->path};
    struct lmdb *l = calloc(1, sizeof *l);

    if (!l) {
        return complain(&o, "out of memory", 0, ERR_NO_MEMORY);
    }
    store_init(&l->base, &lmdb_ops);
    l->config = *config;
    l->lock_fd = -1;
    list_init(&l->queue);
    list_init(&l->done);
    pthread_mutex_init(&l->mutex, NULL);
    pthread_cond_init(&l->work, NULL);
    enum error e = open_folder(l, &o);
    if (!e) {
        e = open_environment(l, &o);
    }
    if (!e) {
        e = open_tables(l, &o);
    }
    if (!e) {
        e = start(l, loop, &o);
    }
    if (e) {
        lmdb_free(&l->base);
        return e;
    }
    *out = &l->base;
    return OK;
}

bool store_is_lmdb(const struct store *store) {
    return store->ops == &lmdb_ops;
}

struct store_lmdb_figures store_lmdb_figures(const struct store *store) {
    struct lmdb *l = (struct lmdb *)(uintptr_t)store; /* the mutex is not part of what is const */
    struct store_lmdb_figures f = {.subscriptions = store_count(store)};
    MDB_envinfo info;
    MDB_stat stat;

    if (mdb_env_info(l->env, &info) == 0 && mdb_env_stat(l->env, &stat) == 0) {
        f.bytes = (info.me_last_pgno + 1) * (uint64_t)stat.ms_psize;
        f.bytes_max = info.me_mapsize;
    }
    pthread_mutex_lock(&l->mutex);
    f.commits = l->commits;
    f.operations = l->operations;
    f.waiting = l->waiting;
    pthread_mutex_unlock(&l->mutex);
    return f;
}
