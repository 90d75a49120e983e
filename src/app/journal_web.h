/* The journal of a running process over HTTP.
 *
 *     GET /journal?identity=ID
 *
 * answers the steps that are kept about a private or public identity, or its user part, oldest
 * first, as a JSON array of objects: wall_us, at_us, node, step, reason, status, impi, impu,
 * call_id, detail. Steps of the same request that do not name the identity are among them. At most
 * the newest JOURNAL_ANSWER_MAX. */
#ifndef MUSTER_APP_JOURNAL_WEB_H
#define MUSTER_APP_JOURNAL_WEB_H

#include "obs/journal.h"
#include "stack/http/web.h"

enum { JOURNAL_ANSWER_MAX = 2000 };

/** A web_handle_fn with the struct journal as ctx. */
void journal_web_handle(void *ctx, const struct web_request *request, web_answer_fn *answer,
                        void *answer_ctx);

/** Is a step about this identity: an IMPI, an IMPU, or the user part of one? */
bool journal_is_about(const struct journal_entry *e, struct span identity);

#endif
