/* SNR, SNA: Sh-Subs-Notif, TS 29.328 6.1.3, TS 29.329 6.1.5. What is granted is durable before the
 * answer; an Expiry-Time is granted as it is asked for, and without one a subscription lasts until
 * it is taken back. One that has passed already, or that ends nothing, is no error. */
#include "node/hss/sh.h"

/* One watcher for each Data-Reference, and for each Service-Indication or Identity-Set of it. */
struct filling {
    struct sh_job *sh;
    bool subscribe, changed;
    enum error error;
};

static void take_watcher(struct filling *f, const struct rec_watcher_data *w) {
    struct sh_job *sh = f->sh;

    if (!f->subscribe) {
        f->changed |= sh_unwatch(sh->watchers, &sh->n_watchers, w);
    } else if (!f->error) {
        f->error = sh_watch(sh->watchers, &sh->n_watchers, w);
        f->changed = true;
    }
}

static void take_reference(struct filling *f, enum sh_data_reference reference) {
    struct sh_job *sh = f->sh;
    const struct sh_snr *snr = &sh->snr;
    const struct sh_rule *rule = &sh_rules[reference];
    struct rec_watcher_data w = {
        .host = sh->host,
        .realm = sh->realm,
        .identity = sh->impu,
        .msisdn = sh->msisdn,
        .reference = (uint8_t)reference,
        .identity_set = SH_NO_IDENTITY_SET,
        .server_name = rule->needs_server_name ? snr->server_name : SPAN_NONE,
        .expires = snr->has_expiry_time && snr->expiry_time > 0 ? (uint64_t)snr->expiry_time : 0,
        .one_time = snr->has_one_time_notification,
    };
    if (rule->source == SH_REPOSITORY) {
        for (size_t i = 0; i < sh->n_services; i++) {
            w.service_indication = sh->services[i];
            take_watcher(f, &w);
        }
    } else if (reference == SH_DATA_REFERENCE_IMSPublicIdentity && snr->n_identity_set) {
        for (size_t i = 0; i < snr->n_identity_set; i++) {
            w.identity_set = (uint8_t)snr->identity_set[i];
            take_watcher(f, &w);
        }
    } else {
        take_watcher(f, &w);
    }
}

static void answer(struct sh_job *sh) {
    struct job *job = sh->job;
    const struct sh_snr *snr = &sh->snr;
    bool subscribe = snr->subs_req_type == SH_SUBS_REQ_TYPE_SUBSCRIBE;
    struct sh_sna sna = {.result = DIAMETER_RESULT(DIAMETER_SUCCESS),
                         .wildcarded_public_identity = sh->wildcard,
                         .has_expiry_time = subscribe && snr->has_expiry_time,
                         .expiry_time = snr->expiry_time};

    if (subscribe && snr->has_send_data_indication &&
        snr->send_data_indication == SH_SEND_DATA_INDICATION_USER_DATA_REQUESTED) {
        const struct sh_question q = {.references = sh->references,
                                      .n_references = sh->n_references,
                                      .identity_sets = snr->identity_set,
                                      .n_identity_sets = snr->n_identity_set,
                                      .server_name = snr->server_name,
                                      .repositories = sh->loading.got,
                                      .n_repositories = sh->loading.n_got};
        struct span document =
            sh_document(job->hss, &job->subscriber->s, sh->identity, &q, sh_arena(sh));
        sna.sh_user_data = document.n ? document : SPAN_NONE;
    }
    sh_sna_encode(diameter_answer_begin(sh->rq), &sna);
    diameter_answer_send(sh->rq);
    job_end(job);
}

