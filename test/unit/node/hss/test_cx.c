/* covers: A6 A7 A10 A11 B3 B6 HA1 HA4 HA8 HF1
 * The HSS over Diameter, in simulation: procedures, roles, order, durability, crashes. */
#include "bench.h"
#include "model/aka/sqn.h"
#include "spec/records.h"

static int setup(void **state) {
    struct bench *b = *state = bench_new(1, 3000, 0);

    bench_add_sim(b);
    return 0;
}

static int setup_slow_reads(void **state) {
    struct bench *b = *state = bench_new(2, 3000, 700);

    bench_add_sim(b);
    return 0;
}

static int teardown(void **state) {
    bench_free(*state);
    return 0;
}

static struct cx_uaa read_uaa(struct bench *b, struct reply *r) {
    struct cx_uaa uaa;
    struct diameter_fault fault;

    assert_int_equal(cx_uaa_decode(&b->arena, &r->msg, &uaa, &fault), OK);
    return uaa;
}

static struct cx_maa read_maa(struct bench *b, struct reply *r) {
    struct cx_maa maa;
    struct diameter_fault fault;

    assert_int_equal(cx_maa_decode(&b->arena, &r->msg, &maa, &fault), OK);
    return maa;
}

static struct cx_saa read_saa(struct bench *b, struct reply *r) {
    struct cx_saa saa;
    struct diameter_fault fault;

    assert_int_equal(cx_saa_decode(&b->arena, &r->msg, &saa, &fault), OK);
    return saa;
}

/* What the terminal makes of a vector: its SQN. */
static uint64_t answer_challenge(const struct cx_sip_auth_data_item *item) {
    struct aka_key key = bench_key();
    struct aka_answer answer;
    struct milenage m;

    assert_int_equal(item->sip_authenticate.n, 32);
    assert_int_equal(milenage_init(&m), OK);
    const uint8_t *rand = (const uint8_t *)item->sip_authenticate.p;
    assert_int_equal(aka_challenge_check(&m, &key, rand, rand + 16, &answer), OK);
    assert_true(span_eq(item->sip_authorization, span_of(answer.res, answer.res_n)));
    assert_true(span_eq(item->confidentiality_key, span_of(answer.ck, 16)));
    assert_true(span_eq(item->integrity_key, span_of(answer.ik, 16)));
    milenage_free(&m);
    return answer.sqn;
}

static void inspected(void *ctx, enum hss_registration state, struct span scscf) {
    (void)scscf;
    *(enum hss_registration *)ctx = state;
}

static enum hss_registration state_of(struct bench *b, const char *impu) {
    enum hss_registration state = HSS_UNKNOWN;

    hss_inspect(b->hss, span_from_cstr(impu), inspected, &state);
    sim_run_until(b->sim, sim_now_us(b->sim) + 5000);
    return state;
}

