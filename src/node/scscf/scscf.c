/* The S-CSCF as a node: its life, who gets which request, and what can be seen of it.
 *
 * Besides REGISTER, SUBSCRIBE to registration state is served; other requests (TS 24.229 5.4.3) get
 * 501, see README.md. OPTIONS to the S-CSCF itself is answered. */
#include "node/scscf/scscf.h"

#include "node/scscf/internal.h"

#include <openssl/crypto.h>
#include <stdlib.h>

enum {
    MESSAGE_MAX = 8192,
    PENDING_MAX = 65536,
    EXPIRES_MIN_S = 60,
    EXPIRES_MAX_S = 600000,
    CONTACTS_MAX = 4,
    ATTEMPTS_MAX = 3,
    CHALLENGES_MAX = 4,
    HOST_SHARES_MAX = 16,
    REG_AWAIT_AUTH_S = 240,
    DIGEST_NONCE_S = 3600,
    SUBSCRIPTIONS_MAX = 32,
    SUBSCRIPTION_MIN_S = 60,
    STOP_US = 2000000
};

static const struct diameter_application application = {CX_APPLICATION, DIAMETER_VENDOR_3GPP};

static bool is_trusted(const struct scscf *s, const struct addr *from) {
    for (size_t i = 0; i < s->config.n_trusted; i++) {
        if (addr_same_host(&s->config.trusted[i], from)) {
            return true;
        }
    }
    return s->config.n_trusted == 0;
}

static void on_request(void *ctx, struct sip_server *up, const struct sip_msg *req) {
    struct scscf *s = (struct scscf *)ctx;
    if (s->stopping) {
        scscf_refuse(s, up, (struct sip_refusal){.status = 503, .why = REASON_SHUTTING_DOWN});
    } else if (!is_trusted(s, &sip_server_source(up)->addr)) {
        scscf_refuse(s, up, (struct sip_refusal){.status = 403, .why = REASON_NOT_TRUSTED});
    } else if (req->method == SIP_REGISTER) {
        scscf_register(s, up, req);
    } else if (req->method == SIP_SUBSCRIBE) {
        scscf_subscribe(s, up, req);
    } else if (req->method == SIP_OPTIONS && !req->uri.user.p) {
        sip_reply(up, 200, SPAN_NONE);
    } else {
        scscf_refuse(s, up, (struct sip_refusal){.status = 501, .why = REASON_SESSIONS_NOT_SERVED});
    }
}

static const struct sip_stack_handler stack_handler = {.request = on_request};

static const struct diameter_handler diameter_handler = {.request = scscf_diameter_request};

static void diameter_stopped(void *ctx) {
    struct scscf *s = (struct scscf *)ctx;
    if (s->stop_done) {
        s->stop_done(s->stop_ctx);
    }
}

static void stop_diameter(struct timer *t) {
    struct scscf *s = CONTAINER_OF(t, struct scscf, stop_timer);
    if (!s->diameter_stopping) {
        s->diameter_stopping = true;
        diameter_stop(s->diameter, diameter_stopped, s);
    }
}

void scscf_stop(struct scscf *s, void (*done)(void *ctx), void *ctx) {
    s->stopping = true;
    s->stop_done = done;
    s->stop_ctx = ctx;
    timer_start(s->env, &s->stop_timer, s->n_operations ? STOP_US : 0);
}

/* Option tags in Require that a registrar must understand. */
static const char *const supported[] = {"path", "outbound", ""};

static enum error open_links(struct scscf *s) {
    struct sip_stack_config sip = {.sent_by = span_from_cstr(s->sent_by),
                                   .limits = sip_limits_default(),
                                   .proxy_supported = supported,
                                   .supported = supported};
    sip_stack_listen_on(&sip, &s->config.sip);
    sip.limits.message_max = s->config.message_max;
    s->config.diameter.applications = &application;
    s->config.diameter.n_applications = 1;
    enum error e = sip_stack_new(s->env, &sip, &stack_handler, s, &s->stack);
    if (e == OK) {
        s->config.dns.transports = sip_listening_transports(&s->config.sip);
        s->config.dns.no_ipv4 = s->config.sip.addr.family == 6;
        s->config.dns.no_ipv6 = s->config.sip.addr.family == 4;
        e = resolver_new(s->env, &s->config.dns, &s->resolver);
    }
    return e != OK ? e
                   : diameter_new(s->env, &s->config.diameter, &diameter_handler, s, &s->diameter);
}

