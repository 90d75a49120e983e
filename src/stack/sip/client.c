/* Client transactions: RFC 3261 17.1 with RFC 6026; ACK for other answers than 2xx: 17.1.1.3;
 * cancelling: 9.1.
 *
 * Choices. The Completed state of a non-INVITE transaction only absorbs repeated responses, which a
 * stack drops anyway when they belong to nothing: so the transaction ends with the final response,
 * and timer K is always zero. A transaction that its owner forgets goes on by itself if it is an
 * INVITE, since somebody must acknowledge its answer. */
#include "stack/sip/internal.h"

enum state {
    STATE_NONE,
    CALLING, /* sent, nothing came; TRYING of a non-INVITE */
    PROCEEDING,
    COMPLETED, /* INVITE: answer of 300 and more came, and was acknowledged */
    ACCEPTED,  /* INVITE: 2xx came */
    TERMINATED,
    STATES
};

enum event { GOT_1XX, GOT_2XX, GOT_FINAL, TIMER_REPEAT, TIMER_LIMIT, FAILED, EVENTS };

enum action {
    DO_RESEND = 1,
    DO_START_A = 2,      /* doubled each time */
    DO_START_E = 4,      /* doubled up to T2 */
    DO_START_E_SLOW = 8, /* T2 at once */
    DO_STOP = 16,        /* both timers */
    DO_ACK = 32,
    DO_START_D = 64, /* zero if the transport is reliable */
    DO_START_M = 128,
    DO_CANCEL = 256,  /* if that is wanted */
    DO_PASS = 512,    /* to the owner */
    DO_FORGET = 1024, /* the owner: it hears nothing more */
    DO_TIMEOUT = 2048,
    DO_FAIL = 4096,
    DO_END = 8192, /* tells the owner of the end after a 2xx */
};

static const struct sip_step invite_machine[STATES][EVENTS] =
    {
        [CALLING] =
            {
                [TIMER_REPEAT] = {CALLING, DO_RESEND | DO_START_A, "17.1.1.2"},
                [TIMER_LIMIT] = {TERMINATED, DO_TIMEOUT, "17.1.1.2"},
                [GOT_1XX] = {PROCEEDING, DO_STOP | DO_CANCEL | DO_PASS, "17.1.1.2"},
                [GOT_2XX] = {ACCEPTED, DO_STOP | DO_START_M | DO_PASS, "RFC 6026 7.2"},
                [GOT_FINAL] = {COMPLETED, DO_STOP | DO_ACK | DO_START_D | DO_PASS | DO_FORGET,
                               "17.1.1.2"},
                [FAILED] = {TERMINATED, DO_FAIL, "17.1.4"},
            },
        [PROCEEDING] =
            {
                [TIMER_LIMIT] = {TERMINATED, DO_TIMEOUT, "9.1: 64*T1 after a CANCEL"},
                [GOT_1XX] = {PROCEEDING, DO_PASS, "17.1.1.2"},
                [GOT_2XX] = {ACCEPTED, DO_STOP | DO_START_M | DO_PASS, "RFC 6026 7.2"},
                [GOT_FINAL] = {COMPLETED, DO_STOP | DO_ACK | DO_START_D | DO_PASS | DO_FORGET,
                               "17.1.1.2"},
            },
        [COMPLETED] =
            {
                [GOT_FINAL] = {COMPLETED, DO_ACK, "17.1.1.2"},
                [TIMER_LIMIT] = {TERMINATED, 0, "17.1.1.2"},
            },
        [ACCEPTED] =
            {
                [GOT_2XX] = {ACCEPTED, DO_PASS, "RFC 6026 7.2"},
                [TIMER_LIMIT] = {TERMINATED, DO_END, "RFC 6026 7.2"},
            },
};

