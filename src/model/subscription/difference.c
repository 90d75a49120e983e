/* The table of difference.h. Choices that the clauses leave open:
 * - A RTR names every private identity that loses a registration by it, and every public identity
 * of the sets; sets that end for the same private identities share one.
 * - A change of server is the whole subscription's and one item: an S-CSCF is told without public
 * identities (6.1.3.1), which stand in the item for those who come back before it has heard.
 * - Who serves a set in unregistered state gets REMOVE_S-CSCF instead of PERMANENT_TERMINATION,
 * with the private identity that the SAA had. */
#include "model/subscription/difference.h"

#include <openssl/crypto.h>

/* What ends: for whom, of which sets. */
struct ending {
    uint64_t impis, sets;
    uint8_t reason;
};

struct comparison {
    const struct subscription *before;
    const struct rec_subscription *now; /* NULL: gone */
    struct arena *arena;
    struct subscription_difference *out;
    struct span text; /* for endings */
    struct ending endings[2 * SUBSCRIPTION_SLOTS];
    size_t n_endings;
    bool failed;
};

static bool has(uint64_t bits, unsigned i) {
    return bits >> i & 1;
}

/* Who the S-CSCF knows a set by. */
static uint64_t impis_of(const struct registration *r, unsigned set) {
    return registration_of(r, set) == UNREGISTERED ? UINT64_C(1) << r->unregistered_by[set]
                                                   : r->registered_by[set];
}

/* Endings. */

static void end_set(struct comparison *c, unsigned set, uint64_t impis, uint8_t reason) {
    struct registration *state = &c->out->state;
    state->registered_by[set] &= ~impis;
    state->unregistered &= ~(UINT64_C(1) << set);
    for (size_t i = 0; i < c->n_endings; i++) {
        if (c->endings[i].impis == impis && c->endings[i].reason == reason) {
            c->endings[i].sets |= UINT64_C(1) << set;
            return;
        }
    }
    c->endings[c->n_endings++] = (struct ending){impis, UINT64_C(1) << set, reason};
}

/* A public service identity that is switched off counts as one that is gone. */
static bool default_stays(const struct comparison *c, unsigned set) {
    struct rec_impu before, now;
    return c->now && subscription_default_impu(c->before->data, set, &before) &&
           subscription_default_impu(*c->now, set, &now) && !rec_impu_inactive(now) &&
           span_eq(rec_impu_identity(before), rec_impu_identity(now));
}

/* Bits of the IMPIs that the set belongs to now. */
static uint64_t owners_now(const struct comparison *c, unsigned set) {
    struct rec_impu impu;
    if (!subscription_default_impu(*c->now, set, &impu)) {
        return 0;
    }
    uint64_t all = subscription_impi_slots(*c->now);
    unsigned owner = rec_impu_impi(impu);
    return owner == SUBSCRIPTION_IMPI_ALL ? all : all & UINT64_C(1) << owner;
}

/* User-Data. */

static bool same_identity(struct rec_impu a, struct rec_impu b) {
    return span_eq(rec_impu_identity(a), rec_impu_identity(b)) &&
           rec_impu_barred(a) == rec_impu_barred(b) &&
           span_eq(rec_impu_profile(a), rec_impu_profile(b)) &&
           span_eq(rec_impu_display_name(a), rec_impu_display_name(b)) &&
           span_eq(rec_impu_alias_group(a), rec_impu_alias_group(b)) &&
           rec_impu_type(a) == rec_impu_type(b);
}

/* The next IMPU of the set at or behind *at. */
static bool next_of_set(struct rec_subscription s, unsigned set, size_t *at, struct rec_impu *out) {
    for (size_t n = rec_subscription_n_impus(s); *at < n; (*at)++) {
        *out = rec_subscription_impus(s, *at);
        if (rec_impu_set(*out) == set) {
            (*at)++;
            return true;
        }
    }
    *out = (struct rec_impu){0};
    return false;
}

static bool same_user_data(const struct comparison *c, unsigned set) {
    size_t at_before = 0, at_now = 0;
    struct rec_impu a, b;
    for (;;) {
        bool more_before = next_of_set(c->before->data, set, &at_before, &a);
        bool more_now = next_of_set(*c->now, set, &at_now, &b);
        if (!more_before || !more_now) {
            return more_before == more_now;
        }
        if (!same_identity(a, b)) {
            return false;
        }
    }
}

