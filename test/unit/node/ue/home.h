/* A scripted home network for the tests of the terminal: one datagram endpoint that plays P-CSCF,
 * S-CSCF and HSS at once. It uses the SIP codec but not the stack, so that both ends of a test are
 * not the same code. */
#ifndef MUSTER_TEST_NODE_UE_HOME_H
#define MUSTER_TEST_NODE_UE_HOME_H

#include "codec/sip/build.h"
#include "crypto/digest.h"
#include "model/aka/nonce.h"
#include "model/aka/sqn.h"
#include "node/ue/ue.h"
#include "rt/sim.h"

#define HOME_DOMAIN "ims.mnc001.mcc001.3gppnetwork.org"
#define HOME_ROUTES "<sip:orig@scscf." HOME_DOMAIN ":6060;lr>"

enum home_act {
    HOME_NORMAL,     /* challenge, or check the response and grant */
    HOME_SILENT,     /* no answer */
    HOME_STATUS,     /* answer with .status and the header lines .lines */
    HOME_FORGED,     /* a challenge under another key */
    HOME_STALE,      /* a challenge with an SQN that was used */
    HOME_GRANT,      /* 200 at once */
    HOME_NO_BINDING, /* 200 without our contact */
    HOME_CHALLENGE,  /* a challenge, whatever came */
};

struct home_step {
    enum home_act act;
    unsigned status;
    const char *lines; /* whole header lines, each with CRLF */
};

/* What a REGISTER said. */
struct home_seen {
    uint64_t at_us;
    uint32_t cseq, expires;
    bool star, has_response, has_nonce, has_auts;
    char call_id[32];
};

/* A request that was answered: its repetition gets the same answer. */
struct home_answer {
    char branch[64];
    char text[1024];
    size_t n;
};

struct home {
    struct env *env;
    struct dgram *dgram;
    struct milenage milenage;
    struct digest digest;
    struct aka_key key;
    uint64_t seq;           /* last SEQ given out */
    uint32_t granted_s;     /* the most that is granted */
    const char *qop;        /* of challenges; NULL: none */
    struct aka_vector last; /* the outstanding challenge */
    bool outstanding;
    char nonce[64];
    struct home_step script[16]; /* one step a request, then HOME_NORMAL */
    size_t n_script, at;
    struct home_seen seen[64];
    size_t n_seen;
    size_t granted, deregistered, refused, resynchronised;
    struct home_answer answers[16];
    size_t n_answers;
    char text[4096]; /* the last request */
    /* subscriptions to the registration state */
    unsigned subscribe_status;             /* of the next answers; 0: 200 */
    const char *subscribe_lines;           /* more lines of them */
    size_t n_subscribed;                   /* SUBSCRIBEs seen */
    char watch_call_id[64], watch_tag[64]; /* of the last one */
    struct addr terminal;
    unsigned notify_cseq, notify_status; /* of the last NOTIFY; status 0: no answer yet */
    unsigned notify_branch;
};

/** Opens it at an address of the simulation. */
void home_open(struct home *h, struct env *env, struct addr at, const struct aka_key *key);

/** Closes it. */
void home_close(struct home *h);

/** Sends a NOTIFY of the last subscription: the value of Subscription-State, and a body. */
void home_notify(struct home *h, const char *state, const char *body);

/** Adds a step to the script. */
void home_next(struct home *h, enum home_act act, unsigned status, const char *lines);

#endif
