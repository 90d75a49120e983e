/* The HTTP server over real sockets: what it hands to a handler, and what it does not. The client
 * runs in a thread of its own and speaks plain bytes where it has to be rude.
 * covers: HA7 HB7 HB8 */
#include "stack/http/client.h"
#include "stack/http/server.h"

#include "rt/loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BODY_MAX = 10000, DEADLINE_S = 20 };

struct fixture {
    struct loop *loop;
    struct env *env;
    struct web_server *server;
    uint16_t port;
    size_t handled;
    struct timer later;
    web_answer_fn *answer;
    void *answer_ctx;
    void (*scenario)(struct fixture *f);
    const char *failure; /* of the client's thread */
};

static void answer_text(web_answer_fn *answer, void *ctx, const char *text) {
    const struct web_header header = {SPAN("Muster-Test"), SPAN("yes")};
    struct web_answer a = {.status = 200,
                           .content_type = SPAN("text/plain"),
                           .body = span_from_cstr(text),
                           .headers = &header,
                           .n_headers = 1};
    answer(ctx, &a);
}

/* Says what came: "METHOD path?query type body-length". */
static void echo(void *ctx, const struct web_request *r, web_answer_fn *answer, void *answer_ctx) {
    struct fixture *f = ctx;
    char text[512];
    f->handled++;
    snprintf(text, sizeof text, "%.*s %.*s?%.*s %.*s %zu %d", SPAN_ARG(r->method),
             SPAN_ARG(r->path), SPAN_ARG(r->query), SPAN_ARG(r->content_type), r->body.n,
             addr_is_loopback(&r->remote));
    answer_text(answer, answer_ctx, text);
}

static void later_fire(struct timer *t) {
    struct fixture *f = CONTAINER_OF(t, struct fixture, later);
    answer_text(f->answer, f->answer_ctx, "later");
}

static void later(void *ctx, const struct web_request *r, web_answer_fn *answer, void *answer_ctx) {
    struct fixture *f = ctx;
    (void)r;
    f->answer = answer;
    f->answer_ctx = answer_ctx;
    timer_start(f->env, &f->later, 20 * MS_IN_US);
}

static void never(void *ctx, const struct web_request *r, web_answer_fn *answer, void *answer_ctx) {
    struct fixture *f = ctx;
    (void)r;
    (void)answer;
    (void)answer_ctx;
    loop_stop(f->loop);
}

/* An answer as large as answers are, to somebody who reads nothing of it. */
static void large(void *ctx, const struct web_request *r, web_answer_fn *answer, void *answer_ctx) {
    static char text[16 << 20];
    (void)ctx;
    (void)r;
    memset(text, 'x', sizeof text - 1);
    answer_text(answer, answer_ctx, text);
}

static void start(struct fixture *f) {
    struct web_server_config config = {
        .local = addr_v4(127, 0, 0, 1, 0), .max_body = BODY_MAX, .idle_s = 1, .max_connections = 4};
    const struct web_route routes[] = {{"/echo", echo, f, NULL},
                                       {"/echo/later", later, f, NULL},
                                       {"/never", never, f, NULL},
                                       {"/large", large, f, NULL}};
    *f = (struct fixture){0};
    assert_int_equal(loop_new(&f->loop), OK);
    assert_int_equal(loop_env_new(f->loop, "test", &f->env), OK);
    assert_int_equal(web_server_new(f->loop, &config, routes, COUNT_OF(routes), &f->server), OK);
    f->port = web_server_local(f->server).port;
    timer_init(&f->later, later_fire);
}

static void finish(struct fixture *f) {
    timer_stop(&f->later);
    web_server_free(f->server);
    env_close(f->env);
    loop_free(f->loop);
}

static void *run_scenario(void *ctx) {
    struct fixture *f = ctx;
    f->scenario(f);
    loop_stop_from_thread(f->loop);
    return NULL;
}

static void play(void (*scenario)(struct fixture *f)) {
    struct fixture f;
    pthread_t thread;
    start(&f);
    f.scenario = scenario;
    assert_int_equal(pthread_create(&thread, NULL, run_scenario, &f), 0);
    loop_run(f.loop);
    pthread_join(thread, NULL);
    finish(&f);
    if (f.failure) {
        fail_msg("%s", f.failure);
    }
}

/* Notes the first failure; assertions belong to the main thread. */
static void check(struct fixture *f, bool good, const char *what) {
    if (!good && !f->failure) {
        f->failure = what;
    }
}

