/* SAR: an S-CSCF takes, keeps or gives up a subscription's identities. TS 29.228 6.1.2.1.
 *
 * One table (server_assignment_rules) holds what each of the twelve Server-Assignment-Types does in
 * each registration state; the function walks it. */
#ifndef MUSTER_MODEL_CX_SERVER_ASSIGNMENT_H
#define MUSTER_MODEL_CX_SERVER_ASSIGNMENT_H

#include "model/cx/cx.h"

struct server_assignment_request {
    unsigned type;            /* enum cx_server_assignment_type */
    struct span impi;         /* User-Name; empty: none */
    bool impi_elsewhere;      /* another subscription has the IMPI */
    const struct span *impus; /* Public-Identity, or the wildcard that it was found by */
    size_t n_impus;
    struct span server_name;
    struct span server_host; /* Origin-Host */
    bool user_data_already_available;
    bool keep_server_name; /* policy for types 6 and 7: keep the S-CSCF, as it asks */
    bool fixed_impi;       /* policy: one more private identity stands for the subscription */
    uint32_t features;     /* enum cx_feature: what the S-CSCF says that it supports */
};

/** What comes out. */
struct server_assignment {
    enum cx_result result;
    bool changed;              /* `state` differs from what it was: save it before the answer */
    struct registration state; /* spans point into the request or the old state */
    struct subscription_notes notes; /* what is noted from now on */
    bool send_user_data;             /* User-Data of `set` */
    bool send_charging;              /* Charging-Information */
    bool send_associated;            /* Associated-Identities: all IMPIs, as there are several,
                                      * with the fixed one if that is the policy */
    bool send_server_name;           /* Server-Name: who it is assigned to, with 5005 */
    uint64_t registered;             /* Associated-Registered-Identities: bits of IMPI slots; 0: it
                                      * is not sent */
    bool loose_route;                /* Loose-Route-Indication: LOOSE_ROUTE_REQUIRED */
    bool privileged_sender;          /* Priviledged-Sender-Indication */
    struct span wildcard;        /* Wildcarded-Public-Identity; empty: none. Points into the data */
    bool has_impi;               /* is impi_slot meant? */
    unsigned impi_slot;          /* User-Name of the answer, PrivateID of User-Data */
    unsigned set;                /* of the first identity, for User-Data */
    uint64_t assigned, released; /* bits of sets that became (not) registered, for counters */
};

/** Decides. s is the subscription of the first Public-Identity, of the IMPI if there is none; NULL
 * if that is unknown. */
void server_assign(const struct subscription *s, const struct server_assignment_request *request,
                   struct server_assignment *out);

/** What a SAR that comes from another S-CSCF than the assigned one gets. */
enum server_assignment_conflict {
    CONFLICT_COMPLY,  /* UNABLE_TO_COMPLY, unless reassignment is pending; also if none is assigned
                       */
    CONFLICT_ALREADY, /* IDENTITY_ALREADY_REGISTERED, unless reassignment is pending */
    CONFLICT_ALWAYS,  /* IDENTITY_ALREADY_REGISTERED in any case */
};

/** What happens to a set. */
enum server_assignment_action {
    ASSIGN_NOTHING,    /* the state stays */
    ASSIGN_REFUSE,     /* ERROR_IN_ASSIGNMENT_TYPE */
    ASSIGN_REGISTER,   /* REGISTERED by this IMPI; the name is stored */
    ASSIGN_UNREGISTER, /* UNREGISTERED; the name is stored */
    ASSIGN_RELEASE,    /* the IMPI leaves; after the last one NOT_REGISTERED */
    ASSIGN_KEEP,     /* the IMPI leaves; after the last one UNREGISTERED with the name kept, or, as
                      * policy says, NOT_REGISTERED and SERVER_NAME_NOT_STORED */
    ASSIGN_NOT_KEPT, /* the state stays; SERVER_NAME_NOT_STORED */
};

/** One row of the table. */
struct server_assignment_rule {
    enum server_assignment_conflict conflict;
    enum server_assignment_action action[3]; /* by enum registration_state */
    bool needs_impi;                         /* User-Name is mandatory */
    bool users_only;       /* services and wildcards cannot do this: ERROR_IN_ASSIGNMENT_TYPE */
    bool deregisters;      /* several Public-Identities, or none (all of the IMPI), are allowed */
    bool downloads;        /* User-Data, Charging-Information, Associated-Identities,
                            * Loose-Route-Indication and Priviledged-Sender-Indication go back */
    bool lists_registered; /* and so do Associated-Registered-Identities */
    bool ends_pending;     /* authentication is over for the IMPI */
};

/** The table, by Server-Assignment-Type. */
extern const struct server_assignment_rule server_assignment_rules[CX_SERVER_ASSIGNMENT_TYPES];

#endif
