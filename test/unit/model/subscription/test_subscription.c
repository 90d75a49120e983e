/* covers: A6
 * Rules of sound subscriptions and profiles, slots that stay, registration state as a record. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../family.h"

#include <stdlib.h>

static struct rec_subscription_data data;
static struct rec_impi_data impis[4];
static struct rec_impu_data impus[10];
static struct subscription_fault fault;

static int fresh(void **state) {
    (void)state;
    data = family_data();
    memcpy(impis, data.impis, sizeof impis);
    memcpy(impus, data.impus, sizeof impus);
    data.impis = impis;
    data.impus = impus;
    return 0;
}

static bool profile_exists(void *ctx, struct span name) {
    (void)ctx;
    return span_eq(name, SPAN("default")) || span_eq(name, SPAN("australia"));
}

static bool sound(void) {
    struct subscription_context context = {.profile_exists = profile_exists};

    return subscription_check(&data, &context, &fault);
}

#define BREAKS(rule_, member_, ...)                                                                \
    do {                                                                                           \
        fresh(NULL);                                                                               \
        __VA_ARGS__;                                                                               \
        assert_false(sound());                                                                     \
        assert_string_equal(fault.rule, rule_);                                                    \
        assert_string_equal(fault.member, member_);                                                \
        assert_true(strlen(fault.text) > 10);                                                      \
    } while (0)

static void the_family_is_sound(void **state) {
    (void)state;
    assert_true(sound());
}

static void each_broken_rule_is_named_with_its_member(void **state) {
    static const uint32_t seven[] = {7};
    static const struct span bad_server[] = {SPAN_INIT("scscf.home")};

    (void)state;
    BREAKS("subscription-name", "/name", data.name = SPAN("a b"));
    BREAKS("capability-once", "/capabilities/optional/0", data.mandatory_capabilities = seven,
           data.n_mandatory_capabilities = 1, data.optional_capabilities = seven,
           data.n_optional_capabilities = 1);
    BREAKS("server-name-form", "/capabilities/servers/0", data.server_names = bad_server,
           data.n_server_names = 1);
    BREAKS("charging-form", "/charging/primary_ccf", data.primary_ccf = SPAN("ccf.home"));
    BREAKS("charging-primary", "/charging/secondary_ecf", data.secondary_ecf = SPAN("aaa://x"));
    BREAKS("impi-count", "/impis", data.n_impis = 0);
    BREAKS("impi-form", "/impis/1/identity", impis[1].identity = SPAN("bob"));
    BREAKS("impi-form", "/impis/1/identity", impis[1].identity = SPAN("bob@a@b"));
    BREAKS("impi-form", "/impis/1/identity", impis[1].identity = SPAN("bo\nb@a"));
    BREAKS("impi-unique", "/impis/2/identity", impis[2].identity = ALICE_IMPI);
    BREAKS("impu-count", "/impus", data.n_impus = 0);
    BREAKS("impu-form", "/impus/0/identity", impus[0].identity = SPAN("tel:0441632960100"));
    BREAKS("impu-form", "/impus/0/identity", impus[0].identity = SPAN("tel:+44-1632"));
    BREAKS("impu-form", "/impus/2/identity", impus[2].identity = SPAN("sip:alice@Home.Example"));
    BREAKS("impu-form", "/impus/2/identity", impus[2].identity = SPAN("sip:alice@home;user=phone"));
    BREAKS("impu-form", "/impus/2/identity", impus[2].identity = SPAN("sip:@home"));
    BREAKS("impu-form", "/impus/2/identity", impus[2].identity = SPAN("mailto:alice@home"));
    BREAKS("impu-unique", "/impus/3/identity", impus[3].identity = ALICE_SIP);
    BREAKS("impu-impi", "/impus/4/impi", impus[4].impi = 9);
    BREAKS("set-number", "/impus/4/set", impus[4].set = 64);
    BREAKS("set-same-impis", "/impus/1/impi", impus[1].impi = BOB);
    BREAKS("set-one-default", "/impus/3/default", impus[3].is_default = true);
    BREAKS("default-not-barred", "/impus/5/default", impus[5].is_default = true);
    BREAKS("alias-same-set", "/impus/8/alias_group", impus[8].set = 9);
    BREAKS("alias-same-profile", "/impus/8/profile", impus[8].profile = SPAN("australia"));
    BREAKS("alias-name", "/impus/8/alias_group", impus[8].alias_group = SPAN("a/b"));
    BREAKS("profile-exists", "/impus/6/profile", impus[6].profile = SPAN("gold"));
    BREAKS("profile-name", "/impus/6/profile", impus[6].profile = SPAN_NONE);
    BREAKS("display-name", "/impus/6/display_name", impus[6].display_name = SPAN("a\nb"));
    BREAKS("display-name", "/impus/6/display_name", impus[6].display_name = SPAN("a\xc3"));
    BREAKS("identity-type", "/impus/4/type", impus[4].type = IDENTITY_NON_DISTINCT);
    BREAKS("identity-type", "/impus/4/type", impus[4].type = 5);
    BREAKS("wildcard-form", "/impus/4/identity", impus[4].identity = SPAN("sip:!.*!@home"));
    BREAKS("wildcard-form", "/impus/4/identity", impus[4].identity = SPAN("sip:a!(!@home"),
           impus[4].type = IDENTITY_WILDCARDED_USER);
    BREAKS("wildcard-form", "/impus/4/identity", impus[4].type = IDENTITY_WILDCARDED_USER);
    BREAKS("wildcard-not-default", "/impus/2/default", impus[2].identity = SPAN("sip:a!.*!@home"),
           impus[2].type = IDENTITY_WILDCARDED_USER);
    BREAKS("wildcard-not-alone", "/impus/4/set", impus[4].identity = SPAN("sip:a!.*!@home"),
           impus[4].type = IDENTITY_WILDCARDED_USER);
    BREAKS("wildcard-overlaps", "/impus/3/identity", impus[1].identity = SPAN("tel:+44!1.*!"),
           impus[3].identity = SPAN("tel:+4412!.*!"),
           impus[1].type = impus[3].type = IDENTITY_WILDCARDED_USER);
    BREAKS("psi-alone", "/impus/3/set", impus[3].type = IDENTITY_PSI);
    BREAKS("psi-member", "/impus/9/barred", impus[9].type = IDENTITY_PSI);
    BREAKS("psi-member", "/impus/4/active", impus[4].inactive = true);
    BREAKS("psi-member", "/impus/4/server_name", impus[4].server_name = SPAN("sip:as"));
    BREAKS("psi-server-name", "/impus/4/server_name", impus[4].type = IDENTITY_PSI,
           impus[4].server_name = SPAN("as"));
    BREAKS("set-same-loose-route", "/impus/3/loose_route", impus[3].loose_route = true);
    fresh(NULL);
    impus[4].type = IDENTITY_WILDCARDED_PSI;
    impus[4].identity = SPAN("sip:conf!.*!@home");
    impus[4].server_name = SPAN("sip:as.home");
    impus[3].identity = SPAN("tel:+4477009002![0-9]{2}!");
    impus[3].type = IDENTITY_WILDCARDED_USER;
    assert_true(sound());
    fresh(NULL);
    impus[6].display_name = SPAN("Bj\xc3\xb6rn");
    impus[9].is_default = true; /* nobody of its set is open */
    assert_true(sound());
}

