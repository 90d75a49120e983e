/* muster sub import: files of subscribers, of any length, to the HSS's /imports/NAME.
 *
 * Lines go out in requests of some thousand, two under way at a time: while the HSS stores one, it
 * reads the next. What an interrupted import has done is known to the HSS, in the same transaction
 * as what it has stored: --resume asks for it, and looks whether the file still is what it was. */
#include "app/bulk_csv.h"
#include "app/bulk_source.h"
#include "app/config.h"
#include "app/progress.h"
#include "app/sub.h"
#include "stack/http/web.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

enum {
    TIMEOUT_S = 600,
    BATCH_BYTES = 4 << 20,
    BATCH_ITEMS = 10000,
    UNDER_WAY = 2,
    FAULTS_TOLD = 20,
    POSITION = 128,
    PATH = 1024
};

struct import_options {
    const char *format, *rejects, *name;
    bool per_line, all_or_nothing, dry_run, resume, quiet;
};

/* An item as it stands in the file, for --rejects. */
struct kept_item {
    uint64_t number;
    size_t at, n; /* in the batch's texts */
};

struct batch {
    struct bulk_text body, texts;
    struct kept_item *items;
    size_t n_items, n_sent; /* n_sent: without those that are faulty already */
    uint64_t first, next;   /* numbers: of the first line of the body, of the line to be written */
    char from[POSITION], to[POSITION];
    uint64_t to_bytes, to_items;
    bool last;
    struct web_exchange *exchange;
};

struct import {
    const struct import_options *o;
    struct remote remote;
    struct bulk_source *source;
    const char *file;
    char name[256];
    const char *mode;
    struct web_client *client;
    struct batch batches[UNDER_WAY];
    FILE *rejects;
    struct progress progress;
    bool ended, begun; /* the source is at its end; a request was sent */
    char position[POSITION];
    uint64_t items, items_before; /* of the file: in all, and before this run */
    uint64_t added, total, refused, told, local;
    uint64_t refused_before; /* by the runs before this one */
};

static uint64_t now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* Faults. */

static void put_reject(struct import *im, uint64_t line, const char *where, const char *why,
                       struct span text) {
    struct bulk_text out = {0};
    char number[40];
    int n = snprintf(number, sizeof number, "{\"line\":%llu,\"where\":", (unsigned long long)line);
    bulk_text_put(&out, span_of(number, (size_t)n));
    bulk_text_json(&out, span_from_cstr(where));
    bulk_text_put(&out, SPAN(",\"reason\":"));
    bulk_text_json(&out, span_from_cstr(why));
    bulk_text_put(&out, SPAN(",\"text\":"));
    bulk_text_json(&out, text);
    bulk_text_put(&out, SPAN("}\n"));
    if (!out.failed) {
        fwrite(out.p, 1, out.n, im->rejects);
    }
    bulk_text_free(&out);
}

static struct span text_of(const struct batch *b, uint64_t number) {
    for (size_t i = 0; i < b->n_items; i++) {
        if (b->items[i].number == number) {
            struct span text = span_of(b->texts.p + b->items[i].at, b->items[i].n);
            return span_slice(text, 0, text.n - (text.n && text.p[text.n - 1] == '\n'));
        }
    }
    return SPAN_NONE;
}

static void tell_fault(struct import *im, const struct batch *b, uint64_t number,
                       const char *pointer, const char *column, const char *why) {
    char where[BULK_SOURCE_TEXT];
    uint64_t line = bulk_source_where(im->source, number, pointer, where);
    if (column) {
        snprintf(where, sizeof where, "column %s", column);
    }
    im->refused++;
    if (im->rejects) {
        put_reject(im, line, where, why, text_of(b, number));
    }
    if (im->told++ < FAULTS_TOLD) {
        progress_clear(&im->progress);
        fprintf(stderr, "%s:%llu: ", im->file, (unsigned long long)line);
        for (const char *c = *where ? where : ""; *c; c++) {
            fputc(*c < ' ' || *c > '~' ? '?' : *c, stderr);
        }
        fprintf(stderr, "%s%s\n", *where ? ": " : "", why);
    }
}

