/* PUR, PUA: Sh-Update, TS 29.328 6.1.2, TS 29.329 6.1.3. The decision is sh_decide_update.
 *
 * A request changes the repository data of one service: several in one request take the feature
 * Update-Eff, which is not offered, and get OPERATION_NOT_ALLOWED. The change is durable before the
 * answer, in one commit with what other application servers are to hear of it. An application
 * server writes over a subscription's data in the order in which its requests come, so
 * PRIOR_UPDATE_IN_PROGRESS is never needed: the later one finds another sequence number. */
#include "node/hss/sh.h"

#include "node/hss/web.h"

void sh_answer_change(struct sh_job *sh) {
    struct job *job = sh->job;
    struct sh_pua pua = {.result = DIAMETER_RESULT(DIAMETER_SUCCESS),
                         .wildcarded_public_identity = sh->wildcard};

    sh_pua_encode(diameter_answer_begin(sh->rq), &pua);
    diameter_answer_send(sh->rq);
    job_end(job);
}

static void on_saved(struct store_op *op) {
    struct job *job = CONTAINER_OF(op, struct job, op);
    struct sh_job *sh = job->ctx;
    struct hss *h = job->hss;
    struct subscriber *s = job->subscriber;

    if (op->error == ERR_CONFLICT && job->attempts + 1 < ATTEMPTS_MAX) {
        job_again(job);
        return;
    }
    if (op->error) {
        LOG(&h->env->log, op->error == ERR_BUSY ? LOG_INFO : LOG_ERROR,
            "repository data cannot be saved", LOG_SPAN("as", sh->host), LOG_SPAN("impu", sh->impu),
            LOG_CSTR("why", error_text(op->error)));
        sh_refuse(sh, op->error == ERR_BUSY ? DIAMETER_3GPP_RESULT(DIAMETER_ERROR_TOO_MUCH_DATA)
                                            : DIAMETER_RESULT(DIAMETER_UNABLE_TO_COMPLY));
        return;
    }
    s->version = op->subscription.version;
    if (job->watchers.n) {
        if (sh_set_watchers(s, job->watchers) != OK) {
            s->stale = true; /* it is read again */
        }
        sh_notify(h, s->id, job->watchers);
    }
    sh_answer_change(sh);
}

/* Who else is to hear of it? False: memory is out. */
static bool mark(struct sh_job *sh, struct sh_owner owner) {
    struct subscriber *s = sh->job->subscriber;
    size_t n;

    sh->job->watchers = SPAN_NONE;
    if (!s->watchers) {
        return true;
    }
    struct rec_watcher_data *list = sh_watchers(s, sh_arena(sh), &n);
    if (!list) {
        return false;
    }
    bool pruned = sh_prune(list, &n, s->s.data, sh_now_s(sh->job->hss));
    if (sh_mark_repository(list, n, s->s.data, owner, sh->update.service_indication,
                           sh->update.sequence_number, sh->host) ||
        pruned) {
        sh->job->watchers = sh_watchers_record(list, n, sh_arena(sh));
        return sh->job->watchers.p != NULL;
    }
    return true;
}

static void save(struct sh_job *sh, enum sh_update effect) {
    struct job *job = sh->job;
    struct sh_owner owner = sh_owner_of(sh->identity);
    const struct rec_repository_data d = {
        .owner = owner.name,
        .of_aliases = owner.of_aliases,
        .service_indication = sh->update.service_indication,
        .sequence_number = sh->update.sequence_number,
        .service_data = sh->update.service_data,
    };
    struct span record = web_record(sh_arena(sh), &rec_repository_type, &d);

    if (!record.n || !mark(sh, owner)) {
        sh_refuse(sh, DIAMETER_RESULT(DIAMETER_UNABLE_TO_COMPLY));
        return;
    }
    job->op.done = on_saved;
    store_save(job->hss->store, &job->op,
               &(struct store_change){
                   .id = job->subscriber->id,
                   .version = job->subscriber->version,
                   .watchers = job->watchers,
                   .repository = record,
                   .repository_goes = effect == SH_DELETE,
                   .repository_max = job->hss->config.repository_services_max,
               });
}

static void decide(struct sh_job *sh) {
    const struct sh_loading *l = &sh->loading;
    enum sh_update effect;
    struct diameter_result r =
        sh_decide_update(l->n_got > 0, l->n_got ? l->got[0].sequence_number : 0, &sh->update,
                         sh->job->hss->config.repository_bytes_max, &effect);

    if (diameter_result_is_success(r)) {
        save(sh, effect);
    } else {
        sh_refuse(sh, r);
    }
}

static void act(struct sh_job *sh) {
    (void)sh_load(sh, decide);
}

/* What the document asks for; by a Data-Reference that has no element in it, or an element without
 * a Data-Reference, nothing is to be understood. */
static struct diameter_result read_document(struct sh_job *sh) {
    const struct shdata *d;
    struct shdata *read;
    enum error e = shdata_read(sh->pur.sh_user_data, sh_arena(sh), &read);

    if (e == ERR_NO_MEMORY) {
        return DIAMETER_RESULT(DIAMETER_UNABLE_TO_COMPLY);
    }
    if (e) {
        return e == ERR_TOO_BIG ? DIAMETER_3GPP_RESULT(DIAMETER_ERROR_TOO_MUCH_DATA)
                                : DIAMETER_3GPP_RESULT(DIAMETER_ERROR_USER_DATA_NOT_RECOGNIZED);
    }
    d = sh->document = read;
    if (d->n_repositories + d->n_dsais + d->has_psi_activation > 1 || sh->n_references > 1) {
        return DIAMETER_3GPP_RESULT(DIAMETER_ERROR_OPERATION_NOT_ALLOWED);
    }
    if (sh->references[0] == SH_DATA_REFERENCE_PSIActivation) {
        return d->has_psi_activation && !d->has_others
                   ? DIAMETER_RESULT(DIAMETER_SUCCESS)
                   : DIAMETER_3GPP_RESULT(DIAMETER_ERROR_USER_DATA_NOT_RECOGNIZED);
    }
    bool aliases = sh->references[0] == SH_DATA_REFERENCE_AliasesRepositoryData;
    if (d->has_others || d->n_repositories != 1 || d->repositories[0].aliases != aliases) {
        return DIAMETER_3GPP_RESULT(DIAMETER_ERROR_USER_DATA_NOT_RECOGNIZED);
    }
    sh->update = d->repositories[0];
    sh->services = &sh->update.service_indication;
    sh->n_services = 1;
    return DIAMETER_RESULT(DIAMETER_SUCCESS);
}

/* The document is looked at when permission and identity are clear. */
static void act_on_document(struct sh_job *sh) {
    struct diameter_result r = read_document(sh);

    if (!diameter_result_is_success(r)) {
        sh_refuse(sh, r);
    } else if (sh->references[0] == SH_DATA_REFERENCE_PSIActivation) {
        sh_activate(sh);
    } else {
        act(sh);
    }
}

void sh_change(struct sh_job *sh, const struct diameter_msg *msg) {
    struct diameter_fault fault;

    if (sh_pur_decode(sh_arena(sh), msg, &sh->pur, &fault) != OK) {
        sh_answer_fault(sh, &fault);
        return;
    }
    sh->references = sh->pur.data_reference;
    sh->n_references = sh->pur.n_data_reference;
    sh->act = act_on_document;
    sh_begin(sh, &sh->pur.user_identity);
}
