/* UAR: may this terminal register, and which S-CSCF serves it? TS 29.228 6.1.1.1. */
#ifndef MUSTER_MODEL_CX_USER_AUTHORIZATION_H
#define MUSTER_MODEL_CX_USER_AUTHORIZATION_H

#include "model/cx/cx.h"

struct user_authorization_request {
    struct span impi;            /* User-Name */
    struct span impu;            /* Public-Identity */
    bool impi_elsewhere;         /* another subscription has the IMPI */
    struct span visited_network; /* Visited-Network-Identifier */
    enum cx_user_authorization_type type;
    bool emergency; /* UAR-Flags, bit 0: neither barring nor roaming is looked at */
};

struct user_authorization {
    enum cx_result result;
    bool send_server_name;          /* Server-Name: the subscription's S-CSCF */
    bool send_capabilities;         /* Server-Capabilities */
    bool note_reassignment_pending; /* another S-CSCF may take over from now on */
};

/** Decides. s is the subscription of the IMPU, or NULL if it is unknown. */
struct user_authorization user_authorize(const struct subscription *s,
                                         const struct user_authorization_request *request,
                                         struct span home_domain);

#endif
