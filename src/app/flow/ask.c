/* Asking the HSS as a Diameter peer of one's own: what a CSCF of Muster would never ask, what
 * application servers ask, and what strangers might. A peer that the HSS takes stays connected to
 * the end of the flow, or until it leaves, and answers what the HSS asks it (PNR). */
#include "app/flow/runner.h"

#include "app/flow/parse.h"
#include "codec/diameter/diameter.h"
#include "obs/trace.h"
#include "spec/sh.h"
#include "stack/diameter/diameter_node.h"

#include <stdlib.h>

enum { CONNECT_US = 2 * 1000 * 1000 };

struct asker {
    struct asker *next;
    struct runner *runner;
    struct env *env;
    struct diameter *diameter;
    struct span realm, host, hss; /* in the runner's arena */
    struct diameter_peer_config peer;
    bool done;
    bool silent;                   /* it answers nothing */
    struct diameter_result result; /* what it answers */
};

static void on_answer(void *ctx, const struct diameter_msg *msg) {
    (void)msg; /* the ladder has it */
    ((struct asker *)ctx)->done = true;
}

static void on_failed(void *ctx, enum error why) {
    (void)why;
    ((struct asker *)ctx)->done = true;
}

static const struct diameter_answer_handler answer_handler = {on_answer, on_failed};

static void on_request(void *ctx, struct diameter_request *rq, const struct diameter_msg *msg) {
    const struct asker *a = ctx;
    bool known = msg->command == SH_COMMAND_PUSH_NOTIFICATION;
    if (known && a->silent) {
        return; /* it is freed with the node */
    }
    diameter_answer_result(rq, known ? a->result : DIAMETER_RESULT(DIAMETER_COMMAND_UNSUPPORTED),
                           SPAN_NONE);
}

static const struct diameter_handler handler = {.request = on_request};
static const struct diameter_application applications[] = {{CX_APPLICATION, DIAMETER_VENDOR_3GPP},
                                                           {SH_APPLICATION, DIAMETER_VENDOR_3GPP}};

static bool is_routable(void *ctx) {
    struct asker *a = ctx;
    return diameter_is_routable(a->diameter, CX_APPLICATION, a->realm);
}

static bool is_done(void *ctx) {
    return ((struct asker *)ctx)->done;
}

struct command {
    const char *name;
    uint32_t application, command;
};

static const struct command *command_of(struct span name) {
    static const struct command commands[] = {
        {"UAR", CX_APPLICATION, CX_COMMAND_USER_AUTHORIZATION},
        {"SAR", CX_APPLICATION, CX_COMMAND_SERVER_ASSIGNMENT},
        {"LIR", CX_APPLICATION, CX_COMMAND_LOCATION_INFO},
        {"MAR", CX_APPLICATION, CX_COMMAND_MULTIMEDIA_AUTH},
        {"UDR", SH_APPLICATION, SH_COMMAND_USER_DATA},
        {"PUR", SH_APPLICATION, SH_COMMAND_PROFILE_UPDATE},
        {"SNR", SH_APPLICATION, SH_COMMAND_SUBSCRIBE_NOTIFICATIONS},
    };
    for (size_t i = 0; i < COUNT_OF(commands); i++) {
        if (span_eq(name, span_from_cstr(commands[i].name))) {
            return &commands[i];
        }
    }
    return NULL;
}

static void put_value(struct diameter_builder *b, const struct diameter_def *def,
                      struct span value) {
    uint32_t number = 0;
    if (def->type != DIAMETER_U32 && def->type != DIAMETER_ENUM) {
        diameter_put(b, def->code, def->vendor, def->mandatory, value);
        return;
    }
    bool numeric = span_to_u32(value, UINT32_MAX, &number);
    for (size_t i = 0; i < def->n_values && !numeric; i++) {
        if (span_eq_nocase(value, span_from_cstr(def->values[i].name))) {
            number = def->values[i].value;
        }
    }
    diameter_put_u32(b, def->code, def->vendor, def->mandatory, number);
}

/* Is the ith condition GROUP.NAME = VALUE, and the one beside it of the same group? */
static bool is_of_group(const struct flow_step *step, size_t i, size_t beside) {
    const struct flow_condition *c = &step->avps[i];

    return c->param.n && beside < step->n_avps && step->avps[beside].param.n &&
           span_eq(c->name, step->avps[beside].name);
}

