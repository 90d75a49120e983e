/* The S-CSCF's side of Cx: TS 29.228 6.1.2 (SAR), 6.3 (MAR), 6.1.3 (RTR), 6.6.1 (PPR).
 *
 * Choices: one vector per MAR; results that the clauses of TS 24.229 do not map give 403 when the
 * HSS judged the user, 500 when it judged us or could not be asked, with Retry-After then. */
#include "model/cx/cx.h"
#include "node/scscf/internal.h"

#include <stdlib.h>

#define NOTICE_DELAY_US (10 * SEC_IN_US) /* times the number of tries */

enum { NOTICE_TRIES = 20 };

static const struct mapping {
    struct diameter_result result;
    unsigned status;
    enum reason why;
} mappings[] = {
    {{DIAMETER_VENDOR_3GPP, DIAMETER_ERROR_USER_UNKNOWN}, 403, REASON_USER_UNKNOWN},
    {{DIAMETER_VENDOR_3GPP, DIAMETER_ERROR_IDENTITIES_DONT_MATCH},
     403,
     REASON_IDENTITIES_DO_NOT_MATCH},
    {{DIAMETER_VENDOR_3GPP, DIAMETER_ERROR_IDENTITY_NOT_REGISTERED},
     403,
     REASON_IDENTITY_NOT_REGISTERED},
    {{DIAMETER_VENDOR_3GPP, DIAMETER_ERROR_ROAMING_NOT_ALLOWED}, 403, REASON_ROAMING_NOT_ALLOWED},
    {{DIAMETER_VENDOR_3GPP, DIAMETER_ERROR_IDENTITY_ALREADY_REGISTERED},
     500,
     REASON_ALREADY_REGISTERED},
    {{DIAMETER_VENDOR_3GPP, DIAMETER_ERROR_AUTH_SCHEME_NOT_SUPPORTED},
     403,
     REASON_SCHEME_NOT_SUPPORTED},
    {{DIAMETER_VENDOR_3GPP, DIAMETER_ERROR_IN_ASSIGNMENT_TYPE},
     500,
     REASON_ASSIGNMENT_TYPE_DOES_NOT_FIT},
    {{DIAMETER_VENDOR_3GPP, DIAMETER_ERROR_TOO_MUCH_DATA}, 500, REASON_TOO_MUCH_USER_DATA},
    {{DIAMETER_VENDOR_3GPP, DIAMETER_ERROR_NOT_SUPPORTED_USER_DATA},
     500,
     REASON_USER_DATA_NOT_SUPPORTED},
    {{0, DIAMETER_AUTHORIZATION_REJECTED}, 403, REASON_NOT_AUTHORISED},
    {{0, DIAMETER_UNABLE_TO_COMPLY}, 500, REASON_HSS_UNABLE},
    {{0, DIAMETER_UNABLE_TO_DELIVER}, 500, REASON_HSS_UNREACHABLE},
    {{0, DIAMETER_TOO_BUSY}, 500, REASON_HSS_BUSY},
};

struct span scscf_hss_name(struct scscf *s, struct span origin_host) {
    for (size_t i = 0; i < s->n_hss_names; i++) {
        if (span_eq(s->hss_names[i], origin_host)) {
            return s->hss_names[i];
        }
    }
    char *copy = s->n_hss_names < SCSCF_HSS_NAMES_MAX && origin_host.n
                     ? (char *)malloc(origin_host.n)
                     : NULL;
    if (!copy) {
        return SPAN_NONE;
    }
    memcpy(copy, origin_host.p, origin_host.n);
    return s->hss_names[s->n_hss_names++] = span_of(copy, origin_host.n);
}

void scscf_forget_hss_names(struct scscf *s) {
    while (s->n_hss_names) {
        free((char *)(uintptr_t)s->hss_names[--s->n_hss_names].p);
    }
}

/* The HSS that is known for the user of an operation. */
static struct span hss_of(const struct operation *op) {
    const struct reg_set *set = op->hss.n ? NULL : scscf_set_of(op->s, op->impu);
    return set ? set->hss : op->hss;
}

/* It is not to be reached by its name: the next request goes to whoever serves the realm. */
static void forget_hss(const struct operation *op, struct diameter_result result) {
    struct reg_set *set = scscf_set_of(op->s, op->impu);
    if (set && result.vendor == 0 && result.code == DIAMETER_UNABLE_TO_DELIVER) {
        set->hss = SPAN_NONE;
    }
}

