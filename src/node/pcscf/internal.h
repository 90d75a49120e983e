/* What the files of this folder share. */
#ifndef MUSTER_NODE_PCSCF_INTERNAL_H
#define MUSTER_NODE_PCSCF_INTERNAL_H

#include "base/htab.h"
#include "codec/reginfo/reginfo.h"
#include "codec/sip/headers.h"
#include "model/registration/departures.h"
#include "model/registration/guesses.h"
#include "node/pcscf/pcscf.h"
#include "obs/journal.h"
#include "stack/sip/dialog.h"
#include "stack/sip/proxy.h"
#include "stack/sip/refuse.h"

enum { PCSCF_ROUTES_MAX = 8, PCSCF_ASSOCIATED_MAX = 64, PCSCF_IDENTITY_MAX = 512 };

/* Where packets of terminals come from: one terminal, or many behind one address. */
struct terminal {
    struct htab_node node;
    struct list registrations;
    struct addr addr;
};

/* A registration: what stands from the 200 until its expiry. One block: the strings stand behind
 * it. */
struct registration {
    struct htab_node by_token, by_binding, by_pair;
    struct list of_terminal;
    struct list of_subscription;
    struct timer expiry;
    struct pcscf *pcscf;
    struct list relayed;               /* subscriptions of its terminal */
    struct subscription *subscription; /* to the state of its set; NULL: none */
    uint64_t since_us;                 /* of its last 200 */
    uint64_t call_id;                  /* hash, of the REGISTER that it was for */
    uint32_t cseq;                     /* of that */
    uint64_t token;                    /* the user part of our Path: finds the terminal again */
    struct terminal *terminal;
    struct span impu; /* canonical form of the To URI */
    struct span impi, contact;
    struct span *service_route; /* behind the structure, n_service_route and then n_associated */
    struct span *associated;
    uint16_t n_service_route, n_associated;
};

/* A terminal's own subscription, which passes through here. It outlives the registration, so that
 * the terminal hears of its end. */
struct relayed {
    struct htab_node node;       /* by token */
    struct list of_registration; /* oldest first; in none when that has ended */
    struct pcscf *pcscf;
    struct timer end;
    uint64_t token;           /* the user part of our Record-Route */
    struct sip_hop terminal;  /* where its requests come from */
    struct sip_dialog dialog; /* towards the home network */
    struct span asserted;     /* value of P-Asserted-Identity; behind the structure */
    char asserted_text[];
};

/* CK and IK of a challenge that waits for its answer (TS 24.229 5.2.2.1). */
struct challenge {
    struct htab_node node; /* by binding */
    struct list age;       /* oldest first */
    struct timer timeout;
    struct pcscf *pcscf;
    uint8_t ck[16], ik[16];
};

enum subscription_state {
    SUBSCRIPTION_ASKS, /* the first SUBSCRIBE is to be sent, or has no answer yet */
    SUBSCRIPTION_STANDS,
    SUBSCRIPTION_LEAVES /* nothing of it is registered here any more; a last NOTIFY may come */
};

/* Our subscription to the registration state of a set, for one private identity: 5.2.3. One block:
 * the identities stand behind it. */
struct subscription {
    struct htab_node by_call_id, by_user; /* by_user: not while it leaves */
    struct list registrations;            /* those that it serves */
    struct pcscf *pcscf;
    struct post begin;
    struct timer timer;          /* refresh, or the end of its leaving */
    struct resolver_query query; /* of a SUBSCRIBE */
    struct sip_client *asking;   /* a SUBSCRIBE under way, or NULL */
    struct sip_hop to;           /* where that goes */
    struct sip_dialog dialog;
    enum subscription_state state;
    uint32_t expires_s; /* asked for */
    uint32_t cseq, their_cseq;
    uint32_t version; /* of the last document */
    bool has_version;
    char call_id[16], tag[16];
    struct span impu, impi; /* the default public identity, as a URI, and the private one */
};

struct pcscf {
    struct env *env;
    struct pcscf_config config;
    struct sip_stack *stack;
    struct resolver *resolver;
    struct htab by_token, by_binding; /* of registrations */
    struct htab by_pair;              /* registrations, by public and private identity */
    struct htab terminals;
    struct htab subscriptions;    /* by Call-ID */
    struct htab subscribed;       /* those that do not leave, by user */
    struct htab relayed;          /* terminals' own subscriptions, by token */
    struct departures departures; /* registrations that have ended, by Call-ID */
    struct htab challenges;
    struct list challenge_age;
    struct guess_policy guess_policy;
    struct htab guesses; /* guesses.c */
    struct list guess_age;
    struct list registering; /* REGISTERs under way */
    struct timer stop_timer; /* the requests under way have until then */
    void (*stop_done)(void *ctx);
    void *stop_ctx;
    bool stopping;
    uint16_t port;
    char sent_by[300];
    char icid_prefix[24]; /* fresh for each life of the node */
    uint64_t icid_count;
    struct pcscf_counters counters;
};

