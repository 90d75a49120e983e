/* The terminal's subscription to its registration state: TS 24.229 5.1.1.3, RFC 6665 as subscriber.
 *
 *     200 to an initial REGISTER -> SUBSCRIBE by P-CSCF and Service-Route -> refreshed
 *
 * It is for the default public identity (its first SIP URI), so that it tells of the whole implicit
 * registration set. One subscription serves a registration as long as that stands. Choices: one
 * that is refused begins anew by the next initial registration, or after Retry-After; one that gets
 * no answer after a minute; one that the network does not know any more (481) at once. */
#include "node/ue/internal.h"

#include <stdlib.h>

enum {
    EXPIRES_S = 600000,
    AGAIN_S = 60,
    LEAVING_S = 64 /* a last NOTIFY's longest life, and its repetition's */
};

static struct span call_id_of(const struct ue_subscription *s) {
    return span_of(s->call_id, sizeof s->call_id);
}

static void stop_asking(struct ue_subscription *s) {
    timer_stop(&s->timer);
    sip_client_free(s->asking);
    s->asking = NULL;
}

/* Its dialog is nobody's any more. */
static void unlist(struct ue_subscription *s) {
    if (s->call_id[0]) {
        htab_remove(&s->ue->pool->subscriptions, &s->node);
        s->call_id[0] = '\0';
    }
}

static void drop(struct ue_subscription *s) {
    struct ue *ue = s->ue;
    stop_asking(s);
    unlist(s);
    sip_dialog_forget(&s->dialog);
    ue->subscription = NULL;
    free(s);
}

void ue_forget_subscription(struct ue *ue) {
    if (ue->subscription) {
        drop(ue->subscription);
    }
}

static void put_dialog(struct ue_subscription *s, struct buf *b) {
    static const enum sip_header_id ends[] = {SIP_H_FROM, SIP_H_TO};
    for (size_t i = 0; i < COUNT_OF(ends); i++) {
        struct span tag = i == 0 ? span_of(s->tag, sizeof s->tag) : s->dialog.tag;
        sip_put_begin(b, ends[i]);
        buf_char(b, '<');
        buf_put(b, s->impu);
        buf_char(b, '>');
        if (tag.n) {
            buf_cstr(b, ";tag=");
            buf_put(b, tag);
        }
        sip_put_end(b);
    }
    sip_put(b, SIP_H_CALL_ID, call_id_of(s));
    sip_put_begin(b, SIP_H_CSEQ);
    buf_u64(b, ++s->cseq);
    buf_cstr(b, " SUBSCRIBE");
    sip_put_end(b);
}

/* The P-CSCF and what the home network wants behind it; or the dialog's. */
static void put_route(struct ue_subscription *s, struct buf *b, const struct addr *pcscf) {
    struct span services = ue_service_route(s->ue);
    sip_put_begin(b, SIP_H_ROUTE);
    if (s->dialog.tag.n && s->dialog.route.n) {
        buf_put(b, s->dialog.route);
    } else {
        ue_put_pcscf(s->ue, b, pcscf);
        if (services.n && !s->dialog.tag.n) {
            buf_cstr(b, ", ");
            buf_put(b, services);
        }
    }
    sip_put_end(b);
}

static void put_subscribe(struct ue_subscription *s, struct buf *b, const struct addr *pcscf) {
    struct ue *ue = s->ue;
    static const enum sip_header_id addresses[] = {SIP_H_CONTACT, SIP_H_P_PREFERRED_IDENTITY};
    sip_put_number(b, SIP_H_MAX_FORWARDS, 70);
    put_route(s, b, pcscf);
    put_dialog(s, b);
    for (size_t i = 0; i < COUNT_OF(addresses); i++) {
        sip_put_begin(b, addresses[i]);
        buf_char(b, '<');
        buf_put(b, i == 0 ? ue->contact : s->impu);
        buf_char(b, '>');
        sip_put_end(b);
    }
    sip_put(b, SIP_H_EVENT, SPAN("reg"));
    sip_put(b, SIP_H_ACCEPT, SPAN("application/reginfo+xml"));
    sip_put_number(b, SIP_H_EXPIRES, s->ask_s);
    if (ue->config.access.n) {
        sip_put(b, SIP_H_P_ACCESS_NETWORK_INFO, ue->config.access);
    }
    if (ue->pool->config.agent.n) {
        sip_put(b, SIP_H_USER_AGENT, ue->pool->config.agent);
    }
}

static const struct sip_client_handler subscribe_handler;

static void ask(struct ue_subscription *s) {
    struct ue_pool *pool = s->ue->pool;
    const struct sip_hop hop = ue_hop(s->ue);
    struct span uri = s->dialog.tag.n ? s->dialog.target : s->impu;
    struct buf *b = sip_client_begin(pool->stack, 0, &hop, SPAN("SUBSCRIBE"), uri, &s->asking);
    timer_stop(&s->timer);
    if (b) {
        sip_client_expect(s->asking, pool->config.host);
        put_subscribe(s, b, &hop.addr);
        if (sip_client_send(s->asking, SPAN_NONE, &subscribe_handler, s) == OK) {
            return;
        }
    }
    s->asking = NULL;
    ue_end_subscription(s, true, AGAIN_S);
}

/* A new dialog. */
static void begin(struct ue_subscription *s) {
    struct ue_pool *pool = s->ue->pool;
    unlist(s);
    sip_dialog_forget(&s->dialog);
    s->state = UE_SUBSCRIPTION_ASKS;
    s->has_version = false;
    s->their_cseq = 0;
    struct buf b = buf_init(s->call_id, sizeof s->call_id);
    sip_stack_put_token(pool->stack, &b);
    b = buf_init(s->tag, sizeof s->tag);
    sip_stack_put_token(pool->stack, &b);
    if (htab_insert(&pool->subscriptions, &s->node, hash_bytes(call_id_of(s))) != OK) {
        s->call_id[0] = '\0';
        drop(s);
        return;
    }
    ask(s);
}

