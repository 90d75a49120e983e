/* PNR, PNA: Sh-Notif, TS 29.328 6.1.4, TS 29.329 6.1.7. What is due stands in the watchers of a
 * subscription since the change was durable, and is taken from there, here, until it has been
 * confirmed; a restart loses nothing.
 *
 * For each subscription and application server there is one notice at a time, which tells one thing
 * after the other with the data as it is when it is sent. Each application server has a window of
 * notices: one that does not answer holds up nobody else, and what does not fit is looked for in
 * the store when there is room again.
 *
 * Open choices. No answer, and answers that say that the application server or the way there has
 * trouble (3xxx, 4xxx, 5012): again from a second to a minute apart; after a day it is given up,
 * with an error in the log. USER_UNKNOWN and NO_SUBSCRIPTION_TO_DATA end its subscription. After
 * other refusals it stays, and waits for the next change; so it does while the application server
 * has lost the permission. */
#include "node/hss/patience.h"
#include "node/hss/sh.h"

#include <stdlib.h>

enum {
    WINDOW = 256,    /* notices of an application server at a time */
    WALK_PART = 500, /* subscriptions that are looked at before others have their turn */
};

/* An application server that is told something. */
struct server {
    struct list link;
    struct span host; /* kept by hss_name */
    size_t n;         /* its notices */
    bool more;        /* there are others in the store */
};

struct sh_notifier {
    struct hss *h;
    struct list servers, notices;
    struct htab by_id; /* notices by subscription */
    struct store_op op;
    struct timer pause;
    uint64_t after;
    bool walking, asking, come, again;
};

/* What one application server is told of one subscription. */
struct notice {
    struct htab_node by_id;
    struct list link;
    struct hss *h;
    struct server *server;
    uint64_t id;
    struct patience patience;
    struct timer again;
    struct job *job;
    struct diameter_pending *pending;
    struct arena arena; /* of what is being told */
    struct rec_watcher_data told;
    struct shdata_repository repository;
    bool has_repository;
    bool ends; /* the subscription, when what was told is noted */
    size_t n_identity;
    char identity[]; /* by which the subscription is found */
};

static void look(struct job *job);
static void walk(struct sh_notifier *n);

/* Notices. */

static struct notice *find_notice(struct sh_notifier *n, uint64_t id, struct span host) {
    struct htab_node *node = htab_first(&n->by_id, hash_mix(0, id));

    for (; node; node = htab_next(node)) {
        struct notice *notice = CONTAINER_OF(node, struct notice, by_id);
        if (notice->id == id && span_eq_nocase(notice->server->host, host)) {
            return notice;
        }
    }
    return NULL;
}

static struct server *find_server(struct sh_notifier *n, struct span host) {
    LIST_EACH(&n->servers, s, struct server, link) {
        if (span_eq_nocase(s->host, host)) {
            return s;
        }
    }
    struct server *s = calloc(1, sizeof *s);
    struct span name = hss_name(n->h, host);
    if (!s || !name.p) {
        free(s);
        return NULL;
    }
    s->host = name;
    list_insert(&n->servers, &s->link);
    return s;
}

static void drop(struct notice *notice) {
    struct sh_notifier *n = notice->h->notifier;

    timer_stop(&notice->again);
    htab_remove(&n->by_id, &notice->by_id);
    list_remove(&notice->link);
    notice->server->n--;
    arena_release(&notice->arena);
    free(notice);
}

/* It has told all, or the subscription has gone. */
static void forget(struct notice *notice) {
    struct sh_notifier *n = notice->h->notifier;
    struct server *s = notice->server;

    drop(notice);
    if (s->more && s->n < WINDOW / 2) {
        s->more = false;
        sh_notifier_wake(n->h);
    }
}

static void on_again(struct timer *t);

static void start(struct notice *notice, void (*run)(struct job *job)) {
    notice->job = job_new(notice->h, run);
    if (!notice->job) {
        (void)patience_wait(&notice->patience, notice->h->env, &notice->again);
        return;
    }
    notice->job->ctx = notice;
    job_find(notice->job, STORE_IMPU, span_of(notice->identity, notice->n_identity));
}

static void on_again(struct timer *t) {
    start(CONTAINER_OF(t, struct notice, again), look);
}

