/* TS 24.229 5.4.1.2 as a table: the first row that fits decides.
 *
 * Open choices: a response outside a security association is checked like any other when the
 * operator accepts that, and gets 403 when not (a new challenge would come back the same way); the
 * first AUTS in a row is taken to the HSS, the second means that HSS and terminal do not agree
 * about SQN and gets 403; a used-up nonce gets a new challenge and is no failure. */
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

static const struct row {
    int credentials, protection; /* or ANY */
    condition_fn *condition;
    struct challenge_outcome outcome;
} table[] = {
    {CREDENTIALS_NONE,
     PROTECTION_YES,
     needs_no_challenge,
     {CHALLENGE_ACCEPT, "5.4.1.2.2", "protected re-registration"}},
    {CREDENTIALS_STALE,
     PROTECTION_YES,
     needs_no_challenge,
     {CHALLENGE_ACCEPT, "5.4.1.2.2", "protected re-registration"}},
    {CREDENTIALS_NONE, ANY, NULL, {CHALLENGE_SEND, "5.4.1.2.1", "no response yet"}},
    {CREDENTIALS_STALE, ANY, NULL, {CHALLENGE_SEND, "5.4.1.2.1", "the nonce is not outstanding"}},
    {CREDENTIALS_RIGHT, PROTECTION_YES, NULL, {CHALLENGE_ACCEPT, "5.4.1.2.2", "right response"}},
    {CREDENTIALS_RIGHT,
     PROTECTION_NONE,
     integrity_is_not_needed,
     {CHALLENGE_ACCEPT, "5.4.1.2.1", "right response, without integrity protection"}},
    {CREDENTIALS_RIGHT,
     PROTECTION_NONE,
     NULL,
     {CHALLENGE_REFUSE, "5.4.1.2.1", "response without integrity protection"}},
    {CREDENTIALS_WRONG, ANY, may_try_again, {CHALLENGE_AGAIN, "5.4.1.2.3", "wrong response"}},
    {CREDENTIALS_WRONG, ANY, NULL, {CHALLENGE_REFUSE, "5.4.1.2.3", "too many wrong responses"}},
    {CREDENTIALS_AUTS,
     ANY,
     may_resync,
     {CHALLENGE_RESYNC, "5.4.1.2.3", "sequence number out of range"}},
    {CREDENTIALS_AUTS,
     ANY,
     NULL,
     {CHALLENGE_REFUSE, "5.4.1.2.3", "sequence number out of range again"}},
    {CREDENTIALS_NO_TOKEN,
     ANY,
     NULL,
     {CHALLENGE_REFUSE, "5.4.1.2.3", "the terminal refused the challenge's MAC"}},
    {CREDENTIALS_FORGED,
     ANY,
     NULL,
     {CHALLENGE_IGNORE, "5.4.1.2.3", "the terminal refused a challenge that is not ours"}},
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
    return (struct challenge_outcome){CHALLENGE_REFUSE, "5.4.1.2.3", "no rule fits"};
}

const char *challenge_action_name(enum challenge_action action) {
    static const char *const names[CHALLENGE_ACTIONS] = {
        [CHALLENGE_ACCEPT] = "accept",         [CHALLENGE_SEND] = "challenge",
        [CHALLENGE_AGAIN] = "challenge again", [CHALLENGE_RESYNC] = "resynchronise",
        [CHALLENGE_REFUSE] = "refuse",         [CHALLENGE_IGNORE] = "ignore"};
    return names[action];
}
