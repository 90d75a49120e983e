/* Fuzzes URIs: what is read has a canonical form, which reads as the same and is its own. */
#include "codec/sip/uri.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The canonical form of a URI; empty if it outgrows the room. */
static struct span canonical(const struct sip_uri *uri, char *room, size_t cap) {
    struct buf b = buf_init(room, cap);
    sip_uri_put_canonical(&b, uri);
    return b.overflow ? SPAN_NONE : buf_span(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char first[4096], second[4096];
    struct sip_uri uri, again;
    if (size > 1024 || sip_uri_parse(span_of(data, size), &uri) != OK) {
        return 0;
    }
    struct span form = canonical(&uri, first, sizeof first);
    if (!sip_uri_equal(&uri, &uri) || sip_uri_parse(form, &again) != OK ||
        !span_eq(canonical(&again, second, sizeof second), form)) {
        abort();
    }
    struct buf b = buf_init(second, sizeof second);
    if (sip_tel_put(&b, &uri) == OK && sip_uri_parse(buf_span(&b), &again) != OK) {
        abort();
    }
    b = buf_init(second, sizeof second);
    (void)!sip_unescape(&b, uri.user);
    b = buf_init(second, sizeof second);
    sip_put_user(&b, span_of(data, size));
    return 0;
}
