/* Adding subscriptions and profiles, many at once: all of them or none. */
#include "node/hss/web.h"

#include <stdio.h>

/* Where a change stands in the body, for pointers of problems. */
struct import_place {
    const char *list; /* "/subscriptions", or "" */
    size_t index;
    bool alone; /* the body itself */
};

static void put_prefix(const struct import_place *p, char *out, size_t size) {
    if (p->alone) {
        snprintf(out, size, "%s", "");
    } else {
        snprintf(out, size, "%s/%zu", p->list, p->index);
    }
}

static void refuse(struct web_job *w, const struct json_reader *r,
                   const struct import_place *place) {
    char prefix[64];

    put_prefix(place, prefix, sizeof prefix);
    web_problem(w, 422, r->fault.text, &r->fault, prefix);
}

static void import_done(struct store_op *op) {
    struct web_job *w = CONTAINER_OF(op, struct web_job, op);
    struct subscription_fault fault;
    enum error e = op->error;
    char prefix[64];

    if (e == ERR_EXISTS) {
        web_taken(rec_subscription_of(w->changes[op->failed_at].data), op->failed_identity, &fault);
        put_prefix(&w->places[op->failed_at], prefix, sizeof prefix);
        web_problem(w, 409, fault.text, &fault, prefix);
        return;
    }
    for (size_t i = 0; !e && i < w->n_changes; i++) {
        if (w->changes[i].profile.n) {
            e = profiles_put(w->hss, w->changes[i].data);
        } else {
            struct rec_subscription now = rec_subscription_of(w->changes[i].data);
            wildcards_committed(w->hss, NULL, &now);
        }
    }
    if (e) {
        web_store_problem(w, e);
        return;
    }
    web_changed(w, "subscriptions were added", SPAN_NONE, w->n_subscriptions);
    json_t *reply = json_object();
    json_object_set_new(reply, "added", json_integer((json_int_t)w->n_subscriptions));
    web_end(w, 201, reply);
}

/* Appends a change; false when something is at fault. */
static bool add(struct web_job *w, const struct json_reader *r, struct span record,
                struct span profile, struct import_place place) {
    if (r->failed) {
        return false;
    }
    w->places[w->n_changes] = place;
    w->changes[w->n_changes++] = (struct store_change){.data = record, .profile = profile};
    w->n_subscriptions += !profile.n;
    return true;
}

static bool add_profiles(struct web_job *w, struct json_reader *r, const json_t *list,
                         struct rec_profile_data *profiles, struct import_place *place) {
    for (size_t i = 0; i < json_array_size(list); i++) {
        *place = (struct import_place){.list = "/profiles", .index = i};
        profile_from_json(r, json_array_get(list, i), SPAN_NONE, &profiles[i]);
        struct span record = r->failed ? SPAN_NONE : web_profile_record(r, &profiles[i]);
        if (!add(w, r, record, profiles[i].name, *place)) {
            return false;
        }
    }
    return true;
}

static bool add_subscription(struct web_job *w, struct json_reader *r, const json_t *json, bool sim,
                             const struct rec_profile_data *profiles, size_t n_profiles,
                             const struct import_place *place) {
    struct rec_subscription_data data;
    struct span record = SPAN_NONE;

    if (sim) {
        sim_from_json(r, json, &data);
    } else {
        subscription_from_json(r, json, SPAN_NONE, NULL, &data);
        if (!r->failed && !data.name.n) {
            json_fault(r, "member-missing", "/name", 0, "name the subscription");
        }
    }
    if (web_check(r, &data, profiles, n_profiles)) {
        record = web_subscription_record(r, &data);
    }
    return add(w, r, record, SPAN_NONE, *place);
}

/* Is the body {"profiles": ..., "subscriptions": ...}? */
static bool is_collection(const json_t *body, bool sims) {
    return !sims && json_is_object(body) && !json_object_get(body, "impis") &&
           (json_object_get(body, "subscriptions") || json_object_get(body, "profiles"));
}

void web_import(struct web_job *w, bool sims) {
    static const char *const members[] = {"profiles", "subscriptions", NULL};
    struct json_reader r = {.hss = w->hss, .arena = &w->arena, .claim = w};
    struct import_place place = {.alone = true};
    const json_t *profile_list = NULL, *list = w->body;
    const char *name = "";

    if (is_collection(w->body, sims)) {
        json_known(&r, w->body, "", 0, members);
        profile_list = json_list(&r, w->body, "profiles", "", 0);
        list = json_list(&r, w->body, "subscriptions", "", 0);
        name = "/subscriptions";
    }
    bool single = list == w->body && !json_is_array(list);
    size_t n_profiles = json_array_size(profile_list), n = single ? 1 : json_array_size(list);
    struct rec_profile_data *profiles = json_take(&r, n_profiles, sizeof *profiles);
    w->changes = json_take(&r, n + n_profiles, sizeof *w->changes);
    w->places = json_take(&r, n + n_profiles, sizeof *w->places);
    if (r.failed || !add_profiles(w, &r, profile_list, profiles, &place)) {
        refuse(w, &r, &place);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        const json_t *json = single ? list : json_array_get(list, i);

        place = (struct import_place){.list = name, .index = i, .alone = single};
        if (!add_subscription(w, &r, json, sims, profiles, n_profiles, &place)) {
            refuse(w, &r, &place);
            return;
        }
    }
    change_note_import(w, SPAN_NONE, w->changes, w->n_changes);
    w->op.done = import_done;
    store_import(w->hss->store, &w->op,
                 &(struct store_import){.changes = w->changes, .n = w->n_changes});
}
