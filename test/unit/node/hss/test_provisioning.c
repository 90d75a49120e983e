/* covers: B6 HA11
 * The HSS's web interface, in simulation. */
#include "bench.h"

#include <jansson.h>

static int setup(void **state) {
    *state = bench_new(3, 2000, 0);
    return 0;
}

static int setup_slow_reads(void **state) {
    *state = bench_new(4, 2000, 500);
    return 0;
}

static int teardown(void **state) {
    bench_free(*state);
    return 0;
}

static json_t *body(struct bench *b) {
    json_t *json = json_loads(b->body, 0, NULL);

    assert_non_null(json);
    return json;
}

static void assert_member(struct bench *b, const char *name, const char *value) {
    json_t *json = body(b);
    const char *found = json_string_value(json_object_get(json, name));

    if (!found || strcmp(found, value) != 0) {
        print_message("%s\n", b->body);
    }
    assert_non_null(found);
    assert_string_equal(found, value);
    json_decref(json);
}

#define FAMILY                                                                                     \
    "{\"name\":\"smith\",\"capabilities\":{\"mandatory\":[1,2],\"optional\":[3],"                  \
    "\"servers\":[\"sip:scscf.x:6060\"]},\"charging\":{\"primary_ccf\":\"aaa://ccf.x\"},"          \
    "\"impis\":[{\"identity\":\"alice@x\",\"k\":\"" K_HEX "\",\"op\":\"" K_HEX "\"},"              \
    "{\"identity\":\"bob@x\",\"k\":\"" K_HEX "\",\"opc\":\"" OPC_HEX "\",\"amf\":\"8001\"}],"      \
    "\"impus\":[{\"identity\":\"tel:+441632960100\",\"set\":1},"                                   \
    "{\"identity\":\"tel:+61255501234\",\"set\":1,\"profile\":\"australia\"},"                     \
    "{\"identity\":\"sip:alice@x\",\"impi\":\"alice@x\",\"set\":2,\"default\":true,"               \
    "\"display_name\":\"Alice\",\"visited_networks\":[\"other.x\"]},"                              \
    "{\"identity\":\"sip:alice.work@x\",\"impi\":\"alice@x\"}]}"
#define AUSTRALIA                                                                                  \
    "{\"name\":\"australia\",\"media_profile\":4,\"service_ids\":[\"urn:a\"],"                     \
    "\"shared_ifc_sets\":[7],\"filter_criteria\":[{\"priority\":9,\"server_name\":\"sip:as2.x\"}," \
    "{\"priority\":1,\"part\":\"unregistered\",\"server_name\":\"sip:as1.x\","                     \
    "\"on_failure\":\"terminate\",\"service_info\":\"a<b\",\"include_register_request\":true,"     \
    "\"cnf\":true,\"triggers\":[{\"groups\":[0,2],\"negated\":true,\"method\":\"REGISTER\","       \
    "\"registration_types\":[\"initial\",\"de\"]},{\"groups\":[1],\"header\":{\"name\":\"From\","  \
    "\"content\":\".*\"}},{\"groups\":[1],\"session_case\":\"terminating_unregistered\"},"         \
    "{\"groups\":[1],\"request_uri\":\"sip:.*\"},{\"groups\":[1],\"session_description\":"         \
    "{\"line\":\"m\"}}]}]}"

static void a_sim_makes_a_whole_subscription(void **state) {
    struct bench *b = *state;

    bench_add_sim(b);
    assert_int_equal(bench_web(b, "GET", "/subscriptions/" IMSI, NULL), 200);
    json_t *json = body(b), *impus = json_object_get(json, "impus");
    assert_int_equal(json_array_size(impus), 3);
    assert_string_equal(json_string_value(json_object_get(json_array_get(impus, 0), "identity")),
                        IMPU);
    assert_true(json_is_true(json_object_get(json_array_get(impus, 0), "default")));
    assert_string_equal(json_string_value(json_object_get(json_array_get(impus, 1), "identity")),
                        TEL);
    assert_string_equal(json_string_value(json_object_get(json_array_get(impus, 2), "identity")),
                        TEMP);
    assert_true(json_is_true(json_object_get(json_array_get(impus, 2), "barred")));
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(json_integer_value(json_object_get(json_array_get(impus, i), "set")), 1);
    }
    json_decref(json);
    assert_int_equal(bench_web(b, "POST", "/subscriptions/sim", SIM_JSON), 409);
    assert_member(b, "rule", "identity-taken");
}

