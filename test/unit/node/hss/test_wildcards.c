/* covers: B6
 * Wildcarded and public service identities in the HSS: who finds them, who may take them, what a
 * restart leaves. */
#include "bench.h"

#include <jansson.h>

static int setup(void **state) {
    *state = bench_new(7, 2000, 0);
    return 0;
}

static int setup_slow_reads(void **state) {
    *state = bench_new(8, 2000, 500);
    return 0;
}

static int teardown(void **state) {
    bench_free(*state);
    return 0;
}

#define IMPI_OF(name) "\"impis\":[{\"identity\":\"" name "@x\"}]"
#define PBX_IMPUS                                                                                  \
    "\"impus\":[{\"identity\":\"sip:pbx@x\",\"set\":1,\"default\":true},"                          \
    "{\"identity\":\"tel:+44163296!01[0-9]{2}!\",\"type\":\"wildcarded_user\",\"set\":1}]"
#define PBX "{\"name\":\"pbx\"," IMPI_OF("pbx") "," PBX_IMPUS "}"
#define OTHER(text)                                                                                \
    "{\"name\":\"other\"," IMPI_OF("other") ",\"impus\":[{\"identity\":\"sip:other@x\",\"set\":1," \
                                            "\"default\":true},{\"identity\":\"" text              \
                                            "\",\"type\":\"wildcarded_user\",\"set\":1}]}"

static const char *rule(struct bench *b) {
    static char text[64];
    json_t *json = json_loads(b->body, 0, NULL);
    const char *found = json_string_value(json_object_get(json, "rule"));

    snprintf(text, sizeof text, "%s", found ? found : "");
    json_decref(json);
    return text;
}

static struct cx_lia lir(struct bench *b, const char *impu, uint32_t vendor, uint32_t code) {
    static struct reply r;
    struct cx_lia lia = {0};
    struct diameter_fault fault;

    bench_lir(b, &b->icscf, impu, &r);
    bench_wait(b, &r);
    assert_result(&r, vendor, code);
    if (r.result.code / 1000 == 2) {
        assert_int_equal(cx_lia_decode(&b->arena, &r.msg, &lia, &fault), OK);
    }
    return lia;
}

static bool is_found(struct bench *b, const char *impu) {
    static struct reply r;

    bench_lir(b, &b->icscf, impu, &r);
    bench_wait(b, &r);
    return r.result.code != DIAMETER_ERROR_USER_UNKNOWN;
}

static struct cx_saa sar(struct bench *b, unsigned type, const char *impi, const char *impu,
                         uint32_t vendor, uint32_t code) {
    static struct reply r;
    struct cx_saa saa = {0};
    struct diameter_fault fault;

    bench_sar(b, &b->scscf, type, impi, impu, SCSCF_1, &r);
    bench_wait(b, &r);
    assert_result(&r, vendor, code);
    if (code == DIAMETER_SUCCESS) {
        assert_int_equal(cx_saa_decode(&b->arena, &r.msg, &saa, &fault), OK);
    }
    return saa;
}

static void an_identity_is_found_by_itself_then_by_its_wildcard(void **state) {
    struct bench *b = *state;

    assert_int_equal(bench_web(b, "PUT", "/subscriptions/pbx", PBX), 201);
    assert_int_equal(bench_web(b, "PUT", "/subscriptions/one",
                               "{" IMPI_OF("one") ",\"impus\":[{\"identity\":"
                                                  "\"tel:+441632960199\"}]}"),
                     201);
    sar(b, 1, "pbx@x", "sip:pbx@x", BASE, DIAMETER_SUCCESS);
    struct cx_lia lia = lir(b, "tel:+441632960142", BASE, DIAMETER_SUCCESS);
    assert_true(span_eq(lia.server_name, SPAN(SCSCF_1)));
    assert_true(span_eq(lia.wildcarded_public_identity, SPAN("tel:+44163296!01[0-9]{2}!")));
    assert_false(lia.has_lia_flags);
    /* In whatever form it is asked for. */
    lia = lir(b, "tel:+44-1632-960142;phone-context=x", BASE, DIAMETER_SUCCESS);
    assert_true(lia.wildcarded_public_identity.n > 0);
    lir(b, "tel:+441632960199", X3GPP, DIAMETER_ERROR_IDENTITY_NOT_REGISTERED);
    lir(b, "tel:+441632960200", X3GPP, DIAMETER_ERROR_USER_UNKNOWN);
    /* The wildcard itself may be asked for, too: an S-CSCF knows it from an answer. */
    lia = lir(b, "tel:+44163296!01[0-9]{2}!", BASE, DIAMETER_SUCCESS);
    assert_true(lia.wildcarded_public_identity.n > 0);
    assert_int_equal(bench_web(b, "GET", "/subscriptions?identity=tel:+441632960142", NULL), 200);
    assert_non_null(strstr(b->body, "\"name\": \"pbx\""));
    assert_non_null(strstr(b->body, "wildcarded_user"));
    assert_int_equal(bench_web(b, "GET", "/subscriptions?identity=TEL:+44-1632-960199", NULL), 200);
    assert_non_null(strstr(b->body, "\"name\": \"one\""));
}

