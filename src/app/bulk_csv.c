#include "app/bulk_csv.h"

#include "base/suggest.h"

#include <csv.h>
#include <jansson.h>
#include <openssl/crypto.h>
#include <stdlib.h>

enum column {
    NAME,
    IMPI,
    IMPUS,
    BARRED,
    PROFILE,
    DISPLAY_NAME,
    K,
    OP,
    OPC,
    AMF,
    PASSWORD,
    HA1_MD5,
    HA1_SHA256,
    DIGEST,
    DIGEST_REALM,
    IMSI,
    USER,
    MSISDN,
    IMPIS,
    CAPABILITIES,
    CHARGING,
    COLUMNS,
    CREDENTIALS_FIRST = K,
    CREDENTIALS_LAST = DIGEST_REALM
};

static const char *const names[COLUMNS] = {
    [NAME] = "name",
    [IMPI] = "impi",
    [IMPUS] = "impus",
    [BARRED] = "barred",
    [PROFILE] = "profile",
    [DISPLAY_NAME] = "display_name",
    [K] = "k",
    [OP] = "op",
    [OPC] = "opc",
    [AMF] = "amf",
    [PASSWORD] = "password",
    [HA1_MD5] = "ha1_md5",
    [HA1_SHA256] = "ha1_sha256",
    [DIGEST] = "digest",
    [DIGEST_REALM] = "digest_realm",
    [IMSI] = "imsi",
    [USER] = "user",
    [MSISDN] = "msisdn",
    [IMPIS] = "impis",
    [CAPABILITIES] = "capabilities",
    [CHARGING] = "charging",
};

struct cell {
    bool there;   /* an empty one without quotes is not */
    size_t at, n; /* in text */
};

struct bulk_csv {
    enum column columns[COLUMNS]; /* of the file, from the left */
    size_t n_columns;
    struct csv_parser parser;
    bool has_parser;

    /* The row at hand. */
    struct bulk_text text;
    struct cell cells[COLUMNS]; /* by column; of the header: by position */
    size_t n_cells;
    bool header;
};

/* Text. */

void bulk_text_put(struct bulk_text *t, struct span s) {
    if (t->n + s.n > t->cap) {
        size_t cap = t->cap ? t->cap : 4096;
        while (cap < t->n + s.n) {
            cap *= 2;
        }
        char *grown = malloc(cap);
        if (!grown) {
            t->failed = true;
            return;
        }
        if (t->p) {
            memcpy(grown, t->p, t->n);
            OPENSSL_cleanse(t->p, t->n); /* there may be keys */
            free(t->p);
        }
        t->p = grown;
        t->cap = cap;
    }
    if (s.n) {
        memcpy(t->p + t->n, s.p, s.n);
    }
    t->n += s.n;
}

void bulk_text_json(struct bulk_text *t, struct span s) {
    size_t from = 0;
    bulk_text_put(t, SPAN("\""));
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c >= ' ' && c != '"' && c != '\\') {
            continue;
        }
        char escape[8];
        int n = c < ' ' ? snprintf(escape, sizeof escape, "\\u%04x", c)
                        : snprintf(escape, sizeof escape, "\\%c", c);
        bulk_text_put(t, span_slice(s, from, i));
        bulk_text_put(t, span_of(escape, (size_t)n));
        from = i + 1;
    }
    bulk_text_put(t, span_slice(s, from, s.n));
    bulk_text_put(t, SPAN("\""));
}

void bulk_text_free(struct bulk_text *t) {
    if (t->p) {
        OPENSSL_cleanse(t->p, t->cap);
    }
    free(t->p);
    *t = (struct bulk_text){0};
}

/* Records and cells. */

size_t bulk_csv_record(struct span text) {
    bool quoted = false, begins = true; /* a quote inside of a cell does not open anything */
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (quoted) {
            quoted = c != '"';
            begins = !quoted; /* the next one may be its twin */
        } else if (c == '"' && begins) {
            quoted = true;
        } else if (c == '\n') {
            return i + 1;
        } else {
            begins = c == ',';
        }
    }
    return 0;
}

