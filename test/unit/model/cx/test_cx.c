/* covers: B6 A6 A7 A11
 * The Cx decisions over all registration states and types; the Server-Assignment-Types against a
 * table written down independently of the code's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../family.h"
#include "model/cx/location_info.h"
#include "model/cx/multimedia_auth.h"
#include "model/cx/server_assignment.h"
#include "model/cx/user_authorization.h"

static char memory[4096];
static struct subscription s;

static int fresh(void **state) {
    (void)state;
    return family_make(memory, sizeof memory, &s) ? 0 : -1;
}

static void registered(unsigned set, unsigned impi) {
    s.state.registered_by[set] |= UINT64_C(1) << impi;
    s.state.unregistered &= ~(UINT64_C(1) << set);
    s.state.scscf_name = SCSCF_1;
    s.state.scscf_host = SCSCF_1_HOST;
}

static void unregistered(unsigned set, unsigned impi) {
    s.state.unregistered |= UINT64_C(1) << set;
    s.state.unregistered_by[set] = (uint8_t)impi;
    s.state.scscf_name = SCSCF_1;
    s.state.scscf_host = SCSCF_1_HOST;
}

/* UAR. */

static struct user_authorization uar(struct span impi, struct span impu, struct span visited,
                                     enum cx_user_authorization_type type) {
    struct user_authorization_request r = {
        .impi = impi, .impu = impu, .visited_network = visited, .type = type};

    return user_authorize(&s, &r, SPAN(HOME));
}

static void uar_refuses_identities_that_are_unknown_or_do_not_match(void **state) {
    (void)state;
    struct user_authorization_request r = {.impi = ALICE_IMPI, .impu = ALICE_SIP};
    assert_int_equal(user_authorize(NULL, &r, SPAN(HOME)).result, CX_USER_UNKNOWN);
    assert_int_equal(uar(ALICE_IMPI, SPAN("sip:nobody@" HOME), SPAN(HOME), 0).result,
                     CX_USER_UNKNOWN);
    assert_int_equal(uar(SPAN("eve@" HOME), ALICE_SIP, SPAN(HOME), 0).result, CX_USER_UNKNOWN);
    r.impi = SPAN("eve@" HOME);
    r.impi_elsewhere = true;
    assert_int_equal(user_authorize(&s, &r, SPAN(HOME)).result, CX_IDENTITIES_DONT_MATCH);
    assert_int_equal(uar(BOB_IMPI, ALICE_SIP, SPAN(HOME), 0).result, CX_IDENTITIES_DONT_MATCH);
    assert_int_equal(uar(BOB_IMPI, UK, SPAN(HOME), 0).result, CX_FIRST_REGISTRATION);
    assert_int_equal(uar(LAND_IMPI, AU, SPAN(HOME), 0).result, CX_FIRST_REGISTRATION);
}

static void uar_bars_only_where_nobody_of_the_set_is_open(void **state) {
    (void)state;
    assert_int_equal(uar(BOB_IMPI, BOB_TEMPORARY, SPAN(HOME), 0).result, CX_FIRST_REGISTRATION);
    assert_int_equal(uar(CEDRIC_IMPI, CEDRIC_BARRED, SPAN(HOME), 0).result,
                     CX_AUTHORIZATION_REJECTED);
    struct user_authorization_request r = {
        .impi = CEDRIC_IMPI, .impu = CEDRIC_BARRED, .emergency = true};
    assert_int_equal(user_authorize(&s, &r, SPAN(HOME)).result, CX_FIRST_REGISTRATION);
}

static void uar_looks_at_roaming_except_to_leave(void **state) {
    (void)state;
    const struct span far = SPAN("far.example");
    assert_int_equal(uar(ALICE_IMPI, ALICE_SIP, far, 0).result, CX_FIRST_REGISTRATION);
    assert_int_equal(uar(ALICE_IMPI, ALICE_WORK, SPAN(HOME), 0).result, CX_FIRST_REGISTRATION);
    assert_int_equal(uar(ALICE_IMPI, ALICE_WORK, SPAN("Abroad.Example"), 0).result,
                     CX_FIRST_REGISTRATION);
    assert_int_equal(uar(ALICE_IMPI, ALICE_WORK, far, 0).result, CX_ROAMING_NOT_ALLOWED);
    assert_int_equal(
        uar(ALICE_IMPI, ALICE_WORK, far, CX_USER_AUTHORIZATION_TYPE_REGISTRATION_AND_CAPABILITIES)
            .result,
        CX_ROAMING_NOT_ALLOWED);
    registered(SET_ALICE_WORK, ALICE);
    assert_int_equal(
        uar(ALICE_IMPI, ALICE_WORK, far, CX_USER_AUTHORIZATION_TYPE_DE_REGISTRATION).result,
        CX_SUCCESS);
}

