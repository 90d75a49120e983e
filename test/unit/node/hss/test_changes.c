/* Conditional requests, writes that change nothing, and the log of changes, in simulation.
 * covers: B6 HA11 */
#include "bench.h"

#include <jansson.h>

static int setup(void **state) {
    struct bench *b = bench_new(7, 2000, 0);
    b->config.changes_max = 10;
    bench_restart(b);
    *state = b;
    return 0;
}

static int teardown(void **state) {
    bench_free(*state);
    return 0;
}

#define BOB                                                                                        \
    "{\"impis\":[{\"identity\":\"bob@x\",\"password\":\"%s\"}],"                                   \
    "\"impus\":[{\"identity\":\"sip:bob@x\",\"display_name\":\"%s\"}]}"

/* Puts the subscription bob; the status. */
static unsigned put(struct bench *b, const char *password, const char *name, const char *if_match,
                    const char *if_none_match) {
    char text[256];
    snprintf(text, sizeof text, BOB, password, name);
    b->if_match = span_from_cstr(if_match);
    b->if_none_match = span_from_cstr(if_none_match);
    unsigned status = bench_web(b, "PUT", "/subscriptions/bob", text);
    b->if_match = b->if_none_match = SPAN_NONE;
    return status;
}

static json_t *changes(struct bench *b, const char *query) {
    char path[128];
    snprintf(path, sizeof path, "/changes%s", query);
    assert_int_equal(bench_web(b, "GET", path, NULL), 200);
    json_t *page = json_loads(b->body, 0, NULL);
    assert_non_null(page);
    return page;
}

static size_t count(struct bench *b, const char *query) {
    json_t *page = changes(b, query);
    size_t n = json_array_size(json_object_get(page, "changes"));
    json_decref(page);
    return n;
}

static void lost_updates_are_refused(void **state) {
    struct bench *b = *state;

    assert_int_equal(put(b, "a", "Bob", "*", ""), 412);
    assert_int_equal(put(b, "a", "Bob", "\"1\"", ""), 412);
    assert_int_equal(put(b, "a", "Bob", "", "*"), 201);
    assert_string_equal(b->etag, "\"1\"");
    assert_int_equal(put(b, "a", "Robert", "", "*"), 412);
    assert_int_equal(put(b, "a", "Robert", "\"1\"", ""), 200);
    assert_string_equal(b->etag, "\"2\"");
    assert_int_equal(put(b, "a", "Bob", "\"1\"", ""), 412);
    assert_int_equal(put(b, "a", "Bob", "W/\"2\"", ""), 412);
    assert_int_equal(put(b, "a", "Bob", "\"7\", \"2\"", ""), 200);
    b->if_match = SPAN("\"2\"");
    assert_int_equal(bench_web(b, "DELETE", "/subscriptions/bob", NULL), 412);
    b->if_match = SPAN("\"3\"");
    assert_int_equal(bench_web(b, "DELETE", "/subscriptions/bob", NULL), 204);
}

static void who_has_it_is_not_shown_it_again(void **state) {
    struct bench *b = *state;

    assert_int_equal(put(b, "a", "Bob", "", ""), 201);
    b->if_none_match = SPAN("\"0\", W/\"1\"");
    assert_int_equal(bench_web(b, "GET", "/subscriptions/bob", NULL), 304);
    assert_string_equal(b->etag, "\"1\"");
    assert_string_equal(b->body, "");
    b->if_none_match = SPAN("\"0\"");
    assert_int_equal(bench_web(b, "GET", "/subscriptions/bob", NULL), 200);
}

static void the_same_again_changes_nothing(void **state) {
    struct bench *b = *state;

    assert_int_equal(put(b, "a", "Bob", "", ""), 201);
    assert_int_equal(put(b, "a", "Bob", "", ""), 200);
    assert_string_equal(b->etag, "\"1\"");
    assert_int_equal(bench_web(b, "PUT", "/profiles/gold", "{}"), 201);
    assert_int_equal(bench_web(b, "PUT", "/profiles/gold", "{}"), 200);
    assert_int_equal(count(b, ""), 2);
}

static void profiles_have_conditions_too(void **state) {
    struct bench *b = *state;
    char first[64];

    assert_int_equal(bench_web(b, "PUT", "/profiles/gold", "{}"), 201);
    snprintf(first, sizeof first, "%s", b->etag);
    b->if_match = span_from_cstr(first);
    assert_int_equal(bench_web(b, "PUT", "/profiles/gold", "{\"media_profile\":1}"), 200);
    assert_int_equal(bench_web(b, "PUT", "/profiles/gold", "{\"media_profile\":2}"), 412);
    assert_int_equal(bench_web(b, "DELETE", "/profiles/gold", NULL), 412);
}

static void assert_line(const json_t *change, size_t i, const char *text) {
    const char *line = json_string_value(json_array_get(json_object_get(change, "what"), i));

    assert_non_null(line);
    assert_string_equal(line, text);
}

