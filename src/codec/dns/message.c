/* RFC 1035 section 4, read only.
 *
 * A name's compression pointers must each point further back than the one before, which bounds the
 * walk. Names keep their case. A label that holds anything but letters, digits, hyphens and
 * underscores cannot be a name of ours: its record is left out. */
#include "codec/dns/dns.h"

enum { HEADER_SIZE = 12, CLASS_IN = 1, TYPE_SOA = 6, POINTER = 0xc0, LABEL_MAX = 63 };

/* What is read, and whether it still makes sense. */
struct reader {
    const uint8_t *p;
    size_t n, at;
    bool failed;
    struct dns_message *out;
};

static bool has(struct reader *r, size_t n) {
    if (r->failed || r->n - r->at < n) {
        r->failed = true;
    }
    return !r->failed;
}

static uint16_t take_u16(struct reader *r) {
    if (!has(r, 2)) {
        return 0;
    }
    r->at += 2;
    return (uint16_t)(r->p[r->at - 2] << 8 | r->p[r->at - 1]);
}

static uint32_t take_u32(struct reader *r) {
    uint32_t high = take_u16(r);
    return high << 16 | take_u16(r);
}

/* RFC 2181 section 8: the highest bit means zero. */
static uint32_t take_ttl(struct reader *r) {
    uint32_t ttl = take_u32(r);
    return ttl >> 31 ? 0 : ttl;
}

static bool is_host_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

/* A label of n bytes at `at` onto name. */
static void add_label(struct reader *r, struct buf *name, size_t at, size_t n, bool *usable) {
    const char *p = (const char *)r->p + at;
    for (size_t i = 0; i < n; i++) {
        *usable &= is_host_char(p[i]);
    }
    if (name->n) {
        buf_char(name, '.');
    }
    buf_bytes(name, p, n);
}

/* Where a pointer at `at` leads; 0 when it is not allowed. */
static size_t follow(struct reader *r, size_t at, size_t before) {
    size_t to = at + 2 <= r->n ? (size_t)(r->p[at] & ~POINTER) << 8 | r->p[at + 1] : 0;
    return to >= HEADER_SIZE && to < before ? to : 0;
}

/* Keeps bytes behind the message; empty when there is no more room (usable becomes false). */
static struct span keep(struct dns_message *m, struct span s, bool *usable) {
    if (s.n > sizeof m->text - m->n_text) {
        *usable = false;
        return SPAN_NONE;
    }
    char *at = m->text + m->n_text;
    memcpy(at, s.p, s.n);
    m->n_text += s.n;
    return span_of(at, s.n);
}

/* Takes a name; usable becomes false for one that is no host name. */
static struct span take_name(struct reader *r, bool *usable) {
    char text[DNS_NAME_MAX];
    struct buf name = buf_init(text, sizeof text);
    size_t at = r->at, lowest = r->at, end = 0;
    while (!r->failed) {
        if (at >= r->n) {
            r->failed = true;
        } else if (r->p[at] == 0) {
            end = end ? end : at + 1;
            break;
        } else if ((r->p[at] & POINTER) == POINTER) {
            size_t to = follow(r, at, lowest);
            end = end ? end : at + 2;
            lowest = at = to;
            r->failed = to == 0;
        } else if (r->p[at] > LABEL_MAX || r->n - at - 1 < r->p[at]) {
            r->failed = true;
        } else {
            add_label(r, &name, at + 1, r->p[at], usable);
            at += 1 + (size_t)r->p[at];
            r->failed = name.overflow;
        }
    }
    if (r->failed) {
        return SPAN_NONE;
    }
    r->at = end;
    return keep(r->out, name.n ? buf_span(&name) : SPAN("."), usable);
}

static struct span take_string(struct reader *r, bool *usable) {
    size_t n = has(r, 1) ? r->p[r->at++] : 0;
    if (!has(r, n)) {
        return SPAN_NONE;
    }
    struct span s = span_of(r->p + r->at, n);
    for (size_t i = 0; i < n; i++) {
        *usable &= s.p[i] > ' ' && s.p[i] < 127 && s.p[i] != '"' && s.p[i] != '\\';
    }
    r->at += n;
    return keep(r->out, s, usable);
}

static void take_address(struct reader *r, struct dns_record *record, size_t size) {
    if (has(r, size)) {
        record->address.family = size == 4 ? 4 : 6;
        memcpy(record->address.ip, r->p + r->at, size);
        r->at += size;
    }
}

