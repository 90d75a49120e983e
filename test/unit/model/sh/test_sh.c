/* Decisions on Sh: what may be asked, by the table of TS 29.328 7.6.1; identities, states, sequence
 * numbers; who is notified of what. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../family.h"
#include "model/sh/sh.h"

#include <stdlib.h>

enum { UPDATE_MAX = 10 };

static struct chunk_pool pool;
static struct arena arena;
static char memory[16384], memory_after[16384];
static struct subscription family;

static int setup(void **state) {
    (void)state;
    arena = arena_init(&pool);
    assert_true(family_make(memory, sizeof memory, &family));
    family.state.scscf_name = SCSCF_1;
    family.state.registered_by[SET_ALICE] = UINT64_C(1) << ALICE;
    family.state.unregistered = UINT64_C(1) << SET_BOB;
    return 0;
}

static int teardown(void **state) {
    (void)state;
    arena_release(&arena);
    return 0;
}

static struct rec_impu impu_of(const struct subscription *s, struct span identity) {
    struct rec_impu impu;
    assert_true(subscription_impu(s->data, identity, &impu));
    return impu;
}

static void everybody_needs_a_permission_for_each_reference(void **state) {
    const struct sh_permissions p = {.pull = UINT64_C(1) << SH_DATA_REFERENCE_IMSUserState,
                                     .update = UINT64_C(1) << SH_DATA_REFERENCE_RepositoryData};
    (void)state;
    assert_int_equal(sh_permit(&p, SH_PULL, 11).code, DIAMETER_SUCCESS);
    assert_int_equal(sh_permit(&p, SH_PULL, 10).code, 5102);
    assert_int_equal(sh_permit(&p, SH_UPDATE, 0).code, DIAMETER_SUCCESS);
    assert_int_equal(sh_permit(&p, SH_UPDATE, 18).code, 5103);
    assert_int_equal(sh_permit(&p, SH_NOTIFY, 11).code, 5104);
    assert_int_equal(sh_permit(NULL, SH_PULL, 11).code, 5102);
    assert_int_equal(sh_permit(&p, SH_PULL, 64).code, 5102);
    assert_int_equal(sh_permit(NULL, SH_PULL, 11).vendor, DIAMETER_VENDOR_3GPP);
}

/* Table 7.6.1: for each reference what a pull, an update, a subscription gets, by public identity
 * of a user; and a pull by MSISDN. */
static void the_table_says_what_there_is(void **state) {
    enum { NO = 5101, NA = 4100, OK_ = 2001, DSAI = 5108 };
    static const unsigned rows[SH_REFERENCES][4] = {
        [0] = {OK_, OK_, OK_, NO}, [10] = {OK_, NO, OK_, OK_},    [11] = {OK_, NO, OK_, NO},
        [12] = {OK_, NO, OK_, NO}, [13] = {OK_, NO, OK_, NO},     [14] = {NA, NO, NO, NA},
        [15] = {NA, NO, NO, NA},   [16] = {OK_, NO, NO, OK_},     [17] = {OK_, NO, NO, OK_},
        [18] = {NO, NO, NO, NO},   [19] = {DSAI, DSAI, DSAI, NO}, [20] = {OK_, OK_, OK_, NO},
        [21] = {OK_, NO, NO, OK_}, [22] = {OK_, NO, NO, NO},      [23] = {OK_, NO, NO, OK_},
        [24] = {NA, NO, NO, NA},   [25] = {NO, NO, NO, NO},       [26] = {NA, NO, NO, NA},
        [27] = {OK_, NO, NO, OK_}, [28] = {NA, NO, NO, NA},       [29] = {OK_, NO, NO, OK_},
        [30] = {NA, NO, NO, NA},   [31] = {NA, NO, NO, NA},       [32] = {NA, NO, NO, NA},
        [33] = {NA, NO, NO, NA},   [34] = {NA, NO, NO, NA},       [35] = {NA, NO, NO, NA},
    };
    unsigned reference;
    (void)state;
    for (unsigned i = 0; i < SH_REFERENCES; i++) {
        unsigned none = rows[i][0] ? 0 : NO;
        assert_int_equal(sh_accessible(SH_PULL, i, false, false).code, none ? none : rows[i][0]);
        assert_int_equal(sh_accessible(SH_UPDATE, i, false, false).code, none ? none : rows[i][1]);
        assert_int_equal(sh_accessible(SH_NOTIFY, i, false, false).code, none ? none : rows[i][2]);
        assert_int_equal(sh_accessible(SH_PULL, i, true, false).code, none ? none : rows[i][3]);
        if (sh_rules[i].name) {
            assert_true(sh_reference_parse(span_from_cstr(sh_rules[i].name), &reference));
            assert_int_equal(reference, i);
        }
    }
    assert_int_equal(sh_accessible(SH_UPDATE, 18, false, true).code, OK_);
    assert_false(sh_reference_parse(SPAN("Nothing"), &reference));
    assert_int_equal(sh_references_of(SH_UPDATE) & 0x3ff, 1);
}

