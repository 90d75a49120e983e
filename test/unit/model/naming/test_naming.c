#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/naming/naming.h"

static struct naming_plmn plmn(const char *mcc, const char *mnc) {
    struct naming_plmn p;
    assert_int_equal(naming_plmn_parse(span_from_cstr(mcc), span_from_cstr(mnc), &p, NULL), OK);
    return p;
}

static void a_network_is_named_after_its_mcc_and_mnc(void **state) {
    (void)state;
    struct naming names;
    struct naming_plmn p = plmn("001", "01");
    assert_int_equal(naming_derive(&p, &names), OK);
    assert_string_equal(names.home_domain, "ims.mnc001.mcc001.3gppnetwork.org");
    assert_string_equal(names.node[NAMING_SCSCF].host, "scscf.ims.mnc001.mcc001.3gppnetwork.org");
    assert_string_equal(names.node[NAMING_SCSCF].sip_uri,
                        "sip:scscf.ims.mnc001.mcc001.3gppnetwork.org:6060");
    assert_string_equal(names.node[NAMING_HSS].host, "hss.ims.mnc001.mcc001.3gppnetwork.org");
    assert_string_equal(names.node[NAMING_HSS].sip_uri, "");
    static const uint16_t ports[NAMING_ROLES] = {5060, 4060, 6060, 3868};
    for (enum naming_role r = 0; r < NAMING_ROLES; r++) {
        struct addr a = addr_v4(127, 0, 0, 1, ports[r]);
        assert_true(addr_eq(&names.node[r].addr, &a));
    }
    p = plmn("310", "410");
    assert_int_equal(naming_derive(&p, &names), OK);
    assert_string_equal(names.home_domain, "ims.mnc410.mcc310.3gppnetwork.org");
}

static void further_instances_get_names_and_ports_of_their_own(void **state) {
    (void)state;
    struct naming_node node;
    assert_int_equal(naming_node_derive(SPAN("ims.example.org"), NAMING_PCSCF, 2, &node), OK);
    assert_string_equal(node.host, "pcscf-2.ims.example.org");
    assert_string_equal(node.sip_uri, "sip:pcscf-2.ims.example.org:5061");
    assert_int_equal(node.addr.port, 5061);
    assert_int_equal(naming_node_derive(SPAN("x.org"), NAMING_PCSCF, 0, &node), ERR_INVALID);
    assert_int_equal(naming_node_derive(SPAN("x.org"), NAMING_PCSCF, 65535, &node), ERR_INVALID);
    char domain[200];
    memset(domain, 'a', sizeof domain);
    assert_int_equal(naming_node_derive(span_of(domain, sizeof domain), NAMING_HSS, 1, &node),
                     ERR_TOO_BIG);
}

static void identities_follow_from_imsi_and_msisdn(void **state) {
    (void)state;
    struct span domain = SPAN("ims.mnc001.mcc001.3gppnetwork.org"), imsi = SPAN("001010000000001");
    struct span digits = SPAN_NONE;
    char text[128];
    struct buf b = buf_init(text, sizeof text);
    naming_put_impi(&b, imsi, domain);
    assert_true(span_eq(buf_span(&b), SPAN("001010000000001@ims.mnc001.mcc001.3gppnetwork.org")));
    b.n = 0;
    naming_put_temporary_impu(&b, imsi, domain);
    assert_true(
        span_eq(buf_span(&b), SPAN("sip:001010000000001@ims.mnc001.mcc001.3gppnetwork.org")));
    assert_int_equal(naming_msisdn_check(SPAN("+447700900101"), &digits, NULL), OK);
    b.n = 0;
    naming_put_tel_impu(&b, digits);
    assert_true(span_eq(buf_span(&b), SPAN("tel:+447700900101")));
    b.n = 0;
    naming_put_sip_impu(&b, digits, SPAN("example.org"));
    assert_true(span_eq(buf_span(&b), SPAN("sip:+447700900101@example.org")));
}

/* What is said about a wrong value. */
static const char *complaint(enum error e, struct buf *why) {
    assert_int_equal(e, ERR_INVALID);
    assert_false(why->overflow);
    buf_char(why, '\0');
    assert_false(why->overflow);
    why->n = 0;
    return why->p;
}

static void what_is_wrong_is_said_in_words(void **state) {
    (void)state;
    char text[256];
    struct buf why = buf_init(text, sizeof text);
    struct naming_plmn p, home = plmn("001", "01");
    struct span digits;
    assert_non_null(
        strstr(complaint(naming_plmn_parse(SPAN("1"), SPAN("01"), &p, &why), &why), "MCC \"1\""));
    assert_non_null(
        strstr(complaint(naming_plmn_parse(SPAN("001"), SPAN("1"), &p, &why), &why), "quotes"));
    assert_non_null(
        strstr(complaint(naming_imsi_check(SPAN("00101\n"), NULL, &why), &why), "00101\\x0a"));
    assert_non_null(strstr(complaint(naming_imsi_check(SPAN("262011234567890"), &home, &why), &why),
                           "with 00101"));
    assert_non_null(strstr(complaint(naming_msisdn_check(SPAN("07700900101"), &digits, &why), &why),
                           "international"));
    assert_non_null(
        strstr(complaint(naming_domain_check(SPAN("a..b"), &why), &why), "domain \"a..b\""));
    assert_int_equal(naming_imsi_check(SPAN("001010000000001"), &home, NULL), OK);
}

static void limits_are_exact(void **state) {
    (void)state;
    struct span digits;
    assert_int_equal(naming_imsi_check(SPAN("12345"), NULL, NULL), ERR_INVALID);
    assert_int_equal(naming_imsi_check(SPAN("123456"), NULL, NULL), OK);
    assert_int_equal(naming_imsi_check(SPAN("1234567890123456"), NULL, NULL), ERR_INVALID);
    assert_int_equal(naming_msisdn_check(SPAN("1234"), &digits, NULL), ERR_INVALID);
    assert_int_equal(naming_msisdn_check(SPAN("12345"), &digits, NULL), OK);
    assert_int_equal(naming_msisdn_check(SPAN("+1234567890123456"), &digits, NULL), ERR_INVALID);
    assert_int_equal(naming_msisdn_check(SPAN("++12345"), &digits, NULL), ERR_INVALID);
    assert_int_equal(naming_msisdn_check(SPAN(""), &digits, NULL), ERR_INVALID);
    assert_int_equal(naming_domain_check(SPAN("localhost"), NULL), OK);
    assert_int_equal(naming_domain_check(SPAN(""), NULL), ERR_INVALID);
    assert_int_equal(naming_domain_check(SPAN("example.org."), NULL), ERR_INVALID);
    assert_int_equal(naming_domain_check(SPAN("-a.org"), NULL), ERR_INVALID);
    assert_int_equal(naming_domain_check(SPAN("a b.org"), NULL), ERR_INVALID);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_network_is_named_after_its_mcc_and_mnc),
        cmocka_unit_test(further_instances_get_names_and_ports_of_their_own),
        cmocka_unit_test(identities_follow_from_imsi_and_msisdn),
        cmocka_unit_test(what_is_wrong_is_said_in_words),
        cmocka_unit_test(limits_are_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
