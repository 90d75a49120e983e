/* Contacts bound to public identities: what a REGISTER does to the bindings of one private identity
 * on one implicit registration set. RFC 3261 10.3, RFC 5626 6, TS 24.229 5.4.1.2.2F and 5.4.1.4.
 * Pure rules over values. */
#ifndef MUSTER_MODEL_REGISTRATION_BINDING_H
#define MUSTER_MODEL_REGISTRATION_BINDING_H

#include "base/span.h"

enum { REGISTRATION_CONTACTS_MAX = 16 };

/** The limits of a registrar, in seconds and numbers. */
struct registration_policy {
    uint32_t expires_min_s;     /* shorter ones (but 0) get 423 */
    uint32_t expires_max_s;     /* longer ones are shortened to it */
    uint32_t expires_default_s; /* granted when nothing is asked for */
    uint32_t contacts_max;      /* bindings per private identity and set, at most
                                   REGISTRATION_CONTACTS_MAX */
};

/** One contact of a REGISTER. */
struct registration_contact {
    struct span uri;      /* as between < and >; compared as RFC 3261 19.1.4 says */
    struct span instance; /* value of +sip.instance without quotes; empty: none */
    struct span params;   /* all parameters behind the URI */
    bool expires_given;   /* it has a parameter expires of its own */
    uint32_t expires_s;   /* that parameter's value; too large values are clipped to 2^32-1 */
    uint32_t reg_id;      /* 0: none, or the request does not say that it supports outbound */
};

/** What a REGISTER asks for. */
struct registration_request {
    struct span call_id;
    uint32_t cseq;
    bool expires_given; /* header Expires */
    uint32_t expires_s;
    bool star;               /* Contact: * */
    bool first_hop_outbound; /* the edge of the network keeps flows: `ob` in its Path URI */
    const struct registration_contact *contacts;
    size_t n_contacts;
};

/** One standing binding, as the rules see it. */
struct registration_binding {
    struct span uri, instance, call_id;
    uint32_t reg_id;
    uint32_t cseq;
};

enum registration_verdict {
    REGISTRATION_UPDATE,    /* the bindings change as the steps say; n_left 0: de-registration */
    REGISTRATION_FETCH,     /* no contact: only tell what stands */
    REGISTRATION_BAD_STAR,  /* 400: "*" beside another contact, or without Expires 0 */
    REGISTRATION_TOO_BRIEF, /* 423 with Min-Expires */
    REGISTRATION_TOO_MANY,  /* 403: the limit of contacts is reached */
    REGISTRATION_SEVERAL_FLOWS,  /* 400: a REGISTER is about one flow (RFC 5626 6) */
    REGISTRATION_LACKS_OUTBOUND, /* 439: a flow through an edge that does not keep it */
    REGISTRATION_OUT_OF_ORDER    /* 500: same Call-ID, CSeq not higher (RFC 3261 10.3 step 7) */
};

enum registration_step_kind { REGISTRATION_ADD, REGISTRATION_REFRESH, REGISTRATION_REMOVE };

/** One change: to a standing binding, from a contact of the request, or both. */
struct registration_step {
    enum registration_step_kind kind;
    int binding; /* index in the standing ones; -1 for ADD */
    int contact; /* index in the request; -1 for a binding that is removed because replaced */
    uint32_t expires_s;
};

struct registration_outcome {
    enum registration_verdict verdict;
    size_t n_steps;
    struct registration_step steps[2 * REGISTRATION_CONTACTS_MAX];
    size_t n_left; /* bindings that stand afterwards */
};

/** Decides. n bindings stand, at most REGISTRATION_CONTACTS_MAX, all of the REGISTER's private
 * identity and set. A contact without reg-id replaces every binding of the pair that the request
 * does not name; with reg-id, only the flow of the same instance and reg-id. */
void registration_decide(const struct registration_policy *policy,
                         const struct registration_request *request,
                         const struct registration_binding *bindings, size_t n,
                         struct registration_outcome *out);

/** What one contact is granted: its own expires, the header's, or the default, cut to the maximum.
 * 0 means removal. False: too brief (but not 0). */
MUST_CHECK bool registration_expires(const struct registration_policy *policy,
                                     const struct registration_request *request,
                                     const struct registration_contact *contact,
                                     uint32_t *expires_s);

#endif