static void keys_are_never_shown(void **state) {
    struct bench *b = *state;
    static const char *const paths[] = {"/subscriptions", "/subscriptions/" IMSI,
                                        "/subscriptions?identity=" TEL};

    bench_add_sim(b);
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        assert_int_equal(bench_web(b, "GET", paths[i], NULL), 200);
        assert_null(strstr(b->body, K_HEX));
        assert_null(strstr(b->body, OPC_HEX));
        assert_non_null(strstr(b->body, "key_check"));
    }
    /* Not in problems either, whatever is wrong with them. */
    assert_int_equal(bench_web(b, "POST", "/subscriptions/sim",
                               "{\"imsi\":\"001010000000009\",\"k\":\"" K_HEX "\",\"op\":\"" K_HEX
                               "\",\"opc\":\"" OPC_HEX "\"}"),
                     422);
    assert_member(b, "rule", "op-or-opc");
    assert_null(strstr(b->body, K_HEX));
    assert_int_equal(bench_web(b, "POST", "/subscriptions/sim",
                               "{\"imsi\":\"001010000000009\",\"k\":\"" K_HEX
                               "0\",\"opc\":\"" OPC_HEX "\"}"),
                     422);
    assert_member(b, "rule", "key-form");
    assert_null(strstr(b->body, "465b5ce8"));
}

static void op_and_opc_are_told_apart(void **state) {
    struct bench *b = *state;
    char check[3][16];
    /* TS 35.208 test set 1: OP and its OPc. */
    static const char *const sims[] = {
        "{\"imsi\":\"001010000000001\",\"k\":\"465b5ce8b199b49faa5f0a2ee238a6bc\","
        "\"op\":\"cdc202d5123e20f62b6d676ac72cb318\"}",
        "{\"imsi\":\"001010000000002\",\"k\":\"465b5ce8b199b49faa5f0a2ee238a6bc\","
        "\"opc\":\"cd63cb71954a9f4e48a5994e37a02baf\"}",
        "{\"imsi\":\"001010000000003\",\"k\":\"465b5ce8b199b49faa5f0a2ee238a6bc\","
        "\"opc\":\"cdc202d5123e20f62b6d676ac72cb318\"}"};

    for (size_t i = 0; i < 3; i++) {
        char path[64];
        assert_int_equal(bench_web(b, "POST", "/subscriptions/sim", sims[i]), 201);
        snprintf(path, sizeof path, "/subscriptions/00101000000000%zu", i + 1);
        assert_int_equal(bench_web(b, "GET", path, NULL), 200);
        json_t *json = body(b);
        const char *value = json_string_value(
            json_object_get(json_array_get(json_object_get(json, "impis"), 0), "key_check"));
        assert_int_equal(strlen(value), 6);
        snprintf(check[i], sizeof check[i], "%s", value);
        json_decref(json);
    }
    assert_string_equal(check[0], check[1]);
    assert_string_not_equal(check[1], check[2]);
}

