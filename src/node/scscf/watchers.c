/* Subscriptions to the registration state of a set (reg-event): TS 24.229 5.4.2.1, RFC 6665 as
 * notifier, RFC 3680. Who may is in authorisation.c.
 *
 *     SUBSCRIBE -> who may? -> 200, NOTIFY with all there is -> NOTIFY with each change
 *
 * Choices: one NOTIFY of a subscription is under way at a time; what changes meanwhile is told by
 * one full document behind it. A NOTIFY that gets no answer, or another error than 500 and 503,
 * ends its subscription. The last contact's end ends all subscriptions of the set ("noresource"),
 * a subscription's own end is "timeout". */
#include "node/scscf/internal.h"

#include <stdlib.h>

enum {
    EXPIRES_MAX_S = 600000,   /* 24.229 5.4.2.1.1 */
    EXPIRES_DEFAULT_S = 3761, /* RFC 3680 4.4 */
    TEXTS_MAX = 4096
};

struct watcher_texts {
    struct span call_id;
    struct span ours, theirs; /* values of From and To of a NOTIFY, with tags */
    struct span our_tag, their_tag;
    struct span target; /* URI of their Contact */
    struct span route;  /* value of Route; empty: none */
    struct span id;     /* parameter of Event; empty: none */
};

enum { TEXTS = sizeof(struct watcher_texts) / sizeof(struct span) };

struct lookup { /* of where the subscriber is */
    struct resolver_query query;
    struct watcher *watcher;
};

struct watcher {
    struct htab_node node; /* by Call-ID */
    struct list of_set;
    struct scscf *s;
    struct reg_set *set; /* NULL: it is over, and waits for its last NOTIFY */
    struct timer expiry;
    struct lookup *lookup;     /* under way, or NULL */
    struct sip_client *notify; /* under way, or NULL */
    struct sip_hop to;         /* where that goes */
    struct arena arena;        /* of pending */
    struct span pending;       /* a document that is not sent yet; empty: none */
    const char *over;          /* reason of the end; NULL: it stands */
    uint32_t versions;         /* of documents that were made */
    uint32_t cseq, their_cseq;
    struct watcher_texts texts; /* in one block */
};

/* Puts copies of all texts in a block of their own, in place of what stood there. */
static enum error keep_texts(struct watcher *w, struct watcher_texts texts) {
    struct span *spans = (struct span *)&texts;
    size_t n = 0;
    for (size_t i = 0; i < TEXTS; i++) {
        n += spans[i].n;
    }
    if (n > TEXTS_MAX) {
        return ERR_TOO_BIG;
    }
    char *block = (char *)malloc(n);
    if (!block) {
        return ERR_NO_MEMORY;
    }
    struct buf b = buf_init(block, n);
    for (size_t i = 0; i < TEXTS; i++) {
        size_t at = b.n;
        buf_put(&b, spans[i]);
        spans[i] = span_of(block + at, spans[i].n);
    }
    free((char *)(uintptr_t)w->texts.call_id.p); /* the block's beginning */
    w->texts = texts;
    return OK;
}

static void drop(struct watcher *w) {
    timer_stop(&w->expiry);
    if (w->lookup) {
        resolver_cancel(&w->lookup->query);
        free(w->lookup);
    }
    sip_client_free(w->notify);
    arena_release(&w->arena);
    list_remove(&w->of_set);
    htab_remove(&w->s->watchers, &w->node);
    free((char *)(uintptr_t)w->texts.call_id.p);
    free(w);
}

static void give_up(struct watcher *w, const char *why) {
    w->s->counters.notifies_failed++;
    LOG(&w->s->env->log, LOG_NOTICE, "subscription ends: NOTIFY failed",
        LOG_SPAN("subscriber", w->texts.theirs), LOG_CSTR("why", why));
    drop(w);
}

static void advance(struct watcher *w);

/* RFC 5057 5.1. A redirection leads to nobody that we know. */
static bool ends_usage(unsigned status) {
    static const uint16_t ends[] = {404, 405, 408, 410, 416, 480, 481, 482,
                                    483, 484, 485, 489, 501, 502, 604};
    bool found = status >= 300 && status < 400;
    for (size_t i = 0; i < COUNT_OF(ends); i++) {
        found |= ends[i] == status;
    }
    return found;
}

static void on_answer(void *ctx, struct sip_client *tx, const struct sip_msg *answer) {
    struct watcher *w = (struct watcher *)ctx;
    (void)tx;
    if (answer->status < 200) {
        return;
    }
    w->notify = NULL;
    resolver_worked(w->s->resolver, &w->to);
    if (ends_usage(answer->status)) {
        give_up(w, "refused");
        return;
    }
    w->s->counters.notifies_failed += answer->status >= 300;
    advance(w);
}

