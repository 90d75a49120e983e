/* What a running process tells monitoring: GET /metrics (Prometheus text format 0.0.4), /health and
 * /ready.
 *
 *     /metrics  counters of nodes, stacks, store, loop and process; latencies; reasons
 *     /health   200 while the loop turns: it answers
 *     /ready    200 if every node of this process runs and has the connections that it needs and
 * the process is not ending, else 503; JSON says which node is not ready */
#ifndef MUSTER_APP_METRICS_H
#define MUSTER_APP_METRICS_H

#include "app/network.h"
#include "rt/loop.h"

struct journal;

/** What is looked at; all of it outlives the handlers. */
struct metrics {
    const struct network *network;
    const struct loop *loop;
    const struct journal *journal; /* NULL: there is none */
    bool draining;                 /* the process is ending */
};

/** Serve them; web_handle_fns with the struct metrics as ctx. */
void metrics_handle(void *metrics, const struct web_request *request, web_answer_fn *answer,
                    void *answer_ctx);
/** See metrics_handle. */
void metrics_health(void *metrics, const struct web_request *request, web_answer_fn *answer,
                    void *answer_ctx);
/** See metrics_handle. */
void metrics_ready(void *metrics, const struct web_request *request, web_answer_fn *answer,
                   void *answer_ctx);

#endif
