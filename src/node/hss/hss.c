/* The HSS as a whole: start, end, and which procedure a request is. */
#include "node/hss/sh.h"
#include "obs/journal.h"

#include <stdlib.h>

/* What a peer may send, by role: keys go to S-CSCFs alone. */
static const uint32_t scscf_commands[] = {CX_COMMAND_USER_AUTHORIZATION, CX_COMMAND_MULTIMEDIA_AUTH,
                                          CX_COMMAND_SERVER_ASSIGNMENT, CX_COMMAND_LOCATION_INFO};
static const uint32_t icscf_commands[] = {CX_COMMAND_USER_AUTHORIZATION, CX_COMMAND_LOCATION_INFO};
static const uint32_t as_commands[] = {CX_COMMAND_LOCATION_INFO, SH_COMMAND_USER_DATA,
                                       SH_COMMAND_PROFILE_UPDATE,
                                       SH_COMMAND_SUBSCRIBE_NOTIFICATIONS};

static void set_commands(struct diameter_peer_config *peer, unsigned roles) {
    peer->agent = (roles & HSS_PEER_AGENT) != 0;
    if (roles & HSS_PEER_SCSCF) {
        peer->commands = scscf_commands;
        peer->n_commands = COUNT_OF(scscf_commands);
    } else if (roles & HSS_PEER_ICSCF) {
        peer->commands = icscf_commands;
        peer->n_commands = COUNT_OF(icscf_commands);
    } else {
        peer->commands = as_commands;
        peer->n_commands = roles & HSS_PEER_AS ? COUNT_OF(as_commands) : 0;
    }
}

struct diameter_result hss_result(enum cx_result r) {
    return (struct diameter_result){cx_result_is_experimental(r) ? DIAMETER_VENDOR_3GPP : 0,
                                    cx_result_code(r)};
}

/* What a result of TS 29.229 6.2 means to an operator. */
static enum reason reason_of_result(enum cx_result result) {
    static const struct {
        enum cx_result result;
        enum reason why;
    } reasons[] = {
        {CX_USER_UNKNOWN, REASON_USER_UNKNOWN},
        {CX_IDENTITIES_DONT_MATCH, REASON_IDENTITIES_DO_NOT_MATCH},
        {CX_IDENTITY_NOT_REGISTERED, REASON_IDENTITY_NOT_REGISTERED},
        {CX_ROAMING_NOT_ALLOWED, REASON_ROAMING_NOT_ALLOWED},
        {CX_IDENTITY_ALREADY_REGISTERED, REASON_ALREADY_REGISTERED},
        {CX_AUTH_SCHEME_NOT_SUPPORTED, REASON_SCHEME_NOT_SUPPORTED},
        {CX_IN_ASSIGNMENT_TYPE, REASON_ASSIGNMENT_TYPE_DOES_NOT_FIT},
        {CX_AUTHORIZATION_REJECTED, REASON_NOT_AUTHORISED},
        {CX_TOO_BUSY, REASON_HSS_BUSY},
    };
    for (size_t i = 0; i < COUNT_OF(reasons); i++) {
        if (reasons[i].result == result) {
            return reasons[i].why;
        }
    }
    return REASON_HSS_UNABLE;
}

void hss_note_refusal(struct hss *h, const char *what, enum cx_result result, struct span impi,
                      struct span impu) {
    enum reason why = reason_of_result(result);
    h->counters.refused++;
    LOG(&h->env->log, LOG_INFO, "refused", LOG_CSTR("request", what), LOG_SPAN("impi", impi),
        LOG_SPAN("impu", impu), LOG_CSTR("result", cx_result_name(result)),
        LOG_CSTR("reason", reason_name(why)));
    journal_add(h->env, &(struct journal_note){.step = STEP_REFUSED,
                                               .reason = why,
                                               .status = cx_result_code(result),
                                               .impi = impi,
                                               .impu = impu,
                                               .detail = span_from_cstr(what)});
}

/* The peer, too, is told the reason: "user-unknown: User unknown". */
static void answer_reason(struct diameter_request *rq, enum cx_result result) {
    char text[160];
    struct buf b = buf_init(text, sizeof text);
    enum reason why = reason_of_result(result);
    buf_printf(&b, "%s: %s", reason_name(why), reason_text(why));
    diameter_answer_result(rq, hss_result(result), buf_span(&b));
}

static const char *request_name(const struct job *job) {
    switch (diameter_request_msg(job->rq)->command) {
    case CX_COMMAND_USER_AUTHORIZATION:
        return "UAR";
    case CX_COMMAND_MULTIMEDIA_AUTH:
        return "MAR";
    case CX_COMMAND_SERVER_ASSIGNMENT:
        return "SAR";
    default:
        return "LIR";
    }
}

void hss_refuse(struct job *job, enum cx_result result, struct span impi, struct span impu) {
    hss_note_refusal(job->hss, request_name(job), result, impi, impu);
    answer_reason(job->rq, result);
    job_end(job);
}

void hss_answer_busy(struct diameter_request *rq) {
    answer_reason(rq, CX_TOO_BUSY);
}

