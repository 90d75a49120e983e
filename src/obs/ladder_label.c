/* Labels: what a message is called in a ladder. SIP by method or status, Diameter by the command's
 * abbreviation (RFC 6733, TS 29.229 clause 6.1) and result. */
#include "obs/ladder_impl.h"
#include "obs/peek.h"

enum {
    VENDOR_3GPP = 10415,
    AVP_SESSION_ID = 263,
    AVP_RESULT_CODE = 268,
    AVP_EXPERIMENTAL_RESULT = 297,
    AVP_EXPERIMENTAL_RESULT_CODE = 298,
    AVP_SERVER_NAME = 602,
    AVP_SERVER_ASSIGNMENT_TYPE = 614,
    AVP_USER_AUTHORIZATION_TYPE = 623,
    AVP_DATA_REFERENCE = 703
};

static const char *command_name(uint32_t command) {
    static const struct {
        uint32_t command;
        char name[3]; /* without the R or A */
    } commands[] = {
        {257, "CE"}, {258, "RA"}, {271, "AC"}, {272, "CC"}, {274, "AS"}, {275, "ST"},
        {280, "DW"}, {282, "DP"}, {300, "UA"}, {301, "SA"}, {302, "LI"}, {303, "MA"},
        {304, "RT"}, {305, "PP"}, {306, "UD"}, {307, "PU"}, {308, "SN"}, {309, "PN"},
    };
    for (size_t i = 0; i < COUNT_OF(commands); i++) {
        if (commands[i].command == command) {
            return commands[i].name;
        }
    }
    return NULL;
}

struct code_name {
    uint32_t code;
    const char *name;
};

static const char *name_of(const struct code_name *names, size_t n, uint32_t code) {
    for (size_t i = 0; i < n; i++) {
        if (names[i].code == code) {
            return names[i].name;
        }
    }
    return NULL;
}

/* RFC 6733 clause 7.1. */
static const struct code_name base_results[] = {
    {2001, ""},
    {2002, "limited success"},
    {3001, "command unsupported"},
    {3002, "unable to deliver"},
    {3003, "realm not served"},
    {3004, "too busy"},
    {3005, "loop detected"},
    {3006, "redirect"},
    {3007, "application unsupported"},
    {3008, "invalid header bits"},
    {3009, "invalid AVP bits"},
    {3010, "unknown peer"},
    {4002, "out of space"},
    {4003, "election lost"},
    {5001, "AVP unsupported"},
    {5002, "unknown session"},
    {5003, "authorization rejected"},
    {5004, "invalid AVP value"},
    {5005, "missing AVP"},
    {5006, "resources exceeded"},
    {5007, "contradicting AVPs"},
    {5008, "AVP not allowed"},
    {5009, "AVP occurs too many times"},
    {5010, "no common application"},
    {5011, "unsupported version"},
    {5012, "unable to comply"},
    {5014, "invalid AVP length"},
    {5015, "invalid message length"},
    {5017, "no common security"},
};

/* TS 29.229 clause 6.2. */
static const struct code_name experimental_results[] = {
    {2001, "first registration"},
    {2002, "subsequent registration"},
    {2003, "unregistered service"},
    {2004, "server name not stored"},
    {5001, "user unknown"},
    {5002, "identities don't match"},
    {5003, "identity not registered"},
    {5004, "roaming not allowed"},
    {5005, "identity already registered"},
    {5006, "auth scheme not supported"},
    {5007, "error in assignment type"},
    {5008, "too much data"},
    {5009, "not supported user data"},
    {5011, "feature unsupported"},
    {5012, "serving node feature unsupported"},
    {4100, "user data not available"},
    {4101, "prior update in progress"},
    {5100, "user data not recognized"},
    {5101, "operation not allowed"},
    {5102, "user data cannot be read"},
    {5103, "user data cannot be modified"},
    {5104, "user data cannot be notified"},
    {5105, "transparent data out of sync"},
    {5106, "subs data absent"},
    {5107, "no subscription to data"},
    {5108, "DSAI not available"},
};

