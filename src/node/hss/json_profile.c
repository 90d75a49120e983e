/* Service profiles as JSON and back. */
#include "codec/userdata/userdata.h"
#include "node/hss/web.h"

static const char *const profile_members[] = {
    "name", "media_profile", "service_ids", "shared_ifc_sets", "filter_criteria", NULL};
static const char *const ifc_members[] = {"priority",
                                          "part",
                                          "server_name",
                                          "on_failure",
                                          "service_info",
                                          "include_register_request",
                                          "include_register_response",
                                          "cnf",
                                          "triggers",
                                          NULL};
static const char *const spt_members[] = {
    "groups", "negated",      "request_uri",         "method", "registration_types",
    "header", "session_case", "session_description", NULL};
static const char *const header_members[] = {"name", "content", NULL};
static const char *const line_members[] = {"line", "content", NULL};

/* Values by their position. */
static const char *const parts[] = {"registered", "unregistered", "both", NULL};
static const char *const failures[] = {"continue", "terminate", NULL};
static const char *const session_cases[] = {"originating_registered",   "terminating_registered",
                                            "terminating_unregistered", "originating_unregistered",
                                            "originating_cdiv",         NULL};
static const char *const registration_types[] = {"initial", "re", "de", NULL};

/* Position of a word, or -1. */
static int find_word(const char *const *words, struct span s) {
    for (int i = 0; words[i]; i++) {
        if (span_eq(s, span_from_cstr(words[i]))) {
            return i;
        }
    }
    return -1;
}

static uint8_t word(struct json_reader *r, const json_t *json, const char *name, size_t index,
                    const char *const *words, uint8_t otherwise, const char *text) {
    struct span s = json_text(r, json, name, "/filter_criteria/#", index);
    int found = s.n ? find_word(words, s) : otherwise;

    if (found < 0) {
        json_fault(r, "member-type", "/filter_criteria/#", index, text);
        return otherwise;
    }
    return (uint8_t)found;
}

/* Where triggers stand is told by their criterion. */
#define HERE "/filter_criteria/#/triggers"

static void pattern_from_json(struct json_reader *r, const json_t *json, const char *name,
                              const char *const *members, size_t i, struct rec_spt_data *out) {
    json_known(r, json, HERE, i, members);
    out->value = json_text(r, json, name, HERE, i);
    out->content = json_text(r, json, "content", HERE, i);
    out->has_content = out->content.p != NULL;
}

static void types_from_json(struct json_reader *r, const json_t *json, size_t i,
                            struct rec_spt_data *out) {
    size_t n;
    const struct span *types = json_texts(r, json, "registration_types", HERE, i, &n);

    for (size_t k = 0; k < n; k++) {
        int found = find_word(registration_types, types[k]);

        if (found < 0) {
            json_fault(r, "trigger-registration-type", HERE, i,
                       "registration types are initial, re and de");
            return;
        }
        out->registration_types |= (uint8_t)(1 << found);
    }
}

static void spt_from_json(struct json_reader *r, const json_t *json, size_t i,
                          struct rec_spt_data *out) {
    static const char *const conditions[] = {"request_uri", "method", "header", "session_case",
                                             "session_description"};
    unsigned given = 0;

    json_known(r, json, HERE, i, spt_members);
    for (unsigned k = 0; k < COUNT_OF(conditions); k++) {
        if (json_object_get(json, conditions[k])) {
            given++;
            out->kind = (uint8_t)k; /* in the order of enum userdata_spt_kind */
        }
    }
    if (given != 1) {
        json_fault(r, "trigger-kind", HERE, i,
                   "a trigger has one of request_uri, method, header, session_case and "
                   "session_description");
        return;
    }
    out->negated = json_flag(r, json, "negated", HERE, i, false);
    out->groups = json_numbers(r, json, "groups", HERE, i, &out->n_groups);
    types_from_json(r, json, i, out);
    switch (out->kind) {
    case USERDATA_SPT_REQUEST_URI:
    case USERDATA_SPT_METHOD:
        out->value = json_text(r, json, conditions[out->kind], HERE, i);
        break;
    case USERDATA_SPT_SIP_HEADER:
        pattern_from_json(r, json_object_get(json, "header"), "name", header_members, i, out);
        break;
    case USERDATA_SPT_SESSION_DESCRIPTION:
        pattern_from_json(r, json_object_get(json, "session_description"), "line", line_members, i,
                          out);
        break;
    default: {
        int found = find_word(session_cases, json_text(r, json, "session_case", HERE, i));

        if (found < 0) {
            json_fault(r, "trigger-kind", HERE, i,
                       "session cases are originating_registered, terminating_registered, "
                       "terminating_unregistered, originating_unregistered, originating_cdiv");
        } else {
            out->session_case = (uint8_t)found;
        }
    }
    }
}

