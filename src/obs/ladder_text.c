/* The ladder for a terminal: each line is composed in a row of cells, then written out.
 *
 *             ue:alice          pcscf           icscf
 *    0.00 ms  ├─── REGISTER ──▶│               │
 *    0.21 ms  │                ├── REGISTER ──▶│
 *    1.35 ms  │◀─ 401 Unauthorized ────────────┤
 */
#include "obs/ladder_impl.h"

#include <stdlib.h>

enum { ROW_MAX = 600, TIME_WIDTH = 11, SPACING_MIN = 10, SPACING_MAX = 44 };

enum colour { PLAIN = 0, RED = 31, GREEN = 32, YELLOW = 33, CYAN = 36, DIM = 90 };

struct cell {
    uint32_t c; /* code point; 0 is a space */
    uint8_t colour;
};

struct canvas {
    FILE *out;
    struct ladder_style style;
    size_t width, first, spacing; /* of a row; where the first lifeline stands; between two */
    struct cell row[ROW_MAX];
};

/* Unicode box drawing and what stands for it in ASCII. */
enum glyph { VERTICAL, HORIZONTAL, CROSS, TEE_RIGHT, TEE_LEFT, HEAD_RIGHT, HEAD_LEFT, DOTS, RULE };

static uint32_t glyph(const struct canvas *c, enum glyph g) {
    static const uint32_t unicode[] = {0x2502, 0x2500, 0x253c, 0x251c, 0x2524,
                                       0x25b6, 0x25c0, 0x2026, 0x2504};
    static const char ascii[] = "|-+||><~.";
    return c->style.ascii ? (uint32_t)ascii[g] : unicode[g];
}

static void put(struct canvas *c, size_t x, uint32_t code, enum colour colour) {
    if (x < c->width && x < ROW_MAX) {
        c->row[x] = (struct cell){code, (uint8_t)colour};
    }
}

/* Decodes one code point; what is no UTF-8 or a control character becomes '?'. */
static uint32_t next_code(struct span s, size_t *at) {
    uint8_t first = (uint8_t)s.p[(*at)++];
    size_t more = first < 0x80 ? 0 : first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : first >= 0xc0 ? 1 : 4;
    uint32_t code = more == 0 ? first : first & (0x3fu >> more);
    if (more == 4) {
        return '?';
    }
    for (; more; more--) {
        if (*at == s.n || ((uint8_t)s.p[*at] & 0xc0) != 0x80) {
            return '?';
        }
        code = code << 6 | ((uint8_t)s.p[(*at)++] & 0x3f);
    }
    return code < 32 || (code >= 127 && code < 160) ? '?' : code;
}

/* Puts text from x on; returns the column behind it. What does not fit ends in dots. */
static size_t put_text(struct canvas *c, size_t x, struct span text, enum colour colour) {
    for (size_t at = 0; at < text.n;) {
        uint32_t code = next_code(text, &at);
        if (x + 1 >= c->width && at < text.n) {
            put(c, x, glyph(c, DOTS), colour);
            return c->width;
        }
        put(c, x++, c->style.ascii && code > 126 ? '?' : code, colour);
    }
    return x;
}