static const struct sip_step other_machine[STATES][EVENTS] =
    {
        [CALLING] =
            {
                [TIMER_REPEAT] = {CALLING, DO_RESEND | DO_START_E, "17.1.2.2"},
                [TIMER_LIMIT] = {TERMINATED, DO_TIMEOUT, "17.1.2.2"},
                [GOT_1XX] = {PROCEEDING, DO_PASS, "17.1.2.2"},
                [GOT_2XX] = {TERMINATED, DO_STOP | DO_PASS | DO_FORGET, "17.1.2.2"},
                [GOT_FINAL] = {TERMINATED, DO_STOP | DO_PASS | DO_FORGET, "17.1.2.2"},
                [FAILED] = {TERMINATED, DO_FAIL, "17.1.4"},
            },
        [PROCEEDING] =
            {
                [TIMER_REPEAT] = {PROCEEDING, DO_RESEND | DO_START_E_SLOW, "17.1.2.2"},
                [TIMER_LIMIT] = {TERMINATED, DO_TIMEOUT, "17.1.2.2"},
                [GOT_1XX] = {PROCEEDING, DO_PASS, "17.1.2.2"},
                [GOT_2XX] = {TERMINATED, DO_STOP | DO_PASS | DO_FORGET, "17.1.2.2"},
                [GOT_FINAL] = {TERMINATED, DO_STOP | DO_PASS | DO_FORGET, "17.1.2.2"},
            },
};

void sip_client_destroy(struct sip_client *tx) {
    if (tx->dead) {
        return;
    }
    tx->dead = true;
    timer_stop(&tx->repeat);
    timer_stop(&tx->limit);
    sip_path_leave(&tx->path);
    list_remove(&tx->in_all);
    htab_remove(&tx->stack->clients, &tx->node);
    tx->stack->counters.transactions--;
    if (!tx->in_callback) {
        struct arena arena = tx->arena;
        arena_release(&arena);
    }
}

static void start_doubled(struct sip_client *tx, uint64_t most_us) {
    tx->repeat_us = 2 * tx->repeat_us < most_us ? 2 * tx->repeat_us : most_us;
    timer_start(tx->stack->env, &tx->repeat, tx->repeat_us);
}

/* The request as it was sent, read again; its bytes are our own and well formed. */
static struct sip_msg *own_request(struct sip_client *tx) {
    struct sip_limits limits = sip_limits_default();
    struct sip_msg *req;
    struct sip_fault fault;
    limits.line_max = limits.message_max = DATAGRAM_MAX;
    limits.headers_max = SIP_HEADERS_CAP;
    limits.vias_max = limits.contacts_max = SIP_HEADERS_CAP;
    char *copy = arena_alloc(&tx->arena, tx->bytes.n);
    if (!copy) {
        return NULL;
    }
    memcpy(copy, tx->bytes.p, tx->bytes.n);
    return sip_parse(&tx->arena, copy, tx->bytes.n, &limits, &req, &fault) == OK ? req : NULL;
}

/* Writes the beginning of an ACK or CANCEL: what it has in common with its INVITE. */
static void put_like_invite(struct buf *b, const struct sip_msg *invite, enum sip_method method,
                            struct span to) {
    sip_put_request_line(b, sip_method_name(method), invite->request_uri);
    sip_put(b, SIP_H_VIA, invite->via.text);
    sip_copy(b, invite, SIP_H_ROUTE);
    sip_copy(b, invite, SIP_H_MAX_FORWARDS);
    sip_copy(b, invite, SIP_H_FROM);
    sip_put(b, SIP_H_TO, to);
    sip_copy(b, invite, SIP_H_CALL_ID);
    sip_put_begin(b, SIP_H_CSEQ);
    buf_u64(b, invite->cseq);
    buf_char(b, ' ');
    buf_put(b, sip_method_name(method));
    sip_put_end(b);
}

/* 17.1.1.3 */
static void acknowledge(struct sip_client *tx, const struct sip_msg *response) {
    struct sip_msg *invite = own_request(tx);
    if (!invite) {
        return;
    }
    struct sip_stack *stack = tx->stack;
    stack->out = buf_init(stack->out_bytes, DATAGRAM_MAX);
    put_like_invite(&stack->out, invite, SIP_ACK, sip_value(response, SIP_H_TO));
    sip_put_body(&stack->out, SPAN_NONE);
    if (!stack->out.overflow) {
        (void)sip_stack_send(stack, &tx->path, buf_span(&stack->out));
    }
}

