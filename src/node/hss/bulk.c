/* Long imports: POST /imports/NAME, again and again until all is there.
 *
 * The client cuts its input into requests of some thousand lines and says with each where in the
 * input it begins and ends (`from`, `to`: texts that only the client understands). With mode=each
 * the good lines of a request and its `to` are stored in one transaction, and a request whose
 * `from` is not what is stored changes nothing: whoever goes on after an interruption asks where he
 * was (GET /imports/NAME), and nothing is skipped or done twice. With mode=all the records are
 * kept in memory until the last request, which stores all or none of them in one transaction.
 *
 * Lines are read in slices, so that messages get their turn; what the store does with one request
 * overlaps with the reading of the next. */
#include "node/hss/bulk.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    SLICE_LINES = 200,
    TURN_US = 500,
    SESSIONS_MAX = 4,
    IDLE_S = 60, /* a client that says nothing for so long has gone */
};

/* Sessions. */

static void session_free(struct bulk_session *s) {
    wildcard_drop_claims(&s->hss->wildcards, &s->records);
    list_remove(&s->link);
    timer_stop(&s->idle);
    bulk_records_free(&s->records);
    free(s);
}

static void on_idle(struct timer *t) {
    struct bulk_session *s = CONTAINER_OF(t, struct bulk_session, idle);

    LOG(&s->hss->env->log, LOG_WARNING, "an import was given up: its client says nothing",
        LOG_CSTR("name", s->name));
    session_free(s);
}

void bulk_sessions_free(struct hss *h) {
    LIST_EACH(&h->bulk_sessions, s, struct bulk_session, link) {
        session_free(s);
    }
}

static struct bulk_session *find_session(struct hss *h, struct span name) {
    LIST_EACH(&h->bulk_sessions, s, struct bulk_session, link) {
        if (span_eq(span_from_cstr(s->name), name)) {
            return s;
        }
    }
    return NULL;
}

static struct bulk_session *new_session(struct web_job *w, enum bulk_mode mode) {
    struct bulk_session *s = NULL;
    size_t n = 0;

    LIST_EACH(&w->hss->bulk_sessions, other, struct bulk_session, link) {
        n += other != NULL;
    }
    if (n < SESSIONS_MAX) {
        s = calloc(1, sizeof *s);
    }
    if (s) {
        s->hss = w->hss;
        s->mode = mode;
        memcpy(s->name, w->name, w->name_n);
        timer_init(&s->idle, on_idle);
        list_insert(&w->hss->bulk_sessions, &s->link);
    }
    return s;
}

/* Requests. */

void bulk_job_free(struct web_job *w) {
    struct bulk_job *b = w->bulk;

    if (!b) {
        return;
    }
    if (b->session) { /* the request ends without having come to its end */
        b->session->busy = false;
        session_free(b->session);
    }
    wildcard_drop_claims(&w->hss->wildcards, &b->own);
    bulk_records_free(&b->own);
    if (b->body) {
        OPENSSL_cleanse(b->body, b->body_n);
        free(b->body);
    }
    json_decref(b->faults);
    free(b);
}

/* The request is done with its session: it waits for the next one, or ends with the last. */
static void leave_session(struct bulk_job *b, bool ends) {
    struct bulk_session *s = b->session;

    b->session = NULL;
    if (!s) {
        return;
    }
    s->busy = false;
    if (ends) {
        session_free(s);
    } else {
        snprintf(s->position, sizeof s->position, "%s", b->to);
        s->n_refused += b->n_faults;
        timer_start(s->hss->env, &s->idle, IDLE_S * SEC_IN_US);
    }
}

static void conflict(struct web_job *w, const char *text) {
    struct subscription_fault fault;

    (void)subscription_faulty(&fault, "position", "", 0, text);
    web_problem(w, 409, text, &fault, NULL);
}

static void report(struct web_job *w, unsigned status, size_t added, uint64_t total,
                   size_t refused) {
    struct bulk_job *b = w->bulk;
    json_t *json = json_object();

    json_object_set_new(json, "position", json_string(b->to));
    json_object_set_new(json, "added", json_integer((json_int_t)added));
    json_object_set_new(json, "total", json_integer((json_int_t)total));
    json_object_set_new(json, "refused", json_integer((json_int_t)refused));
    json_object_set(json, "faults", b->faults);
    leave_session(b, b->last);
    web_end(w, status, json);
}

/* What is durable now is in memory, too, where that is kept. */
static void take_up(struct web_job *w) {
    const struct bulk_records *records = w->bulk->records;

    for (size_t i = 0; i < records->n; i++) {
        const struct store_change *c = &records->changes[i];
        struct rec_subscription now = {0};

        if (w->op.outcomes[i].error) {
            continue;
        }
        if (!c->profile.n) {
            now = rec_subscription_of(c->data);
            wildcards_committed(w->hss, NULL, &now);
        } else if (profiles_put(w->hss, c->data) != OK) {
            LOG(&w->hss->env->log, LOG_ERROR, "a profile is stored, but memory is out");
        }
    }
}