static void a_subscription_is_made_replaced_and_deleted(void **state) {
    struct bench *b = *state;
    struct reply r;

    assert_int_equal(bench_web(b, "PUT", "/subscriptions/smith", FAMILY), 422);
    assert_member(b, "rule", "profile-exists");
    assert_member(b, "pointer", "/impus/1/profile");
    assert_int_equal(bench_web(b, "PUT", "/profiles/australia", AUSTRALIA), 201);
    assert_int_equal(bench_web(b, "PUT", "/profiles/australia", AUSTRALIA), 200);
    assert_int_equal(bench_web(b, "PUT", "/subscriptions/smith", FAMILY), 201);
    bench_sar(b, &b->scscf, 1, "bob@x", "tel:+61255501234", SCSCF_1, &r);
    bench_wait(b, &r);
    assert_result(&r, BASE, DIAMETER_SUCCESS);

    /* What GET gives, PUT takes; keys and registrations stay. */
    assert_int_equal(bench_web(b, "GET", "/subscriptions/smith", NULL), 200);
    assert_member(b, "scscf", SCSCF_1);
    char *copy = strdup(b->body);
    assert_int_equal(bench_web(b, "PUT", "/subscriptions/smith", copy), 200);
    memcpy(strstr(copy, "\"Alice\""), "\"Aline\"", 7);
    assert_int_equal(bench_web(b, "PUT", "/subscriptions/smith", copy), 200);
    assert_int_equal(bench_web(b, "PUT", "/subscriptions/smith", copy), 409);
    assert_member(b, "rule", "version");
    free(copy);
    assert_member(b, "pointer", "/version");
    bench_mar(b, &b->scscf, "bob@x", "tel:+441632960100", SCSCF_1, 1, SPAN_NONE, &r);
    bench_wait(b, &r);
    assert_result(&r, BASE, DIAMETER_SUCCESS);
    bench_lir(b, &b->icscf, "tel:+441632960100", &r);
    bench_wait(b, &r);
    assert_result(&r, BASE, DIAMETER_SUCCESS);

    /* Bob leaves, and his registration with him. */
    assert_int_equal(bench_web(b, "PUT", "/subscriptions/smith",
                               "{\"impis\":[{\"identity\":\"alice@x\"}],"
                               "\"impus\":[{\"identity\":\"tel:+441632960100\",\"set\":1}]}"),
                     200);
    bench_lir(b, &b->icscf, "tel:+441632960100", &r);
    bench_wait(b, &r);
    assert_result(&r, X3GPP, DIAMETER_ERROR_IDENTITY_NOT_REGISTERED);
    bench_lir(b, &b->icscf, "sip:alice@x", &r);
    bench_wait(b, &r);
    assert_result(&r, X3GPP, DIAMETER_ERROR_USER_UNKNOWN);
    bench_mar(b, &b->scscf, "alice@x", "tel:+441632960100", SCSCF_1, 1, SPAN_NONE, &r);
    bench_wait(b, &r);
    assert_result(&r, BASE, DIAMETER_SUCCESS); /* her key has stayed */

    assert_int_equal(bench_web(b, "DELETE", "/subscriptions/smith", NULL), 204);
    assert_int_equal(bench_web(b, "DELETE", "/subscriptions/smith", NULL), 404);
    assert_int_equal(bench_web(b, "GET", "/subscriptions/smith", NULL), 404);
    bench_uar(b, &b->icscf, "alice@x", "tel:+441632960100", 0, &r);
    bench_wait(b, &r);
    assert_result(&r, X3GPP, DIAMETER_ERROR_USER_UNKNOWN);
}

static void profiles_show_what_was_put_and_serve(void **state) {
    struct bench *b = *state;
    struct reply r;
    struct cx_saa saa;
    struct diameter_fault fault;
    struct userdata *u;

    assert_int_equal(bench_web(b, "PUT", "/profiles/australia", AUSTRALIA), 201);
    assert_int_equal(bench_web(b, "GET", "/profiles/australia", NULL), 200);
    char *copy = strdup(b->body);
    assert_int_equal(bench_web(b, "PUT", "/profiles/copy", copy), 422);
    assert_int_equal(bench_web(b, "PUT", "/profiles/australia", copy), 200);
    assert_string_equal(b->body, copy); /* a fixed point */
    free(copy);
    assert_int_equal(bench_web(b, "PUT", "/subscriptions/smith", FAMILY), 201);
    bench_lir(b, &b->icscf, "tel:+61255501234", &r); /* has criteria for the unregistered state */
    bench_wait(b, &r);
    assert_result(&r, X3GPP, DIAMETER_UNREGISTERED_SERVICE);
    bench_sar(b, &b->scscf, 3, NULL, "tel:+61255501234", SCSCF_1, &r);
    bench_wait(b, &r);
    assert_result(&r, BASE, DIAMETER_SUCCESS);
    assert_int_equal(cx_saa_decode(&b->arena, &r.msg, &saa, &fault), OK);
    assert_true(span_eq(saa.user_name, SPAN("alice@x")));
    assert_int_equal(saa.associated_identities->n_user_name, 2);
    assert_true(span_eq(saa.charging_information->primary_charging_collection_function_name,
                        SPAN("aaa://ccf.x")));
    assert_int_equal(userdata_scan(saa.user_data, &b->arena, &u), OK);
    assert_int_equal(u->n_profiles, 2);
    assert_true(span_eq(u->profiles[0].identities[0].identity, SPAN("tel:+441632960100")));
    const struct userdata_profile *australia = &u->profiles[1];
    assert_int_equal(australia->n_ifcs, 2);
    assert_int_equal(australia->ifcs[0].priority, 1);
    assert_true(australia->ifcs[0].terminate_on_failure && australia->ifcs[0].cnf);
    assert_true(span_eq(australia->ifcs[0].service_info, SPAN("a<b")));
    assert_int_equal(australia->ifcs[0].n_spts, 5);
    assert_int_equal(australia->ifcs[0].spts[0].registration_types, 5);
    assert_int_equal(australia->n_shared_ifc_sets, 0); /* the S-CSCF did not say that it has any */
    assert_int_equal(australia->media_profile, 4);

    assert_int_equal(bench_web(b, "DELETE", "/profiles/australia", NULL), 409);
    assert_member(b, "rule", "profile-in-use");
    assert_int_equal(bench_web(b, "DELETE", "/subscriptions/smith", NULL), 204);
    assert_int_equal(bench_web(b, "DELETE", "/profiles/australia", NULL), 204);
    assert_int_equal(bench_web(b, "GET", "/profiles/australia", NULL), 404);
    assert_int_equal(bench_web(b, "DELETE", "/profiles/default", NULL), 204);
    assert_int_equal(bench_web(b, "GET", "/profiles/default", NULL), 200);
    assert_int_equal(bench_web(b, "GET", "/profiles", NULL), 200);
}