static void nobody_registers_by_a_wildcard(void **state) {
    struct bench *b = *state;
    struct reply r;

    assert_int_equal(bench_web(b, "PUT", "/subscriptions/pbx", PBX), 201);
    bench_uar(b, &b->icscf, "pbx@x", "tel:+441632960142", -1, &r);
    bench_wait(b, &r);
    assert_result(&r, X3GPP, DIAMETER_ERROR_USER_UNKNOWN);
    bench_mar(b, &b->scscf, "pbx@x", "tel:+441632960142", SCSCF_1, 1, SPAN_NONE, &r);
    bench_wait(b, &r);
    assert_result(&r, X3GPP, DIAMETER_ERROR_USER_UNKNOWN);
    sar(b, 1, "pbx@x", "tel:+441632960142", X3GPP, DIAMETER_ERROR_IN_ASSIGNMENT_TYPE);
    struct cx_saa saa = sar(b, 3, NULL, "tel:+441632960142", BASE, DIAMETER_SUCCESS);
    assert_true(span_eq(saa.wildcarded_public_identity, SPAN("tel:+44163296!01[0-9]{2}!")));
    assert_true(span_find(saa.user_data, SPAN("<WildcardedIMPU>tel:+44163296!01[0-9]{2}!<")) <
                saa.user_data.n);
}

static void no_two_subscriptions_have_an_identity_in_common(void **state) {
    struct bench *b = *state;

    assert_int_equal(bench_web(b, "PUT", "/subscriptions/pbx", PBX), 201);
    assert_int_equal(bench_web(b, "PUT", "/subscriptions/other", OTHER("tel:+441632960!.*!")), 422);
    assert_string_equal(rule(b), "wildcard-overlaps");
    assert_non_null(strstr(b->body, "tel:+44163296!01[0-9]{2}!"));
    assert_non_null(strstr(b->body, "/impus/1/identity"));
    assert_int_equal(bench_web(b, "POST", "/subscriptions", OTHER("tel:+44163296!01[0-9]{2}!")),
                     409);
    assert_string_equal(rule(b), "identity-taken");
    assert_int_equal(bench_web(b, "PUT", "/subscriptions/other", OTHER("tel:+44163297!.*!")), 201);
    /* Its own it may widen, as far as others' go. */
    assert_int_equal(bench_web(b, "PUT", "/subscriptions/other", OTHER("tel:+4416329!7.*!")), 200);
    assert_int_equal(bench_web(b, "PUT", "/subscriptions/other", OTHER("tel:+4416329!.*!")), 422);
    assert_true(is_found(b, "tel:+44163297"));
    /* A refused write leaves no claim behind. */
    assert_int_equal(bench_web(b, "DELETE", "/subscriptions/pbx", NULL), 204);
    assert_false(is_found(b, "tel:+441632960142"));
    assert_int_equal(bench_web(b, "PUT", "/subscriptions/other", OTHER("tel:+4416329!.*!")), 200);
    assert_true(is_found(b, "tel:+441632960142"));
    assert_int_equal(bench_web(b, "PUT", "/subscriptions/other",
                               "{" IMPI_OF("other") ",\"impus\":[{\"identity\":\"sip:other@x\"}]}"),
                     200);
    assert_false(is_found(b, "tel:+441632960142"));
}

static void imports_are_held_to_the_same(void **state) {
    struct bench *b = *state;

    assert_int_equal(
        bench_web(b, "POST", "/subscriptions", "[" PBX "," OTHER("tel:+441632960!.*!") "]"), 422);
    assert_string_equal(rule(b), "wildcard-overlaps");
    assert_false(is_found(b, "tel:+441632960142"));
    assert_int_equal(
        bench_web(b, "POST", "/subscriptions", "[" PBX "," OTHER("tel:+441632960!2.*!") "]"), 201);
    assert_true(is_found(b, "tel:+441632960142"));
    assert_true(is_found(b, "tel:+441632960299"));
    assert_int_equal(bench_web(b, "DELETE", "/subscriptions/other", NULL), 204);
    assert_int_equal(
        bench_web(b, "POST", "/imports/one?mode=each&last=yes&to=1", OTHER("tel:+441632960!1.*!")),
        200);
    assert_non_null(strstr(b->body, "wildcard-overlaps"));
    assert_int_equal(
        bench_web(b, "POST", "/imports/two?mode=check&last=yes&to=1", OTHER("tel:+441632960!3.*!")),
        200);
    assert_int_equal(
        bench_web(b, "POST", "/imports/three?mode=all&last=yes&to=1", OTHER("tel:+441632960!3.*!")),
        200);
    assert_true(is_found(b, "tel:+441632960399"));
}

