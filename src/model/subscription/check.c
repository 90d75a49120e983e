/* Which subscriptions are sound. Every rule has a name that never changes, so that people and
 * programs can look it up; the list stands in node/hss/README.md. */
#include "model/subscription/parts.h"

#include <ctype.h>
#include <stdio.h>

bool subscription_faulty(struct subscription_fault *fault, const char *rule, const char *member,
                         size_t index, const char *text) {
    struct buf b = buf_init(fault->member, sizeof fault->member - 1);
    const char *mark = strchr(member, '#');

    fault->rule = rule;
    buf_bytes(&b, member, mark ? (size_t)(mark - member) : strlen(member));
    if (mark) {
        buf_u64(&b, index);
        buf_cstr(&b, mark + 1);
    }
    fault->member[b.n] = '\0';
    snprintf(fault->text, sizeof fault->text, "%s", text);
    return false;
}

bool subscription_is_name(struct span s) {
    for (size_t i = 0; i < s.n; i++) {
        if (!isalnum((unsigned char)s.p[i]) && !strchr("._-@+:", s.p[i])) {
            return false;
        }
    }
    return s.n >= 1 && s.n <= 64;
}

static bool is_diameter_uri(struct span s) {
    return s.n <= 255 && subscription_is_graphic(s) && !subscription_holds_any(s, "<>\"") &&
           ((span_starts_with(s, SPAN("aaa://")) && s.n > 6) ||
            (span_starts_with(s, SPAN("aaas://")) && s.n > 7));
}

/* Text for people: no control characters, and UTF-8 as far as its lead and continuation bytes go.
 */
bool subscription_is_text(struct span s, size_t max) {
    size_t more = 0;

    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];

        if (more ? (c & 0xc0) != 0x80 : c < ' ' || c == 0x7f || (c & 0xc0) == 0x80 || c > 0xf4) {
            return false;
        }
        if (more) {
            more--;
        } else if (c >= 0xc2) {
            more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : 1;
        } else if (c >= 0x80) {
            return false;
        }
    }
    return more == 0 && s.n <= max;
}

static bool check_capabilities(const struct rec_subscription_data *s,
                               struct subscription_fault *fault) {
    for (size_t i = 0; i < s->n_mandatory_capabilities; i++) {
        for (size_t k = 0; k < s->n_optional_capabilities; k++) {
            if (s->mandatory_capabilities[i] == s->optional_capabilities[k]) {
                return subscription_faulty(fault, "capability-once", "/capabilities/optional/#", k,
                                           "this capability is mandatory already; name it once");
            }
        }
    }
    if (s->n_mandatory_capabilities > 64 || s->n_optional_capabilities > 64) {
        return subscription_faulty(fault, "capability-count", "/capabilities", 0,
                                   "at most 64 mandatory and 64 optional capabilities");
    }
    for (size_t i = 0; i < s->n_server_names; i++) {
        if (!subscription_is_sip_uri(s->server_names[i]) || i >= 16) {
            return subscription_faulty(fault, "server-name-form", "/capabilities/servers/#", i,
                                       "up to 16 SIP URIs, as in sip:scscf.example.org:6060");
        }
    }
    return true;
}

static bool check_charging(const struct rec_subscription_data *s,
                           struct subscription_fault *fault) {
    const struct {
        struct span name;
        const char *member;
    } names[] = {{s->primary_ecf, "/charging/primary_ecf"},
                 {s->secondary_ecf, "/charging/secondary_ecf"},
                 {s->primary_ccf, "/charging/primary_ccf"},
                 {s->secondary_ccf, "/charging/secondary_ccf"}};

    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (names[i].name.n && !is_diameter_uri(names[i].name)) {
            return subscription_faulty(fault, "charging-form", names[i].member, 0,
                                       "a Diameter URI is wanted, as in aaa://ccf.example.org");
        }
        if (i % 2 && names[i].name.n && !names[i - 1].name.n) {
            return subscription_faulty(fault, "charging-primary", names[i].member, 0,
                                       "a secondary charging function needs a primary one");
        }
    }
    return true;
}

static bool check_impis(const struct rec_subscription_data *s, struct subscription_fault *fault) {
    if (s->n_impis == 0 || s->n_impis > SUBSCRIPTION_SLOTS) {
        return subscription_faulty(fault, "impi-count", "/impis", 0,
                                   "a subscription has 1 to 64 private identities");
    }
    for (size_t i = 0; i < s->n_impis; i++) {
        struct span id = s->impis[i].identity;
        size_t at = span_find_char(id, '@');

        if (id.n > 255 || !subscription_is_graphic(id) || subscription_holds_any(id, "<>\"\\ ;?") ||
            at == 0 || at + 1 >= id.n ||
            span_find_char(span_after(id, at + 1), '@') + at + 1 != id.n) {
            return subscription_faulty(fault, "impi-form", "/impis/#/identity", i,
                                       "a private identity looks like user@realm");
        }
        if (s->impis[i].slot >= SUBSCRIPTION_SLOTS) {
            return subscription_faulty(fault, "impi-slot", "/impis/#", i,
                                       "the slot is out of range");
        }
        for (size_t k = 0; k < i; k++) {
            if (span_eq(id, s->impis[k].identity) || s->impis[i].slot == s->impis[k].slot) {
                return subscription_faulty(fault, "impi-unique", "/impis/#/identity", i,
                                           "the subscription has this private identity twice");
            }
        }
    }
    return true;
}

