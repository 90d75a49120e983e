/* Rules of service profiles: TS 29.228 annex B, TS 23.218 5.2. */
#include "model/subscription/subscription.h"

#include <stdio.h>

enum { IFCS_MAX = 256, SPTS_MAX = 256, PATTERN_MAX = 1024, SERVICE_INFO_MAX = 16384 };

/* As in codec/userdata/userdata.h, which spells out annex E's numbers; the model judges them. */
enum { SPT_KINDS = 5, SPT_METHOD = 1, SPT_SESSION_CASE = 3, SESSION_CASES = 5, PARTS = 3 };
enum { PART_REGISTERED = 0, PART_UNREGISTERED = 1, TERMINATING_UNREGISTERED = 2 };

static bool ifc_faulty(struct subscription_fault *fault, const char *rule, const char *member,
                       size_t i, size_t k, const char *text) {
    (void)subscription_faulty(fault, rule, "", 0, text);
    snprintf(fault->member, sizeof fault->member, member, i, k);
    return false;
}

static bool check_spt(const struct rec_spt_data *t, size_t i, size_t k,
                      struct subscription_fault *fault) {
    static const char member[] = "/filter_criteria/%zu/triggers/%zu";

    if (t->kind >= SPT_KINDS || (t->kind == SPT_SESSION_CASE && t->session_case >= SESSION_CASES)) {
        return ifc_faulty(fault, "trigger-kind", member, i, k,
                          "a trigger looks at request_uri, method, header, session_case or "
                          "session_description");
    }
    if (t->kind != SPT_SESSION_CASE &&
        (t->value.n == 0 || !subscription_is_text(t->value, PATTERN_MAX))) {
        return ifc_faulty(fault, "trigger-value", member, i, k,
                          "a trigger needs a value: up to 1024 bytes without control characters");
    }
    if (t->content.n > PATTERN_MAX) {
        return ifc_faulty(fault, "trigger-content", member, i, k, "a pattern has up to 1024 bytes");
    }
    if (t->n_groups == 0 || t->n_groups > 32) {
        return ifc_faulty(fault, "trigger-group", member, i, k,
                          "a trigger stands in 1 to 32 groups");
    }
    if (t->registration_types && (t->kind != SPT_METHOD || !span_eq(t->value, SPAN("REGISTER")) ||
                                  t->registration_types > 7)) {
        return ifc_faulty(fault, "trigger-registration-type", member, i, k,
                          "registration types belong to the method REGISTER");
    }
    return true;
}

static bool check_ifc(const struct rec_profile_data *p, size_t i,
                      struct subscription_fault *fault) {
    const struct rec_ifc_data *c = &p->ifcs[i];

    if (c->part >= PARTS) {
        return ifc_faulty(fault, "part", "/filter_criteria/%zu/part", i, 0,
                          "a criterion is for registered, unregistered or both");
    }
    if (c->server_name.n < 5 || !subscription_is_text(c->server_name, SUBSCRIPTION_IDENTITY_MAX) ||
        (!span_starts_with(c->server_name, SPAN("sip:")) &&
         !span_starts_with(c->server_name, SPAN("sips:")))) {
        return ifc_faulty(fault, "server-name-form", "/filter_criteria/%zu/server_name", i, 0,
                          "an application server is named by a SIP URI");
    }
    if (!subscription_is_text(c->service_info, SERVICE_INFO_MAX)) {
        return ifc_faulty(fault, "service-info", "/filter_criteria/%zu/service_info", i, 0,
                          "up to 16384 bytes without control characters");
    }
    if (c->has_trigger ? c->n_spts == 0 || c->n_spts > SPTS_MAX : c->n_spts != 0) {
        return ifc_faulty(fault, "trigger-count", "/filter_criteria/%zu/triggers", i, 0,
                          "1 to 256 triggers, or none at all: then every request matches");
    }
    for (size_t k = 0; k < i; k++) {
        if (p->ifcs[k].priority == c->priority) {
            return ifc_faulty(fault, "priority-unique", "/filter_criteria/%zu/priority", i, 0,
                              "two criteria of a profile do not have the same priority");
        }
    }
    for (size_t k = 0; k < c->n_spts; k++) {
        if (!check_spt(&c->spts[k], i, k, fault)) {
            return false;
        }
    }
    return true;
}

bool subscription_check_profile(const struct rec_profile_data *p,
                                struct subscription_fault *fault) {
    if (!subscription_is_name(p->name)) {
        return subscription_faulty(fault, "profile-name", "/name", 0,
                                   "1 to 64 letters, digits and ._-@+:");
    }
    if (p->n_ifcs > IFCS_MAX) {
        return subscription_faulty(fault, "criteria-count", "/filter_criteria", 0,
                                   "a profile has at most 256 filter criteria");
    }
    if (p->n_service_ids > 64 || p->n_shared_ifc_sets > 64) {
        return subscription_faulty(fault, "list-count", "/", 0,
                                   "at most 64 service ids and 64 shared sets");
    }
    for (size_t i = 0; i < p->n_service_ids; i++) {
        if (p->service_ids[i].n == 0 || !subscription_is_text(p->service_ids[i], PATTERN_MAX)) {
            return subscription_faulty(fault, "service-id", "/service_ids/#", i,
                                       "up to 1024 bytes without control characters");
        }
    }
    for (size_t i = 0; i < p->n_ifcs; i++) {
        if (!check_ifc(p, i, fault)) {
            return false;
        }
    }
    return true;
}

bool subscription_profile_serves_unregistered(struct rec_profile p) {
    for (size_t i = 0, n = rec_profile_n_ifcs(p); i < n; i++) {
        struct rec_ifc c = rec_profile_ifcs(p, i);

        if (rec_ifc_part(c) == PART_REGISTERED) {
            continue;
        }
        if (rec_ifc_part(c) == PART_UNREGISTERED || !rec_ifc_has_trigger(c)) {
            return true;
        }
        for (size_t k = 0, m = rec_ifc_n_spts(c); k < m; k++) {
            struct rec_spt t = rec_ifc_spts(c, k);

            if (rec_spt_kind(t) == SPT_SESSION_CASE && !rec_spt_negated(t) &&
                rec_spt_session_case(t) == TERMINATING_UNREGISTERED) {
                return true;
            }
        }
    }
    return p.at && rec_profile_n_shared_ifc_sets(p) > 0;
}
