/* To challenge, to accept or to refuse: what the S-CSCF does with a REGISTER, as far as
 * authentication goes. TS 24.229 5.4.1.2.1 (unprotected), 5.4.1.2.2 (protected), 5.4.1.2.3
 * (abnormal cases). The decision is a table in challenge.c. */
#ifndef MUSTER_MODEL_REGISTRATION_CHALLENGE_H
#define MUSTER_MODEL_REGISTRATION_CHALLENGE_H

#include "base/span.h"

/** What the Authorization header of a REGISTER carries. */
enum challenge_credentials {
    CREDENTIALS_NONE,     /* no header, or an empty nonce or response: asks for a challenge */
    CREDENTIALS_RIGHT,    /* answers an outstanding nonce, and the response is right */
    CREDENTIALS_WRONG,    /* answers an outstanding nonce, and the response is wrong or empty */
    CREDENTIALS_AUTS,     /* answers an outstanding nonce with AUTS: SQN out of range */
    CREDENTIALS_NO_TOKEN, /* answers an outstanding nonce with neither: the UE refused our MAC */
    CREDENTIALS_STALE,    /* a nonce that is not outstanding: used up, expired, or never ours */
    CREDENTIALS_FORGED,   /* such a nonce with neither response nor AUTS, while a challenge is
                             outstanding: the terminal refused one that did not come from here */
    CREDENTIALS_KINDS
};

/** What the P-CSCF says about the way to the terminal (integrity-protected). */
enum challenge_protection {
    PROTECTION_NONE, /* "no", or no such parameter */
    PROTECTION_YES,  /* "yes": within a security association */
    PROTECTION_KINDS
};

enum challenge_action {
    CHALLENGE_ACCEPT, /* go on to the binding and SAR */
    CHALLENGE_SEND,   /* 401 with a new vector */
    CHALLENGE_AGAIN,  /* the same, and the failure counts */
    CHALLENGE_RESYNC, /* MAR with RAND and AUTS, then 401 */
    CHALLENGE_REFUSE, /* 403, SAR AUTHENTICATION_FAILURE */
    CHALLENGE_IGNORE, /* 403 and nothing else: it changes nothing for the identity */
    CHALLENGE_ACTIONS
};

struct challenge_policy {
    bool accept_without_integrity; /* aka-without-integrity: accept */
    bool reauthenticate;           /* challenge re-registrations within a security association */
    uint32_t attempts_max;         /* wrong responses in a row before 403 */
};

struct challenge_state {
    enum challenge_credentials credentials;
    enum challenge_protection protection;
    bool registered;   /* the contact stands registered: this refreshes or removes it */
    uint32_t failures; /* wrong responses in a row so far */
    uint32_t resyncs;  /* AUTS in a row so far */
};

/** A decision with its reason. */
struct challenge_outcome {
    enum challenge_action action;
    const char *clause; /* of TS 24.229 */
    const char *reason; /* for the log and for trusted neighbours */
};

/** Decides. */
struct challenge_outcome challenge_decide(const struct challenge_policy *policy,
                                          const struct challenge_state *state);

/** What to call an action in logs. */
const char *challenge_action_name(enum challenge_action action);

#endif
