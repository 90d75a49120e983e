#include "app/bulk_source.h"

#include "app/bulk_csv.h"
#include "app/settings.h"
#include "app/subscribers.h"
#include "base/buf.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

enum { CHUNK = 1 << 18, SNIFF = 1 << 16 };

struct bulk_source {
    uint64_t profiles; /* of the items that were skipped */
    int matched;       /* of the beginning of such a line; -1: it is none */
    enum bulk_format format;
    char *path;
    char *domain;
    int fd;
    uint64_t size;

    /* What was read and is not given out yet. */
    char *bytes;
    size_t from, to, cap;
    bool at_end;

    struct bulk_position at; /* without check */
    XXH3_state_t *hash;
    struct bulk_csv *csv;
    struct bulk_text json;
    bool too_long; /* the rest of a line that is too long is skipped */

    /* YAML: everything at once. */
    struct settings *settings;
    json_t *document;
    const char *list; /* of these: profiles, subscriptions, sims */
    size_t index;
    char *item;
};

/* Bytes. */

static enum error make_room(struct bulk_source *s) {
    if (s->from) {
        memmove(s->bytes, s->bytes + s->from, s->to - s->from);
        s->to -= s->from;
        s->from = 0;
    }
    if (s->to + CHUNK <= s->cap) {
        return OK;
    }
    size_t cap = s->cap ? 2 * s->cap : (size_t)2 * CHUNK;
    char *grown = malloc(cap);
    if (!grown) {
        return ERR_NO_MEMORY;
    }
    if (s->bytes) {
        memcpy(grown, s->bytes, s->to);
        OPENSSL_cleanse(s->bytes, s->cap);
        free(s->bytes);
    }
    s->bytes = grown;
    s->cap = cap;
    return OK;
}

static enum error read_more(struct bulk_source *s) {
    enum error e = make_room(s);
    if (e) {
        return e;
    }
    ssize_t n;
    do {
        n = read(s->fd, s->bytes + s->to, CHUNK);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        return error_from_errno(errno);
    }
    s->at_end = n == 0;
    s->to += (size_t)n;
    return OK;
}

static struct span waiting(const struct bulk_source *s) {
    return span_of(s->bytes + s->from, s->to - s->from);
}

static size_t record_length(const struct bulk_source *s, struct span text) {
    if (s->format == BULK_CSV) {
        return bulk_csv_record(text);
    }
    size_t n = span_find_char(text, '\n');
    return n < text.n ? n + 1 : 0;
}

/* The next record with its end, still counted as not read. ERR_TOO_BIG: it is longer than a line
 * may be, *out is its beginning. */
static enum error next_record(struct bulk_source *s, struct span *out) {
    for (;;) {
        struct span text = waiting(s);
        size_t n = record_length(s, text);
        if (n == 0 && s->at_end) {
            n = text.n; /* the last line has no end */
        }
        if (n) {
            *out = span_slice(text, 0, n);
            return n > BULK_SOURCE_LINE_MAX ? ERR_TOO_BIG : OK;
        }
        if (s->at_end) {
            return ERR_NOT_FOUND;
        }
        if (text.n > BULK_SOURCE_LINE_MAX) {
            *out = text;
            return ERR_TOO_BIG;
        }
        enum error e = read_more(s);
        if (e) {
            return e;
        }
    }
}

/* These bytes are read now. Number of lines that end in them. */
static uint64_t consume(struct bulk_source *s, struct span bytes) {
    uint64_t lines = 0;
    for (struct span rest = bytes; rest.n; lines++) {
        size_t at = span_find_char(rest, '\n');
        if (at == rest.n) {
            break;
        }
        rest = span_after(rest, at + 1);
    }
    XXH3_128bits_update(s->hash, bytes.p, bytes.n);
    s->from += bytes.n;
    s->at.bytes += bytes.n;
    s->at.line += lines;
    return lines;
}

