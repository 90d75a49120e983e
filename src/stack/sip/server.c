/* Server transactions: RFC 3261 17.2 with RFC 6026; cancelling: 9.2; unknown extensions: 8.2.2.3.
 *
 * Choices. The Completed state of a non-INVITE transaction is an entry of the answers' ring
 * (answers.c). A request of an RFC 2543 client, without the magic cookie, is recognised by its
 * whole Via, From tag, Call-ID, CSeq number and Request-URI. A CANCEL needs no transaction of its
 * own: its answer says the same each time. An INVITE that the node leaves unanswered for 200 ms
 * gets its 100.
 */
#include "stack/sip/internal.h"
#include "stack/sip/refuse.h"

enum state {
    STATE_NONE,
    TRYING,     /* non-INVITE, no answer yet */
    PROCEEDING, /* INVITE, or provisional answer sent */
    COMPLETED,  /* INVITE: answer of 300 and more sent, ACK awaited */
    CONFIRMED,  /* ACK came */
    ACCEPTED,   /* INVITE: 2xx sent */
    TERMINATED,
    STATES
};

enum event { REPEATED, TU_1XX, TU_2XX, TU_FINAL, ACK, TIMER_REPEAT, TIMER_END, EVENTS };

enum action {
    DO_SEND = 1,        /* the answer that was built */
    DO_KEEP = 2,        /* it, to be sent again */
    DO_KEEP_ANSWER = 4, /* it, in the ring, if the transport is unreliable: timer J */
    DO_RESEND = 8,      /* what was kept */
    DO_100 = 16,        /* if nothing was sent yet */
    DO_START_G = 32,    /* if the transport is unreliable */
    DO_START_H = 64,
    DO_START_I = 128, /* zero if the transport is reliable */
    DO_START_L = 256,
    DO_PASS_ACK = 512,
    DO_FAIL = 1024, /* no ACK came */
};

static const struct sip_step invite_machine[STATES][EVENTS] =
    {
        [PROCEEDING] =
            {
                [REPEATED] = {PROCEEDING, DO_RESEND, "17.2.1"},
                [TIMER_REPEAT] = {PROCEEDING, DO_100, "17.2.1"},
                [TU_1XX] = {PROCEEDING, DO_SEND | DO_KEEP, "17.2.1"},
                [TU_2XX] = {ACCEPTED, DO_SEND | DO_START_L, "RFC 6026 7.1"},
                [TU_FINAL] = {COMPLETED, DO_SEND | DO_KEEP | DO_START_G | DO_START_H, "17.2.1"},
            },
        [COMPLETED] =
            {
                [REPEATED] = {COMPLETED, DO_RESEND, "17.2.1"},
                [TIMER_REPEAT] = {COMPLETED, DO_RESEND | DO_START_G, "17.2.1"},
                [ACK] = {CONFIRMED, DO_START_I, "17.2.1"},
                [TIMER_END] = {TERMINATED, DO_FAIL, "17.2.1"},
            },
        [CONFIRMED] =
            {
                [TIMER_END] = {TERMINATED, 0, "17.2.1"},
            },
        [ACCEPTED] =
            {
                [ACK] = {ACCEPTED, DO_PASS_ACK, "RFC 6026 7.1"},
                [TIMER_END] = {TERMINATED, 0, "RFC 6026 7.1"},
            },
};

static const struct sip_step other_machine[STATES][EVENTS] = {
    [TRYING] =
        {
            [TU_1XX] = {PROCEEDING, DO_SEND | DO_KEEP, "17.2.2"},
            [TU_2XX] = {TERMINATED, DO_SEND | DO_KEEP_ANSWER, "17.2.2"},
            [TU_FINAL] = {TERMINATED, DO_SEND | DO_KEEP_ANSWER, "17.2.2"},
        },
    [PROCEEDING] =
        {
            [REPEATED] = {PROCEEDING, DO_RESEND, "17.2.2"},
            [TU_1XX] = {PROCEEDING, DO_SEND | DO_KEEP, "17.2.2"},
            [TU_2XX] = {TERMINATED, DO_SEND | DO_KEEP_ANSWER, "17.2.2"},
            [TU_FINAL] = {TERMINATED, DO_SEND | DO_KEEP_ANSWER, "17.2.2"},
        },
};

