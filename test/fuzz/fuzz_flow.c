/* Fuzzes the flow language: whatever the text, there is a flow or a list of faults that names its
 * lines. The corpus is flows/, replayed as a unit test (test_fuzz_flow.c). */
#include "app/flow/flow.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct flow *f = NULL;
    char *faults = NULL;
    enum error err = flow_parse("fuzz", span_of(data, size), &f, &faults);
    if (err == OK) {
        flow_free(f);
    } else if (err == ERR_INVALID && (!faults || strncmp(faults, "fuzz:", 5) != 0)) {
        abort();
    }
    free(faults);
    return 0;
}
