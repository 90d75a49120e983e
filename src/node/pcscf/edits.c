/* What a REGISTER and its answers look like on the other side of the P-CSCF: TS 24.229 5.2.1,
 * 5.2.2.1, 5.2.2.2; TS 33.203 6.1; RFC 3327, RFC 7315.
 *
 * Open choices: header fields that only the network may write are taken away rather than refused,
 * so that a terminal that repeats what it once saw is served; P-Access-Network-Info stays but for
 * values that claim to be network-provided; of Authorization only
 * the first value of Digest goes on, wherever it stands. */
#include "node/pcscf/internal.h"

#include "codec/sip/headers.h"
#include "model/registration/algorithm.h"

/* Header fields that a terminal must not send (hardening HA2), or that are between it and us. */
static const enum sip_header_id untrusted[] = {
    SIP_H_P_ASSERTED_IDENTITY,   SIP_H_P_CHARGING_VECTOR,     SIP_H_P_CHARGING_FUNCTION_ADDRESSES,
    SIP_H_P_VISITED_NETWORK_ID,  SIP_H_P_ASSOCIATED_URI,      SIP_H_P_CALLED_PARTY_ID,
    SIP_H_P_ASSERTED_SERVICE,    SIP_H_P_PROFILE_KEY,         SIP_H_P_USER_DATABASE,
    SIP_H_P_SERVED_USER,         SIP_H_P_MEDIA_AUTHORIZATION, SIP_H_P_PRIVATE_NETWORK_INDICATION,
    SIP_H_FEATURE_CAPS,          SIP_H_SERVICE_ROUTE,         SIP_H_PATH,
    SIP_H_RECORD_ROUTE,          SIP_H_HISTORY_INFO,          SIP_H_RESTORATION_INFO,
    SIP_H_CELLULAR_NETWORK_INFO, SIP_H_ADDITIONAL_IDENTITY};

static const enum sip_header_id hop_by_hop[] = {SIP_H_ROUTE, SIP_H_SECURITY_CLIENT,
                                                SIP_H_SECURITY_VERIFY, SIP_H_SECURITY_SERVER};

/* Charging data, and why the home network refused: that would tell known users from unknown. */
static const enum sip_header_id not_for_terminals[] = {
    SIP_H_P_CHARGING_VECTOR, SIP_H_P_CHARGING_FUNCTION_ADDRESSES,
    SIP_H_P_USER_DATABASE,   SIP_H_P_PROFILE_KEY,
    SIP_H_RESTORATION_INFO,  SIP_H_WARNING};

static unsigned count_lines(const struct sip_msg *msg, enum sip_header_id id) {
    unsigned n = 0;
    for (const struct sip_header *h = sip_header(msg, id); h; h = sip_header_next(msg, h)) {
        n++;
    }
    return n;
}

static unsigned remove_all(const struct sip_msg *msg, const enum sip_header_id *ids, size_t n,
                           struct sip_edits *edits) {
    unsigned removed = 0;
    for (size_t i = 0; i < n; i++) {
        if (sip_has(msg, ids[i])) {
            removed += count_lines(msg, ids[i]);
            sip_edit_remove(edits, ids[i]);
        }
    }
    return removed;
}

static enum error finish(const struct buf *b) {
    return b->overflow ? ERR_TOO_BIG : OK;
}

/* The option tags of a header but sec-agree, and `added` (may be empty) with them. */
static enum error edit_tags(const struct sip_msg *req, enum sip_header_id id, struct span added,
                            struct buf b, struct sip_edits *edits) {
    bool changed = added.n > 0;
    struct sip_list list = sip_list_of(req, id);
    for (struct span tag; sip_list_next(&list, &tag);) {
        if (span_eq_nocase(tag, SPAN("sec-agree")) || span_eq_nocase(tag, added)) {
            changed = true;
            continue;
        }
        if (b.n) {
            buf_cstr(&b, ", ");
        }
        buf_put(&b, tag);
    }
    if (added.n) {
        if (b.n) {
            buf_cstr(&b, ", ");
        }
        buf_put(&b, added);
    }
    if (list.malformed) {
        return ERR_MALFORMED;
    }
    if (changed && b.n) {
        sip_edit_replace(edits, id, buf_span(&b));
    } else if (changed) {
        sip_edit_remove(edits, id);
    }
    return finish(&b);
}

