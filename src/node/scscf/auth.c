/* Challenges that wait for their answer: TS 24.229 5.4.1.2.1 to 5.4.1.2.1C, 5.4.1.2.3; RFC 3310,
 * RFC 4169; SIP Digest is digest.c's.
 *
 * One answer per challenge: whatever comes for an outstanding nonce uses it up, all algorithms of
 * it. How many stand is bounded for each source, so that who says somebody else's name takes away
 * challenges of his own (share.h). A nonce of SIP Digest that a right response came for is known
 * good from then on; wrong ones do not spoil it. Failures are counted along a chain of challenges,
 * so that nobody can spoil another's registration by answering wrongly in his name. Secrets are
 * cleared when they go. */
#include "model/aka/nonce.h"
#include "node/scscf/internal.h"

#include <openssl/crypto.h>
#include <stdlib.h>

struct authentication *scscf_authentication(const struct scscf *s, struct span impi) {
    for (struct htab_node *n = htab_first(&s->authentications, hash_bytes(impi)); n;
         n = htab_next(n)) {
        struct authentication *a = CONTAINER_OF(n, struct authentication, node);
        if (span_eq(span_of(a->impi, a->impi_n), impi)) {
            return a;
        }
    }
    return NULL;
}

struct authentication *scscf_authentication_make(struct scscf *s, struct span impi) {
    struct authentication *a = scscf_authentication(s, impi);
    if (a) {
        return a;
    }
    a = (struct authentication *)calloc(1, sizeof *a + impi.n);
    if (!a) {
        return NULL;
    }
    a->s = s;
    list_init(&a->challenges);
    list_init(&a->waiting);
    list_init(&a->behind);
    a->impi_n = (uint16_t)impi.n;
    memcpy(a->impi, impi.p, impi.n);
    if (htab_insert(&s->authentications, &a->node, hash_bytes(impi)) != OK) {
        free(a);
        return NULL;
    }
    return a;
}

void scscf_authentication_settle(struct authentication *a) {
    if (!a->n_challenges && !a->asking && !a->n_waiting && !a->assigning) {
        htab_remove(&a->s->authentications, &a->node);
        free(a);
    }
}

const struct addr *scscf_source_of(struct operation *op) {
    if (!op->has_source) {
        op->source = share_source_of(sip_server_request(op->up));
        op->has_source = true;
    }
    return &op->source;
}

/* Is it a nonce that a right response came for? */
static bool is_known_good(const struct challenge *c) {
    return c->digest && c->digest->known_good;
}

/* Takes a challenge out; its authentication is not settled. */
static void drop_challenge(struct challenge *c) {
    timer_stop(&c->timer);
    list_remove(&c->of_impi);
    c->authentication->n_challenges--;
    c->authentication->s->n_challenges -= !is_known_good(c);
    digest_offer_free(c->digest);
    OPENSSL_cleanse(c, sizeof *c);
    free(c);
}

/* reg-await-auth ran out (5.4.1.2.3), or the life of a nonce. */
static void time_is_over(struct timer *t) {
    struct challenge *c = CONTAINER_OF(t, struct challenge, timer);
    struct authentication *a = c->authentication;
    struct scscf *s = a->s;
    struct span impi = span_of(a->impi, a->impi_n);
    if (!is_known_good(c)) {
        s->counters.auth_timeouts++;
        LOG(&s->env->log, LOG_INFO, "challenge not answered", LOG_SPAN("impi", impi));
        journal_add(s->env, &(struct journal_note){.step = STEP_ENDED,
                                                   .reason = REASON_CHALLENGE_UNANSWERED,
                                                   .impi = impi,
                                                   .impu = span_of(c->impu, c->impu_n)});
        scscf_notify_hss(s, c->hss, impi, span_of(c->impu, c->impu_n),
                         CX_SERVER_ASSIGNMENT_TYPE_AUTHENTICATION_TIMEOUT);
    }
    drop_challenge(c);
    scscf_authentication_settle(a);
}

/* Makes room for one more of a source: among those that have to give way (share.h), challenges that
 * wait for an answer go before known good nonces, old ones before new ones; never `spare`. */
