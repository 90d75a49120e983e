/* A stateful proxy with one target: RFC 3261 16.3 (checks), 16.6 (forwarding), 16.7
 * (responses), 16.8 (timer C), 16.9 (transport errors), 16.10 (CANCEL), 16.11 (ACK); RFC 4320 for
 * non-INVITE timeouts; RFC 3263 4.3 (the next hop).
 *
 * Choices. A loop is the same request, by what 16.6 step 8 names, with a Via of this node that says
 * so: the hash stands at the end of the branch; a spiral, changed in between, may pass. Extra 2xx
 * to an INVITE are relayed without state. */
#include "stack/sip/proxy.h"

#include "stack/sip/internal.h"
#include "stack/sip/refuse.h"

enum { LOOP_DIGITS = 8, MAX_FORWARDS_DEFAULT = 70 };

/* The hops that are left, and what is sent to them; only when there are several. */
struct plan {
    struct sip_forward forward;
    struct span body; /* that forward.body points to */
    size_t next;
    uint64_t give_up_us; /* env_now_us */
    struct sip_hop hops[];
};

struct sip_proxy {
    struct sip_server *up;     /* NULL: answered by somebody else, or gone */
    struct plan *plan;         /* in the arena of up; NULL: one hop */
    struct sip_hop hop;        /* the one that is being tried */
    struct sip_client *client; /* NULL: it is over */
    const struct sip_proxy_handler *handler;
    void *ctx;
    struct timer timer_c; /* of an INVITE */
    bool is_invite;
    bool accepted; /* a 2xx to an INVITE was relayed */
};

/* Ends the watch over both sides, without a word. */
void sip_proxy_server_gone(struct sip_proxy *p) {
    struct sip_client *client = p->client;
    timer_stop(&p->timer_c);
    if (p->up && p->up->proxy == p) {
        p->up->proxy = NULL;
    }
    p->up = NULL;
    p->client = NULL;
    sip_client_free(client);
}

void sip_proxy_finish(struct sip_proxy *p) {
    sip_proxy_server_gone(p);
    if (p->handler && p->handler->ended) {
        p->handler->ended(p->ctx, p);
    }
}

static bool try_next(struct sip_proxy *p, enum error why);
static void fail(struct sip_proxy *p, enum error why);

static void tell_of_hop(struct sip_proxy *p, enum error result) {
    if (p->handler && p->handler->hop) {
        p->handler->hop(p->ctx, &p->hop, result);
    }
}

/* A 2xx that comes when the first has been relayed. */
static void relay_again(struct sip_proxy *p, const struct sip_msg *response) {
    struct sip_stack *stack = p->up->stack;
    (void)sip_stack_relay_response(stack, p->up->reply.endpoint, response, NULL);
}

static void on_response(void *ctx, struct sip_client *tx, const struct sip_msg *response) {
    (void)tx;
    struct sip_proxy *p = ctx;
    struct sip_server *up = p->up;
    if (response->status == 100) {
        return;
    }
    if (p->accepted) {
        relay_again(p, response);
        return;
    }
    bool final = response->status >= 200;
    bool accepted = final && response->status < 300 && p->is_invite;
    if (final && !accepted) {
        p->client = NULL;
    }
    if (final) {
        timer_stop(&p->timer_c);
        tell_of_hop(p, OK);
    } else if (p->is_invite) {
        timer_start(up->stack->env, &p->timer_c, up->stack->config.timer_c_us);
    }
    sip_server_hold(up);
    struct sip_edits edits;
    sip_edits_copy(&edits, NULL);
    enum sip_proxy_verdict verdict = SIP_PROXY_RELAY;
    if (p->handler && p->handler->response) {
        verdict = p->handler->response(p->ctx, p, up, response, &edits);
    }
    if (verdict == SIP_PROXY_NEXT && p->up) {
        if (!try_next(p, ERR_BUSY)) {
            fail(p, ERR_BUSY);
        }
        sip_server_release(up);
        return;
    }
    if (verdict == SIP_PROXY_RELAY && p->up) {
        p->accepted = accepted;
        (void)sip_reply_begin_relay(up, response, &edits);
        (void)sip_reply_send_relayed(up, response->body);
    }
    if (final && !p->accepted) {
        sip_proxy_finish(p);
    }
    sip_server_release(up);
}

static void fail(struct sip_proxy *p, enum error why) {
    struct sip_server *up = p->up;
    unsigned status = why != ERR_TIMEOUT ? 503 : p->is_invite ? 408 : 504;
    p->client = NULL;
    sip_server_hold(up);
    enum sip_proxy_verdict verdict = SIP_PROXY_RELAY;
    if (p->handler && p->handler->failed) {
        verdict = p->handler->failed(p->ctx, p, up, why);
    }
    if (verdict == SIP_PROXY_RELAY && p->up) {
        (void)sip_reply_begin(up, status, SPAN_NONE);
        (void)sip_reply_send_relayed(up, SPAN_NONE);
    }
    sip_proxy_finish(p);
    sip_server_release(up);
}

