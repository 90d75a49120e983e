/* What the files of the ladder share: its inside, and how a message is labelled. */
#ifndef MUSTER_OBS_LADDER_IMPL_H
#define MUSTER_OBS_LADDER_IMPL_H

#include "base/arena.h"
#include "obs/ladder.h"

struct ladder_column {
    struct span name;
    unsigned rank;   /* place in the natural order; ties by first appearance */
    unsigned serial; /* order of appearance */
};

enum { LADDER_ENTRIES_MAX = 100000, LADDER_COLUMNS_MAX = 64 };

/* One arrow or remark with what the filter and the drawing need besides. */
struct ladder_entry {
    struct ladder_arrow arrow;
    struct addr from, to;
    int64_t wall_us;
    bool stream;
    unsigned from_column, to_column; /* indices, set by ladder_layout */
    uint32_t command, end_to_end;    /* of Diameter */
    struct span correlation, icid;   /* Call-ID or Session-Id; ICID */
};

struct ladder {
    struct chunk_pool chunks;
    struct arena arena;
    struct span title;
    struct ladder_entry *entries;
    size_t n, cap;
    struct ladder_column columns[LADDER_COLUMNS_MAX];
    unsigned n_columns;
    ladder_describe_fn *describe;
    void *describe_ctx;
};

/** Fills label, detail, request, failure and the correlation of an entry from its bytes. */
enum error ladder_label(struct arena *a, struct ladder_entry *e);

/** Finds the columns of what is left, in natural order. False when there are none or too many. */
bool ladder_layout(struct ladder *l);

/** Time since the first arrow that is left, as people read it: "12.3 ms", "31.00 s". */
struct span ladder_time(const struct ladder *l, const struct ladder_entry *e, char *out,
                        size_t cap);

/** Width in columns of a terminal, or in characters of a drawing, of UTF-8 text. */
size_t ladder_text_width(struct span utf8);

/** Writes text into HTML or SVG: markup characters as entities, what XML cannot carry as \xNN. With
 * lines, line ends stay. */
void ladder_put_xml(FILE *out, struct span text, bool lines);

/** How an arrow is drawn: "req", "ok", "chal" (a challenge), "fail", "dns". */
const char *ladder_class(const struct ladder_arrow *a);

/** A message in words for people: by the describe function, else SIP as it is, else hexadecimal. */
void ladder_describe_entry(const struct ladder *l, const struct ladder_entry *e, struct buf *out);

/* Size in pixels of the drawing. */
struct ladder_geometry {
    unsigned left, spacing; /* where the first lifeline stands; between two */
    unsigned width, height; /* of the body, column heads not counted */
};

/** Chooses the sizes; the ladder is laid out. */
struct ladder_geometry ladder_measure(const struct ladder *l);

/** The column heads alone as an <svg> element. */
void ladder_put_heads(const struct ladder *l, const struct ladder_geometry *g, FILE *out);

/** Lifelines, arrows and remarks as an <svg> element `y` pixels down; each arrow links to "#mN" if
 * linked. */
void ladder_put_body(const struct ladder *l, const struct ladder_geometry *g, unsigned y,
                     bool linked, FILE *out);

enum { LADDER_HEAD_HEIGHT = 58 };

/* The style sheet that SVG and HTML share. */
extern const char ladder_css[];

#endif