static void make_room(struct authentication *a, const struct addr *source,
                      const struct challenge *spare) {
    if (a->n_challenges < a->s->shares.of_source) {
        return;
    }
    struct challenge *at[SCSCF_SHARES_MAX];
    struct addr sources[SCSCF_SHARES_MAX + 1];
    size_t n = 0;
    for (int known_good = 0; known_good < 2; known_good++) {
        LIST_EACH(&a->challenges, c, struct challenge, of_impi) {
            if (c != spare && is_known_good(c) == known_good && n < SCSCF_SHARES_MAX) {
                at[n] = c;
                sources[n++] = c->source;
            }
        }
    }
    sources[n] = *source;
    size_t i = share_yields(&a->s->shares, sources, n + 1, n);
    if (i < n) {
        drop_challenge(at[i]);
    }
}

/* An empty challenge for the source of op, in its lists, in the place of others but `spare`; no
 * timer runs. NULL: no memory. */
static struct challenge *new_challenge(struct authentication *a, struct operation *op,
                                       const struct challenge *spare) {
    struct span impu = op->impu;
    const struct addr *source = scscf_source_of(op);
    make_room(a, source, spare);
    struct challenge *c = (struct challenge *)calloc(1, sizeof *c + impu.n);
    if (c) {
        c->authentication = a;
        c->source = *source;
        c->impu_n = (uint16_t)impu.n;
        memcpy(c->impu, impu.p, impu.n);
        list_insert(&a->challenges, &c->of_impi);
        timer_init(&c->timer, time_is_over);
        a->n_challenges++;
        a->s->n_challenges++;
    }
    return c;
}

/* TS 29.228 annex: RAND and AUTN together; CK and IK as they are. */
static enum error take_vector(struct challenge *c, const struct cx_sip_auth_data_item *v,
                              unsigned algorithms) {
    struct span xres = v->sip_authorization;
    enum error e = OK;
    if (v->sip_authenticate.n != 32 || v->confidentiality_key.n != 16 || v->integrity_key.n != 16 ||
        xres.n == 0 || xres.n > SCSCF_RES_MAX) {
        return ERR_INVALID;
    }
    const uint8_t *ik = (const uint8_t *)v->integrity_key.p;
    const uint8_t *ck = (const uint8_t *)v->confidentiality_key.p;
    memcpy(c->aka.rand, v->sip_authenticate.p, sizeof c->aka.rand);
    memcpy(c->aka.autn, v->sip_authenticate.p + sizeof c->aka.rand, sizeof c->aka.autn);
    memcpy(c->aka.xres, xres.p, xres.n);
    c->aka.xres_n = (uint8_t)xres.n;
    if (algorithms & AUTH_BIT(AUTH_AKAV2_MD5)) {
        e = akav2_password_make(DIGEST_MD5, xres, ik, ck, &c->aka.akav2[DIGEST_MD5]);
    }
    if (e == OK && algorithms & AUTH_BIT(AUTH_AKAV2_SHA256)) {
        e = akav2_password_make(DIGEST_SHA256, xres, ik, ck, &c->aka.akav2[DIGEST_SHA256]);
    }
    c->offered |= algorithms & AUTH_AKA;
    return e;
}

static enum error fill(struct scscf *s, struct challenge *c, const struct credentials *from) {
    unsigned digest = 0, algorithms = s->algorithms;
    enum error e = OK;
    if (from->aka && (algorithms & AUTH_AKA)) {
        e = take_vector(c, from->aka, algorithms);
    }
    if (e == OK && from->digest && (algorithms & AUTH_DIGEST)) {
        e = digest_offer_new(s, from->digest, algorithms, &c->digest, &digest);
        c->offered |= digest;
        if (e == ERR_UNSUPPORTED && c->offered) {
            e = OK;
        }
    }
    return e == OK && c->offered == 0 ? ERR_UNSUPPORTED : e;
}

enum error scscf_challenge_add(struct authentication *a, struct operation *op,
                               const struct credentials *credentials, struct challenge **out) {
    struct challenge *c = new_challenge(a, op, NULL);
    if (!c) {
        return ERR_NO_MEMORY;
    }
    enum error e = fill(a->s, c, credentials);
    if (e != OK) {
        drop_challenge(c);
        return e;
    }
    c->stale = op->stale;
    c->hss = op->hss;
    c->failures = (uint8_t)(op->failures < UINT8_MAX ? op->failures : UINT8_MAX);
    c->resyncs = (uint8_t)(op->resyncs < UINT8_MAX ? op->resyncs : UINT8_MAX);
    timer_start(a->s->env, &c->timer, a->s->config.reg_await_auth_s * SEC_IN_US);
    *out = c;
    return OK;
}

