/* Dialogs of who has asked: RFC 3261 12.1.2. */
#include "stack/sip/dialog.h"

#include <stdlib.h>

enum { REFRESH_BEFORE_S = 600 };

/* Record-Route from its end. ERR_MALFORMED: it has too many values. */
static enum error put_route(struct buf *b, const struct sip_msg *answer) {
    struct span values[SIP_DIALOG_ROUTES_MAX], value;
    size_t n = 0;
    struct sip_list list = sip_list_of(answer, SIP_H_RECORD_ROUTE);
    while (sip_list_next(&list, &value)) {
        if (n == COUNT_OF(values)) {
            return ERR_MALFORMED;
        }
        values[n++] = value;
    }
    while (n) {
        if (b->n) {
            buf_cstr(b, ", ");
        }
        buf_put(b, values[--n]);
    }
    return b->overflow || list.malformed ? ERR_MALFORMED : OK;
}

enum error sip_dialog_learn(struct sip_dialog *d, const struct sip_msg *answer) {
    struct sip_list list = sip_list_of(answer, SIP_H_CONTACT);
    struct sip_contact contact;
    char text[SIP_DIALOG_MAX];
    struct buf route = buf_init(text, sizeof text);
    if (put_route(&route, answer) != OK || !sip_contact_next(&list, &contact) ||
        contact.address.star || !answer->to_tag.n) {
        return ERR_MALFORMED;
    }
    const struct span parts[] = {answer->to_tag, contact.address.uri_text, buf_span(&route)};
    size_t n = parts[0].n + parts[1].n + parts[2].n;
    if (n > SIP_DIALOG_MAX) {
        return ERR_MALFORMED;
    }
    char *block = (char *)malloc(n);
    if (!block) {
        return ERR_NO_MEMORY;
    }
    struct buf b = buf_init(block, n);
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        buf_put(&b, parts[i]);
    }
    sip_dialog_forget(d);
    d->tag = span_of(block, parts[0].n);
    d->target = span_of(block + parts[0].n, parts[1].n);
    d->route = span_of(block + parts[0].n + parts[1].n, parts[2].n);
    return OK;
}

enum error sip_dialog_next_hop(const struct sip_dialog *d, struct sip_uri *out) {
    struct span to = d->target;
    struct sip_list list = sip_list_of_text(d->route);
    struct sip_address route;
    if (sip_address_next(&list, &route)) {
        to = route.uri_text;
    }
    return sip_uri_parse(to, out);
}

void sip_dialog_forget(struct sip_dialog *d) {
    free((char *)(uintptr_t)d->tag.p); /* the block's beginning */
    *d = (struct sip_dialog){0};
}

uint32_t sip_subscription_refresh_s(uint32_t granted_s) {
    uint32_t wait_s =
        granted_s > 2 * REFRESH_BEFORE_S ? granted_s - REFRESH_BEFORE_S : granted_s / 2;
    return wait_s ? wait_s : 1;
}
