/* Wildcarded public identities: TS 23.003 13.4A (public user identities) and 13.5 (public service
 * identities), and how one is found among all that a node has.
 *
 *     sip:chatlist!.*!@example.org     tel:+4416329601!([0-4][0-9])!
 *
 * Between two exclamation marks stands an Extended Regular Expression (ere.h); what stands before
 * and behind is meant literally, and in the canonical form of identities. An identity that is
 * provisioned itself is never looked for here: it comes before every wildcard (TS 23.003 13.5). */
#ifndef MUSTER_MODEL_WILDCARD_WILDCARD_H
#define MUSTER_MODEL_WILDCARD_WILDCARD_H

#include "base/htab.h"
#include "model/wildcard/ere.h"

enum { WILDCARD_MAX = 255 /* bytes of a wildcarded identity */ };

/** The parts of a wildcarded identity; they point into its text. */
struct wildcard_parts {
    struct span before, expression, after;
};

/** Takes a text with exactly two exclamation marks apart; false if it has another number. */
MUST_CHECK bool wildcard_split(struct span text, struct wildcard_parts *out);

/** Is this a wildcarded identity: tel:+ with digits, or sip: or sips: with the expression in the
 * user part and a host in canonical form behind it? ERR_INVALID, and why says what is wrong. */
MUST_CHECK enum error wildcard_check(struct span text, struct buf *why);

/** Have two sound wildcarded identities an identity in common? What cannot be told within some
 * 100 ms counts as yes. ERR_NO_MEMORY. */
MUST_CHECK enum error wildcard_overlap(struct span a, struct span b, bool *overlap);

/** A wildcarded identity that a node has. */
struct wildcard {
    struct htab_node node; /* by what stands before the expression */
    struct span text;      /* into bytes */
    struct wildcard_parts parts;
    struct ere *ere;   /* of the expression */
    const void *claim; /* not NULL: it is only on its way, by whom; look-ups pass over it */
    char bytes[];
};

/** All that a node has, by their literal beginnings: a look-up takes one step for each length that
 * such a beginning has, and asks only expressions whose literal parts fit. Zeroed memory is an
 * empty index, in which a look-up costs nothing. */
struct wildcard_index {
    struct htab by_beginning;
    uint32_t lengths[WILDCARD_MAX + 1]; /* how many there are of each */
    uint8_t shortest, longest;          /* of all that there ever were; 0: none yet */
};

/** The wildcard that an identity (canonical) belongs to, NULL if there is none. If there were
 * several, which writing refuses, it is the one with the longest beginning, then the longest end,
 * then the lowest text. */
const struct wildcard *wildcard_find(const struct wildcard_index *index, struct span identity);

/** The entry of this very text; NULL if there is none. */
struct wildcard *wildcard_entry(const struct wildcard_index *index, struct span text);

/** Adds a sound one (wildcard_check). ERR_INVALID, ERR_NO_MEMORY. */
MUST_CHECK enum error wildcard_add(struct wildcard_index *index, struct span text,
                                   const void *claim);

/** Takes an entry out and frees it. */
void wildcard_remove(struct wildcard_index *index, struct wildcard *w);

/** Finds an entry that has an identity in common with text, passing over those of which is_own says
 * that they do not count; *out is NULL if there is none. ERR_NO_MEMORY. */
MUST_CHECK enum error wildcard_rival(struct wildcard_index *index, struct span text,
                                     bool (*is_own)(void *ctx, const struct wildcard *w), void *ctx,
                                     const struct wildcard **out);

/** Takes out and frees all that are on their way by this claim. */
void wildcard_drop_claims(struct wildcard_index *index, const void *claim);

/** Frees all entries. */
void wildcard_index_free(struct wildcard_index *index);

#endif
