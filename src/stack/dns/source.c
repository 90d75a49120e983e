/* What of an answer is believed: RFC 5452 section 6 (only what was asked for), RFC 1034 3.6.2
 * (aliases), RFC 2181 section 8 (TTLs). */
#include "stack/dns/source.h"

static void end(struct dns_exchange *x) {
    timer_stop(&x->timer);
    post_cancel(&x->post);
    x->source = NULL;
}

static void on_deadline(struct timer *t) {
    struct dns_exchange *x = CONTAINER_OF(t, struct dns_exchange, timer);
    x->source->ops->cancel(x->source, x);
    dns_answer(x, &(struct dns_answer){.error = ERR_TIMEOUT});
}

static void on_bad_name(struct post *p) {
    dns_answer(CONTAINER_OF(p, struct dns_exchange, post),
               &(struct dns_answer){.error = ERR_NOT_FOUND});
}

void dns_ask(struct dns_source *source, struct env *env, struct span name, enum dns_type type,
             uint64_t deadline_us, struct dns_exchange *x, dns_answer_fn *done) {
    bool good = name.n > 0 && name.n <= sizeof x->text;
    uint64_t now_us = env_now_us(env);
    x->source = source;
    x->env = env;
    x->done = done;
    x->type = type;
    x->deadline_us = deadline_us;
    x->job = NULL;
    memmove(x->text, name.p, good ? name.n : 0);
    x->name = span_of(x->text, good ? name.n : 0);
    timer_init(&x->timer, on_deadline);
    post_init(&x->post, on_bad_name);
    if (good) {
        timer_start(env, &x->timer, deadline_us > now_us ? deadline_us - now_us : 0);
        source->ops->ask(source, x);
    } else {
        env_post(env, &x->post);
    }
}

void dns_cancel(struct dns_exchange *x) {
    if (x->source) {
        x->source->ops->cancel(x->source, x);
        end(x);
    }
}

/* Can somebody be there? */
static bool is_possible(const struct dns_record *r) {
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    const struct addr *a = &r->address;
    switch (r->type) {
    case DNS_A:
        return a->family == 4 && a->ip[0] != 0 && a->ip[0] < 224;
    case DNS_AAAA:
        return a->family == 6 && !addr_is_wildcard(a) && a->ip[0] != 0xff &&
               memcmp(a->ip, mapped, sizeof mapped) != 0;
    case DNS_SRV:
        return r->srv.port != 0 || span_eq(r->srv.target, SPAN("."));
    default:
        return true;
    }
}

/* The name to which an alias in the answer leads, and the least TTL on the way. */
static const struct dns_record *alias_of(const struct dns_answer *answer, struct span name) {
    for (size_t i = 0; i < answer->n; i++) {
        const struct dns_record *r = &answer->records[i];
        if (r->type == DNS_CNAME && span_eq_nocase(r->name, name)) {
            return r;
        }
    }
    return NULL;
}

static size_t believe(const struct dns_exchange *x, const struct dns_answer *answer,
                      struct span name, uint32_t ttl_s, struct dns_record *out) {
    size_t n = 0;
    for (size_t i = 0; i < answer->n && n < DNS_BELIEVED_MAX; i++) {
        const struct dns_record *r = &answer->records[i];
        if (r->type == x->type && span_eq_nocase(r->name, name) && is_possible(r)) {
            out[n] = *r;
            out[n].ttl_s = r->ttl_s < ttl_s ? r->ttl_s : ttl_s;
            n++;
        }
    }
    return n;
}

void dns_answer(struct dns_exchange *x, const struct dns_answer *answer) {
    struct dns_record records[DNS_BELIEVED_MAX];
    struct dns_answer clean = {.error = answer->error,
                               .records = records,
                               .has_negative_ttl = answer->has_negative_ttl,
                               .negative_ttl_s = answer->negative_ttl_s};
    struct span name = x->name;
    uint32_t ttl_s = UINT32_MAX;
    size_t chain = 0;
    if (answer->error == OK) {
        for (const struct dns_record *r; (r = alias_of(answer, name)); name = r->alias) {
            ttl_s = r->ttl_s < ttl_s ? r->ttl_s : ttl_s;
            if (++chain > DNS_CHAIN_MAX) {
                clean.error = ERR_MALFORMED; /* it runs in a circle, or might as well */
                break;
            }
        }
    }
    if (clean.error == OK) {
        clean.n = believe(x, answer, name, ttl_s, records);
        clean.alias = chain && clean.n == 0 ? name : SPAN_NONE;
    }
    end(x);
    x->done(x, &clean);
}