static void updates_follow_the_sequence_number(void **state) {
    static const struct {
        bool stored;
        unsigned number, asked;
        int bytes; /* -1: no ServiceData */
        unsigned code;
        enum sh_update effect;
    } rows[] = {
        {false, 0, 0, 5, 2001, SH_CREATE},         {false, 0, 0, 0, 2001, SH_CREATE},
        {false, 0, 1, 5, 5105, SH_REFUSE},         {false, 0, 0, -1, 5101, SH_REFUSE},
        {true, 0, 0, 5, 5105, SH_REFUSE},          {true, 0, 1, 5, 2001, SH_REPLACE},
        {true, 0, 1, -1, 2001, SH_DELETE},         {true, 7, 7, 5, 5105, SH_REFUSE},
        {true, 7, 8, 10, 2001, SH_REPLACE},        {true, 7, 8, 11, 5008, SH_REFUSE},
        {false, 0, 0, 11, 5008, SH_REFUSE},        {true, 7, 9, 5, 5105, SH_REFUSE},
        {true, 65534, 65535, 5, 2001, SH_REPLACE}, {true, 65535, 0, 5, 5105, SH_REFUSE},
        {true, 65535, 1, 5, 2001, SH_REPLACE},     {true, 65535, 65536, 5, 5105, SH_REFUSE},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        enum sh_update effect;
        const struct shdata_repository asked = {
            .sequence_number = rows[i].asked,
            .has_service_data = rows[i].bytes >= 0,
            .service_data = {"xxxxxxxxxxx", rows[i].bytes > 0 ? (size_t)rows[i].bytes : 0}};
        struct diameter_result r =
            sh_decide_update(rows[i].stored, rows[i].number, &asked, UPDATE_MAX, &effect);
        assert_int_equal(r.code, rows[i].code);
        assert_int_equal(effect, rows[i].effect);
    }
}

static void identities_are_those_of_the_set_that_is_asked_for(void **state) {
    static struct span got[SUBSCRIPTION_IMPUS_MAX];
    struct rec_impu alice = impu_of(&family, ALICE_SIP), cedric = impu_of(&family, CEDRIC_SIP);
    (void)state;
    /* both landlines, hers on the mobile and at work */
    assert_int_equal(sh_identities(&family, alice, SH_NO_IDENTITY_SET, got), 5);
    assert_int_equal(sh_identities(&family, alice, 0, got), 5);
    assert_int_equal(sh_identities(&family, alice, 1, got), 2);
    assert_true(span_eq(got[0], ALICE_SIP) && span_eq(got[1], ALICE_TEL));
    assert_int_equal(sh_identities(&family, alice, 2, got), 2);
    assert_int_equal(sh_identities(&family, alice, 3, got), 1);
    assert_int_equal(sh_identities(&family, cedric, 3, got), 2);
    assert_int_equal(sh_identities(&family, impu_of(&family, BOB_SIP), 2, got), 1); /* not barred */
    assert_int_equal(sh_msisdns(&family, alice, got), 3);
    assert_true(span_eq(got[2], SPAN("447700900101")));
}

static void the_user_state_is_the_registration_state(void **state) {
    (void)state;
    assert_int_equal(sh_user_state(&family, impu_of(&family, ALICE_TEL)), SHDATA_REGISTERED);
    assert_int_equal(sh_user_state(&family, impu_of(&family, BOB_SIP)),
                     SHDATA_REGISTERED_UNREG_SERVICES);
    assert_int_equal(sh_user_state(&family, impu_of(&family, ALICE_WORK)), SHDATA_NOT_REGISTERED);
    family.notes.authentication_pending = UINT64_C(1) << ALICE;
    assert_int_equal(sh_user_state(&family, impu_of(&family, ALICE_WORK)),
                     SHDATA_AUTHENTICATION_PENDING);
    assert_int_equal(sh_user_state(&family, impu_of(&family, UK)), SHDATA_AUTHENTICATION_PENDING);
    assert_int_equal(sh_user_state(&family, impu_of(&family, CEDRIC_SIP)), SHDATA_NOT_REGISTERED);
}