static void tell_server(struct hss *h, uint64_t id, struct rec_watcher w) {
    struct sh_notifier *n = h->notifier;
    struct span host = rec_watcher_host(w), identity = rec_watcher_identity(w);
    struct server *s = find_server(n, host);

    if (!s || find_notice(n, id, host)) {
        return;
    }
    if (s->n >= WINDOW) {
        s->more = true;
        return;
    }
    struct notice *notice = calloc(1, sizeof *notice + identity.n);
    if (!notice || htab_insert(&n->by_id, &notice->by_id, hash_mix(0, id)) != OK) {
        free(notice);
        s->more = true;
        return;
    }
    notice->h = h;
    notice->server = s;
    notice->id = id;
    notice->arena = arena_init(h->env->chunks);
    notice->patience = patience_new(h->env);
    notice->n_identity = identity.n;
    memcpy(notice->identity, identity.p, identity.n);
    timer_init(&notice->again, on_again);
    list_insert(&n->notices, &notice->link);
    s->n++;
    timer_start(h->env, &notice->again, 0); /* not within the request that made the change */
}

void sh_notify(struct hss *h, uint64_t id, struct span watchers) {
    struct rec_watchers r = rec_watchers_of(watchers);

    for (size_t i = 0, n = watchers.n ? rec_watchers_n_watchers(r) : 0; i < n; i++) {
        struct rec_watcher w = rec_watchers_watchers(r, i);
        if (rec_watcher_changes(w) != rec_watcher_told(w)) {
            tell_server(h, id, w);
        }
    }
}

/* What comes of it. */

static void note_told(struct notice *notice, struct rec_watcher_data *list, size_t *n) {
    for (size_t i = 0; i < *n; i++) {
        if (!sh_same_watcher(&list[i], &notice->told)) {
            continue;
        }
        if (notice->ends) {
            (void)sh_unwatch(list, n, &notice->told);
        } else {
            list[i].told = notice->told.changes;
        }
        return;
    }
}

static bool is_its(const struct notice *notice, const struct job *job) {
    return !job->error && job->subscriber && job->subscriber->id == notice->id;
}

/* Nothing is to be told any more, or the store cannot say. If the subscription does not have the
 * identity any more, something may be due by another one: the store tells. */
static void leave(struct notice *notice, struct job *job) {
    bool failed = job->error != OK;

    notice->server->more |= !failed && !is_its(notice, job);
    notice->job = NULL;
    job_end(job);
    if (failed) {
        (void)patience_wait(&notice->patience, notice->h->env, &notice->again);
    } else {
        forget(notice);
    }
}

static void on_recorded(struct store_op *op) {
    struct job *job = CONTAINER_OF(op, struct job, op);
    struct notice *notice = job->ctx;
    struct subscriber *s = job->subscriber;
    enum error e = op->error;

    if (e == ERR_CONFLICT) {
        job_again(job);
        return;
    }
    if (!e) {
        s->version = op->subscription.version;
        if (sh_set_watchers(s, job->watchers) != OK) {
            s->stale = true;
        }
    }
    notice->job = NULL;
    job_end(job);
    if (e) { /* it is told once more, which does no harm */
        (void)patience_wait(&notice->patience, notice->h->env, &notice->again);
        return;
    }
    notice->patience = patience_new(notice->h->env);
    start(notice, look);
}

/* With the subscription's turn: what was told is not due any more. */
static void record(struct job *job) {
    struct notice *notice = job->ctx;
    size_t n;

    if (!is_its(notice, job) || !job->subscriber->watchers) {
        leave(notice, job);
        return;
    }
    struct rec_watcher_data *list = sh_watchers(job->subscriber, &notice->arena, &n);
    if (list) {
        note_told(notice, list, &n);
        job->watchers = sh_watchers_record(list, n, &notice->arena);
    }
    if (!list || !job->watchers.p) {
        notice->job = NULL;
        job_end(job);
        (void)patience_wait(&notice->patience, notice->h->env, &notice->again);
        return;
    }
    job->op.done = on_recorded;
    store_save(notice->h->store, &job->op,
               &(struct store_change){.id = job->subscriber->id,
                                      .version = job->subscriber->version,
                                      .watchers = job->watchers});
}

static void give_up(struct notice *notice, const char *why) {
    struct hss *h = notice->h;

    h->counters.pnr_given_up++;
    LOG(&h->env->log, LOG_ERROR, "an application server is not told of a change",
        LOG_SPAN("as", notice->server->host), LOG_SPAN("impu", notice->told.identity),
        LOG_CSTR("data", sh_rules[notice->told.reference].name), LOG_CSTR("why", why));
    start(notice, record);
}

static void later(struct notice *notice, const char *why) {
    if (!patience_wait(&notice->patience, notice->h->env, &notice->again)) {
        give_up(notice, why);
    }
}

