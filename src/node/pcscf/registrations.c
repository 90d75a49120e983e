/* The registrations of a P-CSCF, found by binding, by terminal and by the token in Path, and the
 * keys of challenges under way. TS 24.229 5.2.2.1 and 5.2.5.2 (expiry). */
#include "node/pcscf/internal.h"

#include "codec/sip/headers.h"

#include <openssl/crypto.h>
#include <stdlib.h>

struct binding_key pcscf_key(struct span impu, struct span contact) {
    return (struct binding_key){impu, contact, hash_mix(hash_bytes(impu), hash_bytes(contact))};
}

static uint64_t token_hash(uint64_t token) {
    return hash_mix(0, token);
}

struct registration *pcscf_find(struct pcscf *p, const struct binding_key *key) {
    for (struct htab_node *n = htab_first(&p->by_binding, key->hash); n; n = htab_next(n)) {
        struct registration *r = CONTAINER_OF(n, struct registration, by_binding);
        if (span_eq(r->impu, key->impu) && span_eq(r->contact, key->contact)) {
            return r;
        }
    }
    return NULL;
}

static struct terminal *find_terminal(struct pcscf *p, const struct addr *addr) {
    for (struct htab_node *n = htab_first(&p->terminals, addr_hash(addr)); n; n = htab_next(n)) {
        struct terminal *t = CONTAINER_OF(n, struct terminal, node);
        if (addr_eq(&t->addr, addr)) {
            return t;
        }
    }
    return NULL;
}

static struct terminal *make_terminal(struct pcscf *p, const struct addr *addr) {
    struct terminal *t = find_terminal(p, addr);
    if (t) {
        return t;
    }
    t = (struct terminal *)malloc(sizeof *t);
    if (t && htab_insert(&p->terminals, &t->node, addr_hash(addr)) != OK) {
        free(t);
        return NULL;
    }
    if (t) {
        t->addr = *addr;
        list_init(&t->registrations);
    }
    return t;
}

static void settle_terminal(struct pcscf *p, struct terminal *t) {
    if (list_is_empty(&t->registrations)) {
        htab_remove(&p->terminals, &t->node);
        free(t);
    }
}

bool pcscf_knows_terminal(struct pcscf *p, const struct addr *terminal) {
    return find_terminal(p, terminal) != NULL;
}

struct registration *pcscf_registration_at(struct pcscf *p, const struct addr *terminal,
                                           struct span impu, struct span contact) {
    enum { LOOKED_AT_MAX = 64 }; /* a trunk's address has any number */
    const struct binding_key key = pcscf_key(impu, contact);
    struct registration *found = pcscf_find(p, &key);
    if (found && addr_eq(&found->terminal->addr, terminal)) {
        return found;
    }
    struct terminal *t = find_terminal(p, terminal);
    size_t n = 0;
    found = NULL;
    for (struct list *at = t ? t->registrations.next : NULL;
         t && at != &t->registrations && n < LOOKED_AT_MAX; at = at->next, n++) {
        struct registration *r = CONTAINER_OF(at, struct registration, of_terminal);
        if (span_eq(r->contact, contact)) {
            return r;
        }
        found = found ? found : r;
    }
    return found;
}

bool pcscf_read_token(struct span user, uint64_t *token) {
    uint8_t bytes[8];
    if (!span_to_bytes(user, bytes, sizeof bytes)) {
        return false;
    }
    *token = 0;
    for (size_t i = 0; i < sizeof bytes; i++) {
        *token = *token << 8 | bytes[i];
    }
    return true;
}

struct registration *pcscf_find_token(struct pcscf *p, struct span user) {
    uint64_t token;
    if (!pcscf_read_token(user, &token)) {
        return NULL;
    }
    for (struct htab_node *n = htab_first(&p->by_token, token_hash(token)); n; n = htab_next(n)) {
        struct registration *r = CONTAINER_OF(n, struct registration, by_token);
        if (r->token == token) {
            return r;
        }
    }
    return NULL;
}

static void expire(struct timer *t) {
    struct registration *r = CONTAINER_OF(t, struct registration, expiry);
    struct pcscf *p = r->pcscf;
    p->counters.expired++;
    LOG(&p->env->log, LOG_INFO, "registration expired", LOG_SPAN("impu", r->impu),
        LOG_SPAN("contact", r->contact));
    pcscf_drop(p, r);
}

void pcscf_drop(struct pcscf *p, struct registration *r) {
    timer_stop(&r->expiry);
    pcscf_leave_subscription(r);
    pcscf_leave_relayed(r);
    htab_remove(&p->by_token, &r->by_token);
    htab_remove(&p->by_binding, &r->by_binding);
    htab_remove(&p->by_pair, &r->by_pair);
    list_remove(&r->of_terminal);
    settle_terminal(p, r->terminal);
    free(r);
}

