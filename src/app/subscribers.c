#include "app/subscribers.h"

#include "rt/loop.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <yaml.h>

enum { DEPTH_MAX = 24, ANSWER_MAX_S = 120 };

/* Reading. */

/* JSON objects, one a line, become the items of a YAML list, in the lines where they stand. */
static bool is_lines(struct span text) {
    text = span_trim(text);
    struct span line = span_cut(&text, '\n');
    json_t *first = json_loadb(line.p, line.n, 0, NULL);
    bool one = json_object_get(first, "imsi") || json_object_get(first, "impis");
    json_decref(first);
    return one;
}

static enum error open_lines(const char *path, struct span text, struct settings **out) {
    size_t lines = 1;
    for (size_t i = 0; i < text.n; i++) {
        lines += text.p[i] == '\n';
    }
    size_t cap = text.n + 3 * lines;
    char *yaml = malloc(cap);
    if (!yaml) {
        return ERR_NO_MEMORY;
    }
    struct buf b = buf_init(yaml, cap);
    while (text.n) {
        struct span line = span_cut(&text, '\n');
        if (span_trim(line).n) {
            buf_cstr(&b, "- ");
        }
        buf_put(&b, line);
        buf_char(&b, '\n');
    }
    struct span content = buf_span(&b);
    enum error e = settings_open(path, &content, out);
    OPENSSL_cleanse(yaml, cap);
    free(yaml);
    return e;
}

static enum error open_file(const char *path, struct settings **out) {
    char *bytes;
    size_t n;
    enum error e = settings_read_file(path, &bytes, &n);
    if (e) {
        return e;
    }
    struct span text = span_of(bytes, n);
    e = is_lines(text) ? open_lines(path, text, out) : settings_open(path, &text, out);
    OPENSSL_cleanse(bytes, n);
    free(bytes);
    return e;
}

enum error subscribers_open(const char *folder, const char *name, struct settings **out) {
    char path[1024];
    bool plain = !strchr(name, '/');
    int n = folder && name[0] != '/' ? snprintf(path, sizeof path, "%s/%s", folder, name)
                                     : snprintf(path, sizeof path, "%s", name);
    struct span builtin = plain ? config_builtin(name) : SPAN_NONE;
    if (n < 0 || (size_t)n >= sizeof path) {
        return ERR_TOO_BIG;
    }
    bool use_builtin = builtin.n && access(path, F_OK) != 0;
    return use_builtin ? settings_open(name, &builtin, out) : open_file(path, out);
}

/* Members that are text even if all their characters are digits. */
static bool is_text(struct span name) {
    static const char *const texts[] = {
        "imsi",     "msisdn", "k",    "op",       "opc",     "amf",        "name",        "profile",
        "identity", "impi",   "impu", "password", "ha1_md5", "ha1_sha256", "digest_realm"};
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        if (span_eq(name, span_from_cstr(texts[i]))) {
            return true;
        }
    }
    return false;
}

static json_t *plain_to_json(struct span text) {
    uint32_t number;
    if (span_eq(text, SPAN("true")) || span_eq(text, SPAN("yes"))) {
        return json_true();
    }
    if (span_eq(text, SPAN("false")) || span_eq(text, SPAN("no"))) {
        return json_false();
    }
    if (span_is_empty(text) || span_eq(text, SPAN("null")) || span_eq(text, SPAN("~"))) {
        return json_null();
    }
    if ((text.n == 1 || text.p[0] != '0') && span_to_u32(text, UINT32_MAX, &number)) {
        return json_integer(number);
    }
    return json_stringn(text.p, text.n);
}

struct conversion {
    json_t *into;
    struct span domain, name; /* the name of the entry whose value this is */
    unsigned depth;
};

static json_t *to_json(struct settings *s, setting_value value, struct conversion above);

/* Text with the home domain in place of "{domain}". */
static json_t *text_to_json(struct span text, struct span domain) {
    static const struct span mark = SPAN_INIT("{domain}");
    size_t at = span_find(text, mark);
    if (at == text.n) {
        return json_stringn(text.p, text.n);
    }
    struct span before = span_slice(text, 0, at), after = span_after(text, at + mark.n);
    return json_sprintf("%.*s%.*s%.*s", SPAN_ARG(before), SPAN_ARG(domain), SPAN_ARG(after));
}