#define PROFILE_BREAKS(rule_, member_, ...)                                                        \
    do {                                                                                           \
        struct rec_spt_data spts[] = {                                                             \
            {.kind = 1, .value = SPAN("INVITE"), .groups = group, .n_groups = 1}};                 \
        struct rec_ifc_data ifcs[] = {{.priority = 1, .part = 2, .server_name = SPAN("sip:as.x")}, \
                                      {.priority = 2,                                              \
                                       .part = 2,                                                  \
                                       .server_name = SPAN("sip:as.y"),                            \
                                       .has_trigger = true,                                        \
                                       .spts = spts,                                               \
                                       .n_spts = 1}};                                              \
        struct rec_profile_data p = {.name = SPAN("default"), .ifcs = ifcs, .n_ifcs = 2};          \
        assert_true(subscription_check_profile(&p, &fault));                                       \
        __VA_ARGS__;                                                                               \
        assert_false(subscription_check_profile(&p, &fault));                                      \
        assert_string_equal(fault.rule, rule_);                                                    \
        assert_string_equal(fault.member, member_);                                                \
    } while (0)

static void profiles_have_rules_too(void **state) {
    static const uint32_t group[] = {0};

    (void)state;
    PROFILE_BREAKS("profile-name", "/name", p.name = SPAN(""));
    PROFILE_BREAKS("priority-unique", "/filter_criteria/1/priority", ifcs[1].priority = 1);
    PROFILE_BREAKS("part", "/filter_criteria/0/part", ifcs[0].part = 3);
    PROFILE_BREAKS("server-name-form", "/filter_criteria/0/server_name",
                   ifcs[0].server_name = SPAN("as.x"));
    PROFILE_BREAKS("trigger-count", "/filter_criteria/1/triggers", ifcs[1].n_spts = 0);
    PROFILE_BREAKS("trigger-kind", "/filter_criteria/1/triggers/0", spts[0].kind = 5);
    PROFILE_BREAKS("trigger-value", "/filter_criteria/1/triggers/0", spts[0].value.n = 0);
    PROFILE_BREAKS("trigger-group", "/filter_criteria/1/triggers/0", spts[0].n_groups = 0);
    PROFILE_BREAKS("trigger-registration-type", "/filter_criteria/1/triggers/0",
                   spts[0].registration_types = 1);
    PROFILE_BREAKS("criteria-count", "/filter_criteria", p.n_ifcs = 257);
}

