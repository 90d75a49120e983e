/* muster ue: a terminal, as a client of any P-CSCF. */
#include "app/card.h"
#include "app/command.h"
#include "app/config.h"
#include "app/names.h"
#include "app/subscribers.h"
#include "app/terminal.h"
#include "rt/loop.h"

#include <openssl/crypto.h>
#include <signal.h>
#include <stdlib.h>

enum { TIMEOUT_S = 60, LEAVE_TIMEOUT_S = 10 };

struct options {
    const char *user, *password;
    const char *config, *pcscf, *local, *impu, *imsi, *impi, *msisdn, *k, *op, *opc;
    uint64_t expires_s, timeout_s;
    bool stay, all, password_stdin;
    const char *transport_name;
    enum sip_transport transport;
};

enum { PASSWORD_MAX = 258 };

/* A terminal on its way. */
struct terminal {
    const struct options *options;
    const char *name;
    struct config config;
    struct addr pcscf[RESOLVER_TARGETS_MAX]; /* best first */
    size_t n_pcscf;
    struct card card;
    struct loop *loop;
    struct env *env;
    struct tls_context *tls;
    struct span pcscf_host; /* as it was named */
    struct ue_pool *pool;
    struct ue *ue;
    struct signal_watch *signals[2];
    bool registered, deregistered, failed, interrupted;
};

/* What the terminal tells. */

static void on_registered(void *ctx, struct ue *ue) {
    struct terminal *t = ctx;
    t->registered = true;
    if (ue_refreshed(ue)) {
        printf("registered again for %u s\n", ue_expires_s(ue));
        fflush(stdout);
    }
}

static void on_deregistered(void *ctx, struct ue *ue) {
    (void)ue;
    ((struct terminal *)ctx)->deregistered = true;
}

static void on_failed(void *ctx, struct ue *ue, const struct ue_failure *why) {
    struct terminal *t = ctx;
    (void)ue;
    t->failed = true;
    t->registered = false;
    fflush(stdout);
    if (why->status) {
        command_fail(EXIT_CODE_FAILED, "%s: %s: %u %.*s", t->name, ue_reason_text(why->reason),
                     why->status, SPAN_ARG(why->phrase));
    } else {
        command_fail(EXIT_CODE_FAILED, "%s: %s", t->name, ue_reason_text(why->reason));
    }
}

static const struct ue_handler handler = {on_registered, on_deregistered, on_failed};

static void on_signal(void *ctx, int signum) {
    (void)signum;
    ((struct terminal *)ctx)->interrupted = true;
}

static bool is_registered(void *ctx) {
    const struct terminal *t = ctx;
    return t->registered || t->failed || t->interrupted;
}

static bool is_deregistered(void *ctx) {
    const struct terminal *t = ctx;
    return t->deregistered || t->interrupted;
}

static bool has_ended(void *ctx) {
    const struct terminal *t = ctx;
    return t->interrupted || (t->failed && t->options->timeout_s == 0);
}

/* The card. */

static int card_of_name(struct terminal *t) {
    char folder[1024];
    const struct config *c = &t->config;
    struct span name = span_from_cstr(t->name);
    struct who_guess guess = {.wanted = t->name};
    enum error e = ERR_NOT_FOUND;
    config_folder(c, folder, sizeof folder);
    for (size_t i = 0; i < c->n_subscribers && e == ERR_NOT_FOUND; i++) {
        struct settings *s = NULL;
        if (subscribers_open(folder, c->subscribers[i], &s)) {
            continue; /* another file may know the name */
        }
        json_t *document = subscribers_json(s, c->domain);
        e = document ? card_find(document, name, c->domain, &t->card) : e;
        card_guess(document, &guess);
        fwrite(settings_fault_text(s).p, 1, settings_fault_text(s).n, stderr);
        json_decref(document);
        settings_close(s);
    }
    const char *meant = who_guess_best(&guess);
    switch (e) {
    case OK:
        return EXIT_CODE_OK;
    case ERR_NOT_FOUND:
        return command_fail(EXIT_CODE_CONFIG, "no file of subscribers knows \"%s\"%s%s%s", t->name,
                            meant ? "; did you mean "
                                  : "; --imsi, --k and --opc (or --op) describe a SIM",
                            meant ? meant : "", meant ? "?" : "");
    case ERR_EXISTS:
        return command_fail(EXIT_CODE_CONFIG,
                            "\"%s\" fits several subscribers; give the whole IMPI", t->name);
    default:
        return command_fail(EXIT_CODE_CONFIG, "the key of \"%s\" is not usable: %s", t->name,
                            error_text(e));
    }
}