/* Filling a batch. */

static void reset(struct batch *b) {
    b->body.n = b->texts.n = 0;
    b->n_items = b->n_sent = 0;
    b->last = false;
}

static int out_of_memory(void) {
    return command_fail(EXIT_CODE_SYSTEM, "out of memory");
}

static bool keep_text(struct batch *b, const struct bulk_item *item) {
    if (!b->items) {
        b->items = malloc(BATCH_ITEMS * sizeof *b->items);
    }
    if (!b->items) {
        return false;
    }
    b->items[b->n_items] =
        (struct kept_item){.number = item->number, .at = b->texts.n, .n = item->text.n};
    bulk_text_put(&b->texts, item->text);
    return !b->texts.failed;
}

/* The line's number in the body is its number in the file. */
static void put_item(struct batch *b, const struct bulk_item *item) {
    if (b->n_sent++ == 0) {
        b->first = b->next = item->number;
    }
    for (; b->next < item->number; b->next++) {
        bulk_text_put(&b->body, SPAN("\n"));
    }
    bulk_text_put(&b->body, item->json);
}

static int fill(struct import *im, struct batch *b) {
    struct bulk_item item;
    struct bulk_position at;
    enum error e = OK;
    reset(b);
    while (b->n_items < BATCH_ITEMS && b->body.n < BATCH_BYTES &&
           !(e = bulk_source_next(im->source, &item))) {
        if (im->rejects && !keep_text(b, &item)) {
            return out_of_memory();
        }
        b->n_items++;
        if (item.fault[0]) {
            im->local++;
            tell_fault(im, b, item.number, "", item.fault_where, item.fault);
        } else {
            put_item(b, &item);
        }
    }
    if (b->body.failed) {
        return out_of_memory();
    }
    if (e && e != ERR_NOT_FOUND) {
        return command_fail(EXIT_CODE_SYSTEM, "%s: %s", im->file, error_text(e));
    }
    im->ended = b->last = e == ERR_NOT_FOUND;
    bulk_source_position(im->source, &at);
    b->to_bytes = at.bytes;
    b->to_items = im->items = at.items;
    bulk_position_put(&at, b->to, sizeof b->to);
    snprintf(b->from, sizeof b->from, "%s", im->position);
    snprintf(im->position, sizeof im->position, "%s", b->to);
    return EXIT_CODE_OK;
}

/* Requests. */

static void put_url(const struct import *im, const struct batch *b, struct buf *url) {
    bool begins = !*b->from;
    buf_cstr(url, im->remote.base);
    buf_cstr(url, "/imports/");
    web_encode(url, span_from_cstr(im->name));
    buf_printf(url, "?mode=%s&line=%llu&from=%s&to=%s%s", im->mode,
               (unsigned long long)(b->n_sent ? b->first : 1), begins ? "" : b->from, b->to,
               b->last ? "&last=yes" : "");
    buf_char(url, '\0');
}

static int send_batch(struct import *im, struct batch *b) {
    char url[PATH];
    struct buf u = buf_init(url, sizeof url);
    put_url(im, b, &u);
    struct web_call call = {
        .method = "POST",
        .url = url,
        .content_type = SPAN_INIT("application/x-ndjson"),
        .body = b->body.n ? span_of(b->body.p, b->body.n) : SPAN("\n"),
        .timeout_s = TIMEOUT_S,
    };
    remote_dress(&im->remote, &call);
    enum error e = u.overflow ? ERR_TOO_BIG : web_client_begin(im->client, &call, &b->exchange);
    return e ? command_fail(EXIT_CODE_SYSTEM, "%s", error_text(e)) : EXIT_CODE_OK;
}