static void unregistered_service_is_told_from_the_profile(void **state) {
    static const uint32_t group[] = {0};
    struct rec_spt_data spt = {.kind = 3, .session_case = 2, .groups = group, .n_groups = 1};
    struct rec_ifc_data ifc = {
        .part = 2, .server_name = SPAN("sip:as"), .has_trigger = true, .spts = &spt, .n_spts = 1};
    struct rec_profile_data p = {.name = SPAN("p"), .ifcs = &ifc, .n_ifcs = 1};
    char memory[512];
    static const struct {
        uint8_t part, session_case;
        bool trigger, negated, serves;
    } rows[] = {
        {2, 2, true, false, true},   {2, 0, true, false, false}, {0, 2, true, false, false},
        {1, 0, true, false, true},   {2, 2, true, true, false},  {2, 0, false, false, true},
        {0, 0, false, false, false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct buf out = buf_init(memory, sizeof memory);
        struct rec_profile view;
        ifc.part = rows[i].part;
        ifc.has_trigger = rows[i].trigger;
        ifc.n_spts = rows[i].trigger;
        spt.session_case = rows[i].session_case;
        spt.negated = rows[i].negated;
        assert_int_equal(rec_profile_encode(&p, &out), OK);
        assert_int_equal(rec_profile_open(buf_span(&out), &view), OK);
        assert_int_equal(subscription_profile_serves_unregistered(view), rows[i].serves);
    }
}

static void slots_stay_with_their_identities(void **state) {
    char memory[4096];
    struct subscription s;
    struct rec_impi_data new_impis[] = {
        {.identity = SPAN("new@x"), .slot = SUBSCRIPTION_SLOT_NEW},
        {.identity = CEDRIC_IMPI, .slot = SUBSCRIPTION_SLOT_NEW},
        {.identity = ALICE_IMPI, .slot = SUBSCRIPTION_SLOT_NEW},
    };
    struct rec_impu_data new_impus[] = {
        {.identity = SPAN("sip:new@x"), .set = SUBSCRIPTION_SLOT_NEW},
        {.identity = ALICE_WORK, .set = SUBSCRIPTION_SLOT_NEW},
        {.identity = BOB_SIP, .set = SET_BOB},
        {.identity = CEDRIC_SIP, .set = SUBSCRIPTION_SLOT_NEW},
    };

    (void)state;
    assert_true(family_make(memory, sizeof memory, &s));
    assert_true(subscription_assign_slots(&s.data, new_impis, 3, new_impus, 4, &fault));
    assert_int_equal(new_impis[0].slot, 4); /* not Bob's, whose state is still there */
    assert_int_equal(new_impis[1].slot, CEDRIC);
    assert_int_equal(new_impis[2].slot, ALICE);
    assert_int_equal(new_impus[0].set, 6);
    assert_int_equal(new_impus[1].set, SET_ALICE_WORK);
    assert_int_equal(new_impus[2].set, SET_BOB);
    assert_int_equal(new_impus[3].set, SET_CEDRIC);

    struct rec_impi_data many[65];
    for (size_t i = 0; i < 65; i++) {
        many[i] = (struct rec_impi_data){.slot = SUBSCRIPTION_SLOT_NEW};
    }
    assert_true(subscription_assign_slots(NULL, many, 64, NULL, 0, &fault));
    assert_int_equal(many[63].slot, 63);
    for (size_t i = 0; i < 65; i++) {
        many[i].slot = SUBSCRIPTION_SLOT_NEW;
    }
    assert_false(subscription_assign_slots(NULL, many, 65, NULL, 0, &fault));
    assert_string_equal(fault.rule, "impi-count");
}

static void state_survives_as_a_record(void **state) {
    struct registration r, read;
    char memory[REGISTRATION_RECORD_MAX];
    struct rec_registration view;

    (void)state;
    for (unsigned round = 0; round < 200; round++) {
        registration_init(&r);
        srand(round);
        if (round % 3) {
            r.scscf_name = SCSCF_1;
            r.scscf_host = SCSCF_1_HOST;
        }
        for (unsigned set = 0; set < SUBSCRIPTION_SLOTS; set++) {
            if (rand() % 3 == 0) {
                r.registered_by[set] = (uint64_t)rand() << 33 | (uint64_t)rand();
            } else if (rand() % 3 == 0) {
                r.unregistered |= UINT64_C(1) << set;
                r.unregistered_by[set] = (uint8_t)(rand() % 64);
            }
        }
        struct buf out = buf_init(memory, sizeof memory);
        assert_int_equal(registration_write(&r, &out), OK);
        assert_int_equal(rec_registration_open(buf_span(&out), &view), OK);
        registration_read(view, &read);
        assert_true(registration_eq(&r, &read));
    }
    read = r;
    read.scscf_name = SCSCF_2;
    assert_false(registration_eq(&r, &read));
    read = r;
    read.registered_by[63] ^= 1;
    assert_false(registration_eq(&r, &read));
}

static void a_change_takes_state_of_what_is_gone_along(void **state) {
    char memory[4096], smaller[4096];
    struct subscription s;
    struct rec_subscription now;

    (void)state;
    assert_true(family_make(memory, sizeof memory, &s));
    s.state.scscf_name = SCSCF_1;
    s.state.registered_by[SET_LANDLINES] = 1 << ALICE | 1 << BOB;
    s.state.registered_by[SET_ALICE] = 1 << ALICE;
    s.state.registered_by[SET_BOB] = 1 << BOB;
    s.state.unregistered = 1 << SET_CEDRIC;
    s.state.unregistered_by[SET_CEDRIC] = CEDRIC;
    data.n_impis = 1; /* only Alice stays, with the landlines and her mobile */
    data.n_impus = 4;
    struct buf out = buf_init(smaller, sizeof smaller);
    assert_int_equal(rec_subscription_encode(&data, &out), OK);
    assert_int_equal(subscription_open(buf_span(&out), &now), OK);
    registration_prune(&s.state, now);
    assert_int_equal(s.state.registered_by[SET_LANDLINES], 1 << ALICE);
    assert_int_equal(s.state.registered_by[SET_ALICE], 1 << ALICE);
    assert_int_equal(registration_of(&s.state, SET_BOB), NOT_REGISTERED);
    assert_int_equal(registration_of(&s.state, SET_CEDRIC), NOT_REGISTERED);
    assert_true(span_eq(s.state.scscf_name, SCSCF_1));
    s.state.registered_by[SET_ALICE] = s.state.registered_by[SET_LANDLINES] = 1 << BOB;
    registration_prune(&s.state, now);
    assert_int_equal(s.state.scscf_name.n, 0);
}

static void who_belongs_to_whom(void **state) {
    char memory[4096];
    struct subscription s;
    struct rec_impu impu;

    (void)state;
    assert_true(family_make(memory, sizeof memory, &s));
    assert_int_equal(subscription_impi_slots(s.data), 15);
    assert_int_equal(subscription_sets_of(s.data, LANDLINE), 1 << SET_LANDLINES);
    assert_int_equal(subscription_sets_of(s.data, ALICE),
                     1 << SET_LANDLINES | 1 << SET_ALICE | 1 << SET_ALICE_WORK);
    assert_true(subscription_default_impu(s.data, SET_BOB, &impu));
    assert_true(span_eq(rec_impu_identity(impu), BOB_SIP)); /* the barred one stands before it */
    assert_true(subscription_default_impu(s.data, SET_BARRED, &impu));
    assert_true(span_eq(rec_impu_identity(impu), CEDRIC_BARRED));
    assert_false(subscription_default_impu(s.data, 40, &impu));
    assert_false(subscription_has_unbarred(s.data, SET_BARRED));
}

static void slots_out_of_range_are_corrupt(void **state) {
    char memory[4096];
    struct rec_subscription view;

    (void)state;
    for (unsigned round = 0; round < 3; round++) {
        fresh(NULL);
        struct buf out = buf_init(memory, sizeof memory);
        impis[0].slot = round == 0 ? 64 : 0;
        impus[0].set = round == 1 ? 64 : 0;
        impus[0].impi = round == 2 ? 64 : 255;
        assert_int_equal(rec_subscription_encode(&data, &out), OK);
        assert_int_equal(rec_subscription_open(buf_span(&out), &view), OK);
        assert_int_equal(subscription_open(buf_span(&out), &view), ERR_CORRUPT);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_family_is_sound, fresh),
        cmocka_unit_test(each_broken_rule_is_named_with_its_member),
        cmocka_unit_test(profiles_have_rules_too),
        cmocka_unit_test(unregistered_service_is_told_from_the_profile),
        cmocka_unit_test(slots_stay_with_their_identities),
        cmocka_unit_test(state_survives_as_a_record),
        cmocka_unit_test_setup(a_change_takes_state_of_what_is_gone_along, fresh),
        cmocka_unit_test(who_belongs_to_whom),
        cmocka_unit_test(slots_out_of_range_are_corrupt),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
