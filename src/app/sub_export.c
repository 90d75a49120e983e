/* muster sub export: all subscriptions as NDJSON or CSV, as muster sub import reads them. */
#include "app/sub.h"
#include "stack/http/client.h"

#include <csv.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TIMEOUT_S = 120 };

struct export {
    FILE *file;
    bool csv, secrets;
    uint64_t n;
};

/* CSV: flat columns for a subscription with one private identity, whose public ones register
 * together and differ in nothing; JSON in the cells impis and impus for any other. */

static const char *const columns[] = {"name",    "impi",         "impus",   "barred",
                                      "profile", "display_name", "amf",     "digest_realm",
                                      "impis",   "capabilities", "charging"};
static const char *const secret_columns[] = {"k", "opc", "ha1_md5", "ha1_sha256"};

static bool same(const json_t *a, const json_t *b, const char *name) {
    return span_eq(sub_text(a, name), sub_text(b, name));
}

static bool is_flat_impu(const json_t *impu, const json_t *first, struct span impi) {
    struct span identity = sub_text(impu, "identity");
    bool is_first = impu == first;
    return span_eq(sub_text(impu, "impi"), impi) &&
           json_integer_value(json_object_get(impu, "set")) == 1 &&
           json_is_true(json_object_get(impu, "default")) == is_first &&
           same(impu, first, "profile") && same(impu, first, "display_name") &&
           !json_object_get(impu, "alias_group") && !json_object_get(impu, "visited_networks") &&
           span_find_char(identity, ' ') == identity.n && identity.p[0] != '[';
}

static bool is_flat(const json_t *s) {
    const json_t *impis = json_object_get(s, "impis"), *impus = json_object_get(s, "impus");
    size_t i;
    json_t *impu;
    json_array_foreach(impus, i, impu) {
        if (!is_flat_impu(impu, json_array_get(impus, 0),
                          sub_text(json_array_get(impis, 0), "identity"))) {
            return false;
        }
    }
    return json_array_size(impis) == 1;
}

static void put_cell(FILE *f, bool first, struct span text) {
    if (!first) {
        fputc(',', f);
    }
    if (text.n) {
        csv_fwrite(f, text.p, text.n);
    }
}

/* A member with structure; nothing if there is nothing in it. */
static void put_json_cell(FILE *f, const json_t *value) {
    bool empty = true;
    const char *name;
    json_t *member;
    json_object_foreach((json_t *)(uintptr_t)value, name, member) {
        empty &= json_is_array(member) && json_array_size(member) == 0;
    }
    empty &= json_array_size(value) == 0;
    char *text = empty ? NULL : json_dumps(value, JSON_COMPACT);
    put_cell(f, false, span_from_cstr(text));
    if (text) {
        OPENSSL_cleanse(text, strlen(text));
        free(text);
    }
}

/* Identities with a blank between; only_barred: of those that are barred. */
static void put_identities(FILE *f, const json_t *impus, bool only_barred) {
    char *text = NULL;
    size_t i, n = 0;
    json_t *impu;
    FILE *m = open_memstream(&text, &n);
    json_array_foreach(m ? impus : NULL, i, impu) {
        if (!only_barred || json_is_true(json_object_get(impu, "barred"))) {
            fprintf(m, "%s%.*s", ftell(m) ? " " : "", SPAN_ARG(sub_text(impu, "identity")));
        }
    }
    if (m) {
        fclose(m);
    }
    put_cell(f, false, span_of(text, n));
    free(text);
}

static void put_row(const struct export *x, const json_t *s) {
    const json_t *impis = json_object_get(s, "impis"), *impus = json_object_get(s, "impus");
    bool flat = is_flat(s);
    const json_t *impi = flat ? json_array_get(impis, 0) : NULL;
    const json_t *impu = flat ? json_array_get(impus, 0) : NULL;
    FILE *f = x->file;
    put_cell(f, true, sub_text(s, "name"));
    put_cell(f, false, sub_text(impi, "identity"));
    if (flat) {
        put_identities(f, impus, false);
        put_identities(f, impus, true);
    } else {
        put_json_cell(f, impus);
        put_cell(f, false, SPAN_NONE);
    }
    put_cell(f, false, sub_text(impu, "profile"));
    put_cell(f, false, sub_text(impu, "display_name"));
    put_cell(f, false, sub_text(impi, "amf"));
    put_cell(f, false, sub_text(impi, "digest_realm"));
    put_json_cell(f, flat ? NULL : impis);
    put_json_cell(f, json_object_get(s, "capabilities"));
    put_json_cell(f, json_object_get(s, "charging"));
    for (size_t i = 0; x->secrets && i < COUNT_OF(secret_columns); i++) {
        put_cell(f, false, sub_text(impi, secret_columns[i]));
    }
    fputs("\r\n", f);
}

