/* The fast reader: elements of annex E without attributes, character data with the five predefined
 * entities, UTF-8. One pass over the bytes into the flat tree. Everything else is ERR_UNSUPPORTED,
 * which includes elements that annex E does not know, and everything that is not well-formed:
 * libxml2 judges it. */
#include "codec/userdata/tree.h"

static bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\n';
}

static bool is_name_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

enum userdata_element userdata_element_of(struct span name) {
    static const struct {
        struct span name;
        enum userdata_element element;
    } table[] = {
#define USERDATA_ROW(name) {SPAN_INIT(#name), EL_##name},
        USERDATA_ELEMENTS(USERDATA_ROW)
#undef USERDATA_ROW
    };
    /* Rows in the order of strcmp: the first letter picks where to look. */
    static const uint8_t first_row[27] = {
        /* A */ 0,  /* B */ 2,  /* C */ 3,  /* D */ 7,  /* E */ 9,  /* F */ 10, /* G */ 10,
        /* H */ 11, /* I */ 12, /* J */ 18, /* K */ 18, /* L */ 18, /* M */ 20, /* N */ 21,
        /* O */ 21, /* P */ 21, /* Q */ 25, /* R */ 25, /* S */ 27, /* T */ 37, /* U */ 38,
        /* V */ 38, /* W */ 38, /* X */ 40, /* Y */ 40, /* Z */ 40, 40};

    if (name.n < 3 || name.p[0] < 'A' || name.p[0] > 'Z') {
        return EL_OTHER;
    }
    unsigned letter = (unsigned)(name.p[0] - 'A');
    for (unsigned i = first_row[letter]; i < first_row[letter + 1]; i++) {
        if (table[i].name.n == name.n && memcmp(table[i].name.p, name.p, name.n) == 0) {
            return table[i].element;
        }
    }
    return EL_OTHER;
}

uint32_t userdata_tree_add(struct userdata_tree *t, enum userdata_element element,
                           enum error *error) {
    if (t->n == t->cap) {
        uint32_t cap = t->cap ? t->cap * 2 : 96;
        struct userdata_node *grown = NULL;

        if (cap <= USERDATA_NODES_MAX) {
            grown = arena_alloc(t->arena, cap * sizeof *grown);
            *error = ERR_NO_MEMORY;
        } else {
            *error = ERR_TOO_BIG;
        }
        if (!grown) {
            return USERDATA_NONE;
        }
        if (t->n) {
            memcpy(grown, t->nodes, t->n * sizeof *grown);
        }
        t->nodes = grown;
        t->cap = cap;
    }
    t->nodes[t->n] = (struct userdata_node){
        .child = USERDATA_NONE, .next = USERDATA_NONE, .element = (uint8_t)element};
    return t->n++;
}

struct scan {
    const char *at, *end;
    struct userdata_tree tree;
    uint32_t open[USERDATA_DEPTH_MAX]; /* the elements that we are in */
    uint32_t last[USERDATA_DEPTH_MAX]; /* the last child of each */
    struct span name[USERDATA_DEPTH_MAX];
    unsigned depth;
};

/* A sequence of UTF-8 at p that begins with a byte above 0x7f: its length, 0 if it is none, or one
 * that XML does not allow. */
static size_t utf8_length(const uint8_t *p, size_t n) {
    static const struct {
        uint8_t low, high, second_low, second_high, length;
    } forms[] = {{0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
                 {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3},
                 {0xee, 0xee, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4},
                 {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4}};

    for (size_t i = 0; i < COUNT_OF(forms); i++) {
        if (p[0] >= forms[i].low && p[0] <= forms[i].high) {
            size_t length = forms[i].length;

            if (n < length || p[1] < forms[i].second_low || p[1] > forms[i].second_high ||
                (length > 2 && (p[2] & 0xc0) != 0x80) || (length > 3 && (p[3] & 0xc0) != 0x80)) {
                return 0;
            }
            return length;
        }
    }
    return 0; /* 0xef begins also U+FFFE and U+FFFF: left to libxml2 */
}

static const struct {
    struct span name;
    char value;
} entities[] = {{SPAN_INIT("&lt;"), '<'},
                {SPAN_INIT("&gt;"), '>'},
                {SPAN_INIT("&amp;"), '&'},
                {SPAN_INIT("&quot;"), '"'},
                {SPAN_INIT("&apos;"), '\''}};

/* Length of the predefined entity that s begins with, 0 if it is none. */
static size_t entity_length(struct span s, char *value) {
    for (size_t i = 0; i < COUNT_OF(entities); i++) {
        if (span_starts_with(s, entities[i].name)) {
            *value = entities[i].value;
            return entities[i].name.n;
        }
    }
    return 0;
}

/* Checks character data up to the next '<'; says whether it has entities. */
static bool check_text(struct span s, bool *has_entities) {
    char unused;

    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];

        if (c >= ' ' && c < 0x80 && c != '&' && c != '>') {
            continue;
        }
        if (c == '&') {
            *has_entities = true;
            if (!entity_length(span_after(s, i), &unused)) {
                return false;
            }
        } else if (c >= 0x80) {
            size_t length = utf8_length((const uint8_t *)s.p + i, s.n - i);
            if (!length) {
                return false;
            }
            i += length - 1;
        } else if (c == '>' ? i >= 2 && s.p[i - 1] == ']' && s.p[i - 2] == ']'
                            : c != '\n' && c != '\t') {
            return false; /* ends no CDATA; CR is normalised by XML, other controls are forbidden */
        }
    }
    return true;
}