static void fail_over(struct sip_proxy *p, enum error why) {
    p->client = NULL;
    if (!try_next(p, why)) {
        fail(p, why);
    }
}

static void on_timeout(void *ctx, struct sip_client *tx) {
    (void)tx;
    fail_over(ctx, ERR_TIMEOUT);
}

static void on_transport_error(void *ctx, struct sip_client *tx, enum error why) {
    (void)tx;
    fail_over(ctx, why);
}

static void on_ended(void *ctx, struct sip_client *tx) {
    (void)tx;
    struct sip_proxy *p = ctx;
    p->client = NULL;
    sip_proxy_finish(p);
}

static const struct sip_client_handler client_handler = {on_response, on_timeout,
                                                         on_transport_error, on_ended};

/* 16.8: the branch is given up; its 487, or timer B of the CANCEL, ends it. */
static void on_timer_c(struct timer *t) {
    struct sip_proxy *p = CONTAINER_OF(t, struct sip_proxy, timer_c);
    sip_client_cancel(p->client);
}

/* 16.6 step 8: what tells a loop from a spiral, as the text that ends our branches. */
static void put_loop_hash(struct buf *b, const struct sip_msg *req) {
    uint64_t hash = hash_bytes(req->request_uri);
    hash = hash_mix(hash, hash_bytes(req->call_id));
    hash = hash_mix(hash, hash_bytes(req->from_tag));
    hash = hash_mix(hash, hash_bytes(req->to_tag));
    hash = hash_mix(hash, hash_bytes(sip_value(req, SIP_H_ROUTE)));
    hash = hash_mix(hash, hash_bytes(sip_value(req, SIP_H_PROXY_REQUIRE)));
    hash = hash_mix(hash, req->cseq);
    buf_hex(b, &hash, LOOP_DIGITS / 2);
}

bool sip_via_is_own(const struct sip_via *via, struct span sent_by) {
    struct span rest = span_after(via->text, (size_t)(via->host.p - via->text.p));
    return span_starts_with_nocase(rest, sent_by) &&
           (rest.n == sent_by.n || rest.p[sent_by.n] == ';' || rest.p[sent_by.n] == ' ');
}

static bool is_loop(struct sip_server *up) {
    struct sip_list list = sip_list_of(up->req, SIP_H_VIA);
    struct span sent_by = sip_stack_sent_by(up->stack, up->reply.endpoint);
    struct sip_via via;
    while (sip_via_next(&list, &via)) {
        if (!sip_via_is_own(&via, sent_by) || via.branch.n < LOOP_DIGITS) {
            continue;
        }
        char text[LOOP_DIGITS];
        struct buf b = buf_init(text, sizeof text);
        put_loop_hash(&b, up->req);
        if (span_eq(buf_span(&b), span_after(via.branch, via.branch.n - LOOP_DIGITS))) {
            return true;
        }
    }
    return false;
}

bool sip_proxy_may_forward(struct sip_server *up) {
    uint32_t hops;
    if (up->req->uri.scheme == SIP_URI_OTHER) {
        (void)sip_reply(up, 416, SPAN_NONE);
        return false;
    }
    if (sip_number_of(up->req, SIP_H_MAX_FORWARDS, &hops) == OK && hops == 0) {
        sip_refuse_note(up, &(struct sip_refusal){.status = 483, .why = REASON_HOPS_USED_UP});
        (void)sip_reply(up, 483, SPAN_NONE);
        return false;
    }
    if (is_loop(up)) {
        sip_refuse_note(up, &(struct sip_refusal){.status = 482, .why = REASON_LOOP});
        (void)sip_reply(up, 482, SPAN_NONE);
        return false;
    }
    return true;
}

/* Writes the request as it goes on; the client transaction has begun. */
static void put_forwarded(struct buf *b, const struct sip_msg *req,
                          const struct sip_forward *forward) {
    uint32_t hops;
    char text[12];
    struct buf number = buf_init(text, sizeof text);
    struct sip_edits edits;
    sip_edits_copy(&edits, &forward->edits);
    if (sip_number_of(req, SIP_H_MAX_FORWARDS, &hops) != OK || hops == 0) {
        hops = MAX_FORWARDS_DEFAULT + 1;
    }
    buf_u64(&number, hops - 1);
    sip_edit_replace(&edits, SIP_H_MAX_FORWARDS, buf_span(&number));
    sip_put_edited(b, req, &edits);
}

static struct buf *begin(struct sip_stack *stack, const struct sip_msg *req,
                         const struct sip_forward *forward, struct sip_client **client) {
    char text[LOOP_DIGITS];
    struct buf suffix = buf_init(text, sizeof text);
    put_loop_hash(&suffix, req);
    struct buf *b = sip_client_begin_branch(
        stack, forward->endpoint, &forward->to, req->method_name,
        forward->uri.n ? forward->uri : req->request_uri, buf_span(&suffix), client);
    if (b) {
        sip_client_expect(*client, forward->host);
        put_forwarded(b, req, forward);
    }
    return b;
}

