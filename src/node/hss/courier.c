/* What S-CSCFs have to hear of changes: the entries of the outbox, their order and their pace. What
 * is to be told, model/subscription/difference.h says; it stands in the store's outbox since the
 * change was durable, and is taken from there, here, until it has been confirmed. telling.c has the
 * requests.
 *
 * An entry has the items of one change of one subscription. Items are sent one after another, and
 * so are the entries of a subscription that are loaded; those of different subscriptions side by
 * side, HOST_MAX at each S-CSCF at most, so that a profile that a million have leaves room for
 * registrations. A HSS that restarts sends an entry again from its first item: that does no harm.
 *
 * Open choices. No answer: again after a second, then twice as long up to a minute; after a day it
 * is given up, with an error in the log. LOADED_MAX entries are in memory: when more wait, those
 * of S-CSCFs in trouble make way, and are loaded and tried again every minute. */
#include "node/hss/courier.h"

#include "node/hss/sh.h"
#include "node/hss/web.h"

#include <openssl/crypto.h>
#include <stdlib.h>

enum {
    LOADED_MAX = 8192, /* entries in memory */
    AGAIN_MIN_S = 1,
    AGAIN_MAX_S = 60,
    GIVE_UP_S = 24 * 3600,
    HOST_MAX = 64,   /* things that one S-CSCF is told at once */
    WALK_SAVES = 64, /* entries on their way into the outbox at once */
    WALK_PART = 500, /* subscriptions that are looked at before others have their turn */
};

/* An S-CSCF. */
struct news_host {
    struct news_host *next;
    struct span host; /* kept by hss_name */
    unsigned telling; /* requests under way, and looks before them */
    bool going_on;    /* news_told starts those that are ready */
    struct list ready;
};

static void begin_item(struct news *n);

/* Is another entry of the same subscription before it? */
static bool has_to_wait(struct news *n) {
    uint64_t subscription = rec_news_subscription(n->record);
    struct htab_node *node = htab_first(&n->h->news_of, hash_mix(0, subscription));

    for (; node; node = htab_next(node)) {
        struct news *other = CONTAINER_OF(node, struct news, by_subscription);
        if (other->number < n->number && rec_news_subscription(other->record) == subscription) {
            return true;
        }
    }
    return false;
}

/* Pace. */

static struct news_host *host_of(struct hss *h, struct span name) {
    struct news_host *host = h->news_hosts;

    while (host && !span_eq(host->host, name)) {
        host = host->next;
    }
    if (!host) {
        host = malloc(sizeof *host);
        if (host) {
            *host = (struct news_host){.next = h->news_hosts, .host = name};
            list_init(&host->ready);
            h->news_hosts = host;
        }
    }
    return host;
}

void news_told(struct news *n) {
    struct news_host *host = n->slot;
    struct hss *h = n->h;

    if (!host) {
        return;
    }
    n->slot = NULL;
    host->telling--;
    if (host->going_on) { /* one that ends within the call does not recurse */
        return;
    }
    host->going_on = true;
    while (host->telling < HOST_MAX && !list_is_empty(&host->ready) && !h->stopping) {
        struct news *next = CONTAINER_OF(host->ready.next, struct news, ready);
        list_remove(&next->ready);
        news_tell(next);
    }
    host->going_on = false;
}

static void forget(struct news *n) {
    struct hss *h = n->h;

    if (n->slot) {
        n->slot->telling--;
    }
    list_remove(&n->ready);
    htab_remove(&h->news_of, &n->by_subscription);
    list_remove(&n->link);
    h->n_news--;
    timer_stop(&n->again);
    free(n->walk);
    OPENSSL_cleanse(n, sizeof *n);
    free(n);
}

/* The first entry of the subscription that is left has its turn. */
static void next_of(struct hss *h, uint64_t subscription) {
    struct htab_node *node = htab_first(&h->news_of, hash_mix(0, subscription));

    for (; node; node = htab_next(node)) {
        struct news *n = CONTAINER_OF(node, struct news, by_subscription);
        if (rec_news_subscription(n->record) == subscription && !has_to_wait(n)) {
            begin_item(n);
            return;
        }
    }
}