static void on_answer(void *ctx, const struct diameter_msg *msg) {
    struct notice *notice = ctx;
    struct diameter_result r = msg->result;
    const char *name = diameter_result_name(r);

    notice->pending = NULL;
    notice->ends = notice->told.one_time;
    if (diameter_result_is_success(r)) {
        start(notice, record);
    } else if (r.vendor == DIAMETER_VENDOR_3GPP &&
               (r.code == DIAMETER_ERROR_USER_UNKNOWN ||
                r.code == DIAMETER_ERROR_NO_SUBSCRIPTION_TO_DATA)) {
        notice->ends = true;
        LOG(&notice->h->env->log, LOG_INFO, "an application server ends its subscription",
            LOG_SPAN("as", notice->server->host), LOG_SPAN("impu", notice->told.identity),
            LOG_CSTR("result", name ? name : ""));
        start(notice, record);
    } else if (r.code / 1000 == 5 && (r.vendor || r.code != DIAMETER_UNABLE_TO_COMPLY)) {
        notice->ends = false;
        give_up(notice, name ? name : "the application server refuses it");
    } else {
        later(notice, "the application server has trouble");
    }
}

static void on_failure(void *ctx, enum error why) {
    struct notice *notice = ctx;

    notice->pending = NULL;
    if (!notice->h->stopping) {
        notice->ends = false;
        later(notice, error_text(why));
    }
}

static const struct diameter_answer_handler handler = {on_answer, on_failure};

/* Requests. */

static struct span document_of(struct notice *notice, const struct subscription *s,
                               struct rec_impu impu) {
    enum sh_data_reference reference = notice->told.reference;
    enum sh_identity_set identity_set = notice->told.identity_set;
    const struct sh_question q = {
        .references = &reference,
        .n_references = 1,
        .identity_sets = &identity_set,
        .n_identity_sets = notice->told.identity_set != SH_NO_IDENTITY_SET,
        .server_name = notice->told.server_name,
        .repositories = &notice->repository,
        .n_repositories = notice->has_repository,
    };
    return sh_document(notice->h, s, impu, &q, &notice->arena);
}

/* False: there is nothing to be sent. */
static bool send(struct notice *notice, const struct subscription *s, struct rec_impu impu) {
    struct hss *h = notice->h;
    const struct rec_watcher_data *w = &notice->told;
    struct span document = document_of(notice, s, impu);
    const struct diameter_route route = {.application = SH_APPLICATION,
                                         .command = SH_COMMAND_PUSH_NOTIFICATION,
                                         .realm = w->realm,
                                         .host = notice->server->host};

    if (!document.n) {
        return false;
    }
    const struct sh_pnr pnr = {
        .user_identity = {.public_identity = w->msisdn.n ? SPAN_NONE : w->identity,
                          .msisdn = w->msisdn.n ? w->msisdn : SPAN_NONE},
        .sh_user_data = document};
    sh_pnr_encode(diameter_request_begin(h->diameter, &route), &pnr);
    enum error e = diameter_request_send(h->diameter, &handler, notice, &notice->pending);
    if (e) {
        notice->pending = NULL;
        later(notice, error_text(e));
    } else {
        h->counters.pnr++;
    }
    return true;
}

/* The data is there: the request goes out, the turn ends. */
static void tell(struct job *job) {
    struct notice *notice = job->ctx;
    struct rec_impu impu;
    const struct subscription *s = &job->subscriber->s;
    bool told = subscription_impu(s->data, notice->told.identity, &impu) && send(notice, s, impu);

    notice->job = NULL;
    job_end(job);
    if (!told) {
        notice->ends = false;
        give_up(notice, "the data cannot be written");
    }
}

static void on_repository(struct store_op *op) {
    struct job *job = CONTAINER_OF(op, struct job, op);
    struct notice *notice = job->ctx;
    bool aliases = notice->told.reference == SH_DATA_REFERENCE_AliasesRepositoryData;

    notice->has_repository = true;
    if (op->error == OK &&
        sh_repository_of(op->record, &notice->arena, aliases, &notice->repository)) {
        tell(job);
    } else if (op->error == ERR_NOT_FOUND) { /* deleted */
        notice->repository =
            (struct shdata_repository){.aliases = aliases,
                                       .service_indication = notice->told.service_indication,
                                       .sequence_number = notice->told.sequence_number};
        tell(job);
    } else {
        notice->job = NULL;
        job_end(job);
        later(notice, error_text(ERR_STORE));
    }
}

