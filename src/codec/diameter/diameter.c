/* The message and its AVPs: RFC 6733 clauses 3, 4.1 and 7.5.
 *
 * Choices: bits that are reserved are ignored, as clause 3 says (5013 is never sent). A request
 * with the E bit gets 3008. Padding must be there, the values of its bytes do not matter. An AVP in
 * a group is padded inside the group, also the last one. */
#include "codec/diameter/diameter.h"

#include "codec/diameter/bytes.h"
#include "codec/diameter/fault.h"
#include "spec/diameter_base.h"

enum { AVP_HEADER = 8, AVP_HEADER_VENDOR = 12, AVP_LENGTH_MAX = 0xffffff };

enum error diameter_frame(struct span bytes, size_t max, size_t *length) {
    if (bytes.n < 4) {
        return ERR_INCOMPLETE;
    }
    size_t n = get_u32(bytes.p) & 0xffffff;
    if (n < DIAMETER_HEADER_SIZE || n % 4 != 0 || n > max) {
        return ERR_MALFORMED;
    }
    if (bytes.n < n) {
        return ERR_INCOMPLETE;
    }
    *length = n;
    return OK;
}

struct span diameter_fault_avp(const struct diameter_fault *f) {
    return f->n_made ? span_of(f->made, f->n_made) : f->avp;
}

void diameter_fault_set(struct diameter_fault *f, uint32_t result_code, struct span avp,
                        const char *text) {
    f->result_code = result_code;
    f->avp = avp;
    f->text = text;
    f->n_made = 0;
}

size_t diameter_type_size_min(enum diameter_type type) {
    switch (type) {
    case DIAMETER_U32:
    case DIAMETER_ENUM:
    case DIAMETER_TIME:
        return 4;
    case DIAMETER_U64:
        return 8;
    case DIAMETER_ADDRESS:
        return 6;
    default:
        return 0;
    }
}

void diameter_fault_make(struct diameter_fault *f, uint32_t result_code, uint32_t code,
                         uint32_t vendor, uint8_t flags, const char *text) {
    const struct diameter_def *def = diameter_def_find(code, vendor);
    size_t head = flags & DIAMETER_AVP_VENDOR ? AVP_HEADER_VENDOR : AVP_HEADER;
    size_t n = head + (def ? diameter_type_size_min(def->type) : 0);
    diameter_fault_set(f, result_code, SPAN_NONE, text);
    memset(f->made, 0, n);
    set_u32(f->made, code);
    set_u32(f->made + 4, (uint32_t)flags << 24 | (uint32_t)n);
    if (head == AVP_HEADER_VENDOR) {
        set_u32(f->made + 8, vendor);
    }
    f->n_made = (uint16_t)n;
}

void diameter_fault_length(struct diameter_fault *f, const struct diameter_iter *it) {
    /* The header may be cut off: what is missing of it counts as zero. */
    char head[AVP_HEADER_VENDOR] = {0};
    size_t left = (size_t)(it->end - it->at);
    memcpy(head, it->at, left < sizeof head ? left : sizeof head);
    uint8_t flags = (uint8_t)head[4];
    diameter_fault_make(f, DIAMETER_INVALID_AVP_LENGTH, get_u32(head),
                        flags & DIAMETER_AVP_VENDOR ? get_u32(head + 8) : 0, flags,
                        "AVP length does not fit");
}

bool diameter_next(struct diameter_iter *it, struct diameter_avp *out) {
    size_t left = (size_t)(it->end - it->at);
    if (left == 0) {
        return false;
    }
    if (UNLIKELY(left < AVP_HEADER)) {
        it->malformed = true;
        return false;
    }
    const char *p = it->at;
    uint32_t word = get_u32(p + 4);
    size_t n = word & 0xffffff;
    bool vendor = word & (uint32_t)DIAMETER_AVP_VENDOR << 24;
    size_t head = vendor ? AVP_HEADER_VENDOR : AVP_HEADER;
    if (UNLIKELY(n < head || padded(n) > left)) {
        it->malformed = true;
        return false;
    }
    out->code = get_u32(p);
    out->vendor = vendor ? get_u32(p + 8) : 0;
    out->flags = (uint8_t)(word >> 24);
    out->value = span_of(p + head, n - head);
    out->bytes = span_of(p, n);
    it->at = p + padded(n);
    return true;
}

bool diameter_find(struct span avps, uint32_t code, uint32_t vendor, struct diameter_avp *out) {
    struct diameter_iter it = diameter_iter_init(avps);
    while (diameter_next(&it, out)) {
        if (out->code == code && out->vendor == vendor) {
            return true;
        }
    }
    return false;
}

bool diameter_u32(struct span value, uint32_t *out) {
    if (value.n != 4) {
        return false;
    }
    *out = get_u32(value.p);
    return true;
}

static void take_first(struct span *slot, struct span value) {
    if (!slot->p) {
        *slot = value;
    }
}

