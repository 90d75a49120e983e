/* Extended Regular Expressions (IEEE 1003.1, chapter 9), of which TS 23.003 13.4A and 13.5 make
 * wildcarded public identities.
 *
 * Whole texts are matched, so there are no captures, and an expression becomes an automaton without
 * empty steps (Glushkov's): one position for each character of the expression, and for each
 * position the set of those that may follow it. A text is read once, one step a byte, whatever the
 * expression looks like: there is no backtracking that a hostile pattern could drive. Two
 * expressions can be compared: do they have a text in common? No library of Debian's answers that.
 *
 * Characters are those that identities have: ASCII from '!' to '~'. What IEEE 1003.1 leaves
 * undefined is refused: repetition of nothing or of a repetition, empty alternatives, escaped
 * letters and digits; and so are anchors (the whole is matched anyhow), equivalence classes and
 * collating symbols. */
#ifndef MUSTER_MODEL_WILDCARD_ERE_H
#define MUSTER_MODEL_WILDCARD_ERE_H

#include "base/buf.h"
#include "base/error.h"

enum {
    ERE_POSITIONS_MAX = 256, /* characters of an expression, repetitions written out */
    ERE_WORDS = ERE_POSITIONS_MAX / 64,
    ERE_DEPTH_MAX = 16,   /* brackets in brackets */
    ERE_REPEAT_MAX = 255, /* RE_DUP_MAX */
    ERE_CHARACTERS = 128,
};

/** A compiled expression, one block of memory. */
struct ere;

/** Compiles `before`, read as plain characters, then the expression, then `after`, read like
 * `before`. *out is freed with free(). ERR_INVALID: it is no expression, and why (may be NULL) says
 * where and what would be right; ERR_TOO_BIG: more than ERE_POSITIONS_MAX; ERR_NO_MEMORY. */
MUST_CHECK enum error ere_compile(struct span before, struct span expression, struct span after,
                                  struct ere **out, struct buf *why);

/** Is the whole text one of the expression's? At most text.n * ERE_POSITIONS_MAX * ERE_WORDS
 * steps, and no memory. */
bool ere_match(const struct ere *e, struct span text);

/** Do two expressions have a text in common? A pair that would take more than some 100 ms counts as
 * having one. ERR_NO_MEMORY. */
MUST_CHECK enum error ere_overlap(const struct ere *a, const struct ere *b, bool *overlap);

#endif