static json_t *scalar_to_json(struct settings *s, setting_value value,
                              const struct conversion *above) {
    struct span text = span_of(value->data.scalar.value, value->data.scalar.length);
    bool plain = value->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    json_t *json = plain && !is_text(above->name) ? plain_to_json(text) : NULL;
    if (!json || json_is_string(json)) {
        json_decref(json);
        json = text_to_json(text, above->domain);
    }
    if (!json) {
        settings_fault(s, settings_line(value), "not a text in UTF-8");
    }
    return json;
}

static void add_item(struct settings *s, setting_value value, void *object) {
    struct conversion *c = object;
    json_t *item = to_json(s, value, *c);
    if (item) {
        json_array_append_new(c->into, item);
    }
}

static void add_entry(struct settings *s, const struct setting_entry *e, void *object) {
    struct conversion *c = object;
    struct conversion named = *c;
    named.name = span_from_cstr(e->name);
    json_t *value = to_json(s, e->value, named);
    if (value && json_object_set_new(c->into, e->name, value) != 0) {
        settings_fault(s, e->line, "the name is not a text in UTF-8");
    }
}

static json_t *to_json(struct settings *s, setting_value value, struct conversion above) {
    struct conversion c = above;
    c.into = NULL;
    if (++c.depth > DEPTH_MAX) {
        settings_fault(s, settings_line(value), "nested more than %d deep", DEPTH_MAX);
    } else if (setting_is_sequence(value)) {
        c.into = json_array();
        settings_each_item(s, value, "list", add_item, &c);
    } else if (setting_is_mapping(value)) {
        c.into = json_object();
        settings_each_entry(s, value, "group", add_entry, &c);
    } else if (value) {
        c.into = scalar_to_json(s, value, &above);
    }
    return c.into;
}

/* A list alone is of SIMs if its first item has an IMSI, else of subscriptions. */
static json_t *wrap_list(json_t *list) {
    bool sims = json_object_get(json_array_get(list, 0), "imsi") != NULL;
    json_t *document = json_object();
    if (json_object_set_new(document, sims ? "sims" : "subscriptions", list) != 0) {
        json_decref(document);
        return NULL;
    }
    return document;
}

static void check_lists(struct settings *s, const json_t *document) {
    bool sims = json_object_get(document, "sims") != NULL;
    if (sims &&
        (json_object_get(document, "subscriptions") || json_object_get(document, "profiles"))) {
        settings_fault(
            s, settings_entry_line(s, settings_root(s), "sims"),
            "sims stand in a file of their own: a file is added as a whole or not at all");
    }
    if (!sims && !json_object_get(document, "subscriptions") &&
        !json_object_get(document, "profiles")) {
        settings_fault(
            s, settings_line(settings_root(s)),
            "no subscribers: a list is expected, or one named subscriptions, profiles or "
            "sims");
    }
}

json_t *subscribers_json(struct settings *s, const char *domain) {
    setting_value root = settings_root(s);
    struct conversion top = {.domain = span_from_cstr(domain)};
    json_t *document = settings_faults(s) ? NULL : to_json(s, root, top);
    if (document && json_is_array(document)) {
        document = wrap_list(document);
    }
    if (!settings_faults(s)) {
        check_lists(s, document);
    }
    if (settings_faults(s)) {
        json_decref(document);
        return NULL;
    }
    return document;
}

/* What the HSS thinks of it. */

/* Appends a pointer into a request as one into the file: what was left out before it counts, too.
 * kept has for each list the original indices; NULL: nothing was left out. */
