/* The journal keeps the newest steps; every reason has a name, a text and a remedy. */
#include "obs/journal.h"

#include "rt/sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

struct seen {
    size_t n;
    struct journal_entry first, last;
};

static void see(void *ctx, const struct journal_entry *e) {
    struct seen *s = ctx;
    if (s->n++ == 0) {
        s->first = *e;
    }
    s->last = *e;
}

static void the_newest_steps_are_kept_in_order(void **state) {
    struct sim *sim;
    struct env *env;
    struct seen s = {0};
    (void)state;
    assert_int_equal(sim_new(1, &sim), OK);
    assert_int_equal(sim_env_new(sim, "scscf", &env), OK);
    journal_add(env, &(struct journal_note){.step = STEP_REFUSED}); /* nobody keeps one */
    env->journal = journal_new(10 * sizeof(struct journal_entry));
    assert_non_null(env->journal);
    for (unsigned i = 0; i < 25; i++) {
        char name[300];
        struct buf b = buf_init(name, sizeof name);
        buf_u64(&b, i);
        for (unsigned k = 0; k < 200 && i == 24; k++) {
            buf_char(&b, 'x');
        }
        journal_add(env, &(struct journal_note){.step = STEP_REFUSED,
                                                .reason = REASON_HSS_SILENT,
                                                .status = 480,
                                                .impi = buf_span(&b)});
    }
    journal_each(env->journal, see, &s);
    assert_int_equal(s.n, 10);
    assert_string_equal(s.first.impi, "15");
    assert_string_equal(s.first.node, "scscf");
    assert_int_equal(strlen(s.last.impi), JOURNAL_IDENTITY - 1); /* cut */
    assert_int_equal(s.last.status, 480);
    assert_int_equal(journal_reasons(env->journal)[REASON_HSS_SILENT], 25);
    journal_free(env->journal);
    env_close(env);
    sim_free(sim);
}

static void every_reason_says_what_and_what_then(void **state) {
    (void)state;
    for (unsigned r = REASON_NONE + 1; r < REASONS; r++) {
        const char *name = reason_name((enum reason)r);
        assert_int_equal(reason_of(span_from_cstr(name)), r);
        assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz-"), strlen(name));
        assert_true(strlen(reason_text((enum reason)r)) > 3);
        assert_true(strlen(reason_mend((enum reason)r)) > 6);
        assert_true(strlen(reason_nodes((enum reason)r)) >= 2);
    }
    assert_int_equal(reason_of(SPAN("no-such-reason")), REASON_NONE);
    for (unsigned s = 0; s < STEPS; s++) {
        assert_true(strlen(journal_step_name((enum journal_step)s)) > 4);
        assert_true(strlen(journal_step_text((enum journal_step)s)) > 4);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_newest_steps_are_kept_in_order),
        cmocka_unit_test(every_reason_says_what_and_what_then),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
