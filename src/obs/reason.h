/* Why a node refuses: one list for all nodes, spec/reasons.yaml. Every refusal names an entry; it
 * stands in the log, in the journal, in metrics, and towards trusted nodes in a Warning header. */
#ifndef MUSTER_OBS_REASON_H
#define MUSTER_OBS_REASON_H

#include "base/attribute.h"
#include "base/span.h"
#include "spec/reasons.h"

/** The stable name: "hss-silent". */
const char *reason_name(enum reason r);

/** For people, short: "HSS does not answer". */
const char *reason_text(enum reason r);

/** What can be done about it, in sentences. Empty for REASON_NONE. */
const char *reason_mend(enum reason r);

/** The nodes that give it: "icscf, scscf". */
const char *reason_nodes(enum reason r);

/** Does it pass by itself, so that a refusal says when to come again? */
bool reason_passes(enum reason r);

/** Is a 503 with it about the node that gives it, and not about the service? */
bool reason_is_of_hop(enum reason r);

/** The reason of a name; REASON_NONE if there is none. */
enum reason reason_of(struct span name);

/** The step's stable name: "hss-asked". */
const char *journal_step_name(enum journal_step s);

/** For people: "asks the HSS". */
const char *journal_step_text(enum journal_step s);

#endif
