/* muster sub show: one subscription for a reader. */
#include "app/sub.h"
#include "app/terminal.h"

static void row(const char *what, struct span value) {
    if (value.n) {
        printf("  %-16s ", what);
        terminal_print(value);
        putchar('\n');
    }
}

static void list_row(const char *what, const json_t *list) {
    size_t i;
    json_t *item;
    if (!json_array_size(list)) {
        return;
    }
    printf("  %-16s", what);
    json_array_foreach(list, i, item) {
        if (json_is_string(item)) {
            putchar(' ');
            terminal_print(span_of(json_string_value(item), json_string_length(item)));
        } else {
            printf(" %lld", (long long)json_integer_value(item));
        }
    }
    putchar('\n');
}

/* "AKA, key check 0a1b2c" and "SIP Digest with SHA-256 and MD5 at home.net", as there are. */
static void show_credentials(const json_t *impi) {
    struct span check = sub_text(impi, "key_check"), realm = sub_text(impi, "digest_realm");
    const json_t *digest = json_object_get(impi, "digest");
    size_t i;
    json_t *algorithm;
    if (check.n) {
        printf("    AKA, key check %.*s\n", SPAN_ARG(check));
    }
    json_array_foreach(digest, i, algorithm) {
        printf("%s%s", i ? " and " : "    SIP Digest with ", json_string_value(algorithm));
    }
    if (json_array_size(digest)) {
        fputs(", realm ", stdout);
        terminal_print(realm);
        putchar('\n');
    } else if (!check.n) {
        puts("    no credentials");
    }
}

static void show_impis(const json_t *impis) {
    size_t i;
    json_t *impi;
    puts("\nPrivate identities");
    json_array_foreach(impis, i, impi) {
        fputs("  ", stdout);
        terminal_print(sub_text(impi, "identity"));
        putchar('\n');
        show_credentials(impi);
    }
}

static bool is_true(const json_t *object, const char *name) {
    return json_is_true(json_object_get(object, name));
}

/* ", wildcard", ", service, direct to sip:as, switched off". */
static void show_type(const json_t *impu) {
    struct span type = sub_text(impu, "type"), server = sub_text(impu, "server_name");
    if (type.n) {
        bool wildcard = span_starts_with(type, SPAN("wildcarded_"));
        bool service = span_eq(type, SPAN("psi")) || span_eq(type, SPAN("wildcarded_psi"));
        fputs(wildcard ? service ? ", wildcard of services" : ", wildcard" : ", service", stdout);
    }
    if (server.n) {
        fputs(", direct to ", stdout);
        terminal_print(server);
    }
    if (json_is_false(json_object_get(impu, "active"))) {
        fputs(", switched off", stdout);
    }
}

static void show_impu(const json_t *impu) {
    struct span owner = sub_text(impu, "impi"), alias = sub_text(impu, "alias_group"),
                shown = sub_text(impu, "display_name"), profile = sub_text(impu, "profile");
    fputs("    ", stdout);
    terminal_print(sub_text(impu, "identity"));
    if (shown.n) {
        fputs("  \"", stdout);
        terminal_print(shown);
        putchar('"');
    }
    printf("\n      %s%.*s", owner.n ? "of " : "shared by all", SPAN_ARG(owner));
    if (profile.n) {
        printf(", profile %.*s", SPAN_ARG(profile));
    }
    if (is_true(impu, "default")) {
        fputs(", default of the set", stdout);
    }
    if (is_true(impu, "barred")) {
        fputs(", barred", stdout);
    }
    show_type(impu);
    if (alias.n) {
        printf(", alias group %.*s", SPAN_ARG(alias));
    }
    putchar('\n');
}

/* Sets in the order of their numbers, each with its identities. */
static void show_sets(const json_t *impus) {
    enum { SET_MAX = 64 };
    puts("\nPublic identities, by implicit registration set");
    for (json_int_t set = 0; set <= SET_MAX; set++) {
        size_t i, n = 0;
        json_t *impu;
        json_array_foreach(impus, i, impu) {
            if (json_integer_value(json_object_get(impu, "set")) != set) {
                continue;
            }
            if (n++ == 0) {
                printf("  set %lld: %.*s\n", (long long)set, SPAN_ARG(sub_state(impu)));
                list_row("  by", json_object_get(json_object_get(impu, "registration"), "by"));
            }
            show_impu(impu);
        }
    }
}

static void show(const json_t *s) {
    const json_t *capabilities = json_object_get(s, "capabilities"),
                 *charging = json_object_get(s, "charging");
    printf("Subscription %.*s\n", SPAN_ARG(sub_text(s, "name")));
    row("S-CSCF", sub_text(s, "scscf"));
    list_row("capabilities", json_object_get(capabilities, "mandatory"));
    list_row("if possible", json_object_get(capabilities, "optional"));
    list_row("S-CSCFs", json_object_get(capabilities, "servers"));
    row("event charging", sub_text(charging, "primary_ecf"));
    row("", sub_text(charging, "secondary_ecf"));
    row("charging data", sub_text(charging, "primary_ccf"));
    row("", sub_text(charging, "secondary_ccf"));
    show_impis(json_object_get(s, "impis"));
    show_sets(json_object_get(s, "impus"));
}

int sub_show(const struct command *self, int argc, char **argv) {
    struct remote remote = {0};
    bool json = false;
    const struct option_def options[] = {
        {.name = "json", .help = "as JSON", .out = &json},
        REMOTE_OPTIONS(&remote),
        {0},
    };
    const struct usage usage = {
        .arguments = "ID",
        .text =
            "Shows a subscription with its registration state. ID is the subscription's name, an\n"
            "IMPI, an IMPU, or the user part of one, or its beginning up to a dot. Keys are never\n"
            "shown; a key check tells whether K and OPc are the expected ones (`muster sub\n"
            "key-check` gives that of a card).",
        .options = options,
        .examples = "  muster sub show smith\n"
                    "  muster sub show tel:+447700900101 --json",
        .min_args = 1,
        .max_args = 1,
    };
    struct args rest;
    int code;
    json_t *s = NULL;
    if (!command_parse(self, &usage, argc, argv, &rest, &code) ||
        (code = remote_open(&remote)) != 0) {
        return code;
    }
    code = sub_fetch(&remote, rest.v[0], &s);
    if (!code && json) {
        sub_print_json(s);
    } else if (!code) {
        show(s);
    }
    json_decref(s);
    return code;
}
