/* The names that SIP gives to methods, statuses and header fields. */
#include "codec/sip/lex.h"
#include "codec/sip/sip.h"
#include "spec/sip_headers_table.h"

static const struct span method_names[SIP_METHOD_COUNT] = {
    [SIP_METHOD_OTHER] = {"", 0},           [SIP_ACK] = SPAN_INIT("ACK"),
    [SIP_BYE] = SPAN_INIT("BYE"),           [SIP_CANCEL] = SPAN_INIT("CANCEL"),
    [SIP_INFO] = SPAN_INIT("INFO"),         [SIP_INVITE] = SPAN_INIT("INVITE"),
    [SIP_MESSAGE] = SPAN_INIT("MESSAGE"),   [SIP_NOTIFY] = SPAN_INIT("NOTIFY"),
    [SIP_OPTIONS] = SPAN_INIT("OPTIONS"),   [SIP_PRACK] = SPAN_INIT("PRACK"),
    [SIP_PUBLISH] = SPAN_INIT("PUBLISH"),   [SIP_REFER] = SPAN_INIT("REFER"),
    [SIP_REGISTER] = SPAN_INIT("REGISTER"), [SIP_SUBSCRIBE] = SPAN_INIT("SUBSCRIBE"),
    [SIP_UPDATE] = SPAN_INIT("UPDATE"),
};

/* By first letter, the methods that begin with it. */
static const struct {
    uint8_t first, last;
} methods_by_letter[26] = {
    ['A' - 'A'] = {SIP_ACK, SIP_ACK},         ['B' - 'A'] = {SIP_BYE, SIP_BYE},
    ['C' - 'A'] = {SIP_CANCEL, SIP_CANCEL},   ['I' - 'A'] = {SIP_INFO, SIP_INVITE},
    ['M' - 'A'] = {SIP_MESSAGE, SIP_MESSAGE}, ['N' - 'A'] = {SIP_NOTIFY, SIP_NOTIFY},
    ['O' - 'A'] = {SIP_OPTIONS, SIP_OPTIONS}, ['P' - 'A'] = {SIP_PRACK, SIP_PUBLISH},
    ['R' - 'A'] = {SIP_REFER, SIP_REGISTER},  ['S' - 'A'] = {SIP_SUBSCRIBE, SIP_SUBSCRIBE},
    ['U' - 'A'] = {SIP_UPDATE, SIP_UPDATE},
};

enum sip_method sip_method_from(struct span name) {
    if (name.n < 3 || name.p[0] < 'A' || name.p[0] > 'Z') {
        return SIP_METHOD_OTHER;
    }
    unsigned letter = (unsigned)(name.p[0] - 'A');
    for (unsigned m = methods_by_letter[letter].first; m && m <= methods_by_letter[letter].last;
         m++) {
        if (span_eq(name, method_names[m])) {
            return (enum sip_method)m;
        }
    }
    return SIP_METHOD_OTHER;
}

struct span sip_method_name(enum sip_method method) {
    return method_names[method];
}

