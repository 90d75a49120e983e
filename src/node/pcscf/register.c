/* REGISTER at the P-CSCF: TS 24.229 5.2.2.1, 5.2.2.2, 5.2.5.1; without security associations.
 *
 *     terminal -> checks -> resolve the home network -> forward -> answers back, stored on the way
 *
 * Open choices: a home network that does not resolve or answer gives 504; its next address (RFC
 * 3263 4.3) is tried when one fails; a numeric Request-URI names no home network and gives 403. */
#include "model/registration/request.h"
#include "node/pcscf/internal.h"

/* A REGISTER under way; lives in the arena of its transaction. */
struct operation {
    struct pcscf *p;
    struct list under_way;
    struct sip_server *up;
    struct resolver_query query;
    struct resolver_answer targets;
    size_t next; /* of targets */
    uint64_t token;
    struct span impu; /* canonical */
    struct span impi;
    struct span contact; /* the first one; empty: none */
    bool star;
    bool tries_password;
};

void pcscf_refuse(struct pcscf *p, struct sip_server *up, unsigned status, const char *why) {
    const struct sip_msg *req = sip_server_request(up);
    char from[80];
    struct buf source = buf_init(from, sizeof from);
    addr_put(&source, &sip_server_source(up)->addr);
    p->counters.refused++;
    LOG(&p->env->log, LOG_NOTICE, "request refused", LOG_SPAN("method", req->method_name),
        LOG_U64("status", status), LOG_CSTR("why", why), LOG_SPAN("to", sip_value(req, SIP_H_TO)),
        LOG_SPAN("from", buf_span(&source)));
    sip_reply(up, status, span_from_cstr(why));
}

void pcscf_look_stopped(struct pcscf *p) {
    if (p->stopping && list_is_empty(&p->registering)) {
        timer_start(p->env, &p->stop_timer, 0);
    }
}

/* Before the answer, which frees the transaction's memory. */
static void end_operation(struct operation *op) {
    resolver_cancel(&op->query);
    list_remove(&op->under_way);
    pcscf_look_stopped(op->p);
}

static void refuse(struct operation *op, unsigned status, const char *why) {
    end_operation(op);
    pcscf_refuse(op->p, op->up, status, why);
}

/* Too many wrong passwords came from there: later. */
static void refuse_guess(struct operation *op, uint32_t wait_s) {
    struct pcscf *p = op->p;
    struct sip_server *up = op->up;
    p->counters.refused++;
    LOG(&p->env->log, LOG_INFO, "password not tried", LOG_SPAN("impi", op->impi),
        LOG_U64("wait_s", wait_s));
    end_operation(op);
    struct buf *b = sip_reply_begin(up, 480, SPAN_NONE);
    sip_put_number(b, SIP_H_RETRY_AFTER, wait_s);
    sip_reply_send(up, SPAN_NONE);
}

