/* covers: A7 A10 A11 HA3 */
#include "model/registration/challenge.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct challenge_policy accepting = {true, true, 3}, refusing = {false, true, 3},
                                     trusting = {true, false, 3};

static const struct {
    const char *what;
    const struct challenge_policy *policy;
    struct challenge_state state;
    enum challenge_action action;
} rows[] = {
    {"first REGISTER",
     &accepting,
     {CREDENTIALS_NONE, PROTECTION_NONE, false, 0, 0},
     CHALLENGE_SEND},
    {"right, no integrity, accepted",
     &accepting,
     {CREDENTIALS_RIGHT, PROTECTION_NONE, false, 0, 0},
     CHALLENGE_ACCEPT},
    {"right, no integrity, refused",
     &refusing,
     {CREDENTIALS_RIGHT, PROTECTION_NONE, false, 0, 0},
     CHALLENGE_REFUSE},
    {"right, protected, refusing policy",
     &refusing,
     {CREDENTIALS_RIGHT, PROTECTION_YES, false, 0, 0},
     CHALLENGE_ACCEPT},
    {"wrong, first",
     &accepting,
     {CREDENTIALS_WRONG, PROTECTION_NONE, false, 0, 0},
     CHALLENGE_AGAIN},
    {"wrong, second",
     &accepting,
     {CREDENTIALS_WRONG, PROTECTION_NONE, false, 1, 0},
     CHALLENGE_AGAIN},
    {"wrong, third",
     &accepting,
     {CREDENTIALS_WRONG, PROTECTION_NONE, false, 2, 0},
     CHALLENGE_REFUSE},
    {"wrong within a security association",
     &trusting,
     {CREDENTIALS_WRONG, PROTECTION_YES, true, 2, 0},
     CHALLENGE_REFUSE},
    {"out of range",
     &accepting,
     {CREDENTIALS_AUTS, PROTECTION_NONE, false, 0, 0},
     CHALLENGE_RESYNC},
    {"out of range again",
     &accepting,
     {CREDENTIALS_AUTS, PROTECTION_NONE, false, 0, 1},
     CHALLENGE_REFUSE},
    {"neither response nor AUTS",
     &accepting,
     {CREDENTIALS_NO_TOKEN, PROTECTION_NONE, false, 0, 0},
     CHALLENGE_REFUSE},
    {"forged challenge refused",
     &accepting,
     {CREDENTIALS_FORGED, PROTECTION_NONE, true, 2, 1},
     CHALLENGE_IGNORE},
    {"used-up nonce", &accepting, {CREDENTIALS_STALE, PROTECTION_NONE, true, 0, 0}, CHALLENGE_SEND},
    {"re-registration without integrity is always challenged",
     &trusting,
     {CREDENTIALS_NONE, PROTECTION_NONE, true, 0, 0},
     CHALLENGE_SEND},
    {"protected re-registration, trusted",
     &trusting,
     {CREDENTIALS_NONE, PROTECTION_YES, true, 0, 0},
     CHALLENGE_ACCEPT},
    {"the same with its old nonce",
     &trusting,
     {CREDENTIALS_STALE, PROTECTION_YES, true, 0, 0},
     CHALLENGE_ACCEPT},
    {"protected re-registration, challenged",
     &accepting,
     {CREDENTIALS_NONE, PROTECTION_YES, true, 0, 0},
     CHALLENGE_SEND},
    {"protected, another contact",
     &trusting,
     {CREDENTIALS_NONE, PROTECTION_YES, false, 0, 0},
     CHALLENGE_SEND},
};

static void each_row_of_the_table_holds(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct challenge_outcome o = challenge_decide(rows[i].policy, &rows[i].state);
        if (o.action != rows[i].action) {
            fail_msg("%s: %s", rows[i].what, challenge_action_name(o.action));
        }
        assert_non_null(o.clause);
        assert_non_null(o.reason);
    }
}

static void every_state_has_a_decision(void **state) {
    (void)state;
    for (int c = 0; c < CREDENTIALS_KINDS; c++) {
        for (int p = 0; p < PROTECTION_KINDS; p++) {
            struct challenge_state s = {.credentials = (enum challenge_credentials)c,
                                        .protection = (enum challenge_protection)p};
            struct challenge_outcome o = challenge_decide(&accepting, &s);
            assert_string_not_equal(o.reason, "no rule fits");
        }
    }
}

/* Only a right response, or a trusted terminal within a security association, is ever accepted. */
static void nothing_else_is_accepted(void **state) {
    (void)state;
    for (int c = 0; c < CREDENTIALS_KINDS; c++) {
        struct challenge_state s = {.credentials = (enum challenge_credentials)c,
                                    .registered = true};
        bool accepted = challenge_decide(&trusting, &s).action == CHALLENGE_ACCEPT;
        assert_int_equal(accepted, c == CREDENTIALS_RIGHT);
        s.protection = PROTECTION_YES;
        accepted = challenge_decide(&accepting, &s).action == CHALLENGE_ACCEPT;
        assert_int_equal(accepted, c == CREDENTIALS_RIGHT);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_row_of_the_table_holds),
        cmocka_unit_test(every_state_has_a_decision),
        cmocka_unit_test(nothing_else_is_accepted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