static void a_terminal_registers_and_leaves(void **state) {
    struct bench *b = *state;
    struct reply r;

    bench_uar(b, &b->icscf, IMPI, IMPU, -1, &r);
    bench_wait(b, &r);
    assert_result(&r, X3GPP, DIAMETER_FIRST_REGISTRATION);
    assert_int_equal(read_uaa(b, &r).server_name.n, 0);

    bench_mar(b, &b->scscf, IMPI, IMPU, SCSCF_1, 1, SPAN_NONE, &r);
    bench_wait(b, &r);
    assert_result(&r, BASE, DIAMETER_SUCCESS);
    struct cx_maa maa = read_maa(b, &r);
    assert_int_equal(maa.n_sip_auth_data_item, 1);
    assert_true(span_eq(maa.user_name, SPAN(IMPI)));
    assert_int_equal(sqn_seq(answer_challenge(&maa.sip_auth_data_item[0])), 1);

    bench_uar(b, &b->icscf, IMPI, TEL, 0, &r);
    bench_wait(b, &r);
    assert_result(&r, X3GPP, DIAMETER_SUBSEQUENT_REGISTRATION);
    assert_true(span_eq(read_uaa(b, &r).server_name, SPAN(SCSCF_1)));

    bench_sar(b, &b->scscf, 1, IMPI, IMPU, SCSCF_1, &r);
    bench_wait(b, &r);
    assert_result(&r, BASE, DIAMETER_SUCCESS);
    struct cx_saa saa = read_saa(b, &r);
    struct userdata *u;
    assert_int_equal(userdata_scan(saa.user_data, &b->arena, &u), OK);
    assert_true(span_eq(u->private_id, SPAN(IMPI)));
    assert_int_equal(u->n_profiles, 1);
    assert_int_equal(u->profiles[0].n_identities, 3);
    assert_true(span_eq(userdata_default_identity(u)->identity, SPAN(IMPU)));
    assert_true(u->profiles[0].identities[2].barred);
    assert_true(span_eq(saa.charging_information->primary_charging_collection_function_name,
                        SPAN("aaa://ccf." HOME)));
    assert_null(saa.associated_identities);
    assert_int_equal(state_of(b, TEMP), HSS_REGISTERED);

    bench_lir(b, &b->icscf, TEL, &r);
    bench_wait(b, &r);
    assert_result(&r, BASE, DIAMETER_SUCCESS);

    bench_sar(b, &b->scscf, 5, IMPI, TEL, SCSCF_1, &r);
    bench_wait(b, &r);
    assert_result(&r, BASE, DIAMETER_SUCCESS);
    assert_int_equal(read_saa(b, &r).user_data.n, 0);
    assert_int_equal(state_of(b, IMPU), HSS_NOT_REGISTERED);
    bench_lir(b, &b->icscf, TEL, &r);
    bench_wait(b, &r);
    assert_result(&r, X3GPP, DIAMETER_ERROR_IDENTITY_NOT_REGISTERED);

    const struct hss_counters *c = hss_counters(b->hss);
    assert_int_equal(c->uar, 2);
    assert_int_equal(c->sar, 2);
    assert_int_equal(c->assigned, 1);
    assert_int_equal(c->released, 1);
    assert_int_equal(c->saves, 2);
    assert_int_equal(c->refused, 1);
}

static void refusals_have_the_standards_codes(void **state) {
    struct bench *b = *state;
    struct reply r;

    bench_uar(b, &b->icscf, IMPI, "sip:nobody@" HOME, 0, &r);
    bench_wait(b, &r);
    assert_result(&r, X3GPP, DIAMETER_ERROR_USER_UNKNOWN);
    bench_uar(b, &b->icscf, "eve@" HOME, IMPU, 0, &r);
    bench_wait(b, &r);
    assert_result(&r, X3GPP, DIAMETER_ERROR_USER_UNKNOWN);
    assert_int_equal(bench_web(b, "POST", "/subscriptions/sim",
                               "{\"imsi\":\"001010000000002\",\"k\":\"" K_HEX "\",\"op\":\"" K_HEX
                               "\"}"),
                     201);
    bench_uar(b, &b->icscf, "001010000000002@" HOME, IMPU, 0, &r);
    bench_wait(b, &r);
    assert_result(&r, X3GPP, DIAMETER_ERROR_IDENTITIES_DONT_MATCH);
    bench_mar(b, &b->scscf, "001010000000002@" HOME, IMPU, SCSCF_1, 1, SPAN_NONE, &r);
    bench_wait(b, &r);
    assert_result(&r, X3GPP, DIAMETER_ERROR_IDENTITIES_DONT_MATCH);
    assert_int_equal(read_maa(b, &r).n_sip_auth_data_item, 0);
    bench_sar(b, &b->scscf, 1, NULL, IMPU, SCSCF_1, &r);
    bench_wait(b, &r);
    assert_result(&r, BASE, DIAMETER_MISSING_AVP);
    assert_int_equal(read_saa(b, &r).failed_avp.n, 8);
    bench_sar(b, &b->scscf, 13, IMPI, IMPU, SCSCF_1, &r);
    bench_wait(b, &r);
    assert_result(&r, BASE, DIAMETER_INVALID_AVP_VALUE);
    bench_sar(b, &b->scscf, 1, IMPI, IMPU, SCSCF_1, &r);
    bench_wait(b, &r);
    bench_sar(b, &b->scscf, 2, IMPI, IMPU, SCSCF_2, &r);
    bench_wait(b, &r);
    assert_result(&r, X3GPP, DIAMETER_ERROR_IDENTITY_ALREADY_REGISTERED);
    assert_true(span_eq(read_saa(b, &r).server_name, SPAN(SCSCF_1)));
    assert_true(hss_counters(b->hss)->refused >= 7);
}

