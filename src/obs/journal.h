/* The journal: what nodes did for whom, step by step, kept in a ring for `muster explain`.
 *
 * A step is a slot of fixed size: who, how far, why not. Texts that are longer than their place are
 * cut; secrets are never noted. Writing costs a copy of some hundred bytes, takes no memory and
 * cannot fail; without a journal (NULL) it costs a branch.
 *
 * A journal belongs to one loop, and is shared by the environments of that loop. */
#ifndef MUSTER_OBS_JOURNAL_H
#define MUSTER_OBS_JOURNAL_H

#include "obs/reason.h"
#include "rt/env.h"

struct journal;

/** What a node says. Empty spans: not known, or of no interest. */
struct journal_note {
    enum journal_step step;
    enum reason reason; /* of a refusal, or of an authentication's result */
    unsigned status;    /* SIP status or Diameter result that goes out or came in; 0: none */
    struct span impi, impu;
    struct span call_id; /* what holds the steps of one request together across nodes */
    struct span detail;  /* a name, an address, a command: "UAR", "sip:scscf.home:6060" */
};

enum { JOURNAL_IDENTITY = 96, JOURNAL_CALL_ID = 48, JOURNAL_DETAIL = 80, JOURNAL_NODE = 24 };

/** What is kept of it. */
struct journal_entry {
    uint64_t at_us;  /* env_clock_us */
    int64_t wall_us; /* env_wall_us */
    enum journal_step step;
    enum reason reason;
    unsigned status;
    char node[JOURNAL_NODE];
    char impi[JOURNAL_IDENTITY], impu[JOURNAL_IDENTITY];
    char call_id[JOURNAL_CALL_ID];
    char detail[JOURNAL_DETAIL];
};

/** A journal of the newest steps that fit into max_bytes, at least one. NULL when memory is out. */
MUST_CHECK struct journal *journal_new(size_t max_bytes);

/** Frees it. NULL is allowed. */
void journal_free(struct journal *j);

/** Notes a step of the node of this environment, if it has a journal. */
void journal_add(struct env *env, const struct journal_note *note);

/** Calls each for the steps that are kept, oldest first. Valid during the call. NULL: for none. */
void journal_each(const struct journal *j, void (*each)(void *ctx, const struct journal_entry *e),
                  void *ctx);

/** Steps since the beginning, by reason; REASONS of them. For metrics. */
const uint64_t *journal_reasons(const struct journal *j);

#endif
