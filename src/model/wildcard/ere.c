/* IEEE 1003.1 chapter 9, by Glushkov's construction: each part of an expression is described by the
 * positions that it may begin with, those that it may end with, and whether it may be empty.
 * Putting parts together adds to the sets of followers. A repetition with numbers is written out:
 * its part is read again from the same place, which makes positions of its own. */
#include "model/wildcard/ere.h"

#include <stdlib.h>

enum {
    ATOMS_MAX = 4096,            /* parts that are read, repetitions written out */
    OVERLAP_STEPS_MAX = 1 << 20, /* of ere_overlap */
    FIRST_CHARACTER = '!',
    LAST_CHARACTER = '~',
};

struct set {
    uint64_t words[ERE_WORDS];
};

struct ere {
    unsigned n; /* positions */
    bool empty; /* the empty text is one of its texts */
    struct set first, last;
    struct set of[ERE_CHARACTERS]; /* positions that take this character */
    struct set follow[];           /* n of them */
};

static void set_add(struct set *s, unsigned i) {
    s->words[i / 64] |= UINT64_C(1) << i % 64;
}

static bool set_has(const struct set *s, unsigned i) {
    return s->words[i / 64] >> i % 64 & 1;
}

static void set_join(struct set *s, const struct set *other) {
    for (size_t i = 0; i < ERE_WORDS; i++) {
        s->words[i] |= other->words[i];
    }
}

static void set_cut(struct set *s, const struct set *other) {
    for (size_t i = 0; i < ERE_WORDS; i++) {
        s->words[i] &= other->words[i];
    }
}

static bool set_any(const struct set *s) {
    uint64_t any = 0;

    for (size_t i = 0; i < ERE_WORDS; i++) {
        any |= s->words[i];
    }
    return any != 0;
}

/* Is there a member from *i on? *i becomes it. */
static bool next_member(const struct set *s, unsigned *i) {
    for (unsigned word = *i / 64; word < ERE_WORDS; word++) {
        uint64_t bits = s->words[word];

        if (word == *i / 64) {
            bits &= UINT64_MAX << *i % 64;
        }
        if (bits) {
            *i = word * 64 + (unsigned)__builtin_ctzll(bits);
            return true;
        }
    }
    return false;
}

#define EACH_MEMBER(i, set) for (unsigned i = 0; next_member(set, &(i)); (i)++)

/* A part of an expression. */
struct part {
    bool empty;
    struct set first, last;
};

struct parser {
    struct span s;
    size_t at;
    unsigned depth, atoms;
    struct ere *e;
    enum error error; /* sticky */
    struct buf *why;
};

static void fail(struct parser *p, const char *problem) {
    if (!p->error) {
        p->error = ERR_INVALID;
        if (p->why) {
            buf_cstr(p->why, "at character ");
            buf_u64(p->why, p->at + 1);
            buf_cstr(p->why, ": ");
            buf_cstr(p->why, problem);
        }
    }
}

static bool at_end(const struct parser *p) {
    return p->error || p->at >= p->s.n;
}

static bool sees(const struct parser *p, char c) {
    return !at_end(p) && p->s.p[p->at] == c;
}

/* Parts. */

static void concatenate(struct ere *e, struct part *a, const struct part *b) {
    EACH_MEMBER(i, &a->last) {
        set_join(&e->follow[i], &b->first);
    }
    if (a->empty) {
        set_join(&a->first, &b->first);
    }
    if (b->empty) {
        set_join(&a->last, &b->last);
    } else {
        a->last = b->last;
    }
    a->empty &= b->empty;
}

static void choose(struct part *a, const struct part *b) {
    set_join(&a->first, &b->first);
    set_join(&a->last, &b->last);
    a->empty |= b->empty;
}

static void repeat(struct ere *e, const struct part *a) {
    EACH_MEMBER(i, &a->last) {
        set_join(&e->follow[i], &a->first);
    }
}

/* A position that takes the characters of `taken`. */
static struct part one(struct parser *p, const bool taken[ERE_CHARACTERS]) {
    struct part out = {0};

