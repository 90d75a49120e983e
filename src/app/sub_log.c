/* muster sub log: who changed what, and when. */
#include "app/sub.h"
#include "app/terminal.h"
#include "stack/http/web.h"

#include <stdlib.h>

enum { PAGE = 500, WAIT_S = 50, NEWEST = 20, PATH_CAP = 4096 };

struct log_options {
    struct remote remote;
    bool json, follow, all;
    uint64_t n;
};

static void print_change(const json_t *c) {
    const json_t *what = json_object_get(c, "what");
    struct span who = sub_text(c, "who"), from = sub_text(c, "from"), name = sub_text(c, "name");
    json_int_t n = json_integer_value(json_object_get(c, "concerns"));
    json_t *line;
    size_t i;
    printf("%lld  %.*s  %.*s ", (long long)json_integer_value(json_object_get(c, "number")),
           SPAN_ARG(sub_text(c, "time")), SPAN_ARG(sub_text(c, "kind")));
    terminal_print(name);
    if (json_object_get(c, "version")) {
        printf(" version %lld", (long long)json_integer_value(json_object_get(c, "version")));
    }
    if (n != 1) {
        printf("%s%lld of them", name.n ? " " : "", (long long)n);
    }
    if (who.n) {
        fputs(", by ", stdout);
        terminal_print(who);
    }
    if (from.n) {
        printf(" from %.*s", SPAN_ARG(from));
    } else {
        fputs(" at the start", stdout);
    }
    putchar('\n');
    json_array_foreach(what, i, line) {
        fputs("     ", stdout);
        terminal_print(span_of(json_string_value(line), json_string_length(line)));
        putchar('\n');
    }
}

/* One page from *after on, which goes on behind it. */
static int read_page(const struct log_options *o, const char *name, char *after, size_t cap,
                     bool wait, size_t *n) {
    char path[PATH_CAP];
    struct buf b = buf_init(path, sizeof path - 1);
    json_t *page = NULL, *one;
    size_t i;
    buf_printf(&b, "/changes?limit=%d&after=%s&wait=%d", PAGE, after, wait ? WAIT_S : 0);
    if (name) {
        buf_cstr(&b, "&name=");
        web_encode(&b, span_from_cstr(name));
    }
    path[b.n] = '\0';
    int code = sub_call(&o->remote, "GET", path, NULL, &page);
    *n = json_array_size(json_object_get(page, "changes"));
    json_array_foreach(json_object_get(page, "changes"), i, one) {
        if (o->json) {
            json_dumpf(one, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
            putchar('\n');
        } else {
            print_change(one);
        }
    }
    if (!code && !span_to_cstr(sub_text(page, "next"), after, cap)) {
        code = command_fail(EXIT_CODE_SYSTEM, "the answer is no page of a log");
    }
    json_decref(page);
    fflush(stdout);
    return code;
}

static int show_log(const struct log_options *o, const char *name) {
    char after[24] = "0";
    size_t n = 1, shown = 0;
    int code = EXIT_CODE_OK;
    if (!o->all && !name) {
        snprintf(after, sizeof after, "-%llu", (unsigned long long)o->n);
    }
    while (!code && (n || o->follow)) {
        code = read_page(o, name, after, sizeof after, o->follow && !n, &n);
        shown += n;
    }
    if (!code && !shown && !o->json) {
        printf(name ? "No change of %s by itself is in the log; what imports added is logged as "
                      "theirs: muster sub log --all\n"
                    : "Nothing has been changed.\n",
               name);
    }
    return code;
}

int sub_log(const struct command *self, int argc, char **argv) {
    struct log_options o = {.n = NEWEST};
    const struct option_def options[] = {
        {.name = "follow",
         .letter = 'f',
         .help = "go on with what is changed from now on",
         .out = &o.follow},
        NUMBER_OPTION("newest", "N", "so many of the newest changes (20)", &o.n, 1000000),
        FLAG_OPTION("all", "all that are kept", &o.all),
        FLAG_OPTION("json", "a JSON object in each line", &o.json),
        REMOTE_OPTIONS(&o.remote),
        {0},
    };
    const struct usage usage = {
        .arguments = "[NAME] [--follow]",
        .text =
            "Shows who changed what, and when: the newest changes, or all of the subscription,\n"
            "service profile or import of this name. Secrets are never in it.",
        .options = options,
        .examples = "  muster sub log\n"
                    "  muster sub log smith\n"
                    "  muster sub log --follow",
        .max_args = 1,
    };
    struct args rest;
    int code;
    if (!command_parse(self, &usage, argc, argv, &rest, &code) ||
        (code = remote_open(&o.remote)) != 0) {
        return code;
    }
    return show_log(&o, rest.n ? rest.v[0] : NULL);
}