static void on_silence(void *ctx, struct sip_client *tx) {
    struct watcher *w = (struct watcher *)ctx;
    (void)tx;
    w->notify = NULL;
    resolver_failed(w->s->resolver, &w->to);
    give_up(w, "no answer");
}

static const struct sip_client_handler notify_handler = {.response = on_answer,
                                                         .timeout = on_silence};

static uint32_t seconds_left(const struct watcher *w) {
    uint64_t now = env_now_us(w->s->env), due = w->expiry.due_us;
    return due > now ? (uint32_t)((due - now + SEC_IN_US / 2) / SEC_IN_US) : 0;
}

static void put_notify(struct buf *b, struct watcher *w, bool has_body) {
    const struct watcher_texts *t = &w->texts;
    sip_put_number(b, SIP_H_MAX_FORWARDS, 70);
    if (t->route.n) {
        sip_put(b, SIP_H_ROUTE, t->route);
    }
    sip_put(b, SIP_H_FROM, t->ours);
    sip_put(b, SIP_H_TO, t->theirs);
    sip_put(b, SIP_H_CALL_ID, t->call_id);
    sip_put_begin(b, SIP_H_CSEQ);
    buf_u64(b, ++w->cseq);
    buf_cstr(b, " NOTIFY");
    sip_put_end(b);
    sip_put_begin(b, SIP_H_CONTACT);
    buf_cstr(b, "<sip:");
    buf_cstr(b, w->s->sent_by);
    buf_char(b, '>');
    sip_put_end(b);
    sip_put_begin(b, SIP_H_EVENT);
    buf_cstr(b, "reg");
    if (t->id.n) {
        buf_cstr(b, ";id=");
        buf_put(b, t->id);
    }
    sip_put_end(b);
    sip_put_begin(b, SIP_H_SUBSCRIPTION_STATE);
    if (w->over) {
        buf_cstr(b, "terminated;reason=");
        buf_cstr(b, w->over);
    } else {
        buf_cstr(b, "active;expires=");
        buf_u64(b, seconds_left(w));
    }
    sip_put_end(b);
    if (has_body) {
        sip_put(b, SIP_H_CONTENT_TYPE, SPAN("application/reginfo+xml"));
    }
}

static enum error send_notify(struct watcher *w, const struct sip_hop *to, struct span body) {
    struct buf *b =
        sip_client_begin(w->s->stack, 0, to, SPAN("NOTIFY"), w->texts.target, &w->notify);
    if (!b) {
        return ERR_NO_MEMORY;
    }
    put_notify(b, w, body.n > 0);
    enum error e = sip_client_send(w->notify, body, &notify_handler, w);
    w->notify = e == OK ? w->notify : NULL;
    return e;
}

/* The set is not told of any more to this one. */
static void leave_set(struct watcher *w, const char *why) {
    timer_stop(&w->expiry);
    list_remove(&w->of_set);
    w->over = why;
    w->set = NULL;
}

/* A document that is larger than a message may be ends the subscription: who waits for it shall
 * know. */
static enum error send_too_big(struct watcher *w, const struct sip_hop *to) {
    LOG(&w->s->env->log, LOG_WARNING, "subscription ends: a NOTIFY is larger than message-max",
        LOG_SPAN("subscriber", w->texts.theirs), LOG_U64("body", w->pending.n));
    if (!w->over) {
        leave_set(w, "giveup");
    }
    return send_notify(w, to, SPAN_NONE);
}

static void send_pending(struct watcher *w, const struct sip_hop *to) {
    enum error e = send_notify(w, to, w->pending);
    if (e == ERR_TOO_BIG) {
        e = send_too_big(w, to);
    }
    if (e != OK) {
        give_up(w, error_text(e));
        return;
    }
    w->to = *to;
    w->pending = SPAN_NONE;
    arena_release(&w->arena);
    w->s->counters.notifies++;
}

static void on_resolved(struct resolver_query *query, enum error e,
                        const struct resolver_answer *answer) {
    struct lookup *l = CONTAINER_OF(query, struct lookup, query);
    struct watcher *w = l->watcher;
    w->lookup = NULL;
    free(l);
    if (e != OK) {
        give_up(w, error_text(e));
    } else {
        send_pending(w, &answer->targets[0]);
    }
}

