/* POST /subscriptions/NAME/deregister: registrations end because the operator wishes so (TS 29.228
 * 6.1.3). The HSS takes them for not registered at once; the S-CSCF is told by RTR. */
#include "node/hss/sh.h"
#include "node/hss/web.h"

enum { TEXT_MAX = 255 };

static const struct wish {
    const char *name;
    enum cx_reason_code reason;
} wishes[] = {
    {"permanent-termination", CX_REASON_CODE_PERMANENT_TERMINATION},
    {"server-change", CX_REASON_CODE_SERVER_CHANGE},
    {"remove-scscf", CX_REASON_CODE_REMOVE_S_CSCF},
};

static void read_reason(struct json_reader *r, const json_t *body,
                        struct subscription_ending *out) {
    struct span name = json_text(r, body, "reason", "", 0);

    for (size_t i = 0; i < COUNT_OF(wishes); i++) {
        if (span_eq(name, span_from_cstr(wishes[i].name)) || (!name.n && i == 0)) {
            out->reason = wishes[i].reason;
            return;
        }
    }
    json_fault(r, "reason", "/reason", 0,
               "a reason is permanent-termination, server-change or remove-scscf");
}

static void read_text(struct json_reader *r, const json_t *body, struct subscription_ending *out) {
    out->text = json_text(r, body, "text", "", 0);
    if (!subscription_is_text(out->text, TEXT_MAX)) {
        json_fault(r, "text", "/text", 0, "a text has at most 255 bytes of UTF-8");
    }
}

/* Whom it is about: private identities, sets of public ones, or both of all. */
static void read_identities(struct json_reader *r, const json_t *body, const struct subscription *s,
                            struct subscription_ending *out) {
    size_t n = 0;
    const struct span *names = json_texts(r, body, "identities", "", 0, &n);
    struct rec_impi impi;
    struct rec_impu impu;

    for (size_t i = 0; i < n; i++) {
        if (subscription_impi(s->data, names[i], &impi)) {
            out->impis |= UINT64_C(1) << rec_impi_slot(impi);
        } else if (subscription_impu(s->data, hss_canonical(r->arena, names[i]), &impu)) {
            out->sets |= UINT64_C(1) << rec_impu_set(impu);
        } else {
            json_fault(r, "identity", "/identities/#", i, "the subscription has no such identity");
        }
    }
    if (n && out->reason == CX_REASON_CODE_SERVER_CHANGE) {
        json_fault(r, "identity", "/identities", 0,
                   "a change of server is of the whole subscription");
    }
    out->impis = out->impis ? out->impis : UINT64_MAX;
    out->sets = out->sets ? out->sets : UINT64_MAX;
}

static json_t *texts(const struct span *list, size_t n) {
    json_t *json = json_array();

    for (size_t i = 0; i < n; i++) {
        json_array_append_new(json, json_of_text(list[i]));
    }
    return json;
}

/* What the S-CSCF is told. */
static json_t *shown(struct span scscf, const struct subscription_difference *d) {
    json_t *json = json_object(), *ended = json_array();

    json_set_text(json, "scscf", scscf);
    for (size_t i = 0; i < d->n; i++) {
        const struct rec_news_item_data *item = &d->items[i];
        json_t *one = json_object();

        for (size_t k = 0; k < COUNT_OF(wishes); k++) {
            if (wishes[k].reason == (enum cx_reason_code)item->reason) {
                json_object_set_new(one, "reason", json_string(wishes[k].name));
            }
        }
        json_object_set_new(one, "impis", texts(item->impis, item->n_impis));
        json_object_set_new(one, "impus", texts(item->impus, item->n_impus));
        json_array_append_new(ended, one);
    }
    json_object_set_new(json, "ended", ended);
    return json;
}

static void saved(struct store_op *op) {
    struct web_job *w = CONTAINER_OF(op, struct web_job, op);
    struct subscriber *s = w->job->subscriber;

    if (op->error == ERR_CONFLICT && w->job->attempts + 1 < ATTEMPTS_MAX) {
        json_decref(w->reply);
        w->reply = NULL;
        job_again(w->job);
        return;
    }
    if (op->error) {
        web_store_problem(w, op->error);
        return;
    }
    web_changed(w, "registrations were ended", web_name(w), 1);
    s->stale = true;
    sh_notify(w->hss, s->id, w->job->watchers);
    courier_wake(w->hss);
    json_t *reply = w->reply;
    w->reply = NULL;
    web_end(w, 200, reply);
}

static void end(struct web_job *w, const struct subscription_ending *what) {
    const struct subscriber *s = w->job->subscriber;
    struct store_change change = {.id = s->id, .version = s->version};
    struct subscription_difference d;
    enum error e = subscription_end(&s->s, what, &w->arena, &d);

    if (!e && !d.n) {
        web_problem(w, 409,
                    what->reason == CX_REASON_CODE_REMOVE_S_CSCF
                        ? "nothing of it is served in unregistered state"
                        : "nothing of it is registered",
                    NULL, NULL);
        return;
    }
    e = e ? e : web_put_difference(w->job, &w->arena, &s->s.data, &d, &change);
    if (e) {
        web_store_problem(w, e);
        return;
    }
    w->reply = shown(s->s.state.scscf_name, &d);
    change_note_ended(w, s->version + 1, d.items, d.n);
    w->op.done = saved;
    store_save(w->hss->store, &w->op, &change);
}

static void run(struct job *job) {
    static const char *const members[] = {"reason", "text", "identities", NULL};
    struct web_job *w = job->ctx;
    struct json_reader r = {.hss = w->hss, .arena = &w->arena};
    struct subscription_ending what = {0};

    if (job->error) {
        web_store_problem(w, job->error);
        return;
    }
    if (!job->subscriber) {
        web_problem(w, 404, "there is no such subscription", NULL, NULL);
        return;
    }
    json_known(&r, w->body, "", 0, members);
    read_reason(&r, w->body, &what);
    read_text(&r, w->body, &what);
    read_identities(&r, w->body, &job->subscriber->s, &what);
    if (r.failed) {
        web_problem(w, 422, r.fault.text, &r.fault, NULL);
        return;
    }
    end(w, &what);
}

void web_deregister(struct web_job *w) {
    web_with_subscription(w, STORE_NAME, run);
}
