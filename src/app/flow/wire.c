/* Changing messages on their way, see wire.h. Works on the text of well-formed messages of our own
 * terminal: lines end in CRLF and are not folded. */
#include "app/flow/wire.h"

#include "crypto/base64.h"
#include "obs/peek.h"
#include "rt/link.h" /* a link of our own kind: what env.h says of links ends where rt does */

#include <stdlib.h>

struct wire_dgram {
    struct dgram dgram; /* what the ue holds */
    struct dgram *inner;
    struct wire *wire;
};

/* Text. */

/* Where the value of the nth header line of this name stands; p NULL without one. */
static struct span header_value(struct span message, struct span name) {
    char text[64];
    return span_to_cstr(name, text, sizeof text) ? peek_sip_header(message, text, 0) : SPAN_NONE;
}

/* The whole lines of the header field that a value stands in. */
static struct span line_around(struct span message, struct span value) {
    size_t from = (size_t)(value.p - message.p), to = from + value.n;
    while (from > 0 && message.p[from - 1] != '\n') {
        from--;
    }
    while (to < message.n && message.p[to - 1] != '\n') {
        to++;
    }
    return span_slice(message, from, to);
}

/* Writes the message with one stretch replaced. */
static struct span replaced(struct span message, struct span old, struct span by, char *out) {
    struct buf b = buf_init(out, WIRE_MESSAGE_MAX);
    size_t at = (size_t)(old.p - message.p);
    buf_put(&b, span_slice(message, 0, at));
    buf_put(&b, by);
    buf_put(&b, span_after(message, at + old.n));
    return b.overflow ? message : buf_span(&b);
}

static struct span without_header(struct span message, struct span name, char *out) {
    struct span value = header_value(message, name);
    return value.p ? replaced(message, line_around(message, value), SPAN(""), out) : message;
}

static struct span with_header(struct span message, struct span name, struct span value,
                               char *out) {
    struct span old = header_value(message, name);
    if (old.p) {
        return replaced(message, old, value, out);
    }
    char line[WIRE_VALUE_MAX + 128];
    struct buf b = buf_init(line, sizeof line);
    buf_put(&b, name);
    buf_cstr(&b, ": ");
    buf_put(&b, value);
    buf_cstr(&b, "\r\n");
    size_t end = span_find_char(message, '\n') + 1; /* behind the start line */
    return replaced(message, span_slice(message, end, end), buf_span(&b), out);
}

/* Changes one character of a parameter of Authorization into another of the same alphabet. */
static struct span with_changed_param(struct span message, const char *param, size_t at,
                                      char *out) {
    struct span value = peek_sip_param(header_value(message, SPAN("Authorization")), param);
    if (value.n <= at) {
        return message;
    }
    struct span one = span_slice(value, at, at + 1);
    return replaced(message, one, one.p[0] == '0' ? SPAN("1") : SPAN("0"), out);
}

/* The nonce of a challenge is RAND and AUTN, whose last eight bytes are the MAC (TS 33.102). */
static struct span with_forged_mac(struct span message, char *out) {
    enum { RAND_AND_AUTN = 32 };
    uint8_t bytes[512];
    char text[BASE64_SIZE(sizeof bytes)];
    size_t n;
    struct span nonce = peek_sip_param(header_value(message, SPAN("WWW-Authenticate")), "nonce");
    if (base64_decode(nonce, bytes, sizeof bytes, &n) != OK || n < RAND_AND_AUTN) {
        return message;
    }
    bytes[RAND_AND_AUTN - 1] ^= 1;
    struct buf b = buf_init(text, sizeof text);
    base64_put(&b, bytes, n);
    return replaced(message, nonce, buf_span(&b), out);
}

/* Faults. */

static bool answers_challenge(struct span message) {
    struct span value = header_value(message, SPAN("Authorization"));
    return peek_sip_param(value, "response").n || peek_sip_param(value, "auts").n;
}

static uint32_t cseq_of(struct span message) {
    struct span value = header_value(message, SPAN("CSeq"));
    uint32_t n = 0;
    return span_to_u32(span_cut(&value, ' '), UINT32_MAX, &n) ? n : 0;
}

/* Has this fault a turn left? Repeats of a request by its timers are the same turn. */
static bool take_turn(struct wire *w, size_t i, uint32_t cseq) {
    if (w->used[i] && w->last_cseq[i] == cseq) {
        return true;
    }
    if (w->used[i] == w->faults[i].times) {
        return false;
    }
    w->used[i]++;
    w->last_cseq[i] = cseq;
    return true;
}

static struct span apply(struct wire *w, size_t i, struct span message, char *out) {
    const struct flow_fault *f = &w->faults[i];
    struct span replay = span_of(w->replay, w->n_replay);
    uint32_t cseq = cseq_of(message);
    bool answer = answers_challenge(message);
    switch (f->kind) {
    case FLOW_WRONG_RESPONSE:
        return answer && take_turn(w, i, cseq) ? with_changed_param(message, "response", 0, out)
                                               : message;
    case FLOW_WRONG_AUTS:
        return answer && take_turn(w, i, cseq) ? with_changed_param(message, "auts", 9, out)
                                               : message;
    case FLOW_REPLAYED_RESPONSE:
        return replay.n && take_turn(w, i, cseq)
                   ? with_header(message, SPAN("Authorization"), replay, out)
                   : message;
    case FLOW_HEADER:
        return with_header(message, f->name, f->value, out);
    case FLOW_WITHOUT:
        return without_header(message, f->name, out);
    default:
        return message;
    }
}

static bool has_fault(const struct wire *w, enum flow_fault_kind kind) {
    for (size_t i = 0; i < w->n_faults; i++) {
        if (w->faults[i].kind == kind) {
            return true;
        }
    }
    return false;
}

