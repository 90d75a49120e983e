/* muster sub: subscriptions, through the web interface of a running Muster. Here: list, add, rm. */
#include "app/card.h"
#include "app/sub.h"

#include <openssl/crypto.h>
#include <stdlib.h>

/* list */

struct listing {
    struct remote remote;
    bool json;
    size_t printed;
    json_t *all; /* for --json */
};

static void print_row(struct listing *l, const json_t *s) {
    const json_t *impis = json_object_get(s, "impis"), *impus = json_object_get(s, "impus");
    size_t i, registered = 0;
    json_t *impu;
    char state[48];
    json_array_foreach(impus, i, impu) {
        registered += span_eq(sub_state(impu), SPAN("registered"));
    }
    if (l->printed++ == 0) {
        printf("%-18s %-11s %s\n", "NAME", "REGISTERED", "PRIVATE IDENTITIES");
    }
    snprintf(state, sizeof state, "%zu of %zu", registered, json_array_size(impus));
    printf("%-18.*s %-11s %.*s", SPAN_ARG(sub_text(s, "name")), state,
           SPAN_ARG(sub_text(json_array_get(impis, 0), "identity")));
    if (json_array_size(impis) > 1) {
        printf(" and %zu more", json_array_size(impis) - 1);
    }
    putchar('\n');
}

static void take(void *ctx, json_t *s) {
    struct listing *l = ctx;
    if (l->json) {
        json_array_append(l->all, s);
    } else {
        print_row(l, s);
    }
}

static int sub_list(const struct command *self, int argc, char **argv) {
    struct listing l = {0};
    const struct option_def options[] = {
        {.name = "json", .help = "as a JSON array, with all there is", .out = &l.json},
        REMOTE_OPTIONS(&l.remote),
        {0},
    };
    const struct usage usage = {
        .arguments = "[--json]",
        .text = "Lists the subscriptions: how many of their public identities are registered, and\n"
                "their private identities.",
        .options = options,
        .examples = "  muster sub list",
    };
    struct args rest;
    int code;
    if (!command_parse(self, &usage, argc, argv, &rest, &code) ||
        (code = remote_open(&l.remote)) != 0) {
        return code;
    }
    l.all = json_array();
    code = sub_each(&l.remote, NULL, take, &l);
    if (!code && l.json) {
        sub_print_json(l.all);
    } else if (!code && !l.printed) {
        puts("There are no subscriptions. \"muster sub add\" adds one, \"muster sub import\" a "
             "file.");
    }
    json_decref(l.all);
    return code;
}

/* add */

struct addition {
    struct remote remote;
    const char *imsi, *user, *msisdn, *k, *op, *opc, *amf, *name, *profile, *display_name;
    const char *password, *algorithm;
    bool password_stdin;
};

enum { PASSWORD_MAX = 258 };

static void set_text(json_t *object, const char *name, const char *value) {
    if (value) {
        json_object_set_new(object, name, json_string(value));
    }
}

static json_t *make_request(const struct addition *a) {
    json_t *request = json_object();
    if (a->imsi) {
        set_text(request, "imsi", a->imsi);
        set_text(request, "k", a->k ? a->k : getenv("MUSTER_K"));
        set_text(request, "op", a->op);
        set_text(request, "opc", a->opc);
        set_text(request, "amf", a->amf);
    }
    set_text(request, "user", a->user);
    set_text(request, "password", a->password);
    if (a->algorithm) {
        json_object_set_new(request, "digest", json_pack("[s]", a->algorithm));
    }
    set_text(request, "msisdn", a->msisdn);
    set_text(request, "name", a->name);
    set_text(request, "profile", a->profile);
    set_text(request, "display_name", a->display_name);
    return request;
}

static int add(const struct addition *a) {
    json_t *request = make_request(a), *answer = NULL;
    const char *who = a->imsi ? a->imsi : a->user;
    int code = sub_call(&a->remote, "POST", "/subscriptions/sim", request, &answer);
    if (!code) {
        const char *option = a->remote.web ? " --web " : a->remote.config ? " -c " : "";
        const char *value = a->remote.web ? a->remote.web : a->remote.config;
        printf("added %s; \"muster sub show %s%s%s\" shows it\n", who, a->name ? a->name : who,
               option, value ? value : "");
    }
    json_decref(request);
    json_decref(answer);
    return code;
}

