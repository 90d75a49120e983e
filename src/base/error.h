/* Every error that a function of Muster returns, in one list.
 *
 * Errors are values: 0 is success, everything else is one of these. What a peer did wrong has the
 * protocol's own code beside it (a SIP status, a Diameter Result-Code); this list is for the
 * program's own functions. Operating system errors are mapped by error_from_errno(). */
#ifndef MUSTER_BASE_ERROR_H
#define MUSTER_BASE_ERROR_H

#include "base/attribute.h"

/* name, text for people */
#define ERROR_LIST(X)                                                                              \
    X(OK, "success")                                                                               \
    X(ERR_NO_MEMORY, "out of memory")                                                              \
    X(ERR_TOO_BIG, "larger than the configured limit")                                             \
    X(ERR_MALFORMED, "malformed")                                                                  \
    X(ERR_INCOMPLETE, "more bytes are needed")                                                     \
    X(ERR_UNSUPPORTED, "not supported")                                                            \
    X(ERR_INVALID, "invalid argument or value")                                                    \
    X(ERR_NOT_FOUND, "not found")                                                                  \
    X(ERR_EXISTS, "exists already")                                                                \
    X(ERR_CONFLICT, "changed meanwhile by somebody else")                                          \
    X(ERR_CORRUPT, "stored data fails its check")                                                  \
    X(ERR_STORE, "the store failed")                                                               \
    X(ERR_CLOSED, "closed")                                                                        \
    X(ERR_REFUSED, "refused by the peer")                                                          \
    X(ERR_TIMEOUT, "timed out")                                                                    \
    X(ERR_UNREACHABLE, "unreachable")                                                              \
    X(ERR_BUSY, "busy: the bound on outstanding work is reached")                                  \
    X(ERR_ADDRESS_IN_USE, "the address is in use")                                                 \
    X(ERR_PERMISSION, "not permitted")                                                             \
    X(ERR_AUTHENTICATION, "authentication failed")                                                 \
    X(ERR_SQN_OUT_OF_RANGE, "sequence number out of range")                                        \
    X(ERR_IO, "input or output failed")                                                            \
    X(ERR_INTERNAL, "a defect of Muster")

enum error {
#define ERROR_ENUM(name, text) name,
    ERROR_LIST(ERROR_ENUM)
#undef ERROR_ENUM
        ERROR_COUNT
};

/** The error's name as in the list above, for logs ("ERR_TIMEOUT"). Never NULL. */
const char *error_name(enum error e);

/** The error in words ("timed out"). Never NULL. */
const char *error_text(enum error e);

/** Maps an errno value (positive) or a libuv error (negative errno); what has no better name is
 * ERR_IO. */
enum error error_from_errno(int err);

#endif