static int card_of_options(struct terminal *t) {
    const struct options *o = t->options;
    const char *k = o->k ? o->k : getenv("MUSTER_K");
    char why_bytes[256] = "";
    struct buf why = buf_init(why_bytes, sizeof why_bytes - 1);
    if (naming_imsi_check(span_from_cstr(o->imsi), NULL, &why)) {
        return command_fail(EXIT_CODE_USAGE, "%s", why_bytes);
    }
    enum error e =
        card_from_sim(span_from_cstr(o->imsi), span_from_cstr(o->msisdn), span_from_cstr(k),
                      span_from_cstr(o->op), span_from_cstr(o->opc), t->config.domain, &t->card);
    if (e == ERR_INVALID) {
        return command_fail(EXIT_CODE_USAGE, "--k and one of --op and --opc are needed, 32 "
                                             "hexadecimal digits each");
    }
    t->name = o->imsi;
    return e ? command_fail(EXIT_CODE_SYSTEM, "%s", error_text(e)) : EXIT_CODE_OK;
}

static int card_of_user(struct terminal *t) {
    const struct options *o = t->options;
    t->name = o->user;
    switch (card_from_user(span_from_cstr(o->user), span_from_cstr(o->password), t->config.domain,
                           &t->card)) {
    case OK:
        return EXIT_CODE_OK;
    case ERR_INVALID:
        return command_fail(EXIT_CODE_USAGE,
                            "--user takes a SIP URI, as in sip:alice@%s, not \"%s\"",
                            t->config.domain, o->user);
    default:
        return command_fail(EXIT_CODE_SYSTEM, "out of memory");
    }
}

static int find_card(struct terminal *t) {
    int code = t->options->user   ? card_of_user(t)
               : t->options->imsi ? card_of_options(t)
                                  : card_of_name(t);
    if (!code && t->options->impi) {
        t->card.isim.impi = span_from_cstr(t->options->impi);
    }
    if (!code && t->options->impu &&
        card_set_impu(&t->card, span_from_cstr(t->options->impu)) != OK) {
        return command_fail(EXIT_CODE_SYSTEM, "out of memory");
    }
    return code;
}

/* Where to. */

/* By the DNS, as RFC 3263 says; all that is found may be tried. */
static int find_pcscf_by_name(struct terminal *t) {
    struct span text = span_from_cstr(t->options->pcscf), rest = text;
    struct resolver_name name = {.host = span_cut(&rest, ':')};
    struct resolver_answer answer;
    struct names *names = NULL;
    uint32_t port = 0;
    if (name.host.n < text.n && (!span_to_u32(rest, 65535, &port) || !port)) {
        return command_fail(EXIT_CODE_USAGE,
                            "--pcscf takes a host and perhaps a port, as in pcscf.example.com or "
                            "127.0.0.1:5060, not \"%s\"",
                            t->options->pcscf);
    }
    name.port = (uint16_t)port;
    name.transport_given = t->options->transport_name != NULL;
    name.transport = t->options->transport;
    enum error e = names_new(&t->config, t->loop, 1U << t->options->transport, &names);
    e = e ? e : names_find(names, &name, &answer);
    names_free(names);
    if (e) {
        return command_fail(
            EXIT_CODE_FAILED, "the P-CSCF \"%s\" is not found: %s", t->options->pcscf,
            e == ERR_NOT_FOUND ? "the DNS has no SIP server of that name" : error_text(e));
    }
    t->pcscf_host = name.host;
    for (size_t i = 0; i < answer.n; i++) {
        t->pcscf[t->n_pcscf++] = answer.targets[i].addr;
    }
    return EXIT_CODE_OK;
}

