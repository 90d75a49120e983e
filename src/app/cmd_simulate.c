/* muster simulate: whole networks in virtual time, under faults. */
#include "app/command.h"
#include "app/simulation.h"

#include <time.h>

enum { HOUR_S = 3600 };

struct options {
    uint64_t seed, seeds, users, hours;
    const char *faults, *ladder;
};

static double seconds_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* "loss,crash", "all" or "none". */
static bool read_faults(const struct command *self, const char *text, unsigned *out) {
    struct span rest = span_from_cstr(text);
    *out = 0;
    if (!text || span_eq(rest, SPAN("all"))) {
        *out = SIMULATION_ALL_FAULTS;
        return true;
    }
    if (span_eq(rest, SPAN("none"))) {
        return true;
    }
    while (rest.p) {
        struct span name = span_cut(&rest, ',');
        unsigned bit = simulation_fault_of(name);
        if (!bit) {
            command_usage_error(self,
                                "there is no fault \"%.*s\"; there are loss, duplicate, reorder, "
                                "crash, cut, partition, all and none",
                                SPAN_ARG(name));
            return false;
        }
        *out |= bit;
    }
    return true;
}

static void print_passed(const struct simulation_options *s, const struct simulation_report *r) {
    printf(
        "seed %llu: all %u registered after %.1f h; %llu registrations, %llu crashes, %llu cuts, "
        "%llu partitions, %llu of %llu datagrams lost, %llu vectors, %llu assignments\n",
        (unsigned long long)s->seed, s->users, (double)r->virtual_us / 1e6 / HOUR_S,
        (unsigned long long)r->registrations, (unsigned long long)r->crashes,
        (unsigned long long)r->cuts, (unsigned long long)r->partitions, (unsigned long long)r->lost,
        (unsigned long long)r->datagrams, (unsigned long long)r->vectors,
        (unsigned long long)r->assignments);
    fflush(stdout);
}

static int write_ladder(const struct options *o, const struct ladder *l) {
    enum error e = l ? ladder_write_file(l, o->ladder) : ERR_NO_MEMORY;
    return e ? command_fail(EXIT_CODE_SYSTEM, "%s: %s", o->ladder, error_text(e)) : EXIT_CODE_OK;
}

static int run_seed(const struct options *o, const struct simulation_options *s) {
    struct simulation_report report;
    struct ladder *ladder = NULL;
    enum error e = simulation_run(s, &report, &ladder);
    int code = EXIT_CODE_OK;
    if (e) {
        code = command_fail(EXIT_CODE_SYSTEM, "%s", report.fault);
    } else if (report.passed) {
        print_passed(s, &report);
    } else {
        printf("seed %llu: FAILED %s\n", (unsigned long long)s->seed, report.fault);
        code = EXIT_CODE_FAILED;
    }
    if (!e && o->ladder) {
        int written = write_ladder(o, ladder);
        code = code ? code : written;
    }
    ladder_free(ladder);
    return code;
}

static int run_seeds(const struct options *o, struct simulation_options s) {
    double began = seconds_now();
    uint64_t failed = 0, first = 0;
    for (uint64_t i = 0; i < o->seeds; i++) {
        s.seed = o->seed + i;
        int code = run_seed(o, &s);
        if (code == EXIT_CODE_FAILED) {
            first = failed++ ? first : s.seed;
        } else if (code) {
            return code;
        }
    }
    printf("%llu of %llu seeds passed in %.1f s\n", (unsigned long long)(o->seeds - failed),
           (unsigned long long)o->seeds, seconds_now() - began);
    if (failed) {
        printf("Again: muster simulate --seed %llu --ladder failed.html, with the other options as "
               "they are\n",
               (unsigned long long)first);
    }
    return failed ? EXIT_CODE_FAILED : EXIT_CODE_OK;
}

int cmd_simulate(const struct command *self, int argc, char **argv) {
    struct options o = {.seed = 1, .seeds = 1, .users = 50, .hours = 1};
    const struct option_def options[] = {
        {.name = "seed",
         .value = "N",
         .help = "the run's seed (1): the same one gives the same run",
         .kind = OPTION_NUMBER,
         .out = &o.seed},
        {.name = "seeds",
         .value = "COUNT",
         .help = "so many runs, with seeds that follow each other (1)",
         .kind = OPTION_NUMBER,
         .out = &o.seeds,
         .max = UINT32_MAX},
        {.name = "users",
         .value = "N",
         .help = "terminals (50)",
         .kind = OPTION_NUMBER,
         .out = &o.users,
         .max = 10000},
        {.name = "hours",
         .value = "H",
         .help = "virtual hours with faults (1)",
         .kind = OPTION_NUMBER,
         .out = &o.hours,
         .max = 100000},
        {.name = "faults",
         .value = "LIST",
         .help = "of loss, duplicate, reorder, crash, cut, partition; all (default), none",
         .kind = OPTION_TEXT,
         .out = &o.faults},
        {.name = "ladder",
         .letter = 'o',
         .value = "FILE",
         .help = "write the newest messages of the run (of one seed) into FILE",
         .kind = OPTION_TEXT,
         .out = &o.ladder},
        {0},
    };
    const struct usage usage = {
        .arguments = "[registration] [--seed N] [--seeds COUNT] [--hours H] [--faults LIST]",
        .text =
            "Runs a whole network in virtual time: terminals register and stay registered behind\n"
            "lossy links while nodes crash and connections break. At the end all must be\n"
            "registered; no SQN may have been used twice, and no assignment that the HSS has\n"
            "acknowledged may be lost. A run that fails is repeated by its seed.",
        .options = options,
        .examples = "  muster simulate\n"
                    "  muster simulate --seeds 100\n"
                    "  muster simulate --seed 17 --faults loss,crash --ladder seed17.html",
        .max_args = 1,
    };
    struct args rest;
    struct simulation_options s = {0};
    int code;
    if (!command_parse(self, &usage, argc, argv, &rest, &code)) {
        return code;
    }
    if (rest.n && strcmp(rest.v[0], "registration") != 0) {
        return command_usage_error(self, "there is no simulation \"%s\"; there is registration",
                                   rest.v[0]);
    }
    if (!o.users || !o.seeds || (o.ladder && o.seeds != 1)) {
        return command_usage_error(self, o.ladder ? "--ladder is for one seed"
                                                  : "--users and --seeds take at least 1");
    }
    if (!read_faults(self, o.faults, &s.faults)) {
        return EXIT_CODE_USAGE;
    }
    s.users = (uint32_t)o.users;
    s.storm_s = (uint32_t)(o.hours * HOUR_S);
    s.keep_messages = o.ladder != NULL;
    return run_seeds(&o, s);
}
