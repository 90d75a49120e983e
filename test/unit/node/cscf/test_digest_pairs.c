/* covers: A4 HB10
 * Terminals and an S-CSCF that share a secret always agree: 10,000 random passwords, with odd
 * characters and UTF-8, by each algorithm that both know; and 10,000 vectors whose RES, IK and CK
 * are random bytes, zeros among them. The HSS's side is computed by OpenSSL alone. */
#include "node/ue/ue.h"
#include "scscf_world.h"

#include <openssl/evp.h>
#include <stdio.h>

enum { PAIRS = 10000, PASSWORD_MAX = 80 };

static const enum auth_algorithm every[] = {AUTH_AKAV2_SHA256, AUTH_AKAV2_MD5, AUTH_AKAV1_MD5,
                                            AUTH_SHA256, AUTH_MD5};

struct pair {
    struct world *w;
    struct env *env;
    struct ue_pool *pool;
    struct ue_isim isim;
    struct span impu;
    struct cx_sip_digest_authenticate credential;
    char ha1_md5[32], ha1_sha256[64], password[PASSWORD_MAX];
    unsigned registered, failed;
    struct addr scscf;
};

static struct pair pair;

static void on_registered(void *ctx, struct ue *ue) {
    (void)ue;
    ((struct pair *)ctx)->registered++;
}

static void on_failed(void *ctx, struct ue *ue, const struct ue_failure *why) {
    (void)ue;
    print_message("%s %u\n", ue_reason_text(why->reason), why->status);
    ((struct pair *)ctx)->failed++;
}

static const struct ue_handler handler = {.registered = on_registered, .failed = on_failed};

static void open_pair(struct pair *p, struct world *w) {
    *p = (struct pair){.w = w, .impu = SPAN(IMPU), .scscf = scscf_at};
    p->isim = (struct ue_isim){
        .impi = SPAN(IMPI), .home_domain = SPAN(HOME), .impus = &p->impu, .n_impus = 1};
    assert_int_equal(sim_env_new(w->sim, "ue", &p->env), OK);
    p->env->log.level = LOG_ERROR;
    const struct ue_pool_config config = {
        .local = addr_v4(127, 0, 0, 88, 5070), .pcscf = &p->scscf, .n_pcscf = 1};
    assert_int_equal(ue_pool_new(p->env, &config, &handler, p, &p->pool), OK);
    restart(w, (struct scscf_config){.algorithms = every, .n_algorithms = COUNT_OF(every)});
}

static int tear_down_pair(void **state) {
    ue_pool_free(pair.pool);
    env_close(pair.env);
    return tear_down(state);
}

/* One terminal registers. */
static void meet(struct pair *p, enum auth_algorithm algorithm) {
    struct ue *ue;
    struct ue_config config = {
        .isim = &p->isim, .algorithms = AUTH_BIT(algorithm), .no_retry = true};
    unsigned before = p->registered;
    assert_int_equal(ue_new(p->pool, &config, p, &ue), OK);
    ue_register(ue);
    script_run(p->w->sim, 20 * MS_IN_US);
    assert_int_equal(p->registered, before + 1);
    assert_int_equal(p->failed, 0);
    assert_int_equal(ue_algorithm(ue), algorithm);
    ue_free(ue);
}

static void put_hex(char *out, const EVP_MD *md, struct span text) {
    uint8_t sum[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    assert_int_equal(EVP_Digest(text.p, text.n, sum, &n, md, NULL), 1);
    struct buf b = buf_init(out, 64);
    buf_hex(&b, sum, n);
}

static struct span random_password(struct pair *p) {
    static const char *const odd[] = {"\"",
                                      "\\",
                                      ":",
                                      "@",
                                      "%",
                                      " ",
                                      "'",
                                      ";",
                                      "\t",
                                      "\xc3\xa4",
                                      "\xe2\x82\xac",
                                      "\xf0\x9f\x94\x91"};
    struct buf b = buf_init(p->password, sizeof p->password - 4);
    size_t n = 1 + sim_random_below(p->w->sim, 24);
    for (size_t i = 0; i < n; i++) {
        if (sim_random_below(p->w->sim, 3) == 0) {
            buf_cstr(&b, odd[sim_random_below(p->w->sim, COUNT_OF(odd))]);
        } else {
            buf_char(&b, (char)(33 + sim_random_below(p->w->sim, 94)));
        }
    }
    assert_false(b.overflow);
    return buf_span(&b);
}

static void passwords_always_agree(void **state) {
    struct world *w = (struct world *)*state;
    open_pair(&pair, w);
    pair.isim.no_key = true;
    pair.credential = (struct cx_sip_digest_authenticate){
        .digest_realm = SPAN(HOME),
        .digest_algorithm = SPAN("MD5"),
        .digest_qop = SPAN("auth,auth-int"),
        .digest_ha1 = span_of(pair.ha1_md5, sizeof pair.ha1_md5),
        .alternate_digest_algorithm = SPAN("SHA-256"),
        .alternate_digest_ha1 = span_of(pair.ha1_sha256, sizeof pair.ha1_sha256)};
    w->hss.digest = &pair.credential;
    w->hss.no_aka = true;
    for (unsigned i = 0; i < PAIRS; i++) {
        char text[512], hex[64];
        struct buf b = buf_init(text, sizeof text);
        pair.isim.password = random_password(&pair);
        buf_cstr(&b, IMPI ":" HOME ":");
        buf_put(&b, pair.isim.password);
        put_hex(hex, EVP_md5(), buf_span(&b));
        memcpy(pair.ha1_md5, hex, sizeof pair.ha1_md5);
        put_hex(pair.ha1_sha256, EVP_sha256(), buf_span(&b));
        meet(&pair, i % 2 ? AUTH_SHA256 : AUTH_MD5);
    }
}

/* The vector is the HSS's of the script, but the key is the card's, so that it is a right one; each
 * RES, IK and CK comes from another RAND. */
static void vectors_always_agree(void **state) {
    struct world *w = (struct world *)*state;
    struct milenage m;
    unsigned zeros = 0;
    open_pair(&pair, w);
    assert_int_equal(milenage_init(&m), OK);
    memset(pair.isim.key.k, 0x5a, 16);
    memset(pair.isim.key.opc, 0xa5, 16);
    for (unsigned i = 0; i < PAIRS; i++) {
        static const uint8_t amf[2] = {0x80, 0};
        struct aka_vector v;
        uint8_t rand[16];
        env_random(pair.env, rand, sizeof rand);
        assert_int_equal(aka_vector_make(&m, &pair.isim.key, amf, sqn_make(i + 1, 0), rand, &v),
                         OK);
        zeros += memchr(v.xres, 0, v.xres_n) != NULL;
        w->hss.vector = &v;
        meet(&pair, every[i % 3]);
    }
    w->hss.vector = NULL;
    assert_true(zeros > 100);
    milenage_free(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(passwords_always_agree, set_up, tear_down_pair),
        cmocka_unit_test_setup_teardown(vectors_always_agree, set_up, tear_down_pair),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
