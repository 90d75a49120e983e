/* A terminal's wire, on which its messages can be changed on their way: how a flow makes a terminal
 * that misbehaves out of one that does not.
 *
 * It is an environment around an environment: the ue gets it as its own, and all that it does goes
 * to the inner one. Outgoing REGISTERs and incoming challenges pass the faults of the current
 * action. */
#ifndef MUSTER_APP_FLOW_WIRE_H
#define MUSTER_APP_FLOW_WIRE_H

#include "app/flow/flow.h"
#include "rt/env.h"

enum { WIRE_FAULTS_MAX = 16, WIRE_MESSAGE_MAX = 65536, WIRE_VALUE_MAX = 2048 };

struct wire {
    struct env env; /* what the ue gets */
    struct env *inner;
    const struct flow_fault *faults; /* of the action under way */
    size_t n_faults;
    unsigned used[WIRE_FAULTS_MAX];      /* how often each has been applied */
    uint32_t last_cseq[WIRE_FAULTS_MAX]; /* to which request: its repeats are changed again */
    bool dropped;                        /* a message was held back */
    char credentials[WIRE_VALUE_MAX];    /* Authorization of the last answer to a challenge */
    size_t n_credentials;
    char replay[WIRE_VALUE_MAX]; /* what stood there when the action began */
    size_t n_replay;
    char scratch[2][WIRE_MESSAGE_MAX];
};

/** Makes a wire around an environment, which must outlive it. */
void wire_init(struct wire *w, struct env *inner);

/** The faults of the next action; none: n 0. They are kept by the caller. */
void wire_set_faults(struct wire *w, const struct flow_fault *faults, size_t n);

#endif