static void put_param(struct buf *b, const char *name, struct span value, bool quoted) {
    if (value.p) {
        buf_printf(b, quoted ? ", %s=\"%.*s\"" : ", %s=%.*s", name, SPAN_ARG(value));
    }
}

/* A Digest header value without what only network nodes may say in it (ck, ik,
 * integrity-protected). */
static void put_digest(struct buf *b, const struct sip_auth *a) {
    buf_printf(b, "Digest realm=\"%.*s\"", SPAN_ARG(a->realm));
    put_param(b, "username", a->username, true);
    put_param(b, "domain", a->domain, true);
    put_param(b, "nonce", a->nonce, true);
    put_param(b, "opaque", a->opaque, true);
    put_param(b, "stale", a->stale, false);
    put_param(b, "uri", a->uri, true);
    put_param(b, "algorithm", a->algorithm, false);
}

/* What we say of the way to the terminal; NULL: nothing. Who shows what AKA needs, or may use
 * nothing else, is outside of a security association (5.2.2.2). Others use SIP Digest, without TLS
 * (5.2.2.3) or with it (5.2.2.4): a response comes from an address that has registered, or from a
 * new one. */
static const char *integrity_of(struct pcscf *p, const struct sip_msg *req,
                                const struct sip_hop *source, const struct sip_auth *a) {
    enum auth_algorithm algorithm;
    bool named = a->algorithm.n && auth_algorithm_parse(a->algorithm, &algorithm);
    if (p->config.refuse_digest || sip_has(req, SIP_H_SECURITY_CLIENT) ||
        (named && auth_algorithm_is_aka(algorithm))) {
        return "no";
    }
    if (!a->response.n) {
        return NULL;
    }
    bool known = pcscf_knows_terminal(p, &source->addr);
    if (source->transport == SIP_TLS) {
        return known ? "tls-yes" : "tls-pending";
    }
    return known ? "ip-assoc-yes" : "ip-assoc-pending";
}

/* One Authorization line, the first of Digest, with integrity-protected of our own. */
static enum error edit_authorization(struct pcscf *p, const struct sip_msg *req,
                                     const struct sip_hop *source, struct register_values *values,
                                     struct sip_edits *edits) {
    struct sip_auth a;
    enum error e = sip_digest_of(req, SIP_H_AUTHORIZATION, &a);
    if (e == ERR_NOT_FOUND) {
        if (sip_has(req, SIP_H_AUTHORIZATION)) { /* of schemes that the home network has not */
            sip_edit_remove(edits, SIP_H_AUTHORIZATION);
        }
        return OK;
    }
    if (e != OK) {
        return e;
    }
    struct buf b = buf_init(values->authorization, sizeof values->authorization);
    if (a.integrity_protected.p || a.ck.p || a.ik.p) {
        put_digest(&b, &a);
        put_param(&b, "response", a.response, true);
        put_param(&b, "auts", a.auts, true);
        put_param(&b, "cnonce", a.cnonce, true);
        put_param(&b, "qop", a.qop, false);
        put_param(&b, "nc", a.nc, false);
    } else {
        buf_put(&b, a.text);
    }
    const char *integrity = integrity_of(p, req, source, &a);
    if (integrity) {
        buf_printf(&b, ", integrity-protected=\"%s\"", integrity);
    }
    sip_edit_replace(edits, SIP_H_AUTHORIZATION, buf_span(&b));
    return finish(&b);
}

/* Values that claim to come from the network are not the terminal's to write. */
static enum error edit_access(const struct sip_msg *req, struct register_values *values,
                              struct sip_edits *edits, unsigned *stripped) {
    unsigned forged = 0;
    struct buf b = buf_init(values->access, sizeof values->access);
    struct sip_list list = sip_list_of(req, SIP_H_P_ACCESS_NETWORK_INFO);
    for (struct span value; sip_list_next(&list, &value);) {
        struct sip_access_network a;
        if (sip_access_network_parse(value, &a) != OK || a.provided_by_network) {
            forged++;
            continue;
        }
        if (b.n) {
            buf_cstr(&b, ", ");
        }
        buf_put(&b, value);
    }
    if (list.malformed || (forged && b.n == 0)) {
        sip_edit_remove(edits, SIP_H_P_ACCESS_NETWORK_INFO);
    } else if (forged) {
        sip_edit_replace(edits, SIP_H_P_ACCESS_NETWORK_INFO, buf_span(&b));
    }
    *stripped += forged;
    return list.malformed || !forged ? OK : finish(&b);
}

