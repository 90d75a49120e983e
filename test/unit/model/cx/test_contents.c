/* covers: B6
 * What answers carry: the SAA by type, state and what the S-CSCF supports, written down once more;
 * and what identities that are no distinct user identities get. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../family.h"
#include "model/cx/location_info.h"
#include "model/cx/server_assignment.h"
#include "model/cx/user_authorization.h"

static char memory[8192];
static struct subscription s;

/* The family, whose shared landlines want loose routing; Bob is a privileged sender; and services
 * and wildcards in sets of their own. */
enum { SET_SERVICE = 10, SET_WILDCARDED_SERVICE, SET_RETIRED, SET_DIRECT };

#define SERVICE            SPAN("sip:service@" HOME)
#define WILDCARDED_SERVICE SPAN("sip:conf!.*!@" HOME)
#define RETIRED            SPAN("sip:retired@" HOME)
#define DIRECT             SPAN("sip:direct@" HOME)
#define WILDCARD           SPAN("tel:+4477009002![0-9]{2}!")
#define AS                 SPAN("sip:as." HOME)

static int fresh(void **state) {
    static const struct {
        struct span identity;
        uint8_t type, set;
    } more[] = {{SPAN_INIT("sip:service@" HOME), IDENTITY_PSI, SET_SERVICE},
                {SPAN_INIT("sip:conf!.*!@" HOME), IDENTITY_WILDCARDED_PSI, SET_WILDCARDED_SERVICE},
                {SPAN_INIT("sip:retired@" HOME), IDENTITY_PSI, SET_RETIRED},
                {SPAN_INIT("sip:direct@" HOME), IDENTITY_PSI, SET_DIRECT},
                {SPAN_INIT("tel:+4477009002![0-9]{2}!"), IDENTITY_WILDCARDED_USER, SET_ALICE}};
    struct rec_subscription_data data = family_data();
    struct rec_impi_data impis[4];
    struct rec_impu_data impus[10 + COUNT_OF(more)];
    struct buf out = buf_init(memory, sizeof memory);
    struct subscription_fault fault;

    (void)state;
    memcpy(impis, data.impis, sizeof impis);
    memcpy(impus, data.impus, 10 * sizeof impus[0]);
    impis[BOB].privileged_sender = true;
    impus[0].loose_route = impus[1].loose_route = true;
    for (size_t i = 0; i < COUNT_OF(more); i++) {
        impus[10 + i] = (struct rec_impu_data){.identity = more[i].identity,
                                               .type = more[i].type,
                                               .set = more[i].set,
                                               .impi = ALICE,
                                               .profile = SPAN("default"),
                                               .roams_anywhere = true};
    }
    impus[12].inactive = true;
    impus[13].server_name = AS;
    data.impis = impis;
    data.impus = impus;
    data.n_impus = COUNT_OF(impus);
    memset(&s, 0, sizeof s);
    assert_true(subscription_check(&data, NULL, &fault));
    assert_int_equal(rec_subscription_encode(&data, &out), OK);
    assert_int_equal(subscription_open(buf_span(&out), &s.data), OK);
    s.state.scscf_name = SCSCF_1;
    s.state.scscf_host = SCSCF_1_HOST;
    s.state.registered_by[SET_ALICE] = 1 << ALICE; /* somebody is always assigned */
    return 0;
}

static void set_state(enum registration_state state) {
    if (state == REGISTERED) {
        s.state.registered_by[SET_LANDLINES] = 1 << ALICE | 1 << BOB;
    } else if (state == UNREGISTERED) {
        s.state.unregistered = 1 << SET_LANDLINES;
        s.state.unregistered_by[SET_LANDLINES] = BOB;
    }
}

static struct server_assignment sar(unsigned type, struct span impi, struct span impu,
                                    bool has_data, uint32_t features) {
    struct server_assignment_request r = {.type = type,
                                          .impi = impi,
                                          .impus = &impu,
                                          .n_impus = 1,
                                          .server_name = SCSCF_1,
                                          .server_host = SCSCF_1_HOST,
                                          .user_data_already_available = has_data,
                                          .keep_server_name = true,
                                          .features = features};
    struct server_assignment out;

    server_assign(&s, &r, &out);
    return out;
}

