#include "app/settings.h"

#include "app/command.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <yaml.h>

enum { FILE_MAX = 256 << 20, FAULT_BYTES = 16 << 10, CHUNK = 16 << 10 };

struct settings {
    char *path;
    yaml_document_t document;
    bool has_document;
    bool partial;
    struct chunk_pool pool;
    struct arena arena;
    char fault_bytes[FAULT_BYTES];
    struct buf faults;
    size_t n_faults;
};

/* Files. */

static enum error read_stream(FILE *f, char **out, size_t *n) {
    size_t cap = 1 << 16;
    char *bytes = NULL;
    *n = 0;
    do {
        char *grown = realloc(bytes, cap);
        if (!grown) {
            free(bytes);
            return ERR_NO_MEMORY;
        }
        bytes = grown;
        *n += fread(bytes + *n, 1, cap - *n, f);
        if (*n < cap) {
            break;
        }
        cap *= 2;
    } while (cap <= FILE_MAX);
    if (ferror(f) || *n >= FILE_MAX) {
        free(bytes);
        return *n >= FILE_MAX ? ERR_TOO_BIG : ERR_IO;
    }
    *out = bytes;
    return OK;
}

enum error settings_read_file(const char *path, char **out, size_t *n) {
    if (strcmp(path, "-") == 0) {
        return read_stream(stdin, out, n);
    }
    FILE *f = fopen(path, "re");
    if (!f) {
        return error_from_errno(errno);
    }
    enum error e = read_stream(f, out, n);
    fclose(f);
    return e;
}

/* libyaml counts lines from 0; its problem is a sentence, its context says where it began. */
static void syntax_fault(struct settings *s, const yaml_parser_t *p) {
    unsigned line = (unsigned)p->problem_mark.line + 1;
    const char *problem = p->problem ? p->problem : "not readable";
    if (p->error == YAML_READER_ERROR) {
        settings_fault(s, line, "not UTF-8 text: %s", problem);
    } else if (p->context) {
        settings_fault(s, line, "not YAML: %s %s (that began in line %zu)", problem, p->context,
                       p->context_mark.line + 1);
    } else {
        settings_fault(s, line, "not YAML: %s", problem);
    }
}

static void parse(struct settings *s, struct span content) {
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser)) {
        settings_fault(s, 0, "out of memory");
        return;
    }
    yaml_parser_set_input_string(&parser, (const unsigned char *)content.p, content.n);
    s->has_document = yaml_parser_load(&parser, &s->document);
    if (!s->has_document) {
        syntax_fault(s, &parser);
    } else {
        yaml_document_t second;
        if (yaml_parser_load(&parser, &second)) {
            if (yaml_document_get_root_node(&second)) {
                settings_fault(s, (unsigned)second.start_mark.line + 1,
                               "a second document begins here: one file is one document");
            }
            yaml_document_delete(&second);
        } else {
            syntax_fault(s, &parser);
        }
    }
    yaml_parser_delete(&parser);
}

enum error settings_open(const char *path, const struct span *content, struct settings **out) {
    char *bytes = NULL;
    size_t n = 0;
    *out = NULL;
    if (!content) {
        enum error e = settings_read_file(path, &bytes, &n);
        if (e) {
            return e;
        }
    }
    struct settings *s = calloc(1, sizeof *s);
    if (s) {
        s->path = strdup(path);
    }
    if (!s || !s->path) {
        free(bytes);
        free(s);
        return ERR_NO_MEMORY;
    }
    chunk_pool_init(&s->pool, CHUNK, 0);
    s->arena = arena_init(&s->pool);
    s->faults = buf_init(s->fault_bytes, sizeof s->fault_bytes);
    parse(s, content ? *content : span_of(bytes, n));
    if (bytes) {
        OPENSSL_cleanse(bytes, n); /* a file of subscribers holds keys */
    }
    free(bytes);
    *out = s;
    return OK;
}

