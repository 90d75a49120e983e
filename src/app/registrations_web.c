#include "app/registrations_web.h"

#include "app/network.h"
#include "codec/sip/uri.h"
#include "model/registration/request.h"
#include "node/scscf/scscf.h"

#include <jansson.h>
#include <stdlib.h>

enum { ID_MAX = 512 };

/* What is asked: whose, and what. */
struct question {
    char id_text[ID_MAX], canonical_text[ID_MAX];
    struct span id; /* canonical, if it is a public identity */
    struct span action;
};

static bool read_question(const struct web_request *request, struct question *q) {
    struct span path = request->path, segment;
    struct buf id = buf_init(q->id_text, sizeof q->id_text);
    struct buf canonical = buf_init(q->canonical_text, sizeof q->canonical_text);
    struct sip_uri uri;
    q->action = SPAN_NONE;
    if (!web_path_segment(&path, &segment) || !web_path_segment(&path, &segment) ||
        !web_decode(segment, false, &id) || id.n == 0) {
        return false;
    }
    q->id = buf_span(&id);
    if (sip_uri_parse(q->id, &uri) == OK && registration_put_impu(&canonical, &uri) == OK &&
        !canonical.overflow) {
        q->id = buf_span(&canonical);
    }
    if (path.n && !web_path_segment(&path, &q->action)) {
        return false;
    }
    return !web_path_segment(&path, &segment);
}

static void answer_json(json_t *value, web_answer_fn *answer, void *answer_ctx) {
    char *body = value ? json_dumps(value, JSON_COMPACT) : NULL;
    json_decref(value);
    if (!body) {
        web_refuse(answer, answer_ctx, 500, "Out of memory, or an identity is not UTF-8");
        return;
    }
    const struct web_answer a = {
        .status = 200, .content_type = SPAN_INIT("application/json"), .body = span_from_cstr(body)};
    answer(answer_ctx, &a);
    free(body);
}

/* Each S-CSCF of this process. */
static bool each_scscf(struct network *n, void (*each)(void *ctx, struct scscf *s), void *ctx) {
    const struct config *config = network_config(n);
    bool any = false;
    for (size_t i = 0; i < config->n_nodes; i++) {
        struct scscf *s = network_scscf(n, span_from_cstr(config->nodes[i].name));
        if (s) {
            any = true;
            each(ctx, s);
        }
    }
    return any;
}

/* GET */

struct listing {
    const struct question *question;
    struct env *env;
    json_t *list;
    bool failed;
};

static json_t *text(struct span s) {
    json_t *j = json_stringn(s.p ? s.p : "", s.n);
    return j ? j : json_string("(not UTF-8)");
}

static void add(void *ctx, const struct scscf_binding_view *v) {
    struct listing *l = ctx;
    uint64_t now_us = env_now_us(l->env);
    uint64_t left_us = v->expires_at_us > now_us ? v->expires_at_us - now_us : 0;
    json_t *impus = json_array();
    for (size_t i = 0; i < v->n_impus && impus; i++) {
        l->failed |= json_array_append_new(impus, text(v->impus[i])) != 0;
    }
    json_t *j =
        json_pack("{s:o,s:o,s:o,s:o,s:I,s:o,s:I,s:o}", "impi", text(v->impi), "impus", impus,
                  "contact", text(v->contact), "path", text(v->path), "expires_s",
                  (json_int_t)(left_us / SEC_IN_US), "event", text(v->event), "subscriptions",
                  (json_int_t)v->n_subscriptions, "scscf", json_string(l->env->name));
    l->failed |= json_array_append_new(l->list, j) != 0;
}

static void list_of(void *ctx, struct scscf *s) {
    struct listing *l = ctx;
    l->env = scscf_env(s);
    scscf_each_binding_of(s, l->question->id, add, l);
}

static void list(struct network *n, const struct question *q, web_answer_fn *answer,
                 void *answer_ctx) {
    struct listing l = {.question = q, .list = json_array()};
    if (!each_scscf(n, list_of, &l)) {
        json_decref(l.list);
        web_refuse(answer, answer_ctx, 503, "No S-CSCF runs in this process");
        return;
    }
    if (l.failed) {
        json_decref(l.list);
        l.list = NULL;
    }
    answer_json(l.list, answer, answer_ctx);
}

/* POST */

struct wish {
    const struct question *question;
    uint32_t seconds;
    size_t contacts;
};

static void reauthenticate_at(void *ctx, struct scscf *s) {
    struct wish *w = ctx;
    w->contacts += scscf_reauthenticate(s, w->question->id, w->seconds);
}

/* {"seconds": N}, or nothing. */
static bool read_seconds(struct span body, uint32_t *out) {
    json_error_t error;
    json_int_t seconds = REAUTHENTICATE_S;
    if (!body.n) {
        *out = REAUTHENTICATE_S;
        return true;
    }
    json_t *j = json_loadb(body.p, body.n, JSON_REJECT_DUPLICATES, &error);
    bool good = json_unpack_ex(j, &error, JSON_STRICT, "{s?I}", "seconds", &seconds) == 0 &&
                seconds >= 1 && seconds <= REAUTHENTICATE_MAX_S;
    json_decref(j);
    *out = good ? (uint32_t)seconds : 0;
    return good;
}

static void reauthenticate(struct network *n, const struct question *q, struct span body,
                           web_answer_fn *answer, void *answer_ctx) {
    struct wish w = {.question = q};
    if (!read_seconds(body, &w.seconds)) {
        web_refuse(answer, answer_ctx, 400,
                   "The body is {\"seconds\": N}, 1 to 600000: how long the terminals have");
    } else if (!each_scscf(n, reauthenticate_at, &w)) {
        web_refuse(answer, answer_ctx, 503, "No S-CSCF runs in this process");
    } else if (!w.contacts) {
        web_refuse(answer, answer_ctx, 404, "No contact of this identity is registered here");
    } else {
        answer_json(json_pack("{s:I,s:I}", "contacts", (json_int_t)w.contacts, "seconds",
                              (json_int_t)w.seconds),
                    answer, answer_ctx);
    }
}

void registrations_web_handle(void *network, const struct web_request *request,
                              web_answer_fn *answer, void *answer_ctx) {
    struct question q;
    bool get = span_eq(request->method, SPAN("GET"));
    bool post = span_eq(request->method, SPAN("POST"));
    if (!read_question(request, &q)) {
        web_refuse(answer, answer_ctx, 400, "Say whose: /registrations/ID");
    } else if (!q.action.n && get) {
        list(network, &q, answer, answer_ctx);
    } else if (!q.action.n) {
        web_refuse_method_of(answer, answer_ctx, "GET");
    } else if (!span_eq(q.action, SPAN("reauthenticate"))) {
        web_refuse(answer, answer_ctx, 404, "There is reauthenticate, and nothing else");
    } else if (!post) {
        web_refuse_method_of(answer, answer_ctx, "POST");
    } else {
        reauthenticate(network, &q, request->body, answer, answer_ctx);
    }
}
