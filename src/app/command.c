#include "app/command.h"

#include "base/span.h"
#include "base/suggest.h"

#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdlib.h>

static void print_failure(const char *format, va_list values) {
    fflush(stdout);
    fputs("muster: ", stderr);
    vfprintf(stderr, format, values);
    fputc('\n', stderr);
}

int command_fail(enum exit_code code, const char *format, ...) {
    va_list values;
    va_start(values, format);
    print_failure(format, values);
    va_end(values);
    return code;
}

int command_usage_error(const struct command *command, const char *format, ...) {
    va_list values;
    va_start(values, format);
    print_failure(format, values);
    va_end(values);
    fprintf(stderr, "Try: muster %s --help\n", command->name);
    return EXIT_CODE_USAGE;
}

void command_hide(const char *secret) {
    if (secret) {
        char *argument; /* argv is ours to write to; options keep it as const */
        memcpy(&argument, &secret, sizeof argument);
        OPENSSL_cleanse(argument, strlen(argument));
    }
}

int command_read_password(const struct command *command, char *out, size_t cap) {
    size_t n = 0;
    int c;
    while ((c = getchar()) != EOF && c != '\n' && n < cap) {
        out[n++] = (char)c;
    }
    n -= n && out[n - 1] == '\r';
    if (n == 0 || n == cap) {
        OPENSSL_cleanse(out, cap);
        return command_usage_error(command, n ? "the password on standard input is too long"
                                              : "there is no password on standard input");
    }
    out[n] = '\0';
    return EXIT_CODE_OK;
}

enum { WORD_MAX = 128 };

const char *command_suggest(const char *word, const char *const *candidates, size_t n) {
    return suggest(word, candidates, n);
}

/* "  -c, --config FILE        text", the text's further lines below its first. */
static void print_option(const struct option_def *o) {
    enum { COLUMN = 26 };
    char left[80];
    int n = snprintf(left, sizeof left, "  %c%c%c --%s%s%s", o->letter ? '-' : ' ',
                     o->letter ? o->letter : ' ', o->letter ? ',' : ' ', o->name,
                     o->value ? " " : "", o->value ? o->value : "");
    if (n >= COLUMN - 1) {
        printf("%s\n%*s", left, COLUMN, "");
    } else {
        printf("%-*s", COLUMN, left);
    }
    for (const char *line = o->help; line;) {
        size_t length = strcspn(line, "\n");
        printf("%.*s\n", (int)length, line);
        line = line[length] ? line + length + 1 : NULL;
        if (line) {
            printf("%*s", COLUMN, "");
        }
    }
}

static void print_help(const struct command *command, const struct usage *usage) {
    static const struct option_def help = {
        .name = "help", .letter = 'h', .help = "this text", .kind = OPTION_FLAG};
    printf("Usage: muster %s %s\n\n%s\n\nOptions:\n", command->name, usage->arguments, usage->text);
    for (const struct option_def *o = usage->options; o && o->name; o++) {
        print_option(o);
    }
    print_option(&help);
    if (usage->examples) {
        printf("\nExamples:\n%s\n", usage->examples);
    }
}

struct parse {
    const struct command *command;
    const struct usage *usage;
    char **argv;
    int argc, at;
    bool failed;
};

static const struct option_def *option_by_name(const struct usage *usage, struct span name) {
    for (const struct option_def *o = usage->options; o && o->name; o++) {
        if (span_eq(span_from_cstr(o->name), name)) {
            return o;
        }
    }
    return NULL;
}

static const struct option_def *option_by_letter(const struct usage *usage, char letter) {
    for (const struct option_def *o = usage->options; o && o->name; o++) {
        if (o->letter == letter) {
            return o;
        }
    }
    return NULL;
}

static void unknown_option(struct parse *p, struct span name) {
    enum { MAX_OPTIONS = 64 };
    const char *names[MAX_OPTIONS];
    size_t n = 0;
    names[n++] = "help";
    for (const struct option_def *o = p->usage->options; o && o->name && n < MAX_OPTIONS; o++) {
        names[n++] = o->name;
    }
    char word[WORD_MAX + 1];
    const char *meant =
        span_to_cstr(name, word, sizeof word) ? command_suggest(word, names, n) : NULL;
    if (meant) {
        command_usage_error(p->command, "unknown option --%.*s: did you mean --%s?", SPAN_ARG(name),
                            meant);
    } else {
        command_usage_error(p->command, "unknown option --%.*s", SPAN_ARG(name));
    }
    p->failed = true;
}

static void take_value(struct parse *p, const struct option_def *o, const char *value) {
    uint64_t number;
    struct option_list *list;
    switch (o->kind) {
    case OPTION_FLAG:
        *(bool *)o->out = true;
        return;
    case OPTION_TEXT:
        *(const char **)o->out = value;
        return;
    case OPTION_NUMBER:
        if (span_to_u64(span_from_cstr(value), o->max ? o->max : UINT64_MAX, &number)) {
            *(uint64_t *)o->out = number;
            return;
        }
        if (o->max) {
            command_usage_error(p->command, "--%s takes a number from 0 to %llu, not \"%s\"",
                                o->name, (unsigned long long)o->max, value);
        } else {
            command_usage_error(p->command, "--%s takes a number, not \"%s\"", o->name, value);
        }
        break;
    case OPTION_LIST:
        list = o->out;
        if (list->n < COUNT_OF(list->values)) {
            list->values[list->n++] = value;
            return;
        }
        command_usage_error(p->command, "--%s is given more than %zu times", o->name,
                            COUNT_OF(list->values));
        break;
    }
    p->failed = true;
}