static void take_result(struct diameter_msg *m, const struct diameter_avp *a) {
    struct diameter_avp inner;
    struct diameter_result r = {0, 0};
    if (a->code == DIAMETER_AVP_RESULT_CODE) {
        if (diameter_u32(a->value, &r.code)) {
            m->result = r;
        }
        return;
    }
    struct diameter_iter it = diameter_iter_init(a->value);
    bool ok = true;
    while (diameter_next(&it, &inner)) {
        if (inner.vendor == 0 && inner.code == DIAMETER_AVP_VENDOR_ID) {
            ok &= diameter_u32(inner.value, &r.vendor);
        } else if (inner.vendor == 0 && inner.code == DIAMETER_AVP_EXPERIMENTAL_RESULT_CODE) {
            ok &= diameter_u32(inner.value, &r.code);
        }
    }
    if (ok && !it.malformed && m->result.code == 0) {
        m->result = r;
    }
}

static void index_avp(struct diameter_msg *m, const struct diameter_avp *a) {
    switch (a->code) {
    case DIAMETER_AVP_SESSION_ID:
        take_first(&m->session_id, a->value);
        break;
    case DIAMETER_AVP_ORIGIN_HOST:
        take_first(&m->origin_host, a->value);
        break;
    case DIAMETER_AVP_ORIGIN_REALM:
        take_first(&m->origin_realm, a->value);
        break;
    case DIAMETER_AVP_DESTINATION_HOST:
        take_first(&m->destination_host, a->value);
        break;
    case DIAMETER_AVP_DESTINATION_REALM:
        take_first(&m->destination_realm, a->value);
        break;
    case DIAMETER_AVP_RESULT_CODE:
    case DIAMETER_AVP_EXPERIMENTAL_RESULT:
        take_result(m, a);
        break;
    case DIAMETER_AVP_ROUTE_RECORD:
    case DIAMETER_AVP_PROXY_INFO:
        m->has_routing = true;
        break;
    default:
        break;
    }
}

enum error diameter_msg_parse(struct span bytes, struct diameter_msg *out,
                              struct diameter_fault *fault) {
    *out = (struct diameter_msg){.bytes = bytes};
    if (bytes.n < DIAMETER_HEADER_SIZE) {
        diameter_fault_set(fault, DIAMETER_INVALID_MESSAGE_LENGTH, SPAN_NONE, "no whole header");
        return ERR_MALFORMED;
    }
    uint32_t word = get_u32(bytes.p + 4);
    out->flags = (uint8_t)(word >> 24);
    out->command = word & 0xffffff;
    out->application = get_u32(bytes.p + 8);
    out->hop_by_hop = get_u32(bytes.p + 12);
    out->end_to_end = get_u32(bytes.p + 16);
    out->avps = span_after(bytes, DIAMETER_HEADER_SIZE);
    if (bytes.p[0] != 1) {
        diameter_fault_set(fault, DIAMETER_UNSUPPORTED_VERSION, SPAN_NONE, "version is not 1");
        return ERR_MALFORMED;
    }
    if ((get_u32(bytes.p) & 0xffffff) != bytes.n || bytes.n % 4 != 0) {
        diameter_fault_set(fault, DIAMETER_INVALID_MESSAGE_LENGTH, SPAN_NONE, "wrong length");
        return ERR_MALFORMED;
    }
    struct diameter_iter it = diameter_iter_init(out->avps);
    struct diameter_avp a;
    while (diameter_next(&it, &a)) {
        if (a.vendor == 0) {
            index_avp(out, &a);
        }
    }
    if (it.malformed) {
        diameter_fault_length(fault, &it);
        return ERR_MALFORMED;
    }
    if ((out->flags & (DIAMETER_REQUEST | DIAMETER_ERROR)) == (DIAMETER_REQUEST | DIAMETER_ERROR)) {
        diameter_fault_set(fault, DIAMETER_INVALID_HDR_BITS, SPAN_NONE, "a request with the E bit");
        return ERR_MALFORMED;
    }
    return OK;
}

/* Building. */

void diameter_begin(struct diameter_builder *b, struct buf *buf,
                    const struct diameter_envelope *envelope, uint8_t flags, uint32_t command,
                    uint32_t application, uint32_t hop_by_hop, uint32_t end_to_end) {
    b->buf = buf;
    b->envelope = envelope;
    b->start = buf->n;
    b->depth = 0;
    char head[DIAMETER_HEADER_SIZE];
    set_u32(head, UINT32_C(1) << 24);
    set_u32(head + 4, (uint32_t)flags << 24 | command);
    set_u32(head + 8, application);
    set_u32(head + 12, hop_by_hop);
    set_u32(head + 16, end_to_end);
    buf_bytes(buf, head, sizeof head);
}

