/* Subscriptions of terminals to their registration state, on their way through the P-CSCF: TS
 * 24.229 5.2.6.3.3 and 5.2.6.3.5 (from the terminal), 5.2.6.4 (to it).
 *
 *     SUBSCRIBE -> whose? -> P-Asserted-Identity, Service-Route as Route, Record-Route -> S-CSCF
 *     NOTIFY with our Record-Route -> the terminal, as it sent its SUBSCRIBE
 *
 * Choices: a Route that the terminal wrote is replaced by what the home network gave it, and within
 * the dialog by the dialog's, so that nobody reaches nodes of his choice through us. The dialog is
 * known before its 200, since a NOTIFY may overtake that, and for a while after the registration
 * has ended, since the NOTIFY that says so may come behind ours. A registration has four such
 * subscriptions at most; a further one takes the place of the oldest. A terminal that does not
 * answer a NOTIFY counts as gone: 480. */
#include "codec/sip/headers.h"
#include "model/registration/request.h"
#include "node/pcscf/internal.h"
#include "stack/sip/unavailable.h"

#include <stdlib.h>

enum {
    OF_REGISTRATION_MAX = 4,
    PENDING_S = 64,   /* until the answer to its SUBSCRIBE */
    LINGERING_S = 64, /* a last NOTIFY's longest life, and its repetition's */
    EXPIRES_S = 3761, /* of an answer that does not say (RFC 3680 4.4) */
    ROUTE_MAX = 4096
};

static uint64_t token_hash(uint64_t token) {
    return hash_mix(1, token);
}

static struct relayed *find(const struct pcscf *p, uint64_t token) {
    for (struct htab_node *n = htab_first(&p->relayed, token_hash(token)); n; n = htab_next(n)) {
        struct relayed *w = CONTAINER_OF(n, struct relayed, node);
        if (w->token == token) {
            return w;
        }
    }
    return NULL;
}

static struct relayed *find_user(const struct pcscf *p, struct span user) {
    uint64_t token;
    return pcscf_read_token(user, &token) ? find(p, token) : NULL;
}

static void drop(struct relayed *w) {
    timer_stop(&w->end);
    list_remove(&w->of_registration);
    htab_remove(&w->pcscf->relayed, &w->node);
    sip_dialog_forget(&w->dialog);
    free(w);
}

static void on_end(struct timer *t) {
    drop(CONTAINER_OF(t, struct relayed, end));
}

static void end_in(struct relayed *w, uint64_t seconds) {
    timer_start(w->pcscf->env, &w->end, seconds * SEC_IN_US);
}

void pcscf_inherit_relayed(struct registration *r, struct registration *from) {
    LIST_EACH(&from->relayed, w, struct relayed, of_registration) {
        w->terminal.addr = r->terminal->addr;
    }
    list_move_all(&from->relayed, &r->relayed);
}

void pcscf_leave_relayed(struct registration *r) {
    LIST_EACH(&r->relayed, w, struct relayed, of_registration) {
        list_remove(&w->of_registration);
        end_in(w, LINGERING_S);
    }
}

static void forget(struct htab_node *node, void *ctx) {
    (void)ctx;
    drop(CONTAINER_OF(node, struct relayed, node));
}

void pcscf_forget_relayed(struct pcscf *p) {
    htab_each(&p->relayed, forget, NULL);
    htab_free(&p->relayed);
}

/* NULL: memory is out. */
static struct relayed *make(struct pcscf *p, struct registration *r, const struct sip_hop *terminal,
                            struct span asserted) {
    struct relayed *w = (struct relayed *)calloc(1, sizeof *w + asserted.n);
    if (!w) {
        return NULL;
    }
    env_random(p->env, &w->token, sizeof w->token);
    if (htab_insert(&p->relayed, &w->node, token_hash(w->token)) != OK) {
        free(w);
        return NULL;
    }
    w->pcscf = p;
    w->terminal = *terminal;
    timer_init(&w->end, on_end);
    end_in(w, PENDING_S);
    struct buf b = buf_init(w->asserted_text, asserted.n);
    buf_put(&b, asserted);
    w->asserted = buf_span(&b);
    size_t n = 0;
    LIST_EACH(&r->relayed, other, struct relayed, of_registration) {
        n++;
    }
    if (n >= OF_REGISTRATION_MAX) {
        drop(CONTAINER_OF(r->relayed.next, struct relayed, of_registration));
    }
    list_insert(&r->relayed, &w->of_registration);
    return w;
}

/* SUBSCRIBE */