/* Where the first Route, or the Contact, leads. */
static enum error next_hop(const struct watcher *w, struct sip_uri *out) {
    struct span text = w->texts.target;
    struct sip_list list = sip_list_of_text(w->texts.route);
    struct sip_address route;
    if (sip_address_next(&list, &route)) {
        text = route.uri_text;
    }
    return sip_uri_parse(text, out);
}

/* Sends what waits, if nothing is under way; ends what is over. w may be gone afterwards. */
static void advance(struct watcher *w) {
    struct scscf *s = w->s;
    if (w->notify || w->lookup) {
        return;
    }
    if (!w->pending.n) {
        if (w->over) {
            drop(w);
        }
        return;
    }
    struct sip_uri uri;
    struct resolver_answer answer;
    enum error e = next_hop(w, &uri);
    struct resolver_name name = e == OK ? resolver_name_of(&uri) : (struct resolver_name){0};
    e = e == OK ? resolver_cached(s->resolver, &name, &answer) : e;
    if (e == OK) {
        send_pending(w, &answer.targets[0]);
        return;
    }
    if (e == ERR_INCOMPLETE) {
        w->lookup = (struct lookup *)calloc(1, sizeof *w->lookup);
        e = w->lookup ? OK : ERR_NO_MEMORY;
        if (w->lookup) {
            w->lookup->watcher = w;
            e = resolver_find(s->resolver, &name, &w->lookup->query, on_resolved);
        }
    }
    if (e != OK) {
        give_up(w, error_text(e));
    }
}

/* Tells one watcher about a set. w may be gone afterwards. */
static void tell(struct watcher *w, const struct reg_set *set, bool full) {
    bool replaces = w->pending.n > 0;
    full |= w->notify || w->lookup;
    arena_release(&w->arena);
    w->versions += !replaces;
    w->pending = scscf_state(set, &w->arena, w->versions - 1, full);
    if (w->pending.n) {
        advance(w);
    } else {
        give_up(w, error_text(ERR_NO_MEMORY));
    }
}

/* The last NOTIFY, with all there is or with what has changed. w may be gone afterwards. */
static void end_watcher(struct watcher *w, const char *why, bool full) {
    const struct reg_set *set = w->set;
    leave_set(w, why);
    tell(w, set, full);
}

void scscf_tell_watchers(struct reg_set *set) {
    bool is_last = list_is_empty(&set->bindings);
    if (!scscf_has_news(set)) {
        return;
    }
    LIST_EACH(&set->watchers, w, struct watcher, of_set) {
        if (is_last) {
            end_watcher(w, "noresource", false);
        } else {
            tell(w, set, false);
        }
    }
}

void scscf_drop_watchers(struct reg_set *set) {
    LIST_EACH(&set->watchers, w, struct watcher, of_set) {
        drop(w);
    }
}

void scscf_move_watchers(struct reg_set *from, struct reg_set *to) {
    LIST_EACH(&from->watchers, w, struct watcher, of_set) {
        w->set = to;
    }
    list_move_all(&from->watchers, &to->watchers);
}

static void forget(struct htab_node *node, void *ctx) {
    (void)ctx;
    drop(CONTAINER_OF(node, struct watcher, node));
}

void scscf_forget_watchers(struct scscf *s) {
    htab_each(&s->watchers, forget, NULL);
    htab_free(&s->watchers);
}

static void expire(struct timer *t) {
    end_watcher(CONTAINER_OF(t, struct watcher, expiry), "timeout", true);
}

/* A SUBSCRIBE, read. */
struct subscription {
    struct sip_event event;
    struct sip_contact contact;
    struct span impu; /* canonical form of the Request-URI */
    uint32_t expires_s;
};

static bool accepts_reginfo(const struct sip_msg *req) {
    struct sip_list list = sip_list_of(req, SIP_H_ACCEPT);
    for (struct span value; sip_list_next(&list, &value);) {
        struct span type = span_trim(span_slice(value, 0, span_find_char(value, ';')));
        if (span_eq_nocase(type, SPAN("application/reginfo+xml")) ||
            span_eq_nocase(type, SPAN("application/*")) || span_eq_nocase(type, SPAN("*/*"))) {
            return true;
        }
    }
    return !sip_has(req, SIP_H_ACCEPT);
}

/* 489 says which packages there are (RFC 6665 4.2.1.1). */
static void refuse_event(struct scscf *s, struct sip_server *up) {
    s->counters.refused++;
    sip_refuse_note(up, &(struct sip_refusal){.status = 489, .why = REASON_EVENT_NOT_SUPPORTED});
    struct buf *b = sip_reply_begin(up, 489, SPAN_NONE);
    sip_put(b, SIP_H_ALLOW_EVENTS, SPAN("reg"));
    sip_put_reason(b, s->config.host, REASON_EVENT_NOT_SUPPORTED);
    sip_reply_send(up, SPAN_NONE);
}

