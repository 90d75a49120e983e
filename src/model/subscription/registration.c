/* Registration state as a value, and as a record that holds only what is not NOT_REGISTERED. */
#include "model/subscription/subscription.h"

void registration_init(struct registration *r) {
    memset(r, 0, sizeof *r);
}

void registration_read(struct rec_registration record, struct registration *out) {
    registration_init(out);
    out->scscf_name = rec_registration_scscf_name(record);
    out->scscf_host = rec_registration_scscf_host(record);
    out->scscf_features = rec_registration_scscf_features(record);
    for (size_t i = 0, n = rec_registration_n_sets(record); i < n; i++) {
        struct rec_set_state s = rec_registration_sets(record, i);
        unsigned set = rec_set_state_set(s) % SUBSCRIPTION_SLOTS;

        if (rec_set_state_state(s) == UNREGISTERED) {
            out->unregistered |= UINT64_C(1) << set;
            out->unregistered_by[set] = rec_set_state_unregistered_by(s) % SUBSCRIPTION_SLOTS;
        } else {
            out->registered_by[set] = rec_set_state_registered_by(s);
        }
    }
}

enum error registration_write(const struct registration *r, struct buf *out) {
    struct rec_set_state_data sets[SUBSCRIPTION_SLOTS];
    struct rec_registration_data data = {.scscf_name = r->scscf_name,
                                         .scscf_host = r->scscf_host,
                                         .scscf_features = r->scscf_features,
                                         .sets = sets};

    for (unsigned set = 0; set < SUBSCRIPTION_SLOTS; set++) {
        enum registration_state state = registration_of(r, set);

        if (state != NOT_REGISTERED) {
            sets[data.n_sets++] = (struct rec_set_state_data){
                .set = (uint8_t)set,
                .state = (uint8_t)state,
                .unregistered_by = state == UNREGISTERED ? r->unregistered_by[set] : 0,
                .registered_by = r->registered_by[set],
            };
        }
    }
    return rec_registration_encode(&data, out);
}

bool registration_eq(const struct registration *a, const struct registration *b) {
    if (!span_eq(a->scscf_name, b->scscf_name) || !span_eq(a->scscf_host, b->scscf_host) ||
        a->unregistered != b->unregistered || a->scscf_features != b->scscf_features ||
        memcmp(a->registered_by, b->registered_by, sizeof a->registered_by) != 0) {
        return false;
    }
    for (unsigned set = 0; set < SUBSCRIPTION_SLOTS; set++) {
        if (a->unregistered >> set & 1 && a->unregistered_by[set] != b->unregistered_by[set]) {
            return false;
        }
    }
    return true;
}

enum registration_state registration_of(const struct registration *r, unsigned set) {
    if (r->unregistered >> set & 1) {
        return UNREGISTERED;
    }
    return r->registered_by[set] ? REGISTERED : NOT_REGISTERED;
}

bool registration_is_any(const struct registration *r) {
    uint64_t any = r->unregistered;

    for (unsigned set = 0; set < SUBSCRIPTION_SLOTS; set++) {
        any |= r->registered_by[set];
    }
    return any != 0;
}

bool registration_is_by(const struct registration *r, unsigned impi_slot) {
    for (unsigned set = 0; set < SUBSCRIPTION_SLOTS; set++) {
        bool unregistered = r->unregistered >> set & 1;
        if (unregistered ? r->unregistered_by[set] == impi_slot
                         : r->registered_by[set] >> impi_slot & 1) {
            return true;
        }
    }
    return false;
}

const char *registration_state_text(enum registration_state state) {
    static const char *const texts[] = {"not registered", "registered", "unregistered"};

    return (unsigned)state < COUNT_OF(texts) ? texts[state] : "unknown";
}

void registration_prune(struct registration *r, struct rec_subscription now) {
    uint64_t may_register[SUBSCRIPTION_SLOTS] = {0}, impis = subscription_impi_slots(now);

    for (size_t i = 0, n = rec_subscription_n_impus(now); i < n; i++) {
        struct rec_impu impu = rec_subscription_impus(now, i);
        unsigned owner = rec_impu_impi(impu);

        may_register[rec_impu_set(impu)] |=
            owner == SUBSCRIPTION_IMPI_ALL ? impis : impis & UINT64_C(1) << owner;
    }
    for (unsigned set = 0; set < SUBSCRIPTION_SLOTS; set++) {
        r->registered_by[set] &= may_register[set];
        if (!may_register[set]) {
            r->unregistered &= ~(UINT64_C(1) << set);
        } else if (!(may_register[set] >> r->unregistered_by[set] & 1)) {
            r->unregistered_by[set] = (uint8_t)__builtin_ctzll(may_register[set]);
        }
    }
    if (!registration_is_any(r)) {
        r->scscf_name = r->scscf_host = SPAN_NONE;
        r->scscf_features = 0;
    }
}