/* One on its way to be sent; lives in the arena of its transaction. */
struct relay {
    struct list under_way;
    struct pcscf *p;
    struct sip_server *up;
    struct resolver_query query;
    struct sip_forward forward;
    uint64_t token;
    struct sip_uri next;
    struct span host; /* to look up */
    bool initial;
};

static void end_relay(struct relay *op) {
    list_remove(&op->under_way);
    pcscf_look_stopped(op->p);
}

static void refuse(struct relay *op, unsigned status, enum reason why) {
    struct relayed *w = op->initial ? find(op->p, op->token) : NULL;
    if (w) {
        drop(w);
    }
    end_relay(op);
    pcscf_refuse(op->p, op->up, status, why);
}

static void subscribed(struct relayed *w, const struct sip_msg *answer) {
    uint32_t expires_s = EXPIRES_S;
    if (sip_number_of(answer, SIP_H_EXPIRES, &expires_s) != OK) {
        expires_s = EXPIRES_S;
    }
    end_in(w, (uint64_t)expires_s + LINGERING_S);
    if (!w->dialog.tag.n && sip_dialog_learn(&w->dialog, answer) != OK) {
        return; /* it cannot be refreshed by this way, and ends by its time */
    }
}

static enum sip_proxy_verdict on_answer(void *ctx, struct sip_proxy *proxy, struct sip_server *up,
                                        const struct sip_msg *answer, struct sip_edits *edits) {
    struct relay *op = (struct relay *)ctx;
    struct pcscf *p = op->p;
    (void)up;
    switch (sip_unavailable_action(sip_voice_of(answer), sip_proxy_has_next(proxy))) {
    case SIP_UNAVAILABLE_NEXT:
        return SIP_PROXY_NEXT;
    case SIP_UNAVAILABLE_AS_500:
        refuse(op, 500, REASON_HOME_NETWORK_OUT_OF_ORDER);
        return SIP_PROXY_TAKEN;
    case SIP_UNAVAILABLE_RELAY:
        break;
    }
    pcscf_edit_to_terminal(answer, edits);
    if (answer->status >= 200) {
        struct relayed *w = find(p, op->token);
        p->counters.relayed_errors += answer->status >= 300;
        if (w && answer->status < 300) {
            subscribed(w, answer);
        } else if (w && (op->initial || answer->status == 481)) {
            drop(w);
        }
        end_relay(op);
    }
    return SIP_PROXY_RELAY;
}

static enum sip_proxy_verdict on_failed(void *ctx, struct sip_proxy *proxy, struct sip_server *up,
                                        enum error why) {
    struct relay *op = (struct relay *)ctx;
    (void)proxy;
    (void)up;
    (void)why;
    op->p->counters.unreachable++;
    refuse(op, 504, REASON_HOME_NETWORK_SILENT);
    return SIP_PROXY_TAKEN;
}

static void note_hop(struct pcscf *p, const struct sip_hop *hop, enum error result) {
    if (result == OK) {
        resolver_worked(p->resolver, hop);
    } else {
        p->counters.hops_failed++;
        resolver_failed(p->resolver, hop);
    }
}

static void on_hop(void *ctx, const struct sip_hop *hop, enum error result) {
    note_hop(((struct relay *)ctx)->p, hop, result);
}

static const struct sip_proxy_handler subscribe_handler = {
    .response = on_answer, .hop = on_hop, .failed = on_failed};

static void resolved(struct relay *op, enum error e, const struct resolver_answer *answer) {
    if (e != OK) {
        op->p->counters.unreachable++;
        refuse(op, 504, REASON_HOME_NETWORK_NOT_FOUND);
        return;
    }
    op->forward.to = answer->targets[0];
    op->forward.others = answer->targets + 1;
    op->forward.n_others = answer->n - 1;
    e = sip_proxy_forward(op->up, &op->forward, &subscribe_handler, op, NULL);
    if (e == ERR_REFUSED) { /* answered by the proxy's own checks */
        end_relay(op);
    } else if (e != OK) {
        refuse(op, e == ERR_TOO_BIG ? 513 : 500, REASON_CANNOT_BE_FORWARDED);
    }
}

static void on_resolved(struct resolver_query *query, enum error e,
                        const struct resolver_answer *answer) {
    resolved(CONTAINER_OF(query, struct relay, query), e, answer);
}

static void resolve(struct relay *op) {
    struct resolver_name name = resolver_name_of(&op->next);
    struct resolver_answer answer;
    enum error e = resolver_cached(op->p->resolver, &name, &answer);
    if (e == ERR_INCOMPLETE) {
        e = resolver_find(op->p->resolver, &name, &op->query, on_resolved);
        if (e == OK) {
            return;
        }
    }
    resolved(op, e, &answer);
}

