/* LIR: where is this user served? TS 29.228 6.1.4.1. */
#ifndef MUSTER_MODEL_CX_LOCATION_INFO_H
#define MUSTER_MODEL_CX_LOCATION_INFO_H

#include "model/cx/cx.h"

struct location_info_request {
    struct span impu;           /* Public-Identity */
    bool unregistered_services; /* its profile has filter criteria for the unregistered state */
    bool originating;           /* Originating-Request */
    bool with_capabilities;     /* User-Authorization-Type REGISTRATION_AND_CAPABILITIES */
};

struct location_info {
    enum cx_result result;
    bool send_server_name;
    bool send_capabilities;
    bool note_reassignment_pending;
};

/** Decides. s is NULL if impu is unknown. */
struct location_info location_inform(const struct subscription *s,
                                     const struct location_info_request *request);

#endif