static void keys_go_to_s_cscfs_alone(void **state) {
    struct bench *b = *state;
    struct client stranger = {0};
    struct reply r;

    bench_mar(b, &b->icscf, IMPI, IMPU, SCSCF_1, 1, SPAN_NONE, &r);
    bench_wait(b, &r);
    assert_result(&r, BASE, DIAMETER_AUTHORIZATION_REJECTED);
    bench_sar(b, &b->icscf, 1, IMPI, IMPU, SCSCF_1, &r);
    bench_wait(b, &r);
    assert_result(&r, BASE, DIAMETER_AUTHORIZATION_REJECTED);
    bench_connect(b, &stranger, "stranger", "stranger." HOME);
    sim_run_until(b->sim, sim_now_us(b->sim) + 5 * SEC_IN_US);
    assert_false(stranger.up);
    bench_disconnect(&stranger);
    assert_int_equal(hss_counters(b->hss)->mar, 0);
    assert_int_equal(hss_counters(b->hss)->vectors, 0);
}

/* Asks for a vector through an agent, in the name of this host. */
static void ask_through(struct bench *b, struct client *agent, struct span origin,
                        struct reply *r) {
    struct cx_mar mar = {
        .user_name = SPAN(IMPI),
        .public_identity = SPAN(IMPU),
        .sip_auth_data_item = {.sip_authentication_scheme = SPAN("Digest-AKAv1-MD5")},
        .sip_number_auth_items = 1,
        .server_name = SPAN(SCSCF_1),
        .origin_host = origin};

    cx_mar_encode(bench_begin(agent, CX_COMMAND_MULTIMEDIA_AUTH), &mar);
    bench_send(b, agent, r);
    bench_wait(b, r);
}

static void an_agent_brings_keys_to_s_cscfs_alone(void **state) {
    struct bench *b = *state;
    struct client agent = {0};
    struct reply r;

    bench_crash_hss(b);
    b->peers[2] = (struct hss_peer){.host = SPAN("dra." HOME), .roles = HSS_PEER_AGENT};
    b->config.n_peers = 3;
    bench_start_hss(b);
    bench_connect(b, &agent, "agent", "dra." HOME);
    sim_run_until(b->sim, sim_now_us(b->sim) + 5 * SEC_IN_US);
    assert_true(agent.up);
    const struct span refused[] = {SPAN("icscf." HOME), SPAN("stranger." HOME), SPAN("dra." HOME)};
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        ask_through(b, &agent, refused[i], &r);
        assert_result(&r, BASE, DIAMETER_AUTHORIZATION_REJECTED);
    }
    bench_lir(b, &agent, IMPU, &r);
    bench_wait(b, &r);
    assert_result(&r, BASE, DIAMETER_AUTHORIZATION_REJECTED);
    assert_int_equal(hss_counters(b->hss)->mar, 0);
    assert_int_equal(hss_counters(b->hss)->vectors, 0);
    ask_through(b, &agent, SPAN("scscf." HOME), &r);
    assert_result(&r, BASE, DIAMETER_SUCCESS);
    assert_int_equal(hss_counters(b->hss)->vectors, 1);
    bench_disconnect(&agent);
}

static void an_assignment_is_answered_after_its_commit(void **state) {
    struct bench *b = *state;
    struct reply r;
    uint64_t flushes = store_memory_flushes(b->store), begin = sim_now_us(b->sim);

    bench_sar(b, &b->scscf, 1, IMPI, IMPU, SCSCF_1, &r);
    bench_wait(b, &r);
    assert_int_equal(store_memory_flushes(b->store), flushes + 1);
    assert_true(r.at_us - begin >= 3000);
    begin = sim_now_us(b->sim);
    bench_sar(b, &b->scscf, 2, IMPI, IMPU, SCSCF_1, &r); /* changes nothing */
    bench_wait(b, &r);
    assert_result(&r, BASE, DIAMETER_SUCCESS);
    assert_int_equal(store_memory_flushes(b->store), flushes + 1);
    assert_true(r.at_us - begin < 3000);
}

