/* muster run: the nodes that a configuration names, until somebody ends it. */
#include "app/card.h"
#include "app/command.h"
#include "app/process.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct options {
    const char *config, *log, *store;
    bool memory, no_subscribers;
};

static const char *const uses[NAMING_ROLES] = {
    [NAMING_PCSCF] = "SIP; terminals register here",
    [NAMING_ICSCF] = "SIP",
    [NAMING_SCSCF] = "SIP",
    [NAMING_HSS] = "Diameter over TCP",
};

static void print_row(const char *name, const struct addr *a, const char *use) {
    char where[64];
    struct buf b = buf_init(where, sizeof where);
    addr_put(&b, a);
    printf("  %-10s %-22.*s %s\n", name, SPAN_ARG(buf_span(&b)), use);
}

static void print_hint(const struct options *o, const char *command, const char *what) {
    static const char longest[] = "ue register alice";
    const char *option = o->config ? " -c " : "", *file = o->config ? o->config : "";
    int room = (int)(sizeof longest - 1 - strlen(command));
    printf("  %s %s%s%s%*s  %s\n", program_invocation_name, command, option, file, room, "", what);
}

/* Whose card is in the files of subscribers: the one of the demo, if it is there. */
static bool knows_alice(const struct config *c) {
    struct card card;
    bool known = card_find_in_files(c, SPAN("alice"), false, &card, NULL) == OK;
    if (known) {
        card_free(&card);
    }
    return known;
}

/* What can be tried with this process. */
static void print_hints(const struct options *o, const struct config *c) {
    bool hss = false, pcscf = false;
    for (size_t i = 0; i < c->n_nodes; i++) {
        hss |= c->nodes[i].role == NAMING_HSS && !c->nodes[i].remote;
        pcscf |= c->nodes[i].role == NAMING_PCSCF;
    }
    puts("\nTry:");
    if (hss) {
        print_hint(o, "sub list", "who may register");
    }
    if (pcscf && (!hss || !o->no_subscribers) && knows_alice(c)) {
        print_hint(o, "ue register alice", "a terminal registers");
    }
    print_hint(o, "trace", "what was said meanwhile");
    putchar('\n');
}

static void print_network(const struct options *o, const struct config *c,
                          const struct process *p) {
    printf("Muster " MUSTER_VERSION ", home domain %s\n\n", c->domain);
    for (size_t i = 0; i < c->n_nodes; i++) {
        const struct config_node *n = &c->nodes[i];
        print_row(n->name, &n->listen, n->remote ? "in another process" : uses[n->role]);
        if (n->tls_listen.family && !n->remote) {
            print_row("", &n->tls_listen,
                      n->role == NAMING_HSS ? "Diameter over TLS" : "SIP over TLS");
        }
    }
    struct addr web = process_web(p), tls = process_web_tls(p);
    print_row("web", &web, "HTTP: provisioning and trace");
    if (tls.family) {
        print_row("", &tls, "HTTPS");
    }
    print_hints(o, c);
}

/* Scripts wait for this line. */
static void on_ready(void *ctx) {
    (void)ctx;
    puts("ready");
    fflush(stdout);
}

static enum error load(void *options, struct config *c, char **faults);

static int run_config(struct options *o, const struct config *c) {
    const struct process_options options = {
        .no_subscribers = o->no_subscribers,
        .memory_store = o->memory,
        .store_path = o->store,
        .load = load,
        .ctx = o,
    };
    struct process *p;
    char *message;
    enum error e = process_start(c, &options, &p, &message);
    if (e) {
        int code = command_fail(e == ERR_INVALID ? EXIT_CODE_CONFIG : EXIT_CODE_SYSTEM, "%s",
                                message ? message : error_text(e));
        free(message);
        return code;
    }
    print_network(o, c, p);
    fflush(stdout);
    bool good = process_run(p, on_ready, NULL);
    process_free(p);
    if (good) {
        puts("stopped");
    }
    return good ? EXIT_CODE_OK
                : command_fail(EXIT_CODE_SYSTEM, "the store failed; start again: what was answered "
                                                 "is safe");
}

/* Command line options are one more layer above the file. */
static enum error load(void *options, struct config *c, char **faults) {
    const struct options *o = options;
    char text[64];
    struct buf b = buf_init(text, sizeof text);
    buf_printf(&b, "log: %s\n", o->log ? o->log : "");
    struct span log = buf_span(&b);
    const struct config_layer layers[] = {{o->config, NULL}, {"--log", &log}};
    return config_load_layers(layers, o->log ? 2 : 1, c, faults);
}

int cmd_run(const struct command *self, int argc, char **argv) {
    struct options o = {0};
    const struct option_def options[] = {
        {.name = "config",
         .letter = 'c',
         .value = "FILE",
         .help = "the configuration; without it a whole home network on loopback\n"
                 "(config/home.yaml explains every setting)",
         .kind = OPTION_TEXT,
         .out = &o.config},
        {.name = "store",
         .value = "FOLDER",
         .help = "where the HSS keeps its data, instead of what the configuration says",
         .kind = OPTION_TEXT,
         .out = &o.store},
        {.name = "memory",
         .help = "keep the HSS's data in memory: forgotten at the end",
         .kind = OPTION_FLAG,
         .out = &o.memory},
        {.name = "no-subscribers",
         .help = "do not add the subscribers that the configuration names",
         .kind = OPTION_FLAG,
         .out = &o.no_subscribers},
        {.name = "log",
         .value = "LEVEL",
         .help = "debug, info, notice, warning or error; the log goes to stderr",
         .kind = OPTION_TEXT,
         .out = &o.log},
        {0},
    };
    const struct usage usage = {
        .arguments = "[-c FILE]",
        .text =
            "Runs the nodes that a configuration names until SIGINT or SIGTERM, which end them\n"
            "gracefully; a second signal ends them at once. SIGHUP (or muster reload) takes the\n"
            "configuration anew. Starts all of them or none. Prints\n"
            "\"ready\" when all their connections stand.",
        .options = options,
        .examples = "  muster run\n"
                    "  muster run -c hss.yaml --log debug\n"
                    "  muster run --memory",
    };
    struct args rest;
    int code;
    if (!command_parse(self, &usage, argc, argv, &rest, &code)) {
        return code;
    }
    if (o.memory && o.store) {
        return command_usage_error(self, "--memory and --store exclude each other");
    }
    struct config *c = calloc(1, sizeof *c);
    char *faults = NULL;
    enum error e = c ? load(&o, c, &faults) : ERR_NO_MEMORY;
    if (e) {
        fputs(faults ? faults : "muster: out of memory\n", stderr);
        code = e == ERR_NO_MEMORY ? EXIT_CODE_SYSTEM : EXIT_CODE_CONFIG;
    } else {
        code = run_config(&o, c);
        config_free(c);
    }
    free(faults);
    free(c);
    return code;
}
