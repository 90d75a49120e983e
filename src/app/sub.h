/* What the subcommands of `muster sub` share. Private to sub*.c and cmd_sub.c. */
#ifndef MUSTER_APP_SUB_H
#define MUSTER_APP_SUB_H

#include "app/command.h"
#include "app/remote.h"

#include <jansson.h>

/** A text member of an object; empty if there is none. */
struct span sub_text(const json_t *object, const char *name);

/** Registration state of a public identity ("registered"). */
struct span sub_state(const json_t *impu);

/** Asks, and reads a JSON answer into *out (json_decref; NULL for an empty answer). A refusal is
 * printed. An exit code. */
MUST_CHECK int sub_call(const struct remote *r, const char *method, const char *path,
                        const json_t *body, json_t **out);

/** Fetches the subscription that `id` means: an IMPI or IMPU, the subscription's own name, or else
 * a short name (who.h) of one of its identities. Where a short name fits several subscriptions, or
 * nothing fits, that is said, and what may be meant. An exit code. */
MUST_CHECK int sub_fetch(const struct remote *r, const char *id, json_t **out);

/** The same for what is to be changed: a short name is not enough, but what it seems to mean is
 * said. An exit code. */
MUST_CHECK int sub_fetch_exactly(const struct remote *r, const char *id, json_t **out);

/** Is it an IMPI or IMPU in full? Else it is said that one is wanted. */
bool sub_is_whole(const struct command *self, const char *id, int *code);

/** Calls each for every subscription, page by page; with secrets if credentials are asked for:
 * "digest" (HA1s), "keys" (these and K, OPc), NULL (none). An exit code. */
MUST_CHECK int sub_each(const struct remote *r, const char *credentials,
                        void (*each)(void *ctx, json_t *subscription), void *ctx);

/** Takes away what GET shows and PUT and POST do not take: state, checks of keys. */
void sub_drop_shown(json_t *subscription);

/** Path of a subscription by its name, to be freed with free; NULL when memory is out. */
char *sub_path(struct span name);

/** Prints a value as JSON on standard output. */
void sub_print_json(const json_t *value);

/** muster sub show. */
int sub_show(const struct command *self, int argc, char **argv);

/** muster sub user-data. */
int sub_user_data(const struct command *self, int argc, char **argv);

/** muster sub set. */
int sub_set(const struct command *self, int argc, char **argv);

/** muster sub contacts. */
int sub_contacts(const struct command *self, int argc, char **argv);

/** muster sub reauthenticate. */
int sub_reauthenticate(const struct command *self, int argc, char **argv);
/** muster sub graph. */
int sub_graph(const struct command *self, int argc, char **argv);

/** muster sub log. */
int sub_log(const struct command *self, int argc, char **argv);

/** muster sub deregister. */
int sub_deregister(const struct command *self, int argc, char **argv);

/** muster sub import. */
int sub_import(const struct command *self, int argc, char **argv);

/** muster sub export. */
int sub_export(const struct command *self, int argc, char **argv);

#endif
