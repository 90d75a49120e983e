/* Wrong passwords by source address and private identity (hardening HA6). It is counted here, where
 * the source of a request is known beyond doubt: the home network sees what Via says.
 *
 * Counted are responses of SIP Digest that are answered 401 without "stale", or 403; those of AKA
 * are good for one challenge each and cannot be guessed. A right response forgets them. Who is
 * locked out gets 480 with Retry-After, whether the identity exists or not, and whatever the
 * response is worth; REGISTERs without a response pass. The table is bounded: the oldest entry goes
 * first. */
#include "codec/sip/headers.h"
#include "model/registration/algorithm.h"
#include "node/pcscf/internal.h"

#include <stdlib.h>

struct guess {
    struct htab_node node;
    struct list age;    /* the oldest first */
    struct addr source; /* without port */
    uint64_t impi;      /* its hash */
    struct guess_state state;
};

static struct addr host_of(const struct addr *a) {
    struct addr host = *a;
    host.port = 0;
    return host;
}

static struct guess *find(struct pcscf *p, const struct addr *host, uint64_t impi) {
    if (p->guesses.count == 0) {
        return NULL;
    }
    for (struct htab_node *n = htab_first(&p->guesses, hash_mix(impi, addr_hash(host))); n;
         n = htab_next(n)) {
        struct guess *g = CONTAINER_OF(n, struct guess, node);
        if (g->impi == impi && addr_eq(&g->source, host)) {
            return g;
        }
    }
    return NULL;
}

static void drop(struct pcscf *p, struct guess *g) {
    htab_remove(&p->guesses, &g->node);
    list_remove(&g->age);
    free(g);
}

/* What is long over, and the oldest if there are too many. */
static void tidy(struct pcscf *p) {
    uint64_t now_us = env_now_us(p->env);
    LIST_EACH(&p->guess_age, g, struct guess, age) {
        if (p->guesses.count < p->config.registering_max &&
            !guess_is_over(&p->guess_policy, &g->state, now_us)) {
            return;
        }
        drop(p, g);
    }
}

static struct guess *make(struct pcscf *p, const struct addr *host, uint64_t impi) {
    tidy(p);
    struct guess *g = (struct guess *)calloc(1, sizeof *g);
    if (!g) {
        return NULL;
    }
    g->source = *host;
    g->impi = impi;
    if (htab_insert(&p->guesses, &g->node, hash_mix(impi, addr_hash(host))) != OK) {
        free(g);
        return NULL;
    }
    list_insert(&p->guess_age, &g->age);
    return g;
}

bool pcscf_is_guess(const struct sip_auth *auth) {
    enum auth_algorithm algorithm;
    return auth->response.n && !auth->auts.n &&
           (!auth_algorithm_parse(auth->algorithm, &algorithm) ||
            !auth_algorithm_is_aka(algorithm));
}

bool pcscf_guess_allowed(struct pcscf *p, const struct addr *source, struct span impi,
                         uint32_t *wait_s) {
    struct addr host = host_of(source);
    struct guess *g = find(p, &host, hash_bytes(impi));
    uint64_t left_us;
    if (!g || guess_allowed(&g->state, env_now_us(p->env), &left_us)) {
        return true;
    }
    *wait_s = (uint32_t)((left_us + SEC_IN_US - 1) / SEC_IN_US);
    return false;
}

/* Does a challenge say that only the nonce was too old? */
static bool is_stale(const struct sip_msg *answer) {
    for (const struct sip_header *h = sip_header(answer, SIP_H_WWW_AUTHENTICATE); h;
         h = sip_header_next(answer, h)) {
        struct sip_auth a;
        if (sip_auth_parse(h->value, &a) == OK && span_eq_nocase(a.stale, SPAN("true"))) {
            return true;
        }
    }
    return false;
}

void pcscf_guess_answered(struct pcscf *p, const struct addr *source, struct span impi,
                          const struct sip_msg *answer) {
    struct addr host = host_of(source);
    uint64_t hash = hash_bytes(impi);
    struct guess *g = find(p, &host, hash);
    bool right = answer->status >= 200 && answer->status < 300;
    bool wrong = answer->status == 403 || (answer->status == 401 && !is_stale(answer));
    if (right && g) {
        drop(p, g);
    }
    if (right || !wrong || p->guess_policy.tries_max == 0) {
        return;
    }
    p->counters.wrong_passwords++;
    g = g ? g : make(p, &host, hash);
    if (g && guess_wrong(&p->guess_policy, &g->state, env_now_us(p->env))) {
        char text[80];
        struct buf from = buf_init(text, sizeof text);
        addr_put(&from, source);
        p->counters.guessers_locked++;
        LOG(&p->env->log, LOG_WARNING, "too many wrong passwords", LOG_SPAN("impi", impi),
            LOG_SPAN("from", buf_span(&from)), LOG_U64("locks", g->state.locks));
    }
    if (g) { /* the newest last */
        list_remove(&g->age);
        list_insert(&p->guess_age, &g->age);
    }
}

void pcscf_forget_guesses(struct pcscf *p) {
    LIST_EACH(&p->guess_age, g, struct guess, age) {
        drop(p, g);
    }
    htab_free(&p->guesses);
}
