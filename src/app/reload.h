/* A running process takes its configuration anew: by SIGHUP, or POST /reload.
 *
 * The file is read and checked as at start; a wrong one is refused with file, line and remedy, and
 * nothing changes. At once change: log, trace, the certificates and keys in the files that tls
 * names, and subscribers that are new. Everything else that differs is named: it needs a restart.
 * No transaction ends. */
#ifndef MUSTER_APP_RELOAD_H
#define MUSTER_APP_RELOAD_H

#include "app/network.h"

struct loop;

/** What came of it. */
struct reload_report {
    char *
        faults; /* the file is wrong: a line each; freed by reload_report_free. NULL: it is taken */
    char *applied; /* settings that changed, a line each; may be empty */
    char *restart; /* settings that need a restart, a line each; may be empty */
    char *trouble; /* with a file of subscribers or a certificate; NULL: none */
};

/** Compares `fresh` with what runs (`running`) and applies what can be. Runs the loop while
 * subscribers are added: not to be called from a callback. ERR_NO_MEMORY. */
MUST_CHECK enum error reload_apply(const struct config *running, const struct config *fresh,
                                   struct network *network, struct loop *loop,
                                   struct reload_report *out);

/** Frees the texts. */
void reload_report_free(struct reload_report *r);

#endif
