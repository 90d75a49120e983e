#include "base/error.h"

#include <errno.h>

static const struct {
    const char *name;
    const char *text;
} errors[] = {
#define ERROR_ROW(name, text) {#name, text},
    ERROR_LIST(ERROR_ROW)
#undef ERROR_ROW
};

const char *error_name(enum error e) {
    return (unsigned)e < ERROR_COUNT ? errors[e].name : "ERR_UNKNOWN";
}

const char *error_text(enum error e) {
    return (unsigned)e < ERROR_COUNT ? errors[e].text : "unknown error";
}

enum error error_from_errno(int err) {
    switch (err < 0 ? -err : err) {
    case 0:
        return OK;
    case ENOMEM:
    case ENOBUFS:
        return ERR_NO_MEMORY;
    case EADDRINUSE:
        return ERR_ADDRESS_IN_USE;
    case EACCES:
    case EPERM:
        return ERR_PERMISSION;
    case ECONNREFUSED:
        return ERR_REFUSED;
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EADDRNOTAVAIL:
        return ERR_UNREACHABLE;
    case ETIMEDOUT:
        return ERR_TIMEOUT;
    case ECONNRESET:
    case EPIPE:
    case ECANCELED:
    case ENOTCONN:
        return ERR_CLOSED;
    case ENOENT:
        return ERR_NOT_FOUND;
    case EEXIST:
        return ERR_EXISTS;
    case EMSGSIZE:
    case EFBIG:
        return ERR_TOO_BIG;
    case EINVAL:
        return ERR_INVALID;
    case EAGAIN:
        return ERR_BUSY;
    default:
        return ERR_IO;
    }
}
