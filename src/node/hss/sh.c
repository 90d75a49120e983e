/* Sh: who asks for whom, and may he? TS 29.328 6.1, 6.2; TS 29.329 6.1. The decisions are in
 * model/sh; the requests have files of their own.
 *
 * The order of checks: permission of the application server for each Data-Reference (so that one
 * that may nothing does not learn who is a subscriber), then the identity, then whether the data
 * exists for an identity of this kind. An identity is a public identity, or an MSISDN, which stands
 * for the tel URI of its number. */
#include "node/hss/sh.h"

#include "node/hss/web.h"
#include "obs/journal.h"

#include <stdlib.h>

int64_t sh_now_s(struct hss *h) {
    return env_wall_us(h->env) / (int64_t)SEC_IN_US;
}

/* Answers. */

static const struct {
    uint32_t vendor, code;
    enum reason why;
} reasons[] = {
    {DIAMETER_VENDOR_3GPP, DIAMETER_ERROR_USER_UNKNOWN, REASON_USER_UNKNOWN},
    {DIAMETER_VENDOR_3GPP, DIAMETER_ERROR_USER_DATA_CANNOT_BE_READ, REASON_AS_NOT_PERMITTED},
    {DIAMETER_VENDOR_3GPP, DIAMETER_ERROR_USER_DATA_CANNOT_BE_MODIFIED, REASON_AS_NOT_PERMITTED},
    {DIAMETER_VENDOR_3GPP, DIAMETER_ERROR_USER_DATA_CANNOT_BE_NOTIFIED, REASON_AS_NOT_PERMITTED},
    {DIAMETER_VENDOR_3GPP, DIAMETER_ERROR_OPERATION_NOT_ALLOWED, REASON_OPERATION_DOES_NOT_FIT},
    {DIAMETER_VENDOR_3GPP, DIAMETER_ERROR_USER_DATA_NOT_RECOGNIZED, REASON_DATA_NOT_RECOGNISED},
    {DIAMETER_VENDOR_3GPP, DIAMETER_ERROR_TRANSPARENT_DATA_OUT_OF_SYNC, REASON_DATA_OUT_OF_SYNC},
    {DIAMETER_VENDOR_3GPP, DIAMETER_ERROR_TOO_MUCH_DATA, REASON_TOO_MUCH_DATA},
    {DIAMETER_VENDOR_3GPP, DIAMETER_ERROR_SUBS_DATA_ABSENT, REASON_DATA_NOT_THERE},
    {DIAMETER_VENDOR_3GPP, DIAMETER_ERROR_DSAI_NOT_AVAILABLE, REASON_DATA_NOT_THERE},
    {DIAMETER_VENDOR_3GPP, DIAMETER_USER_DATA_NOT_AVAILABLE, REASON_DATA_NOT_THERE},
    {0, DIAMETER_MISSING_AVP, REASON_OPERATION_DOES_NOT_FIT},
    {0, DIAMETER_INVALID_AVP_VALUE, REASON_OPERATION_DOES_NOT_FIT},
};

static enum reason reason_of_result(struct diameter_result r) {
    for (size_t i = 0; i < COUNT_OF(reasons); i++) {
        if (reasons[i].vendor == r.vendor && reasons[i].code == r.code) {
            return reasons[i].why;
        }
    }
    return REASON_HSS_UNABLE;
}

static void note_refusal(struct sh_job *sh, struct diameter_result r, enum reason why) {
    struct hss *h = sh->job->hss;
    const char *result = diameter_result_name(r);
    char references[64], detail[128];
    struct buf list = buf_init(references, sizeof references);
    struct buf b = buf_init(detail, sizeof detail);

    for (size_t i = 0; i < sh->n_references && list.n < 56; i++) {
        buf_printf(&list, "%s%u", i ? " " : "", (unsigned)sh->references[i]);
    }
    buf_printf(&b, "%s by ", sh->name);
    buf_escaped(&b, span_slice(sh->host, 0, 64));
    h->counters.refused_sh++;
    LOG(&h->env->log, LOG_INFO, "refused", LOG_CSTR("request", sh->name), LOG_SPAN("as", sh->host),
        LOG_SPAN("impu", sh->impu), LOG_SPAN("references", buf_span(&list)),
        LOG_CSTR("result", result ? result : ""), LOG_CSTR("reason", reason_name(why)));
    journal_add(h->env, &(struct journal_note){.step = STEP_REFUSED,
                                               .reason = why,
                                               .status = r.code,
                                               .impu = sh->impu,
                                               .detail = buf_span(&b)});
}