static void uar_answers_by_state_and_type(void **state) {
    /* state of Alice's set, then by type: result, name?, capabilities?, reassignment? */
    static const struct {
        enum registration_state state;
        bool other_set; /* the landlines are registered */
        bool noted;     /* a MAR was there */
        struct {
            enum cx_result result;
            bool name, capabilities, pending;
        } by_type[3];
    } rows[] = {
        {NOT_REGISTERED,
         false,
         false,
         {{CX_FIRST_REGISTRATION, false, true, false},
          {CX_IDENTITY_NOT_REGISTERED, false, false, false},
          {CX_SUCCESS, false, true, true}}},
        {NOT_REGISTERED,
         true,
         false,
         {{CX_SUBSEQUENT_REGISTRATION, true, false, false},
          {CX_IDENTITY_NOT_REGISTERED, false, false, false},
          {CX_SUCCESS, false, true, true}}},
        {NOT_REGISTERED,
         false,
         true,
         {{CX_SUBSEQUENT_REGISTRATION, true, false, false},
          {CX_IDENTITY_NOT_REGISTERED, false, false, false},
          {CX_SUCCESS, false, true, true}}},
        {REGISTERED,
         false,
         false,
         {{CX_SUBSEQUENT_REGISTRATION, true, false, false},
          {CX_SUCCESS, true, false, false},
          {CX_SUCCESS, false, true, true}}},
        {UNREGISTERED,
         false,
         false,
         {{CX_SUBSEQUENT_REGISTRATION, true, false, false},
          {CX_SUCCESS, true, false, false},
          {CX_SUCCESS, false, true, true}}},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(fresh(state), 0);
        if (rows[i].state == REGISTERED) {
            registered(SET_ALICE, ALICE);
        } else if (rows[i].state == UNREGISTERED) {
            unregistered(SET_ALICE, ALICE);
        }
        if (rows[i].other_set) {
            registered(SET_LANDLINES, LANDLINE);
        }
        if (rows[i].noted) {
            s.notes.scscf_name = SCSCF_2;
        }
        for (unsigned type = 0; type < 3; type++) {
            struct user_authorization a = uar(ALICE_IMPI, ALICE_SIP, SPAN(HOME), type);
            assert_int_equal(a.result, rows[i].by_type[type].result);
            assert_int_equal(a.send_server_name, rows[i].by_type[type].name);
            assert_int_equal(a.send_capabilities, rows[i].by_type[type].capabilities);
            assert_int_equal(a.note_reassignment_pending, rows[i].by_type[type].pending);
        }
    }
}

/* MAR. */

static struct multimedia_auth mar(struct span impi, struct span impu, struct span server,
                                  struct span scheme) {
    struct multimedia_auth_request r = {
        .impi = impi, .impu = impu, .server_name = server, .scheme = scheme};

    return multimedia_authenticate(&s, &r);
}

static void mar_takes_aka_and_notes_who_asks(void **state) {
    (void)state;
    const struct span aka = SPAN("Digest-AKAv1-MD5");
    struct multimedia_auth a = mar(ALICE_IMPI, ALICE_SIP, SCSCF_1, aka);

    assert_int_equal(a.result, CX_SUCCESS);
    assert_int_equal(a.impi_slot, ALICE);
    assert_true(a.note_server && a.note_pending);
    registered(SET_ALICE, ALICE);
    a = mar(ALICE_IMPI, ALICE_SIP, SCSCF_1, aka);
    assert_false(a.note_server || a.note_pending);
    a = mar(ALICE_IMPI, ALICE_SIP, SCSCF_2, aka);
    assert_true(a.note_server && a.note_pending);
    unregistered(SET_BOB, BOB);
    a = mar(BOB_IMPI, BOB_SIP, SCSCF_1, aka);
    assert_true(!a.note_server && a.note_pending);
    s.notes.scscf_name = SCSCF_2; /* a noted name counts instead of the stored one */
    assert_false(mar(BOB_IMPI, BOB_SIP, SCSCF_2, aka).note_server);
    assert_true(mar(BOB_IMPI, BOB_SIP, SCSCF_1, aka).note_server);
}