/* What is wrong with the options, or NULL. */
static const char *find_fault(const struct addition *a) {
    bool key = a->k || getenv("MUSTER_K");
    if ((a->imsi != NULL) == (a->user != NULL)) {
        return "give either --imsi with keys, or --user with a password";
    }
    if (a->imsi && (!key || (a->op != NULL) == (a->opc != NULL))) {
        return "--imsi needs --k and one of --op and --opc";
    }
    if (a->password && a->password_stdin) {
        return "give --password or --password-stdin, not both";
    }
    if (a->algorithm && !a->password && !a->password_stdin) {
        return "--algorithm is of a password";
    }
    return a->user && !a->password && !a->password_stdin
               ? "--user needs --password or --password-stdin"
               : NULL;
}

static int sub_add(const struct command *self, int argc, char **argv) {
    struct addition a = {0};
    const struct option_def options[] = {
        TEXT_OPTION("imsi", "IMSI", "of the SIM", &a.imsi),
        TEXT_OPTION("user", "NAME", "of a client without SIM: the identity is NAME@DOMAIN",
                    &a.user),
        TEXT_OPTION("password", "TEXT", "for SIP Digest; seen by others of this machine",
                    &a.password),
        TEXT_OPTION("algorithm", "NAME",
                    "MD5 or SHA-256 alone, for clients that are confused by both", &a.algorithm),
        {.name = "password-stdin",
         .help = "read the password from standard input, one line",
         .kind = OPTION_FLAG,
         .out = &a.password_stdin},
        TEXT_OPTION("msisdn", "NUMBER", "its telephone number, as in +447700900101", &a.msisdn),
        TEXT_OPTION("k", "HEX", "its key, 32 digits; or in the environment, as MUSTER_K", &a.k),
        TEXT_OPTION("opc", "HEX", "OPc, the operator's code for this key", &a.opc),
        TEXT_OPTION("op", "HEX", "OP, the operator's code; instead of OPc", &a.op),
        TEXT_OPTION("amf", "HEX", "authentication management field (8000)", &a.amf),
        TEXT_OPTION("name", "NAME", "of the subscription (the IMSI, or the user)", &a.name),
        TEXT_OPTION("profile", "NAME", "service profile (default)", &a.profile),
        TEXT_OPTION("display-name", "TEXT", "shown to those who are called", &a.display_name),
        REMOTE_OPTIONS(&a.remote),
        {0},
    };
    const struct usage usage = {
        .arguments = "--imsi IMSI --k HEX --opc HEX | --user NAME --password-stdin",
        .text =
            "Adds a SIM as a subscription: a private identity, and in one implicit registration\n"
            "set the IMSI-derived public identity (barred), the telephone number and its SIP\n"
            "form. The keys are proved by a challenge and its answer first. Or a user with a\n"
            "password (SIP Digest), of which only hashes are kept; a SIM may have one, too.",
        .options = options,
        .examples = "  muster sub add --imsi 001010000000001 --msisdn +447700900001 \\\n"
                    "      --k 465b5ce8b199b49faa5f0a2ee238a6bc \\\n"
                    "      --opc cd63cb71954a9f4e48a5994e37a02baf\n"
                    "  muster sub add --user alice --password-stdin < password.txt",
    };
    struct args rest;
    char password[PASSWORD_MAX];
    int code;
    if (!command_parse(self, &usage, argc, argv, &rest, &code)) {
        return code;
    }
    const char *fault = find_fault(&a);
    if (fault) {
        return command_usage_error(self, "%s", fault);
    }
    if (a.password_stdin) {
        code = command_read_password(self, password, sizeof password);
        a.password = password;
    }
    code = code ? code : remote_open(&a.remote);
    code = code ? code : add(&a);
    OPENSSL_cleanse(password, sizeof password);
    if (!a.password_stdin) {
        command_hide(a.password);
    }
    command_hide(a.k);
    command_hide(a.op);
    command_hide(a.opc);
    return code;
}

/* rm */