/* TS 29.329 clause 6.3.4: those that Muster's HSS has. */
static const struct code_name data_references[] = {
    {0, "repository data"},
    {10, "public identities"},
    {11, "user state"},
    {12, "S-CSCF name"},
    {13, "initial filter criteria"},
    {14, "location"},
    {15, "CS or PS user state"},
    {16, "charging information"},
    {17, "MSISDN"},
    {18, "PSI activation"},
    {19, "DSAI"},
    {20, "repository data of aliases"},
};

/* TS 29.229 clause 6.3.15. */
static const struct code_name assignment_types[] = {
    {0, "no assignment"},
    {1, "registration"},
    {2, "re-registration"},
    {3, "unregistered user"},
    {4, "timeout deregistration"},
    {5, "user deregistration"},
    {6, "timeout deregistration, store server name"},
    {7, "user deregistration, store server name"},
    {8, "administrative deregistration"},
    {9, "authentication failure"},
    {10, "authentication timeout"},
    {11, "deregistration, too much data"},
};

/* TS 29.229 clause 6.3.24. */
static const struct code_name authorization_types[] = {
    {0, "registration"},
    {1, "de-registration"},
    {2, "registration and capabilities"},
};

static enum error keep(struct arena *a, const struct buf *b, struct span *out) {
    bool failed = false;
    *out = arena_copy(a, buf_span(b), &failed);
    return failed ? ERR_NO_MEMORY : OK;
}

static void label_sip_request(struct span bytes, const struct peek_sip *sip, struct buf *detail) {
    struct span authorization = peek_sip_header(bytes, "Authorization", 0);
    struct span contact = peek_sip_header(bytes, "Contact", 0);
    if (!span_eq(sip->method, SPAN("REGISTER"))) {
        return;
    }
    struct span expires = peek_sip_param(contact, "expires");
    if (span_is_empty(expires)) {
        expires = peek_sip_header(bytes, "Expires", 0);
    }
    if (!span_is_empty(peek_sip_param(authorization, "auts"))) {
        buf_cstr(detail, "AUTS");
    } else if (!span_is_empty(peek_sip_param(authorization, "response"))) {
        buf_cstr(detail, "response");
    }
    if (span_eq(contact, SPAN("*")) || span_eq(expires, SPAN("0"))) {
        buf_cstr(detail, detail->n ? ", expires 0" : "expires 0");
    }
}

static bool label_sip(struct ladder_entry *e, struct buf *label, struct buf *detail) {
    struct span bytes = e->arrow.bytes;
    struct peek_sip sip;
    if (!peek_sip(bytes, &sip)) {
        return false;
    }
    e->arrow.request = sip.request;
    if (sip.request) {
        buf_escaped(label, span_slice(sip.method, 0, 32));
        label_sip_request(bytes, &sip, detail);
    } else {
        buf_printf(label, "%u ", sip.status);
        buf_escaped(label, span_slice(sip.reason, 0, 48));
        e->arrow.failure = sip.status >= 300 && sip.status != 401 && sip.status != 407;
        struct span granted = peek_sip_param(peek_sip_header(bytes, "Contact", 0), "expires");
        if (sip.status == 200 && granted.n && granted.n < 11) {
            buf_cstr(detail, "expires ");
            buf_escaped(detail, granted);
        }
    }
    e->correlation = peek_sip_header(bytes, "Call-ID", 0);
    e->icid = peek_sip_param(peek_sip_header(bytes, "P-Charging-Vector", 0), "icid-value");
    return true;
}

static void label_diameter_result(struct ladder_entry *e, struct span avps, struct buf *label,
                                  struct buf *detail) {
    uint32_t code;
    const char *name = NULL;
    struct span experimental = peek_avp(avps, AVP_EXPERIMENTAL_RESULT, 0);
    if (peek_u32(peek_avp(avps, AVP_RESULT_CODE, 0), &code)) {
        name = name_of(base_results, COUNT_OF(base_results), code);
    } else if (peek_u32(peek_avp(experimental, AVP_EXPERIMENTAL_RESULT_CODE, 0), &code)) {
        name = name_of(experimental_results, COUNT_OF(experimental_results), code);
    } else {
        return;
    }
    buf_printf(label, " %u%s%s", code, name && *name ? " " : "", name ? name : "");
    e->arrow.failure = code >= 3000;
    struct span server = peek_avp(avps, AVP_SERVER_NAME, VENDOR_3GPP);
    if (server.n && code < 3000) {
        (void)span_cut(&server, ':'); /* "sip:scscf-2.DOMAIN:6060": its first label tells */
        buf_escaped(detail, span_slice(span_cut(&server, '.'), 0, 40));
    }
}

