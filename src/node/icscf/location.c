/* Requests other than REGISTER that arrive for a user of this network: TS 24.229 5.3.2.1, TS 29.228
 * 6.1.4.
 *
 *     LIR/LIA -> the S-CSCF of the LIA, by name or capabilities -> its address -> forward
 *
 * The Request-URI stays; the S-CSCF's name becomes the first Route. Served are subscriptions to
 * registration state; sessions are not. Choice: an S-CSCF that does not answer gives 504. */
#include "codec/sip/headers.h"
#include "model/registration/request.h"
#include "node/icscf/internal.h"
#include "spec/diameter_base.h"

void icscf_edit_route(const struct operation *op, struct sip_edits *edits) {
    const struct sip_msg *req = sip_server_request(op->up);
    if (sip_route_is_own(req, op->i->config.host, op->i->config.sip.addr.port)) {
        sip_edit_pop(edits, SIP_H_ROUTE);
    }
}

static void on_lia(void *ctx, const struct diameter_msg *msg) {
    struct operation *op = (struct operation *)ctx;
    if (!diameter_result_is_success(msg->result)) {
        icscf_hss_refused(op, msg->result);
        return;
    }
    struct cx_lia lia;
    struct diameter_fault fault;
    if (cx_lia_decode(sip_server_arena(op->up), msg, &lia, &fault) != OK) {
        op->i->counters.hss_failed++;
        op->detail = span_from_cstr(fault.text);
        icscf_operation_refuse(op, 480, REASON_HSS_UNREADABLE);
        return;
    }
    icscf_note(op, STEP_HSS_ANSWERED, msg->result.code,
               lia.server_name.n ? lia.server_name : SPAN("capabilities, or any S-CSCF"));
    if (lia.server_name.n) {
        icscf_go_to(op, lia.server_name);
    } else { /* for services of the unregistered state */
        icscf_keep_capabilities(op, lia.server_capabilities);
        icscf_choose(op);
    }
}

static const struct diameter_answer_handler lia_handler = {on_lia, icscf_hss_silent};

void icscf_locate(struct icscf *i, struct sip_server *up, const struct sip_msg *req) {
    i->counters.located++;
    struct operation *op = icscf_operation_begin(i, up);
    if (!op) {
        return;
    }
    op->locates = op->settled = true;
    char text[ICSCF_IDENTITY_MAX];
    bool failed = false;
    struct buf b = buf_init(text, sizeof text);
    if (registration_put_impu(&b, &req->uri) != OK) {
        icscf_operation_refuse(op, 404, REASON_USER_UNKNOWN);
        return;
    }
    op->impu = icscf_kept_text(op, &b, &failed);
    if (failed) {
        icscf_operation_refuse(op, 400, REASON_IDENTITY_TOO_LONG);
        return;
    }
    const struct diameter_route route = {.application = CX_APPLICATION,
                                         .command = CX_COMMAND_LOCATION_INFO,
                                         .realm = i->config.hss_realm};
    struct diameter_builder *builder = diameter_request_begin(i->diameter, &route);
    enum error e = ERR_NO_MEMORY;
    if (builder) {
        cx_lir_encode(builder, &(struct cx_lir){.public_identity = op->impu});
        e = diameter_request_send(i->diameter, &lia_handler, op, NULL);
    }
    if (e != OK) {
        icscf_hss_silent(op, e);
        return;
    }
    i->counters.lir++;
    icscf_note(op, STEP_HSS_ASKED, 0, SPAN("LIR"));
}
