/* An operator in a simulation: changes subscribers and service profiles by the HSS's web interface
 * while terminals register and nodes crash. He keeps asking until the HSS confirms, as whoever
 * provisions does, and knows at any moment what he wanted last. So in the end what everybody
 * believes can be compared with it.
 *
 * Subscriptions have one terminal or two; two share a subscription, with a set each or with one set
 * for both. Beside the identities of the terminals' cards up to three more come and go. */
#ifndef MUSTER_APP_SIMULATION_WRITES_H
#define MUSTER_APP_SIMULATION_WRITES_H

#include "app/network.h"
#include "app/simulation_watch.h"

struct writes;

struct writes_config {
    struct sim *sim;
    struct network *network; /* NULL until writes_use_network */
    struct watch *watch;
    uint32_t per_minute; /* changes in a minute of virtual time; 0: none, and all live alone */
};

/** Makes the operator and what he wants at first. ERR_NO_MEMORY. */
MUST_CHECK enum error writes_new(const struct writes_config *config, struct writes **out);

/** Frees him. NULL is allowed. */
void writes_free(struct writes *w);

/** All subscriptions and profiles as one document for `POST /subscriptions`; freed by the caller
 * with free. NULL when memory is out. */
char *writes_first_document(const struct writes *w, size_t *n);

/** From now on he changes things. */
void writes_begin(struct writes *w);

/** No new changes; what the HSS has not confirmed is still asked for. */
void writes_end(struct writes *w);

/** Changes that the HSS has confirmed. */
uint64_t writes_confirmed(const struct writes *w);

/** Does he wait for an answer? */
bool writes_are_open(const struct writes *w);

/** Is the nth subject wanted, so that it has to be registered in the end? */
bool writes_want(const struct writes *w, size_t subject);

/** May its registration have ended by a change, though it was acknowledged? The HSS has not
 * confirmed the change yet; or it took charging functions away, which ends it when the S-CSCF is
 * reached. */
bool writes_may_end(const struct writes *w, size_t subject);

/** Was it ever unwanted? Its terminal may have been refused by right, and has to be started again.
 */
bool writes_disturbed(const struct writes *w, size_t subject);

/** Was its subscription ever changed? */
bool writes_changed(const struct writes *w, size_t subject);

/** What is wanted of the implicit registration set of a subject. */
struct writes_set {
    struct {
        char text[64];
        bool barred;
    } ids[8]; /* the default identity first */
    size_t n;
    char charging[64]; /* part of its charging functions' names; empty: those of the HSS */
    uint64_t content;  /* as watch_content has it */
    uint64_t stored;   /* the same with names of profiles instead of servers */
};

/** Fills it for a subject that is wanted. */
void writes_set_of(const struct writes *w, size_t subject, struct writes_set *out);

#endif
