/* Captures: blocks, lengths, checksums and sequence numbers are right. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "obs/pcapng.h"
#include "sample.h"

#include <stdlib.h>

static uint32_t le32(const uint8_t *p) {
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint32_t be16(const uint8_t *p) {
    return (uint32_t)p[0] << 8 | p[1];
}

static uint32_t be32(const uint8_t *p) {
    return be16(p) << 16 | be16(p + 2);
}

static uint32_t folded(uint32_t sum, const uint8_t *p, size_t n) {
    for (size_t i = 0; i < n; i++) {
        sum += (uint32_t)p[i] << (i % 2 ? 0 : 8);
    }
    while (sum >> 16) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return sum;
}

struct counts {
    size_t blocks, packets, udp, tcp, syn, names;
    size_t payload; /* bytes behind the transport headers */
};

/* Checks one packet's headers; the checksums make their fields' sums 0xffff. */
static void check_packet(const uint8_t *p, size_t n, struct counts *c) {
    bool v6 = p[0] >> 4 == 6;
    size_t ip = v6 ? 40 : 20;
    assert_int_equal(v6 ? be16(p + 4) + 40 : be16(p + 2), n);
    uint8_t protocol = v6 ? p[6] : p[9];
    if (!v6) {
        assert_int_equal(folded(0, p, 20), 0xffff);
    }
    uint32_t pseudo = folded(protocol + (uint32_t)(n - ip), p + (v6 ? 8 : 12), v6 ? 32 : 8);
    assert_int_equal(folded(pseudo, p + ip, n - ip), 0xffff);
    if (protocol == 17) {
        assert_int_equal(be16(p + ip + 4), n - ip);
        c->udp++;
        c->payload += n - ip - 8;
        return;
    }
    c->tcp++;
    c->syn += (p[ip + 13] & 2) != 0;
    c->payload += n - ip - 20;
}

static struct counts check(const uint8_t *p, size_t n) {
    struct counts c = {0};
    assert_int_equal(le32(p), 0x0A0D0D0A);
    for (size_t at = 0; at < n; c.blocks++) {
        uint32_t type = le32(p + at), length = le32(p + at + 4);
        assert_true(length >= 12 && length % 4 == 0 && length <= n - at);
        assert_int_equal(le32(p + at + length - 4), length);
        if (type == 6) {
            uint32_t captured = le32(p + at + 20);
            assert_int_equal(captured, le32(p + at + 24));
            assert_true(captured + 32 <= length);
            check_packet(p + at + 28, captured, &c);
            c.packets++;
        }
        c.names += type == 4;
        at += length;
    }
    return c;
}

static void add(void *ctx, const struct trace_message *m) {
    assert_int_equal(pcapng_message(ctx, m), OK);
}

static void messages_become_packets_with_right_checksums(void **state) {
    (void)state;
    char *bytes = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&bytes, &n);
    struct pcapng *p = NULL;
    assert_int_equal(pcapng_new(out, &p), OK);
    struct addr a = sample_address("hss");
    assert_int_equal(pcapng_name(p, &a, SPAN("hss")), OK);
    samples_each(add, p);
    assert_int_equal(pcapng_free(p), OK);
    fclose(out);
    struct counts c = check((const uint8_t *)bytes, n);
    assert_int_equal(c.names, 1);
    assert_int_equal(c.udp, 12);
    assert_int_equal(c.tcp, 6 + 2 * 3); /* two connections open with three packets each */
    assert_int_equal(c.syn, 2 * 2);
    free(bytes);
}

static void a_connection_counts_its_bytes_through(void **state) {
    (void)state;
    enum { BIG = 200001 };
    char *bytes = NULL, *big = calloc(1, BIG);
    size_t n = 0;
    FILE *out = open_memstream(&bytes, &n);
    struct pcapng *p = NULL;
    assert_int_equal(pcapng_new(out, &p), OK);
    struct trace_message m = {
        .protocol = TRACE_DIAMETER,
        .stream = true,
        .from = {.family = 6, .port = 40000, .ip = {[15] = 1}},
        .to = {.family = 6, .port = 3868, .ip = {[15] = 2}},
        .bytes = span_of(big, BIG),
    };
    assert_int_equal(pcapng_message(p, &m), OK);
    assert_int_equal(pcapng_message(p, &m), OK);
    struct addr from = m.from;
    m.from = m.to;
    m.to = from;
    m.bytes = SPAN("answer");
    assert_int_equal(pcapng_message(p, &m), OK);
    assert_int_equal(pcapng_free(p), OK);
    fclose(out);
    struct counts c = check((const uint8_t *)bytes, n);
    assert_int_equal(c.syn, 2);
    assert_int_equal(c.payload, 2 * BIG + 6);
    size_t at = 0, previous = 0;
    while (at < n) {
        previous = at;
        at += le32((const uint8_t *)bytes + at + 4);
    }
    const uint8_t *tcp = (const uint8_t *)bytes + previous + 28 + 40;
    assert_int_equal(be32(tcp + 4), 1);
    assert_int_equal(be32(tcp + 8), 2 * BIG + 1);
    free(bytes);
    free(big);
}

static void what_has_no_address_is_refused(void **state) {
    (void)state;
    char *bytes = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&bytes, &n);
    struct pcapng *p = NULL;
    assert_int_equal(pcapng_new(out, &p), OK);
    struct trace_message m = {.protocol = TRACE_SIP, .bytes = SPAN("x")};
    assert_int_equal(pcapng_message(p, &m), ERR_INVALID);
    m.from = addr_v4(127, 0, 0, 1, 5060);
    m.to = (struct addr){.family = 6};
    assert_int_equal(pcapng_message(p, &m), ERR_INVALID);
    m.protocol = TRACE_DNS; /* in words: a comment of the next packet, whatever its addresses */
    assert_int_equal(pcapng_message(p, &m), OK);
    assert_int_equal(pcapng_free(p), OK);
    fclose(out);
    (void)check((const uint8_t *)bytes, n);
    free(bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_become_packets_with_right_checksums),
        cmocka_unit_test(a_connection_counts_its_bytes_through),
        cmocka_unit_test(what_has_no_address_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
