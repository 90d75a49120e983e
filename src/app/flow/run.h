/* Makes a flow happen: the network that it describes, its terminals, its actions one after another,
 * and the comparison of what was seen with what it says. The same code in a simulation, where time
 * is virtual, and over real sockets. */
#ifndef MUSTER_APP_FLOW_RUN_H
#define MUSTER_APP_FLOW_RUN_H

#include "app/flow/flow.h"
#include "obs/ladder.h"

enum flow_mode {
    FLOW_SIMULATED, /* virtual time, one seed: the same messages in each run */
    FLOW_SOCKETS,   /* the real loop; terminals behind real UDP sockets on loopback */
};

struct flow_report {
    bool passed;
    struct ladder *ladder; /* everything that was seen, actions as remarks; never NULL after OK */
    char *text;            /* what went wrong, several lines; empty if passed; NUL-terminated */
    uint64_t took_us;      /* by the flow's own clock */
};

/** Runs a flow. OK: it ran, and *out says how (to be freed with flow_report_free). ERR_INVALID: it
 * cannot run, since it names what does not exist; another error: addresses, memory. In both cases
 * *message (to be freed with free) says what and where. */
MUST_CHECK enum error flow_run(const struct flow *f, enum flow_mode mode, struct flow_report *out,
                               char **message);

/** Frees what flow_run filled in. */
void flow_report_free(struct flow_report *r);

#endif
