/* User-Data of the Cx interface (TS 29.228 annex B and E): what the HSS writes into a SAA and a
 * PPR and the S-CSCF reads.
 *
 * The writer puts prepared fragments together: a service profile's filter criteria are rendered
 * once, when the profile is provisioned. The reader is a scanner of our own for the subset of XML
 * that HSSs send; whatever it does not know it leaves to libxml2 (userdata_read decides), so both
 * give the same value or the same refusal. Neither ever resolves an entity of a document's own or
 * opens a file or a connection: a document type declaration is refused. */
#ifndef MUSTER_CODEC_USERDATA_USERDATA_H
#define MUSTER_CODEC_USERDATA_USERDATA_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

/** IdentityType, and with it which kind of wildcard an identity is (TS 29.228 annex E). */
enum userdata_identity_type {
    USERDATA_PUBLIC_USER_IDENTITY = 0,
    USERDATA_DISTINCT_PSI = 1,
    USERDATA_WILDCARDED_PSI = 2,
    USERDATA_NON_DISTINCT_IMPU = 3,
    USERDATA_WILDCARDED_IMPU = 4,
};

/** One PublicIdentity of a service profile. */
struct userdata_identity {
    struct span identity; /* SIP or tel URI; for a wildcard what the HSS puts there */
    enum userdata_identity_type type;
    bool barred;
    struct span display_name;    /* empty: none */
    struct span alias_group;     /* AliasIdentityGroupID; empty: none */
    struct span wildcarded_psi;  /* regular expression, for USERDATA_WILDCARDED_PSI */
    struct span wildcarded_impu; /* the same for USERDATA_WILDCARDED_IMPU */
    struct span extension;       /* see struct userdata */
};

/** What a service point trigger looks at. */
enum userdata_spt_kind {
    USERDATA_SPT_REQUEST_URI,
    USERDATA_SPT_METHOD,
    USERDATA_SPT_SIP_HEADER,
    USERDATA_SPT_SESSION_CASE,
    USERDATA_SPT_SESSION_DESCRIPTION,
};

/** Values of SessionCase. */
enum userdata_session_case {
    USERDATA_ORIGINATING_REGISTERED = 0,
    USERDATA_TERMINATING_REGISTERED = 1,
    USERDATA_TERMINATING_UNREGISTERED = 2,
    USERDATA_ORIGINATING_UNREGISTERED = 3,
    USERDATA_ORIGINATING_CDIV = 4,
};

/** Bits of registration_types: which kinds of REGISTER a Method trigger means; 0 means all. */
enum userdata_registration_type {
    USERDATA_INITIAL_REGISTRATION = 1 << 0,
    USERDATA_RE_REGISTRATION = 1 << 1,
    USERDATA_DE_REGISTRATION = 1 << 2,
};

/** A service point trigger. */
struct userdata_spt {
    enum userdata_spt_kind kind;
    bool negated;
    const uint32_t *groups; /* clauses of the normal form that it belongs to; at least one */
    size_t n_groups;
    struct span value;   /* request URI, method, header name or session description line */
    struct span content; /* regular expression on the header or line */
    bool has_content;    /* else the header's or line's presence is what counts */
    enum userdata_session_case session_case;
    uint8_t registration_types; /* enum userdata_registration_type, or-ed */
    struct span extension;      /* see struct userdata */
};

/** Which registration state a filter criterion belongs to. */
enum userdata_profile_part {
    USERDATA_PART_REGISTERED = 0,
    USERDATA_PART_UNREGISTERED = 1,
    USERDATA_PART_BOTH, /* ProfilePartIndicator absent */
};

/** An initial filter criterion. */
struct userdata_ifc {
    uint32_t priority; /* lower is evaluated first */
    enum userdata_profile_part part;
    bool has_trigger; /* without a TriggerPoint every request matches */
    bool cnf;         /* ConditionTypeCNF: groups are or-ed inside and and-ed; else the reverse */
    const struct userdata_spt *spts;
    size_t n_spts;
    struct span server_name;   /* SIP URI of the application server */
    bool terminate_on_failure; /* DefaultHandling SESSION_TERMINATED; else SESSION_CONTINUED */
    struct span service_info;  /* for the body of a third-party REGISTER */
    bool include_register_request, include_register_response;
    struct span extension, trigger_extension, server_extension; /* see struct userdata */
};