/* U: User-Data, C: Charging-Information, A: Associated-Identities, G: Associated-Registered-
 * Identities, L: Loose-Route-Indication, P: Priviledged-Sender-Indication. Asked by Bob for the
 * shared landlines, of an S-CSCF that knows IMS restoration and has no data; registered: by Alice
 * and Bob. */
static const struct {
    unsigned result[3];
    const char *contents[3];
} table[CX_SERVER_ASSIGNMENT_TYPES] = {
    /* not registered, registered, unregistered */
    {{CX_SUCCESS, CX_SUCCESS, CX_SUCCESS}, {"UCALP", "UCALP", "UCALP"}},       /* NO_ASSIGNMENT */
    {{CX_SUCCESS, CX_SUCCESS, CX_SUCCESS}, {"UCALP", "UCAGLP", "UCALP"}},      /* REGISTRATION */
    {{CX_SUCCESS, CX_SUCCESS, CX_SUCCESS}, {"UCALP", "UCAGLP", "UCALP"}},      /* RE_REGISTRATION */
    {{CX_SUCCESS, CX_IN_ASSIGNMENT_TYPE, CX_SUCCESS}, {"UCALP", "", "UCALP"}}, /* UNREGISTERED */
    {{CX_SUCCESS, CX_SUCCESS, CX_SUCCESS}, {"", "", ""}},                      /* TIMEOUT */
    {{CX_SUCCESS, CX_SUCCESS, CX_SUCCESS}, {"", "", ""}},                      /* USER */
    {{CX_SERVER_NAME_NOT_STORED, CX_SUCCESS, CX_SUCCESS}, {"", "", ""}},       /* TIMEOUT_STORE */
    {{CX_SERVER_NAME_NOT_STORED, CX_SUCCESS, CX_SUCCESS}, {"", "", ""}},       /* USER_STORE */
    {{CX_SUCCESS, CX_SUCCESS, CX_SUCCESS}, {"", "", ""}},                      /* ADMINISTRATIVE */
    {{CX_SUCCESS, CX_SUCCESS, CX_SUCCESS}, {"", "", ""}},                      /* AUTH_FAILURE */
    {{CX_SUCCESS, CX_SUCCESS, CX_SUCCESS}, {"", "", ""}},                      /* AUTH_TIMEOUT */
    {{CX_SUCCESS, CX_SUCCESS, CX_SUCCESS}, {"", "", ""}},                      /* TOO_MUCH_DATA */
};

static void assert_contents(const struct server_assignment *a, const char *contents,
                            const char *without) {
    const struct {
        char letter;
        bool sent;
    } parts[] = {{'U', a->send_user_data},  {'C', a->send_charging}, {'A', a->send_associated},
                 {'G', a->registered != 0}, {'L', a->loose_route},   {'P', a->privileged_sender}};

    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        bool wanted = strchr(contents, parts[i].letter) && !strchr(without, parts[i].letter);
        if (wanted != parts[i].sent) {
            fail_msg("%c: %d", parts[i].letter, parts[i].sent);
        }
    }
}

static void an_saa_carries_what_its_type_and_the_state_ask_for(void **state) {
    unsigned cases = 0;

    for (unsigned type = 0; type < CX_SERVER_ASSIGNMENT_TYPES; type++) {
        for (unsigned before = 0; before < 3; before++, cases++) {
            const char *contents = table[type].contents[before];
            assert_int_equal(fresh(state), 0);
            set_state(before);
            struct server_assignment a = sar(type, BOB_IMPI, UK, false, CX_FEATURE_RESTORATION);
            assert_int_equal(a.result, table[type].result[before]);
            assert_contents(&a, contents, "");
            if (a.registered) {
                assert_int_equal(a.registered, 1 << ALICE | 1 << BOB);
            }
            a = sar(type, BOB_IMPI, UK, true, CX_FEATURE_RESTORATION);
            assert_contents(&a, contents, "UC");
            a = sar(type, BOB_IMPI, UK, false, CX_FEATURE_SIFC);
            assert_contents(&a, contents, "G");
            a = sar(type, ALICE_IMPI, UK, false, CX_FEATURE_RESTORATION);
            assert_contents(&a, contents, "P");
            a = sar(type, ALICE_IMPI, ALICE_SIP, false, CX_FEATURE_RESTORATION);
            assert_false(a.loose_route || a.registered);
            assert_int_equal(a.wildcard.n, 0);
        }
    }
    assert_int_equal(cases, 36);
}

