/* A REGISTER from its arrival to its answer: TS 24.229 5.4.1.2 and 5.4.1.4, as a state machine.
 *
 * Choices that the clauses leave open: one MAR per private identity is under way at a time, others
 * wait for their turn, and who floods gets 503, not who stands beside him (share.h); what the
 * bindings become is decided when the HSS has answered, on what stands then; a SAR is sent when the
 * pair of private and public identity becomes registered or de-registered, and after each
 * challenge, since the HSS waits for it (TS 29.228 6.3); a de-registration that the HSS refuses is
 * carried out here all the same, one that it does not answer is not. */
#include "node/scscf/internal.h"

typedef void action_fn(struct operation *op);

static action_fn ask_vector, wait_turn, send_challenge, assign, complete, refuse, untrue;

/* The machine. A pair that is not here is a defect: op_event refuses with 500. */
static const struct transition {
    enum operation_state state;
    enum operation_event event;
    enum operation_state next;
    action_fn *action;
    const char *clause;
} machine[] = {
    {OPERATION_RECEIVED, EVENT_CHALLENGE, OPERATION_ASKING, ask_vector, "5.4.1.2.1 3)"},
    {OPERATION_RECEIVED, EVENT_QUEUE, OPERATION_QUEUED, wait_turn, "5.4.1.2.1 3)"},
    {OPERATION_RECEIVED, EVENT_ACCEPT, OPERATION_ASSIGNING, assign, "5.4.1.2.2, 5.4.1.4"},
    {OPERATION_RECEIVED, EVENT_UNTRUE, OPERATION_FAILING, untrue, "5.4.1.2.3"},
    {OPERATION_RECEIVED, EVENT_REFUSED, OPERATION_DONE, refuse, "5.4.1.2.3"},
    {OPERATION_QUEUED, EVENT_TURN, OPERATION_ASKING, ask_vector, "5.4.1.2.1 3)"},
    {OPERATION_QUEUED, EVENT_REFUSED, OPERATION_DONE, refuse, "5.4.1.2.3"},
    {OPERATION_ASKING, EVENT_VECTOR, OPERATION_DONE, send_challenge, "5.4.1.2.1 5)"},
    {OPERATION_ASKING, EVENT_REFUSED, OPERATION_DONE, refuse, "5.4.1.2.3"},
    {OPERATION_ASSIGNING, EVENT_ASSIGNED, OPERATION_DONE, complete, "5.4.1.2.2F, 5.4.1.4"},
    {OPERATION_ASSIGNING, EVENT_REFUSED, OPERATION_DONE, refuse, "5.4.1.2.3"},
    {OPERATION_FAILING, EVENT_ASSIGNED, OPERATION_DONE, refuse, "5.4.1.2.3"},
    {OPERATION_FAILING, EVENT_REFUSED, OPERATION_DONE, refuse, "5.4.1.2.3"},
};

void scscf_note(const struct operation *op, enum journal_step step, unsigned status,
                enum reason why, struct span detail) {
    journal_add(op->s->env, &(struct journal_note){.step = step,
                                                   .reason = why,
                                                   .status = status,
                                                   .impi = op->impi,
                                                   .impu = op->impu,
                                                   .call_id = sip_server_request(op->up)->call_id,
                                                   .detail = detail});
}

void scscf_operation_event(struct operation *op, enum operation_event event) {
    for (size_t i = 0; i < COUNT_OF(machine); i++) {
        if (machine[i].state == op->state && machine[i].event == event) {
            op->state = machine[i].next;
            machine[i].action(op);
            return;
        }
    }
    op->status = 500;
    op->why = REASON_UNEXPECTED_EVENT;
    refuse(op);
}

void scscf_operation_refuse(struct operation *op, unsigned status, enum reason why) {
    if (op->state != OPERATION_FAILING) { /* there the reason is known already */
        op->status = status;
        op->why = why;
    }
    scscf_operation_event(op, EVENT_REFUSED);
}

