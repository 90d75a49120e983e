/* Sh-Data, the XML document of the Sh interface (TS 29.328 annexes C and D): what the HSS writes
 * into UDA, SNA and PNR, and what it reads from a PUR.
 *
 * The content of ServiceData belongs to the application servers and is transparent: it is kept as
 * XML text, of any elements and names, and written as it was read. The reader takes what an
 * application server may change and notes what else there is. It never opens a file or a
 * connection; a document type declaration, and with it every entity of a document's own, is
 * refused. */
#ifndef MUSTER_CODEC_SHDATA_SHDATA_H
#define MUSTER_CODEC_SHDATA_SHDATA_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

/** Bounds of what is read: a document above them gives ERR_TOO_BIG. */
enum {
    SHDATA_BYTES_MAX = 1 << 20,
    SHDATA_ITEMS_MAX = 64, /* RepositoryData in a document, and DSAIs */
    SHDATA_SEQUENCE_MAX = 65535,
    SHDATA_SERVICE_INDICATION_MAX = 255, /* bytes */
};

/** Transparent data of one service: RepositoryData, AliasesRepositoryData (annex C,
 * tTransparentData). */
struct shdata_repository {
    bool aliases; /* AliasesRepositoryData */
    struct span service_indication;
    uint32_t sequence_number; /* at most SHDATA_SEQUENCE_MAX */
    bool has_service_data;    /* without it the data is deleted */
    struct span service_data; /* what stands inside of ServiceData, as XML text; may be empty */
};

/** State of one DSAI (tDSAI). */
struct shdata_dsai {
    struct span tag;
    bool active;
};

/** What a document of an application server changes. */
struct shdata {
    const struct shdata_repository *repositories;
    size_t n_repositories;
    const struct shdata_dsai *dsais;
    size_t n_dsais;
    bool has_psi_activation, psi_active;
    bool has_others; /* there is something that no application server may change */
};

/** Reads a document. Spans of the result point into the arena. ERR_MALFORMED (not XML, with a
 * document type declaration, or against annex D's schema), ERR_TOO_BIG, ERR_NO_MEMORY. */
MUST_CHECK enum error shdata_read(struct span xml, struct arena *arena, struct shdata **out);

/** Same content? */
bool shdata_eq(const struct shdata *a, const struct shdata *b);

/* Writing. */

/** Which element a list of identities stands in. */
enum shdata_identities {
    SHDATA_PUBLIC_IDENTIFIERS, /* nobody asked for a certain set; also of MSISDN */
    SHDATA_REGISTERED_IDENTITIES,
    SHDATA_IMPLICIT_IDENTITIES,
    SHDATA_ALL_IDENTITIES,
    SHDATA_ALIAS_IDENTITIES,
    SHDATA_IDENTITIES,
};

/** Public identities and telephone numbers (tPublicIdentity). */
struct shdata_identity_list {
    bool present;
    const struct span *impus; /* SIP and tel URIs */
    size_t n_impus;
    const struct span *msisdns; /* digits, without "+" */
    size_t n_msisdns;
};

/** IMSUserState (annex C). */
enum shdata_user_state {
    SHDATA_NOT_REGISTERED = 0,
    SHDATA_REGISTERED = 1,
    SHDATA_REGISTERED_UNREG_SERVICES = 2,
    SHDATA_AUTHENTICATION_PENDING = 3,
};

/** Names of charging functions: Diameter URIs; empty: none. */
struct shdata_charging {
    struct span primary_ecf, secondary_ecf, primary_ccf, secondary_ccf;
};

/** A document to be written. */
struct shdata_document {
    struct shdata_identity_list identities[SHDATA_IDENTITIES];
    const struct shdata_repository *repositories;
    size_t n_repositories;
    bool has_scscf_name;
    struct span scscf_name; /* empty: nobody serves the user */
    bool has_ifcs;
    struct span ifcs; /* elements InitialFilterCriteria, as codec/userdata renders them */
    bool has_user_state;
    enum shdata_user_state user_state;
    bool has_charging;
    struct shdata_charging charging;
    bool has_psi_activation, psi_active;
};

/** Appends a document, in the order of annex D's schema. */
void shdata_write(struct buf *b, const struct shdata_document *d);

/** Is there nothing in it? Then User-Data is left out. */
bool shdata_is_empty(const struct shdata_document *d);

#endif
