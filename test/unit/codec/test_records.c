/* Records: what was built reads back, in place and as a value; damage of any byte is seen; older
 * schemas are converted. */
#include "base/htab.h"
#include "codec/records/record.h"
#include "spec/records.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct chunk_pool pool;

static size_t build_sample(char *memory, size_t cap) {
    static const uint32_t mandatory[] = {3, 0xfffffffe};
    static const struct span visited[] = {SPAN_INIT("one.example"), SPAN_INIT("two.example")};
    struct rec_impi_data impis[2] = {
        {.slot = 0, .has_aka = true, .amf = {0x80, 0}, .identity = SPAN("alice@home")},
        {.slot = 63, .identity = SPAN("bob@home")},
    };
    struct rec_impu_data impus[2] = {
        {.set = 0,
         .impi = 255,
         .is_default = true,
         .identity = SPAN("tel:+441632960100"),
         .profile = SPAN("default"),
         .roams_anywhere = true},
        {.set = 7,
         .impi = 63,
         .barred = true,
         .identity = SPAN("sip:bob@home"),
         .display_name = SPAN("Bob"),
         .visited_networks = visited,
         .n_visited_networks = 2},
    };
    struct rec_subscription_data s = {
        .name = SPAN("smith"),
        .mandatory_capabilities = mandatory,
        .n_mandatory_capabilities = 2,
        .impis = impis,
        .n_impis = 2,
        .impus = impus,
        .n_impus = 2,
        .primary_ccf = SPAN("aaa://ccf.home"),
    };
    struct buf out = buf_init(memory, cap);

    memset(impis[0].k, 0x11, 16);
    memset(impis[0].opc, 0xfe, 16);
    assert_int_equal(rec_subscription_encode(&s, &out), OK);
    return out.n;
}

static void assert_span(struct span s, const char *text) {
    assert_true(span_eq(s, span_from_cstr(text)));
}

static void a_record_reads_back_in_place(void **state) {
    char memory[2048];
    size_t n = build_sample(memory, sizeof memory);
    struct rec_subscription s;

    (void)state;
    assert_int_equal(rec_subscription_open(span_of(memory, n), &s), OK);
    assert_span(rec_subscription_name(s), "smith");
    assert_int_equal(rec_subscription_n_mandatory_capabilities(s), 2);
    assert_int_equal(rec_subscription_mandatory_capabilities(s, 1), 0xfffffffe);
    assert_int_equal(rec_subscription_n_optional_capabilities(s), 0);
    assert_span(rec_subscription_primary_ccf(s), "aaa://ccf.home");
    assert_span(rec_subscription_secondary_ccf(s), "");
    assert_int_equal(rec_subscription_n_impis(s), 2);
    struct rec_impi bob = rec_subscription_impis(s, 1);
    assert_int_equal(rec_impi_slot(bob), 63);
    assert_false(rec_impi_has_aka(bob));
    assert_span(rec_impi_identity(bob), "bob@home");
    assert_int_equal(rec_impi_opc(rec_subscription_impis(s, 0))[15], 0xfe);
    struct rec_impu impu = rec_subscription_impus(s, 1);
    assert_true(rec_impu_barred(impu));
    assert_false(rec_impu_is_default(impu));
    assert_int_equal(rec_impu_n_visited_networks(impu), 2);
    assert_span(rec_impu_visited_networks(impu, 1), "two.example");
    assert_span(rec_impu_display_name(impu), "Bob");
}

static void a_record_becomes_a_value_and_the_same_record_again(void **state) {
    char memory[2048], again[2048];
    struct span record = {memory, build_sample(memory, sizeof memory)};
    struct arena arena = arena_init(&pool);
    struct rec_subscription_data s;
    struct buf out = buf_init(again, sizeof again);

    (void)state;
    assert_int_equal(rec_subscription_decode(record, &arena, &s), OK);
    assert_int_equal(s.n_impus, 2);
    assert_span(s.impus[1].visited_networks[0], "one.example");
    assert_true(s.impis[0].has_aka);
    assert_int_equal(rec_subscription_encode(&s, &out), OK);
    assert_true(span_eq(buf_span(&out), record));
    arena_release(&arena);
}

static void damage_of_any_bit_is_seen(void **state) {
    char memory[2048];
    size_t n = build_sample(memory, sizeof memory);
    struct rec_subscription s;

    (void)state;
    for (size_t i = 0; i < n * 8; i++) {
        memory[i / 8] ^= (char)(1 << i % 8);
        assert_int_not_equal(rec_subscription_open(span_of(memory, n), &s), OK);
        memory[i / 8] ^= (char)(1 << i % 8);
    }
    for (size_t cut = 0; cut < n; cut++) {
        char *copy = malloc(cut ? cut : 1); /* so that the sanitizer sees reads behind it */
        memcpy(copy, memory, cut);
        assert_int_equal(rec_subscription_open(span_of(copy, cut), &s), ERR_CORRUPT);
        free(copy);
    }
    assert_int_equal(rec_subscription_open(span_of(memory, n), &s), OK);
}

