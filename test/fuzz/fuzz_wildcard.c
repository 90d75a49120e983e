/* Fuzzes wildcarded identities: the input is two of them and an identity, a line each. What is
 * sound can be matched and compared; who is of both makes both overlap. */
#include "model/wildcard/wildcard.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool stands_for(struct span text, struct span identity) {
    struct wildcard_index index = {0};
    bool yes = wildcard_add(&index, text, NULL) == OK && wildcard_find(&index, identity) != NULL;

    wildcard_index_free(&index);
    return yes;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char room[256];
    struct buf why = buf_init(room, sizeof room);
    struct span rest = span_of(data, size);
    struct span a = span_cut(&rest, '\n'), b = span_cut(&rest, '\n'), identity = rest;
    bool overlap = false;

    if (size > 2000 || wildcard_check(a, &why) != OK || wildcard_check(b, NULL) != OK) {
        return 0;
    }
    bool both = stands_for(a, identity) && stands_for(b, identity);
    if (wildcard_overlap(a, b, &overlap) == OK && both && !overlap) {
        abort();
    }
    if (wildcard_overlap(a, a, &overlap) == OK && stands_for(a, identity) && !overlap) {
        abort();
    }
    return 0;
}
