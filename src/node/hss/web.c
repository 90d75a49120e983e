/* The web interface: which request is what, and its answers. README.md describes it. */
#include "node/hss/web.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>

enum { BODY_DEPTH = 6, LIMIT_DEFAULT = 100, LIMIT_MAX = 1000, LINES_MAX = 10000 };

/* Answers. */

/* Keys in what was sent are wiped before its memory is given back. */
static bool is_secret(const char *name) {
    static const char *const names[] = {"k", "op", "opc", "password", "ha1_md5", "ha1_sha256"};

    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (strcmp(name, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

static void wipe(json_t *json, unsigned depth) {
    const char *name;
    json_t *value;
    size_t i;

    if (depth == BODY_DEPTH) {
        return;
    }
    json_object_foreach(json, name, value) {
        if (is_secret(name) && json_is_string(value)) {
            OPENSSL_cleanse((char *)(uintptr_t)json_string_value(value), json_string_length(value));
        } else {
            wipe(value, depth + 1);
        }
    }
    json_array_foreach(json, i, value) {
        wipe(value, depth + 1);
    }
}

void web_wipe(json_t *json) {
    wipe(json, 0);
}

static void wipe_span(struct span s) {
    if (s.n) {
        OPENSSL_cleanse((char *)(uintptr_t)s.p, s.n);
    }
}

static void web_job_free(struct web_job *w) {
    list_remove(&w->link);
    wildcard_drop_claims(&w->hss->wildcards, w);
    store_cancel(&w->op);
    timer_stop(&w->pause);
    if (w->going) {
        w->going->going = false;
    }
    wipe_span(w->record);
    for (size_t i = 0; i < w->n_changes; i++) {
        wipe_span(w->changes[i].data);
    }
    bulk_job_free(w);
    web_wipe(w->body);
    json_decref(w->body);
    json_decref(w->reply);
    post_cancel(&w->turn);
    wipe_span(span_of(w->page.text, w->page.n));
    free(w->page.text);
    arena_release(&w->arena);
    free(w);
}

static void end(struct web_job *w, const struct web_answer *answer) {
    struct hss *h = w->hss;
    struct job *job = w->job;

    w->answer(w->answer_ctx, answer);
    web_job_free(w);
    if (job) {
        job_end(job);
    }
    hss_maybe_stopped(h);
}

void web_end_with(struct web_job *w, const struct web_answer *answer) {
    end(w, answer);
}

static void end_with_json(struct web_job *w, unsigned status, struct span type, json_t *json) {
    char *text = json ? json_dumps(json, JSON_INDENT(2) | JSON_PRESERVE_ORDER) : NULL;
    const struct web_header etag = {SPAN("ETag"), span_from_cstr(w->etag)};
    const struct web_header allow = {SPAN("Allow"), span_from_cstr(w->allowed)};
    struct web_answer answer = {.status = status};

    if (w->allowed || (w->etag[0] && status < 400)) {
        answer.headers = w->allowed ? &allow : &etag;
        answer.n_headers = 1;
    }
    json_decref(json);
    if (text) {
        answer.content_type = type;
        answer.body = span_from_cstr(text);
    } else if (status != 204 && status != 304) {
        answer.status = 500;
    }
    end(w, &answer);
    free(text);
}

void web_end(struct web_job *w, unsigned status, json_t *json) {
    end_with_json(w, status, SPAN("application/json"), json);
}

void web_end_lines(struct web_job *w, const char *next) {
    const struct web_header header = {SPAN("Muster-Next"), span_from_cstr(next)};
    const struct web_answer answer = {.status = 200,
                                      .content_type = SPAN_INIT("application/x-ndjson"),
                                      .body = span_of(w->page.text, w->page.n),
                                      .headers = &header,
                                      .n_headers = 1};

    end(w, &answer);
}

void web_problem(struct web_job *w, unsigned status, const char *detail,
                 const struct subscription_fault *fault, const char *prefix) {
    json_t *json = json_object();

    json_object_set_new(json, "status", json_integer(status));
    json_object_set_new(json, "title", json_string(web_status_text(status)));
    json_object_set_new(json, "detail", json_string(detail));
    json_object_set_new(json, "error", json_string(detail));
    if (fault) {
        char pointer[256];

        snprintf(pointer, sizeof pointer, "%s%s", prefix ? prefix : "", fault->member);
        json_object_set_new(json, "rule", json_string(fault->rule));
        json_object_set_new(json, "pointer", json_string(pointer));
    }
    end_with_json(w, status, SPAN("application/problem+json"), json);
}

void web_store_problem(struct web_job *w, enum error e) {
    LOG(&w->hss->env->log, LOG_ERROR, "a provisioning request failed",
        LOG_CSTR("why", error_text(e)));
    web_problem(w, e == ERR_NO_MEMORY ? 503 : 500, error_text(e), NULL, NULL);
}

void web_changed(struct web_job *w, const char *what, struct span name, size_t n) {
    char from[64];
    struct buf b = buf_init(from, sizeof from);
    struct log *log = &w->hss->env->log;
    enum log_level level = w->remote.family ? LOG_NOTICE : LOG_INFO;

    w->hss->counters.provisioned += n;
    changes_tell(w->hss);
    addr_put(&b, &w->remote);
    if (n && name.n) {
        LOG(log, level, what, LOG_SPAN("name", name), LOG_CSTR("who", w->who),
            LOG_SPAN("from", buf_span(&b)));
    } else if (n) {
        LOG(log, level, what, LOG_U64("n", n), LOG_CSTR("who", w->who),
            LOG_SPAN("from", buf_span(&b)));
    }
}

void web_with_subscription(struct web_job *w, enum store_key key, void (*run)(struct job *job)) {
    w->job = job_new(w->hss, run);
    if (!w->job) {
        web_store_problem(w, ERR_NO_MEMORY);
        return;
    }
    w->job->ctx = w;
    if (key == STORE_IMPU) {
        job_find_public(w->job, web_name(w));
    } else {
        job_find(w->job, key, web_name(w));
    }
}

void web_free(struct hss *h) {
    LIST_EACH(&h->web, w, struct web_job, link) {
        web_job_free(w);
    }
    bulk_sessions_free(h);
}

/* Requests. */

void web_refuse_method(struct web_job *w, const char *allowed) {
    w->allowed = allowed;
    web_problem(w, 405, "that cannot be done here; Allow says what can", NULL, NULL);
}

/* Reads the body: one document, or one per line, as an array. False: it was answered. */
static bool read_body(struct web_job *w, const struct web_request *request) {
    bool lines = span_starts_with_nocase(request->content_type, SPAN("application/x-ndjson"));
    struct subscription_fault fault;
    json_error_t error = {.line = 0};
    struct span rest = request->body;
    char member[64];
    size_t n = 0;

    if (!lines) {
        w->body = json_read(rest, JSON_BODY_VALUES_MAX, &error);
        if (w->body) {
            return true;
        }
        snprintf(member, sizeof member, " ");
    } else {
        w->body = json_array();
        for (; rest.p; n++) {
            struct span line = span_trim(span_cut(&rest, '\n'));
            json_t *one;

            if (!line.n) {
                continue;
            }
            one = json_read(line, JSON_LINE_VALUES_MAX, &error);
            if (!one || json_array_append_new(w->body, one) != 0) {
                break;
            }
        }
        if (!rest.p && w->body) {
            return true;
        }
        error.line += (int)n;
    }
    char text[256];
    struct span what = span_from_cstr(error.text); /* what stands near the fault may be a key */
    what = span_slice(what, 0, span_find(what, SPAN(" near ")));
    snprintf(text, sizeof text, "line %d, column %d: %.*s", error.line, error.column,
             SPAN_ARG(what));
    (void)subscription_faulty(&fault, "json", "", 0, text);
    web_problem(w, 400, text, &fault, NULL);
    return false;
}

bool web_number(struct span query, const char *name, uint64_t max, uint64_t *out) {
    char room[32];
    struct buf b = buf_init(room, sizeof room);

    return !web_query(query, span_from_cstr(name), &b) || span_to_u64(buf_span(&b), max, out);
}

/* ?credentials=digest: HA1s belong to the answer; =keys: keys of cards, too, if the configuration
 * lets them leave. False: it was answered. */
static bool read_secrets(struct web_job *w, struct span query) {
    char room[16];
    struct buf b = buf_init(room, sizeof room);

    w->secrets = WEB_SECRETS_NONE;
    if (!web_query(query, SPAN("credentials"), &b)) {
        return true;
    }
    if (span_eq(buf_span(&b), SPAN("digest"))) {
        w->secrets = WEB_SECRETS_DIGEST;
    } else if (!span_eq(buf_span(&b), SPAN("keys"))) {
        web_problem(w, 400, "credentials is digest or keys", NULL, NULL);
        return false;
    } else if (!w->hss->config.keys_may_leave) {
        web_problem(w, 403,
                    "this HSS keeps its keys: only with keys-may-leave: yes in its configuration "
                    "does it give them away",
                    NULL, NULL);
        return false;
    } else {
        w->secrets = WEB_SECRETS_KEYS;
        LOG(&w->hss->env->log, LOG_WARNING, "keys are given away, as the configuration permits");
    }
    return true;
}

static bool wants_lines(struct span query) {
    char room[16];
    struct buf b = buf_init(room, sizeof room);

    return web_query(query, SPAN("format"), &b) && span_eq(buf_span(&b), SPAN("lines"));
}

static void list_or_find(struct web_job *w, struct span query) {
    struct buf b = buf_init(w->name, sizeof w->name);
    uint64_t limit = LIMIT_DEFAULT;

    if (web_query(query, SPAN("identity"), &b)) {
        w->name_n = b.n;
        for (size_t i = 0; i < b.n; i++) { /* no identity has a space: it was an unescaped plus */
            if (w->name[i] == ' ') {
                w->name[i] = '+';
            }
        }
        web_find(w);
    } else if (wants_lines(query)) {
        limit = LINES_MAX;
        if (!web_number(query, "limit", LINES_MAX, &limit) || limit == 0 ||
            !web_number(query, "after", UINT64_MAX, &w->after)) {
            web_problem(w, 400, "limit is a number from 1 to 10000, after one of a Muster-Next",
                        NULL, NULL);
            return;
        }
        w->limit = limit;
        web_export(w);
    } else if (!web_number(query, "limit", LIMIT_MAX, &limit) || limit == 0 ||
               !web_number(query, "after", UINT64_MAX, &w->after)) {
        web_problem(w, 400, "limit is a number from 1 to 1000, after one that `next` gave", NULL,
                    NULL);
    } else {
        w->limit = limit;
        web_list(w);
    }
}

enum method { GET, PUT, DELETE, POST, OTHER };

static enum method method_of(struct span name) {
    static const struct span names[] = {SPAN_INIT("GET"), SPAN_INIT("PUT"), SPAN_INIT("DELETE"),
                                        SPAN_INIT("POST")};
    unsigned m = GET;

    while (m < OTHER && !span_eq(names[m], name)) {
        m++;
    }
    return m;
}

static void serve_all(struct web_job *w, const struct web_request *request, bool profiles) {
    if (!read_secrets(w, request->query)) {
        return;
    }
    switch (method_of(request->method)) {
    case GET:
        if (profiles) {
            web_profile_list(w);
        } else {
            list_or_find(w, request->query);
        }
        break;
    case POST:
        if (profiles) {
            web_refuse_method(w, "GET");
        } else if (read_body(w, request)) {
            web_import(w, false);
        }
        break;
    default:
        web_refuse_method(w, profiles ? "GET" : "GET, POST");
    }
}

static void serve_one(struct web_job *w, const struct web_request *request, bool profiles) {
    if (!read_secrets(w, request->query)) {
        return;
    }
    switch (method_of(request->method)) {
    case GET:
        (profiles ? web_profile_get : web_get)(w);
        break;
    case PUT:
        if (read_body(w, request)) {
            (profiles ? web_profile_put : web_put)(w);
        }
        break;
    case DELETE:
        (profiles ? web_profile_delete : web_delete)(w);
        break;
    case POST:
        if (!profiles && span_eq(web_name(w), SPAN("sim"))) {
            if (read_body(w, request)) {
                web_import(w, true);
            }
            break;
        }
        web_refuse_method(w, "GET, PUT, DELETE");
        break;
    default:
        web_refuse_method(w, "GET, PUT, DELETE");
    }
}

static bool take_condition(struct span value, char out[WEB_CONDITION_MAX]) {
    return span_to_cstr(value, out, WEB_CONDITION_MAX);
}

static void serve_changes(struct web_job *w, const struct web_request *request, struct span *path) {
    struct span more;

    if (web_path_segment(path, &more)) {
        web_problem(w, 404, "there is /changes", NULL, NULL);
    } else if (method_of(request->method) != GET) {
        web_refuse_method(w, "GET");
    } else {
        web_changes(w, request->query);
    }
}

/* /shared-ifc-sets, and a set of the name. */
static void serve_shared_sets(struct web_job *w, const struct web_request *request) {
    enum method method = method_of(request->method);

    if (method == GET) {
        (w->name_n ? web_shared_set_get : web_shared_set_list)(w);
    } else if (w->name_n && method == DELETE) {
        web_shared_set_delete(w);
    } else if (!w->name_n || method != PUT) {
        web_refuse_method(w, w->name_n ? "GET, PUT, DELETE" : "GET");
    } else if (read_body(w, request)) {
        web_shared_set_put(w);
    }
}

/* /user-data/IDENTITY?shared-ifc-sets=no */
static void serve_user_data(struct web_job *w, const struct web_request *request) {
    char room[8];
    struct buf b = buf_init(room, sizeof room);
    bool no =
        web_query(request->query, SPAN("shared-ifc-sets"), &b) && span_eq(buf_span(&b), SPAN("no"));

    if (method_of(request->method) != GET) {
        web_refuse_method(w, "GET");
    } else if (!w->name_n) {
        web_problem(w, 404, "name the public identity: /user-data/IDENTITY", NULL, NULL);
    } else {
        web_user_data(w, !no);
    }
}

/* Collections whose members are looked at alone; path is what follows. False: it is none. */
static bool serve_simple(struct web_job *w, const struct web_request *request,
                         struct span collection, struct span path) {
    bool sets = span_eq(collection, SPAN("shared-ifc-sets"));
    struct buf b = buf_init(w->name, sizeof w->name);
    struct span name, more;

    if (!sets && !span_eq(collection, SPAN("user-data"))) {
        return false;
    }
    if (web_path_segment(&path, &name) && name.n &&
        (web_path_segment(&path, &more) || !web_decode(name, false, &b))) {
        web_problem(w, 404, "a name is one segment of the path", NULL, NULL);
        return true;
    }
    w->name_n = b.n;
    (sets ? serve_shared_sets : serve_user_data)(w, request);
    return true;
}

static void serve_deregister(struct web_job *w, const struct web_request *request) {
    if (method_of(request->method) != POST) {
        web_refuse_method(w, "POST");
    } else if (read_body(w, request)) {
        web_deregister(w);
    }
}

static void dispatch(struct web_job *w, const struct web_request *request) {
    struct span path = request->path, collection, name, more;
    struct buf b = buf_init(w->name, sizeof w->name);

    if (w->hss->stopping || !w->hss->profiles_read) {
        web_problem(w, 503, "the HSS starts or stops", NULL, NULL);
        return;
    }
    if (!take_condition(request->if_match, w->if_match) ||
        !take_condition(request->if_none_match, w->if_none_match)) {
        web_problem(w, 400, "a condition is longer than 255 bytes", NULL, NULL);
        return;
    }
    if (request->body.n > w->hss->config.web_body_max) {
        web_problem(w, 413, "the body is larger than the configured limit", NULL, NULL);
        return;
    }
    bool found = web_path_segment(&path, &collection);
    if (found && serve_simple(w, request, collection, path)) {
        return;
    }
    bool profiles = found && span_eq(collection, SPAN("profiles"));
    bool imports = found && span_eq(collection, SPAN("imports"));
    bool changes = found && span_eq(collection, SPAN("changes"));
    if (!found ||
        (!profiles && !imports && !changes && !span_eq(collection, SPAN("subscriptions")))) {
        web_problem(w, 404,
                    "there are /subscriptions, /profiles, /shared-ifc-sets, /user-data, /imports "
                    "and /changes; /openapi.json describes all of the interface",
                    NULL, NULL);
        return;
    }
    if (changes) {
        serve_changes(w, request, &path);
        return;
    }
    if (!web_path_segment(&path, &name) || !name.n) {
        if (imports) {
            web_problem(w, 404, "name the import: /imports/NAME", NULL, NULL);
        } else {
            serve_all(w, request, profiles);
        }
        return;
    }
    bool deep = web_path_segment(&path, &more);
    bool ends = deep && !profiles && !imports && span_eq(more, SPAN("deregister"));
    if ((deep && !ends) || web_path_segment(&path, &more) || !web_decode(name, false, &b)) {
        web_problem(w, 404, "a name is one segment of the path", NULL, NULL);
    } else {
        w->name_n = b.n;
        if (ends) {
            serve_deregister(w, request);
        } else if (imports) {
            web_bulk(w, request);
        } else {
            serve_one(w, request, profiles);
        }
    }
}

enum web_right hss_web_needs(const struct web_request *request) {
    char room[16];
    struct buf b = buf_init(room, sizeof room);

    if (!span_eq(request->method, SPAN("GET"))) {
        return WEB_WRITE;
    }
    /* As read_secrets reads it: what that does not find is not given either. */
    return web_query(request->query, SPAN("credentials"), &b) ? WEB_ADMIN : WEB_READ;
}

static void no_pause(struct timer *t) {
    (void)t; /* replaced by whoever walks */
}

void hss_web(struct hss *h, const struct web_request *request, web_answer_fn *answer,
             void *answer_ctx) {
    struct web_job *w = calloc(1, sizeof *w);

    if (!w) {
        answer(answer_ctx, &(struct web_answer){.status = 503});
        return;
    }
    w->hss = h;
    w->answer = answer;
    w->answer_ctx = answer_ctx;
    w->remote = request->remote;
    snprintf(w->who, sizeof w->who, "%.*s", SPAN_ARG(request->who));
    w->arena = arena_init(h->env->chunks);
    timer_init(&w->pause, no_pause);
    post_init(&w->turn, NULL);
    list_insert(&h->web, &w->link);
    dispatch(w, request);
}

void hss_web_handle(void *hss, const struct web_request *request, web_answer_fn *answer,
                    void *answer_ctx) {
    hss_web(hss, request, answer, answer_ctx);
}
