/* muster bench NAME: what the core costs and how fast it is. */
#include "app/bench.h"
#include "app/command.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* What can be measured. */
struct bench_kind {
    const char *name;
    const char *unit;     /* in core_cpu_us_per_UNIT */
    unsigned roles;       /* nodes of the core */
    uint64_t outstanding; /* unless said otherwise */
    enum error (*run)(const struct bench_options *options, const struct bench_core *core,
                      struct bench_window *out);
    bool one_by_one; /* people want to see one outstanding as well */
};

static enum error run_registration(const struct bench_options *options,
                                   const struct bench_core *core, struct bench_window *out) {
    return bench_registration(options, core, false, out);
}

static enum error run_reregistration(const struct bench_options *options,
                                     const struct bench_core *core, struct bench_window *out) {
    return bench_registration(options, core, true, out);
}

enum { ALL_ROLES = (1 << NAMING_ROLES) - 1, PACED_OUTSTANDING = 10000 };

static const struct bench_kind kinds[] = {
    {"registration", "registration", ALL_ROLES, 64, run_registration, false},
    {"reregistration", "registration", ALL_ROLES, 64, run_reregistration, false},
    {"cx", "request", 1 << NAMING_HSS, 64, bench_cx, true},
};

static const struct bench_kind *find_kind(const char *name) {
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        if (strcmp(kinds[i].name, name) == 0) {
            return &kinds[i];
        }
    }
    return NULL;
}

static double per_second(uint64_t n, const struct bench_window *w) {
    return w->length_us ? (double)n * 1e6 / (double)w->length_us : 0;
}

static double cpu_each(const struct bench_window *w) {
    return w->done ? (double)w->cpu_us / (double)w->done : 0;
}

static double quantile_ms(const struct bench_window *w, unsigned thousandths) {
    return (double)histogram_quantile(&w->latency_us, thousandths) / 1e3;
}

static int print_json(const struct bench_kind *kind, const struct bench_options *o,
                      const struct bench_core *core, const struct bench_window *w, size_t nodes) {
    char cpu_name[64];
    snprintf(cpu_name, sizeof cpu_name, "core_cpu_us_per_%s", kind->unit);
    json_t *j = json_pack(
        "{s:f, s:f, s:I, s:f, s:f, s:f, s:I, s:I, s:I, s:b, s:s, s:s, s:s}", "offered_per_s",
        per_second(w->offered, w), "done_per_s", per_second(w->done, w), "failed",
        (json_int_t)w->failed, cpu_name, cpu_each(w), "p50_ms", quantile_ms(w, 500), "p99_ms",
        quantile_ms(w, 990), "core_rss_bytes", (json_int_t)w->rss_bytes, "users",
        (json_int_t)o->users, "nodes_per_process", (json_int_t)(nodes / core->n), "reg_event",
        o->reg_event, "store", core->store, "commit", core->commit, "version", MUSTER_VERSION);
    if (!j || json_dumpf(j, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(6))) {
        json_decref(j);
        return command_fail(EXIT_CODE_SYSTEM, "out of memory");
    }
    putchar('\n');
    json_decref(j);
    return EXIT_CODE_OK;
}

static void print_text(const struct bench_kind *kind, const struct bench_options *o,
                       const struct bench_core *core, const struct bench_window *w, size_t nodes) {
    double datagram_us = (double)bench_datagram_cpu_ns() / 1e3;
    printf("%s: %.0f a second, %llu failed\n", kind->name, per_second(w->done, w),
           (unsigned long long)w->failed);
    printf("  core      %.1f us of CPU for each %s, %.1f MiB resident\n", cpu_each(w), kind->unit,
           (double)w->rss_bytes / 1048576);
    if (datagram_us > 0) {
        printf("            as much as %.1f datagrams sent and received here and now (%.2f us)\n",
               cpu_each(w) / datagram_us, datagram_us);
    }
    printf("  latency   %.2f ms median, %.2f ms at 99 %%\n", quantile_ms(w, 500),
           quantile_ms(w, 990));
    printf("  load      %llu users, %llu outstanding, %.0f offered a second, %.0f %% of a CPU\n",
           (unsigned long long)o->users, (unsigned long long)o->outstanding,
           per_second(w->offered, w), 100.0 * (double)w->own_cpu_us / (double)w->length_us);
    printf("            each user had %.1f turns in the time that was measured\n",
           (double)w->done / (double)o->users);
    printf("  set-up    nodes a process: %zu, store: %s, commits: %s, measured for %llu s%s\n",
           nodes / core->n, core->store, core->commit, (unsigned long long)o->seconds,
           o->reg_event ? ", with reg-event" : "");
    fflush(stdout);
}

