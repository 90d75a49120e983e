/* Fuzzes what observers do with a message: masking, labels, ladders, captures. Whatever the bytes,
 * the mask keeps to them, and what is drawn has no control characters in it. The first byte chooses
 * the protocol. The corpora of SIP and Diameter are replayed as a unit test (test_fuzz_observe.c).
 */
#include "obs/ladder.h"
#include "obs/mask.h"
#include "obs/pcapng.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void draw(const struct ladder *l, void (*write)(const struct ladder *l, FILE *out)) {
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);
    if (!out) {
        return;
    }
    write(l, out);
    (void)fclose(out);
    for (size_t i = 0; i < n; i++) {
        if ((uint8_t)text[i] < 32 && text[i] != '\n' && text[i] != '\t') {
            abort();
        }
    }
    free(text);
}

static void write_text(const struct ladder *l, FILE *out) {
    ladder_write_text(l, &(struct ladder_style){.width = 90}, out);
}

static void capture(const struct trace_message *m) {
    char *text = NULL;
    size_t n = 0;
    struct pcapng *p = NULL;
    FILE *out = open_memstream(&text, &n);
    if (out && pcapng_new(out, &p) == OK) {
        (void)!pcapng_message(p, m);
        (void)pcapng_free(p);
    }
    if (out) {
        (void)fclose(out);
    }
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) {
        return 0;
    }
    size_t n = size - 1;
    char *bytes = malloc(n ? n : 1); /* a copy of exactly its size: a byte too far is seen */
    struct ladder *l = ladder_new();
    if (bytes && l) {
        memcpy(bytes, data + 1, n);
        struct trace_message m = {
            .protocol = (enum trace_protocol)(data[0] % TRACE_PROTOCOLS),
            .stream = data[0] & 128,
            .from = addr_v4(127, 0, 0, 1, 5060),
            .to = addr_v4(127, 0, 0, 2, 3868),
            .bytes = span_of(bytes, n),
        };
        const struct ladder_filter filter = {.identity = span_slice(m.bytes, 0, 5)};
        mask_secrets(m.protocol, bytes, n);
        (void)!ladder_add(l, &m);
        draw(l, write_text);
        draw(l, ladder_write_svg);
        draw(l, ladder_write_html);
        (void)!ladder_filter(l, &filter);
        capture(&m);
    }
    ladder_free(l);
    free(bytes);
    return 0;
}