static void messages_of_a_subscription_wait_for_each_other(void **state) {
    struct bench *b = *state;
    struct reply sar, uar, other, lir;

    assert_int_equal(bench_web(b, "POST", "/subscriptions/sim",
                               "{\"imsi\":\"001010000000002\",\"k\":\"" K_HEX "\",\"op\":\"" K_HEX
                               "\"}"),
                     201);
    bench_sar(b, &b->scscf, 1, IMPI, IMPU, SCSCF_1, &sar);
    sim_run_until(b->sim, sim_now_us(b->sim) + 1000); /* it is at the HSS, not yet flushed */
    assert_false(sar.come);
    bench_uar(b, &b->icscf, IMPI, IMPU, 0, &uar);
    bench_lir(b, &b->icscf, TEL, &lir);
    bench_uar(b, &b->icscf, "001010000000002@" HOME, "sip:001010000000002@" HOME, 0, &other);
    bench_wait(b, &other);
    assert_false(sar.come || uar.come || lir.come);
    bench_wait(b, &lir);
    bench_wait(b, &uar);
    bench_wait(b, &sar);
    assert_result(&uar, X3GPP, DIAMETER_SUBSEQUENT_REGISTRATION);
    assert_result(&lir, BASE, DIAMETER_SUCCESS);
    assert_true(uar.order < lir.order);
}

static void saved_by_another(struct store_op *op) {
    assert_int_equal(op->error, OK);
}

static void a_conflict_is_decided_anew(void **state) {
    struct bench *b = *state;
    struct reply r;
    struct store_op op = {0};
    char record[256];
    struct buf out = buf_init(record, sizeof record);
    struct rec_registration_data nobody = {0};

    bench_uar(b, &b->icscf, IMPI, IMPU, 0, &r); /* now it is in memory, at version 1 */
    bench_wait(b, &r);
    assert_int_equal(rec_registration_encode(&nobody, &out), OK);
    op.done = saved_by_another;
    store_save(b->store, &op,
               &(struct store_change){.id = 1, .version = 1, .state = buf_span(&out)});
    sim_run_until(b->sim, sim_now_us(b->sim) + 10000);
    assert_false(store_op_is_active(&op));
    assert_int_equal(op.error, OK);
    bench_sar(b, &b->scscf, 1, IMPI, IMPU, SCSCF_1, &r);
    bench_wait(b, &r);
    assert_result(&r, BASE, DIAMETER_SUCCESS);
    assert_int_equal(hss_counters(b->hss)->conflicts, 1);
    assert_int_equal(state_of(b, IMPU), HSS_REGISTERED);
}

static void a_terminal_out_of_step_gets_it_right_after_its_auts(void **state) {
    struct bench *b = *state;
    struct reply r;
    struct aka_key key = bench_key();
    struct milenage m;
    uint8_t auts[30];
    uint64_t sqn_ms = sqn_make(5000, 3);

    assert_int_equal(milenage_init(&m), OK);
    bench_mar(b, &b->scscf, IMPI, IMPU, SCSCF_1, 1, SPAN_NONE, &r);
    bench_wait(b, &r);
    struct cx_maa maa = read_maa(b, &r);
    assert_int_equal(sqn_seq(answer_challenge(&maa.sip_auth_data_item[0])), 1);
    memcpy(auts, maa.sip_auth_data_item[0].sip_authenticate.p, 16);
    assert_int_equal(aka_auts_make(&m, &key, auts, sqn_ms, auts + 16), OK);

    auts[20] ^= 1; /* forged: nothing changes, vectors come all the same */
    bench_mar(b, &b->scscf, IMPI, IMPU, SCSCF_1, 1, span_of(auts, 30), &r);
    bench_wait(b, &r);
    maa = read_maa(b, &r);
    assert_int_equal(sqn_seq(answer_challenge(&maa.sip_auth_data_item[0])), 2);
    assert_int_equal(hss_counters(b->hss)->forged_auts, 1);

    auts[20] ^= 1;
    bench_mar(b, &b->scscf, IMPI, IMPU, SCSCF_1, 2, span_of(auts, 30), &r);
    bench_wait(b, &r);
    maa = read_maa(b, &r);
    assert_int_equal(maa.n_sip_auth_data_item, 2);
    assert_int_equal(sqn_seq(answer_challenge(&maa.sip_auth_data_item[0])), 5001);
    assert_int_equal(sqn_seq(answer_challenge(&maa.sip_auth_data_item[1])), 5002);
    assert_int_equal(hss_counters(b->hss)->resyncs, 1);

    bench_mar(b, &b->scscf, IMPI, IMPU, SCSCF_1, 1, span_of(auts, 29), &r);
    bench_wait(b, &r);
    assert_result(&r, BASE, DIAMETER_INVALID_AVP_VALUE);
    bench_mar(b, &b->scscf, IMPI, IMPU, SCSCF_1, 1000, SPAN_NONE, &r);
    bench_wait(b, &r);
    assert_int_equal(read_maa(b, &r).n_sip_auth_data_item, 5); /* the configured most */
    milenage_free(&m);
}

