/* muster doctor: is this set-up right? */
#include "app/command.h"
#include "app/doctor.h"

#include <jansson.h>
#include <stdlib.h>

struct report {
    bool all, json;
    size_t counts[DOCTOR_LEVELS];
    json_t *list;
};

static void on_finding(void *ctx, const struct doctor_finding *f) {
    struct report *r = ctx;
    r->counts[f->level]++;
    if (r->json) {
        json_array_append_new(r->list,
                              json_pack("{s:s,s:s,s:s,s:s}", "level", doctor_level_name(f->level),
                                        "what", f->what, "where", f->where, "mend", f->mend));
    } else if (f->level > DOCTOR_OK || r->all) {
        printf("%-8s %s\n         %s%s%s\n", doctor_level_name(f->level), f->what, f->where,
               *f->mend ? ": " : "", f->mend);
    }
}

static int verdict(const struct report *r) {
    if (r->json) {
        json_dumpf(r->list, stdout, JSON_INDENT(1));
        putchar('\n');
    } else {
        printf("%zu fine, %zu to know, %zu warnings, %zu errors\n", r->counts[DOCTOR_OK],
               r->counts[DOCTOR_NOTE], r->counts[DOCTOR_WARNING], r->counts[DOCTOR_ERROR]);
    }
    return r->counts[DOCTOR_ERROR] ? EXIT_CODE_FAILED : EXIT_CODE_OK;
}

int cmd_doctor(const struct command *self, int argc, char **argv) {
    const char *path = NULL;
    struct report r = {0};
    const struct option_def options[] = {
        {.name = "config",
         .letter = 'c',
         .value = "FILE",
         .help = "the configuration (the home network that is built in)",
         .kind = OPTION_TEXT,
         .out = &path},
        FLAG_OPTION("all", "show also what is fine", &r.all),
        FLAG_OPTION("json", "as JSON", &r.json),
        {0},
    };
    const struct usage usage = {
        .arguments = "[-c FILE]",
        .text = "Is this set-up right? Looks at the configuration, names and DNS, ports, peers,\n"
                "certificates, store, keys, kernel and security, before anything is started or\n"
                "while it runs, and says what to mend. Exit code 1 if there is an error, 3 if the\n"
                "file itself is wrong.",
        .options = options,
        .examples = "  muster doctor -c home.yaml\n"
                    "  muster doctor --all",
    };
    struct args rest;
    int code;
    if (!command_parse(self, &usage, argc, argv, &rest, &code)) {
        return code;
    }
    struct config *c = calloc(1, sizeof *c);
    char *faults = NULL;
    r.list = json_array();
    enum error e = c && r.list ? config_load(path, c, &faults) : ERR_NO_MEMORY;
    if (e) {
        fputs(faults ? faults : "muster: out of memory\n", stderr);
        code = e == ERR_NO_MEMORY ? EXIT_CODE_SYSTEM : EXIT_CODE_CONFIG;
    } else {
        doctor_examine(c, on_finding, &r);
        code = verdict(&r);
        config_free(c);
    }
    json_decref(r.list);
    free(faults);
    free(c);
    return code;
}
