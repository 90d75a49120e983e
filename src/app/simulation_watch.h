/* What a simulation watches in the messages of its network:
 *
 * - No sequence number is used for two vectors of one subscriber, whatever crashes (TS 33.102,
 * annex C): seen in MAAs.
 * - An assignment that the HSS has acknowledged is in the HSS until a de-registration is asked for,
 *   whatever crashes: SAAs are noted, and the HSS is asked after each restart.
 * - What an S-CSCF was told of a subscriber last, by an SAA or a PPR that it has confirmed, is
 * noted to be compared with what the HSS holds. */
#ifndef MUSTER_APP_SIMULATION_WATCH_H
#define MUSTER_APP_SIMULATION_WATCH_H

#include "app/card.h"
#include "base/arena.h"
#include "obs/trace.h"

/** What an SAA has promised about a terminal's public identity. */
enum watch_promise {
    WATCH_NOTHING,    /* nothing, or a change is under way whose answer was not seen */
    WATCH_REGISTERED, /* the HSS has acknowledged that it is registered */
};

struct watch_vector {
    uint64_t sqn;
    uint8_t rand[AKA_RAND_SIZE];
};

/** One subscriber. */
struct watch_subject {
    struct card card;
    char imsi[32];
    enum watch_promise promise;
    struct watch_vector *vectors; /* that were given out so far */
    size_t n_vectors, cap_vectors;
    uint32_t sar_end_to_end; /* of the SAR under way; 0: none */
    uint32_t sar_type;       /* its Server-Assignment-Type */
    uint64_t content;        /* of the User-Data of its set that an S-CSCF has taken last */
    uint64_t pushed;         /* of a PPR that has not been answered */
    uint32_t ppr_end_to_end; /* of that PPR; 0: none */
};

struct watch {
    struct watch_subject *subjects; /* the nth has an IMSI that ends in n, 0 first */
    size_t n;
    struct milenage milenage;
    struct chunk_pool chunks; /* for User-Data */
    uint64_t digest, vectors, assignments;
    char fault[384]; /* the first thing that did not hold; empty: all holds */
};

/** Makes the n subscribers, with keys that follow from their numbers. ERR_NO_MEMORY. */
MUST_CHECK enum error watch_init(struct watch *w, size_t n, const char *domain);

/** Frees them; clears the keys. A zeroed one is fine. */
void watch_free(struct watch *w);

/** Whose identity (IMPI, IMPU) or contact is it? They all hold the IMSI. NULL: no subject's. */
struct watch_subject *watch_subject_of(struct watch *w, struct span identity);

/** What was promised of a subscriber before is void: its subscription changes. vectors: and its
 * sequence numbers begin anew. */
void watch_reset(struct watch_subject *s, bool vectors);

/** An identity in User-Data as a number; that of a set is the sum of its identities' numbers.
 * server: of the first filter criterion that applies to it; empty: none does. */
uint64_t watch_content(struct span identity, bool barred, struct span display_name,
                       struct span alias_group, struct span server);

/** Looks at a message (an each function of trace_witness; ctx is the struct watch). */
void watch_message(void *watch, const struct trace_message *m);

/** Notes a fault, unless there is one already. */
void watch_fault(struct watch *w, const char *format, ...) PRINTF_LIKE(2, 3);

#endif
