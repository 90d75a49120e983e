/* Whom a SIP stack lets in when more comes than its node can serve: a rule without I/O.
 *
 * What is measured is how long datagrams had waited in the socket before they were read (rt's
 * dgram_waited_us). Peaks mean nothing; a queue that does not empty does (as in CoDel, RFC 8289):
 * if the shortest wait of an interval is above the target, the node is overloaded. From then on,
 * until nothing has had to be shed for a while, each new request is judged by its own wait: above
 * the target, what begins something is shed. To shed costs a tenth of what it costs to serve, so
 * the queue becomes shorter at once, and stands about the target: long enough that the node is
 * never idle, short enough that nobody gives up.
 *
 * Classes: initial requests are shed first. Others are let in after longer waits, the longer the
 * more they matter; as initial requests keep the queue at the target, they hardly ever are shed.
 * When even refusing takes longer than there is time (a flood at ten times the rate), so that the
 * queue stands beyond that, requests that have waited half as long again are dropped without an
 * answer (RFC 3261 21.5.4), initial ones before they are read: the queue stays short for others. */
#ifndef MUSTER_STACK_SIP_ADMISSION_H
#define MUSTER_STACK_SIP_ADMISSION_H

#include "codec/sip/sip.h"

/** From the one that is shed first to the one that is shed last. */
enum sip_class {
    SIP_CLASS_INITIAL,   /* begins something: a REGISTER without a nonce, of nobody known */
    SIP_CLASS_CONTINUES, /* finishes what has begun: the answer to a challenge; or begins something
                          * for who is known: a re-registration */
    SIP_CLASS_KNOWN,     /* both, or within a dialog */
    SIP_CLASS_EMERGENCY, /* RFC 5031, TS 24.229 5.1.6 (;sos), RFC 4412 esnet, Priority: emergency */
    SIP_CLASSES
};

/** What becomes of a request. */
enum sip_fate {
    SIP_FATE_TAKE,
    SIP_FATE_REFUSE, /* 503 */
    SIP_FATE_DROP    /* no answer */
};

struct sip_admission_policy {
    uint64_t target_us;                /* shortest wait that is overload; 0: all are let in */
    uint32_t retry_min_s, retry_max_s; /* bounds of Retry-After; 0: 5 and 15 */
};

/** Zeroed, with a policy, it lets everybody in. */
struct sip_admission {
    struct sip_admission_policy policy;
    bool limiting, flooded;
    uint64_t target_us;               /* the policy's, longer on slow machines */
    uint64_t waited_us, waited_at_us; /* of the last datagram, and when it was read */
    uint64_t interval_us;             /* when the present interval began; 0: none yet */
    uint64_t shortest_us;             /* wait in it */
    uint32_t turns;                   /* of the loop, in it */
    uint32_t shed, dropped;           /* in it; all, and those without an answer */
    enum sip_class lowest;            /* of those */
    uint32_t quiet;                   /* intervals in which nothing had to be shed */
};

/** A datagram was read that had waited so long. */
void sip_admission_waited(struct sip_admission *a, uint64_t now_us, uint64_t waited_us);

/** Does it matter now of what class a request is? If not, any will do for sip_admission_take. */
bool sip_admission_asks(const struct sip_admission *a, uint64_t now_us);

/** May a request of this class in? */
enum sip_fate sip_admission_decide(const struct sip_admission *a, uint64_t now_us,
                                   enum sip_class class);

/** The same, and counts what is not let in: overload goes on. */
enum sip_fate sip_admission_take(struct sip_admission *a, uint64_t now_us, enum sip_class class);

/** Is a datagram, at a glance, a REGISTER of SIP_CLASS_INITIAL? False when in doubt: then it has to
 * be read. */
bool sip_looks_initial(struct span bytes);

/** What a request says about its class. A node may know better of SIP_CLASS_INITIAL and
 * SIP_CLASS_CONTINUES, which anybody can claim. */
enum sip_class sip_class_of(const struct sip_msg *req);

/** Seconds for Retry-After, evenly spread over the bounds by lot, which is the same for a request
 * that is repeated. */
uint32_t sip_retry_after(const struct sip_admission_policy *policy, uint64_t lot);

#endif
