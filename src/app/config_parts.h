/* How a configuration is read, in steps: settings, then what follows from them, then whether it all
 * fits together. Private to config*.c. */
#ifndef MUSTER_APP_CONFIG_PARTS_H
#define MUSTER_APP_CONFIG_PARTS_H

#include "app/config.h"

/** Reads the mapping of nodes (setting_read_fn; object is the struct config). */
void config_read_nodes(struct settings *s, setting_value value, void *object);

/** Reads certificate, key and trust (setting_read_fn; object is a struct config_tls). */
void config_read_tls(struct settings *s, setting_value value, void *object);

/** Reads the settings of the web interface (setting_read_fn; object is the struct config). */
void config_read_web(struct settings *s, setting_value value, void *object);

/** Reads the tokens, fills in what was not given of the web interface, and notes as faults what
 * would let strangers in. */
void config_check_web(struct config *c);

/** Notes as faults what does not fit together in TLS. */
void config_check_tls(struct config *c);

/** Fills in what was not given: domain, names, addresses, expiry times. */
void config_derive(struct config *c);

/** Notes as faults what does not fit together. */
void config_check(struct config *c);

#endif