static void no_sequence_number_comes_twice_over_crashes(void **state) {
    struct bench *b = *state;
    struct reply r;
    uint64_t highest = 0;
    unsigned vectors = 0, lost = 0;

    for (unsigned round = 0; round < 30; round++) {
        for (unsigned i = 0; i < 1 + round * 7 % 23; i++) {
            bench_mar(b, &b->scscf, IMPI, IMPU, SCSCF_1, 1 + i % 4, SPAN_NONE, &r);
            if (i == round * 7 % 23) { /* the crash comes while it is on its way */
                sim_run_until(b->sim, sim_now_us(b->sim) + sim_random_below(b->sim, 400));
            } else {
                bench_wait(b, &r);
            }
            if (!r.come) {
                lost++;
                continue;
            }
            assert_result(&r, BASE, DIAMETER_SUCCESS);
            struct cx_maa maa = read_maa(b, &r);
            for (unsigned k = 0; k < maa.n_sip_auth_data_item; k++, vectors++) {
                uint64_t seq = sqn_seq(answer_challenge(&maa.sip_auth_data_item[k]));
                assert_true(seq > highest);
                highest = seq;
            }
        }
        bench_crash_hss(b);
        /* What was outstanding fails, or is asked again of the new one and answered too late. */
        sim_run_until(b->sim, sim_now_us(b->sim) + 20 * SEC_IN_US);
        bench_start_hss(b);
        bench_wait_up(b);
    }
    assert_true(vectors > 500);
    assert_true(lost > 3);
}

static void no_acknowledged_assignment_is_lost_in_a_crash(void **state) {
    struct bench *b = *state;
    struct reply r;
    enum hss_registration acknowledged = HSS_NOT_REGISTERED;
    unsigned kept = 0, forgotten = 0;

    for (unsigned round = 0; round < 40; round++) {
        bool registers = round % 2 == 0;

        bench_sar(b, &b->scscf, registers ? 1 : 5, IMPI, IMPU, SCSCF_1, &r);
        sim_run_until(b->sim, sim_now_us(b->sim) + sim_random_below(b->sim, 7000));
        bool answered = r.come && r.error == OK;
        bench_crash_hss(b);
        sim_run_until(b->sim, sim_now_us(b->sim) + 20 * SEC_IN_US);
        bench_start_hss(b);
        bench_wait_up(b);
        enum hss_registration now = state_of(b, IMPU);
        if (answered) {
            assert_result(&r, BASE, DIAMETER_SUCCESS);
            assert_int_equal(now, registers ? HSS_REGISTERED : HSS_NOT_REGISTERED);
            kept++;
        } else {
            forgotten += now == acknowledged;
        }
        acknowledged = now;
    }
    assert_true(kept > 5);
    assert_true(forgotten > 5);
}

static void notes_end_by_themselves(void **state) {
    struct bench *b = *state;
    struct reply r;

    bench_mar(b, &b->scscf, IMPI, IMPU, SCSCF_1, 1, SPAN_NONE, &r);
    bench_wait(b, &r);
    sim_run_until(b->sim, sim_now_us(b->sim) + 299 * SEC_IN_US);
    bench_uar(b, &b->icscf, IMPI, IMPU, 0, &r);
    bench_wait(b, &r);
    assert_result(&r, X3GPP, DIAMETER_SUBSEQUENT_REGISTRATION);
    sim_run_until(b->sim, sim_now_us(b->sim) + 2 * SEC_IN_US);
    bench_uar(b, &b->icscf, IMPI, IMPU, 0, &r);
    bench_wait(b, &r);
    assert_result(&r, X3GPP, DIAMETER_FIRST_REGISTRATION);
}

