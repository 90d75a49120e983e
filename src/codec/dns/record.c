#include "codec/dns/dns.h"

static const struct {
    const char *name;
    uint16_t number;
} types[DNS_TYPES] = {
    [DNS_A] = {"A", 1},          [DNS_AAAA] = {"AAAA", 28},  [DNS_SRV] = {"SRV", 33},
    [DNS_NAPTR] = {"NAPTR", 35}, [DNS_CNAME] = {"CNAME", 5},
};

const char *dns_type_name(enum dns_type type) {
    return types[type].name;
}

uint16_t dns_type_number(enum dns_type type) {
    return types[type].number;
}

/* An address without the brackets that SIP puts around IPv6. */
static void put_address(struct buf *b, const struct addr *a) {
    char text[64];
    struct buf host = buf_init(text, sizeof text);
    addr_put_host(&host, a);
    struct span s = buf_span(&host);
    buf_put(b, s.n > 2 && s.p[0] == '[' ? span_slice(s, 1, s.n - 1) : s);
}

void dns_name_print(struct buf *b, struct span name, struct span origin) {
    size_t own = name.n - origin.n - 1; /* what stands before ".ORIGIN" */
    if (origin.n && span_eq_nocase(name, origin)) {
        buf_char(b, '@');
    } else if (origin.n && name.n > origin.n + 1 && name.p[own] == '.' &&
               span_eq_nocase(span_after(name, own + 1), origin)) {
        buf_put(b, span_slice(name, 0, own));
    } else {
        buf_put(b, name);
        if (!span_eq(name, SPAN("."))) {
            buf_char(b, '.');
        }
    }
}

void dns_data_print(struct buf *b, const struct dns_record *r, struct span origin) {
    switch (r->type) {
    case DNS_SRV:
        buf_printf(b, "%u %u %u ", r->srv.priority, r->srv.weight, r->srv.port);
        dns_name_print(b, r->srv.target, origin);
        break;
    case DNS_NAPTR:
        buf_printf(b, "%u %u \"%.*s\" \"%.*s\" \"\" ", r->naptr.order, r->naptr.preference,
                   SPAN_ARG(r->naptr.flags), SPAN_ARG(r->naptr.service));
        dns_name_print(b, r->naptr.replacement, origin);
        break;
    case DNS_CNAME:
        dns_name_print(b, r->alias, origin);
        break;
    default:
        put_address(b, &r->address);
    }
}

void dns_record_print(struct buf *b, const struct dns_record *r) {
    dns_name_print(b, r->name, SPAN_NONE);
    buf_char(b, ' ');
    buf_u64(b, r->ttl_s);
    buf_printf(b, " IN %s ", dns_type_name(r->type));
    dns_data_print(b, r, SPAN_NONE);
    buf_char(b, '\n');
}
