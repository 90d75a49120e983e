#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/span.h"
#include "crypto/aka.h"
#include "crypto/digest.h"

static struct aka_key key_of(const char *k, const char *opc) {
    struct aka_key key;
    assert_true(span_to_bytes(span_from_cstr(k), key.k, 16));
    assert_true(span_to_bytes(span_from_cstr(opc), key.opc, 16));
    return key;
}

/* Test set 1 of TS 35.208. */
static struct aka_key set_1(void) {
    return key_of("465b5ce8b199b49faa5f0a2ee238a6bc", "cd63cb71954a9f4e48a5994e37a02baf");
}

static const uint8_t set_1_rand[16] = {0x23, 0x55, 0x3c, 0xbe, 0x96, 0x37, 0xa8, 0x9d,
                                       0x21, 0x8a, 0xe6, 0x4d, 0xae, 0x47, 0xbf, 0x35};
static const uint8_t set_1_amf[2] = {0xb9, 0xb9};
static const uint64_t set_1_sqn = UINT64_C(0xff9bb4d0b607);

static struct milenage m;

static int setup(void **state) {
    (void)state;
    return milenage_init(&m);
}

static int teardown(void **state) {
    (void)state;
    milenage_free(&m);
    return 0;
}

/* covers: A7 */
static void a_vector_has_the_autn_of_the_standard(void **state) {
    (void)state;
    struct aka_key key = set_1();
    struct aka_vector v;
    uint8_t autn[16], xres[8];
    assert_true(span_to_bytes(SPAN("55f328b43577b9b94a9ffac354dfafb3"), autn, 16));
    assert_true(span_to_bytes(SPAN("a54211d5e3ba50bf"), xres, 8));
    assert_int_equal(aka_vector_make(&m, &key, set_1_amf, set_1_sqn, set_1_rand, &v), OK);
    assert_memory_equal(v.autn, autn, 16);
    assert_memory_equal(v.rand, set_1_rand, 16);
    assert_int_equal(v.xres_n, 8);
    assert_memory_equal(v.xres, xres, 8);
    assert_int_equal(aka_vector_make(&m, &key, set_1_amf, AKA_SQN_MAX + 1, set_1_rand, &v),
                     ERR_INVALID);
}

/* covers: A9 */
static void the_ue_learns_what_the_hss_sent(void **state) {
    (void)state;
    struct aka_key key = set_1();
    struct aka_vector v;
    struct aka_answer a;
    assert_int_equal(aka_vector_make(&m, &key, set_1_amf, set_1_sqn, set_1_rand, &v), OK);
    assert_int_equal(aka_challenge_check(&m, &key, v.rand, v.autn, &a), OK);
    assert_int_equal(a.sqn, set_1_sqn);
    assert_memory_equal(a.amf, set_1_amf, 2);
    assert_int_equal(a.res_n, v.xres_n);
    assert_memory_equal(a.res, v.xres, v.xres_n);
    assert_memory_equal(a.ck, v.ck, 16);
    assert_memory_equal(a.ik, v.ik, 16);
}

/* covers: A9 */
static void every_changed_bit_of_a_challenge_is_noticed(void **state) {
    (void)state;
    struct aka_key key = set_1();
    struct aka_vector v;
    struct aka_answer a;
    const struct aka_answer nothing = {0};
    assert_int_equal(aka_vector_make(&m, &key, set_1_amf, set_1_sqn, set_1_rand, &v), OK);
    for (size_t bit = 0; bit < 256; bit++) {
        uint8_t *byte = bit < 128 ? &v.rand[bit / 8] : &v.autn[bit / 8 - 16];
        *byte ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(aka_challenge_check(&m, &key, v.rand, v.autn, &a), ERR_AUTHENTICATION);
        assert_memory_equal(&a, &nothing, sizeof a);
        *byte ^= (uint8_t)(1 << bit % 8);
    }
    struct aka_key other = key;
    other.opc[0] ^= 1;
    assert_int_equal(aka_challenge_check(&m, &other, v.rand, v.autn, &a), ERR_AUTHENTICATION);
}

