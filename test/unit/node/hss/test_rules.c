/* covers: B6
 * Bad documents, one for each rule that no other test breaks; nothing of them is stored. */
#include "bench.h"

#include <jansson.h>

static int setup(void **state) {
    *state = bench_new(9, 2000, 0);
    return 0;
}

static int teardown(void **state) {
    bench_free(*state);
    return 0;
}

static void refused(struct bench *b, const char *path, const char *body, const char *rule) {
    unsigned status = bench_web(b, "PUT", path, body);
    json_t *json = json_loads(b->body, 0, NULL);
    const char *found = json_string_value(json_object_get(json, "rule"));

    if (status != 422 || !found || strcmp(found, rule) != 0) {
        fail_msg("%s wanted of %.300s\n%u %s", rule, body, status, b->body);
    }
    json_decref(json);
    assert_int_equal(bench_web(b, "GET", path, NULL), 404);
}

#undef IMPI
#undef IMPU
#define IMPI(members)                                                                              \
    "{\"impis\":[{\"identity\":\"a@b\"" members "}],\"impus\":[{\"identity\":\"sip:a@b\"}]}"
#define IMPU(members)                                                                              \
    "{\"impis\":[{\"identity\":\"a@b\"}],\"impus\":[{\"identity\":\"sip:a@b\"" members "}]}"
#define KEYS ",\"k\":\"" K_HEX "\",\"opc\":\"" OPC_HEX "\""

static void each_rule_of_a_subscription_is_kept(void **state) {
    static const struct {
        const char *body, *rule;
    } rows[] = {
        {IMPI(KEYS ",\"amf\":\"80\""), "amf-form"},
        {IMPI(",\"password\":\"\\u0001\""), "password-form"},
        {IMPI(",\"password\":\"x\",\"ha1_md5\":\"" K_HEX "\""), "password-or-ha1"},
        {IMPI(",\"ha1_md5\":\"00\""), "ha1-form"},
        {IMPI(",\"password\":\"x\",\"digest_realm\":\"a\\\"b\""), "digest-realm"},
        {IMPI(",\"password\":\"x\",\"digest\":[\"SHA-1\"]"), "digest-algorithm"},
        {IMPU(",\"visited_networks\":[\"a b\"]"), "visited-network"},
        {IMPU(",\"type\":\"service\""), "identity-type"},
        {IMPU(",\"type\":\"psi\",\"server_name\":\"as\""), "psi-server-name"},
        {IMPU(",\"active\":false"), "psi-member"},
        {"{\"impis\":[{\"identity\":\"a@b\"}],\"impus\":[{\"identity\":\"sip:a!.*!@b\"}]}",
         "wildcard-form"},
        {"{\"impis\":[{\"identity\":\"a@b\"}],\"impus\":[{\"identity\":\"sip:a!(!@b\",\"type\":"
         "\"wildcarded_psi\"}]}",
         "wildcard-form"},
    };
    struct bench *b = *state;

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        refused(b, "/subscriptions/a", rows[i].body, rows[i].rule);
    }
}

static char text[6 << 20];

/* before, n times piece (in which %u is its number), after. */
static const char *many(const char *before, const char *piece, unsigned n, const char *after) {
    struct buf b = buf_init(text, sizeof text - 1);

    buf_cstr(&b, before);
    for (unsigned i = 0; i < n; i++) {
        struct span rest = span_from_cstr(piece);
        size_t at = span_find(rest, SPAN("%u"));
        buf_cstr(&b, i ? "," : "");
        buf_put(&b, span_slice(rest, 0, at));
        if (at < rest.n) {
            buf_u64(&b, i + 100);
            buf_put(&b, span_after(rest, at + 2));
        }
    }
    buf_cstr(&b, after);
    assert_false(b.overflow);
    text[b.n] = '\0';
    return text;
}

static void there_is_never_too_much(void **state) {
    static char long_text[20000];
    static char piece[20100];
    struct bench *b = *state;

    memset(long_text, 'x', sizeof long_text - 1);
    refused(b, "/subscriptions/a",
            many("{\"capabilities\":{\"mandatory\":[", "%u", 65,
                 "]},\"impis\":[{\"identity\":\"a@b\"}],\"impus\":[{\"identity\":\"sip:a@b\"}]}"),
            "capability-count");
    refused(b, "/subscriptions/a",
            many("{\"impis\":[{\"identity\":\"a@b\"}],\"impus\":[", "{\"identity\":\"sip:%u@b\"}",
                 65, "]}"),
            "set-count");
    refused(b, "/subscriptions/a",
            many("{\"impis\":[{\"identity\":\"a@b\"}],\"impus\":[{\"identity\":\"sip:a@b\","
                 "\"set\":1},",
                 "{\"identity\":\"tel:+44%u!.!\",\"set\":1,\"type\":\"wildcarded_user\"}", 65,
                 "]}"),
            "wildcard-count");
    refused(b, "/profiles/p", many("{\"service_ids\":[", "\"urn:%u\"", 65, "]}"), "list-count");
    refused(b, "/profiles/p", "{\"service_ids\":[\"\"]}", "service-id");
    snprintf(piece, sizeof piece,
             "{\"priority\":%%u,\"server_name\":\"sip:as\",\"service_info\":\"%.16000s\"}",
             long_text);
    refused(b, "/profiles/p", many("{\"filter_criteria\":[", piece, 256, "]}"), "too-big");
    snprintf(piece, sizeof piece,
             "{\"priority\":%%u,\"server_name\":\"sip:as\",\"service_info\":\"%.17000s\"}",
             long_text);
    refused(b, "/profiles/p", many("{\"filter_criteria\":[", piece, 1, "]}"), "service-info");
    snprintf(piece, sizeof piece,
             "{\"priority\":%%u,\"server_name\":\"sip:as\",\"triggers\":[{\"groups\":[0],"
             "\"header\":{\"name\":\"To\",\"content\":\"%.1100s\"}}]}",
             long_text);
    refused(b, "/profiles/p", many("{\"filter_criteria\":[", piece, 1, "]}"), "trigger-content");
    refused(b, "/shared-ifc-sets/7", "{\"number\":8,\"filter_criteria\":[]}", "shared-set-number");
    refused(b, "/shared-ifc-sets/7", "{\"service_ids\":[]}", "member-unknown");
}