static void report(const struct bench_kind *kind, const struct bench_options *o,
                   const struct bench_core *core, const struct bench_window *w, bool json,
                   int *code) {
    size_t nodes = (size_t)__builtin_popcount(kind->roles);
    if (!json) {
        print_text(kind, o, core, w, nodes);
    } else if (*code == EXIT_CODE_OK) {
        *code = print_json(kind, o, core, w, nodes);
    }
}

static int print_overload(const struct bench_options *o, const struct bench_overload *b,
                          bool json) {
    const struct bench_window *at = &b->median->at_rate, *over = &b->median->over;
    double good = per_second(over->done, over), p99_ms = quantile_ms(over, 990);
    bool ok = b->median->share >= 0.9 && p99_ms < 500 && b->well_after;
    if (json) {
        json_t *j =
            json_pack("{s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:I, s:I, s:b, s:b, s:s}", "rate",
                      (json_int_t)b->rate, "at_rate_per_s", per_second(at->done, at),
                      "offered_per_s", per_second(over->offered, over), "goodput_per_s", good,
                      "goodput_share", b->median->share, "p50_ms", quantile_ms(over, 500), "p99_ms",
                      p99_ms, "rss_bytes_at_rate", (json_int_t)at->rss_bytes, "rss_bytes_over",
                      (json_int_t)over->rss_bytes, "well_after_5_s", b->well_after, "passed", ok,
                      "version", MUSTER_VERSION);
        int failed = !j || json_dumpf(j, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(6));
        json_decref(j);
        putchar('\n');
        return failed ? command_fail(EXIT_CODE_SYSTEM, "out of memory")
               : ok   ? EXIT_CODE_OK
                      : EXIT_CODE_FAILED;
    }
    printf("overload: %llu a second are served well (R), %.1f R were offered\n",
           (unsigned long long)b->rate, o->overload);
    printf("  goodput   %.0f a second, %.0f %% of the %.0f served at R just before (%.0f %% to "
           "%.0f %% in %d rounds)\n",
           good, 100 * b->median->share, per_second(at->done, at), 100 * b->rounds[0].share,
           100 * b->rounds[BENCH_OVERLOAD_ROUNDS - 1].share, BENCH_OVERLOAD_ROUNDS);
    printf("  latency   %.1f ms median, %.1f ms at 99 %% of what is served\n",
           quantile_ms(over, 500), p99_ms);
    printf("  memory    %.1f MiB at R, %.1f MiB under overload\n", (double)at->rss_bytes / 1048576,
           (double)over->rss_bytes / 1048576);
    printf("  load      %.0f offered a second, %.0f %% of a CPU\n", per_second(over->offered, over),
           100.0 * (double)over->own_cpu_us / (double)over->length_us);
    printf("  after 5 s %s\n", b->well_after ? "all is well again" : "it is not well yet");
    return ok ? EXIT_CODE_OK : EXIT_CODE_FAILED;
}

static int measure_overload(const struct bench_options *o, bool json) {
    struct bench_core core = {0};
    struct bench_overload *b = calloc(1, sizeof *b);
    int code = EXIT_CODE_SYSTEM;
    if (!b) {
        return command_fail(EXIT_CODE_SYSTEM, "out of memory");
    }
    bench_hold_signals();
    enum error e = o->pcscf ? bench_core_adopt(o, &core) : bench_core_start(o, ALL_ROLES, &core);
    if (!e && !bench_overload(o, &core, b)) {
        code = print_overload(o, b, json);
    }
    if (!bench_core_stop(&core) && code == EXIT_CODE_OK) {
        code = EXIT_CODE_FAILED;
    }
    free(b);
    return code;
}

static double wire_ms(const struct bench_change *b, unsigned thousandths) {
    return (double)histogram_quantile(&b->wire_us, thousandths) / 1e3;
}

