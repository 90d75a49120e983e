/* Compares what was seen with what a flow says must be seen. Pure: messages in, a verdict and its
 * explanation out. */
#ifndef MUSTER_APP_FLOW_MATCH_H
#define MUSTER_APP_FLOW_MATCH_H

#include "app/flow/flow.h"
#include "base/buf.h"
#include "obs/ladder.h"

enum { FLOW_VARS_MAX = 64, FLOW_VALUE_MAX = 4096 };

/** Words that begin with a dollar sign: "$domain", and what lines bind with "as". */
struct flow_vars {
    struct arena *arena; /* keeps names and values */
    struct {
        struct span name, value;
    } vars[FLOW_VARS_MAX];
    size_t n;
};

/** Sets a variable; both are copied. ERR_NO_MEMORY, ERR_TOO_BIG. */
MUST_CHECK enum error flow_vars_set(struct flow_vars *v, struct span name, struct span value);

/** Appends text with its variables replaced by their values. False for an unknown one, which is
 * left in *unknown. */
MUST_CHECK bool flow_vars_expand(const struct flow_vars *v, struct span text, struct buf *out,
                                 struct span *unknown);

/** How far the lines of a step have been seen. Lives as long as step and vars. */
struct flow_match {
    const struct flow_step *step;
    struct flow_vars *vars;
    size_t at;                     /* the next line */
    bool seen[FLOW_ITEMS_MAX];     /* lines that a message matched */
    uint16_t took[FLOW_ITEMS_MAX]; /* the line of each message, as far as there is room */
    bool failed;
    size_t failed_at; /* the line that did not match; n_lines: the message was not expected */
    size_t taken;     /* messages that matched before */
    char why[1024];   /* what was wrong with it, for people; NUL-terminated */
};

/** Starts. m must not be on a small stack. */
void flow_match_init(struct flow_match *m, const struct flow_step *step, struct flow_vars *vars);

/** Takes the next message. False if it is not what the flow says; then it stays failed. */
bool flow_match_take(struct flow_match *m, const struct ladder_arrow *a);

/** Have all lines been seen that must be? */
bool flow_match_is_complete(const struct flow_match *m);

/** Appends expected and seen side by side, with what is wrong. Messages first to end of the ladder
 * belong to the step. */
void flow_match_explain(const struct flow_match *m, const struct ladder *l, size_t first,
                        struct buf *out);

/** Does the message have what the line asks for, leaving out order? Why not is appended to *why. */
MUST_CHECK bool flow_line_matches(const struct flow_line *line, const struct ladder_arrow *a,
                                  struct flow_vars *vars, struct buf *why);

/* fields.c: values of a message by name */

/** Is told each value that stands under a name; returning false ends the walk. */
typedef bool flow_value_fn(void *ctx, struct span value);

/** Calls each for every value of a header field, parameter or AVP in a message, as text. Returns
 * how many there were. Enumerations come twice: by name and by number. */
size_t flow_values(const struct ladder_arrow *a, struct span name, struct span param,
                   flow_value_fn *each, void *ctx);

/** How often it stands there: values of a list one by one. */
size_t flow_count(const struct ladder_arrow *a, struct span name);

/** Result of a Diameter answer: its number and its name (NULL if none is known). False without. */
MUST_CHECK bool flow_result(const struct ladder_arrow *a, uint32_t *code, const char **name);

#endif