/* The challenge that a nonce belongs to. */
static struct challenge *find(struct authentication *a, struct span nonce) {
    uint8_t rand[16], autn[16];
    bool aka = nonce_parse(nonce, rand, autn) == OK;
    LIST_EACH(&a->challenges, c, struct challenge, of_impi) {
        if (c->digest && digest_offer_is(c->digest, nonce)) {
            return c;
        }
        if (aka && c->aka.xres_n && memcmp(c->aka.rand, rand, sizeof rand) == 0 &&
            memcmp(c->aka.autn, autn, sizeof autn) == 0) {
            return c;
        }
    }
    return NULL;
}

/* The password that an algorithm takes from a vector; empty: it was not offered. Without the
 * parameter the terminal means what all challenges were in the beginning. */
static struct span aka_password(const struct challenge *c, struct span name,
                                enum digest_hash *hash) {
    enum auth_algorithm algorithm = AUTH_AKAV1_MD5;
    if ((name.n && !auth_algorithm_parse(name, &algorithm)) ||
        !(c->offered & AUTH_AKA & AUTH_BIT(algorithm))) {
        return SPAN_NONE;
    }
    *hash = auth_algorithm_is_sha256(algorithm) ? DIGEST_SHA256 : DIGEST_MD5;
    return algorithm == AUTH_AKAV1_MD5 ? span_of(c->aka.xres, c->aka.xres_n)
                                       : akav2_password_span(&c->aka.akav2[*hash]);
}

/* RFC 3310 3.3: the password is RES; RFC 4169: made of RES, IK and CK. */
static bool response_is_right(struct operation *op, const struct challenge *c) {
    struct scscf *s = op->s;
    const struct sip_auth *auth = &op->auth;
    struct digest_hex ha1;
    struct digest_request r = {.method = SPAN_INIT("REGISTER"),
                               .uri = auth->uri,
                               .nonce = auth->nonce,
                               .nc = auth->nc,
                               .cnonce = auth->cnonce,
                               .body = sip_server_request(op->up)->body};
    struct span password = aka_password(c, auth->algorithm, &r.hash);
    if (!password.n) {
        return false;
    }
    bool right = span_eq(auth->realm, s->config.realm) && digest_qop_parse(auth->qop, &r.qop) &&
                 digest_ha1(&s->digest, r.hash, auth->username.n ? op->impi : SPAN_NONE,
                            auth->realm, password, &ha1) == OK &&
                 digest_check(&s->digest, &ha1, &r, auth->response) == OK;
    OPENSSL_cleanse(&ha1, sizeof ha1);
    return right;
}

static enum challenge_credentials judge_aka(struct operation *op, const struct challenge *c) {
    if (op->auth.auts.n) {
        memcpy(op->rand_auts, c->aka.rand, sizeof c->aka.rand);
        return nonce_parse_auts(op->auth.auts, op->rand_auts + sizeof c->aka.rand) == OK
                   ? CREDENTIALS_AUTS
                   : CREDENTIALS_WRONG;
    }
    if (op->auth.response.n == 0) {
        return CREDENTIALS_NO_TOKEN;
    }
    return response_is_right(op, c) ? CREDENTIALS_RIGHT : CREDENTIALS_WRONG;
}

/* Half of the nonce's life has passed: the 200 brings the next one. */
static void renew(struct operation *op, const struct challenge *c) {
    struct challenge *next = new_challenge(c->authentication, op, c);
    struct digest_offer *d = next ? digest_offer_next(op->s, c->digest) : NULL;
    if (!d) {
        if (next) {
            drop_challenge(next);
        }
        return;
    }
    next->digest = d;
    next->offered = c->offered;
    next->hss = c->hss;
    op->s->n_challenges--; /* nobody owes an answer to it */
    timer_start(op->s->env, &next->timer, op->s->config.digest_nonce_s * SEC_IN_US);
    memcpy(op->nextnonce, d->nonce, sizeof op->nextnonce);
    op->has_nextnonce = true;
}

