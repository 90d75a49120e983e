/* covers: HF7
 * Memory that runs out: every allocation of a registration fails in turn. Whatever that leads to,
 * nothing crashes or leaks, and the terminal ends registered by itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "home.h"

#include "../../memory.h"

static const struct addr home_addr = {.family = 4, .port = 5060, .ip = {192, 0, 2, 1}};

struct run {
    struct sim *sim;
    struct env *ue_env, *home_env;
    struct home home;
    struct ue_isim isim;
    struct ue_pool *pool;
    struct ue *ue;
};

static enum error make_terminal(struct run *r) {
    static const struct ue_handler handler = {0};
    const struct ue_pool_config pool = {
        .local = addr_v4(192, 0, 2, 77, 0), .pcscf = &home_addr, .n_pcscf = 1};
    const struct ue_config ue = {.isim = &r->isim, .reg_event = true};
    enum error e = ue_pool_new(r->ue_env, &pool, &handler, NULL, &r->pool);
    if (!e) {
        e = ue_new(r->pool, &ue, NULL, &r->ue);
    }
    return e;
}

/* A whole registration with an allocation that fails. */
static void registration_with_failure(void *ctx) {
    static const struct span impu = SPAN_INIT("sip:alice@" HOME_DOMAIN);
    struct run r = {.isim = {.impi = SPAN_INIT("alice@" HOME_DOMAIN),
                             .home_domain = SPAN_INIT(HOME_DOMAIN),
                             .impus = &impu,
                             .n_impus = 1,
                             .key = {.k = {1}, .opc = {2}}}};
    (void)ctx;
    assert_int_equal(sim_new(3, &r.sim), OK);
    assert_int_equal(sim_env_new(r.sim, "ue", &r.ue_env), OK);
    assert_int_equal(sim_env_new(r.sim, "home", &r.home_env), OK);
    home_open(&r.home, r.home_env, home_addr, &r.isim.key);
    memory_arm();
    enum error e = make_terminal(&r);
    if (e) {
        assert_int_equal(e, ERR_NO_MEMORY);
        ue_pool_free(r.pool);
        r.pool = NULL;
        assert_int_equal(make_terminal(&r), OK);
    }
    ue_register(r.ue);
    sim_run_until(r.sim, sim_now_us(r.sim) + SEC_IN_US);
    memory_disarm();
    sim_run_until(r.sim, sim_now_us(r.sim) + 200 * SEC_IN_US);
    assert_int_equal(ue_state(r.ue), UE_REGISTERED);
    ue_pool_free(r.pool);
    home_close(&r.home);
    env_close(r.ue_env);
    env_close(r.home_env);
    sim_free(r.sim);
}

static void registration_survives_every_failed_allocation(void **state) {
    (void)state;
    assert_in_range(memory_sweep(registration_with_failure, NULL, 1000), 5, 999);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(registration_survives_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
