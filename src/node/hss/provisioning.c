/* Subscriptions over the web interface: shown, made, replaced, deleted, listed. A change has the
 * subscription's turn, like a message, and is answered when it is durable. */
#include "node/hss/sh.h"
#include "node/hss/web.h"

#include <openssl/crypto.h>
#include <stdio.h>

/* Common to all that changes subscriptions. */

struct known_profiles {
    struct hss *hss;
    const struct rec_profile_data *also;
    size_t n_also;
};

static bool profile_exists(void *ctx, struct span name) {
    const struct known_profiles *k = ctx;
    struct profile *p = profiles_find(k->hss, name);

    for (size_t i = 0; i < k->n_also; i++) {
        if (span_eq(k->also[i].name, name)) {
            return true;
        }
    }
    return p && !p->going;
}

bool web_check(struct json_reader *r, const struct rec_subscription_data *s,
               const struct rec_profile_data *also, size_t n_also) {
    struct known_profiles known = {r->hss, also, n_also};
    struct subscription_context context = {profile_exists, &known};

    if (!r->failed && !subscription_check(s, &context, &r->fault)) {
        r->failed = true;
    }
    if (!r->failed && !wildcards_claim(r->hss, r->old, s, r->claim, &r->fault)) {
        r->failed = true;
    }
    return !r->failed;
}

struct span web_record(struct arena *arena, const struct record_type *type, const void *data) {
    for (size_t size = 2048; size <= (size_t)SUBSCRIPTION_RECORD_MAX * 2; size *= 4) {
        char *p = arena_alloc(arena, size);
        struct buf out = buf_init(p, p ? size : 0);

        if (record_encode(type, data, &out) == OK) {
            return buf_span(&out);
        }
        if (p) {
            OPENSSL_cleanse(p, out.n);
        }
    }
    return SPAN_NONE;
}

static struct span encode(struct json_reader *r, const struct record_type *type, const void *data) {
    struct span record = web_record(r->arena, type, data);

    if (record.n) {
        return record;
    }
    json_fault(r, "too-big", "", 0, "it is larger than a record may be");
    return SPAN_NONE;
}

struct span web_subscription_record(struct json_reader *r, struct rec_subscription_data *s) {
    struct span record = encode(r, &rec_subscription_type, s);

    OPENSSL_cleanse((void *)(uintptr_t)s->impis, s->n_impis * sizeof *s->impis);
    s->impis = NULL;
    s->n_impis = 0;
    return record;
}

struct span web_profile_record(struct json_reader *r, const struct rec_profile_data *p) {
    return encode(r, &rec_profile_type, p);
}

void web_taken(struct rec_subscription s, struct span identity, struct subscription_fault *fault) {
    char text[240], safe[160];
    struct buf b = buf_init(safe, sizeof safe - 1);

    buf_escaped(&b, span_slice(identity, 0, 120));
    safe[b.n] = '\0';
    snprintf(text, sizeof text, "another subscription has %s", safe);
    for (size_t i = 0, n = rec_subscription_n_impis(s); i < n; i++) {
        if (span_eq(rec_impi_identity(rec_subscription_impis(s, i)), identity)) {
            (void)subscription_faulty(fault, "identity-taken", "/impis/#/identity", i, text);
            return;
        }
    }
    for (size_t i = 0, n = rec_subscription_n_impus(s); i < n; i++) {
        if (span_eq(rec_impu_identity(rec_subscription_impus(s, i)), identity)) {
            (void)subscription_faulty(fault, "identity-taken", "/impus/#/identity", i, text);
            return;
        }
    }
    snprintf(text, sizeof text, "there is a subscription of the name %s already", safe);
    (void)subscription_faulty(fault, "identity-taken", "/name", 0, text);
}

/* GET */

static void not_there(struct web_job *w) {
    web_problem(w, 404, "there is no such subscription", NULL, NULL);
}

static void show(struct job *job) {
    struct web_job *w = job->ctx;
    struct subscriber *s = job->subscriber;

    if (job->error) {
        web_store_problem(w, job->error);
    } else if (!s) {
        not_there(w);
    } else {
        web_etag_version(w, s->version);
        if (web_may_show(w)) {
            web_end(w, 200, subscription_to_json(w->hss, &s->s, s->version, w->secrets));
        }
    }
}

void web_get(struct web_job *w) {
    web_with_subscription(w, STORE_NAME, show);
}

