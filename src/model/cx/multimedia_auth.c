/* TS 29.228 6.3.1. Choices that it leaves open:
 * - Credentials are for AKA, so "Unknown" and an empty scheme mean AKA where an IMPI has a key.
 * - A MAR from another S-CSCF overwrites the name, with a resynchronisation too: after a crash the
 *   note of the first MAR is lost, and the resynchronisation has to work all the same.
 * - Authentication becomes pending also for a registered identity if another S-CSCF asks. */
#include "model/cx/multimedia_auth.h"

struct span multimedia_auth_scheme(void) {
    return SPAN("Digest-AKAv1-MD5");
}

struct multimedia_auth multimedia_authenticate(const struct subscription *s,
                                               const struct multimedia_auth_request *request) {
    struct multimedia_auth out = {.result = CX_SUCCESS};
    struct rec_impi impi;
    struct rec_impu impu;
    struct span scheme = request->scheme;

    out.result = cx_match(s, request->impi, request->impu, request->impi_elsewhere, &impi, &impu);
    if (out.result != CX_SUCCESS) {
        return out; /* steps 1 and 2 */
    }
    bool open = scheme.n == 0 || span_eq_nocase(scheme, SPAN("Unknown"));
    if (!rec_impi_has_aka(impi) || (!open && !span_eq_nocase(scheme, multimedia_auth_scheme())) ||
        (open && request->resynchronise)) {
        out.result = CX_AUTH_SCHEME_NOT_SUPPORTED; /* step 3 */
        return out;
    }
    out.impi_slot = rec_impi_slot(impi);
    out.note_server = !span_eq(request->server_name, subscription_scscf(s));
    out.note_pending =
        out.note_server || registration_of(&s->state, rec_impu_set(impu)) != REGISTERED;
    return out;
}
