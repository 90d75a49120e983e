/* Rows of CSV (RFC 4180) as JSON objects. The first line names the columns; which there are, is
 * described in docs/bulk.md. libcsv splits the cells. */
#ifndef MUSTER_APP_BULK_CSV_H
#define MUSTER_APP_BULK_CSV_H

#include "base/error.h"
#include "base/span.h"

#include <stdio.h>

struct bulk_csv;

/** Text that grows. */
struct bulk_text {
    char *p;
    size_t n, cap;
    bool failed; /* memory was out: what it holds is of no use */
};

/** Appends. */
void bulk_text_put(struct bulk_text *t, struct span s);

/** Appends a JSON string with its quotes. */
void bulk_text_json(struct bulk_text *t, struct span s);

/** Overwrites it with zeros, and frees it. */
void bulk_text_free(struct bulk_text *t);

/** Bytes of the first record in text: a line, or several if a quoted cell has line breaks; with its
 * end. 0: there is none that is complete. */
size_t bulk_csv_record(struct span text);

/** Reads the header. ERR_INVALID: message says which column is wrong and which there are.
 * ERR_NO_MEMORY. */
MUST_CHECK enum error bulk_csv_new(struct span header, struct bulk_csv **out, char *message,
                                   size_t message_size);

/** Appends the JSON object of a row, in one line; nothing for an empty one. ERR_INVALID: fault says
 * what is wrong, *where is the column, or NULL. ERR_NO_MEMORY. */
MUST_CHECK enum error bulk_csv_row(struct bulk_csv *c, struct span row, struct bulk_text *out,
                                   char *fault, size_t fault_size, const char **where);

/** The column of the file that a JSON pointer into the object means, or of which its value is made;
 * NULL: none. */
const char *bulk_csv_column(const struct bulk_csv *c, const char *pointer);

/** Frees it. NULL is allowed. */
void bulk_csv_free(struct bulk_csv *c);

#endif