enum { TRYING_AFTER_MS = 200 };

void sip_server_destroy(struct sip_server *tx) {
    struct sip_stack *stack = tx->stack;
    if (tx->proxy) {
        sip_proxy_server_gone(tx->proxy);
    }
    timer_stop(&tx->repeat);
    timer_stop(&tx->end);
    sip_path_leave(&tx->reply);
    list_remove(&tx->in_all);
    htab_remove(&stack->servers, &tx->node);
    stack->counters.transactions--;
    tx->dead = true;
    if (tx->holds == 0) {
        struct arena arena = tx->arena;
        arena_release(&arena);
    }
}

void sip_server_hold(struct sip_server *tx) {
    tx->holds++;
}

void sip_server_release(struct sip_server *tx) {
    if (--tx->holds == 0 && tx->dead) {
        struct arena arena = tx->arena;
        arena_release(&arena);
    }
}

static void resend(struct sip_server *tx) {
    if (tx->last.n) {
        tx->stack->counters.sent_again++;
        (void)sip_stack_send_answer(tx->stack, &tx->reply, tx->last, &tx->credit);
    }
}

/* Does the event in this state. The transaction may be gone afterwards. answer: what was built, for
 * the events TU_; ack and where it came from, for ACK. */
static enum error step(struct sip_server *tx, enum event event, struct span answer,
                       const struct sip_msg *ack, const struct sip_hop *from) {
    const struct sip_step *s =
        tx->is_invite ? &invite_machine[tx->state][event] : &other_machine[tx->state][event];
    struct sip_stack *stack = tx->stack;
    const struct sip_stack_config *c = &stack->config;
    enum error e = OK;
    if (s->next == STATE_NONE) {
        return OK;
    }
    unsigned actions = s->actions;
    tx->state = s->next;
    if (actions & DO_SEND) {
        timer_stop(&tx->repeat);
        e = sip_stack_send_answer(stack, &tx->reply, answer, &tx->credit);
    }
    if ((actions & DO_KEEP) && !tx->is_reliable) {
        bool failed = false;
        tx->last = arena_copy(&tx->arena, answer, &failed);
    }
    if ((actions & DO_KEEP_ANSWER) && !tx->is_reliable) {
        answers_add(stack, tx, answer);
    }
    if (actions & DO_RESEND) {
        resend(tx);
    }
    if ((actions & DO_100) && tx->last.n == 0 && tx->owned) {
        return sip_reply(tx, 100, SPAN_NONE);
    }
    if ((actions & DO_START_G) && !tx->is_reliable) {
        uint64_t doubled = tx->repeat_us ? 2 * tx->repeat_us : c->t1_us;
        tx->repeat_us = doubled < c->t2_us ? doubled : c->t2_us;
        timer_start(stack->env, &tx->repeat, tx->repeat_us);
    }
    if (actions & (DO_START_H | DO_START_L)) {
        timer_start(stack->env, &tx->end, 64 * c->t1_us);
    }
    if (actions & DO_START_I) {
        timer_stop(&tx->repeat);
        if (tx->is_reliable) {
            tx->state = TERMINATED;
        } else {
            timer_start(stack->env, &tx->end, c->t4_us);
        }
    }
    if ((actions & DO_PASS_ACK) && stack->handler->ack) {
        stack->handler->ack(stack->ctx, stack, ack, from);
    }
    if (actions & DO_FAIL) {
        stack->counters.timeouts++;
    }
    if (tx->state == TERMINATED) {
        if (event == TIMER_END && tx->proxy) {
            sip_proxy_finish(tx->proxy);
        }
        sip_server_destroy(tx);
    }
    return e;
}

static void on_repeat(struct timer *t) {
    (void)step(CONTAINER_OF(t, struct sip_server, repeat), TIMER_REPEAT, SPAN_NONE, NULL, NULL);
}

static void on_end(struct timer *t) {
    (void)step(CONTAINER_OF(t, struct sip_server, end), TIMER_END, SPAN_NONE, NULL, NULL);
}