/* Items. */

static size_t put_impis(struct comparison *c, uint64_t slots, struct span *out) {
    size_t n = 0;
    struct rec_impi impi;
    for (unsigned slot = 0; slot < SUBSCRIPTION_SLOTS; slot++) {
        if (has(slots, slot) && subscription_impi_of_slot(c->before->data, slot, &impi)) {
            out[n++] = rec_impi_identity(impi);
        }
    }
    return n;
}

static struct rec_news_item_data *add(struct comparison *c, enum news_kind kind, uint64_t impis) {
    struct span *names =
        arena_alloc(c->arena, (1 + (size_t)__builtin_popcountll(impis)) * sizeof *names);
    if (!names) {
        c->failed = true;
        return NULL;
    }
    struct rec_news_item_data *item = &c->out->items[c->out->n++];
    *item = (struct rec_news_item_data){.kind = (uint8_t)kind,
                                        .scscf_name = c->before->state.scscf_name,
                                        .scscf_host = c->before->state.scscf_host,
                                        .impis = names,
                                        .n_impis = put_impis(c, impis, names)};
    return item;
}

static void add_termination(struct comparison *c, const struct ending *e) {
    struct rec_subscription data = c->before->data;
    size_t n = rec_subscription_n_impus(data);
    struct rec_news_item_data *item = add(c, NEWS_TERMINATION, e->impis);
    struct span *impus = item ? arena_alloc(c->arena, (n + 1) * sizeof *impus) : NULL;
    if (!impus) {
        c->failed = true;
        return;
    }
    item->reason = e->reason;
    item->reason_info = c->text;
    item->impus = impus;
    for (size_t i = 0; i < n; i++) {
        struct rec_impu impu = rec_subscription_impus(data, i);
        if (has(e->sets, rec_impu_set(impu))) {
            impus[item->n_impus++] = rec_impu_identity(impu);
        }
    }
}

static void end_all_for_change_of_server(struct comparison *c) {
    const struct registration *before = &c->before->state;
    struct ending *e = &c->endings[c->n_endings++];
    *e = (struct ending){.reason = CX_REASON_CODE_SERVER_CHANGE};
    for (unsigned set = 0; set < SUBSCRIPTION_SLOTS; set++) {
        if (registration_of(before, set) != NOT_REGISTERED) {
            e->impis |= impis_of(before, set);
            e->sets |= UINT64_C(1) << set;
        }
    }
    registration_init(&c->out->state);
}

static bool needs_capability(struct rec_subscription s, uint32_t capability) {
    for (size_t i = 0, n = rec_subscription_n_mandatory_capabilities(s); i < n; i++) {
        if (rec_subscription_mandatory_capabilities(s, i) == capability) {
            return true;
        }
    }
    return false;
}

static bool names_server(struct rec_subscription s, struct span name) {
    for (size_t i = 0, n = rec_subscription_n_server_names(s); i < n; i++) {
        if (span_eq(rec_subscription_server_names(s, i), name)) {
            return true;
        }
    }
    return false;
}

/* May the S-CSCF that serves the subscription not be one that it would get now? */
static bool needs_another_server(const struct comparison *c) {
    struct rec_subscription before = c->before->data, now = *c->now;
    struct span server = c->before->state.scscf_name;
    for (size_t i = 0, n = rec_subscription_n_mandatory_capabilities(now); i < n; i++) {
        if (!needs_capability(before, rec_subscription_mandatory_capabilities(now, i))) {
            return true;
        }
    }
    return names_server(before, server) && rec_subscription_n_server_names(now) &&
           !names_server(now, server);
}

static bool same_key(struct rec_impi a, struct rec_impi b) {
    return rec_impi_has_aka(a) == rec_impi_has_aka(b) &&
           CRYPTO_memcmp(rec_impi_k(a), rec_impi_k(b), 16) == 0 &&
           CRYPTO_memcmp(rec_impi_opc(a), rec_impi_opc(b), 16) == 0;
}