static void tell_faults(struct import *im, const struct batch *b, const json_t *report) {
    size_t i;
    json_t *fault;
    json_array_foreach(json_object_get(report, "faults"), i, fault) {
        const char *pointer = json_string_value(json_object_get(fault, "pointer"));
        const char *why = json_string_value(json_object_get(fault, "detail"));
        json_int_t line = json_integer_value(json_object_get(fault, "line"));
        tell_fault(im, b, line > 0 ? (uint64_t)line : 0, pointer ? pointer : "", NULL,
                   why ? why : "the HSS refuses it");
    }
}

static uint64_t number_of(const json_t *report, const char *name) {
    json_int_t n = json_integer_value(json_object_get(report, name));
    return n > 0 ? (uint64_t)n : 0;
}

static int take_report(struct import *im, const struct batch *b, const struct web_reply *reply) {
    json_t *report = json_loadb(reply->body, reply->body_n, 0, NULL);
    bool whole = strcmp(im->mode, "each") != 0;
    if (!report) {
        return command_fail(EXIT_CODE_SYSTEM, "the answer is no JSON");
    }
    tell_faults(im, b, report);
    if (whole) { /* its counts are of all requests so far, and of all faults there are */
        im->refused = number_of(report, "refused") + im->local;
        im->added = number_of(report, "added");
    } else {
        im->added += number_of(report, "added");
    }
    im->total = number_of(report, "total");
    json_decref(report);
    progress_show(&im->progress, b->to_bytes, b->to_items);
    return EXIT_CODE_OK;
}

static int lost(const struct import *im, enum error e) {
    const char *why = e == ERR_TIMEOUT ? "does not answer in time" : "ended, or did not answer";
    bool resumable = strcmp(im->mode, "each") == 0;
    return command_fail(EXIT_CODE_UNREACHABLE, "the Muster at %s %s; %s", im->remote.base, why,
                        resumable ? "the same command with --resume goes on where it was"
                                  : "if that was the last request, --resume tells whether it was "
                                    "carried out");
}

/* Waits for an answer. *again: it came too early for the HSS, behind one that is under way. */
static int end_batch(struct import *im, struct batch *b, bool *again) {
    struct web_reply reply;
    enum error e = web_client_end(b->exchange, &reply);
    int code;
    b->exchange = NULL;
    if (e == ERR_UNREACHABLE && !im->begun) {
        return command_fail(EXIT_CODE_UNREACHABLE,
                            "no Muster answers at %s; \"muster run\" starts one, --web names "
                            "another address",
                            im->remote.base);
    }
    if (e) {
        return lost(im, e);
    }
    im->begun = true;
    *again = reply.status == 409 && !*again;
    if (*again) {
        code = EXIT_CODE_OK;
    } else if (reply.status == 200 || reply.status == 422) {
        code = take_report(im, b, &reply);
    } else {
        progress_clear(&im->progress);
        code = remote_refused(&reply);
    }
    web_reply_free(&reply);
    return code;
}

static int finish_batch(struct import *im, struct batch *b) {
    bool again = false;
    int code = end_batch(im, b, &again);
    if (!code && again) {
        code = send_batch(im, b);
        code = code ? code : end_batch(im, b, &again);
    }
    return code;
}

/* The first request goes alone: it finds out whether there is a Muster, and begins the import. So
 * does the last one of an import of all or none, whose answer may come late. */
