/* covers: HF7
 * Memory that runs out in a whole network: each allocation of a procedure fails in turn, in
 * whatever node, in the store, or on the way. Nothing crashes or leaks; who is told that he is
 * registered is so everywhere; and afterwards the procedure works. */
#include "app/network.h"
#include "node/hss/hss.h"
#include "node/icscf/icscf.h"
#include "node/pcscf/pcscf.h"
#include "node/scscf/scscf.h"
#include "node/ue/ue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../memory.h"

#define K    "465b5ce8b199b49faa5f0a2ee238a6bc"
#define OPC  "cd63cb71954a9f4e48a5994e37a02baf"
#define IMSI "001010000000001"
#define TEL  "tel:+447700900001"
#define SIM                                                                                        \
    "{\"imsi\":\"" IMSI "\",\"msisdn\":\"447700900001\",\"k\":\"" K "\",\"opc\":\"" OPC "\"}"

enum { RUNS_MAX = 3000 };

struct world {
    struct sim *sim;
    struct config config;
    struct network *network;
    struct env *ue_env;
    struct ue_pool *pool;
    struct addr pcscf;
    char impi[96], impu[96];
    struct span impus[1];
    struct ue_isim isim;
    struct ue *ue;
    unsigned web_status, registered;
    enum hss_registration seen;
    unsigned refused; /* runs in which the procedure did not succeed at once */
};

static void on_registered(void *ctx, struct ue *ue) {
    (void)ue;
    ((struct world *)ctx)->registered++;
}

static const struct ue_handler handler = {.registered = on_registered};

static void run(struct world *w, uint64_t us) {
    sim_run_until(w->sim, sim_now_us(w->sim) + us);
}

static void on_web(void *ctx, const struct web_answer *answer) {
    ((struct world *)ctx)->web_status = answer->status;
}

static unsigned web(struct world *w, const char *method, const char *path, const char *body) {
    const struct web_request request = {.method = span_from_cstr(method),
                                        .path = span_from_cstr(path),
                                        .content_type = SPAN("application/json"),
                                        .body = span_from_cstr(body)};
    w->web_status = 0;
    network_web(w->network, &request, on_web, w);
    run(w, SEC_IN_US);
    return w->web_status;
}

static void make_card(struct world *w) {
    struct buf b = buf_init(w->impi, sizeof w->impi - 1);
    buf_printf(&b, IMSI "@%s", w->config.domain);
    b = buf_init(w->impu, sizeof w->impu - 1);
    buf_printf(&b, "sip:%s", w->impi);
    w->impus[0] = span_from_cstr(w->impu);
    w->isim = (struct ue_isim){.impi = span_from_cstr(w->impi),
                               .home_domain = span_from_cstr(w->config.domain),
                               .impus = w->impus,
                               .n_impus = 1};
    assert_true(span_to_bytes(SPAN(K), w->isim.key.k, 16));
    assert_true(span_to_bytes(SPAN(OPC), w->isim.key.opc, 16));
}

static void start(struct world *w) {
    char *message = NULL;
    assert_int_equal(sim_new(11, &w->sim), OK);
    assert_int_equal(config_load(NULL, &w->config, &message), OK);
    w->config.log_level = LOG_ERROR + 1;
    const struct network_options options = {.sim = w->sim};
    assert_int_equal(network_new(&w->config, &options, &w->network, &message), OK);
    network_set_log_level(w->network, (enum log_level)(LOG_ERROR + 1));
    run(w, 5 * SEC_IN_US);
    assert_true(network_is_ready(w->network));
    make_card(w);
    assert_int_equal(web(w, "POST", "/subscriptions/sim", SIM), 201);
    assert_int_equal(network_env_new(w->network, "ue", &w->ue_env), OK);
    w->pcscf = *pcscf_address(network_pcscf(w->network, SPAN_NONE));
    const struct ue_pool_config pool = {
        .local = addr_v4(127, 0, 1, 1, 5070), .pcscf = &w->pcscf, .n_pcscf = 1};
    assert_int_equal(ue_pool_new(w->ue_env, &pool, &handler, w, &w->pool), OK);
}

static void make_terminal(struct world *w) {
    const struct ue_config ue = {.isim = &w->isim, .expires_s = 3600};
    assert_int_equal(ue_new(w->pool, &ue, NULL, &w->ue), OK);
}

static void end(struct world *w) {
    ue_pool_free(w->pool);
    if (w->ue_env) {
        env_close(w->ue_env);
    }
    network_free(w->network);
    config_free(&w->config);
    sim_free(w->sim);
}

static int set_up(void **state) {
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    start(w);
    *state = w;
    return 0;
}

static int tear_down(void **state) {
    end(*state);
    free(*state);
    return 0;
}

static void on_seen(void *ctx, enum hss_registration state, struct span scscf) {
    (void)scscf;
    ((struct world *)ctx)->seen = state;
}

static enum hss_registration at_hss(struct world *w) {
    w->seen = HSS_UNKNOWN;
    hss_inspect(network_hss(w->network, SPAN_NONE), SPAN(TEL), on_seen, w);
    run(w, 10 * MS_IN_US);
    return w->seen;
}