/* The first thing that is due to this application server. */
static bool choose(struct notice *notice, const struct subscriber *s) {
    size_t n;
    struct rec_watcher_data *list = sh_watchers(s, &notice->arena, &n);
    bool failed = false;

    for (size_t i = 0; list && i < n; i++) {
        struct rec_watcher_data *w = &list[i];
        if (!sh_is_due(w) || !span_eq_nocase(w->host, notice->server->host)) {
            continue;
        }
        notice->told = *w; /* the record that it views may be replaced meanwhile */
        notice->told.host = notice->server->host;
        notice->told.realm = arena_copy(&notice->arena, w->realm, &failed);
        notice->told.identity = arena_copy(&notice->arena, w->identity, &failed);
        notice->told.msisdn = arena_copy(&notice->arena, w->msisdn, &failed);
        notice->told.service_indication =
            arena_copy(&notice->arena, w->service_indication, &failed);
        notice->told.server_name = arena_copy(&notice->arena, w->server_name, &failed);
        return !failed;
    }
    return false;
}

/* May it still? What it subscribed to lasts longer than a configuration. */
static bool is_permitted(const struct notice *notice) {
    return diameter_result_is_success(sh_permit(sh_permissions_of(notice->h, notice->server->host),
                                                SH_NOTIFY, notice->told.reference));
}

/* With the subscription's turn. */
static void look(struct job *job) {
    struct notice *notice = job->ctx;
    struct rec_impu impu;

    arena_release(&notice->arena);
    notice->has_repository = false;
    if (!is_its(notice, job) || !choose(notice, job->subscriber)) {
        leave(notice, job);
        return;
    }
    if (!is_permitted(notice)) {
        notice->ends = false;
        LOG(&notice->h->env->log, LOG_WARNING,
            "an application server hears nothing: it is not permitted any more",
            LOG_SPAN("as", notice->server->host), LOG_SPAN("impu", notice->told.identity),
            LOG_CSTR("data", sh_rules[notice->told.reference].name));
        record(job);
        return;
    }
    if (sh_rules[notice->told.reference].source == SH_REPOSITORY &&
        subscription_impu(job->subscriber->s.data, notice->told.identity, &impu)) {
        struct sh_owner owner = sh_owner_of(impu);
        job->op.done = on_repository;
        store_load_repository(notice->h->store, &job->op, notice->id, owner.name, owner.of_aliases,
                              notice->told.service_indication);
    } else {
        tell(job);
    }
}

/* From the store. */

static void on_due(struct store_op *op) {
    struct sh_notifier *n = CONTAINER_OF(op, struct sh_notifier, op);

    n->come = true;
    if (op->error == OK) {
        n->after = op->subscription.id;
        sh_notify(n->h, op->subscription.id, op->subscription.watchers);
    } else if (op->error == ERR_NOT_FOUND) {
        n->walking = n->again;
        n->again = false;
        n->after = 0;
    } else {
        LOG(&n->h->env->log, LOG_ERROR, "what application servers are to hear cannot be read",
            LOG_CSTR("why", error_text(op->error)));
        n->walking = op->subscription.id > n->after; /* this one is left out */
        n->after = op->subscription.id;
    }
    if (!n->asking) {
        walk(n);
    }
}

static void on_pause(struct timer *t) {
    walk(CONTAINER_OF(t, struct sh_notifier, pause));
}

static void walk(struct sh_notifier *n) {
    n->come = true;
    for (unsigned i = 0; n->walking && n->come && !n->h->stopping; i++) {
        if (i == WALK_PART) {
            timer_start(n->h->env, &n->pause, MS_IN_US);
            return;
        }
        n->asking = true;
        n->come = false;
        n->op.done = on_due;
        store_next_due(n->h->store, &n->op, n->after);
        n->asking = false;
    }
}

void sh_notifier_wake(struct hss *h) {
    struct sh_notifier *n = h->notifier;

    if (n->walking) {
        n->again = true; /* what it has passed already may be due now */
        return;
    }
    n->walking = true;
    n->after = 0;
    walk(n);
}

enum error sh_notifier_new(struct hss *h) {
    struct sh_notifier *n = calloc(1, sizeof *n);

    if (!n) {
        return ERR_NO_MEMORY;
    }
    n->h = h;
    list_init(&n->servers);
    list_init(&n->notices);
    timer_init(&n->pause, on_pause);
    h->notifier = n;
    return OK;
}

void sh_notifier_free(struct hss *h) {
    struct sh_notifier *n = h->notifier;

    if (!n) {
        return;
    }
    store_cancel(&n->op);
    timer_stop(&n->pause);
    LIST_EACH(&n->notices, notice, struct notice, link) {
        drop(notice);
    }
    LIST_EACH(&n->servers, s, struct server, link) {
        free(s);
    }
    htab_free(&n->by_id);
    free(n);
    h->notifier = NULL;
}
