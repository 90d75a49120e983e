/* What the files of long imports share: bulk.c (requests), bulk_lines.c (what their lines hold). */
#ifndef MUSTER_NODE_HSS_BULK_H
#define MUSTER_NODE_HSS_BULK_H

#include "node/hss/web.h"

enum {
    BULK_TEXT_MAX = 1024, /* bytes of a position */
    BULK_NAME_MAX = 255,
    BULK_LINE_MAX = 8 << 20,
};

struct bulk_block;

/** Records on their way into the store, with the lines where they come from. They hold keys:
 * everything is wiped when it is dropped. */
struct bulk_records {
    struct bulk_block *blocks; /* newest first */
    size_t bytes;              /* of all blocks */
    struct store_change *changes;
    uint64_t *lines;
    size_t n, cap, n_profiles;
    struct rec_profile_data *profiles; /* of these changes and of imports before; only names */
    size_t n_known, known_cap;
};

/** Forgets all records. */
void bulk_records_free(struct bulk_records *records);

/** Notes that a profile will be there; copies its name. ERR_NO_MEMORY. */
MUST_CHECK enum error bulk_know_profile(struct bulk_records *records, struct span name);

enum bulk_mode {
    BULK_ALL,   /* all or none: kept in memory until the last request */
    BULK_EACH,  /* each line by itself; each request is one transaction */
    BULK_CHECK, /* like BULK_ALL, but nothing is stored */
};

/** What was sent for BULK_ALL and BULK_CHECK, until the last request. */
struct bulk_session {
    struct list link;
    struct hss *hss;
    struct timer idle;
    char name[BULK_NAME_MAX + 1];
    char position[BULK_TEXT_MAX + 1];
    enum bulk_mode mode;
    struct bulk_records records;
    size_t n_refused;
    bool busy; /* a request is under way */
};

/** One request of a long import. */
struct bulk_job {
    enum bulk_mode mode;
    bool last;    /* nothing follows */
    bool parsing; /* its lines are not all read yet: the next request waits */
    char from[BULK_TEXT_MAX + 1], to[BULK_TEXT_MAX + 1];
    bool begins; /* no `from` */
    char *body;
    size_t body_n;
    struct span rest; /* of body */
    uint64_t line;    /* number of the next line */
    struct bulk_session *session;
    struct bulk_records own, *records; /* own, or the session's */
    json_t *faults;                    /* what is listed of them */
    size_t n_faults;
};

/** Reads the next line: a subscription, a SIM, a client or a profile becomes a record; what is
 * wrong with it becomes a fault. ERR_NO_MEMORY: the request cannot go on. */
MUST_CHECK enum error bulk_line(struct web_job *w, struct bulk_job *b);

/** Lists a fault of a line. */
void bulk_fault(struct bulk_job *b, uint64_t line, const struct subscription_fault *fault);

/** Lists what the store thinks of the changes; the number of those that are fine and are
 * subscriptions. */
size_t bulk_outcomes(struct bulk_job *b, const struct store_op *op);

#endif
