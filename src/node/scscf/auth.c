/* Challenges that wait for their answer: TS 24.229 5.4.1.2.1 steps 3 to 7, 5.4.1.2.3; RFC 3310.
 *
 * One answer per nonce: whatever comes for an outstanding nonce uses it up. Failures are counted
 * along a chain of challenges, so that nobody can spoil another's registration by answering wrongly
 * in his name. Vectors are cleared when they go. */
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
    a->impi_n = (uint16_t)impi.n;
    memcpy(a->impi, impi.p, impi.n);
    if (htab_insert(&s->authentications, &a->node, hash_bytes(impi)) != OK) {
        free(a);
        return NULL;
    }
    return a;
}

void scscf_authentication_settle(struct authentication *a) {
    if (!a->n_challenges && !a->asking && !a->n_waiting) {
        htab_remove(&a->s->authentications, &a->node);
        free(a);
    }
}

/* Takes a challenge out; its authentication is not settled. */
static void drop_challenge(struct challenge *c) {
    timer_stop(&c->await);
    list_remove(&c->of_impi);
    c->authentication->n_challenges--;
    c->authentication->s->n_challenges--;
    OPENSSL_cleanse(c, sizeof *c);
    free(c);
}

/* reg-await-auth ran out (5.4.1.2.3). */
static void await_timeout(struct timer *t) {
    struct challenge *c = CONTAINER_OF(t, struct challenge, await);
    struct authentication *a = c->authentication;
    struct scscf *s = a->s;
    struct span impi = span_of(a->impi, a->impi_n);
    s->counters.auth_timeouts++;
    LOG(&s->env->log, LOG_INFO, "challenge not answered", LOG_SPAN("impi", impi));
    scscf_notify_hss(s, impi, span_of(c->impu, c->impu_n),
                     CX_SERVER_ASSIGNMENT_TYPE_AUTHENTICATION_TIMEOUT);
    drop_challenge(c);
    scscf_authentication_settle(a);
}

enum error scscf_challenge_add(struct authentication *a, const struct operation *op,
                               const uint8_t rand_autn[32], struct span xres) {
    struct scscf *s = a->s;
    if (xres.n == 0 || xres.n > SCSCF_RES_MAX) {
        return ERR_INVALID;
    }
    if (a->n_challenges >= s->config.challenges_max) {
        drop_challenge(CONTAINER_OF(a->challenges.next, struct challenge, of_impi));
    }
    struct challenge *c = (struct challenge *)calloc(1, sizeof *c + op->impu.n);
    if (!c) {
        return ERR_NO_MEMORY;
    }
    c->authentication = a;
    memcpy(c->rand, rand_autn, sizeof c->rand);
    memcpy(c->autn, rand_autn + sizeof c->rand, sizeof c->autn);
    memcpy(c->xres, xres.p, xres.n);
    c->xres_n = (uint8_t)xres.n;
    c->failures = (uint8_t)(op->failures < UINT8_MAX ? op->failures : UINT8_MAX);
    c->resyncs = (uint8_t)(op->resyncs < UINT8_MAX ? op->resyncs : UINT8_MAX);
    c->impu_n = (uint16_t)op->impu.n;
    memcpy(c->impu, op->impu.p, op->impu.n);
    list_insert(&a->challenges, &c->of_impi);
    a->n_challenges++;
    s->n_challenges++;
    timer_init(&c->await, await_timeout);
    timer_start(s->env, &c->await, s->config.reg_await_auth_s * SEC_IN_US);
    return OK;
}

static struct challenge *find(struct authentication *a, const uint8_t rand[16],
                              const uint8_t autn[16]) {
    LIST_EACH(&a->challenges, c, struct challenge, of_impi) {
        if (memcmp(c->rand, rand, sizeof c->rand) == 0 &&
            memcmp(c->autn, autn, sizeof c->autn) == 0) {
            return c;
        }
    }
    return NULL;
}

/* RFC 3310 3.3: the password is RES. */
static bool response_is_right(struct operation *op, const struct challenge *c) {
    struct scscf *s = op->s;
    const struct sip_auth *auth = &op->auth;
    struct digest_hex ha1;
    struct digest_request r = {.hash = DIGEST_MD5,
                               .method = SPAN_INIT("REGISTER"),
                               .uri = auth->uri,
                               .nonce = auth->nonce,
                               .nc = auth->nc,
                               .cnonce = auth->cnonce,
                               .body = sip_server_request(op->up)->body};
    if (auth->algorithm.p && !span_eq_nocase(auth->algorithm, SPAN("AKAv1-MD5"))) {
        return false;
    }
    bool right = span_eq(auth->realm, s->config.realm) && digest_qop_parse(auth->qop, &r.qop) &&
                 digest_ha1(&s->digest, DIGEST_MD5, auth->username, auth->realm,
                            span_of(c->xres, c->xres_n), &ha1) == OK &&
                 digest_check(&s->digest, &ha1, &r, auth->response) == OK;
    OPENSSL_cleanse(&ha1, sizeof ha1);
    return right;
}

static enum challenge_credentials judge(struct operation *op, const struct challenge *c) {
    if (op->auth.auts.n) {
        memcpy(op->rand_auts, c->rand, sizeof c->rand);
        return nonce_parse_auts(op->auth.auts, op->rand_auts + sizeof c->rand) == OK
                   ? CREDENTIALS_AUTS
                   : CREDENTIALS_WRONG;
    }
    if (op->auth.response.n == 0) {
        return CREDENTIALS_NO_TOKEN;
    }
    return response_is_right(op, c) ? CREDENTIALS_RIGHT : CREDENTIALS_WRONG;
}

enum challenge_credentials scscf_credentials(struct operation *op) {
    uint8_t rand[16], autn[16];
    if (!op->auth.nonce.n) {
        return CREDENTIALS_NONE;
    }
    struct authentication *a = scscf_authentication(op->s, op->impi);
    struct challenge *c = NULL;
    if (a && nonce_parse(op->auth.nonce, rand, autn) == OK) {
        c = find(a, rand, autn);
    }
    if (!c) {
        bool token = op->auth.response.n || op->auth.auts.n;
        return token || !a || !a->n_challenges ? CREDENTIALS_STALE : CREDENTIALS_FORGED;
    }
    op->failures = c->failures;
    op->resyncs = c->resyncs;
    enum challenge_credentials result = judge(op, c);
    drop_challenge(c);
    scscf_authentication_settle(a);
    return result;
}

static void forget(struct htab_node *node, void *ctx) {
    struct authentication *a = CONTAINER_OF(node, struct authentication, node);
    (void)ctx;
    LIST_EACH(&a->challenges, c, struct challenge, of_impi) {
        drop_challenge(c);
    }
    a->asking = NULL;
    a->n_waiting = 0;
    scscf_authentication_settle(a);
}

void scscf_forget_challenges(struct scscf *s) {
    htab_each(&s->authentications, forget, NULL);
    htab_free(&s->authentications);
}
