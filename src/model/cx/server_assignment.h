/* SAR: an S-CSCF takes, keeps or gives up a subscription's identities. TS 29.228 6.1.2.1.
 *
 * One table (server_assignment_rules) holds what each of the twelve Server-Assignment-Types does in
 * each registration state; the function walks it. */
#ifndef MUSTER_MODEL_CX_SERVER_ASSIGNMENT_H
#define MUSTER_MODEL_CX_SERVER_ASSIGNMENT_H

#include "model/cx/cx.h"
#include "model/subscription/subscription.h"

struct server_assignment_request {
    enum cx_server_assignment_type type;
    struct span impi;         /* User-Name; may be empty (NO_ASSIGNMENT, UNREGISTERED_USER, and
                               * de-registrations that name IMPUs) */
    const struct span *impus; /* Public-Identity; none: all of the IMPI (de-registrations only) */
    size_t n_impus;
    struct span server_name;
    struct span server_host; /* Origin-Host */
    bool user_data_already_available;
    bool keep_server_name; /* policy for types 6 and 7: keep the S-CSCF, as asked */
};

/** What comes out. */
struct server_assignment {
    enum cx_result result;
    bool changed;                /* `state` differs from what it was: save before the answer */
    struct registration state;   /* spans point into the request or the old state */
    uint64_t clear_pending;      /* bits of IMPI slots whose authentication is no longer pending */
    bool forget_server;          /* a softly noted S-CSCF is forgotten too */
    bool send_user_data;         /* User-Data of `set` */
    bool send_charging;          /* Charging-Information */
    bool send_associated;        /* Associated-Identities: all IMPIs, if there are several */
    bool send_server_name;       /* Server-Name: who it is assigned to, with 5005 */
    unsigned set;                /* of the (first) identity */
    unsigned impi_slot;          /* who User-Name and User-Data's PrivateID are; valid on success */
    unsigned failed_impu;        /* index of the superfluous Public-Identity, with 5009 */
    uint64_t assigned, released; /* bits of sets that became (not) registered, for counters */
};

/** Decides. s as for user_authorize (by the first Public-Identity). */
void server_assign(const struct subscription *s, const struct server_assignment_request *request,
                   struct server_assignment *out);

/** How a type treats who asks. */
enum server_assignment_conflict {
    SERVER_ANY,             /* does not matter */
    SERVER_SAME_OR_COMPLY,  /* another S-CSCF: UNABLE_TO_COMPLY unless reassignment is pending */
    SERVER_SAME_OR_ALREADY, /* another S-CSCF: IDENTITY_ALREADY_REGISTERED unless pending */
    SERVER_SAME,            /* another S-CSCF: UNABLE_TO_COMPLY */
};

/** What happens to the pair of IMPI and set, or to the set. */
enum server_assignment_action {
    ASSIGN_NOTHING,
    ASSIGN_REFUSE,     /* ERROR_IN_ASSIGNMENT_TYPE */
    ASSIGN_REGISTER,   /* REGISTERED by this IMPI; the name is stored */
    ASSIGN_UNREGISTER, /* UNREGISTERED; the name is stored */
    ASSIGN_RELEASE,    /* the pair leaves; after the last one NOT_REGISTERED */
    ASSIGN_KEEP,       /* the pair leaves; after the last one UNREGISTERED with the name kept, or
                        * NOT_REGISTERED and SERVER_NAME_NOT_STORED, as the policy says */
    ASSIGN_FAILED,     /* authentication failed: the state stays; a NOT_REGISTERED subscription
                        * loses its S-CSCF */
};

/** One row of the table. */
struct server_assignment_rule {
    enum server_assignment_conflict conflict;
    enum server_assignment_action action[UNREGISTERED + 1]; /* by enum registration_state */
    bool one_identity;                                      /* exactly one Public-Identity */
    bool needs_impi;                                        /* User-Name is mandatory */
    bool takes_all; /* no Public-Identity means all of the IMPI */
    bool downloads; /* User-Data goes back */
    const char *clause;
};

/** The table, by Server-Assignment-Type. */
extern const struct server_assignment_rule server_assignment_rules[CX_SERVER_ASSIGNMENT_TYPES];

#endif