static int find_pcscf(struct terminal *t) {
    const struct config *c = &t->config;
    if (t->options->pcscf) {
        struct span text = span_from_cstr(t->options->pcscf);
        t->n_pcscf = addr_parse(text, t->pcscf) ||
                     addr_parse_host(text, sip_transport_port(t->options->transport), t->pcscf);
        return t->n_pcscf ? EXIT_CODE_OK : find_pcscf_by_name(t);
    }
    for (size_t i = 0; i < c->n_nodes; i++) {
        if (c->nodes[i].role == NAMING_PCSCF) {
            bool tls = t->options->transport == SIP_TLS;
            t->pcscf[t->n_pcscf++] = tls ? c->nodes[i].tls_listen : c->nodes[i].listen;
            t->pcscf_host = span_from_cstr(c->nodes[i].host);
            return EXIT_CODE_OK;
        }
    }
    return command_fail(EXIT_CODE_CONFIG, "the configuration has no P-CSCF; --pcscf names one");
}

static int open_terminal(struct terminal *t) {
    struct addr local = t->pcscf[0]; /* as far from the P-CSCF as it is from us: its own machine */
    struct span text = span_from_cstr(t->options->local);
    if (t->options->local && !addr_parse(text, &local) && !addr_parse_host(text, 0, &local)) {
        return command_fail(EXIT_CODE_USAGE, "--local takes an IP address, not \"%s\"",
                            t->options->local);
    }
    if (!t->options->local) {
        local = addr_is_loopback(t->pcscf) ? t->pcscf[0] : addr_v4(0, 0, 0, 0, 0);
        local.port = 0;
    }
    char why[512] = "";
    if (t->options->transport == SIP_TLS &&
        config_tls_of_terminal(&t->config, &t->tls, why, sizeof why) != OK) {
        return command_fail(EXIT_CODE_CONFIG, "%s", why);
    }
    const struct ue_pool_config pool = {.local = local,
                                        .transport = t->options->transport,
                                        .tls = t->tls,
                                        .host = t->pcscf_host,
                                        .pcscf = t->pcscf,
                                        .n_pcscf = t->n_pcscf,
                                        .agent = SPAN("Muster " MUSTER_VERSION)};
    const struct ue_config ue = {
        .isim = &t->card.isim, .expires_s = (uint32_t)t->options->expires_s, .no_retry = true};
    enum error e = loop_env_new(t->loop, "ue", &t->env);
    if (!e) {
        t->env->log.level = LOG_ERROR; /* what happens is printed */
    }
    e = e ? e : ue_pool_new(t->env, &pool, &handler, t, &t->pool);
    e = e ? e : ue_new(t->pool, &ue, t, &t->ue);
    e = e ? e : loop_signal_watch(t->loop, SIGINT, on_signal, t, &t->signals[0]);
    e = e ? e : loop_signal_watch(t->loop, SIGTERM, on_signal, t, &t->signals[1]);
    return e ? command_fail(EXIT_CODE_SYSTEM, "the terminal cannot start: %s", error_text(e))
             : EXIT_CODE_OK;
}

static void close_terminal(struct terminal *t) {
    ue_pool_free(t->pool);
    tls_context_free(t->tls);
    signal_watch_free(t->signals[0]);
    signal_watch_free(t->signals[1]);
    env_close(t->env);
    loop_free(t->loop);
    card_free(&t->card);
    config_free(&t->config);
}

/* The two commands. */

static bool run_until(struct terminal *t, bool (*done)(void *ctx), uint64_t timeout_s) {
    return loop_run_until(t->loop, done, t, loop_now_us(t->loop) + timeout_s * SEC_IN_US);
}

static void print_row(const char *what, struct span value) {
    if (value.n) {
        printf("  %-17s ", what);
        terminal_print(value);
        putchar('\n');
    }
}

