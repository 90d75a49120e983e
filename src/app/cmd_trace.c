/* muster trace: the ladder of what just happened in a running Muster. */
#include "app/command.h"
#include "app/describe.h"
#include "app/remote.h"
#include "app/terminal.h"
#include "app/trace_web.h"
#include "obs/ladder.h"
#include "obs/peek.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { FOLLOW_WAIT_S = 20, CALL_TIMEOUT_S = 60, FOLLOW_BYTES = 64 << 20, PAGES_MAX = 1024 };

struct options {
    struct remote remote;
    const char *identity, *output;
    bool follow, ascii, peers;
};

/* What a message read from elsewhere is for. */
struct keeper {
    struct trace *trace;
    bool peers;
};

/* Who speaks SIP and has no name is a terminal. */
static void name_terminal(struct trace *trace, const struct addr *a, struct span name) {
    char text[64];
    struct buf b = buf_init(text, sizeof text);
    if (!name.n && a->family) {
        buf_cstr(&b, "ue:");
        addr_put(&b, a);
        trace_name_address(trace, a, buf_span(&b));
    }
}

/* Is it between Diameter peers about their connection? There are many of them, and they say little.
 */
static bool is_of_peers(const struct trace_message *m) {
    enum { CER = 257, DWR = 280, DPR = 282 };
    struct peek_diameter d;
    return m->protocol == TRACE_DIAMETER && peek_diameter(m->bytes, &d) &&
           (d.command == CER || d.command == DWR || d.command == DPR);
}

static enum error keep(void *ctx, const struct trace_message *m) {
    const struct keeper *keeper = ctx;
    if (!keeper->peers && is_of_peers(m)) {
        return OK;
    }
    if (m->protocol == TRACE_SIP) {
        name_terminal(keeper->trace, &m->from, m->from_name);
        name_terminal(keeper->trace, &m->to, m->to_name);
    }
    trace_record(keeper->trace, m);
    return OK;
}

/* A capture is for whoever wants to see all of it. */
static bool is_capture(const char *path) {
    struct span p = span_from_cstr(path);
    struct span suffix = SPAN(".pcapng");
    return p.n >= suffix.n && span_eq(span_after(p, p.n - suffix.n), suffix);
}

/* Adds what came after *next to the trace. An exit code. */
static int fetch(const struct options *o, unsigned wait_s, struct trace *trace, uint64_t *next) {
    char path[96];
    struct web_reply reply;
    snprintf(path, sizeof path, "/trace?after=%llu&wait=%u", (unsigned long long)*next, wait_s);
    int code = remote_call(&o->remote, "GET", path, SPAN_NONE, CALL_TIMEOUT_S, &reply);
    if (code) {
        return code;
    }
    if (reply.status != 200) {
        code = remote_refused(&reply);
    } else {
        struct keeper keeper = {trace, o->peers || is_capture(o->output)};
        enum error e = trace_web_read(span_of(reply.body, reply.body_n), next, keep, &keeper);
        code = e ? command_fail(EXIT_CODE_SYSTEM, "the trace cannot be read: %s", error_text(e))
                 : EXIT_CODE_OK;
    }
    web_reply_free(&reply);
    return code;
}

/* The ladder of a trace, of one identity if asked; NULL when memory is out. */
static struct ladder *draw(const struct options *o, const struct trace *trace) {
    struct ladder *l = ladder_new();
    struct ladder_filter filter = {.identity = span_from_cstr(o->identity)};
    if (l) {
        ladder_set_describe(l, describe_message, NULL);
    }
    if (!l || ladder_add_trace(l, trace) || (o->identity && ladder_filter(l, &filter))) {
        ladder_free(l);
        command_fail(EXIT_CODE_SYSTEM, "out of memory, or too many messages for a ladder");
        return NULL;
    }
    return l;
}

static int show(const struct options *o, const struct ladder *l) {
    if (o->output) {
        enum error e = ladder_write_file(l, o->output);
        return e ? command_fail(EXIT_CODE_SYSTEM, "%s: %s", o->output, error_text(e))
                 : EXIT_CODE_OK;
    }
    if (ladder_count(l) == 0) {
        puts(o->identity ? "Nothing about this identity is in the trace."
                         : "Nothing has happened yet.");
        return EXIT_CODE_OK;
    }
    struct ladder_style style = terminal_style(o->ascii);
    ladder_write_text(l, &style, stdout);
    return EXIT_CODE_OK;
}

