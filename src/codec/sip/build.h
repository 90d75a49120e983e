/* Writing SIP messages into a buffer, straight down: start line, header lines, end. The buffer's
 * sticky error is looked at once, by whoever sends. */
#ifndef MUSTER_CODEC_SIP_BUILD_H
#define MUSTER_CODEC_SIP_BUILD_H

#include "codec/sip/headers.h"

/** "METHOD uri SIP/2.0". */
void sip_put_request_line(struct buf *b, struct span method, struct span uri);

/** "SIP/2.0 status reason"; an empty reason gives the standard one. */
void sip_put_status_line(struct buf *b, unsigned status, struct span reason);

/** A header line of a known id. value must hold no line break. */
void sip_put(struct buf *b, enum sip_header_id id, struct span value);

/** A header line with a number. */
void sip_put_number(struct buf *b, enum sip_header_id id, uint64_t value);

/** A header line of any name. */
void sip_put_named(struct buf *b, struct span name, struct span value);

/** "Name: ", for a value that is written piece by piece; sip_put_end ends the line. */
void sip_put_begin(struct buf *b, enum sip_header_id id);

/** Ends a header line. */
static inline void sip_put_end(struct buf *b) {
    buf_bytes(b, "\r\n", 2);
}

/** A quoted string: quotes around it, quotes and backslashes in it escaped, control characters
 * dropped. */
void sip_put_quoted(struct buf *b, struct span text);

/** Content-Length, the empty line, and the body (may be empty). Content-Type is a header line like
 * others, written before. */
void sip_put_body(struct buf *b, struct span body);

/** One Via value of our own, without line end: "SIP/2.0/UDP host:port;params;branch=...". params:
 * ";rport", ";keep", both or nothing. */
void sip_put_via(struct buf *b, struct span transport, struct span sent_by, struct span params,
                 struct span branch);

/** A Via value with received and rport set to where the request came from (RFC 3261 18.2.1, RFC
 * 3581 section 4): rport only if it stood there, received if the host differs or rport stood there;
 * and, if its sender offers keep-alives, with the seconds that are wanted between them (RFC 6223
 * 4.4). keep_s 0: none are wanted. */
void sip_put_via_stamped(struct buf *b, const struct sip_via *via, const struct addr *from,
                         uint32_t keep_s);

/** Does a Via need sip_put_via_stamped? */
bool sip_via_needs_stamp(const struct sip_via *via, const struct addr *from, uint32_t keep_s);

/** All lines of one id as the message has them (the first Via stamped, if it is). */
void sip_copy(struct buf *b, const struct sip_msg *msg, enum sip_header_id id);

/** Beginning of an answer to a request: status line; Via lines, From, To, Call-ID, CSeq of the
 * request; Timestamp of it in a 100 (RFC 3261 8.2.6). to_tag is added to To if To has none; empty
 * for none. */
void sip_put_reply(struct buf *b, const struct sip_msg *request, unsigned status,
                   struct span reason, struct span to_tag);

/* A copy of a message with changes */

enum sip_edit_kind {
    SIP_EDIT_REMOVE,  /* all lines of the header */
    SIP_EDIT_REPLACE, /* all lines, by one line with this value; it is added where there was none */
    SIP_EDIT_PREPEND, /* a line with this value before the first of the header */
    SIP_EDIT_APPEND,  /* a line with this value behind the last header line of the message */
    SIP_EDIT_POP,     /* the first value of the header, which is a list */
};

struct sip_edit {
    enum sip_edit_kind kind;
    enum sip_header_id id; /* SIP_H_OTHER: see name */
    struct span name;      /* for SIP_H_OTHER only */
    struct span value;
};

enum { SIP_EDITS_MAX = 32 };

/** A list of changes. Zeroed memory is an empty list. Edits of one header apply in their order:
 * REMOVE or REPLACE settles what was received, POP what is its first value; PREPEND and APPEND add
 * to whatever is left. */
struct sip_edits {
    struct sip_edit list[SIP_EDITS_MAX];
    uint16_t n;
    bool overflow; /* more than SIP_EDITS_MAX: the copy fails */
};

/** Makes *edits a copy of another list, or an empty one for NULL; cheaper than an assignment. */
void sip_edits_copy(struct sip_edits *edits, const struct sip_edits *other);

/** Removes all lines of a header. */
void sip_edit_remove(struct sip_edits *edits, enum sip_header_id id);

/** The same for a header that the specification does not know. */
void sip_edit_remove_named(struct sip_edits *edits, struct span name);

/** Puts one line in place of all lines of a header. value lives until the copy is written; the same
 * in the functions below. */
void sip_edit_replace(struct sip_edits *edits, enum sip_header_id id, struct span value);

/** A line before the first of this header: a new topmost Via, Route, Path, Record-Route. */
void sip_edit_prepend(struct sip_edits *edits, enum sip_header_id id, struct span value);

/** A line at the end. */
void sip_edit_append(struct sip_edits *edits, enum sip_header_id id, struct span value);

/** The same for a header that the specification does not know. */
void sip_edit_append_named(struct sip_edits *edits, struct span name, struct span value);

/** Takes the first value off a list header: Via from a response, Route from a request. */
void sip_edit_pop(struct sip_edits *edits, enum sip_header_id id);

/** All header lines of msg with the changes, without start line; Content-Length is left out
 * (sip_put_body writes it). Runs of unchanged lines are copied at once. edits may be NULL. */
void sip_put_edited(struct buf *b, const struct sip_msg *msg, const struct sip_edits *edits);

#endif
