/* TS 29.228 6.1.2.1 and 6.5.1. What the table says is said there; choices that the clause leaves
 * open:
 * - De-registration of what is not registered succeeds: the S-CSCF may be repeating a SAR whose
 *   answer got lost. With STORE_SERVER_NAME it hears that the name is not stored.
 * - RE_REGISTRATION of what is not registered registers, which heals a state that was lost.
 * - De-registration that names IMPUs and no IMPI releases them for all IMPIs.
 * - A SAR from another S-CSCF than the assigned one changes nothing (8.1): it gets
 *   IDENTITY_ALREADY_REGISTERED, or UNABLE_TO_COMPLY for NO_ASSIGNMENT.
 * - After a failed authentication the note of the S-CSCF that challenged is dropped as soon as no
 *   other authentication of the subscription is pending.
 * - An identity besides the first that the subscription does not have "does not match".
 * - Associated-Registered-Identities are for S-CSCFs that say IMSRestorationInd, and only if there
 *   are several.
 * - Supported features are remembered with the S-CSCF's name, for PPRs. */
#include "model/cx/server_assignment.h"

/* clang-format off */
/*                NOT_REGISTERED     REGISTERED       UNREGISTERED */
#define STAYS     {ASSIGN_NOTHING,    ASSIGN_NOTHING,  ASSIGN_NOTHING}
#define REGISTERS {ASSIGN_REGISTER,   ASSIGN_REGISTER, ASSIGN_REGISTER}
#define SERVES    {ASSIGN_UNREGISTER, ASSIGN_REFUSE,   ASSIGN_UNREGISTER}
#define RELEASES  {ASSIGN_NOTHING,    ASSIGN_RELEASE,  ASSIGN_RELEASE}
#define KEEPS     {ASSIGN_NOT_KEPT,   ASSIGN_KEEP,     ASSIGN_KEEP}

#define TYPE(name) [CX_SERVER_ASSIGNMENT_TYPE_##name]

/* TS 29.228 6.1.2.1 steps 4 and 5 and table 6.1.2.2, an item a row. */
const struct server_assignment_rule server_assignment_rules[CX_SERVER_ASSIGNMENT_TYPES] = {
    /*                                              another           by state   needs  users  de-    down-  lists  ends
     *                                              S-CSCF                       IMPI   only   reg.   loads  reg.   pending */
    TYPE(NO_ASSIGNMENT) =                          {CONFLICT_COMPLY,  STAYS,     false, false, false, true,  false, false},
    TYPE(REGISTRATION) =                           {CONFLICT_ALREADY, REGISTERS, true,  true,  false, true,  true,  true},
    TYPE(RE_REGISTRATION) =                        {CONFLICT_ALREADY, REGISTERS, true,  true,  false, true,  true,  true},
    TYPE(UNREGISTERED_USER) =                      {CONFLICT_ALREADY, SERVES,    false, false, false, true,  false, false},
    TYPE(TIMEOUT_DEREGISTRATION) =                 {CONFLICT_ALWAYS,  RELEASES,  false, false, true,  false, false, false},
    TYPE(USER_DEREGISTRATION) =                    {CONFLICT_ALWAYS,  RELEASES,  false, false, true,  false, false, true},
    TYPE(TIMEOUT_DEREGISTRATION_STORE_SERVER_NAME) =
                                                   {CONFLICT_ALWAYS,  KEEPS,     false, false, true,  false, false, false},
    TYPE(USER_DEREGISTRATION_STORE_SERVER_NAME) =  {CONFLICT_ALWAYS,  KEEPS,     false, false, true,  false, false, true},
    TYPE(ADMINISTRATIVE_DEREGISTRATION) =          {CONFLICT_ALWAYS,  RELEASES,  false, false, true,  false, false, true},
    TYPE(AUTHENTICATION_FAILURE) =                 {CONFLICT_ALWAYS,  STAYS,     true,  true,  false, false, false, true},
    TYPE(AUTHENTICATION_TIMEOUT) =                 {CONFLICT_ALWAYS,  STAYS,     true,  true,  false, false, false, true},
    TYPE(DEREGISTRATION_TOO_MUCH_DATA) =           {CONFLICT_ALWAYS,  RELEASES,  false, false, true,  false, false, true},
};
/* clang-format on */

static unsigned lowest(uint64_t bits) {
    return (unsigned)__builtin_ctzll(bits);
}

/* Whose User-Name and PrivateID an answer has that no request named: the IMPI of the SAA that began
 * unregistered service, one that registered the set, else the first that the set belongs to. */