static void features_are_remembered_with_the_name(void **state) {
    (void)state;
    struct server_assignment a = sar(1, BOB_IMPI, UK, false, CX_FEATURE_SIFC | CX_FEATURE_ALIAS);
    assert_int_equal(a.state.scscf_features, CX_FEATURE_SIFC | CX_FEATURE_ALIAS);
    s.state = a.state;
    a = sar(2, BOB_IMPI, UK, true, CX_FEATURE_SIFC | CX_FEATURE_ALIAS);
    assert_false(a.changed); /* and so there is nothing to write */
    a = sar(0, SPAN_NONE, UK, false, 0);
    assert_int_equal(a.state.scscf_features, CX_FEATURE_SIFC | CX_FEATURE_ALIAS);
    s.state.registered_by[SET_ALICE] = 0;
    a = sar(5, BOB_IMPI, UK, false, 0);
    assert_int_equal(a.state.scscf_features, 0);
}

static void only_users_register(void **state) {
    static const struct {
        struct span impu;
        bool wildcard;
    } rows[] = {{SPAN_INIT("sip:service@" HOME), false},
                {SPAN_INIT("sip:conf!.*!@" HOME), true},
                {SPAN_INIT("tel:+4477009002![0-9]{2}!"), true}};

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        for (unsigned type = 0; type < CX_SERVER_ASSIGNMENT_TYPES; type++) {
            assert_int_equal(fresh(state), 0);
            s.state.registered_by[SET_ALICE] = 0;
            s.state.unregistered = UINT64_C(1) << SET_LANDLINES; /* somebody is assigned */
            struct server_assignment a = sar(type, ALICE_IMPI, rows[i].impu, false, 0);
            bool registers = type == 1 || type == 2 || type == 9 || type == 10;
            bool keeps = type == 6 || type == 7;
            assert_int_equal(a.result, registers ? CX_IN_ASSIGNMENT_TYPE
                                       : keeps   ? CX_SERVER_NAME_NOT_STORED
                                                 : CX_SUCCESS);
            if (!registers) {
                assert_int_equal(a.wildcard.n > 0, rows[i].wildcard);
            }
            a = sar(type, ALICE_IMPI, RETIRED, false, 0);
            assert_int_equal(a.result, CX_USER_UNKNOWN);
        }
        struct user_authorization_request uar = {
            .impi = ALICE_IMPI, .impu = rows[i].impu, .visited_network = SPAN(HOME)};
        assert_int_equal(user_authorize(&s, &uar, SPAN(HOME)).result, CX_USER_UNKNOWN);
    }
}

static void services_are_found_by_their_kind(void **state) {
    (void)state;
    struct location_info_request r = {.impu = DIRECT};
    struct location_info a = location_inform(&s, &r);
    assert_int_equal(a.result, CX_SUCCESS);
    assert_true(span_eq(a.direct, AS));
    assert_false(a.send_server_name);
    r.originating = true; /* an application server that calls out for it wants an S-CSCF */
    a = location_inform(&s, &r);
    assert_int_equal(a.direct.n, 0);
    assert_true(a.send_server_name);
    r = (struct location_info_request){.impu = RETIRED, .originating = true};
    assert_int_equal(location_inform(&s, &r).result, CX_USER_UNKNOWN);
    r = (struct location_info_request){.impu = WILDCARDED_SERVICE};
    a = location_inform(&s, &r);
    assert_int_equal(a.result, CX_IDENTITY_NOT_REGISTERED);
    r.unregistered_services = true;
    a = location_inform(&s, &r);
    assert_int_equal(a.result, CX_SUCCESS);
    assert_true(span_eq(a.wildcard, WILDCARDED_SERVICE));
    r = (struct location_info_request){.impu = WILDCARD}; /* its set is registered */
    a = location_inform(&s, &r);
    assert_int_equal(a.result, CX_SUCCESS);
    assert_true(span_eq(a.wildcard, WILDCARD));
    r = (struct location_info_request){.impu = SERVICE, .unregistered_services = true};
    assert_int_equal(location_inform(&s, &r).wildcard.n, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(an_saa_carries_what_its_type_and_the_state_ask_for, fresh),
        cmocka_unit_test_setup(features_are_remembered_with_the_name, fresh),
        cmocka_unit_test_setup(only_users_register, fresh),
        cmocka_unit_test_setup(services_are_found_by_their_kind, fresh),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