static void on_deleted(struct store_op *op) {
    struct news *n = CONTAINER_OF(op, struct news, op);
    struct hss *h = n->h;
    uint64_t subscription = rec_news_subscription(n->record);

    forget(n); /* if it could not be deleted, the next start tells it again */
    next_of(h, subscription);
    courier_wake(h);
}

/* Items. */

static void begin_walk(struct news *n);

static void reset_patience(struct news *n) {
    n->wait_s = AGAIN_MIN_S;
    n->give_up_us = env_now_us(n->h->env) + GIVE_UP_S * SEC_IN_US;
}

/* The sets that were back before the RTR are sent as they are, one after the other. */
static void refresh(struct news *n) {
    n->set = (uint8_t)__builtin_ctzll(n->back);
    n->back &= n->back - 1;
    n->kind = NEWS_USER_DATA;
    n->refreshes = true;
    n->impi = 0;
    reset_patience(n);
    news_tell(n);
}

void news_next_item(struct news *n) {
    if (n->back) {
        refresh(n);
        return;
    }
    n->item++;
    if (n->item < rec_news_n_items(n->record)) {
        begin_item(n);
        return;
    }
    n->op.done = on_deleted;
    store_delete_news(n->h->store, &n->op, n->number);
}

static void begin_item(struct news *n) {
    struct rec_news_item item = news_item(n);

    n->impi = 0;
    n->done = n->back = 0;
    n->refreshes = n->fixed_over = false;
    n->kind = rec_news_item_kind(item);
    n->set = rec_news_item_set(item) % SUBSCRIPTION_SLOTS;
    n->host = hss_name(n->h, rec_news_item_scscf_host(item));
    reset_patience(n);
    news_tell(n);
}

void news_give_up(struct news *n, const char *why) {
    struct hss *h = n->h;

    h->counters.news_given_up++;
    LOG(&h->env->log, LOG_ERROR, "an S-CSCF is not told of a change",
        LOG_SPAN("scscf", rec_news_item_scscf_name(news_item(n))), LOG_SPAN("impi", news_impi(n)),
        LOG_CSTR("what", n->kind == NEWS_TERMINATION ? "RTR" : "PPR"), LOG_CSTR("why", why));
    news_next_item(n);
}

static void on_again(struct timer *t) {
    struct news *n = CONTAINER_OF(t, struct news, again);

    if (env_now_us(n->h->env) >= n->give_up_us) {
        news_give_up(n, n->why);
    } else {
        news_tell(n);
    }
}

void news_later(struct news *n, const char *why) {
    n->why = why;
    timer_start(n->h->env, &n->again, n->wait_s * SEC_IN_US);
    n->wait_s = 2 * n->wait_s < AGAIN_MAX_S ? 2 * n->wait_s : AGAIN_MAX_S;
}

void news_tell(struct news *n) {
    if (n->kind == NEWS_PROFILE) {
        begin_walk(n);
        return;
    }
    struct news_host *host = host_of(n->h, n->host);
    if (!host) {
        news_later(n, error_text(ERR_NO_MEMORY));
    } else if (host->telling >= HOST_MAX) {
        list_insert(&host->ready, &n->ready);
    } else {
        host->telling++;
        n->slot = host;
        telling_begin(n);
    }
}

/* A service profile has changed: an entry for each subscription that is registered with it. */

struct walk_save {
    struct store_op op;
    struct news *n;
};

struct walk {
    uint64_t after; /* the last subscription that was looked at */
    bool reading;   /* a read is under way */
    bool asking;    /* what comes now does so within the call */
    bool over;      /* all have been looked at */
    bool failed;    /* something was not saved: the walk begins anew */
    size_t n_saving;
    struct walk_save saves[WALK_SAVES];
};

static void walk(struct news *n);

static void on_pause(struct timer *t) {
    walk(CONTAINER_OF(t, struct news, again));
}

static void on_entry_saved(struct store_op *op) {
    struct news *n = CONTAINER_OF(op, struct walk_save, op)->n;

    n->walk->failed = n->walk->failed || op->error;
    n->walk->n_saving--;
    courier_wake(n->h);
    walk(n);
}