static const enum auth_algorithm algorithms[] = {AUTH_AKAV1_MD5, AUTH_SHA256, AUTH_MD5};

static void set_default(uint32_t *value, uint32_t otherwise) {
    if (*value == 0) {
        *value = otherwise;
    }
}

static void set_policies(struct scscf *s) {
    struct scscf_config *c = &s->config;
    set_default(&c->message_max, MESSAGE_MAX);
    set_default(&c->pending_max, PENDING_MAX);
    set_default(&c->expires_min_s, EXPIRES_MIN_S);
    set_default(&c->expires_max_s, EXPIRES_MAX_S);
    set_default(&c->expires_default_s, c->expires_max_s);
    set_default(&c->contacts_max, CONTACTS_MAX);
    set_default(&c->attempts_max, ATTEMPTS_MAX);
    set_default(&c->challenges_max, CHALLENGES_MAX);
    set_default(&c->reg_await_auth_s, REG_AWAIT_AUTH_S);
    set_default(&c->digest_nonce_s, DIGEST_NONCE_S);
    set_default(&c->subscriptions_max, SUBSCRIPTIONS_MAX);
    set_default(&c->subscription_min_s, SUBSCRIPTION_MIN_S);
    if (c->n_algorithms == 0) {
        c->algorithms = algorithms;
        c->n_algorithms = COUNT_OF(algorithms);
    }
    for (size_t i = 0; i < c->n_algorithms; i++) {
        s->algorithms |= AUTH_BIT(c->algorithms[i]);
    }
    s->bindings_policy = (struct registration_policy){c->expires_min_s, c->expires_max_s,
                                                      c->expires_default_s, c->contacts_max};
    s->shares = (struct share_bounds){
        .of_source = c->challenges_max, .of_host = HOST_SHARES_MAX, .of_all = SCSCF_SHARES_MAX};
    if (s->shares.of_host < s->shares.of_source) {
        s->shares.of_host = s->shares.of_source;
    }
    s->challenge_policy =
        (struct challenge_policy){.accept_without_integrity = !c->refuse_without_integrity,
                                  .reauthenticate = !c->keep_authenticated,
                                  .attempts_max = c->attempts_max,
                                  .trust_auth_done = c->trust_auth_done};
}

/* "host:port" for Via, and the Service-Route that leads back here (5.4.1.2.2F, RFC 3608). */
static void set_names(struct scscf *s) {
    struct buf b = buf_init(s->sent_by, sizeof s->sent_by - 1);
    buf_put(&b, s->config.host);
    buf_char(&b, ':');
    buf_u64(&b, s->config.sip.addr.port);
    b = buf_init(s->service_route, sizeof s->service_route - 1);
    buf_cstr(&b, "<sip:orig@");
    buf_cstr(&b, s->sent_by);
    buf_cstr(&b, ";lr>");
}

enum error scscf_new(struct env *env, const struct scscf_config *config, struct scscf **out) {
    if (!config->host.n || config->host.n > 255 || !config->name.n || !config->realm.n ||
        !config->hss_realm.n || !config->dns.source) {
        return ERR_INVALID;
    }
    struct scscf *s = (struct scscf *)calloc(1, sizeof *s);
    if (!s) {
        return ERR_NO_MEMORY;
    }
    s->env = env;
    s->config = *config;
    set_policies(s);
    set_names(s);
    list_init(&s->operations);
    list_init(&s->notices);
    list_init(&s->changed);
    list_init(&s->ready);
    post_init(&s->turns, scscf_next_turns);
    departures_init(&s->departures, s->config.pending_max);
    timer_init(&s->stop_timer, stop_diameter);
    enum error e = digest_init(&s->digest);
    if (e == OK) {
        e = open_links(s);
    }
    if (e != OK) {
        scscf_free(s);
        return e;
    }
    *out = s;
    return OK;
}

