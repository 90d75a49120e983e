/* muster sub deregister: ends registrations. */
#include "app/sub.h"

#include <stdlib.h>

struct wish {
    const char *reason, *text;
    bool json;
};

/* The identity of the subscription that `id` is; NULL: it is the subscription's name. */
static const char *identity_of(const json_t *s, const char *id) {
    static const char *const lists[] = {"impis", "impus"};
    for (size_t i = 0; i < COUNT_OF(lists); i++) {
        size_t k;
        json_t *item;
        json_array_foreach(json_object_get(s, lists[i]), k, item) {
            if (span_eq(sub_text(item, "identity"), span_from_cstr(id))) {
                return json_string_value(json_object_get(item, "identity"));
            }
        }
    }
    return NULL;
}

static void print_list(const char *what, const json_t *list) {
    size_t i;
    json_t *item;
    json_array_foreach(list, i, item) {
        printf("%s%s", i ? ", " : what, json_string_value(item));
    }
}

static void print_ended(const json_t *answer) {
    size_t i;
    json_t *item;
    printf("%.*s is told:\n", SPAN_ARG(sub_text(answer, "scscf")));
    json_array_foreach(json_object_get(answer, "ended"), i, item) {
        printf("  %.*s", SPAN_ARG(sub_text(item, "reason")));
        print_list(" for ", json_object_get(item, "impis"));
        print_list(": ", json_object_get(item, "impus"));
        putchar('\n');
    }
}

static char *path_of(const json_t *s) {
    char *path = sub_path(sub_text(s, "name")), *whole = NULL;
    if (path && asprintf(&whole, "%s/deregister", path) < 0) {
        whole = NULL;
    }
    free(path);
    return whole;
}

static int deregister(const struct remote *r, const struct wish *wish, const char *id) {
    json_t *s = NULL, *request = json_object(), *answer = NULL;
    int code = sub_fetch_exactly(r, id, &s);
    if (!code) {
        char *path = path_of(s);
        const char *identity = identity_of(s, id);
        if (identity) {
            json_object_set_new(request, "identities", json_pack("[s]", identity));
        }
        if (wish->reason) {
            json_object_set_new(request, "reason", json_string(wish->reason));
        }
        if (wish->text) {
            json_object_set_new(request, "text", json_string(wish->text));
        }
        code = path ? sub_call(r, "POST", path, request, &answer)
                    : command_fail(EXIT_CODE_SYSTEM, "out of memory");
        free(path);
    }
    if (!code && wish->json) {
        sub_print_json(answer);
    } else if (!code) {
        print_ended(answer);
    }
    json_decref(s);
    json_decref(request);
    json_decref(answer);
    return code;
}

int sub_deregister(const struct command *self, int argc, char **argv) {
    struct remote remote = {0};
    struct wish wish = {0};
    const struct option_def options[] = {
        TEXT_OPTION("reason", "REASON",
                    "permanent-termination (unless given): terminals stay away; server-change:\n"
                    "they register anew, perhaps at another S-CSCF; remove-scscf: service in\n"
                    "unregistered state ends",
                    &wish.reason),
        TEXT_OPTION("text", "TEXT", "for people at the S-CSCF (Reason-Info)", &wish.text),
        {.name = "json", .help = "print the answer as JSON", .out = &wish.json},
        REMOTE_OPTIONS(&remote),
        {0},
    };
    const struct usage usage = {
        .arguments = "ID [--reason REASON] [--text TEXT]",
        .text =
            "Ends registrations: of a private identity, of a public one with its implicit\n"
            "registration set, or of a whole subscription by its name. The HSS takes them for\n"
            "not registered from then on, and the S-CSCF is told (RTR), now or when it is back.",
        .options = options,
        .examples = "  muster sub deregister alice.smith@DOMAIN\n"
                    "  muster sub deregister smith --reason server-change --text maintenance",
        .min_args = 1,
        .max_args = 1,
    };
    struct args rest;
    int code;
    if (!command_parse(self, &usage, argc, argv, &rest, &code) ||
        (code = remote_open(&remote)) != 0) {
        return code;
    }
    return deregister(&remote, &wish, rest.v[0]);
}
