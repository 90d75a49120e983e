/* Fuzzes provisioning: a request line "METHOD PATH?QUERY" and a body, JSON or one document a line,
 * to an HSS that has a subscription. Every request gets one answer, with a status that it may have.
 */
#include "node/hss/hss.h"
#include "rt/sim.h"
#include "store/memory.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HOME "ims.mnc001.mcc001.3gppnetwork.org"
#define SIM                                                                                        \
    "{\"imsi\":\"001010000000001\",\"msisdn\":\"447700900101\","                                   \
    "\"k\":\"465b5ce8b199b49faa5f0a2ee238a6bc\",\"opc\":\"cd63cb71954a9f4e48a5994e37a02baf\"}"

struct world {
    struct sim *sim;
    struct env *env, *store_env;
    struct store *store;
    struct hss *hss;
    unsigned answers, status;
};

static void note(void *ctx, const struct web_answer *answer) {
    struct world *w = ctx;
    w->answers++;
    w->status = answer->status;
}

static void ask(struct world *w, struct web_request *r) {
    size_t query = span_find_char(r->path, '?');
    if (query < r->path.n) {
        r->query = span_after(r->path, query + 1);
        r->path.n = query;
    }
    w->answers = 0;
    hss_web(w->hss, r, note, w);
    sim_run_until(w->sim, sim_now_us(w->sim) + 10 * SEC_IN_US);
    if (w->answers != 1 || w->status < 200 || w->status >= 500) {
        abort();
    }
}

static bool open_world(struct world *w) {
    const struct store_memory_config store = {0};
    const struct hss_config config = {.host = SPAN("hss." HOME),
                                      .realm = SPAN(HOME),
                                      .home_domain = SPAN(HOME),
                                      .listen = addr_v4(127, 0, 0, 1, 3868)};
    return sim_new(1, &w->sim) == OK && sim_env_new(w->sim, "store", &w->store_env) == OK &&
           sim_env_new(w->sim, "hss", &w->env) == OK &&
           store_memory_new(w->store_env, &store, &w->store) == OK &&
           hss_new(w->env, &config, w->store, &w->hss) == OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct world w = {0};
    if (!open_world(&w)) {
        abort();
    }
    w.env->log.level = LOG_ERROR;
    sim_run_until(w.sim, SEC_IN_US);
    ask(&w, &(struct web_request){
                .method = SPAN("POST"), .path = SPAN("/subscriptions/sim"), .body = SPAN(SIM)});
    struct span rest = span_of(data, size), line = span_cut(&rest, '\n');
    struct web_request r = {.method = span_cut(&line, ' '), .path = line, .body = rest};
    r.content_type = rest.n && rest.p[0] == '\n' ? SPAN("application/x-ndjson") : SPAN_NONE;
    ask(&w, &r);
    ask(&w, &(struct web_request){.method = SPAN("GET"), .path = SPAN("/subscriptions")});
    if (w.status != 200) {
        abort();
    }
    hss_free(w.hss);
    store_free(w.store);
    env_close(w.env);
    env_close(w.store_env);
    sim_free(w.sim);
    return 0;
}
