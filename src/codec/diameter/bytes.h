/* Numbers in network byte order, for the files of this folder. */
#ifndef MUSTER_CODEC_DIAMETER_BYTES_H
#define MUSTER_CODEC_DIAMETER_BYTES_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

/** 32 bits at p, which need not be aligned. */
static inline uint32_t get_u32(const char *p) {
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return be32toh(v);
}

/** 64 bits at p. */
static inline uint64_t get_u64(const char *p) {
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return be64toh(v);
}

/** Writes 32 bits at p. */
static inline void set_u32(char *p, uint32_t value) {
    value = htobe32(value);
    memcpy(p, &value, sizeof value);
}

/** Length with padding up to the next multiple of four. */
static inline size_t padded(size_t n) {
    return (n + 3) & ~(size_t)3;
}

#endif
