/* SAR, SAA: TS 29.228 6.1.2, TS 29.229 6.1.3. The decision is model/cx/server_assignment.c.
 *
 * What changes is durable before the answer. If somebody else has saved the subscription meanwhile,
 * the decision is taken anew on what is there now. */
#include "model/cx/server_assignment.h"

#include "model/subscription/difference.h"
#include "node/hss/sh.h"

enum { MANY_IMPUS = 256 };

static struct span impu_of(const struct job *job) {
    const struct cx_sar *sar = &job->sar.request;

    return sar->n_public_identity ? sar->public_identity[0] : SPAN_NONE;
}

static void refuse(struct job *job, enum cx_result result) {
    hss_refuse(job, result, job->sar.request.user_name, impu_of(job));
}

static bool fill_charging(const struct hss *h, struct rec_subscription s,
                          struct cx_charging_information *out) {
    struct span ecf = rec_subscription_primary_ecf(s), ccf = rec_subscription_primary_ccf(s);

    if (!ecf.n && !ccf.n) {
        const struct hss_charging *c = &h->config.charging;

        *out = (struct cx_charging_information){
            .primary_event_charging_function_name = c->primary_ecf,
            .secondary_event_charging_function_name = c->secondary_ecf,
            .primary_charging_collection_function_name = c->primary_ccf,
            .secondary_charging_collection_function_name = c->secondary_ccf,
        };
        return c->primary_ecf.n || c->primary_ccf.n;
    }
    *out = (struct cx_charging_information){
        .primary_event_charging_function_name = ecf,
        .secondary_event_charging_function_name = rec_subscription_secondary_ecf(s),
        .primary_charging_collection_function_name = ccf,
        .secondary_charging_collection_function_name = rec_subscription_secondary_ccf(s),
    };
    return true;
}

/* Absent members have no pointer in Diameter's structs; an empty span of a record has one. */
static void drop_empty(struct cx_charging_information *c) {
    struct span *names[] = {&c->primary_event_charging_function_name,
                            &c->secondary_event_charging_function_name,
                            &c->primary_charging_collection_function_name,
                            &c->secondary_charging_collection_function_name};

    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (!names[i]->n) {
            *names[i] = SPAN_NONE;
        }
    }
}

bool hss_charging(const struct hss *h, struct rec_subscription s,
                  struct cx_charging_information *out) {
    if (!fill_charging(h, s, out)) {
        return false;
    }
    drop_empty(out);
    return true;
}

/* What a name may have and the user part of a private identity may not (RFC 7542) is escaped. */
struct span hss_fixed_impi(const struct hss *h, struct rec_subscription s,
                           char room[HSS_FIXED_IMPI_MAX]) {
    struct buf b = buf_init(room, HSS_FIXED_IMPI_MAX);
    struct span name = rec_subscription_name(s);

    if (!h->config.fixed_impi) {
        return SPAN_NONE;
    }
    for (size_t i = 0; i < name.n; i++) {
        if (name.p[i] == '@' || name.p[i] == ':') {
            buf_cstr(&b, name.p[i] == '@' ? "%40" : "%3A");
        } else {
            buf_char(&b, name.p[i]);
        }
    }
    buf_cstr(&b, "@subscription.");
    buf_put(&b, h->config.home_domain);
    return b.overflow ? SPAN_NONE : buf_span(&b);
}

/* The IMPIs of these slots. */
static unsigned put_registered(struct rec_subscription s, uint64_t slots, struct span *out) {
    unsigned n = 0;
    struct rec_impi impi;

    for (unsigned slot = 0; slot < SUBSCRIPTION_SLOTS; slot++) {
        if (slots >> slot & 1 && subscription_impi_of_slot(s, slot, &impi)) {
            out[n++] = rec_impi_identity(impi);
        }
    }
    return n;
}

/* What the S-CSCF says that it supports. */
static uint32_t features_of(const struct cx_sar *sar) {
    for (size_t i = 0; i < sar->n_supported_features; i++) {
        const struct cx_supported_features *f = &sar->supported_features[i];

        if (f->vendor_id == DIAMETER_VENDOR_3GPP && f->feature_list_id == CX_FEATURE_LIST) {
            return f->feature_list;
        }
    }
    return 0;
}

