/* REGISTER at the I-CSCF: TS 24.229 5.3.1.2 and 5.3.1.3, TS 29.228 6.1.1.
 *
 *     checks -> UAR/UAA -> an S-CSCF by name or capabilities -> its address -> forward
 *
 * The request goes on with the S-CSCF's name as Request-URI and as Route. Open choices: an S-CSCF
 * that does not answer, or answers 3xx or 480, is replaced when the request is not within a
 * security association (5.3.1.3); if the HSS had named it, the HSS is asked for capabilities first.
 * UAA with neither a name nor capabilities demands nothing: any S-CSCF will do. */
#include "model/registration/request.h"
#include "node/icscf/internal.h"
#include "obs/journal.h"
#include "spec/cx.h"
#include "spec/diameter_base.h"
#include "stack/sip/unavailable.h"

enum {
    NAMES_MAX = 16,
    HOP_PATIENCE_S = 8, /* with one of several addresses of an S-CSCF */
    HOPS_TOTAL_S = 24   /* with all: the P-CSCF's timer F is 32 s */
};

void icscf_look_stopped(struct icscf *i) {
    if (i->stopping && i->n_pending == 0) {
        timer_start(i->env, &i->stop_timer, 0);
    }
}

static void icscf_operation_end(struct operation *op) {
    resolver_cancel(&op->query);
    list_remove(&op->under_way);
    op->i->n_pending--;
    icscf_look_stopped(op->i);
}

void icscf_note(const struct operation *op, enum journal_step step, unsigned status,
                struct span detail) {
    journal_add(op->i->env, &(struct journal_note){.step = step,
                                                   .status = status,
                                                   .impi = op->impi,
                                                   .impu = op->impu,
                                                   .call_id = sip_server_request(op->up)->call_id,
                                                   .detail = detail});
}

/* 480: the HSS cannot say now, 5.3.1.3. */
void icscf_operation_refuse(struct operation *op, unsigned status, enum reason why) {
    const struct sip_refusal refusal = {.status = status,
                                        .why = why,
                                        .later = status == 480,
                                        .impi = op->impi,
                                        .impu = op->impu,
                                        .detail = op->detail};
    icscf_operation_end(op);
    icscf_refuse(op->i, op->up, refusal);
}

struct span icscf_kept_text(struct operation *op, const struct buf *b, bool *failed) {
    *failed |= b->overflow;
    return arena_copy(sip_server_arena(op->up), buf_span(b), failed);
}

/* Identities and visited network, for the UAR; or what is wrong. */
static enum reason read_identities(struct operation *op, const struct sip_msg *req) {
    char text[ICSCF_IDENTITY_MAX];
    bool failed = false;
    struct sip_address to;
    struct buf b = buf_init(text, sizeof text);
    if (sip_address_of(req, SIP_H_TO, &to) != OK || registration_put_impu(&b, &to.uri) != OK) {
        return REASON_MALFORMED_TO;
    }
    op->impu = icscf_kept_text(op, &b, &failed);
    struct sip_auth auth = {0};
    enum error e = sip_digest_of(req, SIP_H_AUTHORIZATION, &auth);
    if (e != OK && e != ERR_NOT_FOUND) {
        return REASON_MALFORMED_AUTHORIZATION;
    }
    op->settled = span_eq_nocase(auth.integrity_protected, SPAN("yes"));
    b = buf_init(text, sizeof text);
    if (auth.username.n) {
        sip_unquote(&b, auth.username);
    } else {
        registration_put_derived_impi(&b, &to.uri);
    }
    op->impi = icscf_kept_text(op, &b, &failed);
    struct span network, params;
    if (!sip_has(req, SIP_H_P_VISITED_NETWORK_ID)) {
        return REASON_MISSING_VISITED_NETWORK;
    }
    struct sip_list list = sip_list_of(req, SIP_H_P_VISITED_NETWORK_ID);
    struct span value;
    if (!sip_list_next(&list, &value) ||
        sip_visited_network_parse(value, &network, &params) != OK) {
        return REASON_MALFORMED_VISITED_NETWORK;
    }
    b = buf_init(text, sizeof text);
    sip_unquote(&b, network);
    op->visited = icscf_kept_text(op, &b, &failed);
    return failed ? REASON_IDENTITY_TOO_LONG : REASON_NONE;
}

static void ask_hss(struct operation *op, bool capabilities);
/* The chosen S-CSCF did not answer, or sent us away: 5.3.1.3. */
static void choose_another(struct operation *op) {
    struct icscf *i = op->i;
    if (op->settled) {
        icscf_operation_refuse(op, 504, REASON_SCSCF_SILENT);
        return;
    }
    int index = selection_by_name(i->config.scscf, i->config.n_scscf, op->server);
    if (index >= 0) {
        op->wanted.tried |= UINT64_C(1) << index;
    }
    LOG(&i->env->log, LOG_WARNING, "S-CSCF does not answer, choosing another",
        LOG_SPAN("scscf", op->server), LOG_SPAN("impi", op->impi));
    i->counters.reselected++;
    if (op->named) {
        ask_hss(op, true);
    } else {
        icscf_choose(op);
    }
}

