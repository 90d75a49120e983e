#include "app/trace_web.h"

#include "base/list.h"
#include "crypto/base64.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    WAIT_MAX_S = 30,
    WAITING_MAX = 16,      /* requests that wait; more are answered at once */
    GATHER_US = 20 * 1000, /* what comes so close together is one answer */
    TEXT_MAX = 96 << 10,   /* base64 of the largest message */
    PAGE_MAX = 512 << 10,  /* of an answer; a slow reader holds no more than about this */
};

static const char *const protocol_names[TRACE_PROTOCOLS] = {"sip", "diameter", "dns"};

struct trace_web {
    struct env *env;
    struct trace *trace;
    uint64_t recorded; /* messages since the start: the number of the newest */
    struct list waiting;
    size_t n_waiting;
};

struct waiter {
    struct list entry;
    struct trace_web *web;
    uint64_t after;
    struct timer timer;
    bool gathering;
    web_answer_fn *answer;
    void *answer_ctx;
};

/* Writing. */

static void put_json_text(FILE *f, struct span s) {
    fputc('"', f);
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c == '"' || c == '\\') {
            fprintf(f, "\\%c", c);
        } else if (c < 0x20 || c >= 0x7f) {
            fprintf(f, "\\u%04x", c);
        } else {
            fputc(c, f);
        }
    }
    fputc('"', f);
}

static void put_addr(FILE *f, const struct addr *a) {
    char text[64];
    struct buf b = buf_init(text, sizeof text);
    if (a->family) {
        addr_put(&b, a);
    }
    put_json_text(f, buf_span(&b));
}

static void put_message(FILE *f, const struct trace_message *m) {
    char base64[TEXT_MAX];
    struct buf b = buf_init(base64, sizeof base64);
    base64_put(&b, m->bytes.p, m->bytes.n);
    fprintf(f, "{\"at_us\":%llu,\"wall_us\":%lld,\"protocol\":\"%s\",\"stream\":%s,\"from\":",
            (unsigned long long)m->at_us, (long long)m->wall_us, protocol_names[m->protocol],
            m->stream ? "true" : "false");
    put_addr(f, &m->from);
    fputs(",\"to\":", f);
    put_addr(f, &m->to);
    fputs(",\"from_name\":", f);
    put_json_text(f, m->from_name);
    fputs(",\"to_name\":", f);
    put_json_text(f, m->to_name);
    fprintf(f, ",\"bytes\":\"%.*s\"}\n", SPAN_ARG(b.overflow ? SPAN_NONE : buf_span(&b)));
}

struct writing {
    FILE *f;
    uint64_t number, after;
    uint64_t next; /* the last that was written */
    bool full;
};

static void count(void *ctx, const struct trace_message *m) {
    (void)m;
    ++*(uint64_t *)ctx;
}

static void write_message(void *ctx, const struct trace_message *m) {
    struct writing *w = ctx;
    if (++w->number > w->after && !w->full) {
        put_message(w->f, m);
        w->next = w->number;
        w->full = ftell(w->f) >= PAGE_MAX;
    }
}

static void send_messages(struct trace_web *w, uint64_t after, web_answer_fn *answer,
                          void *answer_ctx) {
    char *text = NULL;
    size_t n = 0;
    uint64_t kept = 0;
    FILE *f = open_memstream(&text, &n);
    if (!f) {
        web_refuse(answer, answer_ctx, 503, "out of memory");
        return;
    }
    trace_each(w->trace, count, &kept);
    struct writing writing = {.f = f, .number = w->recorded - kept, .after = after};
    trace_each(w->trace, write_message, &writing);
    fprintf(f, "{\"next\":%llu}\n",
            (unsigned long long)(writing.full ? writing.next : w->recorded));
    if (fclose(f) != 0 || !text) {
        web_refuse(answer, answer_ctx, 503, "out of memory");
    } else {
        struct web_answer a = {
            .status = 200, .content_type = SPAN("application/x-ndjson"), .body = span_of(text, n)};
        answer(answer_ctx, &a);
    }
    free(text);
}

/* Waiting. */

static void forget(struct waiter *x) {
    timer_stop(&x->timer);
    list_remove(&x->entry);
    x->web->n_waiting--;
    free(x);
}

static void waiter_fire(struct timer *t) {
    struct waiter *x = CONTAINER_OF(t, struct waiter, timer);
    struct trace_web *w = x->web;
    uint64_t after = x->after;
    web_answer_fn *answer = x->answer;
    void *answer_ctx = x->answer_ctx;
    forget(x);
    send_messages(w, after, answer, answer_ctx);
}

static void on_message(void *ctx, const struct trace_message *m) {
    struct trace_web *w = ctx;
    (void)m;
    w->recorded++;
    LIST_EACH(&w->waiting, x, struct waiter, entry) {
        if (!x->gathering) {
            x->gathering = true;
            timer_start(w->env, &x->timer, GATHER_US);
        }
    }
}

