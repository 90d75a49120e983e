/* Names that follow from MCC and MNC, IMSI and MSISDN: TS 23.003 clause 13 where it says, Muster's
 * defaults where it is silent. Nothing here is looked up; all is text made from text.
 *
 * Functions that judge what a person wrote take a struct buf `why` (NULL for none) and append a
 * sentence that says what is wrong and what would be right. */
#ifndef MUSTER_MODEL_NAMING_NAMING_H
#define MUSTER_MODEL_NAMING_NAMING_H

#include "base/buf.h"
#include "base/error.h"
#include "rt/addr.h"

enum {
    NAMING_DOMAIN_MAX = 64, /* of a derived home domain, NUL included */
    NAMING_HOST_MAX = 128,  /* of a node's name, NUL included */
    NAMING_URI_MAX = 160,   /* of a node's URI, NUL included */
    NAMING_IMSI_MIN = 6,
    NAMING_IMSI_MAX = 15,
    NAMING_MSISDN_MIN = 5,
    NAMING_MSISDN_MAX = 15,
    NAMING_WEB_PORT = 8080,
    NAMING_DIAMETER_TLS_PORT = 5658,
};

/** A public land mobile network. */
struct naming_plmn {
    char mcc[4]; /* three digits and NUL */
    char mnc[4]; /* two or three digits and NUL, as it stands in the IMSI */
};

enum naming_role {
    NAMING_PCSCF,
    NAMING_ICSCF,
    NAMING_SCSCF,
    NAMING_HSS,
    NAMING_ROLES,
};

/** The names of one node. */
struct naming_node {
    char host[NAMING_HOST_MAX];   /* "scscf.ims.mnc001.mcc001.3gppnetwork.org": also its Diameter
                                   * identity (Origin-Host) */
    char sip_uri[NAMING_URI_MAX]; /* "sip:scscf.ims...:6060"; empty for the HSS */
    struct addr addr;             /* where it listens: 127.0.0.1 and its default port */
};

/** A whole home network with one node of each kind. */
struct naming {
    struct naming_plmn plmn;
    char home_domain[NAMING_DOMAIN_MAX]; /* also the Diameter realm */
    struct naming_node node[NAMING_ROLES];
};

/** Reads MCC (three digits) and MNC (two or three digits). ERR_INVALID. */
MUST_CHECK enum error naming_plmn_parse(struct span mcc, struct span mnc, struct naming_plmn *out,
                                        struct buf *why);

/** Appends the home network's domain (TS 23.003 13.2): "ims.mnc001.mcc001.3gppnetwork.org", the MNC
 * padded to three digits. */
void naming_put_home_domain(struct buf *out, const struct naming_plmn *plmn);

/** All names of a network, with one node of each role. */
MUST_CHECK enum error naming_derive(const struct naming_plmn *plmn, struct naming *out);

/** "pcscf", "icscf", "scscf", "hss". */
const char *naming_role_name(enum naming_role role);

/** The port a role listens on unless configured: SIP for CSCFs, Diameter for the HSS. */
uint16_t naming_role_port(enum naming_role role);

/** The names of the nth instance (from 1) of a role in a domain: the first is "scscf.DOMAIN", the
 * second "scscf-2.DOMAIN", on ports that count up from the default. ERR_TOO_BIG: the domain is too
 * long; ERR_INVALID: no such instance. */
MUST_CHECK enum error naming_node_derive(struct span domain, enum naming_role role,
                                         unsigned instance, struct naming_node *out);

/** Is this an IMSI: 6 to 15 digits? With a plmn it must begin with its MCC and MNC. ERR_INVALID. */
MUST_CHECK enum error naming_imsi_check(struct span imsi, const struct naming_plmn *plmn,
                                        struct buf *why);

/** Is this an MSISDN in international form: 5 to 15 digits, not beginning with 0, with or without a
 * leading "+"? *digits gets it without the "+". ERR_INVALID. */
MUST_CHECK enum error naming_msisdn_check(struct span msisdn, struct span *digits, struct buf *why);

/** Is this a host name: labels of letters, digits and hyphens, at most 253 characters? ERR_INVALID.
 */
MUST_CHECK enum error naming_domain_check(struct span domain, struct buf *why);

/** Appends the IMPI of a subscriber without ISIM (13.3): "IMSI@DOMAIN". */
void naming_put_impi(struct buf *out, struct span imsi, struct span domain);

/** Appends the temporary IMPU (13.4B): "sip:IMSI@DOMAIN". It is barred for all but registration. */
void naming_put_temporary_impu(struct buf *out, struct span imsi, struct span domain);

/** Appends the tel IMPU of an MSISDN's digits: "tel:+447700900101". */
void naming_put_tel_impu(struct buf *out, struct span digits);

/** Appends the SIP IMPU of an MSISDN's digits: "sip:+447700900101@DOMAIN". */
void naming_put_sip_impu(struct buf *out, struct span digits, struct span domain);

#endif