void sh_refuse(struct sh_job *sh, struct diameter_result result) {
    struct job *job = sh->job;
    enum reason why = reason_of_result(result);
    char text[160];
    struct buf b = buf_init(text, sizeof text);

    note_refusal(sh, result, why);
    buf_printf(&b, "%s: %s", reason_name(why), reason_text(why));
    diameter_answer_result(sh->rq, result, buf_span(&b)); /* frees sh */
    job_end(job);
}

void sh_answer_fault(struct sh_job *sh, const struct diameter_fault *fault) {
    struct job *job = sh->job;

    note_refusal(sh, DIAMETER_RESULT(fault->result_code), REASON_OPERATION_DOES_NOT_FIT);
    diameter_answer_fault(sh->rq, fault);
    job_end(job);
}

void sh_refuse_missing(struct sh_job *sh, uint32_t avp) {
    char example[64];
    struct buf b = buf_init(example, sizeof example);
    struct diameter_builder builder = {.buf = &b};
    struct diameter_fault fault;

    diameter_put(&builder, avp, DIAMETER_VENDOR_3GPP, true, SPAN(""));
    diameter_fault_set(&fault, DIAMETER_MISSING_AVP, buf_span(&b),
                       "this Data-Reference needs another AVP");
    sh_answer_fault(sh, &fault);
}

/* Who asks, for whom. */

const struct sh_permissions *sh_permissions_of(const struct hss *h, struct span host) {
    for (size_t i = 0; i < h->config.n_application_servers; i++) {
        if (span_eq_nocase(h->config.application_servers[i].host, host)) {
            return &h->config.application_servers[i].permissions;
        }
    }
    return NULL;
}

static bool are_permitted(struct sh_job *sh) {
    for (size_t i = 0; i < sh->n_references; i++) {
        struct diameter_result r = sh_permit(sh->permissions, sh->operation, sh->references[i]);
        if (!diameter_result_is_success(r)) {
            sh_refuse(sh, r);
            return false;
        }
    }
    return true;
}

static bool are_accessible(struct sh_job *sh) {
    for (size_t i = 0; i < sh->n_references; i++) {
        struct diameter_result r = sh_accessible(sh->operation, sh->references[i], sh->msisdn.n > 0,
                                                 subscription_is_psi(sh->identity));
        if (!diameter_result_is_success(r)) {
            sh_refuse(sh, r);
            return false;
        }
    }
    return true;
}

static void run(struct job *job) {
    struct sh_job *sh = job->ctx;

    if (job->error) {
        sh_refuse(sh, DIAMETER_RESULT(DIAMETER_UNABLE_TO_COMPLY));
    } else if (!job->subscriber ||
               !subscription_impu(job->subscriber->s.data, job->identity, &sh->identity)) {
        sh_refuse(sh, DIAMETER_3GPP_RESULT(DIAMETER_ERROR_USER_UNKNOWN));
    } else if (are_accessible(sh)) {
        sh->impu = job->identity;
        sh->wildcard = subscription_is_wildcard(rec_impu_type(sh->identity)) ? sh->impu : SPAN_NONE;
        sh->act(sh);
    }
}

/* False: answered. */
static bool identify(struct sh_job *sh, const struct sh_user_identity *who) {
    struct buf b = buf_init(sh->tel, sizeof sh->tel);

    sh->impu = who->public_identity;
    if (sh->impu.n) {
        return true;
    }
    if (!who->msisdn.n) {
        sh_refuse_missing(sh, CX_AVP_PUBLIC_IDENTITY);
        return false;
    }
    sh->msisdn = who->msisdn;
    buf_printf(&b, "tel:+");
    buf_put(&b, sh_msisdn_digits(who->msisdn, sh->digits));
    sh->impu = buf_span(&b);
    return true;
}

