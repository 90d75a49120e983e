/* Diameter messages in words, an AVP a line, for the ladder's readers. Bytes are masked already. */
#include "app/describe.h"

#include "codec/diameter/diameter.h"

enum { TEXT_MAX = 4096, BYTES_SHOWN = 256 };

static bool is_text(struct span s) {
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = (uint8_t)s.p[i];
        if ((c < 32 && c != '\n' && c != '\t' && c != '\r') || c > 126) {
            return false;
        }
    }
    return true;
}

static void put_bytes(struct buf *out, struct span v) {
    if (is_text(v)) {
        buf_put(out, span_slice(v, 0, TEXT_MAX));
        return;
    }
    buf_cstr(out, "0x");
    buf_hex(out, v.p, v.n < BYTES_SHOWN ? v.n : BYTES_SHOWN);
    buf_cstr(out, v.n > BYTES_SHOWN ? "..." : "");
}

static void put_number(struct buf *out, const struct diameter_def *def, uint32_t value) {
    buf_u64(out, value);
    for (size_t i = 0; i < def->n_values; i++) {
        if (def->values[i].value == value) {
            buf_printf(out, " (%s)", def->values[i].name);
        }
    }
}

static void put_result(struct buf *out, uint32_t vendor, uint32_t code) {
    const char *name = diameter_result_name((struct diameter_result){vendor, code});
    buf_u64(out, code);
    if (name) {
        buf_printf(out, " (%s)", name);
    }
}

static void put_value(struct buf *out, const struct diameter_def *def, struct span v) {
    enum { RESULT_CODE = 268, EXPERIMENTAL_RESULT_CODE = 298 };
    uint32_t number;
    struct addr a = {.family = v.n == 6 ? 4 : 6};
    if (def->vendor == 0 && def->code == RESULT_CODE && diameter_u32(v, &number)) {
        put_result(out, 0, number);
    } else if (def->vendor == 0 && def->code == EXPERIMENTAL_RESULT_CODE &&
               diameter_u32(v, &number)) {
        put_result(out, DIAMETER_VENDOR_3GPP, number);
    } else if ((def->type == DIAMETER_U32 || def->type == DIAMETER_ENUM) &&
               diameter_u32(v, &number)) {
        put_number(out, def, number);
    } else if (def->type == DIAMETER_ADDRESS && (v.n == 6 || v.n == 18)) {
        memcpy(a.ip, v.p + 2, v.n - 2);
        addr_put_host(out, &a);
    } else {
        put_bytes(out, v);
    }
}

static void put_avps(struct buf *out, struct span avps, unsigned depth) {
    struct diameter_iter it = diameter_iter_init(avps);
    struct diameter_avp avp;
    while (diameter_next(&it, &avp)) {
        const struct diameter_def *def = diameter_def_find(avp.code, avp.vendor);
        buf_printf(out, "%*s", (int)depth * 4, "");
        if (!def) {
            buf_printf(out, "AVP %u vendor %u: ", avp.code, avp.vendor);
            put_bytes(out, avp.value);
            buf_char(out, '\n');
        } else if (def->type == DIAMETER_GROUP && depth < DIAMETER_DEPTH_MAX) {
            buf_printf(out, "%s:\n", def->name);
            put_avps(out, avp.value, depth + 1);
        } else {
            buf_printf(out, "%s: ", def->name);
            put_value(out, def, avp.value);
            buf_char(out, '\n');
        }
    }
}

bool describe_message(void *ctx, enum trace_protocol protocol, struct span bytes, struct buf *out) {
    struct diameter_msg msg;
    struct diameter_fault fault;
    (void)ctx;
    if (protocol != TRACE_DIAMETER || diameter_msg_parse(bytes, &msg, &fault) != OK) {
        return false;
    }
    const struct diameter_layout *layout =
        diameter_layout_find(msg.application, msg.command, diameter_msg_is_request(&msg));
    if (layout) {
        buf_printf(out, "%s (%s)", layout->name, layout->brief);
    } else {
        buf_printf(out, "Command %u of application %u", msg.command, msg.application);
    }
    buf_printf(out, "%s%s%s, hop-by-hop 0x%08x, end-to-end 0x%08x\n",
               msg.flags & DIAMETER_PROXIABLE ? ", proxiable" : "",
               msg.flags & DIAMETER_ERROR ? ", error" : "",
               msg.flags & DIAMETER_RETRANSMITTED ? ", perhaps a repeat" : "", msg.hop_by_hop,
               msg.end_to_end);
    put_avps(out, msg.avps, 0);
    return !out->overflow;
}
