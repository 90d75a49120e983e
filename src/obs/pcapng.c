/* Captures, see pcapng.h. Format: draft-ietf-opsawg-pcapng, little-endian, timestamps in
 * microseconds; packets: RFC 791, 8200, 768, 9293. */
#include "obs/pcapng.h"

#include "base/htab.h"

#include <errno.h>
#include <stdlib.h>

enum {
    LINKTYPE_RAW = 101,
    BLOCK_SECTION = 0x0A0D0D0A,
    BLOCK_INTERFACE = 1,
    BLOCK_NAMES = 4,
    BLOCK_PACKET = 6,
    OPTION_COMMENT = 1,
    OPTION_IF_NAME = 2,
    OPTION_SHB_USERAPPL = 4,
    OPTION_IF_TSRESOL = 9,
    PROTOCOL_TCP = 6,
    PROTOCOL_UDP = 17,
    SEGMENT_MAX = 32 * 1024,

    UDP_PAYLOAD_MAX = 65507,
    REMARKS_MAX = 2048,
    BLOCK_MAX = 65536 + 4096 /* a packet, its comment, the frame */
};

enum tcp_flags { TCP_SYN = 2, TCP_PSH = 8, TCP_ACK = 16 };

/* One TCP connection: next sequence numbers of both ends. */
struct connection {
    struct htab_node node;
    struct addr a, b;
    uint32_t seq_a, seq_b;
};

struct pcapng {
    FILE *out;
    struct htab connections;
    struct buf remarks; /* of DNS, for the next packet's comment */
    struct buf block;   /* the block that is being written */
    char remark_bytes[REMARKS_MAX];
    char block_bytes[BLOCK_MAX];
    uint16_t ip_id;
};

/* Blocks are little-endian. */

static void put_le16(struct buf *b, uint16_t v) {
    buf_char(b, (char)v);
    buf_char(b, (char)(v >> 8));
}

static void put_le32(struct buf *b, uint32_t v) {
    put_le16(b, (uint16_t)v);
    put_le16(b, (uint16_t)(v >> 16));
}

static void pad(struct buf *b) {
    while (b->n % 4) {
        buf_char(b, 0);
    }
}

static void put_option(struct buf *b, uint16_t code, struct span value) {
    put_le16(b, code);
    put_le16(b, (uint16_t)value.n);
    buf_put(b, value);
    pad(b);
}

static struct buf *block_begin(struct pcapng *p, uint32_t type) {
    p->block = buf_init(p->block_bytes, sizeof p->block_bytes);
    put_le32(&p->block, type);
    put_le32(&p->block, 0); /* length, set at the end */
    return &p->block;
}

static enum error block_end(struct pcapng *p) {
    struct buf *b = &p->block;
    uint32_t length = (uint32_t)b->n + 4;
    put_le32(b, length);
    if (b->overflow) {
        return ERR_TOO_BIG;
    }
    struct buf at = buf_init(b->p + 4, 4);
    put_le32(&at, length);
    return fwrite(b->p, 1, b->n, p->out) == b->n ? OK : ERR_IO;
}

static enum error write_section(struct pcapng *p) {
    struct buf *b = block_begin(p, BLOCK_SECTION);
    put_le32(b, 0x1A2B3C4D);
    put_le16(b, 1);
    put_le16(b, 0);
    put_le32(b, UINT32_MAX); /* length of the section: not said */
    put_le32(b, UINT32_MAX);
    put_option(b, OPTION_SHB_USERAPPL, SPAN("Muster " MUSTER_VERSION));
    put_option(b, 0, SPAN(""));
    return block_end(p);
}

static enum error write_interface(struct pcapng *p) {
    struct buf *b = block_begin(p, BLOCK_INTERFACE);
    put_le16(b, LINKTYPE_RAW);
    put_le16(b, 0);
    put_le32(b, 0); /* nothing is cut off */
    put_option(b, OPTION_IF_NAME, SPAN("trace"));
    put_option(b, OPTION_IF_TSRESOL, SPAN("\6"));
    put_option(b, 0, SPAN(""));
    return block_end(p);
}

enum error pcapng_new(FILE *out, struct pcapng **result) {
    struct pcapng *p = calloc(1, sizeof *p);
    if (!p) {
        return ERR_NO_MEMORY;
    }
    p->out = out;
    p->remarks = buf_init(p->remark_bytes, sizeof p->remark_bytes);
    enum error err = write_section(p);
    err = err ? err : write_interface(p);
    if (err) {
        free(p);
        return err;
    }
    *result = p;
    return OK;
}

static void drop_connection(struct htab_node *node, void *ctx) {
    struct htab *t = ctx;
    htab_remove(t, node);
    free(CONTAINER_OF(node, struct connection, node));
}

enum error pcapng_free(struct pcapng *p) {
    if (!p) {
        return OK;
    }
    enum error err = fflush(p->out) == 0 && !ferror(p->out) ? OK : ERR_IO;
    htab_each(&p->connections, drop_connection, &p->connections);
    htab_free(&p->connections);
    free(p);
    return err;
}

static size_t ip_size(const struct addr *a) {
    return a->family == 4 ? 4 : 16;
}

