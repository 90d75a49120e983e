/* Who belongs to whom in a subscription: TS 23.228 4.3.3.4 and 5.2.1a, TS 23.008 clause 3. */
#include "model/subscription/subscription.h"

enum error subscription_open(struct span record, struct rec_subscription *out) {
    enum error e = rec_subscription_open(record, out);

    for (size_t i = 0; !e && i < rec_subscription_n_impis(*out); i++) {
        e = rec_impi_slot(rec_subscription_impis(*out, i)) < SUBSCRIPTION_SLOTS ? OK : ERR_CORRUPT;
    }
    for (size_t i = 0; !e && i < rec_subscription_n_impus(*out); i++) {
        struct rec_impu impu = rec_subscription_impus(*out, i);
        unsigned owner = rec_impu_impi(impu);

        if (rec_impu_set(impu) >= SUBSCRIPTION_SLOTS ||
            (owner >= SUBSCRIPTION_SLOTS && owner != SUBSCRIPTION_IMPI_ALL)) {
            e = ERR_CORRUPT;
        }
    }
    return e;
}

bool subscription_impi(struct rec_subscription s, struct span identity, struct rec_impi *out) {
    for (size_t i = 0, n = rec_subscription_n_impis(s); i < n; i++) {
        *out = rec_subscription_impis(s, i);
        if (span_eq(rec_impi_identity(*out), identity)) {
            return true;
        }
    }
    return false;
}

bool subscription_impi_of_slot(struct rec_subscription s, unsigned slot, struct rec_impi *out) {
    for (size_t i = 0, n = rec_subscription_n_impis(s); i < n; i++) {
        *out = rec_subscription_impis(s, i);
        if (rec_impi_slot(*out) == slot) {
            return true;
        }
    }
    return false;
}

bool subscription_impu(struct rec_subscription s, struct span identity, struct rec_impu *out) {
    for (size_t i = 0, n = rec_subscription_n_impus(s); i < n; i++) {
        *out = rec_subscription_impus(s, i);
        if (span_eq(rec_impu_identity(*out), identity)) {
            return true;
        }
    }
    return false;
}

bool subscription_default_impu(struct rec_subscription s, unsigned set, struct rec_impu *out) {
    bool found = false, open = false;

    for (size_t i = 0, n = rec_subscription_n_impus(s); i < n; i++) {
        struct rec_impu impu = rec_subscription_impus(s, i);

        if (rec_impu_set(impu) != set) {
            continue;
        }
        if (rec_impu_is_default(impu)) {
            *out = impu;
            return true;
        }
        bool fits = !rec_impu_barred(impu) && !subscription_is_wildcard(rec_impu_type(impu));
        if (!found || (!open && fits)) {
            *out = impu;
            open = fits;
        }
        found = true;
    }
    return found;
}

bool subscription_belongs(struct rec_impu impu, unsigned impi_slot) {
    unsigned owner = rec_impu_impi(impu);

    return owner == impi_slot || owner == SUBSCRIPTION_IMPI_ALL;
}

bool subscription_has_unbarred(struct rec_subscription s, unsigned set) {
    for (size_t i = 0, n = rec_subscription_n_impus(s); i < n; i++) {
        struct rec_impu impu = rec_subscription_impus(s, i);

        if (rec_impu_set(impu) == set && !rec_impu_barred(impu)) {
            return true;
        }
    }
    return false;
}

uint64_t subscription_sets_of(struct rec_subscription s, unsigned impi_slot) {
    uint64_t sets = 0;

    for (size_t i = 0, n = rec_subscription_n_impus(s); i < n; i++) {
        struct rec_impu impu = rec_subscription_impus(s, i);

        if (subscription_belongs(impu, impi_slot)) {
            sets |= UINT64_C(1) << rec_impu_set(impu);
        }
    }
    return sets;
}

uint64_t subscription_impi_slots(struct rec_subscription s) {
    uint64_t slots = 0;

    for (size_t i = 0, n = rec_subscription_n_impis(s); i < n; i++) {
        slots |= UINT64_C(1) << rec_impi_slot(rec_subscription_impis(s, i));
    }
    return slots;
}

bool subscription_may_roam(struct rec_impu impu, struct span visited, struct span home_domain) {
    if (rec_impu_roams_anywhere(impu) || span_eq_nocase(visited, home_domain)) {
        return true;
    }
    for (size_t i = 0, n = rec_impu_n_visited_networks(impu); i < n; i++) {
        if (span_eq_nocase(visited, rec_impu_visited_networks(impu, i))) {
            return true;
        }
    }
    return false;
}