void settings_close(struct settings *s) {
    if (!s) {
        return;
    }
    if (s->has_document) {
        yaml_document_delete(&s->document);
    }
    arena_release(&s->arena);
    chunk_pool_free(&s->pool);
    free(s->path);
    free(s);
}

void settings_partial(struct settings *s) {
    s->partial = true;
}

const char *settings_path(const struct settings *s) {
    return s->path;
}

struct arena *settings_arena(struct settings *s) {
    return &s->arena;
}

/* Faults. */

void settings_fault(struct settings *s, unsigned line, const char *format, ...) {
    char text[1024];
    va_list values;
    if (++s->n_faults > FAULTS_SHOWN) {
        return;
    }
    va_start(values, format);
    vsnprintf(text, sizeof text, format, values);
    va_end(values);
    struct buf kept = s->faults;
    if (line) {
        buf_printf(&kept, "%s:%u: ", s->path, line);
    } else {
        buf_printf(&kept, "%s: ", s->path);
    }
    buf_cstr(&kept, text);
    buf_char(&kept, '\n');
    if (!kept.overflow) {
        s->faults = kept;
    }
}

size_t settings_faults(const struct settings *s) {
    return s->n_faults;
}

struct span settings_fault_text(const struct settings *s) {
    return buf_span(&s->faults);
}

/* Values. yaml_document_get_node takes a document that it does not change, without const. */

static yaml_document_t *document_of(const struct settings *s) {
    union {
        const yaml_document_t *in;
        yaml_document_t *out;
    } d = {.in = &s->document};
    return d.out;
}

static setting_value node_at(const struct settings *s, int index) {
    return yaml_document_get_node(document_of(s), index);
}

setting_value settings_root(const struct settings *s) {
    return s->has_document ? yaml_document_get_root_node(document_of(s)) : NULL;
}

unsigned settings_line(setting_value value) {
    return value ? (unsigned)value->start_mark.line + 1 : 0;
}

bool setting_is_scalar(setting_value value) {
    return value && value->type == YAML_SCALAR_NODE;
}

bool setting_is_sequence(setting_value value) {
    return value && value->type == YAML_SEQUENCE_NODE;
}

bool setting_is_mapping(setting_value value) {
    return value && value->type == YAML_MAPPING_NODE;
}

static struct span scalar(setting_value value) {
    return span_of(value->data.scalar.value, value->data.scalar.length);
}

/* "nothing", "a list", ...: what a value is, for a message that wanted something else. */
static const char *kind_of(setting_value value) {
    if (setting_is_sequence(value)) {
        return "a list";
    }
    if (setting_is_mapping(value)) {
        return "a group of settings";
    }
    return value && value->data.scalar.length ? "a single value" : "nothing";
}

static const char *copy_text(struct settings *s, struct span text) {
    char *copy = arena_alloc(&s->arena, text.n + 1);
    if (!copy) {
        settings_fault(s, 0, "out of memory");
        return NULL;
    }
    memcpy(copy, text.p, text.n);
    copy[text.n] = '\0';
    return copy;
}

const char *settings_text(struct settings *s, setting_value value, const char *what) {
    if (!setting_is_scalar(value) || !value->data.scalar.length) {
        settings_fault(s, settings_line(value), "%s: a text is expected, not %s", what,
                       kind_of(value));
        return NULL;
    }
    if (memchr(value->data.scalar.value, 0, value->data.scalar.length)) {
        settings_fault(s, settings_line(value), "%s: holds a NUL character", what);
        return NULL;
    }
    return copy_text(s, scalar(value));
}

static void put_choices(struct buf *b, const char *const *choices) {
    for (size_t i = 0; choices[i]; i++) {
        buf_cstr(b, i == 0 ? "" : choices[i + 1] ? ", " : " or ");
        buf_cstr(b, choices[i]);
    }
}

/* One value of each kind. */

struct place {
    struct settings *s;
    const char *name;
    setting_value value;
    struct span text; /* of a scalar */
    unsigned line;
};