/* Puts an entry for this subscription into the outbox, if it has the profile. */
static void save_entry(struct news *n, const struct store_subscription *read) {
    struct rec_news_item item = news_item(n);
    struct arena arena = arena_init(n->h->env->chunks);
    struct subscription s = {.data = rec_subscription_of(read->data)};
    struct subscription_difference d;

    registration_read(rec_registration_of(read->state), &s.state);
    enum error e = subscription_differ_by_profile(&s, rec_news_item_impus(item, 0), &arena, &d);
    const struct rec_news_data news = {.subscription = read->id, .items = d.items, .n_items = d.n};
    struct span record = !e && d.n ? web_record(&arena, &rec_news_type, &news) : SPAN_NONE;
    if (record.n) {
        struct walk_save *save = n->walk->saves;
        while (store_op_is_active(&save->op)) {
            save++;
        }
        save->n = n;
        save->op.done = on_entry_saved;
        n->walk->n_saving++;
        store_save_news(n->h->store, &save->op, 0, record);
    } else if (e || d.n) {
        n->walk->failed = true;
    }
    arena_release(&arena);
}

static void on_criteria_marked(void *ctx) {
    struct news *n = ctx;

    n->walk->n_saving--;
    if (!n->walk->asking) {
        walk(n);
    }
}

/* Application servers that have subscribed to filter criteria hear of the profile, too. */
static void mark_criteria(struct news *n, const struct store_subscription *read) {
    struct span profile = rec_news_item_impus(news_item(n), 0);
    bool asking = n->walk->asking;

    if (!sh_watches_criteria(read, profile)) {
        return;
    }
    n->walk->n_saving++;
    n->walk->asking = true;
    if (!sh_criteria_changed(n->h, read, profile, on_criteria_marked, n)) {
        n->walk->n_saving--;
        n->walk->failed = true;
    }
    n->walk->asking = asking;
}

static void on_walked(struct store_op *op) {
    struct news *n = CONTAINER_OF(op, struct news, op);
    struct walk *w = n->walk;

    w->reading = false;
    if (op->error == ERR_NOT_FOUND) {
        w->over = true;
    } else if (op->error) {
        w->after++; /* this one cannot be read, and the log says so whenever it is wanted */
    } else {
        w->after = op->subscription.id;
        mark_criteria(n, &op->subscription);
        save_entry(n, &op->subscription);
    }
    if (!w->asking) {
        walk(n);
    }
}

/* Who is told twice, because the walk began anew, comes to no harm. */
static void end_walk(struct news *n) {
    bool failed = n->walk->failed;

    free(n->walk);
    n->walk = NULL;
    timer_init(&n->again, on_again);
    if (failed) {
        news_later(n, error_text(ERR_STORE));
    } else {
        news_next_item(n);
    }
}

static void walk(struct news *n) {
    struct walk *w = n->walk;

    for (unsigned i = 0; !w->over && !w->reading && w->n_saving < WALK_SAVES; i++) {
        if (i == WALK_PART) { /* others have their turn */
            if (!timer_is_running(&n->again)) {
                timer_start(n->h->env, &n->again, MS_IN_US);
            }
            return;
        }
        w->reading = w->asking = true;
        n->op.done = on_walked;
        store_next(n->h->store, &n->op, w->after);
        w->asking = false;
    }
    if (w->over && !w->n_saving) {
        end_walk(n);
    }
}

static void begin_walk(struct news *n) {
    n->walk = calloc(1, sizeof *n->walk);
    if (!n->walk) {
        news_later(n, error_text(ERR_NO_MEMORY));
        return;
    }
    timer_init(&n->again, on_pause);
    walk(n);
}

/* From the outbox. */

/* Something else has happened to the subscription: what is tried again and again may not be wanted
 * any more. */
static void hurry(struct hss *h, uint64_t subscription) {
    struct htab_node *node = htab_first(&h->news_of, hash_mix(0, subscription));

    for (; node; node = htab_next(node)) {
        struct news *n = CONTAINER_OF(node, struct news, by_subscription);
        if (rec_news_subscription(n->record) == subscription && !n->walk &&
            timer_is_running(&n->again)) {
            timer_start(h->env, &n->again, 0);
        }
    }
}