    if (p->error || p->e->n == ERE_POSITIONS_MAX) {
        p->error = p->error ? p->error : ERR_TOO_BIG;
        return out;
    }
    unsigned position = p->e->n++;
    for (unsigned c = FIRST_CHARACTER; c <= LAST_CHARACTER; c++) {
        if (taken[c]) {
            set_add(&p->e->of[c], position);
        }
    }
    set_add(&out.first, position);
    set_add(&out.last, position);
    return out;
}

static struct part one_character(struct parser *p, char c) {
    bool taken[ERE_CHARACTERS] = {false};

    if (c < FIRST_CHARACTER || c > LAST_CHARACTER) {
        fail(p, "only the characters of identities are allowed: printable ASCII without space");
        return (struct part){0};
    }
    taken[(unsigned char)c] = true;
    return one(p, taken);
}

/* Bracket expressions, 9.3.5. */

static bool is_of_class(struct span name, unsigned c, bool *known) {
    static const char *const names[] = {"alnum", "alpha", "digit", "graph", "lower",
                                        "print", "punct", "upper", "xdigit"};
    bool lower = c >= 'a' && c <= 'z', upper = c >= 'A' && c <= 'Z', digit = c >= '0' && c <= '9';
    bool alnum = lower || upper || digit;
    bool hex = digit || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
    const bool answers[] = {alnum, lower || upper, digit, true, lower, true, !alnum, upper, hex};

    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (span_eq(name, span_from_cstr(names[i]))) {
            *known = true;
            return answers[i];
        }
    }
    return false;
}

static void take_class(struct parser *p, bool taken[ERE_CHARACTERS]) {
    struct span rest = span_after(p->s, p->at + 2);
    size_t n = span_find(rest, SPAN(":]"));
    bool known = false;

    for (unsigned c = FIRST_CHARACTER; c <= LAST_CHARACTER; c++) {
        taken[c] |= is_of_class(span_slice(rest, 0, n), c, &known);
    }
    if (n == rest.n || !known) {
        fail(p, "a class is wanted, as in [[:digit:]]");
    }
    p->at += 2 + n + 2;
}

/* One end of a range. */
static unsigned range_end(struct parser *p) {
    char c = p->s.p[p->at];
    bool symbol = c == '[' && p->at + 1 < p->s.n && strchr(".=:", p->s.p[p->at + 1]);

    if (c < FIRST_CHARACTER || c > LAST_CHARACTER || symbol) {
        fail(p, symbol ? "[. and [= are not supported" : "a character that no identity has");
        return FIRST_CHARACTER;
    }
    p->at++;
    return (unsigned char)c;
}

static void take_range(struct parser *p, bool taken[ERE_CHARACTERS]) {
    unsigned from = range_end(p), to = from;
    bool ranges = sees(p, '-') && p->at + 1 < p->s.n && p->s.p[p->at + 1] != ']';

    if (ranges) {
        p->at++;
        to = range_end(p);
        if (to < from) {
            fail(p, "a range goes from the lower character to the higher one");
        }
    }
    for (unsigned c = from; c <= to; c++) {
        taken[c] = true;
    }
}

static struct part bracket(struct parser *p) {
    bool taken[ERE_CHARACTERS] = {false}, any = false;
    size_t begin = p->at++;
    bool negated = sees(p, '^');

    p->at += negated;
    for (bool first = true; !at_end(p) && (first || p->s.p[p->at] != ']'); first = false) {
        if (p->s.p[p->at] == '[' && p->at + 1 < p->s.n && p->s.p[p->at + 1] == ':') {
            take_class(p, taken);
        } else {
            take_range(p, taken);
        }
    }
    if (!p->error && !sees(p, ']')) {
        p->at = begin;
        fail(p, "this [ has no ]");
    }
    p->at++;
    for (unsigned c = FIRST_CHARACTER; c <= LAST_CHARACTER; c++) {
        taken[c] ^= negated;
        any |= taken[c];
    }
    if (!any) {
        fail(p, "nothing is left that these brackets would take");
    }
    return one(p, taken);
}

/* Expressions, 9.4. */

static struct part alternatives(struct parser *p);

static struct part group(struct parser *p) {
    size_t begin = p->at++;