static void take_cell(void *value, size_t n, void *ctx) {
    struct bulk_csv *c = ctx;
    size_t at = c->n_cells++;
    if (at >= (c->header ? COLUMNS : c->n_columns)) {
        return;
    }
    struct cell *cell = &c->cells[c->header ? at : c->columns[at]];
    *cell = (struct cell){.there = value != NULL, .at = c->text.n, .n = n};
    bulk_text_put(&c->text, span_of(value, n));
}

static void take_end(int last, void *ctx) {
    (void)last;
    (void)ctx;
}

/* Splits a record. What is wrong with it, or NULL. */
static const char *split(struct bulk_csv *c, struct span record) {
    if (c->text.p) {
        OPENSSL_cleanse(c->text.p, c->text.n);
    }
    c->text.n = 0;
    c->n_cells = 0;
    memset(c->cells, 0, sizeof c->cells);
    size_t n = csv_parse(&c->parser, record.p, record.n, take_cell, take_end, c);
    int rc = n == record.n ? csv_fini(&c->parser, take_cell, take_end, c) : -1;
    if (rc == 0) {
        return NULL;
    }
    bool memory = csv_error(&c->parser) == CSV_ENOMEM;
    csv_free(&c->parser);
    c->has_parser = csv_init(&c->parser, CSV_STRICT | CSV_STRICT_FINI | CSV_EMPTY_IS_NULL) == 0;
    return memory || !c->has_parser ? "out of memory"
                                    : "a quote stands where none may: a cell that has quotes or "
                                      "commas begins and ends with a quote, and inside of it each "
                                      "quote is doubled";
}

static struct span cell_text(const struct bulk_csv *c, const struct cell *cell) {
    return span_of(c->text.p + cell->at, cell->n);
}

static struct span value(const struct bulk_csv *c, enum column column) {
    return c->cells[column].there ? cell_text(c, &c->cells[column]) : SPAN_NONE;
}

static bool has(const struct bulk_csv *c, enum column column) {
    return c->cells[column].there;
}

/* The header. */

static void list_columns(char *out, size_t size) {
    size_t n = 0;
    for (enum column i = 0; i < COLUMNS && n < size; i++) {
        int more = snprintf(out + n, size - n, "%s%s", i ? ", " : "", names[i]);
        n += more > 0 ? (size_t)more : 0;
    }
}

/* A column by its name, or by its place if that is no word: a file without a first line of names
 * may have a key there. What was probably meant, or NULL. */
static const char *say_column(struct span name, size_t at, char which[64]) {
    char word[24];
    bool is_word = name.n && span_to_cstr(name, word, sizeof word);
    for (size_t i = 0; is_word && i < name.n; i++) {
        is_word = (word[i] | 32) >= 'a' && (word[i] | 32) <= 'z';
        is_word |= word[i] == '_' || word[i] == '-';
    }
    if (!is_word) {
        snprintf(which, 64, "%zu", at + 1);
        return NULL;
    }
    snprintf(which, 64, "%s", word);
    return suggest(word, names, COLUMNS);
}

static enum error take_header(struct bulk_csv *c, char *message, size_t size) {
    char all[256];
    bool seen[COLUMNS] = {false};
    list_columns(all, sizeof all);
    c->n_columns = c->n_cells < COLUMNS ? c->n_cells : COLUMNS;
    for (size_t i = 0; i < c->n_columns; i++) {
        struct span name = span_trim(cell_text(c, &c->cells[i]));
        enum column column = 0;
        while (column < COLUMNS && !span_eq_nocase(name, span_from_cstr(names[column]))) {
            column++;
        }
        if (column == COLUMNS || seen[column]) {
            char which[64];
            const char *meant = say_column(name, i, which);
            snprintf(message, size,
                     "column %s: %s%s%s%s; the first line names the columns, which "
                     "are %s",
                     which, column == COLUMNS ? "there is no column of this name" : "named twice",
                     meant && column == COLUMNS ? ", did you mean " : "",
                     meant && column == COLUMNS ? meant : "", meant && column == COLUMNS ? "?" : "",
                     all);
            return ERR_INVALID;
        }
        seen[column] = true;
        c->columns[i] = column;
    }
    if (c->n_cells > COLUMNS || !(seen[IMSI] || seen[USER] || seen[IMPI] || seen[IMPIS])) {
        snprintf(message, size,
                 "the first line names the columns, among them imsi, user, impi or impis; there "
                 "are %s",
                 all);
        return ERR_INVALID;
    }
    return OK;
}

