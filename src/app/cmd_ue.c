/* muster ue: a terminal, as a client of any P-CSCF. */
#include "app/card.h"
#include "app/command.h"
#include "app/config.h"
#include "app/names.h"
#include "app/terminal.h"
#include "rt/loop.h"

#include <errno.h>
#include <netinet/in.h>
#include <openssl/crypto.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    TIMEOUT_S = 60,
    LEAVE_TIMEOUT_S = 10,
    ECHO_MS = 1000,  /* signals within it are one: timeout(1) sends two */
    QUIET_MS = 200,  /* without an answer for so long, it is asked whether there is a socket */
    PROBE_MS = 100,  /* and refusals are waited for */
    SILENT_MS = 2000 /* it is said what is waited for */
};

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
    bool told; /* of a change by the network */
    uint64_t interrupted_us;
    char pcscf_text[64]; /* the address that is tried */
    char tls_fault[320]; /* why TLS did not come about; empty: no reason is known */
    int code;            /* of a failure */
};

/* What the terminal tells. */

static void on_registered(void *ctx, struct ue *ue) {
    struct terminal *t = ctx;
    t->registered = true;
    if (ue_refreshed(ue) || t->told) {
        printf("registered again for %u s\n", ue_expires_s(ue));
        fflush(stdout);
    }
}

static void on_told(void *ctx, struct ue *ue, enum reginfo_event event, uint32_t seconds) {
    struct terminal *t = ctx;
    struct span name = reginfo_event_name(event);
    (void)ue;
    t->told = true;
    printf("the network says: %.*s", SPAN_ARG(name));
    if (seconds) {
        printf(event == REGINFO_SHORTENED ? ", %u s are left" : ", come again in %u s", seconds);
    }
    putchar('\n');
    fflush(stdout);
}

/* Says why not, and where it was tried if nobody answered there. */
static void say_failure(struct terminal *t, const char *what, const struct ue_failure *why) {
    const char *reason = ue_reason_text(why->reason);
    bool nobody = why->reason == UE_REASON_UNREACHABLE || why->reason == UE_REASON_TIMEOUT;
    t->code = nobody ? EXIT_CODE_UNREACHABLE : EXIT_CODE_FAILED;
    t->failed = true;
    fflush(stdout);
    if (why->status) {
        command_fail(t->code, "%s: %s%s: %u %.*s", t->name, what, reason, why->status,
                     SPAN_ARG(why->phrase));
    } else if (nobody) {
        bool tls = *t->tls_fault && why->reason == UE_REASON_UNREACHABLE;
        command_fail(t->code, "%s: %s%s: %s%s%s", t->name, what, reason, t->pcscf_text,
                     tls ? ": " : "", tls ? t->tls_fault : "");
    } else {
        command_fail(t->code, "%s: %s%s", t->name, what, reason);
    }
    char check[CARD_CHECK_TEXT];
    if (why->reason == UE_REASON_FORGED && card_key_check(&t->card, check) == OK) {
        fprintf(stderr, "The card's key check is %s; that of the HSS: muster sub show %.*s\n",
                check, SPAN_ARG(t->card.isim.impi));
    }
}

static void on_deregistered(void *ctx, struct ue *ue) {
    struct terminal *t = ctx;
    const struct ue_failure *why = ue_leaving_failure(ue);
    t->deregistered = true;
    if (why) {
        say_failure(t, "not de-registered: ", why);
    }
}

static void on_failed(void *ctx, struct ue *ue, const struct ue_failure *why) {
    struct terminal *t = ctx;
    (void)ue;
    t->registered = false;
    say_failure(t, "", why);
}

static const struct ue_handler handler = {on_registered, on_deregistered, on_failed, on_told};

static void on_signal(void *ctx, int signum) {
    struct terminal *t = ctx;
    uint64_t now_us = loop_now_us(t->loop);
    (void)signum;
    if (!t->interrupted_us || now_us - t->interrupted_us > ECHO_MS * MS_IN_US) {
        t->interrupted = true;
        t->interrupted_us = now_us;
    }
}

