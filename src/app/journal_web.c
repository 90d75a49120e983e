#include "app/journal_web.h"

#include "app/who.h"
#include "base/htab.h"

#include <jansson.h>
#include <stdlib.h>

bool journal_is_about(const struct journal_entry *e, struct span identity) {
    return who_fits(identity, span_from_cstr(e->impi)) ||
           who_fits(identity, span_from_cstr(e->impu));
}

/* A request with a step about the identity. A table, since somebody who is called a thousand times
 * a second by a stranger must not cost a look at each of them for each step. */
struct call {
    struct htab_node node;
    char id[JOURNAL_CALL_ID];
};

struct search {
    struct span identity;
    json_t *found;
    struct htab calls;
    bool failed;
};

static bool has_call(const struct search *s, const struct journal_entry *e) {
    struct htab_node *n = NULL;
    if (e->call_id[0] && s->calls.count) {
        n = htab_first(&s->calls, hash_bytes(span_from_cstr(e->call_id)));
    }
    while (n && strcmp(CONTAINER_OF(n, struct call, node)->id, e->call_id) != 0) {
        n = htab_next(n);
    }
    return n;
}

static void gather_calls(void *ctx, const struct journal_entry *e) {
    struct search *s = ctx;
    if (!*e->call_id || !journal_is_about(e, s->identity) || has_call(s, e)) {
        return;
    }
    struct call *c = calloc(1, sizeof *c);
    if (!c || htab_insert(&s->calls, &c->node, hash_bytes(span_from_cstr(e->call_id))) != OK) {
        free(c);
        s->failed = true;
        return;
    }
    memcpy(c->id, e->call_id, sizeof c->id);
}

static void drop_call(struct htab_node *node, void *ctx) {
    htab_remove(ctx, node);
    free(CONTAINER_OF(node, struct call, node));
}

static json_t *text(const char *s) {
    json_t *j = json_string(s);
    return j ? j : json_string("(not UTF-8)");
}

static void add_entry(void *ctx, const struct journal_entry *e) {
    struct search *s = ctx;
    if (s->failed || (!journal_is_about(e, s->identity) && !has_call(s, e))) {
        return;
    }
    if (json_array_size(s->found) == JOURNAL_ANSWER_MAX) {
        json_array_remove(s->found, 0);
    }
    json_t *j = json_pack(
        "{s:I,s:I,s:o,s:s,s:s,s:i,s:o,s:o,s:o,s:o}", "wall_us", (json_int_t)e->wall_us, "at_us",
        (json_int_t)e->at_us, "node", text(e->node), "step", journal_step_name(e->step), "reason",
        reason_name(e->reason), "status", (int)e->status, "impi", text(e->impi), "impu",
        text(e->impu), "call_id", text(e->call_id), "detail", text(e->detail));
    s->failed |= json_array_append_new(s->found, j) != 0;
}

void journal_web_handle(void *ctx, const struct web_request *request, web_answer_fn *answer,
                        void *answer_ctx) {
    char identity[JOURNAL_IDENTITY + 64];
    struct buf b = buf_init(identity, sizeof identity);
    if (!span_eq(request->method, SPAN("GET"))) {
        web_refuse_method_of(answer, answer_ctx, "GET");
        return;
    }
    if (!web_query(request->query, SPAN("identity"), &b) || b.overflow || b.n == 0) {
        web_refuse(answer, answer_ctx, 400, "Say whose steps: /journal?identity=ID");
        return;
    }
    struct search s = {.identity = buf_span(&b), .found = json_array()};
    s.failed = !s.found;
    journal_each(ctx, gather_calls, &s);
    journal_each(ctx, add_entry, &s);
    htab_each(&s.calls, drop_call, &s.calls);
    htab_free(&s.calls);
    char *body = s.failed ? NULL : json_dumps(s.found, JSON_COMPACT);
    json_decref(s.found);
    if (!body) {
        web_refuse(answer, answer_ctx, 500, "Out of memory");
        return;
    }
    const struct web_answer a = {
        .status = 200, .content_type = SPAN_INIT("application/json"), .body = span_from_cstr(body)};
    answer(answer_ctx, &a);
    free(body);
}
