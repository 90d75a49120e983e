/* REGISTER at the P-CSCF: TS 24.229 5.2.2.1, 5.2.2.2, 5.2.5.1; without security associations.
 *
 *     terminal -> checks -> resolve the home network -> forward -> answers back, stored on the way
 *
 * Open choices: the home network is found by the domain of the Request-URI alone: port, maddr and
 * transport are the terminal's wish to reach a node of its choice, past the I-CSCF and what it
 * checks, and are not followed; a domain that leads to a node of our own network that is no I-CSCF
 * is no home network (403). One that does not resolve or answer gives 504; its next address (RFC
 * 3263 4.3) is tried when one cannot be reached, is silent for 16 s (an I-CSCF may need half of
 * that to find an S-CSCF that answers), or says that it is overloaded; a numeric Request-URI names
 * no home network and gives 403. */
#include "model/registration/request.h"
#include "node/pcscf/internal.h"
#include "stack/sip/unavailable.h"

/* The terminal's own patience, timer F, is 128 s. */
enum { HOP_PATIENCE_S = 16, HOPS_TOTAL_S = 90 };

/* A REGISTER under way; lives in the arena of its transaction. */
struct operation {
    struct pcscf *p;
    struct list under_way;
    struct sip_server *up;
    uint64_t began_us;
    struct resolver_query query;
    uint64_t token;
    struct span impu; /* canonical */
    struct span impi;
    struct span contact; /* the first one; empty: none */
    bool star;
    bool tries_password;
};

void pcscf_refuse(struct pcscf *p, struct sip_server *up, unsigned status, enum reason why) {
    p->counters.refused++;
    sip_refuse(up, &(struct sip_refusal){.status = status, .why = why});
}

static void note(const struct operation *op, enum journal_step step, unsigned status,
                 struct span detail) {
    journal_add(op->p->env, &(struct journal_note){.step = step,
                                                   .status = status,
                                                   .impi = op->impi,
                                                   .impu = op->impu,
                                                   .call_id = sip_server_request(op->up)->call_id,
                                                   .detail = detail});
}

static void note_arrival(const struct operation *op) {
    char text[80];
    struct buf b = buf_init(text, sizeof text);
    const struct sip_hop *from = sip_server_source(op->up);
    addr_put(&b, &from->addr);
    buf_char(&b, ' ');
    buf_put(&b, sip_transport_name(from->transport));
    note(op, STEP_REGISTER_RECEIVED, 0, buf_span(&b));
}

void pcscf_look_stopped(struct pcscf *p) {
    if (p->stopping && list_is_empty(&p->registering)) {
        timer_start(p->env, &p->stop_timer, 0);
    }
}

/* Before the answer, which frees the transaction's memory. */
static void end_operation(struct operation *op) {
    latency_add(&op->p->counters.latency, env_now_us(op->p->env) - op->began_us);
    resolver_cancel(&op->query);
    list_remove(&op->under_way);
    pcscf_look_stopped(op->p);
}

static void refuse(struct operation *op, unsigned status, enum reason why) {
    end_operation(op);
    op->p->counters.refused++;
    sip_refuse(op->up, &(struct sip_refusal){
                           .status = status, .why = why, .impi = op->impi, .impu = op->impu});
}

/* Too many wrong passwords came from there: later. */
static void refuse_guess(struct operation *op, uint32_t wait_s) {
    struct pcscf *p = op->p;
    struct sip_server *up = op->up;
    p->counters.refused++;
    end_operation(op);
    sip_refuse(up, &(struct sip_refusal){.status = 480,
                                         .why = REASON_GUESSING,
                                         .retry_after_s = wait_s,
                                         .impi = op->impi,
                                         .impu = op->impu});
}

/* What is wrong with the request itself; 0: nothing. */
static unsigned check(const struct sip_msg *req, enum reason *why) {
    if (req->uri.scheme != SIP_URI_SIP) {
        *why = REASON_UNSUPPORTED_URI_SCHEME;
        return 416;
    }
    if (req->uri.user.p || req->uri.host.n == 0) {
        *why = REASON_NO_DOMAIN; /* RFC 3261 10.2 */
        return 400;
    }
    struct addr numeric;
    if (addr_parse_host(req->uri.host, 0, &numeric)) {
        *why = REASON_NO_HOME_NETWORK;
        return 403;
    }
    return 0;
}

