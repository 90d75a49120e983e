/* The log of changes: what is noted of each, and how it is read (GET /changes).
 *
 * What is different is found by comparing what people see before and after: the same JSON that GET
 * shows, which has no secrets. So whatever a subscription comes to have is noted, too. */
#include "node/hss/web.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
    LINES_MAX = 40,
    LINE_MAX = 240,
    VALUE_MAX = 80,
    DEPTH_MAX = 4,
    LIMIT_DEFAULT = 100,
    LIMIT_MAX = 1000,
    WAIT_MAX_S = 60,
    WAITING_MAX = 64, /* further ones are answered at once: their connections are others' too */
    WALK_PART = 500,  /* entries that are looked at before others have their turn */
};

static const char *const kinds[CHANGE_KINDS] = {
    [CHANGE_ADDED] = "subscription-added",        [CHANGE_CHANGED] = "subscription-changed",
    [CHANGE_DELETED] = "subscription-deleted",    [CHANGE_IMPORTED] = "subscriptions-imported",
    [CHANGE_ENDED] = "registrations-ended",       [CHANGE_PROFILE_ADDED] = "profile-added",
    [CHANGE_PROFILE_CHANGED] = "profile-changed", [CHANGE_PROFILE_DELETED] = "profile-deleted",
};

/* What is different. */

struct lines {
    struct arena *arena;
    struct span lines[LINES_MAX + 1];
    size_t n, left_out;
};

static void add_line(struct lines *l, const char *text) {
    bool failed = false;

    if (l->n == LINES_MAX) {
        l->left_out++;
        return;
    }
    l->lines[l->n] = arena_copy(l->arena, span_from_cstr(text), &failed);
    l->n += !failed;
}

/* Does it say nothing: absent, or lists and objects of nothing? */
static bool is_nothing(const json_t *value, unsigned depth) {
    const char *name;
    json_t *inner;
    size_t i;

    if (depth == DEPTH_MAX) {
        return false;
    }
    json_object_foreach((json_t *)(uintptr_t)value, name, inner) {
        if (!is_nothing(inner, depth + 1)) {
            return false;
        }
    }
    json_array_foreach(value, i, inner) {
        if (!is_nothing(inner, depth + 1)) {
            return false;
        }
    }
    return !value || json_is_object(value) || json_is_array(value);
}

/* A value in a few words, to be freed; NULL: it takes many. */
static char *words_of(const json_t *value) {
    char *text = is_nothing(value, 0)
                     ? strdup("nothing")
                     : json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_ENSURE_ASCII);

    if (text && strlen(text) > VALUE_MAX) {
        free(text);
        return NULL;
    }
    return text;
}

static void note_difference(struct lines *l, const char *path, const json_t *before,
                            const json_t *now) {
    char text[LINE_MAX], *old = words_of(before), *fresh = words_of(now);

    if (old && fresh) {
        snprintf(text, sizeof text, "%s: %s -> %s", path, old, fresh);
    } else {
        snprintf(text, sizeof text, "%s: %s", path,
                 is_nothing(before, 0) ? "new"
                 : is_nothing(now, 0)  ? "gone"
                                       : "changed");
    }
    free(old);
    free(fresh);
    add_line(l, text);
}

/* By what an item of a list is known in both. */
static const char *key_of(const json_t *item) {
    const char *identity = json_string_value(json_object_get(item, "identity"));

    return identity ? identity : json_string_value(json_object_get(item, "name"));
}

static const json_t *find_item(const json_t *list, const char *key) {
    size_t i;
    json_t *item;

    json_array_foreach(list, i, item) {
        const char *own = key_of(item);

        if (own && strcmp(own, key) == 0) {
            return item;
        }
    }
    return NULL;
}

static void compare(struct lines *l, const char *path, const json_t *before, const json_t *now,
                    unsigned depth);

static void compare_items(struct lines *l, const char *path, const json_t *before,
                          const json_t *now, unsigned depth) {
    char text[LINE_MAX];
    size_t i;
    json_t *item;

    json_array_foreach(before, i, item) {
        if (!find_item(now, key_of(item))) {
            snprintf(text, sizeof text, "%s: - %s", path, key_of(item));
            add_line(l, text);
        }
    }
    json_array_foreach(now, i, item) {
        const json_t *old = find_item(before, key_of(item));

        snprintf(text, sizeof text, old ? "%s %s" : "%s: + %s", path, key_of(item));
        if (old) {
            compare(l, text, old, item, depth + 1);
        } else {
            add_line(l, text);
        }
    }
}

