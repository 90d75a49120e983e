/* The ladder as SVG: heads, lifelines, one row for each message. Colours come from CSS variables,
 * so the drawing follows the reader's light or dark preference; see ladder.h. */
#include "obs/ladder_impl.h"

enum {
    ROW_HEIGHT = 34,
    NOTE_HEIGHT = 40,
    LABEL_RISE = 6, /* of the label's baseline above its arrow */
    CHAR_WIDTH = 7, /* of a label's average character */
    SPACING_MIN = 160,
    SPACING_MAX = 330,
    TIME_WIDTH = 84,
    MARGIN = 24
};

const char ladder_css[] =
    ":root{--bg:#fcfcfb;--panel:#ffffff;--ink:#20242e;--dim:#868d9c;--line:#d8dbe2;"
    "--req:#2a5fb8;--ok:#17794a;--chal:#a0620a;--fail:#bf342b;--dns:#7b8090;"
    "--band:#2a5fb812;--sel:#2a5fb822}"
    "@media(prefers-color-scheme:dark){:root{--bg:#14161b;--panel:#1a1d24;--ink:#e5e8ef;"
    "--dim:#7f8798;--line:#323846;--req:#80acf8;--ok:#63cc95;--chal:#e6b05c;--fail:#f47f74;"
    "--dns:#8d93a3;--band:#80acf814;--sel:#80acf82b}}"
    "svg.ladder{display:block;font-family:Inter,system-ui,-apple-system,'Segoe UI',Roboto,"
    "'Helvetica Neue','DejaVu Sans',sans-serif;font-size:12.5px;color:var(--ink)}"
    ".ladder text{fill:var(--ink)}"
    ".ladder .bg{fill:var(--bg)}"
    ".ladder .title{font-size:17px;font-weight:600}"
    ".ladder .sum{fill:var(--dim)}"
    ".ladder .box{fill:var(--panel);stroke:var(--line)}"
    ".ladder .name{font-weight:600;text-anchor:middle;font-size:13px}"
    ".ladder .role{fill:var(--dim);text-anchor:middle;font-size:10.5px;letter-spacing:.04em}"
    ".ladder .life{stroke:var(--line);stroke-width:1}"
    ".ladder .time{fill:var(--dim);text-anchor:end;font-size:11px;"
    "font-variant-numeric:tabular-nums}"
    ".ladder .label{text-anchor:middle;font-weight:500;paint-order:stroke;stroke:var(--bg);"
    "stroke-width:5px;stroke-linejoin:round}"
    ".ladder .detail{fill:var(--dim)!important;font-weight:400;font-size:11px}"
    ".ladder .arrow{stroke-width:1.4;fill:none}"
    ".ladder .note{fill:var(--ink);font-weight:600;font-size:12px}"
    ".ladder .rule{stroke:var(--line);stroke-dasharray:2 3}"
    ".ladder .pill{fill:var(--panel);stroke:var(--line)}"
    ".ladder .band{fill:transparent}"
    ".ladder a{cursor:pointer;text-decoration:none;outline:none}"
    ".ladder a:hover .band,.ladder a:focus .band{fill:var(--band)}"
    ".ladder a.on .band{fill:var(--sel)}.ladder a.on .label{stroke-width:0}"
    ".req .arrow{stroke:var(--req)}.req .head{fill:var(--req)}.req .label{fill:var(--req)}"
    ".ok .arrow{stroke:var(--ok)}.ok .head{fill:var(--ok)}.ok .label{fill:var(--ok)}"
    ".chal .arrow{stroke:var(--chal)}.chal .head{fill:var(--chal)}.chal .label{fill:var(--chal)}"
    ".fail .arrow{stroke:var(--fail)}.fail .head{fill:var(--fail)}.fail .label{fill:var(--fail)}"
    ".dns .arrow{stroke:var(--dns);stroke-dasharray:4 3}.dns .head{fill:var(--dns)}"
    ".dns .label{fill:var(--dns)}";