size_t pcscf_drop_all_of(struct pcscf *p, struct span impu, const struct addr *terminal) {
    size_t dropped = 0;
    struct terminal *t = find_terminal(p, terminal);
    struct list keep; /* so that the terminal outlives the walk */
    if (!t) {
        return 0;
    }
    list_insert(&t->registrations, &keep);
    for (struct list *at = t->registrations.next, *next; at != &keep; at = next) {
        struct registration *r = CONTAINER_OF(at, struct registration, of_terminal);
        next = at->next;
        if (span_eq(r->impu, impu)) {
            pcscf_drop(p, r);
            dropped++;
        }
    }
    list_remove(&keep);
    settle_terminal(p, t);
    return dropped;
}

/* The values of a list header of the answer, at most max. Returns their number; bytes is raised by
 * their length. */
static uint16_t values_of(const struct sip_msg *msg, enum sip_header_id id, struct span *out,
                          size_t max, size_t *bytes) {
    uint16_t n = 0;
    struct sip_list list = sip_list_of(msg, id);
    while (n < max && sip_list_next(&list, &out[n])) {
        *bytes += out[n++].n;
    }
    return n;
}

static struct span keep(char **at, struct span s) {
    struct span kept = {*at, s.n};
    if (s.n) {
        memcpy(*at, s.p, s.n);
    }
    *at += s.n;
    return kept;
}

/* values: of Service-Route, then of P-Associated-URI; value_bytes: their length. */
static struct registration *compose(const struct registration_news *news, const struct span *values,
                                    size_t value_bytes, uint16_t routes, uint16_t associated) {
    size_t bytes = news->key->impu.n + news->key->contact.n + news->impi.n + value_bytes;
    size_t spans = (size_t)routes + associated;
    struct registration *r =
        (struct registration *)malloc(sizeof *r + spans * sizeof(struct span) + bytes);
    if (!r) {
        return NULL;
    }
    *r = (struct registration){.token = news->token,
                               .service_route = (struct span *)(void *)(r + 1),
                               .n_service_route = routes,
                               .n_associated = associated};
    r->associated = r->service_route + routes;
    char *at = (char *)(r->service_route + spans);
    for (size_t i = 0; i < spans; i++) {
        r->service_route[i] = keep(&at, values[i]);
    }
    r->impu = keep(&at, news->key->impu);
    r->contact = keep(&at, news->key->contact);
    r->impi = keep(&at, news->impi);
    list_init(&r->of_subscription);
    list_init(&r->relayed);
    return r;
}

bool pcscf_is_later(const struct registration *r, struct span call_id, uint32_t cseq) {
    return r->call_id == hash_bytes(call_id) && r->cseq > cseq;
}

static struct registration *make(const struct registration_news *news) {
    struct span values[PCSCF_ROUTES_MAX + PCSCF_ASSOCIATED_MAX];
    size_t bytes = 0;
    uint16_t routes =
        values_of(news->answer, SIP_H_SERVICE_ROUTE, values, PCSCF_ROUTES_MAX, &bytes);
    uint16_t associated = values_of(news->answer, SIP_H_P_ASSOCIATED_URI, values + routes,
                                    PCSCF_ASSOCIATED_MAX, &bytes);
    struct registration *r = compose(news, values, bytes, routes, associated);
    if (r) {
        r->call_id = hash_bytes(news->answer->call_id);
        r->cseq = news->answer->cseq;
    }
    return r;
}

static uint64_t pair_hash(struct span impu, struct span impi) {
    return hash_mix(hash_bytes(impu), hash_bytes(impi));
}

static enum error insert(struct pcscf *p, struct registration *r,
                         const struct registration_news *news) {
    r->terminal = make_terminal(p, &news->terminal);
    if (!r->terminal) {
        return ERR_NO_MEMORY;
    }
    enum error e = htab_insert(&p->by_token, &r->by_token, token_hash(r->token));
    if (e == OK) {
        e = htab_insert(&p->by_binding, &r->by_binding, news->key->hash);
        if (e == OK) {
            e = htab_insert(&p->by_pair, &r->by_pair, pair_hash(r->impu, r->impi));
            if (e == OK) {
                list_insert(&r->terminal->registrations, &r->of_terminal);
                return OK;
            }
            htab_remove(&p->by_binding, &r->by_binding);
        }
        htab_remove(&p->by_token, &r->by_token);
    }
    settle_terminal(p, r->terminal);
    return e;
}

/* Puts r in the place of old, which may be NULL, for so long. r is freed on failure. */
static enum error put(struct pcscf *p, struct registration *r, struct registration *old,
                      const struct registration_news *news, uint64_t expires_us) {
    if (!r) {
        return ERR_NO_MEMORY;
    }
    enum error e = insert(p, r, news);
    if (e != OK) {
        free(r);
        return e;
    }
    r->since_us = env_now_us(p->env);
    if (old) {
        pcscf_inherit_subscription(r, old);
        pcscf_inherit_relayed(r, old);
        pcscf_drop(p, old);
    }
    r->pcscf = p;
    timer_init(&r->expiry, expire);
    timer_start(p->env, &r->expiry, expires_us);
    return OK;
}