/* What a registration is known by: public identity and contact. */
struct binding_key {
    struct span impu, contact;
    uint64_t hash;
};

/* register.c */

/** Takes a REGISTER of a terminal; up is consumed. */
void pcscf_register(struct pcscf *p, struct sip_server *up, const struct sip_msg *req);

/** Is what a domain resolves to the door of a home network, not ourselves or a node behind our own
 * I-CSCF? */
bool pcscf_is_home_network(const struct pcscf *p, const struct resolver_answer *answer);

/** Refuses a request: answers it, counts it, and logs why. up is consumed. */
void pcscf_refuse(struct pcscf *p, struct sip_server *up, unsigned status, enum reason why);

/** Says whether everything that was under way has ended, and tells who waits for it. */
void pcscf_look_stopped(struct pcscf *p);

/* edits.c: what a REGISTER and its answers look like on the other side */

struct register_values { /* text that edits point to */
    char path[400], visited[300], charging[400], authorization[2048], require[512],
        proxy_require[512], access[1024];
    char authenticate[4][1024];
};

/** The changes of a REGISTER, which came from `source`, on its way to the home network.
 * ERR_MALFORMED: a header that had to be read cannot be, *why says which; ERR_TOO_BIG: a value
 * outgrew its place. Returns the number of header lines taken away for distrust in *stripped. */
MUST_CHECK enum error pcscf_edit_register(struct pcscf *p, const struct sip_msg *req,
                                          const struct sip_hop *source, uint64_t token,
                                          struct register_values *values, struct sip_edits *edits,
                                          unsigned *stripped, enum reason *why);

struct challenge_keys {
    bool found;
    uint8_t ck[16], ik[16];
};

/** The changes of an answer on its way to the terminal: CK and IK go (into *keys), and charging
 * data. ERR_MALFORMED: a challenge that cannot be read. */
MUST_CHECK enum error pcscf_edit_answer(const struct sip_msg *answer,
                                        struct register_values *values, struct sip_edits *edits,
                                        struct challenge_keys *keys);

struct terminal_request {         /* that is no REGISTER */
    const struct sip_hop *source; /* where it came from */
    uint64_t token;               /* finds the terminal again */
    struct span asserted;         /* value of P-Asserted-Identity; empty: none */
    struct span route;            /* value of Route; empty: none */
};

/** The changes of another request of a terminal that makes a dialog or refreshes its target
 * (5.2.6.3.3, 5.2.6.3.5). Errors as of pcscf_edit_register. */
MUST_CHECK enum error pcscf_edit_request(struct pcscf *p, const struct sip_msg *req,
                                         const struct terminal_request *from,
                                         struct register_values *values, struct sip_edits *edits,
                                         unsigned *stripped);

/** What a request or an answer of the home network loses on its way to a terminal (5.2.6.4). */
void pcscf_edit_to_terminal(const struct sip_msg *msg, struct sip_edits *edits);

/** What an answer of a terminal must not say. Returns the number of lines. */
unsigned pcscf_edit_from_terminal(const struct sip_msg *answer, struct sip_edits *edits);

/* guesses.c */

/** Does an Authorization try a password? */
bool pcscf_is_guess(const struct sip_auth *auth);

/** May this source try a password for a private identity (as it stands in the header)? Else *wait_s
 * is how long not. */
bool pcscf_guess_allowed(struct pcscf *p, const struct addr *source, struct span impi,
                         uint32_t *wait_s);

/** Learns what became of such a try: answer is final. */
void pcscf_guess_answered(struct pcscf *p, const struct addr *source, struct span impi,
                          const struct sip_msg *answer);

/** Forgets all. */
void pcscf_forget_guesses(struct pcscf *p);

/** Writes P-Charging-Vector's value, with a new ICID. */
void pcscf_put_charging_vector(struct pcscf *p, struct buf *b);

/* subscriptions.c: reg-event */

/** After a 200: a registration that no subscription serves gets one. */
void pcscf_subscribe(struct pcscf *p, struct registration *r);

/** Lets a registration go on with the subscription of another one, which it replaces. */
void pcscf_inherit_subscription(struct registration *r, struct registration *from);

