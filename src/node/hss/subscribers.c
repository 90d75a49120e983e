/* Subscriptions in memory, and one message after another for each.
 *
 * The store has the truth; what is here are copies of what was read, kept until room is needed. As
 * long as nobody else writes to the store they are right; if somebody does, the version at the next
 * save tells, and the decision is taken anew (job_again). */
#include "node/hss/sh.h"

#include <openssl/crypto.h>
#include <stdlib.h>

/* Names. */

struct span hss_name(struct hss *h, struct span text) {
    uint64_t hash = hash_bytes(text);

    if (!text.n) {
        return SPAN("");
    }
    for (struct htab_node *n = htab_first(&h->names, hash); n; n = htab_next(n)) {
        struct name *known = CONTAINER_OF(n, struct name, node);
        if (span_eq(known->text, text)) {
            return known->text;
        }
    }
    struct name *name = h->names.count < NAMES_MAX ? malloc(sizeof *name + text.n) : NULL;
    if (!name) {
        return SPAN_NONE;
    }
    memcpy(name->bytes, text.p, text.n);
    name->text = span_of(name->bytes, text.n);
    if (htab_insert(&h->names, &name->node, hash) != OK) {
        free(name);
        return SPAN_NONE;
    }
    return name->text;
}

/* The tables. */

static uint64_t identity_hash(enum store_key key, struct span text) {
    return hash_mix(hash_bytes(text), key);
}

static struct subscriber *by_id(struct hss *h, uint64_t id) {
    for (struct htab_node *n = htab_first(&h->by_id, hash_mix(0, id)); n; n = htab_next(n)) {
        struct subscriber *s = CONTAINER_OF(n, struct subscriber, by_id);
        if (s->id == id) {
            return s;
        }
    }
    return NULL;
}

static struct subscriber *by_identity(struct hss *h, enum store_key key, struct span text) {
    struct htab_node *n = htab_first(&h->identities, identity_hash(key, text));

    for (; n; n = htab_next(n)) {
        struct identity *i = CONTAINER_OF(n, struct identity, node);
        if (i->key == key && span_eq(i->text, text)) {
            return i->owner;
        }
    }
    return NULL;
}

static void forget(struct hss *h, struct subscriber *s) {
    for (size_t i = 0; i < s->n_identities; i++) {
        htab_remove(&h->identities, &s->identities[i].node);
    }
    htab_remove(&h->by_id, &s->by_id);
    list_remove(&s->lru);
    h->n_cached--;
    free(s->watchers);
    OPENSSL_cleanse(s, s->size); /* there are keys in the record */
    free(s);
}

static void make_room(struct hss *h) {
    struct list *at = h->lru.next;

    while (h->n_cached >= h->config.cached_max && at != &h->lru) {
        struct subscriber *s = CONTAINER_OF(at, struct subscriber, lru);

        at = at->next;
        if (!s->running) {
            forget(h, s);
        }
    }
}

static bool add_identity(struct hss *h, struct subscriber *s, enum store_key key,
                         struct span text) {
    struct identity *i = &s->identities[s->n_identities];

    *i = (struct identity){.owner = s, .key = key, .text = text};
    if (htab_insert(&h->identities, &i->node, identity_hash(key, text)) != OK) {
        return false;
    }
    s->n_identities++;
    return true;
}

static bool add_identities(struct hss *h, struct subscriber *s) {
    struct rec_subscription d = s->s.data;
    bool fine = add_identity(h, s, STORE_NAME, rec_subscription_name(d));

    for (size_t i = 0, n = rec_subscription_n_impis(d); fine && i < n; i++) {
        fine = add_identity(h, s, STORE_IMPI, rec_impi_identity(rec_subscription_impis(d, i)));
    }
    for (size_t i = 0, n = rec_subscription_n_impus(d); fine && i < n; i++) {
        fine = add_identity(h, s, STORE_IMPU, rec_impu_identity(rec_subscription_impus(d, i)));
    }
    return fine;
}