/* The log's lines are told in other words, but for those that say why TLS did not come about. */
static void on_log(void *ctx, struct span line) {
    struct terminal *t = ctx;
    size_t at = span_find(line, SPAN(" fault=\""));
    struct span rest = span_after(line, at + strlen(" fault=\""));
    if (at < line.n && span_find(line, SPAN("tls to a peer failed")) < at) {
        struct span fault = span_cut(&rest, '"'), why = span_after(rest, strlen(" why=\""));
        snprintf(t->tls_fault, sizeof t->tls_fault, "%.*s (%.*s)",
                 SPAN_ARG(span_slice(why, 0, span_find_char(why, '"'))), SPAN_ARG(fault));
    }
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
    struct who_guess guess = {.wanted = t->name};
    enum error e = card_find_in_files(&t->config, span_from_cstr(t->name), true, &t->card, &guess);
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
    struct buf b = buf_init(t->pcscf_text, sizeof t->pcscf_text);
    addr_put(&b, t->pcscf);
    buf_char(&b, '\0');
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
    const struct ue_config ue = {.isim = &t->card.isim,
                                 .expires_s = (uint32_t)t->options->expires_s,
                                 .reg_event = t->options->stay,
                                 .no_retry = true};
    enum error e = loop_env_new(t->loop, "ue", &t->env);
    if (!e) {
        t->env->log.level = t->tls ? LOG_NOTICE : LOG_ERROR; /* what happens is printed */
        t->env->log.write = t->tls ? on_log : t->env->log.write;
        t->env->log.ctx = t;
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

static bool run_for(struct terminal *t, bool (*done)(void *ctx), uint64_t ms) {
    return loop_run_until(t->loop, done, t, loop_now_us(t->loop) + ms * MS_IN_US);
}

/* A socket that hears of it when nobody listens at the P-CSCF's address (ICMP), with an empty line
 * on its way there, which SIP does not mind. -1: none. */
static int open_probe(const struct addr *a) {
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(a->port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(a->port)};
    memcpy(&v4.sin_addr, a->ip, 4);
    memcpy(&v6.sin6_addr, a->ip, 16);
    int fd = socket(a->family == 4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0) {
        bool sent = (a->family == 4 ? connect(fd, (const struct sockaddr *)&v4, sizeof v4)
                                    : connect(fd, (const struct sockaddr *)&v6, sizeof v6)) == 0 &&
                    send(fd, "\r\n\r\n", 4, MSG_DONTWAIT) == 4;
        if (!sent) {
            close(fd);
            fd = -1;
        }
    }
    return fd;
}

/* Does anybody listen at the P-CSCF's address? Only UDP has to ask. */
static bool is_nobody_there(struct terminal *t, bool (*done)(void *ctx)) {
    int why = 0, fd = t->options->transport == SIP_UDP ? open_probe(t->pcscf) : -1;
    socklen_t n = sizeof why;
    if (fd < 0) {
        return false;
    }
    bool ended = run_for(t, done, PROBE_MS);
    bool refused = getsockopt(fd, SOL_SOCKET, SO_ERROR, &why, &n) == 0 && why == ECONNREFUSED;
    close(fd);
    return refused && !ended;
}

/* Waits for the end of what was begun. An exit code, after a message if it is not EXIT_CODE_OK. */
static int wait_for_answer(struct terminal *t, bool (*done)(void *ctx), uint64_t timeout_s,
                           const char *what) {
    uint64_t end_us = loop_now_us(t->loop) + timeout_s * SEC_IN_US;
    bool ended = run_for(t, done, QUIET_MS);
    if (!ended && is_nobody_there(t, done)) {
        return command_fail(EXIT_CODE_UNREACHABLE,
                            "%s: nobody listens at %s, where the P-CSCF should be (UDP)", t->name,
                            t->pcscf_text);
    }
    ended = ended || run_for(t, done, timeout_s > 2 ? SILENT_MS : QUIET_MS);
    if (!ended && loop_now_us(t->loop) < end_us) {
        fprintf(stderr, "waiting for an answer of the P-CSCF at %s\n", t->pcscf_text);
        ended = loop_run_until(t->loop, done, t, end_us);
    }
    if (ended && t->failed) {
        return t->code;
    }
    if (ended && !t->registered && !t->deregistered) {
        return command_fail(EXIT_CODE_FAILED, "%s: interrupted before an answer to %s came",
                            t->name, what);
    }
    return ended ? EXIT_CODE_OK
                 : command_fail(EXIT_CODE_UNREACHABLE, "%s: no answer to %s from the P-CSCF at %s",
                                t->name, what, t->pcscf_text);
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
    t->registered = t->failed = t->interrupted = false;
    ue_deregister(t->ue, scope);
    int code = wait_for_answer(t, is_deregistered, timeout_s, "the de-registration");
    if (code) {
        return code;
    }
    printf("%s is de-registered\n", t->name);
    return EXIT_CODE_OK;
}

static int do_register(struct terminal *t) {
    ue_register(t->ue);
    int code = wait_for_answer(t, is_registered, t->options->timeout_s, "the registration");
    if (code) {
        return code;
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
static int check_options(const struct command *self, struct options *o, bool named) {
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
    if (!o->timeout_s) {
        return command_usage_error(self, "--timeout takes at least 1");
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
    struct option_def options[] = {
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
        NUMBER_OPTION("expires", "SECONDS", "how long to ask for (600000)", &o.expires_s,
                      UINT32_MAX),
        FLAG_OPTION("stay", "stay registered until SIGINT or SIGTERM, then de-register", &o.stay),
        {0},
    };
    if (!registers) {
        options[COUNT_OF(options) - 3] = (struct option_def){0}; /* not the last two */
    }
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
    code = check_options(self, &o, rest.n == 1);
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