/* Length of the well-formed UTF-8 sequence at s that XML may carry; 0 if there is none. */
static size_t sequence(struct span s) {
    uint8_t first = (uint8_t)s.p[0];
    size_t n = first >= 0xf0 && first <= 0xf4   ? 4
               : first >= 0xe0 && first <= 0xef ? 3
               : first >= 0xc2 && first <= 0xdf ? 2
                                                : 0;
    if (n == 0 || n > s.n) {
        return 0;
    }
    uint32_t code = first & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) {
        if (((uint8_t)s.p[i] & 0xc0) != 0x80) {
            return 0;
        }
        code = code << 6 | ((uint8_t)s.p[i] & 0x3f);
    }
    bool overlong = (n == 3 && code < 0x800) || (n == 4 && code < 0x10000);
    bool forbidden = (code >= 0xd800 && code <= 0xdfff) || code > 0x10ffff || code < 0xa0 ||
                     (code & 0xfffe) == 0xfffe;
    return overlong || forbidden ? 0 : n;
}

/* The entity of a character that is markup, or NULL. */
static const char *entity(uint8_t c) {
    return c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '&' ? "&amp;" : c == '"' ? "&quot;" : NULL;
}

void ladder_put_xml(FILE *out, struct span text, bool lines) {
    for (size_t i = 0; i < text.n; i++) {
        uint8_t c = (uint8_t)text.p[i];
        size_t n = c >= 0x80 ? sequence(span_after(text, i)) : 0;
        bool printable = (c >= 32 && c < 127) || (lines && (c == '\n' || c == '\t'));
        bool line_end = lines && c == '\r' && i + 1 < text.n && text.p[i + 1] == '\n';
        if (n) {
            fwrite(text.p + i, 1, n, out);
            i += n - 1;
        } else if (entity(c)) {
            fputs(entity(c), out);
        } else if (printable) {
            fputc(c, out);
        } else if (!line_end) {
            fprintf(out, "\\x%02x", (unsigned)c);
        }
    }
}

struct ladder_geometry ladder_measure(const struct ladder *l) {
    unsigned spacing = SPACING_MIN, height = 0;
    for (size_t i = 0; i < l->n; i++) {
        const struct ladder_entry *e = &l->entries[i];
        height += e->arrow.note.n ? NOTE_HEIGHT : ROW_HEIGHT;
        unsigned d = e->from_column > e->to_column ? e->from_column - e->to_column
                                                   : e->to_column - e->from_column;
        size_t text = e->arrow.label.n * CHAR_WIDTH + 30; /* details are shown where they fit */
        if (d && !e->arrow.note.n && text / d > spacing) {
            spacing = (unsigned)(text / d);
        }
    }
    spacing = spacing > SPACING_MAX ? SPACING_MAX : spacing;
    unsigned left = MARGIN + TIME_WIDTH + 66;
    return (struct ladder_geometry){
        .left = left,
        .spacing = spacing,
        .width = left + (l->n_columns - 1) * spacing + 66 + MARGIN,
        .height = height + 16,
    };
}

static unsigned column_x(const struct ladder_geometry *g, unsigned column) {
    return g->left + column * g->spacing;
}

/* "pcscf-2" is P-CSCF in large and the instance in small; "ue:alice" is alice, a terminal. */
static void put_head_text(const struct ladder_column *c, unsigned x, FILE *out) {
    static const struct {
        const char *prefix, *name;
    } roles[] = {{"pcscf", "P-CSCF"}, {"icscf", "I-CSCF"}, {"scscf", "S-CSCF"},
                 {"hss", "HSS"},      {"dns", "DNS"},      {"ue", "Terminal"}};
    const char *role = NULL;
    struct span name = c->name;
    for (size_t i = 0; i < COUNT_OF(roles) && !role; i++) {
        struct span prefix = span_from_cstr(roles[i].prefix);
        if (c->rank < COUNT_OF(roles) && span_starts_with_nocase(name, prefix)) {
            role = roles[i].name;
        }
    }
    bool terminal = role && span_starts_with_nocase(name, SPAN("ue")) && name.n > 3;
    bool plain = role && span_find_char(name, '-') == name.n && !terminal;
    struct span large = !role ? name : terminal ? span_after(name, 3) : span_from_cstr(role);
    struct span small = !role || plain ? SPAN_NONE : terminal ? span_from_cstr(role) : name;
    fprintf(out, "<text class=\"name\" x=\"%u\" y=\"%d\">", x, small.n ? 28 : 34);
    ladder_put_xml(out, large, false);
    fputs("</text>", out);
    if (small.n) {
        fprintf(out, "<text class=\"role\" x=\"%u\" y=\"42\">", x);
        ladder_put_xml(out, small, false);
        fputs("</text>", out);
    }
}