/* Sends to p->hop. */
static enum error send(struct sip_proxy *p, const struct sip_forward *forward) {
    struct sip_server *up = p->up;
    struct sip_client *client;
    if (!begin(up->stack, up->req, forward, &client)) {
        return ERR_BUSY;
    }
    enum error e =
        sip_client_send(client, forward->body ? *forward->body : up->req->body, &client_handler, p);
    if (e != OK) {
        return e;
    }
    p->client = client;
    up->proxy = p;
    if (forward->patience_us && sip_proxy_has_next(p)) {
        sip_client_limit(client, forward->patience_us);
    }
    if (p->is_invite) {
        timer_start(up->stack->env, &p->timer_c, up->stack->config.timer_c_us);
    }
    return OK;
}

/* Keeps what the next hops need. Without memory the first one has to do. */
static void make_plan(struct sip_proxy *p, const struct sip_forward *forward) {
    struct sip_server *up = p->up;
    size_t bytes = sizeof(struct plan) + forward->n_others * sizeof *forward->others;
    struct plan *plan = arena_alloc(&up->arena, bytes);
    if (plan) {
        memset(plan, 0, bytes);
        sip_edits_copy(&plan->forward.edits, &forward->edits);
        plan->forward.endpoint = forward->endpoint;
        plan->forward.host = forward->host;
        plan->forward.uri = forward->uri;
        if (forward->body) {
            plan->body = *forward->body;
            plan->forward.body = &plan->body;
        }
        plan->forward.patience_us = forward->patience_us;
        plan->forward.n_others = forward->n_others;
        memcpy(plan->hops, forward->others, forward->n_others * sizeof *forward->others);
        plan->give_up_us =
            forward->total_us ? env_now_us(up->stack->env) + forward->total_us : UINT64_MAX;
    }
    p->plan = plan;
}

bool sip_proxy_has_next(const struct sip_proxy *p) {
    return p->plan && p->plan->next < p->plan->forward.n_others && p->up && !p->up->cancelled &&
           env_now_us(p->up->stack->env) < p->plan->give_up_us;
}

/* RFC 3263 4.3: the same request, in a transaction of its own, to the next hop. */
static bool try_next(struct sip_proxy *p, enum error why) {
    tell_of_hop(p, why);
    while (sip_proxy_has_next(p)) {
        p->hop = p->plan->hops[p->plan->next++];
        p->plan->forward.to = p->hop;
        enum error e = send(p, &p->plan->forward);
        if (e == OK) {
            return true;
        }
        tell_of_hop(p, e);
    }
    return false;
}

enum error sip_proxy_forward(struct sip_server *up, const struct sip_forward *forward,
                             const struct sip_proxy_handler *handler, void *ctx,
                             struct sip_proxy **out) {
    struct sip_proxy *p = ARENA_NEW(&up->arena, struct sip_proxy);
    if (!p) {
        return ERR_NO_MEMORY;
    }
    if (!sip_proxy_may_forward(up)) {
        return ERR_REFUSED;
    }
    p->up = up;
    p->handler = handler;
    p->ctx = ctx;
    p->hop = forward->to;
    p->is_invite = up->is_invite;
    timer_init(&p->timer_c, on_timer_c);
    if (forward->n_others) {
        make_plan(p, forward);
    }
    if (p->is_invite && up->last.n == 0) {
        (void)sip_reply(up, 100, SPAN_NONE);
    }
    enum error e = send(p, forward);
    if (e != OK) {
        return e;
    }
    if (p->is_invite && up->cancelled) {
        sip_client_cancel(p->client);
    }
    if (out) {
        *out = p;
    }
    return OK;
}

void sip_proxy_cancel(struct sip_server *up) {
    if (up->proxy && up->proxy->client) {
        sip_client_cancel(up->proxy->client);
    } else {
        (void)sip_reply(up, 487, SPAN_NONE);
    }
}

void sip_proxy_free(struct sip_proxy *proxy) {
    if (!proxy) {
        return;
    }
    struct sip_server *up = proxy->up;
    sip_proxy_server_gone(proxy);
    if (up && up->owned) {
        sip_server_free(up);
    }
}

enum error sip_proxy_forward_ack(struct sip_stack *stack, const struct sip_msg *ack,
                                 const struct sip_forward *forward) {
    struct sip_client *client;
    uint32_t hops;
    if (sip_number_of(ack, SIP_H_MAX_FORWARDS, &hops) == OK && hops == 0) {
        return ERR_REFUSED;
    }
    if (!begin(stack, ack, forward, &client)) {
        return ERR_BUSY;
    }
    return sip_client_send_ack(client, forward->body ? *forward->body : ack->body);
}

bool sip_route_is_own(const struct sip_msg *msg, struct span host, uint16_t port) {
    struct sip_address route;
    return sip_address_of(msg, SIP_H_ROUTE, &route) == OK && !route.star &&
           span_eq_nocase(route.uri.host, host) &&
           sip_uri_port_or_default(&route.uri) == (port ? port : 5060);
}
