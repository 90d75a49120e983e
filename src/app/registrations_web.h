/* What the S-CSCFs of this process have registered, over the web interface, and what an operator
 * may want of it.
 *
 *     GET  /registrations/ID                  its contacts, as a JSON array
 *     POST /registrations/ID/reauthenticate   {"seconds": 60}: they must authenticate anew
 *
 * ID is a private identity, or a public one: then the contacts of its implicit registration set. */
#ifndef MUSTER_APP_REGISTRATIONS_WEB_H
#define MUSTER_APP_REGISTRATIONS_WEB_H

#include "stack/http/web.h"

enum {
    REAUTHENTICATE_S = 60,         /* unless asked for otherwise */
    REAUTHENTICATE_MAX_S = 600000, /* TS 24.229 7.8 */
};

/** Serves such a request (web_handle_fn with the struct network as ctx). */
void registrations_web_handle(void *network, const struct web_request *request,
                              web_answer_fn *answer, void *answer_ctx);

#endif
