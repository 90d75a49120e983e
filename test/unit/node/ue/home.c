#include "home.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <stdio.h>

static void put_challenge(struct home *h, struct buf *b, uint64_t sqn, const struct aka_key *key) {
    static const uint8_t amf[2] = {0x80, 0};
    uint8_t rand[16];
    env_random(h->env, rand, sizeof rand);
    assert_int_equal(aka_vector_make(&h->milenage, key, amf, sqn, rand, &h->last), OK);
    struct buf nonce = buf_init(h->nonce, sizeof h->nonce - 1);
    nonce_put(&nonce, h->last.rand, h->last.autn, SPAN_NONE);
    h->nonce[nonce.n] = '\0';
    h->outstanding = true;
    buf_printf(b,
               "WWW-Authenticate: Digest realm=\"%s\", nonce=\"%s\", algorithm=AKAv1-MD5, "
               "opaque=\"o\\\"p\"%s%s%s\r\n",
               HOME_DOMAIN, h->nonce, h->qop ? ", qop=\"" : "", h->qop ? h->qop : "",
               h->qop ? "\"" : "");
}

static void put_grant(struct home *h, struct buf *b, const struct sip_msg *req,
                      const struct home_seen *seen) {
    if (seen->star || seen->expires == 0) {
        h->deregistered++;
        return;
    }
    struct sip_address contact;
    assert_int_equal(sip_address_of(req, SIP_H_CONTACT, &contact), OK);
    buf_printf(b, "Contact: <sip:other@192.0.2.9>;expires=7, <%.*s>;expires=%u\r\n",
               SPAN_ARG(contact.uri_text),
               seen->expires < h->granted_s ? seen->expires : h->granted_s);
    buf_cstr(b, "Service-Route: " HOME_ROUTES "\r\n");
    buf_cstr(b, "P-Associated-URI: <sip:alice@" HOME_DOMAIN ">, <tel:+447700900101>\r\n");
    buf_cstr(b, "P-Associated-URI: <sip:work@" HOME_DOMAIN ">\r\n");
    h->granted++;
}

static bool response_is_right(struct home *h, const struct sip_auth *auth) {
    struct digest_hex ha1;
    struct digest_request r = {
        .method = SPAN_INIT("REGISTER"),
        .uri = auth->uri,
        .nonce = auth->nonce,
        .nc = auth->nc,
        .cnonce = auth->cnonce,
    };
    enum digest_qop offered;
    assert_true(digest_qop_parse(auth->qop, &r.qop));
    assert_true(digest_qop_choose(span_from_cstr(h->qop), &offered));
    assert_int_equal(r.qop, offered);
    assert_int_equal(digest_ha1(&h->digest, DIGEST_MD5, auth->username, auth->realm,
                                span_of(h->last.xres, h->last.xres_n), &ha1),
                     OK);
    return digest_check(&h->digest, &ha1, &r, auth->response) == OK;
}

/* Challenges, resynchronises, or grants, as an S-CSCF with an HSS does. Returns the status. */
static unsigned judge(struct home *h, const struct sip_auth *auth) {
    uint8_t auts[14];
    uint64_t sqn_ms;
    bool ours = h->outstanding && span_eq(auth->nonce, span_from_cstr(h->nonce));
    if (!ours) {
        return 401;
    }
    h->outstanding = false;
    if (auth->auts.n) {
        assert_int_equal(nonce_parse_auts(auth->auts, auts), OK);
        assert_int_equal(aka_auts_check(&h->milenage, &h->key, h->last.rand, auts, &sqn_ms), OK);
        h->seq = sqn_seq(sqn_ms);
        h->resynchronised++;
        return 401;
    }
    if (auth->response.n && response_is_right(h, auth)) {
        return 200;
    }
    h->refused++;
    return 403;
}

static struct home_seen *note(struct home *h, const struct sip_msg *req,
                              const struct sip_auth *auth) {
    struct home_seen *seen = &h->seen[h->n_seen < COUNT_OF(h->seen) ? h->n_seen++ : 0];
    struct sip_list list = sip_list_of(req, SIP_H_CONTACT);
    struct sip_contact contact;
    assert_true(sip_contact_next(&list, &contact));
    *seen = (struct home_seen){
        .at_us = env_now_us(h->env),
        .cseq = req->cseq,
        .expires = contact.expires_s,
        .star = contact.address.star,
        .has_response = auth->response.n > 0,
        .has_nonce = auth->nonce.n > 0,
        .has_auts = auth->auts.n > 0,
    };
    assert_true(span_to_cstr(req->call_id, seen->call_id, sizeof seen->call_id));
    assert_true(span_to_cstr(req->bytes, h->text, sizeof h->text));
    return seen;
}

/* Writes the answer's lines behind its beginning. */
static unsigned status_of(struct home *h, const struct home_step *step,
                          const struct sip_auth *auth) {
    switch (step->act) {
    case HOME_STATUS:
        return step->status;
    case HOME_FORGED:
    case HOME_STALE:
    case HOME_CHALLENGE:
        return 401;
    case HOME_GRANT:
    case HOME_NO_BINDING:
        return 200;
    default:
        return judge(h, auth);
    }
}

/* What the network has no memory for is lost. */
static void send(struct home *h, const struct addr *to, struct span answer) {
    enum error e = dgram_send(h->dgram, to, answer);
    assert_true(e == OK || e == ERR_NO_MEMORY);
}

/* Repetitions, which the network makes and the terminal: true if this was one. */
static bool answer_again(struct home *h, const struct sip_msg *req, const struct addr *to) {
    for (size_t i = 0; i < COUNT_OF(h->answers); i++) {
        const struct home_answer *a = &h->answers[i];
        if (a->n && span_eq(req->via.branch, span_from_cstr(a->branch))) {
            send(h, to, span_of(a->text, a->n));
            return true;
        }
    }
    return false;
}