static void msisdns_are_packed_digits(void **state) {
    char digits[16];
    (void)state;
    assert_true(span_eq(sh_msisdn_digits(span_of("\x44\x77\x00\x09\x10\xf1", 6), digits),
                        SPAN("44770090011")));
    assert_true(span_eq(sh_msisdn_digits(span_of("\x44\x77", 2), digits), SPAN("4477")));
    assert_int_equal(sh_msisdn_digits(span_of("\xf4\x77", 2), digits).n, 0);
    assert_int_equal(sh_msisdn_digits(span_of("\x4a", 1), digits).n, 0);
    assert_int_equal(sh_msisdn_digits(SPAN("\x11\x11\x11\x11\x11\x11\x11\x11"), digits).n, 0);
    assert_int_equal(sh_msisdn_digits(SPAN("\x11\x11\x11\x11\x11\x11\x11\x11\x11"), digits).n, 0);
    assert_int_equal(sh_msisdn_digits(SPAN_NONE, digits).n, 0);
    assert_true(span_eq(sh_tel_digits(ALICE_TEL), SPAN("447700900101")));
    assert_int_equal(sh_tel_digits(ALICE_SIP).n, 0);
    assert_int_equal(sh_tel_digits(SPAN("tel:+44;x=y")).n, 0);
    assert_int_equal(sh_tel_digits(SPAN("tel:+")).n, 0);
}

#define WATCHER(identity_, reference_, ...)                                                        \
    {                                                                                              \
        .host = SPAN_INIT("as.h"), .identity = identity_, .reference = reference_,                 \
        .identity_set = SH_NO_IDENTITY_SET, __VA_ARGS__                                            \
    }

static void a_watcher_stands_once_and_goes_when_it_is_over(void **state) {
    static struct rec_watcher_data list[SH_WATCHERS_MAX + 1];
    const struct rec_watcher_data a = WATCHER(ALICE_SIP, 11), b = WATCHER(ALICE_SIP, 12),
                                  soon = WATCHER(ALICE_TEL, 11, .expires = 100),
                                  nobody = WATCHER(SPAN("sip:gone@h"), 11);
    struct rec_watcher_data longer = soon;
    size_t n = 0;
    (void)state;
    assert_int_equal(sh_watch(list, &n, &a), OK);
    assert_int_equal(sh_watch(list, &n, &b), OK);
    assert_int_equal(sh_watch(list, &n, &a), OK);
    assert_int_equal(n, 2);
    list[0].changes = 2;
    list[0].told = 1;
    list[0].sequence_number = 7;
    assert_int_equal(sh_watch(list, &n, &a), OK);
    assert_true(sh_is_due(&list[0])); /* who asks again has still to hear of it */
    assert_int_equal(list[0].sequence_number, 7);
    assert_true(sh_unwatch(list, &n, &a));
    assert_false(sh_unwatch(list, &n, &a));
    assert_int_equal(sh_watch(list, &n, &soon), OK);
    assert_int_equal(sh_watch(list, &n, &nobody), OK);
    assert_true(sh_prune(list, &n, family.data, 99));
    assert_int_equal(n, 2);
    longer.expires = 200;
    assert_int_equal(sh_watch(list, &n, &longer), OK);
    assert_false(sh_prune(list, &n, family.data, 100));
    assert_true(sh_prune(list, &n, family.data, 200));
    assert_int_equal(n, 1);
    for (size_t i = n; i < SH_WATCHERS_MAX; i++) {
        char host[8] = {(char)('a' + i % 26), (char)('a' + i / 26)};
        struct rec_watcher_data w = a;
        bool failed = false;
        w.host = arena_copy(&arena, span_of(host, 2), &failed);
        assert_int_equal(sh_watch(list, &n, &w), OK);
    }
    assert_int_equal(sh_watch(list, &n, &a), ERR_TOO_BIG);
    assert_int_equal(sh_watch(list, &n, &b), OK);
}

