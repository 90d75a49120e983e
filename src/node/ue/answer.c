/* What a terminal reads in the answers to its REGISTERs: the grant of a 200 (TS 24.229 5.1.1.2.1,
 * RFC 3261 10.2.4) and the challenge of a 401 (TS 24.229 5.1.1.5.1 and 5.1.1.5.3, TS 33.203 6.1,
 * RFC 3310).
 *
 * Left open by the standards and chosen here: of several challenges the first with AKAv1-MD5
 * counts; with auts goes a response with an empty password, which RFC 3310 allows and S-CSCFs may
 * check. */
#include "node/ue/internal.h"

#include "model/aka/nonce.h"

#include <openssl/crypto.h>

/* Is this the contact that we registered? */
static bool is_ours(const struct ue *ue, const struct sip_contact *contact) {
    if (contact->address.star) {
        return false;
    }
    if (ue->config.reg_id && contact->reg_id) {
        return contact->reg_id == ue->config.reg_id &&
               span_eq(contact->instance, ue->config.instance);
    }
    if (span_eq(contact->address.uri_text, ue->contact)) {
        return true;
    }
    struct sip_uri own;
    return sip_uri_parse(ue->contact, &own) == OK && sip_uri_equal(&contact->address.uri, &own);
}

/* Keeps all values of a header as one list. */
static bool keep_list(struct ue *ue, const struct sip_msg *answer, enum sip_header_id id,
                      struct ue_slice *out) {
    struct ue_slice piece;
    uint16_t at = ue->grant.n;
    for (const struct sip_header *h = sip_header(answer, id); h; h = sip_header_next(answer, h)) {
        if (ue->grant.n > at && !ue_text_add(&ue->grant, SPAN(", "), &piece)) {
            return false;
        }
        if (!ue_text_add(&ue->grant, h->value, &piece)) {
            return false;
        }
    }
    *out = (struct ue_slice){at, (uint16_t)(ue->grant.n - at)};
    return true;
}

enum error ue_read_grant(struct ue *ue, const struct sip_msg *answer, uint32_t *expires_s) {
    struct sip_list list = sip_list_of(answer, SIP_H_CONTACT);
    struct sip_contact contact;
    bool found = false;
    while (!found && sip_contact_next(&list, &contact)) {
        found = is_ours(ue, &contact);
    }
    if (!found) {
        return list.malformed ? ERR_MALFORMED : ERR_NOT_FOUND;
    }
    uint32_t seconds = ue->ask_s;
    if (contact.has_expires) {
        seconds = contact.expires_s;
    } else if (sip_has(answer, SIP_H_EXPIRES) &&
               sip_number_of(answer, SIP_H_EXPIRES, &seconds) != OK) {
        return ERR_MALFORMED;
    }
    if (seconds == 0) {
        return ERR_NOT_FOUND;
    }
    ue_text_clear(&ue->grant);
    if (!keep_list(ue, answer, SIP_H_SERVICE_ROUTE, &ue->service_route) ||
        !keep_list(ue, answer, SIP_H_P_ASSOCIATED_URI, &ue->associated)) {
        return ERR_NO_MEMORY;
    }
    *expires_s = seconds;
    return OK;
}

/* The first challenge that can be answered; its RAND and AUTN. */
static bool find_challenge(const struct sip_msg *answer, struct sip_auth *auth,
                           enum digest_qop *qop, uint8_t rand[16], uint8_t autn[16]) {
    for (const struct sip_header *h = sip_header(answer, SIP_H_WWW_AUTHENTICATE); h;
         h = sip_header_next(answer, h)) {
        if (!sip_auth_parse(h->value, auth) && span_eq_nocase(auth->scheme, SPAN("Digest")) &&
            span_eq_nocase(auth->algorithm, SPAN("AKAv1-MD5")) &&
            digest_qop_choose(auth->qop, qop) && !nonce_parse(auth->nonce, rand, autn)) {
            return true;
        }
    }
    return false;
}