static int send_all(struct import *im) {
    size_t n = 0, ended = 0;
    int code = EXIT_CODE_OK;
    while (!code && !im->ended) {
        struct batch *b = &im->batches[n % UNDER_WAY];
        if (n - ended == UNDER_WAY) {
            code = finish_batch(im, &im->batches[ended++ % UNDER_WAY]);
        }
        code = code ? code : fill(im, b);
        if (b->last && strcmp(im->mode, "all") == 0 && im->local) {
            b->last = false; /* what it holds is looked at, and nothing is stored */
        }
        while (!code && n > ended && b->last) {
            code = finish_batch(im, &im->batches[ended++ % UNDER_WAY]);
        }
        code = code ? code : send_batch(im, b);
        n += !code;
        if (!code && n == 1) {
            code = finish_batch(im, &im->batches[ended++ % UNDER_WAY]);
        }
    }
    for (; ended < n; ended++) {
        struct batch *b = &im->batches[ended % UNDER_WAY];
        struct web_reply dropped;
        if (!code) {
            code = finish_batch(im, b);
        } else if (b->exchange && !web_client_end(b->exchange, &dropped)) {
            web_reply_free(&dropped);
        }
    }
    return code;
}

/* Going on. */

static void put_path(const struct import *im, char out[PATH]) {
    struct buf b = buf_init(out, PATH - 1);
    buf_cstr(&b, "/imports/");
    web_encode(&b, span_from_cstr(im->name));
    out[b.n] = '\0';
}

static int resume(struct import *im) {
    char path[PATH];
    struct bulk_position at;
    struct web_reply reply;
    put_path(im, path);
    int code = remote_call(&im->remote, "GET", path, SPAN_NONE, TIMEOUT_S, &reply);
    if (code) {
        return code;
    }
    json_t *json = json_loadb(reply.body, reply.body_n, 0, NULL);
    const char *position = json_string_value(json_object_get(json, "position"));
    if (reply.status == 404) {
        code = EXIT_CODE_OK; /* nothing was done yet */
    } else if (reply.status != 200) {
        code = remote_refused(&reply);
    } else if (!position || !bulk_position_read(position, &at) ||
               bulk_source_skip(im->source, &at) != OK) {
        code = command_fail(EXIT_CODE_CONFIG,
                            "%s is not the file whose import began as \"%s\", or what was imported "
                            "of it has changed since: import it without --resume",
                            im->file, im->name);
    } else {
        snprintf(im->position, sizeof im->position, "%s", position);
        im->items_before = im->items = at.items;
        im->total = number_of(json, "total");
        uint64_t fine = im->total + bulk_source_profiles(im->source);
        im->refused_before = at.items > fine ? at.items - fine : 0;
        if (strcmp(im->mode, "each") != 0) {
            im->position[0] = '\0'; /* what follows is a whole of its own */
        }
        progress_begin_at(&im->progress, at.bytes, at.items);
        if (!im->o->quiet) {
            fprintf(stderr, "going on behind line %llu\n", (unsigned long long)at.line);
        }
    }
    json_decref(json);
    web_reply_free(&reply);
    return code;
}

/* The name under which the HSS knows where the import stands: the file's, with a hash of its path,
 * since files of the same name may stand in several folders. */
static void choose_name(struct import *im) {
    char full[4096];
    if (im->o->name) {
        snprintf(im->name, sizeof im->name, "%s", im->o->name);
        return;
    }
    if (strcmp(im->file, "-") == 0 || !realpath(im->file, full)) {
        snprintf(im->name, sizeof im->name, "%s",
                 strcmp(im->file, "-") == 0 ? "standard-input" : im->file);
        return;
    }
    const char *slash = strrchr(full, '/');
    snprintf(im->name, sizeof im->name, "%.200s-%016llx", slash ? slash + 1 : full,
             (unsigned long long)XXH3_64bits(full, strlen(full)));
}

/* The end. */

static void summary(const struct import *im, uint64_t took_us) {
    double s = (double)took_us / 1e6;
    uint64_t items = im->items - im->items_before;
    if (im->o->dry_run) {
        printf("would add %llu, would refuse %llu of %llu; nothing was changed\n",
               (unsigned long long)im->added, (unsigned long long)im->refused,
               (unsigned long long)items);
        return;
    }
    printf("added %llu", (unsigned long long)im->added);
    if (im->refused) {
        printf(", refused %llu", (unsigned long long)im->refused);
    }
    printf(" in %.2f s (%.0f a second)", s, s > 0 ? (double)items / s : 0);
    if (im->items_before) {
        printf("; of the whole file: added %llu of %llu", (unsigned long long)im->total,
               (unsigned long long)im->items);
    }
    putchar('\n');
}

