/* NOTIFY at the P-CSCF: what the home network says of registrations here. TS 24.229 5.2.3, 5.2.5.2.
 *
 * A contact that is terminated, and one whose address of record is, loses its registration at once;
 * public identities that come or go are learned into P-Associated-URI's values. Choice: a
 * registration that a full document leaves out ends only if its last 200 is older than a NOTIFY can
 * be, which may have been made before it. */
#include "model/registration/request.h"
#include "node/pcscf/internal.h"

enum { NOTIFY_LIFE_S = 32, SCRATCH_MAX = 4096 };

static bool is_aor(const struct reginfo_registration *e, struct span impu) {
    char text[PCSCF_IDENTITY_MAX];
    struct buf b = buf_init(text, sizeof text);
    struct sip_uri uri;
    return sip_uri_parse(e->aor, &uri) == OK && registration_put_impu(&b, &uri) == OK &&
           !b.overflow && span_eq(buf_span(&b), impu);
}

static const struct reginfo_registration *element_of(const struct reginfo *info, struct span impu) {
    for (size_t i = 0; i < info->n_registrations; i++) {
        if (is_aor(&info->registrations[i], impu)) {
            return &info->registrations[i];
        }
    }
    return NULL;
}

static const struct reginfo_contact *contact_of(const struct reginfo_registration *e,
                                                struct span contact) {
    struct sip_uri ours, theirs;
    bool readable = sip_uri_parse(contact, &ours) == OK;
    for (size_t i = 0; i < e->n_contacts; i++) {
        if (span_eq(e->contacts[i].uri, contact) ||
            (readable && sip_uri_parse(e->contacts[i].uri, &theirs) == OK &&
             sip_uri_equal(&ours, &theirs))) {
            return &e->contacts[i];
        }
    }
    return NULL;
}

/* Has the home network ended this registration? *event is what it says of it. */
static bool is_ended(const struct registration *r, const struct reginfo *info, uint64_t now_us,
                     struct span *event) {
    const struct reginfo_registration *e = element_of(info, r->impu);
    const struct reginfo_contact *c = e ? contact_of(e, r->contact) : NULL;
    *event = c ? reginfo_event_name(c->event) : SPAN("left out");
    if (c) {
        return !c->active && !(c->has_cseq && pcscf_is_later(r, c->call_id, c->cseq));
    }
    if (e && e->state == REGINFO_TERMINATED) {
        return true;
    }
    return info->full && now_us - r->since_us > NOTIFY_LIFE_S * SEC_IN_US;
}

/* The network wants the terminal to authenticate anew: less time (5.2.3). */
static void shorten(struct pcscf *p, struct registration *r, const struct reginfo *info) {
    const struct reginfo_registration *e = element_of(info, r->impu);
    const struct reginfo_contact *c = e ? contact_of(e, r->contact) : NULL;
    uint64_t now_us = env_now_us(p->env);
    if (c && c->active && c->event == REGINFO_SHORTENED && c->has_expires &&
        now_us + c->expires_s * SEC_IN_US < r->expiry.due_us) {
        timer_start(p->env, &r->expiry, c->expires_s * SEC_IN_US);
    }
}

/* The 200 of the REGISTER that the document tells of may still be on its way. */
static void note_departure(struct pcscf *p, const struct registration *r,
                           const struct reginfo *info) {
    const struct reginfo_registration *e = element_of(info, r->impu);
    const struct reginfo_contact *c = e ? contact_of(e, r->contact) : NULL;
    if (c && c->has_cseq) {
        const struct binding_key key = pcscf_key(r->impu, r->contact);
        departures_note(&p->departures, departures_name(key.hash, c->call_id), c->cseq,
                        env_now_us(p->env));
    }
}

