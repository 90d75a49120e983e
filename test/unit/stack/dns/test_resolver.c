/* covers: A5 HF11 */
#include "stack/dns/resolver.h"

#include "obs/trace.h"
#include "rt/sim.h"
#include "stack/dns/zone_source.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct world {
    struct sim *sim;
    struct env *env;
    struct dns_zone zone;
    struct dns_zone_source dns;
    struct resolver *resolver;
    struct resolver_query query;
    struct resolver_answer answer;
    enum error error;
    int done;
};

static void on_done(struct resolver_query *query, enum error e,
                    const struct resolver_answer *answer) {
    struct world *w = CONTAINER_OF(query, struct world, query);
    w->error = e;
    w->done++;
    if (answer) {
        w->answer = *answer;
    }
}

static void add_sip(struct world *w, const char *domain, const char *host, struct addr addr,
                    enum sip_transport transport, uint16_t priority, uint16_t weight) {
    struct sip_hop hop = {addr, transport};
    assert_int_equal(dns_zone_add_sip(&w->zone, span_from_cstr(domain), span_from_cstr(host), &hop,
                                      priority, weight),
                     OK);
}

static int set_up(void **state) {
    static struct world w;
    w = (struct world){0};
    assert_int_equal(sim_new(7, &w.sim), OK);
    assert_int_equal(sim_env_new(w.sim, "pcscf", &w.env), OK);
    dns_zone_init(&w.zone);
    dns_zone_source_init(&w.dns, &w.zone);
    add_sip(&w, "home.net", "icscf.home.net", addr_v4(127, 0, 0, 2, 4060), SIP_UDP, 10, 1);
    add_sip(&w, "home.net", "icscf-2.home.net", addr_v4(127, 0, 0, 3, 4061), SIP_UDP, 20, 1);
    struct resolver_config config = {.source = &w.dns.source, .max_cached = 3};
    assert_int_equal(resolver_new(w.env, &config, &w.resolver), OK);
    *state = &w;
    return 0;
}

static int tear_down(void **state) {
    struct world *w = (struct world *)*state;
    resolver_free(w->resolver);
    dns_zone_free(&w->zone);
    env_close(w->env);
    sim_free(w->sim);
    return 0;
}

static enum error find(struct world *w, const char *host, uint16_t port) {
    struct resolver_name name = {.host = span_from_cstr(host), .port = port};
    w->done = 0;
    assert_int_equal(resolver_find(w->resolver, &name, &w->query, on_done), OK);
    assert_int_equal(w->done, 0);
    sim_run_until(w->sim, sim_now_us(w->sim) + 10000);
    assert_int_equal(w->done, 1);
    return w->error;
}

static void a_domain_leads_over_naptr_and_srv_to_addresses_by_priority(void **state) {
    struct world *w = (struct world *)*state;
    assert_int_equal(find(w, "HOME.net", 0), OK);
    assert_int_equal(w->answer.n, 2);
    struct addr first = addr_v4(127, 0, 0, 2, 4060), second = addr_v4(127, 0, 0, 3, 4061);
    assert_true(addr_eq(&w->answer.targets[0].addr, &first));
    assert_true(addr_eq(&w->answer.targets[1].addr, &second));
}

static void a_known_name_costs_no_question(void **state) {
    struct world *w = (struct world *)*state;
    struct resolver_name name = {.host = SPAN("home.net")};
    struct resolver_answer answer;
    assert_int_equal(resolver_cached(w->resolver, &name, &answer), ERR_INCOMPLETE);
    assert_int_equal(find(w, "home.net", 0), OK);
    assert_int_equal(resolver_cached(w->resolver, &name, &answer), OK);
    assert_int_equal(answer.n, 2);
    assert_int_equal(resolver_counters(w->resolver)->misses, 1);
    sim_run_until(w->sim, sim_now_us(w->sim) + 3601 * SEC_IN_US); /* the TTL is an hour */
    assert_int_equal(resolver_cached(w->resolver, &name, &answer), ERR_INCOMPLETE);
}

