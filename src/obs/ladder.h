/* The ladder: columns are nodes, arrows are messages, time runs down. It is made of trace messages
 * (or of a capture that was read back) and drawn as text for a terminal, as SVG and as HTML.
 *
 * Columns come in the order in which a registration meets them: terminals, P-CSCF, I-CSCF, S-CSCF,
 * HSS, DNS; then others as they appear. Times are relative to the first message that is drawn. */
#ifndef MUSTER_OBS_LADDER_H
#define MUSTER_OBS_LADDER_H

#include "base/buf.h"
#include "obs/trace.h"

#include <stdio.h>

struct ladder;

/** One message as the ladder shows it. All spans live as long as the ladder. */
struct ladder_arrow {
    uint64_t at_us;
    enum trace_protocol protocol;
    struct span from, to; /* names of the columns */
    struct span label;    /* "REGISTER", "401 Unauthorized", "UAR", "UAA 2001" ... */
    struct span
        detail; /* what tells it apart: an identity, an answer's server name; may be empty */
    bool request, failure; /* failure: a final answer that is no success and no challenge */
    struct span bytes;     /* masked */
    struct span note; /* not a message but a remark across all columns; then the rest is empty */
};

/** Puts a message into words for a reader: several lines, foreign bytes escaped. False if it
 * cannot; then SIP is shown as it is and other bytes in hexadecimal. */
typedef bool ladder_describe_fn(void *ctx, enum trace_protocol protocol, struct span bytes,
                                struct buf *out);

/** An empty ladder; NULL when memory is out. */
MUST_CHECK struct ladder *ladder_new(void);

/** Frees it. NULL is allowed. */
void ladder_free(struct ladder *l);

/** Sets the heading (copied), for instance a flow's title. */
enum error ladder_set_title(struct ladder *l, struct span title);

/** Says who can put messages into words: the application knows the codecs, the ladder does not. */
void ladder_set_describe(struct ladder *l, ladder_describe_fn *describe, void *ctx);

/** Adds a message (copied). Its bytes are taken as masked already, as a trace gives them. A name
 * that is empty becomes the address. ERR_NO_MEMORY; ERR_TOO_BIG above 100,000 messages. */
MUST_CHECK enum error ladder_add(struct ladder *l, const struct trace_message *m);

/** Adds a remark at a point in time (copied): what a person did, which node went down. */
MUST_CHECK enum error ladder_add_note(struct ladder *l, uint64_t at_us, struct span text);

/** Adds everything that a trace holds. */
MUST_CHECK enum error ladder_add_trace(struct ladder *l, const struct trace *t);

/** What to keep. Empty members ask nothing; each other one must be met. */
struct ladder_filter {
    struct span identity; /* an IMPU or IMPI, its user part, or the beginning of that up to a dot */
    struct span call_id;  /* of SIP */
    struct span session_id; /* of Diameter */
    struct span icid;       /* icid-value of P-Charging-Vector */
};

/** Keeps the messages that meet the filter, and those that belong to them: the same Call-ID, ICID,
 * Session-Id, end-to-end identifier, and the DNS questions that were asked on their behalf. Remarks
 * stay. Calling it again narrows further. */
MUST_CHECK enum error ladder_filter(struct ladder *l, const struct ladder_filter *f);

/** Number of arrows and remarks that are left. */
size_t ladder_count(const struct ladder *l);

/** The ith of them, in order of time. */
const struct ladder_arrow *ladder_at(const struct ladder *l, size_t i);

/** Appends one line in words: what happened, to whom, how long it took, how many messages. */
void ladder_summary(const struct ladder *l, struct buf *out);

struct ladder_style {
    unsigned width; /* of the terminal in columns; 0: 120. Narrower than 60 counts as 60 */
    bool ascii;     /* no box drawing characters */
    bool colour;    /* ANSI colours: 31, 32, 33, 36, 90 */
};

/** Draws for a terminal. */
void ladder_write_text(const struct ladder *l, const struct ladder_style *style, FILE *out);

/** Draws as a self-contained SVG document, light and dark by the reader's preference. */
void ladder_write_svg(const struct ladder *l, FILE *out);

/** Draws as a self-contained HTML page: a click or the keyboard shows each whole message. */
void ladder_write_html(const struct ladder *l, FILE *out);

/** Draws into a file by its ending: .svg, .html, .pcapng, else text. ERR_PERMISSION, ERR_IO ... */
MUST_CHECK enum error ladder_write_file(const struct ladder *l, const char *path);

#endif