static void refused(struct operation *op, struct diameter_result result) {
    const char *name = diameter_result_name(result);
    op->s->counters.hss_failed++;
    forget_hss(op, result);
    op->detail = span_from_cstr(name ? name : "unknown result");
    for (size_t i = 0; i < COUNT_OF(mappings); i++) {
        if (mappings[i].result.vendor == result.vendor && mappings[i].result.code == result.code) {
            scscf_operation_refuse(op, mappings[i].status, mappings[i].why);
            return;
        }
    }
    op->later = result.code / 1000 == 3; /* on the way to the HSS: RFC 6733 7.1.3 */
    scscf_operation_refuse(op, 500, REASON_HSS_REFUSED);
}

static void not_answered(void *ctx, enum error why) {
    struct operation *op = (struct operation *)ctx;
    op->s->counters.hss_failed++;
    op->detail = span_from_cstr(error_text(why));
    if (why == ERR_BUSY) { /* it is we who ask more than we may, or than the connection holds */
        scscf_operation_refuse(op, 503, REASON_OVERLOAD);
    } else {
        scscf_operation_refuse(op, 500, REASON_HSS_SILENT);
    }
}

static struct diameter_builder *begin(struct scscf *s, uint32_t command, struct span hss) {
    struct diameter_route route = {.application = CX_APPLICATION,
                                   .command = command,
                                   .realm = s->config.hss_realm,
                                   .host = hss};
    return diameter_request_begin(s->diameter, &route);
}

static void send_for(struct operation *op, const struct diameter_answer_handler *handler) {
    enum error e = diameter_request_send(op->s->diameter, handler, op, NULL);
    if (e != OK) {
        not_answered(op, e);
    }
}

/* MAR */

/* The first vector and the first Digest credential. False: there is neither. */
static bool find_credentials(const struct cx_maa *maa, struct credentials *out) {
    *out = (struct credentials){0};
    for (size_t i = 0; i < maa->n_sip_auth_data_item; i++) {
        const struct cx_sip_auth_data_item *item = &maa->sip_auth_data_item[i];
        if (item->sip_digest_authenticate && !out->digest) {
            out->digest = item->sip_digest_authenticate;
        } else if (item->sip_authenticate.n && !out->aka) {
            out->aka = item;
        }
    }
    return out->aka || out->digest;
}

static void on_maa(void *ctx, const struct diameter_msg *msg) {
    struct operation *op = (struct operation *)ctx;
    struct cx_maa maa;
    struct diameter_fault fault;
    if (!diameter_result_is_success(msg->result)) {
        refused(op, msg->result);
    } else if (cx_maa_decode(sip_server_arena(op->up), msg, &maa, &fault) != OK) {
        op->s->counters.hss_failed++;
        op->detail = span_from_cstr(fault.text);
        scscf_operation_refuse(op, 500, REASON_HSS_UNREADABLE);
    } else if (!find_credentials(&maa, &op->credentials)) {
        op->s->counters.hss_failed++;
        scscf_operation_refuse(op, 500, REASON_NO_CREDENTIALS);
    } else {
        op->hss = scscf_hss_name(op->s, msg->origin_host);
        scscf_operation_event(op, EVENT_VECTOR);
    }
}

static const struct diameter_answer_handler maa_handler = {on_maa, not_answered};

void scscf_ask_vector(struct operation *op) {
    struct scscf *s = op->s;
    struct cx_mar mar = {.user_name = op->impi,
                         .public_identity = op->impu,
                         .sip_number_auth_items = 1,
                         .server_name = s->config.name};
    mar.sip_auth_data_item.sip_authentication_scheme =
        challenge_scheme_name(op->resync ? SCHEME_AKA : op->scheme);
    if (op->resync) {
        mar.sip_auth_data_item.sip_authorization = span_of(op->rand_auts, sizeof op->rand_auts);
    }
    struct diameter_builder *b = begin(s, CX_COMMAND_MULTIMEDIA_AUTH, hss_of(op));
    if (!b) {
        not_answered(op, ERR_NO_MEMORY);
        return;
    }
    cx_mar_encode(b, &mar);
    s->counters.mar++;
    scscf_note(op, STEP_HSS_ASKED, 0, REASON_NONE,
               op->resync ? SPAN("MAR with AUTS") : SPAN("MAR"));
    send_for(op, &maa_handler);
}

