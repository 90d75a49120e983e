#include "stack/sip/amplification.h"

#include "base/htab.h"

#include <stdlib.h>

#define COST_US (UINT64_C(1000000) / AMPLIFICATION_PER_S)

enum error amplification_init(struct amplification *a) {
    a->paid_until_us = (uint64_t *)calloc(AMPLIFICATION_BUDGETS, sizeof *a->paid_until_us);
    return a->paid_until_us ? OK : ERR_NO_MEMORY;
}

void amplification_free(struct amplification *a) {
    free(a->paid_until_us);
    a->paid_until_us = NULL;
}

static uint64_t *budget_of(struct amplification *a, const struct addr *at) {
    enum { IPV4_BYTES = 4, IPV6_NETWORK_BYTES = 8 };
    const struct span network = {(const char *)at->ip,
                                 at->family == 6 ? IPV6_NETWORK_BYTES : IPV4_BYTES};
    return &a->paid_until_us[hash_mix(hash_bytes(network), at->family) % AMPLIFICATION_BUDGETS];
}

bool amplification_pay(struct amplification *a, uint64_t now_us, const struct addr *to) {
    if (!a->paid_until_us) {
        return true;
    }
    uint64_t *until_us = budget_of(a, to);
    uint64_t from_us = *until_us > now_us ? *until_us : now_us;
    if (from_us - now_us > (AMPLIFICATION_BURST - 1) * COST_US) {
        return false;
    }
    *until_us = from_us + COST_US;
    return true;
}

void amplification_forgive(struct amplification *a, const struct addr *at) {
    if (a->paid_until_us) {
        *budget_of(a, at) = 0;
    }
}
