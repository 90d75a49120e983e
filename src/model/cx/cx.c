#include "model/cx/cx.h"

const char *cx_result_name(enum cx_result r) {
    switch (r) {
    case CX_SUCCESS:
        return "DIAMETER_SUCCESS";
    case CX_TOO_BUSY:
        return "DIAMETER_TOO_BUSY";
    case CX_AUTHORIZATION_REJECTED:
        return "DIAMETER_AUTHORIZATION_REJECTED";
    case CX_MISSING_AVP:
        return "DIAMETER_MISSING_AVP";
    case CX_AVP_OCCURS_TOO_MANY_TIMES:
        return "DIAMETER_AVP_OCCURS_TOO_MANY_TIMES";
    case CX_INVALID_AVP_VALUE:
        return "DIAMETER_INVALID_AVP_VALUE";
    case CX_UNABLE_TO_COMPLY:
        return "DIAMETER_UNABLE_TO_COMPLY";
    case CX_FIRST_REGISTRATION:
        return "DIAMETER_FIRST_REGISTRATION";
    case CX_SUBSEQUENT_REGISTRATION:
        return "DIAMETER_SUBSEQUENT_REGISTRATION";
    case CX_UNREGISTERED_SERVICE:
        return "DIAMETER_UNREGISTERED_SERVICE";
    case CX_SERVER_NAME_NOT_STORED:
        return "DIAMETER_SUCCESS_SERVER_NAME_NOT_STORED";
    case CX_USER_UNKNOWN:
        return "DIAMETER_ERROR_USER_UNKNOWN";
    case CX_IDENTITIES_DONT_MATCH:
        return "DIAMETER_ERROR_IDENTITIES_DONT_MATCH";
    case CX_IDENTITY_NOT_REGISTERED:
        return "DIAMETER_ERROR_IDENTITY_NOT_REGISTERED";
    case CX_ROAMING_NOT_ALLOWED:
        return "DIAMETER_ERROR_ROAMING_NOT_ALLOWED";
    case CX_IDENTITY_ALREADY_REGISTERED:
        return "DIAMETER_ERROR_IDENTITY_ALREADY_REGISTERED";
    case CX_AUTH_SCHEME_NOT_SUPPORTED:
        return "DIAMETER_ERROR_AUTH_SCHEME_NOT_SUPPORTED";
    case CX_IN_ASSIGNMENT_TYPE:
        return "DIAMETER_ERROR_IN_ASSIGNMENT_TYPE";
    case CX_TOO_MUCH_DATA:
        return "DIAMETER_ERROR_TOO_MUCH_DATA";
    }
    return "unknown result";
}

const char *cx_server_assignment_type_name(unsigned type) {
    static const char *const names[CX_SERVER_ASSIGNMENT_TYPES] = {
        "NO_ASSIGNMENT",
        "REGISTRATION",
        "RE_REGISTRATION",
        "UNREGISTERED_USER",
        "TIMEOUT_DEREGISTRATION",
        "USER_DEREGISTRATION",
        "TIMEOUT_DEREGISTRATION_STORE_SERVER_NAME",
        "USER_DEREGISTRATION_STORE_SERVER_NAME",
        "ADMINISTRATIVE_DEREGISTRATION",
        "AUTHENTICATION_FAILURE",
        "AUTHENTICATION_TIMEOUT",
        "DEREGISTRATION_TOO_MUCH_DATA",
    };

    return type < CX_SERVER_ASSIGNMENT_TYPES ? names[type] : "unknown type";
}

enum cx_result cx_match(const struct subscription *s, struct span impi, struct span impu,
                        bool impi_elsewhere, struct rec_impi *private_identity,
                        struct rec_impu *public_identity) {
    if (!s || !subscription_impu(s->data, impu, public_identity) ||
        rec_impu_type(*public_identity) != IDENTITY_USER) {
        return CX_USER_UNKNOWN;
    }
    if (!subscription_impi(s->data, impi, private_identity)) {
        return impi_elsewhere ? CX_IDENTITIES_DONT_MATCH : CX_USER_UNKNOWN;
    }
    if (!subscription_belongs(*public_identity, rec_impi_slot(*private_identity))) {
        return CX_IDENTITIES_DONT_MATCH;
    }
    return CX_SUCCESS;
}