void web_find(struct web_job *w) {
    struct span id = web_name(w);

    if (!span_starts_with_nocase(id, SPAN("sip:")) && !span_starts_with_nocase(id, SPAN("sips:")) &&
        !span_starts_with_nocase(id, SPAN("tel:"))) {
        web_with_subscription(w, STORE_IMPI, show);
        return;
    }
    struct span canonical = hss_canonical(&w->arena, id);
    if (canonical.n <= sizeof w->name && canonical.p != w->name) {
        memcpy(w->name, canonical.p, canonical.n);
        w->name_n = canonical.n;
    }
    web_with_subscription(w, STORE_IMPU, show);
}

/* PUT */

static void put_done(struct store_op *op);

/* The version that the client has seen; 0 if it did not say. */
static uint64_t version_of(const struct web_job *w) {
    const json_t *version = json_object_get(w->body, "version");

    return json_is_integer(version) && json_integer_value(version) > 0
               ? (uint64_t)json_integer_value(version)
               : 0;
}

static void refuse_version(struct web_job *w) {
    struct subscription_fault fault;

    (void)subscription_faulty(&fault, "version", "/version", 0, "");
    web_problem(w, 409, "the subscription has another version by now: read it again", &fault, NULL);
}

enum error web_put_difference(struct job *job, struct arena *arena,
                              const struct rec_subscription *now,
                              const struct subscription_difference *d,
                              struct store_change *change) {
    const struct subscriber *s = job->subscriber;
    const struct rec_news_data news = {.subscription = s->id, .items = d->items, .n_items = d->n};
    enum error e = OK;

    if (d->n) {
        change->news = web_record(arena, &rec_news_type, &news);
        e = change->news.n ? OK : ERR_NO_MEMORY;
    }
    if (!e && now && !registration_eq(&d->state, &s->s.state)) {
        char *room = arena_alloc(arena, REGISTRATION_RECORD_MAX);
        struct buf out = buf_init(room, room ? REGISTRATION_RECORD_MAX : 0);
        e = registration_write(&d->state, &out);
        change->state = buf_span(&out);
    }
    if (!e && now) {
        const struct subscription after = {.data = *now, .state = d->state};
        e = sh_compare(job->hss, s, &after, SPAN_NONE, arena, &change->watchers);
        job->watchers = change->watchers;
    }
    return e;
}

/* What a change means to the S-CSCF (now NULL: the subscription goes), and what it leaves of the
 * registration state. */
static enum error compare(struct web_job *w, const struct rec_subscription *now,
                          struct store_change *change) {
    struct subscription_difference d;
    enum error e =
        subscription_differ(&w->job->subscriber->s, now, &w->hss->config.policy, &w->arena, &d);

    return e ? e : web_put_difference(w->job, &w->arena, now, &d, change);
}

static void put(struct job *job) {
    struct web_job *w = job->ctx;
    struct subscriber *s = job->subscriber;
    struct json_reader r = {.hss = w->hss, .arena = &w->arena, .claim = w};
    struct rec_subscription_data data;
    struct store_change change = {0};

    if (job->error) {
        web_store_problem(w, job->error);
        return;
    }
    if (s) {
        web_etag_version(w, s->version);
    }
    if (!web_may_change(w, s != NULL)) {
        return;
    }
    if (version_of(w) && (!s || s->version != version_of(w))) {
        refuse_version(w);
        return;
    }
    r.old = s ? &s->s.data : NULL;
    subscription_from_json(&r, w->body, web_name(w), r.old, &data);
    if (web_check(&r, &data, NULL, 0)) {
        w->record = web_subscription_record(&r, &data);
    }
    if (r.failed) {
        web_problem(w, 422, r.fault.text, &r.fault, NULL);
        return;
    }
    change.data = w->record;
    w->creates = !s;
    struct rec_subscription now = rec_subscription_of(w->record);
    if (s && span_eq(w->record, record_bytes(s->s.data.record))) { /* it is so already */
        web_end(w, 200, subscription_to_json(w->hss, &s->s, s->version, WEB_SECRETS_NONE));
        return;
    }
    change_note(w, web_name(w), s ? s->version + 1 : 1, s ? &s->s.data : NULL, &now);
    if (s) {
        change.id = s->id;
        change.version = s->version;
        if (compare(w, &now, &change) != OK) {
            web_store_problem(w, ERR_NO_MEMORY);
            return;
        }
    }
    w->op.done = put_done;
    store_save(w->hss->store, &w->op, &change);
}

static void put_failed(struct web_job *w, const struct store_op *op) {
    struct subscription_fault fault;
    bool again = w->job->attempts + 1 < ATTEMPTS_MAX;

    if (op->error == ERR_EXISTS) {
        web_taken(rec_subscription_of(w->record), op->failed_identity, &fault);
        if (w->creates && again && span_eq(op->failed_identity, web_name(w))) {
            job_again(w->job); /* somebody made it meanwhile */
            return;
        }
        web_problem(w, 409, fault.text, &fault, NULL);
    } else if (op->error == ERR_CONFLICT && !version_of(w) && again) {
        job_again(w->job);
    } else if (op->error == ERR_CONFLICT) {
        refuse_version(w);
    } else {
        web_store_problem(w, op->error);
    }
}

