/* Where the subscribers of an import come from: a file of NDJSON, CSV or YAML, read piece by piece.
 *
 * Whatever the format, each item comes as one JSON object in one line, as POST /imports/NAME takes
 * it (src/node/hss/README.md). NDJSON and CSV are read in bounded memory; YAML is read whole. */
#ifndef MUSTER_APP_BULK_SOURCE_H
#define MUSTER_APP_BULK_SOURCE_H

#include "base/error.h"
#include "base/span.h"

enum bulk_format { BULK_GUESS, BULK_NDJSON, BULK_CSV, BULK_YAML };

enum { BULK_SOURCE_TEXT = 128, BULK_SOURCE_LINE_MAX = 8 << 20 };

struct bulk_source;

/** One subscriber or profile. Spans are valid until the next call. */
struct bulk_item {
    uint64_t number; /* what the HSS is told as its line; see bulk_source_where */
    struct span json;
    struct span text;        /* as it stands in the file */
    char fault[256];         /* empty; or what is wrong with it before the HSS sees it */
    const char *fault_where; /* the column at fault; NULL: the line */
};

/** A position in a source: how far it was read, and a check of what was read. */
struct bulk_position {
    uint64_t bytes, line, items;
    char check[33]; /* XXH3, 128 bits, of these bytes */
};

/** Opens a file ("-": standard input). BULK_GUESS: by its suffix, else by its beginning. Every
 * "{domain}" becomes the domain. What is wrong with the file as a whole (no such file, unknown
 * column, YAML) is said in *message (free): ERR_INVALID, ERR_NOT_FOUND, ERR_PERMISSION, ERR_IO,
 * ERR_NO_MEMORY. */
MUST_CHECK enum error bulk_source_open(const char *path, enum bulk_format format,
                                       const char *domain, struct bulk_source **out,
                                       char **message);

/** The next item; ERR_NOT_FOUND at the end; ERR_IO, ERR_NO_MEMORY. */
MUST_CHECK enum error bulk_source_next(struct bulk_source *s, struct bulk_item *out);

/** Where it stands: behind the last item. */
void bulk_source_position(const struct bulk_source *s, struct bulk_position *out);

/** Goes forward to a position of an earlier run. ERR_CONFLICT: what stands before it is not what
 * stood there. ERR_IO, ERR_NO_MEMORY. */
MUST_CHECK enum error bulk_source_skip(struct bulk_source *s, const struct bulk_position *to);

/** Bytes of the file; 0: unknown. */
uint64_t bulk_source_size(const struct bulk_source *s);

/** Where a fault is, for a reader: line of the file and, if that helps, the column or member.
 * pointer: a JSON pointer into the item. `where` is empty if there is no more to say. */
uint64_t bulk_source_where(const struct bulk_source *s, uint64_t number, const char *pointer,
                           char where[BULK_SOURCE_TEXT]);

/** How many of the items that were skipped are profiles, not subscribers. */
uint64_t bulk_source_profiles(const struct bulk_source *s);

/** Closes it. NULL is allowed. */
void bulk_source_close(struct bulk_source *s);

/** A position as text, and back (false: it is none). */
void bulk_position_put(const struct bulk_position *p, char *out, size_t cap);

/** See bulk_position_put. */
MUST_CHECK bool bulk_position_read(const char *text, struct bulk_position *out);

#endif
