/* Which public identities are sound by themselves: TS 23.003 13.4, 13.4A, 13.5; TS 23.008 3.1.2,
 * 3.2.2A, 3.5.4 (PSI Activation State). */
#include "model/subscription/parts.h"
#include "model/wildcard/wildcard.h"

#include <ctype.h>
#include <stdio.h>

bool subscription_is_graphic(struct span s) {
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] <= ' ' || s.p[i] > '~') {
            return false;
        }
    }
    return s.n > 0;
}

bool subscription_holds_any(struct span s, const char *set) {
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] && strchr(set, s.p[i])) {
            return true;
        }
    }
    return false;
}

static bool is_domain(struct span s) {
    for (size_t i = 0; i < s.n; i++) {
        if (!islower((unsigned char)s.p[i]) && !isdigit((unsigned char)s.p[i]) &&
            !strchr(".-_:[]", s.p[i])) {
            return false;
        }
    }
    return s.n > 0;
}

static bool is_canonical_sip(struct span uri) {
    struct span rest = span_after(uri, span_starts_with(uri, SPAN("sips:")) ? 5 : 4);
    size_t at = span_find_char(rest, '@');
    struct span host = at < rest.n ? span_after(rest, at + 1) : rest;
    bool password = at < rest.n && span_find_char(rest, ':') < at;

    return !password && subscription_is_graphic(rest) &&
           !subscription_holds_any(rest, ";?<>\"\\") && at != 0 && is_domain(host);
}

static bool is_canonical_tel(struct span uri) {
    struct span digits = span_after(uri, 5);

    for (size_t i = 0; i < digits.n; i++) {
        if (!isdigit((unsigned char)digits.p[i])) {
            return false;
        }
    }
    return digits.n >= 1 && digits.n <= 15;
}

static bool is_distinct(struct span identity) {
    if (identity.n > SUBSCRIPTION_IDENTITY_MAX) {
        return false;
    }
    if (span_starts_with(identity, SPAN("tel:+"))) {
        return is_canonical_tel(identity);
    }
    return (span_starts_with(identity, SPAN("sip:")) ||
            span_starts_with(identity, SPAN("sips:"))) &&
           is_canonical_sip(identity);
}

bool subscription_is_canonical(struct span identity) {
    struct wildcard_parts parts;

    /* Whether an escape is needed, parsing tells. */
    return (is_distinct(identity) && span_find_char(identity, '%') == identity.n) ||
           wildcard_split(identity, &parts);
}

bool subscription_is_sip_uri(struct span s) {
    return s.n <= SUBSCRIPTION_IDENTITY_MAX && subscription_is_graphic(s) &&
           !subscription_holds_any(s, "<>\"") &&
           (span_starts_with(s, SPAN("sip:")) || span_starts_with(s, SPAN("sips:"))) && s.n > 5;
}

static bool check_wildcard(struct span identity, size_t i, struct subscription_fault *fault) {
    char text[sizeof fault->text];
    struct buf why = buf_init(text, sizeof text - 1);

    if (wildcard_check(identity, &why) == OK) {
        return true;
    }
    text[why.n] = '\0';
    return subscription_faulty(fault, "wildcard-form", "/impus/#/identity", i, text);
}

static bool check_form(const struct rec_impu_data *u, size_t i, struct subscription_fault *fault) {
    struct wildcard_parts parts;

    if (subscription_is_wildcard(u->type)) {
        return check_wildcard(u->identity, i, fault);
    }
    if (wildcard_split(u->identity, &parts)) {
        return subscription_faulty(fault, "wildcard-form", "/impus/#/identity", i,
                                   "an expression between two ! makes a wildcard: its type is "
                                   "wildcarded_user or wildcarded_psi");
    }
    if (!is_distinct(u->identity)) {
        return subscription_faulty(
            fault, "impu-form", "/impus/#/identity", i,
            "a public identity is a SIP URI without parameters and with its host in lower case, "
            "or tel:+ and up to 15 digits");
    }
    return true;
}

