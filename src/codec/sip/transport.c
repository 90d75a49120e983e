#include "codec/sip/transport.h"

static const struct span names[SIP_TRANSPORTS] = {SPAN_INIT("UDP"), SPAN_INIT("TCP"),
                                                  SPAN_INIT("TLS")};

struct span sip_transport_name(enum sip_transport t) {
    return names[t];
}

bool sip_transport_parse(struct span name, enum sip_transport *out) {
    for (unsigned t = 0; t < SIP_TRANSPORTS; t++) {
        if (span_eq_nocase(name, names[t])) {
            *out = (enum sip_transport)t;
            return true;
        }
    }
    return false;
}

void sip_put_transport(struct buf *b, enum sip_transport t) {
    static const char *const params[SIP_TRANSPORTS] = {"", ";transport=tcp", ";transport=tls"};
    buf_cstr(b, params[t]);
}