static void mar_refuses_schemes_and_strangers(void **state) {
    (void)state;
    const struct span aka = SPAN("Digest-AKAv1-MD5");

    assert_int_equal(mar(ALICE_IMPI, ALICE_SIP, SCSCF_1, SPAN("Unknown")).result, CX_SUCCESS);
    assert_int_equal(mar(ALICE_IMPI, ALICE_SIP, SCSCF_1, SPAN_NONE).result, CX_SUCCESS);
    assert_int_equal(mar(ALICE_IMPI, ALICE_SIP, SCSCF_1, SPAN("SIP Digest")).result,
                     CX_AUTH_SCHEME_NOT_SUPPORTED);
    assert_int_equal(mar(LAND_IMPI, UK, SCSCF_1, aka).result, CX_AUTH_SCHEME_NOT_SUPPORTED);
    assert_int_equal(mar(BOB_IMPI, ALICE_SIP, SCSCF_1, aka).result, CX_IDENTITIES_DONT_MATCH);
    assert_int_equal(mar(BOB_IMPI, SPAN("sip:x@y"), SCSCF_1, aka).result, CX_USER_UNKNOWN);
    struct multimedia_auth_request r = {
        .impi = ALICE_IMPI, .impu = ALICE_SIP, .scheme = SPAN("Unknown"), .resynchronise = true};
    assert_int_equal(multimedia_authenticate(&s, &r).result, CX_AUTH_SCHEME_NOT_SUPPORTED);
}

