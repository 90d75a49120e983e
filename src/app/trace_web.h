/* The trace of a running process over HTTP, and its reader.
 *
 *     GET /trace?after=N&wait=S
 *
 * answers the recorded messages whose number is above N (0: all that are kept), as JSON lines: an
 * object a message, at last {"next": M}, which is the N to ask for next: an answer has about 512
 * KiB at most, so whoever wants all asks until M stays as it is. With wait, an empty answer is held
 * back until a message comes or S seconds (at most 30) have passed. Bytes are in base64, and
 * masked: no key leaves the process. */
#ifndef MUSTER_APP_TRACE_WEB_H
#define MUSTER_APP_TRACE_WEB_H

#include "obs/trace.h"
#include "rt/env.h"
#include "stack/http/web.h"

struct trace_web;

/** Serves a trace; it becomes the trace's listener. env and trace outlive it. ERR_NO_MEMORY. */
MUST_CHECK enum error trace_web_new(struct env *env, struct trace *trace, struct trace_web **out);

/** Stops; requests that wait are forgotten. NULL is allowed. */
void trace_web_free(struct trace_web *w);

/** A web_handle_fn with the struct trace_web as ctx. */
void trace_web_handle(void *ctx, const struct web_request *request, web_answer_fn *answer,
                      void *answer_ctx);

/** Reads an answer: calls each for every message (the spans are valid during the call) and sets
 * *next. ERR_MALFORMED, ERR_NO_MEMORY, or what each returns when it is not OK. */
MUST_CHECK enum error trace_web_read(struct span body, uint64_t *next,
                                     enum error (*each)(void *ctx, const struct trace_message *m),
                                     void *ctx);

#endif