/* SAR */

static void put_sar(struct scscf *s, struct diameter_builder *b, struct span impi, struct span impu,
                    enum cx_server_assignment_type type, bool data_available) {
    struct cx_sar sar = {.user_name = impi,
                         .public_identity = &impu,
                         .n_public_identity = 1,
                         .server_name = s->config.name,
                         .server_assignment_type = type};
    const struct cx_supported_features features = {.vendor_id = DIAMETER_VENDOR_3GPP,
                                                   .feature_list_id = CX_FEATURE_LIST,
                                                   .feature_list = CX_FEATURE_SIFC};
    if (s->config.n_shared_ifc_sets) {
        sar.supported_features = &features;
        sar.n_supported_features = 1;
    }
    sar.user_data_already_available =
        data_available ? CX_USER_DATA_ALREADY_AVAILABLE_USER_DATA_ALREADY_AVAILABLE
                       : CX_USER_DATA_ALREADY_AVAILABLE_USER_DATA_NOT_AVAILABLE;
    cx_sar_encode(b, &sar);
    s->counters.sar++;
}

/* May the same request succeed later? It did not reach the HSS, or the HSS could not save it. */
static bool is_transient(struct diameter_result r) {
    return r.vendor == 0 && (r.code / 1000 == 3 || r.code == DIAMETER_UNABLE_TO_COMPLY);
}

static void leave_later(const struct operation *op);

static void on_saa(void *ctx, const struct diameter_msg *msg) {
    struct operation *op = (struct operation *)ctx;
    struct cx_saa saa;
    struct diameter_fault fault;
    bool leaves = op->assignment == CX_SERVER_ASSIGNMENT_TYPE_USER_DEREGISTRATION;
    if (!diameter_result_is_success(msg->result)) {
        if (!leaves) {
            refused(op, msg->result);
            return;
        }
        const char *name = diameter_result_name(msg->result);
        op->s->counters.hss_failed++;
        LOG(&op->s->env->log, LOG_WARNING, "HSS refused a de-registration",
            LOG_SPAN("impi", op->impi), LOG_CSTR("result", name ? name : "unknown"));
        forget_hss(op, msg->result);
        if (is_transient(msg->result)) {
            leave_later(op);
        }
    } else if (cx_saa_decode(sip_server_arena(op->up), msg, &saa, &fault) != OK) {
        op->s->counters.hss_failed++;
        op->detail = span_from_cstr(fault.text);
        scscf_operation_refuse(op, 500, REASON_HSS_UNREADABLE);
        return;
    } else {
        struct reg_set *set = scscf_set_of(op->s, op->impu);
        op->hss = scscf_hss_name(op->s, msg->origin_host);
        op->saa = &saa;
        if (set) {
            set->hss = op->hss;
        }
    }
    scscf_operation_event(op, EVENT_ASSIGNED);
}

static const struct diameter_answer_handler saa_handler = {on_saa, not_answered};

void scscf_assign(struct operation *op, bool data_available) {
    struct diameter_builder *b = begin(op->s, CX_COMMAND_SERVER_ASSIGNMENT, hss_of(op));
    if (!b) {
        not_answered(op, ERR_NO_MEMORY);
        return;
    }
    put_sar(op->s, b, op->impi, op->impu, op->assignment, data_available);
    scscf_note(op, STEP_HSS_ASKED, 0, REASON_NONE, SPAN("SAR"));
    send_for(op, &saa_handler);
}

/* A SAR that no terminal waits for. De-registrations are repeated until the HSS has answered: it
 * would go on believing that we serve the user. */
struct notice {
    struct list of_scscf;
    struct timer again;
    struct scscf *s;
    struct span hss; /* as in struct operation */
    enum cx_server_assignment_type type;
    unsigned tries;
    uint16_t impi_n, impu_n;
    char text[]; /* private, then public identity */
};

static struct span notice_impi(const struct notice *n) {
    return span_of(n->text, n->impi_n);
}

static struct span notice_impu(const struct notice *n) {
    return span_of(n->text + n->impi_n, n->impu_n);
}

static void drop_notice(struct notice *n) {
    timer_stop(&n->again);
    list_remove(&n->of_scscf);
    n->s->n_notices--;
    free(n);
}

