/* Slots: small numbers that IMPIs and implicit registration sets keep as long as they exist. */
#include "model/subscription/subscription.h"

static unsigned lowest_free(uint64_t taken) {
    return ~taken ? (unsigned)__builtin_ctzll(~taken) : SUBSCRIPTION_SLOTS;
}

static bool assign_impis(const struct rec_subscription *old, struct rec_impi_data *impis, size_t n,
                         uint64_t *known, struct subscription_fault *fault) {
    uint64_t taken = 0;
    struct rec_impi before;

    /* A slot that was free only since this change is not given to another identity at once: the
     * state of the old one would become the new one's. */
    *known = old ? subscription_impi_slots(*old) : 0;
    for (size_t i = 0; i < n; i++) {
        if (old && subscription_impi(*old, impis[i].identity, &before)) {
            impis[i].slot = rec_impi_slot(before);
        }
        if (impis[i].slot != SUBSCRIPTION_SLOT_NEW) {
            taken |= UINT64_C(1) << impis[i].slot % SUBSCRIPTION_SLOTS;
        }
    }
    for (size_t i = 0; i < n; i++) {
        if (impis[i].slot == SUBSCRIPTION_SLOT_NEW) {
            unsigned slot = lowest_free(taken | *known);

            if (slot == SUBSCRIPTION_SLOTS) {
                return subscription_faulty(fault, "impi-count", "/impis/#", i,
                                           "no slot is left: a subscription has at most 64 private "
                                           "identities, replaced ones included");
            }
            impis[i].slot = (uint8_t)slot;
            taken |= UINT64_C(1) << slot;
        }
    }
    return true;
}

static uint64_t sets_of_record(struct rec_subscription s) {
    uint64_t sets = 0;

    for (size_t i = 0, n = rec_subscription_n_impus(s); i < n; i++) {
        sets |= UINT64_C(1) << rec_impu_set(rec_subscription_impus(s, i));
    }
    return sets;
}

bool subscription_assign_slots(const struct rec_subscription *old, struct rec_impi_data *impis,
                               size_t n_impis, struct rec_impu_data *impus, size_t n_impus,
                               struct subscription_fault *fault) {
    uint64_t known, taken = 0;
    struct rec_impu before;

    if (!assign_impis(old, impis, n_impis, &known, fault)) {
        return false;
    }
    for (size_t i = 0; i < n_impus; i++) {
        if (impus[i].set != SUBSCRIPTION_SLOT_NEW) {
            taken |= UINT64_C(1) << impus[i].set % SUBSCRIPTION_SLOTS;
        }
    }
    known = old ? sets_of_record(*old) : 0;
    for (size_t i = 0; i < n_impus; i++) {
        if (impus[i].set != SUBSCRIPTION_SLOT_NEW) {
            continue;
        }
        /* An identity that stood alone before keeps its set, unless somebody names that now. */
        unsigned set = SUBSCRIPTION_SLOTS;
        if (old && subscription_impu(*old, impus[i].identity, &before)) {
            set = rec_impu_set(before);
        }
        if (set == SUBSCRIPTION_SLOTS || taken >> set & 1) {
            set = lowest_free(taken | known);
        }
        if (set == SUBSCRIPTION_SLOTS) {
            return subscription_faulty(fault, "set-count", "/impus/#", i,
                                       "no set is left: a subscription has at most 64 implicit "
                                       "registration sets");
        }
        impus[i].set = (uint8_t)set;
        taken |= UINT64_C(1) << set;
    }
    return true;
}