/* Passes over the rest of a line whose beginning was too long. */
static enum error pass_over(struct bulk_source *s) {
    for (;;) {
        struct span text = waiting(s);
        size_t n = span_find_char(text, '\n');
        bool ends = n < text.n;
        (void)consume(s, span_slice(text, 0, ends ? n + 1 : text.n));
        if (ends || s->at_end) {
            return OK;
        }
        enum error e = read_more(s);
        if (e) {
            return e;
        }
    }
}

/* Opening. */

static enum error fail(const struct bulk_source *s, char **message, enum error e,
                       const char *text) {
    if (asprintf(message, "%s: %s", s->path, text) < 0) {
        *message = NULL;
    }
    return e;
}

static enum bulk_format format_of_suffix(const char *path) {
    static const struct {
        const char *suffix;
        enum bulk_format format;
    } known[] = {{".ndjson", BULK_NDJSON}, {".jsonl", BULK_NDJSON}, {".csv", BULK_CSV},
                 {".yaml", BULK_YAML},     {".yml", BULK_YAML},     {".json", BULK_GUESS}};
    const char *dot = strrchr(path, '.');
    for (size_t i = 0; dot && i < COUNT_OF(known); i++) {
        if (strcmp(dot, known[i].suffix) == 0) {
            return known[i].format;
        }
    }
    return BULK_GUESS;
}

/* NDJSON if the first line is an object that is an item by itself. */
static enum error guess(struct bulk_source *s) {
    enum error e = OK;
    size_t blank;
    do {
        e = read_more(s);
        struct span text = waiting(s);
        blank = 0;
        while (blank < text.n && strchr(" \t\r\n", text.p[blank])) {
            blank++;
        }
        text = span_after(text, blank);
        if (span_find_char(text, '\n') < text.n || text.n > BULK_SOURCE_LINE_MAX) {
            break;
        }
    } while (!e && !s->at_end);
    struct span text = span_after(waiting(s), blank), line = span_cut(&text, '\n');
    json_t *first = json_loadb(line.n ? line.p : "", line.n, 0, NULL);
    static const char *const members[] = {"imsi", "user", "impis", "profile"};
    s->format = BULK_YAML;
    for (size_t i = 0; i < COUNT_OF(members); i++) {
        if (json_object_get(first, members[i])) {
            s->format = BULK_NDJSON;
        }
    }
    json_decref(first);
    return e;
}

static enum error open_file(struct bulk_source *s, char **message) {
    struct stat st;
    bool standard = strcmp(s->path, "-") == 0;
    s->fd = standard ? dup(STDIN_FILENO) : open(s->path, O_RDONLY | O_CLOEXEC);
    if (s->fd < 0 || fstat(s->fd, &st) != 0) {
        return fail(s, message, error_from_errno(errno), strerror(errno));
    }
    if (S_ISDIR(st.st_mode)) {
        return fail(s, message, ERR_INVALID, "it is a folder");
    }
    s->size = S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
    return OK;
}

static enum error open_settings(struct bulk_source *s, char **message) {
    enum error e = OK;
    if (s->fd < 0) { /* by name: it may be one that is built in */
        e = subscribers_open(NULL, s->path, &s->settings);
    } else {
        while (!e && !s->at_end && s->to <= UINT32_MAX) {
            e = read_more(s);
        }
        struct span content = waiting(s);
        e = e ? e : settings_open(s->path, &content, &s->settings);
    }
    if (e) {
        return fail(s, message, e, error_text(e));
    }
    s->document = subscribers_json(s->settings, s->domain);
    if (!s->document) {
        struct span faults = span_trim(settings_fault_text(s->settings));
        *message = strndup(faults.n ? faults.p : "out of memory", faults.n ? faults.n : 13);
        return ERR_INVALID;
    }
    s->list = "profiles";
    return OK;
}

