/* muster simulate: whole networks in virtual time, under faults. */
#include "app/command.h"
#include "app/simulation_jobs.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { HOUR_S = 3600, HOURS_MAX = 100000, WRITES = 6, WRITES_MAX = 10000 };

struct options {
    uint64_t seed, seeds, users, writes, jobs;
    const char *faults, *ladder, *hours;
    bool quiet;
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
                                "crash, cut, partition, clock, all and none",
                                SPAN_ARG(name));
            return false;
        }
        *out |= bit;
    }
    return true;
}

/* "1", "0.5" */
static bool read_hours(const struct command *self, const char *text, uint32_t *storm_s) {
    char *end = NULL;
    double hours = text ? strtod(text, &end) : 1;
    if (text && (*end || end == text || !(hours > 0 && hours <= HOURS_MAX))) {
        command_usage_error(self, "--hours takes a number above 0, at most %d: 0.5, 24", HOURS_MAX);
        return false;
    }
    *storm_s = (uint32_t)(hours * HOUR_S);
    return true;
}

static void print_passed(uint64_t seed, uint32_t users, const struct simulation_report *r) {
    printf(
        "seed %llu: all %u registered after %.1f h; %llu registrations, %llu crashes, %llu cuts, "
        "%llu partitions, %llu of %llu datagrams lost, %llu vectors, %llu assignments, %llu "
        "changes of subscribers\n",
        (unsigned long long)seed, users, (double)r->virtual_us / 1e6 / HOUR_S,
        (unsigned long long)r->registrations, (unsigned long long)r->crashes,
        (unsigned long long)r->cuts, (unsigned long long)r->partitions, (unsigned long long)r->lost,
        (unsigned long long)r->datagrams, (unsigned long long)r->vectors,
        (unsigned long long)r->assignments, (unsigned long long)r->writes);
    fflush(stdout);
}

static int write_ladder(const struct options *o, const struct ladder *l) {
    enum error e = l ? ladder_write_file(l, o->ladder) : ERR_NO_MEMORY;
    return e ? command_fail(EXIT_CODE_SYSTEM, "%s: %s", o->ladder, error_text(e)) : EXIT_CODE_OK;
}

static void print_failed(uint64_t seed, const struct simulation_report *r) {
    printf("seed %llu: FAILED %s\n", (unsigned long long)seed, r->fault);
    fflush(stdout);
}

/* One seed, in this process, with a ladder of its end. */
static int run_with_ladder(const struct options *o, const struct simulation_options *s) {
    struct simulation_report report;
    struct ladder *ladder = NULL;
    enum error e = simulation_run(s, &report, &ladder);
    int code = EXIT_CODE_OK;
    if (e) {
        code = command_fail(EXIT_CODE_SYSTEM, "%s", report.fault);
    } else if (report.passed) {
        print_passed(s->seed, s->users, &report);
    } else {
        print_failed(s->seed, &report);
        code = EXIT_CODE_FAILED;
    }
    if (!e) {
        int written = write_ladder(o, ladder);
        code = code ? code : written;
    }
    ladder_free(ladder);
    return code;
}

/* What became of all seeds. */
struct tally {
    const struct options *o;
    uint64_t done, failed, first_failed;
    uint64_t registrations, crashes, cuts, vectors, writes;
    bool progress;
};

static bool on_seed(void *ctx, uint64_t seed, const struct simulation_report *r) {
    struct tally *t = ctx;
    t->done++;
    t->registrations += r->registrations;
    t->crashes += r->crashes;
    t->cuts += r->cuts;
    t->vectors += r->vectors;
    t->writes += r->writes;
    if (!r->passed) {
        t->first_failed = t->failed++ ? t->first_failed : seed;
        print_failed(seed, r);
    } else if (!t->o->quiet) {
        print_passed(seed, (uint32_t)t->o->users, r);
    } else if (t->progress && t->done % 10 == 0) {
        fprintf(stderr, "\r%llu of %llu seeds", (unsigned long long)t->done,
                (unsigned long long)t->o->seeds);
    }
    return true;
}

static int run_seeds(const struct options *o, const struct simulation_options *s) {
    struct tally t = {.o = o, .progress = isatty(STDERR_FILENO)};
    double began = seconds_now();
    enum error e = simulation_run_many(s, o->seeds, (unsigned)o->jobs, on_seed, &t);
    if (e) {
        return command_fail(EXIT_CODE_SYSTEM, "no processes for the runs: %s", error_text(e));
    }
    if (o->quiet && t.progress) {
        fputc('\r', stderr);
    }
    printf("%llu of %llu seeds passed in %.1f s: %llu registrations, %llu crashes, %llu cuts, "
           "%llu vectors, %llu changes of subscribers\n",
           (unsigned long long)(t.done - t.failed), (unsigned long long)o->seeds,
           seconds_now() - began, (unsigned long long)t.registrations,
           (unsigned long long)t.crashes, (unsigned long long)t.cuts, (unsigned long long)t.vectors,
           (unsigned long long)t.writes);
    if (t.failed) {
        printf("Again: muster simulate --seed %llu --ladder failed.html, with the other options as "
               "they are\n",
               (unsigned long long)t.first_failed);
    }
    return t.failed ? EXIT_CODE_FAILED : EXIT_CODE_OK;
}

