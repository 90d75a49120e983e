/* What a terminal reads in the answers to its REGISTERs: the grant of a 200 (TS 24.229 5.1.1.2.1,
 * RFC 3261 10.2.4) and the challenge of a 401 (TS 24.229 5.1.1.5.1 and 5.1.1.5.3, TS 33.203 6.1,
 * RFC 3310).
 *
 * Left open by the standards and chosen here: of several challenges the strongest that can be
 * answered counts, AKA before passwords; rspauth is checked where there is one; with auts goes a
 * response with an empty password, which RFC 3310 allows and S-CSCFs may check. */
#include "node/ue/internal.h"

#include "model/aka/nonce.h"

#include <openssl/crypto.h>
#include <stdlib.h>

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

enum error ue_reassociate(struct ue *ue, const struct span *values, size_t n) {
    struct ue_text fresh = {0};
    struct ue_slice route, piece;
    bool good = ue_text_add(&fresh, ue_text_at(&ue->grant, ue->service_route), &route);
    uint16_t at = fresh.n;
    for (size_t i = 0; i < n && good; i++) {
        good = (i == 0 || ue_text_add(&fresh, SPAN(", "), &piece)) &&
               ue_text_add(&fresh, values[i], &piece);
    }
    if (!good) {
        free(fresh.p);
        return ERR_NO_MEMORY;
    }
    free(ue->grant.p);
    ue->grant = fresh;
    ue->service_route = route;
    ue->associated = (struct ue_slice){at, (uint16_t)(fresh.n - at)};
    return OK;
}

/* May it be answered at all? */
static bool can_answer(const struct ue *ue, enum auth_algorithm algorithm) {
    const struct ue_isim *isim = ue->config.isim;
    unsigned allowed = ue->config.algorithms ? ue->config.algorithms : AUTH_ALL;
    bool has = auth_algorithm_is_aka(algorithm) ? !isim->no_key : isim->password.n > 0;
    return has && (allowed & AUTH_BIT(algorithm));
}

/* A challenge as it was read. */
struct offer {
    struct sip_auth auth;
    enum auth_algorithm algorithm;
    enum digest_qop qop;
    uint8_t rand[16], autn[16]; /* of AKA */
};

static bool read_offer(const struct ue *ue, struct span value, struct offer *out) {
    return !sip_auth_parse(value, &out->auth) && span_eq_nocase(out->auth.scheme, SPAN("Digest")) &&
           out->auth.nonce.n && auth_algorithm_parse(out->auth.algorithm, &out->algorithm) &&
           can_answer(ue, out->algorithm) && digest_qop_choose(out->auth.qop, &out->qop) &&
           (!auth_algorithm_is_aka(out->algorithm) ||
            !nonce_parse(out->auth.nonce, out->rand, out->autn));
}