static void next_in_turn(struct authentication *a) {
    a->asking = NULL;
    if (a->n_waiting) {
        struct operation *next = CONTAINER_OF(a->waiting.next, struct operation, waiting);
        list_remove(&next->waiting);
        a->n_waiting--;
        scscf_operation_event(next, EVENT_TURN);
    } else {
        scscf_authentication_settle(a);
    }
}

static void leave_set(struct operation *op) {
    struct reg_set *set = op->busy ? scscf_set_of(op->s, op->impu) : NULL;
    if (set && set->busy) {
        set->busy--;
    }
    op->busy = false;
}

void scscf_operation_end(struct operation *op) {
    struct scscf *s = op->s;
    list_remove(&op->under_way);
    s->n_operations--;
    leave_set(op);
    scscf_end_turn(op);
    struct authentication *a = op->authentication;
    if (a && a->asking == op) {
        op->authentication = NULL;
        next_in_turn(a);
    }
    if (s->stopping && s->n_operations == 0) {
        timer_start(s->env, &s->stop_timer, 0);
    }
}

static void refuse(struct operation *op) {
    struct scscf *s = op->s;
    struct sip_server *up = op->up;
    const struct sip_refusal refusal = {.status = op->status,
                                        .why = op->why,
                                        .later = op->later,
                                        .impi = op->impi,
                                        .impu = op->impu,
                                        .detail = op->detail};
    scscf_operation_end(op);
    scscf_refuse(s, up, refusal);
}

/* Authentication failed for good: the HSS is told first (TS 29.228 6.1.2). */
static void untrue(struct operation *op) {
    op->assignment = CX_SERVER_ASSIGNMENT_TYPE_AUTHENTICATION_FAILURE;
    scscf_assign(op, false);
}

static void ask_vector(struct operation *op) {
    struct authentication *a = scscf_authentication_make(op->s, op->impi);
    if (!a) {
        scscf_operation_refuse(op, 500, REASON_OUT_OF_MEMORY);
        return;
    }
    a->asking = op;
    op->authentication = a;
    scscf_ask_vector(op);
}

/* Who of those that wait has to give way for the newest of them; NULL: there is room. Of several
 * that are alike the newest goes. */
static struct operation *one_too_many(struct authentication *a, struct operation *newest) {
    struct operation *at[SCSCF_SHARES_MAX + 1] = {newest};
    struct addr sources[SCSCF_SHARES_MAX + 1] = {*scscf_source_of(newest)};
    size_t n = 1;
    for (struct list *l = newest->waiting.prev; l != &a->waiting && n < COUNT_OF(at); l = l->prev) {
        at[n] = CONTAINER_OF(l, struct operation, waiting);
        sources[n] = at[n]->source;
        n++;
    }
    size_t i = share_yields(&a->s->shares, sources, n, 0);
    return i < n ? at[i] : NULL;
}

static void wait_turn(struct operation *op) {
    struct authentication *a = scscf_authentication(op->s, op->impi);
    list_insert(&a->waiting, &op->waiting);
    a->n_waiting++;
    struct operation *other = one_too_many(a, op);
    if (other) {
        list_remove(&other->waiting);
        a->n_waiting--;
        scscf_operation_refuse(other, 503, REASON_IDENTITY_BUSY);
    }
}

static void send_challenge(struct operation *op) {
    struct challenge *c;
    op->state = OPERATION_ASKING; /* for a refusal below */
    enum error e = scscf_challenge_add(op->authentication, op, &op->credentials, &c);
    if (e == ERR_UNSUPPORTED) {
        scscf_operation_refuse(op, 403, REASON_NO_ALGORITHM);
    } else if (e != OK) {
        scscf_operation_refuse(op, 500,
                               e == ERR_NO_MEMORY ? REASON_OUT_OF_MEMORY : REASON_NO_CREDENTIALS);
    } else {
        op->state = OPERATION_DONE;
        op->s->counters.challenges++;
        scscf_note(op, STEP_CHALLENGED, 401, REASON_NONE, SPAN_NONE);
        scscf_answer_challenge(op, c);
    }
}

