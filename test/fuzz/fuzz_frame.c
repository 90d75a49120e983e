/* Fuzzes the framing of SIP streams: where a message ends does not depend on how its bytes came. */
#include "codec/sip/frame.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const struct sip_limits limits = {.message_max = 4096, .body_max = 2048};
    const char *bytes = (const char *)data;
    struct sip_framing whole = {0}, bit_by_bit = {0};
    size_t length = 0, length_again = 0;
    enum error e = sip_frame(&whole, bytes, size, &limits, &length), again = ERR_INCOMPLETE;
    size_t seen = 0;
    while (seen < size && again == ERR_INCOMPLETE) {
        again = sip_frame(&bit_by_bit, bytes, ++seen, &limits, &length_again);
    }
    if (e == OK && (again != OK || length != length_again || length > size || seen != length)) {
        abort();
    }
    if (e == ERR_INCOMPLETE && size && again != ERR_INCOMPLETE) {
        abort();
    }
    if (e == ERR_MALFORMED && again != ERR_MALFORMED) {
        abort();
    }
    return 0;
}
