/* A subscription as SVG: private identities on the left, sets with their public identities in the
 * middle, service profiles on the right. Colours follow the reader's light or dark preference. */
#include "app/sub_graph.h"

enum {
    MARGIN = 24,
    TOP = 84,
    CHAR = 7, /* width of an average character */
    ROW = 26,
    SET_HEAD = 30,
    SET_GAP = 18,
    BOX_HEIGHT = 44,
    BOX_GAP = 14,
    COLUMN_GAP = 110,
    PROFILE_HEIGHT = 30,
    PROFILES_MAX = 64,
};

struct layout {
    const struct graph *g;
    FILE *f;
    int impi_w, set_x, set_w, profile_x, profile_w, width, height;
    int set_y[GRAPH_SETS_MAX];
    struct span profiles[PROFILES_MAX];
    size_t n_profiles;
};

/* Plain colours first: not every viewer knows variables, or dark mode. */
static const char style[] =
    "svg{font-family:Inter,system-ui,'Segoe UI',Roboto,'DejaVu Sans',sans-serif;font-size:12.5px}"
    "text{fill:#20242e}.bg{fill:#fcfcfb}.title{font-size:17px;font-weight:600}"
    ".dim{fill:#868d9c;font-size:11px}.box{fill:#fff;stroke:#d8dbe2}"
    ".head{fill:#868d9c;font-size:10.5px;letter-spacing:.06em}"
    ".edge{fill:none;stroke:#2a5fb8;stroke-width:1.3;opacity:.75}"
    ".to{fill:none;stroke:#17794a;stroke-width:1.2;opacity:.7}"
    ".alias{fill:none;stroke:#a0620a;stroke-width:2}.mark{fill:#a0620a;font-size:11px}"
    ".set{font-weight:600}"
    "@media(prefers-color-scheme:dark){text{fill:#e5e8ef}.bg{fill:#14161b}"
    ".dim,.head{fill:#7f8798}.box{fill:#1a1d24;stroke:#323846}.edge{stroke:#80acf8}"
    ".to{stroke:#63cc95}.alias{stroke:#e6b05c}.mark{fill:#e6b05c}}";

static void put_text(FILE *f, struct span s) {
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '<' || c == '&' || c == '>') {
            fputs(c == '<' ? "&lt;" : c == '>' ? "&gt;" : "&amp;", f);
        } else if ((unsigned char)c >= 0x20 && (unsigned char)c < 0x7f) {
            fputc(c, f);
        } else {
            fputc('?', f);
        }
    }
}

static void text_at(FILE *f, const char *class, int x, int y, struct span s) {
    fprintf(f, "<text class=\"%s\" x=\"%d\" y=\"%d\">", class, x, y);
    put_text(f, s);
    fputs("</text>\n", f);
}

static void box(FILE *f, int x, int y, int w, int h) {
    fprintf(f, "<rect class=\"box\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"6\"/>\n", x,
            y, w, h);
}

static void curve(FILE *f, const char *class, int x1, int y1, int x2, int y2) {
    int middle = (x1 + x2) / 2;
    fprintf(f, "<path class=\"%s\" d=\"M%d %dC%d %d %d %d %d %d\"/>\n", class, x1, y1, middle, y1,
            middle, y2, x2, y2);
}

static int larger(int a, int b) {
    return a > b ? a : b;
}

static size_t profile_index(struct layout *l, struct span name) {
    for (size_t i = 0; i < l->n_profiles; i++) {
        if (span_eq(l->profiles[i], name)) {
            return i;
        }
    }
    if (l->n_profiles < PROFILES_MAX) {
        l->profiles[l->n_profiles++] = name;
    }
    return l->n_profiles - 1;
}

static void measure(struct layout *l) {
    const struct graph *g = l->g;
    int y = TOP, impi_w = 150, set_w = 200, profile_w = 90;
    for (size_t i = 0; i < g->n_impis; i++) {
        impi_w = larger(impi_w, (int)strlen(g->impis[i].text) * CHAR + 28);
    }
    for (size_t i = 0; i < g->n_impus; i++) {
        char marks[160];
        graph_marks(g->impus[i].json, marks, sizeof marks);
        set_w = larger(set_w, (int)(strlen(g->impus[i].text) + strlen(marks)) * CHAR + 64);
        struct span profile = sub_text(g->impus[i].json, "profile");
        (void)profile_index(l, profile);
        profile_w = larger(profile_w, (int)profile.n * CHAR + 28);
    }
    for (size_t i = 0; i < g->n_sets; i++) {
        l->set_y[i] = y;
        y += SET_HEAD + (int)g->sets[i].n * ROW + 8 + SET_GAP;
    }
    y = larger(y, TOP + (int)g->n_impis * (BOX_HEIGHT + BOX_GAP));
    y = larger(y, TOP + (int)l->n_profiles * (PROFILE_HEIGHT + BOX_GAP));
    l->impi_w = impi_w;
    l->set_x = MARGIN + impi_w + COLUMN_GAP;
    l->set_w = set_w;
    l->profile_x = l->set_x + set_w + COLUMN_GAP;
    l->profile_w = profile_w;
    l->width = l->profile_x + profile_w + MARGIN;
    l->height = y + MARGIN;
}

/* Columns are centred beside the highest one. */
static int impi_y(const struct layout *l, size_t i) {
    int all = (int)l->g->n_impis * (BOX_HEIGHT + BOX_GAP) - BOX_GAP;
    return TOP + (l->height - MARGIN - TOP - all) / 2 + (int)i * (BOX_HEIGHT + BOX_GAP);
}

