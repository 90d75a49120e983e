/* Both files are walked as they stand, layer by layer: what is not there has its default in both.
 */
#include "app/config_difference.h"

#include <stdio.h>

enum { DEPTH_MAX = 6, PATH_MAX_BYTES = 256, VALUE_MAX = 4096 };

struct walk {
    struct settings *mine, *theirs;
    setting_value other; /* the value at the same place in the other file, or NULL */
    char path[PATH_MAX_BYTES];
    unsigned depth;
    bool values; /* compare those that both have; else only find what the other lacks */
    void (*each)(void *ctx, const char *path);
    void *ctx;
};

/* A value as text: a scalar, or the items of a list. */
static void put_item(struct settings *s, setting_value value, void *object) {
    struct buf *b = object;
    const char *text = setting_is_scalar(value) ? settings_text(s, value, "value") : "(group)";
    buf_cstr(b, text ? text : "");
    buf_char(b, '\n');
}

static bool is_same(const struct walk *w, setting_value mine) {
    char texts[2][VALUE_MAX];
    struct buf a = buf_init(texts[0], VALUE_MAX), b = buf_init(texts[1], VALUE_MAX);
    if (setting_is_sequence(mine) && setting_is_sequence(w->other)) {
        settings_each_item(w->mine, mine, "list", put_item, &a);
        settings_each_item(w->theirs, w->other, "list", put_item, &b);
    } else if (setting_is_scalar(mine) && setting_is_scalar(w->other)) {
        put_item(w->mine, mine, &a);
        put_item(w->theirs, w->other, &b);
    } else {
        return false;
    }
    return !a.overflow && !b.overflow && span_eq(buf_span(&a), buf_span(&b));
}

static void compare(struct walk *w, setting_value mine);

static void compare_entry(struct settings *s, const struct setting_entry *e, void *object) {
    struct walk *up = object, w = *up;
    (void)s;
    size_t n = strlen(w.path);
    snprintf(w.path + n, sizeof w.path - n, "%s%s", n ? "." : "", e->name);
    w.other = up->other ? settings_entry(w.theirs, up->other, e->name) : NULL;
    w.depth++;
    compare(&w, e->value);
}

static void compare(struct walk *w, setting_value mine) {
    if (setting_is_mapping(mine) && w->depth < DEPTH_MAX &&
        (!w->other || setting_is_mapping(w->other))) {
        settings_each_entry(w->mine, mine, "settings", compare_entry, w);
    } else if (!w->other || (w->values && !is_same(w, mine))) {
        w->each(w->ctx, w->path);
    }
}

static void walk(struct settings *mine, struct settings *theirs, bool values,
                 void (*each)(void *ctx, const char *path), void *ctx) {
    struct walk w = {.mine = mine,
                     .theirs = theirs,
                     .other = theirs ? settings_root(theirs) : NULL,
                     .values = values,
                     .each = each,
                     .ctx = ctx};
    setting_value root = mine ? settings_root(mine) : NULL;
    if (root) {
        compare(&w, root);
    }
}

void config_each_difference(const struct config *a, const struct config *b,
                            void (*each)(void *ctx, const char *path), void *ctx) {
    for (size_t i = 0; i < CONFIG_LAYERS_MAX; i++) {
        struct settings *mine = i < a->n_layers ? a->layers[i] : NULL;
        struct settings *theirs = i < b->n_layers ? b->layers[i] : NULL;
        walk(mine, theirs, true, each, ctx);
        walk(theirs, mine, false, each, ctx);
    }
}