enum error bulk_csv_new(struct span header, struct bulk_csv **out, char *message,
                        size_t message_size) {
    struct bulk_csv *c = calloc(1, sizeof *c);
    *out = c;
    if (!c) {
        return ERR_NO_MEMORY;
    }
    c->has_parser = csv_init(&c->parser, CSV_STRICT | CSV_STRICT_FINI | CSV_EMPTY_IS_NULL) == 0;
    c->header = true;
    const char *fault = c->has_parser ? split(c, header) : "out of memory";
    if (fault) {
        snprintf(message, message_size, "%s", fault);
    }
    enum error e = fault ? ERR_INVALID : take_header(c, message, message_size);
    c->header = false;
    if (e) {
        bulk_csv_free(c);
        *out = NULL;
    }
    return e;
}

void bulk_csv_free(struct bulk_csv *c) {
    if (!c) {
        return;
    }
    if (c->has_parser) {
        csv_free(&c->parser);
    }
    bulk_text_free(&c->text);
    free(c);
}

/* Rows. */

static void put_name(struct bulk_text *t, const char *name, bool *first) {
    bulk_text_put(t, *first ? SPAN("") : SPAN(","));
    *first = false;
    bulk_text_json(t, span_from_cstr(name));
    bulk_text_put(t, SPAN(":"));
}

/* "a b c" as a list of texts. */
static void put_words(struct bulk_text *t, struct span words) {
    bool first = true;
    bulk_text_put(t, SPAN("["));
    while ((words = span_trim(words)).n) {
        struct span word = span_cut(&words, ' ');
        bulk_text_put(t, first ? SPAN("") : SPAN(","));
        bulk_text_json(t, word);
        first = false;
    }
    bulk_text_put(t, SPAN("]"));
}

static void put_text(const struct bulk_csv *c, struct bulk_text *t, enum column column,
                     bool *first) {
    if (!has(c, column)) {
        return;
    }
    put_name(t, names[column], first);
    if (column == DIGEST) {
        put_words(t, value(c, column));
    } else {
        bulk_text_json(t, value(c, column));
    }
}

static bool is_word_of(struct span words, struct span word) {
    while ((words = span_trim(words)).n) {
        if (span_eq(span_cut(&words, ' '), word)) {
            return true;
        }
    }
    return false;
}

/* Public identities of one set; the first one is the default. */
static void put_impus(const struct bulk_csv *c, struct bulk_text *t) {
    struct span words = value(c, IMPUS);
    bool first_impu = true;
    bulk_text_put(t, SPAN("["));
    while ((words = span_trim(words)).n) {
        struct span word = span_cut(&words, ' ');
        bool first = true;
        bulk_text_put(t, first_impu ? SPAN("{") : SPAN(",{"));
        put_name(t, "identity", &first);
        bulk_text_json(t, word);
        if (has(c, IMPI)) {
            put_name(t, "impi", &first);
            bulk_text_json(t, value(c, IMPI));
        }
        bulk_text_put(t, SPAN(",\"set\":1"));
        bulk_text_put(t, first_impu ? SPAN(",\"default\":true") : SPAN(""));
        bulk_text_put(t, is_word_of(value(c, BARRED), word) ? SPAN(",\"barred\":true") : SPAN(""));
        put_text(c, t, PROFILE, &first);
        put_text(c, t, DISPLAY_NAME, &first);
        bulk_text_put(t, SPAN("}"));
        first_impu = false;
    }
    bulk_text_put(t, SPAN("]"));
}