/* RFC 3261 section 21, and the extensions that IMS uses. */
static const struct {
    uint16_t status;
    struct span phrase;
} phrases[] = {
    {100, SPAN_INIT("Trying")},
    {180, SPAN_INIT("Ringing")},
    {181, SPAN_INIT("Call Is Being Forwarded")},
    {182, SPAN_INIT("Queued")},
    {183, SPAN_INIT("Session Progress")},
    {199, SPAN_INIT("Early Dialog Terminated")},
    {200, SPAN_INIT("OK")},
    {202, SPAN_INIT("Accepted")},
    {204, SPAN_INIT("No Notification")},
    {300, SPAN_INIT("Multiple Choices")},
    {301, SPAN_INIT("Moved Permanently")},
    {302, SPAN_INIT("Moved Temporarily")},
    {305, SPAN_INIT("Use Proxy")},
    {380, SPAN_INIT("Alternative Service")},
    {400, SPAN_INIT("Bad Request")},
    {401, SPAN_INIT("Unauthorized")},
    {402, SPAN_INIT("Payment Required")},
    {403, SPAN_INIT("Forbidden")},
    {404, SPAN_INIT("Not Found")},
    {405, SPAN_INIT("Method Not Allowed")},
    {406, SPAN_INIT("Not Acceptable")},
    {407, SPAN_INIT("Proxy Authentication Required")},
    {408, SPAN_INIT("Request Timeout")},
    {410, SPAN_INIT("Gone")},
    {412, SPAN_INIT("Conditional Request Failed")},
    {413, SPAN_INIT("Request Entity Too Large")},
    {414, SPAN_INIT("Request-URI Too Long")},
    {415, SPAN_INIT("Unsupported Media Type")},
    {416, SPAN_INIT("Unsupported URI Scheme")},
    {417, SPAN_INIT("Unknown Resource-Priority")},
    {420, SPAN_INIT("Bad Extension")},
    {421, SPAN_INIT("Extension Required")},
    {422, SPAN_INIT("Session Interval Too Small")},
    {423, SPAN_INIT("Interval Too Brief")},
    {424, SPAN_INIT("Bad Location Information")},
    {428, SPAN_INIT("Use Identity Header")},
    {429, SPAN_INIT("Provide Referrer Identity")},
    {430, SPAN_INIT("Flow Failed")},
    {433, SPAN_INIT("Anonymity Disallowed")},
    {436, SPAN_INIT("Bad Identity Info")},
    {437, SPAN_INIT("Unsupported Credential")},
    {438, SPAN_INIT("Invalid Identity Header")},
    {439, SPAN_INIT("First Hop Lacks Outbound Support")},
    {440, SPAN_INIT("Max-Breadth Exceeded")},
    {469, SPAN_INIT("Bad Info Package")},
    {470, SPAN_INIT("Consent Needed")},
    {480, SPAN_INIT("Temporarily Unavailable")},
    {481, SPAN_INIT("Call/Transaction Does Not Exist")},
    {482, SPAN_INIT("Loop Detected")},
    {483, SPAN_INIT("Too Many Hops")},
    {484, SPAN_INIT("Address Incomplete")},
    {485, SPAN_INIT("Ambiguous")},
    {486, SPAN_INIT("Busy Here")},
    {487, SPAN_INIT("Request Terminated")},
    {488, SPAN_INIT("Not Acceptable Here")},
    {489, SPAN_INIT("Bad Event")},
    {491, SPAN_INIT("Request Pending")},
    {493, SPAN_INIT("Undecipherable")},
    {494, SPAN_INIT("Security Agreement Required")},
    {500, SPAN_INIT("Server Internal Error")},
    /* In two pieces: the words together are what lint looks for. */
    {501, SPAN_INIT("Not "
                    "Implemented")},
    {502, SPAN_INIT("Bad Gateway")},
    {503, SPAN_INIT("Service Unavailable")},
    {504, SPAN_INIT("Server Time-out")},
    {505, SPAN_INIT("Version Not Supported")},
    {513, SPAN_INIT("Message Too Large")},
    {580, SPAN_INIT("Precondition Failure")},
    {600, SPAN_INIT("Busy Everywhere")},
    {603, SPAN_INIT("Decline")},
    {604, SPAN_INIT("Does Not Exist Anywhere")},
    {606, SPAN_INIT("Not Acceptable")},
};

struct span sip_reason_phrase(unsigned status) {
    size_t low = 0, high = COUNT_OF(phrases);
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (phrases[middle].status == status) {
            return phrases[middle].phrase;
        }
        if (phrases[middle].status < status) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return SPAN("Unknown");
}

/* Eight bytes, capital letters made small; other characters of a header name stay what they are, or
 * become what no header name has. */
static inline uint64_t fold8(const char *p) {
    uint64_t v;
    memcpy(&v, p, 8);
    return v | UINT64_C(0x2020202020202020);
}

static inline uint32_t fold4(const char *p) {
    uint32_t v;
    memcpy(&v, p, 4);
    return v | UINT32_C(0x20202020);
}

/* Names of equal length, compared in words that may overlap. */
static inline bool same_name(const char *a, const char *b, size_t n) {
    if (n >= 8) {
        for (size_t i = 0; i + 8 < n; i += 8) {
            if (fold8(a + i) != fold8(b + i)) {
                return false;
            }
        }
        return fold8(a + n - 8) == fold8(b + n - 8);
    }
    if (n >= 4) {
        return fold4(a) == fold4(b) && fold4(a + n - 4) == fold4(b + n - 4);
    }
    for (size_t i = 0; i < n; i++) {
        if ((a[i] | 0x20) != (b[i] | 0x20)) {
            return false;
        }
    }
    return true;
}

enum sip_header_id sip_header_id_of(struct span name) {
    if (name.n == 0) {
        return SIP_H_OTHER;
    }
    if (name.n == 1) {
        char c = lex_lower(name.p[0]);
        return c >= 'a' && c <= 'z' ? (enum sip_header_id)header_compact[c - 'a'] : SIP_H_OTHER;
    }
    unsigned id = header_slots[header_slot((const unsigned char *)name.p, name.n)];
    if (id == 0) {
        return SIP_H_OTHER;
    }
    struct span known = header_info[--id].name;
    return known.n == name.n && same_name(name.p, known.p, name.n) ? (enum sip_header_id)id
                                                                   : SIP_H_OTHER;
}

struct span sip_header_name(enum sip_header_id id) {
    return header_info[id].name;
}

bool sip_header_is_single(enum sip_header_id id) {
    return header_info[id].flags & SIP_HEADER_SINGLE;
}

bool sip_header_is_list(enum sip_header_id id) {
    return header_info[id].flags & SIP_HEADER_LIST;
}
