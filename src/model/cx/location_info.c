/* TS 29.228 6.1.4.1. Choices that it leaves open: a request for capabilities (the S-CSCF cannot be
 * reached) is answered with them in every state in which the user gets service at all. */
#include "model/cx/location_info.h"

struct location_info location_inform(const struct subscription *s,
                                     const struct location_info_request *request) {
    struct rec_impu impu;

    if (!s || !subscription_impu(s->data, request->impu, &impu)) {
        return (struct location_info){.result = CX_USER_UNKNOWN}; /* step 1 */
    }
    struct span wildcard =
        subscription_is_wildcard(rec_impu_type(impu)) ? rec_impu_identity(impu) : SPAN_NONE;
    if (rec_impu_inactive(impu)) { /* step 2, of public service identities */
        return (struct location_info){.result = CX_USER_UNKNOWN};
    }
    if (rec_impu_server_name(impu).n && !request->originating) {
        return (struct location_info){
            .result = CX_SUCCESS, .direct = rec_impu_server_name(impu), .wildcard = wildcard};
    }
    enum registration_state state = registration_of(&s->state, rec_impu_set(impu));
    if (state == NOT_REGISTERED && !request->originating && !request->unregistered_services) {
        return (struct location_info){.result = CX_IDENTITY_NOT_REGISTERED}; /* step 3 */
    }
    if (request->with_capabilities) { /* step 2a */
        return (struct location_info){.result = CX_SUCCESS,
                                      .send_capabilities = true,
                                      .note_reassignment_pending = true,
                                      .wildcard = wildcard};
    }
    if (subscription_scscf(s).n) {
        return (struct location_info){
            .result = CX_SUCCESS, .send_server_name = true, .wildcard = wildcard};
    }
    return (struct location_info){
        .result = CX_UNREGISTERED_SERVICE, .send_capabilities = true, .wildcard = wildcard};
}