static void each_change_is_in_the_log(void **state) {
    struct bench *b = *state;

    assert_int_equal(put(b, "a", "Bob", "", ""), 201);
    assert_int_equal(put(b, "b", "Bob", "", ""), 200);
    assert_int_equal(put(b, "b", "Robert", "", ""), 200);
    assert_int_equal(put(b, "b", "Robert", "\"1\"", ""), 412); /* refused: not in the log */
    assert_int_equal(bench_web(b, "DELETE", "/subscriptions/bob", NULL), 204);
    json_t *page = changes(b, ""), *list = json_object_get(page, "changes");
    assert_int_equal(json_array_size(list), 4);
    assert_line(json_array_get(list, 0), 0, "impis: + bob@x");
    assert_line(json_array_get(list, 0), 1, "impus: + sip:bob@x");
    assert_line(json_array_get(list, 1), 0, "impis bob@x: another password");
    assert_line(json_array_get(list, 2), 0, "impus sip:bob@x display_name: \"Bob\" -> \"Robert\"");
    assert_line(json_array_get(list, 3), 0, "impis: - bob@x");
    assert_int_equal(json_integer_value(json_object_get(json_array_get(list, 2), "version")), 3);
    assert_null(strstr(b->body, "ha1"));
    json_decref(page);
    bench_restart(b); /* it is as durable as the changes */
    assert_int_equal(count(b, ""), 4);
    assert_int_equal(count(b, "?after=3"), 1);
    assert_int_equal(count(b, "?after=-3&limit=2"), 2);
    assert_int_equal(count(b, "?name=bob&limit=1000"), 4);
    assert_int_equal(count(b, "?name=alice"), 0);
    assert_int_equal(bench_web(b, "GET", "/changes?limit=0", NULL), 400);
    assert_int_equal(bench_web(b, "GET", "/changes?after=x", NULL), 400);
    assert_int_equal(bench_web(b, "POST", "/changes", "{}"), 405);
    assert_int_equal(bench_web(b, "GET", "/changes/1", NULL), 404);
}

static void the_log_has_a_bound(void **state) {
    struct bench *b = *state;

    for (unsigned i = 0; i < 25; i++) {
        char body[64];
        snprintf(body, sizeof body, "{\"media_profile\":%u}", i + 1);
        assert_int_equal(bench_web(b, "PUT", "/profiles/gold", body), i ? 200 : 201);
    }
    json_t *page = changes(b, ""), *list = json_object_get(page, "changes");
    assert_int_equal(json_array_size(list), 10);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(list, 0), "number")), 16);
    assert_int_equal(json_integer_value(json_object_get(page, "last")), 25);
    assert_string_equal(json_string_value(json_object_get(page, "next")), "25");
    json_decref(page);
}

static void imports_are_one_entry(void **state) {
    struct bench *b = *state;

    bench_add_sim(b);
    assert_int_equal(bench_web(b, "POST", "/subscriptions/sim", SIM_JSON), 409);
    assert_int_equal(bench_web(b, "POST", "/imports/monday?mode=each",
                               "{\"user\":\"a\",\"password\":\"p\"}\n"
                               "{\"user\":\"b\",\"password\":\"p\"}\n" SIM_JSON),
                     200);
    assert_int_equal(
        bench_web(b, "POST", "/imports/tuesday?mode=check", "{\"user\":\"c\",\"password\":\"p\"}"),
        200);
    json_t *page = changes(b, ""), *list = json_object_get(page, "changes");
    const json_t *import = json_array_get(list, 1);
    assert_int_equal(json_array_size(list), 2);
    assert_string_equal(json_string_value(json_object_get(import, "kind")),
                        "subscriptions-imported");
    assert_string_equal(json_string_value(json_object_get(import, "name")), "monday");
    assert_int_equal(json_integer_value(json_object_get(import, "concerns")), 2);
    json_decref(page);
}

static void who_waits_hears_of_changes(void **state) {
    struct bench *b = *state;
    struct bench_answer waiting = {.status = 0}, over = {.status = 0};

    bench_web_begin(b, "GET", "/changes?wait=50", &waiting);
    bench_web_begin(b, "GET", "/changes?wait=1&after=5", &over);
    sim_run_until(b->sim, sim_now_us(b->sim) + 2 * SEC_IN_US);
    assert_int_equal(over.status, 200);
    assert_int_equal(waiting.status, 0);
    assert_int_equal(put(b, "a", "Bob", "", ""), 201);
    sim_run_until(b->sim, sim_now_us(b->sim) + SEC_IN_US);
    assert_int_equal(waiting.status, 200);
}

static void a_crowd_does_not_wait(void **state) {
    struct bench *b = *state;
    struct bench_answer waiting[64] = {{.status = 0}}, further = {.status = 0};

    for (size_t i = 0; i < COUNT_OF(waiting); i++) {
        bench_web_begin(b, "GET", "/changes?wait=50", &waiting[i]);
    }
    sim_run_until(b->sim, sim_now_us(b->sim) + SEC_IN_US);
    bench_web_begin(b, "GET", "/changes?wait=50", &further);
    sim_run_until(b->sim, sim_now_us(b->sim) + SEC_IN_US);
    assert_int_equal(further.status, 200);
    assert_int_equal(waiting[0].status, 0);
    assert_int_equal(put(b, "a", "Bob", "", ""), 201);
    sim_run_until(b->sim, sim_now_us(b->sim) + SEC_IN_US);
    for (size_t i = 0; i < COUNT_OF(waiting); i++) {
        assert_int_equal(waiting[i].status, 200);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lost_updates_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(who_has_it_is_not_shown_it_again, setup, teardown),
        cmocka_unit_test_setup_teardown(the_same_again_changes_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(profiles_have_conditions_too, setup, teardown),
        cmocka_unit_test_setup_teardown(each_change_is_in_the_log, setup, teardown),
        cmocka_unit_test_setup_teardown(the_log_has_a_bound, setup, teardown),
        cmocka_unit_test_setup_teardown(imports_are_one_entry, setup, teardown),
        cmocka_unit_test_setup_teardown(who_waits_hears_of_changes, setup, teardown),
        cmocka_unit_test_setup_teardown(a_crowd_does_not_wait, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
