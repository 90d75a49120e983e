#include "app/subscribers.h"

#include "rt/loop.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <yaml.h>

enum { DEPTH_MAX = 24, ANSWER_MAX_S = 60 };

/* Reading. */

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
    return settings_open(use_builtin ? name : path, use_builtin ? &builtin : NULL, out);
}

/* Members that are text even if all their characters are digits. */
static bool is_text(struct span name) {
    static const char *const texts[] = {"imsi", "msisdn",  "k",        "op",   "opc", "amf",
                                        "name", "profile", "identity", "impi", "impu"};
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

static json_t *to_json(struct settings *s, setting_value value, struct span name, unsigned depth);

static json_t *scalar_to_json(struct settings *s, setting_value value, struct span name) {
    struct span text = span_of(value->data.scalar.value, value->data.scalar.length);
    bool plain = value->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    json_t *json = plain && !is_text(name) ? plain_to_json(text) : json_stringn(text.p, text.n);
    if (!json) {
        settings_fault(s, settings_line(value), "not a text in UTF-8");
    }
    return json;
}

struct conversion {
    json_t *into;
    struct span name; /* of the list, for its items */
    unsigned depth;
};

static void add_item(struct settings *s, setting_value value, void *object) {
    struct conversion *c = object;
    json_t *item = to_json(s, value, c->name, c->depth);
    if (item) {
        json_array_append_new(c->into, item);
    }
}

static void add_entry(struct settings *s, const struct setting_entry *e, void *object) {
    struct conversion *c = object;
    json_t *value = to_json(s, e->value, span_from_cstr(e->name), c->depth);
    if (value && json_object_set_new(c->into, e->name, value) != 0) {
        settings_fault(s, e->line, "the name is not a text in UTF-8");
    }
}

static json_t *to_json(struct settings *s, setting_value value, struct span name, unsigned depth) {
    if (depth > DEPTH_MAX) {
        settings_fault(s, settings_line(value), "nested more than %d deep", DEPTH_MAX);
        return NULL;
    }
    struct conversion c = {NULL, name, depth + 1};
    if (setting_is_sequence(value)) {
        c.into = json_array();
        settings_each_item(s, value, "list", add_item, &c);
    } else if (setting_is_mapping(value)) {
        c.into = json_object();
        settings_each_entry(s, value, "group", add_entry, &c);
    } else if (value) {
        c.into = scalar_to_json(s, value, name);
    }
    return c.into;
}

json_t *subscribers_json(struct settings *s) {
    setting_value root = settings_root(s);
    if (!settings_faults(s) && !setting_is_mapping(root)) {
        settings_fault(s, settings_line(root),
                       "a file of subscribers has \"subscriptions:\" and perhaps \"profiles:\"");
    }
    json_t *json = settings_faults(s) ? NULL : to_json(s, root, SPAN_NONE, 0);
    if (settings_faults(s)) {
        json_decref(json);
        return NULL;
    }
    return json;
}