static int conclude(struct import *im, uint64_t took_us) {
    progress_clear(&im->progress);
    if (im->told > FAULTS_TOLD || im->refused > im->told) {
        fprintf(stderr, "%s: in all %llu lines are refused%s%s\n", im->file,
                (unsigned long long)im->refused, im->rejects ? ", see " : "",
                im->rejects ? im->o->rejects : "; --rejects FILE with --per-line keeps them");
    }
    if (im->refused && strcmp(im->mode, "all") == 0) {
        fprintf(stderr,
                "%s: nothing was added: all of a file is added, or nothing (--per-line adds "
                "what is right)\n",
                im->file);
        return EXIT_CODE_CONFIG;
    }
    summary(im, took_us);
    if (im->refused_before && strcmp(im->mode, "each") == 0) {
        fprintf(stderr, "%s: %llu lines were refused before\n", im->file,
                (unsigned long long)im->refused_before);
        return EXIT_CODE_CONFIG;
    }
    return im->refused ? EXIT_CODE_CONFIG : EXIT_CODE_OK;
}

static int open_rejects(struct import *im) {
    if (!im->o->rejects) {
        return EXIT_CODE_OK;
    }
    int flags = O_WRONLY | O_CREAT | O_CLOEXEC | (im->o->resume ? O_APPEND : O_TRUNC);
    int fd = open(im->o->rejects, flags, 0600); /* there are keys in it */
    im->rejects = fd >= 0 ? fdopen(fd, im->o->resume ? "a" : "w") : NULL;
    return im->rejects ? EXIT_CODE_OK
                       : command_fail(EXIT_CODE_SYSTEM, "%s: %s", im->o->rejects, strerror(errno));
}

/* What the HSS has kept for an import that will not come to its end goes. */
static int give_up(const struct import *im) {
    char path[PATH];
    struct web_reply reply;
    put_path(im, path);
    int code = remote_call(&im->remote, "DELETE", path, SPAN_NONE, TIMEOUT_S, &reply);
    if (!code) {
        web_reply_free(&reply);
    }
    return code;
}

static int carry_out(struct import *im) {
    uint64_t began_us = now_us();
    int code = open_rejects(im);
    choose_name(im);
    progress_begin(&im->progress, im->file, bulk_source_size(im->source), im->o->quiet);
    if (!code && im->o->resume) {
        code = resume(im);
    }
    if (!code && web_client_new(&im->client)) {
        code = out_of_memory();
    }
    code = code ? code : send_all(im);
    progress_clear(&im->progress);
    if (!code && im->local && strcmp(im->mode, "all") == 0) {
        code = give_up(im);
    }
    code = code ? code : conclude(im, now_us() - began_us);
    if (im->rejects && fclose(im->rejects) && !code) {
        code = command_fail(EXIT_CODE_SYSTEM, "%s: not everything was written", im->o->rejects);
    }
    web_client_free(im->client);
    for (size_t i = 0; i < UNDER_WAY; i++) {
        bulk_text_free(&im->batches[i].body);
        bulk_text_free(&im->batches[i].texts);
        free(im->batches[i].items);
    }
    return code;
}

static enum bulk_format read_format(const char *text, bool *known) {
    static const char *const names[] = {"guess", "ndjson", "csv", "yaml"};
    *known = !text;
    for (size_t i = BULK_NDJSON; text && i < COUNT_OF(names); i++) {
        if (strcmp(text, names[i]) == 0) {
            *known = true;
            return (enum bulk_format)i;
        }
    }
    return BULK_GUESS;
}