static unsigned call(const struct fixture *f, const char *method, const char *path,
                     struct span body, struct web_reply *reply) {
    char url[128];
    snprintf(url, sizeof url, "http://127.0.0.1:%u%s", f->port, path);
    struct web_call c = {.method = method,
                         .url = url,
                         .content_type = body.n ? SPAN("text/x") : SPAN_NONE,
                         .body = body,
                         .timeout_s = DEADLINE_S};
    return web_client_call(&c, reply) == OK ? reply->status : 0;
}

static unsigned status_of(const struct fixture *f, const char *method, const char *path,
                          struct span body) {
    struct web_reply reply;
    unsigned status = call(f, method, path, body, &reply);
    web_reply_free(&reply);
    return status;
}

static int dial(const struct fixture *f) {
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(f->port)};
    struct timeval patience = {.tv_sec = DEADLINE_S};
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (connect(fd, (struct sockaddr *)&in, sizeof in) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* Sends bytes and reads until the server closes or the deadline passes; -1 then, else the status of
 * the first line, 0 without one. */
static int shout(const struct fixture *f, const char *bytes) {
    char got[4096];
    size_t n = 0;
    ssize_t k;
    int fd = dial(f), status = 0;
    if (fd < 0 || send(fd, bytes, strlen(bytes), MSG_NOSIGNAL) < 0) {
        close(fd);
        return -1;
    }
    while (n < sizeof got - 1 && (k = recv(fd, got + n, sizeof got - 1 - n, 0)) > 0) {
        n += (size_t)k;
    }
    got[n] = '\0';
    close(fd);
    return n && sscanf(got, "HTTP/1.1 %d", &status) == 1 ? status : k < 0 ? -1 : 0;
}

static void whole_exchange(struct fixture *f) {
    struct web_reply r;
    check(f, call(f, "POST", "/echo/a%2Fb?x=1&y", SPAN("hello"), &r) == 200, "status");
    check(f, r.body && strcmp(r.body, "POST /echo/a%2Fb?x=1&y text/x 5 1") == 0, "echo");
    web_reply_free(&r);
    check(f, call(f, "GET", "/echo", SPAN_NONE, &r) == 200, "status of GET");
    check(f, r.body && strcmp(r.body, "GET /echo?  0 1") == 0, "echo of GET");
    web_reply_free(&r);
    check(f, status_of(f, "FROBNICATE", "/echo", SPAN_NONE) == 501, "a method that nobody knows");
    check(f, status_of(f, "GET", "/echox", SPAN_NONE) == 404, "a prefix ends at a segment");
    check(f, status_of(f, "GET", "/", SPAN_NONE) == 404, "no route");
}

static void requests_reach_their_handler(void **state) {
    (void)state;
    play(whole_exchange);
}

static void answered_later(struct fixture *f) {
    struct web_reply r;
    check(f, call(f, "GET", "/echo/later", SPAN_NONE, &r) == 200, "status");
    check(f, r.body && strcmp(r.body, "later") == 0, "body");
    web_reply_free(&r);
}

static void answers_may_come_later(void **state) {
    (void)state;
    play(answered_later);
}

static void bodies(struct fixture *f) {
    char *big = calloc(1, BODY_MAX + 1);
    char *chunked = malloc(2 * BODY_MAX);
    memset(big, 'x', BODY_MAX + 1);
    check(f, status_of(f, "POST", "/echo", span_of(big, BODY_MAX)) == 200, "at the limit");
    check(f, status_of(f, "POST", "/echo", span_of(big, BODY_MAX + 1)) == 413, "above the limit");
    int n = snprintf(chunked, 2 * BODY_MAX,
                     "POST /echo HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                     "Transfer-Encoding: chunked\r\n\r\n%x\r\n%.*s\r\n0\r\n\r\n",
                     BODY_MAX + 1, BODY_MAX + 1, big);
    check(f, n > BODY_MAX && shout(f, chunked) == 413, "above the limit in chunks");
    check(f, f->handled == 1, "only one reached the handler");
    free(big);
    free(chunked);
}

static void bodies_have_a_limit(void **state) {
    (void)state;
    play(bodies);
}

static void contradictions(struct fixture *f) {
    static const struct {
        const char *headers;
        int status;
    } cases[] = {
        {"Host: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n", 400},
        {"Host: localhost\r\nContent-Length: 1\r\nContent-Length: 1\r\n", 400},
        {"Host: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n", 400},
        {"Host: localhost\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n", 400},
        {"Host: localhost\r\nContent-Length: -1\r\n", 400},
        {"Host: localhost\r\nIf-Match: \"1\"\r\nIf-Match: \"2\"\r\n", 400},
        {"Host: localhost\r\nAuthorization: Bearer a\r\nauthorization: Bearer b\r\n", 400},
        {"Host: evil.example\r\n", 403},
        {"Host: 192.0.2.1:8080\r\n", 403},
        {"Host: localhost.evil.example\r\n", 403},
        {"Host: localhost\r\nHost: localhost\r\n", 400},
        {"Host: localhost\r\nOrigin: http://evil.example\r\n", 403},
        {"Host: localhost:80\r\nOrigin: http://localhost:81\r\n", 403},
        {"Host: localhost:80\r\nOrigin: http://localhost:80\r\n", 200},
        {"Host: [::1]:80\r\n", 200},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char bytes[512];
        snprintf(bytes, sizeof bytes, "GET /echo HTTP/1.1\r\nConnection: close\r\n%s\r\n",
                 cases[i].headers);
        check(f, shout(f, bytes) == cases[i].status, cases[i].headers);
    }
    check(f, f->handled == 2, "only the good ones reached the handler");
}

static void contradictions_and_strangers_are_refused(void **state) {
    (void)state;
    play(contradictions);
}

/* Reads until the server closes; the number of answers. */
static int count_answers(const struct fixture *f, const char *bytes, int *first) {
    char got[8192];
    size_t n = 0;
    ssize_t k;
    int fd = dial(f), answers = 0;
    *first = 0;
    if (fd < 0 || send(fd, bytes, strlen(bytes), MSG_NOSIGNAL) < 0) {
        close(fd);
        return -1;
    }
    while (n < sizeof got - 1 && (k = recv(fd, got + n, sizeof got - 1 - n, 0)) > 0) {
        n += (size_t)k;
    }
    got[n] = '\0';
    close(fd);
    for (const char *at = got; (at = strstr(at, "HTTP/1.1 ")) != NULL; at++) {
        answers++;
        *first = *first ? *first : (int)strtol(at + 9, NULL, 10);
    }
    return answers;
}

#define SMUGGLED "GET /echo/smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"

static void smuggling(struct fixture *f) {
    static const char *const heads[] = {
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
        "Content-Length: 0\r\nContent-Length: 5\r\n\r\n",
        "Transfer-Encoding: pigeons\r\n\r\n",
        "TE: pigeons\r\n\r\n",
        "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
        "Content-Length : 0\r\n\r\n",
        "X: y\nContent-Length: 0\r\n\r\n",
        "X: y\n\n",
        "Transfer-Encoding: chunked\r\n\r\n0\n\n",
        "Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n",
    };
    for (size_t i = 0; i < COUNT_OF(heads); i++) {
        char bytes[512];
        int first;
        snprintf(bytes, sizeof bytes, "POST /echo HTTP/1.1\r\nHost: localhost\r\n%s" SMUGGLED,
                 heads[i]);
        check(f, count_answers(f, bytes, &first) == 1 && first == 400, heads[i]);
    }
    check(f, f->handled == 0, "none of them reached the handler");
}

static void smuggled_requests_are_not_seen(void **state) {
    (void)state;
    play(smuggling);
}

static void pipeline(struct fixture *f) {
    int first;
    check(f,
          count_answers(f,
                        SMUGGLED "\r\nPOST /echo HTTP/1.1\r\nHost: localhost\r\n"
                                 "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"
                                 "HEAD /echo HTTP/1.0\r\nHost: localhost\r\n\r\n",
                        &first) == 3 &&
              first == 200,
          "one answer each, in order");
    check(f, f->handled == 3, "all reached the handler");
}

static void requests_may_follow_each_other(void **state) {
    (void)state;
    play(pipeline);
}

static void slow_body(struct fixture *f) {
    static const char head[] = "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000\r\n"
                               "\r\n";
    int fd = dial(f), status = 0;
    char got[512] = "";
    check(f, fd >= 0 && send(fd, head, sizeof head - 1, 0) > 0, "begins");
    for (int i = 0; i < 60 && recv(fd, got, sizeof got - 1, MSG_DONTWAIT) < 0; i++) {
        check(f, send(fd, "x", 1, MSG_NOSIGNAL) == 1, "a byte now and then");
        check(f, status_of(f, "GET", "/echo/later", SPAN_NONE) == 200, "others are served");
    }
    check(f, sscanf(got, "HTTP/1.1 %d", &status) == 1 && status == 408, "too slow");
    close(fd);
}

static void slow_bodies_are_refused(void **state) {
    (void)state;
    play(slow_body);
}

static void slow(struct fixture *f) {
    int fd = dial(f);
    check(f, fd >= 0 && send(fd, "POST /ec", 8, 0) == 8, "begins");
    check(f, status_of(f, "GET", "/echo", SPAN_NONE) == 200, "others are served meanwhile");
    char c;
    check(f, recv(fd, &c, 1, 0) == 0, "the slow one is closed");
    close(fd);
    check(f, f->handled == 1, "it was not handled");
}

static void slow_clients_are_closed(void **state) {
    (void)state;
    play(slow);
}

static void unread(struct fixture *f) {
    static const char request[] = "GET /large HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
    int fd = dial(f);
    check(f, fd >= 0 && send(fd, request, sizeof request - 1, 0) > 0, "asks");
    for (int i = 0; i < 150; i++) { /* each takes 20 ms: longer than a quiet connection may stand */
        check(f, status_of(f, "GET", "/echo/later", SPAN_NONE) == 200, "others are served");
    }
    size_t n = 0;
    char bytes[65536];
    for (ssize_t k = 1; k > 0 && n<(32U << 20); n += k> 0 ? (size_t)k : 0) {
        k = recv(fd, bytes, sizeof bytes, 0);
    }
    check(f, n > 10000 && n < (16U << 20), "the rest was dropped");
    close(fd);
}

static void slow_readers_are_closed(void **state) {
    (void)state;
    play(unread);
}

static void crowd(struct fixture *f) {
    int fds[12];
    for (size_t i = 0; i < COUNT_OF(fds); i++) {
        fds[i] = dial(f);
    }
    char c;
    for (size_t i = 0; i < COUNT_OF(fds); i++) {
        check(f, recv(fds[i], &c, 1, 0) <= 0, "idle connections are closed");
        close(fds[i]);
    }
    check(f, status_of(f, "GET", "/echo", SPAN_NONE) == 200, "served afterwards");
}

static void crowds_pass(void **state) {
    (void)state;
    play(crowd);
}

static void crowd_of_slow_ones(struct fixture *f) {
    int fds[100];
    for (size_t i = 0; i < COUNT_OF(fds); i++) {
        fds[i] = dial(f);
        check(f, fds[i] >= 0 && send(fds[i], "GET /", 5, MSG_NOSIGNAL) == 5, "begins");
        if (i % 10 == 0) {
            check(f, status_of(f, "GET", "/echo", SPAN_NONE) == 200, "others come in at any time");
        }
    }
    for (size_t i = 0; i < COUNT_OF(fds); i++) {
        char c;
        check(f, recv(fds[i], &c, 1, 0) <= 0, "slow ones are closed");
        close(fds[i]);
    }
    check(f, web_server_counters(f->server)->crowded >= 90, "they were counted");
}

static void a_crowd_of_slow_clients_keeps_nobody_out(void **state) {
    (void)state;
    play(crowd_of_slow_ones);
}

static enum web_right admin(const struct web_request *request) {
    (void)request;
    return WEB_ADMIN;
}

/* With tokens: what each of them may. */
static unsigned with_token(const struct fixture *f, const char *method, const char *path,
                           const char *token) {
    char url[128];
    struct web_reply reply;
    snprintf(url, sizeof url, "http://127.0.0.1:%u%s", f->port, path);
    struct web_call c = {.method = method, .url = url, .token = token, .timeout_s = DEADLINE_S};
    unsigned status = web_client_call(&c, &reply) == OK ? reply.status : 0;
    web_reply_free(&reply);
    return status;
}

static void with_tokens(struct fixture *f) {
    check(f, with_token(f, "GET", "/echo", NULL) == 401, "no token");
    check(f, with_token(f, "GET", "/nothing", NULL) == 401, "no token, no such route");
    check(f, with_token(f, "GET", "/echo", "wrong") == 401, "wrong token");
    check(f, with_token(f, "GET", "/echo", "r") == 200, "read");
    check(f, with_token(f, "PUT", "/echo", "r") == 403, "read is not write");
    check(f, with_token(f, "SEARCH", "/echo", "r") == 403, "what is no GET is not reading");
    check(f, with_token(f, "PUT", "/echo", "w") == 200, "write");
    check(f, with_token(f, "GET", "/never", "w") == 403, "write is not admin");
    check(f, f->handled == 2, "only what is permitted reached the handler");
}

static void tokens_decide_who_may_what(void **state) {
    struct fixture f;
    struct web_token tokens[2] = {{.name = "reader", .right = WEB_READ},
                                  {.name = "writer", .right = WEB_WRITE}};
    const struct web_route routes[] = {{"/echo", echo, &f, NULL}, {"/never", never, &f, admin}};
    pthread_t thread;
    (void)state;
    assert_int_equal(web_token_hash(SPAN("r"), tokens[0].hash), OK);
    assert_int_equal(web_token_hash(SPAN("w"), tokens[1].hash), OK);
    start(&f);
    web_server_free(f.server);
    struct web_server_config config = {
        .local = addr_v4(127, 0, 0, 1, 0), .tokens = tokens, .n_tokens = COUNT_OF(tokens)};
    assert_int_equal(web_server_new(f.loop, &config, routes, COUNT_OF(routes), &f.server), OK);
    f.port = web_server_local(f.server).port;
    f.scenario = with_tokens;
    assert_int_equal(pthread_create(&thread, NULL, run_scenario, &f), 0);
    loop_run(f.loop);
    pthread_join(thread, NULL);
    assert_int_equal(web_server_set_tokens(f.server, tokens, 0), OK); /* loopback */
    finish(&f);
    assert_null(f.failure);
}

static void never_answered(struct fixture *f) {
    struct web_reply r;
    check(f, call(f, "GET", "/never", SPAN_NONE, &r) == 0, "the connection is closed");
}

static void unanswered_requests_end_with_the_server(void **state) {
    struct fixture f;
    pthread_t thread;
    (void)state;
    start(&f);
    f.scenario = never_answered;
    assert_int_equal(pthread_create(&thread, NULL, run_scenario, &f), 0);
    loop_run(f.loop); /* the handler ends it */
    web_server_free(f.server);
    f.server = NULL;
    pthread_join(thread, NULL);
    finish(&f);
    assert_null(f.failure);
}

static void only_loopback_and_only_once(void **state) {
    struct fixture f;
    struct web_server *other;
    struct web_server_config config = {.local = addr_v4(0, 0, 0, 0, 0)};
    (void)state;
    start(&f);
    assert_int_equal(web_server_new(f.loop, &config, NULL, 0, &other), ERR_PERMISSION);
    assert_null(other);
    config.local = (struct addr){0};
    config.local_tls = addr_v4(0, 0, 0, 0, 0);
    config.local_tls.port = 1;
    assert_int_equal(web_server_new(f.loop, &config, NULL, 0, &other), ERR_PERMISSION);
    config.local_tls = (struct addr){0};
    config.local = web_server_local(f.server);
    assert_int_equal(web_server_new(f.loop, &config, NULL, 0, &other), ERR_ADDRESS_IN_USE);
    assert_null(other);
    finish(&f);
}

static void client_tells_why_not(void **state) {
    struct web_reply r;
    struct web_call c = {.method = "GET", .url = "http://127.0.0.1:1/", .timeout_s = 2};
    (void)state;
    assert_int_equal(web_client_call(&c, &r), ERR_UNREACHABLE);
    c.url = "file:///etc/passwd";
    assert_int_equal(web_client_call(&c, &r), ERR_INVALID);
    assert_null(r.body);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_reach_their_handler),
        cmocka_unit_test(answers_may_come_later),
        cmocka_unit_test(bodies_have_a_limit),
        cmocka_unit_test(contradictions_and_strangers_are_refused),
        cmocka_unit_test(smuggled_requests_are_not_seen),
        cmocka_unit_test(requests_may_follow_each_other),
        cmocka_unit_test(slow_bodies_are_refused),
        cmocka_unit_test(a_crowd_of_slow_clients_keeps_nobody_out),
        cmocka_unit_test(tokens_decide_who_may_what),
        cmocka_unit_test(slow_clients_are_closed),
        cmocka_unit_test(slow_readers_are_closed),
        cmocka_unit_test(crowds_pass),
        cmocka_unit_test(unanswered_requests_end_with_the_server),
        cmocka_unit_test(only_loopback_and_only_once),
        cmocka_unit_test(client_tells_why_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
