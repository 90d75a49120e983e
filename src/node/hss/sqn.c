/* Sequence numbers in memory: TS 33.102 annex C. The store knows up to which number a block was
 * reserved; what is left of a block is here, and a crash skips it. */
#include "node/hss/internal.h"

#include <stdlib.h>

static uint64_t key_hash(uint64_t id, unsigned slot) {
    return hash_mix(hash_mix(0, id), slot);
}

static struct sqn_entry *find(struct hss *h, uint64_t id, unsigned slot) {
    for (struct htab_node *n = htab_first(&h->sqns, key_hash(id, slot)); n; n = htab_next(n)) {
        struct sqn_entry *e = CONTAINER_OF(n, struct sqn_entry, node);
        if (e->id == id && e->slot == slot) {
            return e;
        }
    }
    return NULL;
}

static bool more_entries(struct hss *h) {
    struct sqn_slab *slab = malloc(sizeof *slab);

    if (!slab) {
        return false;
    }
    slab->next = h->slabs;
    h->slabs = slab;
    for (size_t i = 0; i < SQN_SLAB; i++) {
        slab->entries[i].next_free = h->free_sqns;
        h->free_sqns = &slab->entries[i];
    }
    return true;
}

struct sqn_entry *sqn_entry(struct hss *h, uint64_t id, unsigned slot) {
    struct sqn_entry *e = find(h, id, slot);

    if (e || (!h->free_sqns && !more_entries(h))) {
        return e;
    }
    e = h->free_sqns;
    struct sqn_entry *rest = e->next_free;
    *e = (struct sqn_entry){.id = id, .slot = slot};
    if (htab_insert(&h->sqns, &e->node, key_hash(id, slot)) != OK) {
        e->next_free = rest;
        return NULL;
    }
    h->free_sqns = rest;
    return e;
}

void sqn_forget(struct hss *h, uint64_t id) {
    for (unsigned slot = 0; slot < SUBSCRIPTION_SLOTS; slot++) {
        struct sqn_entry *e = find(h, id, slot);

        if (e) {
            htab_remove(&h->sqns, &e->node);
            e->next_free = h->free_sqns;
            h->free_sqns = e;
        }
    }
}

void sqn_free(struct hss *h) {
    while (h->slabs) {
        struct sqn_slab *next = h->slabs->next;

        free(h->slabs);
        h->slabs = next;
    }
    htab_free(&h->sqns);
}