static void ifc_from_json(struct json_reader *r, const json_t *json, size_t i,
                          struct rec_ifc_data *out) {
    static const char here[] = "/filter_criteria/#";

    json_known(r, json, here, i, ifc_members);
    if (!json_object_get(json, "priority")) {
        json_fault(r, "member-missing", "/filter_criteria/#/priority", i, "give it a priority");
    }
    out->priority = json_number(r, json, "priority", here, i, INT32_MAX, 0);
    out->part = word(r, json, "part", i, parts, USERDATA_PART_BOTH,
                     "a part is registered, unregistered or both");
    out->server_name = json_text(r, json, "server_name", here, i);
    out->terminate_on_failure =
        word(r, json, "on_failure", i, failures, 0, "on_failure is continue or terminate") == 1;
    out->service_info = json_text(r, json, "service_info", here, i);
    out->include_register_request = json_flag(r, json, "include_register_request", here, i, false);
    out->include_register_response =
        json_flag(r, json, "include_register_response", here, i, false);
    out->cnf = json_flag(r, json, "cnf", here, i, false);
    const json_t *triggers = json_list(r, json, "triggers", here, i);
    out->n_spts = json_array_size(triggers);
    out->has_trigger = out->n_spts > 0;
    struct rec_spt_data *spts = json_take(r, out->n_spts, sizeof *spts);
    for (size_t k = 0; k < out->n_spts && !r->failed; k++) {
        spt_from_json(r, json_array_get(triggers, k), i, &spts[k]);
    }
    out->spts = spts;
}

static void sort(struct rec_ifc_data *ifcs, size_t n) {
    for (size_t i = 1; i < n; i++) {
        struct rec_ifc_data moved = ifcs[i];
        size_t k = i;

        for (; k > 0 && ifcs[k - 1].priority > moved.priority; k--) {
            ifcs[k] = ifcs[k - 1];
        }
        ifcs[k] = moved;
    }
}

void profile_from_json(struct json_reader *r, const json_t *json, struct span name,
                       struct rec_profile_data *out) {
    *out = (struct rec_profile_data){0};
    json_known(r, json, "", 0, profile_members);
    if (r->failed) {
        return;
    }
    out->name = json_text(r, json, "name", "", 0);
    if (name.n && out->name.p && !span_eq(out->name, name)) {
        json_fault(r, "profile-name", "/name", 0, "the name is not the one in the path");
    }
    out->name = name.n ? name : out->name;
    out->has_media_profile = json_is_integer(json_object_get(json, "media_profile"));
    out->media_profile = json_number(r, json, "media_profile", "", 0, INT32_MAX, 0);
    out->service_ids = json_texts(r, json, "service_ids", "", 0, &out->n_service_ids);
    out->shared_ifc_sets = json_numbers(r, json, "shared_ifc_sets", "", 0, &out->n_shared_ifc_sets);
    const json_t *criteria = json_list(r, json, "filter_criteria", "", 0);
    size_t n = json_array_size(criteria);
    struct rec_ifc_data *ifcs = json_take(r, n, sizeof *ifcs);
    for (size_t i = 0; i < n && !r->failed; i++) {
        ifc_from_json(r, json_array_get(criteria, i), i, &ifcs[i]);
    }
    out->ifcs = ifcs;
    out->n_ifcs = ifcs ? n : 0;
    if (!r->failed && !subscription_check_profile(out, &r->fault)) {
        r->failed = true;
    }
    if (!r->failed) {
        shared_sets_check(r, out);
    }
    if (!r->failed) {
        sort(ifcs, n);
    }
}

/* Showing. */

