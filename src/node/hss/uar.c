/* UAR, UAA: TS 29.228 6.1.1, TS 29.229 6.1.1. The decision is model/cx/user_authorization.c. */
#include "model/cx/user_authorization.h"

#include "node/hss/internal.h"

static void answer(struct job *job, const struct user_authorization *a) {
    struct hss *h = job->hss;
    const struct subscription *s = &job->subscriber->s;
    struct cx_uaa uaa = {.result = hss_result(a->result)};

    if (a->send_server_name) {
        uaa.server_name = subscription_scscf(s);
    }
    if (a->send_capabilities) {
        uaa.server_capabilities = hss_capabilities(h, s->data, diameter_request_arena(job->rq));
    }
    if (a->note_reassignment_pending) {
        job->subscriber->s.notes.reassignment_pending = true;
        subscriber_note(h, job->subscriber);
    }
    cx_uaa_encode(diameter_answer_begin(job->rq), &uaa);
    diameter_answer_send(job->rq);
    job_end(job);
}

/* Nobody has such an identity, and nobody shall find that out: it goes the way of all
 * registrations, and fails at its authentication (see mar.c). */
static void answer_decoy(struct job *job) {
    struct cx_uaa uaa = {.server_name = decoy_server(job->hss, job->uar.user_name)};

    uaa.result = hss_result(uaa.server_name.n ? CX_SUBSEQUENT_REGISTRATION : CX_FIRST_REGISTRATION);
    if (!uaa.server_name.n) {
        uaa.server_capabilities =
            hss_default_capabilities(job->hss, diameter_request_arena(job->rq));
    }
    cx_uaa_encode(diameter_answer_begin(job->rq), &uaa);
    diameter_answer_send(job->rq);
    job_end(job);
}

static bool wants_decoy(const struct job *job, const struct user_authorization_request *request,
                        enum cx_result result) {
    return job->hss->config.challenge_unknown &&
           (result == CX_USER_UNKNOWN || result == CX_IDENTITIES_DONT_MATCH) &&
           request->type == CX_USER_AUTHORIZATION_TYPE_REGISTRATION && !request->emergency;
}

static void run(struct job *job) {
    const struct cx_uar *uar = &job->uar;
    struct user_authorization_request request = {
        .impi = uar->user_name,
        .impu = job->identity,
        .visited_network = uar->visited_network_identifier,
        .type = uar->has_user_authorization_type ? uar->user_authorization_type
                                                 : CX_USER_AUTHORIZATION_TYPE_REGISTRATION,
        .emergency =
            uar->has_uar_flags && (uar->uar_flags & CX_UAR_FLAGS_EMERGENCY_REGISTRATION) != 0,
    };

    if (job->error) {
        hss_refuse(job, CX_UNABLE_TO_COMPLY, request.impi, request.impu);
        return;
    }
    if (job_looks_elsewhere(job, request.impi)) {
        return;
    }
    request.impi_elsewhere = job->impi_elsewhere;
    struct user_authorization a = user_authorize(job->subscriber ? &job->subscriber->s : NULL,
                                                 &request, job->hss->config.home_domain);
    if (job->subscriber && cx_result_is_success(a.result)) {
        answer(job, &a);
    } else if (wants_decoy(job, &request, a.result)) {
        answer_decoy(job);
    } else {
        hss_refuse(job, a.result, request.impi, request.impu);
    }
}

void uar_take(struct hss *h, struct diameter_request *rq, const struct diameter_msg *msg) {
    struct diameter_fault fault;
    struct job *job = job_new(h, run);

    h->counters.uar++;
    if (!job) {
        hss_answer_busy(rq);
        return;
    }
    job->latency = &h->counters.uar_latency;
    job->rq = rq;
    if (cx_uar_decode(diameter_request_arena(rq), msg, &job->uar, &fault) != OK) {
        diameter_answer_fault(rq, &fault);
        job_end(job);
        return;
    }
    job_find(job, STORE_IMPU, hss_canonical(diameter_request_arena(rq), job->uar.public_identity));
}
