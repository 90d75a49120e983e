/* Subscribers and their cards. */
#include "app/flow/runner.h"

enum error runner_load_cards(struct runner *r, char **message) {
    (void)r;
    (void)message;
    return OK;
}
