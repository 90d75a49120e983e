/* Fuzzes the reader of configurations: any YAML ends in a configuration or in faults with lines. */
#include "app/config.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct config c;
    const struct span text = span_of(data, size);
    const struct config_layer layer = {"fuzz.yaml", &text};
    char *faults = NULL;
    enum error e = config_load_layers(&layer, 1, &c, &faults);
    if (e == OK) {
        config_free(&c);
    } else if (e == ERR_INVALID && (!faults || !*faults)) {
        abort();
    }
    free(faults);
    return 0;
}
