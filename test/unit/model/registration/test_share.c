/* covers: HA6 */
#include "model/registration/share.h"

#include "base/arena.h"
#include "rt/env.h"
#include "rt/sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct share_bounds bounds = {2, 4, 6};

/* Sources in short: "1:2" is 192.0.2.1 port 2, "a:2" 2001:db8:0:a::2. */
static struct addr source(const char *text) {
    if (text[0] >= 'a') {
        struct addr six = {.family = 6, .ip = {0x20, 0x01, 0x0d, 0xb8}};
        six.ip[7] = (uint8_t)text[0];
        six.ip[15] = (uint8_t)text[2];
        return six;
    }
    return addr_v4(192, 0, 2, (uint8_t)(text[0] - '0'), (uint16_t)(text[2] - '0'));
}

static void strangers_take_room_from_themselves(void **state) {
    static const struct {
        const char *stand[8]; /* the last one is the newest */
        size_t yields;        /* 9: nobody */
    } rows[] = {
        {{"1:1"}, 9},
        {{"1:1", "1:1"}, 9},
        {{"2:1", "1:1", "1:1", "1:1"}, 1},               /* a source */
        {{"2:1", "1:1", "1:2", "1:3", "1:4"}, 9},        /* a host, just */
        {{"2:1", "1:1", "1:2", "1:2", "1:3", "1:4"}, 2}, /* its source with the most */
        {{"2:1", "1:1", "1:2", "1:3", "1:4", "1:5"}, 1}, /* all alike: its oldest */
        {{"2:1", "3:1", "3:1", "1:1", "1:2", "1:3"}, 9},
        {{"2:1", "3:1", "3:1", "1:1", "1:2", "1:3", "4:1"}, 3}, /* all: the host with the most */
        {{"3:1", "2:1", "2:2", "1:1", "1:2", "1:2", "4:1"}, 4},
        {{"1:1", "2:1", "3:1", "4:1", "5:1", "6:1", "7:1"}, 0},
        {{"a:1", "b:1", "b:2", "b:3", "b:4", "b:5"}, 1}, /* a subnet of IPv6 is one host */
        {{"a:1", "a:2", "a:3"}, 9},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct addr sources[8];
        size_t n = 0;
        while (n < 8 && rows[i].stand[n]) {
            sources[n] = source(rows[i].stand[n]);
            n++;
        }
        size_t yields = share_yields(&bounds, sources, n, n - 1);
        if (yields != (rows[i].yields == 9 ? n : rows[i].yields)) {
            fail_msg("row %zu: %zu", i, yields);
        }
    }
}

#define VIA   "Via: SIP/2.0/UDP "
#define ICSCF VIA "icscf.home:4060;branch=z9hG4bK1\r\n"
#define PCSCF VIA "pcscf.home:5060;branch=z9hG4bK2\r\n"
#define PATH  "Path: <sip:ibcf.home;lr>, <sip:token@PCSCF.home:5060;lr;ob>\r\n"

static void the_source_is_what_the_pcscf_saw(void **state) {
    static const struct {
        const char *lines, *source;
    } rows[] = {
        {PATH ICSCF PCSCF VIA "10.0.0.1:5070;rport=4711;received=192.0.2.1;branch=z9hG4bK3\r\n",
         "192.0.2.1:4711"},
        {PATH ICSCF PCSCF VIA "192.0.2.1:5070;branch=z9hG4bK3\r\n", "192.0.2.1:0"},
        {PATH ICSCF PCSCF VIA "[2001:db8::9]:5070;received=2001:db8::1;branch=z9hG4bK3\r\n",
         "[2001:db8::1]:0"},
        /* what the terminal says further below does not count, whatever it is */
        {PATH ICSCF PCSCF VIA "192.0.2.1;branch=z9hG4bK3\r\n" VIA "192.0.2.7\r\n" PCSCF VIA
                              "192.0.2.8\r\n",
         "192.0.2.1:0"},
        /* without an I-CSCF, and with an IBCF */
        {PATH PCSCF VIA "192.0.2.1;branch=z9hG4bK3\r\n" VIA "192.0.2.7\r\n", "192.0.2.1:0"},
        {PATH ICSCF VIA "ibcf.home\r\n" PCSCF VIA "192.0.2.1\r\n" VIA "192.0.2.7\r\n",
         "192.0.2.1:0"},
        /* a P-CSCF whose Via is not named as its Path: behind the I-CSCF */
        {ICSCF PCSCF VIA "192.0.2.1;branch=z9hG4bK3\r\n" VIA "192.0.2.7\r\n", "192.0.2.1:0"},
        {PATH ICSCF VIA "192.0.2.5\r\n" VIA "192.0.2.1\r\n" VIA "192.0.2.7\r\n", "192.0.2.1:0"},
        {VIA "192.0.2.1:5060\r\n", "192.0.2.1:0"},
        {PATH ICSCF PCSCF VIA "phone.example;branch=z9hG4bK3\r\n", ""},
    };
    struct sim *sim;
    struct env *env;
    (void)state;
    assert_int_equal(sim_new(1, &sim), OK);
    assert_int_equal(sim_env_new(sim, "test", &env), OK);
    struct arena arena = arena_init(env->chunks);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char text[1024], said[64];
        struct buf b = buf_init(text, sizeof text), seen = buf_init(said, sizeof said);
        buf_cstr(&b, "REGISTER sip:home SIP/2.0\r\n");
        buf_cstr(&b, rows[i].lines);
        buf_cstr(&b, "From: <sip:a@home>;tag=1\r\nTo: <sip:a@home>\r\nCall-ID: c\r\n"
                     "CSeq: 1 REGISTER\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n");
        struct sip_limits limits = sip_limits_default();
        struct sip_fault fault;
        struct sip_msg *msg;
        assert_int_equal(sip_parse(&arena, text, b.n, &limits, &msg, &fault), OK);
        struct addr a = share_source_of(msg);
        if (a.family) {
            addr_put(&seen, &a);
        }
        if (!span_eq(buf_span(&seen), span_from_cstr(rows[i].source))) {
            fail_msg("row %zu: %.*s", i, SPAN_ARG(buf_span(&seen)));
        }
    }
    arena_release(&arena);
    env_close(env);
    sim_free(sim);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strangers_take_room_from_themselves),
        cmocka_unit_test(the_source_is_what_the_pcscf_saw),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
