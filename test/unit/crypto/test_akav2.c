/* RFC 4169: passwords against values that Python's hmac and base64 gave. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "crypto/akav2.h"

static const struct {
    enum digest_hash hash;
    const char *res; /* hexadecimal */
    const char *password;
} rows[] = {
    {DIGEST_MD5, "0102030405060708", "I4CWUQqPrSORpSklFmhvHQ=="},
    {DIGEST_MD5, "00010203", "fJk57zp8te2/81pg7mZvcw=="},
    {DIGEST_MD5, "00000000000000000000000000000000", "SREukFCouQMyo2vNrOiL5Q=="},
    {DIGEST_SHA256, "0102030405060708", "myfS01tCKt1rtMZnLen+Sq9XdiEazzNS9CD4r0MiQ9E="},
    {DIGEST_SHA256, "00010203", "RqHCWCvpGrTTm/nRg0gPC5AisADt37UhY5v8Sdn2xIk="},
    {DIGEST_SHA256, "00000000000000000000000000000000",
     "lkb196UjZSQ0ZmxbC0dvLVIuu2O/kleKE7ofH5Xm1qI="},
};

static void passwords_are_those_of_an_independent_computation(void **state) {
    uint8_t ik[16], ck[16], res[16];
    struct akav2_password password;

    (void)state;
    for (size_t i = 0; i < 16; i++) {
        ik[i] = (uint8_t)(0x20 + i);
        ck[i] = (uint8_t)(0x40 + i);
    }
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        size_t n = strlen(rows[i].res) / 2;
        assert_true(span_to_bytes(span_from_cstr(rows[i].res), res, n));
        assert_int_equal(akav2_password_make(rows[i].hash, span_of(res, n), ik, ck, &password), OK);
        assert_true(span_eq(akav2_password_span(&password), span_from_cstr(rows[i].password)));
    }
    assert_int_equal(akav2_password_make(DIGEST_MD5, span_of(res, 3), ik, ck, &password),
                     ERR_INVALID);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(passwords_are_those_of_an_independent_computation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