bool subscription_check_identity(const struct rec_impu_data *u, size_t i,
                                 struct subscription_fault *fault) {
    bool psi = u->type == IDENTITY_PSI || u->type == IDENTITY_WILDCARDED_PSI;

    if (u->type == IDENTITY_NON_DISTINCT || u->type > IDENTITY_WILDCARDED_USER) {
        return subscription_faulty(fault, "identity-type", "/impus/#/type", i,
                                   "a type is user, psi, wildcarded_user or wildcarded_psi");
    }
    if (!check_form(u, i, fault)) {
        return false;
    }
    if (!psi && (u->inactive || u->server_name.n)) {
        return subscription_faulty(fault, "psi-member",
                                   u->inactive ? "/impus/#/active" : "/impus/#/server_name", i,
                                   "this belongs to public service identities");
    }
    if (psi && (u->barred || u->alias_group.n)) {
        return subscription_faulty(fault, "psi-member",
                                   u->barred ? "/impus/#/barred" : "/impus/#/alias_group", i,
                                   "a public service identity has no barring and no aliases: it "
                                   "is switched off by active");
    }
    if (u->server_name.n && !subscription_is_sip_uri(u->server_name)) {
        return subscription_faulty(fault, "psi-server-name", "/impus/#/server_name", i,
                                   "an application server is named by a SIP URI");
    }
    if (u->is_default && subscription_is_wildcard(u->type)) {
        return subscription_faulty(fault, "wildcard-not-default", "/impus/#/default", i,
                                   "a default identity is one, not a wildcard");
    }
    return true;
}

/* Do two identities of a subscription, at least one a wildcard, have one in common? Distinct ones
 * may stand beside the wildcard that they belong to: they come first. */
static bool check_overlap(const struct rec_impu_data *a, const struct rec_impu_data *b, size_t i,
                          struct subscription_fault *fault) {
    bool overlap = false;
    char text[sizeof fault->text], safe[120];
    struct buf other = buf_init(safe, sizeof safe - 1);

    if (!subscription_is_wildcard(a->type) || !subscription_is_wildcard(b->type) ||
        (wildcard_overlap(a->identity, b->identity, &overlap) == OK && !overlap)) {
        return true;
    }
    buf_escaped(&other, span_slice(a->identity, 0, sizeof safe / 4 - 1));
    safe[other.n] = '\0';
    snprintf(text, sizeof text, "it has identities in common with %s", safe);
    return subscription_faulty(fault, "wildcard-overlaps", "/impus/#/identity", i, text);
}

bool subscription_check_identity_pair(const struct rec_impu_data *a, const struct rec_impu_data *b,
                                      size_t i, struct subscription_fault *fault) {
    bool psi_a = a->type == IDENTITY_PSI || a->type == IDENTITY_WILDCARDED_PSI;
    bool psi_b = b->type == IDENTITY_PSI || b->type == IDENTITY_WILDCARDED_PSI;

    if (a->set == b->set && (psi_a || psi_b)) {
        return subscription_faulty(
            fault, "psi-alone", "/impus/#/set", i,
            "a public service identity is not registered: it stands in a set of its own");
    }
    if (a->set == b->set && a->loose_route != b->loose_route) {
        return subscription_faulty(fault, "set-same-loose-route", "/impus/#/loose_route", i,
                                   "all of an implicit registration set want loose routing, or "
                                   "none of them");
    }
    return check_overlap(a, b, i, fault);
}

bool subscription_check_wildcard_company(const struct rec_subscription_data *s,
                                         struct subscription_fault *fault) {
    bool distinct[SUBSCRIPTION_SLOTS] = {false};
    size_t wildcards = 0;

    for (size_t i = 0; i < s->n_impus; i++) {
        distinct[s->impus[i].set] |= s->impus[i].type == IDENTITY_USER;
        wildcards += subscription_is_wildcard(s->impus[i].type);
        if (wildcards > SUBSCRIPTION_WILDCARDS_MAX) {
            return subscription_faulty(fault, "wildcard-count", "/impus/#/identity", i,
                                       "a subscription has at most 64 wildcards");
        }
    }
    for (size_t i = 0; i < s->n_impus; i++) {
        if (s->impus[i].type == IDENTITY_WILDCARDED_USER && !distinct[s->impus[i].set]) {
            return subscription_faulty(
                fault, "wildcard-not-alone", "/impus/#/set", i,
                "nobody registers by a wildcard: its set needs an identity of type user");
        }
    }
    return true;
}