static void a_port_asks_for_addresses_only(void **state) {
    struct world *w = (struct world *)*state;
    assert_int_equal(find(w, "icscf.home.net", 6060), OK);
    struct addr there = addr_v4(127, 0, 0, 2, 6060);
    assert_int_equal(w->answer.n, 1);
    assert_true(addr_eq(&w->answer.targets[0].addr, &there));
    assert_int_equal(find(w, "home.net", 6060), ERR_NOT_FOUND);
}

static void a_host_without_srv_is_itself(void **state) {
    struct world *w = (struct world *)*state;
    assert_int_equal(find(w, "icscf-2.home.net", 0), OK);
    assert_int_equal(w->answer.targets[0].addr.port, 5060);
}

static void numbers_need_no_look_up(void **state) {
    struct world *w = (struct world *)*state;
    struct resolver_answer answer;
    struct resolver_name v4 = {.host = SPAN("192.0.2.9")},
                         v6 = {.host = SPAN("[2001:db8::1]"), .port = 9};
    assert_int_equal(resolver_cached(w->resolver, &v4, &answer), OK);
    assert_int_equal(answer.targets[0].addr.port, 5060);
    assert_int_equal(resolver_cached(w->resolver, &v6, &answer), OK);
    assert_int_equal(answer.targets[0].addr.family, 6);
    assert_int_equal(answer.targets[0].addr.port, 9);
}

static void an_unknown_name_is_remembered_for_a_while(void **state) {
    struct world *w = (struct world *)*state;
    struct resolver_name name = {.host = SPAN("nowhere.net")};
    struct resolver_answer answer;
    assert_int_equal(find(w, "nowhere.net", 0), ERR_NOT_FOUND);
    assert_int_equal(resolver_cached(w->resolver, &name, &answer), ERR_NOT_FOUND);
    sim_run_until(w->sim, sim_now_us(w->sim) + 31 * SEC_IN_US);
    assert_int_equal(resolver_cached(w->resolver, &name, &answer), ERR_INCOMPLETE);
}

static void equal_priorities_share_by_weight(void **state) {
    struct world *w = (struct world *)*state;
    add_sip(w, "two.net", "a.two.net", addr_v4(127, 0, 1, 1, 1), SIP_UDP, 1, 90);
    add_sip(w, "two.net", "b.two.net", addr_v4(127, 0, 1, 2, 2), SIP_UDP, 1, 10);
    int firsts = 0;
    assert_int_equal(find(w, "two.net", 0), OK);
    for (int i = 0; i < 1000; i++) {
        struct resolver_name name = {.host = SPAN("two.net")};
        struct resolver_answer answer;
        assert_int_equal(resolver_cached(w->resolver, &name, &answer), OK);
        assert_int_equal(answer.n, 2);
        assert_false(addr_eq(&answer.targets[0].addr, &answer.targets[1].addr));
        firsts += answer.targets[0].addr.port == 1;
    }
    assert_in_range(firsts, 850, 950);
}

static void the_cache_is_bounded(void **state) {
    struct world *w = (struct world *)*state;
    struct resolver_answer answer;
    char host[32];
    for (int i = 0; i < 10; i++) {
        struct buf b = buf_init(host, sizeof host);
        buf_printf(&b, "n%d.net", i);
        buf_char(&b, 0);
        assert_int_equal(find(w, host, 0), ERR_NOT_FOUND);
    }
    struct resolver_name old = {.host = SPAN("n6.net")}, kept = {.host = SPAN("n7.net")};
    assert_int_equal(resolver_cached(w->resolver, &old, &answer), ERR_INCOMPLETE);
    assert_int_equal(resolver_cached(w->resolver, &kept, &answer), ERR_NOT_FOUND);
}