static json_t *text_json(struct span s) {
    return json_stringn(s.p ? s.p : "", s.n);
}

static json_t *spt_to_json(struct rec_spt t) {
    json_t *json = json_object(), *groups = json_array(), *pattern;

    for (size_t i = 0, n = rec_spt_n_groups(t); i < n; i++) {
        json_array_append_new(groups, json_integer(rec_spt_groups(t, i)));
    }
    json_object_set_new(json, "groups", groups);
    json_object_set_new(json, "negated", json_boolean(rec_spt_negated(t)));
    switch (rec_spt_kind(t)) {
    case USERDATA_SPT_REQUEST_URI:
        json_object_set_new(json, "request_uri", text_json(rec_spt_value(t)));
        break;
    case USERDATA_SPT_METHOD:
        json_object_set_new(json, "method", text_json(rec_spt_value(t)));
        if (rec_spt_registration_types(t)) {
            json_t *types = json_array();

            for (unsigned k = 0; k < 3; k++) {
                if (rec_spt_registration_types(t) >> k & 1) {
                    json_array_append_new(types, json_string(registration_types[k]));
                }
            }
            json_object_set_new(json, "registration_types", types);
        }
        break;
    case USERDATA_SPT_SESSION_CASE:
        json_object_set_new(json, "session_case",
                            json_string(session_cases[rec_spt_session_case(t) % 5]));
        break;
    default: {
        bool header = rec_spt_kind(t) == USERDATA_SPT_SIP_HEADER;

        pattern = json_object();
        json_object_set_new(pattern, header ? "name" : "line", text_json(rec_spt_value(t)));
        if (rec_spt_has_content(t)) {
            json_object_set_new(pattern, "content", text_json(rec_spt_content(t)));
        }
        json_object_set_new(json, header ? "header" : "session_description", pattern);
    }
    }
    return json;
}

static json_t *ifc_to_json(struct rec_ifc c) {
    json_t *json = json_object(), *triggers = json_array();

    json_object_set_new(json, "priority", json_integer(rec_ifc_priority(c)));
    json_object_set_new(json, "part", json_string(parts[rec_ifc_part(c) % 3]));
    json_object_set_new(json, "server_name", text_json(rec_ifc_server_name(c)));
    json_object_set_new(json, "on_failure", json_string(failures[rec_ifc_terminate_on_failure(c)]));
    if (rec_ifc_service_info(c).n) {
        json_object_set_new(json, "service_info", text_json(rec_ifc_service_info(c)));
    }
    json_object_set_new(json, "include_register_request",
                        json_boolean(rec_ifc_include_register_request(c)));
    json_object_set_new(json, "include_register_response",
                        json_boolean(rec_ifc_include_register_response(c)));
    json_object_set_new(json, "cnf", json_boolean(rec_ifc_cnf(c)));
    for (size_t i = 0, n = rec_ifc_n_spts(c); i < n; i++) {
        json_array_append_new(triggers, spt_to_json(rec_ifc_spts(c, i)));
    }
    json_object_set_new(json, "triggers", triggers);
    return json;
}

json_t *profile_to_json(struct rec_profile p) {
    json_t *json = json_object(), *ids = json_array(), *sets = json_array(),
           *criteria = json_array();

    json_object_set_new(json, "name", text_json(rec_profile_name(p)));
    if (rec_profile_has_media_profile(p)) {
        json_object_set_new(json, "media_profile", json_integer(rec_profile_media_profile(p)));
    }
    for (size_t i = 0, n = rec_profile_n_service_ids(p); i < n; i++) {
        json_array_append_new(ids, text_json(rec_profile_service_ids(p, i)));
    }
    for (size_t i = 0, n = rec_profile_n_shared_ifc_sets(p); i < n; i++) {
        json_array_append_new(sets, json_integer(rec_profile_shared_ifc_sets(p, i)));
    }
    for (size_t i = 0, n = rec_profile_n_ifcs(p); i < n; i++) {
        json_array_append_new(criteria, ifc_to_json(rec_profile_ifcs(p, i)));
    }
    json_object_set_new(json, "service_ids", ids);
    json_object_set_new(json, "shared_ifc_sets", sets);
    json_object_set_new(json, "filter_criteria", criteria);
    return json;
}