/* Bits of the IMPIs that have a key, and another one now. */
static uint64_t keys_changed(const struct comparison *c) {
    uint64_t changed = 0;
    struct rec_impi a, b;
    for (unsigned slot = 0; c->now && slot < SUBSCRIPTION_SLOTS; slot++) {
        if (subscription_impi_of_slot(c->before->data, slot, &a) && rec_impi_has_aka(a) &&
            subscription_impi_of_slot(*c->now, slot, &b) && !same_key(a, b)) {
            changed |= UINT64_C(1) << slot;
        }
    }
    return changed;
}

static void compare_set(struct comparison *c, unsigned set, uint64_t ended) {
    const struct registration *before = &c->before->state;
    bool unregistered = registration_of(before, set) == UNREGISTERED;
    uint8_t reason =
        unregistered ? CX_REASON_CODE_REMOVE_S_CSCF : CX_REASON_CODE_PERMANENT_TERMINATION;
    uint64_t impis = impis_of(before, set);
    uint64_t stay = default_stays(c, set) ? impis & owners_now(c, set) & ~ended : 0;
    if (impis & ~stay) {
        end_set(c, set, impis & ~stay, reason);
    }
}

static void add_user_data(struct comparison *c, unsigned set) {
    struct rec_news_item_data *item = add(c, NEWS_USER_DATA, impis_of(&c->out->state, set));
    if (item) {
        item->set = (uint8_t)set;
    }
}

static void compare_user_data(struct comparison *c, unsigned set) {
    if (registration_of(&c->out->state, set) != NOT_REGISTERED && !same_user_data(c, set)) {
        add_user_data(c, set);
    }
}

static bool same_charging(struct rec_subscription a, struct rec_subscription b) {
    return span_eq(rec_subscription_primary_ecf(a), rec_subscription_primary_ecf(b)) &&
           span_eq(rec_subscription_secondary_ecf(a), rec_subscription_secondary_ecf(b)) &&
           span_eq(rec_subscription_primary_ccf(a), rec_subscription_primary_ccf(b)) &&
           span_eq(rec_subscription_secondary_ccf(a), rec_subscription_secondary_ccf(b));
}

static bool same_digest(struct rec_impi a, struct rec_impi b) {
    return rec_impi_has_digest_md5(a) == rec_impi_has_digest_md5(b) &&
           rec_impi_has_digest_sha256(a) == rec_impi_has_digest_sha256(b) &&
           span_eq(rec_impi_digest_realm(a), rec_impi_digest_realm(b)) &&
           memcmp(rec_impi_ha1_md5(a), rec_impi_ha1_md5(b), 16) == 0 &&
           memcmp(rec_impi_ha1_sha256(a), rec_impi_ha1_sha256(b), 32) == 0;
}

/* Bits of the IMPIs by which anything is left. */
static uint64_t impis_left(const struct registration *r) {
    uint64_t impis = 0;
    for (unsigned set = 0; set < SUBSCRIPTION_SLOTS; set++) {
        impis |= registration_of(r, set) == NOT_REGISTERED ? 0 : impis_of(r, set);
    }
    return impis;
}

static void compare_credentials(struct comparison *c, uint64_t impis) {
    struct rec_impi a, b;
    for (unsigned slot = 0; slot < SUBSCRIPTION_SLOTS; slot++) {
        if (has(impis, slot) && subscription_impi_of_slot(c->before->data, slot, &a) &&
            subscription_impi_of_slot(*c->now, slot, &b) && !same_digest(a, b)) {
            (void)add(c, NEWS_CREDENTIALS, UINT64_C(1) << slot);
        }
    }
}

/* False: nobody is registered, or memory is out. */
static bool begin(struct comparison *c) {
    *c->out = (struct subscription_difference){.state = c->before->state};
    if (!registration_is_any(&c->before->state)) {
        return false;
    }
    /* An ending a set and reason at most, User-Data a set, credentials an IMPI, charging. */
    c->out->items = arena_alloc(c->arena, (4 * SUBSCRIPTION_SLOTS + 1) * sizeof *c->out->items);
    c->failed = !c->out->items;
    return !c->failed;
}

