/* muster sub contacts, muster sub reauthenticate: what S-CSCFs have registered. They are asked over
 * the web interface of the process that they run in. */
#include "app/registrations_web.h"
#include "app/sub.h"
#include "app/who.h"

#include <stdlib.h>

/* "/registrations/ID" and what is behind it, to be freed; NULL: memory is out. */
static char *path_of(const char *id, const char *action) {
    size_t cap = strlen("/registrations/") + 3 * strlen(id) + strlen(action) + 1;
    char *path = malloc(cap);
    struct buf b = buf_init(path, path ? cap : 0);
    buf_cstr(&b, "/registrations/");
    web_encode(&b, span_from_cstr(id));
    buf_cstr(&b, action);
    buf_char(&b, '\0');
    return path;
}

static int ask(const struct remote *r, const char *method, const char *id, const char *action,
               const json_t *body, json_t **out) {
    char *path = path_of(id, action);
    int code = path ? sub_call(r, method, path, body, out)
                    : command_fail(EXIT_CODE_SYSTEM, "out of memory");
    free(path);
    return code;
}

/* Adds the contacts of those identities in a list of a subscription's that a short name fits. */
static int add_fitting(const struct remote *r, const char *id, const json_t *identities,
                       json_t *list) {
    int code = EXIT_CODE_OK;
    size_t i;
    json_t *identity;
    json_array_foreach(identities, i, identity) {
        const char *name = json_string_value(json_object_get(identity, "identity"));
        json_t *more = NULL;
        if (code || !name || !who_fits(span_from_cstr(id), span_from_cstr(name))) {
            continue;
        }
        code = ask(r, "GET", name, "", NULL, &more);
        size_t m;
        json_t *contact;
        json_array_foreach(more, m, contact) {
            bool is_new = true;
            for (size_t k = 0; k < json_array_size(list); k++) {
                is_new = is_new && !json_equal(json_array_get(list, k), contact);
            }
            if (is_new && json_array_append(list, contact) != 0) {
                code = command_fail(EXIT_CODE_SYSTEM, "out of memory");
            }
        }
        json_decref(more);
    }
    return code;
}

/* The contacts of a short name: the HSS knows whose it is. */
static int ask_short(const struct remote *r, const char *id, json_t **out) {
    json_t *subscription = NULL;
    int code = sub_fetch(r, id, &subscription);
    *out = code ? NULL : json_array();
    if (*out) {
        code = add_fitting(r, id, json_object_get(subscription, "impis"), *out);
        code = code ? code : add_fitting(r, id, json_object_get(subscription, "impus"), *out);
    }
    json_decref(subscription);
    return code;
}

static void print_contact(const json_t *c) {
    size_t i;
    json_t *impu;
    printf("%.*s\n", SPAN_ARG(sub_text(c, "contact")));
    printf("  %-17s %.*s\n", "private identity", SPAN_ARG(sub_text(c, "impi")));
    json_array_foreach(json_object_get(c, "impus"), i, impu) {
        printf("  %-17s %s\n", i ? "" : "public identities", json_string_value(impu));
    }
    printf("  %-17s %.*s, for %lld s\n", "last event", SPAN_ARG(sub_text(c, "event")),
           (long long)json_integer_value(json_object_get(c, "expires_s")));
    printf("  %-17s %.*s\n", "S-CSCF", SPAN_ARG(sub_text(c, "scscf")));
    printf("  %-17s %lld\n", "subscriptions",
           (long long)json_integer_value(json_object_get(c, "subscriptions")));
}

int sub_contacts(const struct command *self, int argc, char **argv) {
    struct remote remote = {0};
    bool json = false;
    const struct option_def options[] = {
        {.name = "json", .help = "as a JSON array", .out = &json}, REMOTE_OPTIONS(&remote), {0}};
    const struct usage usage = {
        .arguments = "ID",
        .text =
            "Shows the contacts that S-CSCFs have registered for a private identity, or for\n"
            "the implicit registration set of a public one: with their time, what happened to\n"
            "them last, and how many subscribe to the state of the set. S-CSCFs are asked that\n"
            "run in the Muster whose web interface it is. Where it has an HSS, too, ID may be\n"
            "short: a user part, or its beginning up to a dot.",
        .options = options,
        .examples = "  muster sub contacts alice\n"
                    "  muster sub contacts sip:alice.mobile@DOMAIN",
        .min_args = 1,
        .max_args = 1,
    };
    struct args rest;
    json_t *list = NULL;
    size_t i;
    json_t *contact;
    int code;
    if (!command_parse(self, &usage, argc, argv, &rest, &code) ||
        (code = remote_open(&remote)) != 0 ||
        (code = strpbrk(rest.v[0], "@:") ? ask(&remote, "GET", rest.v[0], "", NULL, &list)
                                         : ask_short(&remote, rest.v[0], &list)) != 0) {
        json_decref(list);
        return code;
    }
    if (json) {
        sub_print_json(list);
    } else if (json_array_size(list) == 0) {
        printf("no contact of %s is registered\n", rest.v[0]);
    }
    json_array_foreach(list, i, contact) {
        if (!json) {
            print_contact(contact);
        }
    }
    json_decref(list);
    return EXIT_CODE_OK;
}

int sub_reauthenticate(const struct command *self, int argc, char **argv) {
    struct remote remote = {0};
    uint64_t seconds = REAUTHENTICATE_S;
    const struct option_def options[] = {NUMBER_OPTION("within", "SECONDS",
                                                       "how long the terminals have (60)", &seconds,
                                                       REAUTHENTICATE_MAX_S),
                                         REMOTE_OPTIONS(&remote),
                                         {0}};
    const struct usage usage = {
        .arguments = "ID",
        .text =
            "Has terminals authenticate anew: those of a private identity, or of the implicit\n"
            "registration set of a public one. Their registrations are shortened, they and all\n"
            "who have subscribed are told, and the next REGISTER is challenged. Who does not\n"
            "come in time is de-registered. ID is an identity in full. S-CSCFs are asked that run "
            "in the Muster whose web\n"
            "interface it is.",
        .options = options,
        .examples = "  muster sub reauthenticate alice.smith@DOMAIN --within 30",
        .min_args = 1,
        .max_args = 1,
    };
    struct args rest;
    json_t *answer = NULL;
    int code;
    if (!command_parse(self, &usage, argc, argv, &rest, &code) ||
        !sub_is_whole(self, rest.v[0], &code)) {
        return code;
    }
    if (!seconds) {
        return command_usage_error(self, "--within takes at least 1");
    }
    code = remote_open(&remote);
    if (code) {
        return code;
    }
    json_t *body = json_pack("{s:I}", "seconds", (json_int_t)seconds);
    code = ask(&remote, "POST", rest.v[0], "/reauthenticate", body, &answer);
    if (!code) {
        long long n = json_integer_value(json_object_get(answer, "contacts"));
        printf("%lld contact%s to authenticate within %llu s\n", n, n == 1 ? " has" : "s have",
               (unsigned long long)seconds);
    }
    json_decref(body);
    json_decref(answer);
    return code;
}
