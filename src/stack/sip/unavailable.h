/* What a proxy does with a final answer that says "not now": a rule without I/O.
 *
 * A 503 (RFC 3261 21.5.4) has two meanings. A hop that is out of order means itself: another may
 * serve, and RFC 3261 16.7 step 6 wants no proxy to tell its own client that it is out of order
 * when only the next one is. A server that speaks for the service (a subscriber who is not there
 * yet, an identity that is busy) means the end: whoever is asked says the same, so the answer goes
 * back unchanged, with its Retry-After, and neither the hop is avoided nor another one asked.
 *
 * Muster's own nodes tell them apart by the reason in their Warning (spec/reasons.yaml, `hop`).
 * Of others, who gives a time means the end: a proxy's own failure has none as a rule. */
#ifndef MUSTER_STACK_SIP_UNAVAILABLE_H
#define MUSTER_STACK_SIP_UNAVAILABLE_H

#include "codec/sip/sip.h"
#include "obs/reason.h"

/** Who speaks in a final answer. */
enum sip_voice {
    SIP_VOICE_END,  /* the end, or somebody for it: all but the following */
    SIP_VOICE_NODE, /* a node of our kind that is out of order itself, and says so */
    SIP_VOICE_HOP,  /* 503 without a time: a hop of another make */
    SIP_VOICES
};

/** What a proxy does with it. */
enum sip_unavailable_action {
    SIP_UNAVAILABLE_RELAY,  /* unchanged */
    SIP_UNAVAILABLE_NEXT,   /* the hop is avoided for a while, and the next one tried */
    SIP_UNAVAILABLE_AS_500, /* no other is left, and our client shall not avoid us: 500 */
};

/** The reason of the first Warning that one of our nodes wrote; REASON_NONE without. */
enum reason sip_warning_reason(const struct sip_msg *answer);

/** Who speaks. */
enum sip_voice sip_voice_of(const struct sip_msg *answer);

/** What to do; has_next: is there another hop that has not been tried? */
enum sip_unavailable_action sip_unavailable_action(enum sip_voice voice, bool has_next);

#endif
