/* Who has left lately, so that what was sent before he left does not bring him back (RFC 3261
 * 10.2.4 and 10.3: of requests with one Call-ID the higher CSeq decides; but with the binding goes
 * the memory of its CSeq).
 *
 * A departure is known by a name: a hash of whatever names the user and his Call-ID. It is
 * remembered for as long as a request of a terminal lives. */
#ifndef MUSTER_MODEL_REGISTRATION_DEPARTURES_H
#define MUSTER_MODEL_REGISTRATION_DEPARTURES_H

#include "base/htab.h"
#include "base/list.h"

enum { DEPARTURES_LIFE_S = 128 }; /* timer F of a terminal (TS 24.229 7.7) */

/** Zero but for departures_init. */
struct departures {
    struct htab by_name;
    struct list age; /* oldest first */
    size_t max;      /* the oldest goes first */
};

/** An empty memory for so many. */
void departures_init(struct departures *d, size_t max);

/** Forgets all. */
void departures_free(struct departures *d);

/** Somebody has left by the request with this CSeq. Without memory it is not noted: then what comes
 * late counts. */
void departures_note(struct departures *d, uint64_t name, uint32_t cseq, uint64_t now_us);

/** Has somebody of this name left by a request that was made after the one with this CSeq, or by
 * that one? */
bool departures_overtook(const struct departures *d, uint64_t name, uint32_t cseq, uint64_t now_us);

/** The name of a user, known by a hash of his own, and a Call-ID. */
uint64_t departures_name(uint64_t user, struct span call_id);

#endif
