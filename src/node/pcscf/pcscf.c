/* The P-CSCF as a node: its life, who gets which request, and what can be seen of it.
 *
 * NOTIFYs of our own subscriptions are ours; SUBSCRIBEs of terminals and NOTIFYs to them pass
 * through. Other requests than REGISTER (TS 24.229 5.2.6.3.1): from a terminal that is not
 * registered 403; to a registration that is not there 480; sessions are not served yet (501, see
 * README.md). OPTIONS to the P-CSCF itself is answered, as terminals and monitors ask it whether it
 * lives. */
#include "codec/sip/headers.h"
#include "node/pcscf/internal.h"

#include <openssl/crypto.h>
#include <stdlib.h>

enum {
    MESSAGE_MAX = 8192,
    REGISTRATIONS_MAX = 2000000,
    REGISTERING_MAX = 65536,
    REG_AWAIT_AUTH_S = 240,
    CONNECTION_PENDING_MAX = 256,
    GUESSES_MAX = 5,
    GUESS_LOCK_S = 30,
    STOP_US = 2000000
};

static bool is_core(const struct pcscf *p, const struct addr *from) {
    for (size_t i = 0; i < p->config.n_core; i++) {
        if (addr_same_host(&p->config.core[i], from)) {
            return true;
        }
    }
    return false;
}

static bool is_for_us(const struct pcscf *p, const struct sip_msg *req) {
    return !req->uri.user.p && (span_eq_nocase(req->uri.host, p->config.host) ||
                                addr_parse_host(req->uri.host, 0, &(struct addr){0}));
}

/* A request towards a terminal comes with our Path URI as its first Route. */
static bool is_terminating(const struct pcscf *p, const struct sip_msg *req, struct span *user) {
    struct sip_address route;
    if (!sip_route_is_own(req, p->config.host, p->port) ||
        sip_address_of(req, SIP_H_ROUTE, &route) != OK || !route.uri.user.p) {
        return false;
    }
    *user = route.uri.user;
    return true;
}

static void answer_options(struct sip_server *up) {
    struct buf *b = sip_reply_begin(up, 200, SPAN_NONE);
    sip_put(b, SIP_H_ALLOW, SPAN("REGISTER, OPTIONS"));
    sip_put(b, SIP_H_ACCEPT, SPAN("application/sdp"));
    sip_reply_send(up, SPAN_NONE);
}

static void other_request(struct pcscf *p, struct sip_server *up, const struct sip_msg *req) {
    struct span user;
    bool core = is_core(p, &sip_server_source(up)->addr);
    if (req->method == SIP_SUBSCRIBE && !core) {
        pcscf_relay_subscribe(p, up, req);
    } else if (is_terminating(p, req, &user)) {
        if (pcscf_relay_notify(p, up, req, user)) {
            return;
        }
        if (pcscf_find_token(p, user)) {
            pcscf_refuse(p, up, 501, REASON_SESSIONS_NOT_SERVED);
        } else {
            pcscf_refuse(p, up, 480, REASON_TERMINAL_NOT_REGISTERED);
        }
    } else if (req->method == SIP_NOTIFY && is_for_us(p, req)) {
        pcscf_notify(p, up, req);
    } else if (req->method == SIP_OPTIONS && is_for_us(p, req)) {
        answer_options(up);
    } else if (pcscf_knows_terminal(p, &sip_server_source(up)->addr)) {
        pcscf_refuse(p, up, 501, REASON_SESSIONS_NOT_SERVED);
    } else {
        pcscf_refuse(p, up, 403, REASON_TERMINAL_NOT_REGISTERED);
    }
}

static void on_request(void *ctx, struct sip_server *up, const struct sip_msg *req) {
    struct pcscf *p = (struct pcscf *)ctx;
    if (p->stopping) {
        pcscf_refuse(p, up, 503, REASON_SHUTTING_DOWN);
    } else if (req->method != SIP_REGISTER) {
        other_request(p, up, req);
    } else if (is_core(p, &sip_server_source(up)->addr)) {
        pcscf_refuse(p, up, 403, REASON_NOT_A_TERMINAL);
    } else {
        pcscf_register(p, up, req);
    }
}

/* Who sends from an address with a registration goes a class before who does not: an address is
 * known by a 200 only, which a flood with invented sources never gets. */
static enum sip_class classify(void *ctx, const struct sip_hop *from, enum sip_class class) {
    if (class == SIP_CLASS_EMERGENCY) {
        return class;
    }
    if (!pcscf_knows_terminal((struct pcscf *)ctx, &from->addr)) {
        return class == SIP_CLASS_KNOWN ? SIP_CLASS_INITIAL : class;
    }
    return class == SIP_CLASS_INITIAL ? SIP_CLASS_CONTINUES : SIP_CLASS_KNOWN;
}

static bool hears(void *ctx, const struct addr *at) {
    return pcscf_knows_terminal((struct pcscf *)ctx, at);
}

static const struct sip_stack_handler stack_handler = {
    .request = on_request, .classify = classify, .hears = hears};

/* Option tags of Proxy-Require: sec-agree is taken away on the way (ipsec: off). */
static const char *const proxy_supported[] = {"sec-agree", "path", "outbound", ""};