static void each_fault_names_rule_and_member(void **state) {
    static const struct {
        const char *method, *path, *body;
        unsigned status;
        const char *rule, *pointer;
    } rows[] = {
        {"PUT", "/subscriptions/a", "{", 400, "json", ""},
        {"PUT", "/subscriptions/a", "", 400, "json", ""},
        {"PUT", "/subscriptions/a", "{\"a\":1,\"a\":2}", 400, "json", ""},
        {"PUT", "/subscriptions/a", "[]", 422, "member-type", ""},
        {"PUT", "/subscriptions/a", "{\"x\":1}", 422, "member-unknown", "/x"},
        {"PUT", "/subscriptions/a", "{\"name\":\"b\"}", 422, "subscription-name", "/name"},
        {"PUT", "/subscriptions/a", "{\"impis\":{}}", 422, "member-type", "/impis"},
        {"PUT", "/subscriptions/a", "{\"impis\":[7]}", 422, "member-type", "/impis/0"},
        {"PUT", "/subscriptions/a", "{\"impis\":[{}]}", 422, "member-missing", "/impis/0/identity"},
        {"PUT", "/subscriptions/a", "{\"impis\":[{\"identity\":\"a@b\",\"k\":\"00\"}]}", 422,
         "key-form", "/impis/0/k"},
        {"PUT", "/subscriptions/a",
         "{\"impis\":[{\"identity\":\"a@b\"}],\"impus\":[{\"identity\":\"sip:a@b\",\"set\":0}]}",
         422, "set-number", "/impus/0/set"},
        {"PUT", "/subscriptions/a",
         "{\"impis\":[{\"identity\":\"a@b\"}],\"impus\":[{\"identity\":\"sip:a@b\","
         "\"impi\":\"c@d\"}]}",
         422, "impu-impi", "/impus/0/impi"},
        {"PUT", "/subscriptions/a",
         "{\"impis\":[{\"identity\":\"a@b\"}],\"impus\":[{\"identity\":\"mailto:a@b\"}]}", 422,
         "impu-form", "/impus/0/identity"},
        {"PUT", "/subscriptions/a",
         "{\"impis\":[{\"identity\":\"a@b\"}],\"impus\":[{\"identity\":\"sip:a@b\","
         "\"barred\":1}]}",
         422, "member-type", "/impus/0/barred"},
        {"PUT", "/subscriptions/a", "{\"charging\":{\"primary_ccf\":\"ccf\"}}", 422,
         "charging-form", "/charging/primary_ccf"},
        {"PUT", "/subscriptions/a", "{\"capabilities\":{\"mandatory\":[-1]}}", 422, "member-type",
         "/capabilities/mandatory"},
        {"POST", "/subscriptions/sim", "{\"imsi\":\"12a\"}", 422, "imsi", "/imsi"},
        {"POST", "/subscriptions/sim", "{\"imsi\":\"001010000000001\",\"msisdn\":\"0\"}", 422,
         "msisdn", "/msisdn"},
        {"POST", "/subscriptions/sim", "[" SIM_JSON ",{\"imsi\":\"001010000000002\"}]", 422,
         "op-or-opc", "/1"},
        {"POST", "/subscriptions", "{\"subscriptions\":[{\"name\":\"a\"}]}", 422, "impi-count",
         "/subscriptions/0/impis"},
        {"POST", "/subscriptions", "{\"profiles\":[{\"name\":\"a/b\"}]}", 422, "profile-name",
         "/profiles/0/name"},
        {"PUT", "/profiles/p", "{\"filter_criteria\":[{\"priority\":1,\"server_name\":\"as\"}]}",
         422, "server-name-form", "/filter_criteria/0/server_name"},
        {"PUT", "/profiles/p",
         "{\"filter_criteria\":[{\"priority\":1,\"server_name\":\"sip:as\",\"triggers\":[{}]}]}",
         422, "trigger-kind", "/filter_criteria/0/triggers"},
    };
    struct bench *b = *state;

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        unsigned status = bench_web(b, rows[i].method, rows[i].path, rows[i].body);
        if (status != rows[i].status) {
            print_message("%s\n%s\n", rows[i].body, b->body);
        }
        assert_int_equal(status, rows[i].status);
        assert_member(b, "rule", rows[i].rule);
        assert_member(b, "pointer", rows[i].pointer);
    }
    assert_int_equal(store_count(b->store), 0);
    assert_int_equal(hss_counters(b->hss)->provisioned, 0);
}