static enum error unescape(struct scan *c, struct span s, struct span *out) {
    char *p = arena_alloc(c->tree.arena, s.n), *to = p;

    if (!p) {
        return ERR_NO_MEMORY;
    }
    for (size_t i = 0; i < s.n;) {
        char value = s.p[i];
        size_t n = value == '&' ? entity_length(span_after(s, i), &value) : 1;

        *to++ = value;
        i += n;
    }
    *out = span_of(p, (size_t)(to - p));
    return OK;
}

/* Character data of the element that is open, up to the next '<'. */
static enum error take_text(struct scan *c) {
    const char *stop = memchr(c->at, '<', (size_t)(c->end - c->at));
    bool has_entities = false, blank = true;

    if (!stop) {
        return ERR_UNSUPPORTED;
    }
    struct span s = {c->at, (size_t)(stop - c->at)};
    c->at = stop;
    struct userdata_node *n = &c->tree.nodes[c->open[c->depth - 1]];
    for (size_t i = 0; i < s.n && blank; i++) {
        blank = is_space(s.p[i]);
    }
    bool closes = c->end - stop > 1 && stop[1] == '/';
    if (blank && !(closes && n->child == USERDATA_NONE)) {
        return OK; /* between elements */
    }
    if (!closes || n->child != USERDATA_NONE || !check_text(s, &has_entities)) {
        return ERR_UNSUPPORTED; /* mixed content, or text that needs more care */
    }
    if (has_entities) {
        return unescape(c, s, &n->text);
    }
    n->text = s;
    return OK;
}

static enum error open_element(struct scan *c) {
    const char *begin = ++c->at;
    enum error e = OK;

    while (c->at < c->end && is_name_char(*c->at)) {
        c->at++;
    }
    struct span name = {begin, (size_t)(c->at - begin)};
    bool empty = c->at < c->end && *c->at == '/';
    c->at += empty;
    if (name.n == 0 || (*begin >= '0' && *begin <= '9') || c->at == c->end || *c->at != '>') {
        return ERR_UNSUPPORTED; /* attributes, prefixes, comments and all the rest */
    }
    c->at++;
    enum userdata_element element = userdata_element_of(name);
    if (c->depth == USERDATA_DEPTH_MAX) {
        return ERR_TOO_BIG;
    }
    if (element == EL_OTHER) {
        return ERR_UNSUPPORTED; /* it has to be kept */
    }
    uint32_t node = userdata_tree_add(&c->tree, element, &e);
    if (node == USERDATA_NONE) {
        return e;
    }
    if (c->depth) {
        uint32_t parent = c->open[c->depth - 1];

        if (c->tree.nodes[parent].child == USERDATA_NONE) {
            c->tree.nodes[parent].child = node;
        } else {
            c->tree.nodes[c->last[c->depth - 1]].next = node;
        }
        c->last[c->depth - 1] = node;
    }
    if (!empty) {
        c->open[c->depth] = node;
        c->name[c->depth++] = name;
    }
    return OK;
}

static enum error close_element(struct scan *c) {
    struct span name = c->name[c->depth - 1];
    size_t n = name.n + 3;

    if ((size_t)(c->end - c->at) < n || c->at[n - 1] != '>' ||
        memcmp(c->at + 2, name.p, name.n) != 0) {
        return ERR_UNSUPPORTED;
    }
    c->at += n;
    c->depth--;
    return OK;
}

static void skip_space(struct scan *c) {
    while (c->at < c->end && is_space(*c->at)) {
        c->at++;
    }
}

static void skip_declaration(struct scan *c) {
    static const struct span forms[] = {
        SPAN_INIT("<?xml version=\"1.0\" encoding=\"UTF-8\"?>"),
        SPAN_INIT("<?xml version=\"1.0\" encoding=\"utf-8\"?>"),
        SPAN_INIT("<?xml version=\"1.0\"?>"),
    };
    struct span rest = {c->at, (size_t)(c->end - c->at)};

    for (size_t i = 0; i < COUNT_OF(forms); i++) {
        if (span_starts_with(rest, forms[i])) {
            c->at += forms[i].n;
            return;
        }
    }
}

static enum error scan_elements(struct scan *c) {
    enum error e = OK;

    do {
        if (c->at == c->end) {
            return ERR_UNSUPPORTED;
        }
        if (*c->at != '<') {
            e = take_text(c);
        } else if (c->end - c->at > 1 && c->at[1] == '/') {
            e = close_element(c);
        } else {
            e = open_element(c);
        }
    } while (!e && c->depth);
    return e;
}

enum error userdata_scan(struct span xml, struct arena *arena, struct userdata **out) {
    struct scan c = {.at = xml.p, .end = xml.p + xml.n, .tree = {.arena = arena}};

    if (xml.n > USERDATA_BYTES_MAX) {
        return ERR_TOO_BIG;
    }
    if (xml.n == 0) {
        return ERR_MALFORMED;
    }
    skip_declaration(&c);
    skip_space(&c);
    if (c.at == c.end || *c.at != '<') {
        return ERR_UNSUPPORTED;
    }
    enum error e = open_element(&c);
    if (!e && c.depth) {
        e = scan_elements(&c);
    }
    if (e) {
        return e;
    }
    skip_space(&c);
    if (c.at != c.end) {
        return ERR_UNSUPPORTED;
    }
    return userdata_interpret(&c.tree, out);
}

enum error userdata_read(struct span xml, struct arena *arena, struct userdata **out) {
    enum error e = userdata_scan(xml, arena, out);

    return e == ERR_UNSUPPORTED ? userdata_read_libxml2(xml, arena, out) : e;
}
