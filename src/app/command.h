/* Commands and their options: how `muster NAME --option VALUE` is read, explained and refused.
 *
 * A command is a row of the table in main.c and a file of its own, cmd_NAME.c. It describes its
 * options as data; parsing, --help and the texts of errors come from here, so they are alike
 * everywhere. */
#ifndef MUSTER_APP_COMMAND_H
#define MUSTER_APP_COMMAND_H

#include "base/attribute.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Exit codes, the same for all commands. */
enum exit_code {
    EXIT_CODE_OK = 0,
    EXIT_CODE_FAILED = 1,      /* it ran, and what was asked for did not come about */
    EXIT_CODE_USAGE = 2,       /* the command line is wrong */
    EXIT_CODE_CONFIG = 3,      /* a configuration, subscriber or flow file is wrong */
    EXIT_CODE_UNREACHABLE = 4, /* no running Muster, or no P-CSCF of ours, answers there */
    EXIT_CODE_SYSTEM = 5,      /* an address in use, no permission, no memory, a broken disk */
};

struct command {
    const char *name;
    const char *summary; /* one line, for the list of commands */
    /** Runs it; argv[0] is the command's name. Returns an exit code. */
    int (*run)(const struct command *self, int argc, char **argv);
};

enum option_kind {
    OPTION_FLAG,   /* bool */
    OPTION_TEXT,   /* const char * */
    OPTION_NUMBER, /* uint64_t, decimal, at most `max` */
    OPTION_LIST,   /* struct option_list: may be given several times */
};

struct option_list {
    const char *values[32];
    size_t n;
};

struct option_def {
    const char *name;  /* "identity" for --identity; NULL ends a table */
    char letter;       /* 'i' for -i, or 0 */
    const char *value; /* what stands for the value in help: "FILE"; NULL for a flag */
    const char *help;  /* one line, or several separated by \n */
    enum option_kind kind;
    void *out;    /* where the value goes; what stands there before is the default */
    uint64_t max; /* for numbers; 0: no bound */
};

/** Rows of such a table. */
#define FLAG_OPTION(name_, help_, out_)                                                            \
    { .name = (name_), .help = (help_), .kind = OPTION_FLAG, .out = (out_) }
#define TEXT_OPTION(name_, value_, help_, out_)                                                    \
    { .name = (name_), .value = (value_), .help = (help_), .kind = OPTION_TEXT, .out = (out_) }
#define NUMBER_OPTION(name_, value_, help_, out_, max_)                                            \
    {                                                                                              \
        .name = (name_), .value = (value_), .help = (help_), .kind = OPTION_NUMBER, .out = (out_), \
        .max = (max_)                                                                              \
    }

/* What a command says about itself in --help. */
struct usage {
    const char *arguments; /* "[-c FILE]" */
    const char *text;      /* what it does, in sentences, lines of at most 80 characters */
    const struct option_def *options;
    const char *examples; /* lines "command    what it does", or NULL */
    size_t min_args;      /* positional arguments */
    size_t max_args;
};

struct args {
    char **v; /* the positional arguments, in argv's memory */
    size_t n;
};

/** Reads the options of a command into their places. True: go on. False: *exit_code is what the
 * command returns at once (--help was asked for and printed, or the error was). Options may stand
 * before, between and behind arguments; "--" ends them; --name=value and --name value are the
 * same. */
MUST_CHECK bool command_parse(const struct command *command, const struct usage *usage, int argc,
                              char **argv, struct args *rest, int *exit_code);

/** Prints "muster NAME: " and the message, then where to find help; returns EXIT_CODE_USAGE. */
int command_usage_error(const struct command *command, const char *format, ...) PRINTF_LIKE(2, 3);

/** Prints "muster: " and the message on stderr and returns `code`. */
int command_fail(enum exit_code code, const char *format, ...) PRINTF_LIKE(2, 3);

/** Overwrites a secret that came as an argument, where `ps` would show it. NULL is allowed. */
void command_hide(const char *secret);

/** Reads a password from standard input: its first line, without the line's end. Empty or too long
 * ones are refused with a message; an exit code. The caller clears out with OPENSSL_cleanse. */
MUST_CHECK int command_read_password(const struct command *command, char *out, size_t cap);

/** The candidate that `word` was probably meant to be, or NULL: at most two letters away. */
const char *command_suggest(const char *word, const char *const *candidates, size_t n);

/** Runs a subcommand (`muster sub add ...`) by the table of n of them. */
int command_dispatch(const char *prefix, const char *text, const struct command *table, size_t n,
                     int argc, char **argv);

/* The commands, each in src/app/cmd_NAME.c. */

/** muster bench: what the core costs and how fast it is. */
int cmd_bench(const struct command *self, int argc, char **argv);

/** muster demo: a flow, its ladder, its verdict. */
int cmd_demo(const struct command *self, int argc, char **argv);

/** muster run: the nodes that a configuration names. */
int cmd_run(const struct command *self, int argc, char **argv);

/** muster doctor: is a set-up right? */
int cmd_doctor(const struct command *self, int argc, char **argv);

/** muster explain: a subscriber's last attempts, step by step. */
int cmd_explain(const struct command *self, int argc, char **argv);

/** muster reload: a running process takes its configuration anew. */
int cmd_reload(const struct command *self, int argc, char **argv);

/** muster trace: the ladder of a running process. */
int cmd_trace(const struct command *self, int argc, char **argv);

/** muster simulate: networks in virtual time, under faults. */
int cmd_simulate(const struct command *self, int argc, char **argv);

/** muster sub: subscriptions of a running process. */
int cmd_sub(const struct command *self, int argc, char **argv);

/** muster token: who may use the web interface. */
int cmd_token(const struct command *self, int argc, char **argv);

/** muster ue: a terminal. */
int cmd_ue(const struct command *self, int argc, char **argv);

/** muster version. */
int cmd_version(const struct command *self, int argc, char **argv);

/** muster zone: the DNS zone that a configuration needs. */
int cmd_zone(const struct command *self, int argc, char **argv);

#endif