static void choose_impi(const struct subscription *s, struct rec_impu impu,
                        struct server_assignment *out) {
    uint64_t registered_by = s->state.registered_by[out->set];
    struct rec_impi impi;

    if (registration_of(&s->state, out->set) == UNREGISTERED) {
        out->impi_slot = s->state.unregistered_by[out->set];
    } else if (registered_by) {
        out->impi_slot = lowest(registered_by);
    } else if (rec_impu_impi(impu) != SUBSCRIPTION_IMPI_ALL) {
        out->impi_slot = rec_impu_impi(impu);
    } else if (rec_subscription_n_impis(s->data)) {
        out->impi_slot = rec_impi_slot(rec_subscription_impis(s->data, 0));
    }
    out->has_impi = subscription_impi_of_slot(s->data, out->impi_slot, &impi);
}

/* Who is meant: the sets, and the IMPI if one is named or can be told. */
static enum cx_result identify(const struct subscription *s,
                               const struct server_assignment_request *r,
                               const struct server_assignment_rule *rule,
                               struct server_assignment *out, uint64_t *sets) {
    struct rec_impi impi;
    struct rec_impu impu;

    if (r->n_impus == 0 ? !rule->deregisters || !r->impi.n : rule->needs_impi && !r->impi.n) {
        return CX_MISSING_AVP;
    }
    if (r->n_impus > 1 && !rule->deregisters) {
        return CX_AVP_OCCURS_TOO_MANY_TIMES; /* step 3 */
    }
    if (!s || (r->n_impus && !subscription_impu(s->data, r->impus[0], &impu))) {
        return CX_USER_UNKNOWN; /* step 1 */
    }
    if (r->impi.n) {
        if (!subscription_impi(s->data, r->impi, &impi)) {
            return r->impi_elsewhere ? CX_IDENTITIES_DONT_MATCH : CX_USER_UNKNOWN;
        }
        out->has_impi = true;
        out->impi_slot = rec_impi_slot(impi);
        if (r->n_impus == 0) {
            *sets = subscription_sets_of(s->data, out->impi_slot);
        }
    }
    for (size_t i = 0; i < r->n_impus; i++) { /* step 2 */
        if (!subscription_impu(s->data, r->impus[i], &impu) ||
            (out->has_impi && !subscription_belongs(impu, out->impi_slot))) {
            return CX_IDENTITIES_DONT_MATCH;
        }
        if (rec_impu_inactive(impu)) {
            return CX_USER_UNKNOWN; /* step 4: PSI Activation State */
        }
        if (rule->users_only && rec_impu_type(impu) != IDENTITY_USER) {
            return CX_IN_ASSIGNMENT_TYPE;
        }
        if (i == 0) {
            out->set = rec_impu_set(impu);
            out->loose_route = rec_impu_loose_route(impu);
            out->wildcard =
                subscription_is_wildcard(rec_impu_type(impu)) ? rec_impu_identity(impu) : SPAN_NONE;
        }
        *sets |= UINT64_C(1) << rec_impu_set(impu);
    }
    if (!rule->deregisters && !out->has_impi) {
        choose_impi(s, impu, out);
    }
    return CX_SUCCESS;
}

static enum cx_result check_server(const struct subscription *s,
                                   const struct server_assignment_request *r,
                                   enum server_assignment_conflict conflict) {
    struct span assigned = subscription_scscf(s);

    if (span_eq(assigned, r->server_name)) {
        return CX_SUCCESS;
    }
    if (conflict == CONFLICT_COMPLY) {
        return s->notes.reassignment_pending ? CX_SUCCESS : CX_UNABLE_TO_COMPLY;
    }
    if (!assigned.n || (conflict == CONFLICT_ALREADY && s->notes.reassignment_pending)) {
        return CX_SUCCESS;
    }
    return CX_IDENTITY_ALREADY_REGISTERED;
}

static void store_name(struct registration *state, const struct server_assignment_request *r) {
    state->scscf_name = r->server_name;
    state->scscf_host = r->server_host;
    state->scscf_features = r->features;
}

/* The IMPI, or all of them if none is named, leaves the set. Is it empty now? */
static bool leave(struct registration *state, unsigned set, const struct server_assignment *out) {
    state->registered_by[set] &= out->has_impi ? ~(UINT64_C(1) << out->impi_slot) : 0;
    return state->registered_by[set] == 0;
}

/* ASSIGN_KEEP for a set that nobody registers any more. */
static void keep(struct registration *state, unsigned set, uint64_t registered_by,
                 const struct server_assignment *out) {
    if (!(state->unregistered >> set & 1)) {
        state->unregistered |= UINT64_C(1) << set;
        state->unregistered_by[set] =
            (uint8_t)(out->has_impi ? out->impi_slot : lowest(registered_by));
    }
}