static bool has_keys(const json_t *list) {
    size_t i;
    json_t *item;

    json_array_foreach(list, i, item) {
        if (!key_of(item)) {
            return false;
        }
    }
    return json_array_size(list) > 0;
}

static void compare_members(struct lines *l, const char *path, const json_t *before,
                            const json_t *now, unsigned depth) {
    const json_t *const sides[] = {now, before};
    char inner[LINE_MAX];
    const char *name;
    json_t *value;

    for (size_t side = 0; side < COUNT_OF(sides); side++) {
        json_object_foreach((json_t *)(uintptr_t)sides[side], name, value) {
            if (side == 0 || !json_object_get(now, name)) {
                snprintf(inner, sizeof inner, "%s%s%s", path, *path ? " " : "", name);
                compare(l, inner, json_object_get(before, name), json_object_get(now, name),
                        depth + 1);
            }
        }
    }
}

static void compare(struct lines *l, const char *path, const json_t *before, const json_t *now,
                    unsigned depth) {
    bool lists = (!before || json_is_array(before)) && (!now || json_is_array(now));

    if ((before && now && json_equal(before, now)) ||
        (is_nothing(before, 0) && is_nothing(now, 0))) {
        return;
    }
    if (depth < DEPTH_MAX && json_is_object(before) && json_is_object(now)) {
        compare_members(l, path, before, now, depth);
    } else if (depth < DEPTH_MAX && lists && (has_keys(before) || has_keys(now)) &&
               (!json_array_size(before) || has_keys(before)) &&
               (!json_array_size(now) || has_keys(now))) {
        compare_items(l, path, before, now, depth);
    } else {
        note_difference(l, path, before, now);
    }
}

/* Of passwords GET shows only that there are some: their hashes are compared here, and not shown.
 */
static void compare_passwords(struct lines *l, struct rec_subscription before,
                              struct rec_subscription now) {
    char text[LINE_MAX];

    for (size_t i = 0, n = rec_subscription_n_impis(now); i < n; i++) {
        struct rec_impi mine = rec_subscription_impis(now, i);

        for (size_t k = 0, m = rec_subscription_n_impis(before); k < m; k++) {
            struct rec_impi other = rec_subscription_impis(before, k);
            bool same = memcmp(rec_impi_ha1_md5(mine), rec_impi_ha1_md5(other), 16) == 0 &&
                        memcmp(rec_impi_ha1_sha256(mine), rec_impi_ha1_sha256(other), 32) == 0;

            if (!same && span_eq(rec_impi_identity(mine), rec_impi_identity(other))) {
                snprintf(text, sizeof text, "impis %.*s: another password",
                         SPAN_ARG(span_slice(rec_impi_identity(mine), 0, 160)));
                add_line(l, text);
            }
        }
    }
}

/* Noting. */

static void note(struct web_job *w, enum change_kind kind, struct span name, uint64_t version,
                 struct lines *l) {
    char from[64];
    struct buf b = buf_init(from, sizeof from);

    if (l->left_out) {
        char text[48];
        snprintf(text, sizeof text, "and %zu more", l->left_out);
        l->lines[l->n] = arena_copy(l->arena, span_from_cstr(text), &(bool){false});
        l->n++;
    }
    if (w->remote.family) {
        addr_put(&b, &w->remote);
    }
    const struct rec_change_data data = {.time_us = (uint64_t)env_wall_us(w->hss->env),
                                         .kind = (uint8_t)kind,
                                         .name = name,
                                         .version = version,
                                         .who = span_from_cstr(w->who),
                                         .from = buf_span(&b),
                                         .what = l->lines,
                                         .n_what = l->n};
    w->op.log = web_record(&w->arena, &rec_change_type, &data);
}

static json_t *shown(struct hss *h, const struct rec_subscription *data) {
    const struct subscription s = {.data = data ? *data : (struct rec_subscription){0}};
    json_t *json = data ? subscription_to_json(h, &s, 0, WEB_SECRETS_NONE) : json_object();

    json_object_del(json, "name");
    json_object_del(json, "version");
    return json;
}