/* A record with a right checksum and wrong offsets is no safer than one without. */
static void offsets_outside_are_seen_even_with_a_right_checksum(void **state) {
    char memory[2048];
    size_t n = build_sample(memory, sizeof memory);
    struct rec_subscription s;
    unsigned refused = 0;

    (void)state;
    for (size_t i = RECORD_HEADER; i < n; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            memory[i] ^= (char)(1 << bit);
            uint32_t crc = crc32c(crc32c(0, span_of(memory, 8)), span_of(memory + 12, n - 12));
            memcpy(memory + 8, &crc, 4);
            enum error e = rec_subscription_open(span_of(memory, n), &s);
            if (e == OK) {
                for (size_t k = 0; k < rec_subscription_n_impus(s); k++) {
                    (void)hash_bytes(rec_impu_identity(rec_subscription_impus(s, k)));
                }
            } else {
                assert_int_equal(e, ERR_CORRUPT);
                refused++;
            }
            memory[i] ^= (char)(1 << bit);
        }
    }
    assert_true(refused > 100);
}

static void what_does_not_fit_is_refused(void **state) {
    char memory[2048], *long_text = malloc(70000);
    struct rec_registration_data r = {.scscf_name = {long_text, 70000}};
    char *big = malloc(200000);
    struct buf out = buf_init(big, 200000);

    (void)state;
    memset(long_text, 'x', 70000);
    assert_int_equal(rec_registration_encode(&r, &out), ERR_TOO_BIG);
    r.scscf_name.n = 65535;
    out = buf_init(big, 200000);
    assert_int_equal(rec_registration_encode(&r, &out), OK);
    size_t n = build_sample(memory, sizeof memory);
    for (size_t cap = 0; cap < n; cap++) {
        char *exact = malloc(cap ? cap : 1);
        struct rec_registration_data small = {.scscf_name = SPAN("sip:scscf.home:6060")};
        struct buf b = buf_init(exact, cap < 40 ? cap : 40);
        assert_int_equal(rec_registration_encode(&small, &b), ERR_TOO_BIG);
        free(exact);
    }
    free(big);
    free(long_text);
}

/* A type in two editions, as the generator would make it: schema 2 appends a number to the list's
 * structure and a string to the record. */
struct item_data {
    uint16_t a;
    uint64_t b;
};
struct thing_data {
    struct span name;
    const struct item_data *items;
    size_t n_items;
    struct span note;
};

static const struct record_field item_fields[] = {
    {"a", RECORD_U16, 0, 2, 1, offsetof(struct item_data, a), 0, NULL},
    {"b", RECORD_U64, 2, 8, 2, offsetof(struct item_data, b), 0, NULL},
};
static const uint16_t item_sizes[] = {2, 10};
static const struct record_struct item_old = {"item", item_fields, 1, item_sizes,
                                              sizeof(struct item_data)};
static const struct record_struct item_new = {"item", item_fields, 2, item_sizes,
                                              sizeof(struct item_data)};
#define THING_FIELDS(item_)                                                                        \
    {"name", RECORD_STRING, 12, 6, 1, offsetof(struct thing_data, name), 0, NULL},                 \
        {"items",                                                                                  \
         RECORD_LIST,                                                                              \
         18,                                                                                       \
         6,                                                                                        \
         1,                                                                                        \
         offsetof(struct thing_data, items),                                                       \
         offsetof(struct thing_data, n_items),                                                     \
         item_},                                                                                   \
    {                                                                                              \
        "note", RECORD_STRING, 24, 6, 2, offsetof(struct thing_data, note), 0, NULL                \
    }
static const struct record_field thing_fields_old[] = {THING_FIELDS(&item_old)};
static const struct record_field thing_fields_new[] = {THING_FIELDS(&item_new)};
static const uint16_t thing_sizes[] = {24, 30};
static const struct record_struct thing_struct_old = {"thing", thing_fields_old, 2, thing_sizes,
                                                      sizeof(struct thing_data)};
static const struct record_struct thing_struct_new = {"thing", thing_fields_new, 3, thing_sizes,
                                                      sizeof(struct thing_data)};
static const struct record_type thing_old = {"thing", 99, 1, &thing_struct_old};
static const struct record_type thing_new = {"thing", 99, 2, &thing_struct_new};