/* False: refused. */
static bool read_subscription(struct scscf *s, struct sip_server *up, const struct sip_msg *req,
                              struct subscription *out) {
    struct sip_refusal refusal = {.status = 400, .why = REASON_MALFORMED_SUBSCRIPTION};
    struct sip_list contacts = sip_list_of(req, SIP_H_CONTACT);
    char text[SCSCF_IDENTITY_MAX];
    struct buf b = buf_init(text, sizeof text);
    bool failed = false;
    if (sip_event_parse(sip_value(req, SIP_H_EVENT), &out->event) != OK ||
        !span_eq_nocase(out->event.package, SPAN("reg"))) {
        refuse_event(s, up);
        return false;
    }
    out->expires_s = EXPIRES_DEFAULT_S;
    enum error e = sip_number_of(req, SIP_H_EXPIRES, &out->expires_s);
    bool malformed = (e != OK && e != ERR_NOT_FOUND) || !req->from_tag.n ||
                     !sip_contact_next(&contacts, &out->contact) || out->contact.address.star;
    if (!accepts_reginfo(req)) {
        refusal = (struct sip_refusal){.status = 406, .why = REASON_BODY_NOT_ACCEPTABLE};
    } else if (!malformed) {
        refusal = (struct sip_refusal){.status = 480, .why = REASON_NOTHING_BOUND};
        malformed = registration_put_impu(&b, &req->uri) != OK;
        failed = b.overflow;
        out->impu = arena_copy(sip_server_arena(up), buf_span(&b), &failed);
        malformed |= failed;
    }
    bool brief = !malformed && out->expires_s > 0 && out->expires_s < s->config.subscription_min_s;
    if (brief && refusal.status != 406) { /* but a fetch, or an end */
        refusal = (struct sip_refusal){.status = 423,
                                       .why = REASON_INTERVAL_TOO_BRIEF,
                                       .min_expires_s = s->config.subscription_min_s};
    }
    if (malformed || brief || refusal.status == 406) {
        scscf_refuse(s, up, refusal);
        return false;
    }
    if (out->expires_s > EXPIRES_MAX_S) {
        out->expires_s = EXPIRES_MAX_S;
    }
    return true;
}

/* Value of a list header with all its values, in the arena. */
static struct span joined(struct sip_server *up, const struct sip_msg *req, enum sip_header_id id,
                          bool *failed) {
    char text[TEXTS_MAX];
    struct buf b = buf_init(text, sizeof text);
    struct sip_list list = sip_list_of(req, id);
    for (struct span value; sip_list_next(&list, &value);) {
        if (b.n) {
            buf_cstr(&b, ", ");
        }
        buf_put(&b, value);
    }
    *failed |= b.overflow;
    return arena_copy(sip_server_arena(up), buf_span(&b), failed);
}

static struct span our_from(struct sip_server *up, const struct sip_msg *req, bool *failed) {
    char text[TEXTS_MAX];
    struct buf b = buf_init(text, sizeof text);
    buf_put(&b, sip_value(req, SIP_H_TO));
    buf_cstr(&b, ";tag=");
    buf_put(&b, sip_server_to_tag(up));
    *failed |= b.overflow;
    return arena_copy(sip_server_arena(up), buf_span(&b), failed);
}

/* ERR_TOO_BIG, ERR_NO_MEMORY. */
static enum error make_watcher(struct scscf *s, struct reg_set *set, struct sip_server *up,
                               const struct sip_msg *req, const struct subscription *sub,
                               struct watcher **out) {
    bool failed = false;
    struct watcher *w = (struct watcher *)calloc(1, sizeof *w);
    if (!w) {
        return ERR_NO_MEMORY;
    }
    w->s = s;
    w->set = set;
    w->arena = arena_init(s->env->chunks);
    w->their_cseq = req->cseq;
    list_init(&w->of_set);
    timer_init(&w->expiry, expire);
    const struct watcher_texts texts = {.call_id = req->call_id,
                                        .ours = our_from(up, req, &failed),
                                        .theirs = sip_value(req, SIP_H_FROM),
                                        .our_tag = sip_server_to_tag(up),
                                        .their_tag = req->from_tag,
                                        .target = sub->contact.address.uri_text,
                                        .route = joined(up, req, SIP_H_RECORD_ROUTE, &failed),
                                        .id = sub->event.id};
    enum error e = failed ? ERR_TOO_BIG : keep_texts(w, texts);
    if (e == OK) {
        e = htab_insert(&s->watchers, &w->node, hash_bytes(w->texts.call_id));
    }
    if (e != OK) {
        free((char *)(uintptr_t)w->texts.call_id.p);
        free(w);
        return e;
    }
    list_insert(&set->watchers, &w->of_set);
    *out = w;
    return OK;
}