/* Who says what it supports is told what of it we do (TS 29.229 7.2.1). */
static void put_features(const struct cx_sar *sar, struct cx_supported_features *out,
                         struct cx_saa *saa) {
    enum { OURS = CX_FEATURE_SIFC | CX_FEATURE_ALIAS };

    if (sar->n_supported_features) {
        *out = (struct cx_supported_features){.vendor_id = DIAMETER_VENDOR_3GPP,
                                              .feature_list_id = CX_FEATURE_LIST,
                                              .feature_list = features_of(sar) & OURS};
        saa->supported_features = out;
        saa->n_supported_features = 1;
    }
}

static void answer(struct job *job) {
    struct hss *h = job->hss;
    const struct server_assignment *a = &job->sar.outcome;
    const struct subscription *s = &job->subscriber->s;
    struct span impis[1 + 2 * SUBSCRIPTION_SLOTS];
    char room[HSS_FIXED_IMPI_MAX];
    struct cx_associated_identities associated = {.user_name = impis};
    struct cx_charging_information charging;
    struct cx_associated_registered_identities registered = {.user_name = impis};
    struct cx_supported_features features;
    struct cx_saa saa = {.result = hss_result(a->result)};
    struct rec_impi impi;

    if (a->has_impi && subscription_impi_of_slot(s->data, a->impi_slot, &impi)) {
        saa.user_name = rec_impi_identity(impi);
    }
    if (a->send_server_name) {
        saa.server_name = subscription_scscf(s);
    }
    if (a->send_user_data) {
        saa.user_data =
            profiles_user_data(h, s->data, saa.user_name, a->set, features_of(&job->sar.request));
        if (!saa.user_data.p) {
            refuse(job, CX_UNABLE_TO_COMPLY);
            return;
        }
    }
    if (a->send_charging && hss_charging(h, s->data, &charging)) {
        saa.charging_information = &charging;
    }
    if (a->send_associated) {
        struct span fixed = hss_fixed_impi(h, s->data, room);
        if (fixed.n) {
            impis[associated.n_user_name++] = fixed;
        }
        for (size_t i = 0, n = rec_subscription_n_impis(s->data); i < n; i++) {
            impis[associated.n_user_name++] = rec_impi_identity(rec_subscription_impis(s->data, i));
        }
        saa.associated_identities = &associated;
    }
    if (a->registered) {
        registered.user_name = impis + 1 + SUBSCRIPTION_SLOTS;
        registered.n_user_name =
            put_registered(s->data, a->registered, impis + 1 + SUBSCRIPTION_SLOTS);
        saa.associated_registered_identities = &registered;
    }
    if (a->wildcard.n) {
        saa.wildcarded_public_identity = a->wildcard;
    }
    saa.has_loose_route_indication = a->loose_route;
    saa.loose_route_indication = CX_LOOSE_ROUTE_INDICATION_LOOSE_ROUTE_REQUIRED;
    saa.has_priviledged_sender_indication = a->privileged_sender;
    saa.priviledged_sender_indication = CX_PRIVILEDGED_SENDER_INDICATION_PRIVILEDGED_SENDER;
    put_features(&job->sar.request, &features, &saa);
    cx_saa_encode(diameter_answer_begin(job->rq), &saa);
    diameter_answer_send(job->rq);
    job_end(job);
}

/* The decision is what counts from now on. */
static void settle(struct job *job) {
    struct hss *h = job->hss;
    struct subscriber *s = job->subscriber;
    const struct server_assignment *a = &job->sar.outcome;

    s->s.state = a->state;
    s->s.notes = a->notes;
    h->counters.assigned += (uint64_t)__builtin_popcountll(a->assigned);
    h->counters.released += (uint64_t)__builtin_popcountll(a->released);
}