static bool label_diameter(struct ladder_entry *e, struct buf *label, struct buf *detail) {
    struct peek_diameter d;
    if (!peek_diameter(e->arrow.bytes, &d)) {
        return false;
    }
    const char *name = command_name(d.command);
    if (name) {
        buf_printf(label, "%s%c", name, d.request ? 'R' : 'A');
    } else {
        buf_printf(label, "Diameter %u %s", d.command, d.request ? "request" : "answer");
    }
    e->arrow.request = d.request;
    e->command = d.command;
    e->end_to_end = d.end_to_end;
    e->correlation = peek_avp(d.avps, AVP_SESSION_ID, 0);
    uint32_t type;
    const char *meaning = NULL;
    if (!d.request) {
        label_diameter_result(e, d.avps, label, detail);
    } else if (peek_u32(peek_avp(d.avps, AVP_SERVER_ASSIGNMENT_TYPE, VENDOR_3GPP), &type)) {
        meaning = name_of(assignment_types, COUNT_OF(assignment_types), type);
    } else if (peek_u32(peek_avp(d.avps, AVP_USER_AUTHORIZATION_TYPE, VENDOR_3GPP), &type)) {
        meaning = name_of(authorization_types, COUNT_OF(authorization_types), type);
    } else if (peek_u32(peek_avp(d.avps, AVP_DATA_REFERENCE, VENDOR_3GPP), &type)) {
        meaning = name_of(data_references, COUNT_OF(data_references), type);
    }
    if (meaning) {
        buf_cstr(detail, meaning);
    }
    return true;
}

static struct span last_word(struct span line) {
    size_t n = line.n;
    while (n > 0 && line.p[n - 1] != ' ') {
        n--;
    }
    struct span word = span_after(line, n);
    word.n -= word.n && word.p[word.n - 1] == '.'; /* of the root */
    return word;
}

/* "query SRV NAME" becomes "SRV NAME?"; a record, "NAME TTL IN SRV 1 1 4060 HOST.", "SRV HOST";
 * whatever else is said stays. */
static void label_dns(struct span words, struct buf *label) {
    enum { SHOWN_MAX = 60 };
    struct span line = span_trim(span_cut(&words, '\n')), rest = line;
    struct span fields[4];
    for (size_t i = 0; i < COUNT_OF(fields); i++) {
        fields[i] = span_cut(&rest, ' ');
    }
    bool query = span_eq(fields[0], SPAN("query"));
    if (query || span_eq(fields[2], SPAN("IN"))) {
        buf_escaped(label, span_slice(fields[query ? 1 : 3], 0, 10));
        buf_char(label, ' ');
        buf_escaped(label, span_slice(last_word(line), 0, SHOWN_MAX));
        buf_cstr(label, query ? "?" : "");
    } else {
        buf_escaped(label, span_slice(line, 0, SHOWN_MAX));
    }
    if (words.p && span_trim(words).n) {
        buf_cstr(label, " ...");
    }
}

enum error ladder_label(struct arena *a, struct ladder_entry *e) {
    char label_bytes[384], detail_bytes[512];
    struct buf label = buf_init(label_bytes, sizeof label_bytes);
    struct buf detail = buf_init(detail_bytes, sizeof detail_bytes);
    bool known = false;
    if (e->arrow.protocol == TRACE_SIP) {
        known = label_sip(e, &label, &detail);
    } else if (e->arrow.protocol == TRACE_DIAMETER) {
        known = label_diameter(e, &label, &detail);
    } else {
        label_dns(e->arrow.bytes, &label);
        e->arrow.request = span_starts_with(e->arrow.bytes, SPAN("query "));
        known = true;
    }
    if (!known) {
        buf_printf(&label, "%zu bytes", e->arrow.bytes.n);
    }
    enum error err = keep(a, &label, &e->arrow.label);
    return err ? err : keep(a, &detail, &e->arrow.detail);
}