/** A service profile with the identities that it applies to. */
struct userdata_profile {
    const struct userdata_identity *identities; /* at least one */
    size_t n_identities;
    const struct userdata_ifc *ifcs; /* by rising priority; document order among equals */
    size_t n_ifcs;
    const uint32_t *shared_ifc_sets; /* SharedIFCSetID */
    size_t n_shared_ifc_sets;
    bool has_media_profile; /* is there a SubscribedMediaProfileId? */
    uint32_t media_profile;
    const struct span *service_ids; /* ListOfServiceIds */
    size_t n_service_ids;
    struct span extension, authorization_extension; /* see struct userdata */
};

/** One IMSSubscription: an implicit registration set as the S-CSCF sees it. The first identity of
 * the first profile that is neither barred nor a wildcard is the set's default (TS 29.228
 * 6.5.1.1). */
struct userdata {
    struct span private_id;
    struct span extension; /* what a structure holds that annex E does not know (its xs:any), as XML
                            * that stands for itself: kept, and written at the end of the
                            * structure's Extension. Empty: nothing */
    const struct userdata_profile *profiles; /* at least one */
    size_t n_profiles;
};

/** Bounds of what is read: a document above them gives ERR_TOO_BIG. */
enum {
    USERDATA_BYTES_MAX = 1 << 20,
    USERDATA_IDENTITIES_MAX = 4096, /* in a document, likewise the next two */
    USERDATA_IFCS_MAX = 1024,
    USERDATA_SPTS_MAX = 16384,
    USERDATA_DEPTH_MAX = 32,
    USERDATA_CAREFUL_MAX = 20000, /* tags and attributes of a document that libxml2 reads: one with
                                   * attributes, comments, elements that nobody knows */
};

/** Reads a document. Spans of the result point into xml or into the arena: both must outlive it.
 * ERR_MALFORMED (not XML, or against annex E's schema), ERR_TOO_BIG, ERR_NO_MEMORY. */
MUST_CHECK enum error userdata_read(struct span xml, struct arena *arena, struct userdata **out);

/** The fast reader alone: ERR_UNSUPPORTED for what it leaves to libxml2. For tests and fuzzing;
 * everybody else calls userdata_read. */
MUST_CHECK enum error userdata_scan(struct span xml, struct arena *arena, struct userdata **out);

/** The libxml2 reader alone. For tests and fuzzing. */
MUST_CHECK enum error userdata_read_libxml2(struct span xml, struct arena *arena,
                                            struct userdata **out);

/** Same content, element by element? */
bool userdata_eq(const struct userdata *a, const struct userdata *b);

/** The first identity that is neither barred nor a wildcard: the default public user identity of
 * the set; NULL if all are barred. */
const struct userdata_identity *userdata_default_identity(const struct userdata *u);

/* Writing: open, then for each profile: profile_open, identities, profile_close; then close. */

/** Appends the document's beginning up to the private identity. */
void userdata_put_open(struct buf *b, struct span private_id);

/** Appends the beginning of a ServiceProfile. */
void userdata_put_profile_open(struct buf *b);

/** Appends one PublicIdentity. */
void userdata_put_identity(struct buf *b, const struct userdata_identity *identity);

/** Appends what follows the identities, prepared by userdata_put_fragment, and the profile's end.
 */
void userdata_put_profile_close(struct buf *b, struct span fragment);

/** Appends the end of the document. */
void userdata_put_close(struct buf *b);

/** Renders what a service profile holds besides identities (authorisation, filter criteria, shared
 * sets), for userdata_put_profile_close. The identities of *profile are not looked at. */
void userdata_put_fragment(struct buf *b, const struct userdata_profile *profile);

/** Appends one InitialFilterCriteria. */
void userdata_put_ifc(struct buf *b, const struct userdata_ifc *ifc);

/** Appends a whole document: for tests, and for what is not on the message path. */
void userdata_write(struct buf *b, const struct userdata *u);

#endif
