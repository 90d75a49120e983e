/* How far a long piece of work has come, in one line of a terminal. Nothing is shown where standard
 * error is no terminal. */
#ifndef MUSTER_APP_PROGRESS_H
#define MUSTER_APP_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
    const char *what;
    uint64_t size, from_items; /* size 0: nobody knows */
    uint64_t began_us, shown_us;
    bool on, shown;
};

/** Begins; nothing is shown if `quiet`, or where there is no terminal. what is kept by reference.
 */
void progress_begin(struct progress *p, const char *what, uint64_t size, bool quiet);

/** So much was done before: rates count from here. */
void progress_begin_at(struct progress *p, uint64_t done, uint64_t items);

/** Shows the bar, at most ten times a second. */
void progress_show(struct progress *p, uint64_t done, uint64_t items);

/** Takes the bar away, so that something else can be printed. */
void progress_clear(struct progress *p);

#endif