/* RFC 3261 17.2.3. False when memory is out. */
static bool make_key(struct arena *arena, const struct sip_msg *req, struct server_key *out) {
    const struct sip_via *via = &req->via;
    bool modern = span_starts_with(via->branch, BRANCH_COOKIE);
    size_t cap = modern ? via->branch.n + via->host.n + 8
                        : via->text.n + req->from_tag.n + req->call_id.n + req->request_uri.n + 16;
    char *text = arena_alloc(arena, cap);
    if (!text) {
        return false;
    }
    struct buf b = buf_init(text, cap);
    if (modern) {
        buf_put(&b, via->branch);
        buf_char(&b, ' ');
        buf_put(&b, via->host);
        buf_bytes(&b, &via->port, sizeof via->port);
    } else {
        buf_put(&b, via->text);
        buf_char(&b, ' ');
        buf_put(&b, req->from_tag);
        buf_char(&b, ' ');
        buf_put(&b, req->call_id);
        buf_char(&b, ' ');
        buf_bytes(&b, &req->cseq, sizeof req->cseq);
        buf_put(&b, req->request_uri);
    }
    out->text = buf_span(&b);
    out->hash = hash_bytes(out->text);
    return true;
}

/* The transaction of this key and method. */
static struct sip_server *find(struct sip_stack *stack, const struct server_key *key,
                               enum sip_method method) {
    struct htab_node *node = htab_first(&stack->servers, key->hash);
    for (; node; node = htab_next(node)) {
        struct sip_server *tx = CONTAINER_OF(node, struct sip_server, node);
        if (tx->req->method == method && span_eq(tx->key, key->text)) {
            return tx;
        }
    }
    return NULL;
}

/* ACK and CANCEL: they belong to an INVITE. */
static void receive_ack(const struct sip_origin *origin, const struct server_key *key,
                        struct sip_msg *req) {
    struct sip_stack *stack = origin->at->stack;
    struct sip_server *tx = find(stack, key, SIP_INVITE);
    if (tx) {
        (void)step(tx, ACK, SPAN_NONE, req, &origin->from);
    } else if (stack->handler->ack) {
        stack->handler->ack(stack->ctx, stack, req, &origin->from);
    } else {
        stack->counters.stray_requests++;
    }
}

static void receive_cancel(const struct sip_origin *origin, const struct server_key *key,
                           struct sip_msg *req) {
    struct sip_stack *stack = origin->at->stack;
    struct sip_server *tx = find(stack, key, SIP_INVITE);
    if (!tx) {
        stack->counters.stray_requests++;
        sip_stack_reply_stateless(origin, req, 481, NULL, SPAN_NONE);
        return;
    }
    sip_stack_reply_stateless(origin, req, 200, NULL, sip_server_to_tag(tx));
    if (!tx->owned || tx->cancelled) {
        return;
    }
    tx->cancelled = true;
    if (stack->handler->cancelled) {
        stack->handler->cancelled(stack->ctx, tx);
    } else {
        (void)sip_reply(tx, 487, SPAN_NONE);
    }
}

/* Is the tag in a list that an empty string ends? */
static bool is_supported(const char *const *tags, struct span tag) {
    for (; tags && (*tags)[0]; tags++) {
        if (span_eq_nocase(span_from_cstr(*tags), tag)) {
            return true;
        }
    }
    return false;
}

/* Writes the option tags of a header that are not supported; true if there are any. */
static bool put_unsupported(struct buf *b, const struct sip_msg *req, enum sip_header_id id,
                            const char *const *tags) {
    struct sip_list list = sip_list_of(req, id);
    struct span tag;
    bool any = false;
    while (sip_list_next(&list, &tag)) {
        if (!is_supported(tags, tag)) {
            if (any) {
                buf_bytes(b, ", ", 2);
            }
            buf_put(b, tag);
            any = true;
        }
    }
    return any;
}

