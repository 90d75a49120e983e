/* PPR and RTR, and what their answers mean: TS 29.228 6.1.3, 6.2.2, 6.5.2.
 *
 * Data is sent as it is when it is sent, so a late PPR brings nothing old. What a RTR was to end
 * and has come back at the same S-CSCF meanwhile is left out of it; since that S-CSCF may have gone
 * on with old data then, the sets that are back are sent by PPR.
 *
 * Open choices. Answers that say that the S-CSCF or the way there has trouble (3xxx, 4xxx, 5012):
 * later again. 5001 (experimental): the S-CSCF does not know this private identity; the next one of
 * the item is tried. TOO_MUCH_DATA: everything of the subscription ends by SERVER_CHANGE, so that
 * it registers anew, perhaps elsewhere; so it does when charging functions are taken away and there
 * are no others, which no PPR can say (clause 7: one name at least). Other refusals end the item.
 *
 * With a fixed private identity (a setting) that is the User-Name of whatever concerns a
 * subscription and not one of its private identities: User-Data, charging functions, and the end of
 * the whole. An S-CSCF that does not know it gets what it would have got without the setting. An
 * RTR for which some have come back meanwhile is not the whole's any more, and names those who are
 * meant.
 */
#include "node/hss/courier.h"
#include "node/hss/sh.h"
#include "node/hss/web.h"

#include <openssl/crypto.h>

/* The item's private identities. */

static size_t impis_of(const struct news *n) {
    size_t count = rec_news_item_n_impis(news_item(n));
    return count < SUBSCRIPTION_SLOTS ? count : SUBSCRIPTION_SLOTS;
}

/* The first one that no RTA has confirmed; their number: all have been. */
static size_t first_left(const struct news *n) {
    size_t i = 0, count = impis_of(n);

    while (i < count && n->done >> i & 1) {
        i++;
    }
    return i;
}

/* The S-CSCF does not know this identity (any more). */
static void next_impi(struct news *n) {
    n->impi++;
    if (n->impi < rec_news_item_n_impis(news_item(n))) {
        news_tell(n);
    } else {
        news_next_item(n);
    }
}

/* The subscription, or what it had. */

static void end_all(struct job *job);

/* Has everything of the subscription ended by SERVER_CHANGE, as an entry of its own. */
static void change_server(struct news *n) {
    n->job = job_new(n->h, end_all);
    if (!n->job) {
        news_later(n, error_text(ERR_NO_MEMORY));
        return;
    }
    n->job->ctx = n;
    job_find(n->job, STORE_IMPI, news_impi(n));
}

static void end_job(struct news *n) {
    struct job *job = n->job;

    n->job = NULL;
    job_end(job);
}

static void on_ended(struct store_op *op) {
    struct news *n = CONTAINER_OF(op, struct news, op);
    enum error e = op->error;

    if (e == ERR_CONFLICT && n->job->attempts + 1 < ATTEMPTS_MAX) {
        job_again(n->job);
        return;
    }
    n->job->subscriber->stale = true;
    if (!e) {
        sh_notify(n->h, n->job->subscriber->id, n->job->watchers);
    }
    end_job(n);
    if (e) {
        news_later(n, error_text(e));
        return;
    }
    courier_wake(n->h);
    news_next_item(n);
}

static bool is_at(const struct news *n, const struct subscription *s) {
    return n->host.n && span_eq(s->state.scscf_host, n->host);
}

static void end_all(struct job *job) {
    struct news *n = job->ctx;
    const struct subscriber *s = job->subscriber;
    const struct subscription_ending what = {.reason = CX_REASON_CODE_SERVER_CHANGE};
    struct arena arena = arena_init(n->h->env->chunks);
    struct store_change change = {0};
    struct subscription_difference d = {0};
    enum error e = job->error;

    if (!e && s && is_at(n, &s->s)) {
        e = subscription_end(&s->s, &what, &arena, &d);
    }
    if (!e && d.n) {
        change = (struct store_change){.id = s->id, .version = s->version};
        e = web_put_difference(job, &arena, &s->s.data, &d, &change);
    }
    if (!e && d.n) {
        n->op.done = on_ended;
        store_save(n->h->store, &n->op, &change);
    }
    arena_release(&arena);
    if (e) {
        end_job(n);
        news_later(n, error_text(e));
    } else if (!d.n) {
        end_job(n);
        news_next_item(n);
    }
}