static void end(struct pcscf *p, struct registration *r, struct span event) {
    p->counters.ended++;
    journal_add(p->env, &(struct journal_note){.step = STEP_ENDED,
                                               .reason = REASON_ENDED_BY_HOME_NETWORK,
                                               .impi = r->impi,
                                               .impu = r->impu,
                                               .detail = event});
    LOG(&p->env->log, LOG_INFO, "registration ended by the home network", LOG_SPAN("impu", r->impu),
        LOG_SPAN("contact", r->contact), LOG_SPAN("event", event));
    pcscf_drop(p, r);
}

/* A value of P-Associated-URI as an identity; false: it is none that a document can name. */
static bool canonical(struct span value, struct buf *b) {
    struct sip_address a;
    return sip_address_parse(value, &a) == OK && span_find_char(a.uri_text, '!') == a.uri_text.n &&
           registration_put_impu(b, &a.uri) == OK && !b->overflow;
}

/* What is said of a wildcarded identity; NULL: nothing, or the value is none. */
static const struct reginfo_registration *wildcard_of(const struct reginfo *info,
                                                      struct span value) {
    struct sip_address a;
    for (size_t i = 0; i < info->n_registrations; i++) {
        const struct reginfo_registration *e = &info->registrations[i];
        if (e->wildcard.n && sip_address_parse(value, &a) == OK &&
            span_eq(a.uri_text, e->wildcard)) {
            return e;
        }
    }
    return NULL;
}

/* Does the value stay? A wildcard that nothing is said of does. */
static bool stays(struct span value, const struct reginfo *info) {
    char text[PCSCF_IDENTITY_MAX];
    struct buf b = buf_init(text, sizeof text);
    if (!canonical(value, &b)) {
        const struct reginfo_registration *w = wildcard_of(info, value);
        return !w || w->state != REGINFO_TERMINATED;
    }
    const struct reginfo_registration *e = element_of(info, buf_span(&b));
    return e ? e->state != REGINFO_TERMINATED : !info->full;
}

/* Is it an identity that can be learned, and is known already? What cannot be read back from
 * P-Associated-URI's form would never be known. */
static bool is_known(const struct registration *r, const struct reginfo_registration *e) {
    char scratch[PCSCF_IDENTITY_MAX];
    struct buf aor = buf_init(scratch, sizeof scratch);
    struct sip_address a;
    if (e->wildcard.n) {
        bool known = sip_address_parse(e->wildcard, &a) != OK;
        for (size_t i = 0; i < r->n_associated && !known; i++) {
            known =
                sip_address_parse(r->associated[i], &a) == OK && span_eq(a.uri_text, e->wildcard);
        }
        return known;
    }
    if (!canonical(e->aor, &aor) || !is_aor(e, buf_span(&aor))) {
        return true;
    }
    for (size_t i = 0; i < r->n_associated; i++) {
        char text[PCSCF_IDENTITY_MAX];
        struct buf b = buf_init(text, sizeof text);
        if (canonical(r->associated[i], &b) && is_aor(e, buf_span(&b))) {
            return true;
        }
    }
    return false;
}

/* Identities that came or went. r may move. */
static void learn(struct pcscf *p, struct registration *r, const struct reginfo *info) {
    struct span values[PCSCF_ASSOCIATED_MAX];
    char text[SCRATCH_MAX];
    struct buf b = buf_init(text, sizeof text);
    uint16_t n = 0;
    bool changes = false;
    for (size_t i = 0; i < r->n_associated; i++) {
        if (stays(r->associated[i], info)) {
            values[n++] = r->associated[i];
        } else {
            changes = true;
        }
    }
    for (size_t i = 0; i < info->n_registrations && n < PCSCF_ASSOCIATED_MAX; i++) {
        const struct reginfo_registration *e = &info->registrations[i];
        if (e->state == REGINFO_ACTIVE && !is_known(r, e)) {
            size_t at = b.n;
            buf_char(&b, '<');
            buf_put(&b, e->wildcard.n ? e->wildcard : e->aor);
            buf_char(&b, '>');
            values[n++] = span_of(text + at, b.n - at);
            changes = true;
        }
    }
    if (changes && !b.overflow && pcscf_reassociate(p, r, values, n) != OK) {
        LOG(&p->env->log, LOG_ERROR, "identities not learned", LOG_SPAN("impu", r->impu),
            LOG_CSTR("error", error_text(ERR_NO_MEMORY)));
    }
}