/* An option whose value, if it takes one, is `attached` or the next argument. */
static void take_option(struct parse *p, const struct option_def *o, const char *attached) {
    if (o->kind == OPTION_FLAG && attached) {
        command_usage_error(p->command, "--%s takes no value", o->name);
        p->failed = true;
        return;
    }
    if (o->kind != OPTION_FLAG && !attached) {
        if (p->at + 1 >= p->argc) {
            command_usage_error(p->command, "--%s needs a value: --%s %s", o->name, o->name,
                                o->value);
            p->failed = true;
            return;
        }
        attached = p->argv[++p->at];
    }
    take_value(p, o, attached);
}

/* Letters may stand together: -qv, -cFILE. */
static void take_letters(struct parse *p, const char *letters) {
    for (; *letters && !p->failed; letters++) {
        const struct option_def *o = option_by_letter(p->usage, *letters);
        if (!o) {
            command_usage_error(p->command, "unknown option -%c", *letters);
            p->failed = true;
        } else if (o->kind == OPTION_FLAG) {
            take_option(p, o, NULL);
        } else {
            take_option(p, o, letters[1] ? letters + 1 : NULL);
            return;
        }
    }
}

static void take_long(struct parse *p, const char *text) {
    struct span name = span_from_cstr(text);
    size_t equals = span_find_char(name, '=');
    const char *attached = equals < name.n ? text + equals + 1 : NULL;
    const struct option_def *o = option_by_name(p->usage, span_slice(name, 0, equals));
    if (o) {
        take_option(p, o, attached);
    } else {
        unknown_option(p, span_slice(name, 0, equals));
    }
}

static bool asks_for_help(int argc, char **argv) {
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            return true;
        }
    }
    return false;
}

bool command_parse(const struct command *command, const struct usage *usage, int argc, char **argv,
                   struct args *rest, int *exit_code) {
    *rest = (struct args){argv + 1, 0};
    *exit_code = EXIT_CODE_OK;
    if (asks_for_help(argc, argv)) {
        print_help(command, usage);
        return false;
    }
    struct parse p = {command, usage, argv, argc, 1, false};
    bool only_arguments = false;
    for (; p.at < argc && !p.failed; p.at++) {
        char *word = argv[p.at];
        if (only_arguments || word[0] != '-' || word[1] == '\0') {
            rest->v[rest->n++] = word; /* never overtakes p.at */
        } else if (strcmp(word, "--") == 0) {
            only_arguments = true;
        } else if (word[1] == '-') {
            take_long(&p, word + 2);
        } else {
            take_letters(&p, word + 1);
        }
    }
    if (!p.failed && rest->n < usage->min_args) {
        command_usage_error(command, "something is missing: muster %s %s", command->name,
                            usage->arguments);
        p.failed = true;
    }
    if (!p.failed && rest->n > usage->max_args) {
        command_usage_error(command, "unexpected argument \"%s\"", rest->v[usage->max_args]);
        p.failed = true;
    }
    *exit_code = p.failed ? EXIT_CODE_USAGE : EXIT_CODE_OK;
    return !p.failed;
}

static void print_commands(const char *prefix, const char *text, const struct command *table,
                           size_t n) {
    printf("Usage: %s COMMAND ...\n\n%s\n\nCommands:\n", prefix, text);
    for (size_t i = 0; i < n; i++) {
        const char *word = strrchr(table[i].name, ' ');
        printf("  %-15s %s\n", word ? word + 1 : table[i].name, table[i].summary);
    }
    printf("\n%s COMMAND --help explains one of them, with examples.\n", prefix);
    fputs("Exit codes: 0 done, 1 not achieved, 2 wrong command line, 3 wrong file,\n"
          "4 no running Muster reached, 5 the system refused (address in use, permission, disk).\n",
          stdout);
}

int command_dispatch(const char *prefix, const char *text, const struct command *table, size_t n,
                     int argc, char **argv) {
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        print_commands(prefix, text, table, n);
        return argc < 2 ? EXIT_CODE_USAGE : EXIT_CODE_OK;
    }
    enum { MAX_COMMANDS = 32 };
    const char *names[MAX_COMMANDS];
    size_t n_names = 0;
    for (size_t i = 0; i < n; i++) {
        const char *word = strrchr(table[i].name, ' ');
        word = word ? word + 1 : table[i].name;
        if (strcmp(argv[1], word) == 0) {
            return table[i].run(&table[i], argc - 1, argv + 1);
        }
        if (n_names < MAX_COMMANDS) {
            names[n_names++] = word;
        }
    }
    const char *meant = command_suggest(argv[1], names, n_names);
    fprintf(stderr, "muster: unknown command \"%s\"%s%s%s\nTry: %s --help\n", argv[1],
            meant ? ": did you mean " : "", meant ? meant : "", meant ? "?" : "", prefix);
    return EXIT_CODE_USAGE;
}
