/* The ladder's content: entries in order of time, columns in natural order. See ladder.h. */
#include "obs/ladder.h"

#include "obs/ladder_impl.h"
#include "obs/pcapng.h"

#include <errno.h>
#include <stdlib.h>

enum { CHUNK_BYTES = 65536 };

struct ladder *ladder_new(void) {
    struct ladder *l = calloc(1, sizeof *l);
    if (l) {
        chunk_pool_init(&l->chunks, CHUNK_BYTES, 0);
        l->arena = arena_init(&l->chunks);
    }
    return l;
}

void ladder_free(struct ladder *l) {
    if (l) {
        arena_release(&l->arena);
        chunk_pool_free(&l->chunks);
        free(l->entries);
        free(l);
    }
}

enum error ladder_set_title(struct ladder *l, struct span title) {
    bool failed = false;
    l->title = arena_copy(&l->arena, title, &failed);
    return failed ? ERR_NO_MEMORY : OK;
}

void ladder_set_describe(struct ladder *l, ladder_describe_fn *describe, void *ctx) {
    l->describe = describe;
    l->describe_ctx = ctx;
}

/* Puts an entry in its place by time; what is equally late comes in the order it was added. */
static enum error insert(struct ladder *l, const struct ladder_entry *e) {
    if (l->n == LADDER_ENTRIES_MAX) {
        return ERR_TOO_BIG;
    }
    if (l->n == l->cap) {
        size_t cap = l->cap ? 2 * l->cap : 64;
        struct ladder_entry *entries = realloc(l->entries, cap * sizeof *entries);
        if (!entries) {
            return ERR_NO_MEMORY;
        }
        l->entries = entries;
        l->cap = cap;
    }
    size_t at = l->n++;
    while (at > 0 && l->entries[at - 1].arrow.at_us > e->arrow.at_us) {
        l->entries[at] = l->entries[at - 1];
        at--;
    }
    l->entries[at] = *e;
    return OK;
}

static struct span name_or_address(struct arena *a, struct span name, const struct addr *addr,
                                   bool *failed) {
    char text[64];
    struct buf b = buf_init(text, sizeof text);
    if (span_is_empty(name) && addr->family) {
        addr_put(&b, addr);
        name = buf_span(&b);
    } else if (span_is_empty(name)) {
        name = SPAN("?");
    }
    return arena_copy(a, name, failed);
}

enum error ladder_add(struct ladder *l, const struct trace_message *m) {
    bool failed = false;
    struct ladder_entry e = {
        .arrow = {.at_us = m->at_us, .protocol = m->protocol},
        .from = m->from,
        .to = m->to,
        .wall_us = m->wall_us,
        .stream = m->stream,
    };
    e.arrow.bytes = arena_copy(&l->arena, m->bytes, &failed);
    e.arrow.from = name_or_address(&l->arena, m->from_name, &m->from, &failed);
    e.arrow.to = name_or_address(&l->arena, m->to_name, &m->to, &failed);
    if (failed) {
        return ERR_NO_MEMORY;
    }
    enum error err = ladder_label(&l->arena, &e);
    return err ? err : insert(l, &e);
}

enum error ladder_add_note(struct ladder *l, uint64_t at_us, struct span text) {
    bool failed = false;
    struct ladder_entry e = {.arrow = {.at_us = at_us}};
    e.arrow.note = arena_copy(&l->arena, text, &failed);
    return failed ? ERR_NO_MEMORY : insert(l, &e);
}

struct adding {
    struct ladder *ladder;
    enum error err;
};

static void add_one(void *ctx, const struct trace_message *m) {
    struct adding *adding = ctx;
    if (adding->err == OK) {
        adding->err = ladder_add(adding->ladder, m);
    }
}

enum error ladder_add_trace(struct ladder *l, const struct trace *t) {
    struct adding adding = {l, OK};
    trace_each(t, add_one, &adding);
    return adding.err;
}

size_t ladder_count(const struct ladder *l) {
    return l->n;
}

const struct ladder_arrow *ladder_at(const struct ladder *l, size_t i) {
    return &l->entries[i].arrow;
}

/* Columns. */

static unsigned rank_of(struct span name) {
    static const char *const order[] = {"ue", "pcscf", "icscf", "scscf", "hss", "dns"};
    for (unsigned i = 0; i < COUNT_OF(order); i++) {
        struct span prefix = span_from_cstr(order[i]);
        if (span_starts_with_nocase(name, prefix) &&
            (name.n == prefix.n || span_find_char(SPAN(":-."), name.p[prefix.n]) < 3)) {
            return i;
        }
    }
    return COUNT_OF(order);
}

static bool add_column(struct ladder *l, struct span name) {
    for (unsigned i = 0; i < l->n_columns; i++) {
        if (span_eq(l->columns[i].name, name)) {
            return true;
        }
    }
    if (l->n_columns == LADDER_COLUMNS_MAX) {
        return false;
    }
    l->columns[l->n_columns] = (struct ladder_column){name, rank_of(name), l->n_columns};
    l->n_columns++;
    return true;
}