/* What has been printed: up to a time, and how many of that time, since many messages may share
 * one. */
struct printed {
    uint64_t at_us;
    size_t n;
};

/* One line a message, for those that were not printed yet. */
static void print_new(const struct ladder *l, struct printed *printed) {
    struct printed now = {0};
    for (size_t i = 0; i < ladder_count(l); i++) {
        const struct ladder_arrow *a = ladder_at(l, i);
        if (a->note.n) {
            continue;
        }
        now = a->at_us == now.at_us ? (struct printed){a->at_us, now.n + 1}
                                    : (struct printed){a->at_us, 1};
        if (a->at_us > printed->at_us || (a->at_us == printed->at_us && now.n > printed->n)) {
            printf("%12.3f s  %-10.*s -> %-10.*s  %.*s  %.*s\n", (double)a->at_us / 1e6,
                   SPAN_ARG(a->from), SPAN_ARG(a->to), SPAN_ARG(a->label), SPAN_ARG(a->detail));
            *printed = now;
        }
    }
    fflush(stdout);
}

static int follow(const struct options *o, struct trace *trace) {
    uint64_t next = 0;
    struct printed printed = {0};
    for (;;) {
        int code = fetch(o, FOLLOW_WAIT_S, trace, &next);
        if (code) {
            return code;
        }
        struct ladder *l = draw(o, trace);
        if (!l) {
            return EXIT_CODE_SYSTEM;
        }
        print_new(l, &printed);
        ladder_free(l);
        if (ferror(stdout)) {
            return EXIT_CODE_OK; /* whoever read this has gone */
        }
    }
}

static int once(const struct options *o, struct trace *trace) {
    uint64_t next = 0, before = 1;
    int code = EXIT_CODE_OK;
    for (unsigned pages = 0; pages < PAGES_MAX && next != before && !code; pages++) {
        before = next;
        code = fetch(o, 0, trace, &next);
    }
    if (code) {
        return code;
    }
    struct ladder *l = draw(o, trace);
    code = l ? show(o, l) : EXIT_CODE_SYSTEM;
    ladder_free(l);
    return code;
}

int cmd_trace(const struct command *self, int argc, char **argv) {
    struct options o = {0};
    const struct option_def options[] = {
        {.name = "identity",
         .letter = 'i',
         .value = "ID",
         .help = "only what concerns this public or private identity, its user part,\n"
                 "or the beginning of that up to a dot",
         .kind = OPTION_TEXT,
         .out = &o.identity},
        {.name = "follow",
         .letter = 'f',
         .help = "go on, a line for each message as it comes",
         .kind = OPTION_FLAG,
         .out = &o.follow},
        {.name = "output",
         .letter = 'o',
         .value = "FILE",
         .help = "write into FILE; its ending says what: .html, .svg, .pcapng (for\n"
                 "Wireshark), anything else text",
         .kind = OPTION_TEXT,
         .out = &o.output},
        {.name = "peers",
         .help = "with what Diameter peers say of their connection: CER, DWR, DPR\n"
                 "(a capture has it always)",
         .kind = OPTION_FLAG,
         .out = &o.peers},
        {.name = "ascii",
         .help = "no box drawing characters",
         .kind = OPTION_FLAG,
         .out = &o.ascii},
        REMOTE_OPTIONS(&o.remote),
        {0},
    };
    const struct usage usage = {
        .arguments = "[--identity ID] [--follow | -o FILE]",
        .text = "Shows the ladder of what just happened in a running Muster: which node sent what\n"
                "to whom. Keys are masked.",
        .options = options,
        .examples = "  muster trace --identity alice\n"
                    "  muster trace -o registration.html\n"
                    "  muster trace --follow",
    };
    struct args rest;
    int code;
    if (!command_parse(self, &usage, argc, argv, &rest, &code)) {
        return code;
    }
    if (o.follow && o.output) {
        return command_usage_error(self, "--follow and --output exclude each other");
    }
    code = remote_open(&o.remote);
    struct trace *trace = code ? NULL : trace_new();
    if (!code && (!trace || trace_enable(trace, FOLLOW_BYTES))) {
        code = command_fail(EXIT_CODE_SYSTEM, "out of memory");
    }
    if (!code) {
        code = o.follow ? follow(&o, trace) : once(&o, trace);
    }
    trace_free(trace);
    return code;
}
