/* Fuzzes the reader of DNS messages: whatever the bytes, what it gives stays within its bounds. */
#include "codec/dns/dns.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_inside(const struct dns_message *m, struct span s) {
    return s.n == 0 || (s.p >= m->text && s.p + s.n <= m->text + m->n_text) ||
           span_eq(s, SPAN("."));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct dns_message m; /* large, and written before it is read */
    if (dns_message_read(span_of(data, size), &m) != OK) {
        return 0;
    }
    for (size_t i = 0; i < m.n; i++) {
        const struct dns_record *r = &m.records[i];
        char text[2048];
        struct buf b = buf_init(text, sizeof text);
        dns_record_print(&b, r);
        if (!is_inside(&m, r->name) || r->name.n > DNS_NAME_MAX || b.overflow) {
            abort();
        }
    }
    return 0;
}