static enum sip_proxy_verdict on_response(void *ctx, struct sip_proxy *proxy, struct sip_server *up,
                                          const struct sip_msg *response, struct sip_edits *edits) {
    struct operation *op = (struct operation *)ctx;
    (void)up;
    (void)edits;
    if (response->status < 200) {
        return SIP_PROXY_RELAY;
    }
    switch (sip_unavailable_action(sip_voice_of(response), sip_proxy_has_next(proxy))) {
    case SIP_UNAVAILABLE_NEXT:
        return SIP_PROXY_NEXT;
    case SIP_UNAVAILABLE_AS_500:
        icscf_operation_refuse(op, 500, REASON_SCSCF_OUT_OF_ORDER);
        return SIP_PROXY_TAKEN;
    case SIP_UNAVAILABLE_RELAY:
        break;
    }
    /* 5.3.1.3; but who says when to come again does not mean another S-CSCF. */
    bool sent_away = response->status / 100 == 3 ||
                     (response->status == 480 && !sip_has(response, SIP_H_RETRY_AFTER));
    if (sent_away && !op->settled) {
        choose_another(op);
        return SIP_PROXY_TAKEN;
    }
    icscf_operation_end(op);
    return SIP_PROXY_RELAY;
}

static enum sip_proxy_verdict on_failed(void *ctx, struct sip_proxy *proxy, struct sip_server *up,
                                        enum error why) {
    (void)proxy;
    (void)up;
    (void)why;
    choose_another((struct operation *)ctx);
    return SIP_PROXY_TAKEN;
}

/* RFC 3263 4.3: the proxy goes on to the next address, and the resolver knows for a while. */
static void on_hop(void *ctx, const struct sip_hop *hop, enum error result) {
    struct operation *op = (struct operation *)ctx;
    if (result == OK) {
        resolver_worked(op->i->resolver, hop);
    } else {
        op->i->counters.hops_failed++;
        resolver_failed(op->i->resolver, hop);
    }
}

static const struct sip_proxy_handler proxy_handler = {
    .response = on_response, .hop = on_hop, .failed = on_failed};

static void forward(struct operation *op, const struct resolver_answer *targets) {
    struct buf b = buf_init(op->route, sizeof op->route);
    buf_char(&b, '<');
    buf_put(&b, op->server);
    buf_cstr(&b, op->loose ? ">" : ";lr>");
    if (b.overflow) {
        icscf_operation_refuse(op, 500, REASON_SCSCF_NAME_UNUSABLE);
        return;
    }
    struct sip_forward f = {.to = targets->targets[0],
                            .others = targets->targets + 1,
                            .n_others = targets->n - 1,
                            .patience_us = HOP_PATIENCE_S * SEC_IN_US,
                            .total_us = HOPS_TOTAL_S * SEC_IN_US,
                            .host = op->server_host,
                            .uri = op->locates ? SPAN_NONE : op->server};
    if (op->locates) {
        icscf_edit_route(op, &f.edits);
        sip_edit_prepend(&f.edits, SIP_H_ROUTE, buf_span(&b));
    } else {
        sip_edit_replace(&f.edits, SIP_H_ROUTE, buf_span(&b));
    }
    enum error e = sip_proxy_forward(op->up, &f, &proxy_handler, op, NULL);
    if (e == OK) {
        op->i->counters.forwarded++;
        icscf_note(op, STEP_SCSCF_CHOSEN, 0, op->server);
    } else if (e == ERR_REFUSED) {
        icscf_operation_end(op);
    } else {
        op->detail = span_from_cstr(error_text(e));
        icscf_operation_refuse(op,
                               e == ERR_BUSY      ? 503
                               : e == ERR_TOO_BIG ? 513
                                                  : 500,
                               e == ERR_BUSY      ? REASON_OVERLOAD
                               : e == ERR_TOO_BIG ? REASON_TOO_LARGE
                                                  : REASON_CANNOT_BE_FORWARDED);
    }
}

static void resolved(struct operation *op, enum error e, const struct resolver_answer *answer) {
    if (e != OK) {
        choose_another(op);
        return;
    }
    forward(op, answer);
}

static void on_resolved(struct resolver_query *query, enum error e,
                        const struct resolver_answer *answer) {
    resolved(CONTAINER_OF(query, struct operation, query), e, answer);
}