/* A cell that holds JSON, copied after a look. */
static bool put_json(struct bulk_text *t, struct span text) {
    json_t *json = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES, NULL);
    char *compact = json ? json_dumps(json, JSON_COMPACT) : NULL; /* without line breaks */
    if (compact) {
        bulk_text_put(t, span_from_cstr(compact));
        OPENSSL_cleanse(compact, strlen(compact));
        free(compact);
    }
    json_decref(json);
    return compact != NULL;
}

static bool put_structure(const struct bulk_csv *c, struct bulk_text *t, enum column column,
                          bool *first) {
    if (!has(c, column)) {
        return true;
    }
    put_name(t, names[column], first);
    return put_json(t, value(c, column));
}

static bool begins_json(struct span s) {
    s = span_trim(s);
    return s.n && (s.p[0] == '[' || s.p[0] == '{');
}

/* Is it UTF-8 without NUL? JSON takes nothing else. */
static bool is_text(struct span s) {
    static const uint32_t least[] = {1, 0x80, 0x800, 0x10000};
    for (size_t i = 0; i < s.n;) {
        unsigned char c = (unsigned char)s.p[i];
        size_t more = c < 0x80 ? 0 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
        uint32_t point = more ? c & (0x3fu >> more) : c;
        if ((c >= 0x80 && c < 0xc0) || c >= 0xf8 || more >= s.n - i) {
            return false;
        }
        for (size_t k = 1; k <= more; k++) {
            unsigned char next = (unsigned char)s.p[i + k];
            if ((next & 0xc0) != 0x80) {
                return false;
            }
            point = point << 6 | (next & 0x3f);
        }
        if (point < least[more] || point > 0x10ffff || (point >= 0xd800 && point < 0xe000)) {
            return false;
        }
        i += more + 1;
    }
    return true;
}

/* What a row may not have, or not together; *where is the column. */
static const char *find_fault(const struct bulk_csv *c, enum column *where) {
    for (*where = 0; *where < COLUMNS; ++*where) {
        if (has(c, *where) && !is_text(value(c, *where))) {
            return "this is no text in UTF-8";
        }
    }
    bool card = has(c, IMSI) || has(c, USER), whole = has(c, IMPI) || has(c, IMPIS);
    static const enum column of_whole[] = {IMPI, IMPIS, IMPUS, BARRED, CAPABILITIES, CHARGING};
    for (size_t i = 0; card && i < COUNT_OF(of_whole); i++) {
        if (has(c, *where = of_whole[i])) {
            return "a row with imsi or user gets its identities by rule: leave this cell empty";
        }
    }
    if (has(c, *where = MSISDN) && !card) {
        return "only a row with imsi or user has a msisdn: name its identities in impus";
    }
    if (has(c, *where = IMPI) && has(c, IMPIS)) {
        return "either impi or impis has a value, not both";
    }
    for (*where = CREDENTIALS_FIRST; has(c, IMPIS) && *where <= CREDENTIALS_LAST; ++*where) {
        if (has(c, *where)) {
            return "with impis, keys and passwords stand inside of it";
        }
    }
    *where = COLUMNS;
    return card || whole ? NULL : "one of imsi, user, impi and impis needs a value";
}

static void put_flat(const struct bulk_csv *c, struct bulk_text *t) {
    static const enum column columns[] = {IMSI, USER, MSISDN, NAME, PROFILE, DISPLAY_NAME};
    bool first = true;
    bulk_text_put(t, SPAN("{"));
    for (size_t i = 0; i < COUNT_OF(columns); i++) {
        put_text(c, t, columns[i], &first);
    }
    for (enum column i = CREDENTIALS_FIRST; i <= CREDENTIALS_LAST; i++) {
        put_text(c, t, i, &first);
    }
    bulk_text_put(t, SPAN("}"));
}

