/* muster sub set: changes members of a subscription, in one step or not at all: what somebody else
 * changed meanwhile is not overwritten (the version is checked). */
#include "app/sub.h"

#include <stdlib.h>

/* The IMPI or IMPU of this name; the subscription itself for any other. */
static json_t *find_target(json_t *s, const char *id) {
    static const char *const lists[] = {"impis", "impus"};
    for (size_t i = 0; i < COUNT_OF(lists); i++) {
        size_t k;
        json_t *item;
        json_array_foreach(json_object_get(s, lists[i]), k, item) {
            if (span_eq(sub_text(item, "identity"), span_from_cstr(id))) {
                return item;
            }
        }
    }
    return s;
}

/* Numbers, true, false, lists and objects as JSON; everything else is text. */
static json_t *read_value(const char *name, const char *text) {
    static const char *const texts[] = {"k",    "op",       "opc",     "amf",       "identity",
                                        "name", "password", "ha1_md5", "ha1_sha256"};
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        if (strcmp(name, texts[i]) == 0) {
            return json_string(text);
        }
    }
    json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
    return value ? value : json_string(text);
}

/* "charging.primary_ccf=aaa://...": the member of a member. Nothing behind "=" takes it away. */
static int assign(const struct command *self, json_t *target, const char *assignment) {
    char name[64];
    const char *equals = strchr(assignment, '=');
    size_t n = equals ? (size_t)(equals - assignment) : 0;
    if (!n || n >= sizeof name) {
        return command_usage_error(self, "\"%s\" is no MEMBER=VALUE", assignment);
    }
    memcpy(name, assignment, n);
    name[n] = '\0';
    char *dot = strchr(name, '.');
    const char *member = dot ? dot + 1 : name;
    if (dot) {
        *dot = '\0';
        json_t *inner = json_object_get(target, name);
        if (!inner) {
            inner = json_object();
            json_object_set_new(target, name, inner);
        }
        target = inner;
    }
    if (!equals[1] && strcmp(member, "password") != 0) { /* an empty one is a change of its own */
        json_object_del(target, member);
    } else if (json_object_set_new(target, member, read_value(member, equals + 1)) != 0) {
        return command_usage_error(self, "\"%s\" is no MEMBER=VALUE", assignment);
    }
    return EXIT_CODE_OK;
}

static int save(const struct remote *r, const json_t *s) {
    json_t *answer = NULL;
    char *path = sub_path(sub_text(s, "name"));
    int code = path ? sub_call(r, "PUT", path, s, &answer)
                    : command_fail(EXIT_CODE_SYSTEM, "out of memory");
    if (!code) {
        printf("changed %.*s\n", SPAN_ARG(sub_text(s, "name")));
    }
    free(path);
    json_decref(answer);
    return code;
}

int sub_set(const struct command *self, int argc, char **argv) {
    struct remote remote = {0};
    const struct option_def options[] = {REMOTE_OPTIONS(&remote), {0}};
    const struct usage usage = {
        .arguments = "ID MEMBER=VALUE...",
        .text = "Changes members: of a public or private identity if ID is one, else of the\n"
                "subscription of that name. MEMBER= takes it away. Members are those of\n"
                "\"muster sub show --json\"; VALUE is text or JSON.",
        .options = options,
        .examples = "  muster sub set tel:+447700900101 barred=true\n"
                    "  muster sub set sip:alice.mobile@DOMAIN display_name=\"Alice S.\"\n"
                    "  muster sub set smith capabilities.mandatory=[1,2]",
        .min_args = 2,
        .max_args = SIZE_MAX,
    };
    struct args rest;
    int code;
    json_t *s = NULL;
    if (!command_parse(self, &usage, argc, argv, &rest, &code) ||
        (code = remote_open(&remote)) != 0) {
        return code;
    }
    code = sub_fetch_exactly(&remote, rest.v[0], &s);
    if (!code) {
        sub_drop_shown(s);
        json_t *target = find_target(s, rest.v[0]);
        for (size_t i = 1; i < rest.n && !code; i++) {
            code = assign(self, target, rest.v[i]);
        }
        code = code ? code : save(&remote, s);
    }
    json_decref(s);
    return code;
}
