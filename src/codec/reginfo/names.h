/* Words of RFC 3680's schema, for the writer and the reader. */
#ifndef MUSTER_CODEC_REGINFO_NAMES_H
#define MUSTER_CODEC_REGINFO_NAMES_H

#include "codec/reginfo/reginfo.h"

#define REGINFO_NAMESPACE  "urn:ietf:params:xml:ns:reginfo"
#define GRUUINFO_NAMESPACE "urn:ietf:params:xml:ns:gruuinfo"
#define WILDCARD_NAMESPACE "urn:3gpp:ns:extRegExp:1.0"

/** "init", "active", "terminated": by enum reginfo_state. */
extern const struct span reginfo_states[REGINFO_STATES];

/** "registered" and so on: by enum reginfo_event. */
extern const struct span reginfo_events[REGINFO_EVENTS];

#endif