/* RFC 3261 8.2.2.3 and 16.3 step 5. True: the request was refused. */
static bool refuse_extensions(struct sip_server *tx) {
    const struct sip_stack_config *c = &tx->stack->config;
    bool require = c->supported && sip_has(tx->req, SIP_H_REQUIRE);
    if (!require && !sip_has(tx->req, SIP_H_PROXY_REQUIRE)) {
        return false;
    }
    size_t cap = tx->req->head.n;
    char *text = arena_alloc(&tx->arena, cap);
    struct buf b = buf_init(text, text ? cap : 0);
    bool any = put_unsupported(&b, tx->req, SIP_H_PROXY_REQUIRE, c->proxy_supported);
    if (require && !any) {
        any = put_unsupported(&b, tx->req, SIP_H_REQUIRE, c->supported);
    }
    if (any) {
        struct buf *out = sip_reply_begin(tx, 420, SPAN_NONE);
        sip_put(out, SIP_H_UNSUPPORTED, buf_span(&b));
        sip_refuse_note(tx, &(struct sip_refusal){.status = 420,
                                                  .why = REASON_UNSUPPORTED_EXTENSION,
                                                  .detail = buf_span(&b)});
        (void)sip_reply_send(tx, SPAN_NONE);
    }
    return any;
}

/* Must a new request go, because more comes than can be served? */
static bool is_shed(const struct sip_origin *origin, const struct sip_msg *req) {
    struct sip_stack *stack = origin->at->stack;
    uint64_t now_us = env_now_us(stack->env);
    enum sip_class class = SIP_CLASS_KNOWN;
    if (sip_admission_asks(&stack->admission, now_us)) {
        class = sip_class_of(req);
        if (stack->handler->classify) {
            class = stack->handler->classify(stack->ctx, &origin->from, class);
        }
    }
    enum sip_fate fate = sip_admission_take(&stack->admission, now_us, class);
    stack->counters.shed[class] += fate != SIP_FATE_TAKE;
    stack->counters.dropped += fate == SIP_FATE_DROP;
    if (fate == SIP_FATE_REFUSE) {
        sip_stack_shed(origin, req);
    }
    return fate != SIP_FATE_TAKE;
}

/* Begins a transaction and shows it to the node. */
static void begin(const struct sip_origin *origin, struct arena *arena,
                  const struct server_key *key, struct sip_msg *req) {
    struct sip_stack *stack = origin->at->stack;
    bool full = origin->connection && connection_is_full(origin->connection);
    struct sip_server *tx = full ? NULL : ARENA_NEW(arena, struct sip_server);
    if (!tx || stack->counters.transactions >= stack->config.transactions_max ||
        htab_insert(&stack->servers, &tx->node, key->hash) != OK) {
        *(full ? &stack->counters.connection_busy : &stack->counters.busy) += 1;
        sip_stack_shed(origin, req);
        arena_release(arena);
        return;
    }
    tx->stack = stack;
    tx->arena = *arena;
    tx->req = req;
    tx->key = key->text;
    tx->source = origin->from;
    tx->reply.to = sip_reply_hop(&req->via, &origin->from);
    tx->reply.host = req->via.host;
    tx->reply.endpoint = (uint8_t)origin->at->number;
    tx->is_invite = req->method == SIP_INVITE;
    tx->is_reliable =
        origin->connection || dgram_is_reliable(origin->at->dgram, &tx->reply.to.addr);
    if (origin->connection) {
        connection_count(origin->connection, &tx->reply);
    }
    tx->credit = amplification_credit(origin->n);
    tx->owned = true;
    tx->state = tx->is_invite ? PROCEEDING : TRYING;
    timer_init(&tx->repeat, on_repeat);
    timer_init(&tx->end, on_end);
    list_insert(&stack->all_servers, &tx->in_all);
    stack->counters.transactions++;
    stack->counters.received_requests[req->method]++;
    if (tx->is_invite) {
        timer_start(stack->env, &tx->repeat, TRYING_AFTER_MS * MS_IN_US);
    }
    if (!refuse_extensions(tx)) {
        stack->handler->request(stack->ctx, tx, req);
    }
}

void sip_server_receive(const struct sip_origin *origin, struct arena *arena, struct sip_msg *req) {
    struct sip_stack *stack = origin->at->stack;
    struct server_key key;
    struct sip_server *tx;
    if (!make_key(arena, req, &key)) {
        stack->counters.busy++;
    } else if (req->method == SIP_ACK) {
        receive_ack(origin, &key, req);
    } else if (req->method == SIP_CANCEL) {
        receive_cancel(origin, &key, req);
    } else if ((tx = find(stack, &key, req->method)) != NULL) {
        stack->counters.received_again++;
        tx->credit += amplification_credit(origin->n);
        (void)step(tx, REPEATED, SPAN_NONE, NULL, NULL);
    } else if (answers_repeat(stack, &key, req, amplification_credit(origin->n))) {
        stack->counters.received_again++;
    } else if (!is_shed(origin, req)) {
        begin(origin, arena, &key, req);
        return;
    }
    arena_release(arena);
}

