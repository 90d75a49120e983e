/* muster sub import and export: files of subscribers. All of a file is added, or none of it. */
#include "app/config.h"
#include "app/sub.h"
#include "app/subscribers.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { TIMEOUT_S = 600 };

/* Sends a body; a refusal is told at its line in the file. */
static int send_body(const struct remote *r, const char *path, struct span body,
                     struct settings *s) {
    struct web_reply reply;
    int code = remote_call(r, "POST", path, body, TIMEOUT_S, &reply);
    if (code) {
        return code;
    }
    struct span text = span_of(reply.body, reply.body_n);
    if (reply.status >= 300) {
        subscribers_refused(s, text);
        fprintf(stderr, "%.*s", SPAN_ARG(settings_fault_text(s)));
        code = EXIT_CODE_CONFIG;
    } else {
        json_t *answer = json_loadb(text.p, text.n, 0, NULL);
        printf("added %lld\n", (long long)json_integer_value(json_object_get(answer, "added")));
        json_decref(answer);
    }
    web_reply_free(&reply);
    return code;
}

static int import_document(const struct remote *r, json_t *document, struct settings *s) {
    const char *path;
    json_t *request = subscribers_request(document, &path);
    char *body = json_dumps(request, JSON_COMPACT);
    int code = body ? send_body(r, path, span_from_cstr(body), s)
                    : command_fail(EXIT_CODE_SYSTEM, "out of memory");
    if (body) {
        OPENSSL_cleanse(body, strlen(body)); /* it holds keys */
        free(body);
    }
    json_decref(request);
    return code;
}

static int import_file(const struct remote *r, const char *file, const char *domain) {
    struct settings *s;
    enum error e = subscribers_open(NULL, file, &s);
    if (e) {
        return command_fail(EXIT_CODE_CONFIG, "%s: cannot be read: %s", file, error_text(e));
    }
    json_t *document = subscribers_json(s, domain);
    int code;
    if (document) {
        code = import_document(r, document, s);
    } else {
        fprintf(stderr, "%.*s", SPAN_ARG(settings_fault_text(s)));
        code = EXIT_CODE_CONFIG;
    }
    json_decref(document);
    settings_close(s);
    return code;
}

int sub_import(const struct command *self, int argc, char **argv) {
    struct remote remote = {0};
    const struct option_def options[] = {REMOTE_OPTIONS(&remote), {0}};
    const struct usage usage = {
        .arguments = "FILE",
        .text =
            "Adds the subscribers of a file, all or none. FILE (- for standard input) is YAML or\n"
            "JSON: lists named subscriptions, profiles or sims (config/smiths.yaml is one), one\n"
            "such list alone, or JSON objects, one a line. What is wrong is told by its line.",
        .options = options,
        .examples = "  muster sub import config/smiths.yaml\n"
                    "  muster sub import sims.ndjson",
        .min_args = 1,
        .max_args = 1,
    };
    struct args rest;
    int code;
    if (!command_parse(self, &usage, argc, argv, &rest, &code) ||
        (code = remote_open(&remote)) != 0) {
        return code;
    }
    struct config *c = calloc(1, sizeof *c);
    char *faults = NULL;
    enum error e = c ? config_load(remote.config, c, &faults) : ERR_NO_MEMORY;
    if (e) {
        fputs(faults ? faults : "muster: out of memory\n", stderr);
        code = e == ERR_NO_MEMORY ? EXIT_CODE_SYSTEM : EXIT_CODE_CONFIG;
    } else {
        code = import_file(&remote, rest.v[0], c->domain);
        config_free(c);
    }
    free(faults);
    free(c);
    return code;
}

/* export */

static void write_line(void *ctx, json_t *s) {
    FILE *f = ctx;
    sub_drop_shown(s);
    json_object_del(s, "version");
    json_dumpf(s, f, JSON_COMPACT | JSON_ENSURE_ASCII);
    fputc('\n', f);
}

static int export_to(const struct remote *r, const char *file, bool credentials) {
    mode_t mask = umask(077);
    umask(credentials ? mask | 077 : mask); /* hashes of passwords are for nobody else */
    FILE *f = file ? fopen(file, "we") : stdout;
    umask(mask);
    if (!f) {
        return command_fail(EXIT_CODE_SYSTEM, "%s: %s", file, error_text(error_from_errno(errno)));
    }
    int code = sub_each(r, credentials, write_line, f);
    bool written = file ? fclose(f) == 0 : fflush(f) == 0;
    return code || written ? code : command_fail(EXIT_CODE_SYSTEM, "not everything was written");
}

int sub_export(const struct command *self, int argc, char **argv) {
    struct remote remote = {0};
    const char *output = NULL;
    bool credentials = false;
    const struct option_def options[] = {
        {.name = "output",
         .letter = 'o',
         .value = "FILE",
         .help = "where to (standard output)",
         .kind = OPTION_TEXT,
         .out = &output},
        FLAG_OPTION("credentials", "with the hashes of passwords (HA1), which are secrets",
                    &credentials),
        REMOTE_OPTIONS(&remote),
        {0},
    };
    const struct usage usage = {
        .arguments = "[-o FILE] [--credentials]",
        .text =
            "Writes all subscriptions as JSON objects, one a line, as \"muster sub import\" reads\n"
            "them. Keys never leave the HSS: who imports the file has to add them. Who has the\n"
            "hash of a password can register with it; without --credentials they stay, too.",
        .options = options,
        .examples = "  muster sub export -o subscriptions.ndjson",
    };
    struct args rest;
    int code;
    if (!command_parse(self, &usage, argc, argv, &rest, &code) ||
        (code = remote_open(&remote)) != 0) {
        return code;
    }
    return export_to(&remote, output, credentials);
}