static json_t *shown_profile(struct span record) {
    json_t *json = record.n ? profile_to_json(rec_profile_of(record)) : json_object();

    json_object_del(json, "name");
    return json;
}

void change_note(struct web_job *w, struct span name, uint64_t version,
                 const struct rec_subscription *before, const struct rec_subscription *now) {
    struct lines l = {.arena = &w->arena};

    if (!w->hss->config.changes_max) {
        return;
    }
    json_t *old = shown(w->hss, before), *fresh = shown(w->hss, now);
    compare(&l, "", old, fresh, 0);
    json_decref(old);
    json_decref(fresh);
    if (before && now) {
        compare_passwords(&l, *before, *now);
    }
    note(w, !before ? CHANGE_ADDED : now ? CHANGE_CHANGED : CHANGE_DELETED, name, version, &l);
}

void change_note_profile(struct web_job *w, struct span before, struct span now) {
    struct lines l = {.arena = &w->arena};

    if (!w->hss->config.changes_max) {
        return;
    }
    json_t *old = shown_profile(before), *fresh = shown_profile(now);
    compare(&l, "", old, fresh, 0);
    json_decref(old);
    json_decref(fresh);
    note(w,
         !before.n ? CHANGE_PROFILE_ADDED
         : now.n   ? CHANGE_PROFILE_CHANGED
                   : CHANGE_PROFILE_DELETED,
         web_name(w), 0, &l);
}

void change_note_import(struct web_job *w, struct span name, const struct store_change *changes,
                        size_t n) {
    enum { NAMED_MAX = 20 };
    struct lines l = {.arena = &w->arena};

    if (!w->hss->config.changes_max) {
        return;
    }
    for (size_t i = 0; i < n && n <= NAMED_MAX; i++) {
        char text[LINE_MAX];
        struct span one = changes[i].profile.n
                              ? changes[i].profile
                              : rec_subscription_name(rec_subscription_of(changes[i].data));
        snprintf(text, sizeof text, "+ %s%.*s", changes[i].profile.n ? "profile " : "",
                 SPAN_ARG(span_slice(one, 0, 200)));
        add_line(&l, text);
    }
    note(w, CHANGE_IMPORTED, name, 0, &l);
}

void change_note_ended(struct web_job *w, uint64_t version, const struct rec_news_item_data *items,
                       size_t n) {
    struct lines l = {.arena = &w->arena};

    if (!w->hss->config.changes_max) {
        return;
    }
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < items[i].n_impus; k++) {
            char text[LINE_MAX];
            snprintf(text, sizeof text, "%.*s: not registered any more",
                     SPAN_ARG(span_slice(items[i].impus[k], 0, 160)));
            add_line(&l, text);
        }
    }
    note(w, CHANGE_ENDED, web_name(w), version, &l);
}

void changes_tell(struct hss *h) {
    LIST_EACH(&h->web, w, struct web_job, link) {
        if (w->awaits_changes) {
            timer_start(h->env, &w->pause, 0);
        }
    }
}

/* Reading. */

static void put_time(json_t *json, uint64_t time_us) {
    char text[40], fraction[8];
    time_t s = (time_t)(time_us / SEC_IN_US);
    struct tm t;

    snprintf(fraction, sizeof fraction, ".%03uZ", (unsigned)(time_us / MS_IN_US % 1000));
    if (gmtime_r(&s, &t) &&
        strftime(text, sizeof text - sizeof fraction, "%Y-%m-%dT%H:%M:%S", &t)) {
        json_object_set_new(json, "time", json_sprintf("%s%s", text, fraction));
    }
}

static json_t *change_to_json(const struct store_op *op, struct rec_change c) {
    json_t *json = json_object(), *what = json_array();

    json_object_set_new(json, "number", json_integer((json_int_t)op->change));
    put_time(json, rec_change_time_us(c));
    json_object_set_new(
        json, "kind",
        json_string(rec_change_kind(c) < CHANGE_KINDS ? kinds[rec_change_kind(c)] : "unknown"));
    json_set_text(json, "name", rec_change_name(c));
    if (rec_change_version(c)) {
        json_object_set_new(json, "version", json_integer((json_int_t)rec_change_version(c)));
    }
    json_object_set_new(json, "concerns", json_integer((json_int_t)op->concerned));
    json_set_text(json, "who", rec_change_who(c));
    json_set_text(json, "from", rec_change_from(c));
    for (size_t i = 0, n = rec_change_n_what(c); i < n; i++) {
        json_array_append_new(what, json_of_text(rec_change_what(c, i)));
    }
    json_object_set_new(json, "what", what);
    return json;
}

