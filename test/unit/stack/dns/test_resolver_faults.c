/* A resolver whose DNS is slow, dead, lying or gone, and the transports of RFC 3263.
 * covers: A5 HF11 */
#include "rt/sim.h"
#include "stack/dns/resolver.h"
#include "stack/dns/zone_source.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { TTL_S = 100, QUERIES = 4 };

struct world;

struct asked {
    struct resolver_query query;
    struct world *world;
    struct resolver_answer answer;
    enum error error;
    uint64_t at_us;
    bool done;
};

struct world {
    struct sim *sim;
    struct env *env;
    struct dns_zone zone;
    struct dns_zone_source dns;
    struct resolver *resolver;
    struct asked asked[QUERIES];
};

static void on_done(struct resolver_query *query, enum error e,
                    const struct resolver_answer *answer) {
    struct asked *a = CONTAINER_OF(query, struct asked, query);
    a->error = e;
    a->done = true;
    a->at_us = sim_now_us(a->world->sim);
    if (answer) {
        a->answer = *answer;
    }
}

static void add_sip(struct world *w, const char *domain, const char *host, struct addr addr,
                    enum sip_transport transport, uint16_t priority) {
    struct sip_hop hop = {addr, transport};
    assert_int_equal(
        dns_zone_add_sip(&w->zone, span_from_cstr(domain), span_from_cstr(host), &hop, priority, 1),
        OK);
}

static void use(struct world *w, struct resolver_config config) {
    resolver_free(w->resolver);
    config.source = &w->dns.source;
    assert_int_equal(resolver_new(w->env, &config, &w->resolver), OK);
}

static int set_up(void **state) {
    static struct world w;
    w = (struct world){0};
    assert_int_equal(sim_new(7, &w.sim), OK);
    assert_int_equal(sim_env_new(w.sim, "pcscf", &w.env), OK);
    w.env->log.level = LOG_ERROR;
    dns_zone_init(&w.zone);
    w.zone.ttl_s = TTL_S;
    dns_zone_source_init(&w.dns, &w.zone);
    add_sip(&w, "home.net", "icscf.home.net", addr_v4(127, 0, 0, 2, 4060), SIP_UDP, 10);
    add_sip(&w, "home.net", "icscf-2.home.net", addr_v4(127, 0, 0, 3, 4060), SIP_UDP, 20);
    use(&w, (struct resolver_config){.stale_s = 3600});
    *state = &w;
    return 0;
}

static int tear_down(void **state) {
    struct world *w = *state;
    resolver_free(w->resolver);
    dns_zone_free(&w->zone);
    env_close(w->env);
    sim_free(w->sim);
    return 0;
}

static void pass(struct world *w, uint64_t us) {
    sim_run_until(w->sim, sim_now_us(w->sim) + us);
}

static void ask(struct world *w, size_t i, struct resolver_name name) {
    w->asked[i] = (struct asked){.world = w};
    assert_int_equal(resolver_find(w->resolver, &name, &w->asked[i].query, on_done), OK);
    assert_false(w->asked[i].done);
}

static enum error find(struct world *w, struct resolver_name name) {
    ask(w, 0, name);
    pass(w, 11 * SEC_IN_US);
    assert_true(w->asked[0].done);
    return w->asked[0].error;
}

static const struct resolver_name home = {.host = SPAN_INIT("home.net")};

static enum error cached(struct world *w) {
    struct resolver_answer answer;
    return resolver_cached(w->resolver, &home, &answer);
}

static const struct resolver_counters *counters(const struct world *w) {
    return resolver_counters(w->resolver);
}

/* What RFC 3263 says. */

