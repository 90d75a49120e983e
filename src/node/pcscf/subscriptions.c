/* The P-CSCF's subscriptions to the registration state of its users: TS 24.229 5.2.3, RFC 6665 as
 * subscriber.
 *
 *     200 to an initial REGISTER -> SUBSCRIBE by way of the home network's I-CSCF -> refreshed
 *
 * One subscription serves all registrations of a private identity with one implicit registration
 * set, which is known by its default public identity. When the last of them has gone, nothing is
 * sent: the standard has the subscription cancelled then; it lingers for the S-CSCF's last NOTIFY.
 * A subscription that fails is begun anew by the next 200. */
#include "node/pcscf/internal.h"

#include <stdlib.h>

enum {
    EXPIRES_S = 600000,
    LEAVING_S = 32, /* a request's longest life */
    REFRESH_BEFORE_S = 600
};

static uint64_t user_hash(struct span impu, struct span impi) {
    return hash_mix(hash_bytes(impu), hash_bytes(impi));
}

static struct subscription *find_user(const struct pcscf *p, struct span impu, struct span impi) {
    for (struct htab_node *n = htab_first(&p->subscribed, user_hash(impu, impi)); n;
         n = htab_next(n)) {
        struct subscription *s = CONTAINER_OF(n, struct subscription, by_user);
        if (span_eq(s->impu, impu) && span_eq(s->impi, impi)) {
            return s;
        }
    }
    return NULL;
}

static struct span call_id_of(const struct subscription *s) {
    return span_of(s->call_id, sizeof s->call_id);
}

struct subscription *pcscf_subscription_of(const struct pcscf *p, const struct sip_msg *notify) {
    for (struct htab_node *n = htab_first(&p->subscriptions, hash_bytes(notify->call_id)); n;
         n = htab_next(n)) {
        struct subscription *s = CONTAINER_OF(n, struct subscription, by_call_id);
        if (span_eq(call_id_of(s), notify->call_id) &&
            span_eq(span_of(s->tag, sizeof s->tag), notify->to_tag) &&
            (!s->dialog.tag.n || span_eq(s->dialog.tag, notify->from_tag))) {
            return s;
        }
    }
    return NULL;
}

static void stop_asking(struct subscription *s) {
    timer_stop(&s->timer);
    post_cancel(&s->begin);
    resolver_cancel(&s->query);
    sip_client_free(s->asking);
    s->asking = NULL;
}

static void free_subscription(struct subscription *s) {
    struct pcscf *p = s->pcscf;
    stop_asking(s);
    LIST_EACH(&s->registrations, r, struct registration, of_subscription) {
        list_remove(&r->of_subscription);
        r->subscription = NULL;
    }
    htab_remove(&p->subscriptions, &s->by_call_id);
    if (s->state != SUBSCRIPTION_LEAVES) {
        htab_remove(&p->subscribed, &s->by_user);
    }
    sip_dialog_forget(&s->dialog);
    free(s);
}

static void forget(struct htab_node *node, void *ctx) {
    (void)ctx;
    free_subscription(CONTAINER_OF(node, struct subscription, by_call_id));
}

void pcscf_forget_subscriptions(struct pcscf *p) {
    htab_each(&p->subscriptions, forget, NULL);
    htab_free(&p->subscriptions);
    htab_free(&p->subscribed);
}

/* SUBSCRIBE */

static void put_subscribe(struct buf *b, struct subscription *s) {
    struct pcscf *p = s->pcscf;
    sip_put_number(b, SIP_H_MAX_FORWARDS, 70);
    if (s->dialog.route.n) {
        sip_put(b, SIP_H_ROUTE, s->dialog.route);
    }
    sip_put_begin(b, SIP_H_FROM);
    buf_cstr(b, "<sip:");
    buf_cstr(b, p->sent_by);
    buf_cstr(b, ">;tag=");
    buf_bytes(b, s->tag, sizeof s->tag);
    sip_put_end(b);
    sip_put_begin(b, SIP_H_TO);
    buf_char(b, '<');
    buf_put(b, s->impu);
    buf_char(b, '>');
    if (s->dialog.tag.n) {
        buf_cstr(b, ";tag=");
        buf_put(b, s->dialog.tag);
    }
    sip_put_end(b);
    sip_put(b, SIP_H_CALL_ID, call_id_of(s));
    sip_put_begin(b, SIP_H_CSEQ);
    buf_u64(b, ++s->cseq);
    buf_cstr(b, " SUBSCRIBE");
    sip_put_end(b);
    static const enum sip_header_id ours[] = {SIP_H_CONTACT, SIP_H_P_ASSERTED_IDENTITY};
    for (size_t i = 0; i < COUNT_OF(ours); i++) {
        sip_put_begin(b, ours[i]);
        buf_cstr(b, "<sip:");
        buf_cstr(b, p->sent_by);
        buf_char(b, '>');
        sip_put_end(b);
    }
    sip_put(b, SIP_H_EVENT, SPAN("reg"));
    sip_put(b, SIP_H_ACCEPT, SPAN("application/reginfo+xml"));
    sip_put_number(b, SIP_H_EXPIRES, s->expires_s);
    sip_put_begin(b, SIP_H_P_CHARGING_VECTOR);
    pcscf_put_charging_vector(p, b);
    sip_put_end(b);
}

