/* Wildcarded public identities of all subscriptions, in memory: TS 23.003 13.4A and 13.5. The store
 * has the truth; what is here follows each commit. A look-up comes here only for an identity that
 * nobody has exactly.
 *
 * No two of them have an identity in common. Since a write is checked before it is under way, what
 * it brings is claimed meanwhile, so that of two writes at once only one gets through. */
#include "model/registration/request.h"
#include "node/hss/internal.h"

#include <stdio.h>

/* Reading them at the start. */

/* False: that was all. */
static bool read_one(struct hss *h) {
    const struct store_op *op = &h->wildcard_op;
    struct span text = op->record;

    if (op->error && op->error != ERR_NOT_FOUND) {
        LOG(&h->env->log, LOG_ERROR, "wildcarded identities cannot be read",
            LOG_CSTR("why", error_text(op->error)));
    }
    if (op->error || text.n > sizeof h->last_wildcard) {
        return false;
    }
    enum error e = wildcard_add(&h->wildcards, text, NULL);
    if (e) {
        LOG(&h->env->log, LOG_ERROR, "a wildcarded identity cannot be used",
            LOG_SPAN("identity", text), LOG_CSTR("why", error_text(e)));
    }
    memcpy(h->last_wildcard, text.p, text.n);
    h->last_wildcard_n = text.n;
    return true;
}

static void came(struct store_op *op) {
    struct hss *h = CONTAINER_OF(op, struct hss, wildcard_op);

    h->got_wildcard = true;
    h->wildcards_over = !read_one(h);
    if (h->wildcards_over) {
        hss_maybe_ready(h);
    } else if (!h->asking_wildcard) {
        wildcards_read(h);
    }
}

void wildcards_read(struct hss *h) {
    do {
        h->wildcard_op.done = came;
        h->asking_wildcard = true;
        h->got_wildcard = false;
        store_next_wildcard(h->store, &h->wildcard_op,
                            span_of(h->last_wildcard, h->last_wildcard_n));
        h->asking_wildcard = false;
    } while (h->got_wildcard && !h->wildcards_over);
}

/* Writes. */

struct claimant {
    const struct rec_subscription *old;
    const struct rec_subscription_data *now;
    const void *claim;
    struct span text;
};

static bool has(const struct rec_subscription *s, struct span text) {
    struct rec_impu impu;

    return s && subscription_impu(*s, text, &impu) && subscription_is_wildcard(rec_impu_type(impu));
}

/* The same text in another subscription is the store's to refuse. */
static bool is_own(void *ctx, const struct wildcard *w) {
    const struct claimant *c = ctx;

    for (size_t i = 0; i < c->now->n_impus; i++) {
        if (span_eq(w->text, c->now->impus[i].identity)) {
            return true;
        }
    }
    return has(c->old, w->text);
}

static bool claim_one(struct hss *h, struct claimant *c, size_t i,
                      struct subscription_fault *fault) {
    const struct wildcard *rival;
    char text[sizeof fault->text], safe[160];
    struct buf b = buf_init(safe, sizeof safe - 1);
    enum error e = wildcard_rival(&h->wildcards, c->text, is_own, c, &rival);

    if (!e && !rival && !wildcard_entry(&h->wildcards, c->text)) {
        e = wildcard_add(&h->wildcards, c->text, c->claim);
    }
    if (e) {
        return subscription_faulty(fault, "memory", "/impus/#", i, "out of memory");
    }
    if (rival) {
        buf_escaped(&b, span_slice(rival->text, 0, sizeof safe / 4 - 1));
        safe[b.n] = '\0';
        snprintf(text, sizeof text, "another subscription has identities in common with it, by %s",
                 safe);
        return subscription_faulty(fault, "wildcard-overlaps", "/impus/#/identity", i, text);
    }
    return true;
}

bool wildcards_claim(struct hss *h, const struct rec_subscription *old,
                     const struct rec_subscription_data *s, const void *claim,
                     struct subscription_fault *fault) {
    struct claimant c = {.old = old, .now = s, .claim = claim};

    for (size_t i = 0; i < s->n_impus; i++) {
        c.text = s->impus[i].identity;
        if (subscription_is_wildcard(s->impus[i].type) && !claim_one(h, &c, i, fault)) {
            return false;
        }
    }
    return true;
}

void wildcards_committed(struct hss *h, const struct rec_subscription *old,
                         const struct rec_subscription *now) {
    for (size_t i = 0, n = old ? rec_subscription_n_impus(*old) : 0; i < n; i++) {
        struct rec_impu u = rec_subscription_impus(*old, i);
        struct wildcard *w = NULL;

        if (subscription_is_wildcard(rec_impu_type(u)) && !has(now, rec_impu_identity(u))) {
            w = wildcard_entry(&h->wildcards, rec_impu_identity(u));
        }
        if (w) {
            wildcard_remove(&h->wildcards, w);
        }
    }
    for (size_t i = 0, n = now ? rec_subscription_n_impus(*now) : 0; i < n; i++) {
        struct rec_impu u = rec_subscription_impus(*now, i);

        if (!subscription_is_wildcard(rec_impu_type(u))) {
            continue;
        }
        struct wildcard *w = wildcard_entry(&h->wildcards, rec_impu_identity(u));
        if (w) {
            w->claim = NULL;
        } else if (wildcard_add(&h->wildcards, rec_impu_identity(u), NULL) != OK) {
            LOG(&h->env->log, LOG_ERROR, "no memory for a wildcarded identity: it is not found",
                LOG_SPAN("identity", rec_impu_identity(u)));
        }
    }
}

struct span hss_canonical(struct arena *arena, struct span identity) {
    struct sip_uri uri;

    if (subscription_is_canonical(identity) || identity.n > SUBSCRIPTION_IDENTITY_MAX ||
        sip_uri_parse(identity, &uri) != OK) {
        return identity;
    }
    size_t room = 3 * identity.n + 1; /* escapes */
    char *text = arena_alloc(arena, room);
    struct buf b = buf_init(text, text ? room : 0);
    return text && registration_put_impu(&b, &uri) == OK && !b.overflow ? buf_span(&b) : identity;
}