void icscf_go_to(struct operation *op, struct span server) {
    bool failed = false;
    struct sip_uri uri;
    op->server = arena_copy(sip_server_arena(op->up), server, &failed);
    if (failed || sip_uri_parse(op->server, &uri) != OK || !uri.host.n) {
        icscf_operation_refuse(op, 500, REASON_SCSCF_NAME_UNUSABLE);
        return;
    }
    op->loose = sip_uri_is_loose(&uri);
    op->server_host = uri.host;
    struct resolver_name name = resolver_name_of(&uri);
    struct resolver_answer answer;
    enum error e = resolver_cached(op->i->resolver, &name, &answer);
    if (e == ERR_INCOMPLETE) {
        e = resolver_find(op->i->resolver, &name, &op->query, on_resolved);
        if (e == OK) {
            return;
        }
    }
    resolved(op, e, &answer);
}

/* By capabilities. */
void icscf_choose(struct operation *op) {
    struct icscf *i = op->i;
    env_random(i->env, &op->wanted.lot, sizeof op->wanted.lot);
    int index = selection_choose(i->config.scscf, i->config.n_scscf, &op->wanted);
    if (index >= 0) {
        icscf_go_to(op, i->config.scscf[index].name);
    } else if (op->wanted.tried) {
        icscf_operation_refuse(op, 504, REASON_NO_SCSCF_ANSWERS);
    } else {
        i->counters.none_capable++;
        icscf_operation_refuse(op, 600, REASON_NO_CAPABLE_SCSCF); /* 5.3.1.2 */
    }
}

/* Keeps what the UAA demands beyond the answer's lifetime: the arrays are in the arena already. */
void icscf_keep_capabilities(struct operation *op, const struct cx_server_capabilities *c) {
    uint64_t tried = op->wanted.tried;
    op->wanted = (struct selection_request){.tried = tried};
    if (!c) {
        return;
    }
    op->wanted.mandatory = c->mandatory_capability;
    op->wanted.n_mandatory = c->n_mandatory_capability;
    op->wanted.optional = c->optional_capability;
    op->wanted.n_optional = c->n_optional_capability;
    struct span *names =
        (struct span *)arena_alloc(sip_server_arena(op->up), NAMES_MAX * sizeof *names);
    bool failed = !names;
    size_t n = c->n_server_name < NAMES_MAX ? c->n_server_name : NAMES_MAX;
    for (size_t k = 0; !failed && k < n; k++) {
        names[k] = arena_copy(sip_server_arena(op->up), c->server_name[k], &failed);
    }
    op->wanted.names = names;
    op->wanted.n_names = failed ? 0 : n;
}

static const struct refusal {
    struct diameter_result result;
    unsigned status;  /* to a REGISTER */
    unsigned located; /* to other requests, 5.3.2.1 */
    enum reason why;
} refusals[] = {
    {{DIAMETER_VENDOR_3GPP, DIAMETER_ERROR_USER_UNKNOWN}, 403, 404, REASON_USER_UNKNOWN},
    {{DIAMETER_VENDOR_3GPP, DIAMETER_ERROR_IDENTITIES_DONT_MATCH},
     403,
     403,
     REASON_IDENTITIES_DO_NOT_MATCH},
    {{DIAMETER_VENDOR_3GPP, DIAMETER_ERROR_ROAMING_NOT_ALLOWED},
     403,
     403,
     REASON_ROAMING_NOT_ALLOWED},
    {{DIAMETER_VENDOR_3GPP, DIAMETER_ERROR_IDENTITY_NOT_REGISTERED},
     403,
     480,
     REASON_IDENTITY_NOT_REGISTERED},
    {{0, DIAMETER_AUTHORIZATION_REJECTED}, 403, 403, REASON_NOT_AUTHORISED},
};

static enum reason reason_of_result(struct diameter_result result) {
    return result.vendor                                ? REASON_HSS_REFUSED
           : result.code == DIAMETER_TOO_BUSY           ? REASON_HSS_BUSY
           : result.code == DIAMETER_UNABLE_TO_DELIVER  ? REASON_HSS_UNREACHABLE
           : result.code == DIAMETER_UNABLE_TO_COMPLY   ? REASON_HSS_UNABLE
           : result.code == DIAMETER_RESOURCES_EXCEEDED ? REASON_HSS_BUSY
                                                        : REASON_HSS_REFUSED;
}

/* 5.3.1.3: a negative answer gives 403; an HSS that cannot answer 480. */
void icscf_hss_refused(struct operation *op, struct diameter_result result) {
    const char *name = diameter_result_name(result);
    op->i->counters.hss_failed++;
    op->detail = span_from_cstr(name ? name : "unknown result");
    for (size_t k = 0; k < COUNT_OF(refusals); k++) {
        if (refusals[k].result.vendor == result.vendor && refusals[k].result.code == result.code) {
            icscf_operation_refuse(op, op->locates ? refusals[k].located : refusals[k].status,
                                   refusals[k].why);
            return;
        }
    }
    bool passing = result.vendor == 0 && (result.code / 1000 == 3 || result.code / 1000 == 4 ||
                                          result.code == DIAMETER_UNABLE_TO_COMPLY ||
                                          result.code == DIAMETER_RESOURCES_EXCEEDED);
    icscf_operation_refuse(op, passing ? 480 : 403, reason_of_result(result));
}

