#include "model/registration/share.h"

#include "model/registration/request.h"

enum { PCSCF_BY_DEFAULT = 1, SUBNET_BYTES = 8 };

/* Does this Via name the node that wrote the Path value? */
static bool is_of(const struct sip_via *via, const struct sip_address *path) {
    return path->uri.host.n && via->port == path->uri.port &&
           span_eq_nocase(via->host, path->uri.host);
}

static struct addr address_of(const struct sip_via *via) {
    struct addr a;
    struct span host = via->received.n ? via->received : via->host;
    return addr_parse_host(host, via->rport_value, &a) ? a : (struct addr){0};
}

struct addr share_source_of(const struct sip_msg *req) {
    struct sip_address path;
    struct addr by_default = {0};
    bool has_path = registration_first_hop(req, &path), is_next = false;
    struct sip_list list = sip_list_of(req, SIP_H_VIA);
    size_t n = 0;
    for (struct sip_via via; sip_via_next(&list, &via); n++) {
        if (is_next) {
            return address_of(&via);
        }
        if (n <= PCSCF_BY_DEFAULT + 1) {
            by_default = address_of(&via);
        }
        is_next = has_path && is_of(&via, &path);
    }
    return by_default;
}

typedef bool same_fn(const struct addr *a, const struct addr *b);

static bool same_host(const struct addr *a, const struct addr *b) {
    return a->family == b->family &&
           memcmp(a->ip, b->ip, a->family == 6 ? SUBNET_BYTES : sizeof a->ip) == 0;
}

static size_t count(const struct addr *sources, size_t n, const struct addr *of, same_fn *same) {
    size_t members = 0;
    for (size_t i = 0; i < n; i++) {
        members += same(&sources[i], of);
    }
    return members;
}

/* The first of the largest group; only those of a host, if host is not NULL. */
static size_t first_of_largest(const struct addr *sources, size_t n, same_fn *same,
                               const struct addr *host) {
    size_t first = n, most = 0;
    for (size_t i = 0; i < n; i++) {
        if (!host || same_host(&sources[i], host)) {
            size_t members = count(sources, n, &sources[i], same);
            if (members > most) {
                most = members;
                first = i;
            }
        }
    }
    return first;
}

size_t share_yields(const struct share_bounds *bounds, const struct addr *sources, size_t n,
                    size_t newest) {
    const struct addr *who = &sources[newest];
    if (count(sources, n, who, addr_eq) > bounds->of_source) {
        size_t first = 0;
        while (!addr_eq(&sources[first], who)) {
            first++;
        }
        return first;
    }
    if (count(sources, n, who, same_host) <= bounds->of_host) {
        if (n <= bounds->of_all) {
            return n;
        }
        who = &sources[first_of_largest(sources, n, same_host, NULL)];
    }
    return first_of_largest(sources, n, addr_eq, who);
}
