#include "codec/userdata/userdata.h"

static bool identity_eq(const struct userdata_identity *a, const struct userdata_identity *b) {
    return span_eq(a->identity, b->identity) && a->type == b->type && a->barred == b->barred &&
           span_eq(a->display_name, b->display_name) && span_eq(a->alias_group, b->alias_group) &&
           span_eq(a->wildcarded_psi, b->wildcarded_psi) &&
           span_eq(a->wildcarded_impu, b->wildcarded_impu) && span_eq(a->extension, b->extension);
}

static bool numbers_eq(const uint32_t *a, size_t n_a, const uint32_t *b, size_t n_b) {
    return n_a == n_b && (n_a == 0 || memcmp(a, b, n_a * sizeof *a) == 0);
}

static bool spt_eq(const struct userdata_spt *a, const struct userdata_spt *b) {
    return a->kind == b->kind && a->negated == b->negated &&
           numbers_eq(a->groups, a->n_groups, b->groups, b->n_groups) &&
           span_eq(a->value, b->value) && span_eq(a->content, b->content) &&
           a->has_content == b->has_content && a->session_case == b->session_case &&
           a->registration_types == b->registration_types && span_eq(a->extension, b->extension);
}

static bool ifc_eq(const struct userdata_ifc *a, const struct userdata_ifc *b) {
    if (a->priority != b->priority || a->part != b->part || a->has_trigger != b->has_trigger ||
        a->cnf != b->cnf || a->n_spts != b->n_spts || !span_eq(a->server_name, b->server_name) ||
        a->terminate_on_failure != b->terminate_on_failure ||
        !span_eq(a->service_info, b->service_info) ||
        a->include_register_request != b->include_register_request ||
        a->include_register_response != b->include_register_response ||
        !span_eq(a->extension, b->extension) ||
        !span_eq(a->trigger_extension, b->trigger_extension) ||
        !span_eq(a->server_extension, b->server_extension)) {
        return false;
    }
    for (size_t i = 0; i < a->n_spts; i++) {
        if (!spt_eq(&a->spts[i], &b->spts[i])) {
            return false;
        }
    }
    return true;
}

static bool profile_eq(const struct userdata_profile *a, const struct userdata_profile *b) {
    if (a->n_identities != b->n_identities || a->n_ifcs != b->n_ifcs ||
        a->has_media_profile != b->has_media_profile || a->media_profile != b->media_profile ||
        a->n_service_ids != b->n_service_ids || !span_eq(a->extension, b->extension) ||
        !span_eq(a->authorization_extension, b->authorization_extension) ||
        !numbers_eq(a->shared_ifc_sets, a->n_shared_ifc_sets, b->shared_ifc_sets,
                    b->n_shared_ifc_sets)) {
        return false;
    }
    for (size_t i = 0; i < a->n_identities; i++) {
        if (!identity_eq(&a->identities[i], &b->identities[i])) {
            return false;
        }
    }
    for (size_t i = 0; i < a->n_ifcs; i++) {
        if (!ifc_eq(&a->ifcs[i], &b->ifcs[i])) {
            return false;
        }
    }
    for (size_t i = 0; i < a->n_service_ids; i++) {
        if (!span_eq(a->service_ids[i], b->service_ids[i])) {
            return false;
        }
    }
    return true;
}

bool userdata_eq(const struct userdata *a, const struct userdata *b) {
    if (!span_eq(a->private_id, b->private_id) || !span_eq(a->extension, b->extension) ||
        a->n_profiles != b->n_profiles) {
        return false;
    }
    for (size_t i = 0; i < a->n_profiles; i++) {
        if (!profile_eq(&a->profiles[i], &b->profiles[i])) {
            return false;
        }
    }
    return true;
}

const struct userdata_identity *userdata_default_identity(const struct userdata *u) {
    for (size_t i = 0; i < u->n_profiles; i++) {
        for (size_t k = 0; k < u->profiles[i].n_identities; k++) {
            const struct userdata_identity *id = &u->profiles[i].identities[k];

            if (!id->barred && id->type != USERDATA_WILDCARDED_PSI &&
                id->type != USERDATA_WILDCARDED_IMPU) {
                return id;
            }
        }
    }
    return NULL;
}
