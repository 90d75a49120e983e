/* What S-CSCFs have to hear of changes, told by PPR and RTR: TS 29.228 6.1.3, 6.2.2, 6.5.2. What
 * that is, model/subscription/difference.h says; it stands in the store's outbox since the change
 * was durable, and is taken from there, here, until it has been confirmed.
 *
 * An entry has the items of one change of one subscription. Items are sent one after another, and
 * so are the entries of a subscription; those of different subscriptions side by side. A HSS that
 * restarts sends an entry again from its first item: that does no harm. Data is sent as it is when
 * it is sent, so a late PPR brings nothing old.
 *
 * Open choices. No answer, and answers that say that the S-CSCF or the way there has trouble (3xxx,
 * 4xxx, 5012): again after a second, then twice as long up to a minute; after a day it is given up,
 * with an error in the log. 5001 (experimental): the S-CSCF does not know this private identity;
 * the next one of the item is tried. TOO_MUCH_DATA: its registrations end by SERVER_CHANGE. Other
 * refusals end the item. */
#include "model/subscription/difference.h"
#include "node/hss/patience.h"
#include "node/hss/web.h"

#include <openssl/crypto.h>
#include <stdlib.h>

enum {
    LOADED_MAX = 1024, /* entries in memory */
    WALK_PART = 500,   /* subscriptions that are looked at before others have their turn */
};

/* An entry of the outbox. */
struct news {
    struct htab_node by_subscription;
    struct list link; /* of all that are loaded, the oldest first */
    struct hss *h;
    uint64_t number;
    struct rec_news record;
    size_t item;          /* that is being told */
    size_t impi;          /* of the item's: by whom */
    uint64_t done;        /* bits of the IMPIs of an item that a RTA has confirmed */
    uint8_t kind, reason; /* of the item; a refusal may change them */
    struct span host;     /* kept by hss_name */
    struct patience patience;
    struct timer again;
    uint64_t after; /* of a walk over all subscriptions: the last one that was looked at */
    enum { WALK_ON, WALK_WAITS, WALK_OVER } step;
    bool asking;     /* what comes now does so within the call */
    struct job *job; /* that looks at the subscription */
    struct diameter_pending *pending;
    struct store_op op;
    char bytes[]; /* of the record */
};

static void tell(struct news *n);
static void begin_item(struct news *n);

static struct rec_news_item item_of(const struct news *n) {
    return rec_news_items(n->record, n->item);
}

static struct span impi_of(const struct news *n) {
    return rec_news_item_impis(item_of(n), n->impi);
}

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