/* NAME = VALUE, or GROUP.NAME = VALUE; those of one group beside each other make one group. */
static bool put_avp(struct runner *r, const struct flow_step *step, struct diameter_builder *b,
                    size_t i) {
    const struct flow_condition *c = &step->avps[i];
    char bytes[1024];
    struct buf value = buf_init(bytes, sizeof bytes);
    struct span unknown = SPAN_NONE;
    const struct diameter_def *outer = flow_avp_named(c->name);
    const struct diameter_def *inner = c->param.n ? flow_avp_named(c->param) : outer;
    if (!outer || !inner || !flow_vars_expand(&r->vars, c->value, &value, &unknown)) {
        runner_complain(r, step->line, "%.*s: no such AVP, or nothing is called %.*s",
                        SPAN_ARG(c->text), SPAN_ARG(unknown));
        return false;
    }
    if (c->param.n && !(i && is_of_group(step, i, i - 1))) {
        diameter_open(b, outer->code, outer->vendor, outer->mandatory);
    }
    put_value(b, inner, buf_span(&value));
    if (c->param.n && !is_of_group(step, i, i + 1)) {
        diameter_close(b);
    }
    return true;
}

static bool send(struct asker *a, const struct flow_step *step) {
    struct runner *r = a->runner;
    const struct command *command = command_of(step->method);
    const struct diameter_route route = {
        .application = command->application, .command = command->command, .realm = a->realm};
    struct diameter_builder *b = diameter_request_begin(a->diameter, &route);
    diameter_put(b, DIAMETER_AVP_SESSION_ID, 0, true, b->envelope->session_id);
    diameter_open(b, DIAMETER_AVP_VENDOR_SPECIFIC_APPLICATION_ID, 0, true);
    diameter_put_u32(b, DIAMETER_AVP_VENDOR_ID, 0, true, DIAMETER_VENDOR_3GPP);
    diameter_put_u32(b, DIAMETER_AVP_AUTH_APPLICATION_ID, 0, true, command->application);
    diameter_close(b);
    diameter_put_u32(b, DIAMETER_AVP_AUTH_SESSION_STATE, 0, true,
                     DIAMETER_AUTH_SESSION_STATE_NO_STATE_MAINTAINED);
    diameter_put(b, DIAMETER_AVP_ORIGIN_HOST, 0, true, b->envelope->origin_host);
    diameter_put(b, DIAMETER_AVP_ORIGIN_REALM, 0, true, b->envelope->origin_realm);
    diameter_put(b, DIAMETER_AVP_DESTINATION_REALM, 0, true, a->realm);
    for (size_t i = 0; i < step->n_avps; i++) {
        if (!put_avp(r, step, b, i)) {
            return false;
        }
    }
    a->done = false;
    enum error err = diameter_request_send(a->diameter, &answer_handler, a, NULL);
    if (err) {
        runner_complain(r, step->line, "%.*s: %s", SPAN_ARG(step->text), error_text(err));
    }
    return err == OK;
}

static struct addr hss_address_of(const struct runner *r, struct span *host) {
    for (size_t i = 0; i < r->config.n_nodes; i++) {
        const struct config_node *n = &r->config.nodes[i];
        if (n->role == NAMING_HSS) {
            *host = span_from_cstr(n->host);
            return n->listen;
        }
    }
    return (struct addr){0};
}

static enum error connect(struct asker *a) {
    struct runner *r = a->runner;
    char name[64];
    struct span label = span_slice(a->host, 0, span_find_char(a->host, '.'));
    const struct addr address = hss_address_of(r, &a->hss);
    a->peer = (struct diameter_peer_config){
        .host = a->hss, .realm = a->realm, .address = address, .connect = true};
    const struct diameter_config config = {
        .host = a->host,
        .realm = a->realm,
        .applications = applications,
        .n_applications = COUNT_OF(applications),
        .peers = &a->peer,
        .n_peers = 1,
        .reconnect_min_us = 2 * (uint64_t)CONNECT_US, /* one try is enough for a flow */
    };
    if (!span_to_cstr(label, name, sizeof name)) {
        return ERR_TOO_BIG;
    }
    bool failed = false;
    struct span kept = arena_copy(&r->arena, span_of(name, label.n + 1), &failed);
    enum error err = failed ? ERR_NO_MEMORY : network_env_new(r->network, kept.p, &a->env);
    return err ? err : diameter_new(a->env, &config, &handler, a, &a->diameter);
}