const struct cx_server_capabilities *hss_default_capabilities(struct hss *h, struct arena *arena) {
    const struct hss_config *c = &h->config;
    struct cx_server_capabilities *out = c->n_mandatory_capabilities + c->n_optional_capabilities
                                             ? ARENA_NEW(arena, struct cx_server_capabilities)
                                             : NULL;

    if (out) {
        out->mandatory_capability = c->mandatory_capabilities;
        out->n_mandatory_capability = (unsigned)c->n_mandatory_capabilities;
        out->optional_capability = c->optional_capabilities;
        out->n_optional_capability = (unsigned)c->n_optional_capabilities;
    }
    return out;
}

const struct cx_server_capabilities *hss_capabilities(struct hss *h, struct rec_subscription s,
                                                      struct arena *arena) {
    size_t n_mandatory = rec_subscription_n_mandatory_capabilities(s);
    size_t n_optional = rec_subscription_n_optional_capabilities(s);
    size_t n_names = rec_subscription_n_server_names(s);

    if (n_mandatory + n_optional + n_names == 0) {
        return hss_default_capabilities(h, arena);
    }
    struct cx_server_capabilities *out = ARENA_NEW(arena, struct cx_server_capabilities);
    if (!out) {
        return NULL;
    }
    uint32_t *numbers = arena_alloc(arena, (n_mandatory + n_optional + 1) * sizeof *numbers);
    struct span *names = arena_alloc(arena, (n_names + 1) * sizeof *names);
    if (!numbers || !names) {
        return NULL;
    }
    for (size_t i = 0; i < n_mandatory; i++) {
        numbers[i] = rec_subscription_mandatory_capabilities(s, i);
    }
    for (size_t i = 0; i < n_optional; i++) {
        numbers[n_mandatory + i] = rec_subscription_optional_capabilities(s, i);
    }
    for (size_t i = 0; i < n_names; i++) {
        names[i] = rec_subscription_server_names(s, i);
    }
    out->mandatory_capability = numbers;
    out->n_mandatory_capability = (unsigned)n_mandatory;
    out->optional_capability = numbers + n_mandatory;
    out->n_optional_capability = (unsigned)n_optional;
    out->server_name = names;
    out->n_server_name = (unsigned)n_names;
    return out;
}

static void on_request(void *ctx, struct diameter_request *rq, const struct diameter_msg *msg) {
    struct hss *h = ctx;

    if (!h->profiles_read || h->stopping) {
        hss_answer_busy(rq);
        return;
    }
    if (msg->application == SH_APPLICATION) {
        sh_take(h, rq, msg);
        return;
    }
    switch (msg->command) {
    case CX_COMMAND_USER_AUTHORIZATION:
        uar_take(h, rq, msg);
        break;
    case CX_COMMAND_MULTIMEDIA_AUTH:
        mar_take(h, rq, msg);
        break;
    case CX_COMMAND_SERVER_ASSIGNMENT:
        sar_take(h, rq, msg);
        break;
    case CX_COMMAND_LOCATION_INFO:
        lir_take(h, rq, msg);
        break;
    default:
        diameter_answer_result(rq, DIAMETER_RESULT(DIAMETER_COMMAND_UNSUPPORTED), SPAN_NONE);
    }
}

static const struct diameter_handler handler = {.request = on_request};

static void set_defaults(struct hss_config *c) {
    c->digest_qop = c->digest_qop.n ? c->digest_qop : SPAN("auth");
    c->auth_pending_s = c->auth_pending_s ? c->auth_pending_s : 300;
    c->cached_max = c->cached_max ? c->cached_max : 65536;
    c->vectors_max = c->vectors_max ? c->vectors_max : 5;
    c->vectors_max = c->vectors_max < VECTORS_MAX ? c->vectors_max : VECTORS_MAX;
    c->pending_max = c->pending_max ? c->pending_max : 65536;
    c->web_body_max = c->web_body_max ? c->web_body_max : 256 << 20;
    c->import_max = c->import_max ? c->import_max : 512 << 20;
    c->repository_bytes_max = c->repository_bytes_max ? c->repository_bytes_max : 32768;
    c->repository_services_max = c->repository_services_max ? c->repository_services_max : 64;
}

static enum error start_diameter(struct hss *h) {
    static const struct diameter_application applications[] = {
        {CX_APPLICATION, DIAMETER_VENDOR_3GPP}, {SH_APPLICATION, DIAMETER_VENDOR_3GPP}};
    const struct hss_config *c = &h->config;

    h->peers = calloc(c->n_peers + 1, sizeof *h->peers);
    if (!h->peers) {
        return ERR_NO_MEMORY;
    }
    for (size_t i = 0; i < c->n_peers; i++) {
        h->peers[i].host = c->peers[i].host;
        h->peers[i].tls = c->peers[i].tls;
        h->peers[i].address = c->peers[i].address;
        set_commands(&h->peers[i], c->peers[i].roles);
    }
    h->listen = c->listen;
    struct diameter_config config = {
        .host = c->host,
        .realm = c->realm,
        .listen = &h->listen,
        .listen_tls = c->listen_tls.family ? &h->config.listen_tls : NULL,
        .tls = c->tls,
        .applications = applications,
        .n_applications = COUNT_OF(applications),
        .peers = h->peers,
        .n_peers = c->n_peers,
        .incoming_max = c->pending_max,
        .request_timeout_us = c->diameter_timeout_ms * MS_IN_US,
        .watchdog_us = c->diameter_watchdog_s * SEC_IN_US,
    };
    enum error e = diameter_new(h->env, &config, &handler, h, &h->diameter);
    if (!e) {
        h->address = diameter_address(h->diameter);
    }
    return e;
}

