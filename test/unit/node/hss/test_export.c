/* Exports as lines, pages while others write, and documents that are made to hurt.
 * covers: B6 HB6 */
#include "bench.h"

#include <jansson.h>

#include <sys/resource.h>
#include <time.h>

static int setup(void **state) {
    struct bench *b = bench_new(8, 2000, 0);
    b->config.keys_may_leave = true;
    bench_restart(b);
    *state = b;
    return 0;
}

static int setup_slow_reads(void **state) {
    *state = bench_new(9, 2000, 500);
    return 0;
}

static int teardown(void **state) {
    bench_free(*state);
    return 0;
}

#define RICH                                                                                       \
    "{\"capabilities\":{\"mandatory\":[1,2],\"optional\":[3],\"servers\":[\"sip:s.x\"]},"          \
    "\"charging\":{\"primary_ecf\":\"aaa://e.x\",\"primary_ccf\":\"aaa://c.x\","                   \
    "\"secondary_ccf\":\"aaa://d.x\"},"                                                            \
    "\"impis\":[{\"identity\":\"a@x\",\"k\":\"" K_HEX "\",\"opc\":\"" OPC_HEX "\","                \
    "\"amf\":\"8001\",\"password\":\"p\",\"privileged_sender\":true},"                             \
    "{\"identity\":\"b@x\",\"password\":\"q\",\"digest\":[\"MD5\"]}],"                             \
    "\"impus\":[{\"identity\":\"sip:a@x\",\"impi\":\"a@x\",\"set\":2,\"default\":true,"            \
    "\"display_name\":\"A \\\"quoted\\\" \\\\ \\u00e4\\u20ac\",\"alias_group\":\"g\","             \
    "\"visited_networks\":[\"v.x\",\"w.x\"]},"                                                     \
    "{\"identity\":\"tel:+447700900101\",\"impi\":\"a@x\",\"set\":2,\"alias_group\":\"g\","        \
    "\"display_name\":\"A \\\"quoted\\\" \\\\ \\u00e4\\u20ac\"},"                                  \
    "{\"identity\":\"sip:b@x\",\"barred\":true,\"visited_networks\":[]},"                          \
    "{\"identity\":\"sip:service@x\",\"type\":\"psi\",\"active\":false,"                           \
    "\"server_name\":\"sip:as.x\",\"loose_route\":true}]}"

/* As an export has it: without what GET alone shows. */
static void strip(json_t *s) {
    static const char *const members[] = {"key_check", "registration", "digest"};
    const char *const lists[] = {"impis", "impus"};
    json_object_del(s, "scscf");
    json_object_del(s, "version");
    for (size_t l = 0; l < COUNT_OF(lists); l++) {
        size_t i;
        json_t *item;
        json_array_foreach(json_object_get(s, lists[l]), i, item) {
            for (size_t m = 0; m < COUNT_OF(members); m++) {
                json_object_del(item, members[m]);
            }
        }
    }
}

static void assert_alike(struct bench *b, const char *credentials) {
    char path[128];
    snprintf(path, sizeof path, "/subscriptions/rich%s%s", *credentials ? "?" : "", credentials);
    assert_int_equal(bench_web(b, "GET", path, NULL), 200);
    json_t *shown = json_loads(b->body, 0, NULL);
    strip(shown);
    snprintf(path, sizeof path, "/subscriptions?format=lines&%s", credentials);
    assert_int_equal(bench_web(b, "GET", path, NULL), 200);
    json_t *line = json_loads(b->body, JSON_DISABLE_EOF_CHECK, NULL);
    assert_non_null(line);
    if (!json_equal(shown, line)) {
        print_message("%s\n%s\n", b->body, json_dumps(shown, JSON_COMPACT));
    }
    assert_true(json_equal(shown, line));
    json_decref(shown);
    json_decref(line);
}

static void a_line_has_what_get_shows(void **state) {
    struct bench *b = *state;
    if (bench_web(b, "PUT", "/subscriptions/rich", RICH) != 201) {
        fail_msg("%s", b->body);
    }
    assert_alike(b, "");
    assert_null(strstr(b->body, K_HEX));
    assert_alike(b, "credentials=digest");
    assert_null(strstr(b->body, K_HEX));
    assert_alike(b, "credentials=keys");
    assert_non_null(strstr(b->body, K_HEX));
}

static void an_export_can_be_imported(void **state) {
    struct bench *b = *state;
    assert_int_equal(bench_web(b, "PUT", "/subscriptions/rich", RICH), 201);
    assert_int_equal(bench_web(b, "GET", "/subscriptions?format=lines&credentials=keys", NULL),
                     200);
    char *line = strdup(b->body);
    assert_int_equal(bench_web(b, "DELETE", "/subscriptions/rich", NULL), 204);
    if (bench_web(b, "POST", "/imports/x", line) != 200) {
        fail_msg("%s", b->body);
    }
    assert_int_equal(bench_web(b, "GET", "/subscriptions?format=lines&credentials=keys", NULL),
                     200);
    assert_string_equal(b->body, line);
    free(line);
}