static void an_older_schema_is_converted(void **state) {
    static const struct item_data items[] = {{1, 0}, {2, 0}, {65535, 0}};
    struct thing_data thing = {.name = SPAN("old"), .items = items, .n_items = 3}, read;
    char memory[256], converted[256];
    struct buf old = buf_init(memory, sizeof memory), out = buf_init(converted, sizeof converted);
    struct arena arena = arena_init(&pool);

    (void)state;
    assert_int_equal(record_encode(&thing_old, &thing, &old), OK);
    assert_int_equal(record_check(&thing_old, buf_span(&old)), OK);
    assert_int_equal(record_check(&thing_new, buf_span(&old)), ERR_UNSUPPORTED);
    assert_int_equal(record_convert(&thing_new, buf_span(&old), &arena, &out), OK);
    assert_int_equal(record_check(&thing_new, buf_span(&out)), OK);
    assert_int_equal(record_check(&thing_old, buf_span(&out)), ERR_UNSUPPORTED);
    assert_int_equal(record_decode(&thing_new, buf_span(&out), &arena, &read), OK);
    assert_span(read.name, "old");
    assert_int_equal(read.n_items, 3);
    assert_int_equal(read.items[2].a, 65535);
    assert_int_equal(read.items[2].b, 0);
    assert_span(read.note, "");
    arena_release(&arena);
}

/* A structure as it was in schema 1: the fields that came later are left out. */
static struct record_struct first_edition(const struct record_struct *s) {
    struct record_struct old = *s;
    old.n_fields = 0;
    while (old.n_fields < s->n_fields && s->fields[old.n_fields].since == 1) {
        old.n_fields++;
    }
    return old;
}

/* Subscribers of before SIP Digest keep all they had, and have no Digest credential. */
static void a_subscription_of_the_first_schema_is_converted(void **state) {
    char memory[2048], converted[2048], again[2048];
    size_t n = build_sample(memory, sizeof memory);
    struct arena arena = arena_init(&pool);
    struct rec_subscription_data data;
    const struct record_struct *now = rec_subscription_type.root;
    struct record_struct root = first_edition(now), impi;
    struct record_field fields[32];
    struct record_type old = {"subscription", rec_subscription_type.number, 1, &root};
    struct buf first = buf_init(converted, sizeof converted), out = buf_init(again, sizeof again);
    struct rec_subscription view;

    (void)state;
    assert_true(root.n_fields <= COUNT_OF(fields));
    memcpy(fields, now->fields, root.n_fields * sizeof *fields);
    for (size_t i = 0; i < root.n_fields; i++) {
        if (strcmp(fields[i].name, "impis") == 0) {
            impi = first_edition(fields[i].element);
            fields[i].element = &impi;
        }
    }
    root.fields = fields;
    assert_int_equal(
        record_decode(&rec_subscription_type, span_of(memory, n), &arena, (void *)&data), OK);
    assert_int_equal(record_encode(&old, &data, &first), OK);
    assert_true(first.n < n);
    assert_int_equal(record_check(&rec_subscription_type, buf_span(&first)), ERR_UNSUPPORTED);
    assert_int_equal(record_convert(&rec_subscription_type, buf_span(&first), &arena, &out), OK);
    assert_int_equal(rec_subscription_open(buf_span(&out), &view), OK);
    struct rec_impi alice = rec_subscription_impis(view, 0);
    assert_true(rec_impi_has_aka(alice));
    assert_int_equal(rec_impi_k(alice)[0], 0x11);
    assert_span(rec_impi_identity(rec_subscription_impis(view, 1)), "bob@home");
    assert_false(rec_impi_has_digest_md5(alice) || rec_impi_has_digest_sha256(alice));
    assert_span(rec_impi_digest_realm(alice), "");
    assert_span(rec_impu_identity(rec_subscription_impus(view, 1)), "sip:bob@home");
    arena_release(&arena);
}

static void checksum_is_castagnolis(void **state) {
    char zeros[32] = {0}, text[1000];

    (void)state;
    assert_int_equal(crc32c(0, SPAN("123456789")), 0xe3069283);
    assert_int_equal(crc32c_plain(0, SPAN("123456789")), 0xe3069283);
    assert_int_equal(crc32c(0, span_of(zeros, 32)), 0x8a9136aa); /* RFC 3720 B.4 */
    for (size_t i = 0; i < sizeof text; i++) {
        text[i] = (char)(i * 7);
        assert_int_equal(crc32c(5, span_of(text, i)), crc32c_plain(5, span_of(text, i)));
    }
    assert_int_equal(crc32c(crc32c(0, SPAN("12345")), SPAN("6789")), 0xe3069283);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_reads_back_in_place),
        cmocka_unit_test(a_record_becomes_a_value_and_the_same_record_again),
        cmocka_unit_test(damage_of_any_bit_is_seen),
        cmocka_unit_test(offsets_outside_are_seen_even_with_a_right_checksum),
        cmocka_unit_test(what_does_not_fit_is_refused),
        cmocka_unit_test(an_older_schema_is_converted),
        cmocka_unit_test(a_subscription_of_the_first_schema_is_converted),
        cmocka_unit_test(checksum_is_castagnolis),
    };

    chunk_pool_init(&pool, 4096, 4);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    chunk_pool_free(&pool);
    return failed;
}