/* Why a subscription could not be kept. */
static struct sip_refusal not_kept(enum error e) {
    return e == ERR_TOO_BIG ? (struct sip_refusal){.status = 513, .why = REASON_TOO_LARGE}
                            : (struct sip_refusal){.status = 500, .why = REASON_OUT_OF_MEMORY};
}

static struct watcher *find_watcher(const struct scscf *s, const struct sip_msg *req) {
    for (struct htab_node *n = htab_first(&s->watchers, hash_bytes(req->call_id)); n;
         n = htab_next(n)) {
        struct watcher *w = CONTAINER_OF(n, struct watcher, node);
        const struct watcher_texts *t = &w->texts;
        if (span_eq(t->call_id, req->call_id) && span_eq(t->their_tag, req->from_tag) &&
            span_eq(t->our_tag, req->to_tag) && !w->over) {
            return w;
        }
    }
    return NULL;
}

/* 200, and then all there is. */
static void grant(struct watcher *w, struct sip_server *up, const struct subscription *sub) {
    struct scscf *s = w->s;
    struct buf *b = sip_reply_begin(up, 200, SPAN_NONE);
    uint32_t expires_s = sub->expires_s;
    sip_copy(b, sip_server_request(up), SIP_H_RECORD_ROUTE);
    sip_put_number(b, SIP_H_EXPIRES, expires_s);
    sip_put_begin(b, SIP_H_CONTACT);
    buf_cstr(b, "<sip:");
    buf_cstr(b, s->sent_by);
    buf_char(b, '>');
    sip_put_end(b);
    sip_reply_send(up, SPAN_NONE); /* sub has gone */
    if (expires_s == 0) {
        end_watcher(w, "timeout", true);
        return;
    }
    timer_start(s->env, &w->expiry, expires_s * SEC_IN_US);
    tell(w, w->set, true);
}

static void refresh(struct scscf *s, struct sip_server *up, const struct sip_msg *req,
                    const struct subscription *sub) {
    struct watcher *w = find_watcher(s, req);
    struct sip_refusal refusal = {0};
    if (!w) {
        refusal = (struct sip_refusal){.status = 481, .why = REASON_NO_SUCH_SUBSCRIPTION};
    } else if (req->cseq <= w->their_cseq) {
        refusal = (struct sip_refusal){.status = 500, .why = REASON_OUT_OF_ORDER};
    } else {
        struct watcher_texts texts = w->texts;
        texts.target = sub->contact.address.uri_text;
        enum error e = keep_texts(w, texts);
        if (e != OK) {
            refusal = not_kept(e);
        }
    }
    if (refusal.status) {
        scscf_refuse(s, up, refusal);
        return;
    }
    w->their_cseq = req->cseq;
    grant(w, up, sub);
}

static size_t count_watchers(const struct reg_set *set) {
    size_t n = 0;
    LIST_EACH(&set->watchers, w, struct watcher, of_set) {
        n++;
    }
    return n;
}

static void subscribe(struct scscf *s, struct sip_server *up, const struct sip_msg *req,
                      const struct subscription *sub) {
    struct reg_set *set = scscf_set_of(s, sub->impu);
    struct sip_refusal refusal = {0};
    struct watcher *w = NULL;
    if (!set) {
        refusal.status = 480;
        refusal.why = REASON_NOTHING_BOUND;
    } else if (!scscf_may_subscribe(set, req)) {
        refusal.status = 403;
        refusal.why = REASON_MAY_NOT_SUBSCRIBE;
    } else if (count_watchers(set) >= s->config.subscriptions_max) {
        refusal.status = 503;
        refusal.why = REASON_TOO_MANY_SUBSCRIPTIONS;
    } else {
        refusal = not_kept(make_watcher(s, set, up, req, sub, &w));
    }
    if (!w) {
        refusal.impu = sub->impu;
        scscf_refuse(s, up, refusal);
        return;
    }
    s->counters.subscriptions++;
    grant(w, up, sub);
}

void scscf_subscribe(struct scscf *s, struct sip_server *up, const struct sip_msg *req) {
    struct subscription sub = {0};
    if (!read_subscription(s, up, req, &sub)) {
        return;
    }
    if (req->to_tag.n) {
        refresh(s, up, req, &sub);
    } else {
        subscribe(s, up, req, &sub);
    }
}
