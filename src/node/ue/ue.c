/* Pools and ues: making, freeing, looking. What they do is in registration.c. */
#include "node/ue/internal.h"

#include <openssl/crypto.h>
#include <stdlib.h>

/* Timers of a terminal (TS 24.229 table 7.7.1). */
enum { T1_MS = 2000, T2_MS = 16000, T4_MS = 17000 };

enum error ue_isim_set_op(struct ue_isim *isim, const uint8_t op[16]) {
    struct milenage m;
    enum error e = milenage_init(&m);
    if (!e) {
        e = milenage_opc(&m, isim->key.k, op, isim->key.opc);
        milenage_free(&m);
    }
    return e;
}

static const char *const options_supported[] = {"path", "gruu", "outbound", ""};

/* A terminal that does nothing but register takes NOTIFYs of its registration state, answers
 * OPTIONS, and refuses the rest. */
static void take_request(void *ctx, struct sip_server *tx, const struct sip_msg *req) {
    struct ue_pool *pool = ctx;
    pool->counters.requests++;
    if (req->method == SIP_NOTIFY) {
        ue_notify(pool, tx, req);
        return;
    }
    struct buf *b = sip_reply_begin(tx, req->method == SIP_OPTIONS ? 200 : 405, SPAN_NONE);
    if (!b) {
        sip_server_free(tx);
        return;
    }
    sip_put(b, SIP_H_ALLOW, SPAN("NOTIFY, OPTIONS"));
    if (sip_reply_send(tx, SPAN_NONE)) {
        LOG(&pool->env->log, LOG_INFO, "an answer could not be sent");
    }
}

static const struct sip_stack_handler stack_handler = {.request = take_request};

enum error ue_pool_new(struct env *env, const struct ue_pool_config *config,
                       const struct ue_handler *handler, void *ctx, struct ue_pool **out) {
    if (config->n_pcscf == 0) {
        return ERR_INVALID;
    }
    struct ue_pool *pool = calloc(1, sizeof *pool);
    if (!pool) {
        return ERR_NO_MEMORY;
    }
    pool->env = env;
    pool->config = *config;
    pool->handler = *handler;
    pool->ctx = ctx;
    list_init(&pool->ues);
    const struct sip_stack_config stack = {
        .local = {{config->local, config->transport}, {config->local, SIP_TCP}},
        .n_local = config->transport == SIP_UDP ? 2 : 1,
        .tls = config->tls,
        .dgram_flags = config->queue ? 0 : DGRAM_SOCKET_ONLY,
        .rport = true,
        .keep = true,
        .limits = sip_limits_default(),
        .supported = options_supported,
        .t1_us = config->t1_us ? config->t1_us : T1_MS * MS_IN_US,
        .t2_us = config->t2_us ? config->t2_us : T2_MS * MS_IN_US,
        .t4_us = config->t4_us ? config->t4_us : T4_MS * MS_IN_US,
    };
    enum error e = milenage_init(&pool->milenage);
    if (!e) {
        e = digest_init(&pool->digest);
    }
    if (!e) {
        e = sip_stack_new(env, &stack, &stack_handler, pool, &pool->stack);
    }
    if (e) {
        ue_pool_free(pool);
        return e;
    }
    *out = pool;
    return OK;
}

void ue_pool_free(struct ue_pool *pool) {
    if (!pool) {
        return;
    }
    LIST_EACH(&pool->ues, ue, struct ue, in_pool) {
        ue_free(ue);
    }
    htab_free(&pool->subscriptions);
    sip_keep_alive_stop(&pool->flow);
    sip_stack_free(pool->stack);
    digest_free(&pool->digest);
    milenage_free(&pool->milenage);
    free(pool);
}

const struct addr *ue_pool_local(const struct ue_pool *pool) {
    return sip_stack_local(pool->stack, 0);
}

const struct ue_counters *ue_pool_counters(const struct ue_pool *pool) {
    return &pool->counters;
}

enum error ue_new(struct ue_pool *pool, const struct ue_config *config, void *user,
                  struct ue **out) {
    struct span impi = config->isim->impi;
    struct span name = config->contact_user.n ? config->contact_user
                                              : span_slice(impi, 0, span_find_char(impi, '@'));
    if (config->impu >= config->isim->n_impus ||
        (config->isim->no_key && span_is_empty(config->isim->password)) || span_is_empty(name) ||
        (config->reg_id && span_is_empty(config->instance))) {
        return ERR_INVALID;
    }
    struct span at = sip_stack_sent_by(pool->stack, 0);
    size_t contact_cap = sizeof "sip:@;transport=tls" + 3 * name.n + at.n;
    struct ue *ue = calloc(1, sizeof *ue + contact_cap);
    if (!ue) {
        return ERR_NO_MEMORY;
    }
    ue->pool = pool;
    ue->user = user;
    ue->config = *config;
    if (ue->config.expires_s == 0) {
        ue->config.expires_s = UE_EXPIRES_S;
    }
    if (config->isim->limits.delta == 0) {
        config->isim->limits = SQN_LIMITS;
    }
    struct buf contact = buf_init(ue + 1, contact_cap);
    buf_cstr(&contact, "sip:");
    sip_put_user(&contact, name);
    buf_char(&contact, '@');
    buf_put(&contact, at);
    sip_put_transport(&contact, pool->config.transport);
    ue->contact = buf_span(&contact);
    ue->ask_s = ue->config.expires_s;
    struct buf call_id = buf_init(ue->call_id, sizeof ue->call_id);
    sip_stack_put_token(pool->stack, &call_id);
    struct buf tag = buf_init(ue->tag, sizeof ue->tag);
    sip_stack_put_token(pool->stack, &tag);
    timer_init(&ue->timer, ue_timer_fired);
    list_insert(&pool->ues, &ue->in_pool);
    *out = ue;
    return OK;
}