static void paths_and_methods_that_do_not_exist(void **state) {
    static const struct {
        const char *method, *path;
        unsigned status;
    } rows[] = {
        {"GET", "/", 404},
        {"GET", "/keys", 404},
        {"GET", "/subscriptions/a/b", 404},
        {"GET", "/subscriptions/%00", 404},
        {"GET", "/subscriptions/..%2f..%2fetc", 404},
        {"DELETE", "/subscriptions", 405},
        {"POST", "/profiles", 405},
        {"POST", "/subscriptions/a", 405},
        {"PATCH", "/profiles/a", 405},
        {"get", "/subscriptions", 405},
        {"GET", "/subscriptions?limit=0", 400},
        {"GET", "/subscriptions?limit=1001", 400},
        {"GET", "/subscriptions?after=x", 400},
        {"GET", "/subscriptions?identity=sip:nobody@x", 404},
    };
    struct bench *b = *state;

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(bench_web(b, rows[i].method, rows[i].path, NULL), rows[i].status);
    }
}

static void an_import_is_all_or_nothing(void **state) {
    struct bench *b = *state;

    assert_int_equal(bench_web(b, "POST", "/subscriptions",
                               "{\"profiles\":[" AUSTRALIA "],\"subscriptions\":[" FAMILY ","
                               "{\"name\":\"jones\",\"impis\":[{\"identity\":\"eve@x\"}],"
                               "\"impus\":[{\"identity\":\"sip:alice@x\"}]}]}"),
                     409);
    assert_member(b, "pointer", "/subscriptions/1/impus/0/identity");
    assert_int_equal(store_count(b->store), 0);
    assert_int_equal(bench_web(b, "GET", "/profiles/australia", NULL), 404);
    assert_int_equal(bench_web(b, "POST", "/subscriptions",
                               "{\"profiles\":[" AUSTRALIA "],\"subscriptions\":[" FAMILY "]}"),
                     201);
    assert_int_equal(bench_web(b, "GET", "/profiles/australia", NULL), 200);
    assert_int_equal(bench_web(b, "GET", "/subscriptions?identity=bob@x", NULL), 200);
    assert_member(b, "name", "smith");
    /* One a line. */
    assert_int_equal(bench_web(b, "POST", "/subscriptions",
                               "#{\"name\":\"l1\",\"impis\":[{\"identity\":\"l1@x\"}],\"impus\":"
                               "[{\"identity\":\"sip:l1@x\"}]}\n\n"
                               "{\"name\":\"l2\",\"impis\":[{\"identity\":\"l2@x\"}],\"impus\":"
                               "[{\"identity\":\"sip:l2@x\"}]}\n"),
                     201);
    assert_int_equal(store_count(b->store), 3);
    assert_int_equal(bench_web(b, "POST", "/subscriptions", "#{}\n{\"a\n"), 400);
    assert_non_null(strstr(b->body, "line 2"));
    assert_int_equal(bench_web(b, "POST", "/subscriptions", "[]"), 201);
    assert_int_equal(bench_web(b, "POST", "/subscriptions",
                               "{\"name\":\"one\",\"impis\":[{\"identity\":\"one@x\"}],\"impus\":"
                               "[{\"identity\":\"sip:one@x\"}]}"),
                     201);
}

