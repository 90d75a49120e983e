/* Diameter messages, in place: RFC 6733 clauses 3 and 4.
 *
 * A received message is looked at through struct diameter_msg, a view over its bytes; AVPs are
 * found with an iterator that checks every length before it touches a byte. A message is written
 * with struct diameter_builder straight into a buffer; groups nest, lengths are patched when they
 * close.
 *
 * Messages of an application are typed: spec/diameter_base.h, spec/cx.h and spec/sh.h are generated
 * from spec/diameter/, one struct per command. They have the same three functions each:
 *
 *     struct cx_uar uar;
 *     struct diameter_fault fault;
 *     if (cx_uar_decode(arena, msg, &uar, &fault) != OK) {
 *         diameter_answer_fault(rq, &fault);          // stack/diameter: Result-Code and Failed-AVP
 *         return;
 *     }
 *     struct cx_uaa uaa = {.result = DIAMETER_3GPP_RESULT(DIAMETER_FIRST_REGISTRATION), ...};
 *     cx_uaa_encode(builder, &uaa);
 *
 * In these structs a string is a span and absent if its p is NULL; a number or enumeration that may
 * be absent has a bool has_<name> beside it; a group that may be absent is a pointer, NULL if
 * absent; what may be repeated is a pointer to a const array with n_<name>. What came from a
 * message stays valid as long as its bytes and the arena. The AVPs that are the same in every
 * message of a node (Session-Id, Origin-Host, Origin-Realm, Destination-Host, Destination-Realm,
 * Proxy-Info) come from the builder's envelope when the struct leaves them empty. */
#ifndef MUSTER_CODEC_DIAMETER_DIAMETER_H
#define MUSTER_CODEC_DIAMETER_DIAMETER_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "rt/addr.h"

enum {
    DIAMETER_HEADER_SIZE = 20,
    DIAMETER_MESSAGE_MAX = 1 << 20, /* what Muster reads and writes; the protocol's is 2^24 - 4 */
    DIAMETER_DEPTH_MAX = 16,        /* groups within groups; deeper ones are refused */
    DIAMETER_VENDOR_3GPP = 10415,
    DIAMETER_VENDOR_ETSI = 13019,
};

/** Command flags, RFC 6733 clause 3. */
enum diameter_command_flag {
    DIAMETER_REQUEST = 0x80,
    DIAMETER_PROXIABLE = 0x40,
    DIAMETER_ERROR = 0x20,
    DIAMETER_RETRANSMITTED = 0x10,
};

/** AVP flags, RFC 6733 clause 4.1. */
enum diameter_avp_flag {
    DIAMETER_AVP_VENDOR = 0x80,
    DIAMETER_AVP_MANDATORY = 0x40,
    DIAMETER_AVP_PROTECTED = 0x20,
};

/** Outcome of a request: Result-Code if vendor is 0, else Experimental-Result of that vendor. */
struct diameter_result {
    uint32_t vendor;
    uint32_t code;
};

#define DIAMETER_RESULT(value)      ((struct diameter_result){0, (value)})
#define DIAMETER_3GPP_RESULT(value) ((struct diameter_result){DIAMETER_VENDOR_3GPP, (value)})

/** Is it a success (1xxx or 2xxx), whoever defines it? */
static inline bool diameter_result_is_success(struct diameter_result r) {
    return r.code / 1000 == 2 || r.code / 1000 == 1;
}

/** The name that the standard gives it ("DIAMETER_ERROR_USER_UNKNOWN"), or NULL if none is known.
 */
const char *diameter_result_name(struct diameter_result r);

/** What is wrong with a message, in the protocol's own terms: what to answer. */
struct diameter_fault {
    uint32_t result_code; /* of RFC 6733 7.1; a 3xxx is answered with the E bit */
    struct span avp;      /* the offending AVP where it stands in the message; may be empty */
    const char *text;     /* what is wrong, for Error-Message and log; a constant */
    uint16_t n_made;      /* bytes in made: an AVP that had to be made up, instead of avp */
    char made[320];
};

/** The bytes for Failed-AVP: the offending AVP, or an example of the missing one. Valid as long as
 * fault and message; empty if there is none. */
struct span diameter_fault_avp(const struct diameter_fault *f);

/** Fills a fault by hand, for rules of an application (5004 with the AVP's bytes and so on). text
 * is a constant. */
void diameter_fault_set(struct diameter_fault *f, uint32_t result_code, struct span avp,
                        const char *text);

