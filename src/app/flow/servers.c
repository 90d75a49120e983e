/* Application servers that subscribe to registration state (TS 24.229 5.7.1.1, RFC 3680): whoever a
 * flow says so of. One says who it is by P-Asserted-Identity, "sip:NAME.DOMAIN"; its first
 * SUBSCRIBE goes to the I-CSCF; it answers each NOTIFY with 200. */
#include "app/flow/runner.h"

#include "node/icscf/icscf.h"
#include "obs/trace.h"
#include "stack/sip/dialog.h"
#include "stack/sip/sip_stack.h"

#include <stdlib.h>

enum { FIRST_ADDRESS = 100, PORT = 5080, EXPIRES_S = 3600, HOST_MAX = 300 };

/* A subscription of one server. */
struct server_subscription {
    struct server *server;
    struct span impu;
    struct sip_dialog dialog;
    struct sip_client *asking;
    uint32_t cseq, expires_s;
    char call_id[16], tag[16];
};

struct server {
    struct runner *runner;
    struct span name;
    char label[64], host[HOST_MAX], contact[96];
    struct env *env;
    struct sip_stack *stack;
    struct server_subscription subscriptions[SERVER_SUBSCRIPTIONS_MAX];
    size_t n;
};

static void put_subscribe(struct server_subscription *s, struct buf *b) {
    struct server *server = s->server;
    sip_put_number(b, SIP_H_MAX_FORWARDS, 70);
    if (s->dialog.route.n) {
        sip_put(b, SIP_H_ROUTE, s->dialog.route);
    }
    buf_printf(b, "From: <sip:%s>;tag=%.16s\r\nTo: <%.*s>%s%.*s\r\n", server->host, s->tag,
               SPAN_ARG(s->impu), s->dialog.tag.n ? ";tag=" : "", SPAN_ARG(s->dialog.tag));
    buf_printf(b, "Call-ID: %.16s\r\nCSeq: %u SUBSCRIBE\r\nContact: <%s>\r\n", s->call_id,
               ++s->cseq, server->contact);
    buf_printf(b, "P-Asserted-Identity: <sip:%s>\r\nEvent: reg\r\n", server->host);
    sip_put(b, SIP_H_ACCEPT, SPAN("application/reginfo+xml"));
    sip_put_number(b, SIP_H_EXPIRES, s->expires_s);
}

static void on_answer(void *ctx, struct sip_client *tx, const struct sip_msg *answer) {
    struct server_subscription *s = ctx;
    (void)tx;
    if (answer->status < 200) {
        return;
    }
    s->asking = NULL;
    bool good = answer->status < 300 && s->expires_s > 0;
    if (!good || (!s->dialog.tag.n && sip_dialog_learn(&s->dialog, answer) != OK)) {
        sip_dialog_forget(&s->dialog);
    }
}

static void on_silence(void *ctx, struct sip_client *tx) {
    struct server_subscription *s = ctx;
    (void)tx;
    s->asking = NULL;
    sip_dialog_forget(&s->dialog);
}

static const struct sip_client_handler client_handler = {.response = on_answer,
                                                         .timeout = on_silence};

static void on_request(void *ctx, struct sip_server *tx, const struct sip_msg *req) {
    (void)ctx;
    enum error e = sip_reply(tx, req->method == SIP_NOTIFY ? 200 : 405, SPAN_NONE);
    (void)e; /* the ladder has it, or not */
}

static const struct sip_stack_handler stack_handler = {.request = on_request};

static enum error open_server(struct server *s, size_t number) {
    struct runner *r = s->runner;
    struct addr local;
    if (!addr_parse_host(span_from_cstr(r->address), PORT, &local)) {
        return ERR_INTERNAL;
    }
    local.ip[3] = (uint8_t)(FIRST_ADDRESS + number);
    struct buf b = buf_init(s->contact, sizeof s->contact - 1);
    buf_cstr(&b, "sip:");
    addr_put(&b, &local);
    const struct sip_stack_config config = {.local = {{local, SIP_UDP}, {local, SIP_TCP}},
                                            .n_local = 2,
                                            .limits = sip_limits_default()};
    enum error e = network_env_new(r->network, s->label, &s->env);
    e = e ? e : sip_stack_new(s->env, &config, &stack_handler, s, &s->stack);
    return e ? e : trace_name_address(r->trace, &local, span_from_cstr(s->label));
}