static bool read_contact(struct operation *op, const struct sip_msg *req) {
    struct sip_list list = sip_list_of(req, SIP_H_CONTACT);
    struct sip_contact c;
    while (sip_contact_next(&list, &c)) {
        if (c.address.star) {
            op->star = true;
        } else if (!op->contact.p) {
            op->contact = c.address.uri_text;
        }
    }
    return !list.malformed;
}

/* Identities and contact; what they point to lives as long as the transaction. */
static enum reason read_identities(struct operation *op, const struct sip_msg *req) {
    struct sip_address to, from;
    char text[PCSCF_IDENTITY_MAX];
    struct buf b = buf_init(text, sizeof text);
    if (sip_address_of(req, SIP_H_TO, &to) != OK || registration_put_impu(&b, &to.uri) != OK) {
        return REASON_MALFORMED_TO;
    }
    if (sip_address_of(req, SIP_H_FROM, &from) != OK) {
        return REASON_MALFORMED_FROM;
    }
    bool failed = b.overflow;
    op->impu = arena_copy(sip_server_arena(op->up), buf_span(&b), &failed);
    if (failed) {
        return REASON_IDENTITY_TOO_LONG;
    }
    struct sip_auth auth;
    if (sip_digest_of(req, SIP_H_AUTHORIZATION, &auth) == OK) {
        /* As the home network reads it: one identity, however it is written. */
        b = buf_init(text, sizeof text);
        if (auth.username.n) {
            sip_unquote(&b, auth.username);
        } else {
            registration_put_derived_impi(&b, &to.uri);
        }
        failed = b.overflow;
        op->impi = arena_copy(sip_server_arena(op->up), buf_span(&b), &failed);
        op->tries_password = pcscf_is_guess(&auth);
    }
    if (failed) {
        return REASON_IDENTITY_TOO_LONG;
    }
    return read_contact(op, req) ? REASON_NONE : REASON_MALFORMED_CONTACT;
}

static struct binding_key key_of(const struct operation *op) {
    return pcscf_key(op->impu, op->contact);
}

/* Seconds that the answer grants to our terminal's contact; 0: it is not bound (any more). */
static uint32_t granted(const struct operation *op, const struct sip_msg *answer) {
    struct sip_uri ours, theirs;
    if (!op->contact.p || sip_uri_parse(op->contact, &ours) != OK) {
        return 0;
    }
    uint32_t header_s = 0;
    bool has_header = sip_number_of(answer, SIP_H_EXPIRES, &header_s) == OK;
    struct sip_list list = sip_list_of(answer, SIP_H_CONTACT);
    for (struct sip_contact c; sip_contact_next(&list, &c);) {
        theirs = c.address.uri;
        if (span_eq(c.address.uri_text, op->contact) ||
            (!c.address.star && sip_uri_equal(&ours, &theirs))) {
            return c.has_expires ? c.expires_s : has_header ? header_s : 3600;
        }
    }
    return 0;
}

/* A later REGISTER's answer was here before this one, and says what stands, or that it has ended.
 */
static bool is_overtaken(const struct operation *op, const struct sip_msg *answer) {
    struct binding_key key = key_of(op);
    const struct registration *r = pcscf_find(op->p, &key);
    return (r && pcscf_is_later(r, answer->call_id, answer->cseq)) ||
           departures_overtook(&op->p->departures, departures_name(key.hash, answer->call_id),
                               answer->cseq, env_now_us(op->p->env));
}

/* OK, or why the registration could not be kept. */
static enum error registered(struct operation *op, const struct sip_msg *answer) {
    struct pcscf *p = op->p;
    struct binding_key key = key_of(op);
    pcscf_forget_keys(p, key.hash);
    uint32_t expires_s = granted(op, answer);
    if (is_overtaken(op, answer)) {
        return OK;
    }
    if (expires_s == 0) {
        struct registration *r = pcscf_find(p, &key);
        departures_note(&p->departures, departures_name(key.hash, answer->call_id), answer->cseq,
                        env_now_us(p->env));
        if (op->star) {
            p->counters.deregistered +=
                pcscf_drop_all_of(p, op->impu, &sip_server_source(op->up)->addr);
        } else if (r) {
            p->counters.deregistered++;
            pcscf_drop(p, r);
        }
        p->counters.replaced += pcscf_drop_replaced(p, op->impu, op->impi, answer);
        return OK;
    }
    const struct registration_news news = {
        &key, op->impi, op->token, sip_server_source(op->up)->addr, expires_s, answer};
    enum error e = pcscf_store(p, &news);
    if (e != OK) {
        LOG(&p->env->log, LOG_ERROR, "registration not kept", LOG_SPAN("impu", op->impu),
            LOG_CSTR("error", error_text(e)));
        return e;
    }
    p->counters.registered++;
    sip_stack_heard_by(p->stack, &news.terminal);
    pcscf_subscribe(p, pcscf_find(p, &key));
    p->counters.replaced += pcscf_drop_replaced(p, op->impu, op->impi, answer);
    return OK;
}