void scscf_forget_notices(struct scscf *s) {
    LIST_EACH(&s->notices, n, struct notice, of_scscf) {
        drop_notice(n);
    }
}

static void try_later(struct notice *n) {
    bool deregisters = n->type == CX_SERVER_ASSIGNMENT_TYPE_USER_DEREGISTRATION ||
                       n->type == CX_SERVER_ASSIGNMENT_TYPE_TIMEOUT_DEREGISTRATION ||
                       n->type == CX_SERVER_ASSIGNMENT_TYPE_ADMINISTRATIVE_DEREGISTRATION;
    n->s->counters.hss_failed++;
    if (!deregisters || n->tries >= NOTICE_TRIES || n->s->stopping) {
        drop_notice(n);
        return;
    }
    timer_start(n->s->env, &n->again, n->tries * NOTICE_DELAY_US);
}

static void on_notified(void *ctx, const struct diameter_msg *msg) {
    struct notice *n = (struct notice *)ctx;
    if (diameter_result_is_success(msg->result)) {
        drop_notice(n);
        return;
    }
    const char *name = diameter_result_name(msg->result);
    LOG(&n->s->env->log, LOG_NOTICE, "HSS refused a SAR", LOG_CSTR("result", name ? name : "?"),
        LOG_SPAN("impi", notice_impi(n)), LOG_SPAN("impu", notice_impu(n)));
    if (is_transient(msg->result)) {
        n->hss = SPAN_NONE; /* perhaps another one serves the user now */
        try_later(n);
    } else {
        n->s->counters.hss_failed++;
        drop_notice(n);
    }
}

static void on_not_notified(void *ctx, enum error why) {
    struct notice *n = (struct notice *)ctx;
    LOG(&n->s->env->log, LOG_WARNING, "HSS does not answer a SAR",
        LOG_CSTR("error", error_text(why)), LOG_SPAN("impi", notice_impi(n)),
        LOG_SPAN("impu", notice_impu(n)));
    try_later(n);
}

static const struct diameter_answer_handler notice_handler = {on_notified, on_not_notified};

static void send_notice(struct notice *n) {
    struct scscf *s = n->s;
    struct diameter_builder *b = begin(s, CX_COMMAND_SERVER_ASSIGNMENT, n->hss);
    enum error e = ERR_NO_MEMORY;
    n->tries++;
    if (b) {
        put_sar(s, b, notice_impi(n), notice_impu(n), n->type, false);
        e = diameter_request_send(s->diameter, &notice_handler, n, NULL);
    }
    if (e != OK) {
        on_not_notified(n, e);
    }
}

/* Unless the user has come back meanwhile. */
static void send_again(struct timer *t) {
    struct notice *n = CONTAINER_OF(t, struct notice, again);
    struct binding *bindings[REGISTRATION_CONTACTS_MAX];
    if (scscf_bindings_of(scscf_set_of(n->s, notice_impu(n)), notice_impi(n), bindings)) {
        drop_notice(n);
    } else {
        send_notice(n);
    }
}

/* NULL: the HSS is not told. */
static struct notice *make_notice(struct scscf *s, struct span hss, struct span impi,
                                  struct span impu, enum cx_server_assignment_type type) {
    struct notice *n = s->n_notices < s->config.pending_max
                           ? (struct notice *)malloc(sizeof *n + impi.n + impu.n)
                           : NULL;
    if (!n) {
        s->counters.hss_failed++;
        LOG(&s->env->log, LOG_ERROR, "HSS cannot be told", LOG_SPAN("impi", impi),
            LOG_SPAN("impu", impu));
        return NULL;
    }
    *n = (struct notice){
        .s = s, .hss = hss, .type = type, .impi_n = (uint16_t)impi.n, .impu_n = (uint16_t)impu.n};
    memcpy(n->text, impi.p, impi.n);
    memcpy(n->text + impi.n, impu.p, impu.n);
    list_insert(&s->notices, &n->of_scscf);
    s->n_notices++;
    timer_init(&n->again, send_again);
    return n;
}

bool scscf_notify_hss(struct scscf *s, struct span hss, struct span impi, struct span impu,
                      enum cx_server_assignment_type type) {
    struct notice *n = make_notice(s, hss, impi, impu, type);
    if (n) {
        send_notice(n);
    }
    return n != NULL;
}

