/* The transport's side of a SIP stack: RFC 3261 section 18 and RFC 3581 over datagrams. What
 * arrives is read, refused without state if it is not a message or beyond the limits, and handed to
 * its transaction; what leaves is counted and recorded. */
#include "obs/trace.h"
#include "stack/sip/internal.h"

#include <stdlib.h>

enum {
    T1_DEFAULT_MS = 500,
    T2_DEFAULT_MS = 4000,
    T4_DEFAULT_MS = 5000,
    TIMER_C_DEFAULT_MS = 181000,
    TRANSACTIONS_DEFAULT = 100000
};

void sip_stack_random(struct sip_stack *stack, void *out, size_t n) {
    if (stack->random_used + n > RANDOM_BYTES) {
        env_random(stack->env, stack->random, RANDOM_BYTES);
        stack->random_used = 0;
    }
    memcpy(out, stack->random + stack->random_used, n);
    stack->random_used += n;
}

void sip_stack_put_token(struct sip_stack *stack, struct buf *b) {
    uint8_t bytes[TOKEN_BYTES];
    sip_stack_random(stack, bytes, sizeof bytes);
    buf_hex(b, bytes, sizeof bytes);
}

static void record(struct sip_stack *stack, const struct addr *from, const struct addr *to,
                   struct span bytes) {
    const struct trace_message m = {.at_us = env_now_us(stack->env),
                                    .wall_us = env_wall_us(stack->env),
                                    .protocol = TRACE_SIP,
                                    .from = *from,
                                    .to = *to,
                                    .bytes = bytes};
    trace_record(stack->env->trace, &m);
}

enum error sip_stack_send(struct sip_stack *stack, unsigned endpoint, const struct addr *to,
                          struct span bytes) {
    struct dgram *dgram = stack->endpoints[endpoint].dgram;
    if (trace_is_on(stack->env->trace) && !trace_is_local(stack->env->trace, to)) {
        record(stack, dgram_local(dgram), to, bytes);
    }
    enum error e = dgram_send(dgram, to, bytes);
    stack->counters.send_failures += e != OK;
    return e;
}

void sip_stack_count_response(struct sip_stack *stack, unsigned status) {
    stack->counters.sent_responses[status / 100 < 7 ? status / 100 : 0]++;
}

struct addr sip_reply_address(const struct sip_via *via, const struct addr *source) {
    struct addr to;
    uint16_t port = via->port ? via->port : 5060;
    if (via->maddr.p && addr_parse_host(via->maddr, port, &to)) {
        return to;
    }
    to = *source;
    to.port = via->rport ? source->port : port;
    return to;
}

void sip_stack_reply_stateless(struct sip_stack *stack, unsigned endpoint,
                               const struct addr *source, const struct sip_msg *req,
                               unsigned status, const char *reason, struct span to_tag) {
    enum { STATELESS_MAX = 4096 }; /* a request whose Vias and tags outgrow it gets no answer */
    char bytes[STATELESS_MAX], tag[TOKEN_DIGITS];
    struct buf b = buf_init(bytes, sizeof bytes);
    if (to_tag.n == 0) {
        /* The same tag for a request that is repeated (RFC 3261 8.2.7). */
        uint64_t hash = hash_mix(hash_bytes(req->call_id), hash_bytes(req->via.branch));
        struct buf t = buf_init(tag, sizeof tag);
        buf_hex(&t, &hash, sizeof hash);
        to_tag = buf_span(&t);
    }
    sip_put_reply(&b, req, status, span_from_cstr(reason), to_tag);
    if (stack->config.agent.n) {
        sip_put(&b, SIP_H_SERVER, stack->config.agent);
    }
    sip_put_body(&b, SPAN_NONE);
    if (b.overflow) {
        return;
    }
    const struct addr to = sip_reply_address(&req->via, source);
    sip_stack_count_response(stack, status);
    (void)sip_stack_send(stack, endpoint, &to, buf_span(&b));
}

