#include "app/openapi_web.h"

#include "app/openapi_json.h"

void openapi_web_handle(void *ctx, const struct web_request *request, web_answer_fn *answer,
                        void *answer_ctx) {
    (void)ctx;
    if (!span_eq(request->path, SPAN("/openapi.json"))) {
        web_refuse(answer, answer_ctx, 404, "there is /openapi.json");
    } else if (!span_eq(request->method, SPAN("GET"))) {
        web_refuse_method_of(answer, answer_ctx, "GET");
    } else {
        answer(answer_ctx, &(struct web_answer){.status = 200,
                                                .content_type = SPAN_INIT("application/json"),
                                                .body = builtin_files[0].text});
    }
}