static int import_file(struct import *im, enum bulk_format format) {
    struct config *c = calloc(1, sizeof *c);
    char *faults = NULL, *message = NULL;
    int code;
    enum error e = c ? config_load(im->remote.config, c, &faults) : ERR_NO_MEMORY;
    if (e) {
        fputs(faults ? faults : "muster: out of memory\n", stderr);
        code = e == ERR_NO_MEMORY ? EXIT_CODE_SYSTEM : EXIT_CODE_CONFIG;
    } else {
        e = bulk_source_open(im->file, format, c->domain, &im->source, &message);
        if (e) {
            fprintf(stderr, "%s\n", message ? message : error_text(e));
        }
        code = e ? EXIT_CODE_CONFIG : carry_out(im);
        bulk_source_close(im->source);
        config_free(c);
    }
    free(message);
    free(faults);
    free(c);
    return code;
}

/* What the options may not be together, or NULL. */
static const char *find_fault(const struct import_options *o, bool known_format) {
    if (!known_format) {
        return "--format takes ndjson, csv or yaml";
    }
    if (o->per_line && o->all_or_nothing) {
        return "--all-or-nothing and --per-line exclude each other";
    }
    if (o->rejects && !o->per_line && !o->dry_run) {
        return "--rejects goes with --per-line or --dry-run";
    }
    return o->dry_run && o->resume ? "--dry-run has nothing to go on with" : NULL;
}

int sub_import(const struct command *self, int argc, char **argv) {
    struct import im = {.mode = "all"};
    struct import_options o = {0};
    const struct option_def options[] = {
        TEXT_OPTION("format", "NAME", "ndjson, csv or yaml (by the file's suffix or beginning)",
                    &o.format),
        FLAG_OPTION("all-or-nothing", "one fault, and nothing is added (the default)",
                    &o.all_or_nothing),
        FLAG_OPTION("per-line", "what is right is added, whatever else is wrong", &o.per_line),
        TEXT_OPTION("rejects", "FILE", "with --per-line: the lines that are wrong, and why",
                    &o.rejects),
        FLAG_OPTION("dry-run", "say what would be done, and do nothing", &o.dry_run),
        FLAG_OPTION("resume", "go on where an interrupted import of this file was", &o.resume),
        TEXT_OPTION("name", "NAME", "of the import, for --resume (made of the file's path)",
                    &o.name),
        FLAG_OPTION("quiet", "no progress", &o.quiet),
        REMOTE_OPTIONS(&im.remote),
        {0},
    };
    const struct usage usage = {
        .arguments = "FILE [--per-line [--rejects FILE]] [--resume] [--dry-run]",
        .text = "Adds the subscribers of a file, however many. FILE (- for standard input) is\n"
                "NDJSON (a JSON object a line), CSV with a line that names the columns, or YAML\n"
                "(config/smiths.yaml is one). Either all are added or none; with --per-line all\n"
                "that are right, some thousand in a transaction, and --resume goes on after an\n"
                "interruption. What is wrong is told by its line. docs/bulk.md has the details.",
        .options = options,
        .examples = "  muster sub import config/smiths.yaml\n"
                    "  muster sub import sims.csv --dry-run\n"
                    "  muster sub import sims.ndjson --per-line --rejects wrong.ndjson",
        .min_args = 1,
        .max_args = 1,
    };
    struct args rest;
    int code;
    bool known;
    if (!command_parse(self, &usage, argc, argv, &rest, &code)) {
        return code;
    }
    enum bulk_format format = read_format(o.format, &known);
    const char *fault = find_fault(&o, known);
    if (fault) {
        return command_usage_error(self, "%s", fault);
    }
    code = remote_open(&im.remote);
    if (code) {
        return code;
    }
    im.o = &o;
    im.file = rest.v[0];
    im.mode = o.dry_run ? "check" : o.per_line ? "each" : "all";
    return import_file(&im, format);
}