static void on_repeat(struct timer *t);
static void on_limit(struct timer *t);

static void fail_later(struct sip_client *tx, enum error why) {
    tx->failure = why;
    timer_stop(&tx->repeat);
    timer_start(tx->stack->env, &tx->limit, 0);
}

static void start_repeating(struct sip_client *tx) {
    tx->repeat_us = tx->stack->config.t1_us;
    timer_start(tx->stack->env, &tx->repeat, tx->repeat_us);
}

/* 18.1.1: the peer does not speak TCP after all. The message is as it was. */
static void back_to_datagrams(struct sip_client *tx, int endpoint) {
    tx->switched = false;
    tx->is_reliable = false;
    tx->path.endpoint = (uint8_t)endpoint;
    tx->path.to.transport = SIP_UDP;
    struct buf via = buf_init((char *)(uintptr_t)tx->bytes.p + tx->via_at, 3);
    buf_put(&via, sip_transport_name(SIP_UDP));
    tx->failure = sip_stack_send(tx->stack, &tx->path, tx->bytes);
    if (tx->failure) {
        fail_later(tx, tx->failure);
    } else {
        start_repeating(tx);
    }
}

/* The connection broke. What an INVITE with a provisional answer waits for may still come by
 * another one (18.2.2). */
static void on_broken(struct sip_path *path, enum error why) {
    struct sip_client *tx = CONTAINER_OF(path, struct sip_client, path);
    bool never_stood = why == ERR_REFUSED || why == ERR_UNREACHABLE || why == ERR_TIMEOUT;
    int udp = sip_stack_endpoint(tx->stack, SIP_UDP);
    if (tx->state == CALLING && tx->switched && never_stood && udp >= 0) {
        back_to_datagrams(tx, udp);
    } else if (tx->state == CALLING || (tx->state == PROCEEDING && tx->method != SIP_INVITE)) {
        fail_later(tx, why);
    }
}

/* By which endpoint and transport; see sip_client_begin. */
static bool choose_path(struct sip_stack *stack, unsigned endpoint, const struct sip_hop *to,
                        struct sip_path *path) {
    int udp = sip_stack_endpoint(stack, SIP_UDP), own = (int)endpoint;
    *path = (struct sip_path){.to = *to, .broken = on_broken};
    if (to->transport == SIP_TCP && udp >= 0 &&
        dgram_is_reliable(stack->endpoints[udp].dgram, &to->addr)) {
        path->to.transport = SIP_UDP;
    }
    if (stack->endpoints[own].transport != path->to.transport) {
        own = sip_stack_endpoint(stack, path->to.transport);
    }
    path->endpoint = (uint8_t)(own < 0 ? 0 : own);
    return own >= 0;
}

/* A transaction without a message yet. */
static struct sip_client *client_new(struct sip_stack *stack, unsigned endpoint,
                                     const struct sip_hop *to, enum sip_method method,
                                     uint64_t token) {
    struct arena arena = arena_init(stack->env->chunks);
    struct sip_client *tx = NULL;
    if (stack->counters.transactions < stack->config.transactions_max) {
        tx = ARENA_NEW(&arena, struct sip_client);
    }
    if (!tx || htab_insert(&stack->clients, &tx->node, hash_mix(0, token)) != OK) {
        stack->counters.busy++;
        arena_release(&arena);
        return NULL;
    }
    tx->stack = stack;
    tx->arena = arena;
    tx->token = token;
    tx->method = (uint8_t)method;
    if (!choose_path(stack, endpoint, to, &tx->path)) {
        tx->failure = ERR_UNSUPPORTED;
    }
    tx->is_reliable = tx->path.to.transport != SIP_UDP ||
                      dgram_is_reliable(stack->endpoints[tx->path.endpoint].dgram, &to->addr);
    timer_init(&tx->repeat, on_repeat);
    timer_init(&tx->limit, on_limit);
    list_insert(&stack->all_clients, &tx->in_all);
    stack->counters.transactions++;
    return tx;
}