/* What stands for the pair of op, for the rules. */
struct standing {
    struct reg_set *set;
    size_t n;
    struct binding *bindings[REGISTRATION_CONTACTS_MAX];
    struct registration_binding values[REGISTRATION_CONTACTS_MAX];
};

static void look_up(const struct operation *op, struct standing *out) {
    out->set = scscf_set_of(op->s, op->impu);
    out->n = scscf_bindings_of(out->set, op->impi, out->bindings);
    for (size_t i = 0; i < out->n; i++) {
        const struct binding *b = out->bindings[i];
        out->values[i] =
            (struct registration_binding){.uri = binding_text(b, BINDING_CONTACT),
                                          .instance = binding_text(b, BINDING_INSTANCE),
                                          .call_id = binding_text(b, BINDING_CALL_ID),
                                          .reg_id = b->reg_id,
                                          .cseq = b->cseq};
    }
}

/* False: refused, and op is gone. */
static bool verdict_allows(struct operation *op, const struct registration_outcome *outcome) {
    static const struct {
        unsigned status;
        enum reason why;
    } refusals[] = {
        [REGISTRATION_BAD_STAR] = {400, REASON_BAD_STAR},
        [REGISTRATION_TOO_BRIEF] = {423, REASON_INTERVAL_TOO_BRIEF},
        [REGISTRATION_TOO_MANY] = {403, REASON_TOO_MANY_CONTACTS},
        [REGISTRATION_SEVERAL_FLOWS] = {400, REASON_SEVERAL_FLOWS},
        [REGISTRATION_LACKS_OUTBOUND] = {439, REASON_LACKS_OUTBOUND},
        [REGISTRATION_OUT_OF_ORDER] = {500, REASON_OUT_OF_ORDER},
    };
    if (outcome->verdict == REGISTRATION_UPDATE || outcome->verdict == REGISTRATION_FETCH) {
        return true;
    }
    scscf_operation_refuse(op, refusals[outcome->verdict].status, refusals[outcome->verdict].why);
    return false;
}

static void decide(const struct operation *op, const struct standing *standing,
                   struct registration_outcome *out) {
    registration_decide(&op->s->bindings_policy, &op->reading.request, standing->values,
                        standing->n, out);
}

static uint64_t departure_name(const struct operation *op) {
    return departures_name(hash_bytes(op->impi), sip_server_request(op->up)->call_id);
}

/* Authenticated. */
static void assign(struct operation *op) {
    if (scscf_take_turn(op)) {
        scscf_go_on(op);
    }
}

/* Is the HSS to be told, and what? */
void scscf_go_on(struct operation *op) {
    struct standing standing;
    struct registration_outcome outcome;
    look_up(op, &standing);
    decide(op, &standing, &outcome);
    if (!verdict_allows(op, &outcome)) {
        return;
    }
    if (outcome.verdict == REGISTRATION_UPDATE &&
        departures_overtook(&op->s->departures, departure_name(op), op->reading.request.cseq,
                            env_now_us(op->s->env))) {
        scscf_operation_refuse(op, 500, REASON_OUT_OF_ORDER);
        return;
    }
    bool leaves = outcome.verdict == REGISTRATION_UPDATE && outcome.n_left == 0;
    bool enters = outcome.n_left > 0 && standing.n == 0;
    bool fetch = outcome.verdict == REGISTRATION_FETCH;
    if (fetch || (!leaves && !enters && !op->challenged)) {
        scscf_operation_event(op, EVENT_ASSIGNED);
        return;
    }
    op->assignment = leaves   ? CX_SERVER_ASSIGNMENT_TYPE_USER_DEREGISTRATION
                     : enters ? CX_SERVER_ASSIGNMENT_TYPE_REGISTRATION
                              : CX_SERVER_ASSIGNMENT_TYPE_RE_REGISTRATION;
    if (standing.set) {
        standing.set->busy++;
        op->busy = true;
    }
    scscf_assign(op, op->assignment == CX_SERVER_ASSIGNMENT_TYPE_RE_REGISTRATION);
}