static void stored(struct store_op *op) {
    struct web_job *w = CONTAINER_OF(op, struct web_job, op);
    struct bulk_job *b = w->bulk;
    size_t before = b->session ? b->session->n_refused : 0;

    if (op->error == ERR_CONFLICT) {
        conflict(w, "the import is not where this request begins: GET tells where it is");
        return;
    }
    bool refused =
        b->mode == BULK_ALL && op->outcomes &&
        (op->error == ERR_EXISTS || op->error == ERR_INVALID || op->error == ERR_CORRUPT);
    if (op->error && !refused) {
        web_store_problem(w, op->error);
        return;
    }
    size_t fine = bulk_outcomes(b, op);
    if (refused || (b->mode == BULK_ALL && before + b->n_faults)) { /* nothing was stored */
        report(w, 422, 0, 0, before + b->n_faults);
        return;
    }
    if (b->mode != BULK_CHECK) {
        take_up(w);
        web_changed(w, "subscriptions were imported", SPAN_NONE, fine);
    }
    report(w, 200, fine, b->mode == BULK_CHECK ? fine : op->mark_stored, before + b->n_faults);
}

static void store(struct web_job *w, enum store_import_mode mode) {
    struct bulk_job *b = w->bulk;
    bool begins = b->begins || b->mode != BULK_EACH;

    if (mode != STORE_CHECK) {
        change_note_import(w, web_name(w), b->records->changes, b->records->n);
    }
    w->op.done = stored;
    store_import(w->hss->store, &w->op,
                 &(struct store_import){
                     .changes = b->records->changes,
                     .n = b->records->n,
                     .mode = mode,
                     .mark = {.name = mode == STORE_CHECK ? SPAN_NONE : web_name(w),
                              .expected = begins ? SPAN_NONE : span_from_cstr(b->from),
                              .text = span_from_cstr(b->to)},
                 });
}

/* All lines are read. */
static void finish(struct web_job *w) {
    struct bulk_job *b = w->bulk;
    size_t refused = b->n_faults + (b->session ? b->session->n_refused : 0);

    b->parsing = false;
    if (b->mode == BULK_EACH) {
        store(w, STORE_EACH);
    } else if (!b->last) {
        report(w, 200, 0, b->records->n - b->records->n_profiles, refused);
    } else if (b->mode == BULK_ALL && !refused) {
        store(w, STORE_ALL_OR_NONE);
    } else {
        store(w, STORE_CHECK); /* so that all faults are told, not only those of form */
    }
}

static void read_slice(struct timer *t) {
    struct web_job *w = CONTAINER_OF(t, struct web_job, pause);
    struct bulk_job *b = w->bulk;

    for (size_t i = 0; i < SLICE_LINES && b->rest.n; i++) {
        enum error e = bulk_line(w, b);

        if (e) {
            web_store_problem(w, e);
            return;
        }
    }
    if (b->records->bytes > w->hss->config.import_max) {
        web_problem(w, 413,
                    "more than this HSS keeps in memory until the end: import line by line "
                    "(mode=each), or in several parts",
                    NULL, NULL);
    } else if (b->rest.n) {
        timer_start(w->hss->env, &w->pause, 0);
    } else {
        finish(w);
    }
}

/* Joins the session, or begins it. False: it was answered. */
static bool join_session(struct web_job *w) {
    struct bulk_job *b = w->bulk;
    struct bulk_session *s = find_session(w->hss, web_name(w));

    if (s && s->busy) {
        conflict(w, "another request of this import is under way");
        return false;
    }
    if (s && b->begins) {
        session_free(s);
        s = NULL;
    }
    if (!b->begins && (!s || s->mode != b->mode || strcmp(s->position, b->from) != 0)) {
        conflict(w, "the import is not where this request begins: begin it again");
        return false;
    }
    s = s ? s : new_session(w, b->mode);
    if (!s) {
        web_problem(w, 503, "too many imports are under way, or memory is out", NULL, NULL);
        return false;
    }
    timer_stop(&s->idle);
    s->busy = true;
    b->session = s;
    b->records = &s->records;
    return true;
}

/* Another request of the same import that came before, if its lines are still being read. */
static bool must_wait(const struct web_job *w) {
    LIST_EACH(&w->hss->web, other, struct web_job, link) {
        if (other == w) {
            return false;
        }
        if (other->bulk && other->bulk->parsing && span_eq(web_name(other), web_name(w))) {
            return true;
        }
    }
    return false;
}

/* Profiles of requests that are being stored will be there when this one is. */
static enum error know_profiles(struct web_job *w) {
    LIST_EACH(&w->hss->web, other, struct web_job, link) {
        const struct bulk_job *b = other->bulk;

        if (other == w || !b || !b->records || !span_eq(web_name(other), web_name(w))) {
            continue;
        }
        for (size_t i = 0; i < b->records->n_known; i++) {
            enum error e = bulk_know_profile(w->bulk->records, b->records->profiles[i].name);

            if (e) {
                return e;
            }
        }
    }
    return OK;
}