static void put_done(struct store_op *op) {
    struct web_job *w = CONTAINER_OF(op, struct web_job, op);
    struct subscriber *s = w->job->subscriber;
    struct subscription now = {.data = rec_subscription_of(w->record)};

    if (op->error) {
        put_failed(w, op);
        return;
    }
    web_changed(w, w->creates ? "a subscription was added" : "a subscription was changed",
                web_name(w), 1);
    wildcards_committed(w->hss, s ? &s->s.data : NULL, &now.data);
    if (s) {
        struct subscription_difference d;
        if (subscription_differ(&s->s, &now.data, &w->hss->config.policy, &w->arena, &d) == OK) {
            now.state = d.state;
        }
        s->stale = true;
        sh_notify(w->hss, s->id, w->job->watchers);
    }
    courier_wake(w->hss);
    web_etag_version(w, op->subscription.version);
    web_end(w, w->creates ? 201 : 200,
            subscription_to_json(w->hss, &now, op->subscription.version, WEB_SECRETS_NONE));
}

void web_put(struct web_job *w) {
    web_with_subscription(w, STORE_NAME, put);
}

/* DELETE */

static void delete_done(struct store_op *op) {
    struct web_job *w = CONTAINER_OF(op, struct web_job, op);
    struct subscriber *s = w->job->subscriber;

    if (op->error == ERR_CONFLICT && w->job->attempts + 1 < ATTEMPTS_MAX) {
        job_again(w->job);
        return;
    }
    if (op->error) {
        web_store_problem(w, op->error);
        return;
    }
    web_changed(w, "a subscription was deleted", web_name(w), 1);
    sqn_forget(w->hss, s->id);
    wildcards_committed(w->hss, &s->s.data, NULL);
    s->stale = true;
    courier_wake(w->hss);
    w->etag[0] = '\0';
    web_end(w, 204, NULL);
}

static void delete (struct job *job) {
    struct web_job *w = job->ctx;

    if (job->error) {
        web_store_problem(w, job->error);
    } else if (!job->subscriber) {
        not_there(w);
    } else {
        struct store_change change = {0};
        web_etag_version(w, job->subscriber->version);
        if (!web_may_change(w, true)) {
            return;
        }
        if (compare(w, NULL, &change) != OK) {
            web_store_problem(w, ERR_NO_MEMORY);
            return;
        }
        change_note(w, web_name(w), 0, &job->subscriber->s.data, NULL);
        w->op.done = delete_done;
        store_delete(w->hss->store, &w->op, job->subscriber->id, job->subscriber->version,
                     change.news);
    }
}

void web_delete(struct web_job *w) {
    web_with_subscription(w, STORE_NAME, delete);
}

/* The list. */

static void list_step(struct web_job *w);

static void list_done(struct store_op *op) {
    struct web_job *w = CONTAINER_OF(op, struct web_job, op);
    struct subscription s = {0};

    w->got = true;
    w->error = op->error;
    w->finished = op->error != OK || w->seen == w->limit;
    if (w->finished && !op->error) { /* there is more */
        char next[24];

        snprintf(next, sizeof next, "%llu", (unsigned long long)w->after);
        json_object_set_new(w->reply, "next", json_string(next));
    } else if (!op->error) {
        w->after = op->subscription.id;
        w->seen++;
        w->error = subscription_open(op->subscription.data, &s.data);
        if (!w->error) {
            registration_read(rec_registration_of(op->subscription.state), &s.state);
            json_array_append_new(
                json_object_get(w->reply, "subscriptions"),
                subscription_to_json(w->hss, &s, op->subscription.version, w->secrets));
        }
    }
    if (!w->asking) {
        list_step(w);
    }
}

static void list_step(struct web_job *w) {
    while (!w->finished) {
        w->asking = true;
        w->got = false;
        store_next(w->hss->store, &w->op, w->after);
        w->asking = false;
        if (!w->got) {
            return;
        }
    }
    if (w->error && w->error != ERR_NOT_FOUND) {
        web_store_problem(w, w->error);
        return;
    }
    json_t *reply = w->reply;
    w->reply = NULL;
    web_end(w, 200, reply);
}

void web_list(struct web_job *w) {
    w->reply = json_object();
    json_object_set_new(w->reply, "subscriptions", json_array());
    json_object_set_new(w->reply, "total", json_integer((json_int_t)store_count(w->hss->store)));
    w->op.done = list_done;
    list_step(w);
}
