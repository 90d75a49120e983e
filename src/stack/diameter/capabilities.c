/* Capabilities exchange: RFC 6733 5.3.
 *
 * Choices: a CER of a peer that is not configured, that comes from an address that is not his, or
 * that names another realm (an agent may be of any), gets 3010 and the door; so does one without a
 * common application, with 5010. Over TLS his certificate must be for his Origin-Host (13.1), and
 * who is configured for TLS is served over nothing else: 3010 as well. A CEA that says anything but
 * success, or whose sender is not who we meant to reach, ends the connection. Inband-Security-Id
 * other than NO_INBAND_SECURITY alone gets 5017. */
#include "stack/diameter/internal.h"

#include "obs/trace.h"

enum { NO_INBAND_SECURITY = 0, VENDORS_MAX = 2 * APPLICATIONS_MAX };

/* What CER and CEA say of us. */
struct self {
    struct addr address;
    uint32_t vendors[VENDORS_MAX], auth[APPLICATIONS_MAX];
    struct diameter_vendor_specific_application_id specific[APPLICATIONS_MAX];
    unsigned n_vendors, n_auth, n_specific;
};

static void add_vendor(struct self *self, uint32_t vendor) {
    for (unsigned i = 0; i < self->n_vendors; i++) {
        if (self->vendors[i] == vendor) {
            return;
        }
    }
    self->vendors[self->n_vendors++] = vendor;
}

static void describe(const struct connection *c, struct self *self) {
    const struct diameter_config *config = &c->d->config;
    self->address =
        config->host_ip_address.family ? config->host_ip_address : *stream_local(c->stream);
    self->n_vendors = self->n_auth = self->n_specific = 0;
    for (size_t i = 0; i < config->n_applications; i++) {
        const struct diameter_application *a = &config->applications[i];
        if (a->vendor == 0) {
            self->auth[self->n_auth++] = a->id;
            continue;
        }
        self->specific[self->n_specific++] = (struct diameter_vendor_specific_application_id){
            .vendor_id = a->vendor, .has_auth_application_id = true, .auth_application_id = a->id};
        add_vendor(self, a->vendor);
        if (a->vendor == DIAMETER_VENDOR_3GPP) {
            add_vendor(self, DIAMETER_VENDOR_ETSI); /* TS 29.229 5.6 asks for both */
        }
    }
}

void diameter_capabilities_request(struct connection *c) {
    struct diameter *d = c->d;
    struct self self;
    describe(c, &self);
    const struct diameter_cer cer = {
        .host_ip_address = &self.address,
        .n_host_ip_address = 1,
        .vendor_id = d->config.vendor_id,
        .product_name = d->config.product_name,
        .has_origin_state_id = true,
        .origin_state_id = d->origin_state_id,
        .supported_vendor_id = self.vendors,
        .n_supported_vendor_id = self.n_vendors,
        .auth_application_id = self.auth,
        .n_auth_application_id = self.n_auth,
        .vendor_specific_application_id = self.specific,
        .n_vendor_specific_application_id = self.n_specific,
    };
    struct diameter_builder *b =
        diameter_base_begin(d, DIAMETER_REQUEST, DIAMETER_COMMAND_CAPABILITIES_EXCHANGE,
                            diameter_next_hop_by_hop(d), diameter_next_end_to_end(d));
    diameter_cer_encode(b, &cer);
    diameter_base_send(c);
}

void diameter_capabilities_answer(struct connection *c) {
    struct diameter *d = c->d;
    struct self self;
    describe(c, &self);
    const struct diameter_cea cea = {
        .result = DIAMETER_RESULT(DIAMETER_SUCCESS),
        .host_ip_address = &self.address,
        .n_host_ip_address = 1,
        .vendor_id = d->config.vendor_id,
        .product_name = d->config.product_name,
        .has_origin_state_id = true,
        .origin_state_id = d->origin_state_id,
        .supported_vendor_id = self.vendors,
        .n_supported_vendor_id = self.n_vendors,
        .auth_application_id = self.auth,
        .n_auth_application_id = self.n_auth,
        .vendor_specific_application_id = self.specific,
        .n_vendor_specific_application_id = self.n_specific,
    };
    struct diameter_builder *b = diameter_base_begin(d, 0, DIAMETER_COMMAND_CAPABILITIES_EXCHANGE,
                                                     c->cer_hop_by_hop, c->cer_end_to_end);
    diameter_cea_encode(b, &cea);
    diameter_base_send(c);
}

/* Bits of our applications that are among these. */
static uint32_t common_of(const struct diameter *d, const uint32_t *ids, unsigned n) {
    uint32_t common = 0;
    for (unsigned i = 0; i < n; i++) {
        for (size_t k = 0; k < d->config.n_applications; k++) {
            if (ids[i] == d->config.applications[k].id || ids[i] == RELAY_APPLICATION) {
                common |= UINT32_C(1) << k;
            }
        }
    }
    return common;
}

static uint32_t common_specific(const struct diameter *d,
                                const struct diameter_vendor_specific_application_id *specific,
                                unsigned n) {
    uint32_t common = 0;
    for (unsigned i = 0; i < n; i++) {
        if (specific[i].has_auth_application_id) {
            common |= common_of(d, &specific[i].auth_application_id, 1);
        }
        if (specific[i].has_acct_application_id) {
            common |= common_of(d, &specific[i].acct_application_id, 1);
        }
    }
    return common;
}

static bool is_whom_we_know(const struct connection *c, const struct peer *p, struct span realm) {
    const struct addr *must = &p->config.address;
    return (p->config.agent || span_eq_nocase(realm, diameter_peer_realm(p))) &&
           (must->family == 0 || addr_same_host(must, stream_remote(c->stream)));
}