static void on_uaa(void *ctx, const struct diameter_msg *msg) {
    struct operation *op = (struct operation *)ctx;
    if (!diameter_result_is_success(msg->result)) {
        icscf_hss_refused(op, msg->result);
        return;
    }
    struct cx_uaa uaa;
    struct diameter_fault fault;
    if (cx_uaa_decode(sip_server_arena(op->up), msg, &uaa, &fault) != OK) {
        op->i->counters.hss_failed++;
        op->detail = span_from_cstr(fault.text);
        icscf_operation_refuse(op, 480, REASON_HSS_UNREADABLE);
        return;
    }
    icscf_note(op, STEP_HSS_ANSWERED, msg->result.code,
               uaa.server_name.n ? uaa.server_name : SPAN("capabilities, or any S-CSCF"));
    icscf_keep_capabilities(op, uaa.server_capabilities);
    op->named = uaa.server_name.n > 0;
    if (op->named && !op->wanted.tried) {
        icscf_go_to(op, uaa.server_name);
    } else {
        icscf_choose(op);
    }
}

void icscf_hss_silent(void *ctx, enum error why) {
    struct operation *op = (struct operation *)ctx;
    op->i->counters.hss_failed++;
    op->detail = span_from_cstr(error_text(why));
    if (why == ERR_BUSY) { /* it is we who ask more than we may, or than the connection holds */
        icscf_operation_refuse(op, 503, REASON_OVERLOAD);
    } else {
        icscf_operation_refuse(op, 480, REASON_HSS_SILENT);
    }
}

static const struct diameter_answer_handler uaa_handler = {on_uaa, icscf_hss_silent};

static void ask_hss(struct operation *op, bool capabilities) {
    struct icscf *i = op->i;
    struct diameter_route route = {.application = CX_APPLICATION,
                                   .command = CX_COMMAND_USER_AUTHORIZATION,
                                   .realm = i->config.hss_realm};
    struct cx_uar uar = {.user_name = op->impi,
                         .public_identity = op->impu,
                         .visited_network_identifier = op->visited,
                         .has_user_authorization_type = true};
    uar.user_authorization_type = capabilities
                                      ? CX_USER_AUTHORIZATION_TYPE_REGISTRATION_AND_CAPABILITIES
                                  : op->removal ? CX_USER_AUTHORIZATION_TYPE_DE_REGISTRATION
                                                : CX_USER_AUTHORIZATION_TYPE_REGISTRATION;
    struct diameter_builder *b = diameter_request_begin(i->diameter, &route);
    if (!b) {
        icscf_hss_silent(op, ERR_NO_MEMORY);
        return;
    }
    cx_uar_encode(b, &uar);
    enum error e = diameter_request_send(i->diameter, &uaa_handler, op, NULL);
    if (e != OK) {
        icscf_hss_silent(op, e);
        return;
    }
    i->counters.uar++;
    icscf_note(op, STEP_HSS_ASKED, 0, SPAN("UAR"));
}

struct operation *icscf_operation_begin(struct icscf *i, struct sip_server *up) {
    if (!sip_proxy_may_forward(up)) {
        i->counters.refused++;
        return NULL;
    }
    if (i->n_pending >= i->config.pending_max) {
        icscf_refuse(i, up, (struct sip_refusal){.status = 503, .why = REASON_OVERLOAD});
        return NULL;
    }
    struct operation *op = ARENA_NEW(sip_server_arena(up), struct operation);
    if (!op) {
        icscf_refuse(i, up, (struct sip_refusal){.status = 500, .why = REASON_OUT_OF_MEMORY});
        return NULL;
    }
    op->i = i;
    op->up = up;
    list_insert(&i->pending, &op->under_way);
    i->n_pending++;
    return op;
}

void icscf_register(struct icscf *i, struct sip_server *up, const struct sip_msg *req) {
    i->counters.registers++;
    struct operation *op = icscf_operation_begin(i, up);
    if (!op) {
        return;
    }
    enum reason why = read_identities(op, req);
    struct registration_reading reading;
    if (!why && registration_request_read(req, &reading) != OK) {
        why = REASON_MALFORMED_CONTACT;
    }
    if (why) {
        icscf_operation_refuse(op, 400, why);
        return;
    }
    op->removal = registration_request_is_removal(&reading.request);
    icscf_note(op, STEP_REGISTER_RECEIVED, 0, op->visited);
    ask_hss(op, false);
}