    if (++p->depth > ERE_DEPTH_MAX) {
        fail(p, "brackets stand in at most 16 others");
        return (struct part){0};
    }
    struct part out = alternatives(p);
    if (!p->error && !sees(p, ')')) {
        p->at = begin;
        fail(p, "this ( has no )");
    }
    p->at++;
    p->depth--;
    return out;
}

static struct part escaped(struct parser *p) {
    char c = p->at + 1 < p->s.n ? p->s.p[p->at + 1] : '\0';
    bool word = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');

    if (word || !c) {
        fail(p, "a backslash stands before one of ^.[$()|*+?{\\; a digit is [0-9]");
        return (struct part){0};
    }
    p->at += 2;
    return one_character(p, c);
}

static struct part atom(struct parser *p) {
    static const bool all[ERE_CHARACTERS] = {[FIRST_CHARACTER... LAST_CHARACTER] = true};
    char c = p->s.p[p->at];

    if (++p->atoms > ATOMS_MAX) {
        p->error = p->error ? p->error : ERR_TOO_BIG;
        return (struct part){0};
    }
    switch (c) {
    case '(':
        return group(p);
    case '[':
        return bracket(p);
    case '\\':
        return escaped(p);
    case '.':
        p->at++;
        return one(p, all);
    case '^':
    case '$':
        fail(p, "anchors are not needed: the expression matches the whole part");
        return (struct part){0};
    case '*':
    case '+':
    case '?':
    case '{':
        fail(p, "there is nothing here that could be repeated");
        return (struct part){0};
    default:
        p->at++;
        return one_character(p, c);
    }
}

/* {m}, {m,}, {m,n}: *most is UINT_MAX without a bound. */
static void read_bounds(struct parser *p, unsigned *least, unsigned *most) {
    struct span rest = span_after(p->s, p->at + 1);
    size_t n = span_find_char(rest, '}');
    struct span to = span_slice(rest, 0, n), from = span_cut(&to, ',');
    uint32_t low = 0, high = 0;

    if (n == rest.n || !span_to_u32(from, ERE_REPEAT_MAX, &low) ||
        (to.n && (!span_to_u32(to, ERE_REPEAT_MAX, &high) || high < low))) {
        fail(p, "{m}, {m,} or {m,n} is wanted, with m not above n, and both not above 255");
        return;
    }
    *least = low;
    *most = !to.p ? low : to.n ? high : UINT32_MAX;
    p->at += 1 + n + 1;
}

static bool is_repetition(const struct parser *p) {
    return !at_end(p) && strchr("*+?{", p->s.p[p->at]);
}

/* The bounds of what stands behind an atom; false: nothing does. */
static bool read_repetition(struct parser *p, unsigned *least, unsigned *most) {
    if (!is_repetition(p)) {
        return false;
    }
    char c = p->s.p[p->at];
    if (c == '{') {
        read_bounds(p, least, most);
    } else {
        *least = c == '+';
        *most = c == '?' ? 1 : UINT32_MAX;
        p->at++;
    }
    if (is_repetition(p)) {
        fail(p, "a repetition is not repeated; put it into brackets");
    }
    return true;
}

/* An atom with its repetition. */
static struct part repetition(struct parser *p) {
    size_t begin = p->at;
    unsigned least = 1, most = 1;
    struct part copy = atom(p), out = {.empty = true};
    bool repeats = !p->error && read_repetition(p, &least, &most);
    size_t end = p->at;

    if (!repeats || p->error) {
        return copy;
    }
    unsigned copies = most == UINT32_MAX ? (least ? least : 1) : most;
    for (unsigned i = 0; i < copies && !p->error; i++) {
        if (i) {
            p->at = begin;
            copy = atom(p);
        }
        if (most == UINT32_MAX && i + 1 == copies) {
            repeat(p->e, &copy);
        }
        copy.empty |= i >= least;
        concatenate(p->e, &out, &copy);
    }
    p->at = end;
    return out;
}

static struct part sequence(struct parser *p) {
    struct part out = {.empty = true};
    size_t begin = p->at;

    while (!at_end(p) && !sees(p, '|') && !(p->depth && sees(p, ')'))) {
        if (sees(p, ')')) {
            fail(p, "this ) has no (");
            break;
        }
        struct part next = repetition(p);
        concatenate(p->e, &out, &next);
    }
    if (p->at == begin) {
        fail(p, "something is wanted here: an alternative is not empty");
    }
    return out;
}