static int remove_one(const struct remote *r, const char *id) {
    json_t *s = NULL, *answer = NULL;
    int code = sub_fetch_exactly(r, id, &s);
    if (code) {
        return code;
    }
    char *path = sub_path(sub_text(s, "name"));
    code = path ? sub_call(r, "DELETE", path, NULL, &answer)
                : command_fail(EXIT_CODE_SYSTEM, "out of memory");
    if (!code) {
        printf("removed %.*s\n", SPAN_ARG(sub_text(s, "name")));
    }
    free(path);
    json_decref(s);
    json_decref(answer);
    return code;
}

static int sub_rm(const struct command *self, int argc, char **argv) {
    struct remote remote = {0};
    const struct option_def options[] = {REMOTE_OPTIONS(&remote), {0}};
    const struct usage usage = {
        .arguments = "ID...",
        .text =
            "Removes subscriptions. ID is an IMPI, an IMPU, or the subscription's name, in full.",
        .options = options,
        .examples = "  muster sub rm smith",
        .min_args = 1,
        .max_args = SIZE_MAX,
    };
    struct args rest;
    int code;
    if (!command_parse(self, &usage, argc, argv, &rest, &code) ||
        (code = remote_open(&remote)) != 0) {
        return code;
    }
    for (size_t i = 0; i < rest.n && !code; i++) {
        code = remove_one(&remote, rest.v[i]);
    }
    return code;
}

/* key-check */

static int sub_key_check(const struct command *self, int argc, char **argv) {
    const char *k = NULL, *op = NULL, *opc = NULL;
    const struct option_def options[] = {
        TEXT_OPTION("k", "HEX", "the card's key; or in the environment, as MUSTER_K", &k),
        TEXT_OPTION("opc", "HEX", "OPc", &opc),
        TEXT_OPTION("op", "HEX", "OP, instead of OPc", &op),
        {0},
    };
    const struct usage usage = {
        .arguments = "--k HEX --opc HEX | --k HEX --op HEX",
        .text = "Prints the key check of a card's K and OPc: the same as `muster sub show` prints\n"
                "if the HSS has the same keys. It does not give them away. No Muster is asked.",
        .options = options,
        .examples = "  muster sub key-check --k 465b5ce8b199b49faa5f0a2ee238a6bc \\\n"
                    "      --opc cd63cb71954a9f4e48a5994e37a02baf",
    };
    struct args rest;
    struct card card;
    char check[CARD_CHECK_TEXT];
    int code;
    if (!command_parse(self, &usage, argc, argv, &rest, &code)) {
        return code;
    }
    k = k ? k : getenv("MUSTER_K");
    enum error e = card_from_sim(SPAN("1"), SPAN_NONE, span_from_cstr(k), span_from_cstr(op),
                                 span_from_cstr(opc), "home", &card);
    if (!e) {
        e = card_key_check(&card, check);
        card_free(&card);
    }
    command_hide(k);
    command_hide(op);
    command_hide(opc);
    if (e == ERR_INVALID) {
        return command_usage_error(
            self, "--k and one of --op and --opc are needed, 32 hexadecimal digits each");
    }
    if (e) {
        return command_fail(EXIT_CODE_SYSTEM, "%s", error_text(e));
    }
    puts(check);
    return EXIT_CODE_OK;
}

int cmd_sub(const struct command *self, int argc, char **argv) {
    static const struct command commands[] = {
        {"sub add", "adds a SIM, or a user with a password", sub_add},
        {"sub list", "lists all subscriptions", sub_list},
        {"sub show", "shows one, with its registration state", sub_show},
        {"sub contacts", "shows where one is registered, and for how long", sub_contacts},
        {"sub reauthenticate", "has terminals authenticate anew", sub_reauthenticate},
        {"sub set", "changes members of one", sub_set},
        {"sub graph", "draws one, as text or SVG", sub_graph},
        {"sub log", "shows who changed what, and when", sub_log},
        {"sub deregister", "ends registrations", sub_deregister},
        {"sub rm", "removes some", sub_rm},
        {"sub key-check", "prints what show says of a card with given keys", sub_key_check},
        {"sub user-data", "prints what an S-CSCF gets for an identity", sub_user_data},
        {"sub import", "adds a file of them, of any length", sub_import},
        {"sub export", "writes them all, to NDJSON or CSV", sub_export},
    };
    (void)self;
    return command_dispatch("muster sub", "Subscriptions of a running Muster.", commands,
                            COUNT_OF(commands), argc, argv);
}