enum error hss_new(struct env *env, const struct hss_config *config, struct store *store,
                   struct hss **out) {
    struct hss *h = calloc(1, sizeof *h);

    if (!h) {
        return ERR_NO_MEMORY;
    }
    h->env = env;
    store_keep_changes(store, config->changes_max);
    h->config = *config;
    h->store = store;
    set_defaults(&h->config);
    list_init(&h->lru);
    list_init(&h->jobs);
    list_init(&h->idle_jobs);
    list_init(&h->web);
    list_init(&h->bulk_sessions);
    courier_init(h);
    enum error e = milenage_init(&h->milenage);
    if (!e) {
        e = digest_init(&h->digest);
    }
    if (!e) {
        e = sh_notifier_new(h);
    }
    if (!e) {
        e = start_diameter(h);
    }
    if (e) {
        hss_free(h);
        return e;
    }
    profiles_read(h);
    wildcards_read(h);
    *out = h;
    return OK;
}

void hss_free(struct hss *h) {
    if (!h) {
        return;
    }
    diameter_free(h->diameter);
    courier_free(h);
    sh_notifier_free(h);
    web_free(h);
    subscribers_free(h);
    profiles_free(h);
    store_cancel(&h->wildcard_op);
    wildcard_index_free(&h->wildcards);
    sqn_free(h);
    milenage_free(&h->milenage);
    digest_free(&h->digest);
    free(h->peers);
    free(h->decoys);
    free(h);
}

void hss_maybe_ready(struct hss *h) {
    if (h->profiles_over && h->wildcards_over) {
        h->profiles_read = true;
        courier_wake(h);
        sh_notifier_wake(h);
    }
}

static void parted(void *ctx) {
    struct hss *h = ctx;

    h->stopped(h->stopped_ctx);
}

void hss_maybe_stopped(struct hss *h) {
    if (h->stopping && !h->parting && list_is_empty(&h->jobs) && list_is_empty(&h->web)) {
        h->parting = true;
        diameter_stop(h->diameter, parted, h);
    }
}

void hss_stop(struct hss *h, void (*done)(void *ctx), void *ctx) {
    h->stopping = true;
    h->stopped = done;
    h->stopped_ctx = ctx;
    changes_tell(h);
    hss_maybe_stopped(h);
}

struct addr hss_tls_address(const struct hss *h) {
    return diameter_tls_address(h->diameter);
}

const struct addr *hss_address(const struct hss *h) {
    return &h->address;
}

const struct hss_counters *hss_counters(const struct hss *h) {
    return &h->counters;
}

/* Looking from outside. */

struct inspection {
    void (*seen)(void *ctx, enum hss_registration state, struct span scscf);
    void *ctx;
    size_t n;
    char impu[];
};

static void drop_inspection(struct job *job) {
    free(job->ctx);
}

static void inspect(struct job *job) {
    struct inspection *i = job->ctx;
    enum hss_registration state = HSS_UNKNOWN;
    struct span scscf = SPAN_NONE;
    struct rec_impu impu;

    if (job->subscriber &&
        subscription_impu(job->subscriber->s.data, span_of(i->impu, i->n), &impu)) {
        const struct registration *r = &job->subscriber->s.state;

        state = HSS_NOT_REGISTERED;
        scscf = r->scscf_name;
        switch (registration_of(r, rec_impu_set(impu))) {
        case NOT_REGISTERED:
            break;
        case REGISTERED:
            state = HSS_REGISTERED;
            break;
        case UNREGISTERED:
            state = HSS_UNREGISTERED;
            break;
        }
    }
    i->seen(i->ctx, state, scscf);
    job->drop = NULL;
    job_end(job);
    free(i);
}

void hss_inspect(struct hss *h, struct span impu,
                 void (*seen)(void *ctx, enum hss_registration state, struct span scscf),
                 void *ctx) {
    struct inspection *i = malloc(sizeof *i + impu.n + 1);
    struct job *job = i ? job_new(h, inspect) : NULL;

    if (!job) {
        free(i);
        seen(ctx, HSS_UNKNOWN, SPAN_NONE);
        return;
    }
    *i = (struct inspection){.seen = seen, .ctx = ctx, .n = impu.n};
    memcpy(i->impu, impu.p ? impu.p : "", impu.n);
    job->ctx = i;
    job->drop = drop_inspection;
    job_find(job, STORE_IMPU, span_of(i->impu, i->n));
}

const struct diameter_counters *hss_diameter_counters(const struct hss *h) {
    return diameter_counters(h->diameter);
}
