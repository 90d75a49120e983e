#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rt/timers.h"

#include <stdlib.h>

/* A wheel beside a list that is searched: whatever is started, stopped and advanced, both must fire
 * the same timers in the same order. */

enum { TIMERS = 200, STEPS = 40000 };

struct model {
    struct timers wheel;
    struct timer timers[TIMERS];
    bool runs[TIMERS];
    uint64_t tick[TIMERS];  /* when the model has it fire */
    uint64_t order[TIMERS]; /* counts starts */
    uint64_t starts;
    uint64_t now_us;
    uint64_t random;
    uint64_t fired;
};

static uint64_t draw(struct model *m) {
    m->random ^= m->random << 13;
    m->random ^= m->random >> 7;
    m->random ^= m->random << 17;
    return m->random;
}

static struct model *the_model; /* struct timer has no room for it */

/* Delays of all magnitudes, often the same few, sometimes 0. */
static uint64_t some_delay(struct model *m) {
    uint64_t kind = draw(m) % 10;
    return kind < 2 ? 0 : kind < 5 ? (draw(m) % 8) * 500 : draw(m) % (UINT64_C(1) << draw(m) % 40);
}

static void start(struct model *m, size_t i, uint64_t due_us, uint64_t wheel_tick) {
    timers_start(&m->wheel, &m->timers[i], due_us);
    m->runs[i] = true;
    m->tick[i] = (due_us + 999) / 1000;
    if (m->tick[i] <= wheel_tick) {
        m->tick[i] = wheel_tick + 1;
    }
    m->order[i] = m->starts++;
    assert_true(timer_is_running(&m->timers[i]));
}

static void stop(struct model *m, size_t i) {
    timer_stop(&m->timers[i]);
    m->runs[i] = false;
    assert_false(timer_is_running(&m->timers[i]));
}

static bool first_due(const struct model *m, size_t *first) {
    bool found = false;
    for (size_t i = 0; i < TIMERS; i++) {
        if (m->runs[i] && (!found || m->tick[i] < m->tick[*first] ||
                           (m->tick[i] == m->tick[*first] && m->order[i] < m->order[*first]))) {
            *first = i;
            found = true;
        }
    }
    return found;
}

static void fire(struct timer *t) {
    struct model *m = the_model;
    size_t i = (size_t)(t - m->timers), expected = TIMERS;
    assert_true(first_due(m, &expected));
    assert_int_equal(i, expected);
    assert_true(m->tick[i] <= m->now_us / 1000);
    assert_false(timer_is_running(t));
    uint64_t tick = m->tick[i];
    m->runs[i] = false;
    m->fired++;
    if (draw(m) % 4 == 0) {
        stop(m, draw(m) % TIMERS);
    }
    if (draw(m) % 3 == 0) {
        start(m, draw(m) % TIMERS, m->now_us + some_delay(m), tick);
    }
}

static void the_wheel_fires_as_a_sorted_list_would(void **state) {
    (void)state;
    struct model *m = calloc(1, sizeof *m);
    assert_non_null(m);
    the_model = m;
    m->random = 88172645463325252u;
    m->now_us = 123456789012;
    timers_init(&m->wheel, m->now_us);
    for (size_t i = 0; i < TIMERS; i++) {
        timer_init(&m->timers[i], fire);
    }
    for (int step = 0; step < STEPS; step++) {
        switch (draw(m) % 3) {
        case 0:
            start(m, draw(m) % TIMERS, m->now_us + some_delay(m), m->now_us / 1000);
            break;
        case 1:
            stop(m, draw(m) % TIMERS);
            break;
        default: {
            size_t first = 0;
            uint64_t next = timers_next_us(&m->wheel);
            if (first_due(m, &first)) {
                assert_true(next <= m->tick[first] * 1000);
                assert_true(next > m->now_us);
            } else {
                assert_true(next == TIMERS_NEVER);
            }
            m->now_us += draw(m) % 2 ? draw(m) % 5000 : draw(m) % (UINT64_C(1) << draw(m) % 38);
            timers_advance(&m->wheel, m->now_us);
            if (first_due(m, &first)) {
                assert_true(m->tick[first] > m->now_us / 1000);
            }
        }
        }
    }
    assert_true(m->fired > STEPS / 10);
    for (size_t i = 0; i < TIMERS; i++) {
        stop(m, i);
    }
    assert_int_equal(m->wheel.count, 0);
    assert_true(timers_next_us(&m->wheel) == TIMERS_NEVER);
    free(m);
}

struct bell {
    struct timers wheel;
    struct timer timer;
    uint64_t rang_at; /* tick */
};

static void ring(struct timer *t) {
    struct bell *b = CONTAINER_OF(t, struct bell, timer);
    b->rang_at = b->wheel.tick;
}

static void following_next_reaches_an_expiry_in_few_steps(void **state) {
    (void)state;
    struct bell b;
    timers_init(&b.wheel, 0);
    timer_init(&b.timer, ring);
    static const uint64_t delays_us[] = {
        1, 999, 1000, 64000, 32 * SEC_IN_US, 3600 * SEC_IN_US, 86400 * 365 * SEC_IN_US};
    for (size_t i = 0; i < COUNT_OF(delays_us); i++) {
        uint64_t due_us = b.wheel.tick * 1000 + delays_us[i], steps = 0;
        timers_start(&b.wheel, &b.timer, due_us);
        while (timer_is_running(&b.timer)) {
            timers_advance(&b.wheel, timers_next_us(&b.wheel));
            steps++;
        }
        assert_int_equal(b.rang_at, (due_us + 999) / 1000);
        assert_true(steps <= TIMERS_LEVELS);
    }
}

static void never_is_a_delay_too(void **state) {
    (void)state;
    struct bell b;
    timers_init(&b.wheel, 5 * SEC_IN_US);
    timer_init(&b.timer, ring);
    timers_start(&b.wheel, &b.timer, UINT64_MAX);
    timers_advance(&b.wheel, 100 * 365 * UINT64_C(86400) * SEC_IN_US);
    assert_true(timer_is_running(&b.timer));
    timer_stop(&b.timer);
    timer_stop(&b.timer);
    assert_true(timers_next_us(&b.wheel) == TIMERS_NEVER);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_wheel_fires_as_a_sorted_list_would),
        cmocka_unit_test(following_next_reaches_an_expiry_in_few_steps),
        cmocka_unit_test(never_is_a_delay_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
