/* How long the SIP codec and the transactions take: ninja -C build bench/bench_sip &&
 * build/bench/bench_sip (a release build). Prints nanoseconds of one thread per operation, the best
 * of several rounds. */
#include "rt/loop.h"
#include "stack/sip/proxy.h"

#include <stdio.h>
#include <time.h>

enum { ROUNDS = 20, PER_ROUND = 20000 };

/* A REGISTER as an I-CSCF gets it from a P-CSCF. */
static const char request[] =
    "REGISTER sip:ims.mnc001.mcc001.3gppnetwork.org SIP/2.0\r\n"
    "Via: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK7a1b2c3d4e5f60718\r\n"
    "Via: SIP/2.0/UDP 127.0.0.1:41234;rport=41234;received=127.0.0.1;branch=z9hG4bK776asdhds\r\n"
    "Max-Forwards: 69\r\n"
    "Path: <sip:term@pcscf.ims.mnc001.mcc001.3gppnetwork.org:5060;lr>\r\n"
    "P-Visited-Network-ID: ims.mnc001.mcc001.3gppnetwork.org\r\n"
    "P-Charging-Vector: icid-value=\"a9b8c7d6e5f40312\";orig-ioi=ims.mnc001.mcc001\r\n"
    "From: <sip:alice.mobile@ims.mnc001.mcc001.3gppnetwork.org>;tag=4fa3c2b1\r\n"
    "To: <sip:alice.mobile@ims.mnc001.mcc001.3gppnetwork.org>\r\n"
    "Call-ID: 3848276298220188511@127.0.0.1\r\n"
    "CSeq: 1 REGISTER\r\n"
    "Contact: <sip:alice@127.0.0.1:41234>;+sip.instance=\"<urn:gsma:imei:90420156-025763-0>\"\r\n"
    "Authorization: Digest username=\"alice.smith@ims.mnc001.mcc001.3gppnetwork.org\","
    "realm=\"ims.mnc001.mcc001.3gppnetwork.org\",nonce=\"\","
    "uri=\"sip:ims.mnc001.mcc001.3gppnetwork.org\",response=\"\",integrity-protected=\"no\"\r\n"
    "Supported: path, gruu\r\n"
    "Require: path\r\n"
    "Allow: INVITE, ACK, CANCEL, BYE, MESSAGE, NOTIFY\r\n"
    "User-Agent: Muster\r\n"
    "Expires: 600000\r\n"
    "P-Access-Network-Info: 3GPP-E-UTRAN-FDD;utran-cell-id-3gpp=0010100010000001\r\n"
    "Content-Length: 0\r\n\r\n";

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

struct bench {
    struct chunk_pool pool;
    struct sip_limits limits;
    struct sip_msg *parsed;
    char bytes[4096], output[8192];
};

static struct sip_msg *parse(struct bench *bench, struct arena *arena) {
    struct sip_msg *msg;
    struct sip_fault fault;
    if (sip_parse(arena, bench->bytes, sizeof request - 1, &bench->limits, &msg, &fault) != OK) {
        fprintf(stderr, "bench_sip: %s\n", fault.reason);
        return NULL;
    }
    return msg;
}

static bool bench_parse(struct bench *bench) {
    struct arena arena = arena_init(&bench->pool);
    bool ok = parse(bench, &arena) != NULL;
    arena_release(&arena);
    return ok;
}

static bool bench_headers(struct bench *bench) {
    struct sip_list list = sip_list_of(bench->parsed, SIP_H_CONTACT);
    struct sip_contact contact;
    struct sip_auth auth;
    struct sip_address to;
    return sip_contact_next(&list, &contact) &&
           sip_address_of(bench->parsed, SIP_H_TO, &to) == OK &&
           sip_auth_parse(sip_value(bench->parsed, SIP_H_AUTHORIZATION), &auth) == OK;
}

static bool bench_forward(struct bench *bench) {
    struct sip_edits edits;
    edits.n = 0;
    edits.overflow = false;
    struct buf b = buf_init(bench->output, sizeof bench->output);
    sip_edit_prepend(&edits, SIP_H_ROUTE, SPAN("<sip:scscf.ims.mnc001.mcc001.3gppnetwork.org;lr>"));
    sip_edit_replace(&edits, SIP_H_MAX_FORWARDS, SPAN("68"));
    sip_put_request_line(&b, bench->parsed->method_name, bench->parsed->request_uri);
    sip_put_edited(&b, bench->parsed, &edits);
    sip_put_body(&b, bench->parsed->body);
    return !b.overflow;
}

static bool bench_reply(struct bench *bench) {
    struct buf b = buf_init(bench->output, sizeof bench->output);
    sip_put_reply(&b, bench->parsed, 200, SPAN_NONE, SPAN("0123456789abcdef"));
    sip_copy(&b, bench->parsed, SIP_H_PATH);
    sip_put_body(&b, SPAN_NONE);
    return !b.overflow;
}

static bool bench_canonical(struct bench *bench) {
    struct buf b = buf_init(bench->output, sizeof bench->output);
    sip_uri_put_canonical(&b, &bench->parsed->uri);
    return !b.overflow;
}

