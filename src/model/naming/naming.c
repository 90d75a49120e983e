/* TS 23.003 section 13: home network domain (13.2), IMPI (13.3), IMPU (13.4), temporary IMPU
 * (13.4B) of a subscriber whose card has no ISIM. Node names are ours to choose. */
#include "model/naming/naming.h"

static const struct {
    const char *name;
    uint16_t port;
    bool sip;
} roles[NAMING_ROLES] = {
    [NAMING_PCSCF] = {"pcscf", 5060, true},
    [NAMING_ICSCF] = {"icscf", 4060, true},
    [NAMING_SCSCF] = {"scscf", 6060, true},
    [NAMING_HSS] = {"hss", 3868, false},
};

enum { LABEL_MAX = 63, DOMAIN_TEXT_MAX = 253, PORT_MAX = 65535 };

static bool all_digits(struct span s) {
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9') {
            return false;
        }
    }
    return true;
}

/* Appends: what "value" problem. */
static void explain(struct buf *why, const char *what, struct span value, const char *problem) {
    if (why) {
        buf_cstr(why, what);
        buf_cstr(why, " \"");
        buf_escaped(why, span_slice(value, 0, 64));
        buf_cstr(why, value.n > 64 ? "...\" " : "\" ");
        buf_cstr(why, problem);
    }
}

enum error naming_plmn_parse(struct span mcc, struct span mnc, struct naming_plmn *out,
                             struct buf *why) {
    if (mcc.n != 3 || !all_digits(mcc)) {
        explain(why, "MCC", mcc, "must be three digits, such as 001");
        return ERR_INVALID;
    }
    if ((mnc.n != 2 && mnc.n != 3) || !all_digits(mnc)) {
        explain(why, "MNC", mnc,
                "must be two or three digits, as many as it has in the IMSI, such as 01; in YAML "
                "write it in quotes");
        return ERR_INVALID;
    }
    *out = (struct naming_plmn){0};
    memcpy(out->mcc, mcc.p, mcc.n);
    memcpy(out->mnc, mnc.p, mnc.n);
    return OK;
}

void naming_put_home_domain(struct buf *out, const struct naming_plmn *plmn) {
    buf_cstr(out, "ims.mnc");
    if (strlen(plmn->mnc) == 2) {
        buf_char(out, '0');
    }
    buf_cstr(out, plmn->mnc);
    buf_cstr(out, ".mcc");
    buf_cstr(out, plmn->mcc);
    buf_cstr(out, ".3gppnetwork.org");
}

enum error naming_derive(const struct naming_plmn *plmn, struct naming *out) {
    *out = (struct naming){.plmn = *plmn};
    struct buf domain = buf_init(out->home_domain, sizeof out->home_domain - 1);
    naming_put_home_domain(&domain, plmn);
    if (domain.overflow) {
        return ERR_TOO_BIG;
    }
    for (enum naming_role role = 0; role < NAMING_ROLES; role++) {
        enum error e = naming_node_derive(buf_span(&domain), role, 1, &out->node[role]);
        if (e) {
            return e;
        }
    }
    return OK;
}

const char *naming_role_name(enum naming_role role) {
    return roles[role].name;
}

uint16_t naming_role_port(enum naming_role role) {
    return roles[role].port;
}

enum error naming_node_derive(struct span domain, enum naming_role role, unsigned instance,
                              struct naming_node *out) {
    if (instance == 0 || instance > (unsigned)PORT_MAX - roles[role].port) {
        return ERR_INVALID;
    }
    uint16_t port = (uint16_t)(roles[role].port + instance - 1);
    *out = (struct naming_node){.addr = addr_v4(127, 0, 0, 1, port)};
    struct buf host = buf_init(out->host, sizeof out->host - 1);
    buf_cstr(&host, roles[role].name);
    if (instance > 1) {
        buf_char(&host, '-');
        buf_u64(&host, instance);
    }
    buf_char(&host, '.');
    buf_put(&host, domain);
    struct buf uri = buf_init(out->sip_uri, sizeof out->sip_uri - 1);
    if (roles[role].sip) {
        buf_cstr(&uri, "sip:");
        buf_put(&uri, buf_span(&host));
        buf_char(&uri, ':');
        buf_u64(&uri, port);
    }
    return host.overflow || uri.overflow ? ERR_TOO_BIG : OK;
}

enum error naming_imsi_check(struct span imsi, const struct naming_plmn *plmn, struct buf *why) {
    if (imsi.n < NAMING_IMSI_MIN || imsi.n > NAMING_IMSI_MAX || !all_digits(imsi)) {
        explain(why, "IMSI", imsi,
                "must be 6 to 15 digits: MCC, MNC and subscriber number, such as 001010000000001");
        return ERR_INVALID;
    }
    if (!plmn) {
        return OK;
    }
    struct span mcc = span_from_cstr(plmn->mcc), mnc = span_from_cstr(plmn->mnc);
    if (!span_starts_with(imsi, mcc) || !span_starts_with(span_after(imsi, mcc.n), mnc)) {
        explain(why, "IMSI", imsi, "is not of this network: it must begin with ");
        if (why) {
            buf_put(why, mcc);
            buf_put(why, mnc);
        }
        return ERR_INVALID;
    }
    return OK;
}

enum error naming_msisdn_check(struct span msisdn, struct span *digits, struct buf *why) {
    struct span number = span_starts_with(msisdn, SPAN("+")) ? span_after(msisdn, 1) : msisdn;
    if (number.n < NAMING_MSISDN_MIN || number.n > NAMING_MSISDN_MAX || !all_digits(number) ||
        number.p[0] == '0') {
        explain(why, "MSISDN", msisdn,
                "must be 5 to 15 digits in international form, country code first, such as "
                "+447700900101");
        return ERR_INVALID;
    }
    *digits = number;
    return OK;
}

static bool is_label(struct span label) {
    if (label.n == 0 || label.n > LABEL_MAX || label.p[0] == '-' || label.p[label.n - 1] == '-') {
        return false;
    }
    for (size_t i = 0; i < label.n; i++) {
        char c = label.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!letter && (c < '0' || c > '9') && c != '-') {
            return false;
        }
    }
    return true;
}

enum error naming_domain_check(struct span domain, struct buf *why) {
    struct span rest = domain;
    bool good = domain.n > 0 && domain.n <= DOMAIN_TEXT_MAX;
    while (good && rest.p) {
        good = is_label(span_cut(&rest, '.'));
    }
    if (!good) {
        explain(why, "domain", domain,
                "must be labels of letters, digits and hyphens, joined by dots, without a dot at "
                "the end, such as ims.mnc001.mcc001.3gppnetwork.org");
        return ERR_INVALID;
    }
    return OK;
}

void naming_put_impi(struct buf *out, struct span imsi, struct span domain) {
    buf_put(out, imsi);
    buf_char(out, '@');
    buf_put(out, domain);
}

void naming_put_temporary_impu(struct buf *out, struct span imsi, struct span domain) {
    buf_cstr(out, "sip:");
    naming_put_impi(out, imsi, domain);
}

void naming_put_tel_impu(struct buf *out, struct span digits) {
    buf_cstr(out, "tel:+");
    buf_put(out, digits);
}

void naming_put_sip_impu(struct buf *out, struct span digits, struct span domain) {
    buf_cstr(out, "sip:+");
    buf_put(out, digits);
    buf_char(out, '@');
    buf_put(out, domain);
}
