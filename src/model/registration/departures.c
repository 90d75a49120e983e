#include "model/registration/departures.h"

#include <stdlib.h>

#define LIFE_US (DEPARTURES_LIFE_S * UINT64_C(1000000))

struct departure {
    struct htab_node node;
    struct list age;
    uint64_t at_us;
    uint32_t cseq;
};

void departures_init(struct departures *d, size_t max) {
    *d = (struct departures){.max = max};
    list_init(&d->age);
}

static void drop(struct departures *d, struct departure *one) {
    htab_remove(&d->by_name, &one->node);
    list_remove(&one->age);
    free(one);
}

void departures_free(struct departures *d) {
    LIST_EACH(&d->age, one, struct departure, age) {
        drop(d, one);
    }
    htab_free(&d->by_name);
}

uint64_t departures_name(uint64_t user, struct span call_id) {
    return hash_mix(user, hash_bytes(call_id));
}

static struct departure *find(const struct departures *d, uint64_t name) {
    struct htab_node *n = d->by_name.count ? htab_first(&d->by_name, name) : NULL;
    return n ? CONTAINER_OF(n, struct departure, node) : NULL;
}

/* What is too old, and the oldest if there are too many. */
static void make_room(struct departures *d, uint64_t now_us) {
    while (!list_is_empty(&d->age)) {
        struct departure *oldest = CONTAINER_OF(d->age.next, struct departure, age);
        if (d->by_name.count < d->max && now_us - oldest->at_us <= LIFE_US) {
            return;
        }
        drop(d, oldest);
    }
}

void departures_note(struct departures *d, uint64_t name, uint32_t cseq, uint64_t now_us) {
    struct departure *one = find(d, name);
    if (one) {
        cseq = cseq > one->cseq ? cseq : one->cseq;
        drop(d, one);
    }
    make_room(d, now_us);
    one = (struct departure *)calloc(1, sizeof *one);
    if (!one || htab_insert(&d->by_name, &one->node, name) != OK) {
        free(one);
        return;
    }
    one->at_us = now_us;
    one->cseq = cseq;
    list_insert(&d->age, &one->age);
}

bool departures_overtook(const struct departures *d, uint64_t name, uint32_t cseq,
                         uint64_t now_us) {
    const struct departure *one = find(d, name);
    return one && now_us - one->at_us <= LIFE_US && cseq <= one->cseq;
}
