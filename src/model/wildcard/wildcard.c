/* TS 23.003 13.4A and 13.5. Choices that they leave open:
 * - An identity has either no expression or one. A single exclamation mark is a character like
 *   others (RFC 3261 allows it in user parts).
 * - The host of a SIP URI, and the scheme, are literal: an expression does not reach into another
 *   domain. It may use every character of an identity but '!'.
 * - Two wildcards never have an identity in common, within a subscription or across the HSS: which
 *   one would be meant is nobody's guess. */
#include "model/wildcard/wildcard.h"

#include <ctype.h>
#include <stdlib.h>

bool wildcard_split(struct span text, struct wildcard_parts *out) {
    struct span rest = text;

    out->before = span_cut(&rest, '!');
    out->expression = rest.p ? span_cut(&rest, '!') : SPAN_NONE;
    out->after = rest;
    return rest.p && span_find_char(rest, '!') == rest.n;
}

/* Sound forms. */

static enum error wrong(struct buf *why, const char *text) {
    if (why) {
        buf_cstr(why, text);
    }
    return ERR_INVALID;
}

static bool consists_of(struct span s, bool (*fits)(char c)) {
    for (size_t i = 0; i < s.n; i++) {
        if (!fits(s.p[i])) {
            return false;
        }
    }
    return true;
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_user_character(char c) {
    return c > ' ' && c <= '~' && !strchr("@;?<>\"\\", c);
}

static bool is_host_character(char c) {
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c && strchr(".-_:[]", c));
}

static enum error check_sip(const struct wildcard_parts *parts, size_t scheme, struct buf *why) {
    struct span user = span_after(parts->before, scheme), host = parts->after;
    struct span tail = span_cut(&host, '@');

    if (!consists_of(user, is_user_character) || !consists_of(tail, is_user_character)) {
        return wrong(why, "the expression stands in the user part, without parameters around it");
    }
    if (!host.n || !consists_of(host, is_host_character)) {
        return wrong(why, "behind the expression stand @ and the host, in lower case");
    }
    return OK;
}

enum error wildcard_check(struct span text, struct buf *why) {
    struct wildcard_parts parts;
    struct ere *ere;

    if (text.n > WILDCARD_MAX || !wildcard_split(text, &parts)) {
        return wrong(why, "a wildcard has up to 255 characters, and one expression between two !");
    }
    enum error e = OK;
    if (span_starts_with(parts.before, SPAN("tel:+"))) {
        bool digits = consists_of(span_after(parts.before, 5), is_digit) &&
                      consists_of(parts.after, is_digit);
        e = digits ? OK : wrong(why, "around the expression of a tel URI stand digits");
    } else if (span_starts_with(parts.before, SPAN("sip:"))) {
        e = check_sip(&parts, 4, why);
    } else if (span_starts_with(parts.before, SPAN("sips:"))) {
        e = check_sip(&parts, 5, why);
    } else {
        e = wrong(why, "a wildcard begins with sip:, sips: or tel:+, before its expression");
    }
    if (!e) {
        e = ere_compile(SPAN(""), parts.expression, SPAN(""), &ere, why);
        if (!e) {
            free(ere);
        }
    }
    return e == ERR_TOO_BIG ? ERR_INVALID : e;
}

/* Common identities. Literal beginnings and ends that both have are left out; if they differ within
 * the shorter one's length, there is nothing in common. */

static size_t common_beginning(struct span a, struct span b) {
    size_t n = 0;

    while (n < a.n && n < b.n && a.p[n] == b.p[n]) {
        n++;
    }
    return n;
}

static size_t common_end(struct span a, struct span b) {
    size_t n = 0;

    while (n < a.n && n < b.n && a.p[a.n - 1 - n] == b.p[b.n - 1 - n]) {
        n++;
    }
    return n;
}

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

static enum error overlap_of_parts(const struct wildcard_parts *a, const struct wildcard_parts *b,
                                   bool *overlap) {
    size_t begin = common_beginning(a->before, b->before), end = common_end(a->after, b->after);
    struct ere *first = NULL, *second = NULL;

    *overlap = false;
    if (begin < smaller(a->before.n, b->before.n) || end < smaller(a->after.n, b->after.n)) {
        return OK;
    }
    enum error e = ere_compile(span_after(a->before, begin), a->expression,
                               span_slice(a->after, 0, a->after.n - end), &first, NULL);
    if (!e) {
        e = ere_compile(span_after(b->before, begin), b->expression,
                        span_slice(b->after, 0, b->after.n - end), &second, NULL);
    }
    if (!e) {
        e = ere_overlap(first, second, overlap);
    } else if (e != ERR_NO_MEMORY) { /* too large to tell */
        *overlap = true;
        e = OK;
    }
    free(first);
    free(second);
    return e;
}

enum error wildcard_overlap(struct span a, struct span b, bool *overlap) {
    struct wildcard_parts of_a, of_b;

    *overlap = true;
    if (!wildcard_split(a, &of_a) || !wildcard_split(b, &of_b)) {
        return OK;
    }
    return overlap_of_parts(&of_a, &of_b, overlap);
}

/* The index. */

static bool ends_with(struct span s, struct span end) {
    return s.n >= end.n && span_eq(span_after(s, s.n - end.n), end);
}

