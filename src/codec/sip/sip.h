/* A SIP message, read in place (RFC 3261).
 *
 * sip_parse looks at each byte once: it checks the start line, makes an index of the header lines,
 * joins folded lines (their line breaks become spaces, in the received bytes), and reads what every
 * user of a message needs: the first Via, the tags, Call-ID, CSeq. All else stays text until a
 * typed accessor of headers.h is asked for it, and may turn out malformed then. Views live as long
 * as the bytes and the arena that were given to sip_parse. */
#ifndef MUSTER_CODEC_SIP_SIP_H
#define MUSTER_CODEC_SIP_SIP_H

#include "base/arena.h"
#include "base/error.h"
#include "codec/sip/uri.h"
#include "rt/addr.h"
#include "spec/sip_headers.h" /* generated: enum sip_header_id, SIP_H_VIA ... SIP_H_OTHER */

enum sip_method {
    SIP_METHOD_OTHER,
    SIP_ACK,
    SIP_BYE,
    SIP_CANCEL,
    SIP_INFO,
    SIP_INVITE,
    SIP_MESSAGE,
    SIP_NOTIFY,
    SIP_OPTIONS,
    SIP_PRACK,
    SIP_PUBLISH,
    SIP_REFER,
    SIP_REGISTER,
    SIP_SUBSCRIBE,
    SIP_UPDATE,
    SIP_METHOD_COUNT
};

/** The method that a name stands for; case matters (RFC 3261 7.1). */
enum sip_method sip_method_from(struct span name);

/** The name of a method; empty for SIP_METHOD_OTHER. */
struct span sip_method_name(enum sip_method method);

/** The reason phrase that the standards give a status; "Unknown" for others. */
struct span sip_reason_phrase(unsigned status);

/** What is refused for its size. */
struct sip_limits {
    size_t message_max;    /* bytes of a message: 513 above */
    size_t line_max;       /* bytes of a header line or start line: 513 above */
    uint16_t headers_max;  /* header lines: 513 above; at most SIP_HEADERS_CAP */
    uint16_t vias_max;     /* Via values: 513 above */
    uint16_t contacts_max; /* Contact values: 513 above */
    size_t body_max;       /* bytes of a body: 413 above */
};

enum { SIP_HEADERS_CAP = 4096 };

/** 65,535 bytes, 16,384 a line, 256 lines, 70 Vias, 64 Contacts, 65,535 of body. */
struct sip_limits sip_limits_default(void);

/** What is wrong with a message that sip_parse refuses. */
struct sip_fault {
    uint16_t status;    /* to answer with; 0: no answer is possible or allowed */
    const char *reason; /* its phrase, also for logs: "Missing CSeq"; never NULL after a failure */
};

#define SIP_NO_HEADER UINT16_MAX

/** One header line. */
struct sip_header {
    struct span value; /* without surrounding white space, unfolded */
    const char *name;  /* as written; the line begins here */
    uint16_t name_n;
    uint16_t id;   /* enum sip_header_id */
    uint16_t next; /* position of the next line with this id, or SIP_NO_HEADER */
};

/** One Via value. */
struct sip_via {
    struct span text;       /* the whole value */
    struct span transport;  /* "UDP" */
    struct span host;       /* of sent-by; an IPv6 address keeps its brackets */
    uint16_t port;          /* of sent-by; 0: none given */
    bool rport;             /* the parameter stands there (RFC 3581) */
    uint16_t rport_value;   /* 0: without value */
    struct span rport_text; /* the parameter, from its name to its end */
    bool keep;              /* the parameter stands there (RFC 6223) */
    uint32_t keep_s;        /* its value; 0: none */
    struct span branch;     /* all of it, magic cookie included; empty without */
    struct span received, maddr;
    struct span params; /* behind the first semicolon */
};

struct sip_msg {
    bool is_request;
    enum sip_method method;  /* of the request; of a response: of its CSeq */
    struct span method_name; /* the same as text */
    struct span request_uri; /* of a request */
    struct sip_uri uri;      /* the same, read */
    uint16_t status;         /* of a response */
    struct span reason;      /* of a response; may be empty */
    struct span bytes;       /* the message from its start line to the end of its body */
    struct span head;        /* the header lines, from the first to before the empty line */
    struct span body;        /* Content-Length bytes of it */
    struct sip_via via;      /* the first */
    struct span stamped_via; /* the first Via with received and rport set by the stack that took
                              * the message in; empty: as it stands */
    struct span call_id;
    struct span from_tag, to_tag; /* empty without */
    uint32_t cseq;
    uint16_t n_headers;
    const struct sip_header *headers; /* in their order */
    uint16_t first[SIP_HEADER_COUNT]; /* position of the first line by id, or SIP_NO_HEADER */
};

/** Reads one message. bytes are changed in place (folding) and must live as long as *out; the index
 * is in the arena. For a datagram: what stands behind Content-Length is ignored, a Content-Length
 * beyond the end is a fault; without Content-Length the body is the rest. Leading empty lines are
 * skipped (RFC 3261 7.5); a message of nothing else is ERR_INCOMPLETE with status 0 (keep-alive).
 *
 * On ERR_MALFORMED, ERR_TOO_BIG and ERR_UNSUPPORTED (a version: 505), *fault says how to answer,
 * and when fault->status is not 0, *out is a message good for building that answer from
 * (sip_put_reply) and nothing else. ERR_NO_MEMORY leaves nothing. */
MUST_CHECK enum error sip_parse(struct arena *arena, char *bytes, size_t n,
                                const struct sip_limits *limits, struct sip_msg **out,
                                struct sip_fault *fault);

/** First header line of this id, or NULL. Not for SIP_H_OTHER. */
static inline const struct sip_header *sip_header(const struct sip_msg *msg,
                                                  enum sip_header_id id) {
    return msg->first[id] == SIP_NO_HEADER ? NULL : &msg->headers[msg->first[id]];
}

/** The next line with the same id, or NULL. */
static inline const struct sip_header *sip_header_next(const struct sip_msg *msg,
                                                       const struct sip_header *header) {
    return header->next == SIP_NO_HEADER ? NULL : &msg->headers[header->next];
}

/** Does the message have a line of this id? */
static inline bool sip_has(const struct sip_msg *msg, enum sip_header_id id) {
    return msg->first[id] != SIP_NO_HEADER;
}

/** Value of the first line of this id; p is NULL without one. */
static inline struct span sip_value(const struct sip_msg *msg, enum sip_header_id id) {
    return msg->first[id] == SIP_NO_HEADER ? SPAN_NONE : msg->headers[msg->first[id]].value;
}

/** First line of this name, known or not to the specification (no case); NULL without one. */
const struct sip_header *sip_header_named(const struct sip_msg *msg, struct span name);

/** The id of a name, long or compact, in any case; SIP_H_OTHER for unknown ones. */
enum sip_header_id sip_header_id_of(struct span name);

/** The name of an id as it is written, empty for SIP_H_OTHER. */
struct span sip_header_name(enum sip_header_id id);

/** May values of this header be joined with commas? */
bool sip_header_is_list(enum sip_header_id id);

/** Is a message with two lines of this header malformed? */
bool sip_header_is_single(enum sip_header_id id);

#endif
