/* The one way in which a node refuses a SIP request: the answer, a line in the log, a step in the
 * journal, all with a reason of the list (obs/reason.h). */
#ifndef MUSTER_STACK_SIP_REFUSE_H
#define MUSTER_STACK_SIP_REFUSE_H

#include "obs/reason.h"
#include "stack/sip/sip_stack.h"

struct sip_refusal {
    unsigned status;
    enum reason why;
    uint32_t retry_after_s; /* 0: Retry-After by the stack's policy (admission.h) if the reason is
                             * one that passes, or `later` says so; else none */
    bool later;
    uint32_t min_expires_s; /* 0: no Min-Expires */
    struct span host; /* a trusted neighbour is told the reason: Warning 399 of this host. Empty:
                       * a terminal, which gets its text as the reason phrase */
    struct span impi, impu; /* whom it is about; empty impu: To's URI */
    struct span detail;     /* for log and journal */
};

/** Seconds for Retry-After; 0: none. lot: any number, another one for each. */
uint32_t sip_refusal_retry_after(const struct sip_refusal *refusal,
                                 const struct sip_admission_policy *policy, uint64_t lot);

/** Appends Warning 399 of a host: the reason's name and text. */
void sip_put_reason(struct buf *b, struct span host, enum reason why);

/** The line in the log and the step in the journal alone, for an answer that is written elsewhere.
 */
void sip_refuse_note(struct sip_server *up, const struct sip_refusal *refusal);

/** Answers up, which is consumed, and says so. */
void sip_refuse(struct sip_server *up, const struct sip_refusal *refusal);

#endif
