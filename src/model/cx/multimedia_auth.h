/* MAR: authentication vectors and credentials for an S-CSCF. TS 29.228 6.3.1. */
#ifndef MUSTER_MODEL_CX_MULTIMEDIA_AUTH_H
#define MUSTER_MODEL_CX_MULTIMEDIA_AUTH_H

#include "model/cx/cx.h"

/** What may stand in SIP-Authentication-Scheme (TS 29.229 6.3.9), or-ed. */
enum multimedia_auth_scheme {
    MULTIMEDIA_AUTH_AKA = 1 << 0,    /* "Digest-AKAv1-MD5": vectors; AKAv2 is made of the same */
    MULTIMEDIA_AUTH_DIGEST = 1 << 1, /* "SIP Digest": HA1 */
};

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
    unsigned schemes;   /* what to send: enum multimedia_auth_scheme, never 0 on success */
    bool note_server;   /* the asking S-CSCF becomes the (softly noted) S-CSCF */
    bool note_pending;  /* authentication is pending for the IMPI */
};

/** Decides. s is the subscription of the IMPU, or NULL if it is unknown. */
struct multimedia_auth multimedia_authenticate(const struct subscription *s,
                                               const struct multimedia_auth_request *request);

/** The schemes that a SIP-Authentication-Scheme asks for; all for "Unknown" and an empty one; 0:
 * none that is known here. */
unsigned multimedia_auth_schemes_of(struct span scheme);

/** The name of one scheme: "Digest-AKAv1-MD5" or "SIP Digest". */
struct span multimedia_auth_scheme_name(enum multimedia_auth_scheme scheme);

#endif
