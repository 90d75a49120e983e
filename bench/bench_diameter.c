/* What Diameter costs: ninja -C build bench/bench_diameter && build/bench/bench_diameter
 * (a release build). First the codec: nanoseconds of one thread per operation, the best of several
 * rounds. Then a server process over TCP on loopback: CPU (user and system) of the server alone,
 * per UAR/UAA, at 64 and at 1 outstanding. */
#include "rt/loop.h"
#include "spec/cx.h"
#include "stack/diameter/diameter_node.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 20, PER_ROUND = 20000 };

static const struct diameter_envelope icscf = {
    .session_id = SPAN_INIT("icscf.ims.mnc001.mcc001.3gppnetwork.org;1795222222;812345678;42"),
    .origin_host = SPAN_INIT("icscf.ims.mnc001.mcc001.3gppnetwork.org"),
    .origin_realm = SPAN_INIT("ims.mnc001.mcc001.3gppnetwork.org"),
    .destination_realm = SPAN_INIT("ims.mnc001.mcc001.3gppnetwork.org"),
};

static const struct diameter_envelope hss = {
    .session_id = SPAN_INIT("icscf.ims.mnc001.mcc001.3gppnetwork.org;1795222222;812345678;42"),
    .origin_host = SPAN_INIT("hss.ims.mnc001.mcc001.3gppnetwork.org"),
    .origin_realm = SPAN_INIT("ims.mnc001.mcc001.3gppnetwork.org"),
};

static const struct cx_uar sample_uar = {
    .user_name = SPAN_INIT("001010000000001@ims.mnc001.mcc001.3gppnetwork.org"),
    .public_identity = SPAN_INIT("sip:alice.mobile@ims.mnc001.mcc001.3gppnetwork.org"),
    .visited_network_identifier = SPAN_INIT("ims.mnc001.mcc001.3gppnetwork.org"),
    .has_user_authorization_type = true,
};

static const struct cx_uaa sample_uaa = {
    .result = {DIAMETER_VENDOR_3GPP, DIAMETER_SUBSEQUENT_REGISTRATION},
    .server_name = SPAN_INIT("sip:scscf.ims.mnc001.mcc001.3gppnetwork.org:6060"),
};

static uint64_t cpu_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void die(const char *what) {
    fprintf(stderr, "bench_diameter: %s\n", what);
    exit(1);
}

/* The codec. */

struct codec {
    struct chunk_pool pool;
    char request[1024], answer[1024];
    size_t n_request, n_answer;
};

static void encode_uar(struct codec *c) {
    struct buf buf = buf_init(c->request, sizeof c->request);
    struct diameter_builder b;
    diameter_begin(&b, &buf, &icscf, DIAMETER_REQUEST | DIAMETER_PROXIABLE, 300, CX_APPLICATION, 1,
                   2);
    cx_uar_encode(&b, &sample_uar);
    if (diameter_end(&b) != OK) {
        die("UAR too long");
    }
    c->n_request = buf.n;
}

static void encode_uaa(struct codec *c) {
    struct buf buf = buf_init(c->answer, sizeof c->answer);
    struct diameter_builder b;
    diameter_begin(&b, &buf, &hss, DIAMETER_PROXIABLE, 300, CX_APPLICATION, 1, 2);
    cx_uaa_encode(&b, &sample_uaa);
    if (diameter_end(&b) != OK) {
        die("UAA too long");
    }
    c->n_answer = buf.n;
}

static void decode_uar(struct codec *c) {
    struct diameter_msg msg;
    struct diameter_fault fault;
    struct cx_uar uar;
    struct arena arena = arena_init(&c->pool);
    if (diameter_msg_parse(span_of(c->request, c->n_request), &msg, &fault) != OK ||
        cx_uar_decode(&arena, &msg, &uar, &fault) != OK) {
        die(fault.text);
    }
    arena_release(&arena);
}

static void decode_uaa(struct codec *c) {
    struct diameter_msg msg;
    struct diameter_fault fault;
    struct cx_uaa uaa;
    struct arena arena = arena_init(&c->pool);
    if (diameter_msg_parse(span_of(c->answer, c->n_answer), &msg, &fault) != OK ||
        cx_uaa_decode(&arena, &msg, &uaa, &fault) != OK) {
        die(fault.text);
    }
    arena_release(&arena);
}

static void all_four(struct codec *c) {
    encode_uar(c);
    decode_uar(c);
    encode_uaa(c);
    decode_uaa(c);
}

static void bench_codec(struct codec *c, const char *what, void (*operation)(struct codec *c),
                        unsigned goal_ns) {
    uint64_t best_ns = UINT64_MAX;
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t start_ns = cpu_ns();
        for (int i = 0; i < PER_ROUND; i++) {
            operation(c);
        }
        uint64_t ns = (cpu_ns() - start_ns) / PER_ROUND;
        best_ns = ns < best_ns ? ns : best_ns;
    }
    printf("%-44s %6llu ns", what, (unsigned long long)best_ns);
    printf(goal_ns ? "   goal %u\n" : "\n", goal_ns);
}

/* The server. */

static const struct diameter_application application = {CX_APPLICATION, DIAMETER_VENDOR_3GPP};

struct side {
    struct loop *loop;
    struct env *env;
    struct diameter *d;
    unsigned left, outstanding_max, failed;
};

static void serve(void *ctx, struct diameter_request *rq, const struct diameter_msg *msg) {
    struct side *s = ctx;
    struct cx_uar uar;
    struct diameter_fault fault;
    if (cx_uar_decode(diameter_request_arena(rq), msg, &uar, &fault) != OK) {
        diameter_answer_fault(rq, &fault);
        return;
    }
    cx_uaa_encode(diameter_answer_begin(rq), &sample_uaa);
    diameter_answer_send(rq);
    s->left--;
}