/** A message in place. All spans view the bytes it was parsed from. */
struct diameter_msg {
    struct span bytes; /* the whole message */
    struct span avps;  /* what follows the header */
    uint8_t flags;
    uint32_t command;
    uint32_t application;
    uint32_t hop_by_hop;
    uint32_t end_to_end;
    /* AVPs of every message, found in the pass that checks all lengths; the first of each kind;
     * p is NULL where there is none */
    struct span session_id;
    struct span origin_host, origin_realm;
    struct span destination_host, destination_realm;
    struct diameter_result result; /* of an answer; code 0: none */
    bool has_routing;              /* there is a Route-Record or a Proxy-Info */
};

/** A request, or an answer? */
static inline bool diameter_msg_is_request(const struct diameter_msg *m) {
    return m->flags & DIAMETER_REQUEST;
}

/** How many of these bytes, the oldest of a stream, are the next message. ERR_INCOMPLETE: it has
 * not arrived whole. ERR_MALFORMED: not Diameter, or a length that no message can have (not a
 * multiple of four, below the header, above max): where the next one begins is unknown, close the
 * stream. */
MUST_CHECK enum error diameter_frame(struct span bytes, size_t max, size_t *length);

/** Views exactly one message, as diameter_frame measured it. Checks version, length, flag bits and
 * the lengths and padding of all AVPs of the top level. On ERR_MALFORMED the header fields are set
 * all the same, as far as bytes reach (so that a request can be answered with the fault), and the
 * spans of AVPs that precede the broken one. */
MUST_CHECK enum error diameter_msg_parse(struct span bytes, struct diameter_msg *out,
                                         struct diameter_fault *fault);

/** One AVP. */
struct diameter_avp {
    uint32_t code;
    uint32_t vendor; /* 0 without the V bit */
    uint8_t flags;
    struct span value;
    struct span bytes; /* header and value, without padding */
};

struct diameter_iter {
    const char *at, *end;
    bool malformed; /* the walk ended at an AVP whose length is impossible */
};

/** Walks the AVPs of a message's avps, or of a group's value. */
static inline struct diameter_iter diameter_iter_init(struct span avps) {
    return (struct diameter_iter){avps.p, avps.p + avps.n, false};
}

/** The next AVP; false at the end, or with it->malformed set where a length is impossible. */
bool diameter_next(struct diameter_iter *it, struct diameter_avp *out);

/** First AVP of this kind among these; false if there is none or a length before it is impossible.
 */
bool diameter_find(struct span avps, uint32_t code, uint32_t vendor, struct diameter_avp *out);

/** May it be a DiameterIdentity: letters, digits, dots, hyphens, underscores, 1 to 255 of them? */
bool diameter_is_identity(struct span s);

/** Reads an Unsigned32; false if the value has not four bytes. */
MUST_CHECK bool diameter_u32(struct span value, uint32_t *out);

/* Building. */

/** What every message of a node carries; used where a typed struct leaves the field empty. The
 * spans must live until the message is built. */
struct diameter_envelope {
    struct span session_id;
    struct span origin_host, origin_realm;
    struct span destination_host, destination_realm;
    struct span proxy_info; /* whole Proxy-Info AVPs of the request, copied into its answer */
};

struct diameter_builder {
    struct buf *buf;
    const struct diameter_envelope *envelope; /* may be NULL */
    size_t start;                             /* of the message in buf */
    unsigned depth;
    size_t open[DIAMETER_DEPTH_MAX]; /* where the headers of the open groups stand */
};

/** Begins a message in buf (behind what it holds). */
void diameter_begin(struct diameter_builder *b, struct buf *buf,
                    const struct diameter_envelope *envelope, uint8_t flags, uint32_t command,
                    uint32_t application, uint32_t hop_by_hop, uint32_t end_to_end);

/** Ends it: patches the length. ERR_TOO_BIG: the buffer was too small; it is marked overflown. */
MUST_CHECK enum error diameter_end(struct diameter_builder *b);

/** Appends an AVP with these bytes as value; the V bit follows from vendor. */
void diameter_put(struct diameter_builder *b, uint32_t code, uint32_t vendor, bool mandatory,
                  struct span value);

/** Appends an Unsigned32, Integer32 or Enumerated. */
void diameter_put_u32(struct diameter_builder *b, uint32_t code, uint32_t vendor, bool mandatory,
                      uint32_t value);

/** Appends an Unsigned64. */
void diameter_put_u64(struct diameter_builder *b, uint32_t code, uint32_t vendor, bool mandatory,
                      uint64_t value);