static int column_order(const void *a, const void *b) {
    const struct ladder_column *x = a, *y = b;
    if (x->rank != y->rank) {
        return x->rank < y->rank ? -1 : 1;
    }
    return x->serial < y->serial ? -1 : x->serial > y->serial;
}

static unsigned column_of(const struct ladder *l, struct span name) {
    unsigned i = 0;
    while (i + 1 < l->n_columns && !span_eq(l->columns[i].name, name)) {
        i++;
    }
    return i;
}

bool ladder_layout(struct ladder *l) {
    l->n_columns = 0;
    for (size_t i = 0; i < l->n; i++) {
        const struct ladder_arrow *a = &l->entries[i].arrow;
        if (!a->note.n && (!add_column(l, a->from) || !add_column(l, a->to))) {
            return false;
        }
    }
    qsort(l->columns, l->n_columns, sizeof l->columns[0], column_order);
    for (size_t i = 0; i < l->n; i++) {
        struct ladder_entry *e = &l->entries[i];
        e->from_column = column_of(l, e->arrow.from);
        e->to_column = column_of(l, e->arrow.to);
    }
    return l->n_columns > 0;
}

/* Helpers of the drawings. */

struct span ladder_time(const struct ladder *l, const struct ladder_entry *e, char *out,
                        size_t cap) {
    uint64_t first = e->arrow.at_us;
    for (size_t i = 0; i < l->n; i++) {
        if (!l->entries[i].arrow.note.n) {
            first = l->entries[i].arrow.at_us;
            break;
        }
    }
    uint64_t us = e->arrow.at_us > first ? e->arrow.at_us - first : 0;
    struct buf b = buf_init(out, cap);
    if (us < 10000) {
        buf_printf(&b, "%.2f ms", (double)us / 1e3);
    } else if (us < 10000000) {
        buf_printf(&b, "%.1f ms", (double)us / 1e3);
    } else {
        buf_printf(&b, "%.1f s", (double)us / 1e6);
    }
    return buf_span(&b);
}

size_t ladder_text_width(struct span utf8) {
    size_t width = 0;
    for (size_t i = 0; i < utf8.n; i++) {
        width += ((uint8_t)utf8.p[i] & 0xc0) != 0x80;
    }
    return width;
}

void ladder_describe_entry(const struct ladder *l, const struct ladder_entry *e, struct buf *out) {
    const struct ladder_arrow *a = &e->arrow;
    size_t before = out->n;
    if (l->describe && l->describe(l->describe_ctx, a->protocol, a->bytes, out) && !out->overflow) {
        return;
    }
    out->n = before;
    out->overflow = false;
    if (a->protocol != TRACE_DIAMETER) {
        buf_put(out, span_slice(a->bytes, 0, out->cap - out->n));
        return;
    }
    for (size_t i = 0; i < a->bytes.n; i += 16) {
        struct span row = span_slice(a->bytes, i, i + 16);
        buf_printf(out, "%04zx  ", i);
        for (size_t k = 0; k < row.n; k++) {
            buf_hex(out, row.p + k, 1);
            buf_char(out, ' ');
        }
        buf_char(out, '\n');
    }
}

/* Capture. */

static enum error write_pcapng(const struct ladder *l, FILE *out) {
    struct pcapng *p = NULL;
    enum error err = pcapng_new(out, &p);
    for (size_t i = 0; i < l->n && err == OK; i++) {
        const struct ladder_entry *e = &l->entries[i];
        struct trace_message m = {
            .at_us = e->arrow.at_us,
            .wall_us = e->wall_us,
            .protocol = e->arrow.protocol,
            .stream = e->stream,
            .from = e->from,
            .to = e->to,
            .from_name = e->arrow.from,
            .to_name = e->arrow.to,
            .bytes = e->arrow.bytes,
        };
        if (!e->arrow.note.n) {
            err = pcapng_message(p, &m);
        }
    }
    enum error closed = pcapng_free(p);
    return err ? err : closed;
}

static bool ends_with(struct span s, const char *ending) {
    struct span e = span_from_cstr(ending);
    return s.n >= e.n && span_eq_nocase(span_after(s, s.n - e.n), e);
}

enum error ladder_write_file(const struct ladder *l, const char *path) {
    struct span name = span_from_cstr(path);
    FILE *out = fopen(path, "we");
    if (!out) {
        return error_from_errno(errno);
    }
    enum error err = OK;
    if (ends_with(name, ".svg")) {
        ladder_write_svg(l, out);
    } else if (ends_with(name, ".html") || ends_with(name, ".htm")) {
        ladder_write_html(l, out);
    } else if (ends_with(name, ".pcapng") || ends_with(name, ".pcap")) {
        err = write_pcapng(l, out);
    } else {
        ladder_write_text(l, &(struct ladder_style){.width = 120}, out);
    }
    if (ferror(out)) {
        err = err ? err : ERR_IO;
    }
    if (fclose(out) != 0) {
        err = err ? err : ERR_IO;
    }
    return err;
}
