/* RFC 3261 10.3 steps 6 to 8, RFC 5626 6.
 *
 * Open choices: an interval that is too brief anywhere in the request refuses the whole request; a
 * contact that stands twice in a request counts once; the limit counts what would stand
 * afterwards, so that a terminal at its limit can still replace what it has; several flows may end
 * by one request, but only one may begin or stay. */
#include "model/registration/binding.h"

#include "base/attribute.h"
#include "codec/sip/uri.h"

enum { HOUR_S = 3600 };

static bool same_uri(struct span a, struct span b) {
    struct sip_uri x, y;
    return span_eq(a, b) ||
           (sip_uri_parse(a, &x) == OK && sip_uri_parse(b, &y) == OK && sip_uri_equal(&x, &y));
}

static bool is_flow(struct span instance, uint32_t reg_id) {
    return reg_id != 0 && instance.n > 0;
}

static bool same_binding(const struct registration_contact *c,
                         const struct registration_binding *b) {
    if (is_flow(c->instance, c->reg_id)) {
        return c->reg_id == b->reg_id && span_eq(c->instance, b->instance);
    }
    return same_uri(c->uri, b->uri);
}

static bool same_contact(const struct registration_contact *a,
                         const struct registration_contact *b) {
    struct registration_binding as_binding = {
        .uri = b->uri, .instance = b->instance, .reg_id = b->reg_id};
    return same_binding(a, &as_binding);
}

bool registration_expires(const struct registration_policy *policy,
                          const struct registration_request *request,
                          const struct registration_contact *contact, uint32_t *expires_s) {
    uint32_t s = contact->expires_given   ? contact->expires_s
                 : request->expires_given ? request->expires_s
                                          : policy->expires_default_s;
    if (s > 0 && s < policy->expires_min_s && s < HOUR_S) {
        return false;
    }
    *expires_s = s > policy->expires_max_s ? policy->expires_max_s : s;
    return true;
}

/* RFC 3261 10.3 step 7: within one Call-ID the CSeq must rise. */
static bool is_out_of_order(const struct registration_request *request,
                            const struct registration_binding *b) {
    return span_eq(request->call_id, b->call_id) && request->cseq <= b->cseq;
}

static void add_step(struct registration_outcome *out, enum registration_step_kind kind,
                     int binding, int contact, uint32_t expires_s) {
    if (out->n_steps < COUNT_OF(out->steps)) {
        out->steps[out->n_steps++] = (struct registration_step){kind, binding, contact, expires_s};
    }
}

static void decide_star(const struct registration_request *request,
                        const struct registration_binding *bindings, size_t n,
                        struct registration_outcome *out) {
    if (request->n_contacts || !request->expires_given || request->expires_s) {
        out->verdict = REGISTRATION_BAD_STAR;
        return;
    }
    for (size_t i = 0; i < n; i++) {
        if (is_out_of_order(request, &bindings[i])) {
            out->verdict = REGISTRATION_OUT_OF_ORDER;
            return;
        }
        add_step(out, REGISTRATION_REMOVE, (int)i, -1, 0);
    }
    out->n_left = 0;
}

static int binding_of(const struct registration_contact *c,
                      const struct registration_binding *bindings, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (same_binding(c, &bindings[i])) {
            return (int)i;
        }
    }
    return -1;
}

static bool is_repeated(const struct registration_request *request, size_t contact) {
    for (size_t i = 0; i < contact; i++) {
        if (same_contact(&request->contacts[i], &request->contacts[contact])) {
            return true;
        }
    }
    return false;
}

/* One contact of the request; false ends the decision with out->verdict. */
static bool decide_contact(const struct registration_policy *policy,
                           const struct registration_request *request, size_t contact,
                           const struct registration_binding *bindings, size_t n, uint32_t *named,
                           struct registration_outcome *out) {
    const struct registration_contact *c = &request->contacts[contact];
    uint32_t expires_s;
    if (!registration_expires(policy, request, c, &expires_s)) {
        out->verdict = REGISTRATION_TOO_BRIEF;
        return false;
    }
    int b = binding_of(c, bindings, n);
    if (b >= 0) {
        if (is_out_of_order(request, &bindings[b])) {
            out->verdict = REGISTRATION_OUT_OF_ORDER;
            return false;
        }
        *named |= UINT32_C(1) << b;
        add_step(out, expires_s ? REGISTRATION_REFRESH : REGISTRATION_REMOVE, b, (int)contact,
                 expires_s);
        out->n_left -= expires_s == 0;
    } else if (expires_s) {
        add_step(out, REGISTRATION_ADD, -1, (int)contact, expires_s);
        out->n_left++;
    }
    return true;
}

/* RFC 5626 6: can the flows that the request is about be served? */
static bool decide_flows(const struct registration_policy *policy,
                         const struct registration_request *request,
                         struct registration_outcome *out) {
    size_t flows = 0, stay = 0;
    for (size_t i = 0; i < request->n_contacts; i++) {
        const struct registration_contact *c = &request->contacts[i];
        uint32_t expires_s = 0;
        if (is_flow(c->instance, c->reg_id)) {
            flows++;
            stay += !registration_expires(policy, request, c, &expires_s) || expires_s > 0;
        }
    }
    if (stay > 1) {
        out->verdict = REGISTRATION_SEVERAL_FLOWS;
    } else if (flows && !request->first_hop_outbound) {
        out->verdict = REGISTRATION_LACKS_OUTBOUND;
    } else {
        return true;
    }
    return false;
}

void registration_decide(const struct registration_policy *policy,
                         const struct registration_request *request,
                         const struct registration_binding *bindings, size_t n,
                         struct registration_outcome *out) {
    *out = (struct registration_outcome){.verdict = REGISTRATION_UPDATE, .n_left = n};
    if (request->star) {
        decide_star(request, bindings, n, out);
        return;
    }
    if (request->n_contacts == 0) {
        out->verdict = REGISTRATION_FETCH;
        return;
    }
    if (request->n_contacts > REGISTRATION_CONTACTS_MAX || n > REGISTRATION_CONTACTS_MAX) {
        out->verdict = REGISTRATION_TOO_MANY;
        return;
    }
    if (!decide_flows(policy, request, out)) {
        return;
    }
    uint32_t named = 0;
    bool replaces = false;
    for (size_t i = 0; i < request->n_contacts; i++) {
        if (is_repeated(request, i)) {
            continue;
        }
        size_t left = out->n_left, steps = out->n_steps;
        if (!decide_contact(policy, request, i, bindings, n, &named, out)) {
            return;
        }
        const struct registration_contact *c = &request->contacts[i];
        bool stands = out->n_left >= left && out->n_steps > steps;
        replaces |= stands && !is_flow(c->instance, c->reg_id);
    }
    for (size_t i = 0; replaces && i < n; i++) {
        if (!(named >> i & 1)) {
            add_step(out, REGISTRATION_REMOVE, (int)i, -1, 0);
            out->n_left--;
        }
    }
    uint32_t max = policy->contacts_max < REGISTRATION_CONTACTS_MAX ? policy->contacts_max
                                                                    : REGISTRATION_CONTACTS_MAX;
    if (out->n_left > max && out->n_left > n) {
        out->verdict = REGISTRATION_TOO_MANY;
    }
}
