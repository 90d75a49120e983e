/* What the files of this folder share. */
#ifndef MUSTER_NODE_ICSCF_INTERNAL_H
#define MUSTER_NODE_ICSCF_INTERNAL_H

#include "node/icscf/icscf.h"
#include "obs/journal.h"
#include "spec/cx.h"
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

enum { ICSCF_IDENTITY_MAX = 512 };

/* A request under way; lives in the arena of its transaction. */
struct operation {
    struct icscf *i;
    struct list under_way;
    struct sip_server *up;
    struct resolver_query query;
    struct span impi, impu, visited; /* impi and visited: of a REGISTER */
    bool locates;                    /* it is no REGISTER: the HSS is asked by LIR */
    bool removal;                    /* DE_REGISTRATION */
    bool settled; /* no other S-CSCF will do: integrity-protected="yes", or no REGISTER */
    bool named;   /* the HSS gave a name, not capabilities */
    struct selection_request wanted;
    struct span server; /* SIP URI of the chosen S-CSCF */
    struct span server_host;
    struct span detail; /* of a refusal, for log and journal */
    bool loose;         /* it has lr already */
    char route[300];
};

/* register.c: REGISTER, and what all requests have in common */

/** Takes a REGISTER; up is consumed. */
void icscf_register(struct icscf *i, struct sip_server *up, const struct sip_msg *req);

/** Begins the work on a request, after the checks of a proxy. NULL: it has been answered. */
struct operation *icscf_operation_begin(struct icscf *i, struct sip_server *up);

/** Refuses it. op is gone afterwards. */
void icscf_operation_refuse(struct operation *op, unsigned status, enum reason why);

/** Notes a step in the journal. */
void icscf_note(const struct operation *op, enum journal_step step, unsigned status,
                struct span detail);

/** A copy of b's text that lives as long as the operation; *failed is set when memory is out or b
 * has overflowed. */
struct span icscf_kept_text(struct operation *op, const struct buf *b, bool *failed);

/** Keeps what the HSS demands of an S-CSCF beyond its answer's lifetime, whose arrays are in the
 * operation's arena; c may be NULL: nothing. */
void icscf_keep_capabilities(struct operation *op, const struct cx_server_capabilities *c);

/** Sends the request on to the S-CSCF of this name. */
void icscf_go_to(struct operation *op, struct span server);

/** The same, to one that is chosen by capabilities. */
void icscf_choose(struct operation *op);

/** The HSS has refused; so is the request. */
void icscf_hss_refused(struct operation *op, struct diameter_result result);

/** The HSS has not answered; ctx is the operation. */
void icscf_hss_silent(void *ctx, enum error why);

/* location.c */

/** Takes a request other than REGISTER for a home user; up is consumed. */
void icscf_locate(struct icscf *i, struct sip_server *up, const struct sip_msg *req);

/** Takes our own Route off, if it stands there. */
void icscf_edit_route(const struct operation *op, struct sip_edits *edits);

/* icscf.c */

/** Refuses a request: answers it, counts it, and logs why; a Warning tells it to the trusted side.
 * up is consumed. */
void icscf_refuse(struct icscf *i, struct sip_server *up, struct sip_refusal refusal);

/** Goes on with stopping when nothing is under way any more. */
void icscf_look_stopped(struct icscf *i);

#endif