static void add_user(struct bench *b, unsigned i) {
    char body[128];
    snprintf(body, sizeof body, "{\"user\":\"u%u\",\"password\":\"p\"}", i);
    assert_int_equal(bench_web(b, "POST", "/subscriptions/sim", body), 201);
}

/* Reads all pages, while somebody deletes what was read and adds others. */
static void walk_pages(struct bench *b, const char *format) {
    unsigned seen[40] = {0};
    char after[64] = "0";
    for (unsigned i = 0; i < 20; i++) {
        add_user(b, i);
    }
    for (unsigned page = 0; page < 30 && *after; page++) {
        char path[128];
        snprintf(path, sizeof path, "/subscriptions?limit=3&after=%s%s", after, format);
        assert_int_equal(bench_web(b, "GET", path, NULL), 200);
        for (const char *at = b->body; (at = strstr(at, "\"name\"")) != NULL; at++) {
            unsigned i = (unsigned)strtoul(strchr(at, 'u') + 1, NULL, 10);
            assert_true(i < COUNT_OF(seen));
            seen[i]++;
        }
        json_t *json = *format ? NULL : json_loads(b->body, 0, NULL);
        const char *next = *format ? b->next : json_string_value(json_object_get(json, "next"));
        snprintf(after, sizeof after, "%s", next ? next : "");
        json_decref(json);
        if (page < 3) {
            snprintf(path, sizeof path, "/subscriptions/u%u", page * 7);
            assert_int_equal(bench_web(b, "DELETE", path, NULL), 204);
            add_user(b, 20 + page);
        }
    }
    for (unsigned i = 0; i < 23; i++) { /* 7 and 14 were gone before their page came */
        assert_int_equal(seen[i], i == 7 || i == 14 ? 0 : 1);
    }
}

static void pages_are_stable_under_writes(void **state) {
    walk_pages(*state, "");
}

static void pages_of_lines_are_too(void **state) {
    walk_pages(*state, "&format=lines");
}

/* Bombs. */

static char *repeat(const char *text, size_t n, const char *end) {
    size_t size = strlen(text), m = strlen(end);
    char *all = malloc(size * n + m + 1);
    assert_non_null(all);
    for (size_t i = 0; i < n; i++) {
        memcpy(all + i * size, text, size);
    }
    memcpy(all + size * n, end, m + 1);
    return all;
}

static long peak_kib(void) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return u.ru_maxrss;
}

static void bombs_are_refused_at_once(void **state) {
    static const struct {
        const char *text;
        size_t n;
        const char *end;
    } cases[] = {
        {"[", 100000, ""},
        {"{\"a\":", 100000, ""},
        {"[{\"impus\":", 100000, ""},
        {"{\"impis\":[],\"impus\":[", 1, "1e999]}"},
        {"{\"impis\":[],\"impus\":[", 1, "99999999999999999999999]}"},
        {"{\"impis\":[],\"version\":1,\"version\":2,\"impus\":[", 1, "]}"},
        {"9", 100000, ""},
        {"\"\\u0000", 1, "\""},
        {"\"\xff", 1, "\""},
        {"[0,", 1, "NaN]"},
        {"", 0, "<?xml version=\"1.0\"?><!DOCTYPE a [<!ENTITY a \"b\">]><a>&a;</a>"},
    };
    static const char *const paths[] = {"/subscriptions/a", "/profiles/a"};
    struct bench *b = *state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char *text = repeat(cases[i].text, cases[i].n, cases[i].end);
        for (size_t p = 0; p < COUNT_OF(paths); p++) {
            long before = peak_kib();
            clock_t began = clock();
            assert_int_equal(bench_web(b, "PUT", paths[p], text), 400);
            assert_int_equal(bench_web(b, "POST", "/subscriptions", text), 400);
            if (bench_web(b, "POST", "/imports/x?mode=all", text) != 422) {
                fail_msg("case %zu: %s", i, b->body);
            }
            assert_true((double)(clock() - began) / CLOCKS_PER_SEC < 3 * 0.05 + 0.1);
            assert_true(peak_kib() - before < 8192);
        }
        free(text);
    }
}

static void a_crowd_of_values_is_refused(void **state) {
    struct bench *b = *state;
    char *text = repeat("[],", 4100000, "");
    text[0] = '[';
    text[1] = ' ';
    long before = peak_kib();
    assert_int_equal(bench_web(b, "POST", "/subscriptions", text), 400);
    assert_true(peak_kib() - before < 8192);
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_line_has_what_get_shows, setup, teardown),
        cmocka_unit_test_setup_teardown(an_export_can_be_imported, setup, teardown),
        cmocka_unit_test_setup_teardown(pages_are_stable_under_writes, setup, teardown),
        cmocka_unit_test_setup_teardown(pages_of_lines_are_too, setup_slow_reads, teardown),
        cmocka_unit_test_setup_teardown(bombs_are_refused_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_crowd_of_values_is_refused, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