static void close_server(struct server *s) {
    for (size_t i = 0; i < s->n; i++) {
        sip_client_free(s->subscriptions[i].asking);
        sip_dialog_forget(&s->subscriptions[i].dialog);
    }
    sip_stack_free(s->stack);
    env_close(s->env);
    free(s);
}

void servers_end(struct runner *r) {
    while (r->n_servers) {
        close_server(r->servers[--r->n_servers]);
    }
}

/* The server of this name, made at its first use; NULL after a complaint. */
static struct server *find(struct runner *r, const struct flow_step *step) {
    for (size_t i = 0; i < r->n_servers; i++) {
        if (span_eq(r->servers[i]->name, step->subject)) {
            return r->servers[i];
        }
    }
    struct server *s = r->n_servers < SERVERS_MAX ? calloc(1, sizeof *s) : NULL;
    enum error e = s ? OK : ERR_NO_MEMORY;
    if (s) {
        s->runner = r;
        s->name = step->subject;
        struct buf b = buf_init(s->label, sizeof s->label - 1);
        buf_put(&b, span_slice(s->name, 0, sizeof s->label - 1));
        b = buf_init(s->host, sizeof s->host - 1);
        buf_printf(&b, "%.*s.%s", SPAN_ARG(span_slice(s->name, 0, 63)), r->config.domain);
        e = open_server(s, r->n_servers);
    }
    if (e) {
        runner_complain(r, step->line, "%.*s cannot start: %s", SPAN_ARG(step->subject),
                        error_text(e));
        if (s) {
            close_server(s);
        }
        return NULL;
    }
    r->servers[r->n_servers++] = s;
    return s;
}

static struct server_subscription *subscription_to(struct server *s, struct span impu) {
    for (size_t i = 0; i < s->n; i++) {
        if (span_eq(s->subscriptions[i].impu, impu)) {
            return &s->subscriptions[i];
        }
    }
    if (s->n == SERVER_SUBSCRIPTIONS_MAX) {
        return NULL;
    }
    struct server_subscription *fresh = &s->subscriptions[s->n++];
    *fresh = (struct server_subscription){.server = s, .impu = impu};
    return fresh;
}

/* To the I-CSCF, and within the dialog to its target: a numeric route, or a node of the network. */
static bool find_hop(const struct runner *r, const struct server_subscription *s,
                     struct sip_hop *out) {
    struct sip_uri uri;
    bool stands = s->dialog.tag.n > 0;
    if (stands && sip_dialog_next_hop(&s->dialog, &uri) != OK) {
        return false;
    }
    for (size_t i = 0; i < r->config.n_nodes; i++) {
        const struct config_node *n = &r->config.nodes[i];
        if (stands ? span_eq_nocase(uri.host, span_from_cstr(n->host)) : n->role == NAMING_ICSCF) {
            *out = (struct sip_hop){n->listen, SIP_UDP};
            return true;
        }
    }
    return false;
}

static bool is_done(void *ctx) {
    return !((struct server_subscription *)ctx)->asking;
}

bool runner_subscribe(struct runner *r, const struct flow_step *step) {
    struct server *server = find(r, step);
    struct server_subscription *s =
        server ? subscription_to(server, runner_identity(r, step->impu)) : NULL;
    struct sip_hop hop;
    if (!s || !find_hop(r, s, &hop)) {
        if (server) {
            runner_complain(r, step->line, "%.*s: too many subscriptions, or nobody to ask",
                            SPAN_ARG(step->text));
        }
        return false;
    }
    s->expires_s = step->has_expires ? step->expires_s : EXPIRES_S;
    if (!s->dialog.tag.n) {
        struct buf b = buf_init(s->call_id, sizeof s->call_id);
        sip_stack_put_token(server->stack, &b);
        b = buf_init(s->tag, sizeof s->tag);
        sip_stack_put_token(server->stack, &b);
    }
    struct buf *b = sip_client_begin(server->stack, 0, &hop, SPAN("SUBSCRIBE"),
                                     s->dialog.tag.n ? s->dialog.target : s->impu, &s->asking);
    enum error e = ERR_NO_MEMORY;
    if (b) {
        put_subscribe(s, b);
        e = sip_client_send(s->asking, SPAN_NONE, &client_handler, s);
    }
    if (e) {
        s->asking = NULL;
        runner_complain(r, step->line, "%.*s: %s", SPAN_ARG(step->text), error_text(e));
        return false;
    }
    return runner_drive(r, is_done, s, r->sim ? ACTION_SIMULATED_US : ACTION_SOCKETS_US);
}