static void an_s_cscf_that_is_gone_may_be_replaced(void **state) {
    struct bench *b = *state;
    struct reply r;

    bench_sar(b, &b->scscf, 1, IMPI, IMPU, SCSCF_1, &r);
    bench_wait(b, &r);
    bench_sar(b, &b->scscf, 2, IMPI, IMPU, SCSCF_2, &r);
    bench_wait(b, &r);
    assert_result(&r, X3GPP, DIAMETER_ERROR_IDENTITY_ALREADY_REGISTERED);
    bench_uar(b, &b->icscf, IMPI, IMPU, CX_USER_AUTHORIZATION_TYPE_REGISTRATION_AND_CAPABILITIES,
              &r);
    bench_wait(b, &r);
    assert_result(&r, BASE, DIAMETER_SUCCESS);
    bench_sar(b, &b->scscf, 1, IMPI, IMPU, SCSCF_2, &r);
    bench_wait(b, &r);
    assert_result(&r, BASE, DIAMETER_SUCCESS);
    bench_sar(b, &b->scscf, 2, IMPI, IMPU, SCSCF_1, &r);
    bench_wait(b, &r);
    assert_result(&r, X3GPP, DIAMETER_ERROR_IDENTITY_ALREADY_REGISTERED);
}

static void little_memory_is_enough(void **state) {
    struct bench *b = *state;
    struct reply r;
    char impi[64], impu[64], json[256];

    bench_crash_hss(b);
    b->config.cached_max = 2;
    sim_run_until(b->sim, sim_now_us(b->sim) + 20 * SEC_IN_US);
    bench_start_hss(b);
    bench_wait_up(b);
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 10; i < 20; i++) {
            snprintf(json, sizeof json,
                     "{\"imsi\":\"0010100000000%u\",\"k\":\"" K_HEX "\",\"op\":\"" K_HEX "\"}", i);
            snprintf(impi, sizeof impi, "0010100000000%u@" HOME, i);
            snprintf(impu, sizeof impu, "sip:0010100000000%u@" HOME, i);
            if (round == 0) {
                assert_int_equal(bench_web(b, "POST", "/subscriptions/sim", json), 201);
            }
            bench_sar(b, &b->scscf, 1, impi, impu, SCSCF_1, &r);
            bench_wait(b, &r);
            assert_result(&r, BASE, DIAMETER_SUCCESS);
        }
    }
    assert_int_equal(hss_counters(b->hss)->saves, 10);
    assert_true(hss_counters(b->hss)->cache_misses >= 20);
}

static void stopped(void *ctx) {
    *(bool *)ctx = true;
}

static void stopping_completes_what_is_under_way(void **state) {
    struct bench *b = *state;
    struct reply r;
    bool done = false;

    bench_sar(b, &b->scscf, 1, IMPI, IMPU, SCSCF_1, &r);
    sim_run_until(b->sim, sim_now_us(b->sim) + 1000);
    hss_stop(b->hss, stopped, &done);
    assert_false(done);
    sim_run_until(b->sim, sim_now_us(b->sim) + 10 * SEC_IN_US);
    assert_true(done);
    assert_result(&r, BASE, DIAMETER_SUCCESS);
    assert_false(b->scscf.up);
}

/* Whatever is under way when it dies: nothing leaks, nothing is touched afterwards (the sanitizers
 * look). */
