/* One HTTP exchange as values: a request, and an answer that may come later.
 *
 * Whoever serves requests (the HSS its provisioning, the process its trace) is a function of this
 * type. It cannot tell who asks: the HTTP server (stack/http/server.h), a simulation or a flow,
 * which call the same function in the process. */
#ifndef MUSTER_STACK_HTTP_WEB_H
#define MUSTER_STACK_HTTP_WEB_H

#include "base/buf.h"
#include "rt/addr.h"

/** What somebody asks. All spans are valid until the handler returns: what is needed later is
 * copied. */
struct web_request {
    struct span method; /* "GET", "POST", ...; case matters */
    struct span path;   /* from the first slash, still percent-encoded: see web_path_segment */
    struct span query;  /* behind the question mark, still encoded: see web_query */
    struct span content_type;            /* empty if there is none */
    struct span if_match, if_none_match; /* conditions (RFC 9110 13.1); empty: none */
    struct span body;                    /* whole; empty if there is none */
    struct addr remote;                  /* from where; family 0: from the process itself */
    struct span who;                     /* whose token it has; empty: there are no tokens */
};

struct web_header {
    struct span name, value;
};

/** What is answered. All spans need to be valid only during the call that hands it over. */
struct web_answer {
    unsigned status;          /* 200 to 599 */
    struct span content_type; /* empty without a body */
    struct span body;
    const struct web_header *headers; /* besides Content-Type, Content-Length and Date */
    size_t n_headers;
};

/** Takes the answer to one request: called once for each request, inside the handler or later,
 * from the same loop. Whether the asker still listens does not matter. */
typedef void web_answer_fn(void *answer_ctx, const struct web_answer *answer);

/** Serves a request: calls answer(answer_ctx, ...) exactly once, now or later. A handler that is
 * destroyed (a crash in the simulation, the end of the process) drops what it has not answered. */
typedef void web_handle_fn(void *ctx, const struct web_request *request, web_answer_fn *answer,
                           void *answer_ctx);

/** Appends text with its percent escapes resolved; plus signs are spaces only in a query. False for
 * a broken escape, an encoded NUL or when *out overflows. */
MUST_CHECK bool web_decode(struct span text, bool in_query, struct buf *out);

/** Appends text so that it is one segment of a path or one value of a query: all but letters,
 * digits and -._~ is escaped. */
void web_encode(struct buf *out, struct span text);

/** Cuts the next segment off *path ("/a/b": "a", then "b") and leaves the rest. The segment is
 * still encoded; false when nothing is left. */
MUST_CHECK bool web_path_segment(struct span *path, struct span *segment);

/** Finds a parameter in a query and appends its decoded value. False if it is absent or broken, or
 * does not fit. The first one counts. */
MUST_CHECK bool web_query(struct span query, struct span name, struct buf *out);

/** Answers with a status and its reason as application/problem+json (RFC 9457): status, title, and
 * text as the detail. */
void web_refuse(web_answer_fn *answer, void *answer_ctx, unsigned status, const char *text);

/** Answers 405 with what there is: "GET, POST". */
void web_refuse_method_of(web_answer_fn *answer, void *answer_ctx, const char *allowed);

/** The reason phrase of a status code ("Not Found"); "Unknown" for codes without one. */
const char *web_status_text(unsigned status);

#endif
