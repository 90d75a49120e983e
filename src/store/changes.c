/* The log of changes. An entry's value is the number of subscriptions that it concerns, which an
 * import knows only when it is done, and the record. */
#include "store/impl.h"

#include <stdlib.h>

enum {
    COUNT_SIZE = STORE_ID_SIZE,
    TRIMMED_MAX = 100, /* old entries that go with a new one: there may be many after a setting */
};

static const struct span next_key = SPAN_INIT("next-change");

static enum error next_change(struct store_kv *kv, uint64_t *number) {
    struct span value;
    enum error e = kv->ops->get(kv, STORE_META, next_key, &value);

    *number = !e && value.n == STORE_ID_SIZE ? store_id_of(value.p) : 1;
    return e == ERR_NOT_FOUND ? OK : e;
}

/* Takes away what is older than the newest n_max. */
static enum error trim(struct store_kv *kv, uint64_t newest, uint64_t n_max) {
    char room[STORE_ID_SIZE];
    struct span key, value;

    for (size_t i = 0; i < TRIMMED_MAX; i++) {
        enum error e = kv->ops->next(kv, STORE_CHANGES, SPAN_NONE, &key, &value);

        if (e || key.n != STORE_ID_SIZE || store_id_of(key.p) + n_max > newest) {
            return e == ERR_NOT_FOUND ? OK : e;
        }
        e = kv->ops->del(kv, STORE_CHANGES, store_id_key(room, store_id_of(key.p)));
        if (e) {
            return e;
        }
    }
    return OK;
}

static enum error append(struct store_kv *kv, uint64_t number, uint64_t concerned,
                         struct span record) {
    char room[STORE_ID_SIZE], small[1024];
    size_t n = COUNT_SIZE + record.n;
    char *value = n > sizeof small ? malloc(n) : small;

    if (!value) {
        return ERR_NO_MEMORY;
    }
    (void)store_id_key(value, concerned);
    memcpy(value + COUNT_SIZE, record.p, record.n);
    enum error e =
        kv->ops->append(kv, STORE_CHANGES, store_id_key(room, number), span_of(value, n));
    if (value != small) {
        free(value);
    }
    return e;
}

enum error store_apply_log(struct store_kv *kv, const struct store_write *w, uint64_t n_max) {
    uint64_t number, concerned = w->kind == WRITE_IMPORT ? w->n_stored : 1;
    char room[STORE_ID_SIZE];

    if (!w->log.n || !n_max || !concerned) {
        return OK;
    }
    enum error e = next_change(kv, &number);
    e = e ? e : append(kv, number, concerned, w->log);
    e = e ? e : kv->ops->put(kv, STORE_META, next_key, store_id_key(room, number + 1));
    return e ? e : trim(kv, number, n_max);
}

void store_apply_next_change(struct store_kv *kv, uint64_t after, struct store_op *op) {
    char room[STORE_ID_SIZE];
    struct span key, value;

    op->change = op->concerned = op->last_change = 0;
    op->error = next_change(kv, &op->last_change);
    if (!op->error) {
        op->last_change--;
        op->error = kv->ops->next(kv, STORE_CHANGES, store_id_key(room, after), &key, &value);
    }
    if (!op->error && (key.n != STORE_ID_SIZE || value.n <= COUNT_SIZE)) {
        op->error = ERR_CORRUPT;
    }
    if (!op->error) {
        op->change = store_id_of(key.p);
        op->concerned = store_id_of(value.p);
        op->record = span_after(value, COUNT_SIZE);
        op->error = record_check(&rec_change_type, op->record);
    }
}