static void put_header(const struct export *x) {
    for (size_t i = 0; i < COUNT_OF(columns); i++) {
        fprintf(x->file, "%s%s", i ? "," : "", columns[i]);
    }
    for (size_t i = 0; x->secrets && i < COUNT_OF(secret_columns); i++) {
        fprintf(x->file, ",%s", secret_columns[i]);
    }
    fputs("\r\n", x->file);
}

/* Both. */

static void put_subscription(void *ctx, json_t *s) {
    struct export *x = ctx;
    x->n++;
    sub_drop_shown(s);
    json_object_del(s, "version");
    put_row(x, s);
}

static int by_name(const void *a, const void *b) {
    const json_t *const *x = a, *const *y = b;
    return span_compare(sub_text(*x, "name"), sub_text(*y, "name"));
}

/* Profiles come first, since subscriptions refer to them. */
static int put_profiles(const struct remote *r, const struct export *x) {
    json_t *answer = NULL, *profile;
    size_t i;
    int code = sub_call(r, "GET", "/profiles", NULL, &answer);
    const json_t *profiles = json_object_get(answer, "profiles");
    size_t n = json_array_size(profiles);
    json_t **sorted = calloc(n + 1, sizeof(json_t *));
    json_array_foreach(sorted ? profiles : NULL, i, profile) {
        sorted[i] = profile;
    }
    if (sorted) {
        qsort(sorted, n, sizeof(json_t *), by_name);
    } else {
        code = command_fail(EXIT_CODE_SYSTEM, "out of memory");
    }
    for (i = 0; sorted && i < n; i++) {
        json_t *line = json_pack("{s:O}", "profile", sorted[i]);
        json_dumpf(line, x->file, JSON_COMPACT | JSON_ENSURE_ASCII);
        fputc('\n', x->file);
        json_decref(line);
    }
    free(sorted);
    json_decref(answer);
    return code;
}

/* Lines: the HSS writes them, and works on the next page while one is stored. */

struct pages {
    const struct remote *remote;
    const char *credentials;
    struct web_client *client;
    struct web_exchange *exchange;
    char url[400];
};

static enum error ask_for(struct pages *p, const char *after) {
    snprintf(p->url, sizeof p->url, "%s/subscriptions?format=lines%s%s%s%s", p->remote->base,
             *after ? "&after=" : "", after, p->credentials ? "&credentials=" : "",
             p->credentials ? p->credentials : "");
    struct web_call call = {
        .method = "GET", .url = p->url, .wanted_header = "Muster-Next", .timeout_s = TIMEOUT_S};
    remote_dress(p->remote, &call);
    return web_client_begin(p->client, &call, &p->exchange);
}

static void put_lines(struct export *x, const struct web_reply *page) {
    fwrite(page->body, 1, page->body_n, x->file);
    for (size_t at = 0; at < page->body_n; at++) {
        const char *end = memchr(page->body + at, '\n', page->body_n - at);
        at = end ? (size_t)(end - page->body) : page->body_n;
        x->n += end != NULL;
    }
    if (x->secrets) {
        OPENSSL_cleanse(page->body, page->body_n);
    }
}

/* Takes one page and asks for the next one; *more: there is one. */
static int take_page(struct pages *p, struct export *x, bool *more) {
    struct web_reply page;
    enum error e = web_client_end(p->exchange, &page);
    *more = false;
    if (e) {
        return remote_failed(p->remote, e);
    }
    int code = page.status == 200 ? EXIT_CODE_OK : remote_refused(&page);
    if (!code && page.header[0]) {
        e = ask_for(p, page.header);
        code = remote_failed(p->remote, e);
        *more = !e;
    }
    if (!code) {
        put_lines(x, &page);
    }
    web_reply_free(&page);
    return code;
}

