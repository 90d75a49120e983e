#include "model/registration/request.h"

enum { MALFORMED_EXPIRES_S = 3600 };

static enum error read_contacts(const struct sip_msg *req, struct registration_reading *out) {
    struct sip_list list = sip_list_of(req, SIP_H_CONTACT);
    bool outbound = sip_has_token(req, SIP_H_SUPPORTED, SPAN("outbound"));
    struct sip_address first_hop;
    size_t n = 0, flows = 0;
    for (struct sip_contact c; sip_contact_next(&list, &c);) {
        if (c.address.star) {
            out->request.star = true;
            continue;
        }
        if (n == REGISTRATION_CONTACTS_MAX) {
            return ERR_TOO_BIG;
        }
        flows += outbound && c.reg_id;
        out->contacts[n++] = (struct registration_contact){.uri = c.address.uri_text,
                                                           .instance = c.instance,
                                                           .params = c.address.params,
                                                           .expires_given = c.has_expires,
                                                           .expires_s = c.expires_s,
                                                           .reg_id = outbound ? c.reg_id : 0};
    }
    out->request.first_hop_outbound = flows && registration_first_hop(req, &first_hop) &&
                                      sip_uri_param(&first_hop.uri, SPAN("ob"), NULL);
    out->request.contacts = out->contacts;
    out->request.n_contacts = n;
    return list.malformed ? ERR_MALFORMED : OK;
}

enum error registration_request_read(const struct sip_msg *req, struct registration_reading *out) {
    out->request = (struct registration_request){.call_id = req->call_id, .cseq = req->cseq};
    if (sip_has(req, SIP_H_EXPIRES)) {
        out->request.expires_given = true;
        if (sip_number_of(req, SIP_H_EXPIRES, &out->request.expires_s) != OK) {
            out->request.expires_s = MALFORMED_EXPIRES_S;
        }
    }
    return read_contacts(req, out);
}

bool registration_first_hop(const struct sip_msg *req, struct sip_address *out) {
    struct sip_list list = sip_list_of(req, SIP_H_PATH);
    struct span value, last = SPAN_NONE;
    while (sip_list_next(&list, &value)) {
        last = value;
    }
    return !list.malformed && last.n && sip_address_parse(last, out) == OK;
}

bool registration_request_is_removal(const struct registration_request *r) {
    if (r->star) {
        return true;
    }
    for (size_t i = 0; i < r->n_contacts; i++) {
        const struct registration_contact *c = &r->contacts[i];
        bool zero = c->expires_given ? c->expires_s == 0 : r->expires_given && r->expires_s == 0;
        if (!zero) {
            return false;
        }
    }
    return r->n_contacts > 0;
}

enum error registration_put_impu(struct buf *b, const struct sip_uri *uri) {
    switch (uri->scheme) {
    case SIP_URI_TEL:
        return sip_tel_put(b, uri) == OK ? OK : ERR_MALFORMED;
    case SIP_URI_SIP:
    case SIP_URI_SIPS:
        if (!uri->host.n) {
            return ERR_MALFORMED;
        }
        sip_uri_put_canonical(b, uri);
        return OK;
    default:
        return ERR_MALFORMED;
    }
}

void registration_put_derived_impi(struct buf *b, const struct sip_uri *uri) {
    if (uri->user.p) {
        buf_put(b, uri->user);
    }
    if (uri->host.n) {
        if (uri->user.p) {
            buf_char(b, '@');
        }
        buf_put(b, uri->host);
    }
}