enum error pcapng_name(struct pcapng *p, const struct addr *a, struct span name) {
    if (a->family == 0 || name.n > 255) {
        return ERR_INVALID;
    }
    struct buf *b = block_begin(p, BLOCK_NAMES);
    put_le16(b, a->family == 4 ? 1 : 2);
    put_le16(b, (uint16_t)(ip_size(a) + name.n + 1));
    buf_bytes(b, a->ip, ip_size(a));
    buf_put(b, name);
    buf_char(b, 0);
    pad(b);
    put_le32(b, 0); /* end of records */
    return block_end(p);
}

/* Packets are big-endian. */

static void put_be16(struct buf *b, uint16_t v) {
    buf_char(b, (char)(v >> 8));
    buf_char(b, (char)v);
}

static void put_be32(struct buf *b, uint32_t v) {
    put_be16(b, (uint16_t)(v >> 16));
    put_be16(b, (uint16_t)v);
}

static uint32_t sum(uint32_t start, const void *bytes, size_t n) {
    const uint8_t *p = bytes;
    uint32_t s = start;
    for (size_t i = 0; i + 1 < n; i += 2) {
        s += (uint32_t)p[i] << 8 | p[i + 1];
    }
    if (n % 2) {
        s += (uint32_t)p[n - 1] << 8;
    }
    while (s >> 16) {
        s = (s & 0xffff) + (s >> 16);
    }
    return s;
}

static void set_be16(char *at, uint16_t v) {
    at[0] = (char)(v >> 8);
    at[1] = (char)v;
}

struct packet {
    const struct addr *from, *to;
    bool tcp;
    uint8_t flags;
    uint32_t seq, ack;
    struct span payload;
};

static void put_ip(struct buf *b, const struct packet *k, size_t upper, uint16_t id) {
    uint8_t protocol = k->tcp ? PROTOCOL_TCP : PROTOCOL_UDP;
    size_t start = b->n;
    if (k->from->family == 6) {
        put_be32(b, 6u << 28);
        put_be16(b, (uint16_t)upper);
        buf_char(b, (char)protocol);
        buf_char(b, 64);
        buf_bytes(b, k->from->ip, 16);
        buf_bytes(b, k->to->ip, 16);
        return;
    }
    put_be16(b, 0x4500);
    put_be16(b, (uint16_t)(upper + 20));
    put_be16(b, id);
    put_be16(b, 0x4000); /* do not fragment */
    buf_char(b, 64);
    buf_char(b, (char)protocol);
    put_be16(b, 0);
    buf_bytes(b, k->from->ip, 4);
    buf_bytes(b, k->to->ip, 4);
    if (!b->overflow) {
        set_be16(b->p + start + 10, (uint16_t)~sum(0, b->p + start, 20));
    }
}

static void put_packet(struct buf *b, const struct packet *k, uint16_t id) {
    size_t header = k->tcp ? 20 : 8, upper = header + k->payload.n;
    put_ip(b, k, upper, id);
    size_t start = b->n;
    put_be16(b, k->from->port);
    put_be16(b, k->to->port);
    if (k->tcp) {
        put_be32(b, k->seq);
        put_be32(b, k->ack);
        buf_char(b, 5 << 4);
        buf_char(b, (char)k->flags);
        put_be16(b, 65535);
        put_be16(b, 0);
        put_be16(b, 0);
    } else {
        put_be16(b, (uint16_t)upper);
        put_be16(b, 0);
    }
    buf_put(b, k->payload);
    if (b->overflow) {
        return;
    }
    uint32_t s = (k->tcp ? PROTOCOL_TCP : PROTOCOL_UDP) + (uint32_t)upper;
    s = sum(s, k->from->ip, ip_size(k->from));
    s = sum(s, k->to->ip, ip_size(k->to));
    uint16_t checksum = (uint16_t)~sum(s, b->p + start, upper);
    set_be16(b->p + start + (k->tcp ? 16 : 6), checksum == 0 && !k->tcp ? 0xffff : checksum);
}

static enum error write_packet(struct pcapng *p, int64_t wall_us, const struct packet *k,
                               struct span comment) {
    struct buf *b = block_begin(p, BLOCK_PACKET);
    uint64_t us = wall_us > 0 ? (uint64_t)wall_us : 0;
    put_le32(b, 0);
    put_le32(b, (uint32_t)(us >> 32));
    put_le32(b, (uint32_t)us);
    size_t lengths = b->n;
    put_le32(b, 0);
    put_le32(b, 0);
    size_t start = b->n;
    put_packet(b, k, p->ip_id++);
    struct buf at = buf_init(b->p + lengths, 8);
    put_le32(&at, (uint32_t)(b->n - start));
    put_le32(&at, (uint32_t)(b->n - start));
    pad(b);
    if (comment.n) {
        put_option(b, OPTION_COMMENT, comment);
        put_option(b, 0, SPAN(""));
    }
    return block_end(p);
}

/* TCP. */

static uint64_t connection_hash(const struct addr *a, const struct addr *b) {
    return addr_hash(a) ^ addr_hash(b);
}