void ue_free(struct ue *ue) {
    if (!ue) {
        return;
    }
    ue_set_registered(ue, false);
    ue_forget_subscription(ue);
    sip_client_free(ue->client);
    timer_stop(&ue->timer);
    list_remove(&ue->in_pool);
    free(ue->challenge.p);
    free(ue->grant.p);
    OPENSSL_cleanse(ue, sizeof *ue);
    free(ue);
}

void ue_text_clear(struct ue_text *t) {
    t->n = 0;
}

bool ue_text_reserve(struct ue_text *t, size_t n) {
    if (n <= (size_t)(t->cap - t->n)) {
        return true;
    }
    size_t cap = (t->n + n + 127) & ~(size_t)127;
    if (cap > UINT16_MAX) {
        return false;
    }
    char *p = realloc(t->p, cap);
    if (!p) {
        return false;
    }
    t->p = p;
    t->cap = (uint16_t)cap;
    return true;
}

bool ue_text_add(struct ue_text *t, struct span value, struct ue_slice *out) {
    if (!ue_text_reserve(t, value.n)) {
        return false;
    }
    if (value.n) {
        memcpy(t->p + t->n, value.p, value.n);
    }
    *out = (struct ue_slice){t->n, (uint16_t)value.n};
    t->n = (uint16_t)(t->n + value.n);
    return true;
}

struct span ue_text_at(const struct ue_text *t, struct ue_slice slice) {
    return slice.n ? span_of(t->p + slice.at, slice.n) : SPAN_NONE;
}

const struct ue_failure *ue_leaving_failure(const struct ue *ue) {
    return ue->pool->leaving;
}

void *ue_user(const struct ue *ue) {
    return ue->user;
}

struct ue_isim *ue_isim(const struct ue *ue) {
    return ue->config.isim;
}

enum ue_state ue_state(const struct ue *ue) {
    return ue->state;
}

struct span ue_impu(const struct ue *ue) {
    return ue->config.isim->impus[ue->config.impu];
}

struct span ue_contact(const struct ue *ue) {
    return ue->contact;
}

bool ue_refreshed(const struct ue *ue) {
    return ue->refreshed;
}

uint32_t ue_expires_s(const struct ue *ue) {
    return ue->registered ? ue->granted_s : 0;
}

struct span ue_service_route(const struct ue *ue) {
    return ue_text_at(&ue->grant, ue->service_route);
}

struct span ue_associated_uris(const struct ue *ue) {
    return ue_text_at(&ue->grant, ue->associated);
}

enum auth_algorithm ue_algorithm(const struct ue *ue) {
    return (enum auth_algorithm)ue->algorithm;
}

void ue_keys(const struct ue *ue, uint8_t ck[16], uint8_t ik[16]) {
    memcpy(ck, ue->ck, 16);
    memcpy(ik, ue->ik, 16);
}

const char *ue_state_name(enum ue_state state) {
    static const char *const names[UE_STATES] = {
        [UE_IDLE] = "idle",
        [UE_REGISTERING] = "registering",
        [UE_REGISTERED] = "registered",
        [UE_REFRESHING] = "refreshing",
        [UE_WAITING] = "waiting to try again",
        [UE_LEAVING] = "de-registering",
        [UE_REFUSED] = "refused",
    };
    return names[state];
}

const char *ue_reason_text(enum ue_reason reason) {
    static const char *const texts[UE_REASONS] = {
        [UE_REASON_STATUS] = "the network refused",
        [UE_REASON_TIMEOUT] = "no answer came in time",
        [UE_REASON_UNREACHABLE] = "the P-CSCF cannot be reached",
        [UE_REASON_FORGED] = "the challenge is not from the home network (MAC wrong): same K, OPc?",
        [UE_REASON_SQN] = "challenges stay out of range after resynchronisation",
        [UE_REASON_MALFORMED] = "the 401 holds no challenge that could be answered",
        [UE_REASON_PASSWORD] = "the network does not take the password",
        [UE_REASON_UNPROVEN] = "the network does not prove that it knows the password",
        [UE_REASON_CHALLENGES] = "too many challenges in a row",
        [UE_REASON_ENDED] = "the network has ended the registration",
        [UE_REASON_NO_BINDING] = "the 200 does not name our contact",
        [UE_REASON_INTERNAL] = "out of memory, or a message beyond the limits",
    };
    return texts[reason];
}