static int print_change(const struct bench_change *b, bool json) {
    double max_ms = (double)b->wire_us.max / 1e3;
    if (!json) {
        printf(
            "%llu registrations a second are the HSS's limit; at %llu of them a second (%.0f done, "
            "%llu failed):\n%llu of %llu changes on the wire as PPR, p50 %.2f ms, p99 %.2f ms, "
            "max %.2f ms\n",
            (unsigned long long)b->limit, (unsigned long long)b->rate,
            per_second(b->load.done, &b->load), (unsigned long long)b->load.failed,
            (unsigned long long)b->wire_us.count, (unsigned long long)b->changes, wire_ms(b, 500),
            wire_ms(b, 990), max_ms);
        return EXIT_CODE_OK;
    }
    json_t *j = json_pack("{s:I, s:I, s:f, s:I, s:I, s:I, s:I, s:f, s:f, s:f, s:s}", "limit_per_s",
                          (json_int_t)b->limit, "offered_per_s", (json_int_t)b->rate, "done_per_s",
                          per_second(b->load.done, &b->load), "failed", (json_int_t)b->load.failed,
                          "changes", (json_int_t)b->changes, "refused", (json_int_t)b->refused,
                          "on_the_wire", (json_int_t)b->wire_us.count, "p50_ms", wire_ms(b, 500),
                          "p99_ms", wire_ms(b, 990), "max_ms", max_ms, "version", MUSTER_VERSION);
    if (!j || json_dumpf(j, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(6))) {
        json_decref(j);
        return command_fail(EXIT_CODE_SYSTEM, "out of memory");
    }
    putchar('\n');
    json_decref(j);
    return EXIT_CODE_OK;
}

static int measure_change(const struct bench_options *o, bool json) {
    struct bench_core core = {0};
    struct bench_change *b = calloc(1, sizeof *b);
    int code = EXIT_CODE_SYSTEM;
    if (!b) {
        return command_fail(EXIT_CODE_SYSTEM, "out of memory");
    }
    bench_hold_signals();
    enum error e = bench_core_start(o, 1 << NAMING_HSS, &core);
    if (!e && !bench_change(o, &core, b)) {
        code = print_change(b, json);
        code = code ? code : b->refused || !b->wire_us.count ? EXIT_CODE_FAILED : EXIT_CODE_OK;
    }
    if (!bench_core_stop(&core) && code == EXIT_CODE_OK) {
        code = EXIT_CODE_FAILED;
    }
    free(b);
    return code;
}

static int measure(const struct bench_kind *kind, struct bench_options o, bool json) {
    struct bench_core core = {0};
    struct bench_window *window = calloc(1, sizeof *window);
    int code = EXIT_CODE_SYSTEM;
    if (!window) {
        return command_fail(EXIT_CODE_SYSTEM, "out of memory");
    }
    if (o.outstanding == 0) {
        o.outstanding = o.rate ? PACED_OUTSTANDING : kind->outstanding;
    }
    enum error e = o.pcscf ? bench_core_adopt(&o, &core) : bench_core_start(&o, kind->roles, &core);
    for (bool more = true; more && !e;) {
        e = kind->run(&o, &core, window);
        if (!e) {
            code = window->done ? EXIT_CODE_OK : EXIT_CODE_FAILED;
            report(kind, &o, &core, window, json, &code);
        }
        more = !json && kind->one_by_one && o.outstanding > 1; /* and one after the other */
        o.outstanding = 1;
    }
    if (!bench_core_stop(&core) && !e) {
        code = EXIT_CODE_FAILED;
    }
    free(window);
    return e ? EXIT_CODE_SYSTEM : code;
}

/* What is asked for, or everything. */
static int measure_all(const struct bench_kind *only, const struct bench_options *o, bool json) {
    int code = EXIT_CODE_OK;
    bench_hold_signals();
    for (size_t i = 0; i < COUNT_OF(kinds) && code == EXIT_CODE_OK; i++) {
        if (!only || only == &kinds[i]) {
            code = measure(&kinds[i], *o, json);
        }
    }
    return code;
}

static int no_such_kind(const struct command *self, const char *name) {
    const char *names[COUNT_OF(kinds)];
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        names[i] = kinds[i].name;
    }
    const char *meant = command_suggest(name, names, COUNT_OF(names));
    return command_usage_error(self, "there is no benchmark \"%s\"%s%s%s", name,
                               meant ? "; did you mean \"" : "", meant ? meant : "",
                               meant ? "\"?" : "");
}

/* What the options may not be together; EXIT_CODE_OK if all is well. */
static int check_options(const struct command *self, const struct bench_kind *kind,
                         const struct bench_options *o, bool json) {
    if (o->users == 0 || o->seconds == 0) {
        return command_usage_error(self, "--users and --seconds must be at least 1");
    }
    if (json && !kind) {
        return command_usage_error(self, "--json needs a NAME: it prints one object");
    }
    if (o->once && (!kind || kind->run != run_registration)) {
        return command_usage_error(self, "--once is for registration");
    }
    if (o->reg_event && (!kind || kind->run == bench_cx)) {
        return command_usage_error(self, "--reg-event is for registration and reregistration");
    }
    if (o->rate && (!kind || kind->run == bench_cx)) {
        return command_usage_error(self, "--rate is for registration and reregistration");
    }
    if ((o->pcscf || o->web || o->pids) &&
        (!(o->pcscf && o->web && o->pids) || !kind || kind->run == bench_cx)) {
        return command_usage_error(self, "--pcscf, --web and --pids go together, with registration "
                                         "or reregistration");
    }
    return EXIT_CODE_OK;
}