/* Canonical form of an address header's identity; empty: there is none. */
static struct span identity_of(const struct sip_msg *req, enum sip_header_id id, char *text,
                               size_t size) {
    struct sip_address a;
    struct buf b = buf_init(text, size);
    bool good = sip_address_of(req, id, &a) == OK && !a.star &&
                registration_put_impu(&b, &a.uri) == OK && !b.overflow;
    return good ? buf_span(&b) : SPAN_NONE;
}

/* The value of P-Asserted-Identity: the identity that the terminal prefers, if it is one of the
 * set's; else the default one (5.2.6.3.1). */
static struct span asserted_of(const struct registration *r, struct span preferred) {
    char text[PCSCF_IDENTITY_MAX];
    for (size_t i = 0; i < r->n_associated; i++) {
        struct sip_address a;
        struct buf b = buf_init(text, sizeof text);
        if (sip_address_parse(r->associated[i], &a) == OK &&
            registration_put_impu(&b, &a.uri) == OK && span_eq(buf_span(&b), preferred)) {
            return r->associated[i];
        }
    }
    return r->n_associated ? r->associated[0] : SPAN_NONE;
}

/* The registration that a request out of the blue belongs to; NULL: none. */
static struct registration *whose(struct pcscf *p, struct sip_server *up, const struct sip_msg *req,
                                  struct span *asserted) {
    char preferred_text[PCSCF_IDENTITY_MAX], from_text[PCSCF_IDENTITY_MAX];
    struct span preferred =
        identity_of(req, SIP_H_P_PREFERRED_IDENTITY, preferred_text, sizeof preferred_text);
    struct span from = identity_of(req, SIP_H_FROM, from_text, sizeof from_text);
    struct sip_list list = sip_list_of(req, SIP_H_CONTACT);
    struct sip_contact c;
    struct span contact =
        sip_contact_next(&list, &c) && !c.address.star ? c.address.uri_text : SPAN_NONE;
    struct registration *r = pcscf_registration_at(p, &sip_server_source(up)->addr, from, contact);
    if (r) {
        *asserted = asserted_of(r, preferred.n ? preferred : from);
    }
    return r;
}

static struct span service_route(struct sip_server *up, const struct registration *r,
                                 bool *failed) {
    char text[ROUTE_MAX];
    struct buf b = buf_init(text, sizeof text);
    for (size_t i = 0; i < r->n_service_route; i++) {
        if (i) {
            buf_cstr(&b, ", ");
        }
        buf_put(&b, r->service_route[i]);
    }
    *failed |= b.overflow;
    return arena_copy(sip_server_arena(up), buf_span(&b), failed);
}

/* The dialog's Route but the first value, which is ours. */
static struct span rest_of_route(const struct sip_dialog *d) {
    struct sip_list list = sip_list_of_text(d->route);
    struct span first;
    return sip_list_next(&list, &first) ? span_trim(list.rest) : SPAN_NONE;
}

/* A SUBSCRIBE that begins a subscription. NULL: refused. */
static struct relayed *begin(struct pcscf *p, struct sip_server *up, const struct sip_msg *req,
                             struct span *route) {
    struct span asserted = SPAN_NONE;
    bool failed = false;
    struct registration *r = whose(p, up, req, &asserted);
    if (!r) {
        pcscf_refuse(p, up, 403, REASON_TERMINAL_NOT_REGISTERED);
        return NULL;
    }
    *route = service_route(up, r, &failed);
    struct relayed *w = failed ? NULL : make(p, r, sip_server_source(up), asserted);
    if (!w) {
        pcscf_refuse(p, up, 500, REASON_OUT_OF_MEMORY);
    }
    return w;
}

/* One within a dialog that passes through here. NULL: refused. */
static struct relayed *go_on(struct pcscf *p, struct sip_server *up, const struct sip_msg *req,
                             struct span *route) {
    struct sip_address first;
    struct relayed *w = sip_route_is_own(req, p->config.host, p->port) &&
                                sip_address_of(req, SIP_H_ROUTE, &first) == OK
                            ? find_user(p, first.uri.user)
                            : NULL;
    bool known = w && addr_eq(&w->terminal.addr, &sip_server_source(up)->addr) && w->dialog.tag.n &&
                 span_eq(w->dialog.tag, req->to_tag);
    if (!known) {
        pcscf_refuse(p, up, 481, REASON_NO_SUCH_SUBSCRIPTION);
        return NULL;
    }
    *route = rest_of_route(&w->dialog);
    return w;
}

