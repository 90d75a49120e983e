/* What a 2xx to a request that makes a dialog says of it (RFC 3261 12.1.2): the other side's tag,
 * the remote target, and the route set of who has asked. */
#ifndef MUSTER_STACK_SIP_DIALOG_H
#define MUSTER_STACK_SIP_DIALOG_H

#include "codec/sip/headers.h"

enum { SIP_DIALOG_MAX = 4096, SIP_DIALOG_ROUTES_MAX = 16 };

/** Zeroed memory is a dialog that does not stand yet. The texts are one block, which it owns. */
struct sip_dialog {
    struct span tag;    /* theirs; empty: the dialog does not stand */
    struct span target; /* URI of their Contact */
    struct span route;  /* value of Route; empty: none */
};

/** Learns all of it from a 2xx, in place of what was known. ERR_MALFORMED: no Contact, no tag, or
 * more than the bounds above; ERR_NO_MEMORY. */
MUST_CHECK enum error sip_dialog_learn(struct sip_dialog *d, const struct sip_msg *answer);

/** The URI of the next hop: of the first Route, else the target. It views the dialog's text.
 * ERR_MALFORMED. */
MUST_CHECK enum error sip_dialog_next_hop(const struct sip_dialog *d, struct sip_uri *out);

/** Forgets it; frees its block. */
void sip_dialog_forget(struct sip_dialog *d);

/** Seconds until a subscription is refreshed that was granted for so long: 600 s before its end, or
 * at half its time if that is short; never 0 (TS 24.229 5.1.1.3, 5.2.3). */
uint32_t sip_subscription_refresh_s(uint32_t granted_s);

#endif