/* Keeps a quoted string with its escapes undone. */
static bool keep_unquoted(struct ue_text *t, struct span text, struct ue_slice *out) {
    if (!ue_text_reserve(t, text.n)) {
        return false;
    }
    struct buf b = buf_init(t->p + t->n, text.n);
    sip_unquote(&b, text);
    if (b.overflow) {
        return false;
    }
    *out = (struct ue_slice){t->n, (uint16_t)b.n};
    t->n = (uint16_t)(t->n + b.n);
    return true;
}

static bool keep_challenge(struct ue *ue, const struct sip_auth *auth) {
    ue_text_clear(&ue->challenge);
    return keep_unquoted(&ue->challenge, auth->realm, &ue->realm) &&
           keep_unquoted(&ue->challenge, auth->nonce, &ue->nonce) &&
           keep_unquoted(&ue->challenge, auth->opaque, &ue->opaque);
}

/* The response over a password: RES, or nothing beside auts. */
static enum error respond(struct ue *ue, struct span password) {
    struct ue_isim *isim = ue->config.isim;
    struct digest *d = &ue->pool->digest;
    char text[512];
    struct buf uri = buf_init(text, sizeof text);
    buf_cstr(&uri, "sip:");
    buf_put(&uri, isim->home_domain);
    if (ue->qop != DIGEST_QOP_NONE) {
        struct buf cnonce = buf_init(ue->cnonce, sizeof ue->cnonce);
        sip_stack_put_token(ue->pool->stack, &cnonce);
    }
    const struct digest_request request = {
        .hash = DIGEST_MD5,
        .qop = ue->qop,
        .method = SPAN_INIT("REGISTER"),
        .uri = buf_span(&uri),
        .nonce = ue_text_at(&ue->challenge, ue->nonce),
        .nc = SPAN_INIT("00000001"),
        .cnonce = span_of(ue->cnonce, sizeof ue->cnonce),
    };
    struct digest_hex ha1;
    enum error e = digest_ha1(d, DIGEST_MD5, isim->impi, ue_text_at(&ue->challenge, ue->realm),
                              password, &ha1);
    if (!e) {
        e = digest_response(d, &ha1, &request, &ue->response);
    }
    OPENSSL_cleanse(&ha1, sizeof ha1);
    return e;
}

static enum ue_challenge resynchronise(struct ue *ue, const uint8_t rand[16]) {
    struct ue_isim *isim = ue->config.isim;
    if (aka_auts_make(&ue->pool->milenage, &isim->key, rand, sqn_highest(&isim->sqn), ue->auts) ||
        respond(ue, SPAN_NONE)) {
        return UE_CHALLENGE_INTERNAL;
    }
    ue->auth = UE_AUTH_AUTS;
    return UE_CHALLENGE_SQN;
}

enum ue_challenge ue_take_challenge(struct ue *ue, const struct sip_msg *answer) {
    struct ue_isim *isim = ue->config.isim;
    struct sip_auth auth;
    struct aka_answer aka;
    uint8_t rand[16], autn[16];
    if (!find_challenge(answer, &auth, &ue->qop, rand, autn)) {
        return UE_CHALLENGE_UNREADABLE;
    }
    if (!keep_challenge(ue, &auth)) {
        ue->auth = UE_AUTH_EMPTY;
        return UE_CHALLENGE_INTERNAL;
    }
    enum error e = aka_challenge_check(&ue->pool->milenage, &isim->key, rand, autn, &aka);
    if (e == ERR_AUTHENTICATION) {
        ue->auth = UE_AUTH_REFUSAL;
        return UE_CHALLENGE_FORGED;
    }
    if (e) {
        return UE_CHALLENGE_INTERNAL;
    }
    enum ue_challenge result = UE_CHALLENGE_GOOD;
    if (sqn_check(&isim->sqn, aka.sqn, &isim->limits) != SQN_FRESH) {
        result = resynchronise(ue, rand);
    } else if (respond(ue, span_of(aka.res, aka.res_n))) {
        result = UE_CHALLENGE_INTERNAL;
    } else {
        sqn_accept(&isim->sqn, aka.sqn);
        memcpy(ue->ck, aka.ck, sizeof ue->ck);
        memcpy(ue->ik, aka.ik, sizeof ue->ik);
        ue->auth = UE_AUTH_RESPONSE;
    }
    OPENSSL_cleanse(&aka, sizeof aka);
    return result;
}