/* Answers. */

/* Which of the item's IMPIs have been told by this RTA: all, but after SERVER_CHANGE those that it
 * names, and the User-Name if that is one of them. */
static uint64_t confirmed(const struct news *n, const struct diameter_msg *msg) {
    struct rec_news_item item = news_item(n);
    struct arena arena = arena_init(n->h->env->chunks);
    struct diameter_fault fault;
    struct cx_rta rta;
    uint64_t done = UINT64_MAX;

    if (rec_news_item_reason(item) == CX_REASON_CODE_SERVER_CHANGE &&
        cx_rta_decode(&arena, msg, &rta, &fault) == OK && rta.associated_identities) {
        done = n->done | (n->fixed ? 0 : UINT64_C(1) << first_left(n));
        for (size_t i = 0; i < impis_of(n); i++) {
            for (size_t k = 0; k < rta.associated_identities->n_user_name; k++) {
                if (span_eq(rta.associated_identities->user_name[k],
                            rec_news_item_impis(item, i))) {
                    done |= UINT64_C(1) << i;
                }
            }
        }
    }
    arena_release(&arena);
    return done;
}

/* Those whom the RTR named are done with. */
static void on_terminated(struct news *n, uint64_t done) {
    n->done = n->alone ? n->done | UINT64_C(1) << first_left(n) : done;
    if (first_left(n) < impis_of(n)) {
        news_tell(n); /* 6.1.3.1: a RTR for those that were missed */
    } else {
        news_next_item(n);
    }
}

static void on_success(struct news *n, const struct diameter_msg *msg) {
    if (n->kind == NEWS_CHARGING && !n->fixed) { /* every set that it serves is to be reached */
        next_impi(n);
    } else if (n->kind == NEWS_TERMINATION) {
        n->fixed_over = n->fixed;
        on_terminated(n, confirmed(n, msg));
    } else {
        news_next_item(n);
    }
}

static void on_answer(void *ctx, const struct diameter_msg *msg) {
    struct news *n = ctx;
    struct diameter_result r = msg->result;
    bool unknown = r.vendor == DIAMETER_VENDOR_3GPP && r.code == DIAMETER_ERROR_USER_UNKNOWN;
    bool too_much = r.vendor == DIAMETER_VENDOR_3GPP && r.code == DIAMETER_ERROR_TOO_MUCH_DATA;

    n->pending = NULL;
    news_told(n);
    if (diameter_result_is_success(r)) {
        on_success(n, msg);
    } else if (unknown && n->fixed) {
        n->fixed_over = true;
        news_tell(n);
    } else if (unknown && n->kind == NEWS_TERMINATION) {
        on_terminated(n, UINT64_MAX); /* it has none of them */
    } else if (unknown) {
        next_impi(n);
    } else if (too_much && n->kind != NEWS_TERMINATION) {
        change_server(n);
    } else if (r.code / 1000 == 5 && r.code != DIAMETER_UNABLE_TO_COMPLY) {
        const char *name = diameter_result_name(r);
        news_give_up(n, name ? name : "the S-CSCF refuses it");
    } else {
        news_later(n, "the S-CSCF has trouble");
    }
}

static void on_failure(void *ctx, enum error why) {
    struct news *n = ctx;

    n->pending = NULL;
    if (!n->h->stopping) {
        news_told(n);
        news_later(n, error_text(why));
    }
}

static const struct diameter_answer_handler handler = {on_answer, on_failure};

/* Requests. */

static struct diameter_builder *begin_request(struct news *n, uint32_t command) {
    const struct diameter_route route = {.application = CX_APPLICATION,
                                         .command = command,
                                         .realm = n->h->config.realm,
                                         .host = n->host};
    return diameter_request_begin(n->h->diameter, &route);
}

static void send(struct news *n) {
    enum error e = diameter_request_send(n->h->diameter, &handler, n, &n->pending);

    if (e) {
        n->pending = NULL;
        news_told(n);
        news_later(n, error_text(e));
    }
}

/* Bits of the sets that the nth private identity of the item has at this S-CSCF now. */
static uint64_t sets_of(const struct news *n, const struct subscription *s, size_t i) {
    struct rec_impi impi;
    uint64_t sets = 0;

    if (!subscription_impi(s->data, rec_news_item_impis(news_item(n), i), &impi)) {
        return 0;
    }
    unsigned slot = rec_impi_slot(impi);
    for (unsigned set = 0; set < SUBSCRIPTION_SLOTS; set++) {
        bool registered = s->state.registered_by[set] >> slot & 1;
        bool served = s->state.unregistered >> set & 1 && s->state.unregistered_by[set] == slot;
        sets |= registered || served ? UINT64_C(1) << set : 0;
    }
    return sets;
}

