/* Private identities that are one subscription's, as Associated-Identities of a SAA has said: TS
 * 29.228 6.1.2.2, 6.6.1. A PPR or RTR may name the subscription by any of them, also by one that
 * nobody has registered by. Each set has its own list, the newest that it was told. */
#include "node/scscf/internal.h"

#include <stdlib.h>

struct associate {
    struct htab_node node;
    const struct associates *of;
    struct span impi;
};

struct associates {
    struct reg_set *set;
    size_t n;
    struct associate list[]; /* then text */
};

void scscf_drop_associates(struct reg_set *set) {
    struct associates *a = set->associates;
    for (size_t i = 0; a && i < a->n; i++) {
        htab_remove(&set->s->associates, &a->list[i].node);
    }
    free(a);
    set->associates = NULL;
}

void scscf_move_associates(struct reg_set *from, struct reg_set *to) {
    to->associates = from->associates;
    from->associates = NULL;
    if (to->associates) {
        to->associates->set = to;
    }
}

static bool knows(const struct reg_set *set, const struct cx_associated_identities *told) {
    const struct associates *a = set->associates;
    bool same = (a ? a->n : 0) == (told ? told->n_user_name : 0);
    for (size_t i = 0; same && a && i < a->n; i++) {
        same = span_eq(a->list[i].impi, told->user_name[i]);
    }
    return same;
}

enum error scscf_set_associates(struct reg_set *set, const struct cx_associated_identities *told) {
    if (knows(set, told)) {
        return OK;
    }
    scscf_drop_associates(set);
    size_t n = told ? told->n_user_name : 0, bytes = 0;
    for (size_t i = 0; i < n; i++) {
        bytes += told->user_name[i].n;
    }
    struct associates *a =
        n ? (struct associates *)malloc(sizeof *a + n * sizeof a->list[0] + bytes) : NULL;
    if (!a) {
        return n ? ERR_NO_MEMORY : OK;
    }
    *a = (struct associates){.set = set};
    set->associates = a;
    char *text = (char *)(a->list + n);
    for (size_t i = 0; i < n; i++) {
        struct span impi = told->user_name[i];
        struct associate *one = &a->list[i];
        memcpy(text, impi.p, impi.n);
        *one = (struct associate){.of = a, .impi = span_of(text, impi.n)};
        text += impi.n;
        if (htab_insert(&set->s->associates, &one->node, hash_bytes(impi)) != OK) {
            scscf_drop_associates(set);
            return ERR_NO_MEMORY;
        }
        a->n++;
    }
    return OK;
}

/* The next list, from this node on, that has the identity. */
static const struct associates *next_list(struct htab_node **node, struct span impi) {
    while (*node) {
        const struct associate *one = CONTAINER_OF(*node, struct associate, node);
        *node = htab_next(*node);
        if (span_eq(one->impi, impi)) {
            return one->of;
        }
    }
    return NULL;
}

struct names {
    struct span *list;
    size_t n;
    struct arena *arena;
    bool failed;
};

static void add_name(struct names *names, struct span impi) {
    for (size_t i = 0; i < names->n; i++) {
        if (span_eq(names->list[i], impi)) {
            return;
        }
    }
    names->list[names->n++] = arena_copy(names->arena, impi, &names->failed);
}

struct span *scscf_subscription_of(const struct scscf *s, struct span impi, struct arena *arena,
                                   size_t *n) {
    struct htab_node *first = htab_first(&s->associates, hash_bytes(impi)), *node = first;
    size_t bound = 1;
    for (const struct associates *a; (a = next_list(&node, impi));) {
        bound += a->n;
        LIST_EACH(&a->set->bindings, b, struct binding, in_set) {
            bound++;
        }
    }
    struct names names = {.list = (struct span *)arena_alloc(arena, bound * sizeof *names.list),
                          .arena = arena};
    if (!names.list) {
        return NULL;
    }
    add_name(&names, impi);
    node = first;
    for (const struct associates *a; (a = next_list(&node, impi));) {
        for (size_t i = 0; i < a->n; i++) {
            add_name(&names, a->list[i].impi);
        }
        LIST_EACH(&a->set->bindings, b, struct binding, in_set) {
            add_name(&names, binding_text(b, BINDING_IMPI));
        }
    }
    *n = names.n;
    return names.failed ? NULL : names.list;
}
