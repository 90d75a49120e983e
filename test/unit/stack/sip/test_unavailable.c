/* What a proxy does with a final answer that says "not now", and when a refusal says when to come
 * again. */
#include "stack/sip/unavailable.h"

#include "base/arena.h"
#include "stack/sip/refuse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

enum { TEXT_MAX = 1024 };

static enum sip_voice voice_of(unsigned status, const char *lines) {
    struct chunk_pool pool;
    chunk_pool_init(&pool, 4096, 4);
    struct arena arena = arena_init(&pool);
    const struct sip_limits limits = sip_limits_default();
    char text[TEXT_MAX];
    int n = snprintf(text, sizeof text,
                     "SIP/2.0 %u Reason\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1\r\n"
                     "From: <sip:a@h>;tag=f\r\nTo: <sip:a@h>;tag=t\r\nCall-ID: c\r\n"
                     "CSeq: 1 REGISTER\r\n%sContent-Length: 0\r\n\r\n",
                     status, lines);
    struct sip_msg *answer;
    struct sip_fault fault;
    assert_int_equal(sip_parse(&arena, text, (size_t)n, &limits, &answer, &fault), OK);
    enum sip_voice voice = sip_voice_of(answer);
    arena_release(&arena);
    chunk_pool_free(&pool);
    return voice;
}

#define OVERLOAD "Warning: 399 scscf.home \"overload: Too many requests under way\"\r\n"
#define STOPPING "Warning: 399 scscf.home:6060 \"shutting-down: Shutting down\"\r\n"
#define BUSY     "Warning: 399 scscf.home \"identity-busy: Too many registrations\"\r\n"
#define LATER    "Retry-After: 7\r\n"

static void our_own_overload_is_told_apart(void **state) {
    (void)state;
    static const struct {
        unsigned status;
        const char *lines;
        enum sip_voice voice;
    } rows[] = {
        {503, OVERLOAD LATER, SIP_VOICE_NODE},
        {503, STOPPING LATER, SIP_VOICE_NODE},
        {503, "Warning: 370 x \"little\", 399 y \"overload: z\"\r\n", SIP_VOICE_NODE},
        {503, BUSY LATER, SIP_VOICE_END},
        {503, LATER, SIP_VOICE_END},
        {503, "Warning: 399 other.home \"overload\"\r\n" LATER, SIP_VOICE_END},
        {503, "Warning: 399 other.home \"no-such-reason: x\"\r\n" LATER, SIP_VOICE_END},
        {503, "", SIP_VOICE_HOP},
        {503, "Warning: 399 other.home \"tired\"\r\n", SIP_VOICE_HOP},
        {503, "Warning: overload\r\n", SIP_VOICE_HOP},
        {480, OVERLOAD LATER, SIP_VOICE_END},
        {500, LATER, SIP_VOICE_END},
        {403, "", SIP_VOICE_END},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(voice_of(rows[i].status, rows[i].lines), rows[i].voice);
    }
}

static void the_next_hop_is_tried_when_a_hop_means_itself(void **state) {
    (void)state;
    static const struct {
        enum sip_voice voice;
        enum sip_unavailable_action last, more;
    } rows[] = {
        {SIP_VOICE_END, SIP_UNAVAILABLE_RELAY, SIP_UNAVAILABLE_RELAY},
        {SIP_VOICE_NODE, SIP_UNAVAILABLE_RELAY, SIP_UNAVAILABLE_NEXT},
        {SIP_VOICE_HOP, SIP_UNAVAILABLE_AS_500, SIP_UNAVAILABLE_NEXT},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(sip_unavailable_action(rows[i].voice, false), rows[i].last);
        assert_int_equal(sip_unavailable_action(rows[i].voice, true), rows[i].more);
    }
}

static void a_refusal_says_when_to_come_again_if_it_passes(void **state) {
    (void)state;
    static const struct sip_admission_policy policy = {.retry_min_s = 20, .retry_max_s = 29};
    static const enum reason passing[] = {REASON_OVERLOAD,
                                          REASON_SHUTTING_DOWN,
                                          REASON_TOO_MANY_REGISTRATIONS,
                                          REASON_IDENTITY_BUSY,
                                          REASON_HSS_SILENT,
                                          REASON_HSS_BUSY,
                                          REASON_HSS_UNREACHABLE,
                                          REASON_HSS_UNABLE,
                                          REASON_HOME_NETWORK_SILENT,
                                          REASON_NO_SCSCF_ANSWERS,
                                          REASON_HOME_NETWORK_NOT_FOUND,
                                          REASON_OUT_OF_MEMORY,
                                          REASON_SCSCF_OUT_OF_ORDER};
    static const enum reason lasting[] = {REASON_USER_UNKNOWN, REASON_WRONG_RESPONSE,
                                          REASON_NO_CAPABLE_SCSCF, REASON_MALFORMED_TO};
    unsigned seen = 0;
    for (size_t i = 0; i < sizeof passing / sizeof *passing; i++) {
        const struct sip_refusal r = {.status = 503, .why = passing[i]};
        for (uint64_t lot = 0; lot < 50; lot++) {
            uint32_t s = sip_refusal_retry_after(&r, &policy, lot * 7919);
            assert_in_range(s, 20, 29);
            seen |= 1U << (s - 20);
        }
    }
    assert_int_equal(seen, (1U << 10) - 1); /* spread */
    for (size_t i = 0; i < sizeof lasting / sizeof *lasting; i++) {
        struct sip_refusal r = {.status = 403, .why = lasting[i]};
        assert_int_equal(sip_refusal_retry_after(&r, &policy, i), 0);
        r.later = true;
        assert_in_range(sip_refusal_retry_after(&r, &policy, i), 20, 29);
        r.retry_after_s = 3; /* known exactly */
        assert_int_equal(sip_refusal_retry_after(&r, &policy, i), 3);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(our_own_overload_is_told_apart),
        cmocka_unit_test(the_next_hop_is_tried_when_a_hop_means_itself),
        cmocka_unit_test(a_refusal_says_when_to_come_again_if_it_passes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