static void transports_come_by_preference_and_as_spoken(void **state) {
    struct world *w = *state;
    add_sip(w, "all.net", "a.all.net", addr_v4(10, 0, 0, 1, 5060), SIP_TCP, 10);
    add_sip(w, "all.net", "a.all.net", addr_v4(10, 0, 0, 1, 5060), SIP_UDP, 10);
    add_sip(w, "all.net", "a.all.net", addr_v4(10, 0, 0, 1, 5061), SIP_TLS, 10);
    struct resolver_name all = {.host = SPAN_INIT("all.net")};
    use(w, (struct resolver_config){.transports = 7});
    assert_int_equal(find(w, all), OK);
    assert_int_equal(w->asked[0].answer.n, 1);
    assert_int_equal(w->asked[0].answer.targets[0].transport, SIP_TCP);
    use(w, (struct resolver_config){.transports = 1U << SIP_UDP | 1U << SIP_TLS});
    assert_int_equal(find(w, all), OK);
    assert_int_equal(w->asked[0].answer.n, 1);
    assert_int_equal(w->asked[0].answer.targets[0].transport, SIP_UDP);
    use(w, (struct resolver_config){.transports = 7});
    all.sips = true;
    assert_int_equal(find(w, all), OK);
    assert_int_equal(w->asked[0].answer.n, 1);
    assert_int_equal(w->asked[0].answer.targets[0].transport, SIP_TLS);
    all = (struct resolver_name){.host = all.host, .transport_given = true, .transport = SIP_TCP};
    assert_int_equal(find(w, all), OK);
    assert_int_equal(w->asked[0].answer.n, 1);
    assert_int_equal(w->asked[0].answer.targets[0].transport, SIP_TCP);
    use(w, (struct resolver_config){.transports = 1U << SIP_TCP});
    assert_int_equal(find(w, (struct resolver_name){.host = SPAN_INIT("all.net")}), OK);
    assert_int_equal(w->asked[0].answer.n, 1);
    assert_int_equal(w->asked[0].answer.targets[0].transport, SIP_TCP);
    assert_int_equal(find(w, home), ERR_NOT_FOUND); /* over UDP alone, says its NAPTR */
}

static void without_naptr_srv_records_are_asked_for(void **state) {
    struct world *w = *state;
    struct dns_record srv = {.name = SPAN_INIT("_sips._tcp.old.net"), .type = DNS_SRV, .ttl_s = 60};
    srv.srv.port = 5071;
    srv.srv.target = SPAN("icscf.home.net");
    assert_int_equal(dns_zone_add(&w->zone, &srv), OK);
    struct addr bare = addr_v4(10, 0, 0, 9, 0);
    assert_int_equal(dns_zone_add_host(&w->zone, SPAN("old.net"), &bare), OK);
    use(w, (struct resolver_config){.transports = 7});
    struct resolver_name old = {.host = SPAN_INIT("old.net")};
    assert_int_equal(find(w, old), OK);
    assert_int_equal(w->asked[0].answer.targets[0].transport, SIP_TLS);
    assert_int_equal(w->asked[0].answer.targets[0].addr.port, 5071);
    use(w, (struct resolver_config){.transports = 1U << SIP_UDP});
    assert_int_equal(find(w, old), OK); /* no SRV of what is spoken: the host itself */
    assert_int_equal(w->asked[0].answer.targets[0].addr.port, 5060);
}

static void a_service_that_is_not_there_is_not_sought_elsewhere(void **state) {
    struct world *w = *state;
    struct dns_record srv = {.name = SPAN_INIT("_sip._udp.no.net"), .type = DNS_SRV, .ttl_s = 60};
    srv.srv.target = SPAN(".");
    assert_int_equal(dns_zone_add(&w->zone, &srv), OK);
    struct addr bare = addr_v4(10, 0, 0, 9, 0);
    assert_int_equal(dns_zone_add_host(&w->zone, SPAN("no.net"), &bare), OK);
    assert_int_equal(find(w, (struct resolver_name){.host = SPAN_INIT("no.net")}), ERR_NOT_FOUND);
}