static void walk(struct web_job *w);

static void end(struct web_job *w) {
    json_t *reply = w->reply;

    w->reply = NULL;
    w->awaits_changes = false;
    json_object_set_new(reply, "last", json_integer((json_int_t)w->last_change));
    json_object_set_new(reply, "next", json_sprintf("%llu", (unsigned long long)w->after));
    web_end(w, 200, reply);
}

static void looked(struct store_op *op) {
    struct web_job *w = CONTAINER_OF(op, struct web_job, op);

    w->got = true;
    w->error = op->error;
    w->finished = op->error != OK;
    w->last_change = op->last_change;
    if (w->from_the_end) { /* the newest ones: now it is known which these are */
        w->after = op->last_change > w->from_the_end ? op->last_change - w->from_the_end : 0;
        w->from_the_end = 0;
        w->finished = false;
    } else if (!op->error) {
        struct rec_change c = rec_change_of(op->record);

        w->after = op->change;
        w->walked++;
        if (!w->name_n || span_eq(rec_change_name(c), web_name(w))) {
            json_array_append_new(json_object_get(w->reply, "changes"), change_to_json(op, c));
            w->seen++;
        }
        w->finished = w->seen == w->limit;
    }
    if (!w->asking) {
        walk(w);
    }
}

static void go_on(struct timer *t) {
    struct web_job *w = CONTAINER_OF(t, struct web_job, pause);

    w->finished = false;
    walk(w);
}

static size_t count_waiting(struct hss *h) {
    size_t n = 0;

    LIST_EACH(&h->web, w, struct web_job, link) {
        n += w->awaits_changes;
    }
    return n;
}

static void walk(struct web_job *w) {
    while (!w->finished) {
        w->asking = true;
        w->got = false;
        w->op.done = looked;
        store_next_change(w->hss->store, &w->op, w->after);
        w->asking = false;
        if (!w->got) {
            return;
        }
        if (!w->finished && w->walked % WALK_PART == WALK_PART - 1) {
            timer_start(w->hss->env, &w->pause, 0);
            return;
        }
    }
    if (w->error && w->error != ERR_NOT_FOUND) {
        web_store_problem(w, w->error);
        return;
    }
    uint64_t now_us = env_now_us(w->hss->env);
    w->awaits_changes = false;
    w->awaits_changes = !w->seen && now_us < w->wait_until_us && !w->hss->stopping &&
                        count_waiting(w->hss) < WAITING_MAX;
    if (w->awaits_changes) {
        timer_start(w->hss->env, &w->pause, w->wait_until_us - now_us);
        return;
    }
    end(w);
}

static bool read_after(struct web_job *w, struct span query) {
    char room[24];
    struct buf b = buf_init(room, sizeof room);

    if (!web_query(query, SPAN("after"), &b)) {
        return true;
    }
    if (b.n && room[0] == '-') {
        return span_to_u64(span_after(buf_span(&b), 1), UINT32_MAX, &w->from_the_end);
    }
    return span_to_u64(buf_span(&b), UINT64_MAX, &w->after);
}

void web_changes(struct web_job *w, struct span query) {
    struct buf name = buf_init(w->name, sizeof w->name);
    uint64_t limit = LIMIT_DEFAULT, wait_s = 0;

    if (!read_after(w, query) || !web_number(query, "limit", LIMIT_MAX, &limit) || !limit ||
        !web_number(query, "wait", WAIT_MAX_S, &wait_s)) {
        web_problem(w, 400,
                    "limit is a number from 1 to 1000, wait from 0 to 60 seconds, after a number, "
                    "or -N for the newest N",
                    NULL, NULL);
        return;
    }
    if (!w->hss->config.changes_max) {
        web_problem(w, 404, "this HSS keeps no log of changes (web: changes-max)", NULL, NULL);
        return;
    }
    w->name_n = web_query(query, SPAN("name"), &name) ? name.n : 0;
    w->limit = limit;
    w->wait_until_us = env_now_us(w->hss->env) + wait_s * SEC_IN_US;
    w->reply = json_object();
    json_object_set_new(w->reply, "changes", json_array());
    timer_init(&w->pause, go_on);
    walk(w);
}
