/* What the files of this folder share. */
#ifndef MUSTER_NODE_ICSCF_INTERNAL_H
#define MUSTER_NODE_ICSCF_INTERNAL_H

#include "node/icscf/icscf.h"
#include "stack/sip/proxy.h"
#include "stack/sip/refuse.h"

struct icscf {
    struct env *env;
    struct icscf_config config;
    struct sip_stack *stack;
    struct resolver *resolver;
    struct diameter *diameter;
    struct list pending; /* requests under way */
    size_t n_pending;
    struct timer stop_timer; /* the requests under way have until then */
    void (*stop_done)(void *ctx);
    void *stop_ctx;
    bool stopping, diameter_stopping;
    char sent_by[300];
    struct icscf_counters counters;
};

/** Takes a REGISTER; up is consumed. */
void icscf_register(struct icscf *i, struct sip_server *up, const struct sip_msg *req);

/** Refuses a request: answers it, counts it, and logs why; a Warning tells it to the trusted side.
 * up is consumed. */
void icscf_refuse(struct icscf *i, struct sip_server *up, struct sip_refusal refusal);

/** Goes on with stopping when nothing is under way any more. */
void icscf_look_stopped(struct icscf *i);

#endif