static void take_turn(struct timer *t) {
    struct web_job *w = CONTAINER_OF(t, struct web_job, pause);
    struct bulk_job *b = w->bulk;

    if (must_wait(w)) {
        timer_start(w->hss->env, &w->pause, TURN_US);
        return;
    }
    b->records = &b->own;
    if (b->mode != BULK_EACH && !join_session(w)) {
        return;
    }
    enum error e = b->mode == BULK_EACH ? know_profiles(w) : OK;
    if (e) {
        web_store_problem(w, e);
        return;
    }
    timer_init(&w->pause, read_slice);
    read_slice(&w->pause);
}

/* What the query says. */

static bool read_text(struct span query, const char *name, char *out, size_t cap) {
    struct buf b = buf_init(out, cap - 1);
    bool found = web_query(query, span_from_cstr(name), &b);

    out[found ? b.n : 0] = '\0';
    return found && !b.overflow;
}

static bool read_mode(struct span query, enum bulk_mode *out) {
    static const char *const names[] = {
        [BULK_ALL] = "all", [BULK_EACH] = "each", [BULK_CHECK] = "check"};
    char text[16];

    *out = BULK_ALL;
    if (!read_text(query, "mode", text, sizeof text)) {
        return span_find(query, SPAN("mode=")) == query.n;
    }
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (strcmp(text, names[i]) == 0) {
            *out = (enum bulk_mode)i;
            return true;
        }
    }
    return false;
}

/* False: it is answered. */
static bool read_query(struct web_job *w, struct bulk_job *b, struct span query) {
    char number[24], last[8];
    const char *wrong = NULL;

    b->line = 1;
    b->begins = !read_text(query, "from", b->from, sizeof b->from) || !b->from[0];
    b->last = read_text(query, "last", last, sizeof last) && strcmp(last, "yes") == 0;
    if (!read_mode(query, &b->mode)) {
        wrong = "mode is all, each or check";
    } else if (read_text(query, "line", number, sizeof number) &&
               !span_to_u64(span_from_cstr(number), INT64_MAX, &b->line)) {
        wrong = "line is the number of the first line";
    } else if (!read_text(query, "to", b->to, sizeof b->to)) {
        if (!b->begins) {
            wrong = "what is sent in several requests needs from and to";
        } else { /* one request is all there is */
            b->last = true;
            snprintf(b->to, sizeof b->to, "end");
        }
    }
    if (wrong) {
        web_problem(w, 400, wrong, NULL, NULL);
    }
    return !wrong;
}

static void begin(struct web_job *w, const struct web_request *request) {
    struct bulk_job *b = calloc(1, sizeof *b);

    w->bulk = b;
    if (b) {
        b->faults = json_array();
        b->body = malloc(request->body.n + 1);
    }
    if (!b || !b->faults || !b->body) {
        web_store_problem(w, ERR_NO_MEMORY);
        return;
    }
    if (!read_query(w, b, request->query)) {
        return;
    }
    b->body_n = request->body.n;
    if (b->body_n) {
        memcpy(b->body, request->body.p, b->body_n);
    }
    b->rest = span_of(b->body, b->body_n);
    b->parsing = true;
    timer_init(&w->pause, take_turn);
    take_turn(&w->pause);
}

/* GET and DELETE */

static void shown(struct store_op *op) {
    struct web_job *w = CONTAINER_OF(op, struct web_job, op);

    if (op->error == ERR_NOT_FOUND) {
        web_problem(w, 404, "no import of this name is known", NULL, NULL);
    } else if (op->error) {
        web_store_problem(w, op->error);
    } else {
        json_t *json = json_object();

        json_set_text(json, "position", op->record);
        json_object_set_new(json, "total", json_integer((json_int_t)op->mark_stored));
        web_end(w, 200, json);
    }
}

static void forgotten(struct store_op *op) {
    struct web_job *w = CONTAINER_OF(op, struct web_job, op);

    if (op->error) {
        web_store_problem(w, op->error);
    } else {
        web_end(w, 204, NULL);
    }
}

static void forget(struct web_job *w) {
    struct bulk_session *s = find_session(w->hss, web_name(w));

    if (s && s->busy) {
        conflict(w, "a request of this import is under way");
        return;
    }
    if (s) {
        session_free(s);
    }
    w->op.done = forgotten;
    store_import(w->hss->store, &w->op, &(struct store_import){.mark = {.name = web_name(w)}});
}

void web_bulk(struct web_job *w, const struct web_request *request) {
    if (w->name_n > BULK_NAME_MAX) {
        web_problem(w, 404, "the name of an import has at most 255 bytes", NULL, NULL);
    } else if (span_eq(request->method, SPAN("POST"))) {
        begin(w, request);
    } else if (span_eq(request->method, SPAN("GET"))) {
        w->op.done = shown;
        store_load_mark(w->hss->store, &w->op, web_name(w));
    } else if (span_eq(request->method, SPAN("DELETE"))) {
        forget(w);
    } else {
        web_refuse_method(w, "GET, POST, DELETE");
    }
}