static enum sip_proxy_verdict on_response(void *ctx, struct sip_proxy *proxy, struct sip_server *up,
                                          const struct sip_msg *response, struct sip_edits *edits) {
    struct operation *op = (struct operation *)ctx;
    struct pcscf *p = op->p;
    struct challenge_keys keys = {0};
    switch (sip_unavailable_action(sip_voice_of(response), sip_proxy_has_next(proxy))) {
    case SIP_UNAVAILABLE_NEXT:
        return SIP_PROXY_NEXT;
    case SIP_UNAVAILABLE_AS_500:
        refuse(op, 500, REASON_HOME_NETWORK_OUT_OF_ORDER);
        return SIP_PROXY_TAKEN;
    case SIP_UNAVAILABLE_RELAY:
        break;
    }
    struct register_values *values = ARENA_NEW(sip_server_arena(up), struct register_values);
    enum error e = values ? pcscf_edit_answer(response, values, edits, &keys) : ERR_NO_MEMORY;
    if (e != OK) { /* rather no answer than one that gives keys away */
        if (response->status < 200) {
            return SIP_PROXY_TAKEN;
        }
        refuse(op, e == ERR_MALFORMED ? 502 : 500, REASON_HOME_NETWORK_UNREADABLE);
        return SIP_PROXY_TAKEN;
    }
    if (response->status >= 200) {
        note(op, STEP_ANSWERED, response->status, response->reason);
    }
    if (response->status == 401) {
        p->counters.challenged++;
        if (keys.found) {
            pcscf_keep_keys(p, key_of(op).hash, &keys);
        }
    } else if (response->status >= 200 && response->status < 300) {
        if (registered(op, response) != OK) { /* the terminal comes again, and must */
            refuse(op, 500, REASON_OUT_OF_MEMORY);
            return SIP_PROXY_TAKEN;
        }
    } else if (response->status >= 300) {
        p->counters.relayed_errors++;
        pcscf_forget_keys(p, key_of(op).hash);
    }
    if (response->status >= 200) {
        if (op->tries_password) {
            pcscf_guess_answered(p, &sip_server_source(up)->addr, op->impi, response);
        }
        end_operation(op);
    }
    return SIP_PROXY_RELAY;
}

static enum sip_proxy_verdict on_failed(void *ctx, struct sip_proxy *proxy, struct sip_server *up,
                                        enum error why) {
    struct operation *op = (struct operation *)ctx;
    (void)proxy;
    LOG(&op->p->env->log, LOG_WARNING, "home network does not answer",
        LOG_SPAN("domain", sip_server_request(up)->uri.host), LOG_CSTR("error", error_text(why)));
    op->p->counters.unreachable++;
    refuse(op, 504, REASON_HOME_NETWORK_SILENT);
    return SIP_PROXY_TAKEN;
}

/* RFC 3263 4.3: the proxy goes on to the next hop, and the resolver knows for a while. */
static void on_hop(void *ctx, const struct sip_hop *hop, enum error result) {
    struct operation *op = (struct operation *)ctx;
    struct pcscf *p = op->p;
    if (result == OK) {
        resolver_worked(p->resolver, hop);
        return;
    }
    char text[80];
    struct buf b = buf_init(text, sizeof text);
    addr_put(&b, &hop->addr);
    p->counters.hops_failed++;
    resolver_failed(p->resolver, hop);
    LOG(&p->env->log, LOG_WARNING, "an address of the home network fails",
        LOG_SPAN("domain", sip_server_request(op->up)->uri.host), LOG_SPAN("at", buf_span(&b)),
        LOG_CSTR("error", error_text(result)));
}

static const struct sip_proxy_handler handler = {
    .response = on_response, .hop = on_hop, .failed = on_failed};