/** Appends an Address (RFC 6733 4.3.1). */
void diameter_put_address(struct diameter_builder *b, uint32_t code, uint32_t vendor,
                          bool mandatory, const struct addr *value);

/** Opens a group; everything up to diameter_close is inside. At most DIAMETER_DEPTH_MAX deep. */
void diameter_open(struct diameter_builder *b, uint32_t code, uint32_t vendor, bool mandatory);

/** Closes the innermost open group. */
void diameter_close(struct diameter_builder *b);

/** Appends Result-Code or Experimental-Result. */
void diameter_put_result(struct diameter_builder *b, struct diameter_result result);

/** Appends Result-Code, Error-Message and Failed-AVP for a fault. */
void diameter_put_fault(struct diameter_builder *b, const struct diameter_fault *fault);

/* The dictionary and the typed messages that are made from it: generated tables, one engine. */

enum diameter_type {
    DIAMETER_OCTETS,
    DIAMETER_UTF8,
    DIAMETER_IDENTITY,
    DIAMETER_URI,
    DIAMETER_U32, /* Unsigned32, Integer32 */
    DIAMETER_ENUM,
    DIAMETER_U64,     /* Unsigned64, Integer64 */
    DIAMETER_ADDRESS, /* struct addr; family 0 for others than IPv4 and IPv6 */
    DIAMETER_TIME,    /* int64_t, seconds since 1970 */
    DIAMETER_GROUP,
};

/** One definition of the dictionary. */
struct diameter_def {
    const char *name;
    uint32_t code, vendor;
    enum diameter_type type;
    bool mandatory; /* sent with the M bit */
    bool secret;    /* never printed */
    uint16_t n_values;
    const struct diameter_value *values; /* of an enumeration, by value */
    const struct diameter_layout *group; /* layout of a group; NULL if any AVP may stand in it */
};

/** A value of an enumeration. */
struct diameter_value {
    uint32_t value;
    const char *name;
};

/** The definition of an AVP, or NULL if it is unknown here. */
const struct diameter_def *diameter_def_find(uint32_t code, uint32_t vendor);

/** What a typed field is and where it stands in its struct. */
struct diameter_field {
    const struct diameter_def *def;
    enum {
        DIAMETER_FIELD_ONE,      /* exactly one: the value itself */
        DIAMETER_FIELD_OPTIONAL, /* has_ flag, NULL span or NULL pointer */
        DIAMETER_FIELD_MANY,     /* const array and count */
        DIAMETER_FIELD_RESULT,   /* Result-Code or Experimental-Result: struct diameter_result */
        DIAMETER_FIELD_FIXED,    /* the same in every message: not in the struct */
        DIAMETER_FIELD_REFUSED,  /* must not be there: 5008 */
    } kind;
    uint16_t offset;   /* of the value */
    uint16_t aside;    /* offset of has_, or of n_ */
    uint16_t min, max; /* how often it stands in a message */
    uint8_t envelope;  /* 1 + index of the span in struct diameter_envelope; 0: none */
    uint16_t size;     /* of one element of an array */
    struct span fixed; /* whole AVP, padded */
};

/** How a message or a group maps to a C struct. */
struct diameter_layout {
    const char *name;  /* "User-Authorization-Request" */
    const char *brief; /* "UAR"; of a group: NULL */
    uint32_t command, application;
    uint8_t flags; /* a message's command flags */
    uint16_t size; /* of the C struct */
    uint8_t n_fields;
    uint8_t lookup_shift;
    uint32_t lookup_multiplier;
    const struct diameter_field *fields;
    const uint8_t *lookup; /* (code * multiplier) >> shift -> 1 + index of the field; 0: none */
};

/** Reads a message by its layout; the typed functions call this. ERR_MALFORMED: see fault.
 * ERR_NO_MEMORY: fault says 5012. */
MUST_CHECK enum error diameter_decode(const struct diameter_layout *layout, struct arena *arena,
                                      const struct diameter_msg *msg, void *out,
                                      struct diameter_fault *fault);

/** Writes a message's AVPs by its layout; the typed functions call this. */
void diameter_encode(const struct diameter_layout *layout, struct diameter_builder *b,
                     const void *value);

/** The layout of a command ("UAR"), or NULL if it is not defined. */
const struct diameter_layout *diameter_layout_find(uint32_t application, uint32_t command,
                                                   bool request);

/** Appends what people read: "UAR 16777216/300 ... User-Name="..."". Names and enumerations from
 * the dictionary, foreign bytes escaped, secrets as "***", groups in braces, on one line. */
void diameter_print(struct buf *b, const struct diameter_msg *msg);

#endif