enum error diameter_end(struct diameter_builder *b) {
    struct buf *buf = b->buf;
    size_t n = buf->n - b->start;
    if (b->depth != 0 || n > AVP_LENGTH_MAX) {
        buf->overflow = true;
    }
    if (buf->overflow) {
        return ERR_TOO_BIG;
    }
    set_u32(buf->p + b->start, UINT32_C(1) << 24 | (uint32_t)n);
    return OK;
}

/* Room for a whole AVP with n bytes of value, header written, padding cleared; where the value
 * goes, or NULL. */
static inline char *put_header(struct buf *buf, uint32_t code, uint32_t vendor, bool mandatory,
                               size_t n) {
    size_t head = vendor ? AVP_HEADER_VENDOR : AVP_HEADER;
    size_t length = head + n;
    if (UNLIKELY(buf->overflow || n > AVP_LENGTH_MAX - head ||
                 padded(length) > buf->cap - buf->n)) {
        buf->overflow = true;
        return NULL;
    }
    char *p = buf->p + buf->n;
    uint32_t flags = (vendor ? DIAMETER_AVP_VENDOR : 0) | (mandatory ? DIAMETER_AVP_MANDATORY : 0);
    set_u32(p, code);
    set_u32(p + 4, flags << 24 | (uint32_t)length);
    if (vendor) {
        set_u32(p + 8, vendor);
    }
    buf->n += padded(length);
    if (length % 4) {
        memset(p + length, 0, 4 - length % 4);
    }
    return p + head;
}

void diameter_put(struct diameter_builder *b, uint32_t code, uint32_t vendor, bool mandatory,
                  struct span value) {
    char *p = put_header(b->buf, code, vendor, mandatory, value.n);
    if (p && value.n) {
        memcpy(p, value.p, value.n);
    }
}

void diameter_put_u32(struct diameter_builder *b, uint32_t code, uint32_t vendor, bool mandatory,
                      uint32_t value) {
    char *p = put_header(b->buf, code, vendor, mandatory, 4);
    if (p) {
        set_u32(p, value);
    }
}

void diameter_put_u64(struct diameter_builder *b, uint32_t code, uint32_t vendor, bool mandatory,
                      uint64_t value) {
    char *p = put_header(b->buf, code, vendor, mandatory, 8);
    if (p) {
        set_u32(p, (uint32_t)(value >> 32));
        set_u32(p + 4, (uint32_t)value);
    }
}

void diameter_put_address(struct diameter_builder *b, uint32_t code, uint32_t vendor,
                          bool mandatory, const struct addr *value) {
    size_t n = value->family == 6 ? 16 : 4;
    char *p = put_header(b->buf, code, vendor, mandatory, 2 + n);
    if (p) {
        p[0] = 0;
        p[1] = value->family == 6 ? 2 : 1;
        memcpy(p + 2, value->ip, n);
    }
}

void diameter_open(struct diameter_builder *b, uint32_t code, uint32_t vendor, bool mandatory) {
    if (b->depth == DIAMETER_DEPTH_MAX) {
        b->buf->overflow = true;
        return;
    }
    b->open[b->depth++] = b->buf->n;
    put_header(b->buf, code, vendor, mandatory, 0);
}

void diameter_close(struct diameter_builder *b) {
    if (b->buf->overflow || b->depth == 0) {
        b->buf->overflow = true;
        return;
    }
    char *p = b->buf->p + b->open[--b->depth];
    size_t n = (size_t)(b->buf->p + b->buf->n - p);
    if (n > AVP_LENGTH_MAX) {
        b->buf->overflow = true;
        return;
    }
    set_u32(p + 4, (get_u32(p + 4) & 0xff000000) | (uint32_t)n);
}

void diameter_put_result(struct diameter_builder *b, struct diameter_result result) {
    if (result.vendor == 0) {
        diameter_put_u32(b, DIAMETER_AVP_RESULT_CODE, 0, true, result.code);
        return;
    }
    diameter_open(b, DIAMETER_AVP_EXPERIMENTAL_RESULT, 0, true);
    diameter_put_u32(b, DIAMETER_AVP_VENDOR_ID, 0, true, result.vendor);
    diameter_put_u32(b, DIAMETER_AVP_EXPERIMENTAL_RESULT_CODE, 0, true, result.code);
    diameter_close(b);
}

void diameter_put_fault(struct diameter_builder *b, const struct diameter_fault *fault) {
    diameter_put_u32(b, DIAMETER_AVP_RESULT_CODE, 0, true, fault->result_code);
    if (fault->text) {
        diameter_put(b, DIAMETER_AVP_ERROR_MESSAGE, 0, false, span_from_cstr(fault->text));
    }
    struct span avp = diameter_fault_avp(fault);
    if (avp.n) {
        static const char zeros[4];
        diameter_open(b, DIAMETER_AVP_FAILED_AVP, 0, true);
        buf_put(b->buf, avp);
        buf_bytes(b->buf, zeros, padded(avp.n) - avp.n);
        diameter_close(b);
    }
}