enum error pcscf_reassociate(struct pcscf *p, struct registration *r, const struct span *associated,
                             uint16_t n) {
    struct span values[PCSCF_ROUTES_MAX + PCSCF_ASSOCIATED_MAX];
    uint64_t now = env_now_us(p->env), due = r->expiry.due_us;
    size_t bytes = 0;
    for (size_t i = 0; i < (size_t)r->n_service_route + n; i++) {
        values[i] =
            i < r->n_service_route ? r->service_route[i] : associated[i - r->n_service_route];
        bytes += values[i].n;
    }
    struct binding_key key = pcscf_key(r->impu, r->contact);
    const struct registration_news news = {
        .key = &key, .impi = r->impi, .token = r->token, .terminal = r->terminal->addr};
    struct registration *fresh = compose(&news, values, bytes, r->n_service_route, n);
    if (fresh) {
        fresh->call_id = r->call_id;
        fresh->cseq = r->cseq;
    }
    return put(p, fresh, r, &news, due > now ? due - now : 0);
}

enum error pcscf_store(struct pcscf *p, const struct registration_news *news) {
    struct registration *old = pcscf_find(p, news->key);
    if (!old && p->by_binding.count >= p->config.registrations_max) {
        return ERR_BUSY;
    }
    return put(p, make(news), old, news, news->expires_s * SEC_IN_US);
}

static bool is_listed(const struct sip_msg *answer, struct span contact) {
    struct sip_list list = sip_list_of(answer, SIP_H_CONTACT);
    struct sip_uri ours;
    bool readable = sip_uri_parse(contact, &ours) == OK;
    for (struct sip_contact c; sip_contact_next(&list, &c);) {
        if (c.address.star || span_eq(c.address.uri_text, contact) ||
            (readable && sip_uri_equal(&ours, &c.address.uri))) {
            return true;
        }
    }
    return list.malformed; /* rather too many than too few */
}

size_t pcscf_drop_replaced(struct pcscf *p, struct span impu, struct span impi,
                           const struct sip_msg *answer) {
    size_t dropped = 0;
    struct htab_node *next, *n = htab_first(&p->by_pair, pair_hash(impu, impi));
    for (; n; n = next) {
        struct registration *r = CONTAINER_OF(n, struct registration, by_pair);
        next = htab_next(n);
        if (span_eq(r->impu, impu) && span_eq(r->impi, impi) && !is_listed(answer, r->contact) &&
            !pcscf_is_later(r, answer->call_id, answer->cseq)) {
            pcscf_drop(p, r);
            dropped++;
        }
    }
    return dropped;
}

static void drop_challenge(struct challenge *c) {
    timer_stop(&c->timeout);
    htab_remove(&c->pcscf->challenges, &c->node);
    list_remove(&c->age);
    OPENSSL_cleanse(c, sizeof *c);
    free(c);
}

static void challenge_timeout(struct timer *t) {
    drop_challenge(CONTAINER_OF(t, struct challenge, timeout));
}

void pcscf_forget_keys(struct pcscf *p, uint64_t binding) {
    struct htab_node *n = htab_first(&p->challenges, binding);
    if (n) {
        drop_challenge(CONTAINER_OF(n, struct challenge, node));
    }
}

void pcscf_keep_keys(struct pcscf *p, uint64_t binding, const struct challenge_keys *keys) {
    pcscf_forget_keys(p, binding);
    if (p->challenges.count >= p->config.registering_max) {
        drop_challenge(CONTAINER_OF(p->challenge_age.next, struct challenge, age));
    }
    struct challenge *c = (struct challenge *)malloc(sizeof *c);
    if (!c) {
        return; /* the keys serve nobody but this terminal, which will have to begin anew */
    }
    if (htab_insert(&p->challenges, &c->node, binding) != OK) {
        free(c);
        return;
    }
    c->pcscf = p;
    memcpy(c->ck, keys->ck, sizeof c->ck);
    memcpy(c->ik, keys->ik, sizeof c->ik);
    list_insert(&p->challenge_age, &c->age);
    timer_init(&c->timeout, challenge_timeout);
    timer_start(p->env, &c->timeout, p->config.reg_await_auth_s * SEC_IN_US);
}

static void drop_node(struct htab_node *node, void *ctx) {
    pcscf_drop((struct pcscf *)ctx, CONTAINER_OF(node, struct registration, by_binding));
}

void pcscf_forget_all(struct pcscf *p) {
    LIST_EACH(&p->challenge_age, c, struct challenge, age) {
        drop_challenge(c);
    }
    htab_each(&p->by_binding, drop_node, p);
    pcscf_forget_subscriptions(p);
    pcscf_forget_relayed(p);
    departures_free(&p->departures);
    htab_free(&p->by_binding);
    htab_free(&p->by_pair);
    htab_free(&p->by_token);
    htab_free(&p->terminals);
    htab_free(&p->challenges);
    pcscf_forget_guesses(p);
}
