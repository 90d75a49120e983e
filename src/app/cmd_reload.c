/* muster reload: a running Muster takes its configuration anew, and says what that changed. */
#include "app/remote.h"
#include "app/terminal.h"

#include <jansson.h>

/* The items of a list under a heading. */
static void print_list(const json_t *answer, const char *name, const char *heading) {
    const json_t *list = json_object_get(answer, name), *item;
    size_t i;
    if (json_array_size(list) == 0) {
        return;
    }
    puts(heading);
    json_array_foreach(list, i, item) {
        fputs("  ", stdout);
        terminal_print(span_of(json_string_value(item), json_string_length(item)));
        putchar('\n');
    }
}

static int show(const struct web_reply *reply) {
    if (reply->status != 200 && reply->status != 422) {
        return remote_refused(reply);
    }
    json_t *answer = json_loads(reply->body, 0, NULL);
    bool refused = json_array_size(json_object_get(answer, "faults")) > 0;
    bool trouble = json_array_size(json_object_get(answer, "trouble")) > 0;
    print_list(answer, "faults", "Refused; what runs goes on as it was:");
    print_list(answer, "applied", "Changed:");
    print_list(answer, "needs_restart", "Needs a restart:");
    print_list(answer, "trouble", "Could not be taken:");
    if (answer && !refused && !trouble &&
        json_array_size(json_object_get(answer, "applied")) +
                json_array_size(json_object_get(answer, "needs_restart")) ==
            0) {
        puts("Nothing in the configuration has changed; certificates and subscribers were read "
             "again.");
    }
    json_decref(answer);
    return refused ? EXIT_CODE_CONFIG : trouble ? EXIT_CODE_FAILED : EXIT_CODE_OK;
}

int cmd_reload(const struct command *self, int argc, char **argv) {
    struct remote remote = {0};
    const struct option_def options[] = {REMOTE_OPTIONS(&remote), {0}};
    const struct usage usage = {
        .arguments = "[-c FILE]",
        .text =
            "A running Muster reads its configuration again, as by SIGHUP. At once change: log,\n"
            "trace, what is in the files of certificates and keys, and subscribers that are\n"
            "new. Other differences are named: they need a restart. A file with faults is\n"
            "refused, and nothing changes. No request that is under way is lost.",
        .options = options,
        .examples = "  muster reload\n"
                    "  muster reload -c home.yaml",
    };
    struct args rest;
    int code;
    if (!command_parse(self, &usage, argc, argv, &rest, &code)) {
        return code;
    }
    struct web_reply reply;
    code = remote_open(&remote);
    code = code ? code : remote_call(&remote, "POST", "/reload", SPAN_NONE, 60, &reply);
    if (!code) {
        code = show(&reply);
        web_reply_free(&reply);
    }
    return code;
}
