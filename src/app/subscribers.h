/* Files of subscribers: YAML (JSON is YAML, too) in the shape of the HSS's provisioning interface
 * (src/node/hss/README.md), with faults told by line. */
#ifndef MUSTER_APP_SUBSCRIBERS_H
#define MUSTER_APP_SUBSCRIBERS_H

#include "app/network.h"
#include "app/settings.h"

#include <jansson.h>

/** Opens a file, or one that is built in: names without a folder that do not exist in `folder`
 * (NULL: the current one) are looked for there. Errors as settings_open. */
MUST_CHECK enum error subscribers_open(const char *folder, const char *name, struct settings **out);

/** The content as JSON (json_decref), or NULL when it has faults or memory is out: see
 * settings_faults. "{domain}" in a text becomes the home domain. Quoted values, and the members
 * that are text by nature (keys, numbers of subscribers), are strings however they look. */
MUST_CHECK json_t *subscribers_json(struct settings *s, const char *domain);

/** Notes a fault that the HSS found (problem+json: detail, pointer) at the line where it stands. */
void subscribers_refused(struct settings *s, struct span reply);

/** Which request takes a document, and what its body is: the SIMs of a file go to a path of their
 * own. A new reference (json_decref). */
MUST_CHECK json_t *subscribers_request(json_t *document, const char **path);

/** Adds the subscribers of a configuration's files that are not there yet, all of a file or none,
 * running the loop meanwhile. ERR_INVALID: a file is wrong, *message (freed by the caller with
 * free) says where; ERR_TIMEOUT: no answer. Nothing if the HSS is not here. */
MUST_CHECK enum error subscribers_provision(const struct config *config, struct network *network,
                                            struct loop *loop, char **message);

/** Would subscribers_provision take the files? An HSS in memory looks at them; the running one, if
 * any, is not asked. Errors as there. OK without a word if the HSS is not of this process, or if
 * the configuration's nodes cannot be made for other reasons. */
MUST_CHECK enum error subscribers_check(const struct config *config, char **message);

#endif
