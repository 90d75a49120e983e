/* Lists a message's AVPs for test_diameter_tshark.py: "depth code length" a
 * line, depth first. */
#include "codec/diameter/diameter.h"

#include <stdio.h>

int main(int argc, char **argv) {
    static char bytes[65536];
    struct diameter_msg msg;
    struct diameter_fault fault;
    FILE *f = argc == 2 ? fopen(argv[1], "rb") : NULL;
    if (!f) {
        fprintf(stderr, "usage: diameter_list FILE\n");
        return 2;
    }
    size_t n = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    if (diameter_msg_parse(span_of(bytes, n), &msg, &fault) != OK) {
        fprintf(stderr, "%s\n", fault.text);
        return 1;
    }
    struct diameter_iter level[DIAMETER_DEPTH_MAX];
    struct diameter_avp a;
    level[0] = diameter_iter_init(msg.avps);
    for (int depth = 0; depth >= 0;) {
        if (!diameter_next(&level[depth], &a)) {
            depth--;
            continue;
        }
        printf("%d %u %zu\n", depth, a.code, a.bytes.n);
        const struct diameter_def *def = diameter_def_find(a.code, a.vendor);
        if (def && def->type == DIAMETER_GROUP && depth + 1 < DIAMETER_DEPTH_MAX) {
            level[++depth] = diameter_iter_init(a.value);
        }
    }
    return 0;
}