/* The profile of a SAA, if it brought one. False: refused, and op is gone. */
static bool take_profile(struct operation *op) {
    if (!op->saa || op->assignment != CX_SERVER_ASSIGNMENT_TYPE_REGISTRATION) {
        return true;
    }
    struct userdata *data;
    struct reg_set *set;
    enum error e = userdata_read(op->saa->user_data, sip_server_arena(op->up), &data);
    if (e == OK) {
        e = scscf_set_put(op->s, data, op->saa->charging_information, SPAN_NONE, &set);
    }
    if (e == OK && scscf_set_of(op->s, op->impu) != set) {
        e = ERR_CONFLICT;
    }
    if (e == OK) {
        e = scscf_set_associates(set, op->saa->associated_identities);
    }
    if (e == OK) {
        set->hss = op->hss;
        return true;
    }
    scscf_notify_hss(op->s, op->hss, op->impi, op->impu,
                     CX_SERVER_ASSIGNMENT_TYPE_ADMINISTRATIVE_DEREGISTRATION);
    if (e == ERR_NOT_FOUND) {
        scscf_operation_refuse(op, 403, REASON_ALL_BARRED);
    } else {
        scscf_operation_refuse(op, 500, REASON_USER_DATA_UNUSABLE);
    }
    return false;
}

/* Path as it will be followed: the values of all lines. ERR_TOO_BIG. */
static enum error read_path(const struct sip_msg *req, struct buf *b) {
    struct sip_list list = sip_list_of(req, SIP_H_PATH);
    for (struct span value; sip_list_next(&list, &value);) {
        if (b->n) {
            buf_cstr(b, ", ");
        }
        buf_put(b, value);
    }
    return b->overflow || list.malformed ? ERR_TOO_BIG : OK;
}

/* Carries the steps out. A contact that the request does not name, and that it replaces, has been
 * unregistered by its user, too. */
static enum error apply(struct operation *op, struct standing *standing,
                        const struct registration_outcome *outcome) {
    char text[2048];
    struct buf path = buf_init(text, sizeof text);
    enum error e = read_path(sip_server_request(op->up), &path);
    for (size_t i = 0; e == OK && i < outcome->n_steps; i++) {
        const struct registration_step *step = &outcome->steps[i];
        if (step->kind != REGISTRATION_REMOVE) {
            const struct registration_request *r = &op->reading.request;
            e = scscf_bind(
                standing->set,
                &(struct binding_news){op->impi, buf_span(&path), r->call_id, r->cseq,
                                       &r->contacts[step->contact], step->expires_s, op->impu,
                                       step->kind == REGISTRATION_ADD ? REGINFO_REGISTERED
                                                                      : REGINFO_REFRESHED});
        }
        if (e == OK && step->kind == REGISTRATION_REFRESH) {
            scscf_unbind(standing->bindings[step->binding]);
        } else if (e == OK && step->kind == REGISTRATION_REMOVE) {
            scscf_end_binding(standing->bindings[step->binding], REGINFO_UNREGISTERED);
        }
    }
    return e;
}

static void count(struct operation *op, size_t before, const struct registration_outcome *outcome) {
    struct scscf *s = op->s;
    if (outcome->verdict == REGISTRATION_FETCH) {
        return;
    }
    if (outcome->n_left == 0) {
        s->counters.deregistered += before > 0;
    } else if (before == 0) {
        s->counters.registered++;
    } else {
        s->counters.reregistered++;
    }
    scscf_note(op,
               outcome->n_left == 0 ? STEP_DEREGISTERED
               : before == 0        ? STEP_REGISTERED
                                    : STEP_REREGISTERED,
               200, REASON_NONE, SPAN_NONE);
    LOG(&s->env->log, LOG_INFO,
        outcome->n_left == 0 ? "deregistered"
        : before == 0        ? "registered"
                             : "re-registered",
        LOG_SPAN("impi", op->impi), LOG_SPAN("impu", op->impu),
        LOG_U64("contacts", outcome->n_left));
}

