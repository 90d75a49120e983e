/* What nodes and terminals of a simulation believe at its end, against what the operator wanted
 * last (simulation_writes.h): who is registered, with which identities, which of them are barred,
 * which is the default, with which profile and charging functions. */
#ifndef MUSTER_APP_SIMULATION_TRUTH_H
#define MUSTER_APP_SIMULATION_TRUTH_H

#include "app/simulation_writes.h"
#include "node/ue/ue.h"

struct truth {
    struct sim *sim;
    struct network *network;
    struct watch *watch;
    struct writes *writes;
    struct ue *const *ues; /* of the subjects */
};

enum { TRUTH_TEXT = 256 };

/** Is everybody registered who has to be, at the terminal, at the S-CSCF, at the P-CSCF and by the
 * HSS's acknowledgement, and nobody else? False: why says who is not and what is missing. */
bool truth_all_registered(const struct truth *t, char why[TRUTH_TEXT]);

/** Has each S-CSCF heard of everything? The outbox is empty, and S-CSCFs have nothing of those who
 * are gone and what was wanted of the others. What is wrong is a fault of the watch. */
void truth_check_servers(const struct truth *t);

/** Do P-CSCFs, terminals and the HSS's own answers say the same? To be asked when all have
 * registered anew since the last change. Runs the simulation until the HSS has answered. */
void truth_check_all(const struct truth *t);

#endif