/* 9.1: a transaction of its own, with the branch of the INVITE. */
static void send_cancel(struct sip_client *tx) {
    struct sip_stack *stack = tx->stack;
    struct sip_msg *invite = own_request(tx);
    struct sip_client *cancel =
        invite ? client_new(stack, tx->path.endpoint, &tx->path.to, SIP_CANCEL, tx->token) : NULL;
    tx->cancel_sent = true;
    timer_start(stack->env, &tx->limit, 64 * stack->config.t1_us);
    if (!cancel) {
        return;
    }
    stack->out = buf_init(stack->out_bytes, DATAGRAM_MAX);
    put_like_invite(&stack->out, invite, SIP_CANCEL, sip_value(invite, SIP_H_TO));
    if (sip_client_send(cancel, SPAN_NONE, NULL, NULL) != OK) {
        stack->counters.send_failures++;
    }
}

/* Tells the owner; the transaction's memory stays until this is over. */
static void tell(struct sip_client *tx, unsigned actions, const struct sip_msg *response) {
    const struct sip_client_handler *handler = tx->handler;
    void *ctx = tx->ctx;
    enum error failure = tx->failure;
    if (actions & (DO_FORGET | DO_TIMEOUT | DO_FAIL | DO_END)) {
        tx->handler = NULL;
    }
    if (!handler) {
        return;
    }
    if (actions & DO_PASS) {
        handler->response(ctx, tx, response);
    } else if ((actions & DO_FAIL) && handler->transport_error) {
        handler->transport_error(ctx, tx, failure);
    } else if (actions & (DO_TIMEOUT | DO_FAIL)) {
        handler->timeout(ctx, tx);
    } else if ((actions & DO_END) && handler->ended) {
        handler->ended(ctx, tx);
    }
}

/* Does the event in this state. The transaction may be gone afterwards. */
static void step(struct sip_client *tx, enum event event, const struct sip_msg *response) {
    const struct sip_step *s = tx->method == SIP_INVITE ? &invite_machine[tx->state][event]
                                                        : &other_machine[tx->state][event];
    struct sip_stack *stack = tx->stack;
    const struct sip_stack_config *c = &stack->config;
    if (s->next == STATE_NONE) {
        return;
    }
    unsigned actions = s->actions;
    tx->state = s->next;
    if (actions & DO_RESEND) {
        stack->counters.sent_again++;
        (void)sip_stack_send(stack, &tx->path, tx->bytes);
    }
    if (actions & DO_START_A) {
        start_doubled(tx, UINT64_MAX);
    }
    if (actions & (DO_START_E | DO_START_E_SLOW)) {
        tx->repeat_us = actions & DO_START_E_SLOW ? c->t2_us : tx->repeat_us;
        start_doubled(tx, c->t2_us);
    }
    if (actions & DO_STOP) {
        timer_stop(&tx->repeat);
        timer_stop(&tx->limit);
    }
    if (actions & DO_ACK) {
        acknowledge(tx, response);
    }
    if (actions & DO_START_D) {
        if (tx->is_reliable) {
            tx->state = TERMINATED;
        } else {
            timer_start(stack->env, &tx->limit, 64 * c->t1_us);
        }
    }
    if (actions & DO_START_M) {
        timer_start(stack->env, &tx->limit, 64 * c->t1_us);
    }
    if ((actions & DO_CANCEL) && tx->cancel_wanted) {
        send_cancel(tx);
    }
    stack->counters.timeouts += (actions & DO_TIMEOUT) != 0;
    bool was_in_callback = tx->in_callback;
    tx->in_callback = true;
    if (tx->state == TERMINATED) {
        sip_client_destroy(tx);
    }
    tell(tx, actions, response);
    tx->in_callback = was_in_callback;
    if (tx->dead && !was_in_callback) {
        struct arena arena = tx->arena;
        arena_release(&arena);
    }
}