static void fail(struct subscription *s, const char *why) {
    LOG(&s->pcscf->env->log, LOG_NOTICE, "no subscription to registration state",
        LOG_SPAN("impu", s->impu), LOG_CSTR("why", why));
    free_subscription(s);
}

static void await_refresh(struct subscription *s, const struct sip_msg *answer) {
    uint32_t expires_s = s->expires_s;
    if (sip_number_of(answer, SIP_H_EXPIRES, &expires_s) != OK || expires_s > s->expires_s) {
        expires_s = s->expires_s;
    }
    timer_start(s->pcscf->env, &s->timer, sip_subscription_refresh_s(expires_s) * SEC_IN_US);
}

static void on_answer(void *ctx, struct sip_client *tx, const struct sip_msg *answer) {
    struct subscription *s = (struct subscription *)ctx;
    (void)tx;
    if (answer->status < 200) {
        return;
    }
    s->asking = NULL;
    resolver_worked(s->pcscf->resolver, &s->to);
    if (s->state == SUBSCRIPTION_LEAVES) {
        return;
    }
    if (answer->status >= 300) {
        if (s->state == SUBSCRIPTION_STANDS) { /* the S-CSCF has forgotten it, or fails */
            pcscf_end_subscription(s, answer->status == 481);
        } else {
            fail(s, "refused");
        }
        return;
    }
    enum error e = s->dialog.tag.n ? OK : sip_dialog_learn(&s->dialog, answer);
    if (e != OK) {
        fail(s, error_text(e));
        return;
    }
    s->pcscf->counters.subscribed += s->state == SUBSCRIPTION_ASKS;
    s->state = SUBSCRIPTION_STANDS;
    await_refresh(s, answer);
}

static void on_silence(void *ctx, struct sip_client *tx) {
    struct subscription *s = (struct subscription *)ctx;
    (void)tx;
    s->asking = NULL;
    resolver_failed(s->pcscf->resolver, &s->to);
    if (s->state != SUBSCRIPTION_LEAVES) {
        fail(s, "no answer");
    }
}

static const struct sip_client_handler subscribe_handler = {.response = on_answer,
                                                            .timeout = on_silence};

static void resolved(struct subscription *s, enum error e, const struct resolver_answer *answer) {
    struct pcscf *p = s->pcscf;
    bool initial = !s->dialog.tag.n;
    if (e == OK && initial && !pcscf_is_home_network(p, answer)) {
        e = ERR_REFUSED;
    }
    if (e == OK) {
        struct buf *b = sip_client_begin(p->stack, 0, &answer->targets[0], SPAN("SUBSCRIBE"),
                                         initial ? s->impu : s->dialog.target, &s->asking);
        e = ERR_NO_MEMORY;
        if (b) {
            put_subscribe(b, s);
            s->to = answer->targets[0];
            e = sip_client_send(s->asking, SPAN_NONE, &subscribe_handler, s);
        }
    }
    if (e != OK) {
        s->asking = NULL;
        fail(s, error_text(e));
    }
}

static void on_resolved(struct resolver_query *query, enum error e,
                        const struct resolver_answer *answer) {
    resolved(CONTAINER_OF(query, struct subscription, query), e, answer);
}

/* The first one goes to the home network's door, by the domain alone; within the dialog to the
 * first Route or the Contact. */
static void ask(struct subscription *s) {
    bool stands = s->dialog.tag.n > 0;
    struct sip_uri uri;
    struct resolver_name name = {0};
    struct resolver_answer answer;
    enum error e = stands ? sip_dialog_next_hop(&s->dialog, &uri) : sip_uri_parse(s->impu, &uri);
    if (e == OK) {
        name = stands ? resolver_name_of(&uri) : (struct resolver_name){.host = uri.host};
        e = resolver_cached(s->pcscf->resolver, &name, &answer);
    }
    if (e == ERR_INCOMPLETE) {
        e = resolver_find(s->pcscf->resolver, &name, &s->query, on_resolved);
        if (e == OK) {
            return;
        }
    }
    resolved(s, e, &answer);
}

static void on_begin(struct post *post) {
    ask(CONTAINER_OF(post, struct subscription, begin));
}

static void on_timer(struct timer *t) {
    struct subscription *s = CONTAINER_OF(t, struct subscription, timer);
    if (s->state == SUBSCRIPTION_LEAVES) {
        free_subscription(s);
    } else {
        pcscf_refresh_subscription(s);
    }
}

