/* TS 29.228 6.3.1. Choices that it leaves open:
 * - "Unknown" and an empty scheme ask for whatever the IMPI has: a terminal whose first REGISTER
 *   does not say what it can do (TS 24.229 5.4.1.1, no Authorization) is offered all of it, and
 *   picks. Several credentials are several SIP-Auth-Data-Items, SIP Digest first.
 * - A MAR from another S-CSCF overwrites the name, with a resynchronisation too: after a crash the
 *   note of the first MAR is lost, and the resynchronisation has to work all the same.
 * - Authentication becomes pending also for a registered identity if another S-CSCF asks. */
#include "model/cx/multimedia_auth.h"

enum { ALL = MULTIMEDIA_AUTH_AKA | MULTIMEDIA_AUTH_DIGEST };

static const struct {
    struct span name;
    unsigned schemes;
} names[] = {
    {SPAN_INIT("Digest-AKAv1-MD5"), MULTIMEDIA_AUTH_AKA},
    {SPAN_INIT("Digest-AKAv2-SHA-256"), MULTIMEDIA_AUTH_AKA},
    {SPAN_INIT("SIP Digest"), MULTIMEDIA_AUTH_DIGEST},
    {SPAN_INIT("Unknown"), ALL},
};

unsigned multimedia_auth_schemes_of(struct span scheme) {
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (span_eq_nocase(scheme, names[i].name)) {
            return names[i].schemes;
        }
    }
    return scheme.n ? 0 : ALL;
}

struct span multimedia_auth_scheme_name(enum multimedia_auth_scheme scheme) {
    return scheme == MULTIMEDIA_AUTH_AKA ? SPAN("Digest-AKAv1-MD5") : SPAN("SIP Digest");
}

/* What the IMPI has credentials for. */
static unsigned schemes_of_impi(struct rec_impi impi) {
    unsigned schemes = rec_impi_has_aka(impi) ? MULTIMEDIA_AUTH_AKA : 0;

    if (rec_impi_has_digest_md5(impi) || rec_impi_has_digest_sha256(impi)) {
        schemes |= MULTIMEDIA_AUTH_DIGEST;
    }
    return schemes;
}

struct multimedia_auth multimedia_authenticate(const struct subscription *s,
                                               const struct multimedia_auth_request *request) {
    struct multimedia_auth out = {.result = CX_SUCCESS};
    struct rec_impi impi;
    struct rec_impu impu;

    out.result = cx_match(s, request->impi, request->impu, request->impi_elsewhere, &impi, &impu);
    if (out.result != CX_SUCCESS) {
        return out; /* steps 1 and 2 */
    }
    unsigned asked = multimedia_auth_schemes_of(request->scheme);
    out.schemes = asked & schemes_of_impi(impi);
    if (out.schemes == 0 || (request->resynchronise && asked != MULTIMEDIA_AUTH_AKA)) {
        out.result = CX_AUTH_SCHEME_NOT_SUPPORTED; /* step 3 */
        return out;
    }
    out.impi_slot = rec_impi_slot(impi);
    out.note_server = !span_eq(request->server_name, subscription_scscf(s));
    out.note_pending =
        out.note_server || registration_of(&s->state, rec_impu_set(impu)) != REGISTERED;
    return out;
}
