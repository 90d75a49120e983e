/* Registration information: application/reginfo+xml, what a NOTIFY of the event package "reg"
 * carries (RFC 3680 section 5, with the GRUUs of RFC 5628 and the wildcarded identities of TS
 * 24.229 7.10.2).
 *
 * A document is full, and then says all there is, or partial, and then says what has changed since
 * the version before it. */
#ifndef MUSTER_CODEC_REGINFO_REGINFO_H
#define MUSTER_CODEC_REGINFO_REGINFO_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

/** State of an address of record. */
enum reginfo_state { REGINFO_INIT, REGINFO_ACTIVE, REGINFO_TERMINATED, REGINFO_STATES };

/** What brought a contact into its state. */
enum reginfo_event {
    REGINFO_REGISTERED,   /* bound by a REGISTER for this address of record */
    REGINFO_CREATED,      /* bound by other means: a REGISTER for another one of the set */
    REGINFO_REFRESHED,    /* bound anew by its user */
    REGINFO_SHORTENED,    /* its time was reduced by the network */
    REGINFO_EXPIRED,      /* its time is over; this and all below end it */
    REGINFO_DEACTIVATED,  /* ended by the network; the terminal shall register anew */
    REGINFO_PROBATION,    /* the same, but not before retry_after_s */
    REGINFO_UNREGISTERED, /* ended by its user */
    REGINFO_REJECTED,     /* ended by the network; the terminal shall not come again */
    REGINFO_EVENTS
};

/** The name of an event as it is written: "registered". */
struct span reginfo_event_name(enum reginfo_event event);

/** A contact. Empty spans: not there. */
struct reginfo_contact {
    struct span id;  /* unique among all documents of a subscription; never empty */
    struct span uri; /* never empty */
    struct span display_name;
    struct span call_id;
    struct span instance; /* +sip.instance without quotes and angle brackets */
    struct span pub_gruu, temp_gruu;
    bool active; /* else terminated */
    enum reginfo_event event;
    bool has_expires, has_retry_after, has_cseq;
    uint32_t expires_s;
    uint32_t retry_after_s; /* of probation */
    uint32_t cseq;
    uint32_t temp_gruu_first_cseq; /* written and read with temp_gruu */
};

/** An address of record and its contacts. */
struct reginfo_registration {
    struct span aor, id; /* never empty */
    struct span
        wildcard; /* what the address of record stands for (TS 24.229 7.10.2); empty: itself */
    enum reginfo_state state;
    const struct reginfo_contact *contacts;
    size_t n_contacts;
};

/** A document. */
struct reginfo {
    uint32_t version;
    bool full; /* else partial */
    const struct reginfo_registration *registrations;
    size_t n_registrations;
};

/** Bounds of what is read: a document above them gives ERR_TOO_BIG. */
enum {
    REGINFO_BYTES_MAX = 65535,
    REGINFO_REGISTRATIONS_MAX = 512,
    REGINFO_CONTACTS_MAX = 2048, /* in a document */
};

/* Writing: open, then for each registration: its own open, its contacts, its close; then close. */

/** Appends the document's beginning. */
void reginfo_put_open(struct buf *b, uint32_t version, bool full);

/** Appends the beginning of a registration. */
void reginfo_put_registration_open(struct buf *b, struct span aor, struct span id,
                                   enum reginfo_state state);

/** Appends a contact. */
void reginfo_put_contact(struct buf *b, const struct reginfo_contact *contact);

/** Appends that the registration is that of a wildcarded identity; behind its contacts. */
void reginfo_put_wildcard(struct buf *b, struct span wildcard);

/** Appends the end of a registration. */
void reginfo_put_registration_close(struct buf *b);

/** Appends the end of the document. */
void reginfo_put_close(struct buf *b);

/** Reads a document; all of the result is in the arena. Elements and attributes that nobody here
 * knows are skipped. ERR_MALFORMED (not XML, a document type declaration, or not what RFC 3680's
 * schema wants), ERR_TOO_BIG, ERR_NO_MEMORY. */
MUST_CHECK enum error reginfo_read(struct span xml, struct arena *arena, struct reginfo **out);

#endif