static void print_registration(const struct terminal *t) {
    printf("%s is registered for %u s\n", t->name, ue_expires_s(t->ue));
    print_row("public identity", ue_impu(t->ue));
    print_row("private identity", t->card.isim.impi);
    print_row("contact", ue_contact(t->ue));
    print_row("algorithm", auth_algorithm_name(ue_algorithm(t->ue)));
    print_row("associated", ue_associated_uris(t->ue));
    print_row("service route", ue_service_route(t->ue));
    fflush(stdout);
}

static int deregister(struct terminal *t, enum ue_scope scope, uint64_t timeout_s) {
    t->failed = t->interrupted = false;
    ue_deregister(t->ue, scope);
    if (!run_until(t, is_deregistered, timeout_s) || !t->deregistered || t->failed) {
        return t->failed ? EXIT_CODE_FAILED
                         : command_fail(EXIT_CODE_FAILED, "%s: no answer to the de-registration",
                                        t->name);
    }
    printf("%s is de-registered\n", t->name);
    return EXIT_CODE_OK;
}

static int do_register(struct terminal *t) {
    ue_register(t->ue);
    run_until(t, is_registered, t->options->timeout_s);
    if (!t->registered) {
        return t->failed ? EXIT_CODE_FAILED
                         : command_fail(EXIT_CODE_FAILED, "%s: no answer from the P-CSCF", t->name);
    }
    print_registration(t);
    if (!t->options->stay) {
        return EXIT_CODE_OK;
    }
    puts("stays registered until SIGINT");
    fflush(stdout);
    loop_run_until(t->loop, has_ended, t, UINT64_MAX);
    return deregister(t, UE_THIS_CONTACT, LEAVE_TIMEOUT_S);
}

static int do_deregister(struct terminal *t) {
    return deregister(t, UE_ALL_CONTACTS, t->options->timeout_s);
}

static int with_terminal(const struct options *o, const char *name,
                         int (*run)(struct terminal *t)) {
    struct terminal *t = calloc(1, sizeof *t);
    char *faults = NULL;
    enum error e = t ? config_load(o->config, &t->config, &faults) : ERR_NO_MEMORY;
    if (e) {
        fputs(faults ? faults : "muster: out of memory\n", stderr);
        free(faults);
        free(t);
        return e == ERR_NO_MEMORY ? EXIT_CODE_SYSTEM : EXIT_CODE_CONFIG;
    }
    t->options = o;
    t->name = name;
    int code = find_card(t);
    if (!code && loop_new(&t->loop) != OK) {
        code = command_fail(EXIT_CODE_SYSTEM, "out of memory, or of descriptors");
    }
    code = code ? code : find_pcscf(t);
    code = code ? code : open_terminal(t);
    code = code ? code : run(t);
    close_terminal(t);
    free(t);
    return code;
}

static void hide_keys(const struct options *o) {
    command_hide(o->k);
    command_hide(o->op);
    command_hide(o->opc);
}

/* Do the options fit each other? */
static int check_options(const struct command *self, struct options *o, bool named,
                         bool registers) {
    if (o->transport_name &&
        !sip_transport_parse(span_from_cstr(o->transport_name), &o->transport)) {
        return command_usage_error(self, "--transport takes udp, tcp or tls, not \"%s\"",
                                   o->transport_name);
    }
    if (named + (o->imsi != NULL) + (o->user != NULL) != 1) {
        return command_usage_error(
            self, "give a NAME, or --imsi with its keys, or --user with its password");
    }
    if ((o->user != NULL) != o->password_stdin) {
        return command_usage_error(self, "--user and --password-stdin belong together");
    }
    if (!o->timeout_s || (o->stay && !registers)) {
        return command_usage_error(self, o->stay && !registers ? "--stay is of ue register"
                                                               : "--timeout takes at least 1");
    }
    return EXIT_CODE_OK;
}

static int with_password(const struct command *self, struct options *o, const char *name,
                         bool registers) {
    char password[PASSWORD_MAX] = "";
    int code = o->user ? command_read_password(self, password, sizeof password) : EXIT_CODE_OK;
    o->password = password;
    code = code ? code : with_terminal(o, name, registers ? do_register : do_deregister);
    OPENSSL_cleanse(password, sizeof password);
    o->password = NULL;
    return code;
}