/* A subscription that was read, in memory. */
static enum error remember(struct hss *h, const struct store_subscription *read,
                           struct subscriber **out) {
    struct rec_subscription data = rec_subscription_of(read->data);
    size_t n = 1 + rec_subscription_n_impis(data) + rec_subscription_n_impus(data);
    size_t size = sizeof(struct subscriber) + n * sizeof(struct identity) + read->data.n;
    struct subscriber *s = malloc(size);

    if (!s) {
        return ERR_NO_MEMORY;
    }
    memset(s, 0, sizeof *s);
    s->size = size;
    s->identities = (struct identity *)(void *)(s + 1);
    char *record = (char *)(s->identities + n);
    memcpy(record, read->data.p, read->data.n);
    s->id = read->id;
    s->version = read->version;
    list_init(&s->waiting);
    list_init(&s->lru);
    enum error e = subscription_open(span_of(record, read->data.n), &s->s.data);
    if (!e) {
        struct registration *r = &s->s.state;

        registration_read(rec_registration_of(read->state), r);
        r->scscf_name = hss_name(h, r->scscf_name);
        r->scscf_host = hss_name(h, r->scscf_host);
        e = r->scscf_name.p && r->scscf_host.p ? OK : ERR_NO_MEMORY;
    }
    if (!e) {
        e = sh_set_watchers(s, read->watchers);
    }
    make_room(h);
    if (!e) {
        e = htab_insert(&h->by_id, &s->by_id, hash_mix(0, s->id));
    }
    if (e) {
        free(s->watchers);
        free(s);
        return e;
    }
    list_insert(&h->lru, &s->lru);
    h->n_cached++;
    if (!add_identities(h, s)) {
        forget(h, s);
        return ERR_NO_MEMORY;
    }
    *out = s;
    return OK;
}

void subscriber_note(struct hss *h, struct subscriber *s) {
    s->notes_end_us = env_now_us(h->env) + h->config.auth_pending_s * SEC_IN_US;
}

/* Jobs. */

struct job *job_new(struct hss *h, void (*run)(struct job *job)) {
    struct job *job;

    if (list_is_empty(&h->idle_jobs)) {
        job = malloc(sizeof *job);
        if (!job) {
            return NULL;
        }
    } else {
        job = CONTAINER_OF(h->idle_jobs.next, struct job, link);
        list_remove(&job->link);
        h->n_idle_jobs--;
    }
    memset(job, 0, offsetof(struct job, rq)); /* the rest is its procedure's */
    job->rq = NULL;
    job->hss = h;
    job->run = run;
    job->began_us = env_now_us(h->env);
    list_init(&job->turn);
    list_insert(&h->jobs, &job->link);
    return job;
}

static void job_free(struct job *job) {
    struct hss *h = job->hss;

    if (job->latency) {
        latency_add(job->latency, env_now_us(h->env) - job->began_us);
    }
    list_remove(&job->link);
    if (h->n_idle_jobs < JOBS_IDLE_MAX) {
        list_insert(&h->idle_jobs, &job->link);
        h->n_idle_jobs++;
    } else {
        free(job);
    }
}

static void take_turn(struct job *job, struct subscriber *s) {
    job->subscriber = s;
    list_remove(&s->lru);
    list_insert(&job->hss->lru, &s->lru);
    if (s->running) {
        list_insert(&s->waiting, &job->turn);
        return;
    }
    s->running = job;
    if (s->notes_end_us && s->notes_end_us <= env_now_us(job->hss->env)) {
        s->s.notes = (struct subscription_notes){0};
        s->notes_end_us = 0;
    }
    job->run(job);
}

/* Nobody has exactly this identity: is it one of a wildcard's? */
static bool looks_for_wildcard(struct job *job) {
    const struct wildcard *w =
        job->may_be_wildcarded ? wildcard_find(&job->hss->wildcards, job->identity) : NULL;

    job->may_be_wildcarded = false;
    if (!w) {
        return false;
    }
    job->wildcard_n = w->text.n;
    memcpy(job->wildcard, w->text.p, w->text.n);
    job_find(job, STORE_IMPU, span_of(job->wildcard, job->wildcard_n));
    return true;
}

