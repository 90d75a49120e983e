/* The dictionary: tables made from spec/diameter/, and looking things up in them. */
#include "codec/diameter/diameter.h"

#include "spec/diameter_tables.h"

#include <stdlib.h>

struct def_key {
    uint32_t vendor, code;
};

static int compare_def(const void *key, const void *element) {
    const struct def_key *k = key;
    const struct diameter_def *d = element;
    if (k->vendor != d->vendor) {
        return k->vendor < d->vendor ? -1 : 1;
    }
    return k->code < d->code ? -1 : k->code > d->code;
}

const struct diameter_def *diameter_def_find(uint32_t code, uint32_t vendor) {
    const struct def_key key = {vendor, code};
    return bsearch(&key, defs, DEF_COUNT, sizeof defs[0], compare_def);
}

const struct diameter_layout *diameter_layout_find(uint32_t application, uint32_t command,
                                                   bool request) {
    for (size_t i = 0; i < COUNT_OF(commands); i++) {
        const struct diameter_layout *l = commands[i];
        if (l->command == command && l->application == application &&
            !(l->flags & DIAMETER_REQUEST) == !request) {
            return l;
        }
    }
    return NULL;
}

const char *diameter_result_name(struct diameter_result r) {
    for (size_t i = 0; i < COUNT_OF(results); i++) {
        if (results[i].vendor == r.vendor && results[i].code == r.code) {
            return results[i].name;
        }
    }
    return NULL;
}
