/* Header values, typed: read when asked for, as views of the message. Every parser takes the whole
 * value and returns ERR_MALFORMED for one that the grammar does not allow; a node answers 400 then.
 * Absent parts are spans with p NULL; quotes around quoted strings are taken off, backslashes
 * inside them stay (sip_unquote undoes them). */
#ifndef MUSTER_CODEC_SIP_HEADERS_H
#define MUSTER_CODEC_SIP_HEADERS_H

#include "codec/sip/sip.h"

/* Parameters: "a=b;c;d="e"" */

/** Takes the next parameter off *rest (text between semicolons). False at the end; a value in
 * quotes comes without them; without a value, value->p is NULL. Text that is no parameter ends the
 * walk and leaves rest->p not NULL. */
bool sip_param_next(struct span *rest, struct span *name, struct span *value);

/** Value of the first parameter of this name (no case). False without it; value may be NULL. */
bool sip_param(struct span params, struct span name, struct span *value);

/** Appends what a quoted string means: \" becomes ". text is without its outer quotes. */
void sip_unquote(struct buf *b, struct span text);

/* Lists: values separated by commas, on one or several lines. */

struct sip_list {
    const struct sip_msg *msg;
    const struct sip_header *header; /* the line that the last value came from */
    struct span rest;                /* of that line */
    uint16_t line;                   /* position of the next line, or SIP_NO_HEADER */
    bool malformed; /* the walk ended for that reason: an empty value, an open quote before a
                     * comma, or, in the typed walks, a value that does not parse */
};

/** Starts a walk over the values of all lines of this id. */
struct sip_list sip_list_of(const struct sip_msg *msg, enum sip_header_id id);

/** Starts a walk over the values of one line's text. */
struct sip_list sip_list_of_text(struct span text);

/** The next value, trimmed. False at the end, and when something is wrong: see list->malformed. */
bool sip_list_next(struct sip_list *list, struct span *value);

/** Number of values of all lines of this id. */
size_t sip_list_count(const struct sip_msg *msg, enum sip_header_id id);

/** Is this token among the values (no case)? For Require, Supported, Allow, ... */
bool sip_has_token(const struct sip_msg *msg, enum sip_header_id id, struct span token);

/* Via */

/** Reads one Via value. */
MUST_CHECK enum error sip_via_parse(struct span text, struct sip_via *out);

/** As sip_list_next, read. */
bool sip_via_next(struct sip_list *list, struct sip_via *out);

/* Addresses: From, To, Contact, Route, Record-Route, Path, Service-Route, P-Associated-URI,
 * P-Asserted-Identity, P-Called-Party-ID, Refer-To, ... */

struct sip_address {
    struct span text;     /* the whole value */
    struct span display;  /* without quotes; p is NULL without one */
    struct span uri_text; /* without angle brackets */
    struct sip_uri uri;
    struct span params; /* of the header, behind the first semicolon after the URI */
    bool star;          /* the value is "*" (only Contact may be); nothing else is set then */
};

/** Reads one name-addr or addr-spec with its parameters. In an addr-spec without angle brackets, a
 * semicolon begins the header's parameters, and comma and question mark are not allowed (RFC 3261
 * 20). */
MUST_CHECK enum error sip_address_parse(struct span text, struct sip_address *out);

/** As sip_list_next, read. */
bool sip_address_next(struct sip_list *list, struct sip_address *out);

/** Reads the first value of a header. ERR_NOT_FOUND without one. */
MUST_CHECK enum error sip_address_of(const struct sip_msg *msg, enum sip_header_id id,
                                     struct sip_address *out);

/** What Contact may say beyond an address. */
struct sip_contact {
    struct sip_address address;
    struct span expires; /* text; see expires_s */
    bool has_expires;
    uint32_t expires_s;    /* of the parameter; a malformed one counts as 3600 (RFC 3261 10.2.1.1),
                            * one above 2^32-1 as 2^32-1 */
    uint16_t q_thousandth; /* 1000 without */
    struct span instance;  /* +sip.instance, without quotes and angle brackets (RFC 5626) */
    uint32_t reg_id;       /* 0: none */
    struct span pub_gruu, temp_gruu;
};

/** The next Contact, read with its parameters; a "*" comes with address.star. */
bool sip_contact_next(struct sip_list *list, struct sip_contact *out);

/* Numbers and words */

/** The whole value as seconds or another number: Expires, Min-Expires, Max-Forwards, RSeq,
 * Flow-Timer. ERR_NOT_FOUND, ERR_MALFORMED; above 2^32-1: 2^32-1. */
MUST_CHECK enum error sip_number_of(const struct sip_msg *msg, enum sip_header_id id,
                                    uint32_t *out);

