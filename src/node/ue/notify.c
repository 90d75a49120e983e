/* NOTIFY at the terminal: what the network says of its registration. TS 24.229 5.1.1.5A, 5.1.1.7;
 * RFC 6665 4.1.3, RFC 3680 section 5.
 *
 * The contact of the identity that was registered decides; if that identity is not told (it may be
 * barred), the one of the subscription's. Other identities are learned into P-Associated-URI's
 * values when they come, and forgotten when they go. Choices: a document that is not newer than the
 * last changes nothing; a full one that leaves our contact out means that the network has lost it,
 * unless the 200 is so young that the document may be older. */
#include "model/registration/request.h"
#include "node/ue/internal.h"

#include <stdlib.h>

enum {
    IDENTITIES_MAX = 64,
    IDENTITY_MAX = 512,
    SCRATCH_MAX = 4096,
    NOTIFY_LIFE_S = 32,
    AGAIN_S = 60
};

static struct ue_subscription *find(const struct ue_pool *pool, const struct sip_msg *req) {
    for (struct htab_node *n = htab_first(&pool->subscriptions, hash_bytes(req->call_id)); n;
         n = htab_next(n)) {
        struct ue_subscription *s = CONTAINER_OF(n, struct ue_subscription, node);
        if (span_eq(span_of(s->call_id, sizeof s->call_id), req->call_id) &&
            span_eq(span_of(s->tag, sizeof s->tag), req->to_tag) &&
            (!s->dialog.tag.n || span_eq(s->dialog.tag, req->from_tag))) {
            return s;
        }
    }
    return NULL;
}

/* An identity's canonical form; false: it is none that can be told by its form. */
static bool canonical(struct span text, struct buf *b) {
    struct sip_address a;
    return sip_address_parse(text, &a) == OK && !a.star &&
           span_find_char(a.uri_text, '!') == a.uri_text.n &&
           registration_put_impu(b, &a.uri) == OK && !b->overflow;
}

static const struct reginfo_registration *element_of(const struct reginfo *info,
                                                     struct span identity) {
    char wanted_text[IDENTITY_MAX], text[IDENTITY_MAX];
    struct buf wanted = buf_init(wanted_text, sizeof wanted_text);
    if (!canonical(identity, &wanted)) {
        return NULL;
    }
    for (size_t i = 0; i < info->n_registrations; i++) {
        struct buf b = buf_init(text, sizeof text);
        if (canonical(info->registrations[i].aor, &b) && span_eq(buf_span(&b), buf_span(&wanted))) {
            return &info->registrations[i];
        }
    }
    return NULL;
}

static const struct reginfo_registration *wildcard_of(const struct reginfo *info,
                                                      struct span identity) {
    for (size_t i = 0; i < info->n_registrations; i++) {
        const struct reginfo_registration *e = &info->registrations[i];
        if (e->wildcard.n && span_eq(e->wildcard, identity)) {
            return e;
        }
    }
    return NULL;
}

static const struct reginfo_contact *contact_of(const struct ue *ue,
                                                const struct reginfo_registration *e) {
    struct sip_uri ours, theirs;
    bool readable = sip_uri_parse(ue->contact, &ours) == OK;
    for (size_t i = 0; i < e->n_contacts; i++) {
        const struct reginfo_contact *c = &e->contacts[i];
        if (span_eq(c->uri, ue->contact) ||
            (readable && sip_uri_parse(c->uri, &theirs) == OK && sip_uri_equal(&ours, &theirs))) {
            return c;
        }
    }
    return NULL;
}

/* What a document says of our contact; `early`: of the REGISTER under way, whose 200 it has
 * overtaken. */
static struct ue_news read_news(const struct ue_subscription *s, const struct reginfo *info,
                                bool *early) {
    struct ue *ue = s->ue;
    const struct reginfo_registration *e = element_of(info, ue_impu(ue));
    e = e ? e : element_of(info, s->impu);
    const struct reginfo_contact *c = e ? contact_of(ue, e) : NULL;
    uint64_t age_us = env_now_us(ue->pool->env) - ue->granted_at_us;
    *early = false;
    if (!c) {
        bool lost = (e && e->state == REGINFO_TERMINATED) ||
                    (info->full && age_us > NOTIFY_LIFE_S * SEC_IN_US);
        return (struct ue_news){.any = lost, .event = REGINFO_DEACTIVATED};
    }
    bool is_ours = c->has_cseq && span_eq(c->call_id, span_of(ue->call_id, sizeof ue->call_id));
    if (is_ours && c->cseq < ue->granted_cseq) {
        return (struct ue_news){0};
    }
    *early = is_ours && ue->client && c->cseq == ue->cseq;
    return (struct ue_news){.any = !c->active || c->event == REGINFO_SHORTENED,
                            .active = c->active,
                            .event = c->event,
                            .seconds = c->active            ? c->expires_s
                                       : c->has_retry_after ? c->retry_after_s
                                                            : 0};
}