static enum cx_result act(enum server_assignment_action action, unsigned set,
                          const struct server_assignment_request *r,
                          struct server_assignment *out) {
    struct registration *state = &out->state;
    uint64_t bit = UINT64_C(1) << set, before = state->registered_by[set];

    switch (action) {
    case ASSIGN_NOTHING:
        break;
    case ASSIGN_REFUSE:
        return CX_IN_ASSIGNMENT_TYPE;
    case ASSIGN_REGISTER:
        state->unregistered &= ~bit;
        state->registered_by[set] |= UINT64_C(1) << out->impi_slot;
        store_name(state, r);
        break;
    case ASSIGN_UNREGISTER:
        state->unregistered |= bit;
        state->unregistered_by[set] = (uint8_t)out->impi_slot;
        store_name(state, r);
        break;
    case ASSIGN_RELEASE:
        if (leave(state, set, out)) {
            state->unregistered &= ~bit;
        }
        break;
    case ASSIGN_KEEP:
        if (!leave(state, set, out)) {
            break;
        }
        if (!r->keep_server_name) {
            state->unregistered &= ~bit;
            return CX_SERVER_NAME_NOT_STORED;
        }
        keep(state, set, before, out);
        break;
    case ASSIGN_NOT_KEPT:
        return CX_SERVER_NAME_NOT_STORED;
    }
    return CX_SUCCESS;
}

static void settle_notes(const struct server_assignment_rule *rule, struct server_assignment *out) {
    struct subscription_notes *notes = &out->notes;
    enum server_assignment_action first = rule->action[NOT_REGISTERED];

    if (rule->ends_pending) {
        notes->authentication_pending &= out->has_impi ? ~(UINT64_C(1) << out->impi_slot) : 0;
    }
    if (first == ASSIGN_REGISTER || first == ASSIGN_UNREGISTER) {
        notes->scscf_name = SPAN_NONE; /* who was noted or waited for is assigned now */
        notes->reassignment_pending = false;
    } else if ((rule->ends_pending || rule->deregisters) && !notes->authentication_pending) {
        notes->scscf_name = SPAN_NONE;
    }
}

/* What the answer carries, table 6.1.2.2. */
static void choose_contents(const struct subscription *s, const struct server_assignment_request *r,
                            const struct server_assignment_rule *rule,
                            struct server_assignment *out) {
    uint64_t registered = out->state.registered_by[out->set];
    bool several = (registered & (registered - 1)) != 0;
    struct rec_impi impi;

    out->send_user_data = out->send_charging = rule->downloads && !r->user_data_already_available;
    out->send_associated =
        rule->downloads && (r->fixed_impi || rec_subscription_n_impis(s->data) > 1);
    if (rule->lists_registered && several && r->features & CX_FEATURE_RESTORATION) {
        out->registered = registered;
    }
    out->loose_route &= rule->downloads;
    out->privileged_sender = rule->downloads && out->has_impi &&
                             subscription_impi_of_slot(s->data, out->impi_slot, &impi) &&
                             rec_impi_privileged_sender(impi);
}

static void decide(const struct subscription *s, const struct server_assignment_request *r,
                   struct server_assignment *out) {
    uint64_t sets = 0;

    *out = (struct server_assignment){.result = CX_INVALID_AVP_VALUE};
    if (r->type >= CX_SERVER_ASSIGNMENT_TYPES) {
        return;
    }
    const struct server_assignment_rule *rule = &server_assignment_rules[r->type];
    out->result = identify(s, r, rule, out, &sets);
    if (!s || out->result != CX_SUCCESS) {
        return;
    }
    out->state = s->state;
    out->notes = s->notes;
    out->result = check_server(s, r, rule->conflict);
    if (out->result != CX_SUCCESS) {
        out->send_server_name = out->result == CX_IDENTITY_ALREADY_REGISTERED;
        return;
    }
    for (unsigned set = 0; set < SUBSCRIPTION_SLOTS; set++) {
        if (sets >> set & 1) {
            enum registration_state before = registration_of(&s->state, set);
            enum cx_result result = act(rule->action[before], set, r, out);
            enum registration_state after = registration_of(&out->state, set);

            if (result == CX_IN_ASSIGNMENT_TYPE) {
                out->result = result;
                return;
            }
            if (result != CX_SUCCESS) {
                out->result = result;
            }
            out->assigned |= (uint64_t)(after == REGISTERED && before != REGISTERED) << set;
            out->released |= (uint64_t)(after == NOT_REGISTERED && before != after) << set;
        }
    }
    if (!registration_is_any(&out->state)) {
        out->state.scscf_name = out->state.scscf_host = SPAN_NONE;
        out->state.scscf_features = 0;
    }
    out->changed = !registration_eq(&out->state, &s->state);
    settle_notes(rule, out);
    choose_contents(s, r, rule, out);
}

void server_assign(const struct subscription *s, const struct server_assignment_request *r,
                   struct server_assignment *out) {
    decide(s, r, out);
    if (!cx_result_is_success(out->result)) { /* a refusal carries nothing of the subscription */
        out->loose_route = false;
        out->wildcard = SPAN_NONE;
    }
}
