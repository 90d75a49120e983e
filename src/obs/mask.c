/* Masking, see mask.h. What counts as a secret: TS 33.203 6.1.1 (CK, IK, XRES), RFC 2617 (H(A1)),
 * passwords. When in doubt it masks too much: a reader of a trace loses a value, nobody gains a
 * key. */
#include "obs/mask.h"

#include "obs/peek.h"

static const char MASK = '*';

/* The bytes of a span that lies inside the caller's own writable message. */
static void overwrite(char *message, struct span s) {
    if (s.n) {
        memset(message + (s.p - message), MASK, s.n);
    }
}

static bool is_name_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.' || c == '%';
}

static bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_one_of(struct span set, char c) {
    return span_find_char(set, c) < set.n;
}

static bool is_secret_name(struct span name) {
    return span_eq_nocase(name, SPAN("ck")) || span_eq_nocase(name, SPAN("ik")) ||
           span_eq_nocase(name, SPAN("password")) || span_eq_nocase(name, SPAN("passwd"));
}

/* The value that begins at `at`: a quoted string without its quotes (escapes inside are passed
 * over), else what stands before the next separator. */
static struct span value_at(struct span s, size_t at) {
    while (at < s.n && is_blank(s.p[at])) {
        at++;
    }
    size_t end = at;
    if (at < s.n && s.p[at] == '"') {
        for (end = ++at; end < s.n && s.p[end] != '"'; end++) {
            if (s.p[end] == '\\') {
                end++;
            }
        }
        return span_slice(s, at, end);
    }
    while (end < s.n && !is_blank(s.p[end]) && !is_one_of(SPAN(",;>\""), s.p[end])) {
        end++;
    }
    return span_slice(s, at, end);
}

/* Masks after each '=' whose name is a secret's. */
static void mask_params(char *message, struct span s) {
    const char *equals = s.p;
    const char *end = s.p + s.n;
    while (equals < end && (equals = memchr(equals, '=', (size_t)(end - equals)))) {
        const char *name_end = equals;
        while (name_end > s.p && is_blank(name_end[-1])) {
            name_end--;
        }
        const char *name = name_end;
        while (name > s.p && is_name_char(name[-1])) {
            name--;
        }
        equals++;
        if (is_secret_name(span_of(name, (size_t)(name_end - name)))) {
            overwrite(message, value_at(s, (size_t)(equals - s.p)));
        }
    }
}

/* The password of every sip: or sips: URI with user information, RFC 3261 19.1.1. */
static void mask_userinfo(char *message, struct span s) {
    for (size_t at = 0; at < s.n;) {
        struct span rest = span_after(s, at);
        size_t colon = span_find_char(rest, ':');
        bool uri =
            (colon >= 3 && span_eq_nocase(span_slice(rest, colon - 3, colon), SPAN("sip"))) ||
            (colon >= 4 && span_eq_nocase(span_slice(rest, colon - 4, colon), SPAN("sips")));
        at += colon + 1;
        if (!uri || colon == rest.n) {
            continue;
        }
        struct span user = span_after(rest, colon + 1);
        size_t end = 0;
        while (end < user.n && !is_blank(user.p[end]) && !is_one_of(SPAN("<>\"@"), user.p[end])) {
            end++;
        }
        if (end < user.n && user.p[end] == '@') {
            struct span info = span_slice(user, 0, end);
            overwrite(message, span_after(info, span_find_char(info, ':') + 1));
        }
    }
}

static void mask_sip(char *message, size_t n) {
    struct span s = span_of(message, n);
    struct span head = span_slice(s, 0, span_find(s, SPAN("\r\n\r\n")));
    mask_params(message, head);
    mask_userinfo(message, head);
}

enum {
    VENDOR_3GPP = 10415,
    AVP_DIGEST_HA1 = 121,
    AVP_SIP_AUTHORIZATION = 610,
    AVP_SIP_AUTH_DATA_ITEM = 612,
    AVP_CONFIDENTIALITY_KEY = 625,
    AVP_INTEGRITY_KEY = 626,
    AVP_SIP_DIGEST_AUTHENTICATE = 635,
    AVP_ALTERNATE_DIGEST_HA1 = 663,
    AVP_FAILED_AVP = 279,
    COMMAND_MULTIMEDIA_AUTH = 303,
    DEPTH_MAX = 8
};

static bool is_secret_avp(const struct peek_avp *avp, bool request) {
    switch (avp->code) {
    case AVP_DIGEST_HA1:
    case AVP_CONFIDENTIALITY_KEY:
    case AVP_INTEGRITY_KEY:
    case AVP_ALTERNATE_DIGEST_HA1:
        return true;
    case AVP_SIP_AUTHORIZATION:
        return !request;
    default:
        return false;
    }
}

/* May hold secrets inside: the groups that the standards define, and Failed-AVP, which repeats
 * whatever offended. */
static bool is_group(const struct peek_avp *avp) {
    switch (avp->code) {
    case AVP_FAILED_AVP:
        return avp->vendor == 0;
    case AVP_SIP_AUTH_DATA_ITEM:
    case AVP_SIP_DIGEST_AUTHENTICATE:
        return avp->vendor == VENDOR_3GPP;
    default:
        return false;
    }
}

/* keys: the message may carry keys, so what does not parse is taken for one. */
static void mask_avps(char *message, struct span avps, bool request, bool keys, unsigned depth) {
    struct peek_avp avp;
    while (peek_avp_next(&avps, &avp)) {
        if (is_secret_avp(&avp, request) || (is_group(&avp) && depth == DEPTH_MAX)) {
            overwrite(message, avp.data);
        } else if (is_group(&avp)) {
            mask_avps(message, avp.data, request, true, depth + 1);
        }
    }
    if (keys) {
        overwrite(message, avps);
    }
}

static void mask_diameter(char *message, size_t n) {
    struct peek_diameter d;
    if (peek_diameter(span_of(message, n), &d)) {
        bool keys = !d.request && d.command == COMMAND_MULTIMEDIA_AUTH;
        mask_avps(message, d.avps, d.request, keys, 0);
    }
}

void mask_secrets(enum trace_protocol protocol, char *bytes, size_t n) {
    if (protocol == TRACE_SIP) {
        mask_sip(bytes, n);
    } else if (protocol == TRACE_DIAMETER) {
        mask_diameter(bytes, n);
    }
}
