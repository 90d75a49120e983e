/* UDR, UDA: Sh-Pull, TS 29.328 6.1.1, TS 29.329 6.1.1. Data that does not exist is left out of the
 * answer; without any the answer is a success without User-Data. */
#include "node/hss/sh.h"

static void answer(struct sh_job *sh) {
    struct job *job = sh->job;
    const struct sh_udr *udr = &sh->udr;
    const struct sh_question q = {.references = sh->references,
                                  .n_references = sh->n_references,
                                  .identity_sets = udr->identity_set,
                                  .n_identity_sets = udr->n_identity_set,
                                  .server_name = udr->server_name,
                                  .repositories = sh->loading.got,
                                  .n_repositories = sh->loading.n_got};
    struct span document =
        sh_document(job->hss, &job->subscriber->s, sh->identity, &q, sh_arena(sh));

    if (!document.p) {
        sh_refuse(sh, DIAMETER_RESULT(DIAMETER_UNABLE_TO_COMPLY));
        return;
    }
    struct sh_uda uda = {.result = DIAMETER_RESULT(DIAMETER_SUCCESS),
                         .wildcarded_public_identity = sh->wildcard,
                         .sh_user_data = document.n ? document : SPAN_NONE};
    sh_uda_encode(diameter_answer_begin(sh->rq), &uda);
    diameter_answer_send(sh->rq);
    job_end(job);
}

static void act(struct sh_job *sh) {
    for (size_t i = 0; i < sh->n_references; i++) {
        if (sh_rules[sh->references[i]].needs_server_name && !sh->udr.server_name.n) {
            sh_refuse_missing(sh, CX_AVP_SERVER_NAME);
            return;
        }
    }
    (void)sh_load(sh, answer);
}

void sh_pull(struct sh_job *sh, const struct diameter_msg *msg) {
    struct diameter_fault fault;

    if (sh_udr_decode(sh_arena(sh), msg, &sh->udr, &fault) != OK) {
        sh_answer_fault(sh, &fault);
        return;
    }
    sh->references = sh->udr.data_reference;
    sh->n_references = sh->udr.n_data_reference;
    sh->services = sh->udr.service_indication;
    sh->n_services = sh->udr.n_service_indication;
    sh->act = act;
    sh_begin(sh, &sh->udr.user_identity);
}