/* Notes in a request where it came from. */
static bool stamp(struct arena *arena, struct sip_msg *req, const struct addr *from) {
    if (!sip_via_needs_stamp(&req->via, from)) {
        return true;
    }
    enum { STAMP_MAX = 80 };
    size_t cap = req->via.text.n + STAMP_MAX;
    char *text = arena_alloc(arena, cap);
    if (!text) {
        return false;
    }
    struct buf b = buf_init(text, cap);
    sip_put_via_stamped(&b, &req->via, from);
    req->stamped_via = buf_span(&b);
    return true;
}

static void refuse_unread(struct endpoint *at, const struct addr *from, struct arena *arena,
                          enum error e, struct sip_msg *req, const struct sip_fault *fault) {
    struct sip_stack *stack = at->stack;
    if (e == ERR_INCOMPLETE || e == ERR_NO_MEMORY) {
        return;
    }
    if (e == ERR_TOO_BIG) {
        stack->counters.too_large++;
    } else {
        stack->counters.malformed++;
    }
    char source[64];
    struct buf b = buf_init(source, sizeof source);
    addr_put(&b, from);
    LOG(&stack->env->log, LOG_INFO, "SIP message refused", LOG_SPAN("from", buf_span(&b)),
        LOG_U64("status", fault->status), LOG_CSTR("reason", fault->reason));
    if (fault->status && req && stamp(arena, req, from)) {
        sip_stack_reply_stateless(stack, at->number, from, req, fault->status, fault->reason,
                                  SPAN_NONE);
    }
}

static void receive_request(struct endpoint *at, const struct addr *from, const char *bytes,
                            size_t n) {
    struct sip_stack *stack = at->stack;
    struct arena arena = arena_init(stack->env->chunks);
    struct sip_msg *req;
    struct sip_fault fault;
    char *copy = arena_alloc(&arena, n);
    if (!copy) {
        return;
    }
    memcpy(copy, bytes, n);
    enum error e = sip_parse(&arena, copy, n, &stack->config.limits, &req, &fault);
    if (e == OK && stamp(&arena, req, from)) {
        sip_server_receive(at, from, &arena, req);
        return;
    }
    refuse_unread(at, from, &arena, e, req, &fault);
    arena_release(&arena);
}

static void receive_response(struct endpoint *at, const struct addr *from, char *bytes, size_t n) {
    struct sip_stack *stack = at->stack;
    struct arena arena = arena_init(stack->env->chunks);
    struct sip_msg *response;
    struct sip_fault fault;
    enum error e = sip_parse(&arena, bytes, n, &stack->config.limits, &response, &fault);
    if (e == OK) {
        stack->counters.received_responses[response->status / 100]++;
        sip_client_receive(at, response);
    } else {
        refuse_unread(at, from, &arena, e, NULL, &fault);
    }
    arena_release(&arena);
}

static void on_datagram(void *ctx, struct dgram *d, const struct addr *from, char *bytes,
                        size_t n) {
    struct endpoint *at = ctx;
    if (trace_is_on(at->stack->env->trace)) {
        record(at->stack, from, dgram_local(d), (struct span){bytes, n});
    }
    if (span_starts_with_nocase((struct span){bytes, n}, SPAN("SIP/"))) {
        receive_response(at, from, bytes, n);
    } else {
        receive_request(at, from, bytes, n);
    }
}

static void set_defaults(struct sip_stack_config *c) {
    c->t1_us = c->t1_us ? c->t1_us : T1_DEFAULT_MS * MS_IN_US;
    c->t2_us = c->t2_us ? c->t2_us : T2_DEFAULT_MS * MS_IN_US;
    c->t4_us = c->t4_us ? c->t4_us : T4_DEFAULT_MS * MS_IN_US;
    c->timer_c_us = c->timer_c_us ? c->timer_c_us : TIMER_C_DEFAULT_MS * MS_IN_US;
    c->transactions_max = c->transactions_max ? c->transactions_max : TRANSACTIONS_DEFAULT;
    if (c->limits.message_max == 0) {
        c->limits = sip_limits_default();
    }
}

