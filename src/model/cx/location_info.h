/* LIR: where is this user served? TS 29.228 6.1.4.1. */
#ifndef MUSTER_MODEL_CX_LOCATION_INFO_H
#define MUSTER_MODEL_CX_LOCATION_INFO_H

#include "model/cx/cx.h"

struct location_info_request {
    struct span impu;           /* Public-Identity, or the wildcard that it was found by */
    bool unregistered_services; /* its profile has filter criteria for the unregistered state */
    bool originating;           /* Originating-Request */
    bool with_capabilities;     /* User-Authorization-Type REGISTRATION_AND_CAPABILITIES */
};

struct location_info {
    enum cx_result result;
    bool send_server_name;
    bool send_capabilities;
    struct span direct;   /* Server-Name is this application server, with LIA-Flags; empty: not */
    struct span wildcard; /* Wildcarded-Public-Identity: what the identity was found by; empty: by
                           * itself. Both point into the subscription */
    bool note_reassignment_pending;
};

/** Decides. s is NULL if impu is unknown. */
struct location_info location_inform(const struct subscription *s,
                                     const struct location_info_request *request);

#endif