static void wrong(const struct place *p, const char *expected) {
    char shown[128];
    struct buf b = buf_init(shown, sizeof shown - 1);
    buf_escaped(&b, span_slice(p->text, 0, 24));
    shown[b.n] = '\0';
    settings_fault(p->s, p->line, "%s is \"%s\"; it takes %s", p->name, shown, expected);
}

static void read_number(const struct place *p, const struct setting *t, uint32_t *out) {
    uint64_t number;
    char expected[80];
    if (span_to_u64(p->text, t->max, &number) && number >= t->min) {
        *out = (uint32_t)number;
        return;
    }
    snprintf(expected, sizeof expected, "a number from %llu to %llu", (unsigned long long)t->min,
             (unsigned long long)t->max);
    wrong(p, expected);
}

static void read_size(const struct place *p, const struct setting *t, uint64_t *out) {
    static const struct {
        const char *unit;
        unsigned shift;
    } units[] = {{"KiB", 10}, {"MiB", 20}, {"GiB", 30}, {"TiB", 40}};
    char expected[96];
    struct span digits = p->text;
    unsigned shift = 0;
    uint64_t number;
    for (size_t i = 0; i < COUNT_OF(units); i++) {
        struct span unit = span_from_cstr(units[i].unit);
        if (digits.n > unit.n && span_eq(span_after(digits, digits.n - unit.n), unit)) {
            shift = units[i].shift;
            digits = span_trim(span_slice(digits, 0, digits.n - unit.n));
            break;
        }
    }
    if (span_to_u64(digits, t->max >> shift, &number) && number << shift >= t->min) {
        *out = number << shift;
        return;
    }
    snprintf(expected, sizeof expected, "bytes from %llu to %llu, as in \"64 MiB\"",
             (unsigned long long)t->min, (unsigned long long)t->max);
    wrong(p, expected);
}

static void read_flag(const struct place *p, bool *out) {
    static const char *const yes[] = {"yes", "true", "on"}, *const no[] = {"no", "false", "off"};
    for (size_t i = 0; i < COUNT_OF(yes); i++) {
        if (span_eq_nocase(p->text, span_from_cstr(yes[i]))) {
            *out = true;
            return;
        }
        if (span_eq_nocase(p->text, span_from_cstr(no[i]))) {
            *out = false;
            return;
        }
    }
    wrong(p, "yes or no");
}

static void read_choice(const struct place *p, const struct setting *t, int *out) {
    char expected[256];
    for (int i = 0; t->choices[i]; i++) {
        if (span_eq_nocase(p->text, span_from_cstr(t->choices[i]))) {
            *out = i;
            return;
        }
    }
    struct buf b = buf_init(expected, sizeof expected - 1);
    put_choices(&b, t->choices);
    expected[b.n] = '\0';
    wrong(p, expected);
}

static void read_addr(const struct place *p, const struct setting *t, struct addr *out) {
    char expected[96];
    if (addr_parse(p->text, out) || addr_parse_host(p->text, (uint16_t)t->min, out)) {
        return;
    }
    if (t->min) {
        snprintf(expected, sizeof expected,
                 "an IP address, with a port if it is not %u, as in \"127.0.0.1:%u\"",
                 (unsigned)t->min, (unsigned)t->min);
    }
    wrong(p, t->min ? expected : "an IP address, with or without a port, as in \"192.0.2.1\"");
}

static void read_text(const struct place *p, const char **out) {
    const char *text = settings_text(p->s, p->value, p->name);
    if (text) {
        *out = text;
    }
}

static void read_value(struct settings *s, const struct setting *t, setting_value value,
                       void *object) {
    void *at = (char *)object + t->at;
    struct place p = {s, t->name, value, SPAN_NONE, settings_line(value)};
    if (t->kind == SETTING_PART) {
        t->read(s, value, object);
        return;
    }
    if (!setting_is_scalar(value)) {
        settings_fault(s, p.line, "%s: a single value is expected, not %s", t->name,
                       kind_of(value));
        return;
    }
    p.text = scalar(value);
    switch (t->kind) {
    case SETTING_TEXT:
        read_text(&p, at);
        break;
    case SETTING_NUMBER:
        read_number(&p, t, at);
        break;
    case SETTING_SIZE:
        read_size(&p, t, at);
        break;
    case SETTING_FLAG:
        read_flag(&p, at);
        break;
    case SETTING_CHOICE:
        read_choice(&p, t, at);
        break;
    case SETTING_ADDR:
        read_addr(&p, t, at);
        break;
    case SETTING_PART:
        break;
    }
}

