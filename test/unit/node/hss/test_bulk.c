/* covers: B6
 * Long imports over the web interface, in simulation: parts, positions, crashes between them. */
#include "bench.h"

#include <jansson.h>

static int setup(void **state) {
    *state = bench_new(5, 2000, 0);
    return 0;
}

static int teardown(void **state) {
    bench_free(*state);
    return 0;
}

static long number(struct bench *b, const char *name) {
    json_t *json = json_loads(b->body, 0, NULL);
    long n = (long)json_integer_value(json_object_get(json, name));

    assert_non_null(json);
    json_decref(json);
    return n;
}

static bool says(const struct bench *b, const char *text) {
    return strstr(b->body, text) != NULL;
}

static long stored(struct bench *b) {
    assert_int_equal(bench_web(b, "GET", "/subscriptions?limit=1", NULL), 200);
    return number(b, "total");
}

/* SIMs with these numbers, one a line. */
static const char *sims(unsigned from, unsigned n) {
    static char text[1 << 16];
    struct buf b = buf_init(text, sizeof text - 1);

    for (unsigned i = from; i < from + n; i++) {
        buf_printf(&b, "{\"imsi\":\"00101%010u\",\"k\":\"" K_HEX "\",\"opc\":\"" OPC_HEX "\"}\n",
                   i);
    }
    assert_false(b.overflow);
    text[b.n] = '\0';
    return text;
}

static void each_part_is_stored_with_its_position(void **state) {
    struct bench *b = *state;

    assert_int_equal(bench_web(b, "GET", "/imports/monday", NULL), 404);
    assert_int_equal(bench_web(b, "POST", "/imports/monday?mode=each&to=5", sims(0, 5)), 200);
    assert_int_equal(number(b, "added"), 5);
    assert_int_equal(
        bench_web(b, "POST", "/imports/monday?mode=each&from=5&to=9&line=6", sims(4, 4)), 200);
    assert_int_equal(number(b, "added"), 3);
    assert_int_equal(number(b, "total"), 8);
    assert_int_equal(number(b, "refused"), 1);
    assert_true(says(b, "\"line\": 6"));
    assert_true(says(b, "identity-taken"));
    assert_int_equal(bench_web(b, "GET", "/imports/monday", NULL), 200);
    assert_true(says(b, "\"position\": \"9\""));
    assert_int_equal(number(b, "total"), 8);

    /* What was done is not done again, and what would leave a gap is not done at all. */
    assert_int_equal(bench_web(b, "POST", "/imports/monday?mode=each&from=5&to=9", sims(5, 4)),
                     409);
    assert_true(says(b, "\"rule\": \"position\""));
    assert_int_equal(bench_web(b, "POST", "/imports/monday?mode=each&from=11&to=12", sims(50, 1)),
                     409);
    assert_int_equal(bench_web(b, "POST", "/imports/tuesday?mode=each&from=9&to=12", sims(50, 1)),
                     409);
    assert_int_equal(stored(b), 8);
    assert_int_equal(bench_web(b, "DELETE", "/imports/monday", NULL), 204);
    assert_int_equal(bench_web(b, "GET", "/imports/monday", NULL), 404);
}

