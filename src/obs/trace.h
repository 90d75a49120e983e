/* The trace: a tap on every link that costs one load and one branch while nobody looks.
 *
 * Who records: the protocol stacks, since only they know protocol, message boundaries and names:
 * stack/sip each SIP message, stack/diameter each whole Diameter message, the resolver each query
 * and answer. Links (rt) record nothing; they only say which addresses are ours (trace_add_local).
 *
 * When: on receipt always, and on sending only if !trace_is_local(receiver), so that each message
 * is there once; the local end of every open link counts, so this holds for streams too. Every call
 * stands behind trace_is_on, so that nothing is prepared for nobody.
 *
 * What is recorded is a copy with secrets masked (obs/mask.h): CK, IK, XRES, HA1 never leave a node
 * through a trace. Names of columns come from an address book that the application fills.
 *
 * A trace belongs to one loop, and is shared by the environments of that loop. */
#ifndef MUSTER_OBS_TRACE_H
#define MUSTER_OBS_TRACE_H

#include "base/error.h"
#include "rt/addr.h"

enum trace_protocol {
    TRACE_SIP,      /* a datagram, or a whole message of a stream */
    TRACE_DIAMETER, /* one whole message */
    TRACE_DNS,      /* a query or an answer, in words */
    TRACE_PROTOCOLS
};

struct trace_message {
    uint64_t at_us;  /* env_clock_us */
    int64_t wall_us; /* env_wall_us */
    enum trace_protocol protocol;
    bool stream; /* TCP, or a byte queue; else UDP */
    struct addr from, to;
    struct span from_name, to_name; /* of nodes; empty: looked up in the address book by address */
    struct span bytes;
};

struct trace; /* obs/trace.c: a ring of recorded messages and its listeners */

struct trace_tap { /* the public beginning of struct trace, so that trace_is_on inlines */
    bool on;
};

/** Does anybody look? */
static inline bool trace_is_on(const struct trace *t) {
    return UNLIKELY(((const struct trace_tap *)(const void *)t)->on);
}

/** A tap that records nothing until trace_enable. NULL when memory is out. */
MUST_CHECK struct trace *trace_new(void);

/** Frees the trace with all it holds. NULL is allowed. */
void trace_free(struct trace *t);

/** Starts recording, anew if the trace is on already: keeps the newest messages that fit into
 * max_bytes, names and about 130 bytes a message included; what alone is larger is not recorded.
 * ERR_NO_MEMORY leaves the trace off. */
MUST_CHECK enum error trace_enable(struct trace *t, size_t max_bytes);

/** Stops recording and forgets. */
void trace_disable(struct trace *t);

/** Says that `name` (copied) stands at this address; a later name for the same address replaces it,
 * an empty one takes it away. */
enum error trace_name_address(struct trace *t, const struct addr *a, struct span name);

/** The name that stands at this address; empty if none is known. Valid until it changes. */
struct span trace_name_of(const struct trace *t, const struct addr *a);

/** Is this address the local end of a link of this loop? */
bool trace_is_local(const struct trace *t, const struct addr *a);

/** Marks an address as local: links call it when they open. Counted, since a listener and what it
 * accepted share one. ERR_NO_MEMORY costs a doubly recorded message, not the link. */
enum error trace_add_local(struct trace *t, const struct addr *a);

/** Undoes one trace_add_local: links call it when they close. */
void trace_remove_local(struct trace *t, const struct addr *a);

/** Records (a masked copy of) a message, if the trace is on. Takes no memory. */
void trace_record(struct trace *t, const struct trace_message *m);

/** Calls each for the recorded messages, oldest first; names are resolved. The spans are valid
 * during the call; each must not record. */
void trace_each(const struct trace *t, void (*each)(void *ctx, const struct trace_message *m),
                void *ctx);

/** Is told of each message as it is recorded (masked, names resolved), until replaced; NULL for
 * nobody. Same rules as for trace_each. */
void trace_listen(struct trace *t, void (*each)(void *ctx, const struct trace_message *m),
                  void *ctx);

/** Like trace_listen, but the messages are as they were on the wire, secrets included, and are told
 * whether or not they are recorded as well; without trace_enable nothing is copied or masked. For
 * judges in simulations and tests, never for what leaves the process. */
void trace_witness(struct trace *t, void (*each)(void *ctx, const struct trace_message *m),
                   void *ctx);

#endif
