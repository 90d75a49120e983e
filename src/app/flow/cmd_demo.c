/* muster demo: runs flows, the ones that are built in or a file. */
#include "app/command.h"
#include "app/flow/flow_builtin.h"
#include "app/flow/run.h"
#include "app/terminal.h"

#include <stdlib.h>
#include <unistd.h>

struct options {
    const char *ladder;
    bool list, simulated, all, ascii;
};

/* Reads a built-in flow by its name, or a file. An exit code. */
static int load(const char *name, struct flow **out) {
    char *faults = NULL;
    enum error err = ERR_NOT_FOUND;
    struct span text = SPAN_NONE;
    const char *names[COUNT_OF(builtin_files)];
    for (size_t i = 0; i < COUNT_OF(builtin_files); i++) {
        struct span file = span_from_cstr(builtin_files[i].name);
        names[i] = builtin_files[i].name;
        if (span_eq(span_slice(file, 0, span_find(file, SPAN(".flow"))), span_from_cstr(name))) {
            text = builtin_files[i].text;
            err = flow_parse(builtin_files[i].name, text, out, &faults);
        }
    }
    bool path = strchr(name, '/') || span_find(span_from_cstr(name), SPAN(".flow")) < strlen(name);
    if (!text.p && path) {
        err = flow_load(name, out, &faults);
    } else if (!text.p) {
        const char *meant = command_suggest(name, names, COUNT_OF(names));
        return command_fail(EXIT_CODE_CONFIG,
                            "there is no flow \"%s\"%s%s; muster demo --list "
                            "names them all",
                            name, meant ? "; did you mean " : "", meant ? meant : "");
    }
    if (err == OK) {
        return EXIT_CODE_OK;
    }
    fputs(faults ? faults : "out of memory\n", stderr);
    free(faults);
    return EXIT_CODE_CONFIG;
}

static void list_flow(const struct flow *f) {
    printf("%.*s\t", SPAN_ARG(f->name));
    for (size_t i = 0; i < f->n_covers; i++) {
        printf("%s%.*s", i ? "," : "", SPAN_ARG(f->covers[i]));
    }
    printf("\t%.*s\n", SPAN_ARG(f->title));
}

/* Calls each for every built-in flow; the first exit code that is not OK, or OK. */
static int each_flow(int (*each)(const struct flow *f, void *ctx), void *ctx) {
    int code = EXIT_CODE_OK;
    for (size_t i = 0; i < COUNT_OF(builtin_files); i++) {
        struct flow *f = NULL;
        char *faults = NULL;
        if (flow_parse(builtin_files[i].name, builtin_files[i].text, &f, &faults) != OK) {
            fputs(faults ? faults : "out of memory\n", stderr);
            free(faults);
            code = code ? code : EXIT_CODE_CONFIG;
            continue;
        }
        int one = each(f, ctx);
        code = code ? code : one;
        flow_free(f);
    }
    return code;
}

static int list_one(const struct flow *f, void *ctx) {
    (void)ctx;
    list_flow(f);
    return EXIT_CODE_OK;
}

/* One flow for a person. */

static int show(const struct options *o, const struct flow_report *report) {
    struct ladder_style style = terminal_style(o->ascii);
    if (o->ladder) {
        enum error err = ladder_write_file(report->ladder, o->ladder);
        if (err) {
            return command_fail(EXIT_CODE_SYSTEM, "%s: %s", o->ladder, error_text(err));
        }
    }
    ladder_write_text(report->ladder, &style, stdout);
    if (!report->passed) {
        fflush(stdout);
        fprintf(stderr, "\n%s", report->text);
        return EXIT_CODE_FAILED;
    }
    return EXIT_CODE_OK;
}

static int run_one(const struct options *o, const char *name) {
    struct flow *f = NULL;
    struct flow_report report;
    char *message = NULL;
    int code = load(name, &f);
    if (code) {
        return code;
    }
    bool simulated = o->simulated || f->only_simulated.n;
    if (simulated && !o->simulated) {
        fprintf(stderr, "In virtual time: %.*s.\n\n", SPAN_ARG(f->only_simulated));
    }
    enum error err = flow_run(f, simulated ? FLOW_SIMULATED : FLOW_SOCKETS, &report, &message);
    if (err == OK) {
        code = show(o, &report);
        flow_report_free(&report);
    } else if (err == ERR_INVALID && message) {
        fputs(message, stderr);
        code = EXIT_CODE_CONFIG;
    } else {
        code = command_fail(EXIT_CODE_SYSTEM, "%s", message ? message : error_text(err));
    }
    free(message);
    flow_free(f);
    return code;
}