/* The HSS goes on believing that we serve who has left. */
static void leave_later(const struct operation *op) {
    struct notice *n = make_notice(op->s, SPAN_NONE, op->impi, op->impu,
                                   CX_SERVER_ASSIGNMENT_TYPE_USER_DEREGISTRATION);
    if (n) {
        n->tries++;
        try_later(n);
    }
}

/* Has anybody registered by this private identity? */
static bool is_bound(const struct scscf *s, struct span impi) {
    struct htab_node *node = htab_first(&s->bindings, hash_bytes(impi));
    while (node &&
           !span_eq(binding_text(CONTAINER_OF(node, struct binding, node), BINDING_IMPI), impi)) {
        node = htab_next(node);
    }
    return node != NULL;
}

struct ended_registrations {
    struct span *impis; /* NULL: not noted */
    unsigned n;
    size_t bindings;
};

/* What the watchers hear of a contact that the HSS ends (TS 24.229 5.4.1.5, 5.4.2.1.2);
 * REGINFO_EVENTS: nothing, since another S-CSCF serves the user, who is registered there. */
static enum reginfo_event event_of(const struct cx_rtr *rtr) {
    switch (rtr->deregistration_reason.reason_code) {
    case CX_REASON_CODE_NEW_SERVER_ASSIGNED:
        return REGINFO_EVENTS;
    case CX_REASON_CODE_PERMANENT_TERMINATION:
        return REGINFO_REJECTED;
    default:
        return REGINFO_DEACTIVATED;
    }
}

/* Ends what a private identity has here; it is noted if there was anything. */
static void end_registrations(struct scscf *s, const struct cx_rtr *rtr, struct span impi,
                              struct ended_registrations *d) {
    size_t removed =
        scscf_remove(s, impi, rtr->public_identity, rtr->n_public_identity, event_of(rtr));
    scscf_forget_nonces(s, impi);
    d->bindings += removed;
    if (removed && d->impis) {
        d->impis[d->n++] = impi;
    }
}

/* Is it for a whole subscription, of which it only has a name that nobody is registered by? */
static bool ends_subscription(const struct scscf *s, const struct cx_rtr *rtr) {
    uint32_t reason = rtr->deregistration_reason.reason_code;
    return (reason == CX_REASON_CODE_SERVER_CHANGE ||
            reason == CX_REASON_CODE_NEW_SERVER_ASSIGNED) &&
           !rtr->associated_identities && !rtr->n_public_identity && !is_bound(s, rtr->user_name);
}

/* RTR: registrations end. */
static void on_rtr(struct scscf *s, struct diameter_request *rq, const struct diameter_msg *msg) {
    struct cx_rtr rtr;
    struct diameter_fault fault;
    if (cx_rtr_decode(diameter_request_arena(rq), msg, &rtr, &fault) != OK) {
        diameter_answer_fault(rq, &fault);
        return;
    }
    struct arena *arena = diameter_request_arena(rq);
    const struct cx_associated_identities *others = rtr.associated_identities;
    size_t n_others = others ? others->n_user_name : 0, n_all = 0;
    const struct span *all =
        ends_subscription(s, &rtr) ? scscf_subscription_of(s, rtr.user_name, arena, &n_all) : NULL;
    struct ended_registrations d = {
        .impis = arena_alloc(arena, (1 + n_others + n_all) * sizeof *d.impis)};
    end_registrations(s, &rtr, rtr.user_name, &d);
    for (size_t i = 0; i < n_others; i++) {
        end_registrations(s, &rtr, others->user_name[i], &d);
    }
    for (size_t i = 0; all && i < n_all; i++) {
        end_registrations(s, &rtr, all[i], &d);
    }
    s->counters.terminated += d.bindings;
    journal_add(s->env, &(struct journal_note){.step = STEP_ENDED,
                                               .reason = REASON_TERMINATED_BY_HSS,
                                               .status = rtr.deregistration_reason.reason_code,
                                               .impi = rtr.user_name});
    LOG(&s->env->log, LOG_NOTICE, "registration terminated by the HSS",
        LOG_SPAN("impi", rtr.user_name), LOG_U64("bindings", d.bindings),
        LOG_U64("reason", rtr.deregistration_reason.reason_code));
    struct cx_rta rta = {.result = DIAMETER_RESULT(DIAMETER_SUCCESS)};
    const struct cx_associated_identities gone = {.user_name = d.impis, .n_user_name = d.n};
    if (rtr.deregistration_reason.reason_code == CX_REASON_CODE_SERVER_CHANGE && d.n) {
        rta.associated_identities = &gone; /* 6.1.3.1: whom this has de-registered */
    }
    cx_rta_encode(diameter_answer_begin(rq), &rta);
    diameter_answer_send(rq);
}