static void a_watcher_is_due_when_what_it_sees_has_changed(void **state) {
    struct rec_watcher_data list[] = {
        WATCHER(ALICE_SIP, 11),
        WATCHER(ALICE_WORK, 11),
        WATCHER(BOB_SIP, 12),
        {.host = SPAN_INIT("as.h"), .identity = ALICE_SIP, .reference = 10, .identity_set = 1},
        WATCHER(ALICE_SIP, 10),
        WATCHER(ALICE_SIP, 13),
        WATCHER(ALICE_SIP, 0, .service_indication = SPAN_INIT("x")),
    };
    const bool first[] = {true, false, false, true, false, false, false};
    const bool second[] = {true, false, true, true, true, true, false};
    struct rec_subscription_data data = family_data();
    struct subscription after = family;
    (void)state;
    after.state.registered_by[SET_ALICE] = 0;
    assert_true(sh_mark(list, COUNT_OF(list), &family, &after, SPAN_NONE, &arena));
    for (size_t i = 0; i < COUNT_OF(list); i++) {
        assert_int_equal(sh_is_due(&list[i]), first[i]);
    }
    assert_false(sh_mark(list, COUNT_OF(list), &after, &after, SPAN_NONE, &arena));

    struct subscription before = after;
    struct rec_impu_data impus[16];
    struct buf b = buf_init(memory_after, sizeof memory_after);
    memcpy(impus, data.impus, data.n_impus * sizeof *impus);
    impus[2].profile = SPAN("other"); /* alice.mobile */
    data.impus = impus;
    data.n_impus -= 5; /* up to alice.work */
    assert_int_equal(rec_subscription_encode(&data, &b), OK);
    assert_int_equal(subscription_open(buf_span(&b), &after.data), OK);
    list[2].identity = UK;
    impus[1].identity = SPAN("tel:+61000000000");
    b = buf_init(memory_after, sizeof memory_after);
    assert_int_equal(rec_subscription_encode(&data, &b), OK);
    assert_int_equal(subscription_open(buf_span(&b), &after.data), OK);
    after.state.scscf_name = SCSCF_2;
    assert_true(sh_mark(list, COUNT_OF(list), &before, &after, SPAN_NONE, &arena));
    for (size_t i = 0; i < COUNT_OF(list); i++) {
        assert_int_equal(sh_is_due(&list[i]), second[i]);
    }
}

static void criteria_and_repository_data_have_marks_of_their_own(void **state) {
    struct rec_watcher_data list[] = {
        WATCHER(AU, 13),
        WATCHER(UK, 13),
        WATCHER(CEDRIC_TEL, 0, .service_indication = SPAN_INIT("x")),
        WATCHER(CEDRIC_SIP, 20, .service_indication = SPAN_INIT("x")),
        WATCHER(CEDRIC_SIP, 0, .service_indication = SPAN_INIT("y")),
        WATCHER(ALICE_SIP, 0, .service_indication = SPAN_INIT("x")),
    };
    struct sh_owner cedric = sh_owner_of(impu_of(&family, CEDRIC_SIP));
    (void)state;
    assert_true(sh_mark_criteria(list, COUNT_OF(list), family.data, SPAN("australia")));
    assert_true(sh_is_due(&list[0]) && !sh_is_due(&list[1]));
    list[3].host = SPAN("other.h");
    assert_true(cedric.of_aliases);
    assert_true(
        sh_mark_repository(list, COUNT_OF(list), family.data, cedric, SPAN("x"), 9, SPAN("AS.h")));
    assert_false(sh_is_due(&list[2])); /* made the change */
    assert_true(sh_is_due(&list[3]));
    assert_int_equal(list[3].sequence_number, 9);
    assert_false(sh_is_due(&list[4]) || sh_is_due(&list[5]));
    assert_false(
        sh_mark_repository(list, COUNT_OF(list), family.data, cedric, SPAN("z"), 9, SPAN("AS.h")));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(everybody_needs_a_permission_for_each_reference),
        TEST(the_table_says_what_there_is),
        TEST(updates_follow_the_sequence_number),
        TEST(identities_are_those_of_the_set_that_is_asked_for),
        TEST(the_user_state_is_the_registration_state),
        TEST(msisdns_are_packed_digits),
        TEST(a_watcher_stands_once_and_goes_when_it_is_over),
        TEST(a_watcher_is_due_when_what_it_sees_has_changed),
        TEST(criteria_and_repository_data_have_marks_of_their_own),
    };
    chunk_pool_init(&pool, 16384, 8);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    chunk_pool_free(&pool);
    return failed;
}
