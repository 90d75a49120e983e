/* Asking the HSS as a Diameter peer of one's own: what a CSCF of Muster would never ask, and what
 * strangers might. */
#include "app/flow/runner.h"

#include "app/flow/parse.h"
#include "codec/diameter/diameter.h"
#include "obs/trace.h"
#include "stack/diameter/diameter_node.h"

enum {
    CX = 16777216,
    AUTH_SESSION_STATE = 277,
    NO_STATE_MAINTAINED = 1,
    CONNECT_US = 2 * 1000 * 1000
};

struct asking {
    struct runner *runner;
    struct diameter *diameter;
    struct span realm;
    bool done;
};

static void on_answer(void *ctx, const struct diameter_msg *msg) {
    (void)msg; /* the ladder has it */
    ((struct asking *)ctx)->done = true;
}

static void on_failed(void *ctx, enum error why) {
    (void)why;
    ((struct asking *)ctx)->done = true;
}

static const struct diameter_answer_handler answer_handler = {on_answer, on_failed};

static void on_request(void *ctx, struct diameter_request *rq, const struct diameter_msg *msg) {
    (void)ctx;
    (void)msg;
    diameter_answer_result(rq, DIAMETER_RESULT(3001), SPAN_NONE); /* it takes no commands */
}

static const struct diameter_handler handler = {.request = on_request};

static bool is_routable(void *ctx) {
    struct asking *a = ctx;
    return diameter_is_routable(a->diameter, CX, a->realm);
}

static bool is_done(void *ctx) {
    return ((struct asking *)ctx)->done;
}

static uint32_t command_of(struct span name) {
    static const struct {
        const char *name;
        uint32_t command;
    } commands[] = {{"UAR", 300}, {"SAR", 301}, {"LIR", 302}, {"MAR", 303}};
    for (size_t i = 0; i < COUNT_OF(commands); i++) {
        if (span_eq(name, span_from_cstr(commands[i].name))) {
            return commands[i].command;
        }
    }
    return 0;
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

static bool send(struct asking *a, const struct flow_step *step) {
    enum { VENDOR_SPECIFIC_APPLICATION_ID = 260, VENDOR_ID = 266, AUTH_APPLICATION_ID = 258 };
    struct runner *r = a->runner;
    const struct diameter_route route = {
        .application = CX, .command = command_of(step->method), .realm = a->realm};
    struct diameter_builder *b = diameter_request_begin(a->diameter, &route);
    diameter_put(b, 263, 0, true, b->envelope->session_id);
    diameter_open(b, VENDOR_SPECIFIC_APPLICATION_ID, 0, true);
    diameter_put_u32(b, VENDOR_ID, 0, true, DIAMETER_VENDOR_3GPP);
    diameter_put_u32(b, AUTH_APPLICATION_ID, 0, true, CX);
    diameter_close(b);
    diameter_put_u32(b, AUTH_SESSION_STATE, 0, true, NO_STATE_MAINTAINED);
    diameter_put(b, 264, 0, true, b->envelope->origin_host);
    diameter_put(b, 296, 0, true, b->envelope->origin_realm);
    diameter_put(b, 283, 0, true, a->realm);
    for (size_t i = 0; i < step->n_avps; i++) {
        if (!put_avp(r, step, b, i)) {
            return false;
        }
    }
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

static bool ask(struct asking *a, struct env *env, const struct flow_step *step) {
    struct runner *r = a->runner;
    char bytes[256];
    struct buf host = buf_init(bytes, sizeof bytes);
    struct span unknown = SPAN_NONE, hss;
    if (!flow_vars_expand(&r->vars, step->subject, &host, &unknown)) {
        runner_complain(r, step->line, "nothing is called %.*s", SPAN_ARG(unknown));
        return false;
    }
    const struct addr address = hss_address_of(r, &hss);
    const struct diameter_application cx = {.id = CX, .vendor = DIAMETER_VENDOR_3GPP};
    const struct diameter_peer_config peer = {
        .host = hss, .realm = a->realm, .address = address, .connect = true};
    const struct diameter_config config = {
        .host = buf_span(&host),
        .realm = a->realm,
        .applications = &cx,
        .n_applications = 1,
        .peers = &peer,
        .n_peers = 1,
        .reconnect_min_us = 2 * (uint64_t)CONNECT_US, /* one try is enough for a flow */
    };
    enum error err = diameter_new(env, &config, &handler, a, &a->diameter);
    if (err) {
        runner_complain(r, step->line, "%.*s: %s", SPAN_ARG(step->text), error_text(err));
        return false;
    }
    /* A peer that is refused stays unroutable; the lines of the ladder say whether that is right.
     */
    bool good = !runner_drive(r, is_routable, a, CONNECT_US) || send(a, step);
    if (good && is_routable(a)) {
        good = runner_drive(r, is_done, a, CONNECT_US);
    }
    diameter_free(a->diameter);
    return good;
}

bool runner_ask(struct runner *r, const struct flow_step *step) {
    char name[64];
    struct span label = span_slice(step->subject, 0, span_find_char(step->subject, '.'));
    struct asking a = {.runner = r, .realm = span_from_cstr(r->config.domain)};
    struct env *env = NULL;
    if (command_of(step->method) == 0 || !span_to_cstr(label, name, sizeof name)) {
        runner_complain(r, step->line, "ask knows UAR, SAR, LIR and MAR");
        return false;
    }
    enum error err = network_env_new(r->network, name, &env);
    if (err) {
        runner_complain(r, step->line, "%.*s: %s", SPAN_ARG(step->text), error_text(err));
        return false;
    }
    bool good = ask(&a, env, step);
    env_close(env);
    return good;
}