/* Charging functions of every set that a private identity is bound to; how many bindings that are.
 */
static size_t push_to(struct scscf *s, struct span impi,
                      const struct cx_charging_information *charging) {
    size_t n = 0;
    for (struct htab_node *node = htab_first(&s->bindings, hash_bytes(impi)); node;
         node = htab_next(node)) {
        struct binding *b = CONTAINER_OF(node, struct binding, node);
        if (span_eq(binding_text(b, BINDING_IMPI), impi)) {
            n += !charging || scscf_set_charging(b->set, charging) == OK;
        }
    }
    return n;
}

/* Charging functions are the whole subscription's: those of every set that a private identity of it
 * is bound to (TS 29.228 6.6.1). Nothing is bound: 0. */
static size_t push_charging(struct scscf *s, struct arena *arena, struct span impi,
                            const struct cx_charging_information *charging) {
    size_t n = 0, n_impis = 0;
    const struct span *impis = scscf_subscription_of(s, impi, arena, &n_impis);
    for (size_t i = 0; impis && i < n_impis; i++) {
        n += push_to(s, impis[i], charging);
    }
    return n;
}

/* The profile of a set that is registered here. */
static struct diameter_result push_profile(struct scscf *s, struct arena *arena,
                                           const struct cx_ppr *ppr) {
    struct userdata *data;
    struct reg_set *set = NULL;
    if (userdata_read(ppr->user_data, arena, &data) != OK) {
        return DIAMETER_3GPP_RESULT(DIAMETER_ERROR_NOT_SUPPORTED_USER_DATA);
    }
    for (size_t p = 0; !set && p < data->n_profiles; p++) {
        for (size_t i = 0; !set && i < data->profiles[p].n_identities; i++) {
            set = scscf_set_of(s, data->profiles[p].identities[i].identity);
        }
    }
    if (!set) {
        return DIAMETER_3GPP_RESULT(DIAMETER_ERROR_USER_UNKNOWN);
    }
    return scscf_set_put(s, data, ppr->charging_information, set->charging, &set) == OK
               ? DIAMETER_RESULT(DIAMETER_SUCCESS)
               : DIAMETER_RESULT(DIAMETER_UNABLE_TO_COMPLY);
}

static void on_ppr(struct scscf *s, struct diameter_request *rq, const struct diameter_msg *msg) {
    struct cx_ppr ppr;
    struct diameter_fault fault;
    if (cx_ppr_decode(diameter_request_arena(rq), msg, &ppr, &fault) != OK) {
        diameter_answer_fault(rq, &fault);
        return;
    }
    struct diameter_result result = DIAMETER_RESULT(DIAMETER_SUCCESS);
    if (ppr.sip_auth_data_item) { /* TS 29.228 6.5.2.4: another password */
        scscf_forget_nonces(s, ppr.user_name);
    }
    if (push_charging(s, diameter_request_arena(rq), ppr.user_name, ppr.charging_information) ==
        0) {
        result = DIAMETER_3GPP_RESULT(DIAMETER_ERROR_USER_UNKNOWN);
    } else if (ppr.user_data.p) {
        result = push_profile(s, diameter_request_arena(rq), &ppr);
    }
    diameter_answer_result(rq, result, SPAN_NONE);
}

void scscf_diameter_request(void *ctx, struct diameter_request *rq,
                            const struct diameter_msg *msg) {
    struct scscf *s = (struct scscf *)ctx;
    if (msg->application == CX_APPLICATION && msg->command == CX_COMMAND_REGISTRATION_TERMINATION) {
        on_rtr(s, rq, msg);
    } else if (msg->application == CX_APPLICATION && msg->command == CX_COMMAND_PUSH_PROFILE) {
        on_ppr(s, rq, msg);
    } else {
        struct diameter_fault fault;
        diameter_fault_set(&fault, DIAMETER_COMMAND_UNSUPPORTED, SPAN_NONE,
                           "an S-CSCF takes RTR and PPR");
        diameter_answer_fault(rq, &fault);
    }
    scscf_settle(s);
}
