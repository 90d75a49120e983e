/* HTTP/1.1 requests as bytes (RFC 9112), read strictly by llhttp: no I/O, no memory of its own.
 *
 * Whatever two readers could understand differently is refused (request smuggling): a line that
 * ends with LF alone, a CR alone, a folded field, white space before a colon, Content-Length twice
 * or beside Transfer-Encoding, transfer codings other than chunked, HTTP/1.0 with one. */
#ifndef MUSTER_STACK_HTTP_MESSAGE_H
#define MUSTER_STACK_HTTP_MESSAGE_H

#include "base/attribute.h"
#include "base/span.h"

#include <llhttp.h>

enum { HTTP_FIELDS_MAX = 100 };

enum http_scan {
    HTTP_MORE,  /* the head has no end yet */
    HTTP_WHOLE, /* it has */
    HTTP_BAD,   /* it has bytes that no head may have */
};

/** Looks for the end of a head, going on at *scanned; *head_n: its length with the empty line. */
MUST_CHECK enum http_scan http_head_scan(struct span bytes, size_t *scanned, size_t *head_n);

struct http_field {
    struct span name, value; /* value without the white space around it */
};

/** A request's head; spans into its bytes. */
struct http_head {
    struct span method, target; /* target: path and query, from the first slash on */
    struct http_field fields[HTTP_FIELDS_MAX];
    size_t n_fields;
    struct span host;
    uint64_t length; /* of the body; 0 if it comes in chunks */
    bool chunked;
    bool closes;           /* the connection is not wanted afterwards */
    bool expects_continue; /* the client waits for 100 before it sends the body */
};

/** Reads a head that http_head_scan found whole. 0, or the status of the refusal (400, 431, 501,
 * 505) and the reason. */
MUST_CHECK unsigned http_head_parse(struct span bytes, struct http_head *out, const char **why);

/** The value of a field; p is NULL if there is none, or there are several (*repeated, may be
 * NULL). */
struct span http_field(const struct http_head *head, struct span name, bool *repeated);

/** Where a body in chunks stands. */
struct http_chunks {
    llhttp_t parser;
    size_t framing; /* bytes since the last piece of the body */
    char last;      /* byte that was taken */
};

/** At the beginning of a body. */
void http_chunks_init(struct http_chunks *c);

enum http_chunk {
    HTTP_CHUNK_MORE, /* all was taken, and it goes on */
    HTTP_CHUNK_DATA, /* *data is a piece of the body; call again */
    HTTP_CHUNK_END,  /* the body ends here; *in is what follows */
    HTTP_CHUNK_BAD,
};

/** Takes from *in as far as it goes. Extensions and trailers are read over; both are bounded. */
MUST_CHECK enum http_chunk http_chunks_take(struct http_chunks *c, struct span *in,
                                            struct span *data);

#endif