static int terminal_command(const struct command *self, int argc, char **argv, bool registers) {
    struct options o = {.timeout_s = TIMEOUT_S};
    const struct option_def options[] = {
        TEXT_OPTION("imsi", "IMSI", "a SIM of this IMSI instead of a NAME", &o.imsi),
        TEXT_OPTION("user", "URI", "a client without SIM: its public identity; it has a password",
                    &o.user),
        FLAG_OPTION("password-stdin", "read its password from standard input, one line",
                    &o.password_stdin),
        TEXT_OPTION("k", "HEX", "its key; or in the environment, as MUSTER_K", &o.k),
        TEXT_OPTION("opc", "HEX", "OPc", &o.opc),
        TEXT_OPTION("op", "HEX", "OP, instead of OPc", &o.op),
        TEXT_OPTION("impi", "ID", "another private identity than the card's", &o.impi),
        TEXT_OPTION("impu", "URI", "the public identity (the card's first)", &o.impu),
        NUMBER_OPTION("expires", "SECONDS", "how long to ask for (600000)", &o.expires_s,
                      UINT32_MAX),
        TEXT_OPTION("pcscf", "HOST",
                    "where to register (the configuration's): an address, or a name", &o.pcscf),
        TEXT_OPTION("transport", "NAME", "udp, tcp or tls to the P-CSCF (udp)", &o.transport_name),
        TEXT_OPTION("local", "ADDRESS", "where to send from", &o.local),
        NUMBER_OPTION("timeout", "SECONDS", "give up after so long (60)", &o.timeout_s, 3600),
        {.name = "config",
         .letter = 'c',
         .value = "FILE",
         .help = "domain, P-CSCF and subscribers are this configuration's",
         .kind = OPTION_TEXT,
         .out = &o.config},
        FLAG_OPTION("stay", "stay registered until SIGINT, then de-register", &o.stay),
        {0},
    };
    const struct usage usage = {
        .arguments = "NAME | --imsi IMSI --k HEX --opc HEX | --user URI --password-stdin",
        .text =
            registers
                ? "Registers a terminal: with IMS-AKA by the key of its card, or with SIP Digest "
                  "by\n"
                  "a password; the strongest algorithm that the network offers. NAME is a\n"
                  "subscriber of the configuration's files: an identity, its user part, or the\n"
                  "beginning of that up to a dot (alice for alice.smith@DOMAIN)."
                : "De-registers all contacts of a public identity. NAME is a subscriber of the\n"
                  "configuration's files: an identity, its user part, or the beginning of that up\n"
                  "to a dot (alice for alice.smith@DOMAIN).",
        .options = options,
        .examples = registers ? "  muster ue register alice\n"
                                "  muster ue register alice --impu sip:alice.work@DOMAIN --stay\n"
                                "  muster ue register --imsi 001010000000001 --k HEX --opc HEX\n"
                                "  muster ue register --user sip:alice@DOMAIN --password-stdin"
                              : "  muster ue deregister alice",
        .max_args = 1,
    };
    struct args rest;
    int code;
    if (!command_parse(self, &usage, argc, argv, &rest, &code)) {
        return code;
    }
    code = check_options(self, &o, rest.n == 1, registers);
    code = code ? code : with_password(self, &o, rest.n ? rest.v[0] : o.imsi, registers);
    hide_keys(&o);
    return code;
}

static int ue_register_command(const struct command *self, int argc, char **argv) {
    return terminal_command(self, argc, argv, true);
}

static int ue_deregister_command(const struct command *self, int argc, char **argv) {
    return terminal_command(self, argc, argv, false);
}

int cmd_ue(const struct command *self, int argc, char **argv) {
    static const struct command commands[] = {
        {"ue register", "registers", ue_register_command},
        {"ue deregister", "ends all registrations of a public identity", ue_deregister_command},
    };
    (void)self;
    return command_dispatch("muster ue", "A terminal, as a client of a running P-CSCF.", commands,
                            COUNT_OF(commands), argc, argv);
}