static bool wait_for_message(struct trace_web *w, uint64_t after, uint64_t wait_s,
                             web_answer_fn *answer, void *answer_ctx) {
    if (!wait_s || w->recorded > after || w->n_waiting >= WAITING_MAX) {
        return false;
    }
    struct waiter *x = calloc(1, sizeof *x);
    if (!x) {
        return false;
    }
    *x = (struct waiter){.web = w, .after = after, .answer = answer, .answer_ctx = answer_ctx};
    timer_init(&x->timer, waiter_fire);
    timer_start(w->env, &x->timer, wait_s * SEC_IN_US);
    list_insert(&w->waiting, &x->entry);
    w->n_waiting++;
    return true;
}

/* A number of the query; absent: 0. False if it is no number. */
static bool query_number(struct span query, struct span name, uint64_t max, uint64_t *out) {
    char text[32];
    struct buf b = buf_init(text, sizeof text);
    *out = 0;
    return !web_query(query, name, &b) || span_to_u64(buf_span(&b), max, out);
}

void trace_web_handle(void *ctx, const struct web_request *request, web_answer_fn *answer,
                      void *answer_ctx) {
    struct trace_web *w = ctx;
    uint64_t after, wait_s;
    if (!span_eq(request->method, SPAN("GET"))) {
        web_refuse_method_of(answer, answer_ctx, "GET");
    } else if (!span_eq(request->path, SPAN("/trace"))) {
        web_refuse(answer, answer_ctx, 404, "nothing is served under this path");
    } else if (!query_number(request->query, SPAN("after"), UINT64_MAX, &after) ||
               !query_number(request->query, SPAN("wait"), WAIT_MAX_S, &wait_s)) {
        web_refuse(answer, answer_ctx, 400, "after takes a number, wait seconds up to 30");
    } else if (!trace_is_on(w->trace)) {
        web_refuse(answer, answer_ctx, 409,
                   "no trace is kept: set trace in the configuration, as in \"trace: 16 MiB\"");
    } else if (!wait_for_message(w, after, wait_s, answer, answer_ctx)) {
        send_messages(w, after, answer, answer_ctx);
    }
}

enum error trace_web_new(struct env *env, struct trace *trace, struct trace_web **out) {
    struct trace_web *w = calloc(1, sizeof *w);
    if (!w) {
        return ERR_NO_MEMORY;
    }
    w->env = env;
    w->trace = trace;
    list_init(&w->waiting);
    trace_each(trace, count, &w->recorded);
    trace_listen(trace, on_message, w);
    *out = w;
    return OK;
}

void trace_web_free(struct trace_web *w) {
    if (!w) {
        return;
    }
    trace_listen(w->trace, NULL, NULL);
    LIST_EACH(&w->waiting, x, struct waiter, entry) {
        forget(x);
    }
    free(w);
}

/* Reading. */

static struct span text_of(const json_t *object, const char *name) {
    const json_t *value = json_object_get(object, name);
    return span_of(json_string_value(value), json_string_length(value));
}

static bool read_addr(const json_t *object, const char *name, struct addr *out) {
    struct span text = text_of(object, name);
    *out = (struct addr){0};
    return span_is_empty(text) || addr_parse(text, out);
}

static bool read_protocol(const json_t *object, enum trace_protocol *out) {
    struct span name = text_of(object, "protocol");
    for (int i = 0; i < TRACE_PROTOCOLS; i++) {
        if (span_eq(name, span_from_cstr(protocol_names[i]))) {
            *out = (enum trace_protocol)i;
            return true;
        }
    }
    return false;
}

static enum error read_message(const json_t *object, uint8_t *bytes,
                               enum error (*each)(void *ctx, const struct trace_message *m),
                               void *ctx) {
    size_t n;
    struct trace_message m = {
        .at_us = (uint64_t)json_integer_value(json_object_get(object, "at_us")),
        .wall_us = json_integer_value(json_object_get(object, "wall_us")),
        .stream = json_is_true(json_object_get(object, "stream")),
        .from_name = text_of(object, "from_name"),
        .to_name = text_of(object, "to_name"),
    };
    if (!read_protocol(object, &m.protocol) || !read_addr(object, "from", &m.from) ||
        !read_addr(object, "to", &m.to) ||
        base64_decode(text_of(object, "bytes"), bytes, TEXT_MAX, &n)) {
        return ERR_MALFORMED;
    }
    m.bytes = span_of(bytes, n);
    return each(ctx, &m);
}

enum error trace_web_read(struct span body, uint64_t *next,
                          enum error (*each)(void *ctx, const struct trace_message *m), void *ctx) {
    uint8_t *bytes = malloc(TEXT_MAX);
    enum error e = bytes ? OK : ERR_NO_MEMORY;
    bool complete = false;
    while (body.n && !e) {
        struct span line = span_cut(&body, '\n');
        json_t *object = json_loadb(line.p, line.n, JSON_REJECT_DUPLICATES, NULL);
        const json_t *last = json_object_get(object, "next");
        if (!object) {
            e = ERR_MALFORMED;
        } else if (last) {
            *next = (uint64_t)json_integer_value(last);
            complete = true;
        } else {
            e = read_message(object, bytes, each, ctx);
        }
        json_decref(object);
    }
    free(bytes);
    return e || complete ? e : ERR_MALFORMED;
}