void ladder_put_heads(const struct ladder *l, const struct ladder_geometry *g, FILE *out) {
    enum { BOX_WIDTH = 120, BOX_HEIGHT = 40, BOX_Y = 10 };
    fprintf(out, "<svg class=\"ladder\" width=\"%u\" height=\"%d\" viewBox=\"0 0 %u %d\">\n",
            g->width, LADDER_HEAD_HEIGHT, g->width, LADDER_HEAD_HEIGHT);
    for (unsigned i = 0; i < l->n_columns; i++) {
        unsigned x = column_x(g, i);
        fprintf(out, "<rect class=\"box\" x=\"%u\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"9\"/>",
                x - BOX_WIDTH / 2, BOX_Y, BOX_WIDTH, BOX_HEIGHT);
        put_head_text(&l->columns[i], x, out);
        fprintf(out, "<line class=\"life\" x1=\"%u\" x2=\"%u\" y1=\"50\" y2=\"%d\"/>\n", x, x,
                LADDER_HEAD_HEIGHT);
    }
    fputs("</svg>\n", out);
}

const char *ladder_class(const struct ladder_arrow *a) {
    if (a->protocol == TRACE_DNS) {
        return "dns";
    }
    if (a->request) {
        return "req";
    }
    bool challenge = a->protocol == TRACE_SIP && span_starts_with(a->label, SPAN("401"));
    return a->failure ? "fail" : challenge ? "chal" : "ok";
}

static void put_label(const struct ladder_arrow *a, const struct ladder_geometry *g, unsigned x,
                      unsigned y, unsigned distance, FILE *out) {
    fprintf(out, "<text class=\"label\" x=\"%u\" y=\"%u\">", x, y);
    ladder_put_xml(out, a->label, false);
    size_t wanted = (a->label.n + a->detail.n + 2) * CHAR_WIDTH;
    if (a->detail.n && wanted <= (size_t)g->spacing * (distance ? distance : 1)) {
        fputs("<tspan class=\"detail\" dx=\"6\">", out);
        ladder_put_xml(out, a->detail, false);
        fputs("</tspan>", out);
    }
    fputs("</text>", out);
}

static void put_arrow(const struct ladder_entry *e, const struct ladder_geometry *g, unsigned y,
                      FILE *out) {
    unsigned from = column_x(g, e->from_column), to = column_x(g, e->to_column);
    bool right = to > from;
    if (from == to) {
        fprintf(out,
                "<path class=\"arrow\" d=\"M%u %uh26v9h-20\"/>"
                "<path class=\"head\" d=\"M%u %ul8 -4v8z\"/>",
                from, y - 5, from, y + 4);
        put_label(&e->arrow, g, from + g->spacing / 2, y, 1, out);
        return;
    }
    unsigned distance = (right ? to - from : from - to) / g->spacing;
    fprintf(out,
            "<line class=\"arrow\" x1=\"%u\" x2=\"%u\" y1=\"%u\" y2=\"%u\"/>"
            "<path class=\"head\" d=\"M%u %ul%d -4.5v9z\"/>",
            from, right ? to - 8 : to + 8, y, y, to, y, right ? -9 : 9);
    put_label(&e->arrow, g, (from + to) / 2, y - LABEL_RISE, distance, out);
}

static void put_row(const struct ladder *l, const struct ladder_geometry *g, size_t i, unsigned y,
                    bool linked, FILE *out) {
    const struct ladder_entry *e = &l->entries[i];
    char text[32];
    fprintf(out, linked ? "<a class=\"%s\" href=\"#m%zu\" id=\"r%zu\">" : "<g class=\"%s\">",
            ladder_class(&e->arrow), i, i);
    fprintf(out, "<rect class=\"band\" x=\"0\" y=\"%u\" width=\"%u\" height=\"%d\"/>", y, g->width,
            ROW_HEIGHT);
    fprintf(out, "<text class=\"time\" x=\"%d\" y=\"%u\">", MARGIN + TIME_WIDTH - 10,
            y + ROW_HEIGHT - 6);
    ladder_put_xml(out, ladder_time(l, e, text, sizeof text), false);
    fputs("</text>", out);
    put_arrow(e, g, y + ROW_HEIGHT - 10, out);
    if (!linked) {
        char words[600];
        struct buf b = buf_init(words, sizeof words);
        buf_put(&b, e->arrow.from);
        buf_cstr(&b, " to ");
        buf_put(&b, e->arrow.to);
        buf_cstr(&b, ": ");
        buf_put(&b, e->arrow.label);
        fputs("<title>", out);
        ladder_put_xml(out, buf_span(&b), false);
        fputs("</title>", out);
    }
    fputs(linked ? "</a>\n" : "</g>\n", out);
}