static void keep_credentials(struct wire *w, struct span message) {
    struct span value = header_value(message, SPAN("Authorization"));
    if (answers_challenge(message) && value.n && value.n <= sizeof w->credentials) {
        memcpy(w->credentials, value.p, value.n);
        w->n_credentials = value.n;
    }
}

static enum error wire_send(struct dgram *d, const struct addr *to, struct span bytes) {
    struct wire_dgram *outer = CONTAINER_OF(d, struct wire_dgram, dgram);
    struct wire *w = outer->wire;
    struct peek_sip sip;
    bool request = peek_sip(bytes, &sip) && sip.request;
    if (!request) {
        return dgram_send(outer->inner, to, bytes);
    }
    if (answers_challenge(bytes) && has_fault(w, FLOW_NO_RESPONSE)) {
        w->dropped = true;
        return OK;
    }
    keep_credentials(w, bytes);
    for (size_t i = 0; i < w->n_faults; i++) {
        bytes = apply(w, i, bytes, w->scratch[i % 2]);
    }
    enum error err = dgram_send(outer->inner, to, bytes);
    if (err == OK && has_fault(w, FLOW_TWICE)) {
        err = dgram_send(outer->inner, to, bytes);
    }
    return err;
}

static void wire_receive(void *ctx, struct dgram *d, const struct addr *from, char *bytes,
                         size_t n) {
    struct wire_dgram *outer = ctx;
    struct wire *w = outer->wire;
    struct span message = span_of(bytes, n);
    (void)d;
    for (size_t i = 0; i < w->n_faults; i++) {
        struct peek_sip sip;
        if (w->faults[i].kind == FLOW_FORGED_CHALLENGE && peek_sip(message, &sip) &&
            sip.status == 401 && take_turn(w, i, cseq_of(message))) {
            message = with_forged_mac(message, w->scratch[0]);
        }
    }
    if (message.p != bytes && message.n <= n) {
        memcpy(bytes, message.p, message.n);
    }
    outer->dgram.receive(outer->dgram.ctx, &outer->dgram, from, bytes, n);
}

static bool wire_is_reliable(const struct dgram *d, const struct addr *to) {
    const struct wire_dgram *outer = (const struct wire_dgram *)(const void *)d; /* its first */
    return dgram_is_reliable(outer->inner, to);
}

static void wire_close(struct dgram *d) {
    struct wire_dgram *outer = CONTAINER_OF(d, struct wire_dgram, dgram);
    dgram_close(outer->inner);
    free(outer);
}

static const struct dgram_ops dgram_ops = {wire_send, wire_is_reliable, wire_close};

/* The environment. */

static struct env *inner_of(struct env *env) {
    return CONTAINER_OF(env, struct wire, env)->inner;
}

static uint64_t now_us(struct env *env) {
    return env_now_us(inner_of(env));
}

static uint64_t clock_us(struct env *env) {
    return env_clock_us(inner_of(env));
}

static int64_t wall_us(struct env *env) {
    return env_wall_us(inner_of(env));
}

static void randomness(struct env *env, void *out, size_t n) {
    env_random(inner_of(env), out, n);
}

static void post(struct env *env, struct post *p) {
    env_post(inner_of(env), p);
}

static void close_env(struct env *env) {
    (void)env; /* the inner one is closed by whoever made it */
}

static enum error dgram_open(struct env *env, const struct addr *local, unsigned flags,
                             dgram_receive_fn *receive, void *ctx, struct dgram **out) {
    struct wire_dgram *outer = calloc(1, sizeof *outer);
    if (!outer) {
        return ERR_NO_MEMORY;
    }
    outer->wire = CONTAINER_OF(env, struct wire, env);
    outer->dgram = (struct dgram){.ops = &dgram_ops, .env = env, .flags = flags};
    outer->dgram.receive = receive;
    outer->dgram.ctx = ctx;
    list_init(&outer->dgram.in_env);
    enum error err =
        env_dgram_open(inner_of(env), local, flags, wire_receive, outer, &outer->inner);
    if (err) {
        free(outer);
        return err;
    }
    outer->dgram.local = *dgram_local(outer->inner);
    *out = &outer->dgram;
    return OK;
}

static enum error listen_tcp(struct env *env, const struct addr *local, listener_accept_fn *accept,
                             void *ctx, struct listener **out) {
    return env_listen(inner_of(env), local, accept, ctx, out);
}

static enum error connect_tcp(struct env *env, const struct addr *remote,
                              const struct stream_handler *handler, void *ctx,
                              struct stream **out) {
    return env_stream_connect(inner_of(env), remote, handler, ctx, out);
}

static const struct env_ops env_ops = {
    .now_us = now_us,
    .clock_us = clock_us,
    .wall_us = wall_us,
    .random = randomness,
    .post = post,
    .close = close_env,
    .dgram_open = dgram_open,
    .listen = listen_tcp,
    .stream_connect = connect_tcp,
};

void wire_init(struct wire *w, struct env *inner) {
    memset(w, 0, sizeof *w);
    w->env = *inner;
    w->env.ops = &env_ops;
    w->inner = inner;
}

void wire_set_faults(struct wire *w, const struct flow_fault *faults, size_t n) {
    w->faults = faults;
    w->n_faults = n > WIRE_FAULTS_MAX ? WIRE_FAULTS_MAX : n;
    memset(w->used, 0, sizeof w->used);
    memset(w->last_cseq, 0, sizeof w->last_cseq);
    w->dropped = false;
    memcpy(w->replay, w->credentials, sizeof w->replay);
    w->n_replay = w->n_credentials;
}