static void on_saved(struct store_op *op) {
    struct job *job = CONTAINER_OF(op, struct job, op);
    struct sh_job *sh = job->ctx;

    if (op->error == ERR_CONFLICT && job->attempts + 1 < ATTEMPTS_MAX) {
        job_again(job);
    } else if (op->error) {
        LOG(&job->hss->env->log, LOG_ERROR, "a subscription of an application server is not saved",
            LOG_SPAN("as", sh->host), LOG_SPAN("impu", sh->impu),
            LOG_CSTR("why", error_text(op->error)));
        sh_refuse(sh, DIAMETER_RESULT(DIAMETER_UNABLE_TO_COMPLY));
    } else {
        job->subscriber->version = op->subscription.version;
        if (sh_set_watchers(job->subscriber, job->watchers) != OK) {
            job->subscriber->stale = true;
        }
        answer(sh);
    }
}

static void save(struct sh_job *sh) {
    struct job *job = sh->job;

    job->watchers = sh_watchers_record(sh->watchers, sh->n_watchers, sh_arena(sh));
    if (!job->watchers.p) {
        sh_refuse(sh, DIAMETER_RESULT(DIAMETER_UNABLE_TO_COMPLY));
        return;
    }
    job->op.done = on_saved;
    store_save(job->hss->store, &job->op,
               &(struct store_change){.id = job->subscriber->id,
                                      .version = job->subscriber->version,
                                      .watchers = job->watchers});
}

/* 6.1.3.1: repository data that is not there cannot be subscribed to. */
static bool all_there(const struct sh_job *sh) {
    size_t wanted = 0;
    for (size_t i = 0; i < sh->n_references; i++) {
        wanted += sh_rules[sh->references[i]].source == SH_REPOSITORY ? sh->n_services : 0;
    }
    return sh->loading.n_got == wanted;
}

static void decide(struct sh_job *sh) {
    struct job *job = sh->job;
    struct filling f = {.sh = sh, .subscribe = sh->snr.subs_req_type == SH_SUBS_REQ_TYPE_SUBSCRIBE};

    if (f.subscribe && !all_there(sh)) {
        sh_refuse(sh, DIAMETER_3GPP_RESULT(DIAMETER_ERROR_SUBS_DATA_ABSENT));
        return;
    }
    sh->watchers = sh_watchers(job->subscriber, sh_arena(sh), &sh->n_watchers);
    if (!sh->watchers) {
        sh_refuse(sh, DIAMETER_RESULT(DIAMETER_UNABLE_TO_COMPLY));
        return;
    }
    f.changed =
        sh_prune(sh->watchers, &sh->n_watchers, job->subscriber->s.data, sh_now_s(job->hss));
    for (size_t i = 0; i < sh->n_references; i++) {
        take_reference(&f, sh->references[i]);
    }
    if (f.error) {
        LOG(&job->hss->env->log, LOG_WARNING, "too many subscriptions of application servers",
            LOG_SPAN("as", sh->host), LOG_SPAN("impu", sh->impu));
        sh_refuse(sh, DIAMETER_RESULT(DIAMETER_UNABLE_TO_COMPLY));
    } else if (f.changed) {
        save(sh);
    } else {
        answer(sh);
    }
}

static void act(struct sh_job *sh) {
    if (sh->snr.server_name.n > SUBSCRIPTION_IDENTITY_MAX) { /* nobody's; it would be kept */
        sh_refuse(sh, DIAMETER_RESULT(DIAMETER_INVALID_AVP_VALUE));
        return;
    }
    for (size_t i = 0; i < sh->n_references; i++) {
        if (sh_rules[sh->references[i]].needs_server_name && !sh->snr.server_name.n) {
            sh_refuse_missing(sh, CX_AVP_SERVER_NAME);
            return;
        }
    }
    (void)sh_load(sh, decide);
}

void sh_subscribe(struct sh_job *sh, const struct diameter_msg *msg) {
    struct diameter_fault fault;

    if (sh_snr_decode(sh_arena(sh), msg, &sh->snr, &fault) != OK) {
        sh_answer_fault(sh, &fault);
        return;
    }
    sh->references = sh->snr.data_reference;
    sh->n_references = sh->snr.n_data_reference;
    sh->services = sh->snr.service_indication;
    sh->n_services = sh->snr.n_service_indication;
    sh->act = act;
    sh_begin(sh, &sh->snr.user_identity);
}
