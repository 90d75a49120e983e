/* Messages for people: names from the dictionary, one line, secrets hidden, foreign bytes escaped.
 */
#include "codec/diameter/diameter.h"

#include "codec/diameter/bytes.h"

static bool is_text(struct span s) {
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < 32 || s.p[i] > 126) {
            return false;
        }
    }
    return true;
}

static void print_text(struct buf *b, struct span s) {
    buf_char(b, '"');
    buf_escaped(b, s);
    buf_char(b, '"');
}

static void print_bytes(struct buf *b, struct span s) {
    enum { SHOWN_MAX = 64 };
    if (is_text(s)) {
        print_text(b, s);
        return;
    }
    buf_cstr(b, "0x");
    buf_hex(b, s.p, s.n < SHOWN_MAX ? s.n : SHOWN_MAX);
    if (s.n > SHOWN_MAX) {
        buf_cstr(b, "...");
    }
}

static void print_enum(struct buf *b, const struct diameter_def *def, uint32_t value) {
    for (unsigned i = 0; i < def->n_values; i++) {
        if (def->values[i].value == value) {
            buf_cstr(b, def->values[i].name);
            return;
        }
    }
    buf_u64(b, value);
}

static void print_address(struct buf *b, struct span v) {
    struct addr a = {.family = 0};
    if (v.n == 6 && v.p[0] == 0 && v.p[1] == 1) {
        a.family = 4;
    } else if (v.n == 18 && v.p[0] == 0 && v.p[1] == 2) {
        a.family = 6;
    }
    if (a.family == 0) {
        print_bytes(b, v);
        return;
    }
    memcpy(a.ip, v.p + 2, v.n - 2);
    addr_put_host(b, &a);
}

static void print_value(struct buf *b, const struct diameter_def *def, struct span v) {
    enum diameter_type type = def ? def->type : DIAMETER_OCTETS;
    if (def && def->secret) {
        buf_cstr(b, "***");
    } else if ((type == DIAMETER_U32 || type == DIAMETER_TIME) && v.n == 4) {
        buf_u64(b, get_u32(v.p));
    } else if (type == DIAMETER_ENUM && v.n == 4) {
        print_enum(b, def, get_u32(v.p));
    } else if (type == DIAMETER_U64 && v.n == 8) {
        buf_u64(b, get_u64(v.p));
    } else if (type == DIAMETER_ADDRESS) {
        print_address(b, v);
    } else if (type == DIAMETER_UTF8 || type == DIAMETER_IDENTITY || type == DIAMETER_URI) {
        print_text(b, v);
    } else {
        print_bytes(b, v);
    }
}

static void print_name(struct buf *b, const struct diameter_def *def,
                       const struct diameter_avp *a) {
    if (def) {
        buf_cstr(b, def->name);
        return;
    }
    buf_u64(b, a->vendor);
    buf_char(b, '/');
    buf_u64(b, a->code);
}

static void print_avps(struct buf *b, struct span avps) {
    struct diameter_iter level[DIAMETER_DEPTH_MAX];
    unsigned depth = 0;
    struct diameter_avp a;
    level[0] = diameter_iter_init(avps);
    for (;;) {
        if (diameter_next(&level[depth], &a)) {
            const struct diameter_def *def = diameter_def_find(a.code, a.vendor);
            buf_char(b, ' ');
            print_name(b, def, &a);
            buf_char(b, '=');
            if (!def || def->type != DIAMETER_GROUP) {
                print_value(b, def, a.value);
            } else if (depth + 1 == DIAMETER_DEPTH_MAX) {
                buf_cstr(b, "{...}");
            } else {
                buf_char(b, '{');
                level[++depth] = diameter_iter_init(a.value);
            }
            continue;
        }
        if (level[depth].malformed) {
            buf_cstr(b, " malformed");
        }
        if (depth-- == 0) {
            return;
        }
        buf_cstr(b, " }");
    }
}

void diameter_print(struct buf *b, const struct diameter_msg *msg) {
    const struct diameter_layout *layout =
        diameter_layout_find(msg->application, msg->command, diameter_msg_is_request(msg));
    if (layout) {
        buf_cstr(b, layout->brief);
    } else {
        buf_cstr(b, diameter_msg_is_request(msg) ? "request" : "answer");
    }
    buf_char(b, ' ');
    buf_u64(b, msg->application);
    buf_char(b, '/');
    buf_u64(b, msg->command);
    if (msg->flags & DIAMETER_ERROR) {
        buf_cstr(b, " E");
    }
    if (msg->flags & DIAMETER_RETRANSMITTED) {
        buf_cstr(b, " T");
    }
    if (!diameter_msg_is_request(msg) && diameter_result_name(msg->result)) {
        buf_char(b, ' ');
        buf_cstr(b, diameter_result_name(msg->result));
    }
    print_avps(b, msg->avps);
}
