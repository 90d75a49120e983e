/* DNS: resource records as values, as lines of a master file, and from the bytes of a message
 * (RFC 1035, RFC 2782 SRV, RFC 3403 NAPTR, RFC 3596 AAAA). Questions are written by the library
 * that asks them. */
#ifndef MUSTER_CODEC_DNS_DNS_H
#define MUSTER_CODEC_DNS_DNS_H

#include "base/error.h"
#include "rt/addr.h"

enum dns_type { DNS_A, DNS_AAAA, DNS_SRV, DNS_NAPTR, DNS_CNAME, DNS_TYPES };

enum { DNS_NAME_MAX = 255 };

/** "A", "AAAA", "SRV", "NAPTR", "CNAME". */
const char *dns_type_name(enum dns_type type);

/** The number of a type on the wire. */
uint16_t dns_type_number(enum dns_type type);

/** One resource record. Names are absolute and without the final dot; the root is ".". */
struct dns_record {
    struct span name;
    enum dns_type type;
    uint32_t ttl_s;
    union {
        struct addr address; /* A, AAAA; the port means nothing */
        struct {
            uint16_t priority, weight, port;
            struct span target;
        } srv;
        struct {
            uint16_t order, preference;
            struct span flags, service, replacement; /* "s", "SIP+D2U", "_sip._udp.DOMAIN" */
        } naptr;                                     /* without regular expressions */
        struct span alias;                           /* CNAME: the name that is meant */
    };
};

/** Appends one record as a line of a master file (RFC 1035 section 5), its newline included. */
void dns_record_print(struct buf *b, const struct dns_record *record);

/** Appends a name as a master file with this $ORIGIN has it: "@", relative to it, or absolute with
 * a final dot. */
void dns_name_print(struct buf *b, struct span name, struct span origin);

/** Appends what stands behind the type: "10 10 4060 icscf". */
void dns_data_print(struct buf *b, const struct dns_record *record, struct span origin);

enum { DNS_RECORDS_MAX = 64, DNS_TEXT_MAX = 16384 };

/* RFC 1035 4.1.1 and RFC 6895. */
enum dns_rcode {
    DNS_NOERROR = 0,
    DNS_FORMERR = 1,
    DNS_SERVFAIL = 2,
    DNS_NXDOMAIN = 3,
    DNS_NOTIMP = 4,
    DNS_REFUSED = 5
};

/** A response, read. Its spans point into text. */
struct dns_message {
    uint8_t rcode; /* enum dns_rcode */
    bool truncated;
    struct span name;                           /* of the question */
    uint16_t type;                              /* its number */
    struct dns_record records[DNS_RECORDS_MAX]; /* the answer section, as far as the types are known
                                                 * and the names are names of hosts */
    size_t n;
    bool has_soa;            /* in the authority section, at or above the question's name */
    uint32_t negative_ttl_s; /* RFC 2308 section 5: the lesser of its TTL and its minimum */
    char text[DNS_TEXT_MAX];
    size_t n_text;
};

/** Reads a response with one question. Records of other types or classes, with names that are no
 * host names, or with regular expressions are left out; so is what is beyond DNS_RECORDS_MAX
 * records or DNS_TEXT_MAX bytes of names. ERR_MALFORMED: cut short, a compression pointer that does
 * not point backwards, a name of more than 255 bytes, no response, not one question. */
MUST_CHECK enum error dns_message_read(struct span bytes, struct dns_message *out);

#endif