static void run(struct bench *bench, const char *name, bool (*operation)(struct bench *)) {
    uint64_t best = UINT64_MAX;
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t start = now_ns();
        for (int i = 0; i < PER_ROUND; i++) {
            if (!operation(bench)) {
                fprintf(stderr, "bench_sip: %s failed\n", name);
                return;
            }
        }
        uint64_t took = (now_ns() - start) / PER_ROUND;
        best = took < best ? took : best;
    }
    printf("%-28s %6llu ns\n", name, (unsigned long long)best);
}

/* Two nodes of one loop, or three: a client asks, a proxy forwards, a server answers. */
struct path {
    struct loop *loop;
    struct env *env[3];
    struct sip_stack *stack[3];
    unsigned answered, wanted;
};

enum { CLIENT, PROXY, SERVER, PATH_REQUESTS = 100000 };

static void answer_request(void *ctx, struct sip_server *tx, const struct sip_msg *req) {
    (void)ctx;
    (void)req;
    sip_reply(tx, 200, SPAN_NONE);
}

static void forward_request(void *ctx, struct sip_server *tx, const struct sip_msg *req) {
    struct path *path = ctx;
    struct sip_forward f = {.to = {*sip_stack_local(path->stack[SERVER], 0), SIP_UDP}};
    (void)req;
    if (sip_proxy_forward(tx, &f, NULL, NULL, NULL) != OK) {
        sip_server_free(tx);
    }
}

static bool ask(struct path *path);

static void take_response(void *ctx, struct sip_client *tx, const struct sip_msg *response) {
    struct path *path = ctx;
    (void)tx;
    (void)response;
    path->answered++;
    if (path->answered < path->wanted && !ask(path)) {
        path->wanted = path->answered;
    }
}

static void take_timeout(void *ctx, struct sip_client *tx) {
    struct path *path = ctx;
    (void)tx;
    path->wanted = path->answered;
}

static const struct sip_client_handler client_handler = {take_response, take_timeout, NULL, NULL};

static bool ask(struct path *path) {
    const char *rest = strstr(request, "Max-Forwards");
    struct sip_client *tx;
    const struct sip_hop to = {
        *sip_stack_local(path->stack[path->stack[PROXY] ? PROXY : SERVER], 0), SIP_UDP};
    struct buf *b =
        sip_client_begin(path->stack[CLIENT], 0, &to, SPAN("REGISTER"), SPAN("sip:home.net"), &tx);
    if (!b) {
        return false;
    }
    buf_bytes(b, rest, (size_t)(strstr(rest, "Content-Length") - rest));
    return sip_client_send(tx, SPAN_NONE, &client_handler, path) == OK;
}

static bool is_done(void *ctx) {
    struct path *path = ctx;
    return path->answered >= path->wanted;
}

static bool open_stack(struct path *path, unsigned i, const char *name,
                       const struct sip_stack_handler *handler) {
    struct sip_stack_config config = {.local = {{addr_v4(127, 0, 0, 1, 0), SIP_UDP}}, .n_local = 1};
    return loop_env_new(path->loop, name, &path->env[i]) == OK &&
           sip_stack_new(path->env[i], &config, handler, path, &path->stack[i]) == OK;
}

/* Requests that wait for their answers, one after the other. */
static void run_path(const char *name, bool inprocess, bool proxied) {
    static const struct sip_stack_handler server = {answer_request, NULL, NULL};
    static const struct sip_stack_handler proxy = {forward_request, NULL, NULL};
    struct path path = {.wanted = inprocess ? PATH_REQUESTS : PATH_REQUESTS / 10};
    if (loop_new(&path.loop) != OK) {
        return;
    }
    loop_set_inprocess(path.loop, inprocess);
    if (open_stack(&path, CLIENT, "client", &server) &&
        open_stack(&path, SERVER, "server", &server) &&
        (!proxied || open_stack(&path, PROXY, "proxy", &proxy))) {
        unsigned wanted = path.wanted;
        uint64_t start = now_ns();
        if (ask(&path)) {
            loop_run_until(path.loop, is_done, &path, UINT64_MAX);
        }
        printf("%-28s %6llu ns%s\n", name, (unsigned long long)((now_ns() - start) / wanted),
               path.answered < wanted ? " (incomplete)" : "");
    }
    for (unsigned i = 0; i < COUNT_OF(path.env); i++) {
        sip_stack_free(path.stack[i]);
        if (path.env[i]) {
            env_close(path.env[i]);
        }
    }
    loop_free(path.loop);
}

int main(void) {
    struct bench bench = {.limits = sip_limits_default()};
    chunk_pool_init(&bench.pool, 8192, 16);
    memcpy(bench.bytes, request, sizeof request);
    struct arena arena = arena_init(&bench.pool);
    bench.parsed = parse(&bench, &arena);
    if (bench.parsed) {
        printf("REGISTER of %zu bytes, %u header lines\n", sizeof request - 1,
               bench.parsed->n_headers);
        run(&bench, "parse", bench_parse);
        run(&bench, "Contact, To, Authorization", bench_headers);
        run(&bench, "forward with edits", bench_forward);
        run(&bench, "answer", bench_reply);
        run(&bench, "canonical URI", bench_canonical);
        run_path("transaction, in process", true, false);
        run_path("the same through a proxy", true, true);
        run_path("transaction over UDP", false, false);
    }
    arena_release(&arena);
    chunk_pool_free(&bench.pool);
    return bench.parsed ? 0 : 1;
}
