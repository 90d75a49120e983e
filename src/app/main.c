/* muster: the table of commands. */
#include "app/command.h"

#include <signal.h>
#include <string.h>

static const struct command commands[] = {
    {"trace", "the ladder of what just happened in a running Muster", cmd_trace},
    {"version", "which Muster this is", cmd_version},
};

int main(int argc, char **argv) {
    signal(SIGPIPE, SIG_IGN); /* a closed pipe is an error of a write, not the end */
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        argv[1] = (char[]){"version"};
    }
    return command_dispatch("muster",
                            "Muster is the registration and subscriber side of an IP Multimedia "
                            "Subsystem (IMS).",
                            commands, COUNT_OF(commands), argc, argv);
}
