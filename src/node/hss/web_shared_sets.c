/* Shared sets of filter criteria over the web interface: /shared-ifc-sets/7. TS 29.228 6.6, B.2: a
 * service profile names them by number, and an S-CSCF has their content; for S-CSCFs that do not
 * support them the HSS writes it out, if it has been told what it is. */
#include "model/subscription/difference.h"
#include "node/hss/web.h"

#include <stdio.h>

enum { NUMBER_MAX = INT32_MAX }; /* as annex E writes it */

/* Puts the name of the set that the path means into w->name. False: it was answered. */
static bool read_number(struct web_job *w) {
    char room[SHARED_SET_NAME];
    uint32_t number;

    if (!span_to_u32(web_name(w), NUMBER_MAX, &number)) {
        struct subscription_fault fault;

        (void)subscription_faulty(&fault, "shared-set-number", "", 0, "");
        web_problem(w, 404, "a shared set has a number from 0 to 2147483647", &fault, NULL);
        return false;
    }
    struct span name = shared_set_name(room, number);
    memcpy(w->name, name.p, name.n);
    w->name_n = name.n;
    return true;
}

/* NULL: it was answered. */
static struct profile *find(struct web_job *w) {
    if (!read_number(w)) {
        return NULL;
    }
    struct profile *p = profiles_find(w->hss, web_name(w));
    if (!p) {
        web_problem(w, 404, "the HSS does not know the content of this shared set", NULL, NULL);
    }
    return p;
}

static json_t *to_json(struct rec_profile p) {
    json_t *whole = profile_to_json(p), *json = json_object();
    uint32_t number = 0;

    (void)!span_to_u32(span_after(rec_profile_name(p), 1), NUMBER_MAX, &number);
    json_object_set_new(json, "number", json_integer(number));
    json_object_set(json, "filter_criteria", json_object_get(whole, "filter_criteria"));
    json_decref(whole);
    return json;
}

void web_shared_set_get(struct web_job *w) {
    struct profile *p = find(w);

    if (p) {
        web_etag_record(w, p->record);
    }
    if (p && web_may_show(w)) {
        web_end(w, 200, to_json(rec_profile_of(p->record)));
    }
}

static void add_to_list(struct htab_node *n, void *ctx) {
    struct profile *p = CONTAINER_OF(n, struct profile, node);

    if (is_shared_set(p->name)) {
        json_array_append_new(ctx, to_json(rec_profile_of(p->record)));
    }
}

void web_shared_set_list(struct web_job *w) {
    json_t *reply = json_object(), *list = json_array();

    htab_each(&w->hss->profiles, add_to_list, list);
    json_object_set_new(reply, "shared_ifc_sets", list);
    web_end(w, 200, reply);
}

/* Changes. */

/* The profiles that name a set. */
struct referring {
    uint32_t number;
    struct rec_news_item_data *items;
    size_t n;
};

static void refer(struct htab_node *node, void *ctx) {
    struct profile *p = CONTAINER_OF(node, struct profile, node);
    struct referring *r = ctx;
    struct rec_profile record = rec_profile_of(p->record);

    for (size_t i = 0, n = rec_profile_n_shared_ifc_sets(record); i < n; i++) {
        if (rec_profile_shared_ifc_sets(record, i) == r->number) {
            r->items[r->n++] =
                (struct rec_news_item_data){.kind = NEWS_PROFILE, .impus = &p->name, .n_impus = 1};
            return;
        }
    }
}