static void forget(struct news *n) {
    htab_remove(&n->h->news_of, &n->by_subscription);
    list_remove(&n->link);
    n->h->n_news--;
    timer_stop(&n->again);
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

static void next_item(struct news *n) {
    n->item++;
    if (n->item < rec_news_n_items(n->record)) {
        begin_item(n);
        return;
    }
    n->op.done = on_deleted;
    store_delete_news(n->h->store, &n->op, n->number);
}

static void begin_item(struct news *n) {
    struct rec_news_item item = item_of(n);

    n->impi = 0;
    n->done = 0;
    n->kind = rec_news_item_kind(item);
    n->reason = rec_news_item_reason(item);
    n->host = hss_name(n->h, rec_news_item_scscf_host(item));
    n->patience = patience_new(n->h->env);
    tell(n);
}

static void give_up(struct news *n, const char *why) {
    struct hss *h = n->h;

    h->counters.news_given_up++;
    LOG(&h->env->log, LOG_ERROR, "an S-CSCF is not told of a change",
        LOG_SPAN("scscf", rec_news_item_scscf_name(item_of(n))), LOG_SPAN("impi", impi_of(n)),
        LOG_CSTR("what", n->kind == NEWS_TERMINATION ? "RTR" : "PPR"), LOG_CSTR("why", why));
    next_item(n);
}

static void on_again(struct timer *t) {
    tell(CONTAINER_OF(t, struct news, again));
}

static void later(struct news *n, const char *why) {
    if (!patience_wait(&n->patience, n->h->env, &n->again)) {
        give_up(n, why);
    }
}

/* The first of the item's IMPIs that no RTA has confirmed; their number: all have been. */
static size_t first_left(const struct news *n) {
    size_t i = 0, count = rec_news_item_n_impis(item_of(n));

    while (i < count && i < SUBSCRIPTION_SLOTS && n->done >> i & 1) {
        i++;
    }
    return i < SUBSCRIPTION_SLOTS ? i : count;
}

/* Answers. */

/* The S-CSCF does not know this identity (any more). */
static void next_impi(struct news *n) {
    n->impi++;
    if (n->impi < rec_news_item_n_impis(item_of(n))) {
        tell(n);
    } else {
        next_item(n);
    }
}

/* Which of the item's IMPIs have been told by this RTA: all, but after SERVER_CHANGE those that it
 * names, and the User-Name. */
static uint64_t confirmed(const struct news *n, const struct diameter_msg *msg) {
    struct rec_news_item item = item_of(n);
    struct arena arena = arena_init(n->h->env->chunks);
    struct diameter_fault fault;
    struct cx_rta rta;
    uint64_t done = UINT64_MAX;

    if (n->reason == CX_REASON_CODE_SERVER_CHANGE &&
        cx_rta_decode(&arena, msg, &rta, &fault) == OK && rta.associated_identities) {
        done = n->done | UINT64_C(1) << first_left(n);
        for (size_t i = 0; i < rec_news_item_n_impis(item) && i < SUBSCRIPTION_SLOTS; i++) {
            for (size_t k = 0; k < rta.associated_identities->n_user_name; k++) {
                if (span_eq(rta.associated_identities->user_name[k],
                            rec_news_item_impis(item, i))) {
                    done |= UINT64_C(1) << i;
                }
            }
        }
    }
    arena_release(&arena);
    return done;
}

static void on_success(struct news *n, const struct diameter_msg *msg) {
    if (n->kind == NEWS_CHARGING) { /* every set that it serves is to be reached */
        next_impi(n);
        return;
    }
    if (n->kind == NEWS_TERMINATION) {
        n->done = confirmed(n, msg);
        if (first_left(n) < rec_news_item_n_impis(item_of(n))) {
            tell(n); /* 6.1.3.1: a RTR for those that were missed */
            return;
        }
    }
    next_item(n);
}

static void on_answer(void *ctx, const struct diameter_msg *msg) {
    struct news *n = ctx;
    struct diameter_result r = msg->result;
    bool unknown = r.vendor == DIAMETER_VENDOR_3GPP && r.code == DIAMETER_ERROR_USER_UNKNOWN;
    bool too_much = r.vendor == DIAMETER_VENDOR_3GPP && r.code == DIAMETER_ERROR_TOO_MUCH_DATA;

    n->pending = NULL;
    if (diameter_result_is_success(r)) {
        on_success(n, msg);
    } else if (unknown && n->kind == NEWS_TERMINATION) {
        next_item(n); /* it has none of them */
    } else if (unknown) {
        next_impi(n);
    } else if (too_much && n->kind != NEWS_TERMINATION) {
        n->kind = NEWS_TERMINATION;
        n->reason = CX_REASON_CODE_SERVER_CHANGE;
        tell(n);
    } else if (r.code / 1000 == 5 && r.code != DIAMETER_UNABLE_TO_COMPLY) {
        const char *name = diameter_result_name(r);
        give_up(n, name ? name : "the S-CSCF refuses it");
    } else {
        later(n, "the S-CSCF has trouble");
    }
}

static void on_failure(void *ctx, enum error why) {
    struct news *n = ctx;

    n->pending = NULL;
    if (!n->h->stopping) {
        later(n, error_text(why));
    }
}

static const struct diameter_answer_handler handler = {on_answer, on_failure};

/* Requests. */

static struct diameter_builder *begin_request(struct news *n, uint32_t command) {
    const struct diameter_route route = {.application = CX_APPLICATION,
                                         .command = command,
                                         .realm = n->h->config.realm,
                                         .host = n->host};
    return diameter_request_begin(n->h->diameter, &route);
}

static void send(struct news *n) {
    enum error e = diameter_request_send(n->h->diameter, &handler, n, &n->pending);

    if (e) {
        n->pending = NULL;
        later(n, error_text(e));
    }
}

static void send_rtr(struct news *n) {
    struct rec_news_item item = item_of(n);
    size_t n_impis = rec_news_item_n_impis(item), n_impus = rec_news_item_n_impus(item);
    struct arena arena = arena_init(n->h->env->chunks);
    struct span *names = arena_alloc(&arena, (n_impis + n_impus + 1) * sizeof *names);
    struct cx_associated_identities others = {.user_name = names + 1};

    if (!names) {
        later(n, error_text(ERR_NO_MEMORY));
        return;
    }
    size_t n_left = 0;
    for (size_t i = 0; i < n_impis; i++) {
        if (i >= SUBSCRIPTION_SLOTS || !(n->done >> i & 1)) {
            names[n_left++] = rec_news_item_impis(item, i);
        }
    }
    n_impis = n_left;
    others.n_user_name = (unsigned)n_impis - 1;
    /* A change of server is the whole subscription's: no public identities (6.1.3.1). */
    n_impus = n->reason == CX_REASON_CODE_SERVER_CHANGE ? 0 : n_impus;
    for (size_t i = 0; i < n_impus; i++) {
        names[n_impis + i] = rec_news_item_impus(item, i);
    }
    struct cx_rtr rtr = {.user_name = names[0],
                         .associated_identities = others.n_user_name ? &others : NULL,
                         .public_identity = names + n_impis,
                         .n_public_identity = (unsigned)n_impus,
                         .deregistration_reason = {.reason_code = n->reason}};
    cx_rtr_encode(begin_request(n, CX_COMMAND_REGISTRATION_TERMINATION), &rtr);
    arena_release(&arena);
    n->h->counters.rtr++;
    send(n);
}

/* What a PPR brings, of the subscription as it is now. False: it is not wanted any more. */
static bool put_ppr(struct news *n, const struct subscription *s, struct rec_impi impi) {
    struct hss *h = n->h;
    struct cx_ppr ppr = {.user_name = rec_impi_identity(impi)};
    struct cx_charging_information charging;
    struct hss_digest digest;
    struct cx_sip_auth_data_item item;
    unsigned set = rec_news_item_set(item_of(n));

    switch (n->kind) {
    case NEWS_USER_DATA:
        if (registration_of(&s->state, set) == NOT_REGISTERED) {
            return false;
        }
        ppr.user_data = profiles_user_data(h, s->data, ppr.user_name, set, s->state.scscf_features);
        break;
    case NEWS_CHARGING:
        if (!hss_charging(h, s->data, &charging)) {
            return false;
        }
        ppr.charging_information = &charging;
        break;
    case NEWS_CREDENTIALS:
        if (!rec_impi_has_digest_md5(impi) && !rec_impi_has_digest_sha256(impi)) {
            return false;
        }
        item = hss_digest_item(h, impi, &digest);
        ppr.sip_auth_data_item = &item;
        break;
    default:
        return false;
    }
    cx_ppr_encode(begin_request(n, CX_COMMAND_PUSH_PROFILE), &ppr);
    OPENSSL_cleanse(&digest, sizeof digest);
    return true;
}

/* Has what was to end begun anew, at the same S-CSCF? Then it must not be ended. */
static bool came_back(const struct news *n, const struct subscription *s) {
    struct rec_news_item item = item_of(n);
    struct rec_impu impu;
    struct rec_impi impi;

    if (!span_eq(s->state.scscf_host, n->host) || n->reason == CX_REASON_CODE_SERVER_CHANGE) {
        return false;
    }
    if (n->reason == CX_REASON_CODE_NEW_SERVER_ASSIGNED) {
        return true;
    }
    for (size_t i = 0; i < rec_news_item_n_impus(item); i++) {
        bool there = subscription_impu(s->data, rec_news_item_impus(item, i), &impu);
        for (size_t k = 0; there && k < rec_news_item_n_impis(item); k++) {
            if (subscription_impi(s->data, rec_news_item_impis(item, k), &impi) &&
                s->state.registered_by[rec_impu_set(impu)] >> rec_impi_slot(impi) & 1) {
                return true;
            }
        }
    }
    return false;
}

/* Sends what is to be told about the subscription as it is now (NULL: it has gone). False: nothing
 * is. */
static bool tell_of(struct news *n, const struct subscriber *s) {
    struct rec_impi impi;

    if (n->kind == NEWS_TERMINATION) {
        if (s && came_back(n, &s->s)) {
            return false;
        }
        send_rtr(n);
        return true;
    }
    if (!s || s->id != rec_news_subscription(n->record) ||
        !span_eq(s->s.state.scscf_host, n->host) ||
        !subscription_impi(s->s.data, impi_of(n), &impi) || !put_ppr(n, &s->s, impi)) {
        return false;
    }
    n->h->counters.ppr++;
    send(n);
    return true;
}

/* With the subscription's turn. */
static void look(struct job *job) {
    struct news *n = job->ctx;
    enum error e = job->error;
    bool told = !e && tell_of(n, job->subscriber);

    n->job = NULL;
    job_end(job);
    if (e) {
        later(n, error_text(ERR_STORE));
    } else if (!told && n->kind == NEWS_TERMINATION) {
        next_item(n);
    } else if (!told) { /* it has gone, or another S-CSCF has it by now, with all that is new */
        next_impi(n);
    }
}

/* A service profile has changed: an entry for each subscription that is registered with it. */

static void walk(struct news *n);

static void on_pause(struct timer *t) {
    walk(CONTAINER_OF(t, struct news, again));
}

static void on_entry_saved(struct store_op *op) {
    struct news *n = CONTAINER_OF(op, struct news, op);

    if (op->error) { /* the walk begins anew: who is told twice comes to no harm */
        timer_init(&n->again, on_again);
        later(n, error_text(op->error));
        return;
    }
    n->step = WALK_ON;
    walk(n);
}

/* True: an entry for this subscription is on its way into the outbox. */
static bool save_entry(struct news *n, const struct store_subscription *read) {
    struct rec_news_item item = item_of(n);
    struct arena arena = arena_init(n->h->env->chunks);
    struct subscription s = {.data = rec_subscription_of(read->data)};
    struct subscription_difference d;
    bool saving = false;

    registration_read(rec_registration_of(read->state), &s.state);
    enum error e = subscription_differ_by_profile(&s, rec_news_item_impus(item, 0), &arena, &d);
    const struct rec_news_data news = {.subscription = read->id, .items = d.items, .n_items = d.n};
    struct span record = !e && d.n ? web_record(&arena, &rec_news_type, &news) : SPAN_NONE;
    if (record.n) {
        n->op.done = on_entry_saved;
        store_save_news(n->h->store, &n->op, 0, record);
        saving = true;
    }
    arena_release(&arena);
    return saving;
}

static void on_walked(struct store_op *op) {
    struct news *n = CONTAINER_OF(op, struct news, op);

    n->step = WALK_ON;
    if (op->error == ERR_NOT_FOUND) {
        n->step = WALK_OVER;
    } else if (op->error) {
        n->after++; /* this one cannot be read, and the log says so whenever it is wanted */
    } else {
        n->after = op->subscription.id;
        n->step = save_entry(n, &op->subscription) ? WALK_WAITS : WALK_ON;
    }
    if (!n->asking) {
        walk(n);
    }
}

static void walk(struct news *n) {
    for (unsigned i = 0; n->step == WALK_ON; i++) {
        if (i == WALK_PART) { /* others have their turn */
            timer_init(&n->again, on_pause);
            timer_start(n->h->env, &n->again, MS_IN_US);
            return;
        }
        n->step = WALK_WAITS;
        n->asking = true;
        n->op.done = on_walked;
        store_next(n->h->store, &n->op, n->after);
        n->asking = false;
    }
    if (n->step == WALK_OVER) {
        next_item(n);
    }
}

static void begin_walk(struct news *n) {
    n->after = 0;
    n->step = WALK_ON;
    walk(n);
}

static void tell(struct news *n) {
    if (n->kind == NEWS_PROFILE) {
        begin_walk(n);
        return;
    }
    n->job = job_new(n->h, look);
    if (!n->job) {
        later(n, error_text(ERR_NO_MEMORY));
        return;
    }
    n->job->ctx = n;
    job_find(n->job, STORE_IMPI, impi_of(n));
}

/* From the outbox. */

static void take(struct hss *h, uint64_t number, struct span record) {
    struct news *n = calloc(1, sizeof *n + record.n);

    if (!n || htab_insert(&h->news_of, &n->by_subscription,
                          hash_mix(0, rec_news_subscription(rec_news_of(record)))) != OK) {
        free(n); /* it stays in the store */
        return;
    }
    memcpy(n->bytes, record.p, record.n);
    n->h = h;
    n->number = number;
    n->record = rec_news_of(span_of(n->bytes, record.n));
    timer_init(&n->again, on_again);
    list_insert(&h->news, &n->link);
    h->n_news++;
    h->last_news = number;
    if (rec_news_n_items(n->record) == 0) {
        n->op.done = on_deleted;
        store_delete_news(h->store, &n->op, number);
    } else if (!has_to_wait(n)) {
        begin_item(n);
    }
}

static void on_read(struct store_op *op) {
    struct hss *h = CONTAINER_OF(op, struct hss, news_op);
    uint64_t before = h->last_news;

    h->reading_news = false;
    if (op->error == OK) {
        take(h, op->news, op->record);
    } else if (op->error != ERR_NOT_FOUND) {
        LOG(&h->env->log, LOG_ERROR, "the outbox cannot be read",
            LOG_CSTR("why", error_text(op->error)));
    }
    h->more_news = op->error == OK && h->last_news != before;
    if (h->more_news) {
        courier_wake(h);
    }
}

void courier_wake(struct hss *h) {
    if (h->waking) { /* a read that completes within the call does not recurse */
        return;
    }
    h->waking = true;
    do {
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

void courier_free(struct hss *h) {
    store_cancel(&h->news_op);
    LIST_EACH(&h->news, n, struct news, link) {
        store_cancel(&n->op);
        forget(n);
    }
    htab_free(&h->news_of);
}
