/* The REGISTER requests of a terminal: TS 24.229 5.1.1.2.1 and 5.1.1.2.2 (initial), 5.1.1.4
 * (again), 5.1.1.5 (after a challenge), 5.1.1.6 (leaving).
 *
 * The same header lines in all of them; Contact and Authorization differ. Left out while there are
 * no security associations: Security-Client, Require and Proxy-Require: sec-agree. Expiry stands in
 * Contact, with "*" in Expires. A terminal with a card alone says so by an algorithm before the
 * first challenge, as others do: without Security-Client nothing else tells it from a client with a
 * password (5.4.1.1). */
#include "node/ue/internal.h"

#include "model/aka/nonce.h"

enum { DOMAIN_MAX = 256 };

void ue_put_pcscf(const struct ue *ue, struct buf *b, const struct addr *pcscf) {
    buf_char(b, '<');
    if (ue->pool->config.route.n) {
        buf_put(b, ue->pool->config.route);
    } else {
        buf_cstr(b, "sip:");
        addr_put(b, pcscf);
        sip_put_transport(b, ue->pool->config.transport);
        buf_cstr(b, ";lr");
    }
    buf_char(b, '>');
}

static void put_identities(struct ue *ue, struct buf *b) {
    struct span impu = ue_impu(ue);
    sip_put_begin(b, SIP_H_FROM);
    buf_char(b, '<');
    buf_put(b, impu);
    buf_cstr(b, ">;tag=");
    buf_bytes(b, ue->tag, sizeof ue->tag);
    sip_put_end(b);
    sip_put_begin(b, SIP_H_TO);
    buf_char(b, '<');
    buf_put(b, impu);
    buf_char(b, '>');
    sip_put_end(b);
    sip_put(b, SIP_H_CALL_ID, span_of(ue->call_id, sizeof ue->call_id));
    sip_put_begin(b, SIP_H_CSEQ);
    buf_u64(b, ++ue->cseq);
    buf_cstr(b, " REGISTER");
    sip_put_end(b);
}

static void put_contact(struct ue *ue, struct buf *b) {
    const struct ue_config *c = &ue->config;
    if (ue->state == UE_LEAVING && ue->scope == UE_ALL_CONTACTS) {
        sip_put(b, SIP_H_CONTACT, SPAN("*"));
        sip_put_number(b, SIP_H_EXPIRES, 0);
        return;
    }
    sip_put_begin(b, SIP_H_CONTACT);
    buf_char(b, '<');
    buf_put(b, ue->contact);
    buf_char(b, '>');
    if (c->instance.n) {
        buf_cstr(b, ";+sip.instance=\"<");
        buf_put(b, c->instance);
        buf_cstr(b, ">\"");
    }
    if (c->reg_id) {
        buf_cstr(b, ";reg-id=");
        buf_u64(b, c->reg_id);
    }
    if (c->features.n) {
        buf_char(b, ';');
        buf_put(b, c->features);
    }
    buf_cstr(b, ";expires=");
    buf_u64(b, ue->state == UE_LEAVING ? 0 : ue->ask_s);
    sip_put_end(b);
}

static void put_parameter(struct buf *b, const char *name, struct span value) {
    buf_cstr(b, ", ");
    buf_cstr(b, name);
    buf_char(b, '=');
    sip_put_quoted(b, value);
}

/* Authorization: before the first challenge with empty nonce and response, later with those of the
 * last challenge (5.1.1.2.2, 5.1.1.4.2, 5.1.1.5.1, 5.1.1.5.3). */
static void put_authorization(struct ue *ue, struct buf *b, struct span uri) {
    const struct ue_isim *isim = ue->config.isim;
    bool challenged = ue->auth != UE_AUTH_EMPTY;
    struct span response = ue->auth == UE_AUTH_RESPONSE || ue->auth == UE_AUTH_AUTS
                               ? digest_hex_span(&ue->response)
                               : SPAN_NONE;
    sip_put_begin(b, SIP_H_AUTHORIZATION);
    buf_cstr(b, "Digest username=");
    sip_put_quoted(b, isim->impi);
    put_parameter(b, "realm",
                  challenged ? ue_text_at(&ue->challenge, ue->realm) : isim->home_domain);
    put_parameter(b, "uri", uri);
    put_parameter(b, "nonce", challenged ? ue_text_at(&ue->challenge, ue->nonce) : SPAN_NONE);
    put_parameter(b, "response", response);
    if (challenged || !isim->password.n) {
        buf_cstr(b, ", algorithm=");
        buf_put(b, auth_algorithm_name(challenged ? (enum auth_algorithm)ue->algorithm
                                                  : AUTH_AKAV1_MD5));
    }
    if (challenged && ue->opaque.n) {
        put_parameter(b, "opaque", ue_text_at(&ue->challenge, ue->opaque));
    }
    if (response.n && ue->qop != DIGEST_QOP_NONE) {
        buf_cstr(b, ", qop=");
        buf_cstr(b, digest_qop_name(ue->qop));
        buf_cstr(b, ", nc=");
        char nc[UE_NC_SIZE];
        ue_put_nc(ue, nc);
        buf_bytes(b, nc, sizeof nc);
        put_parameter(b, "cnonce", span_of(ue->cnonce, sizeof ue->cnonce));
    }
    if (ue->auth == UE_AUTH_AUTS) {
        buf_cstr(b, ", auts=\"");
        nonce_put_auts(b, ue->auts);
        buf_char(b, '"');
    }
    sip_put_end(b);
}

static void put_supported(struct ue *ue, struct buf *b) {
    sip_put_begin(b, SIP_H_SUPPORTED);
    buf_cstr(b, "path");
    if (ue->config.reg_id) {
        buf_cstr(b, ", outbound");
    }
    if (ue->config.gruu) {
        buf_cstr(b, ", gruu");
    }
    sip_put_end(b);
}

struct sip_hop ue_hop(const struct ue *ue) {
    const struct ue_pool_config *c = &ue->pool->config;
    return (struct sip_hop){c->pcscf[ue->pcscf % c->n_pcscf], c->transport};
}

void ue_send_register(struct ue *ue) {
    struct ue_pool *pool = ue->pool;
    const struct sip_hop hop = ue_hop(ue);
    ue->early = (struct ue_news){0};
    char text[sizeof "sip:" + DOMAIN_MAX];
    struct buf uri = buf_init(text, sizeof text);
    buf_cstr(&uri, "sip:");
    buf_put(&uri, ue->config.isim->home_domain);
    struct buf *b = uri.overflow ? NULL
                                 : sip_client_begin(pool->stack, 0, &hop, SPAN("REGISTER"),
                                                    buf_span(&uri), &ue->client);
    if (b) {
        sip_client_expect(ue->client, pool->config.host);
        sip_put_number(b, SIP_H_MAX_FORWARDS, 70);
        sip_put_begin(b, SIP_H_ROUTE);
        ue_put_pcscf(ue, b, &hop.addr);
        sip_put_end(b);
        put_identities(ue, b);
        put_contact(ue, b);
        put_authorization(ue, b, buf_span(&uri));
        put_supported(ue, b);
        if (ue->config.access.n) {
            sip_put(b, SIP_H_P_ACCESS_NETWORK_INFO, ue->config.access);
        }
        if (pool->config.agent.n) {
            sip_put(b, SIP_H_USER_AGENT, pool->config.agent);
        }
        if (!sip_client_send(ue->client, SPAN_NONE, &ue_client_handler, ue)) {
            pool->counters.registers++;
            return;
        }
    }
    ue->client = NULL;
    ue->unsent = true;
    timer_start(pool->env, &ue->timer, 0);
}