static int export_lines(const struct remote *r, struct export *x, const char *credentials) {
    struct pages p = {.remote = r, .credentials = credentials};
    bool more = true;
    if (web_client_new(&p.client) != OK) {
        return command_fail(EXIT_CODE_SYSTEM, "out of memory");
    }
    int code = remote_failed(r, ask_for(&p, ""));
    while (!code && more) {
        code = take_page(&p, x, &more);
    }
    web_client_free(p.client);
    return code;
}

static int export_to(const struct remote *r, struct export *x, const char *output,
                     const char *credentials) {
    mode_t mask = umask(077);
    umask(credentials ? mask | 077 : mask); /* keys and hashes of passwords are for nobody else */
    x->file = output ? fopen(output, "we") : stdout;
    umask(mask);
    if (!x->file) {
        return command_fail(EXIT_CODE_SYSTEM, "%s: %s", output,
                            error_text(error_from_errno(errno)));
    }
    int code = EXIT_CODE_OK;
    if (x->csv) {
        put_header(x);
    } else {
        code = put_profiles(r, x);
    }
    code = code     ? code
           : x->csv ? sub_each(r, credentials, put_subscription, x)
                    : export_lines(r, x, credentials);
    bool written = !ferror(x->file) && (output ? fclose(x->file) : fflush(x->file)) == 0;
    if (!code && !written) {
        return command_fail(EXIT_CODE_SYSTEM, "not everything was written");
    }
    if (!code && output) {
        fprintf(stderr, "%llu subscriptions are in %s\n", (unsigned long long)x->n, output);
    }
    return code;
}

struct export_options {
    struct remote remote;
    const char *output, *format;
    bool secrets, hashes;
};

static bool is_csv(const struct export_options *o) {
    size_t n = o->output ? strlen(o->output) : 0;
    return o->format ? strcmp(o->format, "csv") == 0
                     : n > 4 && strcmp(o->output + n - 4, ".csv") == 0;
}

static const char *find_fault(const struct export_options *o) {
    if (o->format && strcmp(o->format, "csv") != 0 && strcmp(o->format, "ndjson") != 0) {
        return "--format takes ndjson or csv";
    }
    if (o->secrets && o->hashes) {
        return "--with-secrets has the hashes that --credentials adds";
    }
    return (o->secrets || o->hashes) && !o->output && isatty(STDOUT_FILENO)
               ? "secrets are not written to a terminal: name a file with -o"
               : NULL;
}

int sub_export(const struct command *self, int argc, char **argv) {
    struct export_options o = {0};
    const struct option_def options[] = {
        {.name = "output",
         .letter = 'o',
         .value = "FILE",
         .help = "where to (standard output)",
         .kind = OPTION_TEXT,
         .out = &o.output},
        TEXT_OPTION("format", "NAME", "ndjson or csv (by the file's suffix, else ndjson)",
                    &o.format),
        FLAG_OPTION("with-secrets",
                    "with keys (K, OPc) and hashes of passwords; the HSS gives keys away\n"
                    "only with keys-may-leave: yes in its configuration",
                    &o.secrets),
        FLAG_OPTION("credentials", "with the hashes of passwords (HA1), which are secrets",
                    &o.hashes),
        REMOTE_OPTIONS(&o.remote),
        {0},
    };
    const struct usage usage = {
        .arguments = "[-o FILE] [--format ndjson|csv] [--with-secrets]",
        .text =
            "Writes all subscriptions, and with NDJSON their service profiles, as \"muster sub\n"
            "import\" reads them. Without --with-secrets keys and passwords stay in the HSS: who\n"
            "imports the file has to add them. docs/bulk.md describes the columns of CSV.",
        .options = options,
        .examples = "  muster sub export -o subscriptions.ndjson\n"
                    "  muster sub export -o subscriptions.csv --with-secrets",
    };
    struct args rest;
    int code;
    if (!command_parse(self, &usage, argc, argv, &rest, &code)) {
        return code;
    }
    const char *fault = find_fault(&o);
    if (fault) {
        return command_usage_error(self, "%s", fault);
    }
    struct export x = {.csv = is_csv(&o), .secrets = o.secrets || o.hashes};
    code = remote_open(&o.remote);
    return code ? code
                : export_to(&o.remote, &x, o.output,
                            o.secrets  ? "keys"
                            : o.hashes ? "digest"
                                       : NULL);
}