/* Criteria of a profile and of its shared sets are ordered together. */
static void priorities_are_unique_across_shared_sets(void **state) {
    struct bench *b = *state;
#define CRITERION(priority) "{\"priority\":" priority ",\"server_name\":\"sip:as\"}"

    assert_int_equal(
        bench_web(b, "PUT", "/shared-ifc-sets/1", "{\"filter_criteria\":[" CRITERION("1") "]}"),
        201);
    assert_int_equal(bench_web(b, "PUT", "/shared-ifc-sets/2",
                               "{\"filter_criteria\":[" CRITERION("1") "," CRITERION("2") "]}"),
                     201);
    refused(b, "/profiles/p", "{\"shared_ifc_sets\":[1],\"filter_criteria\":[" CRITERION("1") "]}",
            "priority-unique");
    refused(b, "/profiles/p", "{\"shared_ifc_sets\":[1,2]}", "priority-unique");
    assert_int_equal(
        bench_web(b, "PUT", "/profiles/p",
                  "{\"shared_ifc_sets\":[1,3],\"filter_criteria\":[" CRITERION("5") "]}"),
        201);
    refused(b, "/shared-ifc-sets/3", "{\"filter_criteria\":[" CRITERION("1") "]}",
            "priority-unique");
    refused(b, "/shared-ifc-sets/3", "{\"filter_criteria\":[" CRITERION("5") "]}",
            "priority-unique");
    assert_int_equal(
        bench_web(b, "PUT", "/shared-ifc-sets/3", "{\"filter_criteria\":[" CRITERION("6") "]}"),
        201);
}

/* What stands for the same identity is the same one. */
static void identities_are_one_in_all_their_forms(void **state) {
    static const struct {
        const char *given, *kept;
    } rows[] = {
        {"SIP:Alice@HOME.Example", "sip:Alice@home.example"},
        {"sip:alice@home.example;transport=tcp", "sip:alice@home.example"},
        {"sip:%61lice%40x@home.example", "sip:alice%40x@home.example"},
        {"sip:+44-1632-960100@home.example;user=phone", "sip:+44-1632-960100@home.example"},
        {"sip:bob:secret@home.example?Subject=x", "sip:bob@home.example"},
        {"sip:bob@home.example:5060", "sip:bob@home.example:5060"},
        {"TEL:+44-1632-960.100", "tel:+441632960100"},
        {"tel:+44(1632)960101;phone-context=x", "tel:+441632960101"},
    };
    struct bench *b = *state;

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char path[32], body[256], query[256], kept[128];
        struct buf q = buf_init(query, sizeof query - 1);

        snprintf(path, sizeof path, "/subscriptions/s%zu", i);
        snprintf(body, sizeof body,
                 "{\"impis\":[{\"identity\":\"u%zu@b\"}],\"impus\":[{\"identity\":\"%s\"}]}", i,
                 rows[i].given);
        snprintf(kept, sizeof kept, "\"identity\": \"%s\"", rows[i].kept);
        assert_int_equal(bench_web(b, "PUT", path, body), 201);
        if (!strstr(b->body, kept)) {
            fail_msg("%s: %s", rows[i].given, b->body);
        }
        buf_cstr(&q, "/subscriptions?identity=");
        web_encode(&q, span_from_cstr(rows[i].given));
        query[q.n] = '\0';
        assert_int_equal(bench_web(b, "GET", query, NULL), 200);
        snprintf(body, sizeof body,
                 "{\"impis\":[{\"identity\":\"v%zu@b\"}],\"impus\":[{\"identity\":\"%s\"}]}", i,
                 rows[i].kept);
        assert_int_equal(bench_web(b, "PUT", "/subscriptions/other", body), 409);
    }
    struct reply r;
    bench_lir(b, &b->icscf, "SIP:Alice@HOME.Example;x=y", &r);
    bench_wait(b, &r);
    assert_result(&r, X3GPP, DIAMETER_ERROR_IDENTITY_NOT_REGISTERED);
    bench_uar(b, &b->icscf, "u0@b", "sip:Alice@Home.example", -1, &r);
    bench_wait(b, &r);
    assert_result(&r, X3GPP, DIAMETER_FIRST_REGISTRATION);
    bench_sar(b, &b->scscf, 1, "u0@b", "sip:Alice@Home.example", SCSCF_1, &r);
    bench_wait(b, &r);
    assert_result(&r, BASE, DIAMETER_SUCCESS);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_rule_of_a_subscription_is_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(there_is_never_too_much, setup, teardown),
        cmocka_unit_test_setup_teardown(priorities_are_unique_across_shared_sets, setup, teardown),
        cmocka_unit_test_setup_teardown(identities_are_one_in_all_their_forms, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