static void on_repeat(struct timer *t) {
    step(CONTAINER_OF(t, struct sip_client, repeat), TIMER_REPEAT, NULL);
}

static void on_limit(struct timer *t) {
    struct sip_client *tx = CONTAINER_OF(t, struct sip_client, limit);
    step(tx, tx->failure ? FAILED : TIMER_LIMIT, NULL);
}

/* The token in a branch that is ours. */
static bool read_token(struct span branch, uint64_t *token) {
    size_t cookie = BRANCH_COOKIE.n;
    uint8_t bytes[TOKEN_BYTES];
    if (branch.n < cookie + TOKEN_DIGITS || !span_starts_with(branch, BRANCH_COOKIE) ||
        !span_to_bytes(span_slice(branch, cookie, cookie + TOKEN_DIGITS), bytes, sizeof bytes)) {
        return false;
    }
    memcpy(token, bytes, sizeof *token);
    return true;
}

/* 18.1.2: a response whose Via is not ours is not for us, whatever its branch. */
static bool is_for(const struct sip_client *tx, const struct sip_msg *response) {
    return sip_via_is_own(&response->via, sip_stack_sent_by(tx->stack, tx->path.endpoint));
}

void sip_client_receive(struct sip_stack *stack, const struct sip_msg *response) {
    uint64_t token;
    struct htab_node *node = NULL;
    if (read_token(response->via.branch, &token)) {
        node = htab_first(&stack->clients, hash_mix(0, token));
    }
    for (; node; node = htab_next(node)) {
        struct sip_client *tx = CONTAINER_OF(node, struct sip_client, node);
        if (tx->token == token && tx->method == response->method && tx->state != STATE_NONE &&
            is_for(tx, response)) {
            unsigned status = response->status;
            step(tx, status < 200 ? GOT_1XX : status < 300 ? GOT_2XX : GOT_FINAL, response);
            return;
        }
    }
    stack->counters.stray_responses++;
}

/* What a terminal's Via asks of the next hop. */
static struct span via_params(const struct sip_client *tx) {
    const struct sip_stack_config *c = &tx->stack->config;
    bool rport = c->rport && !tx->is_reliable;
    return rport     ? c->keep ? SPAN(";rport;keep") : SPAN(";rport")
               : c->keep ? SPAN(";keep")
                     : SPAN_NONE;
}

struct buf *sip_client_begin_branch(struct sip_stack *stack, unsigned endpoint,
                                    const struct sip_hop *to, struct span method, struct span uri,
                                    struct span suffix, struct sip_client **out) {
    uint8_t token_bytes[TOKEN_BYTES];
    uint64_t token;
    sip_stack_random(stack, token_bytes, sizeof token_bytes);
    memcpy(&token, token_bytes, sizeof token);
    struct sip_client *tx = client_new(stack, endpoint, to, sip_method_from(method), token);
    *out = tx;
    if (!tx) {
        return NULL;
    }
    stack->out = buf_init(stack->out_bytes, DATAGRAM_MAX);
    struct buf *b = &stack->out;
    sip_put_request_line(b, method, uri);
    sip_put_begin(b, SIP_H_VIA);
    stack->via_at = b->n + sizeof "SIP/2.0/" - 1;
    sip_put_via(b, sip_transport_name(tx->path.to.transport),
                sip_stack_sent_by(stack, tx->path.endpoint), via_params(tx), BRANCH_COOKIE);
    buf_hex(b, token_bytes, sizeof token_bytes);
    buf_put(b, suffix);
    sip_put_end(b);
    return b;
}

struct buf *sip_client_begin(struct sip_stack *stack, unsigned endpoint, const struct sip_hop *to,
                             struct span method, struct span uri, struct sip_client **out) {
    return sip_client_begin_branch(stack, endpoint, to, method, uri, SPAN_NONE, out);
}

void sip_client_expect(struct sip_client *tx, struct span name) {
    if (tx->path.to.transport == SIP_TLS) {
        bool failed = false;
        tx->path.host = arena_copy(&tx->arena, name, &failed);
        tx->failure = failed ? ERR_NO_MEMORY : tx->failure;
    }
}