/* Why a connection cannot be this peer's by its kind or by its certificate; NULL if it can. */
static const char *distrust(const struct connection *c, const struct peer *p) {
    if (!stream_is_tls(c->stream)) {
        return p->config.tls ? "this peer is served over TLS only" : NULL;
    }
    return tls_peer_is(c->stream, p->config.host) ? NULL : "the certificate is somebody else's";
}

static void refuse(struct connection *c, const struct diameter_msg *msg, uint32_t code,
                   const char *why) {
    struct diameter_fault fault;
    c->d->counters.refused_peers++;
    LOG(&c->d->env->log, LOG_WARNING, "diameter peer refused",
        LOG_SPAN("origin_host", msg->origin_host), LOG_U64("result", code), LOG_CSTR("why", why));
    diameter_fault_set(&fault, code, SPAN_NONE, why);
    diameter_msg_refuse(c, msg, &fault);
    diameter_connection_close(c);
}

static bool offers_no_plain_transport(const uint32_t *ids, unsigned n) {
    for (unsigned i = 0; i < n; i++) {
        if (ids[i] == NO_INBAND_SECURITY) {
            return false;
        }
    }
    return n > 0;
}

/* A name for the column in ladders, for peers of other processes: the host's first label. */
static void name_in_trace(const struct connection *c, const struct peer *p) {
    struct trace *trace = c->d->env->trace;
    const struct addr *remote = stream_remote(c->stream);
    if (!trace_is_local(trace, remote)) {
        struct span host = p->config.host;
        (void)trace_name_address(trace, remote, span_slice(host, 0, span_find_char(host, '.')));
    }
}

static void received_cer(struct connection *c, const struct diameter_msg *msg,
                         const struct diameter_cer *cer) {
    struct diameter *d = c->d;
    struct peer *p = diameter_peer_find(d, cer->origin_host);
    if (!p || !is_whom_we_know(c, p, cer->origin_realm)) {
        refuse(c, msg, DIAMETER_UNKNOWN_PEER, p ? "not where this peer is known" : "unknown peer");
        return;
    }
    const char *why = distrust(c, p);
    if (why) {
        d->counters.refused_certificates++;
        refuse(c, msg, DIAMETER_UNKNOWN_PEER, why);
        return;
    }
    uint32_t common = common_of(d, cer->auth_application_id, cer->n_auth_application_id) |
                      common_of(d, cer->acct_application_id, cer->n_acct_application_id) |
                      common_specific(d, cer->vendor_specific_application_id,
                                      cer->n_vendor_specific_application_id);
    if (common == 0) {
        refuse(c, msg, DIAMETER_NO_COMMON_APPLICATION, "no common application");
        return;
    }
    if (offers_no_plain_transport(cer->inband_security_id, cer->n_inband_security_id)) {
        refuse(c, msg, DIAMETER_NO_COMMON_SECURITY, "no common security");
        return;
    }
    diameter_connection_known(c);
    c->cer_hop_by_hop = msg->hop_by_hop;
    c->cer_end_to_end = msg->end_to_end;
    p->offered_common = common;
    p->offered_state_id = cer->has_origin_state_id;
    p->offered_origin_state_id = cer->origin_state_id;
    name_in_trace(c, p);
    diameter_peer_event(p, PEER_R_CONN_CER, c);
}

void diameter_capabilities_received(struct connection *c, const struct diameter_msg *msg) {
    struct diameter_cer cer;
    struct diameter_fault fault;
    struct arena arena = arena_init(c->d->env->chunks);
    if (diameter_cer_decode(&arena, msg, &cer, &fault) == OK) {
        received_cer(c, msg, &cer);
    } else {
        c->d->counters.malformed++;
        if (diameter_msg_is_request(msg) &&
            msg->command == DIAMETER_COMMAND_CAPABILITIES_EXCHANGE) {
            diameter_msg_refuse(c, msg, &fault);
        }
        c->d->counters.refused_peers++;
        diameter_connection_close(c);
    }
    arena_release(&arena);
}

static bool cea_is_right(struct connection *c, const struct diameter_msg *msg,
                         struct arena *arena) {
    struct diameter *d = c->d;
    struct peer *p = c->peer;
    struct diameter_cea cea;
    struct diameter_fault fault;
    const char *why = NULL;
    uint64_t code = 0;
    if (diameter_cea_decode(arena, msg, &cea, &fault) != OK) {
        why = fault.text;
    } else if (!diameter_result_is_success(cea.result)) {
        why = "the peer refuses";
        code = cea.result.code;
    } else if (!span_eq_nocase(cea.origin_host, p->config.host)) {
        d->counters.origin_mismatch++;
        why = "another host answers";
    } else {
        p->offered_common = common_of(d, cea.auth_application_id, cea.n_auth_application_id) |
                            common_of(d, cea.acct_application_id, cea.n_acct_application_id) |
                            common_specific(d, cea.vendor_specific_application_id,
                                            cea.n_vendor_specific_application_id);
        p->offered_state_id = cea.has_origin_state_id;
        p->offered_origin_state_id = cea.origin_state_id;
        why = p->offered_common ? NULL : "no common application";
    }
    if (why) {
        LOG(&d->env->log, LOG_WARNING, "diameter capabilities exchange failed",
            LOG_SPAN("peer", p->config.host), LOG_CSTR("why", why), LOG_U64("result", code));
    }
    return !why;
}

void diameter_capabilities_answered(struct connection *c, const struct diameter_msg *msg) {
    struct arena arena = arena_init(c->d->env->chunks);
    bool right = cea_is_right(c, msg, &arena);
    arena_release(&arena);
    if (right) {
        name_in_trace(c, c->peer);
    }
    diameter_peer_event(c->peer, right ? PEER_I_RCV_CEA : PEER_I_RCV_NON_CEA, c);
}