/* A right response makes the nonce a known good one, for the rest of its life. */
static void confirm(struct operation *op, struct challenge *c) {
    struct digest_offer *d = c->digest;
    op->challenged = !d->known_good;
    if (!d->known_good) {
        d->known_good = true;
        op->s->n_challenges--;
        OPENSSL_cleanse(&c->aka, sizeof c->aka);
        c->offered &= AUTH_DIGEST;
        c->stale = false;
        timer_start(op->s->env, &c->timer, op->s->config.digest_nonce_s * SEC_IN_US);
    } else if (digest_offer_is_old(op->s, d)) {
        renew(op, c);
    }
}

static enum challenge_credentials judge_digest(struct operation *op, struct challenge *c) {
    op->method = METHOD_DIGEST;
    if (op->auth.response.n == 0) {
        return CREDENTIALS_NONE; /* a terminal that shows its old nonce, and wants a challenge */
    }
    enum challenge_credentials result = digest_offer_judge(op, c->digest, c->offered);
    if (result == CREDENTIALS_RIGHT) {
        confirm(op, c);
    }
    op->s->counters.replays += result == CREDENTIALS_REPLAYED;
    return result;
}

/* Is a challenge outstanding at this source that a card may refuse? */
static bool waits_for_card(const struct authentication *a, const struct addr *source) {
    LIST_EACH(&a->challenges, c, struct challenge, of_impi) {
        if (c->aka.xres_n && addr_eq(&c->source, source)) {
            return true;
        }
    }
    return false;
}

/* A nonce that is not here. */
static enum challenge_credentials judge_unknown(struct operation *op,
                                                const struct authentication *a) {
    const struct sip_auth *auth = &op->auth;
    uint8_t rand[16], autn[16];
    enum auth_algorithm algorithm = AUTH_MD5;
    bool known = !auth->algorithm.n || auth_algorithm_parse(auth->algorithm, &algorithm);
    if (auth->response.n && known && !auth_algorithm_is_aka(algorithm) &&
        (auth->algorithm.n || nonce_parse(auth->nonce, rand, autn) != OK)) {
        op->method = METHOD_DIGEST;
        return CREDENTIALS_AGED;
    }
    bool token = auth->response.n || auth->auts.n;
    return !token && a && waits_for_card(a, scscf_source_of(op)) ? CREDENTIALS_FORGED
                                                                 : CREDENTIALS_STALE;
}

enum challenge_credentials scscf_credentials(struct operation *op) {
    if (!op->auth.nonce.n) {
        return CREDENTIALS_NONE;
    }
    struct authentication *a = scscf_authentication(op->s, op->impi);
    struct challenge *c = a ? find(a, op->auth.nonce) : NULL;
    if (!c) {
        return judge_unknown(op, a);
    }
    bool digest = c->digest && digest_offer_is(c->digest, op->auth.nonce);
    op->hss = c->hss;
    if (!is_known_good(c)) {
        op->failures = c->failures;
        op->resyncs = c->resyncs;
    }
    enum challenge_credentials result = digest ? judge_digest(op, c) : judge_aka(op, c);
    if (!digest) {
        op->challenged = result == CREDENTIALS_RIGHT;
    }
    if (!is_known_good(c)) {
        drop_challenge(c);
        scscf_authentication_settle(a);
    }
    return result;
}

bool scscf_stale_told(struct operation *op) {
    struct authentication *a = scscf_authentication(op->s, op->impi);
    if (a) {
        LIST_EACH(&a->challenges, c, struct challenge, of_impi) {
            if (c->stale && addr_eq(&c->source, scscf_source_of(op))) {
                return true;
            }
        }
    }
    return false;
}

void scscf_forget_nonces(struct scscf *s, struct span impi) {
    struct authentication *a = scscf_authentication(s, impi);
    if (!a) {
        return;
    }
    LIST_EACH(&a->challenges, c, struct challenge, of_impi) {
        if (is_known_good(c)) {
            drop_challenge(c);
        }
    }
    scscf_authentication_settle(a);
}

static void forget(struct htab_node *node, void *ctx) {
    struct authentication *a = CONTAINER_OF(node, struct authentication, node);
    (void)ctx;
    LIST_EACH(&a->challenges, c, struct challenge, of_impi) {
        drop_challenge(c);
    }
    a->asking = a->assigning = NULL;
    a->n_waiting = 0;
    scscf_authentication_settle(a);
}

void scscf_forget_challenges(struct scscf *s) {
    htab_each(&s->authentications, forget, NULL);
    htab_free(&s->authentications);
}