static enum error finish(struct comparison *c) {
    struct registration *state = &c->out->state;
    if (!registration_is_any(state)) {
        state->scscf_name = state->scscf_host = SPAN_NONE;
        state->scscf_features = 0;
    }
    return c->failed ? ERR_NO_MEMORY : OK;
}

static void add_terminations(struct comparison *c) {
    for (size_t i = 0; i < c->n_endings; i++) {
        add_termination(c, &c->endings[i]);
    }
}

enum error subscription_differ(const struct subscription *before,
                               const struct rec_subscription *now,
                               const struct subscription_policy *policy, struct arena *arena,
                               struct subscription_difference *out) {
    struct comparison c = {.before = before, .now = now, .arena = arena, .out = out};
    if (!begin(&c)) {
        return c.failed ? ERR_NO_MEMORY : OK;
    }
    uint64_t ended = policy && policy->key_ends ? keys_changed(&c) : 0;
    if (now && !(policy && policy->servers_stay) && needs_another_server(&c)) {
        end_all_for_change_of_server(&c);
    }
    for (unsigned set = 0; set < SUBSCRIPTION_SLOTS; set++) {
        if (registration_of(&out->state, set) != NOT_REGISTERED) {
            compare_set(&c, set, ended);
        }
    }
    add_terminations(&c);
    uint64_t left = impis_left(&out->state);
    for (unsigned set = 0; now && set < SUBSCRIPTION_SLOTS; set++) {
        compare_user_data(&c, set);
    }
    if (now && left) {
        compare_credentials(&c, left);
    }
    if (now && left && !same_charging(before->data, *now)) {
        (void)add(&c, NEWS_CHARGING, left);
    }
    return finish(&c);
}

enum error subscription_end(const struct subscription *before,
                            const struct subscription_ending *what, struct arena *arena,
                            struct subscription_difference *out) {
    struct comparison c = {.before = before, .arena = arena, .out = out, .text = what->text};
    if (!begin(&c)) {
        return c.failed ? ERR_NO_MEMORY : OK;
    }
    if (what->reason == CX_REASON_CODE_SERVER_CHANGE) {
        end_all_for_change_of_server(&c);
    }
    for (unsigned set = 0; set < SUBSCRIPTION_SLOTS; set++) {
        enum registration_state state = registration_of(&out->state, set);
        uint64_t impis = impis_of(&out->state, set) & what->impis;
        if (state == UNREGISTERED && has(what->sets, set) && impis) {
            end_set(&c, set, impis, CX_REASON_CODE_REMOVE_S_CSCF);
        } else if (state == REGISTERED && has(what->sets, set) && impis &&
                   what->reason == CX_REASON_CODE_PERMANENT_TERMINATION) {
            end_set(&c, set, impis, CX_REASON_CODE_PERMANENT_TERMINATION);
        }
    }
    add_terminations(&c);
    return finish(&c);
}

static uint64_t sets_with(struct rec_subscription s, struct span profile) {
    uint64_t sets = 0;
    for (size_t i = 0, n = rec_subscription_n_impus(s); i < n; i++) {
        struct rec_impu impu = rec_subscription_impus(s, i);
        if (span_eq(rec_impu_profile(impu), profile)) {
            sets |= UINT64_C(1) << rec_impu_set(impu);
        }
    }
    return sets;
}

enum error subscription_differ_by_profile(const struct subscription *s, struct span profile,
                                          struct arena *arena,
                                          struct subscription_difference *out) {
    struct comparison c = {.before = s, .arena = arena, .out = out};
    *out = (struct subscription_difference){.state = s->state};
    uint64_t sets = registration_is_any(&s->state) ? sets_with(s->data, profile) : 0;
    if (!sets) {
        return OK;
    }
    out->items = arena_alloc(arena, SUBSCRIPTION_SLOTS * sizeof *out->items);
    for (unsigned set = 0; out->items && set < SUBSCRIPTION_SLOTS; set++) {
        if (has(sets, set) && registration_of(&s->state, set) != NOT_REGISTERED) {
            add_user_data(&c, set);
        }
    }
    return !out->items || c.failed ? ERR_NO_MEMORY : OK;
}