static struct connection *find_connection(struct pcapng *p, const struct addr *from,
                                          const struct addr *to) {
    for (struct htab_node *n = htab_first(&p->connections, connection_hash(from, to)); n;
         n = htab_next(n)) {
        struct connection *c = CONTAINER_OF(n, struct connection, node);
        if ((addr_eq(&c->a, from) && addr_eq(&c->b, to)) ||
            (addr_eq(&c->a, to) && addr_eq(&c->b, from))) {
            return c;
        }
    }
    return NULL;
}

/* A connection that was not seen yet begins with its handshake; who speaks first has opened it, as
 * in Diameter. */
static enum error open_connection(struct pcapng *p, const struct trace_message *m,
                                  struct connection **out) {
    struct connection *c = calloc(1, sizeof *c);
    if (!c) {
        return ERR_NO_MEMORY;
    }
    c->a = m->from;
    c->b = m->to;
    c->seq_a = c->seq_b = 1;
    enum error err = htab_insert(&p->connections, &c->node, connection_hash(&c->a, &c->b));
    if (err) {
        free(c);
        return err;
    }
    *out = c;
    const struct packet handshake[] = {
        {&c->a, &c->b, true, TCP_SYN, 0, 0, SPAN_NONE},
        {&c->b, &c->a, true, TCP_SYN | TCP_ACK, 0, 1, SPAN_NONE},
        {&c->a, &c->b, true, TCP_ACK, 1, 1, SPAN_NONE},
    };
    for (size_t i = 0; i < COUNT_OF(handshake) && err == OK; i++) {
        err = write_packet(p, m->wall_us, &handshake[i], SPAN_NONE);
    }
    return err;
}

static enum error write_stream(struct pcapng *p, const struct trace_message *m,
                               struct span comment) {
    struct connection *c = find_connection(p, &m->from, &m->to);
    enum error err = c ? OK : open_connection(p, m, &c);
    if (err) {
        return err;
    }
    bool forward = addr_eq(&c->a, &m->from);
    uint32_t *seq = forward ? &c->seq_a : &c->seq_b;
    uint32_t ack = forward ? c->seq_b : c->seq_a;
    for (struct span rest = m->bytes; rest.n && err == OK;) {
        struct packet k = {.from = &m->from,
                           .to = &m->to,
                           .tcp = true,
                           .flags = TCP_PSH | TCP_ACK,
                           .seq = *seq,
                           .ack = ack,
                           .payload = span_slice(rest, 0, SEGMENT_MAX)};
        err = write_packet(p, m->wall_us, &k, comment);
        *seq += (uint32_t)k.payload.n;
        rest = span_after(rest, k.payload.n);
        comment = SPAN_NONE;
    }
    return err;
}

static void remember_remark(struct pcapng *p, const struct trace_message *m) {
    struct buf before = p->remarks;
    buf_put(&p->remarks, m->from_name);
    buf_cstr(&p->remarks, " -> ");
    buf_put(&p->remarks, m->to_name);
    buf_cstr(&p->remarks, ": ");
    buf_escaped(&p->remarks, span_slice(m->bytes, 0, 300));
    buf_char(&p->remarks, '\n');
    if (p->remarks.overflow) {
        p->remarks = before;
    }
}

enum error pcapng_message(struct pcapng *p, const struct trace_message *m) {
    if (m->protocol == TRACE_DNS) {
        remember_remark(p, m);
        return OK;
    }
    bool families = m->from.family == m->to.family && (m->from.family == 4 || m->from.family == 6);
    if (!families || (!m->stream && m->bytes.n > UDP_PAYLOAD_MAX)) {
        return ERR_INVALID;
    }
    char comment[REMARKS_MAX + 512];
    struct buf b = buf_init(comment, sizeof comment);
    buf_put(&b, buf_span(&p->remarks));
    if (m->from_name.n || m->to_name.n) {
        buf_escaped(&b, span_slice(m->from_name, 0, 60));
        buf_cstr(&b, " -> ");
        buf_escaped(&b, span_slice(m->to_name, 0, 60));
    }
    p->remarks.n = 0;
    if (m->stream) {
        return write_stream(p, m, buf_span(&b));
    }
    struct packet k = {.from = &m->from, .to = &m->to, .payload = m->bytes};
    return write_packet(p, m->wall_us, &k, buf_span(&b));
}

struct writing {
    struct pcapng *pcapng;
    enum error err;
};

static void write_one(void *ctx, const struct trace_message *m) {
    struct writing *w = ctx;
    if (w->err == OK) {
        w->err = pcapng_message(w->pcapng, m);
    }
}

enum error pcapng_write_trace(const struct trace *t, const char *path) {
    FILE *out = fopen(path, "we");
    if (!out) {
        return error_from_errno(errno);
    }
    struct writing w = {0};
    w.err = pcapng_new(out, &w.pcapng);
    if (w.err == OK) {
        trace_each(t, write_one, &w);
        enum error err = pcapng_free(w.pcapng);
        w.err = w.err ? w.err : err;
    }
    if (fclose(out) != 0) {
        w.err = w.err ? w.err : ERR_IO;
    }
    return w.err;
}