static void put_pointer(struct buf *b, struct span pointer, const json_t *kept) {
    struct span rest = span_after(pointer, 1), list = span_cut(&rest, '/');
    struct span index = span_cut(&rest, '/');
    char name[32];
    uint64_t n;
    const json_t *original =
        span_to_cstr(list, name, sizeof name) && span_to_u64(index, UINT32_MAX, &n)
            ? json_array_get(json_object_get(kept, name), (size_t)n)
            : NULL;
    if (!original) {
        buf_put(b, pointer);
        return;
    }
    buf_printf(b, "/%s/%llu/%.*s", name, (unsigned long long)json_integer_value(original),
               SPAN_ARG(rest));
}

/* Is it a file of SIMs? */
static bool is_sims(const struct settings *s) {
    setting_value root = settings_root(s);
    setting_value first = settings_at_pointer(s, SPAN("/0"));
    return settings_entry(s, root, "sims") ||
           (setting_is_sequence(root) && first && settings_entry(s, first, "imsi"));
}

static void refused(struct settings *s, struct span reply, const json_t *kept) {
    json_t *problem = json_loadb(reply.p, reply.n, 0, NULL);
    const char *detail = json_string_value(json_object_get(problem, "detail"));
    const char *pointer = json_string_value(json_object_get(problem, "pointer"));
    char bytes[512], in_file[512];
    struct buf whole = buf_init(bytes, sizeof bytes), b = buf_init(in_file, sizeof in_file);
    if (is_sims(s)) { /* the request's body was that list */
        buf_cstr(&whole, "/sims");
    }
    buf_cstr(&whole, pointer ? pointer : "");
    put_pointer(&b, buf_span(&whole), kept);
    struct span at_pointer = b.overflow ? SPAN_NONE : buf_span(&b);
    if (setting_is_sequence(settings_root(s))) { /* the file is that list */
        at_pointer = span_after(at_pointer, 1);
        span_cut(&at_pointer, '/');
    }
    setting_value at = settings_at_pointer(s, at_pointer);
    settings_fault(s, settings_line(at), "%s", detail ? detail : "the HSS refused it");
    json_decref(problem);
}

void subscribers_refused(struct settings *s, struct span reply) {
    refused(s, reply, NULL);
}

json_t *subscribers_request(json_t *document, const char **path) {
    json_t *sims = json_object_get(document, "sims");
    *path = sims ? "/subscriptions/sim" : "/subscriptions";
    return json_incref(sims ? sims : document);
}

/* Adding at start. */

struct ask {
    struct network *network;
    struct loop *loop;
    struct sim *sim; /* instead of a loop */
    bool answered;
    unsigned status;
    uint64_t sim_us; /* the simulation's time */
    char *body;
    size_t body_n;
};

static void on_answer(void *ctx, const struct web_answer *answer) {
    struct ask *a = ctx;
    a->answered = true;
    a->status = answer->status;
    a->body = malloc(answer->body.n + 1);
    a->body_n = a->body ? answer->body.n : 0;
    if (a->body_n) {
        memcpy(a->body, answer->body.p, a->body_n);
    }
}

static bool is_answered(void *ctx) {
    return ((struct ask *)ctx)->answered;
}

/* Asks the HSS in this process and waits. The body of the answer is in a->body until the next. */
static enum error ask(struct ask *a, const char *method, struct span path, struct span body) {
    struct web_request request = {
        .method = span_from_cstr(method),
        .path = path,
        .content_type = body.n ? SPAN("application/json") : SPAN_NONE,
        .body = body,
    };
    free(a->body);
    a->body = NULL;
    a->answered = false;
    network_web(a->network, &request, on_answer, a);
    if (a->sim) {
        for (unsigned i = 0; !a->answered && i < ANSWER_MAX_S * 1000; i++) {
            a->sim_us += MS_IN_US;
            sim_run_until(a->sim, a->sim_us);
        }
        return a->answered ? OK : ERR_TIMEOUT;
    }
    uint64_t deadline_us = loop_now_us(a->loop) + ANSWER_MAX_S * SEC_IN_US;
    return loop_run_until(a->loop, is_answered, a, deadline_us) ? OK : ERR_TIMEOUT;
}

