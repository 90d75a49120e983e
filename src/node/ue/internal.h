/* What the files of this folder share. */
#ifndef MUSTER_NODE_UE_INTERNAL_H
#define MUSTER_NODE_UE_INTERNAL_H

#include "base/htab.h"
#include "codec/reginfo/reginfo.h"
#include "crypto/akav2.h"
#include "node/ue/ue.h"
#include "stack/sip/dialog.h"
#include "stack/sip/keep_alive.h"

struct ue_pool {
    struct env *env;
    struct ue_pool_config config;
    struct ue_handler handler;
    void *ctx;
    struct sip_stack *stack;
    struct milenage milenage;
    struct digest digest;
    struct list ues;
    struct htab subscriptions; /* struct ue_subscription by Call-ID */
    size_t n_registered;
    struct sip_keep_alive flow; /* to the P-CSCF, while somebody is registered and it asks for it */
    struct ue_counters counters;
    const struct ue_failure *leaving; /* during `deregistered`; NULL: the network confirmed it */
};

/* Text that the network gave and that is kept; grows, and is used again. */
struct ue_text {
    char *p;
    uint16_t n, cap;
};

struct ue_slice {
    uint16_t at, n;
};

/* What the Authorization header of the next REGISTER says (TS 24.229 5.1.1.2.2, 5.1.1.5). */
enum ue_auth {
    UE_AUTH_EMPTY,    /* no challenge yet: empty nonce and response */
    UE_AUTH_RESPONSE, /* response to the last challenge */
    UE_AUTH_AUTS,     /* its SQN was out of range: auts, and a response with an empty password */
    UE_AUTH_REFUSAL,  /* its MAC was wrong: neither */
};

enum ue_subscription_state {
    UE_SUBSCRIPTION_ASKS, /* the first SUBSCRIBE has no answer yet */
    UE_SUBSCRIPTION_STANDS,
    UE_SUBSCRIPTION_WAITS, /* to begin anew */
    UE_SUBSCRIPTION_LEAVES /* the registration has ended; a last NOTIFY may come */
};

/* A subscription to the registration state (5.1.1.3). One block: the identity stands behind it. */
struct ue_subscription {
    struct htab_node node; /* by Call-ID */
    struct ue *ue;
    struct timer timer;        /* refresh, next try, or the end of its leaving */
    struct sip_client *asking; /* a SUBSCRIBE under way, or NULL */
    struct sip_dialog dialog;
    uint8_t state; /* enum ue_subscription_state */
    bool has_version;
    uint32_t version; /* of the last document */
    uint32_t cseq, their_cseq;
    uint32_t ask_s; /* expiry to ask for; grows with 423 */
    char call_id[16], tag[16];
    struct span impu; /* that it is for */
};

/* What a NOTIFY says of our contact. */
struct ue_news {
    bool any;
    bool active; /* else terminated */
    enum reginfo_event event;
    uint32_t seconds; /* shortened to; of probation */
};

struct ue {
    struct list in_pool;
    struct ue_pool *pool;
    void *user;
    struct ue_config config;
    struct span contact; /* behind the structure */
    struct timer timer;  /* refresh, expiry or retry, as the state says */
    struct sip_client *client;
    uint8_t state;            /* enum ue_state */
    uint8_t auth;             /* enum ue_auth */
    uint8_t scope;            /* enum ue_scope, of the de-registration under way or wished for */
    uint8_t rounds;           /* 401s and 423s of this procedure */
    uint8_t bad_challenges;   /* in a row */
    uint8_t bad_reason;       /* enum ue_reason of the last of them */
    uint8_t failures;         /* procedures in a row, for the back-off */
    bool wants_out, wants_in; /* said while something else is under way */
    bool unsent;              /* the request could not be built; the timer says so */
    bool refreshed;
    bool registered; /* the network has said so, and the time is not over */
    uint32_t cseq;
    uint32_t granted_cseq; /* of the REGISTER that the last 200 was for */
    uint64_t granted_at_us;
    struct ue_news early; /* of a NOTIFY that came before the 200 of the REGISTER it tells of */
    struct ue_subscription *subscription; /* NULL: none */
    uint32_t ask_s;                       /* expiry to ask for; grows with 423 */
    uint32_t granted_s;                   /* of the last 200 */
    unsigned pcscf;                       /* the one in use */
    char call_id[16], tag[16], cnonce[16];
    struct ue_text challenge; /* realm, nonce, opaque of the last challenge */
    struct ue_slice realm, nonce, opaque;
    struct ue_text grant; /* Service-Route and P-Associated-URI of the last 200 */
    struct ue_slice service_route, associated;
    struct digest_hex response;
    enum digest_qop qop;
    uint8_t algorithm; /* enum auth_algorithm, of the last challenge */
    bool answered;     /* this procedure has answered a challenge with the password */
    uint32_t nc;       /* times that the nonce has been used */
    uint8_t auts[AKA_AUTS_SIZE];
    uint8_t ck[16], ik[16];
};