/* Bits of the sets that the item's public identities stand in now. */
static uint64_t sets_of_item(const struct news *n, const struct subscription *s) {
    struct rec_news_item item = news_item(n);
    struct rec_impu impu;
    uint64_t sets = 0;

    for (size_t i = 0, count = rec_news_item_n_impus(item); i < count; i++) {
        if (subscription_impu(s->data, rec_news_item_impus(item, i), &impu)) {
            sets |= UINT64_C(1) << rec_impu_set(impu);
        }
    }
    return sets;
}

/* The private identity by which the S-CSCF knows the subscription (NULL: it has gone) as a whole,
 * if that is what the item is about; else empty. */
static struct span fixed_of(const struct news *n, const struct subscriber *s,
                            char room[HSS_FIXED_IMPI_MAX]) {
    uint8_t reason = rec_news_item_reason(news_item(n));
    bool whole = n->kind == NEWS_TERMINATION ? (reason == CX_REASON_CODE_SERVER_CHANGE ||
                                                reason == CX_REASON_CODE_NEW_SERVER_ASSIGNED) &&
                                                   s && s->id == rec_news_subscription(n->record)
                                             : n->kind != NEWS_CREDENTIALS;

    return s && whole && !n->fixed_over ? hss_fixed_impi(n->h, s->s.data, room) : SPAN_NONE;
}

/* The RTR for what is left of the item, by the fixed identity unless that is empty; alone: for its
 * first private identity that is left, without what stands in the sets that he has back. */
static void send_rtr(struct news *n, const struct subscription *s, uint64_t back,
                     struct span fixed) {
    struct rec_news_item item = news_item(n);
    size_t n_impis = 0, n_impus = 0, all = rec_news_item_n_impus(item);
    struct arena arena = arena_init(n->h->env->chunks);
    struct span *names = arena_alloc(&arena, (impis_of(n) + all + 2) * sizeof *names);
    struct cx_associated_identities others = {.user_name = names + 1};
    struct rec_impu impu;

    if (!names) {
        news_told(n);
        news_later(n, error_text(ERR_NO_MEMORY));
        return;
    }
    n->fixed = fixed.n > 0;
    if (n->fixed) {
        names[n_impis++] = fixed;
    }
    for (size_t i = first_left(n); i < impis_of(n) && !(n->alone && n_impis); i++) {
        if (!(n->done >> i & 1)) {
            names[n_impis++] = rec_news_item_impis(item, i);
        }
    }
    others.n_user_name = (unsigned)n_impis - 1;
    /* A change of server is the whole subscription's: no public identities (6.1.3.1). */
    bool whole = rec_news_item_reason(item) == CX_REASON_CODE_SERVER_CHANGE && !n->alone;
    for (size_t i = 0; i < all && !whole; i++) {
        struct span identity = rec_news_item_impus(item, i);
        if (!n->alone || !subscription_impu(s->data, identity, &impu) ||
            !(back >> rec_impu_set(impu) & 1)) {
            names[n_impis + n_impus++] = identity;
        }
    }
    struct span text = rec_news_item_reason_info(item);
    struct cx_rtr rtr = {.user_name = names[0],
                         .associated_identities = others.n_user_name ? &others : NULL,
                         .public_identity = names + n_impis,
                         .n_public_identity = (unsigned)n_impus,
                         .deregistration_reason = {.reason_code = rec_news_item_reason(item),
                                                   .reason_info = text.n ? text : SPAN_NONE}};
    cx_rtr_encode(begin_request(n, CX_COMMAND_REGISTRATION_TERMINATION), &rtr);
    arena_release(&arena);
    n->h->counters.rtr++;
    send(n);
}