static void both_families_come_by_rfc_6724(void **state) {
    struct world *w = *state;
    struct addr v4 = addr_v4(10, 0, 0, 9, 0), v6;
    assert_true(addr_parse_host(SPAN("2001:db8::9"), 0, &v6));
    assert_int_equal(dns_zone_add_host(&w->zone, SPAN("dual.net"), &v4), OK);
    assert_int_equal(dns_zone_add_host(&w->zone, SPAN("dual.net"), &v6), OK);
    const struct resolver_name dual = {.host = SPAN_INIT("dual.net"), .port = 5060};
    assert_int_equal(find(w, dual), OK);
    assert_int_equal(w->asked[0].answer.n, 2);
    assert_int_equal(w->asked[0].answer.targets[0].addr.family, 6);
    assert_int_equal(w->asked[0].answer.targets[1].addr.family, 4);
    use(w, (struct resolver_config){.no_ipv6 = true});
    assert_int_equal(find(w, dual), OK);
    assert_int_equal(w->asked[0].answer.n, 1);
    assert_int_equal(w->asked[0].answer.targets[0].addr.family, 4);
    use(w, (struct resolver_config){.no_ipv4 = true});
    assert_int_equal(
        find(w, (struct resolver_name){.host = SPAN_INIT("icscf.home.net"), .port = 1}),
        ERR_NOT_FOUND);
}

static void aliases_are_followed_across_answers(void **state) {
    struct world *w = *state;
    struct dns_record cname = {.name = SPAN_INIT("www.net"), .type = DNS_CNAME, .ttl_s = 60};
    cname.alias = SPAN("icscf.home.net");
    assert_int_equal(dns_zone_add(&w->zone, &cname), OK);
    assert_int_equal(find(w, (struct resolver_name){.host = SPAN_INIT("www.net"), .port = 7}), OK);
    assert_int_equal(w->asked[0].answer.targets[0].addr.ip[3], 2);
    cname = (struct dns_record){.name = SPAN_INIT("loop.net"), .type = DNS_CNAME, .ttl_s = 60};
    cname.alias = SPAN("loop.net");
    assert_int_equal(dns_zone_add(&w->zone, &cname), OK);
    assert_int_not_equal(find(w, (struct resolver_name){.host = SPAN_INIT("loop.net"), .port = 7}),
                         OK);
}

static void targets_that_failed_come_last_for_a_while(void **state) {
    struct world *w = *state;
    struct resolver_answer a;
    assert_int_equal(find(w, home), OK);
    struct sip_hop first = w->asked[0].answer.targets[0], second = w->asked[0].answer.targets[1];
    resolver_failed(w->resolver, &first);
    assert_int_equal(resolver_cached(w->resolver, &home, &a), OK);
    assert_int_equal(a.n, 2);
    assert_true(sip_hop_eq(&a.targets[0], &second));
    resolver_worked(w->resolver, &first);
    assert_int_equal(resolver_cached(w->resolver, &home, &a), OK);
    assert_true(sip_hop_eq(&a.targets[0], &first));
    resolver_failed(w->resolver, &first);
    pass(w, (RESOLVER_FAILED_S + 1) * SEC_IN_US);
    assert_int_equal(resolver_cached(w->resolver, &home, &a), OK);
    assert_true(sip_hop_eq(&a.targets[0], &first));
    for (uint16_t port = 1; port < 1000; port++) { /* bounded, and the oldest make room */
        struct sip_hop hop = {addr_v4(10, 0, 0, 1, port), SIP_UDP};
        resolver_failed(w->resolver, &hop);
    }
    resolver_failed(w->resolver, &first);
    assert_int_equal(resolver_cached(w->resolver, &home, &a), OK);
    assert_true(sip_hop_eq(&a.targets[0], &second));
}

/* Sharing and bounds. */

static void look_ups_of_one_name_share_their_questions(void **state) {
    struct world *w = *state;
    w->dns.faults.delay_us = 100 * MS_IN_US;
    for (size_t i = 0; i < QUERIES; i++) {
        ask(w, i, home);
    }
    resolver_cancel(&w->asked[1].query);
    pass(w, SEC_IN_US);
    for (size_t i = 0; i < QUERIES; i++) {
        assert_int_equal(w->asked[i].done, i != 1);
    }
    assert_int_equal(counters(w)->misses, 1);
    assert_int_equal(counters(w)->questions, 6); /* NAPTR, SRV, A and AAAA of two hosts */
}