const struct sip_msg *sip_server_request(const struct sip_server *tx) {
    return tx->req;
}

const struct sip_hop *sip_server_source(const struct sip_server *tx) {
    return &tx->source;
}

unsigned sip_server_endpoint(const struct sip_server *tx) {
    return tx->reply.endpoint;
}

struct sip_stack *sip_server_stack(const struct sip_server *tx) {
    return tx->stack;
}

struct arena *sip_server_arena(struct sip_server *tx) {
    return &tx->arena;
}

void *sip_server_context(const struct sip_server *tx) {
    return tx->context;
}

void sip_server_set_context(struct sip_server *tx, void *context) {
    tx->context = context;
}

bool sip_server_is_cancelled(const struct sip_server *tx) {
    return tx->cancelled;
}

struct span sip_server_to_tag(struct sip_server *tx) {
    if (!tx->has_tag) {
        struct buf b = buf_init(tx->to_tag, sizeof tx->to_tag);
        sip_stack_put_token(tx->stack, &b);
        tx->has_tag = true;
    }
    return (struct span){tx->to_tag, sizeof tx->to_tag};
}

struct buf *sip_reply_begin(struct sip_server *tx, unsigned status, struct span reason) {
    struct sip_stack *stack = tx->stack;
    stack->out = buf_init(stack->out_bytes, DATAGRAM_MAX);
    tx->reply_status = (uint16_t)status;
    sip_put_reply(&stack->out, tx->req, status, reason,
                  status > 100 ? sip_server_to_tag(tx) : SPAN_NONE);
    if (stack->config.agent.n) {
        sip_put(&stack->out, SIP_H_SERVER, stack->config.agent);
    }
    return &stack->out;
}

struct buf *sip_reply_begin_relay(struct sip_server *tx, const struct sip_msg *response,
                                  const struct sip_edits *edits) {
    struct sip_stack *stack = tx->stack;
    stack->out = buf_init(stack->out_bytes, DATAGRAM_MAX);
    tx->reply_status = response->status;
    sip_put_status_line(&stack->out, response->status, response->reason);
    struct sip_edits all;
    sip_edits_copy(&all, edits);
    sip_edit_pop(&all, SIP_H_VIA);
    sip_put_edited(&stack->out, response, &all);
    return &stack->out;
}

enum error sip_reply_send_relayed(struct sip_server *tx, struct span body) {
    struct sip_stack *stack = tx->stack;
    enum error too_big = OK;
    sip_put_body(&stack->out, body);
    if (stack->out.overflow || stack->out.n > stack->config.limits.message_max) {
        if (tx->reply_status < 200) {
            return ERR_TOO_BIG;
        }
        too_big = ERR_TOO_BIG;
        sip_put_body(sip_reply_begin(tx, 500, SPAN("Answer Too Large")), SPAN_NONE);
    }
    unsigned status = tx->reply_status;
    enum event event = status < 200 ? TU_1XX : status < 300 ? TU_2XX : TU_FINAL;
    if (event != TU_1XX) {
        tx->owned = false;
    }
    sip_stack_count_response(stack, status);
    enum error e = step(tx, event, buf_span(&stack->out), NULL, NULL);
    return too_big ? too_big : e;
}

enum error sip_reply_send(struct sip_server *tx, struct span body) {
    if (tx->proxy && tx->reply_status >= 200) {
        sip_proxy_server_gone(tx->proxy);
    }
    return sip_reply_send_relayed(tx, body);
}

enum error sip_reply(struct sip_server *tx, unsigned status, struct span reason) {
    (void)sip_reply_begin(tx, status, reason);
    return sip_reply_send(tx, SPAN_NONE);
}

void sip_server_free(struct sip_server *tx) {
    if (tx) {
        tx->stack->counters.unanswered++;
        (void)sip_reply(tx, 500, SPAN_NONE);
    }
}