/* The strongest challenge that can be answered; of equals the first. */
static bool find_challenge(const struct ue *ue, const struct sip_msg *answer, struct offer *out) {
    bool found = false;
    struct offer offer;
    for (const struct sip_header *h = sip_header(answer, SIP_H_WWW_AUTHENTICATE); h;
         h = sip_header_next(answer, h)) {
        if (read_offer(ue, h->value, &offer) && (!found || offer.algorithm > out->algorithm)) {
            *out = offer;
            found = true;
        }
    }
    return found;
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

static bool keep_challenge(struct ue *ue, const struct offer *offer) {
    const struct sip_auth *auth = &offer->auth;
    ue_text_clear(&ue->challenge);
    ue->algorithm = (uint8_t)offer->algorithm;
    ue->qop = offer->qop;
    ue->nc = 0;
    return keep_unquoted(&ue->challenge, auth->realm, &ue->realm) &&
           keep_unquoted(&ue->challenge, auth->nonce, &ue->nonce) &&
           keep_unquoted(&ue->challenge, auth->opaque, &ue->opaque);
}

void ue_put_nc(const struct ue *ue, char out[UE_NC_SIZE]) {
    uint8_t bytes[4] = {(uint8_t)(ue->nc >> 24), (uint8_t)(ue->nc >> 16), (uint8_t)(ue->nc >> 8),
                        (uint8_t)ue->nc};
    struct buf b = buf_init(out, UE_NC_SIZE);
    buf_hex(&b, bytes, sizeof bytes);
}

/* What a response is computed from, but for the method; text has room for the URI and the count. */
struct response_text {
    char uri[512], nc[UE_NC_SIZE];
};

static struct digest_request request_of(const struct ue *ue, struct response_text *text) {
    struct buf uri = buf_init(text->uri, sizeof text->uri);
    buf_cstr(&uri, "sip:");
    buf_put(&uri, ue->config.isim->home_domain);
    ue_put_nc(ue, text->nc);
    return (struct digest_request){
        .hash = auth_algorithm_is_sha256((enum auth_algorithm)ue->algorithm) ? DIGEST_SHA256
                                                                             : DIGEST_MD5,
        .qop = ue->qop,
        .uri = buf_span(&uri),
        .nonce = ue_text_at(&ue->challenge, ue->nonce),
        .nc = span_of(text->nc, sizeof text->nc),
        .cnonce = span_of(ue->cnonce, sizeof ue->cnonce),
    };
}

/* The digest of a method under a password. */
static enum error compute(struct ue *ue, struct span method, struct span password,
                          struct digest_hex *out) {
    struct digest *d = &ue->pool->digest;
    struct response_text text;
    struct digest_request request = request_of(ue, &text);
    struct digest_hex ha1;
    request.method = method;
    enum error e = digest_ha1(d, request.hash, ue->config.isim->impi,
                              ue_text_at(&ue->challenge, ue->realm), password, &ha1);
    if (!e) {
        e = digest_response(d, &ha1, &request, out);
    }
    OPENSSL_cleanse(&ha1, sizeof ha1);
    return e;
}

/* The response over a password: the user's, or what a card made of the challenge; nothing beside
 * auts. */
static enum error respond(struct ue *ue, struct span password) {
    ue->nc++;
    if (ue->qop != DIGEST_QOP_NONE) {
        struct buf cnonce = buf_init(ue->cnonce, sizeof ue->cnonce);
        sip_stack_put_token(ue->pool->stack, &cnonce);
    }
    return compute(ue, SPAN("REGISTER"), password, &ue->response);
}

/* RFC 3310 3.3: the password is RES; RFC 4169 3: it is made of RES, IK and CK. */
static enum error respond_with_card(struct ue *ue, const struct aka_answer *aka) {
    struct akav2_password v2;
    struct span res = span_of(aka->res, aka->res_n);
    if (ue->algorithm == AUTH_AKAV1_MD5) {
        return respond(ue, res);
    }
    bool sha256 = auth_algorithm_is_sha256((enum auth_algorithm)ue->algorithm);
    enum error e =
        akav2_password_make(sha256 ? DIGEST_SHA256 : DIGEST_MD5, res, aka->ik, aka->ck, &v2);
    e = e ? e : respond(ue, akav2_password_span(&v2));
    OPENSSL_cleanse(&v2, sizeof v2);
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

static enum ue_challenge answer_with_card(struct ue *ue, const struct offer *offer) {
    struct ue_isim *isim = ue->config.isim;
    struct aka_answer aka;
    enum error e =
        aka_challenge_check(&ue->pool->milenage, &isim->key, offer->rand, offer->autn, &aka);
    if (e == ERR_AUTHENTICATION) {
        ue->auth = UE_AUTH_REFUSAL;
        return UE_CHALLENGE_FORGED;
    }
    if (e) {
        return UE_CHALLENGE_INTERNAL;
    }
    enum ue_challenge result = UE_CHALLENGE_GOOD;
    if (sqn_check(&isim->sqn, aka.sqn, &isim->limits) != SQN_FRESH) {
        result = resynchronise(ue, offer->rand);
    } else if (respond_with_card(ue, &aka)) {
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

/* RFC 3261 22.2: what was refused is not sent again, unless only the nonce was too old. */
static enum ue_challenge answer_with_password(struct ue *ue, const struct offer *offer) {
    if (ue->answered && !span_eq_nocase(offer->auth.stale, SPAN("true"))) {
        ue->auth = UE_AUTH_EMPTY;
        return UE_CHALLENGE_PASSWORD;
    }
    if (respond(ue, ue->config.isim->password)) {
        return UE_CHALLENGE_INTERNAL;
    }
    ue->answered = true;
    ue->auth = UE_AUTH_RESPONSE;
    return UE_CHALLENGE_GOOD;
}

enum ue_challenge ue_take_challenge(struct ue *ue, const struct sip_msg *answer) {
    struct offer offer;
    if (!find_challenge(ue, answer, &offer)) {
        return UE_CHALLENGE_UNREADABLE;
    }
    if (!keep_challenge(ue, &offer)) {
        ue->auth = UE_AUTH_EMPTY;
        return UE_CHALLENGE_INTERNAL;
    }
    return auth_algorithm_is_aka(offer.algorithm) ? answer_with_card(ue, &offer)
                                                  : answer_with_password(ue, &offer);
}

void ue_answer_again(struct ue *ue) {
    bool aka = auth_algorithm_is_aka((enum auth_algorithm)ue->algorithm);
    if (!aka && ue->qop != DIGEST_QOP_NONE && respond(ue, ue->config.isim->password)) {
        ue->auth = UE_AUTH_EMPTY;
    }
}

/* The nonce of the last challenge gives way to another. */
static void keep_next_nonce(struct ue *ue, struct span nonce) {
    char text[1024];
    struct buf b = buf_init(text, sizeof text);
    struct ue_slice realm = {0, ue->realm.n}, opaque = {ue->realm.n, ue->opaque.n};
    buf_put(&b, ue_text_at(&ue->challenge, ue->realm));
    buf_put(&b, ue_text_at(&ue->challenge, ue->opaque));
    if (b.overflow) {
        return; /* the old one serves until the network calls it stale */
    }
    ue_text_clear(&ue->challenge);
    struct ue_slice kept;
    if (!ue_text_add(&ue->challenge, buf_span(&b), &kept) ||
        !keep_unquoted(&ue->challenge, nonce, &ue->nonce)) {
        ue->auth = UE_AUTH_EMPTY;
        return;
    }
    ue->realm = realm;
    ue->opaque = opaque;
    ue->nc = 0;
}

bool ue_check_info(struct ue *ue, const struct sip_msg *answer) {
    struct sip_auth info;
    struct digest_hex expected;
    bool digest =
        ue->auth == UE_AUTH_RESPONSE && !auth_algorithm_is_aka((enum auth_algorithm)ue->algorithm);
    if (!digest || !sip_has(answer, SIP_H_AUTHENTICATION_INFO) ||
        sip_auth_info_parse(sip_value(answer, SIP_H_AUTHENTICATION_INFO), &info)) {
        return true;
    }
    if (info.rspauth.p && (compute(ue, SPAN_NONE, ue->config.isim->password, &expected) ||
                           !span_eq_nocase(info.rspauth, digest_hex_span(&expected)))) {
        return false;
    }
    if (info.nextnonce.n) {
        keep_next_nonce(ue, info.nextnonce);
    }
    return true;
}