static void disconnect(struct asker *a) {
    diameter_free(a->diameter);
    env_close(a->env);
    a->diameter = NULL;
    a->env = NULL;
}

static void leave(struct asker *a) {
    struct asker **at = &a->runner->askers;
    while (*at && *at != a) {
        at = &(*at)->next;
    }
    if (*at) {
        *at = a->next;
    }
    disconnect(a);
    free(a);
}

void askers_end(struct runner *r) {
    while (r->askers) {
        leave(r->askers);
    }
}

/* The host that a step names, in the arena; empty after a complaint. */
static struct span host_of(struct runner *r, const struct flow_step *step) {
    char bytes[256];
    struct buf host = buf_init(bytes, sizeof bytes);
    struct span unknown = SPAN_NONE;
    bool failed = false;
    if (!flow_vars_expand(&r->vars, step->subject, &host, &unknown)) {
        runner_complain(r, step->line, "nothing is called %.*s", SPAN_ARG(unknown));
        return SPAN_NONE;
    }
    struct span kept = arena_copy(&r->arena, buf_span(&host), &failed);
    return failed ? SPAN_NONE : kept;
}

static struct asker *find_asker(const struct runner *r, struct span host) {
    struct asker *a = r->askers;
    while (a && !span_eq_nocase(a->host, host)) {
        a = a->next;
    }
    return a;
}

/* The peer of this name, connected at its first use; NULL after a complaint. */
static struct asker *asker_of(struct runner *r, const struct flow_step *step) {
    struct span host = host_of(r, step);
    struct asker *a = host.n ? find_asker(r, host) : NULL;
    if ((a && is_routable(a)) || !host.n) {
        return a;
    }
    if (a) { /* the HSS has restarted */
        disconnect(a);
    } else {
        a = calloc(1, sizeof *a);
    }
    if (a && !a->runner) {
        a->runner = r;
        a->host = host;
        a->realm = span_from_cstr(r->config.domain);
        a->result = DIAMETER_RESULT(DIAMETER_SUCCESS);
        a->next = r->askers;
        r->askers = a;
    }
    enum error err = a ? connect(a) : ERR_NO_MEMORY;
    if (err) {
        runner_complain(r, step->line, "%.*s: %s", SPAN_ARG(step->text), error_text(err));
        if (a) {
            leave(a);
        }
        return NULL;
    }
    return a;
}

bool runner_ask(struct runner *r, const struct flow_step *step) {
    if (!command_of(step->method)) {
        runner_complain(r, step->line, "ask knows UAR, SAR, LIR, MAR, UDR, PUR and SNR");
        return false;
    }
    struct asker *a = asker_of(r, step);
    if (!a) {
        return false;
    }
    /* A peer that is refused stays unroutable; the lines of the ladder say whether that is right.
     */
    if (!runner_drive(r, is_routable, a, CONNECT_US)) {
        leave(a);
        return true;
    }
    return send(a, step) && runner_drive(r, is_done, a, CONNECT_US);
}

bool runner_leave(struct runner *r, const struct flow_step *step) {
    struct span host = host_of(r, step);
    struct asker *a = find_asker(r, host);
    if (!a) {
        runner_complain(r, step->line, "%.*s has not asked anything yet", SPAN_ARG(step->subject));
        return false;
    }
    leave(a);
    return true;
}

bool runner_answer(struct runner *r, const struct flow_step *step) {
    struct asker *a = asker_of(r, step);
    uint32_t code = 0;
    if (!a) {
        return false;
    }
    a->silent = span_eq(step->method, SPAN("nothing"));
    if (!a->silent && !span_to_u32(step->method, 9999, &code)) {
        runner_complain(r, step->line, "an answer is a result's number, or nothing");
        return false;
    }
    bool experimental = code / 1000 > 3 && code != DIAMETER_UNABLE_TO_COMPLY &&
                        diameter_result_name(DIAMETER_3GPP_RESULT(code)) != NULL;
    a->result = experimental ? DIAMETER_3GPP_RESULT(code) : DIAMETER_RESULT(code);
    if (!runner_drive(r, is_routable, a, CONNECT_US)) {
        runner_complain(r, step->line, "%.*s cannot connect to the HSS", SPAN_ARG(a->host));
        return false;
    }
    return true;
}
