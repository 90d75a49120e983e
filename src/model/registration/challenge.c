/* TS 24.229 5.4.1.1 and 5.4.1.2 as tables: the first row that fits decides.
 *
 * Open choices: a response outside a security association is checked like any other when the
 * operator accepts that, and gets 403 when not (a new challenge would come back the same way); the
 * first AUTS in a row is taken to the HSS, the second means that HSS and terminal do not agree
 * about SQN and gets 403; a used-up nonce gets a new challenge and is no failure.
 *
 * SIP Digest: a right response counts wherever it comes from, since it proves the password and not
 * the way; a nonce that is not known any more, or a count that was there before, gets a challenge
 * with "stale", so that clients go on without asking their user, but only one such at a time. A
 * REGISTER that does not say what the terminal can do lets the HSS choose ("Unknown"): without
 * security associations a terminal with a card looks like a client with a password at first. */
#include "model/registration/challenge.h"

#include "base/attribute.h"

enum { ANY = -1, RESYNCS_MAX = 2 };

/* A question about policy and state; NULL: always. */
typedef bool condition_fn(const struct challenge_policy *p, const struct challenge_state *s);

static bool needs_no_challenge(const struct challenge_policy *p, const struct challenge_state *s) {
    return s->registered && !p->reauthenticate;
}

static bool integrity_is_not_needed(const struct challenge_policy *p,
                                    const struct challenge_state *s) {
    (void)s;
    return p->accept_without_integrity;
}

static bool may_try_again(const struct challenge_policy *p, const struct challenge_state *s) {
    return s->failures + 1 < p->attempts_max;
}

static bool may_resync(const struct challenge_policy *p, const struct challenge_state *s) {
    (void)p;
    return s->resyncs + 1 < RESYNCS_MAX;
}

static bool trusts(const struct challenge_policy *p, const struct challenge_state *s) {
    (void)s;
    return p->trust_auth_done;
}

static bool is_digest(const struct challenge_policy *p, const struct challenge_state *s) {
    (void)p;
    return s->method == METHOD_DIGEST;
}

static bool may_say_stale(const struct challenge_policy *p, const struct challenge_state *s) {
    (void)p;
    return !s->stale_told;
}

static const struct row {
    int credentials, protection; /* or ANY */
    condition_fn *condition;
    struct challenge_outcome outcome;
} table[] = {
    {ANY, PROTECTION_DONE, trusts, {CHALLENGE_ACCEPT, "5.4.1.2.2E", REASON_AUTHENTICATED_BEFORE}},
    {CREDENTIALS_NONE,
     PROTECTION_YES,
     needs_no_challenge,
     {CHALLENGE_ACCEPT, "5.4.1.2.2", REASON_AUTHENTICATED_BEFORE}},
    {CREDENTIALS_STALE,
     PROTECTION_YES,
     needs_no_challenge,
     {CHALLENGE_ACCEPT, "5.4.1.2.2", REASON_AUTHENTICATED_BEFORE}},
    {CREDENTIALS_NONE, ANY, NULL, {CHALLENGE_SEND, "5.4.1.2.1", REASON_NO_RESPONSE_YET}},
    {CREDENTIALS_STALE, ANY, NULL, {CHALLENGE_SEND, "5.4.1.2.1", REASON_NONCE_NOT_OUTSTANDING}},
    {CREDENTIALS_AGED, ANY, may_say_stale, {CHALLENGE_STALE, "5.4.1.2.3B", REASON_NONCE_TOO_OLD}},
    {CREDENTIALS_AGED, ANY, NULL, {CHALLENGE_SEND, "5.4.1.2.3B", REASON_NONCE_TOO_OLD}},
    {CREDENTIALS_REPLAYED,
     ANY,
     may_say_stale,
     {CHALLENGE_STALE, "5.4.1.2.3B", REASON_NONCE_COUNT_REPEATED}},
    {CREDENTIALS_REPLAYED, ANY, NULL, {CHALLENGE_SEND, "5.4.1.2.3B", REASON_NONCE_COUNT_REPEATED}},
    {CREDENTIALS_RIGHT, ANY, is_digest, {CHALLENGE_ACCEPT, "5.4.1.2.2A", REASON_RESPONSE_RIGHT}},
    {CREDENTIALS_RIGHT,
     PROTECTION_YES,
     NULL,
     {CHALLENGE_ACCEPT, "5.4.1.2.2", REASON_RESPONSE_RIGHT}},
    {CREDENTIALS_RIGHT,
     ANY,
     integrity_is_not_needed,
     {CHALLENGE_ACCEPT, "5.4.1.2.1", REASON_RESPONSE_RIGHT_UNPROTECTED}},
    {CREDENTIALS_RIGHT, ANY, NULL, {CHALLENGE_REFUSE, "5.4.1.2.1", REASON_NO_INTEGRITY}},
    {CREDENTIALS_WRONG, ANY, may_try_again, {CHALLENGE_AGAIN, "5.4.1.2.3", REASON_WRONG_RESPONSE}},
    {CREDENTIALS_WRONG,
     ANY,
     NULL,
     {CHALLENGE_REFUSE, "5.4.1.2.3", REASON_TOO_MANY_WRONG_RESPONSES}},
    {CREDENTIALS_AUTS, ANY, may_resync, {CHALLENGE_RESYNC, "5.4.1.2.3", REASON_SQN_OUT_OF_RANGE}},
    {CREDENTIALS_AUTS, ANY, NULL, {CHALLENGE_REFUSE, "5.4.1.2.3", REASON_SQN_OUT_OF_RANGE_AGAIN}},
    {CREDENTIALS_NO_TOKEN, ANY, NULL, {CHALLENGE_REFUSE, "5.4.1.2.3", REASON_AUTN_REFUSED}},
    {CREDENTIALS_FORGED, ANY, NULL, {CHALLENGE_IGNORE, "5.4.1.2.3", REASON_AUTN_NOT_OURS}},
};