static struct part alternatives(struct parser *p) {
    struct part out = sequence(p);

    while (sees(p, '|')) {
        p->at++;
        struct part other = sequence(p);
        choose(&out, &other);
    }
    return out;
}

static void plain(struct parser *p, struct span text, struct part *whole) {
    for (size_t i = 0; i < text.n && !p->error; i++) {
        struct part next = one_character(p, text.p[i]);
        concatenate(p->e, whole, &next);
    }
}

enum error ere_compile(struct span before, struct span expression, struct span after,
                       struct ere **out, struct buf *why) {
    struct ere *e = calloc(1, sizeof *e + ERE_POSITIONS_MAX * sizeof e->follow[0]);
    struct parser p = {.s = expression, .e = e, .why = why};
    struct part whole = {.empty = true};

    if (!e) {
        return ERR_NO_MEMORY;
    }
    plain(&p, before, &whole);
    if (!p.error) {
        struct part middle = alternatives(&p);
        concatenate(e, &whole, &middle);
    }
    plain(&p, after, &whole);
    if (p.error) {
        if (p.error == ERR_TOO_BIG && why) {
            buf_cstr(why, "with its repetitions written out it has more than 256 characters");
        }
        free(e);
        return p.error;
    }
    e->empty = whole.empty;
    e->first = whole.first;
    e->last = whole.last;
    struct ere *fitting = realloc(e, sizeof *e + e->n * sizeof e->follow[0]);
    *out = fitting ? fitting : e;
    return OK;
}

bool ere_match(const struct ere *e, struct span text) {
    struct set may = e->first, now = {0};

    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (c >= ERE_CHARACTERS) {
            return false;
        }
        now = may;
        set_cut(&now, &e->of[c]);
        may = (struct set){0};
        EACH_MEMBER(k, &now) {
            set_join(&may, &e->follow[k]);
        }
        if (!set_any(&now)) {
            return false;
        }
    }
    set_cut(&now, &e->last);
    return text.n ? set_any(&now) : e->empty;
}

/* Both automata side by side: pairs of positions that one text can lead to. */
struct pairs {
    const struct ere *a, *b;
    struct set common[ERE_POSITIONS_MAX]; /* of each position of a: those of b that share a
                                           * character with it */
    struct set seen[ERE_POSITIONS_MAX];
    struct {
        uint8_t a, b;
    } waiting[ERE_POSITIONS_MAX * ERE_POSITIONS_MAX];
    size_t n, steps;
};

static void pairs_visit(struct pairs *p, const struct set *of_a, const struct set *of_b) {
    EACH_MEMBER(i, of_a) {
        struct set next = *of_b;

        set_cut(&next, &p->common[i]);
        p->steps++;
        EACH_MEMBER(k, &next) {
            if (!set_has(&p->seen[i], k)) {
                set_add(&p->seen[i], k);
                p->waiting[p->n].a = (uint8_t)i;
                p->waiting[p->n++].b = (uint8_t)k;
            }
        }
    }
}

enum error ere_overlap(const struct ere *a, const struct ere *b, bool *overlap) {
    struct pairs *p = malloc(sizeof *p);

    if (!p) {
        return ERR_NO_MEMORY;
    }
    p->a = a;
    p->b = b;
    p->n = p->steps = 0;
    memset(p->common, 0, sizeof p->common);
    memset(p->seen, 0, sizeof p->seen);
    for (unsigned c = FIRST_CHARACTER; c <= LAST_CHARACTER; c++) {
        EACH_MEMBER(i, &a->of[c]) {
            set_join(&p->common[i], &b->of[c]);
        }
    }
    *overlap = a->empty && b->empty;
    pairs_visit(p, &a->first, &b->first);
    for (size_t at = 0; at < p->n && !*overlap; at++) {
        unsigned i = p->waiting[at].a, k = p->waiting[at].b;

        *overlap = (set_has(&a->last, i) && set_has(&b->last, k)) || p->steps > OVERLAP_STEPS_MAX;
        pairs_visit(p, &a->follow[i], &b->follow[k]);
    }
    free(p);
    return OK;
}
