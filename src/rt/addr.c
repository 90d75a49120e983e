#include "rt/addr.h"

#include "base/htab.h"

#include <arpa/inet.h>

bool addr_parse_host(struct span text, uint16_t port, struct addr *out) {
    char host[INET6_ADDRSTRLEN];
    bool brackets = text.n >= 2 && text.p[0] == '[' && text.p[text.n - 1] == ']';
    if (brackets) {
        text = span_slice(text, 1, text.n - 1);
    }
    if (!span_to_cstr(text, host, sizeof host)) {
        return false;
    }
    struct addr a = {.port = port};
    if (!brackets && inet_pton(AF_INET, host, a.ip) == 1) {
        a.family = 4;
    } else if (inet_pton(AF_INET6, host, a.ip) == 1) {
        a.family = 6;
    } else {
        return false;
    }
    *out = a;
    return true;
}

bool addr_parse(struct span text, struct addr *out) {
    size_t colon = text.n;
    while (colon > 0 && text.p[colon - 1] != ':') {
        colon--;
    }
    if (colon < 2) {
        return false;
    }
    struct span host = span_slice(text, 0, colon - 1);
    uint32_t port;
    if (!span_to_u32(span_after(text, colon), UINT16_MAX, &port)) {
        return false;
    }
    /* "2001:db8::1:5060" could be read in two ways and is refused. */
    if (host.p[0] != '[' && span_find_char(host, ':') < host.n) {
        return false;
    }
    return addr_parse_host(host, (uint16_t)port, out);
}

void addr_put_host(struct buf *b, const struct addr *a) {
    char text[INET6_ADDRSTRLEN] = "";
    switch (a->family) {
    case 4:
        for (int i = 0; i < 4; i++) {
            if (i > 0) {
                buf_char(b, '.');
            }
            buf_u64(b, a->ip[i]);
        }
        break;
    case 6:
        inet_ntop(AF_INET6, a->ip, text, sizeof text);
        buf_char(b, '[');
        buf_cstr(b, text);
        buf_char(b, ']');
        break;
    default:
        buf_cstr(b, "none");
    }
}

void addr_put(struct buf *b, const struct addr *a) {
    addr_put_host(b, a);
    buf_char(b, ':');
    buf_u64(b, a->port);
}

uint64_t addr_hash(const struct addr *a) {
    uint8_t key[sizeof a->ip + 3];
    memcpy(key, a->ip, sizeof a->ip);
    key[16] = a->family;
    key[17] = (uint8_t)(a->port >> 8);
    key[18] = (uint8_t)a->port;
    return hash_bytes(span_of(key, sizeof key));
}
