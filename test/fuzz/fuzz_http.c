/* Fuzzes HTTP requests: a head and, if it says so, chunks. However the bytes are cut, they mean the
 * same. */
#include "base/buf.h"
#include "stack/http/message.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum http_scan scan(struct span bytes, size_t step, size_t *head_n) {
    enum http_scan found = HTTP_MORE;
    size_t scanned = 0;
    for (size_t n = step; found == HTTP_MORE && n < bytes.n + step; n += step) {
        found = http_head_scan(span_slice(bytes, 0, n), &scanned, head_n);
    }
    return found;
}

static enum http_chunk read_chunks(struct span bytes, size_t step, size_t *body_n, size_t *used) {
    struct http_chunks c;
    enum http_chunk k = HTTP_CHUNK_MORE;
    http_chunks_init(&c);
    *body_n = 0;
    for (size_t at = 0; at < bytes.n; at += step) {
        struct span in = span_slice(bytes, at, at + step), data;
        while ((k = http_chunks_take(&c, &in, &data)) == HTTP_CHUNK_DATA) {
            *body_n += data.n;
        }
        if (k != HTTP_CHUNK_MORE) {
            *used = (size_t)(in.p - bytes.p);
            return k;
        }
    }
    return k;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct span bytes = span_of(data, size);
    size_t n[2] = {0, 0}, body[2], used[2] = {0, 0};
    struct http_head head;
    const char *why = NULL;
    if (scan(bytes, 1, &n[0]) != scan(bytes, 7, &n[1]) || n[0] != n[1]) {
        abort();
    }
    if (!n[0]) {
        return 0;
    }
    unsigned status = http_head_parse(span_slice(bytes, 0, n[0]), &head, &why);
    if (status) {
        return 0;
    }
    if (!head.target.n || head.target.p[0] != '/' || (head.chunked && head.length)) {
        abort();
    }
    bytes = span_after(bytes, n[0]);
    enum http_chunk k = read_chunks(bytes, 1, &body[0], &used[0]);
    if (k != read_chunks(bytes, 5, &body[1], &used[1]) ||
        (k != HTTP_CHUNK_BAD && (body[0] != body[1] || used[0] != used[1]))) {
        abort();
    }
    return 0;
}
