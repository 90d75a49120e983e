/* The transport's side of a SIP stack: RFC 3261 section 18 and RFC 3581; streams are in
 * connection.c. What arrives is read, refused without state if it is not a message or beyond the
 * limits, and handed to its transaction; what leaves is counted and recorded. */
#include "codec/stun/stun.h"
#include "obs/journal.h"
#include "obs/trace.h"
#include "stack/sip/internal.h"
#include "stack/sip/refuse.h"

#include <stdlib.h>

enum {
    T1_DEFAULT_MS = 500,
    T2_DEFAULT_MS = 4000,
    T4_DEFAULT_MS = 5000,
    TIMER_C_DEFAULT_MS = 181000,
    TRANSACTIONS_DEFAULT = 100000,
    DATAGRAM_DEFAULT = 1300,
    CONNECTIONS_DEFAULT = 65536,
    IDLE_DEFAULT_S = 900,
    PARTIAL_DEFAULT_S = 20,
    PORT_TRIES = 16
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

void sip_stack_record(struct sip_stack *stack, const struct addr *from, const struct addr *to,
                      bool stream, struct span bytes) {
    const struct trace_message m = {.at_us = env_clock_us(stack->env),
                                    .wall_us = env_wall_us(stack->env),
                                    .protocol = TRACE_SIP,
                                    .stream = stream,
                                    .from = *from,
                                    .to = *to,
                                    .bytes = bytes};
    trace_record(stack->env->trace, &m);
}

static enum error send_datagram(struct sip_stack *stack, const struct sip_path *path,
                                struct span bytes) {
    struct dgram *dgram = stack->endpoints[path->endpoint].dgram;
    const struct addr *to = &path->to.addr;
    if (trace_is_on(stack->env->trace) && !trace_is_local(stack->env->trace, to)) {
        sip_stack_record(stack, dgram_local(dgram), to, false, bytes);
    }
    return dgram_send(dgram, to, bytes);
}

enum error sip_stack_send(struct sip_stack *stack, struct sip_path *path, struct span bytes) {
    enum error e = OK;
    if (path->to.transport == SIP_UDP) {
        e = send_datagram(stack, path, bytes);
    } else {
        e = path->connection ? OK : connection_find(stack, path);
        e = e ? e : connection_send(path->connection, bytes);
    }
    stack->counters.send_failures += e != OK;
    return e;
}

/* One that is not sent is lost, as any datagram may be. */
static bool may_answer(struct sip_stack *stack, const struct sip_path *path, size_t n,
                       size_t *credit) {
    const struct addr *to = &path->to.addr;
    if (path->to.transport != SIP_UDP) {
        return true;
    }
    if (n <= *credit) {
        *credit -= n;
        return true;
    }
    return !stack->config.faces_terminals ||
           dgram_is_reliable(stack->endpoints[path->endpoint].dgram, to) ||
           (stack->handler->hears && stack->handler->hears(stack->ctx, to)) ||
           amplification_pay(&stack->amplification, env_now_us(stack->env), to);
}

enum error sip_stack_send_answer(struct sip_stack *stack, struct sip_path *path, struct span bytes,
                                 size_t *credit) {
    if (!may_answer(stack, path, bytes.n, credit)) {
        stack->counters.amplifying_dropped++;
        return OK;
    }
    return sip_stack_send(stack, path, bytes);
}

void sip_stack_heard_by(struct sip_stack *stack, const struct addr *at) {
    amplification_forgive(&stack->amplification, at);
}

enum error sip_stack_send_once(struct sip_stack *stack, const struct sip_origin *by,
                               const struct sip_hop *to, struct span bytes) {
    struct sip_path path = {.to = *to, .endpoint = (uint8_t)by->at->number};
    if (by->connection) {
        sip_path_join(&path, by->connection);
    }
    size_t credit = amplification_credit(by->n);
    enum error e = sip_stack_send_answer(stack, &path, bytes, &credit);
    sip_path_leave(&path);
    return e;
}

void sip_stack_count_response(struct sip_stack *stack, unsigned status) {
    stack->counters.sent_responses[status / 100 < 7 ? status / 100 : 0]++;
}

struct sip_hop sip_reply_hop(const struct sip_via *via, const struct sip_hop *source) {
    struct sip_hop to = *source;
    uint16_t port = via->port ? via->port : sip_transport_port(source->transport);
    if (source->transport == SIP_UDP && via->maddr.p &&
        addr_parse_host(via->maddr, port, &to.addr)) {
        return to;
    }
    to.addr.port = source->transport == SIP_UDP && via->rport ? source->addr.port : port;
    return to;
}

/* An answer without a transaction, whose header lines `more` may add to. */
static void reply_stateless(const struct sip_origin *origin, const struct sip_msg *req,
                            unsigned status, const char *reason, struct span to_tag,
                            void (*more)(struct buf *b, const struct sip_origin *origin,
                                         uint64_t hash)) {
    struct sip_stack *stack = origin->at->stack;
    char tag[TOKEN_DIGITS];
    struct buf b = buf_init(stack->out_bytes, DATAGRAM_MAX);
    /* The same tag for a request that is repeated (RFC 3261 8.2.7). */
    uint64_t hash = hash_mix(hash_bytes(req->call_id), hash_bytes(req->via.branch));
    if (to_tag.n == 0) {
        struct buf t = buf_init(tag, sizeof tag);
        buf_hex(&t, &hash, sizeof hash);
        to_tag = buf_span(&t);
    }
    sip_put_reply(&b, req, status, span_from_cstr(reason), to_tag);
    if (stack->config.agent.n) {
        sip_put(&b, SIP_H_SERVER, stack->config.agent);
    }
    if (more) {
        more(&b, origin, hash);
    }
    sip_put_body(&b, SPAN_NONE);
    if (b.overflow) {
        return;
    }
    const struct sip_hop to = sip_reply_hop(&req->via, &origin->from);
    sip_stack_count_response(stack, status);
    (void)sip_stack_send_once(stack, origin, &to, buf_span(&b));
}

void sip_stack_reply_stateless(const struct sip_origin *origin, const struct sip_msg *req,
                               unsigned status, const char *reason, struct span to_tag) {
    reply_stateless(origin, req, status, reason, to_tag, NULL);
}

static void put_overload(struct buf *b, const struct sip_origin *origin, uint64_t hash) {
    static const struct sip_refusal refusal = {.status = 503, .why = REASON_OVERLOAD};
    sip_put_number(b, SIP_H_RETRY_AFTER,
                   sip_refusal_retry_after(&refusal, &origin->at->stack->config.admission, hash));
    sip_put_reason(b, (struct span){origin->at->sent_by, origin->at->sent_by_n}, refusal.why);
}

void sip_stack_shed(const struct sip_origin *origin, const struct sip_msg *req) {
    reply_stateless(origin, req, 503, NULL, SPAN_NONE, put_overload);
}

/* Notes in a request where it came from. */
static bool stamp(struct arena *arena, struct sip_msg *req, const struct addr *from,
                  uint32_t keep_s) {
    if (!sip_via_needs_stamp(&req->via, from, keep_s)) {
        return true;
    }
    enum { STAMP_MAX = 96 };
    size_t cap = req->via.text.n + STAMP_MAX;
    char *text = arena_alloc(arena, cap);
    if (!text) {
        return false;
    }
    struct buf b = buf_init(text, cap);
    sip_put_via_stamped(&b, &req->via, from, keep_s);
    req->stamped_via = buf_span(&b);
    return true;
}

/* As far as it can be read. */
static struct span uri_of_to(const struct sip_msg *req) {
    struct sip_address to;
    return sip_address_of(req, SIP_H_TO, &to) == OK ? to.uri_text : SPAN_NONE;
}

static void refuse_unread(const struct sip_origin *origin, struct arena *arena, enum error e,
                          struct sip_msg *req, const struct sip_fault *fault) {
    struct sip_stack *stack = origin->at->stack;
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
    addr_put(&b, &origin->from.addr);
    LOG(&stack->env->log, LOG_INFO, "SIP message refused", LOG_SPAN("from", buf_span(&b)),
        LOG_U64("status", fault->status), LOG_CSTR("reason", fault->reason));
    if (req && req->is_request) {
        enum reason why = e == ERR_TOO_BIG ? REASON_TOO_LARGE : REASON_MALFORMED_MESSAGE;
        journal_add(stack->env, &(struct journal_note){.step = STEP_REFUSED,
                                                       .reason = why,
                                                       .status = fault->status,
                                                       .impu = uri_of_to(req),
                                                       .call_id = req->call_id,
                                                       .detail = span_from_cstr(fault->reason)});
    }
    if (fault->status && req && stamp(arena, req, &origin->from.addr, 0)) {
        sip_stack_reply_stateless(origin, req, fault->status, fault->reason, SPAN_NONE);
    }
}

static void receive_request(const struct sip_origin *origin, const char *bytes, size_t n) {
    struct sip_stack *stack = origin->at->stack;
    struct arena arena = arena_init(stack->env->chunks);
    struct sip_msg *req;
    struct sip_fault fault;
    char *copy = arena_alloc(&arena, n);
    if (!copy) {
        return;
    }
    memcpy(copy, bytes, n);
    enum error e = sip_parse(&arena, copy, n, &stack->config.limits, &req, &fault);
    if (e == OK && stamp(&arena, req, &origin->from.addr, stack->config.keep_s)) {
        sip_server_receive(origin, &arena, req);
        return;
    }
    refuse_unread(origin, &arena, e, req, &fault);
    arena_release(&arena);
}

static void receive_response(const struct sip_origin *origin, char *bytes, size_t n) {
    struct sip_stack *stack = origin->at->stack;
    struct arena arena = arena_init(stack->env->chunks);
    struct sip_msg *response;
    struct sip_fault fault;
    enum error e = sip_parse(&arena, bytes, n, &stack->config.limits, &response, &fault);
    if (e == OK) {
        stack->counters.received_responses[response->status / 100]++;
        sip_client_receive(stack, response);
    } else {
        refuse_unread(origin, &arena, e, NULL, &fault);
    }
    arena_release(&arena);
}

void sip_stack_receive(const struct sip_origin *origin, char *bytes, size_t n) {
    if (span_starts_with_nocase((struct span){bytes, n}, SPAN("SIP/"))) {
        receive_response(origin, bytes, n);
    } else {
        receive_request(origin, bytes, n);
    }
}

void sip_stack_refuse_unframed(const struct sip_origin *origin, char *bytes, size_t n,
                               enum error why) {
    struct sip_stack *stack = origin->at->stack;
    struct arena arena = arena_init(stack->env->chunks);
    struct sip_msg *req = NULL;
    struct sip_fault fault;
    enum error e = sip_parse(&arena, bytes, n, &stack->config.limits, &req, &fault);
    if (e != ERR_NO_MEMORY && req && req->is_request && req->method != SIP_ACK) {
        fault = why == ERR_TOO_BIG ? (struct sip_fault){513, "Message Too Large"}
                                   : (struct sip_fault){400, "Missing or wrong Content-Length"};
    }
    refuse_unread(origin, &arena, why, req, &fault);
    arena_release(&arena);
}

/* RFC 5626 3.5.2. True: it was STUN, asking or answering, of use or not. */
static bool took_stun(struct endpoint *at, const struct addr *from, const char *bytes, size_t n) {
    enum { ANSWER_MAX = 128 };
    char answer[ANSWER_MAX];
    struct buf b = buf_init(answer, sizeof answer);
    if (!stun_may_be(bytes, n)) {
        return false;
    }
    if (sip_keep_alive_answered(at->stack, from, span_of(bytes, n))) {
        return true;
    }
    if (stun_answer(span_of(bytes, n), from, &b) == OK) {
        struct sip_path path = {.to = {*from, SIP_UDP}, .endpoint = (uint8_t)at->number};
        size_t credit = amplification_credit(n);
        at->stack->counters.keep_alives++;
        if (may_answer(at->stack, &path, b.n, &credit)) {
            (void)dgram_send(at->dgram, from, buf_span(&b));
        } else {
            at->stack->counters.amplifying_dropped++;
        }
    } else {
        at->stack->counters.malformed++;
    }
    return true;
}

/* A flood: what most of it is made of is not even read. */
static bool drops_unread(const struct sip_origin *origin, struct span bytes) {
    struct sip_stack *stack = origin->at->stack;
    uint64_t now_us = env_now_us(stack->env);
    if (sip_admission_decide(&stack->admission, now_us, SIP_CLASS_INITIAL) != SIP_FATE_DROP ||
        !sip_looks_initial(bytes) ||
        (stack->handler->classify &&
         stack->handler->classify(stack->ctx, &origin->from, SIP_CLASS_INITIAL) !=
             SIP_CLASS_INITIAL)) {
        return false;
    }
    (void)sip_admission_take(&stack->admission, now_us, SIP_CLASS_INITIAL);
    stack->counters.shed[SIP_CLASS_INITIAL]++;
    stack->counters.dropped++;
    return true;
}

static void on_datagram(void *ctx, struct dgram *d, const struct addr *from, char *bytes,
                        size_t n) {
    const struct sip_origin origin = {.at = ctx, .from = {*from, SIP_UDP}, .n = n};
    struct sip_stack *stack = origin.at->stack;
    uint64_t waited_us;
    if (took_stun(ctx, from, bytes, n)) {
        return;
    }
    if (dgram_waited_us(d, &waited_us)) {
        bool before = stack->admission.limiting;
        sip_admission_waited(&stack->admission, env_now_us(stack->env), waited_us);
        stack->counters.overloads += !before && stack->admission.limiting;
        if (drops_unread(&origin, (struct span){bytes, n})) {
            return;
        }
    }
    if (trace_is_on(stack->env->trace)) {
        sip_stack_record(stack, from, dgram_local(d), false, (struct span){bytes, n});
    }
    sip_stack_receive(&origin, bytes, n);
}

unsigned sip_listening_transports(const struct sip_listening *l) {
    return l->transports ? l->transports : 1U << SIP_UDP | 1U << SIP_TCP;
}

void sip_stack_listen_on(struct sip_stack_config *c, const struct sip_listening *l) {
    for (unsigned t = 0; t < SIP_TRANSPORTS; t++) {
        if (sip_listening_transports(l) & 1U << t) {
            c->local[c->n_local++] =
                (struct sip_hop){t == SIP_TLS ? l->tls_addr : l->addr, (enum sip_transport)t};
        }
    }
    c->tls = l->tls;
    c->connections_max = l->connections_max;
    c->datagram_max = l->datagram_max;
    c->idle_s = l->idle_s;
    c->admission = l->admission;
}

static void set_defaults(struct sip_stack_config *c) {
    c->t1_us = c->t1_us ? c->t1_us : T1_DEFAULT_MS * MS_IN_US;
    c->t2_us = c->t2_us ? c->t2_us : T2_DEFAULT_MS * MS_IN_US;
    c->t4_us = c->t4_us ? c->t4_us : T4_DEFAULT_MS * MS_IN_US;
    c->timer_c_us = c->timer_c_us ? c->timer_c_us : TIMER_C_DEFAULT_MS * MS_IN_US;
    c->transactions_max = c->transactions_max ? c->transactions_max : TRANSACTIONS_DEFAULT;
    c->datagram_max = c->datagram_max ? c->datagram_max : DATAGRAM_DEFAULT;
    c->connections_max = c->connections_max ? c->connections_max : CONNECTIONS_DEFAULT;
    c->idle_s = c->idle_s ? c->idle_s : IDLE_DEFAULT_S;
    c->partial_s = c->partial_s ? c->partial_s : PARTIAL_DEFAULT_S;
    if (c->limits.message_max == 0) {
        c->limits = sip_limits_default();
    }
}

static const struct addr *local_of(const struct endpoint *at) {
    return at->dgram      ? dgram_local(at->dgram)
           : at->listener ? listener_local(at->listener)
                          : &at->local;
}

/* The configured name; with another port than the first endpoint's, the name with that port. */
static void name_endpoint(struct sip_stack *stack, struct endpoint *at) {
    struct buf b = buf_init(at->sent_by, sizeof at->sent_by);
    uint16_t port = local_of(at)->port, first = local_of(&stack->endpoints[0])->port;
    struct span name = stack->config.sent_by;
    if (name.n == 0) {
        addr_put(&b, local_of(at));
    } else if (port == first) {
        buf_put(&b, name);
    } else {
        size_t end = name.n;
        for (size_t i = name.n; i > 0 && name.p[i - 1] != ']'; i--) {
            end = name.p[i - 1] == ':' ? i - 1 : end;
        }
        buf_put(&b, span_slice(name, 0, end));
        buf_char(&b, ':');
        buf_u64(&b, port);
    }
    at->sent_by_n = b.n;
}

static enum error open_endpoint(struct sip_stack *stack, unsigned i) {
    struct endpoint *at = &stack->endpoints[i];
    struct addr local = stack->config.local[i].addr;
    *at = (struct endpoint){
        .stack = stack, .number = i, .transport = stack->config.local[i].transport};
    if (local.port == 0 && i > 0) {
        local.port = local_of(&stack->endpoints[0])->port;
    }
    at->local = local;
    at->local.port = local.port ? local.port : sip_transport_port(at->transport);
    enum error e = at->transport == SIP_UDP
                       ? env_dgram_open(stack->env, &local, stack->config.dgram_flags, on_datagram,
                                        at, &at->dgram)
                       : connection_listen(at, &local);
    if (e == OK) {
        name_endpoint(stack, at);
    }
    return e;
}

static void close_endpoints(struct sip_stack *stack) {
    for (unsigned i = 0; i < SIP_ENDPOINTS_MAX; i++) {
        dgram_close(stack->endpoints[i].dgram);
        listener_close(stack->endpoints[i].listener);
        stack->endpoints[i] = (struct endpoint){0};
    }
}

/* With any port for the first, the same one may be taken for another transport: then the next. */
static enum error open_endpoints(struct sip_stack *stack) {
    const struct sip_stack_config *c = &stack->config;
    enum error e = c->n_local && c->n_local <= SIP_ENDPOINTS_MAX ? OK : ERR_INVALID;
    for (unsigned tries = 0; tries < PORT_TRIES; tries++) {
        for (unsigned i = 0; e == OK && i < c->n_local; i++) {
            e = open_endpoint(stack, i);
        }
        if (e != ERR_ADDRESS_IN_USE || c->local[0].addr.port != 0) {
            break;
        }
        close_endpoints(stack);
        e = OK;
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
    stack->admission.policy = stack->config.admission;
    list_init(&stack->all_servers);
    list_init(&stack->all_clients);
    list_init(&stack->by_connection);
    list_init(&stack->unproven);
    list_init(&stack->keep_alives);
    stack->out_bytes = malloc(DATAGRAM_MAX);
    if (stack->out_bytes) {
        e = config->faces_terminals ? amplification_init(&stack->amplification) : OK;
        e = e ? e : open_endpoints(stack);
    }
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
    connections_close(stack);
    close_endpoints(stack);
    answers_free(&stack->answers);
    htab_free(&stack->servers);
    htab_free(&stack->clients);
    amplification_free(&stack->amplification);
    free(stack->out_bytes);
    free(stack);
}

const struct addr *sip_stack_local(const struct sip_stack *stack, unsigned endpoint) {
    return local_of(&stack->endpoints[endpoint]);
}

int sip_stack_endpoint(const struct sip_stack *stack, enum sip_transport transport) {
    for (unsigned i = 0; i < stack->config.n_local; i++) {
        if (stack->endpoints[i].transport == transport) {
            return (int)i;
        }
    }
    return -1;
}

struct span sip_stack_sent_by(const struct sip_stack *stack, unsigned endpoint) {
    const struct endpoint *at = &stack->endpoints[endpoint];
    return (struct span){at->sent_by, at->sent_by_n};
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
    struct sip_path path = {.endpoint = (uint8_t)endpoint};
    if (!sip_transport_parse(via.transport, &path.to.transport)) {
        return ERR_UNSUPPORTED;
    }
    uint16_t port = via.rport_value ? via.rport_value
                    : via.port      ? via.port
                                    : sip_transport_port(path.to.transport);
    if (!addr_parse_host(via.received.p ? via.received : via.host, port, &path.to.addr)) {
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
    enum error e = sip_stack_send(stack, &path, buf_span(&stack->out));
    sip_path_leave(&path);
    return e;
}