/* The column whose JSON is none; COLUMNS: all is well. */
static enum column put_whole(const struct bulk_csv *c, struct bulk_text *t) {
    bool first = true, inner = true;
    bulk_text_put(t, SPAN("{"));
    put_name(t, "name", &first);
    bulk_text_json(t, has(c, NAME) ? value(c, NAME) : value(c, IMPI));
    if (has(c, IMPI)) {
        put_name(t, "impis", &first);
        bulk_text_put(t, SPAN("[{"));
        put_name(t, "identity", &inner);
        bulk_text_json(t, value(c, IMPI));
        for (enum column i = CREDENTIALS_FIRST; i <= CREDENTIALS_LAST; i++) {
            put_text(c, t, i, &inner);
        }
        bulk_text_put(t, SPAN("}]"));
    }
    static const enum column structures[] = {IMPIS, CAPABILITIES, CHARGING};
    for (size_t i = 0; i < COUNT_OF(structures); i++) {
        if (!put_structure(c, t, structures[i], &first)) {
            return structures[i];
        }
    }
    put_name(t, "impus", &first);
    if (!begins_json(value(c, IMPUS))) {
        put_impus(c, t);
    } else if (!put_json(t, value(c, IMPUS))) {
        return IMPUS;
    }
    bulk_text_put(t, SPAN("}"));
    return COLUMNS;
}

enum error bulk_csv_row(struct bulk_csv *c, struct span row, struct bulk_text *out, char *fault,
                        size_t fault_size, const char **where) {
    enum column column = COLUMNS;
    *where = NULL;
    const char *wrong = split(c, row);
    if (c->text.failed || out->failed) {
        return ERR_NO_MEMORY;
    }
    if (!wrong && c->n_cells == 0) {
        return OK;
    }
    if (!wrong && c->n_cells != c->n_columns) {
        snprintf(fault, fault_size, "there are %zu cells, and the first line names %zu columns",
                 c->n_cells, c->n_columns);
        return ERR_INVALID;
    }
    wrong = wrong ? wrong : find_fault(c, &column);
    if (!wrong && (has(c, IMSI) || has(c, USER))) {
        put_flat(c, out);
    } else if (!wrong) {
        column = put_whole(c, out);
        wrong = column == COLUMNS ? NULL : "this is no JSON";
    }
    if (wrong) {
        snprintf(fault, fault_size, "%s", wrong);
        *where = column < COLUMNS ? names[column] : NULL;
        return ERR_INVALID;
    }
    return out->failed ? ERR_NO_MEMORY : OK;
}

/* Where a column's value comes from in a file that does not have it: names and identities are made
 * of these. */
static const char *source_of(const struct bulk_csv *c, enum column column) {
    static const enum column sources[][4] = {{NAME, IMSI, USER, IMPI},
                                             {IMPI, IMSI, USER, IMPIS},
                                             {IMPUS, MSISDN, IMSI, USER},
                                             {IMPIS, IMPI, IMSI, USER}};
    for (size_t i = 0; i < COUNT_OF(sources); i++) {
        for (size_t k = 0; sources[i][0] == column && k < COUNT_OF(sources[i]); k++) {
            for (size_t n = 0; n < c->n_columns; n++) {
                if (c->columns[n] == sources[i][k]) {
                    return names[sources[i][k]];
                }
            }
        }
    }
    return names[column];
}

const char *bulk_csv_column(const struct bulk_csv *c, const char *pointer) {
    struct span rest = span_after(span_from_cstr(pointer), 1), first = span_cut(&rest, '/');
    bool impi = span_eq(first, SPAN("impis")), impu = span_eq(first, SPAN("impus"));
    if (impi || impu) {
        span_cut(&rest, '/');
        first = span_eq(rest, SPAN("identity")) || !rest.n ? (impi ? SPAN("impi") : SPAN("impus"))
                                                           : rest;
    }
    for (enum column i = 0; i < COLUMNS; i++) {
        if (span_eq(first, span_from_cstr(names[i]))) {
            return source_of(c, i);
        }
    }
    return impi || impu ? source_of(c, impi ? IMPIS : IMPUS) : NULL;
}
