/* Service profiles over the web interface. */
#include "model/subscription/difference.h"
#include "node/hss/web.h"

enum { WALK_PART = 500 }; /* subscriptions that are looked at before others have their turn */

static struct profile *find(struct web_job *w) {
    struct profile *p = is_shared_set(web_name(w)) ? NULL : profiles_find(w->hss, web_name(w));

    if (!p) {
        web_problem(w, 404, "there is no such service profile", NULL, NULL);
    }
    return p;
}

void web_profile_get(struct web_job *w) {
    struct profile *p = find(w);

    if (p) {
        web_etag_record(w, p->record);
    }
    if (p && web_may_show(w)) {
        web_end(w, 200, profile_to_json(rec_profile_of(p->record)));
    }
}

static void add_to_list(struct htab_node *n, void *ctx) {
    struct profile *p = CONTAINER_OF(n, struct profile, node);

    if (is_shared_set(p->name)) {
        return;
    }
    json_array_append_new(ctx, profile_to_json(rec_profile_of(p->record)));
}

void web_profile_list(struct web_job *w) {
    json_t *reply = json_object(), *list = json_array();

    htab_each(&w->hss->profiles, add_to_list, list);
    json_object_set_new(reply, "profiles", list);
    web_end(w, 200, reply);
}

static void put_over(struct web_job *w) {
    web_changed(w, w->creates ? "a service profile was added" : "a service profile was changed",
                web_name(w), 1);
    web_end(w, w->creates ? 201 : 200, profile_to_json(rec_profile_of(w->record)));
}

static void told(struct store_op *op) {
    struct web_job *w = CONTAINER_OF(op, struct web_job, op);

    if (op->error) {
        web_store_problem(w, op->error);
        return;
    }
    courier_wake(w->hss);
    put_over(w);
}

/* Who is registered with the profile has to hear of its new content. */
static void tell(struct web_job *w) {
    struct span name = web_name(w);
    const struct rec_news_item_data item = {.kind = NEWS_PROFILE, .impus = &name, .n_impus = 1};
    const struct rec_news_data news = {.items = &item, .n_items = 1};
    struct span record = web_record(&w->arena, &rec_news_type, &news);

    if (!record.n) {
        web_store_problem(w, ERR_NO_MEMORY);
        return;
    }
    w->op.done = told;
    store_save_news(w->hss->store, &w->op, 0, record);
}

static void put_done(struct store_op *op) {
    struct web_job *w = CONTAINER_OF(op, struct web_job, op);
    enum error e = op->error ? op->error : profiles_put(w->hss, w->record);

    if (e) {
        web_store_problem(w, e);
    } else if (w->creates) { /* nobody can have it yet */
        put_over(w);
    } else {
        tell(w);
    }
}

void web_profile_put(struct web_job *w) {
    struct json_reader r = {.hss = w->hss, .arena = &w->arena};
    struct rec_profile_data data;

    profile_from_json(&r, w->body, web_name(w), &data);
    if (!r.failed) {
        w->record = web_profile_record(&r, &data);
    }
    if (r.failed) {
        web_problem(w, 422, r.fault.text, &r.fault, NULL);
        return;
    }
    struct profile *p = profiles_find(w->hss, web_name(w));
    w->creates = !p;
    if (p) {
        web_etag_record(w, p->record);
    }
    if (!web_may_change(w, p != NULL)) {
        return;
    }
    web_etag_record(w, w->record);
    if (p && span_eq(p->record, w->record)) { /* it is so already */
        web_end(w, 200, profile_to_json(rec_profile_of(w->record)));
        return;
    }
    change_note_profile(w, p ? p->record : SPAN_NONE, w->record);
    w->op.done = put_done;
    store_save_profile(w->hss->store, &w->op, web_name(w), w->record);
}

/* Deleting: all subscriptions are looked at, a part at a time, whether one refers to it. While that
 * goes on, no new one may. */

static void walk(struct web_job *w);

static bool refers(struct rec_subscription s, struct span name) {
    for (size_t i = 0, n = rec_subscription_n_impus(s); i < n; i++) {
        if (span_eq(rec_impu_profile(rec_subscription_impus(s, i)), name)) {
            return true;
        }
    }
    return false;
}

static void walked(struct store_op *op) {
    struct web_job *w = CONTAINER_OF(op, struct web_job, op);

    w->got = true;
    w->error = op->error;
    w->finished = op->error != OK;
    if (!op->error) {
        w->after = op->subscription.id;
        w->seen++;
        if (refers(rec_subscription_of(op->subscription.data), web_name(w))) {
            w->finished = true;
            w->error = ERR_EXISTS;
        }
    }
    if (!w->asking) {
        walk(w);
    }
}

static void go_on(struct timer *t) {
    walk(CONTAINER_OF(t, struct web_job, pause));
}

static void delete_done(struct store_op *op) {
    struct web_job *w = CONTAINER_OF(op, struct web_job, op);
    struct hss *h = w->hss;

    if (op->error && op->error != ERR_NOT_FOUND) { /* "default" need not be in the store */
        web_store_problem(w, op->error);
        return;
    }
    struct profile *p = w->going;
    w->going = NULL;
    profiles_remove(h, p);
    web_changed(w, "a service profile was deleted", web_name(w), 1);
    if (!profiles_find(h, SPAN("default"))) {
        profiles_put_default(h);
    }
    web_end(w, 204, NULL);
}

static void walk(struct web_job *w) {
    while (!w->finished) {
        w->asking = true;
        w->got = false;
        store_next(w->hss->store, &w->op, w->after);
        w->asking = false;
        if (!w->got) {
            return;
        }
        if (!w->finished && w->seen % WALK_PART == 0) {
            timer_start(w->hss->env, &w->pause, MS_IN_US);
            return;
        }
    }
    if (w->error == ERR_EXISTS) {
        struct subscription_fault fault;

        (void)subscription_faulty(&fault, "profile-in-use", "", 0, "");
        web_problem(w, 409, "subscriptions refer to this service profile", &fault, NULL);
    } else if (w->error != ERR_NOT_FOUND) {
        web_store_problem(w, w->error);
    } else {
        change_note_profile(w, w->going->record, SPAN_NONE);
        w->op.done = delete_done;
        store_delete_profile(w->hss->store, &w->op, web_name(w));
    }
}

void web_profile_delete(struct web_job *w) {
    struct profile *p = find(w);

    if (!p) {
        return;
    }
    web_etag_record(w, p->record);
    if (!web_may_change(w, true)) {
        return;
    }
    w->etag[0] = '\0';
    if (p->going) {
        web_problem(w, 409, "somebody else deletes this service profile", NULL, NULL);
        return;
    }
    p->going = true;
    w->going = p;
    w->op.done = walked;
    timer_init(&w->pause, go_on);
    walk(w);
}