struct challenge_outcome challenge_decide(const struct challenge_policy *policy,
                                          const struct challenge_state *state) {
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        const struct row *r = &table[i];
        if ((r->credentials == ANY || r->credentials == (int)state->credentials) &&
            (r->protection == ANY || r->protection == (int)state->protection) &&
            (!r->condition || r->condition(policy, state))) {
            return r->outcome;
        }
    }
    return (struct challenge_outcome){CHALLENGE_REFUSE, "5.4.1.2.3", REASON_UNEXPECTED_EVENT};
}

const char *challenge_action_name(enum challenge_action action) {
    static const char *const names[CHALLENGE_ACTIONS] = {
        [CHALLENGE_ACCEPT] = "accept",          [CHALLENGE_SEND] = "challenge",
        [CHALLENGE_STALE] = "challenge, stale", [CHALLENGE_AGAIN] = "challenge again",
        [CHALLENGE_RESYNC] = "resynchronise",   [CHALLENGE_REFUSE] = "refuse",
        [CHALLENGE_IGNORE] = "ignore"};
    return names[action];
}

enum challenge_protection challenge_protection_of(struct span value) {
    static const struct {
        struct span text;
        enum challenge_protection protection;
    } values[] = {
        {SPAN_INIT("no"), PROTECTION_NO},
        {SPAN_INIT("yes"), PROTECTION_YES},
        {SPAN_INIT("ip-assoc-pending"), PROTECTION_IP_PENDING},
        {SPAN_INIT("ip-assoc-yes"), PROTECTION_IP_YES},
        {SPAN_INIT("tls-pending"), PROTECTION_TLS_PENDING},
        {SPAN_INIT("tls-yes"), PROTECTION_TLS_YES},
        {SPAN_INIT("auth-done"), PROTECTION_DONE},
    };
    for (size_t i = 0; value.n && i < COUNT_OF(values); i++) {
        if (span_eq_nocase(value, values[i].text)) {
            return values[i].protection;
        }
    }
    return PROTECTION_NONE;
}

enum challenge_scheme challenge_scheme(bool has_authorization, struct span algorithm,
                                       enum challenge_protection protection) {
    static const enum challenge_scheme by_protection[PROTECTION_KINDS] = {
        [PROTECTION_NONE] = SCHEME_UNKNOWN,   [PROTECTION_NO] = SCHEME_AKA,
        [PROTECTION_YES] = SCHEME_AKA,        [PROTECTION_IP_PENDING] = SCHEME_DIGEST,
        [PROTECTION_IP_YES] = SCHEME_DIGEST,  [PROTECTION_TLS_PENDING] = SCHEME_DIGEST,
        [PROTECTION_TLS_YES] = SCHEME_DIGEST, [PROTECTION_DONE] = SCHEME_UNKNOWN,
    };
    enum auth_algorithm named;
    if (!has_authorization) {
        return SCHEME_UNKNOWN;
    }
    if (algorithm.n && auth_algorithm_parse(algorithm, &named)) {
        return auth_algorithm_is_aka(named) ? SCHEME_AKA : SCHEME_DIGEST;
    }
    return by_protection[protection];
}

struct span challenge_scheme_name(enum challenge_scheme scheme) {
    return scheme == SCHEME_AKA      ? SPAN("Digest-AKAv1-MD5")
           : scheme == SCHEME_DIGEST ? SPAN("SIP Digest")
                                     : SPAN("Unknown");
}

size_t challenge_offers(const enum auth_algorithm *preferred, size_t n, unsigned possible,
                        enum auth_algorithm out[AUTH_ALGORITHMS]) {
    size_t n_out = 0;
    for (size_t i = 0; i < n && n_out < AUTH_ALGORITHMS; i++) {
        if (possible & AUTH_BIT(preferred[i])) {
            possible &= ~AUTH_BIT(preferred[i]);
            out[n_out++] = preferred[i];
        }
    }
    return n_out;
}