/* Is everybody of the same mind? */
static void assert_registered(struct world *w, bool registered) {
    assert_int_equal(scscf_counts(network_scscf(w->network, SPAN_NONE)).bindings, registered);
    assert_int_equal(pcscf_registrations(network_pcscf(w->network, SPAN_NONE)), registered);
    assert_int_equal(at_hss(w), registered ? HSS_REGISTERED : HSS_NOT_REGISTERED);
}

static void wait_for(struct world *w, enum ue_state state) {
    for (int minutes = 0; ue_state(w->ue) != state && minutes < 120; minutes++) {
        run(w, 60 * SEC_IN_US);
        if (ue_state(w->ue) == UE_IDLE || ue_state(w->ue) == UE_REFUSED) {
            ue_register(w->ue); /* it does not try again by itself after some answers */
        }
    }
    assert_int_equal(ue_state(w->ue), state);
}

static void leave(struct world *w) {
    ue_deregister(w->ue, UE_THIS_CONTACT);
    run(w, 40 * SEC_IN_US);
    assert_int_equal(ue_state(w->ue), UE_IDLE);
    assert_registered(w, false);
}

static void register_once(void *ctx) {
    struct world *w = ctx;
    memory_arm();
    ue_register(w->ue);
    run(w, 2 * SEC_IN_US);
    memory_disarm();
    if (ue_state(w->ue) == UE_REGISTERED) {
        assert_registered(w, true);
    } else {
        w->refused++;
        wait_for(w, UE_REGISTERED);
    }
    leave(w);
}

static void register_again(void *ctx) {
    struct world *w = ctx;
    ue_register(w->ue);
    wait_for(w, UE_REGISTERED);
    memory_arm();
    ue_register(w->ue);
    run(w, 2 * SEC_IN_US);
    memory_disarm();
    w->refused += ue_state(w->ue) != UE_REGISTERED;
    wait_for(w, UE_REGISTERED);
    assert_registered(w, true);
    leave(w);
}

static void deregister_once(void *ctx) {
    struct world *w = ctx;
    ue_register(w->ue);
    wait_for(w, UE_REGISTERED);
    memory_arm();
    ue_deregister(w->ue, UE_THIS_CONTACT);
    run(w, 2 * SEC_IN_US);
    memory_disarm();
    w->refused += ue_state(w->ue) != UE_IDLE;
    run(w, 4000 * SEC_IN_US); /* at the latest, what was registered ends by itself */
    assert_registered(w, false);
}

/* The terminal is gone, and its registration ends by itself. */
static void expire_once(void *ctx) {
    struct world *w = ctx;
    make_terminal(w);
    ue_register(w->ue);
    run(w, SEC_IN_US);
    assert_int_equal(ue_state(w->ue), UE_REGISTERED);
    ue_free(w->ue);
    w->ue = NULL;
    run(w, 3598800 * MS_IN_US);
    assert_registered(w, true);
    memory_arm();
    run(w, SEC_IN_US);
    memory_disarm();
    w->refused += at_hss(w) != HSS_NOT_REGISTERED;
    run(w, 120 * SEC_IN_US);
    assert_registered(w, false);
}

static void sweep(struct world *w, void (*procedure)(void *ctx), const char *name) {
    long n = memory_sweep(procedure, w, RUNS_MAX);
    print_message("%s: %ld allocations failed, %u times it did not succeed at once\n", name, n,
                  w->refused);
    assert_in_range(n, 5, RUNS_MAX - 1);
    assert_true(w->refused > 0);
}

static void a_registration_survives(void **state) {
    make_terminal(*state);
    sweep(*state, register_once, "registration");
}

static void a_registration_again_survives(void **state) {
    make_terminal(*state);
    sweep(*state, register_again, "re-registration");
}

static void a_deregistration_survives(void **state) {
    make_terminal(*state);
    sweep(*state, deregister_once, "de-registration");
}

static void an_expiry_survives(void **state) {
    sweep(*state, expire_once, "expiry");
}

/* A network that cannot start says so; one that can, works. */
static void start_once(void *ctx) {
    struct world *w = ctx;
    char *message = NULL;
    const struct network_options options = {.sim = w->sim};
    assert_int_equal(sim_new(11, &w->sim), OK);
    memory_arm();
    enum error e = config_load(NULL, &w->config, &message);
    bool loaded = e == OK;
    if (loaded) {
        e = network_new(&w->config, &(struct network_options){.sim = w->sim}, &w->network,
                        &message);
    }
    (void)options;
    run(w, 5 * SEC_IN_US);
    bool failed = memory_disarm();
    if (e == OK) {
        run(w, 60 * SEC_IN_US);
        assert_true(network_is_ready(w->network));
    } else {
        assert_true(failed);
        w->refused++;
    }
    free(message);
    network_free(w->network);
    if (loaded) {
        config_free(&w->config);
    }
    sim_free(w->sim);
    w->network = NULL;
}

static void a_start_survives(void **state) {
    struct world w = {0};
    (void)state;
    sweep(&w, start_once, "start");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_registration_survives, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_registration_again_survives, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_deregistration_survives, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_expiry_survives, set_up, tear_down),
        cmocka_unit_test(a_start_survives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