/* The text of the next hop's URI: the first Route, or the Request-URI. */
static enum error read_next(struct span route, struct span uri, struct sip_uri *out) {
    struct sip_list list = sip_list_of_text(route);
    struct sip_address first;
    return sip_uri_parse(sip_address_next(&list, &first) ? first.uri_text : uri, out);
}

static void forward(struct relay *op, const struct relayed *w, struct span route) {
    struct pcscf *p = op->p;
    const struct sip_msg *req = sip_server_request(op->up);
    struct register_values *values = ARENA_NEW(sip_server_arena(op->up), struct register_values);
    bool failed = false;
    const struct terminal_request from = {
        .source = sip_server_source(op->up),
        .token = w->token,
        .asserted = arena_copy(sip_server_arena(op->up), w->asserted, &failed),
        .route = arena_copy(sip_server_arena(op->up), route, &failed)};
    struct span target = w->dialog.tag.n ? w->dialog.target : req->request_uri;
    op->forward.uri = arena_copy(sip_server_arena(op->up), target, &failed);
    unsigned stripped = 0;
    enum error e = values && !failed
                       ? pcscf_edit_request(p, req, &from, values, &op->forward.edits, &stripped)
                       : ERR_NO_MEMORY;
    p->counters.stripped += stripped;
    if (e != OK) {
        refuse(op,
               e == ERR_MALFORMED ? 400
               : e == ERR_TOO_BIG ? 513
                                  : 500,
               e == ERR_NO_MEMORY ? REASON_OUT_OF_MEMORY : REASON_MALFORMED_MESSAGE);
    } else if (read_next(from.route, op->forward.uri, &op->next) != OK) {
        refuse(op, 400, REASON_MALFORMED_MESSAGE);
    } else {
        op->forward.host = op->next.host;
        resolve(op);
    }
}

void pcscf_relay_subscribe(struct pcscf *p, struct sip_server *up, const struct sip_msg *req) {
    struct relay *op = ARENA_NEW(sip_server_arena(up), struct relay);
    struct span route = SPAN_NONE;
    bool initial = !req->to_tag.n;
    if (!op) {
        pcscf_refuse(p, up, 500, REASON_OUT_OF_MEMORY);
        return;
    }
    struct relayed *w = initial ? begin(p, up, req, &route) : go_on(p, up, req, &route);
    if (!w) {
        return;
    }
    p->counters.relayed++;
    op->p = p;
    op->up = up;
    op->token = w->token;
    op->initial = initial;
    list_insert(&p->registering, &op->under_way);
    forward(op, w, route);
}

/* NOTIFY */

static enum sip_proxy_verdict on_terminal_answer(void *ctx, struct sip_proxy *proxy,
                                                 struct sip_server *up,
                                                 const struct sip_msg *answer,
                                                 struct sip_edits *edits) {
    struct pcscf *p = (struct pcscf *)ctx;
    (void)proxy;
    (void)up;
    p->counters.stripped += pcscf_edit_from_terminal(answer, edits);
    return SIP_PROXY_RELAY;
}

static enum sip_proxy_verdict on_terminal_silent(void *ctx, struct sip_proxy *proxy,
                                                 struct sip_server *up, enum error why) {
    (void)proxy;
    (void)why;
    pcscf_refuse((struct pcscf *)ctx, up, 480, REASON_TERMINAL_SILENT);
    return SIP_PROXY_TAKEN;
}

static const struct sip_proxy_handler notify_handler = {.response = on_terminal_answer,
                                                        .failed = on_terminal_silent};

static bool is_last(const struct sip_msg *notify) {
    struct span params = sip_value(notify, SIP_H_SUBSCRIPTION_STATE);
    return span_eq_nocase(span_trim(span_cut(&params, ';')), SPAN("terminated"));
}

bool pcscf_relay_notify(struct pcscf *p, struct sip_server *up, const struct sip_msg *req,
                        struct span user) {
    struct relayed *w = find_user(p, user);
    if (!w || req->method != SIP_NOTIFY) {
        return false;
    }
    p->counters.relayed++;
    struct sip_forward f = {.to = w->terminal};
    sip_edit_pop(&f.edits, SIP_H_ROUTE);
    pcscf_edit_to_terminal(req, &f.edits);
    if (is_last(req)) {
        end_in(w, LINGERING_S);
    }
    enum error e = sip_proxy_forward(up, &f, &notify_handler, p, NULL);
    if (e != OK && e != ERR_REFUSED) {
        pcscf_refuse(p, up, e == ERR_TOO_BIG ? 513 : 500, REASON_CANNOT_BE_FORWARDED);
    }
    return true;
}
