/* Reading JSON member by member; the first fault counts, and says where it is. */
#include "base/suggest.h"
#include "node/hss/web.h"

#include <limits.h>
#include <stdio.h>

/* How much is in a document, and how deep, without reading it: brackets and commas outside strings.
 * Broken documents give some number: the parser finds out. */
static void measure(struct span text, size_t *values, size_t *depth, size_t *deepest_at) {
    size_t open = 0;
    bool quoted = false;

    *values = *depth = *deepest_at = 0;
    for (size_t i = 0; i < text.n && *depth <= JSON_DEPTH_MAX; i++) {
        char c = text.p[i];

        if (quoted) {
            i += c == '\\';
            quoted = c != '"';
        } else if (c == '"') {
            quoted = true;
        } else if (c == '[' || c == '{') {
            ++*values;
            if (++open > *depth) {
                *depth = open;
                *deepest_at = i;
            }
        } else if (c == ']' || c == '}') {
            open -= open > 0;
        } else if (c == ',') {
            ++*values;
        }
    }
}

static json_t *too_much(json_error_t *error, size_t at, const char *text) {
    *error = (json_error_t){.line = 1, .column = at < INT_MAX ? (int)at + 1 : INT_MAX};
    snprintf(error->text, sizeof error->text, "%s", text);
    return NULL;
}

json_t *json_read(struct span text, size_t max_values, json_error_t *error) {
    size_t values, depth, at;

    measure(text, &values, &depth, &at);
    if (depth > JSON_DEPTH_MAX) {
        return too_much(error, at, "nested too deeply");
    }
    if (values > max_values) {
        return too_much(error, text.n, "more values than are read at once; use /imports");
    }
    return json_loadb(text.p ? text.p : "", text.n, JSON_REJECT_DUPLICATES, error);
}

void json_fault(struct json_reader *r, const char *rule, const char *path, size_t index,
                const char *text) {
    if (!r->failed) {
        r->failed = true;
        (void)subscription_faulty(&r->fault, rule, path, index, text);
    }
}

/* A fault at a member of an object. */
static void member_fault(struct json_reader *r, const char *rule, const char *path, size_t index,
                         const char *name, const char *text) {
    char full[128];

    snprintf(full, sizeof full, "%s/%s", path, name);
    json_fault(r, rule, full, index, text);
}

/* Names it, and the one that may be meant. */
static void unknown_member(struct json_reader *r, const char *path, size_t index, const char *name,
                           const char *const *names, size_t n) {
    char safe[40], shown[100], text[200];
    const char *meant = suggest(name, names, n);
    struct buf b = buf_init(safe, sizeof safe - 1), s = buf_init(shown, sizeof shown - 1);

    buf_escaped(&b, span_slice(span_from_cstr(name), 0, 9));
    safe[b.n] = '\0';
    buf_escaped(&s, span_slice(span_from_cstr(name), 0, 24));
    shown[s.n] = '\0';
    snprintf(text, sizeof text, "there is no member of the name %s%s%s%s", shown,
             meant ? "; did you mean " : "", meant ? meant : "", meant ? "?" : "");
    member_fault(r, "member-unknown", path, index, safe, text);
}

void json_known(struct json_reader *r, const json_t *object, const char *path, size_t index,
                const char *const *names) {
    const char *name;
    json_t *value;

    if (!json_is_object(object)) {
        json_fault(r, "member-type", path, index, "an object is wanted here");
        return;
    }
    json_object_foreach((json_t *)(uintptr_t)object, name, value) {
        size_t i = 0;

        while (names[i] && strcmp(names[i], name) != 0) {
            i++;
        }
        if (!names[i]) {
            unknown_member(r, path, index, name, names, i);
        }
    }
}

struct span json_text(struct json_reader *r, const json_t *object, const char *name,
                      const char *path, size_t index) {
    const json_t *value = json_object_get(object, name);

    if (!value || json_is_null(value)) {
        return SPAN_NONE;
    }
    if (!json_is_string(value)) {
        member_fault(r, "member-type", path, index, name, "a string is wanted here");
        return SPAN_NONE;
    }
    return span_of(json_string_value(value), json_string_length(value));
}

bool json_flag(struct json_reader *r, const json_t *object, const char *name, const char *path,
               size_t index, bool otherwise) {
    const json_t *value = json_object_get(object, name);

    if (!value || json_is_null(value)) {
        return otherwise;
    }
    if (!json_is_boolean(value)) {
        member_fault(r, "member-type", path, index, name, "true or false is wanted here");
    }
    return json_is_true(value);
}

static bool is_number(const json_t *value, uint32_t max) {
    return json_is_integer(value) && json_integer_value(value) >= 0 &&
           json_integer_value(value) <= (json_int_t)max;
}

uint32_t json_number(struct json_reader *r, const json_t *object, const char *name,
                     const char *path, size_t index, uint32_t max, uint32_t otherwise) {
    const json_t *value = json_object_get(object, name);

    if (!value || json_is_null(value)) {
        return otherwise;
    }
    if (!is_number(value, max)) {
        char text[64];

        snprintf(text, sizeof text, "a whole number from 0 to %u is wanted here", max);
        member_fault(r, "member-type", path, index, name, text);
        return otherwise;
    }
    return (uint32_t)json_integer_value(value);
}

const json_t *json_list(struct json_reader *r, const json_t *object, const char *name,
                        const char *path, size_t index) {
    const json_t *value = json_object_get(object, name);

    if (!value || json_is_null(value)) {
        return NULL;
    }
    if (!json_is_array(value)) {
        member_fault(r, "member-type", path, index, name, "a list is wanted here");
        return NULL;
    }
    return value;
}

void *json_take(struct json_reader *r, size_t n, size_t size) {
    void *p = arena_zalloc(r->arena, (n ? n : 1) * size);

    if (!p) {
        json_fault(r, "memory", "", 0, "out of memory");
    }
    return p;
}

const uint32_t *json_numbers(struct json_reader *r, const json_t *object, const char *name,
                             const char *path, size_t index, size_t *n) {
    const json_t *list = json_list(r, object, name, path, index);
    size_t count = json_array_size(list);
    uint32_t *numbers = json_take(r, count, sizeof *numbers);

    for (size_t i = 0; numbers && i < count; i++) {
        const json_t *value = json_array_get(list, i);

        if (!is_number(value, UINT32_MAX)) {
            member_fault(r, "member-type", path, index, name, "a list of numbers is wanted here");
        }
        numbers[i] = (uint32_t)json_integer_value(value);
    }
    *n = numbers ? count : 0;
    return numbers;
}

const struct span *json_texts(struct json_reader *r, const json_t *object, const char *name,
                              const char *path, size_t index, size_t *n) {
    const json_t *list = json_list(r, object, name, path, index);
    size_t count = json_array_size(list);
    struct span *texts = json_take(r, count, sizeof *texts);

    for (size_t i = 0; texts && i < count; i++) {
        const json_t *value = json_array_get(list, i);

        if (!json_is_string(value)) {
            member_fault(r, "member-type", path, index, name, "a list of strings is wanted here");
        } else {
            texts[i] = span_of(json_string_value(value), json_string_length(value));
        }
    }
    *n = texts ? count : 0;
    return texts;
}