static void nobody_asks(void *ctx, struct diameter_request *rq, const struct diameter_msg *msg) {
    (void)ctx;
    (void)msg;
    diameter_request_free(rq);
}

static bool is_finished(void *ctx) {
    return ((struct side *)ctx)->left == 0;
}

static void side_start(struct side *s, const char *name,
                       void (*request)(void *, struct diameter_request *,
                                       const struct diameter_msg *),
                       const struct diameter_config *config) {
    const struct diameter_handler handler = {.request = request};
    if (loop_new(&s->loop) != OK || loop_env_new(s->loop, name, &s->env) != OK ||
        diameter_new(s->env, config, &handler, s, &s->d) != OK) {
        die("cannot start");
    }
    s->env->log.level = LOG_WARNING;
}

static void side_end(struct side *s) {
    diameter_free(s->d);
    env_close(s->env);
    loop_free(s->loop);
}

/* The child: tells its port through the pipe, serves so many, and is gone. */
static void server_process(unsigned requests, int port_fd) {
    struct side s = {.left = requests};
    const struct addr listen = addr_v4(127, 0, 0, 1, 0);
    const struct diameter_peer_config peer = {.host = icscf.origin_host};
    const struct diameter_config config = {.host = hss.origin_host,
                                           .realm = hss.origin_realm,
                                           .listen = &listen,
                                           .applications = &application,
                                           .n_applications = 1,
                                           .peers = &peer,
                                           .n_peers = 1};
    side_start(&s, "hss", serve, &config);
    uint16_t port = diameter_address(s.d).port;
    if (write(port_fd, &port, sizeof port) != (ssize_t)sizeof port) {
        die("pipe");
    }
    loop_run_until(s.loop, is_finished, &s, loop_now_us(s.loop) + 120 * SEC_IN_US);
    side_end(&s);
}

static void ask(struct side *s);

static void answered(void *ctx, const struct diameter_msg *msg) {
    (void)msg;
    ask(ctx);
}

static void failed(void *ctx, enum error why) {
    struct side *s = ctx;
    (void)why;
    s->failed++;
    s->left = 0;
}

static void ask(struct side *s) {
    static const struct diameter_answer_handler handler = {answered, failed};
    const struct diameter_route route = {.application = CX_APPLICATION,
                                         .command = CX_COMMAND_USER_AUTHORIZATION,
                                         .realm = icscf.destination_realm};
    if (s->left == 0) {
        return;
    }
    s->left--;
    cx_uar_encode(diameter_request_begin(s->d, &route), &sample_uar);
    if (diameter_request_send(s->d, &handler, s, NULL) != OK) {
        die("cannot send");
    }
}

static bool is_connected(void *ctx) {
    return diameter_is_routable(((struct side *)ctx)->d, CX_APPLICATION, icscf.destination_realm);
}

static void bench_server(unsigned outstanding, unsigned requests, double goal_us) {
    int pipe_fd[2];
    uint16_t port = 0;
    if (pipe(pipe_fd) != 0) {
        die("pipe");
    }
    pid_t child = fork();
    if (child == 0) {
        server_process(requests, pipe_fd[1]);
        _exit(0);
    }
    if (child < 0 || read(pipe_fd[0], &port, sizeof port) != (ssize_t)sizeof port) {
        die("no server");
    }
    struct side s = {.left = requests};
    const struct diameter_peer_config peer = {
        .host = hss.origin_host, .address = addr_v4(127, 0, 0, 1, port), .connect = true};
    const struct diameter_config config = {.host = icscf.origin_host,
                                           .realm = icscf.origin_realm,
                                           .applications = &application,
                                           .n_applications = 1,
                                           .peers = &peer,
                                           .n_peers = 1};
    side_start(&s, "icscf", nobody_asks, &config);
    if (!loop_run_until(s.loop, is_connected, &s, loop_now_us(s.loop) + 5 * SEC_IN_US)) {
        die("no connection");
    }
    uint64_t start_us = loop_now_us(s.loop);
    for (unsigned i = 0; i < outstanding; i++) {
        ask(&s);
    }
    loop_run_until(s.loop, is_finished, &s, start_us + 120 * SEC_IN_US);
    struct rusage usage;
    wait4(child, NULL, 0, &usage);
    double seconds = (double)(loop_now_us(s.loop) - start_us) / 1e6;
    double cpu_us = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
                    (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
    printf(
        "server, %2u outstanding: CPU per UAR/UAA      %6.2f us   goal %.0f   (%.0f a second%s)\n",
        outstanding, cpu_us / requests, goal_us, requests / seconds, s.failed ? ", FAILED" : "");
    fflush(stdout);
    side_end(&s);
    close(pipe_fd[0]);
    close(pipe_fd[1]);
}

int main(void) {
    static struct codec codec;
    chunk_pool_init(&codec.pool, 8192, 16);
    encode_uar(&codec);
    encode_uaa(&codec);
    bench_codec(&codec, "encode UAR", encode_uar, 0);
    bench_codec(&codec, "parse and decode UAR", decode_uar, 0);
    bench_codec(&codec, "encode UAA", encode_uaa, 0);
    bench_codec(&codec, "parse and decode UAA", decode_uaa, 0);
    bench_codec(&codec, "all four", all_four, 1000);
    fflush(stdout);
    bench_server(64, 500000, 6);
    bench_server(1, 50000, 20);
    chunk_pool_free(&codec.pool);
    return 0;
}