static int profile_y(const struct layout *l, size_t i) {
    int all = (int)l->n_profiles * (PROFILE_HEIGHT + BOX_GAP) - BOX_GAP;
    return TOP + (l->height - MARGIN - TOP - all) / 2 + (int)i * (PROFILE_HEIGHT + BOX_GAP);
}

static int impu_y(const struct layout *l, size_t set, size_t i) {
    return l->set_y[set] + SET_HEAD + (int)i * ROW + ROW / 2;
}

static void draw_edges(struct layout *l) {
    const struct graph *g = l->g;
    for (size_t s = 0; s < g->n_sets; s++) {
        for (size_t i = 0; i < g->n_impis; i++) {
            if (g->sets[s].members >> i & 1) {
                curve(l->f, "edge", MARGIN + l->impi_w, impi_y(l, i) + BOX_HEIGHT / 2, l->set_x,
                      l->set_y[s] + SET_HEAD / 2);
            }
        }
        for (size_t i = 0; i < g->sets[s].n; i++) {
            struct span profile = sub_text(g->impus[g->sets[s].first + i].json, "profile");
            curve(l->f, "to", l->set_x + l->set_w, impu_y(l, s, i), l->profile_x,
                  profile_y(l, profile_index(l, profile)) + PROFILE_HEIGHT / 2);
        }
    }
}

/* A bracket beside the public identities of a set that are aliases. */
static void draw_aliases(struct layout *l, size_t s) {
    const struct graph *g = l->g;
    const struct graph_set *set = &g->sets[s];
    for (size_t i = 0; i < set->n; i++) {
        struct span group = sub_text(g->impus[set->first + i].json, "alias_group");
        bool first = group.n > 0;
        size_t last = i;
        for (size_t k = 0; k < set->n && group.n; k++) {
            bool same = span_eq(sub_text(g->impus[set->first + k].json, "alias_group"), group);
            first &= !(same && k < i);
            last = same ? k : last;
        }
        if (first && last > i) {
            int x = l->set_x + 8;
            fprintf(l->f, "<path class=\"alias\" d=\"M%d %dh-4V%dh4\"/>\n", x + 4, impu_y(l, s, i),
                    impu_y(l, s, last));
        }
    }
}

static void draw_set(struct layout *l, size_t s) {
    const struct graph *g = l->g;
    const struct graph_set *set = &g->sets[s];
    char head[120];
    snprintf(head, sizeof head, "Set %u, %.*s", set->number, SPAN_ARG(set->state));
    box(l->f, l->set_x, l->set_y[s], l->set_w, SET_HEAD + (int)set->n * ROW + 8);
    text_at(l->f, "set", l->set_x + 14, l->set_y[s] + 20, span_from_cstr(head));
    for (size_t i = 0; i < set->n; i++) {
        const struct graph_impu *impu = &g->impus[set->first + i];
        char marks[160];
        graph_marks(impu->json, marks, sizeof marks);
        text_at(l->f, "impu", l->set_x + 22, impu_y(l, s, i) + 4, span_from_cstr(impu->text));
        fprintf(l->f, "<text class=\"mark\" text-anchor=\"end\" x=\"%d\" y=\"%d\">",
                l->set_x + l->set_w - 12, impu_y(l, s, i) + 4);
        put_text(l->f, span_from_cstr(marks));
        fputs("</text>\n", l->f);
    }
    draw_aliases(l, s);
}

static void draw_title(struct layout *l) {
    const struct graph *g = l->g;
    char line[700];
    snprintf(line, sizeof line, "Subscription %.*s", SPAN_ARG(span_slice(g->name, 0, 300)));
    text_at(l->f, "title", MARGIN, 34, span_from_cstr(line));
    snprintf(line, sizeof line, "%s%.*s%s%s", g->scscf.n ? "S-CSCF " : "no S-CSCF",
             SPAN_ARG(span_slice(g->scscf, 0, 200)), g->domain[0] ? "; DOMAIN is " : "", g->domain);
    text_at(l->f, "dim", MARGIN, 52, span_from_cstr(line));
    text_at(l->f, "head", MARGIN, TOP - 10, SPAN("PRIVATE IDENTITIES"));
    text_at(l->f, "head", l->set_x, TOP - 10, SPAN("IMPLICIT REGISTRATION SETS"));
    text_at(l->f, "head", l->profile_x, TOP - 10, SPAN("SERVICE PROFILES"));
}

void graph_svg(const struct graph *g, FILE *out) {
    struct layout l = {.g = g, .f = out};
    measure(&l);
    fprintf(out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d "
            "%d\">\n<style>%s</style>\n<rect class=\"bg\" width=\"%d\" height=\"%d\"/>\n",
            l.width, l.height, l.width, l.height, style, l.width, l.height);
    draw_title(&l);
    draw_edges(&l);
    for (size_t i = 0; i < g->n_impis; i++) {
        box(out, MARGIN, impi_y(&l, i), l.impi_w, BOX_HEIGHT);
        text_at(out, "impi", MARGIN + 12, impi_y(&l, i) + 19, span_from_cstr(g->impis[i].text));
        text_at(out, "dim", MARGIN + 12, impi_y(&l, i) + 35,
                span_from_cstr(g->impis[i].credentials));
    }
    for (size_t i = 0; i < g->n_sets; i++) {
        draw_set(&l, i);
    }
    for (size_t i = 0; i < l.n_profiles; i++) {
        box(out, l.profile_x, profile_y(&l, i), l.profile_w, PROFILE_HEIGHT);
        text_at(out, "profile", l.profile_x + 12, profile_y(&l, i) + 20, l.profiles[i]);
    }
    fputs("</svg>\n", out);
}
