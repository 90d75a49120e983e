/* What the S-CSCF answers to a REGISTER: TS 24.229 5.4.1.2.1 (401), 5.4.1.2.2F (200), RFC 3310,
 * RFC 3327, RFC 3608, RFC 7315. */
#include "model/aka/nonce.h"
#include "node/scscf/internal.h"

void scscf_refuse(struct scscf *s, struct sip_server *up, struct sip_refusal refusal) {
    s->counters.refused++;
    refusal.host = s->config.host;
    if (refusal.status == 423 && !refusal.min_expires_s) {
        refusal.min_expires_s = s->bindings_policy.expires_min_s;
    }
    sip_refuse(up, &refusal);
}

/* The request's P-Charging-Vector, with the home network as the other end. */
static void put_charging_vector(struct buf *b, const struct scscf *s, const struct sip_msg *req) {
    struct span vector = sip_value(req, SIP_H_P_CHARGING_VECTOR);
    if (vector.n) {
        sip_put_begin(b, SIP_H_P_CHARGING_VECTOR);
        buf_put(b, vector);
        buf_cstr(b, ";term-ioi=");
        sip_put_quoted(b, s->config.realm);
        sip_put_end(b);
    }
}

/* CK and IK go with AKAv1 alone, which security associations are made of (TS 33.203 6.1). */
static void put_aka(struct buf *b, const struct scscf *s, const struct challenge *c,
                    enum auth_algorithm algorithm, const struct cx_sip_auth_data_item *keys) {
    buf_cstr(b, "Digest realm=");
    sip_put_quoted(b, s->config.realm);
    buf_cstr(b, ", nonce=\"");
    nonce_put(b, c->aka.rand, c->aka.autn, SPAN_NONE);
    buf_cstr(b, "\", algorithm=");
    buf_put(b, auth_algorithm_name(algorithm));
    if (algorithm == AUTH_AKAV1_MD5) {
        buf_cstr(b, ", ck=\"");
        buf_hex(b, keys->confidentiality_key.p, keys->confidentiality_key.n);
        buf_cstr(b, "\", ik=\"");
        buf_hex(b, keys->integrity_key.p, keys->integrity_key.n);
        buf_char(b, '"');
    }
    buf_cstr(b, ", qop=\"auth\"");
}

void scscf_answer_challenge(struct operation *op, const struct challenge *c) {
    struct scscf *s = op->s;
    struct sip_server *up = op->up;
    const struct cx_sip_auth_data_item *keys = op->credentials.aka;
    enum auth_algorithm offers[AUTH_ALGORITHMS];
    size_t n = challenge_offers(s->config.algorithms, s->config.n_algorithms, c->offered, offers);
    scscf_operation_end(op);
    struct buf *b = sip_reply_begin(up, 401, SPAN_NONE);
    for (size_t i = 0; i < n; i++) {
        sip_put_begin(b, SIP_H_WWW_AUTHENTICATE);
        if (auth_algorithm_is_aka(offers[i])) {
            put_aka(b, s, c, offers[i], keys);
        } else {
            digest_offer_put(b, c->digest, offers[i], c->stale);
        }
        sip_put_end(b);
    }
    put_charging_vector(b, s, sip_server_request(up));
    sip_reply_send(up, SPAN_NONE);
}

/* RFC 7616 3.5: the network proves that it knows the password, too, and gives the next nonce. */
static void put_authentication_info(struct buf *b, const struct operation *op) {
    if (op->rspauth.n) {
        sip_put_begin(b, SIP_H_AUTHENTICATION_INFO);
        if (op->has_nextnonce) {
            buf_cstr(b, "nextnonce=\"");
            buf_bytes(b, op->nextnonce, sizeof op->nextnonce);
            buf_cstr(b, "\", ");
        }
        buf_cstr(b, "qop=");
        buf_put(b, op->auth.qop);
        buf_cstr(b, ", rspauth=\"");
        buf_put(b, digest_hex_span(&op->rspauth));
        buf_cstr(b, "\", cnonce=\"");
        buf_put(b, op->auth.cnonce);
        buf_cstr(b, "\", nc=");
        buf_put(b, op->auth.nc);
        sip_put_end(b);
    }
}

static void put_contacts(struct buf *b, const struct scscf *s, struct reg_set *set) {
    uint64_t now = env_now_us(s->env);
    LIST_EACH(&set->bindings, binding, struct binding, in_set) {
        uint64_t due = binding->expiry.due_us;
        uint64_t left_s = due > now ? (due - now + SEC_IN_US / 2) / SEC_IN_US : 0;
        sip_put_begin(b, SIP_H_CONTACT);
        buf_char(b, '<');
        buf_put(b, binding_text(binding, BINDING_CONTACT));
        buf_char(b, '>');
        buf_put(b, binding_text(binding, BINDING_PARAMS));
        buf_cstr(b, ";expires=");
        buf_u64(b, left_s ? left_s : 1);
        sip_put_end(b);
    }
}

/* Is the P-CSCF in the home network? Only then it may know charging functions (5.4.1.2.2F). */
static bool visits_home(const struct scscf *s, const struct sip_msg *req) {
    struct span network, params;
    return sip_has(req, SIP_H_P_VISITED_NETWORK_ID) &&
           sip_visited_network_parse(sip_value(req, SIP_H_P_VISITED_NETWORK_ID), &network,
                                     &params) == OK &&
           span_eq_nocase(network, s->config.realm);
}

static bool has_flow(const struct operation *op) {
    const struct registration_request *r = &op->reading.request;
    for (size_t i = 0; i < r->n_contacts; i++) {
        if (r->contacts[i].reg_id && r->contacts[i].instance.n) {
            return true;
        }
    }
    return false;
}

void scscf_answer_ok(struct operation *op, struct reg_set *set) {
    struct scscf *s = op->s;
    struct sip_server *up = op->up;
    const struct sip_msg *req = sip_server_request(up);
    bool outbound = has_flow(op);
    scscf_operation_end(op);
    struct buf *b = sip_reply_begin(up, 200, SPAN_NONE);
    put_authentication_info(b, op);
    sip_copy(b, req, SIP_H_PATH);
    if (set) {
        put_contacts(b, s, set);
        sip_put(b, SIP_H_SERVICE_ROUTE, span_from_cstr(s->service_route));
        sip_put(b, SIP_H_P_ASSOCIATED_URI, set->associated);
        if (set->charging.n && visits_home(s, req)) {
            sip_put(b, SIP_H_P_CHARGING_FUNCTION_ADDRESSES, set->charging);
        }
        if (outbound) {
            sip_put(b, SIP_H_REQUIRE, SPAN("outbound"));
        }
    }
    put_charging_vector(b, s, req);
    sip_reply_send(up, SPAN_NONE);
}
