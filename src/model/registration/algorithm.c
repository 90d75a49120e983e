#include "model/registration/algorithm.h"

static const struct span names[AUTH_ALGORITHMS] = {
    [AUTH_MD5] = SPAN_INIT("MD5"),
    [AUTH_SHA256] = SPAN_INIT("SHA-256"),
    [AUTH_AKAV1_MD5] = SPAN_INIT("AKAv1-MD5"),
    [AUTH_AKAV2_MD5] = SPAN_INIT("AKAv2-MD5"),
    [AUTH_AKAV2_SHA256] = SPAN_INIT("AKAv2-SHA-256"),
};

struct span auth_algorithm_name(enum auth_algorithm algorithm) {
    return names[algorithm];
}

bool auth_algorithm_parse(struct span name, enum auth_algorithm *out) {
    if (span_is_empty(name)) {
        *out = AUTH_MD5;
        return true;
    }
    for (size_t i = 0; i < AUTH_ALGORITHMS; i++) {
        if (span_eq_nocase(name, names[i])) {
            *out = (enum auth_algorithm)i;
            return true;
        }
    }
    return false;
}
