/* TS 24.229 5.3.1.2: all mandatory capabilities; then as many optional ones as can be had. Open
 * choices: equals share the load by weight; an S-CSCF that the HSS names but the operator did not
 * configure is not chosen. */
#include "model/selection/selection.h"

static bool has_capability(const struct selection_scscf *s, uint32_t capability) {
    for (size_t i = 0; i < s->n_capabilities; i++) {
        if (s->capabilities[i] == capability) {
            return true;
        }
    }
    return false;
}

static size_t count_of(const struct selection_scscf *s, const uint32_t *wanted, size_t n) {
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        count += has_capability(s, wanted[i]);
    }
    return count;
}

/* Host and port of a SIP URI, as far as names of servers need it: without scheme, user part,
 * parameters and headers. */
static struct span host_port(struct span uri) {
    if (span_starts_with_nocase(uri, SPAN("sip:"))) {
        uri = span_after(uri, 4);
    } else if (span_starts_with_nocase(uri, SPAN("sips:"))) {
        uri = span_after(uri, 5);
    }
    uri = span_slice(uri, 0, span_find_char(uri, ';'));
    uri = span_slice(uri, 0, span_find_char(uri, '?'));
    size_t at = span_find_char(uri, '@');
    return at < uri.n ? span_after(uri, at + 1) : uri;
}

int selection_by_name(const struct selection_scscf *list, size_t n, struct span name) {
    struct span wanted = host_port(name);
    for (size_t i = 0; i < n; i++) {
        if (wanted.n && span_eq_nocase(host_port(list[i].name), wanted)) {
            return (int)i;
        }
    }
    return -1;
}

static bool is_capable(const struct selection_scscf *list, size_t i,
                       const struct selection_request *request) {
    return !(request->tried >> i & 1) &&
           count_of(&list[i], request->mandatory, request->n_mandatory) == request->n_mandatory;
}

/* Servers that the HSS names come first, in its order. */
static int choose_named(const struct selection_scscf *list, size_t n,
                        const struct selection_request *request) {
    for (size_t k = 0; k < request->n_names; k++) {
        int i = selection_by_name(list, n, request->names[k]);
        if (i >= 0 && is_capable(list, (size_t)i, request)) {
            return i;
        }
    }
    return -1;
}

static uint32_t weight_of(const struct selection_scscf *s) {
    return s->weight ? s->weight : 1;
}

int selection_choose(const struct selection_scscf *list, size_t n,
                     const struct selection_request *request) {
    if (n > SELECTION_SCSCF_MAX) {
        n = SELECTION_SCSCF_MAX;
    }
    int named = choose_named(list, n, request);
    if (named >= 0) {
        return named;
    }
    uint64_t equals = 0, weights = 0;
    size_t best = 0;
    for (size_t i = 0; i < n; i++) {
        if (!is_capable(list, i, request)) {
            continue;
        }
        size_t optional = count_of(&list[i], request->optional, request->n_optional);
        if (!equals || optional > best) {
            best = optional;
            equals = weights = 0;
        }
        if (optional == best) {
            equals |= UINT64_C(1) << i;
            weights += weight_of(&list[i]);
        }
    }
    if (!equals) {
        return -1;
    }
    uint64_t at = (request->lot * weights) >> 32;
    for (size_t i = 0;; i++) {
        if (equals >> i & 1) {
            if (at < weight_of(&list[i])) {
                return (int)i;
            }
            at -= weight_of(&list[i]);
        }
    }
}