void sh_begin(struct sh_job *sh, const struct sh_user_identity *who) {
    if (identify(sh, who) && are_permitted(sh)) {
        job_find_public(sh->job, hss_canonical(sh_arena(sh), sh->impu));
    }
}

void sh_take(struct hss *h, struct diameter_request *rq, const struct diameter_msg *msg) {
    static const struct {
        uint32_t command;
        const char *name;
        enum sh_operation operation;
        size_t counter; /* in struct hss_counters */
        void (*take)(struct sh_job *sh, const struct diameter_msg *msg);
    } commands[] = {
        {SH_COMMAND_USER_DATA, "UDR", SH_PULL, offsetof(struct hss_counters, udr), sh_pull},
        {SH_COMMAND_PROFILE_UPDATE, "PUR", SH_UPDATE, offsetof(struct hss_counters, pur),
         sh_change},
        {SH_COMMAND_SUBSCRIBE_NOTIFICATIONS, "SNR", SH_NOTIFY, offsetof(struct hss_counters, snr),
         sh_subscribe},
    };
    for (size_t i = 0; i < COUNT_OF(commands); i++) {
        if (commands[i].command != msg->command) {
            continue;
        }
        struct sh_job *sh = ARENA_NEW(diameter_request_arena(rq), struct sh_job);
        struct job *job = sh ? job_new(h, run) : NULL;

        ++*(uint64_t *)(void *)((char *)&h->counters + commands[i].counter);
        if (!job) {
            hss_answer_busy(rq);
            return;
        }
        job->latency = &h->counters.sh_latency;
        job->rq = rq;
        job->ctx = sh;
        sh->job = job;
        sh->rq = rq;
        sh->name = commands[i].name;
        sh->operation = commands[i].operation;
        sh->host = msg->origin_host;
        sh->realm = msg->origin_realm;
        sh->permissions = sh_permissions_of(h, sh->host);
        commands[i].take(sh, msg);
        return;
    }
    diameter_answer_result(rq, DIAMETER_RESULT(DIAMETER_COMMAND_UNSUPPORTED), SPAN_NONE);
}

/* Watchers. */

enum error sh_set_watchers(struct subscriber *s, struct span record) {
    bool any = record.n && rec_watchers_n_watchers(rec_watchers_of(record)) > 0;
    char *kept = any ? malloc(record.n) : NULL;

    if (any && !kept) {
        return ERR_NO_MEMORY;
    }
    if (any) {
        memcpy(kept, record.p, record.n);
    }
    free(s->watchers);
    s->watchers = kept;
    s->n_watchers_bytes = any ? record.n : 0;
    return OK;
}

struct rec_watcher_data *sh_watchers(const struct subscriber *s, struct arena *arena, size_t *n) {
    struct rec_watcher_data *list = arena_alloc(arena, (SH_WATCHERS_MAX + 1) * sizeof *list);
    struct rec_watchers_data d = {0};

    *n = 0;
    if (!list || !s->watchers) {
        return list;
    }
    if (rec_watchers_decode(span_of(s->watchers, s->n_watchers_bytes), arena, &d) != OK) {
        return NULL;
    }
    *n = d.n_watchers < SH_WATCHERS_MAX ? d.n_watchers : SH_WATCHERS_MAX;
    memcpy(list, d.watchers, *n * sizeof *list);
    return list;
}

struct span sh_watchers_record(const struct rec_watcher_data *list, size_t n, struct arena *arena) {
    return web_record(arena, &rec_watchers_type,
                      &(struct rec_watchers_data){.watchers = list, .n_watchers = n});
}

enum error sh_compare(struct hss *h, const struct subscriber *s, const struct subscription *now,
                      struct span changed_by, struct arena *arena, struct span *record) {
    size_t n;

    *record = SPAN_NONE;
    if (!s->watchers) {
        return OK;
    }
    struct rec_watcher_data *list = sh_watchers(s, arena, &n);
    if (!list) {
        return ERR_NO_MEMORY;
    }
    bool pruned = sh_prune(list, &n, now->data, sh_now_s(h));
    if (sh_mark(list, n, &s->s, now, changed_by, arena) || pruned) {
        *record = sh_watchers_record(list, n, arena);
        return record->p ? OK : ERR_NO_MEMORY;
    }
    return OK;
}