void scscf_free(struct scscf *s) {
    if (!s) {
        return;
    }
    timer_stop(&s->stop_timer);
    post_cancel(&s->turns);
    diameter_free(s->diameter);
    scscf_forget_watchers(s);
    resolver_free(s->resolver);
    sip_stack_free(s->stack);
    scscf_forget_notices(s);
    scscf_forget_challenges(s);
    scscf_forget_sets(s);
    departures_free(&s->departures);
    scscf_forget_hss_names(s);
    digest_free(&s->digest);
    OPENSSL_cleanse(s, sizeof *s);
    free(s);
}

const struct addr *scscf_address(const struct scscf *s) {
    return sip_stack_local(s->stack, 0);
}

struct env *scscf_env(const struct scscf *s) {
    return s->env;
}

bool scscf_is_ready(const struct scscf *s) {
    return diameter_is_routable(s->diameter, CX_APPLICATION, s->config.hss_realm);
}

const struct scscf_counters *scscf_counters(const struct scscf *s) {
    return &s->counters;
}

struct each_visit {
    void (*each)(void *ctx, const struct scscf_binding_view *view);
    void *ctx;
};

static void show(void *ctx, struct binding *b) {
    const struct each_visit *v = (const struct each_visit *)ctx;
    struct span impus[64];
    size_t n = 0, n_barred = 0, watchers = 0;
    for (struct list *at = b->set->watchers.next; at != &b->set->watchers; at = at->next) {
        watchers++;
    }
    while (n < b->set->n_identities && n < COUNT_OF(impus)) {
        impus[n] = b->set->identities[n].impu;
        n_barred += b->set->identities[n].barred;
        n++;
    }
    v->each(v->ctx, &(struct scscf_binding_view){.impi = binding_text(b, BINDING_IMPI),
                                                 .impu = impus[0],
                                                 .impus = impus,
                                                 .n_impus = n,
                                                 .n_barred = n_barred,
                                                 .charging = b->set->charging,
                                                 .contact = binding_text(b, BINDING_CONTACT),
                                                 .params = binding_text(b, BINDING_PARAMS),
                                                 .path = binding_text(b, BINDING_PATH),
                                                 .call_id = binding_text(b, BINDING_CALL_ID),
                                                 .reg_id = b->reg_id,
                                                 .expires_at_us = b->expiry.due_us,
                                                 .event = reginfo_event_name(b->event),
                                                 .n_subscriptions = watchers});
}

static void visit(struct htab_node *node, void *ctx) {
    show(ctx, CONTAINER_OF(node, struct binding, node));
}

void scscf_each_binding_of(struct scscf *s, struct span identity,
                           void (*each)(void *ctx, const struct scscf_binding_view *view),
                           void *ctx) {
    scscf_each_of(s, identity, show, &(struct each_visit){each, ctx});
}

void scscf_each_binding(const struct scscf *s,
                        void (*each)(void *ctx, const struct scscf_binding_view *view), void *ctx) {
    struct htab table = s->bindings; /* only walked */
    htab_each(&table, visit, &(struct each_visit){each, ctx});
}

struct scscf_counts scscf_counts(const struct scscf *s) {
    return (struct scscf_counts){.sets = s->n_sets,
                                 .identities = s->identities.count,
                                 .bindings = s->bindings.count,
                                 .challenges = s->n_challenges,
                                 .pending = s->n_operations,
                                 .watchers = s->watchers.count};
}

const struct sip_stack_counters *scscf_sip_counters(const struct scscf *s) {
    return sip_stack_counters(s->stack);
}

const struct diameter_counters *scscf_diameter_counters(const struct scscf *s) {
    return diameter_counters(s->diameter);
}