void ue_end_subscription(struct ue_subscription *s, bool again, uint32_t wait_s) {
    if (!again || s->state == UE_SUBSCRIPTION_LEAVES) {
        drop(s);
        return;
    }
    stop_asking(s);
    s->state = UE_SUBSCRIPTION_WAITS;
    timer_start(s->ue->pool->env, &s->timer, wait_s * SEC_IN_US);
}

static void refused(struct ue_subscription *s, const struct sip_msg *answer) {
    struct sip_retry_after after = {0};
    uint32_t least_s = 0;
    bool has_time = sip_has(answer, SIP_H_RETRY_AFTER) &&
                    !sip_retry_after_parse(sip_value(answer, SIP_H_RETRY_AFTER), &after);
    bool stood = s->state == UE_SUBSCRIPTION_STANDS;
    LOG(&s->ue->pool->env->log, LOG_NOTICE, "subscription to the registration state refused",
        LOG_SPAN("impu", s->impu), LOG_U64("status", answer->status));
    if (answer->status == 423 && sip_number_of(answer, SIP_H_MIN_EXPIRES, &least_s) == OK &&
        least_s > s->ask_s) {
        s->ask_s = least_s;
        ask(s);
    } else if (stood && answer->status == 481) {
        ue_end_subscription(s, true, 0);
    } else {
        ue_end_subscription(s, has_time, after.delay_s ? after.delay_s : AGAIN_S);
    }
}

static void on_answer(void *ctx, struct sip_client *tx, const struct sip_msg *answer) {
    struct ue_subscription *s = ctx;
    uint32_t granted_s = s->ask_s;
    (void)tx;
    if (answer->status < 200) {
        return;
    }
    s->asking = NULL;
    if (s->state == UE_SUBSCRIPTION_LEAVES) {
        return;
    }
    if (answer->status >= 300) {
        refused(s, answer);
        return;
    }
    if (!s->dialog.tag.n && sip_dialog_learn(&s->dialog, answer) != OK) {
        ue_end_subscription(s, true, AGAIN_S);
        return;
    }
    if (sip_number_of(answer, SIP_H_EXPIRES, &granted_s) != OK || granted_s > s->ask_s) {
        granted_s = s->ask_s;
    }
    s->ue->pool->counters.subscribed += s->state == UE_SUBSCRIPTION_ASKS;
    s->state = UE_SUBSCRIPTION_STANDS;
    timer_start(s->ue->pool->env, &s->timer, sip_subscription_refresh_s(granted_s) * SEC_IN_US);
}

static void on_silence(void *ctx, struct sip_client *tx) {
    struct ue_subscription *s = ctx;
    (void)tx;
    s->asking = NULL;
    if (s->state != UE_SUBSCRIPTION_LEAVES) {
        ue_end_subscription(s, true, AGAIN_S);
    }
}

static const struct sip_client_handler subscribe_handler = {.response = on_answer,
                                                            .timeout = on_silence};

static void on_timer(struct timer *t) {
    struct ue_subscription *s = CONTAINER_OF(t, struct ue_subscription, timer);
    switch (s->state) {
    case UE_SUBSCRIPTION_STANDS:
        ask(s);
        break;
    case UE_SUBSCRIPTION_WAITS:
        begin(s);
        break;
    default:
        drop(s);
    }
}

void ue_refresh_subscription(struct ue_subscription *s) {
    if (s->state == UE_SUBSCRIPTION_STANDS && !s->asking) {
        ask(s);
    }
}

/* The default public identity; if that is a number, the first SIP URI of the set; if the network
 * told none, what was registered. */
static struct span set_name(const struct ue *ue) {
    struct sip_list list = sip_list_of_text(ue_associated_uris(ue));
    for (struct sip_address a; sip_address_next(&list, &a);) {
        if (a.uri.host.n) {
            return a.uri_text;
        }
    }
    return ue_impu(ue);
}

static void make(struct ue *ue) {
    struct span impu = set_name(ue);
    struct ue_subscription *s = calloc(1, sizeof *s + impu.n);
    if (!s) {
        LOG(&ue->pool->env->log, LOG_ERROR, "no subscription to the registration state",
            LOG_CSTR("why", error_text(ERR_NO_MEMORY)));
        return;
    }
    struct buf b = buf_init(s + 1, impu.n);
    buf_put(&b, impu);
    s->impu = buf_span(&b);
    s->ue = ue;
    s->ask_s = EXPIRES_S > ue->granted_s ? EXPIRES_S : ue->granted_s;
    timer_init(&s->timer, on_timer);
    ue->subscription = s;
    begin(s);
}

void ue_subscribe(struct ue *ue) {
    struct ue_subscription *s = ue->subscription;
    if (!ue->config.reg_event) {
        return;
    }
    if (s && s->state == UE_SUBSCRIPTION_LEAVES) {
        drop(s); /* of a registration that has ended */
        s = NULL;
    }
    if (!s) {
        make(ue);
    }
}

void ue_leave_subscription(struct ue *ue) {
    struct ue_subscription *s = ue->subscription;
    if (!s) {
        return;
    }
    stop_asking(s);
    if (s->state == UE_SUBSCRIPTION_WAITS) {
        drop(s);
        return;
    }
    s->state = UE_SUBSCRIPTION_LEAVES;
    timer_start(ue->pool->env, &s->timer, LEAVING_S * SEC_IN_US);
}

bool ue_is_subscribed(const struct ue *ue) {
    return ue->subscription && ue->subscription->state == UE_SUBSCRIPTION_STANDS;
}
