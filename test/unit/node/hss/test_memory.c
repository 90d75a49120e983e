/* covers: HF7
 * Memory that runs out: every allocation of a registration and of provisioning fails in turn.
 * Whatever that leads to (an error, silence, success all the same), nothing crashes, leaks or is
 * promised wrongly, and afterwards everything works. */
#include "bench.h"

static long left = -1; /* allocations until one fails; -1: none does */

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);

static bool fails(void) {
    return left >= 0 && left-- == 0;
}

void *__wrap_malloc(size_t n) {
    return fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size) {
    return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n) {
    return fails() ? NULL : __real_realloc(p, n);
}

static bool send_begun(struct bench *b, struct client *c, struct reply *r) {
    memset(r, 0, sizeof *r);
    r->sim = b->sim;
    return diameter_request_send(c->d, &bench_answers, r, NULL) == OK;
}

static void settle(struct bench *b) {
    sim_run_until(b->sim, sim_now_us(b->sim) + SEC_IN_US);
}

static enum hss_registration seen_state;

static void seen(void *ctx, enum hss_registration state, struct span scscf) {
    (void)ctx;
    (void)scscf;
    seen_state = state;
}

/* MAR and SAR with the nth allocation failing. */
static void register_with_failure(struct bench *b, long n) {
    struct span impu = SPAN(IMPU);
    struct cx_sar sar = {.user_name = SPAN(IMPI),
                         .public_identity = &impu,
                         .n_public_identity = 1,
                         .server_name = SPAN(SCSCF_1),
                         .server_assignment_type = 1};
    struct cx_mar mar = {
        .user_name = SPAN(IMPI),
        .public_identity = impu,
        .sip_auth_data_item = {.sip_authentication_scheme = SPAN("Digest-AKAv1-MD5")},
        .sip_number_auth_items = 2,
        .server_name = SPAN(SCSCF_1)};
    static struct reply r[2];

    left = n;
    cx_mar_encode(bench_begin(&b->scscf, CX_COMMAND_MULTIMEDIA_AUTH), &mar);
    if (send_begun(b, &b->scscf, &r[0])) {
        settle(b);
    }
    cx_sar_encode(bench_begin(&b->scscf, CX_COMMAND_SERVER_ASSIGNMENT), &sar);
    if (send_begun(b, &b->scscf, &r[1])) {
        settle(b);
    }
    left = -1;
    sim_run_until(b->sim, sim_now_us(b->sim) + 30 * SEC_IN_US);
    if (r[1].come && !r[1].error && r[1].result.code == DIAMETER_SUCCESS) {
        hss_inspect(b->hss, impu, seen, NULL);
        assert_int_equal(seen_state, HSS_REGISTERED);
    }
}

static void registration_survives_every_failed_allocation(void **state) {
    (void)state;
    for (long n = 0; n < 120; n++) {
        struct bench *b = bench_new(9, 1000, 0);
        struct reply r;

        bench_add_sim(b);
        register_with_failure(b, n);
        bench_wait_up(b);
        bench_mar(b, &b->scscf, IMPI, IMPU, SCSCF_1, 1, SPAN_NONE, &r);
        bench_wait(b, &r);
        assert_result(&r, BASE, DIAMETER_SUCCESS);
        bench_sar(b, &b->scscf, 2, IMPI, IMPU, SCSCF_1, &r);
        bench_wait(b, &r);
        assert_result(&r, BASE, DIAMETER_SUCCESS);
        bench_free(b);
    }
}

static void provisioning_survives_every_failed_allocation(void **state) {
    unsigned made = 0, refused = 0;

    (void)state;
    for (long n = 0; n < 400; n++) {
        struct bench *b = bench_new(10, 1000, 0);
        struct web_request r = {
            .method = SPAN("POST"), .path = SPAN("/subscriptions/sim"), .body = SPAN(SIM_JSON)};

        left = n;
        b->status = 0;
        hss_web(b->hss, &r, bench_note_web, b);
        settle(b);
        left = -1;
        settle(b);
        if (b->status == 201) {
            made++;
            assert_int_equal(bench_web(b, "GET", "/subscriptions/" IMSI, NULL), 200);
        } else {
            refused++;
            unsigned again = bench_web(b, "POST", "/subscriptions/sim", SIM_JSON);
            assert_true(again == 201 || again == 409);
        }
        bench_free(b);
    }
    assert_true(made > 100 && refused > 5);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(registration_survives_every_failed_allocation),
        cmocka_unit_test(provisioning_survives_every_failed_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
