/* What the files of the parser share. */
#ifndef MUSTER_APP_FLOW_PARSE_H
#define MUSTER_APP_FLOW_PARSE_H

#include "app/flow/flow.h"
#include "base/buf.h"

/* A growing array of one of the flow's item types. */
struct flow_items {
    void *items;
    size_t n, cap, size;
};

struct flow_parser {
    struct flow *flow;
    const char *file;
    unsigned line;     /* the one that is read */
    struct buf faults; /* the first FLOW_FAULTS_SHOWN of them */
    unsigned n_faults;
    bool no_memory;
    char *fault_bytes;
    struct flow_items settings, terminals, steps, lines, conditions, covers;
    struct flow_step step; /* the one whose lines are being read */
    bool in_step;
};

/** Notes a fault at the current line. */
void flow_fault(struct flow_parser *p, const char *format, ...) PRINTF_LIKE(2, 3);

/** Appends an item; NULL when memory is out or there are too many (which is noted). */
void *flow_add(struct flow_parser *p, struct flow_items *items, size_t size);

/** Moves the items into the flow's arena and empties the array. */
const void *flow_keep(struct flow_parser *p, struct flow_items *items);

/** Frees the array. */
void flow_items_free(struct flow_items *items);

/** Cuts the next word off *rest: up to white space, or a quoted string, whose quotes go. Empty at
 * the end. */
struct span flow_word(struct span *rest);

/** A number with its unit, as microseconds: "3 s", "500 ms". Cut off *rest. */
bool flow_duration(struct span *rest, uint64_t *out_us);

/** Reads the conditions behind a message, separated by semicolons. */
void flow_read_conditions(struct flow_parser *p, struct span text,
                          const struct flow_condition **out, size_t *n);

/** Reads one indented line of the ladder. */
void flow_read_line(struct flow_parser *p, struct span text);

struct diameter_def;

/** The AVP of this name in the dictionary, or NULL. */
const struct diameter_def *flow_avp_named(struct span name);

/** Reads an action or an expectation into p->step. False if the first word begins none. */
bool flow_read_step(struct flow_parser *p, struct span text);

#endif
