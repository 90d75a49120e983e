/* Admission under overload: admission.h.
 *
 * Choices. An interval is 100 ms. At its end, a shortest wait above the target that has not become
 * shorter takes a tenth off the rate; one below it adds 3 % if anything was shed, below half of it
 * 10 %. Two seconds without shedding end it. The bucket holds 50 ms of the rate; an emergency may
 * take it four times as deep into debt, and no deeper, so that who only claims one cannot take all.
 */
#include "stack/sip/admission.h"

#include "codec/sip/headers.h"

enum { INTERVAL_US = 100000, QUIET_INTERVALS = 20, RETRY_MIN_S = 5, RETRY_MAX_S = 15 };

static const double RATE_MIN = 100, DEPTH_S = 0.05, DEPTH_MIN = 5;

/* Debt that a class may take, in depths of the bucket. */
static const double debts[SIP_CLASSES] = {0, 1, 2, 4};

static double depth(const struct sip_admission *a) {
    double d = a->rate * DEPTH_S;
    return d > DEPTH_MIN ? d : DEPTH_MIN;
}

static void set_rate(struct sip_admission *a, double rate) {
    a->rate = rate > RATE_MIN ? rate : RATE_MIN;
}

static void begin_limiting(struct sip_admission *a, uint64_t now_us) {
    set_rate(a, a->admitted * 1e6 / (double)(now_us - a->interval_us));
    a->limiting = true;
    a->tokens = 0;
    a->filled_us = now_us;
    a->quiet = 0;
}

static void end_interval(struct sip_admission *a, uint64_t now_us) {
    bool waits = a->shortest_us > a->policy.target_us;
    if (!a->limiting) {
        if (waits) {
            begin_limiting(a, now_us);
        }
    } else if (waits) {
        /* A queue that is getting shorter needs no lower rate. */
        set_rate(a, a->rate * (a->shortest_us >= a->before_us ? 0.9 : 1));
        a->quiet = 0;
    } else if (a->shed) {
        bool far = a->shortest_us < a->policy.target_us / 2;
        set_rate(a, a->rate * (far ? 1.1 : 1.03));
        a->quiet = 0;
    } else if (++a->quiet >= QUIET_INTERVALS) {
        a->limiting = false;
    }
    a->interval_us = now_us;
    a->before_us = a->shortest_us;
    a->shortest_us = UINT64_MAX;
    a->admitted = a->shed = 0;
}

void sip_admission_waited(struct sip_admission *a, uint64_t now_us, uint64_t waited_us) {
    if (a->policy.target_us == 0) {
        return;
    }
    if (a->interval_us == 0 || now_us - a->interval_us > UINT64_C(10) * INTERVAL_US) {
        a->interval_us = now_us; /* the first, or after silence, in which nothing waited */
        a->shortest_us = UINT64_MAX;
        a->admitted = a->shed = 0;
        a->limiting = false;
    } else if (now_us - a->interval_us >= INTERVAL_US) {
        end_interval(a, now_us);
    }
    if (waited_us < a->shortest_us) {
        a->shortest_us = waited_us;
    }
}

bool sip_admission_take(struct sip_admission *a, uint64_t now_us, enum sip_class class) {
    if (a->limiting) {
        double most = depth(a);
        a->tokens += (double)(now_us - a->filled_us) * a->rate / 1e6;
        a->tokens = a->tokens < most ? a->tokens : most;
        a->filled_us = now_us;
        if (a->tokens < 1 - debts[class] * most) {
            a->shed++;
            return false;
        }
        a->tokens -= 1;
    }
    a->admitted++;
    return true;
}

static bool has_sos_contact(const struct sip_msg *req) {
    struct sip_list list = sip_list_of(req, SIP_H_CONTACT);
    struct sip_contact c;
    struct span value;
    while (sip_contact_next(&list, &c)) {
        if (!c.address.star && sip_uri_param(&c.address.uri, SPAN("sos"), &value)) {
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
    const struct sip_header *h = sip_header(req, SIP_H_AUTHORIZATION);
    return h && sip_auth_parse(h->value, &auth) == OK && auth.nonce.n ? SIP_CLASS_CONTINUES
                                                                      : SIP_CLASS_INITIAL;
}

uint32_t sip_retry_after(const struct sip_admission_policy *policy, uint64_t lot) {
    uint32_t least = policy->retry_min_s ? policy->retry_min_s : RETRY_MIN_S;
    uint32_t most = policy->retry_max_s ? policy->retry_max_s : RETRY_MAX_S;
    return most > least ? least + (uint32_t)(lot % (most - least + 1)) : least;
}
