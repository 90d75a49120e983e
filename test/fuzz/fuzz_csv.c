/* Fuzzes the import of CSV: the first record names the columns, the others are rows. What is taken
 * is one JSON object, in one line; what is not says why. */
#include "app/bulk_csv.h"

#include <jansson.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct span take_record(struct span *rest) {
    size_t n = bulk_csv_record(*rest);
    struct span record = span_slice(*rest, 0, n ? n : rest->n);
    if (n > rest->n) {
        abort();
    }
    *rest = span_after(*rest, record.n);
    return record;
}

static void judge(enum error e, const struct bulk_text *row, const char *fault) {
    json_t *json = row->n ? json_loadb(row->p, row->n, JSON_REJECT_DUPLICATES, NULL) : NULL;
    bool is_line = row->n == 0 || memchr(row->p, '\n', row->n - 1) == NULL;
    if (e == OK ? (row->n && !json_is_object(json)) || !is_line : !*fault) {
        abort();
    }
    json_decref(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct span rest = span_of(data, size);
    struct bulk_csv *csv = NULL;
    char fault[256] = "";
    if (bulk_csv_new(take_record(&rest), &csv, fault, sizeof fault) == OK) {
        while (rest.n) {
            struct bulk_text row = {0};
            const char *where = NULL;
            fault[0] = '\0';
            enum error e = bulk_csv_row(csv, take_record(&rest), &row, fault, sizeof fault, &where);
            judge(e, &row, fault);
            bulk_text_free(&row);
        }
    } else if (!fault[0]) {
        abort();
    }
    bulk_csv_free(csv);
    return 0;
}