static void the_list_comes_in_pages(void **state) {
    struct bench *b = *state;
    char path[128] = "/subscriptions?limit=4", text[4096];
    struct buf all = buf_init(text, sizeof text);
    unsigned pages = 0, seen = 0;

    buf_char(&all, '[');
    for (unsigned i = 0; i < 10; i++) {
        buf_printf(&all,
                   "%s{\"imsi\":\"0010100000000%u\",\"k\":\"" K_HEX "\",\"op\":\"" K_HEX "\"}",
                   i ? "," : "", 10 + i);
    }
    buf_char(&all, ']');
    buf_char(&all, '\0');
    assert_int_equal(bench_web(b, "POST", "/subscriptions/sim", text), 201);
    for (;;) {
        assert_int_equal(bench_web(b, "GET", path, NULL), 200);
        json_t *json = body(b);
        const char *next = json_string_value(json_object_get(json, "next"));
        assert_int_equal(json_integer_value(json_object_get(json, "total")), 10);
        seen += (unsigned)json_array_size(json_object_get(json, "subscriptions"));
        pages++;
        if (!next) {
            json_decref(json);
            break;
        }
        snprintf(path, sizeof path, "/subscriptions?limit=4&after=%s", next);
        json_decref(json);
    }
    assert_int_equal(seen, 10);
    assert_int_equal(pages, 3);
}

static void a_change_is_answered_after_its_commit_and_kept(void **state) {
    struct bench *b = *state;
    uint64_t before = store_memory_flushes(b->store);

    bench_add_sim(b);
    assert_int_equal(store_memory_flushes(b->store), before + 1);
    assert_int_equal(bench_web(b, "PUT", "/profiles/australia", AUSTRALIA), 201);
    bench_crash_hss(b);
    sim_run_until(b->sim, sim_now_us(b->sim) + SEC_IN_US);
    bench_start_hss(b);
    bench_wait_up(b);
    assert_int_equal(bench_web(b, "GET", "/subscriptions/" IMSI, NULL), 200);
    assert_int_equal(bench_web(b, "GET", "/profiles/australia", NULL), 200);
    assert_int_equal(bench_web(b, "GET", "/profiles/default", NULL), 200);
}

/* A body of random damage: answered with a problem or taken, never worse. */
static void damaged_bodies_do_no_harm(void **state) {
    struct bench *b = *state;
    char text[sizeof FAMILY];

    assert_int_equal(bench_web(b, "PUT", "/profiles/australia", AUSTRALIA), 201);
    srand(7);
    for (unsigned round = 0; round < 1500; round++) {
        const char *source = round % 2 ? FAMILY : AUSTRALIA;
        size_t n = strlen(source);

        memcpy(text, source, n + 1);
        for (int k = rand() % 4; k >= 0; k--) {
            text[(size_t)rand() % n] = "{}[]\",:0123456789abcdef\\u-x"[rand() % 27];
        }
        unsigned status =
            bench_web(b, "PUT", round % 2 ? "/subscriptions/smith" : "/profiles/australia", text);
        assert_true(status == 200 || status == 201 || status == 400 || status == 422);
    }
}

int main(void) {
#define WEB_TEST(test)  cmocka_unit_test_setup_teardown(test, setup, teardown)
#define SLOW_TEST(test) cmocka_unit_test_setup_teardown(test, setup_slow_reads, teardown)
    const struct CMUnitTest tests[] = {
        WEB_TEST(a_sim_makes_a_whole_subscription),
        WEB_TEST(keys_are_never_shown),
        WEB_TEST(op_and_opc_are_told_apart),
        WEB_TEST(a_subscription_is_made_replaced_and_deleted),
        SLOW_TEST(a_subscription_is_made_replaced_and_deleted),
        WEB_TEST(profiles_show_what_was_put_and_serve),
        SLOW_TEST(profiles_show_what_was_put_and_serve),
        WEB_TEST(each_fault_names_rule_and_member),
        WEB_TEST(paths_and_methods_that_do_not_exist),
        WEB_TEST(an_import_is_all_or_nothing),
        WEB_TEST(the_list_comes_in_pages),
        SLOW_TEST(the_list_comes_in_pages),
        WEB_TEST(a_change_is_answered_after_its_commit_and_kept),
        WEB_TEST(damaged_bodies_do_no_harm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
