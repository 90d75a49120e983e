#include "codec/stun/stun.h"

enum {
    HEADER = 20,
    BINDING_REQUEST = 0x0001,
    BINDING_SUCCESS = 0x0101,
    BINDING_ERROR = 0x0111,
    ERROR_CODE = 0x0009,
    UNKNOWN_ATTRIBUTES = 0x000a,
    XOR_MAPPED_ADDRESS = 0x0020,
    FINGERPRINT = 0x8028,
    OPTIONAL = 0x8000, /* attributes from here on may be passed over */
    UNKNOWN_MAX = 8,
};

#define COOKIE          UINT32_C(0x2112a442)
#define FINGERPRINT_XOR UINT32_C(0x5354554e)

static uint32_t u16_at(struct span s, size_t at) {
    return (uint32_t)(unsigned char)s.p[at] << 8 | (unsigned char)s.p[at + 1];
}

static uint32_t u32_at(struct span s, size_t at) {
    return u16_at(s, at) << 16 | u16_at(s, at + 2);
}

static void put_u16(struct buf *b, uint32_t v) {
    buf_char(b, (char)(v >> 8));
    buf_char(b, (char)v);
}

static void put_u32(struct buf *b, uint32_t v) {
    put_u16(b, v >> 16);
    put_u16(b, v);
}

/* CRC-32 of ITU-T V.42, bit by bit: messages are short. */
static uint32_t crc32_of(struct span s) {
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < s.n; i++) {
        crc ^= (unsigned char)s.p[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0xedb88320) : 0);
        }
    }
    return ~crc;
}

/* What a message has. */
struct reading {
    uint16_t unknown[UNKNOWN_MAX];
    size_t n_unknown;
    bool fingerprint;
    struct span address; /* of XOR-MAPPED-ADDRESS */
};

static enum error read_attributes(struct span request, struct reading *out) {
    for (size_t at = HEADER; at < request.n;) {
        if (out->fingerprint || request.n - at < 4) {
            return ERR_MALFORMED; /* nothing stands behind a fingerprint */
        }
        uint32_t type = u16_at(request, at), n = u16_at(request, at + 2);
        size_t padded = (n + 3u) & ~(size_t)3;
        if (padded > request.n - at - 4) {
            return ERR_MALFORMED;
        }
        if (type == FINGERPRINT) {
            uint32_t crc = crc32_of(span_slice(request, 0, at)) ^ FINGERPRINT_XOR;
            if (n != 4 || u32_at(request, at + 4) != crc) {
                return ERR_MALFORMED;
            }
            out->fingerprint = true;
        } else if (type == XOR_MAPPED_ADDRESS) {
            out->address = span_slice(request, at + 4, at + 4 + n);
        } else if (type < OPTIONAL && out->n_unknown < UNKNOWN_MAX) {
            out->unknown[out->n_unknown++] = (uint16_t)type;
        }
        at += 4 + padded;
    }
    return OK;
}

static void put_address(struct buf *b, struct span request, const struct addr *a) {
    size_t n = a->family == 6 ? 16 : 4;
    put_u16(b, XOR_MAPPED_ADDRESS);
    put_u16(b, (uint32_t)n + 4);
    put_u16(b, a->family == 6 ? 2 : 1);
    put_u16(b, a->port ^ COOKIE >> 16);
    for (size_t i = 0; i < n; i++) { /* with cookie and transaction id */
        buf_char(b, (char)(a->ip[i] ^ (unsigned char)request.p[4 + i]));
    }
}

static void put_unknown(struct buf *b, const struct reading *r) {
    static const char phrase[] = "Unknown Attribute";
    size_t n = sizeof phrase - 1;
    put_u16(b, ERROR_CODE);
    put_u16(b, (uint32_t)n + 4);
    put_u32(b, 4 << 8 | 20);
    buf_bytes(b, phrase, n);
    for (; n % 4; n++) {
        buf_char(b, 0);
    }
    put_u16(b, UNKNOWN_ATTRIBUTES);
    put_u16(b, (uint32_t)(2 * r->n_unknown));
    for (size_t i = 0; i < r->n_unknown; i++) {
        put_u16(b, r->unknown[i]);
    }
    if (r->n_unknown % 2) {
        put_u16(b, 0);
    }
}

static bool is_whole(struct span message) {
    return message.n >= HEADER && message.n % 4 == 0 && u16_at(message, 2) == message.n - HEADER &&
           u32_at(message, 4) == COOKIE;
}

enum error stun_answer(struct span request, const struct addr *from, struct buf *out) {
    struct reading r = {.n_unknown = 0};
    size_t begin = out->n;
    if (!is_whole(request)) {
        return ERR_MALFORMED;
    }
    if (u16_at(request, 0) != BINDING_REQUEST) {
        return ERR_UNSUPPORTED;
    }
    enum error e = read_attributes(request, &r);
    if (e != OK) {
        return e;
    }
    put_u16(out, r.n_unknown ? BINDING_ERROR : BINDING_SUCCESS);
    put_u16(out, 0); /* the length, see below */
    buf_bytes(out, request.p + 4, HEADER - 4);
    if (r.n_unknown) {
        put_unknown(out, &r);
    } else {
        put_address(out, request, from);
    }
    if (out->overflow) {
        return ERR_TOO_BIG;
    }
    size_t length = out->n - begin - HEADER + (r.fingerprint ? 8 : 0);
    out->p[begin + 2] = (char)(length >> 8);
    out->p[begin + 3] = (char)length;
    if (r.fingerprint) {
        uint32_t crc = crc32_of(span_of(out->p + begin, out->n - begin));
        put_u16(out, FINGERPRINT);
        put_u16(out, 4);
        put_u32(out, crc ^ FINGERPRINT_XOR);
    }
    return out->overflow ? ERR_TOO_BIG : OK;
}

void stun_put_binding(struct buf *out, const uint8_t id[STUN_ID]) {
    put_u16(out, BINDING_REQUEST);
    put_u16(out, 0);
    put_u32(out, COOKIE);
    buf_bytes(out, (const char *)id, STUN_ID);
}

enum error stun_read_answer(struct span answer, uint8_t id[STUN_ID], struct addr *mapped) {
    struct reading r = {.n_unknown = 0};
    if (!is_whole(answer)) {
        return ERR_MALFORMED;
    }
    if (u16_at(answer, 0) != BINDING_SUCCESS) {
        return ERR_UNSUPPORTED;
    }
    enum error e = read_attributes(answer, &r);
    if (e != OK) {
        return e;
    }
    size_t n = r.address.n == 8 ? 4 : 16;
    if (r.n_unknown || (r.address.n != 8 && r.address.n != 20) ||
        r.address.p[1] != (n == 4 ? 1 : 2)) {
        return ERR_UNSUPPORTED;
    }
    *mapped = (struct addr){.family = n == 4 ? 4 : 6,
                            .port = (uint16_t)(u16_at(r.address, 2) ^ COOKIE >> 16)};
    for (size_t i = 0; i < n && i < sizeof mapped->ip; i++) {
        mapped->ip[i] = (uint8_t)(r.address.p[4 + i] ^ answer.p[4 + i]);
    }
    memcpy(id, answer.p + HEADER - STUN_ID, STUN_ID);
    return OK;
}