static void all_or_none_waits_for_the_last_part(void **state) {
    struct bench *b = *state;

    assert_int_equal(bench_web(b, "POST", "/imports/x?to=3", sims(0, 3)), 200);
    assert_int_equal(bench_web(b, "POST", "/imports/x?from=3&to=6", sims(3, 3)), 200);
    assert_int_equal(stored(b), 0);
    assert_int_equal(bench_web(b, "POST", "/imports/x?from=3&to=6", sims(3, 3)), 409);
    assert_int_equal(bench_web(b, "POST", "/imports/x?from=6&to=8&last=yes", sims(6, 2)), 200);
    assert_int_equal(number(b, "added"), 8);
    assert_int_equal(stored(b), 8);
    assert_int_equal(bench_web(b, "GET", "/imports/x", NULL), 200);
    assert_true(says(b, "\"position\": \"8\""));

    /* One fault of form in the first part, one identity that an earlier line has. */
    assert_int_equal(bench_web(b, "POST", "/imports/x?to=1", "{\"imsi\":\"x\"}"), 200);
    assert_int_equal(number(b, "refused"), 1);
    assert_int_equal(bench_web(b, "POST", "/imports/x?from=1&to=3&line=2", sims(20, 2)), 200);
    assert_int_equal(bench_web(b, "POST", "/imports/x?from=3&to=4&line=4&last=yes", sims(21, 1)),
                     422);
    assert_int_equal(number(b, "refused"), 2);
    assert_true(says(b, "line 3 has 001010000000021, too"));
    assert_int_equal(stored(b), 8);
}

static void one_request_is_enough(void **state) {
    struct bench *b = *state;

    assert_int_equal(bench_web(b, "POST", "/imports/x?mode=check", sims(0, 4)), 200);
    assert_int_equal(number(b, "added"), 4);
    assert_int_equal(stored(b), 0);
    assert_int_equal(bench_web(b, "POST", "/imports/x", sims(0, 4)), 200);
    assert_int_equal(stored(b), 4);
    assert_int_equal(bench_web(b, "POST", "/imports/y", sims(3, 4)), 422);
    assert_int_equal(stored(b), 4);
}

static void what_is_asked_wrongly_is_refused(void **state) {
    struct bench *b = *state;
    static const struct {
        const char *method, *path;
        unsigned status;
    } cases[] = {
        {"POST", "/imports", 404},
        {"POST", "/imports/x/y", 404},
        {"PUT", "/imports/x", 405},
        {"POST", "/imports/x?mode=some", 400},
        {"POST", "/imports/x?line=one", 400},
        {"POST", "/imports/x?from=1", 400},
        {"GET", "/subscriptions?credentials=all", 400},
        {"GET", "/subscriptions?credentials=keys", 403},
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_int_equal(bench_web(b, cases[i].method, cases[i].path, sims(0, 1)), cases[i].status);
    }
    assert_int_equal(stored(b), 0);
}

static void memory_for_all_or_none_is_bounded(void **state) {
    struct bench *b = *state;

    hss_free(b->hss);
    env_close(b->hss_env);
    b->config.import_max = 100;
    bench_start_hss(b);
    bench_wait_up(b);
    assert_int_equal(bench_web(b, "POST", "/imports/x?to=3", sims(0, 3)), 413);
    assert_int_equal(bench_web(b, "POST", "/imports/x?from=3&to=4", sims(3, 1)), 409);
    assert_int_equal(bench_web(b, "POST", "/imports/x?mode=check", sims(0, 3)), 413);
    assert_int_equal(stored(b), 0);
}

static void a_client_that_has_gone_is_forgotten(void **state) {
    struct bench *b = *state;
    char path[64];

    for (unsigned i = 0; i < 5; i++) {
        snprintf(path, sizeof path, "/imports/n%u?to=1", i);
        assert_int_equal(bench_web(b, "POST", path, sims(i, 1)), i < 4 ? 200 : 503);
    }
    sim_run_until(b->sim, sim_now_us(b->sim) + 61 * SEC_IN_US);
    assert_int_equal(bench_web(b, "POST", "/imports/n0?from=1&to=2", sims(9, 1)), 409);
    assert_int_equal(bench_web(b, "POST", path, sims(4, 1)), 200);
}

/* Requests that overlap. */

struct later {
    unsigned status;
    char body[4096];
};

static void note(void *ctx, const struct web_answer *answer) {
    struct later *l = ctx;

    l->status = answer->status;
    assert_true(
        span_to_cstr(span_slice(answer->body, 0, sizeof l->body - 1), l->body, sizeof l->body));
}