static bool takes(const struct wildcard *w, struct span identity) {
    size_t literal = w->parts.before.n + w->parts.after.n;

    return identity.n >= literal && span_starts_with(identity, w->parts.before) &&
           ends_with(identity, w->parts.after) &&
           ere_match(w->ere,
                     span_slice(identity, w->parts.before.n, identity.n - w->parts.after.n));
}

static bool is_better(const struct wildcard *w, const struct wildcard *than) {
    if (!than || w->parts.before.n != than->parts.before.n) {
        return !than || w->parts.before.n > than->parts.before.n;
    }
    if (w->parts.after.n != than->parts.after.n) {
        return w->parts.after.n > than->parts.after.n;
    }
    return span_compare(w->text, than->text) < 0;
}

const struct wildcard *wildcard_find(const struct wildcard_index *index, struct span identity) {
    const struct wildcard *best = NULL;

    if (index->by_beginning.count == 0 || identity.n > WILDCARD_MAX) {
        return NULL;
    }
    for (size_t n = smaller(index->longest, identity.n); n >= index->shortest && !best; n--) {
        struct htab_node *node =
            index->lengths[n]
                ? htab_first(&index->by_beginning, hash_bytes(span_slice(identity, 0, n)))
                : NULL;

        for (; node; node = htab_next(node)) {
            const struct wildcard *w = CONTAINER_OF(node, struct wildcard, node);
            if (!w->claim && takes(w, identity) && is_better(w, best)) {
                best = w;
            }
        }
    }
    return best;
}

struct wildcard *wildcard_entry(const struct wildcard_index *index, struct span text) {
    struct wildcard_parts parts;

    if (!wildcard_split(text, &parts)) {
        return NULL;
    }
    struct htab_node *node = htab_first(&index->by_beginning, hash_bytes(parts.before));
    for (; node; node = htab_next(node)) {
        struct wildcard *w = CONTAINER_OF(node, struct wildcard, node);
        if (span_eq(w->text, text)) {
            return w;
        }
    }
    return NULL;
}

enum error wildcard_add(struct wildcard_index *index, struct span text, const void *claim) {
    enum error e = wildcard_check(text, NULL);
    struct wildcard *w = e ? NULL : calloc(1, sizeof *w + text.n);

    if (e || !w) {
        return e ? e : ERR_NO_MEMORY;
    }
    memcpy(w->bytes, text.p, text.n);
    w->text = span_of(w->bytes, text.n);
    w->claim = claim;
    (void)!wildcard_split(w->text, &w->parts);
    e = ere_compile(SPAN(""), w->parts.expression, SPAN(""), &w->ere, NULL);
    if (!e) {
        e = htab_insert(&index->by_beginning, &w->node, hash_bytes(w->parts.before));
    }
    if (e) {
        free(w->ere);
        free(w);
        return e;
    }
    uint8_t n = (uint8_t)w->parts.before.n;
    index->lengths[n]++;
    index->longest = n > index->longest ? n : index->longest;
    index->shortest = !index->shortest || n < index->shortest ? n : index->shortest;
    return OK;
}

void wildcard_remove(struct wildcard_index *index, struct wildcard *w) {
    htab_remove(&index->by_beginning, &w->node);
    index->lengths[w->parts.before.n]--;
    free(w->ere);
    free(w);
}

/* Looking for rivals. */
struct rivalry {
    struct span text;
    bool (*is_own)(void *ctx, const struct wildcard *w);
    void *ctx;
    const struct wildcard *found;
    enum error error;
};

static void compare(struct htab_node *node, void *ctx) {
    const struct wildcard *w = CONTAINER_OF(node, struct wildcard, node);
    struct rivalry *r = ctx;
    bool overlap = false;

    if (r->found || r->error || r->is_own(r->ctx, w)) {
        return;
    }
    r->error = wildcard_overlap(r->text, w->text, &overlap);
    if (!r->error && overlap) {
        r->found = w;
    }
}

enum error wildcard_rival(struct wildcard_index *index, struct span text,
                          bool (*is_own)(void *ctx, const struct wildcard *w), void *ctx,
                          const struct wildcard **out) {
    struct rivalry r = {.text = text, .is_own = is_own, .ctx = ctx};

    htab_each(&index->by_beginning, compare, &r);
    *out = r.found;
    return r.error;
}

struct withdrawal {
    struct wildcard_index *index;
    const void *claim;
};

static void withdraw(struct htab_node *node, void *ctx) {
    struct wildcard *w = CONTAINER_OF(node, struct wildcard, node);
    const struct withdrawal *d = ctx;

    if (w->claim == d->claim) {
        wildcard_remove(d->index, w);
    }
}

void wildcard_drop_claims(struct wildcard_index *index, const void *claim) {
    struct withdrawal d = {index, claim};

    if (claim && index->by_beginning.count) {
        htab_each(&index->by_beginning, withdraw, &d);
    }
}

static void drop(struct htab_node *node, void *ctx) {
    wildcard_remove(ctx, CONTAINER_OF(node, struct wildcard, node));
}

void wildcard_index_free(struct wildcard_index *index) {
    htab_each(&index->by_beginning, drop, index);
    htab_free(&index->by_beginning);
    *index = (struct wildcard_index){0};
}