int cmd_simulate(const struct command *self, int argc, char **argv) {
    struct options o = {.seed = 1, .seeds = 1, .users = 50, .writes = WRITES};
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    const struct option_def options[] = {
        {.name = "seed",
         .value = "N",
         .help = "the run's seed (1): the same one gives the same run",
         .kind = OPTION_NUMBER,
         .out = &o.seed},
        NUMBER_OPTION("seeds", "COUNT", "so many runs, with seeds that follow each other (1)",
                      &o.seeds, UINT32_MAX),
        NUMBER_OPTION("users", "N", "terminals (50)", &o.users, 10000),
        TEXT_OPTION("hours", "H", "virtual hours with faults, fractions too (1)", &o.hours),
        TEXT_OPTION("faults", "LIST",
                    "of loss, duplicate, reorder, crash, cut, partition, clock; all, none",
                    &o.faults),
        {.name = "writes",
         .value = "N",
         .help = "changes of subscribers and profiles in a virtual minute (6); 0: none",
         .kind = OPTION_NUMBER,
         .out = &o.writes,
         .max = WRITES_MAX},
        {.name = "jobs",
         .letter = 'j',
         .value = "N",
         .help = "seeds side by side, each in a process (the number of processors)",
         .kind = OPTION_NUMBER,
         .out = &o.jobs,
         .max = SIMULATION_JOBS_MAX},
        {.name = "quiet",
         .letter = 'q',
         .help = "only failures and the sum",
         .kind = OPTION_FLAG,
         .out = &o.quiet},
        {.name = "ladder",
         .letter = 'o',
         .value = "FILE",
         .help = "write the newest messages of the run (of one seed) into FILE",
         .kind = OPTION_TEXT,
         .out = &o.ladder},
        {0},
    };
    const struct usage usage = {
        .arguments =
            "[changes | registration] [--seed N] [--seeds COUNT] [--hours H] [--faults LIST]",
        .text =
            "Runs a whole network in virtual time: terminals register and stay registered behind\n"
            "lossy links while nodes crash, connections break, and subscribers and profiles are\n"
            "changed. At the end all must be registered, and everybody must believe of them what\n"
            "the HSS holds; no SQN may have been used twice, and nothing that the HSS has\n"
            "acknowledged may be lost. A run that fails is repeated by its seed.\n\n"
            "  changes        all of that (the default)\n"
            "  registration   registrations alone: nobody subscribes to registration state, and\n"
            "                 no subscriber changes",
        .options = options,
        .examples = "  muster simulate\n"
                    "  muster simulate --seeds 100\n"
                    "  muster simulate registration --seeds 1000 --users 200 --hours 0.5 --quiet\n"
                    "  muster simulate --seed 17 --faults loss,crash --ladder seed17.html",
        .max_args = 1,
    };
    struct args rest;
    struct simulation_options s = {0};
    int code;
    if (!command_parse(self, &usage, argc, argv, &rest, &code)) {
        return code;
    }
    bool registration = rest.n && strcmp(rest.v[0], "registration") == 0;
    if (rest.n && !registration && strcmp(rest.v[0], "changes") != 0) {
        return command_usage_error(
            self, "there is no simulation \"%s\"; there are changes and registration", rest.v[0]);
    }
    if (!o.users || !o.seeds || (o.ladder && o.seeds != 1)) {
        return command_usage_error(self, o.ladder ? "--ladder is for one seed"
                                                  : "--users and --seeds take at least 1");
    }
    if (!read_faults(self, o.faults, &s.faults) || !read_hours(self, o.hours, &s.storm_s)) {
        return EXIT_CODE_USAGE;
    }
    s.seed = o.seed;
    s.users = (uint32_t)o.users;
    s.writes = registration ? 0 : (uint32_t)o.writes;
    s.reg_event = !registration;
    s.keep_messages = o.ladder != NULL;
    o.jobs = o.jobs ? o.jobs : cpus > 0 ? (uint64_t)cpus : 1;
    return o.ladder ? run_with_ladder(&o, &s) : run_seeds(&o, &s);
}