static void found(struct store_op *op) {
    struct job *job = CONTAINER_OF(op, struct job, op);
    struct hss *h = job->hss;
    struct subscriber *s = NULL;

    if (op->error == ERR_NOT_FOUND && looks_for_wildcard(job)) {
        return;
    }
    job->error = op->error == ERR_NOT_FOUND ? OK : op->error;
    if (op->error == OK) {
        s = by_id(h, op->subscription.id);
        if (!s) {
            job->error = remember(h, &op->subscription, &s);
        }
    }
    if (job->error) {
        LOG(&h->env->log, LOG_ERROR, "a subscription cannot be read",
            LOG_SPAN("identity", job->identity), LOG_CSTR("why", error_text(job->error)));
    }
    if (s && !job->error) {
        take_turn(job, s);
    } else {
        job->run(job);
    }
}

void job_find(struct job *job, enum store_key key, struct span identity) {
    struct hss *h = job->hss;
    struct subscriber *s = by_identity(h, key, identity);

    job->key = key;
    job->identity = identity;
    job->subscriber = NULL;
    job->error = OK;
    if (s && !s->stale) {
        h->counters.cache_hits++;
        take_turn(job, s);
        return;
    }
    h->counters.cache_misses++;
    job->op.done = found;
    store_find(h->store, &job->op, key, identity);
}

void job_find_public(struct job *job, struct span identity) {
    job->may_be_wildcarded = true;
    job_find(job, STORE_IMPU, identity);
}

/* The subscription is nobody's turn: starts who waits, or drops it if it is stale. */
static void next_turn(struct hss *h, struct subscriber *s) {
    if (s->draining) {
        return;
    }
    s->draining = true;
    while (!s->running && !s->stale && !list_is_empty(&s->waiting)) {
        struct job *job = CONTAINER_OF(s->waiting.next, struct job, turn);

        list_remove(&job->turn);
        take_turn(job, s);
    }
    s->draining = false;
    if (s->running || !s->stale) {
        return;
    }
    struct list waiting;
    list_init(&waiting);
    while (!list_is_empty(&s->waiting)) {
        struct list *first = s->waiting.next;

        list_remove(first);
        list_insert(&waiting, first);
    }
    forget(h, s);
    while (!list_is_empty(&waiting)) {
        struct job *job = CONTAINER_OF(waiting.next, struct job, turn);

        list_remove(&job->turn);
        job_find(job, job->key, job->identity);
    }
}

void job_end(struct job *job) {
    struct subscriber *s = job->subscriber;
    struct hss *h = job->hss;

    job_free(job);
    if (s) {
        s->running = NULL;
        next_turn(h, s);
    }
    hss_maybe_stopped(h);
}

void job_again(struct job *job) {
    struct subscriber *s = job->subscriber;

    job->subscriber = NULL;
    job->attempts++;
    job->hss->counters.conflicts++;
    if (s) {
        s->running = NULL;
        s->stale = true;
        next_turn(job->hss, s);
    }
    job_find(job, job->key, job->identity);
}

static void found_elsewhere(struct store_op *op) {
    struct job *job = CONTAINER_OF(op, struct job, op);

    job->impi_elsewhere = op->error == OK;
    job->run(job);
}

bool job_looks_elsewhere(struct job *job, struct span impi) {
    struct rec_impi unused;

    if (job->looked_elsewhere || !job->subscriber || !impi.n ||
        subscription_impi(job->subscriber->s.data, impi, &unused)) {
        return false;
    }
    job->looked_elsewhere = true;
    if (by_identity(job->hss, STORE_IMPI, impi)) {
        job->impi_elsewhere = true;
        return false;
    }
    job->op.done = found_elsewhere;
    store_find(job->hss->store, &job->op, STORE_IMPI, impi);
    return true;
}

static void free_name(struct htab_node *n, void *ctx) {
    (void)ctx;
    free(CONTAINER_OF(n, struct name, node));
}

void subscribers_free(struct hss *h) {
    LIST_EACH(&h->jobs, job, struct job, link) {
        store_cancel(&job->op);
        if (job->drop) {
            job->drop(job);
        }
        list_remove(&job->link);
        free(job);
    }
    LIST_EACH(&h->idle_jobs, job, struct job, link) {
        list_remove(&job->link);
        free(job);
    }
    LIST_EACH(&h->lru, s, struct subscriber, lru) {
        forget(h, s);
    }
    htab_each(&h->names, free_name, NULL);
    htab_free(&h->names);
    htab_free(&h->by_id);
    htab_free(&h->identities);
}