static void remember(struct home *h, const struct sip_msg *req, struct span answer) {
    struct home_answer *a = &h->answers[h->n_answers++ % COUNT_OF(h->answers)];
    assert_true(span_to_cstr(req->via.branch, a->branch, sizeof a->branch));
    assert_true(answer.n <= sizeof a->text);
    memcpy(a->text, answer.p, answer.n);
    a->n = answer.n;
}

static void answer(struct home *h, const struct sip_msg *req, const struct home_step *step,
                   const struct addr *to) {
    struct sip_auth auth;
    char text[4096];
    struct buf b = buf_init(text, sizeof text);
    assert_int_equal(sip_auth_parse(sip_value(req, SIP_H_AUTHORIZATION), &auth), OK);
    struct home_seen *seen = note(h, req, &auth);
    if (step->act == HOME_SILENT) {
        return;
    }
    unsigned status = status_of(h, step, &auth);
    sip_put_reply(&b, req, status, SPAN_NONE, SPAN("home"));
    if (step->act == HOME_STATUS) {
        buf_cstr(&b, step->lines ? step->lines : "");
    } else if (status == 200 && step->act != HOME_NO_BINDING) {
        put_grant(h, &b, req, seen);
    } else if (status == 401) {
        struct aka_key other = h->key;
        other.k[3] ^= step->act == HOME_FORGED;
        h->seq += step->act != HOME_STALE;
        put_challenge(h, &b, sqn_make(step->act == HOME_STALE ? 1 : h->seq, 0), &other);
    }
    sip_put_body(&b, SPAN_NONE);
    assert_false(b.overflow);
    remember(h, req, buf_span(&b));
    send(h, to, buf_span(&b));
}

static void answer_subscribe(struct home *h, const struct sip_msg *req, const struct addr *to) {
    char text[1024];
    struct buf b = buf_init(text, sizeof text);
    h->n_subscribed++;
    h->terminal = *to;
    if (!span_eq(req->call_id, span_from_cstr(h->watch_call_id))) {
        h->notify_cseq = 0;
    }
    assert_true(span_to_cstr(req->call_id, h->watch_call_id, sizeof h->watch_call_id));
    assert_true(span_to_cstr(req->from_tag, h->watch_tag, sizeof h->watch_tag));
    assert_true(span_to_cstr(req->bytes, h->text, sizeof h->text));
    sip_put_reply(&b, req, h->subscribe_status ? h->subscribe_status : 200, SPAN_NONE,
                  SPAN("home"));
    buf_cstr(&b, "Record-Route: <sip:second@p.net;lr>, <sip:first@p.net;lr>\r\n"
                 "Contact: <sip:scscf@h.net>\r\n");
    buf_cstr(&b, h->subscribe_lines ? h->subscribe_lines : "Expires: 7200\r\n");
    sip_put_body(&b, SPAN_NONE);
    assert_false(b.overflow);
    remember(h, req, buf_span(&b));
    send(h, to, buf_span(&b));
}

void home_notify(struct home *h, const char *state, const char *body) {
    char text[4096];
    struct buf b = buf_init(text, sizeof text);
    h->notify_status = 0;
    buf_printf(&b,
               "NOTIFY sip:x SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKn%u\r\n"
               "From: <sip:a>;tag=home\r\nTo: <sip:a>;tag=%s\r\nCall-ID: %s\r\nCSeq: %u NOTIFY\r\n"
               "Max-Forwards: 70\r\nEvent: reg\r\nContact: <sip:scscf@h.net>\r\n"
               "Subscription-State: %s\r\nContent-Type: application/reginfo+xml\r\n",
               ++h->notify_branch, h->watch_tag, h->watch_call_id, ++h->notify_cseq, state);
    sip_put_body(&b, span_from_cstr(body));
    assert_false(b.overflow);
    send(h, &h->terminal, buf_span(&b));
}

static void receive(void *ctx, struct dgram *d, const struct addr *from, char *bytes, size_t n) {
    struct home *h = ctx;
    struct arena arena = arena_init(h->env->chunks);
    struct sip_limits limits = sip_limits_default();
    struct sip_msg *req;
    struct sip_fault fault;
    static const struct home_step normal = {HOME_NORMAL, 0, NULL};
    (void)d;
    enum error e = sip_parse(&arena, bytes, n, &limits, &req, &fault);
    assert_true(e == OK || e == ERR_NO_MEMORY);
    if (!e && !req->is_request) {
        h->notify_status = req->status;
    } else if (!e && req->method == SIP_SUBSCRIBE) {
        if (!answer_again(h, req, from)) {
            answer_subscribe(h, req, from);
        }
    } else if (!e && !answer_again(h, req, from)) {
        assert_int_equal(req->method, SIP_REGISTER);
        answer(h, req, h->at < h->n_script ? &h->script[h->at++] : &normal, from);
    }
    arena_release(&arena);
}

void home_open(struct home *h, struct env *env, struct addr at, const struct aka_key *key) {
    *h = (struct home){.env = env, .key = *key, .granted_s = 3600};
    assert_int_equal(milenage_init(&h->milenage), OK);
    assert_int_equal(digest_init(&h->digest), OK);
    assert_int_equal(env_dgram_open(env, &at, 0, receive, h, &h->dgram), OK);
}

void home_close(struct home *h) {
    dgram_close(h->dgram);
    milenage_free(&h->milenage);
    digest_free(&h->digest);
}

void home_next(struct home *h, enum home_act act, unsigned status, const char *lines) {
    assert_true(h->n_script < COUNT_OF(h->script));
    h->script[h->n_script++] = (struct home_step){act, status, lines};
}
