/* muster: the table of commands. */
#include "app/command.h"

#include <signal.h>
#include <string.h>

static const struct command commands[] = {
    {"run", "run the nodes that a configuration names", cmd_run},
    {"demo", "run a flow and draw its ladder", cmd_demo},
    {"ue", "a terminal: register, deregister", cmd_ue},
    {"sub", "subscriptions of a running Muster: add, show, graph, set, log, ...", cmd_sub},
    {"token", "who may use the web interface: new, list, rm", cmd_token},
    {"zone", "the DNS zone that a configuration needs", cmd_zone},
    {"doctor", "is this set-up right? says what to mend", cmd_doctor},
    {"explain", "a subscriber's last attempts: what failed, why, what to mend", cmd_explain},
    {"reload", "a running Muster takes its configuration anew", cmd_reload},
    {"trace", "the ladder of what just happened in a running Muster", cmd_trace},
    {"bench", "what a registration costs, and how fast it is", cmd_bench},
    {"simulate", "whole networks in virtual time, under faults", cmd_simulate},
    {"version", "which Muster this is", cmd_version},
};

int main(int argc, char **argv) {
    signal(SIGPIPE, SIG_IGN); /* a closed pipe is an error of a write, not the end */
    static char version[] = "version";
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        argv[1] = version;
    }
    return command_dispatch("muster",
                            "Muster is the registration and subscriber side of an IP Multimedia "
                            "Subsystem (IMS).",
                            commands, COUNT_OF(commands), argc, argv);
}
