/* The description of the web interface (spec/openapi.yaml), served by itself: GET /openapi.json. */
#ifndef MUSTER_APP_OPENAPI_WEB_H
#define MUSTER_APP_OPENAPI_WEB_H

#include "stack/http/web.h"

/** A web_handle_fn; ctx is not used. */
void openapi_web_handle(void *ctx, const struct web_request *request, web_answer_fn *answer,
                        void *answer_ctx);

#endif
