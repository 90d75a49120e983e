/* The trace: a tap on every link that costs one load and one branch while nobody looks.
 *
 * A message is recorded where it is received, and where it is sent only if the receiver is not in
 * this process: so each message is there once. What is recorded is a copy with secrets masked
 * (obs/mask.h): CK, IK, XRES, HA1 never leave a node through a trace. Names of columns come from an
 * address book that the application fills. */
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
    uint64_t at_us;  /* env_now_us */
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

/** Starts recording, keeping the newest messages up to max_bytes of content. */
enum error trace_enable(struct trace *t, size_t max_bytes);

/** Stops recording and forgets. */
void trace_disable(struct trace *t);

/** Says that `name` (copied) stands at this address; a later name for the same address replaces it.
 */
enum error trace_name_address(struct trace *t, const struct addr *a, struct span name);

/** Is this address one of this process's own (added with trace_name_address and local)? */
bool trace_is_local(const struct trace *t, const struct addr *a);

/** Marks an address as belonging to this process: links call it when they open. */
enum error trace_add_local(struct trace *t, const struct addr *a);

/** Records (a masked copy of) a message, if the trace is on. */
void trace_record(struct trace *t, const struct trace_message *m);

/** Calls each for the recorded messages, oldest first; names are resolved. The spans are valid
 * during the call. */
void trace_each(const struct trace *t, void (*each)(void *ctx, const struct trace_message *m),
                void *ctx);

/** Is told of each message as it is recorded, until replaced; NULL for nobody. */
void trace_listen(struct trace *t, void (*each)(void *ctx, const struct trace_message *m),
                  void *ctx);

#endif