/* All flows for a test: Test Anything Protocol. */

struct tap {
    unsigned n;
};

static void tap_diagnostics(const char *text) {
    struct span rest = span_from_cstr(text);
    while (rest.n) {
        struct span line = span_cut(&rest, '\n');
        printf("# %.*s\n", SPAN_ARG(line));
    }
}

static int tap_one(struct tap *tap, const struct flow *f, enum flow_mode mode) {
    struct flow_report report = {0};
    char *message = NULL;
    const char *where = mode == FLOW_SIMULATED ? "simulated" : "over sockets";
    tap->n++;
    if (mode == FLOW_SOCKETS && f->only_simulated.n) {
        printf("ok %u - %.*s %s # SKIP %.*s\n", tap->n, SPAN_ARG(f->name), where,
               SPAN_ARG(f->only_simulated));
        return EXIT_CODE_OK;
    }
    enum error err = flow_run(f, mode, &report, &message);
    bool passed = err == OK && report.passed;
    printf("%s %u - %.*s %s\n", passed ? "ok" : "not ok", tap->n, SPAN_ARG(f->name), where);
    if (!passed) {
        tap_diagnostics(err ? (message ? message : error_text(err)) : report.text);
    }
    fflush(stdout);
    flow_report_free(&report);
    free(message);
    return passed ? EXIT_CODE_OK : EXIT_CODE_FAILED;
}

static int tap_both(const struct flow *f, void *ctx) {
    int simulated = tap_one(ctx, f, FLOW_SIMULATED), sockets = tap_one(ctx, f, FLOW_SOCKETS);
    return simulated ? simulated : sockets;
}

static int run_all(void) {
    struct tap tap = {0};
    printf("1..%zu\n", 2 * COUNT_OF(builtin_files));
    return each_flow(tap_both, &tap);
}

int cmd_demo(const struct command *self, int argc, char **argv) {
    struct options o = {0};
    const struct option_def options[] = {
        {.name = "ladder",
         .letter = 'o',
         .value = "FILE",
         .help = "write the ladder into FILE too; its ending says what: .html, .svg,\n"
                 ".pcapng (for Wireshark), anything else text",
         .kind = OPTION_TEXT,
         .out = &o.ladder},
        {.name = "list",
         .letter = 'l',
         .help = "name the flows: name, requirements, title",
         .kind = OPTION_FLAG,
         .out = &o.list},
        {.name = "simulated",
         .letter = 's',
         .help = "in virtual time instead of over sockets",
         .kind = OPTION_FLAG,
         .out = &o.simulated},
        {.name = "all",
         .help = "run every flow, in virtual time and over sockets; prints TAP",
         .kind = OPTION_FLAG,
         .out = &o.all},
        {.name = "ascii",
         .help = "no box drawing characters",
         .kind = OPTION_FLAG,
         .out = &o.ascii},
        {0},
    };
    const struct usage usage = {
        .arguments = "[NAME] [--ladder FILE] [--simulated] | --list | --all",
        .text =
            "Runs a flow (default: registration): starts its network on loopback, does what it\n"
            "says, compares every message with what the flow expects, and draws the ladder.\n"
            "NAME is one of --list, or the path of a file; docs/flows.md is the language.\n"
            "Exit code 0 only if everything was seen as expected.",
        .options = options,
        .examples = "  muster demo\n"
                    "  muster demo resynchronisation --ladder resync.html\n"
                    "  muster demo ./mine.flow --simulated",
        .max_args = 1,
    };
    struct args rest;
    int code;
    if (!command_parse(self, &usage, argc, argv, &rest, &code)) {
        return code;
    }
    if ((o.list || o.all) && (rest.n || o.ladder)) {
        return command_usage_error(self, "--list and --all take all flows: no NAME, no --ladder");
    }
    if (o.list) {
        return each_flow(list_one, NULL);
    }
    return o.all ? run_all() : run_one(&o, rest.n ? rest.v[0] : "registration");
}