/* The HSS agrees: the bindings change, and the terminal hears of it. */
static void change_bindings(struct operation *op) {
    struct standing standing;
    struct registration_outcome outcome;
    op->state = OPERATION_ASSIGNING; /* for a refusal below */
    if (!take_profile(op)) {
        return;
    }
    leave_set(op);
    look_up(op, &standing);
    decide(op, &standing, &outcome);
    bool gone = !standing.set && outcome.n_left > 0;
    if (gone && op->saa) { /* RTR and SAR have crossed: the HSS believes what we do not have */
        scscf_notify_hss(op->s, op->hss, op->impi, op->impu,
                         CX_SERVER_ASSIGNMENT_TYPE_ADMINISTRATIVE_DEREGISTRATION);
    }
    enum error e = gone ? ERR_NOT_FOUND : OK;
    if (e == OK && outcome.verdict == REGISTRATION_UPDATE) {
        e = apply(op, &standing, &outcome);
    }
    bool stands = standing.set && !list_is_empty(&standing.set->bindings);
    if (e != OK) {
        scscf_operation_refuse(op, 500,
                               gone ? REASON_DEREGISTERED_MEANWHILE : REASON_CANNOT_BE_STORED);
    } else if (verdict_allows(op, &outcome)) {
        op->state = OPERATION_DONE;
        count(op, standing.n, &outcome);
        if (outcome.verdict == REGISTRATION_UPDATE && outcome.n_left < standing.n) {
            departures_note(&op->s->departures, departure_name(op), op->reading.request.cseq,
                            env_now_us(op->s->env));
        }
        if (outcome.verdict == REGISTRATION_UPDATE && outcome.n_left == 0) {
            scscf_forget_nonces(op->s, op->impi);
            op->has_nextnonce = false;
        }
        /* Others' contacts are shown to who shares the identity with them: who has, or had, one of
         * his own in the set, and so is known to the HSS as one of its users. */
        bool shares = standing.n > 0 || outcome.n_left > 0;
        scscf_answer_ok(op, stands && shares ? standing.set : NULL);
    }
}

static void complete(struct operation *op) {
    struct scscf *s = op->s;
    change_bindings(op);
    scscf_settle(s); /* behind the answer to the terminal */
}

/* Is every contact of the request bound already (5.4.1.2.2)? */
static bool is_registered(const struct operation *op) {
    struct standing standing;
    struct registration_outcome outcome;
    look_up(op, &standing);
    decide(op, &standing, &outcome);
    if (standing.n == 0 || scscf_must_prove(standing.set, op->impi)) {
        return false;
    }
    for (size_t i = 0; i < outcome.n_steps; i++) {
        if (outcome.steps[i].kind == REGISTRATION_ADD) {
            return false;
        }
    }
    return true;
}

static void act(struct operation *op, struct challenge_outcome decision) {
    struct scscf *s = op->s;
    const struct authentication *a = scscf_authentication(s, op->impi);
    enum operation_event challenge = a && a->asking ? EVENT_QUEUE : EVENT_CHALLENGE;
    LOG(&s->env->log, LOG_DEBUG, "authentication", LOG_SPAN("impi", op->impi),
        LOG_CSTR("action", challenge_action_name(decision.action)),
        LOG_CSTR("why", reason_text(decision.reason)), LOG_CSTR("clause", decision.clause));
    scscf_note(op, STEP_AUTHENTICATED, 0, decision.reason,
               span_from_cstr(challenge_action_name(decision.action)));
    switch (decision.action) {
    case CHALLENGE_ACCEPT:
        scscf_operation_event(op, EVENT_ACCEPT);
        break;
    case CHALLENGE_SEND:
        op->failures = op->resyncs = 0;
        scscf_operation_event(op, challenge);
        break;
    case CHALLENGE_STALE:
        op->failures = op->resyncs = 0;
        op->stale = true;
        scscf_operation_event(op, challenge);
        break;
    case CHALLENGE_AGAIN:
        op->failures++;
        scscf_operation_event(op, challenge);
        break;
    case CHALLENGE_RESYNC:
        op->resyncs++;
        op->resync = true;
        s->counters.resyncs++;
        scscf_operation_event(op, challenge);
        break;
    case CHALLENGE_IGNORE:
        scscf_operation_refuse(op, 403, decision.reason);
        break;
    default:
        op->status = 403;
        op->why = decision.reason;
        scscf_operation_event(op, EVENT_UNTRUE);
    }
}