/* Once for each registration: one that learns moves to the end of the list. The subscription stays,
 * though it may have nothing to serve any more. */
static void act(struct subscription *s, const struct reginfo *info) {
    struct pcscf *p = s->pcscf;
    uint64_t now = env_now_us(p->env);
    size_t n = 0;
    LIST_EACH(&s->registrations, r, struct registration, of_subscription) {
        n++;
    }
    while (n-- > 0) {
        struct registration *r =
            CONTAINER_OF(s->registrations.next, struct registration, of_subscription);
        struct span event;
        list_remove(&r->of_subscription);
        list_insert(&s->registrations, &r->of_subscription);
        if (is_ended(r, info, now, &event)) {
            note_departure(p, r, info);
            end(p, r, event);
        } else {
            shorten(p, r, info);
            learn(p, r, info);
        }
    }
}

/* Subscription-State: its first word, and the reason. */
static struct span state_of(const struct sip_msg *req, struct span *reason) {
    struct span params = sip_value(req, SIP_H_SUBSCRIPTION_STATE);
    struct span state = span_trim(span_cut(&params, ';'));
    if (!sip_param(params, SPAN("reason"), reason)) {
        *reason = SPAN_NONE;
    }
    return state;
}

static bool is_reg(const struct sip_msg *req) {
    struct sip_event event;
    return sip_event_parse(sip_value(req, SIP_H_EVENT), &event) == OK &&
           span_eq_nocase(event.package, SPAN("reg"));
}

/* What is wrong with a NOTIFY; 0: nothing. *info is NULL if it has no body. */
static unsigned read_notify(const struct subscription *s, struct sip_server *up,
                            const struct sip_msg *req, struct reginfo **info, enum reason *why) {
    *info = NULL;
    if (!s) {
        *why = REASON_NO_SUCH_SUBSCRIPTION;
        return 481;
    }
    if (!is_reg(req)) {
        *why = REASON_EVENT_NOT_SUPPORTED;
        return 489;
    }
    if (s->their_cseq && req->cseq <= s->their_cseq) {
        *why = REASON_OUT_OF_ORDER;
        return 500;
    }
    if (req->body.n && reginfo_read(req->body, sip_server_arena(up), info) != OK) {
        *why = REASON_MALFORMED_MESSAGE;
        return 400;
    }
    return 0;
}

/* Takes what a document says, unless it is older than what is known; asks for all there is if one
 * was missed (RFC 3680 5.1). */
static void take(struct subscription *s, const struct reginfo *info) {
    bool is_old = s->has_version && info->version <= s->version;
    bool missed = !info->full && (!s->has_version || info->version > s->version + 1);
    if (is_old) {
        return;
    }
    s->version = info->version;
    s->has_version = true;
    act(s, info);
    if (missed) {
        pcscf_refresh_subscription(s);
    }
}

void pcscf_notify(struct pcscf *p, struct sip_server *up, const struct sip_msg *req) {
    struct subscription *s = pcscf_subscription_of(p, req);
    struct reginfo *info;
    struct span reason;
    enum reason why = REASON_NONE;
    unsigned status = read_notify(s, up, req, &info, &why);
    if (status) {
        pcscf_refuse(p, up, status, why);
        return;
    }
    p->counters.notified++;
    s->their_cseq = req->cseq;
    if (info) {
        take(s, info);
    }
    if (span_eq_nocase(state_of(req, &reason), SPAN("terminated"))) {
        pcscf_end_subscription(s, span_eq_nocase(reason, SPAN("deactivated")) ||
                                      span_eq_nocase(reason, SPAN("timeout")));
    }
    sip_reply(up, 200, SPAN_NONE);
}