static void take_naptr(struct reader *r, struct dns_record *record, bool *usable) {
    record->naptr.order = take_u16(r);
    record->naptr.preference = take_u16(r);
    record->naptr.flags = take_string(r, usable);
    record->naptr.service = take_string(r, usable);
    *usable &= has(r, 1) && r->p[r->at] == 0; /* no regular expressions */
    (void)take_string(r, usable);
    record->naptr.replacement = take_name(r, usable);
}

static void take_data(struct reader *r, struct dns_record *record, bool *usable) {
    switch (record->type) {
    case DNS_A:
        take_address(r, record, 4);
        break;
    case DNS_AAAA:
        take_address(r, record, 16);
        break;
    case DNS_SRV:
        record->srv.priority = take_u16(r);
        record->srv.weight = take_u16(r);
        record->srv.port = take_u16(r);
        record->srv.target = take_name(r, usable);
        break;
    case DNS_NAPTR:
        take_naptr(r, record, usable);
        break;
    default:
        record->alias = take_name(r, usable);
    }
}

static bool find_type(uint16_t number, enum dns_type *out) {
    for (unsigned t = 0; t < DNS_TYPES; t++) {
        if (dns_type_number((enum dns_type)t) == number) {
            *out = (enum dns_type)t;
            return true;
        }
    }
    return false;
}

/* RFC 2308 section 5. */
static void take_soa(struct reader *r, struct span owner, uint32_t ttl_s) {
    struct dns_message *m = r->out;
    bool usable = true;
    (void)take_name(r, &usable);
    (void)take_name(r, &usable);
    for (int i = 0; i < 4; i++) { /* serial, refresh, retry, expire */
        (void)take_u32(r);
    }
    uint32_t minimum = take_ttl(r);
    bool above = owner.n <= m->name.n &&
                 span_eq_nocase(owner, span_after(m->name, m->name.n - owner.n)) &&
                 (owner.n == m->name.n || m->name.p[m->name.n - owner.n - 1] == '.');
    if (!r->failed && (above || span_eq(owner, SPAN(".")))) {
        m->has_soa = true;
        m->negative_ttl_s = minimum < ttl_s ? minimum : ttl_s;
    }
}

/* One record of the answer or of the authority section. */
static void take_record(struct reader *r, bool answer) {
    struct dns_message *m = r->out;
    size_t text_before = m->n_text;
    bool usable = true, kept = false;
    struct dns_record record = {.name = take_name(r, &usable)};
    uint16_t type = take_u16(r), class = take_u16(r);
    record.ttl_s = take_ttl(r);
    uint16_t length = take_u16(r);
    if (!has(r, length)) {
        return;
    }
    size_t end = r->at + length, whole = r->n;
    r->n = end; /* what belongs to this record must end with it; pointers go backwards anyway */
    if (answer && class == CLASS_IN && m->n < DNS_RECORDS_MAX && find_type(type, &record.type)) {
        take_data(r, &record, &usable);
        kept = !r->failed && r->at == end && usable;
        r->failed |= r->at != end;
    } else if (!answer && class == CLASS_IN && type == TYPE_SOA) {
        take_soa(r, record.name, record.ttl_s);
    }
    r->n = whole;
    r->at = end;
    if (kept) {
        m->records[m->n++] = record;
    } else {
        m->n_text = text_before;
    }
}

enum error dns_message_read(struct span bytes, struct dns_message *out) {
    struct reader r = {(const uint8_t *)bytes.p, bytes.n, 2, false, out};
    bool usable = true;
    out->n = out->n_text = 0;
    out->has_soa = false;
    out->negative_ttl_s = 0;
    if (bytes.n < HEADER_SIZE) {
        return ERR_MALFORMED;
    }
    uint16_t flags = take_u16(&r), questions = take_u16(&r), answers = take_u16(&r),
             authorities = take_u16(&r);
    (void)take_u16(&r); /* additional records are nobody's business here */
    if (!(flags & 0x8000) || questions != 1) {
        return ERR_MALFORMED;
    }
    out->rcode = flags & 15;
    out->truncated = flags & 0x0200;
    out->name = take_name(&r, &usable);
    out->type = take_u16(&r);
    usable &= take_u16(&r) == CLASS_IN;
    for (unsigned i = 0; i < answers && !r.failed; i++) {
        take_record(&r, true);
    }
    for (unsigned i = 0; i < authorities && !r.failed; i++) {
        take_record(&r, false);
    }
    return r.failed || !usable ? ERR_MALFORMED : OK;
}
