/* What differs between two configurations, as paths of settings: "nodes.scscf.contacts-max". */
#ifndef MUSTER_APP_CONFIG_DIFFERENCE_H
#define MUSTER_APP_CONFIG_DIFFERENCE_H

#include "app/config.h"

/** Calls each for every setting that one of them has and the other has not, or has otherwise. Lists
 * count as one setting. */
void config_each_difference(const struct config *a, const struct config *b,
                            void (*each)(void *ctx, const char *path), void *ctx);

#endif