static void saved(struct store_op *op) {
    struct job *job = CONTAINER_OF(op, struct job, op);
    struct hss *h = job->hss;

    if (op->error == OK) {
        h->counters.saves++;
        job->subscriber->version = op->subscription.version;
        bool news = op->news != 0;
        if (job->watchers.n) {
            if (sh_set_watchers(job->subscriber, job->watchers) != OK) {
                job->subscriber->stale = true; /* it is read again */
            }
            sh_notify(h, job->subscriber->id, job->watchers);
        }
        settle(job);
        answer(job);
        if (news) {
            courier_wake(h);
        }
    } else if (op->error == ERR_CONFLICT && job->attempts + 1 < ATTEMPTS_MAX) {
        job_again(job);
    } else {
        LOG(&h->env->log, LOG_ERROR, "a registration cannot be saved",
            LOG_SPAN("identity", job->identity), LOG_CSTR("why", error_text(op->error)));
        refuse(job, CX_UNABLE_TO_COMPLY);
    }
}

/* A set so large that its User-Data might not fit into an answer is looked at before anything is
 * saved. */
static bool fits(struct job *job) {
    struct rec_subscription s = job->subscriber->s.data;

    return !job->sar.outcome.send_user_data || rec_subscription_n_impus(s) < MANY_IMPUS ||
           profiles_user_data(job->hss, s, job->identity, job->sar.outcome.set,
                              features_of(&job->sar.request))
               .p;
}

/* The subscription moves to another S-CSCF: the old one, if it still lives, has to forget it
 * (6.1.3, NEW_SERVER_ASSIGNED). Empty: there is none, or memory is out, and it keeps what nobody
 * asks for. */
static struct span news_for_old_server(struct job *job) {
    enum { ROOM = 4096 + SUBSCRIPTION_SLOTS * 256 };
    const struct subscriber *s = job->subscriber;
    const struct registration *before = &s->s.state, *after = &job->sar.outcome.state;
    struct arena *arena = diameter_request_arena(job->rq);
    struct span impis[SUBSCRIPTION_SLOTS];
    struct rec_news_item_data item = {.kind = NEWS_TERMINATION,
                                      .reason = CX_REASON_CODE_NEW_SERVER_ASSIGNED,
                                      .scscf_name = before->scscf_name,
                                      .scscf_host = before->scscf_host,
                                      .impis = impis};

    if (!before->scscf_host.n || !after->scscf_host.n ||
        span_eq(before->scscf_host, after->scscf_host)) {
        return SPAN_NONE;
    }
    for (size_t i = 0, n = rec_subscription_n_impis(s->s.data); i < n; i++) {
        struct rec_impi impi = rec_subscription_impis(s->s.data, i);
        if (registration_is_by(before, rec_impi_slot(impi))) {
            impis[item.n_impis++] = rec_impi_identity(impi);
        }
    }
    const struct rec_news_data news = {.subscription = s->id, .items = &item, .n_items = 1};
    char *room = item.n_impis ? arena_alloc(arena, ROOM) : NULL;
    struct buf out = buf_init(room, room ? ROOM : 0);
    return room && rec_news_encode(&news, &out) == OK ? buf_span(&out) : SPAN_NONE;
}

/* What application servers see of it. */
static bool compare_for_watchers(struct job *job) {
    const struct subscriber *s = job->subscriber;

    job->watchers = SPAN_NONE;
    if (!s->watchers) {
        return true;
    }
    const struct subscription now = {.data = s->s.data, .state = job->sar.outcome.state};
    return sh_compare(job->hss, s, &now, SPAN_NONE, diameter_request_arena(job->rq),
                      &job->watchers) == OK;
}

static void save(struct job *job) {
    char record[REGISTRATION_RECORD_MAX];
    struct buf out = buf_init(record, sizeof record);

    if (!fits(job) || registration_write(&job->sar.outcome.state, &out) != OK ||
        !compare_for_watchers(job)) {
        refuse(job, CX_UNABLE_TO_COMPLY);
        return;
    }
    job->op.done = saved;
    store_save(job->hss->store, &job->op,
               &(struct store_change){.id = job->subscriber->id,
                                      .version = job->subscriber->version,
                                      .state = buf_span(&out),
                                      .watchers = job->watchers,
                                      .news = news_for_old_server(job)});
}

