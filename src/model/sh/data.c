/* What an application server sees of a subscription: TS 29.328 7.6.2, 7.6.3, 7.6.9. */
#include "model/sh/sh.h"

struct span sh_msisdn_digits(struct span avp, char out[16]) {
    size_t n = 0;
    for (size_t i = 0; i < avp.n; i++) {
        uint8_t low = (uint8_t)avp.p[i] & 0xf, high = (uint8_t)avp.p[i] >> 4;
        bool last = i + 1 == avp.n;
        if (low > 9 || (high > 9 && !(last && high == 0xf)) || n + 2 > 16) {
            return SPAN_NONE;
        }
        out[n++] = (char)('0' + low);
        if (high <= 9) {
            out[n++] = (char)('0' + high);
        }
    }
    return n > 15 ? SPAN_NONE : span_of(out, n);
}

struct span sh_tel_digits(struct span uri) {
    static const struct span start = SPAN_INIT("tel:+");
    struct span digits = span_after(uri, start.n);
    if (!span_starts_with(uri, start) || digits.n == 0 || digits.n > 15) {
        return SPAN_NONE;
    }
    for (size_t i = 0; i < digits.n; i++) {
        if (digits.p[i] < '0' || digits.p[i] > '9') {
            return SPAN_NONE;
        }
    }
    return digits;
}

/* Is there a private identity that both belong to? */
static bool share_impi(struct rec_impu a, struct rec_impu b) {
    return rec_impu_impi(a) == SUBSCRIPTION_IMPI_ALL || rec_impu_impi(b) == SUBSCRIPTION_IMPI_ALL ||
           rec_impu_impi(a) == rec_impu_impi(b);
}

static bool are_aliases(struct rec_impu a, struct rec_impu b) {
    return span_eq(rec_impu_identity(a), rec_impu_identity(b)) ||
           (rec_impu_alias_group(a).n && span_eq(rec_impu_alias_group(a), rec_impu_alias_group(b)));
}

static bool is_in_set(const struct subscription *s, struct rec_impu impu, struct rec_impu other,
                      unsigned identity_set) {
    switch (identity_set) {
    case SH_IDENTITY_SET_REGISTERED_IDENTITIES:
        return share_impi(impu, other) &&
               registration_of(&s->state, rec_impu_set(other)) == REGISTERED;
    case SH_IDENTITY_SET_IMPLICIT_IDENTITIES:
        return rec_impu_set(impu) == rec_impu_set(other);
    case SH_IDENTITY_SET_ALIAS_IDENTITIES:
        return are_aliases(impu, other);
    default: /* all, also where nobody said which */
        return share_impi(impu, other);
    }
}

size_t sh_identities(const struct subscription *s, struct rec_impu impu, unsigned identity_set,
                     struct span *out) {
    size_t n = 0;
    for (size_t i = 0, all = rec_subscription_n_impus(s->data); i < all; i++) {
        struct rec_impu other = rec_subscription_impus(s->data, i);
        if (!rec_impu_barred(other) && is_in_set(s, impu, other, identity_set)) {
            out[n++] = rec_impu_identity(other);
        }
    }
    return n;
}

size_t sh_msisdns(const struct subscription *s, struct rec_impu impu, struct span *out) {
    size_t n = 0;
    for (size_t i = 0, all = rec_subscription_n_impus(s->data); i < all; i++) {
        struct rec_impu other = rec_subscription_impus(s->data, i);
        struct span digits = sh_tel_digits(rec_impu_identity(other));
        if (digits.n && share_impi(impu, other)) {
            out[n++] = digits;
        }
    }
    return n;
}

static bool is_pending(const struct subscription *s, struct rec_impu impu) {
    uint64_t pending = s->notes.authentication_pending;
    return rec_impu_impi(impu) == SUBSCRIPTION_IMPI_ALL ? pending != 0
                                                        : pending >> rec_impu_impi(impu) & 1;
}

enum shdata_user_state sh_user_state(const struct subscription *s, struct rec_impu impu) {
    switch (registration_of(&s->state, rec_impu_set(impu))) {
    case REGISTERED:
        return SHDATA_REGISTERED;
    case UNREGISTERED:
        return SHDATA_REGISTERED_UNREG_SERVICES;
    case NOT_REGISTERED:
        break;
    }
    return is_pending(s, impu) ? SHDATA_AUTHENTICATION_PENDING : SHDATA_NOT_REGISTERED;
}

struct sh_owner sh_owner_of(struct rec_impu impu) {
    struct span group = rec_impu_alias_group(impu);
    return group.n ? (struct sh_owner){group, true}
                   : (struct sh_owner){rec_impu_identity(impu), false};
}