void pcscf_refresh_subscription(struct subscription *s) {
    if (s->state == SUBSCRIPTION_STANDS && !s->asking && !s->query.resolver) {
        timer_stop(&s->timer);
        ask(s);
    }
}

/* Names of a new dialog. */
static void draw_names(struct subscription *s) {
    struct buf b = buf_init(s->call_id, sizeof s->call_id);
    sip_stack_put_token(s->pcscf->stack, &b);
    b = buf_init(s->tag, sizeof s->tag);
    sip_stack_put_token(s->pcscf->stack, &b);
}

/* In the tables, and about to ask. ERR_NO_MEMORY: in neither. */
static enum error begin(struct subscription *s) {
    struct pcscf *p = s->pcscf;
    draw_names(s);
    enum error e = htab_insert(&p->subscriptions, &s->by_call_id, hash_bytes(call_id_of(s)));
    if (e == OK) {
        e = htab_insert(&p->subscribed, &s->by_user, user_hash(s->impu, s->impi));
        if (e != OK) {
            htab_remove(&p->subscriptions, &s->by_call_id);
        }
    }
    if (e == OK) {
        env_post(p->env, &s->begin); /* behind the 200 to the terminal */
    }
    return e;
}

/* NULL: memory is out. */
static struct subscription *make(struct pcscf *p, struct span impu, struct span impi) {
    struct subscription *s = (struct subscription *)calloc(1, sizeof *s + impu.n + impi.n);
    if (!s) {
        return NULL;
    }
    struct buf b = buf_init(s + 1, impu.n + impi.n);
    buf_put(&b, impu);
    buf_put(&b, impi);
    s->impu = span_of(b.p, impu.n);
    s->impi = span_of(b.p + impu.n, impi.n);
    s->pcscf = p;
    list_init(&s->registrations);
    post_init(&s->begin, on_begin);
    timer_init(&s->timer, on_timer);
    if (begin(s) != OK) {
        free(s);
        return NULL;
    }
    return s;
}

static void attach(struct subscription *s, struct registration *r) {
    r->subscription = s;
    list_insert(&s->registrations, &r->of_subscription);
}

/* The default public identity; if that is a number, the first SIP URI of the set. Empty: there is
 * none. */
static struct span set_name(const struct registration *r) {
    struct sip_address a;
    for (size_t i = 0; i < r->n_associated; i++) {
        if (sip_address_parse(r->associated[i], &a) == OK && a.uri.host.n) {
            return a.uri_text;
        }
    }
    return SPAN_NONE;
}

void pcscf_subscribe(struct pcscf *p, struct registration *r) {
    struct span impu = set_name(r);
    if (!p->config.reg_event || p->stopping || r->subscription || !impu.n) {
        return;
    }
    struct subscription *s = find_user(p, impu, r->impi);
    if (!s) {
        s = make(p, impu, r->impi);
    }
    if (!s) {
        LOG(&p->env->log, LOG_ERROR, "no subscription to registration state",
            LOG_SPAN("impu", r->impu), LOG_CSTR("why", error_text(ERR_NO_MEMORY)));
        return;
    }
    uint64_t now = env_now_us(p->env), due = r->expiry.due_us;
    uint64_t left_s = due > now ? (due - now) / SEC_IN_US : 0;
    s->expires_s = left_s < EXPIRES_S ? EXPIRES_S : (uint32_t)left_s + REFRESH_BEFORE_S;
    attach(s, r);
}

void pcscf_inherit_subscription(struct registration *r, struct registration *from) {
    if (from->subscription) {
        attach(from->subscription, r);
    }
}

void pcscf_leave_subscription(struct registration *r) {
    struct subscription *s = r->subscription;
    list_remove(&r->of_subscription);
    r->subscription = NULL;
    if (!s || !list_is_empty(&s->registrations)) {
        return;
    }
    htab_remove(&s->pcscf->subscribed, &s->by_user);
    s->state = SUBSCRIPTION_LEAVES;
    post_cancel(&s->begin);
    timer_start(s->pcscf->env, &s->timer, LEAVING_S * SEC_IN_US);
}

void pcscf_end_subscription(struct subscription *s, bool again) {
    struct registration *any =
        list_is_empty(&s->registrations)
            ? NULL
            : CONTAINER_OF(s->registrations.next, struct registration, of_subscription);
    struct pcscf *p = s->pcscf;
    if (!again || !any) {
        free_subscription(s);
        return;
    }
    struct list orphans;
    list_init(&orphans);
    list_move_all(&s->registrations, &orphans);
    free_subscription(s);
    LIST_EACH(&orphans, r, struct registration, of_subscription) {
        list_remove(&r->of_subscription);
        r->subscription = NULL;
        pcscf_subscribe(p, r);
    }
}