static bool has_slot(const struct rec_subscription_data *s, unsigned slot) {
    for (size_t i = 0; i < s->n_impis; i++) {
        if (s->impis[i].slot == slot) {
            return true;
        }
    }
    return false;
}

static bool check_impu(const struct rec_subscription_data *s, size_t i,
                       const struct subscription_context *context,
                       struct subscription_fault *fault) {
    const struct rec_impu_data *u = &s->impus[i];

    if (!subscription_check_identity(u, i, fault)) {
        return false;
    }
    if (u->set >= SUBSCRIPTION_SLOTS) {
        return subscription_faulty(fault, "set-number", "/impus/#/set", i,
                                   "implicit registration sets are numbered 1 to 64");
    }
    if (u->impi != SUBSCRIPTION_IMPI_ALL && !has_slot(s, u->impi)) {
        return subscription_faulty(fault, "impu-impi", "/impus/#/impi", i,
                                   "the subscription has no such private identity");
    }
    if (!subscription_is_name(u->profile)) {
        return subscription_faulty(fault, "profile-name", "/impus/#/profile", i,
                                   "name the service profile: letters, digits and ._-@+:");
    }
    if (context && context->profile_exists && !context->profile_exists(context->ctx, u->profile)) {
        return subscription_faulty(fault, "profile-exists", "/impus/#/profile", i,
                                   "there is no service profile of this name; make it first");
    }
    if (!subscription_is_text(u->display_name, 255)) {
        return subscription_faulty(fault, "display-name", "/impus/#/display_name", i,
                                   "up to 255 bytes of UTF-8 without control characters");
    }
    if (u->alias_group.n && !subscription_is_name(u->alias_group)) {
        return subscription_faulty(fault, "alias-name", "/impus/#/alias_group", i,
                                   "up to 64 letters, digits and ._-@+:");
    }
    for (size_t k = 0; k < u->n_visited_networks; k++) {
        if (!subscription_is_graphic(u->visited_networks[k]) || u->visited_networks[k].n > 255) {
            return subscription_faulty(fault, "visited-network", "/impus/#/visited_networks", i,
                                       "names of networks, as in ims.mnc002.mcc001.example.org");
        }
    }
    return true;
}

/* What two identities of a subscription owe each other. */
static bool check_pair(const struct rec_subscription_data *s, size_t k, size_t i,
                       struct subscription_fault *fault) {
    const struct rec_impu_data *a = &s->impus[k], *b = &s->impus[i];

    if (a->set == b->set && a->impi != b->impi) {
        return subscription_faulty(
            fault, "set-same-impis", "/impus/#/impi", i,
            "all of an implicit registration set belong to the same private identities");
    }
    if (a->set == b->set && a->is_default && b->is_default) {
        return subscription_faulty(fault, "set-one-default", "/impus/#/default", i,
                                   "the implicit registration set has a default already");
    }
    if (a->alias_group.n && span_eq(a->alias_group, b->alias_group)) {
        if (a->set != b->set) {
            return subscription_faulty(fault, "alias-same-set", "/impus/#/alias_group", i,
                                       "aliases stand in one implicit registration set");
        }
        if (!span_eq(a->profile, b->profile)) {
            return subscription_faulty(fault, "alias-same-profile", "/impus/#/profile", i,
                                       "aliases have one service profile");
        }
    }
    return subscription_check_identity_pair(a, b, i, fault);
}

static bool check_impus(const struct rec_subscription_data *s,
                        const struct subscription_context *context,
                        struct subscription_fault *fault) {
    bool open[SUBSCRIPTION_SLOTS] = {false};

    if (s->n_impus == 0 || s->n_impus > SUBSCRIPTION_IMPUS_MAX) {
        return subscription_faulty(fault, "impu-count", "/impus", 0,
                                   "a subscription has 1 to 4096 public identities");
    }
    for (size_t i = 0; i < s->n_impus; i++) {
        if (!check_impu(s, i, context, fault)) {
            return false;
        }
        for (size_t k = 0; k < i; k++) {
            if (span_eq(s->impus[k].identity, s->impus[i].identity)) {
                return subscription_faulty(fault, "impu-unique", "/impus/#/identity", i,
                                           "the subscription has this public identity twice");
            }
            if (!check_pair(s, k, i, fault)) {
                return false;
            }
        }
        open[s->impus[i].set] |= !s->impus[i].barred;
    }
    for (size_t i = 0; i < s->n_impus; i++) {
        const struct rec_impu_data *u = &s->impus[i];

        if (u->is_default && u->barred && open[u->set]) {
            return subscription_faulty(fault, "default-not-barred", "/impus/#/default", i,
                                       "the default of a set is not barred while others are not");
        }
    }
    return subscription_check_wildcard_company(s, fault);
}

bool subscription_check(const struct rec_subscription_data *s,
                        const struct subscription_context *context,
                        struct subscription_fault *fault) {
    if (!subscription_is_name(s->name)) {
        return subscription_faulty(fault, "subscription-name", "/name", 0,
                                   "1 to 64 letters, digits and ._-@+:");
    }
    return check_capabilities(s, fault) && check_charging(s, fault) && check_impis(s, fault) &&
           check_impus(s, context, fault);
}
