/* Admission under overload: admission.h.
 *
 * Choices. An interval is 100 ms. Two seconds in which nothing was shed end the overload. A queue
 * shorter than two turns of the loop cannot be told from none: on slow machines the target is that
 * long (the mean of an interval), at most ten times what was asked for. It is a flood when the
 * shortest wait of an interval in which a class was refused is half as long again as that class may
 * wait, and as long as the dropping goes on; a stall of the machine makes no flood. A stream's
 * request is judged by the wait of the last datagram, if that is not older than an interval: both
 * are served by the same loop. Patience grows by class, and is bounded for emergencies too, so that
 * who only claims one cannot make all others wait for seconds. */
#include "stack/sip/admission.h"

#include "codec/sip/headers.h"

enum {
    INTERVAL_US = 100000,
    QUIET_INTERVALS = 20,
    TURNS = 2,
    STRETCH_MAX = 10,
    RETRY_MIN_S = 5,
    RETRY_MAX_S = 15
};

/* What a class may have waited, in targets. */
static const uint64_t patience[SIP_CLASSES] = {1, 3, 8, 16};

static void begin_interval(struct sip_admission *a, uint64_t now_us) {
    a->interval_us = now_us;
    a->shortest_us = UINT64_MAX;
    a->turns = 0;
    a->shed = a->dropped = 0;
    a->lowest = SIP_CLASS_EMERGENCY;
}

/* From when on a class is dropped in a flood. */
static uint64_t too_long_us(const struct sip_admission *a, enum sip_class class) {
    return a->target_us * patience[class] * 3 / 2;
}

static void end_interval(struct sip_admission *a, uint64_t now_us) {
    uint64_t most = STRETCH_MAX * a->policy.target_us;
    uint64_t turns = TURNS * (now_us - a->interval_us) / (a->turns ? a->turns : 1);
    a->flooded =
        a->limiting && a->shed && (a->dropped || a->shortest_us > too_long_us(a, a->lowest));
    a->target_us = a->policy.target_us;
    if (!a->limiting) {
        a->limiting = a->shortest_us > a->policy.target_us;
        a->quiet = 0;
    } else if (a->shed) {
        a->quiet = 0;
        a->target_us = turns > most ? most : turns > a->target_us ? turns : a->target_us;
    } else if (++a->quiet >= QUIET_INTERVALS) {
        a->limiting = false;
    }
    begin_interval(a, now_us);
}

void sip_admission_waited(struct sip_admission *a, uint64_t now_us, uint64_t waited_us) {
    if (a->policy.target_us == 0) {
        return;
    }
    if (a->interval_us == 0 || now_us - a->interval_us > UINT64_C(10) * INTERVAL_US) {
        a->limiting = a->flooded = false; /* the first, or after silence, in which nothing waited */
        a->target_us = a->policy.target_us;
        begin_interval(a, now_us);
    } else if (now_us - a->interval_us >= INTERVAL_US) {
        end_interval(a, now_us);
    }
    a->turns += now_us != a->waited_at_us;
    if (waited_us < a->shortest_us) {
        a->shortest_us = waited_us;
    }
    a->waited_us = waited_us;
    a->waited_at_us = now_us;
}

bool sip_admission_asks(const struct sip_admission *a, uint64_t now_us) {
    return a->limiting && a->waited_us > a->target_us && now_us - a->waited_at_us <= INTERVAL_US;
}

enum sip_fate sip_admission_decide(const struct sip_admission *a, uint64_t now_us,
                                   enum sip_class class) {
    if (!sip_admission_asks(a, now_us) || a->waited_us <= a->target_us * patience[class]) {
        return SIP_FATE_TAKE;
    }
    return a->flooded && a->waited_us > too_long_us(a, class) ? SIP_FATE_DROP : SIP_FATE_REFUSE;
}

enum sip_fate sip_admission_take(struct sip_admission *a, uint64_t now_us, enum sip_class class) {
    enum sip_fate fate = sip_admission_decide(a, now_us, class);
    if (fate != SIP_FATE_TAKE) {
        a->shed++;
        a->dropped += fate == SIP_FATE_DROP;
        a->lowest = class < a->lowest ? class : a->lowest;
    }
    return fate;
}

bool sip_looks_initial(struct span bytes) {
    static const char *const more[] = {"nonce=", "nonce ", ";sos", "esnet.", "mergency"};
    if (!span_starts_with(bytes, SPAN("REGISTER "))) {
        return false;
    }
    size_t head = span_find(bytes, SPAN("\r\n\r\n"));
    bytes = span_slice(bytes, 0, head);
    size_t nonce = span_find(bytes, SPAN("nonce=\"\""));
    for (size_t i = 0; i < sizeof more / sizeof *more; i++) {
        size_t at = span_find(bytes, span_from_cstr(more[i]));
        if (at < bytes.n && at != nonce) {
            return false;
        }
    }
    return true;
}

/* Can there be a URI with the parameter in the text? A glance, for most requests are refused. */
static bool may_have_sos(struct span text) {
    for (size_t at; (at = span_find_char(text, ';')) < text.n;) {
        text = span_slice(text, at + 1, text.n);
        if (span_starts_with_nocase(text, SPAN("sos"))) {
            return true;
        }
    }
    return false;
}

static bool has_sos_contact(const struct sip_msg *req) {
    struct sip_list list = sip_list_of(req, SIP_H_CONTACT);
    struct sip_contact c;
    struct span text, value;
    while (sip_list_next(&list, &text)) {
        struct sip_list one = sip_list_of_text(text);
        if (may_have_sos(text) && sip_contact_next(&one, &c) && !c.address.star &&
            sip_uri_param(&c.address.uri, SPAN("sos"), &value)) {
            return true;
        }
    }
    return false;
}

static bool is_emergency(const struct sip_msg *req) {
    return span_starts_with_nocase(req->request_uri, SPAN("urn:service:sos")) ||
           span_eq_nocase(sip_value(req, SIP_H_PRIORITY), SPAN("emergency")) ||
           span_starts_with_nocase(sip_value(req, SIP_H_RESOURCE_PRIORITY), SPAN("esnet.")) ||
           (req->method == SIP_REGISTER && has_sos_contact(req));
}

enum sip_class sip_class_of(const struct sip_msg *req) {
    struct sip_auth auth;
    if (is_emergency(req)) {
        return SIP_CLASS_EMERGENCY;
    }
    if (req->to_tag.n) {
        return SIP_CLASS_KNOWN;
    }
    return sip_digest_of(req, SIP_H_AUTHORIZATION, &auth) == OK && auth.nonce.n
               ? SIP_CLASS_CONTINUES
               : SIP_CLASS_INITIAL;
}

uint32_t sip_retry_after(const struct sip_admission_policy *policy, uint64_t lot) {
    uint32_t least = policy->retry_min_s ? policy->retry_min_s : RETRY_MIN_S;
    uint32_t most = policy->retry_max_s ? policy->retry_max_s : RETRY_MAX_S;
    return most > least ? least + (uint32_t)(lot % (most - least + 1)) : least;
}