static enum error open_csv(struct bulk_source *s, char **message) {
    struct span header;
    char text[600] = "it is empty: the first line names the columns";
    enum error e = next_record(s, &header);
    if (!e) {
        struct span cells = header;
        if (span_starts_with(cells, SPAN("\xef\xbb\xbf"))) { /* a byte order mark */
            cells = span_after(cells, 3);
        }
        e = bulk_csv_new(cells, &s->csv, text, sizeof text);
        (void)consume(s, header);
    }
    if (e == ERR_NOT_FOUND || e == ERR_INVALID) {
        if (asprintf(message, "%s:1: %s", s->path, text) < 0) {
            *message = NULL;
        }
        return ERR_INVALID;
    }
    return e ? fail(s, message, e, error_text(e)) : OK;
}

static enum error start(struct bulk_source *s, char **message) {
    if (s->format == BULK_GUESS) {
        s->format = format_of_suffix(s->path);
    }
    bool named_yaml = s->format == BULK_YAML && strcmp(s->path, "-") != 0;
    enum error e = named_yaml ? OK : open_file(s, message);
    if (!e && s->format == BULK_GUESS && (e = guess(s)) != OK) {
        return fail(s, message, e, error_text(e));
    }
    if (e) {
        return e;
    }
    return s->format == BULK_YAML  ? open_settings(s, message)
           : s->format == BULK_CSV ? open_csv(s, message)
                                   : OK;
}

enum error bulk_source_open(const char *path, enum bulk_format format, const char *domain,
                            struct bulk_source **out, char **message) {
    struct bulk_source *s = calloc(1, sizeof *s);
    enum error e = ERR_NO_MEMORY;
    *message = NULL;
    *out = NULL;
    if (!s) {
        return e;
    }
    s->fd = -1;
    s->format = format;
    s->path = strdup(path);
    s->domain = strdup(domain);
    s->hash = XXH3_createState();
    if (s->path && s->domain && s->hash) {
        XXH3_128bits_reset(s->hash);
        e = start(s, message);
    }
    if (e) {
        bulk_source_close(s);
        return e;
    }
    *out = s;
    return OK;
}

void bulk_source_close(struct bulk_source *s) {
    if (!s) {
        return;
    }
    if (s->fd >= 0) {
        close(s->fd);
    }
    if (s->bytes) {
        OPENSSL_cleanse(s->bytes, s->cap);
        free(s->bytes);
    }
    if (s->item) {
        OPENSSL_cleanse(s->item, strlen(s->item));
        free(s->item);
    }
    bulk_text_free(&s->json);
    bulk_csv_free(s->csv);
    json_decref(s->document);
    settings_close(s->settings);
    XXH3_freeState(s->hash);
    free(s->path);
    free(s->domain);
    free(s);
}

/* Items. */

/* Appends text with the home domain in place of "{domain}". */
static void put_domain(struct bulk_text *out, struct span text, const char *domain) {
    static const struct span mark = SPAN_INIT("{domain}");
    for (size_t at; (at = span_find(text, mark)) < text.n; text = span_after(text, at + mark.n)) {
        bulk_text_put(out, span_slice(text, 0, at));
        bulk_text_put(out, span_from_cstr(domain));
    }
    bulk_text_put(out, text);
}

static void set_json(struct bulk_source *s, struct span text, struct bulk_item *out) {
    static const struct span mark = SPAN_INIT("{domain}");
    out->json = text;
    if (span_find(text, mark) < text.n) {
        struct bulk_text with = {0};
        put_domain(&with, text, s->domain);
        bulk_text_free(&s->json);
        s->json = with;
        out->json = span_of(s->json.p, s->json.n);
    }
}

static enum error take_row(struct bulk_source *s, struct span record, struct bulk_item *out) {
    s->json.n = 0;
    enum error e =
        bulk_csv_row(s->csv, record, &s->json, out->fault, sizeof out->fault, &out->fault_where);
    if (e == ERR_INVALID) {
        return OK; /* it is a fault of this row */
    }
    if (!e) {
        set_json(s, span_of(s->json.p, s->json.n), out);
    }
    return s->json.failed ? ERR_NO_MEMORY : e;
}