/* False: everybody is back, nobody is told. */
static bool terminate(struct news *n, const struct subscription *s, struct span fixed) {
    struct rec_news_item item = news_item(n);

    n->alone = false;
    if (!s || !is_at(n, s)) {
        send_rtr(n, s, 0, fixed);
        return true;
    }
    if (rec_news_item_reason(item) == CX_REASON_CODE_NEW_SERVER_ASSIGNED) {
        return false; /* the old one is the new one again */
    }
    uint64_t ended = sets_of_item(n, s), back = 0;
    for (size_t i = 0; i < impis_of(n); i++) {
        back |= sets_of(n, s, i) & ended;
    }
    n->back |= back;
    if (!back) {
        send_rtr(n, s, 0, SPAN_NONE);
        return true;
    }
    for (size_t i = first_left(n); i < impis_of(n); i = first_left(n)) {
        uint64_t his = sets_of(n, s, i) & ended;
        if (his != ended) { /* the others of his may still stand at the S-CSCF */
            n->alone = true;
            send_rtr(n, s, his, SPAN_NONE);
            return true;
        }
        n->done |= UINT64_C(1) << i;
    }
    return false;
}

/* What a PPR brings, of the subscription as it is now. False: it is not wanted any more. */
static bool put_ppr(struct news *n, const struct subscription *s, struct rec_impi impi,
                    struct span fixed) {
    struct hss *h = n->h;
    struct cx_ppr ppr = {.user_name = fixed.n ? fixed : rec_impi_identity(impi)};
    struct cx_charging_information charging;
    struct hss_digest digest;
    struct cx_sip_auth_data_item item;

    switch (n->kind) {
    case NEWS_USER_DATA:
        if (registration_of(&s->state, n->set) == NOT_REGISTERED) {
            return false;
        }
        ppr.user_data = profiles_user_data(h, s->data, rec_impi_identity(impi), n->set,
                                           s->state.scscf_features);
        break;
    case NEWS_CHARGING:
        if (!hss_charging(h, s->data, &charging)) {
            return false;
        }
        ppr.charging_information = &charging;
        break;
    case NEWS_CREDENTIALS:
        if (!rec_impi_has_digest_md5(impi) && !rec_impi_has_digest_sha256(impi)) {
            return false;
        }
        item = hss_digest_item(h, impi, &digest);
        ppr.sip_auth_data_item = &item;
        break;
    default:
        return false;
    }
    n->fixed = fixed.n > 0;
    cx_ppr_encode(begin_request(n, CX_COMMAND_PUSH_PROFILE), &ppr);
    OPENSSL_cleanse(&digest, sizeof digest);
    return true;
}

enum telling { SENT, NOT_WANTED, NO_FUNCTIONS };

/* Sends what is to be told about the subscription as it is now (NULL: it has gone). */
static enum telling tell_of(struct news *n, const struct subscriber *s) {
    struct rec_impi impi;
    struct cx_charging_information charging;
    char room[HSS_FIXED_IMPI_MAX];
    struct span fixed = fixed_of(n, s, room);

    if (n->kind == NEWS_TERMINATION) {
        return terminate(n, s ? &s->s : NULL, fixed) ? SENT : NOT_WANTED;
    }
    if (!s || !is_at(n, &s->s) || !subscription_impi(s->s.data, news_impi(n), &impi) ||
        (!n->refreshes && s->id != rec_news_subscription(n->record))) {
        return NOT_WANTED;
    }
    if (!put_ppr(n, &s->s, impi, fixed)) {
        return n->kind == NEWS_CHARGING && !hss_charging(n->h, s->s.data, &charging) ? NO_FUNCTIONS
                                                                                     : NOT_WANTED;
    }
    n->h->counters.ppr++;
    send(n);
    return SENT;
}

/* With the subscription's turn. */
static void look(struct job *job) {
    struct news *n = job->ctx;
    enum error e = job->error;
    enum telling told = e ? SENT : tell_of(n, job->subscriber);

    end_job(n);
    if (e || told != SENT) {
        news_told(n);
    }
    if (e) {
        news_later(n, error_text(ERR_STORE));
    } else if (told == NO_FUNCTIONS) {
        change_server(n);
    } else if (told == NOT_WANTED && n->kind == NEWS_TERMINATION) {
        news_next_item(n);
    } else if (told == NOT_WANTED) { /* gone, or another S-CSCF has it, with all that is new */
        next_impi(n);
    }
}

void telling_begin(struct news *n) {
    n->job = job_new(n->h, look);
    if (!n->job) {
        news_told(n);
        news_later(n, error_text(ERR_NO_MEMORY));
        return;
    }
    n->job->ctx = n;
    job_find(n->job, STORE_IMPI, news_impi(n));
}
