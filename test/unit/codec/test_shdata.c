/* covers: HB6
 * Sh-Data: what is written reads back; service data stays what it is; bad documents are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "codec/shdata/shdata.h"

#include <stdlib.h>
#include <time.h>

static struct chunk_pool pool;

static enum error read_text(const char *xml, struct arena *arena, struct shdata **out) {
    return shdata_read(span_from_cstr(xml), arena, out);
}

#define DATA(inside) "<Sh-Data><RepositoryData>" inside "</RepositoryData></Sh-Data>"
#define HEAD(number)                                                                               \
    "<ServiceIndication>voicemail</ServiceIndication><SequenceNumber>" number "</SequenceNumber>"

static void what_is_written_reads_back(void **state) {
    char room[4096];
    struct buf b = buf_init(room, sizeof room);
    const struct shdata_repository repositories[] = {
        {.service_indication = SPAN("a<b>&\"c\""),
         .sequence_number = 65535,
         .has_service_data = true,
         .service_data = SPAN("<x a=\"1\">3 &lt; 4</x>")},
        {.service_indication = SPAN("gone"), .sequence_number = 3},
        {.aliases = true,
         .service_indication = SPAN("shared"),
         .has_service_data = true,
         .service_data = SPAN("")},
    };
    const struct shdata_document d = {.repositories = repositories,
                                      .n_repositories = COUNT_OF(repositories)};
    const struct shdata expected = {.repositories = repositories,
                                    .n_repositories = COUNT_OF(repositories)};
    struct arena arena = arena_init(&pool);
    struct shdata *read;

    (void)state;
    shdata_write(&b, &d);
    assert_false(b.overflow);
    assert_int_equal(shdata_read(buf_span(&b), &arena, &read), OK);
    assert_true(shdata_eq(read, &expected));
    assert_false(shdata_is_empty(&d));
    assert_true(shdata_is_empty(&(struct shdata_document){0}));
    arena_release(&arena);
}

static void everything_stands_in_the_schemas_order(void **state) {
    char room[4096];
    struct buf b = buf_init(room, sizeof room);
    const struct span impus[] = {SPAN("sip:a@h"), SPAN("tel:+4412345")}, msisdn = SPAN("4412345");
    const struct shdata_identity_list l = {true, impus, 2, &msisdn, 1};
    const struct shdata_document d = {
        .identities = {[SHDATA_PUBLIC_IDENTIFIERS] = l,
                       [SHDATA_IMPLICIT_IDENTITIES] = {true, impus, 1, NULL, 0},
                       [SHDATA_ALIAS_IDENTITIES] = {.present = true}},
        .has_scscf_name = true,
        .scscf_name = SPAN("sip:scscf.h"),
        .has_ifcs = true,
        .has_user_state = true,
        .user_state = SHDATA_AUTHENTICATION_PENDING,
        .has_charging = true,
        .charging = {.primary_ecf = SPAN("aaa://ecf.h")},
        .has_psi_activation = true,
        .psi_active = true,
    };
    const char *expected =
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Sh-Data><PublicIdentifiers>"
        "<IMSPublicIdentity>sip:a@h</IMSPublicIdentity>"
        "<IMSPublicIdentity>tel:+4412345</IMSPublicIdentity><MSISDN>4412345</MSISDN>"
        "</PublicIdentifiers><Sh-IMS-Data><SCSCFName>sip:scscf.h</SCSCFName><IFCs></IFCs>"
        "<IMSUserState>3</IMSUserState><ChargingInformation><PrimaryEventChargingFunctionName>"
        "aaa://ecf.h</PrimaryEventChargingFunctionName></ChargingInformation><Extension>"
        "<PSIActivation>1</PSIActivation></Extension></Sh-IMS-Data><Extension>"
        "<ImplicitIdentities><IMSPublicIdentity>sip:a@h</IMSPublicIdentity></ImplicitIdentities>"
        "<AliasIdentities></AliasIdentities></Extension></Sh-Data>";

    (void)state;
    shdata_write(&b, &d);
    assert_true(span_eq(buf_span(&b), span_from_cstr(expected)));
}

static void service_data_keeps_its_names_and_text(void **state) {
    struct arena arena = arena_init(&pool);
    struct shdata *d;

    (void)state;
    assert_int_equal(read_text("<s:Sh-Data xmlns:s='urn:s' xmlns:v='urn:v'><RepositoryData>" HEAD(
                                   "7") "<ServiceData><v:i v:a='1'/>t<![CDATA[<&>]]></ServiceData>"
                                        "</RepositoryData></s:Sh-Data>",
                               &arena, &d),
                     OK);
    assert_int_equal(d->n_repositories, 1);
    assert_true(span_eq(d->repositories[0].service_data,
                        SPAN("<v:i xmlns:v=\"urn:v\" v:a=\"1\"/>t&lt;&amp;&gt;")));
    assert_true(span_eq(d->repositories[0].service_indication, SPAN("voicemail")));
    assert_false(d->has_others);
    arena_release(&arena);
}

static void activations_are_read_and_the_rest_is_noted(void **state) {
    struct arena arena = arena_init(&pool);
    struct shdata *d;

    (void)state;
    assert_int_equal(
        read_text("<Sh-Data><Sh-IMS-Data><Extension><PSIActivation>1</PSIActivation><Extension>"
                  "<DSAI><DSAI-Tag>t</DSAI-Tag><DSAI-Value>0</DSAI-Value></DSAI></Extension>"
                  "</Extension></Sh-IMS-Data></Sh-Data>",
                  &arena, &d),
        OK);
    assert_true(d->has_psi_activation && d->psi_active && !d->has_others);
    assert_int_equal(d->n_dsais, 1);
    assert_true(d->dsais[0].active);
    assert_int_equal(
        read_text("<Sh-Data><Sh-IMS-Data><SCSCFName>sip:x</SCSCFName></Sh-IMS-Data></Sh-Data>",
                  &arena, &d),
        OK);
    assert_true(d->has_others);
    arena_release(&arena);
}

static void bad_documents_are_refused(void **state) {
    static const struct {
        const char *xml;
        enum error expected;
    } rows[] = {
        {"", ERR_MALFORMED},
        {"<Sh-Data>", ERR_MALFORMED},
        {"<Other/>", ERR_MALFORMED},
        {DATA(""), ERR_MALFORMED},
        {DATA("<ServiceIndication>a</ServiceIndication>"), ERR_MALFORMED},
        {DATA("<SequenceNumber>1</SequenceNumber>"), ERR_MALFORMED},
        {DATA(HEAD("65536")), ERR_MALFORMED},
        {DATA(HEAD("-1")), ERR_MALFORMED},
        {DATA(HEAD("<a/>")), ERR_MALFORMED},
        {DATA(HEAD("1") HEAD("2")), ERR_MALFORMED},
        {DATA(HEAD("1") "<ServiceData/><ServiceData/>"), ERR_MALFORMED},
        {DATA(HEAD("1") "<ServiceData>&unknown;</ServiceData>"), ERR_MALFORMED},
        {"<!DOCTYPE a [<!ENTITY b \"c\">]>" DATA(HEAD("1") "<ServiceData>&b;</ServiceData>"),
         ERR_MALFORMED},
        {"<!DOCTYPE a SYSTEM \"file:///etc/passwd\">" DATA(HEAD("1")), ERR_MALFORMED},
        {"<Sh-Data><Sh-IMS-Data><Extension><PSIActivation>2</PSIActivation></Extension>"
         "</Sh-IMS-Data></Sh-Data>",
         ERR_MALFORMED},
        {"<Sh-Data/>", OK},
        {DATA(HEAD("1")), OK},
    };
    struct arena arena = arena_init(&pool);
    struct shdata *d;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        enum error e = read_text(rows[i].xml, &arena, &d);
        if (e != rows[i].expected) {
            print_message("%s: %s\n", rows[i].xml, error_name(e));
        }
        assert_int_equal(e, rows[i].expected);
    }
    arena_release(&arena);
}

/* Depth and size are bounded, and cost little. */
static void large_documents_cost_little(void **state) {
    enum { DEPTH = 100000, SIZE = DEPTH * 7 + 200 };
    char *xml = malloc(SHDATA_BYTES_MAX + 1);
    struct buf b = buf_init(xml, SIZE);
    struct arena arena = arena_init(&pool);
    struct shdata *d;

    (void)state;
    assert_non_null(xml);
    buf_cstr(&b, "<Sh-Data>");
    for (size_t i = 0; i < DEPTH; i++) {
        buf_cstr(&b, "<a>");
    }
    for (size_t i = 0; i < DEPTH; i++) {
        buf_cstr(&b, "</a>");
    }
    buf_cstr(&b, "</Sh-Data>");
    clock_t began = clock();
    assert_int_equal(shdata_read(buf_span(&b), &arena, &d), ERR_MALFORMED);
    assert_true(clock() - began < CLOCKS_PER_SEC / 20);
    memset(xml, ' ', SHDATA_BYTES_MAX + 1);
    assert_int_equal(shdata_read(span_of(xml, SHDATA_BYTES_MAX + 1), &arena, &d), ERR_TOO_BIG);
    b = buf_init(xml, SHDATA_BYTES_MAX);
    buf_cstr(&b, "<Sh-Data>");
    for (size_t i = 0; i <= SHDATA_ITEMS_MAX; i++) {
        buf_cstr(&b, "<RepositoryData>" HEAD("1") "</RepositoryData>");
    }
    buf_cstr(&b, "</Sh-Data>");
    assert_int_equal(shdata_read(buf_span(&b), &arena, &d), ERR_TOO_BIG);
    arena_release(&arena);
    free(xml);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_reads_back),
        cmocka_unit_test(everything_stands_in_the_schemas_order),
        cmocka_unit_test(service_data_keeps_its_names_and_text),
        cmocka_unit_test(activations_are_read_and_the_rest_is_noted),
        cmocka_unit_test(bad_documents_are_refused),
        cmocka_unit_test(large_documents_cost_little),
    };
    chunk_pool_init(&pool, 16384, 8);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    chunk_pool_free(&pool);
    return failed;
}
