/* Who may subscribe to the registration state of a set: TS 24.229 5.4.2.1.1.
 *
 * The user, by an identity of the set that is not barred; who is named in the Path of a contact,
 * the P-CSCF above all; an application server that does not belong to a third party. Of these the
 * configuration names those that may subscribe to anybody; and one that the user's filter criteria
 * name may, if it is of the home domain. Who asks is what P-Asserted-Identity says, which comes
 * from within the trust domain. */
#include "node/scscf/internal.h"

/* One of the P-CSCFs (or other nodes) that the user's Paths name? */
static bool is_on_path(const struct reg_set *set, const struct sip_uri *who) {
    LIST_EACH(&set->bindings, c, struct binding, in_set) {
        struct sip_list list = sip_list_of_text(binding_text(c, BINDING_PATH));
        for (struct sip_address path; sip_address_next(&list, &path);) {
            if (span_eq_nocase(path.uri.host, who->host) &&
                sip_uri_port_or_default(&path.uri) == sip_uri_port_or_default(who)) {
                return true;
            }
        }
    }
    return false;
}

/* The same server? A name without a user part or a port means any. */
static bool is_server(struct span name, const struct sip_uri *who) {
    struct sip_uri uri;
    return sip_uri_parse(name, &uri) == OK && uri.scheme != SIP_URI_TEL &&
           span_eq_nocase(uri.host, who->host) && (!uri.user.p || span_eq(uri.user, who->user)) &&
           (!uri.port || uri.port == sip_uri_port_or_default(who));
}

static bool is_trusted_server(const struct reg_set *set, const struct sip_uri *who) {
    const struct scscf_config *c = &set->s->config;
    for (size_t i = 0; i < c->n_application_servers; i++) {
        if (is_server(c->application_servers[i], who)) {
            return true;
        }
    }
    struct sip_list list = sip_list_of_text(set->servers);
    for (struct sip_address server; sip_address_next(&list, &server);) {
        if (is_server(server.uri_text, who)) {
            return true;
        }
    }
    return false;
}

bool scscf_is_home_server(const struct scscf *s, struct span name) {
    struct sip_uri uri;
    struct span home = s->config.realm;
    if (sip_uri_parse(name, &uri) != OK || uri.scheme == SIP_URI_TEL || uri.host.n < home.n) {
        return false;
    }
    size_t at = uri.host.n - home.n;
    return span_eq_nocase(span_after(uri.host, at), home) && (at == 0 || uri.host.p[at - 1] == '.');
}

bool scscf_may_subscribe(const struct reg_set *set, const struct sip_msg *req) {
    struct sip_list list = sip_list_of(req, SIP_H_P_ASSERTED_IDENTITY);
    char text[SCSCF_IDENTITY_MAX];
    for (struct sip_address who; sip_address_next(&list, &who);) {
        struct buf b = buf_init(text, sizeof text);
        if (registration_put_impu(&b, &who.uri) != OK || b.overflow) {
            continue;
        }
        for (size_t i = 0; i < set->n_identities; i++) {
            if (!set->identities[i].barred && span_eq(set->identities[i].impu, buf_span(&b))) {
                return true;
            }
        }
        if (who.uri.scheme != SIP_URI_TEL &&
            (is_on_path(set, &who.uri) || is_trusted_server(set, &who.uri))) {
            return true;
        }
    }
    return false;
}
