/* The journal over HTTP: whose steps, and at what cost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "app/journal_web.h"
#include "rt/sim.h"

#include <string.h>
#include <time.h>

enum { STEPS_KEPT = 20000 };

struct answer {
    unsigned status;
    size_t steps;
};

static void take(void *ctx, const struct web_answer *a) {
    struct answer *out = ctx;
    out->status = a->status;
    struct span rest = a->body;
    for (size_t at; (at = span_find(rest, SPAN("\"wall_us\""))) < rest.n;) {
        rest = span_after(rest, at + 1);
        out->steps++;
    }
}

static struct answer ask(struct journal *j, struct span query) {
    struct answer answer = {0};
    const struct web_request request = {
        .method = SPAN("GET"), .path = SPAN("/journal"), .query = query};
    journal_web_handle(j, &request, take, &answer);
    return answer;
}

static void an_identity_with_thousands_of_requests_is_told_quickly(void **state) {
    (void)state;
    struct sim *sim;
    struct env *env;
    struct journal *j = journal_new((size_t)STEPS_KEPT * 512);
    assert_non_null(j);
    assert_int_equal(sim_new(1, &sim), OK);
    assert_int_equal(sim_env_new(sim, "pcscf", &env), OK);
    env->journal = j;
    for (unsigned i = 0; i < STEPS_KEPT; i++) {
        char text[32];
        struct buf b = buf_init(text, sizeof text);
        buf_printf(&b, "somebody's call %u", i / 2);
        journal_add(env, &(struct journal_note){.step = STEP_REFUSED,
                                                .impu = i % 2 ? SPAN_NONE : SPAN("sip:alice@home"),
                                                .call_id = buf_span(&b)});
    }
    clock_t began = clock();
    struct answer answer = ask(j, SPAN("identity=alice"));
    double took_s = (double)(clock() - began) / CLOCKS_PER_SEC;
    assert_int_equal(answer.status, 200);
    assert_int_equal(answer.steps, JOURNAL_ANSWER_MAX); /* both steps of each of its calls */
    assert_true(took_s < 0.5);
    assert_int_equal(ask(j, SPAN("identity=bob")).steps, 0);
    env->journal = NULL;
    env_close(env);
    sim_free(sim);
    journal_free(j);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_identity_with_thousands_of_requests_is_told_quickly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