static void look_ups_under_way_are_bounded(void **state) {
    struct world *w = *state;
    use(w, (struct resolver_config){.max_lookups = 2});
    w->dns.faults.lost_ppm = 1000000;
    ask(w, 0, (struct resolver_name){.host = SPAN_INIT("one.net")});
    ask(w, 1, (struct resolver_name){.host = SPAN_INIT("two.net")});
    ask(w, 2, (struct resolver_name){.host = SPAN_INIT("three.net")});
    ask(w, 3, (struct resolver_name){.host = SPAN_INIT("two.net")});
    pass(w, 10 * MS_IN_US);
    assert_false(w->asked[0].done || w->asked[1].done || w->asked[3].done);
    assert_int_equal(w->asked[2].error, ERR_BUSY);
} /* tear_down drops the others */

/* Time. */

static void names_in_use_are_asked_for_before_their_end(void **state) {
    struct world *w = *state;
    assert_int_equal(find(w, home), OK);
    uint64_t before = counters(w)->questions;
    for (int s = 0; s < 10 * TTL_S; s++) {
        assert_int_equal(cached(w), OK);
        pass(w, SEC_IN_US);
    }
    assert_true(counters(w)->questions > before);
    assert_int_equal(counters(w)->misses, 1);
    assert_int_equal(counters(w)->stale, 0);
}

static void ttls_are_honoured_within_bounds(void **state) {
    struct world *w = *state;
    w->zone.ttl_s = 1;
    add_sip(w, "brief.net", "brief.net", addr_v4(10, 0, 0, 1, 5060), SIP_UDP, 1);
    const struct resolver_name brief = {.host = SPAN_INIT("brief.net")};
    struct resolver_answer a;
    use(w, (struct resolver_config){.ttl_min_s = 20, .ttl_max_s = 60, .stale_s = 1});
    ask(w, 0, brief);
    ask(w, 1, home);
    pass(w, 19 * SEC_IN_US);
    assert_int_equal(w->asked[0].error, OK);
    assert_int_equal(resolver_cached(w->resolver, &brief, &a), OK);
    pass(w, 35 * SEC_IN_US);
    assert_int_equal(resolver_cached(w->resolver, &brief, &a), ERR_INCOMPLETE);
    w->dns.faults.lost_ppm = 1000000;
    assert_int_equal(cached(w), OK);
    pass(w, 8 * SEC_IN_US);
    assert_int_equal(cached(w), ERR_INCOMPLETE); /* 100 s, but no more than 60 */
}

/* What is wrong. */

static void a_dead_dns_leaves_what_is_known(void **state) {
    struct world *w = *state;
    assert_int_equal(find(w, home), OK);
    w->dns.faults.lost_ppm = 1000000;
    for (int s = 0; s < 3000; s++) { /* in use all the time: never without an answer */
        assert_int_equal(cached(w), OK);
        pass(w, SEC_IN_US);
    }
    assert_true(counters(w)->stale > 2000);
    pass(w, 3600 * SEC_IN_US); /* longer than stale_s */
    assert_int_equal(find(w, home), ERR_TIMEOUT);
    w->dns.faults.lost_ppm = 0;
    pass(w, 40 * SEC_IN_US);
    assert_int_equal(find(w, home), OK);
}

static void who_comes_after_the_end_waits_little(void **state) {
    struct world *w = *state;
    assert_int_equal(find(w, home), OK);
    pass(w, 2 * TTL_S * SEC_IN_US); /* nobody used it */
    w->dns.faults.lost_ppm = 1000000;
    assert_int_equal(cached(w), ERR_INCOMPLETE);
    uint64_t began = sim_now_us(w->sim);
    ask(w, 0, home);
    pass(w, 1700 * MS_IN_US);
    assert_false(w->asked[0].done);
    pass(w, 200 * MS_IN_US);
    assert_true(w->asked[0].done);
    assert_int_equal(w->asked[0].error, OK);
    assert_in_range(w->asked[0].at_us - began, 1800 * MS_IN_US, 1810 * MS_IN_US);
    assert_int_equal(cached(w), OK); /* and who comes next does not wait at all */
}

