/* covers: A5 HF11 */
#include "rt/sim.h"
#include "stack/dns/zone_source.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct world {
    struct sim *sim;
    struct env *env;
    struct dns_source source; /* answers what `records` says */
    const struct dns_record *records;
    size_t n_records;
    struct dns_exchange *asked;
    struct dns_exchange x;
    enum error error;
    size_t n;
    struct dns_record first;
    char alias[256];
    int done, cancelled;
};

static void on_answer(struct dns_exchange *x, const struct dns_answer *answer) {
    struct world *w = CONTAINER_OF(x, struct world, x);
    w->done++;
    w->error = answer->error;
    w->n = answer->n;
    if (answer->n) {
        w->first = answer->records[0];
    }
    memcpy(w->alias, answer->alias.p ? answer->alias.p : "", answer->alias.n);
    w->alias[answer->alias.n] = '\0';
}

static void take(struct dns_source *source, struct dns_exchange *x) {
    CONTAINER_OF(source, struct world, source)->asked = x;
}

static void forget(struct dns_source *source, struct dns_exchange *x) {
    (void)x;
    CONTAINER_OF(source, struct world, source)->cancelled++;
}

static int set_up(void **state) {
    static const struct dns_source_ops ops = {take, forget};
    static struct world w;
    w = (struct world){.source = {&ops}};
    assert_int_equal(sim_new(7, &w.sim), OK);
    assert_int_equal(sim_env_new(w.sim, "pcscf", &w.env), OK);
    *state = &w;
    return 0;
}

static int tear_down(void **state) {
    struct world *w = *state;
    dns_cancel(&w->x);
    env_close(w->env);
    sim_free(w->sim);
    return 0;
}

static void ask(struct world *w, const char *name, enum dns_type type) {
    w->done = 0;
    dns_ask(&w->source, w->env, span_from_cstr(name), type, env_now_us(w->env) + SEC_IN_US, &w->x,
            on_answer);
}

/* Asks for icscf.home.net's address, and has these records answered. */
static void answer(struct world *w, const struct dns_record *records, size_t n) {
    ask(w, "icscf.home.net", DNS_A);
    dns_answer(w->asked, &(struct dns_answer){.records = records, .n = n});
    assert_int_equal(w->done, 1);
}

#define A(name_, ttl_, a_, b_, c_, d_)                                                             \
    {                                                                                              \
        .name = SPAN_INIT(name_), .type = DNS_A, .ttl_s = (ttl_), .address = {                     \
            .family = 4,                                                                           \
            .ip = {a_, b_, c_, d_}                                                                 \
        }                                                                                          \
    }
#define CNAME(name_, ttl_, alias_)                                                                 \
    { .name = SPAN_INIT(name_), .type = DNS_CNAME, .ttl_s = (ttl_), .alias = SPAN_INIT(alias_) }

static void records_of_other_names_are_not_believed(void **state) {
    const struct dns_record records[] = {A("www.bank.example", 60, 192, 0, 2, 66),
                                         A("icscf.home.net.evil.example", 60, 192, 0, 2, 66),
                                         A("ICSCF.home.net", 60, 192, 0, 2, 1)};
    answer(*state, records, 3);
    const struct world *w = *state;
    assert_int_equal(w->n, 1);
    assert_int_equal(w->first.address.ip[3], 1);
}

static void aliases_lead_to_what_they_mean(void **state) {
    const struct dns_record records[] = {A("c.home.net", 60, 192, 0, 2, 1),
                                         CNAME("b.home.net", 10, "c.home.net"),
                                         CNAME("icscf.home.net", 300, "b.home.net")};
    const struct world *w = *state;
    answer(*state, records, 3);
    assert_int_equal(w->n, 1);
    assert_int_equal(w->first.ttl_s, 10); /* the least of the chain */
    answer(*state, records + 1, 2);
    assert_int_equal(w->n, 0);
    assert_string_equal(w->alias, "c.home.net"); /* to be asked for */
}

static void aliases_that_run_in_a_circle_are_malformed(void **state) {
    const struct dns_record records[] = {CNAME("icscf.home.net", 10, "b.home.net"),
                                         CNAME("b.home.net", 10, "icscf.home.net")};
    answer(*state, records, 2);
    assert_int_equal(((struct world *)*state)->error, ERR_MALFORMED);
}

static void addresses_at_which_nobody_can_be_are_left_out(void **state) {
    const struct dns_record records[] = {
        A("icscf.home.net", 60, 0, 0, 0, 0), A("icscf.home.net", 60, 224, 0, 0, 1),
        A("icscf.home.net", 60, 255, 255, 255, 255), A("icscf.home.net", 60, 127, 0, 0, 9)};
    answer(*state, records, 4);
    const struct world *w = *state;
    assert_int_equal(w->n, 1);
    assert_int_equal(w->first.address.ip[0], 127);
}

static void what_is_believed_is_bounded(void **state) {
    struct dns_record records[DNS_RECORDS_MAX];
    for (uint8_t i = 0; i < DNS_RECORDS_MAX; i++) {
        records[i] = (struct dns_record)A("icscf.home.net", 60, 10, 0, 0, i);
    }
    answer(*state, records, DNS_RECORDS_MAX);
    assert_int_equal(((struct world *)*state)->n, DNS_BELIEVED_MAX);
}

static void silence_ends_at_the_deadline(void **state) {
    struct world *w = *state;
    ask(w, "icscf.home.net", DNS_A);
    sim_run_until(w->sim, sim_now_us(w->sim) + 999 * MS_IN_US);
    assert_int_equal(w->done, 0);
    sim_run_until(w->sim, sim_now_us(w->sim) + 2 * MS_IN_US);
    assert_int_equal(w->done, 1);
    assert_int_equal(w->error, ERR_TIMEOUT);
    assert_int_equal(w->cancelled, 1);
}

static void impossible_names_are_not_found(void **state) {
    struct world *w = *state;
    char name[300];
    memset(name, 'a', sizeof name);
    name[sizeof name - 1] = '\0';
    ask(w, name, DNS_A);
    assert_int_equal(w->done, 0);
    sim_run_until(w->sim, sim_now_us(w->sim) + MS_IN_US);
    assert_int_equal(w->error, ERR_NOT_FOUND);
    assert_null(w->asked);
}

static void a_cancelled_question_is_silent(void **state) {
    struct world *w = *state;
    ask(w, "icscf.home.net", DNS_A);
    dns_cancel(&w->x);
    dns_cancel(&w->x);
    sim_run_until(w->sim, sim_now_us(w->sim) + 2 * SEC_IN_US);
    assert_int_equal(w->done, 0);
    assert_int_equal(w->cancelled, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(records_of_other_names_are_not_believed),
        TEST(aliases_lead_to_what_they_mean),
        TEST(aliases_that_run_in_a_circle_are_malformed),
        TEST(addresses_at_which_nobody_can_be_are_left_out),
        TEST(what_is_believed_is_bounded),
        TEST(silence_ends_at_the_deadline),
        TEST(impossible_names_are_not_found),
        TEST(a_cancelled_question_is_silent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