/* Mappings and sequences. */

static void unknown_name(struct settings *s, const struct setting *table, setting_value key,
                         const char *name) {
    enum { MAX_NAMES = 64 };
    const char *names[MAX_NAMES + 1];
    char known[768];
    size_t n = 0;
    for (const struct setting *t = table; t->name && n < MAX_NAMES; t++) {
        names[n++] = t->name;
    }
    names[n] = NULL;
    const char *meant = command_suggest(name, names, n);
    if (meant) {
        settings_fault(s, settings_line(key), "\"%.40s\" is not a setting here: did you mean %s?",
                       name, meant);
        return;
    }
    struct buf b = buf_init(known, sizeof known - 1);
    put_choices(&b, names);
    known[b.n] = '\0';
    settings_fault(s, settings_line(key), "\"%.40s\" is not a setting here; there are %s", name,
                   known);
}

/* The name of an entry, which must be a scalar and not have been there before. */
static const char *entry_name(struct settings *s, setting_value mapping,
                              const yaml_node_pair_t *pair) {
    setting_value key = node_at(s, pair->key);
    if (!setting_is_scalar(key) || !key->data.scalar.length) {
        settings_fault(s, settings_line(key), "a name is expected before the colon, not %s",
                       kind_of(key));
        return NULL;
    }
    for (const yaml_node_pair_t *p = mapping->data.mapping.pairs.start; p < pair; p++) {
        setting_value earlier = node_at(s, p->key);
        if (setting_is_scalar(earlier) && span_eq(scalar(earlier), scalar(key))) {
            settings_fault(s, settings_line(key), "\"%.40s\" stands here twice: first in line %u",
                           (const char *)key->data.scalar.value, settings_line(earlier));
            return NULL;
        }
    }
    return copy_text(s, scalar(key));
}

static const struct setting *find_setting(const struct setting *table, const char *name) {
    const struct setting *t = table;
    while (t->name && strcmp(t->name, name) != 0) {
        t++;
    }
    return t->name ? t : NULL;
}

/* "name:" with nothing behind it is an empty group. */
static bool is_empty(setting_value value) {
    return !value || (setting_is_scalar(value) && value->data.scalar.length == 0 &&
                      value->data.scalar.style == YAML_PLAIN_SCALAR_STYLE);
}

void settings_read(struct settings *s, setting_value value, const struct setting *table,
                   void *object) {
    if (value && !setting_is_mapping(value) && !is_empty(value)) {
        settings_fault(s, settings_line(value), "settings are expected here (name: value), not %s",
                       kind_of(value));
        return;
    }
    if (setting_is_mapping(value)) {
        const yaml_node_pair_t *end = value->data.mapping.pairs.top;
        for (const yaml_node_pair_t *p = value->data.mapping.pairs.start; p < end; p++) {
            const char *name = entry_name(s, value, p);
            const struct setting *t = name ? find_setting(table, name) : NULL;
            if (t) {
                read_value(s, t, node_at(s, p->value), object);
            } else if (name) {
                unknown_name(s, table, node_at(s, p->key), name);
            }
        }
    }
    for (const struct setting *t = table; t->name; t++) {
        if (t->required && !s->partial && !settings_entry(s, value, t->name)) {
            settings_fault(s, settings_line(value), "%s is missing here", t->name);
        }
    }
}

void settings_each_item(struct settings *s, setting_value value, const char *what,
                        setting_read_fn *read, void *object) {
    if (is_empty(value)) {
        return;
    }
    if (!setting_is_sequence(value)) {
        settings_fault(s, settings_line(value), "%s: a list is expected, not %s", what,
                       kind_of(value));
        return;
    }
    const yaml_node_item_t *end = value->data.sequence.items.top;
    for (const yaml_node_item_t *i = value->data.sequence.items.start; i < end; i++) {
        read(s, node_at(s, *i), object);
    }
}