/* Ends the message that was built. */
static enum error finish(struct sip_client *tx, struct span body) {
    struct sip_stack *stack = tx->stack;
    sip_put_body(&stack->out, body);
    return stack->out.overflow || stack->out.n > stack->config.limits.message_max ? ERR_TOO_BIG
                                                                                  : OK;
}

/* 18.1.1: too long for a datagram, and the same host may take it over TCP. */
static void switch_if_long(struct sip_client *tx) {
    struct sip_stack *stack = tx->stack;
    int tcp = sip_stack_endpoint(stack, SIP_TCP);
    if (tx->is_reliable || tx->path.to.transport != SIP_UDP || tcp < 0 ||
        stack->out.n <= stack->config.datagram_max ||
        !span_eq(sip_stack_sent_by(stack, tx->path.endpoint),
                 sip_stack_sent_by(stack, (unsigned)tcp))) {
        return;
    }
    struct buf via = buf_init(stack->out.p + stack->via_at, 3);
    buf_put(&via, sip_transport_name(SIP_TCP));
    tx->via_at = stack->via_at;
    tx->path.endpoint = (uint8_t)tcp;
    tx->path.to.transport = SIP_TCP;
    tx->switched = tx->is_reliable = true;
    stack->counters.switched_to_tcp++;
}

enum error sip_client_send(struct sip_client *tx, struct span body,
                           const struct sip_client_handler *handler, void *ctx) {
    struct sip_stack *stack = tx->stack;
    enum error e = finish(tx, body);
    bool failed = false;
    if (e == OK) {
        switch_if_long(tx);
    }
    if (e == OK && (!tx->is_reliable || tx->switched || tx->method == SIP_INVITE)) {
        tx->bytes = arena_copy(&tx->arena, buf_span(&stack->out), &failed);
        e = failed ? ERR_NO_MEMORY : OK;
    }
    if (e != OK) {
        sip_client_destroy(tx);
        return e;
    }
    tx->handler = handler;
    tx->ctx = ctx;
    tx->state = CALLING;
    stack->counters.sent_requests[tx->method]++;
    if (!tx->failure) {
        tx->failure = sip_stack_send(stack, &tx->path, buf_span(&stack->out));
    }
    if (tx->failure) {
        fail_later(tx, tx->failure);
        return OK;
    }
    timer_start(stack->env, &tx->limit, 64 * stack->config.t1_us);
    if (!tx->is_reliable) {
        start_repeating(tx);
    }
    return OK;
}

enum error sip_client_send_ack(struct sip_client *tx, struct span body) {
    enum error e = finish(tx, body);
    if (e == OK) {
        tx->stack->counters.sent_requests[tx->method]++;
        e = tx->failure ? tx->failure
                        : sip_stack_send(tx->stack, &tx->path, buf_span(&tx->stack->out));
    }
    sip_client_destroy(tx);
    return e;
}

void sip_client_cancel(struct sip_client *tx) {
    if (tx->method != SIP_INVITE || tx->cancel_wanted) {
        return;
    }
    tx->cancel_wanted = true;
    if (tx->state == PROCEEDING) {
        send_cancel(tx);
    }
}

void sip_client_limit(struct sip_client *tx, uint64_t limit_us) {
    if (timer_is_running(&tx->limit) && (tx->state == CALLING || tx->state == PROCEEDING)) {
        timer_start(tx->stack->env, &tx->limit, limit_us);
    }
}

void sip_client_free(struct sip_client *tx) {
    if (!tx) {
        return;
    }
    tx->handler = NULL;
    if (tx->method != SIP_INVITE || tx->state == STATE_NONE) {
        sip_client_destroy(tx);
    }
}

const struct sip_hop *sip_client_destination(const struct sip_client *tx) {
    return &tx->path.to;
}

struct arena *sip_client_arena(struct sip_client *tx) {
    return &tx->arena;
}