static void begin(struct bench *b, struct later *l, const char *query, const char *body) {
    struct web_request r = {.method = SPAN("POST"),
                            .path = SPAN("/imports/x"),
                            .query = span_from_cstr(query),
                            .body = span_from_cstr(body)};

    *l = (struct later){0};
    hss_web(b->hss, &r, note, l);
}

static void the_next_request_is_read_while_one_is_stored(void **state) {
    struct bench *b = *state;
    struct later first, second, third;
    static char with_profile[1 << 15], many[1 << 16];
    const char *alice =
        "{\"name\":\"a\",\"impis\":[{\"identity\":\"a@x\"}],\"impus\":[{\"identity\":"
        "\"sip:a@x\",\"profile\":\"gold\"}]}";

    snprintf(many, sizeof many, "%s", sims(0, 400));
    snprintf(with_profile, sizeof with_profile, "%s", "{\"profile\":{\"name\":\"gold\"}}\n");
    begin(b, &first, "mode=each&to=1", with_profile);
    begin(b, &second, "mode=each&from=1&to=2", alice);
    begin(b, &third, "mode=each&from=2&to=3", many);
    sim_run_until(b->sim, sim_now_us(b->sim) + SEC_IN_US);
    assert_int_equal(first.status, 200);
    assert_int_equal(second.status, 200);
    assert_int_equal(third.status, 200);
    assert_non_null(strstr(second.body, "\"added\": 1"));
    assert_non_null(strstr(third.body, "\"total\": 401"));
}

/* An HSS that crashes again and again, and a client that goes on where it was. */
static void after_any_crash_nothing_is_missing_or_twice(void **state) {
    enum { PARTS = 12, LINES = 7 };

    (void)state;
    for (uint64_t seed = 0; seed < 60; seed++) {
        struct bench *b = bench_new(seed, 3000, 0);
        unsigned at = 0, crashes = 0;
        static struct later l[2];

        while (at < PARTS) {
            char query[2][64];
            unsigned ahead = at + 1 < PARTS ? 2 : 1;

            for (unsigned i = 0; i < ahead; i++) {
                char from[24] = "";

                if (at + i) {
                    snprintf(from, sizeof from, "from=%u&", at + i);
                }
                snprintf(query[i], sizeof query[i], "mode=each&%sto=%u", from, at + i + 1);
                begin(b, &l[i], query[i], sims((at + i) * LINES, LINES));
            }
            uint64_t random = (seed + 1) * 0x9e3779b97f4a7c15u * (at + 7 + crashes);
            if (crashes < 20 && (random >> 40) % 2) {
                sim_run_until(b->sim, sim_now_us(b->sim) + (random >> 20) % 9000);
                bench_crash_hss(b);
                bench_start_hss(b);
                bench_wait_up(b);
                crashes++;
            } else {
                sim_run_until(b->sim, sim_now_us(b->sim) + SEC_IN_US);
            }
            unsigned status = bench_web(b, "GET", "/imports/x", NULL);
            json_t *json = json_loads(b->body, 0, NULL);
            const char *position = json_string_value(json_object_get(json, "position"));
            assert_true(status == 200 || status == 404);
            at = position ? (unsigned)strtoul(position, NULL, 10) : 0;
            assert_int_equal(json_integer_value(json_object_get(json, "total")), at * LINES);
            json_decref(json);
            assert_int_equal(stored(b), at * LINES);
        }
        bench_free(b);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_part_is_stored_with_its_position, setup, teardown),
        cmocka_unit_test_setup_teardown(all_or_none_waits_for_the_last_part, setup, teardown),
        cmocka_unit_test_setup_teardown(one_request_is_enough, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_asked_wrongly_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(memory_for_all_or_none_is_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(a_client_that_has_gone_is_forgotten, setup, teardown),
        cmocka_unit_test_setup_teardown(the_next_request_is_read_while_one_is_stored, setup,
                                        teardown),
        cmocka_unit_test(after_any_crash_nothing_is_missing_or_twice),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
