/* CRC32C: reflected polynomial 0x82f63b78, all ones before and after (RFC 3720 appendix B.4). */
#include "codec/records/record.h"

uint32_t crc32c_plain(uint32_t crc, struct span bytes) {
    /* Remainders of the 16 values of half a byte. */
    static const uint32_t half[16] = {
        0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
        0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
        0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
    };

    crc = ~crc;
    for (size_t i = 0; i < bytes.n; i++) {
        crc ^= (uint8_t)bytes.p[i];
        crc = crc >> 4 ^ half[crc & 15];
        crc = crc >> 4 ^ half[crc & 15];
    }
    return ~crc;
}

#if defined __x86_64__

__attribute__((target("sse4.2"))) static uint32_t crc32c_sse(uint32_t crc, struct span bytes) {
    uint64_t c = ~crc;
    const char *p = bytes.p;
    size_t n = bytes.n;

    for (; n >= 8; p += 8, n -= 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        c = __builtin_ia32_crc32di(c, word);
    }
    for (; n; p++, n--) {
        c = __builtin_ia32_crc32qi((uint32_t)c, (uint8_t)*p);
    }
    return ~(uint32_t)c;
}

uint32_t crc32c(uint32_t crc, struct span bytes) {
    return __builtin_cpu_supports("sse4.2") ? crc32c_sse(crc, bytes) : crc32c_plain(crc, bytes);
}

#elif defined __ARM_FEATURE_CRC32
#include <arm_acle.h>

uint32_t crc32c(uint32_t crc, struct span bytes) {
    const char *p = bytes.p;
    size_t n = bytes.n;

    crc = ~crc;
    for (; n >= 8; p += 8, n -= 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        crc = __crc32cd(crc, word);
    }
    for (; n; p++, n--) {
        crc = __crc32cb(crc, (uint8_t)*p);
    }
    return ~crc;
}

#else

uint32_t crc32c(uint32_t crc, struct span bytes) {
    return crc32c_plain(crc, bytes);
}

#endif