/* An item of a text that is read line by line. */
static enum error next_line(struct bulk_source *s, struct bulk_item *out) {
    for (;;) {
        struct span record = SPAN_NONE;
        enum error e = next_record(s, &record);
        if (e && e != ERR_TOO_BIG) {
            return e;
        }
        *out = (struct bulk_item){.number = s->at.line + 1, .text = record};
        (void)consume(s, record);
        if (e == ERR_TOO_BIG) {
            snprintf(out->fault, sizeof out->fault, "a line has at most %d MiB",
                     BULK_SOURCE_LINE_MAX >> 20);
            out->text = SPAN_NONE;
            s->at.items++;
            bool ended = record.n && record.p && record.p[record.n - 1] == '\n';
            return ended ? OK : pass_over(s);
        }
        struct span text = span_trim(record);
        if (!text.n) {
            continue;
        }
        if (s->format == BULK_CSV) {
            e = take_row(s, record, out);
        } else {
            if (out->number == 1 && span_starts_with(text, SPAN("\xef\xbb\xbf"))) {
                text = span_after(text, 3);
            }
            set_json(s, text, out);
        }
        if (e || out->json.n || out->fault[0]) {
            s->at.items++;
            return s->json.failed ? ERR_NO_MEMORY : e;
        }
    }
}

/* The item of a document with a number, and the list where it stands. */
static json_t *find_item(const struct bulk_source *s, uint64_t number, const char **list,
                         size_t *index) {
    static const char *const lists[] = {"profiles", "subscriptions", "sims"};
    for (size_t i = 0; i < COUNT_OF(lists); i++) {
        json_t *items = json_object_get(s->document, lists[i]);
        if (number < json_array_size(items)) {
            *list = lists[i];
            *index = (size_t)number;
            return json_array_get(items, *index);
        }
        number -= json_array_size(items);
    }
    return NULL;
}

static enum error next_of_document(struct bulk_source *s, struct bulk_item *out) {
    const char *list;
    size_t index;
    json_t *item = find_item(s, s->at.items, &list, &index);
    if (!item) {
        return ERR_NOT_FOUND;
    }
    json_t *line =
        strcmp(list, "profiles") == 0 ? json_pack("{s:O}", "profile", item) : json_incref(item);
    char *text = json_dumps(line, JSON_COMPACT);
    json_decref(line);
    if (!text) {
        return ERR_NO_MEMORY;
    }
    if (s->item) {
        OPENSSL_cleanse(s->item, strlen(s->item));
        free(s->item);
    }
    s->item = text;
    s->at.items++;
    s->at.bytes = s->at.line = s->at.items;
    *out = (struct bulk_item){.number = s->at.items, .json = span_from_cstr(text)};
    out->text = out->json;
    XXH3_128bits_update(s->hash, text, out->json.n);
    return OK;
}

enum error bulk_source_next(struct bulk_source *s, struct bulk_item *out) {
    return s->document ? next_of_document(s, out) : next_line(s, out);
}

uint64_t bulk_source_size(const struct bulk_source *s) {
    size_t items = json_array_size(json_object_get(s->document, "profiles")) +
                   json_array_size(json_object_get(s->document, "subscriptions")) +
                   json_array_size(json_object_get(s->document, "sims"));
    return s->document ? items : s->size;
}

uint64_t bulk_source_where(const struct bulk_source *s, uint64_t number, const char *pointer,
                           char where[BULK_SOURCE_TEXT]) {
    const char *list, *column = s->csv ? bulk_csv_column(s->csv, pointer) : NULL;
    size_t index;
    where[0] = '\0';
    if (column) {
        snprintf(where, BULK_SOURCE_TEXT, "column %s", column);
    } else if (*pointer && !s->document && !s->csv) {
        snprintf(where, BULK_SOURCE_TEXT, "%s", pointer);
    }
    if (!s->document || !number || !find_item(s, number - 1, &list, &index)) {
        return number;
    }
    bool bare = setting_is_sequence(settings_root(s->settings));
    bool profile = strncmp(pointer, "/profile/", 9) == 0;
    char whole[512];
    int n = snprintf(whole, sizeof whole, "%s%s/%zu%s", bare ? "" : "/", bare ? "" : list, index,
                     profile ? pointer + 8 : pointer);
    bool fits = n > 0 && (size_t)n < sizeof whole;
    return settings_line(
        settings_at_pointer(s->settings, fits ? span_from_cstr(whole) : SPAN_NONE));
}