/* Identities that came or went. */
static void learn(struct ue *ue, const struct reginfo *info) {
    struct span values[IDENTITIES_MAX], value;
    char text[SCRATCH_MAX], known_text[SCRATCH_MAX];
    struct buf b = buf_init(text, sizeof text), known = buf_init(known_text, sizeof known_text);
    size_t n = 0;
    bool changes = false;
    struct sip_list list = sip_list_of_text(ue_associated_uris(ue));
    while (n < COUNT_OF(values) && sip_list_next(&list, &value)) {
        struct sip_address a;
        struct span uri = sip_address_parse(value, &a) == OK ? a.uri_text : SPAN_NONE;
        const struct reginfo_registration *e = element_of(info, uri);
        char scratch[IDENTITY_MAX];
        struct buf form = buf_init(scratch, sizeof scratch);
        bool told = canonical(uri, &form);
        e = e ? e : wildcard_of(info, uri);
        bool stays = e ? e->state != REGINFO_TERMINATED : !told || !info->full;
        changes |= !stays;
        if (stays) {
            values[n++] = value;
            buf_char(&known, '<');
            buf_put(&known, told ? buf_span(&form) : uri);
            buf_char(&known, '>');
        }
    }
    for (size_t i = 0; i < info->n_registrations && n < COUNT_OF(values); i++) {
        const struct reginfo_registration *e = &info->registrations[i];
        size_t at = b.n;
        buf_char(&b, '<');
        if (e->wildcard.n) {
            buf_put(&b, e->wildcard);
        }
        if (e->state != REGINFO_ACTIVE || (!e->wildcard.n && !canonical(e->aor, &b))) {
            b.n = at;
            continue;
        }
        buf_char(&b, '>');
        struct span fresh = span_of(text + at, b.n - at);
        if (!b.overflow && span_find(buf_span(&known), fresh) == known.n) {
            values[n++] = fresh;
            changes = true;
        }
    }
    if (changes && !known.overflow && !b.overflow && ue_reassociate(ue, values, n) != OK) {
        LOG(&ue->pool->env->log, LOG_ERROR, "identities not learned",
            LOG_CSTR("error", error_text(ERR_NO_MEMORY)));
    }
}

/* What a document is worth to us; asks for all there is if one was missed (RFC 3680 5.1). */
static struct ue_news take(struct ue_subscription *s, const struct reginfo *info) {
    struct ue *ue = s->ue;
    bool missed = !info->full && (!s->has_version || info->version > s->version + 1);
    bool early;
    if (s->has_version && info->version <= s->version) {
        return (struct ue_news){0};
    }
    s->version = info->version;
    s->has_version = true;
    struct ue_news news = read_news(s, info, &early);
    if (ue->registered) {
        learn(ue, info);
    }
    if (early && news.any) {
        ue->early = news;
        news.any = false;
    }
    if (missed) {
        ue_refresh_subscription(s);
    }
    return news;
}

/* Subscription-State: the subscription's own end, or less time. */
static void take_state(struct ue_subscription *s, const struct sip_msg *req) {
    struct span params = sip_value(req, SIP_H_SUBSCRIPTION_STATE), reason = SPAN_NONE, text;
    struct span state = span_trim(span_cut(&params, ';'));
    uint32_t seconds = 0;
    if (!span_eq_nocase(state, SPAN("terminated"))) {
        if (s->state == UE_SUBSCRIPTION_STANDS && !s->asking &&
            sip_param(params, SPAN("expires"), &text) && span_to_u32(text, UINT32_MAX, &seconds)) {
            timer_start(s->ue->pool->env, &s->timer,
                        sip_subscription_refresh_s(seconds) * SEC_IN_US);
        }
        return;
    }
    (void)sip_param(params, SPAN("reason"), &reason);
    if (sip_param(params, SPAN("retry-after"), &text) && !span_to_u32(text, UINT32_MAX, &seconds)) {
        seconds = 0;
    }
    bool at_once =
        span_eq_nocase(reason, SPAN("deactivated")) || span_eq_nocase(reason, SPAN("timeout"));
    bool later =
        span_eq_nocase(reason, SPAN("probation")) || span_eq_nocase(reason, SPAN("giveup"));
    ue_end_subscription(s, at_once || later, at_once ? 0 : seconds ? seconds : AGAIN_S);
}

static bool is_reg(const struct sip_msg *req) {
    struct sip_event event;
    return sip_event_parse(sip_value(req, SIP_H_EVENT), &event) == OK &&
           span_eq_nocase(event.package, SPAN("reg"));
}

/* What is wrong with a NOTIFY; 0: nothing. *info is NULL if it has no body. */
static unsigned read_notify(const struct ue_subscription *s, struct sip_server *tx,
                            const struct sip_msg *req, struct reginfo **info) {
    *info = NULL;
    if (!s) {
        return 481;
    }
    if (!is_reg(req)) {
        return 489;
    }
    if (s->their_cseq && req->cseq <= s->their_cseq) {
        return 500;
    }
    return req->body.n && reginfo_read(req->body, sip_server_arena(tx), info) != OK ? 400 : 0;
}

void ue_notify(struct ue_pool *pool, struct sip_server *tx, const struct sip_msg *req) {
    struct ue_subscription *s = find(pool, req);
    struct ue_news news = {0};
    struct reginfo *info;
    unsigned status = read_notify(s, tx, req, &info);
    struct ue *ue = s ? s->ue : NULL;
    if (status == 0) {
        pool->counters.notified++;
        s->their_cseq = req->cseq;
        news = info ? take(s, info) : news;
        take_state(s, req);
    }
    if (sip_reply(tx, status ? status : 200, SPAN_NONE)) {
        LOG(&pool->env->log, LOG_INFO, "an answer could not be sent");
    }
    if (news.any) {
        ue_told(ue, &news); /* the last: its owner may do anything */
    }
}