/* RFC 5626 5.1: we can bring requests back over the flow that this REGISTER came by. Not through a
 * proxy before us: then the flow is not the terminal's. */
static bool wants_outbound(const struct sip_msg *req) {
    if (!sip_has_token(req, SIP_H_SUPPORTED, SPAN("outbound")) ||
        sip_list_count(req, SIP_H_VIA) != 1) {
        return false;
    }
    struct sip_list list = sip_list_of(req, SIP_H_CONTACT);
    struct sip_contact c;
    while (sip_contact_next(&list, &c)) {
        if (c.reg_id) {
            return true;
        }
    }
    return false;
}

static bool is_token(struct span s) {
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!plain && !(c && strchr("-.!%*_+`'~", c))) {
            return false;
        }
    }
    return s.n > 0;
}

static void put_hex64(struct buf *b, uint64_t value) {
    uint8_t bytes[8];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(value >> (56 - 8 * i));
    }
    buf_hex(b, bytes, sizeof bytes);
}

/* The header fields that the P-CSCF writes itself. */
static enum error add_own(struct pcscf *p, const struct sip_msg *req, uint64_t token,
                          struct register_values *values, struct sip_edits *edits) {
    struct buf path = buf_init(values->path, sizeof values->path);
    buf_cstr(&path, "<sip:");
    put_hex64(&path, token);
    buf_char(&path, '@');
    buf_cstr(&path, p->sent_by);
    buf_cstr(&path, wants_outbound(req) ? ";lr;ob>" : ";lr>");
    sip_edit_append(edits, SIP_H_PATH, buf_span(&path));

    struct buf charging = buf_init(values->charging, sizeof values->charging);
    pcscf_put_charging_vector(p, &charging);
    sip_edit_append(edits, SIP_H_P_CHARGING_VECTOR, buf_span(&charging));

    struct buf visited = buf_init(values->visited, sizeof values->visited);
    if (is_token(p->config.visited_network)) {
        buf_put(&visited, p->config.visited_network);
    } else {
        sip_put_quoted(&visited, p->config.visited_network);
    }
    sip_edit_append(edits, SIP_H_P_VISITED_NETWORK_ID, buf_span(&visited));
    return path.overflow || charging.overflow || visited.overflow ? ERR_TOO_BIG : OK;
}

void pcscf_put_charging_vector(struct pcscf *p, struct buf *b) {
    buf_cstr(b, "icid-value=\"");
    buf_cstr(b, p->icid_prefix);
    buf_u64(b, ++p->icid_count);
    buf_cstr(b, "\";icid-generated-at=");
    buf_put(b, p->config.host);
    if (p->config.ioi.n) {
        buf_cstr(b, ";orig-ioi=");
        sip_put_quoted(b, p->config.ioi);
    }
}

enum error pcscf_edit_register(struct pcscf *p, const struct sip_msg *req,
                               const struct sip_hop *source, uint64_t token,
                               struct register_values *values, struct sip_edits *edits,
                               unsigned *stripped, enum reason *why) {
    *stripped = remove_all(req, untrusted, COUNT_OF(untrusted), edits);
    remove_all(req, hop_by_hop, COUNT_OF(hop_by_hop), edits);
    *why = REASON_MALFORMED_REQUIRE;
    enum error e = edit_tags(req, SIP_H_REQUIRE, SPAN("path"),
                             buf_init(values->require, sizeof values->require), edits);
    if (e == OK) {
        *why = REASON_MALFORMED_REQUIRE;
        e = edit_tags(req, SIP_H_PROXY_REQUIRE, SPAN_NONE,
                      buf_init(values->proxy_require, sizeof values->proxy_require), edits);
    }
    if (e == OK) {
        *why = REASON_MALFORMED_AUTHORIZATION;
        e = edit_authorization(p, req, source, values, edits);
    }
    if (e == OK) {
        *why = REASON_MALFORMED_ACCESS;
        e = edit_access(req, values, edits, stripped);
    }
    if (e == OK) {
        *why = REASON_TOO_LARGE;
        e = add_own(p, req, token, values, edits);
    }
    return e == OK && edits->overflow ? ERR_TOO_BIG : e;
}

/* Record-Route with a token that leads back to the terminal. Over a stream the terminal may have no
 * other way; TLS is its own affair with us. */
