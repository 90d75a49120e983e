/* The order of targets: RFC 3263 4.2 and 4.3, RFC 2782, RFC 7984 section 4, RFC 6724.
 *
 * Choices: among addresses of one SRV record and one precedence a lot says which comes first, so
 * that a cache does not undo what a DNS server does by rotating them. */
#include "stack/dns/internal.h"

static bool precedes(const struct candidate *a, const struct candidate *b) {
    if (a->rank != b->rank) {
        return a->rank < b->rank;
    }
    if (a->priority != b->priority) {
        return a->priority < b->priority;
    }
    if ((a->weight == 0) != (b->weight == 0)) {
        return a->weight == 0; /* RFC 2782: those without weight stand first in the lot */
    }
    if (a->group != b->group) {
        return a->group < b->group;
    }
    return a->precedence > b->precedence;
}

size_t candidates_sort(struct candidate *c, size_t n) {
    size_t kept = 0;
    for (size_t i = 1; i < n; i++) {
        struct candidate moved = c[i];
        size_t at = i;
        for (; at > 0 && precedes(&moved, &c[at - 1]); at--) {
            c[at] = c[at - 1];
        }
        c[at] = moved;
    }
    for (size_t i = 0; i < n; i++) {
        bool seen = false;
        for (size_t k = 0; k < kept; k++) {
            seen |= sip_hop_eq(&c[k].hop, &c[i].hop);
        }
        if (!seen) {
            c[kept++] = c[i];
        }
    }
    return kept;
}

static uint32_t lot_below(struct env *env, uint64_t bound) {
    uint32_t lot;
    env_random(env, &lot, sizeof lot);
    return (uint32_t)(lot * bound >> 32);
}

static size_t group_size(const struct candidate *c, size_t n) {
    size_t size = 1;
    while (size < n && c[size].group == c[0].group && c[size].rank == c[0].rank) {
        size++;
    }
    return size;
}

/* RFC 2782: of the groups in c, all of one priority, the index of the one that comes next. */
static size_t draw_group(struct env *env, const struct candidate *c, size_t n) {
    uint32_t sum = 0, running = 0;
    size_t groups = 0;
    for (size_t i = 0; i < n; i += group_size(c + i, n - i)) {
        sum += c[i].weight;
        groups++;
    }
    if (groups == 1) {
        return 0;
    }
    if (sum == 0) { /* no weights at all: alike */
        size_t chosen = lot_below(env, groups), at = 0;
        while (chosen--) {
            at += group_size(c + at, n - at);
        }
        return at;
    }
    uint32_t lot = lot_below(env, (uint64_t)sum + 1);
    for (size_t i = 0; i < n; i += group_size(c + i, n - i)) {
        running += c[i].weight;
        if (running >= lot) {
            return i;
        }
    }
    return 0;
}

/* Turns n entries left by `by`. */
static void rotate(struct candidate *c, size_t n, size_t by) {
    struct candidate moved[CANDIDATES_MAX];
    memcpy(moved, c, by * sizeof *c);
    memmove(c, c + by, (n - by) * sizeof *c);
    memcpy(c + n - by, moved, by * sizeof *c);
}

/* Within a group: those of one precedence begin anywhere. */
static void turn_addresses(struct env *env, struct candidate *c, size_t n) {
    for (size_t i = 0, same; i < n; i += same) {
        for (same = 1; i + same < n && c[i + same].precedence == c[i].precedence;) {
            same++;
        }
        if (same > 1) {
            rotate(c + i, same, lot_below(env, same));
        }
    }
}

void candidates_draw(struct env *env, const struct candidate *from, size_t n,
                     struct resolver_answer *out) {
    struct candidate c[CANDIDATES_MAX];
    out->n = n < RESOLVER_TARGETS_MAX ? n : RESOLVER_TARGETS_MAX;
    if (n == 1) {
        out->targets[0] = from[0].hop;
        return;
    }
    memcpy(c, from, n * sizeof *c);
    for (size_t i = 0, size; i < n; i += size) {
        size_t run = 1;
        while (i + run < n && c[i + run].rank == c[i].rank &&
               c[i + run].priority == c[i].priority) {
            run++;
        }
        size_t chosen = draw_group(env, c + i, run);
        size = group_size(c + i + chosen, run - chosen);
        rotate(c + i, chosen + size, chosen); /* the chosen group in front of those before it */
        turn_addresses(env, c + i, size);
    }
    for (size_t i = 0; i < out->n; i++) {
        out->targets[i] = c[i].hop;
    }
}

uint8_t address_precedence(const struct addr *a) {
    static const struct {
        uint8_t prefix[4], bits, precedence;
    } table[] = {
        {{0x20, 0x02}, 16, 30}, /* 6to4 */
        {{0x20, 0x01}, 32, 5},  /* Teredo */
        {{0xfc}, 7, 3},         /* unique local */
        {{0xfe, 0xc0}, 10, 1},  /* site local */
        {{0x3f, 0xfe}, 16, 1},  /* 6bone */
    };
    if (a->family != 6) {
        return 35;
    }
    if (addr_is_loopback(a)) {
        return 50;
    }
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        unsigned whole = table[i].bits / 8, rest = table[i].bits % 8;
        uint8_t mask = (uint8_t)(0xff00 >> rest);
        if (memcmp(a->ip, table[i].prefix, whole) == 0 &&
            (!rest || (a->ip[whole] & mask) == table[i].prefix[whole])) {
            return table[i].precedence;
        }
    }
    return 40;
}