static void authenticate(struct operation *op) {
    struct scscf *s = op->s;
    struct challenge_state state = {.credentials = scscf_credentials(op),
                                    .protection = op->protection};
    state.failures = op->failures;
    state.resyncs = op->resyncs;
    state.method = op->method;
    state.stale_told =
        (state.credentials == CREDENTIALS_AGED || state.credentials == CREDENTIALS_REPLAYED) &&
        scscf_stale_told(op);
    state.registered = op->protection == PROTECTION_YES && is_registered(op);
    s->counters.wrong_responses += state.credentials == CREDENTIALS_WRONG;
    s->counters.stale_nonces +=
        state.credentials == CREDENTIALS_STALE || state.credentials == CREDENTIALS_AGED;
    act(op, challenge_decide(&s->challenge_policy, &state));
}

static struct span kept_text(struct operation *op, const struct buf *b, bool *failed) {
    *failed |= b->overflow;
    return arena_copy(sip_server_arena(op->up), buf_span(b), failed);
}

/* 5.4.1.1: the identities; or what is wrong with the request. */
static enum reason read_request(struct operation *op, const struct sip_msg *req) {
    char text[SCSCF_IDENTITY_MAX];
    bool failed = false;
    struct sip_address to;
    struct buf b = buf_init(text, sizeof text);
    if (sip_address_of(req, SIP_H_TO, &to) != OK || registration_put_impu(&b, &to.uri) != OK) {
        return REASON_MALFORMED_TO;
    }
    op->impu = kept_text(op, &b, &failed);
    enum error e = sip_digest_of(req, SIP_H_AUTHORIZATION, &op->auth);
    if (e != OK && e != ERR_NOT_FOUND) {
        return REASON_MALFORMED_AUTHORIZATION;
    }
    b = buf_init(text, sizeof text);
    if (op->auth.username.n) {
        sip_unquote(&b, op->auth.username);
    } else {
        registration_put_derived_impi(&b, &to.uri);
    }
    op->impi = kept_text(op, &b, &failed);
    op->protection = challenge_protection_of(op->auth.integrity_protected);
    op->scheme = challenge_scheme(e == OK, op->auth.algorithm, op->protection);
    if (failed || !op->impi.n) {
        return REASON_IDENTITY_TOO_LONG;
    }
    return registration_request_read(req, &op->reading) == OK ? REASON_NONE
                                                              : REASON_MALFORMED_CONTACT;
}

/* What is wrong with a REGISTER whoever sends it; saves the HSS the question. */
static bool is_acceptable(struct operation *op) {
    struct registration_outcome outcome;
    registration_decide(&op->s->bindings_policy, &op->reading.request, NULL, 0, &outcome);
    return verdict_allows(op, &outcome);
}

void scscf_register(struct scscf *s, struct sip_server *up, const struct sip_msg *req) {
    s->counters.registers++;
    if (s->n_operations >= s->config.pending_max) {
        scscf_refuse(s, up, (struct sip_refusal){.status = 503, .why = REASON_OVERLOAD});
        return;
    }
    struct operation *op = ARENA_NEW(sip_server_arena(up), struct operation);
    if (!op) {
        scscf_refuse(s, up, (struct sip_refusal){.status = 500, .why = REASON_OUT_OF_MEMORY});
        return;
    }
    op->s = s;
    op->up = up;
    list_init(&op->waiting);
    list_init(&op->behind);
    list_insert(&s->operations, &op->under_way);
    s->n_operations++;
    enum reason why = read_request(op, req);
    if (why) {
        scscf_operation_refuse(op, 400, why);
    } else if (is_acceptable(op)) {
        authenticate(op);
    }
}