static void forward(struct operation *op, const struct resolver_answer *targets) {
    struct pcscf *p = op->p;
    const struct sip_msg *req = sip_server_request(op->up);
    struct register_values *values = ARENA_NEW(sip_server_arena(op->up), struct register_values);
    struct sip_forward f = {.to = targets->targets[0],
                            .others = targets->targets + 1,
                            .n_others = targets->n - 1,
                            .patience_us = HOP_PATIENCE_S * SEC_IN_US,
                            .total_us = HOPS_TOTAL_S * SEC_IN_US,
                            .host = sip_server_request(op->up)->uri.host};
    unsigned stripped = 0;
    enum reason why = REASON_OUT_OF_MEMORY;
    enum error e = values ? pcscf_edit_register(p, req, sip_server_source(op->up), op->token,
                                                values, &f.edits, &stripped, &why)
                          : ERR_NO_MEMORY;
    p->counters.stripped += stripped;
    if (e == OK) {
        why = REASON_CANNOT_BE_FORWARDED;
        e = sip_proxy_forward(op->up, &f, &handler, op, NULL);
    }
    if (e == OK) {
        return;
    }
    if (e == ERR_REFUSED) { /* answered by the proxy's own checks */
        end_operation(op);
        return;
    }
    refuse(op, e == ERR_MALFORMED ? 400 : e == ERR_TOO_BIG ? 513 : e == ERR_BUSY ? 503 : 500, why);
}

/* An inner node that listens on all addresses of its machine is known by its port alone. */
static bool is_inner(const struct pcscf *p, const struct addr *target) {
    for (size_t i = 0; i < p->config.n_inner; i++) {
        const struct addr *inner = &p->config.inner[i];
        if (addr_is_wildcard(inner) ? inner->port == target->port : addr_eq(inner, target)) {
            return true;
        }
    }
    return addr_eq(target, sip_stack_local(p->stack, 0));
}

/* A home network's door is neither ourselves nor a node behind our own I-CSCF. */
bool pcscf_is_home_network(const struct pcscf *p, const struct resolver_answer *answer) {
    for (size_t i = 0; i < answer->n; i++) {
        if (is_inner(p, &answer->targets[i].addr)) {
            return false;
        }
    }
    return true;
}

static void resolved(struct operation *op, enum error e, const struct resolver_answer *answer) {
    struct pcscf *p = op->p;
    if (e != OK) {
        p->counters.unreachable++;
        refuse(op, 504, REASON_HOME_NETWORK_NOT_FOUND);
        return;
    }
    if (!pcscf_is_home_network(p, answer)) {
        refuse(op, 403, REASON_NO_HOME_NETWORK);
        return;
    }
    forward(op, answer);
}

static void on_resolved(struct resolver_query *query, enum error e,
                        const struct resolver_answer *answer) {
    resolved(CONTAINER_OF(query, struct operation, query), e, answer);
}

static void resolve(struct operation *op, const struct sip_msg *req) {
    const struct resolver_name name = {.host = req->uri.host};
    struct resolver_answer answer;
    enum error e = resolver_cached(op->p->resolver, &name, &answer);
    if (e == ERR_INCOMPLETE) {
        e = resolver_find(op->p->resolver, &name, &op->query, on_resolved);
        if (e != OK) {
            resolved(op, e, NULL);
        }
        return;
    }
    resolved(op, e, &answer);
}

void pcscf_register(struct pcscf *p, struct sip_server *up, const struct sip_msg *req) {
    enum reason why = REASON_NONE;
    p->counters.registers++;
    unsigned status = check(req, &why);
    if (!status && !sip_proxy_may_forward(up)) {
        p->counters.refused++;
        return;
    }
    struct operation *op = status ? NULL : ARENA_NEW(sip_server_arena(up), struct operation);
    if (!op) {
        pcscf_refuse(p, up, status ? status : 500, status ? why : REASON_OUT_OF_MEMORY);
        return;
    }
    op->p = p;
    op->up = up;
    op->began_us = env_now_us(p->env);
    list_insert(&p->registering, &op->under_way);
    why = read_identities(op, req);
    if (why) {
        refuse(op, 400, why);
        return;
    }
    note_arrival(op);
    uint32_t wait_s;
    if (op->tries_password &&
        !pcscf_guess_allowed(p, &sip_server_source(up)->addr, op->impi, &wait_s)) {
        refuse_guess(op, wait_s);
        return;
    }
    struct binding_key key = key_of(op);
    struct registration *known = pcscf_find(p, &key);
    if (known) {
        op->token = known->token;
    } else if (p->by_binding.count >= p->config.registrations_max) {
        refuse(op, 503, REASON_TOO_MANY_REGISTRATIONS);
        return;
    } else {
        env_random(p->env, &op->token, sizeof op->token);
    }
    resolve(op, req);
}