static void put_record_route(struct pcscf *p, const struct terminal_request *from, struct buf *b) {
    buf_cstr(b, "<sip:");
    put_hex64(b, from->token);
    buf_char(b, '@');
    buf_cstr(b, p->sent_by);
    if (from->source->transport == SIP_TCP) {
        sip_put_transport(b, SIP_TCP);
    }
    buf_cstr(b, ";lr>");
}

enum error pcscf_edit_request(struct pcscf *p, const struct sip_msg *req,
                              const struct terminal_request *from, struct register_values *values,
                              struct sip_edits *edits, unsigned *stripped) {
    *stripped = remove_all(req, untrusted, COUNT_OF(untrusted), edits);
    remove_all(req, hop_by_hop, COUNT_OF(hop_by_hop), edits);
    sip_edit_remove(edits, SIP_H_P_PREFERRED_IDENTITY);
    enum error e = edit_tags(req, SIP_H_REQUIRE, SPAN_NONE,
                             buf_init(values->require, sizeof values->require), edits);
    if (e == OK) {
        e = edit_tags(req, SIP_H_PROXY_REQUIRE, SPAN_NONE,
                      buf_init(values->proxy_require, sizeof values->proxy_require), edits);
    }
    if (e == OK) {
        e = edit_access(req, values, edits, stripped);
    }
    if (e != OK) {
        return e;
    }
    if (from->route.n) {
        sip_edit_append(edits, SIP_H_ROUTE, from->route);
    }
    if (from->asserted.n) {
        sip_edit_append(edits, SIP_H_P_ASSERTED_IDENTITY, from->asserted);
    }
    struct buf route = buf_init(values->path, sizeof values->path);
    put_record_route(p, from, &route);
    sip_edit_append(edits, SIP_H_RECORD_ROUTE, buf_span(&route));
    struct buf charging = buf_init(values->charging, sizeof values->charging);
    pcscf_put_charging_vector(p, &charging);
    sip_edit_append(edits, SIP_H_P_CHARGING_VECTOR, buf_span(&charging));
    return route.overflow || charging.overflow || edits->overflow ? ERR_TOO_BIG : OK;
}

void pcscf_edit_to_terminal(const struct sip_msg *msg, struct sip_edits *edits) {
    remove_all(msg, not_for_terminals, COUNT_OF(not_for_terminals), edits);
}

unsigned pcscf_edit_from_terminal(const struct sip_msg *answer, struct sip_edits *edits) {
    return remove_all(answer, untrusted, COUNT_OF(untrusted), edits);
}

static void take_keys(const struct sip_auth *a, struct challenge_keys *keys) {
    if (!keys->found && a->ck.p && a->ik.p) {
        keys->found = span_to_bytes(a->ck, keys->ck, sizeof keys->ck) &&
                      span_to_bytes(a->ik, keys->ik, sizeof keys->ik);
    }
}

/* WWW-Authenticate without CK and IK, all lines of it. */
static enum error edit_challenge(const struct sip_msg *answer, struct register_values *values,
                                 struct sip_edits *edits, struct challenge_keys *keys) {
    size_t n = 0;
    sip_edit_remove(edits, SIP_H_WWW_AUTHENTICATE);
    for (const struct sip_header *h = sip_header(answer, SIP_H_WWW_AUTHENTICATE); h;
         h = sip_header_next(answer, h)) {
        struct sip_auth a;
        if (n == COUNT_OF(values->authenticate) || sip_auth_parse(h->value, &a) != OK) {
            return ERR_MALFORMED;
        }
        if (!a.ck.p && !a.ik.p) {
            sip_edit_append(edits, SIP_H_WWW_AUTHENTICATE, a.text);
            continue;
        }
        take_keys(&a, keys);
        struct buf b = buf_init(values->authenticate[n], sizeof values->authenticate[n]);
        n++;
        put_digest(&b, &a);
        put_param(&b, "qop", a.qop, true);
        if (b.overflow) {
            return ERR_TOO_BIG;
        }
        sip_edit_append(edits, SIP_H_WWW_AUTHENTICATE, buf_span(&b));
    }
    return OK;
}

enum error pcscf_edit_answer(const struct sip_msg *answer, struct register_values *values,
                             struct sip_edits *edits, struct challenge_keys *keys) {
    keys->found = false;
    remove_all(answer, not_for_terminals, COUNT_OF(not_for_terminals), edits);
    enum error e = OK;
    if (sip_has(answer, SIP_H_WWW_AUTHENTICATE)) {
        e = edit_challenge(answer, values, edits, keys);
    }
    return e == OK && edits->overflow ? ERR_TOO_BIG : e;
}
