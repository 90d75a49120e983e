/* To challenge, to accept or to refuse: what the S-CSCF does with a REGISTER, as far as
 * authentication goes. TS 24.229 5.4.1.1 (which mechanism), 5.4.1.2.1 to 5.4.1.2.1C (unprotected),
 * 5.4.1.2.2 to 5.4.1.2.2E (protected), 5.4.1.2.3 (abnormal cases). The decisions are tables in
 * challenge.c. */
#ifndef MUSTER_MODEL_REGISTRATION_CHALLENGE_H
#define MUSTER_MODEL_REGISTRATION_CHALLENGE_H

#include "model/registration/algorithm.h"
#include "spec/reasons.h"

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
    CREDENTIALS_AGED, /* SIP Digest with a nonce that is not known any more: its time is over, or
                         a restart forgot it */
    CREDENTIALS_REPLAYED, /* SIP Digest with a right response whose nonce count was there before */
    CREDENTIALS_KINDS
};

/** What the P-CSCF says about the way to the terminal (integrity-protected, TS 24.229 7.2A.2). */
enum challenge_protection {
    PROTECTION_NONE,        /* no such parameter, or a value that is not known here */
    PROTECTION_NO,          /* "no": IMS AKA, and no security association stands yet */
    PROTECTION_YES,         /* "yes": within a security association */
    PROTECTION_IP_PENDING,  /* "ip-assoc-pending": SIP Digest, the address is new */
    PROTECTION_IP_YES,      /* "ip-assoc-yes": SIP Digest from the address that registered */
    PROTECTION_TLS_PENDING, /* "tls-pending": SIP Digest over a TLS session not authenticated yet */
    PROTECTION_TLS_YES,     /* "tls-yes": over the one that registered */
    PROTECTION_DONE,        /* "auth-done": somebody trusted has authenticated the user already */
    PROTECTION_KINDS
};

/** The mechanism that credentials belong to. */
enum challenge_method { METHOD_AKA, METHOD_DIGEST, METHOD_KINDS };

enum challenge_action {
    CHALLENGE_ACCEPT, /* go on to the binding and SAR */
    CHALLENGE_SEND,   /* 401 with a new vector */
    CHALLENGE_STALE,  /* the same, and the terminal may answer without asking its user again */
    CHALLENGE_AGAIN,  /* a new challenge as well, and the failure counts */
    CHALLENGE_RESYNC, /* MAR with RAND and AUTS, then 401 */
    CHALLENGE_REFUSE, /* 403, SAR AUTHENTICATION_FAILURE */
    CHALLENGE_IGNORE, /* 403 and nothing else: it changes nothing for the identity */
    CHALLENGE_ACTIONS
};

struct challenge_policy {
    bool accept_without_integrity; /* aka-without-integrity: accept */
    bool reauthenticate;           /* challenge re-registrations within a security association */
    uint32_t attempts_max;         /* wrong responses in a row before 403 */
    bool trust_auth_done;          /* "auth-done" counts: 5.4.1.2.2E */
};

struct challenge_state {
    enum challenge_credentials credentials;
    enum challenge_protection protection;
    bool registered;              /* the contact stands registered: this refreshes or removes it */
    uint32_t failures;            /* wrong responses in a row so far */
    uint32_t resyncs;             /* AUTS in a row so far */
    enum challenge_method method; /* of the credentials; any without */
    bool stale_told; /* a challenge that says "stale" is outstanding for this identity already */
};

/** A decision with its reason. */
struct challenge_outcome {
    enum challenge_action action;
    const char *clause; /* of TS 24.229 */
    enum reason reason;
};

/** Decides. */
struct challenge_outcome challenge_decide(const struct challenge_policy *policy,
                                          const struct challenge_state *state);

/** Reads a value of integrity-protected; an empty or unknown one is PROTECTION_NONE. */
enum challenge_protection challenge_protection_of(struct span value);

/** What to ask the HSS for (SIP-Authentication-Scheme, TS 29.229 6.3.9). */
enum challenge_scheme { SCHEME_AKA, SCHEME_DIGEST, SCHEME_UNKNOWN };

/** Decides on the mechanism (5.4.1.1): has_authorization says if the REGISTER has the header,
 * algorithm is that header's parameter (empty: absent). */
enum challenge_scheme challenge_scheme(bool has_authorization, struct span algorithm,
                                       enum challenge_protection protection);

/** Its name on Cx: "Digest-AKAv1-MD5", "SIP Digest", "Unknown". */
struct span challenge_scheme_name(enum challenge_scheme scheme);

/** Which algorithms to offer, in the order of their challenges (RFC 8760 2.4: the first is
 * preferred): those of `preferred` that stand in `possible` (AUTH_BITs). Returns their number. */
size_t challenge_offers(const enum auth_algorithm *preferred, size_t n, unsigned possible,
                        enum auth_algorithm out[AUTH_ALGORITHMS]);

/** What to call an action in logs. */
const char *challenge_action_name(enum challenge_action action);

#endif