static void put_note(const struct ladder *l, const struct ladder_geometry *g,
                     const struct ladder_entry *e, unsigned y, FILE *out) {
    unsigned width = (unsigned)ladder_text_width(e->arrow.note) * CHAR_WIDTH + 24;
    unsigned left = column_x(g, 0), middle = y + NOTE_HEIGHT / 2 + 2;
    fprintf(out, "<line class=\"rule\" x1=\"%u\" x2=\"%u\" y1=\"%u\" y2=\"%u\"/>", left,
            column_x(g, l->n_columns - 1), middle, middle);
    fprintf(out,
            "<rect class=\"pill\" x=\"%u\" y=\"%u\" width=\"%u\" height=\"24\" rx=\"12\"/>"
            "<text class=\"note\" x=\"%u\" y=\"%u\">",
            left - 12, middle - 12, width, left, middle + 4);
    ladder_put_xml(out, e->arrow.note, false);
    fputs("</text>\n", out);
}

void ladder_put_body(const struct ladder *l, const struct ladder_geometry *g, unsigned y,
                     bool linked, FILE *out) {
    fprintf(out,
            "<svg class=\"ladder\" y=\"%u\" width=\"%u\" height=\"%u\" viewBox=\"0 0 %u %u\">\n", y,
            g->width, g->height, g->width, g->height);
    for (unsigned i = 0; i < l->n_columns; i++) {
        fprintf(out, "<line class=\"life\" x1=\"%u\" x2=\"%u\" y1=\"0\" y2=\"%u\"/>",
                column_x(g, i), column_x(g, i), g->height);
    }
    fputc('\n', out);
    unsigned at = 0;
    for (size_t i = 0; i < l->n; i++) {
        const struct ladder_entry *e = &l->entries[i];
        if (e->arrow.note.n) {
            put_note(l, g, e, at, out);
            at += NOTE_HEIGHT;
        } else {
            put_row(l, g, i, at, linked, out);
            at += ROW_HEIGHT;
        }
    }
    fputs("</svg>\n", out);
}

void ladder_write_svg(const struct ladder *l, FILE *out) {
    struct ladder laid = *l; /* the columns are found anew */
    enum { TOP = 46, BOTTOM = 44 };
    bool any = ladder_layout(&laid);
    struct ladder_geometry g = {.left = 200, .width = 640, .height = 16};
    if (any) {
        g = ladder_measure(&laid);
    }
    unsigned height = TOP + LADDER_HEAD_HEIGHT + g.height + BOTTOM;
    fprintf(out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"ladder\" width=\"%u\" height=\"%u\""
            " viewBox=\"0 0 %u %u\">\n<style>%s</style>\n"
            "<rect class=\"bg\" width=\"100%%\" height=\"100%%\"/>\n",
            g.width, height, g.width, height, ladder_css);
    fprintf(out, "<text class=\"title\" x=\"%d\" y=\"34\">", MARGIN);
    ladder_put_xml(out, l->title.n ? l->title : SPAN("Ladder"), false);
    fputs("</text>\n", out);
    if (any) {
        fprintf(out, "<g transform=\"translate(0 %d)\">\n", TOP);
        ladder_put_heads(&laid, &g, out);
        ladder_put_body(&laid, &g, LADDER_HEAD_HEIGHT, false, out);
        fputs("</g>\n", out);
    }
    char words[1024];
    struct buf b = buf_init(words, sizeof words);
    ladder_summary(l, &b);
    fprintf(out, "<text class=\"sum\" x=\"%d\" y=\"%u\">", MARGIN, height - 18);
    ladder_put_xml(out, buf_span(&b), false);
    fputs("</text>\n</svg>\n", out);
}