static void it_may_die_at_any_moment(void **state) {
    for (unsigned us = 0; us < 12000; us += 237) {
        struct bench *b = bench_new(us, 3000, us % 2 ? 400 : 0);
        struct reply r[4];
        struct web_request web = {.method = SPAN("POST"),
                                  .path = SPAN("/subscriptions/sim"),
                                  .body = SPAN("{\"imsi\":\"001010000000002\",\"k\":\"" K_HEX
                                               "\",\"op\":\"" K_HEX "\"}")};

        (void)state;
        bench_add_sim(b);
        bench_sar(b, &b->scscf, 1, IMPI, IMPU, SCSCF_1, &r[0]);
        bench_mar(b, &b->scscf, IMPI, IMPU, SCSCF_1, 5, SPAN_NONE, &r[1]);
        bench_uar(b, &b->icscf, IMPI, IMPU, 0, &r[2]);
        bench_lir(b, &b->icscf, "sip:nobody@" HOME, &r[3]);
        hss_web(b->hss, &web, bench_note_web, b);
        sim_run_until(b->sim, sim_now_us(b->sim) + us);
        bench_crash_hss(b);
        bench_free(b);
    }
}

/* Whoever registers, his S-CSCF hears the identity that stands for the subscription, first of all.
 */
static void a_fixed_identity_comes_with_each_assignment(void **state) {
    struct bench *b = *state;
    struct reply r;

    b->config.fixed_impi = true;
    bench_restart(b);
    sim_run_until(b->sim, sim_now_us(b->sim) + 60 * SEC_IN_US); /* the clients are back */
    assert_int_equal(bench_web(b, "POST", "/subscriptions",
                               "{\"name\":\"the:smiths@home\",\"impis\":[{\"identity\":\"a@h\"},"
                               "{\"identity\":\"b@h\"}],\"impus\":[{\"identity\":\"sip:a@h\"}]}"),
                     201);
    bench_sar(b, &b->scscf, 1, "a@h", "sip:a@h", SCSCF_1, &r);
    bench_wait(b, &r);
    assert_result(&r, BASE, DIAMETER_SUCCESS);
    struct cx_saa saa = read_saa(b, &r);
    assert_true(span_eq(saa.user_name, SPAN("a@h")));
    assert_int_equal(saa.associated_identities->n_user_name, 3);
    assert_true(span_eq(saa.associated_identities->user_name[0],
                        SPAN("the%3Asmiths%40home@subscription." HOME)));
    assert_true(span_eq(saa.associated_identities->user_name[1], SPAN("a@h")));

    bench_sar(b, &b->scscf, 1, IMPI, IMPU, SCSCF_1, &r); /* the only one of his */
    bench_wait(b, &r);
    assert_result(&r, BASE, DIAMETER_SUCCESS);
    saa = read_saa(b, &r);
    assert_int_equal(saa.associated_identities->n_user_name, 2);
    assert_true(span_eq(saa.associated_identities->user_name[1], SPAN(IMPI)));
    bench_sar(b, &b->scscf, 5, IMPI, IMPU, SCSCF_1, &r);
    bench_wait(b, &r);
    assert_null(read_saa(b, &r).associated_identities);
}

int main(void) {
#define CX_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        CX_TEST(a_terminal_registers_and_leaves),
        cmocka_unit_test_setup_teardown(a_terminal_registers_and_leaves, setup_slow_reads,
                                        teardown),
        CX_TEST(refusals_have_the_standards_codes),
        cmocka_unit_test_setup_teardown(refusals_have_the_standards_codes, setup_slow_reads,
                                        teardown),
        CX_TEST(a_fixed_identity_comes_with_each_assignment),
        CX_TEST(keys_go_to_s_cscfs_alone),
        CX_TEST(an_agent_brings_keys_to_s_cscfs_alone),
        CX_TEST(an_assignment_is_answered_after_its_commit),
        CX_TEST(messages_of_a_subscription_wait_for_each_other),
        CX_TEST(a_conflict_is_decided_anew),
        CX_TEST(a_terminal_out_of_step_gets_it_right_after_its_auts),
        cmocka_unit_test_setup_teardown(a_terminal_out_of_step_gets_it_right_after_its_auts,
                                        setup_slow_reads, teardown),
        CX_TEST(no_sequence_number_comes_twice_over_crashes),
        CX_TEST(no_acknowledged_assignment_is_lost_in_a_crash),
        CX_TEST(notes_end_by_themselves),
        CX_TEST(an_s_cscf_that_is_gone_may_be_replaced),
        CX_TEST(little_memory_is_enough),
        CX_TEST(stopping_completes_what_is_under_way),
        cmocka_unit_test(it_may_die_at_any_moment),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
