#include "stack/sip/refuse.h"

#include "codec/sip/headers.h"
#include "obs/journal.h"

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

void sip_refuse(struct sip_server *up, const struct sip_refusal *r) {
    sip_refuse_note(up, r);
    bool trusted = r->host.n > 0;
    struct buf *b =
        sip_reply_begin(up, r->status, trusted ? SPAN_NONE : span_from_cstr(reason_text(r->why)));
    if (r->min_expires_s) {
        sip_put_number(b, SIP_H_MIN_EXPIRES, r->min_expires_s);
    }
    if (r->retry_after_s) {
        sip_put_number(b, SIP_H_RETRY_AFTER, r->retry_after_s);
    }
    if (trusted) {
        char text[256];
        struct buf warning = buf_init(text, sizeof text);
        buf_printf(&warning, "%s: %s", reason_name(r->why), reason_text(r->why));
        sip_put_begin(b, SIP_H_WARNING);
        buf_cstr(b, "399 ");
        buf_put(b, r->host);
        buf_char(b, ' ');
        sip_put_quoted(b, buf_span(&warning));
        sip_put_end(b);
    }
    (void)sip_reply_send(up, SPAN_NONE);
}
