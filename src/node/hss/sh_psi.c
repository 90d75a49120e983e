/* PSI Activation State: TS 29.328 6.1.2, 7.6.13; TS 23.008 3.1.9. An application server switches a
 * public service identity on and off; it is the same datum as the provisioning interface's
 * "inactive", and what follows for LIR is model/cx/location_info. */
#include "node/hss/sh.h"

#include "node/hss/web.h"

#include <openssl/crypto.h>

static void on_saved(struct store_op *op) {
    struct job *job = CONTAINER_OF(op, struct job, op);
    struct sh_job *sh = job->ctx;

    if (op->error == ERR_CONFLICT && job->attempts + 1 < ATTEMPTS_MAX) {
        job_again(job);
        return;
    }
    if (op->error) {
        LOG(&job->hss->env->log, LOG_ERROR, "an activation cannot be saved",
            LOG_SPAN("as", sh->host), LOG_SPAN("impu", sh->impu),
            LOG_CSTR("why", error_text(op->error)));
        sh_refuse(sh, DIAMETER_RESULT(DIAMETER_UNABLE_TO_COMPLY));
        return;
    }
    job->subscriber->stale = true; /* it is read again */
    sh_notify(job->hss, job->subscriber->id, job->watchers);
    sh_answer_change(sh);
}

/* The static record with the other state; in the arena, with keys in it. Empty: memory is out. */
static struct span with_state(struct sh_job *sh, bool active) {
    struct rec_subscription data = sh->job->subscriber->s.data;
    struct rec_subscription_data d;
    struct span record = SPAN_NONE;

    if (rec_subscription_decode(record_bytes(data.record), sh_arena(sh), &d) != OK) {
        return SPAN_NONE;
    }
    struct rec_impu_data *impus = arena_alloc(sh_arena(sh), (d.n_impus + 1) * sizeof *impus);
    if (impus) {
        memcpy(impus, d.impus, d.n_impus * sizeof *impus);
        for (size_t i = 0; i < d.n_impus; i++) {
            if (span_eq(impus[i].identity, sh->impu)) {
                impus[i].inactive = !active;
            }
        }
        d.impus = impus;
        record = web_record(sh_arena(sh), &rec_subscription_type, &d);
    }
    OPENSSL_cleanse((void *)(uintptr_t)d.impis, d.n_impis * sizeof *d.impis);
    return record;
}

void sh_activate(struct sh_job *sh) {
    struct job *job = sh->job;
    struct subscriber *s = job->subscriber;

    if (rec_impu_inactive(sh->identity) == !sh->document->psi_active) {
        sh_answer_change(sh); /* it is so already */
        return;
    }
    struct span record = with_state(sh, sh->document->psi_active);
    struct subscription now = {.state = s->s.state};
    if (!record.n || subscription_open(record, &now.data) != OK ||
        sh_compare(job->hss, s, &now, sh->host, sh_arena(sh), &job->watchers) != OK) {
        sh_refuse(sh, DIAMETER_RESULT(DIAMETER_UNABLE_TO_COMPLY));
        return;
    }
    job->op.done = on_saved;
    store_save(job->hss->store, &job->op,
               &(struct store_change){
                   .id = s->id, .version = s->version, .data = record, .watchers = job->watchers});
    OPENSSL_cleanse((char *)(uintptr_t)record.p, record.n);
}