static bool is_loaded(struct hss *h, uint64_t number, uint64_t subscription) {
    struct htab_node *node = htab_first(&h->news_of, hash_mix(0, subscription));

    for (; node; node = htab_next(node)) {
        if (CONTAINER_OF(node, struct news, by_subscription)->number == number) {
            return true;
        }
    }
    return false;
}

static void take(struct hss *h, uint64_t number, struct span record) {
    uint64_t subscription = rec_news_subscription(rec_news_of(record));

    if (is_loaded(h, number, subscription)) {
        return;
    }
    struct news *n = calloc(1, sizeof *n + record.n);
    if (!n || htab_insert(&h->news_of, &n->by_subscription, hash_mix(0, subscription)) != OK) {
        free(n); /* it stays in the store */
        return;
    }
    memcpy(n->bytes, record.p, record.n);
    n->h = h;
    n->number = number;
    n->record = rec_news_of(span_of(n->bytes, record.n));
    timer_init(&n->again, on_again);
    list_init(&n->ready);
    list_insert(&h->news, &n->link);
    h->n_news++;
    if (rec_news_n_items(n->record) == 0) {
        n->op.done = on_deleted;
        store_delete_news(h->store, &n->op, number);
    } else if (has_to_wait(n)) {
        hurry(h, subscription);
    } else {
        begin_item(n);
    }
}

/* Those that wait to be tried again make way, and so do those behind them. */
static void make_way(struct hss *h) {
    LIST_EACH(&h->news, n, struct news, link) {
        bool idle = !n->walk && !n->slot && !n->job && list_is_empty(&n->ready) &&
                    !store_op_is_active(&n->op);
        if (idle && (timer_is_running(&n->again) || has_to_wait(n))) {
            forget(n);
            h->news_left = true;
        }
    }
}

/* From the first one again, for those that made way. */
static void on_look_again(struct timer *t) {
    struct hss *h = CONTAINER_OF(t, struct hss, news_timer);

    h->news_left = false;
    h->last_news = 0;
    courier_wake(h);
}

static void on_read(struct store_op *op) {
    struct hss *h = CONTAINER_OF(op, struct hss, news_op);

    h->reading_news = false;
    h->more_news = op->error == OK;
    if (op->error == OK) {
        h->last_news = op->news;
        take(h, op->news, op->record);
    } else if (op->error != ERR_NOT_FOUND) { /* it stays, for people; others are told */
        LOG(&h->env->log, LOG_ERROR, "an entry of the outbox cannot be read",
            LOG_U64("number", op->news), LOG_CSTR("why", error_text(op->error)));
        h->more_news = op->news > h->last_news;
        h->last_news = h->more_news ? op->news : h->last_news;
    } else if (h->news_left && !timer_is_running(&h->news_timer)) {
        timer_start(h->env, &h->news_timer, AGAIN_MAX_S * SEC_IN_US);
    }
    if (h->more_news) {
        courier_wake(h);
    }
}

void courier_init(struct hss *h) {
    list_init(&h->news);
    timer_init(&h->news_timer, on_look_again);
}

void courier_wake(struct hss *h) {
    if (h->waking) { /* a read that completes within the call does not recurse */
        return;
    }
    h->waking = true;
    do {
        if (h->n_news >= LOADED_MAX) {
            make_way(h);
        }
        if (h->reading_news || h->stopping || h->n_news >= LOADED_MAX) {
            break;
        }
        h->reading_news = true;
        h->more_news = false;
        h->news_op.done = on_read;
        store_next_news(h->store, &h->news_op, h->last_news);
    } while (h->more_news);
    h->waking = false;
}

static void cancel(struct news *n) {
    store_cancel(&n->op);
    for (size_t i = 0; n->walk && i < WALK_SAVES; i++) {
        store_cancel(&n->walk->saves[i].op);
    }
}

void courier_free(struct hss *h) {
    store_cancel(&h->news_op);
    timer_stop(&h->news_timer);
    LIST_EACH(&h->news, n, struct news, link) {
        cancel(n);
        forget(n);
    }
    while (h->news_hosts) {
        struct news_host *next = h->news_hosts->next;

        free(h->news_hosts);
        h->news_hosts = next;
    }
    htab_free(&h->news_of);
}