static void put_over(struct web_job *w) {
    if (w->record.n) {
        web_end(w, w->creates ? 201 : 200, to_json(rec_profile_of(w->record)));
    } else {
        web_end(w, 204, NULL);
    }
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

/* Whoever is registered by it, at an S-CSCF that has it written out, has to hear of it. */
static void tell(struct web_job *w) {
    struct referring r = {0};
    struct span record = SPAN_NONE;

    web_changed(w, "a shared set was changed", web_name(w), 1);
    (void)!span_to_u32(span_after(web_name(w), 1), NUMBER_MAX, &r.number);
    r.items = arena_alloc(&w->arena, (w->hss->profiles.count + 1) * sizeof *r.items);
    if (r.items) {
        htab_each(&w->hss->profiles, refer, &r);
        const struct rec_news_data news = {.items = r.items, .n_items = r.n};
        record = r.n ? web_record(&w->arena, &rec_news_type, &news) : SPAN_NONE;
    }
    if (r.items && !r.n) {
        put_over(w);
    } else if (!record.n) {
        web_store_problem(w, ERR_NO_MEMORY);
    } else {
        w->op.done = told;
        store_save_news(w->hss->store, &w->op, 0, record);
    }
}

static void put_done(struct store_op *op) {
    struct web_job *w = CONTAINER_OF(op, struct web_job, op);
    enum error e = op->error ? op->error : profiles_put(w->hss, w->record);

    if (e) {
        web_store_problem(w, e);
    } else {
        tell(w);
    }
}

/* Priorities: an S-CSCF orders the criteria of a profile and of its shared sets together, so no two
 * of them have the same one (TS 29.228 B.2.2). What the HSS does not know it cannot compare. */

static bool has_priority(struct rec_profile p, uint32_t priority) {
    for (size_t i = 0, n = rec_profile_n_ifcs(p); i < n; i++) {
        if (rec_ifc_priority(rec_profile_ifcs(p, i)) == priority) {
            return true;
        }
    }
    return false;
}

/* Notes a fault if a criterion of `data` has the priority of one of `other`. */
static void compare(struct json_reader *r, const struct rec_profile_data *data,
                    const struct profile *other) {
    for (size_t i = 0; other && i < data->n_ifcs; i++) {
        if (has_priority(rec_profile_of(other->record), data->ifcs[i].priority)) {
            char text[160];

            snprintf(text, sizeof text,
                     "%s %.*s, which is used together with it, has this priority",
                     is_shared_set(other->name) ? "shared set" : "profile", SPAN_ARG(other->name));
            json_fault(r, "priority-unique", "/filter_criteria/#/priority", i, text);
        }
    }
}

void shared_sets_check(struct json_reader *r, const struct rec_profile_data *data) {
    char room[SHARED_SET_NAME];

    for (size_t i = 0; i < data->n_shared_ifc_sets; i++) {
        const struct profile *set =
            profiles_find(r->hss, shared_set_name(room, data->shared_ifc_sets[i]));

        compare(r, data, set);
        for (size_t k = 0; set && k < i; k++) {
            const struct profile *other =
                profiles_find(r->hss, shared_set_name(room, data->shared_ifc_sets[k]));
            struct rec_profile sets = rec_profile_of(set->record);

            for (size_t c = 0; other && c < rec_profile_n_ifcs(sets); c++) {
                if (has_priority(rec_profile_of(other->record),
                                 rec_ifc_priority(rec_profile_ifcs(sets, c)))) {
                    json_fault(r, "priority-unique", "/shared_ifc_sets", 0,
                               "two of these sets have criteria of the same priority");
                }
            }
        }
    }
}

struct set_check {
    struct json_reader *r;
    const struct rec_profile_data *data;
    uint32_t number;
};

/* A new content beside a profile that names the set, and beside the other sets of that profile. */
static void check_beside(struct htab_node *node, void *ctx) {
    struct profile *p = CONTAINER_OF(node, struct profile, node);
    const struct set_check *c = ctx;
    struct rec_profile record = rec_profile_of(p->record);
    size_t n = rec_profile_n_shared_ifc_sets(record), named = 0;
    char room[SHARED_SET_NAME];

    for (size_t i = 0; i < n; i++) {
        named += rec_profile_shared_ifc_sets(record, i) == c->number;
    }
    if (!named) {
        return;
    }
    compare(c->r, c->data, p);
    for (size_t i = 0; i < n; i++) {
        uint32_t other = rec_profile_shared_ifc_sets(record, i);
        if (other != c->number) {
            compare(c->r, c->data, profiles_find(c->r->hss, shared_set_name(room, other)));
        }
    }
}

/* Reads the criteria; the other members of a profile do not belong to a set. */
static void read_set(struct json_reader *r, const json_t *body, struct rec_profile_data *out) {
    static const char *const members[] = {"number", "filter_criteria", NULL};
    json_t *profile = json_object(); /* what is read of it points into the body */

    json_known(r, body, "", 0, members);
    if (!r->failed) {
        json_object_set(profile, "filter_criteria", json_object_get(body, "filter_criteria"));
        profile_from_json(r, profile, SPAN("set"), out);
    }
    json_decref(profile);
}

void web_shared_set_put(struct web_job *w) {
    struct json_reader r = {.hss = w->hss, .arena = &w->arena};
    struct rec_profile_data data = {0};
    char room[SHARED_SET_NAME];

    if (!read_number(w)) {
        return;
    }
    read_set(&r, w->body, &data);
    const json_t *number = json_object_get(w->body, "number");
    if (!r.failed && number &&
        (!json_is_integer(number) || json_integer_value(number) < 0 ||
         !span_eq(shared_set_name(room, (uint32_t)json_integer_value(number)), web_name(w)))) {
        json_fault(&r, "shared-set-number", "/number", 0, "the number is not the one in the path");
    }
    data.name = web_name(w);
    if (!r.failed) {
        struct set_check c = {.r = &r, .data = &data};

        (void)!span_to_u32(span_after(web_name(w), 1), NUMBER_MAX, &c.number);
        htab_each(&w->hss->profiles, check_beside, &c);
    }
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
        put_over(w);
        return;
    }
    change_note_profile(w, p ? p->record : SPAN_NONE, w->record);
    w->op.done = put_done;
    store_save_profile(w->hss->store, &w->op, web_name(w), w->record);
}

static void delete_done(struct store_op *op) {
    struct web_job *w = CONTAINER_OF(op, struct web_job, op);
    struct profile *p = profiles_find(w->hss, web_name(w));

    if (op->error && op->error != ERR_NOT_FOUND) {
        web_store_problem(w, op->error);
        return;
    }
    if (p) {
        profiles_remove(w->hss, p);
    }
    tell(w);
}

void web_shared_set_delete(struct web_job *w) {
    struct profile *p = find(w);

    if (!p) {
        return;
    }
    web_etag_record(w, p->record);
    if (web_may_change(w, true)) {
        w->etag[0] = '\0';
        change_note_profile(w, p->record, SPAN_NONE);
        w->op.done = delete_done;
        store_delete_profile(w->hss->store, &w->op, web_name(w));
    }
}
