/* Rows of CSV as JSON, and what is said of wrong ones. */
#include "app/bulk_csv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const struct {
    const char *header, *row, *json, *fault, *where;
} rows[] = {
    {"imsi,k", "1,2", "{\"imsi\":\"1\",\"k\":\"2\"}", NULL, NULL},
    {"IMSI, k ,msisdn", "1,2,", "{\"imsi\":\"1\",\"k\":\"2\"}", NULL, NULL},
    {"user,password,digest", "bob,\"a,\"\"b\"\"\n\\\",md5 sha256",
     "{\"user\":\"bob\",\"password\":\"a,\\\"b\\\"\\u000a\\\\\",\"digest\":[\"md5\",\"sha256\"]}",
     NULL, NULL},
    {"impi,impus,barred,profile,k", "a@h,sip:a@h tel:+1,tel:+1,gold,00",
     "{\"name\":\"a@h\",\"impis\":[{\"identity\":\"a@h\",\"k\":\"00\"}],\"impus\":["
     "{\"identity\":\"sip:a@h\",\"impi\":\"a@h\",\"set\":1,\"default\":true,\"profile\":\"gold\"},"
     "{\"identity\":\"tel:+1\",\"impi\":\"a@h\",\"set\":1,\"barred\":true,\"profile\":\"gold\"}]}",
     NULL, NULL},
    {"name,impis,impus", "s,\"[{\"\"identity\"\": \"\"a\"\"}]\",[]",
     "{\"name\":\"s\",\"impis\":[{\"identity\":\"a\"}],\"impus\":[]}", NULL, NULL},
    {"imsi,k", "", "", NULL, NULL},
    {"imsi,k", "1,2,3", NULL, "there are 3 cells, and the first line names 2 columns", NULL},
    {"imsi,k", ",2", NULL, "one of imsi, user, impi and impis needs a value", NULL},
    {"imsi,impi", "1,2", NULL,
     "a row with imsi or user gets its identities by rule: leave this cell empty", "impi"},
    {"impi,msisdn", "1,2", NULL,
     "only a row with imsi or user has a msisdn: name its identities in impus", "msisdn"},
    {"impi,impis", "1,2", NULL, "either impi or impis has a value, not both", "impi"},
    {"impis,k", "1,2", NULL, "with impis, keys and passwords stand inside of it", "k"},
    {"name,impis", "s,nonsense", NULL, "this is no JSON", "impis"},
    {"name,impis,impus", "s,[],[1", NULL, "this is no JSON", "impus"},
    {"imsi,k", "1,a\"b", NULL,
     "a quote stands where none may: a cell that has quotes or commas begins and ends with a "
     "quote, "
     "and inside of it each quote is doubled",
     NULL},
    {"imsi,name", "1,\xff", NULL, "this is no text in UTF-8", "name"},
    {"imsi,name", "1,\xc0\x80", NULL, "this is no text in UTF-8", "name"},
    {"imsi,name", "1,\xed\xa0\x80", NULL, "this is no text in UTF-8", "name"},
    {"imsi,name", "1,\xf4\x90\x80\x80", NULL, "this is no text in UTF-8", "name"},
    {"imsi,name", "1,\xe2\x82", NULL, "this is no text in UTF-8", "name"},
    {"imsi,name", "1,\xc3\xb6\xe2\x82\xac\xf0\x9f\x98\x80",
     "{\"imsi\":\"1\",\"name\":\"\xc3\xb6\xe2\x82\xac\xf0\x9f\x98\x80\"}", NULL, NULL},
};

static void rows_become_objects_or_are_explained(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct bulk_csv *csv;
        struct bulk_text out = {0};
        char fault[512] = "";
        const char *where;
        assert_int_equal(bulk_csv_new(span_from_cstr(rows[i].header), &csv, fault, sizeof fault),
                         OK);
        enum error e =
            bulk_csv_row(csv, span_from_cstr(rows[i].row), &out, fault, sizeof fault, &where);
        assert_int_equal(e, rows[i].fault ? ERR_INVALID : OK);
        if (rows[i].fault) {
            assert_string_equal(fault, rows[i].fault);
            assert_string_equal(where ? where : "", rows[i].where ? rows[i].where : "");
        } else if (!span_eq(span_of(out.p, out.n), span_from_cstr(rows[i].json))) {
            fail_msg("%.*s", (int)out.n, out.p);
        }
        bulk_text_free(&out);
        bulk_csv_free(csv);
    }
}

static void a_header_names_columns_that_exist(void **state) {
    static const struct {
        const char *header, *fault;
    } headers[] = {
        {"imsi,kay", "column kay: there is no column of this name, did you mean k?"},
        {"imsi,k,IMSI", "column IMSI: named twice"},
        {"k,op", "the first line names the columns, among them imsi, user, impi or impis"},
        {"", "the first line names the columns, among them imsi, user, impi or impis"},
        {"imsi,\"k", "a quote stands where none may"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(headers); i++) {
        struct bulk_csv *csv;
        char fault[512] = "";
        assert_int_equal(bulk_csv_new(span_from_cstr(headers[i].header), &csv, fault, sizeof fault),
                         ERR_INVALID);
        assert_int_equal(strncmp(fault, headers[i].fault, strlen(headers[i].fault)), 0);
        assert_null(csv);
    }
}

static void a_record_ends_at_its_line_end(void **state) {
    (void)state;
    assert_int_equal(bulk_csv_record(SPAN("a,b\nc")), 4);
    assert_int_equal(bulk_csv_record(SPAN("\"a\nb\",c\r\nd")), 9);
    assert_int_equal(bulk_csv_record(SPAN("a\"b\nc\n")), 4); /* opens nothing there */
    assert_int_equal(bulk_csv_record(SPAN("\"a\n")), 0);
    assert_int_equal(bulk_csv_record(SPAN("a,b")), 0);
}

static void pointers_lead_back_to_columns(void **state) {
    struct bulk_csv *csv, *sims;
    char fault[512];
    (void)state;
    assert_int_equal(bulk_csv_new(SPAN("imsi,impi,impis,impus,k"), &csv, fault, sizeof fault), OK);
    assert_int_equal(bulk_csv_new(SPAN("imsi,msisdn,k"), &sims, fault, sizeof fault), OK);
    assert_string_equal(bulk_csv_column(sims, "/name"), "imsi");
    assert_string_equal(bulk_csv_column(sims, "/impis/0/identity"), "imsi");
    assert_string_equal(bulk_csv_column(sims, "/impus/1/identity"), "msisdn");
    assert_string_equal(bulk_csv_column(csv, "/imsi"), "imsi");
    assert_string_equal(bulk_csv_column(csv, "/impis/0/k"), "k");
    assert_string_equal(bulk_csv_column(csv, "/impis/0/identity"), "impi");
    assert_string_equal(bulk_csv_column(csv, "/impis/0/other"), "impis");
    assert_string_equal(bulk_csv_column(csv, "/impus/1/identity"), "impus");
    assert_string_equal(bulk_csv_column(csv, "/impus/1/other"), "impus");
    assert_null(bulk_csv_column(csv, "/other"));
    bulk_csv_free(csv);
    bulk_csv_free(sims);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_become_objects_or_are_explained),
        cmocka_unit_test(a_header_names_columns_that_exist),
        cmocka_unit_test(a_record_ends_at_its_line_end),
        cmocka_unit_test(pointers_lead_back_to_columns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