static void a_slow_dns_delays_nobody_who_is_known(void **state) {
    struct world *w = *state;
    assert_int_equal(find(w, home), OK);
    w->dns.faults.delay_us = 5 * SEC_IN_US;
    ask(w, 0, (struct resolver_name){.host = SPAN_INIT("elsewhere.net")});
    for (int s = 0; s < 10 * TTL_S; s++) {
        assert_int_equal(cached(w), OK);
        pass(w, SEC_IN_US);
    }
    assert_true(w->asked[0].done);
    assert_int_equal(counters(w)->stale, 0); /* renewed in time, slow as it is */
}

static void a_slow_dns_is_heard_in_the_end(void **state) {
    struct world *w = *state;
    w->dns.faults.delay_us = 5 * SEC_IN_US;
    assert_int_equal(find(w, home), ERR_TIMEOUT); /* three answers take 15 s: this one has left */
    pass(w, 5 * SEC_IN_US);
    assert_int_equal(cached(w), OK); /* but the next has it */
}

static void failures_are_not_asked_for_at_once_again(void **state) {
    struct world *w = *state;
    w->dns.faults.error = ERR_REFUSED;
    assert_int_equal(find(w, home), ERR_REFUSED);
    ask(w, 0, home);
    pass(w, 10 * MS_IN_US);
    uint64_t asked = w->dns.asked;
    assert_int_equal(cached(w), ERR_REFUSED);
    w->dns.faults.error = OK;
    pass(w, 6 * SEC_IN_US);
    assert_int_equal(w->dns.asked, asked);
    assert_int_equal(cached(w), ERR_INCOMPLETE);
    assert_int_equal(find(w, home), OK);
}

static void a_zone_that_is_lost_does_not_take_good_names_with_it(void **state) {
    struct world *w = *state;
    assert_int_equal(find(w, home), OK);
    w->dns.faults.error = ERR_NOT_FOUND;
    for (int s = 0; s < TTL_S - 20; s++) {
        assert_int_equal(cached(w), OK);
        pass(w, SEC_IN_US);
    }
    assert_true(counters(w)->not_found > 0);
    pass(w, 20 * SEC_IN_US); /* its time is over, and the DNS is sure */
    assert_int_equal(find(w, home), ERR_NOT_FOUND);
}

static void lies_lead_nowhere(void **state) {
    struct world *w = *state;
    w->dns.faults.lies = true;
    assert_int_equal(find(w, home), OK);
    assert_int_equal(w->asked[0].answer.n, 2);
    for (size_t i = 0; i < w->asked[0].answer.n; i++) {
        assert_int_equal(w->asked[0].answer.targets[i].addr.ip[0], 127);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(transports_come_by_preference_and_as_spoken),
        TEST(without_naptr_srv_records_are_asked_for),
        TEST(a_service_that_is_not_there_is_not_sought_elsewhere),
        TEST(both_families_come_by_rfc_6724),
        TEST(aliases_are_followed_across_answers),
        TEST(targets_that_failed_come_last_for_a_while),
        TEST(look_ups_of_one_name_share_their_questions),
        TEST(look_ups_under_way_are_bounded),
        TEST(names_in_use_are_asked_for_before_their_end),
        TEST(ttls_are_honoured_within_bounds),
        TEST(a_dead_dns_leaves_what_is_known),
        TEST(who_comes_after_the_end_waits_little),
        TEST(a_slow_dns_delays_nobody_who_is_known),
        TEST(a_slow_dns_is_heard_in_the_end),
        TEST(failures_are_not_asked_for_at_once_again),
        TEST(a_zone_that_is_lost_does_not_take_good_names_with_it),
        TEST(lies_lead_nowhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
