/* The I-CSCF as a node: its life, who gets which request.
 *
 * Besides REGISTER, subscriptions to registration state are served; other requests (TS 24.229
 * 5.3.2) get 501, see README.md. OPTIONS to the I-CSCF itself is answered. */
#include "node/icscf/icscf.h"

#include "codec/sip/headers.h"
#include "node/icscf/internal.h"
#include "spec/cx.h"

#include <stdlib.h>

enum { MESSAGE_MAX = 8192, PENDING_MAX = 65536, T1_MS = 125, STOP_US = 2000000 };

static const struct diameter_application application = {CX_APPLICATION, DIAMETER_VENDOR_3GPP};

void icscf_refuse(struct icscf *i, struct sip_server *up, struct sip_refusal refusal) {
    i->counters.refused++;
    refusal.host = i->config.host;
    sip_refuse(up, &refusal);
}

static bool is_trusted(const struct icscf *i, const struct addr *from) {
    for (size_t k = 0; k < i->config.n_trusted; k++) {
        if (addr_same_host(&i->config.trusted[k], from)) {
            return true;
        }
    }
    return i->config.n_trusted == 0;
}

static bool is_reg_event(const struct sip_msg *req) {
    struct sip_event event;
    return req->method == SIP_SUBSCRIBE &&
           sip_event_parse(sip_value(req, SIP_H_EVENT), &event) == OK &&
           span_eq_nocase(event.package, SPAN("reg"));
}

static void on_request(void *ctx, struct sip_server *up, const struct sip_msg *req) {
    struct icscf *i = (struct icscf *)ctx;
    if (i->stopping) {
        icscf_refuse(i, up, (struct sip_refusal){.status = 503, .why = REASON_SHUTTING_DOWN});
    } else if (!is_trusted(i, &sip_server_source(up)->addr)) {
        icscf_refuse(i, up, (struct sip_refusal){.status = 403, .why = REASON_NOT_TRUSTED});
    } else if (req->method == SIP_REGISTER) {
        icscf_register(i, up, req);
    } else if (is_reg_event(req)) {
        icscf_locate(i, up, req);
    } else if (req->method == SIP_OPTIONS && !req->uri.user.p) {
        sip_reply(up, 200, SPAN_NONE);
    } else {
        icscf_refuse(i, up, (struct sip_refusal){.status = 501, .why = REASON_SESSIONS_NOT_SERVED});
    }
}

static const struct sip_stack_handler stack_handler = {.request = on_request};

/* The HSS asks nothing of an I-CSCF. */
static void on_diameter_request(void *ctx, struct diameter_request *rq,
                                const struct diameter_msg *msg) {
    (void)ctx;
    (void)msg;
    struct diameter_fault fault;
    diameter_fault_set(&fault, 3001, SPAN_NONE, "an I-CSCF takes no requests");
    diameter_answer_fault(rq, &fault);
}

static const struct diameter_handler diameter_handler = {.request = on_diameter_request};

static void diameter_stopped(void *ctx) {
    struct icscf *i = (struct icscf *)ctx;
    if (i->stop_done) {
        i->stop_done(i->stop_ctx);
    }
}

static void stop_diameter(struct timer *t) {
    struct icscf *i = CONTAINER_OF(t, struct icscf, stop_timer);
    if (!i->diameter_stopping) {
        i->diameter_stopping = true;
        diameter_stop(i->diameter, diameter_stopped, i);
    }
}

void icscf_stop(struct icscf *i, void (*done)(void *ctx), void *ctx) {
    i->stopping = true;
    i->stop_done = done;
    i->stop_ctx = ctx;
    timer_start(i->env, &i->stop_timer, STOP_US);
    icscf_look_stopped(i);
}

static const char *const proxy_supported[] = {"path", ""};

static enum error open_links(struct icscf *i) {
    struct sip_stack_config sip = {.sent_by = span_from_cstr(i->sent_by),
                                   .limits = sip_limits_default(),
                                   .proxy_supported = proxy_supported,
                                   .t1_us = i->config.t1_ms * MS_IN_US};
    sip_stack_listen_on(&sip, &i->config.sip);
    sip.limits.message_max = i->config.message_max;
    enum error e = sip_stack_new(i->env, &sip, &stack_handler, i, &i->stack);
    if (e == OK) {
        i->config.dns.transports = sip_listening_transports(&i->config.sip);
        i->config.dns.no_ipv4 = i->config.sip.addr.family == 6;
        i->config.dns.no_ipv6 = i->config.sip.addr.family == 4;
        e = resolver_new(i->env, &i->config.dns, &i->resolver);
    }
    i->config.diameter.applications = &application;
    i->config.diameter.n_applications = 1;
    return e != OK ? e
                   : diameter_new(i->env, &i->config.diameter, &diameter_handler, i, &i->diameter);
}

static void set_default(uint32_t *value, uint32_t otherwise) {
    if (*value == 0) {
        *value = otherwise;
    }
}

enum error icscf_new(struct env *env, const struct icscf_config *config, struct icscf **out) {
    if (!config->host.n || config->host.n > 255 || !config->dns.source ||
        config->n_scscf > SELECTION_SCSCF_MAX) {
        return ERR_INVALID;
    }
    struct icscf *i = (struct icscf *)calloc(1, sizeof *i);
    if (!i) {
        return ERR_NO_MEMORY;
    }
    i->env = env;
    i->config = *config;
    set_default(&i->config.message_max, MESSAGE_MAX);
    set_default(&i->config.pending_max, PENDING_MAX);
    set_default(&i->config.t1_ms, T1_MS);
    list_init(&i->pending);
    timer_init(&i->stop_timer, stop_diameter);
    struct buf b = buf_init(i->sent_by, sizeof i->sent_by - 1);
    buf_put(&b, config->host);
    buf_char(&b, ':');
    buf_u64(&b, config->sip.addr.port);
    enum error e = open_links(i);
    if (e != OK) {
        icscf_free(i);
        return e;
    }
    *out = i;
    return OK;
}

void icscf_free(struct icscf *i) {
    if (!i) {
        return;
    }
    timer_stop(&i->stop_timer);
    diameter_free(i->diameter);
    resolver_free(i->resolver);
    sip_stack_free(i->stack);
    free(i);
}

const struct addr *icscf_address(const struct icscf *i) {
    return sip_stack_local(i->stack, 0);
}

bool icscf_is_ready(const struct icscf *i) {
    return diameter_is_routable(i->diameter, CX_APPLICATION, i->config.hss_realm);
}

const struct icscf_counters *icscf_counters(const struct icscf *i) {
    return &i->counters;
}

const struct sip_stack_counters *icscf_sip_counters(const struct icscf *i) {
    return sip_stack_counters(i->stack);
}

const struct diameter_counters *icscf_diameter_counters(const struct icscf *i) {
    return diameter_counters(i->diameter);
}
