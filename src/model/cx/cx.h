/* What the Cx decisions have in common: results and enumerations of TS 29.228 and TS 29.229. */
#ifndef MUSTER_MODEL_CX_CX_H
#define MUSTER_MODEL_CX_CX_H

#include "model/subscription/subscription.h"
#include "spec/cx.h"

/** Set in a result that goes into Experimental-Result (vendor 3GPP), not into Result-Code. */
#define CX_EXPERIMENTAL 0x10000

/** Results of Cx commands (TS 29.229 clause 6.2, RFC 6733 clause 7.1). */
enum cx_result {
    CX_SUCCESS = 2001,
    CX_AUTHORIZATION_REJECTED = 5003,
    CX_MISSING_AVP = 5005,
    CX_AVP_OCCURS_TOO_MANY_TIMES = 5009,
    CX_INVALID_AVP_VALUE = 5004,
    CX_UNABLE_TO_COMPLY = 5012,
    CX_TOO_BUSY = 3004,
    CX_FIRST_REGISTRATION = CX_EXPERIMENTAL | 2001,
    CX_SUBSEQUENT_REGISTRATION = CX_EXPERIMENTAL | 2002,
    CX_UNREGISTERED_SERVICE = CX_EXPERIMENTAL | 2003,
    CX_SERVER_NAME_NOT_STORED = CX_EXPERIMENTAL | 2004,
    CX_USER_UNKNOWN = CX_EXPERIMENTAL | 5001,
    CX_IDENTITIES_DONT_MATCH = CX_EXPERIMENTAL | 5002,
    CX_IDENTITY_NOT_REGISTERED = CX_EXPERIMENTAL | 5003,
    CX_ROAMING_NOT_ALLOWED = CX_EXPERIMENTAL | 5004,
    CX_IDENTITY_ALREADY_REGISTERED = CX_EXPERIMENTAL | 5005,
    CX_AUTH_SCHEME_NOT_SUPPORTED = CX_EXPERIMENTAL | 5006,
    CX_IN_ASSIGNMENT_TYPE = CX_EXPERIMENTAL | 5007,
    CX_TOO_MUCH_DATA = CX_EXPERIMENTAL | 5008,
};

/** The code alone, as it stands in the AVP. */
static inline uint32_t cx_result_code(enum cx_result r) {
    return (uint32_t)r & 0xffff;
}

/** Does it go into Experimental-Result? */
static inline bool cx_result_is_experimental(enum cx_result r) {
    return ((uint32_t)r & CX_EXPERIMENTAL) != 0;
}

/** Is it a success (2xxx)? */
static inline bool cx_result_is_success(enum cx_result r) {
    return cx_result_code(r) / 1000 == 2;
}

/** The result as the standards name it ("DIAMETER_FIRST_REGISTRATION"). Never NULL. */
const char *cx_result_name(enum cx_result r);

/** Server-Assignment-Types from 0 up that belong to Cx; the others are for SWx. */
enum { CX_SERVER_ASSIGNMENT_TYPES = 12 };

/** Features of Cx (TS 29.229 7.1.1, Feature-List-ID 1), or-ed: what an S-CSCF says that it
 * supports.
 */
enum cx_feature {
    CX_FEATURE_SIFC = 1 << 0,        /* shared sets of filter criteria */
    CX_FEATURE_ALIAS = 1 << 1,       /* AliasInd */
    CX_FEATURE_RESTORATION = 1 << 2, /* IMSRestorationInd */
};

enum { CX_FEATURE_LIST = 1 };

/** Finds IMPI and IMPU in the subscription of the IMPU and checks that they belong together (TS
 * 29.228 6.1.1.1 steps 1 and 2, 6.3.1 steps 1 and 2): CX_SUCCESS, CX_USER_UNKNOWN (also for an
 * IMPU that is no distinct public user identity: nobody registers by it) or
 * CX_IDENTITIES_DONT_MATCH. s is NULL if the IMPU is unknown; impi_elsewhere says that another
 * subscription has the IMPI. */
enum cx_result cx_match(const struct subscription *s, struct span impi, struct span impu,
                        bool impi_elsewhere, struct rec_impi *private_identity,
                        struct rec_impu *public_identity);

/** The type as the standard names it ("RE_REGISTRATION"). Never NULL. */
const char *cx_server_assignment_type_name(unsigned type);

#endif
