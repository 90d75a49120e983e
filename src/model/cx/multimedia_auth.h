/* MAR: authentication vectors for an S-CSCF. TS 29.228 6.3.1. */
#ifndef MUSTER_MODEL_CX_MULTIMEDIA_AUTH_H
#define MUSTER_MODEL_CX_MULTIMEDIA_AUTH_H

#include "model/cx/cx.h"

struct multimedia_auth_request {
    struct span impi;        /* User-Name */
    struct span impu;        /* Public-Identity */
    bool impi_elsewhere;     /* another subscription has the IMPI */
    struct span server_name; /* of the S-CSCF that asks */
    struct span scheme;      /* SIP-Authentication-Scheme; "Unknown" or empty: the HSS chooses */
    bool resynchronise;      /* SIP-Authorization is there: RAND and AUTS */
};

struct multimedia_auth {
    enum cx_result result;
    unsigned impi_slot; /* whose credentials; valid on success */
    bool note_server;   /* the asking S-CSCF becomes the (softly noted) S-CSCF */
    bool note_pending;  /* authentication is pending for the IMPI */
};

/** Decides. s is the subscription of the IMPU, or NULL if it is unknown. */
struct multimedia_auth multimedia_authenticate(const struct subscription *s,
                                               const struct multimedia_auth_request *request);

/** The scheme that AKA credentials serve: "Digest-AKAv1-MD5". */
struct span multimedia_auth_scheme(void);

#endif