/* covers: A9 */
static void auts_carries_sqn_ms_and_a_forged_one_changes_nothing(void **state) {
    (void)state;
    struct aka_key key = set_1();
    const uint64_t sqns[] = {0, 1, 32, set_1_sqn, AKA_SQN_MAX};
    for (size_t i = 0; i < COUNT_OF(sqns); i++) {
        uint8_t auts[14];
        uint64_t sqn = 42;
        assert_int_equal(aka_auts_make(&m, &key, set_1_rand, sqns[i], auts), OK);
        for (size_t bit = 0; bit < sizeof auts * 8; bit++) {
            auts[bit / 8] ^= (uint8_t)(1 << bit % 8);
            assert_int_equal(aka_auts_check(&m, &key, set_1_rand, auts, &sqn), ERR_AUTHENTICATION);
            assert_int_equal(sqn, 42);
            auts[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        uint8_t other_rand[16] = {0};
        assert_int_equal(aka_auts_check(&m, &key, other_rand, auts, &sqn), ERR_AUTHENTICATION);
        assert_int_equal(aka_auts_check(&m, &key, set_1_rand, auts, &sqn), OK);
        assert_int_equal(sqn, sqns[i]);
    }
    /* AMF* is zero: the value of another implementation (openssl enc, by hand) */
    uint8_t auts[14], expected[14];
    assert_true(span_to_bytes(SPAN("ba853f3c123ccf44e93596e355c6"), expected, 14));
    assert_int_equal(aka_auts_make(&m, &key, set_1_rand, set_1_sqn, auts), OK);
    assert_memory_equal(auts, expected, sizeof auts);
    assert_int_equal(aka_auts_make(&m, &key, set_1_rand, AKA_SQN_MAX + 1, auts), ERR_INVALID);
}

/* A small generator, so that a failure comes again. */
static uint64_t next_random(uint64_t *x) {
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    return *x;
}

static void fill(uint64_t *x, uint8_t *out, size_t n) {
    for (size_t i = 0; i < n; i++) {
        out[i] = (uint8_t)(next_random(x) >> 24);
    }
}

/* Makes a vector, lets the UE answer it by digest, lets the S-CSCF check the answer against XRES.
 */
static bool challenge_succeeds(struct digest *d, const struct aka_key *key, uint64_t sqn,
                               const uint8_t rand[16], bool *has_zero) {
    static const uint8_t amf[2] = {0x80, 0};
    struct aka_vector v;
    struct aka_answer a;
    struct digest_hex at_ue, at_scscf, response;
    struct digest_request request = {
        .method = SPAN_INIT("REGISTER"),
        .uri = SPAN_INIT("sip:ims.mnc001.mcc001.3gppnetwork.org"),
        .nonce = span_of(rand, 16),
    };
    struct span user = SPAN("001010000000001@ims.mnc001.mcc001.3gppnetwork.org");
    struct span realm = SPAN("ims.mnc001.mcc001.3gppnetwork.org");
    if (aka_vector_make(&m, key, amf, sqn, rand, &v) ||
        aka_challenge_check(&m, key, v.rand, v.autn, &a) ||
        digest_ha1(d, DIGEST_MD5, user, realm, span_of(a.res, a.res_n), &at_ue) ||
        digest_response(d, &at_ue, &request, &response) ||
        digest_ha1(d, DIGEST_MD5, user, realm, span_of(v.xres, v.xres_n), &at_scscf)) {
        return false;
    }
    *has_zero = memchr(a.res, 0, a.res_n) != NULL;
    return a.sqn == sqn && digest_check(d, &at_scscf, &request, digest_hex_span(&response)) == OK;
}

/* covers: A9 A10. Other implementations cut RES at its first zero byte: none of 10,000 vectors with
 * one may be refused. */
static void no_vector_whose_res_holds_a_zero_byte_is_refused(void **state) {
    (void)state;
    struct digest d;
    assert_int_equal(digest_init(&d), OK);
    uint64_t x = UINT64_C(0x9e3779b97f4a7c15);
    struct aka_key key;
    size_t with_zero = 0, tried = 0;
    fill(&x, key.opc, sizeof key.opc);
    while (with_zero < 10000) {
        uint8_t rand[16];
        bool has_zero = false;
        if (tried % 1000 == 0) {
            fill(&x, key.k, sizeof key.k);
        }
        fill(&x, rand, sizeof rand);
        assert_true(challenge_succeeds(&d, &key, next_random(&x) & AKA_SQN_MAX, rand, &has_zero));
        tried++;
        with_zero += has_zero;
    }
    assert_in_range(tried, 200000, 500000); /* 3.1 % of all RES */
    digest_free(&d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_vector_has_the_autn_of_the_standard),
        cmocka_unit_test(the_ue_learns_what_the_hss_sent),
        cmocka_unit_test(every_changed_bit_of_a_challenge_is_noticed),
        cmocka_unit_test(auts_carries_sqn_ms_and_a_forged_one_changes_nothing),
        cmocka_unit_test(no_vector_whose_res_holds_a_zero_byte_is_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
