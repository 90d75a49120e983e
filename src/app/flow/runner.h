/* What the files of the runner share. */
#ifndef MUSTER_APP_FLOW_RUNNER_H
#define MUSTER_APP_FLOW_RUNNER_H

#include "app/card.h"
#include "app/flow/match.h"
#include "app/flow/run.h"
#include "app/flow/wire.h"
#include "app/network.h"
#include "node/ue/ue.h"

struct loop;

enum {
    ACTORS_MAX = 32,
    CARDS_MAX = 64,
    SERVERS_MAX = 4,
    SERVER_SUBSCRIPTIONS_MAX = 8, /* of one of them */
    WAIT_READY_US = 10 * 1000 * 1000,
    SETTLE_SIMULATED_US = 60 * 1000, /* after an action: what is still under way arrives */
    SETTLE_SOCKETS_US = 25 * 1000,
    ACTION_SIMULATED_US = 300 * 1000 * 1000, /* longer than timer F of a terminal */
    ACTION_SOCKETS_US = 8 * 1000 * 1000,
    EXPECT_US = 2 * 1000 * 1000,
};

/* A terminal. */
struct actor {
    struct runner *runner;
    const struct flow_terminal *terminal; /* NULL: one that the network brings */
    struct span name;
    char label[64]; /* "ue:alice" */
    struct card *card;
    struct addr pcscf;
    struct env *env;
    struct wire *wire;
    struct ue_pool *pool;
    struct ue *ue;
    struct ue_isim other; /* with the identities of "register impu X" */
    bool wrong_key;       /* `other` has a key or a password that is not the card's */
    struct span other_impu;
    struct ue_config config;
    bool busy;   /* an action is under way */
    bool failed; /* the last procedure failed */
    struct ue_failure why;
};

struct server; /* servers.c */

struct runner {
    const struct flow *flow;
    enum flow_mode mode;
    struct chunk_pool chunks;
    struct arena arena;
    struct loop *loop;
    struct sim *sim;
    struct config config;
    bool has_config;
    struct network *network;
    struct trace *trace;
    struct journal *journal; /* the nodes' steps, for "expect NODE refused REASON" */
    struct ladder *ladder;
    bool ladder_failed;
    struct flow_vars vars;
    struct flow_match match;
    bool comparing;    /* the step under way has lines */
    size_t step_first; /* its first message in the ladder */
    struct card cards[CARDS_MAX];
    size_t n_cards;
    struct actor actors[ACTORS_MAX];
    size_t n_actors;
    struct server *servers[SERVERS_MAX];
    size_t n_servers;
    struct asker *askers; /* ask.c */
    bool web_done;        /* an answer of the provisioning interface came */
    unsigned web_status;
    struct span web_body;
    struct buf text; /* of the report */
    char text_bytes[32 * 1024];
    char address[32]; /* of the network: "127.64.0.1" */
};

/* setup.c */

/** Brings the network up with its subscribers. After an error *message says why. */
MUST_CHECK enum error runner_begin(struct runner *r, char **message);

/** Takes everything down. */
void runner_end(struct runner *r);

/** An identity as flows write it: without "@" or "tel:" it is at the home domain. In the arena. */
struct span runner_identity(struct runner *r, struct span written);

/** cards.c: adds the subscribers of the network to its HSS, and keeps their cards. */
MUST_CHECK enum error runner_load_cards(struct runner *r, char **message);

/** Keeps the cards of what a flow has provisioned itself: a subscription or a SIM with its key.
 * False after a complaint. */
bool runner_add_cards(struct runner *r, const struct flow_step *step, struct span body);

/** Sends a provisioning request and waits for the answer: web_status, web_body. False: none came.
 */
bool runner_provision(struct runner *r, struct span method, struct span path, struct span body);

/* run.c */

/** Time of loop or simulation. */
uint64_t runner_now_us(const struct runner *r);

/** Lets things happen until done(ctx), or for so long. Says what done says. done NULL: just time.
 */
bool runner_drive(struct runner *r, bool (*done)(void *ctx), void *ctx, uint64_t limit_us);

/** Adds a line about a step to the report. */
void runner_complain(struct runner *r, unsigned line, const char *format, ...) PRINTF_LIKE(3, 4);

/* actors.c */

/** The terminal of this name, made at its first use; NULL after a complaint. */
struct actor *runner_actor(struct runner *r, const struct flow_step *step);

/** Performs register, deregister, vanishes. False after a complaint. */
bool actor_act(struct actor *a, const struct flow_step *step);

/** Is its action over? (a done function) */
bool actor_is_done(void *actor);

/** Drops all terminals. */
void actors_end(struct runner *r);

/* servers.c */

/** Has an application server subscribe; it is made at its first use. False after a complaint. */
bool runner_subscribe(struct runner *r, const struct flow_step *step);

/** Drops all application servers. */
void servers_end(struct runner *r);

/* expect.c */

/** Checks an expectation, waiting a little for it to come true. False after a complaint. */
bool runner_expect(struct runner *r, const struct flow_step *step);

/* ask.c */

/** Asks the HSS something as a Diameter peer of its own, which stays connected. False after a
 * complaint. */
bool runner_ask(struct runner *r, const struct flow_step *step);

/** Says what such a peer answers from now on. False after a complaint. */
bool runner_answer(struct runner *r, const struct flow_step *step);

/** Such a peer is gone without a word. False after a complaint. */
bool runner_leave(struct runner *r, const struct flow_step *step);

/** Drops all such peers. */
void askers_end(struct runner *r);

#endif