int cmd_bench(const struct command *self, int argc, char **argv) {
    struct bench_options o = {.users = 10000, .seconds = 10, .warmup_s = 1};
    bool json = false;
    uint64_t overload = 2;
    const char *transport = NULL;
    const struct option_def options[] = {
        NUMBER_OPTION("users", "N", "subscribers that take turns (10000)", &o.users, 10000000),
        NUMBER_OPTION("seconds", "S", "how long is measured (10)", &o.seconds, 86400),
        NUMBER_OPTION("warm-up", "S", "load before that (1)", &o.warmup_s, 86400),
        NUMBER_OPTION("outstanding", "N",
                      "under way at a time (64; with --rate at most that many, 10000)",
                      &o.outstanding, 1000000),
        NUMBER_OPTION("rate", "N",
                      "begin N a second, whatever the core takes; latency counts from when\n"
                      "they were due (as many as the core takes; not for cx)",
                      &o.rate, 10000000),
        NUMBER_OPTION("times", "N",
                      "with overload: offer so many times the rate that is served (2)", &overload,
                      100),
        FLAG_OPTION("once",
                    "each user registers once, whatever --warm-up says: what does the first\n"
                    "registration of a subscriber cost?",
                    &o.once),
        FLAG_OPTION("reg-event",
                    "terminals and P-CSCF subscribe to registration state, as they do in\n"
                    "muster run; without it REGISTER alone is measured",
                    &o.reg_event),
        FLAG_OPTION("split", "a process for each node, with sockets between them", &o.split),
        FLAG_OPTION("memory", "a store that keeps nothing: what does durability cost?", &o.memory),
        TEXT_OPTION("folder", "DIR",
                    "for store and logs, on the disk that is to be measured, and kept\n"
                    "(a new one in $TMPDIR or /var/tmp, removed at the end)",
                    &o.folder),
        TEXT_OPTION("transport", "NAME", "of the terminals: udp, or tcp over 256 connections (udp)",
                    &transport),
        TEXT_OPTION("pcscf", "ADDRESS",
                    "measure a core that runs already, at this P-CSCF, whoever made it", &o.pcscf),
        TEXT_OPTION("web", "ADDRESS",
                    "of the Muster HSS behind it: the subscribers are added there", &o.web),
        TEXT_OPTION("pids", "P,P,...", "the processes that are the core: their CPU time is counted",
                    &o.pids),
        FLAG_OPTION("json", "print one JSON object", &json),
        {.name = NULL},
    };
    const struct usage usage = {
        .arguments = "[NAME] [--users N] [--seconds S] [--json]",
        .text =
            "Measures a core that it starts for the purpose, in processes of its own: rate,\n"
            "latency, memory, and the CPU time that the core takes for each. The load is made\n"
            "by this process and not counted. Without a NAME all are measured:\n"
            "  registration    full registrations with AKA\n"
            "  reregistration  the same for terminals that are registered\n"
            "  cx              UAR and UAA over one TCP connection to the HSS\n"
            "or, when named, overload: the rate that is served well, and what is served when a\n"
            "multiple of it is offered; or change: how long it takes until a change of a\n"
            "subscriber is on its way to the S-CSCF, while the HSS is busy to 70 %",
        .options = options,
        .examples = "  muster bench registration --users 100000 --seconds 10 --json\n"
                    "  muster bench registration --rate 2000    latency at a given load\n"
                    "  muster bench cx --outstanding 1          one request after the other",
        .max_args = 1,
    };
    struct args args;
    int code;
    if (!command_parse(self, &usage, argc, argv, &args, &code)) {
        return code;
    }
    if (transport &&
        (!sip_transport_parse(span_from_cstr(transport), &o.transport) || o.transport == SIP_TLS)) {
        return command_usage_error(self, "--transport takes udp or tcp, not \"%s\"", transport);
    }
    if (args.n && strcmp(args.v[0], "overload") == 0) {
        o.overload = (double)overload;
        return measure_overload(&o, json);
    }
    if (args.n && strcmp(args.v[0], "change") == 0) {
        return measure_change(&o, json);
    }
    const struct bench_kind *kind = args.n ? find_kind(args.v[0]) : NULL;
    if (args.n && !kind) {
        return no_such_kind(self, args.v[0]);
    }
    code = check_options(self, kind, &o, json);
    return code ? code : measure_all(kind, &o, json);
}