static void mar_gives_every_credential_that_the_scheme_allows(void **state) {
    static const struct {
        const char *scheme;
        unsigned alice, cedric; /* AKA; AKA and Digest */
    } rows[] = {
        {"Digest-AKAv1-MD5", MULTIMEDIA_AUTH_AKA, MULTIMEDIA_AUTH_AKA},
        {"digest-akav2-sha-256", MULTIMEDIA_AUTH_AKA, MULTIMEDIA_AUTH_AKA},
        {"SIP Digest", 0, MULTIMEDIA_AUTH_DIGEST},
        {"Unknown", MULTIMEDIA_AUTH_AKA, MULTIMEDIA_AUTH_AKA | MULTIMEDIA_AUTH_DIGEST},
        {"", MULTIMEDIA_AUTH_AKA, MULTIMEDIA_AUTH_AKA | MULTIMEDIA_AUTH_DIGEST},
        {"Early-IMS-Security", 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct span scheme = span_from_cstr(rows[i].scheme);
        struct multimedia_auth a = mar(ALICE_IMPI, ALICE_SIP, SCSCF_1, scheme);
        assert_int_equal(a.schemes, rows[i].alice);
        assert_int_equal(a.result, rows[i].alice ? CX_SUCCESS : CX_AUTH_SCHEME_NOT_SUPPORTED);
        a = mar(CEDRIC_IMPI, CEDRIC_SIP, SCSCF_1, scheme);
        assert_int_equal(a.schemes, rows[i].cedric);
        assert_int_equal(a.result, rows[i].cedric ? CX_SUCCESS : CX_AUTH_SCHEME_NOT_SUPPORTED);
    }
}

/* LIR. */

static void lir_answers_by_state(void **state) {
    static const struct {
        enum registration_state state;
        bool other_set, originating, services;
        enum cx_result result;
        bool name, capabilities;
    } rows[] = {
        {NOT_REGISTERED, false, false, false, CX_IDENTITY_NOT_REGISTERED, false, false},
        {NOT_REGISTERED, true, false, false, CX_IDENTITY_NOT_REGISTERED, false, false},
        {NOT_REGISTERED, false, true, false, CX_UNREGISTERED_SERVICE, false, true},
        {NOT_REGISTERED, false, false, true, CX_UNREGISTERED_SERVICE, false, true},
        {NOT_REGISTERED, true, false, true, CX_SUCCESS, true, false},
        {NOT_REGISTERED, true, true, false, CX_SUCCESS, true, false},
        {REGISTERED, false, false, false, CX_SUCCESS, true, false},
        {REGISTERED, true, true, true, CX_SUCCESS, true, false},
        {UNREGISTERED, false, false, false, CX_SUCCESS, true, false},
        {UNREGISTERED, false, true, true, CX_SUCCESS, true, false},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(fresh(state), 0);
        if (rows[i].state == REGISTERED) {
            registered(SET_BOB, BOB);
        } else if (rows[i].state == UNREGISTERED) {
            unregistered(SET_BOB, BOB);
        }
        if (rows[i].other_set) {
            registered(SET_LANDLINES, LANDLINE);
        }
        struct location_info_request r = {.impu = BOB_SIP,
                                          .originating = rows[i].originating,
                                          .unregistered_services = rows[i].services};
        struct location_info a = location_inform(&s, &r);
        assert_int_equal(a.result, rows[i].result);
        assert_int_equal(a.send_server_name, rows[i].name);
        assert_int_equal(a.send_capabilities, rows[i].capabilities);
        assert_false(a.note_reassignment_pending);
        r.with_capabilities = true;
        a = location_inform(&s, &r);
        bool served = rows[i].result != CX_IDENTITY_NOT_REGISTERED;
        assert_int_equal(a.result, served ? CX_SUCCESS : CX_IDENTITY_NOT_REGISTERED);
        assert_int_equal(a.send_capabilities, served);
        assert_int_equal(a.note_reassignment_pending, served);
        assert_false(a.send_server_name);
    }
    struct location_info_request r = {.impu = SPAN("sip:nobody@" HOME)};
    assert_int_equal(location_inform(&s, &r).result, CX_USER_UNKNOWN);
    assert_int_equal(location_inform(NULL, &r).result, CX_USER_UNKNOWN);
}

/* SAR. */

static struct server_assignment sar(unsigned type, struct span impi, struct span impu,
                                    struct span server) {
    struct server_assignment_request r = {.type = type,
                                          .impi = impi,
                                          .impus = &impu,
                                          .n_impus = impu.n ? 1 : 0,
                                          .server_name = server,
                                          .server_host = SPAN("host.of.server"),
                                          .keep_server_name = true};
    struct server_assignment out;

    server_assign(&s, &r, &out);
    return out;
}

enum who { SAME, OTHER, OTHER_PENDING };

/* TS 29.228 6.1.2.1 written down once more, one line a case: type, state, who asks -> result, state
 * afterwards. N, R, U: not registered, registered, unregistered. Where nobody is assigned, SAME and
 * OTHER are the same. */
static const char *const expected =
    /*      N same        N other       R same       R other       R pending    U same   U other   U
       pending */
    "0  5012 N  5012 N  2001 R  5012 R  2001 R  2001 U  5012 U  2001 U\n"
    "1  2001 R  2001 R  2001 R  e5005 R  2001 R  2001 R  e5005 U  2001 R\n"
    "2  2001 R  2001 R  2001 R  e5005 R  2001 R  2001 R  e5005 U  2001 R\n"
    "3  2001 U  2001 U  e5007 R  e5005 R  e5007 R  2001 U  e5005 U  2001 U\n"
    "4  2001 N  2001 N  2001 N  e5005 R  e5005 R  2001 N  e5005 U  e5005 U\n"
    "5  2001 N  2001 N  2001 N  e5005 R  e5005 R  2001 N  e5005 U  e5005 U\n"
    "6  e2004 N  e2004 N  2001 U  e5005 R  e5005 R  2001 U  e5005 U  e5005 U\n"
    "7  e2004 N  e2004 N  2001 U  e5005 R  e5005 R  2001 U  e5005 U  e5005 U\n"
    "8  2001 N  2001 N  2001 N  e5005 R  e5005 R  2001 N  e5005 U  e5005 U\n"
    "9  2001 N  2001 N  2001 R  e5005 R  e5005 R  2001 U  e5005 U  e5005 U\n"
    "10 2001 N  2001 N  2001 R  e5005 R  e5005 R  2001 U  e5005 U  e5005 U\n"
    "11 2001 N  2001 N  2001 N  e5005 R  e5005 R  2001 N  e5005 U  e5005 U\n";

static void sar_does_what_the_standard_says_for_each_type_in_each_state(void **state) {
    static const struct {
        enum registration_state state;
        enum who who;
    } columns[8] = {{NOT_REGISTERED, SAME}, {NOT_REGISTERED, OTHER},      {REGISTERED, SAME},
                    {REGISTERED, OTHER},    {REGISTERED, OTHER_PENDING},  {UNREGISTERED, SAME},
                    {UNREGISTERED, OTHER},  {UNREGISTERED, OTHER_PENDING}};
    struct span lines = span_from_cstr(expected);
    unsigned cases = 0;

    for (unsigned type = 0; type < CX_SERVER_ASSIGNMENT_TYPES; type++) {
        struct span line = span_cut(&lines, '\n');
        span_cut(&line, ' ');
        for (unsigned c = 0; c < 8; c++) {
            line = span_trim(line);
            struct span result_text = span_cut(&line, ' ');
            bool experimental = result_text.p[0] == 'e';
            uint32_t code;
            assert_true(span_to_u32(span_after(result_text, experimental), 9999, &code));
            char after_text = span_cut(&line, ' ').p[0];
            enum registration_state after = after_text == 'N'   ? NOT_REGISTERED
                                            : after_text == 'R' ? REGISTERED
                                                                : UNREGISTERED;

            assert_int_equal(fresh(state), 0);
            if (columns[c].state == REGISTERED) {
                registered(SET_ALICE, ALICE);
            } else if (columns[c].state == UNREGISTERED) {
                unregistered(SET_ALICE, ALICE);
            }
            s.notes.reassignment_pending = columns[c].who == OTHER_PENDING;
            struct span server = columns[c].who == SAME ? SCSCF_1 : SCSCF_2;
            struct server_assignment a = sar(type, ALICE_IMPI, ALICE_SIP, server);
            assert_int_equal(cx_result_code(a.result), code);
            assert_int_equal(cx_result_is_experimental(a.result), experimental);
            assert_int_equal(registration_of(&a.state, SET_ALICE), after);
            assert_int_equal(a.send_server_name, a.result == CX_IDENTITY_ALREADY_REGISTERED);
            assert_int_equal(a.send_user_data, a.result == CX_SUCCESS && type <= 3);
            assert_int_equal(a.send_charging, a.send_user_data);
            assert_int_equal(a.send_associated, a.send_user_data);
            assert_int_equal(a.changed, !registration_eq(&a.state, &s.state));
            if (!cx_result_is_success(a.result)) {
                assert_false(a.changed);
            }
            if (after == NOT_REGISTERED) {
                assert_int_equal(a.state.scscf_name.n, 0);
            } else if (a.changed) {
                assert_true(span_eq(a.state.scscf_name, server));
            }
            assert_int_equal(a.assigned != 0,
                             after == REGISTERED && columns[c].state != REGISTERED);
            assert_int_equal(a.released != 0,
                             after == NOT_REGISTERED && columns[c].state != NOT_REGISTERED);
            cases++;
        }
    }
    assert_int_equal(cases, 96);
}

static void sar_moves_a_whole_implicit_registration_set(void **state) {
    (void)state;
    struct server_assignment a = sar(CX_SERVER_ASSIGNMENT_TYPE_REGISTRATION, BOB_IMPI, AU, SCSCF_1);

    assert_int_equal(a.result, CX_SUCCESS);
    assert_int_equal(a.set, SET_LANDLINES);
    s.state = a.state;
    struct location_info_request r = {.impu = UK};
    assert_int_equal(location_inform(&s, &r).result, CX_SUCCESS);
    r.impu = BOB_SIP;
    assert_int_equal(location_inform(&s, &r).result, CX_IDENTITY_NOT_REGISTERED);
}

static void a_shared_identity_stays_until_its_last_terminal_leaves(void **state) {
    (void)state;
    s.state = sar(CX_SERVER_ASSIGNMENT_TYPE_REGISTRATION, ALICE_IMPI, UK, SCSCF_1).state;
    s.state = sar(CX_SERVER_ASSIGNMENT_TYPE_REGISTRATION, BOB_IMPI, AU, SCSCF_1).state;
    assert_int_equal(s.state.registered_by[SET_LANDLINES], 1 << ALICE | 1 << BOB);

    struct server_assignment a =
        sar(CX_SERVER_ASSIGNMENT_TYPE_USER_DEREGISTRATION, ALICE_IMPI, UK, SCSCF_1);
    assert_int_equal(a.result, CX_SUCCESS);
    assert_true(a.changed);
    assert_int_equal(a.released, 0);
    assert_int_equal(registration_of(&a.state, SET_LANDLINES), REGISTERED);
    s.state = a.state;
    a = sar(CX_SERVER_ASSIGNMENT_TYPE_TIMEOUT_DEREGISTRATION_STORE_SERVER_NAME, BOB_IMPI, AU,
            SCSCF_1);
    assert_int_equal(registration_of(&a.state, SET_LANDLINES), UNREGISTERED);
    assert_int_equal(a.state.unregistered_by[SET_LANDLINES], BOB);
    a = sar(CX_SERVER_ASSIGNMENT_TYPE_TIMEOUT_DEREGISTRATION, BOB_IMPI, AU, SCSCF_1);
    assert_int_equal(registration_of(&a.state, SET_LANDLINES), NOT_REGISTERED);
    assert_int_equal(a.state.scscf_name.n, 0);
}

static void the_s_cscf_belongs_to_the_whole_subscription(void **state) {
    (void)state;
    s.state = sar(CX_SERVER_ASSIGNMENT_TYPE_REGISTRATION, ALICE_IMPI, ALICE_SIP, SCSCF_1).state;
    struct server_assignment a =
        sar(CX_SERVER_ASSIGNMENT_TYPE_REGISTRATION, BOB_IMPI, BOB_SIP, SCSCF_2);
    assert_int_equal(a.result, CX_IDENTITY_ALREADY_REGISTERED);
    a = sar(CX_SERVER_ASSIGNMENT_TYPE_UNREGISTERED_USER, SPAN_NONE, CEDRIC_SIP, SCSCF_2);
    assert_int_equal(a.result, CX_IDENTITY_ALREADY_REGISTERED);
    a = sar(CX_SERVER_ASSIGNMENT_TYPE_REGISTRATION, BOB_IMPI, BOB_SIP, SCSCF_1);
    assert_int_equal(a.result, CX_SUCCESS);
    s.state = a.state;
    s.state =
        sar(CX_SERVER_ASSIGNMENT_TYPE_USER_DEREGISTRATION, ALICE_IMPI, ALICE_SIP, SCSCF_1).state;
    assert_true(span_eq(s.state.scscf_name, SCSCF_1));
    s.state = sar(CX_SERVER_ASSIGNMENT_TYPE_USER_DEREGISTRATION, BOB_IMPI, BOB_SIP, SCSCF_1).state;
    assert_int_equal(s.state.scscf_name.n, 0);
}

static void de_registration_without_public_identity_means_all_of_the_private_one(void **state) {
    (void)state;
    registered(SET_ALICE, ALICE);
    registered(SET_ALICE_WORK, ALICE);
    registered(SET_LANDLINES, ALICE);
    registered(SET_LANDLINES, BOB);
    registered(SET_BOB, BOB);
    struct server_assignment a = sar(CX_SERVER_ASSIGNMENT_TYPE_ADMINISTRATIVE_DEREGISTRATION,
                                     ALICE_IMPI, SPAN_NONE, SCSCF_1);
    assert_int_equal(a.result, CX_SUCCESS);
    assert_int_equal(a.released, 1 << SET_ALICE | 1 << SET_ALICE_WORK);
    assert_int_equal(a.state.registered_by[SET_LANDLINES], 1 << BOB);
    assert_int_equal(a.state.registered_by[SET_BOB], 1 << BOB);
    assert_int_equal(
        sar(CX_SERVER_ASSIGNMENT_TYPE_REGISTRATION, ALICE_IMPI, SPAN_NONE, SCSCF_1).result,
        CX_MISSING_AVP);
    assert_int_equal(
        sar(CX_SERVER_ASSIGNMENT_TYPE_REGISTRATION, SPAN_NONE, ALICE_SIP, SCSCF_1).result,
        CX_MISSING_AVP);
    assert_int_equal(
        sar(CX_SERVER_ASSIGNMENT_TYPE_USER_DEREGISTRATION, SPAN_NONE, SPAN_NONE, SCSCF_1).result,
        CX_MISSING_AVP);
}

static void several_public_identities_are_for_de_registration_only(void **state) {
    struct span impus[] = {ALICE_SIP, ALICE_WORK, UK};

    for (unsigned type = 0; type < CX_SERVER_ASSIGNMENT_TYPES; type++) {
        assert_int_equal(fresh(state), 0);
        registered(SET_ALICE, ALICE);
        registered(SET_ALICE_WORK, ALICE);
        registered(SET_LANDLINES, ALICE);
        struct server_assignment_request r = {
            .type = type, .impi = ALICE_IMPI, .impus = impus, .n_impus = 3, .server_name = SCSCF_1};
        struct server_assignment a;
        server_assign(&s, &r, &a);
        bool deregisters = (type >= 4 && type <= 8) || type == 11;
        bool keeps = type == 6 || type == 7;
        assert_int_equal(a.result, !deregisters ? CX_AVP_OCCURS_TOO_MANY_TIMES
                                   : keeps      ? CX_SERVER_NAME_NOT_STORED
                                                : CX_SUCCESS);
        if (deregisters) {
            assert_false(registration_is_any(&a.state));
        }
        impus[2] = BOB_SIP;
        server_assign(&s, &r, &a);
        assert_int_equal(a.result,
                         deregisters ? CX_IDENTITIES_DONT_MATCH : CX_AVP_OCCURS_TOO_MANY_TIMES);
        impus[2] = UK;
    }
}

static void unregistered_service_names_a_private_identity(void **state) {
    (void)state;
    struct server_assignment a =
        sar(CX_SERVER_ASSIGNMENT_TYPE_UNREGISTERED_USER, SPAN_NONE, CEDRIC_SIP, SCSCF_1);
    assert_int_equal(a.result, CX_SUCCESS);
    assert_true(a.has_impi);
    assert_int_equal(a.impi_slot, CEDRIC);
    assert_int_equal(a.state.unregistered_by[SET_CEDRIC], CEDRIC);
    a = sar(CX_SERVER_ASSIGNMENT_TYPE_UNREGISTERED_USER, SPAN_NONE, UK, SCSCF_1);
    assert_int_equal(a.impi_slot, ALICE);
    s.state = sar(CX_SERVER_ASSIGNMENT_TYPE_UNREGISTERED_USER, BOB_IMPI, UK, SCSCF_1).state;
    a = sar(CX_SERVER_ASSIGNMENT_TYPE_NO_ASSIGNMENT, SPAN_NONE, AU, SCSCF_1);
    assert_int_equal(a.result, CX_SUCCESS);
    assert_int_equal(a.impi_slot, BOB);
    assert_false(a.changed);
}

static void a_noted_s_cscf_may_register_and_a_failed_one_is_forgotten(void **state) {
    (void)state;
    s.notes.scscf_name = SCSCF_2;
    s.notes.authentication_pending = 1 << ALICE | 1 << BOB;
    assert_int_equal(
        sar(CX_SERVER_ASSIGNMENT_TYPE_REGISTRATION, ALICE_IMPI, ALICE_SIP, SCSCF_1).result,
        CX_IDENTITY_ALREADY_REGISTERED);
    struct server_assignment a =
        sar(CX_SERVER_ASSIGNMENT_TYPE_REGISTRATION, ALICE_IMPI, ALICE_SIP, SCSCF_2);
    assert_int_equal(a.result, CX_SUCCESS);
    assert_int_equal(a.notes.authentication_pending, 1 << BOB);
    assert_int_equal(a.notes.scscf_name.n, 0);
    assert_true(span_eq(a.state.scscf_name, SCSCF_2));

    for (unsigned type = CX_SERVER_ASSIGNMENT_TYPE_AUTHENTICATION_FAILURE;
         type <= CX_SERVER_ASSIGNMENT_TYPE_AUTHENTICATION_TIMEOUT; type++) {
        assert_int_equal(fresh(state), 0);
        s.notes.scscf_name = SCSCF_2;
        s.notes.authentication_pending = 1 << ALICE | 1 << BOB;
        a = sar(type, ALICE_IMPI, ALICE_SIP, SCSCF_2);
        assert_int_equal(a.result, CX_SUCCESS);
        assert_false(a.changed);
        assert_true(span_eq(a.notes.scscf_name, SCSCF_2)); /* Bob's is still on its way */
        s.notes = a.notes;
        a = sar(type, BOB_IMPI, BOB_SIP, SCSCF_2);
        assert_int_equal(a.notes.authentication_pending, 0);
        assert_int_equal(a.notes.scscf_name.n, 0);
    }
}

static void sar_refuses_strangers(void **state) {
    (void)state;
    struct span impu = ALICE_SIP;
    struct server_assignment_request r = {.type = CX_SERVER_ASSIGNMENT_TYPE_REGISTRATION,
                                          .impi = SPAN("eve@x"),
                                          .impus = &impu,
                                          .n_impus = 1};
    struct server_assignment a;

    server_assign(&s, &r, &a);
    assert_int_equal(a.result, CX_USER_UNKNOWN);
    r.impi_elsewhere = true;
    server_assign(&s, &r, &a);
    assert_int_equal(a.result, CX_IDENTITIES_DONT_MATCH);
    server_assign(NULL, &r, &a);
    assert_int_equal(a.result, CX_USER_UNKNOWN);
    r.type = 12;
    server_assign(&s, &r, &a);
    assert_int_equal(a.result, CX_INVALID_AVP_VALUE);
    assert_int_equal(
        sar(CX_SERVER_ASSIGNMENT_TYPE_REGISTRATION, BOB_IMPI, ALICE_SIP, SCSCF_1).result,
        CX_IDENTITIES_DONT_MATCH);
}

static void results_have_the_standards_names(void **state) {
    (void)state;
    assert_string_equal(cx_result_name(CX_FIRST_REGISTRATION), "DIAMETER_FIRST_REGISTRATION");
    assert_string_equal(cx_result_name((enum cx_result)1), "unknown result");
    assert_string_equal(cx_server_assignment_type_name(11), "DEREGISTRATION_TOO_MUCH_DATA");
    assert_string_equal(cx_server_assignment_type_name(12), "unknown type");
    assert_true(cx_result_is_success(CX_SERVER_NAME_NOT_STORED));
    assert_false(cx_result_is_success(CX_USER_UNKNOWN));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(uar_refuses_identities_that_are_unknown_or_do_not_match, fresh),
        cmocka_unit_test_setup(uar_bars_only_where_nobody_of_the_set_is_open, fresh),
        cmocka_unit_test_setup(uar_looks_at_roaming_except_to_leave, fresh),
        cmocka_unit_test_setup(uar_answers_by_state_and_type, fresh),
        cmocka_unit_test_setup(mar_takes_aka_and_notes_who_asks, fresh),
        cmocka_unit_test_setup(mar_refuses_schemes_and_strangers, fresh),
        cmocka_unit_test_setup(mar_gives_every_credential_that_the_scheme_allows, fresh),
        cmocka_unit_test_setup(lir_answers_by_state, fresh),
        cmocka_unit_test_setup(sar_does_what_the_standard_says_for_each_type_in_each_state, fresh),
        cmocka_unit_test_setup(sar_moves_a_whole_implicit_registration_set, fresh),
        cmocka_unit_test_setup(a_shared_identity_stays_until_its_last_terminal_leaves, fresh),
        cmocka_unit_test_setup(the_s_cscf_belongs_to_the_whole_subscription, fresh),
        cmocka_unit_test_setup(de_registration_without_public_identity_means_all_of_the_private_one,
                               fresh),
        cmocka_unit_test_setup(several_public_identities_are_for_de_registration_only, fresh),
        cmocka_unit_test_setup(unregistered_service_names_a_private_identity, fresh),
        cmocka_unit_test_setup(a_noted_s_cscf_may_register_and_a_failed_one_is_forgotten, fresh),
        cmocka_unit_test_setup(sar_refuses_strangers, fresh),
        cmocka_unit_test_setup(results_have_the_standards_names, fresh),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