static void a_cancelled_query_is_silent(void **state) {
    struct world *w = (struct world *)*state;
    struct resolver_name name = {.host = SPAN("home.net")};
    assert_int_equal(resolver_find(w->resolver, &name, &w->query, on_done), OK);
    resolver_cancel(&w->query);
    sim_run_until(w->sim, sim_now_us(w->sim) + 10000);
    assert_int_equal(w->done, 0);
    assert_int_equal(resolver_find(w->resolver, &name, &w->query, on_done), OK);
    /* tear_down frees the resolver with this one under way */
}

struct words {
    char text[4096];
    struct buf b;
};

static void collect(void *ctx, const struct trace_message *m) {
    struct words *words = (struct words *)ctx;
    if (m->protocol == TRACE_DNS) {
        buf_printf(&words->b, "%.*s>%.*s %.*s\n", SPAN_ARG(m->from_name), SPAN_ARG(m->to_name),
                   SPAN_ARG(m->bytes));
    }
}

static void the_trace_shows_questions_and_answers_in_words(void **state) {
    struct world *w = (struct world *)*state;
    assert_int_equal(trace_enable(sim_trace(w->sim), 65536), OK);
    assert_int_equal(find(w, "home.net", 0), OK);
    assert_int_equal(find(w, "home.net", 0), OK); /* from the cache: no words */
    struct words words;
    words.b = buf_init(words.text, sizeof words.text - 1);
    trace_each(sim_trace(w->sim), collect, &words);
    words.text[words.b.n] = 0;
    assert_non_null(strstr(words.text, "pcscf>dns query NAPTR home.net\n"
                                       "dns>pcscf home.net. 3600 IN NAPTR 50 50 \"s\" \"SIP+D2U\" "
                                       "\"\" _sip._udp.home.net."));
    assert_non_null(strstr(words.text, "pcscf>dns query SRV _sip._udp.home.net"));
    assert_non_null(strstr(words.text, "dns>pcscf icscf.home.net. 3600 IN A 127.0.0.2"));
    assert_null(strstr(strstr(words.text, "query NAPTR") + 1, "query NAPTR"));
}

static void print(void *ctx, const struct dns_record *record) {
    dns_record_print((struct buf *)ctx, record);
}

static void the_zone_prints_as_a_master_file(void **state) {
    struct world *w = (struct world *)*state;
    struct addr v6;
    assert_true(addr_parse_host(SPAN("2001:db8::5"), 5060, &v6));
    assert_int_equal(dns_zone_add_host(&w->zone, SPAN("pcscf.home.net"), &v6), OK);
    assert_int_equal(dns_zone_add_host(&w->zone, SPAN("PCSCF.home.net"), &v6), OK);
    char text[2048];
    struct buf b = buf_init(text, sizeof text - 1);
    dns_zone_each(&w->zone, print, &b);
    text[b.n] = 0;
    assert_string_equal(text,
                        "home.net. 3600 IN NAPTR 50 50 \"s\" \"SIP+D2U\" \"\" _sip._udp.home.net.\n"
                        "_sip._udp.home.net. 3600 IN SRV 10 1 4060 icscf.home.net.\n"
                        "icscf.home.net. 3600 IN A 127.0.0.2\n"
                        "_sip._udp.home.net. 3600 IN SRV 20 1 4061 icscf-2.home.net.\n"
                        "icscf-2.home.net. 3600 IN A 127.0.0.3\n"
                        "pcscf.home.net. 3600 IN AAAA 2001:db8::5\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_domain_leads_over_naptr_and_srv_to_addresses_by_priority),
        TEST(a_known_name_costs_no_question),
        TEST(a_port_asks_for_addresses_only),
        TEST(a_host_without_srv_is_itself),
        TEST(numbers_need_no_look_up),
        TEST(an_unknown_name_is_remembered_for_a_while),
        TEST(equal_priorities_share_by_weight),
        TEST(the_cache_is_bounded),
        TEST(a_cancelled_query_is_silent),
        TEST(the_trace_shows_questions_and_answers_in_words),
        TEST(the_zone_prints_as_a_master_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