/* ue.c */

/** Empties a text. */
void ue_text_clear(struct ue_text *t);

/** Room for n more bytes; false when memory is out or the text would outgrow 65,535 bytes. */
MUST_CHECK bool ue_text_reserve(struct ue_text *t, size_t n);

/** Appends a value; false as above. */
MUST_CHECK bool ue_text_add(struct ue_text *t, struct span value, struct ue_slice *out);

/** What stands at a place. */
struct span ue_text_at(const struct ue_text *t, struct ue_slice slice);

/* registration.c */

/** The timer of a ue. */
void ue_timer_fired(struct timer *t);

/** Notes whether the network has the ue. */
void ue_set_registered(struct ue *ue, bool registered);

/** The flow to the P-CSCF is gone: those who are registered by it register anew. */
void ue_flow_failed(struct sip_keep_alive *flow, enum error why);

/** The network has told what a NOTIFY says of our contact. The ue may be gone afterwards. */
void ue_told(struct ue *ue, const struct ue_news *news);

/* subscription.c */

/** After a 200: begins a subscription to the registration state, if there is none and the ue's
 * configuration wants one. */
void ue_subscribe(struct ue *ue);

/** Asks for all there is: a document was missed. */
void ue_refresh_subscription(struct ue_subscription *s);

/** The registration has ended: the subscription waits for its last NOTIFY. */
void ue_leave_subscription(struct ue *ue);

/** The network has ended the subscription: begins anew after so long (0: at once). again false: not
 * by itself. */
void ue_end_subscription(struct ue_subscription *s, bool again, uint32_t wait_s);

/** Forgets it silently. */
void ue_forget_subscription(struct ue *ue);

/* notify.c */

/** Takes a NOTIFY; tx is consumed. */
void ue_notify(struct ue_pool *pool, struct sip_server *tx, const struct sip_msg *req);

/* request.c */

/** Writes the value of Route that leads to the P-CSCF. */
void ue_put_pcscf(const struct ue *ue, struct buf *b, const struct addr *pcscf);

/** Where the ue's requests go. */
struct sip_hop ue_hop(const struct ue *ue);

/** Sends a REGISTER as the state and ue->auth say. If that is impossible, ue->unsent is set and the
 * timer started. */
void ue_send_register(struct ue *ue);

extern const struct sip_client_handler ue_client_handler; /* registration.c */

/* answer.c */

/** What a 200 says of our contact; keeps Service-Route and P-Associated-URI. ERR_NOT_FOUND: our
 * contact is not there, or for no time; ERR_MALFORMED; ERR_NO_MEMORY. */
MUST_CHECK enum error ue_read_grant(struct ue *ue, const struct sip_msg *answer,
                                    uint32_t *expires_s);

/** Puts other values of P-Associated-URI in place of those of the last 200; they may view those.
 * ERR_NO_MEMORY leaves them as they are. */
MUST_CHECK enum error ue_reassociate(struct ue *ue, const struct span *values, size_t n);

enum ue_challenge {
    UE_CHALLENGE_GOOD,       /* answer it */
    UE_CHALLENGE_FORGED,     /* the MAC is wrong */
    UE_CHALLENGE_SQN,        /* the SQN is out of range: resynchronise */
    UE_CHALLENGE_PASSWORD,   /* the password was wrong */
    UE_CHALLENGE_UNREADABLE, /* none that could be answered */
    UE_CHALLENGE_INTERNAL,   /* out of memory, or OpenSSL failed */
};

/** Checks the challenge of a 401 and prepares the Authorization of the next REGISTER (TS 24.229
 * 5.1.1.5.1, TS 33.203 6.1). */
enum ue_challenge ue_take_challenge(struct ue *ue, const struct sip_msg *answer);

/** A further request in the protection space of a password's nonce (RFC 7616 3.6): prepares the
 * Authorization with the next count. Nothing if there is no such nonce. */
void ue_answer_again(struct ue *ue);

/** Reads Authentication-Info of a 200 (RFC 7616 3.5): the next nonce is kept. False: rspauth is
 * wrong, somebody else than the home network has answered. */
MUST_CHECK bool ue_check_info(struct ue *ue, const struct sip_msg *answer);

enum { UE_NC_SIZE = 8 };

/** The count of the last response, in digits. */
void ue_put_nc(const struct ue *ue, char out[UE_NC_SIZE]);

#endif
