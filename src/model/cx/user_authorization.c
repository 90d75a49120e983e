/* TS 29.228 6.1.1.1, its steps in its order. Choices that it leaves open:
 * - An S-CSCF that was softly noted by a MAR counts as assigned: the second REGISTER of a
 *   registration finds the S-CSCF that challenged.
 * - De-registration of an identity that is not registered is refused, whoever serves the rest of
 *   the subscription. */
#include "model/cx/user_authorization.h"

static struct user_authorization just(enum cx_result result) {
    return (struct user_authorization){.result = result};
}

struct user_authorization user_authorize(const struct subscription *s,
                                         const struct user_authorization_request *request,
                                         struct span home_domain) {
    struct rec_impi impi;
    struct rec_impu impu;
    enum cx_result matched =
        cx_match(s, request->impi, request->impu, request->impi_elsewhere, &impi, &impu);

    if (matched != CX_SUCCESS) {
        return just(matched); /* steps 1 and 2 */
    }
    unsigned set = rec_impu_set(impu);
    if (!request->emergency && rec_impu_barred(impu) && !subscription_has_unbarred(s->data, set)) {
        return just(CX_AUTHORIZATION_REJECTED); /* step 3 */
    }
    if (!request->emergency && request->type != CX_USER_AUTHORIZATION_TYPE_DE_REGISTRATION &&
        !subscription_may_roam(impu, request->visited_network, home_domain)) {
        return just(CX_ROAMING_NOT_ALLOWED); /* step 4 */
    }
    if (request->type == CX_USER_AUTHORIZATION_TYPE_REGISTRATION_AND_CAPABILITIES) {
        return (struct user_authorization){
            .result = CX_SUCCESS, .send_capabilities = true, .note_reassignment_pending = true};
    }
    if (request->type == CX_USER_AUTHORIZATION_TYPE_DE_REGISTRATION) { /* step 5 */
        if (registration_of(&s->state, set) == NOT_REGISTERED) {
            return just(CX_IDENTITY_NOT_REGISTERED);
        }
        return (struct user_authorization){.result = CX_SUCCESS, .send_server_name = true};
    }
    if (subscription_scscf(s).n) {
        return (struct user_authorization){.result = CX_SUBSEQUENT_REGISTRATION,
                                           .send_server_name = true};
    }
    return (struct user_authorization){.result = CX_FIRST_REGISTRATION, .send_capabilities = true};
}
