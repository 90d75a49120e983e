/* Fuzzes STUN: an answer is a whole message, little longer than the request. */
#include "codec/stun/stun.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const struct addr from = {.family = 6, .port = 1, .ip = {0x20, 1}};
    char bytes[256];
    struct buf out = buf_init(bytes, sizeof bytes);
    if (stun_answer(span_of(data, size), &from, &out) == OK &&
        (out.n > size + 56 || out.n % 4 || out.n < 20)) {
        abort();
    }
    return 0;
}
