#include "stack/sip/refuse.h"

#include "codec/sip/headers.h"
#include "obs/journal.h"
#include "stack/sip/internal.h"

static struct span subject(const struct sip_msg *req, const struct sip_refusal *r) {
    struct sip_address to;
    return r->impu.n                                  ? r->impu
           : sip_address_of(req, SIP_H_TO, &to) == OK ? to.uri_text
                                                      : sip_value(req, SIP_H_TO);
}

void sip_refuse_note(struct sip_server *up, const struct sip_refusal *r) {
    struct env *env = sip_stack_env(sip_server_stack(up));
    const struct sip_msg *req = sip_server_request(up);
    char text[80];
    struct buf from = buf_init(text, sizeof text);
    addr_put(&from, &sip_server_source(up)->addr);
    struct span impu = subject(req, r);
    LOG(&env->log, LOG_NOTICE, "request refused", LOG_SPAN("method", req->method_name),
        LOG_U64("status", r->status), LOG_CSTR("reason", reason_name(r->why)),
        LOG_CSTR("why", reason_text(r->why)), LOG_SPAN("impi", r->impi), LOG_SPAN("impu", impu),
        LOG_SPAN("detail", r->detail), LOG_SPAN("from", buf_span(&from)));
    journal_add(env, &(struct journal_note){.step = STEP_REFUSED,
                                            .reason = r->why,
                                            .status = r->status,
                                            .impi = r->impi,
                                            .impu = impu,
                                            .call_id = req->call_id,
                                            .detail = r->detail});
}

uint32_t sip_refusal_retry_after(const struct sip_refusal *r,
                                 const struct sip_admission_policy *policy, uint64_t lot) {
    return r->retry_after_s                    ? r->retry_after_s
           : r->later || reason_passes(r->why) ? sip_retry_after(policy, lot)
                                               : 0;
}

void sip_put_reason(struct buf *b, struct span host, enum reason why) {
    char text[256];
    struct buf warning = buf_init(text, sizeof text);
    buf_printf(&warning, "%s: %s", reason_name(why), reason_text(why));
    sip_put_begin(b, SIP_H_WARNING);
    buf_cstr(b, "399 ");
    buf_put(b, host);
    buf_char(b, ' ');
    sip_put_quoted(b, buf_span(&warning));
    sip_put_end(b);
}

void sip_refuse(struct sip_server *up, const struct sip_refusal *r) {
    struct sip_stack *stack = sip_server_stack(up);
    bool trusted = r->host.n > 0;
    uint64_t lot;
    sip_refuse_note(up, r);
    struct buf *b =
        sip_reply_begin(up, r->status, trusted ? SPAN_NONE : span_from_cstr(reason_text(r->why)));
    sip_stack_random(stack, &lot, sizeof lot);
    uint32_t retry_after_s = sip_refusal_retry_after(r, &stack->config.admission, lot);
    if (r->min_expires_s) {
        sip_put_number(b, SIP_H_MIN_EXPIRES, r->min_expires_s);
    }
    if (retry_after_s) {
        sip_put_number(b, SIP_H_RETRY_AFTER, retry_after_s);
    }
    if (trusted) {
        sip_put_reason(b, r->host, r->why);
    }
    (void)sip_reply_send(up, SPAN_NONE);
}