static void a_restart_finds_them_again(void **state) {
    struct bench *b = *state;
    char path[64], body[512];

    for (unsigned i = 0; i < 20; i++) {
        snprintf(path, sizeof path, "/subscriptions/pbx%u", i);
        snprintf(body, sizeof body,
                 "{\"impis\":[{\"identity\":\"pbx%u@x\"}],\"impus\":[{\"identity\":\"sip:pbx%u@x\","
                 "\"set\":1},{\"identity\":\"tel:+4416329%02u![0-9]*!\",\"set\":1,"
                 "\"type\":\"wildcarded_user\"}]}",
                 i, i, i);
        assert_int_equal(bench_web(b, "PUT", path, body), 201);
    }
    assert_int_equal(bench_web(b, "DELETE", "/subscriptions/pbx7", NULL), 204);
    bench_crash_hss(b);
    bench_start_hss(b);
    sim_run_until(b->sim, sim_now_us(b->sim) + 60 * SEC_IN_US);
    assert_true(is_found(b, "tel:+441632906123"));
    assert_true(is_found(b, "tel:+441632919123"));
    assert_false(is_found(b, "tel:+441632907123"));
    assert_int_equal(bench_web(b, "PUT", "/subscriptions/other", OTHER("tel:+44163290!6.*!")), 422);
    assert_int_equal(bench_web(b, "PUT", "/subscriptions/other", OTHER("tel:+44163290!7.*!")), 201);
}

static void services_are_routed_or_served(void **state) {
    struct bench *b = *state;
    static const char services[] =
        "{" IMPI_OF("s") ",\"impus\":[{\"identity\":\"sip:!conf-[0-9]+!@x\",\"type\":"
                         "\"wildcarded_psi\",\"server_name\":\"sip:as.x\"},"
                         "{\"identity\":\"sip:time@x\",\"type\":\"psi\",\"active\":%s,"
                         "\"profile\":\"unregistered\"}]}";
    char body[512];

    assert_int_equal(bench_web(b, "PUT", "/profiles/unregistered",
                               "{\"filter_criteria\":[{\"priority\":1,\"server_name\":\"sip:as.x\","
                               "\"part\":\"unregistered\"}]}"),
                     201);
    snprintf(body, sizeof body, services, "true");
    assert_int_equal(bench_web(b, "PUT", "/subscriptions/s", body), 201);
    struct cx_lia lia = lir(b, "sip:conf-7@x", BASE, DIAMETER_SUCCESS);
    assert_true(span_eq(lia.server_name, SPAN("sip:as.x")));
    assert_true(lia.has_lia_flags);
    assert_int_equal(lia.lia_flags, CX_LIA_FLAGS_PSI_DIRECT_ROUTING);
    lir(b, "sip:time@x", X3GPP, DIAMETER_UNREGISTERED_SERVICE);
    sar(b, 1, "s@x", "sip:time@x", X3GPP, DIAMETER_ERROR_IN_ASSIGNMENT_TYPE);
    struct cx_saa saa = sar(b, 3, NULL, "sip:time@x", BASE, DIAMETER_SUCCESS);
    assert_true(span_find(saa.user_data, SPAN("<IdentityType>1</IdentityType>")) < saa.user_data.n);
    assert_true(span_eq(lir(b, "sip:time@x", BASE, DIAMETER_SUCCESS).server_name, SPAN(SCSCF_1)));

    snprintf(body, sizeof body, services, "false");
    assert_int_equal(bench_web(b, "PUT", "/subscriptions/s", body), 200);
    assert_non_null(strstr(b->body, "\"active\": false"));
    sim_run_until(b->sim, sim_now_us(b->sim) + SEC_IN_US / 10);
    assert_int_equal(hss_counters(b->hss)->rtr, 1); /* who serves it is told: REMOVE_S-CSCF */
    lir(b, "sip:time@x", X3GPP, DIAMETER_ERROR_USER_UNKNOWN);
    sar(b, 3, NULL, "sip:time@x", X3GPP, DIAMETER_ERROR_USER_UNKNOWN);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_identity_is_found_by_itself_then_by_its_wildcard, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(nobody_registers_by_a_wildcard, setup, teardown),
        cmocka_unit_test_setup_teardown(no_two_subscriptions_have_an_identity_in_common, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(imports_are_held_to_the_same, setup, teardown),
        cmocka_unit_test_setup_teardown(a_restart_finds_them_again, setup, teardown),
        cmocka_unit_test_setup_teardown(a_restart_finds_them_again, setup_slow_reads, teardown),
        cmocka_unit_test_setup_teardown(services_are_routed_or_served, setup, teardown),
        cmocka_unit_test_setup_teardown(services_are_routed_or_served, setup_slow_reads, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
