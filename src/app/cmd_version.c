#include "app/command.h"

int cmd_version(const struct command *self, int argc, char **argv) {
    static const struct usage usage = {
        .arguments = "",
        .text = "Prints the version.",
    };
    struct args rest;
    int code;
    if (!command_parse(self, &usage, argc, argv, &rest, &code)) {
        return code;
    }
    puts("muster " MUSTER_VERSION);
    return EXIT_CODE_OK;
}