/* 5009 shows the AVP that is one too many, 5005 what is missing. */
static void answer_fault(struct job *job, enum cx_result result) {
    static const char no_user_name[8] = {0, 0, 0, 1, 0x40, 0, 0, 8};
    struct diameter_iter it = diameter_iter_init(diameter_request_msg(job->rq)->avps);
    struct span failed = span_of(no_user_name, sizeof no_user_name);
    struct diameter_fault fault;
    struct diameter_avp avp;
    unsigned seen = 0;

    while (result == CX_AVP_OCCURS_TOO_MANY_TIMES && diameter_next(&it, &avp)) {
        if (avp.code == CX_AVP_PUBLIC_IDENTITY && avp.vendor == DIAMETER_VENDOR_3GPP &&
            ++seen == 2) {
            failed = avp.bytes;
        }
    }
    hss_note_refusal(job->hss, "SAR", result, job->sar.request.user_name, impu_of(job));
    diameter_fault_set(&fault, cx_result_code(result), failed,
                       result == CX_MISSING_AVP ? "this assignment type needs another identity"
                                                : "this assignment type takes one public identity");
    diameter_answer_fault(job->rq, &fault);
    job_end(job);
}

/* The Public-Identities as the subscription has them: those that a wildcard stands for by that
 * wildcard. NULL: memory is out. */
static const struct span *impus_of(struct job *job) {
    const struct cx_sar *sar = &job->sar.request;
    size_t n = sar->n_public_identity;
    struct arena *arena = diameter_request_arena(job->rq);
    struct rec_impu impu;

    struct span *out = n < 2 ? &job->identity : arena_alloc(arena, n * sizeof *out);
    for (size_t i = 1; out && i < n; i++) {
        out[i] = hss_canonical(arena, sar->public_identity[i]);
        const struct wildcard *w =
            job->subscriber && !subscription_impu(job->subscriber->s.data, out[i], &impu)
                ? wildcard_find(&job->hss->wildcards, out[i])
                : NULL;
        out[i] = w ? w->text : out[i];
    }
    if (out && n >= 2) {
        out[0] = job->identity;
    }
    return out;
}

static void run(struct job *job) {
    const struct cx_sar *sar = &job->sar.request;
    struct server_assignment *a = &job->sar.outcome;
    struct server_assignment_request request = {
        .type = sar->server_assignment_type,
        .impi = sar->user_name,
        .impus = impus_of(job),
        .n_impus = sar->n_public_identity,
        .server_name = hss_name(job->hss, sar->server_name),
        .server_host = hss_name(job->hss, sar->origin_host),
        .user_data_already_available = sar->user_data_already_available ==
                                       CX_USER_DATA_ALREADY_AVAILABLE_USER_DATA_ALREADY_AVAILABLE,
        .keep_server_name = true,
        .fixed_impi = job->hss->config.fixed_impi,
        .features = features_of(sar),
    };

    if (job->error || !request.impus || !request.server_name.p || !request.server_host.p) {
        refuse(job, CX_UNABLE_TO_COMPLY);
        return;
    }
    if (job_looks_elsewhere(job, request.impi)) {
        return;
    }
    request.impi_elsewhere = job->impi_elsewhere;
    server_assign(job->subscriber ? &job->subscriber->s : NULL, &request, a);
    if (a->result == CX_AVP_OCCURS_TOO_MANY_TIMES || a->result == CX_MISSING_AVP) {
        answer_fault(job, a->result);
    } else if (a->result == CX_IDENTITY_ALREADY_REGISTERED) {
        hss_note_refusal(job->hss, "SAR", a->result, request.impi, impu_of(job));
        answer(job);
    } else if (!cx_result_is_success(a->result)) {
        refuse(job, a->result);
    } else if (a->changed) {
        save(job);
    } else {
        settle(job);
        answer(job);
    }
}

void sar_take(struct hss *h, struct diameter_request *rq, const struct diameter_msg *msg) {
    struct diameter_fault fault;
    struct job *job = job_new(h, run);

    h->counters.sar++;
    if (!job) {
        hss_answer_busy(rq);
        return;
    }
    job->latency = &h->counters.sar_latency;
    job->rq = rq;
    if (cx_sar_decode(diameter_request_arena(rq), msg, &job->sar.request, &fault) != OK) {
        diameter_answer_fault(rq, &fault);
        job_end(job);
        return;
    }
    const struct cx_sar *sar = &job->sar.request;
    if (sar->n_public_identity) {
        job_find_public(job, hss_canonical(diameter_request_arena(rq), sar->public_identity[0]));
    } else {
        job_find(job, STORE_IMPI, sar->user_name);
    }
}