static void stopped(struct timer *t) {
    struct pcscf *p = CONTAINER_OF(t, struct pcscf, stop_timer);
    void (*done)(void *ctx) = p->stop_done;
    p->stop_done = NULL;
    if (done) {
        done(p->stop_ctx);
    }
}

static enum error open_links(struct pcscf *p) {
    struct sip_stack_config sip = {.sent_by = span_from_cstr(p->sent_by),
                                   .limits = sip_limits_default(),
                                   .keep_s = p->config.keep_alive_s,
                                   .faces_terminals = true,
                                   .connection_pending_max = p->config.connection_pending_max,
                                   .proxy_supported = proxy_supported};
    sip_stack_listen_on(&sip, &p->config.sip);
    sip.limits.message_max = p->config.message_max;
    enum error e = sip_stack_new(p->env, &sip, &stack_handler, p, &p->stack);
    p->config.dns.transports = sip_listening_transports(&p->config.sip);
    p->config.dns.no_ipv4 = p->config.sip.addr.family == 6;
    p->config.dns.no_ipv6 = p->config.sip.addr.family == 4;
    return e != OK ? e : resolver_new(p->env, &p->config.dns, &p->resolver);
}

static void set_default(uint32_t *value, uint32_t otherwise) {
    if (*value == 0) {
        *value = otherwise;
    }
}

enum error pcscf_new(struct env *env, const struct pcscf_config *config, struct pcscf **out) {
    if (!config->host.n || config->host.n > 255 || !config->visited_network.n ||
        config->visited_network.n > 255 || config->ioi.n > 255 || !config->dns.source) {
        return ERR_INVALID;
    }
    struct pcscf *p = (struct pcscf *)calloc(1, sizeof *p);
    if (!p) {
        return ERR_NO_MEMORY;
    }
    p->env = env;
    p->config = *config;
    set_default(&p->config.message_max, MESSAGE_MAX);
    set_default(&p->config.registrations_max, REGISTRATIONS_MAX);
    set_default(&p->config.registering_max, REGISTERING_MAX);
    set_default(&p->config.reg_await_auth_s, REG_AWAIT_AUTH_S);
    set_default(&p->config.connection_pending_max, CONNECTION_PENDING_MAX);
    set_default(&p->config.guesses_max, GUESSES_MAX);
    set_default(&p->config.guess_lock_s, GUESS_LOCK_S);
    p->guess_policy =
        (struct guess_policy){p->config.guesses_max, p->config.guess_lock_s * SEC_IN_US};
    departures_init(&p->departures, p->config.registering_max);
    list_init(&p->challenge_age);
    list_init(&p->guess_age);
    list_init(&p->registering);
    timer_init(&p->stop_timer, stopped);
    p->port = config->sip.addr.port;
    struct buf b = buf_init(p->sent_by, sizeof p->sent_by - 1);
    buf_put(&b, config->host);
    buf_char(&b, ':');
    buf_u64(&b, config->sip.addr.port);
    uint8_t life[8];
    env_random(env, life, sizeof life);
    b = buf_init(p->icid_prefix, sizeof p->icid_prefix - 1);
    buf_hex(&b, life, sizeof life);
    buf_char(&b, '-');
    enum error e = open_links(p);
    if (e != OK) {
        pcscf_free(p);
        return e;
    }
    *out = p;
    return OK;
}

void pcscf_free(struct pcscf *p) {
    if (!p) {
        return;
    }
    timer_stop(&p->stop_timer);
    pcscf_forget_all(p);
    resolver_free(p->resolver);
    sip_stack_free(p->stack);
    OPENSSL_cleanse(p, sizeof *p);
    free(p);
}

void pcscf_stop(struct pcscf *p, void (*done)(void *ctx), void *ctx) {
    p->stopping = true;
    p->stop_done = done;
    p->stop_ctx = ctx;
    timer_start(p->env, &p->stop_timer, STOP_US);
    pcscf_look_stopped(p);
}

const struct addr *pcscf_address(const struct pcscf *p) {
    return sip_stack_local(p->stack, 0);
}

const struct pcscf_counters *pcscf_counters(const struct pcscf *p) {
    return &p->counters;
}

size_t pcscf_registrations(const struct pcscf *p) {
    return p->by_binding.count;
}

struct each_visit {
    void (*each)(void *ctx, const struct pcscf_registration_view *view);
    void *ctx;
};

static void visit(struct htab_node *node, void *ctx) {
    const struct each_visit *v = (const struct each_visit *)ctx;
    const struct registration *r = CONTAINER_OF(node, struct registration, by_binding);
    v->each(v->ctx, &(struct pcscf_registration_view){.impu = r->impu,
                                                      .impi = r->impi,
                                                      .contact = r->contact,
                                                      .service_route = r->service_route,
                                                      .n_service_route = r->n_service_route,
                                                      .associated = r->associated,
                                                      .n_associated = r->n_associated,
                                                      .terminal = r->terminal->addr,
                                                      .expires_at_us = r->expiry.due_us});
}

void pcscf_each_registration(const struct pcscf *p,
                             void (*each)(void *ctx, const struct pcscf_registration_view *view),
                             void *ctx) {
    struct htab table = p->by_binding; /* only walked */
    htab_each(&table, visit, &(struct each_visit){each, ctx});
}

const struct sip_stack_counters *pcscf_sip_counters(const struct pcscf *p) {
    return sip_stack_counters(p->stack);
}
