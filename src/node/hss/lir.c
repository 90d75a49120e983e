/* LIR, LIA: TS 29.228 6.1.4, TS 29.229 6.1.5. The decision is model/cx/location_info.c. */
#include "model/cx/location_info.h"

#include "node/hss/internal.h"

static void answer(struct job *job, const struct location_info *a) {
    struct hss *h = job->hss;
    const struct subscription *s = &job->subscriber->s;
    struct cx_lia lia = {.result = hss_result(a->result)};

    if (a->send_server_name) {
        lia.server_name = subscription_scscf(s);
    }
    if (a->direct.n) {
        lia.server_name = a->direct;
        lia.has_lia_flags = true;
        lia.lia_flags = CX_LIA_FLAGS_PSI_DIRECT_ROUTING;
    }
    if (a->wildcard.n) {
        lia.wildcarded_public_identity = a->wildcard;
    }
    if (a->send_capabilities) {
        lia.server_capabilities = hss_capabilities(h, s->data, diameter_request_arena(job->rq));
    }
    if (a->note_reassignment_pending) {
        job->subscriber->s.notes.reassignment_pending = true;
        subscriber_note(h, job->subscriber);
    }
    cx_lia_encode(diameter_answer_begin(job->rq), &lia);
    diameter_answer_send(job->rq);
    job_end(job);
}

static bool serves_unregistered(struct hss *h, const struct subscriber *s, struct span identity) {
    struct rec_impu impu;

    if (!s || !subscription_impu(s->s.data, identity, &impu)) {
        return false;
    }
    struct profile *p = profiles_find(h, rec_impu_profile(impu));
    return p && p->serves_unregistered;
}

static void run(struct job *job) {
    const struct cx_lir *lir = &job->lir;
    struct subscriber *s = job->subscriber;

    if (job->error) {
        hss_refuse(job, CX_UNABLE_TO_COMPLY, SPAN_NONE, lir->public_identity);
        return;
    }
    struct location_info a = location_inform(
        s ? &s->s : NULL,
        &(struct location_info_request){
            .impu = job->identity,
            .unregistered_services = serves_unregistered(job->hss, s, job->identity),
            .originating = lir->has_originating_request,
            .with_capabilities = lir->has_user_authorization_type &&
                                 lir->user_authorization_type ==
                                     CX_USER_AUTHORIZATION_TYPE_REGISTRATION_AND_CAPABILITIES,
        });
    if (s && cx_result_is_success(a.result)) {
        answer(job, &a);
    } else {
        hss_refuse(job, a.result, SPAN_NONE, lir->public_identity);
    }
}

void lir_take(struct hss *h, struct diameter_request *rq, const struct diameter_msg *msg) {
    struct diameter_fault fault;
    struct job *job = job_new(h, run);

    h->counters.lir++;
    if (!job) {
        hss_answer_busy(rq);
        return;
    }
    job->latency = &h->counters.lir_latency;
    job->rq = rq;
    if (cx_lir_decode(diameter_request_arena(rq), msg, &job->lir, &fault) != OK) {
        diameter_answer_fault(rq, &fault);
        job_end(job);
        return;
    }
    job_find_public(job, hss_canonical(diameter_request_arena(rq), job->lir.public_identity));
}
