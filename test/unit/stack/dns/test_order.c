/* covers: A5 */
#include "rt/sim.h"
#include "stack/dns/internal.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { DRAWS = 4000 };

struct world {
    struct sim *sim;
    struct env *env;
    struct candidate c[CANDIDATES_MAX];
    size_t n;
};

static int set_up(void **state) {
    static struct world w;
    w = (struct world){0};
    assert_int_equal(sim_new(7, &w.sim), OK);
    assert_int_equal(sim_env_new(w.sim, "pcscf", &w.env), OK);
    *state = &w;
    return 0;
}

static int tear_down(void **state) {
    struct world *w = *state;
    env_close(w->env);
    sim_free(w->sim);
    return 0;
}

static struct candidate *add(struct world *w, uint8_t rank, uint16_t priority, uint16_t weight,
                             uint8_t group) {
    struct candidate *c = &w->c[w->n];
    *c = (struct candidate){.rank = rank, .priority = priority, .weight = weight, .group = group};
    c->hop.addr = addr_v4(10, 0, 0, (uint8_t)++w->n, 5060);
    c->precedence = address_precedence(&c->hop.addr);
    return c;
}

static unsigned host(const struct resolver_answer *a, size_t i) {
    return a->targets[i].addr.ip[3];
}

/* How often each of the candidates was drawn first. */
static void count_firsts(struct world *w, int *firsts) {
    w->n = candidates_sort(w->c, w->n);
    for (int i = 0; i < DRAWS; i++) {
        struct resolver_answer a;
        candidates_draw(w->env, w->c, w->n, &a);
        firsts[host(&a, 0)]++;
    }
}

static void services_come_before_priorities_before_weights(void **state) {
    struct world *w = *state;
    struct resolver_answer a;
    add(w, 1, 1, 100, 0);
    add(w, 0, 20, 100, 1);
    add(w, 0, 10, 1, 2);
    w->n = candidates_sort(w->c, w->n);
    for (int i = 0; i < 100; i++) {
        candidates_draw(w->env, w->c, w->n, &a);
        assert_int_equal(a.n, 3);
        assert_int_equal(host(&a, 0), 3);
        assert_int_equal(host(&a, 1), 2);
        assert_int_equal(host(&a, 2), 1);
    }
}

static void weights_are_shares(void **state) {
    struct world *w = *state;
    int firsts[8] = {0};
    add(w, 0, 1, 60, 0);
    add(w, 0, 1, 30, 1);
    add(w, 0, 1, 10, 2);
    count_firsts(w, firsts);
    assert_in_range(firsts[1], DRAWS * 55 / 100, DRAWS * 65 / 100);
    assert_in_range(firsts[2], DRAWS * 25 / 100, DRAWS * 35 / 100);
    assert_in_range(firsts[3], DRAWS * 7 / 100, DRAWS * 13 / 100);
}

static void a_host_of_many_addresses_has_no_greater_share(void **state) {
    struct world *w = *state;
    int firsts[8] = {0};
    add(w, 0, 1, 50, 0);
    for (int i = 0; i < 5; i++) {
        add(w, 0, 1, 50, 1);
    }
    count_firsts(w, firsts);
    assert_in_range(firsts[1], DRAWS * 45 / 100, DRAWS * 55 / 100);
    for (int i = 2; i <= 6; i++) { /* and they share evenly among them */
        assert_in_range(firsts[i], DRAWS * 7 / 100, DRAWS * 13 / 100);
    }
}

static void weight_zero_is_seldom_first_and_none_at_all_are_alike(void **state) {
    struct world *w = *state;
    int firsts[8] = {0};
    add(w, 0, 1, 99, 0);
    add(w, 0, 1, 0, 1);
    count_firsts(w, firsts);
    assert_in_range(firsts[2], 1, DRAWS * 4 / 100);
    w->n = 0;
    firsts[1] = firsts[2] = 0;
    add(w, 0, 1, 0, 0);
    add(w, 0, 1, 0, 1);
    count_firsts(w, firsts);
    assert_in_range(firsts[1], DRAWS * 45 / 100, DRAWS * 55 / 100);
}

static void addresses_of_a_host_stay_together(void **state) {
    struct world *w = *state;
    struct resolver_answer a;
    add(w, 0, 1, 50, 0);
    add(w, 0, 1, 50, 1);
    add(w, 0, 1, 50, 0);
    w->n = candidates_sort(w->c, w->n);
    for (int i = 0; i < 100; i++) {
        candidates_draw(w->env, w->c, w->n, &a);
        assert_true(host(&a, 0) == 2 || host(&a, 2) == 2);
    }
}

static void repeated_hops_count_once(void **state) {
    struct world *w = *state;
    struct resolver_answer a;
    add(w, 0, 20, 1, 0);
    add(w, 0, 10, 1, 1)->hop = w->c[0].hop;
    w->n = candidates_sort(w->c, w->n);
    assert_int_equal(w->n, 1);
    assert_int_equal(w->c[0].priority, 10);
    candidates_draw(w->env, w->c, w->n, &a);
    assert_int_equal(a.n, 1);
}

static void addresses_stand_by_rfc_6724(void **state) {
    static const char *const by_precedence[] = {"::1",     "2001:db8::1", "192.0.2.1", "2002::1",
                                                "2001::1", "fd00::1",     "fec0::1"};
    (void)state;
    uint8_t before = 255;
    for (size_t i = 0; i < COUNT_OF(by_precedence); i++) {
        struct addr a;
        assert_true(addr_parse_host(span_from_cstr(by_precedence[i]), 0, &a));
        assert_true(address_precedence(&a) < before);
        before = address_precedence(&a);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(services_come_before_priorities_before_weights),
        TEST(weights_are_shares),
        TEST(a_host_of_many_addresses_has_no_greater_share),
        TEST(weight_zero_is_seldom_first_and_none_at_all_are_alike),
        TEST(addresses_of_a_host_stay_together),
        TEST(repeated_hops_count_once),
        TEST(addresses_stand_by_rfc_6724),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
