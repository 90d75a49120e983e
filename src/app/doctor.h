/* Is a configuration right, here, before anything is started? */
#ifndef MUSTER_APP_DOCTOR_H
#define MUSTER_APP_DOCTOR_H

#include "app/config.h"

enum doctor_level { DOCTOR_OK, DOCTOR_NOTE, DOCTOR_WARNING, DOCTOR_ERROR, DOCTOR_LEVELS };

struct doctor_finding {
    enum doctor_level level;
    const char *what;  /* what is so: "the port of pcscf is taken" */
    const char *where; /* "home.yaml:12", or what of the machine: "net.core.rmem_max" */
    const char *mend;  /* what to do; empty if nothing */
};

/** Hears of each finding. */
typedef void doctor_finding_fn(void *ctx, const struct doctor_finding *finding);

/** Looks at names, DNS, ports, certificates, store, subscribers, kernel and security; tells all it
 * finds, also what is fine. Takes up to 10 s for each name if DNS servers are configured and do not
 * answer. Starts nothing; ports that a running Muster of this configuration holds are fine. */
void doctor_examine(const struct config *c, doctor_finding_fn *each, void *ctx);

/** "ok", "note", "warning", "error". */
const char *doctor_level_name(enum doctor_level level);

#endif
