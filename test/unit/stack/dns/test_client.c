/* The client over sockets, against a server that this test plays. covers: A5 HF11 */
#include "../../codec/dns/messages.h"
#include "rt/loop.h"
#include "stack/dns/client.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* How the server answers. */
enum mood { WELL, SILENT, NXDOMAIN, SERVFAIL, OTHER_QUESTION, GARBAGE };

struct world {
    struct loop *loop;
    struct env *env, *server_env;
    struct dgram *server;
    struct dns_client *client;
    enum mood mood;
    int asked;
    struct dns_exchange x;
    enum error error;
    size_t n;
    struct dns_record first;
    bool has_negative_ttl;
    uint32_t negative_ttl_s;
    bool done;
};

static void serve(void *ctx, struct dgram *d, const struct addr *from, char *bytes, size_t n) {
    struct world *w = ctx;
    struct message m;
    unsigned id = (unsigned)(uint8_t)bytes[0] << 8 | (uint8_t)bytes[1];
    (void)n;
    w->asked++;
    if (w->mood == SILENT) {
        return;
    }
    switch (w->mood) {
    case NXDOMAIN:
        put_head(&m, id, ANSWER | DNS_NXDOMAIN, 0, 1, "_sip._udp.home.net", 33);
        put_soa(&m, "home.net", 900, 60);
        break;
    case SERVFAIL:
        put_head(&m, id, ANSWER | DNS_SERVFAIL, 0, 0, "_sip._udp.home.net", 33);
        break;
    case OTHER_QUESTION:
        put_head(&m, id, ANSWER, 1, 0, "_sip._udp.away.net", 33);
        put_srv(&m, "_sip._udp.home.net", 1, 2, 66, "evil.example");
        break;
    case GARBAGE:
        put_head(&m, id, ANSWER, 1, 0, "_sip._udp.home.net", 33);
        put_u16(&m, 0xffff);
        break;
    default:
        put_head(&m, id, ANSWER, 2, 0, "_sip._udp.home.net", 33);
        put_srv(&m, "_sip._udp.home.net", 1, 2, 4060, "icscf.home.net");
        put_srv(&m, "_sip._udp.away.net", 1, 2, 66, "evil.example");
    }
    assert_int_equal(dgram_send(d, from, buf_span(&m.b)), OK);
}

static void on_answer(struct dns_exchange *x, const struct dns_answer *answer) {
    struct world *w = CONTAINER_OF(x, struct world, x);
    w->done = true;
    w->error = answer->error;
    w->n = answer->n;
    w->has_negative_ttl = answer->has_negative_ttl;
    w->negative_ttl_s = answer->negative_ttl_s;
    if (answer->n) {
        w->first = answer->records[0];
    }
}

static int set_up(void **state) {
    static struct world w;
    struct addr local = addr_v4(127, 0, 0, 1, 0);
    w = (struct world){0};
    assert_int_equal(loop_new(&w.loop), OK);
    assert_int_equal(loop_env_new(w.loop, "dns", &w.env), OK);
    assert_int_equal(loop_env_new(w.loop, "server", &w.server_env), OK);
    assert_int_equal(env_dgram_open(w.server_env, &local, DGRAM_SOCKET_ONLY, serve, &w, &w.server),
                     OK);
    const struct dns_client_config config = {
        .servers = dgram_local(w.server), .n_servers = 1, .timeout_ms = 50, .attempts = 2};
    assert_int_equal(dns_client_new(w.loop, w.env, &config, &w.client), OK);
    *state = &w;
    return 0;
}

static int tear_down(void **state) {
    struct world *w = *state;
    dns_cancel(&w->x);
    dns_client_free(w->client);
    dgram_close(w->server);
    env_close(w->server_env);
    env_close(w->env);
    loop_free(w->loop);
    return 0;
}

static bool is_done(void *ctx) {
    return ((struct world *)ctx)->done;
}