struct sip_retry_after {
    uint32_t delay_s;
    struct span comment; /* without its parentheses */
    struct span params;  /* duration=... */
};

/** Reads Retry-After (RFC 3261 20.33). */
MUST_CHECK enum error sip_retry_after_parse(struct span text, struct sip_retry_after *out);

struct sip_reason {
    struct span protocol; /* "SIP", "Q.850" */
    uint32_t cause;       /* 0 without */
    struct span text;
};

/** Reads one value of Reason (RFC 3326). */
MUST_CHECK enum error sip_reason_parse(struct span text, struct sip_reason *out);

struct sip_warning {
    uint16_t code;
    struct span agent;
    struct span text;
};

/** Reads one value of Warning (RFC 3261 20.43). */
MUST_CHECK enum error sip_warning_parse(struct span text, struct sip_warning *out);

/* Digest: Authorization, WWW-Authenticate and their Proxy- forms, Authentication-Info (RFC 2617,
 * 3310, 7616, TS 24.229 7.2A.1) */

struct sip_auth {
    struct span scheme; /* "Digest"; empty for Authentication-Info */
    struct span username, realm, nonce, uri, response, algorithm, cnonce, opaque, qop, nc;
    struct span domain, stale;       /* of a challenge */
    struct span auts;                /* base64, RFC 3310 */
    struct span ck, ik;              /* hexadecimal: between S-CSCF and P-CSCF only */
    struct span integrity_protected; /* "yes", "no", "tls-yes", "ip-assoc-yes", ... */
    struct span nextnonce, rspauth;  /* of Authentication-Info */
    struct span text;                /* the whole value */
};

/** Reads one value. Doubled parameters are malformed; unknown ones are skipped; a scheme other than
 * Digest leaves all but scheme and text empty. */
MUST_CHECK enum error sip_auth_parse(struct span text, struct sip_auth *out);

/** Reads the first value of a header whose scheme is Digest, wherever it stands among the lines
 * (each line is one value, RFC 3261 20.7). ERR_NOT_FOUND: none is, and *out is empty;
 * ERR_MALFORMED: it, or one before it, cannot be read. */
MUST_CHECK enum error sip_digest_of(const struct sip_msg *msg, enum sip_header_id id,
                                    struct sip_auth *out);

/** The same as sip_auth_parse without a scheme before it: Authentication-Info. */
MUST_CHECK enum error sip_auth_info_parse(struct span text, struct sip_auth *out);

/* Security-Client, Security-Server, Security-Verify (RFC 3329, TS 33.203 annex H) */

struct sip_security {
    struct span mechanism; /* "ipsec-3gpp" */
    uint16_t q_thousandth; /* 1000 without */
    struct span alg, ealg, prot, mod;
    uint32_t spi_c, spi_s; /* 0 without */
    uint16_t port_c, port_s;
    struct span params; /* all of them */
};

/** Reads one value. */
MUST_CHECK enum error sip_security_parse(struct span text, struct sip_security *out);

/** The next mechanism of a list. */
bool sip_security_next(struct sip_list *list, struct sip_security *out);

/* The P-headers of RFC 7315 that are not addresses */

struct sip_charging_vector {
    struct span icid_value; /* without quotes; never empty */
    struct span icid_generated_at, orig_ioi, term_ioi, transit_ioi, related_icid;
    struct span params; /* all of it */
};

/** Reads P-Charging-Vector. */
MUST_CHECK enum error sip_charging_vector_parse(struct span text, struct sip_charging_vector *out);

struct sip_charging_functions {
    struct span ccf, ccf2, ecf, ecf2; /* first and second of each; without quotes */
};

/** Reads P-Charging-Function-Addresses. */
MUST_CHECK enum error sip_charging_functions_parse(struct span text,
                                                   struct sip_charging_functions *out);

struct sip_access_network {
    struct span type;         /* access-type or access-class: "3GPP-E-UTRAN-FDD" */
    struct span cell;         /* utran-cell-id-3gpp or cgi-3gpp, without quotes */
    bool provided_by_network; /* network-provided */
    struct span params;
};

/** Reads one value of P-Access-Network-Info. */
MUST_CHECK enum error sip_access_network_parse(struct span text, struct sip_access_network *out);

/** Reads one value of P-Visited-Network-ID: a token, or a quoted string without its quotes. */
MUST_CHECK enum error sip_visited_network_parse(struct span text, struct span *network,
                                                struct span *params);

struct sip_event {
    struct span package; /* "reg" */
    struct span id;
    struct span params;
};

/** Reads Event (RFC 6665). */
MUST_CHECK enum error sip_event_parse(struct span text, struct sip_event *out);

#endif
