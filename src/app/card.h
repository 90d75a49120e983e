/* A card: what a terminal of a subscriber holds, taken from a file of subscribers. */
#ifndef MUSTER_APP_CARD_H
#define MUSTER_APP_CARD_H

#include "app/config.h"
#include "app/who.h"
#include "node/ue/ue.h"

#include <jansson.h>

enum { CARD_IMPUS_MAX = 32 };

struct card {
    struct ue_isim
        isim; /* its spans point to the members below; sequence numbers as of a new card */
    struct span impus[CARD_IMPUS_MAX];
    char *text;     /* owned: the identities */
    char *other;    /* owned: one that was set */
    char *password; /* owned, cleared: for SIP Digest; NULL: none */
};

/** Finds the private identity that `name` means in a file of subscribers (as subscribers_json gives
 * it), as who.h says, by IMPI or else by public identity; what fits best counts. The IMPUs are
 * those that belong to it, its own before those that it shares, barred ones last. ERR_NOT_FOUND;
 * ERR_EXISTS: several fit; ERR_INVALID: it has neither a key nor a password, or a broken key;
 * ERR_NO_MEMORY. */
MUST_CHECK enum error card_find(const json_t *document, struct span name, const char *domain,
                                struct card *out);

/** The same in the files of subscribers that a configuration names, one after the other; what is
 * wrong with one of them is printed on stderr if `says`. guess may be NULL. */
MUST_CHECK enum error card_find_in_files(const struct config *c, struct span name, bool says,
                                         struct card *out, struct who_guess *guess);

/** Looks at all identities of a file for what a name was meant to be. */
void card_guess(const json_t *document, struct who_guess *guess);

/** Makes the card of one private identity (an item of the subscription's impis) as card_find does.
 * ERR_INVALID: it has neither a key nor a password, or a broken key; ERR_NO_MEMORY. */
MUST_CHECK enum error card_from_json(const json_t *subscription, const json_t *impi,
                                     const char *domain, struct card *out);

/** Makes the card of a SIM without ISIM (TS 23.003 13.2, 13.3, 13.4B): IMPI and temporary IMPU from
 * the IMSI; and, if msisdn is not empty, its tel and SIP IMPU. k and either op or opc in
 * hexadecimal, the other one empty. ERR_INVALID: one of the keys is no 32 hexadecimal digits. */
MUST_CHECK enum error card_from_sim(struct span imsi, struct span msisdn, struct span k,
                                    struct span op, struct span opc, const char *domain,
                                    struct card *out);

/** Makes the card of a client without SIM: its public identity "sip:USER@DOMAIN" as it stands, the
 * private one derived from it (TS 24.229 5.4.1.1), and a password (copied). ERR_INVALID: no such
 * URI, or no password; ERR_NO_MEMORY. */
MUST_CHECK enum error card_from_user(struct span impu, struct span password, const char *domain,
                                     struct card *out);

/** Makes the first IMPU the one that is given (copied): it registers by default. ERR_NO_MEMORY. */
MUST_CHECK enum error card_set_impu(struct card *card, struct span impu);

enum { CARD_CHECK_TEXT = 8 };

/** What `muster sub show` prints as the key check of a card with this K and OPc. ERR_NOT_FOUND: it
 * has no key; ERR_NO_MEMORY. */
MUST_CHECK enum error card_key_check(const struct card *card, char out[CARD_CHECK_TEXT]);

/** Frees it; clears key and password. */
void card_free(struct card *card);

#endif
