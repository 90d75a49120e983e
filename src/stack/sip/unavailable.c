#include "stack/sip/unavailable.h"

#include "codec/sip/headers.h"

enum reason sip_warning_reason(const struct sip_msg *answer) {
    struct sip_list list = sip_list_of(answer, SIP_H_WARNING);
    struct span value;
    while (sip_list_next(&list, &value)) {
        struct sip_warning w;
        if (sip_warning_parse(value, &w) == OK && w.code == 399) {
            size_t colon = span_find_char(w.text, ':');
            enum reason why = reason_of(span_slice(w.text, 0, colon));
            if (why != REASON_NONE && colon < w.text.n) {
                return why;
            }
        }
    }
    return REASON_NONE;
}

enum sip_voice sip_voice_of(const struct sip_msg *answer) {
    if (answer->status != 503) {
        return SIP_VOICE_END;
    }
    enum reason why = sip_warning_reason(answer);
    if (why != REASON_NONE) {
        return reason_is_of_hop(why) ? SIP_VOICE_NODE : SIP_VOICE_END;
    }
    return sip_has(answer, SIP_H_RETRY_AFTER) ? SIP_VOICE_END : SIP_VOICE_HOP;
}

enum sip_unavailable_action sip_unavailable_action(enum sip_voice voice, bool has_next) {
    static const enum sip_unavailable_action actions[SIP_VOICES][2] = {
        /*                  no other hop is left     there is another */
        [SIP_VOICE_END] = {SIP_UNAVAILABLE_RELAY, SIP_UNAVAILABLE_RELAY},
        [SIP_VOICE_NODE] = {SIP_UNAVAILABLE_RELAY, SIP_UNAVAILABLE_NEXT},
        [SIP_VOICE_HOP] = {SIP_UNAVAILABLE_AS_500, SIP_UNAVAILABLE_NEXT},
    };
    return actions[voice][has_next];
}