/* Positions. */

void bulk_source_position(const struct bulk_source *s, struct bulk_position *out) {
    XXH128_canonical_t bytes;
    struct buf b = buf_init(out->check, sizeof out->check - 1);
    *out = s->at;
    XXH128_canonicalFromHash(&bytes, XXH3_128bits_digest(s->hash));
    buf_hex(&b, bytes.digest, sizeof bytes.digest);
    out->check[b.n] = '\0';
}

/* Counts lines that begin with {"profile", in parts of the text, one after the other. */
static void count_profiles(struct bulk_source *s, struct span text) {
    static const char begin[] = "{\"profile\"";
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c == '\n') {
            s->matched = 0;
        } else if (s->matched >= 0 && c != ' ' && c != '\t') {
            s->matched = c == begin[s->matched] ? s->matched + 1 : -1;
            if (s->matched == (int)sizeof begin - 1) {
                s->profiles++;
                s->matched = -1;
            }
        }
    }
}

uint64_t bulk_source_profiles(const struct bulk_source *s) {
    return s->profiles;
}

static enum error skip_bytes(struct bulk_source *s, uint64_t to) {
    while (s->at.bytes < to) {
        struct span text = waiting(s);
        if (!text.n && s->at_end) {
            return ERR_CONFLICT;
        }
        uint64_t n = to - s->at.bytes;
        struct span part = span_slice(text, 0, n < text.n ? (size_t)n : text.n);
        if (!s->csv) {
            count_profiles(s, part);
        }
        (void)consume(s, part);
        enum error e = s->from == s->to && !s->at_end ? read_more(s) : OK;
        if (e) {
            return e;
        }
    }
    return s->at.bytes == to ? OK : ERR_CONFLICT;
}

enum error bulk_source_skip(struct bulk_source *s, const struct bulk_position *to) {
    struct bulk_position now;
    struct bulk_item item;
    enum error e = OK;
    if (s->document) {
        while (s->at.items < to->items && !e) {
            e = next_of_document(s, &item);
        }
        uint64_t profiles = json_array_size(json_object_get(s->document, "profiles"));
        s->profiles = profiles < to->items ? profiles : to->items; /* they come first */
    } else {
        e = skip_bytes(s, to->bytes);
        s->at.items = to->items;
    }
    bulk_source_position(s, &now);
    if (!e && (strcmp(now.check, to->check) != 0 || now.line != to->line)) {
        e = ERR_CONFLICT;
    }
    return e == ERR_NOT_FOUND ? ERR_CONFLICT : e;
}

void bulk_position_put(const struct bulk_position *p, char *out, size_t cap) {
    snprintf(out, cap, "%" PRIu64 ".%" PRIu64 ".%" PRIu64 ".%s", p->bytes, p->line, p->items,
             p->check);
}

bool bulk_position_read(const char *text, struct bulk_position *out) {
    struct span rest = span_from_cstr(text);
    struct span bytes = span_cut(&rest, '.'), line = span_cut(&rest, '.');
    struct span items = span_cut(&rest, '.');
    return span_to_u64(bytes, UINT64_MAX, &out->bytes) &&
           span_to_u64(line, UINT64_MAX, &out->line) &&
           span_to_u64(items, UINT64_MAX, &out->items) && rest.n == sizeof out->check - 1 &&
           span_to_cstr(rest, out->check, sizeof out->check);
}