static void begin(struct world *w, uint64_t within_us) {
    w->done = false;
    dns_ask(dns_client_source(w->client), w->env, SPAN("_sip._udp.home.net"), DNS_SRV,
            env_now_us(w->env) + within_us, &w->x, on_answer);
    assert_false(w->done);
}

static void find(struct world *w, enum mood mood) {
    w->mood = mood;
    begin(w, 10 * SEC_IN_US);
    assert_true(loop_run_until(w->loop, is_done, w, loop_now_us(w->loop) + 20 * SEC_IN_US));
}

static void records_come_from_the_server(void **state) {
    struct world *w = *state;
    find(w, WELL);
    assert_int_equal(w->error, OK);
    assert_int_equal(w->n, 1);
    assert_int_equal(w->first.srv.port, 4060);
    assert_int_equal(w->first.ttl_s, 60);
    assert_int_equal(dns_client_counters(w->client)->answered, 1);
}

static void missing_names_come_with_their_time(void **state) {
    struct world *w = *state;
    find(w, NXDOMAIN);
    assert_int_equal(w->error, ERR_NOT_FOUND);
    assert_true(w->has_negative_ttl);
    assert_int_equal(w->negative_ttl_s, 60);
}

static void a_silent_server_is_asked_again_and_given_up(void **state) {
    struct world *w = *state;
    find(w, SILENT);
    assert_int_equal(w->error, ERR_TIMEOUT);
    assert_int_equal(w->asked, 2);
    assert_int_equal(dns_client_counters(w->client)->failed, 1);
}

static void the_deadline_comes_before_the_attempts_are_over(void **state) {
    struct world *w = *state;
    w->mood = SILENT;
    begin(w, 10 * MS_IN_US);
    assert_true(loop_run_until(w->loop, is_done, w, loop_now_us(w->loop) + 20 * SEC_IN_US));
    assert_int_equal(w->error, ERR_TIMEOUT);
    assert_int_equal(w->asked, 1);
}

static void refusals_are_told(void **state) {
    find(*state, SERVFAIL);
    assert_int_equal(((struct world *)*state)->error, ERR_REFUSED);
}

static void answers_to_other_questions_are_not_taken(void **state) {
    struct world *w = *state;
    find(w, OTHER_QUESTION);
    assert_int_not_equal(w->error, OK);
    assert_int_equal(w->n, 0);
}

static void garbage_is_malformed(void **state) {
    find(*state, GARBAGE);
    assert_int_equal(((struct world *)*state)->error, ERR_MALFORMED);
}

static void a_closed_port_is_told_at_once(void **state) {
    struct world *w = *state;
    dgram_close(w->server);
    w->server = NULL;
    (void)loop_run_until(w->loop, is_done, w, loop_now_us(w->loop) + MS_IN_US);
    find(w, WELL);
    assert_true(w->error == ERR_UNREACHABLE || w->error == ERR_TIMEOUT);
}

static void questions_may_be_given_up(void **state) {
    struct world *w = *state;
    w->mood = SILENT;
    begin(w, SEC_IN_US);
    dns_cancel(&w->x);
    find(w, WELL); /* the same exchange, again, while the first still runs inside */
    assert_int_equal(w->n, 1);
    w->mood = SILENT;
    begin(w, SEC_IN_US); /* tear_down cancels it, and frees the client */
}

static void settings_are_checked(void **state) {
    struct world *w = *state;
    struct dns_client *c = NULL;
    const struct dns_client_config none = {.n_servers = 0};
    assert_int_equal(dns_client_new(w->loop, w->env, &none, &c), ERR_INVALID);
    assert_null(c);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(records_come_from_the_server),
        TEST(missing_names_come_with_their_time),
        TEST(a_silent_server_is_asked_again_and_given_up),
        TEST(the_deadline_comes_before_the_attempts_are_over),
        TEST(refusals_are_told),
        TEST(answers_to_other_questions_are_not_taken),
        TEST(garbage_is_malformed),
        TEST(a_closed_port_is_told_at_once),
        TEST(questions_may_be_given_up),
        TEST(settings_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