void settings_each_entry(struct settings *s, setting_value value, const char *what,
                         setting_entry_fn *read, void *object) {
    if (is_empty(value)) {
        return;
    }
    if (!setting_is_mapping(value)) {
        settings_fault(s, settings_line(value), "%s: entries are expected (name: ...), not %s",
                       what, kind_of(value));
        return;
    }
    const yaml_node_pair_t *end = value->data.mapping.pairs.top;
    for (const yaml_node_pair_t *p = value->data.mapping.pairs.start; p < end; p++) {
        struct setting_entry e = {
            .name = entry_name(s, value, p),
            .line = settings_line(node_at(s, p->key)),
            .value = node_at(s, p->value),
        };
        if (e.name) {
            read(s, &e, object);
        }
    }
}

void settings_numbers(struct settings *s, setting_value value, uint64_t max, const uint32_t **out,
                      size_t *n) {
    *n = 0;
    if (is_empty(value)) {
        return;
    }
    if (!setting_is_sequence(value)) {
        settings_fault(s, settings_line(value), "a list of numbers is expected, as in [1, 2]");
        return;
    }
    const yaml_node_item_t *start = value->data.sequence.items.start,
                           *end = value->data.sequence.items.top;
    uint32_t *numbers = arena_alloc(&s->arena, ((size_t)(end - start) + 1) * sizeof *numbers);
    if (!numbers) {
        settings_fault(s, settings_line(value), "out of memory");
        return;
    }
    for (const yaml_node_item_t *i = start; i < end; i++) {
        const struct setting one = {.name = "an item", .kind = SETTING_NUMBER, .max = max};
        read_value(s, &one, node_at(s, *i), &numbers[*n]);
        ++*n;
    }
    *out = numbers;
}

static const yaml_node_pair_t *find_pair(const struct settings *s, setting_value mapping,
                                         struct span name) {
    const yaml_node_pair_t *end = mapping->data.mapping.pairs.top;
    for (const yaml_node_pair_t *p = mapping->data.mapping.pairs.start; p < end; p++) {
        setting_value key = node_at(s, p->key);
        if (setting_is_scalar(key) && span_eq(scalar(key), name)) {
            return p;
        }
    }
    return NULL;
}

static setting_value entry(const struct settings *s, setting_value value, struct span name) {
    const yaml_node_pair_t *p = setting_is_mapping(value) ? find_pair(s, value, name) : NULL;
    return p ? node_at(s, p->value) : NULL;
}

setting_value settings_entry(const struct settings *s, setting_value value, const char *name) {
    return entry(s, value, span_from_cstr(name));
}

unsigned settings_entry_line(const struct settings *s, setting_value value, const char *name) {
    const yaml_node_pair_t *p =
        setting_is_mapping(value) ? find_pair(s, value, span_from_cstr(name)) : NULL;
    return settings_line(p ? node_at(s, p->key) : value);
}

static setting_value child_at(const struct settings *s, setting_value value, struct span name) {
    uint64_t index;
    if (setting_is_sequence(value)) {
        const yaml_node_item_t *items = value->data.sequence.items.start;
        size_t n = (size_t)(value->data.sequence.items.top - items);
        return n && span_to_u64(name, n - 1, &index) ? node_at(s, items[index]) : NULL;
    }
    return entry(s, value, name);
}

setting_value settings_at_pointer(const struct settings *s, struct span pointer) {
    setting_value at = settings_root(s);
    struct span rest = pointer;
    if (rest.n && rest.p[0] == '/') {
        rest = span_after(rest, 1);
    }
    while (at && rest.p && rest.n) {
        setting_value child = child_at(s, at, span_cut(&rest, '/'));
        if (!child) {
            break;
        }
        at = child;
    }
    return at;
}
