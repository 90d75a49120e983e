/* muster sub graph: a subscription as a picture, as text or SVG.
 *
 * As text, each private identity is a line that runs down; where a set hangs on it, the set's row
 * has a dot. So it is seen at a glance who shares what. */
#include "app/sub_graph.h"

#include <errno.h>
#include <stdlib.h>

/* What is drawn with. */
struct pen {
    const char *start, *dot, *down, *across, *cross, *branch, *item, *last, *arrow;
};

static const struct pen unicode = {"●", "●", "│", "─", "┼", "┬", "├", "└", "→"};
static const struct pen ascii = {"o", "o", "|", "-", "+", "+", "|", "`", "->"};

/* Reading. */

/* The identity with DOMAIN for the home domain; foreign bytes are escaped. */
static void shorten(const struct graph *g, struct span identity, char *out, size_t cap) {
    struct span domain = span_from_cstr(g->domain);
    struct buf b = buf_init(out, cap - 1);
    if (domain.n && identity.n > domain.n + 1 &&
        span_eq(span_after(identity, identity.n - domain.n), domain) &&
        identity.p[identity.n - domain.n - 1] == '@') {
        buf_escaped(&b, span_slice(identity, 0, identity.n - domain.n));
        buf_cstr(&b, "DOMAIN");
    } else {
        buf_escaped(&b, span_slice(identity, 0, 160));
    }
    out[b.n] = '\0';
}

static void put_credentials(const json_t *impi, char *out, size_t cap) {
    struct span check = sub_text(impi, "key_check");
    const json_t *digest = json_object_get(impi, "digest");
    struct buf b = buf_init(out, cap - 1);
    if (check.n) {
        buf_printf(&b, "AKA, key check %.*s", SPAN_ARG(check));
    }
    if (json_array_size(digest)) {
        buf_printf(&b, "%spassword", b.n ? "; " : "");
    }
    out[b.n] = '\0';
}

static void read_impis(struct graph *g, const json_t *impis) {
    size_t i;
    json_t *impi;
    json_array_foreach(impis, i, impi) {
        struct span identity = sub_text(impi, "identity");
        struct span domain = span_after(identity, span_find_char(identity, '@') + 1);
        if (i == 0 && !span_to_cstr(domain, g->domain, sizeof g->domain)) {
            g->domain[0] = '\0';
        }
        if (g->n_impis < GRAPH_IMPIS_MAX) {
            shorten(g, identity, g->impis[g->n_impis].text, sizeof g->impis[0].text);
            put_credentials(impi, g->impis[g->n_impis].credentials, sizeof g->impis[0].credentials);
            g->n_impis++;
        }
    }
}

/* Which private identities may register this public one? */
static uint64_t members_of(const json_t *impis, const json_t *impu) {
    struct span owner = sub_text(impu, "impi");
    uint64_t members = 0;
    size_t i;
    json_t *impi;
    json_array_foreach(impis, i, impi) {
        if (i < GRAPH_IMPIS_MAX && (!owner.n || span_eq(sub_text(impi, "identity"), owner))) {
            members |= UINT64_C(1) << i;
        }
    }
    return members;
}

static void read_set(struct graph *g, const json_t *s, unsigned number) {
    const json_t *impis = json_object_get(s, "impis"), *impus = json_object_get(s, "impus");
    struct graph_set *set = &g->sets[g->n_sets];
    size_t i;
    json_t *impu;
    *set = (struct graph_set){.number = number, .first = g->n_impus};
    json_array_foreach(impus, i, impu) {
        if (json_integer_value(json_object_get(impu, "set")) == (json_int_t)number &&
            g->n_impus < GRAPH_IMPUS_MAX) {
            struct graph_impu *one = &g->impus[g->n_impus++];
            one->json = impu;
            shorten(g, sub_text(impu, "identity"), one->text, sizeof one->text);
            set->members |= members_of(impis, impu);
            set->state = sub_state(impu);
            set->n++;
        }
    }
    g->n_sets += set->n > 0;
}

static void read_graph(struct graph *g, const json_t *s) {
    g->name = sub_text(s, "name");
    g->scscf = sub_text(s, "scscf");
    read_impis(g, json_object_get(s, "impis"));
    for (unsigned number = 0; number < GRAPH_SETS_MAX; number++) {
        read_set(g, s, number);
    }
}

void graph_marks(const json_t *impu, char *out, size_t cap) {
    struct buf b = buf_init(out, cap - 1);
    struct span type = sub_text(impu, "type"), alias = sub_text(impu, "alias_group");
    if (type.n) {
        buf_put(&b, type);
    }
    if (json_is_true(json_object_get(impu, "default"))) {
        buf_printf(&b, "%sdefault", b.n ? ", " : "");
    }
    if (json_is_true(json_object_get(impu, "barred"))) {
        buf_printf(&b, "%sbarred", b.n ? ", " : "");
    }
    if (alias.n) {
        buf_printf(&b, "%salias ", b.n ? ", " : "");
        buf_escaped(&b, span_slice(alias, 0, 40));
    }
    out[b.n] = '\0';
}

/* Text. */

