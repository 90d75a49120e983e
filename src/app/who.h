/* Who is meant: short names, the same for all commands.
 *
 * A name is an identity as it stands, its user part, or a beginning of that up to a dot: "alice"
 * means sip:alice@home as well as alice.smith@home and sip:alice.mobile@home. */
#ifndef MUSTER_APP_WHO_H
#define MUSTER_APP_WHO_H

#include "base/span.h"

/** How well a name fits an identity; the more the better. */
enum who_fit { WHO_NOT, WHO_BEGINNING, WHO_USER_PART, WHO_WHOLE };

/** How a name fits an IMPI or IMPU. Case does not matter. */
enum who_fit who_fits(struct span name, struct span identity);

/** "alice" of "sip:alice@home" and of "alice@home", "+44..." of "tel:+44...". */
struct span who_user_part(struct span identity);

enum { WHO_GUESS_MAX = 128 };

/** What a name that fits nobody was probably meant to be. Zeroed but for wanted. */
struct who_guess {
    const char *wanted;
    char alike[WHO_GUESS_MAX];  /* at most two letters away; empty: none */
    char longer[WHO_GUESS_MAX]; /* begins with it; empty: none */
};

/** Looks at one more identity, or name of a subscription. */
void who_guess_add(struct who_guess *guess, struct span identity);

/** The best guess, or NULL. It lives as long as guess. */
const char *who_guess_best(const struct who_guess *guess);

#endif