/** A registration ends: its subscription does without it. */
void pcscf_leave_subscription(struct registration *r);

/** The subscription that a NOTIFY belongs to, or NULL. */
struct subscription *pcscf_subscription_of(const struct pcscf *p, const struct sip_msg *notify);

/** Asks for all there is: a document was missed. */
void pcscf_refresh_subscription(struct subscription *s);

/** The home network has ended it. again: it begins anew if there is anything to serve. */
void pcscf_end_subscription(struct subscription *s, bool again);

/** Forgets all. */
void pcscf_forget_subscriptions(struct pcscf *p);

/* relay.c: terminals' own subscriptions to registration state */

/** Takes a SUBSCRIBE of a terminal; up is consumed. */
void pcscf_relay_subscribe(struct pcscf *p, struct sip_server *up, const struct sip_msg *req);

/** Takes a request of the home network whose first Route has a token of ours, if the token belongs
 * to a terminal's subscription; up is consumed then. False: it does not. */
bool pcscf_relay_notify(struct pcscf *p, struct sip_server *up, const struct sip_msg *req,
                        struct span user);

/** Lets a registration go on with another one's relayed subscriptions, which it replaces. */
void pcscf_inherit_relayed(struct registration *r, struct registration *from);

/** A registration ends: its relayed subscriptions wait for their last NOTIFY. */
void pcscf_leave_relayed(struct registration *r);

/** Forgets all. */
void pcscf_forget_relayed(struct pcscf *p);

/* notify.c */

/** Takes a NOTIFY; up is consumed. */
void pcscf_notify(struct pcscf *p, struct sip_server *up, const struct sip_msg *req);

/* registrations.c */

/** Is a registration the work of a later REGISTER than the one with this Call-ID and CSeq? */
bool pcscf_is_later(const struct registration *r, struct span call_id, uint32_t cseq);

/** The key of a binding; impu and contact are kept as given. */
struct binding_key pcscf_key(struct span impu, struct span contact);

/** A registration by its key, or NULL. */
struct registration *pcscf_find(struct pcscf *p, const struct binding_key *key);

/** Does a registration of this terminal's address stand? */
bool pcscf_knows_terminal(struct pcscf *p, const struct addr *terminal);

/** The registration that a request belongs to which came from a terminal: of this identity
 * (canonical) and contact; else of this contact; else the terminal's first. NULL: it has none. */
struct registration *pcscf_registration_at(struct pcscf *p, const struct addr *terminal,
                                           struct span impu, struct span contact);

/** Reads a token of ours: the user part of Path or Record-Route. */
MUST_CHECK bool pcscf_read_token(struct span user, uint64_t *token);

/** A registration by the user part of our Path, or NULL. */
struct registration *pcscf_find_token(struct pcscf *p, struct span user);

struct registration_news { /* what a 200 says of a registration */
    const struct binding_key *key;
    struct span impi;
    uint64_t token;
    struct addr terminal;
    uint32_t expires_s;
    const struct sip_msg *answer; /* Service-Route and P-Associated-URI */
};

/** Stores a registration, in place of what stood under its key. ERR_NO_MEMORY, ERR_BUSY
 * (registrations_max). */
MUST_CHECK enum error pcscf_store(struct pcscf *p, const struct registration_news *news);

/** Puts other values of P-Associated-URI into a registration, which moves. ERR_NO_MEMORY leaves it
 * as it is. */
MUST_CHECK enum error pcscf_reassociate(struct pcscf *p, struct registration *r,
                                        const struct span *associated, uint16_t n);

/** Ends a registration. */
void pcscf_drop(struct pcscf *p, struct registration *r);

/** Ends the registrations of a pair of identities whose contacts a 200 of the home network does not
 * list any more: it has all that are bound, and a terminal that has moved leaves its old contact
 * behind. Returns their number. */
size_t pcscf_drop_replaced(struct pcscf *p, struct span impu, struct span impi,
                           const struct sip_msg *answer);

/** Ends all registrations of an identity that come from one terminal (Contact: *). Returns their
 * number. */
size_t pcscf_drop_all_of(struct pcscf *p, struct span impu, const struct addr *terminal);

/** Keeps the keys of a challenge, in place of older ones of the same binding. */
void pcscf_keep_keys(struct pcscf *p, uint64_t binding, const struct challenge_keys *keys);

/** Forgets the keys of a binding's challenge, if there are any. */
void pcscf_forget_keys(struct pcscf *p, uint64_t binding);

/** Forgets everything. */
void pcscf_forget_all(struct pcscf *p);

#endif