/* What is wrong with the request itself; 0: nothing. */
static unsigned check(const struct sip_msg *req, const char **why) {
    if (req->uri.scheme != SIP_URI_SIP) {
        *why = "Unsupported URI Scheme";
        return 416;
    }
    if (req->uri.user.p || req->uri.host.n == 0) {
        *why = "Request-URI names no domain"; /* RFC 3261 10.2 */
        return 400;
    }
    struct addr numeric;
    if (addr_parse_host(req->uri.host, 0, &numeric)) {
        *why = "Request-URI names no home network";
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
static const char *read_identities(struct operation *op, const struct sip_msg *req) {
    struct sip_address to, from;
    char text[PCSCF_IDENTITY_MAX];
    struct buf b = buf_init(text, sizeof text);
    if (sip_address_of(req, SIP_H_TO, &to) != OK || registration_put_impu(&b, &to.uri) != OK) {
        return "Malformed To";
    }
    if (sip_address_of(req, SIP_H_FROM, &from) != OK) {
        return "Malformed From";
    }
    bool failed = b.overflow;
    op->impu = arena_copy(sip_server_arena(op->up), buf_span(&b), &failed);
    if (failed) {
        return "To too long";
    }
    struct sip_auth auth;
    const struct sip_header *h = sip_header(req, SIP_H_AUTHORIZATION);
    if (h && sip_auth_parse(h->value, &auth) == OK) {
        op->impi = auth.username;
        op->tries_password = pcscf_is_guess(&auth);
    }
    return read_contact(op, req) ? NULL : "Malformed Contact";
}

static struct binding_key key_of(const struct operation *op) {
    return pcscf_key(op->impu, op->contact);
}

static void forward(struct operation *op);

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

static void registered(struct operation *op, const struct sip_msg *answer) {
    struct pcscf *p = op->p;
    struct binding_key key = key_of(op);
    pcscf_forget_keys(p, key.hash);
    uint32_t expires_s = granted(op, answer);
    if (expires_s == 0) {
        struct registration *r = pcscf_find(p, &key);
        if (op->star) {
            p->counters.deregistered +=
                pcscf_drop_all_of(p, op->impu, &sip_server_source(op->up)->addr);
        } else if (r) {
            p->counters.deregistered++;
            pcscf_drop(p, r);
        }
        return;
    }
    p->counters.registered++;
    enum error e = pcscf_store(p, &(struct registration_news){&key, op->impi, op->token,
                                                              sip_server_source(op->up)->addr,
                                                              expires_s, answer});
    if (e != OK) {
        LOG(&p->env->log, LOG_ERROR, "registration not kept", LOG_SPAN("impu", op->impu),
            LOG_CSTR("error", error_text(e)));
    }
}

static enum sip_proxy_verdict on_response(void *ctx, struct sip_proxy *proxy, struct sip_server *up,
                                          const struct sip_msg *response, struct sip_edits *edits) {
    struct operation *op = (struct operation *)ctx;
    struct pcscf *p = op->p;
    struct challenge_keys keys = {0};
    (void)proxy;
    struct register_values *values = ARENA_NEW(sip_server_arena(up), struct register_values);
    enum error e = values ? pcscf_edit_answer(response, values, edits, &keys) : ERR_NO_MEMORY;
    if (e != OK) { /* rather no answer than one that gives keys away */
        if (response->status < 200) {
            return SIP_PROXY_TAKEN;
        }
        refuse(op, e == ERR_MALFORMED ? 502 : 500, "Unreadable answer of the home network");
        return SIP_PROXY_TAKEN;
    }
    if (response->status == 401) {
        p->counters.challenged++;
        if (keys.found) {
            pcscf_keep_keys(p, key_of(op).hash, &keys);
        }
    } else if (response->status >= 200 && response->status < 300) {
        registered(op, response);
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
    if (op->next < op->targets.n) {
        forward(op);
    } else {
        refuse(op, 504, "Home network does not answer");
    }
    return SIP_PROXY_TAKEN;
}

static const struct sip_proxy_handler handler = {on_response, on_failed, NULL};

static void forward(struct operation *op) {
    struct pcscf *p = op->p;
    const struct sip_msg *req = sip_server_request(op->up);
    struct register_values *values = ARENA_NEW(sip_server_arena(op->up), struct register_values);
    struct sip_forward f = {.to = op->targets.targets[op->next++],
                            .host = sip_server_request(op->up)->uri.host};
    unsigned stripped = 0;
    const char *why = "Out of memory";
    enum error e = values ? pcscf_edit_register(p, req, sip_server_source(op->up), op->token,
                                                values, &f.edits, &stripped, &why)
                          : ERR_NO_MEMORY;
    p->counters.stripped += stripped;
    if (e == OK) {
        why = "Cannot be forwarded";
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

/* The home network's door must not be our own. */
static void resolved(struct operation *op, enum error e, const struct resolver_answer *answer) {
    struct pcscf *p = op->p;
    if (e != OK) {
        p->counters.unreachable++;
        refuse(op, 504, "Home network not found");
        return;
    }
    op->targets = *answer;
    if (addr_eq(&answer->targets[0].addr, sip_stack_local(p->stack, 0))) {
        refuse(op, 403, "Request-URI names no home network");
        return;
    }
    forward(op);
}

static void on_resolved(struct resolver_query *query, enum error e,
                        const struct resolver_answer *answer) {
    resolved(CONTAINER_OF(query, struct operation, query), e, answer);
}

static void resolve(struct operation *op, const struct sip_msg *req) {
    struct resolver_name name = resolver_name_of(&req->uri);
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
    const char *why = NULL;
    p->counters.registers++;
    if (!sip_proxy_may_forward(up)) {
        p->counters.refused++;
        return;
    }
    unsigned status = check(req, &why);
    struct operation *op = status ? NULL : ARENA_NEW(sip_server_arena(up), struct operation);
    if (!op) {
        pcscf_refuse(p, up, status ? status : 500, status ? why : "Out of memory");
        return;
    }
    op->p = p;
    op->up = up;
    list_insert(&p->registering, &op->under_way);
    why = read_identities(op, req);
    if (why) {
        refuse(op, 400, why);
        return;
    }
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
        refuse(op, 503, "Too many registrations");
        return;
    } else {
        env_random(p->env, &op->token, sizeof op->token);
    }
    resolve(op, req);
}
