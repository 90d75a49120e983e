/* The terminal that a command writes to. */
#ifndef MUSTER_APP_TERMINAL_H
#define MUSTER_APP_TERMINAL_H

#include "obs/ladder.h"

/** How a ladder looks best on standard output: the terminal's width, colours unless it is no
 * terminal or NO_COLOR is set, box drawing unless ascii is asked for or the locale is plain C. */
struct ladder_style terminal_style(bool ascii);

/** Prints foreign text in one line: what is not printable ASCII becomes a question mark. */
void terminal_print(struct span text);

#endif