/* The lines of private identities up to (not including) one, as they run down. */
static void put_lanes(const struct pen *pen, uint64_t alive, size_t n) {
    for (size_t i = 0; i < n; i++) {
        printf("%s ", alive >> i & 1 ? pen->down : " ");
    }
}

/* Private identities that sets from this one on still hang on. */
static uint64_t alive_from(const struct graph *g, size_t set) {
    uint64_t alive = 0;
    for (size_t i = set; i < g->n_sets; i++) {
        alive |= g->sets[i].members;
    }
    return alive;
}

static size_t longest(const struct graph *g) {
    size_t n = 0;
    for (size_t i = 0; i < g->n_impus; i++) {
        n = strlen(g->impus[i].text) > n ? strlen(g->impus[i].text) : n;
    }
    return n;
}

static void draw_set_row(const struct graph *g, const struct pen *pen, size_t index) {
    const struct graph_set *set = &g->sets[index];
    uint64_t alive = alive_from(g, index);
    bool began = false;
    for (size_t i = 0; i < g->n_impis; i++) {
        bool member = set->members >> i & 1, lane = alive >> i & 1;
        began |= member;
        const char *crossing = began ? (lane ? pen->cross : pen->across) : lane ? pen->down : " ";
        printf("%s%s", member ? pen->dot : crossing, began ? pen->across : " ");
    }
    printf("%s set %u, %.*s\n", pen->branch, set->number, SPAN_ARG(set->state));
}

static void draw_impu(const struct graph *g, const struct pen *pen, uint64_t alive,
                      const struct graph_impu *impu, bool last, int width) {
    char marks[160];
    struct span profile = sub_text(impu->json, "profile");
    graph_marks(impu->json, marks, sizeof marks);
    put_lanes(pen, alive, g->n_impis);
    printf("%s %-*s  %s %.*s%s%s%s\n", last ? pen->last : pen->item, width, impu->text, pen->arrow,
           SPAN_ARG(profile), marks[0] ? "  (" : "", marks, marks[0] ? ")" : "");
}

static void draw_text(const struct graph *g, const struct pen *pen) {
    int width = (int)longest(g);
    printf("Subscription %.*s, %s%.*s\n", SPAN_ARG(g->name), g->scscf.n ? "S-CSCF " : "no S-CSCF",
           SPAN_ARG(g->scscf));
    if (g->domain[0]) {
        printf("DOMAIN is %s\n", g->domain);
    }
    putchar('\n');
    uint64_t alive = alive_from(g, 0);
    for (size_t i = 0; i < g->n_impis; i++) {
        put_lanes(pen, alive, i);
        printf("%s %s%s%s\n", pen->start, g->impis[i].text, g->impis[i].credentials[0] ? "   " : "",
               g->impis[i].credentials);
    }
    for (size_t s = 0; s < g->n_sets; s++) {
        put_lanes(pen, alive_from(g, s), g->n_impis);
        putchar('\n');
        draw_set_row(g, pen, s);
        for (size_t i = 0; i < g->sets[s].n; i++) {
            draw_impu(g, pen, alive_from(g, s + 1), &g->impus[g->sets[s].first + i],
                      i + 1 == g->sets[s].n, width);
        }
    }
}

static int save_svg(const struct graph *g, const char *path) {
    FILE *f = strcmp(path, "-") == 0 ? stdout : fopen(path, "we");
    if (!f) {
        return command_fail(EXIT_CODE_SYSTEM, "%s: %s", path, strerror(errno));
    }
    graph_svg(g, f);
    bool good = !ferror(f) && (f == stdout ? fflush(f) : fclose(f)) == 0;
    return good ? EXIT_CODE_OK : command_fail(EXIT_CODE_SYSTEM, "%s: cannot be written", path);
}

int sub_graph(const struct command *self, int argc, char **argv) {
    struct remote remote = {0};
    bool plain = false;
    const char *svg = NULL;
    const struct option_def options[] = {
        FLAG_OPTION("ascii", "without characters that a terminal may lack", &plain),
        TEXT_OPTION("svg", "FILE", "as SVG into a file (\"-\": standard output)", &svg),
        REMOTE_OPTIONS(&remote),
        {0},
    };
    const struct usage usage = {
        .arguments = "ID [--ascii | --svg FILE]",
        .text =
            "Draws a subscription: private identities, the implicit registration sets that hang\n"
            "on them, public identities, and their service profiles. ID as for \"sub show\".",
        .options = options,
        .examples = "  muster sub graph smith\n"
                    "  muster sub graph smith --svg smith.svg",
        .min_args = 1,
        .max_args = 1,
    };
    struct args rest;
    int code;
    json_t *s = NULL;
    if (!command_parse(self, &usage, argc, argv, &rest, &code) ||
        (code = remote_open(&remote)) != 0 || (code = sub_fetch(&remote, rest.v[0], &s)) != 0) {
        return code;
    }
    struct graph *g = calloc(1, sizeof *g);
    if (!g) {
        code = command_fail(EXIT_CODE_SYSTEM, "out of memory");
    } else {
        read_graph(g, s);
        if (svg) {
            code = save_svg(g, svg);
        } else {
            draw_text(g, plain ? &ascii : &unicode);
        }
    }
    free(g);
    json_decref(s);
    return code;
}