/* Is there something of this name already? */
static bool exists(struct ask *a, const char *collection, const json_t *item, const char *member) {
    char path[1024];
    const char *name = json_string_value(json_object_get(item, member));
    struct buf b = buf_init(path, sizeof path);
    buf_cstr(&b, collection);
    web_encode(&b, span_from_cstr(name));
    return name && !b.overflow && ask(a, "GET", buf_span(&b), SPAN_NONE) == OK && a->status == 200;
}

/* Leaves of a list what is new, and notes the indices that it had. */
static void drop_existing_of(struct ask *a, json_t *document, const char *name,
                             const char *collection, const char *member, json_t *kept) {
    json_t *list = json_object_get(document, name), *rest = json_array(), *indices = json_array();
    size_t i;
    json_t *item;
    json_array_foreach(list, i, item) {
        if (!exists(a, collection, item, member)) {
            json_array_append(rest, item);
            json_array_append_new(indices, json_integer((json_int_t)i));
        }
    }
    if (list) {
        json_object_set(document, name, rest);
    }
    json_object_set_new(kept, name, indices);
    json_decref(rest);
}

static void drop_existing(struct ask *a, json_t *document, json_t *kept) {
    drop_existing_of(a, document, "profiles", "/profiles/", "name", kept);
    drop_existing_of(a, document, "subscriptions", "/subscriptions/", "name", kept);
    drop_existing_of(a, document, "sims", "/subscriptions/", "imsi", kept);
}

static bool has_subscribers(const json_t *document) {
    return json_array_size(json_object_get(document, "subscriptions")) ||
           json_array_size(json_object_get(document, "sims"));
}

static enum error post(struct ask *a, json_t *document) {
    const char *path;
    json_t *request = subscribers_request(document, &path);
    char *body = json_dumps(request, JSON_COMPACT);
    enum error e =
        body ? ask(a, "POST", span_from_cstr(path), span_from_cstr(body)) : ERR_NO_MEMORY;
    json_decref(request);
    free(body);
    return e;
}

static enum error add(struct ask *a, struct settings *s, json_t *document) {
    json_t *kept = json_object();
    enum error e = OK;
    drop_existing(a, document, kept);
    if (has_subscribers(document)) {
        e = post(a, document);
        if (!e && a->status >= 300) {
            refused(s, span_of(a->body, a->body_n), kept);
        }
    }
    json_decref(kept);
    return e;
}

static enum error add_file(struct ask *a, const char *folder, const char *name, const char *domain,
                           char **message) {
    struct settings *s;
    enum error e = subscribers_open(folder, name, &s);
    if (e) {
        return asprintf(message, "%s: cannot be read: %s", name, error_text(e)) < 0 ? ERR_NO_MEMORY
                                                                                    : ERR_INVALID;
    }
    json_t *document = subscribers_json(s, domain);
    e = document ? add(a, s, document) : OK;
    struct span faults = span_trim(settings_fault_text(s));
    if (!e && settings_faults(s)) {
        *message = strndup(faults.p, faults.n);
        e = ERR_INVALID;
    }
    json_decref(document);
    settings_close(s);
    return e;
}

static enum error add_files(struct ask *a, const struct config *config, char **message) {
    char folder[1024];
    enum error e = OK;
    config_folder(config, folder, sizeof folder);
    for (size_t i = 0; i < config->n_subscribers && !e; i++) {
        e = add_file(a, folder, config->subscribers[i], config->domain, message);
    }
    free(a->body);
    return e;
}

enum error subscribers_provision(const struct config *config, struct network *network,
                                 struct loop *loop, char **message) {
    struct ask a = {.network = network, .loop = loop};
    return network_hss(network, SPAN_NONE) ? add_files(&a, config, message) : OK;
}

enum error subscribers_check(const struct config *config, char **message) {
    struct ask a = {.network = NULL};
    char *why = NULL;
    *message = NULL;
    enum error e = sim_new(1, &a.sim);
    if (e) {
        return e;
    }
    const struct network_options options = {.sim = a.sim, .memory_store = true};
    if (network_new(config, &options, &a.network, &why) == OK &&
        network_hss(a.network, SPAN_NONE)) {
        e = add_files(&a, config, message);
    }
    free(why);
    network_free(a.network);
    sim_free(a.sim);
    return e;
}
