/* URIs as SIP uses them: sip:, sips: (RFC 3261 19.1), tel: (RFC 3966); other schemes are carried as
 * text. A parsed URI is a view of the text it was read from. */
#ifndef MUSTER_CODEC_SIP_URI_H
#define MUSTER_CODEC_SIP_URI_H

#include "base/buf.h"
#include "base/error.h"

enum sip_uri_scheme { SIP_URI_OTHER, SIP_URI_SIP, SIP_URI_SIPS, SIP_URI_TEL };

struct sip_uri {
    enum sip_uri_scheme scheme;
    uint16_t port;           /* 0: none given */
    struct span text;        /* the whole URI */
    struct span scheme_name; /* without the colon */
    struct span user;     /* as written, escapes included; p is NULL without one. tel: the number;
                           * other schemes: all behind the colon */
    struct span password; /* p is NULL without one */
    struct span host;     /* an IPv6 address keeps its brackets; empty for tel and others */
    struct span params;   /* behind the first semicolon: "a=b;c"; empty without */
    struct span headers;  /* behind the question mark: "a=b&c=d"; empty without */
};

/** Reads a URI that is the whole of text. The view lives as long as text. ERR_MALFORMED. */
MUST_CHECK enum error sip_uri_parse(struct span text, struct sip_uri *out);

/** Value of the first parameter of this name (no case); the value of a bare one is empty. False
 * without it. value may be NULL. */
bool sip_uri_param(const struct sip_uri *uri, struct span name, struct span *value);

/** Does the URI ask for loose routing (parameter lr)? */
bool sip_uri_is_loose(const struct sip_uri *uri);

/** Is it the same resource? sip and sips by RFC 3261 19.1.4, tel by RFC 3966 section 5, other
 * schemes by their text. Bounded: URIs with more than 32 parameters or headers are compared by
 * text.
 */
MUST_CHECK bool sip_uri_equal(const struct sip_uri *a, const struct sip_uri *b);

/** Is it a global number: tel:+... ? */
bool sip_uri_is_global_tel(const struct sip_uri *uri);

/** Appends the form in which a public user identity is compared and looked up (RFC 3261 10.3 step
 * 5, TS 23.003 13.4): no parameters, no headers, no password, scheme and host in lower case,
 * needless escapes undone, those that must stay with upper-case digits; the port stays when it is
 * given. tel: see sip_tel_put. Other schemes as they are, the scheme in lower case. */
void sip_uri_put_canonical(struct buf *b, const struct sip_uri *uri);

/** Appends a tel URI without visual separators, letters in lower case, phone-context (lower case)
 * kept for a local number, all other parameters dropped. Takes also a SIP URI whose user part is a
 * telephone number (user=phone): its number. ERR_INVALID for anything else, and then nothing is
 * appended. */
MUST_CHECK enum error sip_tel_put(struct buf *b, const struct sip_uri *uri);

/** Appends text with %HH undone. False (something may have been appended) for a broken escape. */
MUST_CHECK bool sip_unescape(struct buf *b, struct span text);

/** Appends a user part; bytes that may not stand there are escaped. */
void sip_put_user(struct buf *b, struct span user);

/** The port that a request to this URI goes to when no resolution says otherwise: that of the URI,
 * or 5060, for sips 5061. */
uint16_t sip_uri_port_or_default(const struct sip_uri *uri);

#endif