static void write_code(FILE *out, uint32_t code) {
    if (code < 0x80) {
        fputc((int)code, out);
    } else if (code < 0x800) {
        fprintf(out, "%c%c", 0xc0 | code >> 6, 0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
        fprintf(out, "%c%c%c", 0xe0 | code >> 12, 0x80 | (code >> 6 & 0x3f), 0x80 | (code & 0x3f));
    } else {
        fprintf(out, "%c%c%c%c", 0xf0 | code >> 18, 0x80 | (code >> 12 & 0x3f),
                0x80 | (code >> 6 & 0x3f), 0x80 | (code & 0x3f));
    }
}

/* Writes the row without trailing spaces and clears it. */
static void end_row(struct canvas *c) {
    size_t n = c->width;
    while (n > 0 && c->row[n - 1].c == 0) {
        n--;
    }
    unsigned colour = PLAIN;
    for (size_t i = 0; i < n; i++) {
        unsigned wanted = c->row[i].c ? c->row[i].colour : colour;
        if (c->style.colour && wanted != colour) {
            fprintf(c->out, "\033[%um", wanted);
            colour = wanted;
        }
        write_code(c->out, c->row[i].c ? c->row[i].c : ' ');
    }
    if (colour != PLAIN) {
        fputs("\033[0m", c->out);
    }
    fputc('\n', c->out);
    memset(c->row, 0, sizeof c->row);
}

static size_t column_x(const struct canvas *c, unsigned column) {
    return c->first + column * c->spacing;
}

static void put_lifelines(struct canvas *c, const struct ladder *l) {
    for (unsigned i = 0; i < l->n_columns; i++) {
        put(c, column_x(c, i), glyph(c, VERTICAL), DIM);
    }
}

static void put_time(struct canvas *c, const struct ladder *l, const struct ladder_entry *e) {
    char text[32];
    struct span time = ladder_time(l, e, text, sizeof text);
    size_t width = ladder_text_width(time);
    put_text(c, width < TIME_WIDTH - 2 ? TIME_WIDTH - 2 - width : 0, time, DIM);
}

static enum colour colour_of(const struct ladder_entry *e) {
    const char *class = ladder_class(&e->arrow);
    return *class == 'r'   ? CYAN
           : *class == 'o' ? GREEN
           : *class == 'c' ? YELLOW
           : *class == 'f' ? RED
                           : DIM;
}

static unsigned distance(const struct ladder_entry *e) {
    return e->from_column > e->to_column ? e->from_column - e->to_column
                                         : e->to_column - e->from_column;
}

/* Label, and the detail behind it if both fit into room. */
static struct span text_of(const struct ladder_entry *e, size_t room, char *out, size_t cap) {
    struct buf b = buf_init(out, cap);
    buf_put(&b, e->arrow.label);
    if (e->arrow.detail.n && e->arrow.label.n + e->arrow.detail.n + 3 <= room) {
        buf_cstr(&b, " (");
        buf_put(&b, e->arrow.detail);
        buf_char(&b, ')');
    }
    return buf_span(&b);
}

static void draw_arrow(struct canvas *c, const struct ladder *l, const struct ladder_entry *e) {
    char bytes[1024];
    bool right = e->to_column > e->from_column;
    size_t left = column_x(c, right ? e->from_column : e->to_column);
    size_t end = column_x(c, right ? e->to_column : e->from_column);
    size_t room = end > left + 4 ? end - left - 4 : 0; /* lifelines, head and two spaces */
    struct span text = text_of(e, room, bytes, sizeof bytes);
    enum colour colour = colour_of(e);
    bool fits = ladder_text_width(text) <= room;
    put_lifelines(c, l);
    if (!fits) { /* the label gets a line of its own */
        put_time(c, l, e);
        put_text(c, left + 2, text, colour);
        end_row(c);
        put_lifelines(c, l);
    } else {
        put_time(c, l, e);
    }
    for (size_t x = left + 1; x < end; x++) {
        bool lifeline = (x - c->first) % c->spacing == 0;
        put(c, x, glyph(c, lifeline ? CROSS : HORIZONTAL), colour);
    }
    put(c, right ? left : end, glyph(c, right ? TEE_RIGHT : TEE_LEFT), colour);
    put(c, right ? end - 1 : left + 1, glyph(c, right ? HEAD_RIGHT : HEAD_LEFT), colour);
    if (fits && text.n) {
        size_t width = ladder_text_width(text);
        size_t at = left + 1 + (end - left - 1 - width - 2) / 2;
        at += !right && at == left + 1; /* not on the head */
        put(c, at, 0, colour);
        put(c, put_text(c, at + 1, text, colour), 0, colour);
    }
    end_row(c);
}

static void draw_self(struct canvas *c, const struct ladder *l, const struct ladder_entry *e) {
    char bytes[1024];
    put_lifelines(c, l);
    put_time(c, l, e);
    size_t x = column_x(c, e->from_column);
    put(c, x, glyph(c, TEE_RIGHT), colour_of(e));
    put(c, x + 1, glyph(c, HEAD_LEFT), colour_of(e));
    put_text(c, x + 3, text_of(e, 40, bytes, sizeof bytes), colour_of(e));
    end_row(c);
}

static void draw_note(struct canvas *c, const struct ladder *l, const struct ladder_entry *e) {
    size_t last = column_x(c, l->n_columns ? l->n_columns - 1 : 0);
    for (size_t x = c->first; x <= last; x++) {
        put(c, x, glyph(c, RULE), DIM);
    }
    put(c, c->first + 1, 0, PLAIN);
    put(c, put_text(c, c->first + 2, e->arrow.note, YELLOW), 0, PLAIN);
    end_row(c);
}

static void draw_heads(struct canvas *c, const struct ladder *l) {
    for (unsigned i = 0; i < l->n_columns; i++) {
        size_t width = ladder_text_width(l->columns[i].name), x = column_x(c, i);
        put_text(c, x > width / 2 ? x - width / 2 : 0, l->columns[i].name, PLAIN);
    }
    end_row(c);
}

/* Even distances, as narrow as the labels allow and as wide as the terminal does. */
static void choose_widths(struct canvas *c, const struct ladder *l) {
    size_t wanted = SPACING_MIN;
    for (size_t i = 0; i < l->n; i++) {
        const struct ladder_entry *e = &l->entries[i];
        size_t text = e->arrow.label.n + (e->arrow.detail.n ? e->arrow.detail.n + 3 : 0) + 4;
        size_t d = e->arrow.note.n ? 0 : distance(e);
        if (d && (text + d - 1) / d > wanted) {
            wanted = (text + d - 1) / d;
        }
    }
    size_t names = 0;
    for (unsigned i = 0; i + 1 < l->n_columns; i++) {
        size_t both =
            ladder_text_width(l->columns[i].name) + ladder_text_width(l->columns[i + 1].name);
        names = both / 2 + 2 > names ? both / 2 + 2 : names;
    }
    size_t first_half = ladder_text_width(l->columns[0].name) / 2;
    size_t last_half = ladder_text_width(l->columns[l->n_columns - 1].name) / 2 + 1;
    c->first = TIME_WIDTH + (first_half > 1 ? first_half : 1);
    size_t room = c->width > c->first + last_half ? c->width - c->first - last_half : 0;
    size_t available = l->n_columns > 1 ? room / (l->n_columns - 1) : room;
    c->spacing = wanted < available ? wanted : available;
    c->spacing = c->spacing < names ? names : c->spacing;
    c->spacing = c->spacing < SPACING_MIN ? SPACING_MIN : c->spacing;
    c->spacing = c->spacing > SPACING_MAX ? SPACING_MAX : c->spacing;
    size_t need = c->first + (l->n_columns - 1) * c->spacing + last_half;
    c->width = c->width < need ? need : c->width; /* too many columns: wider than the terminal */
    c->width = c->width > ROW_MAX ? ROW_MAX : c->width;
}

static void draw_entries(struct canvas *c, const struct ladder *l) {
    draw_heads(c, l);
    for (size_t i = 0; i < l->n; i++) {
        const struct ladder_entry *e = &l->entries[i];
        if (e->arrow.note.n) {
            draw_note(c, l, e);
        } else if (e->from_column == e->to_column) {
            draw_self(c, l, e);
        } else {
            draw_arrow(c, l, e);
        }
    }
}

void ladder_write_text(const struct ladder *l, const struct ladder_style *style, FILE *out) {
    struct ladder laid = *l; /* columns are found anew; the entries' indices are shared */
    struct canvas *c = calloc(1, sizeof *c);
    if (!c) {
        return;
    }
    c->out = out;
    c->style = *style;
    c->width = style->width == 0 ? 120 : style->width < 60 ? 60 : style->width;
    c->width = c->width > ROW_MAX ? ROW_MAX : c->width;
    if (l->title.n) {
        put_text(c, 0, l->title, PLAIN);
        end_row(c);
        fputc('\n', out);
    }
    if (ladder_layout(&laid)) {
        choose_widths(c, &laid);
        draw_entries(c, &laid);
        fputc('\n', out);
    }
    char words[1024];
    struct buf b = buf_init(words, sizeof words);
    ladder_summary(l, &b);
    fprintf(out, "%.*s\n", SPAN_ARG(buf_span(&b)));
    free(c);
}