static enum error open_endpoint(struct sip_stack *stack, unsigned i) {
    struct endpoint *at = &stack->endpoints[i];
    *at = (struct endpoint){.stack = stack, .number = i};
    enum error e = env_dgram_open(stack->env, &stack->config.local[i], stack->config.dgram_flags,
                                  on_datagram, at, &at->dgram);
    if (e == OK) {
        struct buf b = buf_init(at->sent_by, sizeof at->sent_by);
        addr_put(&b, dgram_local(at->dgram));
        at->sent_by_n = b.n;
    }
    return e;
}

enum error sip_stack_new(struct env *env, const struct sip_stack_config *config,
                         const struct sip_stack_handler *handler, void *ctx,
                         struct sip_stack **out) {
    struct sip_stack *stack = calloc(1, sizeof *stack);
    enum error e = ERR_NO_MEMORY;
    if (!stack) {
        return e;
    }
    stack->env = env;
    stack->config = *config;
    stack->handler = handler;
    stack->ctx = ctx;
    stack->random_used = RANDOM_BYTES;
    set_defaults(&stack->config);
    list_init(&stack->all_servers);
    list_init(&stack->all_clients);
    stack->out_bytes = malloc(DATAGRAM_MAX);
    if (!stack->out_bytes) {
        goto out;
    }
    e = config->n_local ? OK : ERR_INVALID;
    for (unsigned i = 0; e == OK && i < config->n_local; i++) {
        e = open_endpoint(stack, i);
    }
out:
    if (e != OK) {
        sip_stack_free(stack);
        stack = NULL;
    }
    *out = stack;
    return e;
}

void sip_stack_free(struct sip_stack *stack) {
    if (!stack) {
        return;
    }
    LIST_EACH(&stack->all_servers, tx, struct sip_server, in_all) {
        sip_server_destroy(tx);
    }
    LIST_EACH(&stack->all_clients, tx, struct sip_client, in_all) {
        sip_client_destroy(tx);
    }
    for (unsigned i = 0; i < SIP_ENDPOINTS_MAX; i++) {
        dgram_close(stack->endpoints[i].dgram);
    }
    answers_free(&stack->answers);
    htab_free(&stack->servers);
    htab_free(&stack->clients);
    free(stack->out_bytes);
    free(stack);
}

const struct addr *sip_stack_local(const struct sip_stack *stack, unsigned endpoint) {
    return dgram_local(stack->endpoints[endpoint].dgram);
}

struct span sip_stack_sent_by(const struct sip_stack *stack, unsigned endpoint) {
    const struct endpoint *at = &stack->endpoints[endpoint];
    return stack->config.sent_by.n ? stack->config.sent_by
                                   : (struct span){at->sent_by, at->sent_by_n};
}

const struct sip_stack_counters *sip_stack_counters(const struct sip_stack *stack) {
    return &stack->counters;
}

struct env *sip_stack_env(const struct sip_stack *stack) {
    return stack->env;
}

enum error sip_stack_relay_response(struct sip_stack *stack, unsigned endpoint,
                                    const struct sip_msg *response, const struct sip_edits *edits) {
    struct sip_list list = sip_list_of(response, SIP_H_VIA);
    struct sip_via own, via;
    struct sip_edits all;
    if (!sip_via_next(&list, &own) || !sip_via_next(&list, &via)) {
        stack->counters.stray_responses++;
        return ERR_NOT_FOUND;
    }
    struct addr to;
    uint16_t port = via.rport_value ? via.rport_value : via.port ? via.port : 5060;
    if (!addr_parse_host(via.received.p ? via.received : via.host, port, &to)) {
        return ERR_UNREACHABLE;
    }
    sip_edits_copy(&all, edits);
    sip_edit_pop(&all, SIP_H_VIA);
    stack->out = buf_init(stack->out_bytes, DATAGRAM_MAX);
    sip_put_status_line(&stack->out, response->status, response->reason);
    sip_put_edited(&stack->out, response, &all);
    sip_put_body(&stack->out, response->body);
    if (stack->out.overflow) {
        return ERR_TOO_BIG;
    }
    sip_stack_count_response(stack, response->status);
    return sip_stack_send(stack, endpoint, &to, buf_span(&stack->out));
}
